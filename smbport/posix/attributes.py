"""Extended attributes as clients see them: those that users have, less what servers keep among them."""

import os
from collections.abc import Mapping, Sequence
from errno import E2BIG, EAGAIN, EINVAL, ENOENT, EPERM
from typing import Final

from smbport.platform import Directory, Entry, Node, Stat
from smbport.posix.dosattrib import ATTRIBUTE_NAME
from smbport.posix.nodes import PosixNode
from smbport.posix.streams import Values
from smbport.posix.walk import error

__all__ = ["MARKS", "STREAMS", "PosixAttributes", "is_public", "reach"]

# As Samba and ksmbd have them, in the namespace of users: DOS attributes; streams; descriptors, which decide who may
# do what; inherited ACL entries; reparse points.
MARKS: Final = ATTRIBUTE_NAME.removeprefix("user.")
STREAMS: Final = "DosStream."
PRIVATE: Final = (STREAMS, "NTACL", "SAMBA_PAI", "SmbReparse")


class PosixAttributes:
    """The power `attributes`, for a port that has such calls; `values` are all that users have."""

    __slots__ = ("_values", "max_value")

    def __init__(self, values: Values) -> None:
        self._values = values
        self.max_value = values.max_value

    def names(self, node: Node, *, seen: Stat | None = None, wait: bool = False) -> list[str]:
        # It takes no right to list them, and changing the identity would cost twenty times as much.
        return [name for name in self._values.names(reach(node, wait=wait)) if is_public(name)]

    def get(self, node: Node, name: str, *, wait: bool = False) -> bytes | None:
        posix = reach(node, wait=wait)
        check_name(name)
        if not is_public(name):
            return None
        with posix.home.rights:
            return self._values.get(posix, name)

    def lengths(
        self, directory: Directory, entries: Sequence[Entry], *, wait: bool = False
    ) -> list[Mapping[str, int] | None]:
        return [None] * len(entries)  # a port may have a quick way

    def set(self, node: Node, name: str, value: bytes, *, wait: bool = False) -> None:
        posix = reach_for_change(node, wait=wait)
        check_name(name)
        if not is_public(name):
            raise error(EPERM)
        if len(value) > self.max_value:
            raise error(E2BIG)
        with posix.home.rights:
            self._values.set(posix, name, value)

    def remove(self, node: Node, name: str, *, wait: bool = False) -> None:
        posix = reach_for_change(node, wait=wait)
        check_name(name)
        if not is_public(name):
            raise error(ENOENT)
        with posix.home.rights:
            self._values.remove(posix, name)


def reach(node: Node, *, wait: bool) -> PosixNode:
    """The node.  Inline where marks are read inline, too."""
    if not isinstance(node, PosixNode):
        raise error(EINVAL)
    if not wait and not node.inline:
        raise error(EAGAIN)
    return node


def reach_for_change(node: Node, *, wait: bool) -> PosixNode:
    """The node.  Inline where marks are changed inline, too."""
    posix = reach(node, wait=wait)
    posix.check_change(wait)
    return posix


def is_public(name: str) -> bool:
    """Whether clients may have an attribute of that name."""
    return name != MARKS and not name.startswith(PRIVATE)


def check_name(name: str) -> None:
    """OSError(EINVAL) if no attribute can have it."""
    if "\0" in name:
        raise error(EINVAL)
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        raise error(EINVAL) from None
