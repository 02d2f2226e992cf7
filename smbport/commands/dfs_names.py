"""Names in shares that have links to other servers.  [MS-SMB2] 3.3.5.9, [MS-DFSC] 3.2.1"""

from typing import Final

from smbport.commands.attributes import DFS_LINK
from smbport.platform import Entry, FileKey, Stat
from smbport.state.dfs import DfsLinks
from smbport.state.names import fold
from smbport.state.open import FileOpen
from smbport.wire.constants import HeaderFlag
from smbport.wire.status import Status, StatusError

__all__ = ["add_links", "local_name"]

PREFIX: Final = 2  # parts of a name that are the server and the share


def local_name(links: DfsLinks, text: str, flags: int) -> str:
    """The name inside the share.  With the DFS flag, the client has put server and share before it.

    Raises PATH_NOT_COVERED for a link and all that is below it, with or without the flag: a client that has not been
    told where a link leads must ask, and one that cannot ask finds nothing there.
    """
    parts = text.split("\\")
    if flags & HeaderFlag.DFS_OPERATIONS:
        parts = text.lstrip("\\").split("\\")[PREFIX:]
    if links.find(parts) is not None:
        raise StatusError(Status.PATH_NOT_COVERED)
    return "\\".join(parts)


def add_links(links: DfsLinks, opened: FileOpen, entries: list[Entry], *, ended: bool) -> list[Entry]:
    """Entries of a listing with the links of the directory at its end, in the place of what has their names."""
    names = links.names_in(opened.path)
    if not names:
        return entries
    folded = set(map(fold, names))
    entries = [entry for entry in entries if fold(entry.name) not in folded]
    if ended:
        stat = _stat_of_links(opened.node.stat())
        entries += [Entry(name, stat) for name in names]
    return entries


def _stat_of_links(directory: Stat) -> Stat:
    """They are as old as the directory that they are in."""
    return Stat(
        key=FileKey(directory.key.device, 0),
        kind=DFS_LINK,
        size=0,
        allocated=0,
        links=1,
        mode=directory.mode,
        uid=directory.uid,
        gid=directory.gid,
        access_ns=directory.access_ns,
        write_ns=directory.write_ns,
        change_ns=directory.change_ns,
        birth_ns=directory.birth_ns,
        dos_attributes=None,
    )
