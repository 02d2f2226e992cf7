"""smbport.control.pipes: DCE/RPC one fragment at a time, and never an error."""

from struct import pack

import pytest
import trio

from smbport.control import pipes
from smbport.control.pipes import KernelPipes, describe

lsad = pytest.importorskip("impacket.dcerpc.v5.lsad")
lsat = pytest.importorskip("impacket.dcerpc.v5.lsat")
rpcrt = pytest.importorskip("impacket.dcerpc.v5.rpcrt")
srvs = pytest.importorskip("impacket.dcerpc.v5.srvs")

MAXIMUM_ALLOWED = 0x02000000
MANY = "".join(f'[share.share{n:03}]\npath = "v"\ncomment = "number {n}"\n' for n in range(200))
SOME = """\
[server]
guest_account = "server"
[share.data]
path = "v"
[share.free]
path = "v"
guest = true
[share.secret]
path = "v"
hidden = true
"""
FAULT = 3


def request(call_id):
    """One whose answer is a fault: nothing is bound."""
    return pack("<4B4xHHI8x", 5, 0, 0, 3, 24, 0, call_id)


class Transport:
    """What DCERPC_v5 asks of a transport, by the calls that a kernel makes."""

    def __init__(self, pipes, handle, name, restricted=False):
        self.pipes, self.handle = pipes, handle
        assert pipes.open(handle, name, restricted)
        self.received = []
        self._pending = b""

    def send(self, data, forceWriteAndx=0, forceRecv=0):
        self._pending = self.pipes.transceive(self.handle, data)

    def recv(self, forceRecv=0, count=0):
        data, self._pending = self._pending or self.pipes.read(self.handle), b""
        self.received.append(data)
        return data

    def get_credentials(self):
        return ("user", "password", "", "", "", None, None, None)


@pytest.fixture
def pipes_of(rules_of, users):
    async def pipes_of(text):
        rules = await rules_of(text)
        return KernelPipes(lambda restricted: describe(rules, users, (7, 8, 9), restricted, now_ns=0, start_ns=0))

    return pipes_of


@pytest.fixture
def opened(pipes_of):
    async def opened(text, restricted=False, name="srvsvc", uuid=srvs.MSRPC_UUID_SRVS):
        transport = Transport(await pipes_of(text), 7, name, restricted)
        rpc = rpcrt.DCERPC_v5(transport)
        rpc.bind(uuid)
        return transport, rpc

    return opened


def names(rpc):
    found = srvs.hNetrShareEnum(rpc, 1)["InfoStruct"]["ShareInfo"]["Level1"]["Buffer"]
    return [share["shi1_netname"].rstrip("\0") for share in found]


async def test_200_shares_come_in_small_fragments(opened):
    transport, rpc = await opened(MANY)
    assert names(rpc) == ["IPC$", *(f"share{n:03}" for n in range(200))]
    assert max(map(len, transport.received)) <= 1024
    assert len(transport.received) > 10


async def test_guests_see_what_guests_may_use(opened):
    assert names((await opened(SOME))[1]) == ["IPC$", "data", "free"]
    assert names((await opened(SOME, restricted=True))[1]) == ["IPC$", "free"]


def look_up(rpc, *names):
    """The end of each SID, and the domain that they have in common."""
    policy = lsad.hLsarOpenPolicy2(rpc, MAXIMUM_ALLOWED)["PolicyHandle"]
    answer = lsat.hLsarLookupNames(rpc, policy, names)
    domain = answer["ReferencedDomains"]["Domains"][0]["Sid"].formatCanonical()
    return domain, [sid["RelativeId"] for sid in answer["TranslatedSids"]["Sids"]]


async def test_sids_end_in_the_numbers_of_accounts(opened):
    """For ksmbd takes them so."""
    _, rpc = await opened(SOME, name="lsarpc", uuid=lsat.MSRPC_UUID_LSAT)
    assert look_up(rpc, "alice") == ("S-1-5-21-7-8-9", [1001])


