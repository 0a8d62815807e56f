r"""The text of ``austin --where PID`` of austin 3, as it prints the threads of one moment, outermost frame first::

    💤 Process 15829 🧵 Thread 0:15850

        Thread.run (/usr/lib/python3.11/threading.py:982)
        Inventory.get (/srv/shop.py:9)

The first sign tells whether the thread idles (💤) or runs (🚀); with ``--children`` a process is marked 🧒. The number
before the colon is that of the interpreter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Frame, Thread
from threaddump_parsers.python_frames import DumpReader, clean, innermost_first, number_of, text

FORMAT = "austin"
FAMILY = "python"
TITLE = "austin --where"
CAPTURE = (("austin --where PID", "austin 3; all threads of a Python process"),)
INITIALS = b"P\xf0\x1b"

_IDLE, _RUNNING, _CHILD, _THREAD = "💤".encode(), "🚀".encode(), "🧒".encode(), "🧵".encode()
_HEADER = re.compile(
    rb"(?:(?P<sign>" + _IDLE + rb"|" + _RUNNING + rb")\s*)?(?:" + _CHILD + rb"\s*)?Process (?P<pid>\d{1,10}) "
    rb"(?:" + _CHILD + rb"\s*)?" + _THREAD + rb" Thread (?:\d{1,9}:)?(?P<tid>(?:0x)?[0-9a-fA-F]{1,16})"
)


def claims(line: bytes) -> bool:
    """The header of a thread."""
    return _THREAD in line and _HEADER.fullmatch(clean(line)) is not None


def parse(lines: Lines) -> Iterator[Dump]:
    """Read a stretch of dumps; each process is one of its own."""
    yield from _Reader().run(lines)


def _frame(plain: bytes) -> Frame | None:
    printed, colon, digits = plain.lstrip().rpartition(b":")
    function, blank, file = printed.partition(b" (")
    line = number_of(digits[:-1]) if digits.endswith(b")") else None
    return Frame(text(function), text(file), line) if colon and function and blank and line is not None else None


class _Reader(DumpReader):
    FORMAT = FORMAT
    BEGINNINGS = (_IDLE, _RUNNING, b"    ")

    def __init__(self) -> None:
        super().__init__(_frame)

    def read(self, number: int, line: bytes) -> bool:
        plain = clean(line)
        header = _HEADER.fullmatch(plain) if len(plain) < 1000 else None
        if header is not None:
            return self._read_header(number, header)
        frame = self.table.frame(line) if self.thread is not None else None
        if frame is not None:
            self.add_frame(number, frame)
        return frame is not None

    def _read_header(self, number: int, header: re.Match[bytes]) -> bool:
        pid = number_of(header["pid"])
        if self.dump is None or self.dump.pid != pid:
            self.begin(number, number).pid = pid
        thread = Thread("", number, native_id=number_of(header["tid"]))
        if thread.native_id is None:
            thread.address = text(header["tid"])
        thread.state = {_IDLE: "IDLE", _RUNNING: "ACTIVE"}.get(header["sign"])
        dump = self.dump
        self.add_thread(thread, text(header["tid"]))
        if self.dump is not None and self.dump is not dump:
            self.dump.pid = pid  # the same process once more
        return True

    def settle(self, thread: Thread) -> None:
        innermost_first(thread, self.stack)
