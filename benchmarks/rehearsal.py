"""A log-on that was done once and is done again, as fast as a load must be that is not to be the limit.

The messages of the first time are sent again.  What depends on the server's challenge is computed anew: the proof of
NTLMv2, the exchange of the session key, the MIC, and the signature of TREE_CONNECT.  For the server it is a log-on like
any other, and it has as much to do.
"""

import os
import socket
import struct
from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
from cryptography.hazmat.primitives.ciphers import Cipher

from benchmarks.logon import introduce, user_hash
from benchmarks.servers import Server
from smbport.security.keys import channel_signing_key
from smbport.security.ntlm_messages import NTLMSSP_SIGNATURE, Authenticate, hmac_md5
from smbport.security.preauth import PreauthHash
from smbport.security.signing import make_signer
from smbport.testing.client import Client, SocketLink
from smbport.wire.constants import Dialect
from smbport.wire.header import HEADER_SIZE
from smbport.wire.session import SessionSetupRequest, SessionSetupResponse, security_buffer
from smbport.wire.status import Status, StatusError

__all__ = ["Rehearsal", "rehearse"]

RECEIVE_SIZE: Final = 64 << 10
TIMEOUT_S: Final = 60
PREFIX: Final = 4
STATUS: Final = slice(8, 12)  # in a header.  [MS-SMB2] 2.2.1.2
SESSION_ID: Final = slice(40, 48)
SIGNATURE: Final = slice(48, 64)
CLIENT_GUID: Final = slice(HEADER_SIZE + 12, HEADER_SIZE + 28)  # in NEGOTIATE.  [MS-SMB2] 2.2.3
SERVER_CHALLENGE: Final = slice(24, 32)  # [MS-NLMP] 2.2.1.2
NT_RESPONSE: Final = 20  # fields of AUTHENTICATE: length, room, offset.  [MS-NLMP] 2.2.1.3
SESSION_KEY: Final = 52
TIME: Final = slice(8, 16)  # in NTLMv2_CLIENT_CHALLENGE.  [MS-NLMP] 2.2.2.7
KEY_SIZE: Final = 16  # bytes of proof, keys and MIC alike


class _Recorder:
    """A link that keeps what goes over it."""

    def __init__(self, link: SocketLink) -> None:
        self._link = link
        self.sent: list[bytes] = []
        self.received: list[bytes] = []

    def send(self, frame: bytes) -> None:
        self.sent.append(frame)
        self._link.send(frame)

    def receive(self) -> bytes:
        frame = self._link.receive()
        if int.from_bytes(frame[STATUS], "little") != Status.PENDING:
            self.received.append(frame)
        return frame

    def close(self) -> None:
        self._link.close()


def rehearse(server: Server) -> "Rehearsal":
    """Log on once, with everything that a client does."""
    link = _Recorder(SocketLink.connect(server.host, server.port))
    try:
        client = Client(link)
        introduce(client, server)
    finally:
        link.close()
    return Rehearsal(server, client, link.sent, link.received)


