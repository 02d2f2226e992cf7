"""Branch coverage, module by module, each by its own test file: coverage by accident does not count.

    python tests/coverage_by_module.py [NAME ...]      (a NAME like wire/header; default: wire, security and state)

Every module of `smbport/wire`, `security` and `state` must reach 95 % of its branches by `tests/.../test_NAME.py`
alone.  Exits with 1 and a table if one does not.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("wire", "security", "state")
GOAL = 95.0


def modules(names: list[str]) -> list[Path]:
    """The modules to look at, as paths below smbport/."""
    if names:
        return [Path(f"{name}.py") for name in names]
    package = ROOT / "smbport"
    return [
        path.relative_to(package)
        for layer in LAYERS
        for path in sorted((package / layer).glob("*.py"))
        if path.name != "__init__.py"
    ]


def measure(module: Path) -> float | None:
    """Percent of lines and branches that the module's own tests reach; None if it has no tests."""
    tests = ROOT / "tests" / module.with_name(f"test_{module.name}")
    if not tests.exists():
        return None
    with tempfile.TemporaryDirectory() as folder:
        data = f"--data-file={folder}/data"
        source = f"--include=*/smbport/{module}"
        run = [sys.executable, "-m", "coverage", "run", "--branch", data, source, "-m", "pytest", "-q", str(tests)]
        done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stdout[-2000:])
            return 0.0
        report = f"{folder}/report.json"
        subprocess.run(
            [sys.executable, "-m", "coverage", "json", "-q", "-o", report, data, source],
            cwd=ROOT, check=True,
        )  # fmt: skip
        return float(json.loads(Path(report).read_text())["totals"]["percent_covered"])


def main() -> int:
    failed = 0
    for module in modules(sys.argv[1:]):
        percent = measure(module)
        good = percent is not None and percent >= GOAL
        failed += not good
        shown = "no tests" if percent is None else f"{percent:5.1f} %"
        print(f"{'' if good else 'LOW '}{module.with_suffix('')!s:<34}{shown}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
