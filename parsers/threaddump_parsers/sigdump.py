r"""The text of Ruby's sigdump, as its ``sigdump.rb`` prints it (0.1 to 0.2)::

    Sigdump at 2026-11-22 20:54:47 +0000 process 2022 (puma: cluster worker 0)
      Thread #<Thread:0x00007f3a5c0@worker-1 /srv/shop.rb:4 sleep_forever> status=sleep priority=0
          /srv/shop.rb:4:in `pop'
          /srv/shop.rb:4:in `block in <main>'
      GC stat:
          count: 12
      Built-in objects:
       1,234: TOTAL

The innermost frame comes first. Ruby 3.4 quotes with ``'`` and names the class (``'Queue#pop'``). A method that is
written in C has the position of its caller: that is how it is told from others. The word before ``>`` tells
``sleep`` (with a timeout, or in a system call) from ``sleep_forever``; ``status=`` does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Frame, Thread
from threaddump_parsers.python_frames import DumpReader, clean, number_of, text

FORMAT = "sigdump"
FAMILY = "ruby"
TITLE = "Ruby sigdump"
CAPTURE = (("kill -CONT PID", "with the gem sigdump loaded; writes /tmp/sigdump-PID.log"),)
INITIALS = b"S \x1b"
SIGNATURE = rb"Sigdump at |  Thread #<"
WORDS = (b"Sigdump at ", b"Thread #<")

_TITLE = re.compile(
    rb"Sigdump at (\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?: ([+-]\d\d)(\d\d)| UTC)? process (\d{1,10}) \((.*)\)", re.DOTALL
)
# thread := "  Thread #<Thread:" address ["@" name] [" " file ":" line] " " state "> status=" status " priority=" number
_THREAD = re.compile(rb"\s*Thread #<(.*)> status=(\S+) priority=-?\d{1,5}", re.DOTALL)
_INSPECTED = re.compile(
    rb"[\w:]*Thread:(0x[0-9a-f]{1,16})(?:@(.*?))?(?: [^ ]+:\d{1,9}(?: \(main\))?)? (\w+)", re.DOTALL
)
_FRAME = re.compile(rb"\s*(\S.*?):(\d{1,9}):in [`'](.*)'", re.DOTALL)
_SECTION = (b"  GC stat:", b"  GC profiling result:", b"  Built-in objects:", b"  All objects:")
_COUNTED = re.compile(
    rb" +(?:[\w,.]+: .*|[\d,]+: .*|(?:String|Array|Hash) [\d,]+ \w+|Total garbage collection time: .*)"
)
_LIBRARY = re.compile(r"/ruby/(\d+\.\d+)(?:\.\d+)?/")
_NOT_IN_C = ("block ", "rescue ", "ensure ", "<")


def claims(line: bytes) -> bool:
    """The title, or a thread (of a paste without the title)."""
    if not line.startswith((b"Sigdump at ", b"  Thread #<", b"\x1b")):
        return False
    plain = clean(line)
    return _TITLE.fullmatch(plain) is not None or _THREAD.fullmatch(plain) is not None


def parse(lines: Lines) -> Iterator[Dump]:
    """Read a stretch of dumps; nothing where the title stands alone."""
    if any(_THREAD.fullmatch(clean(line)) for _, line in lines.peek(4)):
        yield from _Reader().run(lines)


def _frame(plain: bytes) -> Frame | None:
    found = _FRAME.fullmatch(plain) if plain.endswith(b"'") else None
    return None if found is None else Frame(text(found[3]), text(found[1]), number_of(found[2]))


class _Reader(DumpReader):
    FORMAT = FORMAT
    FAMILY = FAMILY
    RUNTIME = "Ruby"
    BEGINNINGS = (b"Sigdump at ", b"  Thread #<", b"      ")

    def __init__(self) -> None:
        super().__init__(_frame)
        self._in_c: dict[str, Frame] = {}
        self._counting = False
        """Within the sections about memory that follow the threads."""

    def read(self, number: int, line: bytes) -> bool:
        frame = self.table.frame(line)
        if frame is not None:
            self._counting = False
            self.add_frame(number, frame)
            return True
        plain = clean(line)
        title = _TITLE.fullmatch(plain) if len(plain) < 10_000 else None
        if title is not None:
            dump = self.begin(number, number)
            self._counting = False
            zone = text(title[3] + b":" + title[4]) if title[3] else ""
            dump.taken_at = f"{text(title[1])}T{text(title[2])}{zone}"
            dump.pid, dump.command = number_of(title[5]), text(title[6])
            return True
        thread = _THREAD.fullmatch(plain) if len(plain) < 10_000 else None
        if thread is not None:
            return self._read_thread(number, thread[1], thread[2])
        if self.dump is not None and self.dump.threads and plain.startswith(_SECTION):
            self._counting = True
        if self._counting and plain.startswith(b" ") and (plain.startswith(_SECTION) or _COUNTED.fullmatch(plain)):
            self.grammar()
            return True
        return False

    def _read_thread(self, number: int, inspected: bytes, status: bytes) -> bool:
        self._counting = False
        thread = Thread("", number, printed_state=text(status))
        found = _INSPECTED.fullmatch(inspected)
        if found is None:
            thread.address = text(inspected)[:100]
            thread.state = text(status)
        else:
            thread.name, thread.address = text(found[2] or b""), text(found[1])
            thread.printed_state = thread.state = text(found[3])
        self.add_thread(thread, thread.address)
        return True

    def settle(self, _thread: Thread) -> None:
        """Tell methods in C, which have the position of the frame below them."""
        for index, (frame, below) in enumerate(zip(self.stack, self.stack[1:], strict=False)):
            if (frame.file, frame.line) == (below.file, below.line) and not frame.function.startswith(_NOT_IN_C):
                known = self._in_c.get(frame.function)
                if known is None:
                    known = self._in_c[frame.function] = Frame(frame.function, native=True)
                self.stack[index] = known

    def end_dump(self, dump: Dump) -> None:
        """Take the version from the folder of the standard library: nothing else tells it."""
        files = (frame.file for thread in dump.threads for frame in thread.stack if frame.file is not None)
        versions = (_LIBRARY.search(file) for file in files)
        dump.version = next((version[1] for version in versions if version is not None), None)
