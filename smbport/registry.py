"""Finding the port for this system among the installed ones.

A port is named by an entry point of the group `smbport.platforms`, so the core imports none by name and a port
can come from any distribution.
"""

from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Final, NamedTuple, Protocol

from smbport.platform import POWERS, Platform, Port

__all__ = [
    "GROUP", "AmbiguousPlatform", "EntryPoint", "NoPlatform", "PlatformError", "Power", "describe", "find",
    "installed",
]  # fmt: skip

GROUP: Final = "smbport.platforms"


class PlatformError(Exception):
    """No port can serve; the text says why and what to do."""


class NoPlatform(PlatformError):
    """No installed port is meant for this system, or has the name that was asked for."""


class AmbiguousPlatform(PlatformError):
    """Several installed ports could be meant."""


class EntryPoint(Protocol):
    """What the registry needs of `importlib.metadata.EntryPoint`."""

    @property
    def name(self) -> str: ...

    @property
    def value(self) -> str: ...

    def load(self) -> Port: ...


class Power(NamedTuple):
    """One row of `smbport platforms`."""

    name: str
    present: bool
    reason: str  # why it is absent; "" if it is there


def installed(entries: Iterable[EntryPoint] | None = None) -> list[Port]:
    """Every installed port, by name, not probed.  `entries` stand in for the installed entry points."""
    return [_load(entry) for entry in _distinct(entries)]


def find(name: str | None = None, entries: Iterable[EntryPoint] | None = None) -> Platform:
    """The port of that name, or the one that is meant for this system, probed and ready; or PlatformError."""
    distinct = _distinct(entries)
    if name is None:
        port = _matching([_load(entry) for entry in distinct])
    else:
        port = _load(_named(name, distinct))
    try:
        return port.probe()
    except (OSError, RuntimeError) as error:
        raise PlatformError(f"the port {port.name} cannot be used: {error}") from error


def describe(platform: Platform) -> list[Power]:
    """Which of the optional powers this platform has, and why not the others."""
    rows = []
    for name in POWERS:
        present = getattr(platform, name) is not None
        rows.append(Power(name, present, "" if present else platform.absent.get(name, "the port gives no reason")))
    return rows


def _distinct(entries: Iterable[EntryPoint] | None) -> list[EntryPoint]:
    """Entry points by name.  One that is found in two places (an editable installation) is one."""
    found: Iterable[EntryPoint] = entry_points(group=GROUP) if entries is None else entries
    return [entry for _, entry in sorted({(entry.name, entry.value): entry for entry in found}.items())]


def _load(entry: EntryPoint) -> Port:
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        message = f"the port {entry.name} ({entry.value}) does not load: {error}; repair it, or name another --platform"
        raise PlatformError(message) from error


def _named(name: str, entries: list[EntryPoint]) -> EntryPoint:
    found = [entry for entry in entries if entry.name == name]
    if not found:
        raise NoPlatform(f"there is no port {name!r}; installed are {_listed(entries)}")
    if len(found) > 1:
        values = ", ".join(entry.value for entry in found)
        raise AmbiguousPlatform(f"several distributions have a port {name!r} ({values}); uninstall all but one")
    return found[0]


def _matching(ports: list[Port]) -> Port:
    found = [port for port in ports if port.matches()]
    if not found:
        raise NoPlatform(f"no installed port is meant for this system; name one with --platform: {_listed(ports)}")
    if len(found) > 1:
        raise AmbiguousPlatform(f"several ports are meant for this system; name one with --platform: {_listed(found)}")
    return found[0]


def _listed(named: Iterable[EntryPoint | Port]) -> str:
    return ", ".join(each.name for each in named) or "none"
