r"""Dumps that a Python process writes of itself: ``sys._current_frames()`` printed with the ``traceback`` module.

There is no one tool: everybody has a recipe, and all print the innermost frame last, with its source line below it. One
kind, known from gunicorn's and Django's hooks, Airflow (``airflow/utils/..``) and Odoo (``odoo/tools/misc.py``)::

    # Thread: worker-0(140719332234944)
    File: "/usr/lib/python3.11/threading.py", line 982, in run
      self._target(*self._args, **self._kwargs)

The other is what ``Lib/traceback.py`` prints, below a header of the recipe's own::

    Thread 0x7fd52b7f6b80: MainThread (daemon=False)
    <Thread(worker-0, started daemon 140719357413056)>
    --- Thread ID: 140719332234944 ---
    ~~~~~~~~~~ Stack of helper (139633241806528) ~~~~~~~~~~          pytest_timeout.py
     Thread sleeper  (daemon: True, pydevd thread: False)            pydevd_utils.py; its frames have one blank
    ---------- Thread 140228845962944 "locker" hangs  ----------    hanging_threads.py; its frames have one tab
    worker-0                                                         only if several such names stand above stacks
      File "/usr/lib/python3.11/threading.py", line 982, in run
        self._target(*self._args, **self._kwargs)

``cry`` of Celery (``celery/utils/debug.py``) has bare names, and the variables of the innermost frame below ``LOCAL
VARIABLES``, as ``pprint`` prints them. manhole has ``File: "`` below ``######### ProcessID=7, ThreadID=140228845962944
#########``, and some recipes print the source in the line of such a frame.

oslo.reports (``generators/threading.py``) has frames like ``/srv/app/shop.py:7 in pay``, with blank lines between.

The comma before ``in`` tells these frames from those of faulthandler, which prints the innermost first. Below
``(most recent call last)`` they are an exception, and no dump. The thread that wrote the dump has the recipe on top of
its stack; these frames are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Frame, Thread
from threaddump_parsers.python_frames import ROOTS, DumpReader, clean, innermost_first, is_main, number_of, text

FORMAT = "traceback"
FAMILY = "python"
WROTE_THE_DUMP = "wrote the dump"
"""Stands for the state of the thread whose own frames of writing the dump were dropped. No recipe prints states."""
TITLE = "sys._current_frames() recipes"
CAPTURE = (
    (
        "kill -QUIT PID",
        "where the program has such a handler (Airflow, Odoo); also pydevd, pytest-timeout, oslo.reports",
    ),
)
INITIALS = b" \t#<Tt-=~*+FDM\x1b"
SIGNATURE = (
    rb"# Thread|<_?\w{0,30}Thread\(|~{5,} ?Stack of |Dumping stack traces|={10,} Thread Dump =|-{3,} {3,}Thread #\d"
    rb"|-{3,} *Thread \d{1,20} \"|#{3,} ProcessID=\d|MainThread:?\r?\n"
    rb'|  File "[^"\n]{1,200}threading\.py", line \d{1,9}, in __?bootstrap\b'
)
WORDS = (b"hread", b"Stack of ", b"Dumping stack")

_STARTS = (b'File "', b'File: "')
_CALLS = b"(most recent call "
_AHEAD = 8
_NAMES_AHEAD = 300
_NAMES_QUIET = 20
"""Lines without a frame that may stand between two of one dump, before its variables are told."""
_MAX_HEADER = 1000
_MAIN_THREAD = "MainThread"
_HINTS = (b"hread", b"Stack of", b"# Greenlet", b", started")
_IDENT = rb"(?P<id>\d{5,20}|0x[0-9a-f]{6,16})"
_HEADERS = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        rb"# (?:Thread ?ID|Thread|Greenlet): ?(?P<who>.+)",
        rb"# Thread #\d{1,9} \(id=(?P<id>\d{1,20})\)(?:, (?P<name>.+))?",
        rb"#{3,} ProcessID=\d{1,20}, ThreadID=(?P<id>\d{1,20}) #{3,}",
        rb"-* *Thread (?P<id>\d{1,20}) \"(?P<name>[^\"]*)\" hangs *-*",
        rb"Thread (?P<id>\d{5,20}), (?P<who><[\w.]{1,99}\(.*, (?:started|initial|stopped).*\)>):?",
        rb"[Tt]hread (?P<id>\d{5,20})(?: ={3,})?:?",
        rb"(?:Thread: ?)?(?P<who><[\w.]{1,99}\(.*, (?:started|initial|stopped)(?: daemon)?(?: \d{1,20})?\)>):?",
        rb"Thread (?P<id>0x[1-9a-f][0-9a-f]{0,15})(?:: (?P<name>.+?))??(?: \(daemon=\w{4,5}\))?:?",
        rb"(?:[-=~*#+]{2,} ?)?[Tt]hread ?(?:ID|Id|id|ident)[:=# ] ?"
        + _IDENT
        + rb"(?:[,:]? -? ?(?:[Nn]ame[:=] ?)?\(?(?P<name>[^()]*)\)?)??(?: ?[-=~*#+]{2,}|:)?",
        rb"[-=~*#+]{2,} ?[Tt]hread " + _IDENT + rb"(?: \((?P<name>[^()]*)\))? ?[-=~*#+]{2,}",
        rb"(?:[-=~*#+]{2,} ?)?[Tt]hread:? (?P<name>[^(<\d].*?) ?\((?:ID|Id|id|ident)?[:= ]{0,2}"
        + _IDENT
        + rb"\)(?: ?[-=~*#+]{2,}|:)?",
        rb"~{3,} Stack of (?P<name>.+) \((?:(?P<id>\d{1,20})|unknown|None)\) ~{3,}",
        rb" Thread (?P<name>.*?)  \(daemon: (?P<daemon>True|False), pydevd thread: (?:True|False)\)",
        rb"-{3,} +(?:Thread #-?(?P<id>\d{1,20})|(?P<name>Green Thread)) +-{3,}",
    )
)
_BARE = -1
_REPR = re.compile(rb"<[\w.]{1,99}\((.*), (?:started|initial|stopped)( daemon)?(?: (\d{1,20}))?\)>", re.DOTALL)
_NAME_AND_ID = re.compile(rb"(.*)\((\d{5,20})\)(?: .*)?", re.DOTALL)
_AIRFLOW = re.compile(rb"Dumping stack traces for all threads in PID (\d{1,20})")
_ODOO = re.compile(rb"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d),(\d{3}) (\d{1,20}) \w{1,20} \S{1,200} odoo\.tools\.misc:")
_TITLE = re.compile(rb"=+ (?:Thread Dump =+|  +Threads  +=+)")
_SECTION = re.compile(rb"=+  +\w[\w ]{1,60}=+|=+ END Thread Dump =+|\++ Timeout \++")
_GURU_FRAME = re.compile(rb"(\S[^\n]{0,4096}?):(\d{1,9}) in ([^\n]{1,500})")
_NAME = re.compile(rb"[\w.:@#/+-]{1,80}(?: ?\([\w.<>-]{1,80}\))?:?|AnyIO worker thread:?")
_LOCALS = b"LOCAL VARIABLES"
_VARIABLE = re.compile(rb"[{ ]'(\w{1,200})': (.*?)[,}]?", re.DOTALL)
_PROCESS = re.compile(rb"#{3,} ProcessID=(\d{1,20}), ")
_NO_SOURCE = re.compile(rb"[~^ ]+|\[Previous line repeated \d{1,20} more times?\]")
_RECIPE = re.compile(rb"sys\._current_frames|(?:extract|format|print)_stack\(|\bdump_traceback\(")
_DUMPERS = re.compile(
    r"(?:^|[/\\])(?:traceback\.py:|_pydevd_bundle[/\\]pydevd_utils\.py:dump_threads|pystuck[/\\]|oslo_reports[/\\]"
    r"|pytest_timeout\.py:|odoo[/\\]tools[/\\]misc\.py:dumpstacks)"
)


_Header = tuple[str, str | None, bool | None]
"""The name, the id as a number in hex, and whether it is a daemon."""


def claims(line: bytes) -> bool:
    """A title, a header of a thread, a frame with a colon after ``File``, or the outermost frame of a thread."""
    if line[:1] not in INITIALS or not (
        b"hread" in line or b"File: " in line or b", started" in line or line[:1] in b"~#"
    ):
        return False
    plain = clean(line)
    body = plain.lstrip()
    if body.startswith(_STARTS):
        return (body.startswith(b"File: ") or _is_root(body)) and _frame(body) is not None
    if not line.endswith(b"\n"):
        return False  # it may be cut from a header of another format
    return _is_title(plain) or _header(plain) is not None or plain.rstrip(b":") == _MAIN_THREAD.encode()


def parse(lines: Lines) -> Iterator[Dump]:
    """Read a stretch of dumps; nothing where no stack stands below the header."""
    ahead = [clean(line) for _, line in lines.peek(_AHEAD)]
    if not ahead:
        return
    if _is_root(ahead[0]) or ahead[0].rstrip(b":") == _MAIN_THREAD.encode():
        if _names_stacks(lines):
            yield from _Reader(lines, named_only=True).run(lines)
    elif _is_start(ahead):
        yield from _Reader(lines).run(lines)


def _is_title(plain: bytes) -> bool:
    return _TITLE.fullmatch(plain) is not None or _AIRFLOW.fullmatch(plain) is not None


def _is_root(plain: bytes) -> bool:
    return plain.endswith(ROOTS) and b"threading.py" in plain


def _is_rule(plain: bytes) -> bool:
    return not plain.strip(b"-= \t")


def _is_start(ahead: list[bytes]) -> bool:
    """Whether a stack follows: its first frame stands right below the headers."""
    for plain in ahead:
        if _frame(plain) is not None:
            return True
        if not (_is_rule(plain) or _is_title(plain) or _header(plain)):
            guru = any(line.startswith(b"---") and _header(line) for line in ahead)
            return guru and _GURU_FRAME.fullmatch(plain) is not None
    return False


def _names_stacks(lines: Lines) -> bool:
    """Whether names of threads, and nothing but names, stand above stacks: twice, for once may be anything."""
    above = [clean(line) for _, line in lines.last]
    if any(_frame(plain) for plain in above):
        return False  # in the middle of a stack that was refused at its start
    found, name, quiet = 0, b"", 0
    for plain in [*above, *(clean(line) for _, line in lines.peek(_NAMES_AHEAD))]:
        if _frame(plain) is not None:
            found += _NAME.fullmatch(name) is not None
            if found == 2:
                return True
            name, quiet = b" ", 0
        elif not _is_rule(plain):
            if found and plain == _LOCALS:
                return True
            name = plain
            quiet += 1
            if quiet > _NAMES_QUIET:
                return False
    return False


def _frame(plain: bytes) -> Frame | None:
    """Read ``  File "/srv/shop.py", line 12, in get`` or ``File: "/srv/shop.py", line 12, in get``."""
    body = plain.lstrip()
    if not body.startswith(_STARTS):
        return None
    file, _, position = body[body.index(b'"') + 1 :].partition(b'", line ')
    digits, _, function = position.partition(b", in ")
    if body.startswith(b"File: "):
        function = function.partition(b" ")[0]  # the source line may follow
    line = number_of(digits)
    return Frame(text(function), text(file), line) if file and function and line is not None else None


def _header(plain: bytes) -> tuple[_Header, int] | None:
    """What the header of a thread says, and which form it has; None for a line that heads no thread."""
    if (
        len(plain) > _MAX_HEADER
        or _CALLS in plain
        or (b"hread" not in plain and b"tack" not in plain and b"#" not in plain and b", started" not in plain)
    ):
        return None
    for form, pattern in enumerate(_HEADERS):
        found = pattern.fullmatch(plain)
        if found is not None:
            part = found.groupdict()
            if part.get("who") is not None:
                return _who(part["who"]), form
            name, ident, daemon = part.get("name") or b"", part.get("id"), part.get("daemon")
            name = b"" if name == b"None" else name
            return (text(name).strip("'\" "), _hex(ident), None if daemon is None else daemon == b"True"), form
    return None


def _who(printed: bytes) -> _Header:
    """Read ``<Thread(name, started daemon 17)> (facts)``, ``name(17)``, ``17`` or whatever else names a thread."""
    found = _REPR.match(printed)
    if found is not None:
        return text(found[1]), _hex(found[3]), found[2] is not None
    found = _NAME_AND_ID.fullmatch(printed)
    if found is not None:
        return text(found[1]).strip(), _hex(found[2]), None
    if printed.isdigit():
        return "", _hex(printed), None
    return text(printed.partition(b"> (")[0].strip(b"<> ")), None, None


def _id_in(name: str) -> str | None:
    """What tells a thread apart without an id: there is one main thread, and a greenlet's name has its address."""
    return name if name == _MAIN_THREAD or " at 0x" in name else None


