"""SET_INFO: attributes, sizes, disposition, names and security descriptors, against a volume in memory."""

import errno
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from smbport.commands.rights import FILE_SET
from smbport.commands.steps import Blocking
from smbport.platform import ACCESS_NONE
from smbport.state.open import PipeOpen
from smbport.wire.constants import (
    Access,
    AceFlag,
    AceType,
    CreateOption,
    FileAttribute,
    FileInfo,
    FsInfo,
    InfoType,
    SecurityInformation,
    ShareAccess,
)
from smbport.wire.fscc import (
    DispositionFlag,
    FileAllocationInformation,
    FileBasicInformation,
    FileDispositionInformation,
    FileDispositionInformationEx,
    FileEndOfFileInformation,
    FileLinkInformation,
    FileModeInformation,
    FilePositionInformation,
    FileRenameInformation,
    FileRenameInformationEx,
    RenameFlag,
    SetTime,
    pack_with_name,
)
from smbport.wire.record import BadStructure
from smbport.wire.security import (
    Ace,
    Acl,
    SecurityDescriptor,
    Sid,
    WellKnownSid,
    descriptor_of_mode,
    unix_group_sid,
    unix_user_sid,
)
from smbport.wire.status import Status, StatusError

Refused = Callable[[int], Any]
EPOCH = 116444736000000000
DELETE_AND_WRITE = 0x0017019F  # the access smbtorture's rename tests ask for
READ_WRITE = ShareAccess.READ | ShareAccess.WRITE


# Attributes and times -------------------------------------------------------------------------------------------


def set_basic(share: Any, opened: Any, attributes: int = 0, *, created: int = 0, accessed: int = 0,
              written: int = 0, changed: int = 0) -> None:  # fmt: skip
    record = FileBasicInformation(
        creation_time=created, last_access_time=accessed, last_write_time=written, change_time=changed,
        file_attributes=attributes,
    )  # fmt: skip
    share.set(opened, FileInfo.BASIC, record.pack())


def test_times_are_set(share: Any) -> None:
    share.make("a")
    opened = share.open("a")
    set_basic(share, opened, created=EPOCH + 1, accessed=EPOCH + 2, written=EPOCH + 3, changed=EPOCH + 4)
    stat = opened.node.stat()
    assert (stat.birth_ns, stat.access_ns, stat.write_ns) == (100, 200, 300)


@pytest.mark.parametrize("keep", [SetTime.UNCHANGED, SetTime.FREEZE, SetTime.THAW])
def test_times_that_are_none_change_nothing(share: Any, keep: int) -> None:
    share.make("a")
    opened = share.open("a")
    before = opened.node.stat()
    set_basic(share, opened, created=keep, accessed=keep, written=keep, changed=keep)
    assert opened.node.stat() == before


@pytest.mark.parametrize("field", ["created", "accessed", "written", "changed"])
def test_no_such_time(share: Any, refused: Refused, field: str) -> None:
    share.make("a")
    opened = share.open("a")
    before = opened.node.stat()
    with refused(Status.INVALID_PARAMETER):
        set_basic(share, opened, FileAttribute.HIDDEN, **{field: SetTime.THAW - 1})
    assert opened.node.stat() == before


def test_attributes_are_stored(share: Any) -> None:
    share.make("a")
    opened = share.open("a")
    for attributes, stored in (
        (FileAttribute.READONLY, FileAttribute.READONLY),
        (FileAttribute.HIDDEN | FileAttribute.ARCHIVE, FileAttribute.HIDDEN | FileAttribute.ARCHIVE),
        (0, FileAttribute.HIDDEN | FileAttribute.ARCHIVE),
        (FileAttribute.NORMAL, 0),
        (FileAttribute.SYSTEM | FileAttribute.SPARSE_FILE, FileAttribute.SYSTEM),
    ):
        set_basic(share, opened, attributes)
        assert opened.node.stat().dos_attributes == stored
    assert opened.node.stat().mode == 0o644


def test_attributes_of_the_wrong_kind(share: Any, refused: Refused) -> None:
    share.make("a")
    share.make_directory("d")
    with refused(Status.INVALID_PARAMETER):
        set_basic(share, share.open("a"), FileAttribute.DIRECTORY)
    with refused(Status.INVALID_PARAMETER):
        set_basic(share, share.open("d"), FileAttribute.DIRECTORY | FileAttribute.TEMPORARY)
    set_basic(share, share.open("d"), FileAttribute.DIRECTORY | FileAttribute.HIDDEN)
    assert share.volume.stat("d").dos_attributes == FileAttribute.HIDDEN


