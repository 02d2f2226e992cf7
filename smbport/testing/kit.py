"""The exam for ports: every rule of `smbport.platform` that can be seen from outside, checked on a real system.

    report = examine(PORT.probe(), "/srv/empty")
    print(report)

A check raises ExamFailed with a sentence that says what the contract demands, or NotExamined if it does not
apply; otherwise it returns a remark, mostly "".  The checks work in a directory of their own on the volume and
remove it afterwards.  `smbport selftest` runs them all.  What no exam can see is whether an inline call waits
for a disk, and whether synced data survives a power cut: porters answer for that themselves.
"""

import errno
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from smbport.platform import Platform
from smbport.testing.exam.acls import check_acl
from smbport.testing.exam.bench import ExamFailed, NotExamined
from smbport.testing.exam.blocking import check_blocking, check_threads
from smbport.testing.exam.compression import check_compression
from smbport.testing.exam.containment import check_containment, check_links
from smbport.testing.exam.honesty import check_honesty, check_sockets
from smbport.testing.exam.names import check_names, check_removing, check_renaming
from smbport.testing.exam.nodes import check_directories, check_files, check_times
from smbport.testing.exam.powers import (
    check_attributes,
    check_clone,
    check_identity,
    check_sparse,
    check_zero_copy,
)
from smbport.testing.exam.range_locks import check_range_locks
from smbport.testing.exam.snapshots import check_snapshots
from smbport.testing.exam.streams import check_streams
from smbport.testing.exam.volumes import check_read_only, check_volume
from smbport.testing.exam.watching import check_watch

__all__ = [
    "CHECKS", "Check", "ExamFailed", "Finding", "NotExamined", "Report", "check_acl", "check_attributes",
    "check_blocking", "check_clone", "check_compression", "check_containment", "check_directories", "check_files",
    "check_honesty", "check_identity", "check_links", "check_names", "check_range_locks", "check_read_only",
    "check_removing", "check_renaming", "check_snapshots", "check_sockets", "check_sparse", "check_streams",
    "check_threads", "check_times", "check_volume", "check_watch", "check_zero_copy", "examine",
]  # fmt: skip

Outcome = Literal["passed", "failed", "absent"]
Check = Callable[[Platform, str], str]

CHECKS: Final[dict[str, Check]] = {
    "honesty": check_honesty,
    "sockets": lambda platform, path: check_sockets(platform),
    "volume": check_volume,
    "names": check_names,
    "renaming": check_renaming,
    "removing": check_removing,
    "containment": check_containment,
    "links": check_links,
    "files": check_files,
    "directories": check_directories,
    "times": check_times,
    "blocking": check_blocking,
    "threads": check_threads,
    "read_only": check_read_only,
    "zero_copy": check_zero_copy,
    "acl": check_acl,
    "attributes": check_attributes,
    "streams": check_streams,
    "watch": check_watch,
    "identity": check_identity,
    "clone": check_clone,
    "sparse": check_sparse,
    "compression": check_compression,
    "range_locks": check_range_locks,
    "snapshots": check_snapshots,
}
"""Every check by name, in the order in which `examine` runs them."""


class Finding(NamedTuple):
    """What came of one check: a remark if it passed, the broken rule if it failed, the reason if it is absent."""

    check: str
    outcome: Outcome
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    """What came of the whole exam."""

    platform: str
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        return not any(finding.outcome == "failed" for finding in self.findings)

    @property
    def lines(self) -> list[str]:
        return [f"{check:12} {outcome:7} {detail}".rstrip() for check, outcome, detail in self.findings]

    @property
    def verdict(self) -> str:
        return f"{self.platform} {'passed' if self.passed else 'failed'} the exam"

    def __str__(self) -> str:
        return "\n".join([*self.lines, self.verdict])


def examine(platform: Platform, path: str, checks: Iterable[str] = CHECKS) -> Report:
    """Run the checks of those names on the volume `path`; to be called outside of any event loop."""
    return Report(platform.name, tuple(_find(name, platform, path) for name in checks))


def _find(name: str, platform: Platform, path: str) -> Finding:
    try:
        return Finding(name, "passed", CHECKS[name](platform, path))
    except NotExamined as reason:
        return Finding(name, "absent", str(reason))
    except ExamFailed as broken:
        return Finding(name, "failed", str(broken))
    except OSError as error:
        number = errno.errorcode.get(error.errno or 0, error)
        return Finding(name, "failed", f"{_name_call(error)} raised {number} where it must work: {error}")


def _name_call(error: OSError) -> str:
    """Which call raised it; the proctor has noted that."""
    return "".join(getattr(error, "__notes__", ["something"])[:1])
