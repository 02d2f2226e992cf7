"""From a frame to its handlers and back: everything that is the same for all commands.  [MS-SMB2] 3.3.5.2, 3.3.4.1

    chain = accept(connection, frame)       decrypt, expand, split, verify ids; no field is trusted before
    reply = await answer_chain(chain)       the handlers, one after the other
    parts = pack_replies(chain)             headers, credits, compounding, signing, sealing

Nothing here does I/O, so the whole protocol runs under a fuzzer without a socket.
"""

import struct
from collections.abc import Sequence
from typing import Final

from smbport.commands.call import Call, Chain, FileRange, Reply, log
from smbport.commands.compression import CompressedFrame, CompressedReply, compressed_parts
from smbport.commands.errors import status_of_error
from smbport.commands.persistent import save_changes
from smbport.commands.table import RULES, Rule
from smbport.security.sealing import BadSeal
from smbport.security.signing import Signer
from smbport.state.connection import Connection
from smbport.state.session import Channel, Session
from smbport.wire.constants import Capability, Command, Dialect, HeaderFlag, name
from smbport.wire.error import pack_error_response
from smbport.wire.frame import frame_magic, frame_prefix, response_message, split_compound
from smbport.wire.header import COMPRESSION_MAGIC, HEADER_SIZE, SMB2_MAGIC, TRANSFORM_MAGIC, Header, TransformHeader
from smbport.wire.record import BadStructure, Buffer
from smbport.wire.status import Disconnect, Status, StatusError, status_name

__all__ = ["accept", "answer_chain", "pack_interim", "pack_replies"]

ERROR_BODY: Final = pack_error_response()
_SUCCESSES: Final = (
    Status.SUCCESS, Status.MORE_PROCESSING_REQUIRED, Status.BUFFER_OVERFLOW, Status.NOTIFY_ENUM_DIR,
    Status.NOTIFY_CLEANUP,
)  # fmt: skip
# SIGNED too, as Windows does: a client that signs wants to see it even where there is no key to sign with.
_ECHOED_FLAGS: Final = HeaderFlag.RELATED_OPERATIONS | HeaderFlag.PRIORITY_MASK | HeaderFlag.SIGNED
SIGNED_AT_ONCE: Final = 1 << 14  # bytes of payload that are copied sooner than signed and sent as a part of their own
_NEXT_COMMAND_OFFSET: Final = 20
_NEXT_COMMAND: Final = struct.Struct("<I")
Part = Buffer | FileRange


# Receiving ------------------------------------------------------------------------------------------------------


def accept(connection: Connection, frame: memoryview, chain: Chain | None = None) -> Chain | CompressedFrame | None:
    """Decrypt and split one frame, and check each element as far as its header goes.

    None if nothing is to be answered (CANCEL).  Raises Disconnect for what has no answer.
    `frame` is changed in place and must stay untouched until the chain is answered.

    A CompressedFrame is to be expanded in a thread; then what comes of it is accepted with its `chain`, before any
    other frame of the connection.
    """
    magic = frame_magic(frame)
    if chain is None:
        chain = Chain(sealed=None)
    if magic == TRANSFORM_MAGIC:
        frame = _unseal(connection, chain, frame)
        magic = frame_magic(frame)
    if magic != SMB2_MAGIC:
        if magic != COMPRESSION_MAGIC:
            raise Disconnect(f"frame begins with {magic.hex()}")
        compressed = CompressedFrame(connection, chain, frame)
        if compressed.is_large():
            return compressed
        frame = compressed.expand()
    try:
        elements = split_compound(frame, limit=connection.server.settings.limits.compound_elements)
    except BadStructure as error:
        raise Disconnect(f"bad compound: {error}") from None
    for message in elements:
        call = _check_header(connection, chain, message)
        if call is not None:
            chain.calls.append(call)
    return chain if chain.calls else None


def _unseal(connection: Connection, chain: Chain, frame: memoryview) -> memoryview:
    """[MS-SMB2] 3.3.5.2.1.1"""
    try:
        channel = connection.channels.get(TransformHeader.unpack_from(frame).session_id)
        if channel is None or channel.signer is None or channel.session.sealer is None:
            raise Disconnect("sealed message for no session of this connection")
        frame = channel.session.sealer.unseal(frame)
    except (BadSeal, BadStructure) as error:
        raise Disconnect(f"bad transform: {error}") from None
    chain.sealed = channel.session
    return frame


