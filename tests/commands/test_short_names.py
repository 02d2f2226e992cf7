"""8.3 names, where a share gives them: asked for, listed, and found."""

from collections.abc import Callable
from typing import Any

import pytest

from smbport.state.short_names import short_name
from smbport.wire.constants import CreateDisposition, FileInfo, QueryDirectoryFlag
from smbport.wire.fscc import parse_name
from smbport.wire.fscc_directory import FIXED_SIZE, parse_directory_entries
from smbport.wire.status import Status, StatusError

LONG = "Quarterly report.docx"
SHORT = short_name(LONG)
FOLDER = "A long folder"

NewWire = Callable[..., Any]
Refused = Callable[[int], Any]


@pytest.fixture
def wire(new_wire: NewWire) -> Any:
    """A share with short names: a folder that holds a long name, and one that needs no other."""
    wire = new_wire(share={"short_names": True})
    wire.make_directory(FOLDER)
    wire.make(f"{FOLDER}/{LONG}", b"long")
    wire.make(f"{FOLDER}/plain.txt", b"plain")
    return wire


def read(peer: Any, name: str) -> bytes:
    file = peer.open(name)
    data = bytes(peer.read(file, 0, 100))
    peer.close(file)
    return data


def alternate(peer: Any, name: str) -> str:
    file = peer.open(name)
    name = parse_name(peer.query_info(file, FileInfo.ALTERNATE_NAME))
    peer.close(file)
    return name


def listed(peer: Any, pattern: str, info_class: int = FileInfo.BOTH_DIRECTORY, flags: int = 0) -> dict[str, str]:
    """What matches in the folder: long names and short ones."""
    file = peer.open(FOLDER)
    try:
        entries = parse_directory_entries(
            info_class, peer.query_directory(file, pattern, info_class=info_class, flags=flags)
        )
    finally:
        peer.close(file)
    return {entry.name: entry.short_name.decode("utf-16-le") for entry in entries if entry.name not in (".", "..")}


def test_it_can_be_asked_for(wire: Any) -> None:
    peer = wire.connect()
    assert alternate(peer, f"{FOLDER}\\{LONG}") == SHORT
    assert alternate(peer, f"{FOLDER}\\plain.txt") == "plain.txt"
    assert alternate(peer, FOLDER) == short_name(FOLDER)


@pytest.mark.parametrize("name", [SHORT, SHORT.lower(), LONG, LONG.upper()])
def test_a_file_is_found_by_both_names(wire: Any, name: str) -> None:
    peer = wire.connect()
    assert read(peer, f"{FOLDER}\\{name}") == b"long"
    assert read(peer, f"{short_name(FOLDER)}\\{name}") == b"long"


def test_it_is_the_name_of_nothing_else(wire: Any) -> None:
    peer = wire.connect()
    for name in (short_name("plain.txt"), short_name("another name"), f"{FOLDER}\\{short_name(FOLDER)}"):
        assert peer.create_status(f"{FOLDER}\\{name}") in ("OBJECT_NAME_NOT_FOUND", "OBJECT_PATH_NOT_FOUND")


def test_a_file_that_is_spelled_so_goes_first(wire: Any) -> None:
    wire.make(f"{FOLDER}/{SHORT.lower()}", b"its own")
    assert read(wire.connect(), f"{FOLDER}\\{SHORT}") == b"its own"


def test_the_name_is_taken(wire: Any) -> None:
    status = wire.connect().create_status(f"{FOLDER}\\{SHORT}", disposition=CreateDisposition.CREATE)
    assert status == "OBJECT_NAME_COLLISION"


def test_who_removes_and_makes_it_by_the_short_name_keeps_the_long_one(wire: Any) -> None:
    peer = wire.connect()
    assert read(peer, f"{FOLDER}\\{SHORT}") == b"long"
    folder = wire.volume.stat(FOLDER)
    wire.volume.remove(f"{FOLDER}/{LONG}", wire.volume.stat(f"{FOLDER}/{LONG}").key)
    assert wire.volume.stat(FOLDER).write_ns != folder.write_ns
    peer.close(peer.make(f"{FOLDER}\\{SHORT}"))
    assert wire.content(f"{FOLDER}/{LONG}") == b""


@pytest.mark.parametrize("pattern", ["*", SHORT, SHORT.lower(), "?JDGYR~1.DOC", "*~1.*"])
def test_it_is_listed_and_matched(wire: Any, pattern: str) -> None:
    assert listed(wire.connect(), pattern)[LONG] == SHORT


def test_what_fits_has_none(wire: Any) -> None:
    assert listed(wire.connect(), "*") == {LONG: SHORT, "plain.txt": ""}


def test_a_single_entry_is_found_by_it(wire: Any) -> None:
    assert listed(wire.connect(), SHORT, flags=QueryDirectoryFlag.RETURN_SINGLE_ENTRY) == {LONG: SHORT}


@pytest.mark.parametrize("info_class", sorted(FIXED_SIZE))
def test_every_class_matches_it(wire: Any, info_class: int) -> None:
    assert list(listed(wire.connect(), SHORT, info_class)) == [LONG]


@pytest.mark.parametrize("share", [{}, {"short_names": True, "case_sensitive": True}], ids=["off", "case matters"])
def test_elsewhere_there_are_none(new_wire: NewWire, refused: Refused, share: dict[str, bool]) -> None:
    wire = new_wire(share=share)
    wire.make_directory(FOLDER)
    wire.make(f"{FOLDER}/{LONG}")
    peer = wire.connect()
    assert peer.create_status(f"{FOLDER}\\{SHORT}") == "OBJECT_NAME_NOT_FOUND"
    assert listed(peer, "*") == {LONG: ""}
    with pytest.raises(StatusError) as refusal:
        alternate(peer, f"{FOLDER}\\{LONG}")
    assert refusal.value.status == Status.OBJECT_NAME_NOT_FOUND
    with pytest.raises(StatusError):
        listed(peer, SHORT)
