"""What clients with the POSIX extensions see and may do.  [SMB3-POSIX] 2.1, 2.2

Such a client says in each CREATE that it means POSIX; what it does with that open then goes by POSIX' rules: "/" and
case count in names, symbolic links are its own to follow, modes are modes, and a name can go while the file is open.
"""

from collections.abc import Callable
from typing import Final

from smbport.commands.attributes import DFS_LINK, allocation_size, end_of_file, file_attributes, file_times
from smbport.commands.call import Call, Reply
from smbport.commands.contexts.request import Contexts
from smbport.commands.steps import blocking
from smbport.platform import Entry, Kind, Space, Stat
from smbport.security.sids import relative_id, unix_id
from smbport.state.names import FileName, name_for_posix, parse_file_name, parse_posix_name
from smbport.state.open import DirectoryCursor, FileOpen
from smbport.state.settings import ShareSettings
from smbport.state.tree import TreeConnect
from smbport.wire.create_contexts import PosixCreateResponse
from smbport.wire.dfs import IO_REPARSE_TAG_DFS
from smbport.wire.error import (
    ErrorId,
    Symlink,
    SymlinkFlag,
    pack_error_contexts,
    pack_error_response,
    pack_symlink_error,
)
from smbport.wire.posix import (
    NO_COUNT,
    FileFsPosixInformation,
    FilePosixInformation,
    PosixDirectoryPacker,
    PosixType,
    pack_posix_information,
)
from smbport.wire.reparse import ReparseTag
from smbport.wire.security import Acl, Sid, unix_group_sid, unix_user_sid
from smbport.wire.status import Status, StatusError

__all__ = [
    "NFS_GROUPS", "NFS_MODES", "NFS_USERS", "answer_link", "create_response", "drop_unless_agreed", "find_mode",
    "find_posix_id", "name_of_create", "new_mode", "posix_adder", "query_posix_file", "query_posix_volume",
]  # fmt: skip

# The attributes tell a directory, and old clients (cifs.ko of Linux 6.1) take its type bits for those of their own.
_TYPES: Final = {
    Kind.FILE: PosixType.FILE,
    Kind.DIRECTORY: PosixType.FILE,
    Kind.SYMLINK: PosixType.SYMLINK,
    Kind.FIFO: PosixType.FIFO,
    Kind.SOCKET: PosixType.SOCKET,
    Kind.CHARACTER_DEVICE: PosixType.CHARACTER_DEVICE,
    Kind.BLOCK_DEVICE: PosixType.BLOCK_DEVICE,
    DFS_LINK: PosixType.FILE,
}
# Whom NFS servers of Windows mean by S-1-5-88-1-UID, -2-GID, and the mode in S-1-5-88-3-MODE; clients send them too.
NFS_USERS: Final = Sid(5, (88, 1))
NFS_GROUPS: Final = Sid(5, (88, 2))
NFS_MODES: Final = Sid(5, (88, 3))


# CREATE ---------------------------------------------------------------------------------------------------------


def drop_unless_agreed(call: Call, contexts: Contexts) -> None:
    """Forget that a client means POSIX where that was not agreed on.  [SMB3-POSIX] 2.1.3"""
    if contexts.posix_mode is not None and not (call.connection.posix and call.tree_connect.share.offers_posix):
        contexts.posix_mode = None


def name_of_create(contexts: Contexts, text: str) -> FileName:
    """The name in a CREATE.  Raises StatusError."""
    return parse_file_name(text) if contexts.posix_mode is None else parse_posix_name(text)


def new_mode(contexts: Contexts, settings: ShareSettings, *, directory: bool) -> int:
    """Permission bits of something new: what the client wants, as far as the administrator lets it."""
    wanted = contexts.posix_mode
    if directory:
        return (0o777 if wanted is None else wanted) & settings.directory_mask | settings.force_directory_mode
    return (0o666 if wanted is None else wanted) & settings.create_mask | settings.force_mode


