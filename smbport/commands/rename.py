"""SET_INFO that moves a name or adds one.  [MS-FSA] 2.1.5.15.11, [MS-FSCC] 2.4.28, 2.4.42, 2.4.43

Two steps by name, each one thread hop at most: look at what is there, then change it.  Between the two, where the
state lives, share modes decide.
"""

from collections.abc import Callable
from contextlib import suppress
from errno import ENOENT
from functools import partial
from typing import Final, NamedTuple

from smbport.commands.attributes import file_attributes
from smbport.commands.call import Call
from smbport.commands.find_name import find_name, parent_of
from smbport.commands.governed import may_add
from smbport.commands.oplock_break import make_way
from smbport.commands.rename_stream import rename_stream
from smbport.commands.steps import blocking
from smbport.platform import FileKey, Kind, Stat, Volume
from smbport.state.changes import OF_FILE, name_of
from smbport.state.names import fold, parse_file_name, parse_posix_name
from smbport.state.open import FileOpen
from smbport.state.oplocks import NEED_CLOSED
from smbport.state.server import Server
from smbport.state.spellings import Spellings
from smbport.wire.change import CompletionFilter, NotifyAction
from smbport.wire.constants import Access, FileAttribute, ShareAccess
from smbport.wire.fscc import (
    FileLinkInformation,
    FileNameInformation,
    FileRenameInformation,
    FileRenameInformationEx,
    RenameFlag,
    parse_with_name,
)
from smbport.wire.record import Record
from smbport.wire.status import Status, StatusError

__all__ = ["set_link", "set_rename", "set_rename_ex"]

_FLAGS: Final = 0x7F  # all of RenameFlag; those about pinning and storage reserves mean nothing here


class _Wish(NamedTuple):
    """What the client asked for."""

    path: str
    replace: bool
    posix: bool = False  # a file may be replaced although it is open
    spare_readonly: bool = True


class _Target(NamedTuple):
    """What is where the new name should be."""

    path: str  # of the new name, spelled as it will be
    directory: FileKey
    stat: Stat | None  # None: the name is free
    same_name: bool  # the old name leads there, in whatever spelling


async def set_rename(call: Call, opened: FileOpen, buffer: memoryview) -> None:
    """FileRenameInformation.  [MS-FSCC] 2.4.42"""
    _check_length(FileRenameInformation, buffer)
    fixed, name = parse_with_name(FileRenameInformation, buffer)
    if _names_stream(opened, name):
        await rename_stream(call, opened, name, replace=bool(fixed.replace_if_exists))
        return
    wish = _Wish(
        _new_path(opened, fixed.root_directory, name),
        replace=bool(fixed.replace_if_exists),
        posix=opened.posix,
        spare_readonly=not opened.posix,
    )
    await _rename(call, opened, wish)


async def set_rename_ex(call: Call, opened: FileOpen, buffer: memoryview) -> None:
    """FileRenameInformationEx.  [MS-FSCC] 2.4.43"""
    _check_length(FileRenameInformationEx, buffer)
    fixed, name = parse_with_name(FileRenameInformationEx, buffer)
    flags = fixed.flags
    if flags & ~_FLAGS:
        raise StatusError(Status.INVALID_PARAMETER, f"rename flags 0x{flags:x}")
    if _names_stream(opened, name):
        await rename_stream(call, opened, name, replace=bool(flags & RenameFlag.REPLACE_IF_EXISTS))
        return
    wish = _Wish(
        _new_path(opened, fixed.root_directory, name),
        replace=bool(flags & RenameFlag.REPLACE_IF_EXISTS),
        posix=opened.posix or bool(flags & RenameFlag.POSIX_SEMANTICS),
        spare_readonly=not (opened.posix or flags & RenameFlag.IGNORE_READONLY_ATTRIBUTE),
    )
    await _rename(call, opened, wish)


async def set_link(call: Call, opened: FileOpen, buffer: memoryview) -> None:
    """FileLinkInformation.  [MS-FSCC] 2.4.28"""
    _check_length(FileLinkInformation, buffer)
    fixed, name = parse_with_name(FileLinkInformation, buffer)
    wish = _Wish(_new_path(opened, fixed.root_directory, name), bool(fixed.replace_if_exists))
    if opened.stream:
        raise StatusError(Status.INVALID_PARAMETER, "a stream has one name")
    if opened.shared.delete_pending:
        raise StatusError(Status.ACCESS_DENIED, "the file is about to be deleted")
    await _link(call, opened, wish)


