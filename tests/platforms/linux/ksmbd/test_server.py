"""smbport_linux.ksmbd.server: started, taken over, restarted and stopped, beside a kernel made by hand."""

import errno
import socket
from collections import deque
from dataclasses import replace
from itertools import count
from struct import pack, unpack_from

import pytest
import trio
import trio.testing

from smbport.kernel import KernelError, KernelPlan
from smbport.wire.record import BadStructure
from smbport_linux.ksmbd import questions
from smbport_linux.ksmbd import server as module
from smbport_linux.ksmbd.control import Control
from smbport_linux.ksmbd.messages import Command, Start
from smbport_linux.ksmbd.netlink import NLMSG_ERROR, Message
from smbport_linux.ksmbd.server import pack_start, serve
from smbport_linux.ksmbd.upcalls import UpCalls

FAMILY = 30


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


@pytest.fixture
def plan():
    return KernelPlan(
        server_name="FILES", workgroup="HERE", port=free_port(), devices=(), oldest_dialect=0x202,
        newest_dialect=0x311, signing_required=True, encryption="offered", leases=True, multichannel=True,
        machine_id=(1, 2, 3), idle_timeout_s=61, opens=1000, connections=10, connections_per_address=5,
        sessions_per_connection=4, credits=8192, read_size=1 << 20, write_size=1 << 20, transact_size=1 << 20,
    )  # fmt: skip


class Kernel:
    """Both ends of what a daemon sees: a channel, and the files of /sys."""

    def __init__(self, root):
        self.control = Control(str(root))
        self.control.directory.mkdir(parents=True)
        self.control.stop = self.stop
        self.started = []
        self.told = []  # answers
        self.refusal = 0
        self.deaf = False
        self.listens = True
        self.closed = False
        self._listener = None
        self._asked = deque()
        self._ask = trio.Event()
        self.lingered = []  # whether it was allowed, for each time that there was nothing to receive
        self.set_state("startup", 0)

    def set_state(self, name, port):
        (self.control.directory / "stats").write_text(f"2 {name} {port} 0\n")

    def send(self, command, payload, *, acknowledged_as=0):
        if command != Command.START:
            self.told.append((command, payload))
            return
        if not self.refusal and not self.deaf:
            self.started.append(payload)
            self.run(Start.unpack_from(payload).tcp_port)
        if not self.deaf:
            self.put(Message(NLMSG_ERROR, acknowledged_as, 0, {}, self.refusal))

    def run(self, port):
        if self._listener is None and self.listens:
            self._listener = socket.create_server(("127.0.0.1", port))
        self.set_state("running", port)

    def stop(self):
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self.set_state("startup", 0)

    async def wait(self):
        await self._ask.wait()
        await trio.lowlevel.checkpoint()

    def receive(self, linger):
        if not self._asked:
            self.lingered.append(linger)
            self._ask = trio.Event()
            return None
        item = self._asked.popleft()
        if isinstance(item, Exception):
            raise item
        return [item]

    def put(self, item):
        self._asked.append(item)
        self._ask.set()

    def close(self):
        self.closed = True

    async def ask(self, *items):
        """Ask, and let the daemon answer everything that it can."""
        for item in items:
            self.put(item)
        await trio.testing.wait_all_tasks_blocked()


def question(command, payload):
    return Message(FAMILY, 0, command, {command: payload})


def login(name, handle=1):
    return question(Command.LOGIN, pack("<I48s64x", handle, name))


def disconnect(tree):
    return question(Command.TREE_DISCONNECT, pack("<QQ64x", 1, tree))


@pytest.fixture
def kernel(tmp_path):
    kernel = Kernel(tmp_path)
    yield kernel
    kernel.stop()


@pytest.fixture
def served(kernel, answers, tmp_path):
    upcalls = UpCalls(answers, has_groups=True, spnego_size=156)
    return lambda plan: serve(kernel, kernel.control, upcalls, plan, tmp_path / "run/ksmbd.plan")


async def refusal(served, plan):
    with pytest.raises(KernelError) as caught:
        async with served(plan):
            pytest.fail("it serves")
    return str(caught.value)


# The plan


def test_the_plan_in_the_words_of_ksmbd(plan):
    packed = pack_start(plan)
    start = Start.unpack_from(packed)
    assert len(packed) == 744
    assert (start.flags, start.signing) == (1 | 4 | 16, 3)
    assert start.min_protocol.rstrip(b"\0") == b"SMB2_10"
    assert start.max_protocol.rstrip(b"\0") == b"SMB3_11"
    assert (start.tcp_port, start.heartbeat_s, start.idle_minutes) == (plan.port, 30, 2)
    assert unpack_from("<3I", packed, 212) == (1, 2, 3)
    assert (start.max_open_files, start.max_connections, start.max_connections_per_address) == (1000, 10, 5)
    assert (start.bind_devices_only, start.devices_size, start.file_system_attributes) == (0, 0, 0)


