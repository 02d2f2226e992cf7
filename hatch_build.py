"""Compiles the hot modules when asked to: `SMBPORT_COMPILE=1 pip install .`


hatchling finds this file by its name and puts it into the sdist, never into the wheel.  The same source goes through
mypyc, in a copy of it, and each extension module lies in the wheel beside the .py file that it was made of.  Without
the variable a build is what it always was.  Reasons and measurements: docs/decisions/005-compiled-core.md.
"""

import ast
import os
import re
import shlex
import shutil
import struct
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VARIABLE: Final = "SMBPORT_COMPILE"
IF_POSSIBLE: Final = "if-possible"  # a value of it: where there is no compiler, say so and leave all as it is

HOT: Final = (
    "smbport/wire/all_information.py",
    "smbport/wire/create.py",
    "smbport/wire/create_response.py",
    "smbport/wire/echo.py",
    "smbport/wire/file.py",
    "smbport/wire/frame.py",
    "smbport/wire/header.py",
    "smbport/wire/info.py",
    "smbport/wire/record.py",
    "smbport/wire/text.py",
    "smbport/platform/volumes.py",
    "smbport/security/*.py",
    "smbport/state/*.py",
    "smbport/commands/**/*.py",
    "smbport/compression/*.py",
    "smbport/control/answers.py",
    "smbport/control/lines.py",
    "smbport/control/rules.py",
    "smbport/server/conversation.py",
    "smbport/server/drive.py",
    "smbport/server/shared_readiness.py",
    "smbport/server/transport.py",
    "smbport/posix/attributes.py",
    "smbport/posix/dosattrib.py",
    "smbport/posix/gate.py",
    "smbport/posix/marks.py",
    "smbport/posix/nodes.py",
    "smbport/posix/volume.py",
    "smbport/posix/walk.py",
    "platforms/linux/smbport_linux/attributes.py",
    "platforms/linux/smbport_linux/beneath.py",
    "platforms/linux/smbport_linux/files.py",
    "platforms/linux/smbport_linux/identity.py",
    "platforms/linux/smbport_linux/inline.py",
    "platforms/linux/smbport_linux/ksmbd/netlink.py",
    "platforms/linux/smbport_linux/ksmbd/questions.py",
    "platforms/linux/smbport_linux/ksmbd/upcalls.py",
    "platforms/linux/smbport_linux/ready.py",
    "platforms/linux/smbport_linux/stats.py",
    "platforms/linux/smbport_linux/volume.py",
)
"""What requests run through.  Handles of directories are not among it, nor those of other ports: they derive from two
classes each, and mypyc has no such."""

