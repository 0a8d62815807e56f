"""What can be read, and how to take it: ``threaddump formats``, and what messages say about it.

All of it comes from the parsers' own ``TITLE`` and ``CAPTURE``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from threaddump_parsers import Parser, parsers

if TYPE_CHECKING:
    from threaddump.reports.text import Line

FAMILIES = {
    "jvm": "JVM",
    "python": "Python",
    "go": "Go",
    "dotnet": ".NET",
    "ruby": "Ruby",
    "native": "Native code",
    "any": "Any process",
}
ANY_FAMILY = "Others"
WRAPPERS = (
    "kubectl logs (--prefix, --timestamps)",
    "container runtime logs (CRI), docker json-file",
    "docker compose logs",
    "journald, syslog (RFC 3164, RFC 5424)",
    "JSON log records (ECS and others)",
    "the prefixes of loggers",
    "quoted and re-wrapped mail, Markdown, indentation",
    "HTML pages",
    "terminal colours, UTF-8, UTF-16 and UTF-32, any line ends",
)
ARCHIVES = ("gzip", "bzip2", "xz", "lzma", "zstd", "zip", "tar", "and one in another")


def parser_of(form: str) -> Parser | None:
    """The parser of a format's id."""
    return next((parser for parser in parsers() if form == parser.FORMAT), None)


def how_to_take(form: str) -> str | None:
    """The first command that takes such a dump; None where the format is not read."""
    parser = parser_of(form)
    return parser.CAPTURE[0][0] if parser is not None else None


def how_to_take_any() -> str:
    """What to tell someone who has no dump."""
    commands = [f"{how_to_take(form)} > dump.txt ({FAMILIES[family]})" for form, family in _USUAL]
    return f"take a dump: {', '.join(commands)}; all that is read: threaddump formats"


_USUAL = (("hotspot", "jvm"), ("py-spy", "python"))


def by_family() -> list[tuple[str, list[Parser]]]:
    """The parsers by what they read dumps of; within a runtime the usual one first."""
    usual = [form for form, _ in _USUAL]
    ordered = sorted(parsers(), key=lambda parser: (parser.FORMAT not in usual, parser.TITLE.casefold()))
    found = [(title, [parser for parser in ordered if family == parser.FAMILY]) for family, title in FAMILIES.items()]
    found.append((ANY_FAMILY, [parser for parser in ordered if parser.FAMILY not in FAMILIES]))
    return [(title, group) for title, group in found if group]


def lines(width: int) -> Iterator[Line]:
    """The list as it is printed: formats by runtime, each with its commands."""
    from threaddump.reports.text import hang

    for title, group in by_family():
        yield [(title.upper(), "heading")]
        for parser in group:
            yield from hang([("  ", "")], [(parser.TITLE, "title"), (f"  ({parser.FORMAT})", "dim")], width, 2)
            for command, remark in parser.CAPTURE:
                if width < _WIDE:
                    yield [("      ", ""), (command, "")]
                    yield from hang([("          ", "")], [(remark, "dim")], width, 10)
                else:
                    yield from hang([("      ", ""), (command, ""), ("  ", "")], [(remark, "dim")], width, _COLUMN)
        yield []
    yield [("WRAPPED IN", "heading")]
    yield from hang([("  ", "")], [("; ".join(WRAPPERS), "")], width, 2)
    yield []
    yield [("PACKED WITH", "heading")]
    yield from hang([("  ", "")], [(", ".join(ARCHIVES), "")], width, 2)
    yield []
    yield from hang([], [(_CLOSING, "dim")], width, 0)


_WIDE, _COLUMN = 100, 58
"""From this width on remarks stand beside their commands, in this column."""
_CLOSING = (
    "Nothing has to be said about the format: dumps are found in files, folders, archives and logs, several and of "
    "several kinds in one input."
)


def write_json(out: TextIO) -> None:
    """The same for scripts."""
    formats = [
        {
            "format": parser.FORMAT,
            "title": parser.TITLE,
            "family": parser.FAMILY,
            "capture": [{"command": command, "remark": remark} for command, remark in parser.CAPTURE],
        }
        for _, group in by_family()
        for parser in group
    ]
    json.dump({"formats": formats, "wrappers": WRAPPERS, "archives": ARCHIVES[:-1]}, out, indent=2)
    out.write("\n")
