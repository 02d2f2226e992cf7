"""Addresses and speeds of this machine's network interfaces, and whether they spread what they receive."""

import os
from collections.abc import Sequence
from typing import Final

from smbport.platform import Interface
from smbport.posix import interfaces as posix

__all__ = ["find_interfaces"]

INTERFACES: Final = "/sys/class/net"


def find_interfaces() -> Sequence[Interface]:
    """What clients can reach."""
    return posix.find_interfaces(spreads_receiving)


def spreads_receiving(name: str) -> bool:
    """Whether an interface has several receive queues, so that connections do not wait for one another there."""
    try:
        queues = os.listdir(f"{INTERFACES}/{name}/queues")
    except OSError:  # no sysfs here, or gone
        return False
    return sum(queue.startswith("rx-") for queue in queues) > 1
