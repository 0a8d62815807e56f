"""Texts of ``py-spy dump``, one trap each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundness import sound
from threaddump_parsers import claimant, pyspy
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump

HEADER = "Process 3940: /srv/app/bin/python /srv/app/shop.py --port 80\nPython v3.11.7 (/usr/local/bin/python3.11)\n\n"
SHOP = (
    HEADER
    + """\
Thread 3940 (idle): "MainThread"
    Thread.join (threading.py:1119)
    <module> (shop.py:13)
Thread 3942 (active+gil): "refresher-0"
    Inventory.refresh (shop.py:7)
    Thread.run (threading.py:982)
Thread 3943 (active)
    Inventory.refresh (shop.py:7)
    Thread.run (threading.py:982)
"""
)
WITH_LOCALS = """\
Process 1: python shop.py
Python v3.7.16 (/usr/bin/python3.7)

Thread 1 (idle): "MainThread"
    join (threading.py:1044)
        Arguments::
            self: <Thread at 0x7f13ea88e510>
            timeout: None
        Locals::
            text: "a: b"
    <module> (shop.py:13)
Thread 2 (idle): "web"
    <listcomp> (shop.py:13)
        Arguments:
            .0: <list_iterator at 0x7f13ea74a710>
"""

CORE = """\
Signal 11: /tmp/core.77
Process 77: python shop.py
Python v3.12.1

Thread 77 (gil): "MainThread"
    <module> (shop.py:1)
Thread 78: "web-0"
    run (shop.py:2)
Thread 79
    run (shop.py:2)
