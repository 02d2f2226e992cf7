"""Server-side copy: who may copy what, and what the answer says of how far it came."""

import errno
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from smbport.state.settings import ShareSettings
from smbport.wire.constants import Access, Command, CreateDisposition, FsControl
from smbport.wire.header import HEADER_SIZE, Header
from smbport.wire.ioctl import (
    IoctlResponse,
    SrvCopychunk,
    SrvCopychunkResponse,
    SrvRequestResumeKey,
    ioctl_output,
    pack_copychunk_copy,
)
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request
from smbport.wire.status import Status

COPY, COPY_WRITE, KEY = FsControl.SRV_COPYCHUNK, FsControl.SRV_COPYCHUNK_WRITE, FsControl.SRV_REQUEST_RESUME_KEY
MIB = 1 << 20
DATA = bytes(range(256)) * 64
READ_WRITE = Access.READ_DATA | Access.WRITE_DATA
LIMITS = (256, MIB, 16 * MIB)


def key_of(peer: Any, file: Any) -> bytes:
    status, output = peer.fsctl(KEY, file=file, room=32)
    assert (status, len(output)) == ("SUCCESS", 32)
    return SrvRequestResumeKey.unpack_from(output).resume_key


def chunks(*ranges: tuple[int, int, int]) -> list[SrvCopychunk]:
    return [
        SrvCopychunk(source_offset=source, target_offset=target, length=length) for source, target, length in ranges
    ]


def numbers(output: bytes) -> tuple[int, int, int]:
    """Chunks, bytes of the last chunk, bytes in all."""
    response = SrvCopychunkResponse.unpack_from(output)
    return response.chunks_written, response.chunk_bytes_written, response.total_bytes_written


def copy(
    peer: Any, source: Any, target: Any, *ranges: tuple[int, int, int], code: int = COPY, key: bytes | None = None
) -> tuple[str, tuple[int, int, int]]:
    key = key_of(peer, source) if key is None else key
    status, output = peer.fsctl(code, pack_copychunk_copy(key, chunks(*ranges)), file=target, room=12)
    return status, numbers(output) if output else (-1, -1, -1)


@pytest.fixture
def source(wire: Any, peer: Any) -> Any:
    wire.make("source", DATA)
    return peer.open("source")


@pytest.fixture
def target(peer: Any) -> Any:
    return peer.make("target")


# Keys ---------------------------------------------------------------------------------------------------------------


def test_every_open_has_a_key_of_its_own(peer: Any, source: Any) -> None:
    assert key_of(peer, source) == key_of(peer, source)
    assert key_of(peer, source) != key_of(peer, peer.open("source"))
    assert peer.fsctl(KEY, file=source, room=31)[0] == "INVALID_PARAMETER"


def test_keys_that_stand_for_nothing(wire: Any, peer: Any, source: Any, target: Any) -> None:
    """A closed file, another session's, and whatever else one may think of."""
    key = key_of(peer, source)
    other = wire.connect()
    foreign = key_of(other, other.open("source"))
    closed = peer.open("source")
    gone = key_of(peer, closed)
    peer.close(closed)
    for bad in (bytes(24), b"\xff" * 24, foreign, gone, key[:8] + foreign[8:], bytes([key[0] ^ 1]) + key[1:]):
        assert copy(peer, source, target, (0, 0, 1), key=bad)[0] == "OBJECT_NAME_NOT_FOUND"
    assert wire.content("target") == b""


def test_a_pipe_is_no_source(wire: Any, peer: Any, target: Any) -> None:
    tree = peer.tree_connect("IPC$")
    pipe = peer.create(tree, "srvsvc", access=Access.GENERIC_ALL)
    session = next(iter(peer.connection.state.channels.values())).session
    key = b"".join(number.to_bytes(8, "little") for number in (session.session_id, pipe.persistent, pipe.volatile))
    assert copy(peer, None, target, (0, 0, 1), key=key)[0] == "OBJECT_NAME_NOT_FOUND"


# Copying ------------------------------------------------------------------------------------------------------------


def test_chunks(wire: Any, peer: Any, source: Any, target: Any) -> None:
    answer = copy(peer, source, target, (0, 100, 1000), (5000, 1100, 1), (16000, 2000, 384))
    assert answer == ("SUCCESS", (3, 0, 1385))
    assert wire.content("target") == bytes(100) + DATA[:1000] + DATA[5000:5001] + bytes(899) + DATA[16000:]


