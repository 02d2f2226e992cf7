"""Servers for foreign clients: each a process of its own, as users start it, and asked at the end how it went."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from smbport.posix.walk import HIDDEN
from smbport.testing.client import Client, SocketLink
from smbport.wire.constants import Command, NegotiateContextType
from smbport.wire.header import HEADER_SIZE, SMB2_MAGIC, TRANSFORM_MAGIC, Header
from smbport.wire.negotiate import (
    NegotiateResponse,
    negotiate_contexts,
    parse_encryption_context,
    parse_signing_context,
)
from tests.interop.kernel import KernelServe
from tests.interop.launchers import Launcher, LauncherMissing, chosen, differences, find_launcher

USER, PASSWORD = "alice", "Correct Horse 9"
PATIENCE_S = 240  # for one run of a foreign program: a limit for what hangs, not a measure
STOPPING_S = 30  # above what a server may take to let transfers finish
FAULTS = re.compile(r"bug while answering|bug on the connection|Traceback|Exception ignored|Warning:")
PROJECT = Path(__file__).parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a personality cannot do must fail: a row of the table that is no longer true fails the build."""
    here = [item for item in items if item.path.parent == Path(__file__).parent]
    if chosen().startswith("linux-kernel"):
        for item in here:
            item.add_marker(pytest.mark.vm)
    for item in here:
        for difference in differences():
            if difference.concerns(chosen(), f"{item.path.name}::{item.name}"):
                run = difference.run == "always"
                item.add_marker(pytest.mark.xfail(reason=difference.reason, strict=True, run=run))


# The server -----------------------------------------------------------------------------------------------------


@dataclass
class Served:
    """A running server, and how to get in."""

    host: str
    port: int
    directory: Path  # holds the directories of the shares, each named as its share
    process: subprocess.Popen[str]
    log_file: Path
    user: str = USER
    password: str = PASSWORD
    asked: bool = False

    def path(self, name: str = "", share: str = "data") -> Path:
        """Where something in a share is."""
        return self.directory / share / name

    def names(self, name: str = "", share: str = "data") -> list[str]:
        """What is in a directory, without what the server keeps there for itself."""
        return sorted(path.name for path in self.path(name, share).iterdir() if path.name != HIDDEN)

    def log(self) -> str:
        """What the server wrote so far."""
        return self.log_file.read_text()

    def ask_to_stop(self) -> None:
        """SIGTERM, once."""
        if not self.asked:
            self.asked = True
            self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """SIGTERM; the server must end well."""
        self.ask_to_stop()
        try:
            status = self.process.wait(STOPPING_S)
        finally:
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    pipe.close()
        assert status == 0, self.log()
        assert not FAULTS.search(self.log()), self.log()


