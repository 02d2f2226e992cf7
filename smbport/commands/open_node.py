"""The part of CREATE that talks to the platform, as one function so that it takes one thread hop at most.

It finds or makes the file and opens a handle with the rights that the client asked for.  It does not truncate:
that must wait until share modes were consulted, which is done where the state lives.
"""

import errno
from dataclasses import dataclass
from typing import Final

from smbport.commands.attributes import file_attributes
from smbport.commands.find_name import find_spelling, parent_of
from smbport.commands.governed import (
    Governed,
    Wish,
    added_as,
    check_plain,
    find_parent,
    keep_attributes,
    may_delete_below,
    open_governed,
)
from smbport.platform import ACCESS_NONE, ACCESS_READ, ACCESS_WRITE, Compression, Directory, File, Kind, Stat, Volume
from smbport.security.access import check_access, maximal_access
from smbport.state.descriptors import Descriptors
from smbport.state.spellings import Change, Spellings
from smbport.wire.constants import Access, CreateAction, CreateDisposition, FileAttribute
from smbport.wire.security import SecurityDescriptor
from smbport.wire.status import Status, StatusError

__all__ = ["CREATING", "OVERWRITING", "Opened", "Plan", "StoppedOnLink", "open_node", "undo"]

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

# Something may have the name, or its directory is spelled otherwise, or not at hand.
NOT_SURE: Final = (FileExistsError, FileNotFoundError, NotADirectoryError, BlockingIOError)


@dataclass(slots=True)
class Plan:
    """A CREATE request in the terms of the platform.  Not frozen, which costs a microsecond an open; never changed."""

    path: str
    access: int  # specific rights, and MAXIMUM_ALLOWED
    disposition: int
    must_be_directory: bool
    must_be_file: bool
    delete_on_close: bool
    follow: bool
    attributes: int  # DOS attributes of a new file
    mode: int  # permission bits of a new file, if one may be made
    writable: bool  # the share allows changes, or there is no use in asking
    spellings: Spellings | None  # None: names that differ in case are different names
    allocation_size: int
    descriptors: Descriptors | None = None  # in shares where they decide
    given: SecurityDescriptor | None = None  # for a new file
    backup: bool = False
    wants_maximal: bool = False
    stream: str = ""  # the name of a stream, if one is meant and not the file
    frozen: bool = False  # it is in a snapshot, where nothing can be changed, whatever is granted
    posix: bool = False  # only what the system says counts: case in names, and no attribute of Windows
    stops_at_link: bool = False  # the client follows symbolic links itself
    implied: int = 0  # rights that must be allowed as well, though they are not the handle's
    compression: Compression | None = None  # what keeps a new file from being compressed as its directory is


@dataclass(slots=True)
class Opened:
    """What came of it."""

    path: str  # as spelled on disk
    node: File | Directory
    stat: Stat
    action: int  # CreateAction; OVERWRITTEN and SUPERSEDED are still to be done
    granted_access: int
    governed: bool = False  # by a descriptor; else the system has decided
    maximal_access: int | None = None  # None: nobody asked, or the system knows
    stream: str = ""  # its name as spelled on disk; then `node`, `stat` and `action` are the stream's
    base: File | Directory | None = None  # and this is the file
    made_file: bool = False  # which was made for it


class StoppedOnLink(StatusError):
    """A client that follows links itself has come to one."""

    def __init__(self, path: str) -> None:
        super().__init__(Status.STOPPED_ON_SYMLINK, path)
        self.path = path


def open_node(volume: Volume, plan: Plan, *, wait: bool = False) -> Opened:
    """Open or make what the plan names.  Raises StatusError or OSError; then nothing is open and nothing was made."""
    path = plan.path
    spelled = False
    made = None if wait else _make_surely(volume, plan)
    if made is not None:
        return made
    for _ in range(RACES):
        if plan.disposition != CreateDisposition.CREATE or spelled or not path:
            try:
                return _open_existing(volume, plan, path, wait=wait)
            except FileNotFoundError:
                pass
            except NotADirectoryError:
                raise StatusError(Status.OBJECT_PATH_NOT_FOUND) from None
        if not spelled:
            seer = volume if plan.descriptors is None else plan.descriptors.volume
            spellings = None if plan.posix else plan.spellings
            path, parent_exists = find_spelling(seer, path, spellings=spellings, wait=wait)
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


