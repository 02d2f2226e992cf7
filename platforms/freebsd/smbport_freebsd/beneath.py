"""Finding names beneath a root in one system call: openat with O_RESOLVE_BENEATH."""

import os
from errno import EXDEV

from smbport.posix.walk import Root, Walker, read_link
from smbport_freebsd.calls import O_DIRECTORY, O_NOFOLLOW, O_PATH, O_RESOLVE_BENEATH, Calls

__all__ = ["Opener", "new_walker"]


class Opener(Walker):
    """A walker that lets the kernel walk to the directory of a name.

    The kernel refuses what leaves the root on the way and comes back, and absolute links that lead back into it.
    It says the same of both as of what really leaves, so then this walks by hand.
    """

    __slots__ = ("_calls",)

    def __init__(self, root: Root, calls: Calls) -> None:
        super().__init__(root)
        self._calls = calls

    def find(self, path: bytes, *, follow: bool) -> tuple[int, bytes]:
        head, _, name = path.rpartition(b"/")
        try:
            parent = self._calls.open_at(self.root.fd, head or b".", O_PATH | O_DIRECTORY | O_RESOLVE_BENEATH)
        except OSError as reason:
            if reason.errno != EXDEV:
                raise
            return super().find(path, follow=follow)
        try:
            is_link = follow and read_link(parent, name) is not None
        except OSError:
            os.close(parent)
            raise
        if not is_link:
            return parent, name
        os.close(parent)
        return super().find(path, follow=True)


def new_walker(root: Root, calls: Calls) -> Walker:
    """The best that this kernel allows, found out by trying to leave the root."""
    try:
        os.close(calls.open_at(root.fd, b"..", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_RESOLVE_BENEATH))
    except OSError as reason:
        if reason.errno == EXDEV:
            return Opener(root, calls)
    return Walker(root)
