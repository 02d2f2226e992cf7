"""SET_INFO of attributes, times and sizes, and what is common to all classes, against a volume in memory."""

import errno
from collections.abc import Callable
from typing import Any

import pytest

from smbport.commands.rights import FILE_SET
from smbport.state.open import PipeOpen
from smbport.wire.constants import (
    Access,
    Command,
    CreateOption,
    FileAttribute,
    FileInfo,
    FsInfo,
    InfoType,
)
from smbport.wire.fscc import (
    FileAllocationInformation,
    FileBasicInformation,
    FileEndOfFileInformation,
    FileModeInformation,
    FilePipeInformation,
    FilePositionInformation,
    FileValidDataLengthInformation,
    SetTime,
    pack_name,
)
from smbport.wire.info import SetInfoRequest, pack_set_info_request
from smbport.wire.record import BadStructure
from smbport.wire.status import Status, StatusError, status_name

Refused = Callable[[int], Any]
EPOCH = 116444736000000000


# Attributes and times -------------------------------------------------------------------------------------------


def set_basic(share: Any, opened: Any, attributes: int = 0, *, created: int = 0, accessed: int = 0,
              written: int = 0, changed: int = 0) -> None:  # fmt: skip
    record = FileBasicInformation(
        creation_time=created, last_access_time=accessed, last_write_time=written, change_time=changed,
        file_attributes=attributes,
    )  # fmt: skip
    share.set(opened, FileInfo.BASIC, record.pack())


def test_times_are_set(share: Any) -> None:
    share.make("a")
    opened = share.open("a")
    set_basic(share, opened, created=EPOCH + 1, accessed=EPOCH + 2, written=EPOCH + 3, changed=EPOCH + 4)
    stat = opened.node.stat()
    assert (stat.birth_ns, stat.access_ns, stat.write_ns) == (100, 200, 300)


@pytest.mark.parametrize("keep", [SetTime.UNCHANGED, SetTime.FREEZE, SetTime.THAW])
def test_times_that_are_none_change_nothing(share: Any, keep: int) -> None:
    share.make("a")
    opened = share.open("a")
    before = opened.node.stat()
    set_basic(share, opened, created=keep, accessed=keep, written=keep, changed=keep)
    assert opened.node.stat() == before


@pytest.mark.parametrize("field", ["created", "accessed", "written", "changed"])
def test_no_such_time(share: Any, refused: Refused, field: str) -> None:
    share.make("a")
    opened = share.open("a")
    before = opened.node.stat()
    with refused(Status.INVALID_PARAMETER):
        set_basic(share, opened, FileAttribute.HIDDEN, **{field: SetTime.THAW - 1})
    assert opened.node.stat() == before


def test_attributes_are_stored(share: Any) -> None:
    share.make("a")
    opened = share.open("a")
    for attributes, stored in (
        (FileAttribute.READONLY, FileAttribute.READONLY),
        (FileAttribute.HIDDEN | FileAttribute.ARCHIVE, FileAttribute.HIDDEN | FileAttribute.ARCHIVE),
        (0, FileAttribute.HIDDEN | FileAttribute.ARCHIVE),
        (FileAttribute.NORMAL, 0),
        (FileAttribute.SYSTEM | FileAttribute.SPARSE_FILE, FileAttribute.SYSTEM),
    ):
        set_basic(share, opened, attributes)
        assert opened.node.stat().dos_attributes == stored
    assert opened.node.stat().mode == 0o644


def test_attributes_of_the_wrong_kind(share: Any, refused: Refused) -> None:
    share.make("a")
    share.make_directory("d")
    with refused(Status.INVALID_PARAMETER):
        set_basic(share, share.open("a"), FileAttribute.DIRECTORY)
    with refused(Status.INVALID_PARAMETER):
        set_basic(share, share.open("d"), FileAttribute.DIRECTORY | FileAttribute.TEMPORARY)
    set_basic(share, share.open("d"), FileAttribute.DIRECTORY | FileAttribute.HIDDEN)
    assert share.volume.stat("d").dos_attributes == FileAttribute.HIDDEN


