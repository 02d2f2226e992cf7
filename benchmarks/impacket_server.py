"""`python -m benchmarks.impacket_server PORT SHARE PATH USER`, the password on standard input: impacket's smbserver.

Its own script puts the password on the command line and a log on the terminal; this does neither.
"""

import sys

from impacket.ntlm import compute_lmhash, compute_nthash  # type: ignore[import-untyped]
from impacket.smbserver import SimpleSMBServer  # type: ignore[import-untyped]


def main(port: str, share: str, path: str, user: str) -> None:
    password = sys.stdin.readline().rstrip("\n")
    server = SimpleSMBServer("127.0.0.1", int(port))
    server.addShare(share, path)
    server.addCredential(user, 0, compute_lmhash(password), compute_nthash(password))
    server.setSMB2Support(True)
    server.getServer().request_queue_size = 1024
    server.getServer().socket.listen(1024)  # it asks for 5, in which connections that come together are lost
    server.start()


if __name__ == "__main__":
    main(*sys.argv[1:])
