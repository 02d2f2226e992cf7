"""The command line as a user meets it: every command as a process, and what it tells when it cannot."""

import json
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
from types import SimpleNamespace

import pytest

from smbport.users import default_store_path
from smbport.wire.constants import Access, Command, CreateDisposition, LockFlag
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request
from smbport.wire.status import Status, StatusError

pytestmark = pytest.mark.interop
needs_smbclient = pytest.mark.skipif(shutil.which("smbclient") is None, reason="smbclient is not installed")

MIB = 1 << 20
PATIENCE_S = 60


@pytest.fixture
def run(smbport, tmp_path):
    """Run a command of smbport to its end: exit status, output, errors."""

    def run(*arguments, answer=""):
        process = smbport(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        output, errors = process.communicate(answer, PATIENCE_S)
        return process.returncode, output, errors

    return run


@pytest.fixture
def store(tmp_path):
    return str(tmp_path / "users" / "users.db")


@pytest.fixture
def lets_in(connect):
    """Whether a server lets a user in."""

    def lets_in(server, user, password):
        try:
            connect(server, user=user, password=password)
        except StatusError as refusal:
            if refusal.status == Status.LOGON_FAILURE:
                return False
            raise
        return True

    return lets_in


# Help and tables ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    ["", "serve", "platforms", "check-config", "user", *(f"user {action}" for action in (
        "add", "passwd", "remove", "disable", "enable", "list"))],
)  # fmt: skip
def test_every_command_has_help(run, command):
    status, output, errors = run(*command.split(), "--help")
    assert (status, errors) == (0, "")
    assert output.startswith(f"usage: smbport {command}".strip())


@pytest.mark.parametrize("arguments", [[], ["user"], ["dance"], ["serve", "--dance"], ["check-config"]])
def test_wrong_usage(run, arguments):
    status, output, errors = run(*arguments)
    assert (status, output) == (2, "")
    assert errors.startswith("usage: smbport")


def test_the_version(run):
    status, output, _ = run("--version")
    assert status == 0
    assert re.fullmatch(r"smbport \d+\.\d+\.\d+\n", output)


def test_the_table_of_powers(run):
    status, output, errors = run("platforms", "memory")
    assert (status, errors) == (0, "")
    first, _, title, _, *rows = output.splitlines()
    assert first.startswith("installed: ")
    assert title.startswith("memory, running as ")
    assert rows
    for row in rows:
        assert re.fullmatch(r"  \w+ +(yes *|no +\S.*)", row)
    status, _, errors = run("platforms", "plan9")
    assert status == 1
    assert re.fullmatch(r"smbport: there is no port 'plan9'; installed are .*memory.*\n", errors)


# Users ----------------------------------------------------------------------------------------------------------


def test_users_come_and_change_and_go(run, serve, store, lets_in):
    assert run("user", "add", "alice", "--users", store, answer="first\n") == (0, "", "")
    assert run("user", "add", "Bob", "--account", "root", "--users", store, answer="second\n") == (0, "", "")
    status, output, _ = run("user", "list", "--users", store)
    assert status == 0
    assert [line.split() for line in output.splitlines()] == [
        ["alice", "enabled", "acts", "as", "alice"], ["Bob", "enabled", "acts", "as", "root"],
    ]  # fmt: skip
    server = serve(limits={"failed_logon_delay_s": 0.01}, arguments=["--users", store])
    assert lets_in(server, "alice", "first")
    assert lets_in(server, "BOB", "second")
    assert run("user", "passwd", "Alice", "--users", store, answer="third\n") == (0, "", "")
    assert not lets_in(server, "alice", "first")
    assert lets_in(server, "alice", "third")
    assert run("user", "disable", "alice", "--users", store) == (0, "", "")
    assert not lets_in(server, "alice", "third")
    assert run("user", "enable", "alice", "--users", store) == (0, "", "")
    assert lets_in(server, "alice", "third")
    assert run("user", "remove", "alice", "--users", store) == (0, "", "")
    assert not lets_in(server, "alice", "third")


