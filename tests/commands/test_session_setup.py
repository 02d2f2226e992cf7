"""SESSION_SETUP: who gets in, who does not, and what a failure costs."""

import errno
import struct
from collections.abc import Callable
from typing import Any

import pytest
import spnego
from spnego._ntlm_raw.messages import NegotiateFlags

from smbport.commands.session_setup import ACCOUNT_NS
from smbport.commands.steps import Manner
from smbport.platform import Account
from smbport.security.auth import UserRecord, nt_hash
from smbport.state.settings import Limits, ShareSettings
from smbport.wire.constants import (
    Cipher,
    Command,
    CreateOption,
    Dialect,
    HeaderFlag,
    SecurityMode,
    SessionFlag,
    SigningAlgorithm,
)
from smbport.wire.echo import CancelRequest, EchoRequest
from smbport.wire.header import HEADER_SIZE, Header
from smbport.wire.session import (
    LogoffRequest,
    SessionSetupRequest,
    SessionSetupResponse,
    pack_session_setup_request,
    security_buffer,
)
from smbport.wire.status import Disconnect, Status, StatusError, status_name
from smbport.wire.tree import pack_tree_connect_request

EVERY_DIALECT = (0x0202, 0x0210, 0x0300, 0x0302, 0x0311)
ALICE = Account("alice", 1001, 1001, (50,))
NOBODY = Account("nobody", 65534, 65534)
ECHO = EchoRequest().pack()
TREE = pack_tree_connect_request("\\\\server\\s")


class Logon:
    """One logon, leg by leg: NTLM without SPNEGO round it."""

    def __init__(self, peer: Any, user: str = "u", password: str = "p", **fields: int) -> None:
        """Without a user, it is anonymous."""
        self.peer = peer
        self.fields = {"security_mode": SecurityMode.SIGNING_ENABLED, **fields}
        self.context = spnego.client(user or "nobody", password, hostname="server", service="cifs", protocol="ntlm")
        self.anonymous = not user
        self.preauth = peer._preauth.copy()
        self.answer: bytes | None = None

    def first(self, *, plain: bool = True) -> tuple[int, SessionSetupResponse | None]:
        """Offer NTLM."""
        return self.leg(self.context.step() or b"", plain=plain)

    def last(self, *, plain: bool = True) -> tuple[int, SessionSetupResponse | None]:
        """Answer the challenge; if that was right, the client signs from now on."""
        assert self.answer is not None
        token = self.context.step(self.answer) or b""
        status, response = self.leg(anonymous_token() if self.anonymous else token, plain=plain)
        if status == Status.SUCCESS and self.peer.signer is None:
            self.peer._make_keys(bytes(16) if self.anonymous else bytes(self.context.session_key), self.preauth)
        return status, response

    def run(self, *, plain: bool = True) -> tuple[int, SessionSetupResponse | None]:
        status, response = self.first(plain=plain)
        return (status, response) if status != Status.MORE_PROCESSING_REQUIRED else self.last(plain=plain)

    def leg(self, token: bytes, *, plain: bool = True) -> tuple[int, SessionSetupResponse | None]:
        [(header, frame)] = self.send(token, plain=plain) or self.peer.late()
        if header.session_id:
            self.peer.session_id = header.session_id
        if header.status not in (Status.SUCCESS, Status.MORE_PROCESSING_REQUIRED):
            return header.status, None
        if header.status:
            self.preauth.update(frame)
        response = SessionSetupResponse.unpack_from(frame, HEADER_SIZE)
        self.answer = bytes(security_buffer(frame, response))
        self.frame = frame
        return header.status, response

    def send(self, token: bytes, *, plain: bool = True) -> list[tuple[Header, bytes]]:
        """One request; nothing comes back at once if it failed."""
        request = SessionSetupRequest(**self.fields)
        message = self.peer.message(Command.SESSION_SETUP, pack_session_setup_request(request, token))
        self.preauth.update(message)
        replies: list[tuple[Header, bytes]] = self.peer.frames(message, plain=plain)
        return replies


