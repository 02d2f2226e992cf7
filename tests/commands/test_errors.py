"""errno to NTSTATUS."""

import errno

import pytest

from smbport.commands import errors
from smbport.commands.errors import status_of_error
from smbport.wire.constants import Command
from smbport.wire.status import Status, status_name

COMMANDS = [value for key, value in vars(Command).items() if key.isupper()]

# What a client must be told, whatever it asked for.  Guessing wrong here makes clients retry, or lose data.
EXPECTED = {
    errno.ENOENT: Status.OBJECT_NAME_NOT_FOUND,
    errno.EEXIST: Status.OBJECT_NAME_COLLISION,
    errno.EACCES: Status.ACCESS_DENIED,
    errno.EPERM: Status.ACCESS_DENIED,
    errno.ENOTEMPTY: Status.DIRECTORY_NOT_EMPTY,
    errno.EROFS: Status.MEDIA_WRITE_PROTECTED,
    errno.ENOSPC: Status.DISK_FULL,
    errno.EDQUOT: Status.DISK_FULL,
    errno.EMFILE: Status.TOO_MANY_OPENED_FILES,
    errno.ENFILE: Status.TOO_MANY_OPENED_FILES,
    errno.E2BIG: Status.NOT_SUPPORTED,
    errno.EBADMSG: Status.FILE_CORRUPT_ERROR,
    errno.ENOMEM: Status.INSUFFICIENT_RESOURCES,
    errno.ENODEV: Status.NO_SUCH_DEVICE,
    errno.ESTALE: Status.FILE_CLOSED,
    errno.ETIMEDOUT: Status.IO_TIMEOUT,
    errno.ENOTSUP: Status.NOT_SUPPORTED,
    errno.ENOSYS: Status.NOT_SUPPORTED,
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("number", "status"), EXPECTED.items(), ids=[errno.errorcode[number] for number in EXPECTED])
def test_the_same_for_every_command(command: int, number: int, status: int) -> None:
    assert status_name(status_of_error(command, OSError(number, "text"))) == status_name(status)


def test_a_flush_that_fails_is_told_apart_from_a_read_that_fails() -> None:
    failure = OSError(errno.EIO, "text")
    assert status_of_error(Command.FLUSH, failure) == Status.DISK_OPERATION_FAILED
    assert status_of_error(Command.READ, failure) == Status.UNEXPECTED_IO_ERROR


def test_leaving_the_share_and_leaving_the_device_are_told_apart() -> None:
    """A link out of the share is met by name; only a rename can be told that it crosses file systems."""
    failure = OSError(errno.EXDEV, "text")
    assert status_of_error(Command.CREATE, failure) == Status.ACCESS_DENIED
    assert status_of_error(Command.SET_INFO, failure) == Status.NOT_SAME_DEVICE


@pytest.mark.parametrize("number", [None, 0, 999_999])
def test_an_unknown_errno_is_a_failure_all_the_same(number: int | None) -> None:
    error = OSError("no number") if number is None else OSError(number, "text")
    assert status_of_error(Command.CREATE, error) == Status.UNSUCCESSFUL


def test_no_error_becomes_a_success() -> None:
    """Every status of the tables is an error by its two top bits.  [MS-ERREF] 2.3"""
    for status in (*errors._BY_ERRNO.values(), *errors._BY_COMMAND.values()):
        assert status >> 30 == 3
