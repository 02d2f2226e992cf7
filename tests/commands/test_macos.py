"""Shares for macOS: the create context, Finder info, resource forks, listings, copies of files, room for backups."""

import errno
import struct
from collections.abc import Callable
from typing import Any

import pytest

from smbport.platform import Account
from smbport.testing.client import FileId
from smbport.wire.aapl import EMPTY_AFP_INFO, AaplCapability, VolumeCapability
from smbport.wire.constants import Access, Command, ContextTag, CreateDisposition, FileInfo, FsControl, FsInfo, InfoType
from smbport.wire.create_contexts import OnDiskIdResponse, parse_create_contexts
from smbport.wire.fscc import FileEndOfFileInformation, FileInternalInformation
from smbport.wire.fscc_directory import DirectoryEntry, parse_directory_entries
from smbport.wire.fscc_entries import parse_streams
from smbport.wire.fscc_volume import FileFsFullSizeInformation
from smbport.wire.ioctl import SrvCopychunkResponse, SrvRequestResumeKey, pack_copychunk_copy
from smbport.wire.status import StatusError, status_name

OPEN, CREATE, OPEN_IF = CreateDisposition.OPEN, CreateDisposition.CREATE, CreateDisposition.OPEN_IF
QUERY = struct.pack("<IIQQ", 1, 0, 7, 7)
INFO = EMPTY_AFP_INFO[:16] + b"TEXTttxt" + b"\x40\x01" + bytes(14) + b"\x02\x03" + bytes(18)
UNIX = AaplCapability.UNIX_BASED | AaplCapability.COPY_FILE | AaplCapability.NFS_ACE
AFP_INFO, RESOURCE = "f:AFP_AfpInfo", "f:AFP_Resource"

NewWire = Callable[..., Any]


def contexts_of(peer: Any, name: str, *asked: tuple[bytes, bytes]) -> dict[bytes, bytes]:
    status, response, frame = peer.try_create(name, contexts=asked)
    assert status == "SUCCESS"
    start, length = response.create_contexts_offset, response.create_contexts_length
    peer.close(FileId(peer.tree, response.file_id_persistent, response.file_id_volatile))
    found = parse_create_contexts(frame[start : start + length], limit=9) if length else []
    return {tag: bytes(data) for tag, data in found}


def negotiate_aapl(peer: Any, query: bytes = QUERY) -> dict[bytes, bytes]:
    return contexts_of(peer, "", (ContextTag.AAPL, query))


def refusal(call: Callable[..., Any], *args: Any, **keywords: Any) -> str:
    with pytest.raises(StatusError) as caught:
        call(*args, **keywords)
    return status_name(caught.value.status).removeprefix("STATUS_")


def put(peer: Any, name: str, data: bytes) -> None:
    file = peer.create(peer.tree, name, access=Access.GENERIC_ALL, disposition=OPEN_IF)
    if data:
        peer.write(file, 0, data)
    peer.close(file)


def content(peer: Any, name: str) -> bytes:
    file = peer.open(name, Access.GENERIC_READ)
    data = bytes(peer.read(file, 0, 1000))
    peer.close(file)
    return data


def streams(peer: Any, name: str = "f") -> list[str]:
    file = peer.open(name, Access.READ_ATTRIBUTES)
    found = [stream.name for stream in parse_streams(peer.query_info(file, FileInfo.STREAM))]
    peer.close(file)
    return [name for name in found if name != "::$DATA"]


def listed(peer: Any, path: str = "") -> dict[str, DirectoryEntry]:
    file = peer.open(path)
    data = peer.query_directory(file, "*", info_class=FileInfo.ID_BOTH_DIRECTORY)
    peer.close(file)
    return {entry.name: entry for entry in parse_directory_entries(FileInfo.ID_BOTH_DIRECTORY, data)}


@pytest.fixture
def wire(new_wire: NewWire) -> Any:
    wire = new_wire(share={"macos": True})
    wire.make("f", b"data")
    return wire


@pytest.fixture
def peer(wire: Any) -> Any:
    """A client that macOS runs on."""
    peer = wire.connect()
    negotiate_aapl(peer)
    return peer


