import pytest

from smbport.pipes.handles import BadHandle, Handles
from smbport.wire.status import Status, StatusError


def test_open_find_and_close():
    handles = Handles()
    data = handles.open(b"here", 7)
    assert len(data) == 20
    assert handles.find(data, b"else", b"here") == (b"here", 7)
    handles.close(data)
    for after in (handles.find, handles.close):
        with pytest.raises(BadHandle):
            after(data)


def test_of_another_kind():
    handles = Handles()
    data = handles.open(b"here")
    with pytest.raises(StatusError) as caught:
        handles.find(data, b"else")
    assert caught.value.status == Status.INVALID_HANDLE


def test_of_another_pipe():
    first, second = Handles(), Handles()
    data = first.open(b"here")
    assert second.open(b"here") != data
    with pytest.raises(BadHandle):
        second.find(data, b"here")


def test_too_many():
    handles = Handles()
    opened = [handles.open(b"here") for _ in range(1024)]
    with pytest.raises(StatusError) as caught:
        handles.open(b"here")
    assert caught.value.status == Status.INSUFFICIENT_RESOURCES
    handles.close(opened[0])
    assert handles.open(b"here") not in opened
