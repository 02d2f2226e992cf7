"""A request as handlers see it."""

from typing import Any

import pytest

from smbport.commands.call import NO_FILE_ID, Call, Chain, FileRange, Reply
from smbport.pipes.pipe import open_pipe
from smbport.security.preauth import PreauthHash
from smbport.state.open import FileOpen, PipeOpen
from smbport.state.session import Channel
from smbport.state.tree import TreeConnect
from smbport.wire.constants import Access, Dialect, HeaderFlag
from smbport.wire.echo import EchoResponse
from smbport.wire.header import HEADER_SIZE, Header
from smbport.wire.status import Status


@pytest.fixture
def opened(share: Any) -> FileOpen:
    share.make("f", b"content")
    opened: FileOpen = share.open("f")
    return opened


def pipe(share: Any) -> PipeOpen:
    ipc = TreeConnect(share.session, 9, share.server.ipc, share.inner.account, None)
    held = open_pipe("srvsvc", lambda: None)  # type: ignore[arg-type, return-value]
    assert held is not None
    return PipeOpen(ipc, 1, 1, Access.FILE_ALL_ACCESS, "srvsvc", held)


def bare(share: Any) -> Call:
    """A request before anything was found out about it."""
    message = memoryview(bytes(HEADER_SIZE))
    return Call(share.connection, Chain(sealed=None), Header.unpack_from(message), message)


def logged_on(share: Any, opened: FileOpen) -> Call:
    call: Call = share.call(opened, b"")
    call.channel = Channel(share.session, share.connection, PreauthHash())
    return call


# Channel sequences ----------------------------------------------------------------------------------------------


def sent(share: Any, opened: FileOpen, sequence: int, flags: int = 0) -> Call:
    """A request as a client of 3.x sends it after it has lost some channels."""
    call: Call = share.call(opened, b"")
    call.header.status, call.flags = sequence, flags
    return call


def test_an_open_stays_while_it_is_held(share: Any, opened: FileOpen) -> None:
    first, second = sent(share, opened, 0), sent(share, opened, 0)
    first.hold(opened, changes=True)
    second.hold(opened, changes=False)
    assert (opened.pins, opened.requests) == (2, 2)
    share.server.close_open(opened)
    first.let_go()
    assert share.inner.open_handles == 1
    second.let_go()
    assert share.inner.open_handles == 0
    assert (opened.pins, opened.requests) == (0, 0)


def test_a_change_that_was_sent_before_a_channel_was_lost(share: Any, opened: FileOpen, refused: Any) -> None:
    """What only reads may still be answered; it does not count."""
    sent(share, opened, 5).hold(opened, changes=False)
    late = sent(share, opened, 4)
    with refused(Status.FILE_NOT_AVAILABLE):
        late.hold(opened, changes=True)
    assert (opened.pins, opened.requests, opened.older_requests) == (1, 1, 0)
    late.hold(opened, changes=False)
    assert (opened.pins, opened.requests, opened.older_requests) == (2, 1, 0)
    late.let_go()
    assert (opened.pins, opened.requests, opened.older_requests) == (1, 1, 0)


def test_a_replay_of_what_still_runs(share: Any, opened: FileOpen, refused: Any) -> None:
    first = sent(share, opened, 0)
    first.hold(opened, changes=True)
    sent(share, opened, 1).hold(opened, changes=False)
    assert (opened.requests, opened.older_requests) == (1, 1)
    with refused(Status.FILE_NOT_AVAILABLE):
        sent(share, opened, 1, HeaderFlag.REPLAY_OPERATION).hold(opened, changes=True)
    first.let_go()
    assert (opened.requests, opened.older_requests) == (1, 0)
    sent(share, opened, 1, HeaderFlag.REPLAY_OPERATION).hold(opened, changes=True)
    assert (opened.requests, opened.older_requests) == (2, 0)


def test_older_dialects_have_no_channel_sequence(share: Any, opened: FileOpen) -> None:
    share.connection.dialect = Dialect.SMB_2_1
    for sequence in (9, 1):
        sent(share, opened, sequence).hold(opened, changes=True)
    assert (opened.channel_sequence, opened.requests) == (0, 2)


# Replies --------------------------------------------------------------------------------------------------------


