"""Linux in user space: what this kernel and this process can do."""

import os
from dataclasses import dataclass, field
from typing import Final

from smbport.platform import Volume
from smbport.posix.port import PosixPlatform
from smbport.posix.sockets import PosixSockets
from smbport.posix.walk import Root
from smbport_linux.attributes import LinuxAttributes
from smbport_linux.beneath import new_walker
from smbport_linux.calls import Credentials
from smbport_linux.identity import LinuxIdentity, find_own_credentials, why_no_identity
from smbport_linux.interfaces import find_interfaces
from smbport_linux.volume import LinuxVolume, find_linux_features
from smbport_linux.zerocopy import LinuxZeroCopy

__all__ = ["LinuxPlatform", "probe"]

ABSENT: Final = {
    "acl": "This port keeps no Windows access control lists: mode bits and POSIX ACLs decide, in the kernel.",
    "streams": "This port keeps no named streams.",
    "watch": "This port does not notice what others than the server change.",
    "clone": "This port copies by reading and writing.",
    "sparse": "This port neither makes nor reports holes.",
    "snapshots": "This port does not look for previous versions.",
    "leases": "This port does not tell local programs about oplocks.",
    "kernel": "This port serves from user space.",
}


@dataclass(slots=True, kw_only=True)
class LinuxPlatform(PosixPlatform):
    """A probed Linux."""

    name: str = "linux"
    own: Credentials = field(default_factory=find_own_credentials)

    def open_volume(self, path: str) -> Volume:
        root = Root(path)
        try:
            return LinuxVolume(root, find_linux_features(root), self.umask, new_walker(root), self.own)
        except OSError:
            root.close()
            raise


def probe() -> LinuxPlatform:
    """Decide each power by trying it."""
    if not os.path.isdir("/proc/self/fd"):
        raise RuntimeError("The Linux port needs /proc to be mounted; try --platform posix.")
    own = find_own_credentials()
    no_identity = why_no_identity(own)
    return LinuxPlatform(
        own=own,
        sockets=PosixSockets(find_interfaces),
        zero_copy=LinuxZeroCopy(),
        attributes=LinuxAttributes(),
        identity=None if no_identity else LinuxIdentity(own),
        absent=ABSENT | ({"identity": no_identity} if no_identity else {}),
    )
