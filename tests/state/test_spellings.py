"""What is remembered of the names in a directory."""

from dataclasses import replace

import pytest

from smbport.platform import FileKey, Kind, Stat
from smbport.state import spellings
from smbport.state.names import fold
from smbport.state.spellings import Change, Spellings


def directory(inode: int = 1, *, write_ns: int = 10, change_ns: int = 10) -> Stat:
    return Stat(
        key=FileKey(1, inode), kind=Kind.DIRECTORY, size=0, allocated=0, links=2, mode=0o755, uid=0, gid=0,
        access_ns=0, write_ns=write_ns, change_ns=change_ns, birth_ns=0, dos_attributes=None,
    )  # fmt: skip


def hashes(*names: str) -> set[int]:
    return {hash(fold(name)) for name in names}


def read(known: Spellings, state: Stat, names: set[int]) -> None:
    known.begin(state)
    known.remember(state, names, set())


def changed(known: Spellings, before: Stat, after: Stat, added: str | None = None, removed: str | None = None) -> None:
    moment = known.change(before, added, removed)
    known.follow(moment, after)
    known.done(moment)


@pytest.fixture
def known() -> Spellings:
    """A share whose directory 1 was read: it has README and a."""
    known = Spellings()
    read(known, directory(), hashes("README", "a"))
    return known


def test_a_directory_that_was_never_read_may_hold_anything() -> None:
    assert not Spellings().knows(directory())
    assert Spellings().may_hold(directory(), "a")


def test_what_was_read_is_known_in_every_case(known: Spellings) -> None:
    assert known.knows(directory())
    assert known.may_hold(directory(), "readme")
    assert known.may_hold(directory(), "A")
    assert not known.may_hold(directory(), "b")


def test_names_count_as_clients_see_them(known: Spellings) -> None:
    read(known, directory(), hashes("a\uf022b"))
    assert known.may_hold(directory(), "A:B")


@pytest.mark.parametrize("field", ["write_ns", "change_ns"])
def test_any_change_by_others_makes_it_worthless(known: Spellings, field: str) -> None:
    changed = replace(directory(), **{field: 11})
    assert not known.knows(changed)
    assert known.may_hold(changed, "b")


def test_another_directory_is_another_directory(known: Spellings) -> None:
    assert not known.knows(directory(2))


def test_a_name_that_we_add_is_followed(known: Spellings) -> None:
    after = directory(write_ns=20, change_ns=20)
    changed(known, directory(), after, "New")
    assert known.knows(after)
    assert known.may_hold(after, "NEW")
    assert not known.may_hold(after, "b")
    assert not known.knows(directory())


def test_a_name_that_we_remove_is_forgotten(known: Spellings) -> None:
    after = directory(write_ns=20)
    changed(known, directory(), after, removed="readme")
    assert known.knows(after)
    assert not known.may_hold(after, "README")
    assert known.may_hold(after, "a")
    changed(known, after, after, removed="never there")


def test_a_name_that_another_may_have_stays_in_doubt(known: Spellings) -> None:
    """Who reads the directory has seen two spellings, or one was added beside another."""
    known.begin(directory(2))
    known.remember(directory(2), hashes("x", "y"), hashes("x"))
    changed(known, directory(2), directory(2), "Y")
    for name in ("x", "y"):
        changed(known, directory(2), directory(2), removed=name)
        assert known.may_hold(directory(2), name)


def test_a_name_that_was_added_while_the_directory_was_read_may_be_there_twice() -> None:
    known = Spellings()
    known.begin(directory())
    changed(known, directory(), directory(), "New")
    known.remember(directory(), hashes("new"), set())
    changed(known, directory(), directory(), removed="New")
    assert known.may_hold(directory(), "new")


def test_a_change_of_case(known: Spellings) -> None:
    changed(known, directory(), directory(), "ReadMe", "README")
    assert known.may_hold(directory(), "readme")


