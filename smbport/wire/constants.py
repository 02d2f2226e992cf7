"""Numbers of [MS-SMB2], [MS-FSCC] and [MS-DTYP], as plain ints in namespace classes.

Plain ints, because one `IntFlag & IntFlag` costs more than parsing a whole request.  Names for logs:
`names(Access, 0x12019F)` and `name(Command, 5)`.
"""

from typing import Final

__all__ = [
    "Access", "AceFlag", "AceType", "Capability", "Cipher", "CloseFlag", "Command", "CompletionFilter",
    "CompressionAlgorithm", "ContextTag", "CreateAction", "CreateDisposition", "CreateOption", "Dialect",
    "FileAttribute", "FileInfo", "FsControl", "FsInfo", "HashAlgorithm", "HeaderFlag", "ImpersonationLevel",
    "InfoType", "IoctlFlag", "LockFlag", "NegotiateContextType", "OplockLevel", "QueryDirectoryFlag",
    "SecurityInformation", "SecurityMode", "SessionFlag", "SessionSetupFlag", "ShareAccess", "ShareCapability",
    "ShareFlag", "ShareType", "SigningAlgorithm", "TransformFlag", "WriteFlag", "name", "names",
]  # fmt: skip


class Command:
    """[MS-SMB2] 2.2.1.2"""

    NEGOTIATE: Final = 0
    SESSION_SETUP: Final = 1
    LOGOFF: Final = 2
    TREE_CONNECT: Final = 3
    TREE_DISCONNECT: Final = 4
    CREATE: Final = 5
    CLOSE: Final = 6
    FLUSH: Final = 7
    READ: Final = 8
    WRITE: Final = 9
    LOCK: Final = 10
    IOCTL: Final = 11
    CANCEL: Final = 12
    ECHO: Final = 13
    QUERY_DIRECTORY: Final = 14
    CHANGE_NOTIFY: Final = 15
    QUERY_INFO: Final = 16
    SET_INFO: Final = 17
    OPLOCK_BREAK: Final = 18


class HeaderFlag:
    """[MS-SMB2] 2.2.1.2"""

    SERVER_TO_REDIR: Final = 0x00000001
    ASYNC_COMMAND: Final = 0x00000002
    RELATED_OPERATIONS: Final = 0x00000004
    SIGNED: Final = 0x00000008
    PRIORITY_MASK: Final = 0x00000070
    DFS_OPERATIONS: Final = 0x10000000
    REPLAY_OPERATION: Final = 0x20000000


class Dialect:
    """[MS-SMB2] 2.2.3"""

    SMB_2_0_2: Final = 0x0202
    SMB_2_1: Final = 0x0210
    SMB_3_0: Final = 0x0300
    SMB_3_0_2: Final = 0x0302
    SMB_3_1_1: Final = 0x0311
    WILDCARD: Final = 0x02FF  # only in the answer to SMB1's "SMB 2.???"


class SecurityMode:
    """[MS-SMB2] 2.2.3"""

    SIGNING_ENABLED: Final = 0x0001
    SIGNING_REQUIRED: Final = 0x0002


class Capability:
    """[MS-SMB2] 2.2.3"""

    DFS: Final = 0x00000001
    LEASING: Final = 0x00000002
    LARGE_MTU: Final = 0x00000004
    MULTI_CHANNEL: Final = 0x00000008
    PERSISTENT_HANDLES: Final = 0x00000010
    DIRECTORY_LEASING: Final = 0x00000020
    ENCRYPTION: Final = 0x00000040
    NOTIFICATIONS: Final = 0x00000080


class NegotiateContextType:
    """[MS-SMB2] 2.2.3.1"""

    PREAUTH_INTEGRITY: Final = 0x0001
    ENCRYPTION: Final = 0x0002
    COMPRESSION: Final = 0x0003
    NETNAME: Final = 0x0005
    TRANSPORT: Final = 0x0006
    RDMA_TRANSFORM: Final = 0x0007
    SIGNING: Final = 0x0008
    POSIX_EXTENSIONS: Final = 0x0100


