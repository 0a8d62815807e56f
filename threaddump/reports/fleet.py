"""The report on a fleet, for a terminal and as Markdown: one signature over many instances, and since when.

A signature that a finding of medium severity or above is about is told as a sentence of its own; the others stand in a
table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TextIO

from threaddump.reports import words
from threaddump.reports.markdown import code, inline, table
from threaddump.reports.terminal import print_lines
from threaddump.reports.text import Line, cells, clean, clip, hang, plain, shorten
from threaddump.summary import MILD, FindingSpread, Fleet, Place, SignatureSpread, Spread

_MIN_WIDTH, _MAX_WIDTH = 40, 200
_MEASURE = 120
_BADGE = 10
_NUMBER = 11
_PEERS = 3
_FAILURES = 5
_STUCK = {
    "external-call": "stuck in one call",
    "pool-wait": "waiting for a slot of a pool",
    "lock-wait": "waiting for a lock",
    "sync-wait": "waiting for other threads",
    "queue-put": "stuck at a full queue",
    "io": "stuck in file i/o",
    "sleep": "asleep",
    "running": "running in one place",
}


def write(fleet: Fleet, out: TextIO, *, width: int, color: bool, top: int) -> None:
    """Write the report for a terminal; each list shows its ``top`` first, 0 for all."""
    width = min(max(width, _MIN_WIDTH), _MAX_WIDTH)
    print_lines(lines(fleet, min(width, _MEASURE), top), out, width=width, color=color)


def write_markdown(fleet: Fleet, out: TextIO, *, top: int) -> None:
    """Write the report as Markdown."""
    out.writelines(line + "\n" for line in _markdown(fleet, top))


class _Phrases:
    """Says things about a fleet: knows which short names are unambiguous in it."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        frames = {name for each in fleet.signatures for name in (each.signature.caller, each.signature.blocking_frame)}
        self._short = words.short_names(name for name in frames if name)

    def place(self, each: SignatureSpread) -> str:
        """Where the threads are: the application's own frame if there is one."""
        full = each.signature.caller or each.signature.blocking_frame
        return "(no frames)" if not full else self._short.get(full) or clean(full, 300)

    def title(self, each: SignatureSpread) -> str:
        """``2,870 of 3,000 instances stuck in one call: SchedulingGateway.slotFor``."""
        doing = _STUCK.get(each.signature.kind, "stuck in one place")
        return f"{_of(each.spread.instances, self.fleet.instances)} {doing}: {self.place(each)}"

    def notes(self, each: SignatureSpread) -> str:
        """Library, phase, timeout, the frame below the caller, and the threads."""
        signature = each.signature
        partner = {"external-call": signature.integration, "pool-wait": signature.pool}.get(signature.kind)
        notes: list[str | None] = [clean(partner.name, 100)] if partner else []
        frame = signature.blocking_frame
        if partner is None and frame is not None and frame != signature.caller and signature.caller is not None:
            notes.append(f"in {self._short.get(frame) or clean(frame, 300)}")
        notes.append(words.phase_words(signature.kind, signature.phase))
        notes.append(words.timeout_words(signature.kind, signature.phase, signature.timed))
        return ", ".join(filter(None, notes))


def _of(count: int, total: int) -> str:
    return f"{count:,} of {total:,} instance{'s' * (total != 1)}"


