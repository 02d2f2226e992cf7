"""Sparse files: what is a hole, what is told of holes, what is zeroed."""

import errno
from collections.abc import Callable
from typing import Any

import pytest

from smbport.wire.change import CompletionFilter
from smbport.wire.constants import Access, Command, FileAttribute, FileInfo, FsControl
from smbport.wire.fscc import FileBasicInformation
from smbport.wire.fsctl import (
    FileAllocatedRange,
    FileRegionInfo,
    FileRegionInput,
    FileRegionOutput,
    FileZeroDataInformation,
    pack_file_level_trim,
    parse_allocated_ranges,
)
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request
from smbport.wire.status import Status

SPARSE = FileAttribute.SPARSE_FILE
PAGE = 65536  # the unit in which files in memory keep data
DATA = b"x" * 4 * PAGE
SET, ZERO, RANGES = FsControl.SET_SPARSE, FsControl.SET_ZERO_DATA, FsControl.QUERY_ALLOCATED_RANGES
TRIM, REGIONS = FsControl.FILE_LEVEL_TRIM, FsControl.QUERY_FILE_REGIONS
EXCLUSIVE_NOW = 0x12


@pytest.fixture
def file(wire: Any, peer: Any) -> Any:
    wire.make("f", DATA)
    return peer.open("f")


@pytest.fixture
def sparse(peer: Any, file: Any) -> Any:
    assert peer.fsctl(SET, file=file) == ("SUCCESS", b"")
    return file


def is_sparse(peer: Any, file: Any) -> bool:
    basic = FileBasicInformation.unpack_from(peer.query_info(file, FileInfo.BASIC))
    return bool(basic.file_attributes & SPARSE)


def zero(peer: Any, file: Any, start: int, end: int) -> str:
    status: str = peer.fsctl(ZERO, FileZeroDataInformation(file_offset=start, beyond_final_zero=end).pack(), file=file)[
        0
    ]
    return status


def ranges(
    peer: Any, file: Any, offset: int = 0, length: int = 1 << 40, room: int = 1024
) -> tuple[str, list[tuple[int, int]]]:
    asked = FileAllocatedRange(file_offset=offset, length=length).pack()
    status, output = peer.fsctl(RANGES, asked, file=file, room=room)
    return status, [tuple(found) for found in parse_allocated_ranges(output)]


def lock(peer: Any, file: Any, offset: int, length: int) -> None:
    element = LockElement(offset=offset, length=length, flags=EXCLUSIVE_NOW)
    request = LockRequest(lock_sequence=0, file_id_persistent=file.persistent, file_id_volatile=file.volatile)
    assert peer.status(Command.LOCK, pack_lock_request(request, [element])) == Status.SUCCESS


# Being sparse -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "expected"), [(b"", True), (b"\1", True), (b"\xff" + bytes(99), True), (b"\0", False), (bytes(99), False)]
)
def test_set(wire: Any, peer: Any, file: Any, data: bytes, expected: bool) -> None:
    for before in (b"\0", b"\1"):
        assert peer.fsctl(SET, before, file=file) == ("SUCCESS", b"")
        assert peer.fsctl(SET, data, file=file) == ("SUCCESS", b"")
        assert is_sparse(peer, file) is expected


def test_other_attributes_stay(wire: Any, peer: Any) -> None:
    """Those that only the name tells, too."""
    wire.make(".hidden")
    wire.make("marked", dos_attributes=FileAttribute.SYSTEM)
    for name, attributes in ((".hidden", FileAttribute.HIDDEN), ("marked", FileAttribute.SYSTEM)):
        peer.fsctl(SET, file=peer.open(name))
        assert wire.stat(name).dos_attributes == SPARSE | attributes


def test_setting_attributes_leaves_it(wire: Any, peer: Any, sparse: Any) -> None:
    """And no client sets it that way."""
    wire.make("g")
    for file, before in ((sparse, True), (peer.open("g"), False)):
        basic = FileBasicInformation(
            creation_time=0, last_access_time=0, last_write_time=0, change_time=0,
            file_attributes=FileAttribute.HIDDEN | (0 if before else SPARSE),
        )  # fmt: skip
        peer.set_info(file, FileInfo.BASIC, basic.pack())
        assert is_sparse(peer, file) is before


