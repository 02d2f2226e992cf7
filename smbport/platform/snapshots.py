"""Previous versions: volumes as they were when a snapshot of them was taken."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, Protocol

from smbport.platform.volumes import Volume

__all__ = ["SnapshotLayout", "SnapshotTimes", "Snapshots"]

SnapshotTimes = Literal["utc", "local", "modified", "snapper"]
"""How it is known when a snapshot was taken: by its name, in UTC or in this machine's time; by when the directory
was last changed; or by the `info.xml` in it, as snapper writes it."""

DIRECTIVES: Final = {"Y": "[0-9]{4}", "m": "[0-9]{2}", "d": "[0-9]{2}", "H": "[0-9]{2}", "M": "[0-9]{2}",
                     "S": "[0-9]{2}", "s": "[0-9]{1,11}"}  # fmt: skip
FIELDS: Final = "YmdHMS"
DAY: Final = frozenset("Ymd")
IN_NAMES: Final = ("utc", "local")
WILD: Final = re.compile(r"%(.?)|\*|[^%*]+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SnapshotLayout:
    """Where the snapshots of a volume are: each is a directory in `directory`, with a name like `pattern`."""

    directory: str  # from the root of the volume, or, with a leading "/", from that of the host
    pattern: re.Pattern[str]  # its groups are the directives of strftime
    below: str  # from there to what was the root of the volume; "" is the directory itself
    times: SnapshotTimes

    @classmethod
    def parse(cls, text: str, times: SnapshotTimes) -> "SnapshotLayout":
        """A path, one part of which has `*` and directives of strftime.  ValueError says what is wrong with it."""
        parts = text.strip("/").split("/")
        wild = [number for number, part in enumerate(parts) if "*" in part or "%" in part]
        if len(wild) != 1:
            raise ValueError("must be a path of which exactly one part has * or %")
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise ValueError("must be a path without empty parts, . and ..")
        pattern = _compile(parts[wild[0]])
        told = set(pattern.groupindex)
        if times in IN_NAMES and not (told >= DAY or "s" in told):
            raise ValueError("must have %Y, %m and %d, or %s, in the part that differs")
        if times not in IN_NAMES and told:
            raise ValueError(f'must have * and no %, because snapshot_times is "{times}"')
        above = "/".join(parts[: wild[0]])
        return cls("/" + above if text.startswith("/") else above, pattern, "/".join(parts[wild[0] + 1 :]), times)

    def time_in(self, name: str) -> int | None:
        """When the snapshot of that name was taken, in nanoseconds; None if it is none, or its name does not tell."""
        match = self.pattern.fullmatch(name)
        if match is None or self.times not in IN_NAMES:
            return None
        told = match.groupdict()
        if "s" in told:
            return int(told["s"]) * 10**9
        year, month, day, hour, minute, second = (int(told.get(field, 0)) for field in FIELDS)
        zone = UTC if self.times == "utc" else None
        try:
            return int(datetime(year, month, day, hour, minute, second, tzinfo=zone).timestamp()) * 10**9
        except (ValueError, OverflowError):  # the thirtieth of February
            return None


def _compile(part: str) -> re.Pattern[str]:
    """The expression for a pattern."""
    expression = ""
    for token in WILD.finditer(part):
        text, directive = token[0], token[1]
        if text == "*":
            expression += ".*"
        elif directive is None or directive == "%":
            expression += re.escape(text.replace("%%", "%"))
        elif directive not in DIRECTIVES:
            raise ValueError(f"must have no %{directive}; %Y %m %d %H %M %S, %s and %% are known")
        elif f"(?P<{directive}>" in expression:
            raise ValueError(f"must have %{directive} once only")
        else:
            expression += f"(?P<{directive}>{DIRECTIVES[directive]})"
    return re.compile(expression, re.DOTALL)


class Snapshots(Protocol):
    """Earlier states of whole volumes, as the system or its administrator keeps them.

    `path` is what `Platform.open_volume` takes.  Both look as the server: who may see what is in a snapshot, the
    snapshot says itself.
    """

    def times(self, path: str, layout: SnapshotLayout, *, wait: bool = False) -> list[int]:
        """When snapshots were taken: each time once, newest first, in whole seconds.  [] also if nothing is there."""

    def open(self, path: str, layout: SnapshotLayout, time_ns: int, *, wait: bool = False) -> Volume:
        """The volume as it was.  FileNotFoundError if no snapshot was taken in that second.

        No name leads out of it, not to the volume of today either.  Its features say that it is read-only: `open`
        takes ACCESS_WRITE, but what is open cannot be written; what would change a name is OSError(EROFS).  A file
        may have the key that it has today.
        """
