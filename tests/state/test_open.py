"""smbport.state.open: what the kinds of opens have in common, and what each is good for."""

from types import SimpleNamespace

import pytest

from smbport.platform import Entry
from smbport.state.durable import Durability, Promise
from smbport.state.leases import Lease
from smbport.state.names import Pattern
from smbport.state.open import DirectoryCursor, FileOpen, Open, PipeOpen
from smbport.state.watches import Waiter, Watch
from smbport.wire.change import CompletionFilter, NotifyAction, parse_notify_information
from smbport.wire.constants import Access, CreateOption, OplockLevel
from smbport.wire.create_contexts import LeaseState
from smbport.wire.status import Status, StatusError


@pytest.fixture
def tree(world):
    return world.tree(world.session("ann"))


def status_of(question):
    with pytest.raises(StatusError) as caught:
        question()
    return caught.value.status


@pytest.mark.parametrize(
    ("known", "sent", "counts"),
    [
        (0, 0, True),
        (0, 1, True),
        (0, 0x7FFF, True),
        (0, 0x8000, False),
        (0, 0xFFFF, False),
        (0x7FFF, 0, False),
        (0x7FFF, 0xFFFE, True),
        (0xFFFF, 0, True),
        (0xFFFF, 0x7FFE, True),
        (0xFFFF, 0x7FFF, False),
    ],
)
@pytest.mark.parametrize("replay", [False, True])
def test_a_channel_sequence_that_is_behind_does_not_count(world, tree, known, sent, counts, replay):
    """Half of the numbers are ahead and half behind, wherever one is.  [MS-SMB2] 3.3.5.2.10"""
    opened = world.open(tree)
    opened.channel_sequence = known
    assert opened.begin_request(sent, replay=replay) is counts
    assert opened.channel_sequence == (sent if counts else known)
    assert (opened.requests, opened.older_requests) == (int(counts), 0)


def test_a_replay_waits_until_what_was_sent_before_is_over(world, tree):
    opened = world.open(tree)
    assert opened.begin_request(0, replay=False)
    assert opened.begin_request(0, replay=True)  # nothing was lost
    assert opened.begin_request(1, replay=False)
    assert (opened.requests, opened.older_requests) == (1, 2)
    assert not opened.begin_request(1, replay=True)
    assert not opened.begin_request(2, replay=True)
    assert opened.begin_request(1, replay=False)
    assert (opened.channel_sequence, opened.requests, opened.older_requests) == (1, 2, 2)


def test_one_of_the_rights_is_enough(world, tree):
    opened = world.open(tree, access=Access.READ_DATA | Access.SYNCHRONIZE)
    opened.require(Access.READ_DATA)
    opened.require(Access.READ_DATA | Access.EXECUTE)
    assert status_of(lambda: opened.require(Access.WRITE_DATA | Access.APPEND_DATA)) == Status.ACCESS_DENIED
    assert status_of(lambda: opened.require(0)) == Status.ACCESS_DENIED


def test_a_file_is_no_directory(world, tree):
    opened = world.open(tree, "a/b")
    assert opened.file is opened.node
    assert not opened.is_directory
    assert status_of(lambda: opened.directory) == Status.INVALID_PARAMETER


def test_a_directory_is_no_file(world, tree):
    opened = world.open(tree, "a", directory=True)
    assert opened.directory is opened.node
    assert opened.is_directory
    assert status_of(lambda: opened.file) == Status.INVALID_DEVICE_REQUEST


@pytest.mark.parametrize(
    ("options", "delete"),
    [(0, False), (CreateOption.DELETE_ON_CLOSE, True), (CreateOption.DIRECTORY_FILE, False)],
)
def test_a_new_open(world, tree, options, delete):
    opened = world.open(tree, "a/b", options=options, share_access=5)
    assert opened.delete_on_close is delete
    assert (opened.path, opened.share_access, opened.create_options) == ("a/b", 5, options)
    assert (opened.created, opened.closed, opened.pins, opened.position) == (False, False, 0, 0)
    assert opened.cursor is None
    assert opened.session_name == "ann"


def test_two_names_of_one_file_share_its_state_and_not_its_name(world, tree):
    one, other = world.open(tree, "one", inode=5), world.open(tree, "other", inode=5)
    assert one.shared is other.shared
    world.server.files.move(tree.share, "one", "new")
    assert (one.path, other.path) == ("new", "other")


def test_handles_are_given_back(world, tree):
    opened = world.open(tree)
    opened.release_handle()
    assert opened.node.closed == 1
    Open(tree, 1, 1, 0).release_handle()


