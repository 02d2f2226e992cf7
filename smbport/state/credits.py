"""The sequence window of one connection: which message ids may come, and how many more are granted.

[MS-SMB2] 3.3.1.1 (CommandSequenceWindow), 3.3.1.2 (granting), 3.3.5.2.3 (verifying)

The window is `low <= id < high`, less the ids already used out of order.  Every id in it that is not used
is a credit the client holds, so the number of credits outstanding needs no counter of its own.
"""

__all__ = ["SequenceWindow"]


class SequenceWindow:
    """Message ids a client may use."""

    __slots__ = ("_used", "high", "low")

    def __init__(self) -> None:
        self.low = 0
        self.high = 1  # the one credit that every connection starts with
        self._used: set[int] = set()  # ids above `low` that are used up

    @property
    def outstanding(self) -> int:
        """Credits the client holds now."""
        return self.high - self.low - len(self._used)

    def use(self, message_id: int, charge: int) -> bool:
        """Consume `charge` ids from `message_id` on; False (nothing consumed) if one of them is not there."""
        end = message_id + charge
        if message_id < self.low or end > self.high:
            return False
        used = self._used
        if not used and message_id == self.low:  # nearly always
            self.low = end
            return True
        ids = range(message_id, end)
        if not used.isdisjoint(ids):
            return False
        used.update(ids)
        while self.low in used:
            used.discard(self.low)
            self.low += 1
        return True

    def grant(self, requested: int, limit: int) -> int:
        """Extend the window by what the client asked for, at least 1, within `limit` outstanding credits.

        A client that holds no credit at all always gets one, or it could never speak again.
        """
        outstanding = self.high - self.low - len(self._used)
        room = limit - outstanding
        if self._used:
            # The span is bounded too: a client that leaves one old id unused cannot make `_used` grow for ever.
            room = min(room, self.low + 2 * limit - self.high)
        granted = requested or 1
        if granted > room:
            granted = max(room, 0 if outstanding else 1)
        self.high += granted
        return granted
