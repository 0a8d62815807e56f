"""Arrays of ``py-spy dump --json``, one trap each."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threaddump_parsers import claimant, pyspy_json
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump


def frame(name: str, file: str, line: int, **more: Any) -> dict[str, Any]:
    short = file.rpartition("/")[2]
    return {
        "name": name,
        "filename": file,
        "module": None,
        "short_filename": short,
        "line": line,
        "locals": None,
    } | more


def thread(number: int, *frames: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "pid": 28063,
        "thread_id": 140537839482560 + number,
        "thread_name": f"web-{number}",
        "os_thread_id": 28080 + number,
        "active": False,
        "owns_gil": False,
        "frames": list(frames),
        "process_info": None,
    } | more


GET = frame("Queue.get", "/usr/lib/python3.11/queue.py", 171)
RUN = frame("Thread.run", "/usr/lib/python3.11/threading.py", 982)
VARIABLES = [
    {"name": "self", "addr": 140538071590928, "arg": True, "repr": '<Queue "{[" at 0x7f>'},
    {"name": "block", "addr": 1, "arg": True, "repr": None},
]
THREADS = [
    thread(0, GET, RUN),
    thread(1, GET | {"locals": VARIABLES}, RUN),
    thread(2, GET, RUN, active=True, owns_gil=True, thread_name=None),
]
PRETTY = json.dumps(THREADS, indent=2) + "\n"


def parse(text: str | bytes) -> list[Dump]:
    raw = text.encode() if isinstance(text, str) else text
    return list(pyspy_json.parse(Lines(raw.splitlines(keepends=True))))


def only(text: str | bytes) -> Dump:
    (dump,) = parse(text)
    return dump


def test_a_dump() -> None:
    dump = only(PRETTY)
    assert (dump.format, dump.family, dump.runtime, dump.version, dump.pid) == (
        "py-spy-json",
        "python",
        "CPython",
        None,
        28063,
    )
    assert (dump.line, dump.end_line, dump.unread_lines) == (1, PRETTY.count("\n"), 0)
    assert (dump.problems, dump.truncated) == ([], [])
    first, second, third = dump.threads
    assert (first.name, first.native_id, first.address, first.line) == ("web-0", 28080, hex(140537839482560), 2)
    assert PRETTY.splitlines()[second.line - 1] == "  {"
    assert (first.state, first.printed_state, first.gil) == ("IDLE", "idle", False)
    assert (third.state, third.printed_state, third.gil, third.name) == ("ACTIVE", "active+gil", True, "")
    top = first.stack[0]
    assert (top.function, top.file, top.line, top.native) == ("Queue.get", "/usr/lib/python3.11/queue.py", 171, False)
    assert first.stack is second.stack
    assert first.locals is None
    assert second.locals == {0: {"self": '<Queue "{[" at 0x7f>', "block": "?"}}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(THREADS),
        json.dumps(THREADS, separators=(",", ":")) + "\n",
        json.dumps(THREADS, indent=2, sort_keys=True),
        json.dumps(THREADS, indent="\t").replace("\n", "\r\n"),
        "[" + ",\n".join(json.dumps(entry) for entry in THREADS) + "]\n",
    ],
)
def test_the_layout_does_not_matter(text: str) -> None:
    dump = only(text)
    assert [thread.name for thread in dump.threads] == ["web-0", "web-1", ""]
    assert [len(thread.stack) for thread in dump.threads] == [2, 2, 2]
    assert dump.threads[1].locals == only(PRETTY).threads[1].locals
    assert (dump.problems, dump.truncated) == ([], [])
    assert pyspy_json.claims(text.splitlines(keepends=True)[0].encode())


def test_native_frames() -> None:
    frames = [
        frame("recv", "/lib/libc.so.6", 0, module="/lib/libc.so.6", short_filename=None),
        frame("sock_call_ex", "socketmodule.c", 921, module="/usr/lib/libpython3.11.so.1.0"),
        frame("fetch", "asyncpg/protocol.pyx", 3, module="/srv/protocol.so"),
    ]
    dump = only(json.dumps([thread(1, *frames)]))
    assert [(frame.function, frame.file, frame.line, frame.native) for frame in dump.threads[0].stack] == [
        ("recv", "/lib/libc.so.6", None, True),
        ("sock_call_ex", "socketmodule.c", 921, True),
        ("fetch", "asyncpg/protocol.pyx", 3, False),
    ]


def test_a_thread_on_each_line_has_that_line() -> None:
    text = "[" + ",\n".join(json.dumps(entry) for entry in THREADS) + "]\n"
    assert [thread.line for thread in only(text).threads] == [1, 2, 3]
    assert [thread.line for thread in only(json.dumps(THREADS)).threads] == [1, 1, 1]


def test_arrays_in_a_row() -> None:
    lines = Lines((PRETTY * 2).encode().splitlines(keepends=True))
    (first,) = pyspy_json.parse(lines)
    (second,) = pyspy_json.parse(lines)
    assert (first.end_line + 1, len(first.threads)) == (second.line, len(second.threads))


def test_each_process_is_a_dump() -> None:
    info = {"pid": 5, "command_line": "python worker.py", "parent": None}
    dumps = parse(json.dumps([*THREADS, thread(9, GET, pid=5, process_info=info)], indent=2))
    assert [(dump.pid, dump.command, len(dump.threads)) for dump in dumps] == [
        (28063, None, 3),
        (5, "python worker.py", 1),
    ]
    assert dumps[0].end_line + 1 == dumps[1].line


@pytest.mark.parametrize("text", [PRETTY, json.dumps(THREADS)])
def test_a_cut_array_holds_the_complete_threads(text: str) -> None:
    for end in range(0, len(text.rstrip()), 7):
        dumps = parse(text[:end])
        threads = [thread.native_id for dump in dumps for thread in dump.threads]
        assert threads == [28080, 28081, 28082][: len(threads)]
        assert all(dump.truncated and dump.problems for dump in dumps)
    assert [len(dump.threads) for dump in parse(text[: text.index("28082")])] == [2]


@pytest.mark.parametrize("after", [PRETTY, "12:00:01 GET /health\n", "Process 5: python\n"])
def test_a_cut_array_ends_where_something_else_starts(after: str) -> None:
    cut = PRETTY[: PRETTY.index('"os_thread_id": 28081')]
    lines = Lines((cut.rstrip(" ") + after).encode().splitlines(keepends=True))
    (dump,) = pyspy_json.parse(lines)
    assert len(dump.threads) == 1
    assert dump.truncated == ["the JSON ends in the middle: the threads that came after it are missing"]
    assert dump.end_line == dump.problems[0].line == cut.count("\n")
    assert next(iter(lines)) == (cut.count("\n") + 1, after.splitlines(keepends=True)[0].encode())


BAD: list[object] = [None, True, -1, 1.5, 10**30, "", "\ud800", [], ["a"], {}, {"a": 1}, "x" * 300]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("key", list(THREADS[0]))
def test_bad_values_of_a_thread(key: str, bad: object) -> None:
    dump = only(json.dumps([THREADS[0], THREADS[1] | {key: bad}]))
    assert dump.threads[0].name == "web-0"


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("key", list(GET))
def test_bad_values_of_a_frame(key: str, bad: object) -> None:
    dump = only(json.dumps([thread(0, RUN, GET | {key: bad}), thread(1, GET | {"locals": [{key: bad}, bad]})]))
    assert [len(thread.stack) for thread in dump.threads] == [2, 1]
    assert all(frame.function.encode() is not None for thread in dump.threads for frame in thread.stack)


def test_objects_that_are_no_threads_are_problems() -> None:
    text = PRETTY.replace('"web-1"', "web-1").replace("  }\n]", '  },\n  {"a": 1}\n]')
    dump = only(text)
    assert [thread.native_id for thread in dump.threads] == [28080, 28082]
    assert [problem.reason for problem in dump.problems] == ["an object that is no JSON", "an object that is no thread"]
    dump = only(json.dumps([THREADS[0], thread(1, frames=7), thread(2, "x")]))  # type: ignore[arg-type]
    assert [problem.reason for problem in dump.problems] == [
        "a thread without a list of frames",
        "a frame that is no object",
    ]
    assert [thread.truncated for thread in dump.threads] == [False, False, True]


def test_deep_nesting_does_not_raise() -> None:
    deep = "[" * 100_000
    dump = only(json.dumps(THREADS[:1])[:-1] + f',{{"frames": {deep}{deep.replace("[", "]")}}}]')
    assert (len(dump.threads), [problem.reason for problem in dump.problems]) == (1, ["an object that is no JSON"])


@pytest.mark.parametrize("line", ["[", "[\r\n", "[ \n", "[{", '[{"pid": 1, "thread_id": 2', '[ { "active":true'])
def test_claims(line: str) -> None:
    assert claimant(line.encode()) is pyspy_json


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "[INFO] started",
        "[2024-01-01 10:00:00] GET",
        '[{"level": "info"}]',
        "[1, 2]",
        " [",
        "[" + " " * 500 + "x",
    ],
)
def test_does_not_claim(line: str) -> None:
    assert not pyspy_json.claims(line.encode())


@pytest.mark.parametrize(
    "text",
    [
        "[\n",
        "[\nINFO\n]\n",
        '[\n  {\n    "name": "x"\n  }\n]\n',
        '[{"pid": 1, "name": "x"}]',
        '[\n{\n"active": 1}\n]\n',
    ],
)
def test_other_arrays_are_left_alone(text: str) -> None:
    lines = Lines(text.encode().splitlines(keepends=True))
    assert list(pyspy_json.parse(lines)) == []
    assert next(iter(lines))[0] == 1


@given(st.data())
def test_damaged_arrays_do_not_raise(data: st.DataObject) -> None:
    raw = bytearray(data.draw(st.sampled_from([PRETTY, json.dumps(THREADS)])).encode())
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.one_of(st.binary(max_size=3), st.sampled_from([b"{", b"]", b'"']))
        )
    parse(bytes(raw))


@given(st.binary(max_size=200))
def test_nothing_raises(raw: bytes) -> None:
    parse(raw)
    parse(b'[{"pid": 1, "active": true, "frames": [' + raw)
