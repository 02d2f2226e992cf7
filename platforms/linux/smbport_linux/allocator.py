"""How the C library keeps memory that is free.

A megabyte that is read, sealed and sent is a buffer for less than a millisecond.  glibc gives free memory at the end
of its heap back to the kernel as soon as there are 128 KiB of it, and takes it anew, page by page, for the next
request: sealed reads of a megabyte then take twice the CPU time.
"""

from typing import Final

from smbport_linux.calls import libc

__all__ = ["KEPT_BYTES", "keep_large_buffers"]

KEPT_BYTES: Final = 32 << 20  # at most; the largest threshold that glibc takes for the second one
M_TRIM_THRESHOLD: Final = -1  # <malloc.h>
M_MMAP_THRESHOLD: Final = -3


def keep_large_buffers() -> bool:
    """Let up to KEPT_BYTES of free memory stay with this process.  False if the C library has no such setting."""
    mallopt = getattr(libc, "mallopt", None)
    if mallopt is None:  # musl
        return False
    return bool(mallopt(M_TRIM_THRESHOLD, KEPT_BYTES) and mallopt(M_MMAP_THRESHOLD, KEPT_BYTES))
