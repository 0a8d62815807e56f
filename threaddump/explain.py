"""``threaddump explain``: what a finding means, what a catalog entry matches, and why a thread got its kind.

Each answer is a function from a width to lines of styled segments, which ``reports.terminal`` prints. Nothing is
decided here: a thread is explained with the classifier's own steps, and the candidates that lost are asked why.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from threaddump import catalog, intake
from threaddump.catalog import Entry, glob_test
from threaddump.classify import NETWORK_PRIMITIVE, Classifier, Verdict, effective_state, ruled_out, weight, winner_of
from threaddump.findings import run
from threaddump.findings.facts import Facts
from threaddump.groups import group_threads, integration, lock_id
from threaddump.report import SEVERITIES, Severity
from threaddump.reports import terminal, words
from threaddump.reports.text import Line, Segment, cells, clean, hang, plural
from threaddump.sources import InputError, Source
from threaddump.waits import find_waits
from threaddump.waits.owners import CLASS_INIT, INITIALISER
from threaddump_parsers.model import Dump, Frame, Lock, Thread

TEXTS = Path(__file__).parent / "findings" / "texts.toml"
LISTED = 10
"""Threads of an ambiguous name that are listed."""
FRAMES = 60
"""Frames of a stack that are shown in any case; further down only those that bear a mark, and the outermost."""
OUTERMOST = 5
_MIN_WIDTH, _MAX_WIDTH = 40, 120
_LABEL = 11
_MARK = 18
"""Cells before a frame: its number, and whose it is."""
_WAITS = {"external-call", "pool-wait", "lock-wait", "sync-wait", "queue-put"}

Answer = Callable[[int], Iterator[Line]]
"""Lines that fit a width."""


class AmbiguousError(InputError):
    """A name that several threads have: ``lines`` lists them."""

    def __init__(self, message: str, lines: list[str], hint: str) -> None:
        super().__init__(message, hint)
        self.lines = lines


# Layout


def write(answer: Answer, out: TextIO, width: int, color: bool) -> None:
    """Print an answer as the terminal report is printed."""
    lines = answer(_width(width))
    if color:
        terminal._write_color(lines, out, _width(width))
    else:
        terminal._write_plain(lines, out)


def _width(width: int) -> int:
    return min(max(width, _MIN_WIDTH), _MAX_WIDTH)


def _field(label: str, segments: Sequence[Segment] | str, width: int) -> Iterator[Line]:
    """``  label      text``, the text wrapped beside its label."""
    body: Sequence[Segment] = [(segments, "")] if isinstance(segments, str) else segments
    head: Line = [("  ", ""), (label, "label"), (" " * max(1, _LABEL - 2 - cells(label)), "")]
    yield from hang(head, body, width, _LABEL)


def _items(items: Iterable[str], width: int, style: str = "") -> Iterator[Line]:
    for item in items:
        yield from hang([("  · ", "dim")], [(item, style)], width, 4)


def _paragraph(text: str, width: int) -> Iterator[Line]:
    yield from hang([("  ", "")], [(text, "")], width, 2)


# Findings


@dataclass(slots=True, frozen=True)
class FindingText:
    """What is to say about a finding, whatever dump it is found in."""

    id: str
    summary: str
    meaning: str
    trigger: str
    severity: dict[Severity, str]
    """When it is how severe; worst first."""
    do: tuple[str, ...]
    not_proven: tuple[str, ...]
    references: tuple[tuple[str, str], ...]
    """Titles and addresses of official documentation."""


@cache
def finding_texts() -> dict[str, FindingText]:
    """The texts by finding, in the order of the file. ``{calls.HOT}`` in them is that constant's value."""
    data = tomllib.loads(TEXTS.read_text("utf-8"))
    return {row["id"]: _text(row) for row in data["finding"]}


def _text(row: dict[str, Any]) -> FindingText:
    severity: dict[Severity, str] = {level: _filled(row["severity"][level]) for level in _levels(row["severity"])}
    return FindingText(
        row["id"],
        _filled(row["summary"]),
        _filled(row["meaning"]),
        _filled(row["trigger"]),
        severity,
        tuple(map(_filled, row["do"])),
        tuple(map(_filled, row["not_proven"])),
        tuple((title, url) for title, url in row["references"]),
    )


def _levels(severity: dict[str, str]) -> Iterator[Severity]:
    return (level for level in SEVERITIES if level in severity)


