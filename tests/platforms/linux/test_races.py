"""Directories that become symbolic links while a path through them is used: nothing outside is ever reached."""

import os
import subprocess
import sys
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from smbport.platform import ACCESS_NONE, ACCESS_READ, FileKey
from smbport.posix.volume import PosixVolume

ROUNDS = 5000
MOST_ROUNDS = 200_000  # until both outcomes have been seen; a few hundred are enough

SWAPPER = """
import os, sys
os.chdir(sys.argv[1])
print("swapping", flush=True)
while True:
    os.rename("dir", "aside")
    os.rename("link", "dir")
    os.rename("dir", "link")
    os.rename("aside", "dir")
"""


@contextmanager
def swapping(share: Path):
    """`dir` is a directory, nothing, a link to the outside, nothing, a directory ... in another process."""
    (share / "dir/sub").mkdir(parents=True)
    (share / "dir/sub/secret").write_text("inside")
    (share / "link").symlink_to("../outside")
    (share.parent / "outside/sub").mkdir()
    (share.parent / "outside/sub/secret").write_text("secret")
    swapper = subprocess.Popen([sys.executable, "-c", SWAPPER, share], stdout=subprocess.PIPE)
    try:
        assert swapper.stdout is not None
        assert swapper.stdout.readline() == b"swapping\n"
        yield
    finally:
        swapper.kill()
        swapper.wait()
        swapper.stdout.close()


def run_rounds(attempt) -> None:
    """Until there were enough rounds, among them such that found the directory and such that did not."""
    succeeded = refused = 0
    for _ in range(MOST_ROUNDS):
        try:
            attempt()
            succeeded += 1
        except OSError:
            refused += 1
        if succeeded + refused >= ROUNDS and succeeded and refused:
            return
    pytest.fail(f"no race: {succeeded} successes, {refused} refusals")


@pytest.mark.parametrize("path", ["dir/sub/secret", "dir/sub/../sub/secret"], ids=["plain", "dots by a link"])
def test_opening(any_volume: PosixVolume, share: Path, path: str):
    (share / "entry").symlink_to(path)
    path = "entry" if ".." in path else path

    def attempt():
        file = any_volume.open(path, ACCESS_READ, wait=True)
        try:
            assert file.read_at(0, 10, wait=True) == b"inside"
        finally:
            file.close()

    with swapping(share):
        run_rounds(attempt)


def test_looking(any_volume: PosixVolume, share: Path):
    secret = share.parent / "outside/sub/secret"

    def attempt():
        assert any_volume.stat("dir/sub/secret", wait=True).key.inode != inode
        any_volume.open("dir/sub/secret", ACCESS_NONE, wait=True).close()

    with swapping(share):
        inode = secret.stat().st_ino
        run_rounds(attempt)


def test_opening_inline(volume, share: Path):
    """Names are looked up without waiting only if the kernel has them in its cache: then it is just as strict."""

    def attempt():
        file = volume.open("dir/sub/secret", ACCESS_READ)
        try:
            assert file.read_at(0, 10, wait=True) == b"inside"
        finally:
            file.close()

    with swapping(share):
        run_rounds(attempt)


def check_outside(share: Path) -> None:
    outside = share.parent / "outside"
    assert sorted(os.listdir(outside)) == ["secret", "sub"]
    assert os.listdir(outside / "sub") == ["secret"]
    assert (outside / "sub/secret").read_text() == "secret"


@pytest.mark.parametrize("inside", ["dir", "dir/sub"])
def test_creating(any_volume: PosixVolume, share: Path, inside: str):
    numbers = count()
    with swapping(share):
        run_rounds(lambda: any_volume.create(f"{inside}/{next(numbers)}", 3, 0o600, wait=True).close())
    check_outside(share)


def test_making_directories(any_volume: PosixVolume, share: Path):
    numbers = count()
    with swapping(share):
        run_rounds(lambda: any_volume.make_directory(f"dir/sub/{next(numbers)}", 0o700, wait=True).close())
    check_outside(share)


@pytest.mark.parametrize("replace", [True, False])
def test_renaming(any_volume: PosixVolume, share: Path, replace: bool):
    numbers = count()
    (share / "file").touch()

    def attempt():
        name = f"dir/sub/{next(numbers)}"
        any_volume.rename("file", name, replace=replace, wait=True)
        (share / "file").touch()

    with swapping(share):
        run_rounds(attempt)
    check_outside(share)


def test_linking(any_volume: PosixVolume, share: Path):
    numbers = count()
    (share / "kept").mkdir()
    with swapping(share):
        run_rounds(lambda: any_volume.link("dir/sub/secret", f"kept/{next(numbers)}", wait=True))
    assert {(share / "kept" / name).read_text() for name in os.listdir(share / "kept")} == {"inside"}


def test_removing_reaches_nothing_outside(any_volume: PosixVolume, share: Path):
    """Even if the key is that of the file outside."""
    secret = share.parent / "outside/sub/secret"

    def attempt():
        any_volume.stat("dir/sub", wait=True)
        with pytest.raises(OSError):  # noqa: PT011
            any_volume.remove("dir/sub/secret", key, wait=True)

    with swapping(share):
        key = FileKey(secret.stat().st_dev, secret.stat().st_ino)
        run_rounds(attempt)
    check_outside(share)
