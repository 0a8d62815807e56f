"""Dumps of the ``faulthandler`` module, one trap each."""

from __future__ import annotations

import faulthandler as standard_library
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundness import sound
from threaddump_parsers import claimant, faulthandler
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump

WEB = """\
Thread 0x00007fcd098bd6c0 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 327 in wait
  File "/srv/app/shop.py", line 12 in get
"""
BATCH = """\
Thread 0x00007fcd098bd6c1 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 327 in wait
  File "/srv/app/shop.py", line 12 in get
"""
MAIN = """\
Current thread 0x00007fbc6761bb80 (most recent call first):
  Garbage-collecting
  File "/srv/app/shop.py", line 16 in <module>
"""
DUMP = f"{WEB}\n{BATCH}\n{MAIN}"
CRASH = f"""\
Fatal Python error: Segmentation fault

{MAIN}
Current thread's C stack trace (most recent call first):
  Binary file "python3.14", at _Py_DumpStack+0x4a [0x49b2f9]
  Binary file "/lib/libc.so.6", at +0x29fba [0x7fdee3053fba]
  Binary file "python3.14" [0x499b60]
  <truncated rest of calls>

Extension modules: numpy.core._multiarray_umath, lxml.etree (total: 2)
"""


def parse(text: str | bytes) -> list[Dump]:
    raw = text.encode() if isinstance(text, str) else text
    return list(faulthandler.parse(Lines(raw.splitlines(keepends=True))))


def only(text: str | bytes) -> Dump:
    (dump,) = parse(text)
    return dump


def shape(dumps: list[Dump]) -> list[object]:
    """All that is read, without the identities of frames."""
    return [
        (
            *(dump.line, dump.end_line, dump.unread_lines, dump.problems, dump.truncated),
            [
                (
                    *(thread.name, thread.line, thread.address, thread.truncated),
                    [(frame.function, frame.file, frame.line) for frame in thread.stack],
                )
                for thread in dump.threads
            ],
        )
        for dump in dumps
    ]


def extent(dumps: list[Dump]) -> list[tuple[int, int, int]]:
    return [(dump.line, dump.end_line, len(dump.threads)) for dump in dumps]


def stack_of(frames: int) -> str:
    return "".join(f'  File "deep.py", line {n} in dive\n' for n in range(1, frames + 1))


FRAME = '  File "/srv/app/shop.py", line 3 in pay\n'


def test_what_the_process_died_of() -> None:
    dumps = parse(
        f"Fatal Python error: Segmentation fault\n\nThread 0x00000002 (most recent call first):\n{FRAME}\n"
        f"Current thread 0x00000001 (most recent call first):\n{FRAME}"
    )
    assert [(dump.died, dump.died_in) for dump in dumps] == [("Segmentation fault", dumps[0].threads[1])]
    assert [
        dump.died for dump in parse(f"Timeout (0:00:01)!\nThread 0x00000002 (most recent call first):\n{FRAME}")
    ] == [None]


def test_a_dump() -> None:
    dump = only(DUMP)
    assert (dump.format, dump.family, dump.runtime, dump.version) == ("faulthandler", "python", "CPython", None)
    assert (dump.line, dump.end_line, dump.unread_lines, dump.problems, dump.truncated) == (1, 11, 0, [], [])
    assert [(thread.address, thread.line, thread.name) for thread in dump.threads] == [
        ("0x7fcd098bd6c0", 1, ""),
        ("0x7fcd098bd6c1", 5, ""),
        ("0x7fbc6761bb80", 9, ""),
    ]
    frame = dump.threads[0].stack[1]
    assert (frame.function, frame.file, frame.line, frame.native) == ("get", "/srv/app/shop.py", 12, False)
    assert dump.threads[0].stack is dump.threads[1].stack
    assert [frame.function for frame in dump.threads[2].stack] == ["<module>"]


def test_what_this_interpreter_prints() -> None:
    with tempfile.TemporaryFile() as file:
        standard_library.dump_traceback(file, all_threads=True)
        standard_library.dump_traceback(file, all_threads=False)
        file.seek(0)
        raw = file.read()
    dumps = parse(raw)
    assert any(frame.function == "test_what_this_interpreter_prints" for frame in dumps[0].threads[-1].stack)
    assert len(dumps) == 2
    assert [(dump.unread_lines, dump.problems) for dump in dumps] == [(0, [])] * 2


