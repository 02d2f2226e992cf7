"""Logons by pyspnego's client, honest and tampered with.  [MS-NLMP] 3.2.5, [RFC4178] 3, 5"""

import contextlib
import struct
from unittest.mock import Mock

import pytest
import spnego
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spnego._ntlm import NTLMProxy
from spnego._ntlm_raw.messages import AvId, Challenge, NegotiateFlags
from spnego._spnego import NegState, NegTokenInit, NegTokenResp, pack_mech_type_list, unpack_token

from smbport.security import ntlm
from smbport.security.auth import (
    MAX_TOKEN,
    Authenticator,
    BadToken,
    Continue,
    Done,
    LogonFailure,
    LogonUser,
    TicketCheck,
    UserRecord,
    nt_hash,
)
from smbport.security.kerberos import Ticket
from smbport.wire.record import BadStructure
from smbport.wire.status import Status

NOW_NS = 1_700_000_000_000_000_000
NTLM_OID = "1.3.6.1.4.1.311.2.2.10"
KERBEROS_OID = "1.2.840.113554.1.2.2"
NEGOEX_OID = "1.3.6.1.4.1.311.2.2.30"

ALICE = UserRecord("Alice", nt_hash("secret"), account="alice")
BOB = UserRecord("bob", nt_hash("secret"), disabled=True)
EMPTY = UserRecord("empty", nt_hash(""))
NOBODY_HASH = "0" * 32 + ":" + "0" * 32  # pyspnego takes LM:NT hashes for a password


class Users:
    def __init__(self, *records):
        self.records = {record.name.casefold(): record for record in records}

    def find_user(self, name):
        return self.records.get(name.casefold())


def make_authenticator(**changes):
    counter = iter(range(1, 1000))
    arguments = {
        "users": Users(ALICE, BOB, EMPTY),
        "server_name": "SERVER",
        "domain": "WORKGROUP",
        "anonymous": False,
        "guest": False,
        "random_bytes": lambda count: next(counter).to_bytes(count, "big"),
    }
    return Authenticator(**(arguments | changes))


def make_client(user="Alice", password="secret", protocol="negotiate"):
    return spnego.client(user, password, hostname="server", service="cifs", protocol=protocol)


def log_on(exchange, client, hint=None):
    """The whole exchange, until one side is done or raises."""
    token = client.step(hint)
    while True:
        step = exchange.step(token, NOW_NS)
        if isinstance(step, Done):
            if step.token:
                assert client.step(step.token) is None
            assert client.complete
            return step
        token = client.step(step.token)


def last_token(exchange, client):
    """Go on until the client has its AUTHENTICATE message ready."""
    return client.step(exchange.step(client.step(), NOW_NS).token)


def refused(exchange, token):
    with pytest.raises(LogonFailure) as failure:
        exchange.step(token, NOW_NS)
    assert failure.value.status == Status.LOGON_FAILURE
    assert_dead(exchange)


def assert_dead(exchange):
    for token in (b"", make_client().step(), make_client(protocol="ntlm").step()):
        with pytest.raises(BadToken, match="over"):
            exchange.step(token, NOW_NS)


both = pytest.mark.parametrize("protocol", ["ntlm", "negotiate"])


# Users -----------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("name", ["Alice", "aLICE", "SOMEWHERE\\alice"])
def test_right_password(protocol, name):
    client = make_client(name, protocol=protocol)
    exchange = make_authenticator().begin()
    done = log_on(exchange, client)
    domain = name.partition("\\")[0] if "\\" in name else ""
    assert done.user == LogonUser("Alice", domain, "user", ALICE)
    assert done.session_key == client.session_key
    assert len(done.session_key) == 16
    assert bool(done.token) == (protocol == "negotiate")
    assert_dead(exchange)


def test_empty_password():
    done = log_on(make_authenticator().begin(), make_client("empty", ""))
    assert done.user.kind == "user"


