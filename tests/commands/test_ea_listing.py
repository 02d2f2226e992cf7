"""EaSize in listings, where the share says so, against what FileEaInformation says."""

from collections.abc import Callable
from typing import Any

import pytest

from smbport.platform import ACCESS_NONE
from smbport.wire.constants import Access, FileInfo, QueryDirectoryFlag
from smbport.wire.fscc import FileEaInformation
from smbport.wire.fscc_directory import DirectoryEntry, parse_directory_entries
from smbport.wire.status import Status, StatusError

NewWire = Callable[..., Any]
ALL = Access.FILE_ALL_ACCESS
WITH_SIZE = (
    FileInfo.FULL_DIRECTORY, FileInfo.BOTH_DIRECTORY, FileInfo.ID_FULL_DIRECTORY, FileInfo.ID_BOTH_DIRECTORY,
    FileInfo.ID_EXTD_DIRECTORY,
)  # fmt: skip
SINGLE = QueryDirectoryFlag.RETURN_SINGLE_ENTRY


def store(wire: Any, path: str, **values: bytes) -> None:
    node = wire.volume.open(path, ACCESS_NONE)
    for name, value in values.items():
        wire.memory.attributes.set(node, name, value)
    node.close()


@pytest.fixture(params=["told", "asked"])
def wire(request: pytest.FixtureRequest, new_wire: NewWire, monkeypatch: pytest.MonkeyPatch) -> Any:
    """With attributes of every kind, on a platform that tells them from the directory, or has none told so."""
    wire = new_wire(share={"list_ea_sizes": True})
    if request.param == "asked":
        memory = wire.memory.attributes
        monkeypatch.setattr(type(memory), "lengths", lambda _, directory, entries, *, wait: [None] * len(entries))
    wire.make_directory("d")
    wire.make_directory("d/sub")
    for name in ("plain", "one", "three", "long", "foreign"):
        wire.make(f"d/{name}", b"data")
    store(wire, "d", of_the_directory=b"x" * 7)
    store(wire, "d/sub", a=b"1")
    store(wire, "d/one", a=b"")
    store(wire, "d/three", a=b"1", bb=b"22", ccc=b"333")
    store(wire, "d/long", long=bytes(65536))
    store(wire, "d/foreign", **{"a=b": b"1", "ä": b"1"})
    wire.volume.plant_link("d/link", "three")
    wire.volume.plant_link("d/nowhere", "nothing")
    return wire


def listing(
    peer: Any, directory: Any, info_class: int, pattern: str = "*", *, flags: int = 0
) -> dict[str, DirectoryEntry]:
    found: dict[str, DirectoryEntry] = {}
    while True:
        try:
            data = peer.query_directory(directory, pattern, info_class=info_class, flags=flags)
        except StatusError as end:
            if end.status not in (Status.NO_MORE_FILES, Status.NO_SUCH_FILE):
                raise
            return found
        found |= {entry.name: entry for entry in parse_directory_entries(info_class, data)}


def size_of(peer: Any, path: str) -> int:
    file = peer.open(path, ALL)
    size = FileEaInformation.unpack_from(peer.query_info(file, FileInfo.EA)).ea_size
    peer.close(file)
    return size


@pytest.mark.parametrize("info_class", WITH_SIZE)
def test_every_entry_has_the_size_that_the_file_says(wire: Any, info_class: int) -> None:
    peer = wire.connect()
    found = listing(peer, peer.open("d", ALL), info_class)
    nowhere = found.pop("nowhere")
    assert (nowhere.ea_size, bool(nowhere.reparse_tag)) == (0, True)
    sizes = {name: entry.ea_size for name, entry in found.items()}
    paths = {".": "d", "..": ""}
    assert sizes == {name: size_of(peer, paths.get(name, f"d\\{name}")) for name in sizes}
    assert sizes == {
        ".": 32, "..": 0, "sub": 11, "plain": 0, "one": 10, "three": 31, "long": 0, "foreign": 0, "link": 31,
    }  # fmt: skip


def test_one_that_is_asked_for_by_name(wire: Any) -> None:
    peer = wire.connect()
    assert listing(peer, peer.open("d", ALL), FileInfo.FULL_DIRECTORY, "THREE")["three"].ea_size == 31
    assert listing(peer, peer.open("d", ALL), FileInfo.FULL_DIRECTORY, "t*")["three"].ea_size == 31
    assert not listing(peer, peer.open("d", ALL), FileInfo.FULL_DIRECTORY, "t")


@pytest.mark.parametrize("before", [FileInfo.NAMES, FileInfo.DIRECTORY])
def test_of_a_client_that_changes_its_mind(wire: Any, before: int) -> None:
    peer = wire.connect()
    directory = peer.open("d", ALL)
    peer.query_directory(directory, info_class=before, flags=SINGLE)
    peer.query_directory(directory, info_class=before, length=100)
    found = listing(peer, directory, FileInfo.FULL_DIRECTORY)
    assert found["three"].ea_size == 31


def test_in_many_pieces(wire: Any) -> None:
    peer = wire.connect()
    found = listing(peer, peer.open("d", ALL), FileInfo.FULL_DIRECTORY, flags=SINGLE)
    assert [found[name].ea_size for name in ("three", "link", "sub", "plain")] == [31, 31, 11, 0]


def test_what_cannot_be_read_is_as_good_as_none(wire: Any) -> None:
    peer = wire.connect()
    wire.memory.attributes.lengths = None  # it is not asked at all
    directory = peer.open("d", ALL)
    wire.faults.fail("Volume.open", 13, times=None)
    found = listing(peer, directory, FileInfo.FULL_DIRECTORY, "three")
    assert found["three"].ea_size == 0


@pytest.mark.parametrize("why", ["setting", "power", "volume"])
def test_only_where_there_are_any(new_wire: NewWire, why: str) -> None:
    wire = new_wire(share={"list_ea_sizes": why != "setting"})
    wire.make("three")
    store(wire, "three", a=b"1")
    if why == "power":
        wire.memory.attributes = None
    elif why == "volume":
        inner = wire.server.find_share("s").volume._inner
        inner.features = type(inner.features)(file_system="fat", stores_marks=False)
    peer = wire.connect()
    assert listing(peer, peer.open("", ALL), FileInfo.FULL_DIRECTORY)["three"].ea_size == 0
