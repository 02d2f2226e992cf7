"""smbport.posix.marks."""

import time
from dataclasses import replace

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


def test_no_file_is_taken_for_another_and_no_time_either():
    cache, places = MarkCache(), [(1, 1), (1, 2), (2, 1), (0, 2**64 - 1), (1, 0)]
    for times in ([-(2**63), -1, 0, 1], [5]):
        states = [replace(state(0, change_ns), key=FileKey(*place)) for place in places for change_ns in times]
        for number, stat in enumerate(states):
            cache.keep(stat, Marks(number, None))
        assert [cache.find(stat) for stat in states] == [Marks(number, None) for number in range(len(states))]


def test_marks_of_many_are_added_where_they_are_known():
    cache = MarkCache()
    cache.keep(state(1, 0), Marks(2, 77))
    cache.keep(state(2, 0), NO_MARKS)
    cache.keep(replace(state(3, 0), kind=Kind.SYMLINK), Marks(2, None))
    found = [state(1, 0), state(2, 0), replace(state(3, 0), kind=Kind.SYMLINK), None, state(1, 5), state(4, 0)]
    unknown = cache.add_known([b"a", b"b", b"c", b"d", b"e", b"f"], found)
    assert unknown == [(b"e", state(1, 5)), (b"f", state(4, 0))]
    assert [stat and (stat.dos_attributes, stat.birth_ns) for stat in found[:4]] == [
        (2, 77),
        (None, 0),
        (None, 0),
        None,
    ]


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
