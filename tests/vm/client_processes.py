"""Processes and errors, for what runs in the guest."""

import errno
import os
import time
from collections.abc import Callable

POLL_S = 0.02


def start_child(function: Callable[..., None], *arguments: object) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        function(*arguments)
        status = 0
    finally:
        os._exit(status)


def exit_status(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def until(condition: Callable[[], bool]) -> None:
    """The kernel does not tell, so ask again and again; the host's time-out ends what never comes."""
    while not condition():
        time.sleep(POLL_S)


def error_of(call: Callable[[], object]) -> str:
    """The name of the error; "" for none."""
    try:
        call()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return ""