def _make_surely(volume: Volume, plan: Plan) -> Opened | None:
    """Something new with a name that nothing has in any spelling, as is remembered; None if that is not sure.

    To look for the name might mean to wait for a disk.
    """
    spellings = plan.spellings
    if spellings is None or plan.disposition not in CREATING or plan.posix or spellings.short_names or not plan.path:
        return None
    if not plan.writable or plan.frozen or _takes_long(plan) or _is_kept(plan):
        return None
    change = Change(spellings, added=plan.path.rpartition("/")[2], surely=True)
    try:
        return _create(volume, plan, plan.path, _granted_to_new(plan), None, change, wait=False)
    except NOT_SURE:
        return None
    finally:
        change.over()


def _check_dangling(volume: Volume, path: str, *, wait: bool) -> None:
    """A symbolic link to nothing can be neither opened nor made: say so instead of trying for ever."""
    if volume.stat(path, follow=False, marks=False, wait=wait).kind == Kind.SYMLINK:
        raise StatusError(Status.OBJECT_NAME_COLLISION, "a dangling link has that name")


def _open_existing(volume: Volume, plan: Plan, path: str, *, wait: bool) -> Opened:
    """[MS-FSA] 2.1.5.1.2"""
    if plan.descriptors is not None and plan.disposition == CreateDisposition.CREATE:
        plan.descriptors.volume.stat(path, follow=plan.follow, wait=wait)
        raise StatusError(Status.OBJECT_NAME_COLLISION)  # before anything about rights
    governed = None if plan.descriptors is None else _open_governed(volume, plan, path, plan.descriptors, wait=wait)
    if governed is not None:
        node, granted = governed.node, governed.granted
    elif plan.access & Access.MAXIMUM_ALLOWED:
        node, granted = _open_with_all_rights(volume, plan, path, wait=wait)
    else:
        granted = plan.access
        node = _open_handle(volume, plan, path, granted, wait=wait)
    try:
        stat = node.first_stat()
        _check_existing(plan, path, stat)
        if plan.access & Access.MAXIMUM_ALLOWED and not plan.posix and _is_readonly(stat, path):
            granted &= ~READONLY_LEAVES_OUT
        by_descriptor = governed is not None
        if governed is None and plan.descriptors is not None:
            granted = check_plain(plan.descriptors, stat, granted | plan.access & Access.MAXIMUM_ALLOWED)
        if granted & Access.DELETE and governed is None:
            granted, by_descriptor = _check_delete(volume, plan, path, granted, wait=wait)
        if plan.delete_on_close and not granted & Access.DELETE:
            status = Status.ACCESS_DENIED if plan.writable else Status.CANNOT_DELETE
            raise StatusError(status, "no right to delete on close")
        granted &= ~Access.MAXIMUM_ALLOWED
        if governed is None:
            granted |= Access.READ_ATTRIBUTES
        maximal = governed.maximal if governed is not None else None
        return Opened(path, node, stat, _ACTIONS[plan.disposition], granted, by_descriptor, maximal)
    except (StatusError, OSError):
        node.close()
        raise


def _open_governed(volume: Volume, plan: Plan, path: str, descriptors: Descriptors, *, wait: bool) -> Governed | None:
    wish = Wish(
        access=plan.access,
        implied=plan.implied | _IMPLIED.get(plan.disposition, 0),
        limit=Access.FILE_ALL_ACCESS if plan.writable else Access.FILE_GENERIC_READ | Access.FILE_GENERIC_EXECUTE,
        follow=plan.follow,
        backup=plan.backup,
        wants_maximal=plan.wants_maximal,
    )
    return open_governed(descriptors, volume, path, wish, wait=wait)


# [MS-FSA] 2.1.5.1.2
_IMPLIED: Final = {
    CreateDisposition.OVERWRITE: Access.WRITE_DATA,
    CreateDisposition.OVERWRITE_IF: Access.WRITE_DATA,
    CreateDisposition.SUPERSEDE: Access.WRITE_DATA | Access.DELETE,
}
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
    if (granted | plan.implied) & WRITERS or plan.disposition in OVERWRITING:
        access |= ACCESS_WRITE
    return access