def anonymous_token() -> bytes:
    """AUTHENTICATE of nobody."""
    fields = struct.pack("<HHI", 1, 1, 64) + struct.pack("<HHI", 0, 0, 65) * 5
    return b"NTLMSSP\0\3\0\0\0" + fields + struct.pack("<I", 0xA2888215 | NegotiateFlags.anonymous) + b"\0"


def new_peer(wire: Any, dialect: int = 0x0311) -> Any:
    """A client that has negotiated, and that waits for what is late."""
    peer = wire.client()
    peer.negotiate([dialect])
    peer.late = lambda: [(Header.unpack_from(frame), frame) for frame in peer.connection.resume(expire=True)]
    return peer


def logged_on(wire: Any, user: str = "u", password: str = "p", **keywords: Any) -> Any:
    peer = new_peer(wire, keywords.pop("dialect", 0x0311))
    status, _ = Logon(peer, user, password, **keywords).run()
    assert status_name(status) == "STATUS_SUCCESS"
    return peer


def session_of(peer: Any) -> Any:
    return peer.connection.state.channels[peer.session_id].session


def refusal(peer: Any, user: str, password: str) -> int:
    return Logon(peer, user, password).run()[0]


def guests(**share: object) -> dict[str, Any]:
    """Settings with which anybody is welcome."""
    return {
        "guest_account": "nobody",
        "guest_on_bad_user": True,
        "anonymous": "ipc-only",
        "share": {"guest": True, **share},
    }


# Success --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", EVERY_DIALECT)
def test_a_user_logs_on(wire: Any, dialect: int) -> None:
    """Two legs; the last answer is signed with the new key, and so is all that follows."""
    peer = new_peer(wire, dialect)
    logon = Logon(peer)
    assert logon.first()[0] == Status.MORE_PROCESSING_REQUIRED
    assert not Header.unpack_from(logon.frame).flags & HeaderFlag.SIGNED
    status, response = logon.last()
    assert status == Status.SUCCESS
    assert response is not None
    assert response.session_flags == 0
    assert Header.unpack_from(logon.frame).flags & HeaderFlag.SIGNED
    assert peer._is_authentic(logon.frame)
    session = session_of(peer)
    assert (session.user_name, session.user.kind, session.valid) == ("u", "user", True)
    assert wire.server.sessions == {peer.session_id: session}
    assert peer.status(Command.ECHO, ECHO) == Status.SUCCESS


@pytest.mark.parametrize(
    "algorithm", [SigningAlgorithm.HMAC_SHA256, SigningAlgorithm.AES_CMAC, SigningAlgorithm.AES_GMAC]
)
@pytest.mark.parametrize("cipher", [Cipher.AES_128_CCM, Cipher.AES_128_GCM, Cipher.AES_256_CCM, Cipher.AES_256_GCM])
def test_keys_are_those_that_were_negotiated(new_wire: Callable[..., Any], algorithm: int, cipher: int) -> None:
    peer = new_wire(signing_algorithms=(algorithm,), ciphers=(cipher,)).connect(share=None)
    assert (peer.signing_algorithm, peer.cipher) == (algorithm, cipher)
    assert peer.status(Command.ECHO, ECHO) == Status.SUCCESS
    peer.seal = True
    assert peer.status(Command.ECHO, ECHO) == Status.SUCCESS


@pytest.mark.parametrize("setting", ["required", "offered"])
@pytest.mark.parametrize("mode", [SecurityMode.SIGNING_ENABLED, SecurityMode.SIGNING_REQUIRED])
def test_signing_is_required_if_either_side_wants_it(new_wire: Callable[..., Any], setting: str, mode: int) -> None:
    peer = logged_on(new_wire(signing=setting), security_mode=mode)
    required = setting == "required" or mode == SecurityMode.SIGNING_REQUIRED
    assert session_of(peer).signing_required is required
    [(header, _)] = peer.frames(peer.message(Command.ECHO, ECHO), plain=True)
    assert header.status == (Status.ACCESS_DENIED if required else Status.SUCCESS)


