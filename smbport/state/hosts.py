"""From which addresses clients may come."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

__all__ = ["HostRules", "Network", "admits"]

Network = IPv4Network | IPv6Network
HostRules = Sequence[Network]


def admits(address: str | None, allow: HostRules, deny: HostRules) -> bool:
    """Whether this address is in `allow`, if that has any, and not in `deny`.

    An IPv4 address that comes inside an IPv6 one is the IPv4 address.  None, or what is no address, is admitted only
    where there are no rules.
    """
    if not allow and not deny:
        return True
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return not any(parsed in network for network in deny) and (not allow or any(parsed in network for network in allow))
