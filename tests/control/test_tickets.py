"""smbport.control.answers: Kerberos tickets that a kernel was sent, judged by a stand-in."""

import pytest
from spnego._spnego import NegTokenInit

from smbport.security.kerberos import Ticket
from smbport.security.ntlm import LogonFailure

SHARE = '[server]\nkerberos_realms = ["HERE"]\n[share.data]\npath = "v"'
KERBEROS = "1.2.840.113554.1.2.2"


class Acceptor:
    client = "ALICE@HERE"

    def accept(self, token):
        if token != b"good":
            raise LogonFailure("Kerberos: no")
        return Ticket(self.client, "cifs/s@HERE", b"AP-REP", 60.0, bytes(range(32)), bytes, lambda data, mic: False)


@pytest.fixture
def answers_with(answers_of, monkeypatch):
    async def answers_with(client="ALICE@HERE"):
        acceptor = Acceptor()
        acceptor.client = client
        monkeypatch.setattr("smbport.server.logon.open_keytab", lambda settings: acceptor)
        # check_settings wants a keytab with realms; what opens it is replaced
        return await answers_of(SHARE.replace("[server]\n", '[server]\nkerberos_keytab = "/k"\n'))

    return answers_with


def token(mech_token, *mechanisms):
    return NegTokenInit([*(mechanisms or (KERBEROS,))], mech_token=mech_token).pack()


async def test_a_ticket(answers_with):
    answers = await answers_with()
    ticket = await answers.take_ticket(token(b"good"))
    assert (ticket.logon.name, ticket.logon.account.uid, ticket.logon.nt_hash) == ("Alice", 1001, b"")
    assert (ticket.logon.guest, ticket.logon.homeless, ticket.logon.delay) == (False, False, False)
    assert ticket.session_key == bytes(range(32))
    assert b"AP-REP" in ticket.token
    assert ticket.expires_ns > 60_000_000_000
    assert (await answers.take_ticket(token(b"good"))).logon == ticket.logon  # the account is known now


async def test_wrong_passwords_have_nothing_to_do_with_it(answers_with):
    answers = await answers_with()
    for _ in range(9):
        answers.log_off("alice", failed=True)
    assert not (await answers.take_ticket(token(b"good"))).logon.delay


async def test_a_user_without_an_account(answers_with):
    assert (await (await answers_with("bob@HERE")).take_ticket(token(b"good"))).logon.homeless


@pytest.mark.parametrize(
    ("client", "sent", "said"),
    [
        ("ALICE@HERE", token(b"bad"), "Kerberos: no"),
        ("stranger@HERE", token(b"good"), "'stranger'"),
        ("gone@HERE", token(b"good"), "'gone'"),
        ("alice@ELSEWHERE", token(b"good"), "none of server.kerberos_realms"),
        ("ALICE@HERE", token(b""), "without a ticket"),
        ("ALICE@HERE", token(b"good", "1.3.6.1.4.1.311.2.2.30", KERBEROS), "without a ticket"),
        ("ALICE@HERE", b"no token", "no element"),
        ("ALICE@HERE", b"", "no element"),
        ("ALICE@HERE", bytes(60_000), "60000 bytes"),
    ],
)
async def test_who_is_refused(answers_with, caplog, client, sent, said):
    answers = await answers_with(client)
    assert await answers.take_ticket(sent) is None
    answers.rest()
    assert said in caplog.text


async def test_without_a_keytab(answers_of, caplog):
    answers = await answers_of('[share.data]\npath = "v"')
    assert await answers.take_ticket(token(b"good")) is None
    answers.rest()
    assert "there is no server.kerberos_keytab" in caplog.text
