"""The Linux kernel's client, cifs.ko, mounts smbport from a machine of its own.

What it writes is looked at on this computer, what is written on this computer is looked at there.
"""

import errno
import hashlib
import os
import re
import shutil
from pathlib import Path

import pytest

from tests.vm import client, client_sharing
from tests.vm.mounting import DIALECTS, SECURITY, Mount, Mounter, Refused
from tests.vm.server import Server

pytestmark = [pytest.mark.vm, pytest.mark.timeout(600)]

EVERY_MODE = [f"{version}-{kind}" for version in DIALECTS for kind in SECURITY if kind != "seal" or version >= "3"]
every_mode = pytest.mark.parametrize("mount", EVERY_MODE, indirect=True)
some_modes = pytest.mark.parametrize("mount", ["2.0-sign", "3.1.1-plain", "3.1.1-seal"], indirect=True)
# Clients ask for oplocks; from 2.1 on for leases, if the server has them.
caching_modes = pytest.mark.parametrize("mode", ["2.0-plain", "2.1-plain", "3.1.1-plain"])

MIB = 1 << 20
UNSUPPORTED = errno.errorcode[errno.EOPNOTSUPP]  # one of two names for one number
NAMES = [
    "plain.txt", "with space", "Ünïcödé", "Ελληνικά", "Кириллица", "עברית", "العربية", "हिन्दी", "ไทย", "日本語",
    "한국어", "Tiếng Việt", "emoji 🗂🙂", "x" * 255, "é" * 127, "-dash", "#hash%41", "a'b&c;d$e",
]  # fmt: skip
FORBIDDEN_NAMES = ["a:b", "what?", "*", "<in>out", "pipe|pipe", 'quo"te']


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def files_with_text(folder: Path) -> list[str]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return [f"{path.relative_to(folder)}: {path.read_text()}" for path in found]


# Every dialect, every kind of security ---------------------------------------------------------------------------


@every_mode
def test_the_connection_is_what_was_asked_for(mount: Mount, request: pytest.FixtureRequest):
    version, _, kind = request.node.callspec.params["mount"].partition("-")
    state = mount.call(client.connection_state)
    assert re.search(rf"dialect 0x{DIALECTS[version]:x}\b", state)
    assert (" signed" in state) == (kind == "sign")
    assert (" encrypted" in state) == (kind == "seal")


@every_mode
def test_a_file_is_written_changed_renamed_and_read(mount: Mount):
    size = 5 * MIB + 4321
    mount.call(client.write_file, "old", 1, size)
    assert mount.call(client.digest, "old") == sha256(client.pattern(1, size))
    mount.call(client.edit, "old", "new", (12289, "over" * 1500), "tail\n", 1000)
    expected = bytearray(client.pattern(1, size) + b"tail\n")
    expected[12289 : 12289 + 6000] = b"over" * 1500
    del expected[-1000:]
    assert os.listdir(mount.folder) == ["new"]
    assert (mount.folder / "new").read_bytes() == expected
    assert mount.call(client.digest, "new") == sha256(expected)


@every_mode
def test_folders(mount: Mount):
    mount.call(client.make_tree, 3, 5)
    expected = [f"copy/file 1.{n}: 1.{n}" for n in range(5)]
    expected += [f"copy/folder 1/file 2.{n}: 2.{n}" for n in range(5)]
    expected += [f"tree/file 0.{n}: 0.{n}" for n in range(5)]
    assert mount.call(client.change_tree) == expected
    assert files_with_text(mount.folder) == expected


# Data ------------------------------------------------------------------------------------------------------------


@some_modes
def test_processes_write_side_by_side(mount: Mount):
    assert mount.call(client.write_side_by_side, 6, MIB) == [0] * 6
    assert sorted(os.listdir(mount.folder)) == [f"file {n}" for n in range(6)]
    for number in range(6):
        assert (mount.folder / f"file {number}").read_bytes() == client.pattern(number, MIB)


@some_modes
def test_appending_through_several_handles(mount: Mount):
    mount.call(client.append_in_turns, 3, 60)
    assert (mount.folder / "log").read_text().split() == [f"{n:06}" for n in range(60)]


