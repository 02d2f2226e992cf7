"""TREE_CONNECT and TREE_DISCONNECT.  [MS-SMB2] 3.3.5.7, 3.3.5.8"""

from dataclasses import replace
from typing import Final

from smbport.commands.call import Call, Reply, log
from smbport.commands.close import delete_name
from smbport.commands.steps import blocking
from smbport.platform import Account
from smbport.state.session import Session
from smbport.state.tree import Share, TreeConnect
from smbport.wire.constants import Dialect, ShareFlag, ShareType
from smbport.wire.status import Disconnect, Status, StatusError
from smbport.wire.tree import (
    TreeConnectRequest,
    TreeConnectResponse,
    TreeDisconnectRequest,
    TreeDisconnectResponse,
    tree_path,
)

__all__ = ["tree_connect", "tree_disconnect"]

EXTENSION_PRESENT: Final = 0x0004  # SMB2_TREE_CONNECT_FLAG_EXTENSION_PRESENT, clusters only  [MS-SMB2] 2.2.9


async def tree_connect(call: Call, request: TreeConnectRequest) -> Reply:
    """[MS-SMB2] 3.3.5.7"""
    session, connection = call.session, call.connection
    if connection.dialect == Dialect.SMB_3_1_1:
        authentic = call.signed or call.chain.sealed is not None or session.is_guest_or_anonymous
        if not authentic:
            raise Disconnect("TREE_CONNECT neither signed nor sealed")
        if request.flags & EXTENSION_PRESENT:
            raise StatusError(Status.INVALID_PARAMETER, "tree connect extension")
    share = _find_share(call, tree_path(call.message, request))
    if len(session.trees) >= call.server.settings.limits.trees_per_session:
        raise StatusError(Status.INSUFFICIENT_RESOURCES, "too many trees")
    tree = await _connect(call, session, share)
    if not session.valid:  # a LOGOFF came while a thread was busy
        raise StatusError(Status.USER_SESSION_DELETED)
    _check_encryption(call, session, tree)
    session.trees[tree.tree_id] = tree
    call.tree = tree
    call.chain.tree_id = tree.tree_id
    return Reply(
        TreeConnectResponse(
            share_type=ShareType.PIPE if tree.volume is None else ShareType.DISK,
            share_flags=ShareFlag.ENCRYPT_DATA if tree.encrypt else ShareFlag.MANUAL_CACHING,
            capabilities=0,
            maximal_access=tree.maximal_access,
        )
    )


def _find_share(call: Call, path: str) -> Share:
    """`\\\\server\\share` to a share this user may connect to."""
    if not path.startswith("\\\\") or path.count("\\") < 3:
        raise StatusError(Status.INVALID_PARAMETER, f"tree path {path!r}")
    name = path.split("\\", 3)[3]
    share = call.server.find_share(name)
    session = call.session
    if share is None or "\\" in name:
        raise StatusError(Status.BAD_NETWORK_NAME)
    assert session.user is not None
    kind = session.user.kind
    if share is call.server.ipc:
        return share
    if kind == "anonymous" or (kind == "guest" and not share.settings.guest) or not share.admits(session.listed_name):
        log.warning("%s may not connect to share %s", session.user_name or "an anonymous user", share.name)
        raise StatusError(Status.ACCESS_DENIED)
    return share


async def _connect(call: Call, session: Session, share: Share) -> TreeConnect:
    """Decide whose rights the files are opened with, and make the tree connect."""
    tree_id = session.next_tree_id
    session.next_tree_id += 1
    platform = call.server.platform
    if share.volume is None:
        return TreeConnect(session, tree_id, share, platform.account, None)
    account = await _account_for(call, session, share)
    if account is None:
        return TreeConnect(session, tree_id, share, platform.account, share.volume)
    return TreeConnect(session, tree_id, share, account, share.volume.acting_as(account))


async def _account_for(call: Call, session: Session, share: Share) -> Account | None:
    """The system account of this tree connect; None is the process itself.

    A platform that cannot switch identities serves everything as the one it has.  One that can never falls
    back to its own: a user without an account of the system is refused.
    """
    identity = call.server.platform.identity
    settings = share.settings
    guest_as_server = session.is_guest_or_anonymous and call.server.settings.guest_account == "server"
    if identity is None or settings.run_as == "server" or (settings.run_as == "client" and guest_as_server):
        return None
    account: Account | None
    if settings.run_as == "client":
        account = session.account
    else:
        account = await blocking(identity.find_account, settings.run_as)
    if account is None:
        wanted = session.user_name if settings.run_as == "client" else settings.run_as
        log.warning(
            "share %s refused to %s: there is no system account for %r; give the user one (smbport user add "
            "--account), or set run_as to \"server\" or to an account name",
            share.name, session.user_name, wanted,
        )  # fmt: skip
        raise StatusError(Status.ACCESS_DENIED)
    if settings.force_group is not None:
        group = await blocking(identity.find_group, settings.force_group)
        if group is None:
            log.warning("share %s refused: force_group %r is no group of this system", share.name, settings.force_group)
            raise StatusError(Status.ACCESS_DENIED)
        account = replace(account, gid=group, groups=(*account.groups, account.gid))
    return account


def _check_encryption(call: Call, session: Session, tree: TreeConnect) -> None:
    """A share that must be sealed is closed to those who cannot.  [MS-SMB2] 3.3.5.7"""
    if tree.encrypt and session.sealer is None:
        log.warning(
            "share %s refused to %s at %s: it requires encryption and the client negotiated none",
            tree.share.name, session.user_name, call.connection.address,
        )  # fmt: skip
        raise StatusError(Status.ACCESS_DENIED)


async def tree_disconnect(call: Call, request: TreeDisconnectRequest) -> Reply:
    """[MS-SMB2] 3.3.5.8"""
    for opened in call.session.close_tree(call.tree_connect):
        await delete_name(call.server, opened)
    return Reply(TreeDisconnectResponse())
