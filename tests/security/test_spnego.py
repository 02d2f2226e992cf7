"""Real tokens are in tests/data/windows_logon.hex; `spnego` is pyspnego, which packs the client's side here."""

import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from spnego._spnego import NegState, NegTokenInit, NegTokenResp, unpack_token

from smbport.security.spnego import (
    ACCEPT_COMPLETED,
    ACCEPT_INCOMPLETE,
    MAX_MECHANISMS,
    NTLMSSP,
    REQUEST_MIC,
    BadToken,
    InitToken,
    ResponseToken,
    mechanism_of,
    pack_hint,
    pack_response,
    parse_init,
    parse_response,
)

NTLM_OID = "1.3.6.1.4.1.311.2.2.10"
KERBEROS_OID = "1.2.840.113554.1.2.2"
WINDOWS_MECH_LIST = bytes.fromhex("300c060a2b06010401823702020a")
SPNEGO_OID = bytes.fromhex("06062b0601050502")


def element(tag, contents, *, length=None):
    if length is None:
        length = bytes([len(contents)]) if len(contents) < 128 else b"\x82" + len(contents).to_bytes(2, "big")
    return bytes([tag]) + length + contents


def init(fields, *, mechanism=SPNEGO_OID):
    return element(0x60, mechanism + element(0xA0, element(0x30, fields)))


def response(fields):
    return element(0xA1, element(0x30, fields))


MECHANISMS = element(0xA0, WINDOWS_MECH_LIST)


def test_windows_tokens(windows_logon):
    first = windows_logon["setup_request_1"][88:]
    assert parse_init(first) == InitToken((NTLMSSP,), WINDOWS_MECH_LIST, first[-40:])
    second = parse_response(windows_logon["setup_request_2"][88:])
    assert second.token.startswith(b"NTLMSSP\0\3\0\0\0")
    assert len(second.token) == 0x1A6
    assert second.mech_list_mic.hex() == "0100000063775a9a5fd97f0600000000"


def test_answers_like_windows(windows_logon):
    first = windows_logon["setup_response_1"][72:]
    assert pack_response(ACCEPT_INCOMPLETE, supported_mech=NTLMSSP, token=first[-0x94:]) == first
    last = windows_logon["setup_response_2"][72:]
    assert pack_response(ACCEPT_COMPLETED, mech_list_mic=last[-16:]) == last


def test_request_mic_without_token():
    answer = unpack_token(pack_response(REQUEST_MIC, supported_mech=NTLMSSP))
    assert (answer.neg_state, answer.supported_mech) == (NegState.request_mic, NTLM_OID)
    assert answer.response_token is answer.mech_list_mic is None


def test_whose_token_it_is():
    bare = bytes.fromhex("600d06092a864886f712010202") + b"\1\0"
    assert mechanism_of(bare).hex() == "2a864886f712010202"
    assert mechanism_of(pack_hint([NTLMSSP])).hex() == "2b0601050502"
    for token in (b"", b"NTLMSSP\0", bare[:5], bare[:1]):
        with pytest.raises(BadToken):
            mechanism_of(token)


def test_the_hint():
    """The same bytes that Windows and Samba send when they offer NTLM only."""
    assert pack_hint([NTLMSSP]).hex() == (
        "604806062b0601050502a03e303ca00e300c060a2b06010401823702020aa32a3028a0261b24"
        "6e6f745f646566696e65645f696e5f5246433431373840706c656173655f69676e6f7265"
    )


@pytest.mark.parametrize("size", [1, 127, 128, 255, 256, 40_000])
def test_lengths(size):
    token = bytes(size)
    assert unpack_token(pack_response(ACCEPT_INCOMPLETE, token=token)).response_token == token
    packed = NegTokenInit([KERBEROS_OID, NTLM_OID], mech_token=token, mech_list_mic=b"mic").pack()
    parsed = parse_init(packed)
    assert parsed.mechanisms == (bytes.fromhex("2a864886f712010202"), NTLMSSP)
    assert parsed.mech_token == token
    packed = NegTokenResp(NegState.accept_incomplete, response_token=token, mech_list_mic=b"mic").pack()
    assert parse_response(packed) == ResponseToken(token, b"mic")


def test_what_is_absent():
    assert parse_init(init(MECHANISMS)).mech_token == b""
    assert parse_response(response(b"")) == ResponseToken(b"", None)
    assert parse_response(response(element(0xA3, element(4, b"")))).mech_list_mic == b""


def test_lengths_that_are_longer_than_needed():
    long = element(0xA2, element(4, b"token", length=b"\x84\0\0\0\5"), length=b"\x81\x0b")
    assert parse_response(response(long)).token == b"token"


