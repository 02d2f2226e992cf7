"""Listings for macOS, which show the Finder info and the size of the resource fork.  See wire/aapl.py."""

from collections.abc import Callable
from typing import Final

from smbport.commands.attributes import allocation_size, end_of_file, file_attributes, file_times
from smbport.commands.contexts.response import maximal_access
from smbport.commands.streams import streams_of
from smbport.platform import ACCESS_NONE, Entry, Kind, Stat
from smbport.security.access import maximal_access as granted_at_most
from smbport.state.names import fold, name_for_wire
from smbport.state.open import DirectoryCursor, FileOpen
from smbport.state.tree import TreeConnect
from smbport.wire.aapl import (
    AFP_INFO_SIZE,
    AFP_INFO_STREAM,
    AFP_RESOURCE_STREAM,
    AaplCapability,
    MacAttributes,
    MacDirectoryPacker,
    finder_info_of,
    pack_finder_info,
)
from smbport.wire.constants import Access, FileInfo

__all__ = ["NO_MAC_ATTRIBUTES", "mac_adder", "read_mac_attributes", "shows_mac_attributes"]

_AFP_INFO: Final = fold(AFP_INFO_STREAM)
_AFP_RESOURCE: Final = fold(AFP_RESOURCE_STREAM)
_DOTS: Final = (".", "..")
_TYPES: Final = {Kind.FILE: 0o100000, Kind.DIRECTORY: 0o040000, Kind.SYMLINK: 0o120000}


NO_MAC_ATTRIBUTES: Final = MacAttributes(bytes(32), 0)


def shows_mac_attributes(opened: FileOpen, info_class: int) -> bool:
    """Whether a listing is one for macOS: its client has asked for that."""
    tree = opened.tree
    return (
        info_class == FileInfo.ID_BOTH_DIRECTORY
        and bool(tree.session.aapl & AaplCapability.READ_DIR_ATTRIBUTES)
        and tree.share.settings.macos
    )


def read_mac_attributes(opened: FileOpen, entries: list[Entry], *, wait: bool = False) -> dict[str, MacAttributes]:
    """Of the entries that have any; nothing is known of what this user may not open or what is gone."""
    found: dict[str, MacAttributes] = {}
    prefix = f"{opened.path}/" if opened.path else ""
    for name, _ in entries:
        if name in _DOTS:
            continue
        try:
            attributes = _read_attributes(opened.tree, prefix + name, wait=wait)
        except BlockingIOError:
            raise
        except OSError:
            continue
        if attributes != NO_MAC_ATTRIBUTES:
            found[name] = attributes
    return found


def _read_attributes(tree: TreeConnect, path: str, *, wait: bool) -> MacAttributes:
    """Where a descriptor decides, it says whether this user may read what streams hold."""
    descriptors = tree.descriptors
    volume = tree.volume if descriptors is None else descriptors.volume
    assert volume is not None
    node = volume.open(path, ACCESS_NONE, wait=wait)
    try:
        access: int | None = None
        if descriptors is not None:
            descriptor = descriptors.find(node, node.stat(), wait=wait)
            if descriptor is not None:
                access = granted_at_most(descriptor, descriptors.token)
        streams = streams_of(tree)
        if streams is None or (access is not None and not access & Access.READ_DATA):
            return MacAttributes(bytes(32), 0, access)
        sizes = {fold(name): (name, size) for name, size, _ in streams.entries(node, wait=wait)}
        _, resource_size = sizes.get(_AFP_RESOURCE, ("", 0))
        spelled, info_size = sizes.get(_AFP_INFO, ("", 0))
        if info_size != AFP_INFO_SIZE:
            return MacAttributes(bytes(32), resource_size, access)
        file = streams.open(node, spelled, wait=wait)
        node = file
        info = file.read_at(0, AFP_INFO_SIZE, wait=wait)
        return MacAttributes(finder_info_of(info.ljust(AFP_INFO_SIZE, b"\0")), resource_size, access)
    finally:
        node.close()


def mac_adder(tree: TreeConnect, cursor: DirectoryCursor, packer: MacDirectoryPacker) -> Callable[[Entry], bool | None]:
    """What adds an entry to the answer, see `DirectoryCursor.move`."""
    matches, known = cursor.pattern.matches, cursor.mac_attributes

    def add(entry: Entry) -> bool | None:
        name, stat = entry
        seen = name_for_wire(name) if name not in _DOTS else name
        if stat is None or not matches(seen):
            return None
        return _add(packer, tree, seen, name, stat, known.get(name, NO_MAC_ATTRIBUTES))

    return add


def _add(
    packer: MacDirectoryPacker, tree: TreeConnect, seen: str, name: str, stat: Stat, attributes: MacAttributes
) -> bool:
    info = pack_finder_info(
        attributes.finder_info, attributes.resource_size, stat.birth_ns, is_file=stat.kind == Kind.FILE
    )
    access = attributes.maximal_access
    if access is None:
        access = maximal_access(stat, tree.account)
    mode = _TYPES.get(stat.kind, 0) | stat.mode & 0o7777
    return packer.add(
        seen, *file_times(stat), end_of_file(stat), allocation_size(stat), file_attributes(stat, name),
        access & tree.maximal_access, 0, info, mode,
    )  # fmt: skip
