"""TREE_CONNECT and TREE_DISCONNECT.  [MS-SMB2] 3.3.5.7, 3.3.5.8"""

from dataclasses import replace
from typing import Final

from smbport.commands.account_names import find_users
from smbport.commands.call import Call, Reply, log
from smbport.commands.close import delete_name
from smbport.commands.steps import blocking
from smbport.platform import Account
from smbport.security.sids import Person, make_token
from smbport.state.descriptors import Descriptors
from smbport.state.hosts import admits
from smbport.state.server import Server
from smbport.state.session import Session
from smbport.state.tree import Share, TreeConnect
from smbport.wire.constants import Dialect, ShareCapability, ShareFlag, ShareType
from smbport.wire.status import Disconnect, Status, StatusError
from smbport.wire.tree import (
    TreeConnectRequest,
    TreeConnectResponse,
    TreeDisconnectRequest,
    TreeDisconnectResponse,
    tree_path,
)

__all__ = ["connect", "may_connect", "tree_connect", "tree_disconnect"]

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
    tree = await connect(call.server, session, share)
    if not session.valid:  # a LOGOFF came while a thread was busy
        raise StatusError(Status.USER_SESSION_DELETED)
    _check_encryption(call, session, tree)
    session.trees[tree.tree_id] = tree
    call.tree = tree
    call.chain.tree_id = tree.tree_id
    return Reply(
        TreeConnectResponse(
            share_type=ShareType.PIPE if tree.volume is None else ShareType.DISK,
            share_flags=_flags(call, tree),
            capabilities=_capabilities(call, tree),
            maximal_access=tree.maximal_access,
        )
    )


def _flags(call: Call, tree: TreeConnect) -> int:
    """[MS-SMB2] 2.2.10, ShareFlags"""
    flags = ShareFlag.ENCRYPT_DATA if tree.encrypt else ShareFlag.MANUAL_CACHING
    if tree.share.settings.access_based_enumeration:
        flags |= ShareFlag.ACCESS_BASED_DIRECTORY_ENUM
    if tree.share.settings.compression and call.connection.compression:
        flags |= ShareFlag.COMPRESS_DATA
    if tree.share.links is not None:
        flags |= ShareFlag.DFS | ShareFlag.DFS_ROOT
    return flags


def _capabilities(call: Call, tree: TreeConnect) -> int:
    """[MS-SMB2] 2.2.10, Capabilities"""
    available = tree.share.settings.continuous_availability and call.connection.dialect >= Dialect.SMB_3_0
    capabilities = ShareCapability.CONTINUOUS_AVAILABILITY if available else 0
    return capabilities | ShareCapability.DFS if tree.share.links is not None else capabilities


def _find_share(call: Call, path: str) -> Share:
    """`\\\\server\\share` to a share this user may connect to."""
    if not path.startswith("\\\\") or path.count("\\") < 3:
        raise StatusError(Status.INVALID_PARAMETER, f"tree path {path!r}")
    name = path.split("\\", 3)[3]
    share = call.server.find_share(name)
    session, address = call.session, call.connection.address
    if share is None or "\\" in name:
        raise StatusError(Status.BAD_NETWORK_NAME)
    if share is not call.server.ipc and not may_connect(session, share, address):
        who = session.user_name or "an anonymous user"
        log.warning("%s at %s may not connect to share %s", who, address, share.name)
        raise StatusError(Status.ACCESS_DENIED)
    return share


def may_connect(session: Session, share: Share, address: str) -> bool:
    """Whether the settings of a share let this user in, from this address."""
    assert session.user is not None
    if not admits(address, share.settings.hosts_allow, share.settings.hosts_deny):
        return False
    kind = session.user.kind
    if kind == "anonymous" or (kind == "guest" and not share.settings.guest):
        return False
    return share.admits(session.listed_name)


async def connect(server: Server, session: Session, share: Share) -> TreeConnect:
    """Decide whose rights the files are opened with, and make the tree connect."""
    tree_id = session.next_tree_id
    session.next_tree_id += 1
    platform = server.platform
    if share.volume is None:
        return TreeConnect(session, tree_id, share, platform.account, None)
    account = await _account_for(server, session, share)
    if account is None:
        tree = TreeConnect(session, tree_id, share, platform.account, share.volume)
    else:
        tree = TreeConnect(session, tree_id, share, account, share.volume.acting_as(account))
    tree.descriptors = await _descriptors_for(server, tree, acts_as_user=account is not None)
    return tree


async def _descriptors_for(server: Server, tree: TreeConnect, *, acts_as_user: bool) -> Descriptors | None:
    """What decides beside the system in a share with `acl = "nt"`; None in others."""
    session, share = tree.session, tree.share
    if share.descriptor_name is None:
        return None
    user, acl = session.user, server.platform.acl
    assert user is not None
    assert share.volume is not None
    assert acl is not None
    own = acts_as_user and share.settings.run_as == "client" and user.kind == "user"
    person = Person(
        kind=user.kind,
        rid=user.record.rid if user.record is not None else 0,
        administrator=session.listed_name.casefold() in {name.casefold() for name in server.settings.administrators},
    )
    token = make_token(server.authenticator.users.machine_id, person, tree.account if own else None)
    users = await find_users(server) if own else {}
    return Descriptors(acl, share.descriptor_name, share.volume, token, tree.account, users, own, share.unfinished)


async def _account_for(server: Server, session: Session, share: Share) -> Account | None:
    """The system account of this tree connect; None is the process itself.

    A platform that cannot switch identities serves everything as the one it has.  One that can never falls
    back to its own: a user without an account of the system is refused.
    """
    identity = server.platform.identity
    settings = share.settings
    guest_as_server = session.is_guest_or_anonymous and server.settings.guest_account == "server"
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
