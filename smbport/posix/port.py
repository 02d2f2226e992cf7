"""The plainest port: any POSIX system, and what Python can do on each.  It must be asked for by name."""

import os
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from smbport.platform import POWERS, Account, Features, Platform, Powers, Sockets, Volume
from smbport.posix import poll_loop
from smbport.posix.accounts import process_account
from smbport.posix.sockets import PosixSockets
from smbport.posix.volume import PosixVolume, find_features, find_umask
from smbport.posix.walk import Root

if TYPE_CHECKING:
    from smbport.posix.kept import AttributeStores

__all__ = ["KEPT", "PORT", "PosixPlatform", "PosixPort", "check_python", "keep_beside"]

KEPT: Final = ("acl", "attributes", "streams")
"""The powers that `keep_beside` gives."""

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


@dataclass(slots=True, kw_only=True)
class PosixPlatform(Powers):
    """A probed system.  Ports add powers and open volumes of their own kind."""

    name: str = "posix"
    sockets: Sockets = field(default_factory=PosixSockets)
    account: Account = field(default_factory=process_account)
    umask: int = field(default_factory=find_umask)
    stores: "AttributeStores | None" = None  # for what the file system has no room for; see `keep_beside`

    def open_volume(self, path: str) -> Volume:
        root = Root(path)
        try:
            return self.new_volume(root)
        except OSError:
            root.close()
            raise

    def new_volume(self, root: Root) -> Volume:
        """A volume of a root, which it takes over unless it raises."""
        return self.make_volume(root, find_features(root))

    def make_volume(self, root: Root, features: Features) -> Volume:
        """One with a store, if this port keeps one and can keep one there."""
        store = self.stores.find(root, features) if self.stores is not None else None
        if self.stores is None or store is None:
            return PosixVolume(root, features, self.umask)
        from smbport.posix.kept import KeptVolume

        return KeptVolume(root, features, self.umask, self.stores, store)


def keep_beside(platform: PosixPlatform) -> None:
    """Give a platform without extended attributes the powers KEPT all the same, if this Python has SQLite."""
    if find_spec("_sqlite3") is None:
        absence = "There are no extended attributes here that Python knows, and this Python was built without SQLite."
        platform.absent = {**platform.absent, **dict.fromkeys(KEPT, absence)}
        return
    from smbport.posix.kept import AttributeStores, KeptAcl, KeptAttributes, kept_streams

    platform.stores = AttributeStores()
    platform.acl, platform.attributes, platform.streams = KeptAcl(), KeptAttributes(), kept_streams()
    platform.absent = {power: reason for power, reason in platform.absent.items() if power not in KEPT}


class PosixPort:
    """The entry point `posix`."""

    name = "posix"

    def matches(self) -> bool:
        return False

    def probe(self) -> Platform:
        check_python()
        if not poll_loop.has_event_loop():
            poll_loop.install()
        absence = "The plain POSIX port uses nothing that some systems lack."
        platform = PosixPlatform(absent=dict.fromkeys(POWERS, absence))
        keep_beside(platform)
        return platform


PORT: Final = PosixPort()
