"""Named streams in one folder that Samba's smbd (`streams_xattr`) and this server take turns with."""

import os
import shutil
import socket
import subprocess
from dataclasses import dataclass

import pytest

from smbport.posix.walk import HIDDEN
from smbport.testing.client import Client, SocketLink
from smbport.wire.constants import Access, CreateDisposition, CreateOption, FileInfo
from smbport.wire.fscc import FileRenameInformation, pack_with_name
from smbport.wire.fscc_entries import parse_streams
from smbport.wire.status import StatusError

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("smbd") is None, reason="smbd is not installed (samba)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="smbd must run as root"),
]

PASSWORD = "Correct Horse 9"
PATIENCE_S = 30
CONFIGURATION = """
[global]
  smb ports = {port}
  interfaces = 127.0.0.1/8
  private dir = {home}
  lock directory = {home}
  state directory = {home}
  cache directory = {home}
  pid directory = {home}
  ncalrpc dir = {home}/ncalrpc
  log file = {home}/log
  server role = standalone
  disable spoolss = yes
  load printers = no
  kernel oplocks = no
  store dos attributes = yes
  vfs objects = streams_xattr
[data]
  path = {path}
  read only = no
"""


@dataclass
class Samba:
    """A running smbd: as much of a server as connecting takes."""

    port: int
    host: str = "127.0.0.1"
    user: str = "root"
    password: str = PASSWORD


@pytest.fixture
def samba(server, tmp_path):
    """smbd over the same folder as `server`."""
    home = tmp_path / "samba"
    home.mkdir(mode=0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configuration = home / "smb.conf"
    configuration.write_text(CONFIGURATION.format(port=port, home=home, path=server.path()))
    subprocess.run(
        ["smbpasswd", "-c", str(configuration), "-s", "-a", "root"],
        input=f"{PASSWORD}\n" * 2, text=True, check=True, capture_output=True,
    )  # fmt: skip
    process = subprocess.Popen(
        ["smbd", f"--configfile={configuration}", "--foreground", "--no-process-group"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,  # it ends its whole process group
    )  # fmt: skip
    try:
        wait_until_it_listens(process, port)
        yield Samba(port)
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def wait_until_it_listens(process, port):
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), PATIENCE_S).close()
        except ConnectionRefusedError:
            continue
        return
    raise AssertionError("smbd ended at once")


class Side:
    """One of the two servers, as a client has it."""

    def __init__(self, server):
        self.link = SocketLink.connect(server.host, server.port)
        self.client = Client(self.link)
        self.client.negotiate()
        self.client.log_on(server.user, server.password)
        self.tree = self.client.tree_connect("data")

    def open(self, name, *, disposition=CreateDisposition.OPEN, options=0, access=Access.FILE_ALL_ACCESS):
        return self.client.create(self.tree, name, access=access, disposition=disposition, options=options)

    def put(self, name, data):
        file = self.open(name, disposition=CreateDisposition.OVERWRITE_IF)
        if data:
            self.client.write(file, 0, data)
        self.client.close(file)

    def get(self, name):
        file = self.open(name, access=Access.FILE_GENERIC_READ)
        try:
            return self.client.read(file, 0, 65536)
        except StatusError:
            return b""  # the end of the file
        finally:
            self.client.close(file)

    def list(self, name):
        file = self.open(name, access=Access.FILE_GENERIC_READ)
        found = {stream.name: stream.size for stream in parse_streams(self.client.query_info(file, FileInfo.STREAM))}
        self.client.close(file)
        return found

    def remove(self, name):
        self.client.close(self.open(name, options=CreateOption.DELETE_ON_CLOSE))

    def rename(self, name, new):
        file = self.open(name)
        record = FileRenameInformation(replace_if_exists=False, root_directory=0)
        self.client.set_info(file, FileInfo.RENAME, pack_with_name(record, new))
        self.client.close(file)


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
