"""The three messages of NTLM and what they are computed with, as far as a server needs them.  [MS-NLMP] 2.2, 3.3, 3.4

MD4 and RC4 are broken and slow here, and good enough for what NTLM does with them: 16 bytes at a time, at logon.
"""

import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import md5
from typing import Final, Literal

from smbport.wire.record import BadStructure, Buffer, field

__all__ = [
    "MESSAGE_AUTHENTICATE", "MESSAGE_CHALLENGE", "MESSAGE_NEGOTIATE", "NTLMSSP_SIGNATURE", "PAIR", "Authenticate",
    "AvFlag", "AvId", "NegotiateFlag", "hmac_md5", "md4", "pack_challenge", "pack_pairs", "rc4", "signature",
]  # fmt: skip

NTLMSSP_SIGNATURE: Final = b"NTLMSSP\0"
MESSAGE_NEGOTIATE: Final = 1
MESSAGE_CHALLENGE: Final = 2
MESSAGE_AUTHENTICATE: Final = 3

VERSION: Final = bytes((6, 1, 0, 0, 0, 0, 0, 15))  # of Windows; seen in traces only, [MS-NLMP] 2.2.2.10
CHALLENGE: Final = struct.Struct("<8sIHHII8s8xHHI")
PAIR: Final = struct.Struct("<HH")  # head of an AV_PAIR: kind, length
AUTHENTICATE_SIZE: Final = 64  # without version and MIC
PLACES: Final = struct.Struct("<12x" + "H2xI" * 6)  # lengths and offsets of its fields
MIC_SIZE: Final = 16
VERSION_SIZE: Final = 8


class NegotiateFlag:
    """[MS-NLMP] 2.2.2.5"""

    UNICODE: Final = 0x00000001
    REQUEST_TARGET: Final = 0x00000004
    SIGN: Final = 0x00000010
    SEAL: Final = 0x00000020
    NTLM: Final = 0x00000200
    ALWAYS_SIGN: Final = 0x00008000
    TARGET_TYPE_SERVER: Final = 0x00020000
    EXTENDED_SESSION_SECURITY: Final = 0x00080000
    TARGET_INFO: Final = 0x00800000
    VERSION: Final = 0x02000000
    KEY_128: Final = 0x20000000
    KEY_EXCHANGE: Final = 0x40000000
    KEY_56: Final = 0x80000000


class AvId:
    """[MS-NLMP] 2.2.2.1"""

    EOL: Final = 0
    NB_COMPUTER_NAME: Final = 1
    NB_DOMAIN_NAME: Final = 2
    DNS_COMPUTER_NAME: Final = 3
    DNS_DOMAIN_NAME: Final = 4
    FLAGS: Final = 6
    TIMESTAMP: Final = 7
    TARGET_NAME: Final = 9


class AvFlag:
    """Bits of AvId.FLAGS."""

    MIC: Final = 0x2


def pack_pairs(pairs: Sequence[tuple[int, bytes]]) -> bytes:
    """AV_PAIRs.  [MS-NLMP] 2.2.2.1"""
    return b"".join(PAIR.pack(kind, len(value)) + value for kind, value in pairs)


def pack_challenge(flags: int, nonce: bytes, target: str, pairs: bytes) -> bytes:
    """CHALLENGE_MESSAGE; `pairs` are AV_PAIRs without the last.  [MS-NLMP] 2.2.1.2"""
    name = target.encode("utf-16-le")
    pairs += PAIR.pack(AvId.EOL, 0)
    flags |= NegotiateFlag.REQUEST_TARGET  # which says that the target is there
    version = VERSION if flags & NegotiateFlag.VERSION else b""
    start = CHALLENGE.size + len(version)
    head = CHALLENGE.pack(
        NTLMSSP_SIGNATURE, MESSAGE_CHALLENGE, len(name), len(name), start, flags, nonce, len(pairs), len(pairs),
        start + len(name),
    )  # fmt: skip
    return head + version + name + pairs


@dataclass(frozen=True, slots=True)
class Authenticate:
    """AUTHENTICATE_MESSAGE.  [MS-NLMP] 2.2.1.3"""

    lm_response: bytes
    nt_response: bytes
    domain: bytes  # UTF-16
    user: bytes
    encrypted_key: bytes  # EncryptedRandomSessionKey
    flags: int
    mic_at: int | None  # None if the message has no room for one
    mic: bytes | None

    @classmethod
    def parse(cls, message: bytes) -> "Authenticate":
        """Raises BadStructure for fields that are not in the message."""
        if len(message) < AUTHENTICATE_SIZE:
            raise BadStructure(f"AUTHENTICATE of {len(message)} bytes")
        numbers = PLACES.unpack_from(message)
        places = list(zip(numbers[::2], numbers[1::2], strict=True))
        lm, nt, domain, user, _, key = [
            bytes(field(message, offset, length, after=AUTHENTICATE_SIZE)) for length, offset in places
        ]
        flags = int.from_bytes(message[60:64], "little")
        at = _find_mic(places, len(message))
        return cls(lm, nt, domain, user, key, flags, at, None if at is None else message[at : at + MIC_SIZE])

    def without_mic(self, message: bytes) -> bytes:
        """The message as the MIC was computed over it."""
        assert self.mic_at is not None
        return message[: self.mic_at] + bytes(MIC_SIZE) + message[self.mic_at + MIC_SIZE :]


