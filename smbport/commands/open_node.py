"""The part of CREATE that talks to the platform, as one function so that it takes one thread hop at most.

It finds or makes the file and opens a handle with the rights that the client asked for.  It does not truncate:
that must wait until share modes were consulted, which is done where the state lives.
"""

import errno
from dataclasses import dataclass
from typing import Final

from smbport.commands.attributes import file_attributes
from smbport.commands.find_name import find_spelling, parent_of
from smbport.platform import ACCESS_NONE, ACCESS_READ, ACCESS_WRITE, Directory, File, Kind, Stat, Volume
from smbport.state.spellings import Spellings
from smbport.wire.constants import Access, CreateAction, CreateDisposition, FileAttribute
from smbport.wire.status import Status, StatusError

__all__ = ["Opened", "Plan", "open_node"]

READERS: Final = Access.READ_DATA | Access.EXECUTE
WRITERS: Final = Access.WRITE_DATA | Access.APPEND_DATA
CREATING: Final = (
    CreateDisposition.CREATE, CreateDisposition.OPEN_IF, CreateDisposition.OVERWRITE_IF, CreateDisposition.SUPERSEDE,
)  # fmt: skip
OVERWRITING: Final = (CreateDisposition.SUPERSEDE, CreateDisposition.OVERWRITE, CreateDisposition.OVERWRITE_IF)
RACES: Final = 8  # times a name may appear and vanish under our hands before we give up
# A file marked read-only can be opened for anything but these; MAXIMUM_ALLOWED leaves more out.  [MS-FSA] 2.1.5.1.2.1
READONLY_REFUSES: Final = WRITERS
READONLY_LEAVES_OUT: Final = WRITERS | Access.DELETE_CHILD
# Not for this user, not on this file system, not while it runs: MAXIMUM_ALLOWED goes on with less.
REFUSALS: Final = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ETXTBSY)


@dataclass(frozen=True, slots=True)
class Plan:
    """A CREATE request in the terms of the platform."""

    path: str
    access: int  # specific rights, and MAXIMUM_ALLOWED
    disposition: int
    must_be_directory: bool
    must_be_file: bool
    delete_on_close: bool
    follow: bool
    attributes: int  # DOS attributes of a new file
    mode: int  # permission bits of a new file
    writable: bool  # the share allows changes
    spellings: Spellings | None  # None: names that differ in case are different names
    allocation_size: int


@dataclass(slots=True)
class Opened:
    """What came of it."""

    path: str  # as spelled on disk
    node: File | Directory
    stat: Stat
    action: int  # CreateAction; OVERWRITTEN and SUPERSEDED are still to be done
    granted_access: int


def open_node(volume: Volume, plan: Plan, *, wait: bool = False) -> Opened:
    """Open or make what the plan names.  Raises StatusError or OSError; then nothing is open and nothing was made."""
    path = plan.path
    spelled = False
    for _ in range(RACES):
        if plan.disposition != CreateDisposition.CREATE or spelled or not path:
            try:
                return _open_existing(volume, plan, path, wait=wait)
            except FileNotFoundError:
                pass
            except NotADirectoryError:
                raise StatusError(Status.OBJECT_PATH_NOT_FOUND) from None
        if not spelled:
            path, parent_exists = find_spelling(volume, path, spellings=plan.spellings, wait=wait)
            if not parent_exists:
                raise StatusError(Status.OBJECT_PATH_NOT_FOUND)
            spelled = True
            continue
        if plan.disposition not in CREATING:
            raise StatusError(Status.OBJECT_NAME_NOT_FOUND)
        try:
            return _make(volume, plan, path, wait=wait)
        except FileExistsError:
            _check_dangling(volume, path, wait=wait)
    raise StatusError(Status.SHARING_VIOLATION, "the name keeps appearing and vanishing")


def _check_dangling(volume: Volume, path: str, *, wait: bool) -> None:
    """A symbolic link to nothing can be neither opened nor made: say so instead of trying for ever."""
    if volume.stat(path, follow=False, wait=wait).kind == Kind.SYMLINK:
        raise StatusError(Status.OBJECT_NAME_COLLISION, "a dangling link has that name")


def _open_existing(volume: Volume, plan: Plan, path: str, *, wait: bool) -> Opened:
    """[MS-FSA] 2.1.5.1.2"""
    if plan.access & Access.MAXIMUM_ALLOWED:
        node, granted = _open_with_all_rights(volume, plan, path, wait=wait)
    else:
        granted = plan.access
        node = volume.open(path, _platform_access(plan, granted), follow=plan.follow, wait=wait)
    try:
        stat = node.stat()
        _check_existing(plan, path, stat)
        if plan.access & Access.MAXIMUM_ALLOWED and file_attributes(stat, path) & FileAttribute.READONLY:
            granted &= ~READONLY_LEAVES_OUT
        if granted & Access.DELETE:
            granted = _check_delete(volume, plan, path, granted, wait=wait)
        if plan.delete_on_close and not granted & Access.DELETE:
            status = Status.ACCESS_DENIED if plan.writable else Status.CANNOT_DELETE
            raise StatusError(status, "no right to delete on close")
        action = _ACTIONS[plan.disposition]
        return Opened(path, node, stat, action, granted & ~Access.MAXIMUM_ALLOWED | Access.READ_ATTRIBUTES)
    except (StatusError, OSError):
        node.close()
        raise


