"""The room that Time Machine is told of, where the administrator bounds it.

A backup is a sparse bundle: a folder with a description, and "bands", files that take so many bytes each at most.
Counting the bands is much quicker than adding up what they take.
"""

import re
from errno import EAGAIN
from typing import Final

from smbport.platform import ACCESS_READ, Space, Volume

__all__ = ["space_for_backups"]

BATCH: Final = 1024
BUNDLE: Final = ".sparsebundle"
PLIST_SIZE: Final = 65536  # bytes that are looked at; macOS writes some 500
BAND_SIZE: Final = re.compile(rb"<key>band-size</key>\s*<integer>([0-9]{1,15})</integer>")


def space_for_backups(volume: Volume, bound: int, *, wait: bool = False) -> Space:
    """The room on the volume, of which this share may take `bound` bytes in all."""
    if not wait:
        raise BlockingIOError(EAGAIN, "many names are read: that takes a thread")
    space = volume.space(wait=wait)
    left = max(bound - _taken(volume, wait=wait), 0)
    return Space(min(space.total, bound), min(space.free, left), min(space.available, left), space.block_size)


def _taken(volume: Volume, *, wait: bool) -> int:
    """Bytes of all backups.  One that is just being made may have no description or no bands yet: it takes nothing."""
    taken = 0
    for name in _names(volume, "", wait=wait):
        if name.endswith(BUNDLE):
            try:
                taken += _band_size(volume, name, wait=wait) * len(_names(volume, f"{name}/bands", wait=wait))
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                continue
    return taken


def _names(volume: Volume, path: str, *, wait: bool) -> list[str]:
    node = volume.open(path, ACCESS_READ, wait=wait)
    names: list[str] = []
    try:
        if node.is_directory:
            while batch := node.entries(BATCH, stat=False, wait=wait):
                names += [entry.name for entry in batch]
    finally:
        node.close()
    return names


def _band_size(volume: Volume, bundle: str, *, wait: bool) -> int:
    node = volume.open(f"{bundle}/Info.plist", ACCESS_READ, wait=wait)
    try:
        match = BAND_SIZE.search(node.read_at(0, PLIST_SIZE, wait=wait)) if not node.is_directory else None
    finally:
        node.close()
    return int(match[1]) if match is not None else 0
