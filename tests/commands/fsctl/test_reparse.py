"""Symbolic links: seen, made and unmade by clients."""

from typing import Any

import pytest

from smbport.platform import Kind
from smbport.wire.change import (
    ChangeNotifyRequest,
    ChangeNotifyResponse,
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
    FsControl,
)
from smbport.wire.fscc import FileAttributeTagInformation
from smbport.wire.fscc_directory import DirectoryEntry, parse_directory_entries
from smbport.wire.header import HEADER_SIZE
from smbport.wire.reparse import (
    ReparseDataHeader,
    ReparseTag,
    SymbolicLink,
    pack_symbolic_link,
    parse_reparse_data,
    parse_symbolic_link,
)
from smbport.wire.status import Status

GET, SET, DELETE = FsControl.GET_REPARSE_POINT, FsControl.SET_REPARSE_POINT, FsControl.DELETE_REPARSE_POINT
ITSELF = CreateOption.OPEN_REPARSE_POINT
DIRECTORY = CreateOption.DIRECTORY_FILE
ATTRIBUTES = Access.READ_ATTRIBUTES | Access.WRITE_ATTRIBUTES | Access.DELETE | Access.SYNCHRONIZE


def link_data(target: str, flags: int = 1) -> bytes:
    return pack_symbolic_link(SymbolicLink(target, target, flags))


def make(peer: Any, name: str, *, options: int = 0) -> Any:
    """The empty file that a client begins with."""
    return peer.make(name, ATTRIBUTES, options=ITSELF | options)


def target_of(peer: Any, file: Any) -> tuple[str, int]:
    status, output = peer.fsctl(GET, file=file)
    assert status == "SUCCESS"
    tag, data = parse_reparse_data(output)
    assert tag == ReparseTag.SYMLINK
    link = parse_symbolic_link(data)
    assert link.substitute_name == link.print_name
    return link.substitute_name, link.flags


def entries(peer: Any) -> dict[str, DirectoryEntry]:
    """What is listed in the root."""
    info_class = FileInfo.ID_EXTD_DIRECTORY
    data = peer.query_directory(peer.open("", Access.GENERIC_READ), info_class=info_class)
    return {entry.name: entry for entry in parse_directory_entries(info_class, data)}


# Seeing -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "told", "flags"),
    [
        ("file", "file", 1),
        ("../d/./file", "..\\d\\.\\file", 1),
        ("a:b/c ", "a\uf022b\\c\uf028", 1),
        ("/etc/passwd", "\\etc\\passwd", 0),
        ("d/", "d\\", 1),
    ],
)
def test_where_a_link_leads(wire: Any, peer: Any, stored: str, told: str, flags: int) -> None:
    wire.volume.plant_link("link", stored)
    file = peer.open("link", Access.READ_ATTRIBUTES, options=ITSELF)
    assert target_of(peer, file) == (told, flags)
    assert peer.fsctl(GET, file=file, room=20)[0] == "BUFFER_TOO_SMALL"


@pytest.mark.parametrize("access", [Access.GENERIC_READ, Access.GENERIC_ALL, Access.MAXIMUM_ALLOWED, Access.DELETE])
def test_a_link_opens_itself_with_any_access(wire: Any, peer: Any, access: int) -> None:
    wire.make("file", b"content")
    wire.volume.plant_link("link", "file")
    assert target_of(peer, peer.open("link", access, options=ITSELF)) == ("file", 1)
    assert peer.read(peer.open("link", Access.GENERIC_READ), 0, 10) == b"content"


def test_a_link_is_not_overwritten(wire: Any, peer: Any) -> None:
    wire.make("file", b"content")
    wire.volume.plant_link("link", "file")
    for disposition in (CreateDisposition.OVERWRITE, CreateDisposition.SUPERSEDE):
        assert peer.create_status("link", Access.GENERIC_ALL, disposition, ITSELF) == "ACCESS_DENIED"
    assert wire.content("file") == b"content"


def test_attributes_say_that_it_is_one(wire: Any, peer: Any) -> None:
    wire.make("file")
    wire.volume.plant_link("link", "file")
    for options, expected in ((ITSELF, (FileAttribute.REPARSE_POINT, ReparseTag.SYMLINK)), (0, (0x80, 0))):
        file = peer.open("link", Access.READ_ATTRIBUTES, options=options)
        found = FileAttributeTagInformation.unpack_from(peer.query_info(file, FileInfo.ATTRIBUTE_TAG))
        assert (found.file_attributes, found.reparse_tag) == expected


def test_listings_say_it_of_links_that_lead_nowhere(wire: Any, peer: Any) -> None:
    wire.make("file")
    for name, target in (("good", "file"), ("dangling", "gone"), ("out", "/etc")):
        wire.volume.plant_link(name, target)
    listed = entries(peer)
    links = {name for name, entry in listed.items() if entry.file_attributes & FileAttribute.REPARSE_POINT}
    assert links == {"dangling", "out"}
    assert {listed[name].reparse_tag for name in links} == {ReparseTag.SYMLINK}
    assert listed["good"].reparse_tag == 0


