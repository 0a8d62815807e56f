r"""The text of ``python -m profiling.sampling dump`` of Python 3.15 (``Lib/profiling/sampling``)::

    Stack dump for PID 19856, thread 19885 (waiting for GIL; most recent call last):
      File "usr/lib/python3.15/threading.py", line 1181, in Thread._bootstrap
        self._bootstrap_inner()
      <native>

    Stack dump, thread 19856 (main thread, has GIL, on CPU; most recent call last):
      File "srv/app/shop.py", line 16, in <module>
        main()

Only the first thread carries the process. Without ``-a`` the main thread is all there is. The innermost frame comes
last; paths below the working directory are relative to it. The words in the parentheses are ``[interpreter N; ][task
ID; ]`` and a list of ``main thread``, ``has GIL``, ``on CPU``, ``waiting for GIL``, ``has exception`` and ``idle``.
Threads have no names; the main one is called ``MainThread`` here, as Python itself calls it.

``--async-aware`` prints a section for each task that nothing else waits for, and marks where a task begins::

    Stack dump, thread 22821 (task 140214993450752; most recent call last):
      File "<task>", in Task-1
      File "srv/app/shop.py", line 24, in main
      File "<task>", in waiter-8
      File "srv/app/shop.py", line 8, in waiter

Such a section is one entry here, named after its tasks: ``Task-1 > waiter-8``. ``<native>`` and ``<GC>`` name no
function, so they are no frames.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Frame, Thread
from threaddump_parsers.python_frames import DumpReader, clean, innermost_first, number_of, text

FORMAT = "profiling-sampling"
FAMILY = "python"
TITLE = "profiling.sampling, Python 3.15"
CAPTURE = (
    (
        "python3.15 -m profiling.sampling dump -a PID",
        "without -a it is the main thread alone; --native, or --async-aware for tasks",
    ),
)
INITIALS = b"S \t\x1b"
SIGNATURE = rb"Stack dump"
WORDS = (b"Stack dump",)

STATES = {"idle": "IDLE", "on CPU": "ACTIVE"}
"""As printed and normalised; a thread that waits for the GIL is neither."""

_START = b"Stack dump"
_END = b"; most recent call last):"
_THREAD = re.compile(
    rb"Stack dump(?: for PID (\d{1,20}))?, thread (\d{1,20}) \((.*); most recent call last\):", re.DOTALL
)
_FRAME = b'  File "'
_TASK = b'  File "<task>", in '
_REMARKS = (b"<native>", b"<GC>", b"No Python frames")


def claims(line: bytes) -> bool:
    """The header of a thread."""
    return line.lstrip().startswith((_START, b"\x1b")) and _END in line and _THREAD.fullmatch(clean(line)) is not None


def parse(lines: Lines) -> Iterator[Dump]:
    """Read a stretch of dumps."""
    yield from _Reader().run(lines)


def _frame(plain: bytes) -> Frame | None:
    """Read ``  File "x.py", line 5, in A.f``; frames without a line number have no ``line``."""
    if not plain.startswith(_FRAME):
        return None
    head, _, function = plain[len(_FRAME) :].partition(b", in ")
    file, quote, digits = head.partition(b'", line ')
    line = number_of(digits) if quote else None
    if not quote:
        if not head.endswith(b'"'):
            return None
        file = head[:-1]
    elif line is None:
        return None
    return Frame(text(function), text(file), line) if file and file != b"<task>" and function else None


class _Reader(DumpReader):
    FORMAT = FORMAT
    BEGINNINGS = (b"Stack dump for PID ", b"Stack dump, thread ", _FRAME)

    def __init__(self) -> None:
        super().__init__(_frame)
        self._is_task = False

    def read(self, number: int, line: bytes) -> bool:
        frame = self.table.frame(line)
        if frame is not None:
            self.add_frame(number, frame)
            return True
        plain = clean(line)
        if not plain:
            return False
        if plain.startswith(_START):
            return self._read_thread(number, plain)
        thread = self.thread
        if thread is None:
            return False
        if plain.startswith(_TASK):
            self.grammar()
            if self._is_task:
                task = text(plain[len(_TASK) :])
                thread.name = f"{thread.name} > {task}" if thread.name else task
            return True
        if plain.strip() in _REMARKS:
            self.grammar()
            return True
        if plain.startswith(_FRAME):
            self.complain(number, "a frame that cannot be read", plain)
            return False
        if not plain.startswith(b"    ") or not self.stack or self.gap:
            return False
        if not plain.startswith(b"    [source file changed"):
            self.add_source(plain)
        return True

    def _read_thread(self, number: int, plain: bytes) -> bool:
        header = _THREAD.fullmatch(plain)
        if header is None:
            self.complain(number, "a thread header that cannot be read", plain)
            return False
        pid, tid, details = header[1], number_of(header[2]), text(header[3])
        task = re.search(r"(?:^|; )task (\d+)", details)
        words = details.rpartition("; ")[2].split(", ")
        thread = Thread("MainThread" if "main thread" in words else "", number, native_id=tid)
        thread.virtual = task is not None
        thread.printed_state = details
        thread.gil = "has GIL" in words
        thread.state = next((STATES[word] for word in words if word in STATES), None)
        self._is_task = task is not None
        if pid is not None:
            self.begin(number, number).pid = number_of(pid)
        # One thread may have frames in several interpreters: each is printed as a thread.
        interpreter = re.match(r"interpreter (\d+)", details)
        key = f"{tid} {interpreter[1] if interpreter is not None else ''}"
        self.add_thread(thread, f"task {task[1]}" if task is not None else key)
        return True

    def settle(self, thread: Thread) -> None:
        innermost_first(thread, self.stack)
