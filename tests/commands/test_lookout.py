"""What is watched before something is cached, or waited for."""

import errno
import logging

import pytest

from smbport.commands.lookout import scan_tree
from smbport.state.settings import Limits
from smbport.testing.memory import MemoryPlatform
from smbport.wire.change import ChangeNotifyFlag, ChangeNotifyRequest
from smbport.wire.constants import Access, Command, ContextTag, CreateDisposition, CreateOption, OplockLevel
from smbport.wire.create_contexts import LeaseContextV2

RH, RWH = 3, 7
BATCH, NONE = OplockLevel.BATCH, OplockLevel.NONE


def leased(peer, name, *, key=b"k" * 16, **keywords):
    """What the client may cache of a file."""
    lease = LeaseContextV2(lease_key=key, lease_state=RWH, epoch=1).pack()
    keywords.setdefault("disposition", CreateDisposition.OPEN_IF)
    file = peer.create(
        peer.tree, name, access=Access.FILE_GENERIC_READ, oplock=OplockLevel.LEASE,
        contexts=[(ContextTag.LEASE, lease)], **keywords,
    )  # fmt: skip
    return file.lease.lease_state if file.lease is not None else 0


def opened(peer, name, oplock=BATCH):
    return peer.create(peer.tree, name, disposition=CreateDisposition.OPEN_IF, oplock=oplock)


def watch(peer, directory, *, tree=False):
    request = ChangeNotifyRequest(
        flags=ChangeNotifyFlag.WATCH_TREE if tree else 0, output_buffer_length=4096, completion_filter=0xFFF,
        file_id_persistent=directory.persistent, file_id_volatile=directory.volatile,
    )  # fmt: skip
    peer.start(Command.CHANGE_NOTIFY, request.pack(), tree_id=peer.tree)


def watched(wire):
    """The directories that are, by name."""
    return sorted(path for _, path in wire.server.lookout._posts)


@pytest.mark.parametrize("threads", [False, True])
def test_the_directory_of_what_is_cached_is_watched_once(wire, threads):
    if threads:
        wire.faults.force_threads()
    wire.make_directory("d")
    wire.make("d/old", b"data")
    peer = wire.connect()
    assert watched(wire) == []
    file = opened(peer, "d\\old")
    assert file.oplock_level == BATCH
    assert watched(wire) == ["d"]
    assert opened(peer, "d\\new").oplock_level == BATCH
    assert leased(peer, "d\\leased") == RWH
    assert leased(peer, "d", key=b"d" * 16, options=CreateOption.DIRECTORY_FILE) == RH
    assert wire.faults.counts["Watcher.add"] == 2


def test_who_asks_for_nothing_costs_nothing(wire):
    peer = wire.connect()
    opened(peer, "f", NONE)
    assert (watched(wire), wire.server.lookout.watcher) == ([], None)


def test_what_is_not_granted_is_not_held(wire):
    wire.make("f")
    one, other = wire.connect(), wire.connect()
    opened(one, "f")
    file = opened(other, "f", OplockLevel.EXCLUSIVE)
    held = list(other.connection.state.channels[other.session_id].session.opens.values())
    assert [open.held is not None for open in held] == [file.oplock_level != NONE]


def test_the_state_that_the_client_is_told_is_not_older_than_the_watch(wire):
    wire.make("f", b"old")

    def grow():
        file = wire.volume.open("f", 2)
        file.write_at(0, b"longer")
        file.close()

    wire.faults.do_before("Watcher.add", grow)
    peer = wire.connect()
    _, frame = peer.call(Command.CREATE, peer.create_body("f", requested_oplock_level=BATCH), tree_id=peer.tree)
    assert (6).to_bytes(8, "little") in frame


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.ENOTSUP, errno.EACCES])
@pytest.mark.parametrize("call", ["Watcher.add", "Watch.start"])
def test_what_cannot_be_watched_is_not_cached(wire, caplog, code, call):
    wire.faults.fail(call, code, times=None)
    peer = wire.connect()
    assert opened(peer, "f").oplock_level == NONE
    assert leased(peer, "g") == 0
    directory = peer.create(peer.tree, "", options=CreateOption.DIRECTORY_FILE)
    watch(peer, directory, tree=True)
    assert watched(wire) == []
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == (code == errno.ENOSPC)
    wire.faults.clear()
    assert opened(peer, "h").oplock_level == BATCH


def test_nothing_is_watched_where_nobody_else_changes_files(new_wire):
    wire = new_wire(share={"local_changes": "none"})
    peer = wire.connect()
    assert opened(peer, "f").oplock_level == BATCH
    assert leased(peer, "d", options=CreateOption.DIRECTORY_FILE) == RH
    assert watched(wire) == []


def test_where_the_platform_has_no_watch_nothing_is_cached(wire):
    wire.memory.watch = None
    peer = wire.connect()
    assert opened(peer, "f").oplock_level == NONE
    assert leased(peer, "d", options=CreateOption.DIRECTORY_FILE) == 0


@pytest.mark.parametrize("plant", ["link", "plant_link"])
def test_what_has_another_name_is_not_cached(wire, plant):
    wire.make("f")
    if plant == "link":
        wire.volume.link("f", "g")
    else:
        wire.volume.plant_link("g", "f")
    assert opened(wire.connect(), "g").oplock_level == NONE


def test_a_file_that_vanishes_is_not_cached(wire):
    wire.make("f")
    wire.faults.do_before("Watcher.add", lambda: wire.volume.remove("f", wire.stat("f").key))
    assert opened(wire.connect(), "f").oplock_level == NONE


def test_a_tree_is_watched_to_its_leaves(wire):
    for path in ("a", "a/b", "a/b/c", "z"):
        wire.make_directory(path)
    wire.make("a/b/file")
    wire.volume.plant_link("a/loop", "b")
    peer = wire.connect()
    watch(peer, peer.create(peer.tree, "a", options=CreateOption.DIRECTORY_FILE), tree=True)
    assert watched(wire) == ["a", "a/b", "a/b/c"]


def test_a_tree_that_is_too_large_is_watched_in_part(new_wire, caplog):
    wire = new_wire(limits=Limits(watched_directories=3))
    for number in range(9):
        wire.make_directory(f"d{number}")
    peer = wire.connect()
    watch(peer, peer.create(peer.tree, "", options=CreateOption.DIRECTORY_FILE), tree=True)
    assert len(watched(wire)) == 3
    assert "no more directories can be watched" in caplog.text


def test_a_scan_takes_a_thread():
    platform = MemoryPlatform()
    volume = platform.open_volume("v")
    volume.make_directory("d", 0o755)
    watcher = platform.watch.start()
    with pytest.raises(BlockingIOError):
        scan_tree(watcher, volume, "", 10)
    assert [(path, names) for path, _, names in scan_tree(watcher, volume, "", 10, wait=True)] == [
        ("", [("d", True)]),
        ("d", []),
    ]
    assert [found.path for found in scan_tree(watcher, volume, "", 1, wait=True)] == [""]
    assert scan_tree(watcher, volume, "gone", 10, wait=True) == []
