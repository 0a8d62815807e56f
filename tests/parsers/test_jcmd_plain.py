"""Texts of ``Thread.dump_to_file -format=plain``, one trap each."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import goldens
from threaddump import intake
from threaddump.sources import InputError
from threaddump_parsers import claimant, jcmd_plain
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump

OLD = """\
82513
2024-07-26T15:45:43.550544Z
21.0.8+9-LTS

#1 "main"
      java.base/java.lang.Thread.sleep0(Native Method)
      com.shop.Main.main(Main.java:27)

#11 "Signal Dispatcher"

#22 "vt-1" virtual
      java.base/java.lang.VirtualThread.park(VirtualThread.java:582)
      java.base/java.lang.VirtualThread.run(VirtualThread.java:309)

"""
NEW = """\
6845
2026-11-22T20:49:15.490532107Z
25.0.2+10-LTS

#3 "main" TIMED_WAITING 2026-11-22T20:49:15.493712015Z
    at java.base/java.lang.Thread.sleepNanos0(Native Method)

#22 "vt-transfer-AB" virtual BLOCKED 2026-11-22T20:50:48.906176010Z
    at com.shop.Bank.transfer(Bank.java:24)
    - locked <com.shop.Account@2c361df7>
    - waiting to lock <com.shop.Account@7ca53c52>
    at java.base/java.lang.VirtualThread.run(Unknown Source)

#24 "vt-transfer-BA" virtual BLOCKED 2026-11-22T20:50:48.906257751Z
    at com.shop.Bank.transfer(Bank.java:24)
    - locked <com.shop.Account@7ca53c52>
    - waiting to lock <com.shop.Account@2c361df7>
    at java.base/java.lang.VirtualThread.run(Unknown Source)

#27 "vt-rl" virtual WAITING 2026-11-22T20:50:48.906343518Z
    at java.base/java.lang.VirtualThread.park(Unknown Source)
    - parking to wait for <java.util.concurrent.locks.ReentrantLock$NonfairSync@515b512a>
    at com.shop.Bank.lock(Bank.java:9)

#12 "Finalizer" WAITING 2026-11-22T20:49:15.494759126Z
    at java.base/java.lang.Object.wait0(Native Method)
    - waiting on <java.lang.ref.ReferenceQueue$Lock@4f933fd1>
    at java.base/java.lang.ref.ReferenceQueue.remove0(Unknown Source)
    - locked <java.lang.ref.ReferenceQueue$Lock@4f933fd1>

