"""Named streams in attributes that the system opens as files, of any length, as FreeBSD 15 and illumos do.

They are the attributes of `streams`, and end with a byte of zero as there: whoever uses them by calls for whole values,
as Samba does, finds what it knows.  An attribute that cannot be opened, because it was made when the file system kept
it elsewhere, and one that only says where the side store has the data, are used as in `streams`.
"""

import os
from contextlib import suppress
from errno import ENOSPC
from typing import Final, Protocol

from smbport.platform import Stat
from smbport.posix.files import PosixFile
from smbport.posix.nodes import PosixNode, check_wait, make_stat
from smbport.posix.streams import END, MARK, TYPE, Content, Values, token_of
from smbport.posix.walk import error

__all__ = ["EndedFile", "FileContent", "FileValues"]

TOKEN_LENGTH: Final = 32


class FileValues(Values, Protocol):
    """Attributes that are files as well."""

    def open(self, node: PosixNode, name: str) -> int:
        """A descriptor of its data, for writing if that is allowed.  FileNotFoundError if it is no file."""

    def rename(self, node: PosixNode, old: str, new: str) -> None:
        """Give one that is a file another name.  FileExistsError if there is any attribute of that name."""


class EndedFile(PosixFile):
    """The data of a stream in a file with a byte of zero behind it."""

    __slots__ = ()

    def stat(self) -> Stat:
        found = make_stat(os.fstat(self._fd))
        if found.size and os.pread(self._fd, 1, found.size - 1) == END:
            found.size -= 1
        return found

    def read_at(self, offset: int, length: int, *, wait: bool = False) -> bytes:
        return super().read_at(offset, max(min(length, self.stat().size - offset), 0), wait=wait)

    def write_at(self, offset: int, data: bytes | memoryview, *, through: bool = False, wait: bool = False) -> int:
        size = self.stat().size
        if not data or offset + len(data) < size:
            return super().write_at(offset, data, through=through, wait=wait)
        written = super().write_at(offset, b"".join((data, END)), through=through, wait=wait)
        if written > len(data):
            return len(data)
        if offset + written > size:  # the volume is full: the zero takes the place of the last byte that fitted
            written -= 1
            end = offset + written if written else size
            super().resize(end + 1, wait=wait)
            super().write_at(end, END, through=through, wait=wait)
            if not written:
                raise error(ENOSPC)
        return written

    def resize(self, size: int, *, wait: bool = False) -> None:
        if size < self.stat().size:  # before it is cut: if this fails, nothing has changed
            super().write_at(size, END, wait=wait)
        super().resize(size + 1, wait=wait)


class FileContent(Content):
    """One stream of one file."""

    __slots__ = ()
    _values: FileValues

    def remove(self, node: PosixNode) -> None:
        if self._try_open(node):
            self._values.remove(node, self.name + TYPE)
            self._forget(node, "")
        else:
            super().remove(node)

    def rename(self, node: PosixNode, new: str) -> None:
        if self._try_open(node):
            self._values.rename(node, self.name + TYPE, new + TYPE)
            self.name = new
        else:
            super().rename(node, new)

    def measure(self, node: PosixNode) -> tuple[int, int]:
        side = self._side or self._open(node)
        if side is None:
            return super().measure(node)
        try:
            stat = side.stat()
        finally:
            if side is not self._side:
                side.close()
        return stat.size, stat.allocated

    def resize(self, node: PosixNode, size: int, *, wait: bool) -> None:
        if self._load(node, wait=wait) is None and isinstance(self._side, EndedFile):
            self._side.resize(size, wait=wait)
        else:
            super().resize(node, size, wait=wait)

    def _load(self, node: PosixNode, *, wait: bool) -> bytes | None:
        check_wait(wait)
        self._try_open(node)
        return super()._load(node, wait=wait)

    def _move_out(self, node: PosixNode, data: bytes, reason: OSError) -> None:
        """Written anew, it is a file."""
        self._values.set(node, self.name + TYPE, data + END)
        if not self._try_open(node):
            super()._move_out(node, data, reason)

    def _try_open(self, node: PosixNode) -> bool:
        """Whether it is a file, which then is open."""
        if self._side is None:
            self._side = self._open(node)
        return isinstance(self._side, EndedFile)

    def _open(self, node: PosixNode) -> EndedFile | None:
        """None if it is no file, or its data is in the side store."""
        with suppress(FileNotFoundError):
            file = EndedFile(self._values.open(node, self.name + TYPE), node.home)
            length = len(MARK) + TOKEN_LENGTH
            start = file.read_at(0, length + 1, wait=True)
            if len(start) != length or not token_of(start):
                return file
            file.close()
        return None
