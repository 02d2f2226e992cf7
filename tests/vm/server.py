"""smbport in a process of its own, as `smbport serve` runs it."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final, Self

__all__ = ["PASSWORD", "USER", "Server"]

USER: Final = "tester"
PASSWORD: Final = "open, sesame"
STOP_TIMEOUT_S: Final = 30.0
ROOT: Final = Path(__file__).parents[2]


class Server:
    """Serves `share` as "data", "read-only", "sealed", which wants encryption, "kept", with snapshots, and "nt", which
    stores descriptors.
    """

    def __init__(self, folder: Path, signing: str = "offered", *, administrator: bool = False) -> None:
        self.share = folder / "share"
        self.share.mkdir()
        self.port = 0  # the first start takes a free one and keeps it
        self._signing = signing
        self._administrators = [USER] if administrator else []
        self._configuration = folder / "smbport.toml"
        self._log = folder / "log"
        self._log.touch()
        self._read_until = 0
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        path = json.dumps(str(self.share))
        self._configuration.write_text(f"""\
[server]
listen = ["127.0.0.1:{self.port}"]
signing = "{self._signing}"
administrators = {json.dumps(self._administrators)}
log = "debug"
[limits]
failed_logon_delay_s = 0
[share.data]
path = {path}
run_as = "server"
[share.read-only]
path = {path}
run_as = "server"
read_only = true
[share.sealed]
path = {path}
run_as = "server"
encryption = "required"
[share.nt]
path = {path}
run_as = "server"
acl = "nt"
[share.kept]
path = {path}
run_as = "server"
snapshots = ".snapshots/%Y.%m.%d-%H.%M.%S"
""")
        command = [sys.executable, "-m", "smbport", "serve", "--config", str(self._configuration), "--user", USER]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{PASSWORD}\n")
        self._process.stdin.close()
        greeting = self._process.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)", greeting)
        assert found, f"{greeting}{self._log.read_text()}"
        self.port = int(found[1])

    def stop(self) -> int | None:
        """SIGTERM; returns the exit status."""
        if not self._process:
            return None
        assert self._process.stdout
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_TIMEOUT_S)
        finally:
            self._process.kill()
            self._process.stdout.close()
            self._process = None

    def bugs(self) -> list[str]:
        """What came to the log since the last call and should not have."""
        text = self._log.read_text(errors="replace")
        news = text[self._read_until :].splitlines()
        self._read_until = len(text)
        return [line for line in news if re.search(r"ERROR|CRITICAL|Traceback|Error:", line)]

    def open_files(self) -> list[str]:
        """What the server holds open below the share."""
        assert self._process
        descriptors = Path(f"/proc/{self._process.pid}/fd")
        targets = [os.readlink(descriptor) for descriptor in descriptors.iterdir()]
        return [target for target in targets if target.startswith(f"{self.share}/")]
