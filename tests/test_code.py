"""What Python source code says about the threads that stand in it: printed lines, files, locks and their holders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import goldens
from threaddump.analysis import analyze, analyze_dump
from threaddump.classify import Classifier, Verdict
from threaddump.code import concluded
from threaddump.code.files import MAX_FILE
from threaddump.intake import dumps
from threaddump.report import DumpReport
from threaddump_parsers.model import Dump, Frame, Lock, Thread

PROGRAMS = goldens.FIXTURES / "programs" / "python"
BOOT = (
    Frame("run", "/usr/lib/python3.11/threading.py", 982),
    Frame("_bootstrap_inner", "/usr/lib/python3.11/threading.py", 1045),
)


def printed(line: str, function: str = "handle", **thread: object) -> Verdict:
    """The verdict on a thread that stands in a line, of which the dump prints the text and nothing else is known."""
    stack = (Frame(function, "/srv/shop/app/orders/app.py", 7, source=line), *(() if "virtual" in thread else BOOT))
    dump = Dump("traceback", 1, "python", threads=[Thread("worker", 1, stack=stack, **thread)])  # type: ignore[arg-type]
    (verdict,) = concluded(dump, Classifier("python"))[0]
    return verdict


@pytest.mark.parametrize(
    ("line", "kind", "timed"),
    [
        ("time.sleep(3600)", "sleep", True),
        ("while True: sleep(delay)", "sleep", True),
        ("with inventory_lock:", "lock-wait", False),
        ("with self._lock: return self._entries.pop()", "lock-wait", False),
        ("self._lock.acquire()", "lock-wait", False),
        ("if not self._lock.acquire(timeout=5):", "lock-wait", True),
        ("if not lock.acquire(True, 5): return", "lock-wait", True),
        ("lock.acquire(True, -1)", "lock-wait", False),
        ("lock.acquire(timeout=wait)", "lock-wait", None),
        ("lock.acquire(*args)", "lock-wait", None),
        ("data = self.sock.recv(4096)", "external-call", None),
        ("s.sendall(b'x'); return s.recv(1)", "external-call", None),
        ("return sock.recv(", "external-call", None),
        ("fcntl.flock(file, fcntl.LOCK_EX)", "lock-wait", False),
        ("r, w, x = select.select(sockets, [], [])", "idle", None),
        ("line = proc.stdout.readline()", "io", False),
        ("os.waitpid(pid, 0)", "io", False),
        ("print(sock.recv(10))", "external-call", None),
        ("elif os.read(fd, 1):", "io", False),
        ("count += 1", "running", None),
    ],
)
def test_a_printed_line_tells_the_call(line: str, kind: str, timed: bool | None) -> None:
    verdict = printed(line)
    assert (verdict.kind, verdict.timed) == (kind, timed)
    assert verdict.inferred == f"inferred from the source line `{line}`"
    assert verdict.caller == "orders/app.py:handle"


@pytest.mark.parametrize(
    "line",
    [
        "lock.acquire(False)",
        "lock.acquire(blocking=False)",
        "fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "with self.conn:",
        "with open_database() as db:",
        "with R: time.sleep(3600)",
        "value = config.get(key)",
        "name = ', '.join(names)",
        "driver.send_command(7)",
        "for row in cursor:",
        "self._target(*self._args, **self._kwargs)",
        "cursor.execute(sql)",
        "await queue.get()",
        "yield",
        "import orders",
        "timeout=5,",
        ")",
        "class Foo:",
        "(" * 400,
        "-" * 499 + "1",
        "time.sleep(1)" + " " * 500,
        "\0",
        "",
    ],
)
def test_a_line_that_tells_nothing_leaves_the_kind_unknown(line: str) -> None:
    verdict = printed(line)
    assert (verdict.kind, verdict.inferred) == ("unknown", "")


def test_the_function_of_a_line_with_several_is_the_frames() -> None:
    line = "def __call__(self): (lambda: time.sleep(3600))()"
    assert printed(line, "<lambda>").kind == "sleep"
    assert printed(line, "__call__").kind == "unknown"
    assert printed("def process(job): time.sleep(job)", "process").kind == "sleep"


def test_a_thread_that_writes_the_dump_is_not_taken_for_what_its_line_calls_else() -> None:
    assert printed("with open(name) as out: dump(out)", printed_state="wrote the dump").kind == "runtime"
    assert printed("time.sleep(60)", printed_state="wrote the dump").kind == "sleep"


def test_a_thread_that_runs_stays_running() -> None:
    assert printed("time.sleep(60)", state="ACTIVE").kind == "running"


@pytest.mark.parametrize(
    ("line", "function", "above", "timed"),
    [
        ("job = jobs.get()", "get", "queue.py", False),
        ("job = jobs.get(timeout=5)", "get", "queue.py", True),
        ("job = jobs.get(True, 5)", "get", "queue.py", True),
        ("job = jobs.get(timeout=limit)", "get", "queue.py", None),
        ("job = jobs.get(**options)", "get", "queue.py", None),
        ("jobs.put(job, timeout=None)", "put", "queue.py", False),
        ("return future.result()", "result", "concurrent/futures/_base.py", False),
        ("return future.result(30)", "result", "concurrent/futures/_base.py", True),
        ("return requests.get(url)", "get", "requests/api.py", False),
        ("return requests.get(url, timeout=(3, 30))", "get", "requests/api.py", None),
        ("return self.session.post(url, json=body, timeout=30)", "post", "requests/sessions.py", True),
        ("return fetch(url)", "get", "requests/api.py", None),
    ],
)
def test_the_applications_line_tells_the_timeout(line: str, function: str, above: str, timed: bool | None) -> None:
    read = Frame("readinto", "/usr/lib/python3.11/socket.py", 706)
    wait = Frame("wait", "/usr/lib/python3.11/threading.py", 9999)
    stack = (
        read if "requests" in above else wait,
        Frame(function, f"/usr/lib/python3.11/{above}", 5),
        Frame("handle", "/srv/shop/app/orders/app.py", 7, source=line),
        *BOOT,
    )
    dump = Dump("traceback", 1, "python", threads=[Thread("worker", 1, stack=stack)])
    (verdict,) = concluded(dump, Classifier("python"))[0]
    assert (verdict.timed, bool(verdict.timed_reason)) == (timed, timed is not None)


# --- tasks


def suspended(line: str, function: str = "handle", state: str | None = "IDLE") -> Verdict:
    """The verdict on a task that is suspended in a line."""
    return printed(line, function, state=state, virtual=True)


@pytest.mark.parametrize(
    ("line", "kind", "timed"),
    [
        ("async with lock: pass", "lock-wait", None),
        ("async with self._stock_lock, asyncio.timeout(5):", "lock-wait", None),
        ("await self.lock.acquire()", "lock-wait", None),
        ("async def take(q): await q.get()", "idle", None),
        ("job = await self.job_queue.get()", "idle", None),
        ("await asyncio.wait_for(self.queue.get(), 5)", "idle", None),
        ("await asyncio.wait_for(done_event.wait(), timeout=5)", "sync-wait", True),
        ("await asyncio.wait_for(done_event.wait(), limit)", "sync-wait", None),
        ("await asyncio.shield(queue.join())", "sync-wait", None),
        ("await queue.put(job)", "queue-put", None),
        ("await asyncio.sleep(backoff())", "sleep", True),
        ("await sleep(5)", "sleep", True),
        ("await anyio.sleep(5)", "sleep", True),
        ("return await asyncio.gather(*calls)", "sync-wait", None),
        ("async with asyncio.TaskGroup() as group:", "sync-wait", None),
        ("rows = await loop.run_in_executor(None, query)", "sync-wait", None),
        ("head = await reader.readexactly(4)", "external-call", None),
        ("r, w = await asyncio.open_connection(host, port)", "external-call", None),
        ("await writer.drain()", "external-call", None),
        ("out, _ = await converter.communicate()", "io", None),
    ],
)
def test_a_printed_line_tells_what_a_task_awaits(line: str, kind: str, timed: bool | None) -> None:
    verdict = suspended(line, function="take") if line.startswith("async def") else suspended(line)
    assert (verdict.kind, verdict.timed) == (kind, timed)
    assert verdict.inferred == f"inferred from the source line `{line}`"
    assert verdict.caller == f"orders/app.py:{'take' if line.startswith('async def') else 'handle'}"


@pytest.mark.parametrize(
    "line",
    [
        "await order(7)",
        "await self.bank.charge(7)",
        "await task",
        "await other[0]",
        "await cache.get()",
        "await queue.get(timeout=5)",
        "await response.read()",
        "await pool.acquire()",
        "await asyncio.wait_for(charge(7), 5)",
        "async with session.get(url) as response:",
        "async with pool.acquire() as connection:",
        "async with session:",
        "async with asyncio.timeout(5):",
        "async for row in cursor:",
        "rows = [row async for row in cursor]",
        "await queue.get(); await lock.acquire()",
        "time.sleep(5)",
        "with lock:",
        "queue.get()",
        "",
    ],
)
def test_a_line_that_may_await_anything_leaves_a_task_unknown(line: str) -> None:
    verdict = suspended(line)
    assert (verdict.kind, verdict.inferred) == ("unknown", "")


def test_a_task_that_is_not_suspended_awaits_nothing() -> None:
    assert suspended("await asyncio.sleep(5)", state=None).kind == "unknown"


AWAITS = {
    "nap": "sleep",
    "call_in_executor": "sync-wait",
    "call_in_thread": "sync-wait",
    "shielded": "sync-wait",
    "gather_naps": "sync-wait",
    "wait_for_first": "sync-wait",
    "nap_in_group": "sync-wait",
    "bounded_event": "sync-wait",
    "take": "idle",
    "fill": "queue-put",
    "finish": "sync-wait",
    "run_converter": "io",
    "read_reply": "external-call",
    "slot": "lock-wait",
    "receive": "external-call",
    "wrapped": "sync-wait",
    "own_coroutine": "unknown",
}


@pytest.mark.parametrize(
    ("name", "roots"),
    [("print-stack-awaits", ()), ("print-stack-awaits", (PROGRAMS,)), ("task-reprs-awaits", (PROGRAMS,))],
)
def test_what_tasks_await_by_their_lines(name: str, roots: tuple[Path, ...]) -> None:
    assert kinds(report(f"asyncio/{name}.txt", *roots)) == AWAITS


def test_who_holds_the_lock_that_tasks_await() -> None:
    (lock,) = report("asyncio/task-reprs-circle.txt", PROGRAMS).locks
    assert (len(lock.waiting), lock.owner and (lock.owner.thread, lock.owner.kind)) == (4, ("holder", "sleep"))


# --- files


def report(name: str, *roots: Path) -> DumpReport:
    errors: list[Exception] = []
    source = goldens.source(goldens.content(name), name)
    (dump,) = analyze([source], lambda _, error: errors.append(error), source_roots=[str(r) for r in roots]).dumps
    assert not errors
    return dump


def kinds(dump: DumpReport) -> dict[str, str]:
    """Function of the application to the kind of the threads in it."""
    return {(g.caller or g.blocking_frame or "").rpartition(":")[2].rpartition(".")[2]: g.kind for g in dump.groups}


C_CALLS = ["faulthandler/c-calls.txt", "py-spy/c-calls.txt", "py-spy/c-calls-locals.txt"]


@pytest.mark.parametrize("name", C_CALLS)
def test_c_functions_by_the_files(name: str) -> None:
    dump = report(name, PROGRAMS)
    assert kinds(dump) == {
        "main": "sync-wait",
        "wait_for_entry": "sync-wait",
        "print_statements": "sleep",
        "transfer": "lock-wait",
        "post": "lock-wait",
        "ask": "external-call",
        "consume": "idle",
        "wait_for_file": "lock-wait",
        "read_pipe": "io",
        "wait_for_input": "idle",
    }
    assert dump.by_kind.get("unknown", 0) == 0
    inferred = {g.inferred for g in dump.groups if g.kind == "external-call"}
    assert inferred == {"inferred from the source line `return self._connection.recv(`"}


@pytest.mark.parametrize("name", C_CALLS)
def test_without_files_c_functions_are_unknown_and_the_report_says_how_to_tell(name: str) -> None:
    dump = report(name)
    assert dump.by_kind["unknown"] == 13
    assert (dump.deadlocks, [lock for lock in dump.locks if lock.owner]) == ([], [])
    assert any("--source-root" in hint for hint in dump.hints)


@pytest.mark.parametrize("name", C_CALLS)
def test_the_holder_of_a_lock_is_inside_the_code_that_took_it(name: str) -> None:
    """It is three frames up, behind acquire() and try. A thread in Condition.wait of the same lock does not hold it."""
    dump = report(name, PROGRAMS)
    lock = next(lock for lock in dump.locks if "Ledger._lock" in lock.class_name)
    assert lock.owner is not None
    assert (lock.owner.caller or "").endswith(":print_statements")
    assert (lock.owner.evidence, len(lock.waiting)) == ("inferred", 3)
    told_apart = "cannot be told apart" in next(
        c.reason or "" for c in dump.chains if c.root.lines == [lock.owner.line]
    )
    assert told_apart is ("locals" not in name)


@pytest.mark.parametrize("name", C_CALLS)
def test_a_deadlock_of_python_locks(name: str) -> None:
    dump = report(name, PROGRAMS)
    (deadlock,) = dump.deadlocks
    exact = "locals" in name
    assert (deadlock.type, deadlock.evidence, len(deadlock.threads)) == ("python", "inferred", 2)
    assert not deadlock.reported_by_runtime
    assert deadlock.behind == (2 if exact else 0)
    if "py-spy" in name:
        assert set(deadlock.threads) == {"transfer-A-to-B", "transfer-B-to-A"}
    finding = next(finding for finding in dump.findings if finding.id == "deadlock")
    assert finding.severity == ("critical" if exact else "high")
    assert "Inferred:" in finding.detail


@pytest.mark.parametrize("form", ["faulthandler", "py-spy", "py-spy-locals", "py-spy-json"])
def test_the_story_with_its_files(form: str) -> None:
    """Methods of two files: with bare names nothing but the source ties the holder to those who wait."""
    end = "json" if form == "py-spy-json" else "txt"
    dump = report(f"black-friday/python-scheduling.{form}.{end}", PROGRAMS)
    (lock,) = [lock for lock in dump.locks if "calendar_lock" in lock.class_name]
    assert lock.owner is not None
    assert (len(lock.waiting), lock.owner.kind) == (24, "sleep")
    assert (lock.owner.caller or "").rpartition(":")[2].rpartition(".")[2] == "await_dates"
    assert not [hint for hint in dump.hints if not hint.startswith("three dumps")]


def contention(tmp_path: Path, code: str, *frames: tuple[str, int], file: str = "shop/stock.py") -> list[Verdict]:
    """Verdicts on threads that stand in these functions and lines of a file with this code."""
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)
    dump = stock_dump(*frames)
    return list(concluded(dump, Classifier("python"), (str(tmp_path),))[0])


def stock_dump(*frames: tuple[str, int]) -> Dump:
    threads = [
        Thread(f"t-{number}", number, stack=(Frame(function, "/srv/shop/stock.py", line), *BOOT))
        for number, (function, line) in enumerate(frames, 1)
    ]
    return Dump("faulthandler", 1, "python", threads=threads)


def test_the_source_of_another_version_is_not_used(tmp_path: Path) -> None:
    code = "import time\n\ndef refresh():\n    time.sleep(1)\n\ndef get():\n    time.sleep(1)\n"
    assert contention(tmp_path, code, ("get", 4))[0].kind == "unknown"
    complaints = concluded(stock_dump(("get", 4)), Classifier("python"), (str(tmp_path),))[2]
    assert complaints == ["source not used: shop/stock.py does not match the dump: line 4 is not in get"]
    assert contention(tmp_path, code, ("refresh", 4))[0].kind == "sleep"
    assert contention(tmp_path, code, ("Stock.refresh", 4))[0].kind == "unknown"
    assert contention(tmp_path, code, ("refresh", 99))[0].kind == "unknown"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("from time import sleep as pause\ndef f():\n    pause(1)\n", "sleep"),
        ("from shop.clock import sleep\ndef f():\n    sleep(1)\n", "unknown"),
        ("import time as t\ndef f():\n    t.sleep(1)\n", "sleep"),
        ("def recv(n): pass\ndef f():\n    recv(1)\n", "unknown"),
        ("import queue\nq = queue.SimpleQueue()\ndef f():\n    q.get()\n", "idle"),
        ("import queue\nq = queue.Queue()\ndef f():\n    q.get()\n", "unknown"),
        ("q = {}\ndef f():\n    q.get(1)\n", "unknown"),
        ("import psycopg2\nc = psycopg2.connect('').cursor()\ndef f():\n    c.execute('')\n", "external-call"),
        ("import psycopg2\ndef f(cursor):\n    cursor.execute('')\n", "external-call"),
        ("import sqlite3\ndef f(cursor):\n    cursor.execute('')\n", "io"),
        ("import sqlite3, pyodbc\ndef f(cursor):\n    cursor.execute('')\n", "unknown"),
        ("def f(cursor):\n    cursor.execute('')\n", "unknown"),
        ("import socket\ndef f(s: socket.socket):\n    s.connect(('', 1))\n", "external-call"),
        (
            "import socket\nwith socket.create_connection(('', 1)) as s:\n    def f():\n        s.recv(1)\n",
            "external-call",
        ),
        ("import threading\nR = threading.RLock()\ndef f():\n    with R: pass\n", "lock-wait"),
        ("import sqlite3\nR = sqlite3.connect('')\ndef f():\n    with R: pass\n", "io"),
        ("import zlib\ndef f(x):\n    return zlib.compress(x)\n", "running"),
        ("class A:\n    def g(self): pass\n    def f(self):\n        self.g()\n", "unknown"),
    ],
)
def test_names_mean_what_the_file_says(tmp_path: Path, code: str, kind: str) -> None:
    line = code.count("\n")
    function = "A.f" if code.startswith("class A") else "f"
    assert contention(tmp_path, code, (function, line))[0].kind == kind


def test_a_call_over_several_lines(tmp_path: Path) -> None:
    code = "def f(s):\n    return parse(\n        s.recv(\n            4096,\n        ),\n    )\n"
    assert contention(tmp_path, code, ("f", 3))[0].kind == "external-call"
    assert contention(tmp_path, code, ("f", 4))[0].kind == "external-call"


LOCKS = """\
import threading
from shop.state import shared
lock = threading.Lock()