INTERPRETED: Final = {
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
    _folder: "tempfile.TemporaryDirectory[str] | None" = None  # with what was compiled

    def dependencies(self) -> list[str]:
        """What pip fetches for the build.  mypyc checks the source, so it needs what the source imports."""
        return [*DEPENDENCIES, *self.metadata.core.dependencies] if self._wanted else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, hand the results to the wheel, and say that it runs on this system only."""
        if not self._wanted:
            return
        if version == "editable":
            self.app.abort(f"{VARIABLE} is set, but an editable install is never compiled")
        if os.environ[VARIABLE] == IF_POSSIBLE and (reason := why_no_compiler()):
            self.app.display_warning(f"not compiled: {reason}")
            return
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
        if self._folder is not None:
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


# What mypyc is given --------------------------------------------------------------------------------------------

RECORDS: Final = "smbport/wire/record.py"
OPEN: Final = (RECORDS, "smbport/posix/", "platforms/")
"""Where classes may have interpreted subclasses, which mypyc wants to be told."""
NEVER_NATIVE: Final = frozenset(("Protocol", "NamedTuple"))

TRANSFORM: Final = "@dataclass_transform(kw_only_default=True)"
"""Tells type checkers what `record` does, by an attribute that compiled functions cannot have."""
# mypyc knows the mark by its name.  What it makes of it executes neither the decorator nor its import.
MARK: Final = "@mypyc_attr(allow_interpreted_subclasses=True)"
IMPORT_MARK: Final = "if TYPE_CHECKING: from mypy_extensions import mypyc_attr"
IMPORTS: Final = (
    "import struct; from dataclasses import dataclass; from typing import ClassVar, Final, TYPE_CHECKING",
    "from smbport.wire.record import BadStructure, Buffer",
)

RECORD_CLASS: Final = """\
class {name}(Record):
    SIZE: ClassVar[int] = {length}; STRUCTURE_SIZE: ClassVar[int | None] = {structure_size}{annotations}
    def __init__(self{parameters}) -> None: {assignments}
    def pack(self) -> bytes: return STRUCT_{name}.pack({values})
    def pack_into(self, buffer: bytearray | memoryview, offset: int) -> None: \
STRUCT_{name}.pack_into(buffer, offset{values_behind})
    @classmethod
    def unpack_from(cls, buffer: Buffer, offset: int = 0) -> "{name}": return unpack_{name}(buffer, offset)
"""
RECORD_FUNCTION: Final = """
STRUCT_{name}: Final = struct.Struct("{layout}")
def unpack_{name}(buffer: Buffer, offset: int) -> {name}:
    try:
        ({targets}) = STRUCT_{name}.unpack_from(buffer, offset)
    except struct.error:
        raise BadStructure("{name} needs {length} bytes at offset " + str(offset)) from None
    {check}
    return {name}({arguments})
setattr({name}, "__annotations__", {{{types}}})
dataclass(init=False)({name})  # for the rest of what a dataclass has
"""
RECORD_CHECK: Final = """\
if structure_size != {structure_size}:
        raise BadStructure("{name} says StructureSize " + str(structure_size) + ", not {structure_size}")"""


def prepared(module: Path, source: str, codes: Mapping[str, str]) -> str:
    """The source of a module with marks, and with what decorators would make of classes at run time written out.

    `codes` are those of struct by the types of fields.  What is there stays on its line, so that tracebacks are right;
    what finds no room stands at the end.
    """
    lines = source.replace(TRANSFORM, "").splitlines()
    body = ast.parse(source).body
    end = ""
    for node in reversed(body):
        if not isinstance(node, ast.ClassDef):
            continue
        fields = [item for item in node.body if isinstance(item, ast.AnnAssign)]
        decorators = {ast.unparse(each).partition("(")[0]: ast.unparse(each) for each in node.decorator_list}
        if module.as_posix().startswith(OPEN) and not NEVER_NATIVE & set(map(ast.unparse, node.bases)):
            put(lines, first_line(node) - 1, MARK)
        if "record" in decorators:
            end += write_record(lines, node, fields, {**codes, **codes_of_fields(source)})
        elif "dataclass" in decorators and "frozen=True" not in decorators["dataclass"]:
            write_init(lines, node, fields)
    imports = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    if lines != source.splitlines():
        put(lines, (body[0].end_lineno or 0) + 1, "; ".join(IMPORTS[: 2 if end else 1]))
        put(lines, (imports[-1].end_lineno or 0) + 1, IMPORT_MARK)
    return "\n".join(lines) + "\n" + end


def codes_of_fields(source: str) -> dict[str, str]:
    """The types of fields that a module declares: `U8 = Annotated[int, "B"]`."""
    return dict(re.findall(r'^(\w+) = Annotated\[\w+, "(\w+)"\]', source, re.MULTILINE))


def put(lines: list[str], number: int, text: str) -> None:
    """Write into an empty line, by its number."""
    if lines[number - 1]:
        raise ValueError(f"no room for {text!r}: line {number} says {lines[number - 1]!r}")
    lines[number - 1] = text


def first_line(node: ast.ClassDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def write_init(lines: list[str], node: ast.ClassDef, fields: list[ast.AnnAssign]) -> None:
    """What `dataclass` makes stays interpreted, so it makes no `__init__`."""
    if any(isinstance(field.value, ast.Call) for field in fields):
        return  # field(default_factory=...)
    names = [ast.unparse(field.target) for field in fields]
    [decorator] = node.decorator_list
    options = [ast.unparse(each) for each in getattr(decorator, "keywords", []) if each.arg != "slots"]
    lines[decorator.lineno - 1] = f"@dataclass({', '.join(['init=False', *options])})"
    parameters = ", ".join(["self", *["*"] * ("kw_only=True" in options), *map(ast.unparse, fields)])
    assignments = "; ".join(f"self.{name} = {name}" for name in names)
    put(lines, fields[0].lineno - 1, f"    def __init__({parameters}) -> None: {assignments}")


def write_record(lines: list[str], node: ast.ClassDef, declared: list[ast.AnnAssign], codes: Mapping[str, str]) -> str:
    """Write what `record` makes in the place of its fields.  What is to stand at the end of the module."""
    [decorator] = node.decorator_list
    assert isinstance(decorator, ast.Call)
    size = ast.literal_eval(decorator.keywords[0].value) if decorator.keywords else None
    types = [ast.unparse(field.annotation) for field in declared]
    fields = [field for field, of_type in zip(declared, types, strict=True) if not of_type.startswith("ClassVar[")]
    names = [ast.unparse(field.target) for field in fields]
    own = [] if size is None else ["structure_size"]
    values = ([] if size is None else [str(size)]) + [f"self.{name}" for name in names]
    layout = "<" + "H" * len(own) + "".join(codes[of_type.removeprefix("ClassVar[").rstrip("]")] for of_type in types)
    text = {
        "name": node.name,
        "structure_size": size,
        "layout": layout,
        "length": struct.calcsize(layout),
        "annotations": "".join(f"; {ast.unparse(field.target)}: {ast.unparse(field.annotation)}" for field in fields),
        "parameters": "".join([", *" * bool(fields), *(f", {ast.unparse(field)}" for field in fields)]),
        "assignments": "; ".join(f"self.{name} = {name}" for name in names) or "pass",
        "values": ", ".join(values),
        "values_behind": "".join(f", {value}" for value in values),
        "targets": "".join(f"{name}, " for name in own + names),
        "types": ", ".join(
            f'"{name}": globals()["{ast.unparse(f.annotation)}"]' for name, f in zip(names, fields, strict=True)
        ),
        "arguments": ", ".join(f"{name}={name}" for name in names),
    }
    text["check"] = "" if size is None else RECORD_CHECK.format_map(text)
    block = RECORD_CLASS.format_map(text).splitlines()
    first, stop = first_line(node) - 1, [*node.body[:1], *declared][-1].end_lineno or 0
    while len(block) > stop - first and not lines[first - 1]:
        first -= 1
    while len(block) > stop - first and stop < len(lines) and not lines[stop]:
        stop += 1
    lines[first:stop] = block + [""] * (stop - first - len(block))
    return RECORD_FUNCTION.format_map(text)


# Compiling ------------------------------------------------------------------------------------------------------


def why_not() -> str | None:
    """What is missing to compile here."""
    try:
        import mypyc  # noqa: F401
        import setuptools  # noqa: F401
    except ImportError as error:
        needed = shlex.join(DEPENDENCIES)
        return f"{error.name} is not installed; leave out --no-build-isolation, or: pip install {needed}"
    return why_no_compiler()


def why_no_compiler() -> str | None:
    """What this machine lacks for that."""
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
    (work / "mypy.ini").write_text(
        "[mypy]\ndisable_error_code = call-arg\n" + "".join(UNTYPED.format(name) for name in OPTIONAL)
    )
    codes = codes_of_fields((root / RECORDS).read_text())
    names = []
    for module in modules:
        name = Path(*module.parts[2:]) if module.parts[0] == "platforms" else module
        (work / name).write_text(prepared(module, (root / module).read_text(), codes))
        names.append(str(name))
    with chdir(work):
        extensions = mypycify(names, opt_level="3", debug_level="0")
        command = Distribution({"name": "smbport", "ext_modules": extensions}).get_command_obj("build_ext")
        command.ensure_finalized()
        command.inplace = True
        command.run()
    return sorted([*work.glob("*.so"), *work.glob("smbport*/**/*.so")])
