"""What is asked of AES and HMAC, whoever brings them."""

from collections.abc import Sequence
from typing import ClassVar, Final, Protocol, Self

from smbport.wire.record import Buffer

__all__ = ["TAG_SIZE", "Aead", "Mac"]

TAG_SIZE: Final = 16


class Mac(Protocol):
    """A keyed hash: copy it, feed the copy, finish it."""

    def copy(self) -> Self: ...

    def update(self, data: Buffer) -> None: ...

    def finalize(self) -> bytes: ...


class Aead(Protocol):
    """Authenticated encryption.  A nonce must never encrypt twice under one key."""

    NONCE_SIZE: ClassVar[int]

    def encrypt(self, nonce: bytes, parts: Sequence[Buffer], associated: bytes) -> tuple[list[Buffer], bytes]:
        """The ciphertext, as long as the parts together but cut differently, and its tag."""

    def decrypt(self, nonce: bytes, ciphertext: memoryview, tag: bytes, associated: bytes) -> memoryview | None:
        """The plaintext, read-only, or None if the tag is wrong.  May overwrite `ciphertext` in either case."""
