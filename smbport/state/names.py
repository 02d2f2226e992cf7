"""Names: path syntax, wildcards, case, and characters that only one side allows.  [MS-FSCC] 2.1.5, [MS-FSA] 2.1.4.4

Wire and disk differ in what a name may hold.  Characters that are legal on POSIX and reserved in SMB travel
in the private-use block that Apple's Services for Macintosh began with and Linux' `mapposix` uses: a control
character c is U+F000+c, then U+F020.. for  " * : < > ? \\ |  and a space or dot at the end.  Bytes on disk that
are not UTF-8 (surrogate escapes in Python) travel as U+EF80..U+EFFF, and so do the bytes of those characters of
the block that a name on disk really holds.  Both directions are total, and back on disk a name is what it was: every
name can be listed, opened and deleted.

To a client with the POSIX extensions only "/" is reserved; it is shown names as they are on disk, but for the two
kinds that have no other form, and may use the private characters all the same.
"""

import re
from dataclasses import dataclass
from typing import Final

from smbport.wire.status import Status, StatusError

__all__ = [
    "FileName", "Pattern", "fold", "has_wildcards", "name_for_disk", "name_for_posix", "name_for_wire",
    "parse_file_name", "parse_posix_name",
]  # fmt: skip

MAX_PART: Final = 255  # UTF-16 units in one part of a path, as on NTFS
MAX_PATH_BYTES: Final = 4095

_SFM: Final = {chr(code): chr(0xF000 + code) for code in range(1, 32)} | {
    '"': "\uf020", "*": "\uf021", ":": "\uf022", "<": "\uf023", ">": "\uf024", "?": "\uf025", "\\": "\uf026",
    "|": "\uf027",
}  # fmt: skip
_SFM_AT_END: Final = {" ": "\uf028", ".": "\uf029"}
_ESCAPES: Final = {chr(0xDC00 + byte): chr(0xEF00 + byte) for byte in range(0x80, 0x100)}
_BLOCK: Final = [chr(code) for code in (*range(0xEF80, 0xF000), *range(0xF001, 0xF02A))]
_ALWAYS: Final = _ESCAPES | {letter: "".join(chr(0xEF00 + byte) for byte in letter.encode()) for letter in _BLOCK}
_TO_WIRE: Final = str.maketrans(_SFM | _ALWAYS)
_TO_POSIX: Final = str.maketrans(_ALWAYS)
_TO_DISK: Final = str.maketrans({wire: disk for disk, wire in (_SFM | _SFM_AT_END | _ESCAPES).items()})
_NEEDS_WIRE: Final = re.compile(r'[\x01-\x1f"*:<>?\\|\udc80-\udcff\uef80-\uefff\uf001-\uf029]').search
_NEEDS_POSIX: Final = re.compile(r"[\udc80-\udcff\uef80-\uefff\uf001-\uf029]").search
_NEEDS_DISK: Final = re.compile("[\uef80-\uefff\uf001-\uf029]").search
_RESERVED: Final = re.compile(r'[\x00-\x1f"*:<>?|/]').search
_RESERVED_IN_STREAMS: Final = re.compile(r"[\x00/\\]").search
_WILDCARDS: Final = re.compile(r'[*?<>"]').search


@dataclass(slots=True)
class FileName:
    """A name inside a share, as the platform wants it.  Not frozen, which takes time at each open; never changed."""

    path: str  # parts joined by "/"; "" is the root of the share
    stream: str  # "" is the unnamed stream
    directory: bool  # the name ended as only a directory's can (a trailing separator, or the type of its index)
    data: bool = False  # the name said that it is a stream of data, so no directory is meant


