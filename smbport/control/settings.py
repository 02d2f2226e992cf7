"""Which settings a server in the kernel cannot honour.  None is ignored: what differs from its default stops the start.

The kernel's port has one `KernelSetting` for every key of the configuration; what it says is also the table of
docs/kernel-mode.md.
"""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING
from typing import Any, NamedTuple

from smbport.config.forms import toml
from smbport.config.keys import KEYS, RUN_KEYS, Configuration, share_path
from smbport.kernel import Kernel, KernelSetting

__all__ = ["Problem", "find_problems", "reference"]


class Problem(NamedTuple):
    """One setting that cannot be honoured."""

    key: str  # "share.data.encryption"
    value: object  # as the file has it
    reason: str

    def __str__(self) -> str:
        return f"{self.key} = {toml(self.value)}: {self.reason}"


def find_problems(configuration: Configuration, kernel: Kernel) -> list[Problem]:
    """Every setting that is not its default and cannot be honoured."""
    settings = configuration.settings
    server = {key: getattr(settings, key, None) for key in KEYS["server"]}
    server |= {key: getattr(configuration, field) for key, field in RUN_KEYS.items()}
    limits = {key: getattr(settings.limits, key) for key in KEYS["limits"]}
    others = server | limits
    problems = list(_find("server", "server", server, others, kernel))
    problems += _find("limits", "limits", limits, others, kernel)
    for share in settings.shares:
        values = {key: getattr(share, key) for key in KEYS["share.NAME"]}
        problems += _find("share.NAME", share_path(share.name), values, others, kernel)
    return problems


def _find(
    kind: str, table: str, values: Mapping[str, Any], others: Mapping[str, Any], kernel: Kernel
) -> Iterator[Problem]:
    for key, (form, default) in KEYS[kind].items():
        value = values[key]
        if value is None or (default is not MISSING and value == default):
            continue
        reason = kernel.settings[f"{kind}.{key}"].problem(value, others)
        if reason is not None:
            yield Problem(f"{table}.{key}", form.write(value), reason)


def reference(settings: Mapping[str, KernelSetting]) -> str:
    """The table of docs/kernel-mode.md, in Markdown."""
    lines = ["| setting | honoured | how, or what the kernel does instead |", "|---|---|---|"]
    lines += [f"| `{key}` | {'yes' if row.honoured else 'no'} | {row.how} |" for key, row in settings.items()]
    return "\n".join(lines) + "\n"
