"""QUERY_INFO of files, directories and pipes: one function for each information class.  [MS-FSA] 2.1.5.12"""

from collections.abc import Callable
from typing import Final

from smbport.commands.attributes import allocation_size, end_of_file, file_attributes, file_times
from smbport.commands.call import Call
from smbport.commands.extended_attributes import ea_size
from smbport.commands.fsctl.storage import is_compressed
from smbport.commands.macos import hides_file_ids
from smbport.commands.posix import query_posix_file
from smbport.commands.streams import list_streams
from smbport.platform import Kind, Stat
from smbport.state.names import name_for_wire
from smbport.state.open import FileOpen, Open, PipeOpen
from smbport.state.short_names import fits_dos, short_name
from smbport.wire.all_information import pack_all_information
from smbport.wire.constants import CreateOption, Dialect, FileInfo
from smbport.wire.fscc import (
    FileAccessInformation,
    FileAlignmentInformation,
    FileAttributeTagInformation,
    FileBasicInformation,
    FileCompressionInformation,
    FileEaInformation,
    FileIdInformation,
    FileInternalInformation,
    FileModeInformation,
    FileNetworkOpenInformation,
    FilePipeInformation,
    FilePipeLocalInformation,
    FilePositionInformation,
    FileStandardInformation,
    NamedPipe,
    pack_name,
)
from smbport.wire.fscc_entries import pack_streams
from smbport.wire.fsctl import CompressionFormat
from smbport.wire.record import Record
from smbport.wire.reparse import ReparseTag
from smbport.wire.status import Status, StatusError

__all__ = ["query_file", "query_pipe", "query_streams"]

MODE_BITS: Final = CreateOption.WRITE_THROUGH | CreateOption.SEQUENTIAL_ONLY | CreateOption.NO_INTERMEDIATE_BUFFERING
_NO_ALIGNMENT: Final = 0  # of buffers in memory, of which the server has none in common with its clients
PIPE_QUOTA: Final = 4096  # bytes; what Windows' pipes of the LSA and the server service have


async def query_file(call: Call, opened: FileOpen, info_class: int) -> bytes:
    """The whole answer for a class that the rights table has; lists have functions of their own."""
    if info_class == FileInfo.ALL:
        stat = call.chain.state_of(opened)
        size = await ea_size(opened, stat)
        return _all(opened, _seen(opened, stat), size)
    if info_class == FileInfo.EA:
        return FileEaInformation(ea_size=await ea_size(opened)).pack()
    query = _QUERIES.get(info_class)
    if query is None:
        raise StatusError(Status.INVALID_PARAMETER, "not a pipe")
    stat = call.chain.state_of(opened)
    answer = query(opened, _seen(opened, stat), call)
    return answer if isinstance(answer, bytes) else answer.pack()


def _seen(opened: FileOpen, stat: Stat) -> Stat:
    """As clients see it."""
    return stat if opened.posix else opened.tree.share.change_times.seen(stat)


async def query_streams(opened: FileOpen, length: int) -> tuple[bytes, int]:
    """FileStreamInformation: whole entries only, with BUFFER_OVERFLOW if there are more.  [MS-FSA] 2.1.5.12.29"""
    streams = await list_streams(opened)
    data, count = pack_streams(streams, limit=length)
    return data, Status.SUCCESS if count == len(streams) else Status.BUFFER_OVERFLOW


# Files and directories ------------------------------------------------------------------------------------------


def _access(opened: FileOpen, stat: Stat, call: Call) -> FileAccessInformation:
    return FileAccessInformation(access_flags=opened.granted_access)


def _alignment(opened: FileOpen, stat: Stat, call: Call) -> FileAlignmentInformation:
    return FileAlignmentInformation(alignment_requirement=_NO_ALIGNMENT)


