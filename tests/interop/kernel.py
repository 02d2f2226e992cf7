"""The same servers, with the data in a kernel: one machine and one daemon for all tests, which reload it."""

import base64
import io
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, ClassVar, Final, Self

import pytest

from smbport.testing.client import Client, SocketLink
from smbport.users import UserStore
from tests.vm import daemon
from tests.vm.ksmbd.conftest import COMPLAINT
from tests.vm.machine import Machine
from tests.vm.machines import server_machine

__all__ = ["GuestPath", "KernelServe", "KernelServed"]

USER_DATABASE: Final = "/run/users.db"
PIECE: Final = 1 << 20


# The other side's files ------------------------------------------------------------------------------------------


class GuestPath(PurePosixPath):
    """A path in the machine, with what tests want of `pathlib.Path`."""

    machine: ClassVar[Machine]

    def _do(self, method: str, *arguments: object) -> Any:
        packed = [{"bytes": base64.b64encode(each).decode()} if isinstance(each, bytes) else each for each in arguments]
        return self.machine.call(daemon.use_path, str(self), method, packed)

    def read_bytes(self) -> bytes:
        return base64.b64decode(self._do("read_bytes"))

    def open(self, mode: str) -> io.BytesIO:
        """For reading, in pieces that the way between is wide enough for."""
        assert mode == "rb"
        size = self.stat().st_size
        pieces = [self.machine.call(daemon.read_piece, str(self), at, PIECE) for at in range(0, size, PIECE)]
        return io.BytesIO(b"".join(map(base64.b64decode, pieces)))

    def read_text(self) -> str:
        return self.read_bytes().decode()

    def write_bytes(self, data: bytes) -> None:
        self._do("write_bytes", data)

    def write_text(self, text: str) -> None:
        self._do("write_bytes", text.encode())

    def exists(self) -> bool:
        return bool(self._do("exists"))

    def is_file(self) -> bool:
        return bool(self._do("is_file"))

    def is_dir(self) -> bool:
        return bool(self._do("is_dir"))

    def samefile(self, other: "GuestPath") -> bool:
        return bool(self._do("samefile", str(other)))

    def iterdir(self) -> Iterator["GuestPath"]:
        return map(type(self), self._do("iterdir"))

    def rglob(self, pattern: str) -> Iterator["GuestPath"]:
        return map(type(self), self._do("rglob", pattern))

    def stat(self) -> SimpleNamespace:
        return SimpleNamespace(**self._do("stat"))

    def mkdir(self, *, parents: bool = False) -> None:
        self._do("mkdir", 0o777, parents)

    def touch(self) -> None:
        self._do("touch")

    def unlink(self) -> None:
        self._do("unlink")

    def chmod(self, mode: int) -> None:
        self._do("chmod", mode)

    def symlink_to(self, target: object) -> None:
        self._do("symlink_to", str(target))


# The server ------------------------------------------------------------------------------------------------------


@dataclass
class KernelServed:
    """As `Served`: the server as one test has it configured."""

    host: str
    port: int
    directory: GuestPath
    user: str
    password: str
    log_since: int

    def path(self, name: str = "", share: str = "data") -> GuestPath:
        return self.directory / share / name

    def names(self, name: str = "", share: str = "data") -> list[str]:
        return sorted(path.name for path in self.path(name, share).iterdir())

    def log(self) -> str:
        return self.directory.machine.call(daemon.log)[self.log_since :]


class KernelServe:
    """As `Serve`, but one server at a time.  Servers of a certain platform are left to `serve_here`."""

    def __init__(self, backports_of: str, folder: Path, user: str, password: str, write: Callable[..., str]) -> None:
        """`write` makes TOML of tables."""
        with socket.create_server(("127.0.0.1", 0)) as sock:
            self._port = int(sock.getsockname()[1])
        self._machine = server_machine(folder, backports_of, self._port)
        self._user, self._password, self._write = user, password, write
        self._users = folder / "users.db"
        with UserStore.open(self._users, create=True) as store:
            store.add(user, password)
        self._path = type("GuestPath", (GuestPath,), {"machine": self._machine})
        self._process = 0
        self._ends = 0  # of the machine, when the daemon was started
        self._served = 0
        self.serve_here: Callable[..., Any] = pytest.fail

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._machine.stop()

    def __call__(
        self,
        *,
        server: Mapping[str, object] | None = None,
        limits: Mapping[str, object] | None = None,
        shares: Mapping[str, Mapping[str, object]] | None = None,
        platform: str | None = None,
        **more: object,
    ) -> Any:
        if platform:
            return self.serve_here(server=server, limits=limits, shares=shares, platform=platform, **more)
        assert not more, f"there are one address and one file of users: {more}"
        if not self._runs():
            self._process = 0
            self._machine.call(daemon.prepare, str(self._users), [], [])
            self._ends = self._machine.ends
        log_since = len(self._machine.call(daemon.log)) if self._process else 0
        self._served += 1
        directory = self._path(f"/run/served-{self._served}")
        own = {"platform": "linux-kernel", "listen": [":445"], "users": USER_DATABASE}
        tables = {"server": {**(server or {}), **own}, "limits": limits or {}}
        for name, settings in (shares or {"data": {}}).items():
            path = directory / name
            path.mkdir(parents=True)
            tables[f"share.{json.dumps(name)}"] = {"path": str(path), "run_as": "server", **settings}
        self._configure(self._write(tables))
        link = SocketLink.connect("127.0.0.1", self._port)
        Client(link).negotiate()
        link.close()
        return KernelServed("127.0.0.1", self._port, directory, self._user, self._password, log_since)

    def _runs(self) -> bool:
        """Not before the first test, nor after one that brought the machine down."""
        return bool(self._process) and self._machine.ends == self._ends

    def _configure(self, text: str) -> None:
        """`--allow-missing`, so that what ksmbd does instead is seen; that it stops the start is tested elsewhere."""
        if not self._process:
            self._process = self._machine.call(daemon.start, text, "--allow-missing")
            return
        said = self._machine.call(daemon.reload, self._process, text)
        assert "all is as before" not in said, said

    def stop(self) -> None:
        """After a test or a module: its files go, and the kernel has met no bug."""
        if self._runs():
            self._machine.call(daemon.remove_served)
        assert [line for line in self._machine.news() if COMPLAINT.search(line)] == []
