"""How servers for foreign clients are started: on this system, under the personality of another one, or in a kernel.

$SMBPORT_TEST_PLATFORM names one of LAUNCHERS; this is the only place that reads it.  What a personality cannot do is
in `personalities.tsv`: platforms (separated by commas), test, why it must fail there, and "never" if it is not even
run, because it would wait for what never comes.
"""

import atexit
import csv
import fnmatch
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from tests.platforms.freebsd.standin import RELEASES, CannotBuild, build

__all__ = ["LAUNCHERS", "Difference", "Launcher", "LauncherMissing", "chosen", "differences", "find_launcher"]

PLATFORMS: Final = Path(__file__).parents[1] / "platforms"
TABLE: Final = Path(__file__).with_name("personalities.tsv")
PYTHON: Final = (sys.executable, "-W", "always::ResourceWarning")  # tells of everything that was not closed


class LauncherMissing(Exception):
    """Servers cannot be started like this here; the text says why."""


@dataclass(frozen=True)
class Launcher:
    """What to run."""

    platform: str  # for --platform
    command: Sequence[str] = (*PYTHON, "-m", "smbport")  # what the arguments of `smbport` are added to
    environment: Mapping[str, str] = field(default_factory=dict)
    backports_of: str = ""  # the Debian release whose backports have the kernel to boot, if the data is in one


class Difference(NamedTuple):
    """A test that cannot pass under some personalities."""

    platforms: str  # names of LAUNCHERS, separated by commas
    test: str  # FILE::NAME, with * and ?
    reason: str
    run: str  # always or never

    def concerns(self, name: str, test: str) -> bool:
        """Whether a test must fail on a platform."""
        return name in self.platforms.split(",") and fnmatch.fnmatchcase(test, self.test)


@cache
def differences() -> list[Difference]:
    """The table."""
    with TABLE.open(newline="") as table:
        return [Difference(*row) for row in csv.reader(table, delimiter="\t")]


def personality(port: str, file: str, environment: Mapping[str, str]) -> Launcher:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise LauncherMissing("personalities take x86_64 Linux")
    command = (*PYTHON, str(PLATFORMS / "without_linux.py"), "enosys", str(PLATFORMS / file))
    return Launcher(port, command, environment)


@cache
def workshop() -> Path:
    """A directory for libraries, for as long as this process runs."""
    path = Path(tempfile.mkdtemp(prefix="smbport-stand-in-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def freebsd(release: int) -> Launcher:
    try:
        library = build(workshop(), release)
    except CannotBuild as error:
        raise LauncherMissing(str(error)) from None
    environment = {"SMBPORT_FREEBSD_STAND_IN": str(library), "SMBPORT_FREEBSD_RELEASE": str(release)}
    return personality("freebsd", "freebsd/freebsd.py", environment)


def qnx() -> Launcher:
    if shutil.which("gcc") is None:
        raise LauncherMissing("gcc is not installed")
    library = workshop() / "qnx8.so"
    command = ["gcc", "-std=c11", "-shared", "-fPIC", "-o", library, PLATFORMS / "qnx/stand_in.c"]
    subprocess.run(command, check=True)
    return personality("qnx", "qnx/qnx8.py", {"SMBPORT_QNX_STAND_IN": str(library)})


LAUNCHERS: Final[Mapping[str, Callable[[], Launcher]]] = {
    "linux": lambda: Launcher("linux"),
    "posix": lambda: personality("posix", "bare_posix.py", {}),
    **{f"freebsd{release}-model": lambda release=release: freebsd(release) for release in RELEASES},
    "qnx8-model": qnx,
    "linux-kernel-6.12": lambda: Launcher("linux-kernel", backports_of="bookworm"),
    "linux-kernel-7.3": lambda: Launcher("linux-kernel", backports_of="trixie"),
}


@cache
def find_launcher() -> Launcher:
    """How to start servers on the platform that was asked for.  Raises LauncherMissing."""
    return LAUNCHERS[chosen()]()


@cache
def chosen() -> str:
    """The platform that was asked for."""
    name = os.environ.get("SMBPORT_TEST_PLATFORM", "linux")
    if name not in LAUNCHERS:
        raise ValueError(f"SMBPORT_TEST_PLATFORM is {name!r}, which is none of {', '.join(LAUNCHERS)}")
    return name