def _all(opened: FileOpen, stat: Stat, size_of_eas: int) -> bytes:
    """What the classes say one by one, and the name."""
    created, accessed, written, changed = file_times(stat)
    return pack_all_information(
        created, accessed, written, changed, file_attributes(stat, opened.path),
        allocation_size(stat), end_of_file(stat), _links(opened, stat), opened.shared.delete_pending,
        opened.is_directory, _index_number(opened, stat), size_of_eas, opened.granted_access, opened.position,
        _mode_bits(opened), _NO_ALIGNMENT, "\\" + _name_of(opened),
    )  # fmt: skip


def _alternate_name(opened: FileOpen, stat: Stat, call: Call) -> bytes:
    """A name that is fit for DOS is its own short name; others have one only if the share gives it."""
    name = name_for_wire(opened.path.rpartition("/")[2])
    spellings = opened.tree.share.spellings
    if name and fits_dos(name):
        return pack_name(name)
    if not name or spellings is None or not spellings.short_names:
        raise StatusError(Status.OBJECT_NAME_NOT_FOUND, "no short name")
    return pack_name(short_name(name))


def _attribute_tag(opened: FileOpen, stat: Stat, call: Call) -> FileAttributeTagInformation:
    return FileAttributeTagInformation(
        file_attributes=file_attributes(stat, opened.path),
        reparse_tag=ReparseTag.SYMLINK if stat.kind == Kind.SYMLINK else 0,
    )


def _basic(opened: FileOpen, stat: Stat, call: Call) -> FileBasicInformation:
    created, accessed, written, changed = file_times(stat)
    return FileBasicInformation(
        creation_time=created,
        last_access_time=accessed,
        last_write_time=written,
        change_time=changed,
        file_attributes=file_attributes(stat, opened.path),
    )


def _compression(opened: FileOpen, stat: Stat, call: Call) -> FileCompressionInformation:
    """Units and chunks are those of NTFS with clusters of 4 KiB; which those of the file system are, nobody tells."""
    if is_compressed(opened, stat):
        return FileCompressionInformation(
            compressed_file_size=min(allocation_size(stat), end_of_file(stat)),
            compression_format=CompressionFormat.LZNT1,
            compression_unit_shift=16,
            chunk_shift=12,
            cluster_shift=12,
        )
    return FileCompressionInformation(
        compressed_file_size=end_of_file(stat),
        compression_format=CompressionFormat.NONE,
        compression_unit_shift=0,
        chunk_shift=0,
        cluster_shift=0,
    )


def _id(opened: FileOpen, stat: Stat, call: Call) -> FileIdInformation:
    volume = opened.tree.volume
    assert volume is not None
    return FileIdInformation(volume_serial_number=volume.features.serial, file_id=stat.key.inode.to_bytes(16, "little"))


def _internal(opened: FileOpen, stat: Stat, call: Call) -> FileInternalInformation:
    return FileInternalInformation(index_number=_index_number(opened, stat))


def _index_number(opened: FileOpen, stat: Stat) -> int:
    return 0 if hides_file_ids(opened.tree) else stat.key.inode


def _mode(opened: FileOpen, stat: Stat, call: Call) -> FileModeInformation:
    return FileModeInformation(mode=_mode_bits(opened))


def _mode_bits(opened: FileOpen) -> int:
    return opened.create_options & MODE_BITS | (CreateOption.DELETE_ON_CLOSE if opened.delete_on_close else 0)


def _network_open(opened: FileOpen, stat: Stat, call: Call) -> FileNetworkOpenInformation:
    created, accessed, written, changed = file_times(stat)
    return FileNetworkOpenInformation(
        creation_time=created,
        last_access_time=accessed,
        last_write_time=written,
        change_time=changed,
        allocation_size=allocation_size(stat),
        end_of_file=end_of_file(stat),
        file_attributes=file_attributes(stat, opened.path),
    )


