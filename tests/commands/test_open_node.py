"""The part of CREATE that asks the platform: what is opened, what is made, and what is left when it fails."""

import errno
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from smbport.commands.open_node import RACES, Opened, Plan, open_node
from smbport.platform import ACCESS_READ, ACCESS_WRITE, Account, Kind, Volume
from smbport.state.spellings import Spellings
from smbport.testing.calls import wrap
from smbport.testing.faults import Faults
from smbport.testing.memory import MemoryPlatform
from smbport.wire.constants import Access, CreateAction, CreateDisposition, FileAttribute
from smbport.wire.status import Status, StatusError, status_name

ALICE = Account("alice", 1001, 1001)
READ, WRITE, ALL = Access.FILE_GENERIC_READ, Access.FILE_GENERIC_WRITE, Access.FILE_ALL_ACCESS
MAXIMUM = Access.MAXIMUM_ALLOWED
SUPERSEDE, OPEN, CREATE = CreateDisposition.SUPERSEDE, CreateDisposition.OPEN, CreateDisposition.CREATE
OPEN_IF, OVERWRITE, OVERWRITE_IF = (
    CreateDisposition.OPEN_IF, CreateDisposition.OVERWRITE, CreateDisposition.OVERWRITE_IF,
)  # fmt: skip
READONLY, HIDDEN, SYSTEM = FileAttribute.READONLY, FileAttribute.HIDDEN, FileAttribute.SYSTEM
ARCHIVE = FileAttribute.ARCHIVE


