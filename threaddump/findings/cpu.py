"""What takes the CPU, where the dump has times (HotSpot since 11 prints ``cpu=`` and ``elapsed=``)."""

from __future__ import annotations

from collections.abc import Iterable

from threaddump.findings.facts import Facts, short
from threaddump.report import Finding

BUSY = 0.8
"""Share of one core since the thread was started, from which on it spins or computes without pause."""
LONG_ENOUGH_S = 30
"""Threads younger than that may just be starting."""
USUAL = {
    "jvm.hashmap.loop": "a HashMap that is changed without a lock can become a loop for its readers: ConcurrentHashMap",
    "jvm.regex": "a regular expression that backtracks may take for ever: bound the input, or rewrite nested repeats",
}
"""What a thread mostly suffers from that never leaves one of these entries of the catalog."""
GC_SHARE = 0.3
"""Share of all CPU time of the process that garbage collection may take before it is told."""
GC_LEAST_S = 10
GC_NAMES = (
    "GC Thread#",
    "GC task thread#",
    "G1 ",
    "ParGC",
    "Concurrent Mark-Sweep",
    "Gang worker#",
    "ZGC",
    "Shenandoah",
)


def busy_thread(facts: Facts) -> Iterable[Finding]:
    """A thread has run for nearly all of its life: an endless loop, or work that never pauses."""
    threads = [
        index
        for index, thread in enumerate(facts.dump.threads)
        if facts.verdicts[index].kind == "running"
        and thread.cpu_ms is not None
        and thread.elapsed_s is not None
        and thread.elapsed_s >= LONG_ENOUGH_S
        and thread.cpu_ms >= BUSY * 1000 * thread.elapsed_s
    ]
    if not threads:
        return
    first = facts.verdicts[threads[0]]
    thread = facts.dump.threads[threads[0]]
    share = (thread.cpu_ms or 0) / 10 / (thread.elapsed_s or 1)
    many = len(threads) != 1
    known = dict.fromkeys(v.entry.id for index in threads if (v := facts.verdicts[index]).entry is not None)
    yield facts.finding(
        "busy-thread",
        "medium" if many else "low",
        f"{len(threads)} thread{'s have' if many else ' has'} run without pause since the start",
        f'"{thread.label}" used {share:.0f} % of a core for {thread.elapsed_s:,.0f} s; '
        f"it is in {short(first.blocking_frame)}. One dump cannot tell an endless loop from steady work.",
        threads,
        [
            "take two more dumps, ten seconds apart: the same frames with more cpu= are a loop",
            *(USUAL[entry] for entry in known if entry in USUAL),
        ],
    )


def collector_busy(facts: Facts) -> Iterable[Finding]:
    """Garbage collection takes much of all CPU time: the heap is nearly full, or garbage is made too fast."""
    used = {index: thread.cpu_ms / 1000 for index, thread in enumerate(facts.dump.threads) if thread.cpu_ms is not None}
    collecting = [index for index in used if facts.dump.threads[index].name.startswith(GC_NAMES)]
    seconds, total = sum(used[index] for index in collecting), sum(used.values())
    if seconds < GC_LEAST_S or seconds < GC_SHARE * total:
        return
    yield facts.finding(
        "gc-busy",
        "medium",
        f"garbage collection took {seconds / total:.0%} of the CPU time of all threads",
        f"{seconds:,.0f} of {total:,.0f} s since the start, in {len(collecting)} threads.",
        collecting,
        ["look at the heap: jcmd PID GC.heap_info, jstat -gcutil PID 1s; one that stays full is too small, or leaks"],
    )
