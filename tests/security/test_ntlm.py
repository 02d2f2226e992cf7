"""Vectors: [MS-NLMP] 4.2.4 for NTLMv2, and Microsoft's logon in tests/data/windows_logon.hex."""

import contextlib
import hmac
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spnego._ntlm_raw.messages import AvId, Challenge, NegotiateFlags

from smbport.security.ntlm import LogonFailure, NtlmChallenge, NtlmContext, nt_hash
from smbport.security.spnego import BadToken
from smbport.wire.status import Status

NOW_NS = 1_700_000_000_123_456_700
CLIENT_FLAGS = 0xE2088297  # of a Windows client
MIC_FLAG = bytes.fromhex("06000400 02000000")

# [MS-NLMP] 4.2.1 and 4.2.4
NONCE = bytes.fromhex("0123456789abcdef")
HASH = bytes.fromhex("a4f49c406510bdcab6824ee7c30fd852")
AV_PAIRS = "02000c0044006f006d00610069006e00 01000c00530065007200760065007200 00000000"
BLOB = bytes.fromhex(f"0101000000000000 0000000000000000 aaaaaaaaaaaaaaaa 00000000 {AV_PAIRS} 00000000")
PROOF = bytes.fromhex("68cd0ab851e51c96aabc927bebef6a1c")
LM_RESPONSE = bytes.fromhex("86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa")
ENCRYPTED_KEY = bytes.fromhex("c5dad2544fc9799094ce1ce90bc9d03e")
SESSION_KEY = b"\x55" * 16
FLAGS = 0xE2888235

LM, NT, DOMAIN, USER, WORKSTATION, KEY = range(6)  # the fields of AUTHENTICATE in their order
NAMES = ["LM response", "NT response", "domain", "user", "workstation", "session key"]


def negotiate(flags):
    return b"NTLMSSP\0" + struct.pack("<II16x8s", 1, flags, bytes.fromhex("060380250000000f"))


NEGOTIATE = negotiate(CLIENT_FLAGS)


def authenticate(
    *, lm=LM_RESPONSE, nt=PROOF + BLOB, domain="Domain", user="User", key=ENCRYPTED_KEY, flags=FLAGS, mic=b""
):  # fmt: skip
    """An AUTHENTICATE message with its payload in the order of [MS-NLMP] 4.2.4.3."""
    texts = [text if isinstance(text, bytes) else text.encode("utf-16-le") for text in (domain, user, "COMPUTER")]
    payload, offset = mic, 72 + len(mic)
    places = {}
    for index, value in zip((DOMAIN, USER, WORKSTATION, LM, NT, KEY), (*texts, lm, nt, key), strict=True):
        places[index] = struct.pack("<HHI", len(value), len(value), offset)
        payload += value
        offset += len(value)
    fields = b"".join(places[index] for index in range(6))
    version = bytes.fromhex("0501280a0000000f")
    return b"NTLMSSP\0" + struct.pack("<I", 3) + fields + struct.pack("<I", flags) + version + payload


def challenge(sent=NEGOTIATE, nonce=NONCE):
    return NtlmChallenge(sent, server="Server", domain="Domain", nonce=nonce, now_ns=NOW_NS)


def response_to(made, av_pairs):
    """The NT response of a client that knows the password of User in Domain."""
    response_key = hmac.digest(HASH, "USERDomain".encode("utf-16-le"), "md5")
    blob = b"\1\1" + bytes(14) + b"\xaa" * 8 + bytes(4) + av_pairs + bytes(8)
    nonce = Challenge.unpack(made.message).server_challenge
    return hmac.digest(response_key, nonce + blob, "md5") + blob


def test_nt_hash():
    assert nt_hash("Password") == HASH
    assert nt_hash("") == bytes.fromhex("31d6cfe0d16ae931b73c59d7e0c089c0")
    assert nt_hash("0" * 32 + ":" + "0" * 32) != bytes(16)  # a password that looks like a pair of hashes is none


def test_ntlmv2_of_the_specification():
    made = challenge()
    claim = made.read_claim(authenticate())
    assert (claim.user, claim.domain, claim.proof, claim.blob) == ("User", "Domain", PROOF, BLOB)
    assert not claim.anonymous
    context = made.verify(claim, HASH)
    assert context.session_key == SESSION_KEY
    assert context.integrity
    assert not context.had_mic
    assert made.verify(claim, HASH[::-1]) is None


def test_another_nonce_is_another_challenge():
    made = challenge(nonce=NONCE[::-1])
    assert made.verify(made.read_claim(authenticate()), HASH) is None


def test_case_of_the_user_and_of_the_domain():
    made = challenge()
    assert made.verify(made.read_claim(authenticate(user="uSER")), HASH) is not None
    assert made.verify(made.read_claim(authenticate(domain="DOMAIN")), HASH) is None


