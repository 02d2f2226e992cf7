"""The exam for locks that local programs see."""

from typing import Final

from smbport.platform import ACCESS_READ, ACCESS_WRITE, File, Platform
from smbport.testing.exam.bench import Bench, open_bench, require
from smbport.testing.exam.powers import find_power

__all__ = ["check_range_locks"]

LATE: Final = 1 << 62  # still a number of bytes that every system counts in


def check_range_locks(platform: Platform, path: str) -> str:
    """Byte ranges, between handles of one file."""
    find_power(platform, "range_locks", platform.range_locks)
    with open_bench(platform, path) as bench:
        locks = bench.platform.range_locks
        assert locks is not None
        one = bench.create("locked", bytes(100))
        two, reader = (_open(bench, access) for access in (ACCESS_READ | ACCESS_WRITE, ACCESS_READ))
        require(locks.lock(one, 10, 20, exclusive=True), "lock grants what nobody holds")
        require(not locks.lock(two, 29, 5, exclusive=False), "no handle locks what another has locked exclusively")
        require(locks.lock(two, 30, 5, exclusive=True), "locks that only touch do not stand in each other's way")
        require(locks.lock(one, 15, 5, exclusive=False), "locks of one handle replace each other")
        require(locks.lock(two, 15, 5, exclusive=False), "handles share what none of them has locked exclusively")
        require(not locks.lock(two, 15, 5, exclusive=True), "no handle locks exclusively what another shares")
        locks.unlock(one, 0, 15)
        require(locks.lock(two, 10, 5, exclusive=True), "unlock releases the bytes it names")
        require(not locks.lock(two, 20, 1, exclusive=False), "unlock releases no other bytes")
        require(locks.lock(one, LATE, 1 << 63, exclusive=True), "lock takes ranges behind the end of every file")
        require(not locks.lock(two, LATE + 5, 1, exclusive=True), "lock knows ranges behind the end of the file")
        require(locks.lock(one, (1 << 64) - 1, 1, exclusive=True), "lock takes the last byte that SMB knows")
        require(locks.lock(reader, 50, 1, exclusive=True), "lock takes exclusive locks of handles for reading only")
        for file in (reader, one):
            file.close()
        require(locks.lock(two, 0, 100, exclusive=True), "close releases all locks of a handle")
        two.close()
    return ""


def _open(bench: Bench, access: int) -> File:
    file = bench.volume.open(bench.at("locked"), access)
    assert not file.is_directory
    return file
