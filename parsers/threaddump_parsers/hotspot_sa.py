r"""HotSpot's serviceability agent: ``jhsdb jstack --pid PID`` or ``--core FILE``, and ``jstack -F`` before JDK 9.

It reads a process that does not answer, or a core, from outside. Deadlocks come first, then the threads; argument types
stand where source files stand elsewhere::

    Attaching to process ID 5189, please wait...
    Debugger attached successfully.
    Server compiler detected.
    JVM version is 17.0.15+6-Debian-1deb12u1
    Deadlock Detection:

    Found one Java-level deadlock:
    =============================

    "mix-1":
     waiting for ownable synchronizer 0x00000000ffc896a0, (a java/util/concurrent/locks/ReentrantLock$NonfairSync),
     which is held by "mix-2"
    "mix-2":
      waiting to lock Monitor@0x00007f0ab40015a0 (Object@0x00000000ffc89650, a com/shop/lab/Cases$Ledger),
      which is held by "mix-1"

    Found a total of 1 deadlock.

    "mix-1" #13 daemon prio=5 tid=0x00007f4bf41c9850 nid=0x13e9 waiting for monitor entry [0x00007f4bf8c52000]
       java.lang.Thread.State: BLOCKED (on object monitor)
       JavaThread state: _thread_blocked
     - com.shop.lab.Cases.transfer(com.shop.lab.Cases$Account, int) @bci=14, line=24 (Interpreted frame)
        - waiting to lock <0x00000000ffc4cbc8> (a com.shop.lab.Cases$Account)

    Locked ownable synchronizers:
        - <0x00000000ffc5a4c8>, (a java/util/concurrent/locks/ReentrantLock$NonfairSync)

JDK 5 to 8 print neither names nor states nor locks of threads. Their ``state`` is the VM's own: BLOCKED is a thread
that waits for anything, a safepoint included::

    Thread 4576: (state = BLOCKED)
     - sun.misc.Unsafe.park(boolean, long) @bci=0 (Compiled frame; information may be imprecise)
     - java.util.concurrent.locks.LockSupport.parkNanos(java.lang.Object, long) @bci=20, line=215 (Compiled frame)

``--mixed`` (``jstack -F -m``) prints every thread of the process with its C frames, Java frames behind a star, and no
locks. Where the C stack cannot be walked the Java frames are missing::

    ----------------- 5239 -----------------
    "chain-6" #14 prio=5 tid=0x00007fe80c1d8360 nid=0x1477 runnable [0x00007fe8107c8000]
       java.lang.Thread.State: RUNNABLE
       JavaThread state: _thread_in_native
    0x00007fe813d9b2ec	__libc_read + 0x4c
    0x00007fe8126309fb	Java_sun_nio_ch_SocketDispatcher_read0 + 0x2b
    0x00007fe7fc941374	* sun.nio.ch.SocketDispatcher.read(java.io.FileDescriptor, long, int) bci:4 line:47 (Interpreted frame)
    0x00007fe7fc938cc9	<StubRoutines>

Printed by ``sun.jvm.hotspot``: ``tools/StackTrace.java``, ``tools/PStack.java``, ``runtime/DeadlockDetector.java``,
``runtime/JavaVFrame.java`` (``printLockInfo``), ``runtime/JavaThread.java`` (``printThreadInfoOn``) and
``runtime/ConcurrentLocksPrinter.java``. From JDK 20 on ``nid`` is decimal.
"""  # noqa: E501 - real lines are long

from __future__ import annotations

import re
from collections.abc import Iterator

import threaddump_parsers
from threaddump_parsers.java_frames import is_c_function, java_function
from threaddump_parsers.java_text import MAX_LINE, QUIET_LINES, ThreadText
from threaddump_parsers.java_threads import STATES, add_problem, release, set_wait, text
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Frame, Held, Lock, ReportedDeadlock, Thread

FORMAT = "hotspot-sa"
FAMILY = "jvm"
TITLE = "serviceability agent (jhsdb jstack, jstack -F)"
CAPTURE = (
    ("jhsdb jstack --locks --pid PID", "from outside, where the JVM does not answer; it is stopped meanwhile"),
    ("jhsdb jstack --locks --exe $JAVA_HOME/bin/java --core FILE", "of a core, with the JDK that wrote it"),
    ("jstack -F PID", "JDK 5 to 8: neither names nor locks of threads"),
)
INITIALS = b'"T-ADJ'
SIGNATURE = rb"Deadlock Detection:|Thread \d{1,19}: \(state = "
WORDS = (b"Deadlock Detection:", b"(state = ")

