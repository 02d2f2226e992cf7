"""The Linux kernel's server, ksmbd, obeys smbport: clients here, and the kernel's own beside it."""

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.vm import daemon
from tests.vm.ksmbd.conftest import CLIENT_TIMEOUT_S, PASSWORD
from tests.vm.machine import GuestError, Machine

pytestmark = [pytest.mark.vm, pytest.mark.timeout(600)]

NOBODY: Final = 65534
CONFIG: Final = """\
[server]
platform = "linux-kernel"
users = "/run/users.db"
signing = "offered"
guest_account = "nobody"
[share.data]
path = "/run/data"
comment = "all of it"
[share.read-only]
path = "/run/data"
read_only = true
[share.others]
path = "/run/data"
valid_users = ["other"]
[share.root]
path = "/run/root"
run_as = "server"
create_mask = "0644"
force_mode = "0100"
[share.hidden]
path = "/run/data"
hidden = true
[share.free]
path = "/run/data"
guest = true
"""
MANY: Final = "".join(f'[share."many {number:03}"]\npath = "/run/data"\n' for number in range(200))


@pytest.fixture(scope="module")
def served(guest: Machine) -> int:
    """The process of the daemon.  Tests follow its life: they need their order."""
    return guest.call(daemon.start, CONFIG)


def test_listing_putting_getting(served: int, guest: Machine, smbclient, tmp_path: Path):
    (tmp_path / "sent").write_bytes(os.urandom(3 << 20))
    status, said = smbclient("data", f"put {tmp_path}/sent file; ls; get file {tmp_path}/got; del file")
    assert status == 0, said
    assert re.search(rf"file +A +{3 << 20}", said)
    assert (tmp_path / "got").read_bytes() == (tmp_path / "sent").read_bytes()
    smbclient("data", f"put {tmp_path}/sent kept")
    assert guest.call(daemon.mode_and_owner, "/run/data/kept") == [0o705, NOBODY, NOBODY]
    smbclient("root", f"put {tmp_path}/sent kept")
    assert guest.call(daemon.mode_and_owner, "/run/root/kept") == [0o704, 0, 0]


@pytest.mark.parametrize(
    ("share", "user", "password", "said"),
    [
        ("data", "tester", "wrong", "NT_STATUS_LOGON_FAILURE"),
        ("data", "stranger", PASSWORD, "NT_STATUS_LOGON_FAILURE"),
        ("data", "", "", "NT_STATUS_LOGON_FAILURE"),
        ("others", "tester", PASSWORD, "tree connect failed"),
        ("data", "homeless", PASSWORD, "tree connect failed"),
        ("data", "guest", "", "tree connect failed"),
        ("none", "tester", PASSWORD, "tree connect failed"),
    ],
)
def test_who_may_not(served: int, smbclient, share: str, user: str, password: str, said: str):
    status, heard = smbclient(share, "ls", user, password)
    assert status == 1
    assert said in heard


@pytest.mark.parametrize(("share", "user"), [("others", "other"), ("root", "homeless"), ("DATA", "TESTER")])
def test_who_may(served: int, smbclient, share: str, user: str):
    assert smbclient(share, "ls", user)[0] == 0


def test_a_guest(served: int, guest: Machine, smbclient, tmp_path: Path):
    (tmp_path / "new").touch()
    status, said = smbclient("free", f"put {tmp_path}/new from-guest", "guest", "")
    assert status == 0, said
    assert guest.call(daemon.mode_and_owner, "/run/data/from-guest")[1:] == [NOBODY, NOBODY]


@pytest.mark.parametrize("protection", ["sign", "encrypt"])
def test_protected_connections(served: int, smbclient, protection: str):
    status, said = smbclient("data", "ls", "tester", PASSWORD, f"--client-protection={protection}")
    assert status == 0, said


def test_a_read_only_share(served: int, smbclient, tmp_path: Path):
    (tmp_path / "new").touch()
    assert smbclient("read-only", "ls")[0] == 0
    assert "NT_STATUS_ACCESS_DENIED" in smbclient("read-only", f"put {tmp_path}/new new")[1]
    assert "NT_STATUS_ACCESS_DENIED" in smbclient("read-only", "mkdir folder")[1]


def test_the_groups_of_a_user(served: int, smbclient, tmp_path: Path):
    (tmp_path / "new").touch()
    status, said = smbclient("data", f"cd team; put {tmp_path}/new new; ls new")
    assert status == 0, said


def test_the_list_of_shares(served: int, smbclient):
    said = smbclient("", "")[1]
    assert re.search(r"data +Disk +all of it", said)
    assert re.search(r"IPC\$ +IPC", said)
    assert "others" in said
    assert "hidden" not in said


