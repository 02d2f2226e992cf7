"""Answers that remember what they were asked."""

import pytest

from smbport.kernel import KernelLogon, KernelShare, TreeAnswer
from smbport.platform import Account


class Recorder:
    """KernelAnswers with one user, one share and one pipe."""

    def __init__(self):
        self.asked = []
        self.user = KernelLogon(
            name="tester", account=Account("tester", 1999, 100, (100, 7)), nt_hash=bytes(range(16)), guest=False,
            homeless=False, delay=False,
        )  # fmt: skip
        self.share = KernelShare(name="Data", path="/srv/dätä", file_mask=0o644, directory_mask=0o755)
        self.tree = TreeAnswer("granted", writable=True)
        self.answer = b"answer"
        self.ticket = None

    def log_on(self, name):
        self.asked.append(("log_on", name))
        return self.user

    async def take_ticket(self, token):
        self.asked.append(("take_ticket", token))
        return self.ticket

    def __getattr__(self, what):
        results = {
            "find_share": self.share, "connect": self.tree, "open_pipe": True, "read_pipe": self.answer,
            "transceive_pipe": self.answer,
        }  # fmt: skip
        if what not in ("log_off", "disconnect", "write_pipe", "close_pipe", "rest", *results):
            raise AttributeError(what)

        def ask(*arguments):
            self.asked.append((what, *arguments))
            return results.get(what)

        return ask


@pytest.fixture
def answers():
    return Recorder()
