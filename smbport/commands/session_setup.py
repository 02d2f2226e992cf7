"""SESSION_SETUP: logging on, again, and failing.  [MS-SMB2] 3.3.5.5"""

from typing import Final

from smbport.commands.call import Call, Reply, log
from smbport.commands.close import delete_name
from smbport.commands.session_binding import bind, check_room_for_logon, find_binding, proves_key
from smbport.commands.steps import Manner, blocking, waiting
from smbport.security.auth import BadToken, Continue, Done, LogonUser, TicketCheck
from smbport.security.keys import derive_keys
from smbport.security.sealing import Sealer
from smbport.security.signing import make_signer
from smbport.state.server import Server
from smbport.state.session import Channel, Session
from smbport.wire.constants import Dialect, SecurityMode, SessionFlag, SessionSetupFlag
from smbport.wire.session import SessionSetupRequest, pack_session_setup_response, security_buffer
from smbport.wire.status import Disconnect, Status, StatusError

__all__ = ["ACCOUNT_NS", "map_account", "session_setup"]

ACCOUNT_NS: Final = 10_000_000_000  # for which an account is known (guessed)


async def session_setup(call: Call, request: SessionSetupRequest) -> Reply:
    """[MS-SMB2] 3.3.5.5"""
    connection, settings = call.connection, call.server.settings
    if settings.encryption == "required" and connection.dialect < Dialect.SMB_3_0:
        log.warning("%s speaks no dialect that can be sealed, and encryption is required", connection.address)
        raise StatusError(Status.ACCESS_DENIED)
    token = security_buffer(call.message, request)
    channel = call.channel = _find_channel(call, request)
    if connection.dialect == Dialect.SMB_3_1_1:
        channel.preauth.update(call.message)
    refusal: StatusError | BadToken | None = None
    try:
        step = await _step(call, channel, bytes(token))
    except (StatusError, BadToken) as error:
        refusal = error
    if refusal is not None:
        await _fail(call, channel, refusal)
        raise StatusError(refusal.status if isinstance(refusal, StatusError) else Status.INVALID_PARAMETER)
    if step is None:
        raise StatusError(Status.USER_SESSION_DELETED)
    if isinstance(step, Continue):
        return Reply(pack_session_setup_response(0, step.token), None, Status.MORE_PROCESSING_REQUIRED)
    channel.exchange = None
    if channel.binding:
        bind(call, channel, step)
        return _success(channel.session, step)
    if channel.session.valid:
        return await _log_on_again(call, channel, step)
    return await _log_on(call, channel, step, request)


async def _step(call: Call, channel: Channel, token: bytes) -> Continue | Done | None:
    """The logon with one more token.  None: a ticket took its time, and the logon or its session ended meanwhile."""
    exchange = channel.exchange
    if exchange is None:
        exchange = channel.exchange = call.server.authenticator.begin()
    step = exchange.step(token, call.server.runtime.now_ns())
    if not isinstance(step, TicketCheck):
        return step
    ticket = await blocking(step.judge)
    if channel.exchange is not exchange or call.connection.channels.get(channel.session.session_id) is not channel:
        return None
    return exchange.conclude(ticket, call.server.runtime.now_ns())


def _find_channel(call: Call, request: SessionSetupRequest) -> Channel:
    """The channel that logs on, again or for the first time."""
    if request.flags & SessionSetupFlag.BINDING:
        return find_binding(call)
    if call.header.session_id == 0:
        return _new_session(call)
    return _known_session(call)


def _new_session(call: Call) -> Channel:
    """A session that exists only for the logon until that succeeds."""
    connection, server = call.connection, call.server
    check_room_for_logon(call)
    if len(server.sessions) >= server.settings.limits.sessions:
        raise StatusError(Status.TOO_MANY_SESSIONS)
    session = Session(server, server.new_session_id())
    channel = Channel(session, connection, connection.preauth.copy())
    session.channels.append(channel)
    server.sessions[session.session_id] = session
    connection.channels[session.session_id] = channel
    return channel


def _known_session(call: Call) -> Channel:
    """The logon in progress, or a session that authenticates again.  [MS-SMB2] 3.3.5.5.2"""
    channel = call.channel
    if channel is None or channel.binding:
        elsewhere = call.server.sessions.get(call.header.session_id)
        if elsewhere is not None:
            proves_key(call, elsewhere)
        raise StatusError(Status.USER_SESSION_DELETED)
    session = channel.session
    if session.valid:
        if session.signing_required and not call.signed and call.chain.sealed is not session:
            raise StatusError(Status.ACCESS_DENIED, "re-authentication is not signed")
        if channel.exchange is None:
            channel.preauth = call.connection.preauth.copy()
    return channel


async def _fail(call: Call, channel: Channel, error: Exception) -> None:
    """The logon failed: forget it, and make guessing slow.  [MS-SMB2] 3.3.5.5.3

    A session that was to authenticate again ends with it, on all connections; one that was to be bound does not.
    """
    connection, server, limits = call.connection, call.server, call.server.settings.limits
    channel.exchange = None
    if not channel.session.valid:
        call.channel = None  # the refusal does not name a session that never was
    if channel.binding:
        channel.leave()
    else:
        await _end(call, channel.session)
    connection.failed_logons += 1
    log.warning("logon from %s failed: %s", connection.address, error)
    if connection.failed_logons >= limits.failed_logons_per_connection:
        raise Disconnect(f"{connection.failed_logons} failed logons")
    if not server.throttle.enter(connection.network):
        raise Disconnect("too many failed logons at once from this address")
    try:
        await waiting(server.runtime.new_event(), limits.failed_logon_delay_s, Manner.SHIELDED)
    finally:
        server.throttle.leave(connection.network)


