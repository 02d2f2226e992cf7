"""One request as a handler sees it, and what a handler returns."""

import logging
from collections.abc import Callable
from typing import Final

from smbport.platform import File, Stat
from smbport.security.signing import Signer
from smbport.state.connection import Connection
from smbport.state.open import FileOpen, Open
from smbport.state.server import Server
from smbport.state.session import Channel, Session
from smbport.state.tree import TreeConnect
from smbport.wire.constants import Dialect, HeaderFlag
from smbport.wire.header import HEADER_SIZE, Header
from smbport.wire.record import Buffer, Record
from smbport.wire.status import Status, StatusError

__all__ = ["NO_FILE_ID", "Call", "Chain", "FileRange", "Reply", "log"]

log = logging.getLogger("smbport")

NOT_COUNTED: Final = -1
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

    __slots__ = (
        "_opened",
        "afterwards",
        "calls",
        "current",
        "file_id",
        "first_unsent",
        "holds_frame",
        "replies",
        "sealed",
        "session_id",
        "status",
        "tree_id",
    )  # fmt: skip

    def __init__(self, *, sealed: Session | None) -> None:
        self.calls: list[Call] = []
        self.replies: list[Reply] = []
        self.current = 0  # index of the call in hand
        self.afterwards: list[Callable[[], None]] = []  # what would make no sense to the client before the replies
        self.first_unsent = 0  # replies before it went out ahead, with an interim response
        self.sealed = sealed  # the session whose keys decrypted this frame
        self.session_id = 0
        self.tree_id = 0
        self.file_id = (NO_FILE_ID, NO_FILE_ID)
        self.status: int = Status.SUCCESS  # of the request before
        self._opened: tuple[int, FileOpen, Stat] | None = None  # by which request: an open, and its state
        self.holds_frame = True  # the calls read from the frame that they came in

    def hand_on(self, opened: FileOpen, stat: Stat | None) -> None:
        """What the requests behind this one relate to, and its state if this one has changed nothing about it."""
        self.file_id = (opened.persistent_id, opened.volatile_id)
        if stat is not None:
            self._opened = self.current, opened, stat

    def state_of(self, opened: FileOpen) -> Stat:
        """The state in which the request right before this one has opened it; if that was about something else, now.

        They came in one frame, so the client cannot know of a change between them that this does not show.
        """
        if self._opened is None or self._opened[0] != self.current - 1 or self._opened[1] is not opened:
            return opened.node.stat()
        return self._opened[2]

    def replies_are_out(self) -> None:
        """To be called when those that are ready have gone out: now the client understands what comes of them."""
        afterwards, self.afterwards = self.afterwards, []
        for send in afterwards:
            send()

    def let_go_of_frame(self) -> None:
        """Keep copies of what is still to be read: the call in hand may wait for days, and a frame is large."""
        self.holds_frame = False
        for index, call in enumerate(self.calls):
            end = HEADER_SIZE if index <= self.current else None
            call.message = memoryview(bytes(call.message[:end]))


class Call:
    """One request: its header, and the objects that its ids stand for."""

    __slots__ = (
        "async_id", "chain", "channel", "command", "connection", "credits_granted", "flags", "header", "message",
        "opened", "sequence", "server", "signed", "signer", "tree",
    )  # fmt: skip

    def __init__(self, connection: Connection, chain: Chain, header: Header, message: memoryview) -> None:
        self.connection = connection
        self.server: Server = connection.server
        self.chain = chain
        self.header = header
        self.command = header.command
        self.flags = header.flags
        self.message = message  # from its own header to the next one
        self.channel: Channel | None = None
        self.tree: TreeConnect | None = None
        self.opened: Open | None = None  # pinned while the handler runs
        self.sequence = NOT_COUNTED  # the ChannelSequence with which that open counts this request
        self.signed = False  # the request was signed and the signature is good
        self.signer: Signer | None = None  # what the reply is signed with, if it is
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
        """The open that a FileId names, in this session and tree.  Raises FILE_CLOSED.  [MS-SMB2] 3.3.5.2.7.2

        In a compound of related requests it is the one of the request before, whatever this one names.
        """
        related = self.flags & HeaderFlag.RELATED_OPERATIONS
        if (related and self.chain.file_id[1]) or persistent_id == volatile_id == NO_FILE_ID:
            persistent_id, volatile_id = self.chain.file_id
            if related and not volatile_id and self.chain.status >= 0xC0000000:
                raise StatusError(self.chain.status, "the request it relates to failed")
        opened = self.session.opens.get(volatile_id)
        if opened is None or opened.persistent_id != persistent_id:
            raise StatusError(Status.FILE_CLOSED)
        if opened.tree is not self.tree and (opened.tree.live is None or opened.tree.live is not self.tree):
            raise StatusError(Status.FILE_CLOSED)
        self.chain.file_id = (persistent_id, volatile_id)
        if opened.replayable and isinstance(opened, FileOpen):
            self.server.durable.note_use(opened)
        return opened

    def hold(self, opened: Open, *, changes: bool) -> None:
        """Pin an open and count the request there, until `let_go`; the open stays whatever becomes of it meanwhile.

        Raises FILE_NOT_AVAILABLE for a change that may come too late: the client has lost the channel that it was
        sent over, and has gone on.  [MS-SMB2] 3.3.5.2.10
        """
        sequence = self.header.status & 0xFFFF if self.connection.dialect >= Dialect.SMB_3_0 else 0
        replay = self.flags & HeaderFlag.REPLAY_OPERATION
        if sequence == opened.channel_sequence and not replay:  # nearly always
            opened.requests += 1
            self.sequence = sequence
        elif opened.begin_request(sequence, replay=bool(replay)):
            self.sequence = sequence
        elif changes:
            raise StatusError(Status.FILE_NOT_AVAILABLE, "sent before a channel was lost")
        self.opened = opened
        opened.pins += 1

    def let_go(self) -> None:
        """The request is done with its open."""
        opened = self.opened
        assert opened is not None
        if self.sequence == opened.channel_sequence:
            opened.requests -= 1
        elif self.sequence != NOT_COUNTED:
            opened.older_requests -= 1
        self.server.unpin(opened)

    def check_tree(self, tree: TreeConnect) -> None:
        """Raises NETWORK_NAME_DELETED if the tree has gone, while a thread was busy or an oplock was broken."""
        if self.session.trees.get(tree.tree_id) is not (tree.live or tree):
            raise StatusError(Status.NETWORK_NAME_DELETED)

    def still_open(self) -> FileOpen:
        """To be called after a step that waited: the open, or FILE_CLOSED if it was closed meanwhile."""
        opened = self.file
        if opened.closed:
            raise StatusError(Status.FILE_CLOSED)
        return opened
