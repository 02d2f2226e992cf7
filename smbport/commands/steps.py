"""What a handler may await: `blocking(function, ...)` and `waiting(event)`; both are run by `server/drive.py`.

A handler is a coroutine that trio does not drive.  It runs on the connection's own task until it needs
something that would wait; only then does it become a task of its own.
"""

from collections.abc import Callable, Generator
from types import coroutine
from typing import ParamSpec, TypeVar

from smbport.state.server import Event

__all__ = ["Blocking", "Step", "Waiting", "blocking", "waiting"]

P = ParamSpec("P")
T = TypeVar("T")


class Blocking:
    """Call this in a worker thread with wait=True and send me the result."""

    __slots__ = ("args", "function", "keywords")

    def __init__(self, function: Callable[..., object], args: tuple[object, ...], keywords: dict[str, object]) -> None:
        self.function = function
        self.args = args
        self.keywords = keywords


class Waiting:
    """Answer STATUS_PENDING and go on when the event is set, or after `timeout_s`; the result is `is_set()`.

    When the client cancels the request, `StatusError(CANCELLED)` is raised at the await instead.
    """

    __slots__ = ("event", "interim", "timeout_s")

    def __init__(self, event: Event, timeout_s: float | None, interim: bool) -> None:
        self.event = event
        self.timeout_s = timeout_s
        self.interim = interim


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
def waiting(event: Event, timeout_s: float | None = None, *, interim: bool = True) -> Generator[Waiting, bool, bool]:
    """Wait for the event; True if it was set, False if `timeout_s` ran out first.

    `interim` tells the client STATUS_PENDING; without it the wait is silent (a delayed logon).
    """
    return (yield Waiting(event, timeout_s, interim))
