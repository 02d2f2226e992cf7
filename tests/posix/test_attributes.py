"""smbport.posix.attributes, over a system that keeps them in a dictionary."""

import errno
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from smbport.platform import ACCESS_READ, Entry
from smbport.posix.attributes import PosixAttributes
from smbport.posix.nodes import PosixNode
from smbport.posix.port import PosixPlatform
from smbport.posix.walk import error
from smbport.testing.memory import MemoryPlatform

RESERVED = ("DOSATTRIB", "DosStream.x:$DATA", "NTACL", "SAMBA_PAI", "SmbReparse")


class System:
    """The attributes of one file, and whose rights they were used with."""

    max_value = 10
    max_name = 100

    def __init__(self) -> None:
        self.values: dict[str, bytes] = dict.fromkeys(RESERVED, b"private")
        self.rights = "the server's"
        self.used: list[str] = []

    @contextmanager
    def as_user(self) -> Iterator[None]:
        self.rights = "the user's"
        yield
        self.rights = "the server's"

    def names(self, node: PosixNode) -> list[str]:
        return list(self.values)

    def get(self, node: PosixNode, name: str) -> bytes | None:
        self.used.append(self.rights)
        return self.values.get(name)

    def set(self, node: PosixNode, name: str, value: bytes, *, replace: bool = True) -> None:
        assert replace
        self.used.append(self.rights)
        self.values[name] = value

    create = set

    def remove(self, node: PosixNode, name: str) -> None:
        self.used.append(self.rights)
        if self.values.pop(name, None) is None:
            raise error(errno.ENOENT)


@pytest.fixture
def system() -> System:
    return System()


@pytest.fixture
def attributes(system: System) -> PosixAttributes:
    return PosixAttributes(system)


@pytest.fixture
def root(tmp_path: Path):
    with (
        closing(PosixPlatform().open_volume(str(tmp_path))) as volume,
        closing(volume.open("", ACCESS_READ, wait=True)) as opened,
    ):
        yield opened


def error_of(function, *arguments) -> int | None:
    try:
        function(*arguments, wait=True)
    except OSError as reason:
        return reason.errno
    return None


def test_attributes(attributes: PosixAttributes, root):
    assert attributes.max_value == 10
    assert attributes.get(root, "a", wait=True) is None
    attributes.set(root, "a", b"1", wait=True)
    attributes.set(root, "DOSATTRIBUTES", b"another", wait=True)
    assert attributes.names(root, wait=True) == ["a", "DOSATTRIBUTES"]
    assert attributes.get(root, "a", wait=True) == b"1"
    attributes.remove(root, "a", wait=True)
    assert error_of(attributes.remove, root, "a") == errno.ENOENT
    assert attributes.lengths(root, [Entry("a", None), Entry("b", None)]) == [None, None]


def test_they_are_used_with_the_rights_of_the_user(attributes: PosixAttributes, system: System, root):
    root.home.rights = system.as_user()
    attributes.set(root, "a", b"1", wait=True)
    root.home.rights = system.as_user()
    attributes.get(root, "a", wait=True)
    root.home.rights = system.as_user()
    attributes.remove(root, "a", wait=True)
    assert system.used == ["the user's"] * 3


@pytest.mark.parametrize("name", RESERVED)
def test_what_servers_keep_is_hidden(attributes: PosixAttributes, system: System, root, name: str):
    assert attributes.names(root, wait=True) == []
    assert attributes.get(root, name, wait=True) is None
    assert error_of(attributes.set, root, name, b"x") == errno.EPERM
    assert error_of(attributes.remove, root, name) == errno.ENOENT
    assert system.values[name] == b"private"


def test_what_cannot_be_kept(attributes: PosixAttributes, system: System, root):
    assert error_of(attributes.set, root, "a", bytes(11)) == errno.E2BIG
    for name in ("a\0b", "\ud800"):
        assert error_of(attributes.get, root, name) == errno.EINVAL
        assert error_of(attributes.set, root, name, b"") == errno.EINVAL
        assert error_of(attributes.remove, root, name) == errno.EINVAL
    assert system.used == []


def test_all_wait_where_changes_do_and_take_their_own_handles_only(attributes: PosixAttributes, root):
    for call, arguments in (
        (attributes.names, ()), (attributes.get, ("a",)), (attributes.set, ("a", b"")), (attributes.remove, ("a",)),
    ):  # fmt: skip
        with pytest.raises(BlockingIOError):
            call(root, *arguments)
    assert error_of(attributes.names, MemoryPlatform().open_volume("x").open("", ACCESS_READ)) == errno.EINVAL
