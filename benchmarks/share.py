"""What the rows work on: files and directories, made through each server, so that they have what it keeps with them.

Only of many files in one directory all but the first are made beside the server, like the first: a server that finds
names in whatever case reads the directory for each new one.
"""

import os
import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import requests
from benchmarks.burst import CREDITS, Operation, run_once
from benchmarks.logon import Connection, gather_credits, protect
from smbport.wire.constants import Access, CreateDisposition, CreateOption
from smbport.wire.status import StatusError

__all__ = [
    "DOCUMENTS", "FILE", "FILE_SIZE", "LARGE_SIZE", "NEEDS", "SEED", "USERS", "directory", "document", "document_size",
    "entry", "home", "make",
]  # fmt: skip

FILE: Final = "data.bin"
FILE_SIZE: Final = 64 << 20  # stays in the page cache
PIECE: Final = 64 << 10  # every server takes so much at a time
SEED: Final = 1  # all servers get the same
USERS: Final = 8  # of the office
DOCUMENTS: Final = 20  # of each of them; the first is large
LARGE_SIZE: Final = 1 << 20
AT_ONCE: Final = 1000  # operations packed together
DEPTH: Final = 16


def directory(entries: int) -> str:
    """The directory of so many entries."""
    return f"entries-{entries}"


def entry(entries: int, index: int) -> str:
    """One of them."""
    return f"{directory(entries)}\\entry {index:06}.txt"


def home(user: int) -> str:
    """The directory of one who works in the office."""
    return f"user-{user}"


def document(user: int, index: int) -> str:
    """What he works on."""
    return f"{home(user)}\\document {index:02}.odt"


def document_size(index: int) -> int:
    """In bytes: documents are small, from 4 to 64 KiB; the first is large."""
    return LARGE_SIZE if index == 0 else (4 << 10) * (1 + index * 7 % 16)


def make(connection: Connection, need: str, path: Path | None) -> None:
    """Make what rows need, unless it is there; `path` is that of the share, if it is in a file system."""
    make_it, last = NEEDS[need]
    client, _, tree_id = connection
    gather_credits(client, CREDITS)
    protect(client, "plain")
    try:
        client.close(client.create(tree_id, last, options=CreateOption.NON_DIRECTORY_FILE))
    except StatusError:
        make_it(connection, path)


def _make_data(connection: Connection, _: Path | None) -> None:
    _make_file(connection, FILE, FILE_SIZE)


def _make_entries(connection: Connection, path: Path | None, entries: int) -> None:
    _make_directory(connection, directory(entries))
    access, disposition = Access.FILE_GENERIC_WRITE, CreateDisposition.CREATE
    operations = [
        [[requests.create(entry(entries, index), access, disposition=disposition), requests.close()]]
        for index in range(entries if path is None else 1)
    ]
    _fire(connection, operations)
    if path is not None:
        first = _place(path, entry(entries, 0))
        for index in range(1, entries):
            _make_like(first, _place(path, entry(entries, index)))


def _place(path: Path, name: str) -> Path:
    return path.joinpath(*name.split("\\"))


def _make_like(model: Path, path: Path) -> None:
    """A new empty file with the mode and the attributes of another."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        os.fchmod(descriptor, model.stat().st_mode & 0o7777)
        for attribute in os.listxattr(model):
            os.setxattr(descriptor, attribute, os.getxattr(model, attribute))
    finally:
        os.close(descriptor)


def _make_office(connection: Connection, _: Path | None) -> None:
    for user in range(USERS):
        _make_directory(connection, home(user))
        for index in range(DOCUMENTS):
            _make_file(connection, document(user, index), document_size(index))


def _make_directory(connection: Connection, name: str) -> None:
    client, _, tree_id = connection
    file = client.create(
        tree_id, name, access=Access.GENERIC_ALL, disposition=CreateDisposition.CREATE,
        options=CreateOption.DIRECTORY_FILE,
    )  # fmt: skip
    client.close(file)


def _make_file(connection: Connection, name: str, size: int) -> None:
    client, _, tree_id = connection
    file = client.create(tree_id, name, access=Access.GENERIC_ALL, disposition=CreateDisposition.CREATE)
    data = random.Random(SEED).randbytes(PIECE)
    _fire(connection, [[[requests.write(begin, data[: size - begin], file)]] for begin in range(0, size, PIECE)])
    client.close(file)


def _fire(connection: Connection, operations: Sequence[Operation]) -> None:
    client, sock, tree_id = connection
    for begin in range(0, len(operations), AT_ONCE):
        run_once(client, sock, tree_id, operations[begin : begin + AT_ONCE], DEPTH)


# How each is made, and the file that is made last.
NEEDS: Final[dict[str, tuple[Callable[[Connection, Path | None], None], str]]] = {
    "data": (_make_data, FILE),
    "office": (_make_office, document(USERS - 1, DOCUMENTS - 1)),
    **{
        directory(entries): (partial(_make_entries, entries=entries), entry(entries, entries - 1))
        for entries in (1_000, 10_000, 100_000)
    },
}
