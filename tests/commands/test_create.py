"""CREATE at the wire: what is refused, what is shared, and that a refusal leaves nothing open and nothing made."""

import errno
import itertools
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from smbport.platform import ACCESS_READ, ACCESS_WRITE, Account
from smbport.security.auth import UserRecord, nt_hash
from smbport.state.settings import Limits, ShareSettings
from smbport.wire.constants import (
    Access,
    Command,
    ContextTag,
    CreateAction,
    CreateDisposition,
    CreateOption,
    FileAttribute,
    FileInfo,
    OplockLevel,
)
from smbport.wire.create import CreateResponse
from smbport.wire.create_contexts import AllocationSize
from smbport.wire.file import CloseRequest
from smbport.wire.header import HEADER_SIZE, Header
from smbport.wire.session import LogoffRequest
from smbport.wire.status import Status, status_name
from smbport.wire.text import filetime_from_ns
from smbport.wire.tree import TreeDisconnectRequest

ALICE = Account("alice", 1001, 1001)
READ, WRITE, ALL = Access.GENERIC_READ, Access.GENERIC_WRITE, Access.GENERIC_ALL
MAXIMUM = Access.MAXIMUM_ALLOWED
SUPERSEDE, OPEN, CREATE = CreateDisposition.SUPERSEDE, CreateDisposition.OPEN, CreateDisposition.CREATE
OPEN_IF, OVERWRITE, OVERWRITE_IF = (
    CreateDisposition.OPEN_IF, CreateDisposition.OVERWRITE, CreateDisposition.OVERWRITE_IF,
)  # fmt: skip
DIRECTORY, NON_DIRECTORY = CreateOption.DIRECTORY_FILE, CreateOption.NON_DIRECTORY_FILE
DOOM = CreateOption.DELETE_ON_CLOSE
BYE = LogoffRequest().pack()


# The response -------------------------------------------------------------------------------------------------------


def test_the_response_for_a_file(stocked: Any) -> None:
    peer = stocked.connect()
    _, response, _ = peer.try_create("F")
    stat = stocked.stat("f")
    [opened] = stocked.server.sessions[peer.session_id].opens.values()
    assert replace(response, oplock_level=0) == CreateResponse(
        oplock_level=0, create_action=CreateAction.OPENED, creation_time=filetime_from_ns(stat.birth_ns),
        last_access_time=filetime_from_ns(stat.access_ns), last_write_time=filetime_from_ns(stat.write_ns),
        change_time=filetime_from_ns(stat.change_ns), allocation_size=stat.allocated, end_of_file=7,
        file_attributes=FileAttribute.NORMAL, file_id_persistent=opened.persistent_id,
        file_id_volatile=opened.volatile_id,
    )  # fmt: skip
    assert opened.path == "f"


def test_the_response_for_a_directory(stocked: Any) -> None:
    response = stocked.connect().try_create("d")[1]
    assert (response.end_of_file, response.allocation_size) == (0, 0)
    assert response.file_attributes == FileAttribute.DIRECTORY


def test_ids_are_new_every_time(stocked: Any) -> None:
    peer = stocked.connect()
    ids = set()
    for _ in range(5):
        file = peer.open("f")
        ids.add((file.persistent, file.volatile))
        peer.close(file)
    assert len(ids) == 5


@pytest.mark.parametrize(
    ("disposition", "name", "action", "content"),
    [
        (SUPERSEDE, "f", CreateAction.SUPERSEDED, b""),
        (OPEN, "f", CreateAction.OPENED, b"content"),
        (OPEN_IF, "f", CreateAction.OPENED, b"content"),
        (OVERWRITE, "f", CreateAction.OVERWRITTEN, b""),
        (OVERWRITE_IF, "f", CreateAction.OVERWRITTEN, b""),
        (SUPERSEDE, "new", CreateAction.CREATED, b""),
        (CREATE, "new", CreateAction.CREATED, b""),
        (OPEN_IF, "new", CreateAction.CREATED, b""),
        (OVERWRITE_IF, "new", CreateAction.CREATED, b""),
    ],
)
def test_dispositions(stocked: Any, disposition: int, name: str, action: int, content: bytes) -> None:
    """All outcomes are in test_open_node.py; here, that overwriting cuts and nothing else does."""
    found, response, _ = stocked.connect().try_create(name, ALL, disposition)
    assert (found, response.create_action) == ("SUCCESS", action)
    assert response.end_of_file == len(content)
    assert stocked.content(name) == content


