"""smbport.state.sharing: who may open what beside whom, and what becomes of names."""

from functools import cache
from itertools import combinations, product
from types import SimpleNamespace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from smbport.platform import FileKey
from smbport.security.auth import LogonUser
from smbport.state.open import FileOpen
from smbport.state.oplocks import is_stat_open
from smbport.state.session import Session
from smbport.state.settings import Settings, ShareSettings
from smbport.state.sharing import SharedFile, SharedFiles
from smbport.state.tree import TreeConnect
from smbport.state.watches import Waiter, Watch
from smbport.testing.direct import new_server
from smbport.testing.memory import MemoryPlatform
from smbport.users import MemoryUsers
from smbport.wire.constants import Access, ShareAccess
from smbport.wire.status import Status, StatusError

# Right -> what the other one must share.  [MS-FSA] 2.1.5.1.2.2
NEEDS = {
    Access.READ_DATA: ShareAccess.READ,
    Access.EXECUTE: ShareAccess.READ,
    Access.WRITE_DATA: ShareAccess.WRITE,
    Access.APPEND_DATA: ShareAccess.WRITE,
    Access.DELETE: ShareAccess.DELETE,
    Access.READ_ATTRIBUTES: None,
    Access.WRITE_ATTRIBUTES | Access.READ_EA | Access.WRITE_EA: None,
    Access.READ_CONTROL | Access.WRITE_DAC | Access.WRITE_OWNER | Access.SYNCHRONIZE: None,
}


@cache
def new_tree():
    server = new_server(Settings(shares=(ShareSettings(name="data", path="data"),)), MemoryPlatform(), MemoryUsers({}))
    session, share = Session(server, 1), server.find_share("data")
    session.user = LogonUser("ann", "", "user", None)
    return TreeConnect(session, 1, share, server.platform.account, share.volume)


def plain(granted_access=0, share_access=7, path="file", stream=""):
    """An open without anything behind it."""
    node = SimpleNamespace(is_directory=False)
    return FileOpen(
        new_tree(), 1, 1, granted_access=granted_access, share_access=share_access, create_options=0, node=node,
        path=path, stream=stream,
    )  # fmt: skip


def allowed(rights, share, other_rights, other_share):
    """What both do, both let the other do; unless one of them does nothing that counts."""
    wanted = {NEEDS[right] for right in rights} - {None}
    other_wanted = {NEEDS[right] for right in other_rights} - {None}
    if not wanted or not other_wanted:
        return True
    return all(need & other_share for need in wanted) and all(need & share for need in other_wanted)


def test_the_rule_is_symmetric_and_as_specified():
    rights = [*((right,) for right in NEEDS), *combinations(NEEDS, 2), tuple(NEEDS)]
    key = FileKey(1, 1)
    for first, second in product(rights, rights):
        for share, other_share in product(range(8), range(8)):
            shared = SharedFile(key)
            shared.add(plain(sum(second), other_share))
            expected = allowed(first, share, second, other_share)
            if expected:
                shared.check_sharing(sum(first), share)
            else:
                with pytest.raises(StatusError) as caught:
                    shared.check_sharing(sum(first), share)
                assert caught.value.status == Status.SHARING_VIOLATION


def test_the_refusal_names_who_is_in_the_way():
    shared = SharedFile(FileKey(1, 1))
    for opened in [
        plain(Access.READ_ATTRIBUTES, 0, "stat"),
        plain(Access.READ_DATA, 7, "reader"),
        plain(Access.DELETE, 6, "forbids reading"),
        plain(Access.DELETE, 5, "forbids writing"),
    ]:
        shared.add(opened)
    shared.check_sharing(Access.DELETE, 7)
    for access, share_access, who in [
        (Access.WRITE_DATA, 7, "forbids writing"),
        (Access.READ_DATA, 7, "forbids reading"),
        (Access.DELETE, ShareAccess.DELETE, "reader"),
        (Access.DELETE, ShareAccess.READ, "forbids reading"),
    ]:
        with pytest.raises(StatusError, match=f"{who} is open by ann"):
            shared.check_sharing(access, share_access)


