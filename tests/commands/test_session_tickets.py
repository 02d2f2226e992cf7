"""SESSION_SETUP with Kerberos, by a stand-in for what judges tickets: keys, their end, and what comes in between.

With a real KDC: tests/interop/test_kerberos.py.
"""

import pytest
from spnego._spnego import NegTokenInit

from smbport.security.kerberos import Ticket
from smbport.security.ntlm import LogonFailure
from smbport.wire.constants import Cipher, Command, SecurityMode
from smbport.wire.echo import EchoRequest
from smbport.wire.header import Header
from smbport.wire.session import LogoffRequest, SessionSetupRequest, pack_session_setup_request
from smbport.wire.status import Status
from smbport.wire.tree import pack_tree_connect_request

KEY = bytes(range(32))
TOKEN = NegTokenInit(["1.2.840.113554.1.2.2"], mech_token=b"good").pack()
BAD_TOKEN = NegTokenInit(["1.2.840.113554.1.2.2"], mech_token=b"bad").pack()
TREE = pack_tree_connect_request("\\\\server\\s")
REQUEST = SessionSetupRequest(security_mode=SecurityMode.SIGNING_ENABLED)
MINUTE_NS = 60_000_000_000


class Acceptor:
    """Takes b"good" for u's; `between` happens while it thinks."""

    def __init__(self):
        self.client = "u@HERE"
        self.between = lambda: None

    def accept(self, token):
        self.between()
        if token != b"good":
            raise LogonFailure("Kerberos: no")
        return Ticket(self.client, "cifs/s@HERE", b"AP-REP", 60.0, KEY, bytes, lambda data, mic: False)


@pytest.fixture
def wire(wire):
    wire.server.authenticator.kerberos = wire.acceptor = Acceptor()
    return wire


def new_peer(wire, dialect=0x0311, **negotiated):
    peer = wire.client()
    peer.negotiate([dialect], **negotiated)
    return peer


def send(peer, token=TOKEN, *, plain=True):
    """One SESSION_SETUP; its status."""
    message = peer.message(Command.SESSION_SETUP, pack_session_setup_request(REQUEST, token))
    preauth = peer._preauth.copy()
    preauth.update(message)
    replies = peer.frames(message, plain=plain)
    replies = replies or [(Header.unpack_from(frame), frame) for frame in peer.connection.resume(expire=True)]
    header = replies[0][0]
    if header.status == Status.SUCCESS and peer.signer is None:
        peer.session_id = header.session_id
        peer._make_keys(KEY, preauth)
    return header.status


def command(peer, number, body):
    return peer.ask(number, body)[0].status


@pytest.mark.parametrize("dialect", [0x0202, 0x0210, 0x0300, 0x0302, 0x0311])
def test_one_step_in_each_dialect(wire, dialect):
    peer = new_peer(wire, dialect)
    assert send(peer) == Status.SUCCESS
    assert command(peer, Command.TREE_CONNECT, TREE) == Status.SUCCESS  # signed with the key of the ticket


def session_of(wire):
    (session,) = wire.server.sessions.values()
    return session


def test_the_session_ends_with_the_ticket_unless_it_is_renewed(wire):
    peer = new_peer(wire)
    send(peer)
    session = session_of(wire)
    assert session.user.name == "u"
    assert 0 < session.expires_ns - wire.server.runtime.now_ns() <= MINUTE_NS
    session.expires_ns = 0
    assert command(peer, Command.TREE_CONNECT, TREE) == Status.NETWORK_SESSION_EXPIRED
    assert send(peer, plain=False) == Status.SUCCESS
    assert command(peer, Command.TREE_CONNECT, TREE) == Status.SUCCESS


def test_a_refused_ticket_leaves_nothing(wire):
    peer = new_peer(wire)
    assert send(peer, BAD_TOKEN) == Status.LOGON_FAILURE
    assert wire.server.sessions == {}
    assert peer.connection.state.failed_logons == 1
    assert send(peer) == Status.SUCCESS


def test_another_token_while_one_is_looked_at(wire):
    peer = new_peer(wire)
    known = []

    def between():
        wire.acceptor.between = lambda: None
        (channel,) = peer.connection.state.channels.values()
        peer.session_id = channel.session.session_id
        known.append(send(peer))
        peer.session_id = 0

    wire.acceptor.between = between
    assert send(peer) == Status.USER_SESSION_DELETED
    assert known == [Status.INVALID_PARAMETER]
    assert wire.server.sessions == {}


def test_a_session_that_ends_while_its_ticket_is_renewed_does_not_come_back(wire):
    peer = new_peer(wire)
    send(peer)
    ended = session_of(wire)
    wire.acceptor.between = ended.close
    assert send(peer, plain=False) == Status.USER_SESSION_DELETED
    assert not ended.valid
    assert wire.server.sessions == {}


def test_logoff(wire):
    peer = new_peer(wire)
    send(peer)
    assert command(peer, Command.LOGOFF, LogoffRequest().pack()) == Status.SUCCESS


def test_sealed_with_all_of_the_key(wire):
    peer = new_peer(wire, ciphers=[Cipher.AES_256_GCM])
    send(peer)
    assert session_of(wire).keys.encryption_in
    peer.seal = True
    assert command(peer, Command.ECHO, EchoRequest().pack()) == Status.SUCCESS
