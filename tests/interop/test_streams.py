"""Named streams in one folder that Samba's smbd (`streams_xattr`) and this server take turns with."""

import os
import shutil

import pytest

from smbport.posix.walk import HIDDEN
from smbport.wire.constants import CreateDisposition, CreateOption
from tests.interop.samba import Side, run_smbd

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("smbd") is None, reason="smbd is not installed (samba)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="smbd must run as root"),
]


@pytest.fixture
def samba(server, tmp_path):
    """smbd over the same folder as `server`."""
    with run_smbd(tmp_path / "samba", server.path(), "streams_xattr") as samba:
        yield samba


@pytest.fixture
def sides(server, samba):
    both = {"smbport": Side(server), "smbd": Side(samba)}
    yield both
    for side in both.values():
        side.link.close()


@pytest.fixture(params=["smbport to smbd", "smbd to smbport"])
def pair(request, sides):
    """Who writes, and who reads what was written."""
    writer, _, reader = request.param.partition(" to ")
    return sides[writer], sides[reader]


@pytest.mark.parametrize("data", [b"", b"\0", b"data", b"ends with zero\0", b"\0\0\0", bytes(range(256)) * 8])
def test_what_one_writes_the_other_reads(pair, data):
    writer, reader = pair
    writer.put("file:stream", data)
    assert reader.get("file:stream") == data
    assert reader.get("FILE:STREAM:$DATA") == data
    assert reader.list("file") == {"::$DATA": 0, ":stream:$DATA": len(data)}
    assert reader.get("file") == b""


@pytest.mark.parametrize("name", ["AFP_AfpInfo", "Zone.Identifier", "with blank", "\u00fcber \u6f22", "a.b", '?*<>"|'])
def test_names(pair, name):
    writer, reader = pair
    writer.put(f"file:{name}", b"data")
    assert reader.get(f"file:{name}") == b"data"
    assert f":{name}:$DATA" in reader.list("file")
    reader.remove(f"file:{name}")
    assert writer.list("file") == {"::$DATA": 0}


def test_changes_go_back_and_forth(pair):
    one, other = pair
    one.put("file", b"the file")
    one.put("file:stream", b"first, and longer")
    other.put("file:stream", b"second")
    assert one.get("file:stream") == b"second"
    one.rename("file:stream", ":renamed")
    assert other.list("file") == {"::$DATA": 8, ":renamed:$DATA": 6}
    assert other.get("file:renamed") == b"second"
    assert other.get("file") == b"the file"


def test_streams_of_a_directory(pair):
    writer, reader = pair
    writer.client.close(
        writer.open("directory", disposition=CreateDisposition.CREATE, options=CreateOption.DIRECTORY_FILE)
    )
    writer.put("directory:stream", b"data")
    assert reader.list("directory") == {":stream:$DATA": 4}
    assert reader.get("directory:stream") == b"data"


def test_what_is_too_long_for_an_attribute_is_ours_alone(sides, server):
    """Samba sees that there is a stream, and can replace it."""
    data = b"long" * 16384
    ours, samba = sides["smbport"], sides["smbd"]
    ours.put("file:stream", data[:40000])
    ours.put("file:long", data)
    assert ours.get("file:long") == data
    assert ours.list("file") == {"::$DATA": 0, ":stream:$DATA": 40000, ":long:$DATA": 65536}
    assert set(samba.list("file")) == {"::$DATA", ":stream:$DATA", ":long:$DATA"}
    samba.put("file:long", b"short")
    assert ours.get("file:long") == b"short"
    assert server.path(HIDDEN).exists()
    ours.remove("file")
    assert not server.path(HIDDEN).exists()
