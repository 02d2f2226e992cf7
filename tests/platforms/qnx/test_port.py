"""smbport_qnx: probing, and what the platform says of itself."""

import ctypes
import os
import subprocess
import sys
from contextlib import closing
from types import SimpleNamespace

import pytest

from smbport.platform import POWERS, Interface, Port
from smbport.testing.kit import examine
from smbport_qnx import PORT
from smbport_qnx import platform as module
from smbport_qnx.interfaces import find_interfaces
from smbport_qnx.platform import probe


def test_it_is_for_qnx(monkeypatch):
    port: Port = PORT
    assert port.name == "qnx"
    assert not port.matches()
    with pytest.raises(RuntimeError, match="64-bit QNX"):
        port.probe()
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(sysname="QNX"))
    assert port.matches()
    monkeypatch.setattr(sys, "maxsize", (1 << 31) - 1)
    with pytest.raises(RuntimeError, match="64-bit QNX"):
        port.probe()


def test_probing_imports_no_trio():
    """The event loop has to be there before."""
    script = "import sys, smbport_qnx, smbport_qnx.platform; assert 'trio' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_powers(calls):
    platform = probe(calls)
    present = {"acl", "attributes", "streams", "watch", "zero_copy"}
    assert {power for power in POWERS if getattr(platform, power) is not None} == present
    assert set(platform.absent) == set(POWERS) - present


def test_what_cannot_be_relied_on_is_absent(calls, monkeypatch):
    monkeypatch.setattr(module, "why_no_watch", lambda calls: "No watch.")
    monkeypatch.setattr(module, "why_no_zero_copy", lambda: "No sendfile.")
    platform = probe(calls)
    assert (platform.watch, platform.absent["watch"]) == (None, "No watch.")
    assert (platform.zero_copy, platform.absent["zero_copy"]) == (None, "No sendfile.")


def test_the_exam(calls, tmp_path):
    report = examine(probe(calls), str(tmp_path))
    assert report.passed, str(report)
    assert "no lists" not in str(report)
    assert {finding.check for finding in report.findings if finding.outcome == "absent"} == {
        "clone", "compression", "identity", "range_locks", "read_only", "snapshots", "sparse",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "lies", "told"), [(b"qnx6", 0, "qnx6"), (b"dos", 0, "dos"), (b"", 0, "POSIX"), (b"qnx6", 1, "POSIX")]
)
def test_the_name_of_the_file_system(library, calls, tmp_path, name, lies, told):
    (ctypes.c_char * 16).in_dll(library, "base_type").value = name
    ctypes.c_int.in_dll(library, "lies").value = lies
    with closing(probe(calls).open_volume(str(tmp_path))) as volume:
        assert volume.features.file_system == told
        assert volume.features.stores_marks is (told == "qnx6")


def test_what_is_not_there_to_be_shared(calls, tmp_path, monkeypatch):
    platform = probe(calls)
    before = os.listdir("/dev/fd")
    with pytest.raises(FileNotFoundError):
        platform.open_volume(str(tmp_path / "none"))

    def fail(_):
        raise OSError(5, "broken")

    monkeypatch.setattr(module, "find_features", fail)
    with pytest.raises(OSError, match="broken"):
        platform.open_volume(str(tmp_path))
    assert os.listdir("/dev/fd") == before


def test_a_file_system_that_does_not_say(calls, tmp_path, monkeypatch):
    def fail(fd):
        raise OSError(89, "no such call")

    platform = probe(calls)
    monkeypatch.setattr(calls, "file_system", fail)
    with closing(platform.open_volume(str(tmp_path))) as volume:
        assert volume.features.file_system == "POSIX"


def test_interfaces(calls, monkeypatch):
    monkeypatch.setattr("socket.if_nametoindex", lambda name: {"vtnet0": 2}[name])
    expected = [Interface(2, "192.0.2.7", 0), Interface(2, "2001:db8::7", 0)]
    assert find_interfaces(calls) == expected
    assert probe(calls).sockets.interfaces() == expected
    monkeypatch.undo()
    assert [interface.index for interface in find_interfaces(calls)] == [0, 0]  # no such interface here

    def fail():
        raise OSError(89, "no such call")

    monkeypatch.setattr(calls, "interface_addresses", fail)
    assert find_interfaces(calls) == []
