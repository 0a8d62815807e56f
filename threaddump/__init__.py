"""Tells from a thread dump what the threads are stuck on, who waits behind them, and what to do.

``read`` gives the dumps as they are, ``analyze`` a ``Report`` on them. Importing this package imports nothing heavy.
"""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from threaddump.report import Report
    from threaddump.rules import Rules
    from threaddump_parsers.model import Dump

__version__ = "0.1.0"
__all__ = ["__version__", "analyze", "read"]


def read(path: str | PathLike[str]) -> Iterator[Dump]:
    """The dumps of a file, or of all members of an archive, in its order, one at a time.

    Raises ``threaddump.sources.InputError`` where the file cannot be read or holds no dump, and behind the dumps of an
    archive that is damaged. Its members without a dump are passed over.
    """
    from pathlib import Path

    from threaddump.archives import from_each
    from threaddump.intake import dumps
    from threaddump.sources import InputError, Source

    def fail(source: Source, error: InputError) -> None:
        if source.member is None:
            raise error

    return (dump for _, dump in from_each(Source(str(path), Path(path)), dumps, fail))


def analyze(
    *paths: str | PathLike[str],
    rules: Rules | str | PathLike[str] | None = None,
    source_roots: Iterable[str | PathLike[str]] = (),
) -> Report:
    """The report on the dumps of these files (or folders, or ``-`` for standard input).

    ``rules`` is a file of your own rules, or what ``threaddump.rules.load`` made of several; none is looked for.
    ``source_roots`` are folders with the application's Python source; it is read, never run.
    Raises ``threaddump.sources.InputError`` for the first of the files that cannot be used. Members of an archive
    without a dump are passed over.
    """
    from threaddump.analysis import analyze as analyze_sources
    from threaddump.sources import InputError, Source, expand

    def fail(source: Source, error: InputError) -> None:
        if source.member is None:
            raise error

    if isinstance(rules, str | PathLike):
        from threaddump.rules import load

        rules = load(named=[str(rules)])
    return analyze_sources(
        expand([str(path) for path in paths]), fail, rules, source_roots=[str(root) for root in source_roots]
    )