def test_several_users_on_one_connection(wire: Any) -> None:
    """Each with its own id and keys: a signature of one is none of the other."""
    first = wire.connect(share=None)
    second = first.beside()
    second.log_on("other", "q")
    assert first.session_id != second.session_id
    assert {session.user_name for session in wire.server.sessions.values()} == {"u", "other"}
    signed = first.message(Command.ECHO, ECHO)
    signed[40:48] = second.session_id.to_bytes(8, "little")
    [(header, _)] = first.frames(signed)
    assert header.status == Status.ACCESS_DENIED


# Refusal tells nothing --------------------------------------------------------------------


def test_wrong_unknown_and_disabled_are_the_same_to_the_client(wire: Any) -> None:
    wire.users.put(UserRecord("away", nt_hash("p"), disabled=True))
    frames = []
    for user, password in (("u", "x"), ("nosuch", "p"), ("away", "p"), ("away", "x"), ("u", "")):
        peer = new_peer(wire)
        logon = Logon(peer, user, password)
        logon.first()
        assert logon.answer is not None
        assert logon.send(logon.context.step(logon.answer) or b"") == []
        [(header, frame)] = peer.late()
        assert status_name(header.status) == "STATUS_LOGON_FAILURE"
        frames.append(frame[:40] + frame[48:])  # without the session id that the client sent
        assert not wire.server.sessions
        assert not peer.connection.state.channels
    assert len(set(frames)) == 1


@pytest.mark.parametrize(
    "token", [b"", b"NTLMSSP", b"NTLMSSP\0\x09\0\0\0", b"\x60\x82", bytes(100), b"\x60\x84\xff\xff\xff\xff"]
)
def test_a_token_that_is_none(wire: Any, token: bytes) -> None:
    peer = new_peer(wire)
    assert Logon(peer).leg(token)[0] in (Status.INVALID_PARAMETER, Status.LOGON_FAILURE)
    assert not wire.server.sessions


def test_a_request_that_lies(wire: Any) -> None:
    """Refused before there is a session: StructureSize, ends, and the place of the token."""
    peer = new_peer(wire)
    body = pack_session_setup_request(SessionSetupRequest(security_mode=1), Logon(peer).context.step() or b"")
    assert peer.lie(Command.SESSION_SETUP, body, least=len(body), fields=[(12, 2, 14, 2)]) == {Status.INVALID_PARAMETER}
    assert not wire.server.sessions
    assert Logon(peer).run()[0] == Status.SUCCESS


def test_a_session_that_nobody_has(wire: Any) -> None:
    """Neither an id that does not exist, nor one of another connection."""
    victim = wire.connect()
    for session_id in (1, victim.session_id, 0xFFFFFFFFFFFFFFFF):
        thief = new_peer(wire)
        thief.session_id = session_id
        assert Logon(thief).first()[0] == Status.USER_SESSION_DELETED
    assert victim.status(Command.ECHO, ECHO) == Status.SUCCESS


def test_a_half_made_session_is_good_for_nothing(wire: Any) -> None:
    peer = new_peer(wire)
    Logon(peer).first()
    for command, body in ((Command.TREE_CONNECT, TREE), (Command.LOGOFF, LogoffRequest().pack())):
        [(header, _)] = peer.frames(peer.message(command, body))
        assert header.status == Status.USER_SESSION_DELETED


@pytest.mark.parametrize("user_is_there", [False, True])
def test_an_anonymous_session_may_seal_where_a_user_does(new_wire: Callable[..., Any], user_is_there: bool) -> None:
    """Clients that must seal do so with everything on a connection.  Elsewhere it would be no more than a show."""
    wire = new_wire(**guests())
    first = logged_on(wire) if user_is_there else new_peer(wire)
    peer = first.beside()
    assert Logon(peer, "").run()[0] == Status.SUCCESS
    peer.seal = True
    if user_is_there:
        assert peer.tree_connect("IPC$")
        return
    with pytest.raises(Disconnect):
        peer.tree_connect("IPC$")