class Serve:
    """Starts servers: `serve(server={"encryption": "required"}, shares={"data": {"read_only": True}})`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.started: list[Served] = []

    def __call__(
        self,
        *,
        server: Mapping[str, object] | None = None,
        limits: Mapping[str, object] | None = None,
        shares: Mapping[str, Mapping[str, object]] | None = None,
        platform: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        arguments: Sequence[str] = ("--user", USER),
    ) -> Served:
        """A server with these settings that answers already; `arguments` may name a file of users instead.

        With `platform`, on that port as it is here; else on what $SMBPORT_TEST_PLATFORM names.
        """
        launcher = Launcher(platform) if platform else _launcher()
        directory = self.directory / f"server-{len(self.started)}"
        tables = {"server": {"listen": [f"{host}:{port}"], **(server or {})}, "limits": limits or {}}
        for name, settings in (shares or {"data": {}}).items():
            path = directory / name
            path.mkdir(parents=True)
            tables[f"share.{json.dumps(name)}"] = {"path": str(path), "run_as": "server", **settings}
        config, log_file = directory / "smbport.toml", directory / "log"
        config.write_text(_toml(tables))
        with log_file.open("w") as log:
            process = start_smbport(
                ["serve", "--config", str(config), "--platform", launcher.platform, *arguments],
                launcher, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # it ended already; the greeting that is missing says so
            process.stdin.write(f"{PASSWORD}\n")
            process.stdin.flush()
        greeting = process.stdout.readline()
        found = re.search(rf"serves on {host}:(\d+)", greeting)
        served = Served(host, int(found[1]) if found else 0, directory, process, log_file)
        self.started.append(served)
        assert found, f"{greeting}{served.log()}"
        link = SocketLink.connect(host, served.port)
        Client(link).negotiate()
        link.close()
        return served

    def stop(self) -> None:
        """Stop every server, also after one that did not end well."""
        with ExitStack() as stopping:
            for served in self.started:
                stopping.callback(served.stop)


def _toml(tables: Mapping[str, Mapping[str, object]]) -> str:
    """TOML."""
    return "\n".join(
        line for name, table in tables.items() for line in (f"[{name}]", *(map(_toml_line, table, table.values())))
    )


def _toml_line(key: str, value: object) -> str:
    """`key = value`; values are written as in JSON, but for tables."""
    if isinstance(value, dict):
        return f"{key} = {{{', '.join(_toml_line(json.dumps(name), each) for name, each in value.items())}}}"
    return f"{key} = {json.dumps(value, ensure_ascii=False)}"


def start_smbport(
    arguments: Sequence[str], launcher: Launcher = Launcher("linux"), **popen: object  # noqa: B008  (it is frozen)
) -> subprocess.Popen[str]:  # fmt: skip
    """`smbport ARGUMENTS` as a process that tells of everything it forgot to close."""
    environment = {**os.environ, **launcher.environment}
    return subprocess.Popen([*launcher.command, *arguments], text=True, cwd=PROJECT, env=environment, **popen)


def _launcher() -> Launcher:
    try:
        return find_launcher()
    except LauncherMissing as error:
        pytest.skip(str(error))


@pytest.fixture
def smbport():
    """`start_smbport`, for tests of the command line."""
    return start_smbport


@pytest.fixture(scope="session")
def kernel_serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelServe]:
    """Servers in the kernel of one machine, which boots when it is first needed."""
    folder = tmp_path_factory.mktemp("machine")
    with KernelServe(_launcher().backports_of, folder, USER, PASSWORD, _toml) as starter:
        yield starter


@pytest.fixture
def serve(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Serve | KernelServe]:
    """Starts servers, which must end well after the test."""
    yield from _starter(tmp_path, request)


@pytest.fixture(scope="module")
def serve_module(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Serve | KernelServe]:
    """The same for all tests of a module."""
    yield from _starter(tmp_path_factory.mktemp("servers"), request)


def _starter(folder: Path, request: pytest.FixtureRequest) -> Iterator[Serve | KernelServe]:
    starter = Serve(folder)
    if not _launcher().backports_of:
        yield starter
    else:
        in_kernel = request.getfixturevalue("kernel_serve")
        in_kernel.serve_here = starter
        yield in_kernel
        in_kernel.stop()
    starter.stop()


class Sizes(NamedTuple):
    """How much there is to be moved; less where a machine is emulated."""

    big: int  # bytes, of a file
    files: int  # in a directory


@pytest.fixture(scope="session")
def sizes() -> Sizes:
    return Sizes(32 << 20, 600) if _launcher().backports_of else Sizes(1 << 30, 10_000)


@pytest.fixture
def standard_address() -> str:
    """An address of this host where port 445 is free, for tools that insist on that port."""
    host = "127.{}.{}.{}".format(*(os.getpid() % 2**24).to_bytes(3))
    try:
        socket.create_server((host, 445)).close()
    except OSError as error:
        pytest.skip(f"port 445 cannot be had: {error.strerror}")
    return host


@pytest.fixture
def server(serve: Serve) -> Served:
    """A server with the defaults and one share, `data`."""
    return serve()


class Connect:
    """Connects our own client: `client, tree = connect(server)`."""

    def __init__(self) -> None:
        self.links: list[SocketLink] = []

    def __call__(
        self, server: Served, *, share: str = "data", user: str | None = None, password: str | None = None
    ) -> tuple[Client, int]:
        """A client that is logged on, and the tree of the share.  Raises StatusError if it is not wanted."""
        self.links.append(SocketLink.connect(server.host, server.port))
        client = Client(self.links[-1])
        client.negotiate()
        client.log_on(user or server.user, password or server.password)
        return client, client.tree_connect(share)


@pytest.fixture
def connect() -> Iterator[Connect]:
    """A Connect whose connections end with the test."""
    connector = Connect()
    yield connector
    for link in connector.links:
        link.close()


# What passes between client and server --------------------------------------------------------------------------


class Relay:
    """Passes TCP on to a server and keeps what it saw: what was really negotiated, and whether it was sealed."""

    def __init__(self, server: Served) -> None:
        self.host, self.user, self.password = server.host, server.user, server.password
        self._server = server
        self._listener = socket.create_server((self.host, 0))
        self.port = self._listener.getsockname()[1]
        self._heard: list[tuple[bytearray, bytearray]] = []  # per connection: from the client, from the server
        self._sockets = [self._listener]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection((self.host, self._server.port))
            heard = bytearray(), bytearray()
            self._heard.append(heard)
            self._sockets += [client, server]
            for pipe in ((client, server, heard[0]), (server, client, heard[1])):
                self._threads.append(threading.Thread(target=self._pump, args=pipe))
                self._threads[-1].start()

    def _pump(self, source: socket.socket, target: socket.socket, heard: bytearray) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                heard += data
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End everything that still passes."""
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for sock in self._sockets:
            sock.close()

    def requests(self) -> list[bytes]:
        """Every frame that clients sent."""
        return [frame for heard, _ in self._heard for frame in _frames(heard)]

    def responses(self) -> list[bytes]:
        """Every frame that the server sent."""
        return [frame for _, heard in self._heard for frame in _frames(heard)]

    def negotiated(self) -> tuple[int, int | None, int | None]:
        """Dialect, signing algorithm and cipher of the last NEGOTIATE response; None is what it does not name."""
        frame = [frame for frame in self.responses() if _command(frame) == Command.NEGOTIATE][-1]
        response = NegotiateResponse.unpack_from(frame, HEADER_SIZE)
        signing = cipher = None
        for kind, data in negotiate_contexts(frame, response):
            if kind == NegotiateContextType.SIGNING:
                signing = parse_signing_context(data)[0]
            elif kind == NegotiateContextType.ENCRYPTION:
                cipher = parse_encryption_context(data)[0]
        return response.dialect_revision, signing, cipher

    def clear_commands(self) -> set[int]:
        """The commands that went over the wire unsealed, either way."""
        frames = [*self.requests(), *self.responses()]
        assert any(frames)
        return {_command(frame) for frame in frames if frame[:4] != TRANSFORM_MAGIC}


