"""Which kernels have which ksmbd.  All of it was seen in Debian's builds; the source has no version to ask for."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

__all__ = ["Release", "find_faults", "parse_release"]

FIRST_TRIED: Final = (6, 12)
LAST_TRIED: Final = (7, 3)


class Release(NamedTuple):
    """The number of a kernel release, (6, 12, 95) of "6.12.95+deb12-amd64"."""

    major: int
    minor: int
    patch: int

    @property
    def series(self) -> tuple[int, int]:
        return self.major, self.minor

    @property
    def tells_addresses(self) -> bool:
        """Later kernels say "(einval)" instead of a client's address."""
        return self.series < (6, 18)

    @property
    def caps_sessions(self) -> bool:
        """Whether the number of sessions on a connection can be set."""
        return self.series >= (7, 3)

    @property
    def spnego_size(self) -> int:
        """Bytes of the answer to a Kerberos logon without a key and a token; 7.2 alone has an expiry in it."""
        return 168 if self.series == (7, 2) else 156


def parse_release(text: str) -> Release:
    """Of `os.uname().release`.  RuntimeError if there is no number in it."""
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    if not found:
        raise RuntimeError(f"the kernel release {text!r} has no number")
    return Release(int(found[1]), int(found[2]), int(found[3] or 0))


def find_faults(release: Release, *, leases: bool, signing_required: bool) -> Sequence[tuple[bool, str]]:
    """Known faults: whether one is a reason not to serve, and a sentence."""
    name = ".".join(map(str, release))
    faults = []
    if release.series == (6, 1):
        faults.append((True, f"ksmbd of Linux {name} crashes the kernel when a client opens a directory"))
    elif release.series < FIRST_TRIED:
        faults.append((False, f"ksmbd of Linux {name} was never tried here; {FIRST_TRIED[0]}.{FIRST_TRIED[1]} was"))
    if release == (6, 12, 107) and leases:
        text = f"ksmbd of Linux {name} crashes the kernel when it grants leases; set server.leases = false"
        faults.append((True, text))
    if release.series > LAST_TRIED:
        faults.append((False, f"ksmbd of Linux {name} was never tried here; {LAST_TRIED[0]}.{LAST_TRIED[1]} was"))
    if signing_required:
        text = (
            f"ksmbd of Linux {name} asks clients to sign, but takes requests that are not signed all the same: whoever "
            "can change what passes can act for a user"
        )
        faults.append((False, text))
        if release.series == (6, 12):
            text = f"ksmbd of Linux {name} signs some answers to READ wrongly: clients end their connections then"
            faults.append((False, text))
    if release.series >= (6, 18):
        faults.append((False, f"ksmbd of Linux {name} does not tell the addresses of clients: the log lacks them"))
    return faults
