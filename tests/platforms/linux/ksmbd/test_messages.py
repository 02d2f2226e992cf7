"""smbport_linux.ksmbd.messages: sizes and offsets are those of the modules of Linux 6.1 to 7.3."""

import pytest

from smbport.wire.record import BadStructure
from smbport_linux.ksmbd import messages
from smbport_linux.ksmbd.messages import (
    LoginResponse,
    PipeMessage,
    ShareResponse,
    Start,
    TreeConnectRequest,
    pack_text,
    parse_text,
)

SIZES = {
    "Start": 744, "LoginRequest": 116, "LoginResponse": 148, "LoginResponseExt": 136, "LogoutRequest": 116,
    "ShareRequest": 132, "ShareResponse": 536, "TreeConnectRequest": 264, "TreeConnectResponse": 72,
    "TreeDisconnectRequest": 80, "PipeMessage": 12, "Handle": 4,
}  # fmt: skip


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_sizes(name, size):
    assert size == getattr(messages, name).SIZE


def filled(record, **values):
    """A record whose other fields are zero."""
    record = record.unpack_from(bytes(record.SIZE))
    for name, value in values.items():
        setattr(record, name, value)
    return record.pack()


@pytest.mark.parametrize(
    ("record", "name", "value", "offset", "expected"),
    [
        (Start, "signing", -1, 4, "ffffffff"),
        (Start, "netbios_name", b"N", 40, "4e"),
        (Start, "server_string", b"S", 120, "53"),
        (Start, "tcp_port", 445, 184, "bd01"),
        (Start, "heartbeat_s", 10, 186, "0a00"),
        (Start, "file_system_attributes", 64, 208, "40000000"),
        (Start, "machine_id_c", 3, 220, "03000000"),
        (Start, "max_credits", 2, 224, "02000000"),
        (Start, "max_connections", 1, 232, "01000000"),
        (Start, "bind_devices_only", 1, 236, "01"),
        (Start, "max_connections_per_address", 32, 237, "20000000"),
        (Start, "apple_model", b"X", 241, "58"),
        (Start, "max_sessions_per_connection", 64, 273, "40000000"),
        (Start, "devices_size", 3, 740, "03000000"),
        (LoginResponse, "account", b"a", 12, "61"),
        (LoginResponse, "status", 65, 60, "4100"),
        (LoginResponse, "hash", b"\xaa", 64, "aa"),
        (ShareResponse, "force_gid", 0xFFFF, 18, "ffff"),
        (ShareResponse, "share_name", b"s", 20, "73"),
        (ShareResponse, "payload_size", 9, 528, "09000000"),
        (TreeConnectRequest, "tree_id", 2, 16, "0200000000000000"),
        (TreeConnectRequest, "share", b"s", 72, "73"),
        (TreeConnectRequest, "address", b"(", 136, "28"),
        (PipeMessage, "payload_size", 1, 8, "01000000"),
    ],
)
def test_offsets(record, name, value, offset, expected):
    packed = filled(record, **{name: value})
    assert packed[offset : offset + len(expected) // 2].hex() == expected
    assert packed[:offset].strip(b"\0") == b""


def test_text():
    assert parse_text("Grüße".encode() + bytes(5)) == "Grüße"
    assert pack_text("Grüße", 8) == "Grüße".encode()


@pytest.mark.parametrize("field", [b"x" * 48, b"\xff\0", b""])
def test_text_that_lies(field):
    with pytest.raises(BadStructure):
        parse_text(field)


@pytest.mark.parametrize("text", ["x" * 48, "ü" * 24, "a\0b"])
def test_text_without_room(text):
    with pytest.raises(ValueError, match="does not fit 48"):
        pack_text(text, 48)
