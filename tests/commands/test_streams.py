"""Named streams as clients use them: names, dispositions, sharing, sizes, renaming, deleting, telling."""

import errno
from typing import Any

import pytest

from smbport.platform import ACCESS_NONE, ACCESS_READ, ACCESS_WRITE
from smbport.wire.change import CompletionFilter, NotifyAction
from smbport.wire.constants import (
    Access,
    Command,
    CreateAction,
    CreateDisposition,
    CreateOption,
    FileAttribute,
    FileInfo,
    FsControl,
    InfoType,
    ShareAccess,
)
from smbport.wire.file import FlushRequest
from smbport.wire.fscc import (
    FileBasicInformation,
    FileDispositionInformation,
    FileEndOfFileInformation,
    FileLinkInformation,
    FileNetworkOpenInformation,
    FileRenameInformation,
    FileRenameInformationEx,
    FileStandardInformation,
    RenameFlag,
    pack_with_name,
)
from smbport.wire.fscc_entries import parse_streams
from smbport.wire.status import StatusError, status_name

ALL = Access.GENERIC_ALL
OPEN, CREATE, OPEN_IF = CreateDisposition.OPEN, CreateDisposition.CREATE, CreateDisposition.OPEN_IF
OVERWRITE, OVERWRITE_IF = CreateDisposition.OVERWRITE, CreateDisposition.OVERWRITE_IF
SUPERSEDE = CreateDisposition.SUPERSEDE
DIRECTORY = CreateOption.DIRECTORY_FILE
READ_WRITE = ShareAccess.READ | ShareAccess.WRITE
NO_ROOM = b"x" * 4096


def put(peer: Any, name: str, data: bytes = b"") -> None:
    """Make a stream, or a file, with that content."""
    file = peer.create(peer.tree, name, access=ALL, disposition=OPEN_IF)
    if data:
        peer.write(file, 0, data)
    peer.close(file)


def content(peer: Any, name: str) -> bytes:
    file = peer.open(name, Access.GENERIC_READ)
    size = FileStandardInformation.unpack_from(peer.query_info(file, FileInfo.STANDARD)).end_of_file
    data = peer.read(file, 0, size) if size else b""
    peer.close(file)
    return bytes(data)


def streams(wire: Any, path: str) -> dict[str, int]:
    """What the volume has, by name."""
    node = wire.volume.open(path, ACCESS_NONE)
    found = {entry.name: entry.size for entry in wire.memory.streams.entries(node)}
    node.close()
    return found


def told(peer: Any, file: Any) -> list[tuple[str, int]]:
    """What a client is told of the streams of an open."""
    return [(stream.name, stream.size) for stream in parse_streams(peer.query_info(file, FileInfo.STREAM))]


def rename(peer: Any, file: Any, name: str, *, replace: bool = False) -> str:
    record = FileRenameInformation(replace_if_exists=replace, root_directory=0)
    return outcome(peer, file, FileInfo.RENAME, pack_with_name(record, name))


def outcome(peer: Any, file: Any, info_class: int, data: bytes) -> str:
    """How a SET_INFO ends."""
    try:
        peer.set_info(file, info_class, data)
    except StatusError as error:
        return status_name(error.status).removeprefix("STATUS_")
    return "SUCCESS"


# Names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "f:", "f::", "f:s:", "f:s:$FOO", "f:s:DATA", "f::$FOO", "f:s:$INDEX_ALLOCATION", "f:s:$BITMAP", "f:s::$DATA",
        "f:s:$DATA:", "f:a/b", "f:a\\b", "f:s\0", "f:" + "s" * 256, "f*:s", "d\\:s", "f:s:$DATA\\", "new:s:$FOO",
    ],
)  # fmt: skip
def test_names_that_are_none(stocked: Any, name: str) -> None:
    for disposition in (OPEN, CREATE, OPEN_IF, OVERWRITE_IF):
        assert stocked.connect().create_status(name, ALL, disposition) == "OBJECT_NAME_INVALID"
    assert stocked.names() == ["d", "f"]
    assert streams(stocked, "f") == {}


@pytest.mark.parametrize("name", ["s", "$DATA", '*<>?"|\x01', "\u00fc\u6f22", ".", "..", "AFP_AfpInfo", "s" * 255])
def test_names_that_are_some(stocked: Any, name: str) -> None:
    peer = stocked.connect()
    assert peer.create_status(f"f:{name}", ALL, CREATE) == "SUCCESS"
    assert streams(stocked, "f") == {name: 0}
    file = peer.open("f")
    assert told(peer, file) == [("::$DATA", 7), (f":{name}:$DATA", 0)]


