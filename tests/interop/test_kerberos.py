"""Kerberos with a KDC of our own, and clients that are not: smbclient, impacket, smbprotocol and smbtorture."""

import datetime
import os
import re
import shutil
import socket
import subprocess
import sys
import uuid
from contextlib import suppress
from types import SimpleNamespace

import pytest
import spnego

from smbport.testing.client import Client, SocketLink
from smbport.wire.constants import Access, CreateDisposition
from smbport.wire.status import Status
from tests.interop.realm import HOST, REALM, SERVICE, run_kdc

pytest.importorskip("gssapi", reason="the package gssapi is not installed (tox run -e kerberos)")

pytestmark = pytest.mark.interop

PASSWORD = "Tickets are good 4 you"  # what NTLM would take is another one
PATIENCE_S = 120
EXPIRE = ("expire1n", "expire1s", "expire1e", "expire_disconnect")  # some 20 s each, spent asleep
CLOCK_SKEW_S = 5  # as smbtorture takes for granted


@pytest.fixture(scope="module")
def kdc(tmp_path_factory):
    """The realm with a user of the server, one who is none, and the server's key."""
    kdc_running = run_kdc(tmp_path_factory.mktemp("realm"))
    try:
        realm = kdc_running.__enter__()
    except LookupError as error:
        pytest.skip(str(error))
    for name in ("alice", "mallory"):
        realm.add(name, PASSWORD)
    for name in (SERVICE, "host/elsewhere", f"cifs/{socket.gethostname()}"):
        realm.add(name)
    yield realm
    kdc_running.__exit__(None, None, None)


@pytest.fixture
def realm(kdc, monkeypatch):
    """The same; servers and clients that are started from now on find it, and no tickets."""
    for name, value in kdc.environment().items():
        monkeypatch.setenv(name, value)
    (kdc.home / "tickets").unlink(missing_ok=True)
    return kdc


@pytest.fixture
def server(serve, realm):
    return serve(server={"kerberos_keytab": str(realm.keytab(SERVICE))})


def smbclient(server, *arguments, user="alice", kerberos="required", password=PASSWORD):
    if shutil.which("smbclient") is None:
        pytest.skip("smbclient is not installed")
    command = [
        "smbclient", f"//{HOST}/data", "-I", server.host, "-p", str(server.port), f"--use-kerberos={kerberos}",
        "-U", f"{user}@{REALM}%{password}" if kerberos != "off" else f"{user}%{password}", *arguments,
    ]  # fmt: skip
    done = subprocess.run(command, text=True, capture_output=True, timeout=PATIENCE_S, check=False)
    return done.stdout + done.stderr


# Who gets in -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["SMB2_02", "SMB2_10", "SMB3_00", "SMB3_11"])
def test_smbclient(server, tmp_path, dialect):
    (tmp_path / "file").write_bytes(b"signed")
    said = smbclient(server, "-m", dialect, "-c", f"put {tmp_path / 'file'} there; ls")
    assert " there " in said
    assert server.path("there").read_bytes() == b"signed"
    assert re.search(r"user logged on as 'alice'", server.log())


@pytest.mark.parametrize("cipher", ["aes-128-gcm", "aes-256-gcm", "aes-256-ccm"])
def test_sealed(serve, realm, cipher):
    """256 bits take all of the key that the ticket brings."""
    server = serve(
        server={"kerberos_keytab": str(realm.keytab(SERVICE)), "encryption": "required", "ciphers": [cipher]}
    )
    server.path("file").write_bytes(b"")
    option = f"--option=client smb3 encryption algorithms={cipher.upper().replace('AES-', 'AES-')}"
    assert " file " in smbclient(server, option, "-c", "ls")


@pytest.mark.parametrize("protocol", ["kerberos", "negotiate"])
def test_pyspnego_and_a_second_channel(server, monkeypatch, protocol):
    """A bare token, or SPNEGO's; both sides have the same keys, for the session and for each of its channels."""

    def new_context(user, password, **keywords):
        return spnego.client(user, password, hostname=HOST, service="cifs", protocol=protocol)

    monkeypatch.setattr("smbport.testing.client.spnego", SimpleNamespace(client=new_context))
    links = [SocketLink.connect(server.host, server.port) for _ in range(2)]
    first, second = (Client(link, client_guid=uuid.UUID(int=7).bytes) for link in links)
    for client in (first, second):
        client.negotiate()
    first.log_on(f"alice@{REALM}", PASSWORD)
    tree = first.tree_connect("data")
    second.bind(first, f"alice@{REALM}", PASSWORD)
    file = second.create(tree, "made", access=Access.GENERIC_ALL, disposition=CreateDisposition.CREATE)
    assert first.write(file, 0, b"x") == 1
    for link in links:
        link.close()


