"""8.3 names, for programs that know no others.  [MS-FSCC] 2.1.5.2.1

Nothing is stored: a short name is made of the long one alone.  It has one letter of it, six digits of a checksum in
base 36 around a tilde, and what the extension has room for: `Quarterly report.docx` is `QJDGYR~1.DOC`.  So whoever
reads a directory can tell which long name a short one stands for.  Of two that share one, the first that is listed is
found; that is one pair in two billion.
"""

import re
from typing import Final
from zlib import crc32

from smbport.state.names import fold

__all__ = ["fits_dos", "looks_short", "short_name"]

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LETTER: Final = r"A-Za-z0-9!#$%&'()\-@^_`{}~"
_FITS: Final = re.compile(rf"[{_LETTER}]{{1,8}}(\.[{_LETTER}]{{1,3}})?").fullmatch
_SHORT: Final = re.compile(rf"[{_LETTER}][A-Za-z0-9]{{5}}~[A-Za-z0-9](\.[{_LETTER}]{{1,3}})?").fullmatch
_UNFIT: Final = re.compile(rf"[^{_LETTER}]")


def fits_dos(name: str) -> bool:
    """Whether a name, as clients see it, is its own short name; so are `.` and `..`."""
    return _FITS(name) is not None or name in (".", "..")


def short_name(name: str) -> str:
    """The short name of one that does not fit: the same in whatever case the name is."""
    folded = fold(name)
    base, _, extension = folded.rpartition(".") if "." in folded.strip(".") else (folded, "", "")
    value = crc32(folded.encode("utf-16-le", "surrogatepass"))
    digits = ""
    for _ in range(6):
        value, digit = divmod(value, 36)
        digits += _DIGITS[digit]
    kept = _UNFIT.sub("", extension)[:3]
    first = _UNFIT.sub("", base)[:1] or "_"
    return f"{first}{digits[:5]}~{digits[5]}{'.' if kept else ''}{kept}"


def looks_short(name: str) -> bool:
    """Whether a name may have been made by `short_name`."""
    return _SHORT(name) is not None
