"""The POSIX extensions, by clients that agreed on them and by others."""

from collections.abc import Callable
from typing import Any

import pytest

from smbport.commands.posix import find_mode, find_posix_id
from smbport.platform import Kind
from smbport.wire.constants import (
    Access,
    Command,
    ContextTag,
    CreateDisposition,
    CreateOption,
    FileAttribute,
    FileInfo,
    FsControl,
    FsInfo,
    InfoType,
    NegotiateContextType,
    SecurityInformation,
)
from smbport.wire.create import CreateResponse, create_contexts
from smbport.wire.create_contexts import PosixCreateRequest, PosixCreateResponse
from smbport.wire.error import ErrorResponse, error_contexts, parse_symlink_error
from smbport.wire.fscc import FileBasicInformation, FileDispositionInformation, FileRenameInformation, pack_with_name
from smbport.wire.header import HEADER_SIZE
from smbport.wire.negotiate import pack_posix_context, parse_posix_context
from smbport.wire.posix import (
    ENTRY_FIXED_SIZE,
    FileFsPosixInformation,
    PosixEntry,
    PosixType,
    parse_posix_entries,
    parse_posix_information,
)
from smbport.wire.reparse import (
    NfsType,
    ReparseTag,
    SymbolicLink,
    SymlinkFlag,
    pack_special_file,
    pack_symbolic_link,
    parse_reparse_data,
    parse_symbolic_link,
)
from smbport.wire.security import Ace, Acl, SecurityDescriptor, Sid, unix_group_sid, unix_user_sid
from smbport.wire.status import Status, StatusError, status_name

NewWire = Callable[..., Any]
POSIX = NegotiateContextType.POSIX_EXTENSIONS
ALL = Access.FILE_ALL_ACCESS


def mode(bits: int) -> tuple[bytes, bytes]:
    return (ContextTag.POSIX, PosixCreateRequest(mode=bits).pack())


class Posix:
    """A client with the extensions."""

    def __init__(self, wire: Any) -> None:
        self.peer = wire.client()
        self.peer.negotiate([0x0311], more_contexts=[(POSIX, pack_posix_context())])
        self.peer.log_on("u", "p")
        self.tree = self.peer.tree = self.peer.tree_connect("s")

    def ask(self, name: str, *, bits: int = 0o644, **fields: Any) -> Any:
        body = self.peer.create_body(name, **{"contexts": [mode(bits)], "desired_access": ALL, **fields})
        return self.peer.ask(Command.CREATE, body, tree_id=self.tree)

    def open(self, name: str, **fields: Any) -> Any:
        header, frame = self.ask(name, **fields)
        if header.status:
            raise StatusError(header.status)
        return self.peer.file_id(self.tree, frame)

    def make(self, name: str, **fields: Any) -> Any:
        return self.open(name, create_disposition=CreateDisposition.CREATE, **fields)

    def remove(self, name: str) -> None:
        options = CreateOption.DELETE_ON_CLOSE | CreateOption.OPEN_REPARSE_POINT
        self.peer.close(self.open(name, desired_access=Access.DELETE, create_options=options))

    def rename(self, file: Any, new: str, *, replace: bool = True) -> None:
        fixed = FileRenameInformation(replace_if_exists=int(replace), root_directory=0)
        self.peer.set_info(file, FileInfo.RENAME, pack_with_name(fixed, new))

    def list(self, name: str = "", *, pattern: str = "*") -> dict[str, PosixEntry]:
        folder = self.open(name)
        data = self.peer.query_directory(folder, pattern, info_class=FileInfo.POSIX)
        self.peer.close(folder)
        return {entry.name: entry for entry in parse_posix_entries(data)}


@pytest.fixture
def wire(new_wire: NewWire) -> Any:
    return new_wire()


@pytest.fixture
def posix(wire: Any) -> Posix:
    return Posix(wire)


# What is agreed on ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("guids", [ContextTag.POSIX, bytes(16) + ContextTag.POSIX])
def test_they_are_agreed_on(wire: Any, guids: bytes) -> None:
    peer = wire.client()
    peer.negotiate([0x0311], more_contexts=[(POSIX, guids)])
    assert parse_posix_context(peer.agreed[POSIX]) == [ContextTag.POSIX]
    assert peer.connection.state.posix