def test_a_pipe_has_a_name_and_no_handle(world):
    opened = world.open_pipe(world.tree(world.session(), "IPC$"), "wkssvc")
    assert isinstance(opened, PipeOpen)
    assert not isinstance(opened, FileOpen)
    assert opened.name == "wkssvc"
    assert opened.pipe is None
    opened.release_handle()


@pytest.fixture
def pipe(world):
    """A pipe that two requests wait for."""
    opened = world.open_pipe(world.tree(world.session(), "IPC$"))
    opened.pipe = SimpleNamespace(is_ready=lambda: True)
    opened.readers += [world.Event(), world.Event()]
    return opened


def test_who_waits_for_a_pipe_is_woken_one_at_a_time(pipe):
    pipe.pipe.is_ready = lambda: False
    pipe.wake_reader()
    assert [event.is_set() for event in pipe.readers] == [False, False]
    pipe.pipe.is_ready = lambda: True
    pipe.wake_reader()
    assert [event.is_set() for event in pipe.readers] == [True, False]
    pipe.readers.clear()
    pipe.wake_reader()


def test_nobody_waits_for_a_pipe_that_is_closed(world, pipe):
    world.server.close_open(pipe)
    assert [event.is_set() for event in pipe.readers] == [True, True]


# Enumerations ---------------------------------------------------------------------------------------------------


def test_an_enumeration_begins_again_with_nothing_left_over():
    first, second = Pattern("*"), Pattern("a*")
    cursor = DirectoryCursor(first, None)
    assert (cursor.pattern, cursor.literal, cursor.rest) == (first, None, [])
    cursor.rest.append(Entry("left", None))
    cursor.started = cursor.ended = cursor.names_only = True
    cursor.restart(second, "a")
    assert (cursor.pattern, cursor.literal, cursor.rest) == (second, "a", [])
    assert not cursor.started | cursor.ended | cursor.names_only


def test_those_who_wait_for_a_cursor_are_told_when_it_is_free(world):
    cursor = DirectoryCursor(Pattern("*"), None)
    assert not cursor.busy
    cursor.busy = True
    events = [world.Event(), world.Event()]
    cursor.waiters += events
    cursor.restart(Pattern("b"), "b")
    assert cursor.busy
    assert cursor.waiters == events
    cursor.release()
    assert not cursor.busy
    assert cursor.waiters == []
    assert all(event.is_set() for event in events)


def test_beginning_again_does_not_free_a_cursor_in_use():
    cursor = DirectoryCursor(Pattern("*"), None)
    cursor.busy = True
    cursor.restart(Pattern("*"), None)
    assert cursor.busy


def test_entries_are_moved_as_long_as_they_fit():
    cursor, entries, moved = DirectoryCursor(Pattern("*"), None), [Entry(name, None) for name in "abcd"], []

    def add(entry):
        if entry.name == "b":
            return None  # not to be seen
        if len(moved) == 2:
            return False  # there is no room
        moved.append(entry.name)
        return True

    cursor.rest = entries
    assert cursor.move(add, single=False)
    assert (moved, cursor.rest) == (["a", "c"], entries[3:])
    moved.clear()
    assert not cursor.move(add, single=False)
    assert (moved, cursor.rest) == (["d"], [])
    moved.clear()
    cursor.rest = entries
    assert [cursor.move(add, single=True) for _ in range(2)] == [True, True]
    assert (moved, cursor.rest) == (["a", "c"], entries[3:])


def test_a_watch_begins_and_ends_once(world, tree):
    opened = world.open(tree, "d", directory=True)
    watch = Watch(CompletionFilter.FILE_NAME, 1000, tree=True)
    opened.start_watch(watch)
    tree.share.changes.report(NotifyAction.ADDED, "d/e/f", CompletionFilter.FILE_NAME, None)
    assert parse_notify_information(watch.ask(1000).data) == [(NotifyAction.ADDED, "e\\f")]
    waiter = Waiter(world.Event(), 1000)
    watch.wait(waiter)
    for _ in range(2):
        opened.end_watch(Status.NOTIFY_CLEANUP)
        assert waiter.answer.status == Status.NOTIFY_CLEANUP
        assert not tree.share.changes


def test_who_listens_is_told_through_which_open(world, tree):
    heard = []

    class Ear:
        def changed(self, *change):
            heard.append(change)

    opened = world.open(tree, "d/f")
    opened.report_modified(CompletionFilter.EA)
    tree.share.changes.add("d", Ear(), tree=False)
    opened.report_modified(CompletionFilter.SECURITY)
    assert heard == [(NotifyAction.MODIFIED, "f", CompletionFilter.SECURITY, opened)]


# What it caches and what it was promised -------------------------------------------------------------------------


