"""Two dumps of one JVM at one moment as one: the text of ``Thread.print``, and what ``Thread.dump_to_file`` wrote.

The text has states, lock owners and the threads of the VM, and no virtual thread that is not mounted; the file has all
virtual threads and the containers, and does not know who owns a lock of java.util.concurrent. Together they say who
keeps whom from running.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime

from threaddump.report import DumpReport, MergedDump
from threaddump_parsers.model import Dump, Held, Lock, Thread

NEAR_S = 10.0
"""So far apart two dumps may be taken to be of one moment: nobody types faster."""
HELD = 4
HELD_THREADS = 250_000
"""Dumps of each form, and threads in them, that are kept until their other half comes."""
_ZONES_S = 15 * 60
"""The text has local time and the file has UTC: they differ by a number of quarters of an hour."""
_TEXT, _FILES = "hotspot", ("jcmd-json", "jcmd-plain")


@dataclass(slots=True, eq=False)
class Half:
    """A dump whose other half may come."""

    dump: Dump
    source: str
    report: DumpReport


class Halves:
    """Keeps the last few dumps of either form. A dump without the process's id is never paired."""

    def __init__(self) -> None:
        self._texts: deque[Half] = deque()
        self._files: deque[Half] = deque()

    def offer(self, half: Half) -> Half | None:
        """The other half of this one, which is kept no longer; without one this one is kept."""
        dump = half.dump
        if dump.pid is None or dump.taken_at is None or dump.format not in (_TEXT, *_FILES):
            return None
        own, others = (self._texts, self._files) if dump.format == _TEXT else (self._files, self._texts)
        for other in others:
            text, file = (dump, other.dump) if dump.format == _TEXT else (other.dump, dump)
            if text.pid == file.pid and is_one_moment(text, file):
                others.remove(other)
                return other
        own.append(half)
        while len(own) > HELD or (len(own) > 1 and sum(len(one.dump.threads) for one in own) > HELD_THREADS):
            own.popleft()
        return None


def is_one_moment(text: Dump, file: Dump) -> bool:
    """Whether these are of one process at one time: nothing that both tell differs, and most of its threads agree."""
    told = ((text.pid, file.pid), (text.host, file.host), (text.instance, file.instance))
    if any(a is not None and b is not None and a != b for a, b in told):
        return False
    apart = _seconds_apart(text.taken_at, file.taken_at)
    if apart is None or apart > NEAR_S:
        return False
    names = {(thread.java_id, thread.name) for thread in text.threads if not thread.virtual}
    platform = [thread for thread in file.threads if not thread.virtual]
    same = sum((thread.java_id, thread.name) in names for thread in platform)
    return same > 0 and 2 * same >= len(platform)


def _seconds_apart(local: str | None, utc: str | None) -> float | None:
    """The seconds between the two, whatever the zone of the first."""
    try:
        first, second = (datetime.fromisoformat(time or "").replace(tzinfo=None) for time in (local, utc))
    except ValueError:
        return None
    apart = abs((first - second).total_seconds())
    if apart > 15 * 3600:
        return None
    return min(apart % _ZONES_S, _ZONES_S - apart % _ZONES_S)


def merge(text: Half, file: Half) -> tuple[Dump, list[MergedDump]]:
    """The dump that both are halves of, and what came from which.

    Threads that the text has are the text's, but for virtual ones: these are all the file's. Each keeps the line of
    where it is from.
    """
    by_id = {thread.java_id: thread for thread in file.dump.threads if thread.java_id is not None}
    known = _Locks()
    threads: list[Thread] = []
    carried: dict[int, str | None] = {}
    for thread in text.dump.threads:
        other = by_id.get(thread.java_id) if thread.java_id is not None else None
        if other is not None:
            known.learn(thread, other)
        if other is None or not (thread.virtual or other.virtual):
            threads.append(thread)
        elif thread.java_id is not None:
            carried[thread.java_id] = thread.carrier
    here = {thread.java_id for thread in threads}
    for thread in threads:
        other = by_id.get(thread.java_id) if thread.java_id is not None else None
        if other is not None:
            thread.container = other.container
            if _has_not_moved(thread, other):
                thread.holds = (*thread.holds, *known.only_in_file(other.holds))
    added = [thread for thread in file.dump.threads if thread.java_id is None or thread.java_id not in here]
    for thread in added:
        thread.blocked_on = known.of_text(thread.blocked_on)
        thread.waiting_on = known.of_text(thread.waiting_on)
        thread.holds = tuple(Held(known.of_text(held.lock) or held.lock, held.depth) for held in thread.holds)
        if thread.java_id in carried:
            thread.carrier = carried[thread.java_id]
    apart = file.source != text.source
    dump = text.dump
    dump.threads = [*threads, *added]
    dump.containers = file.dump.containers
    dump.truncated = [*dump.truncated, *file.dump.truncated]
    dump.unread_lines += file.dump.unread_lines
    dump.problems = [
        *dump.problems,
        *(replace(one, reason=f"{file.source}: {one.reason}") if apart else one for one in file.dump.problems),
    ]
    return dump, [_merged(text, threads), _merged(file, added)]


def _merged(half: Half, threads: list[Thread]) -> MergedDump:
    dump = half.dump
    virtual = sum(thread.virtual for thread in threads)
    return MergedDump(half.source, half.report.line, dump.format, dump.taken_at, len(threads), virtual)


def _has_not_moved(in_text: Thread, in_file: Thread) -> bool:
    """Whether a thread stands in the same place in both dumps. The file leaves hidden frames out (lambdas, runWith)."""
    frames = iter([(frame.function, frame.line) for frame in in_text.stack])
    return bool(in_file.stack) and all((frame.function, frame.line) in frames for frame in in_file.stack)


class _Locks:
    """Which lock of the file is which of the text: one prints addresses, the other identity hashes.

    A thread that stands in the same place in both tells it, where it wants or holds one lock of that class there.
    """

    def __init__(self) -> None:
        self._text: dict[str, Lock] = {}

    def learn(self, in_text: Thread, in_file: Thread) -> None:
        if not _has_not_moved(in_text, in_file):
            return
        for one, other in (
            (in_text.blocked_on, in_file.blocked_on or in_file.waiting_on),
            (in_text.waiting_on, in_file.waiting_on),
        ):
            if one is not None and other is not None and one.class_name == other.class_name and other.id:
                self._text.setdefault(other.id, one)
        places: dict[tuple[str, str], list[Lock]] = {}
        for held in in_text.holds:
            places.setdefault(_place(in_text, held), []).append(held.lock)
        for held in in_file.holds:
            candidates = places.get(_place(in_file, held), [])
            alike = sum(_place(in_file, one) == _place(in_file, held) for one in in_file.holds)
            if len(candidates) == alike == 1 and held.depth is not None and held.lock.id:
                self._text.setdefault(held.lock.id, candidates[0])

    def of_text(self, lock: Lock | None) -> Lock | None:
        """The text's own lock where it is known to be the same."""
        return self._text.get(lock.id or "", lock) if lock is not None else None

    def only_in_file(self, holds: tuple[Held, ...]) -> list[Held]:
        """What nothing in the text is known to be, and so may be what a virtual thread waits for."""
        return [held for held in holds if held.lock.id not in self._text]


def _place(thread: Thread, held: Held) -> tuple[str, str]:
    at = held.depth if held.depth is not None else -1
    return held.lock.class_name, thread.stack[at].function if 0 <= at < len(thread.stack) else ""
