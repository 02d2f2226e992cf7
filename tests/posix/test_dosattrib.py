"""smbport.posix.dosattrib, against values that Samba's own code (4.17, `samba.dcerpc.xattr`) has packed."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbport.posix.dosattrib import NO_MARKS, Marks, pack_marks, parse_marks

CREATE_TIME = 0x0102030405060708
BIRTH_NS = (CREATE_TIME - 116_444_736_000_000_000) * 100

# valid_flags 0x11 (attributes and creation time), attrib 0x22, ea_size 5, size 0x1122, alloc_size 0x3344
VERSION_3 = bytes.fromhex(
    "307832320000"  # "0x22", NUL, padding
    "0300" "03000000" "11000000" "22000000"
    "05000000" "2211000000000000" "4433000000000000" "0807060504030201" "1817161514131211"
)  # fmt: skip
VERSION_3_LONG_TEXT = bytes.fromhex(
    "3078323032320000"  # "0x2022", NUL, padding
    "0300" "03000000" "11000000" "22200000"
    "05000000" "2211000000000000" "4433000000000000" "0807060504030201" "1817161514131211"
)  # fmt: skip
VERSION_3_NO_ATTRIBUTES = bytes.fromhex(
    "0000" "0300" "03000000" "10000000" "22000000"
    "00000000" "0000000000000000" "0000000000000000" "0807060504030201" "0000000000000000"
)  # fmt: skip
VERSION_4 = bytes.fromhex("0000040004000000110000002200000028272625242322210807060504030201")
VERSION_5 = bytes.fromhex("000005000500000011000000220000000807060504030201")


@pytest.mark.parametrize(
    ("value", "attributes"),
    [
        (VERSION_3, 0x22),
        (VERSION_3_LONG_TEXT, 0x2022),
        (VERSION_3_NO_ATTRIBUTES, None),
        (VERSION_4, 0x22),
        (VERSION_5, 0x22),
    ],
    ids=["3", "3-long-text", "3-no-attributes", "4", "5"],
)
def test_every_version_that_samba_writes_is_read(value: bytes, attributes: int | None):
    assert parse_marks(value) == Marks(attributes, BIRTH_NS)


def test_version_4_is_written():
    packed = pack_marks(Marks(0x22, BIRTH_NS))
    assert packed == VERSION_4[:16] + VERSION_4[24:] * 2  # but for the inode time, which is the creation time here


@given(st.none() | st.integers(0, 0xFFFFFFFF), st.none() | st.integers(0, 1 << 62))
def test_what_is_written_is_read_to_100_ns(attributes: int | None, birth_ns: int | None):
    read = parse_marks(pack_marks(Marks(attributes, birth_ns)))
    assert read == Marks(attributes, None if birth_ns is None else birth_ns // 100 * 100)


def test_times_that_do_not_fit_are_cut():
    assert parse_marks(pack_marks(Marks(None, -(1 << 70)))).birth_ns == (1 - 116_444_736_000_000_000) * 100
    assert parse_marks(pack_marks(Marks(None, 1 << 80))).birth_ns == ((1 << 63) - 1 - 116_444_736_000_000_000) * 100


@pytest.mark.parametrize("value", [VERSION_3, VERSION_4, VERSION_5])
def test_a_value_cut_short_is_none(value: bytes):
    needed = len(value) - 8 if value is VERSION_3 else len(value)  # the time of change is not looked at
    assert all(parse_marks(value[:length]) == NO_MARKS for length in range(needed))
    assert parse_marks(value[:needed]) != NO_MARKS


@pytest.mark.parametrize(
    "value",
    [
        b"0x22",  # as Samba wrote before 2009
        b"no NUL in the first ten bytes",
        VERSION_4.replace(b"\x04\0\x04\0\0\0", b"\x04\0\x05\0\0\0"),
        VERSION_4.replace(b"\x04\0\x04\0\0\0", b"\x06\0\x06\0\0\0"),
        VERSION_4.replace(b"\x04\0\x04\0\0\0", b"\x01\0\x01\0\0\0"),
    ],
    ids=["text only", "text too long", "versions differ", "version of the future", "version of the past"],
)
def test_what_is_not_understood_is_none(value: bytes):
    assert parse_marks(value) == NO_MARKS


def test_a_creation_time_of_zero_or_beyond_filetime_is_none():
    assert parse_marks(VERSION_5[:-8] + bytes(8)) == Marks(0x22, None)
    assert parse_marks(VERSION_5[:-8] + b"\xff" * 8) == Marks(0x22, None)


@given(st.binary(max_size=80))
def test_anything_is_read_or_none(value: bytes):
    assert isinstance(parse_marks(value), Marks)


def test_samba_reads_what_is_written():
    python = Path("/usr/bin/python3")
    program = (
        "import sys; from samba.dcerpc import xattr; from samba.ndr import ndr_unpack\n"
        "read = ndr_unpack(xattr.DOSATTRIB, bytes.fromhex(sys.argv[1]))\n"
        "print(read.version, read.info.valid_flags, read.info.attrib, read.info.create_time)"
    )
    if not python.exists() or subprocess.run([python, "-c", "import samba"], capture_output=True).returncode:
        pytest.skip("needs Samba's Python modules")
    value = pack_marks(Marks(0x2022, BIRTH_NS)).hex()
    read = subprocess.run([python, "-c", program, value], capture_output=True, text=True, check=True)
    assert read.stdout.split() == ["4", "17", str(0x2022), str(CREATE_TIME)]