def test_names_and_what_nobody_knows(served: int, port: int):
    """A fault inside a pipe leaves the connection alone."""
    commands = "lookupnames tester; enumdomgroups; netsharegetinfo data; netsessdel a b; lookupnames tester"
    done = subprocess.run(
        ["rpcclient", "127.0.0.1", "-p", str(port), "-U", f"tester%{PASSWORD}", "-c", commands],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CLIENT_TIMEOUT_S,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert len(re.findall(rf"tester S-1-5-21-\d+-\d+-\d+-{NOBODY} \(User: 1\)", said)) == 2, said
    assert re.search(r"netname: data\s+remark:\s+all of it", said)
    assert "DOS code 0x0000002e" in said  # nca_s_op_rng_error


def test_the_log_says_who_came(served: int, guest: Machine):
    said = guest.call(daemon.log)
    assert re.search(r"'tester' connected to share data from (10\.0\.2\.2|an address)", said)
    assert "user 'tester' gave a wrong password" in said
    assert re.search("logon failed: .*'stranger'", said)


def test_a_daemon_that_hangs(served: int, guest: Machine, smbclient):
    """The kernel waits 2 s for each answer, and goes on without."""
    guest.call(daemon.send, served, signal.SIGSTOP)
    assert "NT_STATUS_LOGON_FAILURE" in smbclient("data", "ls")[1]
    guest.call(daemon.send, served, signal.SIGCONT)
    assert smbclient("data", "ls")[0] == 0


def test_a_second_daemon_is_refused(served: int, guest: Machine):
    with pytest.raises(GuestError, match="another process is in charge of ksmbd"):
        guest.call(daemon.start, CONFIG)
    assert guest.call(daemon.listens)


def test_what_this_kernel_can_do(served: int, guest: Machine):
    said = guest.call(daemon.say, "platforms", "linux-kernel")
    assert "loaded, state running, maxattr 17" in said
    assert "all of a user" in said


def test_a_reload_leaves_who_is_connected_alone(served: int, guest: Machine, smbclient):
    """And 200 shares are listed completely."""
    assert guest.call(daemon.mount, "data", "/run/mount", PASSWORD) == ""
    assert "renamed" in guest.call(daemon.write_read, "/run/mount", 1 << 20)
    job = guest.start(daemon.hold, "/run/mount/held")
    assert "tree connect failed" in smbclient("many 007", "ls")[1]
    more = CONFIG.replace("[share.read-only]\n", "[share.read-only]\nvalid_users = ['other']\n") + MANY
    assert "who is connected stays so" in guest.call(daemon.reload, served, more)
    assert smbclient("many 007", "ls")[0] == 0
    assert "tree connect failed" in smbclient("read-only", "ls")[1]
    assert len(re.findall(r"many \d{3} +Disk", smbclient("", "")[1])) == 200
    assert "all is as before" in guest.call(daemon.reload, served, "[share]\nx = 1")
    assert smbclient("many 008", "ls")[0] == 0
    guest.call(daemon.let_go)
    guest.wait(job)
    held = guest.call(daemon.read_text, "/run/data/held").split()
    assert held == [*map(str, range(len(held) - 1)), "end"]


def test_a_daemon_that_was_killed(served: int, guest: Machine, smbclient):
    """Who is connected goes on; who comes is refused until another daemon takes over."""
    guest.call(daemon.send, served, signal.SIGKILL)
    guest.call(daemon.await_end, served)
    assert "renamed" in guest.call(daemon.write_read, "/run/mount", 1 << 16)
    assert smbclient("data", "ls")[0] == 1
    successor = guest.call(daemon.start, CONFIG)
    assert "took over ksmbd" in guest.call(daemon.log)
    assert "renamed" in guest.call(daemon.write_read, "/run/mount", 1 << 16)
    assert smbclient("data", "ls")[0] == 0
    assert smbclient("read-only", "ls")[0] == 0  # what the kernel was told by the first is old
    changed = CONFIG.replace('"offered"', '"required"')
    assert "clients reconnect" in guest.call(daemon.reload, successor, changed)
    guest.call(daemon.await_state, "running")
    assert smbclient("data", "ls")[0] == 0
    guest.call(daemon.unmount, "/run/mount")
    guest.call(daemon.send, successor, signal.SIGKILL)  # and nobody comes this time
    guest.call(daemon.await_end, successor)
    assert guest.call(daemon.await_state, "startup") == "startup"
    assert not guest.call(daemon.listens)


def test_after_the_end_nothing_listens(served: int, guest: Machine, smbclient):
    last = guest.call(daemon.start, CONFIG)
    assert smbclient("data", "ls")[0] == 0
    guest.call(daemon.send, last, signal.SIGTERM)
    guest.call(daemon.await_end, last)
    assert guest.call(daemon.await_state, "startup") == "startup"
    assert not guest.call(daemon.listens)
    assert smbclient("data", "ls")[0] == 1
