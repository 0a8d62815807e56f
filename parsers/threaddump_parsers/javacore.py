r"""The javacore of IBM's JVMs and of OpenJ9: 1.3.1 to 25, whole files and parts of them.

::

    NULL           ------------------------------------------------------------------------
    0SECTION       TITLE subcomponent dump routine
    1TISIGINFO     Dump Event "user" (00004000) received
    1TIDATETIME    Date: 2024/11/29 at 10:00:00:123
    0SECTION       LOCKS subcomponent dump routine
    2LKMONINUSE      sys_mon_t:0x92711200 infl_mon_t: 0x92711240:
    3LKMONOBJECT       com/shop/Stock@0xB56658D8: Flat locked by "web-0" (J9VMThread:0x92A3EC00), entry count 1
    3LKWAITERQ            Waiting to enter:
    3LKWAITER                "web-1" (J9VMThread:0x92703F00)
    0SECTION       THREADS subcomponent dump routine
    3XMTHREADINFO      "web-1" J9VMThread:0x92703F00, omrthread_t:0x92A3C2B0, java/lang/Thread:0xB5666778, state:B, prio=5
    3XMJAVALTHREAD            (java/lang/Thread getId:0x13, isDaemon:false)
    3XMTHREADINFO1            (native thread ID:0x52CF, native priority:0x5, native policy:UNKNOWN, vmstate:B, ...
    3XMCPUTIME               CPU usage total: 0.004365543 secs, current category="Application"
    3XMTHREADBLOCK     Blocked on: com/shop/Stock@0xB56658D8 Owned by: "web-0" (J9VMThread:0x92A3EC00, java/lang/Thread:...
    3XMTHREADINFO3           Java callstack:
    4XESTACKTRACE                at com/shop/Stock.reserve(Stock.java:35(Compiled Code))
    5XESTACKTRACE                   (entered lock: com/shop/Cart@0xB5666678, entry count: 1)
    NULL           ---------------------- END OF DUMP -------------------------------------

Every line begins with a tag. Written by ``runtime/rasdump/javadump.cpp`` of OpenJ9 (``JavaCoreDumpWriter``). What
differs in older ones:

* 1.3.1 to 1.4.2 (the "Classic VM") print no lock with the threads: who holds and wants what stands in the section LK
  alone, by the address ``sys_thread_t`` or, for a flat lock, by a small ``thread ident``. A thread that wants a flat
  lock stands among those that wait to be notified, and its state is CW.
* J9 of Java 5 and 6 has the addresses ``TID`` and ``j9thread_t``, and no line 3XMTHREADBLOCK.
* 1XMCURTHDINFO shows the current thread; up to 1.4.2 it comes again among all threads.

The state CW is any wait, also one with a timeout, and ``vmstate`` is not the thread's own: while a dump is taken on
request every thread waits for it. Native call stacks are kept for threads that have no Java frames. Virtual threads are
there while they are mounted (the entry of the carrier then shows the virtual thread), and unmounted ones with
``-XX:+ShowUnmountedThreadStacks``.
"""  # noqa: E501 - real lines are long

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import threaddump_parsers
from threaddump_parsers.java_frames import java_frame, java_function
from threaddump_parsers.java_threads import MAX_PROBLEMS, add_problem, set_wait, settle, text
from threaddump_parsers.lines import Lines, NumberedLine
from threaddump_parsers.model import Dump, Event, Frame, Held, Lock, ReportedDeadlock, Stack, Thread

FORMAT = "javacore"
FAMILY = "jvm"
TITLE = "javacore of IBM's JVM or OpenJ9"
CAPTURE = (
    ("kill -3 PID", "the JVM writes javacore.DATE.TIME.PID.NUMBER.txt into its working directory"),
    ("jcmd PID Dump.java", "the same, and prints the file's name"),
)
INITIALS = b"012345"
SIGNATURE = rb"0SECTION +[A-Z]"
WORDS = (b"0SECTION ",)
STARTS = re.compile(rb"^(?:NULL +-+ *\r?\n)?0SECTION +TITLE ", re.MULTILINE)

NOISE_LINES = 500
"""Lines without a tag after which what follows is no longer the dump."""
_LINE_CACHE = 200_000
_LOOK_AHEAD = 12
_NAME_LINES = 4
"""Lines over which the name of a thread may go."""
_MAX_LINE = 20_000

