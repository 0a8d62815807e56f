"""Why a thread got its kind: ``threaddump explain --thread NAME dump.txt``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from threaddump.catalog import Entry
from threaddump.classify import ANY_WAIT, CLASS_INIT, FUTURES, WANTS_GIL, is_class_init, is_unnamed_class, weight
from threaddump.explain.find import LISTED, thread_words
from threaddump.explain.layout import LABEL, Answer, labelled, paragraph
from threaddump.explain.trace import Trace, trace
from threaddump.findings import run
from threaddump.findings.facts import Facts
from threaddump.groups import integration, lock_id
from threaddump.report import Severity, span_words
from threaddump.reports import words
from threaddump.reports.text import Line, Segment, clean, hang, plural
from threaddump.waits.owners import INITIALISER, owner_basis
from threaddump_parsers.model import Dump, Frame, Lock, Thread

if TYPE_CHECKING:
    from threaddump.rules import Rules

Severities = Mapping[str, Severity | None] | None
"""The user's own, by finding id."""
FRAMES = 60
"""Frames of a stack that are shown in any case; further down only those that bear a mark, and the outermost."""
OUTERMOST = 5
_MARK = 18
"""Cells before a frame: its number, and whose it is."""
_WAITS = {"external-call", "pool-wait", "lock-wait", "sync-wait", "queue-put"}


def thread_answer(
    dump: Dump, index: int, source: str, rules: Rules | None = None, source_roots: tuple[str, ...] = ()
) -> Answer:
    """Why this thread got its kind, under the user's rules."""
    classifier = rules.classifier(dump.family) if rules is not None else None
    severities = rules.severities if rules is not None else None
    return partial(_thread_lines, trace(dump, index, classifier, source_roots), source, severities=severities)


def _thread_lines(told: Trace, source: str, width: int, severities: Severities = None) -> Iterator[Line]:
    yield from _head_lines(told, source, width)
    yield []
    yield from _verdict_lines(told, width)
    yield []
    yield from _stack_lines(told, width)
    if told.by_frames:
        yield []
        yield from _candidate_lines(told, width)
    yield []
    yield from _wait_lines(told, width, severities)


def _head_lines(told: Trace, source: str, width: int) -> Iterator[Line]:
    thread, dump = told.thread, told.dump
    # The whole name, however long: it may be the one that was asked for.
    name = f'"{clean(thread.name)}"' if thread.name else thread_words(thread).rpartition(" line ")[0]
    yield from hang([], [(name, "thread"), (f" line {thread.line} of {clean(source)}", "")], width, 0)
    runtime = " ".join(clean(part, 80) for part in (dump.runtime, dump.version) if part)
    facts = [
        runtime or dump.family,
        clean(dump.taken_at or "", 60),
        _VIRTUAL.get(dump.format, "a virtual thread") if thread.virtual else "",
    ]
    yield from hang([], [(" · ".join(filter(None, facts)), "dim")], width, 0)


def _verdict_lines(told: Trace, width: int) -> Iterator[Line]:
    thread, verdict = told.thread, told.verdict
    timed = words.timeout_words(verdict.kind, verdict.phase, verdict.timed)
    said = [words.kind_words(verdict.kind), words.phase_words(verdict.kind, verdict.phase), timed]
    yield [("VERDICT", "heading"), ("  ", ""), (", ".join(part for part in said if part), "strong")]
    yield from labelled("because", _because(told), width)
    if verdict.inferred:
        yield from labelled("inferred", clean(verdict.inferred.removeprefix("inferred ")), width)
    used = integration(verdict, told.dump.family)
    if used is not None:
        system = f", {used.system}" if used.system else ""
        yield from labelled("library", f"{clean(used.name)}{system}", width)
    yield from labelled("caller", clean(verdict.caller) if verdict.caller else "no frame of the application", width)
    if verdict.kind in _WAITS or verdict.timed_reason:
        has = {True: "yes", False: "none", None: "not known"}[verdict.timed]
        yield from labelled(
            "timeout", has + (f": {clean(verdict.timed_reason)}" if verdict.timed_reason else ""), width
        )
    yield from labelled("state", _state_words(told), width)
    if thread.cpu_ms is not None:
        alive = f" in {thread.elapsed_s:,.0f} s" if thread.elapsed_s is not None else ""
        yield from labelled("cpu", f"{thread.cpu_ms / 1000:,.3f} s{alive}", width)
    for label, locks in (
        ("wants", [thread.blocked_on]),
        ("waits on", [thread.waiting_on]),
        ("released", thread.wait_released),
        ("holds", [held.lock for held in thread.holds]),
    ):
        shown = [_lock_words(lock) for lock in dict.fromkeys(locks) if lock is not None]
        if shown:
            more = f", {len(shown) - LISTED} more" if len(shown) > LISTED else ""
            yield from labelled(label, ", ".join(shown[:LISTED]) + more, width)
    if verdict.entry is not None and verdict.entry.note:
        yield from labelled("note", [(verdict.entry.note, "dim")], width)


