"""A volume in which nothing can be changed, whatever the file system below allows."""

from dataclasses import replace
from errno import EROFS

from smbport.platform import ACCESS_WRITE, Account, Directory, Features, File, FileKey, Space, Stat, Volume, Witness
from smbport.posix.walk import error

__all__ = ["FrozenVolume"]


class FrozenVolume:
    """A view of `inner`.  Files open with ACCESS_WRITE, too, but only for reading."""

    def __init__(self, inner: Volume) -> None:
        self._inner = inner
        self.features: Features = replace(inner.features, read_only=True)

    def acting_as(self, account: Account) -> Volume:
        return FrozenVolume(self._inner.acting_as(account))

    def stat(self, path: str, *, follow: bool = True, marks: bool = True, wait: bool = False) -> Stat:
        return self._inner.stat(path, follow=follow, marks=marks, wait=wait)

    def open(self, path: str, access: int, *, follow: bool = True, wait: bool = False) -> File | Directory:
        return self._inner.open(path, access & ~ACCESS_WRITE, follow=follow, wait=wait)

    def create(self, path: str, access: int, mode: int, *, witness: Witness | None = None, wait: bool = False) -> File:
        raise error(EROFS)

    def make_directory(self, path: str, mode: int, *, witness: Witness | None = None, wait: bool = False) -> Directory:
        raise error(EROFS)

    def rename(self, old: str, new: str, *, replace: bool, wait: bool = False) -> None:
        raise error(EROFS)

    def link(self, old: str, new: str, *, wait: bool = False) -> None:
        raise error(EROFS)

    def symlink(self, path: str, target: str, *, wait: bool = False) -> None:
        raise error(EROFS)

    def make_special(self, path: str, kind: int, mode: int, *, wait: bool = False) -> None:
        raise error(EROFS)

    def read_link(self, path: str, *, wait: bool = False) -> str:
        return self._inner.read_link(path, wait=wait)

    def remove(
        self, path: str, key: FileKey, *, directory: bool = False, witness: Witness | None = None, wait: bool = False
    ) -> None:
        raise error(EROFS)

    def may_remove(self, path: str, *, wait: bool = False) -> bool:
        self._inner.stat(path, follow=False, wait=wait)  # for its errors
        return False

    def sync_directory_of(self, path: str, *, wait: bool = False) -> None:
        self._inner.sync_directory_of(path, wait=wait)

    def space(self, *, wait: bool = False) -> Space:
        return self._inner.space(wait=wait)

    def close(self) -> None:
        self._inner.close()