def test_without_marks_the_mode_says_readonly(new_share: Any) -> None:
    share = new_share(stores_marks=False)
    share.make("a", mode=0o664)
    opened = share.open("a")
    for attributes, mode in (
        (FileAttribute.READONLY, 0o444),
        (FileAttribute.READONLY | FileAttribute.ARCHIVE, 0o444),
        (0, 0o444),
        (FileAttribute.ARCHIVE, 0o644),
        (FileAttribute.NORMAL, 0o644),
    ):
        set_basic(share, opened, attributes, created=EPOCH)
        assert opened.node.stat().mode == mode
    assert opened.node.stat().dos_attributes is None
    assert opened.node.stat().birth_ns != 0


def test_without_marks_what_cannot_be_kept_is_refused(new_share: Any, refused: Refused) -> None:
    share = new_share(stores_marks=False)
    share.make("a")
    share.make(".a")
    share.make_directory("d")
    for path, attributes in (
        ("a", FileAttribute.HIDDEN),
        ("a", FileAttribute.SYSTEM | FileAttribute.READONLY),
        (".a", FileAttribute.SYSTEM),
        ("d", FileAttribute.READONLY),
    ):
        with refused(Status.NOT_SUPPORTED):
            set_basic(share, share.open(path), attributes)
        assert share.volume.stat(path).mode & 0o222
    set_basic(share, share.open(".a"), FileAttribute.HIDDEN)
    set_basic(share, share.open("d"), FileAttribute.DIRECTORY)


def test_without_marks_a_closed_directory_is_opened_again(new_share: Any) -> None:
    share = new_share(stores_marks=False)
    share.make_directory("d", mode=0o555)
    opened = share.open("d")
    set_basic(share, opened, FileAttribute.READONLY)  # it is, so nothing changes
    assert opened.node.stat().mode == 0o555
    set_basic(share, opened, FileAttribute.DIRECTORY)
    assert opened.node.stat().mode == 0o755


# Sizes ----------------------------------------------------------------------------------------------------------


def set_size(share: Any, opened: Any, size: int) -> None:
    share.set(opened, FileInfo.END_OF_FILE, FileEndOfFileInformation(end_of_file=size).pack())


def set_allocation(share: Any, opened: Any, size: int) -> None:
    share.set(opened, FileInfo.ALLOCATION, FileAllocationInformation(allocation_size=size).pack())


def test_end_of_file(share: Any, refused: Refused) -> None:
    share.make("a", b"hello")
    opened = share.open("a")
    set_size(share, opened, 37)
    assert opened.file.read_at(0, 100) == b"hello" + bytes(32)
    set_size(share, opened, 2)
    assert opened.node.stat().size == 2
    with refused(Status.INVALID_PARAMETER):
        set_size(share, opened, -1)


def test_allocation(share: Any, refused: Refused) -> None:
    share.make("a", b"hello")
    opened = share.open("a")
    set_allocation(share, opened, 3)
    assert opened.node.stat().size == 3
    set_allocation(share, opened, 3 * 4096)
    stat = opened.node.stat()
    assert (stat.size, stat.allocated) == (3, 3 * 4096)
    set_allocation(share, opened, 4096)  # neither cuts nor reserves
    assert opened.node.stat() == stat
    set_allocation(share, opened, 0)
    assert opened.node.stat().size == 0
    with refused(Status.INVALID_PARAMETER):
        set_allocation(share, opened, -1)


def test_a_full_volume_is_told(share: Any) -> None:
    share.make("a")
    opened = share.open("a")
    share.faults.fail("File.allocate", errno.ENOSPC)
    with pytest.raises(OSError, match="space"):
        set_allocation(share, opened, 1 << 20)


# What only the open knows ---------------------------------------------------------------------------------------


def test_position(share: Any, refused: Refused) -> None:
    opened = share.open("")
    share.set(opened, FileInfo.POSITION, FilePositionInformation(current_byte_offset=123456).pack())
    assert opened.position == 123456
    with refused(Status.INVALID_PARAMETER):
        share.set(opened, FileInfo.POSITION, FilePositionInformation(current_byte_offset=-1).pack())


