"""The report for a person at a prompt: what is wrong first, then the threads that show it.

``lines`` yields lines of styled segments that already fit the width; one writer prints them plainly, the other in
colour through rich, which is imported only there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from threaddump.report import SEVERITIES, ContendedLock, DumpReport, Finding, Report, Severity
from threaddump.reports import across, over_time, words
from threaddump.reports.text import KEEP, Line, Segment, cells, clean, clip, hang, plain, plural, shorten
from threaddump.reports.words import Phrases, Row
from threaddump_parsers.model import Problem

_MIN_WIDTH = 40
_MAX_WIDTH = 200
_WIDE = 110
"""From here on a group and its notes share a line."""
_MEASURE = 120
"""The widest lines of prose: longer ones are hard to read, however wide the window."""
_BADGE = 10
_LABEL = 8
_KIND = 15
_COUNT = 8
_FIRST_STEPS = (3, 2)
"""Pieces of advice and of recovery that the worst finding shows; the others are counted."""
_STEPS: dict[Severity, tuple[int, int]] = {"critical": (2, 1), "high": (1, 1), "medium": (1, 0)}
"""And those that each further finding shows."""
_PROBLEMS = 3

_STYLES = {
    "critical": "bold white on red",
    "high": "bold red",
    "medium": "bold yellow",
    "low": "cyan",
    "info": "cyan",
    "title": "bold",
    "heading": "bold underline",
    "strong": "bold",
    "dim": "dim",
    "tree": "dim",
    "label": "bold green",
    "frame": "bold cyan",
    "thread": "magenta",
    "count": "bold",
    "bar": "red",
    "calm": "green",
    "problem": "yellow",
}
"""Colours never carry a meaning alone: the plain text says the same."""

_ASCII = str.maketrans({"·": "-", "…": "~", "█": "#", "▏": "|", "└": "`", "├": "|", "│": "|", "─": "-", "▼": "v"})


def write(report: Report, out: TextIO, *, width: int, color: bool, top: int) -> None:
    """Write the report for a terminal of ``width`` cells; each list shows its ``top`` first, 0 for all."""
    print_lines(lines(report, width=width, top=top), out, width=width, color=color)


def print_lines(rendered: Iterable[Line], out: TextIO, *, width: int, color: bool) -> None:
    """Write styled lines, through rich where there are colours."""
    if color:
        _write_color(rendered, out, width)
    else:
        _write_plain(rendered, out)


def _write_plain(rendered: Iterable[Line], out: TextIO) -> None:
    encoding = getattr(out, "encoding", None) or "utf-8"
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        out.writelines(plain(line) + "\n" for line in rendered)
    else:
        out.writelines(_encodable(plain(line), encoding) + "\n" for line in rendered)


def _encodable(text: str, encoding: str) -> str:
    """Draw with ASCII where the output cannot show our lines and bars."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    return text


def _write_color(rendered: Iterable[Line], out: TextIO, width: int) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(file=out, force_terminal=True, width=width, highlight=False, markup=False, emoji=False)
    encoding = console.encoding
    for line in rendered:
        text = Text(end="\n", no_wrap=True, overflow="ignore")
        for part, style in line:
            text.append(_encodable(part, encoding), _STYLES.get(style, ""))
        text.rstrip()
        console.print(text, crop=False, soft_wrap=True)


# The layout.


def lines(report: Report, *, width: int, top: int) -> Iterator[Line]:
    """All lines of the report, none wider than ``width`` cells."""
    width = min(max(width, _MIN_WIDTH), _MAX_WIDTH)
    if not report.dumps:
        yield [("No thread dump was found.", "strong")]
    if report.rules:
        yield from hang([], [(f"Own rules: {', '.join(clean(name, 200) for name in report.rules)}", "dim")], width, 0)
    selection = words.select(report)
    yield from _tiers(report, width, top)
    if selection.listed:
        yield from _overview(report, selection, width)
        yield []
    numbered = len(report.dumps) > 1
    yield from _series(report, width, top)
    for number, dump in enumerate(selection.full):
        if number:
            yield []
            yield [("─" * width, "tree")]
        yield from _dump(dump, numbered, width, top)
    if report.problems:
        yield []
        yield from _problems("INPUT", report.problems, 0, width, top)
    if selection.rest:
        yield []
        yield from hang([], [(words.rest_words(selection), "dim")], width, 0)


