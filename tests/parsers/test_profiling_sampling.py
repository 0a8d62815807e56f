"""Dumps of Python 3.15's profiling.sampling, one trap each."""

from __future__ import annotations

import pytest

from threaddump_parsers import claimant, profiling_sampling
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump

WEB = """\
Stack dump for PID 17, thread 31 (waiting for GIL; most recent call last):
  <native>
  File "usr/lib/python3.15/threading.py", line 1181, in Thread._bootstrap
    self._bootstrap_inner()
  File "srv/app/shop.py", in Shop.get
  <GC>
"""
MAIN = """\
Stack dump, thread 17 (interpreter 0; main thread, has GIL, on CPU; most recent call last):
  File "srv/app/shop.py", line 16, in <module>
    [source file changed after process started]
"""
TASK = """\
Stack dump, thread 17 (task 140214993450752; most recent call last):
  File "<task>", in Task-1
  File "srv/app/shop.py", line 24, in main
    async def main(): await submain()
  File "<task>", in waiter-8
  File "usr/lib/python3.15/asyncio/locks.py", line 110, in Lock.acquire
    await fut
"""


def parse(text: str) -> list[Dump]:
    return list(profiling_sampling.parse(Lines(text.encode().splitlines(keepends=True))))


def only(text: str) -> Dump:
    (dump,) = parse(text)
    assert (dump.unread_lines, dump.problems, dump.truncated) == (0, [], [])
    return dump


def test_frames_and_states() -> None:
    dump = only(f"{WEB}\n{MAIN}")
    web, main = dump.threads
    assert dump.pid == 17
    assert [(frame.function, frame.line) for frame in web.stack] == [("Shop.get", None), ("Thread._bootstrap", 1181)]
    assert (web.name, web.native_id, web.state, web.gil, web.printed_state) == ("", 31, None, False, "waiting for GIL")
    assert (main.name, main.native_id, main.state, main.gil) == ("MainThread", 17, "ACTIVE", True)


def test_idle() -> None:
    (thread,) = only(WEB.replace("waiting for GIL", "idle")).threads
    assert (thread.state, thread.gil) == ("IDLE", False)


def test_tasks_are_entries_of_their_own() -> None:
    dump = only(f"{TASK}\n{TASK.replace('140214993450752', '2').replace('waiter-8', 'waiter-9')}")
    assert [thread.name for thread in dump.threads] == ["Task-1 > waiter-8", "Task-1 > waiter-9"]
    assert [frame.function for frame in dump.threads[0].stack] == ["Lock.acquire", "main"]
    assert [thread.virtual for thread in dump.threads] == [True, True]


def test_a_thread_with_frames_in_two_interpreters() -> None:
    second = MAIN.replace("interpreter 0; main thread", "interpreter 1; main thread")
    assert [len(dump.threads) for dump in parse(f"{MAIN}\n{second}\n{MAIN}")] == [2, 1]


def test_a_process_or_a_thread_seen_again_starts_the_next_dump() -> None:
    assert [len(dump.threads) for dump in parse(f"{WEB}\n{MAIN}\n{WEB}\n{MAIN}\n{MAIN}")] == [2, 2, 1]


def test_a_thread_without_frames() -> None:
    assert only(f"{MAIN.splitlines()[0]}\n  No Python frames\n").threads[0].stack == ()


@pytest.mark.parametrize(
    "line", ["Stack dump for PID 17, thread 31 (idle)", "Stack dump:", "Stack (most recent call last):"]
)
def test_what_is_not_claimed(line: str) -> None:
    assert claimant(f"{line}\n".encode()) is None