class HashAlgorithm:
    """[MS-SMB2] 2.2.3.1.1"""

    SHA_512: Final = 0x0001


class Cipher:
    """[MS-SMB2] 2.2.3.1.2"""

    AES_128_CCM: Final = 0x0001
    AES_128_GCM: Final = 0x0002
    AES_256_CCM: Final = 0x0003
    AES_256_GCM: Final = 0x0004


class SigningAlgorithm:
    """[MS-SMB2] 2.2.3.1.7"""

    HMAC_SHA256: Final = 0x0000
    AES_CMAC: Final = 0x0001
    AES_GMAC: Final = 0x0002


class CompressionAlgorithm:
    """[MS-SMB2] 2.2.3.1.3"""

    NONE: Final = 0x0000
    LZNT1: Final = 0x0001
    LZ77: Final = 0x0002
    LZ77_HUFFMAN: Final = 0x0003
    PATTERN_V1: Final = 0x0004
    LZ4: Final = 0x0005


class TransformFlag:
    """[MS-SMB2] 2.2.41, Flags/EncryptionAlgorithm"""

    ENCRYPTED: Final = 0x0001


class SessionSetupFlag:
    """[MS-SMB2] 2.2.5, Flags"""

    BINDING: Final = 0x01


class SessionFlag:
    """[MS-SMB2] 2.2.6, SessionFlags"""

    IS_GUEST: Final = 0x0001
    IS_NULL: Final = 0x0002
    ENCRYPT_DATA: Final = 0x0004


class ShareType:
    """[MS-SMB2] 2.2.10"""

    DISK: Final = 0x01
    PIPE: Final = 0x02
    PRINT: Final = 0x03


class ShareFlag:
    """[MS-SMB2] 2.2.10, ShareFlags"""

    MANUAL_CACHING: Final = 0x00000000
    AUTO_CACHING: Final = 0x00000010
    VDO_CACHING: Final = 0x00000020
    NO_CACHING: Final = 0x00000030
    DFS: Final = 0x00000001
    DFS_ROOT: Final = 0x00000002
    RESTRICT_EXCLUSIVE_OPENS: Final = 0x00000100
    FORCE_SHARED_DELETE: Final = 0x00000200
    ALLOW_NAMESPACE_CACHING: Final = 0x00000400
    ACCESS_BASED_DIRECTORY_ENUM: Final = 0x00000800
    FORCE_LEVELII_OPLOCK: Final = 0x00001000
    ENABLE_HASH_V1: Final = 0x00002000
    ENABLE_HASH_V2: Final = 0x00004000
    ENCRYPT_DATA: Final = 0x00008000
    IDENTITY_REMOTING: Final = 0x00040000
    COMPRESS_DATA: Final = 0x00100000


class ShareCapability:
    """[MS-SMB2] 2.2.10, Capabilities"""

    DFS: Final = 0x00000008
    CONTINUOUS_AVAILABILITY: Final = 0x00000010
    SCALEOUT: Final = 0x00000020
    CLUSTER: Final = 0x00000040
    ASYMMETRIC: Final = 0x00000080


