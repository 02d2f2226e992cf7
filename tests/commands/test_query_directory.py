"""QUERY_DIRECTORY against a volume in memory."""

import errno
from collections.abc import Callable
from typing import Any

import pytest

from smbport.commands.steps import Blocking, Manner, Waiting
from smbport.platform import Entry
from smbport.state.open import PipeOpen
from smbport.wire.constants import Access, FileAttribute, FileInfo, QueryDirectoryFlag
from smbport.wire.directory import QueryDirectoryResponse
from smbport.wire.fscc_directory import FIXED_SIZE, DirectoryEntry, parse_directory_entries
from smbport.wire.header import HEADER_SIZE
from smbport.wire.status import Status, StatusError

SINGLE = QueryDirectoryFlag.RETURN_SINGLE_ENTRY
RESTART = QueryDirectoryFlag.RESTART_SCANS
REOPEN = QueryDirectoryFlag.REOPEN
INDEX = QueryDirectoryFlag.INDEX_SPECIFIED
ROOM_FOR_ONE = 160  # bytes: one entry of FileIdBothDirectoryInformation with a short name, not two

Refused = Callable[[int], Any]


def names(entries: list[DirectoryEntry]) -> list[str]:
    return [entry.name for entry in entries]


def fill(share: Any, count: int, path: str = "d") -> list[str]:
    share.make_directory(path)
    made = [f"file-{number:04d}.txt" for number in range(count)]
    for name in made:
        share.make(f"{path}/{name}")
    return made


def list_all(share: Any, opened: Any, **keywords: Any) -> list[str]:
    found: list[str] = []
    try:
        while True:
            found += names(share.list(opened, **keywords))
    except StatusError as error:
        if error.status != Status.NO_MORE_FILES:
            raise
    return found


# What an entry says ---------------------------------------------------------------------------------------------


def test_dots_come_first_and_then_what_is_there(share: Any) -> None:
    share.make("b.txt", b"hello")
    share.make_directory("a")
    root = share.open("")
    entries = share.list(root)
    assert names(entries) == [".", "..", "b.txt", "a"]
    stat = share.volume.stat("b.txt")
    file = entries[2]
    assert (file.end_of_file, file.allocation_size, file.file_id) == (5, stat.allocated, stat.key.inode)
    assert file.file_attributes == FileAttribute.NORMAL
    assert (file.ea_size, file.short_name, file.reparse_tag) == (0, b"", 0)
    directory = entries[3]
    assert (directory.end_of_file, directory.allocation_size) == (0, 0)
    assert directory.file_attributes == FileAttribute.DIRECTORY


def test_times_are_those_of_the_file(share: Any) -> None:
    share.make("a")
    node = share.volume.open("a", 0)
    node.set_times(16 * 10**17, 17 * 10**17)
    node.set_marks(None, 15 * 10**17)
    entry = share.list(share.open(""), "a")[0]
    stat = node.stat()
    assert [entry.creation_time, entry.last_access_time, entry.last_write_time, entry.change_time] == [
        ns // 100 + 116444736000000000 for ns in (stat.birth_ns, stat.access_ns, stat.write_ns, stat.change_ns)
    ]


def test_a_time_before_1601_is_zero(share: Any) -> None:
    share.make("a")
    share.volume.open("a", 0).set_times(-20_000_000_000 * 10**9, -20_000_000_000 * 10**9)
    entry = share.list(share.open(""), "a")[0]
    assert (entry.last_access_time, entry.last_write_time) == (0, 0)
    assert entry.creation_time > 0


def test_parent_of_the_root_is_the_root(share: Any) -> None:
    share.make_directory("d")
    root_id = share.volume.stat("").key.inode
    own_id = share.volume.stat("d").key.inode
    assert [entry.file_id for entry in share.list(share.open(""))[:2]] == [root_id, root_id]
    assert [entry.file_id for entry in share.list(share.open("d"))[:2]] == [own_id, root_id]


def test_parent_that_cannot_be_looked_at(share: Any) -> None:
    share.make_directory("d")
    opened = share.open("d")
    share.faults.fail("Volume.stat", errno.EACCES)
    own_id = opened.node.stat().key.inode
    assert [entry.file_id for entry in share.list(opened)] == [own_id, own_id]


