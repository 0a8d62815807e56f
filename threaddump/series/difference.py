"""A good and a bad moment: what is new, what is gone, what has grown.

Two dumps or two sets. Of each process the last dump of a set counts. Places are compared across processes (another
instance, or the same after a restart); threads only where a process is in both sets, for their ids mean nothing else.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from threaddump.groups import QUIET, crew_name
from threaddump.report import SEVERITIES, DumpReport, Finding
from threaddump.series.processes import processes
from threaddump.series.snapshots import Place, Snapshot

K = TypeVar("K")
Entry = tuple[DumpReport, Snapshot]
_EXAMPLES = 3


@dataclass(slots=True)
class Moment:
    """One of the two sets, as far as it was counted."""

    dumps: dict[str, str]
    """Id to source of those that count: the last dump of each process."""
    given: int
    """Dumps in all."""
    processes: int
    taken_at: list[str]
    """The earliest and the latest time; none where no dump has one."""
    threads: float
    by_kind: dict[str, float]
    findings: list[Finding]


@dataclass(slots=True)
class PlaceChange:
    """Threads blocked in one place. Counts are per process where the sets have different numbers of processes."""

    kind: str
    phase: str | None
    blocking_frame: str | None
    caller: str | None
    library: str | None
    before: float
    after: float
    threads: list[str]
    """A few of them, in the later set."""
    line: int
    """Of the first of these; 0 where there is none."""


@dataclass(slots=True)
class LockChange:
    """Waiters for the locks of one class: their ids mean nothing across processes."""

    class_name: str
    type: str
    before: float
    after: float
    owners: list[str]
    """Who owned them in the later set."""


@dataclass(slots=True)
class ChainChange:
    """Threads behind what stands in one place."""

    kind: str
    caller: str | None
    before: float
    after: float


@dataclass(slots=True)
class CrewChange:
    """Threads of one name without its number."""

    name: str
    before: float
    after: float
    appeared: int | None
    gone: int | None
    """Told by their ids, in the processes that are in both sets; None where there is none."""


@dataclass(slots=True)
class Move:
    """Threads of the same processes that stand elsewhere now; None where they were not there, or are gone."""

    before: Place | None
    after: Place | None
    threads: int


@dataclass(slots=True)
class Difference:
    """All that differs between two moments, what grew most first."""

    before: Moment
    after: Moment
    same_processes: int
    places: list[PlaceChange]
    locks: list[LockChange]
    chains: list[ChainChange]
    crews: list[CrewChange]
    moves: list[Move]
    new_findings: list[Finding]
    worse_findings: list[Finding]
    gone_findings: list[Finding]
    notes: list[str] = field(default_factory=list)


def difference(before: Sequence[Entry], after: Sequence[Entry]) -> Difference:
    """Compare two sets of dumps; they are renamed to ``b1``, ``b2``... and ``a1``, ``a2``..."""
    for letter, entries in (("b", before), ("a", after)):
        for number, (report, _) in enumerate(entries):
            report.rename(f"{letter}{number + 1}")
    first, later = _last(before), _last(after)
    pairs = _pairs(first, later)
    per_process = len(first) != len(later)
    scales = (1 / max(len(first), 1), 1 / max(len(later), 1)) if per_process else (1.0, 1.0)
    one, two = _moment(first, len(before), scales[0]), _moment(later, len(after), scales[1])
    new, worse, gone = _findings(one.findings, two.findings)
    notes = []
    if per_process:
        notes.append(f"{len(first)} processes before and {len(later)} after: counts are those of an average process")
    if not pairs:
        notes.append("no process is in both: places and names are compared, single threads cannot be")
    return Difference(
        one,
        two,
        len(pairs),
        _places(first, later, scales),
        _locks(first, later, scales),
        _chains(first, later, scales),
        _crews(first, later, scales, pairs),
        _moves(pairs),
        new,
        worse,
        gone,
        notes,
    )


def _last(entries: Sequence[Entry]) -> list[Entry]:
    """The last dump of each process."""
    return [process.dumps[-1] for process in processes(entries)]


def _pairs(first: Sequence[Entry], later: Sequence[Entry]) -> list[tuple[Snapshot, Snapshot]]:
    """Processes that are in both sets: each one's earlier and later snapshot."""
    early = {id(snapshot) for _, snapshot in first}
    found = []
    for process in processes([*first, *later]):
        snapshots = [snapshot for _, snapshot in process.dumps]
        sides = [id(snapshot) in early for snapshot in snapshots]
        if len(snapshots) == 2 and sides.count(True) == 1:
            found.append((snapshots[sides.index(True)], snapshots[sides.index(False)]))
    return found