# The create context ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "volume"),
    [
        ({}, 0),
        ({"time_machine": True}, VolumeCapability.FULL_SYNC),
        ({"case_sensitive": True}, VolumeCapability.CASE_SENSITIVE),
    ],
)
def test_what_is_offered(new_wire: NewWire, share: dict[str, object], volume: int) -> None:
    peer = new_wire(share={"macos": True, **share}).connect()
    answer = negotiate_aapl(peer)[ContextTag.AAPL]
    server = UNIX | AaplCapability.READ_DIR_ATTRIBUTES
    assert struct.unpack_from("<IIQQQ", answer) == (1, 0, 7, server, volume)


def test_listings_are_offered_to_who_can_read_them(wire: Any) -> None:
    answer = negotiate_aapl(wire.connect(), struct.pack("<IIQQ", 1, 0, 1, 0))[ContextTag.AAPL]
    assert struct.unpack("<IIQQ", answer) == (1, 0, 1, UNIX)


def test_other_shares_ignore_it(new_wire: NewWire) -> None:
    peer = new_wire().connect()
    assert negotiate_aapl(peer) == {}
    assert negotiate_aapl(peer, b"nonsense") == {}


@pytest.mark.parametrize("query", [b"", QUERY[:16], QUERY + b"\0", b"\2" + QUERY[1:]])
def test_bad_queries_are_refused(wire: Any, query: bytes) -> None:
    assert wire.connect().try_create("", contexts=[(ContextTag.AAPL, query)])[0] == "INVALID_PARAMETER"


def test_ids_of_files_are_hidden_from_macos(wire: Any) -> None:
    peer, number = wire.connect(), wire.stat("f").key.inode

    def ids() -> tuple[int, int, int]:
        disk = OnDiskIdResponse.unpack_from(contexts_of(peer, "f", (ContextTag.ON_DISK_ID, b""))[ContextTag.ON_DISK_ID])
        internal = FileInternalInformation.unpack_from(peer.query_info(peer.open("f"), FileInfo.INTERNAL))
        return disk.disk_file_id, internal.index_number, listed(peer)["f"].file_id

    assert ids() == (number, number, number)
    negotiate_aapl(peer)
    assert ids() == (0, 0, 0)


# Finder info ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0, 1, 60, 10000])
@pytest.mark.parametrize("more", [b"", b"behind"])
def test_finder_info_is_written_as_a_whole(peer: Any, offset: int, more: bytes) -> None:
    file = peer.create(peer.tree, AFP_INFO, access=Access.GENERIC_ALL, disposition=OPEN_IF)
    assert peer.write(file, offset, INFO + more) == len(INFO + more)
    assert peer.read(file, 0, 100) == INFO
    assert [peer.read(file, at, 2) for at in (16, 60)] == [b"AF", b"AF"]
    assert refusal(peer.read, file, 61, 1) == "END_OF_FILE"
    peer.close(file)
    assert (streams(peer), content(peer, AFP_INFO)) == ([":AFP_AfpInfo:$DATA"], INFO)


@pytest.mark.parametrize(
    ("offset", "data"),
    [(0, b"AF"), (0, b"xyz" + INFO[3:]), (1, INFO[:59]), (0, bytes(60)), (0, b"AFP\0\0\0\2\0" + INFO[8:])],
    ids=["short", "other", "part", "zeroes", "version"],
)
def test_what_is_no_finder_info(peer: Any, offset: int, data: bytes) -> None:
    file = peer.make(AFP_INFO)
    assert refusal(peer.write, file, offset, data) == "INVALID_PARAMETER"
    peer.close(file)
    assert streams(peer) == []


def test_less_than_a_head_changes_nothing_and_the_beginning_is_filled_up(peer: Any) -> None:
    file = peer.make(AFP_INFO)
    assert peer.write(file, 0, INFO[:16]) == 16
    assert peer.read(file, 0, 60) == EMPTY_AFP_INFO
    assert peer.write(file, 0, INFO[:20]) == 20
    assert peer.read(file, 0, 60) == INFO[:20] + bytes(40)


