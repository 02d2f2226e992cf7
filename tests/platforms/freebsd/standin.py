"""FreeBSD's C library as far as it can be had on Linux: building the stand-in of a release, and the calls over it."""

import ctypes
import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from smbport_freebsd.calls import MEANINGS, Calls

HERE = Path(__file__).parent
ROWS = [line.split("\t") for line in (HERE / "abi.tsv").read_text().splitlines()]
NUMBERS = {name: int(value) for kind, name, value in ROWS if kind == "constant"}
ERRORS = {name: number for name, number in NUMBERS.items() if hasattr(errno, name)}
TO_LINUX = {number: getattr(errno, name) for name, number in ERRORS.items()}
RELEASES = (13, 14, 15)


class CannotBuild(Exception):
    """There is no stand-in to be had here; the text says why."""


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
        known = TO_LINUX.get(MEANINGS.get(number, number))
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
    def cold(self) -> Iterator[None]:
        """No data of files is in memory."""
        cold = ctypes.c_int.in_dll(self.library, "standin_cold")
        cold.value = 1
        try:
            yield
        finally:
            cold.value = 0

    @contextmanager
    def reserving_nothing(self) -> Iterator[None]:
        """The file system has no posix_fallocate."""
        reserves = ctypes.c_int.in_dll(self.library, "standin_reserves")
        reserves.value = 0
        try:
            yield
        finally:
            reserves.value = 1

    @contextmanager
    def naming_attributes(self, directory: Path) -> Iterator[None]:
        """Everything is on ZFS with xattr=dir, whose attributes are files; `directory` is where they really are."""
        named = (ctypes.c_char * 200).in_dll(self.library, "standin_named")
        named.value = os.fsencode(directory)
        try:
            with self.on(b"zfs"):
                yield
        finally:
            named.value = b""

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


def build(directory: Path, release: int) -> Path:
    """Compile the stand-in of a release; the path of the library.  Raises CannotBuild."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        raise CannotBuild("the stand-in for FreeBSD's C library takes Linux and a C compiler")
    (directory / "numbers.h").write_text(make_header())
    output = directory / f"freebsd{release}.so"
    options = ["-shared", "-fPIC", "-Wl,-Bsymbolic", "-O1", "-Wall", "-Werror", f"-DRELEASE={release}"]
    command = [compiler, *options, f"-I{directory}", "-o", output, HERE / "standin.c"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return output
