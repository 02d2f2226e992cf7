"""Slowing down those who guess passwords, without locking anybody out.

Every failed logon is answered only after a delay.  While an address waits for several such answers at once,
further failures from it end their connection, so that opening more connections buys nothing.
"""

from collections import Counter

__all__ = ["LogonThrottle"]


class LogonThrottle:
    """Failed logons whose answers are being delayed, by client address."""

    __slots__ = ("_pending", "_pending_limit")

    def __init__(self, pending_limit: int) -> None:
        self._pending: Counter[str] = Counter()
        self._pending_limit = pending_limit

    def enter(self, address: str) -> bool:
        """One more failure of this address waits; False if there are too many and it must not wait."""
        if self._pending[address] >= self._pending_limit:
            return False
        self._pending[address] += 1
        return True

    def leave(self, address: str) -> None:
        """The wait of one failure is over."""
        self._pending[address] -= 1
        if not self._pending[address]:
            del self._pending[address]