@pytest.mark.parametrize(
    ("share", "guids"),
    [
        ({}, bytes(16)),
        ({"posix_extensions": False}, ContextTag.POSIX),
        ({"acl": "nt"}, ContextTag.POSIX),
    ],
)
def test_they_are_not_agreed_on(new_wire: NewWire, share: dict[str, object], guids: bytes) -> None:
    peer = new_wire(share=share).client()
    peer.negotiate([0x0311], more_contexts=[(POSIX, guids)])
    assert POSIX not in peer.agreed
    assert not peer.connection.state.posix


@pytest.mark.parametrize("data", [b"", b"01234", bytes(17)])
def test_no_list_of_versions(wire: Any, data: bytes) -> None:
    with pytest.raises(StatusError) as caught:
        wire.client().negotiate([0x0311], more_contexts=[(POSIX, data)])
    assert caught.value.status == Status.INVALID_PARAMETER


def test_who_did_not_agree_is_not_taken_at_its_word(wire: Any) -> None:
    wire.make("a:b")
    peer = wire.connect()
    assert peer.create_status("a:b", contexts=[mode(0)]) == "OBJECT_NAME_NOT_FOUND"  # a stream
    assert peer.create_status("A\uf022B", contexts=[mode(0)]) == "SUCCESS"
    file = peer.open("A\uf022B", contexts=[mode(0)])
    for kind, info_class in ((InfoType.FILE, FileInfo.POSIX), (InfoType.FILESYSTEM, FsInfo.POSIX)):
        with pytest.raises(StatusError) as caught:
            peer.query_info(file, info_class, info_type=kind)
        assert caught.value.status == Status.INVALID_INFO_CLASS
    with pytest.raises(StatusError) as caught:
        peer.query_directory(peer.open(""), info_class=FileInfo.POSIX)
    assert caught.value.status == Status.INVALID_INFO_CLASS


# Names ----------------------------------------------------------------------------------------------------------

NAMES = ["a:b", "what?", "*", "<>", "a|b", 'quo"te', "dot.", "blank ", "back\\slash", "tab\t", "Ü", "x" * 255, "..."]


@pytest.mark.parametrize("name", NAMES)
def test_every_character_but_the_separator(wire: Any, posix: Posix, name: str) -> None:
    posix.peer.close(posix.make(name))
    assert wire.names() == [name]
    assert name in posix.list()
    wire.make_directory("d")
    posix.rename(posix.open(name), f"d/{name}")
    assert wire.names("d") == [name]
    posix.remove(f"d/{name}")
    assert wire.names("d") == []


def test_private_characters_mean_the_same(wire: Any, posix: Posix) -> None:
    """Clients that ask for the extensions may go on mapping what they map for Windows."""
    posix.peer.close(posix.make("a\uf022b\uf029"))
    assert wire.names() == ["a:b."]
    assert "a:b." in posix.list()


def test_private_characters_and_bytes_of_a_name_on_disk(wire: Any, posix: Posix) -> None:
    for name in ("a\uf022b", "\udcff"):
        wire.make(name)
    listed = [name for name in posix.list() if name not in (".", "..")]
    assert len(listed) == 2
    for name in listed:
        posix.remove(name)
    assert wire.names() == []


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("/a", "INVALID_PARAMETER"),
        ("a//b", "OBJECT_NAME_INVALID"),
        ("./a", "OBJECT_NAME_INVALID"),
        ("a/../b", "OBJECT_PATH_SYNTAX_BAD"),
        ("\uf029\uf029/a", "OBJECT_NAME_INVALID"),
        ("a\0b", "OBJECT_NAME_INVALID"),
        ("x" * 256, "OBJECT_NAME_INVALID"),
        ("none/a", "OBJECT_PATH_NOT_FOUND"),
        ("a\\b", "OBJECT_NAME_NOT_FOUND"),
    ],
)
def test_names_that_are_none(posix: Posix, name: str, status: str) -> None:
    assert status_name(posix.ask(name)[0].status) == f"STATUS_{status}"


def test_case_matters(wire: Any, posix: Posix) -> None:
    for name in ("a", "A"):
        posix.peer.close(posix.make(name))
    assert posix.ask("b")[0].status == Status.OBJECT_NAME_NOT_FOUND
    posix.rename(posix.open("a"), "B")
    posix.rename(posix.open("A"), "b")
    assert wire.names() == ["B", "b"]
    assert set(posix.list(pattern="B")) == {"B"}


