"""Copying between open files inside the server, whichever FSCTL asks for it.

A copy shares blocks if the file system can, else the kernel copies, else this process reads and writes.  It runs in
pieces in a thread.  Between two of them it looks whether somebody has cancelled the request, closed one of the files
or locked what comes next; what was copied until then stays, and is counted.
"""

from errno import EAGAIN, EINVAL, EXDEV
from typing import Final

from smbport.commands.call import Call
from smbport.commands.oplock_break import stop_caching
from smbport.commands.steps import blocking, waiting
from smbport.platform import Clone, File
from smbport.state.open import FileOpen
from smbport.wire.change import CompletionFilter
from smbport.wire.constants import CreateOption
from smbport.wire.status import Status, StatusError

__all__ = ["BY_HAND", "Copying", "Patience", "changed"]

PIECE: Final = 16 << 20  # bytes; what a disk copies in a fraction of a second
BY_HAND: Final = 1 << 20  # bytes; what is read at once if this process must do it
UNHEARD: Final = 4 << 20  # bytes; after so many the client is told that it takes time, and can cancel


class Patience:
    """Lets a request that takes long be cancelled between two of its steps."""

    __slots__ = ("_call", "_unheard")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._unheard = 0

    def count(self, done: int) -> None:
        """So many bytes are done."""
        self._unheard += done

    async def pause(self) -> None:
        """More are to be done.  Raises CANCELLED if the client does not want them."""
        if self._unheard >= UNHEARD:
            self._unheard = 0
            await waiting(self._call.server.runtime.new_event(), 0)


class Copying:
    """The copies of one request from one open file to another, both pinned meanwhile."""

    __slots__ = ("_call", "_patience", "_source", "_target", "copied")

    def __init__(self, call: Call, source: FileOpen, target: FileOpen) -> None:
        self._call = call
        self._source = source
        self._target = target
        self._patience = Patience(call)
        self.copied = 0  # bytes, all in all

    async def copy(self, source_offset: int, target_offset: int, length: int) -> None:
        """Copy so many bytes, all of which the source has.  Whatever is raised, `copied` says how far it came."""
        source, target = self._source, self._target
        same = source.shared is target.shared
        if same and length > BY_HAND and abs(source_offset - target_offset) < length:
            raise StatusError(Status.NOT_SUPPORTED, "ranges overlap, and are too long to be read at once")
        source.pins += 1
        target.pins += 1
        try:
            while length:
                await self._patience.pause()
                self._check(source_offset, target_offset, length)
                count = await self._copy_piece(source_offset, target_offset, length)
                if not count:
                    raise StatusError(Status.END_OF_FILE, "somebody cut the source")
                source_offset += count
                target_offset += count
                length -= count
        finally:
            self._call.server.unpin(source)
            self._call.server.unpin(target)

    def _check(self, source_offset: int, target_offset: int, length: int) -> None:
        """Whether to go on: both are open, and what comes next is not locked."""
        source, target = self._source, self._target
        if source.closed or target.closed:
            raise StatusError(Status.FILE_CLOSED)
        readable = source.shared.locks.may_read(source, source_offset, length)
        if not readable or not target.shared.locks.may_write(target, target_offset, length):
            raise StatusError(Status.FILE_LOCK_CONFLICT)

    async def _copy_piece(self, source_offset: int, target_offset: int, length: int) -> int:
        source, target = self._source, self._target
        through = bool(target.create_options & CreateOption.WRITE_THROUGH)
        clone = self._call.server.platform.clone if not (source.stream or target.stream) else None
        try:
            count = await blocking(
                _copy_piece, clone, source.file, source_offset, target.file, target_offset, length, through=through
            )
        except OSError:
            target.shared.sync_failed |= through  # as in write.py
            raise
        finally:
            changed(self._call, target)
        self.copied += count
        self._patience.count(count)
        return count


def changed(call: Call, target: FileOpen) -> None:
    """The data of a file is another: nobody may cache it any more, and who watches it is told."""
    if target.shared.oplocks:
        stop_caching(call.server, target)
    target.report_modified(CompletionFilter.LAST_WRITE | CompletionFilter.SIZE)


def _copy_piece(
    clone: Clone | None,
    source: File,
    source_offset: int,
    target: File,
    target_offset: int,
    length: int,
    *,
    through: bool,
    wait: bool = False,
) -> int:
    """Copy at most `length` bytes; how many, 0 at the end of the source."""
    if not wait:
        raise BlockingIOError(EAGAIN, "copying takes a thread")
    if clone is not None:
        try:
            count = clone.copy(source, source_offset, target, target_offset, min(length, PIECE), wait=True)
        except OSError as error:
            # EINVAL: ranges of one file that overlap.  Read at once and then written, they are copied all the same.
            if error.errno not in (EXDEV, EINVAL):
                raise
        else:
            if through:
                target.sync(wait=True)
            return count
    data = source.read_at(source_offset, min(length, BY_HAND), wait=True)
    return target.write_at(target_offset, data, through=through, wait=True) if data else 0
