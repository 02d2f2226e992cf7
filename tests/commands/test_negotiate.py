"""NEGOTIATE: what is agreed on, and what is refused before anybody is known."""

from collections.abc import Callable
from typing import Any

import pytest

from smbport.security.preauth import PreauthHash
from smbport.wire.constants import (
    Capability,
    Cipher,
    Command,
    Dialect,
    HashAlgorithm,
    NegotiateContextType,
    SecurityMode,
    SigningAlgorithm,
)
from smbport.wire.echo import EchoRequest
from smbport.wire.header import HEADER_SIZE, Header
from smbport.wire.negotiate import (
    NegotiateRequest,
    NegotiateResponse,
    negotiate_contexts,
    negotiate_security_buffer,
    pack_encryption_context,
    pack_negotiate_request,
    pack_preauth_context,
    pack_signing_context,
    pack_smb1_negotiate_request,
    parse_encryption_context,
    parse_preauth_context,
    parse_signing_context,
)
from smbport.wire.session import SessionSetupRequest, pack_session_setup_request
from smbport.wire.status import Disconnect, Status, StatusError, status_name
from smbport.wire.text import filetime_from_ns

Context = tuple[int, bytes]

PREAUTH, ENCRYPTION = NegotiateContextType.PREAUTH_INTEGRITY, NegotiateContextType.ENCRYPTION
SIGNING, COMPRESSION = NegotiateContextType.SIGNING, NegotiateContextType.COMPRESSION
HASH: Context = (PREAUTH, pack_preauth_context((HashAlgorithm.SHA_512,), bytes(32)))
GCM: Context = (ENCRYPTION, pack_encryption_context((Cipher.AES_128_GCM,)))
CMAC: Context = (SIGNING, pack_signing_context((SigningAlgorithm.AES_CMAC,)))
EVERY_DIALECT = (0x0202, 0x0210, 0x0300, 0x0302, 0x0311)
ALL_CIPHERS = (Cipher.AES_256_GCM, Cipher.AES_256_CCM, Cipher.AES_128_CCM, Cipher.AES_128_GCM)
SMB3 = (Dialect.SMB_3_0, Dialect.SMB_3_0_2)


def request(*, capabilities: int = 0, security_mode: int = SecurityMode.SIGNING_ENABLED) -> NegotiateRequest:
    return NegotiateRequest(security_mode=security_mode, capabilities=capabilities, client_guid=b"guid of a client")


def body(dialects: tuple[int, ...] = (0x0311,), contexts: tuple[Context, ...] = (HASH,), **fields: int) -> bytes:
    return pack_negotiate_request(request(**fields), dialects, contexts)


def ask(peer: Any, sent: bytes) -> tuple[int, NegotiateResponse | None, bytes]:
    """Status, response if there is one, and the frame."""
    [(header, frame)] = peer.send(Command.NEGOTIATE, sent)
    response = None if header.status else NegotiateResponse.unpack_from(frame, HEADER_SIZE)
    return header.status, response, frame


def agree(wire: Any, sent: bytes) -> tuple[NegotiateResponse, dict[int, memoryview], Any]:
    """The response, its contexts by type, and what the server knows of the connection."""
    peer = wire.client()
    status, response, frame = ask(peer, sent)
    assert status_name(status) == "STATUS_SUCCESS"
    assert response is not None
    contexts = negotiate_contexts(frame, response) if response.negotiate_context_count else []
    return response, dict(contexts), peer.connection.state


# Dialects -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offered", [(dialect,) for dialect in EVERY_DIALECT] + [EVERY_DIALECT, EVERY_DIALECT[::-1]])
def test_the_newest_dialect_in_common(wire: Any, offered: tuple[int, ...]) -> None:
    response, _, state = agree(wire, body(offered, (HASH,) if 0x0311 in offered else ()))
    assert response.dialect_revision == max(offered) == state.dialect
    assert state.negotiated
    assert state.client_dialects == offered
    assert state.client_guid == b"guid of a client"


