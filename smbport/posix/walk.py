"""Going from the root of a volume to a name without ever leaving it, one component at a time.

Every directory on the way is opened with O_NOFOLLOW relative to the one before it, so what is open is what was
checked.  Symbolic links are read and followed here, ".." goes back to the directory that we came from, and
neither gets above the root.  This needs nothing but the *at() calls, and is as right on a kernel that helps
(Linux' openat2, FreeBSD's O_RESOLVE_BENEATH) as on one that does not.
"""

import os
import re
from errno import EACCES, EBUSY, EINVAL, ELOOP, EMLINK, ENOTDIR, EXDEV
from stat import S_ISLNK
from typing import Final

__all__ = ["HIDDEN", "PASS_THROUGH", "PLAIN", "Root", "Walker", "check_path", "error"]

PLAIN: Final = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""Flags of every open: no FIFO and no lease is waited for, no terminal is acquired."""

HIDDEN: Final = ".smbport-streams"
"""A name that clients neither see nor reach, wherever it is: smbport.posix.sidestore keeps data there."""

# To pass through a directory takes the right to search it, not to list it; O_RDONLY asks for too much.
PASS_THROUGH: Final = (
    getattr(os, "O_PATH", getattr(os, "O_SEARCH", os.O_RDONLY)) | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
)
O_PATH: Final = getattr(os, "O_PATH", 0)

MAX_LINKS: Final = 40  # as Linux
MAX_RACES: Final = 100  # guessed: somebody who swaps a name that often does it on purpose

# What an open of a link with O_NOFOLLOW fails with: Linux says ELOOP, with O_DIRECTORY ENOTDIR; FreeBSD EMLINK.
PERHAPS_A_LINK: Final = frozenset((ELOOP, EMLINK, ENOTDIR))

bad_part = re.compile(r"(?:^|/)\.{0,2}(?:/|$)").search
hidden_part = re.compile(rf"(?:^|/){re.escape(HIDDEN)}(?:/|$)", re.IGNORECASE).search


def error(number: int) -> OSError:
    """The OSError (in fact its subclass) for an errno."""
    return OSError(number, os.strerror(number))


def check_path(path: str) -> bytes:
    """Turn a path of the interface into bytes; OSError(EINVAL) if it is not one.  The root is b".".

    PermissionError if it leads to what is hidden.
    """
    if not path:
        return b"."
    suspicious = "/." in path or "//" in path or path[0] in "/." or path[-1] == "/"  # faster than the expression
    if "\0" in path or (suspicious and bad_part(path)):
        raise error(EINVAL)
    if suspicious and hidden_part(path):
        raise error(EACCES)
    try:
        return os.fsencode(path)
    except UnicodeEncodeError:
        raise error(EINVAL) from None


class Root:
    """The open root directory that a volume and all its views share.

    `fd`, which it takes over, is the directory if that is not what has the path: a snapshot of it.
    """

    __slots__ = ("fd", "path")

    def __init__(self, path: str, fd: int | None = None) -> None:
        self.path = os.fsencode(os.path.realpath(path))
        self.fd = os.open(self.path, PASS_THROUGH & ~os.O_NOFOLLOW) if fd is None else fd

    def close(self) -> None:
        """Close once.  The number is forgotten, so that no view can ever use whatever gets it next."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


class Walker:
    """Finds names beneath a root.  Ports whose kernel can do it in one call override the two methods."""

    __slots__ = ("root",)

    def __init__(self, root: Root) -> None:
        self.root = root

    def open(self, path: bytes, flags: int, mode: int = 0, *, follow: bool = True) -> int:
        """Open `path` and return the descriptor; a link that leaves the volume is OSError(EXDEV).

        Without `follow`, a link itself: OSError(ELOOP), or with O_PATH a descriptor of the link.
        """
        for _ in range(MAX_RACES):
            parent, name = self.find(path, follow=follow and not flags & os.O_EXCL)
            try:
                fd = open_unless_link(parent, name, flags, mode, follow=follow)
            finally:
                os.close(parent)
            if fd is not None:
                return fd
        raise error(ELOOP)

    def parent(self, path: bytes) -> tuple[int, bytes]:
        """Open the directory in which the name `path` is or would be; the descriptor, and the last part."""
        if path == b".":
            raise error(EBUSY)  # the root has no name that could be changed
        return self.find(path, follow=False)

    def find(self, path: bytes, *, follow: bool) -> tuple[int, bytes]:
        """Walk to the last part of `path`: the directory to close, and a name that if `follow` is no link now."""
        way = [os.dup(self.root.fd)]  # from the root to where we are
        pending = path.split(b"/")[::-1]
        links = 0
        try:
            while pending:
                part = pending.pop()
                if part in (b"", b"."):
                    continue
                if part == b"..":
                    go_back(way)
                    continue
                target = self.enter(way, part) if pending else read_link(way[-1], part) if follow else None
                if target is not None:
                    links += 1
                    if links > MAX_LINKS:
                        raise error(ELOOP)
                    pending += self.parts_of_target(target, way)
                elif not pending:
                    return way.pop(), part
            return way.pop(), b"."
        finally:
            for fd in way:
                os.close(fd)

    def enter(self, way: list[int], part: bytes) -> bytes | None:
        """Go into the directory `part` and return None, or return where it points to if it is a link."""
        try:
            way.append(os.open(part, PASS_THROUGH, dir_fd=way[-1]))
        except OSError as reason:
            target = read_link(way[-1], part) if reason.errno in PERHAPS_A_LINK else None
            if target is None:
                raise
            return target
        return None

    def parts_of_target(self, target: bytes, way: list[int]) -> list[bytes]:
        """The parts of what a link says, last first.  An absolute one counts if it lies beneath the root's path."""
        if target.startswith(b"/"):
            root = self.root.path.rstrip(b"/")
            if target != root and not target.startswith(root + b"/"):
                raise error(EXDEV)
            target = target[len(root) :]
            while len(way) > 1:
                os.close(way.pop())
        return target.split(b"/")[::-1]


def open_unless_link(parent: int, name: bytes, flags: int, mode: int, *, follow: bool) -> int | None:
    """None for a link that is to be followed: it was none a moment ago."""
    try:
        fd = os.open(name, flags | os.O_NOFOLLOW, mode, dir_fd=parent)
    except OSError as reason:
        if follow and reason.errno in PERHAPS_A_LINK and is_link(parent, name):
            return None
        raise
    if follow and flags & O_PATH and S_ISLNK(os.fstat(fd).st_mode):
        os.close(fd)
        return None
    return fd


def go_back(way: list[int]) -> None:
    """Follow "..": to the directory that we came from, wherever somebody has moved this one meanwhile."""
    if len(way) == 1:
        raise error(EXDEV)
    os.close(way.pop())


def read_link(directory: int, name: bytes) -> bytes | None:
    """What a symbolic link says; None if the name is something else, or nothing."""
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError as reason:
        if reason.errno == EINVAL or isinstance(reason, FileNotFoundError):
            return None
        raise


def is_link(directory: int, name: bytes) -> bool:
    return read_link(directory, name) is not None