def test_names_differ_in_more_than_case(stocked: Any) -> None:
    peer = stocked.connect()
    put(peer, "f:Name", b"one")
    assert content(peer, "F:nAME:$data") == b"one"
    assert peer.create_status("f:NAME", ALL, CREATE) == "OBJECT_NAME_COLLISION"
    assert streams(stocked, "f") == {"Name": 3}


def test_the_unnamed_stream_is_the_file(stocked: Any) -> None:
    peer = stocked.connect()
    assert content(peer, "f::$DATA") == b"content"
    assert peer.create_status("d::$DATA") == "FILE_IS_A_DIRECTORY"
    assert peer.create_status("d::$DATA", ALL, OPEN, DIRECTORY) == "NOT_A_DIRECTORY"
    assert peer.create_status("d:$I30:$INDEX_ALLOCATION") == "SUCCESS"
    assert peer.create_status("f::$INDEX_ALLOCATION") == "NOT_A_DIRECTORY"
    assert peer.create_status("new:s", ALL, CREATE, DIRECTORY) == "NOT_A_DIRECTORY"
    assert stocked.names() == ["d", "f"]


def test_a_volume_without_streams(new_share: Any) -> None:
    share = new_share(streams=False)
    share.make("f", b"content")
    found = parse_streams(share.data(share.open("f"), FileInfo.STREAM))
    assert [stream.name for stream in found] == ["::$DATA"]


def test_a_client_is_told_that_there_are_none(new_wire: Any) -> None:
    wire = new_wire()
    wire.memory.streams = None
    for share in wire.server.shares.values():
        assert share.volume is not None
    peer = wire.connect()
    assert peer.create_status("new:s", ALL, CREATE) == "OBJECT_NAME_INVALID"
    assert wire.names() == []


# Dispositions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("disposition", "missing_file", "missing_stream", "there"),
    [
        (OPEN, "OBJECT_NAME_NOT_FOUND", "OBJECT_NAME_NOT_FOUND", CreateAction.OPENED),
        (CREATE, CreateAction.CREATED, CreateAction.CREATED, "OBJECT_NAME_COLLISION"),
        (OPEN_IF, CreateAction.CREATED, CreateAction.CREATED, CreateAction.OPENED),
        (OVERWRITE, "OBJECT_NAME_NOT_FOUND", "OBJECT_NAME_NOT_FOUND", CreateAction.OVERWRITTEN),
        (OVERWRITE_IF, CreateAction.CREATED, CreateAction.CREATED, CreateAction.OVERWRITTEN),
        (SUPERSEDE, CreateAction.CREATED, CreateAction.CREATED, CreateAction.SUPERSEDED),
    ],
)
def test_the_disposition_means_the_stream(
    stocked: Any, disposition: int, missing_file: object, missing_stream: object, there: object
) -> None:
    peer = stocked.connect()
    put(peer, "f:there", b"old")
    put(peer, "d:there", b"old")
    for name, expected in (("new:s", missing_file), ("f:s", missing_stream), ("d:s", missing_stream),
                           ("f:there", there), ("d:there", there)):  # fmt: skip
        status, response, _ = peer.try_create(name, ALL, disposition)
        assert (status if response is None else response.create_action) == expected
        if response is not None:
            kept = response.create_action == CreateAction.OPENED
            assert response.end_of_file == (3 if kept else 0)
    assert stocked.names() == (["d", "f", "new"] if missing_file == CreateAction.CREATED else ["d", "f"])
    assert stocked.content("f") == b"content"
    if missing_file == CreateAction.CREATED:
        assert (stocked.content("new"), streams(stocked, "new")) == (b"", {"s": 0})


@pytest.mark.parametrize("disposition", [OVERWRITE, OVERWRITE_IF, SUPERSEDE])
def test_a_file_that_is_overwritten_has_no_streams(stocked: Any, disposition: int) -> None:
    peer = stocked.connect()
    put(peer, "f:closed", b"data")
    put(peer, "f:open", b"data")
    held = peer.open("f:open", Access.READ_DATA)
    peer.close(peer.create(peer.tree, "f", access=ALL, disposition=disposition))
    assert streams(stocked, "f") == {"open": 4}
    assert peer.read(held, 0, 4) == b"data"
    assert peer.create_status("f:open") == "DELETE_PENDING"
    peer.close(held)
    assert streams(stocked, "f") == {}
    held = peer.create(peer.tree, "f:open", access=ALL, disposition=CREATE, share=READ_WRITE)
    assert peer.create_status("f", ALL, disposition) == "SHARING_VIOLATION"