def test_overwriting_gives_the_attributes_of_a_new_file(stocked: Any) -> None:
    peer = stocked.connect()
    key = stocked.stat("f").key
    sent = {"file_attributes": FileAttribute.HIDDEN, "contexts": [alsi(50_000)]}
    _, response, _ = peer.try_create("f", ALL, OVERWRITE, **sent)
    stat = stocked.stat("f")
    assert stat.key == key
    assert stat.dos_attributes == FileAttribute.HIDDEN | FileAttribute.ARCHIVE == response.file_attributes
    assert stat.allocated == response.allocation_size >= 50_000


def alsi(size: int) -> tuple[bytes, bytes]:
    return ContextTag.ALLOCATION_SIZE, AllocationSize(allocation_size=size).pack()


def test_overwriting_where_attributes_are_not_stored(stocked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    share = stocked.server.shares["S"]
    peer = stocked.connect()
    tree = stocked.server.sessions[peer.session_id].trees[peer.tree]
    tree.volume = type("Plain", (), {
        "features": replace(share.volume.features, stores_marks=False),
        "__getattr__": lambda self, name: getattr(share.volume, name),
    })()  # fmt: skip
    assert peer.create_status("f", ALL, OVERWRITE, file_attributes=FileAttribute.HIDDEN) == "SUCCESS"
    assert stocked.stat("f").dos_attributes is None


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        (READ, Access.FILE_GENERIC_READ),
        (WRITE, Access.FILE_GENERIC_WRITE | Access.READ_ATTRIBUTES),
        (Access.GENERIC_EXECUTE, Access.FILE_GENERIC_EXECUTE),
        (ALL, Access.FILE_ALL_ACCESS),
        (MAXIMUM, Access.FILE_ALL_ACCESS),
        (Access.DELETE, Access.DELETE | Access.READ_ATTRIBUTES),
    ],
)
def test_generic_rights_are_spelled_out(stocked: Any, asked: int, granted: int) -> None:
    peer = stocked.connect()
    file = peer.open("f", asked)
    assert int.from_bytes(peer.query_info(file, FileInfo.ACCESS), "little") == granted


@pytest.mark.parametrize(
    ("settings", "file", "directory"),
    [
        ({}, 0o644, 0o755),
        ({"create_mask": 0o777, "directory_mask": 0o700}, 0o666, 0o700),
        ({"create_mask": 0, "force_mode": 0o2640, "directory_mask": 0, "force_directory_mode": 0o2750}, 0o2640, 0o2750),
    ],
)
def test_permission_bits_of_what_is_new(
    new_wire: Callable[..., Any], settings: dict[str, int], file: int, directory: int
) -> None:
    wire = new_wire(share=settings)
    peer = wire.connect()
    peer.make("file")
    peer.make("directory", options=DIRECTORY)
    peer.make("by its name\\")
    assert [wire.stat(name).mode for name in ("file", "directory", "by its name")] == [file, directory, directory]


COMPRESSED, NOT_COMPRESSED = FileAttribute.COMPRESSED, CreateOption.NO_COMPRESSION


@pytest.mark.parametrize("kind", [0, DIRECTORY])
def test_what_is_new_is_compressed_as_its_directory_is(wire: Any, peer: Any, kind: int) -> None:
    wire.make_directory("d")
    wire.memory.compression.set(wire.volume.open("d", ACCESS_READ), True)
    _, like, _ = peer.try_create("d\\like", disposition=CREATE, options=kind)
    _, unlike, _ = peer.try_create("d\\unlike", disposition=CREATE, options=kind | NOT_COMPRESSED)
    _, asking, _ = peer.try_create("asking", disposition=CREATE, options=kind, file_attributes=COMPRESSED)
    assert [made.file_attributes & COMPRESSED for made in (like, unlike, asking)] == [COMPRESSED, 0, 0]
    _, again, _ = peer.try_create("d\\like", options=kind | NOT_COMPRESSED)
    assert again.file_attributes & COMPRESSED


def test_where_nothing_is_compressed_nothing_is_kept_from_it(wire: Any, peer: Any) -> None:
    wire.memory.compression = None
    assert peer.create_status("new", disposition=CREATE, options=NOT_COMPRESSED) == "SUCCESS"


