"""What README and docs/porting say of ports is true; ports are small, and the core knows no system."""

import importlib.util
import io
import itertools
import re
import tokenize
from pathlib import Path

import pytest
import trio

import smbport
from smbport.platform import POWERS
from smbport.registry import describe
from smbport.testing.client import Client, SocketLink
from smbport.testing.kit import CHECKS, examine
from smbport.wire.constants import Access, CreateDisposition
from smbport_linux import PORT as LINUX
from tests.platforms.table import PAGES, PROJECT, README, rows, table

HERE = Path(__file__).parent
EXAMPLE = PROJECT / "docs/porting/example/hello.py"
MAX_PORT, MAX_EXAMPLE = 1500, 100
SYSTEMS = re.compile(r"linux|freebsd|qnx|darwin|inotify|kqueue|epoll|setfsuid|openat2|extattr|chflags", re.IGNORECASE)


def test_the_table_of_readme():
    assert table() in README.read_text(), "put what python -m tests.platforms.table prints into README.md"


@pytest.mark.parametrize("port", PAGES)
def test_every_power_is_on_the_page_and_shown_by_a_test(port):
    page = rows(port)
    assert set(POWERS) <= set(page)
    for uses, tier, shown_by in page.values():
        file, _, test = shown_by.partition("::")
        path = HERE / file if (HERE / file).exists() else HERE / port / file
        assert re.search(rf"^(async )?def {test}\(", path.read_text(), re.MULTILINE), shown_by
        assert (tier == "none") is uses.startswith("nothing")


@pytest.mark.skipif(not LINUX.matches(), reason="is about Linux")
def test_what_is_there_is_claimed():
    page = rows("linux")
    for power in describe(LINUX.probe()):
        assert not power.present or page[power.name][1] == "T5", power.name


def count_code(text):
    """Lines on which code stands: not those that are blank, or of comments, or of docstrings."""
    lines, begins = set(), True
    tokens = [
        token
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    ]
    for token, following in itertools.pairwise(tokens):
        is_docstring = begins and token.type == tokenize.STRING and following.type == tokenize.NEWLINE
        begins = token.type == tokenize.NEWLINE
        if not begins and not is_docstring:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines)


def test_what_counts_as_code():
    text = '"""Module."""\n\n# comment\nX = (\n    1,  # one\n)\n"""Of X."""\n'
    assert count_code(text) == 3
    assert count_code('def f():\n    """Doc.\n\n    """\n    return """a\nb"""\n') == 1 + 2


@pytest.mark.parametrize("port", ["linux", "freebsd", "qnx"])
def test_ports_are_small(port):
    """In lines of code; ksmbd's is a port of its own."""
    package = PROJECT / "platforms" / port / f"smbport_{port}"
    for folder in (package, *(path for path in package.iterdir() if path.is_dir() and path.name != "__pycache__")):
        assert sum(count_code(file.read_text()) for file in folder.glob("*.py")) < MAX_PORT, folder


def test_the_core_names_no_system():
    """Outside of comments and texts, and of what is made for systems: smbport.posix."""
    found = {}
    for file in (PROJECT / "smbport").rglob("*.py"):
        name = str(file.relative_to(PROJECT))
        if name.startswith("smbport/posix/"):
            continue
        text = file.read_text()
        assert "sys.platform" not in text, name
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        named = {token.string for token in tokens if token.type == tokenize.NAME and SYSTEMS.search(token.string)}
        if named:
            found[name] = named
    assert found == {}


# The example -------------------------------------------------------------------------------------------------------


@pytest.fixture
def hello():
    spec = importlib.util.spec_from_file_location("smbport_hello", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_is_short():
    assert len(EXAMPLE.read_text().splitlines()) < MAX_EXAMPLE


@pytest.mark.parametrize("check", CHECKS)
def test_the_example_passes_the_exam(hello, tmp_path, check):
    (finding,) = examine(hello.PORT.probe(), str(tmp_path), [check]).findings
    assert finding.outcome != "failed", finding.detail
    assert not hello.PORT.matches()


async def test_the_example_serves(hello, tmp_path):
    def use(port: int) -> None:
        link = SocketLink.connect("127.0.0.1", port)
        client = Client(link)
        client.negotiate()
        client.log_on("alice", "secret")
        file = client.create(
            client.tree_connect("data"), "new", access=Access.FILE_ALL_ACCESS, disposition=CreateDisposition.CREATE
        )
        client.write(file, 0, b"hello")
        client.close(file)
        link.close()

    async with smbport.serve({"data": tmp_path}, users={"alice": "secret"}, platform=hello.PORT.probe()) as server:
        await trio.to_thread.run_sync(use, server.port)
    assert (tmp_path / "new").read_bytes() == b"hello"
