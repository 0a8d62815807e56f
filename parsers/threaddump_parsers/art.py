r"""The text that Android's runtime (ART, before it Dalvik) writes on SIGQUIT: an ANR's ``/data/anr`` file, ``kill -3``.

As printed by ``signal_catcher.cc`` (the frame around), ``thread.cc`` (a thread) and ``monitor.cc`` (its locks)::

    ----- pid 2976 at 2026-11-22 20:31:07.123456789+0100 -----
    Cmd line: com.shop.till
    Build fingerprint: 'google/...'
    ...
    DALVIK THREADS (41):
    "main" prio=5 tid=1 Blocked
      | group="main" sCount=1 ucsCount=0 flags=1 obj=0x72d6e6a8 self=0xb400007a3c5f8010
      | sysTid=2976 nice=-10 cgrp=default sched=0/0 handle=0x7b5c6f54f8
      | state=S schedstat=( 151056979 25055334 199 ) utm=5 stm=9 core=1 HZ=100
      | stack=0x7fe54d9000-0x7fe54db000 stackSize=8MB
      | held mutexes=
      at com.shop.till.Basket.total(Basket.java:42)
      - waiting to lock <0x0a1b2c3d> (a com.shop.till.Basket) held by thread 15
      at android.os.Handler.dispatchMessage(Handler.java:106)

    "Binder:2976_1" prio=5 tid=8 Native
      | group="main" ...
      native: #00 pc 00000000000d4bc0  /apex/com.android.runtime/lib64/bionic/libc.so (__ioctl+8)
      native: #01 pc 0000000000061a2c  /system/lib64/libbinder.so (android::IPCThreadState::joinThreadPool(bool)+72)
      (no managed stack frames)

    ----- end 2976 -----

``tid`` is ART's own small number, which ``held by thread`` means; the kernel's is ``sysTid``. Frames of the kernel
(left out) and of C stand above those of Java. Dalvik prints its states in capitals and says ``held by tid=15 (NAME)``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from threaddump_parsers.java_frames import is_c_function
from threaddump_parsers.java_text import ThreadText
from threaddump_parsers.java_threads import text
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Frame, Held, Lock, Thread

FORMAT = "art"
FAMILY = "jvm"
TITLE = "Android ANR trace"
CAPTURE = (
    ("adb shell kill -3 PID, then adb pull /data/anr", "all threads with their locks (as root)"),
    ("adb bugreport", "holds the traces of the last ANRs: FS/data/anr"),
)
INITIALS = b'-D"'
SIGNATURE = rb"DALVIK THREADS|----- pid \d{1,10} at "
WORDS = (b"DALVIK THREADS", b"----- pid ")

_TITLE = re.compile(rb"----- pid (\d{1,10}) at (\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([+-]\d{4})? -----")
_LIST = re.compile(rb"DALVIK THREADS(?: \((\d{1,7})\))?:")
_END = re.compile(rb"----- end \d{1,10} -----")
# header := '"' name '" ' ["daemon "] "prio=" n " " ("tid=" n " " state [" (still starting up)"] | "(not attached)")
_HEADER = re.compile(
    r'"(?P<name>.*)" (?P<daemon>daemon )?prio=-?\d{1,3} '
    r"(?:tid=(?P<tid>\d{1,9}) (?P<state>[A-Z]\w{2,40})(?: \(still starting up\))?|\(not attached\))",
    re.DOTALL,
)
_LOCK = re.compile(
    r"\s*- (?P<verb>waiting to lock|waiting on|sleeping on|locked)"
    r" (?:<(?:@addr=)?(?P<id>0x[0-9a-f]{1,16})> \(a (?P<class>[^()]+)\)|an unknown object)"
    r"(?: held by (?:thread (?P<owner>\d{1,9})|tid=(?P<dalvik>\d{1,9}) \(.*\)))?"
)
_KERNEL_ID = re.compile(r"\bsysTid=(\d{1,10})")
_TICKS = re.compile(r"\butm=(\d{1,15}) stm=(\d{1,15}) core=\d{1,6} HZ=(\d{1,6})")
_NATIVE = re.compile(
    r"native: #\d\d {1,2}pc [0-9a-f]{8,16} {1,2}(?P<library>\S+)(?: \(offset \w+\))?(?: \((?P<symbol>.+)\))?"
)
_ARGUMENTS = re.compile(r"(?<=\w)\(.*|\+\d+$")
_OTHER = (
    "kernel: ",
    "(no managed stack frames)",
    "(native backtrace unavailable)",
    "native: (backtrace::Unwind failed",
)

_STATES = {
    "Runnable": "RUNNABLE",
    "Native": "RUNNABLE",
    "Suspended": "RUNNABLE",
    "Blocked": "BLOCKED",
    "Waiting": "WAITING",
    "TimedWaiting": "TIMED_WAITING",
    "Sleeping": "TIMED_WAITING",
    "Starting": "NEW",
    "Terminated": "TERMINATED",
    # Dalvik's
    "RUNNABLE": "RUNNABLE",
    "NATIVE": "RUNNABLE",
    "SUSPENDED": "RUNNABLE",
    "MONITOR": "BLOCKED",
    "WAIT": "WAITING",
    "TIMED_WAIT": "TIMED_WAITING",
    "ZOMBIE": "TERMINATED",
}
_PREAMBLE = 3_000
"""So many lines of the runtime's own figures may stand between the title and the threads."""


