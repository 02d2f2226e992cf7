"""smbport_linux.identity, and volumes that act as an account.  All of it takes root."""

import errno
import os
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from smbport.platform import ACCESS_NONE, ACCESS_READ, ACCESS_WRITE, Account, Kind
from smbport.posix.dosattrib import ATTRIBUTE_NAME
from smbport_linux import calls, identity
from smbport_linux.calls import Credentials
from smbport_linux.identity import LinuxIdentity, Rights, find_own_credentials, why_no_identity
from smbport_linux.volume import LinuxVolume

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="acting as another account takes root"),
]

READ_WRITE = ACCESS_READ | ACCESS_WRITE


def fails(number: int, function, *args, **keywords) -> None:
    with pytest.raises(OSError, match=f"Errno {number}]"):
        function(*args, **keywords)


@pytest.fixture
def power(platform) -> LinuxIdentity:
    assert isinstance(platform.identity, LinuxIdentity), platform.absent
    return platform.identity


@pytest.fixture
def view(linux_volume: LinuxVolume, share: Path, user: Account):
    """The volume as the user, who may create in it."""
    share.chmod(0o777)
    return linux_volume.acting_as(user)


def kernel_ids() -> tuple[int, int, list[int]]:
    """What the kernel takes this thread for: file system uid and gid, groups."""
    with open("/proc/thread-self/status", encoding="ascii", errors="replace") as lines:
        found = {key: value.split() for key, _, value in (line.partition(":") for line in lines)}
    return int(found["Uid"][3]), int(found["Gid"][3]), sorted(map(int, found["Groups"]))


def test_one_thread_becomes_another_account_and_back(power: LinuxIdentity, user: Account, tmp_path: Path):
    secret = tmp_path / "secret"
    secret.touch(0o600)
    before = kernel_ids()
    inside, outside = threading.Event(), threading.Event()
    seen: list[object] = []

    def work():
        with power.become(user):
            seen.append(kernel_ids())
            try:
                secret.read_bytes()
            except PermissionError:
                seen.append("refused")
            inside.set()
            outside.wait(60)
        seen.append(kernel_ids())
        secret.read_bytes()

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(60)
    secret.read_bytes()  # while the other thread is somebody else
    assert kernel_ids() == before
    outside.set()
    thread.join()
    assert seen == [(user.uid, user.gid, sorted(user.groups)), "refused", before]


def test_it_works_on_the_main_thread_and_ends_with_an_error_too(power: LinuxIdentity, user: Account):
    before = kernel_ids()
    seen = []
    with pytest.raises(ZeroDivisionError), power.become(user):
        seen.append(kernel_ids()[0]) or 1 // 0
    assert seen == [user.uid]
    assert kernel_ids() == before


def test_becoming_twice_is_a_bug_and_gives_no_rights_back(power: LinuxIdentity, user: Account):
    before = kernel_ids()
    with power.become(user):
        with pytest.raises(RuntimeError, match="already"), power.become(Account("x", 1, 1)):
            pytest.fail("became two accounts")
        assert kernel_ids() == (user.uid, user.gid, sorted(user.groups))
    assert kernel_ids() == before


@pytest.mark.parametrize("interrupted", [1, 2, 3, 4, 5, 6])
def test_an_interrupt_while_becoming_leaves_nothing_behind(
    power: LinuxIdentity, user: Account, monkeypatch, interrupted: int
):
    before, real, count = kernel_ids(), calls.quick_syscall, 0

    def syscall(*args):
        nonlocal count
        count += 1
        if count == interrupted:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(calls, "quick_syscall", syscall)
    with pytest.raises(KeyboardInterrupt), power.become(user):
        pytest.fail("became the account")
    assert kernel_ids() == before


def test_more_groups_than_the_kernel_takes(power: LinuxIdentity):
    before = kernel_ids()
    with (
        pytest.raises(OSError, match=f"Errno {errno.EINVAL}]"),
        power.become(Account("x", 1, 1, tuple(range(70000)))),
    ):
        pytest.fail("became the account")
    assert kernel_ids() == before


def test_what_the_user_makes_is_his(view, share: Path, user: Account):
    view.create("file", READ_WRITE, 0o640, wait=True).close()
    view.make_directory("dir", 0o750, wait=True).close()
    for name in ("file", "dir"):
        found = (share / name).stat()
        assert (found.st_uid, found.st_gid) == (user.uid, user.gid)


