"""Errors by QNX' numbers, which are others than Linux': in a process whose `errno` has them."""

import subprocess
import sys
import textwrap

import pytest

# unix/nto/mod.rs of the Rust crate libc, as far as numbers differ from Linux' and mean something to clients.
QNX_NUMBERS = {
    "ENOTSUP": 48, "EDQUOT": 49, "ENAMETOOLONG": 78, "EILSEQ": 88, "ENOSYS": 89, "ELOOP": 90, "ENOTEMPTY": 93,
    "EOPNOTSUPP": 103, "ESTALE": 122, "EADDRINUSE": 248, "ENOBUFS": 255, "ETIMEDOUT": 260,
}  # fmt: skip


def run(script):
    prelude = f"import errno\nvars(errno).update({QNX_NUMBERS})\n"
    done = subprocess.run(
        [sys.executable, "-c", prelude + textwrap.dedent(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_answers():
    run("""
        from smbport.commands.errors import status_of_error
        from smbport.wire.constants import Command
        from smbport.wire.status import Status

        for number, status in {
            48: Status.NOT_SUPPORTED, 103: Status.NOT_SUPPORTED, 89: Status.NOT_SUPPORTED,
            93: Status.DIRECTORY_NOT_EMPTY, 78: Status.OBJECT_NAME_INVALID, 90: Status.ACCESS_DENIED,
            49: Status.DISK_FULL, 260: Status.IO_TIMEOUT, 39: Status.UNSUCCESSFUL,
        }.items():
            assert status_of_error(Command.CREATE, OSError(number, "")) == status, number
    """)


@pytest.mark.parametrize("number", [90, 20, 31])
def test_the_walker_sees_a_link(number):
    """Whatever of the three errors open() with O_NOFOLLOW gives for it."""
    run(f"""
        import os, tempfile
        from smbport.posix import walk

        real = os.open
        def open(path, flags, *args, **keywords):
            if flags & os.O_NOFOLLOW and path == b"link":
                raise OSError({number}, "a link")
            return real(path, flags, *args, **keywords)

        with tempfile.TemporaryDirectory() as top:
            os.mkdir(top + "/d")
            os.symlink("d", top + "/link")
            os.symlink("/etc", top + "/out")
            root = walk.Root(top)
            walker = walk.Walker(root)
            os.open = open
            os.close(walker.open(b"link/x", os.O_CREAT | os.O_RDWR, 0o600))
            os.open = real
            assert os.listdir(top + "/d") == ["x"]
            root.close()
    """)
