"""smbport_linux.allocator: free memory stays."""

import platform
import subprocess
import sys

import pytest

from smbport_linux.allocator import KEPT_BYTES, keep_large_buffers

COUNT_FAULTS = """
import resource
from smbport_linux.allocator import keep_large_buffers
if {keep}:
    assert keep_large_buffers()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        first, second = bytes(b"x") * (1 << 20), bytes(b"y") * (1 << 20)
        del first, second
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_buffers_of_a_megabyte_are_used_again() -> None:
    def count(keep: bool) -> int:
        run = [sys.executable, "-c", COUNT_FAULTS.format(keep=keep)]
        return int(subprocess.run(run, check=True, capture_output=True, text=True, timeout=60).stdout)

    assert count(keep=True) < 100, "pages that were taken from the kernel anew"
    assert count(keep=False) > 1000, "else there would be nothing to set"


def test_a_c_library_without_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smbport_linux.allocator.libc", object())
    assert not keep_large_buffers()
    assert KEPT_BYTES < 1 << 31, "it is an int"
