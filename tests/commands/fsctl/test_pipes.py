"""FSCTLs of pipes."""

from typing import Any

import pytest

from smbport.wire.constants import Access, FsControl

TRANSCEIVE, PEEK, WAIT = FsControl.PIPE_TRANSCEIVE, FsControl.PIPE_PEEK, FsControl.PIPE_WAIT
BIND = bytes.fromhex(
    "05000b03100000004800000001000000b810b810000000000100000000000100"
    "c84f324b7016d30112785a47bf6ee18803000000045d888aeb1cc9119fe808002b10486002000000"
)  # DCE/RPC bind to srvsvc 3.0 with NDR


@pytest.fixture
def pipe(wire: Any) -> Any:
    """A client with a pipe, as `pipe.file`."""
    peer = wire.connect(share="IPC$")
    peer.file = peer.create(peer.tree, "srvsvc", access=Access.GENERIC_ALL)
    return peer


def test_waiting_for_a_pipe(wire: Any, pipe: Any, peer: Any) -> None:
    assert pipe.fsctl(WAIT, bytes(20)) == ("SUCCESS", b"")
    assert peer.fsctl(WAIT, bytes(20))[0] == "INVALID_DEVICE_REQUEST"
    peer.tree = 99
    assert peer.fsctl(WAIT, bytes(20))[0] == "INVALID_DEVICE_REQUEST"


def test_a_question_and_its_answer(pipe: Any) -> None:
    status, output = pipe.fsctl(TRANSCEIVE, BIND, file=pipe.file)
    assert status == "SUCCESS"
    assert output[2] == 12, "bind_ack"


def test_an_answer_that_does_not_fit_is_cut_and_the_rest_waits(pipe: Any) -> None:
    status, first = pipe.fsctl(TRANSCEIVE, BIND, file=pipe.file, room=20)
    assert (status, len(first)) == ("BUFFER_OVERFLOW", 20)
    assert pipe.fsctl(TRANSCEIVE, BIND, file=pipe.file)[0] == "PIPE_BUSY"
    status, peeked = pipe.fsctl(PEEK, file=pipe.file)
    waiting = int.from_bytes(peeked[4:8], "little")
    rest = pipe.read(pipe.file, 0, 1000)
    assert len(rest) == waiting
    assert (first + rest)[2] == 12
    assert pipe.fsctl(TRANSCEIVE, BIND, file=pipe.file)[0] == "SUCCESS"


def test_peek(pipe: Any) -> None:
    """Connected, and nothing there."""
    assert pipe.fsctl(PEEK, file=pipe.file) == ("SUCCESS", bytes.fromhex("03000000 00000000 00000000 00000000"))
    assert pipe.fsctl(PEEK, file=pipe.file, room=15)[0] == "BUFFER_TOO_SMALL"


@pytest.mark.parametrize("code", [TRANSCEIVE, PEEK])
def test_rights(pipe: Any, code: int) -> None:
    opens = next(iter(pipe.connection.state.channels.values())).session.opens
    opens[pipe.file.volatile].granted_access = Access.READ_ATTRIBUTES
    assert pipe.fsctl(code, file=pipe.file)[0] == "ACCESS_DENIED"


def test_a_question_while_a_read_waits_for_an_answer(wire: Any, pipe: Any) -> None:
    """Whose answer would it be?"""
    [opened] = wire.server.sessions[pipe.session_id].opens.values()
    opened.readers.append(wire.server.runtime.new_event())
    assert pipe.fsctl(TRANSCEIVE, BIND, file=pipe.file)[0] == "PIPE_BUSY"
    opened.readers.clear()
    assert pipe.fsctl(TRANSCEIVE, BIND, file=pipe.file)[0] == "SUCCESS"
