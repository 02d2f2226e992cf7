"""The exam for the power `snapshots`."""

import errno
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from tempfile import TemporaryDirectory
from typing import Final, cast

from smbport.platform import ACCESS_NONE, ACCESS_READ, File, FileKey, Kind, Platform, SnapshotLayout, Snapshots, Volume
from smbport.testing.exam.bench import BOTH, Bench, NotExamined, check_refused, demanding, open_bench, require
from smbport.testing.exam.powers import find_power

__all__ = ["check_snapshots"]

NAMES: Final = "%Y.%m.%d-%H.%M.%S"
FIRST_NS: Final = 1_500_000_000 * 10**9
SECOND_NS: Final = FIRST_NS + 10**9
UP: Final = "../" * 40
OUT: Final = (errno.EXDEV,)
READ_ONLY: Final = (errno.EROFS,)


def check_snapshots(platform: Platform, path: str) -> str:
    """Times are told, each finds its volume as it was, nothing leads out of that and nothing in it can be changed."""
    find_power(platform, "snapshots", platform.snapshots)
    with open_bench(platform, path) as bench, TemporaryDirectory(prefix="smbport-exam-") as outside:
        snapshots = bench.platform.snapshots
        assert snapshots is not None
        layout = SnapshotLayout.parse(f"{bench.base}/kept/{NAMES}/volume", "utc")
        require(snapshots.times(path, layout) == [], "times() is [] where nothing is")
        _fill(bench, outside)
        _take(bench, FIRST_NS)
        _write(bench, b"second")
        _take(bench, SECOND_NS)
        _write(bench, b"live!!")
        found = snapshots.times(path, layout)
        require(found == [SECOND_NS, FIRST_NS], "times() tells when each was taken, in whole seconds, newest first")
        demand = "open() of a second in which no snapshot was taken is FileNotFoundError"
        check_refused(demand, (errno.ENOENT,), snapshots.open, path, layout, FIRST_NS - 10**9)
        for time_ns, data in ((FIRST_NS, b"first!"), (SECOND_NS, b"second")):
            _check_volume(bench, snapshots, layout, time_ns, data)
        require(bench.read("now/file") == b"live!!", "what is done in a snapshot leaves the volume of today alone")
    return ""


def _fill(bench: Bench, outside: str) -> None:
    for name in ("now", "now/directory"):
        bench.make_directory(name)
    bench.make("now/file", b"first!")
    bench.make("now/directory/inner", b"inner")
    bench.plant_link("now/inside", "directory/inner")
    bench.plant_link("now/out", outside)
    bench.plant_link("now/up", UP)


def _write(bench: Bench, data: bytes) -> None:
    file = bench.open("now/file")
    file.write_at(0, data)
    file.close()


def _take(bench: Bench, time_ns: int) -> None:
    """Let there be a snapshot of what is in the directory `now`."""
    take: Callable[[str, int], None] | None = getattr(bench.platform, "take_snapshot", None)  # MemoryPlatform has it
    if take is not None:
        take(bench.path, time_ns)
    elif bench.host_path is not None:
        name = datetime.fromtimestamp(time_ns // 10**9, UTC).strftime(NAMES)
        target = os.path.join(bench.host_path, "kept", name, "volume", bench.base, "now")
        shutil.copytree(os.path.join(bench.host_path, "now"), target, symlinks=True)
    else:
        raise NotExamined("there is no way to take a snapshot")


def _check_volume(bench: Bench, snapshots: Snapshots, layout: SnapshotLayout, time_ns: int, data: bytes) -> None:
    with demanding("open() gives the volume as it was"):
        volume = snapshots.open(bench.path, layout, time_ns)
    try:
        require(volume.features.read_only, "the features of a snapshot say that it is read-only")
        require(_read(volume, bench.at("now/file")) == data, "a file in a snapshot holds what it held then")
        directory = volume.open(bench.at("now"), ACCESS_READ)
        assert directory.is_directory
        names = {entry.name for entry in directory.entries(100)}
        directory.close()
        require({"file", "directory"} <= names, "a directory in a snapshot can be listed")
        if "inside" in names:
            require(_read(volume, bench.at("now/inside")) == b"inner", "links inside a snapshot are followed")
            _check_leaving(bench, volume)
        _check_unchangeable(bench, volume)
    finally:
        volume.close()


def _read(volume: Volume, path: str) -> bytes:
    file = cast("File", volume.open(path, BOTH))
    try:
        check_refused("what is open in a snapshot cannot be written", (), file.write_at, 0, b"changed")
        return file.read_at(0, 100)
    finally:
        file.close()


def _check_leaving(bench: Bench, volume: Volume) -> None:
    demand = "a link that leaves a snapshot is OSError(EXDEV)"
    for name in ("out", "up"):
        check_refused(demand, OUT, volume.stat, bench.at(f"now/{name}"))
        check_refused(demand, OUT, volume.open, bench.at(f"now/{name}"), ACCESS_NONE)
        link = volume.stat(bench.at(f"now/{name}"), follow=False)
        require(link.kind == Kind.SYMLINK, "stat with follow=False is about the link itself")
    for path in ("..", "/", f"{bench.base}/../.."):
        check_refused("a path never leaves a snapshot", (), volume.open, path, ACCESS_READ)


def _check_unchangeable(bench: Bench, volume: Volume) -> None:
    demand = "what would change a name in a snapshot is OSError(EROFS)"
    file, new, key = bench.at("now/file"), bench.at("now/new"), FileKey(0, 0)
    check_refused(demand, READ_ONLY, volume.create, new, BOTH, 0o644)
    check_refused(demand, READ_ONLY, volume.make_directory, new, 0o755)
    check_refused(demand, READ_ONLY, volume.rename, file, new, replace=False)
    check_refused(demand, READ_ONLY, volume.link, file, new)
    check_refused(demand, READ_ONLY, volume.symlink, new, "file")
    check_refused(demand, READ_ONLY, volume.make_special, new, Kind.FIFO, 0o600)
    check_refused(demand, READ_ONLY, volume.remove, file, key)
    require(not volume.may_remove(file), "may_remove is false in a snapshot")
