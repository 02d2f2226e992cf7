"""SPNEGO, which carries the authentication tokens: the few structures that a server reads and writes.

[RFC4178] 4.2, [MS-SPNG] 2.2.1.  Only DER with definite lengths.  Reading takes time linear in the token and no
recursion, because anybody may send one: a general ASN.1 reader can be kept busy for half a second by 48 KiB.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from smbport.wire.record import BadStructure

__all__ = [
    "ACCEPT_COMPLETED", "ACCEPT_INCOMPLETE", "NTLMSSP", "REQUEST_MIC", "BadToken", "InitToken", "ResponseToken",
    "mechanism_of", "pack_hint", "pack_response", "parse_init", "parse_response",
]  # fmt: skip

ACCEPT_COMPLETED: Final = 0  # negState, [RFC4178] 4.2.2
ACCEPT_INCOMPLETE: Final = 1
REQUEST_MIC: Final = 3

SPNEGO: Final = bytes.fromhex("2b0601050502")  # 1.3.6.1.5.5.2
NTLMSSP: Final = bytes.fromhex("2b06010401823702020a")  # 1.3.6.1.4.1.311.2.2.10

MAX_MECHANISMS: Final = 32  # guessed: Windows offers four

_OCTET_STRING: Final = 0x04
_OBJECT_IDENTIFIER: Final = 0x06
_ENUMERATED: Final = 0x0A
_GENERAL_STRING: Final = 0x1B
_SEQUENCE: Final = 0x30
_INITIAL_CONTEXT_TOKEN: Final = 0x60  # [APPLICATION 0], [RFC2743] 3.1
_CONTEXT: Final = 0xA0  # plus the number of the field or choice


class BadToken(BadStructure):
    """An authentication token that does not hold what it should, or comes when none is expected."""


@dataclass(frozen=True, slots=True)
class InitToken:
    """NegTokenInit: what the client can do, and its first token by guess.  [RFC4178] 4.2.1"""

    mechanisms: tuple[bytes, ...]  # object identifiers in the order of the client's preference
    mech_list: bytes  # the same as they came, which is what mechListMIC protects
    mech_token: bytes  # for the first mechanism; empty if there is none


@dataclass(frozen=True, slots=True)
class ResponseToken:
    """NegTokenResp.  [RFC4178] 4.2.2"""

    token: bytes  # empty if there is none
    mech_list_mic: bytes | None


def mechanism_of(token: bytes) -> bytes:
    """Whose token the first one of a client is: SPNEGO, or a mechanism without it.  [RFC2743] 3.1.  Raises BadToken."""
    return bytes(_take(_take(memoryview(token), _INITIAL_CONTEXT_TOKEN)[0], _OBJECT_IDENTIFIER)[0])


def parse_init(token: bytes) -> InitToken:
    """The first token of a client.  Raises BadToken."""
    mechanism, inner = _take(_take(memoryview(token), _INITIAL_CONTEXT_TOKEN)[0], _OBJECT_IDENTIFIER)
    if mechanism != SPNEGO:
        raise BadToken(f"a token of the mechanism {mechanism.hex()}, not SPNEGO")
    fields = _fields(inner, choice=0)
    mech_list = fields.get(0, memoryview(b""))
    mechanisms: list[bytes] = []
    rest = _take(mech_list, _SEQUENCE)[0]
    while rest:
        mechanism, rest = _take(rest, _OBJECT_IDENTIFIER)
        mechanisms.append(bytes(mechanism))
        if len(mechanisms) > MAX_MECHANISMS:
            raise BadToken(f"more than {MAX_MECHANISMS} mechanisms")
    return InitToken(tuple(mechanisms), bytes(mech_list), _octets(fields, 2) or b"")


def parse_response(token: bytes) -> ResponseToken:
    """Any further token of a client.  Raises BadToken."""
    fields = _fields(memoryview(token), choice=1)
    return ResponseToken(_octets(fields, 2) or b"", _octets(fields, 3))


def pack_response(
    state: int, *, supported_mech: bytes | None = None, token: bytes = b"", mech_list_mic: bytes | None = None
) -> bytes:
    """NegTokenResp; `supported_mech` belongs into the first answer only.  [RFC4178] 4.2.2"""
    fields = _field(0, _ENUMERATED, bytes([state]))
    if supported_mech is not None:
        fields += _field(1, _OBJECT_IDENTIFIER, supported_mech)
    if token:
        fields += _field(2, _OCTET_STRING, token)
    if mech_list_mic is not None:
        fields += _field(3, _OCTET_STRING, mech_list_mic)
    return _field(1, _SEQUENCE, fields)


def pack_hint(mechanisms: Sequence[bytes]) -> bytes:
    """NegTokenInit2, with which a server begins: what it can do, and a name that says nothing.  [MS-SPNG] 2.2.1"""
    fields = _field(0, _SEQUENCE, b"".join(_element(_OBJECT_IDENTIFIER, mechanism) for mechanism in mechanisms))
    fields += _field(3, _SEQUENCE, _field(0, _GENERAL_STRING, b"not_defined_in_RFC4178@please_ignore"))
    inner = _field(0, _SEQUENCE, fields)
    return _element(_INITIAL_CONTEXT_TOKEN, _element(_OBJECT_IDENTIFIER, SPNEGO) + inner)


def _take(data: memoryview, tag: int) -> tuple[memoryview, memoryview]:
    """The contents of the element that `data` begins with, and what follows it.  [X.690] 8.1"""
    if len(data) < 2 or data[0] != tag:
        raise BadToken(f"no element 0x{tag:02x} where one must be")
    start, length = 2, data[1]
    if length & 0x80:
        start += length & 0x7F
        if not 3 <= start <= 6:
            raise BadToken(f"a length of {start - 2} bytes")
        length = int.from_bytes(data[2:start], "big")
    if start + length > len(data):
        raise BadToken(f"element 0x{tag:02x} of {length} bytes in {len(data)}")
    return data[start : start + length], data[start + length :]


def _fields(token: memoryview, choice: int) -> dict[int, memoryview]:
    """The tagged fields of the sequence in a NegotiationToken, by number."""
    fields: dict[int, memoryview] = {}
    rest = _take(_take(token, _CONTEXT + choice)[0], _SEQUENCE)[0]
    while rest:
        number = rest[0] - _CONTEXT
        if number in fields:
            raise BadToken(f"field {number} twice")
        fields[number], rest = _take(rest, rest[0])
    return fields


def _octets(fields: dict[int, memoryview], number: int) -> bytes | None:
    return bytes(_take(fields[number], _OCTET_STRING)[0]) if number in fields else None


def _element(tag: int, contents: bytes) -> bytes:
    length = len(contents)
    if length < 0x80:
        return bytes((tag, length)) + contents
    size = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + length.to_bytes(size, "big") + contents


def _field(number: int, tag: int, contents: bytes) -> bytes:
    """An element behind the tag of its field or choice."""
    return _element(_CONTEXT + number, _element(tag, contents))
