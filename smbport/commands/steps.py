"""What a handler may await: `blocking(function, ...)` and `waiting(event)`; both are run by `server/drive.py`.

A handler is a coroutine that trio does not drive.  It runs inline until it needs something that would wait: a thread
takes a step that blocks, and only a handler that waits for others becomes a task.
"""

from collections.abc import Callable, Generator
from enum import Enum
from types import coroutine
from typing import ParamSpec, TypeVar

from smbport.state.server import Event

__all__ = ["Blocking", "Manner", "Step", "Waiting", "blocking", "waiting"]

P = ParamSpec("P")
T = TypeVar("T")


class Blocking:
    """Call this in a worker thread with wait=True and send me the result."""

    __slots__ = ("args", "function", "keywords")

    def __init__(self, function: Callable[..., object], args: tuple[object, ...], keywords: dict[str, object]) -> None:
        self.function = function
        self.args = args
        self.keywords = keywords


class Manner(Enum):
    """How a request waits: what the client hears of it, and what ends it early.  [MS-SMB2] 3.3.4.2, 3.3.5.16, 3.3.7.1

                client is told   CANCEL ends it   the loss of its connection ends it
    PENDING     yes              yes              yes
    LASTING     yes              yes              if the session has no other
    SILENT      no               yes              if the session has no other
    SHIELDED    no               no               no
    """

    PENDING = "pending"
    LASTING = "lasting"
    SILENT = "silent"
    SHIELDED = "shielded"


class Waiting:
    """Go on when the event is set, or after `timeout_s`; the result is `is_set()`.

    When it is ended early, `StatusError(CANCELLED)` is raised at the await instead.
    """

    __slots__ = ("event", "manner", "timeout_s")

    def __init__(self, event: Event, timeout_s: float | None, manner: Manner) -> None:
        self.event = event
        self.timeout_s = timeout_s
        self.manner = manner


Step = Blocking | Waiting


@coroutine
def blocking(function: Callable[P, T], *args: P.args, **keywords: P.kwargs) -> Generator[Blocking, T, T]:
    """Call `function(*args)` here and now; if it says BlockingIOError, again in a worker thread with wait=True.

    The function follows the rule of `smbport.platform`: with wait=False it changes nothing before it raises.
    """
    try:
        return function(*args, **keywords)
    except BlockingIOError:
        return (yield Blocking(function, args, dict(keywords)))


@coroutine
def waiting(
    event: Event, timeout_s: float | None = None, manner: Manner = Manner.PENDING
) -> Generator[Waiting, bool, bool]:
    """Wait for the event; True if it was set, False if `timeout_s` ran out first."""
    return (yield Waiting(event, timeout_s, manner))
