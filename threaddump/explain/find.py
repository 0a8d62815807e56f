"""The thread that the command line means: by its name, or by a line of the input."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from threaddump import intake
from threaddump.archives import from_each
from threaddump.reports import words
from threaddump.reports.text import clean
from threaddump.sources import InputError, Source
from threaddump_parsers.model import Dump, Thread

LISTED = 10
"""Threads of an ambiguous name that are listed."""


class AmbiguousError(InputError):
    """A name that several threads have: ``lines`` lists them."""

    def __init__(self, message: str, lines: list[str], hint: str) -> None:
        super().__init__(message, hint)
        self.lines = lines


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

    def fail(source: Source, error: InputError) -> None:
        if source.member is None:  # members without a dump are passed over
            failed.append(error)

    for source in sources:
        for text, dump in from_each(source, intake.dumps, fail):
            readable += 1
            names.update(thread.label for thread in dump.threads)
            for index in range(len(dump.threads)) if line is None else _at_line(dump, line):
                thread = dump.threads[index]
                if name is not None and name.casefold() not in thread.label.casefold():
                    continue
                found = equal if name is None or name == thread.label else containing
                found.append(Found(text.label, thread_words(thread), thread.line, None if found else dump, index))
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


def thread_words(thread: Thread) -> str:
    """A thread's name and line; where no name is printed, what else tells it from the others."""
    if thread.name:
        return words.thread_words(thread.name, thread.line)
    return f"{clean(thread.label, 60) or 'thread without a name'} line {thread.line}"
