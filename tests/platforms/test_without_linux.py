"""Ports that do not need Linux, on a Linux that refuses what others lack: the exam, and Samba's client."""

import itertools
import os
import platform
import random
import re
import select
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from errno import EINVAL, ENOSYS
from pathlib import Path

import pytest

from smbport.posix.walk import HIDDEN
from tests.platforms.freebsd.standin import RELEASES

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
USER, PASSWORD = "alice", "Correct Horse 9"
PATIENCE_S = 120  # a limit for what hangs, not a measure
FAULTS = re.compile(r"bug while answering|bug on the connection|Traceback|Exception ignored|Warning:")

RUNS = [
    ("posix", "any_posix.py", "enosys"),
    ("posix", "any_posix.py", "kill"),
    ("posix", "bare_posix.py", "enosys"),
    ("posix", "bare_posix.py", "kill"),
    ("qnx", "qnx/qnx8.py", "allow"),
    ("qnx", "qnx/qnx8.py", "enosys"),
    ("qnx", "qnx/qnx8.py", "kill"),
    *(("freebsd", f"freebsd{release}", mode) for release in RELEASES for mode in ("enosys", "kill")),
]
CONFIG = """
[server]
listen = ["127.0.0.1:0"]
[share.data]
path = "{path}"
run_as = "server"
"""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="the filter has the numbers of x86_64 Linux"
)
needs_smbclient = pytest.mark.skipif(shutil.which("smbclient") is None, reason="smbclient is not installed")


@dataclass
class Run:
    """One port under one personality."""

    port: str
    personality: str
    mode: str
    environment: dict[str, str]

    def command(self, *arguments):
        here = [sys.executable, "-W", "always::ResourceWarning", str(HERE / "without_linux.py")]
        return [*here, self.mode, str(HERE / self.personality), *arguments]


@pytest.fixture(params=RUNS, ids="-".join)
def run(request, tmp_path):
    environment = dict(os.environ)
    if request.param[0] == "qnx":
        environment["SMBPORT_QNX_STAND_IN"] = request.getfixturevalue("stand_in")
    if request.param[0] == "freebsd":
        release = int(request.param[1].removeprefix("freebsd"))
        environment["SMBPORT_FREEBSD_STAND_IN"] = request.getfixturevalue("freebsd_stand_in")(release)
        environment["SMBPORT_FREEBSD_RELEASE"] = str(release)
        return Run("freebsd", "freebsd/freebsd.py", request.param[2], environment | {"TMPDIR": str(tmp_path)})
    environment["TMPDIR"] = str(tmp_path)
    return Run(*request.param, environment)


