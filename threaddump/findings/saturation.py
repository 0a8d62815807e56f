"""All threads that could serve are taken."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from threaddump.findings.completeness import CREW_SIZE, NEARLY_ALL, in_c_calls
from threaddump.findings.facts import KIND_WORDS, Crew, Facts, place_words
from threaddump.findings.runtime import stacks
from threaddump.findings.signals import at_work, named
from threaddump.groups import QUIET
from threaddump.report import Finding

STUCK = frozenset({"external-call", "pool-wait", "lock-wait", "queue-put", "io"})


@dataclass(slots=True, frozen=True)
class Server:
    """A server that runs requests on threads: when these are all it has, and what is to say about that."""

    full_from: int
    """Threads from which on it is full when none is free."""
    words: str


ANYIO_LIMIT = 40
"""AnyIO starts a worker for each call until there are this many, unless its limiter has another number of tokens."""
SERVERS = {
    "anyio": Server(
        ANYIO_LIMIT,
        "AnyIO lets 40 calls run at once (its limiter's tokens): further synchronous endpoints wait without a thread.",
    ),
    "cheroot": Server(2, "cheroot starts all of its threads at once and has no more (numthreads, default 10)."),
    "waitress": Server(2, "waitress starts all of its threads at once and has no more (threads, default 4)."),
}
GUNICORN_THREADS = re.compile(r"gunicorn.* --threads[= ](\d{1,6})\b")
"""A command line of gunicorn that says how many threads a worker may start."""
GUNICORN = "gunicorn/workers/gthread.py:"
"""How the keys of the frames of its threads begin: they have the names of any executor's."""
WAITS_FOR_THREADS = frozenset({"lock-wait", "pool-wait", "sync-wait"})
"""Kinds whose cause is what other threads do."""
LOW_CPU = 0.2
"""Share of one core per thread since it was started, below which a crew does not compute."""


def request_threads_saturated(facts: Facts) -> Iterable[Finding]:
    """No thread of a crew is free and nearly all of them wait: more CPU would change nothing."""
    if facts.on_demand:
        return  # the next request gets a goroutine of its own
    graph = facts.waits.graph
    # Who waits behind an idle owner queues for its place (accept, poll): free as the owner is.
    followers = graph.behind(index for index in graph.waiters if facts.verdicts[index].kind in QUIET)
    off_cpu = {index for index in in_c_calls(facts) if facts.dump.threads[index].state == "IDLE"}
    for crew in facts.crews:
        if 2 * sum(index in followers for index in crew.members) > len(crew.members):
            continue
        kinds = Counter(facts.verdicts[index].kind for index in crew.members)
        stuck = sum(kinds[kind] for kind in STUCK)
        if crew.request:
            stuck += kinds["sync-wait"] + kinds["sleep"] + len(off_cpu.intersection(crew.members))
        server = _server(facts, crew)
        if len(crew.members) < _full_from(crew, server):
            continue  # small, or a pool that may still grow
        if kinds["idle"] > len(crew.members) * 0.02 or stuck < len(crew.members) * NEARLY_ALL:
            continue
        yield _saturated(facts, crew, kinds, stuck, server, off_cpu)


def _full_from(crew: Crew, server: Server | None) -> int:
    """The number of threads from which on a crew without a free one is full."""
    if crew.pool is not None and crew.pool.size is not None:
        return max(CREW_SIZE, crew.capacity)
    return server.full_from if server is not None else CREW_SIZE


def _gunicorn(command: str | None) -> Server | None:
    """gunicorn starts threads as they are needed: how many it may start is known where its command line says so."""
    told = GUNICORN_THREADS.search(command or "")
    if told is None:
        return None
    return Server(max(2, int(told[1])), f"gunicorn may start {told[1]} threads (--threads), and has no more.")


def _server(facts: Facts, crew: Crew) -> Server | None:
    """The server whose threads most of a crew are, where it is known how many these may become."""
    if not crew.request:
        return None
    find = facts.classifier.catalog.thread_names.find
    gunicorn = {
        index
        for shared in stacks(facts)
        if any(key.startswith(GUNICORN) for key in shared.keys)
        for index in shared.threads
    }
    counts = Counter(
        "gunicorn" if index in gunicorn else next((names.id for names in find(facts.dump.threads[index].name)), "")
        for index in crew.members
    )
    name, count = counts.most_common(1)[0]
    if 2 * count <= len(crew.members):
        return None
    return _gunicorn(facts.dump.command) if name == "gunicorn" else SERVERS.get(name)


def _saturated(
    facts: Facts, crew: Crew, kinds: Counter[str], stuck: int, server: Server | None, off_cpu: Collection[int]
) -> Finding:
    size = len(crew.members)
    label = f"{crew.words}{crew.size_words}"
    who = f"all {size} {label} wait" if stuck == size else f"{stuck} of {size} {label} wait"
    parts = ", ".join(f"{count} {KIND_WORDS.get(kind, kind)}" for kind, count in kinds.most_common())
    waiting = STUCK | {"sync-wait", "sleep"}
    threads = [index for index in crew.members if facts.verdicts[index].kind in waiting or index in off_cpu]
    cut = facts.cut(threads)
    used, words = _cpu(facts, crew, kinds["running"])
    title = who if kinds["idle"] else f"{who} and none is free"
    return facts.finding(
        "request-threads-saturated" if crew.request else "thread-pool-saturated",
        "high" if size >= CREW_SIZE else "medium",
        f"{title}: not a CPU problem" if used is None or used < LOW_CPU else title,
        f"{parts[0].upper()}{parts[1:]}. {words}{f' {server.words}' if server else ''} New work queues "
        "in front of the process.",
        threads,
        [
            f"do not add threads or CPU: {_root(facts, threads)}",
            *["a restart brings the same picture back as soon as the requests do"] * (cut is None or not cut.cycle),
        ],
    )


def _root(facts: Facts, threads: Sequence[int]) -> str:
    """Where to begin: what most of the threads wait for in the end, or else the place where most of them are stuck."""
    cut = facts.cut(threads)
    if cut is not None:
        return f"begin at the root, {cut.words}"
    places: dict[tuple[str, str | None], list[int]] = defaultdict(list)
    for index in threads:
        verdict = facts.verdicts[index]
        places[verdict.kind, verdict.caller or verdict.blocking_frame].append(index)
    (kind, where), found = max(places.items(), key=lambda place: len(place[1]))
    if kind in WAITS_FOR_THREADS:
        if kind == "pool-wait":
            throttled = facts.verdicts[found[0]].phase == "throttle"
            return "raise the rate, or refuse the work" if throttled else "find who holds the slots of the pool"
        others = at_work(facts, found) if kind == "sync-wait" else []
        if not others:
            return "cut at the call or lock these threads wait for"
        return f"begin with those that may let them go on, {named(facts, others)}"
    return f"begin at {place_words(facts.names(found), kind, where)}"


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