def parse_file_name(text: str) -> FileName:
    """Check the name of a CREATE, RENAME or LINK and turn it into a path.  [MS-SMB2] 3.3.5.9, [MS-FSCC] 2.1.5

    Raises StatusError: INVALID_PARAMETER for a leading separator, OBJECT_PATH_SYNTAX_BAD for ".." that leads out of the
    share, OBJECT_NAME_INVALID for anything else that is not a name.
    """
    if not text:
        return FileName("", "", False)
    if text[0] == "\\":
        raise StatusError(Status.INVALID_PARAMETER, "name begins with a separator")
    if _RESERVED(text):
        return _parse_stream(text)
    directory = text.endswith("\\")
    if directory:
        text = text[:-1]
    parts = text.split("\\")
    return FileName(_join(_without_parents(parts) if ".." in parts else parts), "", directory)


def parse_posix_name(text: str) -> FileName:
    """The same for a client with the POSIX extensions: "/" separates, and all but NUL is a letter.  [SMB3-POSIX] 2.1.3

    Raises the same as `parse_file_name`.
    """
    if not text:
        return FileName("", "", False)
    if text[0] == "/":
        raise StatusError(Status.INVALID_PARAMETER, "name begins with a separator")
    if "\0" in text:
        raise StatusError(Status.OBJECT_NAME_INVALID, "reserved character")
    directory = text.endswith("/")
    return FileName(_join((text[:-1] if directory else text).split("/")), "", directory)


def _without_parents(parts: list[str]) -> list[str]:
    """The same path without "..", each of which takes back the part before it, whatever is there: no disk is asked."""
    kept: list[str] = []
    for part in parts:
        if part != "..":
            kept.append(part)
        elif not kept:
            raise StatusError(Status.OBJECT_PATH_SYNTAX_BAD, "a name that leads out of the share")
        elif kept.pop() in ("", "."):
            raise StatusError(Status.OBJECT_NAME_INVALID, "empty or relative part")
    return kept


def _join(parts: list[str]) -> str:
    """The path on disk."""
    for part in parts:
        if part == "..":
            raise StatusError(Status.OBJECT_PATH_SYNTAX_BAD, "parent directory in a name")
        if part in ("", ".") or _length(part) > MAX_PART:
            raise StatusError(Status.OBJECT_NAME_INVALID, "empty, relative or overlong part")
    path = "/".join(parts)
    if _NEEDS_DISK(path):
        path = _path_for_disk(parts)
    if len(path) > MAX_PATH_BYTES // 4 and len(path.encode("utf-8", "surrogateescape")) > MAX_PATH_BYTES:
        raise StatusError(Status.OBJECT_NAME_INVALID, "overlong path")
    return path


def _parse_stream(text: str) -> FileName:
    """`file:stream`, `file:stream:$DATA` or `file::$DATA`; `directory:$I30:$INDEX_ALLOCATION` is the directory itself.

    [MS-FSCC] 2.1.5.3
    """
    base, colon, stream = text.partition(":")
    if not colon:
        raise StatusError(Status.OBJECT_NAME_INVALID, "reserved character")
    name, colon, kind = stream.partition(":")
    kind = kind.upper()
    is_index = kind == "$INDEX_ALLOCATION" and name.upper() in ("", "$I30")
    known = is_index or kind == "$DATA" or (name and not colon)
    if not known or base.endswith("\\") or _RESERVED_IN_STREAMS(name) or _length(name) > MAX_PART:
        raise StatusError(Status.OBJECT_NAME_INVALID, "not the name of a stream")
    path = parse_file_name(base).path
    return FileName(path, "" if is_index else name, is_index, not is_index)


def _length(part: str) -> int:
    """In UTF-16 units."""
    return len(part) if len(part) <= MAX_PART // 2 else len(part.encode("utf-16-le", "surrogatepass")) // 2


def _path_for_disk(parts: list[str]) -> str:
    disk = [name_for_disk(part) for part in parts]
    if any(part in (".", "..") for part in disk):  # U+F029 twice would become ".."
        raise StatusError(Status.OBJECT_NAME_INVALID, "mapped relative part")
    return "/".join(disk)


