"""``/actuator/threaddump`` of Spring Boot as JSON: ``java.lang.management.ThreadInfo`` as Jackson writes it.

Spring Boot 2 and later wrap the list, 1.x (``/dump``) does not::

    {"threads":[
      {"threadName":"http-exec-12","threadId":26,"blockedTime":-1,"blockedCount":1,"waitedTime":-1,"waitedCount":0,
       "lockName":"com.shop.Gateway@4eec7777","lockOwnerId":15,"lockOwnerName":"http-exec-1","daemon":true,
       "inNative":false,"suspended":false,"threadState":"BLOCKED","priority":5,
       "stackTrace":[{"classLoaderName":"app","moduleName":null,"moduleVersion":null,"methodName":"schedule",
         "fileName":"Gateway.java","lineNumber":63,"nativeMethod":false,"className":"com.shop.Gateway"}],
       "lockedMonitors":[{"className":"java.lang.Object","identityHashCode":96,"lockedStackDepth":0,
         "lockedStackFrame":{}}],
       "lockedSynchronizers":[{"className":"java.util.concurrent.locks.ReentrantLock$NonfairSync",
         "identityHashCode":1096979270}],
       "lockInfo":{"className":"com.shop.Gateway","identityHashCode":1324119927}}]}

Jolokia answers ``dumpAllThreads(boolean,boolean)`` of ``java.lang:type=Threading`` with the same objects, their keys in
any order, as the ``value`` beside the ``request``::

    {"request":{"mbean":"java.lang:type=Threading","operation":"dumpAllThreads(boolean,boolean)","type":"exec"},
     "value":[{"threadName":"main","threadId":1,"threadState":"RUNNABLE"}],"timestamp":1700000000,"status":200}

Spark's ``/api/v1/applications/APP/executors/ID/threads`` (``ThreadStackTrace`` of ``status/api/v1/api.scala``, made in
``Utils.scala``) has text for frames and locks, the identity hash decimal and with a bracket too many; since 4.0 also
``synchronizers`` and ``monitors``, and lock lines within the frames as in ``ThreadInfo.toString``::

    [ {
      "threadId" : 63,
      "threadName" : "Executor task launch worker for task 5.0 in stage 1.0 (TID 5)",
      "threadState" : "BLOCKED",
      "stackTrace" : { "elems" : [ "com.shop.Job.run(Job.java:63) => holding Monitor(com.shop.Job@1324119927})" ] },
      "blockedByThreadId" : 15,
      "blockedByLock" : "Lock(com.shop.Gateway@255})",
      "holdingLocks" : [ "Monitor(com.shop.Job@1324119927})" ]
    } ]

No virtual threads, no threads of the VM, no word on the process. The order of the keys depends on the Java version.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

from threaddump_parsers import json_objects
from threaddump_parsers.java_threads import STATES, Interned, Owners, add_problem, set_wait, settle
from threaddump_parsers.jcmd_json import number, string
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Frame, Held, Lock, Thread

FORMAT = "actuator"
FAMILY = "jvm"
TITLE = "ThreadInfo as JSON: Spring Boot actuator, Jolokia, Spark"
CAPTURE = (
    ("curl -s http://HOST:PORT/actuator/threaddump", "Spring Boot; the endpoint has to be exposed"),
    (
        "curl -s http://HOST:PORT/jolokia/exec/java.lang:type=Threading/dumpAllThreads(boolean,boolean)/true/true",
        "Jolokia",
    ),
    ("curl -s http://DRIVER:4040/api/v1/applications/APP/executors/driver/threads", "Spark; or the id of an executor"),
)
INITIALS = b' \t{["'

_OPENING = re.compile(
    rb'[ \t]*(?:(?:\{\s*)?"threads"\s*:\s*\[|(?:\[\s*)?(?:\{\s*)?"thread(?:Name|Id)"\s*:'
    rb'|\{\s*"(?:request|value|timestamp|status)"\s*:|"value"\s*:\s*\[\s*$)'
)
_JOLOKIA = (b"dumpAllThreads", b'"threadName"', b'"threadId"', b'"threadState"')
_ARRAYS = (b'"threads"', b'"value"')
_LOOK_AHEAD = 200
_LOOK_AT = 65_536
_LOOK_AT_FIRST = 200
_KEYS = (
    *(b'"threadName"', b'"threadId"', b'"threadState"', b'"stackTrace"'),
    *(b'"lockOwnerId"', b'"blockedCount"', b'"holdingLocks"', b'"blockedByLock"'),
)
_ENOUGH_KEYS = 3
_HOLDING = " => holding "
_SPARK_LOCK = re.compile(r"(?:Lock|Monitor)\((.+)@(\d{1,10})\}?\)")
_SPARK_LINE = re.compile(r"- +(locked|blocked on|waiting on) (\S+)")
_YEAR_5000 = 95_000_000_000
_NATIVE = -2
"""``StackTraceElement.getLineNumber`` of a native method."""


def claims(line: bytes) -> bool:
    """The start of the list, or of a thread in it: its line breaks are those of whoever printed it."""
    start = line[:_LOOK_AT_FIRST]
    jolokia = start[:1] == b"{" and any(word in line[:_LOOK_AT] for word in _JOLOKIA)
    if not jolokia and b'"thread' not in start and b'"value"' not in start:
        return False
    return _OPENING.match(line) is not None


def parse(lines: Lines) -> Iterator[Dump]:
    """Read documents, one dump each; nothing where the list is of something else."""
    start = b"".join(line[:_LOOK_AT] for _, line in lines.peek(1))
    if not (start.startswith(b"{") and start.rstrip().endswith(b"}")):  # else it is all on this line, or a log's record
        start = b"".join(line[:_LOOK_AT] for _, line in lines.peek(_LOOK_AHEAD))
    if sum(key in start for key in _KEYS) < _ENOUGH_KEYS:
        return
    yield from json_objects.dumps(lines, _OPENING, _Reader, _ARRAYS)


class _Reader:
    """The state of reading one dump."""

    def __init__(self) -> None:
        self._interned = Interned()
        self._owners = Owners()
        self._dump = Dump(FORMAT, 0, "jvm")

    def add(self, entry: json_objects.Entry) -> None:
        value = entry.value
        if value is None or "threadName" not in value:
            add_problem(self._dump, entry.line, "an object that is no thread", entry.raw)
            self._dump.truncated.append(f"the thread at line {entry.line} cannot be read")
            return
        self._dump.threads.append(self._thread(entry.line, value))

    def _thread(self, line: int, value: dict[str, Any]) -> Thread:
        state = string(value.get("threadState")) or None
        daemon = value.get("daemon", value.get("isDaemon"))
        thread = Thread(
            string(value.get("threadName")),
            line,
            state if state in STATES else None,
            state,
            java_id=number(value.get("threadId")),
            daemon=daemon if isinstance(daemon, bool) else None,
        )
        if isinstance(value.get("stackTrace"), dict):
            return self._spark(thread, value)
        printed, frames = value.get("stackTrace"), []
        for one in printed if isinstance(printed, list) else ():
            frame = self._frame(one) if isinstance(one, dict) else None
            if frame is None:
                add_problem(self._dump, line, "a frame of an unknown form", str(one)[:200].encode("utf-8", "replace"))
                thread.truncated = True
            else:
                frames.append(frame)
        thread.stack = self._interned.stack(frames)
        self._wait(thread, value)
        monitors = [
            Held(lock, number(one.get("lockedStackDepth"))) for one, lock in self._locks(value.get("lockedMonitors"))
        ]
        synchronizers = value.get("lockedSynchronizers")
        self._dump.ownable_synchronizers |= isinstance(synchronizers, list)
        settle(thread, monitors, [Held(lock, None) for _, lock in self._locks(synchronizers)])
        return thread

    def _spark(self, thread: Thread, value: dict[str, Any]) -> Thread:
        """The rest of a thread as Spark prints it."""
        elements = value["stackTrace"].get("elems")
        frames: list[Frame] = []
        monitors: list[Held] = []
        for element in elements if isinstance(elements, list) else ():
            printed, _, held = string(element).partition(_HOLDING)
            first, *lines = printed.split("\n")
            frame = self._interned.frame(first.strip())
            if frame is None:
                add_problem(self._dump, thread.line, "a frame of an unknown form", first.encode("utf-8", "replace"))
                thread.truncated = True
                continue
            frames.append(frame)
            told = [_SPARK_LINE.fullmatch(line.strip()) for line in lines]
            locks = [self._spark_lock(held), *(self._interned.lock(t[2]) for t in told if t and t[1] == "locked")]
            monitors += [Held(lock, len(frames) - 1) for lock in locks if lock is not None]
        thread.stack = self._interned.stack(frames)
        owner = number(value.get("blockedByThreadId"))
        waits_for = self._spark_lock(string(value.get("blockedByLock"))) or self._interned.lock(
            string(value.get("lockName"))
        )
        in_wait = bool(thread.stack) and thread.stack[0].function.startswith("java.lang.Object.wait")
        set_wait(thread, waits_for, wants=thread.state == "BLOCKED" or (owner is not None and not in_wait))
        if owner is not None:
            self._owners.tell(waits_for, None, owner)
        listed = [*_list(value.get("holdingLocks")), *_list(value.get("synchronizers"))]
        owned = {
            lock.id: Held(lock, None)
            for one in listed
            if not one.startswith("Monitor(")
            and (lock := self._spark_lock(one) or self._interned.lock(one)) is not None
        }
        self._dump.ownable_synchronizers = True
        settle(thread, monitors, owned.values())
        return thread

    def _spark_lock(self, printed: str) -> Lock | None:
        """``Lock(CLASS@HASH})``, the hash decimal."""
        match = _SPARK_LOCK.fullmatch(printed.strip())
        return self._interned.lock(f"{match[1]}@{int(match[2]):x}") if match is not None else None

    def _wait(self, thread: Thread, value: dict[str, Any]) -> None:
        info = value.get("lockInfo")
        lock = self._lock(info) if isinstance(info, dict) else self._interned.lock(string(value.get("lockName")))
        owner = number(value.get("lockOwnerId"))
        in_wait = bool(thread.stack) and thread.stack[0].function.startswith("java.lang.Object.wait")
        # In Object.wait the owner is who has the monitor just now: it is not wanted yet.
        set_wait(thread, lock, wants=thread.state == "BLOCKED" or (owner is not None and not in_wait))
        if owner is not None:
            self._owners.tell(lock, string(value.get("lockOwnerName")), owner)

    def _locks(self, printed: object) -> Iterator[tuple[dict[str, Any], Lock]]:
        for one in printed if isinstance(printed, list) else ():
            lock = self._lock(one) if isinstance(one, dict) else None
            if lock is not None:
                yield one, lock

    def _lock(self, info: dict[str, Any]) -> Lock | None:
        identity = number(info.get("identityHashCode"))
        return self._interned.lock(f"{string(info.get('className'))}@{identity:x}") if identity is not None else None

    def _frame(self, value: dict[str, Any]) -> Frame | None:
        file, line = string(value.get("fileName")), value.get("lineNumber")
        if value.get("nativeMethod") is True or line == _NATIVE:
            source = "Native Method"
        else:
            source = f"{file}:{line}" if file and number(line) is not None else file or "Unknown Source"
        return self._interned.frame(f"{string(value.get('className'))}.{string(value.get('methodName'))}({source})")

    def finish(self, document: json_objects.Document) -> Dump:
        dump = self._dump
        self._owners.give(dump.threads)
        told = document.value if isinstance(document.value, dict) else {}
        seconds = number(told.get("timestamp"))
        if seconds is not None and seconds < _YEAR_5000:
            dump.taken_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
        json_objects.end(dump, document)
        return dump


def _list(value: object) -> list[str]:
    return [string(one) for one in value] if isinstance(value, list) else []