def _open_handle(volume: Volume, plan: Plan, path: str, granted: int, *, wait: bool) -> File | Directory:
    """A link that is opened itself has no data, so it takes no access to open it."""
    try:
        return volume.open(path, _platform_access(plan, granted), follow=plan.follow, wait=wait)
    except OSError as error:
        overwrites = plan.disposition in OVERWRITING and not plan.stops_at_link
        if error.errno != errno.ELOOP or plan.follow or overwrites:
            raise
    return volume.open(path, ACCESS_NONE, follow=False, wait=wait)


def _open_with_all_rights(volume: Volume, plan: Plan, path: str, *, wait: bool) -> tuple[File | Directory, int]:
    """MAXIMUM_ALLOWED: as much as the platform and the share give; what was asked for by name must be in it."""
    wanted = plan.access & ~Access.MAXIMUM_ALLOWED
    attempts = [Access.FILE_ALL_ACCESS] if plan.writable else []
    attempts += [Access.FILE_GENERIC_READ | Access.FILE_GENERIC_EXECUTE, Access.READ_ATTRIBUTES | Access.READ_CONTROL]
    for granted in attempts:
        if wanted & ~granted:
            break
        try:
            return _open_handle(volume, plan, path, granted, wait=wait), granted
        except OSError as error:
            if error.errno not in REFUSALS:
                raise
    raise StatusError(Status.ACCESS_DENIED, "not within the maximal access")


def _check_existing(plan: Plan, path: str, stat: Stat) -> None:
    """Kind and attributes of what is there must fit what was asked.  [MS-FSA] 2.1.5.1.2"""
    directory, overwrites = stat.kind == Kind.DIRECTORY, plan.disposition in OVERWRITING
    if plan.disposition == CreateDisposition.CREATE:
        raise StatusError(Status.OBJECT_NAME_COLLISION)
    if plan.stops_at_link and stat.kind == Kind.SYMLINK:
        raise StoppedOnLink(path)
    if directory and plan.must_be_file:
        raise StatusError(Status.FILE_IS_A_DIRECTORY)
    if not directory and plan.must_be_directory:
        raise StatusError(Status.NOT_A_DIRECTORY)
    if directory and overwrites:
        raise StatusError(Status.OBJECT_NAME_COLLISION if not plan.must_be_file else Status.FILE_IS_A_DIRECTORY)
    if directory or plan.posix:
        return
    writes = overwrites or (plan.access | plan.implied) & READONLY_REFUSES
    if writes and _is_readonly(stat, path):
        raise StatusError(Status.ACCESS_DENIED, "the file is marked read-only")
    hidden = FileAttribute.HIDDEN | FileAttribute.SYSTEM
    if overwrites and stat.dos_attributes is not None and stat.dos_attributes & hidden & ~plan.attributes:
        raise StatusError(Status.ACCESS_DENIED, "overwriting would lose HIDDEN or SYSTEM")


def _is_readonly(stat: Stat, path: str) -> bool:
    return bool(file_attributes(stat, path) & FileAttribute.READONLY)


def _check_delete(volume: Volume, plan: Plan, path: str, granted: int, *, wait: bool) -> tuple[int, bool]:
    """DELETE is the directory's to grant, and whether by its descriptor.

    With MAXIMUM_ALLOWED it is left out instead of refusing.
    """
    if not path or plan.frozen or volume.may_remove(path, wait=wait):
        return granted, False
    if plan.descriptors is not None and may_delete_below(plan.descriptors, path, wait=wait):
        return granted, True
    if plan.access & Access.DELETE:
        raise StatusError(Status.ACCESS_DENIED, "the directory does not let this user delete")
    return granted & ~Access.DELETE, False


def _make(volume: Volume, plan: Plan, path: str, *, wait: bool) -> Opened:
    """A new file or directory.  [MS-FSA] 2.1.5.1.1"""
    _check_makes(plan)
    if not wait and _takes_long(plan):
        raise BlockingIOError(errno.EAGAIN, "takes more than a moment", path)
    granted = _granted_to_new(plan)
    parent = _check_parent(plan, path, wait=wait)
    if parent is not None:
        assert plan.descriptors is not None
        volume = plan.descriptors.volume
    if plan.spellings is None:
        return _create(volume, plan, path, granted, parent, None, wait=wait)
    change = Change(plan.spellings, added=path.rpartition("/")[2])
    try:
        return _create(volume, plan, path, granted, parent, change, wait=wait)
    finally:
        change.over()


def _takes_long(plan: Plan) -> bool:
    return plan.allocation_size != 0 or plan.descriptors is not None or plan.compression is not None


