"""Texts of HotSpot's thread dump, one trap each."""

from __future__ import annotations

import random
import re
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundness import sound
from threaddump_parsers import claimant, hotspot
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Lock, Thread

FIXTURES = Path(__file__).resolve().parent.parent.parent / "fixtures"

NO_TIMES = (None, None, False)
INTERNAL = (None, None, True)
TITLE = "Full thread dump OpenJDK 64-Bit Server VM (17.0.15+6 mixed mode, sharing):\n\n"
END = "\nJNI global refs: 16, weak refs: 0\n\n"
VM_THREADS = """\
"VM Thread" os_prio=0 cpu=2.40ms elapsed=2.72s tid=0x00007fa53c114bb0 nid=0x1821 runnable  

"G1 Main Marker" os_prio=0 cpu=0.04ms elapsed=2.73s tid=0x00007fa53c03eb10 nid=0x181d runnable  
"""  # noqa: W291 - HotSpot prints two blanks there


def parse(text: str | bytes, *before: bytes) -> list[Dump]:
    raw = text.encode() if isinstance(text, str) else text
    lines = Lines(raw.splitlines(keepends=True), start=len(before) + 1)
    lines.last = list(enumerate(before, 1))
    return list(hotspot.parse(lines))


def only(text: str | bytes, *before: bytes) -> Dump:
    (dump,) = parse(text, *before)
    return dump


def header(name: str = "worker", number: int = 7, words: str = "waiting on condition") -> str:
    return (
        f'"{name}" #{number} prio=5 os_prio=0 cpu=1.86ms elapsed=14.27s tid=0x00007f82fc5{number:05x} '
        f"nid=0x{0x7F00 + number:x} {words}  [0x00007f82e48f1000]\n"
    )


def entry(body: str, name: str = "worker", number: int = 7, state: str = "RUNNABLE", words: str = "runnable") -> str:
    """A thread as Java 17 prints it; each line of the body stands behind a tab."""
    lines = textwrap.indent(textwrap.dedent(body).strip("\n"), "\t")
    return f"{header(name, number, words)}   java.lang.Thread.State: {state}\n{lines}\n\n"


def thread(body: str, state: str = "RUNNABLE", words: str = "runnable") -> Thread:
    """The one thread of a dump."""
    dump = only(TITLE + entry(body, state=state, words=words) + END)
    assert (dump.problems, dump.unread_lines, dump.truncated) == ([], 0, [])
    (found,) = dump.threads
    return found


def functions(found: Thread) -> list[str]:
    return [frame.function for frame in found.stack]


def lock(value: Lock | None) -> tuple[str | None, str] | None:
    return (value.id, value.class_name) if value is not None else None


def holds(found: Thread) -> list[tuple[str | None, int | None]]:
    return [(held.lock.id, held.depth) for held in found.holds]


def shape(found: Thread) -> tuple[object, ...]:
    """All that is read of a thread but its line, without the identities of frames and locks."""
    return (
        *(found.name, found.state, found.printed_state, found.java_id, found.native_id, found.address, found.daemon),
        *(found.virtual, found.internal, found.carrier, found.carries, found.cpu_ms, found.elapsed_s, found.truncated),
        *(lock(found.blocked_on), lock(found.waiting_on), holds(found), [lock(one) for one in found.wait_released]),
        [(frame.function, frame.file, frame.line, frame.native) for frame in found.stack],
    )


# The title and what stands before it


@pytest.mark.parametrize(
    ("title", "runtime", "version"),
    [
        ("OpenJDK 64-Bit Server VM (17.0.15+6 mixed mode, sharing)", "OpenJDK 64-Bit Server VM", "17.0.15+6"),
        ("OpenJDK 64-Bit Server VM (25.292-b10 mixed mode)", "OpenJDK 64-Bit Server VM", "8u292"),
        (
            "Java HotSpot(TM) 64-Bit Server VM (25.401-b10 mixed mode)",
            "Java HotSpot(TM) 64-Bit Server VM",
            "8u401",
        ),
        ("Java HotSpot(TM) 64-Bit Server VM (24.80-b11 mixed mode)", "Java HotSpot(TM) 64-Bit Server VM", "7u80"),
        (
            "Java HotSpot(TM) Client VM (1.5.0_22-b03 mixed mode, sharing)",
            "Java HotSpot(TM) Client VM",
            "1.5.0_22-b03",
        ),
        ("OpenJDK 64-Bit Server VM (25.0.2+10-LTS interpreted mode)", "OpenJDK 64-Bit Server VM", "25.0.2+10-LTS"),
        ("Zing 64-Bit Tiered VM (11.0.20-zing_23.08.0.0-b2 mixed mode)", "Zing 64-Bit Tiered VM", None),
        ("OpenJDK 64-Bit Server VM (25-ea+10 mixed mode, sharing)", "OpenJDK 64-Bit Server VM", "25-ea+10"),
    ],
)
def test_runtime_and_version(title: str, runtime: str, version: str | None) -> None:
    dump = only(f"Full thread dump {title}:\n\n{entry('at a.B.c(B.java:1)')}{END}")
    assert (dump.format, dump.family, dump.runtime) == ("hotspot", "jvm", runtime)
    assert version is None or dump.version == version


def test_pid_and_date_before_the_title() -> None:
    dump = only(TITLE + entry("at a.B.c(B.java:1)") + END, b"25187:\n", b"2026-11-23 02:01:22\n")
    assert (dump.pid, dump.taken_at, dump.line, dump.end_line) == (25187, "2026-11-23T02:01:22", 1, 11)


def test_a_date_further_above_is_not_the_dumps() -> None:
    dump = only(TITLE + entry("at a.B.c(B.java:1)") + END, b"2026-11-23 02:01:22\n", b"a log line\n")
    assert (dump.pid, dump.taken_at, dump.line) == (None, None, 3)


def test_no_date_and_no_pid() -> None:
    dump = only(TITLE + entry("at a.B.c(B.java:1)") + END)
    assert (dump.pid, dump.taken_at, dump.line) == (None, None, 1)