class Stock:
    guard = threading.Lock()

    def __init__(self):
        self.own = threading.RLock()
        self.changed = threading.Condition(self.own)

    def refresh(self):
        with lock:
            self.load()

    def by_hand(self):
        if not self.own.acquire(timeout=3):
            return
        self.load()
        self.own.release()

    def wait(self):
        with self.changed:
            self.changed.wait()

    def get(self):
        with lock, shared:
            pass

    def take(self):
        with self.own:
            pass

    def alias(self):
        mine = self.own
        with mine:
            self.load()

    def guarded(self):
        with self.guard:
            self.load()

    def late(self):
        with Stock.guard:
            pass
"""


@pytest.mark.parametrize(
    ("holder", "holding", "waiter", "waiting", "owner"),
    [
        ("refresh", 14, "take", 31, False),
        ("by_hand", 19, "take", 31, True),
        ("by_hand", 20, "take", 31, False),
        ("alias", 37, "take", 31, True),
        ("guarded", 41, "late", 44, True),
        ("guarded", 40, "late", 44, False),
    ],
)
def test_who_is_inside_the_code_that_holds_a_lock(
    tmp_path: Path, holder: str, holding: int, waiter: str, waiting: int, owner: bool
) -> None:
    (tmp_path / "stock.py").write_text(LOCKS)
    dump = stock_dump((holder, holding), (waiter, waiting))
    load = Frame("load", "/srv/shop/other.py", 1)
    dump.threads[0].stack = (load, *dump.threads[0].stack) if holding != 40 else dump.threads[0].stack
    _, locks, _ = concluded(dump, Classifier("python"), (str(tmp_path),))
    assert locks is not None
    (name,) = {lock for index, lock in locks.wants.items() if index == 1}
    assert locks.holders(name) == ([0] if owner else [])


def test_a_thread_in_wait_has_given_the_lock_back(tmp_path: Path) -> None:
    (tmp_path / "stock.py").write_text(LOCKS)
    dump = stock_dump(("wait", 24), ("take", 31))
    thread = dump.threads[0]
    thread.stack = (Frame("wait", "/usr/lib/python3.11/threading.py", 327), *thread.stack)
    _, locks, _ = concluded(dump, Classifier("python"), (str(tmp_path),))
    assert locks is not None
    assert locks.holders(locks.wants[1]) == []


def test_several_threads_inside_are_candidates_and_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "stock.py").write_text("def f():\n    with lock:\n        load()\n")
    text = "".join(
        f'Thread 0x00007f0000000{n}00 (most recent call first):\n  File "{file}", line {line} in {function}\n'
        for n, (file, line, function) in enumerate(
            [("/a/x.py", 1, "load"), ("/a/x.py", 1, "load"), ("/srv/stock.py", 2, "f")]
        )
        for function in [function]
    ).replace("line 1 in load\n", 'line 1 in load\n  File "/srv/stock.py", line 3 in f\n')
    source = goldens.source(text.encode())
    (dump,) = analyze([source], lambda *_: None, source_roots=[str(tmp_path)]).dumps
    (lock,) = dump.locks
    assert lock.owner is None
    assert "2 threads are inside a block that holds lock" in (lock.owner_unknown or "")


# --- hostile sources


def test_two_files_that_fit_alike_are_not_used(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "stock.py").write_text("import time\ndef f():\n    time.sleep(1)\n")
    dump = stock_dump(("f", 3))
    verdicts, _, complaints = concluded(dump, Classifier("python"), (str(tmp_path),))
    assert verdicts[0].kind == "unknown"
    assert "2 files below the source folders may be" in complaints[0]


@pytest.mark.parametrize("what", ["link", "pipe", "huge", "broken", "deep", "bytes"])
def test_files_that_are_no_source_are_left_alone(tmp_path: Path, what: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    path = root / "stock.py"
    good = "import time\ndef f():\n    time.sleep(1)\n"
    if what == "link":
        (tmp_path / "secret.py").write_text(good)
        path.symlink_to(tmp_path / "secret.py")
    elif what == "pipe":
        os.mkfifo(path)
    else:
        content = {
            "huge": good + "#" * MAX_FILE,
            "broken": good + "def (",
            "deep": good + "x = " + "(" * 5000 + ")" * 5000,
            "bytes": good + "\0\ud800",
        }
        path.write_bytes(content[what].encode("utf-8", "surrogatepass"))
    dump = stock_dump(("f", 3))
    verdicts, _, complaints = concluded(dump, Classifier("python"), (str(root),))
    assert verdicts[0].kind == "unknown"
    assert len(complaints) == 1


def test_no_path_of_a_dump_is_opened(tmp_path: Path) -> None:
    """Only names are compared: dots and absolute paths in a dump lead nowhere."""
    (tmp_path / "stock.py").write_text("import time\ndef f():\n    time.sleep(1)\n")
    root = tmp_path / "root"
    root.mkdir()
    for file in ("../stock.py", str(tmp_path / "stock.py"), "root/../../stock.py"):
        dump = Dump("py-spy", 1, "python", threads=[Thread("t", 1, stack=(Frame("f", file, 3),))])
        assert concluded(dump, Classifier("python"), (str(root),))[0][0].kind == "unknown"


@given(st.text(max_size=200), st.text(max_size=20))
def test_any_text_is_a_printed_line(line: str, function: str) -> None:
    assert printed(line, function or "f").kind


@given(st.lists(st.sampled_from(LOCKS.splitlines(keepends=True)), max_size=30), st.integers(0, 40))
def test_any_order_of_lines_is_a_file(lines: list[str], at: int) -> None:
    """Files are parsed, never run; whatever they hold, there is an answer."""
    from threaddump.code import statements
    from threaddump.code.modules import Module

    tree = statements.parse("".join(lines))
    if tree is None:
        return
    module = Module("x.py", tree)
    for scope in module.scopes:
        list(module.held(scope, at, True))
        module.managed(scope, at)
        for call in statements.calls_at(statements.body(scope.node), at)[0]:
            module.callee(call, scope)


# --- what parsers keep


@pytest.mark.parametrize(
    ("name", "function", "line"),
    [
        ("pystack/lock-contention-python-3.14-names.txt", "get", "with inventory_lock:"),
        ("pystack/rlock-deadlock-locals.txt", "transfer", "with dst.lock: pass"),
        ("profiling-sampling/lock-contention.txt", "Inventory.get", "with inventory_lock:"),
        ("uwsgi/flask-threads.txt", "readinto", "return self._sock.recv_into(b)"),
        ("traceback/lock-contention-hex-headers.txt", "get", "with inventory_lock:"),
        ("traceback/oslo-guru-meditation.txt", "blocked", "with L: pass"),
        ("traceback/airflow-shape-synthetic.txt", "blocked", "with L: pass"),
    ],
)
def test_parsers_keep_the_source_lines_that_a_format_prints(name: str, function: str, line: str) -> None:
    (dump,) = dumps(goldens.source(goldens.content(name), name))
    frames = {frame for thread in dump.threads for frame in thread.stack if frame.function == function}
    assert line in {frame.source for frame in frames}
    assert all(frame.source is None or "\n" not in frame.source for frame in frames)


def test_two_dumps_of_two_versions_keep_their_own_lines() -> None:
    text = "".join(
        f'# Thread: t(1407193322349{n})\nFile: "/srv/a.py", line 7, in f\n  {line}\n'
        for n, line in ((44, "time.sleep(1)"), (45, "lock.acquire()"), (46, "time.sleep(1)"))
    )
    (dump,) = dumps(goldens.source(text.encode()))
    frames = [thread.stack[0] for thread in dump.threads]
    assert [frame.source for frame in frames] == ["time.sleep(1)", "lock.acquire()", "time.sleep(1)"]
    verdicts = concluded(dump, Classifier("python"))[0]
    assert [verdict.kind for verdict in verdicts] == ["sleep", "lock-wait", "sleep"]


def test_lines_that_are_no_source_are_not_kept() -> None:
    text = (
        "Thread 0x7fd52b7f6b80: MainThread (daemon=False)\n"
        '  File "/srv/a.py", line 7, in f\n    time.sleep(1)\n'
        "    ~~~~~~~~~~^^^\n  [Previous line repeated 3 more times]\n"
    )
    (dump,) = dumps(goldens.source(text.encode()))
    assert dump.threads[0].stack[0].source == "time.sleep(1)"


def test_the_printed_address_of_a_lock_is_kept(tmp_path: Path) -> None:
    """gdb prints it: the source adds who is inside the code that holds the lock."""
    (tmp_path / "stock.py").write_text(LOCKS)
    dump = stock_dump(("guarded", 41), ("late", 44), ("late", 44))
    dump.threads[0].stack = (Frame("load", "/srv/shop/other.py", 1), *dump.threads[0].stack)
    for thread in dump.threads[1:]:
        thread.blocked_on = Lock("0x7f00", "_thread.lock")
    report = analyze_dump(dump, Classifier("python"), "dump.txt", source_roots=(str(tmp_path),))
    (lock,) = report.locks
    assert lock.owner is not None
    assert (lock.id, lock.owner.thread, len(lock.waiting)) == ("0x7f00", "t-1", 2)