def name_for_disk(name: str) -> str:
    """One part of a path from the wire as it stands on disk."""
    if not _NEEDS_DISK(name):
        return name
    # Escaped bytes that are UTF-8 when put together become characters, as they would when read back from disk.
    return name.translate(_TO_DISK).encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def name_for_wire(name: str) -> str:
    """One name from disk as clients see it."""
    if _NEEDS_WIRE(name):
        name = name.translate(_TO_WIRE)
    if name.endswith((" ", ".")):
        name = name[:-1] + _SFM_AT_END[name[-1]]
    return name


def name_for_posix(name: str) -> str:
    """One name from disk as clients with the POSIX extensions see it."""
    return name.translate(_TO_POSIX) if _NEEDS_POSIX(name) else name


def fold(name: str) -> str:
    """Names that fold to the same text are the same to a case-insensitive client: upper case, letter by letter."""
    if name.isascii():
        return name.upper()
    return "".join([_upcase(letter) for letter in name])


def _upcase(letter: str) -> str:
    """As in Windows' table: one letter becomes one letter, whose lower case it is; or it is a final sigma."""
    upper = letter.upper()
    return upper if upper.lower() == letter or letter == "\u03c2" else letter


def has_wildcards(pattern: str) -> bool:
    """Whether a search pattern can match more than its own text."""
    return _WILDCARDS(pattern) is not None


class Pattern:
    """A search pattern of QUERY_DIRECTORY.  [MS-FSA] 2.1.4.4

    `*` any text; `?` one character; `<` (DOS_STAR) any text up to the last dot; `>` (DOS_QM) one character, or
    nothing before a dot or at the end; `"` (DOS_DOT) a dot, or nothing at the end.  `*.*` is any name as well.

    Matching steps through the name once with the positions of the pattern that were reached so far, as the bits of
    an integer (bit n: all before position n is matched).  No pattern makes it slow: nothing is tried twice.
    """

    __slots__ = ("_any", "_dos_dot", "_dos_qm", "_dos_star", "_end", "_letters", "_star", "matches_all", "sensitive")

    def __init__(self, text: str, *, case_sensitive: bool = False) -> None:
        self.sensitive = case_sensitive
        self.matches_all = text in ("*", "*.*")
        letters: dict[str, int] = {}  # letter -> positions where the pattern has it
        for position, letter in enumerate(text if case_sensitive else fold(text)):
            letters[letter] = letters.get(letter, 0) | 1 << position
        self._star = letters.pop("*", 0)
        self._any = letters.pop("?", 0)
        self._dos_star = letters.pop("<", 0)
        self._dos_qm = letters.pop(">", 0)
        self._dos_dot = letters.pop('"', 0)
        self._letters = letters
        self._end = 1 << len(text)

    def matches(self, name: str) -> bool:
        """Whether `name`, as clients see it, matches."""
        if self.matches_all:
            return True
        if not self.sensitive:
            name = fold(name)
        stars = self._star | self._dos_star
        last = len(name) - 1
        last_dot = name.rfind(".")
        reached = _behind(1, stars)
        for index, letter in enumerate(name):
            stay = stars
            take = self._letters.get(letter, 0) | self._any
            if letter != ".":
                take |= self._dos_qm
            else:
                reached = _behind(reached, stars | self._dos_qm)
                take |= self._dos_dot
                if index == last_dot:  # a DOS_STAR ends with the last dot at the latest
                    stay = self._star
                    take |= self._dos_star
                if index == last:  # and so does the name: only here a DOS_QM takes a dot, as on Windows
                    take |= self._dos_qm
            reached = _behind(reached & stay | (reached & take) << 1, stars)
            if not reached:
                return False
        return bool(_behind(reached, stars | self._dos_qm | self._dos_dot) & self._end)


def _behind(reached: int, empty: int) -> int:
    """Add the positions that can be reached without a letter, over wildcards that may match nothing here.

    Adding a bit to a run of ones carries it to the place behind the run; what the sum changed was passed.
    """
    return reached | ((reached & empty) + empty ^ empty)
