"""Threads that are blocked in the same place, counted together.

The key is what a person means by "the same": kind, phase, library, blocking frame, caller, and the lock for a lock
wait. The whole stack is not the key, so two depths of one call are one group.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from threaddump import catalog
from threaddump.classify import Verdict
from threaddump.report import Group, Integration, Waiting
from threaddump.system_calls import endpoints
from threaddump_parsers.model import Dump, Frame, Lock, Thread

STACK_FRAMES_SHOWN = 60
QUIET = frozenset({"idle", "runtime"})
"""Kinds that are normal: summed up in a report, never a finding."""


def group_threads(dump: Dump, verdicts: Sequence[Verdict]) -> tuple[list[Group], list[int]]:
    """The groups of a dump, worst first, and for each thread the index of its group."""
    # Threads with equal stacks share one verdict: the key is made once for all of them.
    by_verdict: dict[int, list[int]] = {}
    for index, verdict in enumerate(verdicts):
        by_verdict.setdefault(id(verdict), []).append(index)
    members: dict[tuple[object, ...], list[int]] = {}
    for alike in by_verdict.values():
        verdict = verdicts[alike[0]]
        key = (verdict.kind, verdict.phase, pool_name(verdict), verdict.blocking_frame, verdict.caller)
        if verdict.kind != "lock-wait":
            members.setdefault(key, []).extend(alike)
            continue
        for index in alike:
            thread = dump.threads[index]
            lock = thread.blocked_on or (
                thread.waiting_on if thread.waiting_on and is_lock(thread.waiting_on) else None
            )
            members.setdefault((*key, lock.id if lock is not None else None), []).append(index)
    for indexes in members.values():
        indexes.sort()
    ordered = sorted(
        members.values(), key=lambda indexes: (verdicts[indexes[0]].kind in QUIET, -len(indexes), indexes[0])
    )
    group_of = [0] * len(dump.threads)
    groups = []
    for number, indexes in enumerate(ordered):
        for index in indexes:
            group_of[index] = number
        groups.append(_group(f"g{number + 1}", dump, verdicts, indexes))
    return groups, group_of


def is_lock(waited_on: Lock) -> bool:
    """Whether who waits on this object wants to own it; if not, it is a mere signal for a lock that lies elsewhere.

    A distributed lock (Curator) is waited for with ``Object.wait`` on an object of the client, one for each waiter.
    """
    return waited_on.class_name.startswith(("java.util.concurrent.", "sync."))


def lock_id(thread: Thread) -> str | None:
    """The id of the lock a thread wants, or of the object it is parked on."""
    lock = thread.blocked_on or thread.waiting_on
    return lock.id if lock is not None else None


def crew_name(thread_name: str) -> str:
    """A thread's name without its number: ``http-nio-8080-exec-``; empty where it has none."""
    name = thread_name.rstrip("'\")]")
    prefix = name.rstrip("0123456789")
    return prefix if prefix != name else ""


def pool_name(verdict: Verdict) -> str | None:
    """What the thread calls or leases from: a library's key, or the application's own pool class."""
    if verdict.library is not None or verdict.kind != "pool-wait":
        return verdict.library
    return (verdict.blocking_frame or "pool").rpartition(".")[0]


def integration(verdict: Verdict, family: str) -> Integration | None:
    """Name and system of the library behind a verdict, None where it is the runtime's own."""
    key = pool_name(verdict)
    if key is None or verdict.entry is None:
        return None
    profile = verdict.entry.profile or catalog.libraries(family).get(key)
    name = profile["name"] if profile else key
    return Integration(key, name, verdict.entry.system or (profile.get("system") if profile else None))


def _group(group_id: str, dump: Dump, verdicts: Sequence[Verdict], indexes: Sequence[int]) -> Group:
    threads = [dump.threads[index] for index in indexes]
    first = verdicts[indexes[0]]
    timed, reason = _timed([verdicts[index] for index in indexes])
    locks = {lock_id(thread) for thread in threads}
    cpu = [thread.cpu_ms for thread in threads if thread.cpu_ms is not None]
    used = integration(first, dump.family) if first.kind not in QUIET else None
    return Group(
        id=group_id,
        kind=first.kind,
        phase=first.phase,
        blocking_frame=first.blocking_frame,
        integration=used if first.kind != "pool-wait" else None,
        pool=used if first.kind == "pool-wait" else None,
        caller=first.caller,
        timed=timed,
        timed_reason=reason,
        inferred=_inferred([verdicts[index].inferred for index in indexes]),
        lock=locks.pop() if len(locks) == 1 else None,
        threads=[thread.label for thread in threads],
        lines=[thread.line for thread in threads],
        stack=[_printed(frame) for frame in threads[0].stack[:STACK_FRAMES_SHOWN]],
        states=dict(Counter(thread.state or "UNKNOWN" for thread in threads).most_common()),
        cpu_ms=round(sum(cpu), 2) if cpu else None,
        endpoints=[]
        if dump.os is None or first.kind in QUIET
        else endpoints((dump.threads[i], verdicts[i]) for i in indexes),
        waiting=_waiting([1000 * thread.waiting_s for thread in threads if thread.waiting_s is not None]),
    )


def _waiting(known: list[float]) -> Waiting | None:
    known.sort()
    return Waiting(len(known), known[0], known[len(known) // 2], known[-1]) if known else None


def _inferred(reasons: Sequence[str]) -> str:
    """The reason of the first thread, and how many others the rest has."""
    distinct = dict.fromkeys(filter(None, reasons))
    more = len(distinct) - 1
    return next(iter(distinct), "") + (f" and {more} other{'s' * (more > 1)}" if more > 0 else "")


def _timed(verdicts: Sequence[Verdict]) -> tuple[bool | None, str]:
    kinds = Counter(verdict.timed for verdict in verdicts)
    if len(kinds) == 1:
        return verdicts[0].timed, verdicts[0].timed_reason
    return None, ", ".join(
        f"{count} {word} a timeout"
        for value, word in ((True, "with"), (False, "without"), (None, "perhaps with"))
        if (count := kinds[value])
    )


def _printed(frame: Frame) -> str:
    where = "Native Method" if frame.native and not frame.file else frame.file or "Unknown Source"
    return f"{frame.function}({where}:{frame.line})" if frame.line is not None else f"{frame.function}({where})"
