"""What a finding means, what triggers it, and what to do: ``threaddump explain ID``."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

from threaddump.explain.entries import entry_lines, families
from threaddump.explain.layout import Answer, bullets, labelled, paragraph
from threaddump.report import SEVERITIES, Severity
from threaddump.reports.text import Line, clean, hang
from threaddump.sources import InputError

TEXTS = Path(__file__).parent.parent / "findings" / "texts.toml"


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
    """The text with the rules' own thresholds: ``{calls.HOT}``, or ``{saturation.LOW_CPU:%}`` as a percentage.

    A module of another package than the findings' is named with it: ``{series.compare.PROOF}``.
    """

    def value(match: re.Match[str]) -> str:
        module = match[1] if "." in match[1] else f"findings.{match[1]}"
        found = getattr(import_module(f"threaddump.{module}"), match[2])
        return f"{found * 100:g} %" if match[3] else f"{found:,}"

    return re.sub(r"\{([\w.]+)\.(\w+)(:%)?\}", value, " ".join(text.split()))


def list_lines(width: int) -> Iterator[Line]:
    """All findings, one line each."""
    texts = finding_texts()
    indent = max(map(len, texts), default=0) + 4
    yield [("FINDINGS", "heading")]
    for text in texts.values():
        yield from hang([("  ", ""), (text.id, "strong")], [(text.summary, "")], width, indent)
    count = sum(len(known.entries) for known in families().values())
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
    for family, known in families().items():
        if name in known.by_id:
            return partial(entry_lines, known.by_id[name], family)
    raise _unknown(name)


def _unknown(name: str) -> InputError:
    if name and Path(name).exists():
        return InputError(
            f"{name} is a file or folder, and no id",
            "threaddump explain --thread NAME FILE   or   threaddump analyze FILE",
        )
    known = [*finding_texts(), *(entry.id for family in families().values() for entry in family.entries)]
    near = difflib.get_close_matches(name, known, 3, 0.5) if len(name) <= 100 else []
    near += [other for other in known if name and name in other and other not in near]
    hint = "   or   ".join(f"threaddump explain {other}" for other in near[:3])
    return InputError(
        f"{clean(name, 100)!r} is neither a finding nor a catalog entry", hint or "threaddump explain, for all findings"
    )


def _finding_lines(text: FindingText, width: int) -> Iterator[Line]:
    yield from hang([(text.id, "title"), ("  ", "")], [(text.summary, "")], width, len(text.id) + 2)
    for heading, told in (("MEANING", text.meaning), ("TRIGGER", text.trigger)):
        yield []
        yield [(heading, "heading")]
        yield from paragraph(told, width)
    yield []
    yield [("SEVERITY", "heading")]
    for level, when in text.severity.items():
        yield from labelled(level, when, width)
    for heading, items in (("WHAT TO DO", text.do), ("WHAT IT DOES NOT PROVE", text.not_proven)):
        yield []
        yield [(heading, "heading")]
        yield from bullets(items, width)
    yield []
    yield [("REFERENCES", "heading")]
    for title, url in text.references:
        yield from bullets([title], width)
        # An address stays whole: it is there to be copied.
        yield [("    ", ""), (url, "dim")]
