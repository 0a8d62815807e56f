"""Which dumps are of one process, and in which order they were taken.

A series is ordered by the age of the process where the dumps tell it, else by their clocks, else as they came. Clocks
of virtual machines jump, and those of two hosts differ: where the two orders contradict each other, that is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from threaddump.report import DumpReport
from threaddump.series.snapshots import Mark, Snapshot

ALIKE = 0.5
"""Share of threads with equal ids and names from which on dumps without a mark are of one process."""
SPREAD_S = 2.0
"""Two clocks may differ by so much before their order means something."""


@dataclass(slots=True)
class Process:
    """The dumps of one process, oldest first."""

    dumps: list[tuple[DumpReport, Snapshot]]
    notes: list[str]
    """What is odd about their times."""


def processes(dumps: Sequence[tuple[DumpReport, Snapshot]]) -> list[Process]:
    """The dumps by process, in the order in which the processes come first; copies are left out."""
    found: list[list[tuple[DumpReport, Snapshot]]] = []
    by_mark: dict[Mark, list[tuple[DumpReport, Snapshot]]] = {}
    for entry in dumps:
        report, snapshot = entry
        if report.duplicate_of is not None or not snapshot.threads:
            continue
        own = next((by_mark[mark] for mark in sorted(snapshot.marks, key=str) if mark in by_mark), None)
        if own is None and not snapshot.marks:
            own = next((each for each in found if _alike(each[-1], entry)), None)
        if own is None:
            own = []
            found.append(own)
        own.append(entry)
        for mark in snapshot.marks:
            by_mark.setdefault(mark, own)
    return [_ordered(each) for each in found]


def _alike(one: tuple[DumpReport, Snapshot], other: tuple[DumpReport, Snapshot]) -> bool:
    if one[0].family != other[0].family or one[0].format != other[0].format or one[1].marks:
        return False
    if one[0].family not in {"jvm", "python"} and one[0].source != other[0].source:
        return False  # goroutines have numbers and no names: those of any two processes are alike
    first, second = one[1].threads, other[1].threads
    common = sum(id in second and second[id].name == seen.name for id, seen in first.items())
    return common >= ALIKE * max(min(len(first), len(second)), 1)


def _ordered(dumps: list[tuple[DumpReport, Snapshot]]) -> Process:
    notes: list[str] = []
    ages = [snapshot.uptime_s for _, snapshot in dumps]
    clocks = [seconds(snapshot.taken_at) for _, snapshot in dumps]
    if all(age is not None for age in ages):
        order = sorted(range(len(dumps)), key=lambda at: ages[at] or 0.0)
    elif all(clock is not None for clock in clocks):
        order = sorted(range(len(dumps)), key=lambda at: clocks[at] or 0.0)
    else:
        order = list(range(len(dumps)))
        if len(dumps) > 1:
            notes.append("the dumps have no time: they are taken to be in the order in which they were given")
    for before, after in pairwise(order):
        one, two = clocks[before], clocks[after]
        if one is not None and two is not None and one > two + SPREAD_S:
            notes.append(
                f"the clock went back by {one - two:.0f} s between {dumps[before][0].id} and {dumps[after][0].id}, by "
                "the age of the process the other way round: ordered by that age"
            )
    return Process([dumps[at] for at in order], notes)


def seconds(taken_at: str | None) -> float | None:
    """A time stamp as seconds; without a zone it is taken as UTC, for only differences count."""
    if taken_at is None:
        return None
    try:
        stamp = datetime.fromisoformat(taken_at)
    except ValueError:
        return None
    return (stamp if stamp.tzinfo else datetime.fromisoformat(f"{stamp.isoformat()}+00:00")).timestamp()


def span(first: Snapshot, last: Snapshot) -> float | None:
    """Seconds between two dumps of a process; None where neither its age nor a clock tells."""
    if first.uptime_s is not None and last.uptime_s is not None:
        return max(last.uptime_s - first.uptime_s, 0.0)
    start, end = seconds(first.taken_at), seconds(last.taken_at)
    return max(end - start, 0.0) if start is not None and end is not None else None