# Thread headers of all generations


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(
            '"main" prio=1 tid=0x0805c988 nid=0x1234 waiting on condition [0xbfffe000..0xbfffe2d8]',
            ("main", None, 0x1234, "0x0805c988", False, "WAITING", "waiting on condition", None, None, False),
            id="java-5",
        ),
        pytest.param(
            '"Finalizer" daemon prio=1 tid=0x080e8f10 nid=0x1a in Object.wait() [0x4d4e1000..0x4d4e1f40]',
            ("Finalizer", None, 0x1A, "0x080e8f10", True, "WAITING", "in Object.wait()", None, None, False),
            id="java-5-daemon",
        ),
        pytest.param(
            '"exec-1" prio=10 tid=0x00007f4b1c0f2000 nid=0x5e1f waiting for monitor entry [0x00007f4b0a9e8000]',
            ("exec-1", None, 0x5E1F, "0x00007f4b1c0f2000", False, "BLOCKED", "waiting for monitor entry", *NO_TIMES),
            id="java-7",
        ),
        pytest.param(
            '"main" prio=5 tid=7ff3eaea7800 nid=0x105d53000 waiting on condition [135ec2000]',
            ("main", None, 0x105D53000, "7ff3eaea7800", False, "WAITING", "waiting on condition", None, None, False),
            id="java-7-macos-without-0x",
        ),
        pytest.param(
            '"exec-1" #31 daemon prio=5 os_prio=31 tid=0x00007f155017d000 nid=0x72a3 runnable [0x00007f1554e7c000]',
            ("exec-1", 31, 0x72A3, "0x00007f155017d000", True, "RUNNABLE", "runnable", None, None, False),
            id="java-8",
        ),
        pytest.param(
            '"w" #12 prio=5 os_prio=-1 tid=0x000000001a2b3800 nid=0x2c44 sleeping[0x000000001bb0f000]',
            ("w", 12, 0x2C44, "0x000000001a2b3800", False, "TIMED_WAITING", "sleeping", None, None, False),
            id="java-8-windows",
        ),
        pytest.param(
            '"exec-1" #31 prio=5 os_prio=0 cpu=93.15ms elapsed=1.94s tid=0x00007f0c28017800 nid=0x10c9 runnable  '
            "[0x00007f0c31f5d000]",
            ("exec-1", 31, 0x10C9, "0x00007f0c28017800", False, "RUNNABLE", "runnable", 93.15, 1.94, False),
            id="java-11",
        ),
        pytest.param(
            '"exec-1" #31 prio=5 os_prio=0 cpu=93.15ms elapsed=1.94s allocated=4300K defined_classes=120 '
            "tid=0x00007f0c28017800 nid=0x13d4 waiting on condition  [0x00007f0c31f5d000]",
            ("exec-1", 31, 0x13D4, "0x00007f0c28017800", False, "WAITING", "waiting on condition", 93.15, 1.94, False),
            id="java-17-with-e",
        ),
        pytest.param(
            '"main" #1 [6322] prio=5 os_prio=0 cpu=63.52ms elapsed=2.23s tid=0x00007f030c017ff0 nid=6322 '
            "waiting on condition  [0x00007f03121db000]",
            ("main", 1, 6322, "0x00007f030c017ff0", False, "WAITING", "waiting on condition", 63.52, 2.23, False),
            id="java-21",
        ),
        pytest.param(
            '"main" #3 [24657] daemon prio=5 os_prio=0 cpu=149.15ms elapsed=3.19s allocated=0B defined_classes=0 '
            "tid=0x00007ff60c02ae10 nid=24657 runnable  [0x0000000000000000]",
            ("main", 3, 24657, "0x00007ff60c02ae10", True, "RUNNABLE", "runnable", 149.15, 3.19, False),
            id="java-25-with-e",
        ),
        pytest.param(
            '"ForkJoinPool-1-worker-1" #24 [24677] daemon prio=5 os_prio=0 cpu=13.05ms elapsed=2.98s '
            "tid=0x00007ff60c229c00  [0x00007ff61123d000]",
            ("ForkJoinPool-1-worker-1", 24, 24677, "0x00007ff60c229c00", True, None, None, 13.05, 2.98, False),
            id="carrier-without-nid",
        ),
        pytest.param(
            '"VM Thread" os_prio=0 cpu=2.40ms elapsed=2.72s tid=0x00007fa53c114bb0 nid=0x1821 runnable  ',
            ("VM Thread", None, 0x1821, "0x00007fa53c114bb0", False, "RUNNABLE", "runnable", 2.4, 2.72, True),
            id="vm-thread",
        ),
        pytest.param(
            '"Concurrent Mark-Sweep GC Thread" prio=10 tid=0x00007f4b1c05e000 nid=0x5e11 runnable',
            (
                "Concurrent Mark-Sweep GC Thread",
                None,
                0x5E11,
                "0x00007f4b1c05e000",
                False,
                "RUNNABLE",
                "runnable",
                *INTERNAL,
            ),
            id="vm-thread-java-7",
        ),
        pytest.param(
            '"GC task thread#0 (ParallelGC)" os_prio=0 tid=0x00007f155001e000 nid=0x729b runnable ',
            (
                "GC task thread#0 (ParallelGC)",
                None,
                0x729B,
                "0x00007f155001e000",
                False,
                "RUNNABLE",
                "runnable",
                *INTERNAL,
            ),
            id="vm-thread-java-8",
        ),
        pytest.param(
            '"x" #9 prio=5 os_prio=0 cpu=1.00ms elapsed=2.00s tid=0x00007f030c017ff0 nid=0x13d4 runnable '
            "_threads_hazard_ptr=0x00007f030c1cfe80 [0x00007f03121db000]",
            ("x", 9, 0x13D4, "0x00007f030c017ff0", False, "RUNNABLE", "runnable", 1.0, 2.0, False),
            id="hazard-pointer",
        ),
    ],
)
def test_headers(line: str, expected: tuple[object, ...]) -> None:
    assert hotspot.claims(line.encode())
    (found,) = only(f"{TITLE}{line}\n{END}").threads
    assert (
        *(found.name, found.java_id, found.native_id, found.address, found.daemon, found.state, found.printed_state),
        *(found.cpu_ms, found.elapsed_s, found.internal),
    ) == expected


@pytest.mark.parametrize(
    ("printed", "state"),
    [
        ("RUNNABLE", "RUNNABLE"),
        ("BLOCKED (on object monitor)", "BLOCKED"),
        ("WAITING (parking)", "WAITING"),
        ("TIMED_WAITING (sleeping)", "TIMED_WAITING"),
        ("NEW", "NEW"),
        ("TERMINATED", "TERMINATED"),
    ],
)
def test_the_state_line_wins_over_the_words_of_the_header(printed: str, state: str) -> None:
    found = thread("at a.B.c(B.java:1)", printed, "in Object.wait()")
    assert (found.state, found.printed_state) == (state, printed)


def test_threads_of_the_vm_have_no_stack() -> None:
    dump = only(TITLE + entry("at a.B.c(B.java:1)") + VM_THREADS + END)
    assert [(t.name, t.internal, functions(t)) for t in dump.threads] == [
        ("worker", False, ["a.B.c"]),
        ("VM Thread", True, []),
        ("G1 Main Marker", True, []),
    ]


def test_compiler_threads() -> None:
    compiler = header("C2 CompilerThread0").strip() + "\n   java.lang.Thread.State: RUNNABLE\n"
    dump = only(
        f"{TITLE}{compiler}   No compile task\n\n"
        f"{compiler}   Compiling: 4242       4       com.shop.X::y (42 bytes)\n\n{END}"
    )
    assert [(t.name, t.internal) for t in dump.threads] == [("C2 CompilerThread0", False)] * 2
    assert (dump.problems, dump.unread_lines) == ([], 0)


# Names are printed raw


@pytest.mark.parametrize(
    "name",
    [
        'a "quoted" name',
        "",
        " leading and trailing ",
        "tab\there",
        "back\\slash",
        "name with #42 [123] daemon prio=5",
        "nid=0x1 waiting on condition",
        'http://h:8080/p?q=1&r="z"',
        'fake" #1 prio=5 os_prio=0 tid=0x1 nid=0x1 runnable [0x0]',
        'tid=0x7" tid=',
        "日本語スレッド",
        "emoji-😒",
        "new\nline",
        "three\nlines\nhere",
        'quote" at the\nend"',
        "[0x0000000000000000]",
        '"',
        "x" * 5000,
    ],
)
def test_hostile_names(name: str) -> None:
    dump = only(TITLE + entry("at a.B.c(B.java:1)", name) + entry("at a.B.d(B.java:2)", "next", 8) + END)
    assert [(t.name, t.java_id, functions(t)) for t in dump.threads] == [
        (name, 7, ["a.B.c"]),
        ("next", 8, ["a.B.d"]),
    ]
    assert dump.threads[0].line == 3
    assert (dump.problems, dump.unread_lines) == ([], 0)


