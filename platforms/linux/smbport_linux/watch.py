"""Being told what happens in directories: inotify(7).

It sees what is done on this machine, through any name of the directory.  What it does not see: writing through a
memory mapping; writing through a second name of the file in another directory; and what other machines do in a
network file system, so directories there are refused.
"""

import os
from errno import ENOTSUP
from functools import partial

from smbport.platform import Directory
from smbport.posix.inotify import InotifyMasks, InotifyWatcher
from smbport.posix.walk import error
from smbport_linux.attributes import reach
from smbport_linux.calls import (
    IN_ATTRIB,
    IN_CREATE,
    IN_DELETE,
    IN_EXCL_UNLINK,
    IN_IGNORED,
    IN_ISDIR,
    IN_MODIFY,
    IN_MOVE_SELF,
    IN_MOVED_FROM,
    IN_MOVED_TO,
    IN_ONLYDIR,
    IN_Q_OVERFLOW,
    file_system_type,
    inotify_add_watch,
    inotify_init,
    inotify_remove_watch,
)

__all__ = ["LINUX_MASKS", "LinuxWatch", "why_no_watch"]

LINUX_MASKS = InotifyMasks(
    modify=IN_MODIFY,
    attrib=IN_ATTRIB,
    moved_from=IN_MOVED_FROM,
    moved_to=IN_MOVED_TO,
    create=IN_CREATE,
    delete=IN_DELETE,
    move_self=IN_MOVE_SELF,
    ignored=IN_IGNORED,
    overflow=IN_Q_OVERFLOW,
    is_directory=IN_ISDIR,
    options=IN_ONLYDIR | IN_EXCL_UNLINK,
)


class LinuxWatch:
    """The power `watch`."""

    __slots__ = ()

    def start(self) -> InotifyWatcher:
        fd = inotify_init()
        return InotifyWatcher(fd, LINUX_MASKS, partial(add, fd), partial(inotify_remove_watch, fd))


def add(fd: int, directory: Directory, mask: int) -> int:
    target = reach(directory)[1]
    path = b"/proc/self/fd/%d" % target if isinstance(target, int) else os.fsencode(target)
    if file_system_type(path) is None:
        raise error(ENOTSUP)  # nobody but this machine changes those that are known
    return inotify_add_watch(fd, path, mask)


def why_no_watch() -> str:
    """Why inotify cannot be used here; "" if it can."""
    try:
        LinuxWatch().start().close()
    except OSError as reason:
        return f"inotify cannot be used: {reason.strerror}."
    return ""