def test_setting_it_again_is_no_change(wire: Any, peer: Any, sparse: Any) -> None:
    before = wire.stat("f").change_ns
    assert peer.fsctl(SET, file=sparse) == ("SUCCESS", b"")
    assert wire.stat("f").change_ns == before


def test_directories_cannot(wire: Any, peer: Any) -> None:
    wire.make_directory("d")
    assert peer.fsctl(SET, file=peer.open("d"))[0] == "INVALID_PARAMETER"


@pytest.mark.parametrize("access", [Access.WRITE_DATA, Access.APPEND_DATA, Access.WRITE_ATTRIBUTES, Access.READ_DATA])
def test_rights_to_set(wire: Any, peer: Any, access: int) -> None:
    wire.make("f")
    expected = "ACCESS_DENIED" if access == Access.READ_DATA else "SUCCESS"
    assert peer.fsctl(SET, file=peer.open("f", access))[0] == expected


# Volumes without ----------------------------------------------------------------------------------------------------


@pytest.fixture
def without(new_wire: Callable[..., Any]) -> Any:
    """A client of a platform that knows no holes."""
    wire = new_wire()
    wire.memory.sparse = None
    wire.make("f", DATA)
    peer = wire.connect()
    peer.wire = wire
    return peer


def test_no_holes(without: Any) -> None:
    """Zeroes are written then."""
    file = without.open("f")
    assert without.fsctl(SET, file=file)[0] == "INVALID_DEVICE_REQUEST"
    assert zero(without, file, 10, 2 * PAGE) == "SUCCESS"
    assert without.wire.content("f") == DATA[:10] + bytes(2 * PAGE - 10) + DATA[2 * PAGE :]
    assert ranges(without, file) == ("SUCCESS", [(0, len(DATA))])
    assert without.fsctl(TRIM, pack_file_level_trim([(0, 10)]), file=file)[0] == "SUCCESS"


def test_many_zeroes_in_pieces(without: Any) -> None:
    wire = without.wire
    file = without.open("f")
    without.set_info(file, FileInfo.END_OF_FILE, (9 << 20).to_bytes(8, "little"))
    frames = without.send(
        Command.IOCTL,
        without.fsctl_body(ZERO, FileZeroDataInformation(file_offset=1, beyond_final_zero=1 << 40).pack(), file=file),
    )
    assert [header.status for header, _ in frames] == [Status.PENDING]
    [opened] = next(iter(wire.server.sessions.values())).opens.values()
    wire.server.close_open(opened)
    without.connection.resume()
    assert not without.connection.waiting, "what is closed is not zeroed any further"
    assert wire.stat("f").size == 9 << 20


# Zeroing ------------------------------------------------------------------------------------------------------------


def test_zeroes_are_a_hole_in_a_sparse_file(wire: Any, peer: Any, sparse: Any) -> None:
    before = wire.stat("f").allocated
    assert zero(peer, sparse, PAGE, 3 * PAGE) == "SUCCESS"
    assert wire.content("f") == DATA[:PAGE] + bytes(2 * PAGE) + DATA[3 * PAGE :]
    assert wire.stat("f").allocated == before - 2 * PAGE
    assert ranges(peer, sparse) == ("SUCCESS", [(0, PAGE), (3 * PAGE, PAGE)])


def test_others_keep_their_room(wire: Any, peer: Any, file: Any) -> None:
    before = wire.stat("f").allocated
    assert zero(peer, file, PAGE, 3 * PAGE) == "SUCCESS"
    assert wire.content("f") == DATA[:PAGE] + bytes(2 * PAGE) + DATA[3 * PAGE :]
    assert wire.stat("f").allocated == before
    assert ranges(peer, file) == ("SUCCESS", [(0, len(DATA))])


