"""How long a client waits until it is in: for the answers to its log-on, and to connecting to a share.

`python -m tests.vm.getting_in PORT ROUNDS PAUSE_S...` prints it in JSON.
"""

import json
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Final

from smbport.testing.client import Client, SocketLink
from smbport.wire.constants import Dialect

__all__ = ["PASSWORD", "SHARE", "USER", "get_in"]

USER: Final = "tester"
PASSWORD: Final = "open-sesame"
SHARE: Final = "share"
TIMEOUT_S: Final = 60
WARM_UP: Final = 3


class TimedLink(SocketLink):
    """One that adds up how long answers take; what the client does itself does not count."""

    waited_s = 0.0
    _since_s = 0.0

    def send(self, frame: bytes) -> None:
        self._since_s = time.perf_counter()
        super().send(frame)

    def receive(self) -> bytes:
        frame = super().receive()
        now_s = time.perf_counter()
        self.waited_s += now_s - self._since_s
        self._since_s = now_s
        return frame

    def take_s(self) -> float:
        """Since the last call."""
        waited_s, self.waited_s = self.waited_s, 0.0
        return waited_s


def get_in(port: int, rounds: int, pauses_s: Sequence[float]) -> list[list[list[float]]]:
    """For each pause, as often as said: the seconds that a log-on took after it, and then connecting to a share."""
    for _ in range(WARM_UP):
        _get_in(port, 0)
    return [[_get_in(port, pause_s) for _ in range(rounds)] for pause_s in pauses_s]


def _get_in(port: int, pause_s: float) -> list[float]:
    sock = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link = TimedLink(sock)
    with closing(link):
        client = Client(link)
        client.negotiate([Dialect.SMB_3_0_2])
        time.sleep(pause_s)
        link.take_s()
        client.log_on(USER, PASSWORD)
        logon_s = link.take_s()
        client.tree_connect(SHARE)
        return [logon_s, link.take_s()]


if __name__ == "__main__":
    print(json.dumps(get_in(int(sys.argv[1]), int(sys.argv[2]), [float(each) for each in sys.argv[3:]])))
