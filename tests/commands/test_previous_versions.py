"""A share as it was: by a create context and by names with @GMT, and that nothing of it can be changed."""

from collections.abc import Callable
from typing import Any

import pytest

from smbport.commands.previous_versions import split_token, token
from smbport.platform import ACCESS_NONE, Account
from smbport.state.settings import Settings, ShareSettings
from smbport.testing.client import FileId
from smbport.testing.direct import new_server
from smbport.testing.memory import MemoryPlatform
from smbport.users import MemoryUsers
from smbport.wire.constants import (
    Access,
    Command,
    ContextTag,
    CreateAction,
    CreateDisposition,
    CreateOption,
    FileInfo,
    FsControl,
    InfoType,
    OplockLevel,
)
from smbport.wire.create_contexts import (
    DurableHandleRequest,
    LeaseContext,
    LeaseState,
    MaximalAccessResponse,
    OnDiskIdResponse,
    TimewarpToken,
    parse_create_contexts,
)
from smbport.wire.fscc import (
    FileDispositionInformation,
    FileEndOfFileInformation,
    FileRenameInformation,
    pack_with_name,
)
from smbport.wire.fscc_directory import parse_directory_entries
from smbport.wire.header import HEADER_SIZE
from smbport.wire.status import Status, StatusError
from smbport.wire.text import filetime_from_ns

TAKEN = 1_700_000_000 * 10**9
TOKEN = "@GMT-2023.11.14-22.13.20"
LAYOUT = {"snapshots": "%Y%m%d", "snapshot_times": "utc"}
CHANGING = Access.WRITE_DATA | Access.APPEND_DATA | Access.WRITE_ATTRIBUTES | Access.DELETE | Access.WRITE_DAC


def timewarp(time_ns: int = TAKEN) -> tuple[bytes, bytes]:
    return ContextTag.TIMEWARP, TimewarpToken(timestamp=filetime_from_ns(time_ns)).pack()


@pytest.fixture
def wire(new_wire: Callable[..., Any]) -> Any:
    """A file `f`, a directory `d` with a file `x`, all of which have changed since; `gone` is gone, `new` is new."""
    wire = new_wire(share=LAYOUT)
    wire.make("f", b"then")
    wire.make("gone", b"it was here")
    wire.make_directory("d")
    wire.make("d/x", b"deep")
    wire.memory.take_snapshot("v", TAKEN)
    wire.volume.remove("gone", wire.stat("gone").key)
    wire.make("new")
    file = wire.volume.open("f", 2)
    file.write_at(0, b"now!")
    file.close()
    return wire


@pytest.fixture
def peer(wire: Any) -> Any:
    return wire.connect()


@pytest.fixture(autouse=True)
def nothing_stays_open(wire: Any, peer: Any) -> Any:
    yield
    peer.link.close()
    wire.check_nothing_is_open()


def as_it_was(peer: Any, name: str, **keywords: Any) -> FileId:
    file: FileId = peer.open(name, contexts=[timewarp()], **keywords)
    return file


def status_as_it_was(peer: Any, name: str, *more: tuple[bytes, bytes], **fields: int) -> str:
    """How a CREATE ends that may not succeed."""
    status: str = peer.try_create(name, contexts=[timewarp(), *more], **fields)[0]
    assert status != "SUCCESS"
    return status


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        (TOKEN, ""),
        (f"{TOKEN}\\f", "f"),
        (f"d\\{TOKEN}\\x", "d\\x"),
        (f"d\\{TOKEN}", "d"),
        (f"{TOKEN}\\d\\x", "d\\x"),
    ],
)
def test_tokens(name: str, rest: str) -> None:
    assert split_token(name) == (rest, TAKEN)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "f",
        "@GMT-",
        f"x{TOKEN}\\f",
        f"{TOKEN}x\\f",
        f"{TOKEN}:s",
        "@GMT-2023.13.14-22.13.20",
        "@gmt-2023.11.14-22.13.20",
    ],
)
def test_what_is_no_token(name: str) -> None:
    assert split_token(name) == (name, None)


def test_a_token_is_made_of_a_time() -> None:
    assert token(TAKEN) == TOKEN
    assert split_token(token(10**9)) == ("", 10**9)


