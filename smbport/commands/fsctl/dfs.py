"""Referrals of the distributed file system.  [MS-SMB2] 3.3.5.15.2, [MS-DFSC] 3.2.5

A share with links is a root of its own, on this server alone; there are no domains here.
"""

from typing import Final

from smbport.commands.call import Call
from smbport.commands.fsctl.answer import Answer
from smbport.commands.tree_connect import may_connect
from smbport.state.dfs import DfsLinks
from smbport.wire.constants import FsControl
from smbport.wire.dfs import (
    NEWEST_REFERRAL,
    Referral,
    ReferralFlag,
    ServerType,
    pack_referral,
    parse_referral_request,
    parse_referral_request_ex,
)
from smbport.wire.ioctl import IoctlRequest
from smbport.wire.status import Status, StatusError

__all__ = ["get_referrals"]

ROOT_TTL_S: Final = 300  # as Windows' defaults
LINK_TTL_S: Final = 1800


async def get_referrals(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """Where a path leads.  [MS-SMB2] 3.3.5.15.2"""
    if not any(share.links for share in call.server.shares.values()):
        raise StatusError(Status.FS_DRIVER_REQUIRED)
    extended = request.ctl_code == FsControl.DFS_GET_REFERRALS_EX
    level, path = (parse_referral_request_ex if extended else parse_referral_request)(data)
    if level < 1:
        raise StatusError(Status.INVALID_PARAMETER, "no version of a referral")
    output = pack_referral(_find(call, path), min(level, NEWEST_REFERRAL))
    if len(output) > request.max_output_response:
        return Answer(output[: request.max_output_response], Status.BUFFER_OVERFLOW)
    return Answer(output)


def _find(call: Call, path: str) -> Referral:
    """Raises NOT_FOUND: also for what only a domain could know, which are paths of less than two parts."""
    parts = [part for part in path.split("\\") if part]
    share = call.server.find_share(parts[1]) if len(parts) > 1 else None
    if share is None or share.links is None or not may_connect(call.session, share, call.connection.address):
        raise StatusError(Status.NOT_FOUND, f"no links for {path!r}")
    if len(parts) == 2:
        root = "\\" + "\\".join(parts)
        return Referral(
            path=root,
            targets=(root,),
            server_type=ServerType.ROOT,
            flags=ReferralFlag.REFERRAL_SERVERS | ReferralFlag.STORAGE_SERVERS,
            time_to_live_s=ROOT_TTL_S,
        )
    return _find_link(share.links, parts)


def _find_link(links: DfsLinks, parts: list[str]) -> Referral:
    found = links.find(parts[2:])
    if found is None:
        raise StatusError(Status.NOT_FOUND, "not below a link")
    link, count = found
    return Referral(
        path="\\" + "\\".join(parts[: 2 + count]),
        targets=tuple("\\" + target for target in link.targets),
        server_type=ServerType.LINK,
        flags=ReferralFlag.STORAGE_SERVERS,
        time_to_live_s=LINK_TTL_S,
    )
