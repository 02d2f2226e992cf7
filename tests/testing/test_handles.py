"""Open files and directories in memory."""

import errno

import pytest

from smbport.platform import ACCESS_NONE, ACCESS_READ, ACCESS_WRITE, Account
from smbport.testing.handles import own_file, own_node
from smbport.testing.memory import MemoryPlatform

ALICE = Account("alice", 1000, 1000, (50,))
BOTH = ACCESS_READ + ACCESS_WRITE


def fails(code):
    return pytest.raises(OSError, match=rf"^\[Errno {code}\]")


@pytest.fixture
def platform():
    return MemoryPlatform(accounts=[ALICE])


@pytest.fixture
def volume(platform):
    return platform.open_volume("v")


def test_closed_handles_say_so(platform, volume):
    file = volume.create("f", BOTH, 0o644)
    directory = volume.open("", ACCESS_READ)
    assert platform.open_handles == 2
    for handle in (file, directory):
        handle.close()
        handle.close()
        for call in (handle.stat, handle.sync):
            with fails(errno.EBADF):
                call()
    with fails(errno.EBADF):
        file.read_at(0, 1)
    with fails(errno.EBADF):
        directory.entries(1)
    with fails(errno.EBADF):
        directory.rewind()
    assert platform.open_handles == 0


def test_access_is_that_of_the_handle(volume):
    volume.create("f", ACCESS_NONE, 0o644).close()
    reader, writer, neither = (volume.open("f", access) for access in (ACCESS_READ, ACCESS_WRITE, ACCESS_NONE))
    for call in (
        lambda: reader.write_at(0, b"x"),
        lambda: reader.resize(1),
        lambda: reader.allocate(1),
        lambda: writer.read_at(0, 1),
        lambda: neither.read_at(0, 1),
    ):
        with fails(errno.EBADF):
            call()
    assert reader.fileno() == -1


@pytest.mark.parametrize(
    ("code", "call"),
    [
        (errno.EINVAL, lambda file: file.read_at(-1, 1)),
        (errno.EINVAL, lambda file: file.read_at(0, -1)),
        (errno.EINVAL, lambda file: file.write_at(-1, b"x")),
        (errno.EFBIG, lambda file: file.write_at(2**63 - 1, b"x")),
        (errno.EINVAL, lambda file: file.resize(-1)),
        (errno.EFBIG, lambda file: file.resize(2**63)),
        (errno.EFBIG, lambda file: file.allocate(2**63)),
        (errno.ENOSPC, lambda file: file.allocate(2**62)),
        (errno.EINVAL, lambda file: file.punch(-1, 1)),
        (errno.EINVAL, lambda file: file.zero(-1, 1)),
        (errno.EFBIG, lambda file: file.zero(0, 2**63)),
    ],
)
def test_numbers_out_of_range(volume, code, call):
    with fails(code):
        call(volume.create("f", BOTH, 0o644))


def test_a_full_volume():
    volume = MemoryPlatform(capacity=8192).open_volume("v")
    file = volume.create("f", BOTH, 0o644)
    before = file.stat()
    assert file.write_at(4096, bytes(8192)) == 4096
    assert file.stat().write_ns > before.write_ns
    assert volume.space().free == 0
    with fails(errno.ENOSPC):
        file.write_at(8192, b"x")
    assert file.write_at(0, b"") == 0
    assert file.stat().size == 8192


def test_unlinked_files_live_until_they_are_closed(volume):
    file = volume.create("f", BOTH, 0o644)
    file.write_at(0, b"still here")
    volume.remove("f", file.stat().key)
    assert file.read_at(0, 100) == b"still here"
    assert file.stat().links == 0
    file.close()
    assert volume.space().free == volume.space().total


def test_marks_and_times(volume):
    file = volume.create("f", BOTH, 0o644)
    assert file.stat().dos_attributes is None
    file.set_marks(0x22, None)
    file.set_marks(None, 5)
    file.set_times(None, 7)
    file.set_times(8, None)
    stat = file.stat()
    assert (stat.dos_attributes, stat.birth_ns, stat.write_ns, stat.access_ns) == (0x22, 5, 7, 8)
    assert stat.change_ns > 8


def test_only_the_owner_changes_mode_times_owner_and_marks(platform, volume):
    file = volume.create("theirs", BOTH, 0o666)
    file.set_mode(0o666)
    mine = volume.create("mine", BOTH, 0o600)
    mine.set_owner(ALICE.uid, ALICE.gid)
    handle = volume.acting_as(ALICE).open("theirs", BOTH)
    before = handle.stat()
    for call in (
        lambda: handle.set_mode(0),
        lambda: handle.set_times(1, 1),
        lambda: handle.set_marks(1, 1),
        lambda: handle.set_owner(None, None),
    ):
        with fails(errno.EPERM):
            call()
    assert handle.stat() == before
    handle = volume.acting_as(ALICE).open("mine", BOTH)
    handle.set_mode(0o7640)
    handle.set_owner(None, 50)
    for owner in ((0, None), (None, 51)):
        with fails(errno.EPERM):
            handle.set_owner(*owner)
    stat = handle.stat()
    assert (stat.mode, stat.uid, stat.gid) == (0o7640, 1000, 50)


def test_attributes_follow_the_mode_bits(platform, volume):
    volume.create("f", BOTH, 0o444).close()
    handle = volume.acting_as(ALICE).open("f", ACCESS_NONE)
    assert platform.attributes.names(handle) == []
    with fails(errno.EACCES):
        platform.attributes.set(handle, "a", b"")


def test_listing_is_what_was_there_at_its_beginning(volume):
    for name in "abcde":
        volume.create(name, ACCESS_NONE, 0o644).close()
    directory = volume.open("", ACCESS_READ)
    assert [entry.name for entry in directory.entries(2)] == ["a", "b"]
    volume.remove("c", volume.stat("c").key)
    volume.create("f", ACCESS_NONE, 0o644).close()
    rest = directory.entries(100)
    assert [(entry.name, entry.stat is None) for entry in rest] == [("c", True), ("d", False), ("e", False)]
    assert directory.entries(1) == directory.entries(1) == []
    directory.rewind()
    assert [entry.name for entry in directory.entries(0)] == ["a"]  # never less than one
    assert [entry.name for entry in directory.entries(9, stat=False)] == ["b", "d", "e", "f"]


def test_entries_of_links(volume):
    file = volume.create("file", BOTH, 0o644)
    volume.plant_link("good", "file")
    volume.plant_link("out", "/etc/passwd")
    volume.plant_link("dangling", "nothing")
    stats = {entry.name: entry.stat for entry in volume.open("", ACCESS_READ).entries(10)}
    assert stats["good"] == stats["file"] == file.stat()
    for name in ("out", "dangling"):
        assert stats[name] == volume.stat(name, follow=False)


def test_listing_needs_rights(platform, volume):
    volume.make_directory("d", 0o711).close()
    volume.make_directory("e", 0o744).close()
    volume.create("e/f", ACCESS_NONE, 0o644).close()
    mine = volume.acting_as(ALICE)
    with fails(errno.EACCES):
        mine.open("d", ACCESS_READ)
    with fails(errno.EACCES):
        mine.open("d", ACCESS_NONE).entries(1)
    (entry,) = mine.open("e", ACCESS_READ).entries(1)
    assert (entry.name, entry.stat) == ("f", None)  # seen, but not to be looked up


def test_foreign_handles_are_refused(platform, volume):
    class Foreign:
        pass

    with fails(errno.EXDEV):
        own_node(Foreign())
    with fails(errno.EXDEV):
        own_file(volume.open("", ACCESS_READ))
