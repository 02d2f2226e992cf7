"""`python -m benchmarks`: measure, and write a report."""

import argparse
import json
import shlex
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path

from benchmarks.gang import Gang
from benchmarks.goals import OURS, judge_all
from benchmarks.measure import Round, measured
from benchmarks.options import parse_options
from benchmarks.plot import draw_plots
from benchmarks.profiles import Profile, format_profiles, profile, unreached
from benchmarks.report import PROFILES, Run, as_json, format_report
from benchmarks.rows import ROWS, Row
from benchmarks.servers import INTERPRETED, Server, ServerError, allow_files, starter


def main() -> int:
    options = parse_options(sys.argv[1:])
    rows = [row for row in ROWS if any(fnmatchcase(row.name, pattern) for pattern in options.rows.split(","))]
    if options.list:
        print("\n".join(row.name for row in rows))
        return 0
    if not rows:
        print(f"no row is like {options.rows}; there are: {' '.join(row.name for row in ROWS)}", file=sys.stderr)
        return 2
    names = [*options.servers]
    if options.compiled and OURS in names:
        names.insert(names.index(OURS) + 1, INTERPRETED)
    names += [f"smbport/{platform}" for platform in options.platform if platform != "linux"]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    found = _measure(options, rows, names)
    if found is None or not found[0].results:
        return 1
    _write(*found, options)
    return 0


def _measure(
    options: argparse.Namespace, rows: Sequence[Row], names: Sequence[str]
) -> tuple[Run, Sequence[Profile]] | None:
    files = allow_files()
    with ExitStack() as stack:
        place = tempfile.TemporaryDirectory(prefix="smbport-bench-", dir=options.directory)
        directory = Path(stack.enter_context(place))
        servers: dict[str, Server] = {}
        skipped: dict[str, str] = {}
        for name in names:
            try:
                servers[name] = stack.enter_context(starter(name, options.compiled)(directory, None))
            except ServerError as error:
                skipped[name] = str(error).partition("\n")[0]
                print(f"benchmarks: without {name}: {error}", file=sys.stderr)
        if not servers:
            return None
        gang = stack.enter_context(Gang(options.processes))
        moment = datetime.now().astimezone()
        results: dict[str, list[Round]] = {}
        stopped = False
        try:
            for row, one in measured(gang, servers, rows, options.rounds, options.seconds, directory, files, _say):
                results.setdefault(row, []).append(one)
        except KeyboardInterrupt:
            stopped = True
            _say("stopped: the report has what was measured until now")
        profiles: list[Profile] = []
        if options.profile and not stopped:
            for missed in unreached([one for verdicts in judge_all(results).values() for one in verdicts]):
                _say(f"profile of {missed.name}")
                profiles.append(profile(gang, missed, directory))
        print(file=sys.stderr)
    versions = {name: server.version for name, server in servers.items()}
    command = shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])
    run = Run(command, moment, versions, skipped, options.rounds, options.seconds, results, stopped, bool(profiles))
    return run, profiles


def _say(text: str) -> None:
    """What is being done, in one line that is written over on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr, flush=True)


def _write(report: Run, profiles: Sequence[Profile], options: argparse.Namespace) -> None:
    if options.output is None:
        print(format_report(report))
    else:
        folder = Path(options.output)
        folder.mkdir(parents=True, exist_ok=True)
        plots = draw_plots(report, folder)
        (folder / "report.md").write_text("# Report\n\n" + format_report(report, plots))
        if profiles:
            (folder / PROFILES).write_text("# Where the time goes\n\n" + format_profiles(profiles))
        (folder / "report.json").write_text(json.dumps(as_json(report), indent=1) + "\n")
        print(f"benchmarks: {folder / 'report.md'}, report.json and {len(plots)} plots", file=sys.stderr)
    if options.json:
        Path(options.json).write_text(json.dumps(as_json(report), indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
