"""The exam for what a platform says of itself, and for its sockets."""

import errno
import ipaddress
import socket
from contextlib import ExitStack, closing
from typing import Final

from smbport.platform import POWERS, Account, Interface, Platform, ReadySet
from smbport.testing.exam.bench import check_refused, demanding, open_bench, proctored, require

__all__ = ["check_honesty", "check_sockets"]

SERIAL_LIMIT: Final = 1 << 64
WITHOUT_INTERFACE: Final = ("leases",)
"""Powers for which the contract has a name only, and so no exam."""

CONNECT_TIMEOUT_S: Final = 10.0  # guessed; over loopback it takes no time


def check_honesty(platform: Platform, path: str) -> str:
    """A power is declared and passes its exam, or is None with the reason in `absent`; facts are facts."""
    require(bool(platform.name), "Platform.name is not empty")
    require(isinstance(platform.account, Account), "Platform.account is the Account that this process runs as")
    for power in POWERS:
        require(hasattr(platform, power), f"Platform.{power} is there, if only as None")
        if getattr(platform, power) is None:
            reason = platform.absent.get(power, "")
            require(bool(reason.strip()), f"Platform.absent has a sentence that says why {power} is None")
        else:
            require(power not in WITHOUT_INTERFACE, f"{power} is None: the contract has no interface for it yet")
            require(
                power not in platform.absent, f"{power} is there, so Platform.absent gives no reason for its absence"
            )
    unknown = set(platform.absent) - set(POWERS)
    require(not unknown, f"Platform.absent names powers of POWERS only, not {', '.join(sorted(unknown))}")
    _check_features(platform, path)
    return ""


def _check_features(platform: Platform, path: str) -> None:
    volume = proctored(platform).open_volume(path)
    features = volume.features
    volume.close()
    require(bool(features.file_system), "Features.file_system is a name that clients can be told")
    require(0 <= features.serial < SERIAL_LIMIT, "Features.serial has 64 bits")
    require(features.max_name_bytes > 0, "Features.max_name_bytes is positive")
    if features.read_only:
        return
    with open_bench(platform, path) as bench:
        file = bench.create("born")
        if features.birth_time:
            stat = file.stat()
            file.set_times(stat.birth_ns - 10**18, stat.birth_ns - 10**18)
            require(
                file.stat().birth_ns > stat.birth_ns - 10**17,
                "with Features.birth_time, the file system records the birth: it does not follow the other times",
            )
        file.close()


def check_sockets(platform: Platform) -> str:
    """Listening, tuning, interfaces."""
    sockets = proctored(platform).sockets
    with ExitStack() as stack:
        listening = [stack.enter_context(sock) for sock in sockets.listen("127.0.0.1", 0)]
        require(len(listening) == 1, "listen gives one socket for each address of the host")
        _check_listener(listening[0])
        address = listening[0].getsockname()
        require(address[0] == "127.0.0.1" and address[1] != 0, "listen binds to the host, and port 0 takes a free one")
        demand = "listen on a port that is taken is OSError(EADDRINUSE)"
        check_refused(demand, (errno.EADDRINUSE,), sockets.listen, *address)
        client = stack.enter_context(socket.create_connection(address, timeout=CONNECT_TIMEOUT_S))
        listening[0].settimeout(CONNECT_TIMEOUT_S)
        accepted = stack.enter_context(listening[0].accept()[0])
        sockets.tune(accepted)
        with demanding("a tuned socket works"):
            accepted.sendall(b"exam")
            require(client.recv(4) == b"exam", "a tuned socket works")
    with ExitStack() as stack:
        everywhere = [stack.enter_context(sock) for sock in sockets.listen(None, 0)]
        require(bool(everywhere), "listen without a host listens on every address")
        ports = {sock.getsockname()[1] for sock in everywhere}
        require(len(ports) == 1, "port 0 takes the same free port for all addresses")
        for sock in everywhere:
            _check_listener(sock)
    require(all(isinstance(sock, socket.socket) for sock in sockets.inherited()), "inherited() gives sockets, or []")
    for interface in sockets.interfaces():
        _check_interface(interface)
    ready = sockets.ready_set()
    if ready is not None:
        with closing(ready):
            _check_ready_set(ready)
    return ""


def _check_ready_set(ready: ReadySet) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ready.add(ours.fileno())
        require(not ready.wait(0, 8), "a set names no socket that has nothing to read")
        theirs.send(b"exam")
        for _ in range(2):
            named = [descriptor for descriptor, _ in ready.wait(0, 8)]
            require(named == [ours.fileno()], "a set names a socket for as long as it can be read")
        ready.remove(ours.fileno())
        require(not ready.wait(0, 8), "a set does not name a socket that was removed")


def _check_listener(sock: socket.socket) -> None:
    require(sock.type == socket.SOCK_STREAM, "listen gives stream sockets")
    require(not sock.getblocking(), "listen gives non-blocking sockets")
    try:
        sock.accept()[0].close()
    except BlockingIOError:
        return
    except OSError as error:
        require(False, f"listen gives listening sockets; accept said {error}")


def _check_interface(interface: Interface) -> None:
    try:
        address = ipaddress.ip_address(interface.address)
    except ValueError:
        require(False, f"an interface has an IPv4 or IPv6 address, not {interface.address!r}")
    else:
        require("%" not in interface.address, "the address of an interface has no scope")
        require(not address.is_loopback, "interfaces() leaves loopback out")
    require(interface.speed >= 0 and interface.index >= 0, "Interface.speed is bits per second, or 0 if unknown")
