"""The input itself: what is missing from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from threaddump.findings.facts import Crew, Facts, short
from threaddump.report import Evidence, Finding

CREW_SIZE = 8
"""Smaller crews are full too often to mean anything."""
NEARLY_ALL = 0.9


def truncated_input(facts: Facts) -> Iterable[Finding]:
    """Threads or frames are missing: counts and shares are lower bounds."""
    dump = facts.dump
    if not dump.truncated:
        return
    missing, again = "others are missing", "take the dump again and save it whole"
    if dump.format == "faulthandler":
        again = "faulthandler prints 100 threads and 100 frames at most: take py-spy dump --pid PID instead"
    if dump.format == "hotspot-sa" and any(thread.truncated for thread in dump.threads):
        missing, again = "their Java frames are not", "take it again without --mixed: jhsdb jstack --locks --pid PID"
    yield Finding(
        id="truncated-input",
        severity="medium",
        title=f"the dump is not complete: {len(dump.threads)} threads are here, {missing}",
        detail=f"{'; '.join(dump.truncated)}. Counts are lower bounds, and shares may be wrong.",
        threads=0,
        thread_names=[],
        evidence=[Evidence(None, dump.end_line or dump.line, dump.truncated[0])],
        advice=[again],
        recovery=[],
    )


def in_c_calls(facts: Facts) -> list[int]:
    """Python threads whose innermost frame is the application's, at a line that calls C code, or computes."""
    if facts.dump.family != "python":
        return []
    keys = facts.classifier.key
    return [
        index
        for index, (thread, verdict) in enumerate(zip(facts.dump.threads, facts.verdicts, strict=True))
        if verdict.kind == "unknown"
        and not thread.virtual  # a task or a greenlet stands in Python code: what it awaits is no call into C
        and verdict.app_frames
        and keys(thread.stack[0]) == verdict.app_frames[0]
    ]


def _taken(crew: Crew, threads: Sequence[int]) -> bool:
    """Whether nearly all of a crew of some size are among these threads."""
    size = len(crew.members)
    return size >= CREW_SIZE and len({*crew.members}.intersection(threads)) >= size * NEARLY_ALL


def c_call_kind_unknown(facts: Facts) -> Iterable[Finding]:
    """Python threads stand in C calls that no frame names: they may wait for a lock, for a peer, or compute."""
    if facts.dump.profile is not None:
        return  # a profile does not tell what runs from what waits
    threads = [index for index in in_c_calls(facts) if index not in facts.waits.graph.convoy_of]
    if not threads:
        return
    full = next((crew for crew in facts.crews if crew.request and _taken(crew, threads)), None)
    places = Counter(short(facts.verdicts[index].caller) for index in threads)
    where = ", ".join(f"{place} ({count})" for place, count in places.most_common(3))
    one = len(threads) == 1
    all_of = ""
    if full is not None:
        nearly = "nearly " * (not {*full.members}.issubset(threads))
        all_of = f" Whatever it is, it takes {nearly}all {full.words}."
    yield facts.finding(
        "c-call-kind-unknown",
        "medium" if full is not None else "info",
        f"{len(threads)} thread{' is' if one else 's are'} in {'a call' if one else 'calls'} whose kind this dump "
        "does not show",
        f"At {where}{', and others' if len(places) > 3 else ''}. A call into C leaves no frame of its own: a lock, a "
        f"driver of a database, a sleep and a computation look the same.{all_of}",
        threads,
        [
            "the C frames, which tell: py-spy dump --native --pid PID",
            "or let the source tell: threaddump analyze --source-root DIR FILE",
        ],
        group=facts.groups[facts.group_of[threads[0]]].id,
    )


def profile_input(facts: Facts) -> Iterable[Finding]:
    """The input sums up many moments: what stands for a thread is what it did most of the time."""
    dump = facts.dump
    if dump.profile is None:
        return
    yield Finding(
        id="profile-input",
        severity="info",
        title=f"this is a profile and no dump of one moment: {dump.profile}",
        detail="What a thread did most of the time stands for it. Profilers leave out threads that wait, unless told "
        "otherwise: threads that are stuck may be missing.",
        threads=0,
        thread_names=[],
        evidence=[Evidence(None, dump.line, dump.profile)],
        advice=[
            "for what threads wait for, take a dump: py-spy dump --pid PID, or record with --idle --threads",
        ]
        if dump.family == "python"
        else ["for what threads wait for, take a thread dump of the process"],
        recovery=[],
    )
