"""CHANGE_NOTIFY: who hears of what, how a request waits and ends, and what asks in vain."""

from collections.abc import Callable
from typing import Any

import pytest

from smbport.state.settings import Limits
from smbport.wire.change import (
    ChangeNotifyFlag,
    ChangeNotifyRequest,
    ChangeNotifyResponse,
    CompletionFilter,
    NotifyAction,
    change_notify_output,
    parse_notify_information,
)
from smbport.wire.constants import (
    Access,
    Command,
    CreateDisposition,
    CreateOption,
    FileAttribute,
    FileInfo,
    HeaderFlag,
    InfoType,
)
from smbport.wire.echo import CancelRequest
from smbport.wire.file import CloseRequest
from smbport.wire.fscc import (
    FileAllocationInformation,
    FileBasicInformation,
    FileDispositionInformation,
    FileEndOfFileInformation,
    FileLinkInformation,
    FileRenameInformation,
    pack_with_name,
)
from smbport.wire.header import HEADER_SIZE, Header
from smbport.wire.session import LogoffRequest
from smbport.wire.status import Status, StatusError, status_name
from smbport.wire.tree import TreeDisconnectRequest

ADDED, REMOVED, MODIFIED = NotifyAction.ADDED, NotifyAction.REMOVED, NotifyAction.MODIFIED
OLD, NEW = NotifyAction.RENAMED_OLD_NAME, NotifyAction.RENAMED_NEW_NAME
ALL = 0xFFF
TREE = ChangeNotifyFlag.WATCH_TREE
ALL_ONES = (1 << 64) - 1

Outcome = list[tuple[int, str]] | str
Op = Callable[[Any], None]


def body(file: Any, length: int = 4096, **fields: int) -> bytes:
    ids = {"file_id_persistent": file.persistent, "file_id_volatile": file.volatile}
    return ChangeNotifyRequest(output_buffer_length=length, **{"completion_filter": ALL, **ids, **fields}).pack()


def outcome(frame: bytes) -> Outcome:
    """The changes, or the status without STATUS_ and with nothing behind it."""
    header = Header.unpack_from(frame)
    response = ChangeNotifyResponse.unpack_from(frame, HEADER_SIZE)
    if header.status == Status.SUCCESS:
        return parse_notify_information(change_notify_output(frame, response))
    assert len(frame) == HEADER_SIZE + ChangeNotifyResponse.STRUCTURE_SIZE
    assert response.output_buffer_length == 0
    return status_name(header.status).removeprefix("STATUS_")