def test_what_is_no_link(wire: Any, peer: Any) -> None:
    wire.make("file")
    wire.make_directory("d")
    header = ReparseDataHeader(reparse_tag=ReparseTag.SYMLINK, reparse_data_length=0).pack()
    for name in ("file", "d", ""):
        opened = peer.open(name)
        assert peer.fsctl(GET, file=opened)[0] == "NOT_A_REPARSE_POINT"
        assert peer.fsctl(DELETE, header, file=opened)[0] == "NOT_A_REPARSE_POINT"


def test_a_name_that_stands_for_something_else_now(wire: Any, peer: Any) -> None:
    wire.volume.plant_link("link", "file")
    file = peer.open("link", ATTRIBUTES, options=ITSELF)
    wire.volume.remove("link", wire.volume.stat("link", follow=False).key)
    wire.volume.plant_link("link", "other")
    assert peer.fsctl(GET, file=file)[0] == "OBJECT_NAME_NOT_FOUND"
    assert peer.fsctl(SET, link_data("third"), file=file)[0] == "OBJECT_NAME_NOT_FOUND"
    assert wire.volume.read_link("link") == "other"


# Making -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [0, DIRECTORY])
def test_a_link_is_made_of_what_is_empty(wire: Any, peer: Any, options: int) -> None:
    wire.make("file", b"content")
    made = make(peer, "link", options=options)
    assert peer.fsctl(SET, link_data("file"), file=made) == ("SUCCESS", b"")
    assert wire.volume.read_link("link") == "file"
    assert target_of(peer, made) == ("file", 1)
    peer.close(made)
    assert peer.read(peer.open("link", Access.GENERIC_READ), 0, 10) == b"content"
    assert wire.memory.open_handles == 1
    assert set(entries(peer)) == {".", "..", "file", "link"}


def test_a_link_can_be_made_another(wire: Any, peer: Any) -> None:
    made = make(peer, "link")
    for target in ("one", "two"):
        assert peer.fsctl(SET, link_data(target), file=made)[0] == "SUCCESS"
    assert wire.volume.read_link("link") == "two"


def test_the_open_goes_on_with_the_link(wire: Any, peer: Any) -> None:
    """So what was marked for deletion is the link."""
    wire.make("file", b"content")
    made = make(peer, "link", options=CreateOption.DELETE_ON_CLOSE)
    assert peer.fsctl(SET, link_data("file"), file=made)[0] == "SUCCESS"
    peer.close(made)
    with pytest.raises(FileNotFoundError):
        wire.volume.stat("link", follow=False)
    assert wire.content("file") == b"content"
    assert len(wire.server.files) == 0


@pytest.mark.parametrize(
    ("told", "stored"),
    [("..\\x", "../x"), ("a/b", "a/b"), ("a\uf022", "a:"), (".", "."), ("..\\d\\..\\d\\x", "../d/../d/x")],
)
def test_targets_inside(wire: Any, peer: Any, told: str, stored: str) -> None:
    wire.make_directory("d")
    assert peer.fsctl(SET, link_data(told), file=make(peer, "d\\link"))[0] == "SUCCESS"
    assert wire.volume.read_link("d/link") == stored


@pytest.mark.parametrize(
    ("told", "flags"),
    [
        ("\\??\\C:\\x", 0), ("\\etc\\passwd", 1), ("/etc/passwd", 1), ("x", 0), ("..\\..", 1), ("x\\..\\..\\..\\y", 1),
        ("../../etc", 1), (".\\..\\..\\x", 1), ("\\\\server\\share", 0),
    ],
)  # fmt: skip
def test_targets_outside(wire: Any, peer: Any, told: str, flags: int) -> None:
    wire.make_directory("d")
    assert peer.fsctl(SET, link_data(told, flags), file=make(peer, "d\\link"))[0] == "ACCESS_DENIED"
    assert wire.stat("d/link").kind == Kind.FILE


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", "IO_REPARSE_DATA_INVALID"),
        (link_data("x")[:-1], "IO_REPARSE_DATA_INVALID"),
        (link_data("x") + b"\0", "IO_REPARSE_DATA_INVALID"),
        (link_data(""), "IO_REPARSE_DATA_INVALID"),
        (link_data("a\0b"), "IO_REPARSE_DATA_INVALID"),
        (link_data("x")[:10] + b"\xff\0" + link_data("x")[12:], "IO_REPARSE_DATA_INVALID"),
        (ReparseDataHeader(reparse_tag=0, reparse_data_length=0).pack(), "IO_REPARSE_TAG_INVALID"),
        (ReparseDataHeader(reparse_tag=1, reparse_data_length=0).pack(), "IO_REPARSE_TAG_INVALID"),
        (ReparseDataHeader(reparse_tag=0x80000014, reparse_data_length=0).pack(), "NOT_SUPPORTED"),
    ],
)
def test_what_is_no_reparse_point(wire: Any, peer: Any, data: bytes, status: str) -> None:
    file = make(peer, "f")
    assert peer.fsctl(SET, data, file=file)[0] == status
    assert wire.stat("f").kind == Kind.FILE