def test_to_write_that_there_is_none_removes_it(wire: Any, peer: Any) -> None:
    put(peer, AFP_INFO, INFO)
    file = peer.open(AFP_INFO)
    peer.write(file, 0, EMPTY_AFP_INFO)
    assert streams(peer) == []
    peer.close(file)
    assert streams(wire.connect()) == []
    assert peer.create_status(AFP_INFO) == "OBJECT_NAME_NOT_FOUND"


def test_it_is_never_cut(peer: Any) -> None:
    put(peer, AFP_INFO, INFO)
    file = peer.open(AFP_INFO)
    for size in (60, 1, 0):
        peer.set_info(file, FileInfo.END_OF_FILE, FileEndOfFileInformation(end_of_file=size).pack())
    with pytest.raises(StatusError) as caught:
        peer.set_info(file, FileInfo.END_OF_FILE, FileEndOfFileInformation(end_of_file=61).pack())
    assert caught.value.status == 0xC0000099
    peer.close(file)
    assert content(peer, AFP_INFO) == INFO


def test_what_others_wrote_into_it_is_not_seen_until_it_is_right(wire: Any, peer: Any) -> None:
    settings = wire.server.find_share("s").settings
    object.__setattr__(settings, "macos", False)
    put(peer, AFP_INFO, b"x" * 99)
    object.__setattr__(settings, "macos", True)
    assert (streams(peer), peer.create_status(AFP_INFO)) == ([], "OBJECT_NAME_NOT_FOUND")
    put(peer, AFP_INFO, INFO)
    assert content(peer, AFP_INFO) == INFO


def test_elsewhere_it_is_a_stream_like_others(new_wire: NewWire) -> None:
    wire = new_wire()
    wire.make("f")
    peer = wire.connect()
    put(peer, AFP_INFO, b"x")
    assert content(peer, AFP_INFO) == b"x"


def test_no_room(new_wire: NewWire) -> None:
    wire = new_wire(share={"macos": True}, capacity=0)
    wire.make("f")
    file = wire.connect().make(AFP_INFO)
    assert refusal(wire.connect().write, file, 0, INFO) in ("DISK_FULL", "FILE_CLOSED")


# Empty streams --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [RESOURCE, "f:other"])
def test_empty_streams_are_not_there_for_macos(wire: Any, peer: Any, name: str) -> None:
    file = peer.make(name)
    other = wire.connect()
    assert (streams(peer), peer.create_status(name)) == ([], "OBJECT_NAME_NOT_FOUND")
    assert (len(streams(other)), other.create_status(name)) == (1, "SUCCESS")
    peer.write(file, 0, b"x")
    assert (len(streams(peer)), content(peer, name)) == (1, b"x")
    peer.set_info(file, FileInfo.END_OF_FILE, FileEndOfFileInformation(end_of_file=0).pack())
    assert streams(peer) == []


# Listings -------------------------------------------------------------------------------------------------------


def test_listing(wire: Any, peer: Any) -> None:
    wire.make_directory("d", mode=0o750)
    put(peer, AFP_INFO, INFO)
    put(peer, RESOURCE, b"fork")
    put(peer, "d:AFP_Resource", b"x")
    entries = listed(peer)
    assert set(entries) == {".", "..", "f", "d"}
    info = entries["f"].short_name
    assert struct.unpack_from("<Q8s2s2s", info) == (4, b"TEXTttxt", b"\x40\x01", b"\x02\x03")
    assert struct.unpack_from("<Q8s", entries["d"].short_name) == (1, bytes(8))
    assert entries["f"].ea_size & Access.FILE_GENERIC_READ == Access.FILE_GENERIC_READ
    assert entries["f"].end_of_file == 4


def test_modes(wire: Any, peer: Any) -> None:
    wire.make_directory("d", mode=0o750)
    file = peer.open("")
    modes = {}
    for name in ("d", "f"):
        data = peer.query_directory(file, name, info_class=FileInfo.ID_BOTH_DIRECTORY, flags=1)
        modes[name] = struct.unpack_from("<H", data, 94)[0]
    assert modes == {"d": 0o040750, "f": 0o100644}


