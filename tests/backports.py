"""The backports of Debian: packages to be unpacked somewhere, never installed."""

import platform
import shlex
import subprocess
from pathlib import Path

__all__ = ["BackportsMissing", "codename", "run", "use_backports"]


class BackportsMissing(Exception):
    """They cannot be had here; the text says why."""


def codename() -> str:
    """Of this system: bookworm, trixie …; "" if it has none."""
    try:
        return platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except OSError:
        return ""


def use_backports(folder: Path, release: str = "") -> list[str]:
    """Options that let apt see the backports only, in lists of their own below `folder`, from where it has the rest.

    Those of this system's release, or of another.
    """
    here = ["Created-By: Packages", f"Codename: {codename()}"]
    mirrors = run(["apt-get", "indextargets", "--format", "$(REPO_URI)", *here], folder).split()
    if not mirrors:
        raise BackportsMissing(f"apt has no packages of {codename() or 'a Debian'} here")
    for name in ("lists/partial", "cache/archives/partial", "parts"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "sources").write_text(f"deb {mirrors[0]} {release or codename()}-backports main\n")
    places = {
        "Dir::Etc::sourcelist": "sources", "Dir::Etc::sourceparts": "parts", "Dir::State::lists": "lists",
        "Dir::Cache": "cache",
    }  # fmt: skip
    options = [word for key, name in places.items() for word in ("-o", f"{key}={folder / name}")]
    run(["apt-get", *options, "update", "-q"], folder)
    return options


def run(command: list[str], folder: Path) -> str:
    """What a command says, which must succeed."""
    try:
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise BackportsMissing(f"{command[0]}: {error.strerror}") from None
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2]
        raise BackportsMissing(f"{shlex.join(command)}: {last}")
    return done.stdout
