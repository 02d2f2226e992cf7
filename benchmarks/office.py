"""A mixed trace: what one does with documents in a directory of his own.  It is the same in every run."""

import random
from collections.abc import Iterator, Sequence
from typing import Final

from benchmarks import requests
from benchmarks.fleet import Step, slot
from benchmarks.logon import Connection
from benchmarks.share import DOCUMENTS, SEED, USERS, document, document_size, home
from smbport.wire.constants import Access, CreateDisposition, CreateOption, QueryDirectoryFlag

__all__ = ["office"]

PIECE: Final = 64 << 10
SMALL: Final = 4 << 10
LOOKED_AT: Final = 12  # documents of a listing that are looked at one by one, as file managers do
READ: Final = 5  # documents that are opened and read
SAVED: Final = 2  # of these, those that are changed

_DIRECTORY, _FILE, _TEMPORARY = slot(0), slot(1), slot(2)


def office(connection: Connection, number: int) -> Sequence[Step]:
    """A day of the user of that number."""
    user, chance = number % USERS, random.Random(SEED + number)
    steps = [*_list(user), *(_look_at(user, index) for index in chance.sample(range(DOCUMENTS), LOOKED_AT))]
    opened = chance.sample(range(1, DOCUMENTS), READ)
    for index in opened:
        steps += _read(user, index)
    steps += _read(user, 0)  # the large one
    for index in opened[:SAVED]:
        steps += _save(user, index, chance)
    return steps


def _list(user: int) -> Iterator[Step]:
    yield Step([requests.create(home(user), options=CreateOption.DIRECTORY_FILE)], opens=0)
    yield Step([requests.list_entries(QueryDirectoryFlag.RESTART_SCANS, _DIRECTORY)])
    yield Step([requests.list_entries(0, _DIRECTORY)])
    yield Step([requests.close(_DIRECTORY)])


def _look_at(user: int, index: int) -> Step:
    access = Access.READ_ATTRIBUTES | Access.SYNCHRONIZE
    return Step([requests.create(document(user, index), access), requests.query_all(), requests.close()])


def _read(user: int, index: int) -> Iterator[Step]:
    """The first 4 KiB, as programs do to see what it is, and then all of it."""
    yield Step([requests.create(document(user, index))], opens=1)
    yield Step([requests.read(0, SMALL, _FILE)])
    size = document_size(index)
    for begin in range(0, size, PIECE):
        yield Step([requests.read(begin, min(PIECE, size - begin), _FILE)])
    yield Step([requests.close(_FILE)])


def _save(user: int, index: int, chance: random.Random) -> Iterator[Step]:
    """Into a temporary file, which then takes the place of the document."""
    name = f"{document(user, index)}.tmp"
    access = Access.FILE_GENERIC_READ | Access.FILE_GENERIC_WRITE | Access.DELETE
    yield Step([requests.create(name, access, disposition=CreateDisposition.OVERWRITE_IF)], opens=2)
    data = chance.randbytes(document_size(index))
    for begin in range(0, len(data), PIECE):
        yield Step([requests.write(begin, data[begin : begin + PIECE], _TEMPORARY)])
    yield Step([requests.close(_TEMPORARY)])
    yield Step([requests.create(name, Access.DELETE | Access.SYNCHRONIZE)], opens=2)
    yield Step([requests.rename(document(user, index), _TEMPORARY)])
    yield Step([requests.close(_TEMPORARY)])
