"""Bytes in and out of one socket: a receive buffer that hands out frames, a queue that leaves in gather writes."""

import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from errno import EBUSY
from functools import partial
from typing import Final

import trio

from smbport.commands.call import FileRange
from smbport.platform import ZeroCopy
from smbport.state.server import Server
from smbport.wire.frame import BadFrame, frame_length
from smbport.wire.record import Buffer
from smbport.wire.status import Disconnect

__all__ = ["BufferPool", "Receiver", "Sender"]

NO_BUFFER: Final = memoryview(b"")
BUFFER_SIZE: Final = 1 << 16  # one receive takes at most this unless a larger frame is on its way
POOLED_BYTES: Final = 8 << 20  # spare buffers kept; an idle connection holds none
GATHER_PARTS: Final = 64
GATHER_BYTES: Final = 1 << 20
JOINED_BYTES: Final = 1 << 14  # up to here a copy costs less than what the system does with parts
PADDING: Final = bytes(1 << 16)


class BufferPool:
    """Receive buffers that no connection needs just now.

    New memory is dear: the kernel clears it page by page when it is written to first, which for a megabyte takes
    longer than receiving it.
    """

    def __init__(self) -> None:
        self._free: dict[int, list[memoryview]] = {}  # by size
        self.spare_bytes = 0

    def take(self, needed: int = BUFFER_SIZE) -> memoryview:
        """A buffer of at least `needed` bytes; what is in it does not matter."""
        size = BUFFER_SIZE
        while size < needed:
            size *= 2
        free = self._free.get(size)
        if not free:
            return memoryview(bytearray(size))
        self.spare_bytes -= size
        return free.pop()

    def give_back(self, buffer: memoryview) -> None:
        """Keep it for the next one, unless there are plenty."""
        if self.spare_bytes + len(buffer) <= POOLED_BYTES:
            self.spare_bytes += len(buffer)
            self._free.setdefault(len(buffer), []).append(buffer)


