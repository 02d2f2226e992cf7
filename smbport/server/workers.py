"""Threads for what blocks.  Who asked is called when it is done, on the thread of trio: no task waits for it.

A thread tells by a socket, which `server/readiness.py` attends to as it does to those of clients.  So what was waited
for is known without a turn of trio's loop, and much that is done at once is told at once (docs/decisions/010).
"""

import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

__all__ = ["Workers"]

Work = Callable[[], None]
"""What a thread calls.  It must not raise."""

Done = Callable[[], None]
"""What trio's thread calls afterwards.  It must not raise either."""


class Workers:
    """At most `most` threads; what is more waits in order.  One that has nothing to do for `idle_s` is not kept."""

    def __init__(self, most: int, idle_s: float = 10.0) -> None:
        self._most = most
        self._idle_s = idle_s
        self._waiting: SimpleQueue[tuple[Work, Done] | None] = SimpleQueue()  # None ends a thread
        self._over: deque[Done | None] = deque()  # None: a thread has had nothing to do
        self._is_told = False
        self._threads = 0
        self.at_work = 0  # calls that are not over, or whose end nobody has been told of
        self._ear, self._mouth = socket.socketpair()
        self._ear.setblocking(False)
        self._mouth.setblocking(False)

    def fileno(self) -> int:
        """Readable when something is done; then `deliver` is to be called."""
        return self._ear.fileno()

    def start(self, work: Work, done: Done) -> None:
        """Call `work` in a thread, and then `done` from `deliver`."""
        self.at_work += 1
        self._waiting.put((work, done))
        if self._threads < min(self.at_work, self._most):
            self._threads += 1
            threading.Thread(target=self._run, name="smbport-worker", daemon=True).start()

    def deliver(self) -> bool:
        """Call for all that is done; True, as `Readiness.attend` wants it."""
        try:
            self._ear.recv(4096)
        except BlockingIOError:
            return True
        self._is_told = False  # before looking: what is over later tells again
        while self._over:
            done = self._over.popleft()
            if done is None:
                self._dismiss()
            else:
                self.at_work -= 1
                done()
        return True

    def close(self) -> None:
        """When nothing is at work any more, and nobody attends."""
        for _ in range(self._threads):
            self._waiting.put(None)
        self._threads = 0
        self._ear.close()
        self._mouth.close()

    def _dismiss(self) -> None:
        if self._threads > self.at_work:
            self._threads -= 1
            self._waiting.put(None)

    def _run(self) -> None:
        """What each thread does."""
        while True:
            try:
                order = self._waiting.get(timeout=self._idle_s)
            except Empty:
                self._tell(None)
                continue
            if order is None:
                return
            work, done = order
            work()
            self._tell(done)

    def _tell(self, done: Done | None) -> None:
        self._over.append(done)
        if not self._is_told:
            self._is_told = True
            with suppress(OSError):  # closed: a thread had nothing to do for so long, and nobody asks any more
                self._mouth.send(b"\0")
