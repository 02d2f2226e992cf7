"""trio's own tests of sockets and I/O, over the event loop made of poll."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PATIENCE_S = 240  # a limit for what hangs, not a measure
MODULES = (
    "trio._core._tests.test_io",
    "trio._tests.test_socket",
    "trio._tests.test_unix_pipes",
    "trio._tests.test_highlevel_socket",
    "trio._tests.test_highlevel_open_tcp_listeners",
    "trio._tests.test_highlevel_serve_listeners",
)
PROGRAM = """
import select, sys, sysconfig
import pytest
from smbport.posix import poll_loop

sysconfig.get_config_vars()  # of the Python that this really is
del select.epoll
poll_loop.install()
sys.platform = "qnx8"
import trio

assert select.kqueue is poll_loop.PollQueue
assert trio.lowlevel.current_kqueue
sys.exit(pytest.main(sys.argv[1:]))
"""


@pytest.mark.skipif(importlib.util.find_spec("trio._tests") is None, reason="this trio came without its tests")
@pytest.mark.skipif(sys.platform != "linux", reason="takes epoll away, which only Linux has")
def test_trio_runs_on_poll(tmp_path):
    options = [
        "-q", "--pyargs", "-p", "trio._tests.pytest_plugin", "-p", "no:trio", "-p", "no:cacheprovider",
        f"--rootdir={tmp_path}",
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *options, *MODULES], cwd=tmp_path, capture_output=True, text=True,
        timeout=PATIENCE_S, check=False, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 50
