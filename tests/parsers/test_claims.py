"""No line belongs to two parsers: else the order of their names would decide who reads a dump."""

from __future__ import annotations

import pytest

import goldens
from threaddump_parsers import parsers


@pytest.mark.parametrize("name", goldens.fixtures())
def test_no_line_is_claimed_twice(name: str) -> None:
    for line in {line + b"\n" for line in goldens.content(name).split(b"\n")}:
        claimed = [parser.FORMAT for parser in parsers() if parser.claims(line)]
        assert len(claimed) <= 1, line


@pytest.mark.parametrize("name", goldens.fixtures())
def test_some_line_is_claimed_by_the_format(name: str) -> None:
    formats = {dump.format for dump in goldens.report(name).dumps}
    lines = goldens.content(name).splitlines(keepends=True)
    assert formats <= {parser.FORMAT for parser in parsers() if any(parser.claims(line) for line in lines)}