def test_with_the_servers_hint():
    authenticator = make_authenticator()
    hint = authenticator.hint()
    assert unpack_token(hint).mech_types == [NTLM_OID]
    client = make_client()
    assert log_on(authenticator.begin(), client, hint).session_key == client.session_key


@both
@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("Alice", "Secret"),
        ("Alice", ""),
        ("Alice", NOBODY_HASH),
        ("bob", "secret"),
        ("bob", "wrong"),
        ("mallory", "secret"),
        ("mallory", NOBODY_HASH),
        ("guest", ""),
    ],
)
def test_wrong_password_disabled_and_unknown_user(protocol, name, password):
    exchange = make_authenticator().begin()
    refused(exchange, last_token(exchange, make_client(name, password, protocol)))


@pytest.mark.pure_only  # counts the digests of a compiled module
def test_unknown_and_disabled_users_cost_the_same_work(monkeypatch):
    """Counted, not timed: the same digests over as many bytes, up to the refusal."""
    work = {}
    for name in ("Alice", "mally", "bob", "guest"):
        digest = Mock(side_effect=ntlm.hmac_md5)
        exchange = make_authenticator(guest=False).begin()
        token = last_token(exchange, make_client(name, "wrong"))
        with monkeypatch.context() as patch:
            patch.setattr(ntlm, "hmac_md5", digest)
            refused(exchange, token)
        work[name] = [tuple(len(argument) for argument in call.args) for call in digest.call_args_list]
    assert len(work["Alice"]) == 2
    assert work["Alice"] == work["mally"] == work["guest"]
    assert len(work["bob"]) == 2


@both
@pytest.mark.parametrize("level", ["0", "1", "2"])
@pytest.mark.parametrize("guest", [False, True])
def test_ntlmv1_lm_and_ntlm2_session_responses(protocol, level, guest, monkeypatch):
    monkeypatch.setenv("LM_COMPAT_LEVEL", level)
    users = Mock()
    exchange = make_authenticator(users=users, guest=guest, guest_on_bad_user=guest, anonymous=True).begin()
    client = make_client(protocol=protocol)
    if level == "0":  # without extended session security it does not get as far
        refused(exchange, client.step())
    else:
        refused(exchange, last_token(exchange, client))
    users.find_user.assert_not_called()


def test_secrets_are_not_shown():
    done = log_on(make_authenticator().begin(), make_client())
    for secret in (ALICE.nt_hash, done.session_key):
        assert repr(secret) not in repr(done)
    assert "Alice" in repr(done)


# Guests and nobody -----------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("name", ["guest", "GUEST", "SOMEWHERE\\Guest"])
def test_guest_by_name(protocol, name):
    exchange = make_authenticator(guest=True).begin()
    done = exchange.step(last_token(exchange, make_client(name, "", protocol)), NOW_NS)
    assert done.user == LogonUser("guest", "", "guest", None)
    assert done.session_key == bytes(16)
    if protocol == "negotiate":
        answer = unpack_token(done.token)
        assert (answer.neg_state, answer.mech_list_mic) == (NegState.accept_complete, None)


@pytest.mark.parametrize("on_bad_user", [False, True])
def test_guest_by_an_unknown_name(on_bad_user):
    exchange = make_authenticator(guest=True, guest_on_bad_user=on_bad_user).begin()
    token = last_token(exchange, make_client("mallory", "x"))
    if on_bad_user:
        assert exchange.step(token, NOW_NS).user == LogonUser("guest", "", "guest", None)
    else:
        refused(exchange, token)


def test_guest_on_bad_user_needs_guest():
    exchange = make_authenticator(guest=False, guest_on_bad_user=True).begin()
    refused(exchange, last_token(exchange, make_client("mallory", "x")))


@pytest.mark.parametrize(("name", "password"), [("Alice", "wrong"), ("bob", "secret"), ("bob", "wrong")])
def test_a_known_user_never_becomes_a_guest(name, password):
    exchange = make_authenticator(guest=True, guest_on_bad_user=True).begin()
    refused(exchange, last_token(exchange, make_client(name, password)))