_FAMILIES = frozenset((b"SE", b"TI", b"CI", b"LK", b"XM", b"XE"))
_BEGINS = re.compile(rb"(?:0SECTION|[1-5](?:TI|CI|LK|XM|XE)[A-Z][A-Z0-9]{2,12})\s")
_TAGGED = re.compile(rb"(?:\d[A-Z]{2}[A-Z0-9]{2,14}|NULL)(?![A-Za-z0-9_])")
_END = b"END OF DUMP"
_SECTIONS = {"XM": "THREADS", "LK": "LOCKS", "CI": "ENVINFO"}
"""Older names."""

_DATE = re.compile(r"Date: +(\d{4})/(\d\d)/(\d\d) at (\d\d:\d\d:\d\d)(?::(\d{3}))?")
_ZONE = re.compile(r"UTC(?:([+-])(\d{1,2})(?::(\d\d))?)?(?: \(|$)")
_FILE_NAME = re.compile(r"javacore\.\d{8}\.\d{6}\.(\d{1,10})(?:\.\d+)?\.txt")
_PROCESS = re.compile(r"Process ID: (\d{1,10})")
_BUILD = re.compile(r"(?:J2RE|JRE) (\S+)(?:.*?\(build (\d[\w.+-]*))?")
_FULL = re.compile(r"Full thread dump ([^(]*?) ?\((?:J2RE|JRE) (\S+)")
_LIVE = re.compile(r"live threads: (\d{1,9})")

_POINTER = re.compile(
    r"(J9VMThread|J9VMContinuation|TID|sys_thread_t|j9thread_t|omrthread_t|java/lang/Thread|native ID) ?: ?"
    r"(?:0x)?([0-9A-Fa-f]{1,16})\b"
)
_ADDRESSES = ("J9VMThread", "J9VMContinuation", "TID", "sys_thread_t")
_STATE = re.compile(r"\bstate: ?([^\s,)]{1,20})")
_JAVA_ID = re.compile(r"getId:(?:0x)?([0-9A-Fa-f]{1,16}), isDaemon:(true|false)")
_NATIVE_ID = re.compile(r"native thread ID:(?:0x)?([0-9A-Fa-f]{1,16})\b")
_CPU = re.compile(r"CPU usage total: (\d{1,12}(?:\.\d{1,12})?) secs")
_CATEGORY = re.compile(r'current category="([^"]{1,40})"')
_VM_CATEGORIES = frozenset(("GC", "JIT", "System-JVM", "Resource-Monitor"))
_BLOCK = re.compile(r"(Blocked|Waiting|Parked) on: (\S+?)(?: Owned by: (.*))?", re.DOTALL)
_ENTERED = re.compile(r"\(entered lock: (\S+), entry count: \d+\)")
_OBJECT = re.compile(r"([^\s@]+)@(?:0x)?([0-9A-Fa-f]{1,16})(?:/(?:0x)?[0-9A-Fa-f]{1,16})?:?")
_MONITOR = re.compile(r"(\S+?): (?:owner |Flat locked by |<)(.*)", re.DOTALL)
_ADDRESS = re.compile(r'" ?\((?:J9VMThread:)?(0x[0-9A-Fa-f]{1,16})\b')
_IDENT = re.compile(r"thread ident (0x[0-9A-Fa-f]{1,8})")
_FLAT_IDENT = re.compile(r'ident (0x[0-9A-Fa-f]{1,8}) "(.*)" \((0x[0-9A-Fa-f]{1,16})\)', re.DOTALL)
_REGISTERED = re.compile(r"(.*) lock \((0x[0-9A-Fa-f]{1,16})\)")
_INITIALIZING = 'Initializing thread: "'
_COMPILED = "(Compiled Code)"
_HIDDEN_CLASS = re.compile(r"/(?=(?:0x)?[0-9A-Fa-f]{8,16}\.)")
_NATIVE_FRAME = re.compile(r"(?:([^\s(]+?)(?:\+0x[0-9a-fA-F]+)? )?\((0x[0-9A-Fa-f]+)(?: \[(.+?)\+0x[0-9a-fA-F]+\])?\)")

_STATES = {"R": "RUNNABLE", "B": "BLOCKED", "MW": "BLOCKED", "CW": "WAITING", "P": "WAITING", "Z": "TERMINATED"}
_TIMED = ("java.lang.Thread.sleep", "java.util.concurrent.locks.LockSupport.parkNanos")
_TIMED_PARK = ("java.util.concurrent.locks.LockSupport.parkUntil", "java.lang.VirtualThread.parkNanos")
_TOP = 8
"""Frames from the top among which a sleep or a timed park stands."""
_VIRTUAL_THREAD = "java.lang.VirtualThread.run"


def claims(line: bytes) -> bool:
    """A section's title, or a line of the sections that tell of threads."""
    return line[1:3] in _FAMILIES and _BEGINS.match(line) is not None


