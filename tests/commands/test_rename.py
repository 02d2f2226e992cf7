"""SET_INFO that moves a name or adds one, against a volume in memory."""

import errno
from collections.abc import Callable
from typing import Any

import pytest

from smbport.commands.steps import Blocking
from smbport.wire.constants import Access, FileInfo, ShareAccess
from smbport.wire.fscc import (
    FileLinkInformation,
    FileRenameInformation,
    FileRenameInformationEx,
    RenameFlag,
    pack_with_name,
)
from smbport.wire.status import Status

Refused = Callable[[int], Any]
DELETE_AND_WRITE = 0x0017019F  # the access smbtorture's rename tests ask for
READ_WRITE = ShareAccess.READ | ShareAccess.WRITE


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


def test_a_name_that_takes_itself_back(share: Any, refused: Refused) -> None:
    """`..` is done away with before anybody looks; what is left must be a name."""
    share.make("a")
    opened = share.open("a")
    for function in (rename, link):
        with refused(Status.OBJECT_NAME_INVALID):
            function(share, opened, "b\\..")
        with refused(Status.OBJECT_PATH_SYNTAX_BAD):
            function(share, opened, "b\\..\\..\\c")
    rename(share, opened, "nosuch\\..\\b")
    assert share.names() == ["b"]


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
    link(share, opened, "c")
    share.faults.clear()
    assert (share.names(), opened.path) == (["B", "c"], "B")


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
    opened.shared.doomed_by = opened
    with refused(Status.ACCESS_DENIED):
        link(share, opened, "b")


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
