"""What the services on IPC$ tell clients about this server; the caller makes it afresh for every call."""

from dataclasses import dataclass

from smbport.security.names import Names

__all__ = ["ServerInfo", "ShareInfo"]


@dataclass(frozen=True, slots=True)
class ShareInfo:
    """One share as clients see it."""

    name: str
    kind: int  # 0 disk, 3 IPC; | 0x80000000 special.  [MS-SRVS] 2.2.2.4
    comment: str
    path: str  # as shown to clients, "C:\\share"; never the host's path
    current_uses: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """This server as `user` sees it: `shares` holds what that user may list, in a stable order."""

    name: str
    domain: str
    comment: str
    major: int = 10
    minor: int = 0
    shares: tuple[ShareInfo, ...]
    user: str
    names: Names | None = None  # of accounts; None: this user may not ask for them