class Access:
    """Access mask of files, pipes and directories.  [MS-SMB2] 2.2.13.1"""

    READ_DATA: Final = 0x00000001
    WRITE_DATA: Final = 0x00000002
    APPEND_DATA: Final = 0x00000004
    READ_EA: Final = 0x00000008
    WRITE_EA: Final = 0x00000010
    EXECUTE: Final = 0x00000020
    DELETE_CHILD: Final = 0x00000040
    READ_ATTRIBUTES: Final = 0x00000080
    WRITE_ATTRIBUTES: Final = 0x00000100
    DELETE: Final = 0x00010000
    READ_CONTROL: Final = 0x00020000
    WRITE_DAC: Final = 0x00040000
    WRITE_OWNER: Final = 0x00080000
    SYNCHRONIZE: Final = 0x00100000
    ACCESS_SYSTEM_SECURITY: Final = 0x01000000
    MAXIMUM_ALLOWED: Final = 0x02000000
    GENERIC_ALL: Final = 0x10000000
    GENERIC_EXECUTE: Final = 0x20000000
    GENERIC_WRITE: Final = 0x40000000
    GENERIC_READ: Final = 0x80000000

    # For directories the low bits read differently.  [MS-SMB2] 2.2.13.1.2
    LIST_DIRECTORY: Final = 0x00000001
    ADD_FILE: Final = 0x00000002
    ADD_SUBDIRECTORY: Final = 0x00000004
    TRAVERSE: Final = 0x00000020

    # What the generic rights mean for a file.  [MS-DTYP] 2.4.3, Windows' file object mapping
    FILE_GENERIC_READ: Final = 0x00120089
    FILE_GENERIC_WRITE: Final = 0x00120116
    FILE_GENERIC_EXECUTE: Final = 0x001200A0
    FILE_ALL_ACCESS: Final = 0x001F01FF


class ShareAccess:
    """[MS-SMB2] 2.2.13, ShareAccess"""

    READ: Final = 0x1
    WRITE: Final = 0x2
    DELETE: Final = 0x4


class CreateDisposition:
    """[MS-SMB2] 2.2.13, CreateDisposition.  An enumeration, not a mask."""

    SUPERSEDE: Final = 0
    OPEN: Final = 1
    CREATE: Final = 2
    OPEN_IF: Final = 3
    OVERWRITE: Final = 4
    OVERWRITE_IF: Final = 5


class CreateOption:
    """[MS-SMB2] 2.2.13, CreateOptions"""

    DIRECTORY_FILE: Final = 0x00000001
    WRITE_THROUGH: Final = 0x00000002
    SEQUENTIAL_ONLY: Final = 0x00000004
    NO_INTERMEDIATE_BUFFERING: Final = 0x00000008
    SYNCHRONOUS_IO_ALERT: Final = 0x00000010
    SYNCHRONOUS_IO_NONALERT: Final = 0x00000020
    NON_DIRECTORY_FILE: Final = 0x00000040
    CREATE_TREE_CONNECTION: Final = 0x00000080
    COMPLETE_IF_OPLOCKED: Final = 0x00000100
    NO_EA_KNOWLEDGE: Final = 0x00000200
    OPEN_REMOTE_INSTANCE: Final = 0x00000400
    RANDOM_ACCESS: Final = 0x00000800
    DELETE_ON_CLOSE: Final = 0x00001000
    OPEN_BY_FILE_ID: Final = 0x00002000
    OPEN_FOR_BACKUP_INTENT: Final = 0x00004000
    NO_COMPRESSION: Final = 0x00008000
    OPEN_REQUIRING_OPLOCK: Final = 0x00010000
    DISALLOW_EXCLUSIVE: Final = 0x00020000
    RESERVE_OPFILTER: Final = 0x00100000
    OPEN_REPARSE_POINT: Final = 0x00200000
    OPEN_NO_RECALL: Final = 0x00400000
    OPEN_FOR_FREE_SPACE_QUERY: Final = 0x00800000


class CreateAction:
    """[MS-SMB2] 2.2.14, CreateAction"""

    SUPERSEDED: Final = 0
    OPENED: Final = 1
    CREATED: Final = 2
    OVERWRITTEN: Final = 3


class ImpersonationLevel:
    """[MS-SMB2] 2.2.13"""

    ANONYMOUS: Final = 0
    IDENTIFICATION: Final = 1
    IMPERSONATION: Final = 2
    DELEGATE: Final = 3


