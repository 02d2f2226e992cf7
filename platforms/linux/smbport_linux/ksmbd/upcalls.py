"""ksmbd's questions, brought to `KernelAnswers`, and the answers in ksmbd's structures.

An answer whose length is not exactly what its structure says is thrown away by the kernel, as if there were none.
A client waits for each of these: what is the same each time is made once, and what need not wait does not.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from struct import pack
from typing import Final

from smbport.kernel import KernelAnswers, KernelLogon, KernelShare, TreeQuestion, Verdict
from smbport.wire.record import BadStructure
from smbport_linux.ksmbd.messages import (
    ACCOUNT_SIZE,
    PIPE_NAMES,
    Command,
    Handle,
    LoginRequest,
    LoginResponse,
    LoginResponseExt,
    LogoutRequest,
    PipeMessage,
    PipeMethod,
    PipeStatus,
    ShareFlag,
    ShareRequest,
    ShareResponse,
    TreeConnectRequest,
    TreeConnectResponse,
    TreeDisconnectRequest,
    TreeFlag,
    UserFlag,
    pack_text,
    parse_text,
)
from smbport_linux.ksmbd.tickets import pack_refusal, pack_ticket, parse_ticket

__all__ = ["Answer", "UpCalls"]

log = logging.getLogger("smbport")

NOT_FORCED: Final = 0xFFFF
ALWAYS: Final = (
    ShareFlag.AVAILABLE | ShareFlag.BROWSABLE | ShareFlag.WRITEABLE | ShareFlag.STORE_DOS_ATTRIBUTES
    | ShareFlag.STREAMS | ShareFlag.CROSS_MOUNTS
)  # fmt: skip
MAX_GROUPS: Final = (0xFFFF - 4 - LoginResponseExt.SIZE) // 4  # that one attribute has room for
MAX_REMEMBERED: Final = 256  # guessed: answers for the question after the next, and shares as they are told
HANDLE_SIZE: Final = Handle.SIZE
IPC_PAYLOAD: Final = b"\0"  # a path is not looked for in pipes, but something must be there

# On the wire all but the first two are ACCESS_DENIED.
TREE_STATUS: Final[Mapping[Verdict, int]] = {
    "granted": 0,
    "no share": 2,
    "denied": 4,
    "too many connections": 7,
    "too many sessions": 8,
}


Answer = bytes | None | Awaitable[bytes]


class UpCalls:
    """One method for each message that the kernel sends."""

    def __init__(self, answers: KernelAnswers, *, has_groups: bool, spnego_size: int) -> None:
        """`has_groups`: this kernel asks for supplementary groups; `spnego_size`: bytes of a refusal of Kerberos."""
        self._answers = answers
        self._has_groups = has_groups
        self._spnego_size = spnego_size
        self._groups: dict[bytes, tuple[int, ...]] = {}  # of who logs on just now, until the kernel asks for them
        self._shares: dict[bytes, tuple[KernelShare, bytes]] = {}  # as they were last told, by the name asked for
        self._methods: Mapping[int, Callable[[bytes], Answer]] = {
            Command.LOGIN: self._log_on,
            Command.LOGIN_EXT: self._find_groups,
            Command.SHARE: self._find_share,
            Command.TREE_CONNECT: self._connect,
            Command.PIPE: self._ask_pipe,
            Command.SPNEGO: self._take_ticket,
            Command.TREE_DISCONNECT: self._disconnect,
            Command.LOGOUT: self._log_off,
            Command.HEARTBEAT: lambda payload: None,
        }

    def answer(self, command: int, payload: bytes) -> Answer:
        """The payload of the message `command` + 1, or what to await for it; None if the kernel wants none.

        BadStructure if the question lies.
        """
        method = self._methods.get(command)
        if method is None:
            raise BadStructure(f"ksmbd asks {command}, which this version does not know")
        return method(payload)

    def rest(self) -> None:
        """No question has come for a moment."""
        self._answers.rest()

    def _disconnect(self, payload: bytes) -> None:
        tree = TreeDisconnectRequest.unpack_from(payload)
        self._answers.disconnect(tree.session_id, tree.tree_id)

    def _log_off(self, payload: bytes) -> None:
        logout = LogoutRequest.unpack_from(payload)
        self._answers.log_off(parse_text(logout.account), bool(logout.account_flags & UserFlag.BAD_PASSWORD))

    def _take_ticket(self, payload: bytes) -> Answer:
        handle, token = parse_ticket(payload)
        return self._judge_ticket(handle, token)

    async def _judge_ticket(self, handle: int, token: bytes) -> bytes:
        """Groups are asked for afterwards, as after any logon."""
        ticket = await self._answers.take_ticket(token)
        if ticket is None:
            return pack_refusal(handle, self._spnego_size)
        return pack_ticket(handle, ticket, self._status(ticket.logon), self._spnego_size)

    def _log_on(self, payload: bytes) -> Answer:
        request = LoginRequest.unpack_from(payload)
        logon = self._answers.log_on(parse_text(request.account))
        if logon is None or isinstance(logon, KernelLogon):
            return self._pack_logon(request, logon)
        return self._log_on_later(request, logon)

    async def _log_on_later(self, request: LoginRequest, logon: Awaitable[KernelLogon | None]) -> bytes:
        return self._pack_logon(request, await logon)

    def _pack_logon(self, request: LoginRequest, logon: KernelLogon | None) -> bytes:
        if logon is None:
            refusal = LoginResponse(
                handle=request.handle, gid=0, uid=0, account=b"", status=UserFlag.BAD_USER, hash_size=0, hash=b""
            )
            return refusal.pack()
        status = self._status(logon)
        if status & UserFlag.EXTENSION:
            if len(self._groups) >= MAX_REMEMBERED:
                self._groups.clear()
            self._groups[request.account] = logon.account.groups
        return LoginResponse(
            handle=request.handle,
            gid=logon.account.gid,
            uid=logon.account.uid,
            account=pack_text(logon.name, ACCOUNT_SIZE),
            status=status,
            hash_size=len(logon.nt_hash),
            hash=logon.nt_hash,
        ).pack()

    def _status(self, logon: KernelLogon) -> int:
        status = UserFlag.OK
        if logon.guest:
            status |= UserFlag.GUEST
        if logon.homeless:
            status |= UserFlag.BAD_UID
        if logon.delay:
            status |= UserFlag.DELAY
        if self._has_groups and not {logon.account.gid}.issuperset(logon.account.groups):
            status |= UserFlag.EXTENSION  # and then it asks once more
        return status

    def _find_groups(self, payload: bytes) -> Answer:
        """Asked right after a logon, about the same account."""
        request = LoginRequest.unpack_from(payload)
        groups = self._groups.pop(request.account, None)
        if groups is not None:
            return _pack_groups(request, groups)
        logon = self._answers.log_on(parse_text(request.account))
        if logon is None or isinstance(logon, KernelLogon):
            return _pack_groups(request, logon.account.groups if logon else ())
        return self._find_groups_later(request, logon)

    async def _find_groups_later(self, request: LoginRequest, logon: Awaitable[KernelLogon | None]) -> bytes:
        found = await logon
        return _pack_groups(request, found.account.groups if found else ())

    def _find_share(self, payload: bytes) -> bytes:
        request = ShareRequest.unpack_from(payload)
        share = self._answers.find_share(parse_text(request.share_name))
        if share is None:
            return _pack_share(request, KernelShare(name="", path=None), 0, b"")
        told, answer = self._shares.get(request.share_name, (None, b""))
        if told is not share:
            answer = _pack_share_found(request, share)
            if len(self._shares) >= MAX_REMEMBERED:
                self._shares.clear()
            self._shares[request.share_name] = share, answer
        return payload[:HANDLE_SIZE] + answer[HANDLE_SIZE:]

    def _connect(self, payload: bytes) -> bytes:
        request = TreeConnectRequest.unpack_from(payload)
        answer = self._answers.connect(
            TreeQuestion(
                session_id=request.session_id,
                tree_id=request.tree_id,
                name=parse_text(request.account),
                guest=bool(request.account_flags & UserFlag.GUEST),
                homeless=bool(request.account_flags & UserFlag.BAD_UID),
                share=parse_text(request.share),
                address=_parse_address(request.address),
            )
        )
        flags = TreeFlag.WRITABLE if answer.writable else TreeFlag.READ_ONLY
        if request.account_flags & UserFlag.GUEST:
            flags |= TreeFlag.GUEST
        if answer.refresh:
            flags |= TreeFlag.UPDATE
        return TreeConnectResponse(
            handle=request.handle, status=TREE_STATUS[answer.verdict], flags=flags if answer.verdict == "granted" else 0
        ).pack()

    def _ask_pipe(self, payload: bytes) -> Answer:
        request = PipeMessage.unpack_from(payload)
        end = PipeMessage.SIZE + request.payload_size
        if end > len(payload):
            raise BadStructure(f"{request.payload_size} bytes for a pipe in {len(payload)}")
        if request.flags & PipeMethod.READ:
            answer = self._answers.read_pipe(request.handle)
            return (
                _pack_pipe(request, PipeStatus.OK, answer)
                if isinstance(answer, bytes)
                else _pack_later(request, answer)
            )
        status, data = self._use_pipe(request.handle, request.flags, payload[PipeMessage.SIZE : end])
        return _pack_pipe(request, status, data)

    def _use_pipe(self, handle: int, flags: int, data: bytes) -> tuple[int, bytes]:
        """What goes wrong inside a pipe is told there: an error status ends the connections of Samba's clients."""
        answers = self._answers
        if flags & PipeMethod.OPEN:
            name = next((name for bit, name in PIPE_NAMES.items() if flags & bit), "")
            opened = answers.open_pipe(handle, name, bool(flags & PipeMethod.RESTRICTED))
            return PipeStatus.OK if opened else PipeStatus.NO_MEMORY, b""
        if flags & PipeMethod.IOCTL:
            return PipeStatus.OK, answers.transceive_pipe(handle, data)
        if flags & PipeMethod.WRITE:
            answers.write_pipe(handle, data)
            return PipeStatus.OK, b""
        if flags & PipeMethod.CLOSE:
            answers.close_pipe(handle)
            return PipeStatus.OK, b""
        return PipeStatus.NOT_IMPLEMENTED, b""


