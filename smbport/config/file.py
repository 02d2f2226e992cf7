"""TOML text to `Configuration`."""

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Any

from smbport.config.forms import ConfigError, wrong
from smbport.config.keys import KEYS, RUN_KEYS, Configuration, share_path
from smbport.config.rules import check_settings
from smbport.state.settings import ALL_DIALECTS, Limits, Settings, ShareSettings

__all__ = ["load", "parse"]


def load(path: str | os.PathLike[str]) -> Configuration:
    """The configuration in the file `path`.  Everything that is wrong with it is a ConfigError."""
    source = os.fspath(path)
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{source}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{source}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    return parse(text, source)


def parse(text: str, source: str) -> Configuration:
    """The configuration that `text` describes; errors call it `source`."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a plain ValueError
        raise ConfigError(f"{source}: is not TOML: {error}") from error
    for name in document:
        if name not in ("server", "limits", "share"):
            raise ConfigError(f"{source}: {name}: {_unknown(name, ('server', 'limits', 'share'))}")
    server = _read_table(document, "server", "server", source)
    limits = _read_table(document, "limits", "limits", source)
    tables = _table(document, "share", "share.NAME", "share", source)
    shares = [ShareSettings(name=name, **_read_table(tables, name, "share.NAME", source)) for name in tables]
    _choose_dialects(server, source)
    run = {field: server.pop(key) for key, field in RUN_KEYS.items() if key in server}
    settings = Settings(**server, limits=Limits(**limits), shares=tuple(shares))
    check_settings(settings, source)
    return Configuration(settings=settings, **run)


def _read_table(parent: Mapping[str, object], name: str, kind: str, source: str) -> dict[str, Any]:
    """The values of one table, by key."""
    path = share_path(name) if kind == "share.NAME" else kind
    values = {}
    for key, written in _table(parent, name, kind, path, source).items():
        if key not in KEYS[kind]:
            raise wrong(source, f"{path}.{key}", written, _unknown(key, KEYS[kind]))
        form = KEYS[kind][key].form
        try:
            values[key] = form.read(written)
        except ValueError as error:
            raise wrong(source, f"{path}.{key}", written, str(error) or f"must be {form.type}") from None
    for key, (form, default) in KEYS[kind].items():
        if default is MISSING and key not in values:
            raise ConfigError(f"{source}: {path}.{key}: is missing; it must be {form.type}")
    return values


def _table(parent: Mapping[str, object], name: str, kind: str, path: str, source: str) -> Mapping[str, object]:
    table = parent.get(name, {})
    if not isinstance(table, dict):
        raise wrong(source, path, table, f"must be a table; write [{kind}] above its keys")
    return table


def _unknown(key: str, known: Iterable[str]) -> str:
    """What to do about a key that does not exist."""
    table = next((kind for kind, keys in KEYS.items() if key in keys), None)
    if table is not None:
        return f"belongs in the table [{table}]"
    close = difflib.get_close_matches(key, known, 1)
    hint = f"did you mean {close[0]}?" if close else f"the keys are {', '.join(known)}"
    return f"there is no such key; {hint}"


def _choose_dialects(server: dict[str, Any], source: str) -> None:
    """Turn `min_dialect` and `max_dialect` into `dialects`."""
    oldest = server.pop("min_dialect", min(ALL_DIALECTS))
    newest = server.pop("max_dialect", max(ALL_DIALECTS))
    chosen = tuple(dialect for dialect in ALL_DIALECTS if oldest <= dialect <= newest)
    if chosen != ALL_DIALECTS and "dialects" in server:
        raise ConfigError(f"{source}: server.dialects: not together with min_dialect or max_dialect; leave one out")
    if not chosen:
        raise ConfigError(f"{source}: server.min_dialect: must not be newer than max_dialect")
    server.setdefault("dialects", chosen)
