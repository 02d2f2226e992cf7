"""AES and HMAC as SMB uses them, and the one place that decides whose they are.

The package `cryptography` where it is installed: it is fast, and does most without copying.  Where it cannot be
built, as on QNX, the entry point `libcrypto` of the group `smbport.ciphers` calls OpenSSL's library itself.
"""

from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING

from smbport.security.ciphers import TAG_SIZE, Aead, Mac

__all__ = ["TAG_SIZE", "Aead", "AesCcm", "AesGcm", "Mac", "aes_cmac", "hmac_sha256"]

if TYPE_CHECKING or find_spec("cryptography") is not None:
    from smbport.security.pyca import AesCcm, AesGcm, aes_cmac, hmac_sha256
else:
    _ciphers = next(iter(entry_points(group="smbport.ciphers", name="libcrypto"))).load()
    AesCcm, AesGcm = _ciphers.AesCcm, _ciphers.AesGcm
    aes_cmac, hmac_sha256 = _ciphers.aes_cmac, _ciphers.hmac_sha256
