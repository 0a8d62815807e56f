"""Facts of the operating system below a dump: read again, whatever has become of them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from threaddump import intake
from threaddump.live import Captured
from threaddump_parsers import os_facts
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump

DUMP = 'Process 7: python app.py\nPython v3.11.7 (python)\n\nThread 7 (idle): "MainThread"\n    call (app.py:3)\n'
PROCESS = {"schema": 1, "pid": 7, "host": "orders-4", "instance": "pod-1"}
THREAD = {
    "tid": 7,
    "cpu_ms": 90,
    "call": "poll",
    "peer": "10.0.0.7:1",
    "silent_ms": 4800,
    "timeout_ms": 9,
    "untimed": False,
}


def line(value: Any) -> str:
    return f"# threaddump-os: {json.dumps(value)}\n"


def read(text: str) -> list[Dump]:
    return list(intake.dumps(Captured("x", None, text=text.encode())))


def test_they_belong_to_the_dump_before_them() -> None:
    first, second = read((DUMP + line(PROCESS) + line({"threads": [THREAD]})) + DUMP)
    (thread,) = first.threads
    assert thread.call is not None
    assert (thread.call.name, thread.call.peer, thread.call.waiting_ms, thread.call.timeout_ms) == (
        "poll",
        "10.0.0.7:1",
        4800,
        9,
    )
    assert (thread.cpu_ms, first.host, first.instance, first.end_line) == (90.0, "orders-4", "pod-1", 7)
    assert (second.os, second.host) == (None, None)
    assert first.unread_lines == second.unread_lines == 0


def test_two_captures_in_a_file_keep_theirs() -> None:
    one = DUMP + line(PROCESS) + line({"threads": [THREAD]})
    other = DUMP + line({**PROCESS, "host": "orders-5"}) + line({"threads": []})
    first, second = read(one + "\n" + other)
    assert (first.host, second.host) == ("orders-4", "orders-5")
    assert first.threads[0].call is not None and second.threads[0].call is None


def test_a_line_that_was_cut_is_a_problem() -> None:
    (dump,) = read(DUMP + line(PROCESS) + line({"threads": [THREAD]})[:-20] + "\n")
    (problem,) = dump.problems
    assert (problem.line, problem.reason) == (7, "a line of facts that is no JSON object: it was cut")
    assert dump.threads[0].call is None


def test_facts_without_a_dump_are_none() -> None:
    assert [dump.format for dump in os_facts.parse(Lines([line(PROCESS).encode()]))] == ["os-facts"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*THREAD, *PROCESS, "threads"]), inner),
    max_leaves=12,
)


@given(st.lists(JSON | st.fixed_dictionaries({"threads": st.lists(JSON)}), max_size=4))
def test_any_json_is_read_without_an_error(values: list[Any]) -> None:
    (dump,) = read(DUMP + "".join(map(line, values)))
    assert len(dump.threads) == 1


@given(st.binary(max_size=60))
def test_any_bytes_are_read_without_an_error(noise: bytes) -> None:
    text = DUMP.encode() + b"# threaddump-os: " + noise.replace(b"\n", b" ").replace(b"\x00", b" ") + b"\n"
    assert [len(dump.threads) for dump in intake.dumps(Captured("x", None, text=text))] == [1]
