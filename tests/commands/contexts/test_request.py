"""What the create contexts of a request ask for."""

from typing import Any

import pytest

from smbport.commands.contexts.request import Contexts, parse_contexts
from smbport.wire.constants import ContextTag
from smbport.wire.create_contexts import (
    AllocationSize,
    AppInstanceId,
    AppInstanceVersion,
    DurableHandleReconnect,
    DurableHandleReconnectV2,
    DurableHandleRequest,
    DurableHandleRequestV2,
    LeaseContext,
    LeaseContextV2,
    MaximalAccessRequest,
    PosixCreateRequest,
    TimewarpToken,
)
from smbport.wire.fscc_entries import FullEa, pack_ea_list
from smbport.wire.record import BadStructure
from smbport.wire.status import Status

KEY = bytes(range(16))
LEASE = LeaseContext(lease_key=KEY, lease_state=7).pack()
LEASE_V2 = LeaseContextV2(lease_key=KEY, lease_state=7).pack()
RECONNECT = DurableHandleReconnect(file_id_persistent=1, file_id_volatile=1).pack()
RECONNECT_V2 = DurableHandleReconnectV2(file_id_persistent=1, file_id_volatile=1, create_guid=KEY, flags=0).pack()


def parse(*contexts: tuple[bytes, bytes]) -> Contexts:
    return parse_contexts([(tag, memoryview(data)) for tag, data in contexts])


def test_nothing_asked() -> None:
    assert parse() == Contexts()
    assert not parse().any_answer


def test_maximal_access() -> None:
    assert parse((ContextTag.MAXIMAL_ACCESS, b"")) == Contexts(maximal_access=True)
    since = MaximalAccessRequest(timestamp=77).pack()
    asked = parse((ContextTag.MAXIMAL_ACCESS, since))
    assert asked == Contexts(maximal_access=True, maximal_access_since=77)
    assert asked.any_answer


def test_posix() -> None:
    """The type bits of a mode are not taken."""
    asked = parse((ContextTag.POSIX, PosixCreateRequest(mode=0o17751).pack()))
    assert asked == Contexts(posix_mode=0o7751)
    assert asked.any_answer
    for length in (0, 3, 5, 8):
        with pytest.raises(BadStructure):
            parse((ContextTag.POSIX, bytes(length)))


def test_on_disk_id() -> None:
    assert parse((ContextTag.ON_DISK_ID, b"")) == Contexts(on_disk_id=True)
    assert parse((ContextTag.ON_DISK_ID, b"")).any_answer


def test_allocation_size() -> None:
    asked = parse((ContextTag.ALLOCATION_SIZE, AllocationSize(allocation_size=(1 << 63) - 1).pack()))
    assert asked == Contexts(allocation_size=(1 << 63) - 1)
    assert not asked.any_answer


@pytest.mark.parametrize("size", [1 << 63, (1 << 64) - 1])
def test_an_allocation_size_that_no_file_can_have(refused: Any, size: int) -> None:
    with refused(Status.INVALID_PARAMETER):
        parse((ContextTag.ALLOCATION_SIZE, AllocationSize(allocation_size=size).pack()))


def test_timewarp() -> None:
    assert parse((ContextTag.TIMEWARP, TimewarpToken(timestamp=5).pack())) == Contexts(timewarp=5)


def test_several_at_once() -> None:
    asked = parse(
        (ContextTag.DURABLE_REQUEST, DurableHandleRequest().pack()),
        (ContextTag.MAXIMAL_ACCESS, b""),
        (ContextTag.LEASE, LEASE),
        (ContextTag.ON_DISK_ID, b""),
    )
    assert (asked.maximal_access, asked.on_disk_id) == (True, True)


@pytest.mark.parametrize(
    "tag",
    [
        b"????",
        b"a longer name than any",
    ],
)
def test_what_is_not_known_is_passed_over(tag: bytes) -> None:
    """As [MS-SMB2] 3.3.5.9 has it; the response lacks an answer."""
    assert parse((tag, b"anything")) == Contexts()


def test_extended_attributes(refused: Any) -> None:
    """An empty list asks for nothing."""
    assert parse((ContextTag.EXTENDED_ATTRIBUTES, b"")) == Contexts()
    eas = (FullEa("ONE", b"1"), FullEa("two", b""))
    data, _ = pack_ea_list(eas, limit=100)
    assert parse((ContextTag.EXTENDED_ATTRIBUTES, data)) == Contexts(eas=eas)
    with refused(Status.EA_LIST_INCONSISTENT):
        parse((ContextTag.EXTENDED_ATTRIBUTES, data[:-1]))
    with refused(Status.INVALID_EA_NAME):
        parse((ContextTag.EXTENDED_ATTRIBUTES, pack_ea_list([FullEa("a/b", b"1")], limit=100)[0]))


