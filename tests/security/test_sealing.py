"""Vectors: Microsoft, "Encryption in SMB 3.0: A protocol perspective" and "SMB 3.1.1 Encryption in Windows 10"."""

import os

import pytest

from smbport.security import pyca
from smbport.security.sealing import BadSeal, Sealer
from smbport.wire.constants import Cipher

CIPHERS = {
    Cipher.AES_128_CCM: 16,
    Cipher.AES_128_GCM: 16,
    Cipher.AES_256_CCM: 32,
    Cipher.AES_256_GCM: 32,
}

CCM_KEYS = bytes.fromhex("261B72350558F2E9DCF613070383EDBF"), bytes.fromhex("8FE2B57EC34D2DB5B1A9727F526BBDB5")
CCM_WRITE_REQUEST = (
    "FD534D4281A286535415445DAE393921E44FA42E66E69A111892584FB5ED524A744DA3EE87000000000001001100001400E40800"
    "25C8FEE16605A437832D1CD52DA9F4645333482A175FE5384563F45FCDAFAEF38BC62BA4D5C62897996625A44C29BE5658DE2E61"
    "17585779E7B59FFD971278D08580D7FA899E410E910EABF5AA1DB43050B33B49182637759AC15D84BFCDF5B6B238993C0F4CF4D6"
    "012023F6C627297075D84B7803912D0A9639634453595EF3E33FFE4E7AC2AB",
    "FE534D4240000100000000000900400008000000000000000400000000000000FFFE0000010000001100001400E4080000000000"
    "00000000000000000000000031007000170000000000000000000000150100003900000201000000390200000000000000000000"
    "7000000000000000536D623320656E6372797074696F6E2074657374696E67",
)
CCM_WRITE_RESPONSE = (
    "FD534D42A6015530A18F6D9AFFE22AFAE8E66484860000000000000011000014" + "00E4080050000000000001001100001400E40800"
    "DBF46435C5F14169293CE079E344479BF670227E49873F458672C3098DAC467DD5809F369D674091665157871483E01F7BECD020"
    "64EAC3E235F913668BBC2F097980D4B378F1993EFF6E60D177309E5B",
    "FE534D4240000100000000000900210009000000000000000400000000000000FFFE0000010000001100001400E4080000000000"
    "00000000000000000000000011000000170000000000000000000000",
)

GCM_KEYS = bytes.fromhex("A2F5E80E5D59103034F32E52F698E5EC"), bytes.fromhex("748C50868C90F302962A5C35F5F9A8BF")
GCM_WRITE_REQUEST = (
    "FD534D42BD73D97D2BC9001BCAFAC0FDFF5FEEBCC7D6822D269CAF48904C664C00000000870000000000010025000000001000006E"
    "CDD2A7AFC7B47763057A041B8FD4DAFFE990B70C9E09D36C084E02D14EF247F8BDE38ACF6256F8B1D3B56F77FBDEB312FEA5E92C"
    "BCC1ED8FB2EBBFAA75E49A4A394BB44576545567C24D4C014D47C9FBDFDAFD2C4F9B72F8D256452620A299F48E29E53D6B61D1C1"
    "3A19E91AF013F00D17E3ABC2FC3D36C8C1B6B93973253852DBD442E46EE8",
    "FE534D4240000100000000000900010008000000000000000500000000000000FFFE000001000000250000000010000000000000"
    "00000000000000000000000031007000170000000000000000000000060000000400000001000000040000000000000000000000"
    "7000000000000000536D623320656E6372797074696F6E2074657374696E67",
)
GCM_WRITE_RESPONSE = (
    "FD534D42ACBE1CB7ED343ADF1725EF144D90D4B0E06831DD2E8EB7B4000000000000000050000000000001002500000000100000"
    "26BBBF949983A6C1C796559D0F2C510CB651D1F7B6AC8DED32A2A0B8F2D793A815C6F6B848D69767A215841A42D400AE6DDB5F0B"
    "44173A014973321FDD7950DA6179159B82E03C9E18A050FF0EA1C967",
    "FE534D4240000100000000000900010001000000000000000500000000000000FFFE000001000000250000000010000000000000"
    "00000000000000000000000011000000170000000000000000000000",
)


@pytest.fixture(params=["at once", "as a stream"], autouse=True)
def way(request, monkeypatch):
    if request.param == "as a stream":
        monkeypatch.setattr(pyca, "STREAM_FROM", 0)


def writable(message):
    return memoryview(bytearray(message))


def both_sides(cipher, **keywords):
    """A server and its client."""
    up, down = os.urandom(CIPHERS[cipher]), os.urandom(CIPHERS[cipher])
    return Sealer(cipher, up, down, **keywords), Sealer(cipher, down, up, **keywords)


