"""The report as Markdown, for a ticket or a chat: headings, tables, trees in fences, a stack sample to unfold.

Text from a dump goes into code spans and fences that it cannot close, or is escaped: it makes no table cell, heading,
HTML, link or mention of its own.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from threaddump.report import DumpReport, Finding, Group, Report, Series
from threaddump.reports import across, over_time, words
from threaddump.reports.text import Line, clean, plain, plural
from threaddump.reports.words import Phrases, Row
from threaddump_parsers.model import Problem

_FENCE_WIDTH = 100
_SAMPLES = 5
_FRAMES = 60
_EVIDENCE = 3

_PUNCTUATION = re.compile(r"[\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_BLOCK_START = re.compile(r"^(?:([-+=#:])|(\d+)([.)]))")
_URL = re.compile(r"https?://[A-Za-z0-9._~:/?#!&'*+,;=%-]+")


def write(report: Report, out: TextIO, *, top: int) -> None:
    """Write the report as Markdown; each list shows its ``top`` first, 0 for all."""
    out.writelines(line + "\n" for line in _lines(report, top))


# Escaping.


def inline(text: str, limit: int = 1000) -> str:
    """Cleaned text that renders as itself within a paragraph, a heading, a list item or a table cell."""
    text = clean(text, limit).strip()
    text = _PUNCTUATION.sub(r"\\\g<0>", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = text.replace("://", "&#58;//").replace("www.", "www&#46;")
    text = _BLOCK_START.sub(lambda match: f"\\{match[1]}" if match[1] else f"{match[2]}\\{match[3]}", text)
    return _unmention(text)


def _unmention(text: str) -> str:
    """Keep ``@name`` and ``#12`` from notifying people and linking issues: trackers look at the rendered text."""
    return re.sub(r"@(?=\w)|(?<!&)#(?=\d)", r"\g<0>&#8203;", text)


def code(text: str, *, cell: bool = False) -> str:
    """A code span that its content cannot leave; ``cell``: within a table."""
    text = clean(text)
    if not text.strip():
        return "(empty)"
    ticks = _ticks(text, 1)
    pad = " " if text[0] in "` " or text[-1] in "` " else ""
    span = f"{ticks}{pad}{text}{pad}{ticks}"
    return span.replace("|", "\\|") if cell else span


def _ticks(text: str, least: int) -> str:
    """A run of backticks longer than any within the text."""
    return "`" * max(least, 1 + max(map(len, re.findall("`+", text)), default=0))


def _fence(lines: Sequence[str]) -> Iterator[str]:
    ticks = _ticks("\n".join(lines), 3)
    yield ticks + "text"
    yield from lines
    yield ticks
    yield ""


def _summary(text: str) -> str:
    return _unmention(html.escape(clean(text)))


# The layout.


def _lines(report: Report, top: int) -> Iterator[str]:
    yield "# Thread dump report"
    yield ""
    if not report.dumps:
        yield "No thread dump was found."
        yield ""
    if report.rules:
        yield f"Own rules: {', '.join(map(code, report.rules))}"
        yield ""
    selection = words.select(report)
    if report.tiers:
        yield from _tiers(report, top)
    if selection.listed:
        yield inline(words.selection_words(report, selection))
        yield ""
        yield from _overview(selection)
    for series in report.series:
        yield from _series(series, top)
    for dump in selection.full:
        yield from _dump(dump, len(report.dumps) > 1, top)
    if report.problems:
        yield "## Input problems"
        yield ""
        yield from _problems(report.problems, top)
    if selection.rest:
        yield inline(words.rest_words(selection))


def _tiers(report: Report, top: int) -> Iterator[str]:
    yield f"## Tiers: {inline(across.summary(report))}"
    yield ""
    yield from _fenced([list(across.lines(report, _FENCE_WIDTH))])
    apart = across.tiers_apart(report.cascades)
    if apart:
        yield inline(apart)
        yield ""
    kept, cut = words.cap([finding for each in report.cascades for finding in each.findings], top)
    for finding in kept:
        yield from _finding(finding)
    if cut:
        yield f"{plural(len(cut), 'more finding')} not shown."
        yield ""


