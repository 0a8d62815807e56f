"""How many threads there are, whatever they do."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from threaddump.findings.facts import Facts, of_crew, short
from threaddump.findings.runtime import threads_with
from threaddump.report import Finding

MANY, VERY_MANY = 2_000, 5_000
BLOATED = 500
POOLS = 50
UNNAMED = 200
LEAKED = 10
FIRST_WORKER = re.compile(r"pool-\d+-thread-1|ThreadPoolExecutor-\d+_0")
"""The first thread of an executor to which nobody gave a name."""
STARTING = frozenset({"java.lang.Thread.start0", "java.lang.Thread.start", "threading.py:start"})
"""Frames of a thread that starts another; in CPython it waits for the new one's first step."""
STARTERS = 3
UNNAMED_THREAD = re.compile(r"(Thread|Timer)-\d+(?: \(.*\))?")


def too_many_threads(facts: Facts) -> Iterable[Finding]:
    """Thousands of platform threads: each costs a stack and a place in the scheduler's queues."""
    if facts.on_demand:
        return  # thousands of goroutines are usual
    threads = [i for i, thread in enumerate(facts.dump.threads) if not thread.virtual and not thread.internal]
    if len(threads) <= MANY:
        return
    names = Counter(facts.crew_names[index] for index in threads)
    most = ", ".join(f"{name}* ({count:,})" for name, count in names.most_common(4) if name)
    yield facts.finding(
        "too-many-threads",
        "medium" if len(threads) > VERY_MANY else "low",
        f"{len(threads):,} platform threads in one process",
        f"Most of them: {most}." if most else "Their names tell no pool.",
        threads,
        [
            "find the pool without a bound and bound it; a thread that waits costs memory (its stack), not CPU",
            "compare the count with an hour ago: a count that only grows is a leak",
        ],
    )


def pool_bloat(facts: Facts) -> Iterable[Finding]:
    """One pool is more than half of all threads, and most of it idles: its bound is too high, or it has none."""
    teams: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(facts.crew_names):
        if name and facts.verdicts[index].kind != "runtime":
            teams[name].append(index)
    for name, team in teams.items():
        idle = sum(facts.verdicts[index].kind == "idle" for index in team)
        if len(team) > BLOATED and 2 * len(team) > len(facts.dump.threads) and 2 * idle > len(team):
            yield facts.finding(
                "pool-bloat",
                "low",
                f"{idle:,} of {len(team):,} {name}* threads are idle",
                f"The pool is {len(team) / len(facts.dump.threads):.0%} of all threads of the process.",
                team,
                ["lower the pool's maximum, or let idle threads end (a keep-alive time also for core threads)"],
            )


def threads_per_request(facts: Facts) -> Iterable[Finding]:
    """Dozens of executors with default names, or hundreds of bare threads: one is made per request and never ended."""
    names = [thread.name for thread in facts.dump.threads]
    pools = [index for index, name in enumerate(names) if FIRST_WORKER.fullmatch(name)]
    if len({names[index] for index in pools}) > POOLS:
        yield facts.finding(
            "threads-per-request",
            "low",
            f"{len(pools)} executors with default names (like {names[pools[0]]}) are alive",
            "Probably one is created for each request or job and never shut down (inferred from the names).",
            pools,
            [
                "create the executor once and share it, or close it in a finally (try-with-resources, with)",
                "name the threads with a ThreadFactory (thread_name_prefix), and the next dump shows who creates them",
            ],
        )
    bare: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        match = UNNAMED_THREAD.fullmatch(name)
        # A server that starts a thread for each request does so by design, and ends it.
        if match is not None and index not in facts.request_threads:
            bare[match[1]].append(index)
    for kind, threads in bare.items():
        if len(threads) > UNNAMED:
            yield facts.finding(
                "threads-per-request",
                "low",
                f"{len(threads)} threads have the default name {kind}-N",
                "Probably one is started for each request or job and does not end (inferred from the names).",
                threads,
                [
                    "cancel a Timer that is no longer needed, and share one scheduler"
                    if kind == "Timer"
                    else "hand the work to one bounded pool instead of starting a thread for it",
                ],
            )


def thread_creation(facts: Facts) -> Iterable[Finding]:
    """Several threads are just starting another one: that takes microseconds, unless it is done all the time."""
    threads = threads_with(facts, lambda keys: not STARTING.isdisjoint(keys))
    if len(threads) < STARTERS:
        return
    share, crew = facts.share(threads)
    callers = Counter(short(facts.verdicts[index].caller) for index in threads)
    where = ", ".join(f"{caller} ({count})" for caller, count in callers.most_common(3))
    yield facts.finding(
        "thread-creation",
        "medium" if len(threads) >= 10 and share >= 0.3 else "low",
        f"{of_crew(threads, crew)} are starting new threads",
        f"In {where}. To start a thread takes a moment and memory; seen so often at once, it is done for each request "
        "or job, or the system is slow to give more.",
        threads,
        [
            "hand the work to a pool with a bound instead of starting a thread for it",
            "see the limits of the system: ulimit -u, pids.max of the container, free memory for stacks",
        ],
        group=facts.groups[facts.group_of[threads[0]]].id,
    )


def goroutines_leaked(facts: Facts) -> Iterable[Finding]:
    """Go 1.26 and later: the garbage collector has proven that nothing can wake these goroutines."""
    threads = [index for index, thread in enumerate(facts.dump.threads) if thread.leaked]
    if not threads:
        return
    places = Counter(short(facts.verdicts[i].caller or facts.verdicts[i].blocking_frame) for i in threads)
    where = ", ".join(f"{place} ({count})" for place, count in places.most_common(3))
    one = len(threads) == 1
    yield facts.finding(
        "goroutines-leaked",
        "medium" if len(threads) >= LEAKED else "low",
        f"{len(threads):,} goroutine{'s are' if not one else ' is'} leaked: nothing can wake {'it' if one else 'them'}",
        f"The runtime has found that what {'it waits' if one else 'they wait'} for cannot be reached any more. Where: "
        f"{where}{', and others' if len(places) > 3 else ''}.",
        threads,
        [
            "give the other side a way out: a context, a channel with room for the answer, or a close in a defer",
            "memory and connections that they hold are freed by a restart of the process only",
        ],
        group=facts.groups[facts.group_of[threads[0]]].id,
    )
