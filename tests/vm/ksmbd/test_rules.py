"""Bounds, protection, groups, odd requests: what smbport decides and ksmbd obeys."""

import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import pytest

from smbport.testing.client import Client
from smbport.wire.constants import Access, CreateDisposition
from smbport.wire.status import Status, StatusError
from tests.vm import daemon
from tests.vm.ksmbd.conftest import PASSWORD
from tests.vm.machine import GuestError, Machine

pytestmark = [pytest.mark.vm, pytest.mark.timeout(600)]

CONFIG: Final = """\
[server]
platform = "linux-kernel"
users = "/run/users.db"
{server}
[limits]
{limits}
[share.data]
path = "/run/data"
[share.gone]
path = "/run/gone"
[share.most]
path = "/run/data"
valid_users = ["tester", "busy"]
write_users = ["busy"]
read_only = true
"""
OFFERED: Final = 'signing = "offered"'
READ_WRITE: Final = Access.GENERIC_READ | Access.GENERIC_WRITE


@pytest.fixture(scope="module")
def served(guest: Machine) -> Iterator[int]:
    guest.call(daemon.make_folder, "/run/gone")
    process = guest.call(daemon.start, CONFIG.format(server=OFFERED, limits=""), "--allow-missing")
    yield process
    guest.call(daemon.send, process, signal.SIGTERM)
    guest.call(daemon.await_end, process)


@pytest.fixture
def configure(guest: Machine, served: int):
    """Change the configuration; ksmbd starts anew for what it takes only at its start."""

    def configure(server: str = OFFERED, limits: str = "") -> str:
        said = guest.call(daemon.reload, served, CONFIG.format(server=server, limits=limits))
        assert "all is as before" not in said, said
        return said

    yield configure
    configure()


def status_of(client: Client, share: str) -> int:
    """How connecting to a share ends."""
    try:
        client.tree_connect(share)
    except StatusError as error:
        return error.status
    return Status.SUCCESS


def test_the_cap_of_connections_of_an_address(configure, connect):
    configure(limits="connections_per_address = 2\nunauthenticated_per_address = 2")
    first, second = connect(), connect()
    with pytest.raises(ConnectionError):
        connect()
    assert [status_of(client, "data") for client in (first, second)] == [0, 0]
    first.link.close()
    second.link.close()


def connect_patiently(connect):
    """For a while ksmbd counts connections that have ended; an attempt takes long enough to be a pause as well."""
    for _ in range(100):
        with suppress(ConnectionError):
            return connect()
    return connect()


def test_the_cap_of_connections(configure, connect):
    limits = ("connections", "unauthenticated_connections", "connections_per_address", "unauthenticated_per_address")
    configure(limits="\n".join(f"{key} = 1" for key in limits))
    first = connect_patiently(connect)
    with pytest.raises(ConnectionError):
        connect()
    assert status_of(first, "data") == 0


def test_the_caps_of_sessions_and_of_connections_to_shares(configure, connect):
    configure(limits="sessions = 1\nsessions_per_connection = 1\ntrees_per_session = 2")
    first, second = connect(), connect()
    assert [status_of(first, share) for share in ("data", "IPC$", "most")] == [0, 0, Status.ACCESS_DENIED]
    assert status_of(second, "data") == Status.ACCESS_DENIED


def test_valid_users_and_write_users(configure, connect, smbclient):
    configure()
    assert status_of(connect("other"), "most") == Status.ACCESS_DENIED
    reader, writer = connect("tester"), connect("busy")
    with pytest.raises(StatusError, match="ACCESS_DENIED"):
        reader.create(reader.tree_connect("most"), "w", access=READ_WRITE, disposition=CreateDisposition.OPEN_IF)
    tree = writer.tree_connect("most")
    writer.close(writer.create(tree, "w", access=READ_WRITE, disposition=CreateDisposition.CREATE))
    assert smbclient("most", "del w", "busy")[0] == 0


def test_hosts_that_may_connect(configure, connect, request: pytest.FixtureRequest):
    """All come from the emulator's 10.0.2.2.  A kernel that does not say so lets nobody in where there is a rule."""
    configure(server=f'{OFFERED}\nhosts_allow = ["10.0.2.0/24"]')
    tells = request.node.callspec.params["guest"] == "6.12"
    assert status_of(connect(), "data") == (Status.SUCCESS if tells else Status.ACCESS_DENIED)
    configure(server=f'{OFFERED}\nhosts_deny = ["10.0.2.2"]')
    assert [status_of(connect(), share) for share in ("data", "IPC$")] == [Status.ACCESS_DENIED] * 2


