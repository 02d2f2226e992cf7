"""Connections end without a word, thousands of them, with every kind of thing pending: nothing of them stays."""

import gc
import logging
import random
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
import spnego

from smbport.state.settings import Limits
from smbport.wire.change import ChangeNotifyRequest
from smbport.wire.constants import (
    Access,
    Command,
    CreateDisposition,
    CreateOption,
    HeaderFlag,
    LockFlag,
    OplockLevel,
    SecurityMode,
    SessionSetupFlag,
)
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request
from smbport.wire.session import SessionSetupRequest, pack_session_setup_request
from smbport.wire.status import Status

ROUNDS = 230  # of nine connections each


def census() -> Counter[str]:
    """How many objects there are of every class of ours."""
    gc.collect()
    names = (f"{type(thing).__module__}.{type(thing).__qualname__}" for thing in gc.get_objects())
    return Counter(name for name in names if name.startswith("smbport"))


def lock_body(file: Any) -> bytes:
    request = LockRequest(file_id_persistent=file.persistent, file_id_volatile=file.volatile)
    return pack_lock_request(request, [LockElement(offset=0, length=1, flags=LockFlag.EXCLUSIVE)])


def negotiated(wire: Any) -> Any:
    peer = wire.client()
    peer.negotiate([0x0311])
    return peer


def first_leg(peer: Any, bound: Any = None) -> int:
    """Half a logon, or half a binding to the session of another client; the status."""
    token = spnego.client("u", "p", hostname="server", service="cifs", protocol="ntlm").step() or b""
    flags = SessionSetupFlag.BINDING if bound is not None else 0
    request = SessionSetupRequest(flags=flags, security_mode=SecurityMode.SIGNING_ENABLED)
    peer.session_id = bound.session_id if bound is not None else 0
    message = peer.message(Command.SESSION_SETUP, pack_session_setup_request(request, token))
    if bound is not None:
        message[16] |= HeaderFlag.SIGNED
        bound.signer.sign(memoryview(message), from_server=False)
    [(header, _)] = peer.frames(message, plain=True)
    return int(header.status)


def fail_to_log_on(peer: Any) -> None:
    """With a wrong password, whose refusal waits."""

    def receive() -> bytes:
        if not peer.link.replies:
            raise TimeoutError
        reply: bytes = peer.link.replies.pop(0)
        return reply

    peer.link.receive = receive
    with suppress(TimeoutError):
        peer.log_on("u", "wrong")
    assert peer.connection.waiting


def make_things_pend(wire: Any) -> list[Any]:
    """The connections of one round, each with something unfinished."""
    first = wire.connect()
    second = negotiated(wire)
    second.bind(first, "u", "p")
    second.tree = first.tree
    other = wire.connect("other", "q")
    # A lock that waits for one of the same session, sent over the second channel; and one of somebody else.
    locked = first.open("f")
    assert first.send(Command.LOCK, lock_body(locked))[0][0].status == Status.SUCCESS
    for peer in (second, other):
        assert peer.send(Command.LOCK, lock_body(peer.open("f")))[0][0].status == Status.PENDING
    # A batch oplock whose break is not acknowledged, and who waits for that.
    first.create(
        first.tree, "g", access=Access.GENERIC_ALL, disposition=CreateDisposition.OPEN, oplock=OplockLevel.BATCH
    )
    assert other.send(Command.CREATE, other.create_body("g"))[0][0].status == Status.PENDING
    # Somebody who watches a directory, a pipe that holds an answer, a name that is to go.
    watched = second.open("", Access.FILE_GENERIC_READ, options=CreateOption.DIRECTORY_FILE)
    notify = ChangeNotifyRequest(
        flags=1, output_buffer_length=1024, file_id_persistent=watched.persistent, file_id_volatile=watched.volatile,
        completion_filter=0xFFF,
    )  # fmt: skip
    assert second.send(Command.CHANGE_NOTIFY, notify.pack())[0][0].status == Status.PENDING
    ipc = other.tree_connect("IPC$")
    pipe = other.create(ipc, "srvsvc", access=Access.FILE_GENERIC_READ | Access.FILE_GENERIC_WRITE)
    other.write(pipe, 0, bytes.fromhex("05000b03100000004800000001000000") + bytes(56))
    first.make(f"{first.session_id}", options=CreateOption.DELETE_ON_CLOSE)
    # Logons: half of one, half a binding, one that is being refused; a connection that has said little, and nothing.
    half, binding, refused, quiet = (negotiated(wire) for _ in range(4))
    assert first_leg(half) == Status.MORE_PROCESSING_REQUIRED
    assert first_leg(binding, first) == Status.MORE_PROCESSING_REQUIRED
    fail_to_log_on(refused)
    gone_first = negotiated(wire)
    gone_first.bind(first, "u", "p")
    return [first, second, other, half, binding, refused, quiet, gone_first, wire.client()]


def end_all(wire: Any, peers: list[Any], order: random.Random) -> None:
    order.shuffle(peers)
    for peer in peers:
        peer.connection.close()
    wire.server.lookout.deliver()  # what the event loop does from time to time


def test_nothing_stays_of_whoever_goes_abruptly(new_wire: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "smbport")  # what is logged would keep the errors, and these their frames
    wire = new_wire(limits=Limits(failed_logons_pending_per_address=1))
    wire.make("f")
    wire.make("g")
    order = random.Random(1)
    for _ in range(2):  # what is made once and kept
        end_all(wire, make_things_pend(wire), order)
    before = census()
    for _ in range(ROUNDS):
        end_all(wire, make_things_pend(wire), order)
    assert census() - before == Counter()
    assert (wire.server.sessions, wire.server.throttle._pending) == ({}, {})
    assert wire.names() == ["f", "g"]
    assert wire.server.bugs == 0
    wire.check_nothing_is_open()