class Bench:
    """A volume with a file `f`, a directory `d` and a link to nowhere, seen by the server or by alice."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.memory = MemoryPlatform(accounts=[ALICE])
        self.behind = self.memory.open_volume("v")  # the server's, without faults
        self.volume: Volume = self.faults.wrap(self.behind)
        self.spellings = Spellings()
        self.make("f", b"content")
        self.behind.make_directory("d", 0o755).close()
        self.behind.plant_link("dangling", "nothing")

    def make(self, path: str, data: bytes = b"", *, mode: int = 0o644, marks: int | None = None) -> None:
        file = self.behind.create(path, ACCESS_WRITE, mode)
        file.write_at(0, data)
        if marks is not None:
            file.set_marks(marks, None)
        file.close()

    def set_mode(self, path: str, mode: int) -> None:
        node = self.behind.open(path, 0)
        node.set_mode(mode)
        node.close()

    def remove(self, path: str) -> None:
        self.behind.remove(path, self.behind.stat(path, follow=False).key)

    def as_alice(self) -> None:
        """From now on, permission bits count."""
        self.volume = self.faults.wrap(self.behind.acting_as(ALICE))

    def run(self, path: str, disposition: int = OPEN, access: int = READ, *, wait: bool = True, **plan: Any) -> Opened:
        """What came of it; its handle is closed."""
        values: dict[str, Any] = {
            "must_be_directory": False, "must_be_file": False, "delete_on_close": False, "follow": True,
            "attributes": 0, "mode": 0o644, "writable": True, "spellings": self.spellings, "allocation_size": 0,
        }  # fmt: skip
        opened = open_node(
            self.volume, Plan(path=path, access=access, disposition=disposition, **(values | plan)), wait=wait
        )
        opened.node.close()
        assert self.memory.open_handles == 0
        return opened

    def refused(self, path: str, disposition: int = OPEN, access: int = READ, **plan: Any) -> str:
        """The name of the status; nothing was changed and nothing is open."""
        before = self.state()
        with pytest.raises(StatusError) as refusal:
            self.run(path, disposition, access, **plan)
        assert self.memory.open_handles == 0
        assert self.state() == before
        return status_name(refusal.value.status).removeprefix("STATUS_")

    def fails(self, number: int, path: str, disposition: int = OPEN, access: int = READ, **plan: Any) -> None:
        """The same for an error of the platform."""
        before = self.state()
        with pytest.raises(OSError, match="Errno") as failure:
            self.run(path, disposition, access, **plan)
        assert failure.value.errno == number
        assert self.memory.open_handles == 0
        assert self.state() == before

    def state(self) -> list[tuple[str, int, int]]:
        """Names, files and sizes in the root."""
        root = self.behind.open("", ACCESS_READ)
        assert root.is_directory
        names = [entry.name for entry in root.entries(1000, stat=False)]
        root.close()
        stats = [self.behind.stat(name, follow=False) for name in names]
        return [(name, stat.key.inode, stat.size) for name, stat in zip(names, stats, strict=True)]


@pytest.fixture
def bench() -> Bench:
    return Bench()


# Disposition, what is there, what is asked for ------------------------------------------------------------------------

OUTCOMES: dict[tuple[int, str, str], int | str] = {
    # What is there is a file.
    (SUPERSEDE, "f", "any"): CreateAction.SUPERSEDED,
    (OPEN, "f", "any"): CreateAction.OPENED,
    (CREATE, "f", "any"): "OBJECT_NAME_COLLISION",
    (OPEN_IF, "f", "any"): CreateAction.OPENED,
    (OVERWRITE, "f", "any"): CreateAction.OVERWRITTEN,
    (OVERWRITE_IF, "f", "any"): CreateAction.OVERWRITTEN,
    (SUPERSEDE, "f", "file"): CreateAction.SUPERSEDED,
    (OPEN, "f", "file"): CreateAction.OPENED,
    (CREATE, "f", "file"): "OBJECT_NAME_COLLISION",
    (OPEN_IF, "f", "file"): CreateAction.OPENED,
    (OVERWRITE, "f", "file"): CreateAction.OVERWRITTEN,
    (OVERWRITE_IF, "f", "file"): CreateAction.OVERWRITTEN,
    (SUPERSEDE, "f", "directory"): "NOT_A_DIRECTORY",
    (OPEN, "f", "directory"): "NOT_A_DIRECTORY",
    (CREATE, "f", "directory"): "OBJECT_NAME_COLLISION",
    (OPEN_IF, "f", "directory"): "NOT_A_DIRECTORY",
    (OVERWRITE, "f", "directory"): "NOT_A_DIRECTORY",
    (OVERWRITE_IF, "f", "directory"): "NOT_A_DIRECTORY",
    # What is there is a directory.
    (SUPERSEDE, "d", "any"): "OBJECT_NAME_COLLISION",
    (OPEN, "d", "any"): CreateAction.OPENED,
    (CREATE, "d", "any"): "OBJECT_NAME_COLLISION",
    (OPEN_IF, "d", "any"): CreateAction.OPENED,
    (OVERWRITE, "d", "any"): "OBJECT_NAME_COLLISION",
    (OVERWRITE_IF, "d", "any"): "OBJECT_NAME_COLLISION",
    (SUPERSEDE, "d", "file"): "FILE_IS_A_DIRECTORY",
    (OPEN, "d", "file"): "FILE_IS_A_DIRECTORY",
    (CREATE, "d", "file"): "OBJECT_NAME_COLLISION",
    (OPEN_IF, "d", "file"): "FILE_IS_A_DIRECTORY",
    (OVERWRITE, "d", "file"): "FILE_IS_A_DIRECTORY",
    (OVERWRITE_IF, "d", "file"): "FILE_IS_A_DIRECTORY",
    (SUPERSEDE, "d", "directory"): "OBJECT_NAME_COLLISION",
    (OPEN, "d", "directory"): CreateAction.OPENED,
    (CREATE, "d", "directory"): "OBJECT_NAME_COLLISION",
    (OPEN_IF, "d", "directory"): CreateAction.OPENED,
    (OVERWRITE, "d", "directory"): "OBJECT_NAME_COLLISION",
    (OVERWRITE_IF, "d", "directory"): "OBJECT_NAME_COLLISION",
    # There is nothing.
    (SUPERSEDE, "new", "any"): CreateAction.CREATED,
    (OPEN, "new", "any"): "OBJECT_NAME_NOT_FOUND",
    (CREATE, "new", "any"): CreateAction.CREATED,
    (OPEN_IF, "new", "any"): CreateAction.CREATED,
    (OVERWRITE, "new", "any"): "OBJECT_NAME_NOT_FOUND",
    (OVERWRITE_IF, "new", "any"): CreateAction.CREATED,
    (SUPERSEDE, "new", "file"): CreateAction.CREATED,
    (OPEN, "new", "file"): "OBJECT_NAME_NOT_FOUND",
    (CREATE, "new", "file"): CreateAction.CREATED,
    (OPEN_IF, "new", "file"): CreateAction.CREATED,
    (OVERWRITE, "new", "file"): "OBJECT_NAME_NOT_FOUND",
    (OVERWRITE_IF, "new", "file"): CreateAction.CREATED,
    (OPEN, "new", "directory"): "OBJECT_NAME_NOT_FOUND",
    (CREATE, "new", "directory"): CreateAction.CREATED,
    (OPEN_IF, "new", "directory"): CreateAction.CREATED,
    # A part before the last is missing, or is a file.
    **{
        (disposition, path, kind): "OBJECT_PATH_NOT_FOUND"
        for disposition in (SUPERSEDE, OPEN, CREATE, OPEN_IF, OVERWRITE, OVERWRITE_IF)
        for path in ("nosuch/new", "f/new", "d/nosuch/new", "f/g/new")
        for kind in ("any", "file", "directory")
    },
}


@pytest.mark.parametrize(("disposition", "path", "kind"), OUTCOMES)
@pytest.mark.parametrize("case", ["as it is", "upper"])
def test_outcomes(bench: Bench, disposition: int, path: str, kind: str, case: str) -> None:
    """[MS-FSA] 2.1.5.1; a name in another case is the same name."""
    asked = path.upper() if case == "upper" else path
    wishes = {"must_be_file": kind == "file", "must_be_directory": kind == "directory"}
    outcome = OUTCOMES[disposition, path, kind]
    if isinstance(outcome, str):
        assert bench.refused(asked, disposition, ALL, **wishes) == outcome
        return
    opened = bench.run(asked, disposition, ALL, **wishes)
    assert opened.action == outcome
    assert opened.path == (asked if outcome == CreateAction.CREATED else path)
    is_directory = path == "d" or (path == "new" and kind == "directory")
    assert opened.stat.kind == (Kind.DIRECTORY if is_directory else Kind.FILE)
    assert bench.behind.stat(opened.path).key == opened.stat.key
    assert bench.behind.stat("f").size == 7, "cutting is not done here"


@pytest.mark.parametrize("disposition", [OPEN, OPEN_IF, CREATE])
def test_the_root(bench: Bench, disposition: int) -> None:
    if disposition == CREATE:
        assert bench.refused("", CREATE) == "OBJECT_NAME_COLLISION"
    else:
        assert bench.run("", disposition, ALL).path == ""


def test_the_root_went_away(bench: Bench) -> None:
    """A share whose directory was removed, or whose disk went."""
    bench.faults.fail("Volume.open", errno.ENOENT, times=None)
    bench.faults.fail("Volume.stat", errno.ENOENT, times=None)
    for path in ("", "f", "d/x"):
        assert bench.refused(path) == "OBJECT_PATH_NOT_FOUND"


def test_where_case_matters(bench: Bench) -> None:
    assert bench.refused("F", spellings=None) == "OBJECT_NAME_NOT_FOUND"
    assert bench.run("F", CREATE, spellings=None).action == CreateAction.CREATED
    assert bench.run("f", spellings=None).path == "f"


# Rights ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("access", [READ, WRITE, ALL, Access.EXECUTE, Access.READ_ATTRIBUTES, Access.APPEND_DATA])
def test_what_was_asked_for_is_granted(bench: Bench, access: int) -> None:
    assert bench.run("f", access=access).granted_access == access | Access.READ_ATTRIBUTES
    assert bench.run("new", CREATE, access).granted_access == access | Access.READ_ATTRIBUTES


@pytest.mark.parametrize(
    ("access", "wanted"),
    [
        (Access.READ_ATTRIBUTES | Access.DELETE, 0),
        (Access.READ_DATA, ACCESS_READ),
        (Access.EXECUTE, ACCESS_READ),
        (Access.APPEND_DATA, ACCESS_WRITE),
        (Access.WRITE_DATA | Access.READ_DATA, ACCESS_READ | ACCESS_WRITE),
    ],
)
def test_the_platform_is_asked_for_no_more(bench: Bench, access: int, wanted: int) -> None:
    asked: list[object] = []

    def watch(call: Any) -> object:
        if call.name == "open":
            asked.append(call.arguments["access"])
        return call.proceed()

    bench.volume = wrap(bench.volume, watch)
    bench.run("f", access=access)
    bench.run("f", OVERWRITE, access)
    assert asked == [wanted, wanted | ACCESS_WRITE]


def test_permissions_are_the_platforms(bench: Bench) -> None:
    bench.make("secret", mode=0o600)
    bench.as_alice()
    bench.fails(errno.EACCES, "secret")
    bench.fails(errno.EACCES, "f", access=WRITE)
    bench.fails(errno.EACCES, "f", OVERWRITE, READ)
    bench.fails(errno.EACCES, "new", CREATE)
    assert bench.run("secret", access=Access.READ_ATTRIBUTES).granted_access == Access.READ_ATTRIBUTES


def test_delete_is_the_directorys_to_grant(bench: Bench) -> None:
    bench.as_alice()
    assert bench.refused("f", access=Access.DELETE) == "ACCESS_DENIED"
    bench.set_mode("", 0o777)
    assert bench.run("f", access=Access.DELETE).granted_access & Access.DELETE
    bench.set_mode("", 0o1777)
    assert bench.refused("f", access=Access.DELETE) == "ACCESS_DENIED"
    assert bench.run("", access=Access.DELETE).granted_access & Access.DELETE, "the root has no directory to ask"


# MAXIMUM_ALLOWED ------------------------------------------------------------------------------------------------------


def test_maximum_allowed(bench: Bench) -> None:
    for path in ("f", "d", ""):
        assert bench.run(path, access=MAXIMUM).granted_access == ALL
    assert bench.run("new", CREATE, MAXIMUM).granted_access == ALL


@pytest.mark.parametrize(
    ("mode", "granted"),
    [
        (0o666, ALL & ~Access.DELETE),
        (0o644, Access.FILE_GENERIC_READ | Access.FILE_GENERIC_EXECUTE),
        (0o600, Access.READ_ATTRIBUTES | Access.READ_CONTROL),
    ],
)
def test_maximum_allowed_is_what_the_user_may(bench: Bench, mode: int, granted: int) -> None:
    bench.make("g", mode=mode)
    bench.as_alice()
    assert bench.run("g", access=MAXIMUM).granted_access == granted


def test_maximum_allowed_of_a_read_only_share(bench: Bench) -> None:
    expected = Access.FILE_GENERIC_READ | Access.FILE_GENERIC_EXECUTE
    assert bench.run("f", access=MAXIMUM, writable=False).granted_access == expected


@pytest.mark.parametrize("number", [errno.EROFS, errno.ETXTBSY, errno.EPERM])
def test_maximum_allowed_goes_on_with_less(bench: Bench, number: int) -> None:
    """A file system that is mounted read-only below a share, a program that runs, an immutable file."""
    bench.faults.fail("Volume.open", number)
    expected = Access.FILE_GENERIC_READ | Access.FILE_GENERIC_EXECUTE
    assert bench.run("f", access=MAXIMUM).granted_access == expected


def test_maximum_allowed_does_not_hide_what_is_broken(bench: Bench) -> None:
    bench.faults.fail("Volume.open", errno.EIO)
    bench.fails(errno.EIO, "f", access=MAXIMUM)


def test_what_is_named_beside_maximum_allowed_must_be_in_it(bench: Bench) -> None:
    assert bench.run("f", access=MAXIMUM | WRITE).granted_access == ALL
    assert bench.refused("f", access=MAXIMUM | WRITE, writable=False) == "ACCESS_DENIED"
    bench.as_alice()
    assert bench.refused("f", access=MAXIMUM | WRITE) == "ACCESS_DENIED"
    assert bench.refused("f", access=MAXIMUM | Access.DELETE) == "ACCESS_DENIED"
    bench.faults.fail("Volume.open", errno.EACCES, times=None)
    assert bench.refused("f", access=MAXIMUM) == "ACCESS_DENIED"


# Attributes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("access", [Access.WRITE_DATA, Access.APPEND_DATA, ALL, MAXIMUM | Access.WRITE_DATA])
def test_a_file_marked_read_only_is_not_written(bench: Bench, access: int) -> None:
    bench.make("ro", marks=READONLY)
    assert bench.refused("ro", access=access) == "ACCESS_DENIED"


@pytest.mark.parametrize("disposition", [SUPERSEDE, OVERWRITE, OVERWRITE_IF])
def test_a_file_marked_read_only_is_not_overwritten(bench: Bench, disposition: int) -> None:
    bench.make("ro", marks=READONLY)
    assert bench.refused("ro", disposition, Access.READ_ATTRIBUTES) == "ACCESS_DENIED"


def test_a_file_marked_read_only_is_good_for_the_rest(bench: Bench) -> None:
    bench.make("ro", marks=READONLY)
    access = ALL & ~(Access.WRITE_DATA | Access.APPEND_DATA)
    assert bench.run("ro", access=access).granted_access == access


def test_maximum_allowed_of_a_file_marked_read_only(bench: Bench) -> None:
    """[MS-FSA] 2.1.5.1.2.1"""
    bench.make("ro", marks=READONLY)
    left_out = Access.WRITE_DATA | Access.APPEND_DATA | Access.DELETE_CHILD
    assert bench.run("ro", access=MAXIMUM).granted_access == ALL & ~left_out


def test_a_file_without_write_bits_counts_as_marked(bench: Bench) -> None:
    bench.make("ro", mode=0o444)
    assert bench.refused("ro", access=WRITE) == "ACCESS_DENIED"


def test_a_directory_marked_read_only_takes_new_names(bench: Bench) -> None:
    """On a directory, the mark says nothing of the names in it."""
    node = bench.behind.open("d", 0)
    node.set_marks(READONLY, None)
    node.close()
    assert bench.run("d", access=Access.ADD_FILE).granted_access & Access.ADD_FILE
    assert bench.run("d/new", CREATE).action == CreateAction.CREATED


@pytest.mark.parametrize(
    ("stored", "given", "allowed"),
    [
        (HIDDEN, 0, False),
        (HIDDEN, HIDDEN, True),
        (HIDDEN | SYSTEM, HIDDEN, False),
        (SYSTEM, HIDDEN | SYSTEM, True),
        (ARCHIVE, 0, True),
        (None, 0, True),
    ],
)
def test_overwriting_does_not_lose_hidden_or_system(
    bench: Bench, stored: int | None, given: int, allowed: bool
) -> None:
    bench.make("h", marks=stored)
    for disposition in (SUPERSEDE, OVERWRITE, OVERWRITE_IF):
        if allowed:
            bench.run("h", disposition, WRITE, attributes=given)
        else:
            assert bench.refused("h", disposition, WRITE, attributes=given) == "ACCESS_DENIED"


# Delete on close ------------------------------------------------------------------------------------------------------


def test_delete_on_close_needs_the_right_that_maximum_allowed_may_lack(bench: Bench) -> None:
    assert bench.run("f", access=MAXIMUM, delete_on_close=True).granted_access & Access.DELETE
    assert bench.refused("f", access=MAXIMUM, delete_on_close=True, writable=False) == "CANNOT_DELETE"
    bench.as_alice()
    assert bench.refused("f", access=MAXIMUM, delete_on_close=True) == "ACCESS_DENIED"


def test_no_new_file_that_is_read_only_and_about_to_go(bench: Bench) -> None:
    assert bench.refused("new", CREATE, ALL, delete_on_close=True, attributes=READONLY) == "CANNOT_DELETE"


# What is made ---------------------------------------------------------------------------------------------------------


def test_a_new_file(bench: Bench) -> None:
    opened = bench.run("new", CREATE, ALL, mode=0o640, attributes=HIDDEN, allocation_size=100_000)
    assert (opened.stat.mode, opened.stat.size, opened.stat.dos_attributes) == (0o640, 0, HIDDEN | ARCHIVE)
    assert opened.stat.allocated >= 100_000


def test_a_new_directory(bench: Bench) -> None:
    opened = bench.run("new", CREATE, ALL, must_be_directory=True, mode=0o750, attributes=HIDDEN, allocation_size=9)
    assert (opened.stat.mode, opened.stat.dos_attributes) == (0o750, HIDDEN)
    plain = bench.run("plain", CREATE, ALL, must_be_directory=True)
    assert plain.stat.dos_attributes is None


@pytest.mark.parametrize("directory", [False, True])
def test_what_is_not_to_be_compressed_as_its_directory_is(bench: Bench, directory: bool) -> None:
    power = bench.faults.wrap(bench.memory).compression
    assert power is not None
    folder = bench.volume.open("d", ACCESS_READ)
    power.set(folder, True)
    folder.close()
    assert bench.run("d/like", CREATE, must_be_directory=directory).stat.compressed
    bench.fails(errno.EAGAIN, "d/unlike", CREATE, compression=power, must_be_directory=directory, wait=False)
    assert not bench.run("d/unlike", CREATE, compression=power, must_be_directory=directory).stat.compressed
    assert bench.run("d/like", OPEN_IF, compression=power).stat.compressed


def test_where_marks_are_not_stored(bench: Bench) -> None:
    bench.volume = wrap(
        bench.volume, lambda call: call.proceed(), alter_features=lambda old: replace(old, stores_marks=False)
    )
    assert bench.run("new", CREATE, attributes=HIDDEN).stat.dos_attributes is None


def test_nothing_is_made_on_a_read_only_share(bench: Bench) -> None:
    for disposition in (CREATE, OPEN_IF, OVERWRITE_IF, SUPERSEDE):
        assert bench.refused("new", disposition, writable=False) == "ACCESS_DENIED"


def test_a_new_name_is_remembered(bench: Bench) -> None:
    """So that the next new name needs no listing."""
    bench.run("one", CREATE)
    listed = bench.faults.counts["Directory.entries"]
    bench.run("two", CREATE)
    assert bench.faults.counts["Directory.entries"] == listed
    assert bench.refused("TWO", CREATE) == "OBJECT_NAME_COLLISION"


# What goes wrong ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        "Volume.create",
        "File.set_marks",
        "File.allocate",
        "File.first_stat",
        "Volume.make_directory",
        "Directory.first_stat",
    ],
)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EDQUOT])
def test_what_could_not_be_finished_is_taken_away_again(bench: Bench, call: str, number: int) -> None:
    bench.faults.fail(call, number)
    directory = call in ("Volume.make_directory", "Directory.first_stat")
    bench.fails(number, "new", CREATE, ALL, allocation_size=10, attributes=HIDDEN, must_be_directory=directory)
    assert bench.run("new", CREATE).action == CreateAction.CREATED


def test_a_directory_that_could_not_be_finished(bench: Bench) -> None:
    bench.faults.fail("Directory.set_marks", errno.EIO)
    bench.fails(errno.EIO, "new", CREATE, ALL, must_be_directory=True, attributes=HIDDEN)


def test_the_first_error_counts(bench: Bench) -> None:
    """What cannot even be taken away stays, and nothing stays open."""
    bench.faults.fail("File.set_marks", errno.EIO)
    bench.faults.fail("Volume.remove", errno.EACCES)
    with pytest.raises(OSError, match="Input/output error"):
        bench.run("new", CREATE)
    assert bench.memory.open_handles == 0


@pytest.mark.parametrize("call", ["File.first_stat", "Volume.may_remove"])
def test_an_open_that_fails_half_way_holds_nothing(bench: Bench, call: str) -> None:
    bench.faults.fail(call, errno.EIO)
    bench.fails(errno.EIO, "f", access=ALL)


def test_every_step_may_have_to_wait(bench: Bench) -> None:
    """Until then nothing is open and nothing is made."""
    bench.faults.force_threads()
    for path, disposition in (("f", OPEN), ("F", OPEN), ("new", CREATE), ("new", OPEN_IF)):
        bench.fails(errno.EAGAIN, path, disposition, ALL, wait=False)
        bench.run(path, disposition, ALL)


@pytest.mark.parametrize(
    ("call", "path", "disposition"),
    [
        ("Volume.create", "new", CREATE),
        ("allocate", "new", CREATE),
        ("Volume.stat", "new", OPEN_IF),
        ("Volume.open", "f", OPEN),
        ("may_remove", "f", OPEN),
    ],
)
def test_a_single_step_may_have_to_wait(bench: Bench, call: str, path: str, disposition: int) -> None:
    """A platform may do one thing inline and not the next; the second try must not meet what the first began."""
    bench.faults.force_threads(call)
    bench.faults.force_threads("remove")
    bench.fails(errno.EAGAIN, path, disposition, ALL, wait=False, allocation_size=1)
    opened = bench.run(path, disposition, ALL, allocation_size=1)
    assert opened.action == (CreateAction.OPENED if path == "f" else CreateAction.CREATED)


def test_what_was_made_is_finished_at_once(bench: Bench) -> None:
    bench.faults.force_threads("set_marks")
    opened = bench.run("new", CREATE, ALL, wait=False)
    assert opened.stat.dos_attributes == FileAttribute.ARCHIVE


def test_a_name_that_is_surely_new_is_not_looked_for(bench: Bench) -> None:
    bench.run("new", CREATE, ALL)  # the directory is read for it
    bench.faults.force_threads("Volume.open")
    for number, disposition in enumerate((CREATE, OPEN_IF)):
        assert bench.run(f"newer {number}", disposition, ALL, wait=False).action == CreateAction.CREATED
    bench.fails(errno.EAGAIN, "NEW", OPEN_IF, ALL, wait=False)


def test_what_a_new_file_asks_of_the_volume(bench: Bench) -> None:
    """No more than this: each call by name finds the directory anew, and may have to change the identity."""
    bench.run("new", CREATE, ALL)
    before = Counter(bench.faults.counts)
    bench.run("newer", CREATE, ALL, wait=False)
    asked = {"Volume.create": 1, "File.set_marks": 1, "File.first_stat": 1, "File.close": 1}
    assert bench.faults.counts - before == asked


def test_a_name_that_was_not_so_new(bench: Bench) -> None:
    """A local program was faster than its directory's times tell."""
    bench.run("new", CREATE, ALL)
    bench.faults.do_before("Volume.create", lambda: bench.make("newer", b"theirs"))
    assert bench.run("newer", OPEN_IF, ALL).action == CreateAction.OPENED


