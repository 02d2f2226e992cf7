"""From `OSError` to NTSTATUS: one table by errno, and a few operations where the same errno means another thing."""

import errno
from typing import Final

from smbport.wire.constants import Command
from smbport.wire.status import Status

__all__ = ["status_of_error"]

_BY_ERRNO: Final[dict[int, int]] = {
    errno.ENOENT: Status.OBJECT_NAME_NOT_FOUND,
    errno.ENOTDIR: Status.OBJECT_PATH_NOT_FOUND,
    errno.EEXIST: Status.OBJECT_NAME_COLLISION,
    errno.EACCES: Status.ACCESS_DENIED,
    errno.EPERM: Status.ACCESS_DENIED,
    # A link that leaves the share: the same answer whether or not its target exists.
    errno.EXDEV: Status.ACCESS_DENIED,
    errno.ELOOP: Status.ACCESS_DENIED,
    errno.EMLINK: Status.TOO_MANY_LINKS,
    errno.EISDIR: Status.FILE_IS_A_DIRECTORY,
    errno.ENOTEMPTY: Status.DIRECTORY_NOT_EMPTY,
    errno.ENAMETOOLONG: Status.OBJECT_NAME_INVALID,
    errno.EILSEQ: Status.OBJECT_NAME_INVALID,
    errno.EROFS: Status.MEDIA_WRITE_PROTECTED,
    errno.ENOSPC: Status.DISK_FULL,
    errno.EDQUOT: Status.DISK_FULL,  # Windows reports a user's quota as a full disk
    errno.EFBIG: Status.DISK_FULL,
    errno.EMFILE: Status.TOO_MANY_OPENED_FILES,
    errno.ENFILE: Status.TOO_MANY_OPENED_FILES,
    errno.E2BIG: Status.NOT_SUPPORTED,  # an access control list, or a descriptor, of more than can be stored
    errno.ENOMEM: Status.INSUFFICIENT_RESOURCES,
    errno.ENOBUFS: Status.INSUFFICIENT_RESOURCES,
    errno.EINVAL: Status.INVALID_PARAMETER,
    errno.ENXIO: Status.ACCESS_DENIED,  # neither file nor directory
    errno.ENODEV: Status.NO_SUCH_DEVICE,
    errno.ESTALE: Status.FILE_CLOSED,
    errno.EBADF: Status.FILE_CLOSED,
    errno.EBUSY: Status.SHARING_VIOLATION,
    errno.ETXTBSY: Status.SHARING_VIOLATION,
    errno.EIO: Status.UNEXPECTED_IO_ERROR,
    errno.EBADMSG: Status.FILE_CORRUPT_ERROR,  # a checksum did not match
    errno.ENOTSUP: Status.NOT_SUPPORTED,
    errno.EOPNOTSUPP: Status.NOT_SUPPORTED,  # another number than ENOTSUP on QNX
    errno.ENOSYS: Status.NOT_SUPPORTED,
    errno.ETIMEDOUT: Status.IO_TIMEOUT,
}

_BY_COMMAND: Final[dict[tuple[int, int], int]] = {
    (Command.CREATE, errno.EISDIR): Status.FILE_IS_A_DIRECTORY,
    (Command.FLUSH, errno.EIO): Status.DISK_OPERATION_FAILED,
    (Command.SET_INFO, errno.EXDEV): Status.NOT_SAME_DEVICE,
    (Command.SET_INFO, errno.ENOTDIR): Status.OBJECT_PATH_NOT_FOUND,
}


def status_of_error(command: int, error: OSError) -> int:
    """The NTSTATUS for an error of the platform while `command` ran; UNSUCCESSFUL for an unknown errno."""
    number = error.errno or 0
    return _BY_COMMAND.get((command, number)) or _BY_ERRNO.get(number, Status.UNSUCCESSFUL)
