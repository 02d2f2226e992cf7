"""The command line: `smbport serve | user | platforms | selftest | status | check-config`."""

from smbport.cli.main import main

__all__ = ["main"]
