"""Who the client is: Kerberos or NTLMv2, bare or inside SPNEGO, for the users of a database.  [MS-SMB2] 3.3.5.5.3

    exchange = authenticator.begin()
    step = exchange.step(token, now_ns)      Continue(token), ..., Done(token, user, session_key)

With Kerberos a step may be a TicketCheck instead, which a worker thread has to make:

    step = exchange.conclude(ticket, now_ns)

Refusals are `LogonFailure`, the same in status and work done whether the user is unknown, disabled or has another
password.  Tokens that are malformed or come out of order are `BadToken`.  After either an exchange is dead.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, Literal, Protocol

from smbport.security.kerberos import KERBEROS_MECHANISMS, Acceptor, Ticket, TicketCheck, realm_of, user_of
from smbport.security.ntlm import NTLMSSP_SIGNATURE, Claim, LogonFailure, NtlmChallenge, NtlmContext, nt_hash
from smbport.security.spnego import (
    ACCEPT_COMPLETED,
    ACCEPT_INCOMPLETE,
    NTLMSSP,
    REQUEST_MIC,
    BadToken,
    InitToken,
    mechanism_of,
    pack_hint,
    pack_response,
    parse_init,
    parse_response,
)

__all__ = [
    "MAX_TOKEN", "Authenticator", "BadToken", "Continue", "Done", "Exchange", "LogonFailure", "LogonUser",
    "TicketCheck", "UserDatabase", "UserRecord", "nt_hash",
]  # fmt: skip

MAX_TOKEN: Final = 48 << 10  # bytes; guessed: Kerberos tickets with large PACs take 12 to 48 KiB, NTLM under 2


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user who can log on."""

    name: str
    nt_hash: bytes = field(repr=False)  # 16 bytes, as good as the password
    disabled: bool = False
    account: str | None = None  # the system account, if it is not called `name`
    rid: int = 0  # the last part of the SID, given once and never to anybody else; 0: none


class UserDatabase(Protocol):
    """Where users are looked up.  Must not wait."""

    @property
    def machine_id(self) -> tuple[int, int, int]:
        """What the SIDs of this database have in common: three numbers of 32 bits."""

    def find_user(self, name: str) -> UserRecord | None:
        """The user of this name, compared without case.  Called at every logon."""

    def list(self) -> Sequence[UserRecord]:
        """All users, in an order that stays the same."""


@dataclass(frozen=True, slots=True)
class LogonUser:
    """Who logged on.  Guests and anonymous users proved nothing, so neither carries the name they gave."""

    name: str  # as the database spells it
    domain: str  # as the client sent it; of a ticket, its realm
    kind: Literal["user", "guest", "anonymous"]
    record: UserRecord | None  # of a "user"


@dataclass(frozen=True, slots=True)
class Continue:
    """Send this, and expect another token."""

    token: bytes


@dataclass(frozen=True, slots=True)
class Done:
    """Send this; the logon is complete."""

    token: bytes  # empty if there is nothing to send
    user: LogonUser
    session_key: bytes = field(repr=False)  # 16 bytes, of which a guest's are zero; Kerberos may give more
    expires_ns: int | None = None  # nanoseconds since 1970; NTLM's logons never expire


_NOBODY: Final = UserRecord("", bytes(16), disabled=True)  # stands in for unknown users, so that they take as long
_GUEST: Final = LogonUser("guest", "", "guest", None)
_ANONYMOUS: Final = LogonUser("", "", "anonymous", None)


