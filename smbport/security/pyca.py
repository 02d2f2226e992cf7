"""AES and HMAC by way of PyCA's package `cryptography`, which this module alone knows.

Objects are made once per key.  Work on several buffers is done in one call on their concatenation while that is
small, and as a stream when it is large: starting a stream costs 4 µs, but a second buffer of a megabyte costs up
to 1 ms of page faults (measured with cryptography 50, CPython 3.11, glibc 2.36).
"""

from collections.abc import Sequence
from typing import ClassVar, Final, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from smbport.security.ciphers import TAG_SIZE, Mac
from smbport.wire.record import Buffer

__all__ = ["STREAM_FROM", "AesCcm", "AesGcm", "aes_cmac", "hmac_sha256"]

STREAM_FROM: Final = 128 << 10  # bytes; above it glibc takes buffers from the kernel instead of its heap


def aes_cmac(key: bytes) -> Mac:
    """AES-128-CMAC, 16 bytes.  [RFC4493]"""
    return cast("Mac", CMAC(algorithms.AES(key)))  # its stub says bytes; it takes any buffer


def hmac_sha256(key: bytes) -> Mac:
    """HMAC-SHA256, 32 bytes.  [RFC2104]"""
    return cast("Mac", HMAC(key, SHA256()))


class AesGcm:
    """AES-GCM with 128 or 256 bits, and GMAC, which is the same without a plaintext.  [RFC5116] 5.1"""

    __slots__ = ("_at_once", "_key")

    NONCE_SIZE: ClassVar[int] = 12

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._at_once = AESGCM(key)

    def mac(self, nonce: bytes, parts: Sequence[Buffer]) -> bytes:
        """The tag over `parts` as associated data."""
        whole = _join_if_small(parts)
        if whole is not None:
            return self._at_once.encrypt(nonce, b"", whole)
        stream = Cipher(algorithms.AES(self._key), modes.GCM(nonce)).encryptor()
        for part in parts:
            stream.authenticate_additional_data(part)
        stream.finalize()
        return stream.tag

    def encrypt(self, nonce: bytes, parts: Sequence[Buffer], associated: bytes) -> tuple[list[Buffer], bytes]:
        whole = _join_if_small(parts)
        if whole is not None:
            return _split_tag(self._at_once.encrypt(nonce, whole, associated))
        stream = Cipher(algorithms.AES(self._key), modes.GCM(nonce)).encryptor()
        stream.authenticate_additional_data(associated)
        ciphertext: list[Buffer] = [stream.update(part) for part in parts]
        stream.finalize()
        return ciphertext, stream.tag

    def decrypt(self, nonce: bytes, ciphertext: memoryview, tag: bytes, associated: bytes) -> memoryview | None:
        try:
            if len(ciphertext) < STREAM_FROM:
                return memoryview(self._at_once.decrypt(nonce, b"".join((ciphertext, tag)), associated))
            stream = Cipher(algorithms.AES(self._key), modes.GCM(nonce, tag)).decryptor()
            stream.authenticate_additional_data(associated)
            stream.update_into(ciphertext, ciphertext)
            stream.finalize()
        except InvalidTag:
            return None
        return ciphertext.toreadonly()


class AesCcm:
    """AES-CCM with 128 or 256 bits.  It cannot be streamed, for it must know the length first.  [RFC5116] 5.3"""

    __slots__ = ("_at_once",)

    NONCE_SIZE: ClassVar[int] = 11

    def __init__(self, key: bytes) -> None:
        self._at_once = AESCCM(key, TAG_SIZE)

    def encrypt(self, nonce: bytes, parts: Sequence[Buffer], associated: bytes) -> tuple[list[Buffer], bytes]:
        whole = parts[0] if len(parts) == 1 else b"".join(parts)
        return _split_tag(self._at_once.encrypt(nonce, whole, associated))

    def decrypt(self, nonce: bytes, ciphertext: memoryview, tag: bytes, associated: bytes) -> memoryview | None:
        try:
            return memoryview(self._at_once.decrypt(nonce, b"".join((ciphertext, tag)), associated))
        except InvalidTag:
            return None


def _join_if_small(parts: Sequence[Buffer]) -> Buffer | None:
    if len(parts) == 1:
        return parts[0]
    return b"".join(parts) if sum(map(len, parts)) < STREAM_FROM else None


def _split_tag(sealed: bytes) -> tuple[list[Buffer], bytes]:
    return [memoryview(sealed)[:-TAG_SIZE]], sealed[-TAG_SIZE:]