def test_no_chunk(wire: Any, peer: Any, source: Any, target: Any) -> None:
    assert copy(peer, source, target) == ("SUCCESS", (0, 0, 0))
    assert wire.content("target") == b""


@pytest.mark.parametrize("length", [10, 100])
@pytest.mark.parametrize("distance", [10, 99, -10, -99])
def test_a_file_onto_itself(wire: Any, peer: Any, source: Any, length: int, distance: int) -> None:
    """As if the chunk were read before it is written."""
    assert copy(peer, source, source, (200, 200 + distance, length)) == ("SUCCESS", (1, 0, length))
    expected = bytearray(DATA)
    expected[200 + distance : 200 + distance + length] = DATA[200 : 200 + length]
    assert wire.content("source") == bytes(expected)


def test_a_chunk_may_be_made_of_the_one_before(wire: Any, peer: Any, target: Any) -> None:
    peer.write(target, 0, b"ab")
    assert copy(peer, target, target, (0, 2, 2), (0, 4, 4)) == ("SUCCESS", (2, 0, 6))
    assert wire.content("target") == b"abababab"


def test_from_one_share_to_another(new_wire: Callable[..., Any]) -> None:
    shares = tuple(ShareSettings(name=name, path=name, run_as="server") for name in ("s", "t"))
    wire = new_wire(shares=shares)
    peer = wire.connect()
    source = peer.make("f")
    peer.write(source, 0, b"from s to t")
    key = key_of(peer, source)
    peer.tree = peer.tree_connect("t")
    target = peer.make("g")
    assert copy(peer, None, target, (5, 0, 6), key=key) == ("SUCCESS", (1, 0, 6))
    assert peer.read(target, 0, 100) == b"s to t"


def test_without_the_power_to_clone(new_wire: Callable[..., Any]) -> None:
    wire = new_wire()
    wire.memory.clone = None
    wire.make("source", DATA)
    peer = wire.connect()
    source, target = peer.open("source"), peer.make("target")
    assert copy(peer, source, target, (0, 0, len(DATA))) == ("SUCCESS", (1, 0, len(DATA)))
    assert wire.content("target") == DATA
    assert wire.faults.counts["File.read_at"] == 1


# Limits -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ranges",
    [[(0, 0, 0)], [(0, 0, 1), (0, 0, 0)], [(0, 0, MIB + 1)], [(0, 0, 1)] * 257, [(0, 0, MIB)] * 16 + [(0, 0, 1)]],
    ids=["nothing", "nothing in the end", "a long one", "many", "much"],
)
def test_limits(wire: Any, peer: Any, source: Any, target: Any, ranges: Sequence[tuple[int, int, int]]) -> None:
    """They come before the key, and the refusal tells them."""
    assert copy(peer, source, target, *ranges, key=bytes(24)) == ("INVALID_PARAMETER", LIMITS)
    assert wire.content("target") == b""


def test_as_much_as_the_limits_allow(wire: Any, peer: Any, source: Any, target: Any) -> None:
    assert copy(peer, source, target, *[(n, n, 1) for n in range(256)]) == ("SUCCESS", (256, 0, 256))
    assert wire.content("target") == DATA[:256]


def test_no_room_for_the_answer(peer: Any, source: Any, target: Any) -> None:
    data = pack_copychunk_copy(key_of(peer, source), chunks((0, 0, 1)))
    assert peer.fsctl(COPY, data, file=target, room=11) == ("INVALID_PARAMETER", b"")


@pytest.mark.parametrize("end", [0, 31, 32, 55])
def test_a_malformed_one(peer: Any, source: Any, target: Any, end: int) -> None:
    data = pack_copychunk_copy(key_of(peer, source), chunks((0, 0, 1)))[:end]
    if len(data) == 32:
        data = data[:24] + b"\1\0\0\0" + bytes(4)
    assert peer.fsctl(COPY, data, file=target) == ("INVALID_PARAMETER", b"")