# What nobody may ask -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"impersonation_level": 4}, "BAD_IMPERSONATION_LEVEL"),
        ({"impersonation_level": 0xFFFFFFFF}, "BAD_IMPERSONATION_LEVEL"),
        ({"create_disposition": 6}, "INVALID_PARAMETER"),
        ({"create_disposition": 0xFFFFFFFF}, "INVALID_PARAMETER"),
        ({"share_access": 8}, "INVALID_PARAMETER"),
        ({"share_access": 0xFFFFFFFF}, "INVALID_PARAMETER"),
        ({"create_options": 0x01000000}, "INVALID_PARAMETER"),
        ({"create_options": DIRECTORY | NON_DIRECTORY}, "INVALID_PARAMETER"),
        ({"create_options": DIRECTORY, "create_disposition": OVERWRITE}, "INVALID_PARAMETER"),
        ({"create_options": DIRECTORY, "create_disposition": OVERWRITE_IF}, "INVALID_PARAMETER"),
        ({"create_options": DIRECTORY, "create_disposition": SUPERSEDE}, "INVALID_PARAMETER"),
        ({"create_options": CreateOption.CREATE_TREE_CONNECTION}, "NOT_SUPPORTED"),
        ({"create_options": CreateOption.OPEN_BY_FILE_ID}, "NOT_SUPPORTED"),
        ({"create_options": CreateOption.RESERVE_OPFILTER}, "NOT_SUPPORTED"),
        ({"create_options": CreateOption.OPEN_REMOTE_INSTANCE}, "INVALID_PARAMETER"),
        ({"file_attributes": 0x80000000}, "INVALID_PARAMETER"),
        ({"file_attributes": 0x00000008}, "INVALID_PARAMETER"),
        ({"desired_access": 0}, "ACCESS_DENIED"),
        ({"desired_access": 0x00000200}, "ACCESS_DENIED"),
        ({"desired_access": 0x04000000}, "ACCESS_DENIED"),
        ({"desired_access": 0xFFFFFFFF}, "ACCESS_DENIED"),
        ({"desired_access": Access.ACCESS_SYSTEM_SECURITY}, "PRIVILEGE_NOT_HELD"),
        ({"desired_access": READ, "create_options": DOOM}, "INVALID_PARAMETER"),
    ],
)
@pytest.mark.parametrize("name", ["f", "new", ""])
def test_what_nobody_may_ask(stocked: Any, fields: dict[str, int], expected: str, name: str) -> None:
    peer = stocked.connect()
    calls = sum(stocked.faults.counts.values())
    found = status_name(
        peer.status(Command.CREATE, peer.create_body(name, **{"create_disposition": OPEN_IF, **fields}))
    )
    assert found == f"STATUS_{expected}"
    assert sum(stocked.faults.counts.values()) == calls, "the platform was not even asked"
    assert stocked.content("f") == b"content"


# Sharing ------------------------------------------------------------------------------------------------------------

SHARING = {Access.READ_DATA: 1, Access.WRITE_DATA: 2, Access.DELETE: 4}  # right -> the mode that allows it


def test_share_modes(stocked: Any) -> None:
    """What either does, the other must share: every pair of rights and modes.  [MS-FSA] 2.1.5.1.2.2"""
    first, second = stocked.connect(), stocked.connect("other", "q")
    for access, mode in itertools.product(SHARING, range(8)):
        held = first.open("f", access, share=mode)
        for wanted, shared in itertools.product(SHARING, range(8)):
            fits = SHARING[wanted] & mode and SHARING[access] & shared
            expected = "SUCCESS" if fits else "SHARING_VIOLATION"
            assert second.create_status("f", wanted, share_access=shared) == expected
        first.close(held)
    stocked.check_nothing_is_open()


@pytest.mark.parametrize(("access", "mode"), [(Access.EXECUTE, 1), (Access.APPEND_DATA, 2)])
def test_executing_is_reading_and_appending_is_writing(stocked: Any, access: int, mode: int) -> None:
    first, second = stocked.connect(), stocked.connect("other", "q")
    for shared in range(8):
        held = first.open("f", Access.READ_DATA, share=shared)
        assert second.create_status("f", access) == ("SUCCESS" if shared & mode else "SHARING_VIOLATION")
        first.close(held)