def claims(line: bytes) -> bool:
    """The title, the line above the threads, or a thread's header."""
    match line[:1]:
        case b"-":
            return _TITLE.fullmatch(line.strip()) is not None
        case b"D":
            return _LIST.fullmatch(line.strip()) is not None
        case b'"':
            return b" prio=" in line and len(line) < 10_000 and _HEADER.fullmatch(text(line.strip())) is not None
    return False


def parse(lines: Lines) -> Iterator[Dump]:
    """Read one stretch: dumps that follow each other, as in a file of all processes."""
    reader = _Reader()
    yield from reader.run(lines)
    if reader.titled is not None:
        yield reader.titled


class _Reader(ThreadText):
    FORMAT = FORMAT
    FRAME = re.compile(rb"[ \t]+(at \S.*|native: #\d\d .*)")

    def __init__(self) -> None:
        super().__init__()
        self.titled: Dump | None = None
        """Of the dump that begins: its threads are to come."""
        self._about = 0
        """Lines that may still come before the threads."""
        self._count: int | None = None
        self._complete = False
        self._locks: dict[str, Lock] = {}
        self._native: dict[str, Frame] = {}

    # The title, and what stands between it and the threads

    def title(self, line: bytes) -> bool:
        plain = line.strip()
        title = _TITLE.fullmatch(plain)
        if title is not None:
            self._finish()
            self._done += [self.titled] if self.titled is not None else []  # without a thread
            zone = text(title[5][:3] + b":" + title[5][3:]) if title[5] else ""
            fraction = "." + text(title[4])[:6] if title[4] else ""
            self.titled = Dump(
                FORMAT,
                self.number,
                "jvm",
                pid=int(title[1]),
                taken_at=f"{text(title[2])}T{text(title[3])}{fraction}{zone}",
                end_line=self.number,
            )
            self._about = _PREAMBLE
            return True
        listed = _LIST.fullmatch(plain)
        if listed is not None:
            if self.dump is not None:
                self._finish()
            self.titled = self.titled or Dump(FORMAT, self.number, "jvm")
            self.titled.end_line = self.number
            self._count, self._about = int(listed[1]) if listed[1] else None, 0
            return True
        if _END.fullmatch(plain) is not None and self.dump is not None:
            self._last_line, self._complete = self.number, True
            self._finish()
            return True
        if self.titled is not None and self.dump is None and self._about > 0:
            self._about -= 1
            self.titled.end_line = self.number
            if plain.startswith(b"Cmd line: "):
                self.titled.command = text(plain[10:])[:1_000]
            return True
        return False

    def begin_dump(self, number: int) -> Dump:
        dump, self.titled = self.titled, None
        if dump is None:
            dump = Dump(FORMAT, number, "jvm", truncated=["the beginning of the dump is missing"])
        dump.runtime = "Android Runtime"
        return dump

    def end_dump(self, dump: Dump) -> None:
        """Say what is missing: a piece of a trace has neither the line above the threads nor the end."""
        count, self._count = self._count, None
        missing = (count or 0) - len(dump.threads)
        if missing > 0:
            dump.truncated.append(f"{missing} of {count} threads are missing")
        elif not self._complete and dump.pid is not None:
            dump.truncated.append("the end of the dump is missing")
        self._complete = False
        self._locks = {}

    # Threads

    def header(self, plain: str) -> Thread | None:
        found = _HEADER.fullmatch(plain) if plain[:1] == '"' else None
        if found is None:
            return None
        printed = found["state"]
        state = _STATES.get(printed or "")
        if state is None and printed and printed.startswith("Waiting"):
            state = "WAITING"  # of the runtime itself: WaitingForGcToComplete, WaitingInMainSignalCatcherLoop
        return Thread(
            found["name"],
            0,
            state=state,
            printed_state=printed or "not attached",
            java_id=int(found["tid"]) if found["tid"] else None,
            daemon=found["daemon"] is not None,
            internal=printed is None,
        )

    def frame(self, printed: str) -> Frame | None:
        """Of Java, with the source as other JVMs print it; of C, its symbol, or its library where it has none."""
        if printed.startswith("at "):
            function, _, source = printed[3:].rpartition("(")
            source = "Native Method)" if source.lower() == "native method)" else source
            return self.interned.frame(f"{function.rstrip('!')}({source}")
        known = self._native.get(printed)
        if known is None:
            known = self._native[printed] = Frame(_c_function(printed), native=True)
        return known

    def detail(self, thread: Thread, line: str) -> bool:
        plain = line.strip()
        if plain.startswith("|"):
            kernel_id, ticks = _KERNEL_ID.search(plain), _TICKS.search(plain)
            if kernel_id is not None:
                thread.native_id = int(kernel_id[1])
            if ticks is not None and int(ticks[3]) > 0:
                thread.cpu_ms = (int(ticks[1]) + int(ticks[2])) * 1000 / int(ticks[3])
            return True
        lock = _LOCK.fullmatch(line)
        if lock is not None:
            self._lock_line(thread, lock)
            return True
        return plain.startswith(_OTHER)

    def _lock_line(self, thread: Thread, found: re.Match[str]) -> None:
        lock = self._locks.setdefault(found["id"], Lock(found["id"], found["class"])) if found["id"] else None
        owner = found["owner"] or found["dalvik"]
        match found["verb"]:
            case "locked":
                if lock is not None:
                    self.monitors.append(Held(lock, len(self.stack) - 1 if self.stack else None))
            case "waiting to lock":
                thread.state, thread.blocked_on = "BLOCKED", lock
                if owner:
                    self.owners.tell(lock, None, int(owner))
            case "waiting on":
                thread.waiting_on = lock
            case _:
                pass  # Thread.sleep waits on a lock of its own, which the frame below is then printed to hold

    def end_thread(self) -> None:
        thread = self.thread
        if thread is not None and all(is_c_function(frame) for frame in self.stack):
            thread.internal = True
        if thread is not None and thread.printed_state == "Sleeping":
            self.monitors = [held for held in self.monitors if not self._is_own(held)]
        super().end_thread()

    def _is_own(self, held: Held) -> bool:
        """Whether this is the lock on which ``Thread.sleep`` waits: it is held in that method alone."""
        return held.depth is not None and self.stack[held.depth].function == "java.lang.Thread.sleep"


def _c_function(printed: str) -> str:
    """``__epoll_pwait`` of ``native: #00 pc 0006 /libc.so (__epoll_pwait+8)``; without a symbol its library."""
    found = _NATIVE.fullmatch(printed)
    if found is None:
        return printed.removeprefix("native: ")[:200]
    symbol = _ARGUMENTS.sub("", found["symbol"] or "")
    return symbol or f"[{found['library'].rpartition('/')[2].partition('.')[0]}]"
