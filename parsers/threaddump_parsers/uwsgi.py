r"""The text of uWSGI's Python tracebacker, as printed by ``plugins/python/tracebacker.c`` of uWSGI 1.9 to 2.0::

    *** uWSGI Python tracebacker output ***

    thread_id = uWSGIWorker1Core1 filename = /srv/app/shop.py lineno = 5 function = slow line = return get(URL)
    thread_id = uWSGIWorker1Core1 filename = /usr/lib/python3.11/socket.py lineno = 706 function = readinto

    thread_id = uWSGIWorker1Core0 filename = /srv/app/shop.py lineno = 9 function = pay line = charge(order)

It is what a worker writes to whoever connects to the socket of ``--py-tracebacker``, so it shows one worker. The
innermost frame comes last, and a blank line stands between threads. ``line`` is the source line, where there is one.
A thread without a name is printed as ``<UnnamedPythonThread>``. A source line that is not ASCII ends the listing of its
thread without a word.
"""

from __future__ import annotations

from collections.abc import Iterator

from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Frame, Thread
from threaddump_parsers.python_frames import MAX_SOURCE_LINE, DumpReader, clean, innermost_first, number_of, text

FORMAT = "uwsgi"
FAMILY = "python"
TITLE = "uWSGI's Python tracebacker"
CAPTURE = (("uwsgi --connect-and-read /tmp/tbsocket1", "where uWSGI runs with --py-tracebacker /tmp/tbsocket"),)
INITIALS = b"t*\x1b"
SIGNATURE = rb"thread_id = |\*{3} uWSGI"
WORDS = (b"thread_id = ", b"*** uWSGI")

_TITLE = b"*** uWSGI Python tracebacker output ***"
_THREAD = b"thread_id = "
_FILE = b" filename = "
_UNNAMED = "<UnnamedPythonThread>"


def claims(line: bytes) -> bool:
    """The title, or a frame (of a paste without the title)."""
    if not line.startswith((_THREAD, b"*** uWSGI", b"\x1b")):
        return False
    plain = clean(line)
    return plain == _TITLE or _split(plain) is not None


def parse(lines: Lines) -> Iterator[Dump]:
    """Read a stretch of dumps; nothing where the title stands alone."""
    if any(_split(clean(line)) is not None for _, line in lines.peek(4)):
        yield from _Reader().run(lines)


def _split(plain: bytes) -> tuple[bytes, bytes] | None:
    """The thread's name and its frame; None for another line."""
    if not plain.startswith(_THREAD):
        return None
    name, found, rest = plain[len(_THREAD) :].partition(_FILE)
    frame = _FILE + rest
    return (name, frame) if found and _frame(frame) is not None else None


def _frame(plain: bytes) -> Frame | None:
    """Read `` filename = F lineno = N function = G[ line = SOURCE]``."""
    if not plain.startswith(_FILE):
        return None
    file, _, rest = plain[len(_FILE) :].partition(b" lineno = ")
    digits, _, rest = rest.partition(b" function = ")
    function, _, source = rest.partition(b" line = ")
    function = function.removesuffix(b" line =")
    line = number_of(digits)
    if not file or not function or line is None:
        return None
    kept = text(source.strip()) if len(source) <= MAX_SOURCE_LINE else ""
    return Frame(text(function), text(file), line, source=kept or None)


class _Reader(DumpReader):
    FORMAT = FORMAT
    BEGINNINGS = (_THREAD, _TITLE)

    def __init__(self) -> None:
        super().__init__(_frame)
        self._name = b""

    def read(self, number: int, line: bytes) -> bool:
        plain = clean(line)
        if plain == _TITLE:
            self.begin(number, number)
            return True
        parts = _split(plain) if len(plain) < 10_000 else None
        if parts is None:
            if plain.startswith(_THREAD):
                self.complain(number, "a frame that cannot be read", plain)
            return False
        name, printed = parts
        named = text(name) != _UNNAMED
        if self.thread is None or name != self._name or (self.blank and not named):
            self._name = name
            self.add_thread(Thread(text(name) if named else "", number), text(name) if named else None)
        # The frame is looked up without the thread in front of it: all threads share it.
        frame = self.table.frame(printed)
        if frame is not None:
            self.add_frame(number, frame)
        return True

    def settle(self, thread: Thread) -> None:
        innermost_first(thread, self.stack)
