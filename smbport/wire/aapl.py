"""Apple's extensions to SMB2, as macOS and Samba's vfs_fruit speak them; Apple has not published a specification.

A client asks for them in the create context AAPL.  What it then gets besides are listings that say in place of fields
which macOS has no use for what the Finder wants to know of each file.  Finder info and resource fork are named streams.
"""

from struct import Struct
from typing import ClassVar, Final, NamedTuple

from smbport.wire.constants import FileInfo
from smbport.wire.fscc_directory import DirectoryPacker
from smbport.wire.record import U32, U64, BadStructure, Buffer, Pad4, Record, record

__all__ = [
    "AFP_INFO_SIZE", "AFP_INFO_STREAM", "AFP_RESOURCE_STREAM", "EMPTY_AFP_INFO", "AaplCapability", "AaplCommand",
    "AaplQuery", "MacAttributes", "MacDirectoryPacker", "ServerQuery", "VolumeCapability", "finder_info_of",
    "pack_finder_info", "pack_server_answer", "parse_server_query",
]  # fmt: skip


class AaplCommand:
    """What the context AAPL is about."""

    SERVER_QUERY: Final = 1


class AaplQuery:
    """What the client wants to know, and what the answer has, in this order."""

    SERVER_CAPABILITIES: Final = 1
    VOLUME_CAPABILITIES: Final = 2
    MODEL: Final = 4


class AaplCapability:
    """Of a client, and of a server."""

    READ_DIR_ATTRIBUTES: Final = 1
    COPY_FILE: Final = 2
    UNIX_BASED: Final = 4
    NFS_ACE: Final = 8


class VolumeCapability:
    """Of a share."""

    RESOLVE_ID: Final = 1
    CASE_SENSITIVE: Final = 2
    FULL_SYNC: Final = 4  # a FLUSH can be believed, as Time Machine wants it


# The create context ---------------------------------------------------------------------------------------------


@record()
class ServerQuery(Record):
    """The data of the request."""

    command: U32
    reserved: ClassVar[Pad4]
    wanted: U64  # AaplQuery
    capabilities: U64  # AaplCapability


def parse_server_query(data: Buffer) -> ServerQuery:
    """Raises BadStructure for any other length and any other command, as macOS' own server and Samba's."""
    if len(data) != ServerQuery.SIZE:
        raise BadStructure(f"AAPL context of {len(data)} bytes")
    query = ServerQuery.unpack_from(data)
    if query.command != AaplCommand.SERVER_QUERY:
        raise BadStructure(f"AAPL command {query.command}")
    return query


_ANSWER: Final = Struct("<I4xQ")
_CAPABILITIES: Final = Struct("<Q")
_MODEL: Final = Struct("<4xI")


def pack_server_answer(wanted: int, server: int, volume: int, model: str) -> bytes:
    """The data of the response: of what is wanted, what this server knows of."""
    known = AaplQuery.SERVER_CAPABILITIES | AaplQuery.VOLUME_CAPABILITIES | AaplQuery.MODEL
    parts = [_ANSWER.pack(AaplCommand.SERVER_QUERY, wanted & known)]
    if wanted & AaplQuery.SERVER_CAPABILITIES:
        parts.append(_CAPABILITIES.pack(server))
    if wanted & AaplQuery.VOLUME_CAPABILITIES:
        parts.append(_CAPABILITIES.pack(volume))
    if wanted & AaplQuery.MODEL:
        name = model.encode("utf-16-le")
        parts += [_MODEL.pack(len(name)), name]
    return b"".join(parts)


# AFP_AfpInfo: numbers in it are big-endian ----------------------------------------------------------------------

AFP_INFO_STREAM: Final = "AFP_AfpInfo"
AFP_RESOURCE_STREAM: Final = "AFP_Resource"
AFP_INFO_SIZE: Final = 60  # bytes, always

_FINDER_INFO_OFFSET: Final = 16
_FINDER_INFO_SIZE: Final = 32
_NO_BACKUP: Final = 0x80000000
_HEAD: Final = Struct(">4sI4xI")  # signature, version, backup time
_AFP_HEAD: Final = _HEAD.pack(b"AFP\0", 0x00000100, _NO_BACKUP)

EMPTY_AFP_INFO: Final = _AFP_HEAD.ljust(AFP_INFO_SIZE, b"\0")
"""What a file says that nothing was written of."""


def finder_info_of(afp_info: bytes) -> bytes:
    """The 32 bytes that the Finder keeps of a file."""
    return afp_info[_FINDER_INFO_OFFSET : _FINDER_INFO_OFFSET + _FINDER_INFO_SIZE]


# Listings -------------------------------------------------------------------------------------------------------


class MacAttributes(NamedTuple):
    """What a listing says of a file besides what POSIX knows."""

    finder_info: bytes  # 32 bytes
    resource_size: int
    maximal_access: int | None = None  # None: what the permission bits grant


# FileIdBothDirectoryInformation behind its head: EaSize, ShortNameLength, ShortName, Reserved2, FileId.
_TAIL: Final = Struct("<IBx24sHQ")
_SHORT_NAME: Final = Struct("<Q16s")
_COMPRESSED: Final = Struct(">8s2s2si")
_EPOCH_S: Final = 946_684_800  # 2000-01-01, where the Finder's time begins
_TIMES_S: Final = range(-(1 << 31), 1 << 31)


def pack_finder_info(finder_info: bytes, resource_size: int, birth_ns: int, *, is_file: bool) -> bytes:
    """What stands in place of the short name: the resource fork's size, and of the finder info the main part.

    Only files have a type and a creator; both have flags and extended flags; the time is that of the creation.
    """
    kind = finder_info[:8] if is_file else bytes(8)
    created_s = birth_ns // 10**9 - _EPOCH_S
    time_s = created_s if created_s in _TIMES_S else _TIMES_S.start
    return _SHORT_NAME.pack(resource_size, _COMPRESSED.pack(kind, finder_info[8:10], finder_info[24:26], time_s))


def _pack_tail(maximal_access: int, file_id: int, finder_info: bytes, mode: int) -> bytes:
    return _TAIL.pack(maximal_access, len(finder_info), finder_info, mode, file_id)


class MacDirectoryPacker(DirectoryPacker):
    """FileIdBothDirectoryInformation as it is for macOS.

    `add` takes the maximal access as `ea_size`, what `pack_finder_info` returns as `short_name`, and the mode, with
    the type of the file as in POSIX, as `reparse_tag`.
    """

    __slots__ = ()

    def __init__(self, output_length: int) -> None:
        super().__init__(FileInfo.ID_BOTH_DIRECTORY, output_length)
        self._pack_tail = _pack_tail
