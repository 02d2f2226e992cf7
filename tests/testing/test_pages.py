"""Sparse file data: what is read, and what it costs."""

import errno

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smbport.testing.pages import BLOCK, PAGE, Pages, Room


def make(total=1 << 30):
    room = Room(total)
    return room, Pages(room)


def test_reads_across_pages():
    _, pages = make()
    assert pages.write(PAGE - 2, b"abcdef") == 6
    assert pages.read(PAGE - 4, 100) == b"\0\0abcdef"
    assert pages.read(PAGE + 1, 2) == b"de"
    assert pages.read(PAGE + 4, 1) == b""
    assert pages.read(2**62, 1) == b""


def test_huge_files_take_nothing():
    room, pages = make()
    pages.resize(2**40)
    assert pages.read(2**39, 10) == bytes(10)
    assert pages.write(2**40, b"xy") == 2
    assert pages.size == 2**40 + 2
    assert pages.taken == room.taken == BLOCK
    assert pages.ranges(0, 2**62) == [(2**40, 2)]


def test_growing_again_shows_nothing_old():
    _, pages = make()
    pages.write(0, b"secret" * 20000)
    pages.resize(3)
    pages.resize(PAGE * 2)
    assert pages.read(0, PAGE * 2) == b"sec".ljust(PAGE * 2, b"\0")
    assert pages.taken == BLOCK


def test_a_full_room_shortens_writes():
    room, pages = make(3 * BLOCK + 100)
    assert room.total == 3 * BLOCK
    assert pages.write(0, bytes(2 * BLOCK)) == 2 * BLOCK
    assert pages.write(2 * BLOCK - 10, b"x" * 2 * BLOCK) == BLOCK + 10
    assert pages.size == 3 * BLOCK
    assert pages.write(3 * BLOCK, b"x") == 0
    assert pages.write(100 * BLOCK, b"x") == 0
    assert pages.write(0, b"again") == 5
    assert pages.size == 3 * BLOCK
    assert room.free == 0


def test_a_write_that_does_not_fit_costs_nothing():
    room, pages = make(2 * BLOCK)
    assert pages.write(3 * BLOCK, b"x") == 0
    assert (pages.size, pages.taken, room.taken) == (0, 0, 0)


def test_reservations_are_kept_for_their_file():
    room, pages = make(4 * BLOCK)
    other = Pages(room)
    pages.reserve(3 * BLOCK - 5)
    assert (pages.size, pages.taken, room.free) == (0, 3 * BLOCK, BLOCK)
    assert other.write(0, bytes(2 * BLOCK)) == BLOCK
    assert pages.write(0, bytes(4 * BLOCK)) == 3 * BLOCK
    assert pages.taken == 3 * BLOCK
    with pytest.raises(OSError, match="space") as caught:
        pages.reserve(5 * BLOCK)
    assert caught.value.errno == errno.ENOSPC
    pages.reserve(BLOCK)  # never less than before
    assert pages.taken == 3 * BLOCK


def test_reservations_end_with_a_cut_not_with_growth():
    room, pages = make()
    pages.reserve(10 * BLOCK)
    pages.resize(100)
    assert pages.taken == 10 * BLOCK
    pages.resize(100)
    assert pages.taken == BLOCK
    pages.release()
    assert room.taken == 0


def test_punching():
    room, pages = make()
    pages.write(0, b"x" * 4 * PAGE)
    pages.punch(PAGE, 2 * PAGE)
    assert pages.ranges(0, 4 * PAGE) == [(0, PAGE), (3 * PAGE, PAGE)]
    assert room.taken == 2 * PAGE
    pages.punch(100, 10)
    assert pages.read(99, 12) == b"x" + bytes(10) + b"x"
    pages.punch(3 * PAGE + 5, 2**62)
    assert pages.size == 4 * PAGE
    assert pages.taken == PAGE + BLOCK
    pages.punch(0, 0)
    assert pages.taken == PAGE + BLOCK


def test_zeroing_keeps_the_room():
    room, pages = make()
    pages.write(0, b"x" * 2 * PAGE)
    pages.zero(PAGE - 10, 20)
    pages.zero(2 * PAGE - 5, 2**62)
    pages.zero(5, 0)
    assert pages.read(PAGE - 11, 22) == b"x" + bytes(20) + b"x"
    assert pages.read(2 * PAGE - 6, 99) == b"x" + bytes(5)
    assert (pages.size, room.taken) == (2 * PAGE, 2 * PAGE)


def test_ranges_are_cut_to_what_was_asked():
    _, pages = make()
    pages.write(0, b"x" * (2 * PAGE + 10))
    assert pages.ranges(5, PAGE) == [(5, PAGE)]
    assert pages.ranges(2 * PAGE, 2**60) == [(2 * PAGE, 10)]
    assert pages.ranges(3 * PAGE, 10) == []


OFFSETS = st.integers(0, 3 * PAGE)
STEPS = st.one_of(
    st.tuples(st.just("write"), OFFSETS, st.binary(min_size=1, max_size=9).map(lambda seed: seed * 2500)),
    st.tuples(st.just("resize"), OFFSETS, st.just(b"")),
    st.tuples(st.just("punch"), OFFSETS, st.integers(1, 2 * PAGE).map(bytes)),
    st.tuples(st.just("reserve"), OFFSETS, st.just(b"")),
)


@given(steps=st.lists(STEPS, max_size=12))
@settings(max_examples=60, deadline=None)
def test_same_as_a_bytearray(steps):
    room, pages = make()
    model = bytearray()
    for step, offset, data in steps:
        if step == "write":
            assert pages.write(offset, data) == len(data)
            model.extend(bytes(max(0, offset - len(model))))
            model[offset : offset + len(data)] = data
        elif step == "resize":
            pages.resize(offset)
            model = bytearray(model[:offset].ljust(offset, b"\0"))
        elif step == "punch":
            pages.punch(offset, len(data))
            hole = min(len(data), max(0, len(model) - offset))
            model[offset : offset + hole] = bytes(hole)
        else:
            pages.reserve(offset)
        assert pages.read(0, 8 * PAGE) == model
        assert pages.taken == room.taken >= sum(length for _, length in pages.ranges(0, 8 * PAGE))
        seen = bytearray(len(model))
        for start, length in pages.ranges(0, 8 * PAGE):
            seen[start : start + length] = model[start : start + length]
        assert seen == model  # outside of the ranges there are zeroes only
    pages.release()
    assert room.taken == 0
