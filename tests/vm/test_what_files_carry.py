"""cifs.ko with what files carry besides their data: descriptors, clones, holes, attributes and links.

Debian's kernels are built without the option `compress`.
"""

import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.btrfs import BtrfsMissing, mounted_btrfs
from tests.vm import client, client_carrying
from tests.vm.machine import Machine
from tests.vm.machines import CLIENTS, client_machine
from tests.vm.mounting import Mount, Mounter
from tests.vm.server import Server

pytestmark = [pytest.mark.vm, pytest.mark.timeout(600)]

MIB: Final = 1 << 20
BLOCK: Final = 65536  # holes of this size are holes on every file system
USERS: Final = "S-1-5-32-545"
EVERYONE: Final = "S-1-1-0"


@pytest.fixture(scope="module", params=CLIENTS)
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Instead of that of the other tests: newer kernels make links in a second way."""
    folder = tmp_path_factory.mktemp("carrying")
    with client_machine(folder, CLIENTS[request.param], ("getcifsacl", "setcifsacl")) as machine:
        yield machine


@pytest.fixture(scope="module")
def cloning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose files are on a btrfs."""
    try:
        with mounted_btrfs(tmp_path_factory.mktemp("cloning")) as folder, Server(folder) as server:
            yield server
    except BtrfsMissing as error:
        pytest.skip(str(error))


@pytest.fixture
def cloned(mounter: Mounter, cloning: Server) -> Iterator[Mount]:
    with mounter("3.1.1-plain", server=cloning) as mount:
        yield mount
    assert cloning.bugs() == []


@pytest.fixture
def newer(request: pytest.FixtureRequest) -> bool:
    return request.node.callspec.params["machine"] == "newer"


# Descriptors -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def governed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose user is an administrator: getcifsacl asks for the list of what is audited."""
    with Server(tmp_path_factory.mktemp("governed"), administrator=True) as server:
        yield server


@pytest.fixture
def nt(mounter: Mounter, governed: Server) -> Iterator[Mount]:
    with mounter("3.1.1-plain", share="nt", server=governed) as mount:
        yield mount
    assert governed.bugs() == []


def entries(descriptor: list[str]) -> list[str]:
    return [line for line in descriptor if line.startswith("ACL:")]


def test_a_descriptor_is_read(nt: Mount):
    assert nt.call(client.write_text, "file", "") == ""
    lines = nt.call(client_carrying.descriptor, "file")
    assert any(line.startswith("OWNER:S-1-") for line in lines)
    assert any(line.startswith("GROUP:S-1-") for line in lines)
    assert entries(lines)


def test_entries_are_added_changed_and_removed(nt: Mount):
    assert nt.call(client.write_text, "file", "") == ""
    before = entries(nt.call(client_carrying.descriptor, "file"))
    for option, entry, after in (
        ("-a", f"ACL:{USERS}:ALLOWED/0x0/READ", [f"ACL:{USERS}:0x0/0x0/0x1200a9"]),
        ("-M", f"ACL:{USERS}:ALLOWED/0x0/FULL", [f"ACL:{USERS}:0x0/0x0/0x1f01ff"]),
        ("-D", f"ACL:{USERS}:ALLOWED/0x0/FULL", []),
    ):
        assert nt.call(client_carrying.change_descriptor, "file", option, entry) == ""
        assert sorted(entries(nt.call(client_carrying.descriptor, "file"))) == sorted([*before, *after])


def test_a_descriptor_is_stored_where_samba_looks_for_it(nt: Mount):
    assert nt.call(client.write_text, "file", "") == ""
    entry = f"ACL:{EVERYONE}:ALLOWED/0x0/READ,ACL:{USERS}:ALLOWED/0x0/CHANGE"
    assert nt.call(client_carrying.change_descriptor, "file", "-S", entry) == ""
    assert len(entries(nt.call(client_carrying.descriptor, "file"))) == 2
    stored = os.getxattr(nt.folder / "file", "security.NTACL")
    assert struct.pack("<BB6s2I", 1, 2, (5).to_bytes(6, "big"), 32, 545) in stored


def test_the_owner_of_a_file_is_changed(nt: Mount):
    assert nt.call(client.write_text, "file", "") == ""
    assert nt.call(client_carrying.change_descriptor, "file", "-o", "S-1-5-21-1-2-3-1234") == ""
    assert "OWNER:S-1-5-21-1-2-3-1234" in nt.call(client_carrying.descriptor, "file")


# Clones and holes ------------------------------------------------------------------------------------------------


def shares_blocks(path: Path) -> bool:
    os.sync()  # btrfs says it of what is on the disk
    said = subprocess.run(["filefrag", "-v", str(path)], capture_output=True, text=True, check=True)
    return "shared" in said.stdout


def test_a_file_is_cloned(cloned: Mount):
    data = client.pattern(1, 3 * MIB)
    (cloned.folder / "file").write_bytes(data)
    assert not shares_blocks(cloned.folder / "file")
    assert cloned.call(client_carrying.reflink, "file", "copy") == ""
    assert (cloned.folder / "copy").read_bytes() == data
    assert shares_blocks(cloned.folder / "copy")
    cloned.call(client.write_file, "copy", 2, 3 * MIB)
    assert (cloned.folder / "file").read_bytes() == data


