"""QUERY_INFO of files, pipes, volumes and security descriptors, against a volume in memory."""

from collections.abc import Callable
from typing import Any

import pytest

from smbport.commands.rights import FILE_QUERY, FS_QUERY
from smbport.platform import ACCESS_READ
from smbport.state.open import PipeOpen
from smbport.wire.constants import (
    Access,
    Command,
    CreateOption,
    Dialect,
    FileAttribute,
    FileInfo,
    FsInfo,
    HeaderFlag,
    InfoType,
)
from smbport.wire.file import WriteRequest, pack_write_request
from smbport.wire.fscc import (
    MINIMUM_OUTPUT_LENGTH,
    FileAccessInformation,
    FileAlignmentInformation,
    FileAllInformation,
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
    parse_name,
    parse_with_name,
)
from smbport.wire.fscc_entries import Stream, pack_streams, parse_streams
from smbport.wire.fscc_volume import MINIMUM_OUTPUT_LENGTH as MINIMUM_OF_VOLUMES
from smbport.wire.fscc_volume import (
    DeviceCharacteristic,
    DeviceType,
    FileFsAttributeInformation,
    FileFsControlInformation,
    FileFsDeviceInformation,
    FileFsFullSizeInformation,
    FileFsObjectIdInformation,
    FileFsSectorSizeInformation,
    FileFsSizeInformation,
    FileSystemAttribute,
    parse_volume_information,
)
from smbport.wire.fsctl import CompressionFormat
from smbport.wire.header import HEADER_SIZE, Header
from smbport.wire.info import QueryInfoRequest, QueryInfoResponse, pack_query_info_request, query_info_output
from smbport.wire.status import Status, status_name

Refused = Callable[[int], Any]
FS = InfoType.FILESYSTEM
EPOCH = 116444736000000000
ALL_ONES = (1 << 64) - 1  # the file of the request before
ON_DISK = sorted(set(FILE_QUERY) - {FileInfo.PIPE, FileInfo.PIPE_LOCAL, FileInfo.FULL_EA})


