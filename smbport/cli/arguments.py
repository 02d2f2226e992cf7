"""The commands and their options, with the help that they show."""

import argparse
from typing import TYPE_CHECKING

from smbport.cli.reports import check_config, platforms, selftest, status
from smbport.cli.serve import OTHER_PORT, STANDARD_PORT, serve
from smbport.cli.users import user
from smbport.cli.version import version_text

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["new_parser"]


def new_parser() -> argparse.ArgumentParser:
    """Of the whole command line; each command leaves `run` in its options, the function that does it."""
    parser = argparse.ArgumentParser(
        prog="smbport",
        description="An SMB 2.0.2 - 3.1.1 file server.",
        epilog="First steps:  smbport serve --share data=/srv/data   (makes a user for this run and prints it)",
    )
    parser.add_argument("--version", action="version", version=version_text())
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands)
    _add_user(commands)
    _add_platforms(commands)
    _add_status(commands)
    _add_check_config(commands)
    return parser


def _add_serve(commands: "Commands") -> None:
    parser = commands.add_parser(
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
    parser.add_argument("--share", action="append", default=[], metavar="NAME=PATH[,ro][,guest]", help="repeatable")
    parser.add_argument("--config", metavar="FILE", help="TOML; --share and --listen add to it")
    parser.add_argument("--platform", metavar="NAME", help="the port to run on; default: the one for this system")
    parser.add_argument(
        "--listen",
        action="append",
        default=[],
        metavar="[HOST:]PORT",
        help=f"repeatable; default: every address, port {STANDARD_PORT} if allowed, else {OTHER_PORT}",
    )
    users = parser.add_mutually_exclusive_group()
    users.add_argument(
        "--user",
        metavar="NAME",
        help="one user for this run; the password is asked for, or read from standard input if that is no terminal",
    )
    users.add_argument("--users", metavar="FILE", help="the user database; default: the one of `smbport user`")
    parser.add_argument(
        "--log", choices=("debug", "info", "warning", "error"), help="how much is logged; default: info"
    )
    parser.add_argument(
        "--allow-missing", action="store_true", help="serve also without settings that this port cannot honour"
    )
    parser.set_defaults(run=serve)


def _add_user(commands: "Commands") -> None:
    parser = commands.add_parser("user", help="add, change, list and remove users", description="The user database.")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
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
        parser.set_defaults(run=user, action=action)


def _add_platforms(commands: "Commands") -> None:
    parser = commands.add_parser(
        "platforms", help="what the installed ports can do here", description="The table of ports and their powers."
    )
    parser.add_argument("name", nargs="?", help="one port; default: the one for this system")
    parser.set_defaults(run=platforms)
    parser = commands.add_parser(
        "selftest",
        help="examine a port on this system",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Check every rule of the capability interface (docs/porting) on the real system.",
        epilog="""examples:
  smbport selftest
      the port for this system, where temporary files go
  smbport selftest --platform posix --path /tank/share
      another port, on the file system that is to be served

The report says of each part of the interface: passed, absent (and why), or failed, with the rule that is broken.
It is made to be pasted into an issue as it is.""",
    )
    parser.add_argument("--platform", metavar="NAME", help="the port to examine; default: the one for this system")
    parser.add_argument("--path", metavar="DIR", help="where; what is made there is removed again")
    parser.set_defaults(run=selftest)


def _add_status(commands: "Commands") -> None:
    parser = commands.add_parser(
        "status", help="what a server in the kernel does now", description="Sessions, shares and open files."
    )
    parser.add_argument("--platform", metavar="NAME", default="linux-kernel", help="default: linux-kernel")
    parser.set_defaults(run=status)


def _add_check_config(commands: "Commands") -> None:
    parser = commands.add_parser(
        "check-config", help="read a configuration file and say what is wrong with it", description="Check a file."
    )
    parser.add_argument("file", metavar="FILE", help="TOML; docs/configuration.md has every key")
    parser.add_argument("--platform", metavar="NAME", help="and say what this port cannot honour")
    parser.set_defaults(run=check_config)
