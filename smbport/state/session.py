"""Sessions and their channels.  [MS-SMB2] 3.3.1.8, 3.3.1.14"""

from typing import TYPE_CHECKING

from smbport.platform import Account
from smbport.security.auth import Exchange, LogonUser
from smbport.security.keys import SessionKeys
from smbport.security.preauth import PreauthHash
from smbport.security.sealing import Sealer
from smbport.security.signing import Signer
from smbport.state.open import FileOpen, Open
from smbport.state.tree import TreeConnect

if TYPE_CHECKING:
    from smbport.state.connection import Connection
    from smbport.state.server import Server

__all__ = ["Channel", "Session"]


class Channel:
    """One session as seen on one connection: that connection's signing key, and a logon in progress.

    A connection finds sessions only through its own channels, so a session id alone opens nothing.
    """

    __slots__ = ("binding", "connection", "exchange", "preauth", "session", "signer")

    def __init__(self, session: "Session", connection: "Connection", preauth: PreauthHash) -> None:
        self.session = session
        self.connection = connection
        self.preauth = preauth  # 3.1.1: hash over NEGOTIATE and this logon's messages
        self.signer: Signer | None = None  # None until the logon is complete
        self.exchange: Exchange | None = None  # a logon or re-authentication in progress
        self.binding = False  # the exchange binds this connection to a session made on another


class Session:
    """A logged-on user: trees, opens, keys."""

    __slots__ = (
        "account", "channels", "encrypt", "keys", "next_tree_id", "opens", "sealer", "secret_keys", "server",
        "session_id", "session_key", "signing_required", "trees", "user", "valid",
    )  # fmt: skip

    def __init__(self, server: "Server", session_id: int) -> None:
        self.server = server
        self.session_id = session_id
        self.valid = False  # until the first logon is complete
        self.user: LogonUser | None = None
        self.account: Account | None = None  # the system account the user maps to, if any
        self.session_key = b""
        self.keys: SessionKeys | None = None
        self.sealer: Sealer | None = None
        self.secret_keys = False  # they come from a user's password; those of guests anybody can know
        self.signing_required = False
        self.encrypt = False  # every message but the logon must be sealed
        self.trees: dict[int, TreeConnect] = {}
        self.next_tree_id = 1
        self.opens: dict[int, Open] = {}  # by volatile id
        self.channels: list[Channel] = []

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

    def close_tree(self, tree: TreeConnect) -> list[FileOpen]:
        """TREE_DISCONNECT: close the opens of one tree.  Returns those whose name is to be deleted now."""
        del self.trees[tree.tree_id]
        return self._close_opens([opened for opened in self.opens.values() if opened.tree is tree])

    def close(self) -> list[FileOpen]:
        """LOGOFF, or the last connection went: release everything.  Returns opens whose name is to be deleted."""
        self.valid = False
        self.trees.clear()
        doomed = self._close_opens(list(self.opens.values()))
        for channel in self.channels:
            channel.connection.channels.pop(self.session_id, None)
        self.channels.clear()
        self.server.sessions.pop(self.session_id, None)
        return doomed

    def _close_opens(self, opens: list[Open]) -> list[FileOpen]:
        closed = [self.server.close_open(opened) for opened in opens]
        return [doomed for doomed in closed if doomed is not None]
