"""How explanations are laid out: an answer is a function from a width to lines of styled segments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TextIO

from threaddump.reports import terminal
from threaddump.reports.text import Line, Segment, cells, hang

_MIN_WIDTH, _MAX_WIDTH = 40, 120
LABEL = 11

Answer = Callable[[int], Iterator[Line]]
"""Lines that fit a width."""


def write(answer: Answer, out: TextIO, width: int, color: bool) -> None:
    """Print an answer as the terminal report is printed."""
    terminal.print_lines(answer(_width(width)), out, width=_width(width), color=color)


def _width(width: int) -> int:
    return min(max(width, _MIN_WIDTH), _MAX_WIDTH)


def labelled(label: str, segments: Sequence[Segment] | str, width: int) -> Iterator[Line]:
    """``  label      text``, the text wrapped beside its label."""
    body: Sequence[Segment] = [(segments, "")] if isinstance(segments, str) else segments
    head: Line = [("  ", ""), (label, "label"), (" " * max(1, LABEL - 2 - cells(label)), "")]
    yield from hang(head, body, width, LABEL)


def bullets(items: Iterable[str], width: int, style: str = "") -> Iterator[Line]:
    for item in items:
        yield from hang([("  · ", "dim")], [(item, style)], width, 4)


def paragraph(text: str, width: int) -> Iterator[Line]:
    yield from hang([("  ", "")], [(text, "")], width, 2)
