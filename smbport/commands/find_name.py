"""From a client's spelling of a path to the spelling on disk: case is kept, and ignored in look-ups.  [MS-FSCC] 2.1.5

The spelling the client sends is nearly always the right one, so it is tried first: one system call.  Only
when it is missing are directories read, and only from the first part that is missing.
"""

from typing import Final, NamedTuple

from smbport.platform import Kind, Stat, Volume
from smbport.state.names import fold, name_for_wire

__all__ = ["Found", "find_name", "find_spelling", "parent_of"]

BATCH: Final = 1024  # names read at a time while looking for another spelling


class Found(NamedTuple):
    """What a path leads to."""

    path: str  # as spelled on disk, as far as it exists
    stat: Stat | None  # None: the last part does not exist
    parent_exists: bool  # false: some directory on the way is missing, or is a file


def parent_of(path: str) -> str:
    """The path of the directory that holds the name; "" for the root and what lies in it."""
    return path.rpartition("/")[0]


def find_name(volume: Volume, path: str, *, sensitive: bool, follow: bool = True, wait: bool = False) -> Found:
    """Look a path up.  Raises OSError for anything but "not there" (PermissionError, a link out of the share)."""
    try:
        return Found(path, volume.stat(path, follow=follow, wait=wait), True)
    except (FileNotFoundError, NotADirectoryError):
        pass
    path, parent_exists = find_spelling(volume, path, sensitive=sensitive, wait=wait)
    if not parent_exists:
        return Found(path, None, False)
    try:
        return Found(path, volume.stat(path, follow=follow, wait=wait), True)
    except FileNotFoundError:
        return Found(path, None, True)


def find_spelling(volume: Volume, path: str, *, sensitive: bool, wait: bool = False) -> tuple[str, bool]:
    """The spelling on disk of a path that was not found as it is, and whether its directory exists.

    To be called with the errors of the first attempt in hand; a volume that ignores case itself, or a client
    that does not, only needs the second answer.
    """
    parts = path.split("/")
    ignore_case = not sensitive and volume.features.case_sensitive
    done = ""
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        candidate = f"{done}/{part}" if done else part
        found = _kind_of(volume, candidate, wait=wait)
        if found is None and ignore_case:
            spelled = _spelling_in(volume, done, part, wait=wait)
            if spelled is not None:
                candidate = f"{done}/{spelled}" if done else spelled
                found = _kind_of(volume, candidate, wait=wait)
        if last:
            return candidate, True
        if found != Kind.DIRECTORY:
            return path, False
        done = candidate
    return done, True


def _kind_of(volume: Volume, path: str, *, wait: bool) -> int | None:
    try:
        return volume.stat(path, wait=wait).kind
    except FileNotFoundError:
        return None


def _spelling_in(volume: Volume, directory: str, part: str, *, wait: bool) -> str | None:
    """The first name in `directory` that differs from `part` in case only."""
    wanted = fold(name_for_wire(part))
    handle = volume.open(directory, 1, wait=wait)
    try:
        if not handle.is_directory:
            return None
        while batch := handle.entries(BATCH, stat=False, wait=wait):
            for entry in batch:
                if len(entry.name) == len(part) and fold(name_for_wire(entry.name)) == wanted:
                    return entry.name
        return None
    finally:
        handle.close()