def test_overwriting_a_stream_leaves_the_file_alone(stocked: Any) -> None:
    peer = stocked.connect()
    stocked.make("hidden", b"data", dos_attributes=FileAttribute.HIDDEN)
    put(peer, "hidden:s", b"data")
    assert peer.create_status("hidden:s", ALL, SUPERSEDE) == "SUCCESS"
    assert stocked.content("hidden") == b"data"
    assert stocked.stat("hidden").dos_attributes == FileAttribute.HIDDEN


def test_room_is_asked_for_the_stream(stocked: Any) -> None:
    peer = stocked.connect()
    put(peer, "new:s", b"data")
    assert stocked.stat("new").size == 0


# What a stream has of its own, and what is the file's -----------------------------------------------------------


def test_sizes_are_the_streams_and_all_else_is_the_files(stocked: Any) -> None:
    peer = stocked.connect()
    put(peer, "f:s", b"12345")
    file, stream = peer.open("f"), peer.open("f:s")
    of_file = FileNetworkOpenInformation.unpack_from(peer.query_info(file, FileInfo.NETWORK_OPEN))
    of_stream = FileNetworkOpenInformation.unpack_from(peer.query_info(stream, FileInfo.NETWORK_OPEN))
    assert (of_file.end_of_file, of_stream.end_of_file) == (7, 5)
    assert (of_stream.creation_time, of_stream.file_attributes) == (of_file.creation_time, of_file.file_attributes)
    basic = FileBasicInformation(
        creation_time=1 << 56, last_access_time=0, last_write_time=1 << 57, change_time=0,
        file_attributes=FileAttribute.HIDDEN,
    )  # fmt: skip
    peer.set_info(stream, FileInfo.BASIC, basic.pack())
    found = FileBasicInformation.unpack_from(peer.query_info(file, FileInfo.BASIC))
    assert (found.creation_time, found.last_write_time) == (1 << 56, 1 << 57)
    assert found.file_attributes == FileAttribute.HIDDEN
    peer.set_info(stream, FileInfo.END_OF_FILE, FileEndOfFileInformation(end_of_file=2).pack())
    assert (stocked.content("f"), content(peer, "f:s")) == (b"content", b"12")
    assert peer.query_info(file, FileInfo.INTERNAL) == peer.query_info(stream, FileInfo.INTERNAL)


def test_the_name_of_an_open_stream(stocked: Any) -> None:
    peer = stocked.connect()
    put(peer, "d\\x:s")
    told_name = peer.query_info(peer.open("d\\x:s"), FileInfo.NORMALIZED_NAME)
    assert told_name[4:].decode("utf-16-le") == "d\\x:s"


def test_streams_of_directories(stocked: Any) -> None:
    peer = stocked.connect()
    put(peer, "d:s", b"data")
    put(peer, ":s", b"of the root")
    assert told(peer, peer.open("d")) == [(":s:$DATA", 4)]
    assert told(peer, peer.open("")) == [(":s:$DATA", 11)]
    stream = peer.open(":s")
    assert told(peer, stream) == [(":s:$DATA", 11)]
    standard = FileStandardInformation.unpack_from(peer.query_info(stream, FileInfo.STANDARD))
    assert (standard.directory, standard.end_of_file) == (False, 11)
    peer.close(stream)
    assert peer.create_status(":s", ALL, OPEN, CreateOption.DELETE_ON_CLOSE) == "SUCCESS"
    assert streams(stocked, "") == {}


def test_share_modes_are_the_streams(stocked: Any) -> None:
    peer = stocked.connect()
    peer.create(peer.tree, "f:one", access=Access.WRITE_DATA, disposition=CREATE, share=0)
    peer.create(peer.tree, "f:two", access=Access.WRITE_DATA, disposition=CREATE, share=0)
    assert peer.create_status("f:ONE", Access.READ_DATA) == "SHARING_VIOLATION"
    assert peer.create_status("f", Access.READ_DATA | Access.WRITE_DATA) == "SUCCESS"
    peer.create(peer.tree, "f", access=Access.READ_DATA, share=0)
    assert peer.create_status("f:three", ALL, CREATE) == "SUCCESS"


