"""``jcmd PID Thread.dump_to_file -format=plain FILE``, and the same from ``HotSpotDiagnosticMXBean.dumpThreads``.

Java 21 to 23 (``jdk/internal/vm/ThreadDumper.java``) have stacks only::

    82513
    2024-07-26T15:45:43.550544Z
    21.0.8+9-LTS

    #1 "main"
          java.base/java.lang.Thread.sleep0(Native Method)

    #22 "vt-transfer-AB" virtual

Later ones have the state, the moment of each thread, and locks below the frames; the next release names the owner of
what a thread is parked on (``, owner #30``)::

    #22 "vt-transfer-AB" virtual BLOCKED 2026-11-22T20:50:48.906176010Z
        at com.shop.Bank.transfer(Bank.java:24)
        - locked <com.shop.Account@2c361df7>
        - waiting to lock <com.shop.Account@7ca53c52>

A draft of it begins the threads with ``Thread #22``. Names are printed raw, line breaks included.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from threaddump_parsers.java_text import ThreadText
from threaddump_parsers.java_threads import STATES, set_wait
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Held, Thread

FORMAT = "jcmd-plain"
FAMILY = "jvm"
TITLE = "Thread.dump_to_file, plain, JDK 21 and later"
CAPTURE = (("jcmd PID Thread.dump_to_file -format=plain FILE", "all virtual threads; states and locks from JDK 24 on"),)
INITIALS = b"2#T"
SIGNATURE = rb'(?:Thread )?#\d{1,19} "'
WORDS = (b"#",)

_INSTANT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z"
_TIME = re.compile(_INSTANT.encode() + rb"\s*")
_PID = re.compile(rb"(\d{1,10})\s*")
_BEGINS = re.compile(rb'(?:Thread )?#\d{1,19} "')
_HEADER = re.compile(
    rf'(?:Thread )?#(\d{{1,19}}) "(.*)"( virtual)?(?: ({"|".join(sorted(STATES))}))?( virtual)?(?: {_INSTANT})?',
    re.DOTALL,
)
_LOCK = re.compile(
    r"- (parking to wait for|waiting on|waiting to lock|locked) +<([^<>\s]+)>(?:, owner #(\d{1,19}))?", re.IGNORECASE
)
_VERSION = re.compile(rb"\d[\w.+-]*\s*")
_LOOK_AHEAD = 6


def claims(line: bytes) -> bool:
    """The moment of the dump, alone on its line, or the header of a thread where the beginning is missing."""
    if line[:2] == b"20":
        return _TIME.fullmatch(line) is not None
    return line.startswith((b"#", b"Thread #")) and _BEGINS.match(line) is not None


def parse(lines: Lines) -> Iterator[Dump]:
    """Read one dump; nothing where no thread follows the moment."""
    ahead = lines.peek(_LOOK_AHEAD)
    if not ahead:
        return
    if not _TIME.fullmatch(ahead[0][1]):
        yield from _Reader().run(lines)
        return
    told = [(number, line) for number, line in ahead[1:] if line.strip()]
    version = told[0][1] if told and _VERSION.fullmatch(told[0][1]) else b""
    if len(told) <= bool(version) or not _BEGINS.match(told[bool(version)][1]):
        return
    first, time = ahead[0]
    dump = Dump(FORMAT, first, "jvm", version=version.decode().strip() or None, taken_at=time.decode().strip())
    if lines.last and lines.last[-1][0] == first - 1:
        pid = _PID.fullmatch(lines.last[-1][1])
        if pid is not None:
            dump.line, dump.pid = first - 1, int(pid[1])
    rest = iter(lines)
    while next(rest)[0] != (told[0][0] if version else first):
        pass
    yield from _Reader(dump).run(lines)


class _Reader(ThreadText):
    FORMAT = FORMAT
    ALONE = True
    FRAME = re.compile(rb"[ \t]{2,}(?:at )?([^\s-].*)")
    BEGINS = _BEGINS

    def __init__(self, begun: Dump | None = None) -> None:
        super().__init__()
        self._begun = begun

    def begin_dump(self, number: int) -> Dump:
        if self._begun is not None:
            dump, self._begun = self._begun, None
            return dump
        return Dump(FORMAT, number, "jvm", truncated=["the beginning of the dump is missing"])

    def header(self, plain: str) -> Thread | None:
        match = _HEADER.fullmatch(plain) if plain.startswith(("#", "Thread #")) else None
        if match is None:
            return None
        state = match[4]
        virtual = match[3] is not None or match[5] is not None
        return Thread(match[2], 0, state, state, java_id=int(match[1]), virtual=virtual)

    def detail(self, thread: Thread, line: str) -> bool:
        plain = line.strip()
        if plain == "- lock is eliminated":
            return True
        match = _LOCK.fullmatch(plain)
        lock = self.interned.lock(match[2]) if match is not None else None
        if match is None or lock is None:
            return False
        verb = match[1].lower()
        if verb == "locked":
            self.monitors.append(Held(lock, len(self.stack) - 1 if self.stack else None))
        else:
            set_wait(thread, lock, wants=verb == "waiting to lock" or match[3] is not None)
            if match[3] is not None:
                self.owners.tell(lock, None, int(match[3]))
        return True
