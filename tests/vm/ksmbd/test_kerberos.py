"""Tickets that ksmbd is sent: judged by smbport, where the kernel was built with Kerberos."""

import base64
import os
import subprocess
from collections.abc import Iterator
from typing import Final

import pytest

from tests.interop.realm import HOST, REALM, SERVICE, Realm, run_kdc
from tests.vm import daemon, daemon_kerberos
from tests.vm.ksmbd.conftest import CLIENT_TIMEOUT_S, PASSWORD
from tests.vm.machine import Machine

pytest.importorskip("gssapi", reason="the package gssapi is not installed")

pytestmark = [pytest.mark.vm, pytest.mark.timeout(600)]

CONFIG: Final = """\
[server]
platform = "linux-kernel"
users = "/run/users.db"
signing = "offered"
leases = false
{more}
[share.data]
path = "/run/data"
"""
REALM_PASSWORD: Final = "Tickets are good 4 you"
WITHOUT: Final = "6.12"  # Debian's build of it


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Realm]:
    running = run_kdc(tmp_path_factory.mktemp("realm"))
    try:
        realm = running.__enter__()
    except LookupError as error:
        pytest.skip(str(error))
    for name in ("tester", "busy", "stranger"):
        realm.add(name, REALM_PASSWORD)
    realm.add(SERVICE)
    yield realm
    running.__exit__(None, None, None)


@pytest.fixture
def has_kerberos(request: pytest.FixtureRequest) -> bool:
    return request.node.callspec.params["guest"] != WITHOUT


@pytest.fixture
def serve(guest: Machine, realm: Realm) -> Iterator[None]:
    """The daemon with a keytab."""
    keytab = base64.b64encode(realm.keytab(SERVICE).read_bytes()).decode()
    more = f'kerberos_keytab = "{daemon_kerberos.KEYTAB}"'
    process = guest.call(daemon_kerberos.start, CONFIG.format(more=more), keytab, REALM)
    yield
    guest.call(daemon.stop, process)


def run(realm: Realm, port: int, user: str, password: str, *options: str) -> str:
    command = ["smbclient", f"//{HOST}/data", "-I", "127.0.0.1", "-p", str(port), "-U", f"{user}%{password}", *options]
    done = subprocess.run(
        command, env={**os.environ, **realm.environment()}, stdin=subprocess.DEVNULL, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=CLIENT_TIMEOUT_S, check=False,
    )  # fmt: skip
    return done.stdout


def by_ticket(realm: Realm, port: int, user: str, *options: str) -> str:
    return run(realm, port, f"{user}@{REALM}", REALM_PASSWORD, "--use-kerberos=required", "-c", "ls", *options)


@pytest.mark.usefixtures("serve")
@pytest.mark.parametrize("options", [[], ["--client-protection=sign"], ["--client-protection=encrypt"]])
def test_users_of_the_realm(realm: Realm, port: int, has_kerberos: bool, options: list[str]) -> None:
    said = by_ticket(realm, port, "tester", *options)
    assert ("blocks available" in said) == has_kerberos, said


@pytest.mark.usefixtures("serve")
def test_a_user_in_many_groups(realm: Realm, port: int, has_kerberos: bool) -> None:
    """The kernel asks for them as after any logon."""
    said = run(realm, port, f"busy@{REALM}", REALM_PASSWORD, "--use-kerberos=required", "-D", "crowd", "-c", "ls")
    assert ("blocks available" in said) == has_kerberos, said


@pytest.mark.usefixtures("serve")
def test_strangers(realm: Realm, port: int, guest: Machine, has_kerberos: bool) -> None:
    assert "blocks available" not in by_ticket(realm, port, "stranger")
    assert ("whose ticket for 'stranger@" in guest.call(daemon.log)) == has_kerberos


@pytest.mark.usefixtures("serve")
def test_ntlm_goes_on_beside_it(realm: Realm, port: int) -> None:
    assert "blocks available" in run(realm, port, "tester", PASSWORD, "--use-kerberos=off", "-c", "ls")


def test_without_a_keytab_clients_are_told_to_use_ntlm(realm: Realm, port: int, guest: Machine) -> None:
    process = guest.call(daemon.start, CONFIG.format(more=""))
    assert "blocks available" not in by_ticket(realm, port, "tester")
    assert "blocks available" in run(realm, port, "tester", PASSWORD, "--use-kerberos=off", "-c", "ls")
    guest.call(daemon.stop, process)
