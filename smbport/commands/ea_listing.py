"""EaSize in listings, for shares that say `list_ea_sizes`: what FileEaInformation says of each file."""

from collections.abc import Sequence
from contextlib import suppress
from errno import EAGAIN
from typing import Final

from smbport.commands.extended_attributes import ea_size_of, ea_size_of_lengths, keeps_eas
from smbport.commands.find_name import parent_of
from smbport.platform import ACCESS_NONE, Attributes, Directory, Entry, Volume
from smbport.state.open import FileOpen
from smbport.wire.constants import FileInfo
from smbport.wire.fscc_directory import EntryNames

__all__ = ["lists_ea_sizes", "read_ea_sizes", "read_ea_sizes_by_path"]

_WITHOUT: Final = (FileInfo.DIRECTORY, FileInfo.NAMES, FileInfo.POSIX)  # the others carry EaSize


def lists_ea_sizes(opened: FileOpen, info_class: int) -> Attributes | None:
    """The power to ask, if this listing is to show what it says."""
    tree = opened.tree
    if info_class in _WITHOUT or not tree.share.settings.list_ea_sizes:
        return None
    attributes, volume = tree.session.server.platform.attributes, tree.volume
    assert volume is not None
    return attributes if keeps_eas(attributes, volume) else None


def read_ea_sizes(
    attributes: Attributes, volume: Volume, directory: Directory, path: str, entries: Sequence[Entry]
) -> dict[str, int]:
    """EaSize of those that have any, of what `directory`, which is at `path`, has just given.  For threads."""
    sizes: dict[str, int] = {}
    untold: list[str] = []
    for (name, _), lengths in zip(entries, attributes.lengths(directory, entries, wait=True), strict=True):
        if lengths:
            sizes[name] = ea_size_of_lengths(lengths)
        elif lengths is None:
            untold.append(name)
    return sizes | read_ea_sizes_by_path(attributes, volume, path, untold, wait=True)


def read_ea_sizes_by_path(
    attributes: Attributes, volume: Volume, directory: str, names: Sequence[str], *, wait: bool = False
) -> dict[str, int]:
    """The same for any entries of a directory, "." and ".." too; nothing is known of what cannot be opened."""
    if not wait:
        raise BlockingIOError(EAGAIN, "opening several files takes a thread")
    sizes: dict[str, int] = {}
    paths = {EntryNames.SELF: directory, EntryNames.PARENT: parent_of(directory)}
    prefix = f"{directory}/" if directory else ""
    for name in names:
        with suppress(OSError):
            node = volume.open(paths.get(name, prefix + name), ACCESS_NONE, wait=True)
            try:
                sizes[name] = ea_size_of(attributes, node, wait=True)
            finally:
                node.close()
    return sizes