def _several(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _time(taken_at: str) -> str:
    return clean(taken_at, 40).replace("T", " ", 1)


def _threads(spread: Spread) -> str:
    """``450 threads in each dump (median; 500 at most), 1,291,500 in all``."""
    if spread.dumps == 1:
        return _several(spread.threads, "thread")
    most = "" if spread.most == spread.median else f"; {spread.most:,} at most"
    median = f"{spread.median:,.1f}".removesuffix(".0")
    return f"{median} threads in a dump (median{most}), {spread.threads:,} in all"


def _seen(spread: Spread) -> str:
    """``first seen 2026-11-22 20:31:07 on orders-4, last 20:36:12 on orders-9``."""
    if spread.first is None or spread.last is None:
        return "no dump tells when"
    first, last = _time(spread.first.taken_at or ""), _time(spread.last.taken_at or "")
    if first == last:
        return f"seen {first} on {shorten(clean(spread.first.instance), 60)}"
    day = first.partition(" ")[0] + " "
    return (
        f"first seen {first} on {shorten(clean(spread.first.instance), 60)}, "
        f"last {last.removeprefix(day)} on {shorten(clean(spread.last.instance), 60)}"
    )


def _where(place: Place) -> str:
    source = clean(place.source if place.member is None else f"{place.source}:{place.member}")
    return f"{shorten(source, 60)} line {place.line}"


def _peers(each: SignatureSpread) -> str:
    shown = ", ".join(f"{clean(address, 100)} ({threads:,})" for address, threads in each.peers[:_PEERS])
    more = len(each.peers) - _PEERS
    return shown + (f" and {more:,} more" if more > 0 else "")


def _headline(fleet: Fleet) -> list[str]:
    parts = [
        f"Fleet of {_several(fleet.instances, 'instance')}",
        _several(len(fleet.dumps), "dump"),
        _several(fleet.threads, "thread"),
    ]
    if fleet.timed:
        first, last = (_time(seen.taken_at or "") for seen in (fleet.timed[0], fleet.timed[-1]))
        parts.append(first if first == last else f"{first} to {last.removeprefix(first.partition(' ')[0] + ' ')}")
    return parts


def _remarks(fleet: Fleet) -> Iterator[str]:
    """What limits what can be said."""
    summary = fleet.summary
    if summary.left:
        yield f"Not complete: {_several(summary.left, 'input')} not read, for the run was stopped."
    if fleet.duplicates:
        yield f"{_several(fleet.duplicates, 'dump')} given again, counted once."
    if fleet.incomplete:
        yield f"{_several(fleet.incomplete, 'dump')} cut short or with lines that were not understood."
    untimed = len(fleet.dumps) - len(fleet.timed)
    if untimed:
        yield f"{_several(untimed, 'dump')} without a time."
    if summary.rules:
        yield f"Own rules: {', '.join(clean(rule, 200) for rule in sorted(summary.rules))}"


def _split(fleet: Fleet) -> tuple[list[SignatureSpread], list[SignatureSpread]]:
    """Signatures that severe findings are about, and the others."""
    told = [each for each in fleet.signatures if each.severity is not None and each.severity not in MILD]
    return told, sorted(fleet.signatures[len(told) :], key=lambda each: (-each.spread.threads, -each.spread.instances))


def _kinds(fleet: Fleet) -> str:
    return " · ".join(f"{words.kind_words(kind)} {count:,}" for kind, count in fleet.threads_by_kind.items())


def _runtimes(fleet: Fleet) -> list[str]:
    found = []
    for runtime, form, count in fleet.runtimes:
        name = " ".join(clean(part, 60) for part in (runtime.name or runtime.family, runtime.version) if part)
        found.append(f"{name}, {clean(form, 40)} ({count:,})")
    return found


def _unlisted(fleet: Fleet) -> str:
    dumps, groups, threads = fleet.unlisted
    if not groups:
        return ""
    return f"{_several(groups, 'more group')} with {_several(threads, 'thread')} in {_several(dumps, 'dump')} not kept"


# --- the terminal


def lines(fleet: Fleet, width: int, top: int) -> Iterator[Line]:
    """All lines of the report, none wider than ``width`` cells."""
    phrases = _Phrases(fleet)
    if not fleet.dumps:
        yield [("No thread dump was found.", "title")]
    else:
        yield from hang([], [(" · ".join(_headline(fleet)), "title")], width, 0)
    for remark in _remarks(fleet):
        yield from hang([], [(remark, "dim")], width, 0)
    told, others = _split(fleet)
    kept, cut = words.cap(told, top)
    for each in kept:
        yield []
        yield from _card(each, phrases, width)
    if cut:
        yield []
        yield [(" " * _BADGE, ""), (f"... {_several(len(cut), 'more signature')}", "dim")]
    yield from _findings(fleet, width, top)
    yield from _table(others, phrases, width, top)
    if fleet.dumps:
        yield []
        yield from hang([("THREADS", "heading"), ("  ", "")], [(_kinds(fleet), "")], width, 9)
        runtimes, more = words.cap(_runtimes(fleet), top)
        ending = f" · {len(more):,} more" if more else ""
        yield from hang([("RUNTIMES", "heading"), ("  ", "")], [(" · ".join(runtimes) + ending, "")], width, 10)
    yield from _failures(fleet, width, top)


def _card(each: SignatureSpread, phrases: _Phrases, width: int) -> Iterator[Line]:
    severity = each.severity or ""
    badge: Line = [(severity.upper(), severity)]
    yield from hang(badge, [(phrases.title(each), "title")], width, _BADGE)
    notes = phrases.notes(each)
    yield from hang([], [(f"{notes}; {_threads(each.spread)}" if notes else _threads(each.spread), "")], width, _BADGE)
    yield from hang([], [(_seen(each.spread), "")], width, _BADGE)
    if each.peers:
        yield from hang([], [(f"waiting for {_peers(each)}", "")], width, _BADGE)
    yield from hang([], [(f"e.g. {', '.join(map(_where, each.spread.examples))}", "dim")], width, _BADGE)


def _findings(fleet: Fleet, width: int, top: int) -> Iterator[Line]:
    if not fleet.findings:
        return
    yield []
    yield [("FINDINGS", "heading"), ("  the dump with the most threads speaks for all", "dim")]
    kept, cut = words.cap(fleet.findings, top)
    for number, each in enumerate(kept):
        reach = f"{_several(each.spread.instances, 'instance')}, {_several(each.spread.dumps, 'dump')}: "
        title = clean(each.example.title) if each.example else each.id
        label: Line = [(each.severity.upper(), each.severity)]
        yield from hang(label, [(reach, "count"), (title, ""), (f" ({each.id})", "dim")], width, _BADGE)
        for step in _steps(each)[: 2 if number == 0 else 1]:
            yield from hang([(" " * _BADGE, ""), ("do ", "label")], [(clean(step), "")], width, _BADGE + 3)
    if cut:
        yield [(f"  ... {_several(len(cut), 'more finding')}", "dim")]


def _steps(each: FindingSpread) -> Sequence[str]:
    """What to do; mild findings are only named."""
    return () if each.example is None or each.severity in MILD else each.example.advice


def _table(others: Sequence[SignatureSpread], phrases: _Phrases, width: int, top: int) -> Iterator[Line]:
    unlisted = _unlisted(phrases.fleet)
    if not others and not unlisted:
        return
    yield []
    room = width - 2 * _NUMBER
    columns = "instances".rjust(_NUMBER) + "threads".rjust(_NUMBER)
    head = "ALSO WAITING"
    yield [(head, "heading"), (" " * (room - len(head)), ""), (columns, "dim")]
    kept, cut = words.cap(others, top)
    for each in kept:
        notes = phrases.notes(each)
        text = f"{words.kind_words(each.signature.kind):15}{phrases.place(each)}" + (f"  {notes}" if notes else "")
        shown = clip(text, room - 3)
        numbers = f"{each.spread.instances:,}".rjust(_NUMBER) + f"{each.spread.threads:,}".rjust(_NUMBER)
        yield [("  ", ""), (shown, ""), (" " * (room - 2 - cells(shown)), ""), (numbers, "count")]
    if cut:
        threads = sum(each.spread.threads for each in cut)
        yield [(f"  ... {_several(len(cut), 'more signature')}, {_several(threads, 'thread')}", "dim")]
    if unlisted:
        yield [(f"  ... {unlisted}", "dim")]


def _failures(fleet: Fleet, width: int, top: int) -> Iterator[Line]:
    summary = fleet.summary
    if not summary.failed:
        return
    yield []
    told = f"{_several(summary.failed, 'input')} could not be used"
    yield [("INPUT", "heading"), ("  ", ""), (told, "problem")]
    reasons = sorted(summary.reasons.items(), key=lambda item: (-item[1], item[0]))
    if len(reasons) < summary.failed:
        for reason, count in reasons[:_FAILURES]:
            yield from hang([("  ", "")], [(f"{count:,} x {clean(reason)}", "")], width, 2)
    kept = summary.failures[: min(top or _FAILURES, _FAILURES)]
    for failure in kept:
        yield from hang([("  ", "")], [(f"{clean(failure.source)}: ", ""), (clean(failure.reason), "dim")], width, 2)
    if summary.failed > len(kept):
        yield [(f"  ... {summary.failed - len(kept):,} more", "dim")]


# --- Markdown


def _markdown(fleet: Fleet, top: int) -> Iterator[str]:
    phrases = _Phrases(fleet)
    yield "# Thread dumps of a fleet"
    yield ""
    yield inline(" · ".join(_headline(fleet))) if fleet.dumps else "No thread dump was found."
    yield ""
    for remark in _remarks(fleet):
        yield inline(remark)
        yield ""
    told, others = _split(fleet)
    kept, cut = words.cap(told, top)
    for each in kept:
        yield f"## {(each.severity or '').upper()}: {inline(phrases.title(each))}"
        yield ""
        notes = phrases.notes(each)
        yield f"- {inline(f'{notes}; {_threads(each.spread)}' if notes else _threads(each.spread))}"
        yield f"- {inline(_seen(each.spread))}"
        if each.peers:
            yield f"- waiting for {inline(_peers(each))}"
        yield f"- e.g. {inline(', '.join(map(_where, each.spread.examples)))}"
        yield ""
    if cut:
        yield f"{_several(len(cut), 'more signature')}."
        yield ""
    if fleet.findings:
        yield "## Findings"
        yield ""
        shown, cut_findings = words.cap(fleet.findings, top)
        yield from table(["Severity", "Finding", "Instances:", "Dumps:", "Such as", "Do"], map(_finding_row, shown))
        if cut_findings:
            yield f"{_several(len(cut_findings), 'more finding')}."
            yield ""
    if others:
        yield "## Also waiting"
        yield ""
        rows, cut = words.cap(others, top)
        yield from table(
            ["Kind", "Where", "What", "Instances:", "Threads:"],
            (
                (
                    words.kind_words(each.signature.kind),
                    code(phrases.place(each), cell=True),
                    inline(phrases.notes(each)),
                    f"{each.spread.instances:,}",
                    f"{each.spread.threads:,}",
                )
                for each in rows
            ),
        )
        if cut:
            yield f"{_several(len(cut), 'more signature')}."
            yield ""
    if _unlisted(fleet):
        yield f"{_unlisted(fleet)}."
        yield ""
    if fleet.dumps:
        yield f"Threads: {inline(_kinds(fleet))}"
        yield ""
        yield f"Runtimes: {inline(' · '.join(words.cap(_runtimes(fleet), top)[0]))}"
        yield ""
    failures = [plain(line).strip() for line in _failures(fleet, 10_000, top)]
    if failures:
        yield f"## {inline(failures[1].removeprefix('INPUT').strip())}"
        yield ""
        yield from (f"- {inline(line)}" for line in failures[2:])


def _finding_row(each: FindingSpread) -> list[str]:
    title = each.example.title if each.example else ""
    steps = _steps(each)
    return [
        each.severity,
        code(each.id, cell=True),
        f"{each.spread.instances:,}",
        f"{each.spread.dumps:,}",
        inline(title),
        inline(steps[0]) if steps else "",
    ]
