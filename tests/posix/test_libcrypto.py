"""OpenSSL's library by ctypes, byte for byte against the package `cryptography`."""

import random

import pytest

from smbport.security import pyca

pytest.importorskip("smbport.posix.libcrypto", reason="there is no OpenSSL 3", exc_type=Exception)

from smbport.posix import libcrypto

SIZES = [0, 1, 15, 16, 17, 100, 4096, 65536 + 3]
KEYS = [bytes(range(16)), bytes(range(32))]
AEADS = [(libcrypto.AesGcm, pyca.AesGcm), (libcrypto.AesCcm, pyca.AesCcm)]


def data_of(size):
    return random.Random(size).randbytes(size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("key", KEYS, ids=len)
@pytest.mark.parametrize(("ours", "theirs"), AEADS, ids=["gcm", "ccm"])
def test_what_one_seals_the_other_opens(ours, theirs, key, size):
    one, other = ours(key), theirs(key)
    nonce, data, associated = data_of(one.NONCE_SIZE), data_of(size), b"associated"
    cut = [data[: size // 3], memoryview(bytearray(data[size // 3 :]))]
    parts, tag = one.encrypt(nonce, cut, associated)
    expected, expected_tag = other.encrypt(nonce, cut, associated)
    sealed = b"".join(parts)
    assert (sealed, tag) == (b"".join(expected), expected_tag)
    assert one.NONCE_SIZE == other.NONCE_SIZE
    for opener in (one, other):
        opened = opener.decrypt(nonce, memoryview(bytearray(sealed)), tag, associated)
        assert opened == data
        assert opened.readonly


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("ours", "theirs"), AEADS, ids=["gcm", "ccm"])
def test_what_was_changed_is_not_opened(ours, theirs, size):
    one = ours(KEYS[0])
    nonce, data = data_of(one.NONCE_SIZE), data_of(size)
    parts, tag = one.encrypt(nonce, [data], b"associated")
    sealed = memoryview(bytearray(b"".join(parts)))
    assert one.decrypt(nonce, sealed, bytes(16), b"associated") is None
    assert one.decrypt(nonce, sealed, tag, b"another") is None
    if size:
        sealed[size // 2] ^= 1
        assert one.decrypt(nonce, sealed, tag, b"associated") is None


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("key", KEYS, ids=len)
def test_gmac(key, size):
    parts = [data_of(size)[: size // 2], memoryview(data_of(size))[size // 2 :]]
    nonce = bytes(12)
    assert libcrypto.AesGcm(key).mac(nonce, parts) == pyca.AesGcm(key).mac(nonce, parts)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["aes_cmac", "hmac_sha256"])
def test_macs(name, size):
    found = []
    for source in (libcrypto, pyca):
        keyed = getattr(source, name)(KEYS[0])
        for _ in range(2):  # the copy is fed, and what it was copied from stays as it was
            mac = keyed.copy()
            mac.update(bytearray(data_of(size)[: size // 2]))
            mac.update(memoryview(data_of(size))[size // 2 :])
            found.append(mac.finalize())
    assert len(set(found)) == 1


def test_what_openssl_refuses():
    with pytest.raises(libcrypto.LibcryptoError, match="EVP_CIPHER_fetch failed"):
        libcrypto.AesGcm(b"short")


def test_a_system_without_it(monkeypatch):
    monkeypatch.setattr(libcrypto, "NAMES", ("libnothing.so.0",))
    with pytest.raises(libcrypto.LibcryptoError, match="neither"):
        libcrypto.load()
