"""smbport.pipes.server_info: what clients are told of shares."""

from smbport.pipes.server_info import describe_server
from smbport.state.dfs import DfsLink
from smbport.state.settings import Settings, ShareSettings
from smbport.wire.constants import ShareFlag


def test_a_share_with_links_says_so():
    shares = (
        ShareSettings(name="a", path="/a", dfs=(DfsLink("x", ("one\\x",)),)),
        ShareSettings(name="b", path="/b"),
        ShareSettings(name="c", path="/c", hidden=True),
    )
    described = describe_server(Settings(), shares, user="u", restricted=False, names=None, now_ns=0, start_ns=0).shares
    assert [(share.name, share.flags) for share in described] == [
        ("IPC$", 0),
        ("a", ShareFlag.DFS | ShareFlag.DFS_ROOT),
        ("b", 0),
    ]
