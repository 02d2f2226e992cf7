"""A btrfs of one's own, for what ext4 cannot do: clones, compression."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["BtrfsMissing", "mounted_btrfs"]

SIZE: Final = 512 << 20  # of a file with holes


class BtrfsMissing(Exception):
    """There is none to be had here; the text says why."""


@contextmanager
def mounted_btrfs(folder: Path) -> Iterator[Path]:
    """A new file system, mounted inside `folder` from a file beside it.  Raises BtrfsMissing."""
    if os.geteuid() != 0:
        raise BtrfsMissing("only root mounts a btrfs")
    if not shutil.which("mkfs.btrfs"):
        raise BtrfsMissing("mkfs.btrfs is not installed (btrfs-progs)")
    image, mountpoint = folder / "btrfs.image", folder / "btrfs"
    mountpoint.mkdir()
    with image.open("wb") as file:
        file.truncate(SIZE)
    _run("mkfs.btrfs", "--quiet", str(image))
    _run("mount", "-o", "loop", str(image), str(mountpoint))
    try:
        yield mountpoint
    finally:
        subprocess.run(["umount", str(mountpoint)], check=True)
        image.unlink()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BtrfsMissing(f"{' '.join(command)}: {done.stderr.strip()}")