def ask(peer: Any, file: Any, length: int = 4096, **fields: int) -> Outcome:
    """What comes at once."""
    charge = max((length - 1) // 65536 + 1, 1)
    [(_, frame)] = peer.send(Command.CHANGE_NOTIFY, body(file, length, **fields), charge=charge)
    return outcome(frame)


def answers(peer: Any) -> list[Outcome]:
    """What has come since for requests that waited."""
    return [outcome(frame) for frame in peer.connection.resume()]


def cancel(peer: Any, message_id: int) -> list[Outcome]:
    message = peer.message(Command.CANCEL, CancelRequest().pack(), message_id=message_id)
    return [outcome(frame) for _, frame in peer.frames(message)]


def close(peer: Any, file: Any) -> list[tuple[Header, bytes]]:
    request = CloseRequest(flags=0, file_id_persistent=file.persistent, file_id_volatile=file.volatile)
    frames: list[tuple[Header, bytes]] = peer.send(Command.CLOSE, request.pack())
    return frames


def status(peer: Any, file: Any, length: int = 4096, **fields: int) -> str:
    """How a request ends that does not wait."""
    found = ask(peer, file, length, **fields)
    assert isinstance(found, str)
    return found


@pytest.fixture
def wire(new_wire: Any) -> Any:
    """A server that leaves alone what others do to its files."""
    return new_wire(share={"local_changes": "none"})


@pytest.fixture
def watcher(wire: Any) -> Any:
    """A client that has the directory d open, as `watcher.d`; in it are f, g and the directory e with h."""
    for path in ("d", "d/e"):
        wire.make_directory(path)
    for path in ("d/f", "d/g", "d/e/h"):
        wire.make(path, b"content")
    peer = wire.connect()
    peer.d = peer.open("d", Access.GENERIC_READ)
    return peer


@pytest.fixture
def doer(wire: Any, watcher: Any) -> Any:
    """The client that changes things."""
    return wire.connect()


# What is told -------------------------------------------------------------------------------------------------------


def create(peer: Any) -> None:
    peer.close(peer.make("d\\new"))


def make_directory(peer: Any) -> None:
    peer.close(peer.make("d\\new", options=CreateOption.DIRECTORY_FILE))


def overwrite(peer: Any) -> None:
    peer.close(peer.create(peer.tree, "d\\f", access=Access.GENERIC_ALL, disposition=CreateDisposition.OVERWRITE))


def write(peer: Any) -> None:
    file = peer.open("d\\f")
    peer.write(file, 0, b"one")
    peer.write(file, 3, b"two")
    peer.close(file)


def delete(peer: Any) -> None:
    peer.close(peer.open("d\\f", options=CreateOption.DELETE_ON_CLOSE))


def delete_written(peer: Any) -> None:
    file = peer.open("d\\f", options=CreateOption.DELETE_ON_CLOSE)
    peer.write(file, 0, b"one")
    peer.close(file)


def remove_directory(peer: Any) -> None:
    peer.close(peer.open("d\\e\\h", options=CreateOption.DELETE_ON_CLOSE))
    peer.close(peer.open("d\\e", options=CreateOption.DELETE_ON_CLOSE))


def rename(old: str, new: str) -> Op:
    def op(peer: Any) -> None:
        file = peer.open(old)
        data = pack_with_name(FileRenameInformation(replace_if_exists=True, root_directory=0), new)
        peer.set_info(file, FileInfo.RENAME, data)
        peer.close(file)

    return op


def link(new: str) -> Op:
    def op(peer: Any) -> None:
        file = peer.open("d\\f")
        data = pack_with_name(FileLinkInformation(replace_if_exists=True, root_directory=0), new)
        peer.set_info(file, FileInfo.LINK, data)
        peer.close(file)

    return op


def set_basic(**wanted: int) -> Op:
    def op(peer: Any) -> None:
        fields = {"creation_time": 0, "last_access_time": 0, "last_write_time": 0, "change_time": 0,
                  "file_attributes": 0, **wanted}  # fmt: skip
        file = peer.open("d\\f")
        peer.set_info(file, FileInfo.BASIC, FileBasicInformation(**fields).pack())
        peer.close(file)

    return op


def set_end_of_file(peer: Any) -> None:
    file = peer.open("d\\f")
    peer.set_info(file, FileInfo.END_OF_FILE, FileEndOfFileInformation(end_of_file=3).pack())
    peer.close(file)


def set_allocation(peer: Any) -> None:
    file = peer.open("d\\f")
    peer.set_info(file, FileInfo.ALLOCATION, FileAllocationInformation(allocation_size=0).pack())
    peer.close(file)


def set_security(peer: Any) -> None:
    dacl = 4
    file = peer.open("d\\f")
    descriptor = peer.query_info(file, 0, info_type=InfoType.SECURITY, additional=dacl)
    peer.set_info(file, 0, descriptor, info_type=InfoType.SECURITY, additional=dacl)
    peer.close(file)


F, D = CompletionFilter.FILE_NAME, CompletionFilter.DIR_NAME
ATTRIBUTES, AT_CLOSE = CompletionFilter.ATTRIBUTES, CompletionFilter.ATTRIBUTES | CompletionFilter.CREATION
WRITTEN = CompletionFilter.SIZE | CompletionFilter.LAST_WRITE
A_TIME = 130_000_000_000_000_000

# What is done; what is told of it, with the bits of the filter of which any will do.
OPERATIONS: dict[str, tuple[Op, list[tuple[int, int, str]]]] = {
    "create": (create, [(F, ADDED, "new")]),
    "make a directory": (make_directory, [(D, ADDED, "new")]),
    "overwrite": (overwrite, [(ATTRIBUTES | WRITTEN, MODIFIED, "f")]),
    "write": (write, [(WRITTEN, MODIFIED, "f")]),
    "delete": (delete, [(F, REMOVED, "f")]),
    "delete what was written": (delete_written, [(F, REMOVED, "f")]),
    "remove a directory": (remove_directory, [(D, REMOVED, "e")]),
    "rename": (rename("d\\f", "d\\new"), [(F, OLD, "f"), (F, NEW, "new"), (AT_CLOSE, MODIFIED, "new")]),
    "change the case": (rename("d\\f", "d\\F"), [(F, OLD, "f"), (F, NEW, "F"), (AT_CLOSE, MODIFIED, "F")]),
    "rename a directory": (rename("d\\e", "d\\new"), [(D, OLD, "e"), (D, NEW, "new")]),
    "replace": (
        rename("d\\f", "d\\g"),
        [(F, REMOVED, "g"), (F, OLD, "f"), (F, NEW, "g"), (AT_CLOSE, MODIFIED, "g")],
    ),
    "move in": (rename("d\\e\\h", "d\\h"), [(F, ADDED, "h"), (AT_CLOSE, MODIFIED, "h")]),
    "move out": (rename("d\\f", "d\\e\\f"), [(F, REMOVED, "f")]),
    "move a directory out": (rename("d\\e", "e"), [(D, REMOVED, "e")]),
    "link": (link("d\\new"), [(F, ADDED, "new")]),
    "link over": (link("d\\g"), [(F, REMOVED, "g"), (F, ADDED, "g")]),
    "set attributes": (set_basic(file_attributes=FileAttribute.HIDDEN), [(ATTRIBUTES, MODIFIED, "f")]),
    "set the time of creation": (set_basic(creation_time=A_TIME), [(CompletionFilter.CREATION, MODIFIED, "f")]),
    "set the time of access": (set_basic(last_access_time=A_TIME), [(CompletionFilter.LAST_ACCESS, MODIFIED, "f")]),
    "set the time of writing": (set_basic(last_write_time=A_TIME), [(CompletionFilter.LAST_WRITE, MODIFIED, "f")]),
    "set nothing": (set_basic(), []),
    "set the size": (set_end_of_file, [(CompletionFilter.SIZE, MODIFIED, "f")]),
    "set the allocation": (set_allocation, [(CompletionFilter.SIZE, MODIFIED, "f")]),
    "set security": (set_security, [(CompletionFilter.SECURITY, MODIFIED, "f")]),
}


class Ear:
    """A listener without a filter."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, int, str]] = []

    def changed(self, action: int, name: str, what: int, by: Any) -> None:
        self.heard.append((what, action, name))

    def lost(self) -> None:
        raise AssertionError


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_change_is_reported_once(wire: Any, watcher: Any, doer: Any, name: str) -> None:
    operation, told = OPERATIONS[name]
    [share] = wire.server.shares.values()
    ear = Ear()
    share.changes.add("d", ear, tree=False)
    operation(doer)
    assert ear.heard == told


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_filter(wire: Any, watcher: Any, doer: Any, name: str) -> None:
    """A directory is watched with each bit alone, and with all of them."""
    operation, told = OPERATIONS[name]
    filters = [1 << bit for bit in range(12)] + [ALL, 0]
    files = [watcher.open("d", Access.GENERIC_READ) for _ in filters]
    for file, bits in zip(files, filters, strict=True):
        assert ask(watcher, file, completion_filter=bits) == "PENDING"
        assert cancel(watcher, watcher.message_id - 1) == ["CANCELLED"]
    operation(doer)
    for file, bits in zip(files, filters, strict=True):
        expected = [(action, path) for what, action, path in told if what & bits]
        assert ask(watcher, file) == (expected or "PENDING")


def test_a_name_goes_when_the_last_of_two_links_does_not(wire: Any, watcher: Any, doer: Any) -> None:
    """A rename to another name of the same file only takes the old one away."""
    link("d\\new")(doer)
    assert ask(watcher, watcher.d) == "PENDING"
    rename("d\\f", "d\\new")(doer)
    assert answers(watcher) == [[(REMOVED, "f")]]


def test_a_file_without_a_watched_directory(wire: Any, doer: Any) -> None:
    """Nobody hears of it, and nothing is kept for anybody."""
    write(doer)
    [share] = wire.server.shares.values()
    assert not share.changes


def test_what_is_written_is_told_when_it_is_closed(watcher: Any, doer: Any) -> None:
    file = doer.open("d\\f")
    doer.write(file, 0, b"one")
    assert ask(watcher, watcher.d) == "PENDING"
    assert answers(watcher) == []
    doer.close(file)
    assert answers(watcher) == [[(MODIFIED, "f")]]


def test_a_session_that_ends_tells_what_it_wrote(watcher: Any, doer: Any) -> None:
    doer.write(doer.open("d\\f"), 0, b"one")
    assert ask(watcher, watcher.d) == "PENDING"
    doer.connection.close()
    assert answers(watcher) == [[(MODIFIED, "f")]]


def test_own_changes_are_told_too(watcher: Any) -> None:
    assert ask(watcher, watcher.d) == "PENDING"
    file = watcher.message(Command.CREATE, watcher.create_body("d\\new", create_disposition=2), tree_id=watcher.tree)
    told, created = (frame for _, frame in watcher.frames(file))
    if Header.unpack_from(told).command == Command.CREATE:
        told, created = created, told
    assert outcome(told) == [(ADDED, "new")]
    assert Header.unpack_from(created).status == Status.SUCCESS


def test_trees(watcher: Any, doer: Any) -> None:
    """Without the flag only the entries; with it everything below, by its path from there."""
    tree, root = watcher.open("d", Access.GENERIC_READ), watcher.open("", Access.GENERIC_READ)
    for file, flags in ((watcher.d, 0), (tree, TREE), (root, TREE)):
        assert ask(watcher, file, flags=flags) == "PENDING"
    doer.close(doer.make("d\\e\\new"))
    assert answers(watcher) == [[(ADDED, "e\\new")], [(ADDED, "d\\e\\new")]]
    doer.close(doer.make("d\\new"))
    assert answers(watcher) == [[(ADDED, "new")]]


def test_the_directory_itself_is_not_told_of(watcher: Any, doer: Any) -> None:
    assert ask(watcher, watcher.d, flags=TREE) == "PENDING"
    file = doer.open("d")
    doer.set_info(file, FileInfo.BASIC, FileBasicInformation(
        creation_time=0, last_access_time=0, last_write_time=A_TIME, change_time=0, file_attributes=0
    ).pack())  # fmt: skip
    doer.close(file)
    assert answers(watcher) == []


def test_a_directory_that_is_renamed_stays_watched(wire: Any, watcher: Any, doer: Any) -> None:
    inner = watcher.open("d\\e", Access.GENERIC_READ)
    assert ask(watcher, inner) == "PENDING"
    file = doer.open("d\\e")
    data = pack_with_name(FileRenameInformation(replace_if_exists=False, root_directory=0), "moved")
    doer.set_info(file, FileInfo.RENAME, data)
    wire.make_directory("d/e")
    doer.close(doer.make("d\\e\\new"))
    assert answers(watcher) == []
    doer.close(doer.make("moved\\new"))
    assert answers(watcher) == [[(ADDED, "new")]]
    for each in (file, inner):
        (doer if each is file else watcher).close(each)
    [share] = wire.server.shares.values()
    assert not share.changes


# Waiting ------------------------------------------------------------------------------------------------------------


def test_the_first_request_says_what_is_told(watcher: Any, doer: Any) -> None:
    """Filter, tree and size of later ones do not matter."""
    assert ask(watcher, watcher.d, 14, completion_filter=CompletionFilter.DIR_NAME) == "PENDING"
    create(doer)
    assert ask(watcher, watcher.d, completion_filter=ALL, flags=TREE) == "PENDING"
    doer.close(doer.make("d\\e\\n", options=CreateOption.DIRECTORY_FILE))
    doer.close(doer.make("d\\n", options=CreateOption.DIRECTORY_FILE))
    assert answers(watcher) == [[(ADDED, "n")]]
    doer.close(doer.make("d\\nn", options=CreateOption.DIRECTORY_FILE))
    assert answers(watcher) == ["NOTIFY_ENUM_DIR"]


def test_what_happens_between_requests_is_kept(watcher: Any, doer: Any) -> None:
    assert ask(watcher, watcher.d) == "PENDING"
    create(doer)
    assert answers(watcher) == [[(ADDED, "new")]]
    rename("d\\new", "d\\newer")(doer)
    delete(doer)
    assert ask(watcher, watcher.d) == [(OLD, "new"), (NEW, "newer"), (MODIFIED, "newer"), (REMOVED, "f")]
    assert ask(watcher, watcher.d) == "PENDING"


def test_requests_are_answered_in_their_order(watcher: Any, doer: Any) -> None:
    for _ in range(2):
        assert ask(watcher, watcher.d) == "PENDING"
    create(doer)
    assert answers(watcher) == [[(ADDED, "new")]]
    rename("d\\new", "d\\newer")(doer)
    assert answers(watcher) == [[(OLD, "new"), (NEW, "newer")]]


def test_too_much_for_a_buffer(watcher: Any, doer: Any) -> None:
    """The client has to list the directory; what comes later fits again."""
    assert ask(watcher, watcher.d, 100) == "PENDING"
    assert cancel(watcher, watcher.message_id - 1) == ["CANCELLED"]
    for number in range(10):
        doer.close(doer.make(f"d\\file {number}"))
    assert ask(watcher, watcher.d) == "NOTIFY_ENUM_DIR"
    create(doer)
    assert ask(watcher, watcher.d, 17) == "NOTIFY_ENUM_DIR"
    assert ask(watcher, watcher.d, 0) == "PENDING"
    create_again = doer.make("d\\newest")
    assert answers(watcher) == ["NOTIFY_ENUM_DIR"]
    doer.close(create_again)


def test_what_is_kept_is_limited_by_the_server(new_wire: Any) -> None:
    wire = new_wire(limits=Limits(notify_size=20))
    peer = wire.connect()
    root = peer.open("", Access.GENERIC_READ)
    assert ask(peer, root) == "PENDING"
    assert cancel(peer, peer.message_id - 1) == ["CANCELLED"]
    peer.close(peer.make("1234"))
    assert ask(peer, root) == [(ADDED, "1234")]
    peer.close(peer.make("12345"))
    assert ask(peer, root) == "NOTIFY_ENUM_DIR"


def test_waiting_takes_no_frame(watcher: Any) -> None:
    """Neither its own bytes nor those of what came in the same frame are kept."""
    assert ask(watcher, watcher.d) == "PENDING"
    [waiter] = watcher.connection.waiting
    assert not waiter.chain.holds_frame
    assert [len(call.message) for call in waiter.chain.calls] == [HEADER_SIZE]


def test_what_happens_while_a_tree_is_scanned(new_wire: Any) -> None:
    """Before it waits, the server looks for what others could change.  What it does itself meanwhile is not missed."""
    wire = new_wire()
    wire.make_directory("d")
    watcher, doer = wire.connect(), wire.connect()
    root = watcher.open("", Access.GENERIC_READ)
    wire.faults.do_before("Directory.entries", lambda: create(doer))
    pending, told = watcher.send(Command.CHANGE_NOTIFY, body(root, flags=TREE))
    assert [outcome(pending[1]), outcome(told[1])] == ["PENDING", [(ADDED, "d\\new")]]


def test_a_close_while_a_tree_is_scanned(new_wire: Any) -> None:
    wire = new_wire()
    watcher = wire.connect()
    root = watcher.open("", Access.GENERIC_READ)
    [state] = wire.server.sessions[watcher.session_id].opens.values()
    wire.faults.do_before("Directory.entries", lambda: wire.server.close_open(state))
    assert ask(watcher, root, flags=TREE) == "NOTIFY_CLEANUP"
    wire.check_nothing_is_open()


# The end of the wait ------------------------------------------------------------------------------------------------


def test_cancel(watcher: Any, doer: Any) -> None:
    """One request of two; what happens afterwards is the other's."""
    for _ in range(2):
        assert ask(watcher, watcher.d) == "PENDING"
    assert cancel(watcher, watcher.message_id - 2) == ["CANCELLED"]
    create(doer)
    assert answers(watcher) == [[(ADDED, "new")]]


def test_cancel_of_what_is_done(watcher: Any, doer: Any) -> None:
    assert ask(watcher, watcher.d) == "PENDING"
    asked = watcher.message_id - 1
    create(doer)
    assert cancel(watcher, asked) == [[(ADDED, "new")]]
    assert cancel(watcher, asked) == []
    delete(doer)
    assert ask(watcher, watcher.d) == [(REMOVED, "f")]


def test_close(wire: Any, watcher: Any) -> None:
    for _ in range(2):
        assert ask(watcher, watcher.d) == "PENDING"
    closed, *ended = close(watcher, watcher.d)
    assert closed[0].status == Status.SUCCESS
    assert [outcome(frame) for _, frame in ended] == ["NOTIFY_CLEANUP"] * 2
    [share] = wire.server.shares.values()
    assert not share.changes
    wire.check_nothing_is_open()


@pytest.mark.parametrize(
    ("command", "request_body"),
    [(Command.TREE_DISCONNECT, TreeDisconnectRequest().pack()), (Command.LOGOFF, LogoffRequest().pack())],
)
def test_the_tree_or_the_session_ends(wire: Any, watcher: Any, command: int, request_body: bytes) -> None:
    assert ask(watcher, watcher.d) == "PENDING"
    ended, told = watcher.send(command, request_body)
    assert ended[0].status == Status.SUCCESS
    assert outcome(told[1]) == "NOTIFY_CLEANUP"
    wire.check_nothing_is_open()


def test_the_client_replaces_its_session(wire: Any, watcher: Any) -> None:
    assert ask(watcher, watcher.d) == "PENDING"
    again = wire.client()
    again.negotiate([watcher.dialect])
    again.log_on("u", "p", previous_session_id=watcher.session_id)
    assert answers(watcher) == ["NOTIFY_CLEANUP"]


def test_the_connection_ends(wire: Any, watcher: Any, doer: Any) -> None:
    assert ask(watcher, watcher.d) == "PENDING"
    watcher.connection.close()
    create(doer)
    wire.check_nothing_is_open()


def test_the_directory_is_deleted(watcher: Any, doer: Any) -> None:
    """By a handle that is closed: all others hear it at once, and those who ask afterwards."""
    inner, beside = (watcher.open("d\\e", Access.GENERIC_READ) for _ in range(2))
    doer.close(doer.open("d\\e\\h", options=CreateOption.DELETE_ON_CLOSE))
    for file in (inner, beside):
        assert ask(watcher, file) == "PENDING"
    doer.close(doer.open("d\\e", options=CreateOption.DELETE_ON_CLOSE))
    assert answers(watcher) == ["DELETE_PENDING"] * 2
    assert ask(watcher, inner) == "DELETE_PENDING"


def test_the_directory_is_marked_for_deletion_and_spared(watcher: Any, doer: Any) -> None:
    doer.close(doer.open("d\\e\\h", options=CreateOption.DELETE_ON_CLOSE))
    inner, doomed = watcher.open("d\\e", Access.GENERIC_READ), doer.open("d\\e")
    assert ask(watcher, inner) == "PENDING"
    doer.set_info(doomed, FileInfo.DISPOSITION, FileDispositionInformation(delete_pending=True).pack())
    assert answers(watcher) == ["DELETE_PENDING"]
    doer.set_info(doomed, FileInfo.DISPOSITION, FileDispositionInformation(delete_pending=False).pack())
    assert ask(watcher, inner) == "PENDING"
    doer.close(doer.make("d\\e\\new"))
    assert answers(watcher) == [[(ADDED, "new")]]


# Compounds ----------------------------------------------------------------------------------------------------------


def chain(peer: Any, *elements: tuple[int, bytes]) -> list[list[tuple[Header, bytes]]]:
    """Related requests in one frame; the frames that come, each as its elements."""
    messages = [
        peer.message(command, sent, tree_id=peer.tree, flags=HeaderFlag.RELATED_OPERATIONS if index else 0)
        for index, (command, sent) in enumerate(elements)
    ]
    for message in messages[:-1]:
        message += bytes(-len(message) % 8)
        message[20:24] = len(message).to_bytes(4, "little")
    whole = b"".join(peer.protect(message) for message in messages)
    found = []
    for _, frame in peer.frames(whole, plain=True):
        found.append(parts := [])
        while frame:
            header = Header.unpack_from(frame)
            end = header.next_command or len(frame)
            parts.append((header, frame[:end]))
            frame = frame[end:] if header.next_command else b""
    return found


def related(length: int = 4096) -> bytes:
    return ChangeNotifyRequest(
        output_buffer_length=length, completion_filter=ALL, file_id_persistent=ALL_ONES, file_id_volatile=ALL_ONES
    ).pack()


def test_the_last_of_a_compound_waits(watcher: Any, doer: Any) -> None:
    """The answers before it go out at once, in a frame of their own."""
    first, second = chain(watcher, (Command.CREATE, watcher.create_body("d")), (Command.CHANGE_NOTIFY, related()))
    [(created, _)], [(_, pending)] = first, second
    assert created.status == Status.SUCCESS
    assert outcome(pending) == "PENDING"
    create(doer)
    assert answers(watcher) == [[(ADDED, "new")]]


def test_no_other_of_a_compound_waits(wire: Any, watcher: Any, doer: Any) -> None:
    """As Windows has it.  The rest of the compound goes on, and the directory is not watched."""
    closing = CloseRequest(flags=0, file_id_persistent=ALL_ONES, file_id_volatile=ALL_ONES).pack()
    [replies] = chain(
        watcher,
        (Command.CREATE, watcher.create_body("d")),
        (Command.CHANGE_NOTIFY, related()),
        (Command.CLOSE, closing),
    )
    assert [header.status for header, _ in replies] == [Status.SUCCESS, Status.INTERNAL_ERROR, Status.SUCCESS]
    assert not watcher.connection.waiting
    [share] = wire.server.shares.values()
    assert not share.changes


# What asks in vain --------------------------------------------------------------------------------------------------


def test_a_file_is_no_directory(peer: Any) -> None:
    assert status(peer, peer.make("f")) == "INVALID_PARAMETER"


def test_a_buffer_larger_than_was_negotiated(wire: Any, peer: Any) -> None:
    root = peer.open("", Access.GENERIC_READ)
    limit = wire.server.settings.limits.transact_size
    assert status(peer, root, limit + 1) == "INVALID_PARAMETER"
    [share] = wire.server.shares.values()
    assert not share.changes
    assert status(peer, root, limit) == "PENDING"


def test_a_buffer_that_the_credits_do_not_pay_for(peer: Any) -> None:
    root = peer.open("", Access.GENERIC_READ)
    [(header, _)] = peer.send(Command.CHANGE_NOTIFY, body(root, 65537))
    assert header.status == Status.INVALID_PARAMETER


def test_who_may_not_list_may_not_watch(peer: Any) -> None:
    """It would tell the names."""
    for access in (Access.READ_ATTRIBUTES, Access.GENERIC_WRITE, Access.TRAVERSE):
        assert status(peer, peer.open("", access)) == "ACCESS_DENIED"


def test_a_pipe_is_no_directory(wire: Any) -> None:
    peer = wire.connect(share="IPC$")
    pipe = peer.create(peer.tree, "srvsvc", access=Access.GENERIC_ALL)
    assert status(peer, pipe) == "INVALID_DEVICE_REQUEST"


def test_an_open_that_is_none(peer: Any) -> None:
    root = peer.open("", Access.GENERIC_READ)
    peer.close(root)
    assert status(peer, root) == "FILE_CLOSED"


def test_a_request_that_lies(wire: Any, peer: Any) -> None:
    whole = body(peer.open("", Access.GENERIC_READ))
    assert peer.lie(Command.CHANGE_NOTIFY, whole, least=len(whole)) == {Status.INVALID_PARAMETER}
    [share] = wire.server.shares.values()
    assert not share.changes


def test_who_may_not_wait_does_not_watch_either(wire: Any, watcher: Any) -> None:
    """Nothing would be told that nobody asked for, and others could not watch in its place."""
    [share] = wire.server.shares.values()
    ask(watcher, watcher.d)
    [waiter] = watcher.connection.waiting
    watcher.connection.waiting.clear()
    with pytest.raises(StopIteration):
        waiter.handler.throw(StatusError(Status.INSUFFICIENT_RESOURCES))
    assert not share.changes
    assert ask(watcher, watcher.d) == "PENDING"


def test_too_many_watched_directories(new_wire: Any) -> None:
    """Those that are watched stay so, and one that is closed makes room.  Other sessions have their own."""
    wire = new_wire(limits=Limits(watches_per_session=2))
    peer, other = wire.connect(), wire.connect()
    files = [peer.open("", Access.GENERIC_READ) for _ in range(3)]
    assert [ask(peer, file) for file in files] == ["PENDING", "PENDING", "INSUFFICIENT_RESOURCES"]
    assert ask(peer, files[0]) == "PENDING"
    assert ask(other, other.open("", Access.GENERIC_READ)) == "PENDING"
    assert [outcome(frame) for _, frame in close(peer, files[0])[1:]] == ["NOTIFY_CLEANUP"] * 2
    assert ask(peer, files[2]) == "PENDING"
