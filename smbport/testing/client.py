"""A small SMB2/3 client made of the same records as the server, for tests, benchmarks and taking things apart.

    client = Client(SocketLink.connect("127.0.0.1", 4445))
    client.negotiate()
    client.log_on("alice", "secret")
    tree = client.tree_connect("data")
    file = client.create(tree, "a.txt", access=Access.GENERIC_ALL, disposition=CreateDisposition.OPEN_IF)
    client.write(file, 0, b"hello")

It is honest and simple: one request at a time, every response verified.  `call` sends any body, `link.send` and
`receive` any frame, for tests that are not honest.  What the server says unasked waits in `breaks`.
"""

import os
from collections.abc import Sequence
from typing import Final, NamedTuple

import spnego

from smbport.compression.message import compress_message, expand
from smbport.security.keys import SessionKeys, channel_signing_key, derive_keys
from smbport.security.preauth import PreauthHash
from smbport.security.sealing import Sealer
from smbport.security.signing import Signer, make_signer
from smbport.testing.links import DirectLink, Link, SocketLink
from smbport.wire.break_ import (
    LeaseBreakAcknowledgment,
    LeaseBreakNotification,
    LeaseBreakResponse,
    OplockBreakAcknowledgment,
    OplockBreakNotification,
    OplockBreakResponse,
    parse_break_notification,
)
from smbport.wire.compression import CompressionFlag
from smbport.wire.constants import (
    Access,
    Capability,
    Cipher,
    Command,
    CompressionAlgorithm,
    ContextTag,
    CreateDisposition,
    Dialect,
    FileInfo,
    HashAlgorithm,
    HeaderFlag,
    InfoType,
    NegotiateContextType,
    SecurityMode,
    SessionSetupFlag,
    ShareAccess,
    SigningAlgorithm,
)
from smbport.wire.create import CreateRequest, CreateResponse, create_contexts, pack_create_request
from smbport.wire.create_contexts import LeaseContext, LeaseContextV2, parse_lease
from smbport.wire.directory import (
    QueryDirectoryRequest,
    QueryDirectoryResponse,
    pack_query_directory_request,
    query_directory_output,
)
from smbport.wire.file import (
    CloseRequest,
    FlushRequest,
    ReadFlag,
    ReadRequest,
    ReadResponse,
    WriteRequest,
    WriteResponse,
    pack_read_request,
    pack_write_request,
    read_data,
)
from smbport.wire.frame import MAX_FRAME
from smbport.wire.header import COMPRESSION_MAGIC, HEADER_SIZE, SMB2_MAGIC, TRANSFORM_MAGIC, Header
from smbport.wire.info import (
    QueryInfoRequest,
    QueryInfoResponse,
    SetInfoRequest,
    pack_query_info_request,
    pack_set_info_request,
    query_info_output,
)
from smbport.wire.negotiate import (
    NegotiateRequest,
    NegotiateResponse,
    negotiate_contexts,
    negotiate_security_buffer,
    pack_compression_context,
    pack_encryption_context,
    pack_negotiate_request,
    pack_preauth_context,
    pack_signing_context,
    parse_compression_context,
    parse_encryption_context,
    parse_signing_context,
)
from smbport.wire.record import Buffer
from smbport.wire.session import SessionSetupRequest, SessionSetupResponse, pack_session_setup_request, security_buffer
from smbport.wire.status import Status, StatusError, status_name
from smbport.wire.tree import pack_tree_connect_request

__all__ = ["Client", "DirectLink", "FileId", "Link", "SocketLink"]

ALL_SHARED: Final = ShareAccess.READ | ShareAccess.WRITE | ShareAccess.DELETE
UNSOLICITED: Final = 0xFFFFFFFFFFFFFFFF
_MAY_BE_UNSIGNED: Final = (Status.PENDING, Status.USER_SESSION_DELETED)  # who has no session has no key
_SUCCESSES: Final = (Status.SUCCESS, Status.MORE_PROCESSING_REQUIRED, Status.BUFFER_OVERFLOW)


class FileId(NamedTuple):
    """An open file, and the tree it is in."""

    tree_id: int
    persistent: int
    volatile: int
    oplock_level: int = 0  # granted with it
    lease: LeaseContext | LeaseContextV2 | None = None  # likewise


