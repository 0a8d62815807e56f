"""No line belongs to two parsers: else the order of their names would decide who reads a dump."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import goldens
from threaddump_parsers import Parser, claimant, parsers

SOME = sorted({line for name in goldens.fixtures() for line in goldens.content(name).splitlines(keepends=True)[:60]})


@pytest.mark.parametrize("name", goldens.fixtures())
def test_no_line_is_claimed_twice(name: str) -> None:
    for line in {line + b"\n" for line in goldens.content(name).split(b"\n")}:
        claimed = [parser for parser in parsers() if parser.claims(line)]
        assert len(claimed) <= 1, line
        assert all(line[0] in parser.INITIALS for parser in claimed), line


@pytest.mark.parametrize("name", goldens.fixtures())
def test_some_line_is_claimed_by_the_format(name: str) -> None:
    formats = {dump.format for dump in goldens.report(name).dumps}
    lines = goldens.content(name).splitlines(keepends=True)
    assert formats <= {parser.FORMAT for parser in parsers() if any(parser.claims(line) for line in lines)}


@given(st.sampled_from(SOME), st.binary(max_size=3))
def test_lines_that_are_not_offered_would_not_be_claimed(line: bytes, before: bytes) -> None:
    """INITIALS leaves out no line that the parser would claim, also with blanks, brackets or colours before it."""
    for changed in (before + line, b"\x1b[1m" + line, b"  " + line, b"\t" + line, line.lstrip()):
        assert claimant(changed) is next((parser for parser in parsers() if parser.claims(changed)), None)


@pytest.mark.parametrize("parser", parsers(), ids=lambda parser: parser.FORMAT)
def test_each_format_says_how_to_take_it(parser: Parser) -> None:
    assert parser.TITLE and len(parser.TITLE) < 60
    assert parser.CAPTURE and all(command and remark for command, remark in parser.CAPTURE)
    assert claimant(b"") is None and parser.INITIALS
    assert parser.FAMILY in {"jvm", "python", "go", "dotnet", "ruby", "native", "any"}
