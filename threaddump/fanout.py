"""Big files in parts, one process a part. Only finished reports travel between processes, never threads.

Written against ``concurrent.futures.Executor``. Below ``PART`` bytes a part is not worth a process.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import BinaryIO, TypeVar

from threaddump.intake import SAMPLE, is_plain
from threaddump.sources import Part, Source
from threaddump_parsers import parsers

PART = 16 << 20
_BLOCK = 1 << 20
_OVERLAP = 1 << 10
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
        bounds = [0, *_starts(source, size, processes), size]
    except OSError:
        return [source]  # reading it as a whole says what is wrong
    if len(bounds) == 2:
        return [source]
    return [replace(source, part=Part(start, end)) for start, end in pairwise(bounds)]


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
            start = _first_start(patterns, stream, wanted)
            if start is not None:
                found.append(start)
    return found


def _first_start(patterns: Sequence[re.Pattern[bytes]], stream: BinaryIO, wanted: int) -> int | None:
    """The first offset behind ``wanted`` at which a dump begins."""
    stream.seek(wanted - 1)
    stream.readline()  # to the beginning of a line: a pattern must not match within one
    offset, tail = stream.tell(), b""
    while offset < wanted + _REACH and (block := stream.read(_BLOCK)):
        # Whole lines only, and the last few again with the next block: the beginning of a dump has three lines.
        text = tail + block
        whole = text.rfind(b"\n") + 1
        matches = [match.start() for pattern in patterns if (match := pattern.search(text, 0, whole))]
        if matches:
            return offset + min(matches)
        keep = max(whole - _OVERLAP, 0)
        tail, offset = text[keep:], offset + keep
    return None
