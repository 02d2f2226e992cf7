"""NTLM's messages and primitives, against the specifications and against pyspnego."""

import random

import pytest
from spnego._ntlm_raw import crypto, md4, messages, security

from smbport.security.ntlm_messages import (
    Authenticate,
    AvId,
    NegotiateFlag,
    hmac_md5,
    pack_challenge,
    pack_pairs,
    rc4,
    signature,
)
from smbport.security.ntlm_messages import md4 as our_md4
from smbport.wire.record import BadStructure

FLAGS = NegotiateFlag.UNICODE | NegotiateFlag.EXTENDED_SESSION_SECURITY | NegotiateFlag.SIGN
SIZES = [0, 1, 8, 16, 55, 56, 63, 64, 65, 200]


def data_of(size):
    return random.Random(size).randbytes(size)


# [RFC1320] A.5
@pytest.mark.parametrize(
    ("text", "digest"),
    [
        (b"", "31d6cfe0d16ae931b73c59d7e0c089c0"),
        (b"abc", "a448017aaf21d8525fc10ae87aa6729d"),
        (b"message digest", "d9130a8164549fe818874806e1c7014b"),
        (b"1234567890" * 8, "e33b4ddc9c38f2199c3e7b164fcc0536"),
    ],
)
def test_md4(text, digest):
    assert our_md4(text).hex() == digest


@pytest.mark.parametrize("size", SIZES)
def test_the_same_as_others_compute(size):
    data, key = data_of(size), data_of(16)
    assert our_md4(data) == md4.md4(data)
    assert rc4(key, data) == crypto.rc4k(key, data)
    assert hmac_md5(key, data) == crypto.hmac_md5(key, data)


def test_rc4():
    """[RFC6229] 2, the key of 40 bits"""
    assert rc4(bytes.fromhex("0102030405"), bytes(16)).hex() == "b2396305f03dc027ccc3524a0a1118a8"


@pytest.mark.parametrize("side", ["accept", "initiate"])
@pytest.mark.parametrize("more", [0, NegotiateFlag.KEY_128, NegotiateFlag.KEY_56, NegotiateFlag.KEY_EXCHANGE])
@pytest.mark.parametrize("exchange", [0, NegotiateFlag.KEY_EXCHANGE])
def test_signatures(side, more, exchange):
    flags, key, data = FLAGS | more | exchange, data_of(16), data_of(100)
    handle = crypto.rc4init(crypto.sealkey(flags, key, side))
    expected = security.sign(flags, handle, crypto.signkey(flags, key, side), 0, data)
    assert signature(flags, key, side, data) == expected


@pytest.mark.parametrize("version", [0, NegotiateFlag.VERSION])
def test_a_challenge(version):
    pairs = [(AvId.NB_DOMAIN_NAME, "Domäne".encode("utf-16-le")), (AvId.TIMESTAMP, bytes(8))]
    read = messages.Challenge.unpack(pack_challenge(FLAGS | version, b"challeng", "Server", pack_pairs(pairs)))
    assert (read.flags, read.server_challenge, read.target_name) == (
        FLAGS | version | NegotiateFlag.REQUEST_TARGET, b"challeng", "Server",
    )  # fmt: skip
    assert read.target_info[messages.AvId.nb_domain_name] == "Domäne"
    assert (read.version is not None) is bool(version)


@pytest.mark.parametrize("version", [None, messages.Version(6, 1)])
@pytest.mark.parametrize("mic", [None, b"M" * 16])
def test_an_authenticate(mic, version):
    packed = messages.Authenticate(
        FLAGS, b"L" * 24, b"N" * 60, "Domain", "User", "Computer", b"K" * 16, version, mic, "utf-16-le"
    ).pack()
    read = Authenticate.parse(packed)
    assert (read.lm_response, read.nt_response, read.encrypted_key) == (b"L" * 24, b"N" * 60, b"K" * 16)
    assert (read.user.decode("utf-16-le"), read.domain.decode("utf-16-le")) == ("User", "Domain")
    assert (read.flags & FLAGS, read.mic) == (FLAGS, mic or bytes(16))  # pyspnego leaves room for it in any case
    assert Authenticate.parse(read.without_mic(packed)).mic == bytes(16)
    assert len(read.without_mic(packed)) == len(packed)


def test_an_authenticate_without_room_for_a_mic():
    fields = b"".join((2).to_bytes(2, "little") * 2 + (64).to_bytes(4, "little") for _ in range(6))
    read = Authenticate.parse(b"NTLMSSP\0\3\0\0\0" + fields + bytes(4) + b"a\0")
    assert (read.user, read.mic) == (b"a\0", None)


def test_an_authenticate_that_is_short():
    with pytest.raises(BadStructure):
        Authenticate.parse(bytes(63))
