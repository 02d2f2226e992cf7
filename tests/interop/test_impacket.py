"""impacket's client against a running server."""

import io
import random
from contextlib import contextmanager

import pytest

from smbport.security.ntlm import nt_hash
from smbport.wire.constants import Command
from smbport.wire.status import Status

pytestmark = pytest.mark.interop
impacket = pytest.importorskip("impacket.smbconnection", reason="impacket is not installed")
srvs = pytest.importorskip("impacket.dcerpc.v5.srvs")
transport = pytest.importorskip("impacket.dcerpc.v5.transport")

DIALECTS = {
    "2.0.2": impacket.SMB2_DIALECT_002,
    "2.1": impacket.SMB2_DIALECT_21,
    "3.0": impacket.SMB2_DIALECT_30,
    "3.1.1": impacket.SMB2_DIALECT_311,
}


@contextmanager
def connected(server, dialect="3.1.1", **credentials):
    """A connection that is logged on."""
    connection = impacket.SMBConnection(
        "127.0.0.1", "127.0.0.1", sess_port=server.port, preferredDialect=DIALECTS[dialect]
    )
    try:
        connection.login(**{"user": server.user, "password": server.password, **credentials})
        yield connection
    finally:
        connection.close()


@contextmanager
def refused(status):
    with pytest.raises(impacket.SessionError) as raised:
        yield
    assert raised.value.getErrorCode() == status, str(raised.value)


def names(connection, pattern="*"):
    listed = (entry.get_longname() for entry in connection.listPath("data", pattern))
    return sorted(name for name in listed if name not in (".", ".."))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_files_and_directories(server, dialect):
    data = random.Random(dialect).randbytes(300_001)  # it signs slowly
    with connected(server, dialect) as connection:
        assert connection.getDialect() == DIALECTS[dialect]
        connection.createDirectory("data", "Ordner\\")
        connection.createDirectory("data", "Ordner\\日本")
        connection.putFile("data", "Ordner\\日本\\a", io.BytesIO(data).read)
        back = io.BytesIO()
        connection.getFile("data", "Ordner\\日本\\a", back.write)
        assert back.getvalue() == data
        connection.rename("data", "Ordner\\日本\\a", "b")
        assert server.path("b").read_bytes() == data
        assert names(connection) == ["Ordner", "b"]
        connection.deleteFile("data", "b")
        connection.deleteDirectory("data", "Ordner\\日本")
        connection.deleteDirectory("data", "Ordner")
        assert names(connection) == []
        connection.logoff()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_encrypted_session(serve, relay, dialect):
    watched = relay(serve(server={"encryption": "required"}))
    if dialect < "3":
        with refused(Status.ACCESS_DENIED), connected(watched, dialect):
            pass
        return
    with connected(watched, dialect) as connection:
        connection.putFile("data", "a", io.BytesIO(bytes(100_000)).read)
        assert names(connection) == ["a"]
    assert watched.clear_commands() <= {Command.NEGOTIATE, Command.SESSION_SETUP}


def test_what_is_not_there_or_not_allowed(serve):
    server = serve(shares={"data": {"read_only": True}, "hers": {"valid_users": ["bob"]}})
    server.path("file").touch()
    with connected(server) as connection:
        with refused(Status.BAD_NETWORK_NAME):
            connection.connectTree("nothing")
        with refused(Status.ACCESS_DENIED):
            connection.connectTree("hers")
        with refused(Status.OBJECT_NAME_NOT_FOUND):
            connection.getFile("data", "nothing", print)
        with refused(Status.OBJECT_PATH_NOT_FOUND):
            connection.getFile("data", "no\\thing", print)
        with refused(Status.NO_SUCH_FILE):
            names(connection, "nothing")
        with refused(Status.ACCESS_DENIED):
            connection.putFile("data", "new", io.BytesIO().read)
        with refused(Status.ACCESS_DENIED):
            connection.deleteFile("data", "file")
        with refused(Status.ACCESS_DENIED):
            connection.createDirectory("data", "new")
    assert server.names() == ["file"]


def test_logons(serve):
    server = serve(limits={"failed_logon_delay_s": 0.01})
    with connected(server, password="", nthash=nt_hash(server.password).hex()):
        pass
    for credentials in ({"password": "wrong"}, {"user": "mallory"}, {"user": "", "password": ""}):
        with refused(Status.LOGON_FAILURE), connected(server, **credentials):
            pass


def test_a_long_listing(server, sizes):
    expected = sorted(f"{number:04} {'long ' * 20}" for number in range(sizes.files // 5))
    expected = [name.strip() for name in expected]
    for name in expected:
        server.path(name).touch()
    with connected(server) as connection:
        assert names(connection) == expected


def test_remote_procedure_calls(serve):
    server = serve(server={"server_name": "OFFICE", "comment": "Ours"}, shares={"data": {"comment": "What we share"}})
    with connected(server) as connection:
        shares = {share["shi1_netname"][:-1]: share["shi1_remark"][:-1] for share in connection.listShares()}
        assert shares == {"data": "What we share", "IPC$": "IPC Service"}
        pipe = transport.SMBTransport("127.0.0.1", filename=r"\srvsvc", smb_connection=connection).get_dce_rpc()
        pipe.connect()
        pipe.bind(srvs.MSRPC_UUID_SRVS)
        server_info = srvs.hNetrServerGetInfo(pipe, 101)["InfoStruct"]["ServerInfo101"]
        assert (server_info["sv101_name"], server_info["sv101_comment"]) == ("OFFICE\0", "Ours\0")
        share = srvs.hNetrShareGetInfo(pipe, "data\0", 2)["InfoStruct"]["ShareInfo2"]
        assert share["shi2_path"] == "C:\\data\0"
        pipe.disconnect()
