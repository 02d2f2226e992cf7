"""Extended attributes: told, set, brought along by CREATE."""

import errno
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from smbport.platform import ACCESS_NONE
from smbport.wire.constants import Access, Command, ContextTag, CreateDisposition, CreateOption, FileInfo, FsInfo
from smbport.wire.fscc import FileEaInformation
from smbport.wire.fscc_entries import FullEa, pack_ea_list, pack_ea_names, parse_ea_list
from smbport.wire.header import HEADER_SIZE
from smbport.wire.info import (
    QueryInfoRequest,
    QueryInfoResponse,
    SetInfoRequest,
    pack_query_info_request,
    pack_set_info_request,
    query_info_output,
)
from smbport.wire.status import status_name

RESTART, SINGLE, INDEX = 1, 2, 4
CREATE, OPEN, OPEN_IF, OVERWRITE, SUPERSEDE = (
    CreateDisposition.CREATE, CreateDisposition.OPEN, CreateDisposition.OPEN_IF, CreateDisposition.OVERWRITE,
    CreateDisposition.SUPERSEDE,
)  # fmt: skip
ALL = Access.FILE_ALL_ACCESS


def packed(*eas: tuple[str, bytes]) -> bytes:
    return pack_ea_list([FullEa(*ea) for ea in eas], limit=1 << 20)[0]


def set_raw(peer: Any, file: Any, data: bytes) -> str:
    request = SetInfoRequest(
        info_type=1,
        file_info_class=FileInfo.FULL_EA,
        file_id_persistent=file.persistent,
        file_id_volatile=file.volatile,
    )
    header, _ = peer.ask(Command.SET_INFO, pack_set_info_request(request, data), tree_id=peer.tree, payload=len(data))
    return status_name(header.status).removeprefix("STATUS_")


def set_eas(peer: Any, file: Any, *eas: tuple[str, bytes]) -> str:
    return set_raw(peer, file, packed(*eas))


def query(
    peer: Any, file: Any, *names: str, flags: int = 0, index: int = 0, room: int = 4096, raw: bytes | None = None
) -> tuple[str, list[tuple[str, bytes]]]:
    request = QueryInfoRequest(
        info_type=1, file_info_class=FileInfo.FULL_EA, output_buffer_length=room, flags=flags,
        additional_information=index, file_id_persistent=file.persistent, file_id_volatile=file.volatile,
    )  # fmt: skip
    data = raw if raw is not None else pack_ea_names(names) if names else b""
    header, frame = peer.ask(Command.QUERY_INFO, pack_query_info_request(request, data), tree_id=peer.tree)
    status = status_name(header.status).removeprefix("STATUS_")
    if status not in ("SUCCESS", "BUFFER_OVERFLOW"):
        return status, []
    output = query_info_output(frame, QueryInfoResponse.unpack_from(frame, HEADER_SIZE))
    assert len(output) <= room
    return status, [(ea.name, ea.value) for ea in parse_ea_list(output)]


def stored(wire: Any, path: str) -> dict[str, bytes]:
    """What the platform holds."""
    node = wire.volume.open(path, ACCESS_NONE)
    attributes = wire.memory.attributes
    found = {name: attributes.get(node, name) for name in attributes.names(node)}
    node.close()
    return found


def store(wire: Any, path: str, **values: bytes) -> None:
    node = wire.volume.open(path, ACCESS_NONE)
    for name, value in values.items():
        wire.memory.attributes.set(node, name, value)
    node.close()


@pytest.fixture
def file(peer: Any) -> Any:
    return peer.make("f", ALL)


# Setting ------------------------------------------------------------------------------------------------------------


def test_set_and_told(wire: Any, peer: Any, file: Any) -> None:
    assert set_eas(peer, file, ("Second", b"2\0"), ("first", b"one")) == "SUCCESS"
    assert stored(wire, "f") == {"Second": b"2\0", "first": b"one"}
    assert query(peer, file) == ("SUCCESS", [("first", b"one"), ("Second", b"2\0")])


