"""Lines of the log that are written when there is time for them."""

import logging

__all__ = ["HeldBack"]


class HeldBack(logging.Filter):
    """While the block runs, what is logged is only noted, with its time; it is written when the block is left."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__()
        self._logger = logger
        self._records: list[logging.LogRecord] = []

    def filter(self, record: logging.LogRecord) -> bool:
        self._records.append(record)
        return False

    def __enter__(self) -> None:
        self._logger.addFilter(self)

    def __exit__(self, *_: object) -> None:
        self._logger.removeFilter(self)
        for record in self._records:
            self._logger.handle(record)
