import pytest

from smbport.wire import change
from smbport.wire.change import (
    ChangeNotifyFlag,
    ChangeNotifyRequest,
    ChangeNotifyResponse,
    FileNotifyInformation,
    NotifyAction,
    change_notify_output,
    pack_change_notify_response,
    pack_notify_information,
    parse_notify_information,
)
from smbport.wire.constants import CompletionFilter
from smbport.wire.header import HEADER_SIZE
from smbport.wire.record import BadStructure

EXAMPLES = [
    (
        ChangeNotifyRequest(
            flags=ChangeNotifyFlag.WATCH_TREE,
            output_buffer_length=1000,
            file_id_persistent=0x271677B1,
            file_id_volatile=0x4F99B4A6,
            completion_filter=CompletionFilter.FILE_NAME | CompletionFilter.DIR_NAME,
        ),
        "2000 0100 e8030000 b177162700000000 a6b4994f00000000 03000000 00000000",
    ),
    (ChangeNotifyResponse(output_buffer_offset=0x48, output_buffer_length=0x90), "0900 4800 90000000"),
    (
        FileNotifyInformation(next_entry_offset=0x24, action=NotifyAction.REMOVED, file_name_length=22),
        "24000000 02000000 16000000",
    ),
]


@pytest.mark.parametrize(("expected", "example"), EXAMPLES, ids=[type(expected).__name__ for expected, _ in EXAMPLES])
def test_records(check_record, expected, example):
    check_record(expected, example)


def test_no_record_is_left_out(records_of):
    assert {type(expected) for expected, _ in EXAMPLES} == records_of(change)


def parse_response(message):
    response = ChangeNotifyResponse.unpack_from(message, HEADER_SIZE)
    return parse_notify_information(change_notify_output(message, response))


def test_response_of_samba(captured, check_parser, check_offset):
    message = captured("change_notify_response_samba")
    changes = parse_response(message)
    assert changes == [(NotifyAction.ADDED, "subdir-name"), (NotifyAction.REMOVED, "subdir-name")] * 2
    check_parser(parse_response, message)
    check_offset(parse_response, message, HEADER_SIZE + 2)
    assert pack_notify_information(changes) == message[HEADER_SIZE + ChangeNotifyResponse.SIZE : -2]


def test_rename():
    changes = [(NotifyAction.RENAMED_OLD_NAME, "a"), (NotifyAction.RENAMED_NEW_NAME, r"d\bc")]
    packed = pack_notify_information(changes)
    assert packed == bytes.fromhex("10000000 04000000 02000000 6100 0000 00000000 05000000 08000000 64005c0062006300")
    body = pack_change_notify_response(packed)
    assert body[:8] == bytes.fromhex("0900 4800 24000000")
    assert parse_response(bytes(HEADER_SIZE) + body) == changes


def test_without_changes():
    body = pack_change_notify_response(b"")
    assert body == bytes.fromhex("0900 0000 00000000 00")
    assert parse_response(bytes(HEADER_SIZE) + body) == []


@pytest.mark.parametrize(
    "chain",
    [
        pytest.param("00000000 01000000 0200", id="cut"),
        pytest.param("00000000 01000000 04000000 6100", id="name behind the end"),
        pytest.param("00000000 01000000 01000000 61", id="odd name"),
        pytest.param("0e000000 01000000 02000000 6100 00000000 01000000 00000000", id="next unaligned"),
        pytest.param("ffffffff 01000000 02000000 6100", id="next far away"),
    ],
)
def test_information_that_lies(chain):
    with pytest.raises(BadStructure):
        parse_notify_information(bytes.fromhex(chain))
