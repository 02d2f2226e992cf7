"""Finder info and resource forks, in shares for macOS.

AFP_AfpInfo and AFP_Resource are stored as the named streams that they are, so files keep them wherever they are moved
to.  What may be written to the first goes by what macOS' own server does, as Samba's tests tell it.
"""

from typing import Final

from smbport.platform import File, StreamEntry
from smbport.state.names import fold
from smbport.state.open import FileOpen
from smbport.state.tree import TreeConnect
from smbport.wire.aapl import AFP_INFO_SIZE, AFP_INFO_STREAM, EMPTY_AFP_INFO, finder_info_of
from smbport.wire.constants import CreateDisposition
from smbport.wire.status import Status, StatusError

__all__ = [
    "check_afp_info_size", "check_written", "hides_file_ids", "is_afp_info", "read_afp_info", "seen_streams",
    "store_afp_info", "whole_afp_info",
]  # fmt: skip

ALLOTTED_SPACE_EXCEEDED: Final = 0xC0000099  # what macOS says of an AFP_AfpInfo that is to be longer

_AFP_INFO: Final = fold(AFP_INFO_STREAM)


def hides_file_ids(tree: TreeConnect) -> bool:
    """Whether files have the id 0 for a client, which then makes its own.

    macOS takes an id for one that is never given again, as on HFS+, and that of an inode is.  Samba: zero_file_id
    """
    return tree.share.settings.macos and bool(tree.session.aapl)


# AFP_AfpInfo ----------------------------------------------------------------------------------------------------


def is_afp_info(opened: FileOpen) -> bool:
    """Whether this is Finder info in a share that knows of such."""
    return opened.tree.share.settings.macos and fold(opened.stream) == _AFP_INFO


def whole_afp_info(offset: int, data: bytes | memoryview) -> bytes | None:
    """What a WRITE stores: always all 60 bytes, wherever the client says they go; None for nothing.

    Raises INVALID_PARAMETER for what can be no Finder info.
    """
    info = bytes(data[:AFP_INFO_SIZE])
    if info[:3] != b"AFP" or (offset and len(info) < AFP_INFO_SIZE):
        raise StatusError(Status.INVALID_PARAMETER, "no AFP_AfpInfo")
    if not finder_info_of(info):
        return None
    if info[:8] != EMPTY_AFP_INFO[:8]:
        raise StatusError(Status.INVALID_PARAMETER, "AFP_AfpInfo of another version")
    return info.ljust(AFP_INFO_SIZE, b"\0")


def store_afp_info(file: File, info: bytes, *, wait: bool = False) -> bool:
    """Write it; False if it says nothing, for which nothing is kept."""
    if not any(finder_info_of(info)):
        file.resize(0, wait=wait)
        return False
    if file.write_at(0, info, through=False, wait=wait) != AFP_INFO_SIZE:
        raise StatusError(Status.DISK_FULL)
    if file.stat().size > AFP_INFO_SIZE:
        file.resize(AFP_INFO_SIZE, wait=wait)
    return True


def check_afp_info_size(size: int) -> None:
    """It cannot become longer; to cut it succeeds and does nothing."""
    if size > AFP_INFO_SIZE:
        raise StatusError(ALLOTTED_SPACE_EXCEEDED)


def read_afp_info(file: File, offset: int, length: int, *, wait: bool = False) -> bytes:
    """What a READ gets, as of macOS' own server: always from the beginning, and something even before any write."""
    if offset > AFP_INFO_SIZE:
        return b""
    if not file.stat().size:
        return EMPTY_AFP_INFO[:length]
    return file.read_at(0, min(length, AFP_INFO_SIZE), wait=wait)


# Streams that are there and not seen ----------------------------------------------------------------------------


def check_written(tree: TreeConnect, disposition: int, stream: str, size: int) -> None:
    """Who only opens does not find a stream that nothing was written to."""
    if disposition == CreateDisposition.OPEN and not _is_seen(tree, stream, size):
        raise StatusError(Status.OBJECT_NAME_NOT_FOUND, "a stream that macOS does not see")


def seen_streams(tree: TreeConnect, entries: list[StreamEntry]) -> list[StreamEntry]:
    """Those that the client is shown."""
    if not tree.share.settings.macos:
        return entries
    return [entry for entry in entries if _is_seen(tree, entry.name, entry.size)]


def _is_seen(tree: TreeConnect, stream: str, size: int) -> bool:
    if not tree.share.settings.macos:
        return True
    if fold(stream) == _AFP_INFO:
        return size == AFP_INFO_SIZE
    return bool(size) or not tree.session.aapl
