"""The rights table: what every operation needs of its handle, its share and its dialect.

A check forgotten in one arm of a switch is the largest class of faults in file servers.  So nothing is checked
in the arms: the dispatcher and the four commands with many operations look here first, an operation without a
row does not exist, and `tests/commands/test_rights.py` fails when one is missing.
"""

from dataclasses import dataclass
from typing import Final

from smbport.state.open import FileOpen, Open
from smbport.wire.constants import Access, CreateOption, FileInfo, FsControl, FsInfo, SecurityInformation
from smbport.wire.status import Status, StatusError

__all__ = [
    "ANY_REFUSED_OPTION", "CREATE_OPTIONS", "CREATE_RIGHTS", "FILE_QUERY", "FILE_SET", "FSCTLS", "FS_QUERY", "FS_SET",
    "NOTHING", "REFUSED_OPTIONS", "Right", "security_query_access", "security_set_access",
]  # fmt: skip


@dataclass(slots=True, eq=False)
class Right:
    """What an operation needs.  Not frozen, so that its fields are read fast; never changed."""

    access: int = 0  # any of these must have been granted; 0: an open handle is enough
    changes: bool = False  # the share must be writable
    leads_away: bool = False  # to a name in the share as it is, where a file of a snapshot cannot go
    files_only: bool = False  # INVALID_DEVICE_REQUEST on a directory

    def check(self, opened: Open) -> None:
        """Raises ACCESS_DENIED, MEDIA_WRITE_PROTECTED or INVALID_DEVICE_REQUEST."""
        if self.access and not opened.granted_access & self.access:
            raise StatusError(Status.ACCESS_DENIED, "the handle lacks the right")
        if self.changes and not opened.tree.writable:
            if self.leads_away and opened.tree.live is not None:
                raise StatusError(Status.NOT_SAME_DEVICE, "from a snapshot")
            raise StatusError(Status.MEDIA_WRITE_PROTECTED, "the share is read-only")
        if self.files_only and isinstance(opened, FileOpen) and opened.is_directory:
            raise StatusError(Status.INVALID_DEVICE_REQUEST, "a directory has no data")


NOTHING: Final = Right()
_READ_DATA: Final = Right(Access.READ_DATA, files_only=True)
_READ_ATTRIBUTES: Final = Right(Access.READ_ATTRIBUTES)
_READ_EA: Final = Right(Access.READ_EA)
_WRITE_ATTRIBUTES: Final = Right(Access.WRITE_ATTRIBUTES, changes=True)
_WRITE_DATA: Final = Right(Access.WRITE_DATA, changes=True, files_only=True)
_WRITE_SOMETHING: Final = Right(Access.WRITE_DATA | Access.APPEND_DATA | Access.WRITE_ATTRIBUTES, changes=True)
_DELETE: Final = Right(Access.DELETE, changes=True)
_RENAME: Final = Right(Access.DELETE, changes=True, leads_away=True)

# [MS-SMB2] 3.3.5.20.1, [MS-FSA] 2.1.5.12: query by file information class.
FILE_QUERY: Final[dict[int, Right]] = {
    FileInfo.ACCESS: NOTHING,
    FileInfo.ALIGNMENT: NOTHING,
    FileInfo.ALL: _READ_ATTRIBUTES,
    FileInfo.ALTERNATE_NAME: NOTHING,
    FileInfo.ATTRIBUTE_TAG: _READ_ATTRIBUTES,
    FileInfo.BASIC: _READ_ATTRIBUTES,
    FileInfo.COMPRESSION: NOTHING,
    FileInfo.EA: NOTHING,
    FileInfo.FULL_EA: _READ_EA,
    FileInfo.ID: NOTHING,
    FileInfo.INTERNAL: NOTHING,
    FileInfo.MODE: NOTHING,
    FileInfo.NETWORK_OPEN: _READ_ATTRIBUTES,
    FileInfo.NORMALIZED_NAME: NOTHING,
    FileInfo.PIPE: _READ_ATTRIBUTES,
    FileInfo.PIPE_LOCAL: _READ_ATTRIBUTES,
    FileInfo.POSITION: NOTHING,
    FileInfo.POSIX: _READ_ATTRIBUTES,
    FileInfo.STANDARD: NOTHING,
    FileInfo.STREAM: NOTHING,
}

