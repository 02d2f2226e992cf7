"""cifs.ko mounts with the option `posix`: modes, names and special files are what they are here."""

import os
import stat
from collections.abc import Iterator
from typing import Final

import pytest

from tests.vm import client, client_posix
from tests.vm.machine import Machine
from tests.vm.machines import CLIENTS, client_machine
from tests.vm.mounting import Mount, Mounter, Refused

pytestmark = [pytest.mark.vm, pytest.mark.timeout(600)]

NAMES: Final = [
    "a:b", "what?", "*", "<in>out", "pipe|pipe", 'quo"te', "at the end.", "at the end ", "ü", "x" * 255,
]  # fmt: skip


@pytest.fixture(scope="module", params=CLIENTS)
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Instead of that of the other tests: newer kernels make links and special files as well."""
    with client_machine(tmp_path_factory.mktemp("posix"), CLIENTS[request.param]) as machine:
        yield machine


@pytest.fixture
def mount(mounter: Mounter) -> Iterator[Mount]:
    with mounter("3.1.1-plain", "posix") as mount:
        yield mount


@pytest.fixture
def new(request: pytest.FixtureRequest) -> bool:
    """Whether the kernel is one of those that make links and special files."""
    return request.node.callspec.params["machine"] == "newer"


def test_the_extensions_are_agreed_on(mount: Mount):
    assert "posix" in mount.call(client.connection_state)


def test_other_dialects_have_none(mounter: Mounter):
    with pytest.raises(Refused), mounter("3.0-plain", "posix"):
        pass


def test_modes_owners_and_links_are_those_of_this_computer(mount: Mount):
    for mode in (0o000, 0o400, 0o640, 0o751, 0o777):
        (mount.folder / f"{mode:o}").touch()
        (mount.folder / f"{mode:o}").chmod(mode)
    (mount.folder / "folder").mkdir(mode=0o750)
    (mount.folder / "second").hardlink_to(mount.folder / "640")
    os.chown(mount.folder / "751", 1234, 4321)
    expected = {}
    for path in mount.folder.iterdir():
        found = path.lstat()
        links = found.st_nlink if not path.is_dir() else 0
        expected[path.name] = [found.st_mode, links, found.st_uid, found.st_gid]
    states = mount.call(client_posix.states, ".")
    states["folder"][1] = 0
    assert states == expected


def test_modes_of_what_is_made(mount: Mount):
    """Within the share's masks."""
    mount.call(client_posix.create, "file", 0o640)
    mount.call(client_posix.create, "all", 0o777)
    mount.call(client_posix.create_folder, "folder", 0o711)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in mount.folder.iterdir()}
    assert modes == {"file": 0o640, "all": 0o755, "folder": 0o711}


def test_modes_are_set(mounter: Mounter, new: bool):
    """The old kernel does not send them without another option."""
    options = ("posix",) if new else ("posix", "modefromsid")
    with mounter("3.1.1-plain", *options) as mount:
        (mount.folder / "file").touch()
        (mount.folder / "folder").mkdir()
        for name, mode in (("file", 0o604), ("folder", 0o1751), ("file", 0o444), ("file", 0o640)):
            assert mount.call(client.set_mode, name, mode) == mode
            assert stat.S_IMODE((mount.folder / name).stat().st_mode) == mode


def test_a_file_without_write_bits_is_removed(mount: Mount):
    """As its folder lets it; Windows' clients would have to ask for more."""
    (mount.folder / "file").touch(mode=0o444)
    assert mount.call(client.refusals, ("unlink", "file")) == [""]
    assert os.listdir(mount.folder) == []


def test_every_character(mount: Mount):
    assert mount.call(client.round_trip, NAMES) == sorted(NAMES)
    assert sorted(os.listdir(mount.folder)) == sorted(NAMES)
    assert [(mount.folder / name).read_text() for name in NAMES] == NAMES


def test_names_of_this_computer(mount: Mount):
    for name in NAMES:
        (mount.folder / name).write_text(name)
    assert [mount.call(client.read_text, name) for name in NAMES] == NAMES
    assert mount.call(client.refusals, *(("unlink", name) for name in NAMES)) == [""] * len(NAMES)
    assert os.listdir(mount.folder) == []