def test_the_exam(run, tmp_path):
    (tmp_path / "volume").mkdir()
    done = subprocess.run(
        run.command("exam", run.port, str(tmp_path / "volume")),
        env=run.environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert done.stdout.endswith(f"{run.port} passed the exam\n")
    assert (re.search(r"^watch +passed", done.stdout, re.MULTILINE) is not None) is (run.port != "posix")
    assert list((tmp_path / "volume").iterdir()) == []


@pytest.mark.parametrize(("mode", "status"), [("allow", EINVAL), ("enosys", ENOSYS), ("kill", -signal.SIGSYS)])
def test_what_is_refused(mode, status):
    run = Run("posix", "any_posix.py", mode, {})
    assert subprocess.run(run.command("attempt", "fsetxattr"), timeout=PATIENCE_S, check=False).returncode == status


# Samba's client -------------------------------------------------------------------------------------------------


@dataclass
class Served:
    port: int
    share: Path
    local: Path

    def command(self, *commands):
        return [
            "smbclient", "//127.0.0.1/data", "--configfile=/dev/null", f"--port={self.port}",
            f"--user={USER}%{PASSWORD}", f"--command={';'.join(commands)}",
        ]  # fmt: skip

    def smbclient(self, *commands):
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            self.command(*commands), cwd=self.local, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        text = done.stdout + done.stderr
        assert done.returncode == 0, text
        assert "NT_STATUS_" not in text
        return text


@pytest.fixture
def served(run, tmp_path):
    share, local, log_file = (tmp_path / name for name in ("share", "local", "log"))
    share.mkdir()
    local.mkdir()
    config = tmp_path / "smbport.toml"
    config.write_text(CONFIG.format(path=share))
    with log_file.open("w") as log:
        process = subprocess.Popen(
            run.command("serve", "--config", str(config), "--platform", run.port, "--user", USER),
            env=run.environment, cwd=PROJECT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
    with process:
        try:
            process.stdin.write(f"{PASSWORD}\n")
            process.stdin.flush()
            greeting = process.stdout.readline()
            assert f"(platform {run.port})" in greeting, greeting + log_file.read_text()
            yield Served(int(re.search(r"127.0.0.1:(\d+)", greeting)[1]), share, local)
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0, log_file.read_text()
        finally:
            process.kill()
    assert not FAULTS.search(log_file.read_text()), log_file.read_text()


@pytest.mark.interop
@needs_smbclient
def test_smbclient(served):
    data = random.Random(0).randbytes((3 << 20) + 7)
    (served.local / "up").write_bytes(data)
    listing = served.smbclient(
        "put up", "mkdir Ordner", "rename up Ordner/größer", "get Ordner/größer down", "put up gone", "del gone",
        "rename Ordner Directory", "mkdir empty", "rmdir empty", "ls Directory/*",
    )  # fmt: skip
    assert (served.local / "down").read_bytes() == data
    assert (served.share / "Directory/größer").read_bytes() == data
    assert [path.name for path in served.share.iterdir() if path.name != HIDDEN] == ["Directory"]
    assert re.search(rf"größer +[A-Z]+ +{len(data)} ", listing)


@pytest.mark.interop
@needs_smbclient
def test_what_smbclient_attaches(run, served):
    """Attributes and streams, short and long, which a local program's renaming does not part from their file."""
    (served.local / "short").write_bytes(b"data")
    (served.local / "long").write_bytes(b"long" * 10_000)
    served.smbclient("put short file", "put short file:short", "put long file:long", "setmode file +hs")
    (served.share / "file").rename(served.share / "new")
    told = served.smbclient("allinfo new", "get new:long down")
    assert re.search(r"^attributes: .*HS", told, re.MULTILINE)
    told_streams = re.findall(r"^stream: \[:(\w*):\$DATA\], (\d+) bytes", told, re.MULTILINE)
    assert sorted(told_streams) == [("", "4"), ("long", "40000"), ("short", "4")]
    assert (served.local / "down").read_bytes() == b"long" * 10_000
    served.smbclient("rm new")
    assert not list((served.share / HIDDEN).glob("*/*"))


@pytest.mark.interop
@needs_smbclient
def test_nothing_leaves_the_share(served, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (served.share / "out").symlink_to("../secret")
    (served.share / "absolute").symlink_to(tmp_path / "secret")
    (served.share / "inside").symlink_to("file")
    (served.share / "file").write_text("public")
    served.smbclient("get inside")
    assert (served.local / "inside").read_text() == "public"
    for name in ("out", "absolute"):
        done = subprocess.run(served.command(f"get {name}"), cwd=served.local, capture_output=True, check=False)
        assert done.returncode
        assert b"secret" not in b"".join(path.read_bytes() for path in served.local.iterdir())


@pytest.mark.interop
@needs_smbclient
def test_smbclient_is_notified(run, served):
    if run.port == "posix":
        pytest.skip("the plain POSIX port watches nothing")
    directory = served.share / "d"
    directory.mkdir()
    command = ["stdbuf", "--output=L", *served.command("notify d")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            # It does not say when it began to wait, so files are made until it tells of one.
            for number in itertools.count():
                (directory / str(number)).touch()
                if select.select([process.stdout], [], [], 0.1)[0]:
                    break
            (directory / "new").touch()
            (directory / "new").rename(directory / "renamed")
            lines = list(itertools.takewhile(lambda line: not line.endswith(" renamed\n"), process.stdout))
        finally:
            process.kill()
    if run.environment.get("SMBPORT_FREEBSD_RELEASE") not in ("13", "14"):  # where a file that came and went is missed
        assert lines[-1] == "0004 new\n"
