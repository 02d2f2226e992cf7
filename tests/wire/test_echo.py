import pytest

from smbport.wire import echo
from smbport.wire.echo import CancelRequest, EchoRequest, EchoResponse

EXAMPLES = [
    (EchoRequest(), "0400 0000"),
    (EchoResponse(), "0400 0000"),
    (CancelRequest(), "0400 0000"),
]


@pytest.mark.parametrize(("expected", "example"), EXAMPLES, ids=[type(expected).__name__ for expected, _ in EXAMPLES])
def test_records(check_record, expected, example):
    check_record(expected, example)


def test_no_record_is_left_out(records_of):
    assert {type(expected) for expected, _ in EXAMPLES} == records_of(echo)
