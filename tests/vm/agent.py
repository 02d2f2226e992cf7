"""The guest's first process: runs the functions that the host names, each in a process of its own.

    python agent.py ROOT MODULE

Modules are found below the folder ROOT; MODULE is imported once, so that jobs need not.  A request is one line of JSON
on the virtio port, {"job", "module", "function", "arguments", "folder"}; the answer is another, {"job", "result" or
"error", "output"}.  Jobs run side by side.  When the host goes away, so does the machine.
"""

import fcntl
import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def main(root: str, module: str) -> None:
    sys.path.append(root)
    importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for jobs
    os.umask(0)  # as real ones do: threads of the kernel share it
    (port_path,) = Path("/dev").glob("vport*")
    port = os.open(port_path, os.O_RDWR)  # can be opened only once
    _send(port, {"ready": os.uname().release})
    with open(port, "rb", closefd=False) as requests:
        for line in requests:
            if not os.fork():
                _run(json.loads(line), port)
                os._exit(0)


def _run(request: Mapping[str, Any], port: int) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.umask(0o022)
    output = os.open(f"/run/output-{request['job']}", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    for number in (sys.stdout.fileno(), sys.stderr.fileno()):
        os.dup2(output, number)
    answer = {"job": request["job"]}
    try:
        os.chdir(request["folder"])
        function = getattr(importlib.import_module(request["module"]), request["function"])
        answer["result"] = function(*request["arguments"])
    except BaseException:  # noqa: BLE001 - whatever it is, the host wants to see it
        answer["error"] = traceback.format_exc()
    sys.stdout.flush()
    answer["output"] = os.pread(output, 1 << 20, 0).decode(errors="replace")
    _send(port, answer)


def _send(port: int, answer: Mapping[str, Any]) -> None:
    line = json.dumps(answer).encode() + b"\n"
    with open("/run/port.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        while line:
            line = line[os.write(port, line) :]


if __name__ == "__main__":
    main(*sys.argv[1:])
