"""Samba's own suite, unmodified, one process per leaf test, held against a table of what is expected.

Most leaves wait for time-outs of their own, so several run at once, each against a server that it has to itself.
"""

import queue
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.btrfs import BtrfsMissing, mounted_btrfs
from tests.interop.conftest import USER, Serve, Served
from tests.interop.launchers import LAUNCHERS
from tests.interop.torture.suite import SuiteMissing, find_suite, outcome
from tests.interop.torture.table import (
    CLONING,
    LOCAL_LOCKS,
    PAGE,
    PLATFORMS,
    Case,
    by_administrator,
    cases,
    differences,
    options,
    page,
    rows,
    share_of,
)

pytestmark = pytest.mark.interop

AT_ONCE: Final = 4
PATIENCE_S: Final = 240

# A server as the leaves need it: wrong passwords and pipes by the thousand, and listings of 8 MiB.  Two connect to
# shares of Samba's own tests themselves: one hides what cannot be read, in the other the user may change nothing.
SHARES: Final = {
    "linux": {
        "data": {},
        "nt": {"acl": "nt"},
        "short": {"acl": "nt", "short_names": True, "list_ea_sizes": True},
        "ca": {"continuous_availability": True},
        "hideunread": {"acl": "nt", "access_based_enumeration": True},
        "noperm": {"read_only": True},
        LOCAL_LOCKS: {"local_locks": True},
    },
    "memory": {
        "data": {},
        "nt": {"acl": "nt"},
        "short": {"acl": "nt", "short_names": True, "list_ea_sizes": True},
        CLONING: {},
    },
}
LIMITS: Final = {
    "failed_logons_per_connection": 10_000_000,
    "failed_logon_delay_s": 0.0,
    "pipes_per_session": 2000,
    "transact_size": "8MiB",
}


class Lanes:
    """Servers that are free, by platform, and by whether their user is an administrator: few leaves need that."""

    def __init__(self, serve: Serve, wanted: set[tuple[str, bool]], btrfs: Path | BtrfsMissing | None) -> None:
        """`btrfs` is one that is mounted, or why there is none, or None if nobody needs it."""
        self._btrfs = btrfs
        self._free: dict[tuple[str, bool], queue.SimpleQueue[Served]] = {lane: queue.SimpleQueue() for lane in wanted}
        for name, administrator in sorted(wanted):
            for number in range(1 if administrator else AT_ONCE):
                store = serve.directory / f"handles-{name}-{administrator:d}-{number}"
                settings: dict[str, object] = {"anonymous": "ipc-only", "handle_store": str(store)}
                if administrator:
                    settings["administrators"] = [USER]
                port = name if name in PLATFORMS else None  # else the personality that was asked for
                shares = SHARES.get(name, SHARES["linux"])
                if name != "linux":
                    shares = {share: given for share, given in shares.items() if share != LOCAL_LOCKS}
                shares |= self._cloning(name, f"{administrator:d}-{number}")
                served = serve(platform=port, server=settings, limits=LIMITS, shares=shares)
                self._free[name, administrator].put(served)

    def _cloning(self, platform: str, lane: str) -> Mapping[str, Mapping[str, object]]:
        """The share on the btrfs, if it is wanted."""
        if platform != "linux" or not isinstance(self._btrfs, Path):
            return {}
        folder = self._btrfs / lane
        folder.mkdir()
        return {CLONING: {"path": str(folder)}}

    def run(self, case: Case) -> str:
        """Run one leaf on a server that nobody else uses meanwhile; returns its output."""
        if _needs_btrfs(case) and isinstance(self._btrfs, BtrfsMissing):
            raise self._btrfs
        lane = _lane(case)
        served = self._free[lane].get()
        try:
            share, name = share_of(case.leaf.name), case.leaf.name
            return find_suite(case.leaf.suite).run(
                f"//127.0.0.1/{share}",
                served.port,
                f"{served.user}%{served.password}",
                name,
                *options(name, served.path(share=share)),
                patience_s=PATIENCE_S,
            )
        finally:
            self._free[lane].put(served)


def _needs_btrfs(case: Case) -> bool:
    return share_of(case.leaf.name) == CLONING and case.platform == "linux"


def _lane(case: Case) -> tuple[str, bool]:
    return case.platform, by_administrator(case.leaf.name)


@pytest.fixture(scope="module")
def wanted(request: pytest.FixtureRequest) -> list[Case]:
    """The leaves that were selected."""
    return [
        item.callspec.params["case"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and "case" in item.callspec.params
    ]


@pytest.fixture(scope="module")
def btrfs(wanted: list[Case], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path | BtrfsMissing | None]:
    if not any(map(_needs_btrfs, wanted)):
        yield None
        return
    with ExitStack() as stack:
        try:
            folder: Path | BtrfsMissing = stack.enter_context(mounted_btrfs(tmp_path_factory.mktemp("cloning")))
        except BtrfsMissing as missing:
            folder = missing
        yield folder


@pytest.fixture(scope="module")
def outputs(
    wanted: list[Case], btrfs: Path | BtrfsMissing | None, serve_module: Serve
) -> Iterator[dict[Case, Future[str]]]:
    """What each leaf says, once it has run.  The servers end before their btrfs."""
    lanes = Lanes(serve_module, {_lane(case) for case in wanted}, btrfs)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            yield {case: pool.submit(lanes.run, case) for case in wanted}
        finally:
            pool.shutdown(cancel_futures=True)


@pytest.mark.timeout(1800)  # the first one waits for its turn like all others
@pytest.mark.parametrize("case", cases(), ids=str)
def test_leaf(outputs: dict[Case, Future[str]], case: Case) -> None:
    try:
        output = outputs[case].result()
    except (SuiteMissing, BtrfsMissing) as error:
        pytest.skip(str(error))
    assert outcome(output, case.leaf.name) == case.expected, f"{case.reason}\n{output[-3000:]}"


def test_every_failure_has_its_reason() -> None:
    for leaf in rows():
        assert leaf.suite in ("4.17", "4.22")
        assert {leaf.linux, leaf.memory} <= {"pass", "fail", "skip", "-"}
        assert {leaf.linux, leaf.memory} <= {"pass", "-"} or leaf.reason, f"{leaf.name} does not pass; say why"


def test_every_difference_is_of_a_leaf() -> None:
    leaves = {leaf[:2]: leaf for leaf in rows()}
    for row in differences():
        assert set(row.platforms.split(",")) <= set(LAUNCHERS)
        assert row.ends != leaves[row[:2]].linux
        assert row.reason


def test_every_leaf_is_there_once() -> None:
    names = [leaf[:2] for leaf in rows()]
    assert len(set(names)) == len(names)


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), f"run: python -m tests.interop.torture.table > {PAGE}"
