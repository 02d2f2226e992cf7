"""Acting as another account, one thread at a time: the kernel checks every file access with the thread's own
file system ids, and while these are not root's it also leaves out root's power over files."""

import os
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final

from smbport.platform import Account
from smbport.posix.accounts import PosixAccounts
from smbport_linux.calls import Credentials, assume_identity, has_thread_identity, resume_identity

__all__ = ["LinuxIdentity", "Rights", "find_own_credentials", "why_no_identity"]

NOBODY: Final = 65534  # to try it with; any id but root's would do
POWER_OVER_FILES: Final = 0b11111  # capabilities(7): CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID


class Rights:
    """A context in which a thread has the rights of an account.  Stateless, so threads can share one.

    It ends with the rights of the process, so it does not nest: entering it again is RuntimeError.
    """

    __slots__ = ("_account", "_own")

    def __init__(self, account: Credentials, own: Credentials) -> None:
        self._account = account
        self._own = own

    def __enter__(self) -> None:
        assume_identity(self._account, self._own)

    def __exit__(
        self, kind: type[BaseException] | None, reason: BaseException | None, trace: TracebackType | None
    ) -> None:
        resume_identity(self._own)


class LinuxIdentity(PosixAccounts):
    """The power `identity`."""

    __slots__ = ("_own",)

    def __init__(self, own: Credentials) -> None:
        self._own = own

    def become(self, account: Account) -> AbstractContextManager[None]:
        return Rights(Credentials(account.uid, account.gid, account.groups), self._own)


def find_own_credentials() -> Credentials:
    """What threads of this process act as by themselves."""
    return Credentials(os.geteuid(), os.getegid(), os.getgroups())


def why_no_identity(own: Credentials) -> str | None:
    """Try it on this thread; a sentence if it does not work."""
    if own.uid_number != 0:
        return "Acting as other accounts takes root."
    if not has_thread_identity():
        return f"The system calls for one thread's identity are not known for {os.uname().machine}."
    try:
        with Rights(Credentials(NOBODY, NOBODY, (NOBODY,)), own):
            capabilities = find_effective_capabilities()
    except PermissionError:
        return "This process may not act as other accounts: it lacks the capabilities SETUID and SETGID."
    if capabilities & POWER_OVER_FILES:
        return "Threads would keep root's power over files: the securebits of this process say so."
    return None


def find_effective_capabilities() -> int:
    """The capabilities that this thread has now, as bits."""
    # Bytes, because a codec may have to be imported, and this thread may not be able to read Python's own files now.
    with open("/proc/thread-self/status", "rb") as lines:
        return next(int(line.split()[1], 16) for line in lines if line.startswith(b"CapEff:"))
