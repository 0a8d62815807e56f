"""Dumps that processes write of themselves, one trap each; and what holds for all dumps made of Python's tracebacks."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threaddump_parsers import (
    Parser,
    asyncio_tasks,
    claimant,
    gdb,
    gevent,
    parsers,
    profiling_sampling,
    pystack,
    traceback_recipes,
    uwsgi,
)
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
FORMATS: dict[str, Parser] = {
    "pystack": pystack,
    "traceback": traceback_recipes,
    "profiling-sampling": profiling_sampling,
    "uwsgi": uwsgi,
    "gdb-py": gdb,
    "asyncio": asyncio_tasks,
    "gevent": gevent,
}
SAMPLES = {
    name: sorted(path for path in (FIXTURES / name).iterdir() if not path.name.endswith(".golden.json"))
    for name in FORMATS
}
DUMPS = [(name, path) for name, paths in SAMPLES.items() for path in paths]
SMALL = [(name, path) for name, path in DUMPS if path.stat().st_size < 8_000]

BODY = """\
  File "/usr/lib/python3.11/threading.py", line 1002, in _bootstrap
    self._bootstrap_inner()
  File "/srv/app/shop.py", line 9, in get
    with lock:
    ^^^^^^^^^^
  [Previous line repeated 7 more times]
"""
MAIN_BODY = """\
  File "/srv/app/shop.py", line 20, in <module>
    serve()
  File "/srv/app/hooks.py", line 3, in dumpstacks
    for ident, frame in sys._current_frames().items():
  File "/usr/lib/python3.11/traceback.py", line 226, in format_stack
    f = sys._getframe().f_back
"""
EXCEPTION = """\
Traceback (most recent call last):
  File "/usr/lib/python3.11/threading.py", line 1045, in _bootstrap_inner
    self.run()
  File "/srv/app/shop.py", line 12, in pay
    raise ValueError
ValueError
"""


def lines_of(text: str | bytes) -> list[bytes]:
    return (text.encode() if isinstance(text, str) else text).splitlines(keepends=True)


def read(text: str | bytes) -> list[Dump]:
    """Read as the whole program does: go to each line that a parser claims."""
    found: list[Dump] = []
    rest, before = lines_of(text), 0
    while before < len(rest):
        parser = claimant(rest[before])
        if parser is None:
            before += 1
            continue
        lines = Lines(rest[before:], before + 1)
        lines.last = list(enumerate(rest, 1))[max(0, before - 2) : before]
        dumps = list(parser.parse(lines))
        found += dumps
        ahead = lines.peek(1)
        at = ahead[0][0] - 1 if ahead else len(rest)
        before = max(before + 1, at)
    return found


def only(text: str) -> Dump:
    (dump,) = read(text)
    assert (dump.format, dump.unread_lines, dump.problems, dump.truncated) == ("traceback", 0, [], [])
    return dump


def body_a(text: str) -> str:
    lines = (line for line in text.splitlines(keepends=True) if "[Previous" not in line)
    return "".join(line[2:].replace('File "', 'File: "') for line in lines)


def shape(dumps: list[Dump]) -> list[object]:
    return [
        (
            *(dump.format, dump.line, dump.end_line, dump.unread_lines, len(dump.problems), dump.truncated),
            [
                (thread.name, thread.line, thread.locals, [(f.function, f.file, f.line) for f in thread.stack])
                for thread in dump.threads
            ],
        )
        for dump in dumps
    ]


# Headers

A = "0x7fcd098bd6c0"
DECIMAL = str(int(A, 16))
HEADERS: dict[str, tuple[str, str | None]] = {
    f"Thread {A}": ("", A),
    f"Thread {A}: web-1 (daemon=True)": ("web-1", A),
    f"<Thread(web-1, started daemon {DECIMAL})>": ("web-1", A),
    f"<Worker(a, b (c), started {DECIMAL})>:": ("a, b (c)", A),
    f"--- Thread ID: {DECIMAL} ---": ("", A),
    f"Thread ID: {DECIMAL} (main thread)": ("main thread", A),
    f"Thread ID: {DECIMAL}, name: web-1": ("web-1", A),
    f"Thread: web-1 (ID: {DECIMAL})": ("web-1", A),
    f"Thread: Thread-1 (serve) (ID: {DECIMAL})\n{'-' * 40}": ("Thread-1 (serve)", A),
    f"Thread web-1 ({DECIMAL})": ("web-1", A),
    f"~~~~~~ Stack of web-1 ({DECIMAL}) ~~~~~~": ("web-1", A),
    f"# ThreadID: {DECIMAL}": ("", A),
    f"# Thread #0 (id={DECIMAL}), web-1": ("web-1", A),
    f"######### ProcessID=17, ThreadID={DECIMAL} #########": ("", A),
    f'---------- Thread {DECIMAL} "web-1" hangs  ----------': ("web-1", A),
    f"Thread {DECIMAL}, <Thread(web-1, started daemon {DECIMAL})>:": ("web-1", A),
    f"thread {DECIMAL}:": ("", A),
    f"Thread {DECIMAL} {'=' * 64}": ("", A),
    f"# Thread: web-1({DECIMAL})": ("web-1", A),
    f"# Thread: Thread-1 (serve)({DECIMAL})": ("Thread-1 (serve)", A),
    f"# Thread: <Thread(web-1, started daemon {DECIMAL})> (db:prod) (uid:2)": ("web-1", A),
    "# Greenlet: <Greenlet at 0x7fcd098bd6c1: serve>": ("Greenlet at 0x7fcd098bd6c1: serve", None),
}


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("body", [BODY, body_a(BODY)], ids=["print_stack", "File with a colon"])
def test_headers(header: str, body: str) -> None:
    dump = only(
        f"{header}\n{body}\n{header.replace(DECIMAL, '99999').replace(A, '0x99999').replace('6c1', '6c2')}\n{body}"
    )
    assert [(thread.name, thread.address) for thread in dump.threads[:1]] == [HEADERS[header]]
    assert [[frame.function for frame in thread.stack] for thread in dump.threads] == [["get", "_bootstrap"]] * 2
    assert dump.threads[0].stack is dump.threads[1].stack


def test_the_source_in_the_line_of_the_frame() -> None:
    frames = "".join(
        f'File: "/srv/app/{file}.py", line 9, in {function}  {source}\n'
        for file, function, source in (("a", "<lambda>", "get()"), ("b", "get", "with lock, other: pass  # in here"))
    )
    dumper = 'File: "/srv/app/a.py", line 3, in debug  for ident, stack in sys._current_frames().items():\n'
    web, main = only(f"# ThreadID: 12345\n{frames}\n# ThreadID: 12346\n{frames}{dumper}").threads
    assert [frame.function for frame in web.stack] == ["get", "<lambda>"]
    assert main.stack is web.stack


CRY = f"""\
web-0
{"=" * 49}
{BODY}{"=" * 49}
LOCAL VARIABLES
{"=" * 49}
{{'items': [1,
           2],
 'timeout': None}}