_BEGINS = (b"Attaching to ", b"Debugger attached successfully.", b"JVM version is ", b"Deadlock Detection:")
_ATTACHING = re.compile(r"Attaching to (?:process ID (\d{1,10})|core |remote server ).*")
_VERSION = "JVM version is "
_SEARCH = b"Deadlock Detection:"
_PREAMBLE = (
    "Debugger attached successfully.",
    "Server compiler detected.",
    "Client compiler detected.",
    "Core build detected.",
    "Core VM detected.",
    "Deadlock Detection:",
    "No deadlocks found.",
    "Finding concurrent locks.",
    "Locked mutex: ",
    "===",
)
_DEADLOCK = "Found one Java-level deadlock:"
_DEADLOCK_END = re.compile(r"Found a total of \d+ deadlocks?\.")
_DEADLOCK_THREAD = re.compile(r'"(.*)":', re.DOTALL)
_DEADLOCK_LOCK = re.compile(
    r"waiting (?:to lock Monitor@(0x[0-9a-f]+) \((?:Object@(0x[0-9a-f]+), an? (.+)|raw monitor)\)"
    r"|for ownable synchronizer (0x[0-9a-f]+), \(an? (.+)\)),"
)
_DEADLOCK_OWNER = re.compile(r'which is held by "(.*)"', re.DOTALL)
_NO_DEADLOCKS = re.compile(
    r"Can't print deadlocks|can't print deadlock|This version of HotSpot VM doesn't support", re.IGNORECASE
)
_NO_STACKS = ("Not available for Mac OS X processes", "not yet implemented (debugger does not support CDebugger)")

_HEADER = re.compile(
    r'"(.*)" #(\d{1,19}) (daemon )?prio=(?:-?\d+|<unknown>) tid=(0x[0-9a-f]+) nid=(0x[0-9a-f]{1,16}|\d{1,19}) '
    r"([^\[\]\"]*)\[(0x[0-9a-f]+)\]",
    re.DOTALL,
)
_OLD_HEADER = re.compile(r"Thread (?:t@)?(\d{1,19}): \(state = ([A-Z_]+)(?:, current Java SP = [^\s()]+)?\)?")
_BLOCK = re.compile(r"-{17} +(?:t@)?(\d{1,19}) +-{17}")
_NO_JAVA = re.compile("0x0+")
"""The stack pointer of a thread without Java frames."""

# The names of JavaThreadState; a thread in transition is on the way to or from the state.
_RUNNING = ("IN_NATIVE", "IN_VM", "IN_JAVA")

_FRAME = re.compile(r"\s*- (.+)\([^()]*\) @bci=(-?\d+)(?:, line=(\d{1,9}))?[, ]")
_MIXED = re.compile(r"(?:0x[0-9a-f]+\s+|\s*(?=\* ))(\S.*)")
_MIXED_JAVA = re.compile(r"\* (.+)\([^()]*\) bci:(-?\d+)(?: line:(\d{1,9}))?[ ]")
_MIXED_NATIVE = re.compile(r"([^\s(].*)\([^()]*\)(?: \+ 0x[0-9a-f]+)? \(Native method\)")
_SYMBOL = re.compile(r"(.+?)(?: \+ 0x[0-9a-f]+)?")
_SUFFIX = re.compile(r"\.(?:constprop|part|isra|cold|llvm)\b.*")
_JNI = re.compile(r"Java_((?:[A-Za-z0-9]|_(?![0-3])|_1|_0[0-9a-f]{4})+?)(?:__\w*)?")
_WORD = re.compile(r"\w+")
_LOST = ("<interpreter>", "<Unknown compiled code>")
"""What stands for Java frames that could not be told."""

_LOCK = re.compile(
    r"- +(?:(waiting to lock|waiting on|waiting to re-lock in wait\(\)|parking to wait for|locked|eliminated) +)?"
    r"<(?:(0x[0-9a-f]+)|[^<>]*)>(?:,? \(an? (.+)\))?"
)
_THREAD_STATE = "java.lang.Thread.State: "
_VM_STATE = "JavaThread state: "
_SYNCHRONIZERS = "Locked ownable synchronizers:"
_ERRORS = ("Error occurred during stack walking", "Could not print lock info")
_TRACE = re.compile(r"at [\w.$]|Caused by: |\.\.\. \d+ more|[\w.$]+(?:Exception|Error)\b")
_LOOK_AHEAD = 40


