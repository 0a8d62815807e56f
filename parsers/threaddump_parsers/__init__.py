"""Parsers of thread dumps: text in, ``model.Dump`` out. Standard library only; usable on its own.

A parser is one module of this package that offers

``FORMAT``
    its id in the report contract, for example ``"hotspot"``
``FAMILY``
    the runtime that prints it, as in ``Dump.family``; ``any`` where it is not the runtime
``TITLE``, ``CAPTURE``
    what the format is called, and how to take such a dump: pairs of a command and a remark
``INITIALS``
    every byte that a claimed line can begin with; other lines are not offered to the parser
``claims(line) -> bool``
    whether this raw line is the first of a dump of this format; it looks at nothing else and is cheap
``parse(lines) -> Iterator[Dump]``
    reads one stretch of ``Lines`` that starts with a claimed line, and yields the dumps it holds. It never raises on
    content, returns at the first line that another parser claims or that ``lines.ends`` ends (pushed back), and
    consumes nothing and yields nothing when the stretch turns out not to be its own.

and may offer

``SIGNATURE``, ``WORDS``
    the source of a bytes pattern for how a dump begins, and words of which one stands in each line that it matches: so
    a dump is found behind the prefix of a logger that nobody knows. Formats that no log holds (JSON) have none
``STARTS``
    a bytes pattern that matches where a dump begins and nowhere else, its time stamp included: big files are cut there
    and read in parts, by several processes

It is found by listing the package: nothing else has to be edited to add one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, cast

from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump


class Parser(Protocol):
    """What a parser module offers; see the package's docstring."""

    FORMAT: str
    FAMILY: str
    TITLE: str
    CAPTURE: tuple[tuple[str, str], ...]
    INITIALS: bytes

    def claims(self, line: bytes) -> bool: ...

    def parse(self, lines: Lines) -> Iterator[Dump]: ...


@cache
def parsers() -> tuple[Parser, ...]:
    """All parser modules of this package, in the order of their names."""
    modules = (import_module(f"{__name__}.{info.name}") for info in iter_modules(__path__))
    return tuple(cast(Parser, module) for module in modules if hasattr(module, "FORMAT"))


def claimant(line: bytes) -> Parser | None:
    """The parser whose dumps start with this line, or None."""
    for parser in _by_initial()[line[0]] if line else ():
        if parser.claims(line):
            return parser
    return None


@cache
def _by_initial() -> tuple[tuple[Parser, ...], ...]:
    """For each byte the parsers that a line which begins with it may belong to: few or none for most lines of a log."""
    return tuple(tuple(parser for parser in parsers() if byte in parser.INITIALS) for byte in range(256))
