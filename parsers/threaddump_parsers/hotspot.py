r"""HotSpot's thread dump as text: ``jstack``, ``jcmd PID Thread.print``, ``kill -3``, Ctrl-Break. JDK 1.4 to 25.

::

    2026-11-22 20:54:13
    Full thread dump OpenJDK 64-Bit Server VM (17.0.15+6 mixed mode, sharing):

    Threads class SMR info:
    _java_thread_list=0x00007f82780779a0, length=516, elements={
    0x00007f82fc018220, 0x00007f82fc118b30
    }

    "http-exec-17" #31 daemon prio=5 os_prio=0 cpu=1.86ms elapsed=14.27s tid=0x00007f82fc507bc0 nid=0x7f5f runnable  [0x00007f82e48f1000]
       java.lang.Thread.State: RUNNABLE
        at sun.nio.ch.SocketDispatcher.read0(java.base@17.0.15/Native Method)
        - locked <0x00000000ff9a6ae8> (a org.apache.http.pool.AbstractConnPool$2)

       Locked ownable synchronizers:
        - None

    JNI global refs: 16, weak refs: 0

    Found one Java-level deadlock:
    ...
    Heap
     garbage-first heap   total 253952K, used 3102K [0x0000000704800000, 0x0000000800000000)

Printed by ``threads.cpp`` (``Threads::print_on``), ``javaThread.cpp`` and ``thread.cpp`` (``print_on``), ``osThread.cpp``
(state words), ``vframe.cpp`` (``javaVFrame::print_lock_info_on``), ``threadService.cpp`` (``DeadlockCycle::print_on_with``)
and ``threadSMR.cpp``. ``kill -3`` writes the parts (threads, JNI, deadlocks, heap) in several VM operations, so lines of
the application land between them.
"""  # noqa: E501 - real lines are long

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import threaddump_parsers
from threaddump_parsers import threadmxbean
from threaddump_parsers.java_frames import java_frame
from threaddump_parsers.java_threads import release
from threaddump_parsers.lines import Lines, NumberedLine
from threaddump_parsers.model import Dump, Frame, Held, Lock, Problem, ReportedDeadlock, Stack, Thread

FORMAT = "hotspot"
FAMILY = "jvm"
TITLE = "HotSpot thread dump, JDK 1.3 to 25"
CAPTURE = (
    ("jcmd PID Thread.print -l -e", "with owners of java.util.concurrent locks"),
    ("jstack -l PID", "the same, of older JDKs"),
    ("kill -3 PID", "no tools needed: it is in the process's standard output, in the middle of its log"),
)
INITIALS = b'"F'
SIGNATURE = rb'Full thread dump |"[^"\n]'
WORDS = (b"Full thread dump ", b"tid=")
_OF_ANDROID = re.compile(rb" tid=\d{1,9} (?:[A-Z]\w+(?: \(still starting up\))?)\s*$")

LINE_CACHE = 200_000
"""Distinct lines kept parsed; a dump of a big application has about 20,000."""
STACK_CACHE = 100_000
NOISE_LINES = 500
"""Lines of something else that may stand between two parts of one dump before it is taken to have ended."""
PROBLEMS_KEPT = 100

STARTS = re.compile(rb"^(?:\d{1,10}:\r?\n)?(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\r?\n)?Full thread dump ", re.MULTILINE)
_TITLE = (b"Full thread dump ", b"Full thread dump:")  # up to 1.3 without the name of the VM
# Possessive (*+, ++) where two parts could share text: a hostile line must not cost more than its length.
_VM = re.compile(r"Full thread dump (?P<vm>.*?)\((?P<version>[^\s()]++)[^()]*+\):?\s*$")
_DATE = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\s*$")
_PID = re.compile(rb"(\d{1,10}):\s*$")

