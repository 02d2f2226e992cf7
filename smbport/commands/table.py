"""Command → rule: which record it is, who handles it, and what must hold before the handler runs.  [MS-SMB2] 3.3.5"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from smbport.commands.call import Call, Reply
from smbport.commands.change_notify import change_notify
from smbport.commands.close import close
from smbport.commands.create import create
from smbport.commands.echo import echo
from smbport.commands.flush import flush
from smbport.commands.ioctl import ioctl
from smbport.commands.lock import lock
from smbport.commands.logoff import logoff
from smbport.commands.negotiate import negotiate
from smbport.commands.oplock_break import BreakAcknowledgment, oplock_break
from smbport.commands.query_directory import query_directory
from smbport.commands.query_info import query_info
from smbport.commands.read import read
from smbport.commands.rights import NOTHING, Right
from smbport.commands.session_setup import session_setup
from smbport.commands.set_info import set_info
from smbport.commands.tree_connect import tree_connect, tree_disconnect
from smbport.commands.write import write
from smbport.wire.change import ChangeNotifyRequest
from smbport.wire.constants import Access, Command
from smbport.wire.create import CreateRequest
from smbport.wire.directory import QueryDirectoryRequest
from smbport.wire.echo import EchoRequest
from smbport.wire.file import CloseRequest, FlushRequest, ReadRequest, WriteRequest
from smbport.wire.info import QueryInfoRequest, SetInfoRequest
from smbport.wire.ioctl import IoctlRequest
from smbport.wire.lock import LockRequest
from smbport.wire.negotiate import NegotiateRequest
from smbport.wire.record import Record
from smbport.wire.session import LogoffRequest, SessionSetupRequest
from smbport.wire.tree import TreeConnectRequest, TreeDisconnectRequest

__all__ = ["RULES", "Rule"]

# A handler takes the record that its own rule names; the table pairs them, a type cannot.
Handler = Callable[[Call, Any], Awaitable[Reply]]
Payload = Callable[[Any], int]


@dataclass(slots=True)
class Rule:
    """What the dispatcher must know of one command.  Not frozen, so that its fields are read fast; never changed."""

    record: type[Record]
    handler: Handler
    session: bool = True
    after_expiry: bool = False  # what gives back is done even if the user has to authenticate again
    tree: bool = True
    opened: bool = False  # the record has a FileId, whose open is looked up, checked for `right` and pinned
    right: Right = NOTHING
    changes: bool = False  # must not be done late, after the client has lost a channel and gone on
    payload: Payload | None = None  # bytes that the credit charge must pay for


_WRITERS: Final = Access.WRITE_DATA | Access.APPEND_DATA

# CANCEL has no rule: it has no answer, and dispatch does it on arrival.
RULES: Final[dict[int, Rule]] = {
    Command.NEGOTIATE: Rule(NegotiateRequest, negotiate, session=False, tree=False),
    Command.SESSION_SETUP: Rule(SessionSetupRequest, session_setup, session=False, tree=False),
    Command.LOGOFF: Rule(LogoffRequest, logoff, tree=False, after_expiry=True),
    Command.TREE_CONNECT: Rule(TreeConnectRequest, tree_connect, tree=False),
    Command.TREE_DISCONNECT: Rule(TreeDisconnectRequest, tree_disconnect),
    Command.ECHO: Rule(EchoRequest, echo, session=False, tree=False),
    Command.CREATE: Rule(CreateRequest, create),
    Command.CLOSE: Rule(CloseRequest, close, opened=True, after_expiry=True),
    Command.FLUSH: Rule(FlushRequest, flush, opened=True, right=Right(_WRITERS)),
    Command.READ: Rule(
        ReadRequest, read, opened=True, right=Right(Access.READ_DATA | Access.EXECUTE), payload=lambda r: r.length
    ),
    Command.WRITE: Rule(
        WriteRequest,
        write,
        opened=True,
        right=Right(_WRITERS, changes=True),
        changes=True,
        payload=lambda r: r.length,
    ),
    Command.LOCK: Rule(
        LockRequest, lock, opened=True, right=Right(Access.READ_DATA | Access.WRITE_DATA), after_expiry=True
    ),  # but only to unlock, which its handler knows
    # Some FSCTLs are asked of no open: the handler consults rights.FSCTLS.
    Command.IOCTL: Rule(
        IoctlRequest,
        ioctl,
        tree=False,
        payload=lambda r: max(r.input_count + r.output_count, r.max_input_response + r.max_output_response),
    ),
    Command.QUERY_DIRECTORY: Rule(
        QueryDirectoryRequest,
        query_directory,
        opened=True,
        right=Right(Access.LIST_DIRECTORY),
        payload=lambda r: r.output_buffer_length,
    ),
    Command.CHANGE_NOTIFY: Rule(
        ChangeNotifyRequest,
        change_notify,
        opened=True,
        right=Right(Access.LIST_DIRECTORY),
        payload=lambda r: r.output_buffer_length,
    ),
    # These two check by information class: rights.FILE_QUERY and its siblings.
    Command.QUERY_INFO: Rule(
        QueryInfoRequest,
        query_info,
        opened=True,
        payload=lambda r: max(r.input_buffer_length, r.output_buffer_length),
    ),
    Command.SET_INFO: Rule(SetInfoRequest, set_info, opened=True, changes=True, payload=lambda r: r.buffer_length),
    Command.OPLOCK_BREAK: Rule(BreakAcknowledgment, oplock_break),
}
