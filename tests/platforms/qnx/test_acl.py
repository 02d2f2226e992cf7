"""smbport_qnx.acl: over the stand-in, and over Linux' libacl, which has the same functions."""

import ctypes
import errno
import os
import pwd
from contextlib import closing

import pytest

from smbport.platform import ACCESS_NONE, ACCESS_READ, AclEntry, AclTag, AclType
from smbport_qnx.acl import QnxAccessControl, pack_text, parse_text
from smbport_qnx.calls import Calls
from smbport_qnx.platform import probe

LIST = (
    AclEntry(AclTag.USER_OBJ, 6),
    AclEntry(AclTag.USER, 4, 4711),
    AclEntry(AclTag.GROUP_OBJ, 4),
    AclEntry(AclTag.GROUP, 7, 4712),
    AclEntry(AclTag.MASK, 6),
    AclEntry(AclTag.OTHER, 0),
)
TEXT = "user::rw-\nuser:4711:r--\ngroup::r--\ngroup:4712:rwx\nmask::rw-\nother::---\n"


def test_the_text():
    assert pack_text(tuple(reversed(LIST))) == TEXT
    assert tuple(parse_text(TEXT)) == LIST


def test_names_and_remarks_in_it():
    root = pwd.getpwuid(0).pw_name
    text = f"# file: f\nuser::rwx\nuser:{root}:rwx\t\t#effective:r--\n\ngroup::r-x\nmask::r--\nother::r--\n"
    assert parse_text(text)[1] == AclEntry(AclTag.USER, 7, 0)


@pytest.mark.parametrize(
    "line", ["user::rwz", "mask:1:rwx", "nobody::rwx", "user:no such user:rwx", "group:no such:r--", "x"]
)
def test_what_is_no_list(line):
    with pytest.raises(OSError, match=f"Errno {errno.EINVAL}]"):
        parse_text(line)


@pytest.fixture
def share(calls, tmp_path):
    with closing(probe(calls).open_volume(str(tmp_path))) as volume:
        yield volume


@pytest.fixture
def file(share):
    with closing(share.create("file", ACCESS_READ, 0o640, wait=True)) as node:
        yield node


def test_a_list_that_is_set_and_taken_away(library, calls, share, file):
    acl = QnxAccessControl(calls)
    assert acl.lists(file, wait=True) == ((), ())
    acl.set_list(file, (), wait=True)  # which it is already
    acl.set_list(file, LIST, wait=True)
    assert acl.lists(file, wait=True) == (list(LIST), ())
    assert file.stat().mode == 0o660
    acl.set_list(file, (), wait=True)
    assert acl.lists(file, wait=True) == ((), ())
    assert file.stat().mode == 0o660
    assert ctypes.c_int.in_dll(library, "acls_given").value == 0  # all are freed


def test_it_waits_for_the_disk(calls, file):
    acl = QnxAccessControl(calls)
    with pytest.raises(BlockingIOError):
        acl.lists(file)
    with pytest.raises(BlockingIOError):
        acl.set_list(file, LIST)


def test_lists_of_another_kind_or_that_cannot_be(library, calls, file):
    acl = QnxAccessControl(calls)
    with pytest.raises(OSError, match=f"Errno {errno.ENOTSUP}]"):
        acl.set_list(file, (AclEntry(AclTag.EVERYONE, 1, type=AclType.ALLOW),), wait=True)
    with pytest.raises(OSError, match=f"Errno {errno.EINVAL}]"):
        acl.set_list(file, LIST[1:], wait=True)
    assert ctypes.c_int.in_dll(library, "acls_given").value == 0


def test_a_library_without_them(file):
    acl = QnxAccessControl(Calls([]))
    assert acl.lists(file, wait=True) == ((), ())
    acl.set_list(file, (), wait=True)
    with pytest.raises(OSError, match=f"Errno {errno.ENOTSUP}]"):
        acl.set_list(file, LIST, wait=True)


def test_what_is_not_open(calls, share, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    acl = QnxAccessControl(calls)
    with closing(share.open("pipe", ACCESS_NONE, wait=True)) as pipe:
        assert acl.lists(pipe, wait=True) == ((), ())
        with pytest.raises(OSError, match=f"Errno {errno.ENOTSUP}]"):
            acl.set_list(pipe, LIST, wait=True)
    with pytest.raises(OSError, match=f"Errno {errno.EINVAL}]"):
        acl.lists(object(), wait=True)


# Linux' own ------------------------------------------------------------------------------------------------------


def test_the_calls_of_libacl(file, tmp_path):
    """The same calls on lists that a kernel keeps: what the port writes, it reads back, and so does the system."""
    try:
        calls = Calls([ctypes.CDLL("libacl.so.1", use_errno=True)])
    except OSError as missing:
        pytest.skip(str(missing))
    acl, entries = QnxAccessControl(calls), [*LIST[:1], AclEntry(AclTag.USER, 7, 0), *LIST[1:]]
    try:
        acl.set_list(file, entries, wait=True)
    except OSError as reason:
        pytest.skip(f"the file system has no lists: {reason.strerror}")
    assert acl.lists(file, wait=True) == (entries, ())
    assert f"user:{pwd.getpwuid(0).pw_name}:rwx" in calls.acl_text(file.fileno())  # and names are numbers again
    assert len(os.getxattr(tmp_path / "file", "system.posix_acl_access")) == 4 + 8 * len(entries)
    acl.set_list(file, (), wait=True)
    assert acl.lists(file, wait=True) == ((), ())
    assert "system.posix_acl_access" not in os.listxattr(tmp_path / "file")