def test_mode(share: Any, refused: Refused) -> None:
    opened = share.open("", options=CreateOption.DIRECTORY_FILE | CreateOption.SEQUENTIAL_ONLY)
    share.set(opened, FileInfo.MODE, FileModeInformation(mode=CreateOption.WRITE_THROUGH).pack())
    assert opened.create_options == CreateOption.DIRECTORY_FILE | CreateOption.WRITE_THROUGH
    for mode in (1, CreateOption.NO_INTERMEDIATE_BUFFERING, CreateOption.SYNCHRONOUS_IO_NONALERT):
        with refused(Status.INVALID_PARAMETER):
            share.set(opened, FileInfo.MODE, FileModeInformation(mode=mode).pack())
    share.set(opened, FileInfo.MODE, FileModeInformation(mode=0).pack())
    assert opened.create_options == CreateOption.DIRECTORY_FILE


# Disposition ----------------------------------------------------------------------------------------------------


def doom(share: Any, opened: Any, pending: int = 1) -> None:
    share.set(opened, FileInfo.DISPOSITION, FileDispositionInformation(delete_pending=pending).pack())


def doom_ex(share: Any, opened: Any, flags: int) -> None:
    share.set(opened, FileInfo.DISPOSITION_EX, FileDispositionInformationEx(flags=flags).pack())


def test_doomed_and_spared(share: Any) -> None:
    share.make("a")
    share.make_directory("d")
    for path in ("a", "d"):
        opened, other = share.open(path), share.open(path)
        doom(share, opened)
        assert other.shared.delete_pending
        doom(share, other, 0)
        assert not opened.shared.delete_pending
        doom_ex(share, opened, DispositionFlag.DELETE | DispositionFlag.FORCE_IMAGE_SECTION_CHECK)
        assert opened.shared.delete_pending
        doom_ex(share, opened, 0)
        assert not opened.shared.delete_pending


def test_directory_that_is_not_empty(share: Any, refused: Refused) -> None:
    share.make_directory("d")
    share.make("d/a")
    opened = share.open("d")
    listed = share.list(opened, flags=2)
    handles = share.inner.open_handles
    with refused(Status.DIRECTORY_NOT_EMPTY):
        doom(share, opened)
    assert share.inner.open_handles == handles
    assert not opened.shared.delete_pending
    assert [entry.name for entry in listed + share.list(opened)] == [".", "..", "a"]


def test_the_root_stays(share: Any, refused: Refused) -> None:
    with refused(Status.CANNOT_DELETE):
        doom(share, share.open(""))


def test_readonly_stays_unless_told_otherwise(share: Any, refused: Refused) -> None:
    share.make("a")
    opened = share.open("a")
    set_basic(share, opened, FileAttribute.READONLY)
    with refused(Status.CANNOT_DELETE):
        doom(share, opened)
    with refused(Status.CANNOT_DELETE):
        doom_ex(share, opened, DispositionFlag.DELETE)
    doom_ex(share, opened, DispositionFlag.DELETE | DispositionFlag.IGNORE_READONLY_ATTRIBUTE)
    assert opened.shared.delete_pending


