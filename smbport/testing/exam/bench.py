"""Where the exam takes place: a fresh directory on the volume, and a proctor who watches every call.

The proctor does as the core does: each call that may block is made with wait=False first and repeated with
wait=True if it says BlockingIOError.  So the checks are written as if nothing ever blocked, and the rules that
hold for every method are examined all the time.
"""

import errno
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Final, cast

from smbport.platform import ACCESS_READ, ACCESS_WRITE, Directory, File, Kind, Platform, Stat, Volume
from smbport.testing.calls import Call, wrap

__all__ = [
    "BOTH", "Bench", "ExamFailed", "NotExamined", "check_refused", "demanding", "list_names", "open_bench", "proctored",
    "require", "run_together",
]  # fmt: skip

BOTH: Final = ACCESS_READ | ACCESS_WRITE
MAX_ENTRIES: Final = 10_000  # in one directory of the exam; the fullest has some hundred


class ExamFailed(AssertionError):
    """The port breaks the contract; the sentence says what the contract demands."""


class NotExamined(Exception):
    """This part of the contract does not apply; the sentence says why."""


def require(condition: bool, demand: str) -> None:
    """ExamFailed with the sentence `demand` unless the condition holds."""
    if not condition:
        raise ExamFailed(demand)


def check_refused(
    demand: str, codes: tuple[int, ...], function: Callable[..., object], *args: object, **keywords: object
) -> None:
    """The call must raise OSError with one of `codes`, any if there are none."""
    try:
        result = function(*args, **keywords)
    except OSError as error:
        if codes and error.errno not in codes:
            raise ExamFailed(f"{demand}; it was {errno.errorcode.get(error.errno or 0, error)}") from error
        return
    for handle in result if isinstance(result, list) else [result]:
        if hasattr(handle, "close"):
            handle.close()
    raise ExamFailed(f"{demand}; it was not refused")


@contextmanager
def demanding(demand: str) -> Iterator[None]:
    """What happens inside must work, because the contract says `demand`."""
    try:
        yield
    except OSError as error:
        raise ExamFailed(f"{demand}; it was {errno.errorcode.get(error.errno or 0, error)}") from error


def proctored(platform: Platform) -> Platform:
    """The platform, with the rules for every call watched over."""
    return wrap(platform, _proctor)


def _proctor(call: Call) -> object:
    try:
        return _call_as_the_core_does(call)
    except OSError as error:
        require(error.errno is not None, f"{call.path} raised {error!r}: an OSError has a true errno")
        require(call.name != "close", f"{call.path} raised {error!r}: close never raises")
        error.add_note(call.path)
        raise
    except ExamFailed:
        raise
    except Exception as error:  # whatever else a broken port may raise is a finding, not the end of the exam
        raise ExamFailed(f"{call.path} raised {error!r}: errors are OSError, nothing else") from error


def _call_as_the_core_does(call: Call) -> object:
    if call.path == "ZeroCopy.send":
        return call.proceed()  # its BlockingIOError is about the socket
    try:
        return call.proceed()
    except BlockingIOError:
        require(call.may_block, f"{call.path} raised BlockingIOError, but has no `wait` and so must never block")
    try:
        return call.replace(wait=True).proceed()
    except BlockingIOError as error:
        raise ExamFailed(f"{call.path} raised BlockingIOError although wait was true") from error


