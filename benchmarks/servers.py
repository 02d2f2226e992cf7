"""The servers under test: started with equal settings on directories of their own, watched from outside."""

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["SERVERS", "Server", "ServerError", "cpu_seconds", "other_cpu_seconds", "proportional_kib", "settle"]

HOST: Final = "127.0.0.1"
SHARE: Final = "bench"
START_TIMEOUT_S: Final = 30
STOP_TIMEOUT_S: Final = 20
ORPHANS_TIMEOUT_S: Final = 3
POLL_S: Final = 0.02
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class ServerError(Exception):
    """A server cannot be had; the text says why."""


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs."""

    name: str
    version: str
    port: int
    pid: int
    user: str
    password: str
    host: str = HOST
    share: str = SHARE


# Starting and stopping ------------------------------------------------------------------------------------------

SMBPORT_SETTINGS: Final = """\
[server]
listen = ["{host}:{port}"]
signing = "offered"
log = "warning"
[limits]
connections_per_address = 1024
[share.{share}]
path = "{path}"
run_as = "server"
"""

SAMBA_SETTINGS: Final = """\
[global]
server role = standalone server
smb ports = {port}
interfaces = {host}
bind interfaces only = yes
disable netbios = yes
passdb backend = tdbsam:{state}/passdb.tdb
private dir = {state}
lock directory = {state}
state directory = {state}
cache directory = {state}
pid directory = {state}
ncalrpc dir = {state}/ncalrpc
log file = {state}/log
log level = 0
load printers = no
printing = bsd
printcap name = /dev/null
disable spoolss = yes
usershare path =
server multi channel support = no
smb2 leases = no
oplocks = no
level2 oplocks = no
kernel oplocks = no
durable handles = no
ea support = yes
store dos attributes = yes
[{share}]
path = {path}
read only = no
"""


@contextmanager
def smbport(directory: Path) -> Iterator[Server]:
    """This checkout's server on the port to Linux."""
    version = _output([sys.executable, "-m", "smbport", "--version"]).split()[-1]
    server_directory, port, user, password = (
        directory / "smbport",
        _free_port(),
        getpass.getuser(),
        secrets.token_hex(8),
    )
    share = server_directory / "share"
    share.mkdir(parents=True)
    settings = server_directory / "smbport.toml"
    settings.write_text(SMBPORT_SETTINGS.format(host=HOST, port=port, share=SHARE, path=share))
    command = [sys.executable, "-m", "smbport", "serve", "--config", str(settings), "--platform", "linux"]
    with _running([*command, "--user", user], server_directory / "output", port, password + "\n") as pid:
        yield Server("smbport", version, port, pid, user, password)


@contextmanager
def samba(directory: Path) -> Iterator[Server]:
    """The installed smbd, with everything it keeps in `directory`."""
    smbd = shutil.which("smbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/samba/sbin")
    if smbd is None or shutil.which("pdbedit") is None:
        raise ServerError("Samba's smbd and pdbedit are not installed; `--servers smbport` does without")
    if os.geteuid():
        raise ServerError("smbd must be started by root; `--servers smbport` does without")
    version = _output([smbd, "--version"]).split()[-1]
    server_directory, port, user, password = directory / "samba", _free_port(), getpass.getuser(), secrets.token_hex(8)
    share, state = server_directory / "share", server_directory / "state"
    share.mkdir(parents=True)
    state.mkdir()
    settings = server_directory / "smb.conf"
    settings.write_text(SAMBA_SETTINGS.format(host=HOST, port=port, share=SHARE, path=share, state=state))
    _output(["pdbedit", "-s", str(settings), "-a", "-t", "-u", user], input=f"{password}\n{password}\n")
    command = [smbd, "--foreground", "--no-process-group", "-s", str(settings)]
    with _running(command, server_directory / "output", port, "") as pid:
        yield Server("Samba", version, port, pid, user, password)


SERVERS: Final[dict[str, Callable[[Path], AbstractContextManager[Server]]]] = {"smbport": smbport, "samba": samba}


def _output(command: Sequence[str], input: str = "") -> str:
    done = subprocess.run(command, input=input, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as sock:
        return int(sock.getsockname()[1])


@contextmanager
def _running(command: Sequence[str], log: Path, port: int, input: str) -> Iterator[int]:
    """The process id of a server while it runs; it listens on `port` from the beginning."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if input else subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,  # smbd ends with a signal to its whole group
        )
    try:
        if process.stdin is not None:
            process.stdin.write(input.encode())
            process.stdin.close()
        _wait_for_port(process, log, port)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _end_group(process.pid)


def _end_group(group: int) -> None:
    """Give what smbd leaves behind a moment to end, for it writes to the directory that is removed next."""
    deadline = time.monotonic() + ORPHANS_TIMEOUT_S
    try:
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            time.sleep(POLL_S)
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _wait_for_port(process: subprocess.Popen[bytes], log: Path, port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            socket.create_connection((HOST, port)).close()
        except ConnectionRefusedError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServerError(f"{process.args!r} does not start:\n{log.read_text()}") from None
            time.sleep(POLL_S)
        else:
            return


# Watching -------------------------------------------------------------------------------------------------------


def _status(pid: int | str) -> tuple[int, list[int]]:
    """Parent, and ticks of CPU: own user and system, those of children that were waited for.  proc_pid_stat(5)"""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[1]), [int(field) for field in fields[11:15]]


def _tree(pid: int) -> dict[int, list[int]]:
    """Ticks of a process and all its descendants, by process id."""
    found: dict[int, tuple[int, list[int]]] = {}
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(FileNotFoundError, ProcessLookupError):
            found[int(name)] = _status(name)
    tree = {pid}
    grown = True
    while grown:
        more = {child for child, (parent, _) in found.items() if parent in tree} - tree
        tree |= more
        grown = bool(more)
    return {member: found[member][1] for member in tree}


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all its descendants, dead or alive."""
    return sum(map(sum, _tree(pid).values())) / TICKS_PER_S


def other_cpu_seconds(*pids: int) -> float:
    """CPU time that this machine has spent on anything but these processes and their descendants.  proc_stat(5)"""
    user, nice, system, _, _, interrupts, soft_interrupts, stolen = map(
        int, Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    )
    busy = user + nice + system + interrupts + soft_interrupts + stolen
    return busy / TICKS_PER_S - sum(map(cpu_seconds, pids))


def proportional_kib(pid: int) -> int:
    """Memory of a process and all its descendants, with shared pages counted once (PSS).  proc_pid_smaps(5)"""
    total = 0
    for member in _tree(pid):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total


def settle(pid: int, processes: int, timeout_s: float = 10) -> int:
    """Wait until a server has at most so many processes; returns how many it has."""
    deadline = time.monotonic() + timeout_s
    while len(_tree(pid)) > processes and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return len(_tree(pid))
