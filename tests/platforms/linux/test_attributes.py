"""smbport_linux.attributes"""

import errno
import os
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from smbport.platform import ACCESS_NONE, ACCESS_READ, Entry
from smbport.posix import marks
from smbport.testing.memory import MemoryPlatform
from smbport_linux import stats
from smbport_linux.attributes import LinuxAttributes, new_stream_values
from smbport_linux.volume import LinuxVolume

attributes = LinuxAttributes()


@pytest.fixture(autouse=True)
def supported(volume: LinuxVolume) -> None:
    if not volume.features.stores_marks:
        pytest.skip(f"{volume.features.file_system} keeps no user attributes")


def fails(number: int, function, *args) -> None:
    with pytest.raises(OSError, match=f"Errno {number}]"):
        function(*args, wait=True)


@pytest.mark.parametrize("access", [ACCESS_NONE, ACCESS_READ])
@pytest.mark.parametrize("path", ["file", "dir"])
def test_attributes(volume: LinuxVolume, share: Path, path: str, access: int):
    (share / "file").touch()
    (share / "dir").mkdir()
    with closing(volume.open(path, access, wait=True)) as node:
        assert attributes.names(node, wait=True) == []
        assert attributes.get(node, "a", wait=True) is None
        attributes.set(node, "a", b"1", wait=True)
        attributes.set(node, "Ünï \udcff", b"", wait=True)
        attributes.set(node, "a", b"\0" * 1000, wait=True)
        assert sorted(attributes.names(node, wait=True)) == ["a", "Ünï \udcff"]
        assert attributes.get(node, "a", wait=True) == bytes(1000)
        assert attributes.get(node, "Ünï \udcff", wait=True) == b""
        assert os.getxattr(share / path, "user.a") == bytes(1000)
        attributes.remove(node, "a", wait=True)
        fails(errno.ENOENT, attributes.remove, node, "a")
        assert attributes.names(node, wait=True) == ["Ünï \udcff"]


@pytest.mark.parametrize("by_name", [True, False], ids=["listxattrat", "/proc"])
def test_lengths_of_entries(volume: LinuxVolume, share: Path, by_name: bool, monkeypatch: pytest.MonkeyPatch):
    if by_name and not stats.has_listxattrat():
        pytest.skip("this kernel has no listxattrat")
    monkeypatch.setattr(stats, "has_listxattrat", lambda: by_name)
    for name in ("plain", "marked", "two", "Ünï"):
        (share / name).touch()
    (share / "dir").mkdir()
    (share / "link").symlink_to("two")
    os.setxattr(share / "marked", "user.DOSATTRIB", b"0x22")
    os.setxattr(share / "two", "user.DOSATTRIB", b"0x22")
    os.setxattr(share / "two", "user.a", b"")
    os.setxattr(share / "two", "user.b", b"12345")
    os.setxattr(share / "two", "user.DosStream.s:$DATA", b"data")
    os.setxattr(share / "Ünï", "user.Ünï", b"1")
    os.setxattr(share / "dir", "user.c", b"1")
    with closing(volume.open("", ACCESS_READ, wait=True)) as directory:
        entries = directory.entries(100, wait=True)
        names = [name for name, _ in entries]
        with pytest.raises(BlockingIOError):
            attributes.lengths(directory, entries)
        found = dict(zip(names, attributes.lengths(directory, entries, wait=True), strict=True))
        gone = [Entry("not there", directory.stat()), Entry("not there", None)]
        assert attributes.lengths(directory, gone, wait=True) == [{}, {}]
    assert found == {
        "plain": {}, "marked": {}, "two": {"a": 0, "b": 5}, "Ünï": {"Ünï": 1}, "dir": {"c": 1}, "link": None,
    }  # fmt: skip


@pytest.mark.pure_only  # puts a function in the place of the module's
def test_what_has_none_is_not_asked_again_until_it_changes(
    volume: LinuxVolume, share: Path, monkeypatch: pytest.MonkeyPatch
):
    (share / "a").touch()
    (share / "b").touch()
    asked = []
    ask = stats.list_entry_attributes

    def asking(directory: int, names: list[bytes]) -> list[bytes]:
        asked.extend(names)
        return ask(directory, names)

    monkeypatch.setattr("smbport_linux.attributes.list_entry_attributes", asking)
    now = time.time_ns() + 3600 * 10**9
    monkeypatch.setattr("smbport.posix.marks.time.time_ns", lambda: now)  # what has just changed may change again
    with closing(volume.open("", ACCESS_READ, wait=True)) as directory:
        for _ in range(2):
            entries = sorted(directory.entries(100, wait=True))
            assert attributes.lengths(directory, entries, wait=True) == [{}, {}]
            directory.rewind()
        assert sorted(asked) == [b"a", b"b"]
        os.setxattr(share / "a", "user.x", b"1")
        entries = sorted(directory.entries(100, wait=True), key=lambda entry: entry.name)
        assert attributes.lengths(directory, entries, wait=True) == [{"x": 1}, {}]
        assert sorted(asked) == [b"a", b"a", b"b"]


def test_lengths_of_somebody_elses_directory():
    directory = MemoryPlatform().open_volume("v").open("", ACCESS_READ)
    fails(errno.EINVAL, attributes.lengths, directory, [])


