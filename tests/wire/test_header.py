import pytest

from smbport.wire import header
from smbport.wire.constants import Command, HeaderFlag, TransformFlag
from smbport.wire.header import (
    COMPRESSION_MAGIC,
    SMB2_MAGIC,
    TRANSFORM_MAGIC,
    CompressionTransformHeader,
    Header,
    TransformHeader,
)

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
