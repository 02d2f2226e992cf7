"""ECHO."""

from typing import Any

import pytest

from smbport.wire.constants import Command
from smbport.wire.echo import EchoRequest, EchoResponse
from smbport.wire.header import HEADER_SIZE
from smbport.wire.status import Disconnect, Status

ECHO = EchoRequest().pack()


def test_echo_needs_no_session(wire: Any) -> None:
    peer = wire.client()
    peer.negotiate()
    [(header, frame)] = peer.send(Command.ECHO, ECHO)
    assert header.status == Status.SUCCESS
    assert frame[HEADER_SIZE:] == EchoResponse().pack()


def test_echo_needs_a_dialect(wire: Any) -> None:
    with pytest.raises(Disconnect, match="ECHO before NEGOTIATE"):
        wire.client().send(Command.ECHO, ECHO)


def test_every_answer_is_the_same(peer: Any) -> None:
    """They share one reply; what the dispatcher adds to one must not show in the next."""
    answers = [peer.ask(Command.ECHO, ECHO)[1][HEADER_SIZE:] for _ in range(3)]
    assert answers == [EchoResponse().pack()] * 3


def test_an_echo_that_lies(peer: Any) -> None:
    assert peer.lie(Command.ECHO, ECHO, least=len(ECHO)) == {Status.INVALID_PARAMETER}
