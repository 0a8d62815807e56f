"""Profiles: folded stacks of several tools, and speedscope. A thread is what it was seen in most."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threaddump_parsers import claimant, folded, profiles, speedscope
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump

PY_SPY = "thread (15): web-1;run (threading.py:982);get (queue.py:171) 90\n"
AUSTIN = "P71;T0:15;/srv/shop.py:<module>:3;/srv/shop.py:Stock.left:9 1000000\n"
ASYNC = "[exec-1 tid=15];java/lang/Thread.run_[j];com/shop/Dao.load_[j] 12\n"
PLAIN = "main;serve;read 5\nmain;serve;write 3\nmain;idle;poll 1\n"


def parse(text: str) -> list[Dump]:
    lines = Lines(text.encode().splitlines(keepends=True))
    return list(folded.parse(lines))


def only(text: str) -> Dump:
    (dump,) = parse(text)
    return dump


def shape(dump: Dump) -> list[tuple[str, list[str]]]:
    return [(thread.label, [frame.function for frame in thread.stack]) for thread in dump.threads]


def test_py_spy() -> None:
    dump = only(PY_SPY)
    assert (dump.family, dump.profile) == ("python", "90 samples")
    assert shape(dump) == [("web-1", ["get", "run"])]
    assert dump.threads[0].native_id == 15
    assert [(frame.file, frame.line) for frame in dump.threads[0].stack] == [("queue.py", 171), ("threading.py", 982)]


def test_the_heaviest_stack_stands_for_a_thread() -> None:
    dump = only(PY_SPY + PY_SPY.replace("get (queue.py:171) 90", "put (queue.py:9) 100") + PY_SPY)
    assert shape(dump) == [("web-1", ["get", "run"])]
    assert dump.threads[0].printed_state == "180 samples of 280 samples"


def test_processes_are_dumps_and_their_commands_may_hold_anything() -> None:
    text = f'process 71:"sh -c a; b ; c";{PY_SPY}process 72:"x";{PY_SPY}'
    assert [(dump.pid, dump.command, len(dump.threads)) for dump in parse(text)] == [
        (71, "sh -c a; b ; c", 1),
        (72, "x", 1),
    ]


def test_austin() -> None:
    dump = only(f"# austin: 3.7.0\n# mode: wall\n\n{AUSTIN}{AUSTIN}"[len("# austin: 3.7.0\n# mode: wall\n\n") :])
    assert (dump.family, dump.pid, dump.profile) == ("python", 71, "2 s of thread time")
    assert shape(dump) == [("thread 15", ["Stock.left", "<module>"])]
    assert shape(only(AUSTIN.replace("1000000", "500,1,-3"))) == shape(dump)


def test_async_profiler() -> None:
    dump = only(ASYNC)
    assert dump.family == "jvm"
    assert shape(dump) == [("exec-1", ["com.shop.Dao.load", "java.lang.Thread.run"])]


def test_without_threads_each_stack_is_an_entry() -> None:
    dump = only(PLAIN)
    assert shape(dump)[0] == ("5 samples", ["read", "serve", "main"])
    assert [thread.unit for thread in dump.threads] == ["stack"] * 3
    assert (dump.family, dump.profile) == (
        "other",
        "9 samples; it does not tell threads apart, so each stack is an entry",
    )


def test_lighter_stacks_are_left_out_and_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "MAX_STACKS", 2)
    dump = only(PLAIN)
    assert [thread.label for thread in dump.threads] == ["5 samples", "3 samples"]
    assert dump.truncated == ["the 2 heaviest of 3 stacks are looked at"]


@pytest.mark.parametrize(
    "line",
    [
        "Set-Cookie: a=b;c=d;e 12",
        "Mozilla/5.0 (X11; Linux x86_64; rv:1) 200",
        "2026;10;12 5",
        "a;b 12",
        "a;b;c",
        '{"a";"b";"c"} 1',
        "select 1; select 2; select 3",
        f"[pod/shop-0/shop] {PY_SPY}",
        f"[pod/shop-0/shop] {AUSTIN}",
        f"Nov  2 20:59:01 app-01 shop[42]: {PY_SPY}",
        f"  {PY_SPY}",
    ],
)
def test_what_is_not_claimed(line: str) -> None:
    assert claimant(line.encode() + b"\n") is None


def test_text_that_only_looks_folded_is_left_alone() -> None:
    lines = Lines([b"one;two;three 4\n", b"and then a log line\n"])
    assert list(folded.parse(lines)) == []
    assert lines.peek(1) == [(1, b"one;two;three 4\n")]


def test_another_line_ends_a_profile() -> None:
    lines = Lines(f"{PY_SPY}done\n".encode().splitlines(keepends=True))
    assert len(list(folded.parse(lines))) == 1
    assert lines.peek(1) == [(2, b"done\n")]


# --- speedscope


def document(**changes: Any) -> dict[str, Any]:
    return {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "profiles": [
            {
                "type": "sampled",
                "name": 'Thread 15 "web-1"',
                "unit": "seconds",
                "samples": [[0, 1], [0]],
                "weights": [2, 1],
            }
        ],
        "shared": {"frames": [{"name": "run", "file": "threading.py", "line": 9}, {"name": "get", "file": "queue.py"}]},
    } | changes


def scope(value: Any, **options: Any) -> Dump:
    text = json.dumps(value, **options)
    raw = text.encode().splitlines(keepends=True)
    start = next(i for i, line in enumerate(raw) if claimant(line) is speedscope)
    lines = Lines(raw[start:], start + 1)
    lines.last = [(i + 1, raw[i]) for i in range(start)]
    (dump,) = speedscope.parse(lines)
    return dump


@pytest.mark.parametrize("indent", [None, 1])
def test_speedscope(indent: int | None) -> None:
    dump = scope(document(), indent=indent)
    assert (dump.family, dump.profile, dump.line, dump.problems) == ("python", "3 s of thread time", 1, [])
    assert shape(dump) == [("web-1", ["get", "run"])]
    assert dump.threads[0].native_id == 15


def test_events() -> None:
    events = [
        {"type": "O", "frame": 0, "at": 0},
        {"type": "O", "frame": 1, "at": 1},
        {"type": "C", "frame": 1, "at": 9},
        {"type": "C", "frame": 0, "at": 10},
    ]
    profile = {"type": "evented", "name": "main thread", "unit": "milliseconds", "events": events}
    dump = scope(document(profiles=[profile]))
    assert shape(dump) == [("main thread", ["get", "run"])]
    assert dump.threads[0].printed_state == "0.008 s of 0.01 s"


@pytest.mark.parametrize(
    "changes",
    [
        {"profiles": [7, None]},
        {"profiles": [{"samples": [[99, -1, "x", None], 5], "weights": "no"}]},
        {"profiles": [{"events": [{"at": "x"}, 5, {"type": "C", "at": 1}]}]},
        {"shared": {"frames": [5, {"name": 5, "line": "x"}]}},
        {"shared": None},
        {"profiles": []},
    ],
)
def test_odd_documents(changes: dict[str, Any]) -> None:
    scope(document(**changes))


def test_a_cut_document_says_so() -> None:
    text = json.dumps(document())
    (dump,) = speedscope.parse(Lines([text[:-9].encode()]))
    assert dump.threads == []
    assert "ends in the middle" in dump.truncated[0]
    assert list(speedscope.parse(Lines([]))) == []


@given(st.recursive(st.none() | st.integers() | st.text(max_size=3), lambda c: st.lists(c, max_size=3), max_leaves=8))
def test_nothing_in_a_document_raises(value: Any) -> None:
    scope(document(profiles=value))
    scope(document(shared={"frames": value}))
    scope(document(profiles=[{"samples": value, "weights": value}]))


LINES = [PY_SPY, AUSTIN, ASYNC, *PLAIN.splitlines(keepends=True), "# mode: wall\n", "\n", "log\n"]


@given(st.lists(st.one_of(st.sampled_from(LINES).map(str.encode), st.binary(max_size=30).map(lambda b: b + b"\n"))))
def test_no_folded_line_raises(rows: list[bytes]) -> None:
    for dump in folded.parse(Lines(rows)):
        assert 0 < dump.line <= dump.end_line <= len(rows)
        assert all(thread.stack for thread in dump.threads)


@given(st.text(alphabet="a;(): .py1[]tid=PT#_/", max_size=60))
def test_what_is_claimed_is_read(text: str) -> None:
    line = text.encode() + b"\n"
    if folded.claims(line):
        list(folded.parse(Lines([line])))
