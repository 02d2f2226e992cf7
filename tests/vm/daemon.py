"""smbport as the daemon of a kernel's server, and that kernel's own client.  These functions run in the guest."""

import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LOG = Path("/run/daemon.log")
CONFIG = Path("/run/smbport.toml")
STATS = Path("/sys/class/ksmbd-control/stats")
START_TIMEOUT_S = 80
POLL_S = 0.05


def prepare(users: str, folders: list[str], groups: list[str]) -> None:
    """Bring the user database in, make folders to share, and system groups; the root is read-only here."""
    shutil.copy(users, "/run/users.db")
    os.chmod("/run/users.db", 0o600)
    for folder in folders:
        os.makedirs(folder)
        os.chmod(folder, 0o777)
    Path("/run/group").write_text("\n".join([Path("/etc/group").read_text().rstrip("\n"), *groups, ""]))
    subprocess.run(["mount", "--bind", "/run/group", "/etc/group"], check=True)


def start(config: str, *arguments: str) -> int:
    """Start `smbport serve`; returns its process once it serves.  What it says when it does not is an error."""
    CONFIG.write_text(config)
    before = LOG.read_text() if LOG.exists() else ""
    command = [sys.executable, "-m", "smbport", "serve", "--config", str(CONFIG), *arguments]
    with LOG.open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + START_TIMEOUT_S
    while " serves on " not in LOG.read_text().removeprefix(before):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(LOG.read_text().removeprefix(before))
        time.sleep(POLL_S)
    return process.pid


def start_mountd(program: str, config: str, password_file: str) -> int:
    """Start ksmbd.mountd, which keeps its files in /etc/ksmbd."""
    Path("/etc/ksmbd").mkdir(exist_ok=True)
    Path("/etc/ksmbd/ksmbd.conf").write_text(config)
    Path("/etc/ksmbd/ksmbdpwd.db").write_text(password_file)
    with LOG.open("ab") as log:
        process = subprocess.Popen([program, "-n"], stdout=log, stderr=log, start_new_session=True)
    await_state("running")
    return process.pid


def own_etc(accounts: list[str]) -> None:
    """An /etc that can be written, with little in it, and these accounts besides."""
    os.mkdir("/run/etc")
    for name in ("passwd", "group", "nsswitch.conf", "ld.so.cache", "hosts"):
        shutil.copy(f"/etc/{name}", "/run/etc")
    with open("/run/etc/passwd", "a") as passwd:
        passwd.writelines(f"{account}\n" for account in accounts)
    subprocess.run(["mount", "--bind", "/run/etc", "/etc"], check=True)


