"""Generic netlink: finding a family, sending a message, receiving one.  Linux, include/uapi/linux/{gen,}netlink.h

Messages here have one attribute each, as ksmbd's do.  A channel is a plain socket that trio waits for, or, for a
moment, the thread itself.
"""

import errno
import os
import socket
from struct import Struct
from typing import Final, NamedTuple

import trio

from smbport.wire.record import BadStructure

__all__ = [
    "NLMSG_ERROR", "Channel", "Family", "Message", "find_family", "open_socket", "pack_message", "parse_messages",
]  # fmt: skip

NETLINK_GENERIC: Final = 16
NLMSG_ERROR: Final = 2
NLM_F_REQUEST: Final = 1
NLM_F_ACK: Final = 4

CONTROLLER: Final = 16  # GENL_ID_CTRL
GET_FAMILY: Final = 3
ATTRIBUTE_ID: Final = 1
ATTRIBUTE_NAME: Final = 2
ATTRIBUTE_MAX: Final = 5

RECEIVE_BUFFER: Final = 1 << 20  # bytes: the kernel drops what does not fit
MAX_DATAGRAM: Final = 1 << 14  # bytes: what the kernel hands over has at most 4096
MAX_ATTRIBUTE: Final = 0xFFFF - 4
KERNEL: Final = (0, 0)  # the address of the kernel: port and groups
ACK_TIMEOUT_S: Final = 10.0  # guessed: the kernel answers before `send` returns
LINGER_US: Final = 20_000  # guessed: longer than a client takes from one step of getting in to the next
TIMEVAL: Final = Struct("@ll")

HEADER: Final = Struct("<IHHII")  # nlmsghdr: length, type, flags, sequence, port
GENERIC_SIZE: Final = 4  # genlmsghdr: command, version, two reserved bytes; as long as the number of an NLMSG_ERROR
ATTRIBUTE: Final = Struct("<HH")  # nlattr: length, type
REQUEST: Final = Struct("<IHHII BB2x HH")  # all three


class Message:
    """One message as it came."""

    __slots__ = ("attributes", "command", "error", "sequence", "type")

    def __init__(self, type: int, sequence: int, command: int, attributes: dict[int, bytes], error: int = 0) -> None:
        self.type = type  # the number of a family, or NLMSG_ERROR
        self.sequence = sequence
        self.command = command
        self.attributes = attributes
        self.error = error  # of NLMSG_ERROR: an errno, 0 for an acknowledgement


class Family(NamedTuple):
    """A family that the kernel has."""

    number: int
    max_attribute: int


def pack_message(family: int, sequence: int, command: int, attribute: int, payload: bytes, *, ack: bool) -> bytes:
    """A request with one attribute.  ValueError if the payload is longer than an attribute can be."""
    size = len(payload)
    if size > MAX_ATTRIBUTE:
        raise ValueError(f"an attribute of {size} bytes")
    flags = NLM_F_REQUEST | (NLM_F_ACK if ack else 0)
    padding = -size % 4
    length = REQUEST.size + size + padding
    head = REQUEST.pack(length, family, flags, sequence, 0, command, 1, ATTRIBUTE.size + size, attribute)
    return b"".join((head, payload, bytes(padding)))


def parse_messages(datagram: bytes) -> list[Message]:
    """The messages of one datagram.  BadStructure if a length lies."""
    messages = []
    offset, size = 0, len(datagram)
    while offset < size:
        if offset + HEADER.size > size:
            raise BadStructure(f"netlink message at {offset} of {size} bytes")
        length, kind, _, sequence, _ = HEADER.unpack_from(datagram, offset)
        end = offset + length
        if length < HEADER.size + GENERIC_SIZE or end > size:
            raise BadStructure(f"netlink message of {length} bytes at {offset} of {size}")
        body = offset + HEADER.size
        if kind == NLMSG_ERROR:
            error = -int.from_bytes(datagram[body : body + 4], "little", signed=True)
            messages.append(Message(kind, sequence, 0, {}, error))
        else:
            attributes = _parse_attributes(datagram, body + GENERIC_SIZE, end)
            messages.append(Message(kind, sequence, datagram[body], attributes))
        offset = end + -end % 4
    return messages


def _parse_attributes(datagram: bytes, offset: int, end: int) -> dict[int, bytes]:
    attributes: dict[int, bytes] = {}
    while offset < end:
        if offset + ATTRIBUTE.size > end:
            raise BadStructure(f"netlink attribute at {offset} of {end} bytes")
        length, kind = ATTRIBUTE.unpack_from(datagram, offset)
        if length < ATTRIBUTE.size or offset + length > end:
            raise BadStructure(f"netlink attribute of {length} bytes at {offset} of {end}")
        attributes[kind] = datagram[offset + ATTRIBUTE.size : offset + length]
        offset += length + -length % 4
    return attributes


def open_socket() -> socket.socket:
    """A socket of generic netlink with a port of its own and room for many requests."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_GENERIC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.bind((0, 0))
    except OSError:
        sock.close()
        raise
    return sock


def find_family(name: str) -> Family | None:
    """The family of that name; None if the kernel has none, because no module that makes it is loaded."""
    request = pack_message(CONTROLLER, 1, GET_FAMILY, ATTRIBUTE_NAME, name.encode() + b"\0", ack=False)
    with open_socket() as sock:
        sock.settimeout(ACK_TIMEOUT_S)
        sock.sendto(request, KERNEL)
        (answer,) = parse_messages(_receive_from_kernel(sock))
    if answer.error == errno.ENOENT:
        return None
    if answer.error:
        raise OSError(answer.error, f"netlink family {name}: {os.strerror(answer.error)}")
    found = answer.attributes
    return Family(
        int.from_bytes(found.get(ATTRIBUTE_ID, b""), "little"), int.from_bytes(found.get(ATTRIBUTE_MAX, b""), "little")
    )


def _receive_from_kernel(sock: socket.socket) -> bytes:
    while True:
        datagram, sender = sock.recvfrom(MAX_DATAGRAM)
        if sender == KERNEL:
            return datagram


class Channel:
    """Messages to and from the kernel on one socket, whose port the kernel remembers."""

    def __init__(self, sock: socket.socket, family: int) -> None:
        sock.setblocking(True)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, TIMEVAL.pack(0, LINGER_US))
        self._socket = sock
        self._family = family

    def close(self) -> None:
        self._socket.close()

    def send(self, command: int, payload: bytes, *, acknowledged_as: int = 0) -> None:
        """Send a command whose attribute has the same number, to be acknowledged with that sequence number if any.

        The kernel acts on it before this returns.
        """
        message = pack_message(self._family, acknowledged_as, command, command, payload, ack=bool(acknowledged_as))
        self._socket.sendto(message, KERNEL)

    async def wait(self) -> None:
        """Until there is something to receive."""
        await trio.lowlevel.wait_readable(self._socket)

    def receive(self, linger: bool) -> list[Message] | None:
        """The messages of the next datagram that the kernel sent; what other processes send is dropped.

        None if there is none; if it may `linger`, it waits for one a moment.  OSError(ENOBUFS) if the kernel had to
        drop messages.
        """
        flags = 0 if linger else socket.MSG_DONTWAIT
        while True:
            try:
                datagram, sender = self._socket.recvfrom(MAX_DATAGRAM, flags)
            except BlockingIOError:
                return None
            if sender == KERNEL:
                return parse_messages(datagram)