def test_rights_are_the_files(new_wire: Any) -> None:
    wire = new_wire(share={"read_only": True})
    wire.make("f")
    node = wire.volume.open("f", ACCESS_WRITE)
    wire.memory.streams.create(node, "s").close()
    peer = wire.connect()
    assert peer.create_status("f:s", Access.GENERIC_READ) == "SUCCESS"
    assert peer.create_status("f:new", Access.GENERIC_READ, OPEN_IF) == "ACCESS_DENIED"
    assert peer.create_status("f:s", Access.GENERIC_READ, OVERWRITE) == "ACCESS_DENIED"
    assert streams(wire, "f") == {"s": 0}


def test_a_file_marked_read_only(stocked: Any) -> None:
    stocked.make("locked", b"data", dos_attributes=FileAttribute.READONLY)
    node = stocked.volume.open("locked", ACCESS_READ)
    stocked.memory.streams.create(node, "s").close()
    peer = stocked.connect()
    assert peer.create_status("locked:s", Access.GENERIC_READ) == "SUCCESS"
    for name, disposition in (("s", OVERWRITE), ("new", CREATE), ("new", OPEN_IF)):
        assert peer.create_status(f"locked:{name}", Access.GENERIC_READ, disposition) == "ACCESS_DENIED"
    assert peer.create_status("locked:s", Access.WRITE_DATA) == "ACCESS_DENIED"
    assert streams(stocked, "locked") == {"s": 0}


@pytest.mark.parametrize("name", ["f:s", "new:s", "d:s"])
def test_nothing_is_left_of_what_fails(stocked: Any, name: str) -> None:
    stocked.faults.fail("Streams.create", errno.ENOSPC)
    peer = stocked.connect()
    assert peer.create_status(name, ALL, CREATE) == "DISK_FULL"
    assert stocked.names() == ["d", "f"]
    stocked.check_nothing_is_open()


def test_a_failed_write_leaves_the_old_value(stocked: Any) -> None:
    peer = stocked.connect()
    put(peer, "f:s", b"old")
    stream = peer.open("f:s")
    for call in ("write_at", "resize"):
        stocked.faults.fail(f"File.{call}", errno.ENOSPC)
    with pytest.raises(StatusError):
        peer.write(stream, 0, NO_ROOM)
    size = FileEndOfFileInformation(end_of_file=1).pack()
    assert outcome(peer, stream, FileInfo.END_OF_FILE, size) == "DISK_FULL"
    assert content(peer, "f:s") == b"old"


def test_a_flush(stocked: Any) -> None:
    peer = stocked.connect()
    stream = peer.make("new:s")
    request = FlushRequest(file_id_persistent=stream.persistent, file_id_volatile=stream.volatile)
    assert peer.status(Command.FLUSH, request.pack()) == 0
    assert stocked.faults.counts["File.sync"] == 1


def test_a_file_that_has_streams_becomes_no_link(stocked: Any) -> None:
    peer = stocked.connect()
    put(peer, "empty")
    put(peer, "empty:s", b"data")
    link = bytes.fromhex("0c0000a0140000000000020000000200010000006100") + b"a\0"
    for name in ("empty", "empty:s"):
        assert peer.fsctl(FsControl.SET_REPARSE_POINT, link, file=peer.open(name))[0] != "SUCCESS"
    assert streams(stocked, "empty") == {"s": 4}


def test_copying_between_streams(stocked: Any) -> None:
    peer = stocked.connect()
    put(peer, "f:from", b"data of a stream")
    source, target = peer.open("f:from"), peer.make("new:to")
    _, key = peer.fsctl(FsControl.SRV_REQUEST_RESUME_KEY, file=source)
    chunk = (0).to_bytes(8, "little") + (2).to_bytes(8, "little") + (16).to_bytes(8, "little")
    request = key[:24] + (1).to_bytes(8, "little") + chunk
    assert peer.fsctl(FsControl.SRV_COPYCHUNK_WRITE, request, file=target)[0] == "SUCCESS"
    assert content(peer, "new:to") == b"\0\0data of a stream"
    assert stocked.content("new") == b""


# Deleting -------------------------------------------------------------------------------------------------------