def test_a_name_with_a_line_break_is_the_same_with_other_line_ends() -> None:
    text = TITLE + entry("at a.B.c(B.java:1)", "new\nline") + END
    (found,) = only(text.replace("\n", "\r\n")).threads
    assert (found.name, functions(found)) == ("new\nline", ["a.B.c"])


def test_names_in_modified_utf_8() -> None:
    """``kill -3`` prints a character outside the BMP as two surrogates of three bytes each."""
    raw = (TITLE + entry("at a.B.c(B.java:1)", "emoji-@") + END).encode()
    assert only(raw.replace(b"emoji-@", b"emoji-\xed\xa0\xbd\xed\xb8\x92")).threads[0].name == "emoji-😒"


@pytest.mark.parametrize("odd", [b"caf\xe9", b"half \xed\xa0\xbd", b"\xff\xfe", b"nul \xc0\x80"])
def test_names_in_other_encodings_stay_readable(odd: bytes) -> None:
    raw = (TITLE + entry("at a.B.c(B.java:1)", "odd-@") + END).encode()
    name = only(raw.replace(b"@", odd)).threads[0].name
    assert name.startswith("odd-")
    assert name.encode().decode() == name


def test_names_repeat() -> None:
    text = TITLE + "".join(entry("at a.B.c(B.java:1)", "Thread-0", number) for number in range(1, 6)) + END
    assert [(t.name, t.java_id) for t in only(text).threads] == [("Thread-0", number) for number in range(1, 6)]


@pytest.mark.parametrize(
    "line",
    [
        '"x" #' + "9" * 5000 + " prio=5 tid=0x1 nid=0x1 runnable  [0x1]",
        '"x" #7 [' + "9" * 5000 + "] prio=5 tid=0x1 nid=0x1 runnable  [0x1]",
        '"x" #7 prio=5 tid=0x1 nid=' + "9" * 5000 + " runnable  [0x1]",
        '"x" #7 prio=5 cpu=1.2.3ms tid=0x1 nid=0123 runnable  [0x1]',
        '"x" #٣ prio=5 tid=0x1 nid=٣ runnable  [0x1]',
    ],
)
def test_odd_numbers_never_raise(line: str) -> None:
    dump = only(f"{TITLE}{line}\n   Carrying virtual thread #{'9' * 5000}\n\tat a.B.c(B.java:{'9' * 5000})\n{END}")
    assert dump.runtime == "OpenJDK 64-Bit Server VM"


# Stacks


def test_frames_and_equal_stacks() -> None:
    body = "at java.net.X.read(java.base@17.0.15/Native Method)\nat com.shop.A.b(A.java:12)"
    dump = only(TITLE + entry(body, "one", 1) + entry(body, "two", 2) + END)
    one, two = dump.threads
    assert [(f.function, f.file, f.line, f.native) for f in one.stack] == [
        ("java.net.X.read", None, None, True),
        ("com.shop.A.b", "A.java", 12, False),
    ]
    assert one.stack is two.stack


def test_a_glued_frame_after_an_eliminated_lock() -> None:
    """JDK 17 and older do not end that line."""
    found = thread(
        """
        at com.shop.Cases.spin(Cases.java:1)
        - eliminated <owner is scalar replaced> (a java.lang.Object)\tat com.shop.Cases.work(Cases.java:2)
        - eliminated <0x00000000ff9a6ae8> (a com.shop.Lock)\tat com.shop.Cases.run(Cases.java:3)
        - locked <0x00000000ff9a6ae9> (a com.shop.Other)
        at java.lang.Thread.run(java.base@17.0.15/Thread.java:840)
        """
    )
    assert functions(found) == [
        "com.shop.Cases.spin",
        "com.shop.Cases.work",
        "com.shop.Cases.run",
        "java.lang.Thread.run",
    ]
    assert holds(found) == [("0x00000000ff9a6ae9", 2)]


def test_an_eliminated_lock_is_not_held() -> None:
    found = thread(
        """
        at com.shop.Cases.spin(Cases.java:1)
        - eliminated <owner is scalar replaced> (a java.lang.Object)
        - eliminated <0x00000000ff9a6ae8> (a com.shop.Lock)
        at com.shop.Cases.run(Cases.java:3)
        """
    )
    assert (functions(found), holds(found)) == (["com.shop.Cases.spin", "com.shop.Cases.run"], [])


# Locks


def test_blocked_on_a_monitor() -> None:
    found = thread(
        """
        at com.shop.Calendar.reserve(Calendar.java:9)
        - waiting to lock <0x00000000ffd1d9b8> (a com.shop.Calendar)
        at com.shop.Calendar.call(Calendar.java:5)
        - locked <0x00000000ffd1d9c8> (a com.shop.Queue)
        - locked <0x00000000ffd1d9d8> (a java.lang.Class for com.shop.Boot)
        """,
        "BLOCKED (on object monitor)",
        "waiting for monitor entry",
    )
    assert lock(found.blocked_on) == ("0x00000000ffd1d9b8", "com.shop.Calendar")
    assert found.waiting_on is None
    assert [(lock(held.lock), held.depth) for held in found.holds] == [
        (("0x00000000ffd1d9c8", "com.shop.Queue"), 1),
        (("0x00000000ffd1d9d8", "java.lang.Class for com.shop.Boot"), 1),
    ]


def test_locks_of_one_dump_are_one_object() -> None:
    holder = "at a.B.c(B.java:1)\n- locked <0x0a> (a com.shop.X)"
    waiter = "at a.B.c(B.java:1)\n- waiting to lock <0x0a> (a com.shop.X)"
    one, two = only(TITLE + entry(holder, "one", 1) + entry(waiter, "two", 2) + END).threads
    assert one.holds[0].lock is two.blocked_on


def test_recursion_is_one_lock() -> None:
    found = thread(
        """
        at com.shop.A.inner(A.java:3)
        - locked <0x0a> (a com.shop.A)
        at com.shop.A.outer(A.java:2)
        - locked <0x0a> (a com.shop.A)
        - locked <0x0b> (a com.shop.B)
        at com.shop.A.run(A.java:1)
        - locked <0x0a> (a com.shop.A)
        """
    )
    assert [one for one, _ in holds(found)] == ["0x0a", "0x0b"]
    assert all(0 <= depth < 3 for _, depth in holds(found) if depth is not None)


WAIT = """
at java.lang.Object.wait(java.base@17.0.15/Native Method)
{top}
at java.lang.Object.wait(java.base@17.0.15/Object.java:338)
at com.shop.Pool.checkOut(Pool.java:20)
{below}
at com.shop.Pool.call(Pool.java:5)
- locked <0x0b> (a com.shop.Outer)
"""
WAITS = ("WAITING (on object monitor)", "in Object.wait()")
NOTIFIED = ("BLOCKED (on object monitor)", "in Object.wait()")


def wait(top: str, below: str, state: tuple[str, str]) -> Thread:
    return thread("\n".join(filter(None, WAIT.format(top=top, below=below).split("\n"))), *state)