@some_modes
def test_changes_at_random(mount: Mount):
    expected = mount.call(client.change_at_random, "file", 1, 300)
    assert sha256((mount.folder / "file").read_bytes()) == expected
    assert mount.call(client.digest, "file") == expected


@some_modes
def test_memory_mapping(mount: Mount):
    (mount.folder / "file").write_bytes(bytes(20000))
    assert mount.call(client.map_file, "file", 8190, "across two pages") == "across two pages"
    assert (mount.folder / "file").read_bytes() == bytes(8190) + b"across two pages" + bytes(20000 - 8206)


@pytest.mark.skipif(not shutil.which("fio"), reason="fio is not installed")
@some_modes
@pytest.mark.parametrize("direct", [0, 1], ids=["cached", "direct"])
def test_fio_finds_what_it_wrote(mount: Mount, direct: int):
    options = ["--rw=randrw", "--bsrange=4k-64k", "--size=3M", "--numjobs=2", "--ioengine=psync", f"--direct={direct}"]
    assert mount.call(client.fio, *options) == ""
    assert len(os.listdir(mount.folder)) == 2


def test_a_file_beyond_4_gib(mount: Mount):
    assert mount.call(client.write_far, "far", 5 * 1024 * MIB, "here") == "here"
    assert (mount.folder / "far").stat().st_size == 5 * 1024 * MIB + 4
    assert (mount.folder / "far").stat().st_blocks * 512 < MIB


def test_holes(mount: Mount):
    data = client.pattern(3, 3 * MIB)
    (mount.folder / "file").write_bytes(data)
    refusal = mount.call(client.punch, "file", MIB, MIB)
    hole = data[MIB : 2 * MIB] if refusal else bytes(MIB)
    assert refusal in ("", UNSUPPORTED)
    assert (mount.folder / "file").read_bytes() == data[:MIB] + hole + data[2 * MIB :]


@some_modes
def test_copying_on_the_server(mount: Mount):
    data = client.pattern(4, 3 * MIB + 5)
    (mount.folder / "file").write_bytes(data)
    assert mount.call(client.copy_on_server, "file", "copy") == len(data)
    assert (mount.folder / "copy").read_bytes() == data


# Names and folders -----------------------------------------------------------------------------------------------


@some_modes
def test_a_tree_of_300_files(mount: Mount):
    mount.call(client.make_tree, 4, 75)
    texts = files_with_text(mount.folder)
    assert len(texts) == 300
    assert "tree/folder 0/folder 1/folder 2/file 3.74: 3.74" in texts
    assert mount.call(client.remove_all) == []
    assert os.listdir(mount.folder) == []


@some_modes
def test_a_folder_of_2000_entries(mount: Mount):
    expected = []
    for number in range(1900):
        name = f"a name that is not short, so that a listing takes several answers {number}"
        (mount.folder / name).write_bytes(bytes(number % 10))
        expected.append([name, "file", number % 10])
    for number in range(100):
        (mount.folder / f"folder {number}").mkdir()
        expected.append([f"folder {number}", "folder", 0])
    assert mount.call(client.list_folder, ".") == sorted(expected)


@some_modes
def test_names_in_many_scripts(mount: Mount):
    assert mount.call(client.round_trip, NAMES) == sorted(NAMES)
    assert sorted(os.listdir(mount.folder)) == sorted(NAMES)
    assert [(mount.folder / name).read_text() for name in NAMES] == NAMES


def test_names_that_windows_forbids(mount: Mount):
    """The client stands in private characters for them."""
    assert mount.call(client.round_trip, FORBIDDEN_NAMES) == sorted(FORBIDDEN_NAMES)
    assert len(os.listdir(mount.folder)) == len(FORBIDDEN_NAMES)


def test_case_does_not_matter(mount: Mount):
    (mount.folder / "Grüße.TXT").write_text("found")
    assert mount.call(client.read_text, "GRÜßE.txt") == "found"
    assert mount.call(client.refusals, ("mkdir", "gRÜßE.tXt")) == ["EEXIST"]