def test_the_directory_above_decides(share: Any, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    share.make("a")
    inner = type(share.inner.open_volume("data"))
    monkeypatch.setattr(inner, "may_remove", lambda self, path, wait=False: False)
    with refused(Status.ACCESS_DENIED):
        doom(share, share.open("a"))


@pytest.mark.parametrize(
    ("flags", "status"),
    [
        (DispositionFlag.DELETE | DispositionFlag.POSIX_SEMANTICS, Status.NOT_SUPPORTED),
        (DispositionFlag.ON_CLOSE, Status.NOT_SUPPORTED),
        (0x20, Status.INVALID_PARAMETER),
    ],
)
def test_disposition_flags_that_are_not_offered(share: Any, refused: Refused, flags: int, status: int) -> None:
    share.make("a")
    opened = share.open("a")
    with refused(status):
        doom_ex(share, opened, flags)
    assert not opened.shared.delete_pending


# Rename ---------------------------------------------------------------------------------------------------------


def rename(share: Any, opened: Any, name: str, *, replace: bool = False, root: int = 0) -> None:
    record = FileRenameInformation(replace_if_exists=replace, root_directory=root)
    share.set(opened, FileInfo.RENAME, pack_with_name(record, name))


def rename_ex(share: Any, opened: Any, name: str, flags: int) -> None:
    record = FileRenameInformationEx(flags=flags, root_directory=0)
    share.set(opened, FileInfo.RENAME_EX, pack_with_name(record, name))


def in_directory(share: Any, **keywords: Any) -> Any:
    """An open of d/file.txt with the access and no sharing, as smbtorture's tests have it."""
    if "d" not in share.names():
        share.make_directory("d")
    share.make("d/file.txt")
    return share.open("d/file.txt", DELETE_AND_WRITE, share_access=0, **keywords)


def test_rename(share: Any) -> None:
    opened = in_directory(share)
    rename(share, opened, "d\\newname.txt")
    assert share.names("d") == ["newname.txt"]
    assert opened.path == "d/newname.txt"
    assert opened.created
    rename(share, opened, "above.txt")
    assert (share.names("d"), opened.path) == ([], "above.txt")


def test_rename_needs_the_right_to_delete(share: Any, refused: Refused) -> None:
    share.make("a")
    opened = share.open("a", 0x000001FF)
    for set_name in (rename, lambda share, opened, name: rename_ex(share, opened, name, 0)):
        with refused(Status.ACCESS_DENIED):
            set_name(share, opened, "b")


@pytest.mark.parametrize(
    ("access", "share_access", "allowed"),
    [
        (0x001701BF, 7, False),  # DELETE access on the directory, and all shared
        (0x001701BF, 0, False),
        (0x001601BF, 7, True),  # no DELETE access
        (0x001601BF, 0, False),
        (0x00100080, 0, True),  # a stat open, as Word makes
        (0x00100001, READ_WRITE, True),
        (0x00100001, ShareAccess.READ | ShareAccess.DELETE, False),
    ],
)
def test_rename_while_the_directory_is_open(
    share: Any, refused: Refused, access: int, share_access: int, allowed: bool
) -> None:
    share.make_directory("d")
    share.open("d", access, share_access=share_access)
    opened = in_directory(share)
    if allowed:
        rename(share, opened, "d\\newname.txt")
    else:
        with refused(Status.SHARING_VIOLATION):
            rename(share, opened, "d\\newname.txt")
    assert share.names("d") == ["newname.txt" if allowed else "file.txt"]


def test_rename_while_others_have_it_open(share: Any) -> None:
    share.make("a")
    opened, other = share.open("a", Access.DELETE), share.open("a", Access.READ_DATA)
    rename(share, opened, "b")
    assert (opened.path, other.path) == ("b", "b")


def test_directory_with_open_files_stays(share: Any, refused: Refused) -> None:
    opened = in_directory(share)
    directory = share.open("d", DELETE_AND_WRITE, share_access=0)
    with refused(Status.ACCESS_DENIED):
        rename(share, directory, "d-new")
    share.server.close_open(opened)
    rename(share, directory, "d-new")
    assert share.names("d-new") == ["file.txt"]
    assert directory.path == "d-new"


def test_nothing_is_replaced_unasked(share: Any, refused: Refused) -> None:
    share.make("a", b"old")
    share.make("B", b"new")
    opened = share.open("a")
    for name in ("B", "b"):
        with refused(Status.OBJECT_NAME_COLLISION):
            rename(share, opened, name)
        with refused(Status.OBJECT_NAME_COLLISION):
            rename_ex(share, opened, name, RenameFlag.POSIX_SEMANTICS)
    assert share.names() == ["B", "a"]


@pytest.mark.parametrize("name", ["B", "b"])
def test_replacing(share: Any, name: str) -> None:
    share.make("a", b"kept")
    share.make("B", b"gone")
    opened = share.open("a")
    rename(share, opened, name, replace=True)
    assert share.names() == ["B"]
    assert opened.path == "B"
    assert share.volume.open("B", 1).read_at(0, 10) == b"kept"


def test_an_open_file_is_replaced_only_the_posix_way(share: Any, refused: Refused) -> None:
    share.make("a", b"kept")
    share.make("b", b"gone")
    other = share.open("b")
    opened = share.open("a")
    with refused(Status.ACCESS_DENIED):
        rename(share, opened, "b", replace=True)
    with refused(Status.ACCESS_DENIED):
        rename_ex(share, opened, "b", RenameFlag.REPLACE_IF_EXISTS)
    rename_ex(share, opened, "b", RenameFlag.REPLACE_IF_EXISTS | RenameFlag.POSIX_SEMANTICS)
    assert share.volume.open("b", 1).read_at(0, 10) == b"kept"
    assert other.file.read_at(0, 10) == b"gone"
    with pytest.raises(FileNotFoundError):  # the replaced file must not take its successor along
        rename(share, other, "c")
    assert share.names() == ["b"]


def test_readonly_and_directories_are_not_replaced(share: Any, refused: Refused) -> None:
    share.make("a")
    share.make("b", mode=0o444)
    share.make_directory("d")
    opened = share.open("a")
    for name in ("b", "d"):
        with refused(Status.ACCESS_DENIED):
            rename(share, opened, name, replace=True)
    with refused(Status.ACCESS_DENIED):
        rename_ex(share, opened, "b", RenameFlag.REPLACE_IF_EXISTS | RenameFlag.POSIX_SEMANTICS)
    rename_ex(share, opened, "b", RenameFlag.REPLACE_IF_EXISTS | RenameFlag.IGNORE_READONLY_ATTRIBUTE)
    assert share.names() == ["b", "d"]


@pytest.mark.parametrize("case_sensitive", [True, False])
def test_only_the_case_changes(new_share: Any, case_sensitive: bool) -> None:
    share = new_share(case_sensitive=case_sensitive)
    share.make_directory("d")
    share.make("d/readme")
    opened = share.open("d/readme")
    rename(share, opened, "D\\ReadMe" if case_sensitive else "d\\ReadMe")
    assert share.names("d") == ["ReadMe"]
    assert opened.path == "d/ReadMe"
    rename(share, opened, "d\\ReadMe")
    assert opened.path == "d/ReadMe"


def test_names_that_differ_in_case_only(new_share: Any) -> None:
    share = new_share(sensitive=True)
    share.make("a")
    share.make("B")
    rename(share, share.open("a"), "b")
    assert share.names() == ["B", "b"]


def test_onto_another_name_of_the_same_file(share: Any, refused: Refused) -> None:
    share.make("a")
    share.volume.link("a", "b")
    opened = share.open("a")
    with refused(Status.OBJECT_NAME_COLLISION):
        rename(share, opened, "b")
    rename(share, opened, "b", replace=True)
    assert share.names() == ["b"]
    assert opened.path == "b"


def test_a_link_is_renamed_itself(share: Any) -> None:
    share.make("target", b"data")
    share.inner.open_volume("data").plant_link("link", "target")
    rename(share, share.open("link"), "other")
    assert share.names() == ["other", "target"]


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("", Status.INVALID_PARAMETER),
        ("\\\\b", Status.INVALID_PARAMETER),  # one separator may stand in front: it is a full name
        ("b:stream", Status.OBJECT_NAME_INVALID),
        ("b\\", Status.OBJECT_NAME_INVALID),
        ("b*", Status.OBJECT_NAME_INVALID),
        ("..\\b", Status.OBJECT_PATH_SYNTAX_BAD),
        ("missing\\b", Status.OBJECT_PATH_NOT_FOUND),
        ("file\\b", Status.OBJECT_PATH_NOT_FOUND),
    ],
)
def test_names_that_cannot_be(share: Any, refused: Refused, name: str, status: int) -> None:
    share.make("a")
    share.make("file")
    opened = share.open("a")
    with refused(status):
        rename(share, opened, name)
    with refused(status):
        rename_ex(share, opened, name, 0)
    with refused(status):
        link(share, opened, name)
    assert share.names() == ["a", "file"]


