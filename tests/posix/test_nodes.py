"""smbport.posix.nodes"""

import errno
import os
from pathlib import Path

import pytest

from smbport.posix.nodes import check_free_space, read_all, write_all


def test_a_read_that_a_signal_cuts_short_is_continued(tmp_path: Path, monkeypatch):
    (tmp_path / "file").write_bytes(bytes(range(100)))
    with (tmp_path / "file").open("rb") as file:
        real = os.pread
        monkeypatch.setattr(os, "pread", lambda fd, length, offset: real(fd, min(length, 7), offset))
        assert read_all(file.fileno(), 1, 50) == bytes(range(1, 51))
        assert read_all(file.fileno(), 90, 50) == bytes(range(90, 100))
        assert read_all(file.fileno(), 100, 50) == b""


def test_short_writes_and_a_full_volume():
    written = bytearray()

    def write(_, data, offset, *, room=25, reason=errno.ENOSPC):
        if not room - len(written):
            raise OSError(reason, "no")
        piece = bytes(data[: min(7, room - len(written))])
        assert offset == 3 + len(written)
        written.extend(piece)
        return len(piece)

    assert write_all(-1, 3, bytes(range(20)), write) == 20
    written.clear()
    assert write_all(-1, 3, bytes(range(50)), write) == 25
    assert written == bytes(range(25))
    written.clear()
    for reason in (errno.ENOSPC, errno.EDQUOT):
        with pytest.raises(OSError, match=f"Errno {reason}]"):
            write_all(-1, 3, b"x", lambda *args, r=reason: write(*args, room=0, reason=r))
    with pytest.raises(OSError, match=f"Errno {errno.EIO}]"):  # an error that is not about room is told even so
        write_all(-1, 3, bytes(50), lambda *args: write(*args, room=7, reason=errno.EIO))


def test_free_space(tmp_path: Path):
    with (tmp_path / "file").open("wb") as file:
        check_free_space(file.fileno(), 4096)
        with pytest.raises(OSError, match=f"Errno {errno.ENOSPC}]"):
            check_free_space(file.fileno(), 1 << 62)
