"""The load generator: requests packed, signed and sealed beforehand, fired from a process of its own.

The clock runs only while a burst is on its way, and a burst does three things: send slices of one buffer, receive
into another, read the status of each response.  Nothing else of a response is looked at.
"""

import math
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher as CipherContext
from cryptography.hazmat.primitives.ciphers import algorithms, modes

from benchmarks.servers import Server, cpu_seconds, other_cpu_seconds, proportional_kib, settle
from smbport.testing.client import Client, SocketLink
from smbport.wire.constants import Cipher, Command, Dialect, HeaderFlag, SigningAlgorithm
from smbport.wire.echo import EchoRequest
from smbport.wire.header import HEADER_SIZE, TransformHeader
from smbport.wire.status import Status, status_name

__all__ = [
    "Memory", "Operation", "Protection", "Request", "Sample", "connections", "idle_connections", "logged_on",
    "pipelined",
]  # fmt: skip

Protection = Literal["plain", "signed", "sealed"]

TIMEOUT_S: Final = 60  # without a byte from the server
RECEIVE_SIZE: Final = 256 << 10
LONG: Final = 8192  # bytes; of longer frames the rest is dropped unseen by the kernel
CREDITS: Final = 256  # to hold at least before the clock starts
WARM_UP: Final = 8  # the part of a burst that is fired before the clock starts: one in so many
FIRST_BLOCK: Final = 2  # counter of the first block of data in GCM.  [SP800-38D] 7.1
IDLE_CONNECTIONS: Final = 100
STEADY_S: Final = 0.5  # memory is steady when it does not change by a percent in this time (guessed)
STEADY_TRIES: Final = 20


class Request(NamedTuple):
    """What is packed behind a header."""

    command: int
    body: bytes
    charge: int = 1
    related: bool = False


# The frames of one operation, sent one after the other; a frame of several requests is a compound.
Operation = Sequence[Sequence[Request]]


@dataclass(slots=True)
class Sample:
    """What one run of one row on one server took."""

    operations: int = 0
    elapsed_s: float = 0.0
    server_cpu_s: float = 0.0
    load_cpu_s: float = 0.0  # of the generator, while the clock ran
    others: float = 0.0  # cores that other processes of the machine kept busy
    latencies_us: list[float] = field(default_factory=list)  # median and 99th percentile; empty when pipelined


@dataclass(slots=True)
class Memory:
    """What connections that do nothing take."""

    kib_per_connection: float


# Connections ----------------------------------------------------------------------------------------------------


@contextmanager
def logged_on(server: Server) -> Iterator[tuple[Client, socket.socket, int]]:
    """A connection of dialect 3.1.1 with a session, its socket, and the id of a tree connect to the share."""
    link = SocketLink.connect(server.host, server.port)
    try:
        client = Client(link)
        client.negotiate((Dialect.SMB_3_1_1,), ciphers=(Cipher.AES_128_GCM,), signing=(SigningAlgorithm.AES_GMAC,))
        if client.cipher != Cipher.AES_128_GCM or client.signing_algorithm != SigningAlgorithm.AES_GMAC:
            raise ConnectionError(f"{server.name} {server.version} does not know AES-128-GCM and AES-GMAC")
        client.log_on(server.user, server.password)
        yield client, link.sock, client.tree_connect(server.share)
    finally:
        link.close()


def connections(server: Server, seconds: float) -> Sample:
    """Connect, log on, connect to the share, hang up; again and again."""
    processes = settle(server.pid, 0, timeout_s=0)
    latencies_ns: list[int] = []
    sample = Sample()
    with _watching(server, sample) as clock:
        while sample.elapsed_s < seconds:
            with clock:
                begun = time.perf_counter_ns()
                with logged_on(server) as (_, sock, _):
                    sock.shutdown(socket.SHUT_WR)
                    sock.recv(1)
                latencies_ns.append(time.perf_counter_ns() - begun)
            sample.operations += 1
        settle(server.pid, processes)
    sample.latencies_us = _percentiles(latencies_ns)
    return sample


def idle_connections(server: Server, seconds: float) -> Memory:
    """How much memory 100 connections take, each with a session and a tree connect, after the first one."""
    with logged_on(server):
        before = _steady_kib(server.pid)
        waiting = [logged_on(server) for _ in range(IDLE_CONNECTIONS)]
        for connection in waiting:
            connection.__enter__()
        after = _steady_kib(server.pid)
        for connection in waiting:
            connection.__exit__(None, None, None)
    return Memory((after - before) / IDLE_CONNECTIONS)


def _steady_kib(pid: int) -> int:
    size = proportional_kib(pid)
    for _ in range(STEADY_TRIES):
        time.sleep(STEADY_S)
        last, size = size, proportional_kib(pid)
        if abs(size - last) <= size // 100:
            break
    return size


# Requests in bursts ---------------------------------------------------------------------------------------------


