"""Text from a dump, made harmless, measured in terminal cells, shortened and wrapped.

Thread names, frames and unread lines are written by whoever runs the application: they may hold terminal escapes,
line breaks or bidirectional overrides. ``clean`` is the one place where those become visible and inert.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

Segment = tuple[str, str]
"""Some text and the name of its style; the empty name is plain text."""
Line = list[Segment]
"""One line of output: no segment holds a line break."""

ELLIPSIS = "…"
KEEP = "\N{NO-BREAK SPACE}"
_LIMIT = 1000
_NAMED_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_MAX_COMBINING = 2
"""Combining marks in a row that may stay: more only serve to paint over other lines."""
_VARIATION_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
_REGIONAL_INDICATORS = range(0x1F1E6, 0x1F200)
_WIDE_FROM_16 = (range(0x2630, 0x2638), range(0x268A, 0x2690), range(0x4DC0, 0x4E00), range(0x1D300, 0x1D377))
"""Symbols that Unicode 16 made wide; older Pythons do not know it, terminals do."""
_BREAK_AFTER = re.compile(r"[./,:;_$\-]")


def clean(text: str, limit: int = _LIMIT) -> str:
    """Make text from the input safe to print on one line.

    Control, format, bidirectional, unassigned and surrogate characters are written as escapes (``\\x1b``), every
    kind of space as a plain one, and what is longer than ``limit`` characters loses its middle, visibly.
    """
    if len(text) > limit:
        head = limit * 2 // 3
        text = text[:head] + ELLIPSIS + text[len(text) - (limit - head) :]
    if text.isascii() and text.isprintable():
        return text
    out: list[str] = []
    combining = 0
    for char in text:
        category = unicodedata.category(char)
        if category in ("Mn", "Me"):
            combining += 1
            visible = combining <= _MAX_COMBINING and not any(ord(char) in span for span in _VARIATION_SELECTORS)
            out.append(char if visible else _escape(char))
            continue
        combining = 0
        if category == "Zs":
            out.append(" ")
        elif category[0] == "C" or category in ("Zl", "Zp"):
            out.append(_escape(char))
        else:
            out.append(char)
    return "".join(out)


def _escape(char: str) -> str:
    point = ord(char)
    if char in _NAMED_ESCAPES:
        return _NAMED_ESCAPES[char]
    if point <= 0xFF:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"


@lru_cache(maxsize=4096)
def _char_cells(char: str) -> int:
    point = ord(char)
    if point in _REGIONAL_INDICATORS or any(point in wide for wide in _WIDE_FROM_16):
        return 2
    if unicodedata.east_asian_width(char) in ("W", "F"):
        return 2
    return 0 if unicodedata.category(char) in ("Mn", "Me") else 1


def cells(text: str) -> int:
    """Number of terminal cells that cleaned text takes."""
    return len(text) if text.isascii() else sum(map(_char_cells, text))


def _fitting(text: str, width: int) -> int:
    """How many characters from the start of the text fit into ``width`` cells."""
    if text.isascii():
        return min(len(text), width)
    used = 0
    for index, char in enumerate(text):
        used += _char_cells(char)
        if used > width:
            return index
    return len(text)


def shorten(text: str, width: int) -> str:
    """Fit cleaned text into ``width`` cells by taking out its middle, marked with an ellipsis.

    The end of a thread name or a frame tells more than the middle: it is kept.
    """
    if cells(text) <= width:
        return text
    if width <= 1:
        return ELLIPSIS[:width]
    tail_width = (width - 1) // 2
    head = text[: _fitting(text, width - 1 - tail_width)]
    tail = text[len(text) - _fitting(text[::-1], tail_width) :] if tail_width else ""
    return head + ELLIPSIS + tail


def clip(text: str, width: int) -> str:
    """Fit prose into ``width`` cells by cutting its end, marked with an ellipsis."""
    if cells(text) <= width:
        return text
    return text[: _fitting(text, max(0, width - 1))].rstrip() + ELLIPSIS[: max(0, width)]


def _atoms(segments: Iterable[Segment]) -> Iterator[Line]:
    """Split segments at spaces; parts of neighbouring segments without a space between stay together."""
    atom: Line = []
    for text, style in segments:
        first, *others = text.split(" ")
        if first:
            atom.append((first, style))
        for word in others:
            if atom:
                yield atom
            atom = [(word, style)] if word else []
    if atom:
        yield atom


def _break(atom: Line, width: int) -> Iterator[Line]:
    """Cut one word that is wider than a line, after a dot or slash where there is one."""
    piece: Line = []
    room = width
    for text, style in atom:
        while cells(text) > room:
            end = _fitting(text, room)
            marks = [mark.end() for mark in _BREAK_AFTER.finditer(text, end // 2, end)]
            end = marks[-1] if marks else end
            if end == 0 and not piece:
                end = 1
            if end:
                piece.append((text[:end], style))
                text = text[end:]
            yield piece
            piece, room = [], width
        if text:
            piece.append((text, style))
            room -= cells(text)
    if piece:
        yield piece


def wrap(segments: Iterable[Segment], width: int) -> list[Line]:
    """Lay out segments on lines of at most ``width`` cells; runs of spaces become one. At least one line.

    ``KEEP`` is a space at which no line breaks.
    """
    width = max(2, width)
    lines: list[Line] = []
    line: Line = []
    used = 0
    for atom in _atoms(segments):
        size = sum(cells(text) for text, _ in atom)
        if line and used + 1 + size > width:
            lines.append(line)
            line, used = [], 0
        if size > width:
            *full, atom = _break(atom, width)
            lines.extend(full)
            size = sum(cells(text) for text, _ in atom)
        if line:
            space_style = line[-1][1] if line[-1][1] == atom[0][1] else ""
            line.append((" ", space_style))
            used += 1
        line.extend(atom)
        used += size
    if line or not lines:
        lines.append(line)
    return [[(text.replace(KEEP, " "), style) for text, style in line] for line in lines]


def hang(label: Line, segments: Iterable[Segment], width: int, indent: int) -> list[Line]:
    """Wrap segments beside a label that is ``indent`` cells wide; following lines start below the text."""
    used = sum(cells(text) for text, _ in label)
    first = [*label, (" " * (indent - used), "")] if used < indent else list(label)
    return [
        (first if number == 0 else [(" " * indent, "")] if indent else []) + line
        for number, line in enumerate(wrap(segments, width - indent))
    ]


def plain(line: Line) -> str:
    """The text of a line without styles, without space at its end."""
    return "".join(text for text, _ in line).rstrip()


def plural(count: int, noun: str, many: str | None = None) -> str:
    """Count and noun: ``1 thread``, ``2 threads``."""
    return f"{count} {noun}" if count == 1 else f"{count} {many or noun + 's'}"
