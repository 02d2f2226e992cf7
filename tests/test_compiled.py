"""hatch_build.py: which modules are compiled when that is asked for, and that it happened where it was asked for."""

import ast
import os
import runpy
import tomllib
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from smbport.cli import main
from smbport.wire.record import BadStructure, Record

ROOT = Path(__file__).parent.parent

HOT = (
    "platforms/linux/smbport_linux/beneath", "platforms/linux/smbport_linux/ready",
    "platforms/linux/smbport_linux/stats", "platforms/linux/smbport_linux/volume", "smbport/commands/call",
    "smbport/commands/close", "smbport/commands/create", "smbport/commands/dispatch", "smbport/commands/lock",
    "smbport/commands/open_node", "smbport/commands/query_info", "smbport/commands/read", "smbport/commands/table",
    "smbport/commands/write", "smbport/platform/volumes", "smbport/posix/volume", "smbport/posix/walk",
    "smbport/security/access", "smbport/security/pyca", "smbport/security/sealing", "smbport/security/signing",
    "smbport/server/conversation", "smbport/server/drive", "smbport/server/shared_readiness",
    "smbport/server/transport", "smbport/state/connection", "smbport/state/credits", "smbport/state/durable",
    "smbport/state/ledger", "smbport/state/lookout", "smbport/state/open", "smbport/state/oplocks",
    "smbport/state/server", "smbport/state/session", "smbport/state/sharing", "smbport/state/tree",
    "smbport/wire/create", "smbport/wire/create_response", "smbport/wire/file", "smbport/wire/frame",
    "smbport/wire/header", "smbport/wire/info", "smbport/wire/text",
)  # fmt: skip
"""What every open, read and write runs through."""


@pytest.fixture(scope="module")
def build() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "hatch_build.py"))


def test_what_extras_bring_need_not_be_there_to_compile(build: dict[str, Any]) -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["overrides"]
    untyped = {each["module"] for each in settings if each.get("ignore_missing_imports")}
    assert untyped == {f"{name}.*" for name in build["OPTIONAL"]}


def test_nothing_hot_is_left_to_the_interpreter(build: dict[str, Any]) -> None:
    left = {str(module): reason for module, reason in build["hot_modules"](ROOT)}
    assert {name: left[f"{name}.py"] for name in HOT} == dict.fromkeys(HOT)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("@coroutine\ndef waiting(): yield", "makes a coroutine"),
        ("async def f():\n  try: g()\n  except OSError:\n    await h()", "line 2"),
        ("async def f():\n  try: g()\n  finally:\n    if x: await h()", "line 2"),
        ("def f():\n  try: g()\n  finally: yield 1", "line 2"),
        ("async def f():\n  async with nursery(): g()", "line 2"),
    ],
)
def test_what_mypyc_does_not_get_right_is_left(build: dict[str, Any], source: str, reason: str) -> None:
    assert reason in build["why_interpreted"](ast.parse(source))


@pytest.mark.parametrize(
    "source",
    [
        "@dataclass(slots=True)\nclass Plan: ...",
        "async def f():\n  try: await g()\n  except OSError: h()\n  finally: i()",
        "async def f():\n  with scope(): await g()",
    ],
)
def test_everything_else_is_compiled(build: dict[str, Any], source: str) -> None:
    assert build["why_interpreted"](ast.parse(source)) is None


# What mypyc is given --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def given(build: dict[str, Any]) -> dict[Path, str]:
    """By module."""
    codes = build["codes_of_fields"]((ROOT / build["RECORDS"]).read_text())
    modules = [module for module, reason in build["hot_modules"](ROOT) if reason is None]
    return {module: build["prepared"](module, (ROOT / module).read_text(), codes) for module in modules}


def made_of(module: Path, source: str) -> tuple[ModuleType, ModuleType]:
    """A module as it is, and what its prepared source makes without a compiler."""
    name = ".".join(module.with_suffix("").parts)
    made = ModuleType(name)
    exec(compile(source, name, "exec"), vars(made))
    return import_module(name), made


def test_tracebacks_are_right(given: dict[Path, str]) -> None:
    def lines(source: str) -> dict[str, int]:
        functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
        return {node.name: node.lineno for node in functions}

    for module, source in given.items():
        moved = lines(source)
        for name, line in lines((ROOT / module).read_text()).items():
            assert name in ("__init__", "pack", "unpack_from") or moved[name] == line, module


@pytest.mark.pure_only  # compares with what `record` makes
def test_records_are_what_they_were(build: dict[str, Any], given: dict[Path, str]) -> None:
    count = 0
    for module, source in given.items():
        if "\n@record(" not in (ROOT / module).read_text() or module == Path(build["RECORDS"]):
            continue
        as_is, made = made_of(module, source)
        for name, one in vars(as_is).items():
            if isinstance(one, type) and issubclass(one, Record) and one.__module__ == as_is.__name__:
                compare(one, getattr(made, name))
                count += 1
    assert count > 20