# What stands against it ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "of_source", "of_target", "status"),
    [
        (COPY, Access.READ_DATA, READ_WRITE, "SUCCESS"),
        (COPY, Access.EXECUTE, READ_WRITE, "SUCCESS"),
        (COPY, Access.READ_ATTRIBUTES, READ_WRITE, "ACCESS_DENIED"),
        (COPY, Access.WRITE_DATA, READ_WRITE, "ACCESS_DENIED"),
        (COPY, Access.READ_DATA, Access.WRITE_DATA, "ACCESS_DENIED"),
        (COPY, Access.READ_DATA, Access.READ_DATA, "ACCESS_DENIED"),
        (COPY_WRITE, Access.READ_DATA, Access.WRITE_DATA, "SUCCESS"),
        (COPY_WRITE, Access.READ_DATA, Access.APPEND_DATA | Access.READ_DATA, "ACCESS_DENIED"),
        (COPY_WRITE, Access.READ_ATTRIBUTES, Access.WRITE_DATA, "ACCESS_DENIED"),
    ],
)
def test_rights(wire: Any, peer: Any, code: int, of_source: int, of_target: int, status: str) -> None:
    wire.make("f", DATA)
    wire.make("g")
    source, target = peer.open("f", of_source), peer.open("g", of_target)
    assert copy(peer, source, target, (0, 0, 10), code=code)[0] == status
    assert wire.content("g") == (DATA[:10] if status == "SUCCESS" else b"")


def test_into_a_share_that_is_read_only(new_wire: Callable[..., Any]) -> None:
    peer = new_wire(share={"read_only": True})
    peer.make("f", DATA)
    peer = peer.connect()
    file = peer.open("f", Access.GENERIC_READ)
    assert copy(peer, file, file, (0, 100, 10))[0] in ("ACCESS_DENIED", "MEDIA_WRITE_PROTECTED")


def test_directories(wire: Any, peer: Any, source: Any, target: Any) -> None:
    wire.make_directory("d")
    directory = peer.open("d")
    assert copy(peer, source, directory, (0, 0, 1))[0] == "INVALID_DEVICE_REQUEST"
    assert copy(peer, directory, target, (0, 0, 1))[0] == "INVALID_DEVICE_REQUEST"


def lock(peer: Any, file: Any, offset: int, length: int) -> None:
    element = LockElement(offset=offset, length=length, flags=0x12)
    request = LockRequest(lock_sequence=0, file_id_persistent=file.persistent, file_id_volatile=file.volatile)
    assert peer.status(Command.LOCK, pack_lock_request(request, [element])) == Status.SUCCESS


@pytest.mark.parametrize("locked", ["source", "target"])
def test_locks_of_others_end_it(wire: Any, peer: Any, source: Any, target: Any, locked: str) -> None:
    """What was copied before is told, and stays."""
    lock(peer, peer.open(locked), 1000, 10)
    answer = copy(peer, source, target, (0, 0, 1000), (1005, 1005, 1))
    assert answer == ("FILE_LOCK_CONFLICT", (1, 0, 1000))
    assert wire.content("target") == DATA[:1000]


def test_locks_of_its_own_do_not(peer: Any, source: Any, target: Any) -> None:
    lock(peer, source, 0, 10)
    lock(peer, target, 0, 10)
    assert copy(peer, source, target, (0, 0, 1000))[0] == "SUCCESS"


def test_behind_the_end_of_the_source(wire: Any, peer: Any, source: Any, target: Any) -> None:
    size = len(DATA)
    status, answer = copy(peer, source, target, (0, 0, 10), (size - 10, 10, 11))
    assert (status, answer) == ("0xC000001F", (1, 0, 10))
    assert copy(peer, source, target, (1 << 63, 0, 1))[1] == (0, 0, 0)
    assert copy(peer, source, target, (0, (1 << 63) - 1, 1)) == ("INVALID_PARAMETER", (0, 0, 0))
    assert wire.content("target") == DATA[:10]


def test_a_full_volume(new_wire: Callable[..., Any]) -> None:
    """Half a chunk is counted too."""
    wire = new_wire(capacity=64 << 10)
    wire.make("source", bytes(40 << 10))
    peer = wire.connect()
    source, target = peer.open("source"), peer.make("target")
    answer = copy(peer, source, target, (0, 0, 20 << 10), (0, 20 << 10, 20 << 10))
    assert answer == ("DISK_FULL", (1, 4 << 10, 24 << 10))
    assert wire.stat("target").size == 24 << 10


