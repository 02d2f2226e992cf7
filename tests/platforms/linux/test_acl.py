"""smbport_linux.acl"""

import errno
import os
from contextlib import closing
from pathlib import Path

import pytest

from smbport.platform import ACCESS_NONE, ACCESS_READ, AclEntry, AclTag
from smbport.testing.memory import MemoryPlatform
from smbport_linux import acl as acl_module
from smbport_linux.acl import LinuxAccessControl, pack, parse, why_no_acl
from smbport_linux.volume import LinuxVolume

LIST = (
    AclEntry(AclTag.USER_OBJ, 6),
    AclEntry(AclTag.USER, 4, 4711),
    AclEntry(AclTag.GROUP_OBJ, 4),
    AclEntry(AclTag.GROUP, 6, 4712),
    AclEntry(AclTag.MASK, 6),
    AclEntry(AclTag.OTHER, 0),
)
# As setfacl -m u:4711:r,g:4712:rw writes it for a file of mode 0640.
VALUE = bytes.fromhex(
    "0200000001000600ffffffff02000400671200000400 0400ffffffff0800060068120000 10000600ffffffff20000000ffffffff"
)
MAY_STORE = os.geteuid() == 0


@pytest.fixture
def acl() -> LinuxAccessControl:
    return LinuxAccessControl()


@pytest.fixture(autouse=True)
def supported(volume: LinuxVolume, share: Path) -> None:
    (share / "file").touch(0o640)
    (share / "dir").mkdir(0o750)
    try:
        os.setxattr(share / "file", "system.posix_acl_access", VALUE)
        os.removexattr(share / "file", "system.posix_acl_access")
    except OSError as error:
        pytest.skip(f"{volume.features.file_system} has no lists: {error.strerror}")
    os.chmod(share / "file", 0o640)


def test_the_format_is_the_kernels():
    assert pack(LIST) == VALUE
    assert pack(tuple(reversed(LIST))) == VALUE
    assert parse(VALUE) == LIST
    assert parse(None) == ()


@pytest.mark.parametrize("access", [ACCESS_NONE, ACCESS_READ])
@pytest.mark.parametrize("path", ["file", "dir"])
def test_lists(acl: LinuxAccessControl, volume: LinuxVolume, path: str, access: int):
    with closing(volume.open(path, access, wait=True)) as node:
        assert acl.lists(node, wait=True) == ((), ())
        acl.set_list(node, (), wait=True)
        acl.set_list(node, LIST, wait=True)
        assert acl.lists(node, wait=True) == (LIST, ())
        assert node.stat().mode == 0o660
        acl.set_list(node, (), wait=True)
        assert acl.lists(node, wait=True) == ((), ())


def test_what_a_directory_hands_down(acl: LinuxAccessControl, volume: LinuxVolume, share: Path):
    os.setxattr(share / "dir", "system.posix_acl_default", VALUE)
    with closing(volume.open("dir", ACCESS_NONE, wait=True)) as node:
        assert acl.lists(node, wait=True) == ((), LIST)


@pytest.mark.skipif(not MAY_STORE, reason="takes root")
@pytest.mark.parametrize("access", [ACCESS_NONE, ACCESS_READ])
def test_descriptors(acl: LinuxAccessControl, volume: LinuxVolume, share: Path, access: int):
    assert acl.names == ("security.NTACL", "user.NTACL")
    for name in acl.names:
        with closing(volume.open("file", access, wait=True)) as node:
            assert acl.descriptor(node, name, wait=True) is None
            acl.set_descriptor(node, name, b"1", wait=True)
            acl.set_descriptor(node, name, b"22", wait=True)
            assert acl.descriptor(node, name, wait=True) == b"22"
        assert os.getxattr(share / "file", name) == b"22"


def test_a_name_that_takes_more_is_not_offered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(acl_module, "find_effective_capabilities", lambda: 0)
    assert LinuxAccessControl().names == ("user.NTACL",)


def test_only_what_lies_near_is_read_inline(acl: LinuxAccessControl, volume: LinuxVolume, monkeypatch):
    with closing(volume.open("file", ACCESS_NONE, wait=True)) as node:
        monkeypatch.setattr(type(node), "inline", False)
        for read in (lambda: acl.lists(node), lambda: acl.descriptor(node, "user.NTACL")):
            with pytest.raises(BlockingIOError):
                read()
        monkeypatch.setattr(type(node), "inline", True)
        assert acl.lists(node) == ((), ())
        assert acl.descriptor(node, "user.NTACL") is None


def test_only_files_of_this_port(acl: LinuxAccessControl):
    node = MemoryPlatform().open_volume("x").create("file", 3, 0o600)
    with pytest.raises(OSError, match=f"Errno {errno.EINVAL}]"):
        acl.lists(node, wait=True)


def test_errors_are_the_systems(acl: LinuxAccessControl, volume: LinuxVolume, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "getxattr", refuse)
    assert "Operation not permitted" in (why_no_acl() or "")
    with closing(volume.open("file", ACCESS_NONE, wait=True)) as node, pytest.raises(PermissionError):
        acl.descriptor(node, "user.NTACL", wait=True)
    monkeypatch.undo()
    assert why_no_acl() is None