def test_case_does_not_matter_to_others_meanwhile(wire: Any, posix: Posix) -> None:
    peer = wire.connect()
    assert peer.create_status("new") == "OBJECT_NAME_NOT_FOUND"  # now the names of the folder are known
    posix.peer.close(posix.make("NEW"))
    assert peer.create_status("new") == "SUCCESS"


def test_a_trailing_separator_means_a_folder(wire: Any, posix: Posix) -> None:
    posix.peer.close(posix.make("d/"))
    assert wire.stat("d").kind == Kind.DIRECTORY


# What is told ---------------------------------------------------------------------------------------------------


def answer(posix: Posix, name: str, **fields: Any) -> PosixCreateResponse:
    header, frame = posix.ask(name, **fields)
    assert header.status == Status.SUCCESS
    found = dict(create_contexts(frame, CreateResponse.unpack_from(frame, HEADER_SIZE), limit=8))
    data = found[ContextTag.POSIX]
    fixed = PosixCreateResponse.unpack_from(data)
    owner = Sid.parse(data, fixed.SIZE)
    assert str(owner).startswith("S-1-22-1-")
    assert str(Sid.parse(data, fixed.SIZE + owner.size)).startswith("S-1-22-2-")
    return fixed


def test_new_modes(new_wire: NewWire) -> None:
    wire = new_wire(share={"create_mask": 0o774, "force_mode": 0o020, "directory_mask": 0o1777})
    posix = Posix(wire)
    make = CreateDisposition.CREATE
    assert answer(posix, "file", bits=0o7607, create_disposition=make).mode == 0o624
    options = CreateOption.DIRECTORY_FILE
    assert answer(posix, "d", bits=0o1751, create_disposition=make, create_options=options).mode == 0o1751
    assert (wire.stat("file").mode, wire.stat("d").mode) == (0o624, 0o1751)
    assert answer(posix, "file", bits=0o777).mode == 0o624  # what is there already keeps its mode


def test_what_files_are(wire: Any, posix: Posix) -> None:
    wire.make("file", b"12345", mode=0o640)
    wire.volume.link("file", "second")
    wire.make_directory("folder", mode=0o750)
    wire.volume.symlink("link", "file")
    wire.volume.make_special("fifo", Kind.FIFO, 0o600)
    wire.volume.make_special("socket", Kind.SOCKET, 0o666)
    listed = posix.list()
    assert set(listed) == {".", "..", "file", "second", "folder", "link", "fifo", "socket"}
    expected = {
        "file": 0o640, "folder": 0o750, "link": 0o777 | PosixType.SYMLINK, "fifo": 0o600 | PosixType.FIFO,
        "socket": 0o666 | PosixType.SOCKET,
    }  # fmt: skip
    for name, wanted in expected.items():
        stat = wire.volume.stat(name, follow=False)
        options = CreateOption.OPEN_REPARSE_POINT
        file = posix.open(name, desired_access=Access.READ_ATTRIBUTES, create_options=options)
        told = parse_posix_information(posix.peer.query_info(file, FileInfo.POSIX))
        assert told == listed[name]._replace(name="")
        assert told.information.mode == wanted
        assert told.information.inode == stat.key.inode
        assert told.information.number_of_links == stat.links
        assert (told.owner, told.group) == (unix_user_sid(stat.uid), unix_group_sid(stat.gid))
        assert (told.information.reparse_tag == ReparseTag.SYMLINK) == (name == "link")
    assert listed["file"].information.end_of_file == 5
    assert listed["file"].information.number_of_links == 2


def test_one_entry_at_a_time_and_none(wire: Any, posix: Posix) -> None:
    wire.make("b")
    folder = posix.open("")
    for expected in (".", "..", "b"):
        data = posix.peer.query_directory(folder, info_class=FileInfo.POSIX, flags=2)
        assert [entry.name for entry in parse_posix_entries(data)] == [expected]
    with pytest.raises(StatusError) as caught:
        posix.peer.query_directory(folder, info_class=FileInfo.POSIX)
    assert caught.value.status == Status.NO_MORE_FILES
    with pytest.raises(StatusError) as caught:
        posix.peer.query_directory(posix.open(""), info_class=FileInfo.POSIX, length=ENTRY_FIXED_SIZE - 1)
    assert caught.value.status == Status.INFO_LENGTH_MISMATCH


