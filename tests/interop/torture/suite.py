"""smbtorture, as this machine has it and as Debian's backports have it.

The newer suite is never installed: its packages are unpacked into the cache and run from there with their own
libraries.  Only Debian 12 has these backports; elsewhere the leaves that need it are left out, and pytest says why.

Not in the table, and so not run: benchmarks (smb2.bench.*, smb2.create.bench-*), what waits for a person
(smb2.hold-*, smb2.check-sharemode), and rpc.lsa.secrets.*, which are a domain controller's.  smb2.ioctl.compress_* and
dup_extents_* are run on a btrfs, where root can mount one.
"""

import fcntl
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.backports import BackportsMissing, codename, run, use_backports

__all__ = ["NEWER", "Suite", "SuiteMissing", "find_suite", "outcome"]

NEWER: Final = "4.22"  # what the table calls the suite of the backports
RELEASE: Final = "bookworm-backports"
PACKAGES: Final = (
    "samba-testsuite", "samba-libs", "samba-ad-dc", "python3-samba", "python3-ldb", "winbind", "libldb2", "libtalloc2",
    "libtdb1", "libtevent0", "libsmbclient", "libwbclient0",
)  # fmt: skip
CACHE: Final = Path(os.environ.get("SMBPORT_CACHE") or Path(__file__).parents[3] / ".cache") / "samba-testsuite"


class SuiteMissing(Exception):
    """There is no such suite to be had here; the text says why."""


@dataclass(frozen=True)
class Suite:
    """A program, and what it needs in its environment."""

    program: str
    environment: Mapping[str, str]

    def run(self, address: str, port: int, user: str, leaf: str, *options: str, patience_s: float) -> str:
        """Run one leaf test on the share //HOST/NAME as NAME%PASSWORD; returns what it said."""
        command = [self.program, address, "-p", str(port), "-U", user, *options, leaf]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=patience_s, check=False,
            env=os.environ | dict(self.environment), stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.stdout + done.stderr


def outcome(output: str, name: str) -> str:
    """How a leaf ended, from smbtorture's own words; those of RPC say the name of their table first."""
    leaf = r"(?:.*\.)?" + re.escape(name.rpartition(".")[2])
    for word, result in (("success", "pass"), ("failure", "fail"), ("error", "fail"), ("skip", "skip")):
        if re.search(rf"^{word}: {leaf}(\s|$)", output, re.MULTILINE):
            return result
    return "fail"


def find_suite(version: str) -> Suite:
    """The suite of that name in the table.  Raises SuiteMissing."""
    if version != NEWER:
        program = shutil.which("smbtorture")
        if program is None:
            raise SuiteMissing("smbtorture is not installed (samba-testsuite)")
        return Suite(program, {})
    CACHE.mkdir(parents=True, exist_ok=True)
    with _locked(CACHE / "lock"):
        root = CACHE / RELEASE
        if not root.is_dir():
            _fetch(root)
    libraries = root / "usr" / "lib" / f"{platform.machine()}-linux-gnu"
    return Suite(str(root / "usr" / "bin" / "smbtorture"), {"LD_LIBRARY_PATH": f"{libraries}:{libraries / 'samba'}"})


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Several test runs share the cache; only one of them fills it."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(root: Path) -> None:
    if codename() != "bookworm":
        raise SuiteMissing(f"smbtorture {NEWER} is fetched from {RELEASE}, and this is another system")
    work = CACHE / "work"  # renamed when it is complete: an interrupted run leaves nothing that looks whole
    shutil.rmtree(work, ignore_errors=True)
    for folder in ("apt", "packages", "root"):
        (work / folder).mkdir(parents=True)
    try:
        options = use_backports(work / "apt")
        run(["apt-get", *options, "download", "-q", *(f"{name}/{RELEASE}" for name in PACKAGES)], work / "packages")
        for archive in (work / "packages").glob("*.deb"):
            run(["dpkg-deb", "-x", str(archive), str(work / "root")], work)
    except BackportsMissing as error:
        raise SuiteMissing(str(error)) from None
    (work / "root").rename(root)
    shutil.rmtree(work)