def test_upper_case_is_that_of_windows():
    response_key = hmac.digest(HASH, "STRAßE-É-ŉDomain".encode("utf-16-le"), "md5")
    proof = hmac.digest(response_key, NONCE + BLOB, "md5")
    made = challenge()
    claim = made.read_claim(authenticate(user="straße-é-ŉ", nt=proof + BLOB))
    assert made.verify(claim, HASH) is not None


def test_the_challenge():
    message = Challenge.unpack(challenge().message)
    assert message.flags == 0xE28A8215  # what Windows answers to these flags
    assert message.server_challenge == NONCE
    assert message.target_name == "Server"
    info = message.target_info
    assert list(info) == [
        AvId.nb_domain_name, AvId.nb_computer_name, AvId.dns_domain_name, AvId.dns_computer_name, AvId.timestamp,
        AvId.eol,
    ]  # fmt: skip
    assert info[AvId.nb_computer_name] == "Server"
    assert info[AvId.nb_domain_name] == "Domain"
    assert info[AvId.dns_computer_name] == "server"
    assert info[AvId.timestamp].pack() == (116444736000000000 + NOW_NS // 100).to_bytes(8, "little")


def test_the_challenge_offers_only_what_the_client_has():
    flags = NegotiateFlags.unicode | NegotiateFlags.extended_session_security | NegotiateFlags.lm_key
    message = Challenge.unpack(challenge(negotiate(flags)).message)
    assert message.version is None
    assert message.flags == 0x008A0205
    with_version = Challenge.unpack(challenge(negotiate(flags | NegotiateFlags.version)).message)
    assert (with_version.version.major, with_version.version.minor) == (6, 1)


@pytest.mark.parametrize("missing", [NegotiateFlags.unicode, NegotiateFlags.extended_session_security])
def test_a_client_without_what_is_required(missing):
    with pytest.raises(LogonFailure, match="client lacks"):
        challenge(negotiate(CLIENT_FLAGS & ~missing))
    with pytest.raises(LogonFailure, match="takes back"):
        challenge().read_claim(authenticate(flags=FLAGS & ~missing))


@pytest.mark.parametrize(
    "message",
    [b"", b"NTLMSSP\0", NEGOTIATE[:31], b"NTLMSSQ" + NEGOTIATE[7:], b"NTLMSSP\0\2" + NEGOTIATE[9:]],
    ids=["empty", "signature only", "short", "another signature", "another type"],
)
def test_no_negotiate_message(message):
    with pytest.raises(BadToken):
        challenge(message)


@pytest.mark.parametrize(
    "message",
    [
        b"", authenticate()[:63], b"x" + authenticate()[1:], b"NTLMSSP\0\1" + authenticate()[9:],
        b"NTLMSSP\0\4" + authenticate()[9:], b"NTLMSSP\0\3\0\0\1" + authenticate()[12:], NEGOTIATE,
    ],
    ids=["empty", "short", "another signature", "type 1", "type 4", "large type", "NEGOTIATE"],
)  # fmt: skip
def test_no_authenticate_message(message):
    with pytest.raises(BadToken):
        challenge().read_claim(message)


@pytest.mark.parametrize("field", range(6), ids=NAMES)
@pytest.mark.parametrize(
    ("length", "offset"),
    [(16, 0x10000), (0xFFFF, 72), (16, 0xFFFFFFF8), (16, 63), (1, "end")],
    ids=["past the end", "too long", "wraps", "in the header", "ends one byte late"],
)
def test_fields_that_lie(field, length, offset):
    message = bytearray(authenticate())
    struct.pack_into("<HHI", message, 12 + 8 * field, length, length, len(message) if offset == "end" else offset)
    with pytest.raises(BadToken, match="AUTHENTICATE field"):
        challenge().read_claim(bytes(message))


@pytest.mark.parametrize("field", [DOMAIN, WORKSTATION, LM], ids=lambda field: NAMES[field])
def test_an_empty_field_may_lie_anywhere(field):
    message = bytearray(authenticate())
    struct.pack_into("<HHI", message, 12 + 8 * field, 0, 0, 0xFFFFFFFF)
    challenge().read_claim(bytes(message))


@pytest.mark.parametrize("size", [0, 8, 16, 23, 24, 43])
@pytest.mark.parametrize("user", ["User", ""])
def test_what_is_not_ntlmv2(size, user):
    with pytest.raises(LogonFailure, match="not NTLMv2") as failure:
        challenge().read_claim(authenticate(nt=bytes(size), user=user))
    assert failure.value.status == Status.LOGON_FAILURE


@pytest.mark.parametrize(("lm", "anonymous"), [(b"", True), (b"\0", True), (b"\1", False), (bytes(24), False)])
def test_anonymous(lm, anonymous):
    message = authenticate(lm=lm, nt=b"", user="", domain="", key=b"", flags=FLAGS & ~NegotiateFlags.key_exch)
    made = challenge()
    if not anonymous:
        with pytest.raises(LogonFailure):
            made.read_claim(message)
        return
    claim = made.read_claim(message)
    assert claim.anonymous
    assert claim.user == claim.domain == ""
    context = made.accept_anonymous(claim)
    assert context == NtlmContext(bytes(16), claim.flags, False)


def test_an_anonymous_key_is_exchanged_too():
    made = challenge()
    claim = made.read_claim(authenticate(lm=b"\0", nt=b"", user="", domain=""))
    key = made.accept_anonymous(claim).session_key
    assert len(key) == 16
    assert key not in (bytes(16), ENCRYPTED_KEY)


@pytest.mark.parametrize("name", [b"\0", b"U\0s", b"\x00\xd8", b"\x00\xdcx\0"])
@pytest.mark.parametrize("field", ["user", "domain"])
def test_names_that_are_not_utf16(field, name):
    with pytest.raises(BadToken, match="not UTF-16"):
        challenge().read_claim(authenticate(**{field: name}))


@pytest.mark.parametrize(
    ("pairs", "target"),
    [
        (b"", None),
        (b"\x09\0\x04\0a\0/\0", "a/"),
        (b"\x09\0\0\0", ""),
    ],
)
def test_the_service_that_a_logon_is_for(pairs, target):
    blob = bytes(28) + pairs + bytes(4)
    assert challenge().read_claim(authenticate(nt=bytes(16) + blob)).target == target


def test_the_service_that_a_logon_is_for_has_a_name_in_utf16():
    blob = bytes(28) + b"\x09\0\x02\0\0\xd8" + bytes(4)
    with pytest.raises(BadToken, match="target name that is not UTF-16"):
        challenge().read_claim(authenticate(nt=bytes(16) + blob))


@pytest.mark.parametrize("size", [0, 1, 15, 17])
def test_the_length_of_an_exchanged_key(size):
    with pytest.raises(BadToken, match=f"of {size} bytes"):
        challenge().read_claim(authenticate(key=bytes(size)))


@pytest.mark.parametrize(
    "missing",
    [NegotiateFlags.key_exch, NegotiateFlags.sign | NegotiateFlags.seal],
    ids=["no key exchange", "nothing to sign or seal"],
)
def test_the_session_key_without_key_exchange(missing):
    """[MS-NLMP] 4.2.4.1.2 has the SessionBaseKey; [MS-NLMP] 3.2.5.1.2 says when it is not exchanged."""
    made = challenge()
    context = made.verify(made.read_claim(authenticate(key=b"", flags=FLAGS & ~missing)), HASH)
    assert context.session_key.hex() == "8de40ccadbc14a82f15cb0ad0de95ca3"


@pytest.mark.parametrize(("sent", "exchanged"), [(b"", False), (b"\0", False), (ENCRYPTED_KEY, True)])
def test_key_exchange_with_nothing_to_sign_or_seal(sent, exchanged):
    """Some clients send a placeholder for the key then, Samba's a key."""
    made = challenge()
    flags = FLAGS & ~(NegotiateFlags.sign | NegotiateFlags.seal)
    context = made.verify(made.read_claim(authenticate(key=sent, flags=flags)), HASH)
    assert (context.session_key == SESSION_KEY) == exchanged


def test_flags_that_were_not_negotiated_do_not_count():
    made = challenge(negotiate(CLIENT_FLAGS & ~NegotiateFlags.key_exch))
    context = made.verify(made.read_claim(authenticate()), HASH)
    assert context.session_key.hex() == "8de40ccadbc14a82f15cb0ad0de95ca3"


# The MIC ---------------------------------------------------------------------------------------------------------


def with_mic(made, sent=NEGOTIATE):
    """An AUTHENTICATE message without key exchange, and its MIC, of a client that sent this NEGOTIATE message."""
    nt = response_to(made, av_pairs=MIC_FLAG)
    response_key = hmac.digest(HASH, "USERDomain".encode("utf-16-le"), "md5")
    key = hmac.digest(response_key, nt[:16], "md5")
    flags = FLAGS & ~NegotiateFlags.key_exch
    blank = authenticate(nt=nt, key=b"", flags=flags, mic=bytes(16))
    mic = hmac.digest(key, sent + made.message + blank, "md5")
    return authenticate(nt=nt, key=b"", flags=flags, mic=mic)


def test_mic():
    made = challenge()
    claim = made.read_claim(with_mic(made))
    assert claim.message[72:88] == bytes(16)
    assert made.verify(claim, HASH).had_mic


@pytest.mark.parametrize("position", [72, 87, 60, 64], ids=["MIC", "end of the MIC", "flags", "version"])
def test_a_changed_message_fails_its_mic(position):
    made = challenge()
    message = bytearray(with_mic(made))
    message[position] ^= 0x20
    with pytest.raises(LogonFailure, match="MIC is wrong"):
        made.verify(made.read_claim(bytes(message)), HASH)


def test_a_zero_mic():
    made = challenge()
    message = bytearray(with_mic(made))
    message[72:88] = bytes(16)
    with pytest.raises(LogonFailure, match="MIC is wrong"):
        made.verify(made.read_claim(bytes(message)), HASH)


def test_flags_of_negotiate_changed_on_the_way():
    made = challenge(negotiate(CLIENT_FLAGS & ~NegotiateFlags.key_128))
    with pytest.raises(LogonFailure, match="MIC is wrong"):
        made.verify(made.read_claim(with_mic(made)), HASH)


def test_a_mic_announced_but_left_out():
    made = challenge()
    message = authenticate(nt=response_to(made, av_pairs=MIC_FLAG))
    with pytest.raises(LogonFailure, match="there is none"):
        made.read_claim(message)


def test_a_wrong_password_is_no_matter_of_the_mic():
    made = challenge()
    assert made.verify(made.read_claim(with_mic(made)), HASH[::-1]) is None


@pytest.mark.parametrize(
    "av_pairs",
    [b"\6\0\4\0\0\0\0\0" + MIC_FLAG, MIC_FLAG + b"\6\0\4\0\0\0\0\0", b"\1\0\2\0x\0" + MIC_FLAG, MIC_FLAG[:6] + b"\2\0"],
    ids=["off, then on", "on, then off", "behind a name", "plain"],
)
def test_the_mic_flag_is_found(av_pairs):
    made = challenge()
    with pytest.raises(LogonFailure, match="there is none"):
        made.read_claim(authenticate(nt=PROOF + BLOB[:28] + av_pairs + bytes(8)))


@pytest.mark.parametrize("av_pairs", [b"", b"\0", b"\1\0\0", b"\1\0\xff\xff\0\0\0\0", b"\6\0\4\0\2", b"\1\0\0\0"])
def test_av_pairs_without_an_end(av_pairs):
    with pytest.raises((BadToken, LogonFailure)):
        challenge().read_claim(authenticate(nt=PROOF + BLOB[:28] + av_pairs))


# What Windows sent -----------------------------------------------------------------------------------------------


def test_the_mic_of_windows(windows_logon):
    sent = windows_logon["setup_request_1"][-40:]
    answered = windows_logon["setup_response_1"][-0x94:]
    token = windows_logon["setup_request_2"][88:]
    claim = challenge(sent).read_claim(token[token.index(b"NTLMSSP") :][:0x1A6])
    assert (claim.user, claim.domain) == ("administrator", "SUT311")
    expected = hmac.digest(windows_logon["session_key"], sent + answered + claim.message, "md5")
    assert claim.mic == expected


def test_the_signatures_of_windows(windows_logon):
    context = NtlmContext(windows_logon["session_key"], 0xE2888215, True)
    mech_list = bytes.fromhex("300c060a2b06010401823702020a")
    client, server = windows_logon["setup_request_2"][-16:], windows_logon["setup_response_2"][-16:]
    assert context.sign(mech_list) == server
    assert context.verify(mech_list, client)
    assert not context.verify(mech_list, server)
    assert not context.verify(mech_list + b"\0", client)
    assert not context.verify(mech_list, client[:-1])
    assert not NtlmContext(bytes(16), 0xE2888215, True).verify(mech_list, client)


# Anything --------------------------------------------------------------------------------------------------------


def logs_on(made, message):
    try:
        claim = made.read_claim(message)
        return not claim.anonymous and made.verify(claim, HASH) is not None
    except (BadToken, LogonFailure):
        return False


@given(st.binary(max_size=300), st.sampled_from([b"", b"NTLMSSP\0\1\0\0\0", b"NTLMSSP\0\3\0\0\0"]))
def test_any_bytes(data, begin):
    assert not logs_on(challenge(), begin + data)
    with contextlib.suppress(BadToken, LogonFailure):
        challenge(begin + data)


@given(st.data())
def test_any_change(data):
    made = challenge()
    message = with_mic(made)
    assert logs_on(made, message)
    position = data.draw(st.integers(0, len(message) - 1))
    other = data.draw(st.binary(min_size=1, max_size=8))
    changed = message[:position] + other + message[position + data.draw(st.sampled_from([len(other), 0, 1])) :]
    assert logs_on(made, changed) == (changed == message)
