"""``java.lang.management.ThreadInfo`` as text: ``toString`` of Java 6 to 25, and what tools print of it by themselves.

``ThreadInfo.toString``, which prints 8 frames at most (also in Jenkins's ``/threadDump``, which prints all, and the
group behind the id)::

    "http-exec-2" daemon prio=5 Id=16 BLOCKED on com.shop.Gateway@4eec7777 owned by "http-exec-1" Id=15
        at app//com.shop.Gateway.schedule(Gateway.java:63)
        -  blocked on com.shop.Gateway@4eec7777
        ...

        Number of locked synchronizers = 1
        - java.util.concurrent.locks.ReentrantLock$NonfairSync@17a7cec2

VisualVM and Spring Boot's actuator as ``text/plain`` (``PlainTextThreadDumpFormatter``), below the title of a HotSpot
dump::

    "deadLock1" - Thread t@20
       java.lang.Thread.State: BLOCKED
        at com.shop.Bank.transfer(Bank.java:24)
        - waiting to lock <b5379e1> (a com.shop.Account) owned by "deadLock2" t@21
        - locked <41d2f8a> (a com.shop.Account)

       Locked ownable synchronizers:
        - None

Hadoop's ``/stacks`` (``ReflectionUtils.printThreadInfo``; 20 frames at most)::

    Process Thread Dump: jsp requested
    43 active threads
    Thread 63 (IPC Server handler 1 on 8020):
      State: WAITING
      Blocked count: 0
      Waited count: 1
      Waiting on java.lang.Object@1b2c3d
      Stack:
        java.lang.Object.wait(Native Method)

WebLogic's ``JVMRuntimeMBean.getThreadStackDump``, which its console and WLST's ``threadDump()`` show::

    "[STANDBY] ExecuteThread: '3' for queue: 'weblogic.kernel.Default (self-tuning)'" waiting for lock X@7e7702 WAITING
        java.lang.Object.wait(Native Method)
    "DynamicListenThread[Default]" RUNNABLE native
        java.net.PlainSocketImpl.socketAccept(Native Method)

A thread copied out of JConsole (``sun.tools.jconsole.ThreadTab`` and its messages), one below the other::

    Name: http-exec-2
    State: BLOCKED on com.shop.Gateway@4eec7777 owned by: http-exec-1
    Total blocked: 1  Total waited: 0

    Stack trace:
    app//com.shop.Gateway.schedule(Gateway.java:63)
       - locked java.lang.Object@1b2c3d

No virtual threads, no threads of the VM.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from threaddump_parsers.java_text import MAX_LINE, ThreadText
from threaddump_parsers.java_threads import STATES, set_wait
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Held, Lock, Thread

FORMAT = "threadmxbean"
FAMILY = "jvm"
TITLE = "ThreadInfo text: ThreadMXBean, Jenkins, VisualVM, WebLogic"
CAPTURE = (
    ("curl -s http://HOST:PORT/stacks", "Hadoop's servers"),
    ("http://HOST/threadDump", "Jenkins"),
    ("threadDump()", "WLST, or the threads page of WebLogic's console"),
    ("visualvm", "Thread Dump in the context menu of a process; for the JVM's own text use jcmd"),
)
INITIALS = b'"TPS'
SIGNATURE = rb'"[^"\n]|Process Thread Dump: |Thread \d{1,19} \(|State: (?:RUNNABLE|BLOCKED|(?:TIMED_)?WAITING)'
WORDS = (b" Id=", b" - Thread t@", b"Thread Dump: ", b"Thread ", b"RUNNABLE", b"BLOCKED", b"WAITING")

_STATE = "|".join(sorted(STATES))
_INFO = re.compile(
    rf'"(.*)" ?((?:daemon )?prio=\d+ )?Id=(\d{{1,19}}) (?:Group=[^"]{{0,200}}? )?({_STATE})(?: on (\S+))?'
    r"(?: \(suspended\))?(?: \(in native\))?",
    re.DOTALL,
)
_OWNED = ' owned by "'
_OWNER = re.compile(r'(.*)" Id=(-?\d{1,19})(?: \(suspended\))?(?: \(in native\))?', re.DOTALL)
_VISUALVM = re.compile(r'"(.*)"(?: - Thread t@(\d{1,19}))?', re.DOTALL)
_HADOOP = re.compile(r"Thread (\d{1,19})(?: \((?!Thread 0x|LWP |process )(.*)\))?:", re.DOTALL)
_HADOOP_TITLE = b"Process Thread Dump: "
_HADOOP_WAIT = re.compile(r"(Waiting|Blocked) on (\S+)")
_HADOOP_OWNER = re.compile(r"Blocked by (\d{1,19})(?: \((.*)\))?", re.DOTALL)
_HADOOP_DETAILS = ("Blocked count: ", "Waited count: ", "Blocked time: ", "Waited time: ", "Stack:", "Inactive")
_ACTIVE = re.compile(rb"(\d{1,9}) active threads\s*")
_HADOOP_FRAMES = 20
"""``STACK_DEPTH`` of ``ReflectionUtils``; other printers of this form have no limit."""
_TITLE = b"Full thread dump "
_VM = re.compile(r"Full thread dump (.*?) ?\(([^\s()]++) [^()]*\):?")
_DATE = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\s*")
_WEBLOGIC = re.compile(rf'"(.*)" (?:waiting for lock (\S+) )?({_STATE})(?: (?:native|suspended))*', re.DOTALL)
_JCONSOLE_NAME = "Name: "
_JCONSOLE = re.compile(rf"State: ({_STATE})(?: on (\S+)(?: owned by: (.*))?)?", re.DOTALL)
_JCONSOLE_DETAILS = re.compile(r"Total blocked: \S+  Total waited: \S+|Stack trace:")
_THREAD_STATE = "java.lang.Thread.State: "
_SYNCHRONIZERS = ("Number of locked synchronizers = ", "Locked ownable synchronizers:")
_LOCK = re.compile(
    r"- +(?:(locked|waiting on|waiting to lock|parking to wait for|blocked on) +)?"
    r'(?:<([0-9a-f]{1,16})> \(an? (\S+)\)|([^\s<>]+@[0-9a-f]{1,16}))(?: owned by "(.*)" t@(\d{1,19}))?',
    re.IGNORECASE | re.DOTALL,
)
_OLDEST = "main"
_LOOK_AHEAD = 6


def claims(line: bytes) -> bool:
    """The header of a thread, or the title of Hadoop's."""
    match line[:1]:
        case b'"':
            return (
                (b" Id=" in line and _info(_plain(line)) is not None)
                or (b" - Thread t@" in line and _is_visualvm(line))
                or _is_weblogic(line)
            )
        case b"S":
            return line.startswith(b"State: ") and _JCONSOLE.fullmatch(_plain(line)) is not None
        case b"T":
            return line.startswith(b"Thread ") and _HADOOP.fullmatch(_plain(line)) is not None
        case b"P":
            return line.startswith(_HADOOP_TITLE)
    return False


