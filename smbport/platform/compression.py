"""Compression by the file system: it stores less, and what is read is what was written."""

from typing import Protocol

from smbport.platform.volumes import Node

__all__ = ["Compression"]


class Compression(Protocol):
    """Choosing what is stored compressed.  Whether something is, `Stat.compressed` says.

    Where `Features.compression` is true, files and directories can be given either state.  How data is compressed is
    the file system's affair, as is whether data that is there already is stored anew.  A directory has nothing to
    compress itself: what is made in it later begins as it is.
    """

    def set(self, node: Node, compressed: bool, *, wait: bool = False) -> None:
        """Compress from now on what is written, or do not; for a directory, what is made in it.

        OSError(EOPNOTSUPP), with nothing changed, if this node cannot be compressed: nothing can where
        `Features.compression` is false.  Not to compress what cannot be compressed may work all the same.
        """
