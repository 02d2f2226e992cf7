"""The servers under test: started with equal settings on directories of their own."""

import getpass
import importlib.util
import os
import re
import resource
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

from smbport.wire.constants import Dialect

__all__ = [
    "IMPACKET_LACKS", "INTERPRETED", "PLATFORMS", "PLATFORM_LACKS", "SERVERS", "Server", "ServerError", "Start",
    "allow_files", "smbport", "starter",
]  # fmt: skip

HOST: Final = "127.0.0.1"
SHARE: Final = "bench"
START_TIMEOUT_S: Final = 30
STOP_TIMEOUT_S: Final = 60
ORPHANS_TIMEOUT_S: Final = 3
POLL_S: Final = 0.02
FILES: Final = 160_000  # 100,000 opens, connections besides, and what a server keeps for itself
INTERPRETED: Final = "smbport/interpreted"  # beside the compiled one
COMPILED: Final = "(compiled)"  # in what `--version` says

PLATFORMS: Final = ("linux", "posix", "memory")  # those of smbport that are measured here


class ServerError(Exception):
    """A server cannot be had; the first line says why."""


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs."""

    name: str
    version: str
    port: int
    pid: int
    user: str
    password: str
    path: Path | None  # of the share, if it is in a file system
    dialect: int = Dialect.SMB_3_1_1
    lacks: Mapping[str, str] = field(default_factory=dict)  # globs of rows, and why this server has none of them
    host: str = HOST
    share: str = SHARE
    python: str | None = None  # the interpreter of a compiled smbport


# Gets a directory to keep everything in, and the path to share, which without it is a new one below the directory.
Start = Callable[[Path, Path | None], AbstractContextManager[Server]]


# Settings -------------------------------------------------------------------------------------------------------

SMBPORT_SETTINGS: Final = """\
[server]
listen = ["{host}:{port}"]
signing = "offered"
log = "warning"
[limits]
connections = 8192
connections_per_address = 8192
unauthenticated_per_address = 128
sessions = 8192
opens = 131072
opens_per_session = 131072
locks_per_open = 131072
locks_per_file = 131072
[share.{share}]
path = "{path}"
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
max open files = 131072
posix locking = no
strict sync = yes
sync always = no
[{share}]
path = {path}
read only = no
"""


PLATFORM_LACKS: Final = {
    "memory": {"cold-*": "it has no disk"},
    "posix": {"leases-*": "it cannot watch what others change, and grants no leases that would go stale"},
}


# Starting -------------------------------------------------------------------------------------------------------


@contextmanager
def smbport(
    directory: Path, path: Path | None = None, platform: str = "linux", *, name: str = "smbport",
    python: str | None = None, profile: Path | None = None,
) -> Iterator[Server]:  # fmt: skip
    """This checkout's server; or the compiled one that is installed for another interpreter.

    With `profile`, it writes one there, see `benchmarks.profiled_server`.
    """
    here = directory if python else None  # not where it would import the checkout from
    run = [python or sys.executable, "-m"]
    number = _output([*run, "smbport", "--version"], cwd=here).removeprefix("smbport").strip()
    if COMPILED not in number:
        if here:
            raise ServerError(f"the smbport of {python} is not compiled")
        number += " (interpreted)"
    home, port, user, password = _home(directory, name), _free_port(), getpass.getuser(), secrets.token_hex(8)
    share, settings = path or _share(home), home / "smbport.toml"
    settings.write_text(SMBPORT_SETTINGS.format(host=HOST, port=port, share=SHARE, path=share))
    program = ["smbport"] if profile is None else ["benchmarks.profiled_server", str(profile)]
    command = [*run, *program, "serve", "--config", str(settings), "--platform", platform, "--user", user]
    with _running(command, home / "output", port, password + "\n", cwd=here) as pid:
        shown, lacks = None if platform == "memory" else share, PLATFORM_LACKS.get(platform, {})
        yield Server(name, number, port, pid, user, password, shown, lacks=lacks, python=python)


@contextmanager
def samba(directory: Path, path: Path | None = None) -> Iterator[Server]:
    """The installed smbd, with everything it keeps in `directory`."""
    smbd = shutil.which("smbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/samba/sbin")
    if smbd is None or shutil.which("pdbedit") is None:
        raise ServerError("Samba's smbd and pdbedit are not installed")
    if os.geteuid():
        raise ServerError("smbd must be started by root")
    number = _output([smbd, "--version"]).split()[-1]
    home, port, user, password = _home(directory, "smbd"), _free_port(), getpass.getuser(), secrets.token_hex(8)
    share, state, settings = path or _share(home), home / "state", home / "smb.conf"
    state.mkdir()
    settings.write_text(SAMBA_SETTINGS.format(host=HOST, port=port, share=SHARE, path=share, state=state))
    _output(["pdbedit", "-s", str(settings), "-a", "-t", "-u", user], input=f"{password}\n{password}\n")
    command = [smbd, "--foreground", "--no-process-group", "-s", str(settings)]
    with _running(command, home / "output", port, "") as pid:
        yield Server("smbd", number, port, pid, user, password, share)


OLD_DIALECT: Final = "it speaks dialect 2.0.2 only, which does not have that"
IMPACKET_LACKS: Final = {
    "*/gmac": OLD_DIALECT,
    "*/cmac": OLD_DIALECT,
    "*/gcm": OLD_DIALECT,
    "*/ccm": OLD_DIALECT,
    "*-1m/*": "it reads and writes 64 KiB at a time",
    "leases-*": OLD_DIALECT,
    "locks-*": "it answers LOCK with success and locks nothing",
    "list-10000/*": "it reads the directory anew for each 64 KiB: the time grows with the square",
    "list-100000/*": "it reads the directory anew for each 64 KiB: the time grows with the square",
    "torture-*": "smbtorture's benchmarks need a newer dialect",
}


@contextmanager
def impacket(directory: Path, path: Path | None = None) -> Iterator[Server]:
    """impacket's smbserver, as it is installed for this interpreter."""
    if importlib.util.find_spec("impacket") is None:
        raise ServerError(f"impacket is not installed for {sys.executable}")
    home, port, user, password = _home(directory, "impacket"), _free_port(), getpass.getuser(), secrets.token_hex(8)
    share = path or _share(home)
    command = [sys.executable, "-m", "benchmarks.impacket_server", str(port), SHARE, str(share), user]
    with _running(command, home / "output", port, password + "\n") as pid:
        yield Server(
            "impacket", version("impacket"), port, pid, user, password, share,
            dialect=Dialect.SMB_2_0_2, lacks=IMPACKET_LACKS,
        )  # fmt: skip