OCTETS = element(4, b"token")
BROKEN_INITS = {
    "empty": b"",
    "one byte": b"\x60",
    "another tag": b"\x61" + init(MECHANISMS)[1:],
    "another mechanism": init(MECHANISMS, mechanism=element(6, b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02")),
    "no mechanism": element(0x60, b""),
    "response for init": element(0x60, SPNEGO_OID + response(b"")),
    "no inner token": element(0x60, SPNEGO_OID),
    "no mechanism list": init(element(0xA2, OCTETS)),
    "mechanism list of something else": init(element(0xA0, element(4, b""))),
    "mechanism that is no identifier": init(element(0xA0, element(0x30, element(4, b"x")))),
    "mechanism cut off": init(element(0xA0, element(0x30, b"\x06\x05x"))),
    "too many mechanisms": init(element(0xA0, element(0x30, element(6, b"+") * (MAX_MECHANISMS + 1)))),
    "field twice": init(MECHANISMS + MECHANISMS),
    "token that is no octet string": init(MECHANISMS + element(0xA2, element(5, b""))),
    "indefinite length": b"\x60\x80" + init(MECHANISMS)[2:] + b"\0\0",
    "length of five bytes": b"\x60\x85\0\0\0\0" + init(MECHANISMS)[1:],
    "length bytes cut off": b"\x60\x84\0",
    "length past the end": b"\x60\x7f" + init(MECHANISMS)[2:],
    "length of 4 GiB": b"\x60\x84\xff\xff\xff\xff" + init(MECHANISMS)[2:],
    "inner length past the outer": element(0x60, SPNEGO_OID + b"\xa0\x20\x30\x10"),
}


@pytest.mark.parametrize("token", BROKEN_INITS.values(), ids=BROKEN_INITS)
def test_broken_init(token):
    with pytest.raises(BadToken):
        parse_init(token)


BROKEN_RESPONSES = {
    "empty": b"",
    "init for response": init(MECHANISMS),
    "no sequence": element(0xA1, b""),
    "field twice": response(element(0xA2, OCTETS) * 2),
    "token that is no octet string": response(element(0xA2, b"NTLMSSP")),
    "empty token field": response(element(0xA2, b"")),
    "MIC that is no octet string": response(element(0xA3, element(2, b"\1"))),
}


@pytest.mark.parametrize("token", BROKEN_RESPONSES.values(), ids=BROKEN_RESPONSES)
def test_broken_response(token):
    with pytest.raises(BadToken):
        parse_response(token)


def nested(tag, depth):
    token = b""
    for _ in range(depth):
        token = element(tag, token, length=b"\x84" + len(token).to_bytes(4, "big"))
    return token


@pytest.mark.parametrize("tag", [0x30, 0x60, 0xA0, 0xA1])
def test_deep_nesting(tag):
    token = nested(tag, 10_000)
    for parse in (parse_init, parse_response):
        with pytest.raises(BadToken):
            parse(token)


@pytest.mark.parametrize(
    "token",
    [
        b"\x7f" + b"\xff" * 49_000,
        init(element(0xA0, element(0x30, element(6, b"+" + b"\xff" * 48_000)))),
        init(element(0xA0, element(0x30, element(6, b"+") * 16_000))),
        init(element(0xA4, b"") * 24_000),
    ],
    ids=["long tag", "long identifier", "many identifiers", "many fields"],
)
def test_work_is_linear(token):
    """Counted in steps of the reader, not in seconds: no element is looked at twice."""
    steps = 0

    def count(frame, event, argument):
        nonlocal steps
        steps += event == "call" and frame.f_code.co_name == "_take"

    sys.setprofile(count)
    try:
        parse_init(token)
    except BadToken:
        pass
    finally:
        sys.setprofile(None)
    assert steps <= MAX_MECHANISMS + 10


valid = st.sampled_from(
    [
        init(MECHANISMS + element(0xA2, OCTETS)),
        response(element(0xA2, OCTETS) + element(0xA3, OCTETS)),
    ]
)


@given(st.binary(max_size=300))
@example(b"\x60\x00")
def test_any_bytes(token):
    for parse in (parse_init, parse_response):
        try:
            parse(token)
        except BadToken:
            continue


@given(valid, st.data())
def test_any_change(token, data):
    position = data.draw(st.integers(0, len(token) - 1))
    length = data.draw(st.integers(0, 4))
    changed = token[:position] + data.draw(st.binary(max_size=4)) + token[position + length :]
    test_any_bytes.hypothesis.inner_test(changed)
