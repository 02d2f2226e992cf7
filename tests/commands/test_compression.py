"""Compressed messages on whole connections: what is agreed on, both ways, and what ends a connection."""

from collections.abc import Callable
from typing import Any

import pytest

from smbport.compression import ALGORITHMS
from smbport.wire.compression import CompressionFlag, chained_head, unchained_head
from smbport.wire.constants import (
    Access,
    Command,
    CompressionAlgorithm,
    NegotiateContextType,
    ShareFlag,
)
from smbport.wire.echo import EchoRequest
from smbport.wire.file import ReadFlag
from smbport.wire.header import HEADER_SIZE
from smbport.wire.negotiate import NegotiateResponse, pack_compression_context, parse_compression_context
from smbport.wire.status import Disconnect, Status, StatusError
from smbport.wire.tree import TreeConnectResponse, pack_tree_connect_request

NewWire = Callable[..., Any]
LZNT1, LZ77, HUFFMAN = CompressionAlgorithm.LZNT1, CompressionAlgorithm.LZ77, CompressionAlgorithm.LZ77_HUFFMAN
PATTERN, LZ4, NONE = CompressionAlgorithm.PATTERN_V1, CompressionAlgorithm.LZ4, CompressionAlgorithm.NONE
CONTEXT = NegotiateContextType.COMPRESSION
TEXT = b"".join(b"line %d of a text that says the same again and again\n" % number for number in range(2000))


@pytest.fixture
def wire(new_wire: NewWire) -> Any:
    return new_wire(share={"compression": True}, signing="offered")


def connect(wire: Any, *, compression: tuple[int, ...] = (PATTERN, LZ77), chained: bool = True, **keywords: Any) -> Any:
    peer = wire.client()
    peer.negotiate([0x0311], compression=compression, chained=chained, **keywords)
    peer.log_on("u", "p")
    peer.tree = peer.tree_connect("s")
    return peer


# What is agreed on ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "chained", "agreed"),
    [
        ((PATTERN, LZ77, HUFFMAN, LZNT1), True, (PATTERN, LZ77, HUFFMAN, LZNT1)),
        ((PATTERN, LZ77), False, (LZ77,)),
        ((98, HUFFMAN, 99, HUFFMAN, LZNT1), True, (HUFFMAN, LZNT1)),
        ((LZ4, LZ77), True, (LZ4, LZ77)),
        ((99,), True, ()),
        ((PATTERN,), True, ()),
        ((NONE,), True, ()),
    ],
)
def test_algorithms(wire: Any, offered: tuple[int, ...], chained: bool, agreed: tuple[int, ...]) -> None:
    peer = wire.client()
    peer.negotiate([0x0311], compression=offered, chained=chained)
    flags, algorithms = parse_compression_context(peer.agreed[CONTEXT])
    assert algorithms == (agreed or (NONE,))
    assert flags == (CompressionFlag.CHAINED if chained and agreed else CompressionFlag.NONE)
    state = peer.connection.state
    assert (state.compression, state.chained_compression) == (agreed, chained and bool(agreed))
    assert state.compressor in (agreed or (0,))
    assert state.compressor != PATTERN


def test_no_share_compresses(new_wire: NewWire) -> None:
    peer = new_wire().client()
    peer.negotiate([0x0311], compression=(LZ77,))
    assert CONTEXT not in peer.agreed
    assert not peer.connection.state.compression


def test_a_list_without_algorithms(wire: Any) -> None:
    contexts = [(CONTEXT, pack_compression_context(0, ()))]
    with pytest.raises(StatusError) as caught:
        wire.client().negotiate([0x0311], more_contexts=contexts)
    assert caught.value.status == Status.INVALID_PARAMETER


def test_messages_are_shorter_then(wire: Any) -> None:
    sizes = []
    for compression in ((), (LZ77,)):
        response = wire.client().negotiate([0x0311], compression=compression)
        assert isinstance(response, NegotiateResponse)
        sizes.append((response.max_read_size, response.max_write_size))
    assert sizes == [(8 << 20, 8 << 20), (1 << 20, 1 << 20)]


@pytest.mark.parametrize("compression", [(), (LZ77,)])
def test_the_share_says_so(wire: Any, compression: tuple[int, ...]) -> None:
    peer = connect(wire, compression=compression)
    _, frame = peer.call(Command.TREE_CONNECT, pack_tree_connect_request("\\\\server\\s"))
    flags = TreeConnectResponse.unpack_from(frame, HEADER_SIZE).share_flags
    assert bool(flags & ShareFlag.COMPRESS_DATA) == bool(compression)


# Both ways ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("chained", [False, True])
@pytest.mark.parametrize("security", ["plain", "sign", "seal"])
def test_written_and_read(wire: Any, algorithm: int, chained: bool, security: str) -> None:
    peer = connect(wire, compression=(PATTERN, algorithm), chained=chained)
    peer.sign, peer.seal = security == "sign", security == "seal"
    peer.compress = True
    file = peer.make("a")
    data = bytes(9000) + TEXT + b"x" * 7000
    assert peer.write(file, 0, data) == len(data)
    assert wire.content("a") == data
    before = peer.expanded
    assert peer.read(file, 0, len(data)) == data
    assert peer.expanded == before + 1
    assert peer.read(file, 9000, 8000) == data[9000:17000]
    assert peer.expanded == before + 2