SERVERS: Final[dict[str, Start]] = {"smbport": smbport, "smbd": samba, "impacket": impacket}


def starter(name: str, python: str | None = None) -> Start:
    """What starts the server that the report calls so; `python` makes `smbport` the compiled one that is there."""
    if name == "smbport":
        return partial(smbport, python=python)
    if name == INTERPRETED:
        return partial(smbport, name=name)
    return SERVERS[name] if name in SERVERS else partial(smbport, name=name, platform=name.removeprefix("smbport/"))


def allow_files() -> int:
    """Let this process and the servers have as many files open as the system allows; returns how many that is.

    Who may raise the limit (CAP_SYS_RESOURCE) does, to what the largest row needs.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < FILES:
        with suppress(ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
            return FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


# Processes ------------------------------------------------------------------------------------------------------


def _home(directory: Path, name: str) -> Path:
    home = directory / re.sub(r"\W", "-", name)
    home.mkdir()
    return home


def _share(home: Path) -> Path:
    share = home / "share"
    share.mkdir()
    return share


def _output(command: Sequence[str], input: str = "", cwd: Path | None = None) -> str:
    done = subprocess.run(
        command, input=input, capture_output=True, text=True, check=False, cwd=cwd, env=_environment(cwd)
    )
    if done.returncode:
        raise ServerError(f"{command[0]} fails\n{done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as sock:
        return int(sock.getsockname()[1])


def _environment(cwd: Path | None) -> Mapping[str, str]:
    """Elsewhere, nothing is imported from where this process imports."""
    return {name: value for name, value in os.environ.items() if cwd is None or name != "PYTHONPATH"}


@contextmanager
def _running(command: Sequence[str], log: Path, port: int, input: str, cwd: Path | None = None) -> Iterator[int]:
    """The process id of a server while it runs; it listens on `port` from the beginning."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if input else subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=cwd,
            env=_environment(cwd),
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
                raise ServerError(f"it does not start\n{log.read_text()}") from None
            time.sleep(POLL_S)
        else:
            return
