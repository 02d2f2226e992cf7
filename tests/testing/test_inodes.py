"""The tree: names, links, rights."""

import errno
import itertools

import pytest

from smbport.platform import Account, FileKey, Kind
from smbport.testing.inodes import MAX_LINKS, DirectoryInode, FileInode, Tree
from smbport.testing.watches import MemoryWatch

ROOT = Account("root", 0, 0)
ALICE = Account("alice", 1000, 1000, (50,))
BOB = Account("bob", 1001, 1001, (50,))


@pytest.fixture
def tree():
    return Tree(7, 1 << 30, itertools.count(1000).__next__, ROOT, MemoryWatch())


def fails(code):
    return pytest.raises(OSError, match=errno_text(code))


def errno_text(code):
    return rf"^\[Errno {code}\]"


def test_inodes_are_counted_and_times_read_once_for_each_change(tree):
    file = tree.add_file(ROOT, "a", 0o644)
    assert tree.root.key == FileKey(7, 1)
    assert file.key == FileKey(7, 2)
    assert file.stat().birth_ns == file.stat().write_ns == tree.root.write_ns == 1001


def test_walking_down(tree):
    tree.add_directory(ROOT, "d", 0o755)
    tree.add_file(ROOT, "d/f", 0o644)
    assert isinstance(tree.find(ROOT, "d/f"), FileInode)
    assert tree.find(ROOT, "") is tree.root
    for path, code in [
        ("d/x", errno.ENOENT),
        ("x/f", errno.ENOENT),
        ("d/f/x", errno.ENOTDIR),
        ("n" * 256, errno.ENAMETOOLONG),
        ("ü" * 128, errno.ENAMETOOLONG),
        ("\ud800", errno.EILSEQ),
        ("/d", errno.EINVAL),
        ("d//f", errno.EINVAL),
        ("./d", errno.EINVAL),
        ("d/../d", errno.EINVAL),
        ("d/", errno.EINVAL),
        ("a\0b", errno.EINVAL),
    ]:
        with fails(code):
            tree.find(ROOT, path)
    tree.add_file(ROOT, "ü" * 127 + "\udcff", 0o644)  # 255 bytes


def test_links_inside_are_followed(tree):
    tree.add_directory(ROOT, "d", 0o755)
    directory = tree.add_directory(ROOT, "d/e", 0o755)
    file = tree.add_file(ROOT, "d/f", 0o644)
    tree.add_link(ROOT, "d/e/up", ".././f")
    tree.add_link(ROOT, "into", "d//e/")
    assert tree.find(ROOT, "into") is directory
    assert tree.find(ROOT, "into/up") is file
    assert tree.find(ROOT, "into/up", follow=False).kind == Kind.SYMLINK
    assert tree.find(ROOT, "into/up", follow=False).stat().size == len(".././f")
    tree.add_file(ROOT, "into/new", 0o600)
    assert "new" in directory.children


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/etc", errno.EXDEV),
        ("..", errno.EXDEV),
        ("d/../../x", errno.EXDEV),
        ("nowhere", errno.ENOENT),
        ("bad", errno.ELOOP),
        ("file/x", errno.ENOTDIR),
    ],
)
def test_links_that_lead_nowhere(tree, target, code):
    tree.add_directory(ROOT, "d", 0o755)
    tree.add_file(ROOT, "file", 0o644)
    tree.add_link(ROOT, "bad", target)
    link = tree.find(ROOT, "bad", follow=False)
    with fails(code):
        tree.find(ROOT, "bad")
    assert tree.follow(ROOT, tree.root, link) is link
    with fails(errno.EEXIST):
        tree.add_file(ROOT, "bad", 0o600)


def test_a_long_chain_of_links(tree):
    file = tree.add_file(ROOT, "0", 0o644)
    for number in range(MAX_LINKS + 1):
        tree.add_link(ROOT, str(number + 1), str(number))
    assert tree.find(ROOT, str(MAX_LINKS)) is file
    with fails(errno.ELOOP):
        tree.find(ROOT, str(MAX_LINKS + 1))


def test_link_counts(tree):
    directory = tree.add_directory(ROOT, "d", 0o755)
    tree.add_directory(ROOT, "d/e", 0o755)
    assert (tree.root.links, directory.links) == (3, 3)
    tree.rename(ROOT, "d/e", "e", replace=False)
    assert (tree.root.links, directory.links) == (4, 2)
    file = tree.add_file(ROOT, "f", 0o644)
    tree.link(ROOT, "f", "d/g")
    assert file.links == 2
    with fails(errno.EPERM):
        tree.link(ROOT, "d", "d2")
    with fails(errno.EEXIST):
        tree.link(ROOT, "f", "d/g")
    tree.remove(ROOT, "f", file.key, directory=False)
    tree.remove(ROOT, "d/g", file.key, directory=False)
    assert file.links == 0


def test_room_comes_back_with_the_last_name_and_handle(tree):
    file = tree.add_file(ROOT, "f", 0o644)
    file.pages.write(0, b"x")
    file.handles = 1
    tree.remove(ROOT, "f", file.key, directory=False)
    assert file.pages.read(0, 1) == b"x"
    file.handles = 0
    tree.forget(file)
    assert tree.room.taken == 0


