"""Compression of a MemoryPlatform: files and directories know that they are compressed, and that is all."""

import errno

from smbport.platform import Kind, Node
from smbport.testing.handles import own_node
from smbport.testing.inodes import failure

__all__ = ["MemoryCompression"]


class MemoryCompression:
    """The power `compression`."""

    def set(self, node: Node, compressed: bool, *, wait: bool = False) -> None:
        with own_node(node).changing_as_owner() as inode:
            if inode.kind not in (Kind.FILE, Kind.DIRECTORY):
                raise failure(errno.EOPNOTSUPP)
            inode.compressed = compressed
