r"""What gdb prints of a Python process: ``thread apply all`` with ``py-bt``, ``py-bt-full`` or plain ``bt``.

The header of a thread is gdb's own (``gdb/thread.c``): its number, the thread library's address, the operating system's
id and name. Below it ``py-bt`` of ``Tools/gdb/libpython.py`` prints Python's frames like this, innermost first::

    Thread 14 (Thread 0x7f3af2ffd6c0 (LWP 8169) "python3.11"):
    Traceback (most recent call first):
      <built-in method __enter__ of _thread.lock object at remote 0x7f3b219df6c0>
      File "/srv/app/shop.py", line 9, in get
        with inventory_lock:

These frames have the comma of the ``traceback`` module, which prints the innermost last: here it comes first. A
built-in function on top tells what no other tool does, the lock that a thread wants. ``Waiting for the GIL`` and
``Garbage-collecting`` stand there too. ``py-bt-full`` prints ``#8 Frame 0x7fe6904d0e50, for file /srv/app/shop.py, line
19, in get (self=...)``, and ``bt`` the C frames::

    #1  0x00007f3b21d16cff in do_futex_wait (sem=sem@entry=0x1ab6caa0) at ./nptl/sem_waitcommon.c:111

Up to Python 3.10 an argument of these shows the Python frame (``f=Frame 0x.., for file ..``); later there are only the
C frames, and which function called is not to be seen. Those of the interpreter's own evaluation are left out; a call of
a built-in function is shown by the function's name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Frame, Lock, Thread
from threaddump_parsers.python_frames import LIVE, DumpReader, clean, number_of, text

FORMAT = "gdb-py"
FAMILY = "python"
TITLE = "gdb's backtraces of a Python process"
CAPTURE = (
    ("gdb -p PID -batch -ex 'thread apply all py-bt'", "needs the interpreter's debug symbols and its python-gdb.py"),
)
INITIALS = b"TP\x1b"
SIGNATURE = rb"Thread \d+ \(Thread 0x"
WORDS = (b"Thread ",)

# thread := "Thread " number " (" ["Thread 0x" address " ("] ("LWP " | "process ") id [")"] [' "' name '"'] "):"
_THREAD = re.compile(
    rb"Thread (\d{1,9}(?:\.\d{1,9})?) \((?:Thread 0x[0-9a-f]{1,16} \()?(?:LWP|process) (\d{1,20})\)?"
    rb'(?: "(.{0,999})")?(?: \(Exiting\))?\):',
    re.DOTALL,
)
_DIED = re.compile(
    rb"(?:Program terminated with signal|Thread [\d.]{1,20} (?:\"[^\"]{0,99}\" )?received signal)"
    rb" (SIG\w{1,10}), [A-Z][^.]{1,60}\."
)
_CURRENT = re.compile(rb"\[Current thread is \d{1,9} \((?:Thread 0x[0-9a-f]{1,16} \()?(?:LWP|process) (\d{1,20})\)")
_TRACEBACK = b"Traceback (most recent call first):"
_NO_FRAME = b"Unable to locate python frame"
_PYTHON = re.compile(
    rb"Traceback \(most recent call first\):|Unable to locate python frame|#\d++ ++(?:Frame 0x|.*\b_?PyEval_)",
    re.DOTALL,
)
"""Lines that only a Python process has."""
_NEW = b"[New LWP "
"""What gdb says of each thread before it shows any."""
_AHEAD, _THREAD_LINES = 2000, 200
_INFERIOR = re.compile(rb"\[Inferior \d{1,9} \(process (\d{1,20})\) (?:detached|exited)")
_REPR = re.compile(rb"Frame 0x([0-9a-f]{1,16}), for file (.{1,4096}?), line (\d{1,9}|\?), in (\S{1,500}) \(", re.DOTALL)
_NUMBERED = re.compile(rb"#(\d{1,9}) +(?:0x[0-9a-f]{1,16} in )?(.*)", re.DOTALL)
_BUILT_IN = re.compile(rb"<built-in method (\S{1,200}) of (\S{1,200}) object at remote (0x[0-9a-f]{1,16})>")
_OBJECT = re.compile(rb"<[^<>]{0,300} at remote 0x[0-9a-f]{1,16}>|<[^<>]{1,300}>")
_SELF = re.compile(rb"\(self=(?:<[^<>]{0,300} at remote )?(0x[0-9a-f]{1,16})")
_PLACE = re.compile(rb"\) (?:at (\S{1,4096}):(\d{1,9})|from (\S{1,4096}))$")
_NAME = re.compile(rb"_name='([^'\\]{1,200})'")
_REMARKS = (b"Waiting for the GIL", b"Garbage-collecting")
_UNREADABLE = (b"(unable to read python frame information)", b"(frame information optimized out)")
_OWN = ("_bootstrap", "_bootstrap_inner", "run")
_EVALUATION = re.compile(
    r"_?Py(?:Eval_|Object_(?:Vectorcall|Call|MakeTpCall|FastCall)|Function_|Vectorcall|CFunction_)|_PyRun_|PyRun_"
    r"|(?:method|cfunction|slot_tp)_(?:vectorcall|call)|(?:do_)?call_(?:core|function)|do_call_core"
    r"|eval_frame_handle_pending|function_code_fastcall|run_(?:eval_code_obj|mod)|pymain_|thread_run$|t_bootstrap$"
    r"|pythread_wrapper$|start_thread$|clone3?$|_?_?libc_start|_start$|main$|Py_(?:Run|Bytes)?Main$"
)
"""C functions that only lead from one Python frame to the next, or to the first."""
_LOCKS = {"lock_PyThread_acquire_lock": "_thread.lock", "rlock_acquire": "_thread.RLock"}
_TAKES = {b"__enter__", b"acquire", b"acquire_lock"}
_SIGNALS = ("threading.py", "queue.py", "concurrent/futures/_base.py", "multiprocessing/pool.py")
"""Where a lock that is acquired is private to the thread: it is how the thread waits to be notified."""


def claims(line: bytes) -> bool:
    """The header of a thread, of whatever process gdb prints it, or what the process died of."""
    if not line.startswith((b"Thread ", b"Program terminated", b"\x1b")):
        return False
    plain = clean(line)
    return _THREAD.fullmatch(plain) is not None or _DIED.fullmatch(plain) is not None


def parse(lines: Lines) -> Iterator[Dump]:
    """Read a stretch of dumps; nothing where no line shows that the process runs Python."""
    # In the midst of what was refused at its first thread, only this thread is looked at.
    within = any(line.startswith((b"#", b"Thread ")) for _, line in lines.last)
    for number, (_, line) in enumerate(lines.peek(_THREAD_LINES if within else _AHEAD)):
        if within and number and _THREAD.fullmatch(clean(line)) is not None:
            return
        if _PYTHON.match(line.lstrip()):
            yield from _Reader().run(lines)
            return


def _frame(plain: bytes) -> Frame | None:
    """Read ``  File "/srv/shop.py", line 9, in get``; a ``?`` stands for a line that could not be worked out."""
    body = plain.lstrip()
    if not body.startswith(b'File "'):
        return None
    file, _, position = body[6:].partition(b'", line ')
    digits, _, function = position.partition(b", in ")
    line = number_of(digits)
    if not file or not function or (line is None and digits != b"?"):
        return None
    return Frame(text(function), text(file), line)


class _Reader(DumpReader):
    FORMAT = FORMAT
    BEGINNINGS = (b"Thread ", b'  File "', b"#")

    def __init__(self) -> None:
        super().__init__(_frame)
        self._distinct: dict[tuple[str, str | None, int | None, bool], Frame] = {}
        """Frames by what they show: their lines carry addresses, and hardly any two are equal."""
        self._last = b""
        """The address of the Python frame printed last: several C functions in a row show the same one."""
        self._lock: tuple[bytes | None, Lock] | None = None
        """The lock that the C frames on top of the thread take, and by which method."""
        self._natives = 0
        """So many frames on top of the thread are known to be C's."""
        self._unsure: list[tuple[Thread, Lock]] = []
        self._locks: dict[str, Lock] = {}
        self._over = False
        """gdb has let go of the process, or has looked at the next one."""
        self._numbers: set[bytes] = set()
        self._programs: set[str] = set()
        """The names in the headers: the program's, until a thread is given one of its own."""
        self._unreadable = 0
        self._selected: int | None = None

    def read(self, number: int, line: bytes) -> bool:
        frame = self.table.frame(line) if self.thread is not None else None
        if frame is not None:
            self.add_frame(number, frame)
            return True
        plain = clean(line)
        if not plain:
            return False
        header = _THREAD.fullmatch(plain)
        if header is not None:
            tid, name = number_of(header[2]), text(header[3] or b"")
            if self._over or header[1] in self._numbers:  # gdb's own number, which is one thread's
                self.begin(number, number)
            self.add_thread(Thread(name, number, native_id=tid), str(tid))
            self._numbers.add(header[1])
            self._programs.add(name)
            self._last, self._lock, self._natives = b"", None, 0
            return True
        died = _DIED.fullmatch(plain)
        if died is not None:
            name = text(died[1])
            self.begin(number, number).died = name if name not in LIVE | {"SIGINT"} else None
            return True
        inferior = _INFERIOR.match(plain)
        if inferior is not None and self.dump is not None:
            self.grammar()
            self.dump.pid = number_of(inferior[1])
            self._over = True
            return True
        if self.dump is not None and plain.startswith(_NEW):
            self._over = bool(self.dump.threads)
            return False
        if self.dump is not None and plain.startswith(b"warning: "):
            self.grammar()
            return True
        if self.thread is None:
            return self.dump is not None and self._read_selected(plain)
        return self._read_below(number, plain)

    def _read_selected(self, plain: bytes) -> bool:
        """Read the thread and the frame that gdb selects: of a core file, those of the signal."""
        current = _CURRENT.match(plain)
        if current is not None:
            self._selected = number_of(current[1])
        return current is not None or plain.startswith((b"#0 ", b"[Switching to"))

    def _read_below(self, number: int, plain: bytes) -> bool:
        """Read a line below the header of a thread."""
        thread, body = self.thread, plain.lstrip()
        assert thread is not None
        numbered = _NUMBERED.fullmatch(plain)
        if numbered is not None:
            self.grammar()
            return self._read_numbered(number, numbered[2], plain)
        if plain in (_TRACEBACK, _NO_FRAME):
            self.grammar()
            return True
        if not plain.startswith(b" "):
            if plain.startswith((b"Python Exception", b"Error occurred in Python")):
                self.complain(number, "gdb could not read the frames that follow", plain)
                thread.truncated = True
            return False
        if body.startswith(b'File "'):
            self.complain(number, "a frame that cannot be read", plain)
            return False
        if plain.startswith(b"    "):
            if not self.stack or self.gap:
                return False
            self.add_source(plain)  # or the end of a line that gdb wrapped, after the source line
            return True
        if self._read_remark(body) or body.startswith((b"<", b"PyCFunction invocation")):
            self.grammar()
            self._add_built_in(number, body)
            return True
        return False

    def _read_remark(self, body: bytes) -> bool:
        thread = self.thread
        assert thread is not None
        if body in _REMARKS:
            if not self.stack:
                thread.printed_state = text(body)
            return True
        if body in _UNREADABLE:
            thread.truncated = True
            self._unreadable += 1
            return True
        return body == b"(not a python frame)"

    def _read_numbered(self, number: int, body: bytes, plain: bytes) -> bool:
        """Read ``#8 Frame 0x.., for file ..``, ``#6 Waiting for the GIL``, ``#4 <built-in ..>`` or a C frame."""
        if self._read_remark(body):
            return True
        if body.startswith(b"<built-in"):
            self._add_built_in(number, body)
            return True
        function, blank, arguments = body.partition(b" (")
        shown = body.find(b"Frame 0x")
        python = _REPR.match(body, shown) if shown >= 0 else None
        if python is not None and (function.startswith(b"Frame 0x") or b"PyEval_" in function):
            self._add_python(number, python)
            return True
        if function.startswith(b"<"):
            return True  # "<signal handler called>"
        if not blank or not function:
            self.complain(number, "a frame that cannot be read", plain)
            return False
        if function.startswith((b"cfunction_", b"_PyCFunction_")):
            self._add_built_in(number, arguments)
        symbol = text(function)
        lock_class = _LOCKS.get(symbol)
        at = _SELF.match(body[len(function) + 1 :]) if lock_class is not None else None
        if at is not None and lock_class is not None and self._lock is None:
            self._lock = None, self._intern(text(at[1]), lock_class)
        if _EVALUATION.match(symbol):
            return True
        place = _PLACE.search(body)
        if place is not None and place[1] is not None:
            self._add(number, symbol, text(place[1]), int(place[2]), native=True)
        else:
            self._add(
                number, symbol, text(place[3].rpartition(b"/")[2]) if place is not None else None, None, native=True
            )
        return True

    def _add_python(self, number: int, shown: re.Match[bytes]) -> None:
        """Add a frame that gdb shows as ``Frame 0x.., for file /srv/shop.py, line 9, in get (``."""
        if shown[1] == self._last:
            return
        self._last = shown[1]
        function = text(shown[4])
        self._add(number, function, text(shown[2]), number_of(shown[3]), native=False)
        if function in _OWN and shown[2].endswith(b"threading.py") and self.thread is not None:
            name = _NAME.search(shown.string, shown.end())
            if name is not None:
                self.thread.name = text(name[1])

    def _add_built_in(self, number: int, shown: bytes) -> None:
        """Add a built-in function that is called: ``sleep``, ``_thread.lock.__enter__``."""
        found = _BUILT_IN.search(shown)
        if found is None:
            return
        method, owner = found[1], found[2]
        if method in _TAKES and owner.lower() in (b"_thread.lock", b"_thread.rlock") and self._takes_first():
            self._lock = method, self._intern(text(found[3]), text(owner))
        function = text(method) if owner == b"module" else f"{text(owner)}.{text(method)}"
        self._add(number, function, None, None, native=True)

    def _takes_first(self) -> bool:
        """Whether no Python frame stands above: else the lock was taken by a function that went on."""
        while self._natives < len(self.stack) and self.stack[self._natives].native:
            self._natives += 1
        return self._natives == len(self.stack)

    def _add(self, number: int, function: str, file: str | None, line: int | None, *, native: bool) -> None:
        key = function, file, line, native
        frame = self._distinct.get(key)
        if frame is None:
            frame = self._distinct[key] = Frame(function, file, line, native)
        self.add_frame(number, frame)

    def _intern(self, address: str, class_name: str) -> Lock:
        return self._locks.setdefault(address, Lock(address, class_name))

    def settle(self, thread: Thread) -> None:
        if self._lock is None:
            return
        method, lock = self._lock
        self._lock = None
        caller = next((frame for frame in self.stack if not frame.native), None)
        if caller is not None and (caller.file or "").endswith(_SIGNALS):
            thread.waiting_on = lock
        elif caller is not None or method == b"__enter__" or lock.class_name == "_thread.RLock":
            thread.blocked_on = lock
        else:
            self._unsure.append((thread, lock))

    def end_dump(self, dump: Dump) -> None:
        shared = Counter(thread.blocked_on.id for thread in dump.threads if thread.blocked_on is not None)
        shared.update(lock.id for _, lock in self._unsure)
        for thread, lock in self._unsure:
            if shared[lock.id] > 1:
                thread.blocked_on = lock  # without Python frames: what one thread alone is notified by is not shared
        for thread in dump.threads:
            if dump.died is not None and thread.native_id == self._selected:
                dump.died_in = thread
            if thread.native_id is not None and thread.native_id == dump.pid:
                thread.name = "MainThread"
            elif len(self._programs) == 1 and thread.name in self._programs:
                thread.name = ""  # the program's, which tells nobody apart
        if self._unreadable:
            dump.truncated.append(
                f"gdb could not read {self._unreadable} Python frame{'s' if self._unreadable != 1 else ''}: "
                "the interpreter's debug symbols are missing or do not fit"
            )
        self._unsure.clear()
        self._locks.clear()
        self._distinct.clear()
        self._numbers.clear()
        self._over = False
        self._programs.clear()
        self._selected = None
        self._unreadable = 0