def test_object_wait_releases_the_monitor() -> None:
    found = wait("- waiting on <0x0a> (a com.shop.Pool)", "- locked <0x0a> (a com.shop.Pool)", WAITS)
    assert lock(found.waiting_on) == ("0x0a", "com.shop.Pool")
    assert found.blocked_on is None
    assert holds(found) == [("0x0b", 3)]
    assert [lock(one) for one in found.wait_released] == [("0x0a", "com.shop.Pool")]


def test_object_wait_of_the_newest_releases_the_monitor() -> None:
    found = thread(
        """
        at java.lang.Object.wait0(java.base@25.0.2/Native Method)
        - waiting on <0x0a> (a com.shop.Pool)
        at java.lang.Object.wait(java.base@25.0.2/Object.java:389)
        at com.shop.Pool.checkOut(Pool.java:20)
        - locked <0x0a> (a com.shop.Pool)
        """,
        *WAITS,
    )
    assert (lock(found.waiting_on), holds(found)) == (("0x0a", "com.shop.Pool"), [])


def test_compiled_object_wait_prints_no_object() -> None:
    """Its id stands below only, where it says that the monitor is locked."""
    found = wait("- waiting on <no object reference available>", "- locked <0x0a> (a com.shop.Pool)", WAITS)
    assert lock(found.waiting_on) == ("0x0a", "com.shop.Pool")
    assert found.blocked_on is None
    assert holds(found) == [("0x0b", 3)]


def test_compiled_object_wait_of_a_notified_thread() -> None:
    found = wait("- waiting on <no object reference available>", "- locked <0x0a> (a com.shop.Pool)", NOTIFIED)
    assert lock(found.blocked_on) == ("0x0a", "com.shop.Pool")
    assert found.waiting_on is None
    assert holds(found) == [("0x0b", 3)]


def test_compiled_object_wait_without_any_object() -> None:
    found = thread(
        "at java.lang.Object.wait(java.base@17.0.15/Native Method)\n- waiting on <no object reference available>",
        *WAITS,
    )
    assert (found.blocked_on, found.waiting_on, found.holds) == (None, None, ())


def test_relock_of_17_stands_on_top() -> None:
    relock = "- waiting to re-lock in wait() <0x0a> (a com.shop.Pool)"
    found = wait(relock, "- locked <0x0a> (a com.shop.Pool)", NOTIFIED)
    assert lock(found.blocked_on) == ("0x0a", "com.shop.Pool")
    assert found.waiting_on is None
    assert holds(found) == [("0x0b", 3)]


def test_relock_of_11_stands_below() -> None:
    relock = "- waiting to re-lock in wait() <0x0a> (a com.shop.Pool)"
    found = wait("- waiting on <0x0a> (a com.shop.Pool)", relock, NOTIFIED)
    assert lock(found.blocked_on) == ("0x0a", "com.shop.Pool")
    assert found.waiting_on is None
    assert holds(found) == [("0x0b", 3)]


def test_relock_of_8_prints_locked_where_the_monitor_is_wanted_back() -> None:
    found = wait("- locked <0x0a> (a com.shop.Pool)", "- locked <0x0a> (a com.shop.Pool)", NOTIFIED)
    assert lock(found.blocked_on) == ("0x0a", "com.shop.Pool")
    assert found.waiting_on is None
    assert holds(found) == [("0x0b", 3)]


@pytest.mark.parametrize(
    "top", ["- waiting on <0x0a> (a com.shop.Pool)", "- waiting on <no object reference available>"]
)
def test_relock_of_11_is_printed_for_threads_that_nobody_notified(top: str) -> None:
    found = wait(top, "- waiting to re-lock in wait() <0x0a> (a com.shop.Pool)", WAITS)
    assert lock(found.waiting_on) == ("0x0a", "com.shop.Pool")
    assert found.blocked_on is None
    assert holds(found) == [("0x0b", 3)]


def test_a_notified_thread_of_8_prints_neither() -> None:
    found = wait("- waiting on <0x0a> (a com.shop.Pool)", "- locked <0x0a> (a com.shop.Pool)", NOTIFIED)
    assert lock(found.blocked_on) == ("0x0a", "com.shop.Pool")
    assert (found.waiting_on, holds(found)) == (None, [("0x0b", 3)])


def test_parked_on_a_lock_that_has_an_owner() -> None:
    found = thread(
        """
        at jdk.internal.misc.Unsafe.park(java.base@17.0.15/Native Method)
        - parking to wait for  <0x0a> (a java.util.concurrent.locks.ReentrantLock$NonfairSync)
        at java.util.concurrent.locks.LockSupport.park(java.base@17.0.15/LockSupport.java:211)
        """,
        "WAITING (parking)",
    )
    assert lock(found.blocked_on) == ("0x0a", "java.util.concurrent.locks.ReentrantLock$NonfairSync")
    assert found.waiting_on is None


@pytest.mark.parametrize(
    "class_name",
    [
        "java.util.concurrent.locks.AbstractQueuedSynchronizer$ConditionObject",
        "java.util.concurrent.CountDownLatch$Sync",
        "java.util.concurrent.Semaphore$FairSync",
        "java.util.concurrent.SynchronousQueue$TransferStack",
    ],
)
def test_parked_on_something_without_an_owner(class_name: str) -> None:
    found = thread(
        f"at jdk.internal.misc.Unsafe.park(java.base@17/Native Method)\n- parking to wait for  <0x0a> (a {class_name})",
        "WAITING (parking)",
    )
    assert (found.blocked_on, lock(found.waiting_on)) == (None, ("0x0a", class_name))


def test_a_blank_line_before_the_ownable_synchronizers() -> None:
    text = entry("at a.B.c(B.java:1)\n- locked <0x0b> (a com.shop.B)", "one", 1) + (
        "   Locked ownable synchronizers:\n"
        "\t- <0x00000000ff9a6ae8> (a java.util.concurrent.ThreadPoolExecutor$Worker)\n"
        "\t- <0x00000000ff9a6bf0> (a java.util.concurrent.locks.ReentrantLock$FairSync)\n\n"
    )
    other = entry("at a.B.c(B.java:1)", "two", 2) + "   Locked ownable synchronizers:\n\t- None\n\n"
    dump = only(TITLE + text + other + VM_THREADS + END)
    assert dump.ownable_synchronizers
    assert [holds(t) for t in dump.threads] == [
        [("0x0b", 0), ("0x00000000ff9a6ae8", None), ("0x00000000ff9a6bf0", None)],
        [],
        [],
        [],
    ]
    assert dump.threads[0].holds[2].lock.class_name == "java.util.concurrent.locks.ReentrantLock$FairSync"
    assert (dump.problems, dump.unread_lines) == ([], 0)


def test_without_l_the_dump_lists_no_synchronizers() -> None:
    assert not only(TITLE + entry("at a.B.c(B.java:1)") + END).ownable_synchronizers


def test_older_versions_do_not_name_the_class_that_is_waited_for() -> None:
    body = """
        at com.shop.Cases$Alpha.<clinit>(Cases.java:100)
        at com.shop.Cases.lambda$clinit$34(Cases.java:137)
        """
    found = thread(body, words="in Object.wait()")
    assert lock(found.blocked_on) == (None, "java.lang.Class")
    assert found.state == "RUNNABLE"