def test_a_change_that_began_from_another_state_is_not_followed(known: Spellings) -> None:
    """Somebody else changed the directory before we did: their names were not read."""
    changed(known, directory(write_ns=15), directory(write_ns=20), "New")
    assert not known.knows(directory(write_ns=20))
    changed(known, directory(7), directory(7, write_ns=20), "New")
    assert not known.knows(directory(7, write_ns=20))


@pytest.mark.parametrize("first", [0, 1])
def test_changes_of_ours_that_overlap(known: Spellings, first: int) -> None:
    """Both began from the same state.  Whichever is heard of first, the times of the last one count."""
    ours = [(known.change(directory(), "zero"), 20), (known.change(directory(), "one"), 30)]
    assert known.knows(directory(write_ns=20)), "its times may be ahead"
    for moment, write_ns in (ours[first], ours[1 - first]):
        known.follow(moment, directory(write_ns=write_ns))
        known.done(moment)
    last = directory(write_ns=30)
    assert known.knows(last)
    assert not known.knows(directory(write_ns=20))
    assert [known.may_hold(last, name) for name in ("ZERO", "one", "two")] == [True, True, False]


def test_a_change_that_failed(known: Spellings) -> None:
    moment = known.change(directory(), "New")
    known.done(moment)
    assert known.may_hold(directory(), "New")
    assert not known.knows(directory(write_ns=20))


def test_a_name_counts_before_it_is_made(known: Spellings) -> None:
    moment = known.change(directory(), "New")
    assert known.may_hold(directory(), "NEW")
    known.done(moment)


def test_what_is_added_while_a_directory_is_read(known: Spellings) -> None:
    """The reader may have passed the place where it went."""
    state, after = directory(7), directory(7, write_ns=20)
    known.begin(state)
    assert not known.knows(state)
    assert known.may_hold(state, "b")
    changed(known, state, after, "New")
    known.begin(after)  # somebody else reads it as well
    known.remember(state, hashes("a"), set())
    assert known.knows(after)
    assert [known.may_hold(after, name) for name in ("a", "new", "b")] == [True, True, False]


def test_what_others_change_while_a_directory_is_read() -> None:
    known = Spellings()
    known.begin(directory())
    changed(known, directory(write_ns=15), directory(write_ns=20), "New")
    known.remember(directory(), hashes("a"), set())
    assert not known.knows(directory(write_ns=20))
    read(known, directory(write_ns=20), hashes("a", "New"))
    assert known.knows(directory(write_ns=20))


def test_forget(known: Spellings) -> None:
    known.forget(FileKey(1, 1))
    known.forget(FileKey(1, 1))
    assert not known.knows(directory())


def remembered(known: Spellings, count: int) -> list[int]:
    return [inode for inode in range(1, count + 1) if known.knows(directory(inode))]


@pytest.mark.pure_only  # changes a constant, which is compiled in
def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spellings, "MAX_NAMES", 12)
    known = Spellings()
    for inode in range(1, 8):
        read(known, directory(inode), hashes("a", "b", "c"))
    assert remembered(known, 7) == [5, 6, 7], "those that were read last"


@pytest.mark.pure_only  # changes a constant, which is compiled in
def test_empty_directories_take_room_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spellings, "MAX_NAMES", 3)
    known = Spellings()
    for inode in range(1, 8):
        read(known, directory(inode), set())
    assert remembered(known, 7) == [5, 6, 7]


@pytest.mark.pure_only  # changes a constant, which is compiled in
def test_names_that_we_add_take_room_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spellings, "MAX_NAMES", 5)
    known = Spellings()
    for inode in (1, 2):
        read(known, directory(inode), hashes("a"))
    for name in ("b", "c"):
        changed(known, directory(2), directory(2), name)
    assert remembered(known, 2) == [2]


@pytest.mark.pure_only  # changes a constant, which is compiled in
def test_a_directory_that_outgrows_the_memory_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spellings, "MAX_NAMES", 2)
    known = Spellings()
    read(known, directory(), hashes("a"))
    changed(known, directory(), directory(), "b")
    assert not known.knows(directory())


