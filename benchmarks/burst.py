"""One connection at full speed: requests packed, signed and sealed beforehand, and then fired.

The clock runs only while a burst is on its way, and a burst does three things: send slices of one buffer, receive
into another, read the status of each response.  Nothing else of a response is looked at.
"""

import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher as CipherContext
from cryptography.hazmat.primitives.ciphers import algorithms, modes

from benchmarks.gang import Gate
from benchmarks.logon import Protection, gather_credits, logged_on, protect
from benchmarks.sample import Clock, Share
from benchmarks.servers import Server
from smbport.testing.client import Client
from smbport.wire.constants import Cipher, HeaderFlag
from smbport.wire.header import HEADER_SIZE, TransformHeader
from smbport.wire.status import Status, status_name

__all__ = ["FINE", "Make", "Operation", "Prepare", "Replies", "Request", "pack_frame", "pipelined", "run_once"]

TIMEOUT_S: Final = 60  # without a byte from the server
RECEIVE_SIZE: Final = 256 << 10
LONG: Final = 8192  # bytes; of longer frames the rest is dropped unseen by the kernel
CREDITS: Final = 256  # to hold at least before the clock starts
WARM_UP: Final = 8  # the part of a burst that is fired before the clock starts: one in so many
FIRST_BLOCK: Final = 2  # counter of the first block of data in GCM.  [SP800-38D] 7.1
CCM_NONCE: Final = 11  # bytes.  [MS-SMB2] 2.2.41
FINE: Final = (Status.SUCCESS, Status.NO_MORE_FILES)


class Request(NamedTuple):
    """What is packed behind a header."""

    command: int
    body: bytes
    charge: int = 1
    related: bool = False


# The frames of one operation, sent one after the other; a frame of several requests is a compound.
Operation = Sequence[Sequence[Request]]
Make = Callable[[], Operation]
Prepare = Callable[[Client, int], Make]  # gets a client and a tree id, opens what it needs