"""
OLD = """\
Python version 3.7.16
Thread 0x7F13B77FE6C0 (active)
\t get (shop.py:9)
Thread 0x7F13B77FE6C1/0x1A (idle)
\t run (threading.py:870)
"""


def parse(text: str | bytes, *before: bytes) -> list[Dump]:
    raw = text.encode() if isinstance(text, str) else text
    lines = Lines(raw.splitlines(keepends=True), start=len(before) + 1)
    lines.last = list(enumerate(before, 1))
    return list(pyspy.parse(lines))


def only(text: str | bytes, *before: bytes) -> Dump:
    (dump,) = parse(text, *before)
    return dump


def shape(dumps: list[Dump]) -> list[object]:
    """All that is read, without the identities of frames."""
    return [
        (
            *(dump.line, dump.end_line, dump.pid, dump.command, dump.version, dump.unread_lines, dump.problems),
            [
                (
                    *(thread.name, thread.line, thread.printed_state, thread.native_id, thread.address),
                    *(thread.locals, thread.truncated),
                    [(frame.function, frame.file, frame.line, frame.native) for frame in thread.stack],
                )
                for thread in dump.threads
            ],
        )
        for dump in dumps
    ]


def frames(dump: Dump, thread: int = 0) -> list[tuple[str, str | None, int | None, bool]]:
    return [(frame.function, frame.file, frame.line, frame.native) for frame in dump.threads[thread].stack]


def test_a_dump() -> None:
    dump = only(SHOP)
    assert (dump.format, dump.family, dump.runtime, dump.version) == ("py-spy", "python", "CPython", "3.11.7")
    assert (dump.pid, dump.command) == (3940, "/srv/app/bin/python /srv/app/shop.py --port 80")
    assert (dump.line, dump.end_line, dump.unread_lines, dump.problems, dump.truncated) == (1, 12, 0, [], [])
    main, refresher, nameless = dump.threads
    assert (main.name, main.line, main.native_id, main.state, main.printed_state) == (
        "MainThread",
        4,
        3940,
        "IDLE",
        "idle",
    )
    assert (refresher.state, refresher.printed_state, refresher.gil) == ("ACTIVE", "active+gil", True)
    assert (nameless.name, nameless.state, nameless.gil) == ("", "ACTIVE", False)
    assert frames(dump) == [("Thread.join", "threading.py", 1119, False), ("<module>", "shop.py", 13, False)]


def test_equal_stacks_are_one_object() -> None:
    dump = only(SHOP.rstrip("\n"))  # also where the last line has no end
    assert dump.threads[1].stack is dump.threads[2].stack


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("    get (My Files (x86)/a b.py:12)", ("get", "My Files (x86)/a b.py", 12, False)),
        ("    get (C:\\app\\shop.py:12)", ("get", "C:\\app\\shop.py", 12, False)),
        ("    get (odd:name.py:12)", ("get", "odd:name.py", 12, False)),
        ("    _load (<frozen importlib._bootstrap>:1173)", ("_load", "<frozen importlib._bootstrap>", 1173, False)),
        ("    map.<locals>.results (futures/_base.py:6)", ("map.<locals>.results", "futures/_base.py", 6, False)),
        ("    <module> (gunicorn:8)", ("<module>", "gunicorn", 8, False)),
        ("    recv (libc.so.6)", ("recv", "libc.so.6", None, True)),
        ("    0x7f25fe2a3f16 (libc.so.6)", ("0x7f25fe2a3f16", "libc.so.6", None, True)),
        ("    sock_call_ex (socketmodule.c:921)", ("sock_call_ex", "socketmodule.c", 921, True)),
        ("    fetch (asyncpg/protocol.pyx:3)", ("fetch", "asyncpg/protocol.pyx", 3, False)),
        ("    (anonymous namespace)::run (core.cpp:3)", ("(anonymous namespace)::run", "core.cpp", 3, True)),
        ("    poll (a (b) c) (core.so)", ("poll (a (b) c)", "core.so", None, True)),
        ("    <module> (shop.py)", ("<module>", "shop.py", None, False)),
        ("    größe (größe.py:1)", ("größe", "größe.py", 1, False)),
    ],
)  # fmt: skip
def test_frames(line: str, expected: tuple[str, str | None, int | None, bool]) -> None:
    dump = only(f'Thread 1 (idle): "a"\n{line}\n')
    assert frames(dump) == [expected]
    assert (dump.unread_lines, dump.problems) == (0, [])


def test_locals() -> None:
    dump = only(WITH_LOCALS)
    assert dump.threads[0].locals == {
        0: {"self": "<Thread at 0x7f13ea88e510>", "timeout": "None", "text": '"a: b"'},
    }
    assert dump.threads[1].locals == {0: {".0": "<list_iterator at 0x7f13ea74a710>"}}
    assert [len(thread.stack) for thread in dump.threads] == [2, 1]
    assert (dump.unread_lines, dump.problems, dump.end_line) == (0, [], 15)


def test_locals_without_a_frame_are_a_problem() -> None:
    text = 'Thread 1 (idle): "a"\n        Locals:\n            x: 1\n    f (a.py:1)\n            y: 2\n    g (a.py:2)\n'
    dump = only(text)
    assert [(problem.line, problem.reason) for problem in dump.problems] == [
        (2, "variables without a frame"),
        (3, "a variable without a frame"),
        (5, "a variable without a frame"),
    ]
    assert dump.unread_lines == 3
    assert dump.threads[0].locals is None


def test_variables_of_an_earlier_frame_end_at_the_next() -> None:
    text = "Thread 1 (idle)\n    f (a.py:1)\n        Locals:\n            x: 1\n    g (a.py:2)\nThread 2 (idle)\n"
    dump = only(
        text + "    f (a.py:1)\n        Locals:\n            x: 1\n    g (a.py:2)\n            y: 2\n    g (a.py:2)\n"
    )
    assert [thread.locals for thread in dump.threads] == [{0: {"x": "1"}}, {0: {"x": "1"}}]
    assert dump.unread_lines == 1


def test_version_0_1() -> None:
    exe = "/usr/local/bin/python3.7"
    assert not pyspy.claims(exe.encode())
    dump = only(OLD, exe.encode())
    assert (dump.line, dump.end_line, dump.version, dump.pid, dump.command) == (1, 6, "3.7.16", None, exe)
    assert [thread.address for thread in dump.threads] == ["0x7f13b77fe6c0", "0x7f13b77fe6c1"]
    assert [thread.native_id for thread in dump.threads] == [None, 26]
    assert frames(dump) == [("get", "shop.py", 9, False)]
    again = parse(f"{OLD}{exe}\n{OLD}", exe.encode())
    assert [(dump.line, dump.end_line, dump.command) for dump in again] == [(1, 6, exe), (7, 12, exe)]


def test_subprocesses_are_dumps_of_their_own() -> None:
    rule = "\n" + "-" * 80 + "\n"
    child = """\
