"""Which of many sockets can be read: an epoll, which trio's own epoll can wait for."""

import select
from collections.abc import Sequence

__all__ = ["LinuxReadySet"]


class LinuxReadySet:
    """An epoll, level-triggered."""

    __slots__ = ("_epoll",)

    def __init__(self) -> None:
        self._epoll = select.epoll()

    def fileno(self) -> int:
        return self._epoll.fileno()

    def add(self, descriptor: int) -> None:
        self._epoll.register(descriptor, select.EPOLLIN)

    def remove(self, descriptor: int) -> None:
        self._epoll.unregister(descriptor)

    def wait(self, timeout_s: float, most: int) -> Sequence[tuple[int, int]]:
        return self._epoll.poll(timeout_s, most)

    def close(self) -> None:
        self._epoll.close()
