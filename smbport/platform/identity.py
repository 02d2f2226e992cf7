"""Accounts of the system, and acting as them."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Account", "Identity"]


@dataclass(frozen=True, slots=True)
class Account:
    """A system account that files are opened and owned as."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()


class Identity(Protocol):
    """Acting as another system account, one thread at a time."""

    def find_account(self, name: str, *, wait: bool = False) -> Account | None:
        """The system account of that name with its groups; None if there is none."""

    def find_group(self, name: str, *, wait: bool = False) -> int | None:
        """The number of the system group of that name; None if there is none."""

    def names(self, *, wait: bool = False) -> tuple[Mapping[int, str], Mapping[int, str]]:
        """Names of users and of groups by number, as many as the system lists, which need not be all."""

    def become(self, account: Account) -> AbstractContextManager[None]:
        """For the length of a `with` block, this thread (and no other) has the rights of `account`."""
