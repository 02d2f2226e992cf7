"""Links to folders of another server: smbclient asks where they lead and goes there."""

import ipaddress
import re
import shutil

import pytest

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("smbclient") is None, reason="smbclient is not installed"),
]


@pytest.fixture
def servers(serve, standard_address):
    """One with links, and one that they lead to: on two addresses, because referrals have no room for a port."""
    address = str(ipaddress.ip_address(standard_address) + 1)
    other = serve(host=address, port=445, shares={"other": {}})
    other.path("sub", share="other").mkdir()
    other.path("far", share="other").write_text("far")
    other.path("sub/deep", share="other").write_text("deep")
    links = {"projects": [f"//{address}/other"], "folder/link": [f"//{address}/other/sub"]}
    server = serve(host=standard_address, port=445, shares={"data": {"dfs": links}})
    server.path("folder").mkdir()
    server.path("near").write_text("near")
    return server, other


def test_links_are_listed(servers, smbclient):
    listed = smbclient(servers[0], "ls", "cd folder", "ls")
    assert sorted(re.findall(r"^  (\w+) +(\w+) ", listed, re.MULTILINE)) == [
        ("folder", "D"), ("link", "Dr"), ("near", "N"), ("projects", "Dr"),
    ]  # fmt: skip


def test_links_are_followed(servers, smbclient):
    server, other = servers
    told = smbclient(
        server, "get near", r"get projects\far far", r"get folder\link\deep deep", r"cd folder\link", "showconnect",
        "put ../empty new",
    )  # fmt: skip
    assert f"//{other.host}/other" in told
    assert [(smbclient.local / name).read_text() for name in ("near", "far", "deep")] == ["near", "far", "deep"]
    assert other.path("sub/new", share="other").exists()
    assert sorted(path.name for path in server.path().iterdir()) == ["folder", "near"]


def test_what_leads_nowhere(servers, smbclient):
    smbclient(servers[0], "cd nothing", refused="NT_STATUS_OBJECT_NAME_NOT_FOUND")
    smbclient(servers[0], r"cd projects\nothing", refused="NT_STATUS_OBJECT_NAME_NOT_FOUND")
