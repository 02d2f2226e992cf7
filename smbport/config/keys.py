"""The keys of the file.  They come from the dataclasses: a new field there is a new key here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Final, Literal, NamedTuple, get_type_hints

from smbport.config.forms import DIALECTS, Form, Listener, form_of, one_of, toml
from smbport.state.settings import Limits, Settings, ShareSettings

__all__ = ["Configuration", "KEYS", "Key", "RUN_KEYS", "share_path"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Everything that `smbport serve` needs to know."""

    settings: Settings = field(default_factory=Settings)
    platform: str | None = None
    listen: tuple[Listener, ...] = ()  # (): every address, port 445 where it is allowed, else 4445
    user_database: str | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class Key(NamedTuple):
    """How a key is written, and its value when it is left out: MISSING if it must not be."""

    form: Form
    default: object


def _keys(settings: type, *elsewhere: str) -> dict[str, Key]:
    """The fields that are keys of one table; `elsewhere` come from other tables, or not from the file at all."""
    hints = get_type_hints(settings)
    return {
        each.name: Key(form_of(each.name, hints[each.name]), each.default)
        for each in fields(settings)
        if each.name not in elsewhere
    }


_RUN: Final = _keys(Configuration, "settings")

RUN_KEYS: Final = {{"user_database": "users", "log_level": "log"}.get(name, name): name for name in _RUN}
"""The keys of [server] that are fields of `Configuration`, not of `Settings`."""

KEYS: Final[Mapping[str, Mapping[str, Key]]] = {
    "server": {
        **{key: _RUN[name] for key, name in RUN_KEYS.items()},
        **_keys(Settings, "server_guid", "shares", "limits"),
        "min_dialect": Key(one_of(DIALECTS), None),
        "max_dialect": Key(one_of(DIALECTS), None),
    },
    "share.NAME": _keys(ShareSettings, "name"),
    "limits": _keys(Limits),
}
"""Every key of every table."""


def share_path(name: str) -> str:
    """The table of a share as the file has it."""
    return f"share.{name if re.fullmatch('[A-Za-z0-9_-]+', name) else toml(name)}"
