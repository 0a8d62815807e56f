"""The stream of numbered lines that parsers read from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, count, islice

NumberedLine = tuple[int, bytes]


class Lines:
    """Numbered raw lines (with their line ends), with look-ahead.

    Iterating yields ``(number, line)`` at the speed of C iterators: that loop is the hottest of the program, so
    there is no Python frame in it. A parser that meets a line which is not its own pushes it back and returns.
    """

    __slots__ = ("_stream", "last")

    def __init__(self, lines: Iterable[bytes], start: int = 1) -> None:
        self._stream: Iterator[NumberedLine] = zip(count(start), lines, strict=False)
        self.last: list[NumberedLine] = []
        """Up to two lines that came before the one a parser was called for (a time stamp, a pid)."""

    def __iter__(self) -> Iterator[NumberedLine]:
        return self._stream

    def push_back(self, *numbered: NumberedLine) -> None:
        """Put lines back in front of the stream; an iterator taken earlier must not be used any more."""
        self._stream = chain(numbered, self._stream)

    def peek(self, n: int) -> list[NumberedLine]:
        """Return the next ``n`` lines (fewer at the end of the input) without consuming them."""
        ahead = list(islice(self._stream, n))
        self.push_back(*ahead)
        return ahead
