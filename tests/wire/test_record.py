import struct
from dataclasses import fields
from typing import ClassVar

import pytest
from hypothesis import given, strategies

from smbport.wire.record import (
    I32,
    U8,
    U16,
    U32,
    U64,
    BadStructure,
    Bytes4,
    Pad2,
    Pad4,
    Record,
    field,
    join_chain,
    record,
    split_chain,
)


@record(structure_size=25)
class Example(Record):
    """One of everything."""

    flags: U8
    reserved: ClassVar[Pad2]
    count: U16 = 7
    tag: Bytes4
    signed: I32
    reserved2: ClassVar[Pad4]
    offset: U32 = 0
    low: U8


@record()
class Plain(Record):
    """No StructureSize."""

    number: U64


EXAMPLE = Example(flags=1, count=2, tag=b"abcd", signed=-1, offset=3, low=4)
PACKED = bytes.fromhex("1900 01 0000 0200 61626364 ffffffff 00000000 03000000 04")


def test_layout():
    assert (Example.SIZE, Example.STRUCTURE_SIZE) == (24, 25)
    assert (Plain.SIZE, Plain.STRUCTURE_SIZE) == (8, None)
    assert [each.name for each in fields(Example)] == ["flags", "count", "tag", "signed", "offset", "low"]
    assert not hasattr(EXAMPLE, "__dict__")


def test_constructor():
    assert Example(flags=0, tag=bytes(4), signed=0, low=0).count == 7
    with pytest.raises(TypeError):
        Example(flags=0)
    with pytest.raises(TypeError):
        Example(flags=0, tag=bytes(4), signed=0, low=0, reserved=0)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_unpack(kind):
    assert Example.unpack_from(kind(PACKED)) == EXAMPLE
    assert Example.unpack_from(kind(b"..." + PACKED + b"."), 3) == EXAMPLE


def test_pack():
    assert EXAMPLE.pack() == PACKED
    buffer = bytearray(b"x" * 27)
    EXAMPLE.pack_into(buffer, 2)
    assert buffer == b"xx" + PACKED + b"x"


def test_reserved_bytes_are_ignored_on_receipt():
    changed = bytearray(PACKED)
    changed[3:5] = b"\xff" * 2
    changed[15:19] = b"\xff" * 4
    assert Example.unpack_from(changed) == EXAMPLE


@pytest.mark.parametrize("offset", [1, 24, 1 << 40])
def test_short(offset):
    with pytest.raises(BadStructure, match=f"Example needs 24 bytes at offset {offset}"):
        Example.unpack_from(PACKED, offset)


def test_wrong_structure_size():
    with pytest.raises(BadStructure, match="Example says StructureSize 24, not 25"):
        Example.unpack_from(b"\x18" + PACKED[1:])


@pytest.mark.parametrize(("name", "value"), [("flags", 256), ("flags", -1), ("signed", 1 << 31), ("tag", 5)])
def test_a_value_that_does_not_fit_is_our_bug(name, value):
    broken = Example.unpack_from(PACKED)
    setattr(broken, name, value)
    with pytest.raises(struct.error):
        broken.pack()


def test_fields_must_add_up_to_structure_size():
    with pytest.raises(TypeError, match="Wrong: fields take 4 bytes, not 8"):

        @record(structure_size=9)
        class Wrong(Record):
            number: U16


def test_undecorated():
    class Bare(Record):
        pass

    for call in (lambda: Bare.unpack_from(b""), Bare().pack, lambda: Bare().pack_into(bytearray(), 0)):
        with pytest.raises(TypeError, match="Bare is not decorated"):
            call()


@record(structure_size=9)
class Clashing(Record):
    """Names that the generated code uses, too."""

    buffer: U16
    offset: U16
    error: U16


def test_field_names_do_not_clash_with_the_generated_code():
    named = Clashing(buffer=1, offset=2, error=3)
    assert Clashing.unpack_from(named.pack()) == named


def test_field():
    message = bytes(range(10))
    assert field(message, 4, 6, after=4) == message[4:]
    assert field(memoryview(message), 5, 1, after=4) == b"\5"
    assert field(message, 0xFFFFFFFF, 0, after=4) == b""


@pytest.mark.parametrize(("offset", "length"), [(3, 1), (0, 10), (4, 7), (10, 1), (0xFFFFFFFF, 0xFFFFFFFF)])
def test_field_outside(offset, length):
    with pytest.raises(BadStructure):
        field(bytes(10), offset, length, after=4)


def test_chain():
    chain = bytes.fromhex("08000000 61 000000 0c000000 6263646566 000000 00000000 67")
    entries = split_chain(chain, alignment=4)
    assert [bytes(entry[4:]) for entry in entries] == [b"a\0\0\0", b"bcdef\0\0\0", b"g"]
    assert join_chain([b"....a", b"....bcdef", b"....g"], alignment=4) == chain


def test_empty_chain():
    assert join_chain([]) == b""
    with pytest.raises(BadStructure):
        split_chain(b"")


@pytest.mark.parametrize(
    ("chain", "alignment"),
    [
        pytest.param("000000", 1, id="cut"),
        pytest.param("01000000 00000000", 1, id="into its own offset"),
        pytest.param("06000000 0000 00000000", 4, id="unaligned"),
        pytest.param("0c000000 00000000", 4, id="behind the end"),
        pytest.param("08000000 00000000", 4, id="to the end"),
        pytest.param("ffffffff 00000000", 1, id="far away"),
    ],
)
def test_chains_that_lie(chain, alignment):
    with pytest.raises(BadStructure):
        split_chain(bytes.fromhex(chain), alignment=alignment)


def test_chain_over_the_limit():
    chain = join_chain([bytes(4)] * 4)
    assert len(split_chain(chain, limit=4)) == 4
    with pytest.raises(BadStructure, match="more than 3"):
        split_chain(chain, limit=3)


@given(strategies.lists(strategies.binary(max_size=20), min_size=1, max_size=9), strategies.sampled_from([1, 2, 4, 8]))
def test_chain_there_and_back(contents, alignment):
    entries = split_chain(join_chain([bytes(4) + each for each in contents], alignment=alignment), alignment=alignment)
    assert [bytes(entry[4 : 4 + len(each)]) for entry, each in zip(entries, contents, strict=True)] == contents
    assert all(len(entry) % alignment == 0 for entry in entries[:-1])


@given(strategies.binary(max_size=64), strategies.sampled_from([1, 4, 8]))
def test_any_bytes_as_chain(data, alignment):
    try:
        entries = split_chain(data, alignment=alignment)
    except BadStructure:
        return
    assert b"".join(entries) == data
