"""Samba's smbclient, smbget, smbcacls and rpcclient against a running server."""

import hashlib
import os
import random
import re
import shutil
import socket
import subprocess
from contextlib import closing
from datetime import UTC, datetime

import pytest

from smbport.posix.walk import HIDDEN
from smbport.testing.client import Client, SocketLink
from smbport.wire.constants import Cipher, Command, Dialect, HeaderFlag, SigningAlgorithm
from smbport.wire.header import SMB1_MAGIC, Header

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("smbclient") is None, reason="smbclient is not installed"),
]

DIALECTS = {
    "SMB2_02": Dialect.SMB_2_0_2,
    "SMB2_10": Dialect.SMB_2_1,
    "SMB3_00": Dialect.SMB_3_0,
    "SMB3_02": Dialect.SMB_3_0_2,
    "SMB3_11": Dialect.SMB_3_1_1,
}
SIGNING = {
    "HMAC-SHA256": SigningAlgorithm.HMAC_SHA256,
    "AES-128-CMAC": SigningAlgorithm.AES_CMAC,
    "AES-128-GMAC": SigningAlgorithm.AES_GMAC,
}
CIPHERS = {
    "AES-128-CCM": Cipher.AES_128_CCM,
    "AES-128-GCM": Cipher.AES_128_GCM,
    "AES-256-CCM": Cipher.AES_256_CCM,
    "AES-256-GCM": Cipher.AES_256_GCM,
}
SEALED = "--client-protection=encrypt"
LOGGING_ON = {Command.NEGOTIATE, Command.SESSION_SETUP}  # what nobody can seal yet
NAMES = [
    "plain.txt", "Ärger und Straße", "Привет, мир", "日本語のファイル", "한국어", "עברית", "العربية", "ไทย", "नमस्ते",
    "\u0130stanbul \u0131ss\u0131z", "\ufb01 ligature", "\U0001d518\U0001d52b\U0001d526", "\u00e9 composed",
    "e\u0301 decomposed", "a\u0323\u0307", "\U0001f600 \U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f1e6\U0001f1f6",
    "100% [x] {y} $z", "#1 'quoted' ~!@^&()=+,", "no.extension.", "u" * 255, "\U0001f600" * 63, "con", "LPT1.txt",
]  # fmt: skip


def pinned(dialect):
    return [f"--option=client {end} protocol={dialect}" for end in ("min", "max")]


def random_bytes(count, seed=0):
    return random.Random(seed).randbytes(count)


def names_in(listing):
    """The names in what `ls` printed; times tell where a name ends."""
    found = re.findall(r"^  (.*?) +([A-Z]*) +\d+  \w{3} \w{3} [ \d]\d ..:..:.. \d{4}$", listing, re.MULTILINE)
    return sorted(name for name, _ in found if name not in (".", ".."))


# Data -----------------------------------------------------------------------------------------------------------


def test_what_is_put_is_what_is_got(server, smbclient):
    sizes = (0, 1, 4095, 65536, 65537, 1 << 20, (8 << 20) + 3)
    for size in sizes:
        (smbclient.local / f"{size}").write_bytes(random_bytes(size, size))
    smbclient(server, *(f"put {size}" for size in sizes), *(f"get {size} {size}.back" for size in sizes))
    for size in sizes:
        data = random_bytes(size, size)
        assert server.path(f"{size}").read_bytes() == data
        assert (smbclient.local / f"{size}.back").read_bytes() == data