@pytest.mark.parametrize("access", [Access.READ_ATTRIBUTES, Access.READ_CONTROL | Access.SYNCHRONIZE, Access.WRITE_DAC])
def test_looking_is_always_shared(stocked: Any, access: int) -> None:
    first, second = stocked.connect(), stocked.connect("other", "q")
    held = first.open("f", ALL, share=0)
    assert second.create_status("f", access, share_access=0) == "SUCCESS"
    first.close(held)
    first.open("f", access, share=0)
    assert second.create_status("f", ALL, share_access=0) == "SUCCESS"


@pytest.mark.parametrize("disposition", [OVERWRITE, OVERWRITE_IF, SUPERSEDE])
def test_what_others_do_not_share_is_not_overwritten(stocked: Any, disposition: int) -> None:
    """Whatever access is asked for: to overwrite is to write.  And the file is not cut before that is known."""
    stocked.connect().open("f", READ, share=5)
    peer = stocked.connect("other", "q")
    for access in (ALL, READ, Access.READ_ATTRIBUTES):
        assert peer.create_status("f", access, disposition) == "SHARING_VIOLATION"
    assert stocked.content("f") == b"content"


def test_share_modes_are_of_the_file_and_not_of_its_name(stocked: Any) -> None:
    stocked.volume.link("f", "g")
    stocked.connect().open("f", READ, share=0)
    assert stocked.connect().create_status("g", READ) == "SHARING_VIOLATION"


# Delete on close ----------------------------------------------------------------------------------------------------


def test_the_root_does_not_go(stocked: Any) -> None:
    assert stocked.connect().create_status("", ALL, OPEN, DOOM) == "ACCESS_DENIED"
    assert stocked.names() == ["d", "f"]


def test_a_file_marked_read_only_does_not_go(stocked: Any) -> None:
    stocked.make("ro", dos_attributes=FileAttribute.READONLY)
    peer = stocked.connect()
    assert peer.create_status("ro", Access.DELETE, OPEN, DOOM) == "CANNOT_DELETE"
    assert peer.create_status("new", ALL, CREATE, DOOM, file_attributes=FileAttribute.READONLY) == "CANNOT_DELETE"
    assert stocked.names() == ["d", "f", "ro"]


def test_nothing_goes_from_a_read_only_share(new_wire: Callable[..., Any]) -> None:
    """Not even where no right is named that would change anything."""
    wire = new_wire(share={"read_only": True})
    wire.make("f")
    peer = wire.connect()
    for access in (MAXIMUM, MAXIMUM | READ, Access.DELETE, ALL):
        assert peer.create_status("f", access, OPEN, DOOM) in ("CANNOT_DELETE", "ACCESS_DENIED")
    assert wire.names() == ["f"]
    wire.check_nothing_is_open()


def test_nothing_goes_that_the_user_may_not_delete(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(accounts=[ALICE], share={"run_as": "alice"})
    wire.make("f", mode=0o666)
    peer = wire.connect()
    for access in (MAXIMUM, Access.DELETE):
        assert peer.create_status("f", access, OPEN, DOOM) == "ACCESS_DENIED"
    assert wire.names() == ["f"]


# Limits and errors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["opens_per_session", "opens"])
def test_opens_are_bounded(new_wire: Callable[..., Any], limit: str) -> None:
    wire = new_wire(limits=Limits(**{limit: 3}))
    wire.make("f")
    peer = wire.connect()
    files = [peer.open("f") for _ in range(3)]
    assert peer.create_status("f") == "TOO_MANY_OPENED_FILES"
    assert wire.connect().create_status("f") == ("SUCCESS" if limit == "opens_per_session" else "TOO_MANY_OPENED_FILES")
    peer.close(files[0])
    assert peer.create_status("f") == "SUCCESS"


ERRORS = {
    errno.EMFILE: "TOO_MANY_OPENED_FILES",
    errno.ENFILE: "TOO_MANY_OPENED_FILES",
    errno.EACCES: "ACCESS_DENIED",
    errno.EXDEV: "ACCESS_DENIED",
    errno.EIO: "UNEXPECTED_IO_ERROR",
    errno.ESTALE: "FILE_CLOSED",
    errno.ENODEV: "NO_SUCH_DEVICE",
    errno.ETXTBSY: "SHARING_VIOLATION",
}


@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
def test_errors_of_opening(stocked: Any, number: int) -> None:
    stocked.faults.fail("Volume.open", number)
    peer = stocked.connect()
    assert peer.create_status("f") == ERRORS[number]
    stocked.check_nothing_is_open()
    assert peer.create_status("f") == "SUCCESS"


@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.ENOSPC, "DISK_FULL"), (errno.EDQUOT, "DISK_FULL"), (errno.EROFS, "MEDIA_WRITE_PROTECTED")],
)
@pytest.mark.parametrize(("call", "options"), [("Volume.create", 0), ("Volume.make_directory", DIRECTORY)])
def test_errors_of_making(stocked: Any, number: int, expected: str, call: str, options: int) -> None:
    stocked.faults.fail(call, number)
    assert stocked.connect().create_status("new", ALL, CREATE, options) == expected
    assert stocked.names() == ["d", "f"]
    stocked.check_nothing_is_open()