def test_a_request_that_is_not_compressed_is_as_good(wire: Any) -> None:
    peer = connect(wire)
    file = peer.make("a")
    peer.write(file, 0, TEXT)
    assert peer.read(file, 0, len(TEXT)) == TEXT
    assert peer.expanded == 1


@pytest.mark.parametrize("content", [bytes(range(256)) * 15, b""], ids=["short", "nothing"])
def test_what_is_not_worth_it(wire: Any, content: bytes) -> None:
    wire.make("a", content + b"!")
    peer = connect(wire)
    assert peer.read(peer.open("a", Access.GENERIC_READ), 0, 9999) == content + b"!"
    assert peer.expanded == 0


def test_noise_is_sent_as_it_is(wire: Any) -> None:
    noise = wire.server.runtime.random_bytes(8)
    content = (
        b"".join((number * 0x9E3779B97F4A7C15 % (1 << 64)).to_bytes(8, "big") for number in range(1, 2000)) + noise
    )
    wire.make("a", content)
    peer = connect(wire)
    assert peer.read(peer.open("a", Access.GENERIC_READ), 0, 99_999) == content
    assert peer.expanded == 0


def test_only_where_the_share_compresses(new_wire: NewWire) -> None:
    wire = new_wire(share={"compression": True})
    peer = connect(wire)
    share = wire.server.find_share("s")
    share.settings = type(share.settings)(name="s", path="v", run_as="server")
    wire.make("a", TEXT)
    assert peer.read(peer.open("a", Access.GENERIC_READ), 0, len(TEXT)) == TEXT
    assert peer.expanded == 0


@pytest.mark.parametrize("flags", [0, ReadFlag.READ_UNBUFFERED])
def test_only_if_asked_for(wire: Any, flags: int) -> None:
    wire.make("a", TEXT)
    peer = connect(wire)
    file = peer.open("a", Access.GENERIC_READ)
    assert peer.read(file, 0, len(TEXT), flags=flags) == TEXT
    assert peer.expanded == 0
    assert peer.read(file, 0, len(TEXT), flags=flags | ReadFlag.REQUEST_COMPRESSED) == TEXT
    assert peer.expanded == 1


def test_not_for_those_who_did_not_agree(wire: Any) -> None:
    wire.make("a", TEXT)
    peer = wire.connect()
    file = peer.open("a", Access.GENERIC_READ)
    assert peer.read(file, 0, len(TEXT), flags=ReadFlag.REQUEST_COMPRESSED) == TEXT
    assert peer.expanded == 0


# What ends a connection -----------------------------------------------------------------------------------------


def test_a_message_that_was_not_agreed_on(wire: Any) -> None:
    peer = wire.connect()
    with pytest.raises(Disconnect, match="not negotiated"):
        peer.connection.receive(unchained_head(b"", LZ77, 64) + bytes(64))


def test_a_message_before_the_logon(wire: Any) -> None:
    peer = wire.client()
    peer.negotiate([0x0311], compression=(LZ77,))
    with pytest.raises(Disconnect, match="before a logon"):
        peer.connection.receive(unchained_head(b"", LZ77, 64) + bytes(64))


@pytest.mark.parametrize(
    "bad",
    [
        unchained_head(b"", LZ77, 1 << 30) + bytes(64),
        unchained_head(b"", LZ77, (1 << 20) + (1 << 16) + 1) + bytes(64),
        unchained_head(b"", HUFFMAN, 64) + bytes(400),
        chained_head(b"", 10**6),
        b"\xfcSMB",
    ],
)
def test_bad_messages(wire: Any, bad: bytes) -> None:
    with pytest.raises(Disconnect, match="bad compressed message"):
        connect(wire, compression=(LZ77,)).connection.receive(bad)


@pytest.mark.parametrize("magic", [b"\xfcSMB", b"\xfdSMB", b"\xffSMB"])
def test_nothing_but_smb2_is_compressed(wire: Any, magic: bytes) -> None:
    peer = connect(wire)
    with pytest.raises(Disconnect):
        peer.connection.receive(chained_head(magic + bytes(100), 0))


def test_what_is_inside_is_still_checked(wire: Any) -> None:
    peer = connect(wire)
    message = peer.protect(peer.message(Command.ECHO, EchoRequest().pack()))
    ((header, _),) = peer.frames(chained_head(message, 0), plain=True)
    assert header.status == Status.SUCCESS
    peer.sign = True
    message = bytearray(peer.protect(peer.message(Command.ECHO, EchoRequest().pack())))
    message[48] ^= 1
    ((header, _),) = peer.frames(chained_head(message, 0), plain=True)
    assert header.status == Status.ACCESS_DENIED