def test_a_plan_with_devices_and_without_leases(plan):
    packed = pack_start(
        replace(
            plan, devices=("eth0", "lo"), leases=False, multichannel=False, encryption="off", signing_required=False
        )
    )
    start = Start.unpack_from(packed)
    assert packed[744:] == b"eth0\0lo\0"
    assert (start.bind_devices_only, start.devices_size, start.flags, start.signing) == (1, 8, 8, 2)
    assert Start.unpack_from(pack_start(replace(plan, encryption="required", leases=False))).flags == 2 | 4


# Start and stop


async def test_it_listens_while_the_block_runs(kernel, served, plan, tmp_path):
    async with served(plan) as server:
        assert kernel.started == [pack_start(plan)]
        assert server.took_over is False
        assert (tmp_path / "run/ksmbd.plan").read_bytes() == pack_start(plan)
        socket.create_connection(("127.0.0.1", plan.port)).close()
    assert kernel.control.state().name == "startup"
    assert kernel.closed
    assert not (tmp_path / "run/ksmbd.plan").exists()


async def test_what_the_block_raises_comes_out(kernel, served, plan):
    with pytest.raises(ZeroDivisionError):
        async with served(plan):
            raise ZeroDivisionError
    assert kernel.control.state().name == "startup"


async def test_two_faults_at_once(kernel, served, plan):
    async def fail():
        async with served(plan):
            kernel.put(OSError(errno.EBADF, "bad"))
            with trio.CancelScope(shield=True):
                await trio.testing.wait_all_tasks_blocked()
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup):
        await fail()
    assert kernel.control.state().name == "startup"


async def test_a_port_that_is_taken(kernel, served, plan):
    with socket.create_server(("0.0.0.0", plan.port)):
        assert f"cannot listen on port {plan.port}" in await refusal(served, plan)
    assert kernel.started == []


async def test_a_server_that_does_not_listen(kernel, served, plan, autojump_clock, monkeypatch):
    kernel.listens = False
    assert f"listening on port {plan.port}" in await refusal(served, plan)
    assert kernel.control.state().name == "startup"


async def test_devices_that_cannot_be_connected_to(kernel, served, plan):
    kernel.listens = False
    async with served(replace(plan, devices=("eth0",))):
        assert kernel.started


@pytest.mark.parametrize(("code", "said"), [(errno.EINVAL, "Invalid argument"), (errno.EPERM, "not permitted")])
async def test_a_kernel_that_refuses(kernel, served, plan, code, said):
    kernel.refusal = code
    assert said in await refusal(served, plan)


async def test_a_kernel_that_does_not_answer(kernel, served, plan, autojump_clock):
    kernel.deaf = True
    assert "does not answer" in await refusal(served, plan)


async def test_another_daemon_and_its_server_are_left_alone(kernel, served, plan):
    kernel.run(plan.port)
    kernel.refusal = errno.EINVAL
    assert "another process is in charge" in await refusal(served, plan)
    assert kernel.control.state().name == "running"


async def test_taking_over_a_server_with_the_same_plan(kernel, served, plan, tmp_path):
    kernel.run(plan.port)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/ksmbd.plan").write_bytes(pack_start(plan))
    async with served(plan) as server:
        assert server.took_over
        assert len(kernel.started) == 1
        assert kernel.control.state().name == "running"


@pytest.mark.parametrize("remembered", [None, b"another"])
async def test_taking_over_a_server_with_another_plan(kernel, served, plan, tmp_path, caplog, remembered):
    kernel.run(plan.port)
    if remembered:
        (tmp_path / "run").mkdir()
        (tmp_path / "run/ksmbd.plan").write_bytes(remembered)
    async with served(plan) as server:
        assert not server.took_over
        assert len(kernel.started) == 2
    assert "another configuration: it starts anew" in caplog.text


async def test_a_server_that_resets_itself(kernel, served, plan, autojump_clock, monkeypatch):
    kernel.set_state("reset", plan.port)
    polls = []

    async def sleep(seconds):
        polls.append(seconds)
        if len(polls) == 3:
            kernel.set_state("startup", 0)
        await trio.lowlevel.checkpoint()

    monkeypatch.setattr(module.trio, "sleep", sleep)
    async with served(plan):
        assert len(polls) >= 3


async def test_another_plan(kernel, served, plan, tmp_path):
    other = replace(plan, server_name="OTHER")
    async with served(plan) as server:
        await server.restart(other)
        assert kernel.started == [pack_start(plan), pack_start(other)]
        assert (tmp_path / "run/ksmbd.plan").read_bytes() == pack_start(other)


async def test_a_server_that_cannot_be_stopped(kernel, served, plan, caplog):
    def stop():
        raise PermissionError(errno.EPERM, "Operation not permitted")

    kernel.control.stop = stop
    async with served(plan) as server:
        with pytest.raises(KernelError, match="cannot be stopped"):
            await server.restart(plan)
    assert "resets itself in 30 s" in caplog.text


# Questions


