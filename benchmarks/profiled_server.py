"""`python -m benchmarks.profiled_server OUTPUT ARGUMENT...`: smbport, looked at between SIGUSR1 and SIGUSR2.

Whenever the process has used another tick of CPU time, the function that serves just then is noted, and those that it
was called from.  That costs nothing between the ticks, so nothing looks dearer than it is.
"""

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Final

from smbport.cli import main

TICK_S: Final = 0.001  # the kernel may have longer ones

Function = tuple[str, str]  # its file and its name


def run(output: Path) -> int:
    """Serve; what was noted is in `output` when it is complete there."""
    itself: Counter[Function] = Counter()
    with_callees: Counter[Function] = Counter()

    def tick(_: int, frame: FrameType | None) -> None:
        callers: set[Function] = set()
        while frame is not None:
            function = frame.f_code.co_filename, frame.f_code.co_qualname
            if not callers:
                itself[function] += 1
            callers.add(function)
            frame = frame.f_back
        with_callees.update(callers)

    def begin(*_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, TICK_S, TICK_S)

    def end(*_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        unfinished = output.with_suffix(".part")
        found = [[*function, itself[function], ticks] for function, ticks in with_callees.items()]
        unfinished.write_text(json.dumps(found))
        os.replace(unfinished, output)

    signal.signal(signal.SIGPROF, tick)
    signal.signal(signal.SIGUSR1, begin)
    signal.signal(signal.SIGUSR2, end)
    return main()


if __name__ == "__main__":
    sys.argv[0] = "smbport"
    sys.exit(run(Path(sys.argv.pop(1))))
