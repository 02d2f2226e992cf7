"""Session keys made of the key that authentication gave.  [MS-SMB2] 3.1.4.2, 3.3.5.5.3"""

import hmac
from dataclasses import dataclass
from typing import Final

from smbport.wire.constants import Cipher, Dialect

__all__ = ["SessionKeys", "channel_signing_key", "derive_keys"]

_KEY_SIZE: Final = 16
_AES_256: Final = (Cipher.AES_256_CCM, Cipher.AES_256_GCM)


@dataclass(slots=True, repr=False)  # keys have no place in a log
class SessionKeys:
    """The keys of one session.  [MS-SMB2] 3.3.1.8

    "in" is what the server decrypts, client to server; "out" what it encrypts.  Both are empty without a cipher.
    """

    signing: bytes
    encryption_in: bytes
    encryption_out: bytes
    application: bytes


def derive_keys(dialect: int, session_key: bytes, preauth_hash: bytes, cipher: int | None) -> SessionKeys:
    """All keys of a session; `preauth_hash` matters for 3.1.1 only.  [MS-SMB2] 3.3.5.5.3"""
    signing = channel_signing_key(dialect, session_key, preauth_hash)
    if dialect < Dialect.SMB_3_0:
        return SessionKeys(signing, b"", b"", signing)
    key = _first_16(session_key)
    if dialect == Dialect.SMB_3_1_1:
        application = _derive(key, b"SMBAppKey\0", preauth_hash)
    else:
        application = _derive(key, b"SMB2APP\0", b"SmbRpc\0")
    if cipher is None:
        return SessionKeys(signing, b"", b"", application)
    size = _KEY_SIZE
    if cipher in _AES_256:
        key, size = session_key, 2 * _KEY_SIZE  # from Session.FullSessionKey
    if dialect == Dialect.SMB_3_1_1:
        encryption_in = _derive(key, b"SMBC2SCipherKey\0", preauth_hash, size)
        encryption_out = _derive(key, b"SMBS2CCipherKey\0", preauth_hash, size)
    else:
        encryption_in = _derive(key, b"SMB2AESCCM\0", b"ServerIn \0", size)  # the blank is part of it
        encryption_out = _derive(key, b"SMB2AESCCM\0", b"ServerOut\0", size)
    return SessionKeys(signing, encryption_in, encryption_out, application)


def channel_signing_key(dialect: int, session_key: bytes, preauth_hash: bytes) -> bytes:
    """The signing key of one channel, from the session key of the logon on that channel.  [MS-SMB2] 3.3.5.5.3"""
    key = _first_16(session_key)
    if dialect < Dialect.SMB_3_0:
        return key
    if dialect == Dialect.SMB_3_1_1:
        return _derive(key, b"SMBSigningKey\0", preauth_hash)
    return _derive(key, b"SMB2AESCMAC\0", b"SmbSign\0")


def _first_16(session_key: bytes) -> bytes:
    """Session.SessionKey.  [MS-SMB2] 3.3.1.8"""
    return session_key[:_KEY_SIZE].ljust(_KEY_SIZE, b"\0")


def _derive(key: bytes, label: bytes, context: bytes, size: int = _KEY_SIZE) -> bytes:
    """[SP800-108] 5.1: counter mode, 32-bit counter and length, HMAC-SHA256; one round gives all that is needed."""
    fixed = label + b"\0" + context + (8 * size).to_bytes(4, "big")
    return hmac.digest(key, b"\0\0\0\1" + fixed, "sha256")[:size]
