"""smbport.posix.port"""

import os
from contextlib import closing
from pathlib import Path

import pytest

from smbport.platform import POWERS, Port
from smbport.posix import port as module
from smbport.posix.port import KEPT, PORT


def test_the_port_is_never_chosen_by_itself():
    port: Port = PORT
    assert port.name == "posix"
    assert port.matches() is False


def test_it_has_what_sqlite_gives_and_says_why_not_more():
    platform = PORT.probe()
    assert platform.name == "posix"
    assert {power for power in POWERS if getattr(platform, power) is not None} == set(KEPT)
    assert set(platform.absent) == set(POWERS) - set(KEPT)
    assert platform.sockets.interfaces() == []


def test_a_python_without_sqlite(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    platform = PORT.probe()
    assert all(getattr(platform, power) is None for power in POWERS)
    assert set(platform.absent) == set(POWERS)
    assert all("built without SQLite" in platform.absent[power] for power in KEPT)
    with closing(platform.open_volume(str(tmp_path))) as volume:
        assert not volume.features.stores_marks
        assert not volume.features.streams


def test_what_is_not_there_to_be_shared(tmp_path: Path, monkeypatch):
    platform = PORT.probe()
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError):
        platform.open_volume(str(tmp_path / "none"))
    with pytest.raises(NotADirectoryError):
        platform.open_volume(str(tmp_path / "file"))

    def fail(_):
        raise OSError(5, "broken")

    monkeypatch.setattr(module, "find_features", fail)
    before = os.listdir("/dev/fd")
    with pytest.raises(OSError, match="broken"):
        platform.open_volume(str(tmp_path))
    assert os.listdir("/dev/fd") == before


def test_a_python_without_directory_handles_is_refused(monkeypatch):
    monkeypatch.setattr(os, "supports_fd", os.supports_fd - {os.scandir})
    with pytest.raises(RuntimeError, match="cannot list an open directory"):
        PORT.probe()
    monkeypatch.setattr(os, "supports_dir_fd", os.supports_dir_fd - {os.open, os.link})
    with pytest.raises(RuntimeError, match="relative to a directory: link, open"):
        PORT.probe()


def test_it_runs_where_trio_has_no_event_loop(monkeypatch):
    calls = []
    monkeypatch.setattr(module.poll_loop, "has_event_loop", lambda: False)
    monkeypatch.setattr(module.poll_loop, "install", lambda: calls.append("install"))
    PORT.probe()
    assert calls == ["install"]