def test_without_marks_the_mode_says_readonly(new_share: Any) -> None:
    share = new_share(stores_marks=False)
    share.make("a", mode=0o664)
    opened = share.open("a")
    for attributes, mode in (
        (FileAttribute.READONLY, 0o444),
        (FileAttribute.READONLY | FileAttribute.ARCHIVE, 0o444),
        (0, 0o444),
        (FileAttribute.ARCHIVE, 0o644),
        (FileAttribute.NORMAL, 0o644),
    ):
        set_basic(share, opened, attributes, created=EPOCH)
        assert opened.node.stat().mode == mode
    assert opened.node.stat().dos_attributes is None
    assert opened.node.stat().birth_ns != 0


def test_without_marks_what_cannot_be_kept_is_refused(new_share: Any, refused: Refused) -> None:
    share = new_share(stores_marks=False)
    share.make("a")
    share.make(".a")
    share.make_directory("d")
    for path, attributes in (
        ("a", FileAttribute.HIDDEN),
        ("a", FileAttribute.SYSTEM | FileAttribute.READONLY),
        (".a", FileAttribute.SYSTEM),
        ("d", FileAttribute.READONLY),
    ):
        with refused(Status.NOT_SUPPORTED):
            set_basic(share, share.open(path), attributes)
        assert share.volume.stat(path).mode & 0o222
    set_basic(share, share.open(".a"), FileAttribute.HIDDEN)
    set_basic(share, share.open("d"), FileAttribute.DIRECTORY)


def test_without_marks_a_closed_directory_is_opened_again(new_share: Any) -> None:
    share = new_share(stores_marks=False)
    share.make_directory("d", mode=0o555)
    opened = share.open("d")
    set_basic(share, opened, FileAttribute.READONLY)  # it is, so nothing changes
    assert opened.node.stat().mode == 0o555
    set_basic(share, opened, FileAttribute.DIRECTORY)
    assert opened.node.stat().mode == 0o755


# Sizes ----------------------------------------------------------------------------------------------------------


def set_size(share: Any, opened: Any, size: int) -> None:
    share.set(opened, FileInfo.END_OF_FILE, FileEndOfFileInformation(end_of_file=size).pack())


def set_allocation(share: Any, opened: Any, size: int) -> None:
    share.set(opened, FileInfo.ALLOCATION, FileAllocationInformation(allocation_size=size).pack())


def test_end_of_file(share: Any, refused: Refused) -> None:
    share.make("a", b"hello")
    opened = share.open("a")
    set_size(share, opened, 37)
    assert opened.file.read_at(0, 100) == b"hello" + bytes(32)
    set_size(share, opened, 2)
    assert opened.node.stat().size == 2
    with refused(Status.INVALID_PARAMETER):
        set_size(share, opened, -1)


def test_allocation(share: Any, refused: Refused) -> None:
    share.make("a", b"hello")
    opened = share.open("a")
    set_allocation(share, opened, 3)
    assert opened.node.stat().size == 3
    set_allocation(share, opened, 3 * 4096)
    stat = opened.node.stat()
    assert (stat.size, stat.allocated) == (3, 3 * 4096)
    set_allocation(share, opened, 4096)  # neither cuts nor reserves
    assert opened.node.stat() == stat
    set_allocation(share, opened, 0)
    assert opened.node.stat().size == 0
    with refused(Status.INVALID_PARAMETER):
        set_allocation(share, opened, -1)


def test_a_full_volume_is_told(share: Any) -> None:
    share.make("a")
    opened = share.open("a")
    share.faults.fail("File.allocate", errno.ENOSPC)
    with pytest.raises(OSError, match="space"):
        set_allocation(share, opened, 1 << 20)


