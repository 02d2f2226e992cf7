"""The answers to create contexts."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from smbport.commands.contexts.request import Contexts
from smbport.commands.contexts.response import maximal_access, response_contexts
from smbport.commands.open_node import Opened
from smbport.platform import Account, FileKey, Kind, Stat
from smbport.wire.constants import Access, ContextTag, CreateAction
from smbport.wire.create_contexts import MaximalAccessResponse, OnDiskIdResponse
from smbport.wire.status import Status
from smbport.wire.text import filetime_from_ns

ROOT = Account("server", 0, 0)
OWNER, MEMBER, JOINED, OTHER = (
    Account("owner", 10, 99), Account("member", 11, 20), Account("joined", 12, 99, (7, 20)), Account("other", 13, 99),
)  # fmt: skip
ALWAYS = Access.READ_ATTRIBUTES | Access.READ_CONTROL | Access.SYNCHRONIZE
OWNS = Access.WRITE_DAC | Access.WRITE_OWNER | Access.WRITE_ATTRIBUTES
READ, WRITE, EXECUTE = Access.FILE_GENERIC_READ, Access.FILE_GENERIC_WRITE, Access.FILE_GENERIC_EXECUTE


def stat_of(mode: int, kind: int = Kind.FILE) -> Stat:
    return Stat(
        key=FileKey(1, 2), kind=kind, size=0, allocated=0, links=1, mode=mode, uid=10, gid=20, access_ns=0,
        write_ns=1_700_000_000_000_000_000, change_ns=0, birth_ns=0, dos_attributes=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("account", "mode", "expected"),
    [
        (ROOT, 0o000, Access.FILE_ALL_ACCESS),
        (OWNER, 0o400, ALWAYS | OWNS | READ),
        (OWNER, 0o077, ALWAYS | OWNS),
        (OWNER, 0o700, ALWAYS | OWNS | READ | WRITE | EXECUTE),
        (MEMBER, 0o020, ALWAYS | WRITE),
        (MEMBER, 0o707, ALWAYS),
        (JOINED, 0o050, ALWAYS | READ | EXECUTE),
        (OTHER, 0o001, ALWAYS | EXECUTE),
        (OTHER, 0o770, ALWAYS),
        (OTHER, 0o006, ALWAYS | READ | WRITE),
    ],
)
def test_permission_bits(account: Account, mode: int, expected: int) -> None:
    assert maximal_access(stat_of(mode), account) == expected


def test_names_in_a_directory_are_deleted_by_who_may_write_it() -> None:
    assert maximal_access(stat_of(0o022, Kind.DIRECTORY), OTHER) & Access.DELETE_CHILD
    assert not maximal_access(stat_of(0o022), OTHER) & Access.DELETE_CHILD
    assert not maximal_access(stat_of(0o555, Kind.DIRECTORY), OTHER) & Access.DELETE_CHILD


def answers(share: Any, contexts: Contexts, *, granted: int = Access.READ_ATTRIBUTES) -> dict[bytes, bytes]:
    if "f" not in share.names():
        share.make("f")
    joined = share.open("f", granted)
    opened = Opened("f", joined.node, joined.node.stat(), CreateAction.OPENED, granted)
    return dict(response_contexts(joined, opened, contexts))


def maximal(share: Any, **keywords: int) -> tuple[int, int]:
    found = answers(share, Contexts(maximal_access=True), **keywords)
    assert set(found) == {ContextTag.MAXIMAL_ACCESS}
    response = MaximalAccessResponse.unpack_from(found[ContextTag.MAXIMAL_ACCESS])
    return response.query_status, response.maximal_access


def test_only_what_was_asked_is_answered(share: Any) -> None:
    assert answers(share, Contexts(allocation_size=5)) == {}
    both = answers(share, Contexts(maximal_access=True, on_disk_id=True))
    assert list(both) == [ContextTag.MAXIMAL_ACCESS, ContextTag.ON_DISK_ID]


def test_maximal_access_is_within_the_share(new_share: Callable[..., Any]) -> None:
    assert maximal(new_share()) == (Status.SUCCESS, Access.FILE_ALL_ACCESS)
    readable = READ | EXECUTE
    assert maximal(new_share(read_only=True)) == (Status.SUCCESS, readable)


def test_what_was_granted_is_always_in_it(share: Any) -> None:
    share.tree.account = OTHER
    share.make("f", mode=0o600)
    assert maximal(share)[1] == ALWAYS
    assert maximal(share, granted=Access.READ_DATA)[1] == ALWAYS | Access.READ_DATA


def test_maximal_access_since_the_last_change(share: Any) -> None:
    """A client that knows the answer of this state of the file is not told again.  [MS-SMB2] 3.3.5.9.5"""
    share.make("f")
    changed = filetime_from_ns(share.volume.stat("f").write_ns)
    known = Contexts(maximal_access=True, maximal_access_since=changed)
    response = MaximalAccessResponse.unpack_from(answers(share, known)[ContextTag.MAXIMAL_ACCESS])
    assert (response.query_status, response.maximal_access) == (Status.NONE_MAPPED, 0)
    older = replace(known, maximal_access_since=changed - 1)
    response = MaximalAccessResponse.unpack_from(answers(share, older)[ContextTag.MAXIMAL_ACCESS])
    assert response.query_status == Status.SUCCESS


def test_on_disk_id(share: Any) -> None:
    found = answers(share, Contexts(on_disk_id=True))[ContextTag.ON_DISK_ID]
    response = OnDiskIdResponse.unpack_from(found)
    assert response.disk_file_id == share.volume.stat("f").key.inode
    assert response.volume_id == share.volume.features.serial
    assert len(found) == 32