def _is_visualvm(line: bytes) -> bool:
    match = _VISUALVM.fullmatch(_plain(line))
    return match is not None and match[2] is not None


def _is_weblogic(line: bytes) -> bool:
    end = line.rfind(b'" ')
    return end > 0 and line[end + 2 : end + 3].isalpha() and _WEBLOGIC.fullmatch(_plain(line)) is not None


def follows(lines: Lines) -> bool:
    """Whether the next line, the title of a dump, stands over threads in VisualVM's form."""
    return any(b" - Thread t@" in line and claims(line) for _, line in lines.peek(_LOOK_AHEAD)[1:])


def parse(lines: Lines) -> Iterator[Dump]:
    """Read one stretch, from a header or from the title over it."""
    ahead = lines.peek(_LOOK_AHEAD)
    if not ahead:
        return
    number, first = ahead[0]
    dump = Dump(FORMAT, number, "jvm")
    if first.startswith((b"Thread ", _HADOOP_TITLE)):
        if any(line.startswith(b"  State: ") for _, line in ahead[1:]):
            yield from _Hadoop(dump).run(lines)
    elif first.startswith(b"State: "):
        before = lines.last[-1] if lines.last else (0, b"")
        if before[0] == number - 1 and before[1].startswith(_JCONSOLE_NAME.encode()):
            yield from _JConsole(dump, _plain(before[1])).run(lines)
    elif _is_weblogic(first):
        yield from _WebLogic(dump).run(lines)
    elif not first.startswith(_TITLE):
        yield from _Info(dump).run(lines)
    elif follows(lines):
        vm = _VM.fullmatch(_plain(first))
        if vm is not None:
            dump.runtime, dump.version = vm[1] or None, vm[2]
        if lines.last and lines.last[-1][0] == number - 1 and _DATE.fullmatch(lines.last[-1][1]):
            dump.line, date = lines.last[-1]
            dump.taken_at = date.decode().strip().replace(" ", "T")
        next(iter(lines))
        yield from _Info(dump).run(lines)


def _plain(line: bytes) -> str:
    return line.decode("utf-8", "replace").strip() if len(line) <= MAX_LINE else ""


