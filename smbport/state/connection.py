"""What the server knows of one connection.  [MS-SMB2] 3.3.1.7"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from smbport.security.preauth import PreauthHash
from smbport.state.credits import SequenceWindow
from smbport.state.session import Channel, Session
from smbport.wire.constants import Dialect
from smbport.wire.record import Buffer

if TYPE_CHECKING:
    from smbport.state.server import Server

__all__ = ["Connection", "Running"]


class Running:
    """A request that was not answered at once: it waits in a task of its own and can be cancelled."""

    __slots__ = ("async_id", "cancel", "message_id", "session")

    def __init__(self, message_id: int, session: Session | None, cancel: Callable[[], None]) -> None:
        self.message_id = message_id
        self.session = session
        self.cancel = cancel  # ends the wait; the handler sees StatusError(CANCELLED).  Harmless when done
        self.async_id = 0  # once STATUS_PENDING was sent


def _nowhere(parts: Sequence[Buffer]) -> None:
    """A connection without a transport."""


class Connection:
    """Negotiated facts, sessions reachable from here, requests in progress."""

    __slots__ = (
        "address", "capabilities", "channels", "cipher", "client_capabilities", "client_dialects", "client_guid",
        "client_security_mode", "dialect", "failed_logons", "max_read", "max_transact", "max_write", "negotiated",
        "next_async_id", "preauth", "running", "send", "server", "signing_algorithm", "window",
    )  # fmt: skip

    def __init__(self, server: "Server", address: str) -> None:
        self.server = server
        self.address = address  # the peer's, without a port
        self.window = SequenceWindow()
        self.dialect = 0  # 0 until NEGOTIATE; WILDCARD after an SMB1 NEGOTIATE with "SMB 2.???"
        self.negotiated = False
        self.client_guid = bytes(16)
        self.client_capabilities = 0
        self.client_security_mode = 0
        self.client_dialects: tuple[int, ...] = ()
        self.capabilities = 0  # what the server said in its NEGOTIATE response
        self.cipher: int | None = None
        self.signing_algorithm = 0
        self.preauth = PreauthHash()
        self.max_transact = self.max_read = self.max_write = 65536
        self.channels: dict[int, Channel] = {}  # by session id
        self.running: dict[int, Running] = {}  # by message id
        self.next_async_id = 1
        self.failed_logons = 0
        self.send: Callable[[Sequence[Buffer]], None] = _nowhere  # for what nobody asked; the transport sets it

    @property
    def multi_credit(self) -> bool:
        """Whether CreditCharge counts: 2.1 and later."""
        return self.dialect >= Dialect.SMB_2_1 and self.dialect != Dialect.WILDCARD

    def has_session(self) -> bool:
        """Whether anybody is logged on here."""
        return any(channel.signer is not None or channel.session.valid for channel in self.channels.values())

    def has_opens(self) -> bool:
        """Whether a session on this connection has anything open."""
        return any(channel.session.opens for channel in self.channels.values())

    def cancel_requests(self, session: Session | None = None) -> None:
        """Cancel what waits, of one session or altogether."""
        for running in list(self.running.values()):
            if session is None or running.session is session:
                running.cancel()

    def sessions_lost(self) -> list[Session]:
        """The connection ends: leave every session; returns those that have no channel left."""
        lost: list[Session] = []
        for channel in self.channels.values():
            session = channel.session
            if channel in session.channels:
                session.channels.remove(channel)
            if not session.channels:
                lost.append(session)
        self.channels.clear()
        return lost
