"""The exam, for what can run here: memory, the plain POSIX parts, and every installed port for this system."""

from importlib.metadata import entry_points

import pytest

from smbport.platform import Account
from smbport.posix import port as posix
from smbport.testing.kit import CHECKS, examine
from smbport.testing.memory import MemoryPlatform

ALWAYS = {
    "memory": lambda: MemoryPlatform(accounts=[Account("nobody", 65534, 65534)]),
    "posix": lambda: posix.PORT.probe(),
}
INSTALLED = {point.name: point for point in entry_points(group="smbport.platforms") if point.name not in ALWAYS}


@pytest.fixture(scope="module", params=[*ALWAYS, *INSTALLED])
def platform(request):
    if request.param in ALWAYS:
        return ALWAYS[request.param]()
    port = INSTALLED[request.param].load()
    assert port.name == request.param
    if not port.matches():
        pytest.skip(f"{port.name} is not meant for this system")
    return port.probe()


@pytest.fixture
def path(tmp_path):
    tmp_path.chmod(0o755)  # so that other accounts may enter
    return tmp_path


@pytest.mark.parametrize("check", CHECKS)
def test_port(platform, path, check):
    (finding,) = examine(platform, str(path), [check]).findings
    assert finding.outcome != "failed", finding.detail
    assert list(path.iterdir()) == []


def test_the_memory_port_is_installed():
    (point,) = entry_points(group="smbport.platforms", name="memory")
    assert point.load().probe().name == "memory"
