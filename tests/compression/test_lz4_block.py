import pytest

from smbport.compression import ALGORITHMS, lz4_block
from smbport.compression.lz4_block import compress, decompress
from smbport.wire.constants import CompressionAlgorithm
from smbport.wire.record import BadStructure


def test_it_is_offered_where_it_is_installed():
    assert (CompressionAlgorithm.LZ4 in ALGORITHMS) is lz4_block.IS_HERE is True


def test_the_block_format():
    """One letter as it is, then what is 1 back, 4 + 15 + 74 times, and five letters at the end."""
    assert decompress(b"\x1fa\x01\x00\x4a\x50bcdef", 1 + 4 + 15 + 74 + 5) == b"a" * 94 + b"bcdef"
    assert len(compress(bytes(1 << 20))) < 1 << 13


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"", 0), (b"", 1), (b"\0", 1), (b"\xff" * 9, 100), (compress(b"abc" * 1000), 2999),
        (compress(b"abc" * 1000), 3001), (b"\x10a\x02\x00\x50bcdef", 10),
    ],
)  # fmt: skip
def test_what_lies(data: bytes, size: int):
    with pytest.raises(BadStructure):
        decompress(data, size)
