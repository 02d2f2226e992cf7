import shutil
import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbport.pipes.pipe import ServerInfo, ShareInfo, open_pipe
from smbport.wire.status import Status, StatusError

SERVER = ServerInfo(
    name="FILES",
    domain="WORKGROUP",
    comment="",
    shares=tuple(ShareInfo(f"share{number}", 0, "one of many", f"C:\\share{number}") for number in range(300)),
    user="alice",
    now_ns=0,
    start_ns=0,
)

# A bind to srvsvc 3.0 with NDR, and NetrShareEnum at level 1 for all there is.
BIND = bytes.fromhex(
    "05000b0310000000480000000100000000b800b8000000000100000000000100"
    "c84f324b7016d30112785a47bf6ee18803000000045d888aeb1cc9119fe808002b10486002000000"
)
ENUM = bytes.fromhex(
    "0500000310000000380000000200000020000000 00000f00"
    "00000000 01000000 01000000 04000200 00000000 00000000 ffffffff 00000000"
)


def open_srvsvc(**keywords):
    pipe = open_pipe("srvsvc", lambda: SERVER, **keywords)
    assert len(pipe.transceive(BIND, 4280)[0]) == 68
    return pipe


def status_of(caught):
    return caught.value.status


@pytest.mark.parametrize(
    "name", ["srvsvc", "SrvSvc", "\\srvsvc", "\\PIPE\\srvsvc", "PIPE\\srvsvc", "pipe\\SRVSVC", "wkssvc", "\\WKSSVC"]
)
def test_names(name):
    assert open_pipe(name, lambda: SERVER).name == name.lower().rsplit("\\")[-1]


@pytest.mark.parametrize(
    "name",
    ["", "\\", "pipe", "\\pipe\\", "netlogon", "srvsvc\\", "srvsvc\0", " srvsvc", "../srvsvc", "\\\\srvsvc",
     "x\\srvsvc", "/run/srvsvc", "pipe\\pipe\\srvsvc", "srvsvc:$DATA"],
)  # fmt: skip
def test_names_of_nothing(name):
    assert open_pipe(name, lambda: SERVER) is None


def test_address_in_the_bind_answer():
    pipe = open_pipe("PIPE\\WKSSVC", lambda: SERVER)
    assert b"\\PIPE\\wkssvc\0" in pipe.transceive(BIND, 4280)[0]


def test_nothing_to_read():
    pipe = open_pipe("srvsvc", lambda: SERVER)
    assert pipe.read(1024) == (b"", False)
    assert pipe.available() == 0
    pipe.write(BIND[:20])
    assert not pipe.is_ready()
    assert pipe.read(1024) == (b"", False)
    pipe.write(memoryview(BIND)[20:])
    assert pipe.is_ready()
    assert pipe.available() == 68


def test_one_answer_in_parts():
    whole = open_pipe("srvsvc", lambda: SERVER).transceive(BIND, 68)
    assert whole[1] is False
    pipe = open_pipe("srvsvc", lambda: SERVER)
    pipe.write(BIND)
    assert pipe.read(0) == (b"", True)
    assert pipe.read(40) == (whole[0][:40], True)
    assert pipe.available() == 28
    assert pipe.read(27) == (whole[0][40:67], True)
    assert pipe.read(1024) == (whole[0][67:], False)
    assert pipe.read(1024) == (b"", False)


@pytest.mark.parametrize("max_fragment", [1024, 4280])
def test_a_read_takes_one_fragment_at_most(max_fragment):
    pipe = open_srvsvc(max_fragment=max_fragment)
    data, more = pipe.transceive(ENUM, 65536)
    assert (len(data), more) == (max_fragment, False)
    total = pipe.available() + len(data)
    while pipe.available():
        data, more = pipe.read(65536)
        assert struct.unpack_from("<H", data, 8) == (len(data),)
        assert more is False
    assert total > 300 * 2 * len("share1one of many")
    assert data[3] & 2  # the last fragment


def test_transceive_wants_an_empty_pipe():
    pipe = open_srvsvc()
    pipe.write(ENUM)
    before = pipe.available()
    with pytest.raises(StatusError) as caught:
        pipe.transceive(ENUM, 4280)
    assert status_of(caught) == Status.PIPE_BUSY
    assert pipe.available() == before


def test_a_broken_pipe_hands_out_its_answers_first():
    pipe = open_srvsvc()
    pipe.write(BIND)  # a second bind is refused for good
    with pytest.raises(StatusError) as caught:
        pipe.write(ENUM)
    assert status_of(caught) == Status.PIPE_BROKEN
    assert pipe.read(4280)[0][2] == 13  # bind_nak
    assert pipe.is_ready()
    with pytest.raises(StatusError) as caught:
        pipe.read(4280)
    assert status_of(caught) == Status.PIPE_BROKEN


@pytest.mark.parametrize("length", [0, 65535])
def test_lengths_that_break_the_pipe(length):
    pipe = open_srvsvc()
    with pytest.raises(StatusError) as caught:
        pipe.transceive(ENUM[:8] + length.to_bytes(2, "little") + ENUM[10:], 4280)
    assert status_of(caught) == Status.PIPE_BROKEN
    with pytest.raises(StatusError) as caught:
        pipe.read(4280)
    assert status_of(caught) == Status.PIPE_BROKEN


def test_a_write_of_megabytes_is_refused_whole():
    pipe = open_srvsvc()
    with pytest.raises(StatusError) as caught:
        pipe.write(bytes(8 << 20))
    assert status_of(caught) == Status.INVALID_PARAMETER
    assert len(pipe.transceive(ENUM, 1024)[0]) == 1024


