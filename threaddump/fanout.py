"""Big files in parts, one process a part. Only finished reports travel between processes, never threads.

Written against ``concurrent.futures.Executor``. Below ``PART`` bytes a part is not worth a process.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

from threaddump.intake import SAMPLE, is_plain
from threaddump.sources import Part, Source
from threaddump_parsers import parsers

PART = 16 << 20
_BLOCK = 1 << 20
_REACH = 32 << 20
"""How far behind the wanted place a dump may begin."""
T = TypeVar("T")


def split(source: Source) -> list[Source]:
    """The source in parts that begin where a dump begins; the source alone where it is small or cannot be cut."""
    if source.path is None or source.part is not None:
        return [source]
    try:
        size = source.path.stat().st_size
        processes = min(_cpus(), size // PART)
        if processes < 2 or not source.path.is_file():
            return [source]
        starts = [0, *_starts(source, size, processes)]
        counts = _line_counts(source, [*starts, size])
    except OSError:
        return [source]  # reading it as a whole says what is wrong
    parts = []
    line = 1
    for start, lines in zip(starts, counts, strict=True):
        parts.append(replace(source, part=Part(start, lines, line)))
        line += lines
    # The last part has what follows the last line break, too.
    last = parts[-1].part
    assert last is not None
    parts[-1] = replace(source, part=replace(last, lines=sys.maxsize))
    return parts if len(parts) > 1 else [source]


def run(work: Callable[[Source], T], parts: Sequence[Source]) -> list[T]:
    """The results of all parts in their order. This process does the first part itself."""
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    try:
        with ProcessPoolExecutor(max_workers=len(parts) - 1) as executor:
            futures = [executor.submit(work, part) for part in parts[1:]]
            return [work(parts[0]), *(future.result() for future in futures)]
    except (BrokenProcessPool, OSError):
        # No process could be had, or one was killed (memory): one after the other is slow but safe.
        return [work(part) for part in parts]


def _cpus() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _starts(source: Source, size: int, processes: int) -> list[int]:
    """Offsets near the equal shares of the file at which a dump begins."""
    patterns = [pattern for parser in parsers() if (pattern := getattr(parser, "STARTS", None)) is not None]
    found: list[int] = []
    with source.open() as stream:
        if not is_plain(stream.read(SAMPLE)):
            return []
        for share in range(1, processes):
            wanted = size * share // processes
            if found and found[-1] >= wanted:
                continue
            stream.seek(wanted)
            stream.readline()  # the pattern must not match in the middle of a line
            start = _first_start(patterns, stream.tell(), stream.read(_REACH))
            if start is not None:
                found.append(start)
    return found


def _first_start(patterns: Sequence[re.Pattern[bytes]], offset: int, block: bytes) -> int | None:
    matches = [match.start() for pattern in patterns if (match := pattern.search(block))]
    return offset + min(matches) if matches else None


def _line_counts(source: Source, bounds: Sequence[int]) -> list[int]:
    counts = []
    with source.open() as stream:
        for start, end in pairwise(bounds):
            stream.seek(start)
            left, lines = end - start, 0
            while left > 0 and (block := stream.read(min(left, _BLOCK))):
                lines += block.count(b"\n")
                left -= len(block)
            counts.append(lines)
    return counts