class Sharing(RuleBasedStateMachine):
    """The model asks every open there is."""

    def __init__(self):
        super().__init__()
        self.shared = SharedFile(FileKey(1, 1))
        self.there = []
        self.rights = {}

    def refuses(self, rights, share):
        others = [(self.rights[other], other.share_access) for other in self.there]
        return not all(allowed(rights, share, *other) for other in others)

    @rule(rights=st.sets(st.sampled_from(list(NEEDS)), max_size=3), share=st.integers(0, 7), ask=st.booleans())
    def open(self, rights, share, ask):
        opened = plain(sum(rights), share)
        self.rights[opened] = rights
        if ask and self.refuses(rights, share):
            with pytest.raises(StatusError, match="is open by"):
                self.shared.check_sharing(sum(rights), share)
            return
        if ask:
            self.shared.check_sharing(sum(rights), share)
        self.shared.add(opened)
        self.there.append(opened)

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def close(self, data):
        opened = data.draw(st.sampled_from(self.there))
        self.there.remove(opened)
        self.shared.remove(opened)
        assert self.shared.closed_by is None  # nothing is to be deleted

    @invariant()
    def same_opens(self):
        assert list(self.shared.opens) == self.there
        for opened in self.there:
            others = [other for other in self.there if other is not opened]
            assert self.shared.is_sole(opened) is all(is_stat_open(other.granted_access) for other in others)


Sharing.TestCase.settings = settings(max_examples=100, stateful_step_count=20, deadline=None)
TestSharing = Sharing.TestCase


@pytest.mark.parametrize("access", [Access.READ_ATTRIBUTES, Access.FILE_ALL_ACCESS])
def test_nobody_joins_what_is_to_be_deleted(access):
    shared = SharedFile(FileKey(1, 1))
    shared.check_sharing(access, 7)
    assert not shared.delete_pending
    shared.doomed_by = plain()
    assert shared.delete_pending
    with pytest.raises(StatusError) as caught:
        shared.check_sharing(access, 7)
    assert caught.value.status == Status.DELETE_PENDING


@pytest.mark.parametrize(
    ("others", "sole"),
    [
        ([], True),
        ([Access.READ_ATTRIBUTES | Access.SYNCHRONIZE], True),
        ([Access.READ_DATA], False),
        ([Access.READ_ATTRIBUTES, Access.DELETE], False),
    ],
)
def test_stat_opens_leave_an_open_alone(others, sole):
    shared = SharedFile(FileKey(1, 1))
    opened = plain(Access.FILE_ALL_ACCESS)
    for other in [opened, *map(plain, others)]:
        shared.add(other)
    assert shared.is_sole(opened) is sole


def test_files_are_known_from_the_first_open_to_the_last():
    files = SharedFiles()
    key, first, second = FileKey(1, 7), plain(), plain()
    assert files.find(key) is None
    shared = files.join(key, first)
    assert files.join(key, second) is shared is files.find(key)
    assert files.find(FileKey(2, 7)) is None
    assert not files.leave(shared, first)
    assert list(shared.opens) == [second]
    assert files.leave(shared, second)
    assert (files.find(key), len(files)) == (None, 0)


def test_who_closed_last_what_is_to_be_deleted():
    shared, first, last = SharedFile(FileKey(1, 1)), plain(), plain()
    shared.add(first)
    shared.add(last)
    shared.doom(first)
    shared.remove(first)
    assert shared.closed_by is None
    shared.remove(last)
    assert shared.closed_by is last


def test_a_doomed_file_stays_known_until_its_name_is_gone():
    files = SharedFiles()
    opened = plain()
    shared = files.join(FileKey(1, 7), opened)
    shared.doomed_by = opened
    assert files.leave(shared, opened)
    assert files.find(FileKey(1, 7)) is shared
    files.forget(shared)
    files.forget(shared)
    assert files.find(FileKey(1, 7)) is None


# Names ----------------------------------------------------------------------------------------------------------

parts = st.sampled_from(["a", "ab", "b", "a.b"])
paths = st.lists(parts, min_size=1, max_size=3).map("/".join)


