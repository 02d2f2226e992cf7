"""What this build calls itself."""

from importlib.util import find_spec

from smbport import __version__

__all__ = ["version_text"]


def version_text() -> str:
    """Compiled is said of a build in which what every request runs through is: docs/decisions/005-compiled-core.md."""
    spec = find_spec("smbport.wire.text")
    compiled = spec is not None and spec.origin is not None and not spec.origin.endswith(".py")
    return f"smbport {__version__}{' (compiled)' if compiled else ''}"