def _filled(text: str) -> str:
    """The text with the rules' own thresholds: ``{calls.HOT}``, or ``{saturation.LOW_CPU:%}`` as a percentage."""

    def value(match: re.Match[str]) -> str:
        found = getattr(import_module(f"threaddump.findings.{match[1]}"), match[2])
        return f"{found * 100:g} %" if match[3] else f"{found:,}"

    return re.sub(r"\{(\w+)\.(\w+)(:%)?\}", value, " ".join(text.split()))


def list_lines(width: int) -> Iterator[Line]:
    """All findings, one line each."""
    texts = finding_texts()
    indent = max(map(len, texts), default=0) + 4
    yield [("FINDINGS", "heading")]
    for text in texts.values():
        yield from hang([("  ", ""), (text.id, "strong")], [(text.summary, "")], width, indent)
    count = sum(len(known.entries) for known in _families().values())
    yield []
    yield from hang([], [(f"More on one: threaddump explain {next(iter(texts))}", "")], width, 0)
    yield from hang(
        [],
        [(f"Or on one of the {count} catalog entries: threaddump explain jvm.pool.hikari", "")],
        width,
        0,
    )


def id_answer(name: str) -> Answer:
    """What is known about a finding or a catalog entry of this id. Raises InputError for any other word."""
    text = finding_texts().get(name)
    if text is not None:
        return partial(_finding_lines, text)
    for family, known in _families().items():
        if name in known.by_id:
            return partial(_entry_lines, known.by_id[name], family)
    raise _unknown(name)


def _unknown(name: str) -> InputError:
    if name and Path(name).exists():
        return InputError(
            f"{name} is a file or folder, and no id",
            "threaddump explain --thread NAME FILE   or   threaddump analyze FILE",
        )
    known = [*finding_texts(), *(entry.id for family in _families().values() for entry in family.entries)]
    near = difflib.get_close_matches(name, known, 3, 0.5) if len(name) <= 100 else []
    near += [other for other in known if name and name in other and other not in near]
    hint = "   or   ".join(f"threaddump explain {other}" for other in near[:3])
    return InputError(
        f"{clean(name, 100)!r} is neither a finding nor a catalog entry", hint or "threaddump explain, for all findings"
    )


def _finding_lines(text: FindingText, width: int) -> Iterator[Line]:
    yield from hang([(text.id, "title"), ("  ", "")], [(text.summary, "")], width, len(text.id) + 2)
    for heading, paragraph in (("MEANING", text.meaning), ("TRIGGER", text.trigger)):
        yield []
        yield [(heading, "heading")]
        yield from _paragraph(paragraph, width)
    yield []
    yield [("SEVERITY", "heading")]
    for level, when in text.severity.items():
        yield from _field(level, when, width)
    for heading, items in (("WHAT TO DO", text.do), ("WHAT IT DOES NOT PROVE", text.not_proven)):
        yield []
        yield [(heading, "heading")]
        yield from _items(items, width)
    yield []
    yield [("REFERENCES", "heading")]
    for title, url in text.references:
        yield from _items([title], width)
        # An address stays whole: it is there to be copied.
        yield [("    ", ""), (url, "dim")]


# Catalog entries


@cache
def _families() -> dict[str, catalog.Catalog]:
    names = sorted(path.name for path in catalog.DATA.iterdir() if path.is_dir() and path.name != "libraries")
    return {name: catalog.load(name) for name in names}


def _source_of(entry: Entry, family: str) -> tuple[str, dict[str, Any]]:
    """The entry as its TOML has it, with what the compiled form leaves out, and the name of the file."""
    for path in catalog.compiler.sources(catalog.DATA / family):
        if f'"{entry.id}"' in path.read_text("utf-8"):
            for row in catalog.compiler.read_toml(path).get("entry", []):
                if row["id"] == entry.id:
                    return f"{family}/{path.name}", row
    return family, {}


