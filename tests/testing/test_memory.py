"""MemoryPlatform as a whole; `tests/conformance` puts it to the exam."""

import errno
import os
import threading

import pytest

from smbport.platform import ACCESS_NONE, ACCESS_READ, ACCESS_WRITE, POWERS, Account, Interface, Kind
from smbport.testing.memory import EPOCH_NS, PORT, TICK_NS, MemoryPlatform

ALICE = Account("alice", 1000, 1000)
BOTH = ACCESS_READ + ACCESS_WRITE


def fails(code):
    return pytest.raises(OSError, match=rf"^\[Errno {code}\]")


def test_the_port_is_never_picked_by_itself():
    assert PORT.name == "memory"
    assert not PORT.matches()
    assert PORT.probe().name == "memory"


def test_volumes_are_made_on_first_use_and_kept():
    platform = MemoryPlatform()
    first = platform.open_volume("/srv/one")
    first.create("f", ACCESS_NONE, 0o644).close()
    second = platform.open_volume("two")
    first.close()
    with fails(errno.EBADF):
        first.stat("")
    again = platform.open_volume("/srv/one")
    assert again.stat("f").kind == Kind.FILE
    assert again.features.serial != second.features.serial
    assert again.stat("").key != second.stat("").key


def scenario(platform):
    volume = platform.open_volume("v")
    volume.make_directory("d", 0o755).close()
    with_data = volume.create("d/f", BOTH, 0o644)
    with_data.write_at(10, b"data")
    volume.rename("d/f", "g", replace=False)
    return [volume.stat(""), volume.stat("d"), with_data.stat(), volume.space()]


def test_same_calls_same_results():
    assert scenario(MemoryPlatform()) == scenario(MemoryPlatform())


def test_clocks():
    stat = MemoryPlatform().open_volume("v").stat("")
    assert stat.birth_ns == EPOCH_NS
    volume = MemoryPlatform(clock=lambda: 42).open_volume("v")
    assert volume.create("f", BOTH, 0o644).stat().write_ns == 42
    volume = MemoryPlatform().open_volume("v")
    file = volume.create("f", BOTH, 0o644)
    before = file.stat().write_ns
    file.write_at(0, b"x")
    assert file.stat().write_ns == before + TICK_NS


def test_powers_and_their_absence():
    platform = MemoryPlatform()
    for power in POWERS:
        assert (getattr(platform, power) is None) == (power in platform.absent)
    assert platform.identity is None
    assert "identity" not in MemoryPlatform(accounts=[ALICE]).absent


def test_capacity_is_for_each_volume():
    platform = MemoryPlatform(capacity=100_000)
    one, two = platform.open_volume("1"), platform.open_volume("2")
    assert one.create("f", BOTH, 0o644).write_at(0, bytes(200_000)) == 98304  # whole blocks
    assert (one.space().available, two.space().available, two.space().total) == (0, 98304, 98304)


def test_opening():
    volume = MemoryPlatform().open_volume("v")
    volume.make_special("fifo", Kind.FIFO, 0o600)
    volume.plant_link("link", "fifo")
    assert volume.stat("link").kind == Kind.FIFO
    assert volume.open("link", ACCESS_NONE).stat().kind == Kind.FIFO
    assert volume.open("link", ACCESS_NONE, follow=False).stat().kind == Kind.SYMLINK
    with fails(errno.ENXIO):
        volume.open("fifo", ACCESS_READ)
    with fails(errno.ELOOP):
        volume.open("link", ACCESS_READ, follow=False)
    with fails(errno.EBADF):
        volume.open("fifo", ACCESS_NONE).read_at(0, 1)
    assert volume.open("", BOTH).is_directory
    volume.sync_directory_of("gone")
    with fails(errno.ENOENT):
        volume.sync_directory_of("no/where")


def test_rights_are_those_of_the_account():
    platform = MemoryPlatform(accounts=[ALICE])
    volume = platform.open_volume("v")
    volume.make_directory("home", 0o777).close()
    mine = volume.acting_as(ALICE)
    mine.create("home/f", BOTH, 0o400).write_at(0, b"the handle of its maker may write")
    assert volume.stat("home/f").uid == ALICE.uid
    assert mine.open("home/f", ACCESS_READ).read_at(0, 3) == b"the"
    with fails(errno.EACCES):
        mine.open("home/f", BOTH)
    with fails(errno.EACCES):
        mine.create("g", BOTH, 0o644)
    assert mine.open("home/f", ACCESS_NONE).stat().mode == 0o400
    assert mine.may_remove("home/f")
    assert not mine.may_remove("home")


