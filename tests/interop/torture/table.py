"""The table of leaf tests, and the page that is made of it.

`leaves.tsv` has a row per leaf: its name; the suite it is run from ("4.17" is Debian 12's, "4.22" its backports', used
for what only that one has or sees better); how it must end on `--platform linux` and on the memory platform ("-": not
run there); how it ends against the smbd of the same version with everything on (acl_xattr, streams_xattr, durable
handles, multichannel); and the reason if it does not pass here.  `docs/conformance.md` is made of the same rows:

    python -m tests.interop.torture.table > docs/conformance.md

Under the personality that $SMBPORT_TEST_PLATFORM names (tests/interop/launchers.py), each leaf must end as on Linux,
except those of `personalities.tsv`: a leaf, its suite, the personalities, how it ends there, and why.
"""

import csv
import fnmatch
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.interop.launchers import LAUNCHERS, chosen
from tests.interop.launchers import differences as clients_differ

__all__ = [
    "CLONING", "LOCAL_LOCKS", "PAGE", "PLATFORMS", "Case", "Leaf",
    "by_administrator", "cases", "differences", "options", "page", "rows", "share_of",
]  # fmt: skip

TABLE: Final = Path(__file__).with_name("leaves.tsv")
DIFFERENCES: Final = Path(__file__).with_name("personalities.tsv")
PAGE: Final = Path(__file__).parents[3] / "docs" / "conformance.md"
PLATFORMS: Final = ("linux", "memory")
PERSONALITIES: Final = tuple(name for name in LAUNCHERS if name.endswith("-model"))

# What some leaves must be told; {directory} is the served folder.
OPTIONS: Final = (
    ("smb2.ea.acl_xattr", "--option=torture:acl_xattr_name=NTACL"),
    ("smb2.samba3misc.*", "--option=torture:localdir={directory}"),
    ("smb2.kernel-oplocks.*", "--option=torture:localdir={directory}"),
)

# What must be run by an administrator: it gives files to others, or reads the list of what is audited.
BY_ADMINISTRATOR: Final = ("smb2.acls.SDFLAGSVSCHOWN", "smb2.create.acl*")

# What some leaves must be run on: a share that stores Windows security descriptors, one that has short names as well,
# one that is continuously available, one that can clone and compress, which is tried on Linux (a btrfs) and in memory
# only.
CLONING: Final = "cloning"
LOCAL_LOCKS: Final = "locks"  # one where locks of local programs count
SHARES: Final = (
    ("smb2.acls*", "nt"),
    ("smb2.compound.related[47]", "nt"),
    ("smb2.create.acl*", "nt"),
    ("smb2.create.nulldacl", "nt"),
    ("smb2.create.mkdir-visible", "nt"),
    ("smb2.delete-on-close-perms.READONLY", "data"),  # what its siblings leave behind, it cannot remove
    ("smb2.delete-on-close-perms.*", "nt"),
    ("smb2.ea.acl_xattr", "nt"),
    ("smb2.dir.one", "short"),
    ("smb2.getinfo.complex", "short"),
    ("smb2.getinfo.getinfo_access", "short"),
    ("smb2.maximum_allowed*", "nt"),
    ("smb2.name-mangling.*", "short"),
    ("smb2.samba3misc.*", LOCAL_LOCKS),
    ("smb2.session.reauth4", "nt"),
    ("smb2.sdread", "nt"),
    ("smb2.stream-inherit-perms", "nt"),
    ("smb2.streams.attributes1", "nt"),
    ("smb2.durable-v2-open.persistent-open-*", "ca"),
    ("smb2.replay.replay5", "ca"),
    ("smb2.ioctl.compress_notsup_*", "data"),
    ("smb2.ioctl.compress_*", CLONING),
    ("smb2.ioctl.dup_extents_*", CLONING),
)


class Leaf(NamedTuple):
    """One row."""

    name: str
    suite: str  # 4.17 or 4.22
    linux: str  # pass, fail, skip, or "-" if it is not run there
    memory: str
    samba: str  # pass, fail, skip, timeout or error
    reason: str


class Difference(NamedTuple):
    """A leaf that ends otherwise under some personalities than on Linux."""

    name: str
    suite: str
    platforms: str  # names of tests/interop/launchers.py, separated by commas
    ends: str  # pass, fail or skip
    reason: str


class Case(NamedTuple):
    """One leaf on one platform."""

    leaf: Leaf
    platform: str
    expected: str  # how it must end
    reason: str

    def __str__(self) -> str:
        return f"{self.leaf.name}/{self.leaf.suite}/{self.platform}"


def rows() -> list[Leaf]:
    """The table, in its order."""
    with TABLE.open(newline="") as table:
        return [Leaf(*row) for row in csv.reader(table, delimiter="\t")]


def differences() -> list[Difference]:
    """The table of personalities."""
    with DIFFERENCES.open(newline="") as table:
        return [Difference(*row) for row in csv.reader(table, delimiter="\t")]


