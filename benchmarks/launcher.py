"""Runs commands and reports on them, in a process that stays small; started by run.py as `python -I -S`.

The peak memory that wait4 reports for a command includes that of the process which started it, as it was before the
exec. run.py is larger than some of the commands that it measures, so it leaves starting them to this.

Each line read is a command, its arguments parted by NUL; each line written is `wall-seconds peak-bytes exit-code`.
"""

import os
import sys
import time

QUIET = [
    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
]
UNIT = 1 if sys.platform == "darwin" else 1024

for line in sys.stdin:
    command = line.rstrip("\n").split("\0")
    start = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=QUIET)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    print(wall, usage.ru_maxrss * UNIT, os.waitstatus_to_exitcode(status), flush=True)