def test_deleting_a_stream(stocked: Any) -> None:
    peer = stocked.connect()
    put(peer, "f:one", b"1")
    put(peer, "f:two", b"2")
    stream, other = peer.open("f:one"), peer.open("f:one", Access.READ_DATA)
    peer.set_info(stream, FileInfo.DISPOSITION, FileDispositionInformation(delete_pending=True).pack())
    standard = FileStandardInformation.unpack_from(peer.query_info(stream, FileInfo.STANDARD))
    assert standard.delete_pending
    peer.close(stream)
    assert peer.create_status("f:ONE", ALL, OPEN_IF) == "DELETE_PENDING"
    assert peer.create_status("f") == "SUCCESS"
    peer.close(other)
    assert streams(stocked, "f") == {"two": 1}
    assert peer.create_status("f:two", ALL, OPEN, CreateOption.DELETE_ON_CLOSE) == "SUCCESS"
    assert streams(stocked, "f") == {}
    assert stocked.content("f") == b"content"
    stocked.check_nothing_is_open()


def test_a_stream_can_be_spared(stocked: Any) -> None:
    peer = stocked.connect()
    put(peer, "f:s", b"1")
    stream = peer.open("f:s")
    for doomed in (True, False):
        peer.set_info(stream, FileInfo.DISPOSITION, FileDispositionInformation(delete_pending=doomed).pack())
    peer.close(stream)
    assert streams(stocked, "f") == {"s": 1}


def test_a_stream_that_cannot_be_deleted(stocked: Any) -> None:
    peer = stocked.connect()
    put(peer, "f:s", b"1")
    stocked.faults.fail("Streams.remove", errno.EIO)
    assert peer.create_status("f:s", ALL, OPEN, CreateOption.DELETE_ON_CLOSE) == "SUCCESS"
    assert streams(stocked, "f") == {"s": 1}
    stocked.check_nothing_is_open()


def test_a_stream_of_a_file_that_is_another_by_now(stocked: Any) -> None:
    peer = stocked.connect()
    put(peer, "f:s", b"1")
    stream = peer.open("f:s", options=CreateOption.DELETE_ON_CLOSE)
    stocked.volume.remove("f", stocked.stat("f").key)
    stocked.make("f")
    node = stocked.volume.open("f", ACCESS_WRITE)
    stocked.memory.streams.create(node, "s").close()
    peer.close(stream)
    assert streams(stocked, "f") == {"s": 0}


def test_who_does_not_share_deleting_keeps_the_file(stocked: Any) -> None:
    peer = stocked.connect()
    put(peer, "f:s", b"1")
    held = peer.open("f:s", Access.READ_DATA, share=READ_WRITE)
    assert peer.create_status("f", Access.DELETE) == "SHARING_VIOLATION"
    assert peer.create_status("f", Access.READ_DATA) == "SUCCESS"
    peer.close(held)
    assert peer.create_status("f", Access.DELETE) == "SUCCESS"


@pytest.mark.parametrize("last", ["stream", "file"])
def test_deleting_a_file_under_an_open_stream(stocked: Any, last: str) -> None:
    peer = stocked.connect()
    put(peer, "f:s", b"data")
    stream = peer.open("f:s", Access.READ_DATA)
    file = peer.open("f", options=CreateOption.DELETE_ON_CLOSE)
    if last == "stream":
        peer.close(file)
        assert peer.read(stream, 0, 4) == b"data"
        for name in ("f", "f:s", "f:new"):
            assert peer.create_status(name, ALL, OPEN_IF) == "DELETE_PENDING"
        peer.close(stream)
    else:
        peer.close(stream)
        peer.close(file)
    assert stocked.names() == ["d"]
    stocked.check_nothing_is_open()


def test_a_refused_stream_is_not_left_behind(stocked: Any) -> None:
    peer = stocked.connect()
    file = peer.open("f")
    peer.set_info(file, FileInfo.DISPOSITION, FileDispositionInformation(delete_pending=True).pack())
    assert peer.create_status("f:new", ALL, CREATE) == "DELETE_PENDING"
    assert streams(stocked, "f") == {}
    peer.set_info(file, FileInfo.DISPOSITION, FileDispositionInformation(delete_pending=False).pack())
    assert peer.create_status("f:new", ALL, CREATE) == "SUCCESS"


