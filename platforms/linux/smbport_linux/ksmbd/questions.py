"""ksmbd's questions, answered one after the other in the order in which they were asked.

A client waits for each of them, so they come through little code, and that is compiled: see `hatch_build.py`.
"""

import errno
import logging
import os
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final, Protocol

from smbport.wire.record import BadStructure
from smbport_linux.ksmbd.netlink import NLMSG_ERROR, Message
from smbport_linux.ksmbd.upcalls import Answer, UpCalls

__all__ = ["MAX_BURST_S", "Questions", "Source", "log_fault"]

log = logging.getLogger("smbport")

MAX_BURST_S: Final = 0.2  # guessed: of questions, one after the other, until signals and other tasks have their turn


class Source(Protocol):
    """Where questions come from and answers go: `netlink.Channel`."""

    def receive(self, linger: bool) -> list[Message] | None: ...

    def send(self, command: int, payload: bytes) -> None: ...


class Questions:
    """What ksmbd asks, and what it says of commands."""

    def __init__(
        self,
        source: Source,
        upcalls: UpCalls,
        answer_later: Callable[[Message, Awaitable[bytes]], None],
        take_outcome: Callable[[Message], bool],
    ) -> None:
        """`answer_later` takes what has to wait for the system; `take_outcome` says whether it knows that command."""
        self.lingers = True  # while nothing else needs this thread
        self._source = source
        self._upcalls = upcalls
        self._answer_later = answer_later
        self._take_outcome = take_outcome

    def answer_while_asked(self) -> None:
        """A question seldom comes alone, and to wait for the next one by way of trio takes longer than to answer it.

        So this thread lingers, if it may.
        """
        end = monotonic() + MAX_BURST_S
        try:
            while True:
                messages = self._receive()
                if messages is None:
                    return
                for message in messages:
                    if message.type == NLMSG_ERROR:
                        self._take_error(message)
                    else:
                        self._answer(message)
                if monotonic() >= end:
                    return
        finally:
            self._upcalls.rest()

    def _receive(self) -> list[Message] | None:
        try:
            return self._source.receive(self.lingers)
        except BadStructure as lie:  # not `error` as well: compiled code has one type for each name
            log.warning("a netlink message cannot be understood: %s", lie)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            log.warning("ksmbd asked more at once than there was room for; some clients are refused")
        return []

    def _take_error(self, message: Message) -> None:
        if not self._take_outcome(message) and message.error:
            log.warning("ksmbd does not take an answer: %s", os.strerror(message.error))

    def _answer(self, message: Message) -> None:
        answer: Answer = None
        try:
            answer = self._upcalls.answer(message.command, message.attributes.get(message.command, b""))
        except Exception as error:  # noqa: BLE001 - a fault of ours costs this answer, not the server
            log_fault(message, error)
        if isinstance(answer, bytes):
            self._source.send(message.command + 1, answer)
        elif answer is not None:
            self._answer_later(message, answer)


def log_fault(message: Message, error: Exception) -> None:
    """Why a question was not answered.  Questions hold no secrets: passwords and their proofs stay in the kernel."""
    if isinstance(error, BadStructure | OSError):
        log.warning("question %d of ksmbd cannot be answered: %s", message.command, error)
    else:  # as in server/connection.py: the other clients go on
        payload = message.attributes.get(message.command, b"")[:256].hex()
        log.error("bug: question %d of ksmbd: %s", message.command, payload, exc_info=error)