def test_a_part_of_a_file_is_cloned(cloned: Mount):
    data, other = client.pattern(3, 2 * MIB), client.pattern(4, 2 * MIB)
    (cloned.folder / "file").write_bytes(data)
    (cloned.folder / "other").write_bytes(other)
    assert cloned.call(client_carrying.clone_range, "file", BLOCK, MIB, "other", 2 * BLOCK) == ""
    expected = other[: 2 * BLOCK] + data[BLOCK : BLOCK + MIB] + other[2 * BLOCK + MIB :]
    assert (cloned.folder / "other").read_bytes() == expected
    assert cloned.call(client.digest, "other") == client.digest(str(cloned.folder / "other"))


def test_a_clone_where_there_are_none(mount: Mount):
    (mount.folder / "file").write_bytes(bytes(BLOCK))
    said = subprocess.run(
        ["cp", "--reflink=always", mount.folder / "file", mount.folder / "here"], capture_output=True, check=False
    )
    if not said.returncode:
        pytest.skip("the temporary files of this computer can be cloned")
    assert "not supported" in mount.call(client_carrying.reflink, "file", "copy")


def test_a_hole_is_punched(mount: Mount):
    data = client.pattern(5, 16 * BLOCK)
    (mount.folder / "file").write_bytes(data)
    os.sync()  # so that all blocks are counted
    blocks = (mount.folder / "file").stat().st_blocks
    options = ("--punch-hole", "--offset", str(4 * BLOCK), "--length", str(8 * BLOCK))
    assert mount.call(client_carrying.allocate, "file", *options) == ""
    assert (mount.folder / "file").read_bytes() == data[: 4 * BLOCK] + bytes(8 * BLOCK) + data[12 * BLOCK :]
    assert (mount.folder / "file").stat().st_blocks == blocks - 8 * BLOCK // 512


def test_a_range_is_zeroed(mount: Mount):
    data = client.pattern(6, 16 * BLOCK)
    (mount.folder / "file").write_bytes(data)
    options = ("--zero-range", "--keep-size", "--offset", str(BLOCK + 7), "--length", str(3 * BLOCK))
    assert mount.call(client_carrying.allocate, "file", *options) == ""
    expected = data[: BLOCK + 7] + bytes(3 * BLOCK) + data[4 * BLOCK + 7 :]
    assert (mount.folder / "file").read_bytes() == expected


def test_data_and_holes_are_found(mount: Mount):
    (mount.folder / "file").write_bytes(client.pattern(7, 16 * BLOCK))
    for start, length in ((2, 3), (8, 2), (14, 2)):
        options = ("--punch-hole", "--offset", str(start * BLOCK), "--length", str(length * BLOCK))
        assert mount.call(client_carrying.allocate, "file", *options) == ""
    expected = [[0, 2 * BLOCK], [5 * BLOCK, 8 * BLOCK], [10 * BLOCK, 14 * BLOCK]]
    assert mount.call(client_carrying.data_ranges, "file") == expected
    assert [list(found) for found in client_carrying.data_ranges(str(mount.folder / "file"))] == expected


# Attributes ------------------------------------------------------------------------------------------------------


def test_attributes_of_users(mount: Mount):
    (mount.folder / "file").touch()
    os.setxattr(mount.folder / "file", "user.here", b"from this computer")
    new = {"user.colour": "blue", "user.long": "x" * 3000, "user.gone": "0"}
    kept = mount.call(client_carrying.change_attributes, "file", new, ["user.gone"])
    assert kept == {"user.here": "from this computer", "user.colour": "blue", "user.long": "x" * 3000}
    assert os.getxattr(mount.folder / "file", "user.colour") == b"blue"
    assert "user.gone" not in os.listxattr(mount.folder / "file")
    assert mount.call(client.set_attribute, "file", "user.colour", "red") == "red"
    assert mount.call(client.refusals, ("getxattr", "file", "user.nothing")) == ["ENODATA"]


# Links -----------------------------------------------------------------------------------------------------------


def test_links_that_are_files(mounter: Mounter):
    """Minshall and French's."""
    with mounter("3.1.1-plain", "mfsymlinks") as mount:
        (mount.folder / "folder").mkdir()
        assert mount.call(client_carrying.make_link, "link", "folder/file") == "folder/file"
        text = (mount.folder / "link").read_bytes()
        assert text.startswith(b"XSym\n0011\n")
        assert b"\nfolder/file\n" in text
        assert len(text) == 1067
        assert mount.call(client.write_text, "link", "through") == ""
        assert (mount.folder / "folder" / "file").read_text() == "through"
        assert mount.call(client.refusals, ("unlink", "link")) == [""]
        assert os.listdir(mount.folder) == ["folder"]


def test_links_that_are_reparse_points(mounter: Mounter, newer: bool):
    if not newer:
        pytest.skip("this kernel makes none")
    with mounter("3.1.1-plain", "symlink=native") as mount:
        (mount.folder / "folder").mkdir()
        (mount.folder / "folder" / "file").write_text("through")
        assert mount.call(client_carrying.make_link, "link", "folder/file") == "folder/file"
        assert os.readlink(mount.folder / "link") == "folder/file"
        assert mount.call(client.read_text, "link") == "through"


def test_links_of_this_computer_are_followed_here(mount: Mount):
    (mount.folder / "file").write_text("through")
    (mount.folder / "link").symlink_to("file")
    assert mount.call(client.read_text, "link") == "through"
