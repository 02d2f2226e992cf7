"""FreeBSD: what this release and this process can do."""

import os
from dataclasses import dataclass
from typing import Final

from smbport.platform import Volume
from smbport.posix.attributes import PosixAttributes
from smbport.posix.data import PosixClone, PosixSparse
from smbport.posix.interfaces import find_interfaces
from smbport.posix.port import PosixPlatform
from smbport.posix.snapshots import PosixSnapshots
from smbport.posix.sockets import PosixSockets
from smbport.posix.walk import Root
from smbport_freebsd.acl import FreeBSDAccessControl
from smbport_freebsd.attributes import FreeBSDStreams, FreeBSDValues
from smbport_freebsd.calls import O_DIRECTORY, O_PATH, Calls
from smbport_freebsd.files import reopened
from smbport_freebsd.volume import FreeBSDVolume, find_freebsd_features
from smbport_freebsd.watch import FreeBSDWatch, why_no_watch
from smbport_freebsd.zerocopy import FreeBSDZeroCopy

__all__ = ["FreeBSDPlatform", "probe"]

ABSENT: Final = {
    "identity": "On FreeBSD, who a process acts as is the same for all of its threads.",
    "compression": "FreeBSD's file systems compress all of a volume or nothing.",
    "range_locks": "FreeBSD's locks belong to processes: closing any handle of a file drops those of all others.",
    "leases": "This port does not tell local programs about oplocks.",
    "kernel": "FreeBSD has no SMB server in its kernel.",
}
NO_SPARSE: Final = "FreeBSD before 14.0 cannot make holes in files."


@dataclass(slots=True, kw_only=True)
class FreeBSDPlatform(PosixPlatform):
    """A probed FreeBSD."""

    name: str = "freebsd"
    calls: Calls

    def new_volume(self, root: Root) -> Volume:
        return FreeBSDVolume(root, find_freebsd_features(root, self.calls), self.umask, self.calls)


def probe(calls: Calls) -> FreeBSDPlatform:
    """Decide each power by trying it."""
    check_path_descriptors(calls)
    absent = dict(ABSENT)
    if no_watch := why_no_watch(calls):
        absent["watch"] = no_watch
    if not calls.has("fspacectl"):
        absent["sparse"] = NO_SPARSE
    platform = FreeBSDPlatform(
        calls=calls,
        sockets=PosixSockets(find_interfaces),
        zero_copy=FreeBSDZeroCopy(calls),
        acl=FreeBSDAccessControl(),
        attributes=PosixAttributes(FreeBSDValues()),
        streams=FreeBSDStreams(),
        watch=None if no_watch else FreeBSDWatch(calls),
        # ZFS shares blocks by itself, from FreeBSD 14 on; FreeBSD 15 can be asked to share or fail, but may do a part.
        clone=PosixClone(calls.copy_range),
        # There is no call that zeroes and keeps the blocks.
        sparse=PosixSparse(calls.punch_hole) if calls.has("fspacectl") else None,
        absent=absent,
    )
    platform.snapshots = PosixSnapshots(platform.new_volume)
    return platform


def check_path_descriptors(calls: Calls) -> None:
    """RuntimeError unless O_PATH, O_EMPTY_PATH and AT_EMPTY_PATH work: all is built on them."""
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = calls.open_at(root, b".", O_PATH | O_DIRECTORY)
        try:
            calls.state(fd)
            with reopened(calls, fd):
                pass
        finally:
            os.close(fd)
    except OSError as reason:
        raise RuntimeError(f"This FreeBSD is older than 13.1: O_PATH does not work ({reason.strerror}).") from reason
    finally:
        os.close(root)
