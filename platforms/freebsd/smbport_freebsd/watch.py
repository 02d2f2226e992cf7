"""Being told what happens in directories: by inotify, which FreeBSD has from 15.0 on, before that by kqueue."""

from errno import EINVAL, ENOTSUP
from functools import partial
from typing import Final

from smbport.platform import Directory, Watcher
from smbport.posix.inotify import InotifyWatcher
from smbport.posix.walk import error
from smbport_freebsd.calls import FREEBSD_MASKS, MNT_LOCAL, Calls
from smbport_freebsd.files import FreeBSDDirectory, reopened
from smbport_freebsd.vnodes import VnodeWatcher

__all__ = ["FreeBSDWatch", "why_no_watch"]

# Nobody but this machine changes these, and by no other way than through them.
WATCHED_FILE_SYSTEMS: Final = frozenset(("ext2fs", "msdosfs", "tmpfs", "ufs", "zfs"))


class FreeBSDWatch:
    """The power `watch`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def start(self) -> Watcher:
        if not self._calls.has("inotify_init1"):
            return VnodeWatcher(self._calls, partial(check_local, self._calls))
        fd = self._calls.inotify_init()
        remove = partial(self._calls.inotify_remove_watch, fd)
        return InotifyWatcher(fd, FREEBSD_MASKS, partial(self._add, fd), remove)

    def _add(self, fd: int, directory: Directory, mask: int) -> int:
        if not isinstance(directory, FreeBSDDirectory):
            raise error(EINVAL)
        with reopened(self._calls, directory.descriptor) as readable:
            check_local(self._calls, readable)
            return self._calls.inotify_add_watch(fd, readable, mask)


def check_local(calls: Calls, fd: int) -> None:
    """OSError(ENOTSUP) unless all changes in an open directory are made by this machine, and seen."""
    file_system, flags = calls.file_system(fd)
    if file_system not in WATCHED_FILE_SYSTEMS or not flags & MNT_LOCAL:
        raise error(ENOTSUP)


def why_no_watch(calls: Calls) -> str:
    """Why nothing can be watched here; "" if it can."""
    try:
        FreeBSDWatch(calls).start().close()
    except OSError as reason:
        return f"This process is refused what it takes to watch directories: {reason.strerror}."
    return ""