def _check_header(connection: Connection, chain: Chain, message: memoryview) -> Call | None:
    """Message id and credits; what a CANCEL asks is done here, for it has no answer.  [MS-SMB2] 3.3.5.2.3, 3.3.5.16"""
    header = Header.unpack_from(message)
    if header.protocol_id != SMB2_MAGIC or header.structure_size != HEADER_SIZE:
        raise Disconnect("not an SMB2 header")
    call = Call(connection, chain, header, message)
    if call.flags & HeaderFlag.SERVER_TO_REDIR:
        raise Disconnect("a response where a request should be")
    if call.command == Command.CANCEL:
        _cancel(connection, chain, header, message)
        return None
    charge = header.credit_charge if header.credit_charge > 1 and connection.multi_credit else 1
    if not connection.window.use(header.message_id, charge):
        raise Disconnect(f"message id {header.message_id} is outside the sequence window or was used before")
    return call


def _cancel(connection: Connection, chain: Chain, header: Header, message: memoryview) -> None:
    """[MS-SMB2] 3.3.5.16.  A CANCEL that names nothing, or is not signed as it must be, is ignored."""
    channel = connection.channels.get(header.session_id)
    if channel is not None and channel.session.signing_required and chain.sealed is None:
        verified = header.flags & HeaderFlag.SIGNED and channel.signer and channel.signer.verify(message)
        if not verified:
            return
    async_id = header.async_id if header.flags & HeaderFlag.ASYNC_COMMAND else None
    connections = [connection]
    if async_id is not None and channel is not None and channel.signer is not None:
        # AsyncIds are the server's, so what was asked on one channel can be cancelled on another.
        connections = [channel.connection for channel in channel.session.channels]
    for asked in connections:
        running = asked.find_running(header.message_id, async_id, header.session_id)
        if running is not None:
            running.cancel()
            return


# Answering ------------------------------------------------------------------------------------------------------


async def answer_chain(chain: Chain) -> None:
    """Run the handlers of one frame in order; `chain.replies` has an answer for each afterwards."""
    unsaved = chain.calls[0].server.unsaved
    for index, call in enumerate(chain.calls):
        chain.current = index
        changes = unsaved.count
        reply = await _answer(call)
        if changes != unsaved.count:
            reply = await _save(call, reply)
        chain.status = reply.status
        chain.replies.append(reply)


async def _save(call: Call, reply: Reply) -> Reply:
    """Nothing is answered that changed a persistent open before that change is safe."""
    try:
        await save_changes(call.server)
    except OSError as error:
        return Reply(ERROR_BODY, None, status_of_error(call.command, error))
    return reply


async def _answer(call: Call) -> Reply:
    """One request.  The only place where exceptions become statuses."""
    command = call.command
    try:
        _enter(call)
        rule = RULES.get(command)
        if rule is None:
            raise StatusError(Status.INVALID_PARAMETER, "unknown command")
        _check_rule(call, rule)
        request = rule.record.unpack_from(call.message, HEADER_SIZE)
        _check_charge(call, rule, request)
        if not rule.opened:
            return await rule.handler(call, request)
        return await _answer_on_open(call, rule, request)
    except StatusError as error:
        status = error.status
        if log.isEnabledFor(10):
            log.debug("%s %s: %s", call.connection.address, name(Command, command), error)
    except BadStructure as lie:
        status = Status.INVALID_PARAMETER
        log.debug("%s %s: %s", call.connection.address, name(Command, command), lie)
    except UnicodeDecodeError:
        status = Status.OBJECT_NAME_INVALID
    except OSError as failure:
        status = status_of_error(command, failure)
        what = name(Command, command)
        log.debug("%s %s: %s becomes %s", call.connection.address, what, failure, status_name(status))
    return Reply(ERROR_BODY, None, status)


async def _answer_on_open(call: Call, rule: Rule, request: object) -> Reply:
    """A command on a FileId: the open is found, its rights are checked, and it stays pinned to the end."""
    opened = call.find_open(request.file_id_persistent, request.file_id_volatile)  # type: ignore[attr-defined]
    call.hold(opened, changes=rule.changes)
    try:
        rule.right.check(opened)
        return await rule.handler(call, request)
    finally:
        call.let_go()


def _enter(call: Call) -> None:
    """What is the same for all commands, unknown ones too: dialect, ids, signature.  [MS-SMB2] 3.3.5.2.4"""
    connection, chain, header = call.connection, call.chain, call.header
    if not connection.negotiated and call.command != Command.NEGOTIATE:
        raise Disconnect(f"{name(Command, call.command)} before NEGOTIATE")
    if not call.flags & HeaderFlag.RELATED_OPERATIONS or call is chain.calls[0]:
        chain.session_id, chain.tree_id = header.session_id, header.tree_id
        chain.file_id = (0, 0)
    channel = call.channel = connection.channels.get(chain.session_id)
    if channel is not None:
        _check_signature(call, channel)