@pytest.mark.parametrize("info_class", sorted(FIXED_SIZE))
def test_every_class_lists_the_same_names(share: Any, info_class: int) -> None:
    share.make("a.txt")
    opened = share.open("")
    assert names(share.list(opened, info_class=info_class)) == [".", "..", "a.txt"]


def test_names_alone_need_no_stat(share: Any) -> None:
    share.make("a.txt")
    opened = share.open("")
    before = share.faults.counts["Volume.stat"]
    assert names(share.list(opened, info_class=FileInfo.NAMES)) == [".", "..", "a.txt"]
    assert share.faults.counts["Volume.stat"] == before


def test_names_are_mapped_to_what_clients_may_see(share: Any) -> None:
    share.make("a:b")
    share.make("c.")
    assert names(share.list(share.open("")))[2:] == ["a\uf022b", "c\uf029"]


def test_hidden_by_name(share: Any) -> None:
    share.make(".a")
    entries = {entry.name: entry.file_attributes for entry in share.list(share.open(""))}
    assert entries == {
        ".": FileAttribute.DIRECTORY, "..": FileAttribute.DIRECTORY, ".a": FileAttribute.HIDDEN,
    }  # fmt: skip


def test_file_pending_delete_is_still_there(share: Any) -> None:
    share.make("a")
    opened = share.open("a")
    opened.shared.doomed_by = opened
    assert names(share.list(share.open("")))[2:] == ["a"]


def test_entry_that_vanished_is_left_out(share: Any) -> None:
    share.make("a")
    share.make("b")
    opened = share.open("")

    share.list(opened, flags=SINGLE)
    opened.cursor.rest += [Entry("gone", None)]
    assert names(share.list(opened)) == ["..", "a", "b"]


def test_link_that_leads_nowhere_is_seen_itself(share: Any) -> None:
    share.inner.open_volume("data").plant_link("dangling", "gone")
    share.inner.open_volume("data").plant_link("away", "/etc/passwd")
    opened = share.open("")
    assert names(share.list(opened))[2:] == ["dangling", "away"]
    assert names(share.list(opened, "dangling", flags=RESTART)) == ["dangling"]
    assert names(share.list(opened, "away", flags=RESTART)) == ["away"]


# How a scan goes on ---------------------------------------------------------------------------------------------


def test_a_scan_goes_on_where_it_stopped(share: Any) -> None:
    made = fill(share, 100)
    opened = share.open("d")
    assert list_all(share, opened, length=1000) == [".", "..", *made]


def test_a_thread_brings_what_an_answer_holds(share: Any) -> None:
    made = fill(share, 1500)
    opened = share.open("d")
    before = share.faults.counts["Directory.entries"]
    assert list_all(share, opened, length=65536) == [".", "..", *made]
    assert share.faults.counts["Directory.entries"] - before <= 5  # for four answers, and the end


def test_a_large_directory_is_never_read_whole(share: Any) -> None:
    made = fill(share, 3000)
    opened = share.open("d")
    first = names(share.list(opened, length=65536))
    assert opened.cursor is not None
    assert len(first) + len(opened.cursor.rest) < 1000
    assert first + list_all(share, opened) == [".", "..", *made]


def test_one_entry_at_a_time(share: Any, refused: Refused) -> None:
    made = fill(share, 3)
    opened = share.open("d")
    found = [names(share.list(opened, flags=SINGLE)) for _ in range(5)]
    assert found == [["."], [".."], *([name] for name in made)]
    with refused(Status.NO_MORE_FILES):
        share.list(opened, flags=SINGLE)


def test_what_was_deleted_since_the_scan_began_is_not_listed(share: Any) -> None:
    made = fill(share, 20)
    opened = share.open("d")
    assert names(share.list(opened, flags=SINGLE, length=256)) == ["."]
    for name in made:
        share.volume.remove(f"d/{name}", share.volume.stat(f"d/{name}").key)
    assert list_all(share, opened) == [".."]