@pytest.mark.parametrize("call", ["File.resize", "File.set_marks", "File.stat"])
@pytest.mark.parametrize("options", [0, DOOM])
def test_errors_of_overwriting(stocked: Any, call: str, options: int) -> None:
    """No open is left, no name goes by an open that the client never had, and the next one works."""
    peer = stocked.connect()
    stocked.faults.fail(call, errno.EIO)
    assert peer.create_status("f", ALL, OVERWRITE, options) == "UNEXPECTED_IO_ERROR"
    assert "f" in stocked.names()
    stocked.check_nothing_is_open()
    assert peer.create_status("f", ALL, OVERWRITE) == "SUCCESS"


def test_a_file_that_others_doom_while_it_could_not_be_cut(stocked: Any) -> None:
    """The last open to go takes the name along, even if it was one that failed."""
    first, second = stocked.connect(), stocked.connect("other", "q")
    doomer = second.open("f", Access.DELETE, options=DOOM)
    stocked.faults.force_threads("File.resize")
    stocked.faults.do_before("File.resize", lambda: second.close(doomer))
    stocked.faults.fail("File.resize", errno.EIO)
    assert first.create_status("f", ALL, OVERWRITE) == "UNEXPECTED_IO_ERROR"
    assert stocked.names() == ["d"]
    stocked.check_nothing_is_open()


def test_a_share_whose_directory_went(stocked: Any) -> None:
    stocked.faults.fail("Volume.open", errno.ENOENT, times=None)
    stocked.faults.fail("Volume.stat", errno.ENOENT, times=None)
    peer = stocked.connect()
    for name, disposition in itertools.product(("", "f", "new"), (OPEN, OPEN_IF)):
        assert peer.create_status(name, ALL, disposition) == "OBJECT_PATH_NOT_FOUND"


def test_a_refusal_is_explained_in_the_log(new_wire: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    """Whose rights met what, which no status tells; the client learns nothing of it."""
    wire = new_wire(accounts=[ALICE], share={"run_as": "alice"})
    wire.make("secret", mode=0o600)
    wire.make_directory("closed", mode=0o700)
    peer = wire.connect()
    with caplog.at_level(logging.WARNING):
        assert peer.create_status("secret", READ) == "ACCESS_DENIED"
        assert peer.create_status("closed\\x", READ) == "ACCESS_DENIED"
    first, second = caplog.messages[-2:]
    assert "u, acting as alice (uid 1001, gid 1001), may not open 'secret' on share s" in first
    assert first.endswith("mode 0600 of owner 0, group 0")
    assert "the directories above it" in second


# What happens meanwhile ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "sent"), [(Command.LOGOFF, BYE), (Command.TREE_DISCONNECT, TreeDisconnectRequest().pack())]
)
@pytest.mark.parametrize(("name", "call"), [("f", "Volume.open"), ("new", "Volume.create")])
def test_the_tree_goes_while_a_create_is_in_a_thread(
    stocked: Any, command: int, sent: bytes, name: str, call: str
) -> None:
    """Both are answered, and no handle is left with nobody to close it."""
    peer = stocked.connect()
    stocked.faults.force_threads()
    gone: list[int] = []
    stocked.faults.do_before(call, lambda: gone.append(peer.status(command, sent)))
    [(header, _)] = peer.send(Command.CREATE, peer.create_body(name, create_disposition=OPEN_IF))[-1:]
    assert status_name(header.status) == "STATUS_NETWORK_NAME_DELETED"
    assert gone == [Status.SUCCESS]
    stocked.check_nothing_is_open()


