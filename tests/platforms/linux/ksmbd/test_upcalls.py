"""smbport_linux.ksmbd.upcalls: bytes of questions to calls, answers to bytes of exactly the right length."""

from dataclasses import replace
from struct import pack, unpack_from

import pytest
import trio

from smbport.kernel import KernelShare, KernelTicket, TreeAnswer, TreeQuestion
from smbport.platform import Account
from smbport.wire.record import BadStructure
from smbport_linux.ksmbd.messages import (
    Command,
    LoginResponse,
    LoginResponseExt,
    PipeMessage,
    ShareResponse,
    TreeConnectResponse,
)
from smbport_linux.ksmbd.upcalls import MAX_REMEMBERED, UpCalls


@pytest.fixture
def upcalls(answers):
    return UpCalls(answers, has_groups=True, spnego_size=156)


def login(name, handle=9):
    return pack("<I48s64x", handle, name)


def share_request(name=b"data"):
    return pack("<I64s64x", 3, name)


def tree_request(flags=1, address=b"0000:0000:0000:0000:0000:ffff:0a00:0202", account=b"tester", share=b"data"):
    return pack("<IHHQQ48s64s64s64x", 4, flags, 3, 11, 12, account, share, address)


def pipe_request(flags, data=b"", size=None):
    return pack("<III", 5, flags, len(data) if size is None else size) + data


# Users


def test_a_user(upcalls, answers):
    packed = upcalls.answer(Command.LOGIN, login("tëster".encode()))
    answer = LoginResponse.unpack_from(packed)
    assert len(packed) == 148
    assert answers.asked == [("log_on", "tëster")]
    assert (answer.handle, answer.uid, answer.gid, answer.status) == (9, 1999, 100, 1 | 64)
    assert (answer.account.rstrip(b"\0"), answer.hash_size, answer.hash[:16]) == (b"tester", 16, bytes(range(16)))


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"guest": True, "nt_hash": b""}, 1 | 16 | 64),
        ({"homeless": True, "account": Account("nobody", 65534, 65534)}, 1 | 4),
        ({"delay": True}, 1 | 32 | 64),
        ({"account": Account("x", 1, 1)}, 1),
        ({"account": Account("x", 1, 7, (7,))}, 1),  # the kernel need not ask for more
    ],
)
def test_what_is_said_of_a_user(upcalls, answers, changes, status):
    answers.user = replace(answers.user, **changes)
    answer = LoginResponse.unpack_from(upcalls.answer(Command.LOGIN, login(b"x")))
    assert answer.status == status
    assert answer.hash_size == len(answers.user.nt_hash)


def test_kernels_that_do_not_ask_for_groups(answers):
    upcalls = UpCalls(answers, has_groups=False, spnego_size=156)
    assert LoginResponse.unpack_from(upcalls.answer(Command.LOGIN, login(b"x"))).status == 1


def test_nobody(upcalls, answers):
    answers.user = None
    packed = upcalls.answer(Command.LOGIN, login(b"x"))
    assert packed == pack("<I", 9) + bytes(56) + pack("<H", 8) + bytes(86)
    assert upcalls.answer(Command.LOGIN_EXT, login(b"x")) == pack("<Ii", 9, 0) + bytes(128)


@pytest.mark.parametrize(("count", "told"), [(2, 2), (1000, 1000), (20000, 16348)])
def test_groups(upcalls, answers, count, told):
    answers.user = replace(answers.user, account=Account("x", 1, 1, tuple(range(count))))
    packed = upcalls.answer(Command.LOGIN_EXT, login(b"x"))
    assert LoginResponseExt.unpack_from(packed).group_count == told
    assert len(packed) == 136 + 4 * told <= 0xFFFF - 4
    assert unpack_from(f"<{told}I", packed, 136) == tuple(range(told))


def test_groups_are_those_of_the_logon_just_before(upcalls, answers):
    upcalls.answer(Command.LOGIN, login(b"tester"))
    assert LoginResponseExt.unpack_from(upcalls.answer(Command.LOGIN_EXT, login(b"tester"))).group_count == 2
    assert answers.asked == [("log_on", "tester")]
    upcalls.answer(Command.LOGIN_EXT, login(b"tester"))
    assert answers.asked == [("log_on", "tester")] * 2


async def test_answers_that_have_to_wait(upcalls, answers):
    user = answers.user

    async def log_on(name):
        await trio.lowlevel.checkpoint()
        return user

    packed = {command: upcalls.answer(command, login(b"x")) for command in (Command.LOGIN, Command.LOGIN_EXT)}
    answers.log_on = log_on
    for command in (Command.LOGIN_EXT, Command.LOGIN):  # in this order, because a logon brings the groups with it
        assert await upcalls.answer(command, login(b"x")) == packed[command]


def test_what_is_remembered_of_questions_is_bounded(upcalls, answers):
    for number in range(MAX_REMEMBERED + 1):
        upcalls.answer(Command.LOGIN, login(b"%d" % number))
        upcalls.answer(Command.SHARE, share_request(b"%d" % number))
    assert (len(upcalls._groups), len(upcalls._shares)) == (1, 1)


