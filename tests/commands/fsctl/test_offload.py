"""Offloaded copies: what a token is good for, and for whom."""

from collections.abc import Callable
from typing import Any

import pytest

from smbport.wire.constants import Access, Command, FileInfo, FsControl
from smbport.wire.fsctl import (
    TOKEN_SIZE,
    OffloadReadInput,
    OffloadReadOutput,
    OffloadWriteInput,
    OffloadWriteOutput,
    Token,
)
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request
from smbport.wire.status import Status

READ, WRITE = FsControl.OFFLOAD_READ, FsControl.OFFLOAD_WRITE
DATA = bytes(range(256)) * 64
SIZE = len(DATA)
ZERO_TOKEN = (b"\xff\xff\xff\xff\0\0\x01\xf8\0\x01").ljust(TOKEN_SIZE, b"\0")
INVALID_TOKEN = "0xC0000465"


@pytest.fixture
def source(wire: Any, peer: Any) -> Any:
    wire.make("source", DATA)
    return peer.open("source")


@pytest.fixture
def target(wire: Any, peer: Any) -> Any:
    """As long as the source, as a client makes it beforehand."""
    wire.make("target", b"x" * SIZE)
    return peer.open("target")


def token_of(peer: Any, file: Any, offset: int = 0, length: int = 1 << 40, life_ms: int = 0) -> tuple[int, bytes]:
    """How many bytes the token stands for, and the token."""
    asked = OffloadReadInput(file_offset=offset, copy_length=length, token_time_to_live=life_ms).pack()
    status, output = peer.fsctl(READ, asked, file=file)
    assert (status, len(output)) == ("SUCCESS", 528)
    head = OffloadReadOutput.unpack_from(output)
    assert (head.size, head.flags) == (528, 0)
    return head.transfer_length, output[16:]


def write(
    peer: Any, file: Any, token: bytes, offset: int = 0, length: int = 1 << 40, start: int = 0
) -> tuple[str, int]:
    asked = OffloadWriteInput(file_offset=offset, copy_length=length, transfer_offset=start).pack() + token
    status, output = peer.fsctl(WRITE, asked, file=file)
    return status, OffloadWriteOutput.unpack_from(output).length_written if output else 0


def test_a_whole_file(wire: Any, peer: Any, source: Any, target: Any) -> None:
    length, token = token_of(peer, source)
    assert (length, len(token), token[6:8]) == (SIZE, TOKEN_SIZE, b"\x01\xf8")
    assert write(peer, target, token) == ("SUCCESS", SIZE)
    assert wire.content("target") == DATA


def test_a_part_of_a_part(wire: Any, peer: Any, source: Any, target: Any) -> None:
    _, token = token_of(peer, source, 1024, 4096)
    assert write(peer, target, token, 512, 1024, 2048) == ("SUCCESS", 1024)
    assert wire.content("target") == b"x" * 512 + DATA[3072:4096] + b"x" * (SIZE - 1536)
    assert write(peer, target, token, 0, 1 << 30, 3584) == ("SUCCESS", 512)
    assert write(peer, target, token, 0, 512, 4096) == ("INVALID_PARAMETER", 0)


def test_the_last_sector_counts_as_whole(wire: Any, peer: Any, target: Any) -> None:
    """What is behind the end of the source is zeroes; the target does not grow."""
    wire.make("odd", DATA[:1000])
    length, token = token_of(peer, peer.open("odd"))
    assert length == 1024
    assert write(peer, target, token) == ("SUCCESS", 1024)
    assert wire.content("target") == DATA[:1000] + bytes(24) + b"x" * (SIZE - 1024)
    short = peer.make("short")
    peer.write(short, 0, b"y" * 700)
    assert write(peer, short, token) == ("SUCCESS", 1024)
    assert wire.content("short") == DATA[:700]
    assert write(peer, short, token, 1024) == ("END_OF_FILE", 0)


def test_zeroes(wire: Any, peer: Any, target: Any) -> None:
    assert write(peer, target, ZERO_TOKEN, 512, 1024) == ("SUCCESS", 1024)
    assert wire.content("target") == b"x" * 512 + bytes(1024) + b"x" * (SIZE - 1536)
    for other in (ZERO_TOKEN[:9] + b"\2" + ZERO_TOKEN[10:], ZERO_TOKEN[:6] + b"\0\0" + ZERO_TOKEN[8:]):
        assert write(peer, target, other)[0] == INVALID_TOKEN


def test_a_token_stands_for_no_more_than(wire: Any, peer: Any) -> None:
    """256 MiB; a file of holes is as good as any."""
    big = peer.make("big")
    peer.set_info(big, FileInfo.END_OF_FILE, (1 << 30).to_bytes(8, "little"))
    assert token_of(peer, big)[0] == 256 << 20


# What a token is not good for ---------------------------------------------------------------------------------------


def test_for_another_session(wire: Any, peer: Any, source: Any) -> None:
    _, token = token_of(peer, source)
    other = wire.connect()
    assert write(other, other.make("new"), token, length=0) == (INVALID_TOKEN, 0)


def test_when_the_file_has_changed_or_is_closed(peer: Any, source: Any, target: Any) -> None:
    _, token = token_of(peer, source)
    peer.write(source, 0, b"other")
    assert write(peer, target, token) == (INVALID_TOKEN, 0)
    _, token = token_of(peer, source)
    peer.close(source)
    assert write(peer, target, token) == (INVALID_TOKEN, 0)