@pytest.mark.parametrize("code", [errno.EIO, errno.EROFS])
def test_an_error_of_the_system(wire: Any, peer: Any, source: Any, target: Any, code: int) -> None:
    wire.faults.fail("Clone.copy", code, nth=2)
    status, answer = copy(peer, source, target, (0, 0, 10), (10, 10, 10))
    assert status == {errno.EIO: "UNEXPECTED_IO_ERROR", errno.EROFS: "MEDIA_WRITE_PROTECTED"}[code]
    assert answer == (1, 0, 10)


# Long ones ----------------------------------------------------------------------------------------------------------


def start_long(wire: Any, peer: Any) -> tuple[Any, Any, Any]:
    """A copy of 16 MiB that has come to 8 MiB: (header of its interim response, source, target)."""
    wire.make("source", bytes(MIB))
    source, target = peer.open("source"), peer.make("target")
    data = pack_copychunk_copy(key_of(peer, source), chunks(*[(0, n * MIB, MIB) for n in range(16)]))
    [(pending, _)] = peer.send(Command.IOCTL, peer.fsctl_body(COPY, data, file=target))
    assert pending.status == Status.PENDING
    return pending, source, target


def outcome(frames: Sequence[Any]) -> tuple[int, tuple[int, int, int]]:
    [(header, frame)] = frames
    output = ioctl_output(frame, IoctlResponse.unpack_from(frame, HEADER_SIZE))
    return header.status, numbers(bytes(output))


def finish(peer: Any) -> tuple[int, tuple[int, int, int]]:
    while not (frames := peer.connection.resume()):
        assert peer.connection.waiting
    return outcome([(Header.unpack_from(frame), frame) for frame in frames])


def test_a_long_one_is_announced(wire: Any, peer: Any) -> None:
    start_long(wire, peer)
    assert wire.stat("target").size == 8 * MIB
    assert finish(peer) == (Status.SUCCESS, (16, 0, 16 * MIB))
    assert wire.stat("target").size == 16 * MIB


def test_cancel(wire: Any, peer: Any) -> None:
    pending, _, _ = start_long(wire, peer)
    cancel = peer.message(Command.CANCEL, bytes.fromhex("04000000"), message_id=pending.message_id)
    assert outcome(peer.frames(cancel)) == (Status.CANCELLED, (8, 0, 8 * MIB))
    assert wire.stat("target").size == 8 * MIB


@pytest.mark.parametrize("closed", ["source", "target"])
def test_a_close_ends_it(wire: Any, peer: Any, closed: str) -> None:
    """The handles are held until it has noticed."""
    _, source, target = start_long(wire, peer)
    opened = next(iter(wire.server.sessions.values())).opens[(source if closed == "source" else target).volatile]
    wire.server.close_open(opened)
    assert wire.memory.open_handles == 2
    assert finish(peer) == (Status.FILE_CLOSED, (8, 0, 8 * MIB))
    assert wire.memory.open_handles == 1


def test_the_end_of_the_connection_ends_it(wire: Any, peer: Any) -> None:
    start_long(wire, peer)
    peer.connection.close()
    assert wire.stat("target").size == 8 * MIB
    assert wire.memory.open_handles == 0


def test_others_stop_caching(wire: Any, peer: Any, source: Any) -> None:
    """Who has read the target hears that it has changed."""
    wire.make("target", b"old")
    reader = wire.connect(dialect=0x0210)
    status, _, _ = reader.try_create("target", Access.GENERIC_READ, requested_oplock_level=1)
    assert status == "SUCCESS"
    target = peer.open("target")
    assert copy(peer, source, target, (0, 0, 3))[0] == "SUCCESS"
    [frame] = reader.connection.resume()
    assert Header.unpack_from(frame).command == Command.OPLOCK_BREAK


def test_write_through(wire: Any, peer: Any, source: Any) -> None:
    target = peer.open("target", disposition=CreateDisposition.OPEN_IF, options=0x2)
    assert copy(peer, source, target, (0, 0, 3))[0] == "SUCCESS"
    assert wire.faults.counts["File.sync"] == 1