@pytest.mark.parametrize("flag", [RESTART, REOPEN])
def test_from_the_start_with_another_pattern(share: Any, flag: int, refused: Refused) -> None:
    share.make("a.txt")
    share.make("b.doc")
    opened = share.open("")
    assert names(share.list(opened, "*.txt")) == ["a.txt"]
    with refused(Status.NO_MORE_FILES):
        share.list(opened, "*.doc")
    share.make("c.doc")
    assert names(share.list(opened, "*.doc", flags=flag)) == ["b.doc", "c.doc"]


def test_an_index_is_not_resumed_from(share: Any) -> None:
    fill(share, 5)
    opened = share.open("d")
    assert names(share.list(opened, flags=SINGLE)) == ["."]
    assert names(share.list(opened, flags=SINGLE | INDEX)) == [".."]


def test_nothing_matches(share: Any, refused: Refused) -> None:
    opened = share.open("")
    with refused(Status.NO_SUCH_FILE):
        share.list(opened, "*.txt")
    with refused(Status.NO_MORE_FILES):
        share.list(opened, "*.txt")
    with refused(Status.NO_MORE_FILES):
        share.list(opened, "*.txt", flags=RESTART)
    with refused(Status.NO_SUCH_FILE):
        share.list(opened, "*.txt", flags=REOPEN)


def test_directory_that_was_removed_is_at_its_end(share: Any, refused: Refused) -> None:
    share.make_directory("d")
    opened = share.open("d")
    share.faults.fail("Directory.entries", errno.ENOENT, times=None)
    assert names(share.list(opened)) == [".", ".."]
    with refused(Status.NO_MORE_FILES):
        share.list(opened)


def test_what_was_read_before_an_error_is_sent(share: Any) -> None:
    made = fill(share, 500)
    opened = share.open("d")
    share.faults.fail("Directory.entries", errno.EIO, nth=2)
    found = names(share.list(opened))
    assert 2 < len(found) < 502
    found += names(share.list(opened))
    while len(found) < 502:
        found += names(share.list(opened))
    assert found == [".", "..", *made]


def test_an_error_at_once_is_told(share: Any) -> None:
    opened = share.open("")
    share.faults.fail("Directory.entries", errno.EIO)
    with pytest.raises(OSError, match="error"):
        share.list(opened)
    assert opened.cursor is not None
    assert not opened.cursor.busy


def test_names_first_and_then_everything(share: Any) -> None:
    made = fill(share, 40)
    share.inner.open_volume("data").plant_link("d/dangling", "gone")
    opened = share.open("d")
    found = share.list(opened, info_class=FileInfo.NAMES, flags=SINGLE, length=4096)
    found += share.list(opened, info_class=FileInfo.NAMES, length=32)
    found += share.list(opened, info_class=FileInfo.NAMES, length=40)
    assert opened.cursor.rest
    share.volume.remove("d/file-0005.txt", share.volume.stat("d/file-0005.txt").key)
    found += share.list(opened)
    made.remove("file-0005.txt")
    assert names(found) == [".", "..", *made, "dangling"]
    ids = {entry.name: entry.file_id for entry in found[3:]}
    assert ids == {name: share.volume.stat(f"d/{name}", follow=False).key.inode for name in ids}
    assert len(ids) == 39


def test_the_dots_when_the_mind_changes(share: Any) -> None:
    share.make_directory("d")
    for path in ("d", ""):
        opened = share.open(path)
        assert names(share.list(opened, info_class=FileInfo.NAMES, flags=SINGLE)) == ["."]
        assert share.list(opened)[0].file_id == share.volume.stat("").key.inode


def test_an_error_when_the_mind_changes(share: Any) -> None:
    opened = share.open("")
    share.list(opened, info_class=FileInfo.NAMES, flags=SINGLE)
    share.faults.fail("Volume.stat", errno.EIO)
    with pytest.raises(OSError, match="error"):
        share.list(opened)
    assert names(share.list(opened)) == [".."]