def test_others_get_plain_listings(wire: Any, peer: Any) -> None:
    put(peer, AFP_INFO, INFO)
    entry = listed(wire.connect())["f"]
    assert (entry.short_name, entry.file_id) == (b"", wire.stat("f").key.inode)


def test_a_long_listing_comes_in_parts(wire: Any, peer: Any) -> None:
    for number in range(20):
        put(peer, f"n{number:02}:AFP_Resource", b"x" * (number + 1))
    file, sizes = peer.open(""), {}
    while True:
        try:
            data = peer.query_directory(file, "n*", info_class=FileInfo.ID_BOTH_DIRECTORY, length=400)
        except StatusError:
            break
        for entry in parse_directory_entries(FileInfo.ID_BOTH_DIRECTORY, data):
            sizes[entry.name] = struct.unpack_from("<Q", entry.short_name)[0]
    assert sizes == {f"n{number:02}": number + 1 for number in range(20)}


def test_what_cannot_be_looked_at_is_listed_all_the_same(wire: Any, peer: Any) -> None:
    put(peer, RESOURCE, b"fork")
    root = peer.open("")
    wire.faults.fail("Streams.entries", errno.EACCES)
    data = peer.query_directory(root, "f", info_class=FileInfo.ID_BOTH_DIRECTORY)
    (entry,) = parse_directory_entries(FileInfo.ID_BOTH_DIRECTORY, data)
    assert (entry.name, entry.short_name[:20]) == ("f", bytes(20))


def test_single_entries(wire: Any, peer: Any) -> None:
    root, names = peer.open(""), []
    for _ in range(3):
        data = peer.query_directory(root, "*", info_class=FileInfo.ID_BOTH_DIRECTORY, flags=2)
        names += [entry.name for entry in parse_directory_entries(FileInfo.ID_BOTH_DIRECTORY, data)]
    assert names == [".", "..", "f"]


def test_descriptors_say_what_may_be_done(new_wire: NewWire) -> None:
    account = Account("u", 1000, 1000, ())
    wire = new_wire(share={"macos": True, "acl": "nt"}, accounts=[account])
    peer = wire.connect()
    negotiate_aapl(peer)
    put(peer, "f", b"data")
    put(peer, AFP_INFO, INFO)
    entry = listed(peer)["f"]
    assert entry.ea_size & Access.FILE_GENERIC_READ == Access.FILE_GENERIC_READ
    assert entry.short_name[8:16] == b"TEXTttxt"


