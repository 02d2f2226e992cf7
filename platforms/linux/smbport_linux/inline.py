"""What may be done on the event loop's own thread.

Reading: RWF_NOWAIT reads what is in the page cache and nothing else.

Writing: ext4 refuses RWF_NOWAIT for buffered writes, and where it is known it refuses whatever allocates, which
is most of what clients send.  So small writes are plain ones, as long as smbport.posix.gate lets them pass.  A page
that is to be changed in part and is not cached would be read first: that case is recognised beforehand
(`LinuxFile.needs_a_read`).
"""

from typing import Final

__all__ = ["INLINE_WRITE", "LOCAL_FILE_SYSTEMS", "MEMORY_FILE_SYSTEMS"]

INLINE_WRITE: Final = 1 << 20  # bytes; a thread hop would cost more than copying them, and sendfile holds up as long

# File systems whose cached names, files and attributes really are in this machine's memory.
LOCAL_FILE_SYSTEMS: Final = frozenset(("bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "ramfs", "tmpfs", "xfs"))
MEMORY_FILE_SYSTEMS: Final = frozenset(("ramfs", "tmpfs"))  # they do not know RWF_NOWAIT, and need not
