"""The command line, with a help that teaches."""

import argparse
import os
from collections.abc import Sequence
from typing import Final

from benchmarks.servers import PLATFORMS, SERVERS

__all__ = ["parse_options"]

ROUNDS, SECONDS = 5, 1.0
QUICK_ROUNDS, QUICK_SECONDS = 1, 0.1

DESCRIPTION: Final = """\
Measure smbport beside Samba's smbd and impacket's smbserver: each is started with equal settings on a directory of its
own, and all are driven with the same requests in turn, several rounds.  A server that is not installed is left out,
with a sentence that says so.  smbd must be started by root.
"""
EXAMPLES: Final = """\
Rows are named WHAT/DEPTH/PROTECTION, such as read-4k/16/gmac: how many requests are on their way at a time, and
whether they are plain, signed (gmac, cmac, hmac) or sealed (gcm, ccm).  many-N, idle-N, opens-N, locks-N and leases-N
have N connections, opens …; torture-* are driven by smbtorture.  `--list` names them all.

  python -m benchmarks --quick                          does everything work?
  python -m benchmarks --rows 'echo*,read-4k/*'         some rows, a table on the terminal
  python -m benchmarks --rows 'idle-*' --servers smbport     memory, no root needed
  python -m benchmarks --platform memory posix --servers smbport --rows 'stat/*'     platforms beside each other
  python -m benchmarks --output docs/benchmarks         the whole report, with its plots

Other programs disturb the figures: the report marks rows during which they did, and counts the quieter rounds only.
"""


def parse_options(arguments: Sequence[str]) -> argparse.Namespace:
    """What was asked for; ends the program after --help, or if it makes no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=DESCRIPTION, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    what = parser.add_argument_group("what is measured")
    what.add_argument("--rows", metavar="GLOB[,GLOB...]", default="*", help="which rows; default: all")
    what.add_argument("--list", action="store_true", help="name the rows, and measure nothing")
    what.add_argument(
        "--servers", metavar="NAME", nargs="+", choices=SERVERS, default=list(SERVERS),
        help=f"which servers; default: {' '.join(SERVERS)}",
    )  # fmt: skip
    what.add_argument(
        "--platform", metavar="NAME", nargs="+", choices=PLATFORMS, default=[],
        help=f"also smbport on these platforms: {' '.join(PLATFORMS[1:])}",
    )  # fmt: skip
    what.add_argument(
        "--compiled", metavar="PYTHON",
        help="the compiled smbport that is installed for this interpreter, with the interpreted one of this checkout"
        " beside it",
    )  # fmt: skip
    how = parser.add_argument_group("how")
    how.add_argument("--rounds", metavar="N", type=_positive, help=f"default: {ROUNDS}; the slowest rows have fewer")
    how.add_argument("--seconds", metavar="S", type=float, help=f"for each row, server and round; default: {SECONDS:g}")
    how.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} round of {QUICK_SECONDS:g} s")
    how.add_argument(
        "--processes", metavar="N", type=_positive, default=min(os.cpu_count() or 1, 4),
        help="that make the load of many connections; default: one for each core, 4 at most",
    )  # fmt: skip
    how.add_argument("--directory", metavar="DIR", help="where the shares are made; default: the temporary one")
    where = parser.add_argument_group("where it is written; without these, a table on the terminal")
    where.add_argument("--output", metavar="DIR", help="report.md, report.json and plots")
    where.add_argument(
        "--profile", action="store_true", help="also profiles.md: where the time goes in rows that miss their goal"
    )
    where.add_argument("--json", metavar="FILE", help="every sample")
    options = parser.parse_args(arguments)
    if options.profile and options.output is None:
        parser.error("--profile writes beside the report: it needs --output")
    options.rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    options.seconds = options.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    return options


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value
