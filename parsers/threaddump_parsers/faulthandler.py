r"""Dumps of the ``faulthandler`` module, as printed by ``Python/traceback.c`` of CPython 3.3 to 3.15::

    Timeout (0:00:10)!
    Thread 0x00007fcd098bd6c0 [web-3] (most recent call first):
      File "/usr/lib/python3.14/threading.py", line 369 in wait
      File "/srv/app/shop.py", line 12 in get

    Current thread 0x00007fbc6761bb80 [python3.14] (most recent call first):
      Garbage-collecting
      File "/srv/app/shop.py", line 16 in <module>

What was asked for comes first (``Modules/faulthandler.c``, ``Python/pylifecycle.c``): nothing for a signal,
``Timeout (h:mm:ss)!`` of ``dump_traceback_later``, ``Fatal Python error: ...`` or ``Windows fatal exception: ...``. One
thread alone is headed ``Stack (most recent call first):``. The names in brackets come with 3.14: they are the operating
system's, 15 bytes on Linux, and not unique. A crash ends with ``Current thread's C stack trace`` (3.14) and
``Extension modules: ...`` (3.10).

No comma stands before ``in``: with a comma it is a line of the ``traceback`` module and of other tools, which is not
read here. Text that is not ASCII was escaped by the runtime (``\xe9``, ``\u20ac``) and stays as printed.

The runtime stops at 100 threads, newest first, with a line ``...``; and at 100 frames, with ``  ...`` up to 3.11 and
without a word in 3.13 to 3.15.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Frame, Thread
from threaddump_parsers.python_frames import MAX_TEXT, DumpReader, clean, number_of, text

FORMAT = "faulthandler"
FAMILY = "python"
TITLE = "faulthandler, Python 3.3 to 3.15"
CAPTURE = (
    (
        "kill -USR1 PID",
        "where the program called faulthandler.register(signal.SIGUSR1, all_threads=True); 100 threads at most",
    ),
    ("PYTHONFAULTHANDLER=1", "fatal errors; dump_traceback_later(SECONDS, repeat=True) for a series"),
)
INITIALS = b"TCS<FW "
SIGNATURE = rb"(?:Current t|T)hread 0x[0-9a-fA-F]|Timeout \(\d"
WORDS = (b"hread 0x", b"Timeout (")

MAX_FRAMES = 100
"""``MAX_FRAME_DEPTH`` of ``Python/traceback.c``."""

_END = b"(most recent call first):"
_STACK = b"Stack (most recent call first):"
_C_STACK = b"Current thread's C stack trace (most recent call first):"
_ONE_THREAD = b"<Cannot show all threads while the GIL is disabled>"
# thread := ("Thread" | "Current thread") " 0x" id [" [" name "]"] " (most recent call first):"
_THREAD = re.compile(rb"(?:T|Current t)hread 0x([0-9a-f]{1,16})(?: \[(.*)\])? \(most recent call first\):", re.DOTALL)
_TIMEOUT = re.compile(rb"Timeout \(\d{1,6}:\d\d:\d\d(?:\.\d{1,6})?\)!")
_FATAL = (b"Fatal Python error: ", b"Windows fatal exception: ")
_FRAME_STARTS = (b"  File ", b"File ")
_HEADER_STARTS = (b"Thread 0x", b"Current thread 0x")
_STARTS = (*_HEADER_STARTS, b"Stack (", b"Timeout (", b"<Cannot show", *_FATAL, *_FRAME_STARTS)
_HEADER_LINES = 40
"""A fatal error may print the state of the runtime and an exception before the threads."""


def claims(line: bytes) -> bool:
    """A thread's header, what stands before the first one, or a frame (of a paste without its first lines)."""
    if not line.startswith(_STARTS):
        return False
    plain = clean(line)
    return _is_marker(plain) or _is_header(plain) or _frame(plain) is not None


