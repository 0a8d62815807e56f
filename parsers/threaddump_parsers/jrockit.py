r"""JRockit's thread dump, 8.1 (JDK 1.4.1) to R28: ``jrcmd PID print_threads``, ``kill -3``, WebLogic's console.

R25 to R28 (the version of the VM below the date since R25)::

    ===== FULL THREAD DUMP ===============
    Wed Aug 17 12:05:14 2005
    BEA JRockit(R) R25.2.0-28 dra-45238-20050523-2021-win-ia32

    "(Signal Handler)" id=2 idx=0x4 tid=4980 prio=5 alive, in native, daemon

    "web-1" id=10 idx=0x14 tid=5628 prio=5 alive, in native, blocked
        -- Blocked trying to get lock: com/shop/Stock@0x0095C8D0[thin lock]
        at jrockit/vm/Threads.shortNap(I)V(Native Method)
        at jrockit/vm/Locks.monitorEnter(Ljava/lang/Object;)Ljava/lang/Object;(Unknown Source)
        at com/shop/Stock.reserve()V(Stock.java:25)
        ^-- Holding lock: com/shop/Cart@0x0095C8C8[thin lock]
        at jrockit/vm/RNI.c2java()V(Native Method)
        -- end of trace

    Circular (deadlocked) lock chains
    =================================
    Chain 2:
    "web-1" id=10 idx=0x14 tid=5628 waiting for com/shop/Stock@0x0095C8D0 held by:
    "web-2" id=11 idx=0x16 tid=3264 waiting for com/shop/Cart@0x0095C8C8 held by:
    "web-1" id=10 idx=0x14 tid=5628

    ===== END OF THREAD DUMP ===============

The headers of older ones, and those of the text that WebLogic gets from the VM, whose frames have no ``at``::

    "web-1" prio=5 id=0x500 tid=0x1280 blocked
    "web-1"  id: 0x00000500  prio: 5  WAITING, NONDAEMON, GCABLE
    Thread-10 "web-1" <alive, in native, blocked, priority=5, DAEMON> {

JRockit's runtime is written in Java for a good part. Its own frames above those of the program and below them are left
out, so that a stack is what other JVMs print; ``jrockit.vm.Locks.wait`` is ``java.lang.Object.wait``. The first dumps
print no locks at all: a thread in ``monitorEnter`` is blocked, and nobody knows for what.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from threaddump_parsers.java_text import ThreadText
from threaddump_parsers.java_threads import set_wait, text
from threaddump_parsers.lines import Lines, NumberedLine
from threaddump_parsers.model import Dump, Frame, Held, Lock, ReportedDeadlock, Thread

FORMAT = "jrockit"
FAMILY = "jvm"
TITLE = "JRockit thread dump"
CAPTURE = (
    ("jrcmd PID print_threads", "with locks and their chains"),
    ("kill -3 PID", "the same, in the process's standard output"),
)
INITIALS = b'="T<'
SIGNATURE = rb"={5} FULL THREAD DUMP"
WORDS = (b"FULL THREAD",)

_TITLE = b"===== FULL THREAD DUMP ====="
_TITLE_IN_LOG = re.compile(rb"<[^\n]{0,500}<===== FULL THREAD DUMP =====")
_PID = re.compile(rb"(\d{1,10}):\s*")
_END = re.compile(rb"={21,}|=+ END OF THREAD DUMP =+")
_DATE = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d:\d\d:\d\d) (?:\S{1,8} )?(\d{4})")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_VM = re.compile(r"(\w{1,20} JRockit)\(R\) (R\d[\w.]{0,20})(?:\S*?-(1\.\d\.\d_\d+)\b)?")

_HEADERS = (
    re.compile(  # R25 to R28
        r'"(?P<name>.*)" id=(?:(?P<id>\d{1,19})|\?) idx=0x[0-9a-f]+ tid=(?P<tid>\d{1,19}) prio=-?\d+ (?P<words>[^"]*)',
        re.DOTALL,
    ),
    re.compile(  # 1.4.2
        r'"(?P<name>.*)" prio=-?\d+ id=0x(?P<hex>[0-9a-f]{1,16}) tid=0x(?P<hextid>[0-9a-f]{1,16}) (?P<words>[^"]*)',
        re.DOTALL,
    ),
    re.compile(  # 1.4.1
        r'"(?P<name>.*)" {1,2}id: (?:0x)?0x(?P<hex>[0-9A-Fa-f]{1,16}) {1,2}prio: -?\d+ {1,2}(?P<words>[^"]*)',
        re.DOTALL,
    ),
    re.compile(  # jrockit.mapi.ThreadSystem, which WebLogic uses
        r'Thread-(?:0x(?P<hex>[0-9a-f]{1,16})|(?P<id>\d{1,19})) "(?P<name>.*)" <(?P<words>[^"<>]*)> \{', re.DOTALL
    ),
)
_NATIVE_ID = re.compile(r"\bpt_thr: 0x([0-9A-Fa-f]{1,16})")
_LOCK = re.compile(r"\^?-- ([A-Za-z() ]{1,60}): (?:([^\s@]+)@((?:0x)?[0-9A-Fa-f]{1,16})|\S+?)(?:\[([\w ]*)\])?")
_FRAME = re.compile(
    r"(?P<function>[^\s(]+)(?:\([^()\s]*\)\[*(?:[VZBCSIJFD]|L[^()\s;]+;))?\((?P<source>[^()]*)\)"
    r"(?:@(?:0x)?[0-9A-Fa-f]+)?(?:\[\w+\])*"
)
_FLAGS = frozenset(("daemon", "nondaemon", "gcable"))
_ENDS = ("-- end of trace", "--- End of stack trace")
_DETAILS = ("thread: 0x", "pt_thr: 0x", "No Java stack trace available")
_CHAINS = re.compile(r"(Circular \(deadlocked\)|Blocked|Open) lock chains")
_CHAIN = re.compile(r"Chain \d{1,9}:")
_LINK = re.compile(
    r'"(?P<name>.*)" (?:id=(?P<id>\d{1,19}|\?) idx=0x[0-9a-f]+ tid=\d+|\(id: 0x(?P<hex>[0-9A-Fa-f]{1,16})\))'
    r"(?: waiting for (?P<class>[^\s@]+)@(?P<lock>(?:0x)?[0-9A-Fa-f]{1,16}) held by:| in chain \d+| \(active\))?",
    re.DOTALL,
)

_MACHINERY = ("jrockit.vm.", "COM.jrockit.vm.RNI.")
_MACHINERY_FRAMES = frozenset(
    ("java.lang.Thread.doYield", "java.lang.Object.stage2Lock", "java.lang.Object.monitorEnter")
)
_WAIT = "jrockit.vm.Locks.wait"
_ENTER = frozenset(("jrockit.vm.Locks.monitorEnter", "java.lang.Object.monitorEnter"))
_TIMED = ("jrockit.vm.Threads.waitForSignalWithTimeout", "java.lang.Thread.sleep")
_TIMED_PARK = ("java.util.concurrent.locks.LockSupport.parkNanos", "java.util.concurrent.locks.LockSupport.parkUntil")
_TOP = 8
_BOTTOM = frozenset(("jrockit.vm.RNI.c2java", "java.lang.Thread.startThreadFromVM"))


def claims(line: bytes) -> bool:
    """The title, also within a record of WebLogic's log, or a thread's header."""
    match line[:1]:
        case b"=":
            return line.startswith(_TITLE)
        case b"<":
            return _TITLE in line and _TITLE_IN_LOG.match(line) is not None
        case b'"':
            known = b" idx=0x" in line or b" id=0x" in line or b" id: 0x" in line
            return known and b" prio" in line and _header(text(line.strip())) is not None
        case b"T":
            return line.startswith(b"Thread-") and _header(text(line.strip())) is not None
    return False


def parse(lines: Lines) -> Iterator[Dump]:
    """Read one stretch: dumps that follow each other, with other lines between them."""
    reader, found = _Reader(lines.last), False
    for dump in reader.run(lines):
        found = True
        yield dump
    if not found and reader.titled is not None:
        yield reader.titled


def _header(plain: str) -> re.Match[str] | None:
    if plain[:1] not in {'"', "T"}:
        return None
    return next((found for pattern in _HEADERS if (found := pattern.fullmatch(plain)) is not None), None)


class _Reader(ThreadText):
    FORMAT = FORMAT
    FRAME = re.compile(rb"[ \t]+(?:at )?([^\s(^-][^\s(]*\(.*)")
    BEGINS = re.compile(rb'"|Thread-(?:0x)?[0-9a-f]{1,16} "')

    def __init__(self, before: list[NumberedLine]) -> None:
        super().__init__()
        self._pid = (0, 0)
        """The line in which ``jrcmd`` told the process's id, and the id."""
        for number, line in before:
            self._told_pid(number, line)
        self.titled: Dump | None = None
        """Of the dump that begins: its threads are to come."""
        self._complete = False
        self._locks: dict[str, Lock] = {}
        self._released: list[Lock] = []
        self._chains = ""
        self._chain: list[tuple[str, int | None, Lock | None]] = []
        self._chain_line = 0

    # The title, and what stands between dumps

    def title(self, line: bytes) -> bool:
        plain = text(line.strip())
        if claims(line):  # a header does not get here
            self._finish()
            number, pid = self._pid
            self.titled = Dump(FORMAT, self.number, "jvm", pid=pid if 0 < self.number - number <= 2 and pid else None)
            self.titled.end_line = self.number
            return True
        if self.titled is not None:
            return self._about_dump(self.titled, plain)
        if self.dump is None:
            return self._told_pid(self.number, line)
        if _END.fullmatch(line.strip()) is not None:
            if not self._chains or "END" in plain:  # and not the rule below the title of the chains
                self._last_line, self._complete = self.number, True
                self._finish()
            return True
        return self._chain_text(plain)

    def _told_pid(self, number: int, line: bytes) -> bool:
        pid = _PID.fullmatch(line)
        if pid is not None:
            self._pid = number, int(pid[1])
            self._noise.append((number, line))  # or it is the next parser's
        return pid is not None

    def _about_dump(self, dump: Dump, plain: str) -> bool:
        date, vm = _DATE.fullmatch(plain), _VM.match(plain)
        if date is not None and date[1] in _MONTHS:
            dump.taken_at = f"{date[4]}-{_MONTHS.index(date[1]) + 1:02}-{int(date[2]):02}T{date[3]}"
        elif vm is not None:
            dump.runtime, dump.version = vm[1], f"{vm[2]} ({vm[3]})" if vm[3] else vm[2]
        if date is not None or vm is not None:
            dump.end_line = self.number
        return date is not None or vm is not None

    def begin_dump(self, number: int) -> Dump:
        dump, self.titled = self.titled, None
        if dump is None:
            dump = Dump(FORMAT, number, "jvm", truncated=["the beginning of the dump is missing"])
        dump.runtime = dump.runtime or "JRockit"
        return dump

    def end_dump(self, dump: Dump) -> None:
        if not self._complete:
            dump.truncated.append("the end of the dump is missing")
        self._complete, self._chains = False, ""
        self._locks = {}

    # Threads

    def header(self, plain: str) -> Thread | None:
        found = _header(plain)
        if found is None:
            return None
        field = found.groupdict()
        words = [word for part in field["words"].split(",") if (word := part.strip())]
        lower = {word.lower() for word in words}
        said = [word for word in words if word.lower() not in _FLAGS and not word.startswith("priority=")]
        native = int(field["tid"]) if field.get("tid") else _hex(field.get("hextid"))
        return Thread(
            field["name"],
            0,
            state=_state(lower),
            printed_state=", ".join(said) or None,
            java_id=int(field["id"]) if field.get("id") else _hex(field.get("hex")),
            native_id=native,
            daemon="daemon" in lower,
            internal=field["name"].startswith("("),
        )

    def frame(self, printed: str) -> Frame | None:
        """``java/lang/Object.wait(J)V(Native Method)@0x..``: with dots, without the JNI signature and the address."""
        found = _FRAME.fullmatch(printed)
        if found is None:
            return None
        return self.interned.frame(f"{found['function'].replace('/', '.')}({found['source']})")

    def detail(self, thread: Thread, line: str) -> bool:
        plain = line.strip()
        lock = _LOCK.fullmatch(plain)
        if lock is not None:
            return self._lock_line(thread, lock)
        native = _NATIVE_ID.search(plain)
        if native is not None:
            thread.native_id = int(native[1], 16)
        if plain == "}" or plain.startswith(_ENDS):
            self.end_thread()
            return True
        return plain.startswith(_DETAILS)

    def _lock_line(self, thread: Thread, found: re.Match[str]) -> bool:
        verb, class_name, id, kind = found.groups()
        lock = self._locks.setdefault(id, Lock(id, class_name.replace("/", "."))) if id else None
        if verb.startswith("Blocked"):
            thread.state, thread.blocked_on = "BLOCKED", lock
        elif verb.startswith("Waiting for notification"):
            thread.waiting_on = lock
        elif verb.startswith("Parking"):
            set_wait(thread, lock, wants=False)
        elif verb.startswith("Lock released"):
            self._released += [lock] if lock is not None else []
        elif verb.startswith("Holding lock"):
            if lock is not None and kind != "unlocked":
                self.monitors.append(Held(lock, len(self.stack) - 1 if self.stack else None))
        else:
            return False
        return True

    def end_thread(self) -> None:
        self._end_chain()
        thread, released = self.thread, {lock.id: lock for lock in self._released}
        if thread is not None and self.stack:
            thread.internal = False
            self._trim(thread)
        super().end_thread()
        if thread is not None and released:
            thread.wait_released = tuple(released.values())
        self._released = []

    def _trim(self, thread: Thread) -> None:
        """Take off the frames of the VM itself, after they have said what the thread waits for."""
        stack = self.stack
        names = [frame.function for frame in stack]
        if any(name in _ENTER for name in names[:_TOP]):
            thread.state = "BLOCKED"
        elif thread.state == "WAITING" and any(name.startswith(_TIMED) or name in _TIMED_PARK for name in names[:_TOP]):
            thread.state = "TIMED_WAITING"
        top = 0
        while top < len(stack) and (names[top].startswith(_MACHINERY) or names[top] in _MACHINERY_FRAMES):
            top += 1
        if top == len(stack):
            return  # a thread of the VM
        while names[-1] in _BOTTOM and len(names) > top + 1:
            names.pop()
        wait = self.interned.frame("java.lang.Object.wait(Native Method)") if _WAIT in names[:top] else None
        self.stack = [*([wait] if wait is not None else []), *stack[top : len(names)]]
        shift = top - (wait is not None)
        last = len(self.stack) - 1
        self.monitors = [
            Held(held.lock, min(max(held.depth - shift, 0), last) if held.depth is not None else None)
            for held in self.monitors
        ]

    # Chains of threads that wait for each other

    def _chain_text(self, plain: str) -> bool:
        kind = _CHAINS.fullmatch(plain)
        if kind is not None:
            self.end_thread()
            self._chains = kind[1]
        elif not self._chains:
            return False
        elif _CHAIN.fullmatch(plain) is not None:
            self._end_chain()
            self._chain_line = self.number
        elif set(plain) != {"="}:
            link = _LINK.fullmatch(plain)
            if link is None:
                return False
            java_id = _hex(link["hex"]) if link["hex"] else int(link["id"]) if link["id"] not in {None, "?"} else None
            id, lock = link["lock"], None
            if id:
                lock = self._locks.setdefault(id, Lock(id, link["class"].replace("/", ".")))
            self._chain_line = self._chain_line or self.number
            self._chain.append((link["name"], java_id, lock))
        self._last_line = self.number
        return True

    def _end_chain(self) -> None:
        """Each lock of a chain is held by the thread in the next line; in a circular one the first comes again."""
        chain, self._chain = self._chain, []
        for (_, _, lock), (name, java_id, _) in pairwise(chain):
            self.owners.tell(lock, name, java_id)
        locks = tuple(lock for _, _, lock in chain if lock is not None)
        if self._chains.startswith("Circular") and locks and self.dump is not None:
            names = tuple(name for name, _, _ in chain)
            self.dump.deadlocks.append(
                ReportedDeadlock(self._chain_line, names[: len(locks)], locks, names[1 : len(locks) + 1])
            )
        self._chain_line = 0


def _hex(digits: str | None) -> int | None:
    return int(digits, 16) if digits else None


def _state(words: set[str]) -> str | None:
    """What the words of a header say: ``alive, in native, blocked``, ``waiting for pending references``, ``ACTIVE``."""
    if "blocked" in words:
        return "BLOCKED"
    if "sleeping" in words:
        return "TIMED_WAITING"
    if any(word in {"waiting", "parked"} or word.startswith("waiting for ") for word in words):
        return "WAITING"
    return "RUNNABLE" if words & {"alive", "active"} else None
