"""All threads that could serve are taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from threaddump.findings.facts import Crew, Facts
from threaddump.report import Finding

CREW_SIZE = 8
"""Smaller crews are full too often to mean anything."""
STUCK = frozenset({"external-call", "pool-wait", "lock-wait", "queue-put", "io"})
LOW_CPU = 0.2
"""Share of one core per thread since it was started, below which a crew does not compute."""


def request_threads_saturated(facts: Facts) -> Iterable[Finding]:
    """No thread of a crew is free and nearly all of them wait: more CPU would change nothing."""
    for crew in facts.crews:
        kinds = Counter(facts.verdicts[index].kind for index in crew.members)
        stuck = sum(kinds[kind] for kind in STUCK) + (kinds["sync-wait"] if crew.request else 0)
        if len(crew.members) < CREW_SIZE or kinds["idle"] > len(crew.members) * 0.02 or stuck < len(crew.members) * 0.9:
            continue
        yield _saturated(facts, crew, kinds, stuck)


def _saturated(facts: Facts, crew: Crew, kinds: Counter[str], stuck: int) -> Finding:
    size = len(crew.members)
    label = "request threads" if crew.request else f"{crew.label}* threads"
    parts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    threads = [index for index in crew.members if facts.verdicts[index].kind in STUCK | {"sync-wait"}]
    return facts.finding(
        "request-threads-saturated" if crew.request else "thread-pool-saturated",
        "high",
        f"all {size} {label} are taken and {stuck} of them wait: not a CPU problem",
        f"{parts}. {_cpu(facts, crew, kinds['running'])} New work queues in front of this process.",
        threads,
        [
            "do not add threads or CPU: cut at the call or lock these threads wait for",
            "a restart brings the same picture back as soon as the requests do",
        ],
    )


def _cpu(facts: Facts, crew: Crew, running: int) -> str:
    threads = [facts.dump.threads[index] for index in crew.members]
    measured = [(t.cpu_ms, t.elapsed_s) for t in threads if t.cpu_ms is not None and t.elapsed_s]
    if len(measured) < len(threads) / 2:
        return f"{running} of them run; the dump has no CPU times."
    used = sum(cpu for cpu, _ in measured) / 1000
    alive = sum(elapsed for _, elapsed in measured)
    share = used / alive
    low = "low" if share < LOW_CPU else "not low"
    return f"CPU is {low}: {used:.3g} s used in {alive:.3g} s of thread time."
