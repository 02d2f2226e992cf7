"""NTLMv2 as the server of it: CHALLENGE out, AUTHENTICATE in, keys made.  [MS-NLMP]

NTLMv1, LM and NTLM2 session responses are refused before anything is computed.
"""

import hmac
import struct
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from smbport.security.ntlm_messages import (
    MESSAGE_AUTHENTICATE,
    MESSAGE_NEGOTIATE,
    NTLMSSP_SIGNATURE,
    PAIR,
    Authenticate,
    AvFlag,
    AvId,
    NegotiateFlag,
    hmac_md5,
    md4,
    pack_challenge,
    pack_pairs,
    rc4,
    signature,
)
from smbport.security.spnego import BadToken
from smbport.wire.record import BadStructure
from smbport.wire.status import Status, StatusError
from smbport.wire.text import filetime_from_ns

__all__ = ["NTLMSSP_SIGNATURE", "Claim", "LogonFailure", "NtlmChallenge", "NtlmContext", "nt_hash"]

_REQUIRED: Final = NegotiateFlag.UNICODE | NegotiateFlag.EXTENDED_SESSION_SECURITY
_OFFERED: Final = (
    _REQUIRED
    | NegotiateFlag.REQUEST_TARGET
    | NegotiateFlag.SIGN
    | NegotiateFlag.SEAL
    | NegotiateFlag.ALWAYS_SIGN
    | NegotiateFlag.VERSION
    | NegotiateFlag.KEY_128
    | NegotiateFlag.KEY_EXCHANGE
    | NegotiateFlag.KEY_56
)
_ALWAYS: Final = NegotiateFlag.NTLM | NegotiateFlag.TARGET_TYPE_SERVER | NegotiateFlag.TARGET_INFO
_SIGN_OR_SEAL: Final = NegotiateFlag.SIGN | NegotiateFlag.SEAL

_NEGOTIATE_SIZE: Final = 32
_AUTHENTICATE_SIZE: Final = 64
_PROOF_SIZE: Final = 16
_BLOB_SIZE: Final = 28  # NTLMv2_CLIENT_CHALLENGE up to its AvPairs, [MS-NLMP] 2.2.2.7
_ANONYMOUS_LM_RESPONSES: Final = (b"", b"\0")


class LogonFailure(StatusError):
    """The logon is refused; the client is told no more than that, `detail` is for the log."""

    def __init__(self, detail: str) -> None:
        super().__init__(Status.LOGON_FAILURE, detail)


@dataclass(frozen=True, slots=True)
class Claim:
    """An AUTHENTICATE message whose form is right; nothing in it is proven.  [MS-NLMP] 2.2.1.3"""

    user: str
    domain: str
    proof: bytes  # NTProofStr; empty for an anonymous logon
    blob: bytes  # what the proof covers besides the server's challenge
    flags: int
    encrypted_key: bytes  # EncryptedRandomSessionKey; empty if no key is exchanged
    mic: bytes | None  # None if the client did not announce one
    message: bytes  # as it came, with its MIC zeroed
    target: str | None = None  # the service that the client means to log on to; proven with the rest

    @property
    def anonymous(self) -> bool:
        """Whether it does not even claim a user."""
        return not self.proof


@dataclass(frozen=True, slots=True)
class NtlmContext:
    """What a completed exchange leaves behind."""

    session_key: bytes = field(repr=False)  # ExportedSessionKey, 16 bytes
    flags: int
    had_mic: bool  # the AUTHENTICATE message carried a MIC, and it was right

    @property
    def integrity(self) -> bool:
        """Whether both sides can sign with it."""
        return bool(self.flags & NegotiateFlag.SIGN)

    def sign(self, data: bytes) -> bytes:
        """The signature of the first message that the server signs: SPNEGO's mechListMIC.  [MS-NLMP] 3.4.4.2"""
        return signature(self.flags, self.session_key, "accept", data)

    def verify(self, data: bytes, given: bytes) -> bool:
        """Whether the first message that the client signs has this signature."""
        return hmac.compare_digest(signature(self.flags, self.session_key, "initiate", data), given)


