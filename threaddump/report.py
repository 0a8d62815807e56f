"""The answer: what a report says about dumps. Renderers read these values and nothing else.

Field by field this is the JSON report (schema ``threaddump/report@1``); ``reports/json.py`` writes it down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from threaddump_parsers.model import Problem

Severity = Literal["critical", "high", "medium", "low", "info"]
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low", "info")
"""Worst first."""

_ADDRESSES_SHOWN = 3

Basis = Literal["reported", "inferred", "mixed"]
"""How an edge between threads is known: printed by the runtime, concluded by us, or a chain with both."""

OF_SOURCE = "source:"
"""Begins the id of a lock that is known by the application's source alone: it is ours, and not in the input."""


@dataclass(slots=True, frozen=True)
class Integration:
    """A library or service that a thread calls or leases from: ``id`` is the library profile's key."""

    id: str
    name: str
    system: str | None


@dataclass(slots=True, frozen=True)
class Endpoint:
    """A remote address that threads of a group wait for, as the kernel told; only captured dumps have it."""

    address: str
    threads: int
    timeout_ms: int | None
    """Of the threads that have one, where it is the same for all."""
    untimed: int
    """Threads known to wait without a timeout."""
    waiting_ms: tuple[int, int, int] | None
    """Least, median and most time since anything was said on these connections."""
    states: dict[str, int]
    """Of the connections: ``ESTABLISHED``, ``SYN_SENT``, ``CLOSE_WAIT``..."""
    unread: int = 0
    """Threads whose connection holds data that they have not read."""
    unsent: int = 0
    """Threads whose connection holds data that the peer has not taken."""


def endpoint_words(endpoints: Sequence[Endpoint]) -> str:
    """``10.0.0.7:7001, for 4.8 s to 96 s (median 61 s)``; several with their threads. Empty where none is known."""
    if not endpoints:
        return ""
    shown = [e.address if len(endpoints) == 1 else f"{e.address} ({e.threads})" for e in endpoints[:_ADDRESSES_SHOWN]]
    more = f" and {len(endpoints) - _ADDRESSES_SHOWN} more" if len(endpoints) > _ADDRESSES_SHOWN else ""
    waits = waiting_words(endpoints)
    return f"{', '.join(shown)}{more}{f', {waits}' if waits else ''}"


def waiting_words(endpoints: Sequence[Endpoint]) -> str:
    """``for 4.8 s to 96 s (median 61 s)``: of several endpoints the median is that of the largest."""
    spans = [e.waiting_ms for e in endpoints if e.waiting_ms is not None]
    if not spans:
        return ""
    least, most = min(span[0] for span in spans), max(span[2] for span in spans)
    return f"for {waiting_span((least, spans[0][1], most))}"


def waiting_span(waiting_ms: tuple[int, int, int]) -> str:
    """``4.8 s to 96 s (median 61 s)`` of least, median and most."""
    least, median, most = map(span_words, waiting_ms)
    return most if least == most else f"{least} to {most} (median {median})"


def span_words(milliseconds: float) -> str:
    """``0.3 s``, ``61 s``, ``14 min``, ``5 h``."""
    seconds = milliseconds / 1000
    if seconds < 10:
        return f"{seconds:.1f} s"
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


@dataclass(slots=True, frozen=True)
class Waiting:
    """For how long threads have been waiting at least, where the runtime says it."""

    threads: int
    """How many it says it of: of the others nothing is known."""
    min_ms: float
    median_ms: float
    max_ms: float


@dataclass(slots=True)
class Group:
    """Threads that are blocked in the same frame for the same reason."""

    id: str
    kind: str
    phase: str | None
    blocking_frame: str | None
    integration: Integration | None
    pool: Integration | None
    caller: str | None
    timed: bool | None
    timed_reason: str
    """How ``timed`` is known, or what would show it."""
    lock: str | None
    threads: list[str]
    lines: list[int]
    """Input line of each thread, parallel to ``threads``."""
    stack: list[str]
    states: dict[str, int]
    cpu_ms: float | None
    endpoints: list[Endpoint] = field(default_factory=list)
    waiting: Waiting | None = None
    inferred: str = ""
    """What the kind is inferred from where no frame shows it (the source line); empty where frames do."""

    @property
    def count(self) -> int:
        return len(self.threads)


@dataclass(slots=True)
class Owner:
    """The thread that owns a lock, and what it is doing meanwhile."""

    thread: str
    line: int
    kind: str
    blocking_frame: str | None
    caller: str | None
    integration: Integration | None
    evidence: Basis


@dataclass(slots=True)
class ContendedLock:
    """A lock that at least one thread waits for."""

    id: str
    class_name: str
    type: str
    owner: Owner | None
    waiting: list[str]
    owner_unknown: str | None = None
    """Why no owner is named and what would show it; None where there is one."""


@dataclass(slots=True)
class WaitNode:
    """Threads of one group that wait for the node above them."""

    group: str
    kind: str
    caller: str | None
    count: int
    threads: list[str]
    lock: str | None
    lock_class: str | None
    evidence: Basis
    reason: str | None
    children: list[WaitNode] = field(default_factory=list)


