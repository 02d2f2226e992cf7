"""The exam for the rules of blocking and of threads."""

from collections.abc import Callable
from functools import partial
from typing import Final, cast

from smbport.platform import ACCESS_READ, Directory, File, Platform, Volume
from smbport.testing.calls import unwrap
from smbport.testing.exam.bench import BOTH, Bench, list_names, open_bench, require, run_together

__all__ = ["check_blocking", "check_threads"]

UNDONE: Final = "a call that raises BlockingIOError changes nothing"
SOME_NS: Final = 1_000_000_000 * 10**9
CHUNK: Final = 32768
THREADS: Final = 4
ROUNDS: Final = 16


def check_blocking(platform: Platform, path: str) -> str:
    """With wait=False, a call does its work or says BlockingIOError and has changed nothing.

    That wait=True never raises BlockingIOError, and calls without `wait` neither, is seen to in every check.
    """
    with open_bench(platform, path) as bench:
        _check_names_unchanged(bench, unwrap(bench.volume))
        _check_file_unchanged(bench)
        _check_listing_unchanged(bench)
        if bench.volume.features.inline_io:
            _check_inline_io(bench)
    return ""


def _is_blocked(function: Callable[..., object], *args: object, **keywords: object) -> bool:
    """Make the call as on the event loop's thread; whether it would have blocked."""
    try:
        result = function(*args, **keywords, wait=False)
    except BlockingIOError:
        return True
    if hasattr(result, "close"):
        result.close()
    return False


def _check_names_unchanged(bench: Bench, volume: Volume) -> None:
    """`volume` is the bench's without the proctor, who would repeat what blocks."""
    if _is_blocked(volume.create, bench.at("file"), BOTH, 0o644):
        require(not bench.exists("file"), f"create: {UNDONE}")
        bench.make("file")
    if _is_blocked(volume.make_directory, bench.at("directory"), 0o755):
        require(not bench.exists("directory"), f"make_directory: {UNDONE}")
        bench.make_directory("directory")
    if _is_blocked(volume.rename, bench.at("file"), bench.at("renamed"), replace=False):
        require(bench.names() == ["directory", "file"], f"rename: {UNDONE}")
        bench.volume.rename(bench.at("file"), bench.at("renamed"), replace=False)
    if _is_blocked(volume.remove, bench.at("directory"), bench.stat("directory").key, directory=True):
        require(bench.names() == ["directory", "renamed"], f"remove: {UNDONE}")
        bench.remove("directory", directory=True)
    require(bench.names() == ["renamed"], "a call that does not raise has done its work")


def _check_file_unchanged(bench: Bench) -> None:
    watched = bench.create("watched", b"data")
    file = unwrap(watched)
    changes: list[tuple[str, Callable[..., object], tuple[object, ...]]] = [
        ("write_at", file.write_at, (0, b"XXXXXXXX")),
        ("resize", file.resize, (2,)),
        ("set_mode", file.set_mode, (0o600,)),
        ("set_times", file.set_times, (SOME_NS, SOME_NS)),
    ]
    for name, function, args in changes:
        before = _state(watched)
        if _is_blocked(function, *args):
            require(_state(watched) == before, f"{name}: {UNDONE}")
    watched.close()


def _state(file: File) -> tuple[object, ...]:
    """What the changes would change; reading may move the access time."""
    stat = file.stat()
    return stat.size, stat.mode, stat.write_ns, file.read_at(0, 99)


def _check_listing_unchanged(bench: Bench) -> None:
    names = bench.names()
    watched = cast("Directory", bench.volume.open(bench.base, ACCESS_READ))
    if _is_blocked(unwrap(watched).entries, 1):
        require(sorted(list_names(watched)) == names, f"entries: {UNDONE}, so the next call gives the same entries")
    watched.close()


def _check_inline_io(bench: Bench) -> None:
    watched = bench.create("inline", b"cached")
    file = unwrap(watched)
    demand = "with Features.inline_io, reads and writes of cached data do not raise BlockingIOError"
    require(not _is_blocked(file.read_at, 0, 6), demand)
    require(not _is_blocked(file.write_at, 0, b"CACHED"), demand)
    watched.close()


def check_threads(platform: Platform, path: str) -> str:
    """Calls on one handle may come from several threads at the same time."""
    with open_bench(platform, path) as bench:
        file = bench.create("shared", bytes(CHUNK * THREADS))
        run_together([partial(_write_and_read, file, number) for number in range(THREADS)])
        expected = b"".join(bytes([number]) * CHUNK for number in range(THREADS))
        require(file.read_at(0, 2 * CHUNK * THREADS) == expected, "calls on one handle from several threads do not mix")
        file.close()
        run_together([partial(_make_and_remove, bench, number) for number in range(THREADS)])
        require(bench.names() == ["shared"], "calls on one volume from several threads do not mix")
    return ""


def _write_and_read(file: File, number: int) -> None:
    offset, data = number * CHUNK, bytes([number]) * CHUNK
    for _ in range(ROUNDS):
        file.write_at(offset, data)
        require(file.read_at(offset, CHUNK) == data, "calls on one handle from several threads do not mix")


def _make_and_remove(bench: Bench, number: int) -> None:
    for _ in range(ROUNDS):
        bench.make(f"of-{number}", b"data")
        require(bench.read(f"of-{number}") == b"data", "calls on one volume from several threads do not mix")
        bench.remove(f"of-{number}")
