"""smbport.posix.streams and .sidestore: streams in attributes of any size, and what does not fit beside them."""

import errno
import os

import pytest

from smbport.platform import ACCESS_READ, ACCESS_WRITE, Kind
from smbport.posix.sidestore import SideStore
from smbport.posix.streams import AttributeStreams
from smbport.posix.volume import PosixVolume, find_features
from smbport.posix.walk import HIDDEN, Root

BOTH = ACCESS_READ | ACCESS_WRITE
ROOM = 200  # bytes of one value
LONG = b"long" * 100
MARK = b"smbport-stream:"


class Values:
    """Attributes in memory, of files on disk."""

    max_value = ROOM
    max_name = 60

    def __init__(self):
        self.kept = {}
        self.failures = []  # errno of the next `set`, and so on; 0 lets it pass

    def of(self, node):
        return self.kept.setdefault(node.stat().key, {})

    def names(self, node):
        return list(self.of(node))

    def get(self, node, name):
        return self.of(node).get(name)

    def create(self, node, name, value):
        if name in self.of(node):
            raise FileExistsError(errno.EEXIST, name)
        self.of(node)[name] = value

    def set(self, node, name, value, *, replace=True):
        code = self.failures.pop(0) if self.failures else 0
        if not replace and name in self.of(node):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        if code or len(value) > ROOM:
            raise OSError(code or errno.ENOSPC, os.strerror(code or errno.ENOSPC))
        self.of(node)[name] = value

    def remove(self, node, name):
        if name not in self.of(node):
            raise FileNotFoundError(errno.ENOENT, name)
        del self.of(node)[name]


class Bench:
    """A volume with a file."""

    def __init__(self, path):
        self.path = path
        root = Root(str(path))
        self.volume = PosixVolume(root, find_features(root), 0o022)
        self.values = Values()
        self.streams = AttributeStreams(self.values)
        self.volume.create("file", BOTH, 0o644, wait=True).close()

    def node(self, name="file"):
        return self.volume.open(name, BOTH, wait=True)

    def create(self, stream="s", data=b""):
        made = self.streams.create(self.node(), stream, wait=True)
        if data:
            assert made.write_at(0, data, wait=True) == len(data)
        return made

    def open(self, stream="s", name="file"):
        node = self.node(name)
        try:
            return self.streams.open(node, stream, wait=True)
        except OSError:
            node.close()
            raise

    def content(self, stream="s", name="file"):
        opened = self.open(stream, name)
        data = opened.read_at(0, 1 << 20, wait=True)
        opened.close()
        return data

    def raw(self, stream="s"):
        """The attribute as it is."""
        node = self.node()
        value = self.values.get(node, stream + ":$DATA")
        node.close()
        return value

    def put_raw(self, value, stream="s"):
        node = self.node()
        self.values.of(node)[stream + ":$DATA"] = value
        node.close()

    def sizes(self):
        node = self.node()
        found = {name: size for name, size, _ in self.streams.entries(node, wait=True)}
        node.close()
        return found

    def beside(self):
        """How many contents are in the side store."""
        return sum(len(names) for _, _, names in os.walk(self.path / HIDDEN))


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    yield bench
    assert len(os.listdir("/proc/self/fd")) == before
    assert not bench.streams._open
    bench.volume.close()


# In the attribute -----------------------------------------------------------------------------------------------


def test_the_layout_is_sambas(bench):
    bench.create().close()
    assert bench.raw() == b"\0"
    bench.create("t", b"data").close()
    assert bench.raw("t") == b"data\0"
    assert bench.sizes() == {"s": 0, "t": 4}


@pytest.mark.parametrize(
    ("value", "data"),
    [(b"data\0", b"data"), (b"data", b"data"), (b"data\0\0", b"data\0"), (b"\0", b""), (b"", b""),
     (MARK + b"x\0", MARK + b"x"), (b"smb", b"smb")],
)  # fmt: skip
def test_what_others_have_stored(bench, value, data):
    """Samba ends with a zero, ksmbd does not."""
    bench.put_raw(value)
    assert (bench.content(), bench.sizes()) == (data, {"s": len(data)})