def test_directories_have_some_too(wire: Any, peer: Any) -> None:
    wire.make_directory("d")
    directory = peer.open("d", ALL)
    assert set_eas(peer, directory, ("a", b"1")) == "SUCCESS"
    assert query(peer, directory) == ("SUCCESS", [("a", b"1")])


def test_names_are_compared_without_case_and_keep_their_spelling(wire: Any, peer: Any, file: Any) -> None:
    assert set_eas(peer, file, ("Name", b"old")) == "SUCCESS"
    assert set_eas(peer, file, ("NAME", b"new"), ("other", b"x"), ("OTHER", b"y")) == "SUCCESS"
    assert stored(wire, "f") == {"Name": b"new", "other": b"y"}
    assert query(peer, file, "nAmE") == ("SUCCESS", [("Name", b"new")])


def test_no_value_removes(wire: Any, peer: Any, file: Any) -> None:
    assert set_eas(peer, file, ("a", b"1"), ("b", b"2")) == "SUCCESS"
    assert set_eas(peer, file, ("A", b""), ("never", b"")) == "SUCCESS"
    assert stored(wire, "f") == {"b": b"2"}


@pytest.mark.parametrize("name", ["", "a/b", "a*b", "ä", "tab\t", "n" * 255])
def test_names_that_cannot_be(wire: Any, peer: Any, file: Any, name: str) -> None:
    """Nothing of the list is set."""
    assert set_eas(peer, file, ("good", b"1"), (name, b"2")) == "INVALID_EA_NAME"
    assert stored(wire, "f") == {}


def test_lists_that_lie(wire: Any, peer: Any, file: Any) -> None:
    whole = packed(("good", b"1"), ("better", b"2"))
    for bad in (whole[:-1], whole[:20], bytes(8), b"\xff" + whole[1:], whole[:5] + b"\x70" + whole[6:]):
        assert set_raw(peer, file, bad) in ("EA_LIST_INCONSISTENT", "INVALID_EA_NAME"), bad
    assert set_raw(peer, file, whole[:7]) == "INFO_LENGTH_MISMATCH"
    assert stored(wire, "f") == {}


@pytest.mark.parametrize("length", [65535, 60000])
def test_too_large(wire: Any, peer: Any, file: Any, length: int) -> None:
    assert set_eas(peer, file, ("small", b"1")) == "SUCCESS"
    answer = set_eas(peer, file, ("large", bytes(length)))
    assert answer == ("EA_TOO_LARGE" if length == 65535 else "SUCCESS")
    assert set_eas(peer, file, ("more", bytes(6000))) == ("SUCCESS" if length == 65535 else "EA_TOO_LARGE")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (errno.ENOSPC, "EA_TOO_LARGE"),
        (errno.E2BIG, "EA_TOO_LARGE"),
        (errno.EOPNOTSUPP, "EAS_NOT_SUPPORTED"),
        (errno.EPERM, "ACCESS_DENIED"),
    ],
)
def test_all_or_nothing(wire: Any, peer: Any, file: Any, code: int, status: str) -> None:
    """EPERM is what a port says of a name that servers keep for themselves."""
    assert set_eas(peer, file, ("a", b"old"), ("b", b"old")) == "SUCCESS"
    wire.faults.fail("Attributes.set", code, nth=3)
    assert set_eas(peer, file, ("A", b"new"), ("new", b"x"), ("b", b"new")) == status
    assert stored(wire, "f") == {"a": b"old", "b": b"old"}


def test_rights(wire: Any, peer: Any) -> None:
    wire.make("f")
    assert set_eas(peer, peer.open("f", ALL & ~Access.WRITE_EA), ("a", b"1")) == "ACCESS_DENIED"
    assert query(peer, peer.open("f", ALL & ~Access.READ_EA))[0] == "ACCESS_DENIED"
    assert stored(wire, "f") == {}