def test_a_user_named_guest_has_a_password():
    users = Users(UserRecord("guest", nt_hash("secret")))
    authenticator = make_authenticator(users=users, guest=True)
    exchange = authenticator.begin()
    refused(exchange, last_token(exchange, make_client("guest", "")))
    assert log_on(authenticator.begin(), make_client("guest", "secret")).user.kind == "user"


def test_a_malformed_response_never_becomes_a_guest():
    exchange = make_authenticator(guest=True, guest_on_bad_user=True).begin()
    token = bytearray(last_token(exchange, make_client("mallory", "x", "ntlm")))
    struct.pack_into("<I", token, 24, len(token))
    with pytest.raises(BadToken):
        exchange.step(bytes(token), NOW_NS)


def anonymous_token(key=b"", flags=0xE2888215):
    """AUTHENTICATE of nobody: LM response of one zero byte, nothing else but perhaps a key."""
    fields = struct.pack("<HHI", 1, 1, 64) + struct.pack("<HHI", 0, 0, 65) * 4
    fields += struct.pack("<HHI", len(key), len(key), 65)
    return b"NTLMSSP\0\3\0\0\0" + fields + struct.pack("<I", flags | NegotiateFlags.anonymous) + b"\0" + key


@both
@pytest.mark.parametrize("key", [b"", bytes(range(16))], ids=["no key exchange", "key exchange"])
@pytest.mark.parametrize("allowed", [False, True])
def test_anonymous(protocol, key, allowed):
    exchange = make_authenticator(anonymous=allowed, guest=True, guest_on_bad_user=True).begin()
    exchange.step(make_client(protocol=protocol).step(), NOW_NS)
    token = anonymous_token(key, 0xE2888215 if key else 0xA2888215)
    if protocol == "negotiate":
        token = NegTokenResp(response_token=token).pack()
    if not allowed:
        refused(exchange, token)
        return
    done = exchange.step(token, NOW_NS)
    assert done.user == LogonUser("", "", "anonymous", None)
    assert len(done.session_key) == 16
    assert (done.session_key == bytes(16)) == (not key)


# Replay and order ------------------------------------------------------------------------------------------------


@both
def test_an_answer_to_another_challenge(protocol):
    authenticator = make_authenticator()
    first, second = authenticator.begin(), authenticator.begin()
    token = last_token(first, make_client(protocol=protocol))
    second.step(make_client(protocol=protocol).step(), NOW_NS)
    refused(second, token)
    assert isinstance(first.step(token, NOW_NS), Done)
    with pytest.raises(BadToken, match="over"):
        first.step(token, NOW_NS)


def test_each_exchange_has_its_challenge_and_the_time():
    authenticator = make_authenticator()
    challenges = [
        Challenge.unpack(authenticator.begin().step(make_client(protocol="ntlm").step(), NOW_NS + 100).token)
        for _ in range(3)
    ]
    assert len({challenge.server_challenge for challenge in challenges}) == 3
    assert challenges[0].target_info[AvId.timestamp].pack() == (133444736000000001).to_bytes(8, "little")


@both
def test_tokens_out_of_order(protocol):
    authenticator = make_authenticator()
    exchange = authenticator.begin()
    client = make_client(protocol=protocol)
    first = client.step()
    last = client.step(exchange.step(first, NOW_NS).token)
    with pytest.raises(BadToken):
        exchange.step(first, NOW_NS)
    assert_dead(exchange)
    exchange = authenticator.begin()
    with pytest.raises(BadToken):
        exchange.step(last, NOW_NS)
    assert_dead(exchange)


def test_ntlm_without_spnego_after_spnego():
    """Else a mechListMIC that is due could be dodged."""
    exchange = make_authenticator().begin()
    token = unpack_token(last_token(exchange, make_client())).response_token
    with pytest.raises(BadToken):
        exchange.step(token, NOW_NS)
    assert_dead(exchange)


