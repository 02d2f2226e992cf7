"""Shares mounted in the guest."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from tests.vm import client
from tests.vm.machine import Machine
from tests.vm.server import PASSWORD, USER, Server

__all__ = ["DIALECTS", "SECURITY", "Mount", "Mounter", "Refused"]

DIALECTS: Final = {"2.0": 0x202, "2.1": 0x210, "3.0": 0x300, "3.02": 0x302, "3.1.1": 0x311, "default": 0x311}
SECURITY: Final = {"plain": "sec=ntlmssp", "sign": "sec=ntlmsspi", "seal": "sec=ntlmssp,seal"}

Result = TypeVar("Result")


class Refused(Exception):
    """mount.cifs did not mount; the text is what it said."""


@dataclass(frozen=True)
class Mount:
    """A share as the guest has it mounted, and the folder in it that belongs to one test."""

    machine: Machine
    guest_folder: str
    folder: Path  # the same on this computer

    def call(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Run a function of client.py or its neighbours in the folder."""
        return self.machine.call(function, *arguments, folder=self.guest_folder)

    def start(self, function: Callable[..., object], *arguments: object) -> int:
        return self.machine.start(function, *arguments, folder=self.guest_folder)


class Mounter:
    """Mounts shares of a server for one test, each at a place of its own."""

    def __init__(self, machine: Machine, server: Server, test: str) -> None:
        self._machine = machine
        self._server = server
        self._test = test
        self._numbers = itertools.count()

    @contextmanager
    def __call__(
        self, mode: str, *options: str, share: str = "data", server: Server | None = None, password: str = PASSWORD
    ) -> Iterator[Mount]:
        """`mode` is a version and a kind of security, such as "3.1.1-seal".  Raises Refused."""
        server = server or self._server
        folder = server.share / self._test
        folder.mkdir(exist_ok=True)
        root = f"/run/{self._test}-{next(self._numbers)}"
        version, _, security = mode.partition("-")
        text = ",".join(
            [f"vers={version},{SECURITY[security]},port={server.port},username={USER},iocharset=utf8", *options]
        )
        refusal = self._machine.call(client.mount, f"//10.0.2.2/{share}", root, text, password)
        if refusal:
            raise Refused("\n".join([refusal, *self._machine.news()]))  # of which the kernel complained, too
        ends = self._machine.ends
        try:
            yield Mount(self._machine, f"{root}/{self._test}", folder)
        finally:
            if self._machine.ends == ends:  # else the mount has gone with the machine
                self._machine.call(client.unmount, root)
