"""The acceptor of Kerberos tickets: GSS-API with a keytab.  It asks no KDC; everything is in the ticket.

The package gssapi (`pip install smbport[kerberos]`) is imported when a keytab is configured and not before, because it
takes the system's Kerberos libraries.  docs/decisions/008-kerberos-by-gssapi.md
"""

from typing import TYPE_CHECKING, Final

from smbport.config.forms import ConfigError, wrong
from smbport.security.kerberos import Ticket
from smbport.security.ntlm import LogonFailure
from smbport.state.settings import Settings

if TYPE_CHECKING:
    import gssapi

__all__ = ["KeytabAcceptor", "open_keytab"]

SERVICE: Final = "cifs"
SESSION_KEY: Final = "1.2.840.113554.1.2.2.5.5"  # GSS_C_INQ_SSPI_SESSION_KEY
FAILURE: Final = 13 << 16  # GSS_S_FAILURE
INSTALL: Final = 'needs the package gssapi and the Kerberos libraries of the system: pip install "smbport[kerberos]"'


def open_keytab(settings: Settings) -> "KeytabAcceptor | None":
    """What judges tickets by these settings; None without a keytab.  ConfigError if it cannot."""
    keytab, principal = settings.kerberos_keytab, settings.kerberos_principal
    if keytab is None:
        return None
    try:
        import gssapi
    except ImportError as error:
        raise _wrong(keytab, f"{INSTALL} ({error})") from None
    try:
        if principal is None:
            name = gssapi.Name(SERVICE, gssapi.NameType.hostbased_service)  # without a host: any
        else:
            name = gssapi.Name(principal, gssapi.NameType.kerberos_principal)
        store = {"keytab": keytab}
        keys = gssapi.Credentials(name=name, usage="accept", mechs=[gssapi.MechType.kerberos], store=store)
    except gssapi.exceptions.GSSError as error:
        which = principal or f"{SERVICE}/HOST@REALM"
        fix = f"must be a keytab that this process can read, with keys of {which}: {_reason(error)}"
        raise _wrong(keytab, fix) from None
    except NotImplementedError as error:  # by gssapi, where the libraries lack credential stores
        raise _wrong(keytab, f"the Kerberos libraries of this system cannot open it: {error}") from None
    return KeytabAcceptor(keys)


class KeytabAcceptor:
    """Judges tickets by the keys of a keytab, which is read anew each time.  Any number of threads may."""

    def __init__(self, keys: "gssapi.Credentials") -> None:
        self._keys = keys

    def accept(self, token: bytes) -> Ticket:
        """[RFC4121] 4.1, [RFC4120] 3.2.3"""
        from gssapi import OID, raw

        try:
            accepted = raw.accept_sec_context(token, acceptor_creds=self._keys)
            if accepted.more_steps:
                raise LogonFailure("the client wants Kerberos in three steps, as DCE does")
            context = accepted.context
            client = raw.display_name(accepted.initiator_name, name_type=False).name
            service = raw.display_name(raw.inquire_context(context).target_name, name_type=False).name
            key = raw.inquire_sec_context_by_oid(context, OID.from_int_seq(SESSION_KEY))[0]
        except raw.GSSError as error:
            raise LogonFailure(f"Kerberos: {_reason(error)}") from None

        def verify(data: bytes, signature: bytes) -> bool:
            try:
                raw.verify_mic(context, data, signature)
            except raw.GSSError:
                return False
            return True

        return Ticket(
            client=client.decode(errors="backslashreplace"),
            service=service.decode(errors="backslashreplace"),
            token=accepted.token or b"",
            lifetime_s=accepted.lifetime,
            session_key=key,
            sign=lambda data: raw.get_mic(context, data),
            verify=verify,
        )


def _wrong(keytab: str, fix: str) -> ConfigError:
    return wrong("settings", "server.kerberos_keytab", keytab, fix)


def _reason(error: "gssapi.exceptions.GSSError") -> str:
    """In the words of the library: GSS-API's, unless it knows only that something failed, and its mechanism's."""
    words = [] if error.maj_code == FAILURE and error.min_code else error.get_all_statuses(error.maj_code, True)
    if error.min_code:
        words += error.get_all_statuses(error.min_code, False)
    return "; ".join(words)
