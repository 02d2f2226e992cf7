"""Addresses and speeds of this machine's network interfaces, by way of psutil."""

import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address

import psutil  # type: ignore[import-untyped]

from smbport.platform import Interface

__all__ = ["find_interfaces"]


def not_known(name: str) -> bool:
    """For systems that do not tell how an interface receives."""
    return False


def find_interfaces(spreads_receiving: Callable[[str], bool] = not_known) -> Sequence[Interface]:
    """What clients can reach: all addresses of interfaces that are up, but loopback and link-local ones.

    `spreads_receiving` says of an interface whether it has several receive queues.
    """
    addresses, states = psutil.net_if_addrs(), psutil.net_if_stats()
    found: list[Interface] = []
    for name, state in states.items():
        if not state.isup:
            continue
        for entry in addresses.get(name, ()):
            if entry.family not in (socket.AF_INET, socket.AF_INET6):
                continue
            address = entry.address.partition("%")[0]
            kind = ip_address(address)
            if not kind.is_loopback and not kind.is_link_local:
                speed = max(state.speed, 0) * 1_000_000
                found.append(Interface(socket.if_nametoindex(name), address, speed, spreads_receiving(name)))
    return found
