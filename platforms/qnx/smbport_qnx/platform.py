"""QNX: the plain POSIX parts, and what this system adds to them."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from smbport.platform import Volume
from smbport.posix.port import PosixPlatform, keep_beside
from smbport.posix.sockets import PosixSockets
from smbport.posix.volume import PosixVolume, find_features
from smbport.posix.walk import Root
from smbport.posix.zerocopy import PosixZeroCopy
from smbport_qnx.calls import Calls
from smbport_qnx.interfaces import find_interfaces
from smbport_qnx.watch import QnxWatch, why_no_watch
from smbport_qnx.zerocopy import why_no_zero_copy

__all__ = ["ABSENT", "QnxPlatform", "probe"]

ABSENT: Final = {
    "identity": "QNX has credentials for a whole process only, not for a thread.",
    "clone": "QNX has no call that copies data from file to file.",
    "sparse": "QNX documents no way to make holes or to find them.",
    "compression": "QNX has no file system that can be written to and compresses.",
    "range_locks": "QNX's locks belong to processes: closing any handle of a file drops those of all others.",
    "snapshots": "The snapshots of Power-Safe file systems cannot be looked into.",
    "leases": "QNX does not tell local programs about oplocks.",
    "kernel": "QNX has no SMB server in its kernel.",
}

NUMBERED: Final = ("qnx6", "ext2")
"""Where a file keeps its number when it is renamed; on FAT and on qnx4, the number is the place of the name."""


@dataclass(slots=True, kw_only=True)
class QnxPlatform(PosixPlatform):
    """A probed QNX."""

    name: str = "qnx"
    calls: Calls

    def new_volume(self, root: Root) -> Volume:
        features = find_features(root)
        file_system = self.find_file_system(root.fd)
        features = replace(features, file_system=file_system or features.file_system)
        if file_system in NUMBERED:
            return self.make_volume(root, features)
        return PosixVolume(root, features, self.umask)

    def find_file_system(self, fd: int) -> str:
        """The name of a file system; "" if it cannot be found out."""
        try:
            return self.calls.file_system(fd)
        except OSError:
            return ""


def probe(calls: Calls) -> QnxPlatform:
    """Decide each power by trying it."""
    reasons = {"zero_copy": why_no_zero_copy(), "watch": why_no_watch(calls)}
    platform = QnxPlatform(
        calls=calls,
        sockets=PosixSockets(partial(find_interfaces, calls)),
        zero_copy=None if reasons["zero_copy"] else PosixZeroCopy(),
        watch=None if reasons["watch"] else QnxWatch(calls),
        absent=ABSENT | {power: reason for power, reason in reasons.items() if reason},
    )
    keep_beside(platform)  # QNX has no extended attributes, no named streams, and no room for a descriptor
    if platform.acl is not None:
        from smbport_qnx.acl import QnxAccessControl

        platform.acl = QnxAccessControl(calls)
    return platform
