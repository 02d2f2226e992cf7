"""A server with nothing real about it, to hang state on."""

from itertools import count

import pytest

from smbport.platform import FileKey
from smbport.security.auth import Authenticator, LogonUser
from smbport.security.preauth import PreauthHash
from smbport.security.signing import make_signer
from smbport.state.connection import Connection
from smbport.state.open import FileOpen, PipeOpen
from smbport.state.server import Runtime, Server
from smbport.state.session import Channel, Session
from smbport.state.settings import Limits, Settings, ShareSettings
from smbport.state.tree import TreeConnect
from smbport.testing.direct import PlainEvent
from smbport.testing.memory import MemoryPlatform
from smbport.users import MemoryUsers
from smbport.wire.constants import Access, SigningAlgorithm


class FakeNode:
    """A handle that counts how often it was closed."""

    def __init__(self, is_directory=False):
        self.is_directory = is_directory
        self.closed = 0

    def close(self):
        self.closed += 1


def new_authenticator() -> Authenticator:
    """What lets nobody in."""
    return Authenticator(
        users=MemoryUsers({}), server_name="server", domain="", anonymous=False, guest=False, random_bytes=bytes
    )


class World:
    """A server with the shares "data" and "more", and what hangs on it, made to order."""

    Node = FakeNode
    Event = PlainEvent

    def __init__(self, *, random_bytes=None, **limits):
        shares = tuple(ShareSettings(name=name, path=name) for name in ("data", "more"))
        numbers = count(1)
        runtime = Runtime(
            now_ns=lambda: 17,
            random_bytes=random_bytes or (lambda length: next(numbers).to_bytes(length, "little")),
            new_event=PlainEvent,
        )
        self.platform = MemoryPlatform()
        self.server = Server(
            Settings(shares=shares, limits=Limits(**limits)), self.platform, new_authenticator(), runtime
        )

    def session(self, name="ann", kind="user"):
        session = Session(self.server, self.server.new_session_id())
        self.server.sessions[session.session_id] = session
        session.user = LogonUser(name, "WORKGROUP", kind, None)
        session.valid = True
        return session

    def connection(self, address="192.0.2.1"):
        return Connection(self.server, address)

    def channel(self, session, connection):
        """Let the session be reachable on the connection; if it is valid, by a logon or a binding that is complete."""
        channel = Channel(session, connection, PreauthHash())
        if session.valid:
            channel.signer = make_signer(SigningAlgorithm.HMAC_SHA256, bytes(16))
        session.channels.append(channel)
        connection.channels[session.session_id] = channel
        return channel

    def tree(self, session, name="data"):
        share = self.server.find_share(name)
        tree = TreeConnect(session, session.next_tree_id, share, self.platform.account, share.volume)
        session.next_tree_id += 1
        session.trees[tree.tree_id] = tree
        return tree

    def open(
        self, tree, path="file", *, inode=1, access=Access.FILE_ALL_ACCESS, share_access=7, options=0, directory=False
    ):
        """An open as CREATE makes it, after the sharing check."""
        opened = FileOpen(
            tree,
            *self.server.new_file_id(),
            granted_access=access,
            share_access=share_access,
            create_options=options,
            node=FakeNode(directory),
            path=path,
        )
        opened.shared = self.server.files.join(FileKey(1, inode), opened)
        self.server.add_open(opened)
        return opened

    def open_pipe(self, tree, name="srvsvc"):
        opened = PipeOpen(tree, *self.server.new_file_id(), Access.FILE_GENERIC_READ, name, None)
        self.server.add_open(opened)
        return opened


@pytest.fixture(scope="session")
def new_world():
    """Makes a world; keywords are limits."""
    return World


@pytest.fixture
def world():
    return World()


@pytest.fixture
def authenticator():
    return new_authenticator()