# Patterns -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*", [".", "..", "Read.me", "b.txt", "c"]),
        ("*E*", ["Read.me"]),
        ("*.TXT", ["b.txt"]),
        ("?", [".", "c"]),
        ("read.ME", ["Read.me"]),
        ("Read.me", ["Read.me"]),
        (".", ["."]),
    ],
)
def test_patterns_ignore_case(share: Any, pattern: str, found: list[str]) -> None:
    for name in ("Read.me", "b.txt", "c"):
        share.make(name)
    assert names(share.list(share.open(""), pattern)) == found


def test_patterns_mind_case_where_the_share_does(new_share: Any, refused: Refused) -> None:
    share = new_share(sensitive=True)
    share.make("Read.me")
    opened = share.open("")
    assert names(share.list(opened, "R*")) == ["Read.me"]
    for pattern in ("r*", "read.me"):
        with refused(Status.NO_SUCH_FILE):
            share.list(opened, pattern, flags=REOPEN)


@pytest.mark.parametrize("pattern", ["", "a\\b", "a/b", "a\0"])
def test_what_is_no_pattern(share: Any, refused: Refused, pattern: str) -> None:
    with refused(Status.OBJECT_NAME_INVALID):
        share.list(share.open(""), pattern)


def test_a_name_is_looked_up_without_reading_the_directory(share: Any) -> None:
    fill(share, 10)
    share.make("d/x")
    opened = share.open("d")
    before = share.faults.counts["Directory.entries"]
    entry = share.list(opened, "x")[0]
    assert entry.file_id == share.volume.stat("d/x").key.inode
    assert share.faults.counts["Directory.entries"] == before


def test_a_name_that_is_missing(share: Any, refused: Refused) -> None:
    share.make("a")
    with refused(Status.NO_SUCH_FILE):
        share.list(share.open(""), "b")


def test_a_volume_that_ignores_case_does_not_tell_its_spelling_by_name(new_share: Any) -> None:
    share = new_share(case_sensitive=False)
    share.make("Read.me")
    opened = share.open("")
    before = share.faults.counts["Volume.stat"]
    assert names(share.list(opened, "READ.ME")) == ["Read.me"]
    assert share.faults.counts["Volume.stat"] == before


@pytest.mark.parametrize("pattern", ["\uf029\uf029", "\uf029", "a:b"])
def test_a_name_that_cannot_be_on_disk_never_reaches_the_platform(share: Any, refused: Refused, pattern: str) -> None:
    share.make("a:b")  # clients know it by another name
    before = share.faults.counts["Volume.stat"]
    with refused(Status.NO_SUCH_FILE):
        share.list(share.open(""), pattern)
    assert share.faults.counts["Volume.stat"] == before


def test_a_mapped_name_is_found(share: Any) -> None:
    share.make("a:b")
    assert names(share.list(share.open(""), "a\uf022b")) == ["a\uf022b"]


def test_a_name_in_a_directory_that_was_moved(share: Any) -> None:
    share.make_directory("d")
    share.make("d/a")
    opened = share.open("d")
    share.volume.rename("d", "elsewhere", replace=False)
    assert names(share.list(opened, "a")) == ["a"]


def test_an_error_of_a_look_up_is_told(share: Any) -> None:
    share.make("a")
    opened = share.open("")
    share.faults.fail("Volume.stat", errno.EIO)
    with pytest.raises(OSError, match="error"):
        share.list(opened, "a")


# Buffers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("info_class", [0, 4, 99])
def test_unknown_class(share: Any, refused: Refused, info_class: int) -> None:
    with refused(Status.INVALID_INFO_CLASS):
        share.list(share.open(""), info_class=info_class)


def test_buffer_beyond_what_was_negotiated(share: Any, refused: Refused) -> None:
    with refused(Status.INVALID_PARAMETER):
        share.list(share.open(""), length=65537)


@pytest.mark.parametrize("info_class", sorted(FIXED_SIZE))
def test_buffer_below_the_fixed_part(share: Any, refused: Refused, info_class: int) -> None:
    with refused(Status.INFO_LENGTH_MISMATCH):
        share.list(share.open(""), info_class=info_class, length=FIXED_SIZE[info_class] - 1)


