"""Who hears of which change: plain cases, and a state machine against a model that walks through every listener."""

from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from smbport.state.changes import OF_DIRECTORY, OF_FILE, Changes, name_of
from smbport.state.open import FileOpen
from smbport.wire.change import NotifyAction

if TYPE_CHECKING:
    from smbport.state.lookout import Lookout
    from smbport.state.tree import Share


class Ear:
    """A listener that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, str, int]] = []

    def changed(self, action: int, name: str, what: int, by: FileOpen | None) -> None:
        self.heard.append((action, name, what))

    def lost(self) -> None:
        self.heard.append(LOST)


LOST = (0, "", 0)


class Spy:
    """A lookout that writes down what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def need(self, share: object, path: str, *, tree: bool) -> None:
        self.calls.append(("need", path, tree))

    def release(self, share: object, path: str, *, tree: bool) -> None:
        self.calls.append(("release", path, tree))

    def note(self, share: object, action: int, path: str, what: int, by: object) -> None:
        self.calls.append(("note", action, path, what))

    def move(self, share: object, old: str, new: str) -> None:
        self.calls.append(("move", old, new))


def test_names_are_of_files_or_directories() -> None:
    assert (name_of(directory=True), name_of(directory=False)) == (OF_DIRECTORY, OF_FILE)


def test_a_direct_listener_hears_of_the_entries_only() -> None:
    changes, ear = Changes(), Ear()
    assert not changes
    changes.add("docs", ear, tree=False)
    assert changes
    for path in ("docs/a", "docs/sub/b", "docs", "other/c", "docsx/d", ""):
        changes.report(NotifyAction.ADDED, path, OF_FILE, None)
    assert ear.heard == [(NotifyAction.ADDED, "a", OF_FILE)]
    changes.remove("docs", ear)
    assert not changes


def test_a_tree_listener_hears_of_everything_below() -> None:
    changes, root, docs = Changes(), Ear(), Ear()
    changes.add("", root, tree=True)
    changes.add("docs", docs, tree=True)
    for path in ("docs/a", "docs/sub/b", "docs", ""):
        changes.report(NotifyAction.REMOVED, path, OF_FILE, None)
    assert [name for _, name, _ in root.heard] == ["docs/a", "docs/sub/b", "docs"]
    assert [name for _, name, _ in docs.heard] == ["a", "sub/b"]


def test_a_listener_may_leave_while_it_hears() -> None:
    changes = Changes()

    class Once(Ear):
        def changed(self, action: int, name: str, what: int, by: FileOpen | None) -> None:
            super().changed(action, name, what, by)
            changes.remove("d", self)

    first, second = Once(), Once()
    changes.add("d", first, tree=False)
    changes.add("d", second, tree=True)
    changes.report(NotifyAction.ADDED, "d/x", OF_FILE, None)
    changes.report(NotifyAction.ADDED, "d/y", OF_FILE, None)
    assert len(first.heard) == len(second.heard) == 1
    assert not changes


def test_a_loss_in_a_directory_is_told_where_it_may_matter() -> None:
    changes = Changes()
    ears = {(path, tree): Ear() for path in ("", "d", "d/e", "x") for tree in (False, True)}
    for (path, tree), ear in ears.items():
        changes.add(path, ear, tree=tree)
    changes.lose("d", above=False)
    assert {where for where, ear in ears.items() if ear.heard == [LOST]} == {("d", False), ("d", True)}
    for ear in ears.values():
        ear.heard.clear()
    changes.lose("d", above=True)
    assert {where for where, ear in ears.items() if ear.heard == [LOST]} == {("", True), ("d", False), ("d", True)}
    changes.lose_all()
    assert all(ear.heard[-1] == LOST for ear in ears.values())
    assert sum(len(ear.heard) for ear in ears.values()) == 3 + len(ears)


@pytest.mark.pure_only  # a spy is no Lookout
def test_what_others_do_is_told_to_listeners_only() -> None:
    """`report` is for changes of the server's own making: who watches what others do must hear of them, too."""
    spy, ear = Spy(), Ear()
    changes = Changes(cast("Share", object()))
    changes.connect(cast("Lookout", spy))
    changes.add("d", ear, tree=False)
    changes.report(NotifyAction.ADDED, "d/a", OF_FILE, None)
    changes.posts = 1
    changes.report(NotifyAction.ADDED, "d/b", OF_FILE, None)
    changes.tell(NotifyAction.ADDED, "d/c", OF_FILE, None)
    changes.note(NotifyAction.MODIFIED, "d/d", 0, None)
    assert [name for _, name, _ in ear.heard] == ["a", "b", "c"]
    changes.move("d", "e")
    changes.remove("e", ear)
    assert spy.calls == [
        ("need", "d", False),
        ("note", NotifyAction.ADDED, "d/b", OF_FILE),
        ("note", NotifyAction.MODIFIED, "d/d", 0),
        ("move", "d", "e"),
        ("release", "e", False),
    ]
    assert changes
    changes.posts = 0
    assert not changes


NAMES = st.lists(st.sampled_from("abc"), max_size=3).map("/".join)


class Hub(RuleBasedStateMachine):
    """The hub against a list of (path, tree, listener)."""

    def __init__(self) -> None:
        super().__init__()
        self.changes = Changes()
        self.model: list[tuple[str, bool, Ear]] = []

    @rule(path=NAMES, tree=st.booleans())
    def add(self, path: str, tree: bool) -> None:
        ear = Ear()
        self.changes.add(path, ear, tree=tree)
        self.model.append((path, tree, ear))

    @rule(number=st.integers(min_value=0))
    def remove(self, number: int) -> None:
        if self.model:
            path, _, ear = self.model.pop(number % len(self.model))
            self.changes.remove(path, ear)

    @rule(path=NAMES)
    def report(self, path: str) -> None:
        self.changes.report(NotifyAction.MODIFIED, path, OF_FILE, None)
        for watched, tree, ear in self.model:
            prefix = watched + "/" if watched else ""
            name = path.removeprefix(prefix)
            if path and path.startswith(prefix) and name and (tree or "/" not in name):
                assert ear.heard == [(NotifyAction.MODIFIED, name, OF_FILE)]
                ear.heard.clear()

    @rule(old=NAMES.filter(bool), new=NAMES.filter(bool))
    def move(self, old: str, new: str) -> None:
        if new == old or new.startswith(old + "/"):
            return
        self.changes.move(old, new)
        self.model = [
            (new + path[len(old) :] if path == old or path.startswith(old + "/") else path, tree, ear)
            for path, tree, ear in self.model
        ]

    @invariant()
    def nobody_hears_of_anything_else(self) -> None:
        assert not any(ear.heard for _, _, ear in self.model)
        assert bool(self.changes) == bool(self.model)


TestHub = Hub.TestCase
