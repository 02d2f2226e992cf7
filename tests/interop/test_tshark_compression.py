"""Wireshark's dissector expands what client and server have compressed, and finds what was meant."""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from smbport.state.settings import Settings, ShareSettings
from smbport.testing.client import Client, DirectLink
from smbport.testing.direct import DirectConnection, new_server
from smbport.testing.memory import MemoryPlatform
from smbport.users import MemoryUsers
from smbport.wire.constants import Access, CompressionAlgorithm, CreateDisposition

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("tshark") is None, reason="not installed: tshark"),
]

CLIENT, SERVER = (b"\x0a\0\0\1", 50000), (b"\x0a\0\0\2", 445)
SEGMENT = 60_000
TEXT = b"".join(
    b"line %d of a text that says the same again and again\n" % number for number in range(1000)
)  # Wireshark knows one block of 64 KiB only
DATA = bytes(5000) + TEXT + b"z" * 5000


class Capture:
    """Packets of one TCP connection, in the format of libpcap; link type 101 is IP alone."""

    def __init__(self) -> None:
        self._out = bytearray(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 101))
        self._sent = {CLIENT: 1, SERVER: 1}
        self._count = 0

    def add(self, sender: tuple[bytes, int], receiver: tuple[bytes, int], frame: bytes) -> None:
        data = len(frame).to_bytes(4, "big") + frame
        for start in range(0, len(data), SEGMENT):
            self._add_packet(sender, receiver, data[start : start + SEGMENT])

    def _add_packet(self, sender: tuple[bytes, int], receiver: tuple[bytes, int], data: bytes) -> None:
        numbers = self._sent[sender], self._sent[receiver]
        tcp = struct.pack(">HHIIBBHHH", sender[1], receiver[1], *numbers, 5 << 4, 0x18, 65535, 0, 0)
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + len(data), 0, 0, 64, 6, 0, sender[0], receiver[0])
        self._sent[sender] += len(data)
        self._count += 1
        self._out += struct.pack("<IIII", self._count, 0, 40 + len(data), 40 + len(data)) + ip + tcp + data

    def write(self, path: Path) -> None:
        path.write_bytes(self._out)


class TappedLink(DirectLink):
    def __init__(self, connection: DirectConnection, capture: Capture) -> None:
        super().__init__(connection)
        self._capture = capture

    def send(self, frame: bytes) -> None:
        self._capture.add(CLIENT, SERVER, frame)
        super().send(frame)

    def receive(self) -> bytes:
        frame = super().receive()
        self._capture.add(SERVER, CLIENT, frame)
        return frame


def dissect(path: Path, *fields: str) -> list[list[str]]:
    columns = [part for field in fields for part in ("-e", field)]
    command = ["tshark", "-r", str(path), "-T", "fields", "-E", "occurrence=a", *columns]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.mark.parametrize("chained", [False, True], ids=["unchained", "chained"])
@pytest.mark.parametrize(
    "algorithm", [CompressionAlgorithm.LZNT1, CompressionAlgorithm.LZ77, CompressionAlgorithm.LZ77_HUFFMAN]
)
def test_what_it_sees(algorithm: int, chained: bool, tmp_path: Path):
    share = ShareSettings(name="data", path="v", run_as="server", compression=True)
    server = new_server(Settings(shares=(share,), signing="offered"), MemoryPlatform(), MemoryUsers({"u": "p"}))
    capture = Capture()
    client = Client(TappedLink(DirectConnection(server), capture))
    client.negotiate([0x0311], compression=(CompressionAlgorithm.PATTERN_V1, algorithm), chained=chained)
    client.log_on("u", "p")
    tree = client.tree_connect("data")
    client.sign, client.compress = False, True
    file = client.create(tree, "file", access=Access.GENERIC_ALL, disposition=CreateDisposition.CREATE)
    client.write(file, 0, DATA)
    assert client.read(file, 0, len(DATA)) == DATA
    assert client.expanded == 1
    client.close(file)
    capture.write(tmp_path / "capture")
    found = dissect(tmp_path / "capture", "_ws.malformed", "data.data")
    assert [row for row in found if row[0]] == []
    assert [row[1] for row in found if row[1]] == [DATA.hex()] * 2  # what was written and what was read
    seen = dissect(tmp_path / "capture", "smb2.header.comp_transform.comp_alg")
    in_all = [0, algorithm, 4] if chained else [algorithm]
    read = [0, 4, algorithm, 4] if chained else [algorithm]  # the response of READ has zeroes right behind its head
    assert [row[0] for row in seen if row[0]] == [",".join(f"0x{one:04x}" for one in kinds) for kinds in (in_all, read)]
