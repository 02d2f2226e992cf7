"""Names in a share with links: the prefix that comes with the DFS flag, what is not covered, and listings."""

from collections.abc import Callable
from typing import Any

import pytest

from smbport.state.dfs import DfsLink
from smbport.testing.client import FileId
from smbport.wire.constants import (
    Capability,
    Command,
    ContextTag,
    CreateDisposition,
    Dialect,
    FileAttribute,
    FileInfo,
    HeaderFlag,
    NegotiateContextType,
    ShareCapability,
    ShareFlag,
)
from smbport.wire.create import CreateResponse
from smbport.wire.dfs import IO_REPARSE_TAG_DFS
from smbport.wire.fscc import FileRenameInformation, pack_with_name
from smbport.wire.fscc_directory import DirectoryEntry, parse_directory_entries
from smbport.wire.header import HEADER_SIZE
from smbport.wire.negotiate import pack_posix_context
from smbport.wire.posix import parse_posix_entries
from smbport.wire.status import Status, StatusError, status_name
from smbport.wire.tree import TreeConnectResponse, pack_tree_connect_request

LINKS = (DfsLink("projects", ("one\\p",)), DfsLink("Teams/Design", ("one\\d",)), DfsLink("hidden", ("one\\h",)))
DFS = HeaderFlag.DFS_OPERATIONS


@pytest.fixture
def wire(new_wire: Callable[..., Any]) -> Any:
    """Files `f` and `Teams/x`, and a directory that has the name of a link."""
    wire = new_wire(share={"dfs": LINKS})
    wire.make("f", b"local")
    wire.make_directory("Teams")
    wire.make("Teams/x")
    wire.make_directory("HIDDEN")
    return wire


def create(peer: Any, name: str, *, flags: int = 0, **fields: int) -> str:
    ((header, frame),) = peer.send(Command.CREATE, peer.create_body(name, **fields), flags=flags)
    if not header.status:
        response = CreateResponse.unpack_from(frame, HEADER_SIZE)
        peer.close(FileId(peer.tree, response.file_id_persistent, response.file_id_volatile))
    return status_name(header.status).removeprefix("STATUS_")


@pytest.mark.parametrize(
    ("name", "flags", "status"),
    [
        ("f", 0, "SUCCESS"),
        ("srv\\s\\f", DFS, "SUCCESS"),
        ("\\srv\\s\\f", DFS, "SUCCESS"),
        ("srv\\s", DFS, "SUCCESS"),
        ("srv\\s\\", DFS, "SUCCESS"),
        ("", DFS, "SUCCESS"),
        ("srv\\s\\Teams\\x", DFS, "SUCCESS"),
        ("srv\\s\\f", 0, "OBJECT_PATH_NOT_FOUND"),
        ("srv\\s\\none", DFS, "OBJECT_NAME_NOT_FOUND"),
        ("\\f", 0, "INVALID_PARAMETER"),
        ("projects", 0, "PATH_NOT_COVERED"),
        ("Projects\\a\\b", 0, "PATH_NOT_COVERED"),
        ("srv\\s\\projects", DFS, "PATH_NOT_COVERED"),
        ("srv\\s\\teams\\design\\x", DFS, "PATH_NOT_COVERED"),
        ("hidden", 0, "PATH_NOT_COVERED"),
        ("teams", 0, "SUCCESS"),
    ],
)
def test_names(peer: Any, name: str, flags: int, status: str) -> None:
    assert create(peer, name, flags=flags) == status


def test_nothing_is_made_in_the_place_of_a_link(wire: Any, peer: Any) -> None:
    for name in ("projects", "projects\\new"):
        assert create(peer, name, create_disposition=CreateDisposition.CREATE) == "PATH_NOT_COVERED"
    assert wire.names() == ["HIDDEN", "Teams", "f"]


@pytest.mark.parametrize("name", ["projects", "Projects\\x"])
def test_nothing_is_renamed_to_a_link(wire: Any, peer: Any, name: str) -> None:
    rename = pack_with_name(FileRenameInformation(replace_if_exists=1, root_directory=0), name)
    with pytest.raises(StatusError) as caught:
        peer.set_info(peer.open("f"), FileInfo.RENAME, rename)
    assert caught.value.status == Status.PATH_NOT_COVERED
    assert wire.names() == ["HIDDEN", "Teams", "f"]


def test_in_other_shares_the_flag_means_nothing(new_wire: Callable[..., Any]) -> None:
    wire = new_wire()
    wire.make("f")
    assert create(wire.connect(), "f", flags=DFS) == "SUCCESS"


