"""Requests that do not hold what they say, for every command that has one; nothing is changed by any of them.

The files of the single commands try the same; here no command can be forgotten, and connection and session survive
them all.  What must end the connection is in test_dispatch.py, test_negotiate.py and test_ioctl.py.
"""

from collections.abc import Callable
from typing import Any

import pytest

from smbport.commands.table import RULES
from smbport.wire.break_ import OplockBreakAcknowledgment
from smbport.wire.change import ChangeNotifyRequest
from smbport.wire.constants import Command, FileInfo, FsControl, InfoType
from smbport.wire.create import CreateRequest, pack_create_request
from smbport.wire.directory import QueryDirectoryRequest, pack_query_directory_request
from smbport.wire.echo import EchoRequest
from smbport.wire.file import (
    CloseRequest,
    FlushRequest,
    ReadRequest,
    WriteRequest,
    pack_read_request,
    pack_write_request,
)
from smbport.wire.fscc import FileRenameInformation, pack_with_name
from smbport.wire.info import QueryInfoRequest, SetInfoRequest, pack_query_info_request, pack_set_info_request
from smbport.wire.ioctl import IoctlRequest, pack_ioctl_request
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request
from smbport.wire.session import LogoffRequest, SessionSetupRequest, pack_session_setup_request
from smbport.wire.status import Disconnect, Status, status_name
from smbport.wire.tree import TreeDisconnectRequest, pack_tree_connect_request

Ids = dict[str, int]
RENAME = pack_with_name(FileRenameInformation(replace_if_exists=0, root_directory=0), "stolen")
CREATE = CreateRequest(
    requested_oplock_level=0, impersonation_level=2, desired_access=1 << 28, file_attributes=0, share_access=7,
    create_disposition=2, create_options=0,
)  # fmt: skip


def session_setup(ids: Ids) -> bytes:
    return pack_session_setup_request(SessionSetupRequest(security_mode=1), b"token...")


def query_directory(ids: Ids) -> bytes:
    request = QueryDirectoryRequest(file_information_class=FileInfo.ID_BOTH_DIRECTORY, output_buffer_length=4096, **ids)
    return pack_query_directory_request(request, "*.txt")


def query_info(ids: Ids) -> bytes:
    request = QueryInfoRequest(
        info_type=InfoType.FILE, file_info_class=FileInfo.FULL_EA, output_buffer_length=4096, **ids
    )
    return pack_query_info_request(request, b"\0\0\0\0\x03abc\0\0\0\0")


def set_info(ids: Ids) -> bytes:
    return pack_set_info_request(
        SetInfoRequest(info_type=InfoType.FILE, file_info_class=FileInfo.RENAME, **ids), RENAME
    )


def lock(ids: Ids) -> bytes:
    return pack_lock_request(LockRequest(**ids), [LockElement(offset=0, length=1, flags=0x12)])


def ioctl(ids: Ids) -> bytes:
    code = FsControl.CREATE_OR_GET_OBJECT_ID
    return pack_ioctl_request(IoctlRequest(ctl_code=code, max_output_response=64, **ids), bytes(8))


# Command -> a good request on something open; where in it offsets and lengths stand; how many bytes it needs.
LIARS: dict[int, tuple[Callable[[Ids], bytes], list[tuple[int, int, int, int]], int | None]] = {
    Command.SESSION_SETUP: (session_setup, [(12, 2, 14, 2)], None),
    Command.LOGOFF: (lambda ids: LogoffRequest().pack(), [], None),
    Command.TREE_CONNECT: (lambda ids: pack_tree_connect_request("\\\\server\\s"), [(4, 2, 6, 2)], None),
    Command.TREE_DISCONNECT: (lambda ids: TreeDisconnectRequest().pack(), [], None),
    Command.ECHO: (lambda ids: EchoRequest().pack(), [], None),
    Command.CREATE: (
        lambda ids: pack_create_request(CREATE, "stolen", [(b"MxAc", b"")]), [(44, 2, 46, 2), (48, 4, 52, 4)], None,
    ),
    Command.CLOSE: (lambda ids: CloseRequest(**ids).pack(), [], None),
    Command.FLUSH: (lambda ids: FlushRequest(**ids).pack(), [], None),
    Command.READ: (lambda ids: pack_read_request(ReadRequest(length=1, offset=0, **ids)), [], ReadRequest.SIZE),
    Command.WRITE: (lambda ids: pack_write_request(WriteRequest(offset=0, **ids), b"stolen"), [(2, 2, 4, 4)], None),
    Command.LOCK: (lock, [], None),
    Command.IOCTL: (ioctl, [(24, 4, 28, 4)], None),
    Command.QUERY_DIRECTORY: (query_directory, [(24, 2, 26, 2)], None),
    Command.CHANGE_NOTIFY: (
        lambda ids: ChangeNotifyRequest(output_buffer_length=10, completion_filter=1, **ids).pack(), [], None,
    ),
    # Its input is not looked at: no class that is answered has one.
    Command.QUERY_INFO: (query_info, [], QueryInfoRequest.SIZE),
    Command.SET_INFO: (set_info, [(8, 2, 4, 4)], None),
    Command.OPLOCK_BREAK: (lambda ids: OplockBreakAcknowledgment(oplock_level=0, **ids).pack(), [], None),
}  # fmt: skip
ON_A_DIRECTORY = (Command.QUERY_DIRECTORY, Command.CHANGE_NOTIFY)


def test_no_command_is_forgotten() -> None:
    """NEGOTIATE needs a connection of its own for each lie: test_negotiate.py."""
    assert set(LIARS) == set(RULES) - {Command.NEGOTIATE}


@pytest.mark.parametrize("command", LIARS)
@pytest.mark.parametrize("sealed", [False, True])
def test_lies(stocked: Any, command: int, sealed: bool) -> None:
    peer = stocked.connect()
    peer.seal = sealed
    file = peer.open("d" if command in ON_A_DIRECTORY else "f")
    make, fields, least = LIARS[command]
    whole = make({"file_id_persistent": file.persistent, "file_id_volatile": file.volatile})
    statuses = peer.lie(command, whole, least=len(whole) if least is None else least, fields=fields)
    assert {status_name(status) for status in statuses} == {"STATUS_INVALID_PARAMETER"}
    assert stocked.names() == ["d", "f"]
    assert stocked.content("f") == b"content"
    assert (stocked.server.open_count, len(stocked.server.sessions)) == (1, 1)
    peer.close(file)
    assert peer.status(Command.ECHO, EchoRequest().pack()) == Status.SUCCESS
    stocked.check_nothing_is_open()


@pytest.mark.parametrize("command", LIARS)
def test_nothing_but_a_header(stocked: Any, command: int) -> None:
    """The last element of a compound may be cut to that."""
    peer = stocked.connect()
    assert peer.status(command, b"") in (Status.INVALID_PARAMETER, Status.FILE_CLOSED)
    assert stocked.server.open_count == 0


@pytest.mark.parametrize("command", [19, 0x7F, 0x100, 0xFFFF])
@pytest.mark.parametrize("sealed", [False, True])
def test_commands_that_are_none(wire: Any, command: int, sealed: bool) -> None:
    """They too are verified, and answered by the keys of the session."""
    peer = wire.connect()
    peer.seal = sealed
    assert peer.status(command, bytes(64)) == Status.INVALID_PARAMETER
    [(header, _)] = peer.frames(peer.message(command, bytes(64)), plain=True)
    assert header.status == Status.ACCESS_DENIED
    with pytest.raises(Disconnect, match="before NEGOTIATE"):
        wire.client().send(command, bytes(64))