@pytest.mark.parametrize(("flags", "failed"), [(1, False), (67, True)])
def test_the_end_of_a_session(upcalls, answers, flags, failed):
    assert upcalls.answer(Command.LOGOUT, pack("<48sI64x", b"tester", flags)) is None
    assert answers.asked == [("log_off", "tester", failed)]


@pytest.mark.parametrize("size", [156, 168])
async def test_a_ticket_that_is_refused(answers, size):
    upcalls = UpCalls(answers, has_groups=True, spnego_size=size)
    assert await upcalls.answer(Command.SPNEGO, pack("<IH", 8, 2) + b"ab\0") == pack("<I", 8) + bytes(size - 4)
    assert answers.asked == [("take_ticket", b"ab")]


async def test_a_ticket(upcalls, answers):
    logon = replace(answers.user, nt_hash=b"")
    answers.ticket = KernelTicket(logon=logon, token=b"token", session_key=bytes(16), expires_ns=None)
    packed = await upcalls.answer(Command.SPNEGO, pack("<IH", 8, 2) + b"ab\0")
    assert packed[:4] == pack("<I", 8)
    assert LoginResponse.unpack_from(packed, 4).status == 1 | 64  # and groups are asked for next


# Shares


def test_a_share(upcalls, answers):
    packed = upcalls.answer(Command.SHARE, share_request())
    answer = ShareResponse.unpack_from(packed)
    path = "/srv/dätä".encode() + b"\0"
    assert packed[536:] == path
    assert (answer.handle, answer.payload_size, answer.veto_size) == (3, len(path), 0)
    assert answer.share_name.rstrip(b"\0") == b"data"
    assert (answer.force_uid, answer.force_gid) == (0xFFFF, 0xFFFF)
    assert answer.flags == 1 | 2 | 4 | 64 | 2048 | 32768


def test_the_same_share_again(upcalls, answers):
    first = upcalls.answer(Command.SHARE, share_request())
    again = upcalls.answer(Command.SHARE, b"\x07" + share_request()[1:])
    assert (again[0], again[1:]) == (7, first[1:])
    answers.share = replace(answers.share, oplocks=True)
    assert ShareResponse.unpack_from(upcalls.answer(Command.SHARE, share_request())).flags & 128


def mode_of_newer_kernels(mask, force):
    return mask | force


def mode_of_older_kernels(mask, force):
    return force & mask if force else mask


@pytest.mark.parametrize(("mask", "force", "mode"), [(0o644, 0, 0o644), (0o640, 0o020, 0o660), (0, 0o600, 0o600)])
@pytest.mark.parametrize("kernel", [mode_of_newer_kernels, mode_of_older_kernels])
def test_both_rules_for_modes_come_to_the_same(upcalls, answers, mask, force, mode, kernel):
    answers.share = replace(
        answers.share, file_mask=mask, forced_file_mode=force, directory_mask=mask, forced_directory_mode=force
    )
    answer = ShareResponse.unpack_from(upcalls.answer(Command.SHARE, share_request()))
    assert kernel(answer.create_mask, answer.force_create_mode) == mode
    assert kernel(answer.directory_mask, answer.force_directory_mode) == mode


def test_what_is_said_of_a_share(upcalls, answers):
    answers.share = replace(answers.share, uid=0, gid=65534, oplocks=True, hide_unreadable=True)
    answer = ShareResponse.unpack_from(upcalls.answer(Command.SHARE, share_request()))
    assert (answer.force_uid, answer.force_gid) == (0, 65534)
    assert answer.flags & (128 | 131072) == 128 | 131072


def test_the_share_of_pipes(upcalls, answers):
    answers.share = KernelShare(name="IPC$", path=None)
    packed = upcalls.answer(Command.SHARE, share_request(b"ipc$"))
    assert (len(packed), ShareResponse.unpack_from(packed).flags) == (537, 1 | 256)


def test_no_such_share(upcalls, answers):
    answers.share = None
    packed = upcalls.answer(Command.SHARE, share_request())
    assert (len(packed), ShareResponse.unpack_from(packed).flags) == (536, 0)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        (b"0000:0000:0000:0000:0000:ffff:0a00:0202", "10.0.2.2"),
        (b"192.0.2.1", "192.0.2.1"),
        (b"2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
        (b"(einval)", None),
        (b"", None),
    ],
)
def test_connecting(upcalls, answers, address, told):
    packed = upcalls.answer(Command.TREE_CONNECT, tree_request(address=address))
    assert packed == pack("<IHH", 4, 0, 4) + bytes(64)
    question = TreeQuestion(
        session_id=11, tree_id=12, name="tester", guest=False, homeless=False, share="data", address=told
    )
    assert answers.asked == [("connect", question)]


