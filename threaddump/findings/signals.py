"""Waits for what another thread has to do: arrive, count down, notify, give a permit back. Nobody may ever do it.

A dump names none of these threads. Whoever is at work in the code of the same classes is told as a candidate.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from threaddump.findings.executors import FUTURES
from threaddump.findings.facts import KIND_WORDS, Facts, home, infinite_by_default, knobs, of_crew, short
from threaddump.groups import integration, lock_id
from threaddump.report import Finding, Severity
from threaddump.waits.convoys import is_parked_main

PARTIES = ("latch", "barrier", "phaser", "exchanger")
"""Systems of the entries of waits for other parties, called like the object."""
JAM = 3
"""Threads at one of these before it is told."""
TIMED: dict[bool | None, str] = {True: ", with a timeout", False: ", without a timeout", None: ""}
NOTIFIED = frozenset({"jvm.sync.object-wait", "jvm.sync.condition", "py.cond.wait"})
"""Entries of a wait in the application's own code until it is notified."""

RESULTS = FUTURES | {"jvm.sync.guava-cache"}
"""Entries of a wait for what another thread makes: the result of a task, or the value that it loads into a cache."""


def at_work(facts: Facts, waiters: Sequence[int]) -> list[int]:
    """Threads that do something in the classes in which the others wait: one of them may end the wait.

    Those in the very methods in which the others wait, if there are any: they are past that place, or before it.
    """
    classes = {home(verdict.caller) for index in waiters if (verdict := facts.verdicts[index]).caller}
    methods = {verdict.app_frames[0] for index in waiters if (verdict := facts.verdicts[index]).app_frames}
    waiting = {facts.group_of[index] for index in waiters}
    found = []
    for index, verdict in enumerate(facts.verdicts):
        if verdict.kind in {"idle", "runtime"} or facts.group_of[index] in waiting or is_parked_main(verdict):
            continue
        if any(home(frame) in classes for frame in verdict.app_frames):
            found.append(index)
    return [index for index in found if not methods.isdisjoint(facts.verdicts[index].app_frames)] or found


def named(facts: Facts, threads: Sequence[int]) -> str:
    """The first few of these threads, with what each is doing."""
    words = [
        f'"{facts.dump.threads[i].label}" ({KIND_WORDS[v.kind]} in {short(v.caller or v.blocking_frame)})'
        for i in threads[:3]
        for v in [facts.verdicts[i]]
    ]
    return ", ".join(words) + (f" and {len(threads) - 3} more" if len(threads) > 3 else "")


def latch_wait(facts: Facts) -> Iterable[Finding]:
    """Several threads wait at one latch, barrier, phaser or exchanger for somebody who has not come yet."""
    for system in PARTIES:
        for threads in _at_one_object(facts, system):
            if len(threads) >= JAM:
                yield _latch(facts, system, threads)


def _at_one_object(facts: Facts, system: str) -> list[list[int]]:
    """Threads that wait in this kind of object: by the object, or by the place where each parks on one of its own.

    A phaser parks each thread on a node, and Python prints no objects.
    """
    waiting = [
        index
        for index, verdict in enumerate(facts.verdicts)
        if verdict.kind == "sync-wait" and verdict.entry is not None and verdict.entry.system == system
    ]
    ids = Counter(lock_id(facts.dump.threads[index]) for index in waiting)
    found: dict[object, list[int]] = defaultdict(list)
    for index in waiting:
        verdict, id = facts.verdicts[index], lock_id(facts.dump.threads[index])
        shared = id is not None and ids[id] > 1
        found[id if shared else (verdict.blocking_frame, verdict.caller)].append(index)
    return list(found.values())


def _latch(facts: Facts, what: str, threads: list[int]) -> Finding:
    first = facts.verdicts[threads[0]]
    others = at_work(facts, threads)
    timed = all(facts.verdicts[index].timed for index in threads)
    share, crew = facts.share(threads)
    severity: Severity = "medium" if len(threads) >= 5 and share >= 0.25 and not others and not timed else "low"
    words = TIMED[first.timed] if len({facts.verdicts[index].timed for index in threads}) == 1 else ""
    who = (
        f"At work in the same classes, and perhaps the one they wait for: {named(facts, others)}."
        if others
        else "No thread of this dump is at work in the same classes: the party that is missing has failed, was never "
        "started, or works elsewhere."
    )
    return facts.finding(
        "latch-wait",
        severity,
        f"{of_crew(threads, crew)} wait at one {what} in {short(first.caller or first.blocking_frame)}{words}",
        f"They go on only when others count down or arrive, and no dump tells who that should be. {who}",
        threads,
        [
            "look for an error of the missing party in the log: count down or arrive in a finally block",
            "bound the wait (await with a timeout), and say in the error who did not come",
        ],
        group=facts.groups[facts.group_of[threads[0]]].id,
    )


