"""The platform `linux-kernel`: accounts and directories as on `linux`, and ksmbd."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from smbport.kernel import KernelAnswers, KernelError, KernelPlan, KernelServer, KernelShare
from smbport.platform import POWERS, Platform
from smbport_linux import platform as linux
from smbport_linux.ksmbd.control import Control, find_module, find_umask, load_module, why_not_allowed
from smbport_linux.ksmbd.netlink import Channel, Family, find_family, open_socket
from smbport_linux.ksmbd.releases import Release, find_faults, parse_release
from smbport_linux.ksmbd.server import serve
from smbport_linux.ksmbd.settings import make_settings
from smbport_linux.ksmbd.tickets import find_support
from smbport_linux.ksmbd.upcalls import UpCalls

__all__ = ["FAMILY_NAME", "Ksmbd", "probe"]

FAMILY_NAME: Final = "SMBD_GENL"
LOGIN_RESPONSE_EXT: Final = 17  # the last command of kernels that ask for groups
LARGEST_ID: Final = 65534  # in the 16 bits that a share's owner has
MAX_SHARE_NAME: Final = 63  # bytes
KERBEROS: Final = {
    True: "with server.kerberos_keytab",
    False: "not in this kernel (SMB_SERVER_KERBEROS5): users log on with NTLMv2",
    None: "with server.kerberos_keytab, if this kernel was built with SMB_SERVER_KERBEROS5",
}
ABSENT: Final = "The kernel's server does this in its own way, or not at all."


def probe(release: str) -> Platform:
    """RuntimeError if this kernel has no ksmbd."""
    if not find_module(release):
        raise RuntimeError(f"this kernel ({release}) has no module ksmbd; try --platform linux")
    here = linux.probe()
    left_out: dict[str, Any] = dict.fromkeys(name for name in POWERS if name not in ("kernel", "identity"))
    absent = dict.fromkeys(left_out, ABSENT)
    if here.identity is None:
        absent["identity"] = here.absent["identity"]
    return replace(here, name="linux-kernel", kernel=Ksmbd(release), absent=absent, **left_out)


class Ksmbd:
    """The power `kernel`."""

    name = "ksmbd"

    def __init__(self, release: str, control: Control | None = None) -> None:
        self._release_text = release
        self._release: Release = parse_release(release)
        self._control = control or Control()
        self.settings = make_settings(self._release)

    def describe(self) -> Sequence[tuple[str, str]]:
        state = self._control.state()
        facts = [("kernel", self._release_text)]
        if state.name == "absent":
            facts.append(("module", "not loaded; `smbport serve` loads it"))
        else:
            family = self._find_family()
            facts.append(("module", f"loaded, state {state.name}, maxattr {family.max_attribute}"))
            facts.append(("groups", "all of a user" if _has_groups(family) else "a user's primary one only"))
        support = KERBEROS[find_support(self._release_text)]
        facts.append(("Kerberos", support))
        faults = find_faults(self._release, leases=True, signing_required=True)
        facts += [("fault", text) for serious, text in faults]
        return facts

    def find_faults(self, plan: KernelPlan) -> Sequence[tuple[bool, str]]:
        return find_faults(self._release, leases=plan.leases, signing_required=plan.signing_required)

    def check(self) -> None:
        problem = why_not_allowed()
        if problem:
            raise KernelError(f"cannot drive ksmbd: {problem}")
        if self._control.state().name == "absent":
            load_module()
        if not os.access(self._control.directory / "kill_server", os.W_OK):
            raise KernelError("cannot drive ksmbd: this process may not stop it again; run it as root")

    def share_problems(self, share: KernelShare) -> Sequence[tuple[str, str]]:
        problems = []
        if len(share.name.encode()) > MAX_SHARE_NAME:
            problems.append(("name", f"ksmbd takes names of at most {MAX_SHARE_NAME} bytes"))
        if share.uid is not None and max(share.uid, share.gid or 0) > LARGEST_ID:
            problems.append(("run_as", f"ksmbd takes numbers of accounts and groups up to {LARGEST_ID} for a share"))
        elif share.gid is not None and share.gid > LARGEST_ID:
            problems.append(("force_group", f"ksmbd takes numbers of groups up to {LARGEST_ID} for a share"))
        if share.uid and share.groups:
            problems.append(("run_as", "ksmbd gives the account its primary group only, and it has others"))
        modes = {
            "create_mask": share.file_mask,
            "force_mode": share.forced_file_mode,
            "directory_mask": share.directory_mask,
            "force_directory_mode": share.forced_directory_mode,
        }
        umask = find_umask()
        for key, mode in modes.items():
            if mode & umask:
                problems.append((key, f"ksmbd's threads have the umask {umask:04o}, which takes bits away"))
        if share.path is not None and not _is_same(share.path):
            problems.append(("path", "ksmbd sees what process 1 sees, and there this is another directory or none"))
        return problems

    def status(self) -> Sequence[str]:
        return self._control.status()

    @asynccontextmanager
    async def serve(self, plan: KernelPlan, answers: KernelAnswers) -> AsyncIterator[KernelServer]:
        family = self._find_family()
        upcalls = UpCalls(answers, has_groups=_has_groups(family), spnego_size=self._release.spnego_size)
        channel = Channel(open_socket(), family.number)
        async with serve(channel, self._control, upcalls, plan) as server:
            yield server

    def _find_family(self) -> Family:
        family = find_family(FAMILY_NAME)
        if family is None:
            raise KernelError("the module ksmbd is loaded but does not answer; the kernel's log may say why")
        return family


def _has_groups(family: Family) -> bool:
    return family.max_attribute >= LOGIN_RESPONSE_EXT


def _is_same(path: str) -> bool:
    """Whether process 1 has the same directory at this path."""
    try:
        return os.path.samefile(path, Path("/proc/1/root", path.lstrip("/")))
    except OSError:
        return False
