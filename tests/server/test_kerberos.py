"""smbport.server.kerberos: keytabs that cannot be used, and tickets, with a stand-in for the package gssapi.

With the package and a real KDC: tests/interop/test_kerberos.py.
"""

import sys
from types import SimpleNamespace

import pytest

from smbport.config.forms import ConfigError
from smbport.security.ntlm import LogonFailure
from smbport.server.kerberos import open_keytab
from smbport.state.settings import Settings

KEYTAB = "/etc/krb5.keytab"
SETTINGS = Settings(kerberos_keytab=KEYTAB)


class GSSError(Exception):
    def __init__(self, minor=7, major=13 << 16):
        self.maj_code, self.min_code = major, minor

    def get_all_statuses(self, code, is_major):
        if is_major:
            return ["Credentials have expired" if code == 11 << 16 else "Unspecified GSS failure"]
        return ["Decrypt integrity check failed", "and more"]


class Context:
    pass


class StandIn(SimpleNamespace):
    """As much of gssapi as is used."""

    def __init__(self):
        super().__init__(
            NameType=SimpleNamespace(hostbased_service="service", kerberos_principal="principal"),
            MechType=SimpleNamespace(kerberos="krb5"), exceptions=SimpleNamespace(GSSError=GSSError),
            OID=SimpleNamespace(from_int_seq=lambda oid: oid), raw=self, GSSError=GSSError,
        )  # fmt: skip
        self.failure = None
        self.more_steps = False
        self.lifetime = 300
        self.asked = None

    def Name(self, base, name_type):
        return base, name_type

    def Credentials(self, **asked):
        if self.failure:
            raise self.failure
        self.asked = asked
        return "keys"

    def accept_sec_context(self, token, acceptor_creds):
        assert acceptor_creds == "keys"
        if token != b"good":
            raise GSSError(0 if token == b"worse" else 7, 11 << 16 if token == b"old" else 13 << 16)
        return SimpleNamespace(
            context=Context(),
            initiator_name=b"alice@HERE",
            token=None,
            lifetime=self.lifetime,
            more_steps=self.more_steps,
        )

    def display_name(self, name, name_type):
        return SimpleNamespace(name=name)

    def inquire_context(self, context):
        return SimpleNamespace(target_name=b"cifs/a@HERE")

    def inquire_sec_context_by_oid(self, context, oid):
        assert oid == "1.2.840.113554.1.2.2.5.5"
        return [bytes(range(32)), b"kind of key"]

    def get_mic(self, context, data):
        return b"mic of " + data

    def verify_mic(self, context, data, mic):
        if mic != b"mic of " + data:
            raise GSSError


@pytest.fixture
def gssapi(monkeypatch):
    standin = StandIn()
    monkeypatch.setitem(sys.modules, "gssapi", standin)
    return standin


def test_without_a_keytab_nothing_is_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "gssapi", None)
    assert open_keytab(Settings()) is None


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "gssapi", None)
    with pytest.raises(ConfigError) as refusal:
        open_keytab(SETTINGS)
    said = str(refusal.value)
    assert said.startswith('settings: server.kerberos_keytab = "/etc/krb5.keytab": needs the package gssapi')
    assert 'pip install "smbport[kerberos]"' in said


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (GSSError(), r"keys of cifs/HOST@REALM: Decrypt integrity check failed; and more"),
        (NotImplementedError("no credential store"), "libraries of this system cannot open it: no credential store"),
    ],
)
def test_a_keytab_that_cannot_be_used(gssapi, failure, said):
    gssapi.failure = failure
    with pytest.raises(ConfigError, match=said):
        open_keytab(SETTINGS)


@pytest.mark.parametrize(
    ("principal", "name"),
    [(None, ("cifs", "service")), ("cifs/a@HERE", ("cifs/a@HERE", "principal"))],
)
def test_whose_keys_count(gssapi, principal, name):
    assert open_keytab(Settings(kerberos_keytab=KEYTAB, kerberos_principal=principal))
    assert gssapi.asked == {"name": name, "usage": "accept", "mechs": ["krb5"], "store": {"keytab": KEYTAB}}


def test_a_ticket(gssapi):
    ticket = open_keytab(SETTINGS).accept(b"good")
    assert (ticket.client, ticket.service, ticket.token, ticket.lifetime_s) == ("alice@HERE", "cifs/a@HERE", b"", 300)
    assert ticket.session_key == bytes(range(32))
    assert ticket.verify(b"x", ticket.sign(b"x"))
    assert not ticket.verify(b"x", b"y")


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (b"bad", "Decrypt integrity check failed; and more"),
        (b"worse", "Unspecified GSS failure"),
        (b"old", "Credentials have expired; Decrypt integrity"),
    ],
)
def test_a_ticket_that_is_refused(gssapi, token, said):
    with pytest.raises(LogonFailure, match=f"Kerberos: {said}"):
        open_keytab(SETTINGS).accept(token)


def test_a_client_that_wants_more_steps(gssapi):
    gssapi.more_steps = True
    with pytest.raises(LogonFailure, match="three steps"):
        open_keytab(SETTINGS).accept(b"good")
