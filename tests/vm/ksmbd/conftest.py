"""Machines with ksmbd, one kernel after the other, and clients on this side."""

import re
import socket
import subprocess
from collections.abc import Iterator
from typing import Final

import pytest

from smbport.testing.client import Client, SocketLink
from smbport.users import UserStore
from smbport.wire.constants import Dialect
from tests.vm import daemon
from tests.vm.machine import Machine
from tests.vm.machines import SERVERS, server_machine

PASSWORD: Final = "open-sesame"
USERS: Final = {"tester": "nobody", "other": "daemon", "busy": "bin", "homeless": "no such account"}
TEAM: Final = 3000
CROWD: Final = range(4000, 5000)  # groups of `busy`
CLIENT_TIMEOUT_S: Final = 60
COMPLAINT: Final = re.compile(r"BUG|Oops|Call Trace|blocked for more than")
FAULT: Final = re.compile("Traceback|bug:|does not take an answer")


@pytest.fixture(scope="session")
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@pytest.fixture(scope="session")
def users(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("users") / "users.db"
    with UserStore.open(path, create=True) as store:
        for name, account in USERS.items():
            store.add(name, PASSWORD, account=account)
    return str(path)


@pytest.fixture(scope="session", params=SERVERS)
def guest(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, port: int, users: str
) -> Iterator[Machine]:
    """A machine that is ready to serve, but does not yet."""
    folder = tmp_path_factory.mktemp("ksmbd")
    with server_machine(folder, SERVERS[request.param], port, ("smbclient", "rpcclient")) as guest:
        folders = ["/run/data", "/run/root", "/run/data/team", "/run/data/crowd"]
        groups = {"team": (TEAM, "nobody"), **{f"crowd{gid}": (gid, "bin") for gid in CROWD}}
        guest.call(daemon.prepare, users, folders, [f"{name}:x:{gid}:{who}" for name, (gid, who) in groups.items()])
        guest.call(daemon.chown, "/run/data/team", 0, TEAM, 0o2770)
        guest.call(daemon.chown, "/run/data/crowd", 0, CROWD[-1], 0o2770)
        yield guest


@pytest.fixture(autouse=True)
def no_complaints(guest: Machine) -> Iterator[None]:
    """Instead of that of the other machine's tests."""
    yield
    assert [line for line in guest.news() if COMPLAINT.search(line)] == []
    assert [line for line in guest.call(daemon.log).splitlines() if FAULT.search(line)] == []


@pytest.fixture
def smbclient(port: int):
    """Runs Samba's client; what it ended with, and what it said."""

    def smbclient(
        share: str, commands: str, user: str = "tester", password: str = PASSWORD, *options: str
    ) -> tuple[int, str]:
        where = ["-L", "127.0.0.1"] if not share else [f"//127.0.0.1/{share}", "-c", commands]
        command = ["smbclient", *where, "-p", str(port), "-U", f"{user}%{password}", *options]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CLIENT_TIMEOUT_S
        )
        return done.returncode, done.stdout + done.stderr

    return smbclient


@pytest.fixture
def connect(port: int):
    """Our own client.  It neither signs nor seals, because ksmbd does so wrongly with some refusals."""
    links: list[SocketLink] = []

    def connect(user: str | None = "tester") -> Client:
        links.append(SocketLink.connect("127.0.0.1", port))
        client = Client(links[-1])
        client.negotiate([Dialect.SMB_3_0_2])
        client.sign = False
        if user is not None:
            client.log_on(user, PASSWORD)
        return client

    yield connect
    for link in links:
        link.close()