@pytest.mark.parametrize(("asked_ms", "life_ms"), [(0, 60_000), (1000, 1000), (1 << 31, 600_000)])
def test_when_its_time_is_over(wire: Any, peer: Any, source: Any, target: Any, asked_ms: int, life_ms: int) -> None:
    now = wire.server.runtime.now_ns()
    _, token = token_of(peer, source, life_ms=asked_ms)
    expires = Token.unpack_from(token, 8).expires_ns
    assert 0 <= expires - now - life_ms * 10**6 < 10**10
    past = token[:56] + (now - 1).to_bytes(8, "little") + token[64:]
    assert write(peer, target, past) == (INVALID_TOKEN, 0)


def test_made_up(wire: Any, peer: Any, source: Any, target: Any) -> None:
    wire.make_directory("d")
    _, token = token_of(peer, source)
    directory = peer.open("d")
    made_of_it = token[:16] + directory.persistent.to_bytes(8, "little") + directory.volatile.to_bytes(8, "little")
    for bad in (
        bytes(512), b"\1" + token[1:], token[:7] + b"\0" + token[8:], token[:8] + b"\1" + token[9:],
        token[:16] + b"\xff" + token[17:], token[:24] + b"\xff" * 8 + token[32:], made_of_it + token[32:],
    ):  # fmt: skip
        assert write(peer, target, bad) == (INVALID_TOKEN, 0)
    assert wire.content("target") == b"x" * SIZE


def test_a_token_gives_no_right(wire: Any, peer: Any, source: Any, target: Any) -> None:
    """Made up for an open of the same session that may not read."""
    _, token = token_of(peer, source)
    blind = peer.open("source", Access.READ_ATTRIBUTES)
    ids = blind.persistent.to_bytes(8, "little") + blind.volatile.to_bytes(8, "little")
    assert write(peer, target, token[:16] + ids + token[32:]) == ("ACCESS_DENIED", 0)


# What stands against it ---------------------------------------------------------------------------------------------


def lock(peer: Any, file: Any, offset: int, length: int) -> None:
    element = LockElement(offset=offset, length=length, flags=0x12)
    request = LockRequest(lock_sequence=0, file_id_persistent=file.persistent, file_id_volatile=file.volatile)
    assert peer.status(Command.LOCK, pack_lock_request(request, [element])) == Status.SUCCESS


def test_locks(wire: Any, peer: Any, source: Any, target: Any) -> None:
    lock(peer, peer.open("source"), 0, 10)
    assert peer.fsctl(READ, OffloadReadInput(file_offset=0, copy_length=512).pack(), file=source)[0] == (
        "FILE_LOCK_CONFLICT"
    )
    lock(peer, peer.open("target"), 0, 10)
    _, token = token_of(peer, source, 512, 512)
    assert write(peer, target, token)[0] == "FILE_LOCK_CONFLICT"
    assert write(peer, target, ZERO_TOKEN)[0] == "FILE_LOCK_CONFLICT"
    assert write(peer, target, token, 512) == ("SUCCESS", 512)


@pytest.mark.parametrize(("offset", "length"), [(1, 512), (512, 1), (1 << 63, 512), ((1 << 64) - 512, 512)])
def test_no_whole_sectors(peer: Any, source: Any, target: Any, offset: int, length: int) -> None:
    _, token = token_of(peer, source)
    assert peer.fsctl(READ, OffloadReadInput(file_offset=offset, copy_length=length).pack(), file=source)[0] == (
        "INVALID_PARAMETER"
    )
    assert write(peer, target, token, offset, length)[0] == "INVALID_PARAMETER"
    assert write(peer, target, token, start=offset if offset != 512 else 1)[0] == "INVALID_PARAMETER"


def test_behind_the_end(peer: Any, source: Any) -> None:
    asked = OffloadReadInput(file_offset=SIZE, copy_length=512).pack()
    assert peer.fsctl(READ, asked, file=source)[0] == "END_OF_FILE"


def test_room_and_shape(peer: Any, source: Any, target: Any) -> None:
    asked = OffloadReadInput(file_offset=0, copy_length=512).pack()
    assert peer.fsctl(READ, asked, file=source, room=527)[0] == "BUFFER_TOO_SMALL"
    assert peer.fsctl(READ, asked[:-1], file=source)[0] == "INVALID_PARAMETER"
    whole = OffloadWriteInput(file_offset=0, copy_length=512, transfer_offset=0).pack() + ZERO_TOKEN
    assert peer.fsctl(WRITE, whole, file=target, room=15)[0] == "BUFFER_TOO_SMALL"
    assert peer.fsctl(WRITE, whole[:-1], file=target)[0] == "INVALID_PARAMETER"


@pytest.mark.parametrize(("distance", "status"), [(2 << 20, "SUCCESS"), (512, "NOT_SUPPORTED")])
def test_a_file_onto_itself(new_wire: Callable[..., Any], distance: int, status: str) -> None:
    """Long ranges that overlap cannot be read at once."""
    wire = new_wire()
    wire.make("f", b"a" * (2 << 20) + b"b" * (2 << 20))
    peer = wire.connect()
    file = peer.open("f")
    _, token = token_of(peer, file, 0, 2 << 20)
    assert write(peer, file, token, distance)[0] == status
    assert peer.read(file, 3 << 20, 1) == (b"a" if status == "SUCCESS" else b"b")
