"""Finder info and resource forks, and modes in access control lists, in shares for macOS.

AFP_AfpInfo and AFP_Resource are stored as the named streams that they are, so files keep them wherever they are moved
to.  What may be written to the first goes by what macOS' own server does, as Samba's tests tell it.

Modes travel as Windows' NFS server stores them and Samba's vfs_fruit shows them: each number is the end of a SID, in an
ACE that denies nothing.
"""

from dataclasses import replace
from typing import Final

from smbport.commands.posix import NFS_GROUPS, NFS_MODES, NFS_USERS, find_mode
from smbport.platform import File, StreamEntry
from smbport.security.nfs4_acl import is_nfs4
from smbport.security.ntacl import SystemState
from smbport.security.sids import relative_id
from smbport.state.names import fold
from smbport.state.open import FileOpen
from smbport.state.tree import TreeConnect
from smbport.wire.aapl import AFP_INFO_SIZE, AFP_INFO_STREAM, EMPTY_AFP_INFO, AaplCapability, finder_info_of
from smbport.wire.constants import AceType, CreateDisposition
from smbport.wire.security import Ace, Acl, SecurityDescriptor, Sid
from smbport.wire.status import Status, StatusError

__all__ = [
    "add_nfs_aces", "check_afp_info_size", "check_written", "hides_file_ids", "is_afp_info", "offers_modes",
    "read_afp_info", "seen_streams", "shows_modes", "store_afp_info", "take_nfs_aces", "whole_afp_info",
]  # fmt: skip

ALLOTTED_SPACE_EXCEEDED: Final = 0xC0000099  # what macOS says of an AFP_AfpInfo that is to be longer

_AFP_INFO: Final = fold(AFP_INFO_STREAM)


def hides_file_ids(tree: TreeConnect) -> bool:
    """Whether files have the id 0 for a client, which then makes its own.

    macOS takes an id for one that is never given again, as on HFS+, and that of an inode is.  Samba: zero_file_id
    """
    return tree.share.settings.macos and bool(tree.session.aapl)


# Modes ----------------------------------------------------------------------------------------------------------


def offers_modes(tree: TreeConnect) -> bool:
    """Whether clients of Apple's may see and set modes: where the system decides, for elsewhere they mean nothing."""
    settings = tree.share.settings
    return settings.macos and settings.macos_modes and tree.descriptors is None


def shows_modes(tree: TreeConnect, state: SystemState) -> bool:
    """Whether this client does, of this file: a list of NFSv4 says more than any mode, which would replace it."""
    return bool(tree.session.aapl & AaplCapability.NFS_ACE) and offers_modes(tree) and not is_nfs4(tuple(state.access))


def add_nfs_aces(descriptor: SecurityDescriptor, state: SystemState) -> SecurityDescriptor:
    """With mode, owner and group at the end of the list."""
    numbers = ((NFS_MODES, state.mode), (NFS_USERS, state.uid), (NFS_GROUPS, state.gid))
    sids = [Sid(domain.authority, (*domain.sub_authorities, number)) for domain, number in numbers]
    aces = tuple(Ace(AceType.ACCESS_DENIED, 0, 0, sid) for sid in sids)
    dacl = descriptor.dacl
    return descriptor if dacl is None else replace(descriptor, dacl=replace(dacl, aces=dacl.aces + aces))


def take_nfs_aces(acl: Acl) -> tuple[Acl, int | None]:
    """The list without them, and the mode if there was one.  Owner and group are set as such or not at all."""
    return replace(acl, aces=tuple(ace for ace in acl.aces if not _is_nfs_ace(ace))), find_mode(acl)


def _is_nfs_ace(ace: Ace) -> bool:
    return any(relative_id(ace.sid, domain) is not None for domain in (NFS_MODES, NFS_USERS, NFS_GROUPS))


# AFP_AfpInfo ----------------------------------------------------------------------------------------------------


def is_afp_info(opened: FileOpen) -> bool:
    """Whether this is Finder info in a share that knows of such."""
    return opened.tree.share.settings.macos and fold(opened.stream) == _AFP_INFO


def whole_afp_info(offset: int, data: bytes | memoryview) -> bytes | None:
    """What a WRITE stores: always all 60 bytes, wherever the client says they go; None for nothing.

    Raises INVALID_PARAMETER for what can be no Finder info.
    """
    info = bytes(data[:AFP_INFO_SIZE])
    if info[:3] != b"AFP" or (offset and len(info) < AFP_INFO_SIZE):
        raise StatusError(Status.INVALID_PARAMETER, "no AFP_AfpInfo")
    if not finder_info_of(info):
        return None
    if info[:8] != EMPTY_AFP_INFO[:8]:
        raise StatusError(Status.INVALID_PARAMETER, "AFP_AfpInfo of another version")
    return info.ljust(AFP_INFO_SIZE, b"\0")


def store_afp_info(file: File, info: bytes, *, wait: bool = False) -> bool:
    """Write it; False if it says nothing, for which nothing is kept."""
    if not any(finder_info_of(info)):
        file.resize(0, wait=wait)
        return False
    if file.write_at(0, info, through=False, wait=wait) != AFP_INFO_SIZE:
        raise StatusError(Status.DISK_FULL)
    if file.stat().size > AFP_INFO_SIZE:
        file.resize(AFP_INFO_SIZE, wait=wait)
    return True


def check_afp_info_size(size: int) -> None:
    """It cannot become longer; to cut it succeeds and does nothing."""
    if size > AFP_INFO_SIZE:
        raise StatusError(ALLOTTED_SPACE_EXCEEDED)


def read_afp_info(file: File, offset: int, length: int, *, wait: bool = False) -> bytes:
    """What a READ gets, as of macOS' own server: always from the beginning, and something even before any write."""
    if offset > AFP_INFO_SIZE:
        return b""
    if not file.stat().size:
        return EMPTY_AFP_INFO[:length]
    return file.read_at(0, min(length, AFP_INFO_SIZE), wait=wait)


# Streams that are there and not seen ----------------------------------------------------------------------------


def check_written(tree: TreeConnect, disposition: int, stream: str, size: int) -> None:
    """Who only opens does not find a stream that nothing was written to."""
    if disposition == CreateDisposition.OPEN and not _is_seen(tree, stream, size):
        raise StatusError(Status.OBJECT_NAME_NOT_FOUND, "a stream that macOS does not see")


def seen_streams(tree: TreeConnect, entries: list[StreamEntry]) -> list[StreamEntry]:
    """Those that the client is shown."""
    if not tree.share.settings.macos:
        return entries
    return [entry for entry in entries if _is_seen(tree, entry.name, entry.size)]


def _is_seen(tree: TreeConnect, stream: str, size: int) -> bool:
    if not tree.share.settings.macos:
        return True
    if fold(stream) == _AFP_INFO:
        return size == AFP_INFO_SIZE
    return bool(size) or not tree.session.aapl