# Querying -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def three(wire: Any, peer: Any) -> Any:
    wire.make("three")
    store(wire, "three", a=b"1", B=b"22", c=b"333")
    return peer.open("three", ALL)


THREE = [("a", b"1"), ("B", b"22"), ("c", b"333")]


def test_none(peer: Any, file: Any) -> None:
    assert query(peer, file) == ("NO_EAS_ON_FILE", [])
    assert query(peer, file, "Wanted") == ("SUCCESS", [("WANTED", b"")])


def test_the_scan_goes_on_where_it_ended(peer: Any, three: Any) -> None:
    assert query(peer, three, flags=SINGLE) == ("SUCCESS", THREE[:1])
    assert query(peer, three) == ("SUCCESS", THREE[1:])
    assert query(peer, three) == ("0x80000012", [])
    assert query(peer, three, flags=RESTART) == ("SUCCESS", THREE)


def test_an_index(peer: Any, three: Any) -> None:
    assert query(peer, three, flags=INDEX | SINGLE, index=2) == ("SUCCESS", THREE[1:2])
    assert query(peer, three, flags=SINGLE) == ("SUCCESS", THREE[2:])
    for index in (0, 4, 1 << 31):
        assert query(peer, three, flags=INDEX, index=index) == ("NONEXISTENT_EA_ENTRY", [])


def test_by_name(peer: Any, three: Any) -> None:
    """In the order asked, each once, and the scan stays where it is."""
    asked = ("C", "none", "c", "b")
    expected = [("c", b"333"), ("NONE", b""), ("B", b"22")]
    assert query(peer, three, *asked) == ("SUCCESS", expected)
    assert query(peer, three, *asked, flags=SINGLE) == ("SUCCESS", expected[:1])
    assert query(peer, three) == ("SUCCESS", THREE)
    assert query(peer, three, "a:b") == ("INVALID_EA_NAME", [])
    assert query(peer, three, raw=pack_ea_names(["a"])[:-1]) == ("EA_LIST_INCONSISTENT", [])


def test_as_many_as_there_is_room_for(peer: Any, three: Any) -> None:
    """12, 12 and 13 bytes."""
    assert query(peer, three, room=10) == ("BUFFER_TOO_SMALL", [])
    assert query(peer, three, room=36) == ("BUFFER_OVERFLOW", THREE[:2])
    assert query(peer, three, room=36) == ("SUCCESS", THREE[2:])


def test_what_no_ea_can_be_is_not_told(wire: Any, peer: Any, three: Any) -> None:
    store(wire, "three", **{"a=b": b"1", "ä": b"1", "n" * 255: b"1", "long": bytes(65536)})
    assert query(peer, three) == ("SUCCESS", THREE)


def test_what_the_user_may_not_read_is_not_told(wire: Any, peer: Any, three: Any) -> None:
    wire.faults.fail("Attributes.get", errno.EACCES, nth=2)
    assert query(peer, three) == ("SUCCESS", [THREE[0], THREE[2]])


def ea_size(peer: Any, file: Any) -> int:
    return FileEaInformation.unpack_from(peer.query_info(file, FileInfo.EA)).ea_size


def test_their_size(peer: Any, three: Any, file: Any) -> None:
    size = 4 + (5 + 1 + 1) + (5 + 1 + 2) + (5 + 1 + 3)
    assert ea_size(peer, file) == 0
    assert ea_size(peer, three) == size
    assert int.from_bytes(peer.query_info(three, FileInfo.ALL)[72:76], "little") == size


# Volumes without ----------------------------------------------------------------------------------------------------