def test_case_matters(mount: Mount):
    assert mount.call(client.write_text, "a", "small") == ""
    assert mount.call(client.write_text, "A", "large") == ""
    assert {path.name: path.read_text() for path in mount.folder.iterdir()} == {"a": "small", "A": "large"}
    assert mount.call(client.refusals, ("rename", "a", "b"), ("stat", "a"), ("mkdir", "B")) == ["", "ENOENT", ""]
    assert sorted(os.listdir(mount.folder)) == ["A", "B", "b"]


def test_links_are_seen_as_such(mount: Mount):
    targets = ["file", "folder/file", "nowhere", "/absolute", "folder"]
    (mount.folder / "folder").mkdir()
    (mount.folder / "file").write_text("through")
    for number, target in enumerate(targets):
        (mount.folder / str(number)).symlink_to(target)
    states = mount.call(client_posix.states, ".")
    assert [stat.S_ISLNK(states[str(number)][0]) for number in range(len(targets))] == [True] * len(targets)
    assert mount.call(client_posix.read_links, [str(number) for number in range(len(targets))]) == targets
    assert mount.call(client.read_text, "0") == "through"
    assert mount.call(client.refusals, ("unlink", "0"), ("unlink", "4"), ("unlink", "2")) == ["", "", ""]
    assert sorted(os.listdir(mount.folder)) == ["1", "3", "file", "folder"]


def test_links_are_made(mount: Mount, new: bool):
    if not new:
        pytest.skip("this kernel makes none")
    assert mount.call(client.refusals, ("symlink", "a/b", "link"), ("mkdir", "a")) == ["", ""]
    assert os.readlink(mount.folder / "link") == "a/b"
    assert mount.call(client.write_text, "link", "through") == ""
    assert (mount.folder / "a/b").read_text() == "through"
    assert mount.call(client_posix.read_links, ["link"]) == ["a/b"]


def test_links_out_of_the_share_are_refused(mount: Mount, new: bool):
    if not new:
        pytest.skip("this kernel makes none")
    assert mount.call(client.refusals, ("symlink", "/etc/passwd", "link")) == ["EACCES"]
    assert os.listdir(mount.folder) == []


def test_special_files(mount: Mount, new: bool):
    if not new:
        pytest.skip("this kernel makes none, and knows none")
    assert mount.call(client_posix.make_special, "fifo", "socket") == ["", ""]
    assert (mount.folder / "fifo").is_fifo()
    assert (mount.folder / "socket").is_socket()
    os.mknod(mount.folder / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    kinds = {name: stat.S_IFMT(state[0]) for name, state in mount.call(client_posix.states, ".").items()}
    assert kinds == {"fifo": stat.S_IFIFO, "socket": stat.S_IFSOCK, "device": stat.S_IFCHR}
    assert mount.call(client.refusals, ("unlink", "fifo"), ("unlink", "socket")) == ["", ""]
    assert os.listdir(mount.folder) == ["device"]


def test_unlinked_while_open(mount: Mount):
    assert mount.call(client.use_unlinked, "file") == []
    assert os.listdir(mount.folder) == []


def test_the_name_of_an_unlinked_file_is_free_at_once(mount: Mount):
    assert mount.call(client_posix.remake_unlinked, "file") == ["old", "new"]
    assert (mount.folder / "file").read_text() == "new"


def test_an_open_file_is_replaced(mount: Mount):
    (mount.folder / "new").write_text("of the new one")
    assert mount.call(client_posix.write_after_rename, "new", "file") == "of the old one"
    assert (mount.folder / "file").read_text() == "of the new one"
    assert os.listdir(mount.folder) == ["file"]


def test_a_folder_with_an_open_file_is_renamed(mount: Mount):
    assert mount.call(client_posix.write_in_renamed_folder, "old", "new") == "before after"
    assert os.listdir(mount.folder) == ["new"]


def test_an_empty_folder_is_replaced(mount: Mount):
    for name in ("old", "empty", "full/inside"):
        (mount.folder / name).mkdir(parents=True)
    assert mount.call(client.refusals, ("rename", "old", "full"), ("rename", "old", "empty")) == ["ENOTEMPTY", ""]
    assert sorted(os.listdir(mount.folder)) == ["empty", "full"]


def test_space(mount: Mount):
    here, there = os.statvfs(mount.folder), mount.call(client.space)
    assert there["total"] == here.f_blocks * here.f_frsize
    assert 0 < there["free"] <= there["total"]
