"""smbport_linux.ksmbd.upcalls: bytes of questions to calls, answers to bytes of exactly the right length."""

from dataclasses import replace
from struct import pack, unpack_from

import pytest

from smbport.kernel import KernelShare, TreeAnswer, TreeQuestion
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
from smbport_linux.ksmbd.upcalls import UpCalls


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


async def test_a_user(upcalls, answers):
    packed = await upcalls.answer(Command.LOGIN, login("tëster".encode()))
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
async def test_what_is_said_of_a_user(upcalls, answers, changes, status):
    answers.user = replace(answers.user, **changes)
    answer = LoginResponse.unpack_from(await upcalls.answer(Command.LOGIN, login(b"x")))
    assert answer.status == status
    assert answer.hash_size == len(answers.user.nt_hash)


async def test_kernels_that_do_not_ask_for_groups(answers):
    upcalls = UpCalls(answers, has_groups=False, spnego_size=156)
    assert LoginResponse.unpack_from(await upcalls.answer(Command.LOGIN, login(b"x"))).status == 1


async def test_nobody(upcalls, answers):
    answers.user = None
    packed = await upcalls.answer(Command.LOGIN, login(b"x"))
    assert packed == pack("<I", 9) + bytes(56) + pack("<H", 8) + bytes(86)
    assert await upcalls.answer(Command.LOGIN_EXT, login(b"x")) == pack("<Ii", 9, 0) + bytes(128)


@pytest.mark.parametrize(("count", "told"), [(2, 2), (1000, 1000), (20000, 16348)])
async def test_groups(upcalls, answers, count, told):
    answers.user = replace(answers.user, account=Account("x", 1, 1, tuple(range(count))))
    packed = await upcalls.answer(Command.LOGIN_EXT, login(b"x"))
    assert LoginResponseExt.unpack_from(packed).group_count == told
    assert len(packed) == 136 + 4 * told <= 0xFFFF - 4
    assert unpack_from(f"<{told}I", packed, 136) == tuple(range(told))


@pytest.mark.parametrize(("flags", "failed"), [(1, False), (67, True)])
async def test_the_end_of_a_session(upcalls, answers, flags, failed):
    assert await upcalls.answer(Command.LOGOUT, pack("<48sI64x", b"tester", flags)) is None
    assert answers.asked == [("log_off", "tester", failed)]


@pytest.mark.parametrize("size", [156, 168])
async def test_kerberos_is_refused(answers, size):
    upcalls = UpCalls(answers, has_groups=True, spnego_size=size)
    assert await upcalls.answer(Command.SPNEGO, pack("<IH", 8, 2) + b"ab\0") == pack("<I", 8) + bytes(size - 4)


# Shares


async def test_a_share(upcalls, answers):
    packed = await upcalls.answer(Command.SHARE, share_request())
    answer = ShareResponse.unpack_from(packed)
    path = "/srv/dätä".encode() + b"\0"
    assert packed[536:] == path
    assert (answer.handle, answer.payload_size, answer.veto_size) == (3, len(path), 0)
    assert answer.share_name.rstrip(b"\0") == b"data"
    assert (answer.force_uid, answer.force_gid) == (0xFFFF, 0xFFFF)
    assert answer.flags == 1 | 2 | 4 | 64 | 2048 | 32768


def mode_of_newer_kernels(mask, force):
    return mask | force


def mode_of_older_kernels(mask, force):
    return force & mask if force else mask


@pytest.mark.parametrize(("mask", "force", "mode"), [(0o644, 0, 0o644), (0o640, 0o020, 0o660), (0, 0o600, 0o600)])
@pytest.mark.parametrize("kernel", [mode_of_newer_kernels, mode_of_older_kernels])
async def test_both_rules_for_modes_come_to_the_same(upcalls, answers, mask, force, mode, kernel):
    answers.share = replace(
        answers.share, file_mask=mask, forced_file_mode=force, directory_mask=mask, forced_directory_mode=force
    )
    answer = ShareResponse.unpack_from(await upcalls.answer(Command.SHARE, share_request()))
    assert kernel(answer.create_mask, answer.force_create_mode) == mode
    assert kernel(answer.directory_mask, answer.force_directory_mode) == mode


async def test_what_is_said_of_a_share(upcalls, answers):
    answers.share = replace(answers.share, uid=0, gid=65534, oplocks=True, hide_unreadable=True)
    answer = ShareResponse.unpack_from(await upcalls.answer(Command.SHARE, share_request()))
    assert (answer.force_uid, answer.force_gid) == (0, 65534)
    assert answer.flags & (128 | 131072) == 128 | 131072


async def test_the_share_of_pipes(upcalls, answers):
    answers.share = KernelShare(name="IPC$", path=None)
    packed = await upcalls.answer(Command.SHARE, share_request(b"ipc$"))
    assert (len(packed), ShareResponse.unpack_from(packed).flags) == (537, 1 | 256)


async def test_no_such_share(upcalls, answers):
    answers.share = None
    packed = await upcalls.answer(Command.SHARE, share_request())
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
async def test_connecting(upcalls, answers, address, told):
    packed = await upcalls.answer(Command.TREE_CONNECT, tree_request(address=address))
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
async def test_verdicts(upcalls, answers, answer, account, status, flags):
    answers.tree = answer
    packed = await upcalls.answer(Command.TREE_CONNECT, tree_request(account))
    told = TreeConnectResponse.unpack_from(packed)
    assert (len(packed), told.status, told.flags) == (72, status, flags)


async def test_what_came_back_of_the_user(upcalls, answers):
    await upcalls.answer(Command.TREE_CONNECT, tree_request(1 | 4 | 16, account=b""))
    question = answers.asked[0][1]
    assert (question.name, question.guest, question.homeless) == ("", True, True)


async def test_disconnecting(upcalls, answers):
    assert await upcalls.answer(Command.TREE_DISCONNECT, pack("<QQ64x", 1, 2)) is None
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
async def test_pipes(upcalls, answers, flags, data, asked, answered):
    packed = await upcalls.answer(Command.PIPE, pipe_request(flags, data))
    assert packed == pack("<III", 5, 0, len(answered)) + answered
    assert answers.asked == [asked]


async def test_one_byte_more_than_the_kernel_says(upcalls, answers):
    await upcalls.answer(Command.PIPE, pipe_request(0x22, b"ab\0", size=2))
    assert answers.asked == [("write_pipe", 5, b"ab")]


async def test_too_many_pipes(upcalls, answers, monkeypatch):
    monkeypatch.setattr(answers, "open_pipe", lambda *_: False, raising=False)
    assert PipeMessage.unpack_from(await upcalls.answer(Command.PIPE, pipe_request(0x12))).flags == 8


async def test_a_method_that_is_not_known(upcalls, answers):
    assert PipeMessage.unpack_from(await upcalls.answer(Command.PIPE, pipe_request(0x02))).flags == 0x40
    assert answers.asked == []


# Lies


async def test_a_heartbeat_wants_no_answer(upcalls, answers):
    assert await upcalls.answer(Command.HEARTBEAT, bytes(4)) is None
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
        (Command.SPNEGO, b"abc"),
        (99, bytes(4)),
        (0, b""),
    ],
)
async def test_what_lies_is_not_believed(upcalls, answers, command, payload):
    with pytest.raises(BadStructure):
        await upcalls.answer(command, payload)
    assert answers.asked == []