def test_spnego_after_ntlm():
    exchange = make_authenticator().begin()
    token = NegTokenResp(response_token=last_token(exchange, make_client(protocol="ntlm"))).pack()
    with pytest.raises(BadToken):
        exchange.step(token, NOW_NS)


# MICs ------------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("position", [72, 87])
def test_a_flipped_bit_of_the_mic(protocol, position):
    exchange = make_authenticator().begin()
    token = bytearray(last_token(exchange, make_client(protocol=protocol)))
    token[token.index(b"NTLMSSP") + position] ^= 1
    refused(exchange, bytes(token))


@both
def test_signing_stripped_from_negotiate(protocol):
    exchange = make_authenticator().begin()
    client = make_client(protocol=protocol)
    first = bytearray(client.step())
    first[first.index(b"NTLMSSP") + 12] &= ~NegotiateFlags.sign & 0xFF
    refused(exchange, client.step(exchange.step(bytes(first), NOW_NS).token))


@pytest.mark.parametrize("mic", [None, b"", bytes(16), "flipped", "cut"])
def test_the_mech_list_mic_is_checked(mic):
    exchange = make_authenticator().begin()
    token = unpack_token(last_token(exchange, make_client()))
    right = token.mech_list_mic
    assert len(right) == 16
    if mic == "flipped":
        mic = right[:4] + bytes([right[4] ^ 1]) + right[5:]
    elif mic == "cut":
        mic = right[:-1]
    token.mech_list_mic = mic
    refused(exchange, token.pack())


def test_the_list_of_mechanisms_changed_on_the_way():
    exchange = make_authenticator().begin()
    client = make_client()
    first = unpack_token(client.step())
    first.mech_types = [NTLM_OID, KERBEROS_OID]
    refused(exchange, client.step(exchange.step(first.pack(), NOW_NS).token))


def without_ntlm_mic(monkeypatch):
    """A client of the kind that knows neither MIC."""

    def hide_time(self, challenge, *arguments, **keywords):
        info = challenge.target_info
        del info[AvId.timestamp]
        stripped = Challenge(challenge.flags, challenge.server_challenge, challenge.target_name, info)
        result = compute(self, stripped, *arguments, **keywords)
        self._mic_required = False
        return result

    compute = NTLMProxy._compute_response
    monkeypatch.setattr(NTLMProxy, "_compute_response", hide_time)
    monkeypatch.setattr(NTLMProxy, "_requires_mech_list_mic", False)


@both
def test_a_client_without_any_mic(protocol, monkeypatch):
    without_ntlm_mic(monkeypatch)
    exchange = make_authenticator().begin()
    client = make_client(protocol=protocol)
    token = last_token(exchange, client)
    if protocol == "negotiate":
        assert unpack_token(token).mech_list_mic is None
    done = exchange.step(token, NOW_NS)
    assert done.session_key == client.session_key
    if protocol == "negotiate":
        assert unpack_token(done.token).mech_list_mic is None


def test_a_client_without_integrity_has_no_mech_list_mic(monkeypatch):
    without_ntlm_mic(monkeypatch)
    exchange = make_authenticator().begin()
    client = spnego.client("Alice", "secret", protocol="ntlm", context_req=spnego.ContextReq.none)
    first = NegTokenInit([KERBEROS_OID, NTLM_OID], mech_token=client.step()).pack()
    challenge = unpack_token(exchange.step(first, NOW_NS).token).response_token
    done = exchange.step(NegTokenResp(response_token=client.step(challenge), mech_list_mic=b"ignored").pack(), NOW_NS)
    assert done.session_key == client.session_key
    assert unpack_token(done.token).mech_list_mic is None


# Choosing the mechanism ------------------------------------------------------------------------------------------


def sign(client, mechanisms):
    return client.sign(pack_mech_type_list(mechanisms))