def _entry_lines(entry: Entry, family: str, width: int) -> Iterator[Line]:
    place, row = _source_of(entry, family)
    role = {
        "primitive": "primitive: names the call that blocks, and yields to entries that name its library",
        "marker": "marker: decides nothing by itself",
        "transparent": "transparent: never a blocking frame, and never a caller",
    }.get(entry.role, entry.role)
    yield from hang([(entry.id, "title"), ("  ", "")], [(f"catalog entry, {place}", "dim")], width, len(entry.id) + 2)
    yield []
    yield from _field("kind", words.kind_words(entry.kind) if entry.kind else "none", width)
    yield from _field("role", role, width)
    capped = f", counts as {weight(entry)}" if weight(entry) != entry.priority else ""
    yield from _field("priority", f"{entry.priority}{capped}", width)
    for label, value in (("system", entry.system), ("phase", entry.phase), ("timeout", _timed_words(entry))):
        if value:
            yield from _field(label, value, width)
    if entry.note:
        yield from _field("note", entry.note, width)
    yield from _field("verified", _verified(row), width)
    yield []
    yield [("MATCHES", "heading")]
    yield from _items(entry.match, width, "frame")
    conditions = [
        *(f"and one of these frames is on the stack: {', '.join(entry.requires)}" for _ in entry.requires[:1]),
        *(f"and none of these frames is: {', '.join(entry.forbids)}" for _ in entry.forbids[:1]),
        *(f"and the state is {' or '.join(entry.states)}, where the dump has states" for _ in entry.states[:1]),
    ]
    if entry.max_depth is not None:
        conditions.append(f"and the frame is one of the innermost {entry.max_depth}")
    for condition in conditions:
        yield from _paragraph(condition, width)
    profile = catalog.libraries(family).get(entry.library or "")
    yield []
    if profile is None:
        yield from hang([("LIBRARY", "heading"), ("  ", "")], [(entry.library or "none", "")], width, 9)
    else:
        yield from _profile_lines(profile, width)


def _timed_words(entry: Entry) -> str:
    frames = f": {', '.join(entry.timed_frames)}" if entry.timed_frames else ""
    return {
        "always": "always bounded",
        "never": "never bounded",
        "state": "TIMED_WAITING has one, WAITING has none",
        "frame": f"there is one if the stack shows it{frames}",
        "line": "told by the line of the waiting call, per version of Python",
        "locals": "told by local variables, where the dump has them",
        "unknown": "the stack does not show it",
    }.get(entry.timed or "", "")


def _verified(row: dict[str, Any]) -> str:
    evidence = f": {row['evidence']}" if row.get("evidence") else ""
    return f"{'yes' if row.get('verified') else 'no'}{evidence}"


def _profile_lines(profile: dict[str, Any], width: int) -> Iterator[Line]:
    yield from hang([("LIBRARY", "heading"), ("  ", "")], [(profile["name"], "strong")], width, 9)
    yield from _field("key", f"{profile['key']}, system {profile.get('system', 'none')}", width)
    yield from _field("packages", ", ".join(profile.get("packages", ())) or "none", width)
    for timeout in profile.get("timeouts", ()):
        forever = "; without it the wait has no end" if timeout.get("infinite_by_default") else ""
        text = f"{timeout['knob']} (default: {timeout['default']}{forever})"
        yield from _field("timeout", [(f"{timeout['phase']}: ", "strong"), (text, "")], width)
    for knob in profile.get("pool", ()):
        yield from _field("pool", f"{knob['knob']} (default: {knob['default']})", width)
    for step in profile.get("recovery", ()):
        yield from _field("recover", step, width)
    if profile.get("note"):
        yield from _field("note", profile["note"], width)
    yield from _field("verified", _verified(profile), width)


# A thread


@dataclass(slots=True)
class Found:
    """A thread that was asked for. ``dump`` is kept only where the thread may be the one to explain."""

    source: str
    words: str
    line: int
    dump: Dump | None
    index: int


def find_thread(
    sources: Sequence[Source], name: str | None, line: int | None, on_error: Callable[[InputError], None]
) -> tuple[Dump, int, str]:
    """The one thread with this name, or with this line in its entry: its dump, its index there, and the source.

    An equal name is preferred to one that only contains it. Raises AmbiguousError for several and InputError for none.
    Inputs that cannot be used are handed to ``on_error`` and the rest goes on; if none can be used, the last is raised.
    """
    equal: list[Found] = []
    containing: list[Found] = []
    names: set[str] = set()
    failed: list[InputError] = []
    readable = 0
    for source in sources:
        try:
            for dump in intake.dumps(source):
                readable += 1
                names.update(thread.name for thread in dump.threads)
                for index in range(len(dump.threads)) if line is None else _at_line(dump, line):
                    thread = dump.threads[index]
                    if name is not None and name.casefold() not in thread.name.casefold():
                        continue
                    found = equal if name is None or name == thread.name else containing
                    found.append(Found(source.name, _thread_words(thread), thread.line, None if found else dump, index))
        except InputError as error:
            failed.append(error)
    last = failed.pop() if failed and not readable else None
    for problem in failed:
        on_error(problem)
    if last is not None:
        raise last
    hits = equal or containing
    if not hits:
        raise _none(name, line, names)
    if len(hits) > 1:
        raise _several(hits, name, line)
    assert hits[0].dump is not None
    return hits[0].dump, hits[0].index, hits[0].source