@pytest.mark.parametrize(
    ("answer", "account", "status", "flags"),
    [
        (TreeAnswer("granted"), 1, 0, 2),
        (TreeAnswer("granted", writable=True, refresh=True), 1 | 16, 0, 4 | 16 | 1),
        (TreeAnswer("no share"), 1, 2, 0),
        (TreeAnswer("denied", writable=True), 1 | 16, 4, 0),
        (TreeAnswer("too many connections"), 1, 7, 0),
        (TreeAnswer("too many sessions"), 1, 8, 0),
    ],
)
def test_verdicts(upcalls, answers, answer, account, status, flags):
    answers.tree = answer
    packed = upcalls.answer(Command.TREE_CONNECT, tree_request(account))
    told = TreeConnectResponse.unpack_from(packed)
    assert (len(packed), told.status, told.flags) == (72, status, flags)


def test_what_came_back_of_the_user(upcalls, answers):
    upcalls.answer(Command.TREE_CONNECT, tree_request(1 | 4 | 16, account=b""))
    question = answers.asked[0][1]
    assert (question.name, question.guest, question.homeless) == ("", True, True)


def test_disconnecting(upcalls, answers):
    assert upcalls.answer(Command.TREE_DISCONNECT, pack("<QQ64x", 1, 2)) is None
    assert answers.asked == [("disconnect", 1, 2)]


# Pipes


@pytest.mark.parametrize(
    ("flags", "data", "asked", "answered"),
    [
        (0x12, b"", ("open_pipe", 5, "srvsvc", False), b""),
        (0x14 | 512, b"", ("open_pipe", 5, "wkssvc", True), b""),
        (0x410, b"", ("open_pipe", 5, "samr", False), b""),
        (0x810, b"", ("open_pipe", 5, "lsarpc", False), b""),
        (0x110, b"", ("open_pipe", 5, "", False), b""),
        (0x0B, b"request", ("transceive_pipe", 5, b"request"), b"answer"),
        (0x43, b"", ("read_pipe", 5), b"answer"),
        (0x22, b"request", ("write_pipe", 5, b"request"), b""),
        (0x80, b"", ("close_pipe", 5), b""),
    ],
)
def test_pipes(upcalls, answers, flags, data, asked, answered):
    packed = upcalls.answer(Command.PIPE, pipe_request(flags, data))
    assert packed == pack("<III", 5, 0, len(answered)) + answered
    assert answers.asked == [asked]


def test_one_byte_more_than_the_kernel_says(upcalls, answers):
    upcalls.answer(Command.PIPE, pipe_request(0x22, b"ab\0", size=2))
    assert answers.asked == [("write_pipe", 5, b"ab")]


async def test_an_answer_of_a_pipe_that_has_to_be_waited_for(upcalls, answers, monkeypatch):
    async def read_pipe(handle):
        return b"late"

    monkeypatch.setattr(answers, "read_pipe", read_pipe, raising=False)
    packed = await upcalls.answer(Command.PIPE, pipe_request(0x43))
    assert packed == pack("<III", 5, 0, 4) + b"late"


def test_too_many_pipes(upcalls, answers, monkeypatch):
    monkeypatch.setattr(answers, "open_pipe", lambda *_: False, raising=False)
    assert PipeMessage.unpack_from(upcalls.answer(Command.PIPE, pipe_request(0x12))).flags == 8


def test_a_method_that_is_not_known(upcalls, answers):
    assert PipeMessage.unpack_from(upcalls.answer(Command.PIPE, pipe_request(0x02))).flags == 0x40
    assert answers.asked == []


# Lies


def test_a_heartbeat_wants_no_answer(upcalls, answers):
    assert upcalls.answer(Command.HEARTBEAT, bytes(4)) is None
    assert answers.asked == []


@pytest.mark.parametrize(
    ("command", "payload"),
    [
        (Command.LOGIN, b""),
        (Command.LOGIN, login(b"")[:-1]),
        (Command.LOGIN, login(b"x" * 48)),
        (Command.LOGIN, login(b"\xff")),
        (Command.LOGIN_EXT, bytes(115)),
        (Command.SHARE, share_request(b"y" * 64)),
        (Command.SHARE, bytes(131)),
        (Command.TREE_CONNECT, tree_request()[:-1]),
        (Command.TREE_CONNECT, tree_request(share=b"z" * 64)),
        (Command.TREE_CONNECT, tree_request(address=b"z" * 64)),
        (Command.TREE_DISCONNECT, bytes(79)),
        (Command.LOGOUT, bytes(115)),
        (Command.PIPE, bytes(11)),
        (Command.PIPE, pipe_request(0x22, b"ab", size=3)),
        (Command.PIPE, pipe_request(0x22, b"ab", size=0xFFFFFFFF)),
        (Command.SPNEGO, b"abcde"),
        (Command.SPNEGO, pack("<IH", 1, 3) + b"ab"),
        (99, bytes(4)),
        (0, b""),
    ],
)
def test_what_lies_is_not_believed(upcalls, answers, command, payload):
    with pytest.raises(BadStructure):
        upcalls.answer(command, payload)
    assert answers.asked == []
