"""A QEMU machine under software emulation, whose root is this computer's own, read-only.

Whatever is installed here runs there at the same path.  The guest's 10.0.2.2 is this computer's 127.0.0.1.
"""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from tests.vm.kernel import CLIENT, Kernel, pack_initrd

__all__ = ["GuestError", "Machine", "MachineError"]

MEMORY_MIB: Final = 768
BOOT_TIMEOUT_S: Final = 180.0  # a quiet computer takes 5
JOB_TIMEOUT_S: Final = 90.0
STOP_TIMEOUT_S: Final = 10.0
CONSOLE_TAIL: Final = 3000
DIES_WITH_PARENT: Final = ("setpriv", "--pdeathsig", "KILL")  # so that a killed test run leaves no machine behind
AGENT: Final = Path(__file__).with_name("agent.py")
ROOT: Final = Path(__file__).parents[2]

# 9p shows this computer's root; user networking reaches its loopback; the port carries jobs and their answers.
DEVICES: Final = (
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
COUNTED: Final = ("-icount", "shift=0,sleep=off")

Result = TypeVar("Result")


class GuestError(Exception):
    """A job raised something; the text is its traceback and what it printed."""


class MachineError(Exception):
    """The machine did not start, went away or did not answer in time; the text has the end of its console."""


class Machine:
    """Boots when it is first needed, and again if a job brought it down."""

    def __init__(
        self,
        kernel: Kernel,
        busybox: Path,
        program: Path,
        folder: Path,
        modules: Sequence[str] = CLIENT,
        port: int = 0,
        *,
        processors: int = 1,
        counted: bool = False,
    ) -> None:
        """`program` is the file whose functions `call` runs most; `folder` takes the machine's own files.

        Port 445 of the guest is `port` of this computer, if that is not 0.  If time is `counted`, each instruction of
        the guest takes it a nanosecond and waiting takes none, whatever else this computer has to do; that is possible
        with one processor only.
        """
        self._kernel = kernel
        self._initrd = folder / "initrd"
        module = ".".join(program.relative_to(ROOT).with_suffix("").parts)
        command = [sys.executable, "-I", "-S", str(AGENT), str(ROOT), module]
        self._initrd.write_bytes(pack_initrd(kernel, busybox, command, modules))
        self._processors = ("-smp", str(processors), *(COUNTED if counted else ()))
        self._network = f"user,id=net,ipv6=off,hostfwd=tcp:127.0.0.1:{port}-:445" if port else "user,id=net,ipv6=off"
        self._console = folder / "console"
        self._console.touch()
        self._read_until = 0
        self._guest: _Guest | None = None
        self._jobs = 0
        self.ends = 0  # how often it went down: what was mounted before is gone

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Nothing needs saving: the guest writes to its memory and to servers only."""
        if self._guest:
            self._guest.stop()
            self._guest = None
            self.ends += 1

    def call(self, function: Callable[..., Result], *arguments: object, folder: str = "/") -> Result:
        """Run a function of some module in the guest.  Arguments and result must be at home in JSON."""
        result: Result = self.wait(self.start(function, *arguments, folder=folder))
        return result

    def start(self, function: Callable[..., object], *arguments: object, folder: str = "/") -> int:
        """Begin a job, beside others; returns its number for `wait`."""
        with self._stopped_by_errors():
            if not self._guest:
                self._guest = _Guest(self._kernel.image, self._initrd, self._console, self._network, self._processors)
            self._jobs += 1
            request = {
                "job": self._jobs,
                "module": function.__module__,
                "function": function.__name__,
                "arguments": arguments,
                "folder": folder,
            }
            self._guest.send(request)
        return self._jobs

    def wait(self, job: int, timeout_s: float = JOB_TIMEOUT_S) -> Any:
        """What the job's function returned.  Raises GuestError for what it raised."""
        assert self._guest
        with self._stopped_by_errors():
            answer = self._guest.answer(job, timeout_s)
        if "error" in answer:
            raise GuestError(f"{answer['error']}{answer['output']}")
        return answer["result"]

    @contextmanager
    def _stopped_by_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.stop()
            tail = self._console.read_text(errors="replace")[-CONSOLE_TAIL:]
            raise MachineError(f"{error}\n{tail}") from error

    def news(self) -> list[str]:
        """The lines that came to the console since the last call: errors of the kernel."""
        text = self._console.read_text(errors="replace")
        news = text[self._read_until :].splitlines()
        self._read_until = len(text)
        return news


class _Guest:
    """From power on to power off.  Whatever goes wrong is an OSError."""

    def __init__(self, image: Path, initrd: Path, console: Path, network: str, processors: Sequence[str]) -> None:
        self._port, theirs = socket.socketpair()
        self._unread = b""
        self._answers: dict[int, dict[str, Any]] = {}
        with theirs, console.open("ab") as log:
            command = [
                *DIES_WITH_PARENT,
                "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-machine", "pc,usb=off,vmport=off,graphics=off", "-accel", "tcg", "-cpu", "max", "-m", str(MEMORY_MIB),
                "-kernel", str(image), "-initrd", str(initrd), "-append", KERNEL_OPTIONS,
                "-chardev", f"file,id=console,path={console},append=on", "-serial", "chardev:console",
                "-chardev", f"socket,id=agent,fd={theirs.fileno()}", "-netdev", network, *processors, *DEVICES,
            ]  # fmt: skip
            self._qemu = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[theirs.fileno()]
            )
        try:
            self._receive(time.monotonic() + BOOT_TIMEOUT_S)  # the agent's greeting
        except OSError:
            self.stop()
            raise

    def stop(self) -> None:
        self._qemu.kill()
        self._qemu.wait(STOP_TIMEOUT_S)
        self._port.close()

    def send(self, request: dict[str, Any]) -> None:
        self._port.settimeout(JOB_TIMEOUT_S)
        self._port.sendall(json.dumps(request).encode() + b"\n")

    def answer(self, job: int, timeout_s: float) -> dict[str, Any]:
        """Answers come in any order."""
        deadline = time.monotonic() + timeout_s
        while job not in self._answers:
            answer = self._receive(deadline)
            self._answers[answer["job"]] = answer
        return self._answers.pop(job)

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\n" not in self._unread:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("the guest does not answer")
            self._port.settimeout(left_s)
            data = self._port.recv(1 << 16)
            if not data:
                raise ConnectionError("the machine is gone")
            self._unread += data
        line, self._unread = self._unread.split(b"\n", 1)
        message: dict[str, Any] = json.loads(line)
        return message
