"""smbport.platform.snapshots: layouts as administrators write them."""

import re
import time

import pytest

from smbport.platform import SnapshotLayout

NEW_YEAR = 1_767_225_600 * 10**9  # 2026-01-01 00:00:00 UTC


@pytest.mark.parametrize(
    ("text", "times", "directory", "below"),
    [
        (".snapshots/*/snapshot", "snapper", ".snapshots", "snapshot"),
        (".zfs/snapshot/%Y-%m-%d", "utc", ".zfs/snapshot", ""),
        ("/tank/.zfs/snapshot/%s/home/alice", "utc", "/tank/.zfs/snapshot", "home/alice"),
        ("/backup/*/", "modified", "/backup", ""),
        ("%Y%m%d", "local", "", ""),
        ("/*", "modified", "/", ""),
    ],
)
def test_parts_of_a_layout(text, times, directory, below):
    layout = SnapshotLayout.parse(text, times)
    assert (layout.directory, layout.below, layout.times) == (directory, below, times)


@pytest.mark.parametrize(
    ("pattern", "name", "seconds"),
    [
        ("%Y-%m-%d", "2026-01-01", 0),
        ("@GMT-%Y.%m.%d-%H.%M.%S", "@GMT-2026.01.01-10.20.30", 37230),
        ("autosnap_%Y-%m-%d_%H:%M:%S_*", "autosnap_2026-01-01_00:01:00_daily", 60),
        ("zfs-auto-snap_*-%Y-%m-%d-%H%M", "zfs-auto-snap_hourly-2026-01-01-0102", 3720),
        ("%Y-%m-%d_%H.%M.%S--*", "2026-01-01_00.00.01--1w", 1),
        ("home.%Y%m%dT%H%M", "home.20260101T0001", 60),
        ("at %s", "at 1767225605", 5),
        ("100%%-%Y%m%d", "100%-20260101", 0),
    ],
)
def test_times_in_names(pattern, name, seconds):
    layout = SnapshotLayout.parse(pattern, "utc")
    assert layout.time_in(name) == NEW_YEAR + seconds * 10**9
    assert layout.time_in("x" + name) is None
    assert layout.time_in(name.replace("1", "x")) is None


@pytest.mark.parametrize("name", ["2026-02-30", "2026-13-01", "0000-01-01", "26-01-01", "2026-01-01\n"])
def test_names_that_are_no_dates(name):
    assert SnapshotLayout.parse("%Y-%m-%d", "utc").time_in(name) is None


def test_a_time_that_no_calendar_has():
    assert SnapshotLayout.parse("%s", "utc").time_in("99999999999") == 99999999999 * 10**9


def test_local_times(monkeypatch):
    monkeypatch.setenv("TZ", "XYZ-2")
    time.tzset()
    try:
        assert SnapshotLayout.parse("%Y%m%d-%H", "local").time_in("20260101-02") == NEW_YEAR
    finally:
        monkeypatch.undo()
        time.tzset()


def test_other_ways_look_at_no_name():
    layout = SnapshotLayout.parse("daily.*", "modified")
    assert layout.pattern.fullmatch("daily.0")
    assert layout.pattern.fullmatch("weekly.0") is None
    assert layout.time_in("daily.0") is None


@pytest.mark.parametrize(
    ("text", "times", "problem"),
    [
        (".snapshots", "utc", "exactly one part"),
        ("", "utc", "exactly one part"),
        ("*/%Y%m%d", "utc", "exactly one part"),
        ("a/../%Y%m%d", "utc", "without empty parts"),
        ("a//%Y%m%d", "utc", "without empty parts"),
        ("./%Y%m%d", "utc", "without empty parts"),
        ("a\0/%Y%m%d", "utc", "without empty parts"),
        ("%Y-%m", "utc", "%Y, %m and %d, or %s"),
        ("*", "local", "%Y, %m and %d, or %s"),
        ("%Y%m%d", "snapper", "must have * and no %"),
        ("%Y%m%d", "modified", "must have * and no %"),
        ("%Y%m%d%Y", "utc", "%Y once only"),
        ("%Y%b%d", "utc", "no %b"),
        ("%Y%m%d%", "utc", "no %"),
    ],
)
def test_layouts_that_cannot_be(text, times, problem):
    with pytest.raises(ValueError, match=re.escape(problem)):
        SnapshotLayout.parse(text, times)
