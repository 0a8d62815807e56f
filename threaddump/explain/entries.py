"""What a catalog entry matches, and what its library offers: ``threaddump explain ENTRY``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from threaddump import catalog
from threaddump.catalog import Entry
from threaddump.classify import weight
from threaddump.explain.layout import bullets, labelled, paragraph
from threaddump.reports import words
from threaddump.reports.text import Line, hang


@cache
def families() -> dict[str, catalog.Catalog]:
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


def entry_lines(entry: Entry, family: str, width: int) -> Iterator[Line]:
    place, row = _source_of(entry, family)
    role = {
        "primitive": "primitive: names the call that blocks, and yields to entries that name its library",
        "marker": "marker: decides nothing by itself",
        "transparent": "transparent: never a blocking frame, and never a caller",
    }.get(entry.role, entry.role)
    yield from hang([(entry.id, "title"), ("  ", "")], [(f"catalog entry, {place}", "dim")], width, len(entry.id) + 2)
    yield []
    yield from labelled("kind", words.kind_words(entry.kind) if entry.kind else "none", width)
    yield from labelled("role", role, width)
    capped = f", counts as {weight(entry)}" if weight(entry) != entry.priority else ""
    yield from labelled("priority", f"{entry.priority}{capped}", width)
    for label, value in (("system", entry.system), ("phase", entry.phase), ("timeout", _timed_words(entry))):
        if value:
            yield from labelled(label, value, width)
    if entry.note:
        yield from labelled("note", entry.note, width)
    yield from labelled("verified", _verified(row), width)
    yield []
    yield [("MATCHES", "heading")]
    yield from bullets(entry.match, width, "frame")
    conditions = [
        *(f"and one of these frames is on the stack: {', '.join(entry.requires)}" for _ in entry.requires[:1]),
        *(f"and none of these frames is: {', '.join(entry.forbids)}" for _ in entry.forbids[:1]),
        *(f"and the state is {' or '.join(entry.states)}, where the dump has states" for _ in entry.states[:1]),
    ]
    if entry.max_depth is not None:
        conditions.append(f"and the frame is one of the innermost {entry.max_depth}")
    for condition in conditions:
        yield from paragraph(condition, width)
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
    yield from labelled("key", f"{profile['key']}, system {profile.get('system', 'none')}", width)
    yield from labelled("packages", ", ".join(profile.get("packages", ())) or "none", width)
    for timeout in profile.get("timeouts", ()):
        forever = "; without it the wait has no end" if timeout.get("infinite_by_default") else ""
        text = f"{timeout['knob']} (default: {timeout['default']}{forever})"
        yield from labelled("timeout", [(f"{timeout['phase']}: ", "strong"), (text, "")], width)
    for knob in profile.get("pool", ()):
        yield from labelled("pool", f"{knob['knob']} (default: {knob['default']})", width)
    for step in profile.get("recovery", ()):
        yield from labelled("recover", step, width)
    if profile.get("note"):
        yield from labelled("note", profile["note"], width)
    yield from labelled("verified", _verified(profile), width)
