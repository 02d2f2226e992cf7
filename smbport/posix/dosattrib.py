"""DOS attribute bits and creation time as Samba and ksmbd keep them: the extended attribute `user.DOSATTRIB`.

The value is NDR without alignment, little endian: the attribute bits as text ("0x22", empty since version 4)
with a NUL, padded to two bytes; the version as 16 bits and once more as 32; which fields are valid; the bits;
then what that version holds.  Samba writes version 5 today and reads 3, 4 and 5; ksmbd reads 3 and 4 only.
So version 4 is written: it is the one that every server understands.
"""

from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple

__all__ = ["ATTRIBUTE_NAME", "NO_MARKS", "Marks", "pack_marks", "parse_marks"]

ATTRIBUTE_NAME: Final = "user.DOSATTRIB"

VALID_ATTRIBUTES: Final = 0x01
VALID_CREATE_TIME: Final = 0x10

FILETIME_OF_1970: Final = 116_444_736_000_000_000  # 100 ns units between 1601-01-01 and 1970-01-01
FILETIME_MAX: Final = (1 << 63) - 1

LONGEST_TEXT: Final = 10  # "0xffffffff"
HEAD: Final = Struct("<HIII")  # version, version again, valid fields, attribute bits
CREATE_TIME: Final = Struct("<Q")
CREATE_TIME_BEHIND_HEAD: Final = {3: 20, 4: 8, 5: 0}  # behind EA size and two sizes; an inode time; nothing
VERSION_4: Final = Struct("<2sHIIIQQ")


class Marks(NamedTuple):
    """What `set_marks` stores; None is "never stored"."""

    dos_attributes: int | None
    birth_ns: int | None

    def changed(self, dos_attributes: int | None, birth_ns: int | None) -> "Marks":
        """With these in their place; None leaves what is there."""
        return Marks(
            self.dos_attributes if dos_attributes is None else dos_attributes,
            self.birth_ns if birth_ns is None else birth_ns,
        )


NO_MARKS: Final = Marks(None, None)


@lru_cache(maxsize=1024)  # guessed: most files have one of few values
def parse_marks(value: bytes) -> Marks:
    """Read a stored value.  One that nobody can have written means that nothing is stored."""
    text_end = value.find(b"\0", 0, LONGEST_TEXT + 1)
    at = (text_end + 2) & ~1
    if text_end < 0 or len(value) < at + HEAD.size:
        return NO_MARKS
    version, repeated, valid, dos_attributes = HEAD.unpack_from(value, at)
    at += HEAD.size + CREATE_TIME_BEHIND_HEAD.get(version, len(value))
    if version != repeated or len(value) < at + CREATE_TIME.size:
        return NO_MARKS
    (create_time,) = CREATE_TIME.unpack_from(value, at)
    birth_known = valid & VALID_CREATE_TIME and 0 < create_time <= FILETIME_MAX
    return Marks(
        dos_attributes if valid & VALID_ATTRIBUTES else None,
        (create_time - FILETIME_OF_1970) * 100 if birth_known else None,
    )


def pack_marks(marks: Marks) -> bytes:
    """Make the value to store: 32 bytes of version 4."""
    dos_attributes, birth_ns = marks
    valid = create_time = 0
    if dos_attributes is not None:
        valid = VALID_ATTRIBUTES
    if birth_ns is not None:
        valid |= VALID_CREATE_TIME
        create_time = min(max(birth_ns // 100 + FILETIME_OF_1970, 1), FILETIME_MAX)
    # The inode time is not marked valid, but ksmbd takes it as it is: the creation time fits best.
    return VERSION_4.pack(b"", 4, 4, valid, dos_attributes or 0, create_time, create_time)
