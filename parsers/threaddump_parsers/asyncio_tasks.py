r"""Tasks of asyncio: ``python -m asyncio ps`` and ``pstree``, what a process prints of its tasks, aiomonitor.

A task is no thread: while it waits it is on no stack, and all thread dumps show is the loop. Each task is an entry
here, ``virtual`` as a virtual thread is, with the tasks whose ends it waits for. ``Lib/asyncio/tools.py`` of CPython
3.14 and later prints them from outside, as a table (``ps``, innermost coroutine first, also as CSV) and as a tree::

    tid        task id         task name  coroutine stack            awaiter chain   awaiter name  awaiter id
    32303      0x7fcddc600b90  holder     StreamReader.read -> hold  submain -> main Task-1        0x7fcddc6009b0

    └── (T) Task-1
        └──  main /srv/app/shop.py:24
            ├── (T) holder
            │   └──  hold /srv/app/shop.py:6

The table pads its cells, never cuts them, and has a line for each awaiter of a task. Where tasks wait in a circle there
is no tree, but ``ERROR: await-graph contains cycles - cannot print a tree!`` and ``cycle: A → B → A``: a deadlock.

The rest is printed by the process itself. ``print_call_graph`` of ``Lib/asyncio/graph.py`` (3.14), innermost first,
with the awaiters nested below ``+ Awaited by:``::

    * Task(name='waiter-2', id=0x7fcddc736890)
      + Call stack:
      |   File '/usr/lib/python3.14/asyncio/locks.py', line 110, in async Lock.acquire()

``Task.print_stack`` (``base_tasks.py``), innermost last, and of a suspended task only its outermost frame::

    Stack for <Task pending name='waiter-4' coro=<waiter() running at /srv/app/shop.py:8> wait_for=<Future pending
    cb=[Task.task_wakeup()]>> (most recent call last):
      File "/srv/app/shop.py", line 8, in waiter
        async with lock:

and lines of nothing but the ``repr`` of a task. With ``wait_for`` the task is suspended; without it, it runs, may run
next, or is over. What is waited for is a task, a ``_GatheringFuture``, or a future that does not say what it is of (a
lock, a queue, a timer, a socket) unless a callback tells: ``_chain_future`` of another thread, ``shield`` of a task.
aiomonitor prints a table (``ps``) and ``Stack of <Task name=order coro=want()> (most recent call last)`` (``where``),
below the places where tasks were created, which are no stacks.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Frame, ReportedDeadlock, Stack, Thread
from threaddump_parsers.python_frames import (
    MAX_FRAME_LINE,
    MAX_TEXT,
    DumpReader,
    clean,
    innermost_first,
    number_of,
    text,
)

FORMAT = "asyncio"
FAMILY = "python"
TITLE = "asyncio tasks"
CAPTURE = (
    ("python -m asyncio ps PID", "Python 3.14 and later, by the same version of Python: all tasks and their awaiters"),
    ("python -m asyncio pstree PID", "the same as a tree, with files and lines"),
    ("for task in asyncio.all_tasks(): task.print_stack()", "within the process; its outermost frame alone"),
)
INITIALS = b"t\xe2E*SNT<+|\x1b"
SIGNATURE = rb"Stack for <|<Task |\* Task\(|tid +task id|\xe2\x94\x94\xe2\x94\x80\xe2\x94\x80 \(T\) "
WORDS = (b"Task", b"task id", b"(T) ")

COLUMNS = ("tid", "task id", "task name", "coroutine stack", "awaiter chain", "awaiter name", "awaiter id")
WIDTHS = (10, 20, 20, 50, 50, 15, 15)
"""The columns of ``ps``: their titles, and to how many characters the cells are padded."""

_TABLE = re.compile(
    rb"tid {1,10}task id {1,20}task name {1,20}coroutine stack {1,50}awaiter chain +awaiter name +awaiter id"
)
_DELIMITED = {",".join(COLUMNS): ",", "\N{BANANA}".join(COLUMNS): "\N{BANANA}"}
_CHAIN = re.compile(r"\S+(?: -> \S+)*")
_TREE = "└── (T) ".encode()
_BRANCH = re.compile(r"((?:(?:│   |    )){0,2000})[├└]── (?:\(T\) (?P<task>.*)| (?P<frame>\S.*))", re.DOTALL)
_CYCLES = b"ERROR: await-graph contains cycles - cannot print a tree!"
_CYCLE = "cycle: "
_GRAPH = re.compile(
    rb"((?:    )*)\* (?:Task\(name=(['\"])(.*)\2, id=(0x[0-9a-f]{1,16})\)|Future\(id=0x[0-9a-f]{1,16}\))", re.DOTALL
)
_GRAPH_FRAME = re.compile(
    rb" *\|   File (['\"])(.*)\1, line (\d{1,9}), in (?:async generator |async |generator )?(\S.*?)\(\)", re.DOTALL
)
_SECTIONS = (b"+ Call stack:", b"+ Awaited by:")
_STACK = re.compile(rb"(?:Stack for|No stack for|Traceback for) (<.*>)(?: \(most recent call last\):)?", re.DOTALL)
_REPR = re.compile(rb"<\w{0,99}Task (pending|finished|cancelled|cancelling)\b(.*)>", re.DOTALL)
_NAME = re.compile(rb" name=(['\"])(.*?)\1(?= coro=| \w+=|>|$)", re.DOTALL)
_AT = re.compile(rb" (?:running|defined) at ")
_PLACE = re.compile(rb"([^\n]{1,4096}?):(\d{1,9}|None)(?=[,> ]|$)")
_WAIT_FOR = re.compile(
    rb" wait_for=<(\w{1,99}) (\w{1,20})(?: name=(['\"])(.*?)\3 coro=| cb=\[(\w{1,99})\.<locals>)?", re.DOTALL
)
_MONITOR_COLUMNS = ("Task ID", "State", "Name", "Coroutine", "Created Location", "Since")
_MONITOR_TABLE = re.compile(rb"\| Task ID +State +Name +Coroutine +Created Location +Since +\|")
_MONITOR_RULE = re.compile(rb"\+-{20,}\+")
_MONITOR_ROOT = b"Stack of the root task or coroutine scheduled in the event loop (most recent call last)"
_MONITOR_CREATED = re.compile(rb"Stack of <.*> when creating the next task \(most recent call last\)", re.DOTALL)
_MONITOR_STACK = re.compile(rb"Stack of <\w{0,99}Task name=(.*) coro=.*> \(most recent call last\)", re.DOTALL)
_MONITOR_END = b"> (most recent call last)"
_MONITOR_WRAPPER = "aiomonitor/monitor.py"
_DEFAULT_NAME = re.compile(r"Task-\d{1,20}")
_PRINTERS = ("asyncio/graph.py", "asyncio/tasks.py", "asyncio/base_tasks.py")


def claims(line: bytes) -> bool:
    """The first line of a table, a tree or a graph, the header of a task's stack, or a task alone on its line."""
    if not line.startswith((b"tid", b"\xe2", b"ERROR: await", b"* ", b"S", b"N", b"T", b"<", b"| Task ID", b"\x1b")):
        return False
    plain = clean(line)
    return (
        _is_table(plain)
        or plain.startswith(_TREE)
        or plain in {_CYCLES, _MONITOR_ROOT}
        or _GRAPH.fullmatch(plain) is not None
        or ((stack := _STACK.fullmatch(plain)) is not None and _REPR.match(stack[1]) is not None)
        or _REPR.fullmatch(plain) is not None
        or _MONITOR_TABLE.fullmatch(plain) is not None
    )


