"""What runs in the guest, for tests of Kerberos: `smbport serve` with a realm."""

import base64
import os
from pathlib import Path
from typing import Final

from tests.vm import daemon

__all__ = ["KEYTAB", "start"]

KEYTAB: Final = Path("/run/smbport.keytab")
REALM_FILE: Final = Path("/run/krb5.conf")


def start(config: str, keytab: str, realm: str) -> int:
    """Start the daemon with a keytab, given in base64."""
    KEYTAB.write_bytes(base64.b64decode(keytab))
    REALM_FILE.write_text(f"[libdefaults]\ndefault_realm = {realm}\ndefault_rcache_name = file2:/run/replays\n")
    os.environ["KRB5_CONFIG"] = str(REALM_FILE)
    return daemon.start(config)
