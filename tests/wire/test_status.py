import pytest

from smbport.wire.status import Disconnect, Status, StatusError, status_name

VALUES = {key: value for key, value in vars(Status).items() if key.isupper()}


def test_values_differ():
    assert len(set(VALUES.values())) == len(VALUES)


@pytest.mark.parametrize("name", VALUES)
def test_severity(name):
    """SUCCESS, informational, warning and error are the two highest bits.  [MS-ERREF] 2.3"""
    successes = {"SUCCESS", "PENDING", "NOTIFY_CLEANUP", "NOTIFY_ENUM_DIR"}
    warnings = {
        "BUFFER_OVERFLOW", "NO_MORE_FILES", "INVALID_EA_NAME", "EA_LIST_INCONSISTENT", "NO_MORE_ENTRIES",
        "STOPPED_ON_SYMLINK",
    }  # fmt: skip
    expected = 0 if name in successes else 2 if name in warnings else 3
    assert VALUES[name] >> 30 == expected


def test_names():
    assert status_name(0) == "STATUS_SUCCESS"
    assert status_name(0xC0000022) == "STATUS_ACCESS_DENIED"
    assert status_name(0xC0FFEE) == "0x00C0FFEE"


def test_status_error():
    error = StatusError(Status.ACCESS_DENIED)
    assert error.status == Status.ACCESS_DENIED
    assert str(error) == "STATUS_ACCESS_DENIED"
    assert str(StatusError(Status.INVALID_PARAMETER, "because")) == "STATUS_INVALID_PARAMETER: because"


def test_disconnect_is_no_answer():
    assert not issubclass(Disconnect, StatusError)
    assert str(Disconnect("reason")) == "reason"
