"""Linux in user space: what this kernel and this process can do."""

import os
from dataclasses import dataclass, field
from socket import MSG_MORE
from typing import Final

from smbport.platform import Volume
from smbport.posix.port import PosixPlatform
from smbport.posix.snapshots import PosixSnapshots
from smbport.posix.sockets import PosixSockets
from smbport.posix.streams import AttributeStreams
from smbport.posix.walk import Root
from smbport.posix.zerocopy import PosixZeroCopy
from smbport_linux.acl import LinuxAccessControl, why_no_acl
from smbport_linux.allocator import keep_large_buffers
from smbport_linux.attributes import LinuxAttributes, new_stream_values
from smbport_linux.beneath import new_walker
from smbport_linux.calls import Credentials, unacknowledged
from smbport_linux.clone import new_clone, why_no_clone
from smbport_linux.compression import LinuxCompression
from smbport_linux.identity import LinuxIdentity, find_own_credentials, why_no_identity
from smbport_linux.interfaces import find_interfaces
from smbport_linux.range_locks import new_range_locks, why_no_range_locks
from smbport_linux.ready import LinuxReadySet
from smbport_linux.sparse import new_sparse, why_no_sparse
from smbport_linux.volume import LinuxVolume, find_linux_features
from smbport_linux.watch import LinuxWatch, why_no_watch

__all__ = ["LinuxPlatform", "probe"]

ABSENT: Final = {
    "leases": "This port does not tell local programs about oplocks.",
    "kernel": "This port serves from user space.",
}


@dataclass(slots=True, kw_only=True)
class LinuxPlatform(PosixPlatform):
    """A probed Linux."""

    name: str = "linux"
    own: Credentials = field(default_factory=find_own_credentials)
    swept: set[tuple[int, int]] = field(default_factory=set)  # roots: several shares may have one, and a start is one

    def open_volume(self, path: str) -> Volume:
        volume = PosixPlatform.open_volume(self, path)  # slots make another class of this one, which super() misses
        assert isinstance(volume, LinuxVolume)
        root = os.fstat(volume.root.fd)
        if (root.st_dev, root.st_ino) not in self.swept:
            self.swept.add((root.st_dev, root.st_ino))
            volume.sweep()
        return volume

    def new_volume(self, root: Root) -> Volume:
        return LinuxVolume(root, find_linux_features(root), self.umask, new_walker(root), self.own)


def probe() -> LinuxPlatform:
    """Decide each power by trying it."""
    if not os.path.isdir("/proc/self/fd"):
        raise RuntimeError("The Linux port needs /proc to be mounted; try --platform posix.")
    keep_large_buffers()
    own = find_own_credentials()
    reasons = {
        "acl": why_no_acl(),
        "watch": why_no_watch(),
        "identity": why_no_identity(own),
        "clone": why_no_clone(),
        "sparse": why_no_sparse(),
        "range_locks": why_no_range_locks(),
    }
    platform = LinuxPlatform(
        own=own,
        sockets=PosixSockets(find_interfaces, unacknowledged, LinuxReadySet),
        zero_copy=PosixZeroCopy(MSG_MORE),
        acl=None if reasons["acl"] else LinuxAccessControl(),
        attributes=LinuxAttributes(),
        streams=AttributeStreams(new_stream_values()),
        watch=None if reasons["watch"] else LinuxWatch(),
        identity=None if reasons["identity"] else LinuxIdentity(own),
        clone=None if reasons["clone"] else new_clone(),
        sparse=None if reasons["sparse"] else new_sparse(),
        compression=LinuxCompression(),
        range_locks=None if reasons["range_locks"] else new_range_locks(),
        absent=ABSENT | {power: reason for power, reason in reasons.items() if reason},
    )
    platform.snapshots = PosixSnapshots(platform.new_volume, new_walker)
    return platform