def _series(series: Series, top: int) -> Iterator[str]:
    yield f"## Over time: {inline(over_time.title(series))}"
    yield ""
    yield f"**{inline(over_time.summary(series))}**"
    yield ""
    for note in over_time.caveats(series):
        yield inline(note)
        yield ""
    kept, cut = words.cap(series.findings, top)
    for finding in kept:
        yield from _finding(finding)
    if cut:
        yield f"{plural(len(cut), 'more finding')} not shown."
        yield ""
    yield from _fenced([list(over_time.table(series, _FENCE_WIDTH))])


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table; titles that end in a colon head right-aligned columns."""
    yield "| " + " | ".join(title.rstrip(":") for title in titles) + " |"
    yield "| " + " | ".join("---:" if title.endswith(":") else "---" for title in titles) + " |"
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def _overview(selection: words.Selection) -> Iterator[str]:
    rows = []
    for dump, source in zip(selection.listed, words.listed_sources(selection.listed), strict=True):
        severity, summary = words.overview_words(dump)
        rows.append((code(source, cell=True), inline(dump.taken_at or "", 60), severity or "", inline(summary)))
    yield from table(["Dump", "Taken at", "Severity", "Worst finding"], rows)
    if selection.unlisted:
        yield plural(selection.unlisted, "more dump") + " not listed."
        yield ""


def _dump(dump: DumpReport, numbered: bool, top: int) -> Iterator[str]:
    title, *parts = words.headline(dump, numbered=numbered)
    yield f"## {code(title)}"
    yield ""
    yield " · ".join(inline(part) for part in parts)
    yield ""
    if dump.merged:
        yield inline(words.merged_words(dump))
        yield ""
    if dump.duplicate_of is not None:
        yield inline(words.duplicate_words(dump))
        yield ""
        return
    phrases = Phrases(dump)
    if words.is_calm(dump):
        yield inline(words.calm_words(dump))
        yield ""
    kept, cut = words.cap(words.findings_of(dump), top)
    compact = [finding for finding in kept if finding.severity in words.COMPACT]
    for finding in kept:
        if finding not in compact:
            yield from _finding(finding)
    for finding in compact:
        yield from _compact(finding)
    if compact:
        yield ""
    if cut:
        yield f"{plural(len(cut), 'more finding')} not shown."
        yield ""
    yield from _deadlocks(dump, phrases, top)
    yield from _groups(dump, phrases, top)
    yield from _locks(dump, phrases, top)
    yield from _chains(dump, phrases, top)
    yield from _containers(phrases, top)
    for group in _sampled(dump, top):
        yield from _sample(group, phrases)
    if dump.problems or dump.unread_lines:
        yield f"### Input: {words.input_words(dump.problems, dump.unread_lines)}"
        yield ""
        yield from _problems(dump.problems, top)
    if dump.hints:
        yield "### For a dump that says more"
        yield ""
        yield from _fence([clean(hint) for hint in dump.hints])


def _finding(finding: Finding) -> Iterator[str]:
    yield f"### {finding.severity.upper()}: {inline(finding.title)}"
    yield ""
    if finding.detail:
        yield inline(finding.detail, 2000)
        yield ""
    items = list(_items(finding))
    yield from items
    if items:
        yield ""


def _compact(finding: Finding) -> Iterator[str]:
    """One item of a list, what it asks for nested in it."""
    detail = f". {inline(finding.detail, 2000)}" if finding.detail else ""
    yield f"- **{finding.severity.upper()}:** {inline(finding.title)}{detail}"
    for item in _items(finding):
        yield f"  {item}"


def _items(finding: Finding) -> Iterator[str]:
    for advice in finding.advice:
        yield f"- **Do:** {inline(advice)}"
    for step in finding.recovery:
        yield f"- **Recover:** {inline(step)}"
    if finding.evidence:
        yield f"- **Evidence:** {inline(words.evidence_words(finding.evidence, _EVIDENCE))}"
    for reference in finding.references:
        yield f"- **See:** {_reference(reference)}"


def _reference(reference: str) -> str:
    return f"<{reference}>" if len(reference) < 500 and _URL.fullmatch(reference) else code(reference)


def _groups(dump: DumpReport, phrases: Phrases, top: int) -> Iterator[str]:
    groups = words.loud_groups(dump)
    quiet = words.quiet_words(dump)
    if groups:
        yield "### Blocking frames"
        yield ""
        kept, cut = words.cap(words.rows_of(groups, phrases), top)
        yield from table(["Threads:", "Kind", "Where", "What"], map(_row, kept))
        if cut:
            yield f"{plural(len(cut), 'more group')} with {plural(sum(row.count for row in cut), 'thread')}."
            yield ""
    if quiet and not words.is_calm(dump):
        yield f"Also: {quiet}."
        yield ""


def _row(row: Row) -> list[str]:
    note = f"{row.notes} ({row.reason})" if row.reason else row.notes
    where = code(row.place, cell=True) if row.place else "(no frames)"
    return [str(row.count), inline(words.kind_words(row.kind)), where, inline(note)]


def _locks(dump: DumpReport, phrases: Phrases, top: int) -> Iterator[str]:
    locks, untold = words.main_locks(dump, top)
    if not locks:
        return
    yield "### Locks"
    yield ""
    kept, cut = words.cap(locks, top)
    rows = [
        (str(len(lock.waiting)), code(phrases.lock_title(lock), cell=True), inline(plain(phrases.owner(lock))))
        for lock in kept
    ]
    yield from table(["Waiting:", "Lock", "Owner"], rows)
    if cut:
        yield f"{plural(len(cut), 'more lock')}."
        yield ""
    if untold:
        yield f"{words.main_locks_words(untold)}."
        yield ""


def _chains(dump: DumpReport, phrases: Phrases, top: int) -> Iterator[str]:
    if not dump.chains:
        return
    yield "### Wait chains"
    yield ""
    kept, cut = words.cap(sorted(dump.chains, key=lambda chain: -chain.waiting), top)
    yield from _fenced([phrases.chain_lines(chain, _FENCE_WIDTH, top) for chain in kept])
    if cut:
        yield f"{plural(len(cut), 'more chain')}."
        yield ""


def _containers(phrases: Phrases, top: int) -> Iterator[str]:
    lines = phrases.container_lines(_FENCE_WIDTH, top)
    if lines:
        yield "### Thread containers"
        yield ""
        yield from _fenced([lines])


def _deadlocks(dump: DumpReport, phrases: Phrases, top: int) -> Iterator[str]:
    if not dump.deadlocks:
        return
    yield "### Deadlocks"
    yield ""
    kept, cut = words.cap(sorted(dump.deadlocks, key=lambda deadlock: -deadlock.behind), top)
    yield from _fenced([phrases.deadlock_lines(deadlock, _FENCE_WIDTH, top) for deadlock in kept])
    if cut:
        yield f"{plural(len(cut), 'more deadlock')}."
        yield ""


def _fenced(blocks: Sequence[Sequence[Line]]) -> Iterator[str]:
    yield from _fence([plain(line) for block in blocks for line in block])


def _sampled(dump: DumpReport, top: int) -> list[Group]:
    """Groups whose stack is worth a look: those that findings are about, then the largest waiting ones."""
    by_id = {group.id: group for group in dump.groups}
    cited = [by_id[finding.group] for finding in words.findings_of(dump) if finding.group in by_id]
    waiting = [group for group in words.loud_groups(dump) if words.is_waiting(group)]
    unique = {group.id: group for group in (*cited, *waiting) if group.stack}
    return list(unique.values())[: min(top, _SAMPLES) if top > 0 else _SAMPLES]


def _sample(group: Group, phrases: Phrases) -> Iterator[str]:
    place = phrases.place(group.caller, group.blocking_frame)
    which = f"One of {group.count} stacks" if group.count > 1 else "Stack"
    yield f"<details><summary>{_summary(f'{which}: {words.kind_words(group.kind)} {place}')}</summary>"
    yield ""
    kept, cut = words.cap(group.stack, _FRAMES)
    stack = [f"    {clean(frame)}" for frame in kept]
    if cut:
        stack.append(f"    ... {plural(len(cut), 'more frame')}")
    if group.threads:
        stack.insert(0, words.thread_words(group.threads[0], group.lines[0] if group.lines else None))
    yield from _fence(stack)
    yield "</details>"
    yield ""


def _problems(problems: Sequence[Problem], top: int) -> Iterator[str]:
    kept, cut = words.cap(problems, top)
    for problem in kept:
        place, reason, text = words.problem_words(problem)
        line = f"- {place}: {inline(reason)}" if place else f"- {inline(reason)}"
        yield f"{line}: {code(text)}" if text else line
    if cut:
        yield f"- {plural(len(cut), 'more problem')}"
    if problems:
        yield ""