def test_smbprotocol(server, monkeypatch):
    connection_module = pytest.importorskip("smbprotocol.connection", reason="smbprotocol is not installed")
    from smbprotocol.session import Session
    from smbprotocol.tree import TreeConnect

    connection = connection_module.Connection(uuid.uuid4(), server.host, server.port)
    connection.connect()
    monkeypatch.setattr(connection, "server_name", HOST)  # the name of the principal cannot be looked up
    try:
        session = Session(connection, f"alice@{REALM}", PASSWORD, require_encryption=True, auth_protocol="kerberos")
        session.connect()
        tree = TreeConnect(session, rf"\\{HOST}\data")
        tree.connect()
        tree.disconnect()
        session.disconnect()
    finally:
        connection.disconnect()


def get_tickets(realm, lifetime="1h"):
    """By kinit and kvno, because impacket takes KDCs for being at port 88."""
    realm.run("kinit", "-l", lifetime, f"alice@{REALM}", password=f"{PASSWORD}\n")
    realm.run("kvno", SERVICE)


def impacket_login(server):
    """With the tickets that there are; the names of the shares."""
    impacket = pytest.importorskip("impacket.smbconnection", reason="impacket is not installed")
    connection = impacket.SMBConnection(HOST, server.host, sess_port=server.port)
    try:
        connection.kerberosLogin("alice", "", REALM, useCache=True)
        return sorted(share["shi1_netname"][:-1] for share in connection.listShares())
    finally:
        connection.close()


def test_impacket(server, realm):
    get_tickets(realm)
    assert impacket_login(server) == ["IPC$", "data"]


def test_ntlm_goes_on_beside_it(server, connect):
    connect(server)
    said = smbclient(server, "-c", "ls", kerberos="off", password=server.password)
    assert "blocks available" in said
    said = smbclient(server, "-c", "ls", kerberos="off")
    assert "NT_STATUS_LOGON_FAILURE" in said  # the passwords of the realm are not those of the server


# Who does not ----------------------------------------------------------------------------------------------------


def test_a_good_ticket_of_a_stranger(server):
    assert "NT_STATUS_LOGON_FAILURE" in smbclient(server, "-c", "ls", user="mallory")
    assert f"user 'mallory', whose ticket for 'mallory@{REALM}' is good" in server.log()


def test_a_realm_that_is_not_ours(serve, realm):
    keytab = str(realm.keytab(SERVICE))
    server = serve(server={"kerberos_keytab": keytab, "kerberos_realms": ["ELSEWHERE.TEST"]})
    assert "NT_STATUS_LOGON_FAILURE" in smbclient(server, "-c", "ls")
    assert "is of none of server.kerberos_realms: ELSEWHERE.TEST" in server.log()


def test_a_key_that_the_server_has_not(server, realm):
    realm.keytab(SERVICE)
    assert "NT_STATUS_LOGON_FAILURE" in smbclient(server, "-c", "ls")
    assert "Kerberos: " in server.log()
    assert "kvno" in server.log()