def _at_line(dump: Dump, line: int) -> list[int]:
    """The thread whose entry has this input line: the last one that begins there or above."""
    deadlocks = min((deadlock.line for deadlock in dump.deadlocks if deadlock.line > dump.line), default=line + 1)
    if not dump.line <= line <= max(dump.end_line, dump.line):
        return []
    above = [(thread.line, index) for index, thread in enumerate(dump.threads) if thread.line <= line]
    last = max(above, default=None)
    return [] if last is None or last[0] < deadlocks <= line else [last[1]]


def _none(name: str | None, line: int | None, names: set[str]) -> InputError:
    if name is None:
        return InputError(
            f"no thread has line {line} in its entry", "name the line of its header, or use --thread NAME"
        )
    where = f" at line {line}" if line is not None else ""
    near = difflib.get_close_matches(name, sorted(names)[:20_000], 3, 0.5) if len(name) <= 100 else []
    hint = ", or ".join(f'--thread "{clean(other, 100)}"' for other in near)
    return InputError(
        f'no thread{where} has "{clean(name, 100)}" in its name', hint or "a part of a name that the dump has"
    )


def _several(hits: Sequence[Found], name: str | None, line: int | None) -> AmbiguousError:
    several = len({hit.source for hit in hits}) > 1
    lines = []
    for hit in hits[:LISTED]:
        where = f" of {clean(hit.source)}" if several else ""
        lines.append(f"  {hit.words}{where}")
    if len(hits) > LISTED:
        lines.append(f"  ... {len(hits) - LISTED} more")
    what = f'"{clean(name, 100)}" names' if name is not None else f"line {line} is in the entries of"
    if name is not None and line is None:
        hint = f"a longer name, or the line of one of them: --line {hits[0].line}"
    else:
        hint = "one file at a time"
    return AmbiguousError(f"{what} {len(hits)} threads", lines, hint)


