"""Volumes over real directories: the Linux port with openat2 and without, and the plain POSIX one."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smbport.platform import Account
from smbport.posix.port import PosixPlatform
from smbport.posix.volume import PosixVolume
from smbport.posix.walk import Root, Walker
from smbport_linux.platform import LinuxPlatform, probe
from smbport_linux.volume import LinuxVolume, find_linux_features

USER = Account("user", 12345, 12346, (12346, 12347))  # nobody of that name needs to exist


@pytest.fixture(scope="session")
def platform() -> LinuxPlatform:
    return probe()


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """The root of the volumes; beside it there is something to be protected."""
    root = tmp_path / "share"
    root.mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    (tmp_path / "secret").write_text("secret")
    return root


def open_walked(platform: LinuxPlatform, path: Path) -> LinuxVolume:
    """As on a kernel without openat2."""
    root = Root(str(path))
    return LinuxVolume(root, find_linux_features(root), platform.umask, Walker(root), platform.own)


@pytest.fixture
def volume(platform: LinuxPlatform, share: Path) -> Iterator[LinuxVolume]:
    opened = platform.open_volume(str(share))
    assert isinstance(opened, LinuxVolume)
    yield opened
    opened.close()


@pytest.fixture(params=["openat2", "walker", "posix"])
def any_volume(request: pytest.FixtureRequest, platform: LinuxPlatform, share: Path) -> Iterator[PosixVolume]:
    if request.param == "openat2":
        opened = platform.open_volume(str(share))
    elif request.param == "walker":
        opened = open_walked(platform, share)
    else:
        opened = PosixPlatform().open_volume(str(share))
    assert isinstance(opened, PosixVolume)
    yield opened
    opened.close()


@pytest.fixture(params=["openat2", "walker"])
def linux_volume(request: pytest.FixtureRequest, platform: LinuxPlatform, share: Path) -> Iterator[LinuxVolume]:
    opened = open_walked(platform, share) if request.param == "walker" else platform.open_volume(str(share))
    assert isinstance(opened, LinuxVolume)
    yield opened
    opened.close()


@pytest.fixture
def user(tmp_path: Path) -> Account:
    """An account that may reach the volumes.  Only root can act as it."""
    if os.geteuid():
        pytest.skip("acting as another account takes root")
    directory = tmp_path
    while directory != directory.parent and not directory.stat().st_mode & 0o001:
        directory.chmod(directory.stat().st_mode | 0o011)  # pytest's directories are for their owner only
        directory = directory.parent
    return USER


@pytest.fixture
def mounted() -> Iterator[Callable[[Path, str], None]]:
    """Mount a tmpfs somewhere for the length of a test."""
    points: list[Path] = []

    def mount(point: Path, options: str) -> None:
        point.mkdir(exist_ok=True)
        ran = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "smbport-test", point], capture_output=True)
        if ran.returncode:
            pytest.skip("cannot mount a tmpfs: " + ran.stderr.decode(errors="replace").strip())
        points.append(point)

    yield mount
    for point in reversed(points):
        subprocess.run(["umount", point], check=True)
