"""Whose ciphers are used: those of `cryptography`, else those of the entry point."""

import importlib
import importlib.metadata
import importlib.util
from types import SimpleNamespace

import pytest

from smbport.security import crypto, pyca


@pytest.fixture
def again():
    """Decide again; afterwards it is as it was."""
    yield lambda: importlib.reload(crypto)
    importlib.reload(crypto)


def test_cryptography_where_it_is_installed(again):
    again()
    assert crypto.AesGcm is pyca.AesGcm


def test_the_entry_point_elsewhere(again, monkeypatch):
    brought = SimpleNamespace(AesCcm=1, AesGcm=2, aes_cmac=3, hmac_sha256=4)
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: None)
        patch.setattr(
            importlib.metadata, "entry_points", lambda **which: [SimpleNamespace(load=lambda: brought)]
            if which == {"group": "smbport.ciphers", "name": "libcrypto"} else [],
        )  # fmt: skip
        again()
        assert (crypto.AesCcm, crypto.AesGcm, crypto.aes_cmac, crypto.hmac_sha256) == (1, 2, 3, 4)