def test_becoming_somebody_is_for_one_thread():
    platform = MemoryPlatform(accounts=[ALICE])
    assert platform.identity.find_account("alice") == ALICE
    assert platform.identity.find_account("server") == platform.account
    assert platform.identity.find_account("nobody") is None
    assert platform.identity.find_group("staff") is None
    volume = platform.open_volume("v")
    open_to_all = volume.make_directory("d", 0o777)
    with platform.identity.become(ALICE):
        volume.create("d/mine", BOTH, 0o644).close()
        with platform.identity.become(platform.account):
            volume.create("d/inner", BOTH, 0o644).close()
        thread = threading.Thread(target=lambda: volume.create("d/theirs", BOTH, 0o644).close())
        thread.start()
        thread.join()
    volume.create("d/after", BOTH, 0o644).close()
    assert {entry.name: entry.stat.uid for entry in open_to_all.entries(9)} == {
        "mine": 1000,
        "inner": 0,
        "theirs": 0,
        "after": 0,
    }


def test_attributes():
    platform = MemoryPlatform()
    attributes = platform.attributes
    volume = platform.open_volume("v")
    for node in (volume.create("f", BOTH, 0o644), volume.make_directory("d", 0o755)):
        before = node.stat().change_ns
        attributes.set(node, "a", b"1")
        assert node.stat().change_ns > before
        attributes.set(node, "b", b"")
        assert attributes.names(node) == ["a", "b"]
        assert (attributes.get(node, "a"), attributes.get(node, "c")) == (b"1", None)
        with fails(errno.E2BIG):
            attributes.set(node, "a", bytes(attributes.max_value + 1))
        attributes.remove(node, "a")
        with fails(errno.ENOENT):
            attributes.remove(node, "a")
    assert attributes.names(volume.open("f", ACCESS_NONE)) == ["b"]


def test_clone_and_holes():
    platform = MemoryPlatform()
    volume = platform.open_volume("v")
    source, target = volume.create("s", BOTH, 0o644), volume.create("t", BOTH, 0o644)
    source.write_at(0, b"0123456789")
    assert platform.clone.copy(source, 2, target, 5, 100) == 8
    assert target.read_at(0, 99) == bytes(5) + b"23456789"
    assert platform.clone.copy(source, 10, target, 0, 100) == 0
    with fails(errno.EINVAL):
        platform.clone.copy(source, 0, source, 2, 8)
    with fails(errno.EXDEV):
        platform.clone.copy(source, 0, platform.open_volume("w").create("t", BOTH, 0o644), 0, 8)
    assert source.read_at(0, 99) == b"0123456789"
    target.resize(2**40)
    assert platform.sparse.data_ranges(target, 0, 2**40, limit=10) == [(0, 4096)]
    platform.sparse.punch(target, 0, 2**40)
    assert platform.sparse.data_ranges(target, 0, 2**40, limit=10) == []
    assert (target.stat().size, target.stat().allocated) == (2**40, 0)


def test_sharing_blocks():
    platform = MemoryPlatform(capacity=8 * 4096)
    volume = platform.open_volume("v")
    source, target = volume.create("s", BOTH, 0o644), volume.create("t", BOTH, 0o644)
    source.write_at(0, b"x" * 4096 + b"y" * 100)
    for offsets in ((1, 0, 4096), (0, 1, 4096), (0, 0, 100), (4096, 0, 101)):
        with fails(errno.EINVAL):
            platform.clone.reflink(source, offsets[0], target, *offsets[1:])
    platform.clone.reflink(source, 4096, target, 4096, 100)
    assert target.read_at(0, 9999) == bytes(4096) + b"y" * 100
    with fails(errno.EINVAL):
        platform.clone.reflink(source, 0, source, 0, 4096)
    source.resize(9 * 4096)
    with fails(errno.ENOSPC):
        platform.clone.reflink(source, 0, target, 0, 9 * 4096)


def test_links_as_clients_make_them():
    volume = MemoryPlatform().open_volume("v")
    volume.create("f", BOTH, 0o644).close()
    volume.symlink("link", "/anywhere")
    assert volume.read_link("link") == "/anywhere"
    for name in ("f", "link"):
        with fails(errno.EEXIST):
            volume.symlink(name, "x")
    for target in ("", "a\0b"):
        with fails(errno.EINVAL):
            volume.symlink("new", target)
    with fails(errno.EINVAL):
        volume.read_link("f")
    with fails(errno.ENOENT):
        volume.read_link("new")


def test_groups():
    identity = MemoryPlatform(accounts=[ALICE], groups={"staff": 50}).identity
    assert identity.find_group("staff") == 50
    users, groups = identity.names()
    assert groups == {50: "staff"}
    assert {identity.find_account(name).uid for name in users.values()} == set(users)


def test_no_sockets_come_from_outside(monkeypatch):
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "3")
    assert MemoryPlatform().sockets.inherited() == []


def test_interfaces_are_configured():
    given = Interface(1, "192.0.2.1", 10**9)
    assert list(MemoryPlatform(interfaces=[given]).sockets.interfaces()) == [given]
    assert MemoryPlatform().sockets.interfaces() == ()