def test_what_the_user_may_not(view, linux_volume: LinuxVolume, share: Path):
    (share / "file").write_text("text")
    (share / "file").chmod(0o600)
    (share / "closed").mkdir(0o700)
    (share / "closed/file").touch()
    (share / "readable").mkdir(0o755)
    (share / "readable/file").touch()
    for access in (ACCESS_READ, ACCESS_WRITE):
        fails(errno.EACCES, view.open, "file", access, wait=True)
        linux_volume.open("file", access, wait=True).close()
    fails(errno.EACCES, view.stat, "closed/file", wait=True)
    fails(errno.EACCES, view.open, "closed/file", ACCESS_NONE, wait=True)
    fails(errno.EACCES, view.open, "closed", ACCESS_READ, wait=True)
    fails(errno.EACCES, view.create, "readable/new", 3, 0o600, wait=True)
    fails(errno.EACCES, view.make_directory, "readable/new", 0o700, wait=True)
    fails(errno.EACCES, view.rename, "readable/file", "new", replace=False, wait=True)
    fails(errno.EACCES, view.remove, "readable/file", view.stat("readable/file", wait=True).key, wait=True)
    assert not view.may_remove("readable/file", wait=True)
    assert view.may_remove("closed", wait=True)  # the root of the share decides that, and it lets everybody
    assert linux_volume.may_remove("readable/file", wait=True)
    with closing(view.open("file", ACCESS_NONE, wait=True)) as file:  # which takes no right on the file itself
        assert file.stat().size == 4
        fails(errno.EPERM, file.set_mode, 0o666, wait=True)
        fails(errno.EPERM, file.set_owner, 12345, None, wait=True)
        fails(errno.EPERM, file.set_times, 0, 0, wait=True)
        fails(errno.EACCES, file.set_marks, 2, None, wait=True)
    with closing(view.open("closed", ACCESS_NONE, wait=True)) as directory:
        assert directory.stat().kind == Kind.DIRECTORY
        fails(errno.EACCES, directory.entries, 5, wait=True)
        directory.sync(wait=True)
    with closing(view.open("closed", ACCESS_WRITE, wait=True)) as directory:
        assert directory.is_directory


def test_the_groups_count(view, linux_volume: LinuxVolume, share: Path, user: Account):
    (share / "file").touch()
    os.chown(share / "file", 0, user.groups[-1])
    (share / "file").chmod(0o060)
    view.open("file", READ_WRITE, wait=True).close()
    os.chown(share / "file", 0, 0)
    fails(errno.EACCES, view.open, "file", ACCESS_READ, wait=True)


def test_the_same_holds_inline(volume: LinuxVolume, share: Path, user: Account):
    if not volume.features.inline_io:
        pytest.skip(f"nothing is done inline on {volume.features.file_system}")
    view = volume.acting_as(user)
    (share / "closed").mkdir(0o700)
    (share / "closed/file").touch()
    (share / "own").touch()
    os.chown(share / "own", user.uid, user.gid)
    (share / "file").touch(0o600)
    before = kernel_ids()
    fails(errno.EACCES, view.open, "file", ACCESS_READ)
    for call, args in ((view.open, ("closed/file", ACCESS_NONE)), (view.stat, ("closed/file",))):
        with pytest.raises((PermissionError, BlockingIOError)):  # some kernels refuse on second thoughts only
            call(*args)
    assert not view.may_remove("file")
    assert volume.may_remove("file")
    volume.open("closed/file", ACCESS_READ).close()
    with closing(view.open("own", READ_WRITE)) as file:
        file.set_mode(0o604)
        file.set_times(0, 0)
        fails(errno.EPERM, file.set_owner, 0, 0)
    with closing(view.open("file", ACCESS_NONE)) as file:
        fails(errno.EPERM, file.set_mode, 0o666)
    assert kernel_ids() == before


def test_a_directory_that_may_be_listed_but_not_searched(view, share: Path, user: Account):
    (share / "dir").mkdir()
    (share / "dir/file").touch()
    (share / "dir").chmod(0o704)
    for access in (ACCESS_NONE, ACCESS_READ):
        with closing(view.open("dir", access, wait=True)) as directory:
            assert directory.entries(5, wait=True) == [("file", None)]  # the name is no secret, the rest is


def test_marks_are_seen_on_what_cannot_be_read(view, linux_volume: LinuxVolume, share: Path):
    (share / "file").touch(0o600)
    with closing(linux_volume.open("file", ACCESS_NONE, wait=True)) as file:
        file.set_marks(2, None, wait=True)
    assert view.stat("file", wait=True).dos_attributes == 2
    with closing(view.open("", ACCESS_READ, wait=True)) as directory:
        assert directory.entries(5, wait=True)[0].stat.dos_attributes == 2


def test_marks_are_set_as_the_user(view, share: Path):
    with closing(view.create("file", READ_WRITE, 0o600, wait=True)) as file:
        file.set_marks(2, 10**18, wait=True)
    assert os.getxattr(share / "file", ATTRIBUTE_NAME)