def claims(line: bytes) -> bool:
    """A line of the preamble, or the header of a thread where the beginning is missing."""
    match line[:1]:
        case b'"':
            return b" #" in line and b" tid=" in line and b" os_prio=" not in line and _is_header(line)
        case b"T":
            return line.startswith(b"Thread ") and b": (state = " in line and _is_header(line)
        case b"-":
            return line.startswith(b"-----------------") and _is_header(line)
    return line.startswith(_BEGINS[1:]) or (line.startswith(_BEGINS) and _ATTACHING.match(_plain(line)) is not None)


def parse(lines: Lines) -> Iterator[Dump]:
    """Read one dump; nothing where no thread and no search for deadlocks follows, as other tools of the agent print."""
    ahead = lines.peek(_LOOK_AHEAD)
    if not any(line.startswith(_SEARCH) or _is_header(line) for _, line in ahead):
        return
    number, first = ahead[0]
    dump = Dump(FORMAT, number, "jvm", end_line=number)
    if _is_header(first):
        dump.truncated.append("the beginning of the dump is missing")
    else:
        _read_preamble(lines, dump)
    found = False
    for one in _Reader(dump).run(lines):
        found = True
        yield one
    if not found:
        yield dump


def _plain(line: bytes) -> str:
    return text(line).strip() if len(line) <= MAX_LINE else ""


def _is_header(line: bytes) -> bool:
    plain = _plain(line) if line[:1] in b'"T-' else ""
    return any(pattern.fullmatch(plain) for pattern in (_HEADER, _OLD_HEADER, _BLOCK))


def _read_preamble(lines: Lines, dump: Dump) -> None:
    """What stands before the threads: the process, its version and its deadlocks."""
    searched = False
    cycle = _Cycle(0)
    for number, line in lines:
        plain = _plain(line)
        threads = _is_header(line) or (line[:1] == b'"' and not cycle.line)  # a name may hold line breaks
        other = threaddump_parsers.claimant(line)
        foreign = other is not None and other.FORMAT != FORMAT
        if threads or foreign or (searched and line.startswith(_BEGINS)):
            lines.push_back((number, line))
            break
        searched = searched or line.startswith(_SEARCH)
        if plain.startswith(_DEADLOCK) or _DEADLOCK_END.fullmatch(plain):
            cycle.enter(dump)
            cycle = _Cycle(number)
        elif not cycle.take(plain) and not _preamble_line(dump, number, plain):
            if dump.unread_lines >= QUIET_LINES:
                lines.push_back((number, line))
                break
            dump.unread_lines += 1
            add_problem(dump, number, "not part of the thread dump", line)
        dump.end_line = number
    cycle.enter(dump)


def _preamble_line(dump: Dump, number: int, plain: str) -> bool:
    """Whether the line belongs to the preamble; what it says of the process is noted."""
    attaching = _ATTACHING.fullmatch(plain)
    if attaching is not None:
        dump.pid = int(attaching[1]) if attaching[1] else None
    elif plain.startswith(_VERSION):
        dump.version = release(plain[len(_VERSION) :]) or None
    elif _NO_DEADLOCKS.match(plain):
        add_problem(dump, number, "the agent could not look for deadlocks", plain.encode())
    elif plain.startswith(_NO_STACKS):
        dump.truncated.append("the agent cannot read C stacks here: take the dump without --mixed")
    else:
        return not plain or plain.startswith(_PREAMBLE)
    return True


