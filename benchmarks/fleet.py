"""Many connections at a time: each goes through a script of its own, over and over, one frame after the other.

The frames are packed once.  Before a frame is sent, its message ids are written into it, and the ids of files that
earlier answers of the same connection told; so a script can open a file, work on it and close it.
"""

import select
import struct
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from benchmarks.burst import FINE, Request, pack_frame
from benchmarks.gang import Gate
from benchmarks.logon import Connection, gather_credits, many_logged_on, protect
from benchmarks.sample import Clock, Share
from benchmarks.servers import Server
from smbport.testing.client import FileId
from smbport.wire.constants import HeaderFlag
from smbport.wire.header import HEADER_SIZE
from smbport.wire.status import Status, status_name

__all__ = ["Script", "Step", "fleet", "slot"]

TIMEOUT_S: Final = 60  # without a byte from any server
RECEIVE_SIZE: Final = 256 << 10
CREDITS: Final = 32
PREFIX: Final = 4
LEAD: Final = PREFIX + HEADER_SIZE
SLOTS: Final = 8
MARK: Final = 0x746F6C535F534D42  # stands for a persistent id that is not yet known; the volatile one is the slot
FILE_ID: Final = LEAD + 64  # of a CREATE response.  [MS-SMB2] 2.2.14
ENOUGH: Final = FILE_ID + 16  # bytes of an answer that are looked at
MESSAGE_ID: Final = 24  # [MS-SMB2] 2.2.1.2
_ID: Final = struct.Struct("<QQ")
_U64: Final = struct.Struct("<Q")
_U32: Final = struct.Struct("<I")


class Step(NamedTuple):
    """One frame to send; the file that it opens, if it does, is remembered in a slot."""

    requests: Sequence[Request]
    opens: int | None = None


Script = Callable[[Connection, int], Sequence[Step]]  # gets a connection and its number; opens what it needs


def slot(number: int) -> FileId:
    """The file that an earlier step of the script opened."""
    return FileId(0, MARK, number)


def fleet(gate: Gate, server: Server, seconds: float, *, numbers: range, script: Script) -> Share:
    """Drive the connections of these numbers for so many seconds; an operation is a frame with its answer."""
    clock = Clock()
    with many_logged_on(server, len(numbers)) as connections:
        lanes = [_Lane(connection, script(connection, n)) for connection, n in zip(connections, numbers, strict=True)]
        gate()
        with clock:
            latencies_ns = _drive(lanes, seconds)
        gate()
    return Share(len(latencies_ns), clock.elapsed_s, clock.cpu_s, latencies_ns)


def _drive(lanes: Sequence["_Lane"], seconds: float) -> list[int]:
    latencies_ns: list[int] = []
    waiting = {lane.fileno(): lane for lane in lanes}
    poll = select.epoll()
    buffer = memoryview(bytearray(RECEIVE_SIZE))
    for lane in lanes:
        poll.register(lane.fileno(), select.EPOLLIN)
        lane.send_next()
    end_ns = time.perf_counter_ns() + int(seconds * 1e9)
    try:
        while waiting:
            events = poll.poll(TIMEOUT_S)
            if not events:
                raise TimeoutError(f"no answer within {TIMEOUT_S} s")
            for descriptor, _ in events:
                lane = waiting[descriptor]
                if not lane.receive(buffer):
                    continue
                now_ns = time.perf_counter_ns()
                latencies_ns.append(now_ns - lane.sent_ns)
                if now_ns < end_ns:
                    lane.send_next()
                else:
                    poll.unregister(descriptor)
                    del waiting[descriptor]
    finally:
        poll.close()
    return latencies_ns


class _Frame:
    """A step as it is sent, and where in it things change."""

    __slots__ = ("data", "files", "ids", "opens", "width")

    def __init__(self, connection: Connection, step: Step) -> None:
        frame = pack_frame(connection.client, connection.tree_id, step.requests)
        self.data = bytearray(len(frame).to_bytes(PREFIX, "big") + frame)
        self.opens = step.opens
        self.ids: list[int] = []  # where message ids are
        self.width = step.requests[0].charge  # of the first; the others of a compound take one each
        begin = PREFIX
        while True:
            self.ids.append(begin + MESSAGE_ID)
            following = int.from_bytes(self.data[begin + 20 : begin + 24], "little")
            if not following:
                break
            begin += following
        self.files = [
            (found, number)
            for number in range(SLOTS)
            if (found := self.data.find(_ID.pack(MARK, number))) >= 0
        ]  # fmt: skip


class _Lane:
    """One connection, and where in its script it is."""

    __slots__ = ("_client", "_files", "_frames", "_head", "_next", "_rest", "_sock", "sent_ns")

    def __init__(self, connection: Connection, steps: Sequence[Step]) -> None:
        gather_credits(connection.client, CREDITS)
        protect(connection.client, "plain")
        before = connection.client.message_id
        self._frames = [_Frame(connection, step) for step in steps]
        connection.client.message_id = before  # the ids are given when the frames are sent
        self._client, self._sock = connection.client, connection.sock
        self._files = [b""] * SLOTS
        self._next = 0
        self._head = b""  # of an answer of which less has come than is looked at
        self._rest = 0  # bytes to come of an answer that was looked at
        self.sent_ns = 0
        self._sock.settimeout(None)

    def fileno(self) -> int:
        return self._sock.fileno()

    def send_next(self) -> None:
        """Send the next frame of the script."""
        frame = self._frames[self._next]
        data, client = frame.data, self._client
        for index, offset in enumerate(frame.ids):
            _U64.pack_into(data, offset, client.message_id)
            client.message_id += 1 if index else frame.width
        for offset, number in frame.files:
            data[offset : offset + 16] = self._files[number]
        self.sent_ns = time.perf_counter_ns()
        self._sock.sendall(data)

    def receive(self, buffer: memoryview) -> bool:
        """Receive once; whether the whole answer is there.  Raises ConnectionError if it is a failure."""
        count = self._sock.recv_into(buffer)
        if not count:
            raise ConnectionResetError("the server hung up")
        if self._rest:
            self._rest -= count
            return self._is_finished()
        data = self._head + bytes(buffer[:count])
        while len(data) >= PREFIX:
            end = PREFIX + int.from_bytes(data[:PREFIX], "big")
            if len(data) < min(end, ENOUGH):
                break
            if self._look(data):
                self._head, self._rest = b"", end - len(data)
                return self._is_finished()
            data = data[end:]  # it was an interim response
        self._head = data
        return False

    def _look(self, answer: bytes) -> bool:
        """Whether it is a final response; takes from it the file that was opened."""
        status, flags = _U32.unpack_from(answer, PREFIX + 8)[0], _U32.unpack_from(answer, PREFIX + 16)[0]
        if status == Status.PENDING and flags & HeaderFlag.ASYNC_COMMAND:
            return False
        if status not in FINE:
            raise ConnectionError(f"the server answers {status_name(status)} to step {self._next} of the script")
        opens = self._frames[self._next].opens
        if opens is not None:
            self._files[opens] = answer[FILE_ID : FILE_ID + 16]
        return True

    def _is_finished(self) -> bool:
        if self._rest:
            return False
        self._next = (self._next + 1) % len(self._frames)
        return True
