r"""The text of ``gevent.util.print_run_info`` and of gevent's monitor of blocked loops (``gevent/util.py``).

All threads of the process, then all greenlets as a tree: who spawned whom. gevent 1.3 to 26::

    ********************************************************************************
    * Threads
    ********************************************************************************
    Thread 0x7ff0613c6b80 (MainThread) (CURRENT)
    ..
      File "/srv/app/shop.py", line 34, in serve
        gevent.util.print_run_info()
    ..
    * Greenlets
    ********************************************************************************
    ---- Thread boundary
    <greenlet.greenlet object at 0x7ff05ff32140 (otid=0x5624a3030820) current active started main>
     :    Parent: None
     +--- <Greenlet "Greenlet-3" at 0x7ff05f766660: fetch(1)>
     :          Parent: <Hub '' at 0x7ff05fdf7ba0 epoll default pending=0 ref=6 fileno=4 thread_ident=0x7ff0613c6b80>
     :          Running:
     :            File "/srv/app/shop.py", line 12, in fetch
     :              c.recv(100)
     :          Spawned at:

The innermost frame comes last. Only greenlets of the thread that prints have a ``Running`` stack, and compiled parts of
gevent have no frames. ``; not running`` has not started, ``; finished`` is over. A greenlet that is to start next is
printed with the stack of whoever prints (its frame is None, which ``traceback.format_stack`` takes for that). The first
greenlet of a thread is the thread itself; it is an entry here only where it is suspended and shows where.

The monitor (``gevent/_monitor.py``) prints the same after ``.. Greenlet <..> appears to be blocked`` and ``Blocked
Stack (for thread id 0x7fb5ee1f5b80):`` with the frames of the thread whose loop does not get on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Frame, Thread
from threaddump_parsers.python_frames import DumpReader, clean, innermost_first, number_of, text

FORMAT = "gevent"
FAMILY = "python"
TITLE = "gevent's run info"
CAPTURE = (
    ("gevent.util.print_run_info()", "within the process, in a signal handler for instance; threads and greenlets"),
    ("GEVENT_MONITOR_THREAD_ENABLE=1", "in the environment: a report whenever a loop is blocked, in standard error"),
)
INITIALS = b"*-B\x1b"
SIGNATURE = rb"\*{20,}\r?\n|\* Threads"
WORDS = (b"****", b"* Threads")

BLOCKED = "appears to be blocked"
"""The state of a thread of which gevent's monitor says so."""

_RULE = b"*" * 80
_THREADS, _GREENLETS = b"* Threads", b"* Greenlets"
_BOUNDARY = b"---- Thread boundary"
_BLOCKED = re.compile(rb"Blocked Stack \(for thread id (0x[0-9a-f]{1,16})\):")
_THREAD = re.compile(rb"Thread (0x[0-9a-f]{1,16}) \((.{0,1000}?)\)( \(CURRENT\))?", re.DOTALL)
# node := prefix ["+--- "] "<" class [' "' name '"'] " at 0x" address [": " function] ">" ["; finished" .. | "; not.."]
_NODE = re.compile(
    rb"(?:[ :|]*\+--- )?<([\w.]{1,200})(?: \"([^\"]*)\"| '[^']*')?(?: object)? at (0x[0-9a-f]{1,16})([: ].*)?>(; .*)?",
    re.DOTALL,
)
_MARGIN = b" :|"
_BRANCHES = (b":", b"|", b"+")
"""What the lines of the tree have in their margin, where something follows on that level."""
_DATA = (b"Parent: ", b"Monitoring Thread:", b"Greenlet Locals:", b"Spawn Tree Locals", b"Spawned at:")
_PRINTERS = re.compile(r"gevent[/\\](?:util|_monitor|_tracer)\.py$")


def claims(line: bytes) -> bool:
    """A rule or a heading of the dump, or the blocked stack before it."""
    if not line.startswith((b"****", b"* ", b"----", b"Blocked Stack", b"\x1b")):
        return False
    plain = clean(line)
    return plain in (_RULE, _THREADS, _GREENLETS, _BOUNDARY) or _BLOCKED.fullmatch(plain) is not None


def parse(lines: Lines) -> Iterator[Dump]:
    """Read a stretch of dumps; nothing where a rule of asterisks heads something else."""
    ahead = [clean(line) for _, line in lines.peek(2)]
    if ahead and (ahead[0] != _RULE or any(line in (_THREADS, _GREENLETS) for line in ahead[1:])):
        yield from _Reader().run(lines)


