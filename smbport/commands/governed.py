"""Opening and making files where stored descriptors decide.  [MS-FSA] 2.1.5.1.1, 2.1.5.1.2

The platform steps of CREATE call this in shares with `acl = "nt"`.  What is not governed by a descriptor is left
to them, and to the system.
"""

from errno import EACCES, EPERM
from typing import Final, NamedTuple

from smbport.commands.attributes import SETTABLE, file_attributes
from smbport.commands.find_name import parent_of
from smbport.platform import ACCESS_NONE, ACCESS_READ, ACCESS_WRITE, Directory, File, Kind, Stat, Volume
from smbport.security.access import Privilege, check_access, maximal_access
from smbport.state.descriptors import Descriptors
from smbport.wire.constants import Access
from smbport.wire.security import SecurityDescriptor
from smbport.wire.status import Status, StatusError

__all__ = [
    "Governed", "Wish", "added_as", "check_plain", "find_parent", "keep_attributes", "may_add", "may_delete_below",
    "may_read", "open_governed",
]  # fmt: skip

READERS: Final = Access.READ_DATA | Access.EXECUTE
WRITERS: Final = Access.WRITE_DATA | Access.APPEND_DATA
ADDERS: Final = Access.ADD_FILE | Access.TRAVERSE  # to the system a directory is a name like any other
OWNERS: Final = Access.WRITE_DAC | Access.WRITE_OWNER
# What the directory may grant where the file itself does not.  [MS-FSA] 2.1.5.1.2.1
FROM_PARENT: Final = Access.DELETE | Access.READ_ATTRIBUTES


class Wish(NamedTuple):
    """What an open wants of a file."""

    access: int  # for the handle
    implied: int = 0  # what must be allowed as well, because of the disposition, but is not the handle's
    limit: int = Access.FILE_ALL_ACCESS | Access.ACCESS_SYSTEM_SECURITY  # of MAXIMUM_ALLOWED: what the share gives
    follow: bool = True
    backup: bool = False
    wants_maximal: bool = False  # the answer is to say what would have been granted at most


class Governed(NamedTuple):
    """A file that a descriptor let be opened."""

    node: File | Directory
    granted: int
    maximal: int


def open_governed(
    descriptors: Descriptors, plain: Volume, path: str, wish: Wish, *, wait: bool = False
) -> Governed | None:
    """Open what is there if a descriptor governs it; None if it is a plain file.  Raises StatusError or OSError.

    `plain` is the same volume with the rights of the user's account: it decides about plain directories.
    """
    node = descriptors.volume.open(path, ACCESS_NONE, follow=wish.follow, wait=wait)
    try:
        stat = node.stat()
        if stat.kind not in (Kind.FILE, Kind.DIRECTORY):
            node.close()
            return None
        descriptor = descriptors.find(node, stat, wait=wait)
        if descriptor is None:
            node.close()
            return None
        granted, maximal = _decide(descriptors, plain, descriptor, path, wish, wait=wait)
        access = (ACCESS_READ if granted & READERS else 0) | (ACCESS_WRITE if (granted | wish.implied) & WRITERS else 0)
        if access and not node.is_directory:
            node = _exchange(descriptors.volume, node, stat, path, access, follow=wish.follow, wait=wait)
        return Governed(node, granted, maximal)
    except (StatusError, OSError):
        node.close()
        raise


def _exchange(
    volume: Volume, node: File | Directory, stat: Stat, path: str, access: int, *, follow: bool, wait: bool
) -> File | Directory:
    """A handle that does more, of the same file.  FileNotFoundError if the name has another one by now."""
    better = volume.open(path, access, follow=follow, wait=wait)
    if better.stat().key != stat.key:
        better.close()
        raise FileNotFoundError
    node.close()
    return better


def _decide(
    descriptors: Descriptors, plain: Volume, descriptor: SecurityDescriptor, path: str, wish: Wish, *, wait: bool
) -> tuple[int, int]:
    """What the handle gets, and what it could have."""
    token = descriptors.token
    maximal = maximal_access(descriptor, token, backup=wish.backup)
    wanted = wish.access | wish.implied
    everything = bool(wish.access & Access.MAXIMUM_ALLOWED) or wish.wants_maximal
    if FROM_PARENT & ~maximal & (FROM_PARENT if everything else wanted):
        maximal |= _granted_by_parent(descriptors, plain, path, wait=wait)
    granted = check_access(descriptor, token, wanted, backup=wish.backup, also=maximal & FROM_PARENT)
    explicit = wish.access & ~Access.MAXIMUM_ALLOWED
    if wish.access & Access.MAXIMUM_ALLOWED:
        return granted & wish.limit | explicit, maximal
    return explicit, maximal