def get_in(port: int, rounds: int, pauses_s: list[float]) -> list[list[list[float]]]:
    """`getting_in.get_in`, from inside the machine."""
    command = [sys.executable, "-m", "tests.vm.getting_in", str(port), str(rounds), *map(str, pauses_s)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: list[list[list[float]]] = json.loads(done.stdout)
    return found


def stop(process: int) -> None:
    """End a daemon, and ksmbd with it if that runs."""
    os.kill(process, signal.SIGTERM)
    await_end(process)
    (STATS.parent / "kill_server").write_text("hard")


def cpu_s() -> float:
    """What this machine's processor has done since it was switched on, kernel included."""
    user, nice, system, _, _, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def say(*arguments: str) -> str:
    """What another command of smbport says."""
    command = [sys.executable, "-m", "smbport", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stdout + done.stderr


def send(process: int, number: int) -> None:
    os.kill(process, number)


def send_when_asked(process: int, number: int) -> None:
    """Send a signal to a process that is stopped, as soon as the kernel waits for an answer of it."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _unread(process):
        if time.monotonic() > deadline:
            raise TimeoutError("the kernel asks nothing")
    os.kill(process, number)


def _unread(process: int) -> int:
    """Bytes in the netlink sockets of a process.  Columns of /proc/net/netlink: 4 is Rmem, 9 is Inode."""
    targets = [os.readlink(descriptor) for descriptor in Path(f"/proc/{process}/fd").iterdir()]
    rows = [line.split() for line in Path("/proc/net/netlink").read_text().splitlines()[1:]]
    return sum(int(row[4]) for row in rows if f"socket:[{row[9]}]" in targets)


def reload(process: int, config: str) -> str:
    """Change the configuration; returns what the daemon says of it."""
    CONFIG.write_text(config)
    before = LOG.read_text()
    os.kill(process, signal.SIGHUP)
    said = _await_log(before, "reloaded")
    return _await_log(before, "started anew") if "clients reconnect" in said else said


def _await_log(before: str, words: str) -> str:
    deadline = time.monotonic() + START_TIMEOUT_S
    while words not in (news := LOG.read_text().removeprefix(before)):
        if time.monotonic() > deadline:
            raise TimeoutError(news)
        time.sleep(POLL_S)
    return news


def await_end(process: int) -> None:
    """Wait until a process is gone; whoever started it is, too."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while Path(f"/proc/{process}").exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{process} goes on")
        time.sleep(POLL_S)


def await_state(*states: str) -> str:
    """Wait until the kernel's server is in one of these states."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while (state := STATS.read_text().split()[1]) not in states:
        if time.monotonic() > deadline:
            raise TimeoutError(state)
        time.sleep(POLL_S)
    return state


def listens() -> bool:
    try:
        socket.create_connection(("127.0.0.1", 445), timeout=5).close()
    except OSError:
        return False
    return True


def log() -> str:
    return LOG.read_text()


def mode_and_owner(path: str) -> list[int]:
    """Without the bits of the group: newer kernels give files an ACL, whose mask stands there."""
    found = os.stat(path)
    return [found.st_mode & 0o707, found.st_uid, found.st_gid]


def chown(path: str, uid: int, gid: int, mode: int) -> None:
    os.chown(path, uid, gid)
    os.chmod(path, mode)


def make_folder(path: str) -> None:
    os.mkdir(path)
    os.chmod(path, 0o777)


def remove_folder(path: str) -> None:
    os.rmdir(path)


def remove(path: str) -> None:
    os.unlink(path)


def mount(share: str, folder: str, password: str, protection: str = "sec=ntlmssp") -> str:
    """Mount with the kernel's own client; what mount.cifs complains of."""
    os.makedirs(folder, exist_ok=True)
    options = f"vers=3.1.1,username=tester,noperm,{protection}"
    command = ["mount.cifs", f"//127.0.0.1/{share}", folder, "-n", "-o", options]
    done = subprocess.run(command, env=os.environ | {"PASSWD": password}, capture_output=True, text=True)
    return done.stderr if done.returncode else ""


def unmount(folder: str) -> None:
    subprocess.run(["umount", "-n", folder], check=True)


def write_read(folder: str, size: int) -> list[str]:
    """Write, read and list through a mount."""
    data = os.urandom(size)
    path = Path(folder, "file")
    with path.open("wb") as file:
        file.write(data)
        os.fsync(file.fileno())
    assert path.read_bytes() == data
    path.rename(Path(folder, "renamed"))
    return sorted(os.listdir(folder))


def hold(path: str) -> None:
    """Keep a file open, and write to it once a second until /run/let-go is there."""
    with open(path, "w") as file:
        number = 0
        while not os.path.exists("/run/let-go"):
            file.write(f"{number}\n")
            file.flush()
            os.fsync(file.fileno())
            number += 1
            with contextlib.suppress(InterruptedError):
                time.sleep(0.2)
        file.write("end\n")


def let_go() -> None:
    Path("/run/let-go").touch()


def use_path(path: str, method: str, arguments: list[Any]) -> Any:
    """A method of `pathlib.Path`.  Bytes are {"bytes": base64} on their way here, and base64 on their way back."""
    given = [base64.b64decode(each["bytes"]) if isinstance(each, dict) else each for each in arguments]
    result = getattr(Path(path), method)(*given)
    if isinstance(result, bytes):
        return base64.b64encode(result).decode()
    if isinstance(result, os.stat_result):
        return {name: getattr(result, name) for name in dir(result) if name.startswith("st_")}
    if method in ("iterdir", "rglob"):
        return [str(each) for each in result]
    return result if isinstance(result, bool) else None


def read_piece(path: str, offset: int, size: int) -> str:
    with open(path, "rb") as file:
        return base64.b64encode(os.pread(file.fileno(), size, offset)).decode()


def empty(path: str) -> None:
    for each in Path(path).iterdir():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()


def remove_served() -> None:
    for path in Path("/run").glob("served-*"):
        shutil.rmtree(path)


def read_text(path: str) -> str:
    return Path(path).read_text()
