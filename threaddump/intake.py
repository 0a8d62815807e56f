"""From bytes to dumps: decode, cut into lines, and give each stretch of lines to the parser that claims it.

Everything is streamed: a file is never held whole, only the dump that is being read.
"""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

from threaddump.sources import InputError, Source
from threaddump.unreadable import binary, why_no_dump
from threaddump_parsers import claimant
from threaddump_parsers.lines import Lines, NumberedLine
from threaddump_parsers.model import Dump

BLOCK = 1 << 18
LINE_LIMIT = 1 << 24
"""Longer lines are cut into pieces of this size: memory stays bounded on input without line ends."""
SAMPLE = 1 << 16
_ANSI = re.compile(rb"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_UTF16 = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def dumps(source: Source) -> Iterator[Dump]:
    """All dumps of a source, in its order. Raises InputError where it has none, saying what it is instead."""
    with source.open() as stream:
        sample = bytearray()
        lines = Lines(chain.from_iterable(_line_blocks(_decoded(stream, source.name), sample)))
        found = False
        try:
            while _seek_claim(lines):
                parser = claimant(lines.peek(1)[0][1])
                assert parser is not None
                before = lines.peek(1)[0][0]
                for dump in parser.parse(lines):
                    found = True
                    yield dump
                ahead = lines.peek(1)
                if ahead and ahead[0][0] == before:
                    _skip(lines)  # claimed at first sight, but not its own after all
        except OSError as error:
            if not found:
                raise InputError(
                    f"{source.name}: reading failed: {error.strerror or error}", "check that it is a readable file"
                ) from error
        if not found:
            message, hint = why_no_dump(bytes(sample))
            raise InputError(f"{source.name}: {message}", hint)


def _seek_claim(lines: Lines) -> bool:
    """Go to the next line that a parser claims; False at the end of the input."""
    before: deque[NumberedLine] = deque(lines.last, maxlen=2)
    for number, line in lines:
        if claimant(line) is not None:
            lines.push_back((number, line))
            lines.last = list(before)
            return True
        before.append((number, line))
    return False


def _skip(lines: Lines) -> None:
    lines.last = [next(iter(lines))]


def _decoded(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """Blocks of UTF-8 text (or of unknown eight-bit text, unchanged), without a byte order mark."""
    first = stream.read(BLOCK)
    encoding = next((codec for mark, codec in _UTF16 if first.startswith(mark)), None) or _utf16_without_mark(first)
    what = None if encoding else binary(first)
    if what is not None:
        raise InputError(f"{name}: this is {what[0]}, not a text with thread dumps", what[1])
    decode = codecs.getincrementaldecoder(encoding)("replace").decode if encoding else None
    block = first
    while block:
        yield decode(block).encode("utf-8", "surrogatepass") if decode else block
        block = stream.read(BLOCK)


def _utf16_without_mark(sample: bytes) -> str | None:
    """PowerShell and editors may drop the mark: ASCII text in UTF-16 has a NUL in every second byte."""
    head = sample[:4096]
    if len(head) < 4:
        return None
    for offset, codec in ((1, "utf-16-le"), (0, "utf-16-be")):
        half = head[offset::2]
        if half.count(0) > 0.9 * len(half) and head[1 - offset :: 2].count(0) == 0:
            return codec
    return None


def _line_blocks(blocks: Iterator[bytes], sample: bytearray) -> Iterator[list[bytes]]:
    """Lists of whole lines with their line ends; terminal colour codes are cut out."""
    rest = b""
    for block in blocks:
        if len(sample) < SAMPLE:
            sample += block[: SAMPLE - len(sample)]
        rest_of_line, newline, after = block.rpartition(b"\n")
        if not newline:
            rest += block
            if len(rest) > LINE_LIMIT:
                yield [rest]
                rest = b""
            continue
        whole = rest + rest_of_line
        rest = after
        if b"\x1b" in whole:
            whole = _ANSI.sub(b"", whole)
        yield [line + b"\n" for line in whole.split(b"\n")]
    if rest:
        yield [_ANSI.sub(b"", rest) if b"\x1b" in rest else rest]