def _moment(entries: Sequence[Entry], given: int, scale: float) -> Moment:
    kinds: Counter[str] = Counter()
    for report, _ in entries:
        kinds.update(report.by_kind)
    times = sorted(report.taken_at for report, _ in entries if report.taken_at is not None)
    return Moment(
        {report.id: report.source for report, _ in entries},
        given,
        len(entries),
        list(dict.fromkeys((times[0], times[-1]))) if times else [],
        _scaled(sum(report.total for report, _ in entries), scale),
        {kind: _scaled(count, scale) for kind, count in sorted(kinds.items(), key=lambda item: (-item[1], item[0]))},
        [finding for report, _ in entries for finding in report.findings],
    )


def _scaled(count: float, scale: float) -> float:
    return count if scale == 1 else round(count * scale, 1)


def _changes(
    counted: Callable[[Iterable[Entry]], Counter[K]],
    first: Sequence[Entry],
    later: Sequence[Entry],
    scales: tuple[float, float],
) -> list[tuple[K, float, float]]:
    """What differs, with both counts: what grew most first, what shrank most last."""
    one, two = counted(first), counted(later)
    rows = [(key, _scaled(one[key], scales[0]), _scaled(two[key], scales[1])) for key in {**one, **two}]
    return sorted((row for row in rows if row[1] != row[2]), key=lambda row: (row[1] - row[2], str(row[0])))


def _places(first: Sequence[Entry], later: Sequence[Entry], scales: tuple[float, float]) -> list[PlaceChange]:
    def key(place: Place) -> tuple[str, str | None, str | None, str | None, str | None]:
        return place.kind, place.phase, place.blocking_frame, place.caller, place.library

    def counted(entries: Iterable[Entry]) -> Counter[tuple[str, str | None, str | None, str | None, str | None]]:
        return Counter(
            key(snapshot.places[seen.place])
            for _, snapshot in entries
            for seen in snapshot.threads.values()
            if snapshot.places[seen.place].kind not in QUIET
        )

    changed = _changes(counted, first, later, scales)
    wanted = {where for where, _, _ in changed}
    examples: dict[object, list[tuple[int, str]]] = defaultdict(list)
    for _, snapshot in later:
        for seen in snapshot.threads.values():
            where = key(snapshot.places[seen.place])
            if where in wanted:
                examples[where].append((seen.line, seen.name))
    found = []
    for where, before, after in changed:
        shown = sorted(examples[where])[:_EXAMPLES]
        found.append(PlaceChange(*where, before, after, [name for _, name in shown], shown[0][0] if shown else 0))
    return found


def _locks(first: Sequence[Entry], later: Sequence[Entry], scales: tuple[float, float]) -> list[LockChange]:
    def counted(entries: Iterable[Entry]) -> Counter[tuple[str, str]]:
        found: Counter[tuple[str, str]] = Counter()
        for _, snapshot in entries:
            for lock in snapshot.locks:
                found[lock.class_name, lock.type] += lock.waiters
        return found

    owners: dict[tuple[str, str], set[str]] = defaultdict(set)
    for _, snapshot in later:
        for lock in snapshot.locks:
            if lock.owner is not None:
                owners[lock.class_name, lock.type].add(lock.owner)
    return [
        LockChange(*key, before, after, sorted(owners[key])[:_EXAMPLES])
        for key, before, after in _changes(counted, first, later, scales)
    ]