def _frames(stream: bytearray) -> Iterator[bytes]:
    while stream:
        end = 4 + int.from_bytes(stream[1:4])
        yield bytes(stream[4:end])
        stream = stream[end:]


def _command(frame: bytes) -> int | None:
    return Header.unpack_from(frame).command if frame[:4] == SMB2_MAGIC else None


@pytest.fixture
def relay() -> Iterator[object]:
    """`relay(server)` is a Relay to that server, for use in its place."""
    relays: list[Relay] = []

    def open_relay(server: Served) -> Relay:
        relays.append(Relay(server))
        return relays[-1]

    yield open_relay
    for each in relays:
        each.close()


# Samba's client -------------------------------------------------------------------------------------------------


class SmbClient:
    """Runs smbclient: `smbclient(server, "put a b", "ls")` returns what it prints."""

    def __init__(self, local: Path) -> None:
        self.local = local  # where it takes files from and puts them

    def command(
        self, server: Served | Relay, *commands: str, share: str = "data", options: Sequence[str] = (),
        user: str | None = None, password: str | None = None,
    ) -> list[str]:  # fmt: skip
        """The command line."""
        credentials = f"{user or server.user}%{password or server.password}"
        return [
            "smbclient", f"//{server.host}/{share}", "--configfile=/dev/null", f"--port={server.port}",
            f"--user={credentials}", *options, f"--command={';'.join(commands)}",
        ]  # fmt: skip

    def __call__(self, server: Served | Relay, *commands: str, refused: str = "", **more: object) -> str:
        """Run commands; with `refused` they must fail, and with that status only."""
        arguments = self.command(server, *commands, **more)
        done = run_tool(arguments, cwd=self.local)
        text = done.stdout + done.stderr
        statuses = set(re.findall(r"NT_STATUS_\w+", text))
        assert statuses == ({refused} if refused else set()), text
        assert refused or done.returncode == 0, text
        return text


def run_tool(arguments: Sequence[str], **more: object) -> subprocess.CompletedProcess[str]:
    """Run a foreign program to its end, with UTF-8 and without the host's habits."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    return subprocess.run(
        arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, env=environment,
        check=False, **more,
    )  # fmt: skip


@pytest.fixture
def tool():
    """`run_tool`."""
    return run_tool


@pytest.fixture
def smbclient(tmp_path: Path) -> SmbClient:
    """An SmbClient with a directory of its own, beside a file `empty`."""
    local = tmp_path / "local"
    local.mkdir()
    (tmp_path / "empty").touch()
    return SmbClient(local)
