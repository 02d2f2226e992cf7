"""smbport.posix.sidestore: out of the sight of clients.  What it is for is in test_streams.py."""

import os
from contextlib import closing
from pathlib import Path

import pytest

from smbport.platform import ACCESS_READ, ACCESS_WRITE
from smbport.posix.volume import PosixVolume, find_features
from smbport.posix.walk import HIDDEN, Root

BOTH = ACCESS_READ | ACCESS_WRITE


@pytest.fixture
def volume(tmp_path: Path):
    """With a file, something in the side store, and nothing else."""
    root = Root(str(tmp_path))
    with closing(PosixVolume(root, find_features(root), 0o022)) as volume:
        volume.create("file", BOTH, 0o644, wait=True).close()
        _, fd = volume.side.create(volume.stat("file", wait=True).key.inode)
        os.close(fd)
        assert sorted(os.listdir(tmp_path)) == [HIDDEN, "file"]
        yield volume


def test_clients_do_not_see_where_it_is(volume):
    root = volume.open("", ACCESS_READ, wait=True)
    assert [entry.name for entry in root.entries(10, wait=True)] == ["file"]
    root.rewind()
    names = []
    while entries := root.entries(1, wait=True):
        names += [entry.name for entry in entries]
    assert names == ["file"]
    root.close()


@pytest.mark.parametrize("path", [HIDDEN, HIDDEN.upper(), f"{HIDDEN}/1/2", f"d/{HIDDEN}", f"d/{HIDDEN}/x"])
def test_clients_do_not_reach_it(volume, path):
    calls = [
        lambda: volume.stat(path, wait=True), lambda: volume.open(path, 0, wait=True),
        lambda: volume.create(path, BOTH, 0o644, wait=True), lambda: volume.make_directory(path, 0o755, wait=True),
        lambda: volume.rename("file", path, replace=True, wait=True), lambda: volume.link("file", path, wait=True),
        lambda: volume.symlink("link", f"x/../{path}", wait=True), lambda: volume.symlink(path, "x", wait=True),
        lambda: volume.remove(path, volume.stat("file", wait=True).key, wait=True),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(PermissionError):
            call()


@pytest.mark.parametrize("path", [HIDDEN + "x", "x" + HIDDEN, HIDDEN[1:], HIDDEN + ".txt"])
def test_what_is_only_called_alike(volume, path):
    volume.create(path, BOTH, 0o644, wait=True).close()
    assert volume.stat(path, wait=True).size == 0
