"""Snapshots of a MemoryPlatform: copies of whole trees, made when a test wants one."""

import copy
import errno
from collections.abc import Callable
from threading import Lock
from typing import Final

from smbport.platform import SnapshotLayout, Volume
from smbport.posix.frozen import FrozenVolume
from smbport.testing.inodes import Tree, failure

__all__ = ["MemorySnapshots"]

SECOND: Final = 10**9


class MemorySnapshots:
    """The power `snapshots`.  There are no directories to look in, so any layout will do."""

    def __init__(self, find_tree: Callable[[str], Tree], new_volume: Callable[[Tree], Volume]) -> None:
        self._find_tree = find_tree
        self._new_volume = new_volume
        self._taken: dict[str, dict[int, Tree]] = {}  # by path and time

    def take(self, path: str, time_ns: int) -> None:
        """Keep the volume as it is now, and say that it was so then."""
        self._taken.setdefault(path, {})[time_ns // SECOND * SECOND] = copy_tree(self._find_tree(path))

    def times(self, path: str, layout: SnapshotLayout, *, wait: bool = False) -> list[int]:
        return sorted(self._taken.get(path, ()), reverse=True)

    def open(self, path: str, layout: SnapshotLayout, time_ns: int, *, wait: bool = False) -> Volume:
        tree = self._taken.get(path, {}).get(time_ns)
        if tree is None:
            raise failure(errno.ENOENT)
        return FrozenVolume(self._new_volume(tree))

    @property
    def open_handles(self) -> int:
        """Files and directories that are open in any of them."""
        return sum(tree.handles for taken in self._taken.values() for tree in taken.values())


def copy_tree(tree: Tree) -> Tree:
    """The same files with the same keys; what is open in the one is not open in the other."""
    with tree.lock:
        twin = copy.copy(tree)
        twin.lock = Lock()
        twin.handles = 0
        twin.room = copy.copy(tree.room)
        twin.root = copy.deepcopy(tree.root, {id(tree.room): twin.room})
    return twin