def _names_stream(opened: FileOpen, name: str) -> bool:
    return bool(opened.stream) or (name.startswith(":") and not opened.posix)


def _check_length(kind: type[Record], buffer: memoryview) -> None:
    if len(buffer) < kind.SIZE + FileNameInformation.SIZE:
        raise StatusError(Status.INFO_LENGTH_MISMATCH, f"{len(buffer)} bytes for {kind.__name__}")


def _new_path(opened: FileOpen, root_directory: int, text: str) -> str:
    """The new name as a path inside the share.  It is a full one, so some clients begin it with a separator."""
    text = text.removeprefix("/" if opened.posix else "\\")
    if root_directory or not text:
        raise StatusError(Status.INVALID_PARAMETER, "no name, or relative to another open")
    name = parse_posix_name(text) if opened.posix else parse_file_name(text)
    if not name.path or name.stream or (name.directory and not opened.is_directory):
        raise StatusError(Status.OBJECT_NAME_INVALID, text)
    links = opened.tree.share.links
    if links is not None and links.find(name.path.split("/")) is not None:
        raise StatusError(Status.PATH_NOT_COVERED)
    if not opened.path:
        raise StatusError(Status.ACCESS_DENIED, "the root of a share")
    return name.path


# The two operations ---------------------------------------------------------------------------------------------


async def _rename(call: Call, opened: FileOpen, wish: _Wish) -> None:
    """[MS-FSA] 2.1.5.15.11"""
    while await make_way(call.server, opened.shared, NEED_CLOSED, opened.cache):
        call.still_open()
    if opened.is_directory:
        await _check_below(call, opened)
    if opened.shared.streams:
        await _check_streams(call, opened)
    server, volume, old = call.server, _seer(opened), opened.path
    key = opened.shared.key
    target = await _aim(call, opened, wish)
    if target.path == old:
        return
    await _check_addition(opened, target)
    if target.same_name:
        # A volume that ignores case finds the old name in place of the new one.
        step = partial(volume.rename, old, target.path, replace=not volume.features.case_sensitive)
    elif target.stat is not None and target.stat.key == key:
        _check_replace(server, opened, target, wish, same_file=True)
        step = partial(volume.remove, old, key)
    else:
        _check_replace(server, opened, target, wish)
        step = partial(volume.rename, old, target.path, replace=target.stat is not None)
    await blocking(_change, volume, opened.tree.share.spellings, step, added=target.path, removed=old)
    for moved in server.files.move(opened.tree.share, old, target.path):
        server.unsaved.note(moved)
    opened.created = True  # a flush makes the new name durable
    _report_rename(opened, old, target)


async def _link(call: Call, opened: FileOpen, wish: _Wish) -> None:
    """[MS-FSA] 2.1.5.15, FileLinkInformation"""
    server, volume, old = call.server, opened.volume, opened.path
    target = await _aim(call, opened, wish)
    await _check_addition(opened, target)
    same_file = target.stat is not None and target.stat.key == opened.shared.key
    _check_replace(server, opened, target, wish, same_file=same_file)
    if same_file:
        return
    if target.stat is None:
        step = partial(volume.link, old, target.path)
    else:
        passing = f".smbport-{server.runtime.random_bytes(8).hex()}"
        directory = parent_of(target.path)
        step = partial(_link_over, volume, old, f"{directory}/{passing}" if directory else passing, target.path)
    await blocking(_change, volume, opened.tree.share.spellings, step, added=target.path, removed=None)
    changes = opened.tree.share.changes
    if changes:
        if target.stat is not None:
            changes.report(NotifyAction.REMOVED, target.path, OF_FILE, opened)
        changes.report(NotifyAction.ADDED, target.path, OF_FILE, opened)


