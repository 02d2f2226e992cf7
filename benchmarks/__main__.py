"""`python -m benchmarks`: measure, and print a table."""

import argparse
import json
import multiprocessing
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from fnmatch import fnmatchcase
from pathlib import Path

from benchmarks.load import Memory, Sample, logged_on
from benchmarks.report import Round, as_json, format_report
from benchmarks.rows import ROWS, Row, populate
from benchmarks.servers import SERVERS, Server, ServerError

ROUNDS, SECONDS = 5, 1.0
QUICK_ROUNDS, QUICK_SECONDS = 1, 0.1


def main() -> int:
    options = _parser().parse_args()
    rows = [row for row in ROWS if any(fnmatchcase(row.name, pattern) for pattern in options.rows.split(","))]
    if not rows:
        print(f"no row is like {options.rows}; there are: {' '.join(row.name for row in ROWS)}", file=sys.stderr)
        return 2
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    seconds = options.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    with ExitStack() as stack:
        directory = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="smbport-bench-", dir=options.directory))
        )
        try:
            servers = {name: stack.enter_context(SERVERS[name](directory)) for name in options.servers}
        except ServerError as error:
            print(f"benchmarks: {error}", file=sys.stderr)
            return 1
        # A fresh interpreter, so that the generator shares nothing with this process.
        context = multiprocessing.get_context("spawn")
        pool = stack.enter_context(ProcessPoolExecutor(1, context))
        results = _measure(pool, servers, rows, rounds, seconds, directory)
    versions = {server.name: server.version for server in servers.values()}
    print(format_report(results, versions))
    if options.json:
        Path(options.json).write_text(json.dumps(as_json(results, versions), indent=1) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="smbport side by side with Samba's smbd.")
    parser.add_argument("--rows", metavar="GLOB[,GLOB...]", default="*", help="which rows; default: all")
    parser.add_argument("--rounds", metavar="N", type=int, help=f"default: {ROUNDS}")
    parser.add_argument("--seconds", metavar="S", type=float, help=f"for each row and server; default: {SECONDS:g}")
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK_ROUNDS} round, {QUICK_SECONDS:g} s: does it work?"
    )
    parser.add_argument("--json", metavar="FILE", help="write every sample there")
    parser.add_argument("--directory", metavar="DIR", help="where the shares are made; default: the temporary one")
    parser.add_argument(
        "--servers", metavar="NAME", nargs="+", choices=SERVERS, default=list(SERVERS), help="default: smbport samba"
    )
    return parser


def _measure(
    pool: ProcessPoolExecutor,
    servers: Mapping[str, Server],
    rows: Sequence[Row],
    rounds: int,
    seconds: float,
    directory: Path,
) -> dict[str, list[Round]]:
    """Round after round, in each of them row after row, and the servers in turn, so that all meet the same noise."""
    for server in servers.values():
        with logged_on(server) as (client, _, tree_id):
            populate(client, tree_id)
    results: dict[str, list[Round]] = {row.name: [] for row in rows}
    for number in range(rounds):
        for row in rows:
            print(f"\r\033[Kround {number + 1} of {rounds}: {row.name}", end="", file=sys.stderr, flush=True)
            found: dict[str, Sample | Memory] = {}
            for name in servers if number % 2 == 0 else reversed(list(servers)):
                with ExitStack() as stack:
                    server = servers[name]
                    if row.fresh:
                        apart = stack.enter_context(tempfile.TemporaryDirectory(dir=directory))
                        server = stack.enter_context(SERVERS[name](Path(apart)))
                    found[name] = pool.submit(row.measure, server, seconds).result()
            results[row.name].append({server.name: found[name] for name, server in servers.items()})
    print(file=sys.stderr)
    return results


if __name__ == "__main__":
    sys.exit(main())
