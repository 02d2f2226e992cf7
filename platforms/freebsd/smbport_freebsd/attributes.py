"""Extended attributes: the namespace `user` of FreeBSD, less what servers keep there for themselves; and streams there.

Where attributes can be opened (FreeBSD 15, ZFS with xattr=dir: named_attribute(7)), streams are files of any length.
"""

import os
from collections.abc import Mapping, Sequence
from errno import E2BIG, EACCES, EEXIST, EINVAL, ENOENT, EPERM, EROFS
from threading import Lock
from typing import Final

from smbport.platform import Directory, Entry, Node
from smbport.posix.files import PosixNode, check_wait
from smbport.posix.named_attributes import FileContent
from smbport.posix.streams import AttributeStreams, Content
from smbport.posix.walk import error
from smbport_freebsd.calls import EXTATTR_NAMESPACE_USER, O_NAMEDATTR, O_RDONLY, O_RDWR
from smbport_freebsd.files import FreeBSDNode
from smbport_freebsd.stats import DOSATTRIB

__all__ = ["FreeBSDAttributes", "FreeBSDStreams", "StreamValues"]

# What Samba keeps beside the DOS attributes: descriptors, streams, inherited ACL entries, reparse points.
STREAMS: Final = b"DosStream."
PRIVATE: Final = (b"NTACL", STREAMS, b"SAMBA_PAI", b"SmbReparse")
MAX_NAME: Final = 255
MAX_VALUE: Final = 65536  # ZFS takes more, UFS somewhat less for all attributes of a file together


class FreeBSDAttributes:
    """The power `attributes`."""

    __slots__ = ()
    max_value = MAX_VALUE

    def names(self, node: Node, *, wait: bool = False) -> list[str]:
        return [os.fsdecode(name) for name in list_names(reach(node, wait=wait)) if is_public(name)]

    def get(self, node: Node, name: str, *, wait: bool = False) -> bytes | None:
        encoded = encode(name)
        return get_value(reach(node, wait=wait), encoded) if is_public(encoded) else None

    def lengths(
        self, directory: Directory, entries: Sequence[Entry], *, wait: bool = False
    ) -> list[Mapping[str, int] | None]:
        return [None] * len(entries)  # there is no such call on names below a directory

    def set(self, node: Node, name: str, value: bytes, *, wait: bool = False) -> None:
        encoded = encode(name)
        if not is_public(encoded):
            raise error(EPERM)
        if len(value) > MAX_VALUE:
            raise error(E2BIG)
        set_value(reach(node, wait=wait), encoded, value)

    def remove(self, node: Node, name: str, *, wait: bool = False) -> None:
        encoded = encode(name)
        if not is_public(encoded):
            raise error(ENOENT)
        remove_value(reach(node, wait=wait), encoded)


class StreamValues:
    """Where named streams are kept, under Samba's names."""

    __slots__ = ("_lock",)
    max_value = MAX_VALUE
    max_name = MAX_NAME - len(STREAMS)

    def __init__(self) -> None:
        self._lock = Lock()  # no call makes an attribute only if there is none

    def names(self, node: PosixNode) -> list[str]:
        found = list_names(reach(node))
        return [os.fsdecode(name.removeprefix(STREAMS)) for name in found if name.startswith(STREAMS)]

    def get(self, node: PosixNode, name: str) -> bytes | None:
        return get_value(reach(node), STREAMS + os.fsencode(name))

    def create(self, node: PosixNode, name: str, value: bytes) -> None:
        self.set(node, name, value, replace=False)

    def set(self, node: PosixNode, name: str, value: bytes, *, replace: bool = True) -> None:
        own, encoded = reach(node), STREAMS + os.fsencode(name)
        with self._lock:
            if not replace:
                self._check_absent(own, encoded)
            set_value(own, encoded, value)

    def remove(self, node: PosixNode, name: str) -> None:
        remove_value(reach(node), STREAMS + os.fsencode(name))

    def open(self, node: PosixNode, name: str) -> int:
        own, encoded = reach(node), STREAMS + os.fsencode(name)
        with own.usable() as fd:
            try:
                return own.calls.open_at(fd, encoded, O_NAMEDATTR | O_RDWR)
            except OSError as reason:
                if reason.errno not in (EACCES, EPERM, EROFS):
                    raise
                return own.calls.open_at(fd, encoded, O_NAMEDATTR | O_RDONLY)

    def rename(self, node: PosixNode, old: str, new: str) -> None:
        own, encoded = reach(node), STREAMS + os.fsencode(new)
        with self._lock, own.usable() as fd:
            self._check_absent(own, encoded)
            directory = own.calls.open_at(fd, b".", O_NAMEDATTR | O_RDONLY)
            try:
                os.rename(STREAMS + os.fsencode(old), encoded, src_dir_fd=directory, dst_dir_fd=directory)
            finally:
                os.close(directory)

    def _check_absent(self, node: FreeBSDNode, name: bytes) -> None:
        with node.usable() as fd:
            if node.calls.attribute_size(fd, EXTATTR_NAMESPACE_USER, name) is not None:
                raise error(EEXIST)


class FreeBSDStreams(AttributeStreams):
    """The power `streams`."""

    __slots__ = ()

    def new_content(self, node: PosixNode, name: str) -> Content:
        own = reach(node)
        content = FileContent if own.names_attributes else Content
        return content(self._values, own.stat().key, name)


def reach(node: Node, *, wait: bool = True) -> FreeBSDNode:
    check_wait(wait)
    if not isinstance(node, FreeBSDNode):
        raise error(EINVAL)
    return node


def list_names(node: FreeBSDNode) -> list[bytes]:
    with node.usable() as fd:
        return node.calls.list_attributes(fd, EXTATTR_NAMESPACE_USER)


def get_value(node: FreeBSDNode, name: bytes) -> bytes | None:
    with node.usable() as fd:
        return node.calls.get_attribute(fd, EXTATTR_NAMESPACE_USER, name)


def set_value(node: FreeBSDNode, name: bytes, value: bytes) -> None:
    with node.usable() as fd:
        node.calls.set_attribute(fd, EXTATTR_NAMESPACE_USER, name, value)


def remove_value(node: FreeBSDNode, name: bytes) -> None:
    with node.usable() as fd:
        node.calls.remove_attribute(fd, EXTATTR_NAMESPACE_USER, name)


def is_public(name: bytes) -> bool:
    return name != DOSATTRIB and not name.startswith(PRIVATE)


def encode(name: str) -> bytes:
    if "\0" in name:
        raise error(EINVAL)
    try:
        return os.fsencode(name)
    except UnicodeEncodeError:
        raise error(EINVAL) from None
