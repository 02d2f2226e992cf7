"""The settings that a server in the kernel takes at its start, once for all."""

from hashlib import sha256
from struct import Struct
from typing import Final

from smbport.config.keys import Configuration
from smbport.kernel import KernelPlan

__all__ = ["make_plan"]

STANDARD_PORT: Final = 445
MACHINE_ID: Final = Struct("<3I")


def make_plan(configuration: Configuration, machine_id: tuple[int, int, int]) -> KernelPlan:
    """What remains the same until the kernel's server starts anew."""
    settings, limits = configuration.settings, configuration.settings.limits
    devices = {host for host, _ in configuration.listen}
    return KernelPlan(
        server_name=settings.server_name,
        workgroup=settings.workgroup,
        port=configuration.listen[0][1] if configuration.listen else STANDARD_PORT,
        devices=() if None in devices else tuple(sorted(host for host in devices if host)),
        oldest_dialect=min(settings.dialects),
        newest_dialect=max(settings.dialects),
        signing_required=settings.signing == "required",
        encryption=settings.encryption,
        leases=settings.leases,
        multichannel=settings.multichannel,
        machine_id=_own_machine_id(machine_id),
        idle_timeout_s=limits.idle_timeout_s,
        opens=limits.opens,
        connections=limits.connections,
        connections_per_address=limits.connections_per_address,
        sessions_per_connection=limits.sessions_per_connection,
        credits=limits.credits,
        read_size=limits.read_size,
        write_size=limits.write_size,
        transact_size=limits.transact_size,
    )


def _own_machine_id(machine_id: tuple[int, int, int]) -> tuple[int, int, int]:
    """Another one than in user space, always the same for that one.

    In user space the end of a user's SID is its RID, in the kernel the number of its account: no SID may mean both.
    """
    a, b, c = MACHINE_ID.unpack(sha256(b"kernel" + MACHINE_ID.pack(*machine_id)).digest()[: MACHINE_ID.size])
    return a, b, c