def cases() -> list[Case]:
    """Everything that is to be run on the platform that was asked for."""
    if chosen() != "linux":
        return _cases_of(chosen())
    found = [Case(leaf, name, getattr(leaf, name), leaf.reason) for leaf in rows() for name in PLATFORMS]
    return [case for case in found if case.expected != "-"]


def _cases_of(personality: str) -> list[Case]:
    """As on Linux, but for what the table of personalities says."""
    others = {(row.name, row.suite): row for row in differences() if personality in row.platforms.split(",")}
    wanted = [leaf for leaf in rows() if leaf.linux != "-" and share_of(leaf.name) not in (CLONING, LOCAL_LOCKS)]
    ends = [(leaf, others.get((leaf.name, leaf.suite))) for leaf in wanted]
    return [
        Case(leaf, personality, other.ends, other.reason) if other else Case(leaf, personality, leaf.linux, leaf.reason)
        for leaf, other in ends
    ]


def options(name: str, directory: Path) -> list[str]:
    """The further arguments that a leaf needs."""
    return [option.format(directory=directory) for pattern, option in OPTIONS if fnmatch.fnmatchcase(name, pattern)]


def share_of(name: str) -> str:
    """The share to run a leaf on."""
    return next((share for pattern, share in SHARES if fnmatch.fnmatchcase(name, pattern)), "data")


def by_administrator(name: str) -> bool:
    """Whether the user that runs a leaf must be an administrator."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in BY_ADMINISTRATOR)


def page() -> str:
    """docs/conformance.md."""
    leaves = rows()
    out = [
        "# Conformance\n",
        "Samba's smbtorture, unmodified, one process per leaf test, against `--platform linux` and the memory",
        "platform with signing required, beside Samba's own smbd of the same version with everything on.  4.17 is",
        "Debian 12's, 4.22 that of its backports.  The rows are `tests/interop/torture/leaves.tsv`; the same file is a",
        "test, so a row that is not true fails the build.  This page is made by",
        "`python -m tests.interop.torture.table`.\n",
        "| group | suite | leaves | linux | memory | smbd |",
        "|---|---|---|---|---|---|",
    ]
    groups: dict[tuple[str, str], list[Leaf]] = defaultdict(list)
    for leaf in leaves:
        groups[".".join(leaf.name.split(".")[:2]), leaf.suite].append(leaf)
    for (name, suite), members in [*sorted(groups.items()), (("all", ""), leaves)]:
        out.append(f"| {name} | {suite} | {len(members)} | {_passes(members)} |")
    out += ["\n## What does not pass, and why\n", "| leaf | suite | smbd | reason |", "|---|---|---|---|"]
    out += [f"| {leaf.name} | {leaf.suite} | {leaf.samba} | {leaf.reason} |" for leaf in leaves if not _is_good(leaf)]
    out += [*_personalities(), *_foreign_clients()]
    return "\n".join(out) + "\n"


def _personalities() -> Iterator[str]:
    """What is expected of the leaves on other platforms."""
    yield from (
        "\n## On other platforms\n",
        "The same leaves against the ports to other systems, as far as those can be had on Linux",
        "(`SMBPORT_TEST_PLATFORM=qnx8-model pytest -m interop tests/interop/torture`).  Left out is what takes a",
        "btrfs, or locks of local programs.  The rows are `tests/interop/torture/personalities.tsv`.\n",
        "| platform | leaves | as on linux | otherwise |",
        "|---|---|---|---|",
    )
    for name in PERSONALITIES:
        expected = _cases_of(name)
        others = sum(case.expected != case.leaf.linux for case in expected)
        yield f"| {name} | {len(expected)} | {len(expected) - others} | {others} |"
    yield from ("\n| leaf | suite | platforms | ends | reason |", "|---|---|---|---|---|")
    for row in differences():
        yield f"| {row.name} | {row.suite} | {row.platforms.replace(',', ', ')} | {row.ends} | {row.reason} |"


def _foreign_clients() -> Iterator[str]:
    """The other suites' table."""
    yield from (
        "\n## Foreign clients on other platforms\n",
        "What passes on `--platform linux` and must fail elsewhere.  The rows are `tests/interop/personalities.tsv`; a",
        "test that passes all the same fails the build.  `linux-kernel` is the server in the kernel, ksmbd.\n",
        "| test | platforms | reason |",
        "|---|---|---|",
    )
    for row in clients_differ():
        yield f"| `{row.test}` | {row.platforms.replace(',', ', ')} | {row.reason} |"


def _passes(leaves: list[Leaf]) -> str:
    """How many pass on Linux, in memory, and with smbd, as cells of the table."""
    memory = [leaf.memory for leaf in leaves if leaf.memory != "-"]
    cells = (
        str(sum(leaf.linux == "pass" for leaf in leaves)),
        f"{memory.count('pass')} of {len(memory)}" if memory else "not run",
        str(sum(leaf.samba == "pass" for leaf in leaves)),
    )
    return " | ".join(cells)


def _is_good(leaf: Leaf) -> bool:
    return {leaf.linux, leaf.memory} <= {"pass", "-"}


if __name__ == "__main__":
    print(page(), end="")
