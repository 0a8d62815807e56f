"""The stream of numbered lines that parsers read from."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count, islice

NumberedLine = tuple[int, bytes]


class Lines:
    """Numbered raw lines (with their line ends), with look-ahead.

    Iterating yields ``(number, line)`` at the speed of C iterators: that loop is the hottest of the program, so
    there is no Python frame in it. A parser that meets a line which is not its own pushes it back and returns.
    """

    __slots__ = ("_ahead", "_stream", "ends", "last")

    def __init__(self, lines: Iterable[bytes], start: int = 1) -> None:
        self._stream: Iterator[NumberedLine] = zip(count(start), lines, strict=False)
        self._ahead: deque[NumberedLine] = deque()
        self.last: list[NumberedLine] = []
        """Up to two lines that came before the one a parser was called for (a time stamp, a pid)."""
        self.ends: Callable[[int, bytes], bool] = _never
        """Whether a numbered line that is no part of a dump ends its stretch, although no parser claims it."""

    @classmethod
    def numbered(cls, lines: Iterable[NumberedLine]) -> Lines:
        """Lines that have the numbers of the file they were taken out of."""
        numbered = cls(())
        numbered._stream = iter(lines)
        return numbered

    def __iter__(self) -> Iterator[NumberedLine]:
        return chain(self._pushed_back(), self._stream)

    def _pushed_back(self) -> Iterator[NumberedLine]:
        while self._ahead:
            yield self._ahead.popleft()

    def push_back(self, *numbered: NumberedLine) -> None:
        """Put lines back in front of the stream; an iterator taken earlier must not be used any more."""
        self._ahead.extendleft(reversed(numbered))

    def peek(self, n: int) -> list[NumberedLine]:
        """Return the next ``n`` lines (fewer at the end of the input) without consuming them."""
        self._ahead.extend(islice(self._stream, max(0, n - len(self._ahead))))
        return list(islice(self._ahead, n))

    def unread(self) -> list[NumberedLine]:
        """Take back the lines that were looked at or put back, and not consumed."""
        return list(self._pushed_back())


def _never(_number: int, _line: bytes) -> bool:
    return False
