"""smbport_linux.ksmbd.tickets: lengths and places of what the kernel is told of a ticket."""

from struct import pack, unpack_from

import pytest

from smbport.config import parse
from smbport.control.settings import find_problems
from smbport.kernel import KernelLogon, KernelTicket
from smbport.platform import Account
from smbport.wire.record import BadStructure
from smbport_linux.ksmbd.control import Control
from smbport_linux.ksmbd.messages import LoginResponse
from smbport_linux.ksmbd.platform import Ksmbd
from smbport_linux.ksmbd.tickets import find_support, pack_ticket, parse_ticket

LOGON = KernelLogon(
    name="tester", account=Account("tester", 1999, 100), nt_hash=b"", guest=False, homeless=False, delay=False
)
ENDS_S = 0x1_2345_6789


def ticket(expires_ns=ENDS_S * 10**9 + 1):
    return KernelTicket(logon=LOGON, token=b"token", session_key=bytes(range(32)), expires_ns=expires_ns)


def test_the_question():
    assert parse_ticket(pack("<IH", 7, 3) + b"abc\0\0") == (7, b"abc")
    assert parse_ticket(pack("<IH", 7, 0)) == (7, b"")
    with pytest.raises(BadStructure, match="4 bytes in 9"):
        parse_ticket(pack("<IH", 7, 4) + b"abc")


@pytest.mark.parametrize("size", [156, 168])
def test_the_answer(size):
    packed = pack_ticket(7, ticket(), 1, size)
    login = LoginResponse.unpack_from(packed, 4)
    assert unpack_from("<I", packed) == (7,)
    assert (login.uid, login.gid, login.account.rstrip(b"\0"), login.status, login.hash_size) == (
        1999, 100, b"tester", 1, 0,
    )  # fmt: skip
    assert unpack_from("<II", packed, 4 + 84) == (0x2345_6789, 1)
    assert unpack_from("<HH", packed, 152) == (16, 5)
    assert packed[size:] == bytes(range(16)) + b"token"
    if size == 168:
        assert unpack_from("<Q", packed, 160) == (ENDS_S,)


@pytest.mark.parametrize("size", [156, 168])
def test_without_an_end(size):
    packed = pack_ticket(7, ticket(None), 1, size)
    assert packed[4 + 84 : 4 + 92] == bytes(8)
    assert size == 156 or packed[160:168] == bytes(8)


def test_how_a_kernel_was_built(tmp_path):
    assert find_support("7.3.4", tmp_path) is None
    (tmp_path / "boot").mkdir()
    for text, support in (
        ("CONFIG_SMB_SERVER_KERBEROS5=y\n", True),
        ("# CONFIG_SMB_SERVER_KERBEROS5 is not set", False),
    ):
        (tmp_path / "boot/config-7.3.4").write_text(f"CONFIG_SMB_SERVER=m\n{text}")
        assert find_support("7.3.4", tmp_path) is support
    (tmp_path / "lib/modules/6.12").mkdir(parents=True)
    (tmp_path / "lib/modules/6.12/config").write_text("CONFIG_SMB_SERVER_KERBEROS5=y")
    assert find_support("6.12", tmp_path)


@pytest.mark.parametrize(
    ("support", "fact", "problems"),
    [
        (True, "with server.kerberos_keytab", 0),
        (None, "if this kernel was built with", 0),
        (False, "not in this kernel", 1),
    ],
)
def test_what_is_said_of_a_kernel(monkeypatch, support, fact, problems, tmp_path):
    for module in ("platform", "settings"):
        monkeypatch.setattr(f"smbport_linux.ksmbd.{module}.find_support", lambda release: support)
    ksmbd = Ksmbd("7.3.4", Control(str(tmp_path)))
    assert fact in dict(ksmbd.describe())["Kerberos"]
    found = find_problems(parse('[server]\nkerberos_keytab = "/k"\n[share.a]\npath = "/srv"', "test.toml"), ksmbd)
    assert len(found) == problems
    assert all("built without Kerberos" in str(problem) for problem in found)
