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
    "frames before the header of a dump": (
        "faulthandler",
        'Fatal Python error: Segmentation fault\n  File "/s.py", line 1 in f\n'
        "Thread 0x00007fd2d780e6c0 (most recent call first):\n",
    ),
    "the end of a dump behind the beginning of another": (
        "faulthandler",
        'Thread 0x00007fd2d780e6c0 (most recent call first):\n  File "/s.py", line 1 in f\nTimeout (0:00:01)!\n...\n'
        "Thread 0x00007fd2d780e6c1 (most recent call first):\n",
    ),
    "two documents in a line": (
        "actuator",
        2 * '{"threads":[{"threadName":"a","threadId":1,"threadState":"NEW","stackTrace":[]}]}',
    ),
    "a line that begins with a blank of another kind": ("jcmd-json", '\r "threadDump": {\n'),
    "the same within a thread": ("actuator", '{"threads":[\n{\n\x0b "threadId": 4,\n'),
    "a header without the sign of its state": ("austin", "Process 71 \N{SPOOL OF THREAD} Thread 0:15\n"),
    "a title alone": ("jrockit", "===== FULL THREAD DUMP ===============\n"),
    "a lock below the frames of the VM": (
        "jrockit",
        '"Finalizer" id=8 idx=0x20 tid=4250 prio=8 alive, native_waiting, daemon\n'
        "    at jrockit/memory/Finalizer.waitForFinalizees(J[Ljava/lang/Object;)I(Native Method)\n"
        "    at jrockit/vm/RNI.c2java(JJJJJ)V(Native Method)\n"
        "    ^-- Holding lock: com/shop/Stock@0xe5bd76f0[thin lock]\n",
    ),
    "a chain without its number": (
        "jrockit",
        '"clerk" id=14 idx=0x48 tid=4262 prio=5 alive, blocked\nCircular (deadlocked) lock chains\n'
        '"clerk" id=14 idx=0x48 tid=4262 waiting for com/shop/Ledger@0xe5bd7700 held by:\n',
    ),
    "a lock deeper than the stack": (
        "jcmd-json",
        '{"threadDump": {"processId": "1", "threads": [{"monitorsOwned": [{"depth": 4, "locks": ["a.B@1"]}]}]}}\n',
    ),
    "an id that is longer than any": ("hotspot", f'"a" tid=0x1 nid=0x{"f" * 5000} runnable\n'),
}


@pytest.mark.parametrize("what", FOUND)
def test_what_fuzzing_found(what: str) -> None:
    name, text = FOUND[what]
    read(BY_FORMAT[name], text.encode())


MANY = 300_000
LONG = {
    "digits of an address": ("hotspot", f'"a" tid=0x{"A" * MANY} nid=0x1 runnable [x'),
    "digits in the name of a class": ("hotspot", f"\tat a.LambdaForm${'a0' * MANY}(A.java:1)"),
    "blanks before a frame": ("gdb-py", f"#8{' ' * MANY}!"),
    "blanks in a source line": ("traceback", f"  {' ' * MANY}self.run()"),
    "generated classes": ("folded", f"a;b/{'a$$Lambda' * MANY};c 1"),
    "files in a frame": ("folded", f"P1;T2;{'a.py:' * MANY} 1"),
    "a weight of many digits": ("folded", f'process 1:"x";{"a ;" * MANY}f (a.py:1) {"1" * 30}'),
    "labels": ("goroutine", f"goroutine 1 [select, labels:{{{'}]{' * MANY}:"),
}
"""A line of the format with much of the same in it: where parts of a pattern may share it, reading it takes hours."""


@pytest.mark.parametrize("what", LONG)
def test_hostile_lines_are_read(what: str) -> None:
    name, line = LONG[what]
    first = pieces(BY_FORMAT[name])[0]
    read(BY_FORMAT[name], first + line.encode() + b"\n" + first)


LINES = 20_000
OFTEN = {
    "goroutines of the runtime": ("goroutine", "goroutine 0 [idle]:"),
    "threads that name owners": ("threadmxbean", '"t{0}" waiting for lock a.B@{0:x} BLOCKED'),
    "names of the main thread": ("traceback", "MainThread"),
    "threads of no Python process": ("gdb-py", "Thread {0} (LWP {0}):"),
}


@pytest.mark.parametrize("what", OFTEN)
def test_many_hostile_lines_are_read(what: str) -> None:
    name, line = OFTEN[what]
    raw = "".join(f"{line.format(number)}\n" for number in range(1, LINES + 1))
    read(BY_FORMAT[name], raw.encode())