def test_a_count_of_four_billion():
    pipe = open_srvsvc()
    stub = struct.pack("<4I", 1, 0xFFFFFFFF, 0, 0xFFFFFFFF)  # the server's name
    head = struct.pack("<4B4sHHIIHH", 5, 0, 0, 3, b"\x10\0\0\0", 24 + len(stub), 0, 2, len(stub), 0, 15)
    fault, more = pipe.transceive(head + stub, 4280)
    assert (fault[2], more) == (3, False)
    assert struct.unpack_from("<I", fault, 24) == (0x6F7,)


def test_the_description_is_made_afresh():
    servers = [SERVER]
    pipe = open_pipe("srvsvc", lambda: servers[0])
    pipe.transceive(BIND, 4280)
    servers[0] = ServerInfo(name="S", domain="D", comment="", shares=(), user="u", now_ns=0, start_ns=0)
    assert len(pipe.transceive(ENUM, 4280)[0]) < 100


class TestImpacket:
    """A whole foreign client over our pipe."""

    def test_share_list_in_fragments(self, connect):
        srvs = pytest.importorskip("impacket.dcerpc.v5.srvs")
        client = connect("\\PIPE\\srvsvc", SERVER, max_fragment=1024)
        client.bind(srvs.MSRPC_UUID_SRVS)
        answer = srvs.hNetrShareEnum(client, 1)
        names = [entry["shi1_netname"][:-1] for entry in answer["InfoStruct"]["ShareInfo"]["Level1"]["Buffer"]]
        assert names == [share.name for share in SERVER.shares]

    def test_request_in_fragments(self, connect):
        srvs = pytest.importorskip("impacket.dcerpc.v5.srvs")
        client = connect("srvsvc", SERVER, max_fragment=1024)
        client.bind(srvs.MSRPC_UUID_SRVS)
        with pytest.raises(srvs.DCERPCSessionError) as caught:
            srvs.hNetrShareGetInfo(client, "x" * 5000 + "\0", 1)
        assert caught.value.get_error_code() == 2310
        assert len(client.get_rpc_transport().sent) > 5

    def test_alter_context_and_contexts_that_mean_nothing(self, connect):
        wkst = pytest.importorskip("impacket.dcerpc.v5.wkst")
        client = connect("wkssvc")
        client.bind(wkst.MSRPC_UUID_WKST, bogus_binds=3)
        assert wkst.hNetrWkstaGetInfo(client, 100)["ErrorCode"] == 0
        other = client.alter_ctx(wkst.MSRPC_UUID_WKST)
        other.set_max_fragment_size(0)
        assert wkst.hNetrWkstaGetInfo(other, 100)["ErrorCode"] == 0

    def test_interface_of_another_pipe(self, connect):
        wkst = pytest.importorskip("impacket.dcerpc.v5.wkst")
        rpcrt = pytest.importorskip("impacket.dcerpc.v5.rpcrt")
        with pytest.raises(rpcrt.DCERPCException, match="abstract_syntax_not_supported"):
            connect("srvsvc").bind(wkst.MSRPC_UUID_WKST)

    def test_authenticated_bind(self, connect):
        srvs = pytest.importorskip("impacket.dcerpc.v5.srvs")
        rpcrt = pytest.importorskip("impacket.dcerpc.v5.rpcrt")
        client = connect("srvsvc")
        client.set_auth_level(rpcrt.RPC_C_AUTHN_LEVEL_CONNECT)
        with pytest.raises(rpcrt.DCERPCException, match="Authentication type not recognized"):
            client.bind(srvs.MSRPC_UUID_SRVS)


@pytest.mark.interop
@pytest.mark.skipif(not (shutil.which("tshark") and shutil.which("text2pcap")), reason="tshark is not installed")
def test_wireshark_understands_every_answer(tmp_path):
    pipe = open_pipe("srvsvc", lambda: SERVER, max_fragment=1024)
    unknown = ENUM[:22] + b"\x63\0" + ENUM[24:]
    dump = []
    for pdu in (BIND, ENUM, unknown, BIND):
        pipe.write(pdu)
        dump.append(f"O\n000000 {pdu.hex(' ')}\n")
        while pipe.available():
            dump.append(f"I\n000000 {pipe.read(4280)[0].hex(' ')}\n")
    capture = tmp_path / "pipe.pcapng"
    command = ["text2pcap", "-q", "-D", "-T", "40000,135", "-", str(capture)]
    subprocess.run(command, input="".join(dump), text=True, check=True, capture_output=True)
    command = ["tshark", "-r", str(capture), "-d", "tcp.port==135,dcerpc", "-T", "fields"]
    fields = ["-e", "dcerpc.pkt_type", "-e", "dcerpc.fragment.count", "-e", "srvsvc.srvsvc_NetShareCtr1.count"]
    shown = subprocess.run([*command, *fields, "-e", "_ws.malformed"], text=True, check=True, capture_output=True)
    rows = [line.split("\t") for line in shown.stdout.splitlines()]
    assert [row[0] for row in rows] == ["11", "12", "0", *["2"] * (len(rows) - 7), "0", "3", "11", "13"]
    assert [row[1:] for row in rows if row[1]] == [[str(len(rows) - 7), "300", ""]]
    assert not any(row[3] for row in rows)


@given(st.binary(max_size=300), st.integers(1, 300))
def test_random_bytes(data, max_length):
    for start in (b"", BIND):
        pipe = open_pipe("srvsvc", lambda: SERVER)
        status = Status.PIPE_BROKEN
        try:
            pipe.write(start + data)
            while pipe.available():
                pipe.read(max_length)
        except StatusError as error:
            status = error.status
        assert status == Status.PIPE_BROKEN
