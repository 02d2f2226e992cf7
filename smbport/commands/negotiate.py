"""NEGOTIATE, in SMB2 and as the last word of SMB1.  [MS-SMB2] 3.3.5.3, 3.3.5.4"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from smbport.commands.call import Call, Reply
from smbport.compression import ALGORITHMS
from smbport.state.connection import Connection
from smbport.state.settings import Settings
from smbport.wire.compression import CompressionFlag
from smbport.wire.constants import (
    Capability,
    Cipher,
    CompressionAlgorithm,
    ContextTag,
    Dialect,
    HashAlgorithm,
    HeaderFlag,
    NegotiateContextType,
    SecurityMode,
    SigningAlgorithm,
)
from smbport.wire.frame import frame_prefix, response_message
from smbport.wire.negotiate import (
    NegotiateRequest,
    NegotiateResponse,
    negotiate_contexts,
    negotiate_dialects,
    pack_compression_context,
    pack_encryption_context,
    pack_negotiate_response,
    pack_posix_context,
    pack_preauth_context,
    pack_signing_context,
    parse_compression_context,
    parse_encryption_context,
    parse_posix_context,
    parse_preauth_context,
    parse_signing_context,
    smb1_dialects,
)
from smbport.wire.record import BadStructure
from smbport.wire.status import Disconnect, Status, StatusError
from smbport.wire.text import filetime_from_ns

__all__ = ["answer_smb1", "negotiate"]

COMPRESSED_SIZE: Final = 1 << 20  # bytes that are read or written at a time where there is compression
SALT_LENGTH: Final = 32  # bytes, as Windows sends
_SECURITY_CONTEXTS: Final = (
    NegotiateContextType.PREAUTH_INTEGRITY,
    NegotiateContextType.ENCRYPTION,
    NegotiateContextType.COMPRESSION,
    NegotiateContextType.SIGNING,
    NegotiateContextType.RDMA_TRANSFORM,
)  # each at most once  [MS-SMB2] 3.3.5.4


@dataclass(slots=True)
class Agreement:
    """What the contexts of a 3.1.1 NEGOTIATE agree on; None where the client said nothing."""

    cipher: int | None = None  # 0: none in common
    signing: int | None = None
    posix: bool = False
    compression: tuple[int, ...] | None = None  # (): none in common
    chained: bool = False


async def negotiate(call: Call, request: NegotiateRequest) -> Reply:
    """[MS-SMB2] 3.3.5.4"""
    connection, settings = call.connection, call.server.settings
    if connection.negotiated:
        raise Disconnect("a second NEGOTIATE")
    dialects = negotiate_dialects(call.message, request)
    if not dialects:
        raise StatusError(Status.INVALID_PARAMETER, "no dialects")
    common = set(dialects) & set(settings.dialects)
    if not common:
        raise StatusError(Status.NOT_SUPPORTED, f"none of {[hex(dialect) for dialect in dialects]}")
    dialect = max(common)
    agreement = Agreement()
    if dialect == Dialect.SMB_3_1_1:
        offers_posix = any(share.offers_posix for share in call.server.shares.values())
        agreement = _agree(settings, negotiate_contexts(call.message, request), offers_posix=offers_posix)
    connection.client_guid = request.client_guid
    connection.client_capabilities = request.capabilities
    connection.client_security_mode = request.security_mode
    connection.client_dialects = dialects
    _settle(connection, dialect, agreement)
    return Reply(_response(connection, agreement))


def _settle(connection: Connection, dialect: int, agreement: Agreement) -> None:
    """Write down what this connection speaks from now on."""
    settings = connection.server.settings
    connection.dialect = dialect
    connection.negotiated = dialect != Dialect.WILDCARD
    if agreement.signing is not None:
        connection.signing_algorithm = agreement.signing
    elif dialect >= Dialect.SMB_3_0:
        connection.signing_algorithm = SigningAlgorithm.AES_CMAC
    else:
        connection.signing_algorithm = SigningAlgorithm.HMAC_SHA256
    connection.posix = agreement.posix
    connection.compression = agreement.compression or ()
    connection.compressor = next((found for found in connection.compression if found in ALGORITHMS), 0)
    connection.chained_compression = agreement.chained
    connection.capabilities = 0  # an SMB1 NEGOTIATE may have settled more than the SMB2 one that follows
    if any(share.dfs for share in settings.shares):
        connection.capabilities = Capability.DFS
    connection.max_read = connection.max_write = connection.max_transact = 65536
    if dialect >= Dialect.SMB_2_1:
        limits = settings.limits
        connection.capabilities |= Capability.LARGE_MTU
        connection.max_read, connection.max_write = limits.read_size, limits.write_size
        connection.max_transact = limits.transact_size
        if connection.compression:  # one message is expanded at a time, and nobody else is answered meanwhile
            connection.max_read = min(connection.max_read, COMPRESSED_SIZE)
            connection.max_write = min(connection.max_write, COMPRESSED_SIZE)
        if settings.leases:
            connection.capabilities |= Capability.LEASING
    if dialect >= Dialect.SMB_3_0 and dialect != Dialect.WILDCARD:
        connection.capabilities |= connection.client_capabilities & _offered_on_demand(settings)
    if agreement.cipher:
        connection.cipher = agreement.cipher
    elif _may_seal_with_ccm(connection):
        connection.cipher = Cipher.AES_128_CCM
        connection.capabilities |= Capability.ENCRYPTION


def _offered_on_demand(settings: Settings) -> int:
    """Capabilities for clients of 3.x that have them as well."""
    offered = Capability.MULTI_CHANNEL if settings.multichannel else 0
    if settings.leases:
        offered |= Capability.DIRECTORY_LEASING  # impacket fails where it is announced unasked
    if any(share.continuous_availability for share in settings.shares):
        offered |= Capability.PERSISTENT_HANDLES
    return offered


def _may_seal_with_ccm(connection: Connection) -> bool:
    """3.0 and 3.0.2 know one cipher, and agree on it by a capability bit.  [MS-SMB2] 3.3.5.4"""
    settings = connection.server.settings
    return bool(
        connection.dialect in (Dialect.SMB_3_0, Dialect.SMB_3_0_2)
        and connection.client_capabilities & Capability.ENCRYPTION
        and settings.encryption != "off"
        and Cipher.AES_128_CCM in settings.ciphers
    )


def _agree(settings: Settings, contexts: Sequence[tuple[int, memoryview]], *, offers_posix: bool) -> Agreement:
    """Choose from the negotiate contexts; unknown ones are ignored.  [MS-SMB2] 3.3.5.4"""
    kinds = [kind for kind, _ in contexts if kind in _SECURITY_CONTEXTS]
    if len(kinds) != len(set(kinds)):
        raise StatusError(Status.INVALID_PARAMETER, "a negotiate context twice")
    if NegotiateContextType.PREAUTH_INTEGRITY not in kinds:
        raise StatusError(Status.INVALID_PARAMETER, "3.1.1 without preauth integrity")
    agreement = Agreement()
    for kind, data in contexts:
        if kind == NegotiateContextType.PREAUTH_INTEGRITY:
            if HashAlgorithm.SHA_512 not in _some(parse_preauth_context(data)[0]):
                raise StatusError(Status.NO_PREAUTH_INTEGRITY_HASH_OVERLAP)
        elif kind == NegotiateContextType.POSIX_EXTENSIONS:
            agreement.posix = offers_posix and ContextTag.POSIX in parse_posix_context(data)
        elif kind == NegotiateContextType.COMPRESSION:
            _agree_on_compression(settings, agreement, data)
        elif kind == NegotiateContextType.ENCRYPTION:
            offered = _some(parse_encryption_context(data))
            ours = settings.ciphers if settings.encryption != "off" else ()
            agreement.cipher = next((cipher for cipher in ours if cipher in offered), 0)
        elif kind == NegotiateContextType.SIGNING:
            offered = _some(parse_signing_context(data))
            agreement.signing = next(
                (algorithm for algorithm in settings.signing_algorithms if algorithm in offered),
                SigningAlgorithm.AES_CMAC,
            )
    return agreement


def _agree_on_compression(settings: Settings, agreement: Agreement, data: memoryview) -> None:
    """The client's order counts.  Nothing is agreed on where no share compresses.  [MS-SMB2] 3.3.5.4"""
    flags, offered = parse_compression_context(data)
    _some(offered)
    if not any(share.compression for share in settings.shares):
        return
    chained = bool(flags & CompressionFlag.CHAINED)
    ours = (*ALGORITHMS, CompressionAlgorithm.PATTERN_V1) if chained else ALGORITHMS
    common = tuple(dict.fromkeys(algorithm for algorithm in offered if algorithm in ours))
    usable = any(algorithm in ALGORITHMS for algorithm in common)
    agreement.compression, agreement.chained = (common, chained) if usable else ((), False)