def test_a_doomed_stream_of_a_doomed_file(stocked: Any) -> None:
    peer = stocked.connect()
    put(peer, "f:s", b"data")
    stream = peer.open("f:s", options=CreateOption.DELETE_ON_CLOSE)
    peer.close(peer.open("f", options=CreateOption.DELETE_ON_CLOSE))
    peer.close(stream)
    assert stocked.names() == ["d"]
    stocked.check_nothing_is_open()


# Renaming -------------------------------------------------------------------------------------------------------


def test_renaming(stocked: Any) -> None:
    peer = stocked.connect()
    put(peer, "f:old", b"data")
    stream, other = peer.open("f:old"), peer.open("f:old", Access.READ_DATA)
    assert rename(peer, stream, ":new:$DATA") == "SUCCESS"
    assert streams(stocked, "f") == {"new": 4}
    assert peer.read(other, 0, 4) == b"data"
    assert rename(peer, stream, ":new") == "SUCCESS"
    assert rename(peer, stream, ":NEW") == "SUCCESS"
    assert streams(stocked, "f") == {"NEW": 4}
    assert peer.create_status("f:new") == "SUCCESS"
    assert peer.create_status("f:old", ALL, CREATE) == "SUCCESS"
    record = FileRenameInformationEx(flags=RenameFlag.REPLACE_IF_EXISTS, root_directory=0)
    assert outcome(peer, stream, FileInfo.RENAME_EX, pack_with_name(record, ":OLD")) == "SUCCESS"
    assert streams(stocked, "f") == {"OLD": 4}


def test_what_a_renamed_stream_replaces(stocked: Any) -> None:
    peer = stocked.connect()
    put(peer, "f:s", b"data")
    put(peer, "f:empty")
    put(peer, "f:full", b"x")
    stream = peer.open("f:s")
    assert rename(peer, stream, ":empty") == "OBJECT_NAME_COLLISION"
    assert rename(peer, stream, ":full") == "OBJECT_NAME_COLLISION"
    assert rename(peer, stream, ":full", replace=True) == "INVALID_PARAMETER"
    held = peer.open("f:empty", Access.READ_DATA)
    assert rename(peer, stream, ":empty") == "OBJECT_NAME_COLLISION"
    assert rename(peer, stream, ":empty", replace=True) == "INVALID_PARAMETER"
    peer.close(held)
    assert rename(peer, stream, ":empty", replace=True) == "SUCCESS"
    assert streams(stocked, "f") == {"empty": 4, "full": 1}


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("g:s", "SHARING_VIOLATION"), ("g", "SHARING_VIOLATION"), ("f:t", "SHARING_VIOLATION"),
        (":", "OBJECT_NAME_INVALID"), ("::", "OBJECT_NAME_INVALID"), (":t:", "OBJECT_NAME_INVALID"),
        (":t:$FOO", "OBJECT_NAME_INVALID"), (":a/b", "OBJECT_NAME_INVALID"),
        ("::$INDEX_ALLOCATION", "INVALID_PARAMETER"),
    ],
)  # fmt: skip
def test_names_that_a_stream_cannot_get(stocked: Any, name: str, status: str) -> None:
    peer = stocked.connect()
    put(peer, "f:s", b"data")
    assert rename(peer, peer.open("f:s"), name, replace=True) == status
    assert streams(stocked, "f") == {"s": 4}


def test_a_file_becomes_no_stream_and_a_stream_has_one_name(stocked: Any) -> None:
    peer = stocked.connect()
    put(peer, "f:s", b"data")
    assert rename(peer, peer.open("f"), ":t") == "INVALID_PARAMETER"
    link = pack_with_name(FileLinkInformation(replace_if_exists=False, root_directory=0), "g")
    assert outcome(peer, peer.open("f:s"), FileInfo.LINK, link) == "INVALID_PARAMETER"


def test_a_stream_becomes_the_data_of_its_file(stocked: Any) -> None:
    peer = stocked.connect()
    put(peer, "empty:s", b"data")
    stream = peer.open("empty:s")
    assert rename(peer, stream, "::$DATA") == "OBJECT_NAME_COLLISION"
    held = peer.open("empty", Access.READ_DATA)
    assert rename(peer, stream, "::$DATA", replace=True) == "INVALID_PARAMETER"
    peer.close(held)
    assert rename(peer, stream, "::$DATA", replace=True) == "SUCCESS"
    assert (stocked.content("empty"), streams(stocked, "empty")) == (b"data", {})
    assert peer.read(stream, 0, 4) == b"data"
    peer.write(stream, 0, b"D")
    assert stocked.content("empty") == b"Data"
    peer.close(stream)
    put(peer, "f:s", b"data")
    assert rename(peer, peer.open("f:s"), "::$DATA", replace=True) == "INVALID_PARAMETER"
    assert stocked.content("f") == b"content"
    put(peer, "d:s", b"data")
    assert rename(peer, peer.open("d:s"), "::$DATA", replace=True) == "INVALID_PARAMETER"


