"""smbport_linux.ksmbd.netlink: messages as bytes, and the sockets of the kernel that runs the tests."""

import os
import socket
from struct import pack

import pytest

from smbport.wire.record import BadStructure
from smbport_linux.ksmbd import netlink
from smbport_linux.ksmbd.netlink import Channel, find_family, open_socket, pack_message, parse_messages

CONTROLLER = 16


def message(kind, body, sequence=7):
    return pack("<IHHII", 16 + len(body), kind, 0, sequence, 0) + body


def test_a_message_has_one_attribute_whose_type_is_the_command():
    assert pack_message(0x1C, 3, 5, 5, b"abcde", ack=True).hex(" ", 4) == (
        "20000000 1c000500 03000000 00000000 05010000 09000500 61626364 65000000"
    )
    assert pack_message(0x1C, 0, 5, 5, b"", ack=False)[6:8] == b"\1\0"


def test_what_no_attribute_can_hold():
    assert len(pack_message(1, 0, 1, 1, bytes(65531), ack=False)) == 16 + 4 + 4 + 65532
    with pytest.raises(ValueError, match="65532"):
        pack_message(1, 0, 1, 1, bytes(65532), ack=False)


def test_messages_come_back():
    first = message(0x1C, b"\4\1\0\0" + pack("<HH", 7, 4) + b"abc\0" + pack("<HH", 4, 9))
    second = message(2, pack("<i", -22) + bytes(16), sequence=8)
    (one, two) = parse_messages(first + second)
    assert (one.type, one.sequence, one.command, one.error) == (0x1C, 7, 4, 0)
    assert one.attributes == {4: b"abc", 9: b""}
    assert (two.type, two.sequence, two.error) == (2, 8, 22)
    assert parse_messages(b"") == []


@pytest.mark.parametrize(
    "datagram",
    [
        b"x" * 15,
        pack("<IHHII", 15, 1, 0, 0, 0),
        pack("<IHHII", 17, 1, 0, 0, 0),
        message(2, b"abc"),
        message(9, b"abc"),
        message(9, bytes(4) + b"abc"),
        message(9, bytes(4) + pack("<HH", 3, 1)),
        message(9, bytes(4) + pack("<HH", 0, 1)),
        message(9, bytes(4) + pack("<HH", 9, 1) + bytes(4)),
    ],
)
def test_lengths_that_lie(datagram):
    with pytest.raises(BadStructure):
        parse_messages(datagram)


def test_families_of_this_kernel():
    family = find_family("nlctrl")
    assert family.number == CONTROLLER
    assert find_family("smbport_none") is None


def test_a_name_that_no_family_can_have():
    with pytest.raises(OSError, match="netlink family"):
        find_family("x" * 100)


@pytest.mark.pure_only
def test_a_socket_that_cannot_be_set_up_is_closed(monkeypatch):
    before = os.listdir("/dev/fd")
    monkeypatch.setattr(netlink, "RECEIVE_BUFFER", b"1")  # too short for a number
    with pytest.raises(OSError, match="Invalid argument"):
        open_socket()
    assert os.listdir("/dev/fd") == before


async def receive(channel):
    while (messages := channel.receive(True)) is None:
        await channel.wait()
    return messages


async def test_a_channel_talks_to_the_kernel():
    channel = Channel(open_socket(), CONTROLLER)
    try:
        channel.send(99, b"", acknowledged_as=5)
        (answer,) = await receive(channel)
        assert (answer.type, answer.sequence, answer.error != 0) == (netlink.NLMSG_ERROR, 5, True)
    finally:
        channel.close()


@pytest.mark.parametrize("linger", [False, True])
def test_nothing_to_receive(linger):
    channel = Channel(open_socket(), CONTROLLER)
    try:
        assert channel.receive(linger) is None
    finally:
        channel.close()


@pytest.mark.root
async def test_what_other_processes_send_is_dropped():
    if os.geteuid():
        pytest.skip("sending to others' ports takes root")
    ours = open_socket()
    channel = Channel(ours, CONTROLLER)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16) as stranger:
            stranger.sendto(message(0x1C, b"\4\1\0\0"), ours.getsockname())
        channel.send(99, b"", acknowledged_as=6)
        (answer,) = await receive(channel)
        assert answer.sequence == 6
    finally:
        channel.close()
