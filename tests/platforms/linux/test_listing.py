"""The contract of directories, over all kinds of volumes."""

from contextlib import closing
from pathlib import Path

from smbport.platform import ACCESS_READ, Entry, Kind
from smbport.posix.volume import PosixVolume


def list_all(volume: PosixVolume, path: str = "", limit: int = 100, *, stat: bool = True) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    with closing(volume.open(path, ACCESS_READ, wait=True)) as directory:
        assert directory.is_directory
        while batch := directory.entries(limit, stat=stat, wait=True):
            assert len(batch) <= limit
            found |= {entry.name: entry for entry in batch}
    return found


def test_listing(any_volume: PosixVolume, share: Path):
    names = {f"name {i}" for i in range(25)}
    for name in names:
        (share / name).write_text(name)
    for limit in (1, 5, 7, 25, 100):
        found = list_all(any_volume, limit=limit)
        assert set(found) == names
        assert all(entry.stat.size == len(name) for name, entry in found.items())
    assert {entry.stat for entry in list_all(any_volume, stat=False).values()} == {None}


def test_listing_again(any_volume: PosixVolume, share: Path):
    (share / "a").touch()
    with closing(any_volume.open("", ACCESS_READ, wait=True)) as directory:
        assert len(directory.entries(1, wait=True)) == 1
        (share / "b").touch()
        directory.rewind()
        assert len(directory.entries(1, wait=True)) == 1
        assert len(directory.entries(1, wait=True)) == 1
        assert directory.entries(1, wait=True) == []
        assert directory.entries(1) == []  # known without asking
        (share / "a").unlink()
        directory.rewind()
        assert [entry.name for entry in directory.entries(5, wait=True)] == ["b"]


def test_listing_follows_links_that_stay_inside(any_volume: PosixVolume, share: Path):
    (share / "dir/sub").mkdir(parents=True)
    (share / "dir/file").write_text("text")
    (share / "dir/sub/link").symlink_to("../file")
    (share / "dir/sub/todir").symlink_to("..")
    (share / "dir/sub/out").symlink_to("../../../secret")
    (share / "dir/sub/dangling").symlink_to("nothing")
    found = {name: entry.stat for name, entry in list_all(any_volume, "dir/sub").items()}
    assert (found["link"].kind, found["link"].size) == (Kind.FILE, 4)
    assert found["todir"].kind == Kind.DIRECTORY
    assert found["out"].kind == found["dangling"].kind == Kind.SYMLINK


def test_listing_a_renamed_directory_does_not_follow_its_links_elsewhere(any_volume: PosixVolume, share: Path):
    (share / "dir").mkdir()
    (share / "dir/link").symlink_to("../file")
    (share / "file").write_text("text")
    with closing(any_volume.open("dir", ACCESS_READ, wait=True)) as directory:
        (share / "dir").rename(share / "other")
        (entry,) = directory.entries(5, wait=True)
        assert entry.stat.kind == Kind.SYMLINK
        (share / "dir").mkdir()
        directory.rewind()
        (entry,) = directory.entries(5, wait=True)
        assert entry.stat.kind == Kind.SYMLINK


def test_an_entry_that_vanishes(any_volume: PosixVolume, share: Path):
    (share / "a").touch()
    with closing(any_volume.open("", ACCESS_READ, wait=True)) as directory:
        assert any_volume.stat_names(directory._fd, ["a", "gone"])[1] is None