# What others do meanwhile ---------------------------------------------------------------------------------------------


def test_a_name_that_appears_while_it_is_made(bench: Bench) -> None:
    bench.faults.do_before("Volume.create", lambda: bench.make("new", b"theirs"))
    opened = bench.run("new", OPEN_IF, ALL)
    assert (opened.action, opened.stat.size) == (CreateAction.OPENED, 6)


def test_a_name_that_appears_while_it_must_be_new(bench: Bench) -> None:
    bench.faults.do_before("Volume.create", lambda: bench.make("new", b"theirs"))
    with pytest.raises(StatusError) as refusal:
        bench.run("new", CREATE, ALL)
    assert refusal.value.status == Status.OBJECT_NAME_COLLISION


def test_a_name_that_appears_and_vanishes_for_ever(bench: Bench) -> None:
    tries = []

    def appear() -> None:
        tries.append(1)
        bench.make("new")

    def vanish() -> None:
        if tries:
            bench.remove("new")

    bench.faults.do_before("Volume.create", appear, times=None)
    bench.faults.do_before("Volume.open", vanish, times=None)
    with pytest.raises(StatusError) as refusal:
        bench.run("new", OPEN_IF, ALL)
    assert refusal.value.status == Status.SHARING_VIOLATION
    assert 0 < len(tries) < RACES
    assert bench.memory.open_handles == 0


