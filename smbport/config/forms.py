"""How values are written in TOML: sizes as "8MiB", masks as "0750", dialects as "3.1.1".  A `Form` reads and writes.

Forms know how a value is written, not which values are wise; that is for `rules.py`.
"""

import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args, get_origin

from smbport.state.dfs import DfsLink
from smbport.state.hosts import HostRules, Network
from smbport.state.settings import ALL_DIALECTS
from smbport.wire.constants import Cipher, SigningAlgorithm

__all__ = ["ConfigError", "DIALECTS", "Form", "Listener", "MASK", "form_of", "one_of", "read_listener", "toml", "wrong"]

Listener = tuple[str | None, int]  # host (None: every address of this machine) and port


class ConfigError(Exception):
    """A setting that cannot be used: where it is, what it is, and what to write instead."""


def wrong(source: str, key: str, value: object, fix: str) -> ConfigError:
    """The error about the TOML value of one key."""
    return ConfigError(f"{source}: {key} = {toml(value)}: {fix}")


def toml(value: object) -> str:
    """A value as it is written in the file (JSON's text, tables and dates aside, is TOML's)."""
    return json.dumps(value, ensure_ascii=False, default=str)


@dataclass(frozen=True, slots=True)
class Form:
    """How the values of a key are written."""

    type: str  # completes "must be ..."
    read: Callable[[object], object]  # from TOML; ValueError, with a sentence where "must be {type}" is not enough
    write: Callable[[Any], object] = lambda value: value  # and back


def _read_exactly(kind: type) -> Callable[[object], object]:
    def read(value: object) -> object:
        if type(value) is not kind:  # isinstance takes true for 1
            raise ValueError
        return value

    return read


def _read_name(value: object) -> object:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


def _read_names(value: object) -> object:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError
    return tuple(value)


def _read_networks(value: object) -> object:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError
    return tuple(map(_read_network, value))


def _read_network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        fix = 'must be an address, or a network without any bits behind its prefix, such as "192.168.1.0/24"'
        raise ValueError(f"{toml(text)} {fix}") from None


def _write_networks(networks: HostRules) -> object:
    """One address as such, without the length of its prefix."""
    return [str(each.network_address if each.num_addresses == 1 else each) for each in networks]


def _read_seconds(value: object) -> object:
    if type(value) not in (int, float):
        raise ValueError
    return value


def _read_links(value: object) -> object:
    if not isinstance(value, dict):
        raise ValueError
    links = []
    for path, targets in value.items():
        if not isinstance(targets, list) or not targets or not all(isinstance(target, str) for target in targets):
            raise ValueError
        links.append(DfsLink(path.replace("\\", "/").strip("/"), tuple(map(_plain_target, targets))))
    return tuple(links)


def _plain_target(target: str) -> str:
    return target.replace("/", "\\").strip("\\")


def _write_links(links: Iterable[DfsLink]) -> object:
    return {link.path: ["//" + target.replace("\\", "/") for target in link.targets] for link in links}


UNITS: Final = {"GiB": 30, "MiB": 20, "KiB": 10}