def test_a_reply_packs_records_and_keeps_bytes() -> None:
    assert Reply(EchoResponse()).body == EchoResponse().pack()
    plain = Reply(b"body", b"payload", Status.BUFFER_OVERFLOW)
    assert (plain.body, plain.payload, plain.status) == (b"body", b"payload", Status.BUFFER_OVERFLOW)


def test_a_file_range_is_as_long_as_what_it_promises(opened: FileOpen) -> None:
    assert len(FileRange(opened, opened.file, 2, 5)) == 5


# What a call lacks is an answer, not a crash ----------------------------------------------------------------------


def test_no_session_no_tree_no_open(share: Any, refused: Any) -> None:
    call = bare(share)
    with refused(Status.USER_SESSION_DELETED):
        _ = call.session
    with refused(Status.NETWORK_NAME_DELETED):
        _ = call.tree_connect
    with refused(Status.INVALID_DEVICE_REQUEST):
        _ = call.file


def test_a_pipe_is_no_file(share: Any, refused: Any) -> None:
    call = bare(share)
    call.opened = pipe(share)
    with refused(Status.INVALID_DEVICE_REQUEST):
        _ = call.file


def test_what_a_call_has(share: Any, opened: FileOpen) -> None:
    call = logged_on(share, opened)
    assert call.session is share.session
    assert call.tree_connect is share.tree
    assert call.file is opened


# Opens are found by both halves of the id, in their own tree ------------------------------------------------------


def test_find_open(share: Any, opened: FileOpen) -> None:
    call = logged_on(share, opened)
    ids = opened.persistent_id, opened.volatile_id
    assert call.find_open(*ids) is opened
    assert call.chain.file_id == ids


def test_all_ones_is_the_open_of_the_request_before(share: Any, opened: FileOpen) -> None:
    call = logged_on(share, opened)
    call.chain.file_id = (opened.persistent_id, opened.volatile_id)
    assert call.find_open(NO_FILE_ID, NO_FILE_ID) is opened


@pytest.mark.parametrize("half", ["persistent", "volatile"])
def test_all_ones_in_one_half_is_no_id(share: Any, opened: FileOpen, refused: Any, half: str) -> None:
    call = logged_on(share, opened)
    call.chain.file_id = (opened.persistent_id, opened.volatile_id)
    persistent = NO_FILE_ID if half == "persistent" else opened.persistent_id
    volatile = NO_FILE_ID if half == "volatile" else opened.volatile_id
    with refused(Status.FILE_CLOSED):
        call.find_open(persistent, volatile)


def test_a_related_request_is_about_the_open_of_the_request_before(share: Any, opened: FileOpen) -> None:
    """Whatever it names; smbtorture's compound_async.getinfo_middle fills in one half only."""
    call = logged_on(share, opened)
    call.flags |= HeaderFlag.RELATED_OPERATIONS
    call.chain.file_id = (opened.persistent_id, opened.volatile_id)
    assert call.find_open(NO_FILE_ID, 0) is opened
    call.chain.file_id = (0, 0)
    assert call.find_open(opened.persistent_id, opened.volatile_id) is opened


def test_an_id_must_be_right_in_both_halves(share: Any, opened: FileOpen, refused: Any) -> None:
    call = logged_on(share, opened)
    for ids in ((opened.persistent_id + 1, opened.volatile_id), (opened.persistent_id, opened.volatile_id + 1)):
        with refused(Status.FILE_CLOSED):
            call.find_open(*ids)


def test_an_open_of_another_tree_is_not_found(share: Any, opened: FileOpen, refused: Any) -> None:
    call = logged_on(share, opened)
    call.tree = TreeConnect(share.session, 2, share.tree.share, share.inner.account, share.volume)
    with refused(Status.FILE_CLOSED):
        call.find_open(opened.persistent_id, opened.volatile_id)


def test_no_request_before_has_no_open(share: Any, opened: FileOpen, refused: Any) -> None:
    with refused(Status.FILE_CLOSED):
        logged_on(share, opened).find_open(NO_FILE_ID, NO_FILE_ID)


def test_still_open(share: Any, opened: FileOpen, refused: Any) -> None:
    call = logged_on(share, opened)
    assert call.still_open() is opened
    share.server.close_open(opened)
    with refused(Status.FILE_CLOSED):
        call.still_open()