def test_what_cannot_be_done_with_users(run, store, tmp_path):
    run("user", "add", "alice", "--users", store, answer="secret\n")
    (tmp_path / "open").write_bytes(b"")
    (tmp_path / "open").chmod(0o644)
    for action, name, where, says in (
        ("add", "ALICE", store, "user 'ALICE' is in .*users.db already"),
        ("add", "a/b", store, "user 'a/b': .*must not contain '/'"),
        ("remove", "bob", store, "there is no user 'bob' in .*users.db"),
        ("passwd", "bob", store, "there is no user 'bob' in .*users.db"),
        ("remove", "bob", f"{tmp_path}/none", "there is no user store .*/none; `smbport user add NAME` makes one"),
        ("remove", "bob", f"{tmp_path}/open", "has mode 0644, .* run: chmod 600 .*/open"),
    ):
        status, output, errors = run("user", action, name, "--users", where, answer="secret\n")
        assert (status, output) == (1, "")
        assert re.fullmatch(f"smbport: .*{says}.*\n", errors), errors
    status, _, errors = run("user", "passwd", "alice", "--users", store, answer="\n")
    assert (status, errors) == (1, "smbport: the password must not be empty\n")


def check_user_of_this_run(smbport, connect, directory, *arguments):
    """Start a server without users, and let the one in that it made up."""
    (directory / "data").mkdir()
    arguments = ["serve", "--share", f"data={directory / 'data'}", "--listen", "127.0.0.1:0", *arguments]
    process = smbport(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        text = ""
        while "net use" not in text:
            text += process.stdout.readline() or pytest.fail(process.stderr.read())
        (port,) = re.findall(r"serves on 127\.0\.0\.1:(\d+)", text)
        ((user, password),) = re.findall(r"user (\S+) +password (\S+)", text)
        assert len(password) >= 16
        client, tree = connect(SimpleNamespace(host="127.0.0.1", port=int(port), user=user, password=password))
        file = client.create(tree, "new", access=Access.GENERIC_ALL, disposition=CreateDisposition.CREATE)
        client.write(file, 0, b"text")
        assert (directory / "data/new").read_bytes() == b"text"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
        assert password not in output + errors
    finally:
        process.kill()
        process.communicate()


def test_without_users_there_is_one_for_this_run(smbport, connect, tmp_path):
    if default_store_path().exists():
        pytest.skip(f"there is a user store already: {default_store_path()}")
    check_user_of_this_run(smbport, connect, tmp_path)
    assert not default_store_path().exists()


def test_an_empty_store_is_no_users(smbport, connect, run, store, tmp_path):
    run("user", "add", "alice", "--users", store, answer="secret\n")
    run("user", "remove", "alice", "--users", store)
    check_user_of_this_run(smbport, connect, tmp_path, "--users", store)


# What cannot be served ------------------------------------------------------------------------------------------


def test_a_port_in_use(run, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ["serve", "--share", f"data={tmp_path}", "--user", "alice", "--listen", f"127.0.0.1:{port}"]
        status, output, errors = run(*arguments, answer="secret\n")
    assert (status, output) == (1, "")
    says = f"smbport: cannot listen on 127.0.0.1, port {port}: Address already in use; choose another with --listen or "
    assert errors.splitlines()[-1] == f"{says}server.listen"


def test_a_missing_directory(run, tmp_path):
    (tmp_path / "file").touch()
    for name, why in (("nothing", "No such file or directory"), ("file", "Not a directory")):
        path = tmp_path / name
        arguments = ["serve", "--share", f"data={path}", "--user", "alice", "--listen", "127.0.0.1:0"]
        status, output, errors = run(*arguments, answer="secret\n")
        assert (status, output) == (1, "")
        said = f"smbport: share 'data': cannot serve '{path}': {why}; make it, or correct the path"
        assert errors.splitlines()[-1] == said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "there is nothing to serve; give --share NAME=PATH, or --config FILE"),
        (["--share", "x"], '--share = "x": must be NAME=PATH'),
        (["--share", "x=/tmp,rw"], '--share = "x=/tmp,rw": the options are ro and guest, not rw'),
        (["--share", "x=/tmp", "--listen", "host:port"], '--listen = "host:port": .*must be PORT'),
        (["--share", "x=/tmp", "--platform", "plan9"], "there is no port 'plan9'; installed are"),
        (["--share", "x=/tmp", "--users", "/nothing"], "there is no user store /nothing; `smbport user add NAME`"),
        (["--config", "/nothing"], "/nothing: cannot be read: No such file or directory"),
    ],
)
def test_arguments_that_cannot_be(run, arguments, says):
    status, output, errors = run("serve", *arguments)
    assert (status, output) == (1, "")
    assert re.fullmatch(f"smbport: .*{says}.*\n", errors), errors


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[server", "is not TOML: "),
        ("[sever]", "sever: there is no such key; did you mean server?"),
        ('[server]\nsining = "required"', 'server.sining = "required": there is no such key; did you mean signing?'),
        ('[server]\nsigning = "never"', 'server.signing = "never": must be one of "required", "offered"'),
        ('[limits]\nread_size = "1KiB"', 'limits.read_size = "1KiB": must be from "64KiB" to "8MiB"'),
        ("[share.data]\nread_only = true", "share.data.path: is missing"),
        ('[server]\nread_size = "1MiB"', 'server.read_size = "1MiB": belongs in the table [limits]'),
    ],
)
def test_a_bad_configuration(run, tmp_path, text, says):
    file = tmp_path / "smbport.toml"
    file.write_text(text)
    for command in (["check-config", str(file)], ["serve", "--config", str(file)]):
        status, output, errors = run(*command)
        assert (status, output) == (1, "")
        assert errors.startswith(f"smbport: {file}: {says}"), errors
        assert errors.count("\n") == 1


