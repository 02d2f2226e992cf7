"""Shares as they are served, and tree connects.  [MS-SMB2] 3.3.1.6, 3.3.1.9"""

from typing import TYPE_CHECKING

from smbport.platform import Account, Volume
from smbport.state.changes import Changes
from smbport.state.descriptors import Descriptors
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

    __slots__ = ("changes", "descriptor_name", "settings", "spellings", "volume")

    def __init__(self, settings: ShareSettings, volume: Volume | None, descriptor_name: str | None = None) -> None:
        self.settings = settings
        self.volume = volume
        self.descriptor_name = descriptor_name  # what descriptors are stored under; None: they are not
        self.spellings = None if settings.case_sensitive else Spellings()  # None: case matters
        self.changes = Changes(self)

    @property
    def name(self) -> str:
        """As the administrator spelled it."""
        return self.settings.name

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
        "account", "descriptors", "encrypt", "maximal_access", "session", "share", "tree_id", "volume", "writable",
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
        if volume is None:
            self.maximal_access = IPC_ACCESS
        elif self.writable:
            self.maximal_access = Access.FILE_ALL_ACCESS
        else:
            self.maximal_access = Access.FILE_GENERIC_READ | Access.FILE_GENERIC_EXECUTE