class Bench:
    """A directory of its own on a proctored volume.  Names are relative to it."""

    def __init__(self, platform: Platform, path: str, volume: Volume, base: str) -> None:
        self.platform = platform
        self.path = path
        self.volume = volume
        self.base = base
        self.leaving = ExitStack()  # what to release in the end

    def at(self, name: str) -> str:
        """The path of `name` from the root of the volume."""
        return f"{self.base}/{name}"

    def create(self, name: str, data: bytes = b"", mode: int = 0o644) -> File:
        """A new file, open for reading and writing."""
        file = self.volume.create(self.at(name), BOTH, mode)
        if data:
            require(file.write_at(0, data) == len(data), "write_at returns len(data) on a volume that is not full")
        return file

    def make(self, name: str, data: bytes = b"") -> Stat:
        """A new file, closed."""
        file = self.create(name, data)
        stat = file.stat()
        file.close()
        return stat

    def make_directory(self, name: str) -> None:
        self.volume.make_directory(self.at(name), 0o755).close()

    def open(self, name: str, access: int = BOTH) -> File:
        return cast("File", self.volume.open(self.at(name), access))

    def stat(self, name: str, *, follow: bool = True) -> Stat:
        return self.volume.stat(self.at(name), follow=follow)

    def read(self, name: str) -> bytes:
        """All that is in a file."""
        file = self.open(name, ACCESS_READ)
        try:
            return file.read_at(0, file.stat().size)
        finally:
            file.close()

    def exists(self, name: str) -> bool:
        try:
            self.stat(name, follow=False)
        except FileNotFoundError:
            return False
        return True

    def remove(self, name: str, *, directory: bool = False) -> None:
        self.volume.remove(self.at(name), self.stat(name, follow=False).key, directory=directory)

    def names(self, name: str = "") -> list[str]:
        """The names in a directory, sorted."""
        directory = self.volume.open(self.at(name) if name else self.base, ACCESS_READ)
        try:
            return sorted(list_names(cast("Directory", directory)))
        finally:
            directory.close()

    @property
    def host_path(self) -> str | None:
        """Where this directory is on the host; None if the platform keeps its volumes elsewhere."""
        path = os.path.join(self.path, self.base)
        return path if os.path.isdir(path) else None

    def plant_link(self, name: str, target: str) -> bool:
        """Make a symbolic link, for which the contract has no call.  False if there is no way to."""
        plant = getattr(self.volume, "plant_link", None)  # MemoryVolume has it
        if plant is not None:
            plant(self.at(name), target)
            return True
        with suppress(OSError):
            if self.host_path is not None:
                os.symlink(target, os.path.join(self.host_path, name))
                return True
        return False

    def plant_fifo(self, name: str) -> bool:
        """Make a FIFO, held open at both ends so that a port that wrongly opens it does not hang."""
        with suppress(OSError):
            if self.host_path is None:
                self.volume.make_special(self.at(name), Kind.FIFO, 0o600)
                return True
            path = os.path.join(self.host_path, name)
            os.mkfifo(path)
            self.leaving.callback(os.close, os.open(path, os.O_RDWR | os.O_NONBLOCK))
            return True
        return False


@contextmanager
def open_bench(platform: Platform, path: str) -> Iterator[Bench]:
    """A bench on the volume `path`, removed afterwards.  NotExamined if the volume is read-only."""
    platform = proctored(platform)
    volume = platform.open_volume(path)
    try:
        if volume.features.read_only:
            raise NotExamined("the volume is read-only")
        bench = Bench(platform, path, volume, _make_base(volume))
        try:
            with bench.leaving:
                yield bench
        finally:
            with suppress(OSError, ExamFailed):  # a port that cannot remove fails where removing is examined
                _clear(volume, bench.base)
    finally:
        volume.close()


def list_names(directory: Directory, limit: int = 100) -> list[str]:
    """All names of an open directory from where it stands."""
    found: list[str] = []
    while entries := directory.entries(limit, stat=False):
        found += [entry.name for entry in entries]
        require(len(found) <= MAX_ENTRIES, "entries() returns [] at the end of the directory; it has no end")
    return found


def run_together(actions: Sequence[Callable[[], None]]) -> None:
    """Run each in a thread of its own, all let loose at once; then raise what the first to fail raised."""
    start = threading.Barrier(len(actions))
    failures: list[Exception] = []

    def run(action: Callable[[], None]) -> None:
        start.wait()
        try:
            action()
        except (OSError, ExamFailed) as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _make_base(volume: Volume) -> str:
    for number in range(MAX_ENTRIES):
        name = f"smbport-exam-{number}"
        with suppress(FileExistsError):
            volume.make_directory(name, 0o755).close()
            return name
    raise ExamFailed("make_directory raises FileExistsError only if the name is taken; it always does")


def _clear(volume: Volume, path: str) -> None:
    directory = cast("Directory", volume.open(path, ACCESS_READ))
    try:
        names = list_names(directory)
    finally:
        directory.close()
    for name in names:
        below = f"{path}/{name}"
        stat = volume.stat(below, follow=False)
        if stat.kind == Kind.DIRECTORY:
            _clear(volume, below)
        else:
            volume.remove(below, stat.key)
    volume.remove(path, volume.stat(path).key, directory=True)