def test_a_listing_takes_several_answers(wire: Any, posix: Posix) -> None:
    names = {f"file {number}" for number in range(40)}
    for name in names:
        wire.make(name)
    folder, found = posix.open(""), []
    while len(found) < len(names) + 2:
        data = posix.peer.query_directory(folder, info_class=FileInfo.POSIX, length=1000)
        found += [entry.name for entry in parse_posix_entries(data)]
    assert set(found) == names | {".", ".."}


def test_classes_can_be_mixed(wire: Any, posix: Posix) -> None:
    for name in "abc":
        wire.make(name)
    folder = posix.open("")
    assert posix.peer.query_directory(folder, info_class=FileInfo.NAMES, length=24)
    rest = parse_posix_entries(posix.peer.query_directory(folder, info_class=FileInfo.POSIX))
    assert {entry.name for entry in rest} >= {"a", "b", "c"}


def test_the_volume(wire: Any, posix: Posix) -> None:
    data = posix.peer.query_info(posix.open(""), FsInfo.POSIX, info_type=InfoType.FILESYSTEM)
    space, told = wire.volume.space(), FileFsPosixInformation.unpack_from(data)
    assert told.block_size * told.total_blocks == space.total
    assert told.block_size * told.blocks_available == space.free
    assert told.total_file_nodes == 0xFFFFFFFFFFFFFFFF


# Links and special files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("disposition", [CreateDisposition.OPEN, CreateDisposition.OVERWRITE_IF])
@pytest.mark.parametrize(
    ("target", "flags"), [("file", SymlinkFlag.RELATIVE), ("a:b\\/c", SymlinkFlag.RELATIVE), ("/etc", 0)]
)
def test_a_link_ends_the_path(wire: Any, posix: Posix, target: str, flags: int, disposition: int) -> None:
    wire.make("file", b"kept")
    wire.volume.symlink("link", target)
    header, frame = posix.ask("link", create_disposition=disposition)
    assert header.status == Status.STOPPED_ON_SYMLINK
    ((_, data),) = error_contexts(frame, ErrorResponse.unpack_from(frame, HEADER_SIZE))
    link = parse_symlink_error(data)
    assert (link.substitute_name, link.flags, link.unparsed_path_length) == (target, flags, 0)
    assert wire.content("file") == b"kept"
    assert posix.ask("link", create_disposition=CreateDisposition.CREATE)[0].status == Status.OBJECT_NAME_COLLISION
    file = posix.open("link", create_options=CreateOption.OPEN_REPARSE_POINT)
    status, output = posix.peer.fsctl(FsControl.GET_REPARSE_POINT, file=file)
    assert status == "SUCCESS"
    tag, content = parse_reparse_data(output)
    assert (tag, parse_symbolic_link(content).substitute_name) == (ReparseTag.SYMLINK, target)


def test_others_follow_links(wire: Any) -> None:
    wire.make("file")
    wire.volume.symlink("link", "file")
    assert wire.connect().create_status("link") == "SUCCESS"


def reparse(posix: Posix, name: str, data: bytes) -> str:
    file = posix.make(name, bits=0o640)
    status, _ = posix.peer.fsctl(FsControl.SET_REPARSE_POINT, data, file=file)
    posix.peer.close(file)
    return str(status)


def test_links_are_made(wire: Any, posix: Posix) -> None:
    link = SymbolicLink("a/b:\\c", "", SymlinkFlag.RELATIVE)
    assert reparse(posix, "link", pack_symbolic_link(link)) == "SUCCESS"
    assert wire.volume.read_link("link") == "a/b:\\c"
    for target in ("/etc", "../out"):
        link = SymbolicLink(target, "", SymlinkFlag.RELATIVE)
        assert reparse(posix, f"bad {len(target)}", pack_symbolic_link(link)) == "ACCESS_DENIED"


