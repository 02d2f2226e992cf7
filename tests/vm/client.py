"""What programs do with a mounted share.  These functions run in the guest, in a folder of the share.

Arguments and results are at home in JSON.  What a function says of itself it has checked; the host checks what arrived.
"""

import contextlib
import errno
import hashlib
import mmap
import os
import random
import shutil
import stat
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.vm.client_processes import error_of, exit_status, start_child

CHUNK = 1 << 20
LONGEST = 300_000


# Mounting --------------------------------------------------------------------------------------------------------


def mount(source: str, folder: str, options: str, password: str) -> str:
    """What mount.cifs complains of; "" if the share is mounted."""
    os.makedirs(folder, exist_ok=True)
    command = ["mount.cifs", source, folder, "-n", "-o", options]
    done = subprocess.run(command, env=os.environ | {"PASSWD": password}, capture_output=True, text=True)
    return done.stderr if done.returncode else ""


def unmount(folder: str) -> None:
    subprocess.run(["umount", "-n", folder], check=True)
    os.rmdir(folder)


def connection_state() -> str:
    """What the client thinks of its servers, sessions and shares; kernels differ in their capitals."""
    return Path("/proc/fs/cifs/DebugData").read_text().lower()


# Data ------------------------------------------------------------------------------------------------------------


def pattern(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def write_file(name: str, seed: int, size: int) -> None:
    with open(name, "wb") as file:
        file.write(pattern(seed, size))


def digest(name: str) -> str:
    """Of what the server has, not of what is cached here."""
    with open(name, "rb", buffering=0) as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        sha = hashlib.sha256()
        while data := file.read(CHUNK):
            sha.update(data)
    return sha.hexdigest()


def edit(name: str, new_name: str, insert: tuple[int, str], tail: str, cut: int) -> None:
    """Append, write over, shorten and rename."""
    with open(name, "a") as file:
        file.write(tail)
    with open(name, "r+") as file:
        file.seek(insert[0])
        file.write(insert[1])
    os.truncate(name, os.stat(name).st_size - cut)
    os.rename(name, new_name)


def write_side_by_side(writers: int, size: int) -> list[int]:
    """As many processes, a file and a folder each.  Returns their exit statuses."""

    def write(number: int) -> None:
        os.mkdir(f"folder {number}")
        write_file(f"folder {number}/new", number, size)
        os.rename(f"folder {number}/new", f"file {number}")
        os.rmdir(f"folder {number}")

    children = [start_child(write, number) for number in range(writers)]
    return [exit_status(child) for child in children]


def append_in_turns(writers: int, lines: int) -> None:
    """Append to one file through several handles, a line each in turn."""
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(open("log", "ab", buffering=0)) for _ in range(writers)]
        for number in range(lines):
            files[number % writers].write(b"%06d\n" % number)


