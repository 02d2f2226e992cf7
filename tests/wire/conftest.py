"""What all tests of wire records ask: does a captured example mean this, and does the parser survive lies."""

import contextlib
import dataclasses
import inspect
import struct
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from hypothesis import given, settings, strategies

from smbport.wire.record import BadStructure, Record

DATA = Path(__file__).parent.parent / "data"


@pytest.fixture(scope="session")
def captured():
    """Read tests/data/NAME.hex, in which `#` begins a comment."""

    def read(name):
        lines = (DATA / f"{name}.hex").read_text("ascii").splitlines()
        return bytes.fromhex("".join(line.partition("#")[0] for line in lines))

    return read


@pytest.fixture(scope="session")
def records_of():
    """The record classes that a module defines."""

    def find(module):
        classes = (value for _, value in inspect.getmembers(module, inspect.isclass))
        return {cls for cls in classes if issubclass(cls, Record) and cls.__module__ == module.__name__}

    return find


@pytest.fixture(scope="session")
def check_record():
    """The example (hex) is this record, both ways; every prefix is refused; any record survives the wire."""

    def check(expected, example):
        kind, packed = type(expected), bytes.fromhex(example)
        assert len(packed) == kind.SIZE
        assert kind.unpack_from(packed) == expected
        assert expected.pack() == packed
        for length in range(len(packed)):
            with pytest.raises(BadStructure):
                kind.unpack_from(packed[:length])
        _check_round_trip(kind)

    return check


def _check_round_trip(kind):
    @settings(max_examples=30, derandomize=True, database=None, deadline=None)
    @given(_records(kind), strategies.binary(max_size=9))
    def check(any_record, before):
        packed = any_record.pack()
        assert kind.unpack_from(before + packed, len(before)) == any_record
        buffer = bytearray(len(before) + kind.SIZE)
        any_record.pack_into(buffer, len(before))
        assert buffer == bytes(len(before)) + packed

    check()


def _records(kind):
    """A strategy from the annotations."""
    hints = get_type_hints(kind, include_extras=True)
    return strategies.builds(
        kind, **{field.name: _values(get_args(hints[field.name])[1]) for field in dataclasses.fields(kind)}
    )


def _values(code):
    bits = 8 * struct.calcsize("<" + code)
    if code.endswith("s"):
        return strategies.binary(min_size=bits // 8, max_size=bits // 8)
    signed = code.islower()
    return strategies.integers(-(1 << bits - 1) if signed else 0, (1 << bits - signed) - 1)


@pytest.fixture(scope="session")
def check_parser():
    """The parser takes the message, refuses each prefix below `shortest`, and has no answer to a lie but BadStructure.

    A name that is no longer UTF-16 is the one exception: UnicodeDecodeError.
    """

    def check(parse, message, *, shortest=None):
        shortest = len(message) if shortest is None else shortest
        for length in range(shortest):
            with pytest.raises(BadStructure):
                parse(message[:length])
        for length in range(shortest, len(message) + 1):
            parse(message[:length])
        changed = bytearray(message)
        for index, byte in enumerate(message):
            for value in (0x00, 0x01, 0x7F, 0xD8, 0xFF, byte ^ 0x10, byte + 1 & 0xFF):
                changed[index] = value
                with contextlib.suppress(BadStructure, UnicodeDecodeError):
                    parse(bytes(changed))
            changed[index] = byte

    return check


@pytest.fixture(scope="session")
def check_offset():
    """The parser refuses the message if the offset at `index`, which names the first byte behind the fixed part, lies.

    It is made 8 smaller, so that the variable part is inside the message still.
    """

    def check(parse, message, index):
        parse(message)
        changed = bytearray(message)
        changed[index : index + 2] = (int.from_bytes(message[index : index + 2], "little") - 8).to_bytes(2, "little")
        with pytest.raises(BadStructure, match="is not inside"):
            parse(bytes(changed))

    return check
