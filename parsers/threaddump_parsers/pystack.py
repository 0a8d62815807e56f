r"""The text of ``pystack remote`` and ``core``, as printed by ``traceback_formatter.py`` of pystack::

    Traceback for thread 1744 (worker-3) [Waiting for the GIL] (most recent call last):
        (Python) File "/usr/lib/python3.14/threading.py", line 1025, in run
            self._target(*self._args, **self._kwargs)
          Arguments:
            self: <Thread at 0x7f264e335c90>
        (Python) File "/srv/app/shop.py", line 9, in get
            with inventory_lock:
        (C) File "Python/thread_pthread.h", line 543, in PyThread_acquire_lock_timed (/usr/lib/libpython3.14.so.1.0)

The innermost frame comes last, functions are bare names, and the name is the operating system's: 15 bytes, and
``python`` for every thread before Python 3.14. The source line is read from the disk where pystack runs; it is no frame
and may be missing or wrong. A blank line ends each thread. Status words are ``Has the GIL``, ``Waiting for the GIL``,
``Dropping the GIL``, ``Garbage collecting`` and ``Thread terminated``; some need ``--native``.

``--locals`` adds the variables below a frame, ``--native`` the C frames, or one line that says that they could not be
merged. ``core`` starts with what the core file says of the process and what it died of, ``Core file information:`` in
front (``__main__.py``). Where there are subinterpreters (pystack 1.7), a line ``  In interpreter 1 []`` stands above
the frames, with the status words; a thread that has frames in several has several such parts below one header, and each
is an entry here: which of them runs is not told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Frame, Thread
from threaddump_parsers.python_frames import LIVE, DumpReader, clean, innermost_first, number_of, text

FORMAT = "pystack"
FAMILY = "python"
TITLE = "pystack"
CAPTURE = (
    ("pystack remote PID", "--native, --locals"),
    ("pystack core FILE", "of a core file"),
)
INITIALS = b"TC \x1b"
SIGNATURE = rb"Traceback for thread "
WORDS = (b"for thread ",)

_HEADER = b"Traceback for thread "
_END = b" (most recent call last):"
_EMPTY = re.compile(rb"The frame stack for thread (\d{1,20}) is empty")
_CORE = b"Core file information:"
_CORE_LINES = 12
_PID = re.compile(rb"pid: (\d{1,20}) ppid: ")
_EXECUTABLE = re.compile(rb"executable: (\S{1,999}) arguments: (.*)", re.DOTALL)
# frame := 4 blanks "(Python) File " quoted ", line " n ", in " function | 4 blanks "(C) File " ... " (" library ")"
_PYTHON = b'(Python) File "'
_NATIVE = b'(C) File "'
_SECTIONS = (b"Arguments:", b"Locals:")
_INTERPRETER = re.compile(
    rb"\s*(?:In (?:the main interpreter|interpreter \d{1,20})|Not currently attached to any interpreter)"
    rb"(?: \[([^\]]*)\])?:?|Interpreter-(?:\d{1,20}|Unknown)(?: \(main\))?"
)
_DIED = re.compile(
    rb"The process died due (?:a (segmentation fault accessing address): (0x[0-9a-f]{1,16})"
    rb"|receiving signal (\w{1,20})(?: sent by pid (\d{1,20}))?)"
)
_STARTS = (b"Traceback for", b"  Traceback for", b"The frame stack", b"Core file", b"\x1b")
_INDENT = b"      "
"""Deeper than a frame: source lines, the headings of variables, variables."""


def claims(line: bytes) -> bool:
    """The header of a thread, also of one without frames, or of what a core file says."""
    if not line.startswith(_STARTS):
        return False
    plain = clean(line)
    return _header(plain) is not None or plain == _CORE or _EMPTY.fullmatch(plain) is not None


def parse(lines: Lines) -> Iterator[Dump]:
    """Read a stretch of dumps; nothing where a core file's description is not followed by a thread."""
    ahead = [clean(line) for _, line in lines.peek(_CORE_LINES)]
    if ahead and (ahead[0] != _CORE or any(_header(line) for line in ahead)):
        yield from _Reader().run(lines)


def _header(plain: bytes) -> tuple[str, int | None, list[str]] | None:
    """``Traceback for thread 17 (python) [Has the GIL] (most recent call last):``: the name, the id, the status words.

    The name may hold anything; the status is missing where the interpreter has a line of its own.
    """
    body = plain.lstrip()
    if not body.startswith(_HEADER) or not body.endswith(_END):
        return None
    digits, _, rest = body[len(_HEADER) : -len(_END)].partition(b" ")
    if number_of(digits) is None:
        return None
    status: list[str] = []
    if rest.endswith(b"]"):
        name, _, words = rest.rpartition(b"[")
        rest, status = name.rstrip(), _words(words[:-1])
    if rest and not (rest.startswith(b"(") and rest.endswith(b")")):
        return None
    return text(rest[1:-1]), number_of(digits), status


def _words(status: bytes) -> list[str]:
    return [word for word in text(status).split(",") if word]


def _frame(plain: bytes) -> Frame | None:
    body = plain.lstrip()
    native = body.startswith(_NATIVE)
    if not native and not body.startswith(_PYTHON):
        return None
    file, _, position = body[len(_NATIVE if native else _PYTHON) :].partition(b'", line ')
    digits, _, function = position.partition(b", in ")
    line = number_of(digits)
    if not file or not function or line is None:
        return None
    if not native:
        return Frame(text(function), text(file), line)
    if not function.endswith(b")"):
        return None
    # C++ symbols have parentheses too: the library is the last group, and mostly an absolute path.
    at = function.rfind(b" (/")
    symbol, library = function[:at], function[at + 2 : -1]
    if at < 0:
        symbol, _, library = function[:-1].rpartition(b" (")
    symbol = symbol.removesuffix(b" (inlined)").partition(b".lto_priv")[0]
    if line == 0:  # no debug information: what stands for the file is the library, or ???
        return Frame(text(symbol), text(library.rpartition(b"/")[2]), None, native=True)
    return Frame(text(symbol), text(file), line, native=True)