def _some(algorithms: tuple[int, ...]) -> tuple[int, ...]:
    """At least one, as [MS-SMB2] 2.2.3.1.1, 2.2.3.1.2 and 2.2.3.1.7 have it."""
    if not algorithms:
        raise StatusError(Status.INVALID_PARAMETER, "a negotiate context without algorithms")
    return algorithms


def _response(connection: Connection, agreement: Agreement) -> bytes:
    server = connection.server
    contexts: list[tuple[int, bytes]] = []
    if connection.dialect == Dialect.SMB_3_1_1:
        salt = server.runtime.random_bytes(SALT_LENGTH)
        preauth = pack_preauth_context((HashAlgorithm.SHA_512,), salt)
        contexts.append((NegotiateContextType.PREAUTH_INTEGRITY, preauth))
        if agreement.cipher is not None:
            contexts.append((NegotiateContextType.ENCRYPTION, pack_encryption_context((agreement.cipher,))))
        if agreement.signing is not None:
            contexts.append((NegotiateContextType.SIGNING, pack_signing_context((agreement.signing,))))
        if agreement.compression is not None:
            flags = CompressionFlag.CHAINED if agreement.chained else CompressionFlag.NONE
            algorithms = agreement.compression or (CompressionAlgorithm.NONE,)
            contexts.append((NegotiateContextType.COMPRESSION, pack_compression_context(flags, algorithms)))
        if agreement.posix:
            contexts.append((NegotiateContextType.POSIX_EXTENSIONS, pack_posix_context()))
    required = SecurityMode.SIGNING_REQUIRED if server.settings.signing == "required" else 0
    response = NegotiateResponse(
        security_mode=SecurityMode.SIGNING_ENABLED | required,
        dialect_revision=connection.dialect,
        server_guid=server.settings.server_guid,
        capabilities=connection.capabilities,
        max_transact_size=connection.max_transact,
        max_read_size=connection.max_read,
        max_write_size=connection.max_write,
        system_time=filetime_from_ns(server.runtime.now_ns()),
        server_start_time=0,
    )
    return pack_negotiate_response(response, server.authenticator.hint(), contexts)