"""


def read(text: str | bytes) -> list[Dump]:
    return list(intake.dumps(goldens.source(text.encode() if isinstance(text, str) else text)))


def names(dump: Dump) -> list[str]:
    return [thread.name for thread in dump.threads]


def test_java_21() -> None:
    (dump,) = read(OLD)
    assert (dump.format, dump.line, dump.end_line, dump.pid) == ("jcmd-plain", 1, 13, 82513)
    assert (dump.version, dump.taken_at) == ("21.0.8+9-LTS", "2024-07-26T15:45:43.550544Z")
    assert [(t.name, t.java_id, t.line, t.state, t.virtual, len(t.stack)) for t in dump.threads] == [
        ("main", 1, 5, None, False, 2),
        ("Signal Dispatcher", 11, 9, None, False, 0),
        ("vt-1", 22, 11, None, True, 2),
    ]
    sleep, main = dump.threads[0].stack
    assert (sleep.function, sleep.native, main.function, main.line) == (
        "java.lang.Thread.sleep0",
        True,
        "com.shop.Main.main",
        27,
    )
    assert (dump.problems, dump.unread_lines, dump.truncated) == ([], 0, [])


def test_java_25() -> None:
    (dump,) = read(NEW)
    main, first, second, parked, finalizer = dump.threads
    assert [t.state for t in dump.threads] == ["TIMED_WAITING", "BLOCKED", "BLOCKED", "WAITING", "WAITING"]
    assert [t.virtual for t in dump.threads] == [False, True, True, True, False]
    assert first.stack is second.stack
    assert (first.blocked_on, second.blocked_on) == (second.holds[0].lock, first.holds[0].lock)
    assert first.holds[0].depth == 0
    assert str(parked.blocked_on) == "java.util.concurrent.locks.ReentrantLock$NonfairSync@515b512a"
    assert (finalizer.holds, len(finalizer.wait_released), main.holds) == ((), 1, ())
    assert (dump.problems, dump.unread_lines, dump.truncated) == ([], 0, [])


def test_a_later_release_names_owners_and_removed_locks() -> None:
    text = NEW.replace("NonfairSync@515b512a>", "NonfairSync@515b512a>, owner #3").replace(
        "    at com.shop.Bank.lock", "    - lock is eliminated\n    at com.shop.Bank.lock"
    )
    (dump,) = read(text)
    assert [held.lock for held in dump.threads[0].holds] == [dump.threads[3].blocked_on]
    assert dump.unread_lines == 0


def test_the_draft_with_thread_in_front() -> None:
    (dump,) = read(NEW.replace("\n#", "\nThread #").replace(" virtual BLOCKED", " BLOCKED"))
    assert (len(dump.threads), dump.threads[1].state, dump.truncated) == (5, "BLOCKED", [])


@pytest.mark.parametrize(
    "name", ['a "quoted" name', "", " x ", '#5 "y" virtual', "line\nbreak", "two\n\nbreaks", "tab\there", "漢字 🛒"]
)
def test_names(name: str) -> None:
    for text in (OLD, NEW):
        (dump,) = read(text.replace('"main"', f'"{name}"'))
        assert dump.threads[0].name == name
        assert len(dump.threads) == len(read(text)[0].threads)
        assert (dump.unread_lines, len(dump.threads[0].stack)) == (0, 2 if text is OLD else 1)


def test_dumps_that_follow_each_other() -> None:
    dumps = read("log line\n" + OLD + "2026-01-01 done\nnext\n" + NEW + OLD)
    assert [(d.pid, len(d.threads), d.unread_lines) for d in dumps] == [(82513, 3, 0), (6845, 5, 0), (82513, 3, 0)]


def test_the_beginning_is_missing() -> None:
    (dump,) = read(NEW[NEW.index("#22") :])
    assert (names(dump)[0], dump.truncated) == ("vt-transfer-AB", ["the beginning of the dump is missing"])


def test_lines_that_cut_in() -> None:
    (dump,) = read(OLD.replace("\n\n#22", "\n2026-11-29 INFO hello\n\n#22"))
    assert (names(dump), dump.unread_lines) == (["main", "Signal Dispatcher", "vt-1"], 1)
    assert [(p.line, p.text) for p in dump.problems] == [(10, "2026-11-29 INFO hello")]


def test_an_exception_behind_the_dump_is_none_of_its_threads() -> None:
    (dump,) = read(OLD + "java.lang.IllegalStateException: x\n\tat com.shop.A.b(A.java:1)\n")
    assert [len(t.stack) for t in dump.threads] == [2, 0, 2]


@pytest.mark.parametrize("text", [OLD, NEW])
def test_cut_anywhere_keeps_the_complete_threads(text: str) -> None:
    whole = names(read(text)[0])
    for cut in range(len(text)):
        try:
            (dump,) = read(text[:cut])
        except InputError:
            continue
        found = names(dump)
        assert found == whole[: len(found)]
        assert len(found) >= text[: text[:cut].rfind("\n")].count("\n#")


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T20:49:15Z\nsomething\n",
        "2026-11-22T20:49:15Z\n",
        '2026-11-22T20:49:15Z\n1.0\nhello\n#1 "x"',
        "1\n2026-11-22T20:49:15Z\n\n\n\n\n\n\n",
    ],
)
def test_a_moment_alone_is_no_dump(text: str) -> None:
    lines = Lines(text.encode().splitlines(keepends=True))
    if not text.startswith("1\n"):
        assert list(jcmd_plain.parse(lines)) == []
        assert lines.peek(1)[0][0] == 1


@pytest.mark.parametrize("line", ["# a comment\n", '#12 is "fixed"\n', "2026-11-22T20:49:15Z INFO x\n", "Thread #\n"])
def test_other_lines_are_left_alone(line: str) -> None:
    assert claimant(line.encode()) is None


@given(st.binary(max_size=300), st.integers(0, len(NEW)), st.integers(0, 60))
def test_nothing_makes_it_fail(noise: bytes, at: int, removed: int) -> None:
    raw = NEW.encode()
    for text in (raw[:at] + noise + raw[at + removed :], noise, raw[at:] + noise):
        list(jcmd_plain.parse(Lines(text.splitlines(keepends=True))))
    jcmd_plain.claims(noise)
    jcmd_plain.claims(b'#1 "' + noise)


@pytest.mark.parametrize(
    "hostile",
    [
        b'#1 "' + b'" virtual' * 1_000 + b"\n",
        b'#1 "a\n',
        b"    at " + b"(" * 9_000 + b"\n",
        b"    - locked <" + b"<" * 9_000 + b"\n",
        b" " * 9_900 + b"\n",
        b'#1 "' + b"x" * 1_000_000 + b'"\n',
    ],
)
def test_hostile_input_is_read_in_linear_time(hostile: bytes) -> None:
    text = NEW.encode() + hostile * max(1, 1_000_000 // len(hostile))
    start = time.process_time()
    list(jcmd_plain.parse(Lines(text.splitlines(keepends=True)[1:])))
    for line in text.splitlines(keepends=True):
        jcmd_plain.claims(line)
    assert time.process_time() - start < 10
