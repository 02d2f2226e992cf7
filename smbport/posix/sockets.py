"""Listening and accepted sockets, for any system with BSD sockets."""

import os
import socket
from collections.abc import Callable, Sequence
from errno import EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT
from typing import Final

from smbport.platform import Interface, ReadySet

__all__ = ["FIRST_INHERITED", "PosixSockets", "no_interfaces"]

BACKLOG: Final = 1024  # connections that wait to be accepted; systems cut it to what they allow
FREE_PORT_ATTEMPTS: Final = 16  # guessed: a port that is free for IPv4 is nearly always free for IPv6

FIRST_INHERITED: Final = 3  # sd_listen_fds(3): the descriptors begin behind standard error

OPTIONS: Final = (  # of connections.  Buffer sizes are not among them: where systems adapt them, setting one ends that
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 60),  # seconds without traffic until the first probe
    (socket.IPPROTO_TCP, "TCP_KEEPALIVE", 60),  # the same, as some systems call it
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 10),  # seconds between probes
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", 6),  # unanswered probes until the connection is lost: two minutes in all
)

Address = tuple[int, str]  # address family, host


def no_interfaces() -> Sequence[Interface]:
    """For systems on which the interfaces cannot be found out."""
    return []


def no_count(sock: socket.socket) -> int:
    """For systems that do not tell what the peer has acknowledged."""
    return 0


def no_ready_set() -> None:
    """For systems without one."""


class PosixSockets:
    """Sockets of the operating system."""

    __slots__ = ("_interfaces", "_new_ready_set", "_options", "_unacknowledged")

    def __init__(
        self,
        interfaces: Callable[[], Sequence[Interface]] = no_interfaces,
        unacknowledged: Callable[[socket.socket], int] = no_count,
        new_ready_set: Callable[[], ReadySet | None] = no_ready_set,
    ) -> None:
        self._interfaces = interfaces
        self._new_ready_set = new_ready_set
        self._options = known_options()
        self._unacknowledged = unacknowledged

    def listen(self, host: str | None, port: int) -> Sequence[socket.socket]:
        addresses = find_addresses(host, port)
        for attempt in range(1, FREE_PORT_ATTEMPTS + 1):
            try:
                return listen_on(addresses, port, optional=host is None)
            except OSError as reason:
                # With port 0, the first socket's port may be taken on another address.
                if port or reason.errno != EADDRINUSE or attempt == FREE_PORT_ATTEMPTS:
                    raise
        return []

    def inherited(self) -> Sequence[socket.socket]:
        # Taken out of the environment: a second caller, or a child, must not take them for its own.
        pid = os.environ.pop("LISTEN_PID", "")
        count = os.environ.pop("LISTEN_FDS", "")
        os.environ.pop("LISTEN_FDNAMES", None)
        if pid != str(os.getpid()) or not count.isdecimal():
            return []
        sockets = [socket.socket(fileno=fd) for fd in range(FIRST_INHERITED, FIRST_INHERITED + int(count))]
        for sock in sockets:
            sock.set_inheritable(False)
            sock.setblocking(False)
        return sockets

    def tune(self, sock: socket.socket) -> None:
        for level, number, value in self._options:
            set_option(sock, level, number, value)

    def unacknowledged(self, sock: socket.socket) -> int:
        return self._unacknowledged(sock)

    def ready_set(self) -> ReadySet | None:
        return self._new_ready_set()

    def interfaces(self) -> Sequence[Interface]:
        return self._interfaces()


def find_addresses(host: str | None, port: int) -> list[Address]:
    """The addresses to listen on, each once, in the resolver's order."""
    if host is None:
        return [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((int(family), str(address[0])) for family, _, _, _, address in found))


def listen_on(addresses: list[Address], port: int, *, optional: bool) -> list[socket.socket]:
    """Listen on all addresses, all at one port.  If `optional`, address families may be missing, but not all."""
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, host in addresses:
            try:
                sockets.append(listening_socket(family, host, port))
            except OSError as reason:
                if not optional or reason.errno not in (EAFNOSUPPORT, EADDRNOTAVAIL):
                    raise
                missing = reason
            else:
                port = port or sockets[0].getsockname()[1]
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    if missing and not sockets:
        raise missing
    return sockets


def listening_socket(family: int, host: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # After a restart, connections of the old process in TIME_WAIT must not keep the port.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # IPv4 has a socket of its own
        sock.setblocking(False)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def known_options() -> Sequence[tuple[int, int, int]]:
    """Level, number and value of those that this system has."""
    return [(level, getattr(socket, name), value) for level, name, value in OPTIONS if hasattr(socket, name)]


def set_option(sock: socket.socket, level: int, number: int, value: int) -> None:
    """Set an option if the socket is of the kind that has it."""
    try:
        sock.setsockopt(level, number, value)
    except OSError:
        return
