"""smbport.control.serve: from a configuration to a server in the kernel, and back."""

import pytest

from smbport.config import ConfigError, parse
from smbport.control import Refused, serve_from_kernel
from smbport.kernel import KernelError, KernelSetting
from smbport.testing.memory import MemoryPlatform

DATA = '[share.data]\npath = "v"'
NEVER = KernelSetting("Never.", False, lambda value, server: "never")


def configured(text=DATA):
    return parse(text, "test.toml")


async def refusal(platform, users, text=DATA, kind=KernelError):
    with pytest.raises(kind) as caught:
        async with serve_from_kernel(configured(text), users, platform):
            pytest.fail("it serves")
    return str(caught.value)


async def test_it_runs_while_the_block_does(platform, users):
    async with serve_from_kernel(configured(), users, platform) as controlled:
        assert platform.kernel.plans == [controlled.plan]
        assert platform.kernel.answers is controlled.answers
        assert (await platform.kernel.answers.log_on("alice")).account.uid == 1001
        assert platform.kernel.answers.find_share("data").name == "data"
    assert platform.kernel.answers is None


async def test_a_platform_without_a_kernel(users):
    assert "has no server in the kernel" in await refusal(MemoryPlatform(), users)


async def test_a_platform_without_accounts(platform, users):
    platform.identity, platform.absent = None, {"identity": "takes root"}
    assert "takes root" in await refusal(platform, users)


async def test_a_process_that_may_not(platform, users):
    platform.kernel.refusal = "run it as root"
    assert await refusal(platform, users) == "run it as root"


async def test_settings_that_cannot_be_honoured(platform, users, caplog):
    platform.kernel.settings = {**platform.kernel.settings, "share.NAME.comment": NEVER, "server.log": NEVER}
    platform.kernel.unfit = {"data": ("path", "elsewhere")}
    text = f'[server]\nlog = "debug"\n{DATA}\ncomment = "all"'
    said = await refusal(platform, users, text, Refused)
    assert said.splitlines() == [
        "fake cannot honour the configuration (--platform linux honours it; --allow-missing serves without it):",
        '  server.log = "debug": never',
        '  share.data.comment = "all": never',
        '  share.data.path = "v": elsewhere',
    ]
    assert platform.kernel.plans == []
    async with serve_from_kernel(configured(text), users, platform, allow_missing=True):
        assert platform.kernel.answers
    assert 'not honoured: share.data.comment = "all": never' in caplog.text


async def test_what_differs_is_said_even_if_nothing_is_set(platform, users, caplog):
    caplog.set_level("INFO")
    own = dict.fromkeys(("server.log", "share.NAME.comment", "limits.credits"), NEVER)
    platform.kernel.settings = {**platform.kernel.settings, **own}
    async with serve_from_kernel(configured(), users, platform):
        (line,) = [line for line in caplog.messages if "its own way" in line]
    assert "fake does these its own way, whatever their defaults: server.log, share.NAME.comment, and 1 limits" in line


async def test_known_faults(platform, users, caplog):
    platform.kernel.faults = [(False, "it is slow")]
    async with serve_from_kernel(configured(), users, platform):
        assert "it is slow" in caplog.text
    platform.kernel.faults = [(True, "it crashes")]
    assert await refusal(platform, users, kind=Refused) == "it crashes; --allow-missing serves all the same"
    async with serve_from_kernel(configured(), users, platform, allow_missing=True):
        assert "it crashes" in caplog.text


async def test_a_server_that_does_not_start(platform, users):
    platform.kernel.broken = "the port is taken"
    assert await refusal(platform, users) == "the port is taken"


async def test_taking_over_is_said(platform, users, caplog):
    platform.kernel.orphaned = True
    async with serve_from_kernel(configured(), users, platform):
        assert "took over fake" in caplog.text


async def test_shares_and_users_change_without_a_new_start(platform, users, caplog):
    caplog.set_level("INFO")
    async with serve_from_kernel(configured(), users, platform) as controlled:
        await controlled.reload(configured(f'{DATA}\n[share.more]\npath = "w"'), users)
        assert platform.kernel.answers.find_share("more")
        assert len(platform.kernel.plans) == 1
    assert "reloaded: shares and users" in caplog.text


async def test_what_the_kernel_takes_at_its_start_only(platform, users, caplog):
    caplog.set_level("INFO")
    async with serve_from_kernel(configured(), users, platform) as controlled:
        await controlled.reload(configured(f'[server]\nsigning = "offered"\nserver_name = "NEW"\n{DATA}'), users)
        assert [plan.server_name for plan in platform.kernel.plans] == ["SMBPORT", "NEW"]
        assert controlled.plan.signing_required is False
    assert "a change of server_name, signing_required takes a new start of fake; clients reconnect" in caplog.text
    assert caplog.messages[-1] == "fake started anew"


async def test_a_configuration_that_cannot_be_served_changes_nothing(platform, users):
    async with serve_from_kernel(configured(), users, platform) as controlled:
        plan = controlled.plan
        platform.kernel.settings = {**platform.kernel.settings, "server.comment": NEVER}
        with pytest.raises(Refused):
            await controlled.reload(configured('[server]\ncomment = "x"\n[share.other]\npath = "v"'), users)
        with pytest.raises(ConfigError):
            await controlled.reload(configured('[share.other]\npath = "v"\nrun_as = "eve"'), users)
        assert controlled.plan is plan
        assert controlled.answers.find_share("data")
        assert controlled.answers.find_share("other") is None