@pytest.mark.parametrize("name", [f"{TOKEN}\\f", f"{TOKEN}\\F"])
def test_a_name_with_a_token(peer: Any, name: str) -> None:
    assert peer.read(peer.open(name), 0, 10) == b"then"
    assert peer.read(peer.open("f"), 0, 10) == b"now!"


def test_a_token_in_the_middle_and_at_the_end(peer: Any) -> None:
    assert peer.read(peer.open(f"d\\{TOKEN}\\x"), 0, 10) == b"deep"
    listed = peer.query_directory(peer.open(f"d\\{TOKEN}"), info_class=FileInfo.NAMES)
    assert [entry.name for entry in parse_directory_entries(FileInfo.NAMES, listed)] == [".", "..", "x"]


def test_the_create_context(peer: Any) -> None:
    assert peer.read(as_it_was(peer, "f"), 0, 10) == b"then"
    assert peer.read(as_it_was(peer, "gone"), 0, 20) == b"it was here"
    assert status_as_it_was(peer, "new") == "OBJECT_NAME_NOT_FOUND"
    assert status_as_it_was(peer, "no\\f") == "OBJECT_PATH_NOT_FOUND"
    file = peer.open(f"{token(TAKEN + 10**9)}\\f", contexts=[timewarp(TAKEN + 999)])  # it counts more than the name
    assert peer.read(file, 0, 10) == b"then"


def test_the_root_and_a_listing(peer: Any) -> None:
    listed = peer.query_directory(as_it_was(peer, ""), info_class=FileInfo.NAMES)
    assert {entry.name for entry in parse_directory_entries(FileInfo.NAMES, listed)} == {".", "..", "f", "gone", "d"}


def test_ids_in_a_listing_are_those_of_files(peer: Any) -> None:
    _, _, frame = peer.try_create("d\\x", contexts=[timewarp(), (ContextTag.ON_DISK_ID, b"")])
    ((_, data),) = contexts_of(frame)
    listed = peer.query_directory(as_it_was(peer, "d"))
    (entry,) = [entry for entry in parse_directory_entries(FileInfo.ID_BOTH_DIRECTORY, listed) if entry.name == "x"]
    assert OnDiskIdResponse.unpack_from(data).disk_file_id == entry.file_id


def contexts_of(frame: bytes) -> list[tuple[bytes, memoryview]]:
    """The contexts of a CREATE response."""
    offset, length = (int.from_bytes(frame[HEADER_SIZE + at : HEADER_SIZE + at + 4], "little") for at in (80, 84))
    return parse_create_contexts(memoryview(frame)[offset : offset + length], limit=8)


def test_no_snapshot_of_that_time(peer: Any) -> None:
    assert peer.create_status("f", contexts=[timewarp(TAKEN - 10**9)]) == "OBJECT_NAME_NOT_FOUND"
    assert peer.create_status(f"{token(TAKEN + 10**9)}\\f") == "OBJECT_NAME_NOT_FOUND"
    assert peer.create_status("@GMT-2023.13.14-22.13.20\\f") == "OBJECT_PATH_NOT_FOUND"  # a name like any other


def test_a_timewarp_of_zero_is_today(peer: Any) -> None:
    context = (ContextTag.TIMEWARP, TimewarpToken(timestamp=0).pack())
    assert peer.read(peer.open("f", contexts=[context]), 0, 10) == b"now!"


@pytest.mark.parametrize("disposition", [0, 2, 4, 5])
@pytest.mark.parametrize("name", ["f", "new"])
def test_nothing_is_made_or_overwritten(peer: Any, name: str, disposition: int) -> None:
    assert status_as_it_was(peer, name, disposition=disposition) == "MEDIA_WRITE_PROTECTED"


def test_open_if_opens_what_is_there(peer: Any) -> None:
    for options in (0, CreateOption.DIRECTORY_FILE):
        disposition = CreateDisposition.OPEN_IF
        assert status_as_it_was(peer, "new", disposition=disposition, options=options) == "MEDIA_WRITE_PROTECTED"
    _, response, _ = peer.try_create("f", contexts=[timewarp()], disposition=CreateDisposition.OPEN_IF)
    assert response.create_action == CreateAction.OPENED