def _read_size(value: object) -> object:
    if type(value) is int:
        return value
    match = re.fullmatch("([0-9]{1,12}) ?(KiB|MiB|GiB)", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError
    return int(match[1]) << UNITS[match[2]]


def _write_size(value: int) -> object:
    return next(
        (f"{value >> shift}{unit}" for unit, shift in UNITS.items() if value and not value % (1 << shift)), value
    )


def _read_mask(value: object) -> object:
    if isinstance(value, str) and re.fullmatch("[0-7]{3,5}", value):
        return int(value, 8)
    if type(value) is not int:
        raise ValueError
    if value > 0o777:  # 640 for 0o640 is a mistake that gives rights to strangers
        raise ValueError('must be at most 0o777 as a number; write it as text in octal, such as "0640" or "2775"')
    return value


def _read_listeners(value: object) -> object:
    if not isinstance(value, list) or not value:
        raise ValueError
    listeners = tuple(read_listener(item) for item in value)
    if len(set(listeners)) < len(listeners):
        raise ValueError("must not have anything twice")
    return listeners


def read_listener(text: object) -> Listener:
    """PORT, :PORT, HOST:PORT or [IPV6]:PORT."""
    pattern = r"(?:(?:\[([^\]]+)\]|([A-Za-z0-9_.-]*)):)?([0-9]{1,5})"
    match = re.fullmatch(pattern, text) if isinstance(text, str) else None
    if match is None or int(match[3]) > 65535:
        raise ValueError(f"{toml(text)} must be PORT, :PORT, HOST:PORT or [IPV6]:PORT, with a port up to 65535")
    address, host, port = match.groups()
    if address:
        try:
            ipaddress.IPv6Address(address)
        except ValueError:
            raise ValueError(f"{toml(text)} must have an IPv6 address in its brackets") from None
    return address or host or None, int(port)


def _write_listeners(listeners: Iterable[Listener]) -> object:
    return [f"[{host}]:{port}" if host and ":" in host else f"{host or ''}:{port}" for host, port in listeners]


def one_of(words: Mapping[str, object]) -> Form:
    """A choice; `words` has the value that each word stands for."""

    def read(value: object) -> object:
        if not isinstance(value, str) or value not in words:
            raise ValueError
        return words[value]

    return Form(f"one of {_listed(words)}", read, lambda value: _word_for(words, value))


def _some_of(words: Mapping[str, int]) -> Form:
    def read(value: object) -> object:
        if not isinstance(value, list) or not all(isinstance(word, str) and word in words for word in value):
            raise ValueError
        return tuple(words[word] for word in value)

    return Form(f"a list of {_listed(words)}", read, lambda values: [_word_for(words, value) for value in values])


def _word_for(words: Mapping[str, object], value: object) -> object:
    return next((word for word, known in words.items() if known == value), value)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(map(toml, words))


def _words(namespace: type) -> dict[str, int]:
    """The constants of a class, AES_128_GCM as "aes-128-gcm"."""
    return {name.lower().replace("_", "-"): value for name, value in vars(namespace).items() if name.isupper()}


def _dialect_word(dialect: int) -> str:
    return f"{dialect >> 8}.{dialect >> 4 & 15}" + (f".{dialect & 15}" if dialect & 15 else "")


DIALECTS: Final = {_dialect_word(dialect): dialect for dialect in ALL_DIALECTS}
LISTS: Final = {"dialects": DIALECTS, "signing_algorithms": _words(SigningAlgorithm), "ciphers": _words(Cipher)}
"""Fields that are tuples of constants, which have words in the file."""

SIZE: Final = Form('bytes, such as 65536 or "64KiB"', _read_size, _write_size)
MASK: Final = Form('octal permission bits up to "7777", such as "0750"', _read_mask, lambda mode: f"{mode:04o}")
BY_TYPE: Final[dict[object, Form]] = {
    bool: Form("true or false", _read_exactly(bool)),
    int: Form("a whole number", _read_exactly(int)),
    float: Form("a number of seconds", _read_seconds),
    str: Form("text", _read_exactly(str)),
    str | None: Form("text, not empty", _read_name),
    tuple[str, ...]: Form("a list of names", _read_names, list),
    tuple[Network, ...]: Form('a list such as ["192.168.1.0/24", "fd00::7"]', _read_networks, _write_networks),
    tuple[DfsLink, ...]: Form('a table such as {projects = ["//server/share"]}', _read_links, _write_links),
    tuple[Listener, ...]: Form('a list such as ["0.0.0.0:445", "[::]:445"]', _read_listeners, _write_listeners),
}


def form_of(field: str, hint: object) -> Form:
    """The form that follows from a field's type, and where numbers have several forms, from its name."""
    if field in LISTS:
        return _some_of(LISTS[field])
    if get_origin(hint) is Literal:
        return one_of({word: word for word in get_args(hint)})
    if hint is int and field.endswith(("_mask", "_mode")):
        return MASK
    if hint is int and (field.endswith(("_size", "_bytes")) or field == "frame_before_session"):
        return SIZE
    return BY_TYPE[hint]
