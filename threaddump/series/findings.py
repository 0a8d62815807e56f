"""What several dumps of one process show that no single one does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from threaddump.findings.facts import KIND_WORDS, short, short_class
from threaddump.report import Evidence, Finding, Series, Severity, StuckThread, span_words

MANY = 10
SHARE = 0.2
"""Of the threads that were compared: so many stuck ones are a standstill."""
GROWN = 10
GROWN_SHARE = 0.2
WAITERS = 3
_EVIDENCE = 3


def over_time(series: Series) -> Iterable[Finding]:
    """All findings on a series, worst first within a kind."""
    yield from _stuck(series)
    yield from _spinning(series)
    yield from _locks(series)
    yield from _growing(series)


def _stuck(series: Series) -> Iterable[Finding]:
    """Threads that stand still, by the place they stand in; those behind a stuck owner are told with it."""
    places: dict[tuple[str, str | None, str | None], list[StuckThread]] = defaultdict(list)
    for thread in series.stuck:
        if thread.behind is None:
            places[thread.kind, thread.blocking_frame, thread.caller].append(thread)
    for (kind, blocking_frame, caller), threads in sorted(places.items(), key=lambda item: -len(item[1])):
        names = {thread.thread for thread in threads}
        behind = [thread for thread in series.stuck if thread.behind in names]
        yield finding(
            "stuck-threads",
            _severity(series, [*threads, *behind]),
            f"{_threads(threads)} stuck for {_span(threads)}: {KIND_WORDS.get(kind, kind)} in "
            f"{short(caller or blocking_frame)}",
            f"In {_dumps(threads)} dumps in a row they stood in the same place{_idle_words(threads)}."
            + _behind_words(behind),
            [*threads, *behind],
            _advice(kind),
        )
    alone = [thread for thread in series.stuck if thread.behind is not None]
    alone = [thread for thread in alone if thread.behind not in {each.thread for each in series.stuck}]
    by_owner: dict[str, list[StuckThread]] = defaultdict(list)
    for thread in alone:
        by_owner[thread.behind or ""].append(thread)
    for owner, threads in by_owner.items():
        yield finding(
            "stuck-threads",
            _severity(series, threads),
            f'{_threads(threads)} stuck for {_span(threads)} behind "{owner}"',
            f"In {_dumps(threads)} dumps in a row they waited for a lock that it owns, while it went on.",
            threads,
            [f'what "{owner}" does with the lock takes too long: see the stacks of it in each dump'],
        )


def _advice(kind: str) -> list[str]:
    first = {
        "external-call": "look at the service they call: it has not answered all that time; set a timeout for the call",
        "pool-wait": "find who holds the slots: the chains of the last dump say so; give the lease a timeout",
        "lock-wait": "find the owner of the lock: the chains of the last dump name it, or what would show it",
        "queue-put": "look at what takes from the queue",
        "io": "look at the disk or file system: iostat -x 1, dmesg; does df hang?",
    }.get(kind, "see their stacks in the last dump")
    return [first, "a thread that is stuck in a call cannot be ended safely: restart the component, or this process"]


def _behind_words(behind: Sequence[StuckThread]) -> str:
    if not behind:
        return ""
    owners = sorted({thread.behind or "" for thread in behind})
    return f" {len(behind)} more wait for locks of {', '.join(f'{chr(34)}{owner}{chr(34)}' for owner in owners[:3])}."


def _idle_words(threads: Sequence[StuckThread]) -> str:
    used = [thread.cpu_ms for thread in threads if thread.cpu_ms is not None]
    if not used:
        return "; these dumps have no CPU times, so work of the same kind may have come and gone"
    return f" and used {sum(used):.0f} ms of CPU together" if sum(used) >= 1 else " and used no CPU"


def _severity(series: Series, threads: Sequence[StuckThread]) -> Severity:
    compared = len(series.stuck) + len(series.spinning) + series.progressing + series.resting
    request = sum(thread.request for thread in threads)
    if len(threads) >= MANY and len(threads) >= SHARE * compared:
        return "critical" if 2 * request >= compared else "high"
    return "medium" if len(threads) >= WAITERS or request else "low"


def _spinning(series: Series) -> Iterable[Finding]:
    for thread in series.spinning:
        where = short(thread.caller or thread.blocking_frame)
        share = 100 * (thread.cpu_ms or 0) / 1000 / (thread.span_s or 1)
        yield finding(
            "spinning-threads",
            "medium",
            f'"{thread.thread}" has been running in {where} for {_span([thread])}',
            f"In {thread.dumps} dumps in a row it ran in the same place, and used {share:.0f} % of a processor: a loop "
            "that does not end, or a very long computation.",
            [thread],
            ["profile it: py-spy top, async-profiler, or perf; a HashMap that several threads write to is a classic"],
        )


def _locks(series: Series) -> Iterable[Finding]:
    stuck = {thread.thread for thread in series.stuck}
    for lock in series.locks:
        if min(lock.waiters) < WAITERS:
            continue
        counts = ", ".join(map(str, lock.waiters))
        if lock.convoy:
            yield finding(
                "lock-convoy",
                "medium",
                f"{short_class(lock.class_name)} changes hands and always has a queue: {counts} threads wait",
                f"Its owners were {', '.join(map(str, lock.owners))}: each holds it for a short time, and more want it "
                "than can have it.",
                [],
                ["hold it for less, split what it guards, or use one that does not block readers"],
            )
        elif lock.permanent and lock.owners[0] not in stuck:
            yield finding(
                "permanent-owner",
                "high" if min(lock.waiters) >= MANY else "medium",
                f'"{lock.owners[0]}" owns {short_class(lock.class_name)} in every dump: {counts} threads wait',
                "It is the owner each time and not stuck: it works on under the lock, or takes it again at once.",
                [],
                ["do less under the lock, or let others have it between two rounds (a fair lock, a pause)"],
            )


def _growing(series: Series) -> Iterable[Finding]:
    for name, counts in series.growth.items():
        grown = counts[-1] - counts[0]
        steady = all(before <= after for before, after in pairwise(counts))
        if len(counts) < 3 or not steady or grown < max(GROWN, GROWN_SHARE * counts[0]):
            continue
        yield finding(
            "threads-growing",
            "medium",
            f"{name}* threads become more with each dump: {', '.join(map(str, counts))}",
            "Threads that are made and never end use up memory and, in the end, the limit of the process.",
            [],
            ["find who makes them: an executor for each request, or one without a bound"],
        )


def _threads(threads: Sequence[StuckThread]) -> str:
    return f'"{threads[0].thread}" is' if len(threads) == 1 else f"{len(threads)} threads are"


def _span(threads: Sequence[StuckThread]) -> str:
    spans = [thread.span_s for thread in threads if thread.span_s is not None]
    return f"{span_words(1000 * max(spans))} at least" if spans else f"{_dumps(threads)} dumps"


def _dumps(threads: Sequence[StuckThread]) -> int:
    return min(thread.dumps for thread in threads)


def finding(
    rule: str, severity: Severity, title: str, detail: str, threads: Sequence[StuckThread], advice: list[str]
) -> Finding:
    return Finding(
        id=rule,
        severity=severity,
        title=title,
        detail=detail,
        threads=len(threads),
        thread_names=[thread.thread for thread in threads],
        evidence=[Evidence(thread.thread, thread.line, "in the last dump") for thread in threads[:_EVIDENCE]],
        advice=advice,
        recovery=[],
    )