def test_in_threads_the_result_is_the_same(share: Any) -> None:
    share.make("a")
    opened = share.open("a")
    share.faults.force_threads()
    set_basic(share, opened, FileAttribute.HIDDEN, written=EPOCH)
    set_allocation(share, opened, 4096)
    set_size(share, opened, 5)
    share.faults.clear()
    stat = opened.node.stat()
    assert (stat.size, stat.allocated, stat.dos_attributes) == (5, 4096, FileAttribute.HIDDEN)


# What only the open knows ---------------------------------------------------------------------------------------


def test_position(share: Any, refused: Refused) -> None:
    opened = share.open("")
    share.set(opened, FileInfo.POSITION, FilePositionInformation(current_byte_offset=123456).pack())
    assert opened.position == 123456
    with refused(Status.INVALID_PARAMETER):
        share.set(opened, FileInfo.POSITION, FilePositionInformation(current_byte_offset=-1).pack())


def test_mode(share: Any, refused: Refused) -> None:
    opened = share.open("", options=CreateOption.DIRECTORY_FILE | CreateOption.SEQUENTIAL_ONLY)
    share.set(opened, FileInfo.MODE, FileModeInformation(mode=CreateOption.WRITE_THROUGH).pack())
    assert opened.create_options == CreateOption.DIRECTORY_FILE | CreateOption.WRITE_THROUGH
    for mode in (1, CreateOption.NO_INTERMEDIATE_BUFFERING, CreateOption.SYNCHRONOUS_IO_NONALERT):
        with refused(Status.INVALID_PARAMETER):
            share.set(opened, FileInfo.MODE, FileModeInformation(mode=mode).pack())
    share.set(opened, FileInfo.MODE, FileModeInformation(mode=0).pack())
    assert opened.create_options == CreateOption.DIRECTORY_FILE


# What is common -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("info_class", sorted(FILE_SET))
def test_every_class_is_handled_and_minds_its_length(share: Any, refused: Refused, info_class: int) -> None:
    share.make("a")
    opened = share.open("a")
    with refused(Status.INFO_LENGTH_MISMATCH):
        share.set(opened, info_class, b"")
    if info_class != FileInfo.DISPOSITION:
        with refused(Status.INFO_LENGTH_MISMATCH):
            share.set(opened, info_class, bytes(3))


@pytest.mark.parametrize("info_class", [FileInfo.RENAME, FileInfo.RENAME_EX, FileInfo.LINK])
def test_a_name_that_leaves_its_buffer(share: Any, info_class: int) -> None:
    share.make("a")
    data = bytes(16) + (4).to_bytes(4, "little") + b"b\0"
    with pytest.raises(BadStructure):
        share.set(share.open("a"), info_class, data)


@pytest.mark.parametrize("info_class", sorted(set(FILE_SET) - {FileInfo.MODE, FileInfo.PIPE, FileInfo.POSITION}))
def test_a_share_that_is_read_only_is_not_changed(new_share: Any, refused: Refused, info_class: int) -> None:
    share = new_share(read_only=True)
    share.make("a")
    with refused(Status.MEDIA_WRITE_PROTECTED):
        share.set(share.open("a"), info_class, bytes(100))


@pytest.mark.parametrize(
    ("info_type", "info_class", "status"),
    [
        (InfoType.FILE, 0, Status.INVALID_INFO_CLASS),
        (InfoType.FILE, FileInfo.STANDARD, Status.NOT_SUPPORTED),
        (InfoType.FILESYSTEM, FsInfo.LABEL, Status.NOT_SUPPORTED),
        (InfoType.FILESYSTEM, 77, Status.INVALID_INFO_CLASS),
        (InfoType.QUOTA, 0, Status.NOT_SUPPORTED),
        (9, 0, Status.INVALID_PARAMETER),
    ],
)
def test_what_is_not_offered(share: Any, refused: Refused, info_type: int, info_class: int, status: int) -> None:
    with refused(status):
        share.set(share.open(""), info_class, bytes(100), info_type=info_type)


