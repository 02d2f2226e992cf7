"""What the tests of the port do with its volumes again and again."""

from collections.abc import Callable

from smbport.platform import ACCESS_READ, ACCESS_WRITE, File
from smbport_freebsd.volume import FreeBSDVolume

BOTH = ACCESS_READ | ACCESS_WRITE


def create(volume: FreeBSDVolume, name: str = "file", data: bytes = b"") -> File:
    file = volume.create(name, BOTH, 0o644, wait=True)
    file.write_at(0, data, wait=True)
    return file


def failure_of(function: Callable[[], object]) -> int | None:
    """The errno of what must fail."""
    try:
        function()
    except OSError as reason:
        return reason.errno
    return None
