"""smbport.state.open: what the kinds of opens have in common, and what each is good for."""

import pytest

from smbport.platform import Entry
from smbport.state.names import Pattern
from smbport.state.open import DirectoryCursor, FileOpen, Open, PipeOpen
from smbport.state.watches import Waiter, Watch
from smbport.wire.change import CompletionFilter, NotifyAction, parse_notify_information
from smbport.wire.constants import Access, CreateOption
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
