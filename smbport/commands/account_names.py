"""Which names there are, for the pipes that tell them."""

from collections.abc import Mapping
from typing import Final

from smbport.commands.steps import blocking
from smbport.security.names import Names
from smbport.security.sids import machine_sid
from smbport.state.server import Server
from smbport.state.session import Session
from smbport.wire.security import Sid, WellKnownSid

__all__ = ["ACCOUNT_PIPES", "find_names", "find_users"]

ACCOUNT_PIPES: Final = ("lsarpc", "samr")


async def find_names(server: Server, session: Session) -> Names | None:
    """All that this server can name; None for who may not ask.

    The system lists what it lists, perhaps not the users of a directory service; those who are logged on are known
    in any case.
    """
    if session.is_guest_or_anonymous:
        return None
    users = server.authenticator.users
    unix_users, unix_groups = await _system_names(server)
    known = users.list()
    named = {name.casefold() for name in server.settings.administrators}
    privileged = {machine_sid(users.machine_id, user.rid) for user in known if user.name.casefold() in named}
    return Names(
        machine_id=users.machine_id,
        server=server.settings.server_name,
        users=known,
        administrators=frozenset({WellKnownSid.BUILTIN_ADMINISTRATORS, *privileged}),
        unix_users=unix_users,
        unix_groups=unix_groups,
    )


async def find_users(server: Server) -> dict[Sid, int]:
    """Which SIDs of users are which numbers of the system."""
    users = server.authenticator.users
    names, _ = await _system_names(server)
    numbers = {name: uid for uid, name in names.items()}
    found = ((user.rid, numbers.get(user.account or user.name)) for user in users.list())
    return {machine_sid(users.machine_id, rid): uid for rid, uid in found if uid is not None}


async def _system_names(server: Server) -> tuple[Mapping[int, str], Mapping[int, str]]:
    """Users and groups of the system by number."""
    identity = server.platform.identity
    if identity is None:
        return {}, {}
    users, groups = await blocking(identity.names)
    accounts = [session.account for session in server.sessions.values() if session.account is not None]
    return {account.uid: account.name for account in accounts} | dict(users), groups