# "NAME" #TID [OSTID] daemon prio=N os_prio=N cpu=..ms elapsed=..s allocated=.. defined_classes=N tid=0x.. nid=..
# STATE [0x..]
# The name is printed raw (quotes, "tid=", anything): it ends at the last quote, and what follows has none.
_FIELDS = re.compile(
    rb" ?(?:#(\d{1,19}) )?(?:\[(\d{1,19})\] )?(daemon )?(?:prio=-?\d++ )?(?:os_prio=-?\d++ )?"
    rb"(?:cpu=([\d.]++)ms )?(?:elapsed=([\d.]++)s )?(?:allocated=\S++ )?(?:defined_classes=\d++ )?"
    rb"tid=((?:0x)?[0-9a-fA-F]++)(?: nid=(0x[0-9a-fA-F]{1,16}+|\d{1,19}|NA))?(?: lwp_id=\d++)?"
    rb"([^\[]*+)(\[(?:0x)?[0-9a-fA-F]+(?:\.\.(?:0x)?[0-9a-fA-F]+)?\])?\s*$"
)
Header = tuple[bytes, tuple[bytes | None, ...]]
"""A thread's raw name and the groups of ``_FIELDS``."""

# osThread.cpp; the words after nid=. Older VMs print no Thread.State line, then these are all there is.
_OS_STATES = {
    b"runnable": "RUNNABLE",
    b"waiting for monitor entry": "BLOCKED",
    b"waiting on condition": "WAITING",
    b"waiting on monitor": "WAITING",
    b"in Object.wait()": "WAITING",
    b"sleeping": "TIMED_WAITING",
    b"initialized": "NEW",
    b"allocated": "NEW",
    b"zombie": "TERMINATED",
}

_IN_WAIT = "in Object.wait()"
_STATE_LINE = b"java.lang.Thread.State: "
_SYNCHRONIZERS = b"Locked ownable synchronizers:"
_CARRYING = b"Carrying virtual thread #"
_MOUNTED = b"Mounted virtual thread #"
_COMPILER = (b"No compile task", b"Compiling: ")
_SMR = (b"Threads class SMR info:", b"_java_thread_list", b"_delete_", b"_smr_", b"_tlh_")
_OLD_LIST = (b"_to_delete_list=", b"next-> ")
"""Lists that the VM is about to free: they name threads that are gone."""
_DEADLOCK = b"Found one Java-level deadlock:"
_DEADLOCK_STACKS = b"Java stack information for the threads listed above"
_DEADLOCK_END = re.compile(rb"Found \d+ deadlocks?\.")
_DEADLOCK_LOCK = re.compile(
    r"waiting (?:to lock|for) (?:monitor|ownable synchronizer|JVM TI raw monitor) (?P<address>0x[0-9a-fA-F]+)"
    r"(?: \(object (?P<object>0x[0-9a-fA-F]+), a (?P<object_class>.*)\)|, \(a (?P<class>.*)\))?"
)
_NO_REFERENCE = b"no object reference available"
_NO_CLASS_INIT = ("java.lang.Object.wait", "java.lang.ClassLoader.load")
"""Frames on top of which a wait is not for a class's initialiser: it is Java's own, or for a class loader."""
_CLASS_INIT = b"- waiting on the Class initialization monitor for "
_EXCEPTION = re.compile(
    rb'(?:Caused by: |Suppressed: |Exception in thread ".*" )?[\w.$]+(?:Exception|Error|Throwable)\b', re.DOTALL
)

# Ownable synchronizers of the JDK that one thread owns exclusively; a thread parked on one wants to own it.
_OWNABLE = ("java.util.concurrent.locks.ReentrantLock$", "java.util.concurrent.locks.ReentrantReadWriteLock$")


def claims(line: bytes) -> bool:
    """The title line, or a thread header where the beginning of the dump is missing."""
    if line[:1] == b'"':
        fields = b" tid=" in line and (b" nid=" in line or b" prio=" in line)
        header = _header(line) if fields else None
        # With a #TID but without os_prio= it is the serviceability agent's: its frames have another form. Android's
        # runtime has a number of its own and a state in one word.
        return (
            header is not None and _OF_ANDROID.search(line) is None and (header[1][0] is None or b" os_prio=" in line)
        )
    return _is_title(line)


def parse(lines: Lines) -> Iterator[Dump]:
    """Read one stretch: dumps that follow each other, with other lines between them."""
    if threadmxbean.follows(lines):
        yield from threadmxbean.parse(lines)
        return
    reader = _Reader(lines)
    known = reader.known
    stack = reader.stack
    append = stack.append
    number = 0
    for number, line in lines:
        # The hot loop. Nine of ten lines are frames that were seen before: one dict look-up and an append.
        item = known[line]
        kind = item.__class__
        if kind is Frame:
            append(item)
            continue
        if kind is tuple:
            reader.lock_lines.append((number, len(stack) - 1, item))
            continue
        if item is _BLANK:
            continue
        if item is _SYNCHRONIZERS and reader.dump is not None:
            reader.dump.ownable_synchronizers = True
            continue
        if kind is _State and reader.thread is not None:
            thread = reader.mounted or reader.thread
            thread.printed_state, thread.state = item
            thread.internal = False
            continue
        finished = reader.take(number, line)
        stack = reader.stack
        append = stack.append
        if finished is not None:
            yield finished
        if reader.foreign:
            lines.last = [*reader.before]
            lines.push_back((number, line))
            return
    last = reader.finish(number, cut=reader.cut_text)
    if last is not None:
        yield last