def _lock_words(lock: Lock) -> str:
    if is_unnamed_class(lock):
        return "the initialisation of a class, which this JVM does not name"
    if (lock.id or "").startswith(CLASS_INIT):
        return f"the initialisation of class {clean(lock.class_name, 200)}"
    return clean(str(lock), 200)


def _because(told: Trace) -> str:
    """What decided on the kind."""
    thread, verdict = told.thread, told.verdict
    if not told.by_frames or (verdict.entry is None and verdict.kind == "runtime"):
        if thread.carries is not None:
            return "it carries a virtual thread: what it does is that thread's work"
        if thread.internal:
            return "a thread of the virtual machine itself"
        names = [name for name in told.classifier.catalog.thread_names.find(thread.name) if name.role == "runtime"]
        if names:
            return f"its name is known: {names[0].label}"
        if thread.state in {"NEW", "TERMINATED"} or verdict.kind == "running":
            return f"its state is {thread.state}"
        return "the dump shows no frame of it"
    if told.blocked:
        why = "it waits for a class to be initialised" if _initialising(thread) else "its state is BLOCKED"
        named = f", which entry {verdict.entry.id} describes" if verdict.entry and told.winner else ""
        return f"{why}: it cannot enter its top frame{named}"
    if verdict.entry is None and verdict.kind == "running" and WANTS_GIL.search(thread.printed_state or ""):
        return f"{clean(thread.printed_state or '', 80)}: it is ready to run"
    if told.winner is None and verdict.kind == "sleep":
        return f"its state is {clean(thread.printed_state or '', 80)}"
    if verdict.inferred in FUTURES.values():
        return "the dump prints what kind of future it waits for"
    if verdict.entry is None and thread.awaits and verdict.kind == "sync-wait":
        return "it awaits other tasks"
    if told.winner is None or verdict.entry is None:
        state = told.state or "not known"
        return f"no entry explains its frames, so the state alone decides ({state})"
    index, entry = told.winner
    because = f"entry {entry.id} won, with priority {weight(entry)} at frame {index}"
    if verdict.kind != entry.kind:
        because += f". It is for {words.kind_words(entry.kind or 'unknown')} threads, but above it there is work"
    elif entry.role == "primitive":
        because += ": the call that blocks"
    return because


def _initialising(thread: Thread) -> bool:
    return thread.blocked_on is not None and is_class_init(thread.blocked_on)


def _state_words(told: Trace) -> str:
    thread = told.thread
    printed = clean(thread.printed_state or thread.state or "not printed", 100)
    if told.state == thread.state or not told.by_frames:
        return printed
    if told.blocked:
        return f"{printed}, read as BLOCKED: it waits for a class's initialisation"
    if told.state == ANY_WAIT:
        return f"{printed}: a wait with or without a timeout, this dump does not tell which"
    if thread.carrier is not None:
        return f"{printed}, read as RUNNABLE: it is mounted on {clean(thread.carrier, 100)}"
    return f"{printed}, not used: this dump calls threads that wait active, too"