def map_file(name: str, offset: int, text: str) -> str:
    """Write through one mapping; returns what another, of the file as the server has it, shows."""
    with open(name, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[offset : offset + len(text)] = text.encode()
        memory.flush()
    with open(name, "rb") as reader:
        os.posix_fadvise(reader.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        with mmap.mmap(reader.fileno(), 0, prot=mmap.PROT_READ) as memory:
            return memory[offset : offset + len(text)].decode()


def change_at_random(name: str, seed: int, steps: int) -> str:
    """Write, read, map, shorten, lengthen, sync and open again; returns the digest that the file should have."""
    choose = random.Random(seed)
    expected = bytearray()
    file = open(name, "w+b", buffering=0)  # noqa: SIM115 - opened again on the way
    for _ in range(steps):
        action = choose.choice(("write", "write", "read", "map", "resize", "sync", "reopen"))
        start = choose.randrange(LONGEST)
        data = choose.randbytes(choose.randrange(1, LONGEST // 4))
        if action == "write":
            os.pwrite(file.fileno(), data, start)
            expected.extend(bytes(max(0, start - len(expected))))
            expected[start : start + len(data)] = data
        elif action == "read":
            assert os.pread(file.fileno(), len(data), start) == expected[start : start + len(data)]
        elif action == "map" and start < len(expected):
            data = data[: len(expected) - start]
            with mmap.mmap(file.fileno(), len(expected)) as memory:
                memory[start : start + len(data)] = data
            expected[start : start + len(data)] = data
        elif action == "resize":
            os.ftruncate(file.fileno(), start)
            expected[start:] = bytes(max(0, start - len(expected)))
        elif action == "sync":
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        elif action == "reopen":
            file.close()
            file = open(name, "r+b", buffering=0)  # noqa: SIM115
    file.close()
    return hashlib.sha256(expected).hexdigest()


def write_far(name: str, offset: int, text: str) -> str:
    with open(name, "w+b") as file:
        file.seek(offset)
        file.write(text.encode())
        file.flush()
        return os.pread(file.fileno(), len(text), offset).decode()


def copy_on_server(name: str, new_name: str) -> int:
    """With copy_file_range; returns how many bytes it copied."""
    with open(name, "rb") as source, open(new_name, "wb") as target:
        copied = 0
        while count := os.copy_file_range(source.fileno(), target.fileno(), CHUNK):
            copied += count
        return copied


def punch(name: str, offset: int, size: int) -> str:
    """The name of the error; "" for none."""
    command = ["fallocate", "--punch-hole", "--offset", str(offset), "--length", str(size), name]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if "mode is unsupported" in done.stderr:
        return errno.errorcode[errno.EOPNOTSUPP]
    return done.stderr


def fio(*options: str) -> str:
    """Returns its complaints."""
    command = ["fio", "--name=job", "--verify=crc32c", "--verify_state_save=0", "--randseed=1", *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout if done.returncode else ""


# Names and folders -----------------------------------------------------------------------------------------------


def make_tree(folders: int, files: int) -> None:
    """Each folder in the one before, each file with its own name as content."""
    folder = Path("tree")
    for depth in range(folders):
        folder.mkdir()
        for number in range(files):
            (folder / f"file {depth}.{number}").write_text(f"{depth}.{number}")
        folder /= f"folder {depth}"


def change_tree() -> list[str]:
    """Move a folder, copy it, remove the first; returns all files with their contents."""
    os.rename("tree/folder 0", "moved")
    shutil.copytree("moved", "copy")
    shutil.rmtree("moved")
    return [f"{path}: {path.read_text()}" for path in sorted(Path().rglob("*")) if path.is_file()]


def remove_all() -> list[str]:
    """Returns what is left."""
    for name in os.listdir():
        shutil.rmtree(name)
    return os.listdir()


def list_folder(name: str) -> list[tuple[str, str, int]]:
    """Name, kind and size of each entry."""
    entries = []
    with os.scandir(name) as found:
        for entry in found:
            kind = "folder" if entry.is_dir(follow_symlinks=False) else "file"
            entries.append((entry.name, kind, entry.stat(follow_symlinks=False).st_size))
    return sorted(entries)


def round_trip(names: list[str]) -> list[str]:
    """Make a file of each name, list, rename each, read each; returns the list."""
    for name in names:
        Path(name).write_text(name)
    listed = os.listdir()
    for name in names:
        os.rename(name, "between")
        os.rename("between", name)
        assert Path(name).read_text() == name
    return sorted(listed)


def refusals(*attempts: Sequence[Any]) -> list[str]:
    """What functions of `os`, each with its arguments, fail with: names of error numbers, "" for none."""
    return [error_of(partial(getattr(os, call), *arguments)) for call, *arguments in attempts]


def read_text(name: str) -> str:
    """What the file holds, or the name of the error."""
    try:
        return Path(name).read_text()
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def write_text(name: str, text: str) -> str:
    """The name of the error; "" for none."""
    return error_of(lambda: Path(name).write_text(text))


def use_unlinked(name: str) -> list[str]:
    """A file removed while it is open goes on until it is closed.  Returns what the folder holds after."""
    with open(name, "w+") as file:
        file.write("before ")
        file.flush()
        os.unlink(name)
        file.write("after")
        file.seek(0)
        assert file.read() == "before after"
    return os.listdir()


def replace_file(name: str, text: str) -> str:
    """As editors save: write beside, move over.  Returns what is read then."""
    Path(f"{name}~").write_text(text)
    os.replace(f"{name}~", name)
    return Path(name).read_text()


# Metadata --------------------------------------------------------------------------------------------------------


def set_times(name: str, access_ns: int, write_ns: int) -> tuple[int, int]:
    os.utime(name, ns=(access_ns, write_ns))
    found = os.stat(name)
    return found.st_atime_ns, found.st_mtime_ns


def set_mode(name: str, mode: int) -> int:
    os.chmod(name, mode)
    return stat.S_IMODE(os.stat(name).st_mode)


def space() -> dict[str, int]:
    found = os.statvfs(".")
    return {
        "total": found.f_blocks * found.f_frsize,
        "free": found.f_bavail * found.f_frsize,
        "name": found.f_namemax,
    }


def set_attribute(name: str, attribute: str, value: str) -> str:
    """What is read back, or the name of the error."""
    error = error_of(lambda: os.setxattr(name, attribute, value.encode()))
    return error or os.getxattr(name, attribute).decode()