def parse(lines: Lines) -> Iterator[Dump]:
    """Read a stretch of dumps; nothing where one task alone stands in the midst of something else."""
    ahead = [clean(line) for _, line in lines.peek(3)]
    if ahead and (_REPR.fullmatch(ahead[0]) is None or any(map(_REPR.fullmatch, ahead[1:]))):
        yield from _Reader().run(lines)


def _is_table(plain: bytes) -> bool:
    return _TABLE.fullmatch(plain) is not None or (plain.startswith(b"tid") and text(plain) in _DELIMITED)


def _frame(plain: bytes) -> Frame | None:
    """Read ``  File "/srv/shop.py", line 8, in pay`` of print_stack, or a line of print_call_graph."""
    body = plain.lstrip()
    if body.startswith(b'File "'):
        file, _, position = body[6:].partition(b'", line ')
        digits, _, function = position.partition(b", in ")
        line = number_of(digits)
        return Frame(text(function), text(file), line) if file and function and line is not None else None
    if body.startswith(b"|") and body.endswith(b"()"):
        found = _GRAPH_FRAME.fullmatch(plain)
        if found is not None:
            return Frame(text(found[4]), text(found[2]), int(found[3]))
    return None


class _Reader(DumpReader):
    FORMAT = FORMAT
    BEGINNINGS = (b"tid", _TREE, b"* Task(", b"Stack for <", b"<Task ", b'  File "', b"  |   File", b"| ")

    def __init__(self) -> None:
        super().__init__(_frame)
        self._form = ""
        """Which of the forms above the dump being read has."""
        self._tasks: dict[str, Thread] = {}
        """Tasks by what the form tells them apart by: the id, else the name."""
        self._awaits: dict[Thread, dict[Thread, None]] = {}
        """Task to the tasks that it waits for."""
        self._wants: list[tuple[Thread, str]] = []
        """Tasks that wait for a task of which only the name is printed."""
        self._places: dict[tuple[str, str | None, int | None], Frame] = {}
        self._delimiter: str | None = None
        self._starts: list[int] = []
        """Where the cells of aiomonitor's table start."""
        self._path: list[Thread | Frame | None] = []
        """Of a tree or graph: what is printed at each level above the line at hand."""
        self._parents: dict[Thread, Thread | None] = {}
        self._again = False
        """Whether the frames that come next are of a task of the graph that was printed before, or of a future."""
        self._last_first = False
        """Whether the frames of the thread at hand come innermost last."""
        self._foreign = False
        """Whether the frames that come next are not where a task is, but where it was created."""

    def read(self, number: int, line: bytes) -> bool:
        if line[:1] == b" " or line[:3] in (b"\xe2\x94\x82", b"\xe2\x94\x9c"):
            return self._read_below(number, line)
        plain = clean(line)
        if not plain:
            return False
        if plain.startswith(_TREE):
            return self._read_branch(number, plain)
        ended = line.endswith(b"\n") or plain.endswith((b">", b"):", b"|", b")"))
        if ended or self._form == "table" or _is_table(plain):
            return self._read_start(number, plain) or self._read_row(number, plain)
        return False

    # Lines that are not indented

    def _read_start(self, number: int, plain: bytes) -> bool:
        """Read a line that begins a dump or a task."""
        if _is_table(plain):
            self._begin("table", number)
            self._delimiter = _DELIMITED.get(text(plain))
            return True
        if _MONITOR_TABLE.fullmatch(plain):
            self._begin("monitor", number)
            self._starts = [plain.index(title.encode()) for title in _MONITOR_COLUMNS] + [len(plain) - 1]
            return True
        if plain == _CYCLES:
            self._begin("cycles", number)
            return True
        if plain == _MONITOR_ROOT or _MONITOR_CREATED.fullmatch(plain):
            self._form = self._form or "stacks"
            self._foreign = True
            return self.dump is not None
        graph = _GRAPH.fullmatch(plain)
        if graph is not None:
            self._read_node(number, graph)
            return True
        return self._read_task(number, plain)

    def _read_task(self, number: int, plain: bytes) -> bool:
        stack, found = _STACK.fullmatch(plain), _REPR.fullmatch(plain)
        monitored = _MONITOR_STACK.fullmatch(plain) if plain.endswith(_MONITOR_END) else None
        if stack is not None:
            found = _REPR.match(stack[1])
        if found is None and monitored is None:
            return False
        self._enter("stacks" if stack is not None or monitored is not None else "list", number)
        self._foreign = False
        if found is None:
            assert monitored is not None
            self._add_named(number, text(monitored[1]))
        else:
            thread = self._add_named(number, _task_name(found[2]))
            self._describe(thread, text(found[1]), found[2])
            place = _coroutine(found[2]) if stack is None else None
            if place is not None:
                self.add_frame(number, self._place(*place))
        self._last_first = True
        return True

    def _describe(self, thread: Thread, state: str, fields: bytes) -> None:
        """Say what the ``repr`` tells of a task besides its name and place."""
        thread.printed_state = state
        if state in {"finished", "cancelled"}:
            thread.state = "TERMINATED"
        wait = _WAIT_FOR.search(fields)
        if wait is not None:
            thread.state = "IDLE"
            thread.printed_state = f"{state}, wait_for={text(wait[1])} {text(wait[2])}"
            if wait[5] is not None:
                # The function that made the future sees to what becomes of it: _chain_future, shield.
                thread.printed_state += f" cb={text(wait[5])}"
            if wait[4] is not None:
                self._wants.append((thread, text(wait[4])))

    def _read_row(self, number: int, plain: bytes) -> bool:
        """Read a line of a table, or of a list of cycles."""
        if self.dump is None:
            return False
        if self._form == "table" and not plain.strip(b"-"):
            self.grammar()
            return True
        if self._form == "table" and (plain[:1].isdigit() or self._delimiter):
            return self._read_cells(number, plain)
        if self._form == "monitor" and plain.startswith(b"| "):
            return self._read_monitored(number, plain)
        if self._form == "monitor" and _MONITOR_RULE.fullmatch(plain):
            self.grammar()
            return True
        shown = text(plain)
        if self._form == "cycles" and shown.startswith(_CYCLE):
            return self._read_cycle(number, shown)
        return False

    def _read_cells(self, number: int, plain: bytes) -> bool:
        cells = _cells(text(plain)) if self._delimiter is None else _fields(text(plain), self._delimiter)
        if cells is None:
            self.complain(number, "a line of the table that cannot be read", plain)
            return False
        tid, task_id, name, stack, _, awaiter, awaiter_id = cells
        thread = self._tasks.get(task_id)
        if thread is None:
            thread = self._add(number, name, task_id)
            thread.native_id = number_of(tid.encode())
            thread.address = task_id
            for function in filter(None, stack.split(" -> ")):
                self.add_frame(number, self._place(function, None, None))
        else:
            self.grammar()
        if awaiter_id != "0x0":
            self._wants.append((thread, f"{awaiter_id} {awaiter}"))
        return True

    def _read_monitored(self, number: int, plain: bytes) -> bool:
        starts = self._starts
        cells = [plain[start:end].strip() for start, end in pairwise(starts)]
        if len(plain) != starts[-1] + 1 or not cells[0].isdigit():
            # A character that is wider or narrower than its bytes moves the cells to its right.
            cells = [part.strip() for part in re.split(rb" {2,}", plain.strip(b"| "), maxsplit=len(starts) - 2)]
            if len(cells) != len(_MONITOR_COLUMNS) or not cells[0].isdigit():
                self.complain(number, "a line of the table that cannot be read", plain)
                return False
        task_id, state, name, coroutine = (text(cell) for cell in cells[:4])
        thread = self._add(number, name, task_id)
        thread.printed_state = state.lower()
        self.add_frame(number, self._place(coroutine.partition("(")[0] or "?", None, None))
        return True

    def _read_cycle(self, number: int, shown: str) -> bool:
        dump = self.dump
        assert dump is not None
        self.grammar()
        names = shown[len(_CYCLE) :].split(" → ")
        threads = []
        for name in names[:-1] if len(names) > 1 and names[0] == names[-1] else names:
            thread = self._tasks.get(name)
            threads.append(thread if thread is not None else self._add(number, name, name))
        for waiting, awaited in zip(threads, [*threads[1:], threads[0]], strict=True):
            self._awaits.setdefault(waiting, {})[awaited] = None
        members = tuple(thread.name for thread in threads)
        dump.deadlocks.append(ReportedDeadlock(number, members, (), ()))
        return True

    # Lines that are indented

    def _read_below(self, number: int, line: bytes) -> bool:
        plain = clean(line)
        if self._form == "tree":
            return bool(plain) and self._read_branch(number, plain)
        frame = None if self._foreign else self.table.frame(line)
        if frame is not None:
            return self._read_frame(number, frame)
        graph = _GRAPH.fullmatch(plain)
        if graph is not None and self._form == "graph":
            self._read_node(number, graph)
            return True
        body = plain.lstrip()
        if body.startswith((b"File ", b"|   File ")):
            if self._foreign:
                return True
            self.complain(number, "a frame that cannot be read", plain)
            return False
        if not body or self.dump is None:
            return False
        if body in _SECTIONS or self._foreign or body.startswith(b"No stack available"):
            self.grammar()
            return True
        if self.thread is None or not self.stack or self.gap:
            return False
        self.add_source(plain)
        return True

    def _read_frame(self, number: int, frame: Frame) -> bool:
        if self._form == "graph" and self._again:
            self.grammar()
            return True
        if self.thread is None:
            self._enter("stacks", number)
        self.add_frame(number, frame)
        self.known = self.table.by_line.get if self._form == "stacks" else self.known
        return True

    def _read_node(self, number: int, found: re.Match[bytes]) -> None:
        """Read a task or a future of a graph: it awaits what stands one level above it."""
        level = len(found[1]) // 4
        thread: Thread | None = None
        if found[4] is not None:
            task_id = text(found[4])
            if level == 0 and task_id in self._tasks and self._parents.get(self._tasks[task_id]) is None:
                self._begin("graph", number)  # printed a second time: the next dump
            self._enter("graph", number)
            thread = self._tasks.get(task_id)
            self._again = thread is not None
            if thread is None:
                thread = self._add(number, text(found[3]), task_id)
                thread.address = task_id
                self._parents[thread] = None if level == 0 else thread
            else:
                self.grammar()
                if level == 0:
                    self._parents[thread] = None
        else:
            self._enter("graph", number)
            self.grammar()
            self._again = True
        del self._path[level:]
        awaited = next((node for node in reversed(self._path) if isinstance(node, Thread)), None)
        if thread is not None and awaited is not None:
            self._awaits.setdefault(thread, {})[awaited] = None
        self._path += [None] * (level - len(self._path))
        self._path.append(thread)

    def _read_branch(self, number: int, plain: bytes) -> bool:
        """Read a line of the tree: a task, or a frame of the task above it."""
        found = _BRANCH.fullmatch(text(plain))
        if found is None:
            return False
        level = len(found[1]) // 4
        if level == 0:
            if found["frame"] is not None:
                return False
            again = self.dump is not None and bool(self.dump.threads) and self.dump.threads[0].name == found["task"]
            if self._form != "tree" or self._pending or again:
                self._begin("tree", number)
        elif self._form != "tree":
            return False
        if level > len(self._path):
            self.complain(number, "a line of the tree below none", plain)
            return False
        self.grammar()
        del self._path[level:]
        task = next((node for node in reversed(self._path) if isinstance(node, Thread)), None)
        if found["task"] is None:
            frame = _tree_frame(found["frame"])
            frame = self._place(frame.function, frame.file, frame.line)
            if task is self.thread:  # else a second way down of a task that has been left: its stack is complete
                self.add_frame(number, frame)
            self._path.append(frame)
            return True
        thread = self._add(number, found["task"], None)
        self._last_first = True
        self._parents[thread] = task
        if task is not None:
            self._awaits.setdefault(task, {})[thread] = None
        self._path.append(thread)
        return True

    # Dumps

    def _begin(self, form: str, number: int) -> None:
        self.begin(number, number)
        self._form = form

    def _enter(self, form: str, number: int) -> None:
        """Be in a dump of this form: another form starts the next one."""
        if self.dump is None or self._form != form:
            self._begin(form, number)

    def _add(self, number: int, name: str, key: str | None) -> Thread:
        thread = Thread(name, number, virtual=True)
        self.add_thread(thread, None)
        self._last_first = False
        if key is not None:
            self._tasks[key] = thread
        return thread

    def _add_named(self, number: int, name: str) -> Thread:
        """Add a task of which nothing but the name is printed. Names repeat, unless asyncio gave them."""
        if name in self._tasks and (self._pending or _DEFAULT_NAME.fullmatch(name)):
            self._begin(self._form, number)
        return self._add(number, name, name)

    def _place(self, function: str, file: str | None, line: int | None) -> Frame:
        return self._places.setdefault((function, file, line), Frame(function, file, line))

    def settle(self, thread: Thread) -> None:
        if self._last_first:
            innermost_first(thread, self.stack)
        at = next((i for i, frame in enumerate(self.stack) if not (frame.file or "").endswith(_PRINTERS)), 0)
        if at and self.stack[0].function.startswith(("print_", "_task_print")):
            del self.stack[:at]  # the task that wrote the dump
        if self._form == "stacks" and len(self.stack) > 1 and (self.stack[-1].file or "").endswith(_MONITOR_WRAPPER):
            self.stack.pop()

    def end_dump(self, dump: Dump) -> None:
        if self._form == "tree":
            self._merge(dump)
        names: dict[str, Thread | None] = {}
        for thread in dump.threads:
            names[thread.name] = None if thread.name in names else thread
        for thread, wanted in self._wants:
            if self._form == "table":
                awaiter = self._tasks.get(wanted.partition(" ")[0])
                if awaiter is not None:
                    self._awaits.setdefault(awaiter, {})[thread] = None
                continue
            awaited = names.get(wanted)
            if awaited is not None:
                self._awaits.setdefault(thread, {})[awaited] = None
        for thread, tasks in self._awaits.items():
            thread.awaits = tuple(tasks)
        for state in (self._tasks, self._awaits, self._wants, self._places, self._path, self._parents):
            state.clear()
        self._form, self._delimiter, self._foreign = "", None, False

    def _merge(self, dump: Dump) -> None:
        """Make one of the entries of a task that several tasks await: the tree prints it below each of them."""
        first: dict[tuple[str, Stack], Thread] = {}
        same: dict[Thread, Thread] = {}
        for thread in dump.threads:
            one = first.setdefault((thread.name, thread.stack), thread)
            if one is not thread and self._parents.get(one) is not self._parents.get(thread):
                same[thread] = one
        if not same:
            return
        dump.threads = [thread for thread in dump.threads if thread not in same]
        merged: dict[Thread, dict[Thread, None]] = {}
        for thread, tasks in self._awaits.items():
            merged.setdefault(same.get(thread, thread), {}).update((same.get(task, task), None) for task in tasks)
        self._awaits.clear()
        self._awaits.update(merged)


