"""Samba's smbd over the folder of one of our servers, and each of the two as a client has it."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from smbport.testing.client import Client, FileId, SocketLink
from smbport.wire.constants import Access, CreateDisposition, CreateOption, FileInfo
from smbport.wire.fscc import FileRenameInformation, pack_with_name
from smbport.wire.fscc_entries import parse_streams
from smbport.wire.status import StatusError

__all__ = ["Samba", "Side", "run_smbd"]

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
  ea support = yes
  vfs objects = {modules}
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


@contextmanager
def run_smbd(home: Path, path: Path, *modules: str) -> Iterator[Samba]:
    """smbd with those modules; `path` is served, `home` is for its databases."""
    home.mkdir(mode=0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configuration = home / "smb.conf"
    configuration.write_text(CONFIGURATION.format(port=port, home=home, path=path, modules=" ".join(modules)))
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
        _wait_until_it_listens(process, port)
        yield Samba(port)
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _wait_until_it_listens(process: "subprocess.Popen[bytes]", port: int) -> None:
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), PATIENCE_S).close()
        except ConnectionRefusedError:
            continue
        return
    raise AssertionError("smbd ended at once")


class Side:
    """One of the two servers, as a client has it."""

    def __init__(self, server: Samba) -> None:
        self.link = SocketLink.connect(server.host, server.port)
        self.client = Client(self.link)
        self.client.negotiate()
        self.client.log_on(server.user, server.password)
        self.tree = self.client.tree_connect("data")

    def open(
        self,
        name: str,
        *,
        disposition: int = CreateDisposition.OPEN,
        options: int = 0,
        access: int = Access.FILE_ALL_ACCESS,
    ) -> FileId:
        return self.client.create(self.tree, name, access=access, disposition=disposition, options=options)

    def put(self, name: str, data: bytes) -> None:
        file = self.open(name, disposition=CreateDisposition.OVERWRITE_IF)
        if data:
            self.client.write(file, 0, data)
        self.client.close(file)

    def get(self, name: str) -> bytes:
        file = self.open(name, access=Access.FILE_GENERIC_READ)
        try:
            return self.client.read(file, 0, 65536)
        except StatusError:
            return b""  # the end of the file
        finally:
            self.client.close(file)

    def list(self, name: str) -> dict[str, int]:
        file = self.open(name, access=Access.FILE_GENERIC_READ)
        found = {stream.name: stream.size for stream in parse_streams(self.client.query_info(file, FileInfo.STREAM))}
        self.client.close(file)
        return found

    def remove(self, name: str) -> None:
        self.client.close(self.open(name, options=CreateOption.DELETE_ON_CLOSE))

    def rename(self, name: str, new: str) -> None:
        file = self.open(name)
        record = FileRenameInformation(replace_if_exists=False, root_directory=0)
        self.client.set_info(file, FileInfo.RENAME, pack_with_name(record, new))
        self.client.close(file)