# [MS-SMB2] 3.3.5.21.1, [MS-FSA] 2.1.5.15
FILE_SET: Final[dict[int, Right]] = {
    FileInfo.ALLOCATION: _WRITE_DATA,
    FileInfo.BASIC: _WRITE_ATTRIBUTES,
    FileInfo.DISPOSITION: _DELETE,
    FileInfo.DISPOSITION_EX: _DELETE,
    FileInfo.END_OF_FILE: _WRITE_DATA,
    FileInfo.FULL_EA: Right(Access.WRITE_EA, changes=True),
    FileInfo.LINK: Right(changes=True, leads_away=True, files_only=True),
    FileInfo.MODE: NOTHING,
    FileInfo.PIPE: Right(Access.WRITE_ATTRIBUTES),
    FileInfo.POSITION: NOTHING,
    FileInfo.RENAME: _RENAME,
    FileInfo.RENAME_EX: _RENAME,
    FileInfo.SHORT_NAME: _DELETE,
    FileInfo.VALID_DATA_LENGTH: _WRITE_DATA,
}

# [MS-SMB2] 3.3.5.20.2: any open of the share answers for its volume.
FS_QUERY: Final[dict[int, Right]] = {
    FsInfo.ATTRIBUTE: NOTHING,
    FsInfo.CONTROL: NOTHING,
    FsInfo.DEVICE: NOTHING,
    FsInfo.FULL_SIZE: NOTHING,
    FsInfo.OBJECT_ID: NOTHING,
    FsInfo.POSIX: NOTHING,
    FsInfo.SECTOR_SIZE: NOTHING,
    FsInfo.SIZE: NOTHING,
    FsInfo.VOLUME: NOTHING,
}

# [MS-SMB2] 3.3.5.21.2: nothing of a volume can be set; labels and quotas are the administrator's.
FS_SET: Final[dict[int, Right]] = {}

# [MS-SMB2] 3.3.5.15: FSCTLs on an open.  Those that need none (FileId all ones) have no row.
FSCTLS: Final[dict[int, Right]] = {
    FsControl.CREATE_OR_GET_OBJECT_ID: NOTHING,
    FsControl.DELETE_REPARSE_POINT: _WRITE_SOMETHING,
    FsControl.DUPLICATE_EXTENTS_TO_FILE: _WRITE_DATA,
    FsControl.DUPLICATE_EXTENTS_TO_FILE_EX: _WRITE_DATA,
    FsControl.FILE_LEVEL_TRIM: _WRITE_DATA,
    FsControl.GET_COMPRESSION: NOTHING,
    FsControl.GET_INTEGRITY_INFORMATION: NOTHING,
    FsControl.GET_OBJECT_ID: NOTHING,
    FsControl.GET_REPARSE_POINT: NOTHING,
    FsControl.LMR_REQUEST_RESILIENCY: Right(files_only=True),
    FsControl.OFFLOAD_READ: _READ_DATA,
    FsControl.OFFLOAD_WRITE: _WRITE_DATA,
    FsControl.PIPE_PEEK: Right(Access.READ_DATA),
    FsControl.PIPE_TRANSCEIVE: Right(Access.READ_DATA | Access.WRITE_DATA),
    FsControl.QUERY_ALLOCATED_RANGES: _READ_DATA,
    FsControl.QUERY_FILE_REGIONS: _READ_DATA,
    FsControl.SET_COMPRESSION: Right(Access.WRITE_DATA, changes=True),
    FsControl.SET_INTEGRITY_INFORMATION: Right(Access.WRITE_DATA, changes=True),
    FsControl.SET_REPARSE_POINT: _WRITE_SOMETHING,
    FsControl.SET_SPARSE: _WRITE_SOMETHING,
    FsControl.SET_ZERO_DATA: _WRITE_DATA,
    FsControl.SRV_COPYCHUNK: _WRITE_DATA,
    FsControl.SRV_COPYCHUNK_WRITE: _WRITE_DATA,
    FsControl.SRV_ENUMERATE_SNAPSHOTS: Right(Access.READ_DATA),
    FsControl.SRV_REQUEST_RESUME_KEY: NOTHING,
}