def test_an_open_without_a_cache(world, tree):
    opened = world.open(tree)
    assert (opened.cache, opened.caching, opened.caches_handle) == (None, 0, False)
    assert (opened.oplock_level, opened.parent_lease_key) == (OplockLevel.NONE, None)


@pytest.mark.parametrize(
    ("level", "caching", "caches_handle"),
    [(OplockLevel.LEVEL_II, 1, False), (OplockLevel.EXCLUSIVE, 5, False), (OplockLevel.BATCH, 7, True)],
)
def test_an_oplock_says_what_is_cached(world, tree, level, caching, caches_handle):
    opened = world.open(tree)
    opened.oplock = opened.shared.oplocks.grant_oplock(opened, level, sole=True, locked=False)
    assert opened.cache is opened.oplock
    assert (opened.oplock_level, opened.caching, opened.caches_handle) == (level, caching, caches_handle)


def test_a_lease_says_what_is_cached(world, tree):
    opened = world.open(tree)
    lease = Lease(opened.shared, bytes(16), b"k" * 16, version=2, epoch=0, parent_key=b"p" * 16)
    world.server.leases.join(lease, opened)
    opened.shared.oplocks.grant_lease(lease, LeaseState.READ_CACHING | LeaseState.HANDLE_CACHING, first=True, sole=True,
                                      locked=False)  # fmt: skip
    assert opened.cache is lease
    assert (opened.oplock_level, opened.caching, opened.caches_handle) == (OplockLevel.LEASE, 3, True)
    assert opened.parent_lease_key == b"p" * 16
    lease.over = world.Event()
    assert not opened.caches_handle, "while it is being broken nobody can count on it"


def test_breaks_wait_until_the_open_is_announced(world, tree):
    opened = world.open(tree)
    sent = []
    opened.early_breaks = [lambda: sent.append(1), lambda: sent.append(2)]
    opened.is_announced()
    opened.is_announced()
    assert (sent, opened.early_breaks) == ([1, 2], None)


def test_what_was_promised(world, tree):
    opened = world.open(tree)
    assert (opened.is_persistent, opened.is_disconnected) == (False, False)
    opened.durability = Durability(promise=Promise.PERSISTENT, owner="ann", client_guid=bytes(16))
    assert (opened.is_persistent, opened.is_disconnected) == (True, False)
    opened.durability.deadline_ns = 5
    assert (opened.is_persistent, opened.is_disconnected) == (True, True)


# Names and volumes ------------------------------------------------------------------------------------------------


def test_a_name_is_changed_with_the_rights_that_decide(world, tree):
    opened = world.open(tree)
    tree.volume, client = object(), tree.volume
    assert opened.volume is tree.volume
    opened.governed = True
    assert opened.volume is tree.share.volume is client


class Listening:
    def __init__(self):
        self.heard = []

    def changed(self, action, name, what, by):
        self.heard.append((action, name, what))

    def lost(self):
        raise AssertionError("nothing was lost")


def test_what_happens_to_a_stream_is_told_as_that(world, tree):
    opened = world.open(tree, "f")
    opened.stream = "s"
    opened.report_stream(NotifyAction.ADDED_STREAM, CompletionFilter.STREAM_NAME)  # nobody listens
    ear = Listening()
    tree.share.changes.add("", ear, tree=False)
    opened.report_stream(NotifyAction.ADDED_STREAM, CompletionFilter.STREAM_NAME)
    opened.report_stream(NotifyAction.REMOVED_STREAM, CompletionFilter.STREAM_NAME, "t")
    opened.report_modified(CompletionFilter.SIZE)
    opened.report_modified(CompletionFilter.LAST_WRITE | CompletionFilter.ATTRIBUTES)
    assert ear.heard == [
        (NotifyAction.ADDED_STREAM, "f:s:$DATA", CompletionFilter.STREAM_NAME),
        (NotifyAction.REMOVED_STREAM, "f:t:$DATA", CompletionFilter.STREAM_NAME),
        (NotifyAction.MODIFIED_STREAM, "f:s:$DATA", CompletionFilter.STREAM_SIZE),
        (NotifyAction.MODIFIED_STREAM, "f:s:$DATA", CompletionFilter.STREAM_WRITE),
        (NotifyAction.MODIFIED, "f", CompletionFilter.ATTRIBUTES),
    ]


def test_a_write_is_noted_only_where_others_are_watched(world, tree):
    opened, changes = world.open(tree, "d/f"), tree.share.changes
    ear = Listening()
    changes.add("d", ear, tree=False)
    opened.note_written()
    changes.posts = 1
    opened.note_written()
    changes.posts = 0
    assert ear.heard == [], "it is told when the file is closed"
