"""The server in the kernel beside its usual daemon, and beside the server in user space: the same machine, three ways.

    python -m tests.vm.beside [--kernel 6.12|7.3] leaves      leaf tests of smbtorture: under mountd, under smbport
    python -m tests.vm.beside [--kernel 6.12|7.3] figures     log-on, connecting, moving data

Run by hand; docs/porting/linux-kernel.md has what came out.  All is emulated: only ratios mean something.
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
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from smbport.security.auth import nt_hash
from smbport.testing.client import Client, SocketLink
from smbport.users import UserStore
from smbport.wire.constants import Access, CreateDisposition, Dialect
from smbport.wire.status import StatusError
from tests.vm import daemon
from tests.vm.kernel import find_package
from tests.vm.machines import SERVERS, server_machine

USER: Final = "tester"
PASSWORD: Final = "open-sesame"
LEAF_TIMEOUT_S: Final = 40
GROUPS: Final = (
    "compound", "create", "credits", "getinfo", "maxfid", "mkdir", "read", "rename", "session", "setinfo", "sharemode",
    "streams", "tcon",
)  # fmt: skip
ROUNDS: Final = 40
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

    def __init__(self, kernel: str, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            self.port = int(sock.getsockname()[1])
        self._mountd = find_package("ksmbd-tools", "bookworm") / "usr/sbin/ksmbd.mountd"
        self.machine = server_machine(folder, SERVERS[kernel], self.port)
        users = folder / "users.db"
        with UserStore.open(users, create=True) as store:
            store.add(USER, PASSWORD)
        self.machine.call(daemon.own_etc, [f"{USER}:x:1000:1000::/:/bin/sh"])
        self.machine.call(daemon.prepare, str(users), ["/run/data"], [])

    @contextmanager
    def mountd(self) -> Iterator[None]:
        line = f"{USER}:{base64.b64encode(nt_hash(PASSWORD)).decode()}\n"
        process = self.machine.call(daemon.start_mountd, str(self._mountd), MOUNTD, line)
        yield
        self.machine.call(daemon.stop, process)

    @contextmanager
    def smbport(self, platform: str = "linux-kernel", signing: str = "offered") -> Iterator[None]:
        limits = "failed_logon_delay_s = 0" if platform == "linux" else ""
        config = SMBPORT.format(platform=platform, signing=signing, limits=limits)
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


# Leaf tests ------------------------------------------------------------------------------------------------------


def run_leaves(beside: Beside, groups: Sequence[str]) -> None:
    listed = subprocess.run(["smbtorture", "--list"], capture_output=True, text=True, check=True).stdout
    leaves = [leaf for leaf in listed.split() if re.match(rf"smb2\.({'|'.join(groups)})(\.|$)", leaf)]
    with beside.mountd():
        theirs = _passed(beside, leaves)
    with beside.smbport():
        ours = _passed(beside, leaves)
    print(f"{len(leaves)} leaves: {len(theirs)} pass under mountd, {len(ours)} under smbport")
    for leaf in sorted(theirs ^ ours):
        print(f"  {leaf}: only under {'mountd' if leaf in theirs else 'smbport'}")


def _passed(beside: Beside, leaves: Sequence[str]) -> set[str]:
    found = set()
    for leaf in leaves:
        command = ["smbtorture", "//127.0.0.1/share", "-p", str(beside.port), "-U", f"{USER}%{PASSWORD}", leaf]
        try:
            done = subprocess.run(command, capture_output=True, timeout=LEAF_TIMEOUT_S, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            continue
        if re.search(rb"^success: ", done.stdout, re.MULTILINE):
            found.add(leaf)
    return found


# Figures ---------------------------------------------------------------------------------------------------------


def take_figures(beside: Beside) -> None:
    """Getting in, by turns so that a busy computer is equally bad for both; then moving data."""
    theirs, ours = [], []
    for _ in range(3):
        with beside.mountd():
            theirs.append(_getting_in(beside))
        with beside.smbport():
            ours.append(_getting_in(beside))
    for number, what in enumerate(("log-on", "connecting to a share")):
        mountd, smbport = (statistics.median(each[number] for each in side) for side in (theirs, ours))
        print(f"{what}: mountd {mountd * 1000:.1f} ms, smbport {smbport * 1000:.1f} ms, {smbport / mountd:.1f} times")
    for signed in (False, True):
        for platform in ("linux", "linux-kernel"):
            with beside.smbport(platform):
                for what, wall_s, cpu_s in _moving(beside, signed):
                    sort = "signed" if signed else "unsigned"
                    print(f"{platform}, {sort}, {what}: {wall_s:.2f} s, processor {cpu_s:.2f} s")


def _getting_in(beside: Beside) -> tuple[float, float]:
    """Seconds for a log-on and for connecting to a share, the median of some."""
    logons, connects = [], []
    for _ in range(ROUNDS):
        client = Client(SocketLink.connect("127.0.0.1", beside.port))
        with closing(client.link):
            client.negotiate([Dialect.SMB_3_0_2])
            logons.append(_timed(lambda client=client: client.log_on(USER, PASSWORD)))
            connects.append(_timed(lambda client=client: client.tree_connect("share")))
    return statistics.median(logons), statistics.median(connects)


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
    parser.add_argument("what", choices=("leaves", "figures"))
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        beside = Beside(options.kernel, Path(folder))
        with beside.machine:
            if options.what == "leaves":
                run_leaves(beside, options.groups)
            else:
                take_figures(beside)


if __name__ == "__main__":
    main(sys.argv[1:])
