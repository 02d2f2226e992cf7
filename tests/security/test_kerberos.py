"""smbport.security.kerberos: who the client of a ticket is here, and when a ticket may be looked at."""

import pytest

from smbport.security.kerberos import Ticket, TicketCheck, realm_of, user_of
from smbport.security.ntlm import LogonFailure

REALMS = frozenset({"EXAMPLE.COM", "OTHER.COM"})


@pytest.mark.parametrize(
    ("principal", "user"),
    [("alice@EXAMPLE.COM", "alice"), ("Bob B@OTHER.COM", "Bob B"), ("PC$@EXAMPLE.COM", "PC$"), ("ü@EXAMPLE.COM", "ü")],
)
def test_users(principal, user):
    assert user_of(principal, REALMS) == user


@pytest.mark.parametrize(
    ("principal", "why"),
    [
        ("alice@ELSEWHERE.COM", "of none of server.kerberos_realms: EXAMPLE.COM, OTHER.COM"),
        ("alice@example.com", "of none of"),  # realms have case
        ("alice", "of none of"),
        ("", "of none of"),
        ("alice@", "of none of"),
        ("@EXAMPLE.COM", "is no user"),
        ("alice/admin@EXAMPLE.COM", "is no user"),
        ("cifs/files.example.com@EXAMPLE.COM", "is no user"),
        ("alice\\@EXAMPLE.COM@OTHER.COM", "is no user"),
        ("alice@EXAMPLE.COM@OTHER.COM", "is no user"),
        ("al\\0ice@EXAMPLE.COM", "is no user"),
        ("alice\\@EXAMPLE.COM", "is no user"),
        ("WELLKNOWN/ANONYMOUS@WELLKNOWN:ANONYMOUS", "of none of"),
    ],
)
def test_who_is_no_user_of_ours(principal, why):
    with pytest.raises(LogonFailure, match=why):
        user_of(principal, REALMS)


def test_realms():
    assert realm_of("cifs/files.example.com@EXAMPLE.COM") == "EXAMPLE.COM"


TICKET = Ticket("alice@A", "cifs/a@A", b"", None, b"very secret", bytes, lambda data, mic: True)


class Acceptor:
    def accept(self, token):
        assert token == b"token"
        return TICKET


def test_a_ticket_is_looked_at_where_that_may_wait():
    check = TicketCheck(Acceptor(), b"token")
    with pytest.raises(BlockingIOError):
        check.judge()
    assert check.judge(wait=True) is TICKET


def test_keys_stay_out_of_logs():
    assert "very secret" not in repr(TICKET)
