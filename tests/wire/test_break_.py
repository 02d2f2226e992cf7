import pytest

from smbport.wire import break_
from smbport.wire.break_ import (
    LeaseBreakAcknowledgment,
    LeaseBreakFlag,
    LeaseBreakNotification,
    LeaseBreakResponse,
    OplockBreakAcknowledgment,
    OplockBreakNotification,
    OplockBreakResponse,
    parse_break_acknowledgment,
    parse_break_notification,
)
from smbport.wire.constants import OplockLevel
from smbport.wire.header import HEADER_SIZE
from smbport.wire.record import BadStructure

KEY = bytes.fromhex("0df0dde0fe0fdcbaf20f221f01f02345")
FILE_ID = {"file_id_persistent": 0x3E9DC3C7, "file_id_volatile": 0x45C11677}
OPLOCK = "1800 01 00 00000000 c7c39d3e00000000 7716c14500000000"
LEASE = "2400 0000 00000000 0df0dde0fe0fdcbaf20f221f01f02345 03000000 0000000000000000"

EXAMPLES = [
    (OplockBreakNotification(oplock_level=OplockLevel.LEVEL_II, **FILE_ID), OPLOCK),
    (OplockBreakAcknowledgment(oplock_level=OplockLevel.LEVEL_II, **FILE_ID), OPLOCK),
    (OplockBreakResponse(oplock_level=OplockLevel.LEVEL_II, **FILE_ID), OPLOCK),
    (
        LeaseBreakNotification(
            new_epoch=0x4712,
            flags=LeaseBreakFlag.ACK_REQUIRED,
            lease_key=KEY,
            current_lease_state=7,
            new_lease_state=3,
        ),
        "2c00 1247 01000000 0df0dde0fe0fdcbaf20f221f01f02345 07000000 03000000 00000000 00000000 00000000",
    ),
    (LeaseBreakAcknowledgment(lease_key=KEY, lease_state=3), LEASE),
    (LeaseBreakResponse(lease_key=KEY, lease_state=3), LEASE),
]


@pytest.mark.parametrize(("expected", "example"), EXAMPLES, ids=[type(expected).__name__ for expected, _ in EXAMPLES])
def test_records(check_record, expected, example):
    check_record(expected, example)


def test_no_record_is_left_out(records_of):
    assert {type(expected) for expected, _ in EXAMPLES} == records_of(break_)


@pytest.mark.parametrize("example", [EXAMPLES[1], EXAMPLES[4]], ids=["oplock", "lease"])
def test_acknowledgment_of_either_form(check_parser, example):
    expected, packed = example
    message = bytes(HEADER_SIZE) + bytes.fromhex(packed)
    assert parse_break_acknowledgment(message) == expected
    check_parser(parse_break_acknowledgment, message)


@pytest.mark.parametrize("example", [EXAMPLES[0], EXAMPLES[3]], ids=["oplock", "lease"])
def test_notification_of_either_form(check_parser, example):
    expected, packed = example
    message = bytes(HEADER_SIZE) + bytes.fromhex(packed)
    assert parse_break_notification(message) == expected
    check_parser(parse_break_notification, message)


def test_the_forms_of_one_direction_are_not_those_of_the_other():
    with pytest.raises(BadStructure):
        parse_break_acknowledgment(bytes(HEADER_SIZE) + EXAMPLES[3][0].pack())
    with pytest.raises(BadStructure):
        parse_break_notification(bytes(HEADER_SIZE) + EXAMPLES[4][0].pack())