def test_removing(tree):
    directory = tree.add_directory(ROOT, "d", 0o755)
    file = tree.add_file(ROOT, "d/f", 0o644)
    with fails(errno.ENOENT):
        tree.remove(ROOT, "d/f", directory.key, directory=False)
    with fails(errno.ENOTDIR):
        tree.remove(ROOT, "d/f", file.key, directory=True)
    with fails(errno.EISDIR):
        tree.remove(ROOT, "d", directory.key, directory=False)
    with fails(errno.ENOTEMPTY):
        tree.remove(ROOT, "d", directory.key, directory=True)
    with fails(errno.EBUSY):
        tree.remove(ROOT, "", tree.root.key, directory=True)
    tree.remove(ROOT, "d/f", file.key, directory=False)
    tree.remove(ROOT, "d", directory.key, directory=True)
    assert tree.root.children == {}
    assert tree.root.links == 2


def test_removing_a_link_leaves_what_it_leads_to(tree):
    directory = tree.add_directory(ROOT, "d", 0o755)
    for name in ("one", "two", "three"):
        tree.add_link(ROOT, name, "d")
    tree.remove(ROOT, "one", tree.find(ROOT, "one", follow=False).key, directory=False)
    tree.remove(ROOT, "two", directory.key, directory=True)
    with fails(errno.ENOENT):
        tree.remove(ROOT, "three", tree.root.key, directory=False)
    assert set(tree.root.children) == {"d", "three"}


def test_renaming(tree):
    for name in ("full", "full/d", "empty", "other"):
        tree.add_directory(ROOT, name, 0o755)
    a, b = tree.add_file(ROOT, "a", 0o644), tree.add_file(ROOT, "b", 0o644)
    for old, new, code in [
        ("full", "full/d/x", errno.EINVAL),
        ("full", "a", errno.ENOTDIR),
        ("a", "empty", errno.EISDIR),
        ("empty", "full", errno.ENOTEMPTY),
        ("x", "y", errno.ENOENT),
        ("a", "x/y", errno.ENOENT),
        ("", "x", errno.EBUSY),
    ]:
        with fails(code):
            tree.rename(ROOT, old, new, replace=True)
    with fails(errno.EEXIST):
        tree.rename(ROOT, "a", "b", replace=False)
    tree.rename(ROOT, "empty", "other", replace=True)
    tree.rename(ROOT, "a", "b", replace=True)
    assert set(tree.root.children) == {"full", "other", "b"}
    assert tree.root.children["b"] is a
    assert b.links == 0
    tree.link(ROOT, "b", "c")
    tree.rename(ROOT, "b", "c", replace=True)  # two names of one file: nothing happens
    assert set(tree.root.children) == {"full", "other", "b", "c"}


def test_a_moved_directory_knows_its_new_parent(tree):
    tree.add_directory(ROOT, "d", 0o755)
    tree.add_directory(ROOT, "e", 0o755)
    tree.rename(ROOT, "d", "e/d", replace=False)
    tree.add_link(ROOT, "e/d/up", "..")
    assert tree.find(ROOT, "e/d/up") is tree.find(ROOT, "e")


def test_rights_by_class(tree):
    tree.root.mode = 0o777
    tree.add_file(ALICE, "mine", 0o640)
    mine = tree.find(ALICE, "mine")
    assert (mine.uid, mine.gid) == (1000, 1000)
    directory = tree.add_directory(ALICE, "locked", 0o700)
    assert isinstance(directory, DirectoryInode)
    tree.add_file(ALICE, "locked/f", 0o666)
    with fails(errno.EACCES):
        tree.find(BOB, "locked/f")
    with fails(errno.EACCES):
        tree.add_file(BOB, "locked/g", 0o666)
    directory.mode = 0o070  # the owner's own bits count, not the group's
    directory.gid = 50
    with fails(errno.EACCES):
        tree.find(ALICE, "locked/f")
    assert tree.find(BOB, "locked/f") is tree.find(ROOT, "locked/f")


def test_who_may_remove(tree):
    tree.root.mode = 0o1777
    file = tree.add_file(ALICE, "f", 0o666)
    assert tree.may_remove(ALICE, "f")
    assert not tree.may_remove(BOB, "f")
    assert tree.may_remove(ROOT, "f")
    with fails(errno.EPERM):
        tree.remove(BOB, "f", file.key, directory=False)
    with fails(errno.EPERM):
        tree.rename(BOB, "f", "g", replace=False)
    tree.root.mode = 0o777
    assert tree.may_remove(BOB, "f")
    tree.root.mode = 0o755
    assert not tree.may_remove(ALICE, "f")
    with fails(errno.ENOENT):
        tree.may_remove(ROOT, "nothing")


def test_moving_a_directory_elsewhere_needs_the_right_to_write_it(tree):
    tree.root.mode = 0o777
    for name in ("d", "e"):
        tree.add_directory(ALICE, name, 0o755)
    tree.find(ROOT, "d").mode = 0o555
    tree.rename(ALICE, "d", "f", replace=False)
    with fails(errno.EACCES):
        tree.rename(ALICE, "f", "e/d", replace=False)


def test_setgid_directories_hand_down_their_group(tree):
    directory = tree.add_directory(ROOT, "d", 0o2777)
    directory.gid = 50
    assert tree.add_file(ALICE, "d/f", 0o644).gid == 50
    below = tree.add_directory(ALICE, "d/e", 0o755)
    assert (below.gid, below.mode) == (50, 0o2755)
