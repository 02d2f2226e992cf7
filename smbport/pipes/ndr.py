"""Reading and writing stub data: NDR 2.0, little-endian, as far as srvsvc and wkssvc use it.  [C706] 14

Alignment counts from the first byte of the stub.  The reader believes no count before it has seen that so
many bytes are there, and never allocates by one.
"""

from collections.abc import Sequence
from typing import Final

from smbport.wire.record import BadStructure, Buffer
from smbport.wire.text import encode_utf16

__all__ = ["NdrReader", "NdrWriter", "Row", "row_size"]

# A structure whose members are 32-bit numbers and unique pointers to strings; None is a null pointer.
Row = tuple[int | str | None, ...]

_FIRST_REFERENT: Final = 0x00020000  # any non-zero value does; this is what Windows starts with


class NdrReader:
    """A cursor over one request's stub.  Every method raises BadStructure if the stub does not hold the value."""

    __slots__ = ("_offset", "_stub")

    def __init__(self, stub: Buffer) -> None:
        self._stub = memoryview(stub)
        self._offset = 0

    def u32(self) -> int:
        self._offset += -self._offset % 4
        return int.from_bytes(self._take(4), "little")

    def optional_u32(self) -> int | None:
        """A top-level unique pointer to a number."""
        return self.u32() if self.u32() else None

    def string(self) -> str:
        """A conformant varying string of 16-bit characters, up to its terminator.  [C706] 14.3.4.2

        A lone surrogate is replaced: nothing of ours has such a name, so it matches nothing.
        """
        maximum, offset, actual = self.u32(), self.u32(), self.u32()
        if offset or actual > maximum:
            raise BadStructure(f"string of {actual} characters at {offset} in an array of {maximum}")
        return str(self._take(2 * actual), "utf-16-le", "replace").partition("\0")[0]

    def optional_string(self) -> str | None:
        """A top-level unique pointer to a string."""
        return self.string() if self.u32() else None

    def _take(self, length: int) -> memoryview:
        end = self._offset + length
        if end > len(self._stub):
            raise BadStructure(f"{length} bytes at {self._offset} of a stub of {len(self._stub)}")
        taken = self._stub[self._offset : end]
        self._offset = end
        return taken


class NdrWriter:
    """Builds one response's stub."""

    __slots__ = ("_referent", "_stub")

    def __init__(self) -> None:
        self._stub = bytearray()
        self._referent = _FIRST_REFERENT

    def getvalue(self) -> bytes:
        return bytes(self._stub)

    def u32(self, value: int) -> None:
        self._stub += bytes(-len(self._stub) % 4)
        self._stub += value.to_bytes(4, "little")

    def pointer(self, points: bool) -> None:
        """A unique pointer; what it points to is for the caller to write, in its turn."""
        self.u32(self._referent if points else 0)
        self._referent += 4

    def optional_u32(self, value: int | None) -> None:
        """A top-level unique pointer to a number."""
        self.pointer(value is not None)
        if value is not None:
            self.u32(value)

    def string(self, text: str) -> None:
        """A conformant varying string of 16-bit characters with its terminator."""
        data = encode_utf16(text + "\0")
        self.u32(len(data) // 2)
        self.u32(0)
        self.u32(len(data) // 2)
        self._stub += data

    def rows(self, rows: Sequence[Row]) -> None:
        """Structures one after the other; the strings they point to follow behind the last one."""
        texts: list[str] = []
        for row in rows:
            for value in row:
                if isinstance(value, int):
                    self.u32(value)
                    continue
                self.pointer(value is not None)
                if value is not None:
                    texts.append(value)
        for text in texts:
            self.string(text)


def row_size(row: Row) -> int:
    """Bytes that the structure and its strings take in the client's buffer, with 32-bit pointers."""
    return 4 * len(row) + sum(len(encode_utf16(value)) + 2 for value in row if isinstance(value, str))