_BLANK = object()


class _State(NamedTuple):
    """A line ``   java.lang.Thread.State: WAITING (parking)``."""

    printed: str
    state: str


_LockLine = tuple[bytes, bytes, bytes]
"""``- VERB <ADDRESS>TAIL``: what it means is decided when the thread's lines are complete."""


class _KnownLines(dict[bytes, Any]):
    """Raw line to what it says, for lines that come again and again: frames, states, blank lines.

    Lock lines differ in their addresses: they are cut in three and not kept. None for every other line.
    """

    def __missing__(self, line: bytes) -> Any:
        text = line.strip()
        if text[:2] == b"- ":
            verb, bracket, rest = text.partition(b"<")
            address, _, tail = rest.partition(b">")
            return (verb, address, tail) if bracket else None
        item: Any = None
        if text[:3] == b"at ":
            item = java_frame(_text(text[3:]))
        elif not text:
            item = _BLANK
        elif text == _SYNCHRONIZERS:
            item = _SYNCHRONIZERS
        elif text.startswith(_STATE_LINE):
            printed = _text(text[len(_STATE_LINE) :])
            item = _State(printed, printed.partition(" ")[0])
        if item is not None:
            if len(self) >= LINE_CACHE:
                self.clear()
            self[line] = item
        return item


def _is_title(line: bytes) -> bool:
    """The name of the VM has its version behind it; a log may well say "Full thread dump follows"."""
    return line.startswith(_TITLE) and (b"(" in line or line.startswith(_TITLE[1]))


