import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbport.pipes.handles import Handles
from smbport.pipes.ndr import NdrReader, NdrWriter, row_size
from smbport.wire.record import BadStructure

# "ab" as [unique, string] wchar_t*, then a number: the layout of [C706] 14.3.4.2 with its padding.
STRING = bytes.fromhex("00000200 03000000 00000000 03000000 6100 6200 0000 0000 2a000000")


def test_string_and_alignment():
    stub = NdrReader(STRING, Handles())
    assert stub.optional_string() == "ab"
    assert stub.u32() == 42


def test_writer_makes_the_same_bytes():
    out = NdrWriter()
    out.pointer(True)
    out.string("ab")
    out.u32(42)
    assert out.getvalue() == STRING


def test_null_pointers():
    stub = NdrReader(bytes(8), Handles())
    assert stub.optional_string() is None
    assert stub.optional_u32() is None
    out = NdrWriter()
    out.optional_u32(None)
    out.optional_u32(7)
    assert out.getvalue() == bytes.fromhex("00000000 04000200 07000000")


def test_rows_put_strings_behind_the_structures():
    out = NdrWriter()
    out.rows([("x", 1), (None, 2)])
    assert out.getvalue() == bytes.fromhex("00000200 01000000 00000000 0200000002000000 00000000 02000000 7800 0000")


def test_row_size_counts_terminators():
    assert row_size(("ab", None, 5)) == 3 * 4 + 6
    assert row_size(()) == 0


def test_text_ends_at_the_terminator_and_surrogates_are_replaced():
    def read(characters):
        count = (len(characters) // 2).to_bytes(4, "little")
        return NdrReader(count + bytes(4) + count + characters, Handles()).string()

    assert read(b"a\0\0\0b\0") == "a"
    assert read(b"") == ""
    assert read(b"a\0\x00\xd8") == "a\ufffd"


@pytest.mark.parametrize(
    "counts",
    [
        "ffffffff 00000000 ffffffff 6100 0000",  # as many as can be said
        "01000000 00000000 02000000 6100 0000",  # more than the array holds
        "03000000 01000000 02000000 6100 0000",  # not from the start
        "03000000 00000000 03000000 6100 0000",  # one more than is there
        "03000000 00000000",  # no count
    ],
)
def test_counts_that_lie(counts):
    with pytest.raises(BadStructure):
        NdrReader(bytes.fromhex(counts), Handles()).string()


@pytest.mark.parametrize("length", range(4))
def test_short_number(length):
    with pytest.raises(BadStructure):
        NdrReader(bytes(length), Handles()).u32()


@given(st.binary(max_size=64), st.lists(st.sampled_from(["u32", "optional_u32", "string", "optional_string"])))
def test_reader_raises_nothing_else(stub, calls):
    reader = NdrReader(stub, Handles())
    with contextlib.suppress(BadStructure):
        for call in calls:
            getattr(reader, call)()


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")), st.integers(0, 2**32 - 1))
def test_round_trip(text, number):
    out = NdrWriter()
    out.string(text)
    out.optional_u32(number)
    stub = NdrReader(out.getvalue(), Handles())
    assert (stub.string(), stub.optional_u32()) == (text, number)