class NtlmChallenge:
    """A challenge, and the judge of what answers it.  [MS-NLMP] 3.2.5.1.1

    Raises BadToken for what is no NEGOTIATE message, and LogonFailure if the client lacks what a safe logon needs.
    """

    __slots__ = ("_flags", "_negotiate", "_nonce", "message")

    def __init__(self, negotiate: bytes, *, server: str, domain: str, nonce: bytes, now_ns: int) -> None:
        """`nonce` is 8 bytes that were never used before, `now_ns` the time in nanoseconds since 1970."""
        _check_form(negotiate, MESSAGE_NEGOTIATE, _NEGOTIATE_SIZE)
        (offered,) = struct.unpack_from("<I", negotiate, 12)
        if offered & _REQUIRED != _REQUIRED:
            raise LogonFailure(f"client lacks Unicode or extended session security: 0x{offered:08x}")
        self._negotiate = negotiate
        self._nonce = nonce
        self._flags = offered & _OFFERED | _ALWAYS
        time = pack_pairs([(AvId.TIMESTAMP, filetime_from_ns(now_ns).to_bytes(8, "little"))])
        self.message = pack_challenge(self._flags, nonce, server, _pack_names(server, domain) + time)

    def read_claim(self, message: bytes) -> Claim:
        """Read an AUTHENTICATE message.  [MS-NLMP] 3.2.5.1.2

        Raises BadToken for bytes that lie, and LogonFailure for anything that is not NTLMv2.
        """
        _check_form(message, MESSAGE_AUTHENTICATE, _AUTHENTICATE_SIZE)
        try:
            parsed = Authenticate.parse(message)
            user, domain = parsed.user.decode("utf-16-le"), parsed.domain.decode("utf-16-le")
        except BadStructure as error:
            raise BadToken(f"AUTHENTICATE {error}") from None
        except UnicodeDecodeError as reason:  # another name: compiled, each has one type
            raise BadToken(f"a name that is not UTF-16: {reason.reason}") from None
        flags = parsed.flags & self._flags
        proof, blob = _split_response(parsed.nt_response, parsed.lm_response, anonymous_allowed=not user)
        if proof and flags & _REQUIRED != _REQUIRED:
            raise LogonFailure(f"AUTHENTICATE takes back what NEGOTIATE offered: 0x{parsed.flags:08x}")
        encrypted_key = _encrypted_key(flags, parsed.encrypted_key)
        av_flags, target = _read_pairs(blob[_BLOB_SIZE:]) if proof else (0, None)
        mic = None
        if av_flags & AvFlag.MIC:
            mic = parsed.mic
            if mic is None:
                raise LogonFailure("a MIC is announced, and there is none")
            message = parsed.without_mic(message)
        return Claim(user, domain, proof, blob, flags, encrypted_key, mic, message, target)

    def verify(self, claim: Claim, nt_hash: bytes) -> NtlmContext | None:
        """Check the claim against the NT hash of its user; None if the password is wrong.  [MS-NLMP] 3.3.2

        Raises LogonFailure if the password is right but the MIC is not.
        """
        identity = (_upper(claim.user) + claim.domain).encode("utf-16-le")
        response_key = hmac_md5(nt_hash, identity)
        proof = hmac_md5(response_key, self._nonce + claim.blob)
        if not hmac.compare_digest(proof, claim.proof):
            return None
        return self._context(claim, hmac_md5(response_key, proof))

    def accept_anonymous(self, claim: Claim) -> NtlmContext:
        """The context of a claim to be nobody, whose key everybody knows.  [MS-NLMP] 3.2.5.1.2"""
        return self._context(claim, bytes(16))

    def _context(self, claim: Claim, key: bytes) -> NtlmContext:
        """Exchange the session key and check the MIC with it.  [MS-NLMP] 3.2.5.1.2"""
        if claim.encrypted_key:
            key = rc4(key, claim.encrypted_key)
        if claim.mic is not None:
            expected = hmac_md5(key, self._negotiate + self.message + claim.message)
            if not hmac.compare_digest(expected, claim.mic):
                raise LogonFailure("the MIC is wrong: somebody changed a message on the way")
        return NtlmContext(key, claim.flags, claim.mic is not None)


