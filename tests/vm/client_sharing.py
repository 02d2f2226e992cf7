"""What two clients of one server do to each other's files: locks, caches, files kept open.

These functions run in the guest as well, see client.py.
"""

import contextlib
import fcntl
import os
import re
import signal
from functools import partial
from pathlib import Path

from tests.vm.client import connection_state
from tests.vm.client_processes import error_of, exit_status, start_child, until

LOCK_COMMAND = 10  # [MS-SMB2] 2.2.1.2


# Locks -----------------------------------------------------------------------------------------------------------


def lock_ranges(mine: str, other: str) -> list[str]:
    """Lock bytes 10 to 14 through one client; returns what the other hears."""
    with open(mine, "r+b", buffering=0) as first, open(other, "r+b", buffering=0) as second:
        fcntl.lockf(first, fcntl.LOCK_EX, 5, 10)
        heard = [
            error_of(lambda: fcntl.lockf(second, fcntl.LOCK_EX | fcntl.LOCK_NB, 5, 10)),
            error_of(lambda: fcntl.lockf(second, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, 14)),
            error_of(lambda: fcntl.lockf(second, fcntl.LOCK_EX | fcntl.LOCK_NB, 5, 15)),
            error_of(partial(_write_through, second.fileno(), 12)),
            error_of(partial(_write_through, second.fileno(), 20)),
        ]
        fcntl.lockf(first, fcntl.LOCK_UN, 5, 10)
        heard.append(error_of(lambda: fcntl.lockf(second, fcntl.LOCK_EX | fcntl.LOCK_NB, 5, 10)))
        return heard


def _write_through(descriptor: int, offset: int) -> None:
    os.pwrite(descriptor, b"x", offset)
    os.fsync(descriptor)


def count_in_turns(mine: str, other: str, rounds: int) -> list[int]:
    """Two processes count in one file, each through its own client.  Returns their exit statuses."""

    def count(name: str) -> None:
        with open(name, "r+b", buffering=0) as file:
            for _ in range(rounds):
                fcntl.lockf(file, fcntl.LOCK_EX, 8, 0)
                number = int.from_bytes(os.pread(file.fileno(), 8, 0))
                os.pwrite(file.fileno(), (number + 1).to_bytes(8), 0)
                fcntl.lockf(file, fcntl.LOCK_UN, 8, 0)

    return [exit_status(process) for process in [start_child(count, name) for name in (mine, other)]]


def lock_files(mine: str, other: str) -> list[str]:
    """With flock."""
    with open(mine, "r+b") as first, open(other, "r+b") as second:
        fcntl.flock(first, fcntl.LOCK_SH)
        heard = [
            error_of(lambda: fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)),
            error_of(lambda: fcntl.flock(second, fcntl.LOCK_SH | fcntl.LOCK_NB)),
        ]
        fcntl.flock(second, fcntl.LOCK_UN)
        fcntl.flock(first, fcntl.LOCK_UN)
        heard.append(error_of(lambda: fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)))
        return heard


def wait_for_lock(mine: str, other: str) -> int:
    """A process waits for a lock until it is released; returns its exit status."""
    with open(mine, "r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 5, 10)
        child = start_child(_lock, other)
        _until_waiting(child)
        fcntl.lockf(file, fcntl.LOCK_UN, 5, 10)
        return exit_status(child)


def give_up_waiting(mine: str, other: str) -> str:
    """A process that waits for a lock is killed; returns the error of the next who wants the lock."""
    with open(mine, "r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 5, 10)
        child = start_child(_lock, other)
        _until_waiting(child)
        os.kill(child, signal.SIGKILL)
        assert exit_status(child) == -signal.SIGKILL
        until(lambda: not _lock_requests())
        fcntl.lockf(file, fcntl.LOCK_UN, 5, 10)
        return error_of(lambda: fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 5, 10))


def _lock(name: str) -> None:
    with open(name, "r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 5, 10)


def _until_waiting(child: int) -> None:
    def waits() -> bool:
        ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        assert not ended, "nothing made the process wait"
        return _lock_requests() > 0

    until(waits)


def _lock_requests() -> int:
    """How many wait for their answer."""
    return len(re.findall(rf"com: {LOCK_COMMAND}\b", connection_state()))


# Two clients, and a server that goes away ------------------------------------------------------------------------


def see_changes(mine: str, other: str, rounds: int) -> list[str]:
    """What one client has written, the other reads, whatever it has cached.  Returns what it read."""
    read = []
    with open(mine, "wb", buffering=0) as writer, open(other, "rb", buffering=0) as reader:
        for number in range(rounds):
            os.pwrite(writer.fileno(), b"round %d" % number, 0)
            os.fsync(writer.fileno())
            os.posix_fadvise(reader.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            read.append(os.pread(reader.fileno(), 100, 0).decode())
    return read


def see_local_change(name: str) -> list[str]:
    """Reads a file twice before the other end of two FIFOs is opened, and afterwards until it is another.

    Returns what it read.  The kernel takes no break for a reason to look at the size again.
    """
    with open(name, "rb", buffering=0) as file:
        read = [os.pread(file.fileno(), 100, 0).decode()]
        read.append(os.pread(file.fileno(), 100, 0).decode())
        _meet("/run/held")
        _meet("/run/go")
        until(lambda: os.pread(file.fileno(), 100, 0).decode() != read[0])
        return [*read, os.pread(file.fileno(), 100, 0).decode()]


def breaks_acknowledged() -> int:
    """How often the server took a cache away."""
    stats = Path("/proc/fs/cifs/Stats").read_text()
    return sum(int(count) for count in re.findall(r"OplockBreaks: (\d+) sent", stats))


def hold_open(name: str, before: str, after: str) -> str:
    """Writes before and after the other end of two FIFOs is opened; returns what the file holds."""
    with open(name, "w+") as file:
        file.write(before)
        file.flush()
        os.fsync(file.fileno())
        _meet("/run/held")
        _meet("/run/go")
        file.write(after)
        file.flush()
        file.seek(0)
        return file.read()


def await_held() -> None:
    _meet("/run/held", os.O_RDONLY)


def let_go() -> None:
    _meet("/run/go", os.O_RDONLY)


def _meet(fifo: str, flag: int = os.O_WRONLY) -> None:
    """Wait until another process opens the other end."""
    with contextlib.suppress(FileExistsError):
        os.mkfifo(fifo)
    os.close(os.open(fifo, flag))
