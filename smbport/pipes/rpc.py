"""Connection-oriented DCE/RPC, the server's end of one connection.  [C706] 12.6, [MS-RPCE] 2.2.2

What the peer gets wrong is answered as the specification says: per context inside a bind_ack, with a bind_nak, or
with a fault.  After a bind_nak or a violation of the protocol nothing more is taken.  Bytes that are not even
a PDU header break the pipe without an answer.

There is no RPC authentication: the SMB session below has authenticated the client, signs and encrypts.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, NoReturn

from smbport.pipes.handles import BadHandle, Handles
from smbport.pipes.ndr import NdrReader
from smbport.pipes.server_info import ServerInfo
from smbport.wire.record import U8, U16, U32, BadStructure, Buffer, Bytes4, Guid, Pad1, Pad3, Pad4, Record, record
from smbport.wire.status import Status, StatusError

__all__ = ["Association", "Fault", "Interface", "Operation", "PduFlag", "PduHeader", "PduType", "uuid_bytes"]

_MAX_CONTEXTS: Final = 32  # in one bind and in one association; Windows sends 3 (guessed)
_MAX_UNREAD: Final = 64  # answers that may wait to be read when a request comes (guessed); clients leave none
_MIN_FRAGMENT: Final = 1024  # holds the bind_ack of _MAX_CONTEXTS contexts, and is what ksmbd can carry
_MUST_RECEIVE: Final = 1432  # MustRecvFragSize: whatever the peer says, it can take this much.  [C706] 12.6
_MAX_RECEIVED: Final = 5840  # the largest fragment that Windows takes
_ASSOCIATION_GROUP: Final = 0x000053F0  # any non-zero value does
_LITTLE_ENDIAN: Final = b"\x10\x00\x00\x00"  # and ASCII, IEEE.  [C706] 14.1

# Calls a client can make: the stub in, the stub out.  Raises BadStructure if the stub lies.
Operation = Callable[[ServerInfo, NdrReader], bytes]


class PduType:
    """[C706] 12.6.3.1"""

    REQUEST: Final = 0
    RESPONSE: Final = 2
    FAULT: Final = 3
    BIND: Final = 11
    BIND_ACK: Final = 12
    BIND_NAK: Final = 13
    ALTER_CONTEXT: Final = 14
    ALTER_CONTEXT_RESPONSE: Final = 15
    CO_CANCEL: Final = 18
    ORPHANED: Final = 19


class PduFlag:
    """[C706] 12.6.3.1"""

    FIRST_FRAGMENT: Final = 0x01
    LAST_FRAGMENT: Final = 0x02
    DID_NOT_EXECUTE: Final = 0x20
    OBJECT_UUID: Final = 0x80


class Fault:
    """Status of a fault PDU.  [C706] appendix E, [MS-RPCE] 2.2.1.1.6"""

    ACCESS_DENIED: Final = 0x00000005
    BAD_STUB_DATA: Final = 0x000006F7
    CONTEXT_MISMATCH: Final = 0x1C00001A
    OPERATION_RANGE: Final = 0x1C010002
    UNKNOWN_INTERFACE: Final = 0x1C010003
    PROTOCOL: Final = 0x1C01000B


class _NakReason:
    """[C706] 12.6.3.1, [MS-RPCE] 2.2.2.5"""

    NOT_SPECIFIED: Final = 0
    LOCAL_LIMIT_EXCEEDED: Final = 2
    PROTOCOL_VERSION_NOT_SUPPORTED: Final = 4
    AUTHENTICATION_TYPE_NOT_RECOGNIZED: Final = 8


class _ContextResult:
    """Result of one context, and the reason of a rejection.  [C706] 12.6.3.1, [MS-RPCE] 2.2.2.4"""

    ACCEPTANCE: Final = 0
    PROVIDER_REJECTION: Final = 2
    NEGOTIATE_ACK: Final = 3

    ABSTRACT_SYNTAX_NOT_SUPPORTED: Final = 1
    TRANSFER_SYNTAXES_NOT_SUPPORTED: Final = 2
    LOCAL_LIMIT_EXCEEDED: Final = 3


def uuid_bytes(text: str) -> bytes:
    """A UUID as it stands on the wire, the first three parts little-endian."""
    low, middle, high, *rest = (bytes.fromhex(part) for part in text.split("-"))
    return low[::-1] + middle[::-1] + high[::-1] + b"".join(rest)


_NDR: Final = uuid_bytes("8a885d04-1ceb-11c9-9fe8-08002b104860") + b"\x02\x00\x00\x00"
_NO_SYNTAX: Final = bytes(20)
_FEATURES_PREFIX: Final = uuid_bytes("6cb71c2c-9812-4540-0000-000000000000")[:8]  # [MS-RPCE] 3.3.1.5.3
_KEEP_CONNECTION_ON_ORPHAN: Final = 0x02  # [MS-RPCE] 2.2.2.14


@record()
class PduHeader(Record):
    """Fields common to all connection-oriented PDUs.  [C706] 12.6.3.1"""

    version: U8
    version_minor: U8
    pdu_type: U8
    flags: U8
    data_representation: Bytes4
    fragment_length: U16
    auth_length: U16
    call_id: U32


@record()
class _Bind(Record):
    """bind and alter_context, and the head of their answers.  [C706] 12.6.4.1, 12.6.4.3"""

    max_transmit_fragment: U16
    max_receive_fragment: U16
    association_group: U32


@record()
class _ContextCount(Record):
    """The head of p_cont_list_t and of p_result_list_t.  [C706] 12.6.3.1"""

    count: U8
    reserved: ClassVar[Pad3]


@record()
class _Context(Record):
    """p_cont_elem_t; transfer syntaxes of 20 bytes each follow.  [C706] 12.6.3.1"""

    context_id: U16
    transfer_syntax_count: U8
    reserved: ClassVar[Pad1]
    interface: Guid
    version_major: U16
    version_minor: U16


@record()
class _Request(Record):
    """request, and, with the cancel count in place of the operation, response.  [C706] 12.6.4.9, 12.6.4.10"""

    allocation_hint: U32
    context_id: U16
    operation: U16


@record()
class _Fault(Record):
    """fault.  [C706] 12.6.4.7"""

    allocation_hint: U32
    context_id: U16
    cancel_count: U8
    reserved: ClassVar[Pad1]
    status: U32
    reserved2: ClassVar[Pad4]


@dataclass(frozen=True, slots=True)
class Interface:
    """What a pipe offers: the abstract syntax and its operations by number."""

    uuid: bytes
    major: int
    minor: int
    operations: Mapping[int, Operation]


@dataclass(slots=True)
class _Call:
    """A request, fragments joined."""

    call_id: int
    context_id: int
    operation: int
    stub: bytearray = field(default_factory=bytearray)


class Association:
    """One client's connection to one interface.

    `answers` holds whole PDUs, oldest first, for the owner to take.  Once `closed`, nothing more is taken in.
    """

    __slots__ = (
        "_address", "_call", "_contexts", "_describe", "_fragment", "_handles", "_interface", "_is_bound",
        "_max_fragment", "_max_request", "_received", "answers", "closed",
    )  # fmt: skip

    def __init__(
        self,
        interface: Interface,
        address: str,
        describe: Callable[[], ServerInfo],
        max_fragment: int,
        max_request: int,
    ) -> None:
        if not _MIN_FRAGMENT <= max_fragment <= 0xFFFF:
            raise ValueError(f"fragments of {max_fragment} bytes, not {_MIN_FRAGMENT} to 65535")
        self.answers: deque[bytes] = deque()
        self.closed = False
        self._interface = interface
        self._address = address
        self._describe = describe
        self._max_fragment = max_fragment
        self._max_request = max_request
        self._fragment = max_fragment  # agreed in the bind
        self._received = bytearray()  # less than one fragment between calls of feed
        self._is_bound = False
        self._contexts: set[int] = set()
        self._call: _Call | None = None
        self._handles = Handles()

    def feed(self, data: Buffer) -> None:
        """Take bytes as they were written, any number of PDUs and parts of PDUs, and act on each whole one.

        Raises StatusError(PIPE_BROKEN) on bytes that are no PDU, or if the client never reads its answers.
        """
        self._received += data
        start = 0
        while not self.closed and (header := self._find_header(start)) is not None:
            if len(self.answers) > _MAX_UNREAD:
                self._break(f"{len(self.answers)} answers not read")
            end = start + header.fragment_length
            self._receive(header, bytes(self._received[start:end]))
            start = end
        del self._received[:start]

    def _find_header(self, start: int) -> PduHeader | None:
        """The header of the PDU at `start`, or None while the PDU is not complete."""
        available = len(self._received) - start
        if available < PduHeader.SIZE:
            return None
        header = PduHeader.unpack_from(self._received, start)
        if header.data_representation != _LITTLE_ENDIAN:
            self._break(f"data representation {header.data_representation.hex()}")
        if not PduHeader.SIZE <= header.fragment_length <= max(self._max_fragment, _MAX_RECEIVED):
            self._break(f"fragment of {header.fragment_length} bytes")
        return header if available >= header.fragment_length else None

    def _break(self, reason: str) -> NoReturn:
        self.closed = True
        raise StatusError(Status.PIPE_BROKEN, reason)

    def _receive(self, header: PduHeader, pdu: bytes) -> None:
        try:
            if header.version != 5 or header.version_minor > 1:
                self._refuse(header, _NakReason.PROTOCOL_VERSION_NOT_SUPPORTED)
            elif header.auth_length:
                self._refuse(header, _NakReason.AUTHENTICATION_TYPE_NOT_RECOGNIZED)
            else:
                self._dispatch(header, pdu)
        except BadStructure:
            self._refuse(header, _NakReason.NOT_SPECIFIED)

    def _dispatch(self, header: PduHeader, pdu: bytes) -> None:
        if header.pdu_type == PduType.BIND:
            self._bind(header, pdu)
        elif not self._is_bound:
            raise BadStructure("not bound")
        elif header.pdu_type == PduType.REQUEST:
            self._request(header, pdu)
        elif header.pdu_type == PduType.ALTER_CONTEXT:
            self._alter_context(header, pdu)
        elif header.pdu_type == PduType.ORPHANED:
            if self._call is not None and self._call.call_id == header.call_id:
                self._call = None
        elif header.pdu_type != PduType.CO_CANCEL:  # a call is over before its cancel can arrive
            raise BadStructure(f"PDU type {header.pdu_type}")

    def _refuse(self, header: PduHeader, reason: int) -> None:
        """End the association: with a bind_nak if this is a bind, else with a fault."""
        self.closed = True
        if header.pdu_type == PduType.BIND:
            versions = bytes((1, 5, 0))  # one version: 5.0
            self._answer(PduType.BIND_NAK, header.call_id, reason.to_bytes(2, "little") + versions)
        else:
            self._fault(header.call_id, 0, Fault.PROTOCOL)

    # Bind and alter_context

    def _bind(self, header: PduHeader, pdu: bytes) -> None:
        """[C706] 12.6.4.3, [MS-RPCE] 3.3.1.5.6"""
        if self._is_bound:
            raise BadStructure("a second bind")
        bind = _Bind.unpack_from(pdu, PduHeader.SIZE)
        contexts = _parse_contexts(pdu)
        if len(contexts) > _MAX_CONTEXTS:
            self._refuse(header, _NakReason.LOCAL_LIMIT_EXCEEDED)
            return
        self._is_bound = True
        # One size for both directions and a multiple of 8, as Windows does.
        wanted = max(min(bind.max_transmit_fragment, bind.max_receive_fragment), _MUST_RECEIVE)
        self._fragment = min(wanted, self._max_fragment) & ~7
        group = bind.association_group or _ASSOCIATION_GROUP
        self._acknowledge(PduType.BIND_ACK, header, group, self._address, contexts)

    def _alter_context(self, header: PduHeader, pdu: bytes) -> None:
        """[C706] 12.6.4.1"""
        bind = _Bind.unpack_from(pdu, PduHeader.SIZE)
        contexts = _parse_contexts(pdu)
        if self._call is not None or len(contexts) > _MAX_CONTEXTS:
            raise BadStructure(f"alter_context with {len(contexts)} contexts, in the middle of {self._call}")
        self._acknowledge(PduType.ALTER_CONTEXT_RESPONSE, header, bind.association_group, "", contexts)

    def _acknowledge(
        self, pdu_type: int, header: PduHeader, group: int, address: str, contexts: list[tuple[_Context, list[bytes]]]
    ) -> None:
        """[C706] 12.6.4.4"""
        size = max(self._fragment, _MUST_RECEIVE)  # clients refuse less, but need not be sent as much
        head = _Bind(max_transmit_fragment=size, max_receive_fragment=size, association_group=group).pack()
        port = address.encode("ascii") + b"\0" if address else b""
        body = head + len(port).to_bytes(2, "little") + port
        body += bytes(-len(body) % 4) + _ContextCount(count=len(contexts)).pack()
        self._answer(pdu_type, header.call_id, body + b"".join(self._negotiate(*context) for context in contexts))

    def _negotiate(self, context: _Context, syntaxes: list[bytes]) -> bytes:
        """The p_result_t of one context."""
        if syntaxes[0].startswith(_FEATURES_PREFIX):
            return _result(_ContextResult.NEGOTIATE_ACK, syntaxes[0][8] & _KEEP_CONNECTION_ON_ORPHAN)
        offered = self._interface
        if (context.interface, context.version_major) != (offered.uuid, offered.major):
            return _result(_ContextResult.PROVIDER_REJECTION, _ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED)
        if context.version_minor > offered.minor:
            return _result(_ContextResult.PROVIDER_REJECTION, _ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED)
        if _NDR not in syntaxes:
            return _result(_ContextResult.PROVIDER_REJECTION, _ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED)
        if len(self._contexts) == _MAX_CONTEXTS:
            return _result(_ContextResult.PROVIDER_REJECTION, _ContextResult.LOCAL_LIMIT_EXCEEDED)
        self._contexts.add(context.context_id)
        return _result(_ContextResult.ACCEPTANCE, 0, _NDR)

    # Calls

    def _request(self, header: PduHeader, pdu: bytes) -> None:
        """[C706] 12.6.4.9"""
        request = _Request.unpack_from(pdu, PduHeader.SIZE)
        stub_start = PduHeader.SIZE + _Request.SIZE + (16 if header.flags & PduFlag.OBJECT_UUID else 0)
        if stub_start > len(pdu):
            raise BadStructure("no room for the object")
        key = (header.call_id, request.context_id, request.operation)
        if header.flags & PduFlag.FIRST_FRAGMENT:
            if self._call is not None:
                raise BadStructure("a call begins inside another")
            self._call = _Call(*key)
        call = self._call
        if call is None or (call.call_id, call.context_id, call.operation) != key:
            raise BadStructure("a fragment of another call")
        if max(request.allocation_hint, len(call.stub) + len(pdu) - stub_start) > self._max_request:
            self.closed = True
            self._fault(call.call_id, call.context_id, Fault.ACCESS_DENIED)  # what Windows says
            return
        call.stub += pdu[stub_start:]
        if header.flags & PduFlag.LAST_FRAGMENT:
            self._call = None
            self._execute(call)

    def _execute(self, call: _Call) -> None:
        if call.context_id not in self._contexts:
            self._fault(call.call_id, call.context_id, Fault.UNKNOWN_INTERFACE)
            return
        operation = self._interface.operations.get(call.operation)
        if operation is None:
            self._fault(call.call_id, call.context_id, Fault.OPERATION_RANGE)
            return
        try:
            stub = operation(self._describe(), NdrReader(call.stub, self._handles))
        except BadHandle:
            self._fault(call.call_id, call.context_id, Fault.CONTEXT_MISMATCH)
            return
        except BadStructure:
            self._fault(call.call_id, call.context_id, Fault.BAD_STUB_DATA)
            return
        self._respond(call, stub)

    def _respond(self, call: _Call, stub: bytes) -> None:
        """[C706] 12.6.4.10"""
        room = self._fragment - PduHeader.SIZE - _Request.SIZE
        for start in range(0, len(stub) or 1, room):
            remaining = len(stub) - start
            flags = (PduFlag.FIRST_FRAGMENT if start == 0 else 0) | (PduFlag.LAST_FRAGMENT if remaining <= room else 0)
            head = _Request(allocation_hint=remaining, context_id=call.context_id, operation=0).pack()
            self._answer(PduType.RESPONSE, call.call_id, head + stub[start : start + room], flags)

    def _fault(self, call_id: int, context_id: int, status: int) -> None:
        """[C706] 12.6.4.7"""
        flags = PduFlag.FIRST_FRAGMENT | PduFlag.LAST_FRAGMENT | PduFlag.DID_NOT_EXECUTE
        body = _Fault(allocation_hint=_Fault.SIZE, context_id=context_id, cancel_count=0, status=status).pack()
        self._answer(PduType.FAULT, call_id, body, flags)

    def _answer(
        self, pdu_type: int, call_id: int, body: bytes, flags: int = PduFlag.FIRST_FRAGMENT | PduFlag.LAST_FRAGMENT
    ) -> None:
        header = PduHeader(
            version=5,
            version_minor=0,
            pdu_type=pdu_type,
            flags=flags,
            data_representation=_LITTLE_ENDIAN,
            fragment_length=PduHeader.SIZE + len(body),
            auth_length=0,
            call_id=call_id,
        )
        self.answers.append(header.pack() + body)


def _parse_contexts(pdu: bytes) -> list[tuple[_Context, list[bytes]]]:
    """The contexts of a bind or alter_context, each with its transfer syntaxes."""
    offset = PduHeader.SIZE + _Bind.SIZE
    count = _ContextCount.unpack_from(pdu, offset).count
    offset += _ContextCount.SIZE
    contexts: list[tuple[_Context, list[bytes]]] = []
    for _ in range(count):
        context = _Context.unpack_from(pdu, offset)
        start = offset + _Context.SIZE
        offset = start + 20 * context.transfer_syntax_count
        if offset == start or offset > len(pdu):
            raise BadStructure(f"{context.transfer_syntax_count} transfer syntaxes at {start} of {len(pdu)} bytes")
        contexts.append((context, [pdu[at : at + 20] for at in range(start, offset, 20)]))
    if not contexts:
        raise BadStructure("no contexts")
    return contexts


def _result(result: int, reason: int, syntax: bytes = _NO_SYNTAX) -> bytes:
    """p_result_t.  [C706] 12.6.3.1"""
    return result.to_bytes(2, "little") + reason.to_bytes(2, "little") + syntax