class Authenticator:
    """The rules of logging on, for all connections of a server."""

    def __init__(
        self,
        *,
        users: UserDatabase,
        server_name: str,
        domain: str,
        anonymous: bool,
        guest: bool,
        random_bytes: Callable[[int], bytes],
        guest_on_bad_user: bool = False,
        target_name: Literal["ignored", "checked", "required"] = "ignored",
        aliases: Sequence[str] = (),
        kerberos: Acceptor | None = None,
        realms: Sequence[str] = (),
    ) -> None:
        """`guest` lets the name "guest" in without a password; `guest_on_bad_user` besides it, every unknown name.

        `target_name` says what to do with the name of the server that a client has signed its logon for, which must be
        the server's or one of its `aliases`.  `realms` are those whose users are ours; () is the server's own.
        """
        self.users = users
        self.server_name = server_name
        self.domain = domain
        self.anonymous = anonymous
        self.guest = guest
        self.guest_on_bad_user = guest_on_bad_user
        self.target_name = target_name
        self.names = {name.casefold() for name in (server_name, *aliases)}
        self.random_bytes = random_bytes
        self.kerberos = kerberos
        self.realms = frozenset(realms)
        self._hint = pack_hint((*KERBEROS_MECHANISMS, NTLMSSP) if kerberos is not None else (NTLMSSP,))

    def hint(self) -> bytes:
        """The security buffer of a NEGOTIATE response.  [MS-SMB2] 3.3.5.4"""
        return self._hint

    def begin(self) -> "Exchange":
        """One attempt to log on."""
        return Exchange(self)

    def look_up(self, name: str) -> LogonUser:
        """Who may prove to be `name`, "" if anonymous, for a kernel that checks the proof.  Raises LogonFailure."""
        if not name:
            if not self.anonymous:
                raise LogonFailure("anonymous")
            return _ANONYMOUS
        record = self.users.find_user(name)
        if record is None and self._welcomes(name):
            return _GUEST
        if record is None or record.disabled:
            raise LogonFailure(f"user {name!r}")
        return LogonUser(record.name, "", "user", record)

    def identify(self, claim: Claim, challenge: NtlmChallenge) -> tuple[LogonUser, NtlmContext | None]:
        """Decide about a claim; no context comes with a guest, whose key nobody knows.  Raises LogonFailure."""
        if claim.anonymous:
            if not self.anonymous:
                raise LogonFailure("anonymous")
            return _ANONYMOUS, challenge.accept_anonymous(claim)
        record = self.users.find_user(claim.user)
        known = _NOBODY if record is None else record
        context = challenge.verify(claim, known.nt_hash)
        if context is not None and not known.disabled:
            self._check_target(claim)
            return LogonUser(known.name, claim.domain, "user", known), context
        if record is None and self._welcomes(claim.user):
            return _GUEST, None
        raise LogonFailure(f"user {claim.user!r}, domain {claim.domain!r}")

    def admit(self, ticket: Ticket) -> LogonUser:
        """Who the client of a ticket is here; nobody becomes a guest by one.  Raises LogonFailure."""
        name = user_of(ticket.client, self.realms or {realm_of(ticket.service)})
        record = self.users.find_user(name)
        if record is None or record.disabled:
            raise LogonFailure(f"user {name!r}, whose ticket for {ticket.client!r} is good")
        return LogonUser(record.name, realm_of(ticket.client), "user", record)

    def _check_target(self, claim: Claim) -> None:
        """Was the logon made for this server, or for another one that has passed it on?  [MS-NLMP] 2.2.2.1"""
        target = claim.target
        if self.target_name == "ignored" or (self.target_name == "checked" and not target):
            return
        if target and _host_of(target).casefold() in self.names:
            return
        raise LogonFailure(f"user {claim.user!r} means to log on to {target!r}, which is not in server.aliases")

    def _welcomes(self, unknown_user: str) -> bool:
        return self.guest and (self.guest_on_bad_user or unknown_user.casefold() == "guest")


def _host_of(target: str) -> str:
    """The host in a service principal name: cifs/HOST, cifs/HOST:PORT, cifs/[ADDRESS]:PORT, cifs/HOST/NAME."""
    host = target.partition("/")[2].partition("/")[0]
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") == 1 else host


