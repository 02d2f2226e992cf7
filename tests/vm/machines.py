"""Which machines the tests boot, and what that takes.  Where it is missing tests are skipped, and pytest says why."""

import platform
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.vm import client, daemon
from tests.vm.kernel import SERVER, Kernel, KernelMissing, find_kernel
from tests.vm.machine import Machine

__all__ = ["CLIENTS", "SERVERS", "client_machine", "server_machine"]

# Names of kernels, and from whose backports they are; "" is the newest in the cache, or the one that apt offers here.
CLIENTS: Final = {"stable": "", "newer": "trixie"}
SERVERS: Final = {"6.12": "bookworm", "7.3": "trixie"}  # that of Debian 12 itself crashes
NEEDED: Final = ("qemu-system-x86_64", "busybox", "mount.cifs", "apt-get", "apt-cache", "dpkg-deb", "setpriv")


def client_machine(folder: Path, backports_of: str = "", needed: Sequence[str] = ()) -> Machine:
    """One that mounts shares.  `folder` takes its files, `needed` are programs that its tests run."""
    return Machine(_find(backports_of, needed), _find_busybox(), Path(client.__file__), folder)


def server_machine(
    folder: Path,
    backports_of: str,
    port: int,
    needed: Sequence[str] = (),
    *,
    processors: int = 1,
    counted: bool = False,
) -> Machine:
    """One whose kernel can serve, at `port` of this computer."""
    kernel, program = _find(backports_of, needed), Path(daemon.__file__)
    return Machine(kernel, _find_busybox(), program, folder, SERVER, port, processors=processors, counted=counted)


def _find(backports_of: str, needed: Sequence[str]) -> Kernel:
    missing = [name for name in (*NEEDED, *needed) if not shutil.which(name)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if platform.machine() != "x86_64":
        pytest.skip("the machine's kernel is for x86_64")
    try:
        return find_kernel(backports_of)
    except KernelMissing as error:
        pytest.skip(str(error))


def _find_busybox() -> Path:
    busybox = Path(shutil.which("busybox") or "")
    if b"/lib64/ld-linux" in busybox.read_bytes():
        pytest.skip(f"{busybox} is not static; install busybox-static")
    return busybox
