"""AES-CMAC by Microsoft's logon in tests/data/windows_logon.hex; the others against other implementations."""

import hashlib
import hmac
import os

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from smbport.security import pyca
from smbport.security.signing import make_signer
from smbport.wire.constants import Command, HeaderFlag, SigningAlgorithm
from smbport.wire.header import SMB2_MAGIC, Header

KEY = bytes(range(16))
ALGORITHMS = [SigningAlgorithm.HMAC_SHA256, SigningAlgorithm.AES_CMAC, SigningAlgorithm.AES_GMAC]


def message(command=Command.READ, message_id=0x1122334455667788, body=b"body"):
    header = Header(
        protocol_id=SMB2_MAGIC, structure_size=64, credit_charge=1, status=0, command=command, credits=1,
        flags=HeaderFlag.SIGNED, next_command=0, message_id=message_id, process_id=0, tree_id=5, session_id=9,
        signature=bytes(16),
    )  # fmt: skip
    return bytearray(header.pack() + body)


def test_cmac_of_windows(windows_logon):
    signed = bytearray(windows_logon["setup_response_2"])
    signer = make_signer(SigningAlgorithm.AES_CMAC, bytes.fromhex("73FE7A9A77BEF0BDE49C650D8CCB5F76"))
    assert signer.verify(memoryview(signed), from_server=True)
    assert signed == windows_logon["setup_response_2"]
    signed[48:64] = bytes(16)
    signer.sign(signed)
    assert signed == windows_logon["setup_response_2"]


def test_hmac():
    signed = message()
    expected = hmac.new(KEY, signed, hashlib.sha256).digest()[:16]
    make_signer(SigningAlgorithm.HMAC_SHA256, KEY).sign(signed)
    assert signed[48:64] == expected


def gmac(nonce, data):
    encryptor = Cipher(algorithms.AES(KEY), modes.GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(data)
    encryptor.finalize()
    return encryptor.tag


@pytest.mark.parametrize(
    ("command", "from_server", "role"),
    [
        (Command.READ, True, 1),
        (Command.READ, False, 0),
        (Command.CANCEL, False, 2),
        (Command.CANCEL, True, 1),
    ],
)
def test_the_nonce_of_gmac(command, from_server, role):
    """[MS-SMB2] 3.1.4.1: MessageId, then bit 0 if the server sends it, bit 1 if it is a CANCEL request"""
    signed = message(command)
    expected = gmac(bytes.fromhex("8877665544332211") + bytes([role, 0, 0, 0]), bytes(signed))
    signer = make_signer(SigningAlgorithm.AES_GMAC, KEY)
    signer.sign(signed, from_server=from_server)
    assert signed[48:64] == expected
    assert signer.verify(memoryview(signed), from_server=from_server)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("size", [0, 100, 200_000])
@pytest.mark.parametrize("stream", [False, True])
def test_parts_are_signed_like_the_whole(algorithm, size, stream, monkeypatch):
    if stream:
        monkeypatch.setattr(pyca, "STREAM_FROM", 0)
    data = os.urandom(size)
    signer = make_signer(algorithm, KEY)
    whole, head = message(body=b"head" + data), message(body=b"head")
    signer.sign(whole)
    signer.sign_parts(head, [data[:50], memoryview(data)[50:]])
    assert head == whole[:68]
    room_in_front = bytearray(4) + message(body=b"head")
    signer.sign_parts(memoryview(room_in_front)[4:], [data])
    assert room_in_front[4:] == whole[:68]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_verify(algorithm):
    signer = make_signer(algorithm, KEY)
    signed = message()
    signer.sign(signed, from_server=False)
    before = bytes(signed)
    assert signer.verify(memoryview(signed))
    assert signer.verify(memoryview(signed))
    assert signed == before
    assert not make_signer(algorithm, KEY[::-1]).verify(memoryview(signed))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_bit_counts(algorithm):
    signer = make_signer(algorithm, KEY)
    signed = message()
    signer.sign(signed, from_server=False)
    for position in range(len(signed)):
        changed = bytearray(signed)
        changed[position] ^= 0x10
        assert not signer.verify(memoryview(changed)), position
    unsigned = message()
    assert not signer.verify(memoryview(unsigned))


def test_gmac_of_the_other_side_is_refused():
    signer = make_signer(SigningAlgorithm.AES_GMAC, KEY)
    reflected = message()
    signer.sign(reflected)
    assert signer.verify(memoryview(reflected), from_server=True)
    assert not signer.verify(memoryview(reflected))


def test_unknown_algorithm():
    with pytest.raises(ValueError, match="0x0003"):
        make_signer(3, KEY)
