"""The command line: `smbport serve | user | platforms | status | check-config`."""

import argparse
import getpass
import logging
import os
import resource
import secrets
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from smbport import __version__

if TYPE_CHECKING:
    from smbport.config import Configuration
    from smbport.control import Controlled
    from smbport.kernel import Kernel
    from smbport.platform import Platform
    from smbport.security.auth import UserDatabase
    from smbport.state.settings import Settings

__all__ = ["main"]

STANDARD_PORT: Final = 445
OTHER_PORT: Final = 4445  # where 445 is not allowed
RESERVED_DESCRIPTORS: Final = 256  # for listeners, databases, threads and the directories they walk through (guessed)
DEFAULT_USER: Final = "smbport"

log = logging.getLogger("smbport")


class Refusal(Exception):
    """What the user asked for cannot be done; the text says why and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 done, 1 refused or failed, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        print(f"smbport: {where}{error.strerror or error}", file=sys.stderr)
        return 1
    except _explained() as error:
        print(f"smbport: {error}", file=sys.stderr)
        return 1


def _explained() -> tuple[type[Exception], ...]:
    """Errors whose text is made for people; anything else is a bug and shows its traceback."""
    from smbport.config import ConfigError
    from smbport.kernel import KernelError
    from smbport.registry import PlatformError
    from smbport.users import UserError

    return (Refusal, ConfigError, KernelError, PlatformError, UserError)


# Arguments ------------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="smbport",
        description="An SMB 2.0.2 - 3.1.1 file server.",
        epilog="First steps:  smbport serve --share data=/srv/data   (makes a user for this run and prints it)",
    )
    parser.add_argument("--version", action="version", version=f"smbport {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands)
    _add_user(commands)
    platforms = commands.add_parser(
        "platforms", help="what the installed ports can do here", description="The table of ports and their powers."
    )
    platforms.add_argument("name", nargs="?", help="one port; default: the one for this system")
    platforms.set_defaults(run=_platforms)
    status = commands.add_parser(
        "status", help="what a server in the kernel does now", description="Sessions, shares and open files."
    )
    status.add_argument("--platform", metavar="NAME", default="linux-kernel", help="default: linux-kernel")
    status.set_defaults(run=_status)
    check = commands.add_parser(
        "check-config", help="read a configuration file and say what is wrong with it", description="Check a file."
    )
    check.add_argument("file", metavar="FILE", help="TOML; docs/configuration.md has every key")
    check.add_argument("--platform", metavar="NAME", help="and say what this port cannot honour")
    check.set_defaults(run=_check_config)
    return parser


def _add_serve(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    serve = commands.add_parser(
        "serve",
        help="serve directories",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Serve directories until SIGTERM or Ctrl-C; what runs is finished first.",
        epilog="""examples:
  smbport serve --share data=/srv/data
      one share, a user made up for this run
  smbport serve --share photos=/srv/photos,ro --user alice --listen 4445
      asks for alice's password for this run; port 4445
  smbport user add alice; smbport serve --share data=/srv/data
      users that stay
  smbport serve --config /etc/smbport.toml
      everything in a file""",
    )
    serve.add_argument("--share", action="append", default=[], metavar="NAME=PATH[,ro][,guest]", help="repeatable")
    serve.add_argument("--config", metavar="FILE", help="TOML; --share and --listen add to it")
    serve.add_argument("--platform", metavar="NAME", help="the port to run on; default: the one for this system")
    serve.add_argument(
        "--listen",
        action="append",
        default=[],
        metavar="[HOST:]PORT",
        help=f"repeatable; default: every address, port {STANDARD_PORT} if allowed, else {OTHER_PORT}",
    )
    users = serve.add_mutually_exclusive_group()
    users.add_argument(
        "--user",
        metavar="NAME",
        help="one user for this run; the password is asked for, or read from standard input if that is no terminal",
    )
    users.add_argument("--users", metavar="FILE", help="the user database; default: the one of `smbport user`")
    serve.add_argument("--log", choices=("debug", "info", "warning", "error"), help="how much is logged; default: info")
    serve.add_argument(
        "--allow-missing", action="store_true", help="serve also without settings that this port cannot honour"
    )
    serve.set_defaults(run=_serve)


def _add_user(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    user = commands.add_parser("user", help="add, change, list and remove users", description="The user database.")
    actions = user.add_subparsers(required=True, metavar="ACTION")
    texts = {
        "add": "add a user; the password is asked for, or read from standard input if that is no terminal",
        "passwd": "change a password, likewise",
        "remove": "remove a user",
        "disable": "refuse a user without forgetting the password",
        "enable": "let a disabled user in again",
        "list": "list the users",
    }
    for action, text in texts.items():
        parser = actions.add_parser(action, help=text, description=text.capitalize() + ".")
        if action != "list":
            parser.add_argument("name", metavar="NAME", help="compared without case")
        if action == "add":
            parser.add_argument(
                "--account", metavar="ACCOUNT", help="the system account that owns what the user writes; default: NAME"
            )
            parser.add_argument("--sid", metavar="SID", help="who the user was on another server; default: nobody yet")
        parser.add_argument("--users", metavar="FILE", help="the user database; default: the system's or your own")
        parser.set_defaults(run=_user, action=action)


# serve ----------------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """What a `serve` command comes down to."""

    configuration: "Configuration"
    platform: "Platform"
    users: "UserDatabase"
    listen: "list[tuple[str | None, int]]"
    made_up: tuple[str, str] | None  # name and password of a user that exists for this run only
    only_user: str | None = None  # the one that was named for this run


def _serve(options: argparse.Namespace) -> int:
    from smbport import registry

    configuration = _configuration(options)
    _set_up_log(options.log or configuration.log_level)
    # The port first: it may have to prepare the event loop before anything imports trio.
    platform = registry.find(options.platform or configuration.platform)
    import trio

    users, made_up = _users(options, configuration, platform)
    if platform.kernel is not None:
        run = Run(configuration, platform, users, list(configuration.listen), made_up, options.user)
        trio.run(_serve_from_kernel, run, options)
        return 0
    listen = list(configuration.listen) or _default_listen(platform)
    configuration = replace(configuration, settings=_bounded(configuration.settings))
    run = Run(configuration, platform, users, listen, made_up, options.user)
    trio.run(_serve_until_signal, run)
    return 0


def _configuration(options: argparse.Namespace) -> "Configuration":
    """The file, and on top of it what the command line says."""
    from smbport.config import Configuration, check_settings, load, parse_listen, parse_share_option

    configuration = load(options.config) if options.config else Configuration()
    shares = [parse_share_option(text) for text in options.share]
    settings = replace(configuration.settings, shares=(*configuration.settings.shares, *shares))
    if not settings.shares:
        raise Refusal("there is nothing to serve; give --share NAME=PATH, or --config FILE with a [share.NAME]")
    check_settings(settings, options.config or "command line")
    listen = (*configuration.listen, *(parse_listen(text) for text in options.listen))
    return replace(configuration, settings=settings, listen=listen)


def _set_up_log(level: str) -> None:
    logging.basicConfig(
        stream=sys.stderr, level=level.upper(), format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"
    )


def _users(
    options: argparse.Namespace, configuration: "Configuration", platform: "Platform"
) -> "tuple[UserDatabase, tuple[str, str] | None]":
    """The user database; without any user, one made up for this run."""
    from smbport.users import MemoryUsers, UserStore, default_store_path

    if options.user:
        if configuration.user_database:
            said = f"Only {options.user} can log on in this run; the users of {configuration.user_database} cannot."
            print(said, file=sys.stderr)
        return MemoryUsers({options.user: _ask_password(options.user)}), None
    path = options.users or configuration.user_database
    if path or default_store_path().exists():
        store = UserStore.open(path or default_store_path())
        if store.list():
            return store, None
        store.close()
    password = secrets.token_urlsafe(12)
    users = MemoryUsers({DEFAULT_USER: password})
    record = users.find_user(DEFAULT_USER)
    assert record is not None
    users.put(replace(record, account=platform.account.name))
    return users, (DEFAULT_USER, password)


def _ask_password(name: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass(f"Password for {name}: ")
    if first != getpass.getpass("Again: "):
        raise Refusal("the two passwords differ; nothing was changed")
    return first


def _default_listen(platform: "Platform") -> "list[tuple[str | None, int]]":
    """Port 445 where it is allowed and free, else 4445."""
    try:
        sockets = platform.sockets.listen(None, STANDARD_PORT)
    except OSError as error:
        print(f"Port {STANDARD_PORT} cannot be had ({error.strerror}); using {OTHER_PORT}.", file=sys.stderr)
        return [(None, OTHER_PORT)]
    for sock in sockets:
        sock.close()
    return [(None, STANDARD_PORT)]


def _bounded(settings: "Settings") -> "Settings":
    """Raise the limit of open files as far as allowed, and promise no more than it gives.

    A connection takes one descriptor, and so does an open; connections get at most half of them.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard == resource.RLIM_INFINITY:
        return settings
    limits, room = settings.limits, max(hard - RESERVED_DESCRIPTORS, 2)
    connections = min(limits.connections, room // 2)
    opens = min(limits.opens, room - connections)
    if (connections, opens) != (limits.connections, limits.opens):
        log.info("%d descriptors are allowed: at most %d connections, %d opens", hard, connections, opens)
    return replace(settings, limits=replace(limits, connections=connections, opens=opens))


async def _serve_until_signal(run: Run) -> None:
    import trio

    from smbport.server.serve import serve

    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with serve(
            users=run.users, settings=run.configuration.settings, platform=run.platform, listen=run.listen
        ) as serving:
            _greet(run, serving.addresses)
            async for number in signals:
                log.info("%s: stopping", signal.Signals(number).name)
                break


async def _serve_from_kernel(run: Run, options: argparse.Namespace) -> None:
    """The kernel serves; SIGHUP reads the configuration again."""
    import trio

    from smbport.control import serve_from_kernel

    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with serve_from_kernel(
            run.configuration, run.users, run.platform, allow_missing=options.allow_missing
        ) as controlled:
            devices = controlled.plan.devices or ("every device",)
            _greet(run, [(device, controlled.plan.port) for device in devices])
            async for number in signals:
                if number == signal.SIGHUP:
                    await _reload(run, options, controlled)
                    continue
                log.info("%s: stopping", signal.Signals(number).name)
                break


async def _reload(run: Run, options: argparse.Namespace, controlled: "Controlled") -> None:
    """What cannot be served changes nothing."""
    from smbport.config import ConfigError
    from smbport.control import Refused

    try:
        configuration = _configuration(options)
        await controlled.reload(configuration, run.users)
    except (Refusal, ConfigError, Refused, OSError) as error:
        log.error("not reloaded, all is as before: %s", error)
        return
    for key in ("platform", "user_database"):
        if getattr(configuration, key) != getattr(run.configuration, key):
            log.warning("not reloaded: the change of %s takes a new start of smbport", key)
    logging.getLogger().setLevel((options.log or configuration.log_level).upper())


def _greet(run: Run, addresses: "Sequence[tuple[str, int]]") -> None:
    """Say what is served where, and how to get there."""
    settings = run.configuration.settings
    port = addresses[0][1]
    where = ", ".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in addresses)
    print(f"smbport {__version__} serves on {where} (platform {run.platform.name})")
    for share in settings.shares:
        print(f"  {share.name:<16} {share.path}{' (read-only)' if share.read_only else ''}")
    user = run.made_up[0] if run.made_up else run.only_user or "USER"
    if run.made_up:
        name, password = run.made_up
        print(f"\nThere are no users yet, so this run has one of its own:  user {name}   password {password}")
        print(f"It acts as the system account {run.platform.account.name!r}.  `smbport user add NAME` makes real ones.")
    host = os.uname().nodename
    share_name = settings.shares[0].name
    at = "" if port == STANDARD_PORT else f":{port}"
    option = "" if port == STANDARD_PORT else f",port={port}"
    print(f"\n  files, Finder, Nautilus:  smb://{user}@{host}{at}/{share_name}")
    print(f"  Linux:    mount -t cifs //{host}/{share_name} /mnt -o username={user}{option}")
    windows = "" if port == STANDARD_PORT else f" /TCPPORT:{port}"
    print(f"  Windows:  net use * \\\\{host}\\{share_name} /user:{user}{windows}\n", flush=True)