def _info(plain: str) -> tuple[re.Match[str], re.Match[str] | None] | None:
    """A header of ``ThreadInfo.toString``, and the owner that it may name: both names may hold anything."""
    for at in {plain.rfind(_OWNED), plain.find(_OWNED)} - {-1}:
        info = _INFO.fullmatch(plain, 0, at)
        owner = _OWNER.fullmatch(plain, at + len(_OWNED)) if info is not None else None
        if info is not None and owner is not None:
            return info, owner
    info = _INFO.fullmatch(plain)
    return (info, None) if info is not None else None


class _Reader(ThreadText):
    FORMAT = FORMAT
    FORMS = True

    def __init__(self, begun: Dump) -> None:
        super().__init__()
        self._begun: Dump | None = begun
        self.owned = False
        """What the thread waits for was said to have an owner."""

    def begin_dump(self, number: int) -> Dump:
        dump, self._begun = self._begun or Dump(FORMAT, number, "jvm"), None
        return dump

    def wait(self, thread: Thread, lock: Lock | None, name: str | None, java_id: int | None, *, wants: bool) -> None:
        set_wait(thread, lock, wants=wants)
        if java_id > 0 if java_id is not None else name:
            self.owned = True
            self.owners.tell(lock, name, java_id)

    def end_thread(self) -> None:
        thread = self.thread
        if thread is not None and thread.waiting_on is not None and self.owned:
            # In Object.wait the owner is who has the monitor just now. Whoever parks on what is owned wants to own it.
            if self.stack and not self.stack[0].function.startswith("java.lang.Object.wait"):
                thread.blocked_on, thread.waiting_on = thread.waiting_on, None
        self.owned = False
        super().end_thread()


class _Info(_Reader):
    """``ThreadInfo.toString`` and VisualVM's form."""

    _visualvm = False
    """A header of VisualVM's form was seen: it may have lost its end."""
    _listing = False
    """In the list of ownable synchronizers."""
    _header: tuple[str | None, str | None, int | None] = (None, None, None)
    """Of the header at hand: the object, its owner's name and id."""

    def header(self, plain: str) -> Thread | None:
        if plain[:1] != '"':
            return None
        found = _info(plain) if " Id=" in plain else None
        if found is None:
            match = _VISUALVM.fullmatch(plain)
            if match is None or not (match[2] or self._visualvm):
                return None
            self._visualvm = True
            return Thread(match[1], 0, java_id=int(match[2]) if match[2] else None)
        info, owner = found
        name, flags, java_id, state, waits_for = info.groups()
        thread = Thread(name, 0, state, state, java_id=int(java_id))
        thread.daemon = flags.startswith("daemon") if flags else None
        self._header = (waits_for, owner[1], int(owner[2])) if owner is not None else (waits_for, None, None)
        return thread

    def repeats(self, thread: Thread) -> bool:
        threads = self.dump.threads if self.dump is not None else []
        oldest = bool(threads) and threads[0].name == thread.name == _OLDEST  # of another JVM, with other ids
        return oldest or super().repeats(thread)

    def begun(self, thread: Thread) -> None:
        self._listing = False
        waits_for, owner, owner_id = self._header
        self._header = (None, None, None)
        if waits_for is not None:
            lock = self.interned.lock(waits_for)
            self.wait(thread, lock, owner, owner_id, wants=thread.state == "BLOCKED")

    def detail(self, thread: Thread, line: str) -> bool:
        plain = line.strip()
        if plain.startswith("- "):
            return plain == "- None" or self._lock_line(thread, plain)
        if plain == "...":
            thread.truncated = True
        elif plain.startswith(_THREAD_STATE):
            thread.printed_state = plain[len(_THREAD_STATE) :]
            state = thread.printed_state.partition(" ")[0]
            thread.state = state if state in STATES else None
        elif plain.startswith(_SYNCHRONIZERS):
            self._listing = True
            if self.dump is not None:
                self.dump.ownable_synchronizers = True
        else:
            return False
        return True

    def _lock_line(self, thread: Thread, plain: str) -> bool:
        match = _LOCK.fullmatch(plain)
        lock = self.interned.lock(match[4] or f"{match[3]}@{match[2]}") if match is not None else None
        if match is None or lock is None:
            return False
        verb = (match[1] or "").lower()
        if self._listing:
            self.synchronizers.append(Held(lock, None))
        elif verb == "locked":
            self.monitors.append(Held(lock, len(self.stack) - 1 if self.stack else None))
        elif not verb:
            return False
        elif thread.waiting_on is None and thread.blocked_on is None:
            owner_id = int(match[6]) if match[6] else None
            self.wait(thread, lock, match[5], owner_id, wants=verb in {"waiting to lock", "blocked on"})
        return True


