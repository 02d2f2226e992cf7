"""A Kerberos realm of its own on the loopback interface: MIT's KDC, with everything in one directory."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["HOST", "REALM", "SERVICE", "Realm", "run_kdc"]

REALM = "SMBPORT.TEST"
HOST = "files.smbport.test"  # the server as clients call it; nobody can look it up
SERVICE = f"cifs/{HOST}"
PATIENCE_S = 30
PATH = f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"  # where KDCs are, for root alone

CLIENT = """
[libdefaults]
  default_realm = {realm}
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  clockskew = {clock_skew_s}
  ticket_lifetime = {lifetime_s}
  forwardable = true
[realms]
  {realm} = {{
    kdc = 127.0.0.1:{port}
  }}
[domain_realm]
  {host} = {realm}
"""
KDC = """
[kdcdefaults]
  kdc_listen = 127.0.0.1:{port}
  kdc_tcp_listen = 127.0.0.1:{port}
[realms]
  {realm} = {{
    database_name = {home}/principal
    key_stash_file = {home}/stash
    acl_file = {home}/acl
    max_life = 1d
  }}
[logging]
  kdc = FILE:{home}/kdc.log
"""


@dataclass
class Realm:
    """A KDC that runs; programs find it by `environment`."""

    home: Path
    port: int

    def environment(self, *, lifetime_s: int = 3600, clock_skew_s: int = 300) -> dict[str, str]:
        """For clients and servers alike.  Servers take tickets for as long after their end as clocks may differ."""
        path = self.home / f"krb5-{lifetime_s}-{clock_skew_s}.conf"
        path.write_text(
            CLIENT.format(realm=REALM, host=HOST, port=self.port, clock_skew_s=clock_skew_s, lifetime_s=lifetime_s)
        )
        return {
            "PATH": PATH,
            "KRB5_CONFIG": str(path),
            "KRB5_KDC_PROFILE": str(self.home / "kdc.conf"),
            "KRB5CCNAME": str(self.home / "tickets"),
            "KRB5RCACHEDIR": str(self.home),
            "KRB5RCACHENAME": f"file2:{self.home / 'replays'}",
        }

    def add(self, principal: str, password: str | None = None) -> None:
        """A principal with that password, or with keys that nobody knows."""
        key = "-randkey" if password is None else f'-pw "{password}"'
        self.run("kadmin.local", "-q", f"addprinc {key} {principal}")

    def keytab(self, *principals: str) -> Path:
        """New keys of principals; tickets are for these from now on."""
        path = Path(tempfile.mktemp(suffix=".keytab", dir=self.home))
        for principal in principals:
            self.run("kadmin.local", "-q", f"ktadd -k {path} {principal}")
        return path

    def run(self, *command: str, password: str = "") -> str:
        """A program of this realm, which must succeed."""
        done = subprocess.run(
            command, env={**os.environ, **self.environment()}, input=password, timeout=PATIENCE_S, text=True,
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout


@contextmanager
def run_kdc(home: Path) -> Iterator[Realm]:
    """A realm without users.  LookupError if krb5kdc is not installed."""
    kdc = shutil.which("krb5kdc", path=PATH)
    if kdc is None:
        raise LookupError("krb5kdc is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    realm = Realm(home, port)
    (home / "kdc.conf").write_text(KDC.format(realm=REALM, home=home, port=port))
    realm.run("kdb5_util", "create", "-s", "-W", "-P", "master")
    process = subprocess.Popen(
        [kdc, "-n"],
        env={**os.environ, **realm.environment()},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        assert process.stdout is not None
        assert "starting" in process.stdout.readline(), (home / "kdc.log").read_text()
        yield realm
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)
