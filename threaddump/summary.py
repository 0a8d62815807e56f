"""What many dumps say together: a summary that is made of parts, in any order and by any split.

A summary is the set of its dumps, a few hundred bytes each: who it is of, when, and how many threads stand in each
signature (kind, phase, library, pool, caller, blocking frame, timeout). Everything else (the number of instances, first
and last seen, medians, rankings) is worked out of that set when it is read. So ``merge`` is a union: associative,
commutative, and exact, also where two parts were given the same dump.

What is left out is decided within one dump, or by a fixed order of names, and never by counts so far: it is the same
however the dumps are spread. A dump keeps its ``STUCK_KEPT`` most severe signatures and counts the rest; of the inputs
that could not be used the ``FAILURES_KEPT`` first by name are kept, the rest is counted. Texts are cut.

Snapshots, which series over time are made of, are not kept: some hundred bytes a thread would be gigabytes for a fleet.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from heapq import nsmallest
from statistics import median
from typing import NamedTuple, TypeVar
from zlib import crc32

from threaddump.report import SEVERITIES, DumpReport, Finding, Group, Integration, Severity
from threaddump.series.processes import seconds

STUCK_KEPT = 64
FAILURES_KEPT = 100
REASONS_KEPT = 100
PEERS_KEPT = 8
"""Addresses of a signature in one dump."""
TEXT_KEPT = 400
EXAMPLES = 3
QUIET = frozenset({"idle", "runtime", "running", "sleep"})
"""Kinds that are no trouble by themselves: their signatures are kept only where a finding is about them."""
MILD: tuple[Severity, ...] = ("low", "info")
_SURROGATES = re.compile("[\ud800-\udfff]")
T = TypeVar("T")


class Library(NamedTuple):
    """A library or service that is called or leased from, as in a report."""

    id: str
    name: str
    system: str | None


class Signature(NamedTuple):
    """Where threads are stuck, whatever the process: equal in all instances of a service."""

    family: str
    kind: str
    phase: str | None
    integration: Library | None
    pool: Library | None
    caller: str | None
    blocking_frame: str | None
    timed: bool | None


class Stuck(NamedTuple):
    """The threads of one dump that stand in one signature."""

    signature: Signature
    threads: int
    line: int
    """Of the first of them in the input."""
    severity: Severity | None
    """Of the worst finding about them."""
    peers: tuple[tuple[str, int], ...]
    """Addresses that they wait for with the number of threads, where the kernel was asked."""


class Told(NamedTuple):
    """What the findings of one id and severity say of one dump."""

    id: str
    severity: Severity
    threads: int
    line: int


class Runtime(NamedTuple):
    """What wrote the dump."""

    family: str
    name: str | None
    version: str | None


class Seen(NamedTuple):
    """One dump, as far as a fleet is concerned."""

    fingerprint: str
    """Equal for the same content."""
    service: str | None
    instance: str | None
    host: str | None
    pid: int | None
    source: str
    member: str | None
    line: int
    taken_at: str | None
    format: str
    runtime: Runtime
    threads: int
    by_kind: tuple[tuple[str, int], ...]
    incomplete: bool
    """Cut short, or with lines that were not understood."""
    stuck: tuple[Stuck, ...]
    more_groups: int
    """Groups beyond ``STUCK_KEPT``, and their threads."""
    more_threads: int
    told: tuple[Told, ...]

    @property
    def names(self) -> tuple[str | None, ...]:
        return self.service, self.instance, self.host

    @property
    def process(self) -> tuple[object, ...]:
        """What tells the instance from others: its names, else its host and pid, else the input it came from."""
        if self.instance is not None:
            return self.names
        if any(self.names):
            return (*self.names, self.pid)
        return (self.source, self.member, self.pid)

    @property
    def label(self) -> str:
        """What a report calls the instance."""
        if self.instance is not None:
            return self.instance
        if any(self.names):
            where = self.host or self.service or ""
            return where if self.pid is None else f"{where} pid {self.pid}"
        return self.source if self.member is None else f"{self.source}:{self.member}"

    @property
    def order(self) -> tuple[object, ...]:
        """By time, then by name; dumps without a time come last."""
        time = seconds(self.taken_at)
        return (time is None, time or 0.0, self.label, self.source, self.member or "", self.line)


class Failure(NamedTuple):
    """An input that could not be used."""

    source: str
    reason: str
    hint: str


class Example(NamedTuple):
    """How the finding of one dump reads: of the dump with the most threads in it."""

    negative_threads: int
    title: str
    detail: str
    advice: tuple[str, ...]
    recovery: tuple[str, ...]


Key = tuple[str, tuple[str | None, ...]]


@dataclass(slots=True)
class Summary:
    """Dumps of many instances, mergeable. The fields are what a part holds; ``Fleet`` is what they say."""

    seen: dict[Key, Seen] = field(default_factory=dict)
    times: Counter[Key] = field(default_factory=Counter)
    """How often each was given: more than once is a duplicate."""
    examples: dict[tuple[str, Severity], Example] = field(default_factory=dict)
    inputs: int = 0
    """Inputs that were read, or could not be."""
    left: int = 0
    """Inputs that were not reached, for the run was interrupted."""
    failed: int = 0
    failures: list[Failure] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    rules: set[str] = field(default_factory=set)
    _same: dict[object, object] = field(default_factory=dict, repr=False, compare=False)
    """One object for equal signatures and runtimes: a fleet has few."""

    def record(self, dump: DumpReport, fingerprint: Iterable[object]) -> None:
        """Add one dump. ``fingerprint`` is equal for dumps of equal content."""
        digest = blake2b(repr(tuple(fingerprint)).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        self.add(_seen(dump, digest), 1)
        for finding in dump.findings:
            self.example((finding.id, finding.severity), _example(finding))

    def fail(self, source: str, reason: str, hint: str) -> None:
        """Count an input that cannot be used, ``source`` as the reason names it."""
        failure = Failure(cut(source), cut(reason.removeprefix(f"{source}: ")), cut(hint))
        self.failed += 1
        self._keep_failures([failure])
        self._keep_reasons({failure.reason: 1})

    @staticmethod
    def merge(one: Summary, other: Summary) -> Summary:
        """Both in one; neither is changed."""
        merged = Summary()
        merged.absorb(one)
        merged.absorb(other)
        return merged

    def absorb(self, other: Summary) -> None:
        """Take over all that the other one holds."""
        for key, seen in other.seen.items():
            self.add(seen, other.times[key])
        for told, example in other.examples.items():
            self.example(told, example)
        self.inputs += other.inputs
        self.left += other.left
        self.failed += other.failed
        self._keep_failures(other.failures)
        self._keep_reasons(other.reasons)
        self.rules |= other.rules

    def add(self, seen: Seen, times: int) -> None:
        """Add what was seen so often; equal content of one process is one dump."""
        key = (seen.fingerprint, seen.names)
        self.times[key] += times
        known = self.seen.get(key)
        if known is None or (known != seen and _canonical(seen) < _canonical(known)):
            stuck = tuple(each._replace(signature=self._one(each.signature)) for each in seen.stuck)
            self.seen[key] = seen._replace(
                stuck=stuck, runtime=self._one(seen.runtime), by_kind=self._one(seen.by_kind)
            )

    def example(self, told: tuple[str, Severity], example: Example) -> None:
        """Keep it if it is the one with the most threads."""
        known = self.examples.get(told)
        if known is None or example < known:
            self.examples[told] = example

    def _one(self, value: T) -> T:
        return self._same.setdefault(value, value)  # type: ignore[return-value]

    def _keep_failures(self, more: Sequence[Failure]) -> None:
        # The first of an order that does not depend on what else there is: so parts keep what the whole keeps.
        if more:
            self.failures = nsmallest(FAILURES_KEPT, [*self.failures, *more])

    def _keep_reasons(self, more: dict[str, int]) -> None:
        if more:
            together = Counter(self.reasons) + Counter(more)
            self.reasons = {reason: together[reason] for reason in nsmallest(REASONS_KEPT, together)}


def cut(text: str, limit: int = TEXT_KEPT) -> str:
    """No longer than the limit, and still different where the texts are; what UTF-8 cannot hold is replaced."""
    if not text.isascii():
        text = _SURROGATES.sub("\ufffd", text)
    if len(text) <= limit:
        return text
    return f"{text[: limit - 10]}…~{crc32(text.encode()):08x}"


def _cut(text: str | None) -> str | None:
    return None if text is None else cut(text)


def _canonical(seen: Seen) -> str:
    import json

    return json.dumps(seen)


def _seen(dump: DumpReport, fingerprint: str) -> Seen:
    worst: dict[str, Severity] = {}
    told: dict[tuple[str, Severity], Told] = {}
    for finding in dump.findings:  # worst first
        if finding.group is not None:
            worst.setdefault(finding.group, finding.severity)
        line = finding.evidence[0].line if finding.evidence else dump.line
        known = told.setdefault((finding.id, finding.severity), Told(finding.id, finding.severity, 0, line))
        told[finding.id, finding.severity] = known._replace(threads=known.threads + finding.threads)
    stuck: dict[Signature, Stuck] = {}
    for group in dump.groups:
        severity = worst.get(group.id)
        if group.kind not in QUIET or (severity is not None and severity not in MILD):
            _count(stuck, _signature(dump.family, group), group, severity)
    ordered = sorted(stuck.values(), key=lambda each: (_rank(each.severity), -each.threads, _text(each.signature)))
    more = ordered[STUCK_KEPT:]
    return Seen(
        fingerprint=fingerprint,
        service=_cut(dump.service),
        instance=_cut(dump.instance),
        host=_cut(dump.host),
        pid=dump.pid,
        source=cut(dump.source),
        member=_cut(dump.member),
        line=dump.line,
        taken_at=_cut(dump.taken_at),
        format=dump.format,
        runtime=Runtime(dump.family, _cut(dump.runtime_name), _cut(dump.version)),
        threads=dump.total,
        by_kind=tuple(sorted(dump.by_kind.items())),
        incomplete=bool(dump.truncated or dump.problems or dump.unread_lines),
        stuck=tuple(ordered[:STUCK_KEPT]),
        more_groups=len(more),
        more_threads=sum(each.threads for each in more),
        told=tuple(told[key] for key in sorted(told)),
    )


def _count(stuck: dict[Signature, Stuck], signature: Signature, group: Group, severity: Severity | None) -> None:
    """Groups that differ in their lock alone have one signature."""
    peers = Counter({cut(endpoint.address): endpoint.threads for endpoint in group.endpoints})
    known = stuck.get(signature)
    line = group.lines[0] if group.lines else 0
    if known is not None:
        peers += Counter(dict(known.peers))
        severity = min((severity, known.severity), key=_rank)
        line = min(line, known.line)
    most = sorted(peers.items(), key=lambda item: (-item[1], item[0]))[:PEERS_KEPT]
    threads = group.count + (known.threads if known is not None else 0)
    stuck[signature] = Stuck(signature, threads, line, severity, tuple(most))


def _signature(family: str, group: Group) -> Signature:
    return Signature(
        family,
        group.kind,
        group.phase,
        _library(group.integration),
        _library(group.pool),
        _cut(group.caller),
        _cut(group.blocking_frame),
        group.timed,
    )


def _library(used: Integration | None) -> Library | None:
    return None if used is None else Library(cut(used.id), cut(used.name), _cut(used.system))


def _example(finding: Finding) -> Example:
    steps = (tuple(map(cut, finding.advice[:3])), tuple(map(cut, finding.recovery[:2])))
    return Example(-finding.threads, cut(finding.title), cut(finding.detail, 1000), *steps)


def _rank(severity: Severity | None) -> int:
    return len(SEVERITIES) if severity is None else SEVERITIES.index(severity)


def _text(signature: Signature) -> str:
    """A fixed order of signatures: None has a place in it as well."""
    return "\0".join(map(repr, signature))


# --- what it says


class Place(NamedTuple):
    """A dump that shows something, and where in it."""

    instance: str
    source: str
    member: str | None
    line: int
    taken_at: str | None
    threads: int


@dataclass(slots=True)
class Spread:
    """Something that was seen in several dumps: how far it reaches, and since when."""

    dumps: int
    instances: int
    threads: int
    most: int
    """Threads in one dump."""
    median: float
    first: Place | None
    """None where no dump that shows it tells its time."""
    last: Place | None
    examples: list[Place]


@dataclass(slots=True)
class SignatureSpread:
    """A signature over the fleet."""

    signature: Signature
    severity: Severity | None
    spread: Spread
    peers: list[tuple[str, int]]
    """Addresses with the threads that wait for them, most first."""


@dataclass(slots=True)
class FindingSpread:
    """A finding over the fleet."""

    id: str
    severity: Severity
    spread: Spread
    example: Example | None


class Fleet:
    """What a summary says; each value is worked out once, when it is first asked for."""

    def __init__(self, summary: Summary) -> None:
        self.summary = summary

    @cached_property
    def dumps(self) -> list[Seen]:
        """By time. Equal content is one dump, unless two replicas of different names say it."""
        by_content: dict[str, list[Seen]] = defaultdict(list)
        for (fingerprint, _), seen in self.summary.seen.items():
            by_content[fingerprint].append(seen)
        kept = []
        for alike in by_content.values():
            named = [seen for seen in alike if any(seen.names)]
            kept += named or alike
        return sorted(kept, key=lambda seen: (seen.order, seen.fingerprint))

    @cached_property
    def duplicates(self) -> int:
        return self.summary.times.total() - len(self.dumps)

    @cached_property
    def instances(self) -> int:
        return len({seen.process for seen in self.dumps})

    @cached_property
    def threads(self) -> int:
        return sum(seen.threads for seen in self.dumps)

    @cached_property
    def incomplete(self) -> int:
        return sum(seen.incomplete for seen in self.dumps)

    @cached_property
    def timed(self) -> list[Seen]:
        """The dumps that tell when they were taken, by that time."""
        return [seen for seen in self.dumps if seconds(seen.taken_at) is not None]

    @cached_property
    def threads_by_kind(self) -> dict[str, int]:
        kinds: Counter[str] = Counter()
        for seen in self.dumps:
            kinds.update(dict(seen.by_kind))
        return dict(sorted(kinds.items(), key=lambda item: (-item[1], item[0])))

    @cached_property
    def dumps_by_kind(self) -> dict[str, int]:
        """Dumps in which at least one thread is of the kind."""
        kinds = Counter(kind for seen in self.dumps for kind, _ in seen.by_kind)
        return dict(sorted(kinds.items(), key=lambda item: (-item[1], item[0])))

    @cached_property
    def runtimes(self) -> list[tuple[Runtime, str, int]]:
        """Runtime, format of its dumps, and their number."""
        counts = Counter((seen.runtime, seen.format) for seen in self.dumps)
        ordered = sorted(counts.items(), key=lambda item: (-item[1], repr(item[0])))
        return [(runtime, form, count) for (runtime, form), count in ordered]

    @cached_property
    def signatures(self) -> list[SignatureSpread]:
        """The most severe first, then those with the most instances and threads."""
        found: dict[Signature, list[tuple[Seen, Stuck]]] = defaultdict(list)
        for seen in self.dumps:
            for stuck in seen.stuck:
                found[stuck.signature].append((seen, stuck))
        spreads = []
        for signature, where in found.items():
            severity = min((stuck.severity for _, stuck in where), key=_rank)
            peers: Counter[str] = Counter()
            for _, stuck in where:
                peers.update(dict(stuck.peers))
            most = sorted(peers.items(), key=lambda item: (-item[1], item[0]))
            spread = _spread((seen, stuck.threads, stuck.line) for seen, stuck in where)
            spreads.append(SignatureSpread(signature, severity, spread, most))
        return sorted(
            spreads,
            key=lambda each: (
                _rank(each.severity),
                -each.spread.instances,
                -each.spread.threads,
                _text(each.signature),
            ),
        )

    @cached_property
    def findings(self) -> list[FindingSpread]:
        """The most severe first, then those of the most instances."""
        found: dict[tuple[str, Severity], list[tuple[Seen, int, int]]] = defaultdict(list)
        for seen in self.dumps:
            for told in seen.told:
                found[told.id, told.severity].append((seen, told.threads, told.line))
        spreads = [FindingSpread(*key, _spread(where), self.summary.examples.get(key)) for key, where in found.items()]
        return sorted(
            spreads,
            key=lambda each: (_rank(each.severity), -each.spread.instances, -each.spread.threads, each.id),
        )

    @cached_property
    def unlisted(self) -> tuple[int, int, int]:
        """Of the signatures beyond the cap: in how many dumps, groups and threads."""
        cut_short = [seen for seen in self.dumps if seen.more_groups]
        groups = sum(seen.more_groups for seen in cut_short)
        return len(cut_short), groups, sum(seen.more_threads for seen in cut_short)


def _spread(where: Iterable[tuple[Seen, int, int]]) -> Spread:
    """Of dumps in their order, each with threads and the line of the first of them."""
    found = list(where)
    counts = [threads for _, threads, _ in found]
    timed = [each for each in found if seconds(each[0].taken_at) is not None]
    return Spread(
        dumps=len(found),
        instances=len({seen.process for seen, _, _ in found}),
        threads=sum(counts),
        most=max(counts),
        median=median(counts),
        first=_place(*timed[0]) if timed else None,
        last=_place(*timed[-1]) if timed else None,
        examples=[_place(*each) for each in _one_each(found)],
    )


def _one_each(found: Iterable[tuple[Seen, int, int]]) -> Iterator[tuple[Seen, int, int]]:
    """The first few, of an instance each."""
    told: set[object] = set()
    for each in found:
        if each[0].process not in told:
            told.add(each[0].process)
            yield each
        if len(told) == EXAMPLES:
            return


def _place(seen: Seen, threads: int, line: int) -> Place:
    return Place(seen.label, seen.source, seen.member, line, seen.taken_at, threads)