def test_an_answer_works_once(wire: Any) -> None:
    """A challenge is good for one answer: a second with the right password is not heard."""
    peer = new_peer(wire)
    logon = Logon(peer)
    logon.first()
    assert logon.answer is not None
    right = logon.context.step(logon.answer) or b""
    assert logon.leg(right[:-1] + bytes([right[-1] ^ 1]))[0] == Status.LOGON_FAILURE
    assert logon.leg(right)[0] == Status.USER_SESSION_DELETED


def test_encryption_required_needs_a_dialect_that_can(new_wire: Callable[..., Any]) -> None:
    for dialect in (0x0202, 0x0210):
        assert Logon(new_peer(new_wire(encryption="required"), dialect)).first()[0] == Status.ACCESS_DENIED


def test_encryption_required_needs_a_cipher(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(encryption="required")
    peer = wire.client()
    peer.negotiate([0x0311], ciphers=())
    peer.late = list
    assert Logon(peer).run()[0] == Status.ACCESS_DENIED
    assert not wire.server.sessions


def test_encryption_required(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(encryption="required")
    peer = new_peer(wire)
    status, response = Logon(peer).run()
    assert status == Status.SUCCESS
    assert response is not None
    assert response.session_flags == SessionFlag.ENCRYPT_DATA
    assert peer.frames(peer.message(Command.TREE_CONNECT, TREE))[0][0].status == Status.ACCESS_DENIED
    peer.seal = True
    assert peer.tree_connect("s")


# Guessing ---------------------------------------------------------------------------------


def guess(wire: Any, peer: Any) -> None:
    """One wrong password, whose answer is late."""
    logon = Logon(peer, "u", "x")
    logon.first()
    assert logon.answer is not None
    assert logon.send(logon.context.step(logon.answer) or b"") == []
    peer.session_id = 0


def test_a_failure_is_answered_late_and_without_a_word_before(wire: Any) -> None:
    peer = new_peer(wire)
    guess(wire, peer)
    [waiter] = peer.connection.waiting
    assert waiter.step.timeout_s == wire.server.settings.limits.failed_logon_delay_s == 2
    assert waiter.step.manner is Manner.SHIELDED
    assert peer.connection.resume() == []
    [(header, _)] = peer.late()
    assert header.status == Status.LOGON_FAILURE


def test_cancel_does_not_make_it_earlier(wire: Any) -> None:
    peer = new_peer(wire)
    guess(wire, peer)
    for message_id in (peer.message_id - 1, peer.message_id - 2):
        assert peer.frames(peer.message(Command.CANCEL, CancelRequest().pack(), message_id=message_id)) == []
    assert len(peer.connection.waiting) == 1
    assert peer.late()[0][0].status == Status.LOGON_FAILURE


def test_the_fifth_failure_ends_the_connection(wire: Any) -> None:
    peer = new_peer(wire)
    for _ in range(4):
        guess(wire, peer)
        peer.late()
    with pytest.raises(Disconnect, match="5 failed logons"):
        guess(wire, peer)
    peer.connection.close()
    assert not wire.server.sessions


def test_more_connections_buy_nothing(wire: Any) -> None:
    """Four failures of one address may wait; the next costs its connection, until one of them was answered."""
    peers = [new_peer(wire) for _ in range(4)]
    for peer in peers:
        guess(wire, peer)
    with pytest.raises(Disconnect, match="too many failed logons"):
        guess(wire, new_peer(wire))
    peers[0].late()
    guess(wire, new_peer(wire))


def test_others_are_not_held_up(wire: Any) -> None:
    for _ in range(4):
        guess(wire, new_peer(wire))
    assert wire.connect().status(Command.ECHO, ECHO) == Status.SUCCESS
    elsewhere = wire.client(address="192.0.2.2")
    elsewhere.negotiate()
    guess(wire, elsewhere)


def test_a_client_that_hangs_up_leaves_room(wire: Any) -> None:
    for _ in range(12):
        peer = new_peer(wire)
        guess(wire, peer)
        peer.connection.close()


# Limits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["sessions_in_setup", "sessions_per_connection", "sessions"])
def test_half_made_sessions_are_bounded(new_wire: Callable[..., Any], limit: str) -> None:
    wire = new_wire(limits=Limits(**{limit: 3}))
    peer = new_peer(wire)
    for _ in range(3):
        peer.session_id = 0
        assert Logon(peer).first()[0] == Status.MORE_PROCESSING_REQUIRED
    peer.session_id = 0
    assert Logon(peer).first()[0] == Status.TOO_MANY_SESSIONS
    assert len(wire.server.sessions) == 3
    peer.connection.close()
    assert Logon(new_peer(wire)).run()[0] == Status.SUCCESS


def test_sessions_that_are_made_do_not_count_as_half_made(new_wire: Callable[..., Any]) -> None:
    peer = new_peer(new_wire(limits=Limits(sessions_in_setup=1)))
    for _ in range(3):
        peer.session_id, peer.signer = 0, None
        assert Logon(peer).run()[0] == Status.SUCCESS


# Guests and anonymous users ----------------------------------------------------------------------------------------


def test_nobody_is_let_in_without_a_word_in_the_settings(wire: Any) -> None:
    for user in ("guest", "nosuch", ""):
        assert refusal(new_peer(wire), user, "x") == Status.LOGON_FAILURE


@pytest.mark.parametrize(("user", "bad_user"), [("guest", False), ("GUEST", False), ("nosuch", True)])
def test_a_guest(new_wire: Callable[..., Any], user: str, bad_user: bool) -> None:
    wire = new_wire(**{**guests(), "guest_on_bad_user": bad_user})
    peer = new_peer(wire)
    logon = Logon(peer, user, "whatever")
    status, response = logon.run()
    assert status == Status.SUCCESS
    assert response is not None
    assert response.session_flags == SessionFlag.IS_GUEST
    assert not Header.unpack_from(logon.frame).flags & HeaderFlag.SIGNED, "there is no secret to sign with"
    session = session_of(peer)
    assert (session.user_name, session.user.kind) == ("guest", "guest")
    assert session.signing_required is False
    assert session.sealer is None
    assert peer.frames(peer.message(Command.ECHO, ECHO), plain=True)[0][0].status == Status.SUCCESS


def test_a_wrong_password_is_never_a_guest(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(**guests())
    wire.users.put(UserRecord("away", nt_hash("p"), disabled=True))
    for user, password in (("u", "x"), ("U", ""), ("away", "p")):
        assert refusal(new_peer(wire), user, password) == Status.LOGON_FAILURE


def test_an_unknown_user_is_no_guest_unless_that_is_wanted(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(**{**guests(), "guest_on_bad_user": False})
    assert refusal(new_peer(wire), "nosuch", "x") == Status.LOGON_FAILURE


def test_an_anonymous_user(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(anonymous="ipc-only")
    peer = new_peer(wire)
    status, response = Logon(peer, "", "x").run()
    assert status == Status.SUCCESS
    assert response is not None
    assert response.session_flags == SessionFlag.IS_NULL
    assert (session_of(peer).user_name, session_of(peer).sealer) == ("", None)


def test_guests_cannot_seal_so_required_encryption_keeps_them_out(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(**guests(), encryption="required")
    assert refusal(new_peer(wire), "guest", "x") == Status.ACCESS_DENIED
    assert refusal(new_peer(wire), "", "x") == Status.ACCESS_DENIED
    assert not wire.server.sessions


# Whose rights the files are opened with ----------------------------------------------------------------------------


def mapped(wire: Any, user: str, password: str = "p", **keywords: Any) -> Account | None:
    account: Account | None = session_of(logged_on(wire, user, password, **keywords)).account
    return account


def test_the_account_of_the_same_name(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(accounts=[ALICE])
    wire.users.put(UserRecord("alice", nt_hash("p")))
    assert mapped(wire, "ALICE") == ALICE


def test_the_account_that_the_user_was_given(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(accounts=[ALICE])
    wire.users.put(UserRecord("boss", nt_hash("p"), account="alice"))
    assert mapped(wire, "boss") == ALICE


@pytest.mark.parametrize("record", [UserRecord("u2", nt_hash("p")), UserRecord("u2", nt_hash("p"), account="gone")])
def test_no_account_is_none_and_not_the_servers(new_wire: Callable[..., Any], record: UserRecord) -> None:
    wire = new_wire(accounts=[ALICE])
    wire.users.put(record)
    assert mapped(wire, "u2") is None


@pytest.mark.parametrize(
    "record", [UserRecord("server", nt_hash("p")), UserRecord("x", nt_hash("p"), account="server")]
)
def test_a_user_cannot_be_the_server(new_wire: Callable[..., Any], record: UserRecord) -> None:
    """The platform has an account `server`, uid 0; the word means this process only in the settings of shares."""
    wire = new_wire(accounts=[ALICE])
    wire.users.put(record)
    assert wire.server.platform.identity.find_account("server").uid == 0
    assert mapped(wire, record.name) is None


@pytest.mark.parametrize(("setting", "account"), [("nobody", NOBODY), ("server", None), ("gone", None)])
def test_the_account_of_guests(new_wire: Callable[..., Any], setting: str, account: Account | None) -> None:
    wire = new_wire(accounts=[ALICE, NOBODY], **{**guests(), "guest_account": setting})
    assert mapped(wire, "guest") == account


def test_anonymous_users_have_no_account(new_wire: Callable[..., Any]) -> None:
    assert mapped(new_wire(accounts=[ALICE], anonymous="ipc-only"), "", "x") is None


def test_an_account_is_not_looked_up_again_within_seconds(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(accounts=[ALICE])
    wire.users.put(UserRecord("alice", nt_hash("p")))
    assert mapped(wire, "alice") == ALICE
    changed = wire.memory.identity._accounts["alice"] = Account("alice", 1001, 1001, (51,))
    assert mapped(wire, "alice") == ALICE
    found_ns, account = wire.server.accounts["alice"]
    wire.server.accounts["alice"] = found_ns - ACCOUNT_NS, account
    assert mapped(wire, "alice") == changed


def test_the_look_up_may_take_a_thread(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(accounts=[ALICE])
    wire.faults.force_threads("Identity.find_account")
    wire.users.put(UserRecord("alice", nt_hash("p")))
    assert mapped(wire, "alice") == ALICE


def test_a_look_up_that_fails_leaves_no_session(new_wire: Callable[..., Any]) -> None:
    """More often than a connection may have sessions in setup."""
    wire = new_wire(accounts=[ALICE])
    peer = new_peer(wire)
    wire.faults.fail("Identity.find_account", errno.EIO, times=10)
    for _ in range(10):
        peer.session_id = 0
        assert Logon(peer).run()[0] == Status.UNEXPECTED_IO_ERROR
        assert not wire.server.sessions
    peer.session_id = 0
    assert Logon(peer).run()[0] == Status.SUCCESS


# Previous sessions --------------------------------------------------------------------------------------------------


def with_file(peer: Any, name: str = "f", options: int = 0) -> Any:
    peer.tree = peer.tree_connect("s")
    return peer.make(name, options=options)


def test_a_client_that_comes_back_ends_its_old_session(wire: Any) -> None:
    old = logged_on(wire)
    with_file(old)
    new = logged_on(wire, previous_session_id=old.session_id)
    assert list(wire.server.sessions) == [new.session_id]
    assert wire.server.open_count == 0
    assert old.frames(old.message(Command.ECHO, ECHO))[0][0].status == Status.SUCCESS, "ECHO needs no session"
    [(header, _)] = old.frames(old.message(Command.TREE_CONNECT, TREE))
    assert header.status == Status.USER_SESSION_DELETED


def test_what_the_old_session_would_delete_is_deleted(wire: Any) -> None:
    old = logged_on(wire)
    with_file(old, options=CreateOption.DELETE_ON_CLOSE)
    logged_on(wire, previous_session_id=old.session_id)
    assert wire.names() == []
    wire.check_nothing_is_open()


@pytest.mark.parametrize("user", ["other", "guest", ""])
def test_nobody_else_can(new_wire: Callable[..., Any], user: str) -> None:
    wire = new_wire(**guests())
    victim = logged_on(wire)
    with_file(victim)
    logged_on(wire, user, "q", previous_session_id=victim.session_id)
    assert session_of(victim).valid
    assert victim.open("f")


@pytest.mark.parametrize("previous", ["none", "half-made", "itself"])
def test_a_previous_session_that_is_none(wire: Any, previous: str) -> None:
    half = new_peer(wire)
    Logon(half).first()
    peer = new_peer(wire)
    logon = Logon(peer)
    logon.first()
    logon.fields["previous_session_id"] = {"none": 77, "half-made": half.session_id, "itself": peer.session_id}[
        previous
    ]
    assert logon.last()[0] == Status.SUCCESS
    assert session_of(peer).valid
    assert half.session_id in wire.server.sessions


# Logging on again ---------------------------------------------------------------------------------------------------


def test_logging_on_again_keeps_keys_trees_and_opens(wire: Any) -> None:
    peer = logged_on(wire)
    file = with_file(peer)
    signer = peer.signer
    assert Logon(peer).run(plain=False)[0] == Status.SUCCESS
    assert peer.signer is signer
    peer.write(file, 0, b"after")
    assert len(wire.server.sessions) == 1


def test_its_answers_are_signed_with_the_old_key(wire: Any) -> None:
    peer = logged_on(wire)
    logon = Logon(peer)
    for leg in (logon.first, logon.last):
        leg(plain=False)
        assert Header.unpack_from(logon.frame).flags & HeaderFlag.SIGNED
        assert peer._is_authentic(logon.frame)


def test_it_may_be_sealed_instead(wire: Any) -> None:
    peer = logged_on(wire)
    logon = Logon(peer)
    peer.seal = True
    for token in (logon.context.step() or b"", None):
        request = SessionSetupRequest(**logon.fields)
        body = pack_session_setup_request(request, token or logon.context.step(logon.answer) or b"")
        header, frame = peer.ask(Command.SESSION_SETUP, body)
        logon.answer = bytes(security_buffer(frame, SessionSetupResponse.unpack_from(frame, HEADER_SIZE)))
    assert header.status == Status.SUCCESS


@pytest.mark.parametrize("leg", ["first", "last"])
def test_every_leg_of_it_must_be_signed(wire: Any, leg: str) -> None:
    """Or somebody on the way could finish it with a name and password of their own."""
    peer = logged_on(wire)
    logon = Logon(peer)
    if leg == "last":
        logon.first(plain=False)
    assert getattr(logon, leg)(plain=True)[0] == Status.ACCESS_DENIED
    assert session_of(peer).user_name == "u"


def test_a_seal_of_another_session_is_no_signature(wire: Any) -> None:
    victim = logged_on(wire)
    other = victim.beside()
    other.log_on("other", "q")
    own, other.session_id = other.session_id, victim.session_id
    body = pack_session_setup_request(SessionSetupRequest(security_mode=1), Logon(victim).context.step() or b"")
    message = other.message(Command.SESSION_SETUP, body)
    other.session_id, other.seal = own, True
    [frame] = other.connection.receive(other.protect(message))
    reply = Header.unpack_from(other.sealer.unseal(memoryview(bytearray(frame))))
    assert reply.status == Status.ACCESS_DENIED


def test_failing_to_log_on_again_ends_the_session(wire: Any) -> None:
    peer = logged_on(wire)
    with_file(peer, options=CreateOption.DELETE_ON_CLOSE)
    assert Logon(peer, "u", "x").run(plain=False)[0] == Status.LOGON_FAILURE
    assert not wire.server.sessions
    assert wire.names() == []
    wire.check_nothing_is_open()


def test_rights_are_refreshed(new_wire: Callable[..., Any]) -> None:
    """Groups changed since the first logon: the next tree has the new ones."""
    wire = new_wire(accounts=[ALICE], share={"run_as": "client"})
    wire.users.put(UserRecord("alice", nt_hash("p")))
    peer = logged_on(wire, "alice")
    wire.memory.identity._accounts["alice"] = Account("alice", 1001, 1001, (51,))
    assert session_of(peer).account.groups == (50,)
    assert Logon(peer, "alice").run(plain=False)[0] == Status.SUCCESS
    assert session_of(peer).account.groups == (51,)
    assert session_of(peer).trees == {}
    peer.tree_connect("s")
    assert session_of(peer).trees[1].account.groups == (51,)


def test_logging_on_again_as_somebody_else(new_wire: Callable[..., Any]) -> None:
    """Windows lets it: what is open stays as it is, what comes has the rights of the new user."""
    wire = new_wire(accounts=[ALICE])
    wire.users.put(UserRecord("alice", nt_hash("p")))
    peer = logged_on(wire, "alice")
    assert Logon(peer, "u").run(plain=False)[0] == Status.SUCCESS
    assert (session_of(peer).user_name, session_of(peer).account) == ("u", None)


def test_the_word_server_does_not_keep_the_account_of_the_user_before(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(accounts=[ALICE])
    wire.users.put(UserRecord("alice", nt_hash("p")))
    wire.users.put(UserRecord("server", nt_hash("p")))
    peer = logged_on(wire, "alice")
    assert Logon(peer, "server").run(plain=False)[0] == Status.SUCCESS
    assert session_of(peer).account is None


@pytest.mark.parametrize(("before", "after"), [("guest", "u"), ("", "u"), ("u", "guest"), ("guest", "")])
def test_a_guest_does_not_become_a_user_nor_the_reverse(new_wire: Callable[..., Any], before: str, after: str) -> None:
    """A guest's keys are no secret: a relayed logon of a user on top would be a session that anybody can sign for."""
    wire = new_wire(**guests())
    peer = logged_on(wire, before, "p")
    kind = session_of(peer).user.kind
    assert Logon(peer, after, "p").run(plain=False)[0] == Status.ACCESS_DENIED
    assert session_of(peer).user.kind == kind


def test_a_user_may_turn_anonymous_and_back(new_wire: Callable[..., Any]) -> None:
    """smb2.session.reauth2 and reauth3: the keys stay the user's, and so does the signing."""
    wire = new_wire(**guests())
    peer = logged_on(wire, "u", "p")
    for name, kind in (("", "anonymous"), ("u", "user")):
        assert Logon(peer, name, "p").run(plain=False)[0] == Status.SUCCESS
        assert session_of(peer).user.kind == kind
        assert session_of(peer).signing_required


def test_a_logoff_while_the_account_is_looked_up(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(accounts=[ALICE])
    peer = logged_on(wire)
    wire.faults.force_threads("Identity.find_account")
    off: list[int] = []
    wire.faults.do_before(
        "Identity.find_account", lambda: off.append(peer.status(Command.LOGOFF, LogoffRequest().pack()))
    )
    assert Logon(peer).run(plain=False)[0] == Status.USER_SESSION_DELETED
    assert off == [Status.SUCCESS]
    assert not wire.server.sessions


def test_a_refused_logon_is_an_error_for_the_client(wire: Any) -> None:
    peer = wire.client()
    peer.negotiate()
    with pytest.raises(StatusError) as refused:
        peer.log_on("u", "wrong")
    assert refused.value.status == Status.LOGON_FAILURE


def test_a_share_that_must_be_sealed_is_no_matter_of_the_session(new_wire: Callable[..., Any]) -> None:
    share = ShareSettings(name="s", path="v", run_as="server", encryption="required")
    _, response = Logon(new_peer(new_wire(shares=(share,)))).run()
    assert response is not None
    assert response.session_flags == 0


def test_smb_2_0_2_has_keys_too(wire: Any) -> None:
    peer = logged_on(wire, dialect=Dialect.SMB_2_0_2)
    assert peer.status(Command.ECHO, ECHO) == Status.SUCCESS