def test_what_cannot_become_a_link(wire: Any, peer: Any) -> None:
    """With data, with entries, open twice, cached, being listed; the root."""
    wire.make("full", b"x")
    wire.make_directory("d")
    wire.make("d/x")
    wire.make("twice")
    wire.make("empty")
    wire.make_directory("listed")
    listed = peer.open("listed", Access.GENERIC_ALL)
    peer.query_directory(listed)
    peer.open("twice", Access.READ_ATTRIBUTES)
    cases = {
        "NOT_SUPPORTED": [peer.open("full", ATTRIBUTES)],
        "DIRECTORY_NOT_EMPTY": [peer.open("d", ATTRIBUTES)],
        "SHARING_VIOLATION": [peer.open("twice", ATTRIBUTES), listed],
        "ACCESS_DENIED": [peer.open("", ATTRIBUTES & ~Access.DELETE), peer.open("empty", Access.READ_DATA)],
    }
    for status, files in cases.items():
        for file in files:
            assert peer.fsctl(SET, link_data("x"), file=file)[0] == status
    for name in ("full", "d", "d/x", "twice", "listed"):
        assert wire.volume.stat(name, follow=False).kind != Kind.SYMLINK
    root = wire.volume.open("", 1)
    assert sorted(entry.name for entry in root.entries(99)) == ["d", "empty", "full", "listed", "twice"]
    root.close()


@pytest.mark.parametrize("options", [0, DIRECTORY])
def test_who_watches_hears_of_one_change(wire: Any, peer: Any, options: int) -> None:
    """Not of the names that it takes, though the platform tells of them."""
    made, watcher = make(peer, "link", options=options), wire.connect()
    root = watcher.open("", Access.GENERIC_READ)
    ask = ChangeNotifyRequest(
        output_buffer_length=4096, completion_filter=0xFFF, file_id_persistent=root.persistent,
        file_id_volatile=root.volatile,
    ).pack()  # fmt: skip
    watcher.send(Command.CHANGE_NOTIFY, ask)
    assert peer.fsctl(SET, link_data("x"), file=made)[0] == "SUCCESS"
    [frame] = watcher.connection.resume()
    response = ChangeNotifyResponse.unpack_from(frame, HEADER_SIZE)
    assert parse_notify_information(change_notify_output(frame, response)) == [(NotifyAction.MODIFIED, "link")]
    assert wire.server.lookout.watcher is not None
    wire.server.lookout.listen()
    wire.server.lookout.deliver()
    [(header, _)] = watcher.send(Command.CHANGE_NOTIFY, ask)
    assert header.status == Status.PENDING


def test_somebody_opens_it_meanwhile(wire: Any, peer: Any) -> None:
    made = make(peer, "link")
    other = wire.connect()
    wire.faults.do_before("Volume.symlink", lambda: other.open("link", Access.READ_ATTRIBUTES))
    assert peer.fsctl(SET, link_data("x"), file=made)[0] == "SHARING_VIOLATION"


def test_somebody_renames_it_meanwhile(wire: Any, peer: Any) -> None:
    made = make(peer, "link")
    opened = next(iter(next(iter(wire.server.sessions.values())).opens.values()))

    def rename() -> None:
        opened.path = "elsewhere"

    wire.faults.do_before("Volume.symlink", rename)
    assert peer.fsctl(SET, link_data("x"), file=made)[0] == "OBJECT_NAME_NOT_FOUND"


def test_the_session_ends_meanwhile(wire: Any, peer: Any) -> None:
    made = make(peer, "link")
    session = next(iter(wire.server.sessions.values()))

    def lose() -> None:
        for opened in list(session.opens.values()):
            wire.server.close_open(opened)

    wire.faults.do_before("Volume.symlink", lose)
    assert peer.fsctl(SET, link_data("x"), file=made)[0] == "FILE_CLOSED"
    assert wire.memory.open_handles == 0


# Unmaking -----------------------------------------------------------------------------------------------------------


def test_an_empty_file_takes_its_place(wire: Any, peer: Any) -> None:
    wire.make("file", b"content")
    wire.volume.plant_link("link", "file")
    link = peer.open("link", Access.GENERIC_ALL, options=ITSELF)
    for tag, status in ((0x80000014, "0xC0000277"), (ReparseTag.SYMLINK, "SUCCESS")):
        header = ReparseDataHeader(reparse_tag=tag, reparse_data_length=0).pack()
        assert peer.fsctl(DELETE, header, file=link)[0] == status
    peer.write(link, 0, b"new")
    assert (wire.content("link"), wire.content("file")) == (b"new", b"content")
    assert peer.fsctl(DELETE, b"", file=link)[0] == "IO_REPARSE_DATA_INVALID"
