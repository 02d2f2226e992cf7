"""From the words on the command line to a command, and from what goes wrong to a sentence."""

import sys
from collections.abc import Sequence

from smbport.cli.arguments import new_parser
from smbport.cli.refusal import Refusal

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 done, 1 refused or failed, 2 wrong usage."""
    options = new_parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        print(f"smbport: {where}{error.strerror or error}", file=sys.stderr)
        return 1
    except _explained() as error:
        print(f"smbport: {error}", file=sys.stderr)
        return 1


def _explained() -> tuple[type[Exception], ...]:
    """Errors whose text is made for people; anything else is a bug and shows its traceback."""
    from smbport.config import ConfigError
    from smbport.kernel import KernelError
    from smbport.registry import PlatformError
    from smbport.users import UserError

    return (Refusal, ConfigError, KernelError, PlatformError, UserError)