def test_a_user_in_a_thousand_groups(configure, guest: Machine, connect):
    """The last of them opens the directory."""
    configure()
    client = connect("busy")
    tree = client.tree_connect("data")
    client.close(client.create(tree, r"crowd\new", access=READ_WRITE, disposition=CreateDisposition.CREATE))
    stranger = connect("tester")
    with pytest.raises(StatusError, match="ACCESS_DENIED"):
        stranger.create(stranger.tree_connect("data"), r"crowd\new")
    assert guest.call(daemon.remove, "/run/data/crowd/new") is None


def test_a_share_whose_directory_vanished(configure, guest: Machine, served: int, connect):
    """The others go on; a reload says what is wrong and changes nothing."""
    configure()
    guest.call(daemon.remove_folder, "/run/gone")
    client = connect()
    assert status_of(client, "gone") == Status.BAD_NETWORK_NAME
    assert status_of(client, "data") == 0
    said = guest.call(daemon.reload, served, CONFIG.format(server=OFFERED, limits="trees_per_session = 7"))
    guest.call(daemon.make_folder, "/run/gone")
    assert re.search("all is as before: .*/run/gone.*make it, or correct the path", said)
    assert status_of(client, "gone") == 0


@pytest.mark.parametrize(
    ("server", "options", "mounts"),
    [
        ('signing = "required"', ["--client-protection=sign"], ["sec=ntlmsspi"]),
        ('encryption = "required"', ["--client-protection=encrypt"], ["seal"]),
    ],
)
def test_protection_that_is_required(configure, guest: Machine, smbclient, server: str, options, mounts):
    """Samba's client and the kernel's own."""
    assert "clients reconnect" in configure(server=server)
    assert smbclient("data", "ls", "tester", PASSWORD, *options)[0] == 0
    for mount in mounts:
        assert guest.call(daemon.mount, "data", "/run/mount", PASSWORD, mount) == ""
        try:
            assert "renamed" in guest.call(daemon.write_read, "/run/mount", 1 << 20)
        finally:
            guest.call(daemon.unmount, "/run/mount")


@pytest.mark.parametrize("options", ["sec=ntlmssp", "sec=ntlmsspi", "seal"])
def test_the_kernel_s_own_client(configure, guest: Machine, options: str):
    configure()
    assert guest.call(daemon.mount, "data", "/run/mount", PASSWORD, options) == ""
    try:
        assert "renamed" in guest.call(daemon.write_read, "/run/mount", 1 << 20)
    finally:
        guest.call(daemon.unmount, "/run/mount")


@pytest.mark.parametrize("server", ['encryption = "required"', 'signing = "required"'])
def test_what_ksmbd_asks_for_but_does_not_enforce(configure, guest: Machine, connect, server: str):
    """If this fails, these kernels have become better than the manual says."""
    configure(server=server)
    client = connect()
    file = client.create(
        client.tree_connect("data"), "clear", access=READ_WRITE, disposition=CreateDisposition.OVERWRITE_IF
    )
    client.write(file, 0, b"neither signed nor sealed")
    client.close(file)
    assert guest.call(daemon.read_text, "/run/data/clear") == "neither signed nor sealed"


def test_bytes_that_are_no_rpc(configure, connect):
    """They break their pipe and nothing else."""
    configure()
    client = connect()
    tree = client.tree_connect("IPC$")
    for data in (b"x", b"\x05\x00\x00\x03" + b"\xff" * 100, bytes(4000)):
        pipe = client.create(tree, "srvsvc", access=READ_WRITE)
        client.write(pipe, 0, data)
        client.read(pipe, 0, 1024)
        client.close(pipe)
    client.create(tree, "wkssvc", access=READ_WRITE)
    client.tree_connect("data")


@pytest.mark.parametrize("name", ["none", "", "n" * 63, "n" * 64, "n" * 79, "\u00e4" * 31, "a/b", "."])
def test_odd_names_of_shares(configure, connect, name: str):
    configure()
    client = connect()
    assert status_of(client, name) in (Status.BAD_NETWORK_NAME, Status.INVALID_PARAMETER, Status.ACCESS_DENIED)
    assert status_of(client, "data") == 0


@pytest.mark.parametrize("user", ["u" * 47, "u" * 48, "u" * 300, "\u00fc" * 24])
def test_names_of_users_at_the_length_that_the_kernel_has_room_for(configure, connect, user: str):
    configure()
    with pytest.raises((StatusError, ConnectionError)):
        connect(user)
    assert status_of(connect(), "data") == 0


def test_a_setting_that_ksmbd_cannot_honour_stops_the_start(served: int, guest: Machine):
    """`--allow-missing` gets as far as the daemon that is in charge already."""
    config = CONFIG.format(server=OFFERED + '\nadministrators = ["tester"]', limits="")
    with pytest.raises(GuestError, match=r"--platform linux honours it.*\n.*administrators.*ksmbd knows no privileges"):
        guest.call(daemon.start, config)
    with pytest.raises(GuestError, match=r"(?s)not honoured: server.administrators.*another process is in charge"):
        guest.call(daemon.start, config, "--allow-missing")
