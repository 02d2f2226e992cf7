"""Room for what does not fit into an attribute: files of the server's own, in a directory at the root of a volume.

    .smbport-streams/2a41f/9c0e...    the content `9c0e...` that belongs to the file with inode 0x2a41f

Whoever stores something keeps the random part of its name with the file that it belongs to.  So a content is found
only by way of its file, and what is left over from a file that others have removed is not taken for that of a new
file with the same inode.  When a file goes through us, its contents go with it; what others leave, orphans.py finds.

The directory belongs to the account that the server runs as and to nobody else.  By its name it does not exist for
clients: `smbport.posix.walk.check_path` and the listing of directories see to that.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import ENOENT
from secrets import token_hex
from typing import Final

from smbport.posix.orphans import MISSED, OWNER, Handles, note_owner
from smbport.posix.walk import HIDDEN, MAX_RACES, PLAIN, Root, error

__all__ = ["SideStore"]

OPEN: Final = os.O_RDWR | os.O_NOFOLLOW | PLAIN
PLACE: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | PLAIN
LOOK: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_NOFOLLOW | PLAIN

is_token = re.compile("[0-9a-f]{32}").fullmatch


class SideStore:
    """The contents of one volume."""

    __slots__ = ("_handles", "_root", "exists")

    def __init__(self, root: Root, handles: Handles | None = None) -> None:
        self._root = root
        self._handles = handles  # if contents of files that others remove are to be found
        self.exists = False  # whether anything may be there; without it, removing a file takes no look at it
        with suppress(OSError):
            os.stat(HIDDEN, dir_fd=root.fd, follow_symlinks=False)
            self.exists = True

    def create(self, inode: int) -> tuple[str, int]:
        """A new, empty content of a file: its token, and a descriptor."""
        self.exists = True
        token = token_hex(16)
        for _ in range(MAX_RACES):
            for path in (HIDDEN, place(inode)):
                with suppress(FileExistsError, FileNotFoundError):
                    os.mkdir(path, 0o700, dir_fd=self._root.fd)
            with suppress(FileNotFoundError):  # somebody has removed the directory because it was empty
                flags = OPEN | os.O_CREAT | os.O_EXCL
                return token, os.open(find(inode, token), flags, 0o600, dir_fd=self._root.fd)
        raise error(ENOENT)

    def create_for(self, target: int | str | bytes, inode: int) -> tuple[str, int]:
        """The same, and a note whose it is: of the file that is open as `target` or has that path."""
        name = b""
        if self._handles is not None:
            with suppress(OSError):
                name = self._handles.name(target)
        for _ in range(MAX_RACES):
            token, fd = self.create(inode)
            try:
                self._note(inode, name)
                self.size(inode, token)
            except FileNotFoundError:  # what was there before was given up, and this with it
                os.close(fd)
                self.remove(inode, token)
            except OSError:
                os.close(fd)
                self.remove(inode, token)
                raise
            else:
                return token, fd
        raise error(ENOENT)

    def _note(self, inode: int, name: bytes) -> None:
        if name:
            fd = os.open(place(inode), PLACE, dir_fd=self._root.fd)
            try:
                note_owner(fd, name)
            finally:
                os.close(fd)

    def open(self, inode: int, token: str) -> int:
        """A descriptor.  FileNotFoundError if the file has no such content."""
        return os.open(find(inode, token), OPEN, dir_fd=self._root.fd)

    def size(self, inode: int, token: str) -> os.stat_result:
        """Its size, and what it takes.  FileNotFoundError if the file has no such content."""
        return os.stat(find(inode, token), dir_fd=self._root.fd, follow_symlinks=False)

    def link(self, inode: int, token: str) -> str:
        """Another token for the same content."""
        other = token_hex(16)
        root = self._root.fd
        os.link(find(inode, token), find(inode, other), src_dir_fd=root, dst_dir_fd=root, follow_symlinks=False)
        return other

    def sync(self, inode: int) -> None:
        """Return when the names of the file's contents are on stable storage."""
        for path in (place(inode), HIDDEN, "."):
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | PLAIN, dir_fd=self._root.fd)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def remove(self, inode: int, token: str) -> None:
        """Give a content up.  What cannot be removed stays, and nothing leads to it."""
        with suppress(OSError):
            os.unlink(find(inode, token), dir_fd=self._root.fd)
            self._remove_notes(inode)
            self._remove_empty(inode)

    @contextmanager
    def following(self, directory: int, name: bytes) -> Iterator[None]:
        """Around whatever may take a file's last name: then its contents go too.

        The file is held open meanwhile, so that no other can have its inode.
        """
        fd = -1
        if self.exists:
            with suppress(OSError):
                fd = os.open(name, LOOK, dir_fd=directory)
        try:
            yield
            if fd >= 0 and not os.fstat(fd).st_nlink:
                self._clear(os.fstat(fd).st_ino)
        finally:
            if fd >= 0:
                os.close(fd)

    def _clear(self, inode: int) -> None:
        with suppress(OSError):
            fd = os.open(place(inode), PLACE, dir_fd=self._root.fd)
            try:
                for token in sorted(os.listdir(fd), key=OWNER.__eq__):  # the note last, or the rest is not found
                    os.unlink(token, dir_fd=fd)
            finally:
                os.close(fd)
            self._remove_empty(inode)

    def _remove_notes(self, inode: int) -> None:
        """If nothing else is there."""
        fd = os.open(place(inode), PLACE, dir_fd=self._root.fd)
        try:
            notes = os.listdir(fd)
            if {OWNER, MISSED}.issuperset(notes):
                for note in notes:
                    os.unlink(note, dir_fd=fd)
        finally:
            os.close(fd)

    def _remove_empty(self, inode: int) -> None:
        for path in (place(inode), HIDDEN):
            os.rmdir(path, dir_fd=self._root.fd)


def place(inode: int) -> str:
    return f"{HIDDEN}/{inode:x}"


def find(inode: int, token: str) -> str:
    """Where a content is; the token comes from an attribute, where anybody may have put it."""
    if not is_token(token):
        raise error(ENOENT)
    return f"{place(inode)}/{token}"
