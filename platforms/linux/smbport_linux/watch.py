"""Being told what happens in directories: inotify(7).

It sees what is done on this machine, through any name of the directory.  What it does not see: writing through a
memory mapping; writing through a second name of the file in another directory; and what other machines do in a
network file system, so directories there are refused.
"""

import os
from errno import ENOTSUP
from functools import partial

from smbport.platform import Directory
from smbport.posix.attributes import reach
from smbport.posix.inotify import InotifyWatcher
from smbport.posix.walk import error
from smbport_linux.calls import LINUX_MASKS, file_system_type, inotify_add_watch, inotify_init, inotify_remove_watch

__all__ = ["LinuxWatch", "why_no_watch"]


class LinuxWatch:
    """The power `watch`."""

    __slots__ = ()

    def start(self) -> InotifyWatcher:
        fd = inotify_init()
        return InotifyWatcher(fd, LINUX_MASKS, partial(add, fd), partial(inotify_remove_watch, fd))


def add(fd: int, directory: Directory, mask: int) -> int:
    target, _ = reach(directory, wait=True).where()
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
