"""Addresses and speeds of this machine's network interfaces."""

import os
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

import psutil  # type: ignore[import-untyped]

from smbport.platform import Interface

__all__ = ["find_interfaces"]

INTERFACES: Final = "/sys/class/net"


def find_interfaces() -> Sequence[Interface]:
    """What clients can reach: all addresses of interfaces that are up, but loopback and link-local ones."""
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


def spreads_receiving(name: str) -> bool:
    """Whether an interface has several receive queues, so that connections do not wait for one another there."""
    try:
        queues = os.listdir(f"{INTERFACES}/{name}/queues")
    except OSError:  # no sysfs here, or gone
        return False
    return sum(queue.startswith("rx-") for queue in queues) > 1