def parse(lines: Lines) -> Iterator[Dump]:
    """Read a stretch of dumps; nothing where no frames in this module's form follow."""
    if _is_start(lines):
        yield from _Reader().run(lines)


def _is_start(lines: Lines) -> bool:
    ahead = [clean(line) for _, line in lines.peek(2)]
    if not ahead:
        return False
    if _is_marker(ahead[0]):
        return any(_is_header(clean(line)) for _, line in lines.peek(_HEADER_LINES))
    # Other tools use the same words above frames of their own form.
    body = ahead[1].lstrip() if len(ahead) > 1 else b""
    if body.startswith(b"File "):
        return _frame(body) is not None
    return ahead[0] != _STACK or body.startswith((b"<", b"Garbage-collecting"))


def _is_marker(plain: bytes) -> bool:
    return plain.startswith(_FATAL) or plain == _ONE_THREAD or _TIMEOUT.fullmatch(plain) is not None


def _is_header(plain: bytes) -> bool:
    return plain == _STACK or _THREAD.fullmatch(plain) is not None


def _frame(plain: bytes) -> Frame | None:
    """Read ``  File "/srv/shop.py", line 12 in get``; ``???`` stands for what the runtime could not read."""
    body = plain.lstrip()
    if not body.startswith((b'File "', b"File ???")):
        return None
    file, _, position = body[5:].rpartition(b", line ")
    digits, _, function = position.partition(b" in ")
    line = number_of(digits)
    if not file or not function or (line is None and digits != b"???"):
        return None
    if file.startswith(b'"'):
        if not file.endswith(b'"'):
            return None
        file = file[1:-1]
    return Frame(text(function), text(file), line)


