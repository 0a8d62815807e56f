"""All threads that could serve are taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from threaddump.findings.facts import KIND_WORDS, Crew, Facts
from threaddump.groups import QUIET
from threaddump.report import Finding

CREW_SIZE = 8
"""Smaller crews are full too often to mean anything."""
STUCK = frozenset({"external-call", "pool-wait", "lock-wait", "queue-put", "io"})
LOW_CPU = 0.2
"""Share of one core per thread since it was started, below which a crew does not compute."""


def request_threads_saturated(facts: Facts) -> Iterable[Finding]:
    """No thread of a crew is free and nearly all of them wait: more CPU would change nothing."""
    graph = facts.waits.graph
    # Who waits behind an idle owner queues for its place (accept, poll): free as the owner is.
    followers = graph.behind(index for index in graph.waiters if facts.verdicts[index].kind in QUIET)
    for crew in facts.crews:
        if 2 * sum(index in followers for index in crew.members) > len(crew.members):
            continue
        kinds = Counter(facts.verdicts[index].kind for index in crew.members)
        stuck = sum(kinds[kind] for kind in STUCK) + (kinds["sync-wait"] if crew.request else 0)
        if len(crew.members) < max(CREW_SIZE, crew.capacity):
            continue  # small, or a pool that may still grow
        if kinds["idle"] > len(crew.members) * 0.02 or stuck < len(crew.members) * 0.9:
            continue
        yield _saturated(facts, crew, kinds, stuck)


def _saturated(facts: Facts, crew: Crew, kinds: Counter[str], stuck: int) -> Finding:
    size = len(crew.members)
    label = f"{crew.words}{crew.size_words}"
    who = f"all {size} {label} wait" if stuck == size else f"{stuck} of {size} {label} wait"
    parts = ", ".join(f"{count} {KIND_WORDS.get(kind, kind)}" for kind, count in kinds.most_common())
    threads = [index for index in crew.members if facts.verdicts[index].kind in STUCK | {"sync-wait"}]
    used, words = _cpu(facts, crew, kinds["running"])
    title = who if kinds["idle"] else f"{who} and none is free"
    return facts.finding(
        "request-threads-saturated" if crew.request else "thread-pool-saturated",
        "high",
        f"{title}: not a CPU problem" if used is None or used < LOW_CPU else title,
        f"{parts[0].upper()}{parts[1:]}. {words} New work queues in front of the process.",
        threads,
        [
            "do not add threads or CPU: cut at the call or lock these threads wait for",
            "a restart brings the same picture back as soon as the requests do",
        ],
    )


def _cpu(facts: Facts, crew: Crew, running: int) -> tuple[float | None, str]:
    """The share of a core that each thread used since its start, if the dump has it, and a sentence about it."""
    threads = [facts.dump.threads[index] for index in crew.members]
    measured = [(t.cpu_ms, t.elapsed_s) for t in threads if t.cpu_ms is not None and t.elapsed_s]
    if len(measured) < len(threads) / 2:
        times = [thread.cpu_ms for thread in threads if thread.cpu_ms is not None]
        cpu = f"together they used {sum(times) / 1000:,.1f} s of CPU" if times else "the dump has no CPU times"
        return None, f"{running} of them run{'s' * (running == 1)}; {cpu}."
    used = sum(cpu for cpu, _ in measured) / 1000
    alive = sum(elapsed for _, elapsed in measured)
    low = "low" if used < LOW_CPU * alive else "not low"
    return used / alive, f"CPU is {low}: {used:,.1f} s used in {alive:,.0f} s of thread time."
