import pytest

wkst = pytest.importorskip("impacket.dcerpc.v5.wkst")
rpcrt = pytest.importorskip("impacket.dcerpc.v5.rpcrt")


@pytest.fixture
def client(connect):
    client = connect("wkssvc")
    client.bind(wkst.MSRPC_UUID_WKST)
    return client


@pytest.mark.parametrize("level", [100, 101, 102])
def test_workstation_information(client, level):
    info = wkst.hNetrWkstaGetInfo(client, level)["WkstaInfo"][f"WkstaInfo{level}"]
    assert info[f"wki{level}_platform_id"] == 500
    assert info[f"wki{level}_computername"] == "FILES\0"
    assert info[f"wki{level}_langroup"] == "WORKGROUP\0"
    assert (info[f"wki{level}_ver_major"], info[f"wki{level}_ver_minor"]) == (10, 0)
    if level > 100:
        assert info[f"wki{level}_lanroot"] == "\0"
    if level == 102:
        assert info["wki102_logged_on_users"] == 1


def test_level_for_administrators(client):
    with pytest.raises(wkst.DCERPCSessionError) as caught:
        wkst.hNetrWkstaGetInfo(client, 502)
    assert caught.value.get_error_code() == 124


def test_unknown_operation(client):
    with pytest.raises(rpcrt.DCERPCException, match="nca_s_op_rng_error"):
        wkst.hNetrWkstaUserEnum(client, 1)
