"""What ``watch`` shows: a screen that is drawn anew for each look, or in a pipe one line a look."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from threaddump.capture import Target
from threaddump.report import span_words
from threaddump.reports import words
from threaddump.reports.text import Line, cells, clean, clip, hang, plural
from threaddump.reports.words import Phrases
from threaddump.watching.conditions import Trigger
from threaddump.watching.observe import Busy, Observation

_GROUPS = 10
_INDENT = 23
"""Cells before the place of a group: its count and kind."""
_BUSY = 8


def one_line(target: Target, observation: Observation, clock: str) -> str:
    """The look in a line for a pipe: time, threads, what they do, the longest busy one, the worst finding."""
    report = observation.report
    counts = ", ".join(
        f"{count} {words.kind_words(kind)}" for kind in words.KINDS if (count := report.by_kind.get(kind))
    )
    parts = [f"{clock} {clean(target.name, 60)} {target.pid}", plural(report.total, "thread"), counts]
    if observation.busy:
        parts.append(f"{len(observation.busy)} busy for up to {span_words(1000 * observation.busy[0].seconds)}")
    if observation.cpu_percent is not None:
        parts.append(f"cpu {observation.cpu_percent:.0f} %")
    worst = next(iter(words.findings_of(report)), None)
    if worst is not None and not words.is_calm(report):
        parts.append(f"{worst.severity.upper()} {clean(worst.title)}")
    return " · ".join(parts)


def screen(
    target: Target, observation: Observation, trigger: Trigger | None, cost: str, clock: str, width: int
) -> Iterator[Line]:
    """The lines of the screen, none wider than ``width``."""
    report = observation.report
    cpu = "" if observation.cpu_percent is None else f" · cpu {observation.cpu_percent:.0f} %"
    head = f"{clean(target.name, 60)} · pid {target.pid} · {words.runtime_words(report)} · {clock}"
    yield [(clip(head, width), "title")]
    threads = f"{plural(report.total, 'thread')}, {report.request_threads} of them request threads"
    yield [(clip(f"{threads}{cpu} · {cost}", width), "dim")]
    if trigger is not None:
        held = f"held for {observation.at - trigger.since:.0f} s" if trigger.since is not None else "does not hold"
        style = "dim" if trigger.since is None else "problem"
        yield [(clip(f"{trigger.condition.text} for {trigger.seconds:.0f} s: {held}", width), style)]
    yield []
    for finding in words.findings_of(report)[:3]:
        if finding.severity not in words.COMPACT:
            label: Line = [(finding.severity.upper().ljust(10), finding.severity)]
            yield from hang(label, [(clean(finding.title), "")], width, 10)
    if words.is_calm(report):
        yield [(clip(words.calm_words(report), width), "calm")]
    yield []
    yield from _groups(observation, width)
    yield []
    yield from _busy_lines(observation, width)


def _groups(observation: Observation, width: int) -> Iterator[Line]:
    phrases = Phrases(observation.report)
    rows = words.rows_of(words.loud_groups(observation.report), phrases)
    if rows:
        yield [("BLOCKING FRAMES", "heading")]
    for row in rows[:_GROUPS]:
        text = f"{row.count:>6}  {words.kind_words(row.kind):<13}  {phrases.place(row.place, None)}"
        notes = f"  {row.notes}" if row.notes else ""
        line: Line = [(clip(text, width), "frame")]
        if cells(text) + cells(notes) <= width:
            yield [*line, (notes, "")]
            continue
        yield line  # the address that is called stands at the end of the notes: none of them is cut off
        if notes:
            yield from hang([], [(notes, "")], width, _INDENT)
    if len(rows) > _GROUPS:
        yield [(f"        ... {len(rows) - _GROUPS} more", "dim")]
    quiet = words.quiet_words(observation.report)
    if quiet:
        yield [(f"        {quiet}", "dim")]


def _busy_lines(observation: Observation, width: int) -> Iterator[Line]:
    if not observation.busy:
        return
    yield [("BUSY FOR LONG", "heading")]
    alike: dict[tuple[str, str | None, str | None, str | None], list[Busy]] = defaultdict(list)
    for busy in observation.busy:
        alike[busy.kind, busy.caller, busy.blocking_frame, busy.peer].append(busy)
    for threads in list(alike.values())[:_BUSY]:
        yield [(clip(_busy_words(threads), width), "")]
    left = sum(len(threads) for threads in list(alike.values())[_BUSY:])
    if left:
        yield [(f"          ... {plural(left, 'more thread')}", "dim")]


def _busy_words(threads: Sequence[Busy]) -> str:
    """Threads that do the same, the longest busy one first: for how long, who, what, and whom they wait for."""
    busy = threads[0]
    where = words.without_packages(clean(busy.caller or busy.blocking_frame or ""))
    peer = f" to {busy.peer}" if busy.peer else ""
    doing = f"{words.kind_words(busy.kind)} {where}{peer}"
    age, name = f"{span_words(1000 * busy.seconds):>8}", clean(busy.name, 40)
    return f"{age}  {name}: {doing}" if len(threads) == 1 else f"{age}  {len(threads)} x {doing}, as {name}"
