"""What the server knows of one connection.  [MS-SMB2] 3.3.1.7"""

from collections.abc import Callable, Sequence
from ipaddress import IPv6Address, ip_network
from typing import TYPE_CHECKING, Final

from smbport.security.preauth import PreauthHash
from smbport.state.credits import SequenceWindow
from smbport.state.session import Channel, Session
from smbport.wire.constants import Dialect
from smbport.wire.record import Buffer

if TYPE_CHECKING:
    from smbport.state.server import Server

__all__ = ["Connection", "Running", "network_of"]

SITE_PREFIX: Final = 64  # of an IPv6 address: whoever has one of such a network has all of it


def network_of(address: str) -> str:
    """What counts as one client: an IPv4 address, or the network of an IPv6 one; other text as it is."""
    if ":" not in address:
        return address  # there is but one way to write an IPv4 address
    try:
        parsed = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(parsed.ipv4_mapped or ip_network((parsed.packed, SITE_PREFIX), strict=False))


class Running:
    """A request that was not answered at once: it waits in a task of its own and can be cancelled."""

    __slots__ = ("async_id", "cancel", "message_id", "outlives", "session", "waits")

    def __init__(self, message_id: int, session: Session | None, cancel: Callable[[], None]) -> None:
        self.message_id = message_id
        self.session = session
        self.cancel = cancel  # ends the wait; the handler sees StatusError(CANCELLED).  Harmless when done
        self.async_id = 0  # once STATUS_PENDING was sent
        self.waits = False  # once it has begun to wait for others' doing
        self.outlives = False  # what it waits for goes on without the connection, if the session has another


Send = Callable[[Sequence[Buffer], Callable[[], None] | None], None]


def _nowhere(parts: Sequence[Buffer], lost: Callable[[], None] | None) -> None:
    """A connection without a transport."""


class Connection:
    """Negotiated facts, sessions reachable from here, requests in progress."""

    __slots__ = (
        "address", "capabilities", "chained_compression", "channels", "cipher", "client_capabilities",
        "client_dialects", "client_guid", "client_security_mode", "closing", "compression", "compressor", "dialect",
        "ended", "failed_logons", "max_read", "max_transact", "max_write", "negotiated", "network", "posix", "preauth",
        "running", "send", "server", "signing_algorithm", "window",
    )  # fmt: skip

    def __init__(self, server: "Server", address: str) -> None:
        self.server = server
        self.address = address  # the peer's, without a port
        self.network = network_of(address)  # what is limited per address is limited for this
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
        self.posix = False  # the POSIX extensions were agreed on
        self.compression: tuple[int, ...] = ()  # algorithms that were agreed on
        self.compressor = 0  # the one of them that the client likes best for what it is sent
        self.chained_compression = False
        self.preauth = PreauthHash()
        self.max_transact = self.max_read = self.max_write = 65536
        self.channels: dict[int, Channel] = {}  # by session id
        self.running: dict[int, Running] = {}  # by message id
        self.failed_logons = 0
        self.closing = False  # no more requests are taken
        self.ended = False  # the client cannot be reached here any more
        # For what nobody asked; the transport sets it.  The second argument is called if the frame does not arrive.
        self.send: Send = _nowhere

    @property
    def multi_credit(self) -> bool:
        """Whether CreditCharge counts: 2.1 and later."""
        return self.dialect >= Dialect.SMB_2_1 and self.dialect != Dialect.WILDCARD

    def has_session(self) -> bool:
        """Whether anybody is logged on here; neither logging on nor binding counts."""
        return any(channel.signer is not None for channel in self.channels.values())

    def has_opens(self) -> bool:
        """Whether a session on this connection has anything open."""
        return any(channel.session.opens for channel in self.channels.values())

    def find_running(self, message_id: int, async_id: int | None, session_id: int) -> Running | None:
        """The request that a CANCEL names, by AsyncId if it has one.  [MS-SMB2] 3.3.5.16"""
        for running in self.running.values():
            found = running.message_id == message_id if async_id is None else running.async_id == async_id != 0
            if found and (running.session is None or running.session.session_id == session_id):
                return running
        return None

    def cancel_requests(self, session: Session | None = None) -> None:
        """Cancel what waits, of one session or altogether."""
        for running in list(self.running.values()):
            if session is None or running.session is session:
                running.cancel()

    def cancel_lost(self) -> bool:
        """The connection closes: cancel what does not go on without it.  True while some of that still runs."""
        self.closing = True
        lost = [running for running in self.running.values() if not _goes_on(running)]
        for running in lost:
            running.cancel()
        return bool(lost)

    def sessions_lost(self) -> list[Session]:
        """The connection has ended: leave the sessions; returns those that have no channel left.

        A session that has one is not left while a request of it goes on here, so that this ends with the session.
        To be called again afterwards.
        """
        self.closing = self.ended = True
        busy = {running.session for running in self.running.values()}
        lost: list[Session] = []
        for channel in list(self.channels.values()):
            session = channel.session
            if not session.live_channels():
                lost.append(session)
            elif session in busy:
                continue
            channel.leave()
        return lost


def _goes_on(running: Running) -> bool:
    if not running.outlives or running.session is None:
        return False
    return any(not channel.connection.closing for channel in running.session.live_channels())
