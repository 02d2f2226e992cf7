import pytest

from smbport.wire import header
from smbport.wire.constants import Command, HeaderFlag, TransformFlag
from smbport.wire.header import (
    COMPRESSION_MAGIC,
    HEADER_SIZE,
    MAX_FRAME,
    SMB2_MAGIC,
    TRANSFORM_MAGIC,
    BadFrame,
    CompressionTransformHeader,
    Header,
    TransformHeader,
    frame_length,
    frame_prefix,
    join_compound,
    response_message,
    split_compound,
)
from smbport.wire.record import BadStructure

SIGNATURE = bytes.fromhex("4de3df5b17bb8d25c3c3d4d1ee6d2e11")
NONCE = bytes.fromhex("0100000000000000000000") + bytes(5)

EXAMPLES = [
    (
        Header(
            protocol_id=SMB2_MAGIC,
            structure_size=64,
            credit_charge=1,
            status=0xC0000016,
            command=Command.SESSION_SETUP,
            credits=1,
            flags=HeaderFlag.SERVER_TO_REDIR | HeaderFlag.SIGNED,
            next_command=0,
            message_id=5,
            process_id=0xFEFF,
            tree_id=0x0E122161,
            session_id=0x90E942CC,
            signature=SIGNATURE,
        ),
        "fe534d42 4000 0100 160000c0 0100 0100 09000000 00000000 0500000000000000 fffe0000 6121120e cc42e99000000000"
        "4de3df5b17bb8d25c3c3d4d1ee6d2e11",
    ),
    (
        TransformHeader(
            protocol_id=TRANSFORM_MAGIC,
            signature=SIGNATURE,
            nonce=NONCE,
            original_message_size=0x68,
            flags=TransformFlag.ENCRYPTED,
            session_id=0x0000040000000061,
        ),
        "fd534d42 4de3df5b17bb8d25c3c3d4d1ee6d2e11 01000000000000000000000000000000 68000000 0000 01006100000000040000",
    ),
    (
        CompressionTransformHeader(
            protocol_id=COMPRESSION_MAGIC,
            original_compressed_segment_size=0x10000,
            compression_algorithm=2,
            flags=0,
            offset=0x50,
        ),
        "fc534d42 00000100 0200 0000 50000000",
    ),
]


@pytest.mark.parametrize(("expected", "example"), EXAMPLES, ids=[type(expected).__name__ for expected, _ in EXAMPLES])
def test_records(check_record, expected, example):
    check_record(expected, example)


def test_no_record_is_left_out(records_of):
    assert {type(expected) for expected, _ in EXAMPLES} == records_of(header)


def test_async_id():
    message = Header.unpack_from(bytes.fromhex(EXAMPLES[0][1]))
    message.process_id, message.tree_id = 0x44332211, 0x88776655
    assert message.async_id == 0x8877665544332211
    assert message.pack()[32:40] == (0x8877665544332211).to_bytes(8, "little")


@pytest.mark.parametrize(("length", "prefix"), [(0, "00000000"), (64, "00000040"), (MAX_FRAME, "00ffffff")])
def test_frame(length, prefix):
    assert frame_prefix(length) == bytes.fromhex(prefix)
    assert frame_length(bytes.fromhex(prefix)) == length
    assert frame_length(memoryview(bytes.fromhex(prefix + "fe534d42"))) == length


def test_frame_of_another_protocol():
    with pytest.raises(BadFrame, match="0x47"):
        frame_length(b"GET ")
    with pytest.raises(BadFrame):
        frame_length(bytes.fromhex("81000044"))  # a NetBIOS session request


def test_frame_too_long():
    with pytest.raises(ValueError, match="does not fit"):
        frame_prefix(MAX_FRAME + 1)


def test_response_message():
    message = response_message(b"body", 0xC0000016, Command.SESSION_SETUP, 1, 1, 9, 5, 0x0E1221610000FEFF, 0x90E942CC)
    expected = Header.unpack_from(bytes.fromhex(EXAMPLES[0][1]))
    expected.signature = bytes(16)
    assert message == bytes(4) + expected.pack() + b"body"


def packed_header(next_command=0):
    message = Header.unpack_from(bytes.fromhex(EXAMPLES[0][1]))
    message.next_command = next_command
    return message.pack()


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
