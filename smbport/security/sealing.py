"""Encryption of SMB 3.x messages.  [MS-SMB2] 3.1.4.3, 3.3.5.2.1.1"""

from collections.abc import Sequence
from typing import Final

from smbport.security.crypto import Aead, AesCcm, AesGcm
from smbport.wire.constants import Cipher, TransformFlag
from smbport.wire.header import TRANSFORM_MAGIC, TransformHeader
from smbport.wire.record import Buffer

__all__ = ["BadSeal", "Sealer"]

_SIGNATURE: Final = slice(4, 20)
_ASSOCIATED: Final = slice(20, TransformHeader.SIZE)  # what the tag covers besides the ciphertext

_CIPHERS: Final[dict[int, tuple[type[AesCcm] | type[AesGcm], int]]] = {  # and the bytes of their keys
    Cipher.AES_128_CCM: (AesCcm, 16),
    Cipher.AES_128_GCM: (AesGcm, 16),
    Cipher.AES_256_CCM: (AesCcm, 32),
    Cipher.AES_256_GCM: (AesGcm, 32),
}


class BadSeal(Exception):
    """A sealed message that is not what it says, or that somebody changed: the connection must end."""


class Sealer:
    """Seals what the server sends and unseals what it receives, for one session.

    Nonces are counted from `first_nonce`, so there must be only one Sealer for a key.
    """

    __slots__ = ("_in", "_next_nonce", "_out")

    def __init__(self, cipher: int, key_in: bytes, key_out: bytes, *, first_nonce: int = 0) -> None:
        make, key_size = _CIPHERS[cipher]
        if not len(key_in) == len(key_out) == key_size:
            raise ValueError(f"cipher 0x{cipher:04x} has keys of {key_size} bytes")
        self._in: Aead = make(key_in)
        self._out: Aead = make(key_out)
        self._next_nonce = first_nonce

    def seal(self, session_id: int, parts: Sequence[Buffer]) -> list[Buffer]:
        """The buffers of the transform header and the ciphertext of a message in `parts`."""
        nonce = self._next_nonce.to_bytes(self._out.NONCE_SIZE, "little")  # OverflowError sooner than one used twice
        self._next_nonce += 1
        header = TransformHeader(
            protocol_id=TRANSFORM_MAGIC,
            signature=b"",
            nonce=nonce,
            original_message_size=sum(map(len, parts)),
            flags=TransformFlag.ENCRYPTED,
            session_id=session_id,
        )
        packed = bytearray(header.pack())
        ciphertext, tag = self._out.encrypt(nonce, parts, bytes(packed[_ASSOCIATED]))
        packed[_SIGNATURE] = tag
        return [packed, *ciphertext]

    def unseal(self, message: memoryview) -> memoryview:
        """The message inside a sealed one, read-only.  `message` is used up: it may hold either afterwards.

        Raises BadSeal.  That the header's session is this one is for the caller to see to.
        """
        ciphertext = message[TransformHeader.SIZE :]
        if not ciphertext:
            raise BadSeal(f"a sealed message of {len(message)} bytes")
        header = TransformHeader.unpack_from(message)
        if header.protocol_id != TRANSFORM_MAGIC:
            raise BadSeal(f"not a transform header: {header.protocol_id.hex()}")
        if header.flags != TransformFlag.ENCRYPTED:
            raise BadSeal(f"Flags 0x{header.flags:04x} of a transform header")
        if header.original_message_size != len(ciphertext):
            raise BadSeal(f"OriginalMessageSize {header.original_message_size} for {len(ciphertext)} bytes")
        nonce = header.nonce[: self._in.NONCE_SIZE]
        plaintext = self._in.decrypt(nonce, ciphertext, header.signature, bytes(message[_ASSOCIATED]))
        if plaintext is None:
            raise BadSeal("the tag of a sealed message is wrong")
        return plaintext
