"""From a client's spelling of a path to the spelling on disk: case is kept, and ignored in look-ups.  [MS-FSCC] 2.1.5

The spelling the client sends is nearly always the right one, so it is tried first: one system call.  Only
when it is missing are directories read, and only from the first part that is missing.
"""

from typing import Final, NamedTuple

from smbport.platform import ACCESS_READ, Kind, Stat, Volume
from smbport.state.names import fold, name_for_wire
from smbport.state.short_names import fits_dos, looks_short, short_name
from smbport.state.spellings import MAX_NAMES, Spellings

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


def find_name(
    volume: Volume, path: str, *, spellings: Spellings | None, follow: bool = True, wait: bool = False
) -> Found:
    """Look a path up.  `spellings` is None where case matters.

    Raises OSError for anything but "not there": PermissionError, a link out of the share.
    """
    try:
        return Found(path, volume.stat(path, follow=follow, wait=wait), True)
    except (FileNotFoundError, NotADirectoryError):
        pass
    path, parent_exists = find_spelling(volume, path, spellings=spellings, wait=wait)
    if not parent_exists:
        return Found(path, None, False)
    try:
        return Found(path, volume.stat(path, follow=follow, wait=wait), True)
    except FileNotFoundError:
        return Found(path, None, True)


def find_spelling(volume: Volume, path: str, *, spellings: Spellings | None, wait: bool = False) -> tuple[str, bool]:
    """The spelling on disk of a path that was not found as it is, and whether its directory exists.

    A volume that ignores case itself, or a share that does not (`spellings` None), only needs the second answer.
    """
    if not volume.features.case_sensitive and (spellings is None or not spellings.short_names):
        spellings = None
    directory, _, name = path.rpartition("/")
    state = _stat_directory(volume, directory, wait=wait)
    if state is None and spellings is not None:
        directory = _spell_directories(volume, directory, spellings, wait=wait)
        state = _stat_directory(volume, directory, wait=wait)
    if state is None:
        return path, False
    if spellings is not None:
        name = _spell(volume, directory, state, name, spellings, wait=wait)
    return _join(directory, name), True


def _spell_directories(volume: Volume, path: str, spellings: Spellings, *, wait: bool) -> str:
    """The spelling of a path of directories, as far as they exist."""
    done = ""
    for part in path.split("/"):
        candidate = _join(done, part)
        if _stat_directory(volume, candidate, wait=wait) is None:
            state = _stat_directory(volume, done, wait=wait)
            if state is None:
                return path
            candidate = _join(done, _spell(volume, done, state, part, spellings, wait=wait))
        done = candidate
    return done


def _join(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


def _stat_directory(volume: Volume, path: str, *, wait: bool) -> Stat | None:
    """The state of a directory; None if there is no such directory."""
    try:
        stat = volume.stat(path, marks=False, wait=wait)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return stat if stat.kind == Kind.DIRECTORY else None


def _spell(volume: Volume, directory: str, state: Stat, name: str, spellings: Spellings, *, wait: bool) -> str:
    """The name in `directory` that differs from `name` in case only, or `name` itself if there is none.

    If `name` may be a short one, the long name that it stands for, or lately stood for, comes between the two.
    """
    short = spellings.short_names and looks_short(name)
    if not short and spellings.knows(state) and not spellings.may_hold(state, name):
        return name
    wanted = fold(name_for_wire(name))
    hashes: set[int] = set()
    twice: set[int] = set()
    long: str | None = None
    spellings.begin(state)
    handle = volume.open(directory, ACCESS_READ, wait=wait)
    try:
        if not handle.is_directory:
            return name
        while batch := handle.entries(BATCH, stat=False, wait=wait):
            for entry in batch:
                folded = fold(name_for_wire(entry.name))
                if folded == wanted:
                    return entry.name
                if short and long is None and short_name(folded) == wanted and not fits_dos(folded):
                    long = entry.name
                if len(hashes) <= MAX_NAMES:
                    (twice if hash(folded) in hashes else hashes).add(hash(folded))
    finally:
        handle.close()
    spellings.remember(state, hashes, twice)
    if not short:
        return name
    if long is None:
        return spellings.long_name(state, name) or name
    spellings.remember_long(state, name, long)
    return long
