"""Settings as the command line has them."""

import re

from smbport.config.forms import Listener, read_listener, wrong
from smbport.config.rules import share_name_problem
from smbport.state.settings import ShareSettings

__all__ = ["parse_listen", "parse_share_option"]

SOURCE = "command line"


def parse_share_option(text: str) -> ShareSettings:
    """NAME=PATH[,ro][,guest].

    Words behind the last commas are options.  Any other comma belongs to the path: "/srv/Smith, John" is one.
    """
    name, equals, rest = text.partition("=")
    match = re.fullmatch("(.+?)((?:,[a-z]+)*)", rest, re.DOTALL)
    if not equals or match is None:
        raise wrong(SOURCE, "--share", text, "must be NAME=PATH, NAME=PATH,ro, NAME=PATH,guest or NAME=PATH,ro,guest")
    if problem := share_name_problem(name):
        raise wrong(SOURCE, "--share", text, problem)
    options = match[2].split(",")[1:]
    for option in options:
        if option not in ("ro", "guest"):
            fix = f"the options are ro and guest, not {option}; if it is part of the path, write / behind it"
            raise wrong(SOURCE, "--share", text, fix)
    return ShareSettings(name=name, path=match[1], read_only="ro" in options, guest="guest" in options)


def parse_listen(text: str) -> Listener:
    """PORT, :PORT, HOST:PORT or [IPV6]:PORT."""
    try:
        return read_listener(text)
    except ValueError as error:
        raise wrong(SOURCE, "--listen", text, str(error)) from None
