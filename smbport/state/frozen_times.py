"""The times that what is done through one open does not move any more.  [MS-FSA] 2.1.5.15.2

The file system moves them nevertheless, so they are put back after each operation.  What others write moves them as
ever: each time anew, what is put back is what was there before.
"""

from smbport.platform import Stat

__all__ = ["FrozenTimes"]


class FrozenTimes:
    """Which of an open's times stand still, and what they were before what runs now."""

    __slots__ = ("access", "access_ns", "change", "change_ns", "running", "write", "write_ns")

    def __init__(self, *, access: bool, write: bool, change: bool) -> None:
        self.access = access  # LastAccessTime
        self.write = write  # LastWriteTime
        self.change = change  # ChangeTime
        self.access_ns = 0
        self.write_ns = 0
        self.change_ns = 0
        self.running = 0  # operations; several share what the first of them found

    def begin(self, stat: Stat) -> None:
        """An operation that moves the times begins."""
        if not self.running:
            self.access_ns, self.write_ns, self.change_ns = stat.access_ns, stat.write_ns, stat.change_ns
        self.running += 1

    def end(self) -> tuple[int | None, int | None]:
        """It is over: the access and the write time to put back, as `Node.set_times` takes them."""
        self.running -= 1
        return self.access_ns if self.access else None, self.write_ns if self.write else None