class _Reader(DumpReader):
    FORMAT = FORMAT
    BEGINNINGS = (_RULE, b"Thread 0x", b'  File "', b" :", b" +---", b" |", b"<", _BOUNDARY)

    def __init__(self) -> None:
        super().__init__(lambda _: None)
        self._places: dict[tuple[str, str, int], Frame] = {}
        self._tree = False
        """Whether the greenlets are being read."""
        self._foreign = False
        """Whether frames are not where something runs, but where it was spawned, or printed before."""
        self._root = False
        self._current: set[Thread] = set()
        """Threads and greenlets that are said to be the one that prints."""
        self._roots: set[Thread] = set()
        self._printing: list[Thread] = []
        """Greenlets with the stack of whoever prints."""
        self._blocked: str | None = None

    def read(self, number: int, line: bytes) -> bool:
        plain = clean(line)
        if not plain:
            return False
        body = plain.lstrip(_MARGIN)
        below = not self._tree or plain.lstrip(b" ")[:1] in _BRANCHES or (plain[:1] == b" " and not self._pending)
        if body.startswith(b'File "') and plain[:1] in _MARGIN and below:
            return self._read_frame(number, body, plain)
        if self._tree and (below or plain.startswith(b"<")):
            return self._read_tree(number, line, plain, body)
        if plain[:1] in b" \t":
            known = self.thread is not None and (bool(self.stack) or body.strip() == b"...stack elided...")
            return (known or self._foreign) and not self.gap  # the source line
        return self._read_heading(number, line, plain)

    def _read_heading(self, number: int, line: bytes, plain: bytes) -> bool:
        if plain == _THREADS:
            if self.dump is None or self._blocked is None or len(self.dump.threads) > 1:
                self._begin(number)
            self.grammar()
            self._tree = False
            return True
        if plain in (_GREENLETS, _BOUNDARY):
            if self.dump is None:
                self._begin(number)
            self.grammar()
            self._tree = True
            self._root = plain == _BOUNDARY
            return True
        blocked = _BLOCKED.fullmatch(plain)
        if blocked is not None:
            self._begin(number)
            self._blocked = text(blocked[1])
            thread = Thread("", number, address=self._blocked, printed_state=BLOCKED)
            self.add_thread(thread, None)
            self._foreign = False
            return True
        if self.dump is None:
            return False
        if plain == _RULE or (plain == b"Info:" and self._blocked is not None):
            self.grammar()
            return True
        header = _THREAD.fullmatch(plain) if line.endswith(b"\n") and not self._tree else None
        if header is None:
            return False
        return self._read_thread(number, header)

    def _read_thread(self, number: int, header: re.Match[bytes]) -> bool:
        address, name = text(header[1]), "" if header[2] == b"None" else text(header[2])
        dump = self.dump
        assert dump is not None
        self._foreign = address == self._blocked
        if self._foreign:
            self.grammar()
            dump.threads[0].name = name  # its frames stand above, as the blocked ones
            return True
        thread = Thread(name, number, address=address)
        self.add_thread(thread, None)
        if header[3] is not None:
            self._current.add(thread)
        return True

    def _read_frame(self, number: int, body: bytes, plain: bytes) -> bool:
        """Read ``File "/srv/shop.py", line 12, in fetch`` behind any margin."""
        file, _, position = body[6:].partition(b'", line ')
        digits, _, function = position.partition(b", in ")
        at = number_of(digits)
        if not file or not function or at is None:
            self.complain(number, "a frame that cannot be read", plain)
            return False
        if self.dump is None:
            return False
        if self._foreign or self.thread is None:
            self.grammar()
            return True
        key = text(function), text(file), at
        self.add_frame(number, self._places.setdefault(key, Frame(*key)))
        return True

    def _read_tree(self, number: int, line: bytes, plain: bytes, body: bytes) -> bool:
        """Read a greenlet, or a line of what is told about one."""
        node = _NODE.fullmatch(plain) if line.endswith(b"\n") else None
        if node is not None and (b"+--- <" in plain or self._root):
            self._read_greenlet(number, node)
            return True
        if (self.thread is None and not self._foreign) or plain.startswith(b"<") or body.startswith(b"Reported by <"):
            return False
        self.grammar()
        if body == b"Running:":
            self._foreign = False
        elif body.startswith(_DATA):
            self._foreign = True
        return True

    def _read_greenlet(self, number: int, node: re.Match[bytes]) -> None:
        kind, name, address, more, end = node.groups()
        thread = Thread(text(name or b""), number, address=text(address), virtual=True)
        if kind.endswith(b"Hub"):
            thread.name = "Hub"
        if end is not None:
            thread.printed_state = text(end[2:])
            thread.state = "TERMINATED" if end.startswith(b"; finished") else "NEW"
        self.add_thread(thread, None)
        if self._root:
            self._roots.add(thread)
        words = (more or b"").split() if kind.endswith(b"greenlet") else []
        if b"current" in words:
            self._current.add(thread)
        self._root, self._foreign = False, True

    def _begin(self, number: int) -> None:
        self.begin(number, number)
        self._tree = self._foreign = False

    def settle(self, thread: Thread) -> None:
        innermost_first(thread, self.stack)
        at = max((i + 1 for i, frame in enumerate(self.stack) if _PRINTERS.search(frame.file or "")), default=0)
        if at:
            del self.stack[:at]
            if thread.virtual and thread not in self._current:
                self._printing.append(thread)

    def end_dump(self, dump: Dump) -> None:
        current = any(thread.virtual for thread in self._current) or len(self._printing) != 1
        for thread in self._printing:
            if current:  # that one prints, so these have yet to start; or nothing tells which one of them prints
                thread.stack = ()
                thread.state, thread.printed_state = "NEW", "to start next"
        # The first greenlet of a thread that is running, or does not show where it is, is the thread's own entry again.
        again = {thread for thread in self._roots if thread in self._current or not thread.stack}
        dump.threads = [thread for thread in dump.threads if thread not in again]
        self._current.clear()
        self._roots.clear()
        self._printing.clear()
        self._places.clear()
        self._blocked = None