def missed_notify(facts: Facts) -> Iterable[Finding]:
    """A request waits in the application's own code to be notified, without a timeout, and nobody is near to do it.

    Only of threads that serve a request: elsewhere that is how a worker waits for its next job.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for index, verdict in enumerate(facts.verdicts):
        entry = verdict.entry
        if verdict.request and verdict.timed is False and entry is not None and entry.id in NOTIFIED:
            if verdict.kind == "sync-wait" and verdict.caller is not None:
                places[verdict.caller].append(index)
    for place, threads in places.items():
        if at_work(facts, threads):
            continue
        share, crew = facts.share(threads)
        one = len(threads) == 1
        yield facts.finding(
            "missed-notify",
            "medium" if len(threads) >= 10 and share >= 0.3 else "low",
            f"{of_crew(threads, crew)} {'waits' if one else 'wait'} to be notified in {short(place)}, without a "
            "timeout",
            "No other thread is at work in that class. If the notification came before the wait began, or its sender "
            "has failed, the wait never ends.",
            threads,
            [
                "wait in a loop that checks the condition under the same lock, and change it before notifyAll",
                "give the wait a timeout, and answer the request with an error when it ends",
            ],
            group=facts.groups[facts.group_of[threads[0]]].id,
        )


def permit_wait(facts: Facts) -> Iterable[Finding]:
    """Threads wait for a permit of a semaphore: all are taken, or some were never given back."""
    for threads in _at_one_object(facts, "semaphore"):
        severity = _breadth(facts, threads)
        if severity is not None:
            yield _permit(facts, severity, threads)


def _breadth(facts: Facts, threads: Sequence[int]) -> Severity | None:
    """By count and share; what has a timeout ends by itself, and is never more than of medium."""
    if len(threads) < JAM:
        return None
    share, _ = facts.share(threads)
    timed = all(facts.verdicts[index].timed for index in threads)
    if len(threads) >= 20 and share >= 0.3 and not timed:
        return "high"
    if len(threads) >= 10 or (len(threads) >= 5 and share >= 0.25):
        return "medium"
    return "low"


def _permit(facts: Facts, severity: Severity, threads: list[int]) -> Finding:
    first = facts.verdicts[threads[0]]
    place = short(first.caller or first.blocking_frame)
    holders = at_work(facts, threads)
    words = TIMED[first.timed] if len({facts.verdicts[index].timed for index in threads}) == 1 else ""
    who = (
        f"The permits are probably held by threads that are at work in the same classes (inferred): "
        f"{named(facts, holders)}."
        if holders
        else "No thread is at work in the same classes: permits that were never given back (a leak) look like this."
    )
    return facts.finding(
        "permit-wait",
        severity,
        f"{of_crew(threads, facts.crew(threads))} wait for a permit of a semaphore in {place}{words}",
        f"A semaphore records no owner, and often limits calls (a bulkhead, a rate). {who}",
        threads,
        [
            *["the cure is at those who hold the permits: more permits only move the queue"] * bool(holders),
            "release the permit in a finally block, and only where it was acquired",
            *["wait for a permit with a timeout, and refuse the work when it ends"] * (words != ", with a timeout"),
        ],
        group=facts.groups[facts.group_of[threads[0]]].id,
    )


def result_wait(facts: Facts) -> Iterable[Finding]:
    """Requests wait for a future at one place. No dump tells who sets it: a worker, or a loop when a peer answers."""
    places: dict[str, list[int]] = defaultdict(list)
    for index in sorted(facts.request_threads):
        verdict = facts.verdicts[index]
        if verdict.kind == "sync-wait" and verdict.entry is not None and verdict.entry.id in RESULTS:
            places[verdict.caller or verdict.blocking_frame or ""].append(index)
    for place, threads in places.items():
        severity = _breadth(facts, threads)
        if severity is not None:
            yield _result(facts, severity, place, threads)


def _result(facts: Facts, severity: Severity, place: str, threads: list[int]) -> Finding:
    words = TIMED[facts.verdicts[threads[0]].timed]
    if len({facts.verdicts[index].timed for index in threads}) > 1:
        words = ""
    others = at_work(facts, threads)
    calling = [i for i, v in enumerate(facts.verdicts) if v.kind == "external-call" and not v.app_frames]
    loops = _loops(facts)
    advice = []
    if others:
        who = f"At work in the same classes, and perhaps on these results: {named(facts, others)}."
        advice.append("the cure is at those who make the results, not at those who wait")
    elif calling:
        who = f"In calls with no application code below, and perhaps for these results: {named(facts, calling)}."
        advice.append("look at the service that these calls go to first")
    elif loops:
        who = (
            "No thread is seen to work on them: probably they are set when a peer answers (inferred). Clients whose "
            f"own threads wait for such answers here: {', '.join(loops)}."
        )
    else:
        who = "No thread is seen to work on them: the task waits in a queue, has failed, or runs elsewhere."
    for name, profile in loops.items() if not others else ():
        options = knobs(profile, ("request", "read"))
        if options and infinite_by_default(profile, ("request", "read")):
            advice.append(f"bound the calls of {name}: {options[0]}")
    if words != TIMED[True]:
        advice.append(
            "bound the wait (get with a timeout, orTimeout), and answer the request with an error when it ends"
        )
    return facts.finding(
        "result-wait",
        severity,
        f"{of_crew(threads, facts.crew(threads))} wait for a result in {short(place)}{words}",
        f"They go on when the future is completed. {who}",
        threads,
        advice,
        group=facts.groups[facts.group_of[threads[0]]].id,
    )


def _loops(facts: Facts) -> dict[str, dict[str, Any]]:
    """Client libraries whose own threads are at rest here, and their profiles: these answer calls that nobody is in."""
    found = {}
    for verdict in dict.fromkeys(facts.verdicts):
        used = integration(verdict, facts.dump.family) if verdict.kind == "idle" else None
        profile = facts.profile(used)
        if used is not None and used.system != "server" and knobs(profile, ("request", "read")):
            found[used.name] = profile
    return found
