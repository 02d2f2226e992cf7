"""Previous versions, for Samba's smbclient and smbtorture; copied folders stand for snapshots."""

import re
import shutil

import pytest

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("smbclient") is None, reason="smbclient is not installed"),
]

FIRST, SECOND = "@GMT-2025.01.02-03.04.05", "@GMT-2026.03.04-05.06.07"


@pytest.fixture
def server(serve):
    """A share with a file `file` that has two previous versions."""
    server = serve(shares={"data": {"snapshots": ".kept/@GMT-%Y.%m.%d-%H.%M.%S/tree"}})
    for token, text in ((FIRST, "first"), (SECOND, "second")):
        tree = server.path(f".kept/{token}/tree")
        (tree / "folder").mkdir(parents=True)
        (tree / "file").write_text(text)
        (tree / "folder" / "deep").write_text(text)
    server.path("file").write_text("live")
    server.path("new").touch()
    return server


def test_what_there_is(server, smbclient):
    told = smbclient(server, "allinfo file")
    assert re.findall(r"^(@GMT-.*)$|^size: (\d+)$", told, re.MULTILINE) == [
        (SECOND, ""), ("", "6"), (FIRST, ""), ("", "5"),
    ]  # fmt: skip


def test_what_was_not_there_then(server, smbclient):
    told = smbclient(server, "allinfo new", refused="NT_STATUS_OBJECT_NAME_NOT_FOUND")
    assert FIRST in told
    assert "size:" not in told


def test_files_and_folders_as_they_were(server, smbclient):
    smbclient(server, rf'get "{FIRST}\file" first', rf'get "{SECOND}\folder\deep" deep', "get file live")
    assert [(smbclient.local / name).read_text() for name in ("first", "deep", "live")] == ["first", "second", "live"]
    listed = smbclient(server, rf'ls "{FIRST}\*"', rf'cd "{FIRST}\folder"', "ls")
    assert re.findall(r"^  (\w+) ", listed, re.MULTILINE) == ["file", "folder", "deep"]


def test_nothing_can_be_changed(server, smbclient):
    for command in (rf'put ../empty "{FIRST}\file"', rf'put ../empty "{FIRST}\new"', rf'del "{FIRST}\file"',
                    rf'mkdir "{FIRST}\new"', rf'rmdir "{FIRST}\folder"'):  # fmt: skip
        smbclient(server, command, refused="NT_STATUS_MEDIA_WRITE_PROTECTED")
    smbclient(server, rf'rename "{FIRST}\file" other', refused="NT_STATUS_NOT_SAME_DEVICE")
    tree = server.path(f".kept/{FIRST}/tree")
    assert sorted(path.name for path in tree.iterdir()) == ["file", "folder"]
    assert (tree / "file").read_text() == "first"


def test_a_time_without_a_snapshot(server, smbclient):
    smbclient(server, r'get "@GMT-2024.01.02-03.04.05\file" none', refused="NT_STATUS_OBJECT_NAME_NOT_FOUND")


def test_a_link_does_not_lead_from_one_to_the_other(server, smbclient):
    server.path(f".kept/{FIRST}/tree/link").symlink_to(f"../../{SECOND}/tree/file")
    smbclient(server, rf'get "{FIRST}\link" stolen', refused="NT_STATUS_ACCESS_DENIED")
    assert not (smbclient.local / "stolen").exists()


@pytest.mark.skipif(shutil.which("smbtorture") is None, reason="smbtorture is not installed (samba-testsuite)")
@pytest.mark.parametrize("leaf", ["write", "stream", "openroot"])
def test_smbtorture(server, smbclient, tool, leaf):
    """listdir is left out: it separates the parts of a name by "/", which Windows takes for no name at all."""
    (smbclient.local / "first").write_text("first")
    options = {"file": "file", "snapshot": FIRST}
    if leaf == "stream":
        smbclient(server, "put first file:stream")
        tree = server.path(f".kept/{FIRST}/tree")
        shutil.copy2(server.path("file"), tree / "file")
        options |= {"stream": "stream", "stream_size": "5"}
    done = tool([
        "smbtorture", f"//{server.host}/data", "--configfile=/dev/null", "-p", str(server.port),
        "-U", f"{server.user}%{server.password}", f"smb2.twrp.{leaf}",
        *(f"--option=torture:twrp_{name}={value}" for name, value in options.items()),
    ])  # fmt: skip
    assert f"success: {leaf}" in done.stdout, done.stdout + done.stderr
