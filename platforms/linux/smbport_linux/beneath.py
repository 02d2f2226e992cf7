"""Finding names beneath a root in one system call: openat2, with RESOLVE_BENEATH."""

import os
from errno import EAGAIN, EBUSY, EXDEV
from typing import Final

from smbport.posix.walk import Root, Walker, error
from smbport_linux.calls import (
    RESOLVE_BENEATH,
    RESOLVE_CACHED,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_XDEV,
    has_openat2,
    openat2,
    quick_openat2,
)

__all__ = ["Opener", "knows_cached_names", "new_walker"]

BENEATH: Final = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS
CACHED: Final = BENEATH | RESOLVE_CACHED | RESOLVE_NO_XDEV

PARENT: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC

KERNEL_ATTEMPTS: Final = 10  # guessed: after that many races, walking by hand is the surer way


class Opener(Walker):
    """A walker that lets the kernel walk, and knows which names need no disk to be found."""

    __slots__ = ()

    def open(self, path: bytes, flags: int, mode: int = 0, *, follow: bool = True) -> int:
        if not follow:
            flags |= os.O_NOFOLLOW
        for _ in range(KERNEL_ATTEMPTS):
            try:
                return openat2(self.root.fd, path, flags, mode, BENEATH)
            except OSError as reason:
                if reason.errno == EXDEV:
                    break  # out of the volume, or an absolute link back into it: the kernel makes no difference
                if reason.errno != EAGAIN:
                    raise  # EAGAIN: a directory on the way was moved, or there is a lease on the file
        return super().open(path, flags, mode, follow=follow)

    def open_cached(self, path: bytes, flags: int, *, follow: bool = True) -> int:
        """The same for what is there, without waiting: BlockingIOError if a disk has to be asked for the name."""
        if not follow:
            flags |= os.O_NOFOLLOW
        try:
            return quick_openat2(self.root.fd, path, flags, CACHED)
        except OSError as reason:
            if reason.errno == EXDEV:  # as above; or another file system, which may be on a network
                raise error(EAGAIN) from None
            raise

    def parent(self, path: bytes) -> tuple[int, bytes]:
        head, _, name = path.rpartition(b"/")
        return (self.open(head, PARENT) if head else self._root_of(name)), name

    def parent_cached(self, path: bytes) -> tuple[int, bytes]:
        """The same without waiting."""
        head, _, name = path.rpartition(b"/")
        return (self.open_cached(head, PARENT) if head else self._root_of(name)), name

    def _root_of(self, name: bytes) -> int:
        """The root once more, for a name in it."""
        if name == b".":
            raise error(EBUSY)  # the root has no name that could be changed
        return os.dup(self.root.fd)


def new_walker(root: Root) -> Walker:
    """The best that this kernel allows."""
    return Opener(root) if has_openat2(BENEATH) else Walker(root)


def knows_cached_names() -> bool:
    """Whether `Opener.open_cached` works here."""
    return has_openat2(CACHED)