@pytest.mark.pure_only  # changes a constant, which is compiled in
def test_a_directory_larger_than_the_memory_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spellings, "MAX_NAMES", 2)
    known = Spellings()
    read(known, directory(1), hashes("a"))
    read(known, directory(2), hashes("a", "b", "c"))
    assert remembered(known, 2) == [1]


@pytest.mark.pure_only  # changes a constant, which is compiled in
def test_reading_again_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spellings, "MAX_NAMES", 6)
    known = Spellings()
    read(known, directory(1), hashes("a"))
    for _ in range(5):
        read(known, directory(2), hashes("a", "b", "c"))
    assert remembered(known, 2) == [1, 2]


@pytest.mark.pure_only  # changes a constant, which is compiled in
def test_adding_the_same_name_again_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a temporary file that is made and removed all day would push every directory out."""
    monkeypatch.setattr(spellings, "MAX_NAMES", 6)
    known = Spellings()
    for inode in (1, 2):
        read(known, directory(inode), hashes("a"))
    for _ in range(50):
        changed(known, directory(2), directory(2), "same")
    read(known, directory(3), set())
    assert remembered(known, 3) == [1, 2, 3]


def test_a_wrong_count_is_got_over() -> None:
    """Threads count without a lock: a count that is too high must cost a few look-ups, not every one."""
    known = Spellings()
    known._names = 2 * spellings.MAX_NAMES
    read(known, directory(1), hashes("a"))
    read(known, directory(2), hashes("a"))
    assert remembered(known, 2) == [2]


def test_a_short_name_is_remembered_by_its_directory_in_any_case() -> None:
    known = Spellings(short_names=True)
    known.remember_long(directory(), "SHORT~1", "A long name")
    assert known.long_name(directory(write_ns=11), "short~1") == "A long name"
    assert known.long_name(directory(2), "short~1") is None


@pytest.mark.pure_only  # changes a constant, which is compiled in
def test_the_oldest_short_names_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spellings, "MAX_LONG_NAMES", 2)
    known = Spellings(short_names=True)
    for name in ("a", "b", "c"):
        known.remember_long(directory(), name, f"{name} long")
    assert [known.long_name(directory(), name) for name in "abc"] == [None, "b long", "c long"]


# Beside a change that a volume makes ------------------------------------------------------------------------------


def test_the_memory_follows_what_a_witness_sees(known: Spellings) -> None:
    change = Change(known, added="new", removed="a")
    change.before(directory())
    assert known.may_hold(directory(write_ns=11), "NEW")
    change.after(directory(write_ns=11))
    change.over()
    assert known.knows(directory(write_ns=11))
    assert not known.knows(directory())
    assert [known.may_hold(directory(write_ns=11), name) for name in ("New", "A", "readme")] == [True, False, True]


@pytest.mark.parametrize("name", ["readme", "README"])
def test_a_witness_objects_to_what_may_be_there(known: Spellings, name: str) -> None:
    change = Change(known, added=name, surely=True)
    with pytest.raises(FileExistsError):
        change.before(directory())
    change.over()
    assert not known.knows(directory(write_ns=11))  # no change is under way


def test_a_witness_objects_in_a_directory_that_nobody_knows(known: Spellings) -> None:
    with pytest.raises(FileExistsError):
        Change(known, added="new", surely=True).before(directory(2))


def test_a_witness_lets_pass_what_is_surely_not_there(known: Spellings) -> None:
    change = Change(known, added="new", surely=True)
    change.before(directory())
    assert known.knows(directory(write_ns=11))  # while it is under way
    change.over()
    assert not known.knows(directory(write_ns=11))


def test_a_change_that_never_began_is_over_without_a_trace(known: Spellings) -> None:
    change = Change(known, removed="a")
    change.after(directory(write_ns=11))
    change.over()
    assert known.may_hold(directory(), "a")
    assert not known.knows(directory(write_ns=11))