def _task_name(fields: bytes) -> str:
    """The name in the ``repr`` of a task; Python 3.7 prints none."""
    found = _NAME.match(fields)
    return text(found[2]) if found is not None else ""


def _coroutine(fields: bytes) -> tuple[str, str, int | None] | None:
    """Where the coroutine is: ``coro=<pay() running at /srv/shop.py:8>`` or ``coro=<pay() done, defined at ..:8>``.

    One of Cython's is ``running at src/server.pyx:None``.
    """
    shown = fields.partition(b" coro=<")[2].partition(b">>")[0]
    function, _, rest = shown.partition(b"()")
    at = _AT.search(rest[:MAX_TEXT])
    # The first ">" or "," after a colon and digits ends the place; "<frozen importlib>" has one of its own.
    place = _PLACE.match(rest, at.end()) if at is not None else None
    if place is None or not function:
        return None
    return text(function), text(place[1]), number_of(place[2])


def _tree_frame(shown: str) -> Frame:
    """Read ``Lock.acquire /usr/lib/python3.14/asyncio/locks.py:110``; functions in C have no file."""
    function, _, place = shown.partition(" ")
    file, _, digits = place.rpartition(":")
    line = number_of(digits.encode()) if digits.isascii() else None
    return Frame(function, file, line) if file and line is not None else Frame(function)


