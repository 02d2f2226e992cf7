"""Lock sequences: a LOCK that is sent twice, because its answer was lost, locks once.  [MS-SMB2] 3.3.5.14

A client that wants this numbers its LOCK requests per bucket, 1 to 64; bucket 0 asks for nothing.

    number in the bucket      request's number      then
    the same                  the same              a replay: succeed and do nothing
    none, or another one      any                   not a replay: the bucket is empty until the request has succeeded
"""

from typing import Final

__all__ = ["LockSequences"]

BUCKETS: Final = 64
EMPTY: Final = 0xFF  # no number: they have 4 bits


class LockSequences:
    """The buckets of one open."""

    __slots__ = ("numbers",)

    def __init__(self, numbers: bytes = b"") -> None:
        self.numbers = bytearray(numbers.ljust(BUCKETS, bytes([EMPTY])))

    def is_replay(self, lock_sequence: int) -> bool:
        """Whether this very request has succeeded before; if not, its bucket is emptied.

        `lock_sequence` is the field of the request: the number in its low 4 bits, the bucket above.
        """
        number, bucket = lock_sequence & 0xF, lock_sequence >> 4
        if not 1 <= bucket <= BUCKETS:
            return False
        if self.numbers[bucket - 1] == number:
            return True
        self.numbers[bucket - 1] = EMPTY
        return False

    def note(self, lock_sequence: int) -> None:
        """The request has succeeded."""
        number, bucket = lock_sequence & 0xF, lock_sequence >> 4
        if 1 <= bucket <= BUCKETS:
            self.numbers[bucket - 1] = number
