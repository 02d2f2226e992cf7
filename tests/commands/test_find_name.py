"""From the client's spelling to that on disk."""

from collections.abc import Callable
from typing import Any

import pytest

from smbport.commands import find_name as module
from smbport.commands.find_name import Found, find_name, find_spelling, parent_of
from smbport.platform import Kind
from smbport.state.spellings import Spellings


@pytest.fixture
def tree(share: Any) -> Any:
    """A/Mixed.txt, A/Deep/x, f, and a colon on disk."""
    for path in ("A", "A/Deep"):
        share.make_directory(path)
    for path in ("A/Mixed.txt", "A/Deep/x", "f", "A/co:lon", "ÉTÉ"):
        share.make(path)
    return share


def find(share: Any, path: str, **keywords: Any) -> Found:
    return find_name(share.volume, path, **{"spellings": share.tree.share.spellings, **keywords})


@pytest.mark.parametrize(("path", "parent"), [("", ""), ("a", ""), ("a/b", "a"), ("a/b/c", "a/b")])
def test_parent_of(path: str, parent: str) -> None:
    assert parent_of(path) == parent


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("", ""),
        ("f", "f"),
        ("F", "f"),
        ("A/Mixed.txt", "A/Mixed.txt"),
        ("a/mixed.TXT", "A/Mixed.txt"),
        ("A/DEEP/X", "A/Deep/x"),
        ("a/DEEP", "A/Deep"),
        ("A/CO:LON", "A/co:lon"),
        ("été", "ÉTÉ"),
    ],
)
def test_case_is_ignored_and_kept(tree: Any, asked: str, path: str) -> None:
    found = find(tree, asked)
    assert found.path == path
    assert found.stat is not None
    assert found.parent_exists
    assert found.stat.key == tree.volume.stat(path).key


@pytest.mark.parametrize(
    ("asked", "path", "parent_exists"),
    [
        ("new", "new", True),
        ("NEW", "NEW", True),
        ("a/New", "A/New", True),
        ("a/deep/New", "A/Deep/New", True),
        ("nosuch/new", "nosuch/new", False),
        ("a/nosuch/new", "a/nosuch/new", False),
        ("f/new", "f/new", False),
        ("F/new", "F/new", False),
        ("a/mixed.txt/new", "a/mixed.txt/new", False),
        ("nosuch/deeper/new", "nosuch/deeper/new", False),
        ("f/g/new", "f/g/new", False),
    ],
)
def test_what_is_missing_is_told_from_what_leads_to_it(tree: Any, asked: str, path: str, parent_exists: bool) -> None:
    assert find(tree, asked) == Found(path, None, parent_exists)


def test_the_spelling_as_it_is_comes_first(share: Any) -> None:
    for name in ("a", "A"):
        share.make(name, name.encode())
    assert [find(share, name).path for name in ("a", "A")] == ["a", "A"]


def test_where_case_matters(tree: Any) -> None:
    assert find(tree, "F", spellings=None) == Found("F", None, True)
    assert find(tree, "a/Mixed.txt", spellings=None) == Found("a/Mixed.txt", None, False)
    assert find(tree, "A/Mixed.txt", spellings=None).stat is not None


def test_a_volume_that_ignores_case_is_not_searched(new_share: Callable[..., Any]) -> None:
    share = new_share(case_sensitive=False)
    share.make("f")
    share.make_directory("d")
    before = share.faults.counts["Directory.entries"]
    assert find(share, "F") == Found("F", None, True)
    assert find(share, "nosuch/x") == Found("nosuch/x", None, False)
    assert share.faults.counts["Directory.entries"] == before


def test_links_are_followed_unless_they_are_meant(tree: Any) -> None:
    tree.volume.plant_link("link", "A/Mixed.txt")
    tree.volume.plant_link("dangling", "nothing")
    assert find(tree, "LINK").stat.kind == Kind.FILE  # type: ignore[union-attr]
    assert find(tree, "LINK", follow=False).stat.kind == Kind.SYMLINK  # type: ignore[union-attr]
    assert find(tree, "dangling") == Found("dangling", None, True)
    assert find(tree, "dangling", follow=False).stat is not None


def test_a_link_out_of_the_share_is_an_error_and_not_a_missing_name(tree: Any) -> None:
    """The same whether or not there is something."""
    tree.volume.plant_link("out", "/etc")
    for path in ("out", "OUT", "out/passwd", "out/nosuch"):
        with pytest.raises(OSError, match="Invalid cross-device link"):
            find(tree, path)


def test_a_directory_that_may_not_be_read_is_an_error(tree: Any) -> None:
    tree.faults.fail("Volume.open", 13)
    with pytest.raises(PermissionError):
        find(tree, "a/mixed.txt")


