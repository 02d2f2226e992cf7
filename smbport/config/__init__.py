"""The configuration: TOML in, frozen settings out, and every refusal a sentence that says what to write.

`keys.py` has the keys, made from the dataclasses of `state/settings.py`; `forms.py` how values are written;
`rules.py` which are possible; `manual.py` what they are for.
"""

from smbport.config.file import load, parse
from smbport.config.forms import ConfigError, Listener
from smbport.config.keys import Configuration
from smbport.config.manual import Setting, describe_settings, reference
from smbport.config.options import parse_listen, parse_share_option
from smbport.config.rules import check_settings

__all__ = [
    "ConfigError", "Configuration", "Listener", "Setting", "check_settings", "describe_settings", "load", "parse",
    "parse_listen", "parse_share_option", "reference",
]  # fmt: skip