def test_only_streams_of_data_with_a_name_that_is_text(bench):
    node = bench.node()
    for name in ("s:$DATA", ":$DATA", "s", "s:$FOO", "\udcff:$DATA"):
        bench.values.of(node)[name] = b"x\0"
    assert [entry.name for entry in bench.streams.entries(node, wait=True)] == ["s"]
    node.close()


@pytest.mark.parametrize("name", ["", "a:b", "a/b", "a\0", "\ud800", "x" * 55])
def test_impossible_names(bench, name):
    node = bench.node()
    for call in (bench.streams.create, bench.streams.open):
        with pytest.raises(OSError, match=r"Invalid|too long"):
            call(node, name, wait=True)
    node.close()


def test_writing_in_the_middle_and_behind_the_end(bench):
    stream = bench.create(data=b"0123456789")
    stream.write_at(2, b"ab", wait=True)
    stream.write_at(12, memoryview(b"cd"), wait=True)
    assert stream.write_at(100, b"", wait=True) == 0
    assert stream.read_at(0, 99, wait=True) == b"01ab456789\0\0cd"
    assert stream.read_at(13, 1, wait=True) == b"d"
    assert stream.read_at(50, 1, wait=True) == b""
    stream.resize(3, wait=True)
    stream.resize(5, wait=True)
    assert stream.read_at(0, 99, wait=True) == b"01a\0\0"
    stream.close()
    assert bench.beside() == 0


def test_what_a_stream_is(bench):
    stream = bench.create(data=b"data")
    stat = stream.stat()
    assert (stat.kind, stat.size, stat.allocated, stat.key) == (
        Kind.FILE,
        4,
        8,
        bench.volume.stat("file", wait=True).key,
    )
    assert (stream.fileno(), stream.is_directory) == (-1, False)
    stream.set_mode(0o600, wait=True)
    stream.set_times(10**18, 10**18, wait=True)
    stream.set_owner(None, None, wait=True)
    stat = bench.volume.stat("file", wait=True)
    assert (stat.mode, stat.write_ns) == (0o600, 10**18)
    with pytest.raises(OSError, match=os.strerror(errno.ENOTSUP)):
        stream.set_marks(1, None, wait=True)
    stream.allocate(1 << 40, wait=True)
    stream.sync(wait=True)
    stream.write_at(0, b"D", through=True, wait=True)
    stream.close()
    stream.close()
    for call in (stream.stat, lambda: stream.read_at(0, 1, wait=True)):
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            call()