def _report_rename(opened: FileOpen, old: str, target: _Target) -> None:
    """Tell who listens.  Windows tells of a file more when it is closed, because its times and attributes follow."""
    if not opened.is_directory:
        opened.unreported |= CompletionFilter.ATTRIBUTES | CompletionFilter.CREATION
    changes, new = opened.tree.share.changes, target.path
    if not changes:
        return
    what = name_of(directory=opened.is_directory)
    replaced = target.stat if not target.same_name else None
    if replaced is not None and replaced.key == opened.shared.key:  # it has the new name already, and lost the old one
        changes.report(NotifyAction.REMOVED, old, what, opened)
        return
    if replaced is not None:
        changes.report(NotifyAction.REMOVED, new, OF_FILE, opened)
    if parent_of(old) == parent_of(new):
        changes.report(NotifyAction.RENAMED_OLD_NAME, old, what, opened)
        changes.report(NotifyAction.RENAMED_NEW_NAME, new, what, opened)
    else:
        changes.report(NotifyAction.REMOVED, old, what, opened)
        changes.report(NotifyAction.ADDED, new, what, opened)
    if opened.is_directory:
        changes.move(old, new)


def _seer(opened: FileOpen) -> Volume:
    """Where descriptors decide, these are asked, and then the server acts with its own rights."""
    descriptors = opened.tree.descriptors
    return opened.volume if descriptors is None else descriptors.volume


async def _check_addition(opened: FileOpen, target: _Target) -> None:
    """Where descriptors decide, the system is not asked: does the directory take the name, and let an old one go?"""
    descriptors, plain = opened.tree.descriptors, opened.tree.volume
    if descriptors is None or plain is None:
        return
    replaced = target.stat is not None and not target.same_name
    step = partial(may_add, descriptors, plain, target.path, directory=opened.is_directory, replaces=replaced)
    if not await blocking(step):
        raise StatusError(Status.ACCESS_DENIED, "the directory does not take the name")


async def _check_below(call: Call, opened: FileOpen) -> None:
    """Nothing inside a directory that moves may be open; a client that has closed it already may say so now.

    Each is asked once: what is opened meanwhile is in the way.
    """
    files, share, path = call.server.files, opened.tree.share, opened.path
    for inside in files.below(share, path):
        while not inside.closed and await make_way(call.server, inside.shared, NEED_CLOSED):
            pass
        if not inside.closed:
            break
    in_the_way = (inside for inside in files.below(share, path) if not (opened.posix and inside.posix))
    inside_still = next(in_the_way, None)
    if inside_still is not None:
        raise StatusError(Status.ACCESS_DENIED, f"{inside_still.path} is open by {inside_still.session_name}")


async def _check_streams(call: Call, opened: FileOpen) -> None:
    """Nor may a stream of what moves be open."""
    for stream in tuple(opened.shared.streams.values()):
        while await make_way(call.server, stream, NEED_CLOSED):
            call.still_open()
        if stream.opens:
            raise StatusError(Status.ACCESS_DENIED, f"its stream {stream.stream} is open")


async def _aim(call: Call, opened: FileOpen, wish: _Wish) -> _Target:
    """Look at the target until nobody is left who only caches that it is open."""
    server, key, old = call.server, opened.shared.key, opened.path
    while True:
        target = await _look(call, opened, old, wish)
        if target.path == old:
            return target
        if await _enter_directory(server, target):
            continue
        replaces = target.stat is not None and target.stat.key != key and wish.replace and not wish.posix
        shared = server.files.find(target.stat.key) if target.stat is not None and replaces else None
        if shared is None or not await make_way(server, shared, NEED_CLOSED):
            return target


async def _look(call: Call, opened: FileOpen, old: str, wish: _Wish) -> _Target:
    """What is there now, with the open still open and its name still the one that was looked at."""
    spellings = None if opened.posix else opened.tree.share.spellings
    target = await blocking(_look_at, _seer(opened), old, opened.shared.key, wish.path, spellings=spellings)
    if call.still_open().path != old:
        raise StatusError(Status.OBJECT_NAME_NOT_FOUND, "somebody else renamed it first")
    return target


# Where the state lives ------------------------------------------------------------------------------------------


