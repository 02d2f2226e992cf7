"""Reading and writing stub data: NDR 2.0, little-endian, as far as the services here use it.  [C706] 14

Alignment counts from the first byte of the stub.  The reader believes no count before it has seen that so
many bytes are there, and never allocates by one.
"""

from collections.abc import Callable, Sequence
from typing import Final

from smbport.pipes.handles import HANDLE_SIZE, Handle, Handles
from smbport.wire.record import BadStructure, Buffer
from smbport.wire.security import Sid
from smbport.wire.text import encode_utf16

__all__ = ["NdrReader", "NdrWriter", "Row", "row_size"]

# A structure whose members are 32-bit numbers and unique pointers to strings; None is a null pointer.
Row = tuple[int | str | None, ...]

MAX_SIDS: Final = 1000  # guessed; [MS-LSAT] allows more, but nobody asks for so many at once
_FIRST_REFERENT: Final = 0x00020000  # any non-zero value does; this is what Windows starts with


class NdrReader:
    """A cursor over one request's stub.  Every method raises BadStructure if the stub does not hold the value."""

    __slots__ = ("_offset", "_stub", "handles")

    def __init__(self, stub: Buffer, handles: Handles) -> None:
        """`handles` are those of the pipe that the request came through."""
        self._stub = memoryview(stub)
        self._offset = 0
        self.handles = handles

    def u32(self) -> int:
        self._offset += -self._offset % 4
        return int.from_bytes(self._take(4), "little")

    def u16(self) -> int:
        self._offset += -self._offset % 2
        return int.from_bytes(self._take(2), "little")

    def optional_u32(self) -> int | None:
        """A top-level unique pointer to a number."""
        return self.u32() if self.u32() else None

    def handle(self, *kinds: bytes) -> Handle:
        """A context handle of one of these kinds.  [C706] 14.2.16.6"""
        return self.handles.find(self._handle(), *kinds)

    def close_handle(self) -> None:
        """A context handle, which is closed."""
        self.handles.close(self._handle())

    def _handle(self) -> bytes:
        self._offset += -self._offset % 4
        return bytes(self._take(HANDLE_SIZE))

    def sid(self) -> Sid:
        """RPC_SID, behind the count of its sub-authorities.  [MS-DTYP] 2.4.2.3"""
        count = self.u32()
        sid = Sid.parse(self._take(Sid.MIN_SIZE + 4 * count))
        if len(sid.sub_authorities) != count:
            raise BadStructure(f"SID with {len(sid.sub_authorities)} sub-authorities in an array of {count}")
        return sid

    def sids(self) -> list[Sid]:
        """A count and a pointer to as many pointers to SIDs.  [MS-LSAT] 2.2.18, [MS-SAMR] 2.2.7.6"""
        count = self.u32()
        if not self.u32() or not count:
            return []
        if self.u32() != count or count > MAX_SIDS:
            raise BadStructure(f"an array of {count} SIDs")
        pointers = [self.u32() for _ in range(count)]
        if 0 in pointers:
            raise BadStructure("an array of SIDs with holes")
        return [self.sid() for _ in range(count)]

    def unicode_strings(self, count: int) -> list[str]:
        """Elements of an array of RPC_UNICODE_STRING, first their fixed parts.  [MS-DTYP] 2.3.10"""
        present = []
        for _ in range(count):
            self.u16()
            self.u16()
            present.append(bool(self.u32()))
        return [self.string() if here else "" for here in present]

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

    __slots__ = ("_bodies", "_referent", "_stub")

    def __init__(self) -> None:
        self._stub = bytearray()
        self._bodies: list[Callable[[], None]] = []  # of pointers inside structures, which follow behind these
        self._referent = _FIRST_REFERENT

    def getvalue(self) -> bytes:
        return bytes(self._stub)

    def u32(self, value: int) -> None:
        self._stub += bytes(-len(self._stub) % 4)
        self._stub += value.to_bytes(4, "little")

    def u16(self, value: int) -> None:
        self._stub += bytes(-len(self._stub) % 2)
        self._stub += value.to_bytes(2, "little")

    def raw(self, data: bytes) -> None:
        """Bytes as they are, aligned to 4."""
        self._stub += bytes(-len(self._stub) % 4)
        self._stub += data

    def sid(self, sid: Sid) -> None:
        """RPC_SID.  [MS-DTYP] 2.4.2.3"""
        self.u32(len(sid.sub_authorities))
        self._stub += sid.pack()

    def unicode_string(self, text: str | None, *, terminated: bool = False) -> None:
        """RPC_UNICODE_STRING inside a structure; `bodies` writes the text.  [MS-DTYP] 2.3.10

        With `terminated`, the room is that of the text with its terminator, as some clients insist.
        """
        data = encode_utf16(text or "")
        room = len(data) + (2 if terminated else 0)
        self.raw(len(data).to_bytes(2, "little") + room.to_bytes(2, "little"))
        self.pointer(text is not None)
        if text is not None:
            self._bodies.append(lambda: self._characters(data, room // 2))

    def sid_pointer(self, sid: Sid | None) -> None:
        """A pointer to a SID inside a structure; `bodies` writes the SID."""
        self.pointer(sid is not None)
        if sid is not None:
            self._bodies.append(lambda: self.sid(sid))

    def bodies(self) -> None:
        """What the pointers since the last time point to."""
        bodies, self._bodies = self._bodies, []
        for write in bodies:
            write()

    def _characters(self, data: bytes, room: int) -> None:
        self.u32(room)
        self.u32(0)
        self.u32(len(data) // 2)
        self._stub += data

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

    def varying_string(self, text: str) -> None:
        """A varying string of 16-bit characters with its terminator, in an array of fixed size.  [C706] 14.3.4.1"""
        data = encode_utf16(text + "\0")
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
