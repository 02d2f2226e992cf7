"""Sessions and their channels.  [MS-SMB2] 3.3.1.8, 3.3.1.14"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from smbport.platform import Account
from smbport.security.auth import Exchange, LogonUser
from smbport.security.keys import SessionKeys
from smbport.security.preauth import PreauthHash
from smbport.security.sealing import Sealer
from smbport.security.signing import Signer
from smbport.state.open import FileOpen, Open
from smbport.state.tree import TreeConnect
from smbport.wire.record import Buffer

if TYPE_CHECKING:
    from smbport.state.connection import Connection
    from smbport.state.server import Server

__all__ = ["Channel", "Session"]


class Channel:
    """One session as seen on one connection: that connection's signing key, and a logon in progress.

    A connection finds sessions only through its own channels, so a session id alone opens nothing.
    """

    __slots__ = ("connection", "exchange", "preauth", "session", "signer")

    def __init__(self, session: "Session", connection: "Connection", preauth: PreauthHash) -> None:
        self.session = session
        self.connection = connection
        self.preauth = preauth  # 3.1.1: hash over NEGOTIATE and this logon's messages
        self.signer: Signer | None = None  # None until the logon, or the binding, is complete here
        self.exchange: Exchange | None = None  # a logon or re-authentication in progress

    @property
    def binding(self) -> bool:
        """Whether this connection is about to join a session that was made on another."""
        return self.signer is None and self.session.valid

    def leave(self) -> None:
        """The connection and the session do not know each other any more."""
        self.connection.channels.pop(self.session.session_id, None)
        if self in self.session.channels:
            self.session.channels.remove(self)


class Session:
    """A logged-on user: trees, opens, keys.

    It dies once, by `close` or by `lose`; both leave nothing behind in connections, shared files and the server.
    """

    __slots__ = (
        "aapl", "account", "channels", "cipher", "dialect", "encrypt", "expires_ns", "keys", "next_tree_id", "opens",
        "sealer", "secret_keys", "server", "session_id", "session_key", "signer", "signing_algorithm",
        "signing_required", "trees", "user", "valid",
    )  # fmt: skip

    def __init__(self, server: "Server", session_id: int) -> None:
        self.server = server
        self.session_id = session_id
        self.valid = False  # from the completion of the first logon to the end
        self.user: LogonUser | None = None
        self.account: Account | None = None  # the system account the user maps to, if any
        self.expires_ns: int | None = None  # when the user must authenticate again; None: never
        self.session_key = b""
        self.keys: SessionKeys | None = None
        self.sealer: Sealer | None = None
        self.signer: Signer | None = None  # of the connection it was made on; who has its key may bind others
        self.dialect = 0  # of that connection, like the two that follow: those of all channels must agree
        self.cipher: int | None = None
        self.signing_algorithm = 0
        self.secret_keys = False  # they come from a user's password; those of guests anybody can know
        self.signing_required = False
        self.encrypt = False  # every message but the logon must be sealed
        self.aapl = 0  # AaplCapability that were promised to its client; 0: not one of Apple's
        self.trees: dict[int, TreeConnect] = {}
        self.next_tree_id = 1
        self.opens: dict[int, Open] = {}  # by volatile id
        self.channels: list[Channel] = []  # in the order they came, those about to be bound included

    @property
    def user_name(self) -> str:
        """For logs and access lists; "" before the logon is complete."""
        return self.user.name if self.user is not None else ""

    @property
    def listed_name(self) -> str:
        """The name to look for in lists of users: "" for guests, who may call themselves anything."""
        return "" if self.is_guest_or_anonymous else self.user_name

    @property
    def is_guest_or_anonymous(self) -> bool:
        """Such sessions have no key worth signing with."""
        return self.user is not None and self.user.kind != "user"

    @property
    def expired(self) -> bool:
        """Whether it is time to authenticate again.  [MS-SMB2] 3.3.5.2.9"""
        return self.expires_ns is not None and self.expires_ns <= self.server.runtime.now_ns()

    def live_channels(self) -> list[Channel]:
        """Those over which the client can be reached, in the order they came."""
        return [channel for channel in self.channels if channel.signer is not None and not channel.connection.ended]

    def notify(self, parts: Sequence[Buffer]) -> bool:
        """Send a frame that nobody asked for, over the first channel; each that fails hands it on to the next.

        False if there is no channel at all.  [MS-SMB2] 3.3.4.6, 3.3.4.7
        """
        channels = self.live_channels()
        self._send_over(channels, parts)
        return bool(channels)

    def _send_over(self, channels: list[Channel], parts: Sequence[Buffer]) -> None:
        live = self.live_channels()
        usable = [channel for channel in channels if channel in live]  # some time may have passed
        if usable:
            first, *rest = usable
            first.connection.send(parts, (lambda: self._send_over(rest, parts)) if rest else None)

    def close_tree(self, tree: TreeConnect) -> list[FileOpen]:
        """TREE_DISCONNECT: close the opens of one tree.  Returns those whose name is to be deleted now."""
        del self.trees[tree.tree_id]
        closed = [
            self.server.close_open(opened)
            for opened in list(self.opens.values())
            if tree in (opened.tree, opened.tree.live)
        ]
        return [doomed for doomed in closed if doomed is not None]

    def close(self) -> list[FileOpen]:
        """End for good, as when authentication failed.  Returns opens whose name is to be deleted.

        Everything is released; nothing stays behind for a client that comes back.
        """
        return self._end(self.server.close_open)

    def lose(self) -> list[FileOpen]:
        """The last connection went, the client has logged off, or made a new session in place of this one.

        Returns opens whose name is to be deleted.  The client may come back for what is durable; the rest is released.
        [MS-SMB2] 3.3.7.1.  Windows: also at LOGOFF
        """
        return self._end(self.server.lose_open)

    def _end(self, end: Callable[[Open], FileOpen | None]) -> list[FileOpen]:
        """On every channel: what waits is cancelled, unless the end of its open answers it."""
        self.valid = False
        self.trees.clear()
        doomed = [opened for opened in map(end, list(self.opens.values())) if opened is not None]
        for channel in list(self.channels):
            channel.connection.cancel_requests(self)
            channel.leave()
        self.server.sessions.pop(self.session_id, None)
        return doomed