def test_a_move_that_fails_changes_nothing(stocked: Any) -> None:
    peer = stocked.connect()
    put(peer, "empty:s", b"data")
    stream = peer.open("empty:s")
    stocked.faults.fail("File.write_at", errno.ENOSPC)
    assert rename(peer, stream, "::$DATA", replace=True) == "DISK_FULL"
    assert (stocked.content("empty"), streams(stocked, "empty")) == (b"", {"s": 4})


def test_a_file_whose_stream_is_open_keeps_its_name(stocked: Any) -> None:
    peer = stocked.connect()
    put(peer, "f:s", b"data")
    file, stream = peer.open("f"), peer.open("f:s")
    assert rename(peer, file, "g") == "ACCESS_DENIED"
    peer.close(stream)
    assert rename(peer, file, "g") == "SUCCESS"
    assert streams(stocked, "g") == {"s": 4}


# Telling --------------------------------------------------------------------------------------------------------


class Ear:
    """Hears everything."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, str, int]] = []

    def changed(self, action: int, name: str, what: int, by: object) -> None:
        self.heard.append((action, name, what))

    def lost(self) -> None:
        raise AssertionError("nothing is lost")


def test_who_listens_hears_of_streams(stocked: Any) -> None:
    peer, ear = stocked.connect(), Ear()
    stocked.server.find_share("s").changes.add("", ear, tree=True)
    stream = peer.make("f:s")
    peer.write(stream, 0, b"data")
    peer.set_info(stream, FileInfo.END_OF_FILE, FileEndOfFileInformation(end_of_file=1).pack())
    assert rename(peer, stream, ":t") == "SUCCESS"
    peer.set_info(stream, FileInfo.DISPOSITION, FileDispositionInformation(delete_pending=True).pack())
    peer.close(stream)
    name, size, data = CompletionFilter.STREAM_NAME, CompletionFilter.STREAM_SIZE, CompletionFilter.STREAM_WRITE
    assert [change for change in ear.heard if change[2] & (name | size | data)] == [
        (NotifyAction.ADDED_STREAM, "f:s:$DATA", name),
        (NotifyAction.MODIFIED_STREAM, "f:s:$DATA", size),
        (NotifyAction.REMOVED_STREAM, "f:s:$DATA", name),
        (NotifyAction.ADDED_STREAM, "f:t:$DATA", name),
        (NotifyAction.REMOVED_STREAM, "f:t:$DATA", name),
    ]
    ear.heard.clear()
    peer.close(peer.make("new:s"))
    assert ear.heard[:2] == [
        (NotifyAction.ADDED, "new", CompletionFilter.FILE_NAME),
        (NotifyAction.ADDED_STREAM, "new:s:$DATA", name),
    ]
    ear.heard.clear()
    stream = peer.open("new:s")
    peer.write(stream, 0, b"data")
    peer.close(stream)
    assert (NotifyAction.MODIFIED_STREAM, "new:s:$DATA", size | data) in ear.heard


def test_attributes_of_clients_are_not_streams(stocked: Any) -> None:
    """And the other way round."""
    peer = stocked.connect()
    put(peer, "f:s", b"data")
    node = stocked.volume.open("f", ACCESS_READ)
    assert stocked.memory.attributes.names(node) == []


@pytest.mark.parametrize("info_type", [InfoType.FILE, InfoType.SECURITY])
def test_attributes_and_descriptors_through_a_stream_are_the_files(stocked: Any, info_type: int) -> None:
    peer = stocked.connect()
    put(peer, "f:s", b"data")
    file, stream = peer.open("f"), peer.open("f:s")
    info_class = FileInfo.EA if info_type == InfoType.FILE else 0
    keywords = {"info_type": info_type, "additional": 7}
    assert peer.query_info(file, info_class, **keywords) == peer.query_info(stream, info_class, **keywords)
