"""AES and HMAC by way of OpenSSL's own library, 3.0 or newer, where the package `cryptography` cannot be had.

    import smbport.security.crypto    decides, and has the same names

A context of OpenSSL's lives for one call, so any thread may use any object.
"""

import ctypes
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_void_p
from typing import Any, Final, Self

__all__ = ["AesCcm", "AesGcm", "HmacSha256", "Libcrypto", "LibcryptoError", "aes_cmac", "hmac_sha256", "load"]

Buffer = bytes | bytearray | memoryview

NAMES: Final = ("libcrypto.so.3", "libcrypto.so", "libcrypto.dylib")
TAG_SIZE: Final = 16

# EVP_CIPHER_CTX_ctrl, of openssl/evp.h
SET_IV_LENGTH: Final = 0x9
GET_TAG: Final = 0x10
SET_TAG: Final = 0x11
UTF8_STRING: Final = 4  # the type of an OSSL_PARAM


class LibcryptoError(Exception):
    """OpenSSL cannot do what it was built for: a fault of the installation, or ours."""


class OsslParam(ctypes.Structure):
    """`OSSL_PARAM`."""

    _fields_ = (
        ("key", c_char_p),
        ("data_type", ctypes.c_uint),
        ("data", c_void_p),
        ("data_size", c_size_t),
        ("return_size", c_size_t),
    )


PROTOTYPES: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "EVP_CIPHER_fetch": (c_void_p, (c_void_p, c_char_p, c_char_p)),
    "EVP_CIPHER_CTX_new": (c_void_p, ()),
    "EVP_CIPHER_CTX_free": (None, (c_void_p,)),
    "EVP_CIPHER_CTX_ctrl": (c_int, (c_void_p, c_int, c_int, c_void_p)),
    "EVP_CipherInit_ex": (c_int, (c_void_p, c_void_p, c_void_p, c_char_p, c_char_p, c_int)),
    "EVP_CipherUpdate": (c_int, (c_void_p, c_void_p, POINTER(c_int), c_char_p, c_int)),
    "EVP_CipherFinal_ex": (c_int, (c_void_p, c_void_p, POINTER(c_int))),
    "EVP_MAC_fetch": (c_void_p, (c_void_p, c_char_p, c_char_p)),
    "EVP_MAC_CTX_new": (c_void_p, (c_void_p,)),
    "EVP_MAC_CTX_dup": (c_void_p, (c_void_p,)),
    "EVP_MAC_CTX_free": (None, (c_void_p,)),
    "EVP_MAC_init": (c_int, (c_void_p, c_char_p, c_size_t, c_void_p)),
    "EVP_MAC_update": (c_int, (c_void_p, c_char_p, c_size_t)),
    "EVP_MAC_final": (c_int, (c_void_p, c_char_p, POINTER(c_size_t), c_size_t)),
}
"""What each function returns and takes, as the manual pages of OpenSSL 3 have it."""


