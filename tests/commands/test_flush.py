"""FLUSH: nothing is promised that is not kept."""

import errno
from collections.abc import Callable
from typing import Any

import pytest

from smbport.testing.calls import wrap
from smbport.wire.constants import Access, Command, CreateOption, FileInfo
from smbport.wire.file import FlushRequest, FlushResponse
from smbport.wire.fscc import FileRenameInformation, pack_with_name
from smbport.wire.header import HEADER_SIZE
from smbport.wire.session import LogoffRequest
from smbport.wire.status import Status, status_name


def body(file: Any) -> bytes:
    return FlushRequest(file_id_persistent=file.persistent, file_id_volatile=file.volatile).pack()


def status(peer: Any, file: Any) -> str:
    return status_name(peer.status(Command.FLUSH, body(file)))


def syncs(wire: Any) -> list[int]:
    """How often files, directories, and names were synced so far."""
    counts = wire.faults.counts
    return [counts[call] for call in ("File.sync", "Directory.sync", "Volume.sync_directory_of")]


# What is synced ---------------------------------------------------------------------------------------------------


def test_a_file_that_was_there(wire: Any) -> None:
    wire.make("f")
    peer = wire.connect()
    file = peer.open("f")
    _, frame = peer.ask(Command.FLUSH, body(file), tree_id=peer.tree)
    assert frame[HEADER_SIZE:] == FlushResponse().pack()
    assert syncs(wire) == [1, 0, 0]


def test_a_name_that_this_open_made_once(wire: Any, peer: Any) -> None:
    file = peer.make("new")
    peer.flush(file)
    assert syncs(wire) == [1, 0, 1]
    peer.flush(file)
    assert syncs(wire) == [2, 0, 1]


def test_the_data_comes_before_the_name(new_wire: Callable[..., Any]) -> None:
    """A name that is safe must not be that of a file whose data is not."""
    order: list[str] = []

    def watch(call: Any) -> object:
        if "sync" in call.name:
            order.append(call.path)
        return call.proceed()

    wire = new_wire()
    wire.server.shares["S"].volume = wrap(wire.server.shares["S"].volume, watch)
    peer = wire.connect()
    peer.flush(peer.make("new"))
    assert order == ["File.sync", "Volume.sync_directory_of"]


def rename(peer: Any, file: Any, name: str) -> None:
    wish = FileRenameInformation(replace_if_exists=0, root_directory=0)
    peer.set_info(file, FileInfo.RENAME, pack_with_name(wish, name))


def test_a_name_that_this_open_changed(wire: Any) -> None:
    wire.make("old")
    peer = wire.connect()
    file = peer.open("old")
    rename(peer, file, "new")
    peer.flush(file)
    assert syncs(wire) == [1, 0, 1]


def test_a_name_that_changed_while_the_old_one_was_flushed(wire: Any, peer: Any) -> None:
    file = peer.make("old")
    wire.faults.force_threads("File.sync")
    wire.faults.do_before("File.sync", lambda: rename(peer, file, "new"))
    assert status(peer, file) == "STATUS_SUCCESS"
    before = syncs(wire)[2]
    assert status(peer, file) == "STATUS_SUCCESS"
    assert syncs(wire)[2] == before + 1
    assert status(peer, file) == "STATUS_SUCCESS"
    assert syncs(wire)[2] == before + 1


def test_a_directory(wire: Any, peer: Any) -> None:
    made = peer.make("d", options=CreateOption.DIRECTORY_FILE)
    peer.flush(made)
    assert syncs(wire) == [0, 1, 1]


def test_a_pipe_has_nothing_to_lose(wire: Any) -> None:
    peer = wire.connect(share="IPC$")
    pipe = peer.create(peer.tree, "srvsvc", access=Access.GENERIC_ALL)
    assert status(peer, pipe) == "STATUS_SUCCESS"
    assert syncs(wire) == [0, 0, 0]


def test_a_directory_that_others_took_away(wire: Any) -> None:
    """The data is safe, and there is no name left to keep."""
    wire.make_directory("d")
    peer = wire.connect()
    file = peer.make("d\\new")
    wire.faults.fail("Volume.sync_directory_of", errno.ENOENT)
    assert status(peer, file) == "STATUS_SUCCESS"
    assert status(peer, file) == "STATUS_SUCCESS"


# Who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("access", [Access.WRITE_DATA, Access.APPEND_DATA, Access.GENERIC_WRITE])
def test_who_may_write_may_flush(wire: Any, access: int) -> None:
    wire.make("f")
    peer = wire.connect()
    assert status(peer, peer.open("f", access)) == "STATUS_SUCCESS"


