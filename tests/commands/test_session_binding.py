"""SESSION_SETUP that binds one more connection to a session: who may, what comes of it, and how it ends."""

from collections.abc import Callable
from typing import Any

import pytest
import spnego

from smbport.platform import Account
from smbport.state.settings import Limits
from smbport.wire.constants import (
    Access,
    Cipher,
    Command,
    HeaderFlag,
    LockFlag,
    SecurityMode,
    SessionFlag,
    SessionSetupFlag,
    SigningAlgorithm,
)
from smbport.wire.echo import CancelRequest, EchoRequest
from smbport.wire.header import HEADER_SIZE, Header
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request
from smbport.wire.session import (
    LogoffRequest,
    SessionSetupRequest,
    SessionSetupResponse,
    pack_session_setup_request,
    security_buffer,
)
from smbport.wire.status import Disconnect, Status, StatusError, status_name
from smbport.wire.tree import pack_tree_connect_request

ECHO = EchoRequest().pack()
TREE = pack_tree_connect_request("\\\\server\\s")
GMAC, CMAC, HMAC = SigningAlgorithm.AES_GMAC, SigningAlgorithm.AES_CMAC, SigningAlgorithm.HMAC_SHA256
GCM, CCM = Cipher.AES_128_GCM, Cipher.AES_128_CCM


class Binding:
    """A binding leg by leg, signed with the key of the session unless something else is asked for."""

    def __init__(
        self, peer: Any, victim: Any, user: str = "u", password: str = "p", *, flags: int = SessionSetupFlag.BINDING,
        signer: Any = "the session's",
    ) -> None:  # fmt: skip
        self.peer = peer
        self.flags = flags
        self.signer = victim.signer if signer == "the session's" else signer
        peer.session_id = victim.session_id
        self.context = spnego.client(user, password, hostname="server", service="cifs", protocol="ntlm")
        self.answer: bytes | None = None

    def first(self) -> str:
        return self.leg()

    def run(self) -> str:
        """Both legs: how it ends."""
        status = self.first()
        return status if status != "MORE_PROCESSING_REQUIRED" else self.leg()

    def leg(self) -> str:
        """The next one: its status without STATUS_."""
        peer = self.peer
        request = SessionSetupRequest(flags=self.flags, security_mode=SecurityMode.SIGNING_ENABLED)
        token = self.context.step(self.answer) or b""
        message = peer.message(Command.SESSION_SETUP, pack_session_setup_request(request, token))
        if self.signer is not None:
            message[16] |= HeaderFlag.SIGNED
            self.signer.sign(memoryview(message), from_server=False)
        peer.link.send(bytes(message))
        self.frame = peer.link.receive()
        status = Header.unpack_from(self.frame).status
        if status == Status.MORE_PROCESSING_REQUIRED:
            response = SessionSetupResponse.unpack_from(self.frame, HEADER_SIZE)
            self.answer = bytes(security_buffer(self.frame, response))
        return status_name(status).removeprefix("STATUS_")

    def is_signed_by(self, signer: Any) -> bool:
        verified: bool = signer.verify(memoryview(bytearray(self.frame)), from_server=True)
        return verified


def negotiated(wire: Any, dialect: int = 0x0311, **keywords: Any) -> Any:
    peer = wire.client()
    peer.negotiate([dialect], **keywords)
    return peer


def logged_on(wire: Any, dialect: int = 0x0311, user: str = "u", password: str = "p", **keywords: Any) -> Any:
    peer = negotiated(wire, dialect, **keywords)
    peer.log_on(user, password)
    return peer


def bound(wire: Any, first: Any, user: str = "u", password: str = "p") -> Any:
    """One more connection for the session of `first`, with the same tree."""
    peer = negotiated(wire, first.dialect)
    peer.bind(first, user, password)
    peer.tree = first.tree
    return peer


def session_of(wire: Any, peer: Any) -> Any:
    return wire.server.sessions[peer.session_id]


