"""The plainest port: any POSIX system, the required services and no power.  It must be asked for by name."""

import os
import pwd
from dataclasses import dataclass, field
from typing import Final

from smbport.platform import POWERS, Account, Platform, Powers, Sockets, Volume
from smbport.posix.sockets import PosixSockets
from smbport.posix.volume import PosixVolume, find_features, find_umask
from smbport.posix.walk import Root

__all__ = ["PORT", "PosixPlatform", "PosixPort", "process_account"]


def process_account() -> Account:
    """The account that this process runs as, with a number for a name if it has none."""
    uid, gid = os.geteuid(), os.getegid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return Account(name, uid, gid, tuple(os.getgroups()))


@dataclass(slots=True, kw_only=True)
class PosixPlatform(Powers):
    """A probed system.  Ports add powers and open volumes of their own kind."""

    name: str = "posix"
    sockets: Sockets = field(default_factory=PosixSockets)
    account: Account = field(default_factory=process_account)
    umask: int = field(default_factory=find_umask)

    def open_volume(self, path: str) -> Volume:
        root = Root(path)
        try:
            return PosixVolume(root, find_features(root), self.umask)
        except OSError:
            root.close()
            raise


class PosixPort:
    """The entry point `posix`."""

    name = "posix"

    def matches(self) -> bool:
        return False

    def probe(self) -> Platform:
        return PosixPlatform(absent=dict.fromkeys(POWERS, "The plain POSIX port uses nothing that some systems lack."))


PORT: Final = PosixPort()