def test_buffer_beyond_what_was_negotiated(share: Any, refused: Refused) -> None:
    with refused(Status.INVALID_PARAMETER):
        share.set(share.open(""), FileInfo.BASIC, bytes(65537))


def test_a_pipe_keeps_its_mode(share: Any, refused: Refused) -> None:
    pipe = PipeOpen(share.tree, 1, 1, Access.FILE_ALL_ACCESS, "srvsvc", None)  # type: ignore[arg-type]
    share.set(pipe, FileInfo.PIPE, FilePipeInformation(read_mode=1, completion_mode=0).pack())
    for modes in ((0, 0), (1, 1), (2, 0)):
        with refused(Status.INVALID_PARAMETER):
            share.set(pipe, FileInfo.PIPE, FilePipeInformation(read_mode=modes[0], completion_mode=modes[1]).pack())
    with refused(Status.INFO_LENGTH_MISMATCH):
        share.set(pipe, FileInfo.PIPE, bytes(7))
    with refused(Status.NOT_SUPPORTED):
        share.set(pipe, FileInfo.POSITION, bytes(8))
    pipe.granted_access = Access.FILE_GENERIC_READ
    with refused(Status.ACCESS_DENIED):
        share.set(pipe, FileInfo.PIPE, FilePipeInformation(read_mode=1, completion_mode=0).pack())


def test_a_file_is_no_pipe(share: Any, refused: Refused) -> None:
    share.make("a")
    with refused(Status.INVALID_PARAMETER):
        share.set(share.open("a"), FileInfo.PIPE, FilePipeInformation(read_mode=1, completion_mode=0).pack())


def test_status_errors_are_what_the_fixture_says(refused: Refused) -> None:
    with pytest.raises(AssertionError), refused(Status.ACCESS_DENIED):
        raise StatusError(Status.NOT_SUPPORTED)


# What takes a privilege -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("info_class", "data", "status"),
    [
        (FileInfo.VALID_DATA_LENGTH, FileValidDataLengthInformation(valid_data_length=7).pack(), "STATUS_SUCCESS"),
        (FileInfo.VALID_DATA_LENGTH, FileValidDataLengthInformation(valid_data_length=6).pack(), "invalid"),
        (FileInfo.VALID_DATA_LENGTH, FileValidDataLengthInformation(valid_data_length=8).pack(), "invalid"),
        (FileInfo.VALID_DATA_LENGTH, FileValidDataLengthInformation(valid_data_length=-1).pack(), "invalid"),
        (FileInfo.SHORT_NAME, pack_name("SHORT"), "0xC000019F"),
    ],
)
def test_what_takes_a_privilege(new_wire: Any, info_class: int, data: bytes, status: str) -> None:
    wire = new_wire(share={"acl": "nt"}, administrators=("other",))
    wire.make("f", b"content")
    user, administrator = wire.connect(), wire.connect("other", "q")
    assert set_status(user, user.open("f"), info_class, data) == "STATUS_PRIVILEGE_NOT_HELD"
    found = set_status(administrator, administrator.open("f"), info_class, data)
    assert found == ("STATUS_INVALID_PARAMETER" if status == "invalid" else status)
    assert wire.content("f") == b"content"


def test_where_nobody_has_privileges(wire: Any) -> None:
    wire.make("f", b"content")
    peer = wire.connect()
    for info_class, data in ((FileInfo.VALID_DATA_LENGTH, bytes(8)), (FileInfo.SHORT_NAME, pack_name("SHORT"))):
        assert set_status(peer, peer.open("f"), info_class, data) == "STATUS_PRIVILEGE_NOT_HELD"


def set_status(peer: Any, file: Any, info_class: int, data: bytes) -> str:
    request = SetInfoRequest(
        info_type=InfoType.FILE, file_info_class=info_class,
        file_id_persistent=file.persistent, file_id_volatile=file.volatile,
    )  # fmt: skip
    header, _ = peer.ask(Command.SET_INFO, pack_set_info_request(request, data), tree_id=peer.tree)
    return status_name(header.status)
