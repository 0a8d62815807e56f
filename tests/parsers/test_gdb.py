"""gdb's backtraces of Python processes, one trap each."""

from __future__ import annotations

import pytest

from threaddump_parsers import claimant, gdb
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump

LOCK = "0x7f3b219df6c0"
WAITER = f"""\
Thread 3 (Thread 0x7f3af2ffd6c0 (LWP 8169) "python3.11"):
Traceback (most recent call first):
  <built-in method __enter__ of _thread.lock object at remote {LOCK}>
  File "/srv/app/shop.py", line 9, in get
    with inventory_lock:
  File "/usr/lib/python3.11/threading.py", line 975, in run
    self._target(*self._args, **self._kwargs)
"""
COMPUTING = """\
Thread 2 (Thread 0x7f3af37fe6c0 (LWP 8168) "python3.11"):
Traceback (most recent call first):
  Waiting for the GIL
  File "/srv/app/shop.py", line ?, in price
"""
MAIN = """\
Thread 1 (Thread 0x7f3b21c6f740 (LWP 7855) "python3.11"):
Traceback (most recent call first):
  <built-in method acquire of _thread.lock object at remote 0x7f3b00000000>
  File "/usr/lib/python3.11/threading.py", line 320, in wait
    waiter.acquire()
  File "/srv/app/shop.py", line 20, in <module>
    done.wait()
[Inferior 1 (process 7855) detached]
"""
SHOWN = "f=Frame 0x7fe6904d0e50, for file /srv/app/shop.py, line 9, in get (self=<Shop at remote 0x7f>, line=3)"
NATIVE = f"""\
Thread 4 (Thread 0x7f3af2ffd6c0 (LWP 9) "python3.10"):
#0  0x00007f3b21d16cff in do_futex_wait (sem=sem@entry=0x1ab6caa0, abstime=0x0) at ./nptl/sem_waitcommon.c:111
#1  lock_PyThread_acquire_lock (self={LOCK}, args=<optimized out>) at ../Modules/_threadmodule.c:179
#2  0x00007f3b21d16cff in cfunction_call (func=<built-in method __enter__ of _thread.lock object at remote {LOCK}>,
    args=<optimized out>) at ../Objects/methodobject.c:542
#3  0x00007f3b21d16cff in _PyEval_EvalFrameDefault (tstate=0x1, {SHOWN}, throwflag=0) at Python/ceval.c:46
#4  _PyEval_EvalFrame ({SHOWN}, tstate=0x1) at Python/ceval.c:46
#5  <signal handler called>
#6  0x00007f6107d278ec in clone3 () at ../sysdeps/unix/sysv/linux/x86_64/clone3.S:81
"""


def parse(text: str) -> list[Dump]:
    return list(gdb.parse(Lines(text.encode().splitlines(keepends=True))))


def only(text: str) -> Dump:
    (dump,) = parse(text)
    assert (dump.unread_lines, dump.problems) == (0, [])
    return dump


def functions(dump: Dump) -> list[list[str]]:
    return [[frame.function for frame in thread.stack] for thread in dump.threads]


def test_the_innermost_frame_comes_first() -> None:
    dump = only(f"{WAITER}\n{COMPUTING}\n{MAIN}")
    assert functions(dump) == [
        ["_thread.lock.__enter__", "get", "run"],
        ["price"],
        ["_thread.lock.acquire", "wait", "<module>"],
    ]
    assert (dump.format, dump.pid, dump.truncated) == ("gdb-py", 7855, [])
    assert [frame.line for frame in dump.threads[0].stack] == [None, 9, 975]
    assert dump.threads[1].stack[0].line is None


def test_a_lock_that_is_entered_is_wanted_and_one_to_be_notified_by_is_not() -> None:
    waiter, computing, main = only(f"{WAITER}\n{COMPUTING}\n{MAIN}").threads
    assert waiter.blocked_on is not None
    assert (waiter.blocked_on.id, waiter.blocked_on.class_name) == (LOCK, "_thread.lock")
    assert (computing.blocked_on, computing.waiting_on, computing.printed_state) == (None, None, "Waiting for the GIL")
    assert (main.blocked_on, main.waiting_on and main.waiting_on.id) == (None, "0x7f3b00000000")


def test_waiters_of_one_lock_share_it() -> None:
    first, second = only(f"{WAITER}\n{WAITER.replace('8169', '8170').replace('Thread 3', 'Thread 4')}").threads
    assert first.blocked_on is second.blocked_on
    assert first.stack is second.stack


def test_the_name_of_the_program_is_no_name() -> None:
    assert [thread.name for thread in only(f"{WAITER}\n{COMPUTING}\n{MAIN}").threads] == ["", "", "MainThread"]
    named = WAITER.replace('"python3.11"', '"web-3"')
    assert [thread.name for thread in only(f"{named}\n{COMPUTING}\n{MAIN}").threads] == [
        "web-3",
        "python3.11",
        "MainThread",
    ]
    assert only(WAITER).threads[0].label == "thread 8169"


def test_native_frames_with_the_python_frame_in_an_argument() -> None:
    dump = only(f"{NATIVE}\n{NATIVE.replace('LWP 9', 'LWP 10').replace('Thread 4', 'Thread 5')}")
    assert functions(dump)[0] == ["do_futex_wait", "lock_PyThread_acquire_lock", "_thread.lock.__enter__", "get"]
    frames = dump.threads[0].stack
    assert [(frame.native, frame.line) for frame in frames] == [(True, 111), (True, 179), (True, None), (False, 9)]
    assert frames[0].file == "./nptl/sem_waitcommon.c"
    assert dump.threads[0].stack is dump.threads[1].stack