def lock_body(file: Any) -> bytes:
    request = LockRequest(file_id_persistent=file.persistent, file_id_volatile=file.volatile)
    return pack_lock_request(request, [LockElement(offset=0, length=1, flags=LockFlag.EXCLUSIVE)])


def works(peer: Any) -> bool:
    """Whether the session can still be used here."""
    return bool(peer.status(Command.TREE_CONNECT, TREE) == Status.SUCCESS)


# Success --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("dialect", [0x0300, 0x0302, 0x0311])
def test_opens_are_the_session_s_and_good_on_every_channel(wire: Any, dialect: int, sealed: bool) -> None:
    first = wire.connect(dialect=dialect)
    first.seal = sealed
    file = first.make("f")
    second, third = bound(wire, first), bound(wire, first)
    second.write(file, 0, b"data")
    assert first.read(file, 0, 4) == b"data"
    other = third.open("f", Access.FILE_GENERIC_READ)
    second.close(file)
    assert first.read(other, 0, 4) == b"data"
    first.close(other)
    assert [channel.connection for channel in session_of(wire, first).live_channels()] == [
        peer.connection.state for peer in (first, second, third)
    ]
    assert len(wire.server.sessions) == 1


def test_every_channel_has_a_key_of_its_own(wire: Any) -> None:
    first = wire.connect()
    second = bound(wire, first)
    message = second.message(Command.ECHO, ECHO)
    message[16] |= HeaderFlag.SIGNED
    first.signer.sign(memoryview(message), from_server=False)
    [(header, frame)] = second.frames(message, plain=True)
    assert header.status == Status.ACCESS_DENIED
    assert second._is_authentic(frame)
    assert works(second)


def test_the_last_answer_proves_the_new_key(wire: Any) -> None:
    first = wire.connect()
    binding = Binding(negotiated(wire), first)
    assert binding.first() == "MORE_PROCESSING_REQUIRED"
    assert binding.is_signed_by(first.signer)
    assert binding.leg() == "SUCCESS"
    assert not binding.is_signed_by(first.signer)
    assert Header.unpack_from(binding.frame).flags & HeaderFlag.SIGNED