def nt_hash(password: str) -> bytes:
    """NTOWFv1, the 16 bytes that NTLM knows a password by.  [MS-NLMP] 3.3.1"""
    return md4(password.encode("utf-16-le"))


@lru_cache(1)
def _pack_names(server: str, domain: str) -> bytes:
    """The AV_PAIRs that all challenges of a server have in common."""
    names = (
        (AvId.NB_DOMAIN_NAME, domain), (AvId.NB_COMPUTER_NAME, server), (AvId.DNS_DOMAIN_NAME, ""),
        (AvId.DNS_COMPUTER_NAME, server.lower()),
    )  # fmt: skip
    return pack_pairs([(kind, name.encode("utf-16-le")) for kind, name in names])


def _check_form(message: bytes, message_type: int, size: int) -> None:
    if len(message) < size or not message.startswith(NTLMSSP_SIGNATURE):
        raise BadToken(f"{len(message)} bytes that are no NTLM message")
    found = int.from_bytes(message[8:12], "little")
    if found != message_type:
        raise BadToken(f"NTLM message {found} where {message_type} must be")


def _split_response(nt_response: bytes, lm_response: bytes, *, anonymous_allowed: bool) -> tuple[bytes, bytes]:
    """NTProofStr and what it covers; two times nothing if the claim is anonymous.  [MS-NLMP] 2.2.2.8"""
    if anonymous_allowed and not nt_response and lm_response in _ANONYMOUS_LM_RESPONSES:
        return b"", b""
    if len(nt_response) < _PROOF_SIZE + _BLOB_SIZE:
        raise LogonFailure(f"NT response of {len(nt_response)} bytes: not NTLMv2")
    return nt_response[:_PROOF_SIZE], nt_response[_PROOF_SIZE:]


def _encrypted_key(flags: int, key: bytes) -> bytes:
    """[MS-NLMP] 3.2.5.1.2 exchanges a key only to sign or seal; Samba's clients do it whenever the flag is set."""
    if not flags & NegotiateFlag.KEY_EXCHANGE:
        return b""
    if len(key) != 16 and flags & _SIGN_OR_SEAL:
        raise BadToken(f"EncryptedRandomSessionKey of {len(key)} bytes")
    return key if len(key) == 16 else b""


def _read_pairs(pairs: bytes) -> tuple[int, str | None]:
    """MsvAvFlags and MsvAvTargetName in a list of AV_PAIRs; 0 and None if it has none.  [MS-NLMP] 2.2.2.1"""
    flags, target = 0, None
    position = 0
    while position + 4 <= len(pairs):
        kind, length = PAIR.unpack_from(pairs, position)
        position += 4
        value = pairs[position : position + length]
        position += length
        if kind == AvId.EOL:
            return flags, target
        if kind == AvId.FLAGS:
            flags |= int.from_bytes(value, "little")
        elif kind == AvId.TARGET_NAME:
            try:
                target = value.decode("utf-16-le")
            except UnicodeDecodeError as error:
                raise BadToken(f"a target name that is not UTF-16: {error.reason}") from None
    raise BadToken("a list of AV pairs without an end")


def _upper(name: str) -> str:
    """Upper case as Windows has it: one character stays one, so "ß" stays "ß"."""
    return "".join(upper if len(upper := character.upper()) == 1 else character for character in name)
