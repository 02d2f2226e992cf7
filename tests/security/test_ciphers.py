"""Whoever brings the ciphers keeps what is promised of them: the same questions to each."""

import os

import pytest

from smbport.posix import libcrypto
from smbport.security import pyca
from smbport.security.ciphers import TAG_SIZE


@pytest.fixture(params=[pyca, libcrypto], ids=["cryptography", "libcrypto"])
def bringer(request):
    return request.param


@pytest.mark.parametrize("name", ["aes_cmac", "hmac_sha256"])
def test_a_copy_goes_its_own_way(bringer, name):
    keyed = getattr(bringer, name)(bytes(16))
    first, second = keyed.copy(), keyed.copy()
    first.update(b"message")
    second.update(memoryview(b"mess"))
    second.update(bytearray(b"age"))
    third = keyed.copy()
    digest = first.finalize()
    assert len(digest) >= TAG_SIZE
    assert second.finalize() == digest
    assert third.finalize() != digest


@pytest.mark.parametrize("name", ["AesGcm", "AesCcm"])
@pytest.mark.parametrize("size", [0, 1, 100, 100_000])
def test_what_was_encrypted_comes_back(bringer, name, size):
    cipher = getattr(bringer, name)(bytes(16))
    nonce, plain = bytes(cipher.NONCE_SIZE), os.urandom(size)
    sealed, tag = cipher.encrypt(nonce, [plain[:50], memoryview(plain)[50:]], b"header")
    together = b"".join(sealed)
    assert len(together) == size
    assert len(tag) == TAG_SIZE
    assert cipher.decrypt(nonce, memoryview(bytearray(together)), tag, b"header") == plain
    assert cipher.decrypt(nonce, memoryview(bytearray(together)), tag, b"another") is None
    assert cipher.decrypt(nonce, memoryview(bytearray(together)), tag[:-1] + bytes([tag[-1] ^ 1]), b"header") is None