def _text(raw: bytes) -> str:
    """Decode a line; ``kill -3`` writes modified UTF-8, whose surrogate pairs are joined again."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        try:
            return raw.decode("utf-8", "surrogatepass").encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeError:
            return raw.decode("utf-8", "replace")


def _header(line: bytes) -> Header | None:
    end = line.rfind(b'"')
    fields = _FIELDS.match(line, end + 1) if end > 0 else None
    return (line[1:end], fields.groups()) if fields is not None else None


class _Reader:
    """The state of reading one stretch: the dump, the thread and the part of the dump we are in."""

    def __init__(self, lines: Lines) -> None:
        self.ends = lines.ends
        self.before: deque[NumberedLine] = deque(maxlen=2)
        """The last lines that are nobody's: the next parser may find a time stamp or a pid in them."""
        self.known = _KnownLines()
        self.stacks: dict[Stack, Stack] = {}
        self.classes: dict[bytes, str] = {}
        self.foreign = False
        self.date: tuple[int, str] | None = None
        self.pid: tuple[int, int] | None = None
        for number, line in lines.last:
            if not self._prelude(number, line.strip()) and not line.isspace():
                self.date = self.pid = None
        self._reset()

    def _reset(self) -> None:
        self.dump: Dump | None = None
        self.thread: Thread | None = None
        self.stack: list[Frame] = []
        self.part = "threads"
        self.locks: dict[bytes, Lock] = {}
        self.noise: list[tuple[int, bytes]] = []
        self.noise_lines = 0
        self.listed: list[bytes] = []
        self.old_list = False
        self.jni_seen = self.last_vm_thread_seen = False
        self.pending: list[NumberedLine] = []
        self.last_line = 0
        self.cut_text: NumberedLine | None = None
        self._reset_thread()
        self.cycle_line = 0
        self.cycle_threads: list[str] = []
        self.cycle_locks: list[Lock] = []
        self.cycle_owners: list[str] = []

    def _reset_thread(self) -> None:
        self.thread = None
        self.stack = []
        self.lock_lines: list[tuple[int, int, _LockLine]] = []
        self.held: list[Held] = []
        self.owned: list[Held] = []
        self.relock: Lock | None = None
        self.waits_unnamed = False
        self.mounted: Thread | None = None
        self.waits_in_vm = False
        """The header says so. Beside the state RUNNABLE it is a wait for a class, which older versions do not name."""

    # One line that is not a plain frame. Returns a finished dump, if the line ends one.

    def take(self, number: int, line: bytes) -> Dump | None:
        text = line.strip()
        self.cut_text = None
        if self.pending and self._join_pending(number, line):
            return None
        if text[:1] == b'"':
            return self._quoted(number, line, text)
        if text[:2] == b"- " and self._other_lock_line(number, text):
            return None
        if _is_title(text):
            return self._start(number, _text(text))
        if self.dump is not None and self._known(number, text):
            self._read(number)
            return None
        return self._unknown(number, line, text)

    def _read(self, number: int) -> None:
        """A line of the grammar: what stood between it and the line before did cut into the dump."""
        self.last_line = number
        if self.noise_lines:
            dump = self.dump
            assert dump is not None
            dump.unread_lines += self.noise_lines
            room = PROBLEMS_KEPT - len(dump.problems)
            dump.problems.extend(
                Problem(n, "not part of the thread dump", _text(raw.rstrip())[:200]) for n, raw in self.noise[:room]
            )
            self.noise = []
            self.noise_lines = 0

    def _start(self, number: int, title: str) -> Dump | None:
        finished = self.finish()
        # What stands above a line of the dump before is not about this one.
        date = self.date if self.date and self.date[0] > self.last_line else None
        pid = self.pid if self.pid and self.pid[0] > self.last_line else None
        self.date = self.pid = None
        self._reset()
        match = _VM.match(title)
        name = match["vm"].rstrip() if match else title[len(_TITLE[0]) :].rstrip(": \r\n")
        version = release(match["version"]) if match else None
        first = number
        if date and number - date[0] <= 2:
            first = date[0]
        if pid and first - pid[0] <= 2:
            first = pid[0]
        self.dump = Dump(
            FORMAT,
            first,
            "jvm",
            runtime=name or None,
            version=version,
            taken_at=date[1] if date and first <= date[0] else None,
            pid=pid[1] if pid and first <= pid[0] else None,
        )
        self.last_line = number
        return finished

    def _prelude(self, number: int, text: bytes) -> bool:
        if _DATE.match(text):
            self.date = (number, text.decode().strip().replace(" ", "T"))
            return True
        pid = _PID.match(text)
        if pid:
            self.pid = (number, int(pid[1]))
            return True
        return False

    def _quoted(self, number: int, line: bytes, text: bytes) -> Dump | None:
        """A line that starts with a quote: a thread header, a name in the deadlock part, or something else."""
        if b" tid=" in text:
            header = _header(text)
            if header is not None:
                return self._begin_thread(number, header)
        if self.part in {"deadlock", "deadlock-stacks"} and text.endswith(b'":'):
            if self.part == "deadlock":
                self.cycle_threads.append(_text(text[1:-2]))
            self._read(number)
            return None
        if self.dump is not None and self.part == "threads" and not self.pending:
            self.pending = [(number, line)]  # a thread's name may hold line breaks: the header goes on below
            return None
        return self._unknown(number, line, text)

    def _join_pending(self, number: int, line: bytes) -> bool:
        """Whether this line, together with the pending ones, is a thread header with a line break in its name."""
        own = line.startswith(b'"') and b" tid=" in line and _header(line.rstrip()) is not None
        joined = b"".join(raw.rstrip(b"\r\n") + b"\n" for _, raw in self.pending) + line
        if b" tid=" in line and not own:
            header = _header(joined.rstrip())
            if header is not None:
                first = self.pending[0][0]
                self.pending = []
                self._begin_thread(first, header)
                self.last_line = number
                return True
        if len(self.pending) < 3 and not line.startswith((b'"', b"\t", b"   java")):
            self.pending.append((number, line))
            return True
        for n, raw in self.pending:
            self._noise(n, raw)
        self.pending = []
        return False

    def _begin_thread(self, number: int, header: Header) -> Dump | None:
        finished = None
        if self.dump is not None and self.part != "threads" and self.jni_seen:
            finished = self.finish()
            self._reset()
        if self.dump is None:
            self.dump = Dump(FORMAT, number, "jvm", truncated=["the beginning of the dump is missing"])
        self._end_thread()
        self._read(number)
        self.part = "threads"
        name, (java_id, os_id, daemon, cpu, elapsed, address, nid, state, stack_pointer) = header
        assert address is not None
        words = (state or b"").partition(b" _")[0].strip()
        self.waits_in_vm = words == b"in Object.wait()"
        self.thread = Thread(
            _text(name),
            number,
            state=_OS_STATES.get(words),
            printed_state=words.decode("utf-8", "replace") or None,
            java_id=int(java_id) if java_id else None,
            native_id=int(os_id) if os_id else _native_id(nid),
            address=address.decode(),
            daemon=daemon is not None,
            internal=stack_pointer is None,
            cpu_ms=_number(cpu),
            elapsed_s=_number(elapsed),
        )
        return finished

    def _end_thread(self) -> None:
        thread, dump = self.thread, self.dump
        if thread is None or dump is None:
            self.stack, self.lock_lines = [], []
            return
        if self.mounted is not None:
            # After the carrier's frames come those of the virtual thread mounted on it (24+): an entry of its own.
            carrier, virtual = thread, self.mounted
            self._settle(virtual)
            carrier.internal = False
            dump.threads += [carrier, virtual]
        else:
            self._settle(thread)
            dump.threads.append(thread)
        if thread.name == "VM Periodic Task Thread":
            self.last_vm_thread_seen = True
        self._reset_thread()

    def _settle(self, thread: Thread) -> None:
        """Decide what the thread owns and what it waits for, from its frames and lock lines together."""
        if self.lock_lines:
            self._read_locks(thread)
        thread.stack = self._interned(self.stack)
        if thread.stack:
            thread.internal = False
            if self.waits_in_vm and thread is self.thread and thread.state == "RUNNABLE" and thread.blocked_on is None:
                if not thread.stack[0].function.startswith(_NO_CLASS_INIT):
                    thread.blocked_on = Lock(None, "java.lang.Class")
        held = self.held
        if not held and self.relock is None and not self.waits_unnamed and thread.waiting_on is None:
            thread.holds = (*self.owned,)
            return
        in_wait = _in_object_wait(thread.stack)
        if in_wait and held and (self.waits_unnamed or (thread.state == "BLOCKED" and thread.waiting_on is None)):
            # Compiled Object.wait prints no object, and up to JDK 8 a notified thread prints "locked" where it wants
            # the monitor back: it is the monitor that the frames took last.
            thread.waiting_on = held[0].lock
        if self.relock is not None and thread.state != "BLOCKED":
            # JDK 9 to 16 print the line below every Object.wait, whether or not the thread was notified.
            thread.waiting_on = self.relock
        elif self.relock is not None:
            # Notified, and now wants the monitor back. JDK 17+ prints the line on top, older ones below the wait.
            thread.blocked_on = self.relock
            thread.waiting_on = None
        elif in_wait and thread.state == "BLOCKED" and thread.waiting_on is not None:
            thread.blocked_on = thread.waiting_on
            thread.waiting_on = None
        released = (thread.blocked_on if in_wait else thread.waiting_on) or thread.waiting_on
        if in_wait and released is not None:
            # Object.wait gave the monitor up although the frames below still say "locked".
            thread.wait_released = tuple({h.lock.id: h.lock for h in held if h.lock.id == released.id}.values())
        given_up = {lock.id for lock in (thread.blocked_on, thread.waiting_on if in_wait else None) if lock is not None}
        if given_up or len(held) > 1:
            held = list({h.lock.id: h for h in held if h.lock.id not in given_up}.values())
        thread.holds = (*held, *self.owned)

    def _interned(self, frames: list[Frame]) -> Stack:
        stack = tuple(frames)
        known = self.stacks.get(stack)
        if known is None:
            if len(self.stacks) >= STACK_CACHE:
                self.stacks.clear()
            self.stacks[stack] = known = stack
        return known

    # Lines below a thread header

    def _other_lock_line(self, number: int, text: bytes) -> bool:
        """The lock lines that name no object."""
        thread = self.mounted or self.thread
        if text.startswith(_CLASS_INIT) and thread is not None:
            name = _text(text[len(_CLASS_INIT) :])
            thread.blocked_on = Lock(f"class-init:{name}", name)
        elif text != b"- None":
            return False
        self._read(number)
        return True

    def _read_locks(self, thread: Thread) -> None:
        """Take the lock lines that stand below a thread's header."""
        glued = 0
        for number, depth, (verb, address, tail) in self.lock_lines:
            if verb == b"- ":
                self.owned.append(Held(self._lock(address, tail), None))
            elif verb == b"- locked ":
                self.held.append(Held(self._lock(address, tail), depth + glued if depth >= 0 else None))
            elif verb == b"- eliminated ":
                # JDK 17 and older end this line without a line break: the next frame is glued to it.
                start = tail.find(b"\tat ")
                frame = self.known[tail[start:]] if start >= 0 else None
                if isinstance(frame, Frame):
                    glued += 1
                    self.stack.insert(depth + glued, frame)
            elif address == _NO_REFERENCE:
                self.waits_unnamed = True
            elif verb == b"- waiting to lock ":
                thread.blocked_on = self._lock(address, tail)
            elif verb == b"- waiting on ":
                thread.waiting_on = self._lock(address, tail)
            elif verb == b"- waiting to re-lock in wait() ":
                self.relock = self._lock(address, tail)
            elif verb.startswith(b"- parking to wait for"):
                lock = self._lock(address, tail)
                if lock.class_name.startswith(_OWNABLE):
                    thread.blocked_on = lock
                else:
                    thread.waiting_on = lock
            elif self.dump is not None:
                self.dump.unread_lines += 1
                text = _text(verb + b"<" + address + b">" + tail)
                self.dump.problems.append(Problem(number, "a lock line of an unknown form", text[:200]))

    def _lock(self, address: bytes, tail: bytes) -> Lock:
        """``<ADDRESS> (a CLASS)``; one object per address and dump."""
        lock = self.locks.get(address)
        if lock is None:
            class_name = self.classes.get(tail)
            if class_name is None:
                name = tail[tail.find(b"(") + 1 : tail.rfind(b")")].removeprefix(b"a ")
                self.classes[tail] = class_name = _text(name)
            self.locks[address] = lock = Lock(address.decode("ascii", "replace"), class_name)
        return lock

    def _known(self, number: int, text: bytes) -> bool:
        """Every other line of the grammar."""
        dump = self.dump
        assert dump is not None
        if text.startswith(b"0x") and (text[-1:] in b",}" or b"," in text or len(text) <= 18):
            if not self.old_list:
                self.listed.append(text)
            return True
        if text.startswith(_OLD_LIST):
            self.old_list = True
            return True
        if text == b"}" or text.startswith(_SMR) or text.startswith(_COMPILER):
            return True
        if text.startswith(b"JNI global ref"):
            self._end_thread()
            self.part = "after"
            self.jni_seen = True
            return True
        if text.startswith((_CARRYING, _MOUNTED)):
            return self._virtual(number, text)
        if text.startswith(_DEADLOCK):
            self._end_thread()
            self._end_cycle()
            self.part, self.cycle_line = "deadlock", number
            return True
        if self.part in {"deadlock", "deadlock-stacks"} and self._deadlock_line(text):
            return True
        if self.part != "heap" and text == b"Heap":
            self._end_thread()
            self._end_cycle()
            self.part = "heap"
            return True
        if self.part == "heap":
            return _is_heap_line(text)
        return False

    def _virtual(self, number: int, text: bytes) -> bool:
        thread, digits = self.thread, text.rpartition(b"#")[2]
        if thread is None or not digits.isdigit() or len(digits) > 19:
            return False
        if text.startswith(_CARRYING):
            thread.carries = int(digits)
            thread.internal = False
        else:
            self._settle(thread)
            self.stack, self.lock_lines, self.held, self.owned = [], [], [], []
            self.relock, self.waits_unnamed = None, False
            self.mounted = Thread("", number, java_id=int(digits), virtual=True, carrier=thread.name)
        return True

    def _deadlock_line(self, text: bytes) -> bool:
        if text.startswith(_DEADLOCK_STACKS):
            self.part = "deadlock-stacks"
            return True
        if _DEADLOCK_END.match(text):
            self._end_cycle()
            self.part = "after"
            return True
        if text.startswith(b"===="):
            return True
        if self.part == "deadlock-stacks":
            return text.startswith(b"at ")
        match = _DEADLOCK_LOCK.match(_text(text))
        if match is not None:
            address = match["object"] or match["address"]
            self.cycle_locks.append(Lock(address, match["object_class"] or match["class"] or ""))
            return True
        if text.startswith(b"which is held by"):
            self.cycle_owners.append(_text(text).partition('"')[2].rpartition('"')[0])
            return True
        return text.startswith((b"in JNI", b"(JNI", b"waiting to lock", b"waiting for"))

    def _end_cycle(self) -> None:
        if self.cycle_threads and self.dump is not None:
            self.dump.deadlocks.append(
                ReportedDeadlock(
                    self.cycle_line, tuple(self.cycle_threads), tuple(self.cycle_locks), tuple(self.cycle_owners)
                )
            )
        self.cycle_threads, self.cycle_locks, self.cycle_owners = [], [], []

    # Lines that are not part of the dump

    def _noise(self, number: int, line: bytes) -> None:
        self.noise_lines += 1
        if len(self.noise) < PROBLEMS_KEPT:
            self.noise.append((number, line))

    def _unknown(self, number: int, line: bytes, text: bytes) -> Dump | None:
        if self._prelude(number, text):
            self.before.append((number, line))
            return None
        self.date = self.pid = None  # they stand right above a title, but for blank lines
        dump = self.dump
        other = threaddump_parsers.claimant(line)
        if dump is None or (self.ends(number, line) if other is None else other.FORMAT != FORMAT):
            self.foreign = True
            return self.finish()
        self.before.append((number, line))
        self._noise(number, line)
        self.cut_text = (number, line) if not line.endswith(b"\n") else None
        if self.jni_seen and self.noise_lines > NOISE_LINES:
            self.foreign = True
            return self.finish()
        if self.part == "threads" and self.thread and (self.thread.internal or _EXCEPTION.match(text)):
            # Perhaps a stack trace that the application printed into the dump: its frames are not this thread's.
            self._end_thread()
        return None

    def finish(self, end: int = 0, cut: NumberedLine | None = None) -> Dump | None:
        """Close the dump, with what the input shows to be missing from it. ``end``: the last line, at its end."""
        dump = self.dump
        if dump is None:
            return None
        for n, raw in self.pending:
            self._noise(n, raw)
            cut = (n, raw) if not raw.endswith(b"\n") else cut
        self._end_thread()
        self._end_cycle()
        dump.end_line = end if end and not self.noise_lines else self.last_line
        listed = sum(text.count(b"0x") for text in self.listed)
        entries = sum(not thread.internal and not thread.virtual for thread in dump.threads)
        missing = self._missing(dump) if listed > entries else 0
        if missing:
            dump.truncated.append(f"the dump lists {listed} Java threads, {missing} of them are not in this input")
        # Up to Java 8 this thread comes last; 1.4 and 5 print nothing more.
        complete = self.jni_seen or (self.last_vm_thread_seen and not self.listed)
        if not complete and not missing and dump.threads:
            dump.truncated.append("the end of the dump is missing (no line 'JNI global ref...')")
        if cut is not None:
            dump.end_line = cut[0]
            dump.problems.append(Problem(cut[0], "the input ends in the middle of a line", _text(cut[1])[:200]))
        self.dump = None
        return dump

    def _missing(self, dump: Dump) -> int:
        """How many threads of the VM's own list (the SMR section) have no entry in the dump."""
        here = {_address(thread.address) for thread in dump.threads if thread.address}
        listed = b" ".join(self.listed).decode("ascii", "replace").replace(",", " ").replace("}", " ").split()
        return sum(_address(address) not in here for address in listed)


def _is_heap_line(text: bytes) -> bool:
    """A line of ``Universe::print_on``: the generations and spaces of the collector."""
    words = (b"total", b"used", b"space", b"region", b"Metaspace", b"committed", b"reserved", b"capacity", b"gen")
    return any(word in text for word in words) and (b"%" in text or b"K" in text or b"M" in text or b"[" in text)


def _address(printed: str) -> str:
    """One spelling for an address: macOS JDK 6 and 7 print it without ``0x``, others pad it with zeros."""
    return printed.strip().lower().removeprefix("0x").lstrip("0")


def _in_object_wait(stack: Stack) -> bool:
    return bool(stack) and stack[0].function.startswith("java.lang.Object.wait")


def _native_id(nid: bytes | None) -> int | None:
    """In hexadecimal up to Java 17, decimal later."""
    if nid is None or nid == b"NA":
        return None
    return int(nid, 16) if nid.startswith(b"0x") else int(nid)


def _number(text: bytes | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