def test_a_separator_in_front_is_the_root(share: Any) -> None:
    share.make("a")
    opened = share.open("a")
    rename(share, opened, "\\b")
    link(share, opened, "\\c")
    assert share.names() == ["b", "c"]


def test_a_directory_may_have_a_separator_behind_its_name(share: Any) -> None:
    share.make_directory("d")
    rename(share, share.open("d"), "e\\")
    assert share.names() == ["e"]


def test_the_root_keeps_its_name(share: Any, refused: Refused) -> None:
    with refused(Status.ACCESS_DENIED):
        rename(share, share.open(""), "a")


def test_relative_to_another_open(share: Any, refused: Refused) -> None:
    share.make("a")
    with refused(Status.INVALID_PARAMETER):
        rename(share, share.open("a"), "b", root=5)


def test_unknown_rename_flag(share: Any, refused: Refused) -> None:
    share.make("a")
    with refused(Status.INVALID_PARAMETER):
        rename_ex(share, share.open("a"), "b", 0x80)


def test_in_threads_the_result_is_the_same(share: Any) -> None:
    share.make("a")
    share.make("B", b"gone")
    opened = share.open("a")
    share.faults.force_threads()
    rename(share, opened, "b", replace=True)
    assert opened.path == "B"
    link(share, opened, "c")
    doom(share, opened)
    set_basic(share, opened, FileAttribute.HIDDEN, written=EPOCH)
    set_size(share, opened, 5)
    share.faults.clear()
    assert share.names() == ["B", "c"]
    stat = share.volume.stat("c")
    assert (stat.size, stat.dos_attributes) == (5, FileAttribute.HIDDEN)


def start_rename(share: Any, opened: Any, name: str) -> Any:
    """A rename that has got as far as its first look at the volume, and that step."""
    opened.pins += 1
    data = pack_with_name(FileRenameInformation(replace_if_exists=0, root_directory=0), name)
    handler = share.start_set(opened, FileInfo.RENAME, data)
    step = handler.send(None)
    assert isinstance(step, Blocking)
    return handler, step.function(*step.args, **step.keywords, wait=True)


