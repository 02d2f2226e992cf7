"""hatch_build.py: which modules are compiled when that is asked for, and that it happened where it was asked for."""

import ast
import os
import runpy
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from smbport.cli import main

ROOT = Path(__file__).parent.parent

HOT = (
    "commands/call", "commands/close", "commands/create", "commands/dispatch", "commands/lock", "commands/open_node",
    "commands/read", "commands/table", "commands/write", "security/access", "security/pyca", "security/sealing",
    "security/signing", "server/drive", "server/transport", "state/connection", "state/credits", "state/durable",
    "state/oplocks", "state/open", "state/server", "state/session", "state/sharing", "state/tree",
    "wire/create_response", "wire/frame", "wire/text",
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
    assert {name: left[f"smbport/{name}.py"] for name in HOT} == dict.fromkeys(HOT)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("@record(structure_size=4)\nclass Request(Record): ...", "declares records"),
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


@pytest.mark.skipif("SMBPORT_TEST_COMPILED" not in os.environ, reason="for `tox run -e compiled`")
def test_here_it_is_compiled(build: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
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
    for value, wanted in ((None, False), ("", False), ("0", False), ("1", True)):
        monkeypatch.delenv("SMBPORT_COMPILE", raising=False)
        if value is not None:
            monkeypatch.setenv("SMBPORT_COMPILE", value)
        assert hook._wanted is wanted