def test_durable_handles() -> None:
    asked = DurableHandleRequestV2(timeout=5, flags=2, create_guid=bytes(range(16)))
    assert parse((ContextTag.DURABLE_REQUEST, DurableHandleRequest().pack())) == Contexts(durable=True)
    assert parse((ContextTag.DURABLE_REQUEST_V2, asked.pack())) == Contexts(durable_v2=asked)
    again = parse((ContextTag.DURABLE_RECONNECT, RECONNECT)).reconnect
    assert again is not None
    assert again.pack() == RECONNECT
    again_v2 = parse((ContextTag.DURABLE_RECONNECT_V2, RECONNECT_V2)).reconnect_v2
    assert again_v2 is not None
    assert again_v2.pack() == RECONNECT_V2


DURABLE = {
    "Q1": (ContextTag.DURABLE_REQUEST, DurableHandleRequest().pack()),
    "C1": (ContextTag.DURABLE_RECONNECT, RECONNECT),
    "Q2": (ContextTag.DURABLE_REQUEST_V2, bytes(DurableHandleRequestV2.SIZE)),
    "C2": (ContextTag.DURABLE_RECONNECT_V2, RECONNECT_V2),
}


@pytest.mark.parametrize("first", DURABLE)
@pytest.mark.parametrize("second", DURABLE)
def test_versions_of_durable_handles_do_not_mix(refused: Any, first: str, second: str) -> None:
    """[MS-SMB2] 3.3.5.9.6, 3.3.5.9.7, 3.3.5.9.10, 3.3.5.9.12: only a request beside a reconnect of version 1 may be."""
    both = DURABLE[first], DURABLE[second]
    if first == second or {first, second} == {"Q1", "C1"}:
        parse(*both)
        return
    with refused(Status.INVALID_PARAMETER):
        parse(*both)


def test_application_instances() -> None:
    version = AppInstanceVersion(app_instance_version_high=1, app_instance_version_low=2)
    asked = parse(
        (ContextTag.APP_INSTANCE_ID, AppInstanceId(app_instance_id=bytes(range(16))).pack()),
        (ContextTag.APP_INSTANCE_VERSION, version.pack()),
    )
    assert asked == Contexts(app_instance_id=bytes(range(16)), app_instance_version=version)


SHORT = {
    "MxAc": (ContextTag.MAXIMAL_ACCESS, 8, range(1, 8)),
    "AlSi": (ContextTag.ALLOCATION_SIZE, 8, range(8)),
    "TWrp": (ContextTag.TIMEWARP, 8, range(8)),
    "DHnQ": (ContextTag.DURABLE_REQUEST, DurableHandleRequest.SIZE, range(16)),
    "DH2Q": (ContextTag.DURABLE_REQUEST_V2, DurableHandleRequestV2.SIZE, range(32)),
    "DHnC": (ContextTag.DURABLE_RECONNECT, len(RECONNECT), range(16)),
    "DH2C": (ContextTag.DURABLE_RECONNECT_V2, len(RECONNECT_V2), range(36)),
}


@pytest.mark.parametrize("name", SHORT)
def test_shorter_than_its_structure(name: str) -> None:
    tag, size, lengths = SHORT[name]
    assert max(lengths) == size - 1
    for length in lengths:
        with pytest.raises(BadStructure):
            parse((tag, bytes(length)))


@pytest.mark.parametrize("length", [0, 1, 16, 31, 33, 40, 51, 53, 64])
def test_a_lease_of_neither_size(length: int) -> None:
    with pytest.raises(BadStructure):
        parse((ContextTag.LEASE, bytes(length)))


def test_a_lease_of_either_size() -> None:
    assert parse((ContextTag.LEASE, LEASE)).lease == LeaseContext(lease_key=KEY, lease_state=7)
    assert parse((ContextTag.LEASE, LEASE_V2)).lease == LeaseContextV2(lease_key=KEY, lease_state=7)


def test_one_that_is_bad_spoils_them_all() -> None:
    with pytest.raises(BadStructure):
        parse((ContextTag.ON_DISK_ID, b""), (ContextTag.TIMEWARP, b"short"), (ContextTag.MAXIMAL_ACCESS, b""))