def _stack_lines(told: Trace, width: int) -> Iterator[Line]:
    stack = told.stack
    left = len(told.thread.stack) - len(stack)
    without = f", without {plural(left, 'C function')}" if left else ""
    yield [("STACK", "heading"), (f"  {plural(len(stack), 'frame')}, the innermost first{without}", "dim")]
    if not stack:
        return
    hidden = 0
    for index, frame in enumerate(stack):
        if FRAMES <= index < len(stack) - OUTERMOST and index not in {told.caller, told.blocking, told.zone}:
            hidden += 1
            continue
        if hidden:
            yield [(f"  ... {plural(hidden, 'more frame')}", "dim")]
            hidden = 0
        if told.by_frames and index == told.zone and not told.blocked:
            yield from rule(_end_of_zone(told), width)
        yield from _frame_lines(told, index, frame, width)
        if told.by_frames and told.blocked and index == 0:
            yield from rule("BLOCKED: only the frame above can be the cause", width)
    if told.by_frames and told.zone >= len(stack) and not told.blocked:
        yield from rule("the zone is the whole stack: no frame is the application's", width)


def _end_of_zone(told: Trace) -> str:
    if told.winner is not None and told.winner[0] == told.zone:
        return "the zone ends here, but for a class of the application's own that an entry knows by its name"
    if not told.zone:
        return "no zone: the innermost frame is the application's, so the frames explain no wait"
    return "the zone ends here: what is below are callers, which explain no wait"


def rule(text: str, width: int) -> Iterator[Line]:
    yield from hang([("  ── ", "tree")], [(text, "dim")], width, 5)


def _frame_lines(told: Trace, index: int, frame: Frame, width: int) -> Iterator[Line]:
    marked = index in {told.blocking, told.caller}
    head: Line = [(f"{index:>4} ", "count" if marked else "dim"), (f"{told.owner_of_frame(index):<13}", "dim")]
    line = f":{frame.line}" if frame.line is not None and told.dump.family == "python" else ""
    body: list[Segment] = [(clean(told.keys[index]) + line, "frame" if marked else "")]
    yield from hang(head, body, width, _MARK)
    notes = []
    if index == told.blocking:
        notes.append("blocking frame")
    if index == told.caller:
        notes.append("caller")
    locks = [_lock_words(held.lock) for held in told.thread.holds if held.depth == told.depths[index]]
    notes += [f"took {lock}" for lock in dict.fromkeys(locks)]
    segments: list[Segment] = [(", ".join(notes), "strong")] if notes else []
    if told.matched[index]:
        ids = ", ".join(entry.id for entry in told.matched[index])
        segments.append((f"{'; ' if notes else ''}matches {ids}", "dim"))
    if segments:
        yield from hang([("", "")], [("^ ", "dim"), *segments], width, _MARK)


def _candidate_lines(told: Trace, width: int) -> Iterator[Line]:
    losers = list(told.losers())
    yield [("CANDIDATES", "heading"), ("  entries that match a frame", "dim")]
    if told.winner is not None:
        index, entry = told.winner
        yield from _candidate("won", index, entry, told.verdict.kind, width)
    elif told.blocked and told.verdict.entry is not None:
        yield from labelled(
            "won", [(told.verdict.entry.id, "strong"), (", by the state, whatever the frame", "")], width
        )
    elif not losers:
        yield from paragraph("none", width)
    for index, entry, reason in losers:
        yield from _candidate("lost", index, entry, entry.kind or "unknown", width)
        yield from hang([("", "")], [(clean(reason, 600), "dim")], width, LABEL)


def _candidate(word: str, index: int, entry: Entry, kind: str, width: int) -> Iterator[Line]:
    text = f", {words.kind_words(kind)}, priority {entry.priority}, frame {index}"
    yield from labelled(word, [(entry.id, "strong"), (text, "")], width)


def _wait_lines(told: Trace, width: int, severities: Severities) -> Iterator[Line]:
    yield [("WAITS", "heading")]
    yield from labelled("for", _waits_for(told), width)
    for deadlock in told.facts.waits.deadlocks:
        if (told.thread.label, told.thread.line) in zip(deadlock.threads, deadlock.lines, strict=False):
            yield from labelled("deadlock", f"it is in a cycle of {plural(len(deadlock.threads), 'thread')}", width)
    yield from labelled("behind it", _behind(told), width)
    unique = sum(thread.label == told.thread.label for thread in told.dump.threads) == 1
    for finding in run(told.facts, severities):
        cited = any((place.thread, place.line) == (told.thread.label, told.thread.line) for place in finding.evidence)
        if cited or (unique and told.thread.label in finding.thread_names):
            yield from labelled("finding", [(finding.id, "strong"), (f" ({finding.severity})", "")], width)


