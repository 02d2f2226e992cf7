"""smbport.state.hosts: from which addresses clients may come."""

from ipaddress import ip_network

import pytest

from smbport.state.hosts import admits


def networks(*texts):
    return tuple(map(ip_network, texts))


@pytest.mark.parametrize(
    ("address", "allow", "deny", "admitted"),
    [
        ("192.0.2.1", (), (), True),
        (None, (), (), True),
        ("not an address", (), (), True),
        ("192.0.2.1", ("192.0.2.0/24",), (), True),
        ("192.0.3.1", ("192.0.2.0/24",), (), False),
        ("192.0.3.1", ("192.0.2.0/24", "192.0.3.1"), (), True),
        ("192.0.2.1", (), ("192.0.2.1",), False),
        ("192.0.2.2", (), ("192.0.2.1",), True),
        ("192.0.2.1", ("192.0.2.0/24",), ("192.0.2.1",), False),
        ("192.0.2.2", ("192.0.2.0/24",), ("192.0.2.1",), True),
        ("::ffff:192.0.2.1", ("192.0.2.0/24",), (), True),
        ("::ffff:192.0.2.1", ("::/0",), (), False),  # it is no address of IPv6
        ("fe80::1%eth0", ("fe80::/64",), (), True),
        ("2001:db8::1", ("192.0.2.0/24",), (), False),
        ("2001:db8::1", (), ("192.0.2.0/24",), True),
        (None, ("0.0.0.0/0",), (), False),
        (None, (), ("192.0.2.1",), False),
        ("not an address", (), ("192.0.2.1",), False),
    ],
)
def test_admits(address, allow, deny, admitted):
    assert admits(address, networks(*allow), networks(*deny)) is admitted