_ACTIONS: Final = {
    CreateDisposition.OPEN: CreateAction.OPENED,
    CreateDisposition.OPEN_IF: CreateAction.OPENED,
    CreateDisposition.OVERWRITE: CreateAction.OVERWRITTEN,
    CreateDisposition.OVERWRITE_IF: CreateAction.OVERWRITTEN,
    CreateDisposition.SUPERSEDE: CreateAction.SUPERSEDED,
}


def _platform_access(plan: Plan, granted: int) -> int:
    access = ACCESS_NONE
    if granted & READERS:
        access |= ACCESS_READ
    if granted & WRITERS or plan.disposition in OVERWRITING:
        access |= ACCESS_WRITE
    return access


def _open_with_all_rights(volume: Volume, plan: Plan, path: str, *, wait: bool) -> tuple[File | Directory, int]:
    """MAXIMUM_ALLOWED: as much as the platform and the share give; what was asked for by name must be in it."""
    wanted = plan.access & ~Access.MAXIMUM_ALLOWED
    attempts = [Access.FILE_ALL_ACCESS] if plan.writable else []
    attempts += [Access.FILE_GENERIC_READ | Access.FILE_GENERIC_EXECUTE, Access.READ_ATTRIBUTES | Access.READ_CONTROL]
    for granted in attempts:
        if wanted & ~granted:
            break
        try:
            return volume.open(path, _platform_access(plan, granted), follow=plan.follow, wait=wait), granted
        except OSError as error:
            if error.errno not in REFUSALS:
                raise
    raise StatusError(Status.ACCESS_DENIED, "not within the maximal access")


def _check_existing(plan: Plan, path: str, stat: Stat) -> None:
    """Kind and attributes of what is there must fit what was asked.  [MS-FSA] 2.1.5.1.2"""
    directory = stat.kind == Kind.DIRECTORY
    if plan.disposition == CreateDisposition.CREATE:
        raise StatusError(Status.OBJECT_NAME_COLLISION)
    if directory and plan.must_be_file:
        raise StatusError(Status.FILE_IS_A_DIRECTORY)
    if not directory and plan.must_be_directory:
        raise StatusError(Status.NOT_A_DIRECTORY)
    if directory and plan.disposition in OVERWRITING:
        raise StatusError(Status.OBJECT_NAME_COLLISION if not plan.must_be_file else Status.FILE_IS_A_DIRECTORY)
    if directory:
        return
    attributes = file_attributes(stat, path)
    overwrites = plan.disposition in OVERWRITING
    if attributes & FileAttribute.READONLY and (overwrites or plan.access & READONLY_REFUSES):
        raise StatusError(Status.ACCESS_DENIED, "the file is marked read-only")
    hidden = FileAttribute.HIDDEN | FileAttribute.SYSTEM
    if overwrites and stat.dos_attributes is not None and stat.dos_attributes & hidden & ~plan.attributes:
        raise StatusError(Status.ACCESS_DENIED, "overwriting would lose HIDDEN or SYSTEM")


def _check_delete(volume: Volume, plan: Plan, path: str, granted: int, *, wait: bool) -> int:
    """DELETE is the directory's to grant.  With MAXIMUM_ALLOWED it is left out instead of refusing."""
    if not path or volume.may_remove(path, wait=wait):
        return granted
    if plan.access & Access.DELETE:
        raise StatusError(Status.ACCESS_DENIED, "the directory does not let this user delete")
    return granted & ~Access.DELETE


def _make(volume: Volume, plan: Plan, path: str, *, wait: bool) -> Opened:
    """A new file or directory.  [MS-FSA] 2.1.5.1.1"""
    if not plan.writable:
        raise StatusError(Status.ACCESS_DENIED, "the share is read-only")
    if plan.delete_on_close and plan.attributes & FileAttribute.READONLY:
        raise StatusError(Status.CANNOT_DELETE)
    granted = plan.access
    if granted & Access.MAXIMUM_ALLOWED:
        granted = granted & ~Access.MAXIMUM_ALLOWED | Access.FILE_ALL_ACCESS
    directory = volume.stat(parent_of(path), wait=wait) if plan.spellings is not None else None
    node: File | Directory
    if plan.must_be_directory:
        node = volume.make_directory(path, plan.mode, wait=wait)
        attributes = plan.attributes
    else:
        node = volume.create(path, _platform_access(plan, granted), plan.mode, wait=wait)
        attributes = plan.attributes | FileAttribute.ARCHIVE
    try:
        if attributes and volume.features.stores_marks:
            node.set_marks(attributes, None, wait=wait)
        if plan.allocation_size and not node.is_directory:
            node.allocate(plan.allocation_size, wait=wait)
        if plan.spellings is not None and directory is not None:
            plan.spellings.follow(directory, volume.stat(parent_of(path), wait=wait), path.rpartition("/")[2])
        return Opened(path, node, node.stat(), CreateAction.CREATED, granted | Access.READ_ATTRIBUTES)
    except OSError:
        _undo(volume, path, node)
        raise


def _undo(volume: Volume, path: str, node: File | Directory) -> None:
    """Take a name away again that could not be finished; the first error is the one that counts.

    With wait=True even on the event loop: a name left behind would be in the way of the next try, in a thread.
    """
    try:
        volume.remove(path, node.stat().key, directory=node.is_directory, wait=True)
    except OSError:
        pass
    finally:
        node.close()