def test_a_file_that_vanishes_while_it_is_opened(bench: Bench) -> None:
    bench.faults.do_before("Volume.open", lambda: bench.remove("f"))
    with pytest.raises(StatusError) as refusal:
        bench.run("f")
    assert refusal.value.status == Status.OBJECT_NAME_NOT_FOUND


# Links and other things --------------------------------------------------------------------


@pytest.mark.parametrize("disposition", [CREATE, OPEN_IF, OVERWRITE_IF, SUPERSEDE])
def test_a_dangling_link_is_neither_opened_nor_made(bench: Bench, disposition: int) -> None:
    """And what it names is not made through it."""
    assert bench.refused("dangling", disposition, ALL) == "OBJECT_NAME_COLLISION"


def test_a_dangling_link_is_not_there_to_open(bench: Bench) -> None:
    assert bench.refused("dangling") == "OBJECT_NAME_NOT_FOUND"


@pytest.mark.parametrize("target", ["/etc/passwd", "/nosuch/at all", "../outside", "/"])
@pytest.mark.parametrize("path", ["out", "OUT", "out/x"])
def test_a_link_out_of_the_share_is_refused_the_same_whatever_is_there(bench: Bench, target: str, path: str) -> None:
    bench.behind.plant_link("out", target)
    for disposition in (OPEN, CREATE, OPEN_IF, OVERWRITE, OVERWRITE_IF, SUPERSEDE):
        bench.fails(errno.EXDEV, path, disposition, ALL)


