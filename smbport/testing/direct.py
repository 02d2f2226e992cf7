"""A whole server without sockets, threads or an event loop: bytes in, bytes out, at once.

    connection = DirectConnection(server)
    frames = connection.receive(frame)

What the server sends on behalf of another connection comes with the next `receive` or `resume`.

What would block runs in place with wait=True; what would wait stays in `connection.waiting` until `resume` finds
that its event was set or it was cancelled.  Fuzzers, fault injection and unit tests of commands run on this.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import count

from smbport.commands.call import Chain, FileRange
from smbport.commands.close import delete_name
from smbport.commands.compression import CompressedFrame
from smbport.commands.dispatch import accept, answer_chain, pack_interim, pack_replies
from smbport.commands.negotiate import answer_smb1
from smbport.commands.steps import Blocking, Manner, Step, Waiting
from smbport.platform import Platform
from smbport.security.auth import Authenticator, UserDatabase
from smbport.server.drive import Handler, begin
from smbport.state.connection import Connection, Running
from smbport.state.server import Runtime, Server
from smbport.state.settings import Settings
from smbport.wire.header import SMB1_MAGIC
from smbport.wire.record import Buffer
from smbport.wire.status import Status, StatusError

__all__ = ["DirectConnection", "PlainEvent", "new_server"]

Part = Buffer | FileRange


class PlainEvent:
    """An event that nobody can wait for; `DirectConnection.resume` looks at it."""

    def __init__(self) -> None:
        self._set = False

    def is_set(self) -> bool:
        """Whether it happened."""
        return self._set

    def set(self) -> None:
        """Let it happen."""
        self._set = True


def new_server(
    settings: Settings, platform: Platform, users: UserDatabase, *, now_ns: int = 1_800_000_000 * 10**9
) -> Server:
    """A server with a clock and random numbers that are the same every time."""
    ticks = count(now_ns, 1_000_000)
    random_bytes = _counting_bytes()
    authenticator = Authenticator(
        users=users,
        server_name=settings.server_name,
        domain=settings.workgroup,
        anonymous=settings.anonymous != "off",
        guest=settings.guest_account is not None,
        guest_on_bad_user=settings.guest_on_bad_user,
        target_name=settings.target_name,
        aliases=settings.aliases,
        random_bytes=random_bytes,
    )
    runtime = Runtime(now_ns=lambda: next(ticks), random_bytes=random_bytes, new_event=PlainEvent)
    return Server(settings, platform, authenticator, runtime)


def _counting_bytes() -> Callable[[int], bytes]:
    """Bytes that differ from call to call and not from run to run.  Never for real keys."""
    numbers = count(1)

    def random_bytes(length: int) -> bytes:
        number = next(numbers).to_bytes(8, "big")
        return (number * (length // 8 + 1))[-length:] if length else b""

    return random_bytes


class _Waiter:
    """A request that waits."""

    def __init__(self, chain: Chain, handler: Handler, step: Waiting, running: Running) -> None:
        self.chain = chain
        self.handler = handler
        self.step = step
        self.running = running
        self.cancelled = False
        running.cancel = self.cancel

    def cancel(self) -> None:
        self.cancelled = True


class DirectConnection:
    """One connection to a server that is driven by hand."""

    def __init__(self, server: Server, address: str = "192.0.2.1") -> None:
        self.state = Connection(server, address)
        self.server = server
        self.waiting: list[_Waiter] = []
        self._sent: list[bytes] = []
        self._unasked: list[bytes] = []
        self.state.send = self._notify

    def receive(self, frame: Buffer) -> list[bytes]:
        """Answer one frame, given without its 4-byte prefix; the replies have none either.

        Raises Disconnect where a real connection would end; anything else it raises is a bug.
        """
        view = memoryview(bytearray(frame))
        if bytes(view[:4]) == SMB1_MAGIC:
            self._send([*answer_smb1(self.state, view)])
        else:
            chain = accept(self.state, view)
            if isinstance(chain, CompressedFrame):
                chain = accept(self.state, chain.expand(), chain.chain)
            if isinstance(chain, Chain):
                handler = answer_chain(chain)
                self._run(chain, handler, begin(handler))
        return self.resume()

    def resume(self, *, expire: bool = False) -> list[bytes]:
        """Go on with requests whose event is set or that were cancelled; with `expire`, time runs out for all."""
        for waiter in list(self.waiting):
            over = waiter.step.timeout_s is not None and (expire or not waiter.step.timeout_s)
            happened = waiter.step.event.is_set()
            cancelled = waiter.cancelled and waiter.step.manner is not Manner.SHIELDED and not happened
            if not (cancelled or happened or over):
                continue
            self.waiting.remove(waiter)
            step: Step | None
            try:
                if cancelled:
                    step = waiter.handler.throw(StatusError(Status.CANCELLED))
                else:
                    step = waiter.handler.send(waiter.step.event.is_set())
            except StopIteration:
                step = None
            self._run(waiter.chain, waiter.handler, step, waiter.running)
        sent, self._sent, self._unasked = self._sent + self._unasked, [], []
        return sent

    def close(self) -> None:
        """The client is gone: everything it held is released.  What goes on without it does so with `resume`."""
        self.state.cancel_lost()
        for waiter in list(self.waiting):
            if waiter.cancelled:
                waiter.handler.close()
                self.waiting.remove(waiter)
                del self.state.running[waiter.running.message_id]
        for session in self.state.sessions_lost():
            for opened in session.lose():
                handler = delete_name(self.server, opened)
                step = begin(handler)
                while step is not None:
                    step = _take_blocking(handler, step)

    def _notify(self, parts: Sequence[Buffer], lost: Callable[[], None] | None) -> None:
        """What nobody asked for always arrives here, behind the answers."""
        self._unasked += _frames([*parts])

    def _send(self, parts: list[Part]) -> None:
        self._sent += _frames(parts)

    def _follow(self, chain: Chain, running: Running | None) -> Running:
        """What CANCEL finds while this request waits; another one of the same chain may have waited before."""
        call = chain.calls[chain.current]
        message_id = call.header.message_id
        if running is not None and running.message_id == message_id:
            return running
        if running is not None:
            self.state.running.pop(running.message_id, None)
        session = call.channel.session if call.channel is not None else None
        running = self.state.running[message_id] = Running(message_id, session, lambda: None)
        return running

    def _run(self, chain: Chain, handler: Handler, step: Step | None, running: Running | None = None) -> None:
        while step is not None:
            if isinstance(step, Waiting):
                running = self._follow(chain, running)
                running.outlives = step.manner not in (Manner.PENDING, Manner.SHIELDED)
                if step.manner in (Manner.PENDING, Manner.LASTING) and not running.async_id:
                    running.async_id = self.server.new_async_id()
                    self._send(pack_interim(chain, running.async_id))
                    chain.replies_are_out()
                self.waiting.append(_Waiter(chain, handler, step, running))
                return
            step = _take_blocking(handler, step)
        if running is not None:
            self.state.running.pop(running.message_id, None)
        self._send(pack_replies(chain))
        chain.replies_are_out()
        if self.state.ended:
            self.state.sessions_lost()  # those that this request has kept here


def _take_blocking(handler: Handler, step: Step) -> Step | None:
    assert isinstance(step, Blocking)
    try:
        try:
            value = step.function(*step.args, **step.keywords, wait=True)
        except (OSError, StatusError) as error:
            return handler.throw(error)
        return handler.send(value)
    except StopIteration:
        return None


def _bytes_of(parts: list[Part]) -> bytes:
    """What the transport would send; a file range is read instead of being sent by the system."""
    out = bytearray()
    for part in parts:
        if isinstance(part, FileRange):
            out += part.file.read_at(part.offset, part.length, wait=True).ljust(part.length, b"\0")
            part.opened.tree.session.server.unpin(part.opened)
        else:
            out += part
    return bytes(out)


def _frames(parts: list[Part]) -> Iterator[bytes]:
    """The frames in `parts`, without their prefixes."""
    data = _bytes_of(parts)
    while data:
        end = 4 + int.from_bytes(data[1:4], "big")
        yield data[4:end]
        data = data[end:]