@dataclass(frozen=True)
class Trace:
    """The steps by which one thread got its verdict."""

    facts: Facts
    index: int

    @property
    def dump(self) -> Dump:
        return self.facts.dump

    @property
    def classifier(self) -> Classifier:
        return self.facts.classifier

    @property
    def thread(self) -> Thread:
        return self.dump.threads[self.index]

    @property
    def verdict(self) -> Verdict:
        return self.facts.verdicts[self.index]

    @cached_property
    def state(self) -> str | None:
        """The state that the verdict goes by."""
        return effective_state(self.thread, self.thread in self.classifier.stateless(self.dump))

    @cached_property
    def keys(self) -> list[str]:
        return [self.classifier.key(frame) for frame in self.thread.stack]

    @cached_property
    def matched(self) -> list[tuple[Entry, ...]]:
        return [self.classifier.catalog.frames.find(key) for key in self.keys]

    @cached_property
    def zone(self) -> int:
        """How many frames stand above the application; of a BLOCKED thread only the top frame counts."""
        return 1 if self.blocked else self.classifier.zone(self.keys, self.matched)

    @property
    def blocked(self) -> bool:
        return self.state == "BLOCKED"

    @property
    def by_frames(self) -> bool:
        """Whether the frames were asked at all."""
        return bool(self.thread.stack) and self.thread.carries is None

    @cached_property
    def hits(self) -> list[tuple[int, Entry]]:
        return self.classifier.candidates(self.keys, self.matched, self.zone, self.state)

    @cached_property
    def winner(self) -> tuple[int, Entry] | None:
        """The entry that won, and its frame; None where the state or the name decided."""
        if not self.by_frames or self.verdict.entry is None:
            return None
        if self.blocked:
            entry = self.verdict.entry
            return (0, entry) if entry in self.matched[0] else None
        return winner_of(self.hits)

    @cached_property
    def blocking(self) -> int | None:
        """The blocking frame: of those of its name the winner's own, or the first primitive, or the first."""
        if self.verdict.blocking_frame is None:
            return None
        same = [i for i, f in enumerate(self.thread.stack) if self.classifier.shown(f) == self.verdict.blocking_frame]
        preferred = [self.winner[0]] if self.winner else []
        preferred += [index for index, entry in self.hits if entry.role == "primitive"]
        return next((index for index in preferred if index in same), same[0] if same else None)

    @cached_property
    def caller(self) -> int | None:
        name = self.verdict.caller
        return next((i for i, f in enumerate(self.thread.stack) if self.classifier.shown(f) == name), None)

    def owner_of_frame(self, index: int) -> str:
        """Whose a frame is."""
        key = self.keys[index]
        if key.startswith("native:"):
            return "native"
        if self.classifier.is_platform(key):
            return "platform"
        if self.classifier.catalog.proxies.find(key):
            return "proxy"
        known = any(entry.library for entry in self.matched[index])
        return "library" if known or self.classifier.is_library(key) else "application"

    def losers(self) -> Iterator[tuple[int, Entry, str]]:
        """Entries that match a frame and did not win: frame, entry, why."""
        hits = {id(entry) for _, entry in self.hits}
        won = self.winner[1] if self.winner else None
        seen = {id(won)}
        for index, entries in enumerate(self.matched):
            for entry in entries:
                if id(entry) in seen or entry.role in {"marker", "transparent"}:
                    continue
                if not self.blocked and id(entry) in hits and (index, entry) not in self.hits:
                    continue  # counted at another frame
                seen.add(id(entry))
                yield index, entry, self._why_lost(index, entry, id(entry) in hits)

    def _why_lost(self, index: int, entry: Entry, hit: bool) -> str:
        if self.blocked:
            if index or entry.kind != "lock-wait":
                return "the thread is BLOCKED: it waits to enter its top frame, and no frame below is the cause"
            return self._weaker(index, entry)
        if hit:
            return self._weaker(index, entry)
        if index > self.zone or (index == self.zone and entry.library is not None):
            return f"outside of the zone, which ends above frame {self.zone}"
        field = ruled_out(entry, index, self.keys, self.state)
        if field == "states":
            return f"needs the state {' or '.join(entry.states)}; it is {self.state}"
        if field == "max_depth":
            return f"only for the innermost {entry.max_depth} frames"
        if field == "requires":
            more = f", {len(entry.requires) - 3} more" if len(entry.requires) > 3 else ""
            return f"needs one of these frames, none is on the stack: {', '.join(entry.requires[:3])}{more}"
        if field == "forbids":
            culprit = next((i for i, key in enumerate(self.keys) if any(glob_test(g)(key) for g in entry.forbids)), 0)
            return f"ruled out by frame {culprit}, {self.keys[culprit]}"
        return "inside a call or file access above it: a connection is made or checked there, not waited for"

    def _weaker(self, index: int, entry: Entry) -> str:
        if self.winner is None:
            return "the state decides"
        own, best = weight(entry), weight(self.winner[1])
        cap = f" (a primitive counts {NETWORK_PRIMITIVE} at most)" if own != entry.priority else ""
        names = "; it names the blocking frame" if index == self.blocking and entry.role == "primitive" else ""
        if own == best:
            return f"as strong as the winner, but further out{names}"
        return f"lower priority: {own} against {best}{cap}{names}"


def trace(dump: Dump, index: int) -> Trace:
    """Analyse the dump as ``analyze`` does, and keep what is known on one thread."""
    classifier = Classifier(dump.family)
    verdicts = classifier.verdicts(dump)
    groups, group_of = group_threads(dump, verdicts)
    waits = find_waits(dump, verdicts, groups, group_of, classifier)
    return Trace(Facts(dump, verdicts, groups, group_of, waits, classifier), index)


def thread_answer(dump: Dump, index: int, source: str) -> Answer:
    """Why this thread got its kind."""
    return partial(_thread_lines, trace(dump, index), source)


def _thread_lines(told: Trace, source: str, width: int) -> Iterator[Line]:
    yield from _head_lines(told, source, width)
    yield []
    yield from _verdict_lines(told, width)
    yield []
    yield from _stack_lines(told, width)
    if told.by_frames:
        yield []
        yield from _candidate_lines(told, width)
    yield []
    yield from _wait_lines(told, width)