class OplockLevel:
    """[MS-SMB2] 2.2.13"""

    NONE: Final = 0x00
    LEVEL_II: Final = 0x01
    EXCLUSIVE: Final = 0x08
    BATCH: Final = 0x09
    LEASE: Final = 0xFF


class ContextTag:
    """Names of create contexts.  [MS-SMB2] 2.2.13.2"""

    EXTENDED_ATTRIBUTES: Final = b"ExtA"
    SECURITY_DESCRIPTOR: Final = b"SecD"
    DURABLE_REQUEST: Final = b"DHnQ"
    DURABLE_RECONNECT: Final = b"DHnC"
    DURABLE_REQUEST_V2: Final = b"DH2Q"
    DURABLE_RECONNECT_V2: Final = b"DH2C"
    ALLOCATION_SIZE: Final = b"AlSi"
    MAXIMAL_ACCESS: Final = b"MxAc"
    TIMEWARP: Final = b"TWrp"
    ON_DISK_ID: Final = b"QFid"
    LEASE: Final = b"RqLs"
    APP_INSTANCE_ID: Final = bytes.fromhex("45BCA66AEFA7F74A9008FA462E144D74")
    APP_INSTANCE_VERSION: Final = bytes.fromhex("B982D0B73B56074FA07B524A8116A010")
    SVHDX_OPEN_DEVICE: Final = bytes.fromhex("9CCBCF9E04C1E643980E158DA1F6EC83")
    POSIX: Final = bytes.fromhex("93AD25509CB411E7B42383DE968BCD7C")
    AAPL: Final = b"AAPL"


class FileAttribute:
    """[MS-FSCC] 2.6"""

    READONLY: Final = 0x00000001
    HIDDEN: Final = 0x00000002
    SYSTEM: Final = 0x00000004
    DIRECTORY: Final = 0x00000010
    ARCHIVE: Final = 0x00000020
    NORMAL: Final = 0x00000080
    TEMPORARY: Final = 0x00000100
    SPARSE_FILE: Final = 0x00000200
    REPARSE_POINT: Final = 0x00000400
    COMPRESSED: Final = 0x00000800
    OFFLINE: Final = 0x00001000
    NOT_CONTENT_INDEXED: Final = 0x00002000
    ENCRYPTED: Final = 0x00004000
    INTEGRITY_STREAM: Final = 0x00008000
    NO_SCRUB_DATA: Final = 0x00020000


class CloseFlag:
    """[MS-SMB2] 2.2.15"""

    POSTQUERY_ATTRIB: Final = 0x0001


class WriteFlag:
    """[MS-SMB2] 2.2.21"""

    WRITE_THROUGH: Final = 0x00000001
    WRITE_UNBUFFERED: Final = 0x00000002


class LockFlag:
    """[MS-SMB2] 2.2.26.1"""

    SHARED: Final = 0x00000001
    EXCLUSIVE: Final = 0x00000002
    UNLOCK: Final = 0x00000004
    FAIL_IMMEDIATELY: Final = 0x00000010


class QueryDirectoryFlag:
    """[MS-SMB2] 2.2.33"""

    RESTART_SCANS: Final = 0x01
    RETURN_SINGLE_ENTRY: Final = 0x02
    INDEX_SPECIFIED: Final = 0x04
    REOPEN: Final = 0x10


class CompletionFilter:
    """What of a name or file is different.  [MS-SMB2] 2.2.35"""

    FILE_NAME: Final = 0x00000001
    DIR_NAME: Final = 0x00000002
    ATTRIBUTES: Final = 0x00000004
    SIZE: Final = 0x00000008
    LAST_WRITE: Final = 0x00000010
    LAST_ACCESS: Final = 0x00000020
    CREATION: Final = 0x00000040
    EA: Final = 0x00000080
    SECURITY: Final = 0x00000100
    STREAM_NAME: Final = 0x00000200
    STREAM_SIZE: Final = 0x00000400
    STREAM_WRITE: Final = 0x00000800


