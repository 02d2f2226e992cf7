"""A server to describe, and impacket's DCE/RPC client on top of one of our pipes."""

import pytest

from smbport.pipes.pipe import ServerInfo, ShareInfo, open_pipe

SERVER = ServerInfo(
    name="FILES",
    domain="WORKGROUP",
    comment="the server",
    shares=(
        ShareInfo("Data", 0, "all of it", "C:\\Data", current_uses=3),
        ShareInfo("Ümläut", 0, "", "C:\\Ümläut"),
        ShareInfo("IPC$", 0x80000003, "Remote IPC", ""),
    ),
    user="alice",
    now_ns=951_825_599_870_000_000,  # Tuesday, 2000-02-29 11:59:59.87
    start_ns=951_825_590_000_000_000,
)


class PipeTransport:
    """What DCERPC_v5 asks of a transport: PDUs out, bytes in."""

    def __init__(self, pipe):
        self.pipe = pipe
        self.sent = []
        self.received = []

    def send(self, data, forceWriteAndx=0, forceRecv=0):
        self.sent.append(data)
        self.pipe.write(data)

    def recv(self, forceRecv=0, count=0):
        data, _more = self.pipe.read(count or 512)
        assert data, "the client waits for an answer that does not come"
        self.received.append(data)
        return data

    def get_credentials(self):
        return ("user", "password", "", "", "", None, None, None)

    def doesSupportNTLMv2(self):
        return True


@pytest.fixture
def server():
    return SERVER


@pytest.fixture
def connect():
    """A function that opens a pipe and returns impacket's client for it, not yet bound."""
    rpcrt = pytest.importorskip("impacket.dcerpc.v5.rpcrt")

    def connect(name, server=SERVER, **keywords):
        client = rpcrt.DCERPC_v5(PipeTransport(open_pipe(name, lambda: server, **keywords)))
        client.set_max_fragment_size(0)
        return client

    return connect
