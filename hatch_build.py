"""Compiles the hot modules when asked to: `SMBPORT_COMPILE=1 pip install .`


hatchling finds this file by its name and puts it into the sdist, never into the wheel.  The same source goes through
mypyc, in a copy of it, and each extension module lies in the wheel beside the .py file that it was made of.  Without
the variable a build is what it always was.  Reasons and measurements: docs/decisions/005-compiled-core.md.
"""

import ast
import os
import shlex
import shutil
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VARIABLE: Final = "SMBPORT_COMPILE"

HOT: Final = (
    "smbport/wire/create_response.py",
    "smbport/wire/frame.py",
    "smbport/wire/text.py",
    "smbport/security/*.py",
    "smbport/state/*.py",
    "smbport/commands/**/*.py",
    "smbport/server/drive.py",
    "smbport/server/transport.py",
    "smbport/server/connection.py",
    "smbport/posix/marks.py",
    "platforms/linux/smbport_linux/stats.py",
)
"""What requests run through.  Ports and building blocks that others derive classes from are not among it: compiled
classes have no interpreted subclasses."""

_TREES: Final = "compiled together, the two miss changes in trees that local programs make; why is not known"
INTERPRETED: Final = {
    "smbport/state/ledger.py": _TREES,
    "smbport/state/lookout.py": _TREES,
    "smbport/state/settings.py": "the configuration reads its annotations, and mypyc keeps only their classes",
    "smbport/security/crypto.py": "chooses a module as it is imported; mypyc takes the choice for made",
    "smbport/security/spnego.py": "runs once per logon",
}
DEPENDENCIES: Final = ("mypy>=2.4", "setuptools>=65")
OPTIONAL: Final = ("gssapi", "lz4")
"""What modules import that only an extra brings: it need not be there to compile those that import them."""
UNTYPED: Final = "[mypy-{}.*]\nignore_missing_imports = true\nfollow_imports = skip\n"


class CompileHook(BuildHookInterface[Any]):
    """Adds extension modules to the wheel."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What pip fetches for the build.  mypyc checks the source, so it needs what the source imports."""
        return [*DEPENDENCIES, *self.metadata.core.dependencies] if self._wanted else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, hand the results to the wheel, and say that it runs on this system only."""
        if not self._wanted:
            return
        if version == "editable":
            self.app.abort(f"{VARIABLE} is set, but an editable install is never compiled")
        reason = why_not()
        if reason is not None:
            self.app.abort(f"{VARIABLE} is set, but {reason}")
        self._folder = tempfile.TemporaryDirectory(prefix="smbport-build-")  # goes with this process at the latest
        work = Path(self._folder.name)
        modules = []
        for module, left in hot_modules(Path(self.root)):
            if left is None:
                modules.append(module)
            else:
                self.app.display_info(f"not compiled: {module.as_posix()}: {left}")
        self.app.display_info(f"compiling {len(modules)} modules; this takes minutes")
        for made in compile_modules(Path(self.root), modules, work):
            build_data["force_include"][str(made)] = made.relative_to(work).as_posix()
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """The wheel has its copies."""
        if self._wanted:
            self._folder.cleanup()

    @property
    def _wanted(self) -> bool:
        return self.target_name == "wheel" and os.environ.get(VARIABLE, "0") not in ("", "0")


# What is compiled -----------------------------------------------------------------------------------------------


def hot_modules(root: Path) -> Iterator[tuple[Path, str | None]]:
    """The hot modules below `root`, each with the reason to leave it to the interpreter, or None."""
    for path in sorted({path for pattern in HOT for path in root.glob(pattern)}):
        module = path.relative_to(root)
        if path.name != "__init__.py":
            yield module, INTERPRETED.get(module.as_posix()) or why_interpreted(ast.parse(path.read_text()))


def why_interpreted(module: ast.Module) -> str | None:
    """The reason to leave a module to the interpreter, if there is one in its source."""
    for node in ast.walk(module):
        decorators = {ast.unparse(decorator).partition("(")[0] for decorator in getattr(node, "decorator_list", ())}
        if "record" in decorators:
            return "declares records, whose annotations are read at run time"
        if "coroutine" in decorators:
            return "makes a coroutine of a generator"
        if isinstance(node, ast.Try) and any(map(may_suspend, [*node.handlers, *node.finalbody])):
            return f"may suspend in an except or finally clause, line {node.lineno}"
        if isinstance(node, ast.AsyncWith):
            return f"may suspend at the end of an async with, line {node.lineno}"
    return None


def may_suspend(part: ast.AST) -> bool:
    """Whether a coroutine may stop there.

    What mypyc makes of it leaves the exception that is being handled with whoever runs next, and may lose the one
    that ends the coroutine.
    """
    return any(isinstance(node, ast.Await | ast.Yield | ast.YieldFrom | ast.AsyncFor) for node in ast.walk(part))


# Compiling ------------------------------------------------------------------------------------------------------


def why_not() -> str | None:
    """What is missing to compile here."""
    try:
        import mypyc  # noqa: F401
        import setuptools  # noqa: F401
    except ImportError as error:
        needed = shlex.join(DEPENDENCIES)
        return f"{error.name} is not installed; leave out --no-build-isolation, or: pip install {needed}"
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    if shutil.which(compiler) is None:
        return f"there is no C compiler {compiler!r}; install one (Debian: apt install gcc), or name yours in CC"
    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.exists():
        return f"there is no {header}; install Python's headers (Debian: apt install python3-dev)"
    return None


def compile_modules(root: Path, modules: list[Path], work: Path) -> list[Path]:
    """The extension modules made of `modules`, in a copy of the source in `work` as it is laid out in the wheel."""
    from mypyc.build import mypycify
    from setuptools import Distribution

    for package in (root / "smbport", *root.glob("platforms/*/smbport_*")):
        shutil.copytree(package, work / package.name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    (work / "mypy.ini").write_text("[mypy]\n" + "".join(UNTYPED.format(name) for name in OPTIONAL))
    names = [str(Path(*module.parts[2:]) if module.parts[0] == "platforms" else module) for module in modules]
    with chdir(work):
        extensions = mypycify(names, opt_level="3", debug_level="0")
        command = Distribution({"name": "smbport", "ext_modules": extensions}).get_command_obj("build_ext")
        command.ensure_finalized()
        command.inplace = True
        command.run()
    return sorted([*work.glob("*.so"), *work.glob("smbport*/**/*.so")])
