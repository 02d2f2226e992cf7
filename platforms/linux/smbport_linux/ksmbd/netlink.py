"""Generic netlink: finding a family, sending a message, receiving one.  Linux, include/uapi/linux/{gen,}netlink.h

Messages here have one attribute each, as ksmbd's do.  A channel is a plain socket that trio waits for.
"""

import errno
import os
import socket
from collections.abc import Iterator
from typing import ClassVar, Final, NamedTuple

import trio

from smbport.wire.record import U8, U16, U32, BadStructure, Pad2, Record, record

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


@record()
class MessageHeader(Record):
    """struct nlmsghdr"""

    length: U32
    type: U16
    flags: U16
    sequence: U32
    port: U32


@record()
class GenericHeader(Record):
    """struct genlmsghdr"""

    command: U8
    version: U8
    reserved: ClassVar[Pad2]


@record()
class AttributeHeader(Record):
    """struct nlattr"""

    length: U16
    type: U16


class Message(NamedTuple):
    """One message as it came."""

    type: int  # the number of a family, or NLMSG_ERROR
    sequence: int
    command: int
    attributes: dict[int, bytes]
    error: int = 0  # of NLMSG_ERROR: an errno, 0 for an acknowledgement


class Family(NamedTuple):
    """A family that the kernel has."""

    number: int
    max_attribute: int


def pack_message(family: int, sequence: int, command: int, attribute: int, payload: bytes, *, ack: bool) -> bytes:
    """A request with one attribute.  ValueError if the payload is longer than an attribute can be."""
    if len(payload) > MAX_ATTRIBUTE:
        raise ValueError(f"an attribute of {len(payload)} bytes")
    head = AttributeHeader(length=AttributeHeader.SIZE + len(payload), type=attribute).pack()
    body = GenericHeader(command=command, version=1).pack() + head + payload + bytes(-len(payload) % 4)
    flags = NLM_F_REQUEST | (NLM_F_ACK if ack else 0)
    size = MessageHeader.SIZE + len(body)
    return MessageHeader(length=size, type=family, flags=flags, sequence=sequence, port=0).pack() + body


def parse_messages(datagram: bytes) -> Iterator[Message]:
    """The messages of one datagram.  BadStructure if a length lies."""
    offset = 0
    while offset < len(datagram):
        header = MessageHeader.unpack_from(datagram, offset)
        end = offset + header.length
        if header.length < MessageHeader.SIZE or end > len(datagram):
            raise BadStructure(f"netlink message of {header.length} bytes at {offset} of {len(datagram)}")
        yield _parse(header, datagram[offset + MessageHeader.SIZE : end])
        offset = end + -end % 4


def _parse(header: MessageHeader, body: bytes) -> Message:
    if header.type == NLMSG_ERROR:
        if len(body) < 4:
            raise BadStructure("netlink error without a number")
        return Message(header.type, header.sequence, 0, {}, -int.from_bytes(body[:4], "little", signed=True))
    command = GenericHeader.unpack_from(body).command
    attributes: dict[int, bytes] = {}
    offset = GenericHeader.SIZE
    while offset < len(body):
        attribute = AttributeHeader.unpack_from(body, offset)
        end = offset + attribute.length
        if attribute.length < AttributeHeader.SIZE or end > len(body):
            raise BadStructure(f"netlink attribute of {attribute.length} bytes at {offset} of {len(body)}")
        attributes[attribute.type] = body[offset + AttributeHeader.SIZE : end]
        offset = end + -end % 4
    return Message(header.type, header.sequence, command, attributes)


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
        sock.setblocking(False)
        self._socket = sock
        self._family = family

    def close(self) -> None:
        self._socket.close()

    async def send(self, command: int, payload: bytes, *, acknowledged_as: int = 0) -> None:
        """Send a command whose attribute has the same number, to be acknowledged with that sequence number if any."""
        message = pack_message(self._family, acknowledged_as, command, command, payload, ack=bool(acknowledged_as))
        while True:
            try:
                self._socket.sendto(message, KERNEL)  # which acts on it before this returns
                return
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._socket)

    async def receive(self) -> list[Message]:
        """The messages of the next datagram that the kernel sent; what other processes send is dropped.

        OSError(ENOBUFS) if the kernel had to drop messages.
        """
        while True:
            try:
                datagram, sender = self._socket.recvfrom(MAX_DATAGRAM)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._socket)
                continue
            if sender == KERNEL:
                return list(parse_messages(datagram))