async def test_questions_are_answered(kernel, served, plan, answers):
    async with served(plan):
        await kernel.ask(login(b"tester", handle=5), question(Command.HEARTBEAT, bytes(4)))
    ((command, payload),) = kernel.told
    assert (command, payload[:4], len(payload)) == (5, pack("<I", 5), 148)


async def test_order_is_kept_while_a_logon_waits(kernel, served, plan, answers):
    """A directory service may take its time: others go on, in the order in which they came."""
    found = trio.Event()

    async def log_on(name):
        await found.wait()
        return answers.user

    answers.log_on = log_on
    async with served(plan):
        await kernel.ask(login(b"slow"), *(disconnect(tree) for tree in range(20)))
        asked = [each for each in answers.asked if each != ("rest",)]
        assert asked == [("disconnect", 1, tree) for tree in range(20)]
        assert kernel.told == []
        found.set()
        await kernel.ask()
        assert len(kernel.told) == 1


async def test_it_lingers_unless_an_answer_waits_for_the_system(kernel, served, plan, answers):
    async def log_on(name):
        await trio.sleep_forever()

    async with served(plan):
        kernel.lingered.clear()
        await kernel.ask(disconnect(1))
        answers.log_on = log_on
        await kernel.ask(login(b"slow"))
        await kernel.ask(disconnect(2))
        assert kernel.lingered == [True, False, False]


async def test_others_have_their_turn_while_questions_keep_coming(kernel, served, plan, answers, monkeypatch):
    turns = []

    async def other():
        turns.append("other")

    def ask_on(*_):
        if not turns:
            kernel.put(disconnect(2))

    monkeypatch.setattr(questions, "monotonic", count(step=questions.MAX_BURST_S).__next__)
    async with served(plan), trio.open_nursery() as nursery:
        answers.disconnect = lambda *_: (setattr(answers, "disconnect", ask_on), nursery.start_soon(other), ask_on())
        await kernel.ask(disconnect(1))
        assert turns == ["other"]


async def test_what_nobody_waits_for_comes_after_the_answers(kernel, served, plan, answers):
    async with served(plan):
        kernel.told = answers.asked  # in one list
        await kernel.ask(login(b"tester", handle=5), login(b"tester", handle=6))
    names = [each[0] for each in answers.asked]
    assert names[-5:] == ["log_on", 5, "log_on", 5, "rest"]


async def test_an_answer_that_waited_leaves_time_as_well(kernel, served, plan, answers):
    async def log_on(name):
        return answers.user

    async with served(plan):
        answers.log_on = log_on
        kernel.told = answers.asked
        await kernel.ask(login(b"tester", handle=5))
    assert [each[0] for each in answers.asked][-2:] == [5, "rest"]


async def test_an_answer_that_took_too_long_is_said(kernel, served, plan, answers, autojump_clock, caplog):
    async def log_on(name):
        await trio.sleep(3)
        return answers.user

    answers.log_on = log_on
    async with served(plan):
        await kernel.ask(login(b"slow"))
        await trio.sleep(4)
    assert "took 3.0 s, and ksmbd waits 2 s" in caplog.text


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (question(Command.LOGIN, b"short"), "cannot be answered"),
        (Message(FAMILY, 0, Command.LOGIN, {}), "cannot be answered"),
        (question(99, bytes(8)), "which this version does not know"),
        (BadStructure("short"), "a netlink message cannot be understood: short"),
        (OSError(errno.ENOBUFS, "No buffer space available"), "more at once than there was room for"),
        (Message(NLMSG_ERROR, 0, 0, {}, errno.ERANGE), "does not take an answer"),
    ],
)
async def test_what_lies_or_is_lost_costs_a_line(kernel, served, plan, caplog, item, said):
    async with served(plan):
        await kernel.ask(item, login(b"tester"))
        assert len(kernel.told) == 1
    assert said in caplog.text
    assert "Traceback" not in caplog.text


async def test_an_acknowledgement_that_nobody_waits_for(kernel, served, plan, caplog):
    async with served(plan):
        await kernel.ask(Message(NLMSG_ERROR, 77, 0, {}, 0))
    assert caplog.text == ""


async def test_a_user_store_that_fails(kernel, served, plan, answers, caplog):
    async def log_on(name):
        raise OSError(errno.EIO, "user store: disk I/O error")

    answers.log_on = log_on
    async with served(plan):
        await kernel.ask(login(b"tester"))
    assert "question 4 of ksmbd cannot be answered" in caplog.text


async def test_a_bug_costs_one_answer(kernel, served, plan, answers, caplog):
    async def log_on(name):
        raise ZeroDivisionError

    good, answers.log_on = answers.log_on, log_on
    async with served(plan):
        await kernel.ask(login(b"tester"))
        answers.log_on = good
        await kernel.ask(login(b"tester"))
        assert len(kernel.told) == 1
    assert "bug: question 4 of ksmbd: 01000000746573746572" in caplog.text
    assert "ZeroDivisionError" in caplog.text
