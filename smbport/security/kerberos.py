"""Kerberos as logons need it: what a ticket proves, and whom its client is here.  [MS-KILE], [RFC4120]

Tickets are judged by an `Acceptor`, which may wait for files; so an exchange hands out a `TicketCheck` for a worker
thread to do.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final, Protocol

from smbport.security.ntlm import LogonFailure

__all__ = ["KERBEROS_MECHANISMS", "Acceptor", "Ticket", "TicketCheck", "realm_of", "user_of"]

KERBEROS: Final = bytes.fromhex("2a864886f712010202")  # 1.2.840.113554.1.2.2
MS_KERBEROS: Final = bytes.fromhex("2a864882f712010202")  # 1.2.840.48018.1.2.2: Windows 2000 had a bit wrong
KERBEROS_MECHANISMS: Final = (MS_KERBEROS, KERBEROS)  # as Windows lists them


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket that was good, and the context that it made.  [RFC4121]"""

    client: str  # the principal: name@REALM
    service: str  # whose key of ours the ticket was for
    token: bytes  # for the client; empty if it wants no proof of who the server is
    lifetime_s: float | None  # from now; None: no end
    session_key: bytes = field(repr=False)  # the sub-key if there is one, as long as its cipher has it
    sign: Callable[[bytes], bytes] = field(repr=False)  # GSS_GetMIC
    verify: Callable[[bytes, bytes], bool] = field(repr=False)  # GSS_VerifyMIC of (data, signature)


class Acceptor(Protocol):
    """What knows the server's keys."""

    def accept(self, token: bytes) -> Ticket:
        """Judge the first token of a client, [RFC4121] 4.1.  Called in any thread.  LogonFailure says why not."""


class TicketCheck:
    """The judgement of one token, to be had by `blocking(check.judge)`; `Exchange.conclude` takes it from there."""

    __slots__ = ("_acceptor", "_token")

    def __init__(self, acceptor: Acceptor, token: bytes) -> None:
        self._acceptor = acceptor
        self._token = token

    def judge(self, *, wait: bool = False) -> Ticket:
        """Raises LogonFailure; BlockingIOError unless `wait`."""
        if not wait:
            raise BlockingIOError
        return self._acceptor.accept(self._token)


def realm_of(principal: str) -> str:
    """Where a principal is known."""
    return principal.rpartition("@")[2]


def user_of(principal: str, realms: Collection[str]) -> str:
    """The name of a user of these realms.  LogonFailure for other realms, for services, and for names with escapes.

    A name in another realm says nothing about ours: whoever runs that realm could call anybody "root".
    """
    name, _, realm = principal.rpartition("@")
    if realm not in realms:
        raise LogonFailure(f"{principal!r} is of none of server.kerberos_realms: {', '.join(sorted(realms))}")
    if not name or set(name) & set("/@\\"):
        raise LogonFailure(f"{principal!r} is no user")
    return name