class InfoType:
    """[MS-SMB2] 2.2.37"""

    FILE: Final = 0x01
    FILESYSTEM: Final = 0x02
    SECURITY: Final = 0x03
    QUOTA: Final = 0x04


class SecurityInformation:
    """[MS-SMB2] 2.2.37, AdditionalInformation"""

    OWNER: Final = 0x00000001
    GROUP: Final = 0x00000002
    DACL: Final = 0x00000004
    SACL: Final = 0x00000008
    LABEL: Final = 0x00000010
    ATTRIBUTE: Final = 0x00000020
    SCOPE: Final = 0x00000040
    BACKUP: Final = 0x00010000


class FileInfo:
    """File information classes.  [MS-FSCC] 2.4"""

    DIRECTORY: Final = 1
    FULL_DIRECTORY: Final = 2
    BOTH_DIRECTORY: Final = 3
    BASIC: Final = 4
    STANDARD: Final = 5
    INTERNAL: Final = 6
    EA: Final = 7
    ACCESS: Final = 8
    NAME: Final = 9
    RENAME: Final = 10
    LINK: Final = 11
    NAMES: Final = 12
    DISPOSITION: Final = 13
    POSITION: Final = 14
    FULL_EA: Final = 15
    MODE: Final = 16
    ALIGNMENT: Final = 17
    ALL: Final = 18
    ALLOCATION: Final = 19
    END_OF_FILE: Final = 20
    ALTERNATE_NAME: Final = 21
    STREAM: Final = 22
    PIPE: Final = 23
    PIPE_LOCAL: Final = 24
    PIPE_REMOTE: Final = 25
    COMPRESSION: Final = 28
    OBJECT_ID: Final = 29
    MOVE_CLUSTER: Final = 31
    QUOTA: Final = 32
    REPARSE_POINT: Final = 33
    NETWORK_OPEN: Final = 34
    ATTRIBUTE_TAG: Final = 35
    TRACKING: Final = 36
    ID_BOTH_DIRECTORY: Final = 37
    ID_FULL_DIRECTORY: Final = 38
    VALID_DATA_LENGTH: Final = 39
    SHORT_NAME: Final = 40
    SFIO_RESERVE: Final = 44
    HARD_LINK: Final = 46
    NORMALIZED_NAME: Final = 48
    STANDARD_LINK: Final = 54
    ID: Final = 59
    ID_EXTD_DIRECTORY: Final = 60
    DISPOSITION_EX: Final = 64
    RENAME_EX: Final = 65
    STAT: Final = 68
    ID_64_EXTD_DIRECTORY: Final = 78
    POSIX: Final = 100


class FsInfo:
    """File system information classes.  [MS-FSCC] 2.5"""

    VOLUME: Final = 1
    LABEL: Final = 2
    SIZE: Final = 3
    DEVICE: Final = 4
    ATTRIBUTE: Final = 5
    CONTROL: Final = 6
    FULL_SIZE: Final = 7
    OBJECT_ID: Final = 8
    DRIVER_PATH: Final = 9
    VOLUME_FLAGS: Final = 10
    SECTOR_SIZE: Final = 11
    POSIX: Final = 100


class IoctlFlag:
    """[MS-SMB2] 2.2.31"""

    IS_FSCTL: Final = 0x00000001


