"""Byte-range locks that local programs see."""

from typing import Protocol

from smbport.platform.volumes import File

__all__ = ["RangeLocks"]


class RangeLocks(Protocol):
    """Locks that belong to an open file, and that local programs find in their way if they ask: POSIX' advisory ones.

    Locks of one file handle do not stand in each other's way: the last call about a byte counts.  Closing the handle
    releases all.  Ranges may lie behind the end of the file, and reach to 2^64; where the system cannot count so far,
    what it cannot name is locked for nobody.
    """

    def lock(self, file: File, offset: int, length: int, *, exclusive: bool, wait: bool = False) -> bool:
        """Lock at once or not at all; False if another handle or program has locked a part of it.

        A handle for reading only can at most keep others from locking exclusively, and one for writing only cannot
        share: then as much is done as the system allows.
        """

    def unlock(self, file: File, offset: int, length: int, *, wait: bool = False) -> None:
        """Release these bytes, locked or not."""