class Receiver:
    """Splits what arrives into frames, without copying them.

    A frame that is larger than the usual buffer is received up to its end and no further, so that the next one begins
    at the start of a buffer; and since such frames seldom come alone, the next buffer has room for another one.
    """

    __slots__ = ("_begin", "_buffer", "_end", "_last_size", "_missing", "_pool", "_socket")

    def __init__(self, sock: socket.socket, pool: BufferPool) -> None:
        self._socket = sock
        self._pool = pool
        self._buffer = NO_BUFFER
        self._begin = self._end = 0  # what is received and not yet handed out
        self._missing = 0  # bytes of a large frame that are still to come
        self._last_size = 0  # of the last frame with its prefix

    def receive(self) -> bool:
        """Take what is there.  False at the end of the stream; raises BlockingIOError if nothing is there."""
        if self._buffer is NO_BUFFER:
            self._replace(self._last_size)
        end = self._end
        room = self._buffer[end:] if end else self._buffer
        count = self._socket.recv_into(room, min(self._stop() - end, len(room)))
        self._end = end + count
        if self._missing:
            self._missing -= count
        return count > 0

    @property
    def rest_is_due(self) -> bool:
        """Whether the rest of a large frame is probably there already."""
        return self._missing > 0

    def rest(self) -> None:
        """Hold no buffer while nothing is expected."""
        if self._begin == self._end:
            self.release()

    def next_frame(self, limit: int) -> memoryview | None:
        """The next one received, if it is complete.  Raises Disconnect if it is no SMB or longer than `limit` bytes.

        A frame is good until the next `receive`, or for as long as somebody likes after `abandon`.
        """
        if self._end - self._begin < 4:
            self._make_room(BUFFER_SIZE // 2)
            return None
        try:
            length = frame_length(self._buffer, self._begin)
        except BadFrame as error:
            raise Disconnect(str(error)) from None
        if length > limit:
            raise Disconnect(f"frame of {length} bytes, {limit} are allowed now")
        begin = self._begin + 4
        end = begin + length
        if end > self._end:
            self._make_room(4 + length)
            if length >= BUFFER_SIZE:
                self._missing = 4 + length - (self._end - self._begin)
            return None
        self._begin = end
        self._last_size = 4 + length
        return self._buffer[begin:end]

    def abandon(self) -> None:
        """Somebody keeps a frame while it waits: receive into another buffer from now on."""
        rest = self._buffer[self._begin : self._end]
        self._replace(len(rest))
        self._buffer[: len(rest)] = rest
        self._end = len(rest)

    def release(self) -> None:
        """Give the buffer back, whatever is in it."""
        if self._buffer is not NO_BUFFER:
            self._pool.give_back(self._buffer)
            self._buffer = NO_BUFFER
        self._begin = self._end = 0

    def _stop(self) -> int:
        """Where in the buffer to stop receiving."""
        if self._missing:
            return self._end + self._missing
        return len(self._buffer) if self._end else max(self._last_size, BUFFER_SIZE)

    def _replace(self, needed: int) -> None:
        """Go on with another buffer that has room for `needed` bytes."""
        self._buffer = self._pool.take(needed)
        self._begin = self._end = 0

    def _make_room(self, needed: int) -> None:
        """Have space for `needed` bytes from where the next frame begins."""
        have = self._end - self._begin
        if have == 0:
            self._begin = self._end = 0
            return
        if self._begin + needed <= len(self._buffer):
            return
        old, rest = self._buffer, self._buffer[self._begin : self._end]
        if needed > len(old):
            self._replace(needed)
            self._buffer[:have] = rest
            self._pool.give_back(old)
        else:
            old[:have] = bytes(rest)
        self._begin, self._end = 0, have


class Sender:
    """A queue of buffers and file ranges, sent in order."""

    __slots__ = (
        "_cold", "_fail", "_parts", "_sending", "_server", "_socket", "_space", "_start", "_zero_copy", "closed",
        "queued_bytes", "taken_bytes",
    )  # fmt: skip

    def __init__(
        self, sock: socket.socket, server: Server, start: Callable[..., None], fail: Callable[[str], None]
    ) -> None:
        """`start` starts a task for what the socket does not take at once; `fail` ends the connection."""
        self._socket = sock
        self._server = server
        self._start = start
        self._fail = fail
        self._zero_copy: ZeroCopy | None = server.platform.zero_copy
        self._parts: deque[Buffer | FileRange] = deque()
        self._sending = False  # a task is at it
        self._cold: FileRange | None = None  # the range in front, whose data must be waited for
        self._space = trio.lowlevel.ParkingLot()
        self.closed = False
        self.queued_bytes = 0
        self.taken_bytes = 0  # by the system, since the connection began

    def queue(self, parts: list[Buffer | FileRange]) -> None:
        """Add buffers in order; nothing is sent before `flush`."""
        self._parts.extend(parts)
        for part in parts:
            self.queued_bytes += len(part)
        if self.closed:
            self.close()

    @property
    def wants_flush(self) -> bool:
        """Whether enough is queued that more should not be added before sending."""
        return self.queued_bytes >= GATHER_BYTES or len(self._parts) >= GATHER_PARTS

    def flush(self) -> None:
        """Send what the socket takes now; a task sends the rest."""
        if self._sending or not self._parts:
            return
        try:
            self._send_all()
        except BlockingIOError:
            self._sending = True
            self._start(self._send_rest)
        except OSError as error:
            self._fail(f"sending failed: {error.strerror}")

    def has_delivered(self, position: int) -> bool:
        """Whether the client's system has the bytes up to `position`, as far as ours can tell."""
        unacknowledged = self._server.platform.sockets.unacknowledged(self._socket)
        return self.taken_bytes - unacknowledged >= position

    async def wait_for_space(self, limit: int) -> None:
        """Return when at most `limit` bytes are queued."""
        while self.queued_bytes > limit:
            await self._space.park()

    def close(self) -> None:
        """Drop what is queued, and whatever else is queued from now on."""
        self.closed = True
        for part in self._parts:
            if isinstance(part, FileRange):
                self._server.unpin(part.opened)
        self._parts.clear()
        self.queued_bytes = 0

    async def _send_rest(self) -> None:
        timeout_s = self._server.settings.limits.send_timeout_s
        try:
            while self._parts:
                if self._cold is not None:
                    await self._read_cold(self._cold)
                with trio.move_on_after(timeout_s) as scope:
                    await trio.lowlevel.wait_writable(self._socket.fileno())
                before = self.queued_bytes
                with suppress(BlockingIOError):
                    self._send_all()
                self._space.unpark_all()
                # A socket is called writable when a good part of its buffer is free.  A slow client may have taken
                # less than that all the while, so only what it takes now tells.
                if scope.cancelled_caught and self.queued_bytes == before:
                    self._fail(f"the client took no byte for {timeout_s:g} s")
                    return
        except OSError as error:
            self._fail(f"sending failed: {error.strerror}")
        finally:
            self._sending = False
            self._space.unpark_all()

    def _send_all(self) -> None:
        """Raises BlockingIOError when the socket takes no more."""
        while self._parts:
            self._send_some()

    def _send_some(self) -> None:
        """One system call, or two for a file range with its head."""
        batch: list[Buffer] = []
        for part in self._parts:
            if isinstance(part, FileRange):
                if len(batch) <= 1:  # its own head goes with it
                    self._send_file(batch[0] if batch else b"", part)
                    return
                batch.pop()
                break
            batch.append(part)
            if len(batch) == GATHER_PARTS:
                break
        self._forget(self._send_buffers(batch))

    def _send_buffers(self, batch: list[Buffer]) -> int:
        if len(batch) == 1:
            return self._socket.send(batch[0])
        if self.queued_bytes <= JOINED_BYTES:
            return self._socket.send(b"".join(batch))
        return self._socket.sendmsg(batch)

    def _send_file(self, head: Buffer, part: FileRange) -> None:
        zero_copy = self._zero_copy
        assert zero_copy is not None
        try:
            sent = zero_copy.send(self._socket, memoryview(head), part.file, part.offset, part.length)
        except OSError as error:
            if error.errno != EBUSY:
                raise
            self._cold = part
            raise BlockingIOError from None  # so that a task goes on, which may wait for a thread
        if sent or head:
            self._forget(sent)
            return
        # The file shrank after its length was promised: what is missing reads as zeroes.
        self._parts.popleft()
        self._server.unpin(part.opened)
        whole, rest = divmod(part.length, len(PADDING))
        self._parts.extendleft([PADDING[:rest]] * bool(rest) + [PADDING] * whole)

    async def _read_cold(self, part: FileRange) -> None:
        """Put the beginning of a range into the queue as bytes, read by a thread."""
        self._cold = None
        length = min(part.length, GATHER_BYTES)
        part.opened.pins += 1  # `close` may take the other pin meanwhile
        try:
            data = await trio.to_thread.run_sync(partial(part.file.read_at, part.offset, length, wait=True))
        finally:
            self._server.unpin(part.opened)
        if self.closed:
            return
        index = self._parts.index(part)
        self._parts.insert(index, data.ljust(length, b"\0"))  # it may have shrunk after its length was promised
        part.offset += length
        part.length -= length
        if not part.length:
            del self._parts[index + 1]
            self._server.unpin(part.opened)

    def _forget(self, sent: int) -> None:
        """Remove `sent` bytes from the front of the queue."""
        self.queued_bytes -= sent
        self.taken_bytes += sent
        parts = self._parts
        while parts:
            part = parts[0]
            length = len(part)
            if sent < length:
                if isinstance(part, FileRange):
                    part.offset += sent
                    part.length -= sent
                elif sent:
                    parts[0] = memoryview(part)[sent:]
                break
            sent -= length
            parts.popleft()
            if isinstance(part, FileRange):
                self._server.unpin(part.opened)