async def _end(call: Call, session: Session) -> None:
    for opened in session.close():
        await delete_name(call.server, opened)


async def _log_on(call: Call, channel: Channel, done: Done, request: SessionSetupRequest) -> Reply:
    """The session becomes valid: keys, account, and what it must protect.  [MS-SMB2] 3.3.5.5.3"""
    session, connection, settings = channel.session, call.connection, call.server.settings
    failure: OSError | None = None
    try:
        await map_account(call.server, session, done.user)
    except OSError as error:
        failure = error
    if failure is not None:
        await _end(call, session)
        raise failure
    session.user = done.user
    session.expires_ns = done.expires_ns
    session.session_key = done.session_key
    _make_keys(channel, done)
    trusted = done.user.kind == "user"
    client_requires = (connection.client_security_mode | request.security_mode) & SecurityMode.SIGNING_REQUIRED
    session.signing_required = trusted and bool(settings.signing == "required" or client_requires)
    if settings.encryption == "required":
        if session.sealer is None or not trusted:
            log.warning("%s at %s cannot seal, and encryption is required", done.user.name, connection.address)
            await _end(call, session)
            raise StatusError(Status.ACCESS_DENIED)
        session.encrypt = True
    session.valid = True
    if request.previous_session_id and request.previous_session_id != session.session_id:
        await _end_previous_session(call, session, request.previous_session_id)
    log.info("%s logged on as %r from %s", done.user.kind, done.user.name, connection.address)
    call.signer = channel.signer if trusted else None
    return _success(session, done)


def _success(session: Session, done: Done) -> Reply:
    flags = {"guest": SessionFlag.IS_GUEST, "anonymous": SessionFlag.IS_NULL}.get(done.user.kind, 0)
    if session.encrypt:
        flags |= SessionFlag.ENCRYPT_DATA
    return Reply(pack_session_setup_response(flags, done.token))


def _make_keys(channel: Channel, done: Done) -> None:
    """[MS-SMB2] 3.3.5.5.3.  Guests and anonymous users have no secret, so what they send is not sealed.

    But where a user seals, an anonymous session may, too: some clients then seal whatever they send.
    """
    session, connection = channel.session, channel.connection
    secret = done.user.kind == "user"
    beside = done.user.kind == "anonymous" and any(
        other.signer is not None and other.session.secret_keys for other in connection.channels.values()
    )
    cipher = connection.cipher if secret or beside else None
    keys = session.keys = derive_keys(connection.dialect, done.session_key, channel.preauth.value, cipher)
    session.signer = channel.signer = make_signer(connection.signing_algorithm, keys.signing)
    session.dialect, session.signing_algorithm = connection.dialect, connection.signing_algorithm
    session.cipher = connection.cipher
    session.secret_keys = secret
    if cipher is not None:
        session.sealer = Sealer(cipher, keys.encryption_in, keys.encryption_out)


async def map_account(server: Server, session: Session, user: LogonUser, *, anew: bool = False) -> None:
    """Find the system account whose rights the user has on files; None if there is none or no need of one.

    One that was found within the last seconds is good enough, unless it is to be looked up anew: a session keeps
    it for much longer.
    """
    identity = server.platform.identity
    session.account = None
    if identity is None or user.kind == "anonymous":
        return
    if user.kind == "guest":
        name = server.settings.guest_account
    else:
        name = (user.record.account if user.record is not None else None) or user.name
    if name in (None, "server"):
        return
    now_ns = server.runtime.now_ns()
    found_ns, account = server.accounts.get(name, (0, None))
    if account is None or anew or not 0 <= now_ns - found_ns < ACCOUNT_NS:
        account = await blocking(identity.find_account, name)
        if account is not None:
            server.accounts[name] = now_ns, account
    session.account = account


async def _log_on_again(call: Call, channel: Channel, done: Done) -> Reply:
    """Re-authentication keeps the keys and refreshes who the user is, groups included.  [MS-SMB2] 3.3.5.5.2"""
    session = channel.session
    assert session.user is not None
    if not _may_become(session, done.user):
        log.warning("session of %s %s cannot become one of %s", session.user.kind, session.user_name, done.user.kind)
        raise StatusError(Status.ACCESS_DENIED)
    await map_account(call.server, session, done.user, anew=True)
    if not session.valid:  # a LOGOFF came while a thread was busy
        raise StatusError(Status.USER_SESSION_DELETED)
    session.user = done.user
    session.expires_ns = done.expires_ns
    if done.user.kind == "user":  # a signed request is answered so, whoever the user is now
        call.signer = channel.signer
    return _success(session, done)


def _may_become(session: Session, user: LogonUser) -> bool:
    """A user's session may turn anonymous, which only takes rights away, and the user's again.

    The keys of a guest or an anonymous session are no secret: they must never come to protect a user.
    """
    assert session.user is not None
    if user.kind == "anonymous" and session.user.kind == "user":
        return True
    return user.kind == session.user.kind or (user.kind == "user" and session.secret_keys)


async def _end_previous_session(call: Call, session: Session, previous_id: int) -> None:
    """A client that lost its connection replaces its old session.  Only the same user can.  [MS-SMB2] 3.3.5.5.3"""
    previous = call.server.sessions.get(previous_id)
    if previous is None or previous.user is None or session.user is None:
        return
    if (previous.user.name, previous.user.kind) != (session.user.name, session.user.kind):
        log.warning("%s may not end session %x of %s", session.user_name, previous_id, previous.user_name)
        return
    for opened in previous.lose():
        await delete_name(call.server, opened)
