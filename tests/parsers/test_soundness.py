"""What ``soundness.py`` says of every parser: on damaged fixtures, on what fuzzing found, and on hostile lines."""

from __future__ import annotations

import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import goldens
from soundness import lines_of, mutated, read
from threaddump_parsers import Parser, parsers

BY_FORMAT = {parser.FORMAT: parser for parser in parsers()}
PIECE = 6000


@cache
def pieces(parser: Parser) -> list[bytes]:
    """What the parser reads in the fixtures, from the first line that it claims."""
    found = []
    for name in goldens.fixtures():
        lines = lines_of(goldens.content(name)[:400_000])
        first = next((n for n, line in enumerate(lines) if line[0] in parser.INITIALS and parser.claims(line)), None)
        if first is not None:
            found.append(b"".join(lines[first : first + 200])[:PIECE])
    return found


WITH_FIXTURES = [parser for parser in parsers() if parser.FORMAT != "os-facts"]


@pytest.mark.parametrize("parser", WITH_FIXTURES, ids=lambda parser: parser.FORMAT)
@settings(max_examples=60)
@given(st.integers(0, 1 << 32), st.integers(1, 6))
def test_damaged_dumps_are_read_soundly(parser: Parser, seed: int, times: int) -> None:
    chance, found = random.Random(seed), pieces(parser)
    raw, rows = chance.choice(found), lines_of(chance.choice(found))
    for _ in range(times):
        raw = mutated(raw, rows, chance)
    read(parser, raw)


@pytest.mark.parametrize("parser", parsers(), ids=lambda parser: parser.FORMAT)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_soundly(parser: Parser, raw: bytes) -> None:
    read(parser, raw)


FOUND = {
    "a date above a thread, and a title below it": (
        "hotspot",
        'Full thread dump VM (1):\n"a" tid=0x1 nid=0x1 runnable\n2026-11-23 02:01:22\n"b" tid=0x2 nid=0x2 runnable\n'
        "Full thread dump VM (1):\n",
    ),
    "a name, and the state far below it": (
        "threadmxbean",
        "Name: a\nState: RUNNABLE\nName: b\nTotal blocked: 0  Total waited: 0\nState: RUNNABLE\nName: a\n\n"
        "State: RUNNABLE\n",
    ),
    "the words of another form in a name": ("threadmxbean", '"main" "main: - Thread t@" \n'),
    "a task in the name of a task": (
        "asyncio",
        "Stack for <Task x 'y' and <Task pending name='z' coro=<f() running at /s.py:1>> (most recent call last):\n",
    ),
    "a table that ends in its title": (
        "asyncio",
        f"tid        task id              task name            coroutine stack{' ' * 36}awaiter chain{' ' * 38}"
        "awaiter name    awaiter id",
    ),
    "numbers that no float can hold": (
        "speedscope",
        '{"$schema": "https://www.speedscope.app/file-format-schema.json", "shared": {"frames": [{"name": "f"}]}, '
        f'"profiles": [{{"name": "Thread 1", "samples": [[0], [0]], "weights": [1{"0" * 400}, NaN]}}, '
        f'{{"name": "Thread 2", "events": [{{"type": "O", "at": 1, "frame": 0}}, {{"at": 1{"0" * 400}}}]}}]}}',
    ),
    "an id that is longer than any": ("hotspot", f'"a" tid=0x1 nid=0x{"f" * 5000} runnable\n'),
}


@pytest.mark.parametrize("what", FOUND)
def test_what_fuzzing_found(what: str) -> None:
    name, text = FOUND[what]
    read(BY_FORMAT[name], text.encode())