def _fields(shown: str, delimiter: str) -> Sequence[str] | None:
    try:
        cells = next(csv.reader([shown], delimiter=delimiter), [])
    except csv.Error:
        return None
    return cells if len(cells) == len(COLUMNS) and cells[0].isdigit() and cells[1].startswith("0x") else None


def _cells(shown: str) -> Sequence[str] | None:
    """The seven cells of a row. A cell that is longer than its column moves those after it to the right."""
    cells = []
    rest = shown + " " * (sum(WIDTHS) + len(WIDTHS))
    for width, title in zip(WIDTHS, COLUMNS, strict=True):
        end = width
        chain = title in {"coroutine stack", "awaiter chain"}
        found = _CHAIN.match(rest) if chain else None
        if found is not None:
            end = max(end, found.end())
        elif rest[width] != " ":
            end = rest.find(" ", width)
            if end < 0:
                return None
        cells.append(rest[:end].rstrip())
        rest = rest[end + 1 :]
    if rest.strip() or not re.fullmatch(r"0x[0-9a-f]{1,16}", cells[-1]) or not cells[1].startswith("0x"):
        return _unpadded(shown)
    return cells


def _unpadded(shown: str) -> Sequence[str] | None:
    """The cells of a row whose padding is lost, in a chat for instance: names with blanks cannot be told then."""
    if len(shown) > MAX_FRAME_LINE:
        return None
    found = re.fullmatch(
        r"(\d{1,20})\s+(0x[0-9a-f]{1,16})\s+(\S+)\s+(\S+(?: -> \S+)*)(?:\s+(\S+(?: -> \S+)*)\s+(\S+))?"
        r"\s+(0x[0-9a-f]{1,16})\s*",
        shown,
    )
    return None if found is None else [cell or "" for cell in found.groups()]