@pytest.mark.parametrize("mechanisms", [[KERBEROS_OID, NTLM_OID], [NEGOEX_OID, KERBEROS_OID, NTLM_OID]])
@pytest.mark.parametrize("mech_token", [None, b"\x60\x20a ticket", b"NEGOEXTS"])
@pytest.mark.parametrize("mic", [True, False])
def test_a_client_that_prefers_another_mechanism(mechanisms, mech_token, mic, monkeypatch):
    if not mic:
        without_ntlm_mic(monkeypatch)
    exchange = make_authenticator().begin()
    client = make_client(protocol="ntlm")
    answer = unpack_token(exchange.step(NegTokenInit(mechanisms, mech_token=mech_token).pack(), NOW_NS).token)
    assert (answer.neg_state, answer.supported_mech) == (NegState.request_mic, NTLM_OID)
    assert answer.response_token is None
    step = exchange.step(NegTokenResp(response_token=client.step()).pack(), NOW_NS)
    assert isinstance(step, Continue)
    answer = unpack_token(step.token)
    assert (answer.neg_state, answer.supported_mech) == (NegState.accept_incomplete, None)
    last = client.step(answer.response_token)
    if not mic:
        refused(exchange, NegTokenResp(response_token=last).pack())
        return
    done = exchange.step(NegTokenResp(response_token=last, mech_list_mic=sign(client, mechanisms)).pack(), NOW_NS)
    assert done.session_key == client.session_key
    answer = unpack_token(done.token)
    assert answer.neg_state == NegState.accept_complete
    client.verify(pack_mech_type_list(mechanisms), answer.mech_list_mic)


def test_ntlm_first_but_no_token():
    exchange = make_authenticator().begin()
    answer = unpack_token(exchange.step(NegTokenInit([NTLM_OID]).pack(), NOW_NS).token)
    assert (answer.neg_state, answer.supported_mech) == (NegState.accept_incomplete, NTLM_OID)
    client = make_client(protocol="ntlm")
    step = exchange.step(NegTokenResp(response_token=client.step()).pack(), NOW_NS)
    last = client.step(unpack_token(step.token).response_token)
    done = exchange.step(NegTokenResp(response_token=last, mech_list_mic=sign(client, [NTLM_OID])).pack(), NOW_NS)
    assert done.user.name == "Alice"


def test_ntlm_is_not_among_the_mechanisms():
    for mechanisms in ([KERBEROS_OID], []):
        exchange = make_authenticator().begin()
        refused(exchange, NegTokenInit(mechanisms, mech_token=make_client(protocol="ntlm").step()).pack())


# Tokens that are none --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    [
        b"", b"\0", b"NTLMSSP\0", b"NTLMSSP\0\1\0\0\0", b"\x60\x80", b"\x60" * 20_000, b"\x30\x84\0\0\0\0" * 5000,
        NegTokenResp(response_token=b"").pack(),
    ],
)  # fmt: skip
def test_bad_first_tokens(token):
    exchange = make_authenticator(anonymous=True, guest=True, guest_on_bad_user=True).begin()
    with pytest.raises(BadToken):
        exchange.step(token, NOW_NS)
    assert_dead(exchange)


def test_a_bad_token_is_a_bad_structure():
    assert issubclass(BadToken, BadStructure)


def test_too_long():
    exchange = make_authenticator().begin()
    with pytest.raises(BadToken, match=f"of {MAX_TOKEN + 1} bytes"):
        exchange.step(make_client().step().ljust(MAX_TOKEN + 1, b"\0"), NOW_NS)
    assert_dead(exchange)


@both
def test_every_prefix_of_the_last_token(protocol):
    exchange = make_authenticator().begin()
    whole = last_token(exchange, make_client(protocol=protocol))
    for length in range(len(whole)):
        exchange = make_authenticator(guest=True, guest_on_bad_user=True, anonymous=True).begin()
        exchange.step(make_client(protocol=protocol).step(), NOW_NS)
        with pytest.raises((BadToken, LogonFailure)):
            exchange.step(whole[:length], NOW_NS)
        assert_dead(exchange)


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=3), st.sampled_from([b"", b"NTLMSSP\0\1\0\0\0", b"\x60"]))
def test_any_tokens(tokens, begin):
    exchange = make_authenticator().begin()
    with contextlib.suppress(BadToken, LogonFailure):
        for token in tokens:
            assert isinstance(exchange.step(begin + token, NOW_NS), Continue)


