"""What a file carries besides its data, through the programs that ask for it: cifs-utils, coreutils, util-linux.

These functions run in the guest, see client.py.
"""

import fcntl
import os
import struct
import subprocess
from pathlib import Path

from tests.vm.client_processes import error_of

FICLONERANGE = 0x4020940D  # linux/fs.h


def _run(*command: str) -> tuple[str, str]:
    """What it says, and what it complains of; "" if it ended well."""
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout, done.stderr if done.returncode else ""


# Descriptors -----------------------------------------------------------------------------------------------------


def descriptor(name: str) -> list[str]:
    """The lines of getcifsacl, with numbers instead of names."""
    said, complaint = _run("getcifsacl", "-r", name)
    assert not complaint, complaint
    return said.splitlines()


def change_descriptor(name: str, *arguments: str) -> str:
    """What setcifsacl complains of."""
    return _run("setcifsacl", *arguments, name)[1]


# Clones and holes ------------------------------------------------------------------------------------------------


def reflink(name: str, new: str) -> str:
    """What `cp` complains of when it may not copy."""
    return _run("cp", "--reflink=always", name, new)[1]


def clone_range(name: str, start: int, length: int, new: str, new_start: int) -> str:
    """The name of the error; "" for none."""
    with open(name, "rb") as source, open(new, "r+b") as target:
        what = struct.pack("=qQQQ", source.fileno(), start, length, new_start)
        return error_of(lambda: fcntl.ioctl(target, FICLONERANGE, what))


def allocate(name: str, *options: str) -> str:
    """What `fallocate` complains of."""
    return _run("fallocate", *options, name)[1]


def data_ranges(name: str) -> list[tuple[int, int]]:
    """Where the file has data, from the first byte to behind the last, as SEEK_DATA and SEEK_HOLE say."""
    ranges: list[tuple[int, int]] = []
    with open(name, "rb", buffering=0) as file:
        end = 0
        while not error_of(lambda: file.seek(end, os.SEEK_DATA)):  # noqa: B023 - called at once
            start = file.tell()
            end = file.seek(start, os.SEEK_HOLE)
            ranges.append((start, end))
    return ranges


# Attributes ------------------------------------------------------------------------------------------------------


def change_attributes(name: str, new: dict[str, str], gone: list[str]) -> dict[str, str]:
    """Set some and remove some; returns those of users that are there then."""
    for attribute, value in new.items():
        os.setxattr(name, attribute, value.encode())
    for attribute in gone:
        os.removexattr(name, attribute)
    return {each: os.getxattr(name, each).decode() for each in os.listxattr(name) if each.startswith("user.")}


# Links -----------------------------------------------------------------------------------------------------------


def make_link(name: str, target: str) -> str:
    """What is read back, or the name of the error."""
    return error_of(lambda: os.symlink(target, name)) or str(Path(name).readlink())
