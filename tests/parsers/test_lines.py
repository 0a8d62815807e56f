"""The stream of numbered lines."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from threaddump_parsers.lines import Lines


def test_numbers_and_lines() -> None:
    assert list(Lines([b"a\n", b"b"])) == [(1, b"a\n"), (2, b"b")]
    assert list(Lines([b"a\n", b"b"], start=7)) == [(7, b"a\n"), (8, b"b")]


def test_peek_consumes_nothing() -> None:
    lines = Lines([b"a\n", b"b\n", b"c"])
    assert lines.peek(2) == [(1, b"a\n"), (2, b"b\n")]
    assert lines.peek(9) == [(1, b"a\n"), (2, b"b\n"), (3, b"c")]
    assert next(iter(lines)) == (1, b"a\n")
    assert lines.peek(1) == [(2, b"b\n")]


def test_peek_at_the_end() -> None:
    lines = Lines([])
    assert lines.peek(3) == []
    assert list(lines) == []


def test_push_back() -> None:
    lines = Lines([b"a\n", b"b\n"])
    first = next(iter(lines))
    lines.push_back(first)
    assert list(lines) == [(1, b"a\n"), (2, b"b\n")]


def test_it_reads_no_further_than_asked() -> None:
    """The input may be a pipe that goes on when its writer does."""
    taken = []

    def endless() -> Iterator[bytes]:
        for number in range(1_000):
            taken.append(number)
            yield b"x\n"

    lines = Lines(endless())
    next(iter(lines))
    assert taken == [0]
    lines.peek(2)
    assert taken == [0, 1, 2]


@given(st.lists(st.binary(max_size=3), max_size=20), st.lists(st.integers(0, 5), max_size=20))
def test_no_line_is_lost_or_repeated(raw: list[bytes], steps: list[int]) -> None:
    """Whatever mixture of looking ahead, reading and pushing back: the lines come out in order."""
    lines = Lines(raw)
    read: list[tuple[int, bytes]] = []
    for step in steps:
        assert lines.peek(step) == list(enumerate(raw, 1))[len(read) : len(read) + step]
        if step % 2:
            read += [numbered for numbered in [next(iter(lines), None)] if numbered is not None]
        elif read:
            lines.push_back(read.pop())
    assert read + list(lines) == list(enumerate(raw, 1))