@pytest.fixture(params=["platform", "volume"])
def without(request: pytest.FixtureRequest, new_wire: Callable[..., Any]) -> Any:
    """A client of a share without extended attributes."""
    wire = new_wire()
    if request.param == "platform":
        wire.memory.attributes = None
    else:
        volume = wire.server.find_share("s").volume
        inner = volume._inner
        inner.features = type(inner.features)(file_system="fat", stores_marks=False)
    wire.make("f")
    peer = wire.connect()
    peer.wire = wire
    return peer


def test_there_are_none(without: Any) -> None:
    file = without.open("f", ALL)
    assert set_eas(without, file, ("a", b"1")) == "EAS_NOT_SUPPORTED"
    assert query(without, file) == ("EAS_NOT_SUPPORTED", [])
    assert ea_size(without, file) == 0
    flags = int.from_bytes(without.query_info(file, FsInfo.ATTRIBUTE, info_type=2)[:4], "little")
    assert not flags & 0x00800000


def test_nothing_is_made_without_them(without: Any) -> None:
    assert create(without, "new", CREATE, ("a", b"1")) == "EAS_NOT_SUPPORTED"
    assert create(without, "f", OPEN, ("a", b"1")) == "EAS_NOT_SUPPORTED"
    assert without.wire.content("new") is None


# CREATE -------------------------------------------------------------------------------------------------------------


def create(peer: Any, name: str, disposition: int, *eas: tuple[str, bytes], options: int = 0) -> str:
    contexts: Sequence[tuple[bytes, bytes]] = [(ContextTag.EXTENDED_ATTRIBUTES, packed(*eas))]
    status: str = peer.create_status(name, ALL, disposition, options, contexts=contexts)
    return status


def test_create_brings_them(wire: Any, peer: Any) -> None:
    assert create(peer, "new", CREATE, ("a", b"1"), ("b", b"2")) == "SUCCESS"
    assert create(peer, "dir", CREATE, ("c", b"3"), options=CreateOption.DIRECTORY_FILE) == "SUCCESS"
    assert (stored(wire, "new"), stored(wire, "dir")) == ({"a": b"1", "b": b"2"}, {"c": b"3"})


@pytest.mark.parametrize("disposition", [OVERWRITE, SUPERSEDE])
def test_a_file_that_begins_anew_gets_them(wire: Any, peer: Any, disposition: int) -> None:
    wire.make("f", b"content")
    assert create(peer, "f", disposition, ("a", b"1")) == "SUCCESS"
    assert (stored(wire, "f"), wire.content("f")) == ({"a": b"1"}, b"")


@pytest.mark.parametrize("disposition", [OPEN, OPEN_IF])
def test_what_is_only_opened_keeps_its_own(wire: Any, peer: Any, disposition: int) -> None:
    wire.make("f")
    assert create(peer, "f", disposition, ("a", b"1")) == "SUCCESS"
    assert stored(wire, "f") == {}


def test_a_new_file_that_cannot_have_them_is_not_made(wire: Any, peer: Any) -> None:
    wire.faults.fail("Attributes.set", errno.ENOSPC)
    assert create(peer, "new", CREATE, ("a", b"1")) == "EA_TOO_LARGE"
    assert wire.content("new") is None
    assert wire.memory.open_handles == 0


def test_an_old_file_that_cannot_have_them_stays(wire: Any, peer: Any) -> None:
    wire.make("f", b"content")
    wire.faults.fail("Attributes.set", errno.EPERM)
    assert create(peer, "f", OVERWRITE, ("a", b"1"), options=0) == "ACCESS_DENIED"
    assert wire.content("f") == b""
    assert wire.memory.open_handles == 0


def test_a_session_that_ends_meanwhile(wire: Any, peer: Any) -> None:
    session = next(iter(wire.server.sessions.values()))

    def lose() -> None:
        for opened in list(session.opens.values()):
            wire.server.close_open(opened)

    wire.faults.do_before("Attributes.set", lose)
    assert create(peer, "new", CREATE, ("a", b"1")) == "FILE_CLOSED"
    assert wire.memory.open_handles == 0
