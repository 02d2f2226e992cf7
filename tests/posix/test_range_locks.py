"""smbport.posix.range_locks, over a system whose calls are looked at; tests/platforms/linux has a real one."""

import errno
import fcntl
from contextlib import closing
from pathlib import Path

import pytest

from smbport.platform import ACCESS_NONE, ACCESS_READ, ACCESS_WRITE, File
from smbport.posix.port import PosixPlatform
from smbport.posix.range_locks import END, PosixRangeLocks

SET = 4711
power = PosixRangeLocks(SET, lambda *flock: flock)


@pytest.fixture
def asked(monkeypatch):
    """What is asked of the system, which answers with the errors in `failing`."""
    real, asked = fcntl.fcntl, Asked()

    def answer(fd, command, *rest):
        if command != SET:
            return real(fd, command, *rest)
        asked.extend(rest)
        if asked.failing:
            raise OSError(asked.failing, "refused")
        return 0

    monkeypatch.setattr(fcntl, "fcntl", answer)
    return asked


class Asked(list):
    failing = 0


@pytest.fixture
def volume(tmp_path: Path):
    (tmp_path / "file").touch()
    with closing(PosixPlatform().open_volume(str(tmp_path))) as opened:
        yield opened


@pytest.fixture
def file(volume):
    with closing(volume.open("file", ACCESS_READ | ACCESS_WRITE, wait=True)) as opened:
        yield opened


def test_what_is_asked(asked, file: File):
    assert power.lock(file, 5, 10, exclusive=True, wait=True)
    assert power.lock(file, 20, 10, exclusive=False, wait=True)
    power.unlock(file, 5, 10, wait=True)
    assert asked == [(fcntl.F_WRLCK, 5, 10), (fcntl.F_RDLCK, 20, 10), (fcntl.F_UNLCK, 5, 10)]


def test_ranges_that_the_system_cannot_name(asked, file: File):
    for offset, length in ((END + 1, 1), ((1 << 64) - 1, 1), (7, 0)):
        assert power.lock(file, offset, length, exclusive=True, wait=True)
    assert asked == []
    assert power.lock(file, 50, (1 << 64) - 50, exclusive=True, wait=True)
    assert power.lock(file, END, 1, exclusive=True, wait=True)
    assert power.lock(file, END - 1, 1, exclusive=True, wait=True)
    assert asked == [(fcntl.F_WRLCK, 50, 0), (fcntl.F_WRLCK, END, 0), (fcntl.F_WRLCK, END - 1, 1)]


def test_as_far_as_the_access_of_a_handle_allows(asked, volume):
    for access, exclusive, expected in (
        (ACCESS_READ, True, [(fcntl.F_RDLCK, 0, 1)]),
        (ACCESS_READ, False, [(fcntl.F_RDLCK, 0, 1)]),
        (ACCESS_WRITE, True, [(fcntl.F_WRLCK, 0, 1)]),
        (ACCESS_WRITE, False, []),
    ):
        with closing(volume.open("file", access, wait=True)) as file:
            assert power.lock(file, 0, 1, exclusive=exclusive, wait=True)
        assert asked == expected
        asked.clear()


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EACCES])
def test_what_another_has_locked(asked, file: File, number: int):
    asked.failing = number
    assert not power.lock(file, 0, 1, exclusive=True, wait=True)


def test_other_errors_are_told(asked, file: File):
    asked.failing = errno.ENOLCK
    with pytest.raises(OSError, match="refused"):
        power.lock(file, 0, 1, exclusive=True, wait=True)


def test_it_may_wait_unless_the_file_says_otherwise(asked, file: File, monkeypatch):
    for call in (lambda: power.lock(file, 0, 1, exclusive=True), lambda: power.unlock(file, 0, 1)):
        with pytest.raises(BlockingIOError):
            call()
    monkeypatch.setattr(type(file), "inline", True)
    assert power.lock(file, 0, 1, exclusive=True)


def test_a_handle_without_a_descriptor(volume, tmp_path: Path):
    (tmp_path / "link").symlink_to("file")
    link = volume.open("link", ACCESS_NONE, follow=False, wait=True)
    with closing(link), pytest.raises(OSError, match="descriptor"):
        power.lock(link, 0, 1, exclusive=True, wait=True)
