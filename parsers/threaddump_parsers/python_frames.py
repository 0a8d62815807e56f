"""What readers of stack dumps share, Python's and others: clean lines, interned frames, threads collected into dumps.

The cost of a dump is in its frame lines, and these repeat: most threads of a pool stand in the same calls. So a frame
line is read once and then found in a dict by its bytes; everything else takes the slow way through ``read``.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from threaddump_parsers.lines import Lines, NumberedLine
from threaddump_parsers.model import Dump, Frame, Problem, Stack, Thread

MAX_FRAMES_KEPT = 50_000
"""Frames kept from one dump to the next. Within a dump all are kept, for the dump holds them anyway."""
QUIET_LINES = 200
"""So many lines without grammar end a stretch: what follows is the log of the application, not the dump."""
MAX_PROBLEMS = 100
"""A dump names this many odd lines; the others are only counted."""
MAX_TEXT = 200
MAX_SOURCE_LINE = 500
"""A longer source line is not kept: nobody reads it, and it may be hostile."""
MAX_FRAME_LINE = 10_000
"""A longer line is no frame: paths end at 4,096 bytes, and faulthandler cuts names at 500 characters."""

ROOTS = (b"in _bootstrap", b"in __bootstrap")
"""How the outermost frame of a thread ends."""
_MAIN = {"<module>", "_run_module_as_main"}
"""The outermost function of the main thread; of all others it is one of ``threading.py``, or was called from C."""
_ANSI = re.compile(rb"\x1b\[[0-9;]*[A-Za-z]")
_NO_FRAMES: dict[bytes, Frame] = {}


def clean(line: bytes) -> bytes:
    """The line without its end and without the colours that a terminal capture leaves."""
    if b"\x1b" in line:
        line = _ANSI.sub(b"", line)
    return line.rstrip()


def text(raw: bytes) -> str:
    """Decode what the dump printed; bytes that are no UTF-8 stay visible as U+FFFD."""
    return raw.decode("utf-8", "replace")


def number_of(digits: bytes) -> int | None:
    """A line number or an id; None for what no runtime prints (``int`` refuses very long numbers with an error)."""
    return int(digits) if digits.isdigit() and len(digits) <= 20 else None


LIVE = frozenset({"SIGSTOP", "SIGTRAP", "SIGCONT", "SIGTSTP"})
"""Signals in a core file of a process that lives on: ``gcore`` and debuggers send them."""
_SIGNALS = {3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM"}
"""Those whose numbers are the same on Linux and macOS; not all are known to ``signal`` on all platforms."""


def signal_name(number: int) -> str | None:
    """What a process died of by this number; None for 0, SIGTRAP and the signals of a process that was stopped."""
    if number in {0, 5, 17, 18, 19, 20}:
        return None
    return _SIGNALS.get(number, f"signal {number}")


class FrameTable:
    """Frames by the line that prints them, and stacks by their frames."""

    __slots__ = ("_read", "_stacks", "_with_source", "by_line")

    def __init__(self, read: Callable[[bytes], Frame | None]) -> None:
        self._read = read
        self.by_line: dict[bytes, Frame] = {}
        self._stacks: dict[Stack, Stack] = {}
        self._with_source: dict[tuple[Frame, str], Frame] = {}

    def frame(self, line: bytes) -> Frame | None:
        """The frame a line prints, or None. One frame object, whatever the line end and the colours."""
        if len(line) > MAX_FRAME_LINE:
            return None
        plain = clean(line)
        frame = self.by_line.get(plain)
        if frame is None:
            frame = self._read(plain)
            if frame is None:
                return None
            self.by_line[plain] = frame
        self.by_line[line] = frame
        return frame

    def with_source(self, frame: Frame, line: bytes) -> Frame:
        """The frame with the source line printed below it: the same frame, but where another dump printed another."""
        source = text(line.strip()) if len(line) <= MAX_SOURCE_LINE else None
        if not source or frame.source == source:
            return frame
        if frame.source is None:
            frame.source = source
            return frame
        return self._with_source.setdefault((frame, source), replace(frame, source=source))

    def stack(self, frames: list[Frame]) -> Stack:
        stack = tuple(frames)
        return self._stacks.setdefault(stack, stack)

    def trim(self) -> None:
        """Forget all when it has become much. Only between dumps: within one, equal stacks are one object."""
        if len(self.by_line) > MAX_FRAMES_KEPT or len(self._stacks) > MAX_FRAMES_KEPT:
            self.by_line.clear()
            self._stacks.clear()
            self._with_source.clear()


def innermost_first(thread: Thread, stack: list[Frame]) -> None:
    """Turn a stack that was printed with its innermost frame last, and the variables with it."""
    stack.reverse()
    if thread.locals:
        thread.locals = {len(stack) - 1 - at: variables for at, variables in reversed(thread.locals.items())}


def is_main(stack: Sequence[Frame]) -> bool:
    """Whether a stack, innermost frame first, is that of the process's first thread."""
    outermost = next((frame for frame in reversed(stack) if not frame.native), None)
    return outermost is not None and outermost.function in _MAIN