def _head_lines(told: Trace, source: str, width: int) -> Iterator[Line]:
    thread, dump = told.thread, told.dump
    # The whole name, however long: it may be the one that was asked for.
    name = f'"{clean(thread.name)}"' if thread.name else _thread_words(thread).rpartition(" line ")[0]
    yield from hang([], [(name, "thread"), (f" line {thread.line} of {clean(source)}", "")], width, 0)
    runtime = " ".join(clean(part, 80) for part in (dump.runtime, dump.version) if part)
    facts = [runtime or dump.family, clean(dump.taken_at or "", 60), "a virtual thread" if thread.virtual else ""]
    yield from hang([], [(" · ".join(filter(None, facts)), "dim")], width, 0)


def _verdict_lines(told: Trace, width: int) -> Iterator[Line]:
    thread, verdict = told.thread, told.verdict
    timed = words.timeout_words(verdict.kind, verdict.phase, verdict.timed)
    said = [words.kind_words(verdict.kind), words.phase_words(verdict.kind, verdict.phase), timed]
    yield [("VERDICT", "heading"), ("  ", ""), (", ".join(part for part in said if part), "strong")]
    yield from _field("because", _because(told), width)
    used = integration(verdict, told.dump.family)
    if used is not None:
        system = f", {used.system}" if used.system else ""
        yield from _field("library", f"{clean(used.name)}{system}", width)
    yield from _field("caller", clean(verdict.caller) if verdict.caller else "no frame of the application", width)
    if verdict.kind in _WAITS or verdict.timed_reason:
        has = {True: "yes", False: "none", None: "not known"}[verdict.timed]
        yield from _field("timeout", has + (f": {clean(verdict.timed_reason)}" if verdict.timed_reason else ""), width)
    yield from _field("state", _state_words(told), width)
    if thread.cpu_ms is not None:
        alive = f" in {thread.elapsed_s:,.0f} s" if thread.elapsed_s is not None else ""
        yield from _field("cpu", f"{thread.cpu_ms / 1000:,.3f} s{alive}", width)
    for label, locks in (
        ("wants", [thread.blocked_on]),
        ("waits on", [thread.waiting_on]),
        ("released", thread.wait_released),
        ("holds", [held.lock for held in thread.holds]),
    ):
        shown = [_lock_words(lock) for lock in dict.fromkeys(locks) if lock is not None]
        if shown:
            more = f", {len(shown) - LISTED} more" if len(shown) > LISTED else ""
            yield from _field(label, ", ".join(shown[:LISTED]) + more, width)
    if verdict.entry is not None and verdict.entry.note:
        yield from _field("note", [(verdict.entry.note, "dim")], width)


def _lock_words(lock: Lock) -> str:
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
        if thread.state in {"NEW", "TERMINATED"}:
            return f"its state is {thread.state}"
        return "the dump shows no frame of it"
    if told.blocked:
        why = "it waits for a class to be initialised" if _initialising(thread) else "its state is BLOCKED"
        named = f", which entry {verdict.entry.id} describes" if verdict.entry and told.winner else ""
        return f"{why}: it cannot enter its top frame{named}"
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
    return thread.blocked_on is not None and (thread.blocked_on.id or "").startswith(CLASS_INIT)


def _state_words(told: Trace) -> str:
    thread = told.thread
    printed = clean(thread.printed_state or thread.state or "not printed", 100)
    if told.state == thread.state or not told.by_frames:
        return printed
    if told.blocked:
        return f"{printed}, read as BLOCKED: HotSpot prints no state for a class's initialisation"
    if thread.carrier is not None:
        return f"{printed}, read as RUNNABLE: it is mounted on {clean(thread.carrier, 100)}"
    return f"{printed}, not used: this dump calls threads that wait active, too"


def _stack_lines(told: Trace, width: int) -> Iterator[Line]:
    stack = told.thread.stack
    yield [("STACK", "heading"), (f"  {plural(len(stack), 'frame')}, the innermost first", "dim")]
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
            yield from _rule(_end_of_zone(told), width)
        yield from _frame_lines(told, index, frame, width)
        if told.by_frames and told.blocked and index == 0:
            yield from _rule("BLOCKED: only the frame above can be the cause", width)
    if told.by_frames and told.zone >= len(stack) and not told.blocked:
        yield from _rule("the zone is the whole stack: no frame is the application's", width)


