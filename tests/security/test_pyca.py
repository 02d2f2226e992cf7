import os
from itertools import pairwise

import pytest

from smbport.security import pyca
from smbport.security.ciphers import TAG_SIZE
from smbport.security.pyca import AesCcm, AesGcm, aes_cmac, hmac_sha256

KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")


@pytest.fixture(params=["at once", "as a stream"])
def way(request, monkeypatch):
    if request.param == "as a stream":
        monkeypatch.setattr(pyca, "STREAM_FROM", 0)


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0, "bb1d6929e95937287fa37d129b756746"),
        (16, "070a16b46b4d4144f79bdd9dd04a287c"),
        (40, "dfa66747de9ae63030ca32611497c827"),
        (64, "51f0bebf7e3b9d92fc49741779363cfe"),
    ],
)
def test_cmac(length, expected):
    """[RFC4493] 4"""
    message = bytes.fromhex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    )[:length]
    keyed = aes_cmac(KEY)
    for cut in (0, length // 2, length):
        mac = keyed.copy()
        mac.update(bytearray(message[:cut]))
        mac.update(memoryview(message)[cut:])
        assert mac.finalize().hex() == expected


def test_hmac():
    """[RFC4231] 4.3"""
    mac = hmac_sha256(b"Jefe").copy()
    mac.update(memoryview(bytearray(b"what do ya want ")))
    mac.update(b"for nothing?")
    assert mac.finalize().hex() == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


# Test case 4 of McGrew and Viega, "The Galois/Counter Mode of Operation"
GCM = {
    "key": bytes.fromhex("feffe9928665731c6d6a8f9467308308"),
    "nonce": bytes.fromhex("cafebabefacedbaddecaf888"),
    "plaintext": bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    ),
    "associated": bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
    "ciphertext": bytes.fromhex(
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
        "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
    ),
    "tag": bytes.fromhex("5bc94fbc3221a5db94fae95ae7121a47"),
}


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("cuts", [(), (17,), (0, 1, 33)])
def test_gcm(cuts):
    gcm = AesGcm(GCM["key"])
    edges = (0, *cuts, len(GCM["plaintext"]))
    parts = [GCM["plaintext"][start:end] for start, end in pairwise(edges)]
    ciphertext, tag = gcm.encrypt(GCM["nonce"], parts, GCM["associated"])
    assert (b"".join(ciphertext), tag) == (GCM["ciphertext"], GCM["tag"])
    plaintext = gcm.decrypt(GCM["nonce"], memoryview(bytearray(GCM["ciphertext"])), tag, GCM["associated"])
    assert plaintext == GCM["plaintext"]
    assert plaintext.readonly


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("cuts", [(), (7,), (0, 1, 9)])
def test_gmac(cuts):
    """NIST's GCM test vectors, gcmEncryptExtIV128, without plaintext, 128 bits of AAD, count 0"""
    data = bytes.fromhex("7a43ec1d9c0a5a78a0b16533a6213cab")
    edges = (0, *cuts, 16)
    parts = [data[start:end] for start, end in pairwise(edges)]
    gcm = AesGcm(bytes.fromhex("77be63708971c4e240d1cb79e8d77feb"))
    tag = gcm.mac(bytes.fromhex("e0e00f19fed7ba0136a797f3"), parts)
    assert tag.hex() == "209fcc8d3675ed938e9c7166709dd946"


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("make", [AesGcm, AesCcm])
@pytest.mark.parametrize("key_size", [16, 32])
def test_what_was_changed_is_not_decrypted(make, key_size):
    aead = make(os.urandom(key_size))
    nonce = bytes(make.NONCE_SIZE)
    pieces, tag = aead.encrypt(nonce, [b"head", memoryview(b"body")], b"associated")
    ciphertext = b"".join(pieces)
    assert len(ciphertext) == 8
    assert len(tag) == TAG_SIZE

    def decrypt(nonce=nonce, ciphertext=ciphertext, tag=tag, associated=b"associated"):
        return aead.decrypt(nonce, memoryview(bytearray(ciphertext)), tag, associated)

    assert decrypt() == b"headbody"
    assert decrypt(nonce=b"\1" * make.NONCE_SIZE) is None
    assert decrypt(ciphertext=bytes([ciphertext[0] ^ 1]) + ciphertext[1:]) is None
    assert decrypt(tag=tag[:-1] + bytes([tag[-1] ^ 1])) is None
    assert decrypt(associated=b"Associated") is None


@pytest.mark.parametrize("make", [AesGcm, AesCcm])
def test_a_single_part_is_not_copied_first(make):
    aead = make(KEY)
    single = aead.encrypt(bytes(make.NONCE_SIZE), [b"headbody"], b"")
    double = aead.encrypt(bytes(make.NONCE_SIZE), [b"head", b"body"], b"")
    assert single == double