def test_a_session_that_must_be_sealed_is_so_on_every_channel(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(encryption="required")
    first = negotiated(wire)
    first.log_on("u", "p")
    first.seal = True
    first.tree = first.tree_connect("s")
    second = negotiated(wire)
    assert second.bind(first, "u", "p").session_flags == SessionFlag.ENCRYPT_DATA
    assert works(second)
    second.seal = False
    assert second.status(Command.TREE_CONNECT, TREE) == Status.ACCESS_DENIED


def test_the_same_user_may_be_spelled_otherwise(wire: Any) -> None:
    first = wire.connect()
    assert works(bound(wire, first, "U", "p"))


@pytest.mark.parametrize(("session_has", "connection_has"), [(CMAC, HMAC), (HMAC, CMAC), (CMAC, CMAC), (GMAC, GMAC)])
def test_signing_algorithms_that_go_together(wire: Any, session_has: int, connection_has: int) -> None:
    first = logged_on(wire, signing=[session_has])
    second = negotiated(wire, signing=[connection_has])
    second.bind(first, "u", "p")
    assert works(first)
    assert works(second)


def test_another_client_guid_is_no_obstacle(wire: Any) -> None:
    """As with Windows: who knows the key of the session is the client."""
    first = wire.connect()
    second = bound(wire, first)
    assert first.client_guid != second.client_guid
    assert works(second)


# Refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("session_has", "connection_has", "expected"),
    [
        ({"dialect": 0x0202}, {"dialect": 0x0202}, "REQUEST_NOT_ACCEPTED"),
        ({"dialect": 0x0210}, {"dialect": 0x0210}, "REQUEST_NOT_ACCEPTED"),
        ({"dialect": 0x0311, "signing": [CMAC]}, {"dialect": 0x0210}, "REQUEST_NOT_ACCEPTED"),
        ({"dialect": 0x0210}, {"dialect": 0x0311, "signing": [CMAC]}, "INVALID_PARAMETER"),
        ({"dialect": 0x0302}, {"dialect": 0x0311, "signing": [CMAC]}, "INVALID_PARAMETER"),
        ({"dialect": 0x0300}, {"dialect": 0x0302}, "INVALID_PARAMETER"),
        ({"ciphers": [GCM]}, {"ciphers": [CCM]}, "INVALID_PARAMETER"),
        ({"ciphers": [GCM]}, {"ciphers": []}, "INVALID_PARAMETER"),
        ({"signing": [GMAC]}, {"signing": [CMAC]}, "REQUEST_OUT_OF_SEQUENCE"),
        ({"signing": [GMAC]}, {"signing": [HMAC]}, "REQUEST_OUT_OF_SEQUENCE"),
        ({"signing": [GMAC]}, {"dialect": 0x0302}, "REQUEST_OUT_OF_SEQUENCE"),
        ({"signing": [GMAC]}, {"dialect": 0x0210}, "REQUEST_OUT_OF_SEQUENCE"),
        ({"signing": [CMAC]}, {"signing": [GMAC]}, "NOT_SUPPORTED"),
        ({"signing": [HMAC]}, {"signing": [GMAC]}, "NOT_SUPPORTED"),
        ({"dialect": 0x0302}, {"signing": [GMAC]}, "NOT_SUPPORTED"),
        ({"dialect": 0x0210}, {"signing": [GMAC]}, "NOT_SUPPORTED"),
    ],
)
def test_what_was_negotiated_must_agree(wire: Any, session_has: Any, connection_has: Any, expected: str) -> None:
    """The statuses are those that Windows gives and smbtorture expects."""
    first = logged_on(wire, **session_has)
    binding = Binding(negotiated(wire, **connection_has), first)
    assert binding.first() == expected
    assert binding.is_signed_by(first.signer)
    assert works(first)
    assert len(session_of(wire, first).channels) == 1


def test_a_binding_must_be_signed_with_the_key_of_the_session(wire: Any) -> None:
    first, stranger = wire.connect(), wire.connect("other", "q")
    assert Binding(negotiated(wire), first, signer=None).first() == "INVALID_PARAMETER"
    binding = Binding(negotiated(wire), first, signer=stranger.signer)
    assert binding.first() == "ACCESS_DENIED"
    assert not Header.unpack_from(binding.frame).flags & HeaderFlag.SIGNED or not binding.is_signed_by(first.signer)
    assert works(first)


def test_every_leg_must_be_signed(wire: Any) -> None:
    first = wire.connect()
    binding = Binding(negotiated(wire), first)
    assert binding.first() == "MORE_PROCESSING_REQUIRED"
    binding.signer = None
    assert binding.leg() == "INVALID_PARAMETER"
    assert works(first)


def test_a_session_that_is_not_there(wire: Any) -> None:
    first = wire.connect()
    first.session_id += 1
    assert Binding(negotiated(wire), first).first() == "USER_SESSION_DELETED"
    first.session_id = 0
    assert Binding(negotiated(wire), first).first() == "INVALID_PARAMETER"
    assert len(wire.server.sessions) == 1


def test_a_session_that_is_still_logging_on(wire: Any) -> None:
    first = wire.connect()
    logging_on = negotiated(wire)
    half = Binding(logging_on, first, flags=0, signer=None)
    logging_on.session_id = 0
    assert half.first() == "MORE_PROCESSING_REQUIRED"
    first.session_id = Header.unpack_from(half.frame).session_id
    assert Binding(negotiated(wire), first).first() == "REQUEST_NOT_ACCEPTED"


def test_a_connection_that_has_the_session_already(wire: Any) -> None:
    first = wire.connect()
    assert Binding(first, first).first() == "REQUEST_NOT_ACCEPTED"
    second = bound(wire, first)
    assert Binding(second, second).first() == "REQUEST_NOT_ACCEPTED"
    assert Binding(second, first).first() == "ACCESS_DENIED"  # the key of another channel
    assert works(first)
    assert works(second)


