"""Text in which Java programs print their own threads: headers, with frames and locks below; nothing ends a dump."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator

import threaddump_parsers
from threaddump_parsers.java_threads import Interned, Owners, add_problem, settle, text
from threaddump_parsers.lines import Lines, NumberedLine
from threaddump_parsers.model import Dump, Frame, Held, Thread

QUIET_LINES = 200
"""So many lines without grammar end a stretch: what follows is the log of the application, not the dump."""
MAX_LINE = 10_000
"""A longer line is neither a header nor a frame."""
_MAX_KNOWN = 100_000
_MAX_NOISE = 100
_NAME_LINES = 4
"""Lines over which the name of a thread may go."""
_EXCEPTION = re.compile(rb"(?:Caused by: |Suppressed: |Exception in thread )?[\w.$]+(?:Exception|Error|Throwable)\b")


class ThreadText:
    """Reads one stretch of text: headers, and below each of them its frames and other lines.

    A format tells how it begins a thread (``header``) and what other lines it prints below (``detail``).
    """

    FORMAT = ""
    FRAME = re.compile(rb"[ \t]+at (\S.*)")
    BEGINS = re.compile(rb'"')
    """What a line begins with that may be the first of a header, of which the others hold the rest of the name."""

    ALONE = False
    """Whether nothing is ever written into a dump: then no frame of it stands behind other lines."""
    FORMS = False
    """Whether a line that the format claims is of another of its forms where it heads no thread of this one."""

    def __init__(self) -> None:
        self.interned = Interned()
        self.owners = Owners()
        self.dump: Dump | None = None
        self.thread: Thread | None = None
        self.stack: list[Frame] = []
        self.monitors: list[Held] = []
        self.synchronizers: list[Held] = []
        self._frames: dict[bytes, Frame] = {}
        self._ids: set[int] = set()
        self.number = 0
        """Of the line at hand."""
        self._done: list[Dump] = []
        self._pending: list[NumberedLine] = []
        self._noise: deque[NumberedLine] = deque(maxlen=_MAX_NOISE)
        self._noise_lines = 0
        self._last_line = 0
        self._ends: Callable[[int, bytes], bool]

    # What a format says

    def header(self, plain: str) -> Thread | None:
        """The thread that this line begins, if it does; its line number is set later."""
        raise NotImplementedError

    def detail(self, thread: Thread, line: str) -> bool:
        """Whether this line belongs to the thread at hand and is no frame. It may set its fields."""
        raise NotImplementedError

    def begun(self, thread: Thread) -> None:
        """The thread of the last header is the one at hand now."""

    def frame(self, printed: str) -> Frame | None:
        """The frame in what ``FRAME`` found; None where it is no frame."""
        return self.interned.frame(printed)

    def repeats(self, thread: Thread) -> bool:
        """Whether the thread of this header is in the dump at hand already."""
        return thread.java_id in self._ids

    def title(self, line: bytes) -> bool:
        """Whether this line belongs to the beginning of a dump."""
        return not line.strip()

    def begin_dump(self, number: int) -> Dump:
        return Dump(self.FORMAT, number, "jvm")

    def end_dump(self, dump: Dump) -> None:
        """Say what is missing in a dump."""

    def run(self, lines: Lines) -> Iterator[Dump]:
        self._ends = lines.ends
        number, line = 0, b""
        for number, line in lines:
            frame = self._frames.get(line)
            if frame is not None and self.thread is not None and not self._noise_lines and not self._pending:
                self.stack.append(frame)
                self._last_line = number
                continue
            if not self._take(number, line):
                lines.last = [*self._noise][-2:]
                lines.push_back((number, line))
                line = b""
                break
            if self._done:
                yield from self._done
                self._done.clear()
        self._drop_pending()
        self._finish(line)
        yield from self._done

    def _take(self, number: int, line: bytes) -> bool:
        """Read one line; False if it is where something else begins."""
        if self._pending and self._join(number, line):
            return True
        self.number = number
        plain = line.strip()
        if not plain:
            return True
        if len(line) <= MAX_LINE:
            thread = self.header(text(plain)) if not line[:1].isspace() else None
            if thread is not None:
                self._begin(number, thread)
                return True
            if self.thread is not None and (self._frame(line) or self.detail(self.thread, text(line.rstrip()))):
                self._read(number)
                return True
        if self.title(line):
            return True
        other = threaddump_parsers.claimant(line)
        begins = len(line) <= MAX_LINE and self.BEGINS.match(line)
        if other is not None and (other.FORMAT != self.FORMAT or self.FORMS or not begins):
            return False
        if begins:
            self._pending = [(number, line)]
            return True
        if self._ends(number, line):
            return False
        self._add_noise(number, line)
        return self._noise_lines <= QUIET_LINES

    def _join(self, number: int, line: bytes) -> bool:
        """Whether this line ends a header whose name holds line breaks, or may still do."""
        plain = line.strip()
        indented = plain and line[:1].isspace()
        if len(line) <= MAX_LINE and not indented and self.header(text(plain)) is None:
            joined = b"\n".join(raw.rstrip(b"\r\n") for _, raw in [*self._pending, (number, line)])
            thread = self.header(text(joined.strip()))
            if thread is not None:
                first = self._pending[0][0]
                self._pending = []
                self._begin(first, thread)
                self._last_line = number
                return True
            if len(self._pending) < _NAME_LINES - 1 and threaddump_parsers.claimant(line) is None:
                self._pending.append((number, line))
                return True
        self._drop_pending()
        return False

    def _drop_pending(self) -> None:
        for number, raw in self._pending:
            self._add_noise(number, raw)
        self._pending = []

    def _frame(self, line: bytes) -> bool:
        match = self.FRAME.match(line)
        frame = self.frame(text(match[1].rstrip())) if match is not None else None
        if frame is None:
            return False
        if len(self._frames) > _MAX_KNOWN:
            self._frames.clear()
        self._frames[line] = frame
        self.stack.append(frame)
        return True

    def _begin(self, number: int, thread: Thread) -> None:
        if self.repeats(thread):
            self._finish()  # each thread once: this one is of the next dump
        self.end_thread()
        if self.dump is None:
            self._noise_lines = 0
            self.dump = self.begin_dump(number)
        self._read(number)
        thread.line = number
        if thread.java_id is not None:
            self._ids.add(thread.java_id)
        self.dump.threads.append(thread)
        self.thread = thread
        self.begun(thread)

    def end_thread(self) -> None:
        thread = self.thread
        if thread is not None:
            thread.stack = self.interned.stack(self.stack)
            settle(thread, self.monitors, self.synchronizers)
        self.thread = None
        self.stack, self.monitors, self.synchronizers = [], [], []

    def _read(self, number: int) -> None:
        """A line of the grammar: what stood between it and the line before did cut into the dump."""
        self._last_line = number
        if self._noise_lines and self.dump is not None:
            self.dump.unread_lines += self._noise_lines
            for line, raw in self._noise:
                add_problem(self.dump, line, "not part of the thread dump", raw)
        self._noise_lines = 0
        self._noise.clear()

    def _add_noise(self, number: int, line: bytes) -> None:
        self._noise_lines += 1
        self._noise.append((number, line[:MAX_LINE]))
        if self.ALONE or _EXCEPTION.match(line):
            self.end_thread()  # a stack trace that the application printed: its frames are not this thread's

    def _finish(self, last: bytes = b"") -> None:
        """Close the dump. ``last``: the last line of the input, where it ends here."""
        self.end_thread()
        dump = self.dump
        if dump is not None:
            self.owners.give(dump.threads)
            dump.end_line = self._last_line
            ours = last[:1].isspace() or self.BEGINS.match(last)
            if self._noise_lines == 1 and ours and not last.endswith(b"\n"):
                dump.end_line = self._noise[-1][0]
                add_problem(dump, dump.end_line, "the input ends in the middle of a line", last)
                dump.truncated.append("the input ends in the middle of a line")
            self.end_dump(dump)
            self._done.append(dump)
        self.dump = None
        self._ids.clear()
        self.interned.forget_locks()
