"""What the kernel asks, answered.  [MS-SMB2] 3.3.5.5.3, 3.3.5.7

Nothing here remembers more than it must: a process that takes over from one that died knows nobody's past, so who a
user is comes back with each question, and only what is counted starts anew.
"""

import logging
import time
from collections.abc import Mapping
from functools import partial
from math import inf
from typing import Final

import trio

from smbport.control.pipes import KernelPipes, describe
from smbport.control.rules import Rules, fold
from smbport.kernel import KernelLogon, KernelShare, TreeAnswer, TreeQuestion
from smbport.pipes.server_info import ServerInfo
from smbport.platform import Account, Identity
from smbport.security.auth import Authenticator, LogonFailure, LogonUser
from smbport.state.tree import Share

__all__ = ["Answers"]

log = logging.getLogger("smbport")

ACCOUNT_AGE_S: Final = 30  # as long is believed what the system says of an account; the kernel asks twice at each logon
NOBODY: Final = Account("nobody", 65534, 65534)
NOT_TOLD: Final = "an address that this kernel does not tell"


class Answers:
    """The rules at work.  All calls come from one thread."""

    def __init__(
        self, rules: Rules, authenticator: Authenticator, identity: Identity, machine_id: tuple[int, int, int]
    ) -> None:
        self.rules = rules
        self._authenticator = authenticator
        self._identity = identity
        self._accounts: dict[
            str, tuple[float, Account | None]
        ] = {}  # by name: when it was looked up, and what was found
        self._failures: dict[str, int] = {}  # wrong passwords in a row, by user
        self._trees: dict[int, set[int]] = {}  # session id -> tree ids
        self._told: set[str] = set()  # folded names of shares that the kernel knows as they are now
        self._machine_id = machine_id
        self._start_ns = time.time_ns()
        self._pipes = KernelPipes(self._describe)
        self.open_pipe = self._pipes.open
        self.write_pipe = self._pipes.write
        self.read_pipe = self._pipes.read
        self.transceive_pipe = self._pipes.transceive
        self.close_pipe = self._pipes.close

    def adopt(self, rules: Rules, authenticator: Authenticator) -> None:
        """Answer by other rules from now on."""
        changed = {name for name in self._told if self.rules.find_share(name) != rules.find_share(name)}
        self._told -= changed
        self.rules = rules
        self._authenticator = authenticator

    def _describe(self, restricted: bool) -> ServerInfo:
        return describe(
            self.rules, self._authenticator.users, self._machine_id, restricted,
            now_ns=time.time_ns(), start_ns=self._start_ns,
        )  # fmt: skip

    # Users

    async def log_on(self, name: str) -> KernelLogon | None:
        """The kernel checks the proof of the password afterwards; see `log_off`."""
        try:
            user = self._authenticator.look_up(name)
        except LogonFailure as failure:
            log.warning("logon failed: %s", failure)
            return None
        account, homeless = await self._find_account(user)
        return KernelLogon(
            name={"user": name, "guest": "guest", "anonymous": ""}[user.kind],  # a user's goes into the proof as typed
            account=account,
            nt_hash=user.record.nt_hash if user.record else b"",
            guest=user.kind != "user",
            homeless=homeless,
            delay=self._failures.get(user.name, 0) >= self.rules.settings.limits.failed_logons_per_connection,
        )

    async def _find_account(self, user: LogonUser) -> tuple[Account, bool]:
        """Whose rights the user has on files, and whether the user has no account of its own."""
        if user.record is None:
            guest = self.rules.guest if user.kind == "guest" else None
            return guest or NOBODY, guest is None
        wanted = user.record.account or user.name
        looked_up, account = self._accounts.get(wanted, (-inf, None))
        if trio.current_time() - looked_up > ACCOUNT_AGE_S:
            account = await trio.to_thread.run_sync(partial(self._identity.find_account, wanted, wait=True))
            self._accounts[wanted] = trio.current_time(), account
        return account or NOBODY, account is None

    def log_off(self, name: str, failed: bool) -> None:
        """A wrong password is known only from here."""
        if not failed:
            return
        log.warning("logon failed: user %r gave a wrong password", name)
        record = self._authenticator.users.find_user(name)
        if record is not None:
            self._failures[record.name] = self._failures.get(record.name, 0) + 1

    # Shares

    def find_share(self, name: str) -> KernelShare | None:
        """What is told here is remembered, so that a change can be told again."""
        share = self.rules.find_share(name)
        if share is not None:
            self._told.add(fold(name))
        return share

    def connect(self, question: TreeQuestion) -> TreeAnswer:
        """[MS-SMB2] 3.3.5.7, and the order in which the server in user space decides"""
        name = fold(question.share)
        ipc = name == "ipc$"
        found = self.rules.shares.get(name)
        if found is None and not ipc:
            return TreeAnswer("no share")
        user = self._listed_name(question)
        if user is None or (found is not None and not self._admits(found[0], question, user)):
            return TreeAnswer("denied")
        limits = self.rules.settings.limits
        trees = self._trees.get(question.session_id)
        if trees is None and len(self._trees) >= limits.sessions:
            return TreeAnswer("too many sessions")
        if trees is not None and len(trees) >= limits.trees_per_session:
            return TreeAnswer("too many connections")
        self._trees.setdefault(question.session_id, set()).add(question.tree_id)
        self._failures.pop(user, None)
        where = question.address or NOT_TOLD
        log.info("%r connected to share %s from %s", question.name, found[0].name if found else "IPC$", where)
        writable = found is None or found[0].is_writable_for(user)
        return TreeAnswer("granted", writable, refresh=name not in self._told)

    def _listed_name(self, question: TreeQuestion) -> str | None:
        """The name to look for in lists of users, "" for guests; None: the user is one no more."""
        if question.guest:
            return ""
        record = self._authenticator.users.find_user(question.name)
        if record is None or record.disabled:
            log.warning("user %r connects to share %s no more: removed or disabled", question.name, question.share)
            return None
        return record.name

    def _admits(self, share: Share, question: TreeQuestion, user: str) -> bool:
        may_be_guest = share.settings.guest and question.name != ""
        if not (may_be_guest if question.guest else True) or not share.admits(user):
            log.warning("%s may not connect to share %s", question.name or "an anonymous user", share.name)
            return False
        if question.homeless and share.settings.run_as == "client":
            log.warning(
                "share %s refused to %s: there is no system account for it; give the user one (smbport user add "
                '--account), or set run_as to "server" or to an account name',
                share.name, question.name,
            )  # fmt: skip
            return False
        return True

    def disconnect(self, session_id: int, tree_id: int) -> None:
        """A session is counted as long as it has trees: the kernel does not say when one ends."""
        trees = self._trees.get(session_id)
        if trees is not None:
            trees.discard(tree_id)
            if not trees:
                del self._trees[session_id]

    @property
    def trees(self) -> Mapping[int, set[int]]:
        """What is connected, by session."""
        return self._trees
