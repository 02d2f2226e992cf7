"""What the services on IPC$ tell clients about this server; the caller makes it afresh for every call."""

from collections.abc import Iterable
from dataclasses import dataclass

from smbport.security.names import Names
from smbport.state.settings import Settings, ShareSettings
from smbport.wire.constants import ShareFlag

__all__ = ["ServerInfo", "ShareInfo", "describe_server"]


@dataclass(frozen=True, slots=True)
class ShareInfo:
    """One share as clients see it."""

    name: str
    kind: int  # 0 disk, 3 IPC; | 0x80000000 special.  [MS-SRVS] 2.2.2.4
    comment: str
    path: str  # as shown to clients, "C:\\share"; never the host's path
    current_uses: int = 0
    flags: int = 0  # SHI1005_FLAGS; the first ones are those of TREE_CONNECT.  [MS-SRVS] 2.2.4.29


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """This server as `user` sees it: `shares` holds what that user may list, in a stable order.

    Times count nanoseconds since 1970-01-01 UTC.
    """

    name: str
    domain: str
    comment: str
    major: int = 10
    minor: int = 0
    shares: tuple[ShareInfo, ...]
    user: str
    now_ns: int
    start_ns: int  # when the server began
    restricted: bool = False  # to a guest or to nobody known, who learn what shares are called and no more
    names: Names | None = None  # of accounts; None: this user may not ask for them


def describe_server(
    settings: Settings,
    shares: Iterable[ShareSettings],
    *,
    user: str,
    restricted: bool,
    names: Names | None,
    now_ns: int,
    start_ns: int,
) -> ServerInfo:
    """The server with IPC$ and those of `shares` that are not hidden, as `user` ("": nobody known) is told of it."""
    listed = [ShareInfo(name="IPC$", kind=0x80000003, comment="IPC Service", path="")]
    listed += [
        ShareInfo(
            name=share.name,
            kind=0,
            comment=share.comment,
            path=f"C:\\{share.name}",
            flags=ShareFlag.DFS | ShareFlag.DFS_ROOT if share.dfs else 0,
        )
        for share in shares
        if not share.hidden
    ]
    return ServerInfo(
        name=settings.server_name, domain=settings.workgroup, comment=settings.comment, shares=tuple(listed),
        user=user, restricted=restricted, names=names, now_ns=now_ns, start_ns=start_ns,
    )  # fmt: skip
