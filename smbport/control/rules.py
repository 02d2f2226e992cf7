"""Settings with their accounts found: all that questions of the kernel are answered from.

Names are looked up when the rules are made, because a directory service may take longer than the kernel waits.
"""

import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final

import trio

from smbport.config.forms import wrong
from smbport.config.keys import share_path
from smbport.kernel import KernelShare
from smbport.platform import Account, Identity, Platform
from smbport.state.settings import Settings, ShareSettings
from smbport.state.tree import Share

__all__ = ["Rules", "find_rules", "fold"]

IPC: Final = KernelShare(name="IPC$", path=None)
MAX_FOLDED: Final = 256  # guessed: names that come again and again
PERMISSION_BITS: Final = 0o777  # what a client that does not choose gets, before masks; see `_kernel_share`


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings, and what they come down to on this system."""

    settings: Settings
    shares: Mapping[str, tuple[Share, KernelShare]]  # by folded name; without IPC$
    guest: Account | None  # whom guests act as; None: there are no guests
    unix_users: Mapping[int, str]  # names of the system's users, by number
    unix_groups: Mapping[int, str]

    def find_share(self, name: str) -> KernelShare | None:
        """As the kernel must know it."""
        if fold(name) == "ipc$":
            return IPC
        found = self.shares.get(fold(name))
        return found[1] if found else None


@lru_cache(MAX_FOLDED)
def fold(name: str) -> str:
    """The form in which names of shares are compared.  Kernels with Unicode tables ask for names taken apart."""
    return unicodedata.normalize("NFD", name.casefold())


async def find_rules(settings: Settings, platform: Platform, identity: Identity, source: str) -> Rules:
    """Look up every account and group.  ConfigError about one that is missing, OSError about a directory."""
    shares: dict[str, tuple[Share, KernelShare]] = {}
    for share in settings.shares:
        await trio.to_thread.run_sync(_check_directory, share, platform)
        owner = await _find_owner(share, platform, identity, source)
        gid = await _find_gid(share, owner, identity, source)
        shares[fold(share.name)] = (Share(share, None), _kernel_share(share, settings, owner, gid))
    guest = platform.account
    if settings.guest_account not in (None, "server"):
        guest = await _find_account(identity, settings.guest_account, "server.guest_account", source)
    unix_users, unix_groups = await trio.to_thread.run_sync(partial(identity.names, wait=True))
    return Rules(settings, shares, None if settings.guest_account is None else guest, unix_users, unix_groups)


def _check_directory(share: ShareSettings, platform: Platform) -> None:
    try:
        platform.open_volume(share.path).close()
    except OSError as error:
        why = error.strerror or error
        message = f"share {share.name!r}: cannot serve {share.path!r}: {why}; make it, or correct the path"
        raise OSError(error.errno, message) from error


async def _find_owner(share: ShareSettings, platform: Platform, identity: Identity, source: str) -> Account | None:
    """The one account that acts for all users of a share; None: each acts as itself."""
    if share.run_as == "client":
        return None
    if share.run_as == "server":
        return platform.account
    return await _find_account(identity, share.run_as, f"{share_path(share.name)}.run_as", source)


async def _find_account(identity: Identity, name: str, key: str, source: str) -> Account:
    account = await trio.to_thread.run_sync(partial(identity.find_account, name, wait=True))
    if account is None:
        raise wrong(source, key, name, "is no account of this system")
    return account


async def _find_gid(share: ShareSettings, owner: Account | None, identity: Identity, source: str) -> int | None:
    """The one group of all files of a share; None: the primary group of each user."""
    if share.force_group is None:
        return owner.gid if owner else None
    gid = await trio.to_thread.run_sync(partial(identity.find_group, share.force_group, wait=True))
    if gid is None:
        raise wrong(source, f"{share_path(share.name)}.force_group", share.force_group, "is no group of this system")
    return gid


def _kernel_share(share: ShareSettings, settings: Settings, owner: Account | None, gid: int | None) -> KernelShare:
    """Files get execute bits, which in user space they do not: without them the kernel lets nobody run a program."""
    return KernelShare(
        name=share.name,
        path=os.path.abspath(share.path),
        file_mask=PERMISSION_BITS & share.create_mask,
        forced_file_mode=share.force_mode,
        directory_mask=PERMISSION_BITS & share.directory_mask,
        forced_directory_mode=share.force_directory_mode,
        uid=owner.uid if owner else None,
        gid=gid,
        groups=tuple(group for group in owner.groups if group != gid) if owner else (),
        oplocks=settings.oplocks,
        hide_unreadable=share.access_based_enumeration,
    )