class Rehearsal:
    """How to log on to one server, as its user, with a tree connect to its share."""

    def __init__(self, server: Server, client: Client, sent: list[bytes], received: list[bytes]) -> None:
        self._address = server.host, server.port
        self._negotiate, self._first, self._second, self._tree_connect = sent
        self._is_newest = client.dialect == Dialect.SMB_3_1_1
        self._dialect, self._algorithm = client.dialect, client.signing_algorithm
        self._offer = _token(self._first, SessionSetupRequest)
        challenge = _token(received[1], SessionSetupResponse)
        self._challenge = _place(received[1], challenge)
        answer = _token(self._second, SessionSetupRequest)
        self._answer = _place(self._second, answer)
        self._parsed = Authenticate.parse(answer)
        if len(self._parsed.encrypted_key) != KEY_SIZE:
            raise ConnectionError(f"{server.name} exchanges no session key")
        identity = self._parsed.user.decode("utf-16-le").upper() + self._parsed.domain.decode("utf-16-le")
        self._response_key = hmac_md5(user_hash(server), identity.encode("utf-16-le"))
        self._blob = self._parsed.nt_response[KEY_SIZE:]
        self._time = self._blob[TIME]  # the server's, if it tells one
        self._time_at = challenge.find(self._time)
        self._session_key = client.session_key  # the client chooses it: the same one every time
        if self._prove(challenge, answer) != answer:
            raise ConnectionError(f"what answers {server.name} cannot be computed again")

    def connect(self) -> socket.socket:
        """A new connection with a session and a tree connect.  Raises StatusError and ConnectionError."""
        sock = socket.socket()
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", TIMEOUT_S, 0))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect(self._address)
            self._log_on(sock)
        except BaseException:
            sock.close()
            raise
        return sock

    def _log_on(self, sock: socket.socket) -> None:
        negotiate = bytearray(self._negotiate)
        preauth = PreauthHash()
        if self._is_newest:
            negotiate[CLIENT_GUID] = os.urandom(16)  # smbd would put two connections of one client into one process
        negotiated = _ask(sock, negotiate)
        challenged = _ask(sock, self._first)
        challenge = challenged[self._challenge]
        if not challenge.startswith(NTLMSSP_SIGNATURE):
            raise ConnectionError("the server's challenge is not where it was")
        second = bytearray(self._second)
        second[SESSION_ID] = session_id = challenged[SESSION_ID]
        second[self._answer] = self._prove(challenge, bytes(second[self._answer]))
        if self._is_newest:
            for message in (negotiate, negotiated, self._first, challenged, second):
                preauth.update(message)
        _ask(sock, second)
        tree_connect = bytearray(self._tree_connect)
        tree_connect[SESSION_ID] = session_id
        tree_connect[SIGNATURE] = bytes(16)
        key = channel_signing_key(self._dialect, self._session_key, preauth.value)
        make_signer(self._algorithm, key).sign(tree_connect, from_server=False)
        _ask(sock, tree_connect)

    def _prove(self, challenge: bytes, answer: bytes) -> bytes:
        """The AUTHENTICATE message that goes with a challenge.  [MS-NLMP] 3.1.5.1.2, 3.3.2"""
        proven = bytearray(answer)
        blob, at = self._blob, self._time_at
        if at >= 0:  # smbd looks whether it is the same
            blob = blob.replace(self._time, challenge[at : at + len(self._time)])
        proof = hmac_md5(self._response_key, challenge[SERVER_CHALLENGE] + blob)
        exchange = Cipher(ARC4(hmac_md5(self._response_key, proof)), None).encryptor()
        _write(proven, NT_RESPONSE, proof + blob)
        _write(proven, SESSION_KEY, exchange.update(self._session_key))
        mic_at = self._parsed.mic_at
        if mic_at is not None and self._parsed.mic != bytes(KEY_SIZE):
            proven[mic_at : mic_at + KEY_SIZE] = bytes(KEY_SIZE)
            proven[mic_at : mic_at + KEY_SIZE] = hmac_md5(self._session_key, self._offer + challenge + proven)
        return bytes(proven)


def _token(message: bytes, kind: type[SessionSetupRequest] | type[SessionSetupResponse]) -> bytes:
    """The NTLM message in a SESSION_SETUP: our client sends it bare, and is answered alike."""
    return bytes(security_buffer(message, kind.unpack_from(message, HEADER_SIZE)))


def _place(message: bytes, token: bytes) -> slice:
    at = message.index(token)
    return slice(at, at + len(token))


def _write(message: bytearray, at: int, value: bytes) -> None:
    """Put a value of the same length where a field of an NTLM message points to."""
    (offset,) = struct.unpack_from("<I", message, at + 4)
    message[offset : offset + len(value)] = value


def _ask(sock: socket.socket, message: bytes | bytearray) -> bytes:
    """Send a request; its final response."""
    sock.sendall(len(message).to_bytes(PREFIX, "big") + message)
    while True:
        answer = _receive(sock)
        status = int.from_bytes(answer[STATUS], "little")
        if status in (Status.SUCCESS, Status.MORE_PROCESSING_REQUIRED):
            return answer
        if status != Status.PENDING:
            raise StatusError(status)


def _receive(sock: socket.socket) -> bytes:
    data = sock.recv(RECEIVE_SIZE)
    while data and (len(data) < PREFIX or len(data) < PREFIX + int.from_bytes(data[:PREFIX], "big")):
        more = sock.recv(RECEIVE_SIZE)
        data = data + more if more else b""
    if not data:
        raise ConnectionResetError("the server hung up")
    return data[PREFIX:]