def test_clocks_that_differ(server, realm, monkeypatch):
    session_error = pytest.importorskip("impacket.smbconnection", reason="impacket is not installed").SessionError

    class Ahead(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return super().now(tz) + datetime.timedelta(hours=1)

    get_tickets(realm)
    monkeypatch.setitem(sys.modules, "datetime", SimpleNamespace(**{**vars(datetime), "datetime": Ahead}))
    with pytest.raises(session_error, match="LOGON_FAILURE"):
        impacket_login(server)
    assert "Clock skew too great" in server.log()


def test_a_ticket_that_has_expired(serve, realm, monkeypatch):
    """impacket uses it all the same."""
    session_error = pytest.importorskip("impacket.smbconnection", reason="impacket is not installed").SessionError
    for name, value in realm.environment(clock_skew_s=1).items():
        monkeypatch.setenv(name, value)
    server = serve(server={"kerberos_keytab": str(realm.keytab(SERVICE))})
    get_tickets(realm, lifetime="2s")
    with suppress(session_error):
        while True:  # until it has
            impacket_login(server)
    with pytest.raises(session_error, match="LOGON_FAILURE"):
        impacket_login(server)
    assert "Kerberos: Ticket expired" in server.log()


def test_a_token_of_rubbish(server):
    link = SocketLink.connect(server.host, server.port)
    client = Client(link)
    client.negotiate()
    with pytest.MonkeyPatch.context() as patch:
        rubbish = bytes.fromhex("600f06092a864886f712010202") + b"\1\0zz"
        context = SimpleNamespace(step=lambda: rubbish)
        patch.setattr("smbport.testing.client.spnego", SimpleNamespace(client=lambda *names, **keywords: context))
        with pytest.raises(Exception, match="LOGON_FAILURE") as refused:
            client.log_on("alice", "")
    assert refused.value.status == Status.LOGON_FAILURE
    link.close()


# The end of a session ---------------------------------------------------------------------------------------------


@pytest.mark.timeout(600)
def test_smbtorture_sees_sessions_expire(serve, realm, monkeypatch):
    """All at once, because they sleep most of the time."""
    name = socket.gethostname()  # it takes names that can be looked up, but neither addresses nor localhost
    if shutil.which("smbtorture") is None:
        pytest.skip("smbtorture is not installed")
    try:
        if not socket.gethostbyname(name).startswith("127."):
            raise OSError("not of this machine alone")
    except OSError as error:
        pytest.skip(f"the name of this host, {name}, cannot be used for the loopback interface: {error}")
    for key, value in realm.environment(clock_skew_s=CLOCK_SKEW_S).items():
        monkeypatch.setenv(key, value)
    server = serve(
        server={"kerberos_keytab": str(realm.keytab(f"cifs/{name}"))}, host=socket.gethostbyname(name)
    )  # fmt: skip
    running = [
        subprocess.Popen(
            ["smbtorture", f"//{name}/data", "-p", str(server.port), "-U", f"alice@{REALM}%{PASSWORD}",
             "--use-kerberos=required", f"smb2.session.{leaf}"],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for leaf in EXPIRE
    ]  # fmt: skip
    said = [process.communicate(timeout=300)[0] for process in running]
    for leaf, output in zip(EXPIRE, said, strict=True):
        assert f"success: {leaf}" in output, output


# Settings ---------------------------------------------------------------------------------------------------------


def refused_start(smbport, tmp_path, **settings):
    """What `smbport serve` says instead of serving."""
    lines = "\n".join(f'{key} = "{value}"' for key, value in settings.items())
    config = tmp_path / "smbport.toml"
    config.write_text(f'[server]\nlisten = ["127.0.0.1:0"]\n{lines}\n[share.data]\npath = "{tmp_path}"\n')
    process = smbport(
        ["serve", "--config", str(config), "--user", "alice"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    said, _ = process.communicate("secret\n", timeout=PATIENCE_S)
    assert process.returncode
    assert "Traceback" not in said
    return said


def test_keytabs_that_cannot_be_used(realm, smbport, tmp_path):
    elsewhere = realm.keytab("host/elsewhere")
    (tmp_path / "rubbish").write_bytes(b"rubbish")
    for keytab, why in (
        (tmp_path / "missing", "missing' not found"),
        (tmp_path / "rubbish", "Unsupported key table format"),
        (elsewhere, "No key table entry found matching cifs/"),
    ):
        said = refused_start(smbport, tmp_path, kerberos_keytab=keytab)
        assert f'server.kerberos_keytab = "{keytab}": must be a keytab that this process can read, with keys of' in said
        assert why in said


def test_one_principal_of_several(serve, realm, smbport, tmp_path):
    keytab = realm.keytab("host/elsewhere", SERVICE)
    said = refused_start(smbport, tmp_path, kerberos_keytab=keytab, kerberos_principal=f"cifs/other@{REALM}")
    assert f"No key table entry found for cifs/other@{REALM}" in said
    server = serve(server={"kerberos_keytab": str(keytab), "kerberos_principal": f"{SERVICE}@{REALM}"})
    assert "blocks available" in smbclient(server, "-c", "ls")
    server = serve(server={"kerberos_keytab": str(keytab), "kerberos_principal": f"host/elsewhere@{REALM}"})
    assert "NT_STATUS_LOGON_FAILURE" in smbclient(server, "-c", "ls")


def test_a_key_that_is_known_by_another_name(serve, realm):
    """As in a domain, where a machine has one key, and may have it as host/ only."""
    keytab = realm.keytab(SERVICE)
    keytab.write_bytes(keytab.read_bytes().replace(b"cifs", b"host"))
    principal = f"host/{HOST}@{REALM}"
    server = serve(server={"kerberos_keytab": str(keytab), "kerberos_principal": principal})
    assert "blocks available" in smbclient(server, "-c", "ls")


def test_nothing_secret_is_logged(serve, realm):
    server = serve(server={"kerberos_keytab": str(realm.keytab(SERVICE)), "log": "debug"})
    smbclient(server, "-c", "ls")
    smbclient(server, "-c", "ls", user="mallory")
    log = server.log()
    assert "'alice'" in log
    assert not re.search("[0-9a-fA-F]{32}|[0-9A-Za-z+/]{40}", log.replace(os.fspath(server.directory), ""))