def _hex(ident: bytes | None) -> str | None:
    if ident is None:
        return None
    number = int(ident, 16) if ident.startswith(b"0x") else number_of(ident)
    return None if number is None else hex(number)


class _Reader(DumpReader):
    FORMAT = FORMAT
    OUTERMOST_FIRST = True
    BEGINNINGS = (b'  File "', b'File: "', b"# Thread", b"Thread 0x", b"<Thread(", b"~~~", b"---")

    def __init__(self, lines: Lines, *, named_only: bool = False) -> None:
        super().__init__(self._read_frame)
        self._named_only = named_only
        """Whether bare names head the stacks: then the last line above a stack is its name."""
        if named_only:
            self.gap.extend(lines.last)
        self._stamp = next((found for _, line in lines.last if (found := _ODOO.match(clean(line)))), None)
        self._guru = False
        self._foreign = False
        """Whether the frames that come next are not of a thread: an exception's, or after the end."""
        self._form = _BARE
        """Which form the header of the thread at hand has: those of one dump have the same."""
        self._names: set[bytes] = set()
        """The bare names that the dump has so far."""
        self._variables: dict[str, str] | None = None
        """The variables of the innermost frame, while they are being read."""
        self._recipes: set[int] = set()
        """Numbers of the frames, counted from 1, whose source line shows that they write the dump."""

    def _read_frame(self, plain: bytes) -> Frame | None:
        found = _GURU_FRAME.fullmatch(plain) if self._guru else None
        if found is not None:
            return Frame(text(found[3]), text(found[1]), int(found[2]))
        return _frame(plain)

    def read(self, number: int, line: bytes) -> bool:
        if self._variables is not None and line[:1] in (b"{", b" ") and not line.startswith(b'  File "'):
            return not self._is_foreign(line) and self._read_variable(clean(line))
        if not _is_rule(line.rstrip()):
            self._variables = None
        if b"File: " in line and _RECIPE.search(line) and (dumper := _frame(clean(line))) is not None:
            self.add_frame(number, dumper)
            self._recipes.add(len(self.stack))
            return True
        frame = None if self._foreign else self.table.frame(line)
        if frame is not None:
            if self._named_only and self.gap:
                self._read_name()
            self.add_frame(number, frame)
            return True
        plain = clean(line)
        if not plain:
            return False
        # A last line without an end may be cut; a thread of which nothing follows is no loss.
        header = _header(plain) if line.endswith(b"\n") else None
        if header is not None:
            self._read_thread(number, *header)
            process = _PROCESS.match(plain)
            if process is not None and self.dump is not None:
                self.dump.pid = number_of(process[1])
            return True
        if line[:1] in {b" ", b"\t"} and (line.endswith(b"\n") or not b'  File "'.startswith(plain)):
            return self._read_below(number, plain)
        return self._read_remark(number, plain)

    def _is_foreign(self, line: bytes) -> bool:
        # The outermost frame of a thread that a bare name heads, in a dump in which other headers did.
        named = not self._named_only and bool(self.stack) and bool(self.gap) and _is_root(clean(line))
        return (named and self._name_above() is not None) or super()._is_foreign(line)

    def _name_above(self) -> tuple[int, bytes] | None:
        """The last line of the gap that is no rule, if it may be a thread's name."""
        above = [(at, clean(line)) for at, line in self.gap]
        at, name = next(((at, plain) for at, plain in reversed(above) if not _is_rule(plain)), (0, b""))
        return (at, name) if _NAME.fullmatch(name) else None

    def _read_thread(self, number: int, header: _Header, form: int) -> None:
        (name, address, daemon), before = header, self.dump
        if before is not None and self._is_next(before, name, form):
            self.begin(number, number)
        self._form = form
        self._foreign = False
        self.add_thread(Thread(name, number, address=address, daemon=daemon), address or _id_in(name))
        if self.dump is not before:
            self._names.clear()
        if self.dump is not before and self.dump is not None and self._stamp is not None:
            stamp, self._stamp = self._stamp, None
            self.dump.taken_at = text(stamp[1] + b"T" + stamp[2] + b"." + stamp[3])
            self.dump.pid = number_of(stamp[4])

    def _is_next(self, dump: Dump, name: str, form: int) -> bool:
        """Whether a thread with this name is of the next dump.

        ``sys._current_frames`` has the main thread last, and ``threading.enumerate`` has it first: then others follow.
        """
        if not dump.threads:
            return False
        first, last = dump.threads[0], dump.threads[-1]
        if first is last or first.name == _MAIN_THREAD or is_main(first.stack):
            of_main = first.name == _MAIN_THREAD or (first is last and self.main_is_printed())
            return (name == first.name == _MAIN_THREAD) or (of_main and form != self._form)
        return self.thread is last and (last.name == _MAIN_THREAD or self.main_is_printed())

    def _read_name(self) -> None:
        """Take the last line of the gap for the name of the thread whose first frame is at hand."""
        above = self._name_above()
        if above is not None:
            at, name = above
            self._pending = max(0, self._pending - 1)
            # No id tells the dumps apart: a name that comes again after a log's lines, or after the main thread, which
            # is printed last.
            last = self.dump.threads[-1] if self.dump is not None and self.dump.threads else None
            if name in self._names and last is not None and (self._pending or last.name == _MAIN_THREAD):
                self.begin(at, at)
                self._names.clear()
            self._read_thread(at, (text(name.rstrip(b":")), None, None), _BARE)
            self._names.add(name)

    def _read_below(self, number: int, plain: bytes) -> bool:
        """Read what stands below a frame: its source line, carets, ``[Previous line repeated 7 more times]``."""
        if plain.lstrip().startswith(b"File"):
            if self._named_only and self.gap:
                self._read_name()  # the input ends in the first frame of a thread
            self.complain(number, "a frame that cannot be read", plain)
            return False
        if not self.stack or self.gap:
            return False
        if _RECIPE.search(plain):
            self._recipes.add(len(self.stack))
        if not _NO_SOURCE.fullmatch(plain.lstrip()):
            self.add_source(plain.strip().strip(b"`") if self._guru else plain)
        return True

    def _read_variable(self, plain: bytes) -> bool:
        """Read a line of ``{'item': 7,``: the first of a variable has its name."""
        found = _VARIABLE.fullmatch(plain)
        if found is not None and self._variables is not None:
            self._variables[text(found[1])] = text(found[2])
        return True

    def _read_remark(self, number: int, plain: bytes) -> bool:
        if plain == _LOCALS and self.thread is not None and self.stack and not self._pending:
            self.grammar()
            self._variables = {}
            self.thread.locals = {len(self.stack) - 1: self._variables}
            return True
        if _is_title(plain):
            self._foreign = False
            self._guru = b"  Threads" in plain
            airflow = _AIRFLOW.fullmatch(plain)
            dump = self.begin(number, number)
            dump.pid = number_of(airflow[1]) if airflow is not None else None
            return True
        self._stamp = _ODOO.match(plain) or self._stamp
        if _CALLS in plain:
            self._foreign = True
        elif self.dump is not None and not self._pending:
            if _SECTION.fullmatch(plain):
                self._foreign = not plain.startswith(b"=") or b"Green Threads" not in plain
                self.grammar()
                return True
            if not plain.strip(b"="):
                self.grammar()
                return True
        return False

    def settle(self, thread: Thread) -> None:
        stack = self.stack
        printed = len(stack)
        while stack and (len(stack) in self._recipes or _DUMPERS.search(f"{stack[-1].file}:{stack[-1].function}")):
            stack.pop()
        if len(stack) < printed:
            thread.printed_state = WROTE_THE_DUMP
            thread.locals = None
        self._recipes.clear()
        innermost_first(thread, stack)