async def answer_link(call: Call, tree: TreeConnect, path: str) -> Reply:
    """A symbolic link ends the path: the client is told where it leads.  [MS-SMB2] 2.2.2.2.1"""
    assert tree.volume is not None
    target = name_for_posix(await blocking(tree.volume.read_link, path))
    flags = 0 if target.startswith("/") else SymlinkFlag.RELATIVE
    data = pack_symlink_error(Symlink(target, target, 0, flags))
    body = pack_error_response(pack_error_contexts([(ErrorId.DEFAULT, data)]), 1)
    return Reply(body, None, Status.STOPPED_ON_SYMLINK)


def create_response(stat: Stat) -> bytes:
    """The create context of a response.  [SMB3-POSIX] 2.1.4.1"""
    fixed = PosixCreateResponse(number_of_links=stat.links, reparse_tag=_reparse_tag(stat), mode=_mode(stat))
    return fixed.pack() + unix_user_sid(stat.uid).pack() + unix_group_sid(stat.gid).pack()


# What is there --------------------------------------------------------------------------------------------------


def query_posix_file(opened: FileOpen, stat: Stat) -> bytes:
    """Level 100 of a file.  [SMB3-POSIX] 2.2.1.1"""
    if not opened.posix:
        raise StatusError(Status.INVALID_INFO_CLASS, "not a POSIX open")
    return _information(stat, opened.path)


def query_posix_volume(space: Space, tree: TreeConnect) -> FileFsPosixInformation:
    """Level 100 of a volume; who counts the blocks does not count the files.  [SMB3-POSIX] 2.2.2"""
    volume = tree.volume
    assert volume is not None
    return FileFsPosixInformation(
        optimal_transfer_size=space.block_size,
        block_size=space.block_size,
        total_blocks=space.total // space.block_size,
        blocks_available=space.free // space.block_size,
        user_blocks_available=space.available // space.block_size,
        total_file_nodes=NO_COUNT,
        free_file_nodes=NO_COUNT,
        file_system_identifier=volume.features.serial,
    )


def posix_adder(cursor: DirectoryCursor, packer: PosixDirectoryPacker) -> Callable[[Entry], bool | None]:
    """What adds an entry to the answer, see `DirectoryCursor.move`.  [SMB3-POSIX] 2.2.1.2"""
    matches = cursor.pattern.matches

    def add(entry: Entry) -> bool | None:
        name, stat = entry
        seen = name_for_posix(name)
        if stat is None or not matches(seen):  # it vanished since its name was read
            return None
        return packer.add_posix(seen, _information(stat, name))

    return add


def _information(stat: Stat, path: str) -> bytes:
    created, accessed, written, changed = file_times(stat)
    information = FilePosixInformation(
        creation_time=created,
        last_access_time=accessed,
        last_write_time=written,
        change_time=changed,
        end_of_file=end_of_file(stat),
        allocation_size=allocation_size(stat),
        file_attributes=file_attributes(stat, path),
        inode=stat.key.inode,
        device=stat.key.device & 0xFFFFFFFF,
        number_of_links=stat.links,
        reparse_tag=_reparse_tag(stat),
        mode=_mode(stat),
    )
    return pack_posix_information(information, unix_user_sid(stat.uid), unix_group_sid(stat.gid))


def _mode(stat: Stat) -> int:
    return stat.mode | _TYPES.get(stat.kind, PosixType.FILE)


def _reparse_tag(stat: Stat) -> int:
    """A link to another server is a directory to POSIX, whose tag says that its name has to be asked for."""
    if stat.kind == Kind.SYMLINK:
        return ReparseTag.SYMLINK
    return IO_REPARSE_TAG_DFS if stat.kind == DFS_LINK else ReparseTag.RESERVED_ZERO


# What a descriptor says -----------------------------------------------------------------------------------------


def find_mode(acl: Acl | None) -> int | None:
    """The mode that an ACE stands for, whatever others say: such a list is how modes are set.  None: there is none."""
    for ace in acl.aces if acl is not None else ():
        mode = relative_id(ace.sid, NFS_MODES)
        if mode is not None:
            return mode & 0o7777
    return None


def find_posix_id(sid: Sid | None, *, group: bool) -> int | None:
    """The number of a user or group of the system by any of its SIDs; None if it is no such SID."""
    number = unix_id(sid, group=group)
    return number if number is not None else relative_id(sid, NFS_GROUPS if group else NFS_USERS)
