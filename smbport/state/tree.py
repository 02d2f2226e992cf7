"""Shares as they are served, and tree connects.  [MS-SMB2] 3.3.1.6, 3.3.1.9"""

from dataclasses import replace
from typing import TYPE_CHECKING

from smbport.platform import Account, FileKey, SnapshotLayout, Stat, Volume
from smbport.state.change_times import ChangeTimes
from smbport.state.changes import Changes
from smbport.state.descriptors import Descriptors
from smbport.state.dfs import DfsLinks
from smbport.state.names import fold
from smbport.state.settings import ShareSettings
from smbport.state.spellings import Spellings
from smbport.wire.constants import Access

if TYPE_CHECKING:
    from smbport.state.session import Session

__all__ = ["IPC_ACCESS", "Share", "TreeConnect"]

IPC_ACCESS = Access.FILE_GENERIC_READ | Access.FILE_GENERIC_WRITE


class Share:
    """A share with its volume; the volume of IPC$ is None."""

    __slots__ = (
        "change_times", "changes", "descriptor_name", "links", "settings", "snapshots", "spellings", "unfinished",
        "volume",
    )  # fmt: skip

    def __init__(self, settings: ShareSettings, volume: Volume | None, descriptor_name: str | None = None) -> None:
        self.settings = settings
        self.volume = volume
        self.descriptor_name = descriptor_name  # what descriptors are stored under; None: they are not
        self.spellings: Spellings | None = None  # None: case matters
        if not settings.case_sensitive:
            self.spellings = Spellings(short_names=settings.short_names)
        self.unfinished: list[str] = []  # directories that are being made, and have no descriptor yet
        self.changes = Changes(self)
        self.change_times = ChangeTimes()
        self.links = DfsLinks(settings.dfs) if settings.dfs else None
        self.snapshots: SnapshotLayout | None = None  # where they are
        if settings.snapshots is not None:
            self.snapshots = SnapshotLayout.parse(settings.snapshots, settings.snapshot_times)

    @property
    def name(self) -> str:
        """As the administrator spelled it."""
        return self.settings.name

    @property
    def offers_posix(self) -> bool:
        """Whether clients may have the POSIX extensions: modes mean what they say only where the system decides."""
        return self.settings.posix_extensions and self.settings.acl == "posix" and self.volume is not None

    def is_same_path(self, one: str, other: str) -> bool:
        """Whether two paths name the same file here."""
        return one == other or (self.spellings is not None and fold(one) == fold(other))

    def admits(self, user_name: str) -> bool:
        """Whether the list of valid users has this one; without a list, everyone who logged on.

        A guest has the name "": no list ever means one.
        """
        valid = self.settings.valid_users
        return not valid or _listed(user_name, valid)

    def is_writable_for(self, user_name: str) -> bool:
        """Whether changes through this share are allowed at all."""
        if self.volume is not None and self.volume.features.read_only:
            return False
        return not self.settings.read_only or _listed(user_name, self.settings.write_users)


def _listed(user_name: str, names: tuple[str, ...]) -> bool:
    folded = user_name.casefold()
    return any(name.casefold() == folded for name in names)


class TreeConnect:
    """One session's connection to one share."""

    __slots__ = (
        "account", "descriptors", "encrypt", "live", "maximal_access", "session", "share", "snapshot_ns", "tree_id",
        "volume", "writable",
    )  # fmt: skip

    def __init__(self, session: "Session", tree_id: int, share: Share, account: Account, volume: Volume | None) -> None:
        self.session = session
        self.tree_id = tree_id
        self.share = share
        self.account = account  # whose rights the volume has
        self.volume = volume
        self.descriptors: Descriptors | None = None  # in shares where they decide
        self.writable = volume is None or share.is_writable_for(session.listed_name)
        self.encrypt = share.settings.encryption == "required"
        self.live: TreeConnect | None = None  # of a tree as it was: as it is, which is the one that clients know
        self.snapshot_ns = 0  # and when it was so
        if volume is None:
            self.maximal_access = IPC_ACCESS
        elif self.writable:
            self.maximal_access = Access.FILE_ALL_ACCESS
        else:
            self.maximal_access = Access.FILE_GENERIC_READ | Access.FILE_GENERIC_EXECUTE

    def as_of(self, volume: Volume, time_ns: int) -> "TreeConnect":
        """The same as it was when a snapshot was taken, to be closed; `volume` is the snapshot as the server sees it.

        Nobody changes anything there, so nothing is watched.  Rights are granted as if it could be changed.
        """
        settings = replace(
            self.share.settings,
            snapshots=None,
            dfs=(),
            local_changes="none",
            local_locks=False,
            continuous_availability=False,
        )
        share = Share(settings, volume, self.share.descriptor_name)
        seen = volume if self.volume is self.share.volume else volume.acting_as(self.account)
        tree = TreeConnect(self.session, self.tree_id, share, self.account, seen)
        if self.descriptors is not None:
            tree.descriptors = replace(self.descriptors, volume=volume)
        tree.live = self
        tree.snapshot_ns = time_ns
        tree.maximal_access = Access.FILE_ALL_ACCESS
        return tree

    def set_apart(self, stat: Stat) -> None:
        """Files of a snapshot are others than those of today, also where the system gives them the same keys."""
        if self.live is not None:
            stat.key = FileKey(stat.key.device | self.snapshot_ns << 64, stat.key.inode)

    def close(self) -> None:
        """Of a tree as it was: let go of the snapshot."""
        if self.live is not None and self.share.volume is not None:
            self.share.volume.close()
