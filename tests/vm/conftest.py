"""One machine and one server for all tests; a share mounted anew for each."""

import platform
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.vm import client
from tests.vm.kernel import KernelMissing, find_kernel
from tests.vm.machine import Machine
from tests.vm.mounting import Mount, Mounter
from tests.vm.server import Server

NEEDED: Final = ("qemu-system-x86_64", "busybox", "mount.cifs", "apt-get", "apt-cache", "dpkg-deb", "setpriv")
COMPLAINT: Final = re.compile(r"CIFS|BUG|Oops|Call Trace|blocked for more than")
HARMLESS: Final = re.compile(r"interrupted close|failed rc=-512")  # a process was killed while it waited for an answer


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if platform.machine() != "x86_64":
        pytest.skip("the machine's kernel is for x86_64")
    busybox = Path(shutil.which("busybox") or "")
    if b"/lib64/ld-linux" in busybox.read_bytes():
        pytest.skip(f"{busybox} is not static; install busybox-static")
    try:
        kernel = find_kernel()
    except KernelMissing as error:
        pytest.skip(str(error))
    with Machine(kernel, busybox, Path(client.__file__), tmp_path_factory.mktemp("machine")) as machine:
        yield machine


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(autouse=True)
def no_complaints(machine: Machine, server: Server) -> Iterator[None]:
    """After each test: the kernel reported no error, the server met no bug and kept no file open."""
    yield
    assert [line for line in machine.news() if COMPLAINT.search(line) and not HARMLESS.search(line)] == []
    assert server.bugs() == []
    assert server.open_files() == []


@pytest.fixture
def mounter(machine: Machine, server: Server, tmp_path: Path) -> Mounter:
    return Mounter(machine, server, tmp_path.name)


@pytest.fixture
def mount(mounter: Mounter, request: pytest.FixtureRequest) -> Iterator[Mount]:
    """The share of the server; tests choose the mode as an indirect parameter."""
    with mounter(getattr(request, "param", "3.1.1-plain")) as mount:
        yield mount