def _end_of_zone(told: Trace) -> str:
    if told.winner is not None and told.winner[0] == told.zone:
        return "the zone ends here, but for a class of the application's own that an entry knows by its name"
    if not told.zone:
        return "no zone: the innermost frame is the application's, so the frames explain no wait"
    return "the zone ends here: what is below are callers, which explain no wait"


def _rule(text: str, width: int) -> Iterator[Line]:
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
    locks = [_lock_words(held.lock) for held in told.thread.holds if held.depth == index]
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
        yield from _field("won", [(told.verdict.entry.id, "strong"), (", by the state, whatever the frame", "")], width)
    elif not losers:
        yield from _paragraph("none", width)
    for index, entry, reason in losers:
        yield from _candidate("lost", index, entry, entry.kind or "unknown", width)
        yield from hang([("", "")], [(clean(reason, 600), "dim")], width, _LABEL)


def _candidate(word: str, index: int, entry: Entry, kind: str, width: int) -> Iterator[Line]:
    text = f", {words.kind_words(kind)}, priority {entry.priority}, frame {index}"
    yield from _field(word, [(entry.id, "strong"), (text, "")], width)


def _wait_lines(told: Trace, width: int) -> Iterator[Line]:
    yield [("WAITS", "heading")]
    yield from _field("for", _waits_for(told), width)
    for deadlock in told.facts.waits.deadlocks:
        if told.thread.line in deadlock.lines:
            yield from _field("deadlock", f"it is in a cycle of {plural(len(deadlock.threads), 'thread')}", width)
    yield from _field("behind it", _behind(told), width)
    unique = sum(thread.name == told.thread.name for thread in told.dump.threads) == 1
    for finding in run(told.facts):
        cited = any(place.line == told.thread.line for place in finding.evidence)
        if cited or (unique and told.thread.name in finding.thread_names):
            yield from _field("finding", [(finding.id, "strong"), (f" ({finding.severity})", "")], width)


def _waits_for(told: Trace) -> list[Segment]:
    """The thread or threads that it waits for, how that is known, or why nobody is named."""
    facts, graph, index = told.facts, told.facts.waits.graph, told.index
    convoy = graph.convoy_of.get(index)
    owner = graph.owner_of.get(index)
    if owner is not None:
        reason = convoy.reason if convoy is not None else INITIALISER if _initialising(told.thread) else None
        how = f" (inferred: {clean(reason, 400)})" if reason else " (printed by the runtime)"
        return [(_who(facts, owner), "thread"), (f", {_doing(facts, owner)}{how}", "")]
    pool = next((pool for pool in graph.pools if index in pool.waiters), None)
    if pool is not None and pool.holders:
        count = plural(len(pool.holders), "thread")
        first = pool.holders[0]
        text = f"a slot, probably held by {count} (inferred: {clean(pool.reason, 400)}); one of them: "
        return [(text, ""), (_who(facts, first), "thread"), (f", {_doing(facts, first)}", "")]
    if pool is not None:
        return [("a slot; no thread of this dump is seen to hold one", "")]
    if convoy is not None:
        return [(f"an owner that is not known: {clean(convoy.reason, 400)}", "")]
    wanted = lock_id(told.thread)
    lock = next((lock for lock in facts.waits.locks if wanted is not None and lock.id == wanted), None)
    if lock is not None and lock.owner is None and lock.owner_unknown:
        return [(f"an owner that is not known: {clean(lock.owner_unknown, 400)}", "")]
    return [(_WAITS_FOR.get(told.verdict.kind, "nobody that the dump names"), "")]


_WAITS_FOR = {
    "external-call": "another process; the dump does not say which",
    "io": "the file system or a pipe",
    "sleep": "the time to pass",
    "idle": "work to do",
    "running": "nobody",
    "runtime": "nobody: it serves the runtime",
}


def _who(facts: Facts, index: int) -> str:
    return _thread_words(facts.dump.threads[index])


def _thread_words(thread: Thread) -> str:
    """A thread's name and line; faulthandler prints no names, only addresses."""
    if thread.name:
        return words.thread_words(thread.name, thread.line)
    return f"thread {clean(thread.address or 'without a name', 40)} line {thread.line}"


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
