"""Cold caches: before each burst of reads the file's pages are dropped, and it is seen that they are.  All other rows
read a file that is in memory."""

import os
from pathlib import Path
from typing import Final

from benchmarks.servers import Server
from benchmarks.share import FILE

__all__ = ["cool", "warm"]

DROP_CACHES: Final = Path("/proc/sys/vm/drop_caches")
PAGES: Final = "1"  # not inodes and names.  proc_sys_vm(5)
PROBES: Final = 64
PIECE: Final = 1 << 20


def cool(server: Server) -> str:
    """Have the system forget the file that is read; returns how.  Raises OSError if it will not."""
    assert server.path is not None
    descriptor = os.open(server.path / FILE, os.O_RDWR)
    try:
        os.fsync(descriptor)  # pages that are not yet written stay
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        if not is_cached(descriptor):
            return "cold by posix_fadvise"
        DROP_CACHES.write_text(PAGES)
        if not is_cached(descriptor):
            return "cold by drop_caches"
        raise OSError("the system keeps the file in its cache")
    finally:
        os.close(descriptor)


def warm(server: Server) -> None:
    """Have the system remember the file, which rows before may have let it forget."""
    if server.path is not None:
        with (server.path / FILE).open("rb", buffering=0) as file:
            while file.read(PIECE):
                pass


def is_cached(descriptor: int) -> bool:
    """Whether any of some pages, spread over the file, can be read without waiting for the disk."""
    size = os.fstat(descriptor).st_size
    page = bytearray(1)
    for probe in range(PROBES):
        try:
            if os.preadv(descriptor, [page], size * probe // PROBES, os.RWF_NOWAIT):
                return True
        except BlockingIOError:
            continue
    return False
