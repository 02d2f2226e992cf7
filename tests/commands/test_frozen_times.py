"""Times that stand still for one open, as every handle and every listing sees them."""

import errno
from collections.abc import Callable
from typing import Any

import pytest

from smbport.commands.frozen_times import keeping_times
from smbport.commands.steps import waiting
from smbport.platform import ACCESS_WRITE
from smbport.wire.constants import Access, CloseFlag, Command, FileInfo, FsControl, InfoType
from smbport.wire.file import CloseRequest, CloseResponse
from smbport.wire.fscc import FileBasicInformation, FileEndOfFileInformation, SetTime
from smbport.wire.fscc_directory import parse_directory_entries
from smbport.wire.fsctl import FileZeroDataInformation
from smbport.wire.header import HEADER_SIZE
from smbport.wire.info import SetInfoRequest, pack_set_info_request
from smbport.wire.status import StatusError, status_name

EPOCH = 116444736000000000
A_TIME = EPOCH + 3600 * 10_000_000


@pytest.fixture
def writer(wire: Any) -> Any:
    """A client with the file f open for everything, as `writer.file`; f was written long ago."""
    wire.make("f", b"content")
    peer = wire.connect()
    peer.file = peer.open("f", Access.GENERIC_ALL)
    assert set_basic(peer, written=A_TIME, accessed=A_TIME) == "STATUS_SUCCESS"
    assert set_basic(peer, written=SetTime.THAW, accessed=SetTime.THAW) == "STATUS_SUCCESS"
    return peer


def set_file(peer: Any, info_class: int, data: bytes, file: Any = None) -> str:
    file = file or peer.file
    request = SetInfoRequest(
        info_type=InfoType.FILE, file_info_class=info_class,
        file_id_persistent=file.persistent, file_id_volatile=file.volatile,
    )  # fmt: skip
    header, _ = peer.ask(Command.SET_INFO, pack_set_info_request(request, data), tree_id=peer.tree)
    return status_name(header.status)


def set_basic(peer: Any, file: Any = None, *, written: int = 0, accessed: int = 0) -> str:
    record = FileBasicInformation(
        creation_time=0, last_access_time=accessed, last_write_time=written, change_time=0, file_attributes=0
    )
    return set_file(peer, FileInfo.BASIC, record.pack(), file)


