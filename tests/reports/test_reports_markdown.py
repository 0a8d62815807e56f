"""The Markdown report, read back by a Markdown parser: text from a dump makes no structure of its own."""

from __future__ import annotations

import io
import os
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports import reports_factory as factory
from threaddump.report import Report
from threaddump.reports import markdown

markdown_it = pytest.importorskip("markdown_it")

SNAPSHOTS = Path(__file__).parent / "snapshots"
UPDATE = "UPDATE_SNAPSHOTS=1 python -m pytest tests/reports"
EXAMPLES = {
    "orders": Report([factory.orders()]),
    "scheduling": Report([factory.scheduling()]),
    "deadlock": Report([factory.deadlock()]),
    "healthy": Report([factory.healthy()]),
    "hostile": Report([factory.hostile()]),
    "many": factory.many(),
    "empty": Report(),
}
NASTY = st.text(
    st.one_of(
        st.sampled_from(list("`|<>@#*_~[]()!\\&;:-+=.1 \n\t\"'$/{}")),
        st.sampled_from("\x1b\x07\x9b\u202e\u2028\ud800\ufeff"),
        st.characters(exclude_categories=()),
    ),
    max_size=60,
)


def rendered(report: Report, top: int = 10) -> str:
    out = io.StringIO()
    markdown.write(report, out, top=top)
    return out.getvalue()


def structure(output: str) -> tuple[Counter[str], list[int]]:
    """How many blocks and inline elements of each kind there are, and the number of cells of each table row."""
    parser = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"])
    counts: Counter[str] = Counter()
    rows: list[int] = []
    for token in parser.parse(output):
        counts[token.type] += 1
        if token.type == "tr_open":
            rows.append(0)
        if token.type in ("td_open", "th_open"):
            rows[-1] += 1
        for child in token.children or []:
            # Whether an empty text is a span of code is no matter of structure.
            if child.type not in ("text", "text_special", "code_inline"):
                counts[child.type] += 1
    return counts, rows


PLAIN_COUNTS, PLAIN_ROWS = structure(rendered(Report([factory.hostile("plain")])))
LOOSE = ("inline", "paragraph_open", "paragraph_close")
"""An empty title or detail has no paragraph; nothing else depends on the text."""
for kind in LOOSE:
    del PLAIN_COUNTS[kind]


@pytest.mark.parametrize("name", EXAMPLES)
def test_snapshot(name: str) -> None:
    output = rendered(EXAMPLES[name])
    path = SNAPSHOTS / f"{name}.md"
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        path.parent.mkdir(exist_ok=True)
        path.write_text(output, encoding="utf-8", newline="\n")
    expected = path.read_text(encoding="utf-8") if path.exists() else ""
    assert output == expected, f"{path.name} has changed. Read the difference; if it is an improvement: {UPDATE}"


@settings(max_examples=300)
@given(NASTY)
def test_any_text_leaves_the_structure_alone(name: str) -> None:
    output = rendered(Report([factory.hostile(name)]))
    assert not {char for char in output if char != "\n" and unicodedata.category(char)[0] == "C"}
    counts, rows = structure(output)
    assert rows == PLAIN_ROWS
    for kind in LOOSE:
        counts.pop(kind, None)
    assert counts == PLAIN_COUNTS


@given(NASTY)
def test_a_code_span_shows_its_text(name: str) -> None:
    span = markdown.code(name)
    tokens = markdown_it.MarkdownIt("commonmark").parseInline(f"a {span} b")[0].children
    if span != "(empty)":
        assert [token.type for token in tokens] == ["text", "code_inline", "text"]


@pytest.mark.parametrize(
    "name",
    ["@here", "@team/ops", "see #12", "https://evil.example/x", "www.evil.example", "<script>alert(1)</script>"],
)
def test_no_mention_link_or_html(name: str) -> None:
    shown = re.sub(r"&#\d+;", "\0", markdown.inline(name))
    assert not re.search(r"@\w|#\d|://|www\.|<", shown)


@pytest.mark.parametrize("name", ["- x", "+ x", "1. x", "12) x", "# x", "===", "---", "> x", "    x", ": x"])
def test_text_cannot_start_a_block(name: str) -> None:
    tokens = markdown_it.MarkdownIt("commonmark").parse(markdown.inline(name))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert tokens[1].children[-1].content


def test_a_ticket_has_what_a_reader_needs() -> None:
    output = rendered(EXAMPLES["orders"])
    assert "### CRITICAL: 450 of 500 request threads" in output
    assert "- **Do:** set a read timeout" in output
    assert "| 450 | external call | `com.shop.orders.SchedulingGateway.slotFor` |" in output
    assert "- **See:** <https://hc.apache.org/httpcomponents-client-4.5.x/>" in output
    assert output.count("<details>") == output.count("</details>") == 2
    assert "└─ 50 x pool wait" in output


def test_top_caps_and_counts() -> None:
    groups = [
        factory.group(f"g{number}", "io", f"a.B.m{number}", factory.names(f"t{number}", 20 - number))
        for number in range(10)
    ]
    output = rendered(Report([factory.dump(groups)]), top=3)
    assert "7 more groups with 98 threads." in output