async def _pack_later(request: PipeMessage, answer: Awaitable[bytes]) -> bytes:
    return _pack_pipe(request, PipeStatus.OK, await answer)


def _pack_pipe(request: PipeMessage, status: int, data: bytes) -> bytes:
    return PipeMessage(handle=request.handle, flags=status, payload_size=len(data)).pack() + data


def _pack_groups(request: LoginRequest, groups: tuple[int, ...]) -> bytes:
    if len(groups) > MAX_GROUPS:
        log.warning("%s is in %d groups, of which %d count", parse_text(request.account), len(groups), MAX_GROUPS)
        groups = groups[:MAX_GROUPS]
    head = LoginResponseExt(handle=request.handle, group_count=len(groups)).pack()
    return head + pack(f"<{len(groups)}I", *groups)


def _pack_share_found(request: ShareRequest, share: KernelShare) -> bytes:
    if share.path is None:
        return _pack_share(request, share, ShareFlag.AVAILABLE | ShareFlag.PIPE, IPC_PAYLOAD)
    flags = ALWAYS
    if share.oplocks:
        flags |= ShareFlag.OPLOCKS
    if share.hide_unreadable:
        flags |= ShareFlag.HIDE_UNREADABLE
    return _pack_share(request, share, flags, share.path.encode(errors="surrogateescape") + b"\0")


def _pack_share(request: ShareRequest, share: KernelShare, flags: int, payload: bytes) -> bytes:
    """Modes are told so that kernels with either rule for masks make the same of them.

    Up to 6.12 or later a forced mode stands alone, under the mask; newer ones add it to what the mask leaves.
    """
    file_mode = share.file_mask | share.forced_file_mode
    directory_mode = share.directory_mask | share.forced_directory_mode
    head = ShareResponse(
        handle=request.handle,
        flags=flags,
        create_mask=file_mode,
        directory_mask=directory_mode,
        force_create_mode=file_mode if share.forced_file_mode else 0,
        force_directory_mode=directory_mode if share.forced_directory_mode else 0,
        force_uid=NOT_FORCED if share.uid is None else share.uid,
        force_gid=NOT_FORCED if share.gid is None else share.gid,
        share_name=request.share_name,  # as it was asked for: the kernel compares
        payload_size=len(payload),
        veto_size=0,
    )
    return head.pack() + payload


@lru_cache(MAX_REMEMBERED)
def _parse_address(field: bytes) -> str | None:
    """IPv4 addresses come inside IPv6 ones.  None for the "(einval)" of Linux 6.18 to 7.3."""
    text = parse_text(field)
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