@dataclass(slots=True)
class Root:
    """What the threads of a chain wait for in the end."""

    threads: list[str]
    lines: list[int]
    group: str
    kind: str
    phase: str | None
    blocking_frame: str | None
    caller: str | None
    integration: Integration | None
    timed: bool | None

    @property
    def count(self) -> int:
        return len(self.threads)


@dataclass(slots=True)
class Chain:
    """A root and all threads that wait behind it, as a tree."""

    root: Root
    waiting: int
    depth: int
    evidence: Basis
    reason: str | None
    tree: list[WaitNode]


@dataclass(slots=True)
class Deadlock:
    """A cycle of threads, each waiting for a lock that the next one owns."""

    threads: list[str]
    lines: list[int]
    locks: list[str]
    type: str
    reported_by_runtime: bool
    evidence: Basis
    behind: int


@dataclass(slots=True)
class ThreadContainer:
    """Threads that Java keeps together: of an executor, of a task scope, or all others (``<root>``)."""

    name: str
    parent: str | None
    owner: str | None
    """The thread that opened the scope; ``#ID`` where the dump does not list it."""
    owner_line: int | None
    threads: int
    by_kind: dict[str, int]
    groups: dict[str, int]
    """Group id to how many of its threads are in here."""


@dataclass(slots=True, frozen=True)
class Evidence:
    """A place in the input that bears a finding out."""

    thread: str | None
    line: int
    text: str
    source: str | None = None
    """Where a dump was made of two: the source of the line, if it is not the dump's."""
    dump: str | None = None
    """Its id, where the finding is about several dumps."""


@dataclass(slots=True)
class Finding:
    """One thing that is wrong, why we say so, and what to do."""

    id: str
    severity: Severity
    title: str
    detail: str
    threads: int
    thread_names: list[str]
    evidence: list[Evidence]
    advice: list[str]
    recovery: list[str]
    references: list[str] = field(default_factory=list)
    dump: str | None = None
    group: str | None = None
    """The group it is about, for renderers that join the two."""
    reach: int = 0
    """Its threads and all that wait behind them: among equals, the root comes before those that wait for it."""


@dataclass(slots=True, frozen=True)
class MergedDump:
    """One of the dumps that a report's dump was made of."""

    source: str
    line: int
    format: str
    taken_at: str | None
    threads: int
    """How many of its threads were taken, with their line numbers in its source."""
    virtual: int


@dataclass(slots=True)
class DumpReport:
    """Everything said about one dump."""

    id: str
    source: str
    member: str | None
    line: int
    format: str
    family: str
    runtime_name: str | None
    version: str | None
    taken_at: str | None
    pid: int | None
    host: str | None
    service: str | None
    instance: str | None
    total: int
    virtual: int
    by_state: dict[str, int]
    by_kind: dict[str, int]
    request_threads: int
    truncated: bool
    duplicate_of: str | None
    unread_lines: int
    problems: list[Problem]
    groups: list[Group]
    locks: list[ContendedLock]
    chains: list[Chain]
    deadlocks: list[Deadlock]
    findings: list[Finding]
    unit: str = "thread"
    """What the runtime calls an entry: ``thread``, ``goroutine``."""
    profile: str | None = None
    """Where the input is a profile and no dump of one moment: what it sums up."""
    containers: list[ThreadContainer] = field(default_factory=list)
    merged: list[MergedDump] = field(default_factory=list)
    """What it was made of, the one with the states first; empty where it is one dump."""
    hints: list[str] = field(default_factory=list)
    """Commands that would give a better dump; empty where nothing is missing."""
    series_hint: str | None = None
    """The command for more dumps of this process; one of the hints where the report has no other dump."""

    def rename(self, dump_id: str) -> None:
        """Give the dump its id in the report, also where its findings name it."""
        self.id = dump_id
        for finding in self.findings:
            finding.dump = dump_id

    @property
    def worst(self) -> Severity | None:
        return min((f.severity for f in self.findings), key=SEVERITIES.index, default=None)


@dataclass(slots=True)
class StuckThread:
    """A thread that stood in the same place in several dumps of its process in a row, up to the last one."""

    thread: str
    dumps: int
    """In how many."""
    span_s: float | None
    """From the first of them to the last; None where no time is known."""
    cpu_ms: float | None
    """What it used meanwhile."""
    kind: str
    blocking_frame: str | None
    caller: str | None
    behind: str | None
    """The thread that owned the lock it wants, all the time."""
    request: bool
    line: int
    """Of its entry in the last dump."""


@dataclass(slots=True)
class LockHistory:
    """A lock that threads waited for in several dumps."""

    id: str
    class_name: str
    owners: list[str | None]
    """In each dump, None where nobody is named; a permanent owner is the same in all."""
    waiters: list[int]
    type: str

    @property
    def permanent(self) -> bool:
        return None not in self.owners and len(set(self.owners)) == 1

    @property
    def convoy(self) -> bool:
        """The owner changes while the queue stays: each holds it for a short time only."""
        return None not in self.owners and len(set(self.owners)) > 1 and min(self.waiters, default=0) > 1


