"""T3: the port serves real SMB clients on Linux, over the stand-in, as FreeBSD 13, 14 and 15."""

import os
import random
import select
import shutil
import subprocess
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest
import trio

import smbport
from smbport.platform import ACCESS_NONE, AclEntry, AclTag, AclType
from smbport.state.settings import Settings
from smbport.testing.client import Client, SocketLink
from smbport.wire.constants import Access, AceType, InfoType, SecurityInformation
from smbport.wire.security import Ace, Acl, SecurityControl, SecurityDescriptor, WellKnownSid, unix_user_sid
from smbport_freebsd.platform import FreeBSDPlatform

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("smbclient") is None, reason="smbclient is not installed"),
]

PATIENCE_S = 120  # for one run of a foreign program: a limit for what hangs, not a measure
MANY = 300  # changes; guessed: a client that listens has heard of one long before
DATA = random.Random(0).randbytes(3 << 20)


def run_smbclient(port: int, directory: Path, *commands: str) -> str:
    """What smbclient prints; it must succeed."""
    ran = try_smbclient(port, directory, *commands)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def try_smbclient(port: int, directory: Path, *commands: str) -> subprocess.CompletedProcess[str]:
    command = ["smbclient", *address(port), "--client-protection=off", "-c", "; ".join(commands)]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=PATIENCE_S)


def address(port: int) -> list[str]:
    return ["//127.0.0.1/data", "-p", str(port), "-U", "alice%secret"]


async def served(platform: FreeBSDPlatform, share: Path, use: Callable[[int], None]) -> None:
    """Serve `share` while `use(port)` runs in a thread."""
    settings = Settings(signing="offered")
    async with smbport.serve(
        {"data": share}, users={"alice": "secret"}, settings=settings, platform=platform
    ) as server:
        await trio.to_thread.run_sync(use, server.port)


async def test_files_come_and_go(platform: FreeBSDPlatform, share: Path, tmp_path: Path):
    local = tmp_path / "local"
    local.mkdir()
    (local / "there").write_bytes(DATA)

    def use(port: int) -> None:
        smbclient = partial(run_smbclient, port, local)
        smbclient(
            "mkdir directory", "put there directory/Ärger", "cd directory", "get Ärger back", "rename Ärger moved"
        )
        assert (local / "back").read_bytes() == DATA == (share / "directory/moved").read_bytes()
        listing = smbclient("cd directory", "ls")
        assert "moved" in listing
        assert str(len(DATA)) in listing
        smbclient("cd directory", "del moved", "cd ..", "rmdir directory")
        assert os.listdir(share) == []

    await served(platform, share, use)


@pytest.mark.parametrize("cold", [False, True], ids=["in memory", "on disk"])
async def test_data_is_sent_by_the_system(platform: FreeBSDPlatform, share: Path, tmp_path: Path, cold: bool):
    """And what is not in memory a thread reads, so that nobody waits for the disk."""
    (share / "file").write_bytes(DATA)
    sent: list[int] = []
    send_file = platform.calls.send_file

    def send(sock: int, head: bytes, fd: int, offset: int, length: int) -> int:
        sent.append(0)
        sent[-1] = send_file(sock, head, fd, offset, length)
        return sent[-1]

    def use(port: int) -> None:
        with platform.calls.cold() if cold else nullcontext():
            run_smbclient(port, tmp_path, "get file")
        assert (tmp_path / "file").read_bytes() == DATA
        assert (sum(sent) >= len(DATA)) is not cold
        assert sent

    platform.calls.send_file = send
    await served(platform, share, use)


async def test_attributes_are_kept_as_flags(platform: FreeBSDPlatform, share: Path, tmp_path: Path):
    (tmp_path / "file").write_text("data")

    def use(port: int) -> None:
        smbclient = partial(run_smbclient, port, tmp_path)
        smbclient("put file", "setmode file +hsr")
        assert "attributes: RHSA (27)" in smbclient("allinfo file")
        assert os.getxattr(share / "file", "user.DOSATTRIB")
        flags = int.from_bytes(os.getxattr(share / "file", "user.standin.flags"), "little")
        assert flags == 0x8000 | 0x80 | 0x800  # hidden, system, archive

    await served(platform, share, use)


