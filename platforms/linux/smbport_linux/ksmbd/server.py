"""The life of ksmbd's server: started, taken over, restarted, stopped, and its questions answered meanwhile."""

import errno
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from math import ceil
from pathlib import Path
from typing import Final

import trio

from smbport.kernel import KernelError, KernelPlan
from smbport.posix.sockets import PosixSockets
from smbport_linux.ksmbd.control import Control
from smbport_linux.ksmbd.messages import Command, Start, StartFlag, pack_text
from smbport_linux.ksmbd.netlink import Channel, Message
from smbport_linux.ksmbd.questions import Questions, log_fault
from smbport_linux.ksmbd.upcalls import UpCalls

__all__ = ["ANSWER_TIMEOUT_S", "HEARTBEAT_S", "KsmbdServer", "pack_start", "serve"]

log = logging.getLogger("smbport")

ANSWER_TIMEOUT_S: Final = 2.0  # then the kernel goes on without
HEARTBEAT_S: Final = 30  # so long a server whose daemon died goes on, and another daemon can take over
START_TIMEOUT_S: Final = 15.0  # guessed; it takes milliseconds, and a reset takes some seconds
POLL_S: Final = 0.01
PLAN_FILE: Final = Path("/run/smbport/ksmbd.plan")

SERVER_STRING: Final = b"smbport"  # the kernel wants one and shows it to nobody
PROTOCOLS: Final = {0x202: b"SMB2_10", 0x210: b"SMB2_10", 0x300: b"SMB3_00", 0x302: b"SMB3_02", 0x311: b"SMB3_11"}
SIGNING_OFFERED: Final = 2
SIGNING_REQUIRED: Final = 3


def pack_start(plan: KernelPlan) -> bytes:
    """The plan in ksmbd's words."""
    flags = {"off": StartFlag.ENCRYPTION_OFF, "offered": 0, "required": StartFlag.ENCRYPTION_REQUIRED}[plan.encryption]
    if plan.leases:
        flags |= StartFlag.LEASES | StartFlag.DURABLE
    if plan.multichannel:
        flags |= StartFlag.MULTICHANNEL
    devices = b"".join(name.encode() + b"\0" for name in plan.devices)
    a, b, c = plan.machine_id
    return (
        Start(
            flags=flags,
            signing=SIGNING_REQUIRED if plan.signing_required else SIGNING_OFFERED,
            min_protocol=PROTOCOLS[plan.oldest_dialect],
            max_protocol=PROTOCOLS[plan.newest_dialect],
            netbios_name=pack_text(plan.server_name, 16),
            work_group=pack_text(plan.workgroup, 64),
            server_string=SERVER_STRING,
            tcp_port=plan.port,
            heartbeat_s=HEARTBEAT_S,
            idle_minutes=ceil(plan.idle_timeout_s / 60),
            max_open_files=plan.opens,
            max_write=plan.write_size,
            max_read=plan.read_size,
            max_transact=plan.transact_size,
            file_system_attributes=0,
            machine_id_a=a,
            machine_id_b=b,
            machine_id_c=c,
            max_credits=plan.credits,
            max_rdma_size=0,
            max_connections=plan.connections,
            bind_devices_only=bool(plan.devices),
            max_connections_per_address=plan.connections_per_address,
            apple_model=b"",
            max_sessions_per_connection=plan.sessions_per_connection,
            devices_size=len(devices),
        ).pack()
        + devices
    )


@asynccontextmanager
async def serve(
    channel: Channel, control: Control, upcalls: UpCalls, plan: KernelPlan, plan_file: Path = PLAN_FILE
) -> AsyncIterator["KsmbdServer"]:
    """Run the server while the block runs."""
    server = KsmbdServer(channel, control, upcalls, plan_file)
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.answer_questions)
            try:
                await server.start(plan)
                yield server
            finally:
                with trio.CancelScope(shield=True):
                    await server.stop()
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # What the block raises comes out as it is, not in the group that this nursery makes of it.
        failure = group.exceptions[0] if len(group.exceptions) == 1 else group
    finally:
        channel.close()
    if failure is not None:
        raise failure