def test_a_link_inside_is_followed_unless_it_is_meant(bench: Bench) -> None:
    bench.behind.plant_link("link", "f")
    opened = bench.run("link", access=ALL)
    assert (opened.path, opened.stat.key) == ("link", bench.behind.stat("f").key)
    itself = bench.run("link", access=Access.READ_ATTRIBUTES, follow=False)
    assert itself.stat.kind == Kind.SYMLINK
    assert bench.run("link", access=ALL, follow=False).stat.kind == Kind.SYMLINK
    overwriting = {"access": WRITE, "follow": False, "disposition": CreateDisposition.OVERWRITE}
    bench.fails(errno.ELOOP, "link", **overwriting)


def test_links_in_a_circle(bench: Bench) -> None:
    bench.behind.plant_link("a", "b")
    bench.behind.plant_link("b", "a")
    bench.fails(errno.ELOOP, "a")


def test_a_fifo_is_never_opened(bench: Bench) -> None:
    """To open one for reading would wait for a writer, for ever."""
    bench.behind.make_special("pipe", Kind.FIFO, 0o666)
    for access in (READ, WRITE, ALL):
        bench.fails(errno.ENXIO, "pipe", access=access)
    assert bench.run("pipe", access=Access.READ_ATTRIBUTES).stat.kind == Kind.FIFO