class Libcrypto:
    """The functions, each of which must succeed."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._functions: dict[str, Any] = {}
        for name, (result, arguments) in PROTOTYPES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
            self._functions[name] = function

    def call(self, name: str, *arguments: object) -> int:
        """The result, which is never 0.  Raises LibcryptoError."""
        result: int | None = self._functions[name](*arguments)
        if not result or result < 0:
            raise LibcryptoError(f"{name} failed")
        return result

    def succeeds(self, name: str, *arguments: object) -> bool:
        """The same for what may fail because of the data."""
        result: int = self._functions[name](*arguments)
        return result > 0

    def free(self, name: str, context: int) -> None:
        self._functions[name](context)


def load() -> Libcrypto:
    """The first of NAMES that there is.  Raises LibcryptoError."""
    for name in NAMES:
        try:
            return Libcrypto(ctypes.CDLL(name))
        except (OSError, AttributeError):  # it is not there, or too old
            continue
    raise LibcryptoError(f"there is neither the package cryptography nor OpenSSL 3 ({', '.join(NAMES)})")


LIBCRYPTO: Final = load()


class HmacSha256:
    """HMAC-SHA256, 32 bytes.  [RFC2104]"""

    __slots__ = ("_state",)

    def __init__(self, state: hmac.HMAC) -> None:
        self._state = state

    def copy(self) -> Self:
        return type(self)(self._state.copy())

    def update(self, data: Buffer) -> None:
        self._state.update(data)

    def finalize(self) -> bytes:
        return self._state.digest()


def hmac_sha256(key: bytes) -> HmacSha256:
    """HMAC-SHA256, 32 bytes.  [RFC2104]"""
    return HmacSha256(hmac.new(key, digestmod=hashlib.sha256))


class AesCmac:
    """AES-128-CMAC, 16 bytes.  [RFC4493]"""

    __slots__ = ("_context",)

    def __init__(self, context: int) -> None:
        self._context = context

    def __del__(self) -> None:
        LIBCRYPTO.free("EVP_MAC_CTX_free", self._context)

    def copy(self) -> Self:
        return type(self)(LIBCRYPTO.call("EVP_MAC_CTX_dup", self._context))

    def update(self, data: Buffer) -> None:
        LIBCRYPTO.call("EVP_MAC_update", self._context, bytes(data), len(data))

    def finalize(self) -> bytes:
        out, length = ctypes.create_string_buffer(TAG_SIZE), c_size_t()
        LIBCRYPTO.call("EVP_MAC_final", self._context, out, ctypes.byref(length), TAG_SIZE)
        return out.raw


CMAC: Final = LIBCRYPTO.call("EVP_MAC_fetch", None, b"CMAC", None)


def aes_cmac(key: bytes) -> AesCmac:
    """AES-128-CMAC, 16 bytes.  [RFC4493]"""
    mac = AesCmac(LIBCRYPTO.call("EVP_MAC_CTX_new", CMAC))
    name = ctypes.create_string_buffer(b"AES-128-CBC")
    chosen = OsslParam(b"cipher", UTF8_STRING, ctypes.cast(name, c_void_p), len(name) - 1, 0)
    parameters = (OsslParam * 2)(chosen, OsslParam())
    LIBCRYPTO.call("EVP_MAC_init", mac._context, key, len(key), parameters)
    return mac


class Aes:
    """What GCM and CCM share."""

    __slots__ = ("_cipher", "_key")
    NONCE_SIZE: int
    MODE: str

    def __init__(self, key: bytes) -> None:
        self._key = key
        name = f"AES-{8 * len(key)}-{self.MODE}".encode()
        self._cipher = LIBCRYPTO.call("EVP_CIPHER_fetch", None, name, None)

    @contextmanager
    def _started(self, nonce: bytes, tag: bytes | None) -> Iterator[int]:
        """A context that encrypts, or with a tag decrypts."""
        context = LIBCRYPTO.call("EVP_CIPHER_CTX_new")
        try:
            encrypts = int(tag is None)
            LIBCRYPTO.call("EVP_CipherInit_ex", context, self._cipher, None, None, None, encrypts)
            LIBCRYPTO.call("EVP_CIPHER_CTX_ctrl", context, SET_IV_LENGTH, self.NONCE_SIZE, None)
            if tag is not None or self.MODE == "CCM":  # CCM must know the size of the tag before
                LIBCRYPTO.call("EVP_CIPHER_CTX_ctrl", context, SET_TAG, TAG_SIZE, tag)
            LIBCRYPTO.call("EVP_CipherInit_ex", context, None, None, self._key, nonce, encrypts)
            yield context
        finally:
            LIBCRYPTO.free("EVP_CIPHER_CTX_free", context)

    def _prepare(self, context: int, size: int, associated: Sequence[Buffer]) -> None:
        """Say how much there will be, where that must be known, and what is not encrypted."""
        length = c_int()
        if self.MODE == "CCM":
            LIBCRYPTO.call("EVP_CipherUpdate", context, None, ctypes.byref(length), None, size)
        for part in associated:
            if len(part):
                LIBCRYPTO.call("EVP_CipherUpdate", context, None, ctypes.byref(length), bytes(part), len(part))

    def _seal(self, nonce: bytes, whole: bytes, associated: Sequence[Buffer]) -> tuple[bytearray, bytes]:
        out, length = bytearray(len(whole)), c_int()
        tag = ctypes.create_string_buffer(TAG_SIZE)
        with self._started(nonce, None) as context:
            self._prepare(context, len(whole), associated)
            place = (ctypes.c_char * len(out)).from_buffer(out)
            if whole or self.MODE == "CCM":
                LIBCRYPTO.call("EVP_CipherUpdate", context, place, ctypes.byref(length), whole, len(whole))
            LIBCRYPTO.call("EVP_CipherFinal_ex", context, ctypes.byref(c_int()), ctypes.byref(length))
            LIBCRYPTO.call("EVP_CIPHER_CTX_ctrl", context, GET_TAG, TAG_SIZE, tag)
        return out, tag.raw

    def encrypt(self, nonce: bytes, parts: Sequence[Buffer], associated: bytes) -> tuple[list[Buffer], bytes]:
        out, tag = self._seal(nonce, b"".join(parts), [associated])
        return [memoryview(out)], tag

    def decrypt(self, nonce: bytes, ciphertext: memoryview, tag: bytes, associated: bytes) -> memoryview | None:
        out, length = bytearray(len(ciphertext)), c_int()
        with self._started(nonce, tag) as context:
            self._prepare(context, len(ciphertext), [associated])
            place = (ctypes.c_char * len(out)).from_buffer(out)
            sealed = ciphertext.tobytes()
            if not LIBCRYPTO.succeeds(
                "EVP_CipherUpdate", context, place, ctypes.byref(length), sealed, len(sealed)
            ) and (sealed or self.MODE == "CCM"):
                return None
            if self.MODE != "CCM" and not LIBCRYPTO.succeeds(
                "EVP_CipherFinal_ex", context, ctypes.byref(c_int()), ctypes.byref(length)
            ):
                return None
        return memoryview(out).toreadonly()


class AesGcm(Aes):
    """AES-GCM with 128 or 256 bits, and GMAC, which is the same without a plaintext.  [RFC5116] 5.1"""

    __slots__ = ()
    NONCE_SIZE = 12
    MODE = "GCM"

    def mac(self, nonce: bytes, parts: Sequence[Buffer]) -> bytes:
        """The tag over `parts` as associated data."""
        return self._seal(nonce, b"", parts)[1]


class AesCcm(Aes):
    """AES-CCM with 128 or 256 bits.  [RFC5116] 5.3"""

    __slots__ = ()
    NONCE_SIZE = 11
    MODE = "CCM"
