import pytest
pytestmark=pytest.mark.interop
def test_x(server, smbclient, relay):
    r = relay(server)
    print(smbclient(r, "ls"))
    print(r.negotiated(), r.clear_commands())
