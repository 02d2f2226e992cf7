"""Resilient opens, for programs that want to survive a network that fails.  [MS-SMB2] 3.3.5.15.9"""

from typing import ClassVar

from smbport.commands.call import Call
from smbport.commands.durable import owner_of
from smbport.commands.fsctl.answer import Answer
from smbport.state.durable import Durability, Promise, resilient_timeout_ns
from smbport.wire.constants import Dialect
from smbport.wire.ioctl import IoctlRequest
from smbport.wire.record import U32, Pad4, Record, record
from smbport.wire.status import Status, StatusError

__all__ = ["NetworkResiliencyRequest", "request_resiliency"]


@record()
class NetworkResiliencyRequest(Record):
    """NETWORK_RESILIENCY_REQUEST; Timeout in milliseconds.  [MS-SMB2] 2.2.31.3"""

    timeout: U32
    reserved: ClassVar[Pad4]


async def request_resiliency(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """[MS-SMB2] 3.3.5.15.9.  A persistent open was promised more already and stays what it is."""
    if call.connection.dialect < Dialect.SMB_2_1:
        raise StatusError(Status.INVALID_DEVICE_REQUEST)
    opened = call.file
    timeout_ns = resilient_timeout_ns(NetworkResiliencyRequest.unpack_from(data).timeout)
    if opened.is_persistent:
        return Answer()
    if call.session.is_guest_or_anonymous:  # anybody could say that it was his
        raise StatusError(Status.ACCESS_DENIED)
    if opened.durability is None:
        lease_key = opened.lease.key if opened.lease is not None else None
        opened.durability = Durability(
            promise=Promise.RESILIENT,
            owner=owner_of(call.session),
            client_guid=call.connection.client_guid,
            lease_key=lease_key,
        )
    opened.durability.promise = Promise.RESILIENT
    opened.durability.timeout_ns = min(timeout_ns, call.server.settings.limits.durable_timeout_ns)
    return Answer()