@both
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_of_the_last_token(protocol, data):
    """Only what no MIC covers, the SPNEGO around it, may change: then the logon is the same."""
    exchange = make_authenticator(guest=True, guest_on_bad_user=True, anonymous=True).begin()
    client = make_client(protocol=protocol)
    token = last_token(exchange, client)
    position = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.binary(min_size=1, max_size=4))
    changed = token[:position] + other + token[position + data.draw(st.sampled_from([0, 1, len(other)])) :]
    try:
        done = exchange.step(changed, NOW_NS)
    except (BadToken, LogonFailure):
        return
    if done.user.kind == "user":
        assert done.session_key == client.session_key
        assert changed == token or protocol == "negotiate"
    else:  # the name was changed, so no user was claimed
        assert done.user.kind == "guest"
        assert done.session_key == bytes(16)


# For a server in the kernel, which checks proofs itself


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("ALICE", {}, LogonUser("Alice", "", "user", ALICE)),
        ("stranger", {"guest": True, "guest_on_bad_user": True}, LogonUser("guest", "", "guest", None)),
        ("Guest", {"guest": True}, LogonUser("guest", "", "guest", None)),
        ("", {"anonymous": True}, LogonUser("", "", "anonymous", None)),
    ],
)
def test_looking_up_who_may_prove_it(name, changes, expected):
    assert make_authenticator(**changes).look_up(name) == expected


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("stranger", {}),
        ("stranger", {"guest": True}),
        ("bob", {"guest": True, "guest_on_bad_user": True}),
        ("", {"guest": True, "guest_on_bad_user": True}),
    ],
)
def test_looking_up_who_may_not(name, changes):
    with pytest.raises(LogonFailure):
        make_authenticator(**changes).look_up(name)


# For whom a logon was made --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "welcome"),
    [
        ("server", True),
        ("SERVER", True),
        ("server:445", True),
        ("server/instance", True),
        ("files.example.org", True),
        ("FILES.example.org:445", True),
        ("192.0.2.1", True),
        ("2001:db8::1", True),
        ("[2001:db8::1]", True),
        ("[2001:db8::1]:445", True),
        ("other", False),
        ("server.example.org", False),
        ("2001:db8::2", False),
    ],
)
@pytest.mark.parametrize("mode", ["ignored", "checked", "required"])
def test_a_logon_that_was_made_for_another_server(mode, host, welcome):
    """Somebody in between has passed it on.  [MS-NLMP] 2.2.2.1, MsvAvTargetName"""
    aliases = ("Files.example.org", "192.0.2.1", "2001:db8::1")
    exchange = make_authenticator(target_name=mode, aliases=aliases).begin()
    client = spnego.client("Alice", "secret", hostname=host, service="cifs", protocol="ntlm")
    with contextlib.nullcontext() if welcome or mode == "ignored" else pytest.raises(LogonFailure, match="aliases"):
        assert log_on(exchange, client).user.name == "Alice"


@pytest.mark.parametrize("target", [None, "", "server"])
@pytest.mark.parametrize("mode", ["ignored", "checked", "required"])
def test_a_logon_that_was_made_for_no_server_in_particular(mode, target):
    claim = ntlm.Claim("Alice", "", b"proof", b"", 0, b"", None, b"", target)
    unnamed = not target and mode == "checked"
    with contextlib.nullcontext() if unnamed or mode == "ignored" else pytest.raises(LogonFailure):
        make_authenticator(target_name=mode)._check_target(claim)


def test_a_wrong_password_is_a_wrong_password_wherever_it_was_meant_to_go():
    exchange = make_authenticator(target_name="required").begin()
    refused(exchange, last_token(exchange, make_client(password="wrong", protocol="ntlm")))


