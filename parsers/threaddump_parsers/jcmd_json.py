r"""``jcmd PID Thread.dump_to_file -format=json FILE``, and the same from ``HotSpotDiagnosticMXBean.dumpThreads``.

::

    {
      "threadDump": {
        "processId": "25022",
        "time": "2026-11-22T20:50:49.471455191Z",
        "runtimeVersion": "25.0.2+10-LTS",
        "threadContainers": [
          {
            "container": "<root>",
            "parent": null,
            "owner": null,
            "threads": [
              {
                "tid": "22",
                "time": "2026-11-22T20:50:49.492280049Z",
                "virtual": true,
                "name": "vt-transfer-AB",
                "state": "BLOCKED",
                "blockedOn": "com.shop.Account@7ca53c52",
                "stack": [
                  "com.shop.Bank.transfer(Bank.java:24)",
                  "java.base\/java.lang.VirtualThread.run(Unknown Source)"
                ],
                "monitorsOwned": [{"depth": 0, "locks": ["com.shop.Account@2c361df7"]}]
              }
            ],
            "threadCount": "1"
          }
        ]
      }
    }

Written by ``jdk/internal/vm/ThreadDumper.java``. Java 21 to 23 have ``tid``, ``name`` and ``stack`` only; 24 and 25
have the rest, ``carrier`` of a mounted virtual thread, and ``parkBlocker`` of a parked one; later ones write numbers as
numbers, and the owner of what a thread is parked on (``parkBlocker.owner``). The entries are not taken at one moment.

A container is ``<root>``, an executor or a ``StructuredTaskScope``; a scope has the thread that opened it as its owner.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from threaddump_parsers import json_objects
from threaddump_parsers.java_threads import STATES, Interned, Owners, add_problem, set_wait, settle
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Container, Dump, Frame, Held, Thread

FORMAT = "jcmd-json"
FAMILY = "jvm"
TITLE = "Thread.dump_to_file, JSON, JDK 21 and later"
CAPTURE = (
    (
        "jcmd PID Thread.dump_to_file -format=json FILE",
        "all virtual threads; FILE is written by the JVM, so on its machine",
    ),
)
INITIALS = b' \t{"'

_OPENING = re.compile(rb'[ \t]*(?:\{\s*)?"threadDump"\s*:')
_LOOK_AHEAD = 8
_LOOK_AT = 65_536
_LOOK_AT_FIRST = 200
_KEYS = (b'"processId"', b'"runtimeVersion"', b'"threadContainers"', b'"formatVersion"')
_HEADER = re.compile(rb'"(processId|time|runtimeVersion)"\s*:\s*"?([^",}\s]+)')
_OUTLINE = re.compile(
    rb'"(container|parent|owner|threadCount)"\s*:\s*("(?:[^"\\]|\\.)*+"|\d{1,19}|null)|"threads"\s*:\s*\[(\d{1,19}),(\d{0,19})'
)
_VIRTUAL = ("java.lang.VirtualThread.run", "java.lang.VirtualThread.runWith")


def claims(line: bytes) -> bool:
    """The line with the key of the document: the first one, or the second below its bracket."""
    return b'"threadDump"' in line[:_LOOK_AT_FIRST] and _OPENING.match(line) is not None


def parse(lines: Lines) -> Iterator[Dump]:
    """Read documents, one dump each; nothing where the key of the document stands over something else."""
    start = b"".join(line[:_LOOK_AT] for _, line in lines.peek(_LOOK_AHEAD))
    if not any(key in start for key in _KEYS):
        return
    yield from json_objects.dumps(lines, _OPENING, _Reader)


class _Reader:
    """The state of reading one dump."""

    def __init__(self) -> None:
        self._interned = Interned()
        self._owners = Owners()
        self._dump = Dump(FORMAT, 0, "jvm")
        self._by_id: dict[int, Thread] = {}
        self._entries: list[Thread | None] = []
        """None: one that cannot be read."""
        self._listed: dict[Container, int] = {}
        self._carriers: list[tuple[Thread, int]] = []

    def add(self, entry: json_objects.Entry) -> None:
        value = entry.value
        self._entries.append(None)
        if value is None:
            add_problem(self._dump, entry.line, "a thread that is no JSON", entry.raw)
            self._dump.truncated.append(f"the thread at line {entry.line} cannot be read")
            return
        java_id = number(value.get("tid"))
        if java_id is not None and java_id in self._by_id:
            add_problem(self._dump, entry.line, f"the thread {java_id} is listed twice")
            return
        thread = self._thread(entry.line, value, java_id)
        self._dump.threads.append(thread)
        self._entries[-1] = thread
        if java_id is not None:
            self._by_id[java_id] = thread

    def _thread(self, line: int, value: dict[str, Any], java_id: int | None) -> Thread:
        state = string(value.get("state")) or None
        thread = Thread(string(value.get("name")), line, state if state in STATES else None, state, java_id=java_id)
        thread.stack = self._interned.stack(self._frames(thread, value.get("stack")))
        base = thread.stack[-1].function if thread.stack else ""
        thread.virtual = value.get("virtual") is True or base in _VIRTUAL
        carrier = number(value.get("carrier"))
        if carrier is not None:
            self._carriers.append((thread, carrier))
        blocker = value.get("parkBlocker")
        if isinstance(blocker, dict):
            lock = self._interned.lock(string(blocker.get("object")))
            owner = number(blocker.get("owner"))
            set_wait(thread, lock, wants=owner is not None)
            if owner is not None:
                self._owners.tell(lock, None, owner)
        set_wait(thread, self._interned.lock(string(value.get("waitingOn"))), wants=False)
        set_wait(thread, self._interned.lock(string(value.get("blockedOn"))), wants=True)
        settle(thread, self._monitors(value.get("monitorsOwned")))
        return thread

    def _frames(self, thread: Thread, printed: object) -> list[Frame]:
        frames = []
        for one in printed if isinstance(printed, list) else ():
            frame = self._interned.frame(string(one))
            if frame is not None:
                frames.append(frame)
            else:
                add_problem(self._dump, thread.line, "a frame of an unknown form", string(one).encode())
                thread.truncated = True
        return frames

    def _monitors(self, owned: object) -> list[Held]:
        held = []
        for at in owned if isinstance(owned, list) else ():
            if not isinstance(at, dict):
                continue
            locks = at.get("locks")
            for one in locks if isinstance(locks, list) else ():
                lock = self._interned.lock(string(one))  # null: the compiler removed it
                if lock is not None:
                    held.append(Held(lock, number(at.get("depth"))))
        return held

    def finish(self, document: json_objects.Document) -> Dump:
        dump = self._dump
        header = {key: value.decode("utf-8", "replace") for key, value in reversed(_HEADER.findall(document.outline))}
        dump.pid = number(header.get(b"processId"))
        dump.taken_at, dump.version = header.get(b"time"), header.get(b"runtimeVersion")
        for thread, carrier in self._carriers:
            mounted_on = self._by_id.get(carrier)
            thread.carrier = mounted_on.name if mounted_on is not None else f"#{carrier}"
            if mounted_on is not None:
                mounted_on.carries = thread.java_id
        self._owners.give(dump.threads)
        json_objects.end(dump, document)
        self._read_containers(document.outline)
        if dump.threads and document.complete:
            self._count()
        return dump

    def _read_containers(self, outline: bytes) -> None:
        """Make the containers, and tell the threads; also where the document was cut."""
        current = Container("")
        for match in _OUTLINE.finditer(outline):
            key, printed, first, end = match.groups()
            if key is None:
                entries = self._entries[int(first) : int(end) if end else None]
                self._listed[current] = len(entries)
                for thread in entries:
                    if thread is not None:
                        thread.container = current
                continue
            value = json_objects.loads(printed)
            match key:
                case b"container":
                    current = Container(string(value))
                    self._dump.containers.append(current)
                case b"parent":
                    current.parent = string(value) or None
                case b"owner":
                    current.owner = number(value)
                case _:
                    current.count = number(value)

    def _count(self) -> None:
        """Compare the containers' own count of their threads with what they list."""
        counted = ((container.count or 0, self._listed.get(container, 0)) for container in self._dump.containers)
        missing = sum(max(0, count - listed) for count, listed in counted)
        if missing:
            self._dump.truncated.append(f"the containers count {missing} threads more than they list")


def string(value: object) -> str:
    """The value if it is text; JSON can spell halves of surrogate pairs, which no file can hold."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def number(value: object) -> int | None:
    """The value if it is a number, or one written as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63 else None