def test_special_files_are_made(wire: Any, posix: Posix) -> None:
    assert reparse(posix, "fifo", pack_special_file(NfsType.FIFO)) == "SUCCESS"
    assert reparse(posix, "socket", pack_special_file(NfsType.SOCKET)) == "SUCCESS"
    fifo = wire.stat("fifo")
    assert (fifo.kind, fifo.mode) == (Kind.FIFO, 0o640)
    assert wire.stat("socket").kind == Kind.SOCKET
    for kind in (NfsType.CHARACTER_DEVICE, NfsType.BLOCK_DEVICE, NfsType.SYMLINK, 0):
        assert reparse(posix, f"{kind:x}", pack_special_file(kind)) == "NOT_SUPPORTED"
    assert reparse(posix, "short", bytes.fromhex("14000080 0400 0000 00000000")) == "IO_REPARSE_DATA_INVALID"


def test_others_make_no_special_files(wire: Any) -> None:
    peer = wire.connect()
    status, _ = peer.fsctl(FsControl.SET_REPARSE_POINT, pack_special_file(NfsType.FIFO), file=peer.make("a"))
    assert status == "NOT_SUPPORTED"
    assert wire.stat("a").kind == Kind.FILE


# Removing and renaming ------------------------------------------------------------------------------------------


def test_a_name_goes_while_the_file_is_open(wire: Any, posix: Posix) -> None:
    wire.make("a", b"kept")
    file = posix.open("a")
    posix.remove("a")
    assert wire.names() == []
    assert posix.peer.read(file, 0, 9) == b"kept"
    again = posix.make("a")
    posix.peer.write(again, 0, b"new")
    assert posix.peer.read(file, 0, 9) == b"kept"
    for opened in (file, again):
        posix.peer.close(opened)
    assert wire.names() == ["a"]
    wire.check_nothing_is_open()


def test_a_name_goes_after_it_was_doomed_by_an_open_that_is_closed(wire: Any, posix: Posix) -> None:
    wire.make("a")
    kept, doomed = posix.open("a"), posix.open("a")
    posix.peer.set_info(doomed, FileInfo.DISPOSITION, FileDispositionInformation(delete_pending=1).pack())
    assert posix.ask("a")[0].status == Status.DELETE_PENDING
    posix.peer.close(posix.open(""))  # some other CLOSE
    assert wire.names() == ["a"]
    posix.peer.close(doomed)
    assert wire.names() == []
    posix.peer.close(kept)
    wire.check_nothing_is_open()


def test_others_keep_the_name_of_what_they_have_open(wire: Any, posix: Posix) -> None:
    wire.make("a")
    peer = wire.connect()
    file = peer.open("a")
    posix.remove("a")
    assert wire.names() == ["a"]
    assert posix.ask("a")[0].status == Status.DELETE_PENDING
    peer.close(file)
    assert wire.names() == []
    wire.check_nothing_is_open()


def test_one_of_two_names_goes(wire: Any, posix: Posix) -> None:
    wire.make("a")
    wire.volume.link("a", "b")
    file = posix.open("a")
    posix.remove("a")
    assert wire.names() == ["b"]
    posix.peer.close(posix.open("b"))
    posix.remove("b")
    assert wire.names() == []
    posix.peer.close(file)
    wire.check_nothing_is_open()


def test_what_cannot_be_written_can_be_removed_and_replaced(wire: Any, posix: Posix) -> None:
    for name in "abc":
        wire.make(name, mode=0o444)
    posix.remove("a")
    posix.rename(posix.open("b", desired_access=Access.DELETE), "c")
    doomed = posix.open("c", desired_access=Access.DELETE)
    posix.peer.set_info(doomed, FileInfo.DISPOSITION, FileDispositionInformation(delete_pending=1).pack())
    posix.peer.close(doomed)
    assert wire.names() == []
    wire.make("d", mode=0o444)
    assert wire.connect().create_status("d", Access.DELETE, options=CreateOption.DELETE_ON_CLOSE) == "CANNOT_DELETE"


def test_an_open_file_is_replaced(wire: Any, posix: Posix) -> None:
    wire.make("old", b"old")
    wire.make("new", b"new")
    kept = posix.open("old")
    posix.rename(posix.open("new"), "old")
    assert posix.peer.read(kept, 0, 9) == b"old"
    assert (wire.names(), wire.content("old")) == (["old"], b"new")