def _check_rule(call: Call, rule: Rule) -> None:
    """Relation, session and tree, as far as this command needs them.  [MS-SMB2] 3.3.5.2.9, 3.3.5.2.11"""
    if call.flags & HeaderFlag.RELATED_OPERATIONS:
        _check_relation(call, rule)
    if rule.session:
        session = _check_session(call)
        if session.expires_ns is not None and session.expired and not rule.after_expiry:
            raise StatusError(Status.NETWORK_SESSION_EXPIRED)
        _find_tree(call, session, rule)


def _check_relation(call: Call, rule: Rule) -> None:
    """The ids come from the request before, and so does its failure.  [MS-SMB2] 3.3.5.2.7.2"""
    chain = call.chain
    if call is chain.calls[0]:
        raise StatusError(Status.INVALID_PARAMETER, "the first element is related to nothing")
    if chain.status in (Status.USER_SESSION_DELETED, Status.NETWORK_NAME_DELETED):
        raise StatusError(Status.INVALID_PARAMETER, "related to a request without session or tree")
    if rule.opened and chain.file_id == (0, 0) and chain.status not in _SUCCESSES:
        raise StatusError(chain.status, "the request it relates to failed")


def _check_session(call: Call) -> Session:
    channel, sealed = call.channel, call.chain.sealed
    if channel is None or not channel.session.valid or channel.signer is None:
        raise StatusError(Status.USER_SESSION_DELETED)
    session = channel.session
    if sealed is not None and sealed is not session:
        raise Disconnect("sealed for another session than it names")
    if session.encrypt and sealed is None:
        raise StatusError(Status.ACCESS_DENIED, "this session must be sealed")
    return session


def _find_tree(call: Call, session: Session, rule: Rule) -> None:
    """[MS-SMB2] 3.3.5.2.11.  A command that does not need a tree gets it all the same if it names one."""
    tree = call.tree = session.trees.get(call.chain.tree_id)
    if not rule.tree:
        return
    if tree is None:
        raise StatusError(Status.NETWORK_NAME_DELETED)
    if tree.encrypt and call.chain.sealed is None:
        raise StatusError(Status.ACCESS_DENIED, "this share must be sealed")


def _check_signature(call: Call, channel: Channel) -> None:
    """[MS-SMB2] 3.3.5.2.4.  Sealed messages are authentic already; a logon in progress has no key yet."""
    if call.chain.sealed is not None or channel.signer is None:
        return
    if call.flags & HeaderFlag.SIGNED:
        call.signer = channel.signer  # the refusal of a bad signature is signed as well
        call.signed = channel.signer.verify(call.message)
        if not call.signed:
            raise StatusError(Status.ACCESS_DENIED, "bad signature")
    elif channel.session.signing_required and call.command != Command.SESSION_SETUP:
        call.signer = channel.signer
        raise StatusError(Status.ACCESS_DENIED, "not signed")


def _check_charge(call: Call, rule: Rule, request: object) -> None:
    """CreditCharge must pay for the larger of what is sent and what is asked.  [MS-SMB2] 3.3.5.2.5"""
    if rule.payload is None or not call.connection.capabilities & Capability.LARGE_MTU:
        return
    size = rule.payload(request)
    if size > 65536 and (size - 1) // 65536 + 1 > max(call.header.credit_charge, 1):
        raise StatusError(Status.INVALID_PARAMETER, f"{size} bytes for {call.header.credit_charge} credits")


# Sending --------------------------------------------------------------------------------------------------------


def pack_replies(chain: Chain) -> list[Part]:
    """The replies of a chain that were not sent yet as one frame, ready for the socket.  [MS-SMB2] 3.3.4.1"""
    if len(chain.calls) - chain.first_unsent == 1:
        call, reply = chain.calls[-1], chain.replies[-1]
        message = _message(call, reply)
        if isinstance(reply, CompressedReply):
            return _frame_compressed(call, message, reply)
        return _frame(call, message, reply.payload)
    return _pack_compound(list(zip(chain.calls, chain.replies, strict=True))[chain.first_unsent :])


def pack_interim(chain: Chain, async_id: int) -> list[Part]:
    """STATUS_PENDING for the call in hand, behind the replies that are ready.  [MS-SMB2] 3.3.4.2, 3.3.4.3"""
    parts: list[Part] = []
    if chain.first_unsent < len(chain.replies):
        ready = list(zip(chain.calls, chain.replies, strict=False))[chain.first_unsent :]
        parts = _pack_compound(ready)
        chain.first_unsent = len(chain.replies)
    call = chain.calls[chain.current]
    call.async_id = async_id
    signer = call.signer
    call.signer = None  # an interim response is never signed
    message = _message(call, Reply(ERROR_BODY, None, Status.PENDING))
    parts += _frame(call, message)
    call.signer = signer
    return parts