async def test_links_lead_nowhere_else(platform: FreeBSDPlatform, share: Path, tmp_path: Path):
    (tmp_path / "secret").write_text("secret")
    (share / "out").symlink_to(tmp_path / "secret")
    (share / "up").symlink_to("..")

    def use(port: int) -> None:
        for name in ("out", "up/secret"):
            assert try_smbclient(port, tmp_path, f"get {name} stolen").returncode != 0
            assert not (tmp_path / "stolen").exists()

    await served(platform, share, use)


@pytest.mark.skipif(shutil.which("stdbuf") is None, reason="stdbuf is not installed")
async def test_changes_are_told(platform: FreeBSDPlatform, share: Path, tmp_path: Path):
    """Those of local programs."""
    (share / "d").mkdir()

    def use(port: int) -> None:
        command = ["stdbuf", "-oL", "smbclient", *address(port), "-c", "notify d"]
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as client:
            try:
                assert client.stdout is not None
                for number in range(MANY):  # until the client listens
                    (share / "d" / str(number)).mkdir()
                    if select.select([client.stdout], [], [], 0.2)[0]:
                        break
                assert client.stdout.readline().startswith(b"0001 ")
            finally:
                client.kill()

    await served(platform, share, use)


def test_descriptors_are_the_lists_of_the_file_system(newest: FreeBSDPlatform, share: Path):
    """Of NFSv4, both ways: what a client sets the file system has, and what that has a client sees."""
    (share / "file").write_text("data")
    (share / "file").chmod(0o644)
    bob = unix_user_sid(4711)

    def use(port: int) -> None:
        link = SocketLink.connect("127.0.0.1", port)
        client = Client(link)
        client.negotiate()
        client.log_on("alice", "secret")
        access = Access.READ_CONTROL | Access.WRITE_DAC
        file = client.create(client.tree_connect("data"), "file", access=access)
        described = SecurityDescriptor.parse(client.query_info(file, 0, info_type=InfoType.SECURITY, additional=7))
        assert {ace.sid for ace in described.dacl.aces} >= {described.owner, described.group, WellKnownSid.EVERYONE}
        wanted = Acl(
            (
                Ace(AceType.ACCESS_DENIED, 0, Access.WRITE_DATA, bob),
                Ace(AceType.ACCESS_ALLOWED, 0, Access.FILE_GENERIC_READ, described.owner),
                Ace(AceType.ACCESS_ALLOWED, 0, Access.FILE_GENERIC_READ, WellKnownSid.EVERYONE),
            )
        )
        packed = SecurityDescriptor(dacl=wanted, control=SecurityControl.DACL_PROTECTED).pack()
        client.set_info(file, 0, packed, info_type=InfoType.SECURITY, additional=SecurityInformation.DACL)
        data = client.query_info(file, 0, info_type=InfoType.SECURITY, additional=SecurityInformation.DACL)
        assert SecurityDescriptor.parse(data).dacl == wanted
        client.close(file)
        link.close()

    with newest.calls.on(b"zfs"):
        trio.run(served, newest, share, use)
        assert (share / "file").stat().st_mode & 0o777 == 0o444
        volume = newest.open_volume(str(share))
        node = volume.open("file", ACCESS_NONE, wait=True)
        access, _ = newest.acl.lists(node, wait=True)
        node.close()
        volume.close()
    assert access[0] == AclEntry(AclTag.USER, Access.WRITE_DATA, 4711, AclType.DENY)
    assert [entry.tag for entry in access] == [AclTag.USER, AclTag.USER_OBJ, AclTag.EVERYONE]