def compare(one: type[Record], other: type[Record]) -> None:
    assert signature(one).parameters.keys() == signature(other).parameters.keys()
    assert {name: one.__annotations__[name] for name in signature(one).parameters} == other.__annotations__
    assert (one.SIZE, one.STRUCTURE_SIZE) == (other.SIZE, other.STRUCTURE_SIZE)
    data = bytes(range(1, one.SIZE + 1))
    if one.STRUCTURE_SIZE is not None:
        data = one.STRUCTURE_SIZE.to_bytes(2, "little") + data[2:]
        assert failure(one, bytes(one.SIZE)) == failure(other, bytes(one.SIZE)) != ""
    assert failure(one, data[:-1]) == failure(other, data[:-1]) != ""
    before, after = one.unpack_from(b"?" + data, 1), other.unpack_from(b"?" + data, 1)
    assert repr(before) == repr(after)
    assert before.pack() == after.pack()
    assert after == replace(after)  # type: ignore[type-var]
    buffers = bytearray(one.SIZE + 1), bytearray(one.SIZE + 1)
    before.pack_into(buffers[0], 1)
    after.pack_into(buffers[1], 1)
    assert buffers[0] == buffers[1] == b"\0" + before.pack()
    needed = {name: value.default for name, value in signature(one).parameters.items() if value.default is value.empty}
    assert repr(one(**dict.fromkeys(needed, 1))) == repr(other(**dict.fromkeys(needed, 1)))
    assert {name for name in vars(one) if name[0] != "_"} == {name for name in vars(other) if name[0] != "_"} | set(
        signature(one).parameters
    )


def failure(kind: type[Record], data: bytes) -> str:
    try:
        kind.unpack_from(data)
    except BadStructure as error:
        return str(error)
    return ""


@pytest.mark.pure_only  # compares with what `dataclass` makes
def test_a_state_is_what_it_was(given: dict[Path, str]) -> None:
    module = Path("smbport/platform/volumes.py")
    as_is, made = made_of(module, given[module])
    arguments = (as_is.FileKey(1, 2), *range(11), None)
    assert str(signature(as_is.Stat)) == str(signature(made.Stat))
    assert repr(as_is.Stat(*arguments)) == repr(made.Stat(*arguments))
    assert made.Stat(*arguments) == made.Stat(*arguments) != made.Stat(*arguments, True)


def test_keys_have_no_place_in_a_log_here_either(given: dict[Path, str]) -> None:
    assert "@dataclass(init=False, repr=False)\n" in given[Path("smbport/security/keys.py")]


def test_a_name_of_exceptions_has_one_type(given: dict[Path, str]) -> None:
    """In each function: compiled, the first `except ... as` decides, and another one is a TypeError."""
    for module, source in given.items():
        for function in ast.walk(ast.parse(source)):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                handlers = [each for each in ast.walk(function) if isinstance(each, ast.ExceptHandler) and each.name]
                kinds = {(each.name, ast.unparse(each.type)) for each in handlers if each.type}
                assert len(kinds) == len({name for name, _ in kinds}), (module, function.name)


def test_what_others_derive_from_is_marked(build: dict[str, Any], given: dict[Path, str]) -> None:
    volume = given[Path("smbport/posix/volume.py")].splitlines()
    assert volume[volume.index("class PosixVolume:") - 1] == build["MARK"]
    assert build["MARK"] in given[Path("platforms/linux/smbport_linux/volume.py")]
    closed = [module for module in given if module.parts[1] in ("state", "commands")]
    assert not any(build["MARK"] in given[module] for module in closed)


def test_what_finds_no_room_is_said(build: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no room for '@mypyc_attr"):
        build["prepared"](Path("smbport/posix/x.py"), '"A module."\n\nimport os\nclass Volume: ...\n', {})


# The build ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif("SMBPORT_TEST_COMPILED" not in os.environ, reason="for `tox run -e compiled`")
def test_here_it_is_compiled(build: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    if reason := build["why_no_compiler"]():
        pytest.skip(reason)
    for module, reason in build["hot_modules"](ROOT):
        parts = module.with_suffix("").parts
        spec = find_spec(".".join(parts[2:] if parts[0] == "platforms" else parts))
        assert spec is not None
        assert spec.origin is not None
        assert (reason is None) is not spec.origin.endswith(".py"), module
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.endswith(" (compiled)\n")


def test_nothing_is_compiled_unasked(build: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    hook = build["CompileHook"](str(ROOT), {}, None, None, str(ROOT), "wheel")
    for value, wanted in ((None, False), ("", False), ("0", False), ("1", True), ("if-possible", True)):
        monkeypatch.delenv("SMBPORT_COMPILE", raising=False)
        if value is not None:
            monkeypatch.setenv("SMBPORT_COMPILE", value)
        assert hook._wanted is wanted


@pytest.mark.parametrize("value", ["1", "if-possible"])
def test_without_a_compiler(build: dict[str, Any], monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """It fails where compiling was asked for, and makes what it always made where it is to be tried."""
    said: list[str] = []

    class App:
        def display_warning(self, message: str) -> None:
            said.append(message)

        def abort(self, message: str) -> None:
            raise SystemExit(message)

    monkeypatch.setenv("SMBPORT_COMPILE", value)
    monkeypatch.setenv("CC", "no-such-compiler")
    hook = build["CompileHook"](str(ROOT), {}, None, None, str(ROOT), "wheel", app=App())
    data: dict[str, Any] = {}
    if value == "1":
        with pytest.raises(SystemExit, match="SMBPORT_COMPILE is set, but"):
            hook.initialize("standard", data)
        return
    hook.initialize("standard", data)
    hook.finalize("standard", data, "")
    assert data == {}
    [line] = said
    assert line.startswith("not compiled: there is no C compiler 'no-such-compiler'")
