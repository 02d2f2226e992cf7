"""FreeBSD 13, 14 and 15 as far as they can be had on Linux: the port over a stand-in for FreeBSD's C library."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smbport_freebsd.platform import FreeBSDPlatform, probe
from smbport_freebsd.volume import FreeBSDVolume
from tests.platforms.freebsd.standin import RELEASES, CannotBuild, Library, StandIn, build


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Library]:
    """The stand-in of a release, built when it is first asked for."""
    directory = tmp_path_factory.mktemp("standin")
    built: dict[int, Library] = {}

    def find(release: int) -> Library:
        if release not in built:
            try:
                built[release] = Library(build(directory, release))
            except CannotBuild as error:
                pytest.skip(str(error))
        return built[release]

    return find


@pytest.fixture(params=RELEASES, ids=lambda release: f"freebsd{release}")
def platform(request: pytest.FixtureRequest, library: Callable[[int], Library]) -> FreeBSDPlatform:
    """The port, as it is on each release."""
    return probe(StandIn(library(request.param)))


@pytest.fixture
def newest(library: Callable[[int], Library]) -> FreeBSDPlatform:
    """The port, as it is on the newest release."""
    return probe(StandIn(library(RELEASES[-1])))


@pytest.fixture
def older(library: Callable[[int], Library]) -> FreeBSDPlatform:
    """The port, as it is on the newest release without inotify."""
    return probe(StandIn(library(14)))


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """The root of a volume."""
    root = tmp_path / "share"
    root.mkdir(mode=0o755)
    return root


@pytest.fixture
def volume(newest: FreeBSDPlatform, share: Path) -> Iterator[FreeBSDVolume]:
    opened = newest.open_volume(str(share))
    assert isinstance(opened, FreeBSDVolume)
    yield opened
    opened.close()