@some_modes
def test_refusals(mount: Mount):
    (mount.folder / "file").touch()
    (mount.folder / "full").mkdir()
    (mount.folder / "full/file").touch()
    (mount.folder / "empty").mkdir()
    expected = {
        ("stat", "missing"): "ENOENT",
        ("stat", "missing/file"): "ENOENT",
        ("stat", "file/file"): "ENOTDIR",
        ("mkdir", "file"): "EEXIST",
        ("mkdir", "missing/new"): "ENOENT",
        ("open", "file", os.O_CREAT | os.O_EXCL): "EEXIST",
        ("open", "empty", os.O_WRONLY): "EISDIR",
        ("rmdir", "full"): "ENOTEMPTY",
        ("rmdir", "file"): "ENOTDIR",
        ("unlink", "missing"): "ENOENT",
        ("rename", "missing", "new"): "ENOENT",
        ("rename", "file", "empty"): "EISDIR",
        ("rename", "empty", "file"): "ENOTDIR",
        ("rename", "full", "full/inside"): "EINVAL",
        ("mkdir", "x" * 256): "ENAMETOOLONG",
        ("rmdir", "empty"): "",
    }
    assert dict(zip(expected, mount.call(client.refusals, *expected), strict=True)) == expected
    assert sorted(os.listdir(mount.folder)) == ["file", "full"]


@some_modes
def test_unlinked_while_open(mount: Mount):
    assert mount.call(client.use_unlinked, "file") == []
    assert os.listdir(mount.folder) == []


@some_modes
def test_a_file_replaced_as_editors_do(mount: Mount):
    (mount.folder / "file").write_text("old")
    assert mount.call(client.replace_file, "file", "new") == "new"
    assert files_with_text(mount.folder) == ["file: new"]


def test_hard_links(mount: Mount):
    (mount.folder / "file").write_text("one")
    assert mount.call(client.refusals, ("link", "file", "second")) == [""]
    assert (mount.folder / "second").samefile(mount.folder / "file")


def test_symbolic_links_are_refused(mount: Mount):
    assert mount.call(client.refusals, ("symlink", "target", "link")) == [UNSUPPORTED]
    assert os.listdir(mount.folder) == []


def test_symbolic_links_as_files(mounter: Mounter):
    with mounter("3.1.1-plain", "mfsymlinks") as mount:
        assert mount.call(client.refusals, ("symlink", "target", "link")) == [""]
        assert mount.call(client.write_text, "link", "through") == ""
        assert (mount.folder / "target").read_text() == "through"
        assert (mount.folder / "link").is_file()


def test_symbolic_links_of_this_computer(mount: Mount, tmp_path: Path):
    (tmp_path / "secret").write_text("secret")
    (mount.folder / "file").write_text("inside")
    (mount.folder / "inside").symlink_to("file")
    (mount.folder / "outside").symlink_to(tmp_path / "secret")
    assert mount.call(client.read_text, "inside") == "inside"
    assert mount.call(client.read_text, "outside") in ("EACCES", "ENOENT")


# Metadata --------------------------------------------------------------------------------------------------------


@some_modes
def test_times(mount: Mount):
    (mount.folder / "file").touch()
    (mount.folder / "folder").mkdir()
    times = [1_000_000_000_123_456_700, 981_173_106_987_654_300]  # SMB counts units of 100 ns
    for name in ("file", "folder"):
        assert mount.call(client.set_times, name, *times) == times
        found = (mount.folder / name).stat()
        assert [found.st_atime_ns, found.st_mtime_ns] == times


@pytest.mark.parametrize("mode", ["2.0-plain", "3.1.1-plain"])
def test_a_file_without_write_bits_is_read_only(mounter: Mounter, mode: str):
    with mounter(mode, "actimeo=0") as mount:  # or the client takes its own change for done already
        (mount.folder / "file").write_text("old")
        assert mount.call(client.set_mode, "file", 0o444) & 0o222 == 0
        assert mount.call(client.write_text, "file", "new") == "EACCES"
        assert (mount.folder / "file").read_text() == "old"
        assert mount.call(client.set_mode, "file", 0o644) & 0o200
        assert mount.call(client.write_text, "file", "new") == ""
        assert (mount.folder / "file").read_text() == "new"