@pytest.mark.parametrize("access", [Access.GENERIC_READ, Access.DELETE, Access.WRITE_ATTRIBUTES])
def test_who_may_not_write_may_not_flush(wire: Any, access: int) -> None:
    wire.make("f")
    peer = wire.connect()
    assert status(peer, peer.open("f", access)) == "STATUS_ACCESS_DENIED"
    assert syncs(wire) == [0, 0, 0]


def test_an_open_that_is_none(peer: Any) -> None:
    file = peer.make("f")
    peer.close(file)
    assert status(peer, file) == "STATUS_FILE_CLOSED"


def test_a_request_that_lies(peer: Any) -> None:
    whole = body(peer.make("f"))
    assert peer.lie(Command.FLUSH, whole, least=len(whole)) == {Status.INVALID_PARAMETER}


# A flush that failed may have lost pages for good -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "number", "first"),
    [
        ("File.sync", errno.EIO, "STATUS_DISK_OPERATION_FAILED"),
        ("File.sync", errno.ENOSPC, "STATUS_DISK_FULL"),
        ("File.sync", errno.EROFS, "STATUS_MEDIA_WRITE_PROTECTED"),
        ("Volume.sync_directory_of", errno.EIO, "STATUS_DISK_OPERATION_FAILED"),
    ],
)
def test_a_failure_is_remembered(wire: Any, peer: Any, call: str, number: int, first: str) -> None:
    """By the file, not by the open; and no later flush says that all is well, though the system forgot the error."""
    file = peer.make("f")
    other = wire.connect()
    same = other.open("f")
    wire.faults.fail(call, number)
    assert status(peer, file) == first
    done = syncs(wire)
    assert status(peer, file) == "STATUS_DISK_OPERATION_FAILED"
    assert status(other, same) == "STATUS_DISK_OPERATION_FAILED"
    assert status(other, other.open("f")) == "STATUS_DISK_OPERATION_FAILED"
    assert syncs(wire) == done, "the system was not even asked again"


def test_it_is_forgotten_when_nobody_has_the_file_open(wire: Any, peer: Any) -> None:
    file = peer.make("f")
    wire.faults.fail("File.sync", errno.EIO)
    assert status(peer, file) == "STATUS_DISK_OPERATION_FAILED"
    peer.close(file)
    assert status(peer, peer.open("f")) == "STATUS_SUCCESS"


def test_other_files_are_not_concerned(wire: Any, peer: Any) -> None:
    bad, good = peer.make("bad"), peer.make("good")
    wire.faults.fail("File.sync", errno.EIO)
    assert status(peer, bad) == "STATUS_DISK_OPERATION_FAILED"
    assert status(peer, good) == "STATUS_SUCCESS"


# Threads ------------------------------------------------------------------------------------------------------------


def test_a_flush_that_takes_a_thread(wire: Any, peer: Any) -> None:
    file = peer.make("f")
    wire.faults.force_threads("File.sync")
    wire.faults.force_threads("Volume.sync_directory_of")
    assert [status(peer, file) for _ in range(2)] == ["STATUS_SUCCESS"] * 2
    assert syncs(wire)[2] == 1


def test_a_failure_in_a_thread_is_remembered_too(wire: Any, peer: Any) -> None:
    file = peer.make("f")
    wire.faults.force_threads("File.sync")
    wire.faults.fail("File.sync", errno.EIO)
    assert [status(peer, file) for _ in range(2)] == ["STATUS_DISK_OPERATION_FAILED"] * 2


def test_a_close_and_a_logoff_while_a_flush_is_in_a_thread(wire: Any, peer: Any) -> None:
    file = peer.make("f")
    handles: list[int] = []
    wire.faults.force_threads("File.sync")
    wire.faults.do_before("File.sync", lambda: peer.close(file))
    wire.faults.do_before("File.sync", lambda: handles.append(wire.memory.open_handles))
    assert status(peer, file) == "STATUS_SUCCESS"
    assert handles == [1]
    file = peer.open("f")
    wire.faults.do_before("File.sync", lambda: handles.append(peer.status(Command.LOGOFF, LogoffRequest().pack())))
    assert status(peer, file) == "STATUS_SUCCESS"
    assert handles == [1, Status.SUCCESS]
    wire.check_nothing_is_open()


def test_a_flush_that_finds_a_failure_made_meanwhile(wire: Any, peer: Any) -> None:
    """Two flushes in threads at once: the one that fails spoils every later one."""
    file = peer.make("f")
    wire.faults.force_threads("File.sync")
    inner: list[str] = []

    def fail_inside() -> None:
        wire.faults.fail("File.sync", errno.EIO)
        inner.append(status(peer, file))

    wire.faults.do_before("File.sync", fail_inside)
    assert status(peer, file) == "STATUS_DISK_OPERATION_FAILED"
    assert inner == ["STATUS_DISK_OPERATION_FAILED"]
