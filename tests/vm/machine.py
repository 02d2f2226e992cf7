"""A QEMU machine under software emulation, whose root is this computer's own, read-only.

Whatever is installed here runs there at the same path.  The guest's 10.0.2.2 is this computer's 127.0.0.1.
"""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from tests.vm.kernel import Kernel, pack_initrd

__all__ = ["GuestError", "Machine", "MachineError"]

MEMORY_MIB: Final = 768
BOOT_TIMEOUT_S: Final = 180.0  # a quiet computer takes 5
JOB_TIMEOUT_S: Final = 120.0
STOP_TIMEOUT_S: Final = 10.0
CONSOLE_TAIL: Final = 3000
AGENT: Final = Path(__file__).with_name("agent.py")

# 9p shows this computer's root; user networking reaches its loopback; the port carries jobs and their answers.
DEVICES: Final = (
    "-netdev", "user,id=net,ipv6=off",
    "-device", "virtio-net-pci,netdev=net,romfile=",
    "-device", "virtio-serial-pci",
    "-device", "virtserialport,chardev=agent",
    "-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap",
    "-device", "virtio-9p-pci,fsdev=host,mount_tag=host",
    "-object", "rng-random,id=random,filename=/dev/urandom",
    "-device", "virtio-rng-pci,rng=random",
)  # fmt: skip
# Errors reach the console, and a fault of the kernel ends the machine instead of leaving it half alive.
KERNEL_OPTIONS: Final = (
    "console=ttyS0 quiet panic=-1 oops=panic tsc=reliable no_timer_check mitigations=off rcupdate.rcu_expedited=1 "
    "random.trust_cpu=on audit=0 selinux=0 apparmor=0"
)

Result = TypeVar("Result")


class GuestError(Exception):
    """A job raised something; the text is its traceback and what it printed."""


class MachineError(Exception):
    """The machine did not start, went away or did not answer in time; the text has the end of its console."""


class Machine:
    """Boots when it is first needed, and again if a job brought it down."""

    def __init__(self, kernel: Kernel, busybox: Path, program: Path, folder: Path) -> None:
        """`program` is the file whose functions `call` can run; `folder` takes the machine's own files."""
        self._kernel = kernel
        self._initrd = folder / "initrd"
        self._initrd.write_bytes(pack_initrd(kernel, busybox, [sys.executable, "-I", "-S", str(AGENT), str(program)]))
        self._console = folder / "console"
        self._console.touch()
        self._console_seen = 0
        self._boot: _Boot | None = None
        self._jobs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        if self._boot:
            self._boot.stop()
            self._boot = None

    def call(self, function: Callable[..., Result], *arguments: object, folder: str = "/") -> Result:
        """Run a function of the program in the guest.  Arguments and result must be at home in JSON."""
        result: Result = self.wait(self.start(function, *arguments, folder=folder))
        return result

    def start(self, function: Callable[..., object], *arguments: object, folder: str = "/") -> int:
        """Begin a job; returns its number."""
        with self._explained():
            if not self._boot:
                self._boot = _Boot(self._kernel.image, self._initrd, self._console)
            self._jobs += 1
            request = {"job": self._jobs, "function": function.__name__, "arguments": arguments, "folder": folder}
            self._boot.send(request)
        return self._jobs

    def wait(self, job: int) -> Any:
        """The result of a job."""

