"""Operations: each function gets a client and a tree id, opens what it needs, and returns what makes the next one."""

import os
import random
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Final

from benchmarks import requests
from benchmarks.burst import Make, Operation
from benchmarks.fleet import Step
from benchmarks.logon import Connection
from benchmarks.requests import LISTING_SIZE
from benchmarks.share import FILE, FILE_SIZE, SEED, directory, entry
from smbport.testing.client import Client
from smbport.wire.constants import Access, CreateDisposition, CreateOption, QueryDirectoryFlag
from smbport.wire.status import Status, StatusError

__all__ = [
    "create_among", "create_write_delete", "echo", "list_directory", "open_close", "read_anywhere", "read_in_script",
    "read_onwards", "stat", "write_anywhere", "write_flush", "write_onwards",
]  # fmt: skip

MANY: Final = 1_000  # entries of the directory that files are opened in
SMALL: Final = 4 << 10
READS: Final = 64  # in the script of one of many connections
NAMES: Final = 256  # of files that are made and deleted: more than are on their way at a time


def echo(client: Client, tree_id: int) -> Make:
    """ECHO."""
    frames = [[requests.echo()]]
    return lambda: frames


def open_close(client: Client, tree_id: int) -> Make:
    """CREATE and CLOSE of an existing file, as a compound."""
    frames = [[requests.create(entry(MANY, MANY // 2)), requests.close()]]
    return lambda: frames


def stat(client: Client, tree_id: int) -> Make:
    """CREATE, QUERY_INFO and CLOSE, as a compound: what clients do to look at a file."""
    access = Access.READ_ATTRIBUTES | Access.SYNCHRONIZE
    frames = [[requests.create(entry(MANY, MANY // 2), access), requests.query_all(), requests.close()]]
    return lambda: frames


def create_write_delete(client: Client, tree_id: int) -> Make:
    """CREATE of a new file, WRITE, CLOSE; CREATE, SET_INFO that deletes it, CLOSE: two compounds."""
    numbers = cycle(range(NAMES))
    prefix, data = os.urandom(4).hex(), random.Random(SEED).randbytes(SMALL)
    access = Access.FILE_GENERIC_WRITE

    def make() -> Operation:
        name = f"{prefix}-{next(numbers)}.tmp"
        return [
            [
                requests.create(name, access, disposition=CreateDisposition.CREATE),
                requests.write(0, data),
                requests.close(),
            ],
            [requests.create(name, Access.DELETE | Access.SYNCHRONIZE), requests.delete(), requests.close()],
        ]

    return make


def create_among(client: Client, tree_id: int, entries: int) -> Make:
    """CREATE of a new file among so many others, that is deleted at its CLOSE, as a compound."""
    numbers = cycle(range(NAMES))
    prefix = f"{directory(entries)}\\{os.urandom(4).hex()}"
    access = Access.FILE_GENERIC_WRITE | Access.DELETE
    new, going = CreateDisposition.CREATE, CreateOption.DELETE_ON_CLOSE

    def make() -> Operation:
        name = f"{prefix}-{next(numbers)}.tmp"
        return [[requests.create(name, access, disposition=new, options=going), requests.close()]]

    return make


def read_anywhere(client: Client, tree_id: int, size: int) -> Make:
    """READ of so many bytes at places in a random order that comes to all of them."""
    file, places = client.create(tree_id, FILE), _shuffled(size)
    return lambda: [[requests.read(next(places), size, file)]]


def write_anywhere(client: Client, tree_id: int, size: int) -> Make:
    """WRITE of so many bytes, likewise."""
    file, places = client.create(tree_id, FILE, access=Access.GENERIC_ALL), _shuffled(size)
    data = random.Random(SEED).randbytes(size)
    return lambda: [[requests.write(next(places), data, file)]]


def write_flush(client: Client, tree_id: int) -> Make:
    """WRITE of 4 KiB anywhere, and FLUSH: what is answered is on the disk."""
    file, places = client.create(tree_id, FILE, access=Access.GENERIC_ALL), _shuffled(SMALL)
    data = random.Random(SEED).randbytes(SMALL)
    return lambda: [[requests.write(next(places), data, file)], [requests.flush(file)]]


def read_onwards(client: Client, tree_id: int, size: int) -> Make:
    """READ of so many bytes, one after the other."""
    file, places = client.create(tree_id, FILE), cycle(range(0, FILE_SIZE, size))
    return lambda: [[requests.read(next(places), size, file)]]


def write_onwards(client: Client, tree_id: int, size: int) -> Make:
    """WRITE of so many bytes, one after the other."""
    file, places = client.create(tree_id, FILE, access=Access.GENERIC_ALL), cycle(range(0, FILE_SIZE, size))
    data = random.Random(SEED).randbytes(size)
    return lambda: [[requests.write(next(places), data, file)]]


def list_directory(client: Client, tree_id: int, entries: int) -> Make:
    """QUERY_DIRECTORY from the start until NO_MORE_FILES."""
    opened = client.create(tree_id, directory(entries))
    calls = 1
    try:
        while client.query_directory(opened, length=LISTING_SIZE):
            calls += 1
    except StatusError as end:
        if end.status != Status.NO_MORE_FILES:
            raise
    first = requests.list_entries(QueryDirectoryFlag.RESTART_SCANS, opened)
    further = requests.list_entries(0, opened)
    frames = [[first], *([further] for _ in range(calls - 1))]
    return lambda: frames


def _shuffled(size: int) -> Iterator[int]:
    places = list(range(0, FILE_SIZE, size))
    random.Random(SEED).shuffle(places)
    return cycle(places)


def read_in_script(connection: Connection, number: int) -> Sequence[Step]:
    """READ of 4 KiB anywhere, for one of many connections."""
    file, chance = connection.client.create(connection.tree_id, FILE), random.Random(SEED + number)
    return [Step([requests.read(chance.randrange(0, FILE_SIZE, SMALL), SMALL, file)]) for _ in range(READS)]