Process 51: python worker.py
Python v3.11.7 (/usr/bin/python3.11)
Parent Process 3940: python shop.py

Thread 51 (idle): "MainThread"
    run (worker.py:1)
"""
    dumps = parse(SHOP + rule + child + rule + rule + child)
    assert [(dump.pid, dump.line, dump.end_line, len(dump.threads)) for dump in dumps] == [
        (3940, 1, 12, 3),
        (51, 15, 20, 1),
        (51, 25, 30, 1),
    ]
    assert [(dump.unread_lines, dump.problems) for dump in dumps] == [(0, [])] * 3


def test_a_core_file_has_no_states() -> None:
    assert pyspy.claims(CORE.splitlines(keepends=True)[0].encode())
    dump = only(CORE)
    assert (dump.line, dump.pid, dump.version, dump.died) == (1, 77, "3.12.1", "SIGSEGV")
    assert [only(CORE.replace("Signal 11", f"Signal {n}")).died for n in (19, 5, 40)] == [None, None, "signal 40"]
    assert [(thread.name, thread.state, thread.printed_state, thread.gil) for thread in dump.threads] == [
        ("MainThread", None, "gil", True),
        ("web-0", None, None, False),
        ("", None, None, False),
    ]


def test_a_series_in_one_file() -> None:
    dumps = parse(SHOP * 3)
    assert [(dump.line, dump.end_line, len(dump.threads)) for dump in dumps] == [(1, 12, 3), (13, 24, 3), (25, 36, 3)]


def test_a_series_without_process_headers() -> None:
    body = SHOP.removeprefix(HEADER)
    dumps = parse(body * 2)
    assert [(dump.line, dump.end_line, len(dump.threads), dump.pid, dump.version) for dump in dumps] == [
        (1, 9, 3, None, None),
        (10, 18, 3, None, None),
    ]


def test_a_terminal_capture() -> None:
    text = (
        "Process \x1b[33m\x1b[1m3940\x1b[0m: python shop.py\r\n"
        "Python v\x1b[1m3.11.7\x1b[0m (\x1b[2m/usr/bin/python3.11\x1b[0m)\r\n\r\n"
        'Thread \x1b[33m\x1b[1m3940\x1b[0m (idle): "MainThread"\r\n'
        "    \x1b[32mjoin\x1b[0m (\x1b[36mthreading.py\x1b[0m:\x1b[2m11\x1b[0m)\r\n"
    )
    assert all(pyspy.claims(line.encode()) for line in text.splitlines() if line[0:2] in ("Pr", "Py", "Th"))
    dump = only(text)
    assert (dump.pid, dump.version, dump.threads[0].native_id) == (3940, "3.11.7", 3940)
    assert frames(dump) == [("join", "threading.py", 11, False)]
    assert dump.problems == []


def test_a_paste_that_starts_in_the_middle_of_a_thread() -> None:
    frames = "    QueuePool.get (pool.py:7)\n    recv (libc.so.6)\n    <module> (shop.py:13)\n"
    text = frames + 'Thread 2 (idle): "web"\n    f (a.py:1)\n'
    assert pyspy.claims(text.splitlines()[0].encode())
    dump = only(text)
    assert [(thread.name, thread.line, len(thread.stack), thread.truncated) for thread in dump.threads] == [
        ("", 1, 3, True),
        ("web", 4, 1, False),
    ]
    assert dump.truncated == ["the start of the dump is missing: it begins in the middle of a thread"]
    assert (dump.line, dump.unread_lines) == (1, 0)


def test_frames_without_a_header_after_them_are_not_a_dump() -> None:
    lines = Lines([b"    f (a.py:1)\n", b"    g (a.py:2)\n", b"Done\n"])
    assert list(pyspy.parse(lines)) == []
    assert [number for number, _ in lines] == [1, 2, 3]
    # The run was refused at its first line: at the second it is not looked through again.
    assert parse("    g (a.py:2)\nThread 2 (idle)\n", b"    f (a.py:1)\n") == []


def test_a_paste_without_indentation() -> None:
    text = "\n".join(line.strip() for line in WITH_LOCALS.splitlines())
    dump = only(text)
    assert [[frame.function for frame in thread.stack] for thread in dump.threads] == [
        ["join", "<module>"],
        ["<listcomp>"],
    ]
    assert dump.threads[0].locals == only(WITH_LOCALS).threads[0].locals
    assert (dump.unread_lines, dump.problems) == (0, [])


def test_output_that_cuts_in_is_counted_and_output_after_is_not() -> None:
    lines = SHOP.splitlines(keepends=True)
    lines.insert(5, "GET /health 200\n")
    dump = only("".join(lines) + "\nGET /health 200\nThread pool is idle\n    indented\n")
    assert (dump.unread_lines, dump.end_line, dump.problems) == (1, 13, [])
    assert [len(thread.stack) for thread in dump.threads] == [2, 2, 2]


def test_the_log_after_a_dump_ends_the_stretch() -> None:
    lines = Lines([line.encode() for line in (SHOP + "GET /health 200\n" * 1000).splitlines(keepends=True)])
    assert len(list(pyspy.parse(lines))) == 1
    assert sum(1 for _ in lines) > 700


def test_the_dump_of_another_format_ends_the_stretch() -> None:
    other = b"Thread 0x00007fbc663ba6c0 (most recent call first):\n"
    lines = Lines([line.encode() for line in SHOP.splitlines(keepends=True)] + [b"12:00:01\n", b"pid 7\n", other])
    (dump,) = pyspy.parse(lines)
    assert (dump.end_line, dump.unread_lines) == (12, 0)
    assert [line for _, line in lines] == [b"12:00:01\n", b"pid 7\n", other]


@pytest.mark.parametrize("header", ['Thread 7 (idle): "web\n-1"', 'Thread 7 (idle): "web'])
def test_a_broken_header_keeps_its_thread(header: str) -> None:
    dump = only(f'Thread 6 (idle)\n    f (a.py:1)\n{header}\n    f (a.py:1)\nThread 8 (idle): "c"\n')
    assert [thread.native_id for thread in dump.threads] == [6, 7, 8]
    assert dump.threads[1].name == "web"
    assert [(problem.line, problem.reason) for problem in dump.problems] == [
        (3, "a thread header that is not complete")
    ]
    assert dump.truncated == []


def test_odd_headers_are_problems() -> None:
    odd = ["Thread 7", "Thread 7 (sleeping)", "Thread pool", "    Queue.get (queue.p"]
    dump = only("Thread 6 (idle)\n" + "\n".join(odd) + "\n    f (a.py:1)\n")
    assert [(problem.line, problem.text) for problem in dump.problems] == [(n, line) for n, line in enumerate(odd, 2)]
    assert dump.unread_lines == 4
    assert [thread.native_id for thread in dump.threads] == [6]


@pytest.mark.parametrize(
    "end", ['Thread 3944 (idle): "web-', "    Queue.get (queue.p", "        Argum", "Thread 39", "Thr"]
)
def test_a_dump_cut_within_a_line(end: str) -> None:
    dump = only(SHOP + end)
    assert [thread.native_id for thread in dump.threads][:3] == [3940, 3942, 3943]
    assert [(problem.line, problem.text) for problem in dump.problems] == [(13, end)]
    assert dump.truncated == ["the input ends in the middle of a line: what came after it is missing"]
    assert dump.threads[-1].truncated


def test_a_dump_without_threads() -> None:
    dump = only(HEADER)
    assert (dump.pid, dump.threads) == (3940, [])
    assert [problem.reason for problem in dump.problems] == ["the dump has no thread"]


def test_an_unknown_thread_id_tells_nobody_apart() -> None:
    assert len(only("Thread 0 (idle)\nThread 0 (idle)\n").threads) == 2


@pytest.mark.parametrize(
    "line", [*SHOP.splitlines()[:2], 'Thread 5 (idle): "a"', "Thread 0x7F13B77FE6C0 (active)", "Python version 3.7.1"]
)
def test_claims(line: str) -> None:
    assert claimant(line.encode()) is pyspy
    assert claimant(line.encode() + b"\r\n") is pyspy


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Process finished",
        "Thread 14 (Thread 0x7f3af2ffd6c0 (LWP 8169)):",
        "Thread 12345: (state = BLOCKED)",
        "Thread 5",
        "Thread 5 (sleeping)",
        'Thread 5: "a"',
        "Python vital",
        "Python v3.11 is required",
        "    recv (libc.so.6)",
        "    at com.acme.Dao.load(Dao.java:12)",
        "    at load (dao.py:12)",
        "        deep (dao.py:12)",
        '    (C) File "Modules/_threadmodule.c", line 98, in acquire_timed (/lib/libpython3.11.so.1.0)',
        "Permission Denied: Try running again with elevated permissions by going 'sudo env \"PATH=$PATH\" !!'",
        "Error: Failed to find python version from target process",
        "Error: Failed to get process executable name. Check that the process is running.",
        "Error: Unsupported version of Python: 3.11.0",
    ],
)
def test_does_not_claim(line: str) -> None:
    assert not pyspy.claims(line.encode())


@pytest.mark.parametrize(
    "text", ["Process 7: done\nnext\n\nThread 1 (idle)\n", "Signal 9: sent\n", "Python v3.11.7\nstarting\n"]
)
def test_a_log_line_like_a_header_is_left_alone(text: str) -> None:
    lines = Lines(text.encode().splitlines(keepends=True))
    assert pyspy.claims(text.splitlines()[0].encode())
    assert list(pyspy.parse(lines)) == []
    assert next(iter(lines))[0] == 1


def test_a_log_line_like_a_header_within_a_dump_is_unread() -> None:
    dump = only(SHOP.replace("    <module>", "Process 7: done\n    <module>"))
    assert (len(dump.threads), dump.unread_lines, dump.problems) == (3, 1, [])


LINES = [
    *SHOP.splitlines(),
    *WITH_LOCALS.splitlines(),
    "\t get (a.py:1)",
    "Python version 3.7.1",
    "Signal 1: x",
    "-" * 80,
    "log",
]
NOISE = st.one_of(st.sampled_from(LINES).map(str.encode), st.binary(max_size=30))


@given(st.lists(NOISE, max_size=30), st.sampled_from([b"\n", b"\r\n"]))
def test_nothing_raises(rows: list[bytes], end: bytes) -> None:
    dumps = sound(pyspy.parse(Lines([row + end for row in rows])))
    assert not dumps or dumps[-1].end_line <= len(rows)


@given(st.data())
def test_damaged_dumps_do_not_raise(data: st.DataObject) -> None:
    raw = bytearray((SHOP + WITH_LOCALS).encode())
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    parse(bytes(raw))


@pytest.mark.parametrize("text", [SHOP, WITH_LOCALS, SHOP * 2])
def test_line_ends_change_nothing(text: str) -> None:
    assert shape(parse(text.replace("\n", "\r\n"))) == shape(parse(text))
    assert shape(parse(text.rstrip("\n"))) == shape(parse(text))


@pytest.mark.parametrize("text", [SHOP, WITH_LOCALS, SHOP + WITH_LOCALS, CORE, OLD])
def test_a_cut_dump_holds_the_first_threads(text: str) -> None:
    whole = [(thread.native_id, thread.address) for dump in parse(text) for thread in dump.threads]
    for end in range(0, len(text), 7):
        threads = [(thread.native_id, thread.address) for dump in parse(text[:end]) for thread in dump.threads]
        assert threads == whole[: len(threads)]