"""


def test_the_variables_of_celery_are_those_of_the_innermost_frame() -> None:
    main = CRY.replace("web-0", "MainThread").replace(BODY, MAIN_BODY)
    dump = only(CRY + CRY.replace("web-0", "web-1") + main)
    assert [thread.name for thread in dump.threads] == ["web-0", "web-1", "MainThread"]
    assert [thread.locals for thread in dump.threads] == [{0: {"items": "[1", "timeout": "None"}}] * 2 + [None]
    assert [[len(each.threads), each.unread_lines] for each in read((CRY + main) * 2)] == [[2, 0], [2, 0]]
    assert len(only(CRY.replace("web-0", "MainThread")).threads) == 1


def test_bare_names_above_stacks() -> None:
    dump = only(f"MainThread\n{MAIN_BODY}\nThread-1 (serve)\n{BODY}\nweb-0:\n{BODY}")
    assert [thread.name for thread in dump.threads] == ["MainThread", "Thread-1 (serve)", "web-0"]
    assert [len(thread.stack) for thread in dump.threads] == [1, 2, 2]
    assert [thread.name for thread in only(f"web-0\n{BODY}\nweb-1\n{BODY}").threads] == ["web-0", "web-1"]


@pytest.mark.parametrize(
    "above",
    ["2026-11-27 00:01:07 INFO slow request", "Stack (most recent call last):", "web-0", "MainThread", "got here:", ""],
)
def test_one_stack_in_a_log_is_no_dump(above: str) -> None:
    assert read(f"{above}\n{BODY}\n2026-11-27 00:01:08 INFO slow request\n{BODY}") == []


@pytest.mark.parametrize(
    "before", ["", "Exception in thread Thread-1:\n", "MainThread\n", f"Thread {DECIMAL} failed:\n"]
)
def test_exceptions_are_no_dump(before: str) -> None:
    assert read(f"{before}{EXCEPTION}\nDuring handling of the above:\n\n{before}{EXCEPTION}" * 20) == []


def test_an_exception_after_or_within_a_dump_is_not_its_stack() -> None:
    dumps = read(f"Thread {A}\n{BODY}\n{EXCEPTION}\nThread 0x7fcd098bd6c1\n{BODY}")
    assert [[len(thread.stack) for thread in dump.threads] for dump in dumps] == [[2, 2]]
    assert dumps[0].unread_lines > 0
    (dump,) = read(f"Thread {A}\n{BODY}\n{EXCEPTION}")
    assert (len(dump.threads[0].stack), dump.unread_lines) == (2, 0)


# Facts and other tools


def test_the_frames_of_the_recipe_are_dropped() -> None:
    for body in (MAIN_BODY, body_a(MAIN_BODY)):
        (thread,) = only(f"# Thread: MainThread({DECIMAL})\n{body}").threads
        assert [frame.function for frame in thread.stack] == ["<module>"]


def test_facts_around_the_threads() -> None:
    header = f"# Thread: <Thread(web-1, started daemon {DECIMAL})>"
    odoo = only(f"2026-11-22 20:59:01,123 4242 INFO prod odoo.tools.misc: \n{header}\n{body_a(BODY)}")
    assert (odoo.pid, odoo.taken_at, odoo.threads[0].daemon) == (4242, "2026-11-22T20:59:01.123", True)
    airflow = only(f"Dumping stack traces for all threads in PID 12\n\n{header}\n{body_a(BODY)}")
    assert (airflow.pid, airflow.line) == (12, 1)


def test_several_dumps() -> None:
    one = f"# ThreadID: 77777\n{body_a(BODY)}\n# ThreadID: 88888\n{body_a(BODY)}\n"
    assert [len(dump.threads) for dump in read(one * 3)] == [2, 2, 2]


def test_a_paste_without_its_first_lines() -> None:
    (dump,) = read(f"{body_a(BODY)}\n# ThreadID: 77777\n{body_a(BODY)}")
    assert [thread.truncated for thread in dump.threads] == [True, False]
    assert dump.truncated


def test_a_dump_cut_within_a_line() -> None:
    for rest in ('  File "/srv/app/sh', "  Fi", "Thread 0x7fcd0"):
        (dump,) = read(f"Thread {A}\n{BODY}{rest}")
        assert dump.truncated, rest
        assert len(dump.threads) == 1


def test_the_other_dialect_is_another_parsers() -> None:
    """faulthandler has no comma, and prints the innermost frame first."""
    other = 'Thread 0x00007fcd098bd6c0 (most recent call first):\n  File "/srv/app/shop.py", line 9 in get\n'
    assert [dump.format for dump in read(f"Thread {A}\n{BODY}\n{other}\nThread {A}\n{BODY}")] == [
        "traceback",
        "faulthandler",
        "traceback",
    ]
    assert read(f'Thread {A}\n  File "/srv/app/shop.py", line 9 in get\n')[0].format == "faulthandler"


@pytest.mark.parametrize(
    "line",
    [
        "Traceback (most recent call last):",
        "Stack (most recent call last):",
        "Traceback (most recent call first):",
        '  File "/srv/app/shop.py", line 9, in get',
        "Thread pool started",
        "Thread 0x7fcd098bd6c0 (MainThread)",
        "Thread 5 (Thread 0x7fcd098bd6c0 (LWP 123456)):",
        "Stack for <Task pending name='a' coro=<f() running at /srv/a.py:8>> (most recent call last):",
        "<Task pending name='a' coro=<f() running at /srv/a.py:8>>",
        "",
    ],
)
def test_what_is_not_claimed(line: str) -> None:
    assert not traceback_recipes.claims(f"{line}\n".encode())


# What holds for all four


def test_no_line_is_claimed_by_two_parsers() -> None:
    lines: set[bytes] = set()
    for path in FIXTURES.rglob("*"):
        if path.is_file() and "programs" not in path.parts and not path.name.endswith(".golden.json"):
            lines.update(path.read_bytes().splitlines(keepends=True))
    twice = {
        line[:200]: [parser.FORMAT for parser in parsers() if parser.claims(line)]
        for line in lines
        if sum(parser.claims(line) for parser in parsers()) > 1
    }
    assert twice == {}


@pytest.mark.parametrize(("name", "path"), DUMPS, ids=[path.name for _, path in DUMPS])
def test_line_ends_do_not_matter(name: str, path: Path) -> None:
    raw = path.read_bytes()
    (dump,) = read(raw)
    assert dump.format == name
    assert shape(read(raw.replace(b"\n", b"\r\n"))) == shape([dump])
    assert (dump.unread_lines, dump.problems) == (0, [])


@pytest.mark.parametrize(("name", "path"), SMALL, ids=[path.name for _, path in SMALL])
def test_a_cut_keeps_what_is_there(name: str, path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    (whole,) = read(b"".join(lines))
    for end in range(len(lines)):
        dumps = read(b"".join(lines[:end]))
        threads = [thread for dump in dumps for thread in dump.threads]
        complete = [thread for thread in whole.threads if thread.line <= end]
        assert len(threads) in {len(complete), len(complete) - 1}, (name, end)
        for cut, full in zip(threads[:-1], whole.threads, strict=False):
            assert [frame.function for frame in cut.stack] == [frame.function for frame in full.stack]


@given(st.data())
def test_anything_is_read_without_an_error(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(FORMATS)))
    path = data.draw(st.sampled_from([path for folder, path in SMALL if folder == name] or SAMPLES[name][:1]))
    lines = path.read_bytes().splitlines(keepends=True)[:60]
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.integers(0, 4)):
            case 0:
                lines[at] = data.draw(st.binary(max_size=40)) + b"\n"
            case 1:
                lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at])))]
            case 2:
                lines.insert(at, lines[data.draw(st.integers(0, len(lines) - 1))])
            case 3:
                lines[at] = b"\n"
            case _:
                del lines[at]
                lines = lines or [b"\n"]
    numbered = Lines(lines)
    for dump in FORMATS[name].parse(numbered):
        assert 1 <= dump.line <= dump.end_line <= len(lines)
        for thread in dump.threads:
            assert all(0 <= index < len(thread.stack) for index in thread.locals or ())


@given(st.binary(max_size=300))
def test_arbitrary_bytes(raw: bytes) -> None:
    for parser in FORMATS.values():
        for line in raw.splitlines(keepends=True):
            parser.claims(line)
        list(parser.parse(Lines(raw.splitlines(keepends=True))))


FRAME = '  File "/usr/lib/python3.11/threading.py", line 1002, in _bootstrap\n'
HOSTILE: dict[str, Callable[[int], str]] = {
    "brackets in a header": lambda n: "Traceback for thread 1 (" + ") [" * n + "] (most recent call last):\n",
    "a header without an end": lambda n: "# Thread: <Thread(" + ", started" * n + "\n",
    "many idents": lambda n: "Thread: a" + " (12345" * n + "\n",
    "a decorated header": lambda n: "-" * n + " Thread " + "-" * n + "\n",
    "words of a status": lambda n: "Stack dump, thread 1 (" + "; task 1" * n + "; most recent call last):\n",
    "symbols": lambda n: f'{WEB}    (C) File "a", line 1, in f' + " (/" * n + ")\n",
    "roots without a name": lambda n: FRAME * n,
    "names without stacks": lambda n: "MainThread\n" * n,
    "files": lambda n: "thread_id = a" + " filename = b lineno = 1" * n + "\n",
    "threads": lambda n: "".join(f"# ThreadID: {i + 10_000}\n" + 'File: "a", line 1, in f\n' * 3 for i in range(n)),
    "gdb without Python": lambda n: 'Thread 1 (Thread 0x7f (LWP 7) "a"):\n#0  0x00 in f () at a.c:1\n\n' * n,
    "gdb arguments": lambda n: (
        f"{GDB}#1  _PyEval_EvalFrame (f=Frame 0x1, for file a" + ", line 1, in f" * n + ") at a.c:1\n"
    ),
    "gdb objects": lambda n: f"{GDB}#1  cfunction_call (func=" + "<built-in method a of " * n + ") at a.c:1\n",
    "reprs": lambda n: (
        "<Task pending name='a' coro=<f() running at a" + " wait_for=<Task pending name='b" * n + ">\n" * 2
    ),
    "coroutines": lambda n: ("<Task pending" + " coro=<f() running at a" * n + ">\n") * 2,
    "a graph": lambda n: "* Task(name='a', id=0x1)\n  |   File 'a" + "', line 1, in f" * n + "\n",
    "awaiters": lambda n: "".join(f"{' ' * 4 * i}* Task(name='t', id={i + 1:#x})\n" for i in range(min(n, 400))),
    "a row": lambda n: f"{PS}17 0x1 name" + " -> a b" * n + "\n",
    "a deep tree": lambda n: "└── (T) a\n" + "".join(f"{'    ' * i}└── (T) a\n" for i in range(1, min(n, 400))),
    "a column": lambda n: f"{AIOMONITOR}| 17  a" + "  b" * n + " |\n",
    "monitored": lambda n: f"{AIOMONITOR}Stack of <Task name=a" + " coro=>" * n + "\n",
    "greenlets": lambda n: GEVENT + " +--- <Greenlet" + " at 0x1: a>" * n + "\n",
    "guru": lambda n: "---- Thread #12345 ----\n" + "a:1" * n + " in\n",
}
WEB = "Traceback for thread 1 (a) [] (most recent call last):\n"
GDB = 'Thread 1 (Thread 0x7f (LWP 7) "a"):\nTraceback (most recent call first):\n'
PS = (FIXTURES / "asyncio" / "ps.txt").read_text("utf-8").splitlines(keepends=True)[0]
AIOMONITOR = "| Task ID          State    Name     Coroutine  Created Location      Since     |\n"
GEVENT = f"{'*' * 80}\n* Greenlets\n{'*' * 80}\n---- Thread boundary\n"


@pytest.mark.parametrize("name", HOSTILE)
def test_time_is_linear(name: str) -> None:
    def seconds(n: int) -> float:
        lines = lines_of(HOSTILE[name](n))
        start = time.perf_counter()
        for parser in FORMATS.values():
            for at, line in enumerate(lines[:2000]):
                if parser.claims(line) and at < 20:
                    list(parser.parse(Lines(lines)))
        return time.perf_counter() - start

    seconds(100)
    assert seconds(4_000) < 2


# The order of frames

Printed = tuple[str, str, int]


def as_faulthandler(frames: list[Printed]) -> str:
    body = "".join(f'  File "{file}", line {line} in {function}\n' for function, file, line in frames)
    return f"Current thread {A} (most recent call first):\n{body}"


def as_py_bt(frames: list[Printed]) -> str:
    body = "".join(f'  File "{file}", line {line}, in {function}\n    x = 1\n' for function, file, line in frames)
    return f"{GDB}{body}"


def outermost_first(indent: str, frames: list[Printed]) -> str:
    return "".join(
        f'{indent}File "{file}", line {line}, in {function}\n{indent}  x = 1\n' for function, file, line in frames[::-1]
    )


def as_call_graph(frames: list[Printed]) -> str:
    body = "".join(f"  |   File '{file}', line {line}, in async {function}()\n" for function, file, line in frames)
    return f"* Task(name='a', id=0x1)\n  + Call stack:\n{body}"


def as_uwsgi(frames: list[Printed]) -> str:
    body = "".join(
        f"thread_id = a filename = {file} lineno = {at} function = {name}\n" for name, file, at in frames[::-1]
    )
    return f"*** uWSGI Python tracebacker output ***\n\n{body}"


REPR = "<Task pending name='a' coro=<f() running at /a.py:1> wait_for=<Future pending>>"
DIALECTS: dict[str, Callable[[list[Printed]], str]] = {
    "faulthandler": as_faulthandler,
    "gdb-py": as_py_bt,
    "traceback": lambda frames: f"# ThreadID: 12345\n{outermost_first('  ', frames)}",
    "traceback, File:": lambda frames: "# ThreadID: 12345\n" + body_a(outermost_first("  ", frames)),
    "pystack": lambda frames: WEB + outermost_first("    ", frames).replace('File "', '(Python) File "'),
    "profiling-sampling": lambda frames: (
        f"Stack dump, thread 1 (idle; most recent call last):\n{outermost_first('  ', frames)}"
    ),
    "uwsgi": as_uwsgi,
    "asyncio": as_call_graph,
    "asyncio, print_stack": lambda frames: (
        f"Stack for {REPR} (most recent call last):\n{outermost_first('  ', frames)}"
    ),
    "gevent": lambda frames: f"{GEVENT}<Greenlet at 0x1: a>\n :    Running:\n{outermost_first(' :      ', frames)}",
}
FRAMES = st.lists(
    st.tuples(
        st.sampled_from(["get", "run", "<lambda>", "<module>", "Shop.get", "outer.<locals>.inner"]),
        st.sampled_from(["/srv/app/shop.py", "/usr/lib/python3.11/queue.py", "/srv/my app/x, y.py"]),
        st.integers(1, 9_999),
    ),
    min_size=1,
    max_size=8,
)


@given(FRAMES, st.sampled_from(sorted(DIALECTS)))
def test_one_stack_is_the_same_in_all_dialects(frames: list[Printed], dialect: str) -> None:
    if "uwsgi" in dialect:
        frames = [(function, file.replace(" ", "_"), line) for function, file, line in frames]
    (dump,) = read(DIALECTS[dialect](frames))
    (thread,) = dump.threads
    assert dump.format == dialect.partition(",")[0]
    assert [(frame.function, frame.file, frame.line) for frame in thread.stack] == frames