class FsControl:
    """FSCTL codes.  [MS-SMB2] 2.2.31, [MS-FSCC] 2.3"""

    DFS_GET_REFERRALS: Final = 0x00060194
    DFS_GET_REFERRALS_EX: Final = 0x000601B0
    PIPE_PEEK: Final = 0x0011400C
    PIPE_WAIT: Final = 0x00110018
    PIPE_TRANSCEIVE: Final = 0x0011C017
    SRV_COPYCHUNK: Final = 0x001440F2
    SRV_COPYCHUNK_WRITE: Final = 0x001480F2
    SRV_ENUMERATE_SNAPSHOTS: Final = 0x00144064
    SRV_REQUEST_RESUME_KEY: Final = 0x00140078
    SRV_READ_HASH: Final = 0x001441BB
    LMR_REQUEST_RESILIENCY: Final = 0x001401D4
    QUERY_NETWORK_INTERFACE_INFO: Final = 0x001401FC
    VALIDATE_NEGOTIATE_INFO: Final = 0x00140204
    LMR_SET_LINK_TRACKING_INFORMATION: Final = 0x001400EC
    SET_REPARSE_POINT: Final = 0x000900A4
    GET_REPARSE_POINT: Final = 0x000900A8
    DELETE_REPARSE_POINT: Final = 0x000900AC
    CREATE_OR_GET_OBJECT_ID: Final = 0x000900C0
    GET_OBJECT_ID: Final = 0x0009009C
    SET_SPARSE: Final = 0x000900C4
    SET_ZERO_DATA: Final = 0x000980C8
    QUERY_ALLOCATED_RANGES: Final = 0x000940CF
    FILE_LEVEL_TRIM: Final = 0x00098208
    GET_COMPRESSION: Final = 0x0009003C
    SET_COMPRESSION: Final = 0x0009C040
    DUPLICATE_EXTENTS_TO_FILE: Final = 0x00098344
    DUPLICATE_EXTENTS_TO_FILE_EX: Final = 0x000983E8
    OFFLOAD_READ: Final = 0x00094264
    OFFLOAD_WRITE: Final = 0x00098268
    GET_INTEGRITY_INFORMATION: Final = 0x0009027C
    SET_INTEGRITY_INFORMATION: Final = 0x0009C280
    QUERY_FILE_REGIONS: Final = 0x00090284
    QUERY_ON_DISK_VOLUME_INFO: Final = 0x0009013C
    IS_PATHNAME_VALID: Final = 0x0009002C


class AceType:
    """[MS-DTYP] 2.4.4.1"""

    ACCESS_ALLOWED: Final = 0x00
    ACCESS_DENIED: Final = 0x01
    SYSTEM_AUDIT: Final = 0x02
    ACCESS_ALLOWED_OBJECT: Final = 0x05
    ACCESS_DENIED_OBJECT: Final = 0x06
    SYSTEM_AUDIT_OBJECT: Final = 0x07
    ACCESS_ALLOWED_CALLBACK: Final = 0x09
    ACCESS_DENIED_CALLBACK: Final = 0x0A
    SYSTEM_MANDATORY_LABEL: Final = 0x11
    SYSTEM_RESOURCE_ATTRIBUTE: Final = 0x12
    SYSTEM_SCOPED_POLICY_ID: Final = 0x13


class AceFlag:
    """[MS-DTYP] 2.4.4.1"""

    OBJECT_INHERIT: Final = 0x01
    CONTAINER_INHERIT: Final = 0x02
    NO_PROPAGATE_INHERIT: Final = 0x04
    INHERIT_ONLY: Final = 0x08
    INHERITED: Final = 0x10
    SUCCESSFUL_ACCESS: Final = 0x40
    FAILED_ACCESS: Final = 0x80


def name(namespace: type, value: int) -> str:
    """The constant's name, or the number in hexadecimal."""
    return next((key for key, known in vars(namespace).items() if key.isupper() and known == value), f"0x{value:X}")


def names(namespace: type, value: int) -> str:
    """The names of all single-bit constants set in `value`, joined by `|`; unknown bits in hexadecimal."""
    found: list[str] = []
    rest = value
    for key, bit in vars(namespace).items():
        if key.isupper() and isinstance(bit, int) and bit.bit_count() == 1 and rest & bit:
            found.append(key)
            rest &= ~bit
    if rest or not found:
        found.append(f"0x{rest:X}")
    return "|".join(found)