def test_without_python_frames_a_lock_is_wanted_if_several_show_it() -> None:
    bare = (
        f"#1  lock_PyThread_acquire_lock (self={LOCK}, args=0x0) at a.c:1\n#2  _PyEval_EvalFrameDefault () at b.c:1\n"
    )
    one = f"Thread 1 (LWP 1):\n{bare}"
    assert only(one).threads[0].blocked_on is None
    assert [t.blocked_on and t.blocked_on.id for t in only(f"{one}\nThread 2 (LWP 2):\n{bare}").threads] == [LOCK, LOCK]
    recursive = one.replace("lock_PyThread_acquire_lock", "rlock_acquire")
    lock = only(recursive).threads[0].blocked_on
    assert lock is not None
    assert lock.class_name == "_thread.RLock"


def test_py_bt_full_shows_the_names_of_threads() -> None:
    dump = only(
        'Thread 2 (Thread 0x7f (LWP 8) "python3"):\n'
        "#10 <built-in method sleep of module object at remote 0x7f6107922640>\n"
        "#12 Frame 0x7f6104e53188, for file /srv/app/shop.py, line 10, in get (self=<Shop() at remote 0x7f>, item=2)\n"
        "    with stock_lock:\n"
        "#15 Frame 0x7f6104e53110, for file /usr/lib/python3.13/threading.py, line 992, in run (self=<Thread("
        "_target=<method at remote 0x7f610782c740>, _name='web-2', _args=(2,)) at remote 0x7f>)\n"
        "#16 Frame 0x7f6104e53020, for file /usr/lib/python3.13/threading.py, line 1012, in _bootstrap (..\n"
        "#18 (unable to read python frame information)\n"
    )
    assert functions(dump) == [["sleep", "get", "run", "_bootstrap"]]
    assert dump.threads[0].name == "web-2"
    assert dump.threads[0].truncated
    assert "1 Python frame:" in dump.truncated[0]


def test_a_thread_without_python_frames_is_an_entry() -> None:
    dump = only(f"Thread 4 (LWP 5):\nUnable to locate python frame\n\n{WAITER}")
    assert functions(dump)[0] == []
    assert dump.threads[0].native_id == 5


def test_what_gdb_cannot_read_is_told() -> None:
    (dump,) = parse(f"{WAITER}\nThread 2 (LWP 5):\nPython Exception <class 'gdb.MemoryError'>: Cannot access\n\n{MAIN}")
    assert [problem.reason for problem in dump.problems] == ["gdb could not read the frames that follow"]
    assert (len(dump.threads), dump.threads[1].truncated) == (3, True)


def test_a_process_without_python_is_not_read() -> None:
    native = 'Thread 2 (Thread 0x7f (LWP 9) "nginx"):\n#0  0x7f in epoll_wait (epfd=9) at epoll.c:30\n\n'
    lines = Lines((native * 50).encode().splitlines(keepends=True))
    assert list(gdb.parse(lines)) == []
    assert lines.peek(1)[0][0] == 1


@pytest.mark.parametrize(
    ("said", "died"),
    [
        ("Program terminated with signal SIGSEGV, Segmentation fault.", "SIGSEGV"),
        ('Thread 2 "python3" received signal SIGABRT, Aborted.', "SIGABRT"),
        ('Thread 2 "python3" received signal SIGINT, Interrupt.', None),
    ],
)
def test_what_the_process_died_of(said: str, died: str | None) -> None:
    selected = "#0  __strlen_evex () at strlen.S:79\n[Current thread is 1 (Thread 0x7f (LWP 8168))]\n\n"
    dump = only(f"{said}\n{selected}{WAITER}\nwarning: Section `.reg' in core file too small.\n{COMPUTING}")
    assert (dump.line, dump.died) == (1, died)
    assert dump.died_in is (dump.threads[1] if died else None)


def test_a_thread_seen_again_starts_the_next_dump() -> None:
    assert [len(dump.threads) for dump in parse(f"{WAITER}\n{MAIN}\n[New LWP 9]\n{WAITER}\n{MAIN}")] == [2, 2]


def test_dumps_of_several_processes() -> None:
    """Nothing repeats: gdb's own numbers do, or what it says before it shows threads, or when it lets go."""
    other = MAIN.replace("7855", "99").replace("Thread 1", "Thread 2")
    for between in ("[New LWP 98]\n", "[Inferior 1 (process 7855) detached]\n"):
        assert [len(dump.threads) for dump in parse(f"{WAITER}\n{MAIN}\n{between}{other}")] == [2, 1]
    assert [len(dump.threads) for dump in parse(f"{WAITER}\n{MAIN}\n{WAITER.replace('8169', '98')}")] == [2, 1]


@pytest.mark.parametrize(
    "line",
    [
        'Thread 2 "worker" hit Breakpoint 1, f () at a.c:1',
        "Program received signal SIGINT, Interrupt.",
        "Thread 14 (idle)",
        "Thread 1 (most recent call first):",
        "Thread 0x7f3af2ffd6c0 (LWP 1):",
        "#0  0x7f in epoll_wait (epfd=9) at epoll.c:30",
    ],
)
def test_what_is_not_claimed(line: str) -> None:
    parser = claimant(f"{line}\n".encode())
    assert parser is None or parser.FORMAT != "gdb-py"
