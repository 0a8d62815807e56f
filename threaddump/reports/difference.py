"""A good and a bad moment side by side: for the terminal, as Markdown and as JSON (``threaddump/diff@1``).

The keys of the JSON are the fields of ``threaddump.series.difference.Difference``; ``diff.schema.json`` describes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, TextIO

from threaddump.report import Finding
from threaddump.reports import words
from threaddump.reports.text import Line, cells, clean, hang, plain, plural, shorten
from threaddump.series.difference import CrewChange, Difference, Moment, Move
from threaddump.series.snapshots import Place

SCHEMA = "threaddump/diff@1"
_NUMBER = 8
_MEASURE = 120
_LEAST = 40
_BADGE = 10
_FENCE_WIDTH = 100
_SOURCES = 3


def lines(found: Difference, width: int, top: int) -> Iterator[Line]:
    """What is new stands first, then the tables, then where the same threads went."""
    width = min(max(width, _LEAST), _MEASURE)
    for label, moment in (("BEFORE", found.before), ("AFTER", found.after)):
        yield from hang([(label, "heading"), (" " * (8 - len(label)), "")], [(_moment(moment), "")], width, 8)
    for note in found.notes:
        yield from hang([], [(clean(note), "dim")], width, 8)
    yield []
    yield from hang([], [(headline(found), "title")], width, 0)
    for title, findings in (
        ("NEW", found.new_findings),
        ("WORSE", found.worse_findings),
        ("GONE", found.gone_findings),
    ):
        if findings:
            yield []
            yield [(title, "heading"), ("  findings", "dim")]
            kept, cut = words.cap(findings, top)
            for finding in kept:
                yield from _finding(finding, width, detailed=title != "GONE")
            yield from _rest(cut, "finding")
    places = [
        (f"{words.kind_words(place.kind):<15}{_where(place.caller or place.blocking_frame)}", place.before, place.after)
        for place in found.places
    ]
    yield from _table("BLOCKING FRAMES", places, width, top, "place")
    chains = [(f"{words.kind_words(c.kind):<15}{_where(c.caller)}", c.before, c.after) for c in found.chains]
    yield from _table("WAITING BEHIND", chains, width, top, "chain")
    locks = [
        (f"{words.short_class(lock.class_name)}{_owners(lock.owners)}", lock.before, lock.after) for lock in found.locks
    ]
    yield from _table("LOCKS", locks, width, top, "lock")
    crews = [(f"{clean(crew.name, 100)}{_ids(crew)}", crew.before, crew.after) for crew in found.crews]
    yield from _table("THREADS BY NAME", crews, width, top, "name")
    yield from _moves(found, width, top)


def headline(found: Difference) -> str:
    """The largest growth in a sentence."""
    grown = [place for place in found.places if place.after > place.before]
    if not grown:
        same = not (found.places or found.crews or found.moves or found.new_findings or found.gone_findings)
        return "Nothing differs." if same else "No place has more blocked threads than before."
    first = next((place for place in grown if place.kind in words.WAITING_KINDS), grown[0])
    where = f"{words.kind_words(first.kind)} {_where(first.caller or first.blocking_frame)}"
    if first.before == 0:
        return f"New: {_count(first.after)} in {where}, where nobody was before."
    return f"{_count(first.after)} in {where}, before {_number(first.before)}."


def _count(number: float) -> str:
    return f"{_number(number)} thread{'s' * (number != 1)}"


def _number(number: float) -> str:
    return f"{number:g}" if abs(number) < 1e6 else str(round(number))


def _moment(moment: Moment) -> str:
    named = list(dict.fromkeys(moment.dumps.values()))
    sources = [shorten(clean(source), 60) for source in named[:_SOURCES]]
    more = f" and {len(named) - _SOURCES} more" if len(named) > _SOURCES else ""
    time = " to ".join(clean(time, 40).replace("T", " ", 1) for time in moment.taken_at)
    kinds = ", ".join(f"{_number(n)} {words.kind_words(kind)}" for kind, n in list(moment.by_kind.items())[:4])
    many = [plural(moment.given, "dump")] if moment.given != 1 else []
    many += [plural(moment.processes, "process", "processes")] if moment.processes != 1 else []
    return " · ".join(filter(None, [", ".join(sources) + more, *many, time, f"{_count(moment.threads)}: {kinds}"]))


def _where(frame: str | None) -> str:
    return words.without_packages(clean(frame, 300)) if frame else "(no frame)"


def _owners(owners: Sequence[str]) -> str:
    return f", owned by {', '.join(words.thread_words(owner) for owner in owners)}" if owners else ""


def _ids(crew: CrewChange) -> str:
    if crew.appeared is None or not (crew.appeared or crew.gone):
        return ""
    return f" ({crew.appeared} appeared, {crew.gone} gone)"


def _finding(finding: Finding, width: int, *, detailed: bool) -> Iterator[Line]:
    word = finding.severity.upper()
    badge: Line = [(word, finding.severity), (" " * (_BADGE - len(word)), "")]
    yield from hang(badge, [(clean(finding.title), "title" if detailed else "")], width, _BADGE)
    if detailed and finding.severity not in words.COMPACT:
        if finding.evidence:
            yield from hang([(" " * _BADGE, "")], [(words.evidence_words(finding.evidence, 1), "dim")], width, _BADGE)
        for step in finding.advice[:1]:
            yield from hang([(" " * _BADGE, ""), ("do  ", "label")], [(clean(step), "")], width, _BADGE + 4)


def _table(title: str, rows: Sequence[tuple[str, float, float]], width: int, top: int, noun: str) -> Iterator[Line]:
    """Both counts and the change; of many rows those that changed most, in either direction, growth first."""
    if not rows:
        return
    room = width - 3 * _NUMBER
    yield []
    head = "".join(column.rjust(_NUMBER) for column in ("before", "after", "change"))
    yield [(title, "heading"), (" " * (room - cells(title)), ""), (head, "dim")]
    kept, cut = words.cap(sorted(rows, key=lambda row: -abs(row[2] - row[1])), top)
    for label, before, after in sorted(kept, key=lambda row: row[1] - row[2]):
        shown = shorten(f"  {label}", room - 1)
        change = f"{'+' * (after > before)}{_number(round(after - before, 1))}"
        numbers = "".join(text.rjust(_NUMBER) for text in (_number(before), _number(after), change))
        yield [(shown, ""), (" " * (room - cells(shown)), ""), (numbers, "count")]
    yield from _rest(cut, noun)


def _rest(cut: Sequence[Any], noun: str) -> Iterator[Line]:
    if cut:
        yield [(f"  ... {plural(len(cut), f'more {noun}')}", "dim")]


def _moves(found: Difference, width: int, top: int) -> Iterator[Line]:
    if not found.moves:
        return
    yield []
    yield [("THE SAME THREADS", "heading"), ("  then and now", "dim")]
    kept, cut = words.cap(found.moves, top)
    for move in kept:
        yield from hang([("  ", ""), (f"{move.threads:>5}  ", "count")], [(_move_words(move), "")], width, 9)
    yield from _rest(cut, "move")


def _move_words(move: Move) -> str:
    if move.before is None:
        return f"appeared: {_place(move.after)}"
    return f"{_place(move.before)}, now {_place(move.after)}"


def _place(place: Place | None) -> str:
    if place is None:
        return "gone"
    quiet = place.kind in words.QUIET_KINDS
    return words.kind_words(place.kind) + ("" if quiet else f" {_where(place.caller or place.blocking_frame)}")


def write_markdown(found: Difference, out: TextIO, *, top: int) -> None:
    """For a ticket: findings as items, the tables in a fence."""
    from threaddump.reports.markdown import inline

    out.write(f"# Thread dumps compared\n\n**{inline(headline(found))}**\n\n")
    for title, findings in (
        ("New", found.new_findings),
        ("Worse", found.worse_findings),
        ("Gone", found.gone_findings),
    ):
        if findings:
            out.write(f"## {title} findings\n\n")
            kept, cut = words.cap(findings, top)
            for finding in kept:
                out.write(f"- **{finding.severity.upper()}:** {inline(finding.title)}\n")
                out.writelines(f"  - **Do:** {inline(step)}\n" for step in finding.advice[:2] if title != "Gone")
            if cut:
                out.write(f"- {plural(len(cut), 'more finding')}\n")
            out.write("\n")
    text = [plain(line) for line in lines(found, _FENCE_WIDTH, top)]
    ticks = "`" * max(3, 1 + max((len(run) for line in text for run in re.findall("`+", line)), default=0))
    out.write(f"## Counts\n\n{ticks}text\n" + "\n".join(text) + f"\n{ticks}\n")


def write_json(found: Difference, out: TextIO) -> None:
    """One object, ``threaddump/diff@1``."""
    import threaddump
    from threaddump.reports.json import finding_object, write_object

    value = {
        "schema": SCHEMA,
        "version": threaddump.__version__,
        "before": _moment_object(found.before),
        "after": _moment_object(found.after),
        "same_processes": found.same_processes,
        "places": list(map(asdict, found.places)),
        "locks": list(map(asdict, found.locks)),
        "chains": list(map(asdict, found.chains)),
        "crews": list(map(asdict, found.crews)),
        "moves": [
            {
                "before": move.before and move.before._asdict(),
                "after": move.after and move.after._asdict(),
                "threads": move.threads,
            }
            for move in found.moves
        ],
        "findings": {
            "new": list(map(finding_object, found.new_findings)),
            "worse": list(map(finding_object, found.worse_findings)),
            "gone": list(map(finding_object, found.gone_findings)),
        },
        "notes": found.notes,
    }
    write_object(value, out)


def _moment_object(moment: Moment) -> dict[str, Any]:
    return {key: value for key, value in asdict(moment).items() if key != "findings"}
