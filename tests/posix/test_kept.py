"""smbport.posix.kept: what a volume without extended attributes keeps beside its files"""

import errno
import os
from contextlib import closing, suppress
from datetime import UTC, datetime

import pytest

from smbport.platform import ACCESS_NONE, ACCESS_READ, ACCESS_WRITE, AclEntry, AclTag, Entry
from smbport.posix import kept as module
from smbport.posix.attribute_file import DATABASE
from smbport.posix.attribute_store import AttributeStore
from smbport.posix.kept import KeptVolume
from smbport.posix.port import PORT
from smbport.posix.volume import PosixVolume
from smbport.posix.walk import HIDDEN, Root

BOTH = ACCESS_READ | ACCESS_WRITE
LONG = b"long" * 10_000


@pytest.fixture
def platform():
    return PORT.probe()


@pytest.fixture
def volume(platform, tmp_path):
    with closing(platform.open_volume(str(tmp_path))) as volume:
        yield volume


@pytest.fixture
def file(volume):
    with closing(volume.create("file", BOTH, 0o644, wait=True)) as file:
        yield file


def put_stream(platform, volume, path, name, data):
    with closing(platform.streams.create(volume.open(path, BOTH, wait=True), name, wait=True)) as stream:
        stream.write_at(0, data, wait=True)


def streams_of(platform, volume, path):
    """The names and contents."""
    with closing(volume.open(path, ACCESS_READ, wait=True)) as node:
        names = [entry.name for entry in platform.streams.entries(node, wait=True)]
    found = {}
    for name in names:
        with closing(platform.streams.open(volume.open(path, ACCESS_READ, wait=True), name, wait=True)) as stream:
            found[name] = stream.read_at(0, 1 << 20, wait=True)
    return found


def contents(tmp_path):
    return sorted(path.name for path in (tmp_path / HIDDEN).glob("*/*"))


def listed(volume, name):
    with closing(volume.open("", ACCESS_READ, wait=True)) as root:
        return next(entry.stat for entry in root.entries(1000, wait=True) if entry.name == name)


def test_marks_are_seen_everywhere(volume, file, tmp_path):
    file.set_marks(2, 5_000_000_000, wait=True)
    file.set_marks(None, 7_000_000_000, wait=True)
    for stat in (file.stat(), volume.stat("file", wait=True), listed(volume, "file")):
        assert (stat.dos_attributes, stat.birth_ns) == (2, 7_000_000_000)
    with closing(volume.open("file", ACCESS_NONE, wait=True)) as other:
        other.set_marks(4, None, wait=True)
    assert file.stat().dos_attributes == 4
    (tmp_path / "link").symlink_to("file")
    assert volume.stat("link", wait=True).dos_attributes == 4
    assert volume.stat("link", follow=False, wait=True).dos_attributes is None
    assert listed(volume, "link").dos_attributes == 4


