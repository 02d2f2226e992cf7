"""What the create contexts of a request ask for.  [MS-SMB2] 3.3.5.9

Contexts of features that a share does not offer are ignored, as the specification has it: the response simply lacks
their answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from smbport.commands.extended_attributes import parse_new_eas
from smbport.wire.aapl import ServerQuery
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
    PosixCreateRequest,
    TimewarpToken,
    parse_lease,
    parse_maximal_access_request,
)
from smbport.wire.fscc_entries import FullEa
from smbport.wire.record import BadStructure
from smbport.wire.security import SecurityDescriptor
from smbport.wire.status import Status, StatusError

__all__ = ["Contexts", "parse_contexts"]


@dataclass(slots=True)
class Contexts:
    """The contexts that have an effect."""

    maximal_access: bool = False
    maximal_access_since: int = 0  # FILETIME: no answer needed if the file did not change after it
    on_disk_id: bool = False
    allocation_size: int = 0
    security: SecurityDescriptor | None = None
    eas: tuple[FullEa, ...] = ()
    timewarp: int = 0  # FILETIME of a snapshot
    lease: LeaseContext | LeaseContextV2 | None = None
    durable: bool = False
    durable_v2: DurableHandleRequestV2 | None = None
    reconnect: DurableHandleReconnect | None = None
    reconnect_v2: DurableHandleReconnectV2 | None = None
    app_instance_id: bytes | None = None
    app_instance_version: AppInstanceVersion | None = None
    posix_mode: int | None = None  # permission bits of a new file; None: not a POSIX open
    aapl: bytes | None = None  # Apple's, as it came
    query: ServerQuery | None = None  # the same, where the share answers it

    @property
    def any_answer(self) -> bool:
        """Whether the response has contexts."""
        return (
            self.maximal_access
            or self.on_disk_id
            or self.durable
            or self.durable_v2 is not None
            or self.posix_mode is not None
            or self.query is not None
        )


_NOTHING: Final = Contexts()  # of a request without contexts, as most are; nobody changes what was not asked


def parse_contexts(contexts: Sequence[tuple[bytes, memoryview]]) -> Contexts:
    """Raises BadStructure for data that does not fit its tag, StatusError for what cannot be had."""
    if not contexts:
        return _NOTHING
    asked = Contexts()
    for tag, data in contexts:
        take = _KINDS.get(tag)
        if take is not None:
            take(asked, data)
    _check_durable(asked)
    return asked


def _check_durable(asked: Contexts) -> None:
    """The two versions do not mix.  [MS-SMB2] 3.3.5.9.6, 3.3.5.9.7, 3.3.5.9.10, 3.3.5.9.12"""
    first = asked.durable or asked.reconnect is not None
    second = (asked.durable_v2 is not None) + (asked.reconnect_v2 is not None)
    if first + second > 1:
        raise StatusError(Status.INVALID_PARAMETER, "contexts of durable handles that exclude each other")


def _maximal_access(asked: Contexts, data: memoryview) -> None:
    request = parse_maximal_access_request(data)
    asked.maximal_access = True
    asked.maximal_access_since = request.timestamp if request is not None else 0


def _on_disk_id(asked: Contexts, data: memoryview) -> None:
    asked.on_disk_id = True


def _allocation_size(asked: Contexts, data: memoryview) -> None:
    asked.allocation_size = AllocationSize.unpack_from(data).allocation_size
    if asked.allocation_size >= 1 << 63:
        raise StatusError(Status.INVALID_PARAMETER, "allocation size")


def _security(asked: Contexts, data: memoryview) -> None:
    asked.security = SecurityDescriptor.parse(data)


def _timewarp(asked: Contexts, data: memoryview) -> None:
    asked.timewarp = TimewarpToken.unpack_from(data).timestamp


def _extended_attributes(asked: Contexts, data: memoryview) -> None:
    if data:
        asked.eas = tuple(parse_new_eas(data))


def _lease(asked: Contexts, data: memoryview) -> None:
    asked.lease = parse_lease(data)


def _durable(asked: Contexts, data: memoryview) -> None:
    DurableHandleRequest.unpack_from(data)
    asked.durable = True


def _durable_v2(asked: Contexts, data: memoryview) -> None:
    asked.durable_v2 = DurableHandleRequestV2.unpack_from(data)


def _reconnect(asked: Contexts, data: memoryview) -> None:
    asked.reconnect = DurableHandleReconnect.unpack_from(data)


def _reconnect_v2(asked: Contexts, data: memoryview) -> None:
    asked.reconnect_v2 = DurableHandleReconnectV2.unpack_from(data)


def _app_instance_id(asked: Contexts, data: memoryview) -> None:
    asked.app_instance_id = AppInstanceId.unpack_from(data).app_instance_id


def _app_instance_version(asked: Contexts, data: memoryview) -> None:
    asked.app_instance_version = AppInstanceVersion.unpack_from(data)


def _posix(asked: Contexts, data: memoryview) -> None:
    """Type bits above the permissions do not count: what is made follows from the create options."""
    if len(data) != PosixCreateRequest.SIZE:
        raise BadStructure(f"POSIX create context of {len(data)} bytes")
    asked.posix_mode = PosixCreateRequest.unpack_from(data).mode & 0o7777


def _aapl(asked: Contexts, data: memoryview) -> None:
    asked.aapl = bytes(data)


_KINDS: Final[dict[bytes, Callable[[Contexts, memoryview], None]]] = {
    ContextTag.MAXIMAL_ACCESS: _maximal_access,
    ContextTag.ON_DISK_ID: _on_disk_id,
    ContextTag.ALLOCATION_SIZE: _allocation_size,
    ContextTag.SECURITY_DESCRIPTOR: _security,
    ContextTag.TIMEWARP: _timewarp,
    ContextTag.EXTENDED_ATTRIBUTES: _extended_attributes,
    ContextTag.LEASE: _lease,
    ContextTag.DURABLE_REQUEST: _durable,
    ContextTag.DURABLE_REQUEST_V2: _durable_v2,
    ContextTag.DURABLE_RECONNECT: _reconnect,
    ContextTag.DURABLE_RECONNECT_V2: _reconnect_v2,
    ContextTag.APP_INSTANCE_ID: _app_instance_id,
    ContextTag.APP_INSTANCE_VERSION: _app_instance_version,
    ContextTag.POSIX: _posix,
    ContextTag.AAPL: _aapl,
}