def _chains(first: Sequence[Entry], later: Sequence[Entry], scales: tuple[float, float]) -> list[ChainChange]:
    def counted(entries: Iterable[Entry]) -> Counter[tuple[str, str | None]]:
        found: Counter[tuple[str, str | None]] = Counter()
        for report, _ in entries:
            for chain in report.chains:
                found[chain.root.kind, chain.root.caller or chain.root.blocking_frame] += chain.waiting
        return found

    return [ChainChange(*key, before, after) for key, before, after in _changes(counted, first, later, scales)]


def _crews(
    first: Sequence[Entry],
    later: Sequence[Entry],
    scales: tuple[float, float],
    pairs: Sequence[tuple[Snapshot, Snapshot]],
) -> list[CrewChange]:
    def counted(entries: Iterable[Entry]) -> Counter[str]:
        return Counter(_crew(seen.name) for _, snapshot in entries for seen in snapshot.threads.values())

    appeared: Counter[str] = Counter()
    gone: Counter[str] = Counter()
    for early, late in pairs:
        appeared.update(_crew(late.threads[id].name) for id in late.threads.keys() - early.threads.keys())
        gone.update(_crew(early.threads[id].name) for id in early.threads.keys() - late.threads.keys())
    changed = {name: (before, after) for name, before, after in _changes(counted, first, later, scales)}
    one, two = counted(first), counted(later)
    for name in sorted(appeared.keys() | gone.keys()):
        # Names come back with other threads: a pool that lost ten and made ten has not stood still.
        changed.setdefault(name, (_scaled(one[name], scales[0]), _scaled(two[name], scales[1])))
    return [
        CrewChange(name, before, after, appeared[name] if pairs else None, gone[name] if pairs else None)
        for name, (before, after) in changed.items()
    ]


def _crew(name: str) -> str:
    return crew_name(name) or name


def _moves(pairs: Sequence[tuple[Snapshot, Snapshot]]) -> list[Move]:
    """Where the threads that both dumps of a process have went; new and ended ones with nothing on one side."""
    found: Counter[tuple[Place | None, Place | None]] = Counter()
    for early, late in pairs:
        for thread in {**early.threads, **late.threads}:
            was, now = early.threads.get(thread), late.threads.get(thread)
            one = early.places[was.place] if was is not None else None
            two = late.places[now.place] if now is not None else None
            if one != two:
                found[one, two] += 1
    ordered = sorted(found.items(), key=lambda item: (-item[1], str(item[0])))
    return [Move(one, two, count) for (one, two), count in ordered]


def _findings(
    before: Sequence[Finding], after: Sequence[Finding]
) -> tuple[list[Finding], list[Finding], list[Finding]]:
    """Findings only in the later set, worse there, and only in the earlier one; each once, the worst of its kind."""
    one, two = _by_key(before), _by_key(after)
    new = [finding for key, finding in two.items() if key not in one]
    worse = [finding for key, finding in two.items() if key in one and _rank(finding) < _rank(one[key])]
    return new, worse, [finding for key, finding in one.items() if key not in two]


def _rank(finding: Finding) -> int:
    return SEVERITIES.index(finding.severity)


def _by_key(findings: Sequence[Finding]) -> Mapping[tuple[str, str], Finding]:
    """By id and the place they are about: titles hold counts."""
    found: dict[tuple[str, str], Finding] = {}
    for finding in sorted(findings, key=lambda each: (_rank(each), -each.threads)):
        place = finding.evidence[0].text if finding.group is not None and finding.evidence else ""
        found.setdefault((finding.id, place), finding)
    return found