@pytest.mark.parametrize(
    ("frame", "state", "words"),
    [
        ("com.shop.Cases$Alpha.<clinit>(Cases.java:100)", "RUNNABLE", "runnable"),
        ("com.shop.Cases$Alpha.<clinit>(Cases.java:100)", "RUNNABLE", "waiting on condition"),
        ("java.lang.Object.wait(java.base@17.0.15/Native Method)", "RUNNABLE", "in Object.wait()"),
        ("java.lang.ClassLoader.loadClass(ClassLoader.java:404)", "RUNNABLE", "in Object.wait()"),
        ("com.shop.Gate.pass(Gate.java:9)", "WAITING (on object monitor)", "in Object.wait()"),
    ],
    ids=["runs", "on a condition", "Object.wait", "a class loader", "waits"],
)
def test_what_is_no_wait_for_a_class(frame: str, state: str, words: str) -> None:
    assert thread(f"at {frame}", state=state, words=words).blocked_on is None


def test_waiting_for_a_class_initialiser() -> None:
    """HotSpot calls these threads RUNNABLE."""
    found = thread(
        """
        at com.shop.Cases$Alpha.<clinit>(Cases.java:100)
        - waiting on the Class initialization monitor for com.shop.Cases$Beta
        at com.shop.Cases.run(Cases.java:3)
        """
    )
    assert lock(found.blocked_on) == ("class-init:com.shop.Cases$Beta", "com.shop.Cases$Beta")
    assert (found.state, functions(found)[0]) == ("RUNNABLE", "com.shop.Cases$Alpha.<clinit>")


# Virtual threads


def test_a_carrier_of_21() -> None:
    head = '"ForkJoinPool-1-worker-1" #24 [24677] daemon prio=5 os_prio=0 cpu=1.00ms elapsed=2.98s tid=0x0a  [0x0b]\n'
    dump = only(
        f"{TITLE}{head}   Carrying virtual thread #23\n"
        "\tat jdk.internal.vm.Continuation.run(java.base@21.0.8/Continuation.java:251)\n\n" + END
    )
    (carrier,) = dump.threads
    assert (carrier.carries, carrier.virtual, carrier.internal, carrier.state) == (23, False, False, None)
    assert functions(carrier) == ["jdk.internal.vm.Continuation.run"]


def test_a_mounted_virtual_thread_of_25_is_an_entry_of_its_own() -> None:
    head = '"ForkJoinPool-1-worker-1" #24 [24677] daemon prio=5 os_prio=0 cpu=1.00ms elapsed=2.98s tid=0x0a  [0x0b]\n'
    dump = only(
        f"{TITLE}{head}   Carrying virtual thread #23\n"
        "\tat jdk.internal.vm.Continuation.run(java.base@25.0.2/Unknown Source)\n"
        "   Mounted virtual thread #23\n"
        "\tat com.shop.Remote.call(Remote.java:11)\n"
        "\t- locked <0x0c> (a com.shop.Remote)\n"
        "\tat java.lang.VirtualThread.run(java.base@25.0.2/Unknown Source)\n\n"
        "   Locked ownable synchronizers:\n\t- None\n\n" + entry("at a.B.c(B.java:1)", "next", 8) + END
    )
    carrier, virtual, following = dump.threads
    assert (carrier.name, carrier.java_id, carrier.carries, carrier.virtual) == (
        "ForkJoinPool-1-worker-1",
        24,
        23,
        False,
    )
    assert (functions(carrier), carrier.holds) == (["jdk.internal.vm.Continuation.run"], ())
    assert (virtual.name, virtual.java_id, virtual.virtual, virtual.carrier) == (
        "",
        23,
        True,
        "ForkJoinPool-1-worker-1",
    )
    assert functions(virtual) == ["com.shop.Remote.call", "java.lang.VirtualThread.run"]
    assert (holds(virtual), virtual.line) == ([("0x0c", 0)], 6)
    assert (following.name, functions(following)) == ("next", ["a.B.c"])
    assert (dump.problems, dump.unread_lines) == ([], 0)


# The list of threads before the entries


def smr(count: int, *more: str) -> str:
    addresses = ", ".join(f"0x00007f82fc5{number:05x}" for number in range(1, count + 1))
    return (
        f"Threads class SMR info:\n_java_thread_list=0x00007f82780779a0, length={count}, elements={{\n"
        f"{addresses}\n}}\n{''.join(more)}\n"
    )


def test_the_list_of_threads_is_no_thread() -> None:
    dump = only(TITLE + smr(2) + entry("at a.B.c(B.java:1)", number=1) + entry("at a.B.c(B.java:1)", number=2) + END)
    assert (len(dump.threads), dump.truncated, dump.problems, dump.unread_lines) == (2, [], [], 0)


def test_the_list_of_threads_tells_how_many_are_missing() -> None:
    dump = only(TITLE + smr(5) + entry("at a.B.c(B.java:1)", number=1) + entry("at a.B.c(B.java:1)", number=4) + END)
    assert dump.truncated == ["the dump lists 5 Java threads, 3 of them are not in this input"]


def test_a_mounted_virtual_thread_does_not_stand_in_for_a_missing_one() -> None:
    mounted = (
        header("carrier", 1) + "   Carrying virtual thread #3\n   Mounted virtual thread #3\n\tat a.B.c(B.java:1)\n"
    )
    dump = only(TITLE + smr(2) + mounted + END)
    assert dump.truncated == ["the dump lists 2 Java threads, 1 of them are not in this input"]


def test_lists_that_wait_to_be_freed_are_not_counted() -> None:
    """They name threads that ended before the dump."""
    old = (
        "_to_delete_list=0x00007f8278077aa0, length=2, elements={\n0x00007f82fc500001, 0x00007f82fc5fffff\n}\n",
        "next-> 0x00007f8278077ba0, length=1, elements={\n0x00007f82fc5ffffe\n}\n",
        "_java_thread_list_alloc_cnt=4, _java_thread_list_free_cnt=2, _java_thread_list_max=3, _nested_list_max=1\n",
        "_tlh_cnt=5, _tlh_times=0, avg_tlh_time=0.00, _tlh_time_max=0\n",
    )
    dump = only(TITLE + smr(1, *old) + entry("at a.B.c(B.java:1)", number=1) + END)
    assert (dump.truncated, dump.problems, dump.unread_lines) == ([], [], 0)


# Deadlocks

