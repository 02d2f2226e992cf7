"""The server in the kernel beside its usual daemon, and beside the server in user space: the same machine, three ways.

    python -m tests.vm.beside [--kernel 6.12|7.3] leaves         leaf tests of smbtorture: under mountd, under smbport
    python -m tests.vm.beside [--kernel 6.12|7.3] getting-in     log-on and connecting: mountd and smbport by turns
    python -m tests.vm.beside [--kernel 6.12|7.3] data           moving data: user space and kernel

Run by hand; docs/porting/linux-kernel.md has what came out.  All is emulated: only ratios mean something.  With
--counted the clock of the machine, which then has one processor, counts its instructions, and how busy this computer is
makes no difference.
"""

import argparse
import base64
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from smbport.security.auth import nt_hash
from smbport.testing.client import Client, SocketLink
from smbport.users import UserStore
from smbport.wire.constants import Access, CreateDisposition, Dialect
from smbport.wire.status import StatusError
from tests.vm import daemon
from tests.vm.getting_in import PASSWORD, USER, get_in
from tests.vm.kernel import find_package
from tests.vm.machines import SERVERS, server_machine

LEAF_TIMEOUT_S: Final = 16  # many that fail wait for what never comes; maxfid takes longer, see --patience
GROUPS: Final = (
    "acls", "charset", "compound", "compound_async", "compound_find", "connect", "create", "credits",
    "delete-on-close-perms", "deny", "dir", "durable-open", "durable-v2-open", "ea", "fileid", "getinfo", "ioctl",
    "ioctl-on-stream", "lease", "lock", "maxfid", "mkdir", "openattr", "oplock", "read", "rename", "rw", "sdread",
    "session", "session-id", "setinfo", "sharemode", "streams", "tcon", "timestamps", "winattr",
)  # fmt: skip
TURNS: Final = 4
ROUNDS: Final = 20  # in each turn
PAUSES_S: Final = [0.0, 0.1]
SMB_PORT: Final = 445
PROCESSORS: Final = 2  # as any server has; a single one takes turns with the kernel
DATA: Final = "/run/data"
DATA_MIB: Final = 16
FILES: Final = 400
LISTINGS: Final = 5

# The same settings in two languages.
SMBPORT: Final = """\
[server]
platform = "{platform}"
listen = [":445"]
users = "/run/users.db"
signing = "{signing}"
anonymous = "ipc-only"
[limits]
{limits}
[share.share]
path = "/run/data"
create_mask = "0755"
directory_mask = "0755"
"""
LIMITS: Final = {
    "linux": "failed_logon_delay_s = 0",
    "linux-kernel": "opens = 10000\nopens_per_session = 10000",  # more mountd does not allow
}
MOUNTD: Final = """\
[global]
netbios name = SMBPORT
server signing = auto
smb2 leases = yes
durable handles = yes
server multi channel support = yes
share:fake_fscaps = 0
max connections = 1024
[share]
path = /run/data
read only = no
create mask = 0755
directory mask = 0755
oplocks = yes
store dos attributes = yes
hide dot files = no
vfs objects = streams_xattr
"""


# The servers -----------------------------------------------------------------------------------------------------


class Beside:
    """One machine, and what serves on it at the moment."""

    def __init__(self, kernel: str, folder: Path, *, processors: int = PROCESSORS, counted: bool = False) -> None:
        self._counted = counted
        with socket.create_server(("127.0.0.1", 0)) as sock:
            self.port = int(sock.getsockname()[1])
        self._mountd = find_package("ksmbd-tools", "bookworm") / "usr/sbin/ksmbd.mountd"
        if counted:
            processors = 1
        self.machine = server_machine(folder, SERVERS[kernel], self.port, processors=processors, counted=counted)
        users = folder / "users.db"
        with UserStore.open(users, create=True) as store:
            store.add(USER, PASSWORD)
        self.machine.call(daemon.own_etc, [f"{USER}:x:1000:1000::/:/bin/sh"])
        self.machine.call(daemon.prepare, str(users), [DATA], [])

    @contextmanager
    def mountd(self) -> Iterator[None]:
        line = f"{USER}:{base64.b64encode(nt_hash(PASSWORD)).decode()}\n"
        process = self.machine.call(daemon.start_mountd, str(self._mountd), MOUNTD, line)
        yield
        self.machine.call(daemon.stop, process)

    @contextmanager
    def smbport(self, platform: str = "linux-kernel", signing: str = "offered") -> Iterator[None]:
        config = SMBPORT.format(platform=platform, signing=signing, limits=LIMITS[platform])
        process = self.machine.call(daemon.start, config)
        yield
        self.machine.call(daemon.stop, process)

    def client(self, *, signed: bool = False) -> Client:
        """3.1.1 if it signs; else 3.0.2, in which nothing must be signed."""
        client = Client(SocketLink.connect("127.0.0.1", self.port))
        client.negotiate([Dialect.SMB_3_1_1 if signed else Dialect.SMB_3_0_2])
        client.log_on(USER, PASSWORD)
        client.sign = signed
        return client

    def get_in(self) -> list[list[list[float]]]:
        """See `getting_in`; where time is counted, from inside the machine."""
        if self._counted:
            return self.machine.call(daemon.get_in, SMB_PORT, ROUNDS, PAUSES_S)
        return get_in(self.port, ROUNDS, PAUSES_S)


# Leaf tests ------------------------------------------------------------------------------------------------------


