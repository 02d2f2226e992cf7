"""smbport.cli: what people type, and what they read when it cannot be done."""

import gc
import io
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from smbport import __version__, cli, registry
from smbport.cli import serve
from smbport.cli.arguments import new_parser
from smbport.cli.version import version_text
from smbport.platform import POWERS
from smbport.posix.port import PosixPlatform
from smbport.registry import PlatformError
from smbport.security.auth import nt_hash
from smbport.state.settings import Limits, Settings
from smbport.testing.client import Client, SocketLink
from smbport.testing.memory import MemoryPlatform
from smbport.users import UserStore
from smbport.wire.status import StatusError

CONFIG = """\
[server]
platform = "memory"
listen = ["127.0.0.1:0"]
[limits]
failed_logon_delay_s = 0.0
[share.data]
path = "v"
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No user of this machine comes in, and no limit of this process is changed."""
    monkeypatch.setattr("smbport.users.default_store_path", lambda: tmp_path / "users.db")
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: None)
    return tmp_path


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch):
    """`typed("secret\\n")` is what comes in on standard input, which is no terminal."""

    def typed(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    typed("")
    return typed


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What is said on the standard error of a command that cannot be done."""
    capsys.readouterr()
    assert cli.main(arguments) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("smbport: ")
    assert "Traceback" not in said.err
    return said.err.removeprefix("smbport: ").rstrip("\n")


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert cli.main(arguments) == 0
    return capsys.readouterr().out


# Usage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [[], ["dance"], ["serve", "data=/srv"], ["user"], ["user", "add"], ["user", "dance"], ["check-config"]]
)
def test_wrong_usage_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: smbport" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["user", "add", "--help"]])
def test_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 0
    assert "usage: smbport" in capsys.readouterr().out


def test_running_the_package() -> None:
    done = subprocess.run([sys.executable, "-m", "smbport", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{version_text()}\n"
    assert done.stdout.startswith(f"smbport {__version__}")


def test_control_c_is_status_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(name: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(registry, "find", interrupted)
    assert cli.main(["platforms"]) == 130


def test_a_bug_shows_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find", lambda name: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(["platforms"])


# serve: what it comes down to -----------------------------------------------------------------------------------


def options(*arguments: str):
    return new_parser().parse_args(["serve", *arguments])


def test_arguments_add_to_the_file(tmp_path: Path) -> None:
    file = tmp_path / "smbport.toml"
    file.write_text('[server]\nlisten = ["127.0.0.1:1"]\n[share.first]\npath = "/a"\n')
    chosen = options("--config", str(file), "--share", "second=/b,ro", "--listen", "[::1]:2", "--listen", "3")
    configuration = serve._configuration(chosen)
    shares = [(share.name, share.path, share.read_only) for share in configuration.settings.shares]
    assert shares == [("first", "/a", False), ("second", "/b", True)]
    assert configuration.listen == (("127.0.0.1", 1), ("::1", 2), (None, 3))


def test_nothing_to_serve(capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is nothing to serve; give --share" in refused(capsys, "serve")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--share", "data"], "must be NAME=PATH"),
        (["--share", "a=/b", "--share", "A=/c"], "A"),
        (["--share", "a=/b", "--listen", "70000"], "port up to 65535"),
        (["--config", "/nowhere/smbport.toml"], "/nowhere/smbport.toml"),
        (["--share", "a=/b", "--platform", "amiga"], "no port 'amiga'"),
        (["--share", "a=/b", "--platform", "memory", "--users", "/nowhere/users.db"], "no user store"),
    ],
)
def test_what_cannot_be_served(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert words in refused(capsys, "serve", *arguments)


class Ports:
    """Sockets of a system on which some ports cannot be had."""

    def __init__(self, errors: dict[int, int]) -> None:
        self.errors = errors
        self.opened: list[socket.socket] = []

    def listen(self, host: str | None, port: int) -> list[socket.socket]:
        assert host is None
        if port in self.errors:
            raise OSError(self.errors[port], os.strerror(self.errors[port]))
        self.opened += [socket.socket(), socket.socket()]
        return self.opened


def with_ports(errors: dict[int, int]) -> MemoryPlatform:
    platform = MemoryPlatform()
    platform.sockets = Ports(errors)  # type: ignore[assignment]
    return platform


def test_the_standard_port_if_it_can_be_had(capsys: pytest.CaptureFixture[str]) -> None:
    platform = with_ports({})
    assert serve._default_listen(platform) == [(None, 445)]
    assert [sock.fileno() for sock in platform.sockets.opened] == [-1, -1]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("number", [13, 98], ids=os.strerror)
def test_another_port_if_not(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert serve._default_listen(with_ports({445: number})) == [(None, 4445)]
    assert capsys.readouterr().err == f"Port 445 cannot be had ({os.strerror(number)}); using 4445.\n"


@pytest.mark.parametrize(
    ("limits", "connections", "opens", "raised"),
    [
        ((1024, 4096), 1024, 4096 - 256 - 1024, [(4096, 4096)]),
        ((4096, 4096), 1024, 4096 - 256 - 1024, []),
        ((1024, 1024), 384, 384, []),
        ((100, 100), 1, 1, []),
        ((1024, 1 << 20), 1024, Limits().opens, [(1 << 20, 1 << 20)]),
        ((1024, resource.RLIM_INFINITY), 1024, Limits().opens, [(resource.RLIM_INFINITY, resource.RLIM_INFINITY)]),
    ],
)
def test_no_more_is_promised_than_there_are_descriptors(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    limits: tuple[int, int],
    connections: int,
    opens: int,
    raised: list[tuple[int, int]],
) -> None:
    """For connections and opens together, and for what the server needs besides them."""
    caplog.set_level("INFO", "smbport")
    asked: list[object] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda which, wanted: asked.append(wanted))
    bounded = serve._bounded(Settings(), PosixPlatform())
    assert bounded == replace(Settings(), limits=Limits(connections=connections, opens=opens))
    assert asked == raised
    said = f"{limits[1]} descriptors are allowed: at most {connections} connections, {opens} opens"
    assert [record.getMessage() for record in caplog.records] == ([said] if opens < Limits().opens else [])


def test_opens_in_memory_take_no_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1000, 1000))
    bounded = serve._bounded(Settings(), MemoryPlatform())
    assert bounded.limits.opens == Limits().opens
    assert bounded.limits.connections < Limits().connections


def test_one_user_or_a_file_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        cli.main(["serve", "--share", "a=/b", "--user", "bob", "--users", "/x.db"])
    assert refusal.value.code == 2
    assert "argument --users: not allowed with argument --user" in capsys.readouterr().err


def test_users_of_the_configuration_that_one_user_stands_in_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not forgotten without a word."""
    monkeypatch.setattr("sys.stdin", io.StringIO("secret\n"))
    file = tmp_path / "smbport.toml"
    file.write_text('[server]\nusers = "/x.db"\n[share.a]\npath = "/b"\n')
    chosen = options("--config", str(file), "--user", "bob")
    users, made_up = serve._users(chosen, serve._configuration(chosen), MemoryPlatform())
    assert made_up is None
    assert [record.name for record in users.list()] == ["bob"]
    said = capsys.readouterr().err
    assert said.endswith("Only bob can log on in this run; the users of /x.db cannot.\n")


@pytest.mark.parametrize(("name", "password"), [("alice", ""), ("a/b", "secret"), ("alice", "x" * 200)])
def test_a_user_that_is_refused_leaves_no_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, password: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
    store = tmp_path / "users.db"
    refused(capsys, "user", "add", name, "--users", str(store))
    assert list(tmp_path.iterdir()) == []


def test_without_users_one_is_made_up() -> None:
    platform = MemoryPlatform()
    chosen = options("--share", "a=/b")
    users, made_up = serve._users(chosen, serve._configuration(chosen), platform)
    assert made_up is not None
    name, password = made_up
    record = users.find_user(name)
    assert record is not None
    assert (record.nt_hash, record.account) == (nt_hash(password), platform.account.name)
    assert len(password) >= 16
    _, again = serve._users(chosen, serve._configuration(chosen), platform)
    assert again is not None
    assert again[1] != password


def test_an_empty_store_is_no_users_and_a_full_one_is(home: Path, typed) -> None:
    chosen = options("--share", "a=/b")
    with UserStore.open(home / "users.db", create=True) as store:
        assert serve._users(chosen, serve._configuration(chosen), MemoryPlatform())[1] is not None
        store.add("alice", "secret")
    users, made_up = serve._users(chosen, serve._configuration(chosen), MemoryPlatform())
    assert made_up is None
    record = users.find_user("ALICE")
    assert record is not None
    assert record.nt_hash == nt_hash("secret")
    users.close()  # type: ignore[attr-defined]


def test_one_user_for_this_run(typed) -> None:
    typed("secret\n")
    chosen = options("--share", "a=/b", "--user", "bob")
    users, made_up = serve._users(chosen, serve._configuration(chosen), MemoryPlatform())
    assert made_up is None
    record = users.find_user("bob")
    assert record is not None
    assert record.nt_hash == nt_hash("secret")


# serve: doing it ------------------------------------------------------------------------------------------------


@pytest.fixture
def visit(monkeypatch: pytest.MonkeyPatch):
    """`visit(action)`: call `action(run, port)` in a thread when the server greets, and then stop it by a signal."""
    monkeypatch.setattr(gc, "freeze", lambda: None)  # or what tests have made stayed, too
    monkeypatch.setattr(gc, "set_threshold", lambda count: None)

    def visit(action, number: int = signal.SIGTERM) -> None:
        greet = serve._greet

        def greet_and_go(run, addresses) -> None:
            greet(run, addresses)
            threading.Thread(target=go, args=(run, addresses[0][1])).start()

        def go(run, port: int) -> None:
            try:
                action(run, port)
            finally:
                os.kill(os.getpid(), number)

        monkeypatch.setattr(serve, "_greet", greet_and_go)

    return visit


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serving_until_a_signal(visit, capsys: pytest.CaptureFixture[str], number: int) -> None:
    seen: list[object] = []

    def look(run, port: int) -> None:
        name, password = run.made_up
        client = Client(SocketLink.connect("127.0.0.1", port))
        client.negotiate()
        client.log_on(name, password)
        seen.append(client.tree_connect("data"))
        client.link.close()
        seen.extend([port, password])

    visit(look, number)
    said = printed(capsys, "serve", "--share", "data=v", "--platform", "memory", "--listen", "127.0.0.1:0")
    _, port, password = seen
    assert f"{version_text()} serves on 127.0.0.1:{port} (platform memory)" in said
    assert f"user smbport   password {password}" in said
    assert f":{port}/data" in said
    assert f"/TCPPORT:{port}" in said
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_collections_are_rare_and_leave_what_the_start_has_made(visit, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    visit(lambda run, port: done.append("served"))
    monkeypatch.setattr(gc, "freeze", lambda: done.append("frozen"))
    monkeypatch.setattr(gc, "set_threshold", lambda count: done.append(f"{count} young"))
    assert cli.main(["serve", "--share", "data=v", "--platform", "memory", "--listen", "127.0.0.1:0"]) == 0
    assert done == ["frozen", "20000 young", "served"]


def test_serving_from_a_file_with_users_of_a_store(visit, home: Path, capsys, typed) -> None:
    file = home / "smbport.toml"
    file.write_text(CONFIG)
    typed("secret\n")
    assert cli.main(["user", "add", "alice"]) == 0
    outcomes: list[object] = []

    def look(run, port: int) -> None:
        for password in ("secret", "wrong"):
            client = Client(SocketLink.connect("127.0.0.1", port))
            client.negotiate()
            try:
                client.log_on("alice", password)
                outcomes.append("in")
            except StatusError:
                outcomes.append("out")
            client.link.close()

    visit(look)
    said = printed(capsys, "serve", "--config", str(file))
    assert outcomes == ["in", "out"]
    assert "password" not in said
    assert "smb://USER@" in said


def test_what_fails_when_the_server_starts_is_said_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        said = refused(capsys, "serve", "--share", "data=v", "--platform", "memory", "--listen", where)
    assert "Address already in use" in said


def test_a_share_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ["serve", "--share", f"data={tmp_path}/missing", "--platform", "linux", "--listen", "127.0.0.1:0"]
    said = refused(capsys, *arguments)
    assert f"share 'data': cannot serve '{tmp_path}/missing': No such file or directory" in said


def test_the_port_is_found_before_trio_is_imported() -> None:
    """Some ports must prepare the event loop."""
    script = """
import sys
from smbport import cli, registry
def find(name):
    print("trio" in sys.modules)
    raise registry.PlatformError("seen")
registry.find = find
sys.exit(cli.main(["serve", "--share", "data=/tmp"]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "False\n", "smbport: seen\n")


# user -----------------------------------------------------------------------------------------------------------


def test_the_life_of_a_user(home: Path, capsys: pytest.CaptureFixture[str], typed) -> None:
    typed("first\n")
    assert printed(capsys, "user", "add", "Alice", "--account", "nobody") == ""
    assert printed(capsys, "user", "list").split() == ["Alice", "enabled", "acts", "as", "nobody"]
    assert (home / "users.db").stat().st_mode & 0o777 == 0o600
    typed("second\n")
    assert printed(capsys, "user", "passwd", "alice") == ""
    with UserStore.open(home / "users.db") as store:
        record = store.find_user("alice")
        assert record is not None
        assert record.nt_hash == nt_hash("second")
    assert printed(capsys, "user", "disable", "ALICE") == ""
    assert "disabled" in printed(capsys, "user", "list")
    assert printed(capsys, "user", "enable", "alice") == ""
    assert "enabled" in printed(capsys, "user", "list")
    assert printed(capsys, "user", "remove", "alice") == ""
    assert printed(capsys, "user", "list") == ""


def test_another_store(tmp_path: Path, capsys: pytest.CaptureFixture[str], typed) -> None:
    other = str(tmp_path / "other.db")
    typed("word\n")
    assert printed(capsys, "user", "add", "bob", "--users", other) == ""
    assert "acts as bob" in printed(capsys, "user", "list", "--users", other)
    assert "no user store" in refused(capsys, "user", "list")


@pytest.mark.parametrize("action", ["passwd", "remove", "disable", "enable"])
def test_there_is_no_such_user(action: str, capsys: pytest.CaptureFixture[str], typed) -> None:
    typed("word\nword\n")
    printed(capsys, "user", "add", "bob")
    assert "there is no user 'carol'" in refused(capsys, "user", action, "carol")


def test_users_that_cannot_be_added(capsys: pytest.CaptureFixture[str], typed) -> None:
    assert "the password must not be empty" in refused(capsys, "user", "add", "bob")
    typed("word\n" * 3)
    assert "must not contain" in refused(capsys, "user", "add", "a/b")
    printed(capsys, "user", "add", "bob")
    assert "already" in refused(capsys, "user", "add", "BOB")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_password_is_typed_twice_at_a_terminal(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = ["one", "two", "three", "three"]
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda prompt: answers.pop(0))
    assert "the two passwords differ; nothing was changed" in refused(capsys, "user", "add", "bob")
    printed(capsys, "user", "add", "bob")
    with UserStore.open(home / "users.db") as store:
        assert [(record.name, record.nt_hash) for record in store.list()] == [("bob", nt_hash("three"))]


# platforms, check-config ----------------------------------------------------------------------------------------


def test_the_table_of_platforms(capsys: pytest.CaptureFixture[str]) -> None:
    said = printed(capsys, "platforms", "memory")
    assert "installed: " in said
    assert "memory, running as server (uid 0, gid 0)" in said
    rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in said.splitlines() if line.startswith("  ")}
    assert tuple(rows) == POWERS
    assert rows["clone"] == ["yes"]
    assert rows["kernel"] == ["no", "no kernel serves them"]


def test_no_platform_at_all(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str | None) -> None:
        raise PlatformError("none is meant for this system")

    monkeypatch.setattr(registry, "find", find)
    assert cli.main(["platforms"]) == 1
    assert capsys.readouterr().err == "smbport: none is meant for this system\n"


def test_checking_a_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "smbport.toml"
    file.write_text('[share.data]\npath = "/srv/data"\n[share.more]\npath = "/srv/more"\n')
    assert printed(capsys, "check-config", str(file)) == f"{file}: good; shares: data, more\n"
    file.write_text("")
    assert printed(capsys, "check-config", str(file)) == f"{file}: good; shares: none\n"
    file.write_text('[share.data]\npath = "/srv/data"\nred_only = true\n')
    assert "red_only" in refused(capsys, "check-config", str(file))
    assert "No such file" in refused(capsys, "check-config", str(tmp_path / "missing.toml"))
