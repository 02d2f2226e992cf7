"""smbport.state.open: what the kinds of opens have in common, and what each is good for."""

import pytest

from smbport.platform import Entry
from smbport.state.names import Pattern
from smbport.state.open import DirectoryCursor, FileOpen, Open, PipeOpen
from smbport.wire.constants import Access, CreateOption
from smbport.wire.status import Status, StatusError


@pytest.fixture
def tree(world):
    return world.tree(world.session("ann"))


def status_of(question):
    with pytest.raises(StatusError) as caught:
        question()
    return caught.value.status


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
