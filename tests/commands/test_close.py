"""CLOSE, and the names that go with the last one."""

import errno
import logging
from typing import Any

import pytest

from smbport.wire.constants import Access, CloseFlag, Command, CreateDisposition, CreateOption, FileAttribute, FileInfo
from smbport.wire.file import CloseRequest, CloseResponse
from smbport.wire.fscc import FileRenameInformation, pack_with_name
from smbport.wire.header import HEADER_SIZE
from smbport.wire.session import LogoffRequest
from smbport.wire.status import Status, StatusError, status_name
from smbport.wire.text import filetime_from_ns

DOOM = CreateOption.DELETE_ON_CLOSE


def body(file: Any, flags: int = 0) -> bytes:
    return CloseRequest(flags=flags, file_id_persistent=file.persistent, file_id_volatile=file.volatile).pack()


def close(peer: Any, file: Any, flags: int = 0) -> CloseResponse:
    _, frame = peer.call(Command.CLOSE, body(file, flags), tree_id=peer.tree)
    return CloseResponse.unpack_from(frame, HEADER_SIZE)


def refused(peer: Any, name: str, access: int = Access.GENERIC_READ, **keywords: Any) -> str:
    with pytest.raises(StatusError) as refusal:
        peer.open(name, access, **keywords)
    return status_name(refusal.value.status)


# The end of an open -----------------------------------------------------------------------------------------------


def test_an_open_ends_once(wire: Any, peer: Any) -> None:
    file = peer.make("f")
    assert close(peer, file) == CloseResponse()
    wire.check_nothing_is_open()
    assert peer.status(Command.CLOSE, body(file)) == Status.FILE_CLOSED


def test_the_plain_answer_is_the_same_every_time(peer: Any) -> None:
    for _ in range(3):
        assert close(peer, peer.create(peer.tree, "f", disposition=CreateDisposition.OPEN_IF)) == CloseResponse()


def test_attributes_at_the_end(wire: Any, peer: Any) -> None:
    file = peer.make("f", attributes=FileAttribute.HIDDEN)
    peer.write(file, 0, b"12345")
    response = close(peer, file, CloseFlag.POSTQUERY_ATTRIB)
    stat = wire.stat("f")
    assert response == CloseResponse(
        flags=CloseFlag.POSTQUERY_ATTRIB,
        creation_time=filetime_from_ns(stat.birth_ns),
        last_access_time=filetime_from_ns(stat.access_ns),
        last_write_time=filetime_from_ns(stat.write_ns),
        change_time=filetime_from_ns(stat.change_ns),
        allocation_size=stat.allocated,
        end_of_file=5,
        file_attributes=FileAttribute.HIDDEN | FileAttribute.ARCHIVE,
    )


def test_attributes_of_a_directory(peer: Any) -> None:
    made = peer.make("d", options=CreateOption.DIRECTORY_FILE)
    response = close(peer, made, CloseFlag.POSTQUERY_ATTRIB)
    assert (response.end_of_file, response.allocation_size) == (0, 0)
    assert response.file_attributes == FileAttribute.DIRECTORY


def test_attributes_that_cannot_be_had_do_not_keep_it_open(wire: Any, peer: Any) -> None:
    file = peer.make("f")
    wire.faults.fail("File.stat", errno.EIO)
    assert close(peer, file, CloseFlag.POSTQUERY_ATTRIB) == CloseResponse()
    wire.check_nothing_is_open()


def test_a_pipe(wire: Any) -> None:
    peer = wire.connect(share="IPC$")
    pipe = peer.create(peer.tree, "srvsvc", access=Access.GENERIC_ALL)
    assert close(peer, pipe, CloseFlag.POSTQUERY_ATTRIB) == CloseResponse()
    assert wire.server.open_count == 0


def test_a_request_that_lies(wire: Any, peer: Any) -> None:
    whole = body(peer.make("f"))
    assert peer.lie(Command.CLOSE, whole, least=len(whole)) == {Status.INVALID_PARAMETER}
    assert wire.server.open_count == 1


# Names that go ----------------------------------------------------------------------------------------------------


def test_delete_on_close(wire: Any, peer: Any) -> None:
    for options in (DOOM, DOOM | CreateOption.DIRECTORY_FILE):
        made = peer.make("doomed", options=options)
        assert wire.names() == ["doomed"]
        peer.close(made)
        assert wire.names() == []
    wire.check_nothing_is_open()


def test_delete_on_close_of_what_was_there(wire: Any, peer: Any) -> None:
    wire.make("f")
    peer.close(peer.open("f", Access.DELETE, options=DOOM))
    assert wire.names() == []


def test_where_case_matters(new_wire: Any) -> None:
    wire = new_wire(share={"case_sensitive": True})
    peer = wire.connect()
    peer.close(peer.make("f", options=DOOM))
    peer.close(peer.make("F"))
    assert wire.names() == ["F"]