def test_nothing_is_deleted_on_close(peer: Any) -> None:
    assert status_as_it_was(peer, "f", options=CreateOption.DELETE_ON_CLOSE) == "MEDIA_WRITE_PROTECTED"


def test_all_rights_are_granted_and_worth_nothing(wire: Any, peer: Any) -> None:
    wanted = Access.FILE_ALL_ACCESS & ~Access.DELETE_CHILD
    _, response, frame = peer.try_create("f", wanted, contexts=[timewarp(), (ContextTag.MAXIMAL_ACCESS, b"")])
    ((_, data),) = contexts_of(frame)
    assert MaximalAccessResponse.unpack_from(data).maximal_access & CHANGING == CHANGING
    file = FileId(peer.tree, response.file_id_persistent, response.file_id_volatile)
    granted = peer.query_info(file, FileInfo.ACCESS)
    assert int.from_bytes(granted, "little") == wanted
    rename = pack_with_name(FileRenameInformation(replace_if_exists=0, root_directory=0), "other")
    refusals = {
        "write": (lambda: peer.write(file, 0, b"x"), Status.MEDIA_WRITE_PROTECTED),
        "size": (set_info(peer, file, FileInfo.END_OF_FILE, FileEndOfFileInformation(end_of_file=0).pack()), None),
        "delete": (
            set_info(peer, file, FileInfo.DISPOSITION, FileDispositionInformation(delete_pending=1).pack()),
            None,
        ),
        "times": (set_info(peer, file, FileInfo.BASIC, bytes(36) + b"\2\0\0\0"), None),
        "dacl": (set_info(peer, file, 0, bytes.fromhex("01000080" + "00" * 16), InfoType.SECURITY, 4), None),
        "rename": (set_info(peer, file, FileInfo.RENAME, rename), Status.NOT_SAME_DEVICE),
        "link": (set_info(peer, file, FileInfo.LINK, rename), Status.NOT_SAME_DEVICE),
    }
    for act, status in refusals.values():
        with pytest.raises(StatusError) as caught:
            act()
        assert caught.value.status == (status or Status.MEDIA_WRITE_PROTECTED)
    assert peer.fsctl(FsControl.SET_SPARSE, file=file)[0] == "MEDIA_WRITE_PROTECTED"
    peer.flush(file)
    assert peer.read(file, 0, 10) == b"then"
    assert wire.names() == ["d", "f", "new"]


def set_info(peer: Any, file: FileId, what: int, data: bytes, kind: int = InfoType.FILE, parts: int = 0) -> Any:
    return lambda: peer.set_info(file, what, data, info_type=kind, additional=parts)


def test_files_of_a_snapshot_are_others_than_those_of_today(peer: Any) -> None:
    """Although the memory platform gives them the same keys."""
    alone = peer.open("f", share=0)
    assert peer.read(as_it_was(peer, "f", share=7), 0, 10) == b"then"
    assert status_as_it_was(peer, "f", share_access=0) == "SHARING_VIOLATION"
    peer.close(alone)
    as_it_was(peer, "d\\x", share=0)
    peer.open("d\\x", share=0)


def test_nothing_is_cached_and_nothing_lasts(peer: Any) -> None:
    lease = LeaseContext(lease_key=b"k" * 16, lease_state=LeaseState.READ_CACHING, lease_flags=0).pack()
    durable = (ContextTag.DURABLE_REQUEST, DurableHandleRequest().pack())
    for level, more in ((OplockLevel.BATCH, durable), (OplockLevel.LEASE, (ContextTag.LEASE, lease))):
        _, response, _ = peer.try_create("f", contexts=[timewarp(), more], requested_oplock_level=level)
        assert (response.oplock_level, response.create_contexts_length) == (OplockLevel.NONE, 0)


def test_a_snapshot_ends_with_its_tree(wire: Any, peer: Any) -> None:
    file = as_it_was(peer, "f")
    other = peer.tree_connect("s")
    with pytest.raises(StatusError) as caught:
        peer.read(FileId(other, file.persistent, file.volatile), 0, 1)
    assert caught.value.status == Status.FILE_CLOSED
    peer.call(Command.TREE_DISCONNECT, bytes.fromhex("04000000"), tree_id=peer.tree)
    assert wire.server.open_count == 0
    assert wire.memory.open_handles == 0