def test_closed_while_a_thread_was_looking(share: Any, refused: Refused) -> None:
    share.make("a")
    opened = share.open("a")
    share.faults.force_threads("Volume.stat")
    handler, target = start_rename(share, opened, "b")
    share.server.close_open(opened)
    with refused(Status.FILE_CLOSED):
        handler.send(target)
    assert share.names() == ["a"]


def test_renamed_by_another_while_a_thread_was_looking(share: Any, refused: Refused) -> None:
    share.make("a")
    opened, other = share.open("a"), share.open("a")
    share.faults.force_threads("Volume.stat")
    handler, target = start_rename(share, opened, "b")
    share.faults.clear()
    rename(share, other, "c")
    with refused(Status.OBJECT_NAME_NOT_FOUND):
        handler.send(target)
    assert share.names() == ["c"]


def test_closed_while_a_thread_asked_whether_it_may_go(share: Any, refused: Refused) -> None:
    share.make("a")
    opened, other = share.open("a"), share.open("a")
    opened.pins += 1
    share.faults.force_threads("Volume.may_remove")
    handler = share.start_set(opened, FileInfo.DISPOSITION, b"\x01")
    step = handler.send(None)
    share.server.close_open(opened)
    with refused(Status.FILE_CLOSED):
        handler.send(step.function(*step.args, wait=True))
    assert not other.shared.delete_pending


# Links ----------------------------------------------------------------------------------------------------------


def link(share: Any, opened: Any, name: str, *, replace: bool = False) -> None:
    record = FileLinkInformation(replace_if_exists=replace, root_directory=0)
    share.set(opened, FileInfo.LINK, pack_with_name(record, name))


def test_link(share: Any) -> None:
    share.make_directory("d")
    share.make("a")
    opened = share.open("a", Access.READ_DATA)
    link(share, opened, "D\\b")
    assert share.names("d") == ["b"]
    assert share.volume.stat("d/b").key == opened.shared.key
    assert opened.path == "a"


def test_link_over_another_file(share: Any, refused: Refused) -> None:
    share.make_directory("d")
    share.make("a", b"kept")
    share.make("b", b"gone")
    share.make("d/b", b"gone")
    opened = share.open("a")
    for name, path in (("b", "b"), ("d\\b", "d/b")):
        with refused(Status.OBJECT_NAME_COLLISION):
            link(share, opened, name)
        link(share, opened, name, replace=True)
        assert share.volume.stat(path).key == opened.shared.key
    assert (share.names(), share.names("d")) == (["a", "b", "d"], ["b"])


def test_link_to_itself(share: Any, refused: Refused) -> None:
    share.make("a")
    opened = share.open("a")
    with refused(Status.OBJECT_NAME_COLLISION):
        link(share, opened, "A")
    link(share, opened, "A", replace=True)
    assert share.names() == ["a"]


def test_link_that_fails_leaves_nothing_behind(share: Any) -> None:
    share.make("a")
    share.make("b", b"old")
    opened = share.open("a")
    share.faults.fail("Volume.rename", errno.EIO)
    with pytest.raises(OSError, match="error"):
        link(share, opened, "b", replace=True)
    assert share.names() == ["a", "b"]
    assert share.volume.open("b", 1).read_at(0, 10) == b"old"


def test_no_link_to_what_is_about_to_go(share: Any, refused: Refused) -> None:
    share.make("a")
    opened = share.open("a")
    doom(share, opened)
    with refused(Status.ACCESS_DENIED):
        link(share, opened, "b")


# Descriptors ----------------------------------------------------------------------------------------------------

OWNER, GROUP = unix_user_sid(1000), unix_group_sid(100)
ALL_PARTS = SecurityInformation.OWNER | SecurityInformation.GROUP | SecurityInformation.DACL


def set_descriptor(share: Any, opened: Any, descriptor: SecurityDescriptor, information: int = ALL_PARTS) -> None:
    share.set(opened, 0, descriptor.pack(), info_type=InfoType.SECURITY, information=information)


def owned_file(share: Any, *, mode: int = 0o2644) -> Any:
    share.make("a", mode=mode)
    share.volume.open("a", ACCESS_NONE).set_owner(1000, 100)
    return share.open("a")


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o777, 0o604, 0o000, 0o751])
def test_a_descriptor_that_a_mode_can_hold(share: Any, mode: int) -> None:
    opened = owned_file(share)
    set_descriptor(share, opened, descriptor_of_mode(mode, OWNER, GROUP, False))
    stat = opened.node.stat()
    assert (stat.mode, stat.uid, stat.gid) == (0o2000 | mode, 1000, 100)