def test_names_since_3_14() -> None:
    text = WEB.replace("6c0 (", "6c0 [a-very-long-thr] (") + "\n" + BATCH.replace("6c1 (", "6c1 [odd] (name)] (")
    assert [thread.name for thread in only(text).threads] == ["a-very-long-thr", "odd] (name)"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('  File "/srv/my shop, line 2 in x/a.py", line 7 in get', ("get", "/srv/my shop, line 2 in x/a.py", 7)),
        (
            '  File "<frozen importlib._bootstrap>", line 1007 in _find_and_load',
            ("_find_and_load", "<frozen importlib._bootstrap>", 1007),
        ),
        ('  File "/srv/gr\\xf6\\u20ac.py", line 7 in gr\\xf6', ("gr\\xf6", "/srv/gr\\xf6\\u20ac.py", 7)),
        ("  File ???, line ??? in ???", ("???", "???", None)),
        ('  File "/srv/aaaa...", line 7 in bbbb...', ("bbbb...", "/srv/aaaa...", 7)),
        ('  File "C:\\app\\a.py", line 7 in <listcomp>', ("<listcomp>", "C:\\app\\a.py", 7)),
    ],
)
def test_frames(line: str, expected: tuple[str, str, int | None]) -> None:
    dump = only(f"Stack (most recent call first):\n{line}\n")
    assert [(frame.function, frame.file, frame.line) for frame in dump.threads[0].stack] == [expected]
    assert (dump.unread_lines, dump.problems) == (0, [])


def test_one_thread() -> None:
    text = "Stack (most recent call first):\n" + stack_of(2)
    dumps = parse(text * 2)
    assert extent(dumps) == [(1, 3, 1), (4, 6, 1)]
    assert (dumps[0].threads[0].name, dumps[0].threads[0].address) == ("", None)


def test_each_timeout_is_a_dump() -> None:
    dumps = parse("".join(f"Timeout (0:00:0{n}.500000)!\n{DUMP}" for n in range(3)))
    assert extent(dumps) == [(1, 12, 3), (13, 24, 3), (25, 36, 3)]


def test_a_crash() -> None:
    dump = only(CRASH + "Segmentation fault (core dumped)\n")
    assert (dump.line, dump.end_line, dump.unread_lines, dump.problems) == (1, 13, 0, [])
    assert [len(thread.stack) for thread in dump.threads] == [1]
    assert extent(parse(CRASH + CRASH)) == [(1, 13, 1), (14, 26, 1)]
    assert extent(parse(CRASH + MAIN)) == [(1, 13, 1), (14, 16, 1)]


def test_a_fatal_error_at_the_start_of_the_interpreter() -> None:
    dump = only(
        "Fatal Python error: init_fs_encoding: failed to get the Python codec\nPython runtime state: core initialized\n"
        "ModuleNotFoundError: No module named 'encodings'\n\n"
        "Current thread 0x00007fbc6761bb80 (most recent call first):\n<no Python frame>\n"
    )
    assert (dump.line, dump.end_line, dump.unread_lines, dump.problems) == (1, 6, 0, [])
    assert [thread.stack for thread in dump.threads] == [()]


def test_windows() -> None:
    dump = only(
        "Windows fatal exception: access violation\n\nCurrent thread 0x0000322c (most recent call first):\n"
        + stack_of(1)
    )
    assert (dump.line, dump.threads[0].address) == (1, "0x322c")


@pytest.mark.parametrize("remark", ["  <no Python frame>", "  <tstate is freed>", "  <freed interpreter>"])
def test_remarks_instead_of_frames(remark: str) -> None:
    dump = only(f"Thread 0x0000000000000001 (most recent call first):\n{remark}\n\n{WEB}")
    assert [len(thread.stack) for thread in dump.threads] == [0, 2]
    assert (dump.unread_lines, dump.problems) == (0, [])


def test_a_free_threaded_build_shows_one_thread() -> None:
    notice = "<Cannot show all threads while the GIL is disabled>\n"
    dump = only(notice + "Stack (most recent call first):\n" + stack_of(1))
    assert dump.truncated == ["one thread only: the runtime cannot show the others while the GIL is disabled"]
    assert (dump.line, len(dump.threads), dump.unread_lines) == (1, 1, 0)
    crash = parse("Fatal Python error: Aborted\n\n" + notice + "Stack (most recent call first):\n" + stack_of(1))
    assert [(dump.line, len(dump.truncated)) for dump in crash] == [(1, 1)]


def test_the_runtime_stops_at_100_threads() -> None:
    threads = "\n".join(f"Thread 0x{n:016x} (most recent call first):\n{stack_of(1)}" for n in range(1, 101))
    dumps = parse((threads + "\n...\n") * 2)
    assert extent(dumps) == [(1, 301, 100), (302, 602, 100)]
    assert dumps[0].truncated == [
        "the runtime stopped after 100 threads and prints the newest first: "
        "the main thread and the oldest threads are missing"
    ]
    assert not any(thread.truncated for thread in dumps[0].threads)


