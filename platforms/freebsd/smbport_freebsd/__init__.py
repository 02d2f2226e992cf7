"""The freebsd port of smbport."""