def test_a_file_system_that_must_write_them(wire: Any, peer: Any, file: Any) -> None:
    wire.faults.fail("Sparse.zero", errno.EOPNOTSUPP)
    assert zero(peer, file, 5, 10) == "SUCCESS"
    assert wire.content("f") == DATA[:5] + bytes(5) + DATA[10:]
    wire.faults.fail("Sparse.zero", errno.EIO)
    assert zero(peer, file, 50, 100) == "UNEXPECTED_IO_ERROR"


@pytest.mark.parametrize(("start", "end"), [(len(DATA) - 5, 1 << 40), (len(DATA), 1 << 40), (7, 7), (0, 0)])
def test_the_file_does_not_grow(wire: Any, peer: Any, sparse: Any, start: int, end: int) -> None:
    assert zero(peer, sparse, start, end) == "SUCCESS"
    expected = DATA[:-5] + bytes(5) if start == len(DATA) - 5 else DATA
    assert wire.content("f") == expected


@pytest.mark.parametrize(("start", "end"), [(-1, 5), (5, 4), (-5, -1), (0, -1)])
def test_ranges_that_are_none(wire: Any, peer: Any, sparse: Any, start: int, end: int) -> None:
    assert zero(peer, sparse, start, end) == "INVALID_PARAMETER"
    assert wire.content("f") == DATA


def test_zeroing_needs(wire: Any, peer: Any, file: Any) -> None:
    assert peer.fsctl(ZERO, bytes(15), file=file)[0] == "INVALID_PARAMETER"
    assert zero(peer, peer.open("f", Access.READ_DATA | Access.WRITE_ATTRIBUTES), 0, 5) == "ACCESS_DENIED"
    lock(peer, peer.open("f"), 100, 10)
    assert zero(peer, file, 105, 106) == "FILE_LOCK_CONFLICT"
    assert zero(peer, file, 110, 111) == "SUCCESS"


def test_who_has_read_it_hears_of_it(wire: Any, peer: Any, file: Any) -> None:
    reader = wire.connect(dialect=0x0210)
    assert reader.try_create("f", Access.GENERIC_READ, requested_oplock_level=1)[0] == "SUCCESS"
    assert zero(peer, file, 0, 5) == "SUCCESS"
    assert len(reader.connection.resume()) == 1


class Listener:
    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []

    def changed(self, action: int, name: str, what: int, by: object) -> None:
        self.heard.append((name, what))


def test_who_watches_hears_of_it(wire: Any, peer: Any, file: Any) -> None:
    listener = Listener()
    wire.server.find_share("s").changes.add("", listener, tree=False)
    peer.fsctl(SET, file=file)
    zero(peer, file, 0, 5)
    assert listener.heard == [
        ("f", CompletionFilter.ATTRIBUTES),
        ("f", CompletionFilter.LAST_WRITE | CompletionFilter.SIZE),
    ]


# Allocated ranges ---------------------------------------------------------------------------------------------------


def test_only_what_is_asked_for(peer: Any, sparse: Any) -> None:
    zero(peer, sparse, PAGE, 2 * PAGE)
    assert ranges(peer, sparse, 10, PAGE) == ("SUCCESS", [(10, PAGE - 10)])
    assert ranges(peer, sparse, PAGE, PAGE) == ("SUCCESS", [])
    assert ranges(peer, sparse, 3 * PAGE + 5, 10) == ("SUCCESS", [(3 * PAGE + 5, 10)])
    for offset, length in ((0, 0), (len(DATA), 10), (1 << 62, 1)):
        assert ranges(peer, sparse, offset, length, room=0) == ("SUCCESS", [])


def test_more_ranges_than_there_is_room_for(peer: Any, sparse: Any) -> None:
    zero(peer, sparse, PAGE, 2 * PAGE)
    assert ranges(peer, sparse, room=31) == ("BUFFER_OVERFLOW", [(0, PAGE)])
    assert ranges(peer, sparse, room=32) == ("SUCCESS", [(0, PAGE), (2 * PAGE, 2 * PAGE)])
    assert ranges(peer, sparse, room=15) == ("BUFFER_TOO_SMALL", [])