@pytest.mark.parametrize("mark", ["  ...\n", "", "...\n", "plus 20 frames\n"])
def test_the_runtime_stops_at_100_frames_with_a_mark_or_without(mark: str) -> None:
    dump = only(f"Stack (most recent call first):\n{stack_of(100)}{mark}")
    assert dump.threads[0].truncated
    assert dump.truncated == ["the runtime stops at 100 frames: 1 thread has as many, and the outermost may be missing"]
    assert (dump.unread_lines, dump.problems) == (0, [])
    assert not only("Stack (most recent call first):\n" + stack_of(99)).threads[0].truncated


def test_a_repeated_id_starts_the_next_dump() -> None:
    text = DUMP.replace("\n\n", "\n")  # as journald stores it
    assert extent(parse(text * 3)) == [(1, 9, 3), (10, 18, 3), (19, 27, 3)]


def test_a_header_without_a_blank_line_starts_the_next_dump() -> None:
    new = DUMP.replace("098bd6c", "0aaaa6c")  # the threads of the first dump have ended
    assert extent(parse(DUMP + new)) == [(1, 11, 3), (12, 22, 3)]


def test_dumps_of_several_processes_with_a_log_between() -> None:
    other = DUMP.replace("0x00007f", "0x00007e")
    assert extent(parse(DUMP + "GET /health 200\n" + other)) == [(1, 11, 3), (13, 23, 3)]
    assert extent(parse(MAIN + "GET /health 200\n" + MAIN.replace("0x00007f", "0x00007e"))) == [(1, 3, 1), (5, 7, 1)]
    # Output between the blank line and the header is not the end of the dump.
    assert extent(parse(DUMP.replace("\n\n", "\n\nGET /health 200\n"))) == [(1, 13, 3)]


def test_a_thread_that_has_not_started_has_no_id() -> None:
    header = "Thread 0x0000000000000000 (most recent call first):\n  <no Python frame>\n"
    assert extent(parse(f"{header}\n{header}\n{MAIN}")) == [(1, 9, 3)]


def test_a_paste_that_starts_in_the_middle_of_a_thread() -> None:
    dump = only(stack_of(3) + "\n" + WEB)
    assert [(thread.name, thread.line, len(thread.stack), thread.truncated) for thread in dump.threads] == [
        ("", 1, 3, True),
        ("", 5, 2, False),
    ]
    assert dump.truncated == ["the start of the dump is missing: it begins in the middle of a thread"]


def test_a_paste_without_indentation() -> None:
    dump = only("\n".join(line.strip() for line in DUMP.splitlines()))
    assert [len(thread.stack) for thread in dump.threads] == [2, 2, 1]
    assert (dump.unread_lines, dump.problems) == (0, [])


def test_output_that_cuts_in() -> None:
    text = DUMP.replace('  File "/srv', 'GET /health 200\n  File "/srv', 1)
    dump = only(text + "GET /health 200\nGET /health 200\n")
    assert (dump.unread_lines, dump.end_line, dump.problems) == (1, 12, [])
    assert [len(thread.stack) for thread in dump.threads] == [2, 2, 1]


def test_output_that_cuts_a_line_in_two() -> None:
    text = DUMP.replace('  File "/srv/app', '  File "GET /health 200\n/srv/app', 1)
    dump = only(text)
    assert [(problem.line, problem.reason) for problem in dump.problems] == [
        (3, "a frame that other output cut in two")
    ]
    assert [thread.truncated for thread in dump.threads] == [True, False, False]
    assert dump.unread_lines == 2
    dump = only(DUMP.replace("Current", "GET /healthCurrent").replace(":\n  Garb", ":GET\n  Garb"))
    assert [(problem.line, problem.reason) for problem in dump.problems] == [
        (9, "other output in the line of a thread header")
    ]
    assert [len(thread.stack) for thread in dump.threads] == [2, 2, 1]


def test_a_traceback_in_the_log_is_not_read() -> None:
    log = 'Traceback (most recent call last):\n  File "/srv/app/a.py", line 3, in get\n    raise KeyError\nKeyError\n'
    dump = only(DUMP + log)
    assert (dump.end_line, dump.unread_lines, dump.problems) == (11, 0, [])
    dump = only(DUMP.replace("\nCurrent", f"\n{log}\nCurrent"))
    assert ([len(thread.stack) for thread in dump.threads], dump.unread_lines, dump.problems) == ([2, 2, 1], 4, [])
    assert not any(thread.truncated for thread in dump.threads)


