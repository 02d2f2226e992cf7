"""Vectors: Microsoft, "SMB 2 and SMB 3 security in Windows 10: the anatomy of signing and cryptographic keys"."""

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode

from smbport.security.keys import SessionKeys, channel_signing_key, derive_keys
from smbport.wire.constants import Cipher, Dialect

KEY_30 = bytes.fromhex("7CD451825D0450D235424E44BA6E78CC")
KEYS_30 = SessionKeys(
    signing=bytes.fromhex("0B7E9C5CAC36C0F6EA9AB275298CEDCE"),
    encryption_in=bytes.fromhex("FAD27796665B313EBB578F388632B4F7"),
    encryption_out=bytes.fromhex("B0F0427F7CEB416D1D9DCC0CD4F99447"),
    application=bytes.fromhex("BB23A4575AA26C721AF525AF15A87B4F"),
)

KEY_311 = bytes.fromhex("270E1BA896585EEB7AF3472D3B4C75A7")
PREAUTH = bytes.fromhex(
    "0DD13628CC3ED218EF9DF9772D436D0887AB9814BFAE63A80AA845F36909DB79"
    "28622DDDAD522D9751640A459762C5A9D6BB084CBB3CE6BDADEF5D5BCE3C6C01"
)
KEYS_311 = SessionKeys(
    signing=bytes.fromhex("73FE7A9A77BEF0BDE49C650D8CCB5F76"),
    encryption_in=bytes.fromhex("629BCBC54422A0F572B97F45989B6073"),
    encryption_out=bytes.fromhex("E2AF0DCEFAC68DA71A0DFBD0D1350D74"),
    application=bytes.fromhex("6D7AD7954E9EC61E907B4D473DC178FF"),
)


@pytest.mark.parametrize("dialect", [Dialect.SMB_3_0, Dialect.SMB_3_0_2])
def test_30(dialect):
    assert derive_keys(dialect, KEY_30, PREAUTH, Cipher.AES_128_CCM) == KEYS_30


def test_30_second_channel():
    key = bytes.fromhex("4E01A2B313BCF660CC250BEF021AEDE6")
    assert channel_signing_key(Dialect.SMB_3_0, key, b"").hex() == "ba1a17dbbfec349bca105563d598952f"


@pytest.mark.parametrize("cipher", [Cipher.AES_128_CCM, Cipher.AES_128_GCM])
def test_311(cipher):
    assert derive_keys(Dialect.SMB_3_1_1, KEY_311, PREAUTH, cipher) == KEYS_311
    assert channel_signing_key(Dialect.SMB_3_1_1, KEY_311, PREAUTH) == KEYS_311.signing


def independent(key, label, context, size):
    kdf = KBKDFHMAC(
        algorithm=SHA256(), mode=Mode.CounterMode, length=size, rlen=4, llen=4, location=CounterLocation.BeforeFixed,
        label=label, context=context, fixed=None,
    )  # fmt: skip
    return kdf.derive(key)


@pytest.mark.parametrize("cipher", [Cipher.AES_256_CCM, Cipher.AES_256_GCM])
@pytest.mark.parametrize("key", [KEY_311, KEY_311 + KEY_30], ids=["16 bytes", "32 bytes"])
def test_311_with_256_bits_uses_the_full_session_key_for_encryption_only(cipher, key):
    keys = derive_keys(Dialect.SMB_3_1_1, key, PREAUTH, cipher)
    assert keys.signing == KEYS_311.signing
    assert keys.application == KEYS_311.application
    assert keys.encryption_in == independent(key, b"SMBC2SCipherKey\0", PREAUTH, 32)
    assert keys.encryption_out == independent(key, b"SMBS2CCipherKey\0", PREAUTH, 32)


@pytest.mark.parametrize("dialect", [Dialect.SMB_3_0, Dialect.SMB_3_1_1])
def test_without_cipher(dialect):
    keys = derive_keys(dialect, KEY_30, PREAUTH, None)
    assert len(keys.signing) == len(keys.application) == 16
    assert keys.encryption_in == keys.encryption_out == b""


@pytest.mark.parametrize("dialect", [Dialect.SMB_2_0_2, Dialect.SMB_2_1])
@pytest.mark.parametrize(
    ("session_key", "expected"),
    [(KEY_30, KEY_30), (KEY_30 + KEY_311, KEY_30), (b"12345678", b"12345678" + bytes(8)), (b"", bytes(16))],
    ids=["16 bytes", "32 bytes", "8 bytes", "none"],
)
def test_2_signs_with_the_session_key_itself(dialect, session_key, expected):
    assert derive_keys(dialect, session_key, b"", None) == SessionKeys(expected, b"", b"", expected)


def test_keys_are_not_shown():
    assert "0B7E" not in repr(KEYS_30).upper()


def test_3_pads_and_cuts_the_session_key_too():
    assert derive_keys(Dialect.SMB_3_0, KEY_30 + b"more", b"", Cipher.AES_128_CCM) == KEYS_30
    short = channel_signing_key(Dialect.SMB_3_0, b"12345678", b"")
    assert short == independent(b"12345678" + bytes(8), b"SMB2AESCMAC\0", b"SmbSign\0", 16)