class _Hadoop(_Reader):
    FRAME = re.compile(rb"    (\S.*)")
    BEGINS = re.compile(rb"Thread \d{1,19} \(")

    _active = 0
    _inactive = 0

    def header(self, plain: str) -> Thread | None:
        match = _HADOOP.fullmatch(plain) if plain.startswith("Thread ") else None
        return Thread(match[2] or "", 0, java_id=int(match[1])) if match is not None else None

    def title(self, line: bytes) -> bool:
        active = _ACTIVE.fullmatch(line)
        if active is not None:
            self._active = int(active[1])
        return active is not None or (line.startswith(_HADOOP_TITLE) and self.dump is None)

    def detail(self, thread: Thread, line: str) -> bool:
        plain = line.strip()
        if not line.startswith("  "):
            return False
        if plain.startswith("State: "):
            state = plain[len("State: ") :]
            thread.printed_state, thread.state = state, state if state in STATES else None
            return True
        self._inactive += plain == "Inactive"
        wait = _HADOOP_WAIT.fullmatch(plain)
        owner = _HADOOP_OWNER.fullmatch(plain)
        if wait is not None:
            self.wait(thread, self.interned.lock(wait[2]), None, None, wants=wait[1] == "Blocked")
        elif owner is not None:
            self.owners.tell(thread.blocked_on, owner[2], int(owner[1]))
        return wait is not None or owner is not None or plain.startswith(_HADOOP_DETAILS)

    def end_dump(self, dump: Dump) -> None:
        if max((len(thread.stack) for thread in dump.threads), default=0) == _HADOOP_FRAMES:
            for thread in dump.threads:
                thread.truncated = len(thread.stack) == _HADOOP_FRAMES
        missing = self._active - self._inactive - len(dump.threads)
        if missing > 0:
            dump.truncated.append(f"the dump has {self._active} threads, {missing} of them are not in this input")
        self._active = self._inactive = 0


class _WithoutIds(_Reader):
    """Forms that print no ids: where the first thread comes again, after others, the next dump begins."""

    def repeats(self, thread: Thread) -> bool:
        threads = self.dump.threads if self.dump is not None else []
        return bool(threads) and threads[0].name == thread.name != threads[-1].name


class _WebLogic(_WithoutIds):
    ALONE = True
    FRAME = re.compile(rb"\s+([^\s-].*)")

    def header(self, plain: str) -> Thread | None:
        match = _WEBLOGIC.fullmatch(plain) if plain[:1] == '"' else None
        if match is None:
            return None
        thread = Thread(match[1], 0, match[3], match[3])
        if match[2]:
            self.wait(thread, self.interned.lock(match[2]), None, None, wants=match[3] == "BLOCKED")
        return thread

    def detail(self, thread: Thread, line: str) -> bool:  # noqa: ARG002 - it prints nothing else
        return False


class _JConsole(_WithoutIds):
    FRAME = re.compile(rb"([^\s-].*)")
    BEGINS = re.compile(rb"Name: ")

    def __init__(self, begun: Dump, name: str) -> None:
        super().__init__(begun)
        begun.line -= 1
        self._name: tuple[int, str] | None = (begun.line, name)
        """The line that names the next thread."""
        self._before = 0
        """The last line of the thread before it."""
        self._line = 0
        """The line that named the thread at hand."""

    def begin_dump(self, number: int) -> Dump:
        return super().begin_dump(self._line or number)

    def header(self, plain: str) -> Thread | None:
        match = _JCONSOLE.fullmatch(plain) if plain.startswith("State: ") and self._name else None
        if match is None or self._name is None:
            return None
        self._line, name = self._name
        self._name = None
        thread = Thread(name[len(_JCONSOLE_NAME) :], 0, match[1], match[1])
        if match[2]:
            lock = self.interned.lock(match[2])
            self.wait(thread, lock, match[3], None, wants=match[1] == "BLOCKED")
        return thread

    def repeats(self, thread: Thread) -> bool:
        again = super().repeats(thread)
        if again:
            self._last_line = self._before  # the name is the next dump's
        return again

    def begun(self, thread: Thread) -> None:
        thread.line = self._line  # the name stands above the state

    def detail(self, thread: Thread, line: str) -> bool:  # noqa: ARG002
        plain = line.strip()
        if plain.startswith("- locked "):
            lock = self.interned.lock(plain[len("- locked ") :])
            if lock is not None:
                self.monitors.append(Held(lock, len(self.stack) - 1 if self.stack else None))
            return lock is not None
        if plain.startswith(_JCONSOLE_NAME):
            self._name, self._before = (self.number, plain), self._last_line
        return plain.startswith(_JCONSOLE_NAME) or _JCONSOLE_DETAILS.fullmatch(plain) is not None
