"""smbport.posix.marks."""

import time

from smbport.platform import FileKey, Kind, Stat
from smbport.posix.dosattrib import NO_MARKS, Marks
from smbport.posix.marks import CACHED_MARKS, SETTLED_NS, MarkCache, add_marks


def state(inode: int, change_ns: int) -> Stat:
    return Stat(FileKey(1, inode), Kind.FILE, 0, 0, 1, 0o600, 0, 0, 0, 0, change_ns, 0, None)


def test_the_cache_keeps_what_has_settled(monkeypatch):
    now_ns = 10**18
    monkeypatch.setattr(time, "time_ns", lambda: now_ns)
    cache, marks = MarkCache(), Marks(2, None)
    cache.keep(state(1, now_ns - SETTLED_NS), marks)
    assert cache.find(state(1, now_ns - SETTLED_NS)) is None
    cache.keep(state(1, now_ns - SETTLED_NS - 1), marks)
    assert cache.find(state(1, now_ns - SETTLED_NS - 1)) == marks
    assert cache.find(state(1, now_ns - SETTLED_NS)) is None  # changed since
    assert cache.find(state(2, now_ns - SETTLED_NS - 1)) is None


def test_the_cache_is_bounded():
    cache = MarkCache()
    for inode in range(CACHED_MARKS):
        cache.keep(state(inode, 0), NO_MARKS)
    assert cache.find(state(0, 0)) is not None
    cache.keep(state(CACHED_MARKS, 0), NO_MARKS)
    assert cache.find(state(0, 0)) is None
    assert cache.find(state(CACHED_MARKS, 0)) is not None


def test_marks_that_are_not_stored_leave_the_state_as_it_is():
    stat = state(1, 5)
    add_marks(stat, Marks(0x22, None))
    assert (stat.dos_attributes, stat.birth_ns) == (0x22, state(1, 5).birth_ns)
    add_marks(stat, Marks(None, 77))
    assert (stat.dos_attributes, stat.birth_ns) == (None, 77)
