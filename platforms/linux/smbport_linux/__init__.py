"""The linux port of smbport."""