def test_a_logoff_while_the_file_is_cut(stocked: Any) -> None:
    """The handle lives until the cut is done: its number could be another file's by then."""
    peer = stocked.connect()
    stocked.faults.force_threads("File.resize")
    seen: list[int] = []
    stocked.faults.do_before("File.resize", lambda: seen.append(peer.status(Command.LOGOFF, BYE)))
    stocked.faults.do_before("File.resize", lambda: seen.append(stocked.memory.open_handles))
    header, _ = peer.send(Command.CREATE, peer.create_body("f", create_disposition=OVERWRITE))[-1]
    assert header.status != Status.SUCCESS
    assert seen == [Status.SUCCESS, 1]
    stocked.check_nothing_is_open()


def test_another_open_while_the_file_is_being_opened(stocked: Any) -> None:
    """Share modes are looked at when the thread is back, so two that exclude each other never both succeed."""
    first, second = stocked.connect(), stocked.connect("other", "q")
    stocked.faults.force_threads("Volume.open")
    stocked.faults.do_before("Volume.open", lambda: second.open("f", ALL, share=0))
    assert first.create_status("f", ALL, share_access=0) == "SHARING_VIOLATION"


def test_everything_in_threads(stocked: Any) -> None:
    stocked.faults.force_threads()
    peer = stocked.connect()
    for name, disposition in (("F", OPEN), ("new", CREATE), ("f", OVERWRITE), ("D\\X", SUPERSEDE)):
        assert peer.create_status(name, ALL, disposition) == "SUCCESS"
    assert stocked.content("d/x") == b""
    stocked.check_nothing_is_open()


def test_a_related_request_gets_the_new_open(stocked: Any) -> None:
    peer = stocked.connect()
    first = peer.message(Command.CREATE, peer.create_body("f"), tree_id=peer.tree)
    first += bytes(-len(first) % 8)
    first[20:24] = len(first).to_bytes(4, "little")
    ids = {"file_id_persistent": (1 << 64) - 1, "file_id_volatile": (1 << 64) - 1}
    second = peer.message(Command.CLOSE, CloseRequest(**ids).pack(), tree_id=peer.tree, flags=4)
    [frame] = peer.connection.receive(peer.protect(first) + peer.protect(second))
    header = Header.unpack_from(frame)
    assert header.status == Status.SUCCESS
    assert Header.unpack_from(frame, header.next_command).status == Status.SUCCESS
    stocked.check_nothing_is_open()


# Oplocks: more in test_oplock_break.py ------------------------------------------------------------------------------


def test_an_open_waits_until_an_oplock_is_given_up(stocked: Any) -> None:
    """Nothing is held meanwhile; the wait ends with the close of what had the oplock."""
    holder, second = stocked.connect(), stocked.connect("other", "q")
    held = holder.create(holder.tree, "f", access=ALL, oplock=OplockLevel.BATCH)
    assert held.oplock_level == OplockLevel.BATCH
    [(pending, _)] = second.send(Command.CREATE, second.create_body("f", create_disposition=OVERWRITE))
    assert pending.status == Status.PENDING
    assert stocked.memory.open_handles == 1
    assert stocked.content("f") == b"content"
    holder.close(held)
    [frame] = second.connection.resume()
    assert Header.unpack_from(frame).status == Status.SUCCESS
    assert stocked.content("f") == b""


def test_a_new_file_that_others_open_before_it_is_ready(stocked: Any) -> None:
    """It is opened again when they let go, and it is still this client that made it."""
    first, second = stocked.connect(), stocked.connect("other", "q")
    held: list[Any] = []
    stocked.faults.do_before(
        "File.set_marks", lambda: held.append(second.create(second.tree, "new", access=ALL, oplock=OplockLevel.BATCH))
    )
    [(pending, _)] = first.send(Command.CREATE, first.create_body("new", create_disposition=CREATE))
    assert pending.status == Status.PENDING
    second.close(held[0])
    [frame] = first.connection.resume()
    assert CreateResponse.unpack_from(frame, HEADER_SIZE).create_action == CreateAction.CREATED


