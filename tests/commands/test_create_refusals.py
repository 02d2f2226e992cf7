"""CREATE, what is refused: by the name, by contexts, by the share.  Nothing is opened and nothing is made."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from smbport.platform import Account
from smbport.wire.constants import (
    Access,
    Command,
    ContextTag,
    CreateDisposition,
    CreateOption,
)
from smbport.wire.create import CreateRequest, create_contexts, pack_create_request
from smbport.wire.create_contexts import AllocationSize, MaximalAccessResponse, TimewarpToken, pack_create_contexts
from smbport.wire.header import HEADER_SIZE
from smbport.wire.session import LogoffRequest
from smbport.wire.status import Status, status_name

ALICE = Account("alice", 1001, 1001)
READ, WRITE, ALL = Access.GENERIC_READ, Access.GENERIC_WRITE, Access.GENERIC_ALL
MAXIMUM = Access.MAXIMUM_ALLOWED
SUPERSEDE, OPEN, CREATE = CreateDisposition.SUPERSEDE, CreateDisposition.OPEN, CreateDisposition.CREATE
OPEN_IF, OVERWRITE, OVERWRITE_IF = (
    CreateDisposition.OPEN_IF, CreateDisposition.OVERWRITE, CreateDisposition.OVERWRITE_IF,
)  # fmt: skip
DIRECTORY, NON_DIRECTORY = CreateOption.DIRECTORY_FILE, CreateOption.NON_DIRECTORY_FILE
DOOM = CreateOption.DELETE_ON_CLOSE
BYE = LogoffRequest().pack()


def alsi(size: int) -> tuple[bytes, bytes]:
    return ContextTag.ALLOCATION_SIZE, AllocationSize(allocation_size=size).pack()


# By the name ---------------------------------------------------------------------------------------------------------


def test_the_unnamed_stream_is_the_file(stocked: Any) -> None:
    assert stocked.connect().create_status("f::$DATA") == "SUCCESS"


BAD_NAMES = [
    "..", "..\\x", "..\\..\\x", "d\\..\\..", "d\\..\\..\\s\\f", "d\\..\\..\\x", "d\\..\\..\\..\\etc\\passwd",
    "..\\s2\\x",
    "\\f", "\\\\server\\s\\f", "\\..\\x", "\\", "\\\\?\\C:\\x", "d\\\\x", ".", ".\\f", "d\\.", "d\\.\\x",
    "/etc/passwd", "d/x", "d/../../x", "../x", "C:\\x", "C:", "d:s\\..\\..\\x", "f::",
    "f:s:$INDEX_ALLOCATION", "f\0", "f\0.txt", "a\x01", "a\x1f", "*", "f*", "?", "a<b", "a>b", 'a"b', "a|b", "d\\*\\x",
    "\uf029\uf029", "\uf029\uf029\\x", "d\\\uf029\uf029\\\uf029\uf029\\x", "\uf029", "d\\\uf029\\x",
    "x" * 256, "d\\" + "x" * 256, "\\".join(["x" * 200] * 30),
]  # fmt: skip
REFUSALS = ("STATUS_OBJECT_NAME_INVALID", "STATUS_OBJECT_PATH_SYNTAX_BAD", "STATUS_INVALID_PARAMETER")


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_are_none(stocked: Any, name: str) -> None:
    """Nothing outside of the share is reached, and nothing inside under another name: the platform is not asked."""
    peer = stocked.connect()
    calls = sum(stocked.faults.counts.values())
    for disposition, options in itertools.product((OPEN, CREATE, OPEN_IF), (0, DIRECTORY, NON_DIRECTORY)):
        sent = peer.create_body(name, create_disposition=disposition, create_options=options)
        assert status_name(peer.status(Command.CREATE, sent)) in REFUSALS
    assert sum(stocked.faults.counts.values()) == calls
    assert stocked.names() == ["d", "f"]
    stocked.check_nothing_is_open()


@pytest.mark.parametrize("name", ["...", "..x", "x..", ". .", "$Extend", "~", "-rf", "@GMT-2024.01.01-00.00.00", "con"])
def test_names_that_only_look_dangerous(stocked: Any, name: str) -> None:
    assert stocked.connect().create_status(name, ALL, CREATE) == "SUCCESS"
    assert stocked.names() == sorted(["d", "f", name])


@pytest.mark.parametrize("name", ["d\\..\\f", "nosuch\\..\\f", "d\\..\\d\\nosuch\\..\\..\\f", "f\\..\\f::$DATA"])
def test_names_that_take_a_part_back(stocked: Any, name: str) -> None:
    """They are done with before the platform is asked, so nobody looks at the part."""
    peer = stocked.connect()
    assert peer.read(peer.open(name, READ), 0, 100) == b"content"
    assert stocked.names() == ["d", "f"]


def test_names_that_are_no_utf_16(stocked: Any) -> None:
    peer = stocked.connect()
    lone = bytearray(peer.create_body("ab", create_disposition=CREATE))
    lone[CreateRequest.SIZE : CreateRequest.SIZE + 2] = b"\x00\xd8"
    odd = bytearray(peer.create_body("ab", create_disposition=CREATE))
    odd[46] -= 1
    assert peer.status(Command.CREATE, bytes(lone)) == Status.OBJECT_NAME_INVALID
    assert peer.status(Command.CREATE, bytes(odd)) == Status.INVALID_PARAMETER
    assert stocked.names() == ["d", "f"]


def test_a_request_that_lies(stocked: Any) -> None:
    peer = stocked.connect()
    whole = peer.create_body("new", [(ContextTag.MAXIMAL_ACCESS, b""), alsi(5)], create_disposition=CREATE)
    fields = [(44, 2, 46, 2), (48, 4, 52, 4)]
    assert peer.lie(Command.CREATE, whole, least=len(whole), fields=fields) == {Status.INVALID_PARAMETER}
    assert stocked.names() == ["d", "f"]
    stocked.check_nothing_is_open()


# Create contexts ----------------------------------------------------------------------------------------------------


def test_contexts_are_answered(stocked: Any) -> None:
    asked = [(ContextTag.MAXIMAL_ACCESS, b""), (ContextTag.ON_DISK_ID, b""), (b"????", b"unknown")]
    _, response, frame = stocked.connect().try_create("f", READ, contexts=asked)
    answers = dict(create_contexts(frame, response, limit=10))
    assert set(answers) == {ContextTag.MAXIMAL_ACCESS, ContextTag.ON_DISK_ID}
    maximal = MaximalAccessResponse.unpack_from(answers[ContextTag.MAXIMAL_ACCESS])
    assert (maximal.query_status, maximal.maximal_access) == (0, Access.FILE_ALL_ACCESS)


def test_room_is_reserved(stocked: Any) -> None:
    assert stocked.connect().create_status("new", ALL, CREATE, contexts=[alsi(100_000)]) == "SUCCESS"
    assert stocked.stat("new").allocated >= 100_000


CHAIN = pack_create_contexts([(b"MxAc", b""), (b"QFid", b""), alsi(7)])  # entries at 0, 24 and 48
EA = (ContextTag.EXTENDED_ATTRIBUTES, b"\0" * 16)


def broken(at: int, value: int, width: int) -> bytes:
    chain = bytearray(CHAIN)
    chain[at : at + width] = value.to_bytes(width, "little")
    return bytes(chain)


BREAKAGES = {
    "Next of 1": broken(0, 1, 4),
    "Next that is not aligned": broken(0, 20, 4),
    "Next past the end": broken(0, 80, 4),
    "Next that wraps": broken(0, 0xFFFFFFF8, 4),
    "Next into its own data": broken(48, 24, 4),
    "NameOffset 0": broken(4, 0, 2),
    "NameOffset past the end": broken(4, 0x1000, 2),
    "NameLength 0": broken(6, 0, 2),
    "NameLength 3": broken(6, 3, 2),
    "NameLength past the end": broken(6, 0xFFFF, 2),
    "DataOffset 0": broken(48 + 10, 0, 2),
    "DataOffset over the name": broken(48 + 10, 16, 2),
    "DataOffset that is not aligned": broken(48 + 10, 20, 2),
    "DataOffset past the end": broken(48 + 10, 0x1000, 2),
    "DataLength past the end": broken(48 + 12, 9, 4),
    "DataLength that wraps": broken(48 + 12, 0xFFFFFFFF, 4),
    "data shorter than its structure": broken(48 + 12, 7, 4),
    "a chain of 3 bytes": CHAIN[:3],
    "a chain cut in its second entry": CHAIN[:30],
    "a lease of the wrong size": pack_create_contexts([(ContextTag.LEASE, bytes(33))]),
    "a durable request too short": pack_create_contexts([(ContextTag.DURABLE_REQUEST, bytes(8))]),
    "a durable request v2 too short": pack_create_contexts([(ContextTag.DURABLE_REQUEST_V2, bytes(31))]),
    "a timewarp too short": pack_create_contexts([(ContextTag.TIMEWARP, bytes(7))]),
    "an allocation size of 2^63": pack_create_contexts([alsi(1 << 63)]),
}


def with_chain(name: str, chain: bytes, disposition: int) -> bytes:
    """A request with these bytes for its contexts."""
    request = CreateRequest(
        requested_oplock_level=0, impersonation_level=2, desired_access=ALL, file_attributes=0, share_access=7,
        create_disposition=disposition, create_options=0,
    )  # fmt: skip
    packed = pack_create_request(request, name)
    packed += bytes(-len(packed) % 8)
    request.create_contexts_offset = HEADER_SIZE + len(packed)
    request.create_contexts_length = len(chain)
    return request.pack() + packed[CreateRequest.SIZE :] + chain


def test_the_chain_itself_is_good(stocked: Any) -> None:
    assert stocked.connect().status(Command.CREATE, with_chain("new", CHAIN, CREATE)) == Status.SUCCESS


@pytest.mark.parametrize("name", BREAKAGES)
def test_broken_contexts(stocked: Any, name: str) -> None:
    """No open is left, and nothing was made."""
    peer = stocked.connect()
    for path, disposition in (("new", CREATE), ("f", OPEN), ("f", OVERWRITE)):
        assert peer.status(Command.CREATE, with_chain(path, BREAKAGES[name], disposition)) == Status.INVALID_PARAMETER
    assert stocked.names() == ["d", "f"]
    assert stocked.content("f") == b"content"
    stocked.check_nothing_is_open()


def test_contexts_are_bounded(stocked: Any) -> None:
    peer = stocked.connect()
    for count, expected in ((64, "SUCCESS"), (65, "INVALID_PARAMETER"), (1000, "INVALID_PARAMETER")):
        assert peer.create_status("f", contexts=[(b"QFid", b"")] * count) == expected


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        (EA, "INVALID_EA_NAME"),
        ((ContextTag.TIMEWARP, TimewarpToken(timestamp=1).pack()), "OBJECT_NAME_NOT_FOUND"),
        ((ContextTag.DURABLE_RECONNECT, bytes(16)), "OBJECT_NAME_NOT_FOUND"),
        ((ContextTag.DURABLE_RECONNECT_V2, bytes(36)), "OBJECT_NAME_NOT_FOUND"),
    ],
)
def test_what_cannot_be_had_is_not_dropped(stocked: Any, context: tuple[bytes, bytes], expected: str) -> None:
    assert stocked.connect().create_status("new", ALL, CREATE, contexts=[context]) == expected
    assert stocked.names() == ["d", "f"]
    stocked.check_nothing_is_open()


# Read-only shares and volumes ---------------------------------------------------------------------------------------


def test_a_read_only_share_refuses_before_the_file_system_is_asked(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(share={"read_only": True})
    wire.make("f", b"content")
    peer = wire.connect()
    calls = sum(wire.faults.counts.values())
    for access in (WRITE, ALL, Access.DELETE, Access.WRITE_DAC, Access.WRITE_OWNER, Access.WRITE_EA):
        assert peer.create_status("f", access) == "ACCESS_DENIED"
    for disposition in (CREATE, OVERWRITE, OVERWRITE_IF, SUPERSEDE):
        assert peer.create_status("f", READ, disposition) == "ACCESS_DENIED"
    assert sum(wire.faults.counts.values()) == calls
    assert peer.create_status("f", READ) == "SUCCESS"
    assert peer.create_status("f", READ, OPEN_IF) == "SUCCESS"
    assert peer.create_status("new", READ, OPEN_IF) == "ACCESS_DENIED"
    assert wire.content("f") == b"content"


# Links out of the share ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/etc/passwd", "/nosuch", "../x", "d/../../x"])
def test_links_out_of_the_share(stocked: Any, target: str) -> None:
    """The answer does not tell whether there is anything."""
    stocked.volume.plant_link("out", target)
    peer = stocked.connect()
    for name, disposition in itertools.product(("out", "OUT", "out\\x"), (OPEN, CREATE, OPEN_IF, OVERWRITE_IF)):
        assert peer.create_status(name, ALL, disposition) == "ACCESS_DENIED"
    assert stocked.names() == ["d", "f", "out"]


# Pipes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "", "nosuch", "..\\srvsvc", "srvsvc\\..\\..\\etc\\passwd", "/var/run/some.sock", "srvsvc\0",
        "pipe\\pipe\\srvsvc", "\\\\srvsvc", "srvsvc:stream", "srvsvc\\", "C:\\srvsvc", "lsarpc/../srvsvc",
    ],
)  # fmt: skip
def test_pipes_come_from_a_table(wire: Any, name: str) -> None:
    """Never from a path."""
    ipc = wire.connect(share="IPC$")
    calls = sum(wire.faults.counts.values())
    for disposition in (OPEN, OPEN_IF, CREATE):
        assert ipc.create_status(name, READ | WRITE, disposition) == "OBJECT_NAME_NOT_FOUND"
    assert sum(wire.faults.counts.values()) == calls
    assert wire.server.open_count == 0
