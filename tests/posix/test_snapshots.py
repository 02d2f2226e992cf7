"""Snapshots that are directories: which are found, and that nothing leads out of where they are."""

import errno
import os
from contextlib import closing

import pytest

from smbport.platform import ACCESS_READ, SnapshotLayout
from smbport.posix.frozen import FrozenVolume
from smbport.posix.port import PosixPlatform
from smbport.posix.snapshots import PosixSnapshots

NEW_YEAR = 1_767_225_600 * 10**9  # 2026-01-01 00:00:00 UTC
DAY = 86400 * 10**9
INFO = """<?xml version="1.0"?>
<snapshot>
  <type>single</type>
  <num>{number}</num>
  <date>{date}</date>
</snapshot>
"""


@pytest.fixture
def snapshots():
    return PosixSnapshots(PosixPlatform().new_volume)


@pytest.fixture
def share(tmp_path):
    path = tmp_path / "share"
    path.mkdir()
    return path


def make(directory, content="old"):
    directory.mkdir(parents=True)
    (directory / "file").write_text(content)


def read(snapshots, share, layout, time_ns, name="file"):
    with closing(snapshots.open(str(share), layout, time_ns, wait=True)) as volume:
        file = volume.open(name, ACCESS_READ, wait=True)
        try:
            return file.read_at(0, 100, wait=True).decode()
        finally:
            file.close()


def test_zfs(snapshots, share):
    make(share / ".zfs/snapshot/autosnap_2026-01-01_00:00:00_daily", "first")
    make(share / ".zfs/snapshot/autosnap_2026-01-02_00:00:00_daily", "second")
    make(share / ".zfs/snapshot/something else")
    (share / ".zfs/snapshot/autosnap_2026-01-03_00:00:00_file").touch()
    (share / ".zfs/snapshot/autosnap_2026-01-04_00:00:00_link").symlink_to("something else")
    layout = SnapshotLayout.parse(".zfs/snapshot/autosnap_%Y-%m-%d_%H:%M:%S_*", "utc")
    assert snapshots.times(str(share), layout, wait=True) == [NEW_YEAR + DAY, NEW_YEAR]
    assert read(snapshots, share, layout, NEW_YEAR) == "first"
    assert read(snapshots, share, layout, NEW_YEAR + DAY) == "second"
    with pytest.raises(FileNotFoundError):
        snapshots.open(str(share), layout, NEW_YEAR + 3 * DAY, wait=True)


def test_snapper(snapshots, share):
    for number, date in (("1", "2026-01-01 00:00:00"), ("2", "2026-01-02 00:00:00"), ("3", "2026-02-30 00:00:00")):
        make(share / ".snapshots" / number / "snapshot", number)
        (share / ".snapshots" / number / "info.xml").write_text(INFO.format(number=number, date=date))
    make(share / ".snapshots/4/snapshot")  # without info.xml
    make(share / ".snapshots/5/snapshot")
    (share / ".snapshots/5/info.xml").write_text("<snapshot/>")
    layout = SnapshotLayout.parse(".snapshots/*/snapshot", "snapper")
    assert snapshots.times(str(share), layout, wait=True) == [NEW_YEAR + DAY, NEW_YEAR]
    assert read(snapshots, share, layout, NEW_YEAR + DAY) == "2"


def test_copies_by_when_they_were_made(snapshots, share, tmp_path):
    for number in (0, 1):
        make(tmp_path / f"backup/daily.{number}/srv", str(number))
        os.utime(tmp_path / f"backup/daily.{number}", ns=(0, NEW_YEAR - number * DAY + 123))
    layout = SnapshotLayout.parse(f"{tmp_path}/backup/daily.*/srv", "modified")
    assert snapshots.times(str(share), layout, wait=True) == [NEW_YEAR, NEW_YEAR - DAY]
    assert read(snapshots, share, layout, NEW_YEAR - DAY) == "1"


def test_of_two_of_one_second_the_last_by_name_counts(snapshots, share):
    make(share / "20260101-a", "a")
    make(share / "20260101-b", "b")
    layout = SnapshotLayout.parse("%Y%m%d-*", "utc")
    assert snapshots.times(str(share), layout, wait=True) == [NEW_YEAR]
    assert read(snapshots, share, layout, NEW_YEAR) == "b"


def test_nothing_is_there(snapshots, share):
    layout = SnapshotLayout.parse("none/%Y%m%d", "utc")
    assert snapshots.times(str(share), layout, wait=True) == []
    with pytest.raises(FileNotFoundError):
        snapshots.open(str(share), layout, NEW_YEAR, wait=True)
    (share / "none").touch()
    assert snapshots.times(str(share), layout, wait=True) == []


def test_nothing_is_done_on_the_event_loop(snapshots, share):
    layout = SnapshotLayout.parse("%Y%m%d", "utc")
    with pytest.raises(BlockingIOError):
        snapshots.times(str(share), layout)
    with pytest.raises(BlockingIOError):
        snapshots.open(str(share), layout, NEW_YEAR)


def test_no_link_leads_out_of_the_configured_directory(snapshots, share, tmp_path):
    make(tmp_path / "elsewhere/20260101")
    (share / "kept").mkdir()
    (share / "kept/20260102").mkdir()
    (share / "kept/20260102/inside").symlink_to(tmp_path / "elsewhere")
    (share / "away").symlink_to(tmp_path / "elsewhere")
    below = SnapshotLayout.parse("kept/%Y%m%d/inside", "utc")
    with pytest.raises(OSError, match=os.strerror(errno.EXDEV)):
        snapshots.open(str(share), below, NEW_YEAR + DAY, wait=True)
    with pytest.raises(OSError, match=os.strerror(errno.EXDEV)):
        snapshots.times(str(share), SnapshotLayout.parse("away/%Y%m%d", "utc"), wait=True)


def test_absolute_links_of_the_share_stay_in_the_snapshot(snapshots, share):
    make(share / "20260101", "then")
    (share / "file").write_text("now")
    (share / "20260101/link").symlink_to(share / "file")
    layout = SnapshotLayout.parse("%Y%m%d", "utc")
    assert read(snapshots, share, layout, NEW_YEAR, "link") == "then"


def test_descriptors_are_given_back(snapshots, share):
    make(share / "20260101")
    (share / "20260102").mkdir()
    layout = SnapshotLayout.parse("%Y%m%d", "utc")
    before = os.listdir("/proc/self/fd")
    snapshots.times(str(share), layout, wait=True)
    assert read(snapshots, share, layout, NEW_YEAR) == "old"
    for time_ns in (0, NEW_YEAR):
        with pytest.raises(FileNotFoundError):
            snapshots.open(str(share), SnapshotLayout.parse("%Y%m%d/none", "utc"), time_ns, wait=True)
    assert os.listdir("/proc/self/fd") == before


def test_a_volume_that_cannot_be_made_is_given_back(share):
    def refuse(root):
        raise OSError(errno.EIO, "no")

    make(share / "20260101")
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match="no"):
        PosixSnapshots(refuse).open(str(share), SnapshotLayout.parse("%Y%m%d", "utc"), NEW_YEAR, wait=True)
    assert os.listdir("/proc/self/fd") == before


def test_a_snapshot_is_frozen_for_other_accounts_as_well():
    class Inner:
        features = PosixPlatform().open_volume("/").features

        def acting_as(self, account):
            self.account = account
            return self

    inner = Inner()
    view = FrozenVolume(inner).acting_as("alice")
    assert (inner.account, view.features.read_only, type(view)) == ("alice", True, FrozenVolume)