def filetimes(stat: Any) -> tuple[int, ...]:
    return tuple(ns // 100 + EPOCH for ns in (stat.birth_ns, stat.access_ns, stat.write_ns, stat.change_ns))


def times_of(record: Any) -> tuple[int, ...]:
    return (record.creation_time, record.last_access_time, record.last_write_time, record.change_time)


# Compounds ------------------------------------------------------------------------------------------------------


def sizes_in_chain(peer: Any, *between: tuple[int, bytes]) -> list[int]:
    """Open "f" for all, do this, and ask for its size twice, in one frame."""
    query = QueryInfoRequest(
        info_type=InfoType.FILE, file_info_class=FileInfo.STANDARD, output_buffer_length=24,
        file_id_persistent=ALL_ONES, file_id_volatile=ALL_ONES,
    )  # fmt: skip
    create = Command.CREATE, peer.create_body("f")
    queries = [(Command.QUERY_INFO, pack_query_info_request(query))] * 2
    whole = b""
    for index, (command, body) in enumerate([create, *between, *queries]):
        element = peer.message(command, body, tree_id=peer.tree, flags=HeaderFlag.RELATED_OPERATIONS if index else 0)
        if index <= len(between) + 1:
            element += bytes(-len(element) % 8)
            element[20:24] = len(element).to_bytes(4, "little")
        whole += peer.protect(element)
    [(header, frame)] = peer.frames(whole, plain=True)
    sizes = []
    while header.next_command:
        frame = frame[header.next_command :]
        header = Header.unpack_from(frame)
        assert header.status == Status.SUCCESS
        if header.command == Command.QUERY_INFO:
            data = query_info_output(frame, QueryInfoResponse.unpack_from(frame, HEADER_SIZE))
            sizes.append(FileStandardInformation.unpack_from(data).end_of_file)
    return sizes


def test_a_query_right_behind_its_create_takes_no_second_look(wire: Any) -> None:
    wire.make("f", b"four")
    peer, looks = wire.connect(), []
    wire.faults.do_before("File.stat", lambda: looks.append(1), times=None)
    assert sizes_in_chain(peer) == [4, 4]
    assert len(looks) == 1  # for the second query
    write = WriteRequest(offset=4, file_id_persistent=ALL_ONES, file_id_volatile=ALL_ONES)
    assert sizes_in_chain(peer, (Command.WRITE, pack_write_request(write, b" and more"))) == [13, 13]
    other = wire.connect()
    other.write(other.open("f"), 0, b"something longer")
    assert sizes_in_chain(peer) == [16, 16]


# Files ----------------------------------------------------------------------------------------------------------


def test_basic_and_network_open(share: Any) -> None:
    share.make("a.txt", b"hello")
    opened = share.open("a.txt")
    stat = opened.node.stat()
    basic = FileBasicInformation.unpack_from(share.data(opened, FileInfo.BASIC))
    assert times_of(basic) == filetimes(stat)
    assert basic.file_attributes == FileAttribute.NORMAL
    everything = FileNetworkOpenInformation.unpack_from(share.data(opened, FileInfo.NETWORK_OPEN))
    assert times_of(everything) == filetimes(stat)
    assert (everything.end_of_file, everything.allocation_size) == (5, stat.allocated)
    assert everything.file_attributes == FileAttribute.NORMAL


def test_standard_counts_links_and_pending_delete(share: Any) -> None:
    share.make("a", b"hello")
    share.volume.link("a", "b")
    opened = share.open("a")
    standard = FileStandardInformation.unpack_from(share.data(opened, FileInfo.STANDARD))
    assert (standard.end_of_file, standard.number_of_links, standard.delete_pending, standard.directory) == (5, 2, 0, 0)
    opened.shared.doomed_by = opened
    standard = FileStandardInformation.unpack_from(share.data(opened, FileInfo.STANDARD))
    assert (standard.number_of_links, standard.delete_pending) == (1, 1)


def test_standard_of_a_directory(share: Any) -> None:
    share.make_directory("d")
    share.make_directory("d/below")
    standard = FileStandardInformation.unpack_from(share.data(share.open("d"), FileInfo.STANDARD))
    assert (standard.allocation_size, standard.end_of_file) == (0, 0)
    assert (standard.number_of_links, standard.directory) == (1, 1)


def test_links_never_go_below_zero(share: Any) -> None:
    share.make("a")
    opened = share.open("a")
    opened.shared.doomed_by = opened
    share.volume.remove("a", opened.shared.key)
    assert FileStandardInformation.unpack_from(share.data(opened, FileInfo.STANDARD)).number_of_links == 0


def test_what_the_open_itself_knows(share: Any) -> None:
    share.make("a")
    opened = share.open("a", 0x81, options=CreateOption.WRITE_THROUGH | CreateOption.DELETE_ON_CLOSE | 0x40)
    opened.position = 77
    assert FileAccessInformation.unpack_from(share.data(opened, FileInfo.ACCESS)).access_flags == 0x81
    assert FilePositionInformation.unpack_from(share.data(opened, FileInfo.POSITION)).current_byte_offset == 77
    mode = FileModeInformation.unpack_from(share.data(opened, FileInfo.MODE)).mode
    assert mode == CreateOption.WRITE_THROUGH | CreateOption.DELETE_ON_CLOSE
    assert FileAlignmentInformation.unpack_from(share.data(opened, FileInfo.ALIGNMENT)).alignment_requirement == 0


def test_ids(share: Any) -> None:
    share.make("a")
    opened = share.open("a")
    inode = opened.node.stat().key.inode
    assert FileInternalInformation.unpack_from(share.data(opened, FileInfo.INTERNAL)).index_number == inode
    identity = FileIdInformation.unpack_from(share.data(opened, FileInfo.ID))
    assert identity.file_id == inode.to_bytes(16, "little")
    assert identity.volume_serial_number == share.volume.features.serial


def test_no_extended_attributes(share: Any, refused: Refused) -> None:
    share.make("a")
    opened = share.open("a")
    assert FileEaInformation.unpack_from(share.data(opened, FileInfo.EA)).ea_size == 0
    with refused(Status.NO_EAS_ON_FILE):
        share.query(opened, FileInfo.FULL_EA)


def test_attribute_tag_and_compression(share: Any) -> None:
    share.make(".a", b"hello")
    opened = share.open(".a")
    tag = FileAttributeTagInformation.unpack_from(share.data(opened, FileInfo.ATTRIBUTE_TAG))
    assert (tag.file_attributes, tag.reparse_tag) == (FileAttribute.HIDDEN, 0)
    compression = FileCompressionInformation.unpack_from(share.data(opened, FileInfo.COMPRESSION))
    assert (compression.compressed_file_size, compression.compression_format) == (5, 0)
    share.inner.compression.set(share.inner.open_volume("data").open(".a", ACCESS_READ), True)
    compression = FileCompressionInformation.unpack_from(share.data(opened, FileInfo.COMPRESSION))
    assert (compression.compressed_file_size, compression.compression_format) == (5, CompressionFormat.LZNT1)
    assert (compression.compression_unit_shift, compression.chunk_shift, compression.cluster_shift) == (16, 12, 12)
    tag = FileAttributeTagInformation.unpack_from(share.data(opened, FileInfo.ATTRIBUTE_TAG))
    assert tag.file_attributes == FileAttribute.HIDDEN | FileAttribute.COMPRESSED
    assert share.list(share.open(""))[-1].file_attributes == FileAttribute.HIDDEN | FileAttribute.COMPRESSED


def test_all(share: Any) -> None:
    share.make_directory("d")
    share.make("d/a:b", b"hello")
    opened = share.open("d/a:b", options=CreateOption.SEQUENTIAL_ONLY)
    opened.position = 3
    stat = opened.node.stat()
    everything = FileAllInformation.parse(share.data(opened, FileInfo.ALL))
    assert times_of(everything.basic) == filetimes(stat)
    assert everything.standard.end_of_file == 5
    assert everything.internal.index_number == stat.key.inode
    assert everything.ea.ea_size == 0
    assert everything.access.access_flags == opened.granted_access
    assert everything.position.current_byte_offset == 3
    assert everything.mode.mode == CreateOption.SEQUENTIAL_ONLY
    assert everything.alignment.alignment_requirement == 0
    assert everything.name == "\\d\\a\uf022b"
    assert FileAllInformation.parse(share.data(share.open(""), FileInfo.ALL)).name == "\\"


@pytest.mark.parametrize("name", ["bufsize.txt", "A", "README.MD", "12345678", "a~1"])
def test_a_dos_name_is_its_own_short_name(share: Any, name: str) -> None:
    share.make_directory("d")
    share.make(f"d/{name}")
    assert parse_name(share.data(share.open(f"d/{name}"), FileInfo.ALTERNATE_NAME)) == name


@pytest.mark.parametrize("name", ["123456789", "a.text", "a.b.c", "a b", ".a", "a,b", "é", "a.", "a+b.txt"])
def test_other_names_have_no_short_name(share: Any, refused: Refused, name: str) -> None:
    share.make(name)
    with refused(Status.OBJECT_NAME_NOT_FOUND):
        share.query(share.open(name), FileInfo.ALTERNATE_NAME)


def test_the_root_has_no_short_name(share: Any, refused: Refused) -> None:
    with refused(Status.OBJECT_NAME_NOT_FOUND):
        share.query(share.open(""), FileInfo.ALTERNATE_NAME)


def test_normalized_name_is_for_3_1_1(share: Any, refused: Refused) -> None:
    share.make_directory("Dir")
    share.make("Dir/File")
    opened = share.open("Dir/File")
    assert parse_name(share.data(opened, FileInfo.NORMALIZED_NAME)) == "Dir\\File"
    assert parse_name(share.data(share.open(""), FileInfo.NORMALIZED_NAME)) == ""
    share.connection.dialect = Dialect.SMB_3_0_2
    with refused(Status.NOT_SUPPORTED):
        share.query(opened, FileInfo.NORMALIZED_NAME)


def test_streams(share: Any) -> None:
    share.make("a", b"hello")
    share.make_directory("d")
    opened = share.open("a")
    allocated = opened.node.stat().allocated
    assert parse_streams(share.data(opened, FileInfo.STREAM)) == [Stream("::$DATA", 5, allocated)]
    assert parse_streams(share.data(share.open("d"), FileInfo.STREAM)) == []


@pytest.mark.parametrize("info_class", [FileInfo.PIPE, FileInfo.PIPE_LOCAL])
def test_a_file_is_no_pipe(share: Any, refused: Refused, info_class: int) -> None:
    with refused(Status.INVALID_PARAMETER):
        share.query(share.open(""), info_class)


# Lengths and rights ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("info_class", [n for n in ON_DISK if n in MINIMUM_OUTPUT_LENGTH and n != FileInfo.STREAM])
def test_every_length_of_the_buffer(share: Any, refused: Refused, info_class: int) -> None:
    share.make("bufsize.txt")
    opened = share.open("bufsize.txt")
    whole = share.data(opened, info_class)
    minimum = MINIMUM_OUTPUT_LENGTH[info_class]
    with refused(Status.INFO_LENGTH_MISMATCH):
        share.query(opened, info_class, length=minimum - 1)
    for length in range(minimum, len(whole)):
        reply = share.query(opened, info_class, length=length)
        assert status_name(reply.status) == "STATUS_BUFFER_OVERFLOW"
        assert reply.body[8:] == whole[:length]
    assert share.data(opened, info_class, length=max(len(whole), minimum)) == whole


def test_streams_are_whole_or_left_out(wire: Any) -> None:
    wire.make("f")
    peer = wire.connect()
    peer.close(peer.make("f:more"))
    file = peer.open("f")
    whole = peer.query_info(file, FileInfo.STREAM)
    entries = parse_streams(whole)
    assert [entry.name for entry in entries] == ["::$DATA", ":more:$DATA"]
    first = len(pack_streams(entries[:1], limit=1000)[0])
    for length in range(31, len(whole) + 1):
        request = QueryInfoRequest(
            info_type=InfoType.FILE, file_info_class=FileInfo.STREAM, output_buffer_length=length,
            file_id_persistent=file.persistent, file_id_volatile=file.volatile,
        )  # fmt: skip
        header, frame = peer.ask(Command.QUERY_INFO, pack_query_info_request(request), tree_id=peer.tree)
        if length < 32:
            assert status_name(header.status) == "STATUS_INFO_LENGTH_MISMATCH"
            continue
        found = parse_streams(query_info_output(frame, QueryInfoResponse.unpack_from(frame, HEADER_SIZE)))
        assert len(found) == (0 if length < first else 1 if length < len(whole) else 2)
        assert status_name(header.status) == ("STATUS_SUCCESS" if len(found) == 2 else "STATUS_BUFFER_OVERFLOW")


def test_rights_and_handlers_have_the_same_classes(share: Any) -> None:
    share.make("a")
    opened = share.open("a")
    opened.posix = True
    for info_class in ON_DISK:
        assert share.data(opened, info_class)
    for info_class in FS_QUERY:
        assert share.data(opened, info_class, info_type=FS)


def test_rights_are_checked(share: Any, refused: Refused) -> None:
    share.make("a")
    opened = share.open("a", Access.READ_DATA)
    with refused(Status.ACCESS_DENIED):
        share.query(opened, FileInfo.BASIC)
    with refused(Status.ACCESS_DENIED):
        share.query(opened, FileInfo.FULL_EA)
    assert share.data(opened, FileInfo.STANDARD)


@pytest.mark.parametrize(
    ("info_type", "info_class", "status"),
    [
        (InfoType.FILE, 0, Status.INVALID_INFO_CLASS),
        (InfoType.FILE, 200, Status.INVALID_INFO_CLASS),
        (InfoType.FILE, FileInfo.OBJECT_ID, Status.NOT_SUPPORTED),
        (InfoType.FILE, 79, Status.NOT_SUPPORTED),  # is for listings
        (FS, 0, Status.INVALID_INFO_CLASS),
        (FS, FsInfo.LABEL, Status.NOT_SUPPORTED),
        (InfoType.QUOTA, 0, Status.NOT_SUPPORTED),
        (5, 0, Status.INVALID_PARAMETER),
    ],
)
def test_what_is_not_offered(share: Any, refused: Refused, info_type: int, info_class: int, status: int) -> None:
    with refused(status):
        share.query(share.open(""), info_class, info_type=info_type)


def test_buffer_beyond_what_was_negotiated(share: Any, refused: Refused) -> None:
    with refused(Status.INVALID_PARAMETER):
        share.query(share.open(""), FileInfo.BASIC, length=65537)


# Pipes ----------------------------------------------------------------------------------------------------------


class TenBytes:
    def available(self) -> int:
        return 10


def test_pipes(share: Any, refused: Refused) -> None:
    pipe = PipeOpen(share.tree, 1, 1, Access.FILE_GENERIC_READ, "srvsvc", TenBytes())  # type: ignore[arg-type]
    state = FilePipeInformation.unpack_from(share.data(pipe, FileInfo.PIPE))
    assert state.read_mode == NamedPipe.MESSAGE
    local = FilePipeLocalInformation.unpack_from(share.data(pipe, FileInfo.PIPE_LOCAL))
    assert (local.read_data_available, local.named_pipe_state) == (10, NamedPipe.CONNECTED)
    assert local.named_pipe_end == NamedPipe.CLIENT_END
    standard = FileStandardInformation.unpack_from(share.data(pipe, FileInfo.STANDARD))
    assert (standard.end_of_file, standard.number_of_links, standard.directory) == (10, 1, 0)
    with refused(Status.INVALID_PARAMETER):
        share.query(pipe, FileInfo.BASIC)
    with refused(Status.INVALID_DEVICE_REQUEST):
        share.query(pipe, FsInfo.VOLUME, info_type=FS)
    with refused(Status.INVALID_DEVICE_REQUEST):
        share.query(pipe, 0, info_type=InfoType.SECURITY)


# Volumes --------------------------------------------------------------------------------------------------------


def test_volume_says_share_and_serial(new_share: Any) -> None:
    share = new_share(serial=0x1122334455667788)
    opened = share.open("")
    fixed, label = parse_volume_information(share.data(opened, FsInfo.VOLUME, info_type=FS))
    assert (label, fixed.volume_serial_number, fixed.supports_objects) == ("data", 0x55667788, 0)
    assert fixed.volume_creation_time == share.server.start_ns // 100 + EPOCH
    object_id = FileFsObjectIdInformation.unpack_from(share.data(opened, FsInfo.OBJECT_ID, info_type=FS))
    assert object_id.object_id == bytes.fromhex("8877665544332211") + b"smbport\0"


def test_space(share: Any) -> None:
    share.make("a", bytes(10000))
    opened = share.open("")
    space = share.volume.space()
    size = FileFsSizeInformation.unpack_from(share.data(opened, FsInfo.SIZE, info_type=FS))
    unit = size.sectors_per_allocation_unit * size.bytes_per_sector
    assert (unit, size.bytes_per_sector) == (space.block_size, 512)
    assert size.total_allocation_units * unit == space.total
    assert size.available_allocation_units * unit == space.available
    full = FileFsFullSizeInformation.unpack_from(share.data(opened, FsInfo.FULL_SIZE, info_type=FS))
    assert full.total_allocation_units == size.total_allocation_units
    assert full.caller_available_allocation_units * unit == space.available
    assert full.actual_available_allocation_units * unit == space.free
    sectors = FileFsSectorSizeInformation.unpack_from(share.data(opened, FsInfo.SECTOR_SIZE, info_type=FS))
    assert (sectors.logical_bytes_per_sector, sectors.physical_bytes_per_sector_for_atomicity) == (512, unit)


def test_blocks_that_are_no_multiple_of_a_sector(share: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = type(share.inner.open_volume("data"))
    space = share.volume.space()._replace(total=1000, free=700, available=300, block_size=100)
    monkeypatch.setattr(inner, "space", lambda self, wait=False: space)
    size = FileFsSizeInformation.unpack_from(share.data(share.open(""), FsInfo.SIZE, info_type=FS))
    assert (size.total_allocation_units, size.available_allocation_units) == (10, 3)
    assert (size.sectors_per_allocation_unit, size.bytes_per_sector) == (1, 100)


def test_space_comes_from_a_thread_where_it_must(share: Any) -> None:
    opened = share.open("")
    share.faults.force_threads("Volume.space")
    assert len(share.data(opened, FsInfo.FULL_SIZE, info_type=FS)) == 32


def attributes_of(share: Any) -> tuple[int, int, str]:
    data = share.data(share.open(""), FsInfo.ATTRIBUTE, info_type=FS)
    fixed, name = parse_with_name(FileFsAttributeInformation, data)
    return fixed.file_system_attributes, fixed.maximum_component_name_length, name


def test_attributes_are_what_is_true(new_share: Any) -> None:
    usual = (
        FileSystemAttribute.CASE_PRESERVED_NAMES
        | FileSystemAttribute.UNICODE_ON_DISK
        | FileSystemAttribute.SUPPORTS_HARD_LINKS
        | FileSystemAttribute.SUPPORTS_REPARSE_POINTS
        | FileSystemAttribute.SUPPORTS_EXTENDED_ATTRIBUTES
        | FileSystemAttribute.SUPPORTS_SPARSE_FILES
        | FileSystemAttribute.SUPPORTS_BLOCK_REFCOUNTING
        | FileSystemAttribute.NAMED_STREAMS
        | FileSystemAttribute.FILE_COMPRESSION
    )
    assert attributes_of(new_share(file_system="ext4")) == (usual, 255, "ext4")
    poor = attributes_of(new_share(stores_marks=False, holes=False, reflink=False, streams=False, compression=False))[0]
    assert usual & ~poor == (
        FileSystemAttribute.SUPPORTS_EXTENDED_ATTRIBUTES
        | FileSystemAttribute.SUPPORTS_SPARSE_FILES
        | FileSystemAttribute.SUPPORTS_BLOCK_REFCOUNTING
        | FileSystemAttribute.NAMED_STREAMS
        | FileSystemAttribute.FILE_COMPRESSION
    )
    assert attributes_of(new_share(read_only=True))[0] == usual | FileSystemAttribute.READ_ONLY_VOLUME
    assert attributes_of(new_share(sensitive=True))[0] == usual | FileSystemAttribute.CASE_SENSITIVE_SEARCH
    assert attributes_of(new_share(sensitive=True, case_sensitive=False))[0] == usual


def test_device(new_share: Any) -> None:
    for read_only in (False, True):
        share = new_share(read_only=read_only)
        device = FileFsDeviceInformation.unpack_from(share.data(share.open(""), FsInfo.DEVICE, info_type=FS))
        assert device.device_type == DeviceType.DISK
        assert device.characteristics & DeviceCharacteristic.DEVICE_IS_MOUNTED
        assert bool(device.characteristics & DeviceCharacteristic.READ_ONLY_DEVICE) is read_only


def test_no_quotas(share: Any) -> None:
    control = FileFsControlInformation.unpack_from(share.data(share.open(""), FsInfo.CONTROL, info_type=FS))
    assert control.file_system_control_flags == 0
    assert control.default_quota_limit == 0xFFFFFFFFFFFFFFFF


@pytest.mark.parametrize("info_class", sorted(FS_QUERY))
def test_every_length_of_the_buffer_for_volumes(share: Any, refused: Refused, info_class: int) -> None:
    opened = share.open("")
    opened.posix = True
    whole = share.data(opened, info_class, info_type=FS)
    minimum = MINIMUM_OF_VOLUMES[info_class]
    with refused(Status.INFO_LENGTH_MISMATCH):
        share.query(opened, info_class, info_type=FS, length=minimum - 1)
    for length in range(minimum, len(whole)):
        reply = share.query(opened, info_class, info_type=FS, length=length)
        assert status_name(reply.status) == "STATUS_BUFFER_OVERFLOW"
        assert reply.body[8:] == whole[:length]
