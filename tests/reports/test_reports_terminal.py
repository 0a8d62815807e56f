"""The terminal report: fixed examples at two widths, and what holds for any text at any width."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from reports import reports_factory as factory
from threaddump.report import Chain, ContendedLock, Report, WaitNode
from threaddump.reports import terminal, text, words
from threaddump_parsers.model import Problem

SNAPSHOTS = Path(__file__).parent / "snapshots"
UPDATE = "UPDATE_SNAPSHOTS=1 python -m pytest tests/reports"
EXAMPLES = {
    "orders": Report([factory.orders()]),
    "front": Report([factory.front()]),
    "scheduling": Report([factory.scheduling()]),
    "deadlock": Report([factory.deadlock()]),
    "healthy": Report([factory.healthy()]),
    "hostile": Report([factory.hostile()]),
    "story": factory.story(),
    "many": factory.many(),
    "empty": Report([], [Problem(0, "no dump was recognised", "notes.txt")]),
}
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=200)


def rendered(report: Report, *, width: int = 80, color: bool = False, top: int = 10) -> str:
    out = io.StringIO()
    terminal.write(report, out, width=width, color=color, top=top)
    return out.getvalue()


def check_harmless(output: str) -> None:
    bad = {char for char in output if char != "\n" and unicodedata.category(char)[0] == "C"}
    assert not bad, f"control or format characters in the output: {bad!r}"


def check_width(output: str, width: int) -> None:
    for line in output.splitlines():
        assert text.cells(line) <= width, line
        assert cell_len(line) <= width, line


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("name", EXAMPLES)
def test_snapshot(name: str, width: int) -> None:
    output = rendered(EXAMPLES[name], width=width)
    path = SNAPSHOTS / f"{name}-{width}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        path.parent.mkdir(exist_ok=True)
        path.write_text(output, encoding="utf-8", newline="\n")
    expected = path.read_text(encoding="utf-8") if path.exists() else ""
    assert output == expected, f"{path.name} has changed. Read the difference; if it is an improvement: {UPDATE}"


@pytest.mark.parametrize("width", [20, 40, 63, 64, 80, 109, 110, 160, 400])
@pytest.mark.parametrize("name", EXAMPLES)
def test_no_line_is_wider_than_the_window(name: str, width: int) -> None:
    check_width(rendered(EXAMPLES[name], width=width), max(width, 40))


@settings(max_examples=150)
@given(ANY_TEXT, st.sampled_from([80, 160]))
def test_any_text_is_harmless_and_fits(name: str, width: int) -> None:
    output = rendered(Report([factory.hostile(name)]), width=width)
    check_harmless(output)
    check_width(output, width)
    output.encode("utf-8")


@given(st.text("漢字ｆ🐍🇩🇪é\u0301 .", min_size=30, max_size=300))
def test_wide_characters_are_measured(name: str) -> None:
    for width in (40, 80, 160):
        check_width(rendered(Report([factory.hostile(name)]), width=width), width)


@given(ANY_TEXT, st.integers(0, 60))
def test_shortening_keeps_both_ends(name: str, width: int) -> None:
    cleaned = text.clean(name)
    short = text.shorten(cleaned, width)
    assert text.cells(short) <= width
    assert short == cleaned or not width or text.ELLIPSIS in short


@given(ANY_TEXT, st.integers(2, 60))
def test_wrapping_loses_nothing_but_spaces(name: str, width: int) -> None:
    cleaned = text.clean(name)
    lines = text.wrap([(cleaned, "")], width)
    assert all(text.cells(text.plain(line)) <= width for line in lines)
    assert "".join(text.plain(line) for line in lines).replace(" ", "") == cleaned.replace(" ", "")


def test_a_name_cannot_pose_as_a_line_of_the_report() -> None:
    output = rendered(Report([factory.hostile("worker\n\nCRITICAL  run rm -rf / now\n")]))
    assert not any(line.startswith("CRITICAL  run") for line in output.splitlines())
    assert "worker\\n\\nCRITICAL run" in output


def test_huge_names_stay_short() -> None:
    output = rendered(Report([factory.hostile("x" * 10_000_000)]))
    assert len(output) < 100_000
    assert text.ELLIPSIS in output


@pytest.mark.parametrize("name", EXAMPLES)
def test_colour_changes_no_word(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    colored = rendered(EXAMPLES[name], color=True)
    assert "\x1b[" in colored
    assert Text.from_ansi(colored).plain.rstrip("\n") == rendered(EXAMPLES[name]).rstrip("\n")


def test_colour_does_not_read_names_as_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    output = rendered(Report([factory.hostile("[bold]x[/] :smile: https://example.org 12")]), color=True)
    assert "[bold]x[/]" in Text.from_ansi(output).plain
    assert ":smile:" in output


def test_plain_output_does_not_import_rich() -> None:
    script = (
        "import io, sys\n"
        "from reports import reports_factory as factory\n"
        "from threaddump.reports import json, markdown, terminal\n"
        "terminal.write(factory.story(), io.StringIO(), width=80, color=False, top=10)\n"
        "markdown.write(factory.story(), io.StringIO(), top=10)\n"
        "json.write(factory.story(), io.StringIO())\n"
        "print(sorted(name for name in sys.modules if name.partition('.')[0] in ('rich', 'jinja2', 'pygments')))\n"
    )
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
@pytest.mark.parametrize("color", [False, True])
def test_an_output_without_unicode_gets_ascii_lines(encoding: str, color: bool) -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    terminal.write(Report([factory.orders(), factory.hostile("漢")]), out, width=80, color=color, top=10)
    out.flush()
    assert b"####" in raw.getvalue()
    assert b"`- " in raw.getvalue()


@pytest.mark.parametrize("name", ["orders", "front", "scheduling", "deadlock"])
def test_everything_that_matters_is_on_the_first_screen(name: str) -> None:
    assert len(rendered(EXAMPLES[name]).splitlines()) <= 40


def test_the_story_in_one_screen() -> None:
    output = rendered(EXAMPLES["orders"], width=160)
    for phrase in (
        "525 threads, 500 of them request threads",
        "450 of 500 request threads are stuck in one external call",
        "Apache HttpClient 4, waiting for the response, no read timeout",
        "inferred: same client below the same caller",
        "idle 11 · runtime 14",
    ):
        assert phrase in output


def test_a_healthy_dump_is_calm() -> None:
    output = rendered(EXAMPLES["healthy"])
    assert "No finding. 4 running, 20 idle." in output
    assert "WAIT CHAINS" not in output


def test_no_thread_is_said() -> None:
    assert "No thread was read" in rendered(Report([factory.dump([])]))


def test_top_caps_every_list_and_counts_the_rest() -> None:
    groups = [
        factory.group(f"g{number}", "io", f"a.B.m{number}", factory.names(f"t{number}", 20 - number))
        for number in range(10)
    ]
    found = [factory.finding("high" if number < 2 else "low", f"Finding {number}") for number in range(8)]
    report = Report([factory.dump(groups, findings=found)])
    output = rendered(report, top=3)
    assert "... 7 more groups, 98 threads" in output
    assert "... 5 more findings: 5 low" in output
    everything = rendered(report, top=0)
    assert "more groups" not in everything
    assert "B.m9" in everything


def test_a_large_tree_is_cut_and_counted() -> None:
    dump = factory.orders()
    leaf = dump.chains[0].tree[0]
    for number in range(3000):
        child = WaitNode("g2", "lock-wait", "a.B.c", 1, [f"t{number}"], None, None, "reported", None)
        leaf.children.append(child)
        leaf = child
    output = rendered(Report([dump]))
    assert "2993 more threads further down" in output
    leaf.children.extend(
        WaitNode("g2", "lock-wait", "a.B.c", 2, ["x", "y"], None, None, "reported", None) for _ in range(3000)
    )
    dump.chains[0].tree = dump.chains[0].tree + [
        WaitNode("g2", "lock-wait", "a.B.c", 1, ["z"], None, None, "reported", None, [child]) for _ in range(40)
    ]
    assert len(rendered(Report([dump])).splitlines()) < 80


def test_many_dumps_are_listed_and_the_worst_shown() -> None:
    output = rendered(factory.many(12))
    assert output.count("No finding.") == 8
    assert output.count("BLOCKING FRAMES") == 3
    assert "9 more dumps are not shown in full" in output
    calm = rendered(Report([factory.healthy(id=f"d{number}") for number in range(5)]))
    assert "BLOCKING FRAMES" not in calm
    assert "5 dumps: 5 without a finding" in calm


def test_a_list_of_dumps_does_not_repeat_their_folder() -> None:
    dumps = [factory.orders(id=f"d{number}", source=f"/var/dumps/oms/{number}.txt") for number in range(5)]
    assert words.listed_sources(dumps)[:2] == ["d0 0.txt", "d1 1.txt"]
    assert words.listed_sources([factory.orders(source="/var/a.txt")] * 2) == ["d1 /var/a.txt"] * 2


def test_single_waiters_share_a_row_and_leave_the_locks_to_the_chain() -> None:
    groups = [
        factory.group(f"g{number}", "lock-wait", "a.Step.next", [f"chain-{number}"], lock=f"0x{number}")
        for number in range(4)
    ]
    locks = [ContendedLock(f"0x{number}", "a.Account", "monitor", None, [f"chain-{number}"]) for number in range(4)]
    root = factory.group("g9", "external-call", "a.Remote.call", ["chain-9"])
    chain = Chain(factory.root(root), 4, 4, "reported", None, [])
    chain.tree = [factory.node(group, lock=group.lock, lock_class="a.Account") for group in groups]
    output = rendered(Report([factory.dump([root, *groups], locks=locks, chains=[chain])]))
    assert "each for another lock: 4 locks" in output
    assert "LOCKS" not in output
    assert "Account 0x3" in output
    assert "LOCKS" in rendered(Report([factory.dump([root, *groups], locks=locks, chains=[chain])]), top=0)


def test_advice_is_not_repeated_and_the_rest_is_counted() -> None:
    found = [
        factory.finding("critical", "First", advice=["a", "b", "c", "d"], recovery=["x"]),
        factory.finding("high", "Second", advice=["a", "e", "f"], recovery=["x", "y"]),
    ]
    output = rendered(Report([factory.dump(factory.quiet(), findings=found)]))
    assert [line.split()[-1] for line in output.splitlines() if "do  " in line] == ["a", "e"]
    assert "... 2 more steps to take: --format markdown" in output


def test_short_names_stay_distinct() -> None:
    short = words.short_names(["a.x.Dao.load", "b.y.Dao.load", "c.Api.call", "/srv/app/orders/api.py:call", "recv"])
    assert short["a.x.Dao.load"] == "x.Dao.load"
    assert short["b.y.Dao.load"] == "y.Dao.load"
    assert short["c.Api.call"] == "Api.call"
    assert short["/srv/app/orders/api.py:call"] == "orders/api.py:call"
    assert short["recv"] == "recv"
    assert len(set(short.values())) == len(short)


@pytest.mark.parametrize(
    ("kind", "phase", "timed", "said"),
    [
        ("external-call", "read", False, "no read timeout"),
        ("external-call", "execute", False, "no timeout"),
        ("external-call", "read", True, "with a timeout"),
        ("external-call", "read", None, "timeout unknown"),
        ("pool-wait", "acquire", False, "no timeout"),
        ("lock-wait", None, None, None),
        ("idle", None, False, None),
    ],
)
def test_timeouts_in_words(kind: str, phase: str | None, timed: bool | None, said: str | None) -> None:
    assert words.timeout_words(kind, phase, timed) == said


def test_an_unknown_timeout_says_what_would_show_it_where_there_is_room() -> None:
    assert "ss -tnpo shows the timers" in rendered(EXAMPLES["front"], width=200)
