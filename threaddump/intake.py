"""From bytes to dumps: decode, cut into lines, and give each stretch of lines to the parser that claims it.

Everything is streamed: a file is never held whole, only the dump that is being read.
"""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import BinaryIO

from threaddump.archives import Unpacked, damage_hint
from threaddump.prefixes import from_html, has_curly_quotes, is_html, straight
from threaddump.sources import InputError, Source, reading_failed
from threaddump.unreadable import binary, why_no_dump
from threaddump.wrappers import CONTEXT, Unwrapper, Watch
from threaddump_parsers import claimant
from threaddump_parsers.lines import Lines, NumberedLine
from threaddump_parsers.model import Dump, Problem

BLOCK = 1 << 18
LINE_LIMIT = 1 << 24
"""Longer lines are cut into pieces of this size: memory stays bounded on input without line ends."""
SAMPLE = 1 << 16
_ANSI = re.compile(rb"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def dumps(source: Source) -> Iterator[Dump]:
    """All dumps of a text, in its order. Raises InputError where it has none, saying what it is instead."""
    damage = source.damage if isinstance(source, Unpacked) else []
    with source.open() as stream:
        try:
            sample = stream.read(SAMPLE)
            lines = Lines(_lines(sample, stream, source.label), source.first_line())
            found = False
            parsed = _with_damage(_all(lines), damage) if isinstance(source, Unpacked) else _all(lines)
            for dump in _with_facts(parsed):
                found = True
                yield dump
        except OSError as error:
            raise reading_failed(source.label, error) from error
        if not found and source.part is None:
            message, hint = (damage[0], damage_hint(damage[0])) if damage else why_no_dump(sample)
            raise InputError(f"{source.label}: {message}", hint)


def _all(lines: Lines) -> Iterator[Dump]:
    """The dumps of all stretches, as their parsers give them."""
    watch = lines.ends = Watch()
    unwrapper = Unwrapper(lines)
    refused = 0
    while (stretch := _next_stretch(lines, unwrapper, refused)) is not None:
        number, parsed = stretch
        yield from parsed
        watch.resume(lines)
        ahead = lines.peek(1)
        # Claimed at first sight, but not its own after all?
        refused = number if ahead and ahead[0][0] == number else 0
        if not refused:
            lines.last = [before for before in lines.last if before[0] >= number]  # the others are above what was read


def _with_damage(parsed: Iterator[Dump], damage: list[str]) -> Iterator[Dump]:
    """The dumps of an unpacked text; the last one says if the packed bytes were damaged, so it waits for the end."""
    last: Dump | None = None
    for dump in parsed:
        if last is not None:
            yield last
        last = dump
        if damage:
            last.truncated.append(f"{damage[0]}, within this dump")
    if last is not None:
        last.problems += [Problem(0, reason) for reason in damage[:1]]
        yield last


def _with_facts(parsed: Iterator[Dump]) -> Iterator[Dump]:
    """Dumps with the facts of the operating system that stand below them: a dump is held until the next is there.

    The capture of a newer JVM has two dumps above its facts: its text, and what ``Thread.dump_to_file`` wrote.
    """
    before: list[Dump] = []
    for dump in parsed:
        if dump.os is None:
            if [each.format for each in (*before, dump)] != ["hotspot", "jcmd-json"]:
                yield from before
                before.clear()
            before.append(dump)
        elif before:
            from threaddump.merge import is_one_moment
            from threaddump.system_calls import join

            if len(before) == 2 and is_one_moment(*before):
                join(before[0], dump.os)
            join(before[-1], dump.os)
            before[-1].problems += dump.problems
            before[-1].end_line = dump.end_line
    yield from before


def is_plain(sample: bytes) -> bool:
    """Whether the lines are the file's own bytes, so that parts of it can be read on their own."""
    marked = any(sample.startswith(mark) for mark, _ in _MARKS)
    changed = marked or b"\x1b" in sample or is_html(sample) or has_curly_quotes(sample) or _has_old_line_ends(sample)
    return not changed and _wide_without_mark(sample) is None and binary(sample) is None


def _next_stretch(lines: Lines, unwrapper: Unwrapper, refused: int) -> tuple[int, Iterator[Dump]] | None:
    """Go to the next line that a parser claims, as it is or without a wrapper: its number, and the dumps from there."""
    before: deque[NumberedLine] = deque(lines.last, maxlen=CONTEXT)
    looking = True
    while looking:
        looking = False
        for number, line in lines:
            parser = claimant(line) if number != refused else None
            if parser is not None:
                lines.push_back((number, line))
                lines.last = list(before)[-2:]
                return number, parser.parse(lines)
            streams = unwrapper.at((number, line), before)
            if streams is not None:
                return number, streams.dumps()
            if not line.isspace():
                before.append((number, line))
            looking = unwrapper.looked_ahead
            if looking:
                break  # and go on with a new iterator
    return None


def _lines(sample: bytes, stream: BinaryIO, name: str) -> Iterator[bytes]:
    """Raw lines with their line ends, as UTF-8 (or as unknown eight-bit text, unchanged), without colour codes."""
    encoding = next((codec for mark, codec in _MARKS if sample.startswith(mark)), None) or _wide_without_mark(sample)
    what = None if encoding else binary(sample)
    if what is not None:
        raise InputError(f"{name}: this is {what[0]}, not a text with thread dumps", what[1])
    if encoding or _has_old_line_ends(sample):
        lines: Iterator[bytes] = _decoded(sample, stream, encoding)
    else:
        *first, rest = sample.split(b"\n")
        rest += stream.readline(LINE_LIMIT)
        # iter() and partial keep the loop over the file's lines in C.
        lines = chain((line + b"\n" for line in first), [rest] * bool(rest))
        lines = chain(lines, iter(partial(stream.readline, LINE_LIMIT), b""))
    if b"\x1b" in sample:
        lines = (_ANSI.sub(b"", line) if b"\x1b" in line else line for line in lines)
    if has_curly_quotes(sample):
        lines = map(straight, lines)
    return from_html(lines, sample) if is_html(sample) else lines


def _has_old_line_ends(text: bytes) -> bool:
    """Whether lines end in CR alone: no LF far and wide."""
    return b"\r" in text and b"\n" not in text and len(text) > 1 + text.index(b"\r")


def _decoded(sample: bytes, stream: BinaryIO, encoding: str | None) -> Iterator[bytes]:
    """The lines of what is not in UTF-8, or has other line ends."""
    blocks: Iterator[bytes] = chain([sample], iter(partial(stream.read, BLOCK), b""))
    if encoding:
        decode = codecs.getincrementaldecoder(encoding)("replace").decode
        blocks = (decode(block).encode("utf-8", "surrogatepass") for block in blocks)
    first = next(blocks)
    old = _has_old_line_ends(first)
    rest = b""
    for block in chain([first], blocks):
        *whole, rest = (rest + (block.replace(b"\r", b"\n") if old else block)).split(b"\n")
        yield from (line + b"\n" for line in whole)
        if len(rest) > LINE_LIMIT:
            yield rest
            rest = b""
    if rest:
        yield rest


def _wide_without_mark(sample: bytes) -> str | None:
    """PowerShell and editors may drop the mark: of mostly ASCII text one of two bytes is NUL, or three of four.

    Box-drawing and other characters are few enough not to hide that.
    """
    head = sample[:4096]
    if len(head) < 4:
        return None
    shares = [head[at::4].count(0) / len(head[at::4]) for at in range(4)]
    for codec, wide in (
        ("utf-16-le", (0, 1, 0, 1)),
        ("utf-16-be", (1, 0, 1, 0)),
        ("utf-32-le", (0, 1, 1, 1)),
        ("utf-32-be", (1, 1, 1, 0)),
    ):
        if all(share > 0.7 if wide[at] else share < 0.1 for at, share in enumerate(shares)):
            return codec
    return None