def listed(
    peer: Any, name: str, pattern: str = "*", info_class: int = FileInfo.ID_BOTH_DIRECTORY
) -> list[DirectoryEntry]:
    directory = peer.open(name)
    entries: list[DirectoryEntry] = []
    try:
        while True:
            data = peer.query_directory(directory, pattern, info_class=info_class, length=300)
            entries += parse_directory_entries(info_class, data)
    except StatusError as end:
        if end.status not in (Status.NO_MORE_FILES, Status.NO_SUCH_FILE):
            raise
    peer.close(directory)
    return entries


def test_links_are_listed_in_the_place_of_what_has_their_names(peer: Any) -> None:
    assert sorted(entry.name for entry in listed(peer, "")) == [".", "..", "Teams", "f", "hidden", "projects"]
    assert sorted(entry.name for entry in listed(peer, "teams")) == [".", "..", "Design", "x"]
    names = sorted(entry.name for entry in listed(peer, "", info_class=FileInfo.NAMES))
    assert names == [".", "..", "Teams", "f", "hidden", "projects"]


def test_links_stay_when_the_client_wants_more_than_names(peer: Any) -> None:
    directory = peer.open("")
    peer.query_directory(directory, info_class=FileInfo.NAMES, length=60)
    data = peer.query_directory(directory, info_class=FileInfo.ID_BOTH_DIRECTORY)
    rest = {entry.name: entry for entry in parse_directory_entries(FileInfo.ID_BOTH_DIRECTORY, data)}
    assert rest["projects"].reparse_tag == rest["hidden"].reparse_tag == IO_REPARSE_TAG_DFS


def test_posix_clients_see_that_they_have_to_ask(wire: Any) -> None:
    peer = wire.client()
    peer.negotiate([Dialect.SMB_3_1_1], more_contexts=[(NegotiateContextType.POSIX_EXTENSIONS, pack_posix_context())])
    peer.log_on("u", "p")
    tree = peer.tree_connect("s")
    context = (ContextTag.POSIX, bytes(4))
    _, frame = peer.ask(Command.CREATE, peer.create_body("", contexts=[context]), tree_id=tree)
    data = peer.query_directory(peer.file_id(tree, frame), info_class=FileInfo.POSIX)
    entries = {entry.name: entry.information for entry in parse_posix_entries(data)}
    attributes = FileAttribute.DIRECTORY | FileAttribute.REPARSE_POINT
    for name in ("projects", "hidden"):
        assert (entries[name].file_attributes, entries[name].reparse_tag) == (attributes, IO_REPARSE_TAG_DFS)
        assert entries[name].mode == wire.stat("").mode
    assert (entries["Teams"].file_attributes, entries["Teams"].reparse_tag) == (FileAttribute.DIRECTORY, 0)


@pytest.mark.parametrize("pattern", ["projects", "PROJ*", "?roject?"])
def test_a_link_is_found_by_its_name(peer: Any, pattern: str) -> None:
    (link,) = listed(peer, "", pattern)
    assert (link.name, link.file_attributes) == ("projects", FileAttribute.DIRECTORY | FileAttribute.REPARSE_POINT)
    assert (link.end_of_file, link.allocation_size) == (0, 0)
    assert link.reparse_tag == IO_REPARSE_TAG_DFS


def test_a_search_for_something_else_finds_no_link(peer: Any) -> None:
    assert [entry.name for entry in listed(peer, "", "f")] == ["f"]
    assert listed(peer, "", "q*") == []


def test_the_share_and_the_server_say_so(wire: Any, new_wire: Callable[..., Any]) -> None:
    for server, flags, capabilities in (
        (wire, ShareFlag.DFS | ShareFlag.DFS_ROOT, ShareCapability.DFS),
        (new_wire(), 0, 0),
    ):
        peer = server.connect()
        _, frame = peer.call(Command.TREE_CONNECT, pack_tree_connect_request("\\\\srv\\s"))
        response = TreeConnectResponse.unpack_from(frame, HEADER_SIZE)
        assert (response.share_flags, response.capabilities) == (flags, capabilities)


@pytest.mark.parametrize("dialect", [Dialect.SMB_2_0_2, Dialect.SMB_2_1, Dialect.SMB_3_1_1])
def test_every_dialect_is_told(wire: Any, new_wire: Callable[..., Any], dialect: int) -> None:
    for server, expected in ((wire, Capability.DFS), (new_wire(), 0)):
        response = server.client().negotiate([dialect])
        assert response.capabilities & Capability.DFS == expected
