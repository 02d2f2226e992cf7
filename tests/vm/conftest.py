"""One machine and one server for all tests; a share mounted anew for each."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.vm.machine import Machine
from tests.vm.machines import client_machine
from tests.vm.mounting import Mount, Mounter
from tests.vm.server import Server

COMPLAINT: Final = re.compile(r"CIFS|BUG|Oops|Call Trace|blocked for more than")
HARMLESS: Final = re.compile(r"interrupted close|failed rc=-512")  # a process was killed while it waited for an answer


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with client_machine(tmp_path_factory.mktemp("machine")) as machine:
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