@dataclass(slots=True)
class PlaceHistory:
    """How many threads were blocked in one place, dump by dump."""

    kind: str
    blocking_frame: str | None
    caller: str | None
    counts: list[int]


@dataclass(slots=True)
class Series:
    """What several dumps of one process say together, oldest first."""

    dumps: list[str]
    family: str
    service: str | None
    instance: str | None
    pid: int | None
    runtime_name: str | None
    version: str | None
    span_s: float | None
    stuck: list[StuckThread]
    spinning: list[StuckThread]
    """They run, in the same place, and use a processor."""
    progressing: int
    """Threads that were seen in different places or used CPU."""
    resting: int
    """Idle in every dump."""
    waiting: int
    """Asleep or waiting for a signal in the same place, which for threads that serve no request is usual."""
    appeared: int
    gone: int
    growth: dict[str, list[int]]
    """Threads by name without number, where their number changed: one count a dump."""
    locks: list[LockHistory]
    places: list[PlaceHistory]
    notes: list[str]
    findings: list[Finding] = field(default_factory=list)
    """What no single dump shows."""


CallBasis = Literal["reported", "given", "inferred"]
"""How it is known which service a call goes to: by the kernel's addresses, from the command line, concluded by us."""


@dataclass(slots=True)
class TierCall:
    """The calls of a tier to one other service."""

    service: str | None
    """None where it is not known which service that is."""
    here: bool
    """Whether a dump of it is in this report."""
    caller: str | None
    """The application frame that makes most of these calls."""
    integration: Integration | None
    timed: bool | None
    threads: int
    behind: int
    """Threads that wait behind these calls."""
    pool_waits: int
    """How many of those for a slot of a pool."""
    addresses: dict[str, int]
    """Address to the threads that wait for it, those with the most first; captured dumps have it."""
    missing: list[str]
    """Addresses of which no dump is here, although the service is."""
    waiting_ms: tuple[int, int, int] | None
    basis: CallBasis
    reason: str
    example: Evidence | None = None
    """A thread that makes this call."""

    @property
    def weight(self) -> int:
        """All threads that wait for it in the end."""
        return self.threads + self.behind

    @property
    def address(self) -> str | None:
        return next(iter(self.addresses), None)


@dataclass(slots=True)
class TierHold:
    """What holds up threads within a tier: a lock, or another thread."""

    dump: str
    thread: str | None
    """The owner; None where it is not known."""
    line: int
    what: str
    """The lock, or what the threads do that all wait for."""
    waiting: int
    kind: str | None
    """What the owner does meanwhile,"""
    place: str | None
    """and where."""
    evidence: Basis


@dataclass(slots=True)
class Tier:
    """The instances of a service, as their dumps show them at one moment."""

    service: str
    instances: int
    """Processes with a dump."""
    dumps: list[str]
    """The last one of each process, which is what is counted."""
    earlier: list[str]
    """Dumps of the same processes that are not counted again."""
    threads: int
    request_threads: int
    serving: int
    """Threads that serve: the request threads, or the largest pool where none are known."""
    serving_words: str
    blocked: int
    """How many of these wait for something that somebody owes them."""
    idle: int
    """How many have nothing to do."""
    by_kind: dict[str, int]
    """Of all threads,"""
    serving_by_kind: dict[str, int]
    """and of those that serve."""
    calls: list[TierCall]
    holds: list[TierHold]
    waits_for: TierCall | None
    """The call that most of its waiting threads wait for in the end."""
    notes: list[str] = field(default_factory=list)

    @property
    def blocked_share(self) -> float:
        return self.blocked / self.serving if self.serving else 0.0


@dataclass(slots=True)
class Cascade:
    """Tiers that lead to one end, the user-facing ones first."""

    tiers: list[str]
    circle: bool
    """The last ones wait for each other."""
    end: str | None
    """The service or address at the end; None where only the call to it is known."""
    end_here: bool
    """Whether a dump of the end is in this report."""
    end_words: str
    """The end in words."""
    end_free: bool
    """The end has threads to spare: what is waited for is not in its dumps."""
    waiting: int
    """All threads of the tiers before it that wait for the end."""
    act_on: str | None
    """Where to act first; None where nothing is held up."""
    why: str
    findings: list[Finding] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    """The whole answer, one or more dumps."""

    dumps: list[DumpReport] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    tiers: list[Tier] = field(default_factory=list)
    """In the order of their cascades: the user-facing one first."""
    cascades: list[Cascade] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    """The user's own rules that were used: files, and options that say the same."""

    @property
    def findings(self) -> list[Finding]:
        """Findings on tiers, series and dumps, worst first; equal ones in the order of the dumps."""
        found = [
            *(finding for each in self.cascades for finding in each.findings),
            *(finding for each in self.series for finding in each.findings),
            *(finding for dump in self.dumps for finding in dump.findings),
        ]
        return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))
