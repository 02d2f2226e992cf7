"""Times that stand still."""

import pytest

from smbport.platform import FileKey, Kind, Stat
from smbport.state.frozen_times import FrozenTimes


def stat(access_ns: int, write_ns: int, change_ns: int = 0) -> Stat:
    return Stat(
        key=FileKey(1, 2), kind=Kind.FILE, size=0, allocated=0, links=1, mode=0o644, uid=0, gid=0,
        access_ns=access_ns, write_ns=write_ns, change_ns=change_ns, birth_ns=0, dos_attributes=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("access", "write", "put_back"), [(True, True, (1, 2)), (True, False, (1, None)), (False, True, (None, 2))]
)
def test_only_those_that_stand_are_put_back(access: bool, write: bool, put_back: tuple[int | None, int | None]) -> None:
    frozen = FrozenTimes(access=access, write=write, change=False)
    frozen.begin(stat(1, 2, 3))
    assert frozen.end() == put_back
    assert frozen.change_ns == 3


def test_operations_at_once_put_back_what_was_before_the_first() -> None:
    frozen = FrozenTimes(access=True, write=True, change=True)
    frozen.begin(stat(1, 2))
    frozen.begin(stat(10, 20))
    assert frozen.end() == frozen.end() == (1, 2)


def test_each_operation_looks_anew() -> None:
    frozen = FrozenTimes(access=True, write=True, change=True)
    frozen.begin(stat(1, 2))
    frozen.end()
    frozen.begin(stat(10, 20))
    assert frozen.end() == (10, 20)