def test_the_server_may_know_fewer(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(dialects=(0x0210, 0x0302))
    assert agree(wire, body(EVERY_DIALECT, (HASH,)))[0].dialect_revision == 0x0302
    assert ask(wire.client(), body())[0] == Status.NOT_SUPPORTED


def test_unknown_dialects_are_passed_over(wire: Any) -> None:
    assert agree(wire, body((0x0000, 0x0401, 0x0210, 0x02FF, 0xFFFF), ()))[0].dialect_revision == 0x0210


def test_no_dialect_in_common(wire: Any) -> None:
    for offered in ((0x0401,), (0x02FF,), (0x0000,)):
        assert ask(wire.client(), body(offered, ()))[0] == Status.NOT_SUPPORTED


def test_no_dialects_at_all(wire: Any) -> None:
    assert ask(wire.client(), body((), ()))[0] == Status.INVALID_PARAMETER


@pytest.mark.parametrize("dialect", EVERY_DIALECT)
def test_sizes(wire: Any, dialect: int) -> None:
    response, _, state = agree(wire, body((dialect,), (HASH,) if dialect == 0x0311 else ()))
    limits = wire.server.settings.limits
    sizes = (response.max_transact_size, response.max_read_size, response.max_write_size)
    if dialect == Dialect.SMB_2_0_2:
        assert sizes == (65536,) * 3
        assert not response.capabilities & Capability.LARGE_MTU
    else:
        assert sizes == (limits.transact_size, limits.read_size, limits.write_size)
        assert response.capabilities & Capability.LARGE_MTU
    assert sizes == (state.max_transact, state.max_read, state.max_write)


@pytest.mark.parametrize("dialect", EVERY_DIALECT)
def test_nothing_is_announced_that_is_not_served(wire: Any, dialect: int) -> None:
    contexts = (HASH,) if dialect == 0x0311 else ()
    response, _, _ = agree(wire, body((dialect,), contexts, capabilities=0xFF))
    absent = Capability.DFS | Capability.PERSISTENT_HANDLES | Capability.NOTIFICATIONS
    assert not response.capabilities & absent


@pytest.mark.parametrize("dialect", EVERY_DIALECT)
@pytest.mark.parametrize("asked", [0, Capability.MULTI_CHANNEL])
@pytest.mark.parametrize("served", [False, True])
def test_several_connections_for_one_session(
    new_wire: Callable[..., Any], dialect: int, asked: int, served: bool
) -> None:
    """Announced from 3.0 on, to those who ask."""
    contexts = (HASH,) if dialect == 0x0311 else ()
    response, _, _ = agree(new_wire(multichannel=served), body((dialect,), contexts, capabilities=asked))
    announced = bool(response.capabilities & Capability.MULTI_CHANNEL)
    assert announced is (served and bool(asked) and dialect >= 0x0300)


@pytest.mark.parametrize(("signing", "mode"), [("required", 3), ("offered", 1)])
def test_whether_signing_is_required(new_wire: Callable[..., Any], signing: str, mode: int) -> None:
    assert agree(new_wire(signing=signing), body())[0].security_mode == mode


def test_what_the_server_says_of_itself(wire: Any) -> None:
    peer = wire.client()
    _, response, frame = ask(peer, body())
    assert response is not None
    assert response.server_guid == wire.server.settings.server_guid
    assert response.system_time > filetime_from_ns(wire.server.start_ns)
    assert bytes(negotiate_security_buffer(frame, response)) == wire.server.authenticator.hint()


# Signing and sealing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        (0x0202, SigningAlgorithm.HMAC_SHA256),
        (0x0210, SigningAlgorithm.HMAC_SHA256),
        (0x0300, SigningAlgorithm.AES_CMAC),
        (0x0302, SigningAlgorithm.AES_CMAC),
        (0x0311, SigningAlgorithm.AES_CMAC),
    ],
)
def test_signing_without_a_word_about_it(wire: Any, dialect: int, expected: int) -> None:
    _, contexts, state = agree(wire, body((dialect,), (HASH,) if dialect == 0x0311 else ()))
    assert state.signing_algorithm == expected
    assert SIGNING not in contexts


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        ((0, 1, 2), SigningAlgorithm.AES_GMAC),
        ((0, 1), SigningAlgorithm.AES_CMAC),
        ((0,), SigningAlgorithm.HMAC_SHA256),
        ((7, 9), SigningAlgorithm.AES_CMAC),
    ],
)
def test_signing_by_the_servers_preference(wire: Any, offered: tuple[int, ...], expected: int) -> None:
    """None in common is CMAC, as [MS-SMB2] 3.3.5.4 has it."""
    _, contexts, state = agree(wire, body(contexts=(HASH, (SIGNING, pack_signing_context(offered)))))
    assert parse_signing_context(contexts[SIGNING]) == (expected,)
    assert state.signing_algorithm == expected


