"""A file is cold when none of it can be read without waiting."""

import os

import pytest

from benchmarks import cold
from benchmarks.servers import Server
from benchmarks.share import FILE


@pytest.fixture
def cooled(tmp_path) -> Server:
    (tmp_path / FILE).write_bytes(bytes(1 << 20))
    return Server("smbport", "0", 1, os.getpid(), "u", "p", tmp_path)


def test_what_was_just_written_is_cached(cooled) -> None:
    descriptor = os.open(cooled.path / FILE, os.O_RDONLY)
    assert cold.is_cached(descriptor)
    os.close(descriptor)


def test_it_says_how_it_was_done(cooled, monkeypatch) -> None:
    answers = [False]
    monkeypatch.setattr(cold, "is_cached", lambda descriptor: answers.pop(0))
    assert cold.cool(cooled) == "cold by posix_fadvise"


def test_it_is_read_again_for_whoever_comes_next(cooled) -> None:
    cold.cool(cooled)
    cold.warm(cooled)
    with (cooled.path / FILE).open("rb") as file:
        assert cold.is_cached(file.fileno())


def test_the_last_resort_and_its_failure(cooled, monkeypatch, tmp_path) -> None:
    switch = tmp_path / "drop_caches"
    monkeypatch.setattr(cold, "DROP_CACHES", switch)
    answers = [True, False, True, True]
    monkeypatch.setattr(cold, "is_cached", lambda descriptor: answers.pop(0))
    assert cold.cool(cooled) == "cold by drop_caches"
    assert switch.read_text() == "1"
    with pytest.raises(OSError, match="keeps the file"):
        cold.cool(cooled)
