"""Signatures of SMB2 messages.  [MS-SMB2] 3.1.4.1, 3.1.5.1"""

import hmac
import struct
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

from smbport.security.crypto import AesGcm, Mac, aes_cmac, hmac_sha256
from smbport.wire.constants import Command, SigningAlgorithm
from smbport.wire.record import Buffer

__all__ = ["Signer", "make_signer"]

# In and out of a header by way of struct: it makes no views and, unlike an assignment to a slice, no copies.
_SIGNATURE: Final = struct.Struct("16s")
_SIGNATURE_OFFSET: Final = 48
_NO_SIGNATURE: Final = bytes(16)
_COMMAND_AND_MESSAGE_ID: Final = struct.Struct("<12xH10x8s")


class Signer(ABC):
    """Signs and verifies with one key.  A message is a buffer that begins at its SMB2 header.

    `from_server` says which side sends it: GMAC would repeat a nonce if both sides signed alike.
    """

    __slots__ = ()

    def sign(self, message: bytearray | memoryview, *, from_server: bool = True) -> None:
        """Write the signature into a message whose Signature field is zero and whose SIGNED flag is set."""
        _SIGNATURE.pack_into(message, _SIGNATURE_OFFSET, self._signature((message,), from_server))

    def sign_parts(
        self, head: bytearray | memoryview, parts: Sequence[Buffer], *, from_server: bool = True
    ) -> None:  # fmt: skip
        """The same for a message in several buffers, of which `head` holds the header."""
        _SIGNATURE.pack_into(head, _SIGNATURE_OFFSET, self._signature((head, *parts), from_server))

    def verify(self, message: memoryview, *, from_server: bool = False) -> bool:
        """Whether the signature is right.  Zeroes it for the time of the check, so `message` must be writable."""
        given: bytes = _SIGNATURE.unpack_from(message, _SIGNATURE_OFFSET)[0]
        _SIGNATURE.pack_into(message, _SIGNATURE_OFFSET, _NO_SIGNATURE)
        expected = self._signature((message,), from_server)
        _SIGNATURE.pack_into(message, _SIGNATURE_OFFSET, given)
        return hmac.compare_digest(given, expected)

    @abstractmethod
    def _signature(self, parts: Sequence[Buffer], from_server: bool) -> bytes:
        """16 bytes over all of `parts`; the header is in the first."""


class _MacSigner(Signer):
    __slots__ = ("_keyed",)

    def __init__(self, keyed: Mac) -> None:
        self._keyed = keyed

    def _signature(self, parts: Sequence[Buffer], from_server: bool) -> bytes:
        mac = self._keyed.copy()
        for part in parts:
            mac.update(part)
        return mac.finalize()[:16]


class _GmacSigner(Signer):
    __slots__ = ("_gcm",)

    def __init__(self, key: bytes) -> None:
        self._gcm = AesGcm(key)

    def _signature(self, parts: Sequence[Buffer], from_server: bool) -> bytes:
        command, message_id = _COMMAND_AND_MESSAGE_ID.unpack_from(parts[0])
        if from_server:
            role = b"\1\0\0\0"
        else:
            role = b"\2\0\0\0" if command == Command.CANCEL else b"\0\0\0\0"  # CANCEL repeats a MessageId
        return self._gcm.mac(message_id + role, parts)


def make_signer(algorithm: int, key: bytes) -> Signer:
    """A signer with a 16-byte key; `algorithm` is one of SigningAlgorithm."""
    match algorithm:
        case SigningAlgorithm.HMAC_SHA256:
            return _MacSigner(hmac_sha256(key))
        case SigningAlgorithm.AES_CMAC:
            return _MacSigner(aes_cmac(key))
        case SigningAlgorithm.AES_GMAC:
            return _GmacSigner(key)
    raise ValueError(f"no signing algorithm 0x{algorithm:04x}")
