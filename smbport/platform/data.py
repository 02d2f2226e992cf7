"""What can be done with the data of files without reading and writing it."""

from typing import Protocol

from smbport.platform.volumes import File

__all__ = ["Clone", "Sparse"]


class Clone(Protocol):
    """Copying file data without moving it through this process."""

    def copy(
        self, source: File, source_offset: int, target: File, target_offset: int, length: int, *, wait: bool = False
    ) -> int:
        """Copy up to `length` bytes; returns how many, 0 only at the end of the source.

        The target grows as if by writing.  Blocks are shared where the file system can do that.  Two ranges
        of one file that overlap: OSError(EINVAL).  Files between which this cannot be done, as on two file systems:
        OSError(EXDEV), and nothing was copied.
        """

    def reflink(
        self, source: File, source_offset: int, target: File, target_offset: int, length: int, *, wait: bool = False
    ) -> None:
        """Let the range of the target share the blocks of the source: all of it, or OSError and nothing changed.

        OSError(EINVAL) if the ranges are no whole blocks (the end of the source counts as one), overlap, or reach
        behind the end of the source; OSError(EXDEV) or OSError(EOPNOTSUPP) if these two files cannot share.
        """


class Sparse(Protocol):
    """Holes.  Where `Features.holes` is false, a call may be OSError(EOPNOTSUPP), with nothing changed."""

    def punch(self, file: File, offset: int, length: int, *, wait: bool = False) -> None:
        """Make the range read as zeroes and give its blocks back; the size stays."""

    def zero(self, file: File, offset: int, length: int, *, wait: bool = False) -> None:
        """Make the range read as zeroes without writing them, and keep its blocks; the size stays.

        OSError(EOPNOTSUPP), with nothing changed, also where `Features.holes` is true but this must be written.
        """

    def data_ranges(
        self, file: File, offset: int, length: int, *, limit: int, wait: bool = False
    ) -> list[tuple[int, int]]:
        """(offset, length) of the parts that may hold data, in order; the first `limit` of them, at least one."""
