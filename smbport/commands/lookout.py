"""Seeing to it that the server hears when others change what is about to be cached or watched.

    attend_cached     before an oplock or lease is granted
    attend_watched    before CHANGE_NOTIFY waits
    scan_tree         in a thread: a directory and all below it

Nothing here refuses a request: what cannot be watched is not cached, and its watchers hear what the server does.
"""

from errno import EAGAIN, ENOSPC
from typing import Final, cast

from smbport.commands.call import Call, log
from smbport.commands.find_name import parent_of
from smbport.commands.steps import blocking
from smbport.platform import ACCESS_NONE, ACCESS_READ, Directory, Kind, Stat, Volume, Watcher
from smbport.state.lookout import Lookout, Scanned
from smbport.state.open import FileOpen
from smbport.state.server import Server
from smbport.wire.status import Status, StatusError

__all__ = ["attend_cached", "attend_watched", "scan_tree"]

ENTRIES: Final = 1000  # read at once


async def attend_cached(server: Server, joined: FileOpen) -> bool:
    """Watch the directory of a file, or the directory itself that was opened.

    True if it was not watched until now, so that a state that was read before may be old.
    """
    lookout, share = server.lookout, joined.tree.share
    if not lookout.can_watch(share):
        return False
    known = lookout.find(share, joined.path if joined.is_directory else parent_of(joined.path)) is not None
    joined.pins += 1
    try:
        if joined.is_directory:
            lookout.attend(share, joined.path, joined.directory)
        else:
            await _attend_file(lookout, joined)
    except OSError as error:
        _complain(lookout, joined, error)
    finally:
        server.unpin(joined)
    if joined.closed:
        raise StatusError(Status.FILE_CLOSED)
    return not known


async def _attend_file(lookout: Lookout, joined: FileOpen) -> None:
    """A file that has other names can be changed through them, and a link leads to where nobody looks."""
    share, path = joined.tree.share, joined.path
    directory = parent_of(path)
    volume = share.volume
    assert volume is not None
    post = lookout.find(share, directory)
    if post is None:
        lookout.check_room()
        number, stat = await blocking(_watch_directory_of, lookout.start(), volume, path)
        post = lookout.enter(share, directory, number)
    else:
        stat = await blocking(_find, volume, path)
    is_it = stat is not None and stat.key == joined.node.stat().key and stat.links == 1
    if is_it and joined.path == path and not joined.closed and lookout.find(share, directory) is post:
        lookout.hold(post, joined)


def _watch_directory_of(watcher: Watcher, volume: Volume, path: str, *, wait: bool = False) -> tuple[int, Stat | None]:
    directory = cast("Directory", volume.open(parent_of(path), ACCESS_NONE, wait=wait))
    try:
        number = watcher.add(directory)
    finally:
        directory.close()
    return number, _find(volume, path, wait=wait)


def _find(volume: Volume, path: str, *, wait: bool = False) -> Stat | None:
    """The state of what has the name, links not followed; None if it is gone."""
    try:
        return volume.stat(path, follow=False, wait=wait)
    except BlockingIOError:
        raise
    except OSError:
        return None


def _complain(lookout: Lookout, opened: FileOpen, error: OSError) -> None:
    log.debug("what others do to %s is not seen: %s", opened.path, error.strerror)
    if error.errno == ENOSPC and not lookout.complained:
        lookout.complained = True
        log.warning("no more directories can be watched (%s): less is cached by clients from now on", error.strerror)


async def attend_watched(call: Call, opened: FileOpen, *, tree: bool) -> None:
    """Watch a directory that a client wants to hear of, with `tree` also what is below it."""
    lookout, share = call.server.lookout, opened.tree.share
    if not lookout.can_watch(share):
        return
    try:
        lookout.attend(share, opened.path, opened.directory)
        if tree:
            await _attend_tree(lookout, opened)
    except OSError as error:
        _complain(lookout, opened, error)
    if opened.closed:
        raise StatusError(Status.FILE_CLOSED)


async def _attend_tree(lookout: Lookout, opened: FileOpen) -> None:
    share = opened.tree.share
    room = lookout.room() + 1  # itself is watched already
    noted = lookout.begin_scan()
    try:
        found = await blocking(scan_tree, lookout.start(), share.volume, opened.path, room)
        lookout.scanned(share, found, noted, tell=False)
    finally:
        lookout.end_scan(noted)
    if len(found) >= room:
        raise OSError(ENOSPC, "limits.watched_directories")


def scan_tree(watcher: Watcher, volume: Volume | None, path: str, room: int, *, wait: bool = False) -> list[Scanned]:
    """Watch a directory and those below it, at most `room`, and list them.  What vanishes meanwhile is left out."""
    if not wait:
        raise BlockingIOError(EAGAIN, "a tree takes a thread")
    assert volume is not None
    found: list[Scanned] = []
    pending = [path]
    while pending and len(found) < room:
        at = pending.pop()
        try:
            scanned = _scan(watcher, volume, at, follow=at == path)
        except OSError:  # gone, a link, or not ours to see: others on this level are
            continue
        found.append(scanned)
        pending += [f"{at}/{name}" if at else name for name, is_directory in scanned.names if is_directory]
    return found


def _scan(watcher: Watcher, volume: Volume, path: str, *, follow: bool) -> Scanned:
    """Watch first and look then, so that nothing is missed."""
    directory = cast("Directory", volume.open(path, ACCESS_READ, follow=follow, wait=True))
    try:
        number = watcher.add(directory)
        names: list[tuple[str, bool]] = []
        while entries := directory.entries(ENTRIES, wait=True):
            names += [(name, stat is not None and stat.kind == Kind.DIRECTORY) for name, stat in entries]
        return Scanned(path, number, names)
    finally:
        directory.close()
