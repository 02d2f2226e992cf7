"""What programs do with a share mounted with the option `posix`.  These functions run in the guest, see client.py."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from tests.vm.client_processes import error_of


def states(folder: str) -> dict[str, list[int]]:
    """Mode with the type of the file, links, owner and group of each entry, from a listing and by its name."""
    found = {}
    for entry in os.scandir(folder):
        listed, named = entry.stat(follow_symlinks=False), os.lstat(entry.path)
        assert stat.S_IFMT(listed.st_mode) == stat.S_IFMT(named.st_mode), entry.name
        found[entry.name] = [named.st_mode, named.st_nlink, named.st_uid, named.st_gid]
    return found


def create(name: str, mode: int, *, folder: bool = False) -> None:
    """Make something with exactly this mode."""
    before = os.umask(0)
    try:
        if folder:
            os.mkdir(name, mode)
        else:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    finally:
        os.umask(before)


def create_folder(name: str, mode: int) -> None:
    create(name, mode, folder=True)


def read_links(names: Sequence[str]) -> list[str]:
    return [os.readlink(name) for name in names]


def make_special(fifo: str, sock: str) -> list[str]:
    """A FIFO and a socket; the names of the errors."""
    return [error_of(lambda: os.mkfifo(fifo, 0o640)), error_of(lambda: os.mknod(sock, stat.S_IFSOCK | 0o600))]


def write_after_rename(old: str, new: str) -> str:
    """A file is replaced while it is open; what its handle reads then."""
    with open(new, "w+") as replaced:
        replaced.write("of the old one")
        replaced.flush()
        os.rename(old, new)
        replaced.seek(0)
        return replaced.read()


def write_in_renamed_folder(old: str, new: str) -> str:
    """A folder is renamed while a file inside is open, which is written to then."""
    os.mkdir(old)
    with open(f"{old}/file", "w") as file:
        file.write("before ")
        file.flush()
        os.rename(old, new)
        file.write("after")
    return Path(new, "file").read_text()


def remake_unlinked(name: str) -> list[str]:
    """A name that was removed while its file was open is free at once."""
    with open(name, "w+") as old:
        old.write("old")
        old.flush()
        os.unlink(name)
        Path(name).write_text("new")
        old.seek(0)
        return [old.read(), Path(name).read_text()]
