"""What holds for whatever bytes a parser reads; the tests of the parsers and ``benchmarks/fuzz.py`` check the same."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from threaddump_parsers import Parser, claimant, parsers
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump

JSON = {"actuator", "jcmd-json", "py-spy-json"}
"""A line may hold several documents."""


def sound(dumps: Iterable[Dump], after: int = 0) -> list[Dump]:
    """The dumps, which stand in the order of their lines behind line ``after``, each whole and consistent."""
    read = list(dumps)
    last = after
    for dump in read:
        after_last = last < dump.line or (last == dump.line and dump.format in JSON)
        assert after_last and dump.line <= dump.end_line, (last, dump.line, dump.end_line)
        # The stacks of several processes are mixed in one profile.
        last = dump.line if dump.format == "folded" else dump.end_line
        lines = [thread.line for thread in dump.threads]
        assert all(dump.line <= line <= dump.end_line for line in lines), (dump.line, dump.end_line, lines)
        assert lines == sorted(lines), lines
        assert all(problem.line == 0 or problem.line >= dump.line for problem in dump.problems), dump.problems
        assert all(dump.line <= deadlock.line <= dump.end_line for deadlock in dump.deadlocks)
        assert dump.event is None or dump.line <= dump.event.line <= dump.end_line
        assert dump.unread_lines >= 0
        for found in dump.threads:
            assert all(held.depth is None or 0 <= held.depth < len(found.stack) for held in found.holds)
            monitors = [held.lock for held in found.holds if held.depth is not None]
            assert len(set(monitors)) == len(monitors)
            assert found.blocked_on is None or found.blocked_on not in monitors
            assert all(0 <= depth < len(found.stack) for depth in found.locals or ())
            found.name.encode()  # no halves of surrogate pairs
    return read


def lines_of(raw: bytes) -> list[bytes]:
    """Lines as the intake makes them: only LF ends one."""
    *whole, rest = raw.split(b"\n")
    return [line + b"\n" for line in whole] + [rest] * bool(rest)


def read(parser: Parser, raw: bytes) -> list[Dump]:
    """All that one parser reads of these bytes, called for each line that it claims, as the intake does.

    Checked is that the line is claimed by nobody else, that the dumps are sound and behind what was read before, that
    no line is repeated or read out of order, and that no line of another parser is read.
    """
    rows = lines_of(raw)
    lines = Lines(rows)
    found: list[Dump] = []
    before: list[tuple[int, bytes]] = []
    refused = 0
    while True:
        for number, line in lines:
            assert line == rows[number - 1]
            if number != refused and parser.claims(line):
                break
            before.append((number, line))
        else:
            return found
        assert line[0] in parser.INITIALS, line
        claiming = [other.FORMAT for other in parsers() if other.claims(line)]
        assert claiming == [parser.FORMAT], (claiming, line)
        lines.push_back((number, line))
        lines.last = [(at, text) for at, text in before if not text.isspace()][-2:]
        dumps = sound(parser.parse(lines), max((dump.end_line for dump in found), default=0))
        ahead = lines.peek(1)
        follows = ahead[0][0] if ahead else len(rows) + 1
        assert number <= follows, (number, follows)
        assert follows > number or not dumps, "dumps were read, and no line"
        if not dumps:  # what was read in vain is nobody else's
            assert all(claimant(line) in (None, parser) for line in rows[number - 1 : follows - 1])
        assert all(dump.end_line < follows for dump in dumps), (follows, [dump.end_line for dump in dumps])
        found += dumps
        before = []
        refused = number if follows == number else 0


def mutated(raw: bytes, rows: Sequence[bytes], chance: random.Random) -> bytes:
    """The input with some of its lines removed, repeated, moved, cut or replaced by ``rows``, lines of its format."""
    lines = raw.splitlines(keepends=True)
    for _ in range(chance.randint(1, 4)):
        lines = lines or [b"\n"]
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        match chance.randrange(7):
            case 0:
                del lines[at : at + chance.randint(1, 8)]
            case 1:
                lines[at:at] = lines[other : other + chance.randint(1, 8)]
            case 2:
                lines[at], lines[other] = lines[other], lines[at]
            case 3:
                lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
            case 4:
                start = chance.randrange(len(lines[other]) + 1)
                lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)] + lines[other][start:]
            case _:
                lines[at:at] = [chance.choice(rows)] if rows else []
    return b"".join(lines)
