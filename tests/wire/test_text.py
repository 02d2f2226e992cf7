import pytest
from hypothesis import given, strategies

from smbport.wire.record import BadStructure
from smbport.wire.text import FILETIME_EPOCH, decode_utf16, encode_utf16, filetime_from_ns, ns_from_filetime


@pytest.mark.parametrize(("text", "wire"), [("", ""), ("a\u00e4", "6100e400"), ("\U0001f600", "3dd800de")])
def test_utf16(text, wire):
    assert encode_utf16(text) == bytes.fromhex(wire)
    assert decode_utf16(memoryview(bytes.fromhex(wire))) == text


@given(strategies.text(strategies.characters(exclude_categories=["Cs"])))
def test_utf16_there_and_back(text):
    assert decode_utf16(encode_utf16(text)) == text


def test_odd_length():
    with pytest.raises(BadStructure):
        decode_utf16(b"a\0b")


@pytest.mark.parametrize("wire", ["00d8", "00dc", "00d86100", "00dc00d8"])
def test_lone_surrogate(wire):
    with pytest.raises(UnicodeDecodeError):
        decode_utf16(bytes.fromhex(wire))


def test_lone_surrogate_of_ours():
    with pytest.raises(UnicodeEncodeError):
        encode_utf16("\ud800")


@pytest.mark.parametrize(
    ("ns", "filetime"),
    [
        (0, FILETIME_EPOCH),
        (1_000_000_000, FILETIME_EPOCH + 10_000_000),
        (1_700_000_000_123_456_700, 133_444_736_001_234_567),
        (-FILETIME_EPOCH * 100, 0),
    ],
)
def test_filetime(ns, filetime):
    assert filetime_from_ns(ns) == filetime
    assert ns_from_filetime(filetime) == ns


def test_filetime_drops_what_it_cannot_hold():
    assert filetime_from_ns(199) == FILETIME_EPOCH + 1
    assert filetime_from_ns(-FILETIME_EPOCH * 100 - 1) == 0