# What it costs ----------------------------------------------------------------------------------------------------


def listings(share: Any, path: str) -> int:
    """How many times directories were listed for one look-up."""
    before = share.faults.counts["Directory.entries"]
    find(share, path)
    return int(share.faults.counts["Directory.entries"] - before)


def test_a_name_that_is_right_costs_no_listing(tree: Any) -> None:
    assert listings(tree, "A/Deep/x") == 0


def test_a_directory_is_listed_once_for_all_names_that_are_new(tree: Any) -> None:
    assert listings(tree, "A/new") > 0
    assert listings(tree, "A/newer") == 0
    tree.make("A/behind our back")
    assert listings(tree, "A/newest") > 0


def test_a_name_that_is_known_is_looked_for(tree: Any) -> None:
    """A hash proves that a name is absent, never which spelling it has."""
    find(tree, "A/new")
    assert find(tree, "a/MIXED.txt").path == "A/Mixed.txt"


def test_a_large_directory_is_read_in_batches(share: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 3)
    for number in range(10):
        share.make(f"file{number}")
    assert find(share, "FILE9").path == "file9"
    assert find(share, "FILE10") == Found("FILE10", None, True)


@pytest.mark.pure_only  # changes a constant, which is compiled in
def test_a_directory_with_too_many_names_is_not_remembered(share: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_NAMES", 2)
    monkeypatch.setattr("smbport.state.spellings.MAX_NAMES", 2)
    for number in range(6):
        share.make(f"file{number}")
    assert find(share, "new") == Found("new", None, True)
    assert listings(share, "new") > 0
    assert find(share, "FILE5").path == "file5"


def test_no_handle_is_left(tree: Any) -> None:
    for path in ("a/mixed.txt", "A/new", "f/x", "nosuch/x"):
        find(tree, path)
    tree.faults.fail("Directory.entries", 5)
    with pytest.raises(OSError, match="Input/output error"):
        find(tree, "a/mixed.txt")
    assert tree.inner.open_handles == 0


# What changes meanwhile -------------------------------------------------------------------------------------------


def test_a_directory_that_became_a_file(tree: Any) -> None:
    """Between the look at it and its opening."""
    deep = tree.volume.stat("A/Deep").key
    x = tree.volume.stat("A/Deep/x").key

    def replace() -> None:
        tree.volume.remove("A/Deep/x", x)
        tree.volume.remove("A/Deep", deep, directory=True)
        tree.make("A/Deep")

    volume = tree.faults.wrap(tree.inner.open_volume("data"))
    tree.faults.do_before("Volume.open", replace)
    assert find_spelling(volume, "A/Deep/new", spellings=Spellings()) == ("A/Deep/new", True)
    assert tree.inner.open_handles == 0


def test_a_directory_that_vanished_on_the_way_down(tree: Any) -> None:
    x, deep, top = (tree.volume.stat(path).key for path in ("A/Deep/x", "A/Deep", "A"))

    def vanish() -> None:
        tree.volume.remove("A/Deep/x", x)
        tree.volume.remove("A/Deep", deep, directory=True)
        for path in ("A/Mixed.txt", "A/co:lon"):
            tree.volume.remove(path, tree.volume.stat(path).key)
        tree.volume.remove("A", top, directory=True)

    # 1: the path itself, 2: its directory, 3: a, 4: the root, 5: A/DEEP; the sixth looks at A again.
    tree.faults.do_before("Volume.stat", vanish, nth=6)
    assert find(tree, "a/DEEP/new") == Found("a/DEEP/new", None, False)


def test_a_name_that_vanished_after_its_spelling_was_found(tree: Any) -> None:
    key = tree.volume.stat("f").key
    tree.faults.do_before("Volume.stat", lambda: tree.volume.remove("f", key), nth=3)
    assert find(tree, "F") == Found("f", None, True)


def test_look_ups_may_take_a_thread(tree: Any) -> None:
    tree.faults.force_threads()
    with pytest.raises(BlockingIOError):
        find(tree, "a/mixed.txt")
    assert find(tree, "a/mixed.txt", wait=True).path == "A/Mixed.txt"
    assert tree.inner.open_handles == 0


def test_short_names_are_looked_for_where_the_volume_ignores_case_too(new_share: Any) -> None:
    share = new_share(case_sensitive=False)
    share.make("Quarterly report.docx")
    assert find(share, "QJDGYR~1.DOC").stat is None
    found = find(share, "QJDGYR~1.DOC", spellings=Spellings(short_names=True))
    assert found.path == "Quarterly report.docx"
    assert found.stat is not None