def test_the_order_of_entries_and_inheritance_do_not_matter(share: Any) -> None:
    opened = owned_file(share)
    described = descriptor_of_mode(0o640, OWNER, GROUP, False)
    assert described.dacl is not None
    aces = tuple(replace(ace, flags=ace.flags | AceFlag.INHERITED) for ace in reversed(described.dacl.aces))
    set_descriptor(share, opened, replace(described, dacl=Acl(aces)), SecurityInformation.DACL)
    assert opened.node.stat().mode == 0o2640


def test_what_was_read_can_be_set_again_and_changes_nothing(share: Any) -> None:
    opened = owned_file(share)
    before = opened.node.stat()
    data = share.data(opened, 0, info_type=InfoType.SECURITY, information=ALL_PARTS)
    share.set(opened, 0, data, info_type=InfoType.SECURITY, information=ALL_PARTS)
    assert opened.node.stat() == before


def test_owner_and_group(share: Any) -> None:
    opened = owned_file(share, mode=0o644)
    wanted = SecurityDescriptor(owner=unix_user_sid(7), group=unix_group_sid(8))
    set_descriptor(share, opened, wanted, SecurityInformation.GROUP)
    assert (opened.node.stat().uid, opened.node.stat().gid) == (1000, 8)
    set_descriptor(share, opened, wanted, SecurityInformation.OWNER)
    assert (opened.node.stat().uid, opened.node.stat().gid) == (7, 8)
    assert opened.node.stat().mode == 0o644


@pytest.mark.parametrize(
    "dacl",
    [
        None,
        Acl(),
        Acl((Ace(AceType.ACCESS_ALLOWED, 0, Access.FILE_ALL_ACCESS, WellKnownSid.EVERYONE),)),
        Acl((Ace(AceType.ACCESS_ALLOWED, 0, Access.FILE_GENERIC_READ, Sid(5, (21, 1, 2, 3, 1000))),)),
    ],
)
def test_a_list_that_no_mode_can_hold(share: Any, refused: Refused, dacl: Acl | None) -> None:
    opened = owned_file(share)
    before = opened.node.stat()
    with refused(Status.NOT_SUPPORTED):
        set_descriptor(share, opened, SecurityDescriptor(dacl=dacl), SecurityInformation.DACL)
    assert opened.node.stat() == before


@pytest.mark.parametrize("sid", [None, WellKnownSid.SYSTEM, unix_group_sid(1), Sid(22, (1, 2, 3))])
def test_an_owner_that_is_no_account(share: Any, refused: Refused, sid: Sid | None) -> None:
    opened = owned_file(share)
    with refused(Status.INVALID_SID):
        set_descriptor(share, opened, SecurityDescriptor(owner=sid), SecurityInformation.OWNER)


def test_rights_to_set_a_descriptor(share: Any, new_share: Any, refused: Refused) -> None:
    share.make("a")
    wanted = descriptor_of_mode(0o644, OWNER, GROUP, False)
    opened = share.open("a", Access.FILE_ALL_ACCESS & ~Access.WRITE_OWNER)
    with refused(Status.ACCESS_DENIED):
        set_descriptor(share, opened, wanted)
    with refused(Status.ACCESS_DENIED):
        set_descriptor(share, opened, wanted, SecurityInformation.SACL)
    with refused(Status.MEDIA_WRITE_PROTECTED):
        read_only = new_share(read_only=True)
        set_descriptor(read_only, read_only.open(""), wanted)


def test_no_auditing(share: Any, refused: Refused) -> None:
    opened = owned_file(share)
    opened.granted_access |= Access.ACCESS_SYSTEM_SECURITY
    audit = Acl((Ace(AceType.SYSTEM_AUDIT, AceFlag.FAILED_ACCESS, Access.FILE_ALL_ACCESS, WellKnownSid.EVERYONE),))
    with refused(Status.NOT_SUPPORTED):
        set_descriptor(share, opened, SecurityDescriptor(sacl=audit), SecurityInformation.SACL)
    set_descriptor(share, opened, SecurityDescriptor(sacl=Acl()), SecurityInformation.SACL)


def test_bytes_that_are_no_descriptor(share: Any, refused: Refused) -> None:
    opened = owned_file(share)
    with refused(Status.INVALID_SECURITY_DESCR):
        share.set(opened, 0, bytes(20), info_type=InfoType.SECURITY, information=SecurityInformation.DACL)


