"""The hash that binds the keys of SMB 3.1.1 to every byte said before them.  [MS-SMB2] 3.1.4.4.1"""

import hashlib
from typing import Final

from smbport.wire.record import Buffer

__all__ = ["PreauthHash"]

_NOTHING_SAID: Final = bytes(64)


class PreauthHash:
    """PreauthIntegrityHashValue of a connection, or of a session being set up.  [MS-SMB2] 3.3.1.7, 3.3.1.13"""

    __slots__ = ("value",)

    def __init__(self, value: bytes = _NOTHING_SAID) -> None:
        self.value = value

    def update(self, *parts: Buffer) -> None:
        """Chain one message, which may lie in several buffers, by SHA-512."""
        digest = hashlib.sha512(self.value)
        for part in parts:
            digest.update(part)
        self.value = digest.digest()

    def copy(self) -> "PreauthHash":
        """A hash that goes its own way from here: a session's begins where its connection's stands."""
        return PreauthHash(self.value)
