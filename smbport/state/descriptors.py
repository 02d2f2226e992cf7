"""The descriptors of a share with `acl = "nt"`, as one user meets them.

A file is *governed* if a descriptor is stored with it that still holds: then the descriptor decides alone, and the
server acts with its own rights.  Any other file is *plain*: the system decides, who knows the user's account, and
what clients see is made of its mode and list.  A descriptor does not hold if somebody changed the file's owner,
mode or list since, by whatever means but this server.

Whose files belong to a system account of his own makes plain files in plain directories.  Where all files belong
to one account, which says nothing of the user, every new file is governed, so that it has an owner.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from errno import ENOTSUP, EOPNOTSUPP

from smbport.platform import AccessControl, Account, AclEntry, Directory, File, Stat, Volume
from smbport.security.access import Token, maximal_access
from smbport.security.inheritance import create_descriptor, default_descriptor
from smbport.security.nfs4_acl import is_nfs4
from smbport.security.ntacl import SystemState, pack_stored, parse_stored
from smbport.security.posix_acl import approximate, describe, mode_of, replace_sids
from smbport.security.sids import account_token, unix_id
from smbport.wire.constants import Access
from smbport.wire.record import BadStructure
from smbport.wire.security import Acl, SecurityControl, SecurityDescriptor, Sid, unix_group_sid, unix_user_sid

__all__ = ["Descriptors"]


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Reading, storing and making them.  Calls with `wait` follow the rule of `smbport.platform`."""

    acl: AccessControl
    name: str  # that they are stored under
    volume: Volume  # with the rights of the server
    token: Token
    account: Account  # whom new files belong to
    users: Mapping[Sid, int]  # uids of users by SID, as far as they are known
    own: bool  # it is the user's own; else all files of the share belong to it, and that says nothing of the user
    unfinished: list[str]  # directories of the share that are being made, and have no descriptor yet

    def find(self, node: File | Directory, stat: Stat, *, wait: bool = False) -> SecurityDescriptor | None:
        """The descriptor that governs the file; None if it is a plain one.

        What was stored and cannot be understood grants nothing to anybody, but its owner may mend it.
        """
        value = self.acl.descriptor(node, self.name, wait=wait)
        if value is None:
            return None
        try:
            stored = parse_stored(value)
        except BadStructure:
            return SecurityDescriptor(owner=unix_user_sid(stat.uid), group=unix_group_sid(stat.gid), dacl=Acl())
        holds = stored.system_digest is None or stored.holds_for(self._state(node, stat, wait=wait))
        return stored.descriptor if holds else None

    def describe(self, node: File | Directory, *, wait: bool = False) -> SecurityDescriptor:
        """What clients are shown: the descriptor, or what mode and list mean.

        The latter not as protected: clients that hand down what a directory got would pass it over.
        """
        stat = node.stat()
        descriptor = self.find(node, stat, wait=wait)
        if descriptor is not None:
            return descriptor
        meant = describe(self._state(node, stat, wait=wait))
        return replace(meant, control=meant.control & ~SecurityControl.DACL_PROTECTED)

    def plain_access(self, node: File | Directory, *, wait: bool = False) -> int:
        """What the system grants the account on a plain file, as far as mode and list say it."""
        if self.account.uid == 0:
            return Access.FILE_ALL_ACCESS
        return maximal_access(describe(self._state(node, node.stat(), wait=wait)), account_token(self.account))

    def store(self, node: File | Directory, descriptor: SecurityDescriptor, *, wait: bool = False) -> None:
        """Let the descriptor govern the file from now on.  `node` must have the rights of the server.

        Owner, group and list follow, as far as they can say it, for local programs and for other servers.
        """
        if self.own:
            self._reflect(node, descriptor, wait=wait)
        state = self._state(node, node.stat(), wait=wait)
        self.acl.set_descriptor(node, self.name, pack_stored(descriptor, state), wait=wait)

    def store_new(
        self,
        node: File | Directory,
        parent: SecurityDescriptor | None,
        given: SecurityDescriptor | None,
        *,
        wait: bool = False,
    ) -> SecurityDescriptor | None:
        """Give a file that was just made the descriptor that it has to have; None if it stays a plain one.

        `parent` is what governs its directory, `given` what its maker wants.  `node` has the server's rights if
        there is either.
        """
        if parent is None and given is None and self.own:
            return None
        stat = node.stat()
        account = self.account
        if parent is not None and (stat.uid, stat.gid) != (account.uid, account.gid):
            node.set_owner(account.uid, account.gid, wait=wait)  # it was made with the server's rights
        default = default_descriptor(self.token, stat.mode if parent is None else 0, is_directory=node.is_directory)
        descriptor = create_descriptor(parent, given, self.token, is_directory=node.is_directory, default=default)
        self.store(node, descriptor, wait=wait)
        return descriptor

    def _state(self, node: File | Directory, stat: Stat, *, wait: bool) -> SystemState:
        access, default = self.acl.lists(node, wait=wait)
        return SystemState.of(stat, access, default)

    def _reflect(self, node: File | Directory, descriptor: SecurityDescriptor, *, wait: bool) -> None:
        """Ownership first: giving a file away clears bits of its mode."""
        stat = node.stat()
        descriptor = replace_sids(descriptor, {sid: unix_user_sid(uid) for sid, uid in self.users.items()})
        uid = unix_id(descriptor.owner, group=False)
        gid = unix_id(descriptor.group, group=True)
        if gid is not None and not self.token.may_give_to_group(unix_group_sid(gid)):
            gid = stat.gid  # Windows lets an owner name any group, which means little there and much here
        uid, gid = (None if uid == stat.uid else uid), (None if gid == stat.gid else gid)
        if uid is not None or gid is not None:
            node.set_owner(uid, gid, wait=wait)
        state = self._state(node, node.stat(), wait=wait)
        entries = approximate(descriptor, state)
        if (len(entries) > 3 or is_nfs4(entries)) and self._try_set_list(node, entries, wait=wait):
            return
        if state.access:
            self.acl.set_list(node, (), wait=wait)
        node.set_mode(node.stat().mode & ~0o777 | mode_of(entries), wait=wait)

    def _try_set_list(self, node: File | Directory, entries: Sequence[AclEntry], *, wait: bool) -> bool:
        """False if the file system has no lists: then the mode must do."""
        try:
            self.acl.set_list(node, entries, wait=wait)
        except OSError as error:
            if error.errno not in (ENOTSUP, EOPNOTSUPP):
                raise
            return False
        return True
