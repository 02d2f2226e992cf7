"""The bytes of a file in memory, holes included, and the room they take on their volume.

A file is a dict from page number to the first bytes of that page, always a whole number of blocks.  What is
behind them, and every page that is missing, is a hole: it reads as zeroes and takes no room.  Bytes behind the
end of the file are kept zero, so that a file that grows again shows nothing old.

Room is counted in blocks.  A reservation covers the first bytes of the file; blocks written under it cost
nothing more.
"""

import errno
import os
from typing import Final

__all__ = ["BLOCK", "MAX_SIZE", "PAGE", "Pages", "Room"]

PAGE: Final = 65536
BLOCK: Final = 4096
MAX_SIZE: Final = 2**63 - 1  # as off_t


class Room:
    """What a volume has and what its files have taken, in bytes."""

    __slots__ = ("taken", "total")

    def __init__(self, total: int) -> None:
        self.total = total // BLOCK * BLOCK
        self.taken = 0

    @property
    def free(self) -> int:
        return self.total - self.taken


class Pages:
    """The data of one file.  Not locked: the volume's lock is held around every call."""

    __slots__ = ("_pages", "_reserved", "_room", "size", "taken")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._pages: dict[int, bytearray] = {}
        self._reserved = 0  # whole blocks
        self.size = 0
        self.taken = 0  # bytes of the room that this file pays for

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes, fewer only at the end of the file."""
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        number, start = divmod(offset, PAGE)
        parts: list[bytes | memoryview] = []
        while length > 0:
            piece = min(PAGE - start, length)
            page = memoryview(self._pages.get(number, b""))[start : start + piece]
            parts.append(page)
            parts.append(bytes(piece - len(page)))
            length -= piece
            number, start = number + 1, 0
        return b"".join(parts)

    def write(self, offset: int, data: bytes | memoryview) -> int:
        """Write as much of `data` as there is room for; how many bytes that was."""
        done = 0
        with memoryview(data) as view:
            while done < len(view):
                number, start = divmod(offset + done, PAGE)
                wanted = min(PAGE - start, len(view) - done)
                fits = min(self._grow(number, start, start + wanted) - start, wanted)
                if fits > 0:
                    self._pages[number][start : start + fits] = view[done : done + fits]
                    done += fits
                if fits < wanted:
                    break
        if done:
            self.size = max(self.size, offset + done)
        return done

    def _grow(self, number: int, start: int, end: int) -> int:
        """Make the page reach to `end`, or as far as there is room, if that is behind `start`; how far it reaches."""
        page = self._pages.get(number, b"")
        wanted = _whole_blocks(end)
        if wanted <= len(page):
            return len(page)
        paid = max(len(page), self._reserved_in(number))
        reach = min(wanted, paid + self._room.free)
        if reach <= start:
            return reach
        self._pay(max(reach - paid, 0))
        self._pages.setdefault(number, bytearray()).extend(bytes(reach - len(page)))
        return reach

    def resize(self, size: int) -> None:
        """Cut or extend.  Cutting gives up a reservation behind the new end, as file systems do."""
        if size <= self.size:
            self._clear(size, MAX_SIZE)
        self.size = size

    def reserve(self, size: int) -> None:
        """Take room for the first `size` bytes.  OSError(ENOSPC), with nothing changed, if it is not there."""
        reserved = max(self._reserved, _whole_blocks(size))
        cost = self._cost(reserved)
        if cost - self.taken > self._room.free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._reserved = reserved
        self._pay(cost - self.taken)

    def punch(self, offset: int, length: int) -> None:
        """Make the range a hole.  A reservation ends where the hole begins: it is one number only."""
        if length > 0:
            self._clear(offset, offset + length)

    def zero(self, offset: int, length: int) -> None:
        """Make the range zeroes; what room it takes it keeps."""
        for number, page in self._pages.items():
            low = max(offset - number * PAGE, 0)
            high = min(offset + length - number * PAGE, len(page))
            if low < high:
                page[low:high] = bytes(high - low)

    def ranges(self, offset: int, length: int) -> list[tuple[int, int]]:
        """(offset, length) of what is no hole, inside the range and the file, in order, neighbours joined."""
        end = min(offset + length, self.size)
        found: list[tuple[int, int]] = []
        for number in sorted(self._pages):
            low = max(number * PAGE, offset)
            high = min(number * PAGE + len(self._pages[number]), end)
            if low >= high:
                continue
            if found and sum(found[-1]) == low:
                found[-1] = (found[-1][0], high - found[-1][0])
            else:
                found.append((low, high - low))
        return found

    def release(self) -> None:
        """Give all room back; the last name and the last handle are gone."""
        self._pages.clear()
        self._reserved = 0
        self._pay(-self.taken)

    def _clear(self, offset: int, end: int) -> None:
        """Zero the range and drop what reaches from it to the end of its page."""
        for number in [n for n in self._pages if offset < (n + 1) * PAGE and n * PAGE < end]:
            page = self._pages[number]
            low = max(offset - number * PAGE, 0)
            high = min(end - number * PAGE, len(page))
            if low < high:
                page[low:high] = bytes(high - low)
            if high == len(page):
                del page[_whole_blocks(low) :]
            if not page:
                del self._pages[number]
        self._reserved = min(self._reserved, _whole_blocks(offset))
        self._pay(self._cost(self._reserved) - self.taken)

    def _reserved_in(self, number: int) -> int:
        return min(max(self._reserved - number * PAGE, 0), PAGE)

    def _cost(self, reserved: int) -> int:
        """What the file takes if its first `reserved` bytes are."""
        return reserved + sum(
            max(number * PAGE + len(page) - max(reserved, number * PAGE), 0) for number, page in self._pages.items()
        )

    def _pay(self, length: int) -> None:
        self.taken += length
        self._room.taken += length


def _whole_blocks(length: int) -> int:
    return -(-length // BLOCK) * BLOCK
