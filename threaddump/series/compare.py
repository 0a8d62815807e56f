"""Compares the dumps of one process: what stays where it is, what goes on, what grows.

A thread is *stuck* when it stood in one place (kind, blocking frame, caller, and the path to it) in three dumps in a
row, the last one among them, and did nothing meanwhile: its CPU time stood still, and the kernel, where it was asked,
has seen nothing on its connection. The same place with CPU used is new work of the same kind.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeVar

from threaddump.report import DumpReport, LockHistory, PlaceHistory, Series, StuckThread
from threaddump.series.processes import Process, processes, span
from threaddump.series.snapshots import Place, Seen, Snapshot, ThreadId

T = TypeVar("T")
PROOF = 3
"""So many dumps in a row show that a thread is stuck."""
AT_REST = frozenset({"idle", "runtime"})
BLOCKED = frozenset({"external-call", "pool-wait", "lock-wait", "queue-put", "io", "unknown"})
"""Kinds in which standing still is trouble, whoever does it."""
WORKED_MS_A_SECOND = 1.0
"""More CPU than this is work: a blocked thread uses none, one that waits in rounds next to none."""
LISTENING = frozenset({"accept", "select", "poll"})
SPINNING = 0.5
"""Of a processor, from which on a thread that runs in one place is in a loop."""
PLACES_KEPT = 100


def series(dumps: Sequence[tuple[DumpReport, Snapshot]]) -> list[Series]:
    """One series for each process that was seen in two dumps or more."""
    return [_series(process) for process in processes(dumps) if len(process.dumps) > 1]


def _series(process: Process) -> Series:
    reports = [report for report, _ in process.dumps]
    snapshots = [snapshot for _, snapshot in process.dumps]
    last = reports[-1]
    made = Series(
        dumps=[report.id for report in reports],
        family=last.family,
        service=_known(report.service for report in reports),
        instance=_known(report.instance for report in reports),
        pid=_known(report.pid for report in reports),
        runtime_name=last.runtime_name,
        version=last.version,
        span_s=span(snapshots[0], snapshots[-1]),
        stuck=[],
        spinning=[],
        progressing=0,
        resting=0,
        waiting=0,
        appeared=len(set().union(*(s.threads for s in snapshots[1:])) - snapshots[0].threads.keys()),
        gone=len(set().union(*(s.threads for s in snapshots[:-1])) - snapshots[-1].threads.keys()),
        growth=_growth(snapshots),
        locks=_locks(snapshots),
        places=_places(snapshots),
        notes=process.notes,
    )
    owners = {seen.behind for seen in snapshots[-1].threads.values() if seen.behind is not None}
    for id in snapshots[-1].threads:
        _judge(made, id, snapshots, id in owners)
    made.stuck.sort(key=lambda thread: (thread.behind is not None, -(thread.span_s or 0), thread.line))
    return made


def _known(values: Iterable[T | None]) -> T | None:
    return next((value for value in values if value is not None), None)


def _judge(made: Series, id: ThreadId, snapshots: Sequence[Snapshot], owner: bool) -> None:
    """Count one thread of the last dump."""
    seen = [snapshot.threads.get(id) for snapshot in snapshots]
    places = [each and snapshot.places[each.place] for each, snapshot in zip(seen, snapshots, strict=True)]
    now, place = seen[-1], places[-1]
    assert now is not None
    assert place is not None
    if all(each is None or each.kind in AT_REST for each in places):
        made.resting += place.kind == "idle" and place.phase not in LISTENING
        made.waiting += place.kind == "idle" and place.phase in LISTENING
        return
    if sum(each is not None for each in seen) < 2:
        return  # it appeared: nothing to compare it with
    run = _run(seen, places)
    first = snapshots[-run]
    time = span(first, snapshots[-1])
    used = _used(seen[-run], now)
    if run > 1 and _waits_by_habit(place, now, owner):
        still = run == sum(each is not None for each in seen) and not _worked(used, time, now, place)
        made.waiting += still
        made.progressing += not still
        return
    if run < PROOF or place.kind in AT_REST or _worked(used, time, now, place):
        made.progressing += 1
        if run >= PROOF and place.kind == "running" and _share(used, time) >= SPINNING:
            made.progressing -= 1
            made.spinning.append(_thread(now, place, run, time, used, None))
        return
    behind = {each.behind for each in seen[-run:] if each is not None}
    owned_by = next(iter(behind)) if len(behind) == 1 else None
    holder = snapshots[-1].threads.get(owned_by) if owned_by is not None else None
    made.stuck.append(_thread(now, place, run, time, used, holder))


def _run(seen: Sequence[Seen | None], places: Sequence[Place | None]) -> int:
    """In how many dumps, counted back from the last one, the thread stands where it stands now."""
    now, place = seen[-1], places[-1]
    assert now is not None
    assert place is not None
    key = (place.kind, place.blocking_frame, place.caller)
    length = 0
    for each, where in zip(reversed(seen), reversed(places), strict=True):
        if each is None or where is None or each.path != now.path:
            break
        if (where.kind, where.blocking_frame, where.caller) != key:
            break
        length += 1
    return length


def _used(before: Seen | None, now: Seen) -> float | None:
    if before is None or before.cpu_ms is None or now.cpu_ms is None:
        return None
    return max(now.cpu_ms - before.cpu_ms, 0.0)


def _share(used_ms: float | None, span_s: float | None) -> float:
    return 0.0 if used_ms is None or not span_s else used_ms / 1000 / span_s


def _worked(used_ms: float | None, span_s: float | None, now: Seen, place: Place) -> bool:
    """Whether the thread did something although it stands where it stood."""
    if now.waiting_ms is not None and span_s is not None:
        return now.waiting_ms < 1000 * span_s / 2  # the call is younger than the dumps are apart
    if used_ms is None:
        return place.kind == "running"  # nothing shows whether it goes on
    return used_ms > WORKED_MS_A_SECOND * max(span_s or 1.0, 1.0)


def _waits_by_habit(place: Place, now: Seen, owner: bool) -> bool:
    """Threads that serve no request may sleep or wait for a signal all their life; not while others want their lock."""
    return place.kind in {"sleep", "sync-wait"} and not now.request and not owner


def _thread(
    now: Seen, place: Place, dumps: int, span_s: float | None, used_ms: float | None, holder: Seen | None
) -> StuckThread:
    return StuckThread(
        thread=now.name,
        dumps=dumps,
        span_s=None if span_s is None else round(span_s, 1),
        cpu_ms=None if used_ms is None else round(used_ms, 2),
        kind=place.kind,
        blocking_frame=place.blocking_frame,
        caller=place.caller,
        behind=holder.name if holder is not None else None,
        request=now.request,
        line=now.line,
    )


def _growth(snapshots: Sequence[Snapshot]) -> dict[str, list[int]]:
    names = Counter(name for snapshot in snapshots for name, count in snapshot.crews.items() if count > 1)
    found = {name: [snapshot.crews.get(name, 0) for snapshot in snapshots] for name in names}
    changed = {name: counts for name, counts in found.items() if len(set(counts)) > 1}
    return dict(sorted(changed.items(), key=lambda item: (item[1][0] - item[1][-1], item[0])))


def _locks(snapshots: Sequence[Snapshot]) -> list[LockHistory]:
    """Locks that were waited for in all dumps but the odd one, most waiters first."""
    by_id: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for number, snapshot in enumerate(snapshots):
        for at, lock in enumerate(snapshot.locks):
            by_id[lock.id].append((number, at))
    found = []
    for id, where in by_id.items():
        if len({number for number, _ in where}) < 2:
            continue
        held = {number: snapshots[number].locks[at] for number, at in where}
        last = held[max(held)]
        found.append(
            LockHistory(
                id,
                last.class_name,
                [held[number].owner for number in sorted(held)],
                [held[number].waiters if number in held else 0 for number in range(len(snapshots))],
                last.type,
            )
        )
    return sorted(found, key=lambda lock: (-max(lock.waiters), lock.id))


def _places(snapshots: Sequence[Snapshot]) -> list[PlaceHistory]:
    """Places with the number of threads in each dump, those with the most first; what is at rest is left out."""
    counts: dict[tuple[str, str | None, str | None], list[int]] = {}
    for number, snapshot in enumerate(snapshots):
        for seen in snapshot.threads.values():
            place = snapshot.places[seen.place]
            if place.kind not in AT_REST:
                key = (place.kind, place.blocking_frame, place.caller)
                counts.setdefault(key, [0] * len(snapshots))[number] += 1
    ordered = sorted(counts.items(), key=lambda item: (-max(item[1]), str(item[0])))
    return [PlaceHistory(*key, row) for key, row in ordered[:PLACES_KEPT]]
