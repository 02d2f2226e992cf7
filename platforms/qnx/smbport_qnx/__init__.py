"""The qnx port of smbport."""