def parse(lines: Lines) -> Iterator[Dump]:
    """Read one stretch: javacores that follow each other, or parts of them."""
    ahead = lines.peek(_LOOK_AHEAD)
    if sum(_TAGGED.match(line) is not None for _, line in ahead) < min(2, len(ahead)):
        return
    reader = _Reader(lines)
    known, number, line = reader.known, 0, b""
    for number, line in lines:
        frame = known.get(line)
        if frame is not None and reader.thread is not None:
            reader.stack.append(frame)
            reader.last_line = number
            continue
        finished = reader.take(number, line)
        if finished is not None:
            yield finished
        if reader.foreign:
            lines.last = [*reader.before]
            lines.push_back((number, line))
            return
        if reader.done:
            return
    last = reader.finish(line)
    if last is not None:
        yield last


@dataclass(slots=True)
class _Monitor:
    """An object of the section LOCKS."""

    lock: Lock
    owner: int | None = None
    ident: str | None = None
    """Of a flat lock of the Classic VM: who holds it."""
    enter: list[int] = field(default_factory=list)
    notify: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Cycle:
    """A deadlock being read: addresses and names of threads, and the lock that each waits for."""

    line: int
    threads: dict[int, str] = field(default_factory=dict)
    locks: list[Lock] = field(default_factory=list)


