"""`smbport user`: the user database."""

import argparse
import getpass
import sys

from smbport.cli.refusal import Refusal

__all__ = ["ask_password", "user"]


def ask_password(name: str) -> str:
    """Twice, without showing it; from standard input, one line, if that is no terminal."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass(f"Password for {name}: ")
    if first != getpass.getpass("Again: "):
        raise Refusal("the two passwords differ; nothing was changed")
    return first


def user(options: argparse.Namespace) -> int:
    """Add, change, list and remove."""
    from smbport.users import UserStore, check_user, default_store_path

    path = options.users or default_store_path()
    password = ""
    if options.action == "add":  # checked first, or a refusal would leave an empty store
        password = ask_password(options.name)
        check_user(options.name, password)
    with UserStore.open(path, create=options.action == "add") as store:
        match options.action:
            case "add":
                store.add(options.name, password, options.account, options.sid)
            case "passwd":
                store.set_password(options.name, ask_password(options.name))
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