async def test_guests_may_not_ask_for_names(opened):
    _, rpc = await opened(SOME, restricted=True, name="lsarpc", uuid=lsat.MSRPC_UUID_LSAT)
    with pytest.raises(rpcrt.DCERPCException, match="STATUS_ACCESS_DENIED"):
        look_up(rpc, "alice")


async def test_an_unknown_operation_is_a_fault(opened):
    _, rpc = await opened(SOME)
    rpc.call(99, b"")
    with pytest.raises(rpcrt.DCERPCException, match="nca_s_op_rng_error"):
        rpc.recv()


def fault_about(answer):
    """The call id of a fault PDU."""
    assert answer[2] == FAULT
    assert int.from_bytes(answer[8:10], "little") == len(answer) == 32
    return int.from_bytes(answer[12:16], "little")


async def test_garbage_is_a_fault(pipes_of):
    kernel_pipes = await pipes_of(SOME)
    kernel_pipes.open(1, "srvsvc", False)
    garbage = b"\xff" * 12 + b"\x2a\0\0\0" + bytes(9)
    assert fault_about(kernel_pipes.transceive(1, garbage)) == 42
    kernel_pipes.write(1, garbage)  # broken already
    assert fault_about(kernel_pipes.read(1)) == 42


async def test_half_a_request_cannot_be_answered(pipes_of):
    kernel_pipes = await pipes_of(SOME)
    kernel_pipes.open(1, "srvsvc", False)
    assert fault_about(kernel_pipes.transceive(1, b"\5\0")) == 0


async def test_nothing_to_read(pipes_of, autojump_clock):
    kernel_pipes = await pipes_of(SOME)
    kernel_pipes.open(1, "wkssvc", False)
    assert await kernel_pipes.read(1) == b""
    assert trio.current_time() < 2  # as long as the kernel waits


async def test_a_read_before_the_writes_waits_until_all_is_written(pipes_of, autojump_clock):
    """An answer in between would go to whoever writes just then."""
    kernel_pipes = await pipes_of(SOME)
    kernel_pipes.open(1, "srvsvc", False)
    read_s = []

    async def read():
        answer = await kernel_pipes.read(1)
        read_s.append(trio.current_time())
        assert fault_about(answer) == 14

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        for call_id in range(5, 15):
            await trio.sleep(0.02)
            kernel_pipes.write(1, request(call_id))
        written_s = trio.current_time()
        assert read_s == []
    assert 0.1 < read_s[0] - written_s < 0.3


async def test_a_read_waits_no_longer_than_the_kernel(pipes_of, autojump_clock):
    kernel_pipes = await pipes_of(SOME)
    kernel_pipes.open(1, "srvsvc", False)

    async def write():
        while True:
            await trio.sleep(0.02)
            kernel_pipes.write(1, request(7))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        assert fault_about(await kernel_pipes.read(1)) == 7
        assert trio.current_time() < 2
        nursery.cancel_scope.cancel()


async def test_a_pipe_from_before_this_process(pipes_of):
    kernel_pipes = await pipes_of(SOME)
    kernel_pipes.write(5, b"x")
    assert fault_about(kernel_pipes.read(5)) == 0
    assert fault_about(kernel_pipes.transceive(5, bytes(12) + b"\7\0\0\0")) == 7
    kernel_pipes.close(5)


async def test_a_name_that_nothing_answers_to(pipes_of):
    kernel_pipes = await pipes_of(SOME)
    assert kernel_pipes.open(1, "", False)
    assert fault_about(kernel_pipes.transceive(1, b"\5\0\13" + bytes(13))) == 0


async def test_pipes_are_bounded_and_closing_makes_room(pipes_of, monkeypatch):
    monkeypatch.setattr(pipes, "MAX_PIPES", 1)
    kernel_pipes = await pipes_of(SOME)
    assert kernel_pipes.open(1, "srvsvc", False)
    assert not kernel_pipes.open(2, "srvsvc", False)
    kernel_pipes.close(1)
    assert kernel_pipes.open(2, "srvsvc", False)