@pytest.mark.parametrize("owner", ["directory", "file", "neither"])
def test_the_sticky_bit(view, share: Path, user: Account, owner: str):
    (share / "dir").mkdir()
    (share / "dir/file").touch()
    os.chown(share / "dir", user.uid if owner == "directory" else 1, 0)
    os.chown(share / "dir/file", user.uid if owner == "file" else 1, 0)
    (share / "dir").chmod(0o1777)
    may = owner != "neither"
    with pytest.raises(BlockingIOError):
        view.may_remove("dir/file")
    assert view.may_remove("dir/file", wait=True) is may
    key = view.stat("dir/file", wait=True).key
    if may:
        view.remove("dir/file", key, wait=True)
    else:
        fails(errno.EPERM, view.remove, "dir/file", key, wait=True)


def test_views_share_the_root_and_do_not_close_it(linux_volume: LinuxVolume, share: Path, user: Account):
    view = linux_volume.acting_as(user)
    view.close()
    assert linux_volume.stat("", wait=True).kind == Kind.DIRECTORY
    linux_volume.close()
    fails(errno.EBADF, view.stat, "", wait=True)


def test_an_inherited_acl_is_stronger_than_the_umask(view, linux_volume: LinuxVolume, share: Path):
    """A default ACL replaces the umask, in the kernel; what it has taken must not be given back."""
    (share / "dir").mkdir()
    (share / "dir").chmod(0o777)
    entries = ((1, 7, 0xFFFFFFFF), (4, 5, 0xFFFFFFFF), (0x20, 0, 0xFFFFFFFF))  # user::rwx group::r-x other::---
    value = b"\2\0\0\0" + b"".join(
        tag.to_bytes(2, "little") + bits.to_bytes(2, "little") + number.to_bytes(4, "little")
        for tag, bits, number in entries
    )
    try:
        os.setxattr(share / "dir", "system.posix_acl_default", value)
    except OSError as reason:
        pytest.skip(f"no ACLs here: {reason}")
    view.umask = 0o022
    with closing(view.create("dir/file", 3, 0o666, wait=True)) as file:
        assert file.stat().mode == 0o640
    with closing(view.make_directory("dir/sub", 0o777, wait=True)) as directory:
        assert directory.stat().mode == 0o750


# Deciding whether there is the power


def test_the_power_is_there():
    assert why_no_identity(find_own_credentials()) is None


def test_the_power_takes_root():
    assert "root" in (why_no_identity(Credentials(1, 1, ())) or "")


def test_the_power_takes_known_numbers(monkeypatch):
    monkeypatch.setattr(calls, "identity_numbers", None)
    assert os.uname().machine in (why_no_identity(find_own_credentials()) or "")


@pytest.mark.pure_only  # puts a function in the place of the module's
def test_the_power_takes_capabilities_and_normal_securebits(monkeypatch):
    monkeypatch.setattr(identity, "find_effective_capabilities", lambda: 0b10)
    assert "securebits" in (why_no_identity(find_own_credentials()) or "")


WITHOUT_CAPABILITIES = """
import ctypes, os, struct
libc = ctypes.CDLL(None, use_errno=True)
header = struct.pack("=Ii", 0x20080522, 0)
permitted = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("CapPrm"))
left = int(permitted, 16) & ~(1 << 6) & ~(1 << 7)  # all but SETGID and SETUID
words = (left & 0xFFFFFFFF, left >> 32)
assert libc.capset(header, struct.pack("=6I", words[0], words[0], 0, words[1], words[1], 0)) == 0
from smbport_linux.identity import find_own_credentials, why_no_identity
print(why_no_identity(find_own_credentials()))
from smbport_linux.platform import probe
print(probe().identity, "SETUID" in probe().absent["identity"])
"""


def test_a_root_without_capabilities_has_no_power():
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", WITHOUT_CAPABILITIES], env=environment, capture_output=True, text=True)
    if "AssertionError" in ran.stderr:
        pytest.skip("capabilities cannot be given up here")
    assert ran.stdout.splitlines() == [
        "This process may not act as other accounts: it lacks the capabilities SETUID and SETGID.",
        "None True",
    ], ran.stderr


def test_rights_are_shared_by_threads(platform, user: Account, tmp_path: Path):
    secret = tmp_path / "secret"
    secret.touch(0o600)
    rights = Rights(Credentials(user.uid, user.gid, user.groups), platform.own)
    refused: list[bool] = []

    def work():
        for _ in range(200):
            with rights:
                refused.append(not os.access(secret, os.R_OK) or kernel_ids()[0] == user.uid)
            secret.read_bytes()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == [True] * 800