def pipelined(
    server: Server,
    seconds: float,
    *,
    prepare: Callable[[Client, int], Callable[[], Operation]],
    depth: int,
    protection: Protection,
    burst: int,
) -> Sample:
    """Keep `depth` frames on their way for so many seconds, packed `burst` operations at a time.

    `prepare` gets a client and a tree id, and returns what makes the operations.
    """
    sample = Sample()
    latencies_ns: list[int] = []
    with logged_on(server) as (client, sock, tree_id):
        make = prepare(client, tree_id)
        _gather_credits(client)
        client.sign, client.seal = protection == "signed", protection == "sealed"
        replies = _Replies(sock, client if client.seal else None)
        _fire(sock, replies, _pack(client, tree_id, make, max(burst // WARM_UP, 1)), depth)
        with _watching(server, sample) as clock:
            while sample.elapsed_s < seconds:
                packed = _pack(client, tree_id, make, burst)
                with clock:
                    moments_ns = _fire(sock, replies, packed, depth)
                sample.operations += burst
                if depth == 1:
                    latencies_ns += _operation_times(moments_ns, packed.frames_per_operation)
    if depth == 1:
        sample.latencies_us = _percentiles(latencies_ns)
    return sample


def _gather_credits(client: Client) -> None:
    while client.credits - client.message_id < CREDITS:
        client.call(Command.ECHO, EchoRequest().pack())


class _Burst(NamedTuple):
    data: bytearray  # frames, each with its prefix
    ends: list[int]  # where each frame ends; the first of them is 0, where the first frame begins
    requests_per_frame: int
    frames_per_operation: int


def _pack(client: Client, tree_id: int, make: Callable[[], Operation], operations: int) -> _Burst:
    data = bytearray()
    ends = [0]
    for _ in range(operations):
        operation = make()
        for requests in operation:
            frame = _pack_frame(client, tree_id, requests)
            data += len(frame).to_bytes(4, "big")
            data += frame
            ends.append(len(data))
    return _Burst(data, ends, len(operation[0]), len(operation))


def _pack_frame(client: Client, tree_id: int, requests: Sequence[Request]) -> bytes:
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


def _fire(sock: socket.socket, replies: "_Replies", burst: _Burst, depth: int) -> list[int]:
    """Send all frames, at most `depth` ahead of their responses.  Returns the time of the start and of each step."""
    view, ends, width = memoryview(burst.data), burst.ends, burst.requests_per_frame
    frames = len(ends) - 1
    moments_ns = [time.perf_counter_ns()]
    answered = done = 0
    sent = min(depth, frames)
    sock.sendall(view[: ends[sent]])
    while done < frames:
        answered += replies.take()
        finished = answered // width - done
        if finished:
            moments_ns.append(time.perf_counter_ns())
            done += finished
            begin, sent = sent, min(sent + finished, frames)
            if begin < sent:
                sock.sendall(view[ends[begin] : ends[sent]])
    return moments_ns


_STATUS: Final = struct.Struct("<I4xII")  # status, flags, next command: bytes 8 to 24 of a header


class _Replies:
    """Counts the final responses that arrive.  Raises ConnectionError if one of them is a failure."""

    __slots__ = ("_end", "_key", "_lead", "_rest", "_socket", "_view")

    def __init__(self, sock: socket.socket, sealed_for: Client | None) -> None:
        sock.settimeout(None)
        # Not Python's time-out: that costs a call of poll() for each receive.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", TIMEOUT_S, 0))
        self._socket = sock
        self._key = None if sealed_for is None else algorithms.AES(sealed_for.keys.encryption_out)
        self._lead = 4 + HEADER_SIZE + (TransformHeader.SIZE if sealed_for else 0)
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
            if status not in (Status.SUCCESS, Status.NO_MORE_FILES):
                raise ConnectionError(f"the server answers {status_name(status)}")
            count += 1
            if not following:
                return count
            message = message[following:]

    def _peek(self, frame: memoryview) -> memoryview:
        """The header inside a sealed frame, by counter mode alone; whether it is authentic does not matter here."""
        assert self._key is not None
        nonce = TransformHeader.unpack_from(frame).nonce[:12]
        stream = CipherContext(self._key, modes.CTR(nonce + FIRST_BLOCK.to_bytes(4, "big"))).decryptor()
        return memoryview(stream.update(frame[TransformHeader.SIZE : TransformHeader.SIZE + HEADER_SIZE]))


# Clocks ---------------------------------------------------------------------------------------------------------


class _Clock:
    """Adds up the time and the generator's CPU of `with` blocks."""

    __slots__ = ("_begun", "_sample")

    def __init__(self, sample: Sample) -> None:
        self._sample = sample

    def __enter__(self) -> None:
        self._begun = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        self._sample.elapsed_s += time.perf_counter() - self._begun[0]
        self._sample.load_cpu_s += time.process_time() - self._begun[1]


@contextmanager
def _watching(server: Server, sample: Sample) -> Iterator[_Clock]:
    """Fills in what the server and the rest of the machine did meanwhile."""
    begun_s = time.perf_counter()
    others_s = other_cpu_seconds(server.pid, os.getpid())
    server_s = cpu_seconds(server.pid)
    yield _Clock(sample)
    sample.server_cpu_s = cpu_seconds(server.pid) - server_s
    others_s = other_cpu_seconds(server.pid, os.getpid()) - others_s
    sample.others = max(others_s, 0.0) / (time.perf_counter() - begun_s)


def _operation_times(moments_ns: Sequence[int], frames: int) -> list[int]:
    """How long each operation of so many frames took."""
    return [after - before for before, after in zip(moments_ns[::frames], moments_ns[frames::frames], strict=False)]


def _percentiles(times_ns: Sequence[int]) -> list[float]:
    """Median and 99th percentile, in microseconds.  The nearest rank, so that both are times that occurred."""
    ordered = sorted(times_ns)
    return [ordered[math.ceil(share * len(ordered)) - 1] / 1000 for share in (0.5, 0.99)]