class _Cycle:
    """A deadlock while it is read."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.threads: list[str] = []
        self.locks: list[Lock] = []
        self.owners: list[str] = []

    def take(self, plain: str) -> bool:
        """Whether the line belongs to it."""
        if not self.line:
            return False
        thread, owner = _DEADLOCK_THREAD.fullmatch(plain), _DEADLOCK_OWNER.fullmatch(plain)
        lock = _DEADLOCK_LOCK.fullmatch(plain)
        if owner is not None:
            self.owners.append(owner[1])
        elif thread is not None:
            self.threads.append(thread[1])
        elif lock is not None:
            monitor, thing, class_name, synchronizer, its_class = lock.groups()
            self.locks.append(Lock(thing or synchronizer or monitor, _dotted(class_name or its_class or "raw monitor")))
        return bool(owner or thread or lock)

    def enter(self, dump: Dump) -> None:
        if self.threads:
            dump.deadlocks.append(
                ReportedDeadlock(self.line, tuple(self.threads), tuple(self.locks), tuple(self.owners))
            )


def _dotted(class_name: str) -> str:
    return class_name.replace("/", ".")


class _Reader(ThreadText):
    """The threads of all three forms."""

    FORMAT = FORMAT
    FRAME = re.compile(rb"(.*)")

    def __init__(self, begun: Dump) -> None:
        super().__init__()
        self._begun: Dump | None = begun
        self._known: dict[Frame | tuple[str, int | None, bool], Frame] = {}
        self._locks: dict[str, Lock] = {}
        self._listing = False
        """In the list of ownable synchronizers."""
        self._failed = False
        """The agent's own exception is being printed."""
        self._block = False
        """In a block of --mixed, whose first line may be a thread's header."""
        self._mixed: list[Thread] = []
        self._relock: Lock | None = None
        self._unnamed = False
        """In Object.wait, compiled: the object is not printed."""
        self._no_java: set[Thread] = set()

    def begin_dump(self, number: int) -> Dump:
        dump, self._begun = self._begun, None
        return dump or Dump(FORMAT, number, "jvm", truncated=["the beginning of the dump is missing"])

    def header(self, plain: str) -> Thread | None:
        old = _OLD_HEADER.fullmatch(plain) if plain[:1] == "T" else None
        if old is not None:
            state = "RUNNABLE" if old[2].removesuffix("_TRANS") in _RUNNING else "NEW" if "NEW" in old[2] else None
            return Thread("", 0, state, old[2], native_id=int(old[1]))
        block = _BLOCK.fullmatch(plain) if plain[:1] == "-" else None
        if block is not None:
            return Thread("", 0, native_id=int(block[1]))
        if self._block or plain[:1] != '"':
            return None
        match = _HEADER.fullmatch(plain)
        return self._named(Thread("", 0), match) if match is not None else None

    def _named(self, thread: Thread, match: re.Match[str]) -> Thread:
        """Put what a header says into the thread."""
        name, java_id, daemon, address, nid, words, stack_pointer = match.groups()
        thread.name, thread.java_id, thread.address = name, int(java_id), address
        thread.native_id = int(nid, 16 if nid.startswith("0x") else 10)
        thread.daemon, thread.printed_state = daemon is not None, words.strip() or None
        if _NO_JAVA.fullmatch(stack_pointer):
            self._no_java.add(thread)
        return thread

    def begun(self, thread: Thread) -> None:
        self._listing = self._failed = self._unnamed = False
        self._relock = None
        self._block = thread.java_id is None and thread.printed_state is None
        if self._block:
            self._mixed.append(thread)

    def frame(self, printed: str) -> Frame | None:
        java = _FRAME.match(printed)
        mixed = _MIXED.match(printed) if java is None and self._block else None
        if mixed is not None:
            if not mixed[1].startswith("* "):
                return self._c_frame(mixed[1])
            java = _MIXED_JAVA.match(mixed[1] + " ")
        if java is None:
            return None
        function, bci, number = java.groups()
        name = java_function(function)
        # The agent does not say which methods are native: they have neither code nor lines. Generated ones lack these.
        native = bci == "0" and number is None and "$$" not in name
        return self._frame_of(name, int(number) if number else None, native)

    def _c_frame(self, printed: str) -> Frame | None:
        """The frame of a C function, or of a native method."""
        if printed[:1] in "<?":
            return None
        native = _MIXED_NATIVE.fullmatch(printed)
        if native is not None:
            return self._frame_of(java_function(native[1]), None, native=True)
        symbol = _SYMBOL.fullmatch(printed)
        return self._frame_of(_function(symbol[1]), None, native=True) if symbol is not None else None

    def _frame_of(self, function: str, line: int | None, native: bool) -> Frame:
        key = (function, line, native)
        frame = self._known.get(key)
        if frame is None:
            self._known[key] = frame = Frame(function, None, line, native)
        return frame

    def detail(self, thread: Thread, line: str) -> bool:
        plain = line.strip()
        match plain[:1]:
            case "-":
                return self._lock_line(thread, plain)
            case '"':
                header = _HEADER.fullmatch(plain) if self._block and not self.stack and thread.java_id is None else None
                return header is not None and self._named(thread, header) is thread
            case "0":
                # Of code that the agent has no frame for; two of these words stand for Java frames.
                thread.truncated = thread.truncated or any(word in plain for word in _LOST)
                return self._block and _MIXED.match(plain) is not None
            case ")":
                return plain == ")"
        if plain.startswith(_THREAD_STATE):
            thread.printed_state = plain[len(_THREAD_STATE) :]
            state = thread.printed_state.partition(" ")[0]
            thread.state = state if state in STATES else None
        elif plain.startswith(_SYNCHRONIZERS):
            self._listing = True
            if self.dump is not None:
                self.dump.ownable_synchronizers = True
        elif plain.startswith(_ERRORS):
            self._failed = thread.truncated = True
            if self.dump is not None:
                add_problem(self.dump, thread.line, f"the agent failed at this thread: {plain}")
        else:
            return plain.startswith(_VM_STATE) or (self._failed and _TRACE.match(plain) is not None)
        return True

    def _lock_line(self, thread: Thread, plain: str) -> bool:
        match = _LOCK.fullmatch(plain)
        if match is None:
            return plain == "- None"
        verb, address, class_name = match.groups()
        if address is None:
            self._unnamed = self._unnamed or verb == "waiting on"
            return verb is not None
        lock = self._locks.setdefault(address, Lock(address, _dotted(class_name or "")))
        if verb is None:
            self.synchronizers.append(Held(lock, None))
            return self._listing
        if verb == "locked":
            self.monitors.append(Held(lock, len(self.stack) - 1 if self.stack else None))
        elif verb == "waiting to re-lock in wait()":
            self._relock = lock
        elif verb != "eliminated":
            set_wait(thread, lock, wants=verb == "waiting to lock")
        return True

    def end_thread(self) -> None:
        thread = self.thread
        if thread is not None and self.stack:
            self._wait(thread, self.stack[0].function)
        super().end_thread()

    def _wait(self, thread: Thread, top: str) -> None:
        """What a thread waits for, where its lock lines do not say it in so many words."""
        if thread.java_id is None and thread.printed_state == "BLOCKED":
            # The VM's word for every wait. What tells more is the call.
            below = {frame.function.rpartition(".")[2] for frame in self.stack[1:3]}
            if top.endswith("Unsafe.park") and below & {"park", "parkNanos", "parkUntil"}:
                thread.state = "WAITING" if "park" in below else "TIMED_WAITING"
            elif top.startswith("java.lang.Thread.sleep"):
                thread.state = "TIMED_WAITING"
            return
        if top.startswith("java.lang.Object.wait"):
            if self._relock is not None:
                thread.waiting_on = self._relock
            elif self._unnamed and self.monitors and thread.waiting_on is None:
                thread.waiting_on = self.monitors[0].lock
            if thread.state == "BLOCKED":  # notified, and wants its monitor back
                thread.blocked_on, thread.waiting_on = thread.waiting_on, None
        elif thread.state == "BLOCKED" and thread.blocked_on is None:
            # The monitor that an interpreted frame took last stands at its end, where the agent takes no look at
            # whether it is entered: it prints "locked" for what is waited for.
            entering = [held.lock for held in self.monitors if held.depth == 0]
            thread.blocked_on = entering[-1] if entering else None

    def end_dump(self, dump: Dump) -> None:
        self._believe_deadlocks(dump)
        named = any(thread.java_id is not None for thread in self._mixed)
        bare = 0
        for thread in self._mixed:
            java = not all(map(is_c_function, thread.stack))
            # From JDK 9 on the threads of Java have a header: the others are the VM's own.
            thread.internal = named and thread.java_id is None and not java
            if thread.java_id is not None and not java and thread not in self._no_java:
                thread.truncated = True
                bare += 1
        if bare:
            dump.truncated.append(f"the Java frames of {bare} threads are missing: their C stacks could not be walked")
        self._mixed, self._locks = [], {}
        self._no_java = set()

    def _believe_deadlocks(self, dump: Dump) -> None:
        """Give the threads of a deadlock the locks that they are said to wait for, and to hold."""
        by_name: dict[str, list[Thread]] = {}
        for thread in dump.threads if dump.deadlocks else ():
            by_name.setdefault(thread.name, []).append(thread)
        for deadlock in dump.deadlocks:
            for name, lock in zip(deadlock.threads, deadlock.locks, strict=False):
                waiting = by_name.get(name, [])
                if len(waiting) == 1:  # names may repeat
                    (thread,) = waiting
                    thread.blocked_on, thread.waiting_on = self._locks.get(lock.id or "", lock), None
                    thread.holds = tuple(held for held in thread.holds if held.lock.id != lock.id)


def _function(symbol: str) -> str:
    """The name of a C function, without arguments; of a native method its name in Java."""
    name = _SUFFIX.sub("", symbol.partition("(")[0] or symbol)
    native = _JNI.fullmatch(name) if _WORD.fullmatch(name) else None  # else each "__" in it is looked behind
    if native is None:
        return name
    parts = native[1].replace("_1", "\0").split("_")
    return ".".join(parts).replace("\0", "_")