class DumpReader:
    """Collects the threads and frames of one stretch into dumps.

    A subclass tells in ``read`` what a line is. Lines that are no grammar open a *gap*. A gap that grammar follows was
    output that cut into the dump: its lines count as unread. A gap at the end is not the dump's: it counts nothing.
    """

    FORMAT: str
    FAMILY = "python"
    RUNTIME: str | None = "CPython"
    OUTERMOST_FIRST = False
    BEGINNINGS: tuple[bytes, ...]
    """How lines of this format start: an unfinished last line that starts so was cut."""

    def __init__(self, read_frame: Callable[[bytes], Frame | None]) -> None:
        self.table = FrameTable(read_frame)
        self.known: Callable[[bytes], Frame | None] = _NO_FRAMES.get
        """Finds the frame of a line already seen. It finds nothing in a gap and before the first thread, so that the
        next line takes the slow way, which closes the gap or names the thread."""
        self.dump: Dump | None = None
        self.thread: Thread | None = None
        self.stack: list[Frame] = []
        self.gap: deque[NumberedLine] = deque(maxlen=2)
        """The last lines of the gap: the header of the next dump may be among them, or what another parser needs."""
        self.blank = False
        """Whether a line of the gap is blank."""
        self.done: list[Dump] = []
        self._ids: set[str] = set()
        self._pending = 0
        self._pending_problems: list[Problem] = []
        self._ends: Callable[[int, bytes], bool]

    def read(self, number: int, line: bytes) -> bool:
        """Read a line that is no known frame; False if it is none of the grammar's."""
        raise NotImplementedError

    def settle(self, thread: Thread) -> None:
        """Called with the frames of a thread as printed, in ``stack``: turn or correct them here."""

    def end_thread(self, thread: Thread) -> None:
        """Called when all frames of a thread are there."""

    def end_dump(self, dump: Dump) -> None:
        """Called when all threads of a dump are there."""

    def run(self, lines: Lines) -> Iterator[Dump]:
        """Read a stretch and yield its dumps, each as soon as it is complete."""
        self._ends = lines.ends
        append = self.stack.append
        number, line = 0, b""
        for number, line in lines:
            frame = self.known(line)
            if frame is not None:
                append(frame)
                continue
            # Frames of several formats look alike: below other lines, the outermost one is of whoever claims it.
            foreign = self._pending and line.rstrip().endswith(ROOTS) and self._is_foreign(line)
            if (foreign or not self.read(number, line)) and self._skip(number, line):
                # The parser that is called next wants to see what stands before its first line (a time stamp).
                lines.push_back(*self.gap)
                self.finish(number)
                yield from self.done
                return
            if self.done:
                yield from self.done
                self.done.clear()
        self._note_cut(number, line)
        self.finish(number + 1)
        yield from self.done

    def begin(self, line: int, number: int) -> Dump:
        """Finish the dump being read and start one whose first line is ``line``; ``number`` is the line at hand."""
        self.finish(number)
        self.dump = Dump(self.FORMAT, line, self.FAMILY, self.RUNTIME)
        return self.dump

    def finish(self, number: int) -> None:
        """Hand on the dump being read, of which ``number`` is no part any more."""
        self._end_thread()
        dump = self.dump
        if dump is not None:
            if not self.gap:
                dump.end_line = number - 1
            if not dump.threads:
                self._add_problem(dump, Problem(dump.line, "the dump has no thread"))
            self.end_dump(dump)
            self.done.append(dump)
        self.dump = None
        self.known = _NO_FRAMES.get
        self._close_gap()
        self._ids.clear()
        self.table.trim()

    def grammar(self) -> None:
        """The line at hand is the dump's: what stands in the gap before it had cut in."""
        dump = self.dump
        if not self.gap or dump is None:
            return
        dump.unread_lines += self._pending
        for problem in self._pending_problems:
            self._add_problem(dump, problem)
        self._close_gap()
        if self.thread is not None:
            self.known = self.table.by_line.get

    def add_thread(self, thread: Thread, thread_id: str | None) -> None:
        """Start a thread. An id that the dump already has starts the next dump: the header between them is lost."""
        if self.dump is None or thread_id in self._ids:
            self.begin(thread.line, thread.line)
        self.grammar()
        self._end_thread()
        if thread_id is not None:
            self._ids.add(thread_id)
        assert self.dump is not None
        self.dump.threads.append(thread)
        self.thread = thread
        self.known = self.table.by_line.get

    def add_frame(self, number: int, frame: Frame) -> None:
        """Add a frame met on the slow way. Frames before the first header belong to a thread whose header is lost."""
        if self.thread is None:
            self.add_thread(Thread("", number, truncated=True), None)
            assert self.dump is not None
            self.dump.truncated.append("the start of the dump is missing: it begins in the middle of a thread")
        self.grammar()
        self.stack.append(frame)

    def add_source(self, line: bytes) -> None:
        """Keep the source line of the frame that was added last."""
        self.stack[-1] = self.table.with_source(self.stack[-1], line)

    def complain(self, number: int, reason: str, line: bytes) -> None:
        """Note an odd line that is no grammar; it is reported if more of the dump follows."""
        self._pending_problems.append(_problem(number, reason, line))
        del self._pending_problems[MAX_PROBLEMS:]

    def complain_now(self, number: int, reason: str, line: bytes) -> None:
        """Note an odd line of the dump."""
        if self.dump is not None:
            self._add_problem(self.dump, _problem(number, reason, line))

    def main_is_printed(self) -> bool:
        """Whether the thread at hand is the process's first one, which runtimes that walk their list print last."""
        return is_main(self.stack[::-1] if self.OUTERMOST_FIRST else self.stack)

    def _close_gap(self) -> None:
        self.gap.clear()
        self.blank = False
        self._pending = 0
        self._pending_problems.clear()

    def _end_thread(self) -> None:
        if self.thread is not None:
            self.settle(self.thread)
            self.thread.stack = self.table.stack(self.stack)
            self.end_thread(self.thread)
            self.thread = None
        self.stack.clear()

    def _is_foreign(self, line: bytes) -> bool:
        """Whether a dump of another format begins in this line."""
        from threaddump_parsers import claimant  # the package finds this module, so not at its top

        other = claimant(line)
        return other is not None and other.FORMAT != self.FORMAT

    def _skip(self, number: int, line: bytes) -> bool:
        """Put a line into the gap. True where the stretch ends: at another's line, or after many lines of nobody."""
        from threaddump_parsers import claimant

        if not self.gap:
            self.known = _NO_FRAMES.get
            if self.dump is not None:
                self.dump.end_line = number - 1
        blank = not line.strip(b" \t\r\n-=")  # or a rule: py-spy prints one before a subprocess
        if not blank and (self._is_foreign(line) if claimant(line) is not None else self._ends(number, line)):
            # The two lines before it and the line itself.
            self.gap = deque([*self.gap, (number, line)], maxlen=3)
            return True
        self.gap.append((number, line))
        self.blank = self.blank or blank
        self._pending += not blank
        return self._pending >= QUIET_LINES

    def _note_cut(self, number: int, line: bytes) -> None:
        """Say so when the input stops within a line of the dump; everything before that line is kept."""
        dump = self.dump
        if dump is None or not line or line.endswith(b"\n"):
            return
        if self.gap:
            start = clean(line)
            ours = any(start.startswith(begin) or begin.startswith(start) for begin in self.BEGINNINGS)
            if not start or not ours or self._pending > 1:
                return  # the log of the application, which came after the dump
            self._pending_problems.clear()
            self.grammar()
            self._add_problem(dump, _problem(number, "the dump ends in the middle of this line", line))
        elif not (dump.problems and dump.problems[-1].line == number):
            return  # a whole line: only the line end is missing
        dump.truncated.append("the input ends in the middle of a line: what came after it is missing")
        if self.thread is not None:
            self.thread.truncated = True

    @staticmethod
    def _add_problem(dump: Dump, problem: Problem) -> None:
        if len(dump.problems) < MAX_PROBLEMS:
            dump.problems.append(problem)


def _problem(number: int, reason: str, line: bytes) -> Problem:
    return Problem(number, reason, text(clean(line[: 4 * MAX_TEXT]))[:MAX_TEXT])
