"""Samba's own suite, unmodified, one process per leaf test, held against a table of what is expected.

Most leaves wait for time-outs of their own, so several run at once, each against a server that it has to itself.
"""

import queue
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import pytest

from tests.interop.conftest import Serve, Served
from tests.interop.torture.suite import SuiteMissing, find_suite, outcome
from tests.interop.torture.table import PAGE, PLATFORMS, Case, cases, options, page, rows, share_of

pytestmark = pytest.mark.interop

AT_ONCE: Final = 4
PATIENCE_S: Final = 240

# A server as the leaves need it: wrong passwords by the thousand, and listings of 8 MiB.
SHARES: Final = {
    "linux": {"data": {}, "nt": {"acl": "nt"}, "ca": {"continuous_availability": True}},
    "memory": {"data": {}, "nt": {"acl": "nt"}},
}
LIMITS: Final = {"failed_logons_per_connection": 10_000_000, "failed_logon_delay_s": 0.0, "transact_size": "8MiB"}


class Lanes:
    """Servers that are free, by platform."""

    def __init__(self, serve: Serve, platforms: set[str]) -> None:
        self._free: dict[str, queue.SimpleQueue[Served]] = {name: queue.SimpleQueue() for name in PLATFORMS}
        for name in platforms:
            for number in range(AT_ONCE):
                settings = {"anonymous": "ipc-only", "handle_store": str(serve.directory / f"handles-{name}-{number}")}
                self._free[name].put(serve(platform=name, server=settings, limits=LIMITS, shares=SHARES[name]))

    def run(self, case: Case) -> str:
        """Run one leaf on a server that nobody else uses meanwhile; returns its output."""
        served = self._free[case.platform].get()
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
            self._free[case.platform].put(served)


@pytest.fixture(scope="module")
def outputs(request: pytest.FixtureRequest, serve_module: Serve) -> Iterator[dict[Case, Future[str]]]:
    """What each leaf that was selected says, once it has run."""
    wanted = [
        item.callspec.params["case"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and "case" in item.callspec.params
    ]
    lanes = Lanes(serve_module, {case.platform for case in wanted})
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
    except SuiteMissing as error:
        pytest.skip(str(error))
    assert outcome(output, case.leaf.name) == case.expected, f"{case.leaf.reason}\n{output[-3000:]}"


def test_every_failure_has_its_reason() -> None:
    for leaf in rows():
        assert leaf.suite in ("4.17", "4.22")
        assert {leaf.linux, leaf.memory} <= {"pass", "fail", "skip", "-"}
        assert {leaf.linux, leaf.memory} <= {"pass", "-"} or leaf.reason, f"{leaf.name} does not pass; say why"


def test_every_leaf_is_there_once() -> None:
    names = [leaf[:2] for leaf in rows()]
    assert len(set(names)) == len(names)


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), f"run: python -m tests.interop.torture.table > {PAGE}"