# Kerberos ---------------------------------------------------------------------------------------------------------

MS_KERBEROS_OID = "1.2.840.48018.1.2.2"
AP_REQUEST = bytes.fromhex("600d06092a864886f71201020201000000")[:15]  # as much of one as is looked at here


def signed(data):
    return b"signed " + data


class Acceptor:
    """A judge to whom b"good" and AP_REQUEST are good."""

    def __init__(self, **changes):
        fields = {
            "client": "ALICE@HERE", "service": "cifs/server@HERE", "token": b"AP-REP", "lifetime_s": 60.0,
            "session_key": bytes(range(32)), "sign": signed, "verify": lambda data, mic: mic == b"client " + data,
        }  # fmt: skip
        self.ticket = Ticket(**fields | changes)

    def accept(self, token):
        if token not in (b"good", AP_REQUEST):
            raise LogonFailure("Kerberos: Decrypt integrity check failed")
        return self.ticket


def make_kerberos(realms=(), **changes):
    return make_authenticator(kerberos=Acceptor(**changes), realms=realms)


def init_token(*oids, token=None):
    return NegTokenInit(list(oids), mech_token=token).pack()


def judged(exchange, token):
    check = exchange.step(token, NOW_NS)
    assert isinstance(check, TicketCheck)
    return exchange.conclude(check.judge(wait=True), NOW_NS)


@pytest.mark.parametrize("oid", [KERBEROS_OID, MS_KERBEROS_OID])
def test_a_ticket_at_first_sight(oid):
    exchange = make_kerberos().begin()
    done = judged(exchange, init_token(oid, NEGOEX_OID, NTLM_OID, token=b"good"))
    assert done.user == LogonUser("Alice", "HERE", "user", ALICE)
    assert done.session_key == bytes(range(32))  # AES-256 takes all of it
    assert done.expires_ns == NOW_NS + 60_000_000_000
    answer = unpack_token(done.token)
    assert (answer.neg_state, answer.supported_mech) == (NegState.accept_complete, oid)
    assert (answer.response_token, answer.mech_list_mic) == (b"AP-REP", None)
    assert_dead(exchange)


def test_a_bare_ticket_without_an_end():
    exchange = make_kerberos(lifetime_s=None, token=b"").begin()
    done = judged(exchange, AP_REQUEST)
    assert (done.token, done.expires_ns, done.user.name) == (b"", None, "Alice")
    assert_dead(exchange)


def test_a_ticket_that_comes_second():
    exchange = make_kerberos().begin()
    asked = unpack_token(exchange.step(init_token(KERBEROS_OID), NOW_NS).token)
    assert (asked.neg_state, asked.supported_mech) == (NegState.accept_incomplete, KERBEROS_OID)
    done = judged(exchange, NegTokenResp(response_token=b"good").pack())
    answer = unpack_token(done.token)
    assert (answer.neg_state, answer.supported_mech) == (NegState.accept_complete, None)


def second_choice(**changes):
    """Up to the answer to the ticket, whose client had hoped for another mechanism."""
    exchange = make_kerberos(**changes).begin()
    asked = unpack_token(exchange.step(init_token(NEGOEX_OID, MS_KERBEROS_OID, token=b"hope"), NOW_NS).token)
    assert (asked.neg_state, asked.supported_mech) == (NegState.request_mic, MS_KERBEROS_OID)
    step = judged(exchange, NegTokenResp(response_token=b"good").pack())
    assert isinstance(step, Continue)
    answer = unpack_token(step.token)
    assert (answer.neg_state, answer.response_token) == (NegState.accept_incomplete, b"AP-REP")
    assert answer.mech_list_mic == signed(MECH_LIST)
    return exchange


MECH_LIST = pack_mech_type_list([NEGOEX_OID, MS_KERBEROS_OID])