class _Reader(DumpReader):
    FORMAT = FORMAT
    BEGINNINGS = _STARTS

    def __init__(self) -> None:
        super().__init__(_frame)
        self._marker: int | None = None
        """The line of a ``Timeout`` or ``Fatal Python error`` whose threads are still to come."""
        self._one_thread = False
        self._fatal: str | None = None
        """What the marker says that the process died of."""
        self._over = False
        """The dump has printed what stands last: the next thread is the next dump's."""
        self._spaced = False
        """Whether blank lines stand between the threads, as the runtime prints them. journald loses them."""
        self._current = False
        """Whether the dump has had its one current thread."""
        self._capped = 0
        self._broken: Thread | None = None
        """The thread of a frame line that other output broke."""

    def read(self, number: int, line: bytes) -> bool:
        frame = self.table.frame(line)
        if frame is not None:
            self._lose_frame()
            if self._marker is not None and self.thread is None:
                self._begin_marked(self._marker, number)  # the header is lost
            self._forget_marker()
            self.add_frame(number, frame)
            return True
        plain = clean(line)
        if _END in plain and self._read_header(number, plain):
            return True
        if _is_marker(plain):
            self._marker = self._marker or number
            self._one_thread = self._one_thread or plain == _ONE_THREAD
            if plain.startswith(_FATAL):
                self._fatal = text(plain.partition(b": ")[2][:MAX_TEXT])
            return False  # it counts once a thread follows
        if self.dump is not None and self._read_remark(plain):
            self._forget_marker()
            self.grammar()
            return True
        body = plain.lstrip()
        if body.startswith(b'File "') and b", in " not in body:
            self._broken = self.thread
            self.complain(number, "a frame that other output cut in two", plain)
        elif body.startswith(_HEADER_STARTS):
            self.complain(number, "a thread header that cannot be read", plain)
        return False

    def _forget_marker(self) -> None:
        """The dump goes on behind the marker, which then is another's."""
        self._marker, self._fatal, self._one_thread = None, None, False

    def _read_header(self, number: int, plain: bytes) -> bool:
        odd = False
        if plain == _C_STACK and self.dump is not None:
            self.grammar()
            self._over = True
            return True
        header = _THREAD.fullmatch(plain)
        if header is None and plain != _STACK:
            # The runtime writes piece by piece past all buffers: the output of others ends up in its lines.
            end = plain.find(_END) + len(_END)
            at = plain.rfind(b"hread 0x", 0, end)
            start = at - 9 if plain[at - 9 : at] == b"Current t" else at - 1
            within = self.dump is not None and not self._over and not self.main_is_printed()
            header = _THREAD.fullmatch(plain[start:end]) if at > 0 and within else None
            if header is None:
                return False
            odd = True
        address = hex(int(header[1], 16)) if header is not None else None
        name = text(header[2] or b"") if header is not None else ""
        self._lose_frame()
        self._separate(number, plain)
        # 0 is the id of a thread that has not started yet: it tells nobody apart.
        thread = Thread(name, number, address=address)
        self.add_thread(thread, address if address != "0x0" else None)
        if self.dump is not None and self.dump.died is not None and (plain == _STACK or plain.startswith(b"Current")):
            self.dump.died_in = thread
        if odd:
            self.complain_now(number, "other output in the line of a thread header", plain)
        return True

    def _separate(self, number: int, header: bytes) -> None:
        """Start the next dump if this header is its first.

        It is after a marker, after the end of a dump, and where only one can stand in a dump. The runtime prints a
        blank line between threads, but none before the first.
        """
        dump = self.dump
        only_one = header == _STACK or (self._current and header.startswith(b"Current"))
        if self._marker is not None:
            self._begin_marked(self._marker, number)
        elif (
            dump is None
            or self._over
            or self.main_is_printed()
            or (dump.threads and (only_one or (self._spaced and not self.blank)))
        ):
            self.begin(number, number)
        elif dump.threads and self.blank:
            self._spaced = True
        self._current = self._current or header.startswith(b"Current")
        self._marker, self._one_thread = None, False

    def _begin_marked(self, marker: int, number: int) -> None:
        dump = self.begin(marker, number)
        dump.died, self._fatal = self._fatal, None
        if self._one_thread:
            dump.truncated.append("one thread only: the runtime cannot show the others while the GIL is disabled")

    def _read_remark(self, plain: bytes) -> bool:
        """Read a line that is neither a header nor a frame."""
        dump, thread, body = self.dump, self.thread, plain.lstrip()
        if thread is None or dump is None:
            return False
        if plain == b"..." and not self._is_frame_cap():
            dump.truncated.append(
                f"the runtime stopped after {len(dump.threads)} threads and prints the newest first: "
                "the main thread and the oldest threads are missing"
            )
            self._over = True
            return True
        if body == b"..." or (body.startswith(b"plus ") and body.endswith(b" frames")):
            thread.truncated = True
            return True
        if body.startswith(b"Extension modules: "):
            self._over = True
            return True
        # "<no Python frame>" (not indented up to 3.9), "<tstate is freed>", "<cannot get C stack on this system>"
        return (
            body == b"Garbage-collecting"
            or body.startswith(b'Binary file "')
            or (body.startswith(b"<") and body.endswith(b">") and (plain != body or body == b"<no Python frame>"))
        )

    def _is_frame_cap(self) -> bool:
        """Whether a ``...`` that lost its blanks stands for frames: directly below the last possible one."""
        return len(self.stack) == MAX_FRAMES and not self.gap

    def _lose_frame(self) -> None:
        if self._broken is not None:
            self._broken.truncated = True
            self._broken = None

    def end_thread(self, thread: Thread) -> None:
        if len(thread.stack) == MAX_FRAMES:
            thread.truncated = True
            self._capped += 1

    def end_dump(self, dump: Dump) -> None:
        if self._capped:
            dump.truncated.append(
                f"the runtime stops at {MAX_FRAMES} frames: {self._capped} "
                f"{'thread has' if self._capped == 1 else 'threads have'} as many, and the outermost may be missing"
            )
        self._capped = 0
        self._over = self._spaced = self._current = False
        self._broken = None