class _Reader(DumpReader):
    FORMAT = FORMAT
    OUTERMOST_FIRST = True
    BEGINNINGS = (_HEADER, b"    " + _PYTHON, b"    " + _NATIVE, b"The frame stack for thread ")

    def __init__(self) -> None:
        super().__init__(_frame)
        self._variables: dict[str, str] = {}
        self._depth = 0
        """Variables are read for the frame number ``_depth``, counted from 1, while no frame came after it."""
        self._interpreter = ""
        """The interpreter that the threads below are listed for: one thread may be in several."""
        self._interpreters = False
        """The dump tells interpreters apart: then the main thread need not be the last."""

    def read(self, number: int, line: bytes) -> bool:
        frame = self.table.frame(line)
        if frame is not None:
            self.add_frame(number, frame)
            return True
        plain = clean(line)
        if not plain:
            return False
        if line.startswith(_INDENT):
            return self._read_below(number, plain)
        body = plain.lstrip()
        if body.startswith(_HEADER):
            return self._read_thread(number, plain)
        if body.startswith((b"(Python)", b"(C)")):
            self.complain(number, "a frame that cannot be read", plain)
            return False
        return self._read_remark(number, plain)

    def _read_thread(self, number: int, plain: bytes) -> bool:
        header = _header(plain)
        if header is None:
            self.complain(number, "a thread header that cannot be read", plain)
            return False
        if self.dump is not None and not self._interpreters and self.main_is_printed():
            self.begin(number, number)
        name, tid, status = header
        thread = Thread(name, number, native_id=tid)
        self._set_status(thread, status)
        self.add_thread(thread, f"{tid} {self._interpreter}")
        return True

    @staticmethod
    def _set_status(thread: Thread, status: list[str]) -> None:
        if status:
            thread.printed_state = ", ".join(status)
            thread.gil = "Has the GIL" in status
            if "Thread terminated" in status:
                thread.state = "TERMINATED"

    def _read_remark(self, number: int, plain: bytes) -> bool:
        """Read a line that is neither a header nor of a frame."""
        empty = _EMPTY.fullmatch(plain)
        if empty is not None:
            tid = number_of(empty[1])
            self.add_thread(Thread("", number, native_id=tid), str(tid))
            return True
        if plain == _CORE:
            self.begin(number, number)
            return True
        interpreter = _INTERPRETER.fullmatch(plain)
        if interpreter is not None:
            self._interpreters = True
            if not plain.startswith(b" "):
                self._interpreter = text(plain)
        dump = self.dump
        if dump is None:
            return False
        if not dump.threads:
            return self._read_core(dump, plain)
        if interpreter is not None:
            if self.thread is not None and plain.startswith(b" "):
                self._read_part(number, text(plain.strip()), self.thread)
            self.grammar()
            return True
        if plain.startswith(b"* - Unable to merge native stack"):
            self.grammar()
            return True
        return False

    def _read_part(self, number: int, interpreter: str, thread: Thread) -> None:
        """Read the line above the frames that a thread has in one interpreter."""
        name, _, words = interpreter.partition(" [")
        if self.stack:
            key = f"{thread.native_id} {name}"
            thread = Thread(thread.name, number, native_id=thread.native_id)
            self.add_thread(thread, key)
        self._set_status(thread, _words(words.partition("]")[0].encode()))
        if name != "In the main interpreter":
            thread.printed_state = ", ".join(filter(None, (thread.printed_state, name)))

    def _read_core(self, dump: Dump, plain: bytes) -> bool:
        """Read what ``core`` prints above the threads."""
        pid, executable = _PID.match(plain), _EXECUTABLE.match(plain)
        if pid is not None:
            dump.pid = number_of(pid[1])
        elif executable is not None:
            dump.command = text(executable[2].strip() or executable[1])
        elif (died := _DIED.fullmatch(plain)) is not None:
            name = text(died[3] or b"")
            if name not in LIVE:
                sender = f", sent by process {int(died[4])}" if died[4] is not None else ""
                dump.died = f"{text(died[1])} {text(died[2])}" if died[1] is not None else name + sender
        elif not plain.startswith((b"state: ", b"uid: ", b"The process died", b"The core file seems", b"Interpreter-")):
            return False
        self.grammar()
        return True

    def _read_below(self, number: int, plain: bytes) -> bool:
        """Read what stands below a frame: its source line, headings of variables, variables."""
        thread, body = self.thread, plain.lstrip()
        if thread is None or not self.stack:
            self.complain(number, "an indented line without a frame", plain)
            return False
        if body in _SECTIONS:
            self.grammar()
            if thread.locals is None:
                thread.locals = {}
            self._depth = len(self.stack)
            self._variables = thread.locals.setdefault(self._depth - 1, {})
            return True
        if thread.locals is not None and len(self.stack) == self._depth:
            name, colon, value = body.partition(b":")
            if not colon or not name.replace(b".", b"").strip():
                self.complain(number, "a variable without a value", plain)
                return False
            self.grammar()
            self._variables[text(name)] = text(value[1:])
            return True
        if self.gap:
            return False
        self.add_source(plain)
        return True

    def settle(self, thread: Thread) -> None:
        innermost_first(thread, self.stack)
        self._depth = 0

    def end_dump(self, dump: Dump) -> None:  # noqa: ARG002
        self._interpreters = False
