"""Numbers and structures of smbport_qnx.calls beside those of the Rust crate `libc`, where Debian's is installed.

QNX's own headers cannot be had without an account.  The crate's authors compare theirs with the headers of QNX 7.1,
so this is second-hand: it is not tier 1.  The files are in Debian's librust-libc-dev.
"""

import ctypes
import os
import re
from pathlib import Path

import pytest

from smbport_qnx import calls
from smbport_qnx.calls import STRUCTURES

CRATES = Path(os.environ.get("SMBPORT_RUST_CRATES", "/usr/share/cargo/registry"))
SIZES = {
    "::c_ulong": 8, "::fsblkcnt_t": 8, "::fsfilcnt_t": 8, "::c_uint": 4, "::c_char": 1, "u8": 1, "sa_family_t": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def crate():
    found = sorted(CRATES.glob("libc-*/src/unix/nto/mod.rs"))
    if not found:
        pytest.skip("librust-libc-dev is not installed")
    return found[-1].read_text()


def names_of_numbers():
    return [name for name in calls.__all__ if re.match(r"(IN|AF|IFF)_", name)]


@pytest.mark.parametrize("name", names_of_numbers())
def test_numbers(crate, name):
    value = re.search(rf"^pub const {name}: \S+ = (\w+);", crate, re.MULTILINE)[1]
    assert getattr(calls, name) == int(value, 0)


def test_no_number_is_left_out():
    numbers = {name for name, value in vars(calls).items() if re.match(r"[A-Z]+_", name) and type(value) is int}
    assert numbers == set(names_of_numbers())


def size_of(kind):
    array = re.fullmatch(r"\[(\S+); (\d+)\]", kind)
    if array:
        return size_of(array[1]) * int(array[2])
    return 8 if kind.startswith("*") else SIZES[kind]


@pytest.mark.parametrize("name", ["statvfs", "ifaddrs"])
def test_structures(crate, name):
    body = re.search(rf"pub struct {name} \{{(.*?)\}}", crate, re.DOTALL)[1]
    theirs = [(field, size_of(kind)) for field, kind in re.findall(r"(\w+): (.+?),?\n", body)]
    ours = [(field, ctypes.sizeof(kind)) for field, kind in STRUCTURES[name]._fields_]
    assert ours == theirs


def test_socket_addresses(crate):
    for name, field in (("sockaddr_in", "v4"), ("sockaddr_in6", "v6")):
        body = re.search(rf"pub struct {name} \{{(.*?)\}}", crate, re.DOTALL)[1]
        fields = re.findall(r"pub \w+?_(\w+): ", re.sub(r"sin6?", "sin", body))
        before = {"len": 1, "family": 1, "port": 2, "flowinfo": 4}
        assert (
            sum(before[each] for each in fields[: fields.index("addr")])
            == getattr(STRUCTURES["sockaddr"], field).offset
        )