async def _enter_directory(server: Server, target: _Target) -> bool:
    """Windows opens the directory of the new name to add to it, and shares reading and writing only.

    True if somebody who may have closed it had to be waited for: then look again.
    """
    directory = server.files.find(target.directory)
    if directory is None:
        return False
    try:
        directory.check_sharing(Access.ADD_FILE, ShareAccess.READ | ShareAccess.WRITE)
        return False
    except StatusError as error:
        violation = error
    if violation.status != Status.SHARING_VIOLATION or not await make_way(server, directory, NEED_CLOSED):
        raise violation
    return True


def _check_replace(server: Server, opened: FileOpen, target: _Target, wish: _Wish, *, same_file: bool = False) -> None:
    """Whether what has the new name may go.  [MS-FSA] 2.1.5.15.11"""
    stat = target.stat
    if stat is None:
        return
    if not wish.replace:
        raise StatusError(Status.OBJECT_NAME_COLLISION)
    if same_file:
        return
    if stat.kind == Kind.DIRECTORY and not opened.posix:  # by POSIX' rules, an empty one by another one
        raise StatusError(Status.ACCESS_DENIED, "a directory cannot be replaced")
    if wish.spare_readonly and file_attributes(stat, target.path) & FileAttribute.READONLY:
        raise StatusError(Status.ACCESS_DENIED, "a file marked read-only cannot be replaced")
    if not wish.posix and server.files.find(stat.key) is not None:
        raise StatusError(Status.ACCESS_DENIED, "the file to be replaced is open")


# In a thread ----------------------------------------------------------------------------------------------------


def _look_at(
    volume: Volume, old: str, key: FileKey, new: str, *, spellings: Spellings | None, wait: bool = False
) -> _Target:
    """Find the new name.  FileNotFoundError if the old one stands for another file by now."""
    if not _stands_for(volume, old, key, wait=wait):
        raise FileNotFoundError(ENOENT, "the name stands for another file", old)
    found = find_name(volume, new, spellings=spellings, wait=wait)
    if not found.parent_exists:
        raise StatusError(Status.OBJECT_PATH_NOT_FOUND)
    directory = parent_of(found.path)
    path = found.path
    same_name = found.stat is not None and _same_name(volume, path, old)
    if same_name:  # only the spelling may change: to the one that was asked for
        last = new.rpartition("/")[2]
        path = f"{directory}/{last}" if directory else last
    return _Target(path, volume.stat(directory, wait=wait).key, found.stat, same_name)


def _stands_for(volume: Volume, path: str, key: FileKey, *, wait: bool) -> bool:
    """Whether the name, or the link that has the name, still leads to the open file."""
    stat = volume.stat(path, follow=False, wait=wait)
    if stat.kind == Kind.SYMLINK and stat.key != key:
        stat = volume.stat(path, wait=wait)
    return stat.key == key


def _same_name(volume: Volume, one: str, other: str) -> bool:
    return one == other or (not volume.features.case_sensitive and fold(one) == fold(other))


def _change(
    volume: Volume,
    spellings: Spellings | None,
    step: Callable[..., None],
    *,
    added: str,
    removed: str | None,
    wait: bool = False,
) -> None:
    """Do the step, and let the memory of spellings follow it in the directories that it changes."""
    if spellings is None:
        step(wait=wait)
        return
    target, source = parent_of(added), parent_of(removed or added)
    states = {folder: volume.stat(folder, wait=wait) for folder in (target, source)}
    moments = {
        folder: spellings.change(
            state,
            added.rpartition("/")[2] if folder == target else None,
            removed.rpartition("/")[2] if removed is not None and folder == source else None,
        )
        for folder, state in states.items()
    }
    try:
        step(wait=wait)
        for folder, moment in moments.items():
            with suppress(OSError):  # the step is done all the same
                spellings.follow(moment, volume.stat(folder, wait=True))
    finally:
        for moment in moments.values():
            spellings.done(moment)


def _link_over(volume: Volume, old: str, passing: str, new: str, *, wait: bool = False) -> None:
    """Replace a name by a link in one instant, by way of a name that nobody uses."""
    volume.link(old, passing, wait=wait)
    try:
        volume.rename(passing, new, replace=True, wait=wait)
    except OSError:
        volume.remove(passing, volume.stat(passing, follow=False, wait=wait).key, wait=wait)
        raise
