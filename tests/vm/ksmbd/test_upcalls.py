"""Each question of the kernel, while the daemon hangs, while it is dead, and after another took over."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from smbport.testing.client import Client, FileId
from smbport.wire.constants import Access, Command, CreateDisposition, FsControl
from smbport.wire.header import HEADER_SIZE
from smbport.wire.ioctl import IoctlRequest, IoctlResponse, ioctl_output, pack_ioctl_request
from smbport.wire.session import LogoffRequest
from smbport.wire.status import Status, StatusError
from smbport.wire.tree import TreeDisconnectRequest
from tests.vm import daemon
from tests.vm.ksmbd.conftest import PASSWORD
from tests.vm.machine import Machine

pytestmark = [pytest.mark.vm, pytest.mark.timeout(600)]

CONFIG: Final = """\
[server]
platform = "linux-kernel"
users = "/run/users.db"
signing = "offered"
[share.data]
path = "/run/data"
[share.more]
path = "/run/data"
"""
READ_WRITE: Final = Access.GENERIC_READ | Access.GENERIC_WRITE
BIND: Final = bytes.fromhex(  # to srvsvc 3.0, with NDR 2.0
    "05000b03100000004800000001000000b810b81000000000010000000000010"
    "0c84f324b7016d30112785a47bf6ee18803000000045d888aeb1cc9119fe808002b10486002000000"
)
BIND_ACK, FAULT = 12, 3  # types of PDU


class Daemon:
    """Whatever process is in charge."""

    def __init__(self, guest: Machine) -> None:
        self._guest = guest
        self._process = 0
        self.start()

    def start(self) -> None:
        self._process = self._guest.call(daemon.start, CONFIG)

    def send(self, number: int) -> None:
        self._guest.call(daemon.send, self._process, number)

    def send_when_asked(self, number: int) -> int:
        """The number of the job."""
        return self._guest.start(daemon.send_when_asked, self._process, number)

    def await_end(self) -> None:
        self._guest.call(daemon.await_end, self._process)
        self._process = 0

    def wake(self) -> None:
        """Whatever a test found, the next has one that runs."""
        if self._process:
            self.send(signal.SIGCONT)
        else:
            self.start()


@pytest.fixture(scope="module")
def in_charge(guest: Machine) -> Iterator[Daemon]:
    in_charge = Daemon(guest)
    yield in_charge
    in_charge.send(signal.SIGTERM)
    in_charge.await_end()


@pytest.fixture(autouse=True)
def awake(in_charge: Daemon) -> Iterator[None]:
    yield
    in_charge.wake()


# What clients do that makes the kernel ask -----------------------------------------------------------------------


def ask_pipe(client: Client, pipe: FileId, data: bytes) -> bytes:
    """FSCTL_PIPE_TRANSCEIVE"""
    request = IoctlRequest(
        ctl_code=FsControl.PIPE_TRANSCEIVE, file_id_persistent=pipe.persistent, file_id_volatile=pipe.volatile,
        max_output_response=4096,
    )  # fmt: skip
    _, frame = client.call(Command.IOCTL, pack_ioctl_request(request, data), tree_id=pipe.tree_id)
    return bytes(ioctl_output(frame, IoctlResponse.unpack_from(frame, HEADER_SIZE)))


class Clients:
    """One for each question, as far as it must be to ask it."""

    def __init__(self, connect: Callable[..., Client]) -> None:
        self.stranger = connect(None)
        self.user = connect()
        self.holder = connect()
        self.tree = self.holder.tree_connect("data")
        self.piper = connect()
        self.ipc = self.piper.tree_connect("IPC$")
        self.pipe = self.piper.create(self.ipc, "srvsvc", access=READ_WRITE)
        assert ask_pipe(self.piper, self.pipe, BIND)[2] == BIND_ACK
        self.leaver = connect()
        self.left = self.leaver.tree_connect("data")

    def log_on(self) -> None:
        """LOGIN"""
        self.stranger.log_on("tester", PASSWORD)

    def connect_to_another(self) -> None:
        """SHARE, for nobody is connected to it, and TREE_CONNECT"""
        self.user.tree_connect("more")

    def connect_to_the_same(self) -> None:
        """TREE_CONNECT, for the kernel knows the share"""
        self.user.tree_connect("data")

    def open_pipe(self) -> None:
        """RPC, open"""
        self.piper.create(self.ipc, "srvsvc", access=READ_WRITE)

    def transceive(self) -> bytes:
        """RPC, ioctl"""
        return ask_pipe(self.piper, self.pipe, BIND)

    def write_pipe(self) -> None:
        """RPC, write"""
        self.piper.write(self.pipe, 0, BIND)

    def read_pipe(self) -> bytes:
        """RPC, read"""
        return self.piper.read(self.pipe, 0, 1024)

    def take_leave(self) -> None:
        """TREE_DISCONNECT and LOGOUT, which want no answer; and closing a pipe, whose answer changes nothing"""
        self.leaver.call(Command.TREE_DISCONNECT, TreeDisconnectRequest().pack(), tree_id=self.left)
        self.leaver.call(Command.LOGOFF, LogoffRequest().pack())

    def use_files(self) -> None:
        """What the kernel needs nobody for."""
        assert self.holder.query_directory(self.holder.create(self.tree, "", access=Access.GENERIC_READ), "*")


@contextmanager
def refused(*statuses: int):
    with pytest.raises(StatusError) as raised:
        yield
    assert raised.value.status in statuses, str(raised.value)


def ask_everything(clients: Clients) -> None:
    """Nobody answers: everything is refused that needs an answer, and no connection is lost."""
    with refused(Status.LOGON_FAILURE):
        clients.log_on()
    with refused(Status.BAD_NETWORK_NAME, Status.INVALID_PARAMETER):
        clients.connect_to_another()
    with refused(Status.INVALID_PARAMETER):
        clients.connect_to_the_same()
    with refused(Status.INVALID_PARAMETER):
        clients.open_pipe()
    clients.write_pipe()  # an open pipe says nothing, instead of an error
    assert clients.transceive() == clients.read_pipe() == b""
    clients.use_files()


def test_a_daemon_that_hangs(guest: Machine, in_charge: Daemon, connect):
    """The kernel waits 2 s for each answer.  Afterwards all who were refused get in on the same connections."""
    clients = Clients(connect)
    in_charge.send(signal.SIGSTOP)
    ask_everything(clients)
    clients.take_leave()
    in_charge.send(signal.SIGCONT)
    clients.connect_to_another()
    clients.connect_to_the_same()
    clients.open_pipe()
    clients.use_files()
    connect().tree_connect("data")


@pytest.mark.parametrize(
    "step", ["log_on", "connect_to_another", "connect_to_the_same", "open_pipe", "transceive", "write_pipe"]
)
def test_a_daemon_that_answers_late_but_in_time(guest: Machine, in_charge: Daemon, connect, step: str):
    """Stopped when the question comes, and let go on before the kernel gives up."""
    clients = Clients(connect)
    in_charge.send(signal.SIGSTOP)
    job = in_charge.send_when_asked(signal.SIGCONT)
    getattr(clients, step)()
    guest.wait(job)
    clients.use_files()


def test_a_daemon_that_dies_while_it_is_asked(guest: Machine, in_charge: Daemon, connect):
    """Whoever waits for an answer is refused; who is connected goes on; another daemon takes over."""
    clients = Clients(connect)
    in_charge.send(signal.SIGSTOP)
    refusals: list[int] = []

    def try_to_connect() -> None:
        try:
            clients.user.tree_connect("data")
        except StatusError as error:
            refusals.append(error.status)

    waiting = threading.Thread(target=try_to_connect)
    waiting.start()
    guest.wait(in_charge.send_when_asked(signal.SIGKILL))
    waiting.join()
    assert refusals == [Status.INVALID_PARAMETER]
    in_charge.await_end()
    ask_everything(clients)
    with refused(Status.NETWORK_NAME_DELETED):  # all the same it is gone
        clients.take_leave()
    in_charge.start()
    assert "took over ksmbd" in guest.call(daemon.log)
    clients.connect_to_the_same()
    clients.connect_to_another()
    assert ask_pipe(clients.piper, clients.pipe, BIND)[2] == FAULT  # a pipe that the new one does not know
    clients.open_pipe()
    clients.use_files()
    connect().tree_connect("data")


def test_a_restart_of_the_daemon_in_the_middle_of_a_copy(guest: Machine, in_charge: Daemon, connect):
    client = connect()
    tree = client.tree_connect("data")
    file = client.create(tree, "copied", access=READ_WRITE, disposition=CreateDisposition.OVERWRITE_IF)
    client.write(file, 0, b"first " * 10000)
    in_charge.send(signal.SIGKILL)
    in_charge.await_end()
    client.write(file, 60000, b"second" * 10000)
    in_charge.start()
    client.write(file, 120000, b" third" * 10000)
    client.close(file)
    assert guest.call(daemon.read_text, "/run/data/copied") == "first " * 10000 + "second" * 10000 + " third" * 10000