@pytest.mark.parametrize(("offset", "length"), [(-1, 5), (0, -1), (1, (1 << 63) - 1)])
def test_ranges_that_cannot_be(peer: Any, sparse: Any, offset: int, length: int) -> None:
    assert ranges(peer, sparse, offset, length) == ("INVALID_PARAMETER", [])
    assert peer.fsctl(REGIONS, FileRegionInput(file_offset=offset, length=length).pack(), file=sparse)[0] == (
        "INVALID_PARAMETER"
    )


def test_reading_ranges_needs(wire: Any, peer: Any, file: Any) -> None:
    assert ranges(peer, peer.open("f", Access.WRITE_DATA))[0] == "ACCESS_DENIED"
    assert peer.fsctl(RANGES, bytes(15), file=file)[0] == "INVALID_PARAMETER"
    wire.make_directory("d")
    assert ranges(peer, peer.open("d"))[0] == "INVALID_DEVICE_REQUEST"


# Trim ---------------------------------------------------------------------------------------------------------------


def test_trim(wire: Any, peer: Any, sparse: Any) -> None:
    listed = [(PAGE, PAGE), (3 * PAGE, 1 << 50), (1 << 50, 1)]
    assert peer.fsctl(TRIM, pack_file_level_trim(listed), file=sparse) == ("SUCCESS", b"\3\0\0\0")
    assert ranges(peer, sparse) == ("SUCCESS", [(0, PAGE), (2 * PAGE, PAGE)])
    assert wire.stat("f").size == len(DATA)
    assert peer.fsctl(TRIM, pack_file_level_trim(listed), file=sparse, room=3) == ("SUCCESS", b"")


def test_trims_that_are_none(wire: Any, peer: Any, sparse: Any) -> None:
    for bad in (b"", bytes(8), pack_file_level_trim([(0, 1)])[:-1], pack_file_level_trim([(1 << 63, 1)])):
        assert peer.fsctl(TRIM, bad, file=sparse)[0] == "INVALID_PARAMETER"
    lock(peer, peer.open("f"), 100, 10)
    assert peer.fsctl(TRIM, pack_file_level_trim([(0, 10), (100, 1)]), file=sparse)[0] == "FILE_LOCK_CONFLICT"
    assert wire.content("f") == DATA


# Regions ------------------------------------------------------------------------------------------------------------


def regions(peer: Any, file: Any, data: bytes) -> tuple[str, list[tuple[int, int]]]:
    status, output = peer.fsctl(REGIONS, data, file=file)
    head = FileRegionOutput.unpack_from(output)
    assert head.total_region_entry_count == head.region_entry_count
    found = [
        FileRegionInfo.unpack_from(output, FileRegionOutput.SIZE + FileRegionInfo.SIZE * n)
        for n in range(head.region_entry_count)
    ]
    assert len(output) == FileRegionOutput.SIZE + FileRegionInfo.SIZE * len(found)
    return status, [(region.file_offset, region.length) for region in found]


def test_regions(wire: Any, peer: Any, file: Any) -> None:
    assert regions(peer, file, b"") == ("SUCCESS", [(0, len(DATA))])
    for asked, expected in (((5, 10), [(5, 10)]), ((len(DATA) - 1, 10), [(len(DATA) - 1, 1)]), ((len(DATA), 1), [])):
        data = FileRegionInput(file_offset=asked[0], length=asked[1]).pack()
        assert regions(peer, file, data) == ("SUCCESS", expected)
    wire.make("empty")
    assert regions(peer, peer.open("empty"), b"") == ("SUCCESS", [])


def test_regions_that_are_none(peer: Any, file: Any) -> None:
    assert peer.fsctl(REGIONS, file=file, room=39)[0] == "BUFFER_TOO_SMALL"
    assert peer.fsctl(REGIONS, bytes(23), file=file)[0] == "INVALID_PARAMETER"
    assert peer.fsctl(REGIONS, FileRegionInput(file_offset=0, length=1, desired_usage=2).pack(), file=file)[0] == (
        "INVALID_PARAMETER"
    )