@pytest.mark.parametrize("offered", [ALL_CIPHERS, ALL_CIPHERS[::-1]])
def test_sealing_by_the_servers_preference(new_wire: Callable[..., Any], offered: tuple[int, ...]) -> None:
    sent = body(contexts=(HASH, (ENCRYPTION, pack_encryption_context(offered))))
    for preferred in (ALL_CIPHERS, ALL_CIPHERS[2:]):
        _, contexts, state = agree(new_wire(ciphers=preferred), sent)
        assert parse_encryption_context(contexts[ENCRYPTION]) == (preferred[0],)
        assert state.cipher == preferred[0]


@pytest.mark.parametrize("settings", [{"encryption": "off"}, {"ciphers": (Cipher.AES_256_CCM,)}])
def test_no_cipher_in_common(new_wire: Callable[..., Any], settings: dict[str, Any]) -> None:
    """The answer says so with a cipher of 0.  [MS-SMB2] 2.2.4.1.2"""
    _, contexts, state = agree(new_wire(**settings), body(contexts=(HASH, GCM)))
    assert parse_encryption_context(contexts[ENCRYPTION]) == (0,)
    assert state.cipher is None


def test_no_cipher_without_a_word_about_it(wire: Any) -> None:
    _, contexts, state = agree(wire, body(capabilities=Capability.ENCRYPTION))
    assert set(contexts) == {PREAUTH}
    assert state.cipher is None


@pytest.mark.parametrize("dialect", SMB3)
@pytest.mark.parametrize(
    ("capabilities", "settings", "sealed"),
    [
        (Capability.ENCRYPTION, {}, True),
        (0, {}, False),
        (Capability.ENCRYPTION, {"encryption": "off"}, False),
        (Capability.ENCRYPTION, {"ciphers": (Cipher.AES_128_GCM,)}, False),
    ],
)
def test_smb_3_0_seals_with_ccm_if_both_can(
    new_wire: Callable[..., Any], dialect: int, capabilities: int, settings: dict[str, Any], sealed: bool
) -> None:
    response, _, state = agree(new_wire(**settings), body((dialect,), (), capabilities=capabilities))
    assert bool(response.capabilities & Capability.ENCRYPTION) is sealed
    assert state.cipher == (Cipher.AES_128_CCM if sealed else None)


@pytest.mark.parametrize("dialect", [0x0202, 0x0210, 0x0311])
def test_the_capability_bit_of_sealing_is_for_smb_3_0_alone(wire: Any, dialect: int) -> None:
    contexts = (HASH, GCM) if dialect == 0x0311 else ()
    response, _, _ = agree(wire, body((dialect,), contexts, capabilities=Capability.ENCRYPTION))
    assert not response.capabilities & Capability.ENCRYPTION


def test_preauth_integrity(wire: Any) -> None:
    """SHA-512, a salt that is new each time, and a hash over both messages as they went over the wire."""
    salts = []
    for _ in range(2):
        peer = wire.client()
        message = peer.message(Command.NEGOTIATE, body(contexts=(HASH, GCM, CMAC)))
        [(_, frame)] = peer.frames(message)
        contexts = dict(negotiate_contexts(frame, NegotiateResponse.unpack_from(frame, HEADER_SIZE)))
        algorithms, salt = parse_preauth_context(contexts[PREAUTH])
        assert algorithms == (HashAlgorithm.SHA_512,)
        expected = PreauthHash()
        expected.update(message)
        expected.update(frame)
        assert peer.connection.state.preauth.value == expected.value
        salts.append(salt)
    assert len(salts[0]) == 32
    assert salts[0] != salts[1]