def test_kerberos_is_not_the_first_choice():
    exchange = second_choice()
    done = exchange.step(NegTokenResp(mech_list_mic=b"client " + MECH_LIST).pack(), NOW_NS)
    assert unpack_token(done.token).neg_state == NegState.accept_complete
    assert (done.user.name, done.expires_ns) == ("Alice", NOW_NS + 60_000_000_000)
    assert_dead(exchange)


@pytest.mark.parametrize("mic", [None, b"", b"client" + MECH_LIST])
def test_the_list_of_mechanisms_must_be_proved(mic):
    refused(second_choice(), NegTokenResp(mech_list_mic=mic).pack())


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"client": "mallory@HERE"}, "user 'mallory', whose ticket"),
        ({"client": "bob@HERE"}, "user 'bob'"),  # disabled
        ({"client": "Alice@ELSEWHERE"}, "of none of"),
        ({"client": "alice/admin@HERE"}, "no user"),
    ],
)
def test_a_good_ticket_of_somebody_who_may_not_log_on(changes, why):
    exchange = make_kerberos(**changes).begin()
    check = exchange.step(init_token(KERBEROS_OID, token=b"good"), NOW_NS)
    with pytest.raises(LogonFailure, match=why):
        exchange.conclude(check.judge(wait=True), NOW_NS)
    assert_dead(exchange)


def test_nobody_becomes_a_guest_by_a_ticket():
    authenticator = make_authenticator(
        kerberos=Acceptor(client="stranger@HERE"), guest=True, guest_on_bad_user=True
    )  # fmt: skip
    exchange = authenticator.begin()
    check = exchange.step(init_token(KERBEROS_OID, token=b"good"), NOW_NS)
    with pytest.raises(LogonFailure):
        exchange.conclude(check.judge(wait=True), NOW_NS)


def test_other_realms_if_they_are_named():
    exchange = make_kerberos(["THERE", "HERE"], client="Alice@THERE").begin()
    assert judged(exchange, init_token(KERBEROS_OID, token=b"good")).user.domain == "THERE"
    exchange = make_kerberos(["THERE"]).begin()
    check = exchange.step(init_token(KERBEROS_OID, token=b"good"), NOW_NS)
    with pytest.raises(LogonFailure, match="none of"):  # its own realm is not one of them
        exchange.conclude(check.judge(wait=True), NOW_NS)


def test_a_bad_ticket_and_what_comes_while_it_is_looked_at():
    exchange = make_kerberos().begin()
    check = exchange.step(init_token(KERBEROS_OID, token=b"bad"), NOW_NS)
    with pytest.raises(LogonFailure, match="Decrypt integrity"):
        check.judge(wait=True)
    assert_dead(exchange)


def test_the_hint_names_kerberos_first():
    assert unpack_token(make_kerberos().hint()).mech_types == [MS_KERBEROS_OID, KERBEROS_OID, NTLM_OID]


def test_ntlm_goes_on_beside_it():
    done = log_on(make_kerberos().begin(), make_client())
    assert (done.user.name, done.expires_ns) == ("Alice", None)
    exchange = make_kerberos().begin()  # a client that got no ticket, but says what it had hoped for
    ntlm = make_client(protocol="ntlm")
    step = exchange.step(init_token(KERBEROS_OID, NTLM_OID, token=ntlm.step()), NOW_NS)
    answer = unpack_token(step.token)
    assert (answer.neg_state, answer.supported_mech) == (NegState.request_mic, NTLM_OID)
    bare = make_client(protocol="ntlm")
    assert log_on(make_kerberos().begin(), bare).user.name == "Alice"


def test_without_a_keytab_there_is_ntlm_only():
    refused(make_authenticator().begin(), init_token(KERBEROS_OID, token=b"good"))
    with pytest.raises(BadToken, match="not SPNEGO"):
        make_authenticator().begin().step(AP_REQUEST, NOW_NS)
    with pytest.raises(LogonFailure, match="Kerberos or NTLM"):
        make_kerberos().begin().step(init_token(NEGOEX_OID), NOW_NS)