def test_nothing_is_done_on_the_event_loop_without_knowing_the_file_system(bench):
    stream = bench.create(data=b"data")
    node = bench.node()
    calls = [
        lambda: stream.read_at(0, 4), lambda: stream.write_at(0, b"x"), lambda: stream.resize(0), stream.sync,
        lambda: stream.allocate(1), lambda: bench.streams.entries(node), lambda: bench.streams.open(node, "s"),
        lambda: bench.streams.create(node, "t"), lambda: bench.streams.remove(node, "s"),
        lambda: bench.streams.rename(node, "s", "t"),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(BlockingIOError):
            call()
    assert stream.read_at(0, 9, wait=True) == b"data"
    node.close()
    stream.close()


def test_bad_numbers(bench):
    stream = bench.create(data=b"data")
    with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        stream.write_at((1 << 63) - 1, b"xx", wait=True)
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        stream.resize(-1, wait=True)
    assert stream.read_at(0, 9, wait=True) == b"data"
    stream.close()


def test_a_node_of_another_platform(bench):
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        bench.streams.entries(object(), wait=True)


# Beside it ------------------------------------------------------------------------------------------------------


def test_what_outgrows_the_attribute_moves(bench):
    stream = bench.create(data=b"first")
    stream.write_at(5, LONG, wait=True)
    assert bench.raw().startswith(MARK)
    assert not bench.raw().endswith(b"\0")
    assert bench.beside() == 1
    assert stream.read_at(0, 1000, wait=True) == b"first" + LONG
    assert stream.stat().size == 5 + len(LONG)
    assert bench.sizes() == {"s": 5 + len(LONG)}
    stream.allocate(1 << 12, wait=True)
    stream.sync(wait=True)
    stream.write_at(0, b"F", through=True, wait=True)
    stream.resize(3, wait=True)
    assert stream.read_at(0, 1000, wait=True) == b"Fir"
    stream.close()
    assert bench.content() == b"Fir"


def test_what_is_cut_to_nothing_moves_back(bench):
    stream = bench.create(data=LONG)
    other = bench.open()
    stream.resize(0, wait=True)
    assert (bench.raw(), bench.beside()) == (b"\0", 0)
    assert not (bench.path / HIDDEN).exists()
    other.write_at(0, b"short", wait=True)
    assert stream.read_at(0, 9, wait=True) == b"short"
    other.resize(1000, wait=True)
    assert stream.stat().size == 1000
    stream.close()
    other.close()


def test_a_full_file_system_moves_it_too(bench):
    """What fits by its length need not fit beside the other attributes."""
    stream = bench.create(data=b"old")
    bench.values.failures = [errno.ENOSPC]
    assert stream.write_at(3, b"new", wait=True) == 3
    assert bench.raw().startswith(MARK)
    assert stream.read_at(0, 9, wait=True) == b"oldnew"
    stream.close()


@pytest.mark.parametrize("failures", [[errno.EIO], [errno.EDQUOT, errno.EIO], [errno.ENOSPC, errno.ENOSPC]])
@pytest.mark.parametrize("change", ["write_at", "resize"])
def test_a_failed_change_leaves_the_old_value(bench, failures, change):
    stream = bench.create(data=b"old")
    bench.values.failures = [*failures]
    args = (10,) if change == "resize" else (1, b"new")
    with pytest.raises(OSError, match=os.strerror(failures[-1])):
        getattr(stream, change)(*args, wait=True)
    assert (bench.raw(), bench.beside()) == (b"old\0", 0)
    assert stream.read_at(0, 9, wait=True) == b"old"
    stream.close()


def test_no_room_beside_it_either(bench, monkeypatch):
    def refuse(self, inode):
        raise PermissionError(errno.EACCES, "no")

    stream = bench.create(data=b"old")
    monkeypatch.setattr(SideStore, "create", refuse)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        stream.write_at(0, LONG, wait=True)
    assert bench.raw() == b"old\0"
    stream.close()


def test_a_full_disk_while_it_moves(bench, monkeypatch):
    stream = bench.create(data=b"old")
    monkeypatch.setattr("smbport.posix.files.PosixFile.write_at", lambda *args, **keywords: 1)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        stream.write_at(0, LONG, wait=True)
    assert (bench.raw(), bench.beside()) == (b"old\0", 0)
    stream.close()


def test_removing(bench):
    bench.create(data=LONG).close()
    bench.create("t").close()
    node = bench.node()
    bench.streams.remove(node, "s", wait=True)
    bench.streams.remove(node, "t", wait=True)
    with pytest.raises(FileNotFoundError):
        bench.streams.remove(node, "s", wait=True)
    node.close()
    assert (bench.sizes(), bench.beside()) == ({}, 0)


@pytest.mark.parametrize("data", [b"short", LONG])
@pytest.mark.parametrize("full", [False, True])
def test_renaming(bench, data, full):
    """Where a second attribute does not fit, the data moves first."""
    stream = bench.create("old", data)
    node = bench.node()
    if full and data != LONG:
        bench.values.failures = [errno.ENOSPC]
    bench.streams.rename(node, "old", "new", wait=True)
    node.close()
    assert bench.sizes() == {"new": len(data)}
    assert stream.read_at(0, 1000, wait=True) == data
    stream.write_at(0, b"S", wait=True)
    stream.close()
    assert bench.content("new") == b"S" + data[1:]
    assert bench.beside() == (1 if full or data == LONG else 0)


def test_a_rename_that_fails_changes_nothing(bench):
    bench.create("old", b"data").close()
    bench.create("taken").close()
    node = bench.node()
    for new, failures, code in (
        ("taken", [], errno.EEXIST),
        ("new", [errno.EIO], errno.EIO),
        ("new", [errno.ENOSPC, 0, errno.EIO], errno.EIO),  # after the data was moved
    ):
        bench.values.failures = failures
        with pytest.raises(OSError, match=os.strerror(code)):
            bench.streams.rename(node, "old", new, wait=True)
    with pytest.raises(FileNotFoundError):
        bench.streams.rename(node, "gone", "new", wait=True)
    node.close()
    assert bench.sizes() == {"old": 4, "taken": 0}
    assert (bench.content("old"), bench.beside()) == (b"data", 1)


def test_what_leads_nowhere_is_no_stream(bench):
    for token in (b"0" * 32, b"../../file", b"\xff", b""):
        bench.put_raw(MARK + token)
        if token:
            assert bench.sizes() == {}
            with pytest.raises(FileNotFoundError):
                bench.open()
            bench.create(data=b"anew").close()
        assert bench.content() == (b"anew" if token else MARK)


def test_attributes_that_were_copied_lead_nowhere(bench):
    """A content belongs to one file: its copy must not lose it when the first one goes."""
    bench.create(data=LONG).close()
    bench.volume.create("copy", BOTH, 0o644, wait=True).close()
    copy = bench.node("copy")
    bench.values.of(copy)["s:$DATA"] = bench.raw()
    assert bench.streams.entries(copy, wait=True) == []
    copy.close()
    assert bench.content() == LONG


def test_two_handles_and_an_end(bench):
    one = bench.create(data=LONG)
    two = bench.open()
    one.close()
    assert two.read_at(0, 4, wait=True) == b"long"
    two.close()


def test_somebody_removes_it_meanwhile(bench):
    stream = bench.create(data=b"data")
    node = bench.node()
    bench.values.of(node).clear()
    node.close()
    for call in (stream.stat, lambda: stream.read_at(0, 1, wait=True), lambda: stream.resize(0, wait=True)):
        with pytest.raises(FileNotFoundError):
            call()
    stream.close()


def test_a_handle_in_use_is_not_waited_for_on_the_event_loop(bench):
    stream = bench.create(data=b"data")
    content = stream._content
    with content.held(wait=True), pytest.raises(BlockingIOError), content.held(wait=False):
        pass
    stream.close()


# The end of a file ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["remove", "replace"])
def test_a_file_takes_its_contents_along(bench, how):
    bench.create(data=LONG).close()
    bench.volume.create("other", BOTH, 0o644, wait=True).close()
    if how == "remove":
        bench.volume.remove("file", bench.volume.stat("file", wait=True).key, wait=True)
    else:
        bench.volume.rename("other", "file", replace=True, wait=True)
    assert bench.beside() == 0
    assert not (bench.path / HIDDEN).exists()


def test_a_second_name_keeps_them(bench):
    bench.create(data=LONG).close()
    bench.volume.link("file", "again", wait=True)
    bench.volume.remove("file", bench.volume.stat("file", wait=True).key, wait=True)
    assert bench.content(name="again") == LONG


def test_a_directory_takes_them_along(bench):
    bench.volume.make_directory("d", 0o755, wait=True).close()
    node = bench.volume.open("d", ACCESS_READ, wait=True)
    stream = bench.streams.create(node, "s", wait=True)
    stream.write_at(0, LONG, wait=True)
    stream.close()
    assert bench.beside() == 1
    bench.volume.remove("d", bench.volume.stat("d", wait=True).key, directory=True, wait=True)
    assert bench.beside() == 0


def test_a_server_that_starts_again_knows_them(bench):
    bench.create(data=LONG).close()
    root = Root(str(bench.path))
    assert SideStore(root).exists
    root.close()


def test_a_directory_that_is_removed_meanwhile_is_made_again(bench, monkeypatch):
    made = []
    mkdir = os.mkdir

    def remove_first(path, *args, **keywords):
        mkdir(path, *args, **keywords)
        made.append(path)
        if len(made) == 2:
            os.rmdir(path, dir_fd=keywords["dir_fd"])

    monkeypatch.setattr(os, "mkdir", remove_first)
    bench.create(data=LONG).close()
    assert bench.content() == LONG