class _Reader:
    """The state of reading one stretch."""

    def __init__(self, lines: Lines) -> None:
        self._ends = lines.ends
        self.known: dict[bytes, Frame] = {}
        self.foreign = self.done = False
        self.before: deque[NumberedLine] = deque(maxlen=2)
        """The last lines that are nobody's: the next parser may find a time stamp or a pid in them."""
        self._stacks: dict[Stack, Stack] = {}
        self._ruler = next((number for number, line in reversed(lines.last) if line.startswith(b"NULL")), 0)
        self._tags: dict[bytes, Callable[[int, str], None]] = {
            b"1TISIGINFO": self._event,
            b"1TIDATETIME": self._date,
            b"1TITIMEZONE": self._zone,
            b"1TIFILENAME": self._file_name,
            b"1CIJAVAVERSION": self._version,
            b"1CIVENDOR": self._vendor,
            b"1CIPROCESSID": self._process,
            b"1CICMDLINE": self._command,
            b"1LKMONPOOLDUMP": self._monitors,
            b"1LKALLOCERR": self._monitors,
            b"1LKTHRERR": self._monitors,
            b"3LKMONOBJECT": self._monitor,
            b"2LKREGMON": self._system_monitor,
            b"3LKWAITER": self._enters,
            b"3LKWAITNOTIFY": self._waits,
            b"2LKFLATMON": self._flat_ident,
            b"2LKFLATLOCKED": self._flat_locked,
            b"3LKFLATDETAILS": self._flat_details,
            b"1LKDEADLOCK": self._deadlock,
            b"2LKDEADLOCKTHR": self._deadlock_thread,
            b"4LKDEADLOCKOBJ": self._deadlock_lock,
            b"4LKDEADLOCKREG": self._deadlock_lock,
            b"1XMCURTHDINFO": self._current,
            b"1XMTHDINFO": self._all,
            b"2XMFULLTHDDUMP": self._full,
            b"2XMPOOLLIVE": self._live,
            b"3XMTHREADINFO": self._thread,
            b"3XMVTHDINFO": self._thread,
            b"3XMVTHDINFO1": self._continuation,
            b"3XMJAVALTHREAD": self._java_thread,
            b"3XMTHREADINFO1": self._native_thread,
            b"3XMCPUTIME": self._cpu,
            b"3XMTHREADBLOCK": self._block,
            b"5XESTACKTRACE": self._entered,
            b"4XESTACKERR": self._cut_stack,
            b"4XENATIVESTACK": self._native_frame,
            b"2XMWLKTHDERR": self._walk_error,
            b"1INTERNAL": self._internal,
        }
        self._reset()

    def _reset(self) -> None:
        self.dump: Dump | None = None
        self.last_line = self._odd_line = 0
        self._sections: set[str] = set()
        self._section = ""
        self._noise: list[NumberedLine] = []
        self._noise_lines = 0
        self._pending: list[NumberedLine] = []
        self._locks: dict[str, Lock] = {}
        self._monitor_list: list[_Monitor] = []
        self._at: _Monitor | None = None
        self._idents: dict[str, int] = {}
        self._named: dict[int, tuple[str, int]] = {}
        self._owned: dict[str, tuple[Lock, int]] = {}
        self._cycle: _Cycle | None = None
        self._cycles: set[frozenset[int]] = set()
        self._wants: dict[int, Lock] = {}
        self._by_address: dict[int, Thread] = {}
        self._initializing: list[tuple[Lock, str]] = []
        self._carriers: list[tuple[Thread, int]] = []
        self._monitors_of: list[tuple[Thread, list[Held]]] = []
        self._current_part = False
        self._seen_as_current: set[Thread] = set()
        self._live_threads = 0
        self._reset_thread()

    def _reset_thread(self) -> None:
        self.thread: Thread | None = None
        self.stack: list[Frame] = []
        self._natives: list[Frame] = []
        self._held: list[Held] = []

    # One line that is not a frame seen before. Returns a finished dump, if the line ends one.

    def take(self, number: int, line: bytes) -> Dump | None:
        tag = line[:16].split(None, 1)[0] if line[:1] in b"012345N" else b""
        if tag == b"NULL":
            self._ruler = number
            if _END not in line or self.dump is None:
                return None
            self._drop_pending()
            self._end_thread()
            self.last_line, self.done = number, True
            return self.finish(complete=True)
        if not tag or _TAGGED.match(line) is None:
            return self._untagged(number, line)
        finished = self._section_line(number, line) if tag == b"0SECTION" else None
        if self.dump is None:
            self._begin(number)
        self._drop_pending()
        self._read(number)
        if tag == b"4XESTACKTRACE":
            self._frame(number, line)
            return finished
        read = self._tags.get(tag)
        if read == self._thread and not line.endswith(b"\n") and b"prio=" not in line:
            self._odd(number, text(line))  # the input ends here: addresses may be cut
        elif read is not None:
            read(number, text(line[len(tag) : _MAX_LINE].strip()))
        return finished

    def _section_line(self, number: int, line: bytes) -> Dump | None:
        """Whether the section is the first of the next dump: the dump that it ends."""
        words = text(line[:200]).split()
        name = words[1] if len(words) > 1 else ""
        name = _SECTIONS.get(name, name)
        finished = self.finish() if name == "TITLE" or name in self._sections else None
        if self.dump is None:
            self._begin(number)
        self._end_thread()
        self._end_cycle(None)
        self._sections.add(name)
        self._section = name
        return finished

    def _begin(self, number: int) -> None:
        self._reset()
        self.dump = Dump(FORMAT, number - 1 if self._ruler == number - 1 > 0 else number, "jvm")

    def _read(self, number: int) -> None:
        """A line of the grammar: what stood between it and the line before did cut into the dump."""
        self.last_line = number
        if self._noise_lines and self.dump is not None:
            self.dump.unread_lines += self._noise_lines
            for line, raw in self._noise:
                add_problem(self.dump, line, "not part of the javacore", raw)
            self._noise, self._noise_lines = [], 0

    def _untagged(self, number: int, line: bytes) -> Dump | None:
        if not line.strip(b"-=\r\n\t "):
            return None  # blank, or a ruler
        if self._pending and len(self._pending) < _NAME_LINES and not self._claimed(line):
            first, begun = self._pending[0][0], b"\n".join(raw.rstrip(b"\r\n") for _, raw in self._pending)
            if self._header(first, text(begun + b"\n" + line.strip())):
                self._pending = []
                self.last_line = number
            else:
                self._pending.append((number, line[:_MAX_LINE]))
            return None
        self._drop_pending()
        if self._claimed(line):
            self.foreign = True
            return self.finish()
        self.before.append((number, line))
        if self._section == "ENVINFO":
            return None  # the value of an environment variable goes on
        if self._ends(number, line):
            self.before.pop()
            self.foreign = True
            return self.finish()
        self._add_noise(number, line)
        if self._noise_lines > NOISE_LINES:
            self.before.pop()
            self.foreign = True
            return self.finish()
        return None

    def _claimed(self, line: bytes) -> bool:
        """Whether a dump of another format begins. An environment variable may hold nearly anything, but no title."""
        other = threaddump_parsers.claimant(line)
        if other is None or self._section != "ENVINFO":
            return other is not None
        starts: re.Pattern[bytes] | None = getattr(other, "STARTS", None)
        return starts is not None and starts.match(line) is not None

    def _add_noise(self, number: int, line: bytes) -> None:
        self._noise_lines += 1
        if len(self._noise) < MAX_PROBLEMS:
            self._noise.append((number, line[:_MAX_LINE]))

    def _drop_pending(self) -> None:
        pending, self._pending = self._pending, []
        for number, raw in pending:
            self._add_noise(number, raw)

    # TITLE, ENVINFO

    def _event(self, number: int, rest: str) -> None:
        if self.dump is not None:
            self.dump.event = Event(number, rest)

    def _date(self, _: int, rest: str) -> None:
        date = _DATE.search(rest)
        if date is not None and self.dump is not None:
            year, month, day, time, millis = date.groups()
            self.dump.taken_at = f"{year}-{month}-{day}T{time}" + (f".{millis}" if millis else "")

    def _zone(self, _: int, rest: str) -> None:
        zone = _ZONE.search(rest)
        if zone is not None and self.dump is not None and self.dump.taken_at is not None:
            sign, hours, minutes = zone.groups()
            self.dump.taken_at += f"{sign or '+'}{int(hours or 0):02}:{minutes or '00'}"

    def _file_name(self, _: int, rest: str) -> None:
        name = _FILE_NAME.search(rest)
        if name is not None and self.dump is not None and self.dump.pid is None:
            self.dump.pid = int(name[1])

    def _version(self, _: int, rest: str) -> None:
        build = _BUILD.match(rest)
        if build is not None and self.dump is not None:
            self.dump.version = build[2] or build[1]
            self.dump.runtime = "IBM J9 VM" if "IBM" in rest or rest.startswith("J2RE") else "OpenJ9"

    def _vendor(self, _: int, rest: str) -> None:
        if self.dump is not None:
            self.dump.runtime = "IBM J9 VM" if rest.startswith("IBM") else self.dump.runtime

    def _process(self, _: int, rest: str) -> None:
        process = _PROCESS.match(rest)
        if process is not None and self.dump is not None:
            self.dump.pid = int(process[1])

    def _command(self, _: int, rest: str) -> None:
        if self.dump is not None and not rest.startswith("["):
            self.dump.command = rest

    def _full(self, _: int, rest: str) -> None:
        full = _FULL.match(rest)
        if full is not None and self.dump is not None:
            self.dump.runtime = full[1] if full[1].startswith("IBM") else f"IBM {full[1]}"
            self.dump.version = self.dump.version or full[2]

    # LOCKS

    def _lock(self, printed: str) -> Lock | None:
        """``CLASS@ADDRESS``; one object for each address of a dump."""
        named = _OBJECT.fullmatch(printed)
        if named is None:
            return None
        id = printed.rpartition("@")[2].rstrip(":")
        return self._locks.setdefault(id, Lock(id, named[1].replace("/", ".")))

    def _name(self, number: int, rest: str) -> int | None:
        """The address of the thread in ``"NAME" (J9VMThread:ADDRESS)``."""
        start, end = rest.find('"'), rest.rfind('"')  # a name may hold anything
        found = _ADDRESS.match(rest, end) if start < end else None
        address = int(found[1], 16) if found is not None else 0
        if not address:
            return None
        self._named.setdefault(address, (rest[start + 1 : end], number))
        return address

    def _monitors(self, number: int, rest: str) -> None:
        if self.dump is not None and ("unavailable" in rest or "Insufficient" in rest or "aborting" in rest):
            add_problem(self.dump, number, "the JVM could not list all locks: owners may be missing", rest.encode())

    def _monitor(self, number: int, rest: str) -> None:
        monitor = _MONITOR.match(rest)
        lock = self._lock(monitor[1]) if monitor is not None else None
        self._at = None
        if monitor is None or lock is None:
            self._odd(number, rest)
            return
        self._at = _Monitor(lock, self._name(number, rest))
        ident = _IDENT.search(monitor[2])
        if ident is not None:
            self._at.ident = ident[1].lower()
        self._monitor_list.append(self._at)

    def _system_monitor(self, _: int, __: str) -> None:
        self._at = None  # a lock of the VM: who waits for it is no news

    def _enters(self, number: int, rest: str) -> None:
        address = self._name(number, rest) if self._at is not None else None
        if self._at is not None and address is not None:
            self._at.enter.append(address)

    def _waits(self, number: int, rest: str) -> None:
        address = self._name(number, rest) if self._at is not None else None
        if self._at is not None and address is not None:
            self._at.notify.append(address)

    def _flat_ident(self, _: int, rest: str) -> None:
        ident = _FLAT_IDENT.match(rest)
        if ident is not None:
            self._idents[ident[1].lower()] = int(ident[3], 16)

    def _flat_locked(self, _: int, rest: str) -> None:
        lock = self._lock(rest)
        self._at = _Monitor(lock) if lock is not None else None
        if self._at is not None:
            self._monitor_list.append(self._at)

    def _flat_details(self, _: int, rest: str) -> None:
        ident = _IDENT.search(rest)
        if ident is not None and self._at is not None:
            self._at.ident = ident[1].lower()

    def _deadlock(self, number: int, _: str) -> None:
        self._at = None
        self._end_cycle(None)
        self._cycle = _Cycle(number)

    def _deadlock_thread(self, number: int, rest: str) -> None:
        address = self._name(number, rest)
        if address is None:
            return
        if self._cycle is None:
            self._cycle = _Cycle(number)
        if address in self._cycle.threads:
            self._end_cycle(address)
        else:
            self._cycle.threads[address] = self._named[address][0]

    def _deadlock_lock(self, _: int, rest: str) -> None:
        lock = self._lock(rest)
        system = _REGISTERED.match(rest)
        if lock is None and system is not None:
            lock = self._locks.setdefault(system[2], Lock(system[2], system[1]))
        if lock is not None and self._cycle is not None and len(self._cycle.locks) < len(self._cycle.threads):
            self._cycle.locks.append(lock)

    def _end_cycle(self, owner: int | None) -> None:
        """The cycle is complete. ``owner``: who holds the last lock; None where the text ends before that."""
        cycle, self._cycle = self._cycle, None
        dump = self.dump
        if cycle is None or dump is None or not cycle.locks:
            return
        names = cycle.threads
        holders = [*islice(names, 1, None), *([owner] if owner is not None else [])]
        for address, lock in zip(names, cycle.locks, strict=False):
            self._wants.setdefault(address, lock)
        for lock, holder in zip(cycle.locks, holders, strict=False):
            if lock.id is not None:
                self._owned.setdefault(lock.id, (lock, holder))
        members = frozenset(names)
        if members in self._cycles:
            return  # told once from each of its threads
        self._cycles.add(members)
        owners = tuple(names[address] for address in holders)
        dump.deadlocks.append(ReportedDeadlock(cycle.line, tuple(names.values()), tuple(cycle.locks), owners))

    # THREADS

    def _current(self, _: int, __: str) -> None:
        self._end_thread()
        self._current_part = True

    def _all(self, _: int, __: str) -> None:
        self._end_thread()
        self._current_part = False

    def _live(self, _: int, rest: str) -> None:
        live = _LIVE.search(rest)
        self._live_threads = int(live[1]) if live is not None else 0

    def _thread(self, number: int, rest: str) -> None:
        if not self._header(number, rest):
            if rest.startswith('"'):
                self._end_thread()
                self._pending = [(number, rest.encode())]  # a thread's name may hold line breaks
            else:
                self._odd(number, rest)

    def _header(self, number: int, rest: str) -> bool:
        """Begin the thread of this header, if it is one."""
        if rest.startswith("Anonymous native thread"):
            self._end_thread()
            self._add(Thread("", number, internal=True))
            return True
        end = rest.rfind('"')
        fields = {name: int(digits, 16) for name, digits in _POINTER.findall(rest, end + 1)} if end > 0 else {}
        if rest[:1] != '"' or not fields:
            return False
        self._end_thread()
        addresses = [fields[name] for name in _ADDRESSES if fields.get(name)]
        seen = next((self._by_address[address] for address in addresses if address in self._by_address), None)
        if seen is not None and seen in self._seen_as_current:
            self.thread = seen  # the current thread comes again among all threads
            return True
        printed = _STATE.search(rest, end + 1)
        thread = Thread(
            rest[1:end],
            number,
            state=_STATES.get(printed[1]) if printed is not None else None,
            printed_state=printed[1] if printed is not None else None,
            native_id=fields.get("native ID"),
            address=f"0x{addresses[0]:X}" if addresses else None,
        )
        for address in addresses:
            self._by_address.setdefault(address, thread)
        self._add(thread)
        return True

    def _add(self, thread: Thread) -> None:
        assert self.dump is not None
        self.dump.threads.append(thread)
        self.thread = thread
        if self._current_part:
            self._seen_as_current.add(thread)

    def _continuation(self, _: int, rest: str) -> None:
        """An unmounted virtual thread, or the carrier of one that is mounted: its entry has the name of that one."""
        thread = self.thread
        if thread is not None and rest.startswith("Type: Virtual"):
            thread.virtual = True
        elif thread is not None and rest.startswith("Type: Carrier"):
            mounted = dict(_POINTER.findall(rest)).get("J9VMThread")
            if mounted is not None:
                self._carriers.append((thread, int(mounted, 16)))

    def _java_thread(self, _: int, rest: str) -> None:
        info = _JAVA_ID.search(rest)
        if info is not None and self.thread is not None:
            self.thread.java_id, self.thread.daemon = int(info[1], 16), info[2] == "true"

    def _native_thread(self, _: int, rest: str) -> None:
        native = _NATIVE_ID.search(rest)
        if native is not None and self.thread is not None:
            self.thread.native_id = int(native[1], 16) or None

    def _cpu(self, _: int, rest: str) -> None:
        cpu, category = _CPU.search(rest), _CATEGORY.search(rest)
        if self.thread is not None:
            self.thread.cpu_ms = round(1000 * float(cpu[1]), 6) if cpu is not None else None
            self.thread.internal = category is not None and category[1] in _VM_CATEGORIES

    def _block(self, number: int, rest: str) -> None:
        thread, block = self.thread, _BLOCK.fullmatch(rest)
        if thread is None or block is None or self.dump is None:
            self._odd(number, rest)
            return
        self.dump.ownable_synchronizers = True
        lock = self._lock(block[2])
        if lock is None or lock.id is None:
            return  # parked without a lock: <unknown>
        whose = block[3] or ""
        owner = self._name(number, whose)
        if owner is not None:
            self._owned.setdefault(lock.id, (lock, owner))
        if lock.class_name.endswith("$ClassInitializationLock"):
            thread.blocked_on = lock
            name = whose.partition(_INITIALIZING)[2].rpartition('"')[0]
            if name:
                self._initializing.append((lock, name))
        elif block[1] == "Waiting":
            thread.waiting_on = lock
        else:
            set_wait(thread, lock, wants=block[1] == "Blocked" or owner is not None)

    def _entered(self, number: int, rest: str) -> None:
        entered = _ENTERED.match(rest)
        lock = self._lock(entered[1]) if entered is not None else None
        if lock is None or self.thread is None:
            self._odd(number, rest)
        elif self.stack:
            self._held.append(Held(lock, len(self.stack) - 1))

    def _frame(self, number: int, line: bytes) -> None:
        printed = text(line[14:_MAX_LINE].strip()).removeprefix("at ").lstrip()
        frame = _java_frame(printed)
        if self.thread is None:
            self._odd(number, printed)
        elif frame is not None:
            if len(self.known) > _LINE_CACHE:
                self.known.clear()
            self.known[line] = frame
            self.stack.append(frame)
        elif printed == "(Missing Method)":
            self.thread.truncated = True
        else:
            self._odd(number, printed)

    def _native_frame(self, _: int, rest: str) -> None:
        if self.thread is not None and not self.stack:
            self._natives.append(_native_frame(rest))

    def _cut_stack(self, _: int, __: str) -> None:
        if self.thread is not None:
            self.thread.truncated = True

    def _walk_error(self, _: int, rest: str) -> None:
        if "details will be omitted" in rest and self.dump is not None:
            self.dump.truncated.append(f"the JVM says: {rest}")

    def _internal(self, _: int, rest: str) -> None:
        """The dumping JVM stumbled over what it printed."""
        if "omitted" in rest or (self._section == "THREADS" and rest.startswith("In-flight data")):
            assert self.dump is not None
            self.dump.truncated.append(f"the JVM says: {rest}")
        elif "on call stack" in rest and self.thread is not None:
            self.thread.truncated = True

    def _end_thread(self) -> None:
        thread = self.thread
        if thread is not None:
            frames = self.stack or self._natives
            if frames or not thread.stack:
                stack = tuple(frames)
                thread.stack = self._stacks.setdefault(stack, stack)
            if self.stack:
                thread.internal = False
                _tell_by_frames(thread)
            if self._held:
                self._monitors_of.append((thread, self._held))
        self._reset_thread()

    def _odd(self, number: int, rest: str) -> None:
        if self.dump is not None:
            self.dump.unread_lines += 1
            self._odd_line = number
            add_problem(self.dump, number, "a line of an unknown form", rest.encode())

    # The end

    def finish(self, last: bytes = b"\n", complete: bool = False) -> Dump | None:
        """Close the dump: join what its sections tell of one thread, and say what is missing.

        ``last``: the last line of the input, where it ends here.
        """
        dump = self.dump
        if dump is None:
            return None
        if not last.endswith(b"\n") and (self._pending or self._noise or self._odd_line == self.last_line):
            dump.truncated.append("the input ends in the middle of a line")
        self._drop_pending()
        self._end_thread()
        self._end_cycle(None)
        printed = [thread for thread in dump.threads if thread.name or thread.address]
        if not dump.threads and self._named:
            self._take_named(dump)
        elif "TITLE" not in self._sections:
            dump.truncated.append("the beginning of the dump is missing")
        elif not complete:
            dump.truncated.append("the end of the dump is missing (no line 'END OF DUMP')")
        if not complete and 0 < len(printed) < self._live_threads:
            missing = self._live_threads - len(printed)
            dump.truncated.append(
                f"the dump counts {self._live_threads} live threads, {missing} of them are not in this input"
            )
        self._mount(dump)
        self._join()
        dump.end_line = self.last_line
        self._reset()
        return dump

    def _take_named(self, dump: Dump) -> None:
        """There is no section THREADS: what is known of threads is in the section LOCKS, their names for one."""
        dump.truncated.append("the section THREADS is missing: the threads are those that locks name, without stacks")
        for address, (name, number) in self._named.items():
            thread = Thread(name, number, address=f"0x{address:X}")
            self._by_address[address] = thread
            dump.threads.append(thread)

    def _mount(self, dump: Dump) -> None:
        for thread in dump.threads:
            thread.virtual = thread.virtual or any(frame.function == _VIRTUAL_THREAD for frame in thread.stack[-_TOP:])
        for carrier, address in self._carriers:
            mounted = self._by_address.get(address)
            carrier.internal = True
            if mounted is not None:
                mounted.virtual, mounted.carrier, carrier.carries = True, carrier.name, mounted.java_id

    def _join(self) -> None:
        """Who holds and who wants what: the lines of the threads first, then the section LOCKS, deadlocks last."""
        for monitor in self._monitor_list:
            owner = monitor.owner if monitor.ident is None else self._idents.get(monitor.ident)
            if owner is not None and monitor.lock.id is not None:
                self._owned.setdefault(monitor.lock.id, (monitor.lock, owner))
            for address in monitor.enter:
                self._wants.setdefault(address, monitor.lock)
            for address in monitor.notify:
                thread = self._by_address.get(address)
                if thread is None or thread.blocked_on is not None or thread.waiting_on is not None:
                    continue
                in_wait = not thread.stack or thread.stack[0].function.startswith("java.lang.Object.wait")
                if in_wait or owner is None:
                    thread.waiting_on = monitor.lock
                    thread.state = thread.state or "WAITING"
                else:
                    self._wants.setdefault(address, monitor.lock)  # a flat lock of the Classic VM
        for address, lock in self._wants.items():
            thread = self._by_address.get(address)
            if thread is not None and thread.blocked_on is None:
                thread.blocked_on, thread.waiting_on = lock, None
                if thread.state in {None, "WAITING"} and not lock.class_name.startswith("java.util.concurrent."):
                    thread.state = "BLOCKED"
        for thread, monitors in self._monitors_of:
            settle(thread, monitors)
        self._give()

    def _give(self) -> None:
        """Let the threads that were named as owners hold what no thread is seen to take."""
        assert self.dump is not None
        held = {held.lock.id for thread in self.dump.threads for held in thread.holds}
        for lock, address in self._owned.values():
            thread = self._by_address.get(address)
            if thread is not None and lock.id not in held and lock not in (thread.blocked_on, thread.waiting_on):
                thread.holds = (*thread.holds, Held(lock, None))
                held.add(lock.id)
        by_name: dict[str, list[Thread]] = {}
        for thread in self.dump.threads if self._initializing else ():
            by_name.setdefault(thread.name, []).append(thread)
        for lock, name in self._initializing:  # J9 tells the name alone: of two threads with that name it may be either
            named = by_name.get(name, [])
            if len(named) == 1 and lock.id not in held and named[0].blocked_on is not lock:
                named[0].holds = (*named[0].holds, Held(lock, None))
                held.add(lock.id)