class KsmbdServer:
    """The kernel's server, as long as it obeys this process."""

    def __init__(self, channel: Channel, control: Control, upcalls: UpCalls, plan_file: Path) -> None:
        self.took_over = False
        self._channel = channel
        self._control = control
        self._upcalls = upcalls
        self._plan_file = plan_file
        self._in_charge = False
        self._sequence = 0
        self._outcomes: dict[int, _Outcome] = {}

    # Start and stop

    async def start(self, plan: KernelPlan) -> None:
        """Start the server, or take over one that runs without a daemon."""
        await self._wait_for("the end of its reset", lambda: self._control.state().name != "reset")
        packed = pack_start(plan)
        running = self._control.state().name == "running"
        if not running:
            _check_port(plan)
        await self._command(packed)
        self._in_charge = True
        if running and self._remembered() != packed:
            log.warning("ksmbd ran without its daemon and with another configuration: it starts anew")
            await self.restart(plan)
            return
        self.took_over = running
        await self._wait_until_listening(plan)
        self._remember(packed)

    async def restart(self, plan: KernelPlan) -> None:
        """End all connections and start with another plan."""
        try:
            await trio.to_thread.run_sync(self._control.stop)
        except OSError as error:
            raise KernelError(f"ksmbd cannot be stopped: {error}") from error
        _check_port(plan)
        packed = pack_start(plan)
        await self._command(packed)
        await self._wait_until_listening(plan)
        self._remember(packed)

    async def stop(self) -> None:
        """Let nothing listen any more.  Another daemon's server is left alone."""
        if not self._in_charge:
            return
        self._in_charge = False
        try:
            await trio.to_thread.run_sync(self._control.stop)
        except OSError as error:
            log.error("ksmbd cannot be stopped, and resets itself in %d s: %s", HEARTBEAT_S, error)
        with suppress(OSError):
            self._plan_file.unlink()

    async def _command(self, packed: bytes) -> None:
        """STARTING_UP, with the only acknowledgement that is worth waiting for."""
        self._sequence += 1
        outcome = self._outcomes[self._sequence] = _Outcome()
        self._channel.send(Command.START, packed, acknowledged_as=self._sequence)
        with trio.move_on_after(START_TIMEOUT_S):
            await outcome.known.wait()
        del self._outcomes[self._sequence]
        if not outcome.known.is_set():
            raise KernelError("ksmbd does not answer; the kernel's log may say why")
        if outcome.error == errno.EINVAL and self._control.state().name == "running":
            raise KernelError("another process is in charge of ksmbd; stop it first (ksmbd.mountd, or another smbport)")
        if outcome.error:
            raise KernelError(f"ksmbd does not start: {os.strerror(outcome.error)}; the kernel's log may say why")

    async def _wait_until_listening(self, plan: KernelPlan) -> None:
        """The state says nothing about sockets, so a connection is tried where one must be possible."""
        await self._wait_for("its start", lambda: self._control.state().name == "running")
        if plan.devices and "lo" not in plan.devices:
            return
        await self._wait_for(f"listening on port {plan.port}", lambda: _is_listening(plan.port))

    async def _wait_for(self, what: str, holds: Callable[[], bool]) -> None:
        with trio.move_on_after(START_TIMEOUT_S):
            while not holds():  # noqa: ASYNC110 - the kernel tells nobody
                await trio.sleep(POLL_S)
            return
        raise KernelError(f"waited {START_TIMEOUT_S:g} s for ksmbd and {what}; the kernel's log may say why")

    def _remembered(self) -> bytes | None:
        """The plan of whoever started the server that runs."""
        try:
            return self._plan_file.read_bytes()
        except FileNotFoundError:
            return None

    def _remember(self, packed: bytes) -> None:
        self._plan_file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._plan_file.write_bytes(packed)

    # Questions

    async def answer_questions(self) -> None:
        """Until it is cancelled.  What needs no wait is answered at once, in the order in which it was asked."""
        async with trio.open_nursery() as nursery:

            def answer_later(message: Message, answer: Awaitable[bytes]) -> None:
                questions.lingers = False
                nursery.start_soon(wait_and_answer, message, answer)

            async def wait_and_answer(message: Message, answer: Awaitable[bytes]) -> None:
                await self._answer_later(message, answer)
                questions.lingers = len(nursery.child_tasks) == 1  # this one

            questions = Questions(self._channel, self._upcalls, answer_later, self._take_outcome)
            while True:
                await self._channel.wait()
                questions.answer_while_asked()

    def _take_outcome(self, message: Message) -> bool:
        outcome = self._outcomes.get(message.sequence)
        if outcome is not None:
            outcome.error = message.error
            outcome.known.set()
        return outcome is not None

    async def _answer_later(self, message: Message, answer: Awaitable[bytes]) -> None:
        """One that has to wait for the system."""
        asked = trio.current_time()
        packed = None
        try:
            packed = await answer
        except Exception as error:  # noqa: BLE001 - see Questions
            log_fault(message, error)
        took_s = trio.current_time() - asked
        if took_s > ANSWER_TIMEOUT_S:
            log.warning("an answer took %.1f s, and ksmbd waits %g s: a client was refused", took_s, ANSWER_TIMEOUT_S)
        if packed is not None:
            self._channel.send(message.command + 1, packed)
        self._upcalls.rest()


class _Outcome:
    """What became of a command."""

    __slots__ = ("error", "known")

    def __init__(self) -> None:
        self.known = trio.Event()
        self.error = 0


def _check_port(plan: KernelPlan) -> None:
    """The kernel reports success on a port that is taken, and does not listen."""
    try:
        sockets = PosixSockets().listen(None, plan.port)
    except OSError as error:
        message = f"cannot listen on port {plan.port}: {error.strerror or error}; choose another with --listen"
        raise KernelError(message) from error
    for sock in sockets:
        sock.close()


def _is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
