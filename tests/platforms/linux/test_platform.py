"""smbport_linux.PORT and what it probes."""

import errno
import os
import socket
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from smbport.platform import POWERS, Platform, Port
from smbport.posix import interfaces as posix_interfaces
from smbport_linux import PORT, calls, interfaces
from smbport_linux import platform as linux_platform
from smbport_linux.interfaces import find_interfaces
from smbport_linux.mounts import find_file_system


def test_the_port(monkeypatch):
    port: Port = PORT
    assert port.name == "linux"
    assert port.matches() is (sys.platform == "linux")
    monkeypatch.setattr(sys, "platform", "freebsd15")
    assert port.matches() is False


def test_every_power_is_there_or_its_absence_explained(platform: Platform):
    for power in POWERS:
        assert (getattr(platform, power) is None) is (power in platform.absent), power
    assert all(reason.endswith(".") for reason in platform.absent.values())
    assert set(platform.absent) <= set(POWERS)
    assert platform.zero_copy is not None
    assert platform.attributes is not None
    assert platform.account.uid == os.geteuid()
    assert platform.name == "linux"


def test_what_is_not_there_to_be_shared(platform: Platform, tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError):
        platform.open_volume(str(tmp_path / "none"))
    with pytest.raises(NotADirectoryError):
        platform.open_volume(str(tmp_path / "file"))


def test_a_volume_that_cannot_be_probed_leaves_nothing_open(platform: Platform, tmp_path: Path, monkeypatch):
    def fail(_):
        raise OSError(5, "broken")

    monkeypatch.setattr(linux_platform, "find_linux_features", fail)
    before = os.listdir("/dev/fd")
    with pytest.raises(OSError, match="broken"):
        platform.open_volume(str(tmp_path))
    assert os.listdir("/dev/fd") == before


def test_systems_that_it_is_not_for(monkeypatch):
    monkeypatch.setattr(os.path, "isdir", lambda _: False)
    with pytest.raises(RuntimeError, match="/proc"):
        PORT.probe()
    monkeypatch.setattr(sys, "maxsize", (1 << 31) - 1)
    with pytest.raises(RuntimeError, match="64-bit"):
        PORT.probe()


def test_features(platform: Platform, tmp_path: Path):
    volume = platform.open_volume(str(tmp_path))
    features = volume.features
    volume.close()
    assert features.file_system == find_file_system_by_path(tmp_path)
    assert features.max_name_bytes == os.statvfs(tmp_path).f_namemax
    assert features.serial
    again = platform.open_volume(str(tmp_path))
    assert again.features == features
    again.close()


def test_features_of_a_file_system_that_is_not_known_to_be_local(platform: Platform):
    volume = platform.open_volume("/proc")
    try:
        assert volume.features.file_system == "proc"
        claims = (volume.features.inline_io, volume.features.stores_marks, volume.features.rename_exclusive)
        assert not any(claims)
        with pytest.raises(BlockingIOError):
            volume.stat("version")
        node = volume.open("self", 0, follow=False, wait=True)
        with pytest.raises(BlockingIOError):
            node.set_times(0, 0)
        node.close()
        with pytest.raises(BlockingIOError):
            volume.space()
        # A magic link is not followed by what it says, and not by what it is.
        with pytest.raises(OSError, match=f"Errno ({errno.ELOOP}|{errno.EXDEV})]"):
            volume.open("self/root/etc/passwd", 1, wait=True)
    finally:
        volume.close()


def find_file_system_by_path(path: Path) -> str:
    """The last mount whose mount point contains the path."""
    found = ""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, point, kind = line.split()[:3]
        if path.is_relative_to(point) and os.stat(point).st_dev == path.stat().st_dev:
            found = kind
    return found


def test_mounts(tmp_path: Path):
    for path in ("/proc", str(tmp_path)):
        fd = os.open(path, os.O_PATH)
        assert find_file_system(fd) == ("proc" if path == "/proc" else find_file_system_by_path(tmp_path))
        os.close(fd)


def test_interfaces(monkeypatch):
    class Address:
        def __init__(self, family, address):
            self.family, self.address = family, address

    class State:
        def __init__(self, isup, speed):
            self.isup, self.speed = isup, speed

    inet, inet6, packet = posix_interfaces.socket.AF_INET, posix_interfaces.socket.AF_INET6, 17
    addresses = {
        "lo": [Address(inet, "127.0.0.1"), Address(inet6, "::1")],
        "eth0": [
            Address(inet, "192.0.2.1"),
            Address(inet6, "2001:db8::1%eth0"),
            Address(inet6, "fe80::1%eth0"),
            Address(packet, "02:00:00:00:00:01"),
        ],
        "down": [Address(inet, "192.0.2.2")],
    }
    states = {"lo": State(True, 0), "eth0": State(True, 10000), "down": State(False, 0), "bare": State(True, 0)}
    monkeypatch.setattr(posix_interfaces.psutil, "net_if_addrs", lambda: addresses)
    monkeypatch.setattr(posix_interfaces.psutil, "net_if_stats", lambda: states)
    monkeypatch.setattr(posix_interfaces.socket, "if_nametoindex", {"lo": 1, "eth0": 2}.__getitem__)
    assert [(each.index, each.address, each.speed) for each in find_interfaces()] == [
        (2, "192.0.2.1", 10_000_000_000),
        (2, "2001:db8::1", 10_000_000_000),
    ]


@pytest.mark.parametrize(
    ("queues", "several"), [(["rx-0", "tx-0"], False), (["rx-0", "rx-1", "tx-0"], True), ([], False), (None, False)]
)
def test_interfaces_with_several_receive_queues(monkeypatch, tmp_path: Path, queues, several: bool):
    monkeypatch.setattr(interfaces, "INTERFACES", str(tmp_path))
    for queue in queues or []:
        (tmp_path / "eth0/queues" / queue).mkdir(parents=True)
    assert interfaces.spreads_receiving("eth0") is several


def test_what_was_sent_and_not_acknowledged():
    """Between two sockets of one machine it is what the peer has not read."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert calls.unacknowledged(ours) == 0
        ours.send(bytes(1000))
        assert calls.unacknowledged(ours) >= 1000
        theirs.recv(2000)
        assert calls.unacknowledged(ours) == 0


def test_interfaces_of_this_machine(platform: Platform):
    assert all(each.index > 0 and "%" not in each.address for each in platform.sockets.interfaces())


def test_the_entry_point_if_installed():
    for found in entry_points(group="smbport.platforms", name="linux"):
        assert found.load() is PORT
