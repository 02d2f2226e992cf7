"""Reparse points: symbolic links of the file system as clients see them.  [MS-FSA] 2.1.5.10.26, .37, .6

A link whose target lies inside the share is followed by the server, so clients see the target.  The link itself is
seen by who opens it with OPEN_REPARSE_POINT, and where it leads nowhere.  Other kinds of reparse points there are none.

Clients make a link in two steps: an empty file or directory, then SET_REPARSE_POINT.  So the name changes hands: the
link is made under a name that nobody uses and then renamed over the file, and the open goes on with the link.

Whatever a link says, the server never follows it out of the share.  Programs of this machine do; for their sake a
client cannot make a link that is absolute or climbs above the root of the share.  That is no wall: renaming can change
where a relative link leads.
"""

from collections.abc import Callable
from contextlib import suppress
from errno import EAGAIN, ENOENT
from typing import Final

from smbport.commands.call import Call
from smbport.commands.find_name import parent_of
from smbport.commands.fsctl.answer import Answer
from smbport.commands.steps import blocking
from smbport.commands.streams import list_streams
from smbport.platform import ACCESS_NONE, ACCESS_READ, ACCESS_WRITE, Directory, File, FileKey, Kind, Volume
from smbport.state.changes import OF_DIRECTORY, OF_FILE
from smbport.state.names import name_for_disk, name_for_posix, name_for_wire
from smbport.state.open import FileOpen
from smbport.wire.change import CompletionFilter, NotifyAction
from smbport.wire.constants import Access
from smbport.wire.ioctl import IoctlRequest
from smbport.wire.record import BadStructure
from smbport.wire.reparse import (
    NfsType,
    ReparseTag,
    SymbolicLink,
    SymlinkFlag,
    pack_symbolic_link,
    parse_reparse_data,
    parse_special_file,
    parse_symbolic_link,
)
from smbport.wire.status import Status, StatusError

__all__ = ["delete_reparse_point", "get_reparse_point", "set_reparse_point"]

IO_REPARSE_TAG_MISMATCH: Final = 0xC0000277
# Devices are the administrator's to make.
_SPECIAL: Final = {NfsType.FIFO: Kind.FIFO, NfsType.SOCKET: Kind.SOCKET}

_Make = Callable[[str], None]  # make something under that name