@pytest.mark.pure_only
def test_who_may_not_read_a_file_does_not_see_its_finder_info(
    new_wire: NewWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = new_wire(share={"macos": True, "acl": "nt"}).connect()
    negotiate_aapl(peer)
    put(peer, "f", b"data")
    put(peer, AFP_INFO, INFO)
    monkeypatch.setattr("smbport.commands.mac_listing.granted_at_most", lambda *_: Access.READ_ATTRIBUTES)
    entry = listed(peer)["f"]
    assert (entry.ea_size, entry.short_name[:20]) == (Access.READ_ATTRIBUTES, bytes(20))


# Copies of files ------------------------------------------------------------------------------------------------


def copy(peer: Any, source: Any, target: Any) -> tuple[str, tuple[int, int, int]]:
    _, output = peer.fsctl(FsControl.SRV_REQUEST_RESUME_KEY, file=source, room=32)
    key = SrvRequestResumeKey.unpack_from(output).resume_key
    status, output = peer.fsctl(FsControl.SRV_COPYCHUNK, pack_copychunk_copy(key, []), file=target, room=12)
    done = SrvCopychunkResponse.unpack_from(output)
    return status, (done.chunks_written, done.chunk_bytes_written, done.total_bytes_written)


def test_a_file_is_copied_with_its_streams(wire: Any, peer: Any) -> None:
    put(peer, AFP_INFO, INFO)
    put(peer, RESOURCE, b"fork")
    put(peer, "f:empty", b"")
    put(peer, "t:afp_resource", b"what was there before")
    answer = copy(peer, peer.open("f"), peer.open("t"))
    assert answer == ("SUCCESS", (0, 0, 4))
    assert wire.content("t") == b"data"
    assert (content(peer, "t:AFP_Resource"), content(peer, "t:AFP_AfpInfo")) == (b"fork", INFO)
    assert len(streams(wire.connect(), "t")) == 2


def test_without_the_context_no_chunk_is_nothing(wire: Any) -> None:
    peer = wire.connect()
    assert copy(peer, peer.open("f"), peer.make("t")) == ("SUCCESS", (0, 0, 0))


def test_a_file_that_others_moved(wire: Any, peer: Any) -> None:
    put(peer, RESOURCE, b"fork")
    source, target = peer.open("f"), peer.make("t")
    wire.volume.rename("f", "g", replace=False)
    wire.make("f", b"another")
    assert copy(peer, source, target)[0] not in ("SUCCESS", "INTERNAL_ERROR")
    assert streams(peer, "t") == []


def test_a_stream_that_cannot_be_made(wire: Any, peer: Any) -> None:
    put(peer, RESOURCE, b"fork")
    source, target = peer.open("f"), peer.make("t")
    wire.faults.fail("Streams.create", errno.ENOSPC)
    assert copy(peer, source, target) == ("DISK_FULL", (0, 4, 4))
    peer.close(source)
    peer.close(target)
    wire.check_nothing_is_open()


def test_a_stream_takes_no_streams_along(wire: Any, peer: Any) -> None:
    put(peer, RESOURCE, b"fork")
    put(peer, "f:other", b"x")
    assert copy(peer, peer.open("f:other"), peer.make("t")) == ("SUCCESS", (0, 0, 1))
    assert streams(peer, "t") == []


# Time Machine ---------------------------------------------------------------------------------------------------


def room(peer: Any) -> tuple[int, int, int]:
    """Bytes in all, bytes for the user, bytes free."""
    root = peer.open("")
    size = FileFsFullSizeInformation.unpack_from(peer.query_info(root, FsInfo.FULL_SIZE, info_type=InfoType.FILESYSTEM))
    unit = size.sectors_per_allocation_unit * size.bytes_per_sector
    units = (
        size.total_allocation_units,
        size.caller_available_allocation_units,
        size.actual_available_allocation_units,
    )
    peer.close(root)
    return units[0] * unit, units[1] * unit, units[2] * unit


def test_room_for_backups(new_wire: NewWire) -> None:
    bound = 64 << 20
    wire = new_wire(share={"macos": True, "time_machine": True, "time_machine_size": bound})
    peer = wire.connect()
    assert room(peer) == (bound, bound, bound)
    for path in ("m.sparsebundle", "m.sparsebundle/bands", "new.sparsebundle", "not a bundle"):
        wire.make_directory(path)
    wire.make("file.sparsebundle")
    for number in range(3):
        wire.make(f"m.sparsebundle/bands/{number}")
    assert room(peer) == (bound, bound, bound)
    wire.make("m.sparsebundle/Info.plist", b"<key>band-size</key>\n\t<integer>8388608</integer>")
    wire.make("new.sparsebundle/Info.plist", b"<dict>")
    assert room(peer) == (bound, bound - 3 * 8388608, bound - 3 * 8388608)
    for number in range(3, 9):
        wire.make(f"m.sparsebundle/bands/{number}")
    assert room(peer) == (bound, 0, 0)


def test_a_bound_above_what_there_is(new_wire: NewWire) -> None:
    plain = new_wire(capacity=1 << 20)
    bounded = new_wire(capacity=1 << 20, share={"macos": True, "time_machine": True, "time_machine_size": 1 << 40})
    assert room(bounded.connect()) == room(plain.connect())


def test_a_full_sync_is_a_flush(wire: Any, peer: Any) -> None:
    """F_FULLFSYNC comes as a FLUSH with Reserved1 set."""
    file = peer.open("f")
    peer.write(file, 0, b"x")
    before = wire.faults.counts["File.sync"]
    assert peer.status(Command.FLUSH, struct.pack("<HHIQQ", 24, 0xFFFF, 0, file.persistent, file.volatile)) == 0
    assert wire.faults.counts["File.sync"] == before + 1
