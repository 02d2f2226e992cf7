"""Sockets, the addresses of this machine, and sending files without touching them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from smbport.platform.volumes import File

if TYPE_CHECKING:
    from socket import socket

__all__ = ["Interface", "ReadySet", "Sockets", "ZeroCopy"]


@dataclass(frozen=True, slots=True)
class Interface:
    """One address that clients can reach this server at."""

    index: int
    address: str  # IPv4 dotted or IPv6 text, without a scope
    speed: int  # bits per second; 0 if unknown
    rss: bool = False  # receive side scaling


class ReadySet(Protocol):
    """Sockets that the system watches for this process, asked about all at once."""

    def fileno(self) -> int:
        """A descriptor that the event loop can wait for: readable as long as a socket of the set is."""

    def add(self, descriptor: int) -> None:
        """Watch it.  It must be removed before it is closed."""

    def remove(self, descriptor: int) -> None:
        """Watch it no more."""

    def wait(self, timeout_s: float, most: int) -> Sequence[tuple[int, int]]:
        """At most `most` sockets that can be read without waiting, or at which the peer has hung up; each with a
        number that says nothing.  Waits for the first, asleep, for `timeout_s` at most; 0 asks only."""

    def close(self) -> None:
        """Give the descriptor back."""


class Sockets(Protocol):
    """Listening and tuning."""

    def listen(self, host: str | None, port: int) -> "Sequence[socket]":
        """Non-blocking listening stream sockets for every address of `host`; None is every IPv4 and IPv6 address.

        Port 0 takes a free one, the same for all.
        """

    def inherited(self) -> "Sequence[socket]":
        """Listening sockets that a service manager handed over (systemd's LISTEN_FDS); [] if none."""

    def tune(self, sock: "socket") -> None:
        """Set no-delay, keep-alive and buffer options on an accepted socket, as far as the system has them."""

    def unacknowledged(self, sock: "socket") -> int:
        """How many of the bytes that were sent the peer has not acknowledged; 0 if the system cannot tell."""

    def ready_set(self) -> ReadySet | None:
        """A new, empty set; None if the system has none whose descriptor trio could wait for."""

    def interfaces(self) -> Sequence[Interface]:
        """Addresses of this machine that are up, loopback excluded; [] if they cannot be found out."""


class ZeroCopy(Protocol):
    """Sending file data without bringing it into this process."""

    min_length: int  # below this, reading and sending is at least as fast
    needs_cached: bool  # whether `send` waits for the disk where the data is not cached, so it must be known to be

    def send(self, sock: "socket", head: bytes | memoryview, file: File, offset: int, length: int) -> int:
        """Send `head`, then `length` bytes of `file`; returns how many bytes, head included, were taken.

        Never waits for the socket: BlockingIOError if it takes nothing now.  Returns len(head) + 0 at the
        end of the file, which the caller must turn into padding or a disconnect.  Without `needs_cached`,
        OSError(EBUSY) if nothing was taken and the data must be waited for: it is to be read in a thread.
        """
