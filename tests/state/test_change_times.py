"""ChangeTimes that clients chose."""

from dataclasses import replace

import pytest

from smbport.platform import FileKey, Kind, Stat
from smbport.state import change_times
from smbport.state.change_times import ChangeTimes

FILE = Stat(
    key=FileKey(1, 2), kind=Kind.FILE, size=0, allocated=0, links=1, mode=0o644, uid=0, gid=0,
    access_ns=1, write_ns=2, change_ns=3, birth_ns=4, dos_attributes=None,
)  # fmt: skip


def test_nothing_is_chosen_at_first() -> None:
    assert not ChangeTimes()
    assert ChangeTimes().seen(FILE) is FILE


def test_a_chosen_time_is_seen() -> None:
    chosen = ChangeTimes()
    chosen.choose(FILE, 100)
    assert chosen
    assert chosen.seen(FILE) == replace(FILE, change_ns=100)


def test_the_last_choice_counts() -> None:
    chosen = ChangeTimes()
    chosen.choose(FILE, 100)
    chosen.choose(FILE, 50)
    assert chosen.seen(FILE).change_ns == 50


def test_other_files_have_their_own() -> None:
    chosen = ChangeTimes()
    chosen.choose(FILE, 100)
    other = replace(FILE, key=FileKey(1, 3))
    assert chosen.seen(other) is other


def test_a_change_ends_it_for_good() -> None:
    chosen = ChangeTimes()
    chosen.choose(FILE, 100)
    changed = replace(FILE, change_ns=5)
    assert chosen.seen(changed) is changed
    assert chosen.seen(FILE) is FILE
    assert not chosen


def test_the_time_of_the_file_system_need_not_be_kept() -> None:
    chosen = ChangeTimes()
    chosen.choose(FILE, 100)
    chosen.choose(FILE, FILE.change_ns)
    assert not chosen


@pytest.mark.pure_only  # changes a constant, which is compiled in
def test_the_oldest_choices_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_times, "MAX_FILES", 2)
    chosen = ChangeTimes()
    files = [replace(FILE, key=FileKey(1, inode)) for inode in range(3)]
    for file in files:
        chosen.choose(file, 100)
    assert [chosen.seen(file).change_ns for file in files] == [3, 100, 100]