def _waits_for(told: Trace) -> list[Segment]:
    """The thread or threads that it waits for, how that is known, or why nobody is named."""
    facts, graph, index = told.facts, told.facts.waits.graph, told.index
    convoy = graph.convoy_of.get(index)
    owner = graph.owner_of.get(index)
    if owner is not None:
        entered = told.thread.blocked_on
        reason = convoy.reason if convoy is not None else None
        if reason is None and entered is not None and owner_basis(entered) == "inferred":
            reason = INITIALISER
        how = f" (inferred: {clean(reason, 400)})" if reason else " (printed by the runtime)"
        return [(_who(facts, owner), "thread"), (f", {_doing(facts, owner)}{how}", "")]
    pool = next((pool for pool in graph.pools if index in pool.waiters), None)
    if pool is not None and pool.holders:
        count = plural(len(pool.holders), "thread")
        first = pool.holders[0]
        how = "made" if pool.making else "held"
        text = f"a slot, probably {how} by {count} (inferred: {clean(pool.reason, 400)}); one of them: "
        return [(text, ""), (_who(facts, first), "thread"), (f", {_doing(facts, first)}", "")]
    if pool is not None:
        return [("a slot; no thread of this dump is seen to hold one", "")]
    if convoy is not None:
        return [(f"an owner that is not known: {clean(convoy.reason, 400)}", "")]
    awaited = graph.awaits.get(index, ())
    if awaited:
        names = ", ".join(_who(facts, task) for task in awaited[:3])
        more = f" and {len(awaited) - 3} more" if len(awaited) > 3 else ""
        return [(f"the end{'s' if len(awaited) > 1 else ''} of {names}{more}", "")]
    wanted = lock_id(told.thread)
    lock = next((lock for lock in facts.waits.locks if wanted is not None and lock.id == wanted), None)
    if lock is not None and lock.owner is None and lock.owner_unknown:
        return [(f"an owner that is not known: {clean(lock.owner_unknown, 400)}", "")]
    call = told.thread.call
    if call is not None and call.peer is not None:
        age = f", silent for {span_words(call.waiting_ms)}" if call.waiting_ms is not None else ""
        state = clean(call.state or "in an unknown state", 20)
        return [(clean(call.peer, 100), "strong"), (f", as the kernel told: {state}{age}", "")]
    return [(_WAITS_FOR.get(told.verdict.kind, "nobody that the dump names"), "")]


_VIRTUAL = {"asyncio": "a task", "gevent": "a greenlet", "profiling-sampling": "a task"}
"""What an entry that is no thread of the operating system is, by format."""
_WAITS_FOR = {
    "external-call": "another process; the dump does not say which",
    "io": "the file system or a pipe",
    "sleep": "the time to pass",
    "idle": "work to do",
    "running": "nobody",
    "runtime": "nobody: it serves the runtime",
}


def _who(facts: Facts, index: int) -> str:
    return thread_words(facts.dump.threads[index])


def _doing(facts: Facts, index: int) -> str:
    verdict = facts.verdicts[index]
    place = verdict.caller or verdict.blocking_frame
    return words.kind_words(verdict.kind) + (f" in {clean(place, 300)}" if place else "")


def _behind(told: Trace) -> str:
    graph, index = told.facts.waits.graph, told.index
    behind = graph.behind([index])
    if not behind:
        return "no thread"
    parts = []
    direct = graph.waiters.get(index, ())
    if direct:
        inferred = any(i in graph.convoy_of or _initialising(told.dump.threads[i]) for i in direct)
        parts.append(f"{len(direct)} for a lock that it {'probably owns (inferred)' if inferred else 'owns'}")
    for number in graph.slots.get(index, ()):
        pool = graph.pools[number]
        many = f"one of the {len(pool.holders)} probable holders" if len(pool.holders) > 1 else "the probable holder"
        parts.append(f"{len(pool.waiters)} for a slot of a pool, of which it is {many} (inferred)")
    further = len(behind) - len({*direct, *(w for n in graph.slots.get(index, ()) for w in graph.pools[n].waiters)})
    if further > 0:
        parts.append(f"{further} behind those")
    return f"{plural(len(behind), 'thread')}: {', '.join(parts)}"
