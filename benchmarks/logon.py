"""Connections to a server under test, each with a session and a share."""

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Final, Literal, NamedTuple

import spnego

from benchmarks.servers import Server
from smbport.security.ntlm import nt_hash
from smbport.testing.client import Client, SocketLink
from smbport.wire.constants import Cipher, Command, Dialect, SigningAlgorithm
from smbport.wire.echo import EchoRequest

__all__ = [
    "Connection", "Protection", "gather_credits", "introduce", "log_on", "logged_on", "many_logged_on", "protect",
    "reset", "user_hash",
]  # fmt: skip

Protection = Literal["plain", "gmac", "cmac", "hmac", "gcm", "ccm"]

_SIGNING: Final[dict[str, int]] = {
    "gmac": SigningAlgorithm.AES_GMAC,
    "cmac": SigningAlgorithm.AES_CMAC,
    "hmac": SigningAlgorithm.HMAC_SHA256,
}
_CIPHERS: Final[dict[str, int]] = {"gcm": Cipher.AES_128_GCM, "ccm": Cipher.AES_128_CCM}


class Connection(NamedTuple):
    """A client that is logged on, its socket, and its tree connect to the share."""

    client: Client
    sock: socket.socket
    tree_id: int

    def close(self, *, abruptly: bool = False) -> None:
        """Hang up; `abruptly` by a reset."""
        if abruptly:
            reset(self.sock)
        self.client.link.close()


def log_on(server: Server, protection: Protection = "plain") -> Connection:
    """A new connection; it offers one cipher and one algorithm, and raises ConnectionError if it gets others."""
    link = SocketLink.connect(server.host, server.port)
    client = Client(link)
    try:
        return Connection(client, link.sock, introduce(client, server, protection))
    except BaseException:
        link.close()
        raise


def introduce(client: Client, server: Server, protection: Protection = "plain") -> int:
    """Negotiate, log on, connect to the share: its tree id."""
    signing, cipher = (
        _SIGNING.get(protection, SigningAlgorithm.AES_GMAC),
        _CIPHERS.get(protection, Cipher.AES_128_GCM),
    )
    client.negotiate((server.dialect,), ciphers=(cipher,), signing=(signing,))
    if server.dialect == Dialect.SMB_3_1_1 and (client.cipher, client.signing_algorithm) != (cipher, signing):
        raise ConnectionError(f"{server.name} {server.version} does not know the algorithms of {protection}")
    # Of a password, the hash would be computed for each logon, and a worthless one that costs more.
    client.log_on(spnego.NTLMHash(server.user, nt_hash=user_hash(server).hex()))
    return client.tree_connect(server.share)


def reset(sock: socket.socket) -> None:
    """Hang up so that no port stays reserved for minutes."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def user_hash(server: Server) -> bytes:
    """What NTLM knows the user's password by."""
    return _hash(server.password)


@cache
def _hash(password: str) -> bytes:
    return nt_hash(password)


@contextmanager
def logged_on(server: Server, protection: Protection = "plain") -> Iterator[Connection]:
    """The same, to be closed at the end."""
    connection = log_on(server, protection)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def many_logged_on(server: Server, count: int) -> Iterator[list[Connection]]:
    """So many of them; they are reset at the end."""
    with ExitStack() as stack:
        connections = []
        for _ in range(count):
            connections.append(log_on(server))
            stack.callback(connections[-1].close, abruptly=True)
        yield connections


def protect(client: Client, protection: Protection) -> None:
    """Sign or seal from now on, or do neither."""
    client.sign, client.seal = protection in _SIGNING, protection in _CIPHERS


def gather_credits(client: Client, count: int) -> None:
    """Ask until at least so many are there.  Dialect 2.0.2 has them too, but impacket does not count."""
    tries = count
    while client.credits - client.message_id < count and tries:
        client.call(Command.ECHO, EchoRequest().pack())
        tries -= 1
    if client.credits - client.message_id < count:
        raise ConnectionError(f"the server grants {client.credits - client.message_id} credits; {count} are needed")