def test_extended_attributes(mount: Mount):
    """Round, or refused."""
    (mount.folder / "file").touch()
    assert mount.call(client.set_attribute, "file", "user.colour", "blue") in ("blue", UNSUPPORTED)


@some_modes
def test_space(mount: Mount):
    here = os.statvfs(mount.folder)
    there = mount.call(client.space)
    assert there["total"] == here.f_blocks * here.f_frsize
    assert 0 < there["free"] <= there["total"]
    assert there["name"] == 255


# Locks -----------------------------------------------------------------------------------------------------------


@caching_modes
def test_range_locks_between_clients(mounter: Mounter, mode: str):
    """They keep others from writing, too: SMB's locks are mandatory."""
    with mounter(mode) as mine, mounter(mode, "nosharesock") as other:
        (mine.folder / "file").write_bytes(bytes(100))
        heard = mine.call(client_sharing.lock_ranges, "file", f"{other.guest_folder}/file")
    assert heard.pop(3) in ("EACCES", "EIO")  # the latter from kernels that write later
    assert heard == ["EACCES", "EACCES", "", "", ""]


@caching_modes
def test_whole_file_locks_between_clients(mounter: Mounter, mode: str):
    with mounter(mode) as mine, mounter(mode, "nosharesock") as other:
        (mine.folder / "file").touch()
        assert mine.call(client_sharing.lock_files, "file", f"{other.guest_folder}/file") == ["EACCES", "", ""]


@caching_modes
def test_waiting_for_a_lock(mounter: Mounter, mode: str):
    with mounter(mode) as mine, mounter(mode, "nosharesock") as other:
        (mine.folder / "file").write_bytes(bytes(100))
        assert mine.call(client_sharing.wait_for_lock, "file", f"{other.guest_folder}/file") == 0


@caching_modes
def test_giving_up_waiting_for_a_lock(mounter: Mounter, mode: str):
    with mounter(mode) as mine, mounter(mode, "nosharesock") as other:
        (mine.folder / "file").write_bytes(bytes(100))
        assert mine.call(client_sharing.give_up_waiting, "file", f"{other.guest_folder}/file") == ""


# Two clients, other shares, other servers ------------------------------------------------------------------------


@caching_modes
def test_one_client_sees_what_another_writes(mounter: Mounter, mode: str):
    with mounter(mode) as mine, mounter(mode, "nosharesock") as other:
        read = mine.call(client_sharing.see_changes, "file", f"{other.guest_folder}/file", 5)
    assert read == [f"round {n}" for n in range(5)]


@pytest.mark.skipif(not shutil.which("fio"), reason="fio is not installed")
@caching_modes
def test_fio_finds_what_another_client_wrote(mounter: Mounter, mode: str):
    """Each in turn, over what it has cached of the round before."""
    job = ["--filename=shared", "--rw=randwrite", "--bs=16k", "--size=2M", "--ioengine=psync"]
    with mounter(mode) as mine, mounter(mode, "nosharesock") as other:
        for seed, writer, reader in ((1, mine, other), (2, other, mine), (3, mine, other)):
            assert writer.call(client.fio, *job, f"--randseed={seed}", "--do_verify=0", "--end_fsync=1") == ""
            assert reader.call(client.fio, *job, f"--randseed={seed}", "--verify_only=1") == ""


@caching_modes
def test_two_clients_count_in_one_file(mounter: Mounter, mode: str):
    """A lock for each step: who gets it must see what the other one wrote."""
    with mounter(mode) as mine, mounter(mode, "nosharesock") as other:
        (mine.folder / "file").write_bytes(bytes(8))
        assert mine.call(client_sharing.count_in_turns, "file", f"{other.guest_folder}/file", 100) == [0, 0]
    assert int.from_bytes((mine.folder / "file").read_bytes()) == 200


