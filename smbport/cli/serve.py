"""`smbport serve`: from options to a running server, in this process or in the kernel."""

import argparse
import gc
import logging
import os
import resource
import secrets
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from smbport.cli.refusal import Refusal
from smbport.cli.users import ask_password
from smbport.cli.version import version_text

if TYPE_CHECKING:
    from smbport.config import Configuration
    from smbport.control import Controlled
    from smbport.platform import Platform
    from smbport.security.auth import UserDatabase
    from smbport.state.settings import Settings

__all__ = ["OTHER_PORT", "STANDARD_PORT", "serve"]

STANDARD_PORT: Final = 445
OTHER_PORT: Final = 4445  # where 445 is not allowed
RESERVED_DESCRIPTORS: Final = 256  # for listeners, databases, threads and the directories they walk through (guessed)
DEFAULT_USER: Final = "smbport"
YOUNG_OBJECTS: Final = 20_000  # before cycles are looked for, a few megabytes at most: clients come and go 15 % cheaper

log = logging.getLogger("smbport")


@dataclass
class Run:
    """What a `serve` command comes down to."""

    configuration: "Configuration"
    platform: "Platform"
    users: "UserDatabase"
    listen: "list[tuple[str | None, int]]"
    made_up: tuple[str, str] | None  # name and password of a user that exists for this run only
    only_user: str | None = None  # the one that was named for this run


def serve(options: argparse.Namespace) -> int:
    """Serve until a signal says to stop."""
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
    configuration = replace(configuration, settings=_bounded(configuration.settings, platform))
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
    # The lines do not say where in the code, in which thread and which process: finding that out is half of a line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # as the manual of logging says, under Optimization


def _users(
    options: argparse.Namespace, configuration: "Configuration", platform: "Platform"
) -> "tuple[UserDatabase, tuple[str, str] | None]":
    """The user database; without any user, one made up for this run."""
    from smbport.users import MemoryUsers, UserStore, default_store_path

    if options.user:
        if configuration.user_database:
            said = f"Only {options.user} can log on in this run; the users of {configuration.user_database} cannot."
            print(said, file=sys.stderr)
        return MemoryUsers({options.user: ask_password(options.user)}), None
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


def _bounded(settings: "Settings", platform: "Platform") -> "Settings":
    """Raise the limit of open files as far as allowed, and promise no more than it gives.

    A connection takes one descriptor, and so does an open on most platforms; connections get at most half of them.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard == resource.RLIM_INFINITY:
        return settings
    limits, room = settings.limits, max(hard - RESERVED_DESCRIPTORS, 2)
    connections = min(limits.connections, room // 2)
    opens = min(limits.opens, room - connections) if platform.descriptors else limits.opens
    if (connections, opens) != (limits.connections, limits.opens):
        log.info("%d descriptors are allowed: at most %d connections, %d opens", hard, connections, opens)
    return replace(settings, limits=replace(limits, connections=connections, opens=opens))


async def _serve_until_signal(run: Run) -> None:
    import trio

    from smbport.server import serve as server

    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with server.serve(
            users=run.users, settings=run.configuration.settings, platform=run.platform, listen=run.listen
        ) as serving:
            _leave_to_no_collector()
            _greet(run, serving.addresses)
            async for number in signals:
                log.info("%s: stopping", signal.Signals(number).name)
                break


def _leave_to_no_collector() -> None:
    """What the start has made stays: 50,000 objects that a collection of cycles, and so every client, waits for."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


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
    print(f"{version_text()} serves on {where} (platform {run.platform.name})")
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
