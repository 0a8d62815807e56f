"""What is kept of a dump to compare it with others: some hundred bytes a thread, and nothing of its stacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from zlib import crc32

from threaddump.classify import Classifier, Verdict
from threaddump.findings.facts import Facts
from threaddump.tiers.outlines import Outline, outline
from threaddump_parsers.model import Dump, Frame, Stack, Thread

ThreadId = tuple[str, int | str]
"""What tells a thread of a process from its others in every dump of it: never the name, for names repeat."""
Mark = tuple[object, ...]
"""Two dumps that share one are of one process."""


class Place(NamedTuple):
    """Where threads are blocked: what a group of the report is told by."""

    kind: str
    phase: str | None
    blocking_frame: str | None
    caller: str | None
    library: str | None
    timed: bool | None


class Seen(NamedTuple):
    """One thread in one dump."""

    name: str
    line: int
    """Of its entry in the input."""
    place: int
    """Index into the snapshot's places."""
    path: int
    """Hash of the frames from the caller down, with their lines: another path is another piece of work."""
    cpu_ms: float | None
    waiting_ms: int | None
    """How long its call has been waiting, where the kernel told."""
    behind: ThreadId | None
    """The thread that owns the lock it wants."""
    request: bool


class HeldLock(NamedTuple):
    """A lock that threads wait for."""

    id: str
    class_name: str
    type: str
    owner: str | None
    waiters: int


@dataclass(slots=True)
class Snapshot:
    """One dump, as far as others are compared with it."""

    marks: frozenset[Mark]
    uptime_s: float | None
    """Age of the process, by the oldest thread; it orders dumps where clocks jump."""
    taken_at: str | None
    places: list[Place] = field(default_factory=list)
    threads: dict[ThreadId, Seen] = field(default_factory=dict)
    crews: dict[str, int] = field(default_factory=dict)
    """Name without its number to number of threads."""
    locks: list[HeldLock] = field(default_factory=list)
    outline: Outline | None = None
    """The dump as an instance of a tier."""


def snapshot(facts: Facts) -> Snapshot:
    """Keep what a series needs of a dump."""
    dump, verdicts = facts.dump, facts.verdicts
    made = Snapshot(marks(dump), _uptime(dump), dump.taken_at)
    places: dict[Place, int] = {}
    paths: dict[tuple[Stack, str | None], int] = {}
    ids = [identity(thread, number) for number, thread in enumerate(dump.threads)]
    for index, (thread, verdict) in enumerate(zip(dump.threads, verdicts, strict=True)):
        place = _place(verdict)
        key = (thread.stack, verdict.caller)
        path = paths.get(key)
        if path is None:
            paths[key] = path = _path(thread.stack, verdict.caller, facts.classifier)
        owner = facts.waits.graph.owner_of.get(index)
        made.threads[ids[index]] = Seen(
            thread.label,
            thread.line,
            places.setdefault(place, len(places)),
            path,
            thread.cpu_ms,
            thread.call.waiting_ms if thread.call is not None else None,
            None if owner is None else ids[owner],
            index in facts.request_threads,
        )
    made.places = list(places)
    made.crews = dict(Counter(filter(None, facts.crew_names)))
    made.locks = [
        HeldLock(lock.id, lock.class_name, lock.type, lock.owner.thread if lock.owner else None, len(lock.waiting))
        for lock in facts.waits.locks
    ]
    made.outline = outline(facts)
    return made


def identity(thread: Thread, number: int) -> ThreadId:
    """The id that the runtime gives a thread for its life; its place in the dump where there is none."""
    if thread.java_id is not None:
        return ("java", thread.java_id)
    if thread.native_id is not None:
        return ("native", thread.native_id)
    if thread.address is not None:
        return ("address", thread.address)
    return (f"entry {thread.name}", number)


def marks(dump: Dump) -> frozenset[Mark]:
    """What shows that two dumps are of one process.

    A thread of the VM itself is at the same address with the same id of the system for the life of a JVM, and two JVMs
    hardly have both in common. A pid is only that of one process on one host, and 1 in every container.
    """
    found: set[Mark] = set()
    for thread in dump.threads:
        if thread.internal and thread.address is not None and thread.native_id is not None:
            found.add(("vm thread", thread.address, thread.native_id))
            break
    if dump.pid is not None:
        where = (dump.host, dump.service, dump.instance)
        if dump.pid != 1 or any(where):
            found.add(("pid", dump.family, dump.pid, *where))
    if not found:
        oldest = min(dump.threads, key=lambda thread: thread.line, default=None)
        main = next((thread for thread in dump.threads if thread.name in {"main", "MainThread"}), oldest)
        if main is not None and main.address is not None:
            found.add(("main", dump.family, main.address, main.name))
    return frozenset(found)


def _uptime(dump: Dump) -> float | None:
    told = dump.os.process.get("uptime_s") if dump.os is not None else None
    if isinstance(told, int | float):
        return float(told)
    return max((thread.elapsed_s for thread in dump.threads if thread.elapsed_s is not None), default=None)


def _place(verdict: Verdict) -> Place:
    return Place(verdict.kind, verdict.phase, verdict.blocking_frame, verdict.caller, verdict.library, verdict.timed)


def _path(stack: Sequence[Frame], caller: str | None, classifier: Classifier) -> int:
    start = next((at for at, frame in enumerate(stack) if classifier.shown(frame) == caller), 0)
    return crc32("\n".join(f"{frame.function}:{frame.line}" for frame in stack[start:]).encode("utf-8", "replace"))