def _granted_to_new(plan: Plan) -> int:
    granted = plan.access
    return granted & ~Access.MAXIMUM_ALLOWED | Access.FILE_ALL_ACCESS if granted & Access.MAXIMUM_ALLOWED else granted


def _create(
    volume: Volume,
    plan: Plan,
    path: str,
    granted: int,
    parent: SecurityDescriptor | None,
    change: Change | None,
    *,
    wait: bool,
) -> Opened:
    if plan.must_be_directory and plan.descriptors is not None:
        unfinished = plan.descriptors.unfinished
        unfinished.append(path)
        try:
            made = volume.make_directory(path, plan.mode, witness=change, wait=wait)
            return _complete(volume, plan, path, granted, parent, made)
        finally:
            unfinished.remove(path)
    node: File | Directory
    if plan.must_be_directory:
        node = volume.make_directory(path, plan.mode, witness=change, wait=wait)
    else:
        node = volume.create(path, _platform_access(plan, granted), plan.mode, witness=change, wait=wait)
    return _complete(volume, plan, path, granted, parent, node)


def _complete(
    volume: Volume, plan: Plan, path: str, granted: int, parent: SecurityDescriptor | None, node: File | Directory
) -> Opened:
    """All that a new file or directory is given."""
    try:  # it is there and must be finished; on the event loop's thread that takes a moment
        _equip(volume, plan, node, wait=True)
        descriptor = _protect(volume, plan, path, node, parent, wait=True)
        opened = Opened(path, node, node.first_stat(), CreateAction.CREATED, granted | Access.READ_ATTRIBUTES)
        if plan.descriptors is not None and descriptor is not None:
            opened.granted_access, opened.governed = granted, True
            opened.maximal_access = maximal_access(descriptor, plan.descriptors.token)
        return opened
    except (StatusError, OSError):
        undo(volume, path, node)
        raise


def _check_makes(plan: Plan) -> None:
    """What refuses anything new, before its directory is asked."""
    if plan.frozen:
        raise StatusError(Status.MEDIA_WRITE_PROTECTED, "a snapshot")
    if not plan.writable:
        raise StatusError(Status.ACCESS_DENIED, "the share is read-only")
    if _is_kept(plan):
        raise StatusError(Status.CANNOT_DELETE)


def _is_kept(plan: Plan) -> bool:
    """Whether something new would be read-only, and is to be deleted all the same."""
    return plan.delete_on_close and bool(plan.attributes & FileAttribute.READONLY)


def _equip(volume: Volume, plan: Plan, node: File | Directory, *, wait: bool) -> None:
    """Attributes, room and compression of something new."""
    attributes = plan.attributes if node.is_directory else plan.attributes | FileAttribute.ARCHIVE
    if attributes and volume.features.stores_marks:
        node.set_marks(attributes, None, wait=wait)
    if plan.allocation_size and not node.is_directory:
        node.allocate(plan.allocation_size, wait=wait)
    if plan.compression is not None and node.stat().compressed:
        plan.compression.set(node, False, wait=wait)


def _protect(
    volume: Volume, plan: Plan, path: str, node: File | Directory, parent: SecurityDescriptor | None, *, wait: bool
) -> SecurityDescriptor | None:
    """The descriptor of something new; None if the system decides about it."""
    if plan.descriptors is None:
        return None
    if parent is not None or plan.given is not None:
        keep_attributes(volume, node, path, wait=wait)
    return plan.descriptors.store_new(node, parent, plan.given, wait=wait)


def _check_parent(plan: Plan, path: str, *, wait: bool) -> SecurityDescriptor | None:
    """The descriptor that governs the directory of a new file, if it lets the file be made."""
    if plan.descriptors is None:
        return None
    if parent_of(path) in plan.descriptors.unfinished:
        raise StatusError(Status.OBJECT_PATH_NOT_FOUND, "its directory is being made")
    parent = find_parent(plan.descriptors, path, wait=wait)
    if parent is not None:
        check_access(parent, plan.descriptors.token, added_as(directory=plan.must_be_directory))
    return parent


def undo(volume: Volume, path: str, node: File | Directory) -> None:
    """Take a name away again that could not be finished; the first error is the one that counts.

    With wait=True even on the event loop: a name left behind would be in the way of the next try, in a thread.
    """
    try:
        volume.remove(path, node.stat().key, directory=node.is_directory, wait=True)
    except OSError:
        pass
    finally:
        node.close()