def test_what_servers_keep_is_hidden(volume: LinuxVolume, share: Path):
    with closing(volume.create("file", 3, 0o600, wait=True)) as file:
        file.set_marks(2, None, wait=True)
        os.setxattr(share / "file", "user.DosStream.x:$DATA", b"stream")
        if not os.geteuid():
            os.setxattr(share / "file", "trusted.x", b"not the user's")
        assert attributes.names(file, wait=True) == []
        for name in ("DOSATTRIB", "DosStream.x:$DATA", "NTACL", "SAMBA_PAI", "SmbReparse"):
            assert attributes.get(file, name, wait=True) is None
            fails(errno.EPERM, attributes.set, file, name, b"x")
            fails(errno.ENOENT, attributes.remove, file, name)
        attributes.set(file, "DOSATTRIBUTES", b"another", wait=True)
        assert attributes.names(file, wait=True) == ["DOSATTRIBUTES"]
        assert file.stat().dos_attributes == 2


def test_what_does_not_fit(volume: LinuxVolume, share: Path):
    with closing(volume.create("file", 3, 0o600, wait=True)) as file:
        fails(errno.E2BIG, attributes.set, file, "a", bytes(attributes.max_value + 1))
        for name in ("a\0b", "\ud800"):
            fails(errno.EINVAL, attributes.set, file, name, b"x")
            fails(errno.EINVAL, attributes.get, file, name)
        with pytest.raises(OSError):  # noqa: PT011  (ERANGE)
            attributes.set(file, "n" * 251, b"x", wait=True)
        assert attributes.names(file, wait=True) == []


def test_a_link_has_none(volume: LinuxVolume, share: Path):
    (share / "link").symlink_to("../secret")
    os.setxattr(share.parent / "secret", "user.a", b"secret")
    with closing(volume.open("link", ACCESS_NONE, follow=False, wait=True)) as link:
        assert attributes.names(link, wait=True) == []
        fails(errno.EPERM, attributes.set, link, "a", b"x")
        assert attributes.get(link, "a", wait=True) is None
    assert os.getxattr(share.parent / "secret", "user.a") == b"secret"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="acting as another account takes root")
def test_as_the_user(volume: LinuxVolume, share: Path, user):
    view = volume.acting_as(user)
    (share / "file").touch(0o644)
    os.setxattr(share / "file", "user.a", b"1")
    with closing(view.open("file", ACCESS_READ, wait=True)) as file:
        assert attributes.get(file, "a", wait=True) == b"1"
        fails(errno.EACCES, attributes.set, file, "a", b"2")
        fails(errno.EACCES, attributes.remove, file, "a")
        (share / "file").chmod(0o600)
        fails(errno.EACCES, attributes.get, file, "a")


def test_all_wait_where_changes_do_and_take_their_own_handles_only(volume: LinuxVolume, share: Path):
    with closing(volume.create("file", 3, 0o600, wait=True)) as file:
        assert attributes.names(file) == []
        file.inline = False  # as on a file system of another machine
        for call, args in (
            (attributes.names, ()), (attributes.get, ("a",)), (attributes.set, ("a", b"")), (attributes.remove, ("a",)),
        ):  # fmt: skip
            with pytest.raises(BlockingIOError):
                call(file, *args)
    foreign = MemoryPlatform().open_volume("x").create("file", 3, 0o600, wait=True)
    fails(errno.EINVAL, attributes.names, foreign)


@pytest.mark.pure_only  # puts another number in the place of a constant
def test_what_is_known_to_have_none_is_not_asked_again(volume: LinuxVolume, share: Path, monkeypatch):
    asked: list[object] = []
    real = os.listxattr
    monkeypatch.setattr(os, "listxattr", lambda *args: asked.append(args) or real(*args))
    monkeypatch.setattr(marks, "SETTLED_NS", -(1 << 62))
    (share / "file").touch()
    with closing(volume.open("file", ACCESS_READ, wait=True)) as file:
        for _ in range(2):
            assert attributes.names(file, seen=file.stat()) == []
        assert len(asked) == 1
        assert attributes.names(file) == []
        os.setxattr(share / "file", "user.a", b"1")
        seen = replace(file.stat(), change_ns=file.stat().change_ns + 1)  # in the next tick of the clock
        for _ in range(2):
            assert attributes.names(file, seen=seen) == ["a"]
    assert len(asked) == 4


def test_where_streams_are_kept(volume: LinuxVolume, share: Path):
    values = new_stream_values()
    with closing(volume.create("file", 3, 0o600, wait=True)) as file:
        os.setxattr(share / "file", "user.other", b"x")
        assert values.names(file) == []
        assert values.get(file, "s:$DATA") is None
        values.create(file, "s:$DATA", b"1\0")
        assert os.getxattr(share / "file", "user.DosStream.s:$DATA") == b"1\0"
        for call in (values.create, lambda *args: values.set(*args, replace=False)):
            with pytest.raises(FileExistsError):
                call(file, "s:$DATA", b"2\0")
        values.set(file, "s:$DATA", b"2\0")
        assert (values.names(file), values.get(file, "s:$DATA")) == (["s:$DATA"], b"2\0")
        with pytest.raises(OSError, match=f"Errno {errno.ENAMETOOLONG}]"):
            values.create(file, "x" * 300, b"\0")
        values.remove(file, "s:$DATA")
        with pytest.raises(FileNotFoundError):
            values.remove(file, "s:$DATA")
    (share / "link").symlink_to("file")
    with closing(volume.open("link", ACCESS_NONE, follow=False, wait=True)) as link:
        assert values.get(link, "s:$DATA") is None
        for call in (values.create, values.set):
            with pytest.raises(PermissionError):
                call(link, "s:$DATA", b"\0")
        with pytest.raises(PermissionError):
            values.remove(link, "s:$DATA")