def test_no_hash_in_common(wire: Any) -> None:
    contexts = ((PREAUTH, pack_preauth_context((2, 3), bytes(32))),)
    assert ask(wire.client(), body(contexts=contexts))[0] == Status.NO_PREAUTH_INTEGRITY_HASH_OVERLAP


def test_contexts_that_nobody_knows_are_passed_over(wire: Any) -> None:
    unknown = ((0x0004, b"?"), (0x0005, "server".encode("utf-16-le")), (0x7777, b""), (0x7777, b"twice"))
    _, contexts, _ = agree(wire, body(contexts=(*unknown, HASH, GCM, *unknown)))
    assert set(contexts) == {PREAUTH, ENCRYPTION}


def test_before_3_1_1_the_place_of_the_contexts_means_nothing(wire: Any) -> None:
    """It is ClientStartTime there.  [MS-SMB2] 2.2.3"""
    sent = bytearray(body((0x0302,), ()))
    sent[28:36] = b"\xff" * 8
    assert agree(wire, bytes(sent))[0].dialect_revision == 0x0302


# What is malformed: nothing of it is kept, and nothing but another NEGOTIATE is heard ----------


def lying(**fields: tuple[int, int]) -> Callable[[bytearray], None]:
    """Change fields of a good request: name = (place, width)."""

    def change(sent: bytearray) -> None:
        for place, value in fields.values():
            width = 4 if place == 28 else 2
            sent[place : place + width] = value.to_bytes(width, "little")

    return change


CONTEXTS_AT = 40  # in the body: 36 of the fixed part, one dialect, padding
OFFSET, COUNT, LENGTH = 28, 32, CONTEXTS_AT + 2
WHOLE = len(body(contexts=(HASH, GCM, CMAC))) + HEADER_SIZE
LIES: dict[str, Callable[[bytearray], None]] = {
    "no contexts": lying(count=(COUNT, 0)),
    "65535 contexts": lying(count=(COUNT, 65535)),
    "one context more than there is": lying(count=(COUNT, 4)),
    "offset 0": lying(offset=(OFFSET, 0)),
    "offset in the header": lying(offset=(OFFSET, 8)),
    "offset in the fixed part": lying(offset=(OFFSET, HEADER_SIZE + 16)),
    "offset at the end": lying(offset=(OFFSET, WHOLE + -WHOLE % 8)),
    "offset past the end": lying(offset=(OFFSET, 0x10000)),
    "offset that wraps": lying(offset=(OFFSET, 0xFFFFFFF8)),
    "offset that is not aligned": lying(offset=(OFFSET, HEADER_SIZE + CONTEXTS_AT + 4)),
    "data past the end": lying(length=(LENGTH, WHOLE)),
    "data of 65535 bytes": lying(length=(LENGTH, 65535)),
    "data into the middle of the next": lying(length=(LENGTH, 41)),
}
BAD_CONTEXTS: dict[str, tuple[Context, ...]] = {
    "no preauth integrity": (GCM, CMAC),
    "preauth integrity twice": (HASH, HASH),
    "ciphers twice": (HASH, GCM, GCM),
    "signing twice": (HASH, CMAC, CMAC),
    "compression twice": (HASH, (COMPRESSION, bytes(10)), (COMPRESSION, bytes(10))),
    "no hash": ((PREAUTH, pack_preauth_context((), bytes(32))),),
    "65535 hashes": ((PREAUTH, b"\xff\xff\x20\x00\x01\x00" + bytes(32)),),
    "salt past the end": ((PREAUTH, b"\x01\x00\x21\x00\x01\x00" + bytes(32)),),
    "preauth integrity of 0 bytes": ((PREAUTH, b""),),
    "preauth integrity of 3 bytes": ((PREAUTH, b"\x01\x00\x00"),),
    "no cipher": (HASH, (ENCRYPTION, b"\x00\x00")),
    "65535 ciphers": (HASH, (ENCRYPTION, b"\xff\xff\x01\x00")),
    "ciphers of 1 byte": (HASH, (ENCRYPTION, b"\x01")),
    "no signing algorithm": (HASH, (SIGNING, b"\x00\x00")),
    "65535 signing algorithms": (HASH, (SIGNING, b"\xff\xff\x01\x00")),
    "signing of 0 bytes": (HASH, (SIGNING, b"")),
}


