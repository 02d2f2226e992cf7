"""T4: the port serves a client in capability mode, where a filter refuses all that is not relative to a descriptor."""

import os
import platform as system
import random
import re
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from errno import ENOSYS
from pathlib import Path
from socket import AF_INET, SOCK_STREAM, socket

import pytest

from smbport_freebsd import CONFINED, calls
from smbport_freebsd.confined import ConfinedSockets, confine
from smbport_freebsd.platform import FreeBSDPlatform, probe
from tests.platforms.freebsd.standin import NUMBERS, RELEASES, Library, StandIn, build

HERE = Path(__file__).parent
PROJECT = HERE.parents[2]
USER, PASSWORD = "alice", "Correct Horse 9"
PATIENCE_S = 120  # a limit for what hangs, not a measure
FAULTS = re.compile(r"bug while answering|bug on the connection|Traceback|Exception ignored|Warning:")
CONFIG = """
[server]
listen = ["127.0.0.1:0"]
[share.data]
path = "{path}"
run_as = "server"
"""


def test_it_must_be_asked_for(monkeypatch):
    monkeypatch.setattr(sys, "platform", "freebsd15")
    assert CONFINED.name == "freebsd-capsicum"
    assert not CONFINED.matches()


def test_it_is_probed(library: Callable[[int], Library], monkeypatch):
    loaded = library(15)
    monkeypatch.setattr(sys, "platform", "freebsd15")
    monkeypatch.setattr(calls, "load_libc", lambda: loaded)
    found = CONFINED.probe()
    assert found.name == CONFINED.name
    assert found.snapshots is None
    assert found.absent["snapshots"].endswith(".")


def test_a_kernel_without_it_is_refused(newest: FreeBSDPlatform, monkeypatch):
    def missing(self: calls.Calls) -> None:
        raise OSError(ENOSYS, "Function not implemented")

    monkeypatch.setattr(calls.Calls, "check_capability_mode", missing)
    with pytest.raises(OSError, match="not implemented"):
        confine(newest)


def test_the_mode_is_entered_once_and_before_the_first_client_is_heard(tmp_path: Path, monkeypatch):
    """With a library of its own: the mode cannot be left."""
    found = confine(probe(StandIn(Library(build(tmp_path, 15)))))
    entered = []
    monkeypatch.setattr(calls.Calls, "enter_capability_mode", lambda self: entered.append(1))
    assert isinstance(found.sockets, ConfinedSockets)
    before = found.sockets.interfaces()
    assert not entered
    with socket(AF_INET, SOCK_STREAM) as one:
        found.sockets.tune(one)
        found.sockets.tune(one)
    assert entered == [1]
    assert found.sockets.interfaces() == before


def test_nothing_is_named_from_outside_any_more(tmp_path: Path):
    (tmp_path / "share").mkdir()
    (tmp_path / "library").mkdir()
    found = probe(StandIn(Library(build(tmp_path / "library", 15))))
    with closing(found.open_volume(str(tmp_path / "share"))) as volume:
        found.calls.enter_capability_mode()
        volume.create("file", 3, 0o644, wait=True).close()
        for directory, path in ((NUMBERS["AT_FDCWD"], b"x"), (volume.root.fd, b"/etc"), (volume.root.fd, b"..")):
            with pytest.raises(OSError, match=r"Socket type|cross-device|Unknown"):
                found.calls.open_at(directory, path, 0)


# Samba's client -----------------------------------------------------------------------------------------------------

needs_smbclient = pytest.mark.skipif(shutil.which("smbclient") is None, reason="smbclient is not installed")
needs_filter = pytest.mark.skipif(
    sys.platform != "linux" or system.machine() != "x86_64", reason="the filter has the numbers of x86_64 Linux"
)


