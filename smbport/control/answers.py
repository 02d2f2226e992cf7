"""What the kernel asks, answered.  [MS-SMB2] 3.3.5.5.3, 3.3.5.7

Nothing here remembers more than it must: a process that takes over from one that died knows nobody's past, so who a
user is comes back with each question, and only what is counted starts anew.
"""

from collections.abc import Awaitable, Mapping
from dataclasses import replace
from functools import partial
from math import inf
from time import monotonic, time_ns
from typing import Final

import trio

from smbport.control.lines import Lines
from smbport.control.pipes import KernelPipes, describe
from smbport.control.rules import Rules, fold
from smbport.kernel import KernelLogon, KernelShare, KernelTicket, TreeAnswer, TreeQuestion
from smbport.pipes.server_info import ServerInfo
from smbport.platform import Account, Identity
from smbport.security.auth import (
    Authenticator,
    BadToken,
    Done,
    LogonFailure,
    LogonUser,
    TicketCheck,
    UserRecord,
)
from smbport.state.hosts import admits
from smbport.state.tree import Share

__all__ = ["Answers"]

ACCOUNT_AGE_S: Final = 30  # as long is believed what the system says of an account
RECORD_AGE_S: Final = 1  # and what a logon found of a user, when that user then connects to shares
MAX_RECORDS: Final = 1024  # guessed; more are only looked up more often
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
        self._records: dict[
            str, tuple[float, UserRecord | None]
        ] = {}  # by name as the kernel knows it: when it was looked up, and what was found
        self._failures: dict[str, int] = {}  # wrong passwords in a row, by user
        self._trees: dict[int, set[int]] = {}  # session id -> tree ids
        self._told: set[str] = set()  # folded names of shares that the kernel knows as they are now
        self._machine_id = machine_id
        self._start_ns = time_ns()
        self._lines = Lines()
        self.rest = self._lines.write
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
        self._accounts.clear()
        self._records.clear()
        self.rules = rules
        self._authenticator = authenticator

    def _describe(self, restricted: bool) -> ServerInfo:
        return describe(
            self.rules, self._authenticator.users, self._machine_id, restricted,
            now_ns=time_ns(), start_ns=self._start_ns,
        )  # fmt: skip

    # Users

    def log_on(self, name: str) -> KernelLogon | Awaitable[KernelLogon | None] | None:
        """The kernel checks the proof of the password afterwards; see `log_off`."""
        try:
            user = self._authenticator.look_up(name)
        except LogonFailure as failure:
            self._lines.warn("logon failed: %s", failure)
            return None
        if user.record is None:
            guest = self.rules.guest if user.kind == "guest" else None
            return self._welcome(name, user, guest)
        return self._log_on_as(name, user, user.record)

    def _log_on_as(self, name: str, user: LogonUser, record: UserRecord) -> KernelLogon | Awaitable[KernelLogon]:
        self._remember_record(name, record)
        looked_up, account = self._accounts.get(record.account or user.name, (-inf, None))
        if monotonic() - looked_up > ACCOUNT_AGE_S:
            return self._log_on_with_account(name, user, record.account or user.name)
        return self._welcome(name, user, account)

    async def take_ticket(self, token: bytes) -> KernelTicket | None:
        """There is time for one step only; NTLM the kernel does itself."""
        if self._authenticator.kerberos is None:
            self._lines.warn("logon failed: the client has a Kerberos ticket, and there is no server.kerberos_keytab")
            return None
        exchange = self._authenticator.begin()
        try:
            step = exchange.step(token, time_ns())
            if isinstance(step, TicketCheck):
                ticket = await trio.to_thread.run_sync(partial(step.judge, wait=True))
                step = exchange.conclude(ticket, time_ns())
        except (BadToken, LogonFailure) as failure:
            self._lines.warn("logon failed: %s", failure)
            return None
        if not isinstance(step, Done) or step.user.record is None:
            self._lines.warn("logon failed: Kerberos without a ticket that can be read")
            return None
        logon = self._log_on_as(step.user.name, step.user, step.user.record)
        if not isinstance(logon, KernelLogon):
            logon = await logon
        logon = replace(logon, nt_hash=b"", delay=False)  # a password has nothing to do with it
        return KernelTicket(logon=logon, token=step.token, session_key=step.session_key, expires_ns=step.expires_ns)

    async def _log_on_with_account(self, name: str, user: LogonUser, wanted: str) -> KernelLogon:
        """A directory service may take its time."""
        account = await trio.to_thread.run_sync(partial(self._identity.find_account, wanted, wait=True))
        self._accounts[wanted] = monotonic(), account
        return self._welcome(name, user, account)

    def _welcome(self, name: str, user: LogonUser, account: Account | None) -> KernelLogon:
        """`account` is whose rights the user has on files; None: the user has no account of its own."""
        return KernelLogon(
            name={"user": name, "guest": "guest", "anonymous": ""}[user.kind],  # a user's goes into the proof as typed
            account=account or NOBODY,
            nt_hash=user.record.nt_hash if user.record else b"",
            guest=user.kind != "user",
            homeless=account is None,
            delay=self._failures.get(user.name, 0) >= self.rules.settings.limits.failed_logons_per_connection,
        )

    def _remember_record(self, name: str, record: UserRecord | None) -> None:
        if len(self._records) >= MAX_RECORDS:
            self._records.clear()
        self._records[name] = monotonic(), record

    def _find_record(self, name: str) -> UserRecord | None:
        looked_up, record = self._records.get(name, (-inf, None))
        if monotonic() - looked_up > RECORD_AGE_S:
            record = self._authenticator.users.find_user(name)
            self._remember_record(name, record)
        return record

    def log_off(self, name: str, failed: bool) -> None:
        """A wrong password is known only from here."""
        if not failed:
            return
        self._lines.warn("logon failed: user %r gave a wrong password", name)
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
        if user is None or not self._admits_host(question, found[0] if found else None):
            return TreeAnswer("denied")
        if found is not None and not self._admits(found[0], question, user):
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
        self._lines.inform("%r connected to share %s from %s", question.name, found[0].name if found else "IPC$", where)
        writable = found is None or found[0].is_writable_for(user)
        return TreeAnswer("granted", writable, refresh=name not in self._told)

    def _listed_name(self, question: TreeQuestion) -> str | None:
        """The name to look for in lists of users, "" for guests; None: the user is one no more."""
        if question.guest:
            return ""
        record = self._find_record(question.name)
        if record is None or record.disabled:
            self._lines.warn("user %r connects to share %s no more: removed or disabled", question.name, question.share)
            return None
        return record.name

    def _admits_host(self, question: TreeQuestion, share: Share | None) -> bool:
        """The kernel asks nothing about addresses before: whoever may not be here at all is stopped here, too."""
        address, server = question.address, self.rules.settings
        here = admits(address, server.hosts_allow, server.hosts_deny)
        if here and (share is None or admits(address, share.settings.hosts_allow, share.settings.hosts_deny)):
            return True
        self._lines.warn("%r at %s may not connect to share %s", question.name, address or NOT_TOLD, question.share)
        return False

    def _admits(self, share: Share, question: TreeQuestion, user: str) -> bool:
        may_be_guest = share.settings.guest and question.name != ""
        if not (may_be_guest if question.guest else True) or not share.admits(user):
            self._lines.warn("%s may not connect to share %s", question.name or "an anonymous user", share.name)
            return False
        if question.homeless and share.settings.run_as == "client":
            self._lines.warn(
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
