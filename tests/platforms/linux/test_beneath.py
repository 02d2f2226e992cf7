"""smbport_linux.beneath, and running without the calls that it wants."""

import errno
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from smbport.platform import ACCESS_READ
from smbport.posix.walk import PLAIN, Root, Walker
from smbport_linux import beneath
from smbport_linux.beneath import Opener, knows_cached_names, new_walker
from smbport_linux.volume import LinuxVolume

READ = os.O_RDONLY | PLAIN


@pytest.fixture
def opener(share: Path):
    root = Root(str(share))
    found = new_walker(root)
    if not isinstance(found, Opener):
        pytest.skip("this kernel has no openat2")
    (share / "dir").mkdir()
    (share / "dir/file").write_text("text")
    yield found
    root.close()


def test_races_that_the_kernel_reports_are_tried_again(opener: Opener, monkeypatch):
    real, left = beneath.openat2, [errno.EAGAIN] * 3

    def openat2(*args):
        if left:
            raise OSError(left.pop(), "raced")
        return real(*args)

    monkeypatch.setattr(beneath, "openat2", openat2)
    os.close(opener.open(b"dir/file", READ))
    assert not left

    def always(*_):
        raise OSError(errno.EAGAIN, "raced")

    monkeypatch.setattr(beneath, "openat2", always)
    os.close(opener.open(b"dir/file", READ))  # on foot


def test_cached_names(opener: Opener, share: Path):
    if not knows_cached_names():
        pytest.skip("this kernel has no RESOLVE_CACHED")
    os.stat(share / "dir/file")
    os.close(opener.open_cached(b"dir/file", READ))
    parent, name = opener.parent_cached(b"dir/file")
    os.close(parent)
    assert name == b"file"
    parent, name = opener.parent_cached(b"dir")
    assert os.fstat(parent).st_ino == share.stat().st_ino
    os.close(parent)
    (share / "link").symlink_to("dir/file")
    assert os.path.exists(share / "link")
    with pytest.raises(OSError, match=f"Errno {errno.ELOOP}]"):
        opener.open_cached(b"link", READ, follow=False)


@pytest.mark.parametrize("target", ["../secret", "/etc/passwd"])
def test_links_out_are_left_to_the_thread(opener: Opener, share: Path, target: str):
    """Inline, it cannot be told from a link to another file system."""
    (share / "link").symlink_to(target)
    os.path.exists(share / "link")
    with pytest.raises(BlockingIOError):
        opener.open_cached(b"link", READ)
    with pytest.raises(OSError, match=f"Errno {errno.EXDEV}]"):
        opener.open(b"link", READ)


def test_another_file_system_is_left_to_the_thread(volume: LinuxVolume, share: Path, mounted):
    mounted(share / "mnt", "size=1m")
    with pytest.raises(BlockingIOError):
        volume.stat("mnt")
    assert volume.stat("mnt", wait=True).key.device != volume.stat("", wait=True).key.device


def test_without_cached_names_every_open_waits(platform, share: Path, monkeypatch):
    monkeypatch.setattr(beneath, "has_openat2", lambda _: False)
    with closing(platform.open_volume(str(share))) as volume:
        (share / "file").touch()
        assert type(volume.walker) is Walker
        for call, args in (
            (volume.open, ("file", ACCESS_READ)),
            (volume.stat, ("file",)),
            (volume.may_remove, ("file",)),
        ):
            with pytest.raises(BlockingIOError):
                call(*args)
            call(*args, wait=True)


# A seccomp filter in classic BPF: load the number of the call; for each of ours, jump to the refusal.
REFUSING = """
import ctypes, os, struct, sys
sys.setswitchinterval(1)
share, number, refused = sys.argv[1], int(sys.argv[2]), [437, 439, 464]
program = [(0x20, 0, 0, 0)]
program += [(0x15, len(refused) - i, 0, call) for i, call in enumerate(refused)]
program += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x00050000 | number)]
code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
prog = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
zero = ctypes.c_ulong(0)
if libc.prctl(38, ctypes.c_ulong(1), zero, zero, zero) or libc.prctl(22, ctypes.c_ulong(2), prog, zero, zero):
    print("no seccomp"); sys.exit()

from smbport_linux import PORT
volume = PORT.probe().open_volume(share)
print(type(volume.walker).__name__)
file = volume.create("dir/new", 3, 0o600, wait=True)
file.write_at(0, b"text", wait=True)
file.set_marks(2, None, wait=True)
print(volume.open("dir/new", 1, wait=True).read_at(0, 9, wait=True))
print([entry.stat.dos_attributes for entry in volume.open("dir", 1, wait=True).entries(9, wait=True)])
print(volume.may_remove("dir/new", wait=True))
for path in ("link", "link/x"):
    try:
        volume.open(path, 1, wait=True)
    except OSError as reason:
        print(reason.errno)
"""


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM], ids=["old kernel", "container"])
def test_a_kernel_or_a_container_without_the_calls(volume: LinuxVolume, share: Path, number: int):
    (share / "dir").mkdir()
    (share / "link").symlink_to("..")
    ran = subprocess.run(
        [sys.executable, "-c", REFUSING, share, str(number)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, text=True,
    )  # fmt: skip
    if ran.stdout.startswith("no seccomp"):
        pytest.skip("no seccomp here")
    marks = "[2]" if volume.features.stores_marks else "[None]"
    expected = ["Walker", "b'text'", marks, "True", "18", "18"]
    assert ran.stdout.splitlines() == expected, ran.stderr
