"""What a local program does to the folder of a real server process is told to Samba's client."""

import itertools
import select
import shutil
import subprocess

import pytest

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("smbclient") is None, reason="smbclient is not installed"),
]


def notified(server, process):
    """What it says until a file is renamed.  It does not say when it began to wait, so files are made until it does."""
    for number in itertools.count():
        server.path(f"d/{number}").touch()
        if select.select([process.stdout], [], [], 0.1)[0]:
            break
    server.path("d/new").touch()
    server.path("d/new").rename(server.path("d/renamed"))
    return itertools.takewhile(lambda line: line != "0005 renamed\n", process.stdout)


def test_smbclient_is_notified(server, smbclient):
    server.path("d").mkdir()
    command = ["stdbuf", "--output=L", *smbclient.command(server, "notify d")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            lines = list(notified(server, process))
        finally:
            process.kill()
    added = [line for line in lines if line.startswith("0001 ")]
    assert len(set(added)) == len(added)
    assert added[-1] == "0001 new\n"
    assert lines[-1] == "0004 new\n"
