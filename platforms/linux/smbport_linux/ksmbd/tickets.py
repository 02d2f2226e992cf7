"""SPNEGO_AUTHEN: ksmbd asks whose Kerberos ticket it was sent, and what to answer."""

from pathlib import Path
from struct import pack
from typing import Final

from smbport.kernel import KernelTicket
from smbport.wire.record import BadStructure
from smbport_linux.ksmbd.messages import (
    ACCOUNT_SIZE,
    Handle,
    LoginResponse,
    SpnegoRequest,
    SpnegoSizes,
    pack_text,
)

__all__ = ["find_support", "pack_refusal", "pack_ticket", "parse_ticket"]

KEY_SIZE: Final = 16  # bytes: more than ksmbd makes its own keys of is of no use to it
HEAD_SIZE: Final = Handle.SIZE + LoginResponse.SIZE + SpnegoSizes.SIZE


def find_support(release: str, root: Path = Path("/")) -> bool | None:
    """Whether ksmbd of this kernel was built with Kerberos; None if the system keeps no word of how it was built."""
    for path in (root / f"boot/config-{release}", root / f"lib/modules/{release}/config"):
        try:
            return "CONFIG_SMB_SERVER_KERBEROS5=y" in path.read_text().splitlines()
        except OSError:
            continue
    return None


def parse_ticket(payload: bytes) -> tuple[int, bytes]:
    """The handle, and the token that SESSION_SETUP carried.  BadStructure if there is less than is said."""
    request = SpnegoRequest.unpack_from(payload)
    end = SpnegoRequest.SIZE + request.token_size
    if end > len(payload):
        raise BadStructure(f"a token of {request.token_size} bytes in {len(payload)}")
    return request.handle, payload[SpnegoRequest.SIZE : end]


def pack_refusal(handle: int, size: int) -> bytes:
    """Nobody's; `size` bytes have all answers of this kernel without key and token."""
    return pack("<I", handle).ljust(size, b"\0")


def pack_ticket(handle: int, ticket: KernelTicket, status: int, size: int) -> bytes:
    """`status` is a sum of UserFlag.  When the ticket ends is told where this kernel looks for it, or not at all."""
    logon, key = ticket.logon, ticket.session_key[:KEY_SIZE]
    expiry_s = 0 if ticket.expires_ns is None else ticket.expires_ns // 1_000_000_000
    login = LoginResponse(
        handle=handle, gid=logon.account.gid, uid=logon.account.uid, account=pack_text(logon.name, ACCOUNT_SIZE),
        status=status, hash_size=0, hash=b"", expiry_low=expiry_s & 0xFFFFFFFF, expiry_high=expiry_s >> 32,
    )  # fmt: skip
    head = pack("<I", handle) + login.pack() + SpnegoSizes(key_size=len(key), token_size=len(ticket.token)).pack()
    if size > HEAD_SIZE:  # Linux 7.2
        head = head.ljust(size - 8, b"\0") + pack("<Q", expiry_s)
    return head + key + ticket.token