def pipelined(
    gate: Gate, server: Server, seconds: float, *, prepare: Prepare, depth: int, protection: Protection, burst: int,
    before: Callable[[Server], str] | None = None,
) -> Share:  # fmt: skip
    """Keep `depth` frames on their way for so many seconds, packed `burst` operations at a time.

    `before` is called before each burst, while the clock stands still; it returns a note.
    """
    clock, operations, latencies_ns, note = Clock(), 0, [], ""
    with logged_on(server, protection) as (client, sock, tree_id):
        make = prepare(client, tree_id)
        gather_credits(client, CREDITS)
        protect(client, protection)
        replies = Replies(sock, client if client.seal else None)
        burst = _warm_up(sock, replies, _pack(client, tree_id, make, max(burst // WARM_UP, 1)), depth, burst, seconds)
        gate()
        while clock.elapsed_s < seconds:
            packed = _pack(client, tree_id, make, burst)
            if before is not None:
                note = before(server)
            with clock:
                moments = _fire(sock, replies, packed, depth)
            operations += burst
            latencies_ns += moments.latencies_ns(packed.frames_per_operation)
        gate()
    return Share(operations, clock.elapsed_s, clock.cpu_s, latencies_ns, note)


def _warm_up(sock: socket.socket, replies: "Replies", packed: "_Burst", depth: int, burst: int, seconds: float) -> int:
    """Fire a short burst; returns how long the others are to be, so that a slow server does not take for ever."""
    clock = Clock()
    with clock:
        _fire(sock, replies, packed, depth)
    operations = (len(packed.ends) - 1) // packed.frames_per_operation
    return max(min(burst, round(operations / clock.elapsed_s * seconds)), 1)


def run_once(client: Client, sock: socket.socket, tree_id: int, operations: Sequence[Operation], depth: int) -> Clock:
    """Fire operations of one frame each, once; returns the clock that ran meanwhile."""
    waiting = iter(operations)
    packed = _pack(client, tree_id, lambda: next(waiting), len(operations))
    clock = Clock()
    with clock:
        _fire(sock, Replies(sock, None), packed, depth)
    return clock


# Packing --------------------------------------------------------------------------------------------------------


class _Burst(NamedTuple):
    data: bytearray  # frames, each with its prefix
    ends: list[int]  # where each frame ends; the first of them is 0, where the first frame begins
    requests_per_frame: int
    frames_per_operation: int


def _pack(client: Client, tree_id: int, make: Make, operations: int) -> _Burst:
    data = bytearray()
    ends = [0]
    for _ in range(operations):
        operation = make()
        for requests in operation:
            frame = pack_frame(client, tree_id, requests)
            data += len(frame).to_bytes(4, "big")
            data += frame
            ends.append(len(data))
    return _Burst(data, ends, len(operation[0]), len(operation))


def pack_frame(client: Client, tree_id: int, requests: Sequence[Request]) -> bytes:
    """One request or a compound, signed or sealed as the client does."""
    messages = []
    for index, request in enumerate(requests):
        flags = HeaderFlag.RELATED_OPERATIONS if request.related else 0
        message = client.message(request.command, request.body, tree_id=tree_id, charge=request.charge, flags=flags)
        if index < len(requests) - 1:
            message += bytes(-len(message) % 8)
            message[20:24] = len(message).to_bytes(4, "little")
        messages.append(message)
    if client.seal:
        return client.protect(bytearray().join(messages))
    return b"".join(map(client.protect, messages))


# Firing ---------------------------------------------------------------------------------------------------------


class _Moments:
    """When frames were sent and answered: pairs of a time and how many there were by then."""

    __slots__ = ("answered", "sent")

    def __init__(self) -> None:
        self.sent: list[tuple[int, int]] = []
        self.answered: list[tuple[int, int]] = []

    def latencies_ns(self, frames: int) -> list[int]:
        """How long each operation of so many frames took, if answers come in the order of their requests."""
        begun, ended = list(_each(self.sent)), list(_each(self.answered))
        return [end - begin for begin, end in zip(begun[::frames], ended[frames - 1 :: frames], strict=True)]


def _each(moments: Sequence[tuple[int, int]]) -> Iterator[int]:
    """The time of each frame by itself."""
    before = 0
    for time_ns, count in moments:
        for _ in range(count - before):
            yield time_ns
        before = count


def _fire(sock: socket.socket, replies: "Replies", burst: _Burst, depth: int) -> _Moments:
    """Send all frames, at most `depth` ahead of their responses."""
    view, ends, width = memoryview(burst.data), burst.ends, burst.requests_per_frame
    frames = len(ends) - 1
    moments, now = _Moments(), time.perf_counter_ns
    answered = done = 0
    sent = min(depth, frames)
    moments.sent.append((now(), sent))
    sock.sendall(view[: ends[sent]])
    while done < frames:
        answered += replies.take()
        finished = answered // width - done
        if finished:
            time_ns = now()
            done += finished
            moments.answered.append((time_ns, done))
            begin, sent = sent, min(sent + finished, frames)
            if begin < sent:
                moments.sent.append((time_ns, sent))
                sock.sendall(view[ends[begin] : ends[sent]])
    return moments


_STATUS: Final = struct.Struct("<I4xII")  # status, flags, next command: bytes 8 to 24 of a header


class Replies:
    """Counts the final responses that arrive.  Raises ConnectionError if one of them is a failure."""

    __slots__ = ("_counter", "_end", "_key", "_lead", "_rest", "_socket", "_view")

    def __init__(self, sock: socket.socket, sealed_for: Client | None) -> None:
        sock.settimeout(None)
        # Not Python's time-out: that costs a call of poll() for each receive.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", TIMEOUT_S, 0))
        self._socket = sock
        self._key = None if sealed_for is None else algorithms.AES(sealed_for.keys.encryption_out)
        self._lead = 4 + HEADER_SIZE + (TransformHeader.SIZE if sealed_for else 0)
        self._counter = _ccm_counter if sealed_for and sealed_for.cipher in _CCM else _gcm_counter
        self._view = memoryview(bytearray(RECEIVE_SIZE))
        self._end = 0  # of what was received and not yet looked at
        self._rest = 0  # bytes to come of a frame whose header was looked at

    def take(self) -> int:
        """Receive once; how many requests are answered by that."""
        if self._rest:
            self._rest -= self._receive(self._view[: self._rest], socket.MSG_TRUNC)
            return 0 if self._rest else 1
        view = self._view
        self._end += self._receive(view[self._end :], 0)
        begin = count = 0
        while self._end - begin >= self._lead:
            length = 4 + int.from_bytes(view[begin : begin + 4], "big")
            missing = begin + length - self._end
            if missing > 0 and length < LONG:
                break
            answers = self._look(view[begin + 4 : min(begin + length, self._end)])
            if missing > 0:
                self._rest, self._end, begin = missing, 0, 0
                return count
            begin += length
            count += answers
        if begin:
            rest = bytes(view[begin : self._end])
            view[: len(rest)] = rest
            self._end = len(rest)
        return count

    def _receive(self, into: memoryview, flags: int) -> int:
        count = self._socket.recv_into(into, 0, flags)
        if not count:
            raise ConnectionResetError("the server hung up")
        return count

    def _look(self, message: memoryview) -> int:
        """How many final responses the frame holds.  A long frame may be cut off; it holds one."""
        if self._key is not None:
            message = self._peek(message)
        count = 0
        while True:
            status, flags, following = _STATUS.unpack_from(message, 8)
            if status == Status.PENDING and flags & HeaderFlag.ASYNC_COMMAND:
                return count
            if status not in FINE:
                raise ConnectionError(f"the server answers {status_name(status)}")
            count += 1
            if not following:
                return count
            message = message[following:]

    def _peek(self, frame: memoryview) -> memoryview:
        """The header inside a sealed frame, by counter mode alone; whether it is authentic does not matter here."""
        assert self._key is not None
        counter = self._counter(TransformHeader.unpack_from(frame).nonce)
        stream = CipherContext(self._key, modes.CTR(counter)).decryptor()
        return memoryview(stream.update(frame[TransformHeader.SIZE : TransformHeader.SIZE + HEADER_SIZE]))


_CCM: Final = (Cipher.AES_128_CCM, Cipher.AES_256_CCM)


def _gcm_counter(nonce: bytes) -> bytes:
    return nonce[:12] + FIRST_BLOCK.to_bytes(4, "big")


def _ccm_counter(nonce: bytes) -> bytes:
    """Flags that say how long the counter is, the nonce, and the number of the first block of data.  [RFC3610] 2.3"""
    width = 15 - CCM_NONCE
    return bytes([width - 1]) + nonce[:CCM_NONCE] + (1).to_bytes(width, "big")
