"""smbport side by side with Samba's smbd.  See README.md."""
