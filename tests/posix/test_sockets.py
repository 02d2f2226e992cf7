"""smbport.posix.sockets"""

import errno
import os
import socket
import subprocess
import sys
from contextlib import closing

import pytest

from smbport.platform import Interface
from smbport.posix import sockets
from smbport.posix.sockets import PosixSockets


def close_all(opened):
    for sock in opened:
        sock.close()


@pytest.fixture
def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_every_address_has_one_port_and_ipv6_does_not_take_ipv4(has_ipv6: bool):
    listening = PosixSockets().listen(None, 0)
    try:
        assert [sock.family for sock in listening] == [socket.AF_INET] + [socket.AF_INET6] * has_ipv6
        (port,) = {sock.getsockname()[1] for sock in listening}
        assert port
        for sock in listening:
            assert sock.getblocking() is False
            assert sock.get_inheritable() is False
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
            if sock.family == socket.AF_INET6:
                assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
            host = "::1" if sock.family == socket.AF_INET6 else "127.0.0.1"
            with socket.create_connection((host, port)):
                sock.setblocking(True)
                accepted, _ = sock.accept()
                accepted.close()
    finally:
        close_all(listening)


def test_one_host_and_a_given_port():
    with closing(PosixSockets().listen("127.0.0.1", 0)[0]) as first:
        port = first.getsockname()[1]
        with pytest.raises(OSError, match=f"Errno {errno.EADDRINUSE}]"):
            PosixSockets().listen("127.0.0.1", port)
    (again,) = PosixSockets().listen("127.0.0.1", port)
    again.close()


def test_an_unknown_host_is_an_oserror():
    with pytest.raises(OSError):  # noqa: PT011  (gaierror has numbers of its own)
        PosixSockets().listen("no-such-host.invalid", 0)


def test_a_system_without_ipv6(monkeypatch):
    real = sockets.listening_socket

    def listening_socket(family, host, port):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "no IPv6 here")
        return real(family, host, port)

    monkeypatch.setattr(sockets, "listening_socket", listening_socket)
    (only,) = PosixSockets().listen(None, 0)
    assert only.family == socket.AF_INET
    only.close()

    monkeypatch.setattr(sockets, "listening_socket", lambda *_: listening_socket(socket.AF_INET6, "::", 0))
    with pytest.raises(OSError, match="no IPv6 here"):
        PosixSockets().listen(None, 0)


def test_a_port_that_is_taken_for_the_second_address_is_given_up(monkeypatch):
    real, made, taken = sockets.listening_socket, [], []

    def listening_socket(family, host, port):
        if port and len(taken) < 2:
            taken.append(port)
            raise OSError(errno.EADDRINUSE, "taken")
        made.append(real(family, host, port))
        return made[-1]

    monkeypatch.setattr(sockets, "listening_socket", listening_socket)
    monkeypatch.setattr(
        sockets, "find_addresses", lambda *_: [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.2")]
    )
    listening = PosixSockets().listen(None, 0)
    assert len({sock.getsockname()[1] for sock in listening}) == 1
    assert [sock.fileno() for sock in made[:2]] == [-1, -1]  # those of the two attempts that failed
    close_all(listening)

    taken.clear()
    with pytest.raises(OSError, match="taken"):
        PosixSockets().listen(None, 445)


CHILD = """
import os, socket, sys
from smbport.posix.sockets import PosixSockets
if sys.argv[1] == "me":
    os.environ["LISTEN_PID"] = str(os.getpid())
sockets = PosixSockets()
for sock in sockets.inherited():
    print(sock.getsockname()[1], sock.getblocking(), sock.get_inheritable(), sock.family.name)
print(len(sockets.inherited()), "LISTEN_FDS" in os.environ)
"""


@pytest.mark.parametrize("pid", ["me", "another"])
def test_inherited_sockets(pid: str):
    (listening,) = PosixSockets().listen("127.0.0.1", 0)
    with listening:
        port = listening.getsockname()[1]
        environment = os.environ | {"LISTEN_FDS": "1", "LISTEN_PID": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
        # The shell puts the socket where a service manager would: at the first descriptor behind the standard ones.
        command = f'exec "$0" -c "$1" {pid} 3<&{listening.fileno()}'
        ran = subprocess.run(
            ["/bin/bash", "-c", command, sys.executable, CHILD],
            env=environment, pass_fds=[listening.fileno()], capture_output=True, text=True, check=True,
        )  # fmt: skip
    found = [f"{port} False False AF_INET"] if pid == "me" else []
    assert ran.stdout.splitlines() == [*found, "0 False"]


@pytest.mark.parametrize("count", [None, "", "x", "-1"])
def test_nothing_inherited(monkeypatch, count: str | None):
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    if count is not None:
        monkeypatch.setenv("LISTEN_FDS", count)
    assert PosixSockets().inherited() == []


def test_tune():
    (listening,) = PosixSockets().listen("127.0.0.1", 0)
    with listening, socket.create_connection(listening.getsockname()) as sock:
        PosixSockets().tune(sock)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 10


def test_tune_leaves_out_what_is_missing(monkeypatch):
    monkeypatch.delattr(socket, "TCP_KEEPINTVL")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        PosixSockets().tune(ours)  # no TCP at all
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_what_the_peer_has_not_acknowledged():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert PosixSockets().unacknowledged(ours) == 0  # nobody can tell
        assert PosixSockets(unacknowledged=lambda sock: sock.fileno()).unacknowledged(ours) == ours.fileno()


def test_interfaces():
    found = [Interface(2, "192.0.2.1", 1_000_000_000)]
    assert PosixSockets(lambda: found).interfaces() == found
    assert PosixSockets().interfaces() == []