@pytest.mark.parametrize(
    ("cipher", "keys", "vector"),
    [
        (Cipher.AES_128_CCM, CCM_KEYS, CCM_WRITE_REQUEST),
        (Cipher.AES_128_CCM, CCM_KEYS[::-1], CCM_WRITE_RESPONSE),
        (Cipher.AES_128_GCM, GCM_KEYS, GCM_WRITE_REQUEST),
        (Cipher.AES_128_GCM, GCM_KEYS[::-1], GCM_WRITE_RESPONSE),
    ],
)
def test_unseals_what_windows_sealed(cipher, keys, vector):
    sealed, plain = map(bytes.fromhex, vector)
    assert Sealer(cipher, *keys).unseal(writable(sealed)) == plain


@pytest.mark.parametrize(("keys", "vector"), [(GCM_KEYS[::-1], GCM_WRITE_REQUEST), (GCM_KEYS, GCM_WRITE_RESPONSE)])
def test_seals_like_windows(keys, vector):
    sealed, plain = map(bytes.fromhex, vector)
    nonce = int.from_bytes(sealed[20:32], "little")
    sealer = Sealer(Cipher.AES_128_GCM, *keys, first_nonce=nonce)
    assert b"".join(sealer.seal(0x100000000025, [plain[:64], plain[64:]])) == sealed


@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("sizes", [(1,), (84,), (84, 0), (84, 70_000), (3, 200_000, 5)])
def test_there_and_back(cipher, sizes):
    server, client = both_sides(cipher)
    parts = [os.urandom(size) for size in sizes]
    buffers = server.seal(7, [memoryview(bytearray(part)) for part in parts])
    sealed = b"".join(buffers)
    assert sum(map(len, buffers)) == len(sealed) == 52 + sum(sizes)
    plaintext = client.unseal(writable(sealed))
    assert plaintext == b"".join(parts)
    assert plaintext.readonly


@pytest.mark.parametrize("cipher", CIPHERS)
def test_nonces_are_counted(cipher):
    server, _ = both_sides(cipher, first_nonce=254)
    nonces = [b"".join(server.seal(7, [b"same"]))[20:36] for _ in range(3)]
    assert nonces == [bytes([254, *bytes(15)]), bytes([255, *bytes(15)]), bytes([0, 1, *bytes(14)])]


@pytest.mark.parametrize("cipher", CIPHERS)
def test_the_last_nonce_is_the_last(cipher):
    size = 11 if cipher in (Cipher.AES_128_CCM, Cipher.AES_256_CCM) else 12
    server, client = both_sides(cipher, first_nonce=256**size - 1)
    assert client.unseal(writable(b"".join(server.seal(7, [b"last"])))) == b"last"
    for _ in range(2):
        with pytest.raises(OverflowError):
            server.seal(7, [b"one more"])


@pytest.mark.parametrize("cipher", CIPHERS)
def test_every_bit_counts(cipher):
    server, client = both_sides(cipher)
    sealed = b"".join(client.seal(7, [b"a message", b" in two parts"]))
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 0x10
        with pytest.raises(BadSeal):
            server.unseal(memoryview(changed))
    assert server.unseal(writable(sealed)) == b"a message in two parts"


@pytest.mark.parametrize("cipher", CIPHERS)
def test_own_messages_reflected_are_refused(cipher):
    server, _ = both_sides(cipher)
    with pytest.raises(BadSeal, match="tag"):
        server.unseal(writable(b"".join(server.seal(7, [b"message"]))))


@pytest.mark.parametrize("cipher", CIPHERS)
def test_cut_and_extended_messages_are_refused(cipher):
    server, client = both_sides(cipher)
    sealed = b"".join(client.seal(7, [b"message"]))
    for length in range(len(sealed)):
        with pytest.raises(BadSeal):
            server.unseal(writable(sealed[:length]))
    with pytest.raises(BadSeal, match="OriginalMessageSize 7 for 8 bytes"):
        server.unseal(writable(sealed + b"x"))


@pytest.mark.parametrize(
    ("position", "value", "reason"),
    [
        (0, 0xFE, "not a transform header"),
        (36, 8, "OriginalMessageSize 8"),
        (39, 0xFF, "OriginalMessageSize"),
        (42, 0, "Flags 0x0000"),
        (42, 2, "Flags 0x0002"),
        (43, 1, "Flags 0x0101"),
    ],
)
def test_the_header_is_checked_before_anything_is_decrypted(position, value, reason):
    server, client = both_sides(Cipher.AES_128_GCM)
    sealed = bytearray(b"".join(client.seal(7, [b"message"])))
    sealed[position] = value
    before = bytes(sealed)
    with pytest.raises(BadSeal, match=reason):
        server.unseal(memoryview(sealed))
    assert sealed == before


@pytest.mark.parametrize("cipher", CIPHERS)
def test_keys_of_another_length_are_refused(cipher):
    right, wrong = bytes(CIPHERS[cipher]), bytes(48 - CIPHERS[cipher])
    for keys in ((wrong, wrong), (right, wrong), (wrong, right), (b"", b"")):
        with pytest.raises(ValueError, match="keys of"):
            Sealer(cipher, *keys)


def test_unknown_cipher():
    with pytest.raises(KeyError):
        Sealer(5, bytes(16), bytes(16))