def _tiers(report: Report, width: int, top: int) -> Iterator[Line]:
    """Where the cascade of the tiers ends: it stands before all that is said of single dumps."""
    if not report.tiers:
        return
    yield [("TIERS", "heading"), ("  ", ""), (clip(across.summary(report), width - 7), "title")]
    yield []
    yield from across.lines(report, min(width, _MEASURE))
    yield []
    apart = across.tiers_apart(report.cascades)
    if apart:
        yield from hang([], [(apart, "dim")], width, 0)
        yield []
    findings, cut = words.cap([finding for each in report.cascades for finding in each.findings], top)
    for finding in findings:
        if finding.severity in words.COMPACT:
            yield from _compact(finding, min(width, _MEASURE))
        else:
            yield from _finding(finding, finding.advice[:2], finding.recovery[:1], min(width, _MEASURE))
        yield []
    if cut:
        yield [(f"  ... {plural(len(cut), 'more finding')}", "dim")]
    yield [("─" * width, "tree")]


def _series(report: Report, width: int, top: int) -> Iterator[Line]:
    """What the dumps of a process say together: it stands before what each of them says."""
    for series in report.series:
        yield [("OVER TIME", "heading"), ("  ", ""), (clip(over_time.title(series), width - 11), "title")]
        yield from hang([("  ", "")], [(over_time.summary(series), "strong")], width, 2)
        for note in over_time.caveats(series):
            yield from hang([("  ", "")], [(note, "dim")], width, 2)
        yield []
        findings, cut = words.cap(series.findings, top)
        for finding in findings:
            yield from _finding(finding, finding.advice[:1], [], min(width, _MEASURE))
        if cut:
            yield [(f"  ... {plural(len(cut), 'more finding')}", "dim")]
        if findings:
            yield []
        yield from over_time.table(series, min(width, _MEASURE))
        yield []
        yield [("─" * width, "tree")]