def _granted_by_parent(descriptors: Descriptors, plain: Volume, path: str, *, wait: bool) -> int:
    """DELETE_CHILD of a directory is DELETE on what is in it, LIST_DIRECTORY is READ_ATTRIBUTES."""
    if not path:
        return 0
    parent = find_parent(descriptors, path, wait=wait)
    if parent is None:
        return Access.READ_ATTRIBUTES | (Access.DELETE if plain.may_remove(path, wait=wait) else 0)
    allowed = maximal_access(parent, descriptors.token)
    from_list = Access.READ_ATTRIBUTES if allowed & Access.LIST_DIRECTORY else 0
    return from_list | (Access.DELETE if allowed & Access.DELETE_CHILD else 0)


def find_parent(descriptors: Descriptors, path: str, *, wait: bool = False) -> SecurityDescriptor | None:
    """What governs the directory that the name is in; None if it is a plain one."""
    return _look_up(descriptors, parent_of(path), wait=wait)


def _look_up(descriptors: Descriptors, path: str, *, wait: bool) -> SecurityDescriptor | None:
    """What governs what the name stands for."""
    node = descriptors.volume.open(path, ACCESS_NONE, wait=wait)
    try:
        return descriptors.find(node, node.stat(), wait=wait)
    finally:
        node.close()


def may_delete_below(descriptors: Descriptors, path: str, *, wait: bool = False) -> bool:
    """Whether a descriptor of the directory lets the token delete what is in it."""
    parent = find_parent(descriptors, path, wait=wait)
    return parent is not None and bool(maximal_access(parent, descriptors.token) & Access.DELETE_CHILD)


def may_add(
    descriptors: Descriptors, plain: Volume, path: str, *, directory: bool, replaces: bool, wait: bool = False
) -> bool:
    """Whether the name may be added to its directory; with `replaces`, in place of the file that has it now."""
    parent = find_parent(descriptors, path, wait=wait)
    if parent is None:
        return _may_add_to_plain(descriptors, plain, path, replaces=replaces, wait=wait)
    allowed = maximal_access(parent, descriptors.token)
    if replaces and not allowed & Access.DELETE_CHILD:
        replaced = open_governed(descriptors, plain, path, Wish(Access.DELETE, follow=False), wait=wait)
        if replaced is None:
            return False
        replaced.node.close()
    return bool(allowed & added_as(directory=directory))


def _may_add_to_plain(descriptors: Descriptors, plain: Volume, path: str, *, replaces: bool, wait: bool) -> bool:
    """The same as the system would say.  PermissionError if the way there is barred."""
    if replaces:
        return plain.may_remove(path, wait=wait)
    plain.stat(parent_of(path), wait=wait)
    node = descriptors.volume.open(parent_of(path), ACCESS_NONE, wait=wait)
    try:
        allowed = descriptors.plain_access(node, wait=wait)
    finally:
        node.close()
    return not ADDERS & ~allowed


def may_read(descriptors: Descriptors | None, plain: Volume, path: str, *, wait: bool = False) -> bool:
    """Whether a listing shows the name to who sees only what he may read.  What is gone shows; it is left out later."""
    try:
        descriptor = _look_up(descriptors, path, wait=wait) if descriptors is not None else None
        if descriptors is not None and descriptor is not None:
            return not Access.FILE_GENERIC_READ & ~maximal_access(descriptor, descriptors.token)
        plain.open(path, ACCESS_READ, wait=wait).close()
    except OSError as error:
        if isinstance(error, BlockingIOError):
            raise
        return error.errno not in (EACCES, EPERM)
    return True


def added_as(*, directory: bool) -> int:
    """The right on a directory that it takes to make something in it."""
    return Access.ADD_SUBDIRECTORY if directory else Access.ADD_FILE


def keep_attributes(volume: Volume, node: File | Directory, path: str, *, wait: bool = False) -> None:
    """Store the attributes that were made of the mode so far, because the mode will follow the descriptor."""
    stat = node.stat()
    if stat.dos_attributes is None and volume.features.stores_marks:
        node.set_marks(file_attributes(stat, path) & SETTABLE, None, wait=wait)


def check_plain(descriptors: Descriptors, stat: Stat, access: int) -> int:
    """Of a plain file only the owner may change the descriptor.  Returns the access without what is not to be had.

    The system would say so later: but then the server, not the user, stores the descriptor.
    """
    account, token = descriptors.account, descriptors.token
    if not access & OWNERS or not descriptors.own or account.uid in (0, stat.uid):
        return access
    if token.holds(Privilege.TAKE_OWNERSHIP) and not access & Access.WRITE_DAC:
        return access
    if not access & Access.MAXIMUM_ALLOWED:
        raise StatusError(Status.ACCESS_DENIED, "only the owner may change who may do what")
    return access & ~OWNERS
