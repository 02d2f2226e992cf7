"""LOCK: all or nothing, and nothing is left after a refusal."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from smbport.state.settings import Limits
from smbport.wire.constants import (
    Access,
    Capability,
    Command,
    CreateOption,
    Dialect,
    HeaderFlag,
    LockFlag,
    OplockLevel,
)
from smbport.wire.echo import CancelRequest
from smbport.wire.header import HEADER_SIZE, Header
from smbport.wire.lock import LockElement, LockRequest, LockResponse, pack_lock_request
from smbport.wire.status import Status, StatusError, status_name

SHARED, EXCLUSIVE, UNLOCK, NOW = LockFlag.SHARED, LockFlag.EXCLUSIVE, LockFlag.UNLOCK, LockFlag.FAIL_IMMEDIATELY
LAST = (1 << 64) - 1
Element = tuple[int, int, int]  # offset, length, flags
Headers = list[Header]


@pytest.fixture
def holder(wire: Any) -> Any:
    """A client with the file f open, as `holder.file`."""
    wire.make("f", bytes(1000))
    return opened(wire)


def opened(wire: Any, access: int = Access.GENERIC_ALL) -> Any:
    peer = wire.connect()
    peer.file = peer.open("f", access)
    return peer


def body(peer: Any, *elements: Element) -> bytes:
    request = LockRequest(file_id_persistent=peer.file.persistent, file_id_volatile=peer.file.volatile)
    packed = [LockElement(offset=offset, length=length, flags=flags) for offset, length, flags in elements]
    return pack_lock_request(request, packed)


def ask(peer: Any, *elements: Element) -> Headers:
    """What comes at once."""
    return [header for header, _ in peer.send(Command.LOCK, body(peer, *elements))]


def lock(peer: Any, *elements: Element) -> str:
    [header] = ask(peer, *elements)
    return status_name(header.status).removeprefix("STATUS_")


def is_free(wire: Any, offset: int, length: int = 1) -> bool:
    """Whether somebody else could have the range for himself."""
    other = opened(wire)
    free = lock(other, (offset, length, EXCLUSIVE | NOW)) == "SUCCESS"
    other.close(other.file)
    return free


# Granting -----------------------------------------------------------------------------------------------------------


def test_the_response(holder: Any) -> None:
    _, frame = holder.ask(Command.LOCK, body(holder, (0, 10, EXCLUSIVE | NOW)), tree_id=holder.tree)
    assert frame[HEADER_SIZE:] == LockResponse().pack()


@pytest.mark.parametrize(
    ("held", "wanted", "granted"),
    [
        (SHARED, SHARED, True),
        (SHARED, EXCLUSIVE, False),
        (EXCLUSIVE, SHARED, False),
        (EXCLUSIVE, EXCLUSIVE, False),
    ],
)
def test_two_clients(wire: Any, holder: Any, held: int, wanted: int, granted: bool) -> None:
    other = opened(wire)
    assert lock(holder, (10, 10, held | NOW)) == "SUCCESS"
    for offset in (5, 10, 19):
        assert lock(other, (offset, 10, wanted | NOW)) == ("SUCCESS" if granted else "LOCK_NOT_GRANTED")
    for offset in (0, 20):
        assert lock(other, (offset, 5, wanted | NOW)) == "SUCCESS"


def test_two_opens_of_one_client_are_two(wire: Any, holder: Any) -> None:
    assert lock(holder, (0, 10, EXCLUSIVE | NOW)) == "SUCCESS"
    holder.file = holder.open("f")
    assert lock(holder, (0, 10, SHARED | NOW)) == "LOCK_NOT_GRANTED"


def test_behind_the_end_and_at_the_very_end(holder: Any) -> None:
    """A range need not exist.  It may reach to 2^64, not beyond it.  [MS-FSA] 2.1.5.8"""
    assert lock(holder, (1 << 40, 1 << 40, EXCLUSIVE | NOW)) == "SUCCESS"
    assert lock(holder, (LAST, 1, EXCLUSIVE | NOW)) == "SUCCESS"
    assert lock(holder, (1 << 63, (1 << 63) - 1, EXCLUSIVE | NOW)) == "SUCCESS"


@pytest.mark.parametrize(("offset", "length"), [(LAST, 2), (LAST, LAST), (2, LAST), (1 << 63, (1 << 63) + 1)])
def test_a_range_that_wraps(wire: Any, holder: Any, offset: int, length: int) -> None:
    assert lock(holder, (offset, length, EXCLUSIVE | NOW)) == "INVALID_LOCK_RANGE"
    assert lock(holder, (0, 1, EXCLUSIVE | NOW), (offset, length, EXCLUSIVE | NOW)) == "INVALID_LOCK_RANGE"
    assert is_free(wire, 0, LAST)


def test_a_range_of_nothing(wire: Any, holder: Any) -> None:
    """It stands between two bytes: no byte is held."""
    assert lock(holder, (10, 0, EXCLUSIVE | NOW)) == "SUCCESS"
    assert is_free(wire, 10, 5)
    assert is_free(wire, 5, 5)
    assert not is_free(wire, 5, 10)


# Arrays -------------------------------------------------------------------------------------------------------------


def test_all_of_an_array(wire: Any, holder: Any) -> None:
    assert lock(holder, (0, 10, EXCLUSIVE | NOW), (20, 10, SHARED | NOW), (30, 0, EXCLUSIVE | NOW)) == "SUCCESS"
    assert [is_free(wire, offset) for offset in (0, 9, 10, 20, 29, 40)] == [False, False, True, False, False, True]


def test_none_of_an_array(wire: Any, holder: Any) -> None:
    """What was granted before the one that failed is given back."""
    other = opened(wire)
    assert lock(other, (50, 10, EXCLUSIVE | NOW)) == "SUCCESS"
    array = [(0, 10, EXCLUSIVE | NOW), (20, 10, SHARED | NOW), (55, 1, SHARED | NOW), (70, 1, EXCLUSIVE | NOW)]
    assert lock(holder, *array) == "LOCK_NOT_GRANTED"
    assert [is_free(wire, offset) for offset in (0, 20, 70)] == [True] * 3


def test_giving_back_spares_what_was_held_before(wire: Any, holder: Any) -> None:
    assert lock(holder, (0, 10, SHARED | NOW)) == "SUCCESS"
    other = opened(wire)
    assert lock(other, (50, 10, EXCLUSIVE | NOW)) == "SUCCESS"
    assert lock(holder, (0, 10, SHARED | NOW), (50, 1, EXCLUSIVE | NOW)) == "LOCK_NOT_GRANTED"
    assert not is_free(wire, 0)
    assert lock(holder, (0, 10, UNLOCK)) == "SUCCESS"
    assert is_free(wire, 0)


BAD_ARRAYS: dict[str, Sequence[Element]] = {
    "none": (),
    "no flags": ((0, 1, 0),),
    "only fail immediately": ((0, 1, NOW),),
    "shared and exclusive": ((0, 1, SHARED | EXCLUSIVE | NOW),),
    "lock and unlock": ((0, 1, EXCLUSIVE | UNLOCK),),
    "unlock and fail immediately": ((0, 1, UNLOCK | NOW),),
    "an unknown flag": ((0, 1, EXCLUSIVE | NOW | 0x20),),
    "all flags": ((0, 1, 0xFFFFFFFF),),
    "the second waits": ((0, 1, EXCLUSIVE | NOW), (2, 1, EXCLUSIVE)),
    "the first waits": ((0, 1, EXCLUSIVE), (2, 1, EXCLUSIVE | NOW)),
    "a lock, then an unlock": ((0, 1, EXCLUSIVE | NOW), (0, 1, UNLOCK)),
    "a good one, then a bad one": ((0, 1, EXCLUSIVE | NOW), (2, 1, 0)),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_bad_arrays(wire: Any, holder: Any, name: str) -> None:
    """Refused as a whole, before anything is locked."""
    assert lock(holder, *BAD_ARRAYS[name]) == "INVALID_PARAMETER"
    assert is_free(wire, 0, LAST)
    assert not holder.connection.waiting


def test_locks_of_an_open_are_bounded(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(limits=Limits(locks_per_open=3))
    wire.make("f")
    peer = opened(wire)
    array = [(offset, 1, EXCLUSIVE | NOW) for offset in range(4)]
    assert lock(peer, *array) == "INSUFFICIENT_RESOURCES"
    assert is_free(wire, 0, 10)
    assert lock(peer, *array[:3]) == "SUCCESS"
    assert lock(peer, array[3]) == "INSUFFICIENT_RESOURCES"
    assert lock(peer, (1, 1, UNLOCK)) == "SUCCESS"
    assert lock(peer, array[3]) == "SUCCESS"


def test_locks_of_a_file_are_bounded(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(limits=Limits(locks_per_open=2, locks_per_file=3))
    wire.make("f")
    first, second = opened(wire), opened(wire)
    assert lock(first, (0, 1, EXCLUSIVE | NOW), (1, 1, EXCLUSIVE | NOW)) == "SUCCESS"
    assert lock(second, (2, 1, EXCLUSIVE | NOW), (3, 1, EXCLUSIVE | NOW)) == "INSUFFICIENT_RESOURCES"
    assert lock(second, (2, 1, EXCLUSIVE | NOW)) == "SUCCESS"
    wire.make("other")
    second.file = second.open("other")
    assert lock(second, (2, 1, EXCLUSIVE | NOW), (3, 1, EXCLUSIVE | NOW)) == "SUCCESS"


def test_waiting_is_bounded(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(limits=Limits(lock_waits_per_file=2))
    wire.make("f")
    holder, peer = opened(wire), opened(wire)
    assert lock(holder, (0, 1, EXCLUSIVE | NOW)) == "SUCCESS"
    for _ in range(2):
        [pending] = ask(peer, (0, 1, EXCLUSIVE))
        assert pending.status == Status.PENDING
    assert lock(peer, (0, 1, EXCLUSIVE)) == "INSUFFICIENT_RESOURCES"
    assert lock(peer, (0, 1, EXCLUSIVE | NOW)) == "LOCK_NOT_GRANTED"
    holder.close(holder.file)
    [frame] = peer.connection.resume()
    assert Header.unpack_from(frame).status == Status.SUCCESS


def test_ten_thousand_locks_of_one_connection(wire: Any, holder: Any) -> None:
    for first in range(0, 10000, 500):
        array = [(3 * number, 2, EXCLUSIVE | NOW) for number in range(first, first + 500)]
        assert lock(holder, *array) == "SUCCESS"
    assert [is_free(wire, offset) for offset in (0, 2, 14999, 29998, 29999)] == [False, True, True, False, True]
    for number in range(9999, -1, -7):
        assert lock(holder, (3 * number, 2, UNLOCK)) == "SUCCESS"
    assert is_free(wire, 29997, 2)


def test_an_array_as_long_as_a_message(wire: Any, holder: Any) -> None:
    array = [(2 * number, 1, EXCLUSIVE | NOW) for number in range(2000)]
    assert lock(holder, *array) == "SUCCESS"
    assert not is_free(wire, 3998)
    assert is_free(wire, 3999)


# Unlocking ----------------------------------------------------------------------------------------------------------


def test_unlock_is_exact(wire: Any, holder: Any) -> None:
    assert lock(holder, (0, 10, EXCLUSIVE | NOW)) == "SUCCESS"
    for offset, length in ((0, 5), (1, 9), (0, 11), (0, 0), (5, 1), (LAST, LAST)):
        assert lock(holder, (offset, length, UNLOCK)) == "RANGE_NOT_LOCKED"
    assert not is_free(wire, 0)
    assert lock(holder, (0, 10, UNLOCK)) == "SUCCESS"
    assert lock(holder, (0, 10, UNLOCK)) == "RANGE_NOT_LOCKED"


def test_nobody_unlocks_for_others(wire: Any, holder: Any) -> None:
    assert lock(holder, (0, 10, EXCLUSIVE | NOW)) == "SUCCESS"
    assert lock(opened(wire), (0, 10, UNLOCK)) == "RANGE_NOT_LOCKED"
    assert not is_free(wire, 0)


def test_unlocks_before_a_bad_one_stay(wire: Any, holder: Any) -> None:
    """[MS-SMB2] 3.3.5.14.1"""
    assert lock(holder, (0, 1, EXCLUSIVE | NOW), (2, 1, EXCLUSIVE | NOW), (4, 1, EXCLUSIVE | NOW)) == "SUCCESS"
    assert lock(holder, (0, 1, UNLOCK), (9, 1, UNLOCK), (4, 1, UNLOCK)) == "RANGE_NOT_LOCKED"
    assert [is_free(wire, offset) for offset in (0, 2, 4)] == [True, False, False]
    assert lock(holder, (2, 1, UNLOCK), (4, 1, EXCLUSIVE | NOW)) == "INVALID_PARAMETER"
    assert [is_free(wire, offset) for offset in (2, 4)] == [True, False]


def test_a_close_unlocks(wire: Any, holder: Any) -> None:
    keeper = opened(wire)
    assert lock(holder, (0, 10, EXCLUSIVE | NOW)) == "SUCCESS"
    holder.close(holder.file)
    assert lock(keeper, (0, 10, EXCLUSIVE | NOW)) == "SUCCESS"


def test_a_lost_connection_unlocks(wire: Any, holder: Any) -> None:
    keeper = opened(wire)
    assert lock(holder, (0, 10, EXCLUSIVE | NOW)) == "SUCCESS"
    holder.connection.close()
    assert lock(keeper, (0, 10, EXCLUSIVE | NOW)) == "SUCCESS"


def test_what_others_have_read_is_old(wire: Any, holder: Any) -> None:
    """An oplock is no lock, but a client that holds one believes that nobody has locks either."""
    reader = wire.connect()
    reader.create(reader.tree, "f", access=Access.GENERIC_READ, oplock=OplockLevel.LEVEL_II)
    assert lock(holder, (0, 10, EXCLUSIVE | NOW)) == "SUCCESS"
    [frame] = reader.connection.resume()
    assert Header.unpack_from(frame).command == Command.OPLOCK_BREAK


# Waiting ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def waiter(wire: Any, holder: Any) -> Any:
    """A client that waits for what `holder` has."""
    assert lock(holder, (0, 10, EXCLUSIVE | NOW)) == "SUCCESS"
    waiter = opened(wire)
    [pending] = ask(waiter, (5, 10, EXCLUSIVE))
    assert pending.status == Status.PENDING
    assert pending.flags & HeaderFlag.ASYNC_COMMAND
    waiter.pending = pending
    return waiter


def answers(peer: Any) -> list[str]:
    """What has come for the waiting request; its ids are those of the interim response."""
    found = [Header.unpack_from(frame) for frame in peer.connection.resume()]
    for header in found:
        assert (header.message_id, header.async_id) == (peer.pending.message_id, peer.pending.async_id)
    return [status_name(header.status) for header in found]


def test_it_is_granted_when_the_range_is_free(wire: Any, holder: Any, waiter: Any) -> None:
    assert answers(waiter) == []
    assert lock(holder, (0, 10, UNLOCK)) == "SUCCESS"
    assert answers(waiter) == ["STATUS_SUCCESS"]
    assert not is_free(wire, 5)
    assert answers(waiter) == []


def test_it_waits_on_if_only_something_else_became_free(holder: Any, waiter: Any) -> None:
    assert lock(holder, (50, 10, EXCLUSIVE | NOW)) == "SUCCESS"
    assert lock(holder, (50, 10, UNLOCK)) == "SUCCESS"
    assert answers(waiter) == []
    holder.close(holder.file)
    assert answers(waiter) == ["STATUS_SUCCESS"]


def test_first_come_first_served(wire: Any, holder: Any, waiter: Any) -> None:
    second = opened(wire)
    [second.pending] = ask(second, (5, 10, EXCLUSIVE))
    assert lock(holder, (0, 10, UNLOCK)) == "SUCCESS"
    assert answers(waiter) == ["STATUS_SUCCESS"]
    assert answers(second) == []
    assert lock(waiter, (5, 10, UNLOCK)) == "SUCCESS"
    assert answers(second) == ["STATUS_SUCCESS"]


def test_first_come_first_served_whoever_is_looked_at_first(wire: Any, holder: Any, waiter: Any) -> None:
    """The lock is given when the range becomes free, not when its request comes to run."""
    second = opened(wire)
    [second.pending] = ask(second, (5, 10, EXCLUSIVE))
    assert lock(holder, (0, 10, UNLOCK)) == "SUCCESS"
    assert lock(holder, (5, 10, EXCLUSIVE | NOW)) == "LOCK_NOT_GRANTED"
    assert answers(second) == []
    assert answers(waiter) == ["STATUS_SUCCESS"]


def test_who_waits_stands_in_nobodys_way(wire: Any, holder: Any, waiter: Any) -> None:
    """Or somebody who holds one range and waits for another could wait for himself."""
    assert lock(holder, (10, 5, EXCLUSIVE | NOW)) == "SUCCESS"
    assert lock(holder, (0, 10, UNLOCK)) == "SUCCESS"
    assert answers(waiter) == []
    assert lock(holder, (10, 5, UNLOCK)) == "SUCCESS"
    assert answers(waiter) == ["STATUS_SUCCESS"]


def test_cancel(wire: Any, holder: Any, waiter: Any) -> None:
    cancel = waiter.message(Command.CANCEL, CancelRequest().pack(), message_id=waiter.pending.message_id)
    [(header, _)] = waiter.frames(cancel)
    assert header.status == Status.CANCELLED
    assert lock(holder, (0, 10, UNLOCK)) == "SUCCESS"
    assert answers(waiter) == []
    assert is_free(wire, 5)


def test_a_close_ends_the_wait(wire: Any, holder: Any, waiter: Any) -> None:
    """As Windows does.  Nothing is granted to what is closed."""
    waiter.close(waiter.file)
    assert not waiter.connection.waiting
    assert lock(holder, (0, 10, UNLOCK)) == "SUCCESS"
    assert is_free(wire, 5)


def test_how_a_wait_ends_by_a_close(wire: Any, holder: Any) -> None:
    assert lock(holder, (0, 10, EXCLUSIVE | NOW)) == "SUCCESS"
    waiter = opened(wire)
    ask(waiter, (5, 10, EXCLUSIVE))
    [state] = wire.server.sessions[waiter.session_id].opens.values()
    wire.server.close_open(state)
    [frame] = waiter.connection.resume()
    assert Header.unpack_from(frame).status == Status.RANGE_NOT_LOCKED


def test_a_lost_connection_ends_the_wait(wire: Any, holder: Any, waiter: Any) -> None:
    waiter.connection.close()
    assert lock(holder, (0, 10, UNLOCK)) == "SUCCESS"
    assert is_free(wire, 5)
    [state] = wire.server.sessions[holder.session_id].opens.values()
    assert state.shared.locks.queue == []


def test_one_that_need_not_wait_does_not(holder: Any) -> None:
    assert lock(holder, (0, 10, EXCLUSIVE)) == "SUCCESS"
    assert not holder.connection.waiting


# Who may ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("access", [Access.READ_DATA, Access.WRITE_DATA, Access.GENERIC_READ])
def test_who_may_read_or_write_may_lock(wire: Any, holder: Any, access: int) -> None:
    assert lock(opened(wire, access), (0, 10, EXCLUSIVE | NOW)) == "SUCCESS"


@pytest.mark.parametrize("access", [Access.READ_ATTRIBUTES, Access.READ_CONTROL | Access.DELETE, Access.WRITE_DAC])
def test_who_may_neither_may_not(wire: Any, holder: Any, access: int) -> None:
    """Or somebody without any right to the data could keep everybody from it."""
    peer = opened(wire, access)
    assert lock(peer, (0, LAST, EXCLUSIVE | NOW)) == "ACCESS_DENIED"
    assert lock(peer, (0, LAST, EXCLUSIVE)) == "ACCESS_DENIED"
    assert is_free(wire, 0, LAST)


def test_a_directory_has_no_ranges(wire: Any) -> None:
    peer = wire.connect()
    peer.file = peer.make("d", options=CreateOption.DIRECTORY_FILE)
    assert lock(peer, (0, 1, EXCLUSIVE | NOW)) == "INVALID_DEVICE_REQUEST"


def test_a_pipe_has_no_ranges(wire: Any) -> None:
    peer = wire.connect(share="IPC$")
    peer.file = peer.create(peer.tree, "srvsvc", access=Access.GENERIC_ALL)
    assert lock(peer, (0, 1, EXCLUSIVE | NOW)) == "INVALID_DEVICE_REQUEST"


def test_an_open_that_is_none(holder: Any) -> None:
    holder.close(holder.file)
    assert lock(holder, (0, 1, EXCLUSIVE | NOW)) == "FILE_CLOSED"


# What lies ----------------------------------------------------------------------------------------------------------


def test_a_request_that_lies(wire: Any, holder: Any) -> None:
    whole = body(holder, (0, 10, EXCLUSIVE | NOW), (20, 10, EXCLUSIVE | NOW))
    assert holder.lie(Command.LOCK, whole, least=len(whole)) == {Status.INVALID_PARAMETER}
    for count in (0, 3, 0x8000, 0xFFFF):
        lie = whole[:2] + count.to_bytes(2, "little") + whole[4:]
        assert holder.status(Command.LOCK, lie) == Status.INVALID_PARAMETER
    assert is_free(wire, 0, LAST)


def test_reading_what_others_hold_is_refused_through_the_client(wire: Any, holder: Any) -> None:
    assert lock(holder, (0, 10, EXCLUSIVE | NOW)) == "SUCCESS"
    other = opened(wire)
    with pytest.raises(StatusError) as refusal:
        other.read(other.file, 5, 1)
    assert refusal.value.status == Status.FILE_LOCK_CONFLICT


# Sequences ----------------------------------------------------------------------------------------------------------


def sequenced(peer: Any, sequence: int, *elements: Element) -> str:
    message = bytearray(body(peer, *elements))
    message[4:8] = sequence.to_bytes(4, "little")
    return status_name(peer.status(Command.LOCK, bytes(message))).removeprefix("STATUS_")


@pytest.fixture
def sequencer(new_wire: Callable[..., Any]) -> Any:
    """A client that may use several channels, so that it may have to say things twice."""
    wire = new_wire()
    wire.make("f")
    peer = wire.client()
    peer.capabilities |= Capability.MULTI_CHANNEL
    peer.negotiate([Dialect.SMB_3_0])
    peer.log_on("u", "p")
    peer.tree = peer.tree_connect("s")
    peer.file = peer.open("f")
    return peer


def test_a_lock_that_is_sent_twice_locks_once(sequencer: Any) -> None:
    first, second = 1 << 4 | 1, 1 << 4 | 2
    assert sequenced(sequencer, first, (0, 1, EXCLUSIVE | NOW)) == "SUCCESS"
    assert sequenced(sequencer, first, (0, 1, EXCLUSIVE | NOW)) == "SUCCESS"
    assert sequenced(sequencer, second, (0, 1, UNLOCK)) == "SUCCESS"
    assert sequenced(sequencer, second, (0, 1, UNLOCK)) == "SUCCESS"
    assert sequenced(sequencer, first, (0, 1, UNLOCK)) == "RANGE_NOT_LOCKED"
    assert sequenced(sequencer, first, (0, 1, UNLOCK)) == "RANGE_NOT_LOCKED"


def test_without_a_sequence_everything_counts(sequencer: Any) -> None:
    assert sequenced(sequencer, 0, (0, 1, EXCLUSIVE | NOW)) == "SUCCESS"
    assert sequenced(sequencer, 0, (0, 1, EXCLUSIVE | NOW)) == "LOCK_NOT_GRANTED"


def test_a_plain_open_of_a_plain_client_has_no_sequences(holder: Any) -> None:
    assert sequenced(holder, 1 << 4 | 1, (0, 1, EXCLUSIVE | NOW)) == "SUCCESS"
    assert sequenced(holder, 1 << 4 | 1, (0, 1, EXCLUSIVE | NOW)) == "LOCK_NOT_GRANTED"
