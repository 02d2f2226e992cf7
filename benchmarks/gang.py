"""The processes that make the load: they prepare, begin together, stop where they are told, and say what they did.

A task is a function of a module; it is called with `gate`, which it calls at each point where all must have arrived
before any goes on.  Between, the one who gave the tasks looks at the server.
"""

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Final

from benchmarks.sample import Share
from smbport.wire.record import BadStructure
from smbport.wire.status import StatusError

__all__ = ["Gang", "Gate", "LoadError", "Task"]

STOP_TIMEOUT_S: Final = 10

Gate = Callable[[], None]
Task = Callable[[Gate], Share]


class LoadError(Exception):
    """A process of the generator met a failure; the text says which."""


class _Abandoned(Exception):
    """Another process has failed, and nobody waits for this one."""


class Gang:
    """So many processes, started afresh, so that they share nothing with this one."""

    def __init__(self, size: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._members: list[tuple[BaseProcess, Connection]] = []
        for _ in range(size):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            self._members.append((process, ours))

    def __len__(self) -> int:
        return len(self._members)

    def __enter__(self) -> "Gang":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process, pipe in self._members:
            pipe.close()
            process.join(STOP_TIMEOUT_S)
            if process.is_alive():
                process.kill()
                process.join()

    def run(self, tasks: Sequence[Task], *stops: Callable[[], None]) -> list[Share]:
        """Run a task in each of the first processes; at the n-th gate, when all are there, call the n-th stop.

        Raises LoadError if a task failed.
        """
        pipes = [pipe for _, pipe in self._members[: len(tasks)]]
        for pipe, task in zip(pipes, tasks, strict=True):
            pipe.send(task)
        for stop in stops:
            self._gather(pipes, expected=None)
            stop()
            for pipe in pipes:
                pipe.send(True)
        return self._gather(pipes, expected=Share)

    def _gather(self, pipes: Sequence[Connection], expected: type[Share] | None) -> list[Share]:
        """What each says next: `None` at a gate, its share at the end, or the text of a failure."""
        said = [_receive(pipe) for pipe in pipes]
        failures = [answer for answer in said if isinstance(answer, str)]
        if not failures:
            assert all(isinstance(answer, Share) if expected else answer is None for answer in said)
            return [answer for answer in said if isinstance(answer, Share)]
        for pipe, answer in zip(pipes, said, strict=True):
            if answer is None:  # it stands at a gate that will not open
                pipe.send(False)
                _receive(pipe)
        raise LoadError(failures[0])


def _receive(pipe: Connection) -> object:
    try:
        return pipe.recv()
    except EOFError:
        return "a process of the load generator died"


def _work(pipe: Connection) -> None:
    """What a process does: tasks, one after the other, until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # from a terminal it comes to all; the first process ends the others

    def gate() -> None:
        pipe.send(None)
        if not pipe.recv():
            raise _Abandoned

    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            answer: Share | str = task(gate)
        except _Abandoned:
            answer = "abandoned"
        except (OSError, StatusError, BadStructure) as error:  # what a server can cause; a bug of ours ends the process
            answer = f"{type(error).__name__}: {error}"
        pipe.send(answer)
