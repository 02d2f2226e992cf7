"""Change notification for one open directory.  [MS-FSA] 2.1.1.9, 2.1.5.11; [MS-SMB2] 3.3.5.19

A watch begins with the first CHANGE_NOTIFY of an open, which fixes what it hears of and how much it keeps, and ends
with the open.  In between:

    what happens    nobody waits                          somebody waits
    --------------  ------------------------------------  -----------------------------------------------------
    a request       news is its answer, else it waits     it waits behind the others
    a change        news; what does not fit is lost       answers the one who waits longest
    a loss          news, instead of all the other        answers the one who waits longest
    an old name     kept, no news yet                     kept, no news yet
    a new name      as a change, with the old name        as a change, with the old name: a pair is never torn
    a cancel        nothing                               the request leaves, the others stay
    the end         nothing                               answers all, with its status

What is lost, or does not fit into the buffer of the request that it answers, becomes NOTIFY_ENUM_DIR: the client
must look for itself.  Changes that are the same as the one before are kept once, as Windows does.
"""

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from smbport.state.names import name_for_wire
from smbport.wire.change import NotifyAction, pack_notify_entry
from smbport.wire.record import join_chain
from smbport.wire.status import Status

if TYPE_CHECKING:
    from smbport.state.open import FileOpen
    from smbport.state.server import Event

__all__ = ["Answer", "Waiter", "Watch"]


_OF_STREAMS: Final = (NotifyAction.ADDED_STREAM, NotifyAction.REMOVED_STREAM, NotifyAction.MODIFIED_STREAM)


class Answer(NamedTuple):
    """What a request is told."""

    status: int
    data: bytes = b""  # a chain of FILE_NOTIFY_INFORMATION, with SUCCESS only


class Waiter:
    """A request that waits: `event` is set when there is an answer."""

    __slots__ = ("answer", "event", "room")

    def __init__(self, event: "Event", room: int) -> None:
        self.event = event
        self.room = room  # bytes that the client takes
        self.answer: Answer | None = None

    def tell(self, answer: Answer) -> None:
        """Let it go on."""
        self.answer = answer
        self.event.set()


class Watch:
    """What one open directory has heard and not told; a listener of `state/changes.py`.

    Somebody waits only while there is no news.
    """

    __slots__ = ("_capacity", "_completion_filter", "_kept", "_lost", "_size", "_torn", "_waiters", "tree")

    def __init__(self, completion_filter: int, capacity: int, *, tree: bool) -> None:
        self.tree = tree
        self._completion_filter = completion_filter
        self._capacity = capacity  # bytes of one answer at most, however large the buffers of later requests are
        self._kept: list[bytes] = []
        self._size = 0  # of all that is kept, as a chain
        self._lost = False  # there was more, and nothing is kept
        self._torn = False  # an old name came last, and its new one is about to come
        self._waiters: deque[Waiter] = deque()

    def changed(self, action: int, name: str, what: int, by: "FileOpen | None") -> None:
        """Something below the directory is different."""
        if not what & self._completion_filter:
            return
        spell = _stream_for_wire if action in _OF_STREAMS else _name_for_wire
        self._keep(pack_notify_entry(action, spell(name)))
        self._torn = action == NotifyAction.RENAMED_OLD_NAME
        self._tell_next()

    def lost(self) -> None:
        """Something below the directory may be different, and nobody knows what."""
        self._lose()
        self._torn = False
        self._tell_next()

    def ask(self, room: int) -> Answer | None:
        """The answer to a request with a buffer of `room` bytes; None if it must wait."""
        has_news = (self._kept or self._lost) and not self._torn
        return self._take(room) if has_news else None

    @property
    def is_waited_for(self) -> bool:
        """Whether a request waits for news."""
        return bool(self._waiters)

    def wait(self, waiter: Waiter) -> None:
        """A request that `ask` had no answer for waits behind the others."""
        self._waiters.append(waiter)

    def leave(self, waiter: Waiter) -> None:
        """A request waits no more; harmless if it was answered."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)

    def end(self, status: int) -> None:
        """The directory is watched no more; `status` is what everybody who waits is told."""
        while self._waiters:
            self._waiters.popleft().tell(Answer(status))

    def _keep(self, entry: bytes) -> None:
        if self._lost or (self._kept and self._kept[-1] == entry):
            return
        size = self._size + -self._size % 4 + len(entry)
        if size > self._capacity:
            self._lose()
            return
        self._kept.append(entry)
        self._size = size

    def _lose(self) -> None:
        self._kept.clear()
        self._lost = True

    def _tell_next(self) -> None:
        if self._waiters and not self._torn:
            waiter = self._waiters.popleft()
            waiter.tell(self._take(waiter.room))

    def _take(self, room: int) -> Answer:
        """All the news, which is none afterwards."""
        told = not self._lost and self._size <= room
        data = join_chain(self._kept, alignment=4) if told else b""
        self._kept.clear()
        self._size = 0
        self._lost = False
        return Answer(Status.SUCCESS if told else Status.NOTIFY_ENUM_DIR, data)


def _stream_for_wire(path: str) -> str:
    """`path:stream:$DATA`; the name of a stream is the same on both sides."""
    path, stream, kind = path.rsplit(":", 2)
    return f"{_name_for_wire(path) if path else path}:{stream}:{kind}"


def _name_for_wire(path: str) -> str:
    return "\\".join(map(name_for_wire, path.split("/")))