# user -----------------------------------------------------------------------------------------------------------


def _user(options: argparse.Namespace) -> int:
    from smbport.users import UserStore, check_user, default_store_path

    path = options.users or default_store_path()
    password = ""
    if options.action == "add":  # checked first, or a refusal would leave an empty store
        password = _ask_password(options.name)
        check_user(options.name, password)
    with UserStore.open(path, create=options.action == "add") as store:
        match options.action:
            case "add":
                store.add(options.name, password, options.account, options.sid)
            case "passwd":
                store.set_password(options.name, _ask_password(options.name))
            case "remove":
                store.remove(options.name)
            case "disable":
                store.disable(options.name)
            case "enable":
                store.enable(options.name)
            case _:
                for record in store.list():
                    state = "disabled" if record.disabled else "enabled"
                    print(f"{record.name:<24} {state:<9} acts as {record.account or record.name}")
    return 0


# platforms and check-config -------------------------------------------------------------------------------------


def _platforms(options: argparse.Namespace) -> int:
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


def _status(options: argparse.Namespace) -> int:
    from smbport import registry

    platform = registry.find(options.platform)
    if platform.kernel is None:
        raise Refusal(f"{platform.name} serves from user space, of which there is no status; --platform linux-kernel")
    print("\n".join(platform.kernel.status()))
    return 0


def _check_config(options: argparse.Namespace) -> int:
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
