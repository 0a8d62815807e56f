"""Many threads in the same code: what they all compute, and the one place where different ways meet."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from threaddump.classify import Verdict
from threaddump.findings.calls import hot_calls
from threaddump.findings.facts import KIND_WORDS, Facts, of_crew, short
from threaddump.findings.stalls import stalls
from threaddump.groups import integration
from threaddump.report import Finding, Severity

ALIKE = 5
"""Threads that run the same code before it is told."""
ROADS = 3
"""Ways that have to lead to a place before it is called shared."""
MEETING = 10
"""Threads that have to meet there."""
ANYWHERE = frozenset({"external-call", "io", "running"})
"""Kinds in which threads may meet; other waits count for request threads alone: elsewhere they are often a rest."""
IN_A_REQUEST = frozenset({"sync-wait"})
MANY_PEERS = frozenset(
    {"http", "http2", "soap", "websocket", "tcp", "udp", "tls", "dns", "unix-socket", "rmi", "corba", "grpc", "thrift"}
    | {"hessian", "dubbo", "client-io", "client-request-body", "client-response", "server-request-body"}
)
"""Systems of clients that call anything: different callers mostly have different peers there."""


def hot_code(facts: Facts) -> Iterable[Finding]:
    """Many threads run in the same method of the application: that is where the CPU goes."""
    for severity, place, threads in _hot_places(facts):
        yield _hot_code(facts, severity, place, threads)


@lru_cache(maxsize=1)
def _hot_places(facts: Facts) -> list[tuple[Severity, str, list[int]]]:
    places: dict[str, list[int]] = defaultdict(list)
    for index, verdict in enumerate(facts.verdicts):
        if verdict.kind == "running" and verdict.caller is not None:
            places[verdict.caller].append(index)
    found = []
    for place, threads in places.items():
        severity = _severity(facts, threads)
        if len(threads) >= ALIKE and severity is not None:
            found.append((severity, place, threads))
    return found


def _severity(facts: Facts, threads: Sequence[int]) -> Severity | None:
    share, _ = facts.share(threads)
    if len(threads) >= 20 and facts.takes_most(threads):
        return "high"
    if len(threads) >= MEETING and share >= 0.3:
        return "medium"
    return "low" if share >= 0.2 else None


def _hot_code(facts: Facts, severity: Severity, place: str, threads: list[int]) -> Finding:
    tops = Counter(short(facts.verdicts[index].blocking_frame) for index in threads)
    inside = ", ".join(f"{name} ({count})" for name, count in tops.most_common(3))
    measured = [t for t in map(facts.dump.threads.__getitem__, threads) if t.cpu_ms is not None and t.elapsed_s]
    cpu = ""
    if measured:
        used, alive = sum(t.cpu_ms or 0 for t in measured) / 1000, sum(t.elapsed_s or 0 for t in measured)
        cpu = f" They have used {used:,.1f} s of CPU in {alive:,.0f} s of thread time."
    one = " Python code runs on one core at a time: the others wait for it." if facts.dump.family == "python" else ""
    return facts.finding(
        "hot-code",
        severity,
        f"{of_crew(threads, facts.crew(threads))} run in the same code: {short(place)}",
        f"On top of their stacks: {inside}.{cpu}{one} More threads than cores only share them.",
        threads,
        [
            f"look at what {short(place)} computes, and with which input: a profiler shows the lines",
            "one dump is one moment: take three, seconds apart, and see whether the place stays the same",
        ],
        group=facts.groups[facts.group_of[threads[0]]].id,
    )


@dataclass(slots=True)
class _Place:
    """A method or a library, the threads that are inside of it, and how they came and went on."""

    name: str
    depth: int
    """The least number of application's frames above it."""
    threads: list[int] = field(default_factory=list)
    ways_in: set[str | None] = field(default_factory=set)
    ways_on: set[str | None] = field(default_factory=set)


def shared_bottleneck(facts: Facts) -> Iterable[Finding]:
    """Different stacks meet in one method or one library: what is behind it is shared, and short.

    A place with as many ways on as ways in is a wrapper (a transaction, a retry), and no bottleneck. Threads of which
    another rule tells what they wait for are left out.
    """
    told = {index for call in hot_calls(facts) for index in call.threads}
    told.update(index for severity, _, threads in _hot_places(facts) if severity != "low" for index in threads)
    told.update(index for stalled in stalls(facts) for index in stalled.threads)
    told.update(facts.waits.graph.owner_of, facts.waits.graph.convoy_of)
    told.update(index for pool in facts.waits.pools for index in pool.waiters)
    alike: dict[int, list[int]] = defaultdict(list)
    for index, verdict in enumerate(facts.verdicts):
        kinds = ANYWHERE | IN_A_REQUEST if index in facts.request_threads else ANYWHERE
        if index not in told and verdict.kind in kinds:
            alike[id(verdict)].append(index)
    places: dict[str, _Place] = {}
    for threads in alike.values():
        for name, depth, way_in, way_on in _passed(facts, facts.verdicts[threads[0]]):
            place = places.setdefault(name, _Place(short(name), depth))
            place.depth = min(place.depth, depth)
            place.threads += threads
            place.ways_in.add(way_in)
            place.ways_on.add(way_on)
    met = [p for p in places.values() if len(p.threads) >= MEETING and len(p.ways_in) >= ROADS]
    taken: set[int] = set()
    for place in sorted(met, key=lambda place: (-len(place.threads), place.depth)):
        severity = _severity(facts, place.threads)
        wrapper = len(place.ways_on) > 1 and 2 * len(place.ways_on) > len(place.ways_in)
        if not wrapper and severity in {"high", "medium"} and taken.isdisjoint(place.threads):
            taken.update(place.threads)
            yield _meeting(facts, severity, place)


def _passed(facts: Facts, verdict: Verdict) -> Iterable[tuple[str, int, str | None, str | None]]:
    """Each method and the library a thread is in: name, frames above it, who called it, what it called."""
    seen = set()
    used = integration(verdict, facts.dump.family) if verdict.kind == "external-call" else None
    if used is not None and used.system not in MANY_PEERS:
        yield used.name, -1, verdict.caller, None
    frames = verdict.app_frames
    for depth, frame in enumerate(frames[:-1]):  # the outermost frame is where a thread begins: all ways lead there
        if frame not in seen:
            seen.add(frame)
            yield frame, depth, frames[depth + 1], frames[depth - 1] if depth else verdict.blocking_frame


def _meeting(facts: Facts, severity: Severity, place: _Place) -> Finding:
    threads = sorted(place.threads)
    kinds = Counter(facts.verdicts[index].kind for index in threads)
    doing = ", ".join(f"{count} {KIND_WORDS[kind]}" for kind, count in kinds.most_common(2))
    callers = sorted({short(way) for way in place.ways_in if way})
    named = ", ".join(callers[:3]) + (f" and {len(callers) - 3} more" if len(callers) > 3 else "")
    return facts.finding(
        "shared-bottleneck",
        severity,
        f"{of_crew(threads, facts.crew(threads))} meet in {place.name}, on {len(place.ways_in)} different ways",
        f"{doing[0].upper()}{doing[1:]}. They come from {named}: it is no fault of one caller, what is behind "
        f"{place.name} is shared by all, and slow or short.",
        threads,
        [
            f"look at {place.name} and at what it uses: a relief there helps all of its callers",
            "see that a wait there is bounded: a timeout for calls, a limit for how many may be inside",
        ],
        group=facts.groups[facts.group_of[threads[0]]].id,
    )