def test_multichannel_may_be_off(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(multichannel=False)
    first = wire.connect()
    assert Binding(negotiated(wire), first).first() == "REQUEST_NOT_ACCEPTED"
    assert works(first)


@pytest.mark.parametrize("user", ["guest", ""])
def test_sessions_without_a_secret_cannot_be_bound(new_wire: Callable[..., Any], user: str) -> None:
    """Anybody knows the key of a guest."""
    wire = new_wire(guest_account="nobody", anonymous="ipc-only", accounts=(Account("nobody", 65534, 65534),))
    first = negotiated(wire)
    first.log_on("u", "p")
    session = session_of(wire, first)
    session.user = wire.server.authenticator.look_up(user)
    assert Binding(negotiated(wire), first).first() == "NOT_SUPPORTED"


@pytest.mark.parametrize(
    ("user", "password", "expected"),
    [("u", "wrong", "LOGON_FAILURE"), ("nobody", "p", "LOGON_FAILURE"), ("other", "q", "ACCESS_DENIED")],
)
def test_only_the_same_user_can_bind(wire: Any, user: str, password: str, expected: str) -> None:
    first = wire.connect()
    peer = negotiated(wire)
    binding = Binding(peer, first, user, password)
    assert binding.run() == expected
    assert binding.is_signed_by(first.signer)
    assert works(first)
    assert peer.connection.state.channels == {}
    assert len(session_of(wire, first).channels) == 1
    peer.bind(first, "u", "p")  # on the same connection, this time as who one is
    assert works(peer)


def test_a_guest_cannot_bind(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(guest_account="nobody", guest_on_bad_user=True, accounts=(Account("nobody", 65534, 65534),))
    first = wire.connect()
    assert Binding(negotiated(wire), first, "stranger", "x").run() == "ACCESS_DENIED"
    assert works(first)


def test_garbage_ends_the_binding_and_not_the_session(wire: Any) -> None:
    first = wire.connect()
    binding = Binding(negotiated(wire), first)
    assert binding.first() == "MORE_PROCESSING_REQUIRED"
    binding.context = type("Garbage", (), {"step": lambda self, token: b"garbage"})()
    assert binding.leg() == "INVALID_PARAMETER"
    assert works(first)
    assert len(session_of(wire, first).channels) == 1


def test_no_more_channels_than_may(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(limits=Limits(channels_per_session=3))
    first = wire.connect()
    second = bound(wire, first)
    half = Binding(negotiated(wire), first)
    assert half.first() == "MORE_PROCESSING_REQUIRED"  # it counts from here on
    assert Binding(negotiated(wire), first).first() == "INSUFFICIENT_RESOURCES"
    second.connection.close()
    assert Binding(negotiated(wire), first).first() == "MORE_PROCESSING_REQUIRED"
    assert half.leg() == "SUCCESS"


def test_no_more_logons_at_a_time_than_may(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(limits=Limits(sessions_in_setup=1))
    first, other = wire.connect(), wire.connect()
    peer = negotiated(wire)
    half = Binding(peer, first)
    assert half.first() == "MORE_PROCESSING_REQUIRED"
    assert Binding(peer, other).first() == "TOO_MANY_SESSIONS"
    peer.session_id = first.session_id
    assert half.leg() == "SUCCESS"
    assert Binding(peer, other).first() == "MORE_PROCESSING_REQUIRED"


# Halfway --------------------------------------------------------------------------------------------------------


def test_half_a_binding_is_good_for_nothing(wire: Any) -> None:
    first = wire.connect()
    peer = negotiated(wire)
    assert Binding(peer, first).first() == "MORE_PROCESSING_REQUIRED"
    assert not peer.connection.state.has_session()
    for command, body in ((Command.TREE_CONNECT, TREE), (Command.LOGOFF, LogoffRequest().pack())):
        [(header, _)] = peer.frames(peer.message(command, body), plain=True)
        assert header.status == Status.USER_SESSION_DELETED
    sealed = b"".join(first.sealer.seal(first.session_id, [peer.message(Command.TREE_CONNECT, TREE)]))
    with pytest.raises(Disconnect):
        peer.connection.receive(sealed)
    assert works(first)


def test_a_binding_cannot_become_a_logon(wire: Any) -> None:
    """Its second leg without the flag names a session that this connection does not have."""
    first = wire.connect()
    binding = Binding(negotiated(wire), first)
    assert binding.first() == "MORE_PROCESSING_REQUIRED"
    binding.flags = 0
    assert binding.leg() == "USER_SESSION_DELETED"
    assert works(first)


def test_without_the_flag_it_is_no_binding(wire: Any) -> None:
    """The refusal can be believed by who knows the key of the session."""
    first, stranger = wire.connect(), wire.connect("other", "q")
    binding = Binding(negotiated(wire), first, flags=0)
    assert binding.first() == "USER_SESSION_DELETED"
    assert binding.is_signed_by(first.signer)
    assert Binding(negotiated(wire), first, flags=0, signer=stranger.signer).first() == "USER_SESSION_DELETED"
    assert Binding(negotiated(wire), first, flags=0, signer=None).first() == "USER_SESSION_DELETED"
    assert works(first)


def test_the_session_may_end_while_it_is_bound(wire: Any) -> None:
    first = wire.connect()
    peer = negotiated(wire)
    binding = Binding(peer, first)
    assert binding.first() == "MORE_PROCESSING_REQUIRED"
    first.status(Command.LOGOFF, LogoffRequest().pack())
    assert peer.connection.state.channels == {}
    assert binding.leg() == "USER_SESSION_DELETED"


# The end --------------------------------------------------------------------------------------------------------


def test_logoff_on_one_channel_is_the_end_on_all(wire: Any) -> None:
    first = wire.connect()
    second, third = bound(wire, first), bound(wire, first)
    file = first.make("f")
    assert second.send(Command.LOCK, lock_body(file))[0][0].status == Status.SUCCESS
    [(pending, _)] = third.send(Command.LOCK, lock_body(first.open("f")))
    assert pending.status == Status.PENDING
    assert second.status(Command.LOGOFF, LogoffRequest().pack()) == Status.SUCCESS
    [answer] = third.connection.resume()
    assert Header.unpack_from(answer).status == Status.RANGE_NOT_LOCKED
    assert Header.unpack_from(answer).message_id == pending.message_id
    for peer in (first, second, third):
        assert peer.status(Command.TREE_CONNECT, TREE) == Status.USER_SESSION_DELETED
        assert peer.connection.state.channels == {}
    assert not wire.server.sessions
    wire.check_nothing_is_open()


def test_a_session_lives_as_long_as_it_has_a_channel(wire: Any) -> None:
    first = wire.connect()
    file = first.make("f")
    second = bound(wire, first)
    third = bound(wire, first)
    first.connection.close()
    second.write(file, 0, b"on")
    second.connection.close()
    assert third.read(file, 0, 2) == b"on"
    fourth = negotiated(wire)
    fourth.bind(first, "u", "p")  # what it was made with still binds it
    third.connection.close()
    fourth.connection.close()
    assert not wire.server.sessions
    wire.check_nothing_is_open()


def test_what_waits_is_lost_with_its_own_connection_only(wire: Any) -> None:
    first, holder = wire.connect(), wire.connect("other", "q")
    second = bound(wire, first)
    held = holder.make("f")
    holder.send(Command.LOCK, lock_body(held))
    files = [peer.open("f") for peer in (first, second)]
    [[(waiting, _)], [(lost, _)]] = (
        peer.send(Command.LOCK, lock_body(file)) for peer, file in zip((first, second), files, strict=True)
    )
    assert (waiting.status, lost.status) == (Status.PENDING, Status.PENDING)
    second.connection.close()
    holder.close(held)
    [answer] = first.connection.resume()
    assert Header.unpack_from(answer).status == Status.SUCCESS
    assert Header.unpack_from(answer).message_id == waiting.message_id


def test_failing_to_authenticate_again_ends_the_session_on_all_channels(wire: Any) -> None:
    first = wire.connect()
    second = bound(wire, first)
    again = Binding(second, second, "u", "wrong", flags=0)
    assert again.run() == "LOGON_FAILURE"
    assert again.is_signed_by(second.signer)
    for peer in (first, second):
        assert peer.status(Command.TREE_CONNECT, TREE) == Status.USER_SESSION_DELETED


def test_authenticating_again_on_any_channel_changes_no_key(wire: Any) -> None:
    first = wire.connect()
    second = bound(wire, first)
    again = Binding(second, second, flags=0)
    assert again.run() == "SUCCESS"
    assert again.is_signed_by(second.signer)
    assert works(first)
    assert works(second)
    assert works(bound(wire, first))


# CANCEL ---------------------------------------------------------------------------------------------------------


def test_what_waits_on_one_channel_can_be_cancelled_on_another(wire: Any) -> None:
    """By its AsyncId, which no other request of the server has."""
    first = wire.connect()
    second, stranger = bound(wire, first), wire.connect("other", "q")
    file = first.make("f")
    first.send(Command.LOCK, lock_body(file))
    [(pending, _)] = second.send(Command.LOCK, lock_body(first.open("f")))
    for peer, cancelled in ((stranger, False), (first, True)):
        message = peer.message(Command.CANCEL, CancelRequest().pack(), flags=HeaderFlag.ASYNC_COMMAND, message_id=0)
        message[32:40] = pending.async_id.to_bytes(8, "little")
        assert peer.connection.receive(peer.protect(message)) == []
        answers = [Header.unpack_from(frame) for frame in second.connection.resume()]
        assert [(answer.status, answer.message_id) for answer in answers] == [
            (Status.CANCELLED, pending.message_id)
        ] * cancelled


def test_a_message_id_is_cancelled_on_its_own_connection_only(wire: Any) -> None:
    first = wire.connect()
    second = bound(wire, first)
    file = first.make("f")
    first.send(Command.LOCK, lock_body(file))
    [(pending, _)] = second.send(Command.LOCK, lock_body(first.open("f")))
    first.connection.receive(
        first.protect(first.message(Command.CANCEL, CancelRequest().pack(), message_id=pending.message_id))
    )
    assert second.connection.resume() == []


# Expiry ---------------------------------------------------------------------------------------------------------


def test_a_session_that_has_expired_gives_back_and_authenticates_again(wire: Any) -> None:
    """[MS-SMB2] 3.3.5.2.9"""
    first = wire.connect()
    file = first.make("f")
    assert first.status(Command.LOCK, lock_body(file)) == Status.SUCCESS
    session_of(wire, first).expires_ns = 1
    assert first.status(Command.TREE_CONNECT, TREE) == Status.NETWORK_SESSION_EXPIRED
    with pytest.raises(StatusError) as refused:
        first.read(file, 0, 1)
    assert refused.value.status == Status.NETWORK_SESSION_EXPIRED
    assert first.status(Command.LOCK, lock_body(file)) == Status.NETWORK_SESSION_EXPIRED
    unlock = bytearray(lock_body(file))
    unlock[-8:-4] = LockFlag.UNLOCK.to_bytes(4, "little")
    assert first.status(Command.LOCK, bytes(unlock)) == Status.SUCCESS
    assert first.status(Command.ECHO, ECHO) == Status.SUCCESS
    assert Binding(negotiated(wire), first).first() == "NETWORK_SESSION_EXPIRED"
    assert Binding(first, first, flags=0).run() == "SUCCESS"
    assert works(first)
    session_of(wire, first).expires_ns = 1
    first.close(file)
    assert first.status(Command.LOGOFF, LogoffRequest().pack()) == Status.SUCCESS
