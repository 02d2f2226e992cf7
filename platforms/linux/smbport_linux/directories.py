"""Open directories of Linux."""

from errno import EACCES

from smbport.platform import Stat
from smbport.posix.files import PosixDirectory
from smbport.posix.nodes import check_wait
from smbport.posix.walk import error
from smbport_linux.files import change_times, enter_change, home_of, path_of, sync_node

__all__ = ["LinuxDirectory"]


class LinuxDirectory(PosixDirectory):
    """An open directory; with `path_only`, one that the identity may not list."""

    __slots__ = ()

    def check_change(self, wait: bool) -> None:
        enter_change(self, wait)

    def where(self) -> tuple[int | str | bytes, int | None]:
        return path_of(self, self._fd), None

    def stat(self) -> Stat:
        return home_of(self).state(self._fd, path_only=self.path_only)

    def set_times(self, access_ns: int | None, write_ns: int | None, *, wait: bool = False) -> None:
        enter_change(self, wait)
        change_times(self, self._fd, access_ns, write_ns)

    def sync(self, *, wait: bool = False) -> None:
        check_wait(wait)
        sync_node(self, self._fd)

    def _listable(self) -> int:
        if self.path_only:
            raise error(EACCES)
        return self._fd