@pytest.mark.parametrize("year", [1601, 2300, 9999])
def test_times_of_other_centuries(platform, volume, file, tmp_path, year):
    when_ns = int((datetime(year, 1, 2, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 10**9 + 123
    file.set_marks(None, when_ns, wait=True)
    with suppress(OSError):  # which not every file system can have
        file.set_times(when_ns, when_ns, wait=True)
    file.close()
    assert volume.stat("file", wait=True).birth_ns == when_ns - 23
    volume.close()
    with closing(platform.open_volume(str(tmp_path))) as again:
        assert again.stat("file", wait=True).birth_ns == when_ns - 23


def test_directories_and_the_root(volume):
    for path in ("", "folder"):
        node = volume.make_directory(path, 0o755, wait=True) if path else volume.open(path, BOTH, wait=True)
        node.set_marks(0x12, None, wait=True)
        node.close()
        assert volume.stat(path, wait=True).dos_attributes == 0x12


def test_nothing_waits_while_a_file_is_open(platform, file):
    platform.attributes.set(file, "name", b"value", wait=True)
    platform.acl.set_descriptor(file, "user.NTACL", b"descriptor", wait=True)
    assert platform.attributes.names(file) == ["name"]
    assert platform.attributes.get(file, "name") == b"value"
    assert platform.acl.descriptor(file, "user.NTACL") == b"descriptor"
    for change in (
        lambda: platform.attributes.set(file, "name", b""),
        lambda: platform.attributes.remove(file, "name"),
        lambda: platform.acl.set_descriptor(file, "user.NTACL", b""),
        lambda: file.set_marks(1, None),
    ):
        with pytest.raises(BlockingIOError):
            change()


def test_attributes(platform, volume, file):
    attributes = platform.attributes
    for name in ("with\0zero", "\udcff"):
        with pytest.raises(OSError, match="Invalid") as caught:
            attributes.set(file, name, b"", wait=True)
        assert caught.value.errno == errno.EINVAL
    attributes.set(file, "name", b"value", wait=True)
    with closing(volume.open("", ACCESS_READ, wait=True)) as root:
        assert attributes.lengths(root, [Entry("file", None), Entry("gone", None)], wait=True) == [{"name": 5}, {}]
        with pytest.raises(BlockingIOError):
            attributes.lengths(root, [Entry("file", None)])
    with pytest.raises(OSError, match="Invalid"):
        attributes.get(object(), "name")


@pytest.mark.parametrize("name", ["NTACL", "DOSATTRIB", "DosStream.name", "SAMBA_PAI"])
def test_names_that_servers_keep_for_themselves(platform, file, name):
    with pytest.raises(PermissionError):
        platform.attributes.set(file, name, b"", wait=True)
    assert platform.attributes.get(file, name) is None


def test_links_are_not_asked_by_their_names(platform, volume, file, tmp_path):
    (tmp_path / "link").symlink_to("file")
    with closing(volume.open("", ACCESS_READ, wait=True)) as root:
        assert platform.attributes.lengths(root, [Entry("link", None), Entry("file", None)], wait=True) == [None, {}]


def test_what_has_none(platform, volume, tmp_path):
    """There is nothing to be kept of a pipe."""
    os.mkfifo(tmp_path / "pipe")
    with closing(volume.open("pipe", ACCESS_NONE, wait=True)) as pipe:
        assert pipe.stat().dos_attributes is None
        pipe.sync(wait=True)
        assert platform.attributes.names(pipe) == []
        assert platform.attributes.get(pipe, "name") is None
        assert platform.streams.entries(pipe, wait=True) == []
        assert platform.acl.descriptor(pipe, "user.NTACL") is None
        with pytest.raises(OSError, match="not supported"):
            platform.attributes.set(pipe, "name", b"", wait=True)


@pytest.mark.parametrize("uid", [987654, 0])
def test_modes_decide(platform, file, monkeypatch, uid):
    """As they do over attributes of the system."""
    platform.attributes.set(file, "name", b"value", wait=True)
    file.set_mode(0o000, wait=True)
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    changes = [
        lambda: platform.attributes.get(file, "name"),
        lambda: platform.attributes.set(file, "name", b"", wait=True),
        lambda: file.set_marks(1, None, wait=True),
        lambda: platform.attributes.remove(file, "name", wait=True),
    ]
    for change in changes:
        if uid == 0:
            change()
        else:
            with pytest.raises(PermissionError):
                change()


def test_descriptors(platform, file):
    assert platform.acl.lists(file) == ((), ())
    platform.acl.set_list(file, ())
    with pytest.raises(OSError, match="not supported"):
        platform.acl.set_list(file, [AclEntry(AclTag.USER_OBJ, 7)])
    assert platform.acl.descriptor(file, platform.acl.names[0]) is None


# Streams ----------------------------------------------------------------------------------------------------------


def test_streams_of_any_size(platform, volume, file, tmp_path):
    put_stream(platform, volume, "file", "short", b"data")
    assert contents(tmp_path) == []
    put_stream(platform, volume, "file", "long", LONG)
    assert len(contents(tmp_path)) == 1
    assert streams_of(platform, volume, "file") == {"short": b"data", "long": LONG}
    assert platform.attributes.names(file) == []
    with closing(volume.open("file", BOTH, wait=True)) as node:
        platform.streams.rename(node, "long", "new", wait=True)
        with pytest.raises(FileExistsError):
            platform.streams.create(node, "new", wait=True)
        with pytest.raises(FileExistsError):
            platform.streams.rename(node, "short", "new", wait=True)
        platform.streams.remove(node, "short", wait=True)
    assert streams_of(platform, volume, "file") == {"new": LONG}
    assert len(contents(tmp_path)) == 1


def test_streams_go_with_the_file(platform, volume, file, tmp_path):
    put_stream(platform, volume, "file", "long", LONG)
    volume.rename("file", "new", replace=False, wait=True)
    assert streams_of(platform, volume, "new") == {"long": LONG}
    (tmp_path / "new").rename(tmp_path / "newer")
    assert streams_of(platform, volume, "newer") == {"long": LONG}
    volume.remove("newer", file.stat().key, wait=True)
    assert contents(tmp_path) == []


def test_a_file_that_is_replaced(platform, volume, file, tmp_path):
    put_stream(platform, volume, "file", "long", LONG)
    with closing(volume.create("other", BOTH, 0o644, wait=True)) as other:
        other.set_marks(4, None, wait=True)
    volume.rename("other", "file", replace=True, wait=True)
    assert contents(tmp_path) == []
    assert streams_of(platform, volume, "file") == {}
    assert volume.stat("file", wait=True).dos_attributes == 4


def test_a_second_name_keeps_it_all(platform, volume, file):
    file.set_marks(2, None, wait=True)
    put_stream(platform, volume, "file", "short", b"data")
    volume.link("file", "second", wait=True)
    volume.remove("file", file.stat().key, wait=True)
    assert streams_of(platform, volume, "second") == {"short": b"data"}
    assert volume.stat("second", wait=True).dos_attributes == 2
    volume.rename("second", "second", replace=True, wait=True)
    assert volume.stat("second", wait=True).dos_attributes == 2


def test_contents_that_a_crash_left(platform, volume, file, tmp_path):
    put_stream(platform, volume, "file", "long", LONG)
    inode = file.stat().key.inode
    _, fd = volume.side.create(inode)
    os.close(fd)
    assert len(contents(tmp_path)) == 2
    volume.close()
    file.close()
    with closing(platform.open_volume(str(tmp_path))) as again:
        assert len(contents(tmp_path)) == 1
        assert streams_of(platform, again, "file") == {"long": LONG}


def test_contents_that_we_did_not_make_stay(platform, volume, file, tmp_path):
    """Another port has kept them, whose attributes this one does not read."""
    file.set_marks(1, None, wait=True)
    foreign = tmp_path / HIDDEN / "abc" / ("0" * 32)
    foreign.parent.mkdir()
    foreign.write_bytes(b"data")
    volume.close()
    with closing(platform.open_volume(str(tmp_path))):
        assert foreign.read_bytes() == b"data"


def test_a_content_that_cannot_be_noted(platform, volume, file, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(AttributeStore, "note_content", fail)
    with closing(platform.streams.create(volume.open("file", BOTH, wait=True), "x", wait=True)) as stream:
        with pytest.raises(OSError, match="No space"):
            stream.write_at(0, LONG, wait=True)
        assert stream.read_at(0, 10, wait=True) == b""
    assert contents(tmp_path) == []


# The whole --------------------------------------------------------------------------------------------------------


def test_another_file_in_the_place(volume, file, tmp_path):
    """A local program removes a file and makes another; file systems like to give that the same inode."""
    file.set_marks(2, None, wait=True)
    file.close()
    for _ in range(20):
        (tmp_path / "file").unlink()
        (tmp_path / "file").write_bytes(b"new")
        assert volume.stat("file", wait=True).dos_attributes is None


def test_a_file_that_is_edited(volume, file, tmp_path):
    file.set_marks(2, None, wait=True)
    file.close()
    with (tmp_path / "file").open("ab") as other:
        other.write(b"more")
    assert volume.stat("file", wait=True).dos_attributes == 2
    (tmp_path / "file").read_bytes()
    assert volume.stat("file", wait=True).dos_attributes == 2


def test_two_volumes_with_one_root(platform, volume, file, tmp_path):
    file.set_marks(2, None, wait=True)
    with closing(platform.open_volume(str(tmp_path))) as other:
        assert other.stat("file", wait=True).dos_attributes == 2
    assert volume.stat("file", wait=True).dos_attributes == 2


def test_a_handle_outlives_its_volume(platform, volume, file, tmp_path):
    volume.close()
    file.set_marks(2, None, wait=True)
    file.sync(wait=True)
    assert file.stat().dos_attributes == 2
    file.home.store.close()
    with closing(platform.open_volume(str(tmp_path))) as again:
        assert again.stat("file", wait=True).dos_attributes == 2


def test_clients_do_not_see_it(volume, file, tmp_path):
    file.set_marks(2, None, wait=True)
    assert (tmp_path / HIDDEN / DATABASE).exists()
    with closing(volume.open("", ACCESS_READ, wait=True)) as root:
        assert [entry.name for entry in root.entries(10, wait=True)] == ["file"]
    with pytest.raises(PermissionError):
        volume.open(f"{HIDDEN}/{DATABASE}", ACCESS_READ, wait=True)


@pytest.mark.parametrize("may_write", [True, False])
def test_where_nothing_can_be_written(platform, tmp_path, monkeypatch, may_write):
    monkeypatch.setattr(os, "access", lambda *_, **__: may_write)
    with closing(platform.open_volume(str(tmp_path))) as volume:
        assert isinstance(volume, KeptVolume) is may_write
        assert isinstance(volume, PosixVolume)
        assert volume.features.stores_marks is may_write
        assert volume.features.streams is may_write


def test_a_store_that_cannot_be_used_is_not_passed_over(platform, tmp_path):
    (tmp_path / HIDDEN).mkdir()
    (tmp_path / HIDDEN / DATABASE).write_bytes(b"x" * 5000)
    before = os.listdir("/dev/fd")
    with pytest.raises(OSError, match=f"{DATABASE}.*not a database"):
        platform.open_volume(str(tmp_path))
    assert os.listdir("/dev/fd") == before


def test_a_database_that_fails_later(volume, file, tmp_path, monkeypatch):
    """No handle is left open, and what can be done without the database is done."""
    file.set_marks(2, None, wait=True)

    def fail(*_, **__):
        raise OSError(errno.EIO, "broken")

    for name in ("hold", "forget", "moved"):
        monkeypatch.setattr(AttributeStore, name, fail)
    before = os.listdir("/dev/fd")
    with pytest.raises(OSError, match="broken"):
        volume.open("file", BOTH, wait=True)
    assert os.listdir("/dev/fd") == before
    volume.rename("file", "new", replace=True, wait=True)
    volume.remove("new", file.stat().key, wait=True)
    assert not (tmp_path / "new").exists()


def test_names_of_files_that_may_not_be_read(tmp_path, monkeypatch):
    """Where no descriptor can be had, the number of names tells."""
    with closing(Root(str(tmp_path))) as root:
        store = AttributeStore(root)
        side = module.KeptSide(root, store)
        forgotten = []
        monkeypatch.setattr(store, "forget", forgotten.append)
        monkeypatch.setattr(module, "LOOK", os.O_RDONLY | os.O_DIRECTORY)  # which no file can be opened with
        (tmp_path / "file").touch()
        (tmp_path / "second").hardlink_to(tmp_path / "file")
        inode = (tmp_path / "file").stat().st_ino
        for name in ("file", "second"):
            with side.following(root.fd, name.encode()):
                (tmp_path / name).unlink()
        with side.following(root.fd, b"none"):
            pass
        assert forgotten == [inode]