class Names(RuleBasedStateMachine):
    """The model has the parts of every path, and moves what begins with the parts of the old one."""

    def __init__(self, world):
        super().__init__()
        self.world = world
        session = world.session()
        self.trees = [world.tree(session, name) for name in ("data", "more")]
        self.alive = {}  # open -> (share number, parts)
        self.doomed = {}  # the same, of those that are closed while their name is still to go

    def known(self):
        return self.alive | self.doomed

    @rule(number=st.integers(0, 1), path=paths, inode=st.integers(1, 3))
    def open(self, number, path, inode):
        shared = self.world.server.files.find(FileKey(1, inode))
        if shared is None or not shared.delete_pending:
            opened = self.world.open(self.trees[number], path, inode=inode)
            self.alive[opened] = (number, path.split("/"))

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), when_closed=st.booleans())
    def mark(self, data, when_closed):
        opened = data.draw(st.sampled_from(list(self.alive)))
        if when_closed:
            opened.delete_on_close = True
        else:
            self.doomed.pop(opened.shared.doomed_by, None)
            opened.shared.doomed_by = opened

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def close(self, data):
        opened = data.draw(st.sampled_from(list(self.alive)))
        where = self.alive.pop(opened)
        shared = opened.shared
        if opened.delete_on_close:
            self.doomed.pop(shared.doomed_by, None)
        doomed = self.world.server.close_open(opened)
        if shared.doomed_by is opened:
            self.doomed[opened] = where
        assert shared.doomed_by is opened or not opened.delete_on_close
        last = not any(other.shared is shared for other in self.alive)
        assert doomed is (shared.doomed_by if last else None)

    @rule()
    def delete_names(self):
        for doomed in list(self.doomed):
            if not doomed.shared.opens:
                del self.doomed[doomed]
                self.world.server.files.forget(doomed.shared)

    @rule(number=st.integers(0, 1), old=paths, new=paths)
    def move(self, number, old, new):
        files, share = self.world.server.files, self.trees[number].share
        old_parts, new_parts = old.split("/"), new.split("/")
        length = len(old_parts)
        here = [path for at, path in self.known().values() if at == number]
        below = {
            opened
            for opened, (at, path) in self.known().items()
            if at == number and path[:length] == old_parts and len(path) > length
        }
        assert files.find_below(share, old) in (below or {None})
        files.move(share, old, new)
        for path in here:
            if path[:length] == old_parts:
                path[:length] = new_parts

    @invariant()
    def paths_are_right(self):
        for opened, (_, path) in self.known().items():
            assert opened.path == "/".join(path)

    @invariant()
    def as_many_files(self):
        assert len(self.world.server.files) == len({opened.shared.key for opened in self.known()})


def test_names_follow_renames(new_world):
    run_state_machine_as_test(
        lambda: Names(new_world()), settings=settings(max_examples=50, stateful_step_count=30, deadline=None)
    )


@pytest.mark.parametrize("path", ["ab", "abc/x", "b/a/x", "a.b"])
def test_a_name_that_only_begins_alike_is_not_inside(world, path):
    tree = world.tree(world.session())
    opened = world.open(tree, path)
    assert world.server.files.find_below(tree.share, "a") is None
    world.server.files.move(tree.share, "a", "z")
    assert opened.path == path


def test_an_open_that_is_marked_and_not_closed_moves_once(world):
    tree = world.tree(world.session())
    opened = world.open(tree, "a")
    opened.shared.doomed_by = opened
    world.server.files.move(tree.share, "a", "a/b")
    assert opened.path == "a/b"


def test_a_doomed_directory_is_watched_no_more(world):
    tree = world.tree(world.session())
    opened, other = (world.open(tree, "d", directory=True) for _ in range(2))
    watch, waiter = Watch(0xFFF, 1000, tree=False), Waiter(world.Event(), 1000)
    opened.start_watch(watch)
    watch.wait(waiter)
    other.shared.doom(other)
    assert other.shared.doomed_by is other
    assert waiter.answer.status == Status.DELETE_PENDING
    assert opened.watch is None


# Streams --------------------------------------------------------------------------------------------------------


def test_streams_are_found_by_their_file_in_any_spelling():
    files, key = SharedFiles(), FileKey(1, 7)
    one, other, file = plain(stream="Name"), plain(stream="nAME"), plain()
    stream = files.join(key, one)
    assert files.join(key, other) is stream
    base = files.find(key)
    assert (stream.base, base.find_stream("NAME"), base.find_stream("x")) == (base, stream, None)
    assert files.join(key, file) is base
    assert len(files) == 1
    assert not files.leave(stream, one)
    assert files.leave(base, file) is False
    assert files.leave(stream, other)
    assert files.due(stream) is None
    assert len(files) == 0