def test_what_others_read_while_the_file_is_cut_is_old(stocked: Any) -> None:
    first, second = stocked.connect(), stocked.connect("other", "q")
    stocked.faults.force_threads("File.resize")
    stocked.faults.do_before(
        "File.resize", lambda: second.create(second.tree, "f", access=READ, oplock=OplockLevel.LEVEL_II)
    )
    assert first.create_status("f", ALL, OVERWRITE) == "SUCCESS"
    [frame] = second.connection.resume()
    assert Header.unpack_from(frame).command == Command.OPLOCK_BREAK


def test_the_tree_goes_while_an_oplock_is_waited_for(stocked: Any) -> None:
    holder, second = stocked.connect(), stocked.connect("other", "q")
    held = holder.create(holder.tree, "f", access=ALL, oplock=OplockLevel.BATCH)
    second.send(Command.CREATE, second.create_body("f"))
    second.send(Command.TREE_DISCONNECT, TreeDisconnectRequest().pack())
    holder.close(held)
    [frame] = second.connection.resume()
    assert Header.unpack_from(frame).status == Status.NETWORK_NAME_DELETED
    stocked.check_nothing_is_open()


def test_a_violation_that_a_close_would_heal(stocked: Any) -> None:
    holder, second = stocked.connect(), stocked.connect("other", "q")
    held = holder.create(holder.tree, "f", access=ALL, oplock=OplockLevel.BATCH, share=0)
    [(pending, _)] = second.send(Command.CREATE, second.create_body("f"))
    assert pending.status == Status.PENDING
    holder.close(held)
    [frame] = second.connection.resume()
    assert Header.unpack_from(frame).status == Status.SUCCESS


def test_looking_breaks_no_oplock(stocked: Any) -> None:
    holder, second = stocked.connect(), stocked.connect("other", "q")
    holder.create(holder.tree, "f", access=ALL, oplock=OplockLevel.BATCH)
    assert second.create_status("f", Access.READ_ATTRIBUTES, requested_oplock_level=OplockLevel.BATCH) == "SUCCESS"
    assert holder.connection.resume() == []


# Pipes --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ipc(wire: Any) -> Any:
    return wire.connect(share="IPC$")


@pytest.mark.parametrize("name", ["srvsvc", "SRVSVC", "\\srvsvc", "\\PIPE\\srvsvc", "pipe\\wkssvc"])
def test_pipes_by_name(ipc: Any, name: str) -> None:
    found, response, _ = ipc.try_create(name, READ | WRITE)
    assert found == "SUCCESS"
    assert (response.create_action, response.file_attributes) == (CreateAction.OPENED, FileAttribute.NORMAL)


def test_pipes_are_bounded(new_wire: Callable[..., Any]) -> None:
    peer = new_wire(limits=Limits(pipes_per_session=2)).connect(share="IPC$")
    for expected in ("SUCCESS", "SUCCESS", "INSUFFICIENT_RESOURCES"):
        assert peer.try_create("srvsvc")[0] == expected


def shares_seen(wire: Any, peer: Any) -> list[tuple[str, str]]:
    """(name, path) of what browsing through this client's pipe shows."""
    peer.try_create("srvsvc")
    [opened] = [one for session in wire.server.sessions.values() for one in session.opens.values()]
    info = opened.pipe._association._describe()
    return [(share.name, share.path) for share in info.shares]


def test_browsing_tells_no_path_of_the_host(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(
        shares=(
            ShareSettings(name="open", path="/srv/data"),
            ShareSettings(name="secret", path="/srv/secret", hidden=True),
        )
    )
    assert shares_seen(wire, wire.connect(share="IPC$")) == [("IPC$", ""), ("open", "C:\\open")]


def test_anonymous_users_see_no_shares(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(anonymous="ipc-only")
    peer = wire.connect(share="IPC$")
    [session] = wire.server.sessions.values()
    session.user = replace(session.user, kind="anonymous")
    assert shares_seen(wire, peer) == [("IPC$", "")]


def test_whose_files_they_are(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(accounts=[ALICE], share={"run_as": "client"})
    wire.users.put(UserRecord("alice", nt_hash("p")))
    root = wire.volume.open("", ACCESS_WRITE)
    root.set_mode(0o777)
    root.close()
    peer = wire.connect("alice")
    peer.close(peer.make("hers"))
    assert wire.stat("hers").uid == 1001