def _find_mic(places: Sequence[tuple[int, int]], size: int) -> int | None:
    """Where it is: behind the version, if there is room for both before the first field."""
    first = min((offset for length, offset in places if length), default=size)
    if first >= AUTHENTICATE_SIZE + VERSION_SIZE + MIC_SIZE:
        return AUTHENTICATE_SIZE + VERSION_SIZE
    return AUTHENTICATE_SIZE if first >= AUTHENTICATE_SIZE + MIC_SIZE else None


# What is computed -----------------------------------------------------------------------------------------------


def hmac_md5(key: bytes, data: bytes) -> bytes:
    """16 bytes.  [RFC2104]"""
    return hmac.digest(key, data, "md5")


MAGIC: Final = {
    ("accept", "sign"): b"session key to server-to-client signing key magic constant\0",
    ("accept", "seal"): b"session key to server-to-client sealing key magic constant\0",
    ("initiate", "sign"): b"session key to client-to-server signing key magic constant\0",
    ("initiate", "seal"): b"session key to client-to-server sealing key magic constant\0",
}


def signature(flags: int, session_key: bytes, side: Literal["initiate", "accept"], data: bytes) -> bytes:
    """Of the first message that this side signs, with extended session security.  [MS-NLMP] 3.4.4.2, 3.4.5"""
    signing_key = md5(session_key + MAGIC[side, "sign"]).digest()
    number = bytes(4)
    checksum = hmac_md5(signing_key, number + data)[:8]
    if flags & NegotiateFlag.KEY_EXCHANGE:
        checksum = rc4(_sealing_key(flags, session_key, side), checksum)
    return b"\x01\0\0\0" + checksum + number


def _sealing_key(flags: int, session_key: bytes, side: Literal["initiate", "accept"]) -> bytes:
    size = 16 if flags & NegotiateFlag.KEY_128 else 7 if flags & NegotiateFlag.KEY_56 else 5
    return md5(session_key[:size] + MAGIC[side, "seal"]).digest()


def rc4(key: bytes, data: Buffer) -> bytes:
    """[RFC6229]"""
    state = list(range(256))
    j = 0
    for i, part in enumerate((key * (256 // len(key) + 1))[:256]):
        here = state[i]
        j = (j + here + part) & 255
        state[i] = state[j]
        state[j] = here
    out = bytearray()
    i = j = 0
    for byte in bytes(data):
        i = (i + 1) & 255
        j = (j + state[i]) & 255
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) & 255])
    return bytes(out)


ROUNDS: Final = (  # what is added, in which order the words come, and by how much they are turned: [RFC1320] 3.4
    (0x00000000, tuple(range(16)), (3, 7, 11, 19)),
    (0x5A827999, (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), (3, 5, 9, 13)),
    (0x6ED9EBA1, (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15), (3, 9, 11, 15)),
)
WORD: Final = 0xFFFFFFFF


def md4(data: bytes) -> bytes:
    """16 bytes.  OpenSSL 3 has it no more, but by special arrangement.  [RFC1320]"""
    padded = data + b"\x80" + bytes((55 - len(data)) % 64) + struct.pack("<Q", 8 * len(data))
    state = [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476]
    for block in range(0, len(padded), 64):
        words = struct.unpack_from("<16I", padded, block)
        a, b, c, d = state
        for number, (constant, order, turns) in enumerate(ROUNDS):
            for step, index in enumerate(order):
                total = (a + _mix(number, b, c, d) + words[index] + constant) & WORD
                turn = turns[step % 4]
                a, b, c, d = d, (total << turn | total >> (32 - turn)) & WORD, b, c
        state = [(old + new) & WORD for old, new in zip(state, (a, b, c, d), strict=True)]
    return struct.pack("<4I", *state)


def _mix(number: int, b: int, c: int, d: int) -> int:
    """What mixes three words, by round.  [RFC1320] 3.4"""
    if number == 0:
        return b & c | ~b & d
    return b & c | b & d | c & d if number == 1 else b ^ c ^ d