@pytest.fixture(scope="module")
def big_file(tmp_path_factory, sizes):
    """1 GiB with holes, and pseudo-random bytes here and there; less under emulation."""
    path = tmp_path_factory.mktemp("big") / "big"
    with path.open("wb") as file:
        for position in range(0, sizes.big, sizes.big // 16):
            file.seek(position + position // 7)
            file.write(random_bytes(1 << 20, position))
        file.truncate(sizes.big)
    yield path
    path.unlink()


def sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.mark.parametrize("protection", ["sign", "encrypt", "off"])
def test_a_big_file(serve, smbclient, big_file, protection):
    """Unprotected, reads are sent by the system without passing through the server's memory."""
    server = serve(server={"signing": "offered"})
    back = smbclient.local / "back"
    smbclient(server, f"put {big_file} big", f"get big {back}", options=[f"--client-protection={protection}"])
    expected = sha256(big_file)
    assert sha256(server.path("big")) == expected
    assert sha256(back) == expected
    server.path("big").unlink()
    back.unlink()


def test_a_transfer_is_resumed(server, smbclient):
    """There is no test of `reput`: smbclient 4.17 sends the rest of the file for offset 0."""
    data = random_bytes(3 << 20)
    server.path("down").write_bytes(data)
    (smbclient.local / "down").write_bytes(data[: 2 << 20])
    smbclient(server, "reget down")
    assert (smbclient.local / "down").read_bytes() == data


def test_the_server_copies(server, smbclient):
    data = random_bytes((5 << 20) + 7)
    server.path("a").write_bytes(data)
    smbclient(server, "scopy a b")
    assert server.path("b").read_bytes() == data


def test_many_clients_at_once(server, smbclient):
    data = {f"file-{number}": random_bytes(2 << 20, number) for number in range(6)}
    running = []
    for name, content in data.items():
        (smbclient.local / name).write_bytes(content)
        command = smbclient.command(server, f"put {name}", f"get {name} {name}.back")
        running.append(subprocess.Popen(command, cwd=smbclient.local, stdout=subprocess.DEVNULL))
    assert [process.wait() for process in running] == [0] * len(data)
    for name, content in data.items():
        assert server.path(name).read_bytes() == content
        assert (smbclient.local / f"{name}.back").read_bytes() == content


# Directories ----------------------------------------------------------------------------------------------------


def tree_of(path):
    """Relative names and contents of everything below that clients can see."""
    return {
        str(each.relative_to(path)): each.read_bytes() if each.is_file() else None
        for each in sorted(path.rglob("*"))
        if HIDDEN not in each.parts
    }


def test_a_deep_tree_goes_up_and_comes_down(server, smbclient):
    here = smbclient.local / "tree"
    here.mkdir()
    for depth in range(40):
        (here / f"file {depth}").write_text(f"{depth}" * depth)
        here = here / f"directory {depth}"
        here.mkdir()
    back = smbclient.local / "back"
    back.mkdir()
    smbclient(server, "prompt", "recurse", "mput tree", f"lcd {back}", "mget tree")
    expected = tree_of(smbclient.local / "tree")
    assert len(expected) == 80
    assert tree_of(server.path("tree")) == expected
    assert tree_of(back / "tree") == expected
    smbclient(server, "deltree tree")
    assert server.names() == []


def test_a_tree_as_a_tar_archive(server, smbclient):
    server.path("a/b").mkdir(parents=True)
    server.path("a/file").write_bytes(random_bytes(100_000))
    server.path("a/b/größer").write_bytes(random_bytes(200_000))
    expected = tree_of(server.path())
    smbclient(server, "tar c archive.tar a", "deltree a")
    assert tree_of(server.path()) == {}
    smbclient(server, "tar x archive.tar")
    assert tree_of(server.path()) == expected


def test_many_files(server, smbclient, sizes):
    """Ten thousand; fewer under emulation."""
    names = sorted(f"file-{number:05}-{'x' * (number % 40)}" for number in range(sizes.files))
    for name in names:
        server.path(name).touch()
    assert names_in(smbclient(server, "ls")) == names
    assert names_in(smbclient(server, "ls file-*77-*")) == [name for name in names if name[8:10] == "77"]
    smbclient(server, "deltree file-00*")
    assert len(server.names()) == max(0, sizes.files - 1000)


@pytest.mark.parametrize("platform", [None, "memory"], ids=["system", "memory"])
def test_names_in_many_scripts(serve, smbclient, platform):
    server = serve(platform=platform)
    for number, name in enumerate(NAMES):
        (smbclient.local / f"{number}").write_text(name)
    text = smbclient(server, *(f'put {number} "{name}"' for number, name in enumerate(NAMES)), "ls")
    assert names_in(text) == sorted(re.sub(r"\.$", "\uf029", name) for name in NAMES)
    if platform is None:
        assert server.names() == sorted(NAMES)
    smbclient(server, *(f'get "{name}" {number}.back' for number, name in enumerate(NAMES)))
    assert [(smbclient.local / f"{number}.back").read_text() for number in range(len(NAMES))] == NAMES
    smbclient(server, *(f'rename "{name}" moved;rename moved "{name}";del "{name}"' for name in NAMES))
    assert names_in(smbclient(server, "ls")) == []


def test_names_that_only_posix_allows(server, smbclient):
    names = [
        "a:b",
        "what?",
        "st*r",
        'q"q',
        "p|pe",
        "<lt>",
        "back\\slash",
        "ctrl\x01",
        "dot.",
        "space ",
        "not \udcff utf-8",
    ]
    for name in names:
        server.path(name).write_bytes(os.fsencode(name))
    smbclient(server, "prompt", "mget *")
    got = sorted(path.read_bytes() for path in smbclient.local.iterdir())
    assert got == sorted(map(os.fsencode, names))
    smbclient(server, "deltree *")
    assert server.names() == []


def test_names_are_found_in_any_case(server, smbclient):
    server.path("Größe").mkdir()
    server.path("Größe/Datei.TXT").write_text("x")
    smbclient(server, 'get "GRÖßE/dATEI.txt" a', 'put a "größe/datei.txt"')
    assert [path.name for path in server.path("Größe").iterdir()] == ["Datei.TXT"]


def test_moving_and_removing(server, smbclient):
    server.path("a").write_text("a")
    server.path("b").write_text("b")
    smbclient(server, "rename a b", refused="NT_STATUS_OBJECT_NAME_COLLISION")
    smbclient(server, "mkdir d", "mkdir d/e", "rename a d/e/c", "rename d f")
    assert tree_of(server.path()) == {"b": b"b", "f": None, "f/e": None, "f/e/c": b"a"}
    smbclient(server, "rename b f/e/c -f")
    assert server.path("f/e/c").read_text() == "b"
    smbclient(server, "mkdir f", refused="NT_STATUS_OBJECT_NAME_COLLISION")
    smbclient(server, "rmdir f", refused="NT_STATUS_DIRECTORY_NOT_EMPTY")
    smbclient(server, "rename nothing x", refused="NT_STATUS_OBJECT_NAME_NOT_FOUND")
    smbclient(server, "get no/thing x", refused="NT_STATUS_OBJECT_PATH_NOT_FOUND")
    smbclient(server, "del f/e/c", "rmdir f/e", "rmdir f")
    assert tree_of(server.path()) == {}


def test_hard_links(server, smbclient):
    server.path("a").write_text("a")
    smbclient(server, "hardlink a b")
    assert server.path("a").samefile(server.path("b"))


# Metadata -------------------------------------------------------------------------------------------------------


def test_times(server, smbclient):
    server.path("a").touch()
    times = "2001:02:03-04:05:06 2002:03:04-05:06:07 2003:04:05-06:07:08 -1"
    text = smbclient(server, f"utimes a {times}", "allinfo a")
    for line in (
        "create_time:    Sat Feb  3 04:05:06 2001 UTC",
        "access_time:    Mon Mar  4 05:06:07 2002 UTC",
        "write_time:     Sat Apr  5 06:07:08 2003 UTC",
    ):
        assert line in text
    assert server.path("a").stat().st_mtime == datetime(2003, 4, 5, 6, 7, 8, tzinfo=UTC).timestamp()
    smbclient(server, "put ../empty a")
    assert server.path("a").stat().st_mtime > datetime(2020, 1, 1, tzinfo=UTC).timestamp()


def test_attributes(server, smbclient):
    server.path("a").touch()
    assert "attributes: RHSA (27)" in smbclient(server, "setmode a +rhsa", "allinfo a")
    smbclient(server, "put ../empty a", refused="NT_STATUS_ACCESS_DENIED")
    assert "attributes:  (80)" in smbclient(server, "setmode a -rhsa", "allinfo a")


def test_the_volume(serve, smbclient):
    server = serve(shares={"big data": {}})
    assert re.search(r"Volume: \|big data\| serial number 0x[0-9a-f]+", smbclient(server, "volume", share="big data"))
    text = smbclient(server, "du", share="big data")
    space = os.statvfs(server.path(share="big data"))
    (blocks,) = re.findall(r"(\d+) blocks of size \d+\. \d+ blocks available", text)
    assert int(blocks) == space.f_blocks


# Who may do what ------------------------------------------------------------------------------------------------


def test_a_read_only_share_refuses_every_change(serve, smbclient):
    server = serve(shares={"data": {"read_only": True}})
    server.path("file").write_text("text")
    server.path("directory").mkdir()
    before = tree_of(server.path()), server.path("file").stat()
    for change in (
        "put ../empty new", "put ../empty file", "mkdir new", "rmdir directory", "del file", "rename file new",
        "hardlink file new", "setmode file +h", "utimes file -1 -1 2003:04:05-06:07:08 -1", "scopy file new",
    ):  # fmt: skip
        smbclient(server, change, refused="NT_STATUS_ACCESS_DENIED")
    smbclient(server, "get file")
    assert (smbclient.local / "file").read_text() == "text"
    after = tree_of(server.path()), server.path("file").stat()
    assert before[0] == after[0]
    assert before[1].st_mtime_ns == after[1].st_mtime_ns


def test_shares_are_listed(serve, smbclient, tool):
    shares = {"data": {"comment": "Ours"}, "secret": {"hidden": True}, "much$": {}}
    server = serve(server={"comment": "A server"}, shares=shares)
    arguments = smbclient.command(server)
    arguments[1:2] = ["--list=127.0.0.1", "--grepable"]
    listed = tool(arguments[:-1]).stdout
    assert sorted(line for line in listed.splitlines() if line.count("|") == 2) == [
        "Disk|data|Ours", "Disk|much$|", "IPC|IPC$|IPC Service",
    ]  # fmt: skip
    smbclient(server, "ls", share="secret")
    smbclient(server, "ls", share="nothing", refused="NT_STATUS_BAD_NETWORK_NAME")


def test_wrong_logons_are_refused(serve, smbclient):
    server = serve(limits={"failed_logon_delay_s": 0.01})
    smbclient(server, "ls", password="wrong", refused="NT_STATUS_LOGON_FAILURE")
    smbclient(server, "ls", user="mallory", refused="NT_STATUS_LOGON_FAILURE")
    smbclient(server, "ls", options=["--no-pass"], user="%", refused="NT_STATUS_LOGON_FAILURE")
    smbclient(server, "ls", user="ALICE")
    assert "user 'mallory'" in server.log()


def test_users_who_may_not_connect_to_a_share(serve, smbclient):
    server = serve(shares={"hers": {"valid_users": ["bob"]}, "all": {"read_only": True, "write_users": ["alice"]}})
    smbclient(server, "ls", share="hers", refused="NT_STATUS_ACCESS_DENIED")
    smbclient(server, "put ../empty new", share="all")


def connect_from(source, server, share):
    """Our own client, because foreign ones do not choose where they come from."""
    with closing(SocketLink(socket.create_connection((server.host, server.port), source_address=(source, 0)))) as link:
        client = Client(link)
        client.negotiate()
        client.log_on(server.user, server.password)
        client.tree_connect(share)


def test_hosts_that_may_not_connect_to_a_share(serve, smbclient):
    server = serve(shares={"far": {"hosts_allow": ["127.0.0.2"]}, "near": {"hosts_allow": ["127.0.0.1", "fd00::/8"]}})
    smbclient(server, "ls", share="near")
    smbclient(server, "ls", share="far", refused="NT_STATUS_ACCESS_DENIED")
    connect_from("127.0.0.2", server, "far")


def test_hosts_that_may_not_connect_at_all(serve, smbclient):
    server = serve(server={"hosts_allow": ["127.0.0.0/8"], "hosts_deny": ["127.0.0.2", "127.0.0.64/26"]})
    smbclient(server, "ls")
    connect_from("127.0.0.3", server, "data")
    for source in ("127.0.0.2", "127.0.0.127"):
        with pytest.raises(ConnectionError):
            connect_from(source, server, "data")


def test_guests_and_nobody(serve, smbclient):
    guests = {"guest_account": "server", "guest_on_bad_user": True, "anonymous": "ipc-only"}
    server = serve(server=guests, limits={"failed_logon_delay_s": 0.01}, shares={"public": {"guest": True}, "data": {}})
    smbclient(server, "put ../empty new", share="public", user="mallory")
    smbclient(server, "ls", share="data", user="mallory", refused="NT_STATUS_ACCESS_DENIED")
    smbclient(server, "ls", share="public", password="wrong", refused="NT_STATUS_LOGON_FAILURE")
    smbclient(server, "ls", share="public", options=["--user=%"], refused="NT_STATUS_ACCESS_DENIED")


# What is negotiated ---------------------------------------------------------------------------------------------


def exchange(smbclient, server, *options):
    """Something of everything."""
    (smbclient.local / "up").write_bytes(random_bytes(300_000))
    smbclient(
        server, "put up", "ls", "get up down", "mkdir d", "rename up d/up", "del d/up", "rmdir d", options=options
    )
    assert (smbclient.local / "down").read_bytes() == random_bytes(300_000)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialects(server, smbclient, relay, dialect):
    watched = relay(server)
    exchange(smbclient, watched, *pinned(dialect))
    assert watched.negotiated()[0] == DIALECTS[dialect]


def test_a_client_that_begins_with_smb1(server, smbclient, relay):
    watched = relay(server)
    exchange(smbclient, watched, "--option=client min protocol=NT1")
    assert watched.requests()[0][:4] == SMB1_MAGIC
    assert watched.negotiated()[0] == Dialect.SMB_3_1_1
    limits = [f"--option=client {end} protocol=NT1" for end in ("min", "max")]
    smbclient(watched, "ls", options=limits, refused="NT_STATUS_CONNECTION_DISCONNECTED")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_dialect_that_the_server_insists_on(serve, smbclient, relay, dialect):
    code = DIALECTS[dialect]
    name = f"{code >> 8}.{code >> 4 & 15}" + (f".{code & 15}" if code & 15 else "")
    watched = relay(serve(server={"dialects": [name]}))
    exchange(smbclient, watched)
    assert watched.negotiated()[0] == code
    other = "SMB3_11" if dialect != "SMB3_11" else "SMB2_10"
    smbclient(watched, "ls", options=pinned(other), refused="NT_STATUS_NOT_SUPPORTED")


@pytest.mark.parametrize("algorithm", SIGNING)
def test_signing_algorithms(server, smbclient, relay, algorithm):
    watched = relay(server)
    exchange(smbclient, watched, f"--option=client smb3 signing algorithms={algorithm}")
    assert watched.negotiated()[1] == SIGNING[algorithm]


@pytest.mark.parametrize("algorithm", SIGNING)
def test_a_signing_algorithm_that_the_server_insists_on(serve, smbclient, relay, algorithm):
    watched = relay(serve(server={"signing_algorithms": [algorithm.lower().replace("-128", "")]}))
    exchange(smbclient, watched)
    assert watched.negotiated()[1] == SIGNING[algorithm]


def test_nothing_is_signed_where_nobody_wants_it(serve, smbclient, relay):
    watched = relay(serve(server={"signing": "offered"}))
    exchange(smbclient, watched, "--client-protection=off")
    reads = [frame for frame in watched.responses() if Header.unpack_from(frame).command == Command.READ]
    assert reads
    assert not any(Header.unpack_from(frame).flags & HeaderFlag.SIGNED for frame in reads)


@pytest.mark.parametrize("cipher", CIPHERS)
def test_ciphers(server, smbclient, relay, cipher):
    watched = relay(server)
    exchange(smbclient, watched, SEALED, f"--option=client smb3 encryption algorithms={cipher}")
    assert watched.negotiated()[2] == CIPHERS[cipher]
    assert watched.clear_commands() <= LOGGING_ON | {Command.TREE_CONNECT}


@pytest.mark.parametrize("dialect", ["SMB3_00", "SMB3_02"])
def test_older_dialects_are_sealed_too(server, smbclient, relay, dialect):
    watched = relay(server)
    exchange(smbclient, watched, SEALED, *pinned(dialect))
    assert watched.clear_commands() <= LOGGING_ON | {Command.TREE_CONNECT}


@pytest.mark.parametrize("cipher", CIPHERS)
def test_a_server_that_insists_on_encryption(serve, smbclient, relay, cipher):
    watched = relay(serve(server={"encryption": "required", "ciphers": [cipher.lower()], "min_dialect": "3.1.1"}))
    exchange(smbclient, watched)
    assert watched.negotiated()[2] == CIPHERS[cipher]
    assert watched.clear_commands() <= LOGGING_ON


def test_encryption_is_beyond_old_clients(serve, smbclient):
    server = serve(server={"encryption": "required"})
    smbclient(server, "ls", options=pinned("SMB2_10"), refused="NT_STATUS_ACCESS_DENIED")
    exchange(smbclient, server, *pinned("SMB3_00"))


def test_one_share_that_insists_on_encryption(serve, smbclient, relay):
    server = serve(shares={"data": {"encryption": "required"}, "open": {}})
    watched = relay(server)
    exchange(smbclient, watched)
    assert watched.clear_commands() <= LOGGING_ON | {Command.TREE_CONNECT, Command.IOCTL}
    smbclient(server, "ls", options=pinned("SMB2_10"), refused="NT_STATUS_ACCESS_DENIED")
    watched = relay(server)
    smbclient(watched, "ls", share="open")
    assert Command.QUERY_DIRECTORY in watched.clear_commands()


# Its relatives --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("smbget") is None, reason="smbget is not installed")
def test_smbget(server, tool, tmp_path):
    data = random_bytes((1 << 20) + 1)
    server.path("a/b").mkdir(parents=True)
    server.path("a/b/file").write_bytes(data)
    url = f"smb://127.0.0.1:{server.port}/data/a"
    credentials = f"--user={server.user}%{server.password}"
    done = tool(["smbget", "--nonprompt", "--quiet", credentials, "--recursive", url], cwd=tmp_path)
    assert done.returncode == 0, done
    assert (tmp_path / "b/file").read_bytes() == data


@pytest.mark.skipif(shutil.which("smbcacls") is None, reason="smbcacls is not installed")
def test_smbcacls(serve, tool, standard_address):
    server = serve(host=standard_address, port=445)
    server.path("file").touch()
    server.path("file").chmod(0o640)

    def smbcacls(*options):
        credentials = f"--user={server.user}%{server.password}"
        done = tool(["smbcacls", "--configfile=/dev/null", credentials, *options, f"//{server.host}/data", "file"])
        assert done.returncode == 0, done
        return done.stdout

    user, group = f"S-1-22-1-{os.getuid()}", f"S-1-22-2-{server.path('file').stat().st_gid}"
    text = smbcacls("--numeric")
    aces = f"ACL:{user}:0/0x0/0x001e019f", f"ACL:{group}:0/0x0/0x00120089", "ACL:S-1-1-0:0/0x0/0x00120080"
    assert text.splitlines()[2:7] == [f"OWNER:{user}", f"GROUP:{group}", *aces]
    smbcacls("--set=" + ",".join((*aces[:2], "ACL:S-1-1-0:0/0x0/0x00120089")))
    assert server.path("file").stat().st_mode & 0o777 == 0o644


@pytest.mark.skipif(shutil.which("rpcclient") is None, reason="rpcclient is not installed")
def test_rpcclient(serve, tool):
    server = serve(server={"server_name": "OFFICE"}, shares={"data": {"comment": "Ours"}})

    def rpc(command):
        credentials = f"--user={server.user}%{server.password}"
        done = tool(
            ["rpcclient", "--configfile=/dev/null", f"--port={server.port}", credentials, "-c", command, "127.0.0.1"]
        )
        assert done.returncode == 0, done
        return done.stdout

    assert re.search(r"\tOFFICE +.*\n\tplatform_id +:\t500", rpc("srvinfo"))
    assert rpc("netshareenum").splitlines()[:3] == ["netname: data", "\tremark:\tOurs", "\tpath:\tC:\\data"]
    assert "netname: IPC$" in rpc("netshareenumall")
    assert "netname: data" in rpc("netsharegetinfo data")
