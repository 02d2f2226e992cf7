"""One request as a handler sees it, and what a handler returns."""

import logging
from typing import Final

from smbport.platform import File
from smbport.state.connection import Connection
from smbport.state.open import FileOpen, Open
from smbport.state.server import Server
from smbport.state.session import Channel, Session
from smbport.state.tree import TreeConnect
from smbport.wire.header import Header
from smbport.wire.record import Buffer, Record
from smbport.wire.status import Status, StatusError

__all__ = ["NO_FILE_ID", "Call", "Chain", "FileRange", "Reply", "log"]

log = logging.getLogger("smbport")

NO_FILE_ID: Final = 0xFFFFFFFFFFFFFFFF  # "the file of the request before", in both halves of a FileId


class FileRange:
    """READ data that the transport sends straight from the file, which stays pinned until then."""

    __slots__ = ("file", "length", "offset", "opened")

    def __init__(self, opened: FileOpen, file: File, offset: int, length: int) -> None:
        self.opened = opened
        self.file = file
        self.offset = offset
        self.length = length

    def __len__(self) -> int:
        return self.length


class Reply:
    """A handler's answer: the body behind the header, then the payload as it is."""

    __slots__ = ("body", "payload", "status")

    def __init__(
        self, body: bytes | Record, payload: Buffer | FileRange | None = None, status: int = Status.SUCCESS
    ) -> None:
        self.body = body.pack() if isinstance(body, Record) else body
        self.payload = payload
        self.status = status


class Chain:
    """The requests of one frame, and what the related ones among them hand on.  [MS-SMB2] 3.3.5.2.7"""

    __slots__ = ("calls", "current", "file_id", "first_unsent", "replies", "sealed", "session_id", "status", "tree_id")

    def __init__(self, *, sealed: Session | None) -> None:
        self.calls: list[Call] = []
        self.replies: list[Reply] = []
        self.current = 0  # index of the call in hand
        self.first_unsent = 0  # replies before it went out ahead, with an interim response
        self.sealed = sealed  # the session whose keys decrypted this frame
        self.session_id = 0
        self.tree_id = 0
        self.file_id = (NO_FILE_ID, NO_FILE_ID)
        self.status: int = Status.SUCCESS  # of the request before


class Call:
    """One request: its header, and the objects that its ids stand for."""

    __slots__ = (
        "async_id", "chain", "channel", "connection", "credits_granted", "header", "message", "opened", "server",
        "sign_reply", "signed", "tree",
    )  # fmt: skip

    def __init__(self, connection: Connection, chain: Chain, header: Header, message: memoryview) -> None:
        self.connection = connection
        self.server: Server = connection.server
        self.chain = chain
        self.header = header
        self.message = message  # from its own header to the next one
        self.channel: Channel | None = None
        self.tree: TreeConnect | None = None
        self.opened: Open | None = None  # pinned while the handler runs
        self.signed = False  # the request was signed and the signature is good
        self.sign_reply = False
        self.credits_granted = -1  # decided once, with the interim or the final response
        self.async_id = 0

    @property
    def session(self) -> Session:
        """The session; the dispatcher has made sure of it for every command that needs one."""
        if self.channel is None:
            raise StatusError(Status.USER_SESSION_DELETED)
        return self.channel.session

    @property
    def tree_connect(self) -> TreeConnect:
        """The tree connect, likewise."""
        if self.tree is None:
            raise StatusError(Status.NETWORK_NAME_DELETED)
        return self.tree

    @property
    def file(self) -> FileOpen:
        """The open of this request, if it is a file or directory.  INVALID_DEVICE_REQUEST for a pipe."""
        opened = self.opened
        if not isinstance(opened, FileOpen):
            raise StatusError(Status.INVALID_DEVICE_REQUEST)
        return opened

    def find_open(self, persistent_id: int, volatile_id: int) -> Open:
        """The open that a FileId names, in this session and tree.  Raises FILE_CLOSED.  [MS-SMB2] 3.3.5.2.7.2"""
        if persistent_id == volatile_id == NO_FILE_ID:
            persistent_id, volatile_id = self.chain.file_id
        opened = self.session.opens.get(volatile_id)
        if opened is None or opened.persistent_id != persistent_id or opened.tree is not self.tree:
            raise StatusError(Status.FILE_CLOSED)
        self.chain.file_id = (persistent_id, volatile_id)
        return opened

    def still_open(self) -> FileOpen:
        """To be called after a step that waited: the open, or FILE_CLOSED if it was closed meanwhile."""
        opened = self.file
        if opened.closed:
            raise StatusError(Status.FILE_CLOSED)
        return opened