def write_time(wire: Any) -> int:
    """As anybody else sees it."""
    return int(wire.volume.stat("f").write_ns // 100 + EPOCH)


def access_time(wire: Any) -> int:
    return int(wire.volume.stat("f").access_ns // 100 + EPOCH)


def resize(peer: Any) -> None:
    assert set_file(peer, FileInfo.END_OF_FILE, FileEndOfFileInformation(end_of_file=3).pack()) == "STATUS_SUCCESS"


def append(peer: Any) -> None:
    assert peer.write(peer.file, 7, b"more") == 4


def zero(peer: Any) -> None:
    ranges = FileZeroDataInformation(file_offset=0, beyond_final_zero=4).pack()
    assert peer.fsctl(FsControl.SET_ZERO_DATA, ranges, file=peer.file)[0] == "SUCCESS"


CHANGES = [append, resize, zero]


@pytest.mark.parametrize("change", CHANGES)
def test_without_a_word_a_change_moves_the_write_time(wire: Any, writer: Any, change: Callable[[Any], None]) -> None:
    change(writer)
    assert write_time(wire) != A_TIME


@pytest.mark.parametrize("change", CHANGES)
def test_a_frozen_time_stays(wire: Any, writer: Any, change: Callable[[Any], None]) -> None:
    assert set_basic(writer, written=SetTime.FREEZE) == "STATUS_SUCCESS"
    change(writer)
    assert write_time(wire) == A_TIME


@pytest.mark.parametrize("change", CHANGES)
def test_a_time_that_was_set_stays(wire: Any, writer: Any, change: Callable[[Any], None]) -> None:
    assert set_basic(writer, written=A_TIME + 5) == "STATUS_SUCCESS"
    change(writer)
    assert write_time(wire) == A_TIME + 5


def test_a_posix_client_sets_a_time_and_goes_on(wire: Any, writer: Any) -> None:
    (opened,) = (one for session in wire.server.sessions.values() for one in session.opens.values())
    opened.posix = True
    set_basic(writer, written=A_TIME + 5)
    append(writer)
    assert write_time(wire) > A_TIME + 5
    set_basic(writer, written=SetTime.FREEZE)
    before = write_time(wire)
    append(writer)
    assert write_time(wire) == before


def test_nothing_asked_leaves_it_frozen(wire: Any, writer: Any) -> None:
    set_basic(writer, written=SetTime.FREEZE)
    set_basic(writer, written=SetTime.UNCHANGED, accessed=A_TIME + 1)
    append(writer)
    assert (write_time(wire), access_time(wire)) == (A_TIME, A_TIME + 1)


def test_a_thawed_time_moves_again(wire: Any, writer: Any) -> None:
    set_basic(writer, written=SetTime.FREEZE, accessed=SetTime.FREEZE)
    set_basic(writer, written=SetTime.THAW)
    append(writer)
    assert write_time(wire) != A_TIME


def test_a_frozen_access_time_stays(wire: Any, writer: Any) -> None:
    set_basic(writer, accessed=SetTime.FREEZE)
    append(writer)
    assert access_time(wire) == A_TIME
    assert write_time(wire) != A_TIME


def test_what_others_write_moves_it_and_is_kept(wire: Any, writer: Any) -> None:
    set_basic(writer, written=SetTime.FREEZE)
    other = writer.open("f", Access.GENERIC_ALL)
    writer.write(other, 0, b"other")
    theirs = write_time(wire)
    assert theirs != A_TIME
    append(writer)
    assert write_time(wire) == theirs


def test_a_time_can_be_set_though_it_is_frozen(wire: Any, writer: Any) -> None:
    set_basic(writer, written=SetTime.FREEZE)
    set_basic(writer, written=A_TIME + 7)
    assert write_time(wire) == A_TIME + 7


def test_who_cannot_put_it_back_writes_nevertheless(wire: Any, writer: Any, caplog: pytest.LogCaptureFixture) -> None:
    set_basic(writer, written=SetTime.FREEZE)
    wire.faults.fail("File.set_times", errno.EPERM)
    append(writer)
    assert write_time(wire) != A_TIME
    assert "u cannot hold the times of f" in caplog.text
    append(writer)
    assert wire.faults.counts["File.set_times"] == 2  # by the fixture, and once in vain


def test_a_write_that_fails_puts_it_back_too(wire: Any, writer: Any) -> None:
    set_basic(writer, written=SetTime.FREEZE)
    file = wire.volume.open("f", ACCESS_WRITE)
    wire.faults.do_before("File.write_at", lambda: file.write_at(0, b"half"))
    wire.faults.fail("File.write_at", errno.EIO)
    with pytest.raises(StatusError):
        append(writer)
    file.close()
    assert write_time(wire) == A_TIME


def test_a_write_that_its_client_does_not_wait_for_puts_it_back_too(wire: Any, writer: Any) -> None:
    set_basic(writer, written=SetTime.FREEZE)
    [opened] = wire.server.files.find(wire.volume.stat("f").key).opens
    write = keeping_times(opened, lambda: waiting(wire.server.runtime.new_event()))
    write.send(None)
    opened.file.write_at(0, b"half")
    write.close()
    assert write_time(wire) == A_TIME


# ChangeTime -----------------------------------------------------------------------------------------------------


def change_times(peer: Any, name: str = "f") -> set[int]:
    """As everybody is told it: by this handle, by another one when it is opened and closed, and in a listing."""
    basic = FileBasicInformation.unpack_from(peer.query_info(peer.file, FileInfo.BASIC))
    status, created, _ = peer.try_create(name)
    assert status == "SUCCESS"
    body = CloseRequest(
        flags=CloseFlag.POSTQUERY_ATTRIB, file_id_persistent=created.file_id_persistent,
        file_id_volatile=created.file_id_volatile,
    ).pack()  # fmt: skip
    _, frame = peer.ask(Command.CLOSE, body, tree_id=peer.tree)
    closed = CloseResponse.unpack_from(frame, HEADER_SIZE)
    root = peer.open("")
    (entry,) = parse_directory_entries(FileInfo.ID_BOTH_DIRECTORY, peer.query_directory(root, name))
    peer.close(root)
    return {basic.change_time, created.change_time, closed.change_time, entry.change_time}


def choose(peer: Any, changed: int, written: int = 0) -> None:
    record = FileBasicInformation(
        creation_time=0, last_access_time=0, last_write_time=written, change_time=changed, file_attributes=0
    )
    assert set_file(peer, FileInfo.BASIC, record.pack()) == "STATUS_SUCCESS"


def test_a_change_time_is_told_to_everybody(writer: Any) -> None:
    choose(writer, A_TIME, written=A_TIME + 1)
    assert change_times(writer) == {A_TIME}


def test_it_is_told_when_nobody_has_the_file_open_any_more(writer: Any) -> None:
    choose(writer, A_TIME)
    writer.close(writer.file)
    writer.file = writer.open("f", Access.GENERIC_ALL)
    assert change_times(writer) == {A_TIME}


@pytest.mark.parametrize("change", CHANGES)
def test_it_stands_still_for_who_set_it(writer: Any, change: Callable[[Any], None]) -> None:
    choose(writer, A_TIME)
    change(writer)
    assert change_times(writer) == {A_TIME}


def test_others_move_it(wire: Any, writer: Any) -> None:
    choose(writer, A_TIME)
    writer.write(writer.open("f", Access.GENERIC_ALL), 0, b"other")
    (moved,) = change_times(writer)
    assert moved == wire.volume.stat("f").change_ns // 100 + EPOCH
    append(writer)
    assert change_times(writer) == {moved}


def test_it_can_be_held_and_let_go(writer: Any) -> None:
    (before,) = change_times(writer)
    choose(writer, SetTime.FREEZE)
    append(writer)
    set_basic(writer, written=A_TIME)
    assert change_times(writer) == {before}
    choose(writer, SetTime.THAW)
    append(writer)
    assert change_times(writer) != {before}


def test_posix_clients_see_that_of_the_file_system(wire: Any, writer: Any) -> None:
    choose(writer, A_TIME)
    for session in wire.server.sessions.values():
        for opened in session.opens.values():
            opened.posix = True
    basic = FileBasicInformation.unpack_from(writer.query_info(writer.file, FileInfo.BASIC))
    assert basic.change_time == wire.volume.stat("f").change_ns // 100 + EPOCH


def test_a_file_whose_times_cannot_be_known_is_not_changed(wire: Any, writer: Any) -> None:
    choose(writer, A_TIME)
    wire.faults.fail("File.stat", errno.EIO)
    assert set_file(writer, FileInfo.END_OF_FILE, FileEndOfFileInformation(end_of_file=3).pack()) != "STATUS_SUCCESS"
    assert wire.content("f") == b"content"