def malformed(name: str) -> bytes:
    if name in BAD_CONTEXTS:
        return body(contexts=BAD_CONTEXTS[name])
    sent = bytearray(body(contexts=(HASH, GCM, CMAC)))
    LIES[name](sent)
    return bytes(sent)


@pytest.mark.parametrize("name", [*LIES, *BAD_CONTEXTS])
def test_malformed_contexts(wire: Any, name: str) -> None:
    """Nothing is kept: to log on after it ends the connection."""
    peer = wire.client()
    status, _, frame = ask(peer, malformed(name))
    assert status_name(status) == "STATUS_INVALID_PARAMETER"
    assert len(frame) <= HEADER_SIZE + 9, "an error says nothing but its status"
    state = peer.connection.state
    assert (state.dialect, state.negotiated, state.cipher) == (0, False, None)
    assert state.client_guid == bytes(16)
    assert state.preauth.value == PreauthHash().value
    setup = pack_session_setup_request(SessionSetupRequest(security_mode=1), b"token")
    with pytest.raises(Disconnect, match="SESSION_SETUP before NEGOTIATE"):
        peer.send(Command.SESSION_SETUP, setup)
    assert not wire.server.sessions


def test_a_good_negotiate_may_follow_a_bad_one(wire: Any) -> None:
    peer = wire.client()
    assert ask(peer, malformed("ciphers twice"))[0] == Status.INVALID_PARAMETER
    peer.negotiate()
    peer.log_on("u", "p")


def test_a_request_that_is_cut(wire: Any) -> None:
    """After every second byte, and with a StructureSize of others."""
    whole = body((0x0311, 0x0302), (HASH, GCM, CMAC))
    bad = [whole[:end] for end in range(0, len(whole), 2)]
    bad += [size.to_bytes(2, "little") + whole[2:] for size in (0, 35, 37, 0xFFFF)]
    for sent in bad:
        peer = wire.client()
        assert ask(peer, sent)[0] == Status.INVALID_PARAMETER
        assert not peer.connection.state.negotiated


def test_65535_dialects(wire: Any) -> None:
    sent = bytearray(body())
    sent[2:4] = b"\xff\xff"
    assert ask(wire.client(), bytes(sent))[0] == Status.INVALID_PARAMETER


@pytest.mark.parametrize("dialect", EVERY_DIALECT)
def test_a_second_negotiate_ends_the_connection(wire: Any, dialect: int) -> None:
    peer = wire.client()
    sent = body((dialect,), (HASH,) if dialect == 0x0311 else ())
    assert ask(peer, sent)[0] == Status.SUCCESS
    with pytest.raises(Disconnect, match="second NEGOTIATE"):
        ask(peer, sent)


def test_a_negotiate_in_a_session_ends_the_connection(peer: Any) -> None:
    with pytest.raises(Disconnect, match="second NEGOTIATE"):
        peer.send(Command.NEGOTIATE, body())


# SMB1 -------------------------------------------------------------------------------------------------------------

OLD = b"NT LM 0.12"
MULTI, SMB2 = b"SMB 2.???", b"SMB 2.002"


def smb1(peer: Any, *dialects: bytes) -> NegotiateResponse:
    [frame] = peer.connection.receive(pack_smb1_negotiate_request(dialects))
    header = Header.unpack_from(frame)
    assert (header.status, header.command, header.message_id) == (Status.SUCCESS, Command.NEGOTIATE, 0)
    assert header.credits >= 1
    peer.message_id = 1
    return NegotiateResponse.unpack_from(frame, HEADER_SIZE)