class Served:
    """A server in a process of its own."""

    def __init__(self, port: int, directory: Path) -> None:
        self.port = port
        self.share = directory / "share"
        self.local = directory / "local"

    def command(self, *commands: str, options: tuple[str, ...] = ()) -> list[str]:
        return ["smbclient", "//127.0.0.1/data", "--configfile=/dev/null", f"--port={self.port}",
            f"--user={USER}%{PASSWORD}", *options, "-c", ";".join(commands)]  # fmt: skip

    def smbclient(self, *commands: str, options: tuple[str, ...] = ()) -> str:
        done = subprocess.run(
            self.command(*commands, options=options), cwd=self.local, stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C.UTF-8"}, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        text = done.stdout + done.stderr
        assert done.returncode == 0, text
        assert "NT_STATUS_" not in text
        return text


@pytest.fixture(params=[(release, mode) for release in RELEASES for mode in ("enosys", "kill")], ids=str)
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    release, mode = request.param
    for name in ("share", "local", "library"):
        (tmp_path / name).mkdir()
    config, log_file = tmp_path / "smbport.toml", tmp_path / "log"
    config.write_text(CONFIG.format(path=tmp_path / "share"))
    environment = os.environ | {
        "SMBPORT_FREEBSD_STAND_IN": str(build(tmp_path / "library", release)),
        "SMBPORT_FREEBSD_RELEASE": str(release),
        "TMPDIR": str(tmp_path),
    }
    script = str(HERE.parent / "without_linux.py")
    command = [sys.executable, "-W", "always::ResourceWarning", script, mode, str(HERE / "freebsd.py"), "serve"]
    command += ["--config", str(config), "--platform", "freebsd-capsicum", "--user", USER, "--log", "info"]
    with log_file.open("w") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=PROJECT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        try:
            process.stdin.write(f"{PASSWORD}\n")
            process.stdin.flush()
            found = re.search(r"127.0.0.1:(\d+) \(platform freebsd-capsicum\)", process.stdout.readline())
            assert found, log_file.read_text()
            yield Served(int(found[1]), tmp_path)
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0, log_file.read_text()
        finally:
            process.kill()
    text = log_file.read_text()
    assert not FAULTS.search(text), text
    assert "capability mode begins with the first client: no previous versions" in text
    assert text.count("capability mode entered") == 1


@pytest.mark.interop
@needs_smbclient
@needs_filter
def test_a_client_is_served(served: Served):
    data = random.Random(0).randbytes((3 << 20) + 7)
    (served.local / "up").write_bytes(data)
    (served.share / "inside").symlink_to("there")
    (served.share / "out").symlink_to("/etc/passwd")
    listing = served.smbclient(
        "put up there", "get inside linked", "mkdir new", "rename there new/größer", "get new/größer down",
        "put up new/größer:stream", "get new/größer:stream stream", "setmode new/größer +h", "allinfo new",
        "put up gone", "del gone", "mkdir empty", "rmdir empty", "ls new/*", "volume", "du",
    )  # fmt: skip
    for name in ("linked", "down", "stream"):
        assert (served.local / name).read_bytes() == data
    assert re.search(rf"größer +[AN]*H[AN]* +{len(data)} ", listing)
    assert "größer" in served.smbclient("ls new/*", options=("--client-protection=encrypt",))
    refused = subprocess.run(served.command("get out stolen"), cwd=served.local, capture_output=True, check=False)
    assert refused.returncode
    assert not (served.local / "stolen").exists()


@pytest.mark.interop
@needs_smbclient
@needs_filter
@pytest.mark.skipif(shutil.which("stdbuf") is None, reason="stdbuf is not installed")
def test_a_client_is_notified(served: Served):
    (served.share / "d").mkdir()
    command = ["stdbuf", "-oL", *served.command("notify d")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as client:
        try:
            assert client.stdout is not None
            for number in range(300):  # until the client listens
                (served.share / "d" / str(number)).mkdir()
                if select.select([client.stdout], [], [], 0.2)[0]:
                    break
            assert client.stdout.readline().startswith(b"0001 ")
        finally:
            client.kill()