@pytest.mark.parametrize("mode", ["2.1-plain", "3.0-plain", "3.1.1-plain", "3.1.1-seal"])
def test_a_client_gives_up_its_lease_when_another_writes(mounter: Mounter, mode: str):
    """Although it may cache for an hour; the other one has to wait for it."""
    with mounter(mode, "actimeo=3600") as mine, mounter(mode, "nosharesock") as other:
        (mine.folder / "file").write_text("old")
        job = mine.start(client_sharing.see_local_change, "file")
        mine.call(client_sharing.await_held)
        assert mine.call(client_sharing.breaks_acknowledged) == 0
        assert other.call(client.write_text, "file", "new text") == ""
        assert mine.call(client_sharing.breaks_acknowledged) >= 1
        mine.call(client_sharing.let_go)
        assert mine.machine.wait(job) == ["old", "old", "new text"]


@pytest.mark.parametrize("mode", ["2.1-plain", "3.0-plain", "3.1.1-plain", "3.1.1-seal"])
def test_a_client_sees_what_a_local_program_writes(mounter: Mounter, mode: str):
    """Although it may cache for an hour: the server notices, and takes its lease away."""
    with mounter(mode, "actimeo=3600") as mount:
        file = mount.folder / "file"
        file.write_text("old")
        job = mount.start(client_sharing.see_local_change, "file")
        mount.call(client_sharing.await_held)
        assert mount.call(client_sharing.breaks_acknowledged) == 0
        file.write_text("new text")
        mount.call(client_sharing.let_go)
        assert mount.machine.wait(job) == ["old", "old", "new text"]
        assert mount.call(client_sharing.breaks_acknowledged) == 1


def test_a_read_only_share(mounter: Mounter):
    with mounter("3.1.1-plain", share="read-only") as mount:
        (mount.folder / "file").write_text("old")
        assert mount.call(client.read_text, "file") == "old"
        assert mount.call(client.write_text, "file", "new") in ("EACCES", "EROFS")
        assert mount.call(client.refusals, ("mkdir", "new"), ("unlink", "file")) == ["EACCES", "EACCES"]
        assert files_with_text(mount.folder) == ["file: old"]


def test_a_share_that_wants_encryption(mounter: Mounter):
    with mounter("3.1.1-plain", share="sealed") as mount:
        assert " encrypted" in mount.call(client.connection_state)
        assert mount.call(client.write_text, "file", "sealed") == ""
        assert (mount.folder / "file").read_text() == "sealed"
    with pytest.raises(Refused, match=r"error\(13\)"), mounter("2.1-sign", share="sealed"):
        pass


@pytest.mark.parametrize("mode", EVERY_MODE)
def test_a_wrong_password(mounter: Mounter, mode: str):
    with pytest.raises(Refused, match=r"error\(13\)"), mounter(mode, password="wrong"):
        pass


def test_a_share_that_is_not_there(mounter: Mounter):
    with pytest.raises(Refused, match=r"error\(2\)"), mounter("3.1.1-plain", share="missing"):
        pass


def test_a_server_that_wants_signatures(mounter: Mounter, tmp_path: Path):
    with Server(tmp_path, signing="required") as server, mounter("3.1.1-plain", server=server) as mount:
        assert " signed" in mount.call(client.connection_state)
        assert mount.call(client.write_text, "file", "signed") == ""


@pytest.mark.parametrize("mode", ["2.1-plain", "3.1.1-seal"])
def test_a_server_that_starts_again(mounter: Mounter, tmp_path: Path, mode: str):
    """Stopped in order by SIGTERM; the mount goes on, an open file is opened again, a new mount is as good."""
    with Server(tmp_path) as server:
        with mounter(mode, server=server) as mount:
            job = mount.start(client_sharing.hold_open, "file", "before ", "after")
            mount.call(client_sharing.await_held)
            assert server.stop() == 0
            assert (mount.folder / "file").read_text() == "before "
            server.start()
            mount.call(client_sharing.let_go)
            assert mount.machine.wait(job) == "before after"
            assert mount.call(client.write_text, "second", "2") == ""
        with mounter(mode, server=server) as mount:
            assert mount.call(client.read_text, "file") == "before after"
            assert files_with_text(mount.folder) == ["file: before after", "second: 2"]
        assert server.open_files() == []
        assert server.bugs() == []