def _overview(report: Report, selection: words.Selection, width: int) -> Iterator[Line]:
    yield from hang([], [(words.selection_words(report, selection), "title")], width, 0)
    rows = []
    for dump, source in zip(selection.listed, words.listed_sources(selection.listed), strict=True):
        severity, summary = words.overview_words(dump)
        time = clean(dump.taken_at or "", 40).partition("T")[2] or clean(dump.taken_at or "", 40)
        rows.append((shorten(source, width // 3), time, severity, summary))
    source_width = max(cells(row[0]) for row in rows)
    time_width = min(max(cells(row[1]) for row in rows), 12)
    for source, time, severity, summary in rows:
        line: Line = [("  ", ""), (_pad(source, source_width), ""), ("  ", "")]
        if time_width:
            line += [(_pad(clip(time, time_width), time_width), "dim"), ("  ", "")]
        line += [*_badge(severity, 8), ("  ", "")]
        line.append((clip(summary, width - sum(cells(text) for text, _ in line)), "" if severity else "dim"))
        yield line
    if selection.unlisted:
        yield [("  ... " + plural(selection.unlisted, "more dump"), "dim")]


def _pad(text: str, width: int) -> str:
    return text + " " * (width - cells(text))


def _badge(severity: Severity | None, width: int) -> list[Segment]:
    word = severity.upper() if severity else ""
    return [(word, severity or ""), (" " * (width - len(word)), "")]


def _dump(dump: DumpReport, numbered: bool, width: int, top: int) -> Iterator[Line]:
    yield from _headline(words.headline(dump, numbered=numbered), width)
    if dump.merged:
        yield from hang([], [(words.merged_words(dump), "dim")], width, 0)
    yield []
    if dump.duplicate_of is not None:
        yield from hang([], [(words.duplicate_words(dump), "dim")], width, 0)
        return
    phrases = Phrases(dump)
    yield from _findings(dump, width, top)
    for section in (
        _deadlocks(dump, phrases, width, top),
        _groups(dump, phrases, width, top),
        _locks(dump, phrases, width, top),
        _chains(dump, phrases, width, top),
        _containers(phrases, width, top),
        _problems("INPUT", dump.problems, dump.unread_lines, width, top),
        _hints(dump, width),
    ):
        first = next(section, None)
        if first is not None:
            yield []
            yield first
            yield from section


def _headline(parts: Sequence[str], width: int) -> Iterator[Line]:
    """The parts with dots between them; a line breaks between two parts rather than within one."""
    line: Line = []
    used = 0
    for number, part in enumerate(parts):
        size = cells(part)
        if line and used + 3 + size > width:
            yield line
            line, used = [], 0
        if line:
            line.append((" · ", "dim"))
            used += 3
        if size > width:
            *full, line = hang([], [(part, "title" if number == 0 else "")], width, 0)
            yield from full
            used = sum(cells(text) for text, _ in line)
        else:
            line.append((part, "title" if number == 0 else ""))
            used += size
    yield line


def _findings(dump: DumpReport, width: int, top: int) -> Iterator[Line]:
    width = min(width, _MEASURE)
    if words.is_calm(dump):
        yield from hang([], [(words.calm_words(dump), "calm")], width, 0)
        if dump.findings:
            yield []
    kept, cut = words.cap(words.findings_of(dump), top)
    roomy = True
    told: set[str] = set()
    untold: set[str] = set()
    for number, finding in enumerate(kept):
        compact = finding.severity in words.COMPACT
        if number and not (compact and roomy):
            yield []
        if compact:
            yield from _compact(finding, width)
        else:
            limits = _STEPS.get(finding.severity, (1, 0)) if number else _FIRST_STEPS
            advice, recovery = _steps(finding, limits, told, untold)
            yield from _finding(finding, advice, recovery, width)
        roomy = compact
    if cut:
        counts = Counter(finding.severity for finding in cut)
        which = ", ".join(f"{counts[severity]} {severity}" for severity in SEVERITIES if counts[severity])
        yield [(" " * _BADGE, ""), (f"... {plural(len(cut), 'more finding')}: {which}", "dim")]
    if untold:
        yield []
        more = f"... {plural(len(untold), 'more step')} to take: --format markdown"
        yield from hang([], [(more, "dim")], width, _BADGE)


def _steps(
    finding: Finding, limits: tuple[int, int], told: set[str], untold: set[str]
) -> tuple[Sequence[str], Sequence[str]]:
    """What to do about a finding, without what an earlier one has said; the rest is noted as untold."""
    shown: list[Sequence[str]] = []
    for steps, limit in zip((finding.advice, finding.recovery), limits, strict=True):
        fresh = [step for step in steps if step not in told]
        shown.append(fresh[:limit])
        told.update(fresh[:limit])
        untold.update(fresh[limit:])
        untold.difference_update(told)
    return shown[0], shown[1]


def _compact(finding: Finding, width: int) -> Iterator[Line]:
    body: list[Segment] = [(clean(finding.title), "")]
    if finding.evidence:
        body.append((f" (line{KEEP}{finding.evidence[0].line})", "dim"))
    yield from hang(_badge(finding.severity, _BADGE), body, width, _BADGE)


def _finding(finding: Finding, advice: Sequence[str], recovery: Sequence[str], width: int) -> Iterator[Line]:
    yield from hang(_badge(finding.severity, _BADGE), [(clean(finding.title), "title")], width, _BADGE)
    if finding.detail:
        yield from hang([], [(clean(finding.detail, 2000), "")], width, _BADGE)
    if finding.evidence:
        places = [words.evidence_words(finding.evidence, limit) for limit in (2, 1)]
        fits = cells(places[0]) <= width - _BADGE - _LABEL
        yield from _labelled("e.g.", [places[0] if fits else places[1]], "dim", width)
    yield from _labelled("do", advice, "", width)
    yield from _labelled("recover", recovery, "", width)


def _labelled(label: str, items: Sequence[str], style: str, width: int) -> Iterator[Line]:
    indent = _BADGE + _LABEL
    several = len(items) > 1
    for number, item in enumerate(items):
        head: Line = [(" " * _BADGE, ""), (label if number == 0 else "", "label")]
        head.append((" " * (_LABEL - cells(head[1][0])), ""))
        if several:
            head.append(("· ", "dim"))
        yield from hang(head, [(clean(item), style)], width, indent + 2 * several)


def _heading(title: str, column: str, width: int) -> Line:
    """A section's title, with the name of its right-aligned count column."""
    room = width - cells(title) - cells(column)
    return [(title, "heading"), (" " * max(1, room), ""), (column, "dim")] if column else [(title, "heading")]


def _groups(dump: DumpReport, phrases: Phrases, width: int, top: int) -> Iterator[Line]:
    groups = words.loud_groups(dump)
    quiet = "" if words.is_calm(dump) else words.quiet_words(dump)  # the calm sentence has counted them
    if not groups and not quiet:
        return
    kept, cut = words.cap(words.rows_of(groups, phrases), top)
    rows = [(row, phrases.place(row.place, None)) for row in kept]
    columns = _columns(rows, width)
    yield _heading("BLOCKING FRAMES", "threads", columns.count_end)
    for row, place in rows:
        yield from _row(row, place, columns, width)
    if cut:
        yield [(f"  ... {plural(len(cut), 'more group')}, {plural(sum(row.count for row in cut), 'thread')}", "dim")]
    if quiet:
        yield [("  ", ""), (quiet, "dim")]


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where the columns of the table of groups are."""

    place: int
    """Width of the frame's column."""
    note: int | None
    """Where the notes start; None: below the frame."""
    count_end: int
    bar: int
    largest: int


def _columns(rows: Sequence[tuple[Row, str]], width: int) -> _Columns:
    bar = min(18, (width - 56) // 2) if width >= 64 else 0
    count_end = width - (bar + 2 if bar else 0)
    room = count_end - 2 - _KIND - _COUNT
    largest = max((row.count for row, _ in rows), default=1)
    if width < _WIDE:
        return _Columns(room, None, count_end, bar, largest)
    place = min(max((cells(place) for _, place in rows), default=0), room // 2)
    start = 2 + _KIND + place + 2
    ends = [start + cells(row.notes + more) for row, _ in rows for more in ("", _reason(row))]
    fitting = max((end for end in ends if end <= count_end - _COUNT), default=start)
    # No wider than needed: the eye should not have to travel from the words to the count.
    return _Columns(place, start, min(count_end, max(fitting + _COUNT, _WIDE - bar)), bar, largest)


def _reason(row: Row) -> str:
    """What would show whether there is a timeout; shown where there is room."""
    return f" ({row.reason})" if row.reason else ""


def _row(row: Row, place: str, columns: _Columns, width: int) -> Iterator[Line]:
    start = 2 + _KIND
    shown = shorten(place, columns.place)
    line: Line = [("  ", ""), (_pad(words.kind_words(row.kind), _KIND), ""), (shown, "frame")]
    used = start + cells(shown)
    room = columns.count_end - _COUNT
    note, reason = row.notes, _reason(row)
    beside = used + 2 if columns.note is None else columns.note
    if note and beside + cells(note) <= room:
        line += [(" " * (beside - used), ""), (note, "")]
        used = beside + cells(note)
        if reason and used + cells(reason) <= room:
            line.append((reason, "dim"))
            used += cells(reason)
        note = ""
    count = str(row.count)
    line += [(" " * max(1, columns.count_end - used - len(count)), ""), (count, "count")]
    if columns.bar:
        line += [("  ", ""), (_bar(row.count, columns.largest, columns.bar), "bar")]
    yield line
    if note:
        below: Line = [(note, "")]
        if reason and start + cells(note + reason) <= width:
            below.append((reason, "dim"))
        yield from hang([], below, width, start)


def _bar(count: int, largest: int, width: int) -> str:
    return "█" * (count * width // max(1, largest)) or "▏"


def _locks(dump: DumpReport, phrases: Phrases, width: int, top: int) -> Iterator[Line]:
    locks, untold = words.main_locks(dump, top)
    if not locks:
        return
    kept, cut = words.cap(locks, top)
    longest = max(cells(phrases.lock_title(lock)) for lock in kept)
    count_end = min(width, max(longest + 2 + _COUNT, 80))
    yield _heading("LOCKS", "waiting", count_end)
    for lock in kept:
        yield from _lock(lock, phrases, width, count_end)
    if cut:
        waiting = plural(sum(len(lock.waiting) for lock in cut), "thread")
        yield [(f"  ... {plural(len(cut), 'more lock')}, {waiting} waiting", "dim")]
    if untold:
        yield from hang([("  ", "")], [(words.main_locks_words(untold), "dim")], width, 2)


def _lock(lock: ContendedLock, phrases: Phrases, width: int, count_end: int) -> Iterator[Line]:
    first, *others = hang([("  ", "")], [(phrases.lock_title(lock), "strong")], count_end - _COUNT, 2)
    count = str(len(lock.waiting))
    used = sum(cells(text) for text, _ in first)
    yield [*first, (" " * (count_end - used - len(count)), ""), (count, "count")]
    yield from others
    yield from hang([], [("owner ", ""), *phrases.owner(lock)], width, 4)


def _chains(dump: DumpReport, phrases: Phrases, width: int, top: int) -> Iterator[Line]:
    if not dump.chains:
        return
    kept, cut = words.cap(sorted(dump.chains, key=lambda chain: -chain.waiting), top)
    yield [("WAIT CHAINS", "heading")]
    for chain in kept:
        for line in phrases.chain_lines(chain, width - 2, top):
            yield [("  ", ""), *line]
    if cut:
        waiting = plural(sum(chain.waiting for chain in cut), "thread")
        yield [(f"  ... {plural(len(cut), 'more chain')}, {waiting} waiting", "dim")]


def _containers(phrases: Phrases, width: int, top: int) -> Iterator[Line]:
    lines = phrases.container_lines(width - 2, top)
    if lines:
        yield [("CONTAINERS", "heading")]
    for line in lines:
        yield [("  ", ""), *line]


def _deadlocks(dump: DumpReport, phrases: Phrases, width: int, top: int) -> Iterator[Line]:
    if not dump.deadlocks:
        return
    kept, cut = words.cap(sorted(dump.deadlocks, key=lambda deadlock: -deadlock.behind), top)
    yield [("DEADLOCKS", "heading")]
    for deadlock in kept:
        for line in phrases.deadlock_lines(deadlock, width - 2, top):
            yield [("  ", ""), *line]
    if cut:
        yield [(f"  ... {plural(len(cut), 'more deadlock')}", "dim")]


def _problems(title: str, problems: Sequence[Problem], unread: int, width: int, top: int) -> Iterator[Line]:
    if not problems and not unread:
        return
    yield [(title, "heading"), ("  ", ""), (words.input_words(problems, unread), "problem")]
    kept, cut = words.cap(problems, min(top, _PROBLEMS) if top > 0 else 0)
    for problem in kept:
        place, reason, text = words.problem_words(problem)
        body: list[Segment] = [(f"{place}: " if place else "", ""), (reason, ""), (f": {text}" if text else "", "dim")]
        yield from hang([("  ", "")], body, width, 2)
    if cut:
        yield [(f"  ... {plural(len(cut), 'more problem')}, all with --format json", "dim")]


def _hints(dump: DumpReport, width: int) -> Iterator[Line]:
    if not dump.hints:
        return
    yield [("NEXT", "heading"), ("  for a dump that says more", "dim")]
    for hint in dump.hints:
        yield from hang([("  ", "")], [(clean(hint), "")], width, 2)
