"""T2: which powers the port has, on each release."""

import errno
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from smbport import registry
from smbport.platform import ACCESS_READ, POWERS, SnapshotLayout
from smbport.posix.inotify import InotifyWatcher
from smbport_freebsd import PORT, calls
from smbport_freebsd.calls import (
    Calls,
)
from smbport_freebsd.platform import FreeBSDPlatform, probe
from smbport_freebsd.vnodes import VnodeWatcher
from smbport_freebsd.volume import FreeBSDVolume
from tests.platforms.freebsd.volumes import BOTH, failure_of


def test_the_port_is_for_freebsd(monkeypatch):
    assert PORT.name == "freebsd"
    for name, matches in (("freebsd13", True), ("freebsd", True), ("linux", False), ("netbsd10", False)):
        monkeypatch.setattr(sys, "platform", name)
        assert PORT.matches() is matches


@pytest.mark.skipif(sys.platform.startswith("freebsd"), reason="this is FreeBSD")
def test_elsewhere_it_says_what_to_do():
    with pytest.raises(RuntimeError, match="--platform posix"):
        PORT.probe()


def test_on_freebsd_it_is_probed(newest: FreeBSDPlatform, library, monkeypatch):
    monkeypatch.setattr(sys, "platform", "freebsd15")
    monkeypatch.setattr(calls, "load_libc", lambda: library(15))
    assert isinstance(PORT.probe(), FreeBSDPlatform)
    monkeypatch.setitem(calls.PROTOTYPES, "function_of_the_future", calls.PROTOTYPES["openat"])
    with pytest.raises(RuntimeError, match=r"older than.*function_of_the_future"):
        PORT.probe()


def test_every_power_is_there_or_its_absence_explained(platform: FreeBSDPlatform):
    for power in POWERS:
        assert (getattr(platform, power) is None) is (power in platform.absent), power
    assert all(reason.endswith(".") for reason in platform.absent.values())
    assert len(registry.describe(platform)) == len(POWERS)


def test_what_the_releases_have(platform: FreeBSDPlatform, request: pytest.FixtureRequest):
    release = request.node.callspec.params["platform"]
    assert (platform.sparse is not None) is (release >= 14)
    with closing(platform.watch.start()) as watcher:
        assert isinstance(watcher, InotifyWatcher if release >= 15 else VnodeWatcher)


def test_a_freebsd_without_path_descriptors_is_refused(newest: FreeBSDPlatform, monkeypatch):
    def refused(self: Calls, directory: int, path: bytes, flags: int, mode: int = 0) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(type(newest.calls), "open_at", refused)
    with pytest.raises(RuntimeError, match=r"older than 13\.1"):
        probe(newest.calls)


@pytest.mark.parametrize(("file_system", "local"), [(b"nfs", False), (b"nullfs", True), (b"zfs", False)])
def test_where_others_change_things_nothing_is_watched(
    newest: FreeBSDPlatform, volume: FreeBSDVolume, file_system: bytes, local: bool
):
    with (
        newest.calls.on(file_system, local=local),
        closing(volume.open("", ACCESS_READ, wait=True)) as root,
        closing(newest.watch.start()) as watcher,
    ):
        assert failure_of(lambda: watcher.add(root)) == errno.ENOTSUP


def test_a_system_that_allows_no_inotify_says_so(newest: FreeBSDPlatform, monkeypatch):
    def full(self: Calls) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Calls, "inotify_init", full)
    platform = probe(newest.calls)
    assert platform.watch is None
    assert "Too many open files" in platform.absent["watch"]


def test_a_snapshot_of_zfs_is_a_volume_of_its_own(newest: FreeBSDPlatform, share: Path):
    then = share / ".zfs/snapshot/daily-2026-01-01"
    then.mkdir(parents=True)
    (then / "file").write_text("then")
    layout = SnapshotLayout.parse(".zfs/snapshot/daily-%Y-%m-%d", "utc")
    assert newest.snapshots is not None
    (taken,) = newest.snapshots.times(str(share), layout, wait=True)
    with closing(newest.snapshots.open(str(share), layout, taken, wait=True)) as volume:
        assert volume.features.read_only
        assert volume.stat("file", wait=True).size == 4
        assert failure_of(partial(volume.create, "new", BOTH, 0o644, wait=True)) == errno.EROFS
