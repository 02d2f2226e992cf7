"""Extended attributes: the namespace `user` of FreeBSD; and streams there.

Where attributes can be opened (FreeBSD 15, ZFS with xattr=dir: named_attribute(7)), streams are files of any length.
"""

import os
from contextlib import suppress
from errno import EACCES, EEXIST, EINVAL, ENOSPC, EPERM, EROFS
from threading import Lock
from typing import Final

from smbport.platform import Node
from smbport.posix.attributes import STREAMS
from smbport.posix.named_attributes import FileContent
from smbport.posix.nodes import PosixNode, check_wait
from smbport.posix.streams import AttributeStreams, Content
from smbport.posix.walk import error
from smbport_freebsd.calls import EXTATTR_NAMESPACE_USER, O_NAMEDATTR, O_RDONLY, O_RDWR, Calls
from smbport_freebsd.files import FreeBSDNode

__all__ = ["FreeBSDStreams", "FreeBSDValues", "reach", "replace_attribute"]

MAX_NAME: Final = 255
MAX_VALUE: Final = 65536  # ZFS takes more, UFS somewhat less for all attributes of a file together


class FreeBSDValues:
    """The attributes whose names begin with a prefix, which is left out here."""

    __slots__ = ("_lock", "_prefix", "max_name")
    max_value = MAX_VALUE

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix.encode()
        self.max_name = MAX_NAME - len(prefix)
        self._lock = Lock()  # no call makes an attribute only if there is none

    def names(self, node: PosixNode) -> list[str]:
        own = reach(node)
        with own.usable() as fd:
            found = own.calls.list_attributes(fd, EXTATTR_NAMESPACE_USER)
        return [os.fsdecode(name.removeprefix(self._prefix)) for name in found if name.startswith(self._prefix)]

    def get(self, node: PosixNode, name: str) -> bytes | None:
        own = reach(node)
        with own.usable() as fd:
            return own.calls.get_attribute(fd, EXTATTR_NAMESPACE_USER, self._encode(name))

    def create(self, node: PosixNode, name: str, value: bytes) -> None:
        self.set(node, name, value, replace=False)

    def set(self, node: PosixNode, name: str, value: bytes, *, replace: bool = True) -> None:
        own, encoded = reach(node), self._encode(name)
        with self._lock, own.usable() as fd:
            if not replace:
                check_absent(own, fd, encoded)
            replace_attribute(own.calls, fd, EXTATTR_NAMESPACE_USER, encoded, value)

    def remove(self, node: PosixNode, name: str) -> None:
        own = reach(node)
        with own.usable() as fd:
            own.calls.remove_attribute(fd, EXTATTR_NAMESPACE_USER, self._encode(name))

    def open(self, node: PosixNode, name: str) -> int:
        own, encoded = reach(node), self._encode(name)
        with own.usable() as fd:
            try:
                return own.calls.open_at(fd, encoded, O_NAMEDATTR | O_RDWR)
            except OSError as reason:
                if reason.errno not in (EACCES, EPERM, EROFS):
                    raise
                return own.calls.open_at(fd, encoded, O_NAMEDATTR | O_RDONLY)

    def rename(self, node: PosixNode, old: str, new: str) -> None:
        own, encoded = reach(node), self._encode(new)
        with self._lock, own.usable() as fd:
            check_absent(own, fd, encoded)
            directory = own.calls.open_at(fd, b".", O_NAMEDATTR | O_RDONLY)
            try:
                os.rename(self._encode(old), encoded, src_dir_fd=directory, dst_dir_fd=directory)
            finally:
                os.close(directory)

    def _encode(self, name: str) -> bytes:
        return self._prefix + os.fsencode(name)


class FreeBSDStreams(AttributeStreams):
    """The power `streams`."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(FreeBSDValues(STREAMS))

    def new_content(self, node: PosixNode, name: str) -> Content:
        own = reach(node)
        content = FileContent if own.names_attributes else Content
        return content(self._values, own.stat().key, name)


def reach(node: Node, *, wait: bool = True) -> FreeBSDNode:
    check_wait(wait)
    if not isinstance(node, FreeBSDNode):
        raise error(EINVAL)
    return node


def replace_attribute(calls: Calls, fd: int, namespace: int, name: bytes, value: bytes) -> None:
    """Make or replace one; after OSError(ENOSPC) it is as it was.

    Where attributes are files, ZFS empties one before it writes; then what was there is put back.
    """
    old = calls.get_attribute(fd, namespace, name)
    try:
        calls.set_attribute(fd, namespace, name, value)
    except OSError as reason:
        if reason.errno == ENOSPC:
            with suppress(OSError):
                if old is None:
                    calls.remove_attribute(fd, namespace, name)
                else:
                    calls.set_attribute(fd, namespace, name, old)
        raise


def check_absent(node: FreeBSDNode, fd: int, name: bytes) -> None:
    if node.calls.attribute_size(fd, EXTATTR_NAMESPACE_USER, name) is not None:
        raise error(EEXIST)
