"""A copy of a whole file with its streams, as macOS asks for it: by FSCTL_SRV_COPYCHUNK with no chunk at all."""

from errno import EAGAIN, ESTALE
from typing import Final

from smbport.commands.fsctl.copying import Copying
from smbport.commands.macos import seen_streams
from smbport.commands.open_stream import find_stream
from smbport.commands.steps import blocking
from smbport.commands.streams import streams_of
from smbport.platform import ACCESS_READ, ACCESS_WRITE, Directory, File, Streams
from smbport.state.open import FileOpen
from smbport.wire.aapl import AaplCapability

__all__ = ["copies_files", "copy_file"]

PIECE: Final = 1 << 20  # bytes


def copies_files(target: FileOpen) -> bool:
    """Whether no chunk at all means the whole file here, as the client was promised."""
    tree = target.tree
    return tree.share.settings.macos and bool(tree.session.aapl & AaplCapability.COPY_FILE)


async def copy_file(copying: Copying, source: FileOpen, target: FileOpen) -> None:
    """Copy the data, then all streams that the client sees of the source."""
    await copying.copy(0, 0, source.node.stat().size)
    theirs, ours = streams_of(source.tree), streams_of(target.tree)
    if theirs is None or ours is None or source.stream or target.stream or source.shared is target.shared:
        return
    for name, _, _ in seen_streams(source.tree, await blocking(theirs.entries, source.base)):
        if target.shared.find_stream(name) is None:  # what is open is the business of who has it open
            await blocking(_copy_stream, theirs, source, ours, target, name)


def _copy_stream(
    theirs: Streams, source: FileOpen, ours: Streams, target: FileOpen, name: str, *, wait: bool = False
) -> None:
    if not wait:
        raise BlockingIOError(EAGAIN, "copying takes a thread")
    old = _open_stream(theirs, _reopen(source, ACCESS_READ), name)
    try:
        new = _open_stream(ours, _reopen(target, ACCESS_READ | ACCESS_WRITE), name)
        try:
            new.resize(0, wait=True)
            _copy(old, new)
        finally:
            new.close()
    finally:
        old.close()


def _reopen(opened: FileOpen, access: int) -> File | Directory:
    """One more handle of the file, for a stream takes its own.  OSError(ESTALE) if others have moved the file."""
    node = opened.volume.open(opened.path, access, wait=True)
    if node.stat().key != opened.node.stat().key:
        node.close()
        raise OSError(ESTALE, "another file has its name by now")
    return node


def _open_stream(streams: Streams, node: File | Directory, name: str) -> File:
    """The stream of that name, made if need be."""
    try:
        there = find_stream(streams, node, name, wait=True)
        return streams.create(node, name, wait=True) if there is None else streams.open(node, there, wait=True)
    except OSError:
        node.close()
        raise


def _copy(source: File, target: File) -> None:
    offset = 0
    while data := source.read_at(offset, PIECE, wait=True):
        offset += target.write_at(offset, data, wait=True)
