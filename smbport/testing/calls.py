"""Wrapping a platform so that every call on it, and on everything it hands out, passes through one function.

    def intercept(call: Call) -> object:
        print(call.path, call.arguments)
        return call.proceed()

    platform = wrap(MemoryPlatform(), intercept)

What the contract of `smbport.platform` does not name passes untouched, so `platform.open_volume("x").plant_link`
works on a wrapped MemoryPlatform.  Wrapped nodes that are given to a power reach it unwrapped.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Final, TypeVar, cast

from smbport import platform as contract
from smbport.platform import Features

__all__ = ["METHODS", "GIVERS", "Call", "Intercept", "role_of", "unwrap", "wrap"]

T = TypeVar("T")

PARTS: Final = {
    "sockets": "Sockets",
    "zero_copy": "ZeroCopy",
    "identity": "Identity",
    "acl": "AccessControl",
    "attributes": "Attributes",
    "streams": "Streams",
    "watch": "Watch",
    "clone": "Clone",
    "sparse": "Sparse",
    "compression": "Compression",
    "range_locks": "RangeLocks",
    "snapshots": "Snapshots",
}
"""Attributes of a platform that are objects with calls of their own."""

VOLUMES: Final = ("open_volume", "acting_as")
NODES: Final = ("open", "create", "make_directory")
WATCHERS: Final = ("start",)
GIVERS: Final = (*VOLUMES, *NODES, *WATCHERS)
"""Methods that hand out volumes, files and directories, and watchers."""


def _methods(role: str) -> dict[str, inspect.Signature]:
    members = inspect.getmembers(getattr(contract, role), inspect.isroutine)  # compiled, they are no functions
    return {name: inspect.signature(member) for name, member in members if not name.startswith("_")}


METHODS: Final[Mapping[str, Mapping[str, inspect.Signature]]] = {
    role: _methods(role) for role in ("Platform", "Volume", "File", "Directory", "Watcher", *PARTS.values())
}
"""What the contract says can be called: role -> method -> signature."""


class Call:
    """One call on its way to the wrapped object."""

    __slots__ = ("keywords", "name", "positional", "role", "target")

    def __init__(
        self, target: object, role: str, name: str, positional: tuple[object, ...], keywords: Mapping[str, object]
    ) -> None:
        self.target = target
        self.role = role  # of METHODS
        self.name = name
        self.positional = positional
        self.keywords = keywords

    @property
    def path(self) -> str:
        """`File.read_at`, say."""
        return f"{self.role}.{self.name}"

    @property
    def may_block(self) -> bool:
        """Whether the method has a `wait` argument."""
        return "wait" in METHODS[self.role][self.name].parameters

    @property
    def arguments(self) -> dict[str, object]:
        """All arguments by name, defaults included.  TypeError if they do not fit the contract."""
        bound = METHODS[self.role][self.name].bind(self.target, *self.positional, **self.keywords)
        bound.apply_defaults()
        return {name: value for name, value in bound.arguments.items() if name != "self"}

    def replace(self, **changes: object) -> "Call":
        """The same call with some arguments changed."""
        return Call(self.target, self.role, self.name, (), {**self.arguments, **changes})

    def proceed(self) -> object:
        method: Callable[..., object] = getattr(self.target, self.name)
        return method(*self.positional, **self.keywords)


Intercept = Callable[[Call], object]
"""Sees each call and gives its result: usually `call.proceed()`."""


class _Wrapped:
    """Stands for an object of the platform; attributes that are no calls are those of the inner object."""

    __slots__ = ("_alter_features", "_inner", "_intercept", "_role")

    def __init__(
        self, inner: object, role: str, intercept: Intercept, alter_features: Callable[[Features], Features] | None
    ) -> None:
        self._inner = inner
        self._role = role
        self._intercept = intercept
        self._alter_features = alter_features

    def __getattr__(self, name: str) -> object:
        value: object = getattr(self._inner, name)
        if name in METHODS[self._role]:
            return self._method(name)
        if self._role == "Platform" and name in PARTS and value is not None:
            return self._wrap(value, PARTS[name])
        if name == "features" and self._alter_features is not None:
            return self._alter_features(cast("Features", value))
        return value

    def _method(self, name: str) -> Callable[..., object]:
        def method(*args: object, **keywords: object) -> object:
            args = tuple(unwrap(arg) for arg in args)
            keywords = {key: unwrap(value) for key, value in keywords.items()}
            result = self._intercept(Call(self._inner, self._role, name, args, keywords))
            if name in GIVERS:
                return self._wrap(result, role_of(result))
            return result

        return method

    def _wrap(self, inner: object, role: str) -> "_Wrapped":
        return _Wrapped(inner, role, self._intercept, self._alter_features)


def wrap(inner: T, intercept: Intercept, *, alter_features: Callable[[Features], Features] | None = None) -> T:
    """The platform, volume, file or directory `inner` with `intercept` before every call on it and what it gives.

    `alter_features` changes what volumes say of themselves.
    """
    return cast("T", _Wrapped(inner, role_of(inner), intercept, alter_features))


def unwrap(value: T) -> T:
    """What is inside of one layer of wrapping; anything else as it is."""
    return cast("T", value._inner) if isinstance(value, _Wrapped) else value


def role_of(value: object) -> str:
    """Which of `Platform`, `Volume`, `Watcher`, `File` and `Directory` an object is."""
    if hasattr(value, "open_volume"):
        return "Platform"
    if hasattr(value, "make_directory"):
        return "Volume"
    if hasattr(value, "take"):
        return "Watcher"
    return "Directory" if getattr(value, "is_directory", False) else "File"