def test_a_snapshot_that_went_while_it_was_open(wire: Any, peer: Any) -> None:
    file = as_it_was(peer, "f")
    wire.memory.take_snapshot("v", TAKEN)  # another one in its place
    assert peer.read(file, 0, 10) == b"then"
    assert peer.read(as_it_was(peer, "f"), 0, 10) == b"now!"


def test_volumes_are_given_back(wire: Any, peer: Any) -> None:
    """Each open, and each that fails, closes the snapshot that it looked into."""
    opened: list[Any] = []
    take = wire.memory.snapshots.open

    def count(*args: Any, **keywords: Any) -> Any:
        opened.append(take(*args, **keywords))
        return opened[-1]

    wire.memory.snapshots.open = count
    peer.close(as_it_was(peer, "f"))
    status_as_it_was(peer, "new")
    status_as_it_was(peer, "f", disposition=CreateDisposition.CREATE)
    assert len(opened) == 3
    for volume in opened:
        with pytest.raises(OSError, match="Bad file descriptor"):
            volume.stat("f")


def test_streams(wire: Any, peer: Any) -> None:
    peer.write(peer.make("f:s"), 0, b"stream then")
    wire.memory.take_snapshot("v", TAKEN)
    peer.write(peer.open("f:s"), 0, b"stream now!")
    assert peer.read(as_it_was(peer, "f:s"), 0, 20) == b"stream then"
    assert peer.read(peer.open(f"{TOKEN}\\f:s"), 0, 20) == b"stream then"
    with pytest.raises(StatusError) as caught:
        peer.write(as_it_was(peer, "f:s"), 0, b"x")
    assert caught.value.status == Status.MEDIA_WRITE_PROTECTED


def test_a_share_without_snapshots(new_wire: Callable[..., Any]) -> None:
    other = new_wire()
    other.make("f")
    client = other.connect()
    assert client.create_status("f", contexts=[timewarp()]) == "OBJECT_NAME_NOT_FOUND"
    assert client.create_status(f"{TOKEN}\\f") == "OBJECT_PATH_NOT_FOUND"
    assert client.create_status(TOKEN, disposition=CreateDisposition.CREATE) == "SUCCESS"  # a name like any other


def test_rights_are_those_of_the_user(new_wire: Callable[..., Any]) -> None:
    account = Account("u", 1000, 1000)
    wire = new_wire(share={**LAYOUT, "run_as": "u"}, accounts=[account])
    wire.make("open", b"for all")
    wire.make("closed", b"for root", mode=0o600)
    wire.memory.take_snapshot("v", TAKEN)
    node = wire.volume.open("closed", ACCESS_NONE)
    node.set_mode(0o644)  # today
    node.close()
    client = wire.connect()
    assert client.read(as_it_was(client, "open"), 0, 10) == b"for all"
    assert client.create_status("closed", Access.READ_DATA) == "SUCCESS"
    assert client.create_status("closed", Access.READ_DATA, contexts=[timewarp()]) == "ACCESS_DENIED"


def test_descriptors_decide_as_they_did(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(share={**LAYOUT, "acl": "nt"})
    peer = wire.connect()
    peer.write(peer.make("f"), 0, b"then")
    wire.memory.take_snapshot("v", TAKEN)
    file = as_it_was(peer, "f", access=Access.READ_DATA | CHANGING)
    assert peer.read(file, 0, 10) == b"then"
    with pytest.raises(StatusError) as caught:
        peer.write(file, 0, b"x")
    assert caught.value.status == Status.MEDIA_WRITE_PROTECTED


def test_a_platform_without_the_power() -> None:
    platform = MemoryPlatform()
    platform.snapshots = None
    platform.absent = {**platform.absent, "snapshots": "No such thing."}
    share = ShareSettings(name="s", path="v", snapshots="%Y%m%d")
    with pytest.raises(OSError, match="share 's': snapshots are not possible: No such thing"):
        new_server(Settings(shares=(share,)), platform, MemoryUsers({}))
