"""Streams, descriptors and trees, by the commands that administrators know."""

import shutil

import pytest

from smbport.wire.security import Sid

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("smbclient") is None, reason="smbclient is not installed"),
]

STRANGER = str(Sid(5, (21, 1111, 2222, 3333, 1001)))


def test_all_info_lists_the_streams(server, smbclient):
    (smbclient.local / "data").write_bytes(b"in the stream")
    text = smbclient(server, "put data file", "put data file:notes", 'put data "file:\u6f22 \u5b57"', "allinfo file")
    for name in ("", "notes", "\u6f22 \u5b57"):
        assert f"stream: [:{name}:$DATA], 13 bytes" in text
    smbclient(server, "get file:notes back")
    assert (smbclient.local / "back").read_bytes() == b"in the stream"


def test_a_copy_by_the_server_of_a_large_file(server, smbclient):
    data = bytes(range(256)) * (40 << 12)  # more than one request may ask for
    server.path("a").write_bytes(data)
    smbclient(server, "scopy a b")
    assert server.path("b").read_bytes() == data


def test_a_whole_tree_is_deleted(server, smbclient):
    folder = server.path("top")
    for depth in range(12):
        folder = folder / f"level {depth}"
        folder.mkdir(parents=True)
        for number in range(10):
            (folder / f"file {number}").touch()
    smbclient(server, "deltree top")
    assert not server.path("top").exists()


class Acls:
    """smbcacls on one share with Windows descriptors."""

    def __init__(self, server, tool):
        self.server = server
        self.tool = tool

    def __call__(self, name, *options, status=0):
        credentials = f"--user={self.server.user}%{self.server.password}"
        share = f"//{self.server.host}/data"
        done = self.tool(["smbcacls", "--configfile=/dev/null", credentials, "--numeric", *options, share, name])
        assert done.returncode == status, done
        return done.stdout.splitlines()

    def aces(self, name):
        return [line for line in self(name) if line.startswith("ACL:")]


@pytest.fixture
def acls(serve, tool, standard_address):
    if shutil.which("smbcacls") is None:
        pytest.skip("smbcacls is not installed")
    server = serve(shares={"data": {"acl": "nt"}}, host=standard_address, port=445)
    return Acls(server, tool)


def test_entries_are_added_changed_and_removed(acls, smbclient):
    smbclient(acls.server, "put ../empty file")
    before = acls.aces("file")
    acls("file", "--add", f"ACL:{STRANGER}:0/0/0x00120089")
    assert set(acls.aces("file")) == {*before, f"ACL:{STRANGER}:0/0x0/0x00120089"}
    acls("file", "--modify", f"ACL:{STRANGER}:0/0/0x001301bf")
    assert set(acls.aces("file")) == {*before, f"ACL:{STRANGER}:0/0x0/0x001301bf"}
    acls("file", "--add", f"ACL:{STRANGER}:1/0/0x00000002")
    assert acls.aces("file")[0] == f"ACL:{STRANGER}:1/0x0/0x00000002"  # what denies comes first
    acls("file", "--delete", f"ACL:{STRANGER}:1/0/0x00000002,ACL:{STRANGER}:0/0/0x001301bf")
    assert set(acls.aces("file")) == set(before)


def test_what_is_in_a_folder_inherits(acls, smbclient):
    smbclient(acls.server, "mkdir folder")
    acls("folder", "--add", f"ACL:{STRANGER}:0/3/0x00120089")  # for files and folders below
    smbclient(acls.server, "put ../empty folder/file", "mkdir folder/below")
    assert acls.aces("folder/file") == [f"ACL:{STRANGER}:0/0x0/0x00120089"]  # smbcacls does not say "auto-inherited"
    assert acls.aces("folder/below") == [f"ACL:{STRANGER}:0/0x3/0x00120089"]


def test_inheritance_goes_down_an_existing_tree(acls, smbclient):
    smbclient(acls.server, "mkdir folder", "mkdir folder/below", "put ../empty folder/below/file")
    acls("folder", "--propagate-inheritance", "--add", f"ACL:{STRANGER}:0/3/0x00120089")
    assert f"ACL:{STRANGER}:0/0x13/0x00120089" in acls.aces("folder/below")
    assert f"ACL:{STRANGER}:0/0x10/0x00120089" in acls.aces("folder/below/file")
    acls("folder/below", "--inherit=copy")
    assert f"ACL:{STRANGER}:0/0x3/0x00120089" in acls.aces("folder/below")


def test_a_foreign_owner_takes_an_administrator(acls, smbclient):
    smbclient(acls.server, "put ../empty file")
    owner = [line for line in acls("file") if line.startswith("OWNER:")]
    acls("file", f"--chown={STRANGER}", status=1)
    assert [line for line in acls("file") if line.startswith("OWNER:")] == owner