MONITORS = """\

Found one Java-level deadlock:
=============================
"transfer-A-to-B":
  waiting to lock monitor 0x00007f02800015a0 (object 0x00000000ffc4bcd8, a com.shop.Account),
  which is held by "transfer-B-to-A"
{blank}"transfer-B-to-A":
  waiting to lock monitor 0x00007f027c0015a0 (object 0x00000000ffc4bcc8, a com.shop.Account),
  which is held by "transfer-A-to-B"

Java stack information for the threads listed above:
===================================================
"transfer-A-to-B":
\tat com.shop.Cases.transfer(Cases.java:58)
\t- waiting to lock <0x00000000ffc4bcd8> (a com.shop.Account)
\t- locked <0x00000000ffc4bcc8> (a com.shop.Account)
"transfer-B-to-A":
\tat com.shop.Cases.transfer(Cases.java:58)
\t- waiting to lock <0x00000000ffc4bcc8> (a com.shop.Account)
\t- locked <0x00000000ffc4bcd8> (a com.shop.Account)

"""
MIXED = """\
Found one Java-level deadlock:
=============================
"mix "1"":
  waiting for ownable synchronizer 0x00000000ffc896a0, (a java.util.concurrent.locks.ReentrantLock$NonfairSync),
  which is held by "mix-2"

"mix-2":
  waiting to lock monitor 0x00007f02800015a0 (object 0x00000000ffc89650, a com.shop.Ledger),
  which is held by "mix "1""

Java stack information for the threads listed above:
===================================================
"mix "1"":
\tat jdk.internal.misc.Unsafe.park(java.base@17.0.15/Native Method)
\t- parking to wait for  <0x00000000ffc896a0> (a java.util.concurrent.locks.ReentrantLock$NonfairSync)
"mix-2":
\tat com.shop.Cases.mixed(Cases.java:70)
\t- waiting to lock <0x00000000ffc89650> (a com.shop.Ledger)

"""
BOTH = "".join(
    entry(
        f"at com.shop.Cases.transfer(Cases.java:58)\n"
        f"- waiting to lock <0x00000000ffc4bc{wanted}> (a com.shop.Account)\n"
        f"- locked <0x00000000ffc4bc{held}> (a com.shop.Account)",
        name,
        number,
        "BLOCKED (on object monitor)",
        "waiting for monitor entry",
    )
    for name, number, wanted, held in (("transfer-A-to-B", 1, "d8", "c8"), ("transfer-B-to-A", 2, "c8", "d8"))
)


@pytest.mark.parametrize("blank", ["\n", ""], ids=["java-17", "java-8"])
@pytest.mark.parametrize("heap", ["", "Heap\n garbage-first heap   total 262144K, used 3733K [0x00f0, 0x0100)\n\n"])
def test_a_deadlock(blank: str, heap: str) -> None:
    dump = only(TITLE + BOTH + END + MONITORS.format(blank=blank) + "Found 1 deadlock.\n\n" + heap)
    assert [t.name for t in dump.threads] == ["transfer-A-to-B", "transfer-B-to-A"]
    assert [len(t.stack) for t in dump.threads] == [1, 1]
    (deadlock,) = dump.deadlocks
    assert deadlock.threads == ("transfer-A-to-B", "transfer-B-to-A")
    assert [lock(one) for one in deadlock.locks] == [
        ("0x00000000ffc4bcd8", "com.shop.Account"),
        ("0x00000000ffc4bcc8", "com.shop.Account"),
    ]
    assert deadlock.line == 19
    assert (dump.problems, dump.unread_lines, dump.truncated) == ([], 0, [])


def test_several_deadlocks_and_an_ownable_synchronizer() -> None:
    dump = only(TITLE + BOTH + END + MONITORS.format(blank="\n") + MIXED + "Found 2 deadlocks.\n\n")
    assert [deadlock.threads for deadlock in dump.deadlocks] == [
        ("transfer-A-to-B", "transfer-B-to-A"),
        ('mix "1"', "mix-2"),
    ]
    assert [lock(one) for one in dump.deadlocks[1].locks] == [
        ("0x00000000ffc896a0", "java.util.concurrent.locks.ReentrantLock$NonfairSync"),
        ("0x00000000ffc89650", "com.shop.Ledger"),
    ]
    assert (len(dump.threads), dump.problems, dump.unread_lines) == (2, [], 0)


def test_a_deadlock_at_the_end_of_a_cut_input() -> None:
    text = TITLE + BOTH + END + MONITORS.format(blank="\n")
    dump = only(text[: text.index("Java stack information")])
    assert [deadlock.threads for deadlock in dump.deadlocks] == [("transfer-A-to-B", "transfer-B-to-A")]


# Output of others in the dump

HEAP = """\
Heap
 garbage-first heap   total 262144K, used 3733K [0x00000000f0000000, 0x0000000100000000)
  region size 1024K, 3 young (3072K), 0 survivors (0K)
 Metaspace       used 752K, committed 896K, reserved 1114112K
  class space    used 53K, committed 128K, reserved 1048576K

"""
PARALLEL_HEAP = """\
Heap
 PSYoungGen      total 76288K, used 3932K [0x000000076ab00000, 0x0000000770000000, 0x00000007c0000000)
  eden space 65536K, 6% used [0x000000076ab00000,0x000000076aed7240,0x000000076eb00000)
 ParOldGen       total 175104K, used 0K [0x00000006c0000000, 0x00000006cab00000, 0x000000076ab00000)
 Metaspace       used 2642K, capacity 4486K, committed 4864K, reserved 1056768K

"""
LOG = '2024-11-29T10:00:00.123Z  INFO 1 --- [chatty-2] com.shop.Checkout : order 876 "quoted" at com.shop.X(Y.java:1)\n'


@pytest.mark.parametrize("heap", [HEAP, PARALLEL_HEAP], ids=["g1", "parallel"])
def test_the_heap_of_kill_3(heap: str) -> None:
    text = TITLE + BOTH + VM_THREADS + END + heap
    dump = only(text + LOG * 3)
    assert (len(dump.threads), dump.problems, dump.unread_lines, dump.truncated) == (4, [], 0, [])
    assert dump.end_line == text.rstrip("\n").count("\n") + 1


def test_lines_of_the_application_between_the_parts() -> None:
    text = TITLE + BOTH + VM_THREADS + "\n" + LOG * 4 + END + LOG + MONITORS.format(blank="\n") + LOG
    dump = only(text + "Found 1 deadlock.\n\n" + LOG + HEAP + LOG * 2)
    assert [t.name for t in dump.threads] == ["transfer-A-to-B", "transfer-B-to-A", "VM Thread", "G1 Main Marker"]
    assert [len(t.stack) for t in dump.threads] == [1, 1, 0, 0]
    assert len(dump.deadlocks) == 1
    assert dump.unread_lines == 7
    assert [(p.reason, p.text) for p in dump.problems] == [("not part of the thread dump", LOG.rstrip("\n"))] * 7
    within = [number for number, line in enumerate(text.split("\n"), 1) if line and line in LOG]
    assert [problem.line for problem in dump.problems] == [*within, text.count("\n") + 3]


def test_lines_of_the_application_within_a_stack() -> None:
    """A container that merges two streams can cut in anywhere."""
    body = f"at a.B.c(B.java:1)\n- locked <0x0a> (a X)\n{LOG}at a.B.d(B.java:2)\n- locked <0x0b> (a Y)"
    dump = only(TITLE + entry(body) + END)
    (found,) = dump.threads
    assert (functions(found), holds(found)) == (["a.B.c", "a.B.d"], [("0x0a", 0), ("0x0b", 1)])
    assert (dump.unread_lines, [p.line for p in dump.problems]) == (1, [7])


TRACE = """\
{first}
\tat com.shop.Broken.fail(Broken.java:3)
\tat com.shop.Broken.main(Broken.java:1)
Caused by: java.io.IOException: reset
\tat com.shop.Broken.read(Broken.java:9)
\t... 2 more
"""


