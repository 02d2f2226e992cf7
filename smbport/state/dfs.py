"""Links of the distributed file system: names in a share that stand for folders elsewhere.  [MS-DFSC] 1.1"""

from collections.abc import Iterable
from typing import NamedTuple

from smbport.state.names import fold

__all__ = ["DfsLink", "DfsLinks"]


class DfsLink(NamedTuple):
    """One link, as an administrator wrote it."""

    path: str  # in the share, parts joined by "/"
    targets: tuple[str, ...]  # `server\\share` or `server\\share\\folder`, best first


class DfsLinks:
    """The links of one share.  Case never matters in them."""

    __slots__ = ("_by_directory", "_by_path")

    def __init__(self, links: Iterable[DfsLink]) -> None:
        self._by_path = {fold(link.path): link for link in links}
        self._by_directory: dict[str, list[str]] = {}
        for link in links:
            directory, _, name = link.path.rpartition("/")
            self._by_directory.setdefault(fold(directory), []).append(name)

    def find(self, parts: list[str]) -> tuple[DfsLink, int] | None:
        """The link that a path leads through, and how many parts lead to it."""
        folded = [fold(part) for part in parts]
        for count in range(1, len(parts) + 1):
            link = self._by_path.get("/".join(folded[:count]))
            if link is not None:
                return link, count
        return None

    def names_in(self, directory: str) -> list[str]:
        """Names of the links that are in a directory."""
        return self._by_directory.get(fold(directory), [])