def _message(call: Call, reply: Reply) -> bytearray:
    """Header and body of one response: credits, flags and ids are decided here and nowhere else."""
    header, chain, channel, tree = call.header, call.chain, call.channel, call.tree
    flags = HeaderFlag.SERVER_TO_REDIR | call.flags & _ECHOED_FLAGS
    if chain.sealed is not None or reply.status == Status.PENDING:
        flags &= ~HeaderFlag.SIGNED  # these are never signed
    elif call.signer is not None:
        flags |= HeaderFlag.SIGNED
    if call.async_id:
        flags |= HeaderFlag.ASYNC_COMMAND
        process_id, tree_id = call.async_id & 0xFFFFFFFF, call.async_id >> 32
    else:
        process_id, tree_id = header.process_id, chain.tree_id if tree is None else tree.tree_id
    credits = _grant_credits(call, channel) if call.credits_granted < 0 else 0  # granted with the interim response
    session_id = header.session_id if channel is None else channel.session.session_id
    return response_message(
        reply.body, reply.status, call.command, header.credit_charge, credits, flags, header.message_id, process_id,
        tree_id, session_id,
    )  # fmt: skip


def _grant_credits(call: Call, channel: Channel | None) -> int:
    """[MS-SMB2] 3.3.1.2"""
    limits = call.server.settings.limits
    limit = limits.credits_initial if channel is None or channel.signer is None else limits.credits
    granted = call.credits_granted = call.connection.window.grant(call.header.credits, limit)
    return granted


def _frame(call: Call, message: bytearray, payload: Part | None = None) -> list[Part]:
    """Sign or seal a message and put the frame prefix in front; a large payload stays a part of its own."""
    if call.chain.sealed is not None:
        return _seal(call.chain.sealed, [message] if payload is None else [message, _payload_bytes(payload)])
    if call.signer is not None:
        if payload is not None and len(payload) <= SIGNED_AT_ONCE:
            message += _payload_bytes(payload)
            payload = None
        _sign(call.signer, message, payload)
    _follow_preauth(call, message)
    if payload is None:
        return [frame_prefix(len(message)) + message]
    return [frame_prefix(len(message) + len(payload)) + message, payload]


def _frame_compressed(call: Call, message: bytearray, reply: CompressedReply) -> list[Part]:
    """Signed as it was, compressed, and then sealed.  [MS-SMB2] 3.3.4.1"""
    if call.signer is not None and call.chain.sealed is None:
        _sign(call.signer, message, reply.payload)
    parts = compressed_parts(call.connection, message, reply)
    if call.chain.sealed is not None:
        return _seal(call.chain.sealed, parts)
    return [frame_prefix(sum(map(len, parts))), *parts]


def _sign(signer: Signer, message: bytearray, payload: Part | None) -> None:
    if payload is None:
        signer.sign(message)
    else:
        signer.sign_parts(message, [_payload_bytes(payload)])


def _seal(session: Session, parts: Sequence[Buffer]) -> list[Part]:
    assert session.sealer is not None
    sealed = session.sealer.seal(session.session_id, parts)
    return [frame_prefix(sum(map(len, sealed))), *sealed]


def _pack_compound(pairs: Sequence[tuple[Call, Reply]]) -> list[Part]:
    """Several replies in one frame, each padded to 8 bytes, the last too, as Windows does; signed over its padding."""
    messages: list[Buffer] = []
    last_call, _ = pairs[-1]
    for call, reply in pairs:
        message = _message(call, reply)
        if reply.payload is not None:
            message += _payload_bytes(reply.payload)
        padding = -len(message) % 8
        if padding:
            message += bytes(padding)
        if call is not last_call:
            _NEXT_COMMAND.pack_into(message, _NEXT_COMMAND_OFFSET, len(message))
        if call.signer is not None and call.chain.sealed is None:
            call.signer.sign(message)
        messages.append(message)
    if last_call.chain.sealed is not None:
        return _seal(last_call.chain.sealed, messages)
    return [frame_prefix(sum(map(len, messages))) + messages[0], *messages[1:]]


def _payload_bytes(payload: Part) -> Buffer:
    """What is neither signed, sealed nor part of a compound may be sent straight from the file."""
    if isinstance(payload, FileRange):
        raise AssertionError("READ gives a file range only to a plain request")
    return payload


def _follow_preauth(call: Call, message: bytearray) -> None:
    """The preauth hash of 3.1.1 runs over NEGOTIATE and SESSION_SETUP.  [MS-SMB2] 3.3.5.4, 3.3.5.5"""
    command = call.command
    if command > Command.SESSION_SETUP or call.connection.dialect != Dialect.SMB_3_1_1:
        return
    if command == Command.NEGOTIATE:
        call.connection.preauth.update(call.message)
        call.connection.preauth.update(message)
    elif call.channel is not None and call.channel.exchange is not None:
        call.channel.preauth.update(message)  # its request was hashed by the handler