@pytest.mark.parametrize(
    "first",
    [
        "java.lang.IllegalStateException: no order",
        'Exception in thread "web-1" java.lang.IllegalStateException: no order',
        'Exception in thread "a " b" com.shop.CheckoutError',
    ],
)
def test_an_exception_printed_between_two_threads(first: str) -> None:
    text = TITLE + entry("at a.B.c(B.java:1)", "one", 1) + TRACE.format(first=first)
    dump = only(text + entry("at a.B.d(B.java:2)", "two", 2) + END)
    assert [(t.name, functions(t)) for t in dump.threads] == [("one", ["a.B.c"]), ("two", ["a.B.d"])]
    assert 7 in {problem.line for problem in dump.problems}


def test_frames_after_the_threads_of_the_vm_are_nobodys() -> None:
    """They have no stacks: whatever is printed there belongs to the application."""
    dump = only(TITLE + VM_THREADS + "ERROR order 7 failed: java.io.IOException: reset\n\tat a.B.c(B.java:1)\n" + END)
    assert [(t.name, t.internal, functions(t)) for t in dump.threads] == [
        ("VM Thread", True, []),
        ("G1 Main Marker", True, []),
    ]


def test_lines_with_quotes_are_no_headers() -> None:
    noise = '"order 5" failed\n"tid=5" is what the customer said\n'
    dump = only(TITLE + entry("at a.B.c(B.java:1)", "one", 1) + noise + entry("at a.B.d(B.java:2)", "two", 2) + END)
    assert [t.name for t in dump.threads] == ["one", "two"]
    assert dump.unread_lines == 2


# Where dumps begin and end


def test_a_dump_that_begins_at_a_thread() -> None:
    text = entry("at a.B.c(B.java:1)", "one", 1) + entry("at a.B.d(B.java:2)", "two", 2) + END
    assert hotspot.claims(text.encode().splitlines(keepends=True)[0])
    dump = only(text)
    assert (dump.line, dump.runtime, dump.version, [t.name for t in dump.threads]) == (1, None, None, ["one", "two"])
    assert dump.truncated == ["the beginning of the dump is missing"]


def test_a_dump_without_its_end() -> None:
    dump = only(TITLE + entry("at a.B.c(B.java:1)"))
    assert dump.truncated == ["the end of the dump is missing (no line 'JNI global ref...')"]


def test_a_dump_of_java_5_ends_with_the_threads_of_the_vm() -> None:
    title = "Full thread dump Java HotSpot(TM) Server VM (1.5.0_22-b03 mixed mode):\n\n"
    text = title + '"main" prio=1 tid=0x08 nid=0x1234 runnable [0xbfff..0xc000]\n\tat a.B.c(B.java:1)\n\n'
    end = '"VM Periodic Task Thread" prio=1 tid=0x09 nid=0x1235 waiting on condition\n'
    assert only(text + end).truncated == []
    assert only(text).truncated != []


def test_a_dump_that_ends_within_the_threads_of_the_vm() -> None:
    """From Java 10 on the end is known: the line with the JNI references."""
    periodic = (
        '"VM Periodic Task Thread" os_prio=0 cpu=0.02ms elapsed=2.71s tid=0x0a nid=0x182b waiting on condition  \n'
    )
    dump = only(TITLE + smr(1) + entry("at a.B.c(B.java:1)", number=1) + periodic)
    assert dump.truncated == ["the end of the dump is missing (no line 'JNI global ref...')"]


@pytest.mark.parametrize("cut", ["\tat com.shop.Front", '"http-exec-20" #31 daemon pr', "   java.lang.Thr"])
def test_an_input_that_ends_in_the_middle_of_a_line(cut: str) -> None:
    dump = only(TITLE + entry("at a.B.c(B.java:1)").rstrip("\n") + "\n" + cut)
    assert [t.name for t in dump.threads] == ["worker"]
    assert dump.truncated != []
    (problem,) = dump.problems
    assert (problem.line, problem.reason) == (6, "the input ends in the middle of a line")
    assert problem.text.strip() == cut.strip()
    assert dump.end_line == 6


def test_several_dumps_in_one_input() -> None:
    text = TITLE + entry("at a.B.c(B.java:1)", "one", 1) + END
    second = "2026-11-23 02:01:22\n" + text.replace('"one"', '"uno"')
    dumps = parse(text + second + "77:\n" + second.replace('"uno"', '"eins"'))
    assert [[t.name for t in dump.threads] for dump in dumps] == [["one"], ["uno"], ["eins"]]
    assert [dump.taken_at for dump in dumps] == [None, "2026-11-23T02:01:22", "2026-11-23T02:01:22"]
    assert [dump.pid for dump in dumps] == [None, None, 77]
    assert [(dump.line, dump.end_line) for dump in dumps] == [(1, 8), (10, 18), (20, 30)]
    assert all(dump.truncated == [] and dump.problems == [] for dump in dumps)


def test_a_second_dump_without_its_title() -> None:
    text = entry("at a.B.c(B.java:1)", "one", 1) + END
    dumps = parse(TITLE + text + LOG + text.replace('"one"', '"uno"'))
    assert [[t.name for t in dump.threads] for dump in dumps] == [["one"], ["uno"]]
    assert dumps[1].truncated == ["the beginning of the dump is missing"]


def test_a_cut_dump_before_a_whole_one() -> None:
    text = TITLE + entry("at a.B.c(B.java:1)", "one", 1) + END
    cut, whole = parse(text[: text.index("\nJNI")] + text)
    assert [t.name for t in cut.threads] == [t.name for t in whole.threads] == ["one"]
    assert (bool(cut.truncated), whole.truncated) == (True, [])


def test_the_dump_of_another_format_ends_this_one() -> None:
    other = b"Process 1: python x.py\n"
    assert claimant(other) is not None
    lines = Lines([*(TITLE + entry("at a.B.c(B.java:1)") + END).encode().splitlines(keepends=True), other])
    assert len(list(hotspot.parse(lines))) == 1
    assert [line for _, line in lines] == [other]


def test_a_log_that_goes_on_for_long_is_left_to_others() -> None:
    text = (TITLE + entry("at a.B.c(B.java:1)") + END).encode().splitlines(keepends=True)
    lines = Lines(text + [LOG.encode()] * 2000)
    (dump,) = hotspot.parse(lines)
    assert (dump.unread_lines, dump.problems, dump.end_line) == (0, [], 8)
    assert len(list(lines)) > 1000


@pytest.mark.parametrize(
    "line",
    ["Full thread dump \n", "Full thread dump will follow\n", 'at "x" tid=\n', '"x" tid=0x1\n', "JNI global refs: 1\n"],
)
def test_lines_that_start_no_dump(line: str) -> None:
    assert not hotspot.claims(line.encode())


def test_input_of_others_is_not_consumed() -> None:
    lines = Lines([b"Full thread dump \n", b"Process 1: x\n"])
    assert list(hotspot.parse(lines)) == []
    assert next(iter(lines)) == (1, b"Full thread dump \n")


# Hostile sizes: a quadratic parser would not come back


