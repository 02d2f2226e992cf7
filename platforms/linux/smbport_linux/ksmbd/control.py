"""ksmbd outside netlink: its module, its files in /sys and /proc, and whether this process may command it."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final, Literal, NamedTuple

from smbport.kernel import KernelError

__all__ = ["Control", "State", "find_module", "find_umask", "load_module", "why_not_allowed"]

StateName = Literal["startup", "running", "reset", "shutdown", "absent"]

MODPROBE_TIMEOUT_S: Final = 60
CAP_NET_ADMIN: Final = 1 << 12
INITIAL_PID_NAMESPACE: Final = 0xEFFFFFFC  # PROC_PID_INIT_INO of include/linux/proc_ns.h
INITIAL_USER_NAMESPACE: Final = 0xEFFFFFFD


class State(NamedTuple):
    """What the kernel's server does."""

    name: str  # one of StateName
    port: int = 0


class Control:
    """The files of a loaded module; tests have them elsewhere."""

    def __init__(self, root: str = "/") -> None:
        self.directory = Path(root, "sys/class/ksmbd-control")
        self.proc = Path(root, "proc/fs/ksmbd")

    def state(self) -> State:
        """The state now, "absent" without a module."""
        try:
            words = (self.directory / "stats").read_text().split()
        except FileNotFoundError:
            return State("absent")
        if len(words) < 3 or not words[2].isdigit():
            raise KernelError(f"{self.directory}/stats cannot be understood: {words}")
        return State(words[1], int(words[2]))

    def stop(self) -> None:
        """End all connections, close the listening sockets and forget the plan.  Returns when it is done."""
        (self.directory / "kill_server").write_text("hard")

    def status(self) -> list[str]:
        """What the kernel tells of its server, for people."""
        state = self.state()
        lines = [f"state: {state.name}, port {state.port}" if state.port else f"state: {state.name}"]
        for name in ("sessions/sessions", "shares", "files"):
            path = self.proc / name
            if path.exists():
                lines += ["", f"{path.name}:", *(f"  {line}" for line in path.read_text(errors="replace").splitlines())]
        if len(lines) == 1:
            lines.append("This kernel shows no more; /proc/fs/ksmbd came with later ones (7.3 has it).")
        return lines


def find_module(release: str, root: str = "/") -> bool:
    """Whether the running kernel has ksmbd: loaded, built in, or as a module that can be loaded."""
    if Path(root, "sys/class/ksmbd-control").exists():
        return True
    modules = Path(root, "lib/modules", release)
    for name in ("modules.builtin", "modules.dep"):
        path = modules / name
        if path.exists() and any("/ksmbd.ko" in line.partition(":")[0] for line in path.read_text().splitlines()):
            return True
    return False


def load_module() -> None:
    """Let modprobe do it.  KernelError with what it said."""
    program = shutil.which("modprobe", path=os.defpath + ":/sbin:/usr/sbin")
    if program is None:
        raise KernelError("the module ksmbd is not loaded, and there is no modprobe to load it; install kmod")
    command = [program, "ksmbd"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=MODPROBE_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise KernelError(f"modprobe ksmbd took more than {MODPROBE_TIMEOUT_S} s") from None
    if done.returncode:
        raise KernelError(f"the module ksmbd cannot be loaded: {done.stderr.strip() or done.returncode}")


def why_not_allowed(root: str = "/") -> str | None:
    """Why the kernel would not listen to this process, or not talk to it; None if it will."""
    capabilities = 0
    for line in Path(root, "proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            capabilities = int(line.split()[1], 16)
    if not capabilities & CAP_NET_ADMIN:
        return "this process lacks the capability NET_ADMIN; run it as root"
    if _namespace(root, "self", "user") != INITIAL_USER_NAMESPACE:
        return "ksmbd obeys the initial user namespace only; run this process outside the container"
    try:
        seen = _namespace(root, "self", "pid") == INITIAL_PID_NAMESPACE
        same = _namespace(root, "self", "net") == _namespace(root, "1", "net")
    except PermissionError:
        seen = False
    if not seen:
        return "whether this is the initial network namespace cannot be seen from here; run it outside the container"
    return None if same else "ksmbd talks to the initial network namespace only; run this process there"


def find_umask(root: str = "/") -> int:
    """The umask of the kernel's threads, of which process 2 is the first.

    In 6.12 it is that of process 1, with whom they share their fs_struct; in 7.3 it is their own, and always 022.
    """
    for line in Path(root, "proc/2/status").read_text().splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    return 0


def _namespace(root: str, process: str, kind: str) -> int:
    return os.stat(Path(root, "proc", process, "ns", kind)).st_ino