def test_a_good_configuration(run, tmp_path):
    file = tmp_path / "smbport.toml"
    file.write_text(f'[share.data]\npath = {json.dumps(str(tmp_path))}\n[share."too much$"]\npath = "/"')
    assert run("check-config", str(file)) == (0, f"{file}: good; shares: data, too much$\n", "")


# Stopping -------------------------------------------------------------------------------------------------------


def test_sigterm_ends_a_request_that_waits(server, connect):
    client, tree = connect(server)
    access, disposition = Access.GENERIC_ALL, CreateDisposition.OPEN_IF
    one, two = (client.create(tree, "file", access=access, disposition=disposition) for _ in range(2))
    element = LockElement(offset=0, length=1, flags=LockFlag.EXCLUSIVE)
    bodies = [
        pack_lock_request(LockRequest(file_id_persistent=each.persistent, file_id_volatile=each.volatile), [element])
        for each in (one, two)
    ]
    client.call(Command.LOCK, bodies[0], tree_id=tree)
    client.link.send(client.protect(client.message(Command.LOCK, bodies[1], tree_id=tree)))
    assert client.receive()[0].status == Status.PENDING
    server.ask_to_stop()
    assert client.receive()[0].status == Status.CANCELLED
    with pytest.raises(ConnectionError):
        client.receive()
    server.stop()


@needs_smbclient
def test_sigterm_while_a_file_is_sent(server, smbclient):
    with server.path("big").open("wb") as file:
        file.truncate(1 << 40)
    command = smbclient.command(server, "get big -")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
        client.stdout.read(64 * MIB)
        rest = threading.Thread(target=drain, args=(client.stdout,))
        rest.start()
        server.stop()
        rest.join()
        said = client.stderr.read()  # nothing, if the connection ends between two of its requests
        assert client.wait() != 0, said


def drain(pipe):
    while pipe.read(MIB):
        pass


@needs_smbclient
def test_sigterm_while_a_file_comes(server, smbclient):
    data = random.Random(4).randbytes(96 * MIB)
    command = smbclient.command(server, "put - big")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
        client.stdin.write(data)
        server.stop()
        said, _ = client.communicate()
    assert b"NT_STATUS_CONNECTION_" in said
    assert server.path("big").read_bytes()[: 32 * MIB] == data[: 32 * MIB]
