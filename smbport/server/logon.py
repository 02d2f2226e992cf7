"""The rules of logging on, made of the settings: for the server here and for one in the kernel."""

import os

from smbport.security.auth import Authenticator, UserDatabase
from smbport.server.kerberos import open_keytab
from smbport.state.settings import Settings

__all__ = ["new_authenticator"]


def new_authenticator(settings: Settings, users: UserDatabase) -> Authenticator:
    """Who may log on by these settings.  ConfigError if they name a keytab that cannot be used."""
    return Authenticator(
        users=users,
        server_name=settings.server_name,
        domain=settings.workgroup,
        anonymous=settings.anonymous != "off",
        guest=settings.guest_account is not None,
        guest_on_bad_user=settings.guest_on_bad_user,
        target_name=settings.target_name,
        aliases=settings.aliases,
        random_bytes=os.urandom,
        kerberos=open_keytab(settings),
        realms=settings.kerberos_realms,
    )
