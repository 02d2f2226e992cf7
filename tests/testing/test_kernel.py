"""smbport.testing.kernel: a kernel's server that there is none of keeps the contract."""

import pytest

from smbport.kernel import Kernel, KernelError, KernelShare
from smbport.testing.kernel import FakeKernel


async def test_it_remembers_what_it_is_told():
    fake = FakeKernel()
    kernel: Kernel = fake
    kernel.check()
    assert kernel.describe()
    assert kernel.share_problems(KernelShare(name="data", path="/")) == []
    async with kernel.serve("plan", "answers") as server:
        assert (fake.plans, fake.answers, server.took_over) == (["plan"], "answers", False)
        assert kernel.status() == ["state: running"]
        await server.restart("other")
    assert (fake.plans, fake.answers) == (["plan", "other"], None)
    assert kernel.status() == ["state: startup"]


async def test_what_tests_set():
    fake = FakeKernel()
    fake.refusal, fake.unfit = "no", {"data": ("path", "gone")}
    with pytest.raises(KernelError, match="no"):
        fake.check()
    assert fake.share_problems(KernelShare(name="data", path="/")) == [("path", "gone")]
    fake.broken = "taken"
    with pytest.raises(KernelError, match="taken"):
        async with fake.serve("plan", "answers"):
            pytest.fail("it serves")