def test_the_dump_of_another_format_ends_the_stretch() -> None:
    other = b'Thread 5 (idle): "MainThread"\n'
    lines = Lines([*(line.encode() for line in DUMP.splitlines(keepends=True)), b"12:00:01\n", other])
    (dump,) = faulthandler.parse(lines)
    assert (dump.end_line, dump.unread_lines) == (11, 0)
    assert [line for _, line in lines] == [b"12:00:01\n", other]


@pytest.mark.parametrize(
    "end", ["Thread 0x0000", "Thread 0x00007f0000000009 (most recent", '  File "/srv/a', "  Fi", "Cur"]
)
def test_a_dump_cut_within_a_line(end: str) -> None:
    dump = only(DUMP + end)
    assert len(dump.threads) == 3
    assert [(problem.line, problem.text) for problem in dump.problems] == [(12, end)]
    assert dump.truncated == ["the input ends in the middle of a line: what came after it is missing"]


@pytest.mark.parametrize(
    "line",
    [
        "Thread 0x00007fcd098bd6c0 (most recent call first):",
        "Thread 0x00007fcd098bd6c0 [web-3] (most recent call first):",
        "Current thread 0x00007fcd098bd6c0 (most recent call first):",
        "Stack (most recent call first):",
        "Timeout (0:00:01)!",
        "Timeout (12:00:01.500000)!",
        "Fatal Python error: Aborted",
        "Windows fatal exception: code 0x8001010d",
        "<Cannot show all threads while the GIL is disabled>",
        '  File "/srv/app/shop.py", line 12 in get',
    ],
)
def test_claims(line: str) -> None:
    assert claimant(line.encode() + b"\r\n") is faulthandler


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Traceback (most recent call first):",
        "Traceback for thread 1744 (python) [] (most recent call last):",
        "Stack dump for PID 19856, thread 19885 (idle; most recent call last):",
        "Stack (most recent call last):",
        "Current thread's C stack trace (most recent call first):",
        "Thread 0x00007fcd098bd6c0",
        "Thread 0x00007fcd098bd6c0 (worker)",
        'Thread 14 (Thread 0x7f3af2ffd6c0 (LWP 8169) "python3.11"):',
        "Timeout (10s)!",
        "Timeout (>3.0s) from pytest-timeout.",
        '  File "/srv/app/shop.py", line 12, in get',
        'File "/srv/app/shop.py", line 12, in get',
        'File: "/srv/app/shop.py", line 12, in get',
        '    File "/srv/app/shop.py", line 12 in get',
    ],
)
def test_does_not_claim(line: str) -> None:
    assert not faulthandler.claims(line.encode())


@pytest.mark.parametrize(
    "text",
    [
        'Thread 0x00007fcd098bd6c0 (most recent call first):\n  File "a.py", line 3, in get\n    wait()\n',
        "Stack (most recent call first):\n(1) main\n",
        "Fatal Python error: Aborted\nexit 134\n",
        "Timeout (0:00:01)!\nretry\n",
    ],
)
def test_the_same_words_of_others_are_left_alone(text: str) -> None:
    lines = Lines(text.encode().splitlines(keepends=True))
    assert list(faulthandler.parse(lines)) == []
    assert next(iter(lines))[0] == 1


NOISE = st.one_of(
    st.sampled_from([*DUMP.splitlines(), *CRASH.splitlines(), "...", "  ...", "Timeout (0:00:01)!", "log"]).map(
        str.encode
    ),
    st.binary(max_size=30),
)


@given(st.lists(NOISE, max_size=30), st.sampled_from([b"\n", b"\r\n"]))
def test_nothing_raises(rows: list[bytes], end: bytes) -> None:
    dumps = sound(faulthandler.parse(Lines([row + end for row in rows])))
    assert not dumps or dumps[-1].end_line <= len(rows)


@given(st.data())
def test_damaged_dumps_do_not_raise(data: st.DataObject) -> None:
    raw = bytearray((DUMP + CRASH).encode())
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    parse(bytes(raw))


@pytest.mark.parametrize("text", [DUMP, CRASH, DUMP * 2, f"Timeout (0:00:01)!\n{DUMP}"])
def test_line_ends_change_nothing(text: str) -> None:
    assert shape(parse(text.replace("\n", "\r\n"))) == shape(parse(text))
    assert shape(parse(text.rstrip("\n"))) == shape(parse(text))


@pytest.mark.parametrize("text", [DUMP, CRASH, DUMP * 2])
def test_a_cut_dump_holds_the_first_threads(text: str) -> None:
    whole = [thread.address for dump in parse(text) for thread in dump.threads]
    for end in range(0, len(text), 7):
        threads = [thread.address for dump in parse(text[:end]) for thread in dump.threads]
        assert threads == whole[: len(threads)]
