"""FreeBSD 13, 14 and 15 as far as they can be had on Linux: the port over a stand-in for FreeBSD's C library."""

import ctypes
import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from smbport_freebsd.calls import Calls
from smbport_freebsd.platform import FreeBSDPlatform, probe

HERE = Path(__file__).parent
ROWS = [line.split("\t") for line in (HERE / "abi.tsv").read_text().splitlines()]
NUMBERS = {name: int(value) for kind, name, value in ROWS if kind == "constant"}
ERRORS = {name: number for name, number in NUMBERS.items() if hasattr(errno, name)}
TO_LINUX = {number: getattr(errno, name) for name, number in ERRORS.items()}
RELEASES = (13, 14, 15)


class Library:
    """The stand-in's own functions; ctypes would find those of Linux' C library behind them, too."""

    def __init__(self, path: Path) -> None:
        listed = subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True, text=True, check=True)
        self._names = {line.split()[-1] for line in listed.stdout.splitlines()}
        self.loaded = ctypes.CDLL(str(path), use_errno=True)

    def __getattr__(self, name: str) -> Callable[..., int]:
        if name not in self._names:
            raise AttributeError(name)
        return self.loaded[name]


class StandIn(Calls):
    """The calls over the stand-in, whose errors have FreeBSD's numbers, as Python has Linux' here."""

    def __init__(self, library: Library) -> None:
        super().__init__(library)  # type: ignore[arg-type]
        self.library = library.loaded

    def failure(self, number: int) -> OSError:
        known = TO_LINUX.get(number)
        return super().failure(number) if known is None else OSError(known, os.strerror(known))

    @contextmanager
    def splitting(self, limit: int, *, interrupted: bool = False) -> Iterator[None]:
        """No call moves more than `limit` bytes."""
        split = ctypes.c_long.in_dll(self.library, "standin_split")
        interrupts = ctypes.c_int.in_dll(self.library, "standin_interrupts")
        split.value, interrupts.value = limit, interrupted
        try:
            yield
        finally:
            split.value = interrupts.value = 0

    @contextmanager
    def on(self, file_system: bytes, *, local: bool = True) -> Iterator[None]:
        """Everything is on a file system of this type."""
        name = (ctypes.c_char * 16).in_dll(self.library, "standin_fstypename")
        is_local = ctypes.c_int.in_dll(self.library, "standin_local")
        name.value, is_local.value = file_system, local
        try:
            yield
        finally:
            name.value, is_local.value = b"ufs", True


def make_header() -> str:
    lines = [f"#define F_{name} ({value})" for name, value in NUMBERS.items()]
    lines += [f"#define F_SIZE_{name.split()[1]} {value}" for kind, name, value in ROWS if kind == "size"]
    for kind, name, value in ROWS:
        if kind == "field":
            _, structure, field = name.split()
            lines.append(f"#define F_AT_{structure}_{field} {value.split()[0]}")
    rows = ", ".join(f"{{{name}, F_{name}}}" for name in ERRORS)
    return "\n".join([*lines, f"static const struct {{ int linux_number, number; }} errors[] = {{{rows}}};", ""])


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Library]:
    """The stand-in of a release, built when it is first asked for."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("the stand-in for FreeBSD's C library takes Linux and a C compiler")
    directory = tmp_path_factory.mktemp("standin")
    (directory / "numbers.h").write_text(make_header())
    built: dict[int, Library] = {}

    def build(release: int) -> ctypes.CDLL:
        if release not in built:
            output = directory / f"freebsd{release}.so"
            command = [
                compiler,
                "-shared",
                "-fPIC",
                "-Wl,-Bsymbolic",
                "-O1",
                "-Wall",
                "-Werror",
                f"-DRELEASE={release}",
                f"-I{directory}",
            ]
            ran = subprocess.run([*command, "-o", output, HERE / "standin.c"], capture_output=True, text=True)
            assert ran.returncode == 0, ran.stderr
            built[release] = Library(output)
        return built[release]

    return build


@pytest.fixture(params=RELEASES, ids=lambda release: f"freebsd{release}")
def platform(request: pytest.FixtureRequest, library: Callable[[int], Library]) -> FreeBSDPlatform:
    """The port, as it is on each release."""
    return probe(StandIn(library(request.param)))


@pytest.fixture
def newest(library: Callable[[int], Library]) -> FreeBSDPlatform:
    """The port, as it is on the newest release."""
    return probe(StandIn(library(RELEASES[-1])))


@pytest.fixture
def older(library: Callable[[int], Library]) -> FreeBSDPlatform:
    """The port, as it is on the newest release without inotify."""
    return probe(StandIn(library(14)))


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """The root of a volume."""
    root = tmp_path / "share"
    root.mkdir(mode=0o755)
    return root