class Client:
    """One connection with at most one session."""

    def __init__(self, link: Link, *, client_guid: bytes | None = None) -> None:
        self.link = link
        self.client_guid = client_guid or os.urandom(16)
        self.capabilities = Capability.ENCRYPTION | Capability.LARGE_MTU  # offered to a server that speaks 3.x
        self.message_id = 0
        self.dialect = 0
        self.session_id = 0
        self.signer: Signer | None = None
        self.sealer: Sealer | None = None
        self.seal = False  # seal every request from now on
        self.sign = True
        self.cipher: int | None = None
        self.signing_algorithm = SigningAlgorithm.HMAC_SHA256
        self.compression: tuple[int, ...] = ()  # agreed on
        self.chained = False
        self.compress = False  # compress what is sent from now on
        self.expanded = 0  # how many messages were received compressed
        self.agreed: dict[int, bytes] = {}  # the negotiate contexts of the server
        self.session_key = b""
        self.keys = SessionKeys(b"", b"", b"", b"")  # made by `log_on`
        self.credits = 1
        self.breaks: list[OplockBreakNotification | LeaseBreakNotification] = []  # in the order they came
        self._messages: list[tuple[Header, bytes]] = []  # received while a break was waited for
        self._signed: set[int] = set()  # message ids of requests whose answers must be signed
        self._preauth = PreauthHash()
        self._hint = b""

    # Frames -------------------------------------------------------------------------------------------------

    def message(
        self,
        command: int,
        body: bytes,
        *,
        tree_id: int = 0,
        charge: int = 1,
        flags: int = 0,
        message_id: int | None = None,
    ) -> bytearray:
        """A request with the next message id, not signed yet."""
        if message_id is None:
            message_id = self.message_id
            self.message_id += max(charge, 1)
        header = Header(
            protocol_id=SMB2_MAGIC, structure_size=HEADER_SIZE, credit_charge=charge if self.dialect > 0x202 else 0,
            status=0, command=command, credits=64, flags=flags, next_command=0, message_id=message_id,
            process_id=0xFEFF, tree_id=tree_id, session_id=self.session_id, signature=bytes(16),
        )  # fmt: skip
        return bytearray(header.pack() + body)

    def protect(self, message: bytearray) -> bytes:
        """Sign or seal a message as this session does, and compress it if it is to be."""
        if self.seal and self.sealer is not None:
            return b"".join(self.sealer.seal(self.session_id, [self._compressed(message)]))
        if self.sign and self.signer is not None:
            message[16] |= HeaderFlag.SIGNED
            self.signer.sign(memoryview(message), from_server=False)
            self._signed.add(int.from_bytes(message[24:32], "little"))
        return self._compressed(message)

    def _compressed(self, message: bytearray) -> bytes:
        if not self.compress:
            return bytes(message)
        return compress_message(bytes(message), self.compression, chained=self.chained)

    def receive(self) -> tuple[Header, bytes]:
        """The next message, unsealed and verified, interim responses included; notifications go to `breaks`."""
        while not self._messages:
            self._take()
        return self._messages.pop(0)

    def wait_for_break(self) -> OplockBreakNotification | LeaseBreakNotification:
        """The next break notification."""
        while not self.breaks:
            self._take()
        return self.breaks.pop(0)

    def _take(self) -> None:
        frame = self.link.receive()
        sealed = frame[:4] == TRANSFORM_MAGIC
        if sealed:
            assert self.sealer is not None
            frame = bytes(self.sealer.unseal(memoryview(bytearray(frame))))
        if frame[:4] == COMPRESSION_MAGIC:
            self.expanded += 1
            frame = bytes(expand(memoryview(frame), self.compression, chained=self.chained, limit=MAX_FRAME))
        header = Header.unpack_from(frame)
        self.credits += header.credits
        if not sealed:
            self._check_signature(header, frame)
        if header.message_id == UNSOLICITED:
            self.breaks.append(parse_break_notification(frame))
        else:
            self._messages.append((header, frame))

    def _check_signature(self, header: Header, frame: bytes) -> None:
        """Raises ConnectionError for a wrong signature, and for none where there must be one."""
        if header.next_command or header.status in _MAY_BE_UNSIGNED:
            return
        if header.flags & HeaderFlag.SIGNED:
            if self.signer is not None and not self._is_authentic(frame):
                raise ConnectionError("the server's signature is wrong")
        elif header.message_id in self._signed:
            raise ConnectionError(f"the answer with {status_name(header.status)} is not signed")

    def call(self, command: int, body: bytes, *, tree_id: int = 0, payload: int = 0) -> tuple[Header, bytes]:
        """Send a request and wait for its final response.  Raises StatusError unless it is a success.

        `payload` is the larger of the bytes sent and asked for, which the credits must pay.
        """
        header, frame = self.ask(command, body, tree_id=tree_id, payload=payload)
        if header.status not in _SUCCESSES:
            raise StatusError(header.status)
        return header, frame

    def ask(self, command: int, body: bytes, *, tree_id: int = 0, payload: int = 0) -> tuple[Header, bytes]:
        """The same, whatever the status."""
        return self.finish(self.start(command, body, tree_id=tree_id, payload=payload))

    def start(self, command: int, body: bytes, *, tree_id: int = 0, payload: int = 0) -> int:
        """Send a request and do not wait.  Returns its message id."""
        charge = max(1, -(-payload // 65536))
        message = self.message(command, body, tree_id=tree_id, charge=charge)
        message_id = Header.unpack_from(message).message_id
        self.link.send(self.protect(message))
        return message_id

    def finish(self, message_id: int) -> tuple[Header, bytes]:
        """The final response to a request that was started."""
        while True:
            header, frame = self.receive()
            if header.message_id == message_id and header.status != Status.PENDING:
                return header, frame

    # Logging on ---------------------------------------------------------------------------------------------

    def negotiate(
        self,
        dialects: Sequence[int] = (0x0202, 0x0210, 0x0300, 0x0302, 0x0311),
        *,
        ciphers: Sequence[int] = (Cipher.AES_128_GCM, Cipher.AES_128_CCM, Cipher.AES_256_GCM, Cipher.AES_256_CCM),
        signing: Sequence[int] = (SigningAlgorithm.AES_GMAC, SigningAlgorithm.AES_CMAC, SigningAlgorithm.HMAC_SHA256),
        compression: Sequence[int] = (),
        chained: bool = True,
        more_contexts: Sequence[tuple[int, bytes]] = (),
    ) -> NegotiateResponse:
        """Dialects and what goes with 3.1.1; `more_contexts` are sent as they are.  [MS-SMB2] 3.2.4.2.2.2"""
        request = NegotiateRequest(
            security_mode=SecurityMode.SIGNING_ENABLED,
            capabilities=self.capabilities if max(dialects) >= Dialect.SMB_3_0 else 0,
            client_guid=self.client_guid if max(dialects) > Dialect.SMB_2_0_2 else bytes(16),
        )
        contexts: list[tuple[int, bytes]] = []
        if Dialect.SMB_3_1_1 in dialects:
            preauth = pack_preauth_context((HashAlgorithm.SHA_512,), os.urandom(32))
            contexts.append((NegotiateContextType.PREAUTH_INTEGRITY, preauth))
            if ciphers:
                contexts.append((NegotiateContextType.ENCRYPTION, pack_encryption_context(ciphers)))
            if signing:
                contexts.append((NegotiateContextType.SIGNING, pack_signing_context(signing)))
            if compression:
                flags = CompressionFlag.CHAINED if chained else CompressionFlag.NONE
                contexts.append((NegotiateContextType.COMPRESSION, pack_compression_context(flags, compression)))
            contexts += more_contexts
        message = self.message(Command.NEGOTIATE, pack_negotiate_request(request, dialects, contexts))
        self.link.send(bytes(message))
        header, frame = self.receive()
        if header.status:
            raise StatusError(header.status)
        response = NegotiateResponse.unpack_from(frame, HEADER_SIZE)
        self._hint = bytes(negotiate_security_buffer(frame, response))
        self._settle(response, frame)
        self._preauth.update(message)
        self._preauth.update(frame)
        return response

    def _settle(self, response: NegotiateResponse, frame: bytes) -> None:
        self.dialect = response.dialect_revision
        if self.dialect >= Dialect.SMB_3_0:
            self.signing_algorithm = SigningAlgorithm.AES_CMAC
            if response.capabilities & Capability.ENCRYPTION:
                self.cipher = Cipher.AES_128_CCM
        if self.dialect != Dialect.SMB_3_1_1:
            return
        self.agreed = {kind: bytes(data) for kind, data in negotiate_contexts(frame, response)}
        for kind, data in self.agreed.items():
            if kind == NegotiateContextType.ENCRYPTION:
                self.cipher = parse_encryption_context(data)[0] or None
            elif kind == NegotiateContextType.SIGNING:
                self.signing_algorithm = parse_signing_context(data)[0]
            elif kind == NegotiateContextType.COMPRESSION:
                flags, algorithms = parse_compression_context(data)
                self.chained = flags == CompressionFlag.CHAINED
                self.compression = tuple(found for found in algorithms if found != CompressionAlgorithm.NONE)

    def log_on(
        self, user: str | spnego.NTLMHash, password: str = "", *, previous_session_id: int = 0
    ) -> SessionSetupResponse:
        """NTLMv2 without SPNEGO, by a password or its hash, which takes less time.  Raises StatusError if refused."""
        return self._authenticate(user, password, previous_session_id=previous_session_id)

    def bind(self, other: "Client", user: str, password: str) -> SessionSetupResponse:
        """Join the session of another client over this connection.  Raises StatusError.  [MS-SMB2] 3.2.4.2.3.2"""
        self.session_id, self.session_key, self.keys = other.session_id, other.session_key, other.keys
        self.sealer, self.seal = other.sealer, other.seal
        return self._authenticate(user, password, bound=other.signer)

    def _authenticate(
        self, user: str | spnego.NTLMHash, password: str, *, previous_session_id: int = 0, bound: Signer | None = None
    ) -> SessionSetupResponse:
        """Log on; with the key of a session that is `bound`, sign with that until this connection has its own."""
        context = spnego.client(user, password, hostname="server", service="cifs", protocol="negotiate", options=_NTLM)
        preauth = self._preauth.copy()
        token = context.step() or b""
        self.signer = None
        while True:
            request = SessionSetupRequest(
                flags=SessionSetupFlag.BINDING if bound is not None else 0,
                security_mode=SecurityMode.SIGNING_ENABLED,
                previous_session_id=previous_session_id,
            )
            message = self.message(Command.SESSION_SETUP, pack_session_setup_request(request, token))
            if bound is not None:
                message[16] |= HeaderFlag.SIGNED
                bound.sign(memoryview(message), from_server=False)
            preauth.update(message)
            self.link.send(bytes(message))
            header, frame = self.receive()
            self.session_id = header.session_id
            if header.status not in (Status.SUCCESS, Status.MORE_PROCESSING_REQUIRED):
                raise StatusError(header.status)
            response = SessionSetupResponse.unpack_from(frame, HEADER_SIZE)
            answer = bytes(security_buffer(frame, response))
            if header.status == Status.SUCCESS:
                if answer and not context.complete:
                    context.step(answer)
                self._make_keys(bytes(context.session_key), preauth, bound is not None)
                if not self._is_authentic(frame):
                    raise ConnectionError("the last SESSION_SETUP response is not signed rightly")
                return response
            preauth.update(frame)
            token = context.step(answer) or b""

    def _make_keys(self, session_key: bytes, preauth: PreauthHash, of_channel: bool = False) -> None:
        if of_channel:
            key = channel_signing_key(self.dialect, session_key, preauth.value)
            self.signer = make_signer(self.signing_algorithm, key)
            return
        self.session_key = session_key
        self.keys = keys = derive_keys(self.dialect, session_key, preauth.value, self.cipher)
        self.signer = make_signer(self.signing_algorithm, keys.signing)
        if self.cipher is not None:
            self.sealer = Sealer(self.cipher, keys.encryption_out, keys.encryption_in)

    def _is_authentic(self, frame: bytes) -> bool:
        assert self.signer is not None
        return self.signer.verify(memoryview(bytearray(frame)), from_server=True)

    def tree_connect(self, share: str) -> int:
        """The tree id."""
        header, _ = self.call(Command.TREE_CONNECT, pack_tree_connect_request(f"\\\\server\\{share}"))
        return header.tree_id

    # Files --------------------------------------------------------------------------------------------------

    def create(
        self,
        tree_id: int,
        name: str,
        *,
        access: int = Access.GENERIC_READ,
        disposition: int = CreateDisposition.OPEN,
        options: int = 0,
        share: int = ALL_SHARED,
        attributes: int = 0,
        contexts: Sequence[tuple[bytes, bytes]] = (),
        oplock: int = 0,
    ) -> FileId:
        """Open or make a file."""
        request = CreateRequest(
            requested_oplock_level=oplock, impersonation_level=2, desired_access=access, file_attributes=attributes,
            share_access=share, create_disposition=disposition, create_options=options,
        )  # fmt: skip
        _, frame = self.call(Command.CREATE, pack_create_request(request, name, contexts), tree_id=tree_id)
        return self.file_id(tree_id, frame)

    def file_id(self, tree_id: int, frame: bytes) -> FileId:
        """What a CREATE response says."""
        response = CreateResponse.unpack_from(frame, HEADER_SIZE)
        answers = dict(create_contexts(frame, response, limit=64))
        lease = parse_lease(answers[ContextTag.LEASE]) if ContextTag.LEASE in answers else None
        return FileId(tree_id, response.file_id_persistent, response.file_id_volatile, response.oplock_level, lease)

    def close(self, file: FileId) -> None:
        """CLOSE."""
        request = CloseRequest(flags=0, file_id_persistent=file.persistent, file_id_volatile=file.volatile)
        self.call(Command.CLOSE, request.pack(), tree_id=file.tree_id)

    def acknowledge_break(self, file: FileId, level: int) -> int:
        """OPLOCK_BREAK: the level that is left."""
        request = OplockBreakAcknowledgment(
            oplock_level=level, file_id_persistent=file.persistent, file_id_volatile=file.volatile
        )
        _, frame = self.call(Command.OPLOCK_BREAK, request.pack(), tree_id=file.tree_id)
        return OplockBreakResponse.unpack_from(frame, HEADER_SIZE).oplock_level

    def acknowledge_lease_break(self, tree_id: int, lease_key: bytes, lease_state: int) -> int:
        """OPLOCK_BREAK for a lease: the state that is left."""
        request = LeaseBreakAcknowledgment(lease_key=lease_key, lease_state=lease_state)
        _, frame = self.call(Command.OPLOCK_BREAK, request.pack(), tree_id=tree_id)
        return LeaseBreakResponse.unpack_from(frame, HEADER_SIZE).lease_state

    def flush(self, file: FileId) -> None:
        """FLUSH."""
        request = FlushRequest(file_id_persistent=file.persistent, file_id_volatile=file.volatile)
        self.call(Command.FLUSH, request.pack(), tree_id=file.tree_id)

    def read(self, file: FileId, offset: int, length: int, *, flags: int | None = None) -> bytes:
        """Bytes; raises StatusError(END_OF_FILE) where there are none.  Asked for compressed if that was agreed on."""
        if flags is None:
            flags = ReadFlag.REQUEST_COMPRESSED if self.compression else 0
        request = ReadRequest(
            length=length, offset=offset, file_id_persistent=file.persistent, file_id_volatile=file.volatile,
            minimum_count=0, flags=flags,
        )  # fmt: skip
        _, frame = self.call(Command.READ, pack_read_request(request), tree_id=file.tree_id, payload=length)
        return bytes(read_data(frame, ReadResponse.unpack_from(frame, HEADER_SIZE)))

    def write(self, file: FileId, offset: int, data: Buffer, *, flags: int = 0) -> int:
        """How many bytes were written."""
        request = WriteRequest(
            length=len(data), offset=offset, file_id_persistent=file.persistent, file_id_volatile=file.volatile,
            flags=flags,
        )  # fmt: skip
        _, frame = self.call(Command.WRITE, pack_write_request(request, data), tree_id=file.tree_id, payload=len(data))
        return WriteResponse.unpack_from(frame, HEADER_SIZE).count

    def query_directory(
        self, file: FileId, pattern: str = "*", *, info_class: int = FileInfo.ID_BOTH_DIRECTORY, length: int = 65536,
        flags: int = 0,
    ) -> bytes:  # fmt: skip
        """One buffer of entries.  Raises StatusError(NO_MORE_FILES) at the end."""
        request = QueryDirectoryRequest(
            file_information_class=info_class, flags=flags, file_index=0, file_id_persistent=file.persistent,
            file_id_volatile=file.volatile, output_buffer_length=length,
        )  # fmt: skip
        body = pack_query_directory_request(request, pattern)
        _, frame = self.call(Command.QUERY_DIRECTORY, body, tree_id=file.tree_id, payload=length)
        return bytes(query_directory_output(frame, QueryDirectoryResponse.unpack_from(frame, HEADER_SIZE)))

    def query_info(
        self, file: FileId, info_class: int, *, info_type: int = InfoType.FILE, length: int = 65536, additional: int = 0
    ) -> bytes:
        """The information as bytes."""
        request = QueryInfoRequest(
            info_type=info_type, file_info_class=info_class, output_buffer_length=length,
            additional_information=additional, flags=0, file_id_persistent=file.persistent,
            file_id_volatile=file.volatile,
        )  # fmt: skip
        _, frame = self.call(Command.QUERY_INFO, pack_query_info_request(request), tree_id=file.tree_id, payload=length)
        return bytes(query_info_output(frame, QueryInfoResponse.unpack_from(frame, HEADER_SIZE)))

    def set_info(
        self, file: FileId, info_class: int, data: bytes, *, info_type: int = InfoType.FILE, additional: int = 0
    ) -> None:
        """SET_INFO."""
        request = SetInfoRequest(
            info_type=info_type, file_info_class=info_class, additional_information=additional,
            file_id_persistent=file.persistent, file_id_volatile=file.volatile,
        )  # fmt: skip
        self.call(Command.SET_INFO, pack_set_info_request(request, data), tree_id=file.tree_id)


_NTLM: Final = spnego.NegotiateOptions.use_ntlm