async def get_reparse_point(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """[MS-FSA] 2.1.5.10.12"""
    opened = call.file
    _check_is_link(opened)
    target = await blocking(_read_link, opened.volume, opened.path, opened.node.stat().key)
    spelled = name_for_posix(target) if opened.posix else "\\".join(map(_part_for_wire, target.split("/")))
    output = pack_symbolic_link(SymbolicLink(spelled, spelled, 0 if target.startswith("/") else SymlinkFlag.RELATIVE))
    if len(output) > request.max_output_response:
        raise StatusError(Status.BUFFER_TOO_SMALL)
    return Answer(output)


async def set_reparse_point(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """Make the open file, directory or link a link to where the data says.  [MS-FSA] 2.1.5.10.35"""
    opened = call.file
    try:
        tag, content = parse_reparse_data(data)
        if tag in (ReparseTag.RESERVED_ZERO, ReparseTag.RESERVED_ONE):
            raise StatusError(Status.IO_REPARSE_TAG_INVALID)
        make = _maker(opened, tag, content)
    except BadStructure as error:
        raise StatusError(Status.IO_REPARSE_DATA_INVALID, str(error)) from None
    _check_alone(opened)
    is_link = opened.node.stat().kind == Kind.SYMLINK
    streams = () if is_link else await list_streams(opened)
    if opened.stream or opened.shared.streams or any(stream.size for stream in streams):
        raise StatusError(Status.NOT_SUPPORTED, "the data of the file would be lost")
    await _exchange(call, opened, make, ACCESS_NONE)
    return Answer()


def _maker(opened: FileOpen, tag: int, content: memoryview) -> _Make:
    """What makes the kind that is asked for.  Raises StatusError or BadStructure."""
    volume = opened.volume
    if tag == ReparseTag.SYMLINK:
        target = _target_for_disk(opened, parse_symbolic_link(content))
        return lambda name: volume.symlink(name, target, wait=True)
    kind = _SPECIAL.get(parse_special_file(content)) if tag == ReparseTag.NFS and opened.posix else None
    if kind is None:
        raise StatusError(Status.NOT_SUPPORTED, f"reparse tag 0x{tag:08x}")
    mode = opened.node.stat().mode
    return lambda name: volume.make_special(name, kind, mode, wait=True)


async def delete_reparse_point(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """An empty file takes the place of the link.  [MS-FSA] 2.1.5.10.6"""
    opened = call.file
    try:
        tag, _ = parse_reparse_data(data)
    except BadStructure as error:
        raise StatusError(Status.IO_REPARSE_DATA_INVALID, str(error)) from None
    _check_is_link(opened)
    if tag != ReparseTag.SYMLINK:
        raise StatusError(IO_REPARSE_TAG_MISMATCH)
    _check_alone(opened)
    volume, settings = opened.volume, opened.tree.share.settings
    mode = 0o666 & settings.create_mask | settings.force_mode
    access = ACCESS_READ if opened.granted_access & (Access.READ_DATA | Access.EXECUTE) else ACCESS_NONE
    access |= ACCESS_WRITE if opened.granted_access & (Access.WRITE_DATA | Access.APPEND_DATA) else ACCESS_NONE
    await _exchange(call, opened, lambda name: volume.create(name, access, mode, wait=True).close(), access)
    return Answer()


# Targets --------------------------------------------------------------------------------------------------------


def _target_for_disk(opened: FileOpen, link: SymbolicLink) -> str:
    """Raises ACCESS_DENIED for a target that is not inside the share."""
    if not link.flags & SymlinkFlag.RELATIVE or link.substitute_name[:1] in ("\\", "/"):
        raise StatusError(Status.ACCESS_DENIED, "an absolute link")
    if not link.substitute_name or "\0" in link.substitute_name:
        raise BadStructure("a link to nothing")
    depth = opened.path.count("/")
    text = link.substitute_name if opened.posix else link.substitute_name.replace("\\", "/")
    parts = text.split("/")
    for part in parts:
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        if depth < 0:
            raise StatusError(Status.ACCESS_DENIED, "a link out of the share")
    return "/".join(map(name_for_disk, parts))


def _part_for_wire(part: str) -> str:
    return part if part in ("", ".", "..") else name_for_wire(part)


# Changing hands -------------------------------------------------------------------------------------------------


def _check_is_link(opened: FileOpen) -> None:
    if opened.node.stat().kind != Kind.SYMLINK:
        raise StatusError(Status.NOT_A_REPARSE_POINT)


def _check_alone(opened: FileOpen) -> None:
    """What is open elsewhere too, cached, or busy cannot become something else."""
    if not opened.path:
        raise StatusError(Status.ACCESS_DENIED, "the root of a share")
    shared = opened.shared
    if len(shared.opens) > 1 or shared.oplocks or len(shared.locks) or opened.pins > 1 or opened.cursor is not None:
        raise StatusError(Status.SHARING_VIOLATION)


async def _exchange(call: Call, opened: FileOpen, make: _Make, access: int) -> None:
    """Let the name of the open stand for what `make` makes, and let the open go on with that."""
    server, directory = call.server, parent_of(opened.path)
    passing = f".smbport-{server.runtime.random_bytes(8).hex()}"
    passing = f"{directory}/{passing}" if directory else passing
    key, path = opened.shared.key, opened.path
    node = await blocking(
        _replace, opened.volume, path, passing, key, make, access=access, directory=opened.is_directory
    )
    _note(opened, path, passing)
    try:
        call.still_open()
        if opened.path != path:
            raise StatusError(Status.OBJECT_NAME_NOT_FOUND, "somebody has renamed it")
        _check_alone(opened)
    except StatusError:
        node.close()
        raise
    server.files.leave(opened.shared, opened)
    opened.node.close()
    opened.node = node
    opened.is_directory = node.is_directory
    opened.shared = server.files.join(node.stat().key, opened)
    opened.report_modified(CompletionFilter.ATTRIBUTES)


def _note(opened: FileOpen, path: str, passing: str) -> None:
    """What the platform tells of these names was the server's doing; clients hear of changed attributes only."""
    changes = opened.tree.share.changes
    if not changes.posts:
        return
    changes.note(NotifyAction.ADDED, passing, OF_FILE, opened)
    changes.note(NotifyAction.RENAMED_OLD_NAME, passing, OF_FILE, opened)
    if opened.is_directory:
        changes.note(NotifyAction.REMOVED, path, OF_DIRECTORY, opened)
    changes.note(NotifyAction.RENAMED_NEW_NAME, path, OF_FILE, opened)


def _replace(
    volume: Volume,
    path: str,
    passing: str,
    key: FileKey,
    make: _Make,
    *,
    access: int,
    directory: bool,
    wait: bool = False,
) -> File | Directory:
    if not wait:
        raise BlockingIOError(EAGAIN, "so many steps take a thread")
    _check_key(volume, path, key)
    make(passing)
    try:
        if directory:
            volume.remove(path, key, directory=True, wait=True)
        volume.rename(passing, path, replace=True, wait=True)
    except OSError:
        with suppress(OSError):  # the first error is the one that counts
            volume.remove(passing, volume.stat(passing, follow=False, wait=True).key, wait=True)
        raise
    return volume.open(path, access, follow=False, wait=True)


def _read_link(volume: Volume, path: str, key: FileKey, *, wait: bool = False) -> str:
    _check_key(volume, path, key, wait=wait)
    return volume.read_link(path, wait=wait)


def _check_key(volume: Volume, path: str, key: FileKey, *, wait: bool = True) -> None:
    """FileNotFoundError if the name stands for another file than the open one."""
    if volume.stat(path, follow=False, wait=wait).key != key:
        raise FileNotFoundError(ENOENT, "the name stands for another file", path)
