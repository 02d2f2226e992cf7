"""Information levels: what the GetInfo operations of [MS-SRVS] and [MS-WKST] have in common."""

from collections.abc import Callable, Container, Mapping
from typing import Final, TypeVar

from smbport.pipes.ndr import NdrWriter, Row

__all__ = ["PLATFORM_NT", "Win32Error", "answer_level"]

T = TypeVar("T")

PLATFORM_NT: Final = 500  # [MS-SRVS] 2.2.2.6


class Win32Error:
    """[MS-ERREF] 2.2"""

    SUCCESS: Final = 0
    ACCESS_DENIED: Final = 5
    INVALID_LEVEL: Final = 124
    MORE_DATA: Final = 234
    BUFFER_TOO_SMALL: Final = 2123  # NERR_BufTooSmall
    NET_NAME_NOT_FOUND: Final = 2310  # NERR_NetNameNotFound
    DEVICE_NOT_SHARED: Final = 2311  # NERR_DeviceNotShared


def answer_level(
    level: int, rows: Mapping[int, Callable[[T], Row]], subject: T | None, arms: Container[int], absent: int = 0
) -> bytes:
    """A union of pointers to structures, one arm per level, and the error; `absent` if there is no subject.

    Without a structure the pointer is null.  Of a level that the union has no arm for there is the
    discriminant and nothing else: that is how clients with a default arm unmarshal it.
    """
    error = absent if subject is None else Win32Error.SUCCESS
    if level not in rows:
        error = Win32Error.INVALID_LEVEL
    out = NdrWriter()
    out.u32(level)
    if level in arms:
        row = None if error or subject is None else rows[level](subject)
        out.pointer(row is not None)
        out.rows([] if row is None else [row])
    out.u32(error)
    return out.getvalue()
