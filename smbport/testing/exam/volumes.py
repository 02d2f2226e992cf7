"""The exam for `Volume`: its root, looking at what is there, opening it."""

import errno
import os
from typing import Final, cast

from smbport.platform import ACCESS_NONE, ACCESS_READ, ACCESS_WRITE, Directory, Kind, Platform
from smbport.testing.exam.bench import (
    BOTH,
    Bench,
    NotExamined,
    check_refused,
    demanding,
    open_bench,
    proctored,
    require,
)

__all__ = ["check_read_only", "check_volume"]

MISSING: Final = (errno.ENOENT,)
TAKEN: Final = (errno.EEXIST,)
NO_WAY: Final = (errno.ENOENT, errno.ENOTDIR)  # through a file: systems differ


def check_volume(platform: Platform, path: str) -> str:
    """Opening the volume, looking at what is there, opening it, and the space."""
    with open_bench(platform, path) as bench:
        _check_root(bench)
        _check_missing(bench)
        _check_looking(bench)
        _check_space(bench)
        _check_closing(bench)
        return _check_other_kinds(bench)


def _check_root(bench: Bench) -> None:
    volume = bench.volume
    stat = volume.stat("")
    require(stat.kind == Kind.DIRECTORY, 'the path "" is the root, a directory')
    root = volume.open("", ACCESS_READ)
    require(root.is_directory is True, "what open() gives for a directory has is_directory True")
    require(root.stat().key == stat.key, "the handle of the root and its stat have the same key")
    root.close()
    again = bench.platform.open_volume(bench.path)
    require(again.stat("").key == stat.key, "opening the same volume twice gives the same root")
    require(again.features.serial == volume.features.serial, "Features.serial stays the same as long as the volume")
    again.close()
    check_refused("create on the root is FileExistsError", TAKEN, volume.create, "", BOTH, 0o644)
    check_refused("make_directory on the root is FileExistsError", TAKEN, volume.make_directory, "", 0o755)


def _check_missing(bench: Bench) -> None:
    volume = bench.volume
    bench.make("file")
    for demand, codes, function, name in (
        ("stat of what is not there is FileNotFoundError", MISSING, bench.stat, "gone"),
        ("open of what is not there is FileNotFoundError", MISSING, bench.open, "gone"),
        ("create in a directory that is not there is FileNotFoundError", MISSING, bench.create, "gone/x"),
        ("stat below a file is NotADirectoryError", NO_WAY, bench.stat, "file/x"),
        ("create below a file is NotADirectoryError", NO_WAY, bench.create, "file/x"),
    ):
        check_refused(demand, codes, function, name)
    check_refused("create on a taken name is FileExistsError", TAKEN, bench.create, "file")
    check_refused("make_directory on a taken name is FileExistsError", TAKEN, bench.make_directory, "file")
    for missing in ("smbport-exam-gone", f"{bench.base}/file"):
        try:
            bench.platform.open_volume(os.path.join(bench.path, missing)).close()
        except (FileNotFoundError, NotADirectoryError):
            continue
        require(
            bench.host_path is None,  # a platform that stores volumes by name may have made one
            "open_volume of what is no directory is FileNotFoundError or NotADirectoryError",
        )
    require(volume.stat(bench.at("file")).size == 0, "a call that failed changes nothing")


def _check_looking(bench: Bench) -> None:
    file = bench.create("seen", b"12345")
    stat = bench.stat("seen")
    require(stat == file.stat(), "stat by name and by handle say the same")
    require(stat.kind == Kind.FILE, "a new file has Kind.FILE")
    require(stat.size == 5, "Stat.size is the number of bytes")
    require(stat.links == 1, "a new file has one link")
    require(stat.mode & ~0o7777 == 0, "Stat.mode has permission bits only")
    require(stat.key != bench.make("unlike").key, "two files have different keys")
    again = bench.open("seen", ACCESS_READ)
    require(again.first_stat() == again.stat(), "first_stat right after open() says what stat says")
    require(again.stat().key == stat.key, "two handles of one file have the same key")
    require(again.is_directory is False, "what open() gives for a file has is_directory False")
    again.close()
    with demanding("a handle opened with ACCESS_NONE is good for stat and sync"):
        neither = bench.open("seen", ACCESS_NONE)
        require(neither.stat().key == stat.key, "a handle opened with ACCESS_NONE knows its file")
        neither.sync()
    neither.close()
    for access in (ACCESS_NONE, ACCESS_READ, ACCESS_WRITE, BOTH):
        directory = bench.volume.open(bench.base, access)
        require(directory.is_directory is True, "a directory opens for listing, whatever the access")
        names = [entry.name for entry in cast("Directory", directory).entries(100)]
        require("seen" in names, "a directory can be listed whatever access it was opened with")
        directory.close()
    file.close()


def _check_space(bench: Bench) -> None:
    space = bench.volume.space()
    require(0 <= space.available <= space.total, "Space.available is between 0 and the total")
    require(0 <= space.free <= space.total, "Space.free is between 0 and the total")
    require(space.block_size > 0, "Space.block_size is positive")
    bench.volume.sync_directory_of(bench.at("seen"))
    require(bench.volume.may_remove(bench.at("seen")) is True, "who made a file in a directory of his may remove it")


def _check_closing(bench: Bench) -> None:
    volume = bench.platform.open_volume(bench.path)
    file = volume.open(bench.at("seen"), ACCESS_READ)
    volume.close()
    demand = "open handles stay good when the volume is closed"
    with demanding(demand):
        require(not file.is_directory and file.read_at(0, 9) == b"12345", demand)
    file.close()


def _check_other_kinds(bench: Bench) -> str:
    if not bench.plant_fifo("fifo"):
        return "no FIFO could be made"
    require(bench.stat("fifo").kind == Kind.FIFO, "a FIFO has Kind.FIFO")
    for access in (ACCESS_READ, ACCESS_WRITE, BOTH):
        check_refused("open of a FIFO is OSError(ENXIO)", (errno.ENXIO,), bench.open, "fifo", access)
    with demanding("with ACCESS_NONE any kind opens"):
        node = bench.open("fifo", ACCESS_NONE)
    require(node.stat().kind == Kind.FIFO, "with ACCESS_NONE any kind opens")
    node.close()
    for kind, made in ((Kind.FIFO, "made fifo"), (Kind.SOCKET, "made socket")):
        _check_made(bench, kind, made)
    return ""


def _check_made(bench: Bench, kind: int, name: str) -> None:
    try:
        bench.volume.make_special(bench.at(name), kind, 0o600)
    except PermissionError:
        return
    made = bench.stat(name)
    require(made.kind == kind and made.mode & 0o177 == 0, "make_special makes the kind it was asked for, and the mode")
    demand = "make_special is FileExistsError if the name is taken"
    check_refused(demand, (errno.EEXIST,), bench.volume.make_special, bench.at(name), kind, 0o600)


def check_read_only(platform: Platform, path: str) -> str:
    """On a volume with Features.read_only, nothing can be changed."""
    volume = proctored(platform).open_volume(path)
    try:
        if not volume.features.read_only:
            raise NotExamined("the volume can be written")
        demand = "with Features.read_only, every change is OSError(EROFS)"
        name = "smbport-exam-read-only"
        check_refused(demand, (errno.EROFS,), volume.create, name, BOTH, 0o644)
        check_refused(demand, (errno.EROFS,), volume.make_directory, name, 0o755)
        check_refused("a change that was refused has no effect", MISSING, volume.stat, name)
        return ""
    finally:
        volume.close()
