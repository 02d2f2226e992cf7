"""Addresses of this machine's network interfaces: getifaddrs(3) of io-sock and io-pkt."""

import socket
from collections.abc import Sequence
from ipaddress import ip_address

from smbport.platform import Interface
from smbport_qnx.calls import IFF_LOOPBACK, IFF_UP, Calls

__all__ = ["find_interfaces"]


def find_interfaces(calls: Calls) -> Sequence[Interface]:
    """What clients can reach: all addresses of interfaces that are up, but loopback and link-local ones.

    The speed is unknown: it would take driver-specific calls.
    """
    found = []
    try:
        addresses = calls.interface_addresses()
    except OSError:
        return []
    for name, flags, address in addresses:
        if flags & IFF_UP and not flags & IFF_LOOPBACK and not ip_address(address).is_link_local:
            found.append(Interface(find_index(name), address, 0))
    return found


def find_index(name: str) -> int:
    """The number of an interface; 0 if it is gone."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0
