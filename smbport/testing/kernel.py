"""A server in the kernel that there is none of: it remembers what it is told, and tests ask its questions."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from smbport.config.keys import KEYS
from smbport.kernel import KernelAnswers, KernelError, KernelPlan, KernelServer, KernelSetting, KernelShare

__all__ = ["FakeKernel", "FakeServer"]


class FakeServer:
    """What `FakeKernel.serve` gives."""

    def __init__(self, kernel: "FakeKernel", took_over: bool) -> None:
        self.took_over = took_over
        self._kernel = kernel

    async def restart(self, plan: KernelPlan) -> None:
        self._kernel.start(plan)


class FakeKernel:
    """The power `kernel`.  Every attribute may be set by a test."""

    name = "fake"

    def __init__(self) -> None:
        self.settings: Mapping[str, KernelSetting] = {
            f"{table}.{key}": KernelSetting("As in user space.") for table, keys in KEYS.items() for key in keys
        }
        self.faults: list[tuple[bool, str]] = []
        self.unfit: dict[str, tuple[str, str]] = {}  # share -> (key, reason)
        self.refusal: str | None = None  # why this process may not use it
        self.broken: str | None = None  # why it does not start
        self.orphaned = False  # it runs already, without a daemon
        self.plans: list[KernelPlan] = []  # with which it was started, one after the other
        self.answers: KernelAnswers | None = None  # who answers questions, while it runs

    def describe(self) -> Sequence[tuple[str, str]]:
        return [("kernel", "none")]

    def find_faults(self, plan: KernelPlan) -> Sequence[tuple[bool, str]]:
        return self.faults

    def check(self) -> None:
        if self.refusal is not None:
            raise KernelError(self.refusal)

    def share_problems(self, share: KernelShare) -> Sequence[tuple[str, str]]:
        return [self.unfit[share.name]] if share.name in self.unfit else []

    def status(self) -> Sequence[str]:
        return ["state: running" if self.answers else "state: startup"]

    def start(self, plan: KernelPlan) -> None:
        """Start, as `serve` and `restart` do."""
        if self.broken is not None:
            raise KernelError(self.broken)
        self.plans.append(plan)

    @asynccontextmanager
    async def serve(self, plan: KernelPlan, answers: KernelAnswers) -> AsyncIterator[KernelServer]:
        self.start(plan)
        self.answers = answers
        try:
            yield FakeServer(self, self.orphaned)
        finally:
            self.answers = None