def test_a_stream_has_share_modes_of_its_own_but_for_deleting():
    files, key = SharedFiles(), FileKey(1, 7)
    stream = files.join(key, plain(Access.READ_DATA, 0, stream="s"))
    base = files.find(key)
    base.check_sharing(Access.READ_DATA, 0)
    assert base.undeletable_streams() == [stream]
    with pytest.raises(StatusError):
        stream.check_sharing(Access.READ_DATA, 7)
    shared = files.join(FileKey(1, 8), plain(Access.READ_DATA, ShareAccess.DELETE, stream="s"))
    assert shared.base.undeletable_streams() == []


def test_a_doomed_file_goes_with_the_last_of_its_streams():
    files, key = SharedFiles(), FileKey(1, 7)
    one, other, file = plain(stream="one"), plain(stream="other"), plain()
    streams = [files.join(key, one), files.join(key, other)]
    base = files.join(key, file)
    base.doomed_by = file
    assert not files.leave(base, file)
    assert files.leave(streams[0], one)
    assert files.due(streams[0]) is None
    streams[1].doomed_by = other
    assert files.leave(streams[1], other)
    assert files.due(streams[1]) is file
    files.forget(base)
    files.forget(streams[1])
    assert len(files) == 0


def test_a_doomed_stream_stays_known_until_it_is_gone():
    files, key = SharedFiles(), FileKey(1, 7)
    opened = plain(stream="s")
    stream = files.join(key, opened)
    stream.doomed_by = opened
    assert files.leave(stream, opened)
    assert files.due(stream) is opened
    base, file = files.find(key), plain()
    assert base.find_stream("S") is stream
    files.join(key, file)
    assert files.leave(base, file)
    assert files.due(base) is None
    assert files.find(key) is base
    files.forget(stream)
    assert files.find(key) is None


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("closed", [False, True])
def test_a_stream_is_found_by_both_names_while_it_gets_another(fails, closed):
    files, key = SharedFiles(), FileKey(1, 7)
    opened = plain(stream="old")
    stream = files.join(key, opened)
    base = files.find(key)

    def rename():
        with files.renaming_stream(stream, "New"):
            assert base.find_stream("OLD") is base.find_stream("new") is stream
            if closed:
                files.leave(stream, opened)
            if fails:
                raise FileExistsError

    if fails:
        with pytest.raises(FileExistsError):
            rename()
    else:
        rename()
    name, other = ("old", "new") if fails else ("new", "old")
    assert base.find_stream(other) is None
    assert base.find_stream(name) is (None if closed else stream)
    assert len(files) == (0 if closed else 1)
    if not closed:
        assert opened.stream == stream.stream == ("old" if fails else "New")


@pytest.mark.parametrize(
    ("doomed_posix", "closed", "other_posix", "has_stream", "goes"),
    [
        (True, True, True, False, True),
        (False, True, True, False, False),
        (True, False, True, False, False),
        (True, True, False, False, False),
        (True, True, True, True, False),
    ],
)
def test_a_name_that_does_not_wait_for_the_last_open(doomed_posix, closed, other_posix, has_stream, goes):
    files, key = SharedFiles(), FileKey(1, 1)
    doomed, other = plain(), plain()
    doomed.posix, doomed.closed, other.posix = doomed_posix, closed, other_posix
    shared = files.join(key, doomed)
    files.join(key, other)
    if has_stream:
        files.join(key, plain(stream="s"))
    assert files.unlink(shared) is None
    shared.doom(doomed)
    files.leave(shared, doomed)
    assert files.unlink(shared) is (doomed if goes else None)
    assert shared.delete_pending is not goes
    if goes:
        files.forget(shared)  # the name was removed: the file goes on for the other one
        assert files.find(key) is shared
        files.leave(shared, other)
        assert files.find(key) is None


def test_locks_go_with_their_open():
    shared, one, other = SharedFile(FileKey(1, 1)), plain(), plain()
    shared.release_locks(one)  # nobody has asked for any yet
    assert shared.locks.try_lock(one, 0, 10, exclusive=True)
    assert not shared.locks.may_read(other, 0, 1)
    shared.release_locks(one)
    assert shared.locks.may_read(other, 0, 1)