@pytest.mark.parametrize(
    "line",
    [
        '"' * 200_000,
        '"' * 200_000 + " tid=0x1 nid=0x1 runnable",
        '" tid=0x1' * 20_000,
        '"a" tid=0x1 nid=0x1' + " " * 200_000 + '"',
        '"a" tid=0x1 nid=0x1' + " " * 200_000 + "[",
        '"a" tid=0x1 nid=0x1' + " x" * 100_000 + '"',
        '"a" #' + "1" * 200_000 + " tid=0x1",
        '"a" cpu=' + "1" * 200_000 + " tid=0x1",
        "Full thread dump " + "(" * 200_000,
        "Full thread dump (" + "x" * 200_000,
        "Full thread dump (x" + " " * 200_000,
        "Full thread dump " + "(x)" * 60_000,
        "\tat " + "a.b(" * 50_000,
        "\tat a." + "$$Lambda" * 25_000 + "(X.java:1)",
        "\tat a.b(" + "/" * 200_000,
        "\t- locked <" + "<" * 200_000,
        "\t- eliminated <x> (a " + "\tat " * 50_000,
        "Exception in thread " + '" ' * 100_000,
        "a." * 100_000,
        "0x" * 100_000,
    ],
    ids=lambda line: f"{line[:24].strip()}-{line[-6:].strip()}",
)
def test_one_long_line(line: str) -> None:
    hotspot.claims(line.encode())
    (dump,) = parse(TITLE + entry("at a.B.c(B.java:1)", "one", 1) + line + "\n" + entry("at a.B.c(B.java:1)") + END)[:1]
    assert dump.threads[0].name == "one"


@pytest.mark.parametrize(
    ("text", "threads"),
    [
        ("".join(f'"{n}" #{n} prio=5 tid=0x{n:x} nid=0x{n:x} runnable  [0x0]\n' for n in range(100_000)), 100_000),
        (header() + "\tat a.B.c(B.java:1)\n" * 100_000, 1),
        (header() + "\tat a.B.c(B.java:1)\n" + "\t- locked <0x0a> (a X)\n" * 100_000, 1),
        (header() + "".join(f"\t- locked <0x{n:x}> (a X)\n" for n in range(50_000)), 1),
        (header() + '"not a header\n' * 100_000, 1),
        (header() + LOG * 100_000, 1),
        (header() + "   Mounted virtual thread #1\n" * 50_000, 2),
    ],
    ids=["headers", "frames", "recursion", "locks", "quotes", "noise", "mounted"],
)
def test_many_lines(text: str, threads: int) -> None:
    dump = only(TITLE + text + END)
    assert len(dump.threads) == threads
    assert len(dump.problems) <= 101


# Properties

REAL = [
    (FIXTURES / "hotspot" / name).read_bytes()
    for name in (
        "deadlock-two.txt",
        "names-hostile.txt",
        "eliminated-glued-frame.txt",
        "java25-pinned-carriers.txt",
        "relock-in-wait.txt",
        "kill3-inside-log.txt",
    )
]
PIECES = st.sampled_from(
    [
        TITLE.encode(),
        header().encode(),
        b'"half a header\n',
        b'" tid=\n',
        b"\tat a.B.c(B.java:1)\n",
        b"\t- locked <0x0a> (a X)\n",
        b"\t- waiting on <no object reference available>\n",
        b"\t- <0x0a> (a X)\n",
        b"\t- \n",
        b"   java.lang.Thread.State: BLOCKED (on object monitor)\n",
        b"   Mounted virtual thread #7\n",
        b"   Carrying virtual thread #x\n",
        b"   Locked ownable synchronizers:\n",
        b"JNI global refs: 1\n",
        b"Found one Java-level deadlock:\n",
        b'"a":\n',
        b"  waiting to lock monitor 0x1 (object 0x2, a X),\n",
        b"Java stack information for the threads listed above:\n",
        b"Found 1 deadlock.\n",
        b"Heap\n",
        b"java.lang.Error: x\n",
        b"2026-11-23 02:01:22\n",
        b"77:\n",
        b"\n",
        b"\r\r\n",
        b"0x1,\n",
        b"",
    ]
)


@given(st.lists(st.one_of(PIECES, st.binary(max_size=40).map(lambda raw: raw + b"\n")), max_size=40), st.binary())
def test_total_on_any_lines(pieces: list[bytes], tail: bytes) -> None:
    raw = TITLE.encode() + b"".join(pieces) + tail
    lines = Lines(raw.splitlines(keepends=True))
    sound(hotspot.parse(lines))


@given(st.binary(max_size=200))
def test_claims_is_total(line: bytes) -> None:
    assert hotspot.claims(line) in (True, False)
    assert hotspot.claims(b'"' + line + b" tid=0x1 nid=" + line) in (True, False)
    assert hotspot.claims(TITLE.encode()[:17] + line) in (True, False)


@settings(max_examples=30)
@given(
    st.sampled_from(REAL[:5]),
    st.sampled_from(REAL[:5]),
    st.lists(st.text("abc :[]()0123456789", max_size=60), max_size=30),
)
def test_noise_between_two_dumps(first: bytes, second: bytes, noise: list[str]) -> None:
    between = "".join(f"INFO {line}\n" for line in noise).encode()
    alone = [[shape(t) for t in only(raw).threads] for raw in (first, second)]
    dumps = parse(first + between + second)
    assert [[shape(t) for t in dump.threads] for dump in dumps] == alone
    assert [dump.truncated for dump in dumps] == [[], []]
    assert [dump.problems for dump in dumps] == [[], []]


def blocks(raw: bytes) -> tuple[bytes, list[bytes], bytes]:
    """A dump in three: what stands before the threads, the threads, and the rest."""
    text = raw.decode("utf-8", "surrogateescape")
    start, end = text.index("}\n\n") + 3, text.rindex("JNI global ref")
    threads = re.split(r'^(?=".*(?:\n.*)?" .*\btid=0x)', text[start:end], flags=re.MULTILINE)[1:]
    encoded = [part.encode("utf-8", "surrogateescape") for part in (text[:start], *threads, text[end:])]
    return encoded[0], encoded[1:-1], encoded[-1]


@settings(max_examples=30)
@given(st.sampled_from(REAL[:5]), st.randoms(use_true_random=False))
def test_the_order_of_threads_does_not_matter(raw: bytes, chance: random.Random) -> None:
    before, threads, after = blocks(raw)
    assert before + b"".join(threads) + after == raw
    assert len(threads) > 15
    shuffled = chance.sample(threads, len(threads))
    assert sorted(map(repr, map(shape, only(raw).threads))) == sorted(
        map(repr, map(shape, only(before + b"".join(shuffled) + after).threads))
    )


@pytest.mark.parametrize(
    "path",
    sorted((FIXTURES / "hotspot").glob("*.txt"))
    + sorted(p for folder in ("black-friday", "healthy") for p in (FIXTURES / folder).glob("*.j*.txt"))
    + sorted(p for folder in ("black-friday", "healthy") for p in (FIXTURES / folder).glob("*.kill3.txt")),
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_each_header_is_a_thread(path: Path) -> None:
    raw = path.read_bytes()
    start = raw.index(b"Full thread dump")
    lines = Lines(raw[start:].splitlines(keepends=True))
    (dump,) = hotspot.parse(lines)
    # All headers end in this, whatever the name; the first line of a name with a line break does not count.
    headers = re.findall(rb'" (?:#\d+ .*|os_prio=\d.*)tid=0x[0-9a-f]{16}\b.*$', raw[start:], re.MULTILINE)
    printed = [found for found in dump.threads if not found.virtual]
    assert len(printed) == len(headers)
    assert [t.address for t in printed] == [re.findall(rb"tid=(0x[0-9a-f]{16})", h)[-1].decode() for h in headers]
