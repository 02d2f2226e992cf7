"""What the create contexts of a request ask for.  [MS-SMB2] 3.3.5.9

Contexts of features this server does not offer (leases, durable handles, app instances, AAPL) are ignored, as
the specification has it: the response simply lacks their answer.  Extended attributes are refused instead,
because a file without them would not be what the client asked for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from smbport.wire.constants import ContextTag
from smbport.wire.create_contexts import (
    AllocationSize,
    DurableHandleReconnect,
    DurableHandleReconnectV2,
    DurableHandleRequest,
    DurableHandleRequestV2,
    TimewarpToken,
    parse_lease,
    parse_maximal_access_request,
)
from smbport.wire.status import Status, StatusError

__all__ = ["Contexts", "parse_contexts"]


@dataclass(slots=True)
class Contexts:
    """The contexts that have an effect."""

    maximal_access: bool = False
    maximal_access_since: int = 0  # FILETIME: no answer needed if the file did not change after it
    on_disk_id: bool = False
    allocation_size: int = 0
    timewarp: int = 0  # FILETIME of a snapshot

    @property
    def any_answer(self) -> bool:
        """Whether the response has contexts."""
        return self.maximal_access or self.on_disk_id


def parse_contexts(contexts: Sequence[tuple[bytes, memoryview]]) -> Contexts:
    """Raises BadStructure for data that does not fit its tag, StatusError for what cannot be had."""
    asked = Contexts()
    for tag, data in contexts:
        take = _KINDS.get(tag)
        if take is not None:
            take(asked, data)
    return asked


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


def _timewarp(asked: Contexts, data: memoryview) -> None:
    asked.timewarp = TimewarpToken.unpack_from(data).timestamp


def _extended_attributes(asked: Contexts, data: memoryview) -> None:
    if data:
        raise StatusError(Status.EAS_NOT_SUPPORTED)


def _lease(asked: Contexts, data: memoryview) -> None:
    parse_lease(data)  # not offered, but a malformed one is refused all the same


def _durable(asked: Contexts, data: memoryview) -> None:
    DurableHandleRequest.unpack_from(data)


def _durable_v2(asked: Contexts, data: memoryview) -> None:
    DurableHandleRequestV2.unpack_from(data)


def _reconnect(asked: Contexts, data: memoryview) -> None:
    DurableHandleReconnect.unpack_from(data)
    raise StatusError(Status.OBJECT_NAME_NOT_FOUND, "no open is durable")


def _reconnect_v2(asked: Contexts, data: memoryview) -> None:
    DurableHandleReconnectV2.unpack_from(data)
    raise StatusError(Status.OBJECT_NAME_NOT_FOUND, "no open is durable")


_KINDS: Final[dict[bytes, Callable[[Contexts, memoryview], None]]] = {
    ContextTag.MAXIMAL_ACCESS: _maximal_access,
    ContextTag.ON_DISK_ID: _on_disk_id,
    ContextTag.ALLOCATION_SIZE: _allocation_size,
    ContextTag.TIMEWARP: _timewarp,
    ContextTag.EXTENDED_ATTRIBUTES: _extended_attributes,
    ContextTag.LEASE: _lease,
    ContextTag.DURABLE_REQUEST: _durable,
    ContextTag.DURABLE_REQUEST_V2: _durable_v2,
    ContextTag.DURABLE_RECONNECT: _reconnect,
    ContextTag.DURABLE_RECONNECT_V2: _reconnect_v2,
}
