"""smbport.registry: the port for this system, or a sentence saying why none."""

import importlib.metadata
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from smbport.platform import POWERS
from smbport.registry import GROUP, AmbiguousPlatform, NoPlatform, PlatformError, describe, find, installed


@dataclass
class FakePort:
    """Its platform is its own name."""

    name: str
    here: bool = False
    error: Exception | None = None

    def matches(self):
        return self.here

    def probe(self):
        if self.error is not None:
            raise self.error
        return f"platform {self.name}"


@dataclass
class FakeEntry:
    port: FakePort
    value: str = "package:PORT"
    error: Exception | None = None
    loads: list = field(default_factory=list)

    @property
    def name(self):
        return self.port.name

    def load(self):
        self.loads.append(self.name)
        if self.error is not None:
            raise self.error
        return self.port


LINUX, QNX, MEMORY = FakePort("linux", here=True), FakePort("qnx"), FakePort("memory")


def entries(*ports):
    return [FakeEntry(port) for port in ports]


def test_the_one_that_matches_is_found():
    assert find(entries=entries(QNX, LINUX, MEMORY)) == "platform linux"


def test_a_name_is_found_without_loading_the_others():
    qnx, linux = entries(QNX, LINUX)
    linux.error = ImportError("broken")
    assert find("qnx", [linux, qnx]) == "platform qnx"
    assert linux.loads == []


def test_an_unknown_name():
    with pytest.raises(NoPlatform, match=r"^there is no port 'beos'; installed are linux, qnx$"):
        find("beos", entries(QNX, LINUX))
    with pytest.raises(NoPlatform, match=r"^there is no port 'beos'; installed are none$"):
        find("beos", [])


def test_none_for_this_system():
    with pytest.raises(NoPlatform, match=r"^no installed port is meant for this system; .*: memory, qnx$"):
        find(entries=entries(QNX, MEMORY))


def test_two_for_this_system():
    with pytest.raises(AmbiguousPlatform, match=r"^several ports are meant for this system; .*: linux, other$"):
        find(entries=entries(FakePort("other", here=True), LINUX, QNX))


def test_two_of_one_name():
    twins = [FakeEntry(LINUX, "a:PORT"), FakeEntry(LINUX, "b:PORT")]
    with pytest.raises(AmbiguousPlatform, match=r"^several distributions have a port 'linux' \(a:PORT, b:PORT\)"):
        find("linux", twins)


def test_the_same_entry_point_seen_twice_is_one():
    assert find("linux", entries(LINUX, LINUX)) == find(entries=entries(LINUX, LINUX)) == "platform linux"


@pytest.mark.parametrize("error", [ImportError("no module named x"), AttributeError("no module named x")])
@pytest.mark.parametrize("name", [None, "linux"])
def test_a_port_that_does_not_load(name, error):
    with pytest.raises(PlatformError, match=r"^the port linux \(package:PORT\) does not load: no module named x; "):
        find(name, [FakeEntry(LINUX, error=error)])


@pytest.mark.parametrize("error", [OSError("too old"), RuntimeError("too old")])
def test_a_port_that_finds_its_system_unfit(error):
    with pytest.raises(PlatformError, match=r"^the port linux cannot be used: too old$"):
        find(entries=entries(FakePort("linux", here=True, error=error)))


def test_installed_ports_are_in_order_and_not_probed():
    broken = FakePort("linux", error=AssertionError("probed"))
    assert [port.name for port in installed(entries(QNX, broken, MEMORY))] == ["linux", "memory", "qnx"]


def test_entry_points_of_the_group_are_the_default(monkeypatch):
    asked = []

    def entry_points(*, group):
        asked.append(group)
        return entries(LINUX)

    monkeypatch.setattr("smbport.registry.entry_points", entry_points)
    assert installed() == [LINUX]
    assert find() == "platform linux"
    assert asked == [GROUP, GROUP]


def test_an_entry_point_of_the_standard_library_fits():
    entry = importlib.metadata.EntryPoint("powers", "smbport.platform:POWERS", GROUP)
    assert installed([entry]) == [POWERS]


def test_powers_are_described_with_the_reason_for_each_absence():
    absent = dict.fromkeys(POWERS, "not on this system") | {"watch": "inotify is full"}
    del absent["clone"]
    platform = SimpleNamespace(**dict.fromkeys(POWERS), absent=absent)
    platform.identity = object()
    rows = {power: (present, reason) for power, present, reason in describe(platform)}
    assert tuple(rows) == POWERS
    assert rows["identity"] == (True, "")
    assert rows["watch"] == (False, "inotify is full")
    assert rows["clone"] == (False, "the port gives no reason")
    assert rows["acl"] == (False, "not on this system")