def test_a_folder_moves_with_what_is_open_inside(wire: Any, posix: Posix) -> None:
    wire.make_directory("d")
    wire.make("d/a")
    inside, folder = posix.open("d/a"), posix.open("d")
    posix.rename(folder, "e")
    posix.peer.close(folder)
    posix.rename(inside, "e/b")
    assert wire.names("e") == ["b"]
    peer = wire.connect()
    peer.open("e\\b")
    with pytest.raises(StatusError) as caught:
        posix.rename(posix.open("e"), "f")
    assert caught.value.status == Status.ACCESS_DENIED


def test_an_empty_folder_is_replaced_by_another(wire: Any, posix: Posix) -> None:
    for name in ("a", "empty", "full"):
        wire.make_directory(name)
    wire.make("full/x")
    folder = posix.open("a")
    with pytest.raises(StatusError) as caught:
        posix.rename(folder, "full")
    assert caught.value.status == Status.DIRECTORY_NOT_EMPTY
    posix.rename(folder, "empty")
    assert wire.names() == ["empty", "full"]


def test_a_name_like_that_of_a_stream(wire: Any, posix: Posix) -> None:
    wire.make("a")
    posix.rename(posix.open("a"), ":b")
    assert wire.names() == [":b"]


# Modes ----------------------------------------------------------------------------------------------------------

ALLOWED = 0


def descriptor(*sids: Sid, owner: Sid | None = None, group: Sid | None = None) -> bytes:
    aces = tuple(Ace(ALLOWED, 0, ALL, sid) for sid in sids)
    return SecurityDescriptor(owner=owner, group=group, dacl=Acl(aces)).pack()


def set_security(peer: Any, file: Any, information: int, data: bytes) -> None:
    peer.set_info(file, 0, data, info_type=InfoType.SECURITY, additional=information)


def test_a_mode_is_set_by_an_ace(wire: Any, posix: Posix) -> None:
    wire.make("a", mode=0o600)
    file = posix.open("a")
    everyone = Sid(1, (0,))
    for bits, sids in ((0o641, (Sid(5, (88, 3, 0o100641)),)), (0o1755, (everyone, Sid(5, (88, 3, 0o1755)), everyone))):
        set_security(posix.peer, file, SecurityInformation.DACL, descriptor(*sids))
        assert wire.stat("a").mode == bits


def test_the_ace_means_nothing_from_others(wire: Any) -> None:
    wire.make("a", mode=0o600)
    peer = wire.connect()
    with pytest.raises(StatusError):
        set_security(peer, peer.open("a"), SecurityInformation.DACL, descriptor(Sid(5, (88, 3, 0o777))))
    assert wire.stat("a").mode == 0o600


def test_owners_by_every_name() -> None:
    assert find_posix_id(Sid(5, (88, 1, 7)), group=False) == 7
    assert find_posix_id(Sid(5, (88, 2, 7)), group=True) == 7
    assert find_posix_id(Sid(22, (1, 7)), group=False) == 7
    assert find_posix_id(Sid(5, (88, 1, 7)), group=True) is None
    assert find_posix_id(None, group=False) is None
    assert find_mode(None) is None
    assert find_mode(Acl((Ace(ALLOWED, 0, ALL, Sid(5, (88, 1, 0o777))),))) is None


def test_an_owner_is_set(wire: Any, posix: Posix) -> None:
    wire.make("a")
    stat = wire.stat("a")
    owner, group = Sid(5, (88, 1, stat.uid)), Sid(5, (88, 2, stat.gid))
    both = SecurityInformation.OWNER | SecurityInformation.GROUP
    data = SecurityDescriptor(owner=owner, group=group).pack()
    set_security(posix.peer, posix.open("a"), both, data)
    assert (wire.stat("a").uid, wire.stat("a").gid) == (stat.uid, stat.gid)


@pytest.mark.parametrize("stores_marks", [False, True])
def test_old_attributes_that_come_with_new_times_leave_the_mode(new_share: Any, stores_marks: bool) -> None:
    """cifs.ko sends what it knows when it sets a time; it has set the mode just before."""
    world = new_share(stores_marks=stores_marks)
    world.make("a", mode=0o444)
    opened = world.open("a", Access.WRITE_ATTRIBUTES)
    opened.posix = True
    basic = FileBasicInformation(
        creation_time=0, last_access_time=0, last_write_time=0, change_time=0, file_attributes=FileAttribute.NORMAL
    )
    world.set(opened, FileInfo.BASIC, basic.pack())
    assert world.volume.stat("a").mode == 0o444
