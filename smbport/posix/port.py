"""The plainest port: any POSIX system, the required services and no power.  It must be asked for by name."""

import os
import pwd
from dataclasses import dataclass, field
from typing import Final

from smbport.platform import POWERS, Account, Platform, Powers, Sockets, Volume
from smbport.posix import poll_loop
from smbport.posix.sockets import PosixSockets
from smbport.posix.volume import PosixVolume, find_features, find_umask
from smbport.posix.walk import Root

__all__ = ["PORT", "PosixPlatform", "PosixPort", "check_python", "process_account"]

RELATIVE_TO_DIRECTORIES: Final = frozenset(
    (os.access, os.link, os.mkdir, os.open, os.readlink, os.rename, os.rmdir, os.stat, os.symlink, os.unlink)
)


def check_python() -> None:
    """RuntimeError if this Python was built without the *at() calls: by absolute paths, nothing would be contained."""
    missing = sorted(call.__name__ for call in RELATIVE_TO_DIRECTORIES - os.supports_dir_fd)
    if missing:
        raise RuntimeError(f"This Python cannot do relative to a directory: {', '.join(missing)}.")
    if os.scandir not in os.supports_fd:
        raise RuntimeError("This Python cannot list an open directory.")


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
            return self.new_volume(root)
        except OSError:
            root.close()
            raise

    def new_volume(self, root: Root) -> Volume:
        """A volume of a root, which it takes over unless it raises."""
        return PosixVolume(root, find_features(root), self.umask)


class PosixPort:
    """The entry point `posix`."""

    name = "posix"

    def matches(self) -> bool:
        return False

    def probe(self) -> Platform:
        check_python()
        if not poll_loop.has_event_loop():
            poll_loop.install()
        return PosixPlatform(absent=dict.fromkeys(POWERS, "The plain POSIX port uses nothing that some systems lack."))


PORT: Final = PosixPort()
