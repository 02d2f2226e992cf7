"""What was tried for rows that miss their goals, what it brought, and what is left: said beside their profiles."""

from typing import Final

__all__ = ["LIMITS"]

DEPTH_1: Final = """
**Tried:** waiting for the next request in the system call instead of taking a turn of trio's loop for each, and awake
for the first 50 µs ([decision 7](../decisions/007-one-task-receives-for-all.md)): asleep, the compiled build had 0.80
x smbd's rate for an ECHO, 0.91 x for an open with its close and 0.97 x for a read of 4 KiB, awake 1.66, 1.27 and
1.74, for the same CPU; a third less to do for each frame, from 76,500 to 53,300 instructions for a signed ECHO.
**Limit:** three system calls, wait, receive and send, as smbd has them; the rest is many functions of about a
microsecond each. Who waits awake has the time in which the load works counted as its own. [Decision
5](../decisions/005-compiled-core.md) has what compiling brings.
"""
NAMES: Final = """
**Tried:** names that stay known, a response of CREATE in one piece, and the compiled core; one look at a file for an
open and the query right behind it, which takes a look from 36 to 25 µs without a socket, and what was just made is
not asked for what it has, so that making and deleting a file takes 20 system calls instead of 28 (31 before that; 166
to 144 µs) ([decision 5](../decisions/005-compiled-core.md)). **Limit:** three system calls for an open and for a look
at a file, 20 from create to delete (smbd, with those on its databases and sockets: 18, 17, 64), and Python: plan,
rights, share modes. No function has more than a few hundredths.
"""
CHANGES: Final = """
Of a file that is made and deleted, what the file system does is two fifths, and on ext4 without a journal, as here, it
becomes more with each file that was deleted in the last minutes, for its number is not taken again so soon and has to
be passed over: who makes more files in a second pays more for each. On tmpfs (`--directory /dev/shm`) the row had 0.93
and 1.11 x smbd's rate for 1.11 and 0.92 x the CPU, in two runs.
"""
MANY_AT_ONCE: Final = """
**Tried:** one receive and one send for all requests that are there; nothing is done for each request that can be done
once for a receive. **Limit:** the handlers in Python. The compiled build reaches the goal or comes near ([decision
5](../decisions/005-compiled-core.md)).
"""

LIMITS: Final[dict[str, str]] = {  # by glob of rows; all that fit are shown
    "echo/1/*": DEPTH_1,
    "read-4k/1/*": DEPTH_1,
    "open-close/1/*": DEPTH_1,
    "stat/1/*": DEPTH_1,
    "create-write-delete/1/*": DEPTH_1,
    "open-close/*": NAMES,
    "stat/*": NAMES,
    "create-write-delete/*": NAMES + CHANGES,
    "creates-*": """
Less than five times impacket. **Limit:** system calls that make, look at and remove names, and what keeps the listing
known from one creation to the next, which pays as the directory grows; impacket makes a file and keeps nothing in mind.
""",
    "list-*": """
`EpollIOManager.get_events` is where the thread that serves waits, so it stands for the threads that call `statx` for
each entry: more than half of all. **Tried:** a thread brings what an answer holds and a quarter more, instead of three
or four for each answer (6.9 to 6.5 µs of CPU for each entry); one loop that calls `statx` and takes it apart, with
nothing called between (0.3 µs); remembering the attributes of 131,072 files in the memory of 40,000 (of 100,000
entries, each from 12.7 to 8.3 µs, on a busy machine); attributes of many entries in one step, and packing entries in
one function. **Limit:** a system call for each entry, and a microsecond or two to pack it; smbd takes 14.6.
""",
    "write-1m/*": """
**Tried:** receive buffers from a pool, which are used again, because new memory costs more than what is received into
it; large frames are received up to their end, so that the next begins at the start of a buffer. **Limit:** the kernel
copies the data from the socket and into the page cache, as it does for smbd, and the load has hardly any time left.
""",
    "many-*": """
**Tried:** one task that receives for all connections instead of one for each ([decision
7](../decisions/007-one-task-receives-for-all.md)): 27.7 µs of CPU for a read of 4 KiB instead of 43.6, and half as
many operations again. **Limit:** a receive and a send for each request, and one processor: smbd, a process for each
connection, has both.
""",
    "connect/*": """
**Tried:** accounts of the system are not looked up again within ten seconds, which took a thread each time (870 to
710 µs); the collector of cycles looks at 20,000 new objects instead of 700 (730 to 615 µs, on a busy machine); RC4's
schedule without a remainder for each byte (60 to 16 µs); a load that sends the messages of a log-on again that was
rehearsed, with new proofs, and takes 190 µs of CPU with all of its system calls, where a client took 535; connections
without a task, two nurseries and three scopes, as long as nothing has to be waited for (563 to 406 µs). **Limit:** a
fifth is system calls, half are the four requests of the handshake, of which NTLM takes most (RC4 a twentieth of all,
eight HMACs as much), and no part of the rest is large. impacket, which knows dialect 2.0.2 only, has
less to compute for each log-on.
""",
    "write-flush/*": """
Less than five times impacket. **Tried:** threads without tasks of trio ([decision
10](../decisions/010-threads-without-tasks.md)), which brought a third of the CPU. **Limit:** the disk, for which all
servers wait in each operation: a loop of nothing but `pwrite` and `fsync` takes 130 µs, and the thread that does it has
to be woken up and to wake up the one that answers.
""",
    "cold-read-*": """
Less than five times impacket. **Tried:** threads without tasks of trio ([decision
10](../decisions/010-threads-without-tasks.md)), which brought a third of the CPU and half as many reads again at depth
16; four threads instead of forty bring a tenth of the CPU and nothing else. **Limit:** the disk, for which a loop of
nothing but `pread` waits 200 to 350 µs each time, and a thread that waits for it and does not keep the others waiting:
impacket's connections have a thread each, which waits itself.
""",
    "idle-*": "What takes the time is logging on: see `connect/1`.\n",
}