def test_the_name_goes_with_the_last_open(wire: Any, peer: Any) -> None:
    """From the close that dooms it on, nobody may open it any more."""
    wire.make("f", b"content")
    doomer = peer.open("f", Access.DELETE, options=DOOM)
    other = wire.connect()
    reader = other.open("f", Access.GENERIC_READ)
    other.close(other.open("f", Access.GENERIC_READ))
    peer.close(doomer)
    assert other.read(reader, 0, 7) == b"content"
    for access in (Access.GENERIC_READ, Access.READ_ATTRIBUTES, Access.MAXIMUM_ALLOWED):
        assert refused(other, "f", access) == "STATUS_DELETE_PENDING"
    assert refused(other, "f", disposition=CreateDisposition.OPEN_IF) == "STATUS_DELETE_PENDING"
    other.close(reader)
    assert wire.names() == []
    wire.check_nothing_is_open()
    other.close(other.make("f"))
    assert wire.names() == ["f"]


def test_a_hard_link_stays(wire: Any, peer: Any) -> None:
    wire.make("f", b"content")
    wire.volume.link("f", "g")
    peer.close(peer.open("f", Access.DELETE, options=DOOM))
    assert wire.names() == ["g"]
    assert wire.content("g") == b"content"


def test_a_link_goes_and_not_what_it_leads_to(wire: Any, peer: Any) -> None:
    wire.make("f", b"content")
    wire.volume.plant_link("link", "f")
    peer.close(peer.open("link", Access.DELETE, options=DOOM))
    assert wire.names() == ["f"]


def test_the_name_that_it_has_then(wire: Any, peer: Any) -> None:
    file = peer.make("old", options=DOOM)
    wish = FileRenameInformation(replace_if_exists=0, root_directory=0)
    peer.set_info(file, FileInfo.RENAME, pack_with_name(wish, "new"))
    peer.close(file)
    assert wire.names() == []


def test_another_file_of_that_name_is_spared(wire: Any, peer: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A local program moved ours away and put its own there."""
    file = peer.make("f", options=DOOM)
    wire.volume.rename("f", "moved", replace=False)
    wire.make("f", b"theirs")
    with caplog.at_level(logging.WARNING):
        peer.close(file)
    assert wire.content("f") == b"theirs"
    assert "f could not be deleted at close by u" in caplog.text
    wire.check_nothing_is_open()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ENOTEMPTY, errno.EROFS])
def test_what_cannot_be_deleted_is_closed_all_the_same(
    wire: Any, peer: Any, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    """The client can do nothing about it; the administrator is told, and the file can be opened again."""
    file = peer.make("f", options=DOOM)
    wire.faults.fail("Volume.remove", number)
    with caplog.at_level(logging.WARNING):
        peer.close(file)
    assert "could not be deleted" in caplog.text
    wire.check_nothing_is_open()
    peer.close(peer.open("f"))
    assert wire.names() == ["f"]


def test_a_directory_that_was_filled_meanwhile(wire: Any, peer: Any) -> None:
    made = peer.make("d", options=DOOM | CreateOption.DIRECTORY_FILE)
    wire.make("d/theirs")
    peer.close(made)
    assert wire.names("d") == ["theirs"]
    wire.check_nothing_is_open()


def test_a_new_name_in_place_of_a_deleted_one_needs_no_listing(wire: Any, peer: Any) -> None:
    """Deleting through us keeps what is known of the directory."""
    peer.close(peer.make("one"))
    listed = wire.faults.counts["Directory.entries"]
    peer.close(peer.open("one", Access.DELETE, options=DOOM))
    peer.close(peer.make("two"))
    assert wire.faults.counts["Directory.entries"] == listed


# Threads ----------------------------------------------------------------------------------------------------------


def test_deleting_may_take_a_thread(wire: Any, peer: Any) -> None:
    wire.faults.force_threads()
    peer.close(peer.make("f", options=DOOM))
    assert wire.names() == []
    wire.check_nothing_is_open()


def test_nobody_opens_what_is_being_deleted(wire: Any, peer: Any) -> None:
    file = peer.make("f", options=DOOM)
    other = wire.connect()
    wire.faults.force_threads("Volume.remove")
    seen: list[str] = []
    wire.faults.do_before("Volume.remove", lambda: seen.append(refused(other, "f")))
    wire.faults.do_before(
        "Volume.remove", lambda: seen.append(refused(other, "f", disposition=CreateDisposition.CREATE))
    )
    peer.close(file)
    assert seen == ["STATUS_DELETE_PENDING", "STATUS_OBJECT_NAME_COLLISION"]
    assert wire.names() == []
    wire.check_nothing_is_open()


def test_a_rename_while_it_is_being_deleted(wire: Any, peer: Any) -> None:
    """Of the directory that it is in: what goes is still the file that was meant, or nothing."""
    wire.make_directory("d")
    file = peer.make("d\\f", options=DOOM)
    wire.make("d/other")
    wire.faults.force_threads("Volume.remove")
    wire.faults.do_before("Volume.remove", lambda: wire.volume.rename("d", "e", replace=False))
    peer.close(file)
    assert wire.names("e") == ["f", "other"]
    wire.check_nothing_is_open()


def test_a_logoff_while_it_is_being_deleted(wire: Any, peer: Any) -> None:
    file, kept = peer.make("f", options=DOOM), peer.make("kept")
    wire.faults.force_threads("Volume.remove")
    gone: list[int] = []
    wire.faults.do_before("Volume.remove", lambda: gone.append(peer.status(Command.LOGOFF, LogoffRequest().pack())))
    assert peer.status(Command.CLOSE, body(file)) == Status.SUCCESS
    assert gone == [Status.SUCCESS]
    assert kept
    assert wire.names() == ["kept"]
    wire.check_nothing_is_open()