def answer_smb1(connection: Connection, frame: memoryview) -> list[bytes | bytearray | memoryview]:
    """The one SMB1 message that is understood: a NEGOTIATE that offers SMB2 as well.  [MS-SMB2] 3.3.5.3

    Returns a frame.  Raises Disconnect for any other SMB1.
    """
    if connection.dialect or connection.negotiated:
        raise Disconnect("SMB1 after NEGOTIATE")
    try:
        offered = smb1_dialects(frame)
    except BadStructure as error:
        raise Disconnect(f"SMB1 that is no NEGOTIATE: {error}") from None
    newest = max(connection.server.settings.dialects)
    if b"SMB 2.???" in offered and newest > Dialect.SMB_2_0_2:
        dialect = Dialect.WILDCARD
    elif b"SMB 2.002" in offered and Dialect.SMB_2_0_2 in connection.server.settings.dialects:
        dialect = Dialect.SMB_2_0_2
    else:
        raise Disconnect("a client that speaks SMB1 only; SMB1 is not served")
    _settle(connection, dialect, Agreement())
    connection.window.use(0, 1)
    granted = connection.window.grant(1, connection.server.settings.limits.credits_initial)
    body = _response(connection, Agreement())
    message = response_message(body, Status.SUCCESS, 0, 0, granted, HeaderFlag.SERVER_TO_REDIR, 0, 0, 0, 0)
    return [frame_prefix(len(message)) + message]