def _normalized_name(opened: FileOpen, stat: Stat, call: Call) -> bytes:
    """Inside the share, as spelled on disk; in 3.1.1 only.  [MS-SMB2] 3.3.5.20.1"""
    if call.connection.dialect != Dialect.SMB_3_1_1:
        raise StatusError(Status.NOT_SUPPORTED)
    return pack_name(_name_of(opened))


def _position(opened: FileOpen, stat: Stat, call: Call) -> FilePositionInformation:
    return FilePositionInformation(current_byte_offset=opened.position)


def _posix(opened: FileOpen, stat: Stat, call: Call) -> bytes:
    return query_posix_file(opened, stat)


def _standard(opened: FileOpen, stat: Stat, call: Call) -> FileStandardInformation:
    return FileStandardInformation(
        allocation_size=allocation_size(stat),
        end_of_file=end_of_file(stat),
        number_of_links=_links(opened, stat),
        delete_pending=opened.shared.delete_pending,
        directory=opened.is_directory,
    )


def _links(opened: FileOpen, stat: Stat) -> int:
    """The link that is about to go does not count, and a directory has one name only."""
    links = 1 if opened.is_directory else stat.links
    return max(links - opened.shared.delete_pending, 0)


Query = Callable[[FileOpen, Stat, Call], bytes | Record]

_QUERIES: Final[dict[int, Query]] = {
    FileInfo.ACCESS: _access,
    FileInfo.ALIGNMENT: _alignment,
    FileInfo.ALTERNATE_NAME: _alternate_name,
    FileInfo.ATTRIBUTE_TAG: _attribute_tag,
    FileInfo.BASIC: _basic,
    FileInfo.COMPRESSION: _compression,
    FileInfo.ID: _id,
    FileInfo.INTERNAL: _internal,
    FileInfo.MODE: _mode,
    FileInfo.NETWORK_OPEN: _network_open,
    FileInfo.NORMALIZED_NAME: _normalized_name,
    FileInfo.POSITION: _position,
    FileInfo.POSIX: _posix,
    FileInfo.STANDARD: _standard,
}


def _name_of(opened: FileOpen) -> str:
    """Inside the share, with the stream if one is open."""
    path = _path_for_wire(opened.path)
    return f"{path}:{opened.stream}" if opened.stream else path


def _path_for_wire(path: str) -> str:
    return "\\".join([name_for_wire(part) for part in path.split("/")]) if path else ""


# Pipes ----------------------------------------------------------------------------------------------------------


def query_pipe(opened: Open, info_class: int) -> bytes:
    """What Windows' named pipe file system answers; other classes are INVALID_PARAMETER there, too."""
    assert isinstance(opened, PipeOpen)
    match info_class:
        case FileInfo.PIPE:
            return FilePipeInformation(read_mode=NamedPipe.MESSAGE, completion_mode=NamedPipe.QUEUE_OPERATION).pack()
        case FileInfo.PIPE_LOCAL:
            return _pipe_local(opened).pack()
        case FileInfo.STANDARD:
            # Windows says that the pipe goes with its last handle.
            return FileStandardInformation(
                allocation_size=PIPE_QUOTA, end_of_file=opened.pipe.available(), number_of_links=1,
                delete_pending=True, directory=False,
            ).pack()  # fmt: skip
        case _:
            raise StatusError(Status.INVALID_PARAMETER, "not a class of pipes")


def _pipe_local(opened: PipeOpen) -> FilePipeLocalInformation:
    return FilePipeLocalInformation(
        named_pipe_type=NamedPipe.MESSAGE,
        named_pipe_configuration=NamedPipe.FULL_DUPLEX,
        maximum_instances=0xFFFFFFFF,
        current_instances=1,
        inbound_quota=PIPE_QUOTA,
        read_data_available=opened.pipe.available(),
        outbound_quota=PIPE_QUOTA,
        write_quota_available=PIPE_QUOTA,
        named_pipe_state=NamedPipe.CONNECTED,
        named_pipe_end=NamedPipe.CLIENT_END,
    )
