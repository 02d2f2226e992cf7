"""What is measured, row by row."""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Final

from benchmarks.load import Memory, Operation, Protection, Request, Sample, connections, idle_connections, pipelined
from benchmarks.servers import Server
from smbport.testing.client import Client, FileId
from smbport.wire.constants import (
    Access,
    Command,
    CreateDisposition,
    CreateOption,
    FileInfo,
    InfoType,
    QueryDirectoryFlag,
    ShareAccess,
)
from smbport.wire.create import CreateRequest, pack_create_request
from smbport.wire.directory import QueryDirectoryRequest, pack_query_directory_request
from smbport.wire.echo import EchoRequest
from smbport.wire.file import CloseRequest, ReadRequest, WriteRequest, pack_read_request, pack_write_request
from smbport.wire.info import QueryInfoRequest, pack_query_info_request
from smbport.wire.status import Status, StatusError

__all__ = ["ROWS", "Row", "populate"]

SMALL: Final = 4 << 10
LARGE: Final = 1 << 20
FILE_SIZE: Final = 64 << 20  # stays in the page cache
FILE: Final = "data.bin"
DIRECTORY: Final = "directory"
ENTRIES: Final = 1000
LISTING_SIZE: Final = 64 << 10  # bytes asked for at a time, as many clients do
CREDIT: Final = 64 << 10  # bytes that one credit pays for
RELATED: Final = (1 << 64) - 1  # the file of the request before
SEED: Final = 1  # both servers get the same offsets


def populate(client: Client, tree_id: int) -> None:
    """Make what the rows work on, through the server, so that each file has what its server keeps with it."""
    file = client.create(tree_id, FILE, access=Access.GENERIC_ALL, disposition=CreateDisposition.CREATE)
    for offset in range(0, FILE_SIZE, LARGE):
        client.write(file, offset, os.urandom(LARGE))
    client.close(file)
    for name in [DIRECTORY, *map(_entry, range(ENTRIES))]:
        options = CreateOption.DIRECTORY_FILE if name == DIRECTORY else CreateOption.NON_DIRECTORY_FILE
        disposition = CreateDisposition.CREATE
        client.close(client.create(tree_id, name, access=Access.GENERIC_ALL, disposition=disposition, options=options))


def _entry(index: int) -> str:
    return f"{DIRECTORY}\\entry {index:04}.txt"


# Operations: each gets a client and a tree id, opens what it needs, and returns what makes the next operation.

Make = Callable[[], Operation]


def echo(client: Client, tree_id: int) -> Make:
    """ECHO."""
    frames = [[Request(Command.ECHO, EchoRequest().pack())]]
    return lambda: frames


