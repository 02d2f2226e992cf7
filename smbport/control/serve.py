"""Running a server in the kernel, as `server/serve.py` runs the one here.

async with serve_from_kernel(configuration, users, platform) as controlled:
    await controlled.reload(changed, users)
"""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from smbport.config.keys import Configuration
from smbport.control.answers import Answers
from smbport.control.plan import make_plan
from smbport.control.rules import Rules, find_rules
from smbport.control.settings import Problem, find_problems
from smbport.kernel import Kernel, KernelError, KernelPlan, KernelServer
from smbport.platform import Identity, Platform
from smbport.security.auth import UserDatabase
from smbport.server.logon import new_authenticator

__all__ = ["Controlled", "Refused", "serve_from_kernel"]

log = logging.getLogger("smbport")

WAY_OUT: Final = "--platform linux honours it; --allow-missing serves without it"


class Refused(KernelError):
    """A configuration that this kernel cannot serve; nothing was started or changed for it."""


class Controlled:
    """A server in the kernel that obeys this process."""

    def __init__(self, control: "_Control", plan: KernelPlan, answers: Answers, server: KernelServer) -> None:
        self._control = control
        self.plan = plan
        self.answers = answers
        self.server = server

    async def reload(self, configuration: Configuration, users: UserDatabase) -> None:
        """Obey another configuration.  Refused, ConfigError and OSError mean that the old one still holds.

        Shares and users change for whoever connects from now on.  What the kernel takes only at its start makes it
        start anew, which ends all connections.
        """
        plan, rules = await self._control.prepare(configuration, users)
        self.answers.adopt(rules, new_authenticator(configuration.settings, users))
        if plan == self.plan:
            log.info("reloaded: shares and users are those of now; who is connected stays so")
            return
        changed = [name for name in KernelPlan.__slots__ if getattr(plan, name) != getattr(self.plan, name)]
        log.warning(
            "reloaded: a change of %s takes a new start of %s; clients reconnect",
            ", ".join(changed),
            self._control.name,
        )
        self.plan = plan
        await self.server.restart(plan)
        log.info("%s started anew", self._control.name)


@asynccontextmanager
async def serve_from_kernel(
    configuration: Configuration, users: UserDatabase, platform: Platform, *, allow_missing: bool = False
) -> AsyncIterator[Controlled]:
    """Serve while the block runs; when it is left, nothing listens any more.

    What this kernel cannot honour is refused, or with `allow_missing` only warned of.  Raises KernelError,
    ConfigError about an account or a group that is missing, OSError about a directory.
    """
    control = _Control(platform, allow_missing)
    control.kernel.check()
    plan, rules = await control.prepare(configuration, users)
    control.say_what_differs()
    authenticator = new_authenticator(configuration.settings, users)
    answers = Answers(rules, authenticator, control.identity, plan.machine_id)
    async with control.kernel.serve(plan, answers) as server:
        if server.took_over:
            log.warning("took over %s, which ran on without its daemon; who is connected stays so", control.name)
        yield Controlled(control, plan, answers, server)


class _Control:
    """What does not change from one configuration to the next."""

    def __init__(self, platform: Platform, allow_missing: bool) -> None:
        if platform.kernel is None:
            raise KernelError(f"the platform {platform.name} has no server in the kernel")
        if platform.identity is None:
            raise KernelError(f"accounts of the system cannot be used: {platform.absent.get('identity')}")
        self.kernel: Kernel = platform.kernel
        self.identity: Identity = platform.identity
        self.name = self.kernel.name
        self._platform = platform
        self._allow_missing = allow_missing

    async def prepare(self, configuration: Configuration, users: UserDatabase) -> tuple[KernelPlan, Rules]:
        """Everything that is made of a configuration, or the reason why it cannot be served."""
        plan = make_plan(configuration, users.machine_id)
        rules = await find_rules(configuration.settings, self._platform, self.identity, "settings")
        self._report(find_problems(configuration, self.kernel) + _share_problems(rules, self.kernel))
        for serious, text in self.kernel.find_faults(plan):
            if serious and not self._allow_missing:
                raise Refused(f"{text}; --allow-missing serves all the same")
            log.warning("%s", text)
        return plan, rules

    def say_what_differs(self) -> None:
        """One line about settings that may be left alone, but do nothing here."""
        own = [key for key, row in self.kernel.settings.items() if not row.honoured]
        named = [key for key in own if not key.startswith("limits.")]
        if own:
            log.info(
                "%s does these its own way, whatever their defaults: %s, and %d limits; docs/kernel-mode.md says how",
                self.name, ", ".join(named) or "none", len(own) - len(named),
            )  # fmt: skip

    def _report(self, problems: Sequence[Problem]) -> None:
        if problems and not self._allow_missing:
            found = "\n".join(f"  {problem}" for problem in problems)
            raise Refused(f"{self.name} cannot honour the configuration ({WAY_OUT}):\n{found}")
        for problem in problems:
            log.warning("not honoured: %s", problem)


def _share_problems(rules: Rules, kernel: Kernel) -> list[Problem]:
    return [
        Problem(f"share.{share.name}.{key}", getattr(settings.settings, key), reason)
        for settings, share in rules.shares.values()
        for key, reason in kernel.share_problems(share)
    ]