def _java_frame(printed: str) -> Frame | None:
    """``java/lang/Object.wait(Object.java:221(Compiled Code))``; the Classic VM prints dots."""
    function, opening, source = printed.replace(_COMPILED, "").partition("(")
    if not opening or "." not in function or not source.endswith(")"):
        return None
    # Hidden classes have a slash of their own in their names, before an address.
    function = "/".join(part.replace("/", ".") for part in _HIDDEN_CLASS.split(function))
    if source.startswith(("Bytecode PC:", "No Source")):
        return Frame(java_function(function))
    return java_frame(f"{function}({source}")


def _native_frame(printed: str) -> Frame:
    """``clone+0x5e (0xB763543E [libc.so.6+0xee43e])``: the symbol, or where there is none the module."""
    frame = _NATIVE_FRAME.fullmatch(printed)
    if frame is None:
        return Frame(printed or "?", native=True)
    symbol, address, module = frame.groups()
    return Frame(symbol or module or address, module, native=True)


def _tell_by_frames(thread: Thread) -> None:
    """CW and P are waits with and without a timeout: the frames of some say which."""
    if thread.state == "WAITING" and any(
        frame.function.startswith(_TIMED) or frame.function in _TIMED_PARK for frame in thread.stack[:_TOP]
    ):
        thread.state = "TIMED_WAITING"
