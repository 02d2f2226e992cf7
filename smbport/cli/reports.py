"""What there is to know before and while serving: `smbport platforms | selftest | status | check-config`."""

import argparse
import os
import platform as system
import sys
import tempfile
from typing import TYPE_CHECKING

from smbport.cli.refusal import Refusal
from smbport.cli.version import version_text

if TYPE_CHECKING:
    from smbport.config import Configuration
    from smbport.kernel import Kernel
    from smbport.platform import Platform

__all__ = ["check_config", "platforms", "selftest", "status"]


def platforms(options: argparse.Namespace) -> int:
    """The table of powers."""
    from smbport import registry

    print("installed: " + ", ".join(port.name for port in registry.installed()))
    platform = registry.find(options.name)
    account = platform.account
    print(f"\n{platform.name}, running as {account.name} (uid {account.uid}, gid {account.gid})\n")
    for power in registry.describe(platform):
        print(f"  {power.name:<11} {'yes' if power.present else 'no':<4} {power.reason}")
    if platform.kernel is not None:
        print(f"\n{platform.kernel.name}\n")
        _print_facts(platform.kernel)
    return 0


def _print_facts(kernel: "Kernel") -> None:
    for fact, value in kernel.describe():
        print(f"  {fact:<11} {value}")


def selftest(options: argparse.Namespace) -> int:
    """The exam for ports, with what a reader elsewhere must know of this system."""
    from smbport import registry

    platform = registry.find(options.platform)
    with tempfile.TemporaryDirectory(prefix="smbport-selftest-", dir=options.path) as directory:
        return _examine(platform, directory)


def _examine(platform: "Platform", directory: str) -> int:
    """Each finding is shown when it is found: some checks take a while."""
    from smbport.testing.kit import CHECKS, Report, examine

    where, account = os.uname(), platform.account
    print(f"{version_text()}, port {platform.name}, Python {system.python_version()}")
    print(f"{where.sysname} {where.release} {where.machine}, uid {account.uid}, in {directory}")
    volume = platform.open_volume(directory)
    print(f"file system: {volume.features.file_system}\n")
    volume.close()
    report = Report(platform.name, ())
    for check in CHECKS:
        found = examine(platform, directory, [check])
        print("\n".join(found.lines), flush=True)
        report = Report(platform.name, report.findings + found.findings)
    print(f"\n{report.verdict}")
    return 0 if report.passed else 1


def status(options: argparse.Namespace) -> int:
    """Sessions, shares and open files of a server in the kernel."""
    from smbport import registry

    platform = registry.find(options.platform)
    if platform.kernel is None:
        raise Refusal(f"{platform.name} serves from user space, of which there is no status; --platform linux-kernel")
    print("\n".join(platform.kernel.status()))
    return 0


def check_config(options: argparse.Namespace) -> int:
    """What is wrong with a file, if anything is."""
    from smbport.config import load

    configuration = load(options.file)
    shares = ", ".join(share.name for share in configuration.settings.shares) or "none"
    print(f"{options.file}: good; shares: {shares}")
    return _check_platform(configuration, options.platform) if options.platform else 0


def _check_platform(configuration: "Configuration", name: str) -> int:
    """What this port cannot do of what is configured."""
    from smbport import registry
    from smbport.control import find_problems

    platform = registry.find(name)
    if platform.kernel is None:
        print(f"{platform.name}: honours every setting")
        return 0
    print(f"\n{platform.kernel.name}\n")
    _print_facts(platform.kernel)
    problems = find_problems(configuration, platform.kernel)
    for problem in problems:
        print(f"smbport: not honoured: {problem}", file=sys.stderr)
    return 1 if problems else 0