def test_entry_that_does_not_fit_waits_for_a_larger_buffer(share: Any, refused: Refused) -> None:
    share.make("x" * 100)
    opened = share.open("")
    with refused(Status.BUFFER_OVERFLOW):
        share.list(opened, "x*", length=ROOM_FOR_ONE)
    assert names(share.list(opened, length=400)) == ["x" * 100]


def test_the_reply_says_where_its_entries_are(share: Any) -> None:
    share.make("a")
    handler = share.start_list(share.open(""), length=400)
    with pytest.raises(StopIteration) as stop:
        handler.send(None)
    reply = stop.value.value
    response = QueryDirectoryResponse.unpack_from(reply.body)
    assert (response.output_buffer_offset, response.output_buffer_length) == (HEADER_SIZE + 8, len(reply.payload))
    assert names(parse_directory_entries(FileInfo.ID_BOTH_DIRECTORY, reply.payload)) == [".", "..", "a"]


def test_not_a_directory(share: Any, refused: Refused) -> None:
    share.make("a")
    with refused(Status.INVALID_PARAMETER):
        share.list(share.open("a"))
    pipe = PipeOpen(share.tree, 1, 1, Access.FILE_GENERIC_READ, "srvsvc", pipe=None)
    with refused(Status.INVALID_DEVICE_REQUEST):
        share.list(pipe)


# Waiting --------------------------------------------------------------------------------------------------------


def test_in_threads_the_answer_is_the_same(share: Any) -> None:
    made = fill(share, 700)
    opened = share.open("d")
    share.faults.force_threads()
    assert list_all(share, opened) == [".", "..", *made]
    assert names(share.list(opened, "FILE-0001.TXT", flags=RESTART)) == ["file-0001.txt"]


def finish(handler: Any, step: Blocking) -> Any:
    """Run one step as a thread would and give its result to the handler, which must then be done."""
    value = step.function(*step.args, **step.keywords, wait=True)
    with pytest.raises(StopIteration) as stop:
        handler.send(value)
    return stop.value.value


def test_a_directory_handle_has_one_user_at_a_time(share: Any) -> None:
    fill(share, 3)
    opened = share.open("d")
    share.faults.force_threads("Directory.entries")
    first = share.start_list(opened, length=ROOM_FOR_ONE * 2)
    busy = first.send(None)
    assert isinstance(busy, Blocking)
    second = share.start_list(opened, length=ROOM_FOR_ONE)
    third = share.start_list(opened, length=ROOM_FOR_ONE)
    waits = [second.send(None), third.send(None)]
    assert [type(step) for step in waits] == [Waiting, Waiting]
    assert not any(step.manner is not Manner.SHIELDED or step.event.is_set() for step in waits)
    reply = finish(first, busy)
    assert names(parse_directory_entries(37, reply.payload)) == [".", ".."]
    assert all(step.event.is_set() for step in waits)
    for handler, name in ((second, "file-0000.txt"), (third, "file-0001.txt")):
        with pytest.raises(StopIteration) as stop:
            handler.send(True)
        assert names(parse_directory_entries(37, stop.value.value.payload)) == [name]


def test_a_listing_is_finished_although_its_open_is_closed(share: Any) -> None:
    made = fill(share, 3)
    opened = share.open("d")
    opened.pins = 1
    share.faults.force_threads("Directory.entries")
    handler = share.start_list(opened)
    step = handler.send(None)
    share.server.close_open(opened)
    step = handler.send(step.function(*step.args, wait=True))  # to see that nothing is left
    reply = finish(handler, step)
    assert names(parse_directory_entries(37, reply.payload)) == [".", "..", *made]
    assert not opened.cursor.busy


def test_closed_while_another_request_was_reading(share: Any, refused: Refused) -> None:
    fill(share, 3)
    opened = share.open("d")
    opened.pins = 2
    share.faults.force_threads("Directory.entries")
    first = share.start_list(opened)
    assert isinstance(first.send(None), Blocking)
    second = share.start_list(opened)
    assert isinstance(second.send(None), Waiting)
    share.server.close_open(opened)
    first.close()
    with refused(Status.FILE_CLOSED):
        second.send(True)
