"""smbport.cli with a platform whose kernel serves."""

import io
import logging
import os
import resource
import signal
import sys

import pytest
import trio

from smbport import cli, registry
from smbport.cli import serve
from smbport.kernel import KernelSetting
from smbport.platform import Account
from smbport.testing.kernel import FakeKernel
from smbport.testing.memory import MemoryPlatform

CONFIG = """\
[server]
platform = "linux-kernel"
[share.data]
path = "v"
"""
NEVER = KernelSetting("Never.", False, lambda value, server: "never")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setattr("smbport.users.default_store_path", lambda: tmp_path / "users.db")
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: pytest.fail("no descriptors are needed here"))
    monkeypatch.setattr(sys, "stdin", io.StringIO("secret\n"))
    return tmp_path


@pytest.fixture
def kernel(monkeypatch):
    platform = MemoryPlatform(accounts=[Account("alice", 1001, 1001)])
    platform.name, platform.kernel = "linux-kernel", FakeKernel()
    monkeypatch.setattr(registry, "find", lambda name: platform if name == "linux-kernel" else MemoryPlatform())
    return platform.kernel


@pytest.fixture
def config(home):
    file = home / "smbport.toml"
    file.write_text(CONFIG)
    return file


@pytest.fixture
def meanwhile(monkeypatch):
    """`meanwhile(action)`: run the coroutine function when the server greets, and then stop it by SIGTERM."""

    def meanwhile(action):
        greet = serve._greet

        async def act():
            await action()
            os.kill(os.getpid(), signal.SIGTERM)

        def greet_and_go(run, addresses):
            greet(run, addresses)
            trio.lowlevel.spawn_system_task(act)

        monkeypatch.setattr(serve, "_greet", greet_and_go)

    return meanwhile


async def reload_until(holds):
    os.kill(os.getpid(), signal.SIGHUP)
    with trio.fail_after(10):
        while not holds():
            await trio.lowlevel.checkpoint()


def test_the_kernel_serves_until_a_signal(kernel, config, meanwhile, capsys):
    seen = []

    async def look():
        logon = await kernel.answers.log_on("alice")
        seen.append((logon.account.uid, kernel.answers.find_share("data").name))

    meanwhile(look)
    assert cli.main(["serve", "--config", str(config), "--user", "alice"]) == 0
    assert seen == [(1001, "data")]
    assert kernel.answers is None
    assert "serves on every device:445 (platform linux-kernel)" in capsys.readouterr().out


def test_a_signal_reads_the_file_again(kernel, config, meanwhile, caplog):
    caplog.set_level("INFO")

    async def change():
        config.write_text(CONFIG + '[share.more]\npath = "w"\n')
        await reload_until(lambda: kernel.answers.find_share("more"))
        config.write_text("nonsense")
        await reload_until(lambda: "all is as before" in caplog.text)
        assert kernel.answers.find_share("more")
        config.write_text(CONFIG.replace("[share", 'users = "/other"\nlog = "error"\n[share'))
        await reload_until(lambda: logging.getLogger().level == logging.ERROR)
        assert kernel.answers.find_share("more") is None

    meanwhile(change)
    assert cli.main(["serve", "--config", str(config), "--user", "alice"]) == 0
    assert "the change of user_database takes a new start of smbport" in caplog.text
    assert "is not TOML" in caplog.text


def test_what_is_missing_is_refused_or_allowed(kernel, config, meanwhile, capsys, caplog):
    kernel.settings = {**kernel.settings, "share.NAME.path": NEVER}
    arguments = ["serve", "--config", str(config), "--user", "alice"]
    assert cli.main(arguments) == 1
    said = capsys.readouterr().err
    assert 'share.data.path = "v": never' in said
    assert "--platform linux honours it" in said
    sys.stdin = io.StringIO("secret\n")

    async def nothing():
        assert kernel.answers

    meanwhile(nothing)
    assert cli.main([*arguments, "--allow-missing"]) == 0
    assert 'not honoured: share.data.path = "v": never' in caplog.text


def test_a_kernel_that_cannot_be_used(kernel, config, capsys):
    kernel.refusal = "cannot drive ksmbd: run it as root"
    assert cli.main(["serve", "--config", str(config), "--user", "alice"]) == 1
    assert capsys.readouterr().err == "smbport: cannot drive ksmbd: run it as root\n"


def test_platforms_and_status(kernel, capsys):
    assert cli.main(["platforms", "linux-kernel"]) == 0
    said = capsys.readouterr().out
    assert "  kernel      yes" in said
    assert said.endswith("fake\n\n  kernel      none\n")
    assert cli.main(["status"]) == 0
    assert capsys.readouterr().out == "state: startup\n"
    assert cli.main(["status", "--platform", "memory"]) == 1
    assert "serves from user space" in capsys.readouterr().err


def test_checking_a_file_for_a_platform(kernel, config, capsys):
    assert cli.main(["check-config", str(config), "--platform", "memory"]) == 0
    assert "memory: honours every setting" in capsys.readouterr().out
    assert cli.main(["check-config", str(config), "--platform", "linux-kernel"]) == 0
    assert "  kernel      none" in capsys.readouterr().out
    kernel.settings = {**kernel.settings, "share.NAME.path": NEVER}
    assert cli.main(["check-config", str(config), "--platform", "linux-kernel"]) == 1
    assert capsys.readouterr().err == 'smbport: not honoured: share.data.path = "v": never\n'
