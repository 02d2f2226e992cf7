"""T1: smbport_freebsd.calls against abi.tsv, and abi.tsv against FreeBSD's own headers and link stubs.

Both come with the `ziglang` distribution, for each release and architecture.  The stand-in for FreeBSD's C library
(standin.c) is made with abi.tsv, too, and never with the numbers of the port.
"""

import ctypes
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from smbport_freebsd import calls

HERE = Path(__file__).parent
ROWS = [line.split("\t") for line in (HERE / "abi.tsv").read_text().splitlines()]
CONSTANTS = {name: int(value) for kind, name, value in ROWS if kind == "constant"}
SIZES = {name: int(value) for kind, name, value in ROWS if kind == "size"}
FIELDS = {name: tuple(map(int, value.split())) for kind, name, value in ROWS if kind == "field"}
FUNCTIONS = {declared: int(since) for kind, declared, since in ROWS if kind == "function"}
OF_OUR_OWN = {"MAX_EVENTS", "SHORT_VALUE"}

HEADERS = """
#define _ACL_PRIVATE
#include <sys/types.h>
#include <sys/acl.h>
#include <sys/capsicum.h>
#include <sys/param.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/event.h>
#include <sys/extattr.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
"""
LINKED = ("-shared", "-fPIC", "-Wl,-z,defs")
INTEGERS = {
    "int": ctypes.c_int,
    "long": ctypes.c_long,
    "unsigned int": ctypes.c_uint,
    "unsigned long": ctypes.c_ulong,
    "acl_type_t": ctypes.c_int,
    "ssize_t": ctypes.c_ssize_t,
    "size_t": ctypes.c_size_t,
    "off_t": ctypes.c_int64,
    "uint32_t": ctypes.c_uint32,
    "mode_t": ctypes.c_uint16,
    "uid_t": ctypes.c_uint32,
    "gid_t": ctypes.c_uint32,
}


def take_apart(declared: str) -> tuple[str, str, list[str]]:
    """The result, the name and the parameters of a function."""
    found = re.fullmatch(r"(.+?) (\w+)\((.*)\)", declared)
    assert found
    return found[1], found[2], found[3].split(", ") if found[3] != "void" else []


def test_every_number_is_in_the_table():
    ours = {name: value for name, value in vars(calls).items() if isinstance(value, int) and name.upper() == name}
    assert {name: CONSTANTS.get(name) for name in ours if name not in OF_OUR_OWN} == {
        name: value for name, value in ours.items() if name not in OF_OUR_OWN
    }


def test_every_mask_of_inotify_is_in_the_table():
    named = calls.FREEBSD_MASKS._asdict() | {"onlydir": calls.FREEBSD_MASKS.options}
    del named["options"]
    others = {"is_directory": "IN_ISDIR", "overflow": "IN_Q_OVERFLOW"}
    assert named == {name: CONSTANTS[others.get(name, f"IN_{name.upper()}")] for name in named}


def test_every_structure_is_in_the_table():
    assert {f"struct {name}": ctypes.sizeof(structure) for name, structure in calls.STRUCTURES.items()} == SIZES
    for name, (offset, size) in FIELDS.items():
        _, structure, field = name.split()
        ours = getattr(calls.STRUCTURES[structure], field)
        assert (ours.offset, ours.size) == (offset, size), name


def test_every_function_is_in_the_table():
    taken_apart = [take_apart(declared) for declared in FUNCTIONS]
    assert {name for _, name, _ in taken_apart} == set(calls.PROTOTYPES)
    for result, name, parameters in taken_apart:
        our_result, ours = calls.PROTOTYPES[name]
        assert our_result is INTEGERS[result], name
        for ctype, parameter in zip(ours, parameters, strict=True):
            if parameter == "...":
                assert ctype is ctypes.c_int  # a mode, as it is passed
            elif parameter.endswith("*"):
                assert ctype is (ctypes.c_char_p if parameter == "const char *" else ctypes.c_void_p), (name, parameter)
            else:
                assert ctype is INTEGERS[parameter], (name, parameter)
    newer = {take_apart(declared)[1]: since for declared, since in FUNCTIONS.items() if since > 13}
    assert newer == calls.OPTIONAL


# What FreeBSD's headers say ----------------------------------------------------------------------------------------

needs_zig = pytest.mark.skipif(importlib.util.find_spec("ziglang") is None, reason="ziglang is not installed")
targets = pytest.mark.parametrize("release", [13, 14, 15])
machines = pytest.mark.parametrize("machine", ["x86_64", "aarch64"])


def compile_c(directory: Path, machine: str, release: int, source: str, *more: str) -> subprocess.CompletedProcess[str]:
    (directory / "source.c").write_text(source)
    target = f"{machine}-freebsd.{release}.0-none"
    command = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-Werror", "-o", "out", "source.c", *more]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True)


@needs_zig
@targets
@machines
def test_the_headers_say_the_same(tmp_path: Path, machine: str, release: int):
    lines = [f'_Static_assert(({name}) == ({value}), "{name}");' for name, value in CONSTANTS.items()]
    lines += [f'_Static_assert(sizeof({name}) == {size}, "{name}");' for name, size in SIZES.items()]
    for row, (offset, size) in FIELDS.items():
        structure, _, field = row.rpartition(" ")
        lines.append(f'_Static_assert(offsetof({structure}, {field}) == {offset}, "{row}");')
        lines.append(f'_Static_assert(sizeof((({structure} *)0)->{field}) == {size}, "{row}");')
    for declared in FUNCTIONS:
        result, name, parameters = take_apart(declared)
        wanted = f"{result} (*)({', '.join(parameters) or 'void'})"
        lines.append(f'_Static_assert(__builtin_types_compatible_p(__typeof__(&{name}), {wanted}), "{name}");')
    ran = compile_c(tmp_path, machine, release, HEADERS + "\n".join(lines), "-c")
    assert ran.returncode == 0, ran.stderr


@needs_zig
def test_a_wrong_number_would_be_found(tmp_path: Path):
    source = HEADERS + '_Static_assert(O_RESOLVE_BENEATH == 0x800, "wrong");'
    ran = compile_c(tmp_path, "x86_64", 14, source, "-c")
    assert ran.returncode != 0
    assert "wrong" in ran.stderr


@needs_zig
@targets
@machines
def test_the_library_has_what_is_called(tmp_path: Path, machine: str, release: int):
    """And lacks what only newer ones have, so that the port looks for it at run time."""
    names = {take_apart(declared)[1]: since for declared, since in FUNCTIONS.items()}
    there = [name for name, since in names.items() if since <= release]
    ran = compile_c(tmp_path, machine, release, taking_addresses(there), *LINKED)
    assert ran.returncode == 0, ran.stderr
    missing = set(names) - set(there)
    if missing:
        ran = compile_c(tmp_path, machine, release, taking_addresses(list(names)), *LINKED)
        assert set(re.findall(r"undefined symbol: (\w+)", ran.stderr)) == missing


def taking_addresses(names: list[str]) -> str:
    """A library that needs these functions, without the headers, which are those of the newest release."""
    declared = "\n".join(f"extern char {name}[];" for name in names)
    return f"{declared}\nchar *volatile used[] = {{{', '.join(names)}}};\n"
