import pytest

from smbport.wire.constants import Command, HeaderFlag
from smbport.wire.frame import (
    MAX_FRAME,
    BadFrame,
    frame_length,
    frame_magic,
    frame_prefix,
    join_compound,
    response_message,
    split_compound,
)
from smbport.wire.header import HEADER_SIZE, SMB2_MAGIC, Header
from smbport.wire.record import BadStructure


def header(next_command=0):
    return Header(
        protocol_id=SMB2_MAGIC,
        structure_size=64,
        credit_charge=1,
        status=0xC0000016,
        command=Command.SESSION_SETUP,
        credits=1,
        flags=HeaderFlag.SERVER_TO_REDIR | HeaderFlag.SIGNED,
        next_command=next_command,
        message_id=5,
        process_id=0xFEFF,
        tree_id=0x0E122161,
        session_id=0x90E942CC,
        signature=bytes(16),
    )


@pytest.mark.parametrize(("length", "prefix"), [(0, "00000000"), (64, "00000040"), (MAX_FRAME, "00ffffff")])
def test_frame(length, prefix):
    assert frame_prefix(length) == bytes.fromhex(prefix)
    assert frame_length(bytes.fromhex(prefix)) == length
    assert frame_length(memoryview(bytes.fromhex(prefix + "fe534d42"))) == length
    assert frame_length(bytes.fromhex("ffff" + prefix), 2) == length


def test_frame_of_another_protocol():
    with pytest.raises(BadFrame, match="0x47"):
        frame_length(b"GET ")
    with pytest.raises(BadFrame):
        frame_length(bytes.fromhex("81000044"))  # a NetBIOS session request


@pytest.mark.parametrize("message", [b"", b"\xfe", b"\xfeSM", b"\xfeSMB", b"\xfeSMB@"])
def test_magic(message):
    assert frame_magic(message) == frame_magic(memoryview(message)) == message[:4]


def test_frame_too_long():
    with pytest.raises(ValueError, match="does not fit"):
        frame_prefix(MAX_FRAME + 1)


def test_response_message():
    message = response_message(b"body", 0xC0000016, Command.SESSION_SETUP, 1, 1, 9, 5, 0xFEFF, 0x0E122161, 0x90E942CC)
    assert message == header().pack() + b"body"


def packed_header(next_command=0):
    return header(next_command).pack()


def split(message, limit=8):
    return split_compound(memoryview(message), limit=limit)


def test_plain_message():
    message = packed_header() + b"body"
    assert split(message) == [message]
    assert join_compound([message]) == message
    assert join_compound([]) == b""


def test_compound():
    elements = [packed_header() + b"123", packed_header() + b"12345678", packed_header() + b"1"]
    compound = join_compound(elements)
    assert len(compound) == 72 + 72 + 65
    parts = split(compound)
    assert [int.from_bytes(part[20:24], "little") for part in parts] == [72, 72, 0]
    assert [bytes(part[HEADER_SIZE:]) for part in parts] == [b"123\0\0\0\0\0", b"12345678", b"1"]
    assert bytes(parts[1][:20]) == elements[1][:20]


@pytest.mark.parametrize(
    ("next_command", "rest"),
    [
        pytest.param(1, 64, id="unaligned, inside itself"),
        pytest.param(68, 68, id="unaligned"),
        pytest.param(56, 64, id="inside its own header"),
        pytest.param(136, 64, id="behind the end"),
        pytest.param(64, 0, id="to the end"),
        pytest.param(64, 63, id="before half a header"),
        pytest.param(0xFFFFFFF8, 64, id="far away"),
    ],
)
def test_compounds_that_lie(next_command, rest):
    with pytest.raises(BadStructure):
        split(packed_header(next_command) + bytes(rest))


def test_half_a_header():
    for length in (0, 20, 63):
        with pytest.raises(BadStructure):
            split(packed_header()[:length])


def test_compound_over_the_limit():
    compound = join_compound([packed_header()] * 4)
    assert len(split(compound, limit=4)) == 4
    with pytest.raises(BadStructure, match="more than 3"):
        split(compound, limit=3)


def test_any_change_of_a_compound(check_parser):
    message = join_compound([packed_header() + bytes(8), packed_header()])
    check_parser(split, message)