def security_query_access(additional_information: int) -> int:
    """All of these rights are needed to read those parts of a security descriptor.  [MS-SMB2] 3.3.5.20.3"""
    needed = 0
    if additional_information & (SecurityInformation.OWNER | SecurityInformation.GROUP | SecurityInformation.DACL):
        needed |= Access.READ_CONTROL
    if additional_information & SecurityInformation.SACL:
        needed |= Access.ACCESS_SYSTEM_SECURITY
    return needed


def security_set_access(additional_information: int) -> int:
    """All of these rights are needed to change those parts.  [MS-SMB2] 3.3.5.21.3"""
    needed = 0
    if additional_information & (SecurityInformation.OWNER | SecurityInformation.GROUP):
        needed |= Access.WRITE_OWNER
    if additional_information & SecurityInformation.DACL:
        needed |= Access.WRITE_DAC
    if additional_information & SecurityInformation.SACL:
        needed |= Access.ACCESS_SYSTEM_SECURITY
    return needed


# What a create option adds to the access that the client asks for.  [MS-SMB2] 3.3.5.9, [MS-FSA] 2.1.5.1
CREATE_OPTIONS: Final[dict[int, int]] = {
    CreateOption.DIRECTORY_FILE: 0,
    CreateOption.WRITE_THROUGH: 0,
    CreateOption.SEQUENTIAL_ONLY: 0,
    CreateOption.NO_INTERMEDIATE_BUFFERING: 0,
    CreateOption.SYNCHRONOUS_IO_ALERT: 0,
    CreateOption.SYNCHRONOUS_IO_NONALERT: 0,
    CreateOption.NON_DIRECTORY_FILE: 0,
    CreateOption.COMPLETE_IF_OPLOCKED: 0,
    CreateOption.NO_EA_KNOWLEDGE: 0,
    CreateOption.RANDOM_ACCESS: 0,
    CreateOption.DELETE_ON_CLOSE: Access.DELETE,
    CreateOption.OPEN_FOR_BACKUP_INTENT: 0,
    CreateOption.NO_COMPRESSION: 0,
    CreateOption.OPEN_REQUIRING_OPLOCK: 0,
    CreateOption.DISALLOW_EXCLUSIVE: 0,
    CreateOption.OPEN_REPARSE_POINT: 0,
    CreateOption.OPEN_NO_RECALL: 0,
    CreateOption.OPEN_FOR_FREE_SPACE_QUERY: 0,
}

CREATE_RIGHTS: Final = tuple((option, right) for option, right in CREATE_OPTIONS.items() if right)
"""Those that add something."""

# Options that are answered with a status of their own instead.
REFUSED_OPTIONS: Final[dict[int, int]] = {
    CreateOption.CREATE_TREE_CONNECTION: Status.NOT_SUPPORTED,
    CreateOption.OPEN_REMOTE_INSTANCE: Status.INVALID_PARAMETER,
    CreateOption.OPEN_BY_FILE_ID: Status.NOT_SUPPORTED,
    CreateOption.RESERVE_OPFILTER: Status.NOT_SUPPORTED,
}
ANY_REFUSED_OPTION: Final = sum(REFUSED_OPTIONS)