def test_smb1_leads_to_an_smb2_negotiate(wire: Any) -> None:
    peer = wire.client()
    response = smb1(peer, OLD, SMB2, MULTI)
    assert response.dialect_revision == Dialect.WILDCARD
    peer.negotiate()
    peer.log_on("u", "p")
    assert peer.dialect == Dialect.SMB_3_1_1


def test_smb1_leads_to_nothing_else(wire: Any) -> None:
    peer = wire.client()
    smb1(peer, MULTI)
    with pytest.raises(Disconnect, match="ECHO before NEGOTIATE"):
        peer.send(Command.ECHO, EchoRequest().pack())


def test_what_smb1_settled_does_not_outlive_the_smb2_negotiate(wire: Any) -> None:
    peer = wire.client()
    smb1(peer, MULTI)
    assert peer.negotiate([0x0202]).capabilities == 0
    state = peer.connection.state
    assert (state.max_read, state.max_write, state.max_transact) == (65536,) * 3


def test_smb1_that_knows_smb_2_0_2_only(wire: Any) -> None:
    peer = wire.client()
    assert smb1(peer, OLD, SMB2).dialect_revision == Dialect.SMB_2_0_2
    assert peer.connection.state.negotiated
    peer.dialect = Dialect.SMB_2_0_2
    peer.log_on("u", "p")
    with pytest.raises(Disconnect, match="second NEGOTIATE"):
        peer.send(Command.NEGOTIATE, body((0x0202,), ()))


def test_a_server_of_smb_2_0_2_only(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(dialects=(0x0202,))
    assert smb1(wire.client(), OLD, MULTI, SMB2).dialect_revision == Dialect.SMB_2_0_2
    with pytest.raises(Disconnect, match="SMB1 only"):
        smb1(wire.client(), OLD, MULTI)


@pytest.mark.parametrize("offered", [(OLD,), (OLD, b"PC NETWORK PROGRAM 1.0"), (b"",), (b"SMB 2.00",)])
def test_smb1_without_smb2_ends_the_connection(wire: Any, offered: tuple[bytes, ...]) -> None:
    with pytest.raises(Disconnect, match="SMB1 only"):
        smb1(wire.client(), *offered)


def test_smb_2_0_2_by_smb1_where_it_is_not_served(new_wire: Callable[..., Any]) -> None:
    with pytest.raises(Disconnect, match="SMB1 only"):
        smb1(new_wire(dialects=(0x0311,)).client(), OLD, SMB2)


def test_smb1_that_is_no_negotiate(wire: Any) -> None:
    good = pack_smb1_negotiate_request([OLD, MULTI])
    bad = [good[:end] for end in range(4, len(good), 2)]
    bad += [good[:4] + b"\x73" + good[5:], good[:32] + b"\x01" + good[33:], good[:33] + b"\xff\xff" + good[35:]]
    bad += [good[:35] + b"\x04" + good[36:], good[:-1] + b"x"]
    for sent in bad:
        with pytest.raises(Disconnect, match="no NEGOTIATE"):
            wire.client().connection.receive(sent)


@pytest.mark.parametrize("first", ["smb1", "smb2", "logon"])
def test_smb1_after_anything_ends_the_connection(wire: Any, first: str) -> None:
    peer = wire.client()
    if first == "smb1":
        smb1(peer, MULTI)
    else:
        peer.negotiate()
    if first == "logon":
        peer.log_on("u", "p")
    with pytest.raises(Disconnect, match="SMB1 after NEGOTIATE"):
        smb1(peer, OLD, MULTI)


def test_a_failed_negotiate_is_an_error_for_the_client(new_wire: Callable[..., Any]) -> None:
    with pytest.raises(StatusError) as refusal:
        new_wire(dialects=(0x0202,)).client().negotiate([0x0311])
    assert refusal.value.status == Status.NOT_SUPPORTED