def run_leaves(beside: Beside, groups: Sequence[str], timeout_s: float) -> None:
    listed = subprocess.run(["smbtorture", "--list"], capture_output=True, text=True, check=True).stdout
    leaves = [leaf for leaf in listed.split() if re.match(rf"smb2\.({'|'.join(groups)})(\.|$)", leaf)]
    with beside.mountd():
        theirs = _passed(beside, leaves, timeout_s)
    with beside.smbport():
        ours = _passed(beside, leaves, timeout_s)
    print(f"{len(leaves)} leaves: {len(theirs)} pass under mountd, {len(ours)} under smbport")
    for leaf in sorted(theirs ^ ours):
        print(f"  {leaf}: only under {'mountd' if leaf in theirs else 'smbport'}")


def _passed(beside: Beside, leaves: Sequence[str], timeout_s: float) -> set[str]:
    found = set()
    for leaf in leaves:
        beside.machine.call(daemon.empty, DATA)  # none finds what another one left
        command = ["smbtorture", "//127.0.0.1/share", "-p", str(beside.port), "-U", f"{USER}%{PASSWORD}", leaf]
        try:
            done = subprocess.run(command, capture_output=True, timeout=timeout_s, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            continue
        if re.search(rb"^success: ", done.stdout, re.MULTILINE):
            found.add(leaf)
    return found


# Figures ---------------------------------------------------------------------------------------------------------


def take_getting_in(beside: Beside, turns: int) -> None:
    """By turns, so that a busy computer is equally bad for both; one log-on right after the other, and with pauses."""
    found: dict[tuple[str, float, int], list[float]] = {}
    daemons = (("mountd", beside.mountd), ("smbport", beside.smbport))
    for turn in range(turns):
        for name, serve in daemons if turn % 2 else reversed(daemons):
            with serve():
                for pause_s, times in zip(PAUSES_S, beside.get_in(), strict=True):
                    for number, all_s in enumerate(zip(*times, strict=True)):
                        found.setdefault((name, pause_s, number), []).extend(all_s)
    for number, what in enumerate(("log-on", "connecting to a share")):
        for pause_s in PAUSES_S:
            theirs, ours = (found[name, pause_s, number] for name, _ in daemons)
            ratio = statistics.median(ours) / statistics.median(theirs)
            print(f"{what}, {pause_s:g} s after the last: mountd {_in_ms(theirs)}, smbport {_in_ms(ours)}, {ratio:.2f}")


def _in_ms(all_s: Sequence[float]) -> str:
    low, middle, high = (each * 1000 for each in statistics.quantiles(all_s, n=4))
    return f"{middle:.2f} ms ({low:.2f} to {high:.2f}, {len(all_s)} times)"


def take_data(beside: Beside) -> None:
    for signed in (False, True):
        for platform in ("linux", "linux-kernel"):
            with beside.smbport(platform):
                for what, wall_s, cpu_s in _moving(beside, signed):
                    sort = "signed" if signed else "unsigned"
                    print(f"{platform}, {sort}, {what}: {wall_s:.2f} s, processor {cpu_s:.2f} s")


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _moving(beside: Beside, signed: bool) -> Iterator[tuple[str, float, float]]:
    """What is done, how long it takes, and for how long the machine's processor is busy with it."""
    client = beside.client(signed=signed)
    tree = client.tree_connect("share")
    everything = Access.GENERIC_READ | Access.GENERIC_WRITE
    file = client.create(tree, "big", access=everything, disposition=CreateDisposition.OVERWRITE_IF)
    piece = bytes(range(256)) * 4096
    names = [f"{number:05}" for number in range(FILES)]
    for name in names:
        client.close(client.create(tree, name, access=everything, disposition=CreateDisposition.OPEN_IF))

    def write() -> None:
        for number in range(DATA_MIB):
            client.write(file, number << 20, piece)

    def read() -> None:
        for number in range(DATA_MIB):
            assert client.read(file, number << 20, 1 << 20) == piece

    def list_names() -> None:
        for _ in range(LISTINGS):
            _list(client, tree)

    for what, work in (("write", write), ("read", read), ("list", list_names)):
        before = beside.machine.call(daemon.cpu_s)
        wall_s = _timed(work)
        yield what, wall_s, beside.machine.call(daemon.cpu_s) - before
    client.link.close()


def _list(client: Client, tree: int) -> None:
    directory = client.create(tree, "", access=Access.GENERIC_READ)
    with suppress(StatusError):  # NO_MORE_FILES
        while True:
            client.query_directory(directory, "*")
    client.close(directory)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.vm.beside", description=__doc__.partition("\n")[0])
    parser.add_argument("--kernel", choices=SERVERS, default="7.3")
    parser.add_argument("--groups", nargs="+", default=GROUPS, metavar="GROUP", help="of leaf tests, as create")
    parser.add_argument("--patience", type=float, default=LEAF_TIMEOUT_S, metavar="SECONDS", help="with each leaf test")
    parser.add_argument("--counted", action="store_true", help="count instructions instead of time (getting-in)")
    parser.add_argument("--processors", type=int, default=PROCESSORS, metavar="NUMBER", help="of the machine")
    parser.add_argument("--turns", type=int, default=TURNS, metavar="NUMBER", help="of each daemon (getting-in)")
    parser.add_argument("what", choices=("leaves", "getting-in", "data"))
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        beside = Beside(options.kernel, Path(folder), processors=options.processors, counted=options.counted)
        with beside.machine:
            if options.what == "leaves":
                run_leaves(beside, options.groups, options.patience)
            elif options.what == "getting-in":
                take_getting_in(beside, options.turns)
            else:
                take_data(beside)


if __name__ == "__main__":
    main(sys.argv[1:])