def test_of_another_owner(share: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = owned_file(share)
    share.faults.fail("File.set_mode", errno.EPERM)
    with pytest.raises(PermissionError):
        set_descriptor(share, opened, descriptor_of_mode(0o600, OWNER, GROUP, False), SecurityInformation.DACL)


# What is common -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("info_class", sorted(FILE_SET))
def test_every_class_is_handled_and_minds_its_length(share: Any, refused: Refused, info_class: int) -> None:
    share.make("a")
    opened = share.open("a")
    with refused(Status.INFO_LENGTH_MISMATCH):
        share.set(opened, info_class, b"")
    if info_class != FileInfo.DISPOSITION:
        with refused(Status.INFO_LENGTH_MISMATCH):
            share.set(opened, info_class, bytes(3))


@pytest.mark.parametrize("info_class", [FileInfo.RENAME, FileInfo.RENAME_EX, FileInfo.LINK])
def test_a_name_that_leaves_its_buffer(share: Any, info_class: int) -> None:
    share.make("a")
    data = bytes(16) + (4).to_bytes(4, "little") + b"b\0"
    with pytest.raises(BadStructure):
        share.set(share.open("a"), info_class, data)


@pytest.mark.parametrize("info_class", sorted(set(FILE_SET) - {FileInfo.MODE, FileInfo.POSITION}))
def test_a_share_that_is_read_only_is_not_changed(new_share: Any, refused: Refused, info_class: int) -> None:
    share = new_share(read_only=True)
    share.make("a")
    with refused(Status.MEDIA_WRITE_PROTECTED):
        share.set(share.open("a"), info_class, bytes(100))


@pytest.mark.parametrize(
    ("info_type", "info_class", "status"),
    [
        (InfoType.FILE, 0, Status.INVALID_INFO_CLASS),
        (InfoType.FILE, FileInfo.STANDARD, Status.NOT_SUPPORTED),
        (InfoType.FILESYSTEM, FsInfo.LABEL, Status.NOT_SUPPORTED),
        (InfoType.FILESYSTEM, 77, Status.INVALID_INFO_CLASS),
        (InfoType.QUOTA, 0, Status.NOT_SUPPORTED),
        (9, 0, Status.INVALID_PARAMETER),
    ],
)
def test_what_is_not_offered(share: Any, refused: Refused, info_type: int, info_class: int, status: int) -> None:
    with refused(status):
        share.set(share.open(""), info_class, bytes(100), info_type=info_type)


def test_buffer_beyond_what_was_negotiated(share: Any, refused: Refused) -> None:
    with refused(Status.INVALID_PARAMETER):
        share.set(share.open(""), FileInfo.BASIC, bytes(65537))


def test_pipes_have_nothing_to_set(share: Any, refused: Refused) -> None:
    pipe = PipeOpen(share.tree, 1, 1, Access.FILE_ALL_ACCESS, "srvsvc", None)  # type: ignore[arg-type]
    with refused(Status.NOT_SUPPORTED):
        share.set(pipe, FileInfo.PIPE, bytes(8))


def test_status_errors_are_what_the_fixture_says(refused: Refused) -> None:
    with pytest.raises(AssertionError), refused(Status.ACCESS_DENIED):
        raise StatusError(Status.NOT_SUPPORTED)


# The memory of spellings ----------------------------------------------------------------------------------------


def test_names_that_are_moved_are_remembered(share: Any, refused: Refused) -> None:
    share.make("a")
    share.make_directory("d")
    opened = share.open("a")
    for directory in ("", "d"):
        with refused(Status.NO_SUCH_FILE):
            share.list(share.open(directory, Access.READ_DATA), "missing")
    spellings = share.tree.share.spellings
    rename(share, opened, "d\\b")
    link(share, opened, "d\\c")
    for directory in ("", "d"):
        assert spellings.knows(share.volume.stat(directory))
    inside = share.volume.stat("d")
    assert [spellings.may_hold(inside, name) for name in ("B", "C", "other")] == [True, True, False]


def test_a_move_that_cannot_be_followed_is_done_all_the_same(share: Any, refused: Refused) -> None:
    share.make("a")
    opened = share.open("a")
    with refused(Status.NO_SUCH_FILE):
        share.list(share.open("", Access.READ_DATA), "missing")
    share.faults.do_before("Volume.rename", lambda: share.faults.fail("Volume.stat", errno.EIO))
    rename(share, opened, "b")
    assert (share.names(), opened.path) == (["b"], "b")
    assert not share.tree.share.spellings.knows(share.volume.stat(""))
