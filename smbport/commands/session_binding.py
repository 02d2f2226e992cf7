"""SESSION_SETUP with SMB2_SESSION_FLAG_BINDING: one more connection for a session.  [MS-SMB2] 3.3.5.5

A binding is asked for with the key of the session and proved by a logon of the same user.  It ends with a key of its
own for the new channel, or with nothing: whatever goes wrong, the session lives on where it was.
"""

from smbport.commands.call import Call, log
from smbport.security.auth import Done
from smbport.security.keys import channel_signing_key
from smbport.security.signing import make_signer
from smbport.state.session import Channel, Session
from smbport.wire.constants import Dialect, HeaderFlag, SigningAlgorithm
from smbport.wire.status import Status, StatusError

__all__ = ["bind", "check_room_for_logon", "find_binding", "proves_key"]


def find_binding(call: Call) -> Channel:
    """The channel that is being bound: a new one, or the one whose first leg was answered.  Raises why not."""
    connection, session_id = call.connection, call.header.session_id
    if session_id == 0:
        raise StatusError(Status.INVALID_PARAMETER, "a new session cannot be bound")
    session = call.server.sessions.get(session_id)
    if session is None:
        raise StatusError(Status.USER_SESSION_DELETED)
    channel = connection.channels.get(session_id)
    if not session.valid or (channel is not None and not channel.binding):
        raise StatusError(Status.REQUEST_NOT_ACCEPTED, "the session is logging on, or is on this connection already")
    if not proves_key(call, session) and call.header.flags & HeaderFlag.SIGNED:
        raise StatusError(Status.ACCESS_DENIED, "bad signature")
    _check_agreement(call, session)
    if session.expired:
        raise StatusError(Status.NETWORK_SESSION_EXPIRED)
    if session.is_guest_or_anonymous:
        raise StatusError(Status.NOT_SUPPORTED, "a session without a secret key")
    if channel is None:
        channel = _begin(call, session)
    return channel


def proves_key(call: Call, session: Session) -> bool:
    """Whether a request for a session of other connections is signed with its key; then the answer is, too.

    False if it is not signed.  [MS-SMB2] 3.3.5.2.4
    """
    signer = session.signer
    if signer is None or not call.header.flags & HeaderFlag.SIGNED or not signer.verify(call.message):
        return False
    call.signed, call.signer = True, signer
    return True


def _check_agreement(call: Call, session: Session) -> None:
    """The connections must have negotiated the same; the order of the refusals is that of Windows."""
    connection = call.connection
    if connection.signing_algorithm != session.signing_algorithm:
        if session.signing_algorithm == SigningAlgorithm.AES_GMAC:
            raise StatusError(Status.REQUEST_OUT_OF_SEQUENCE, "the session signs with AES-GMAC")
        if connection.signing_algorithm == SigningAlgorithm.AES_GMAC:
            raise StatusError(Status.NOT_SUPPORTED, "the session does not sign with AES-GMAC")
    if connection.dialect < Dialect.SMB_3_0 or not call.server.settings.multichannel:
        raise StatusError(Status.REQUEST_NOT_ACCEPTED, "no multichannel here")
    if not call.signed:
        raise StatusError(Status.INVALID_PARAMETER, "a binding that is not signed")
    if (connection.dialect, connection.cipher) != (session.dialect, session.cipher):
        raise StatusError(Status.INVALID_PARAMETER, "the session has another dialect or cipher")


def _begin(call: Call, session: Session) -> Channel:
    connection = call.connection
    if len(session.channels) >= call.server.settings.limits.channels_per_session:
        raise StatusError(Status.INSUFFICIENT_RESOURCES, "too many channels")
    check_room_for_logon(call)
    channel = Channel(session, connection, connection.preauth.copy())
    session.channels.append(channel)
    connection.channels[session.session_id] = channel
    return channel


def check_room_for_logon(call: Call) -> None:
    """Raises TOO_MANY_SESSIONS at the limits of a connection."""
    channels, limits = call.connection.channels.values(), call.server.settings.limits
    in_setup = sum(channel.signer is None for channel in channels)
    if in_setup >= limits.sessions_in_setup or len(channels) >= limits.sessions_per_connection:
        raise StatusError(Status.TOO_MANY_SESSIONS)


def bind(call: Call, channel: Channel, done: Done) -> None:
    """The logon succeeded: if it is the session's user, the channel gets its key.  [MS-SMB2] 3.3.5.5.3"""
    session, connection = channel.session, channel.connection
    assert session.user is not None
    if (done.user.name, done.user.kind) != (session.user.name, session.user.kind):
        log.warning("%s %s may not bind a session of %s", done.user.kind, done.user.name, session.user_name)
        channel.leave()
        raise StatusError(Status.ACCESS_DENIED)
    key = channel_signing_key(connection.dialect, done.session_key, channel.preauth.value)
    call.signer = channel.signer = make_signer(connection.signing_algorithm, key)
    log.info("the session of %s goes over %s as well", session.user_name, connection.address)