def open_close(client: Client, tree_id: int) -> Make:
    """CREATE and CLOSE of an existing file, as a compound."""
    frames = [[_create(_entry(ENTRIES // 2), Access.FILE_GENERIC_READ), _close()]]
    return lambda: frames


def stat(client: Client, tree_id: int) -> Make:
    """CREATE, QUERY_INFO and CLOSE, as a compound: what clients do to look at a file."""
    query = QueryInfoRequest(
        info_type=InfoType.FILE, file_info_class=FileInfo.ALL, output_buffer_length=1024, file_id_persistent=RELATED,
        file_id_volatile=RELATED,
    )  # fmt: skip
    create = _create(_entry(ENTRIES // 2), Access.READ_ATTRIBUTES | Access.SYNCHRONIZE)
    frames = [[create, Request(Command.QUERY_INFO, pack_query_info_request(query), related=True), _close()]]
    return lambda: frames


def read_small(client: Client, tree_id: int) -> Make:
    """READ of 4 KiB anywhere."""
    file = client.create(tree_id, FILE)
    offsets = random.Random(SEED)
    return lambda: [[_read(file, offsets.randrange(0, FILE_SIZE, SMALL), SMALL)]]


def write_small(client: Client, tree_id: int) -> Make:
    """WRITE of 4 KiB anywhere."""
    file = client.create(tree_id, FILE, access=Access.GENERIC_ALL)
    offsets = random.Random(SEED)
    data = os.urandom(SMALL)
    return lambda: [[_write(file, offsets.randrange(0, FILE_SIZE, SMALL), data)]]


def read_large(client: Client, tree_id: int) -> Make:
    """READ of 1 MiB, one after the other."""
    file = client.create(tree_id, FILE)
    offsets = cycle(range(0, FILE_SIZE, LARGE))
    return lambda: [[_read(file, next(offsets), LARGE)]]


def write_large(client: Client, tree_id: int) -> Make:
    """WRITE of 1 MiB, one after the other."""
    file = client.create(tree_id, FILE, access=Access.GENERIC_ALL)
    offsets = cycle(range(0, FILE_SIZE, LARGE))
    data = os.urandom(LARGE)
    return lambda: [[_write(file, next(offsets), data)]]


def list_directory(client: Client, tree_id: int) -> Make:
    """QUERY_DIRECTORY from the start until NO_MORE_FILES."""
    directory = client.create(tree_id, DIRECTORY)
    calls = 1
    try:
        while True:
            client.query_directory(directory, length=LISTING_SIZE)
            calls += 1
    except StatusError as end:
        if end.status != Status.NO_MORE_FILES:
            raise
    first, further = _list(directory, QueryDirectoryFlag.RESTART_SCANS), _list(directory, 0)
    frames = [[first], *([further] for _ in range(calls - 1))]
    return lambda: frames


def _create(name: str, access: int) -> Request:
    create = CreateRequest(
        requested_oplock_level=0, impersonation_level=2, desired_access=access, file_attributes=0,
        share_access=ShareAccess.READ | ShareAccess.WRITE | ShareAccess.DELETE,
        create_disposition=CreateDisposition.OPEN, create_options=0,
    )  # fmt: skip
    return Request(Command.CREATE, pack_create_request(create, name))


def _close() -> Request:
    close = CloseRequest(file_id_persistent=RELATED, file_id_volatile=RELATED)
    return Request(Command.CLOSE, close.pack(), related=True)


def _read(file: FileId, offset: int, length: int) -> Request:
    read = ReadRequest(
        length=length, offset=offset, file_id_persistent=file.persistent, file_id_volatile=file.volatile
    )  # fmt: skip
    return Request(Command.READ, pack_read_request(read), charge=-(-length // CREDIT))


def _write(file: FileId, offset: int, data: bytes) -> Request:
    write = WriteRequest(offset=offset, file_id_persistent=file.persistent, file_id_volatile=file.volatile)
    return Request(Command.WRITE, pack_write_request(write, data), charge=-(-len(data) // CREDIT))


def _list(directory: FileId, flags: int) -> Request:
    query = QueryDirectoryRequest(
        file_information_class=FileInfo.ID_BOTH_DIRECTORY, flags=flags, file_id_persistent=directory.persistent,
        file_id_volatile=directory.volatile, output_buffer_length=LISTING_SIZE,
    )  # fmt: skip
    return Request(Command.QUERY_DIRECTORY, pack_query_directory_request(query, "*"), charge=LISTING_SIZE // CREDIT)


# The table ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report."""

    name: str
    measure: Callable[[Server, float], Sample | Memory]  # a function of a module: it runs in another process
    fresh: bool = False  # on a server of its own, where no other row has left memory to be used again


def _rows(
    name: str, prepare: Callable[[Client, int], Make], protections: tuple[Protection, ...], *, depths: tuple[int, ...],
    burst: int,
) -> list[Row]:  # fmt: skip
    """NAME/DEPTH/PROTECTION, one for each of both."""
    return [
        Row(
            f"{name}/{depth}/{protection}",
            partial(pipelined, prepare=prepare, depth=depth, protection=protection, burst=burst),
        )
        for protection in protections
        for depth in depths
    ]


ROWS: Final = (
    *_rows("echo", echo, ("plain", "signed"), depths=(1, 32), burst=2000),
    *_rows("open-close", open_close, ("plain", "signed"), depths=(1, 16), burst=500),
    *_rows("stat", stat, ("plain", "signed"), depths=(1,), burst=500),
    *_rows("read-4k", read_small, ("plain", "signed"), depths=(1, 16), burst=1000),
    *_rows("write-4k", write_small, ("plain", "signed"), depths=(1, 16), burst=1000),
    *_rows("read-1m", read_large, ("plain", "signed", "sealed"), depths=(4,), burst=64),
    *_rows("write-1m", write_large, ("plain", "signed", "sealed"), depths=(4,), burst=64),
    *_rows("list-1000", list_directory, ("plain", "signed"), depths=(1,), burst=20),
    Row("connect", connections),
    Row("idle-memory", idle_connections, fresh=True),
)
