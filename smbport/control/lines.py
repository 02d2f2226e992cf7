"""Lines of the log that are written when there is time: a client waits for its answer, nobody for the line about it."""

import logging
from time import time

__all__ = ["Lines"]

log = logging.getLogger("smbport")


class Lines:
    """What is to be logged, with the time at which it happened."""

    def __init__(self) -> None:
        self._noted: list[tuple[float, int, str, tuple[object, ...]]] = []

    def warn(self, text: str, *arguments: object) -> None:
        self._noted.append((time(), logging.WARNING, text, arguments))

    def inform(self, text: str, *arguments: object) -> None:
        self._noted.append((time(), logging.INFO, text, arguments))

    def write(self) -> None:
        """Bring all that was noted to the log."""
        if not self._noted:
            return
        noted, self._noted = self._noted, []
        for happened_s, level, text, arguments in noted:
            if log.isEnabledFor(level):
                line = log.makeRecord(log.name, level, "", 0, text, arguments, None)
                line.created, line.msecs = happened_s, happened_s % 1 * 1000
                log.handle(line)