class Exchange:
    """One attempt to log on.  Its challenge is good for one answer, and only here."""

    __slots__ = ("_authenticator", "_chosen", "_mech_list", "_mic_due", "_next")

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._chosen: bytes | None = None  # Kerberos as the client calls it, if the answer to a ticket has to say so
        self._mech_list = b""  # the client's mechanisms as SPNEGO carried them; empty without SPNEGO
        self._mic_due = False  # the client's first choice was not NTLM, so it must prove that nobody changed it
        self._next: Callable[[bytes, int], Continue | Done | TicketCheck] = self._first

    def step(self, token: bytes, now_ns: int) -> Continue | Done | TicketCheck:
        """Take the client's next token at `now_ns`, nanoseconds since 1970.  Raises LogonFailure and BadToken.

        No token may come before the exchange has concluded a TicketCheck.
        """
        take, self._next = self._next, self._dead
        if len(token) > MAX_TOKEN:
            raise BadToken(f"a token of {len(token)} bytes")
        return take(token, now_ns)

    def conclude(self, ticket: Ticket, now_ns: int) -> Continue | Done:
        """Go on with a ticket that was found good.  Raises LogonFailure.  [RFC4178] 5"""
        user = self._authenticator.admit(ticket)
        expires_ns = None if ticket.lifetime_s is None else now_ns + round(ticket.lifetime_s * 1e9)
        done = Done(ticket.token, user, ticket.session_key, expires_ns)
        if not self._mech_list:
            return done
        if not self._mic_due:
            return replace(done, token=pack_response(ACCEPT_COMPLETED, supported_mech=self._chosen, token=ticket.token))
        self._next = partial(self._proof, ticket, done)
        mic = ticket.sign(self._mech_list)
        return Continue(pack_response(ACCEPT_INCOMPLETE, token=ticket.token, mech_list_mic=mic))

    def _dead(self, token: bytes, now_ns: int) -> Continue | Done:
        raise BadToken("the exchange is over")

    def _first(self, token: bytes, now_ns: int) -> Continue | TicketCheck:
        if token.startswith(NTLMSSP_SIGNATURE):
            return Continue(self._challenge(token, now_ns))
        kerberos = self._authenticator.kerberos
        if kerberos is not None and mechanism_of(token) in KERBEROS_MECHANISMS:
            return TicketCheck(kerberos, token)
        init = parse_init(token)
        self._mech_list = init.mech_list
        if init.mech_token.startswith(NTLMSSP_SIGNATURE):
            kerberos = None  # the client could not get a ticket
        for mechanism in init.mechanisms:
            if mechanism == NTLMSSP:
                return self._begin_ntlm(init, now_ns)
            if kerberos is not None and mechanism in KERBEROS_MECHANISMS:
                return self._begin_kerberos(init, mechanism, kerberos)
        raise LogonFailure(f"client does not offer {'NTLM' if kerberos is None else 'Kerberos or NTLM'}")

    def _begin_kerberos(self, init: InitToken, mechanism: bytes, kerberos: Acceptor) -> Continue | TicketCheck:
        """Kerberos as the client calls it is its first choice, or the first that we know."""
        self._mic_due = mechanism != init.mechanisms[0]
        if init.mech_token and not self._mic_due:
            self._chosen = mechanism
            return TicketCheck(kerberos, init.mech_token)
        self._next = self._ticket  # the token that came, if any, was for another mechanism
        return Continue(pack_response(REQUEST_MIC if self._mic_due else ACCEPT_INCOMPLETE, supported_mech=mechanism))

    def _ticket(self, token: bytes, now_ns: int) -> TicketCheck:
        kerberos = self._authenticator.kerberos
        assert kerberos is not None
        return TicketCheck(kerberos, parse_response(token).token)

    def _proof(self, ticket: Ticket, done: Done, token: bytes, now_ns: int) -> Done:
        """The client's mechListMIC, due because its first choice was neither Kerberos nor NTLM."""
        mic = parse_response(token).mech_list_mic
        if mic is None:
            raise LogonFailure("mechListMIC is missing")
        if not ticket.verify(self._mech_list, mic):
            raise LogonFailure("mechListMIC is wrong: somebody changed the client's list of mechanisms")
        return replace(done, token=pack_response(ACCEPT_COMPLETED))

    def _begin_ntlm(self, init: InitToken, now_ns: int) -> Continue:
        self._mic_due = init.mechanisms[0] != NTLMSSP
        challenge = b""
        if init.mech_token.startswith(NTLMSSP_SIGNATURE):
            challenge = self._challenge(init.mech_token, now_ns)
        else:  # a token for the mechanism the client hoped for, or none
            self._next = self._second
        state = REQUEST_MIC if self._mic_due else ACCEPT_INCOMPLETE
        return Continue(pack_response(state, supported_mech=NTLMSSP, token=challenge))

    def _second(self, token: bytes, now_ns: int) -> Continue:
        challenge = self._challenge(parse_response(token).token, now_ns)
        return Continue(pack_response(ACCEPT_INCOMPLETE, token=challenge))

    def _challenge(self, negotiate: bytes, now_ns: int) -> bytes:
        authenticator = self._authenticator
        challenge = NtlmChallenge(
            negotiate,
            server=authenticator.server_name,
            domain=authenticator.domain,
            nonce=authenticator.random_bytes(8),
            now_ns=now_ns,
        )
        self._next = partial(self._last, challenge)
        return challenge.message

    def _last(self, challenge: NtlmChallenge, token: bytes, now_ns: int) -> Done:
        mic = None
        if self._mech_list:
            response = parse_response(token)
            token, mic = response.token, response.mech_list_mic
        user, context = self._authenticator.identify(challenge.read_claim(token), challenge)
        answer = b""
        if self._mech_list:
            answer = pack_response(ACCEPT_COMPLETED, mech_list_mic=self._answer_mic(context, mic))
        return Done(answer, user, bytes(16) if context is None else context.session_key)

    def _answer_mic(self, context: NtlmContext | None, mic: bytes | None) -> bytes | None:
        """Check the client's mechListMIC and return ours; None if none is exchanged.  [RFC4178] 5, [MS-SPNG] 3.3.5.1"""
        if context is None or not context.integrity:
            return None
        if mic is None:
            if self._mic_due or context.had_mic:
                raise LogonFailure("mechListMIC is missing")
            return None
        if not context.verify(self._mech_list, mic):
            raise LogonFailure("mechListMIC is wrong: somebody changed the client's list of mechanisms")
        return context.sign(self._mech_list)
