"""Objects of an array in a JSON document, handed out as they come: a document that was cut loses only its end.

What is left of a document is its outline: of each array the numbers of its first object and of the one after its last
(``"threads":[0,17]``), and the keys around the arrays. It does not grow with the objects. Nothing depends on line
breaks; documents may follow each other without any.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import threaddump_parsers
from threaddump_parsers.java_threads import add_problem, text
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump

_MAX_ENTRY = 1 << 23
_MAX_OUTLINE = 1 << 23
_MAX_STRING = 1 << 20
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+("?)|[{}\[\]]', re.DOTALL)
_KEYS = (b'"threads"',)
_ENTRY_KEYS = (b'"threadName"', b'"threadId"')
_JSON_FORMATS = ("actuator", "jcmd-json")
"""The readers that use this one: they claim lines within documents."""
_BRACKET = re.compile(rb"[{}\[\]]")
_BLANK = (b" ", b"\t")
_OPENERS = re.compile(rb"[\[{\s]*")
_VALUE = re.compile(rb'[\s"{}\[\],]|(?:null|true|false|-?\d[\d.eE+-]*)\s*[,\]}\r\n]')


@dataclass(slots=True, frozen=True)
class Entry:
    """An element of the array."""

    line: int
    value: dict[str, Any] | None
    """None: it is no JSON."""
    raw: bytes


@dataclass(slots=True, frozen=True)
class Document:
    """The end of a document. Its entries came before it."""

    line: int
    end_line: int
    outline: bytes
    """The document as far as it came, with ranges in place of its entries."""
    value: Any
    """The same as a value; None where it is no JSON or was cut."""
    complete: bool
    last: bytes
    """The last line."""


class DumpReader(Protocol):
    """Makes a dump of one document."""

    def add(self, entry: Entry) -> None: ...

    def finish(self, document: Document) -> Dump: ...


def dumps(
    lines: Lines,
    opening: re.Pattern[bytes],
    reader: Callable[[], DumpReader],
    keys: Collection[bytes] = _KEYS,
) -> Iterator[Dump]:
    """Read documents, each with a reader of its own."""
    current = reader()
    for item in read(lines, opening, keys):
        if isinstance(item, Entry):
            current.add(item)
        else:
            yield current.finish(item)
            current = reader()


def end(dump: Dump, document: Document) -> None:
    """Say where the dump stands, and what its document lacks."""
    dump.line, dump.end_line = document.line, document.end_line
    if not document.complete:
        add_problem(dump, document.end_line, "the JSON ends in the middle", document.last)
        dump.truncated.append("the JSON ends in the middle: the threads that came after it are missing")
    elif not dump.threads:
        add_problem(dump, document.line, "the dump has no thread")


def read(lines: Lines, opening: re.Pattern[bytes], keys: Collection[bytes] = _KEYS) -> Iterator[Entry | Document]:
    """Read documents from a line that ``opening`` matches.

    The entries are the objects in arrays with one of the ``keys``, and in an array that is the document itself.
    Brackets alone on up to two lines in ``lines.last`` belong to the document.
    """
    yield from _Reader(lines, opening, keys).run()


class _Reader:
    def __init__(self, lines: Lines, opening: re.Pattern[bytes], keys: Collection[bytes]) -> None:
        self._lines, self._keys, self._longest = lines, keys, max(map(len, keys))
        self._opening = opening
        self._indented = False
        self._reset(0)

    def _reset(self, line: int) -> None:
        self._first = line
        self._open = bytearray()
        """The brackets that are open outside of entries; ``*`` is that of an array of entries."""
        self._string = b""
        self._outline: list[bytes] = []
        self._outline_size = 0
        self._entries = 0
        self._depth = 0
        """Brackets open within the entry at hand."""
        self._start = 0
        self._parts: list[bytes] = []
        self._size = 0

    def run(self) -> Iterator[Entry | Document]:
        carry = b""
        number, last, whole = 0, b"", True
        bracket_in = _BRACKET.search
        for number, line in self._lines:
            if self._depth and whole and line[:1] in _BLANK and line[-1:] == b"\n" and bracket_in(line) is None:
                # The hot path: most lines of a document that was printed for people are within an entry.
                last = line
                self._size += len(line)
                if self._size <= _MAX_ENTRY:
                    self._parts.append(line)
                continue
            if self._first == 0:
                self._reset(number)
                self._prelude(number, line)
            elif whole and self._is_foreign(line):
                self._lines.push_back((number, line))
                number -= 1
                break
            whole, last = line.endswith(b"\n"), line
            self._indented = self._indented or line[:1] in {b" ", b"\t"}
            if whole and self._depth and not carry and bracket_in(line) is None:
                self._keep(line)
                continue
            line, carry = carry + line, b""
            begin = 0
            ended = False
            for token in _TOKEN.finditer(line):
                if ended:
                    # Another document on the same line, or something else that is not read.
                    if not self._opening.match(line, begin):
                        break
                    self._reset(number)
                    ended = False
                    begin = token.start()
                match token[0][:1]:
                    case b'"':
                        if not token[1] and not whole and len(token[0]) < _MAX_STRING:
                            carry = token[0]
                            break
                        if not self._depth:
                            self._string = token[0] if len(token[0]) <= self._longest else b""
                    case b"{" | b"[" as bracket:
                        if not self._depth:
                            if bracket == b"{" and self._open[-1:] == b"*":
                                self._outside(line[begin : token.start()])
                                begin, self._start, self._depth = token.start(), number, 1
                                continue
                            if bracket == b"[" and (not self._open or self._string in self._keys):
                                self._outside(line[begin : token.end()] + b"%d," % self._entries)
                                begin = token.end()
                                self._open += b"*"
                            else:
                                self._open += bracket
                            self._string = b""
                        else:
                            self._depth += 1
                    case _:
                        if self._depth:
                            self._depth -= 1
                            if not self._depth:
                                self._keep(line[begin : token.end()])
                                begin = token.end()
                                yield self._entry()
                        else:
                            if self._open[-1:] == b"*":
                                self._open[-1:] = b"["
                                self._outside(b"%d" % self._entries)
                                begin = token.start()
                            self._open[-1:] = b""
                            if not self._open:
                                self._outside(line[begin : token.end()])
                                begin, ended = token.end(), True
                                yield self._document(number, line)
            if ended:
                return
            rest = line[begin : len(line) - len(carry)]
            if self._depth:
                self._keep(rest)
            else:
                self._outside(rest)
        yield self._document(number, last, complete=False)

    def _prelude(self, number: int, line: bytes) -> None:
        """Take the brackets that came before the line which shows what the document is."""
        opened = b""
        for before, raw in reversed(self._lines.last):
            if before != self._first - 1 or not raw.strip() or not _OPENERS.fullmatch(raw):
                break
            opened = b"".join(raw.split()) + opened
            self._first = before
        if not opened and line.lstrip()[:1] == b'"':
            # The beginning is missing: the line is of the document or, with the key of an entry, of its first one.
            opened = b"[{" if line.lstrip().startswith(_ENTRY_KEYS) else b"{"
        for bracket in opened:
            if bracket == ord("{") and self._open[-1:] == b"*":
                self._start, self._depth = number, 1
                self._keep(b"{")
            elif self._depth:
                break
            else:
                entries = bracket == ord("[") and not self._open
                self._outside(b"[0," if entries else bytes([bracket]))
                self._open += b"*" if entries else bytes([bracket])

    def _is_foreign(self, line: bytes) -> bool:
        """Whether a line shows that the document was cut before it: no JSON printer writes it here."""
        start = line[:1]
        if start in {b" ", b"\t", b"}", b"]", b",", b"\r", b"\n", b""}:
            return False
        if start in {b"{", b"["}:
            return self._indented or not _VALUE.match(line, 1)
        if start == b'"':
            other = threaddump_parsers.claimant(line)
            return other is not None and other.FORMAT not in _JSON_FORMATS
        return not _VALUE.match(line)

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size <= _MAX_ENTRY:
            self._parts.append(part)

    def _outside(self, part: bytes) -> None:
        if self._open[-1:] == b"*":
            return  # commas and blanks between the entries
        self._outline_size += len(part)
        if self._outline_size <= _MAX_OUTLINE:
            self._outline.append(part)

    def _entry(self) -> Entry:
        raw = b"".join(self._parts)
        self._parts, self._size = [], 0
        self._entries += 1
        value = loads(raw)
        return Entry(self._start, value if isinstance(value, dict) else None, raw)

    def _document(self, number: int, last: bytes, *, complete: bool = True) -> Document:
        raw = b"".join(self._outline)
        return Document(self._first, number, raw, loads(raw) if complete else None, complete, last)


def loads(raw: bytes) -> Any:
    """The value, or None where it is no JSON."""
    try:
        return json.loads(text(raw))
    except (ValueError, RecursionError):
        return None
