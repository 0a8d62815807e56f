"""Android's traces: threads with their locks and owners, both dialects, several processes in a file, and pieces."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import goldens
from threaddump_parsers import art, claimant
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Thread

REAL = goldens.content("art/main-thread-blocked-synthetic.txt")

DALVIK = b"""----- pid 2121 at 2013-05-08 23:02:47 -----
Cmd line: com.shop.old

DALVIK THREADS:
(mutexes: tll=0 tsl=0 tscl=0 ghl=0)

"main" prio=5 tid=1 MONITOR
  | group="main" sCount=1 dsCount=0 obj=0x41a2fca8 self=0x41a20438
  | sysTid=2121 nice=0 sched=0/0 cgrp=apps handle=1074745684
  | state=S schedstat=( 0 0 0 ) utm=60 stm=40 core=1
  at com.shop.old.Cart.total(Cart.java:~12)
  - waiting to lock <0x42b4e1c0> (a com.shop.old.Cart) held by tid=11 (sync "now")
  at dalvik.system.NativeStart.main(Native Method)

"sync "now"" prio=5 tid=11 TIMED_WAIT
  | sysTid=2140 nice=0 sched=0/0 cgrp=apps handle=1612345
  at java.lang.VMThread.sleep(Native Method)
  at com.shop.old.Cart.refresh(Cart.java:40)
  at dalvik.system.NativeStart.run(Native Method)

----- end 2121 -----
"""


def parse(raw: bytes) -> list[Dump]:
    return list(art.parse(Lines(raw.splitlines(keepends=True))))


def only(raw: bytes) -> Dump:
    (dump,) = parse(raw)
    return dump


def named(dump: Dump, name: str) -> Thread:
    (thread,) = (thread for thread in dump.threads if thread.name == name)
    return thread


def test_a_trace() -> None:
    dump = only(REAL)
    assert (dump.line, dump.pid, dump.command) == (1, 20310, "com.shop.till")
    assert dump.taken_at == "2026-11-22T20:31:07.048215+01:00"
    assert (len(dump.threads), dump.truncated, dump.problems, dump.unread_lines) == (24, [], [], 0)
    assert dump.end_line == REAL.count(b"\n")
    main = named(dump, "main")
    assert (main.line, main.java_id, main.native_id, main.state, main.cpu_ms) == (21, 1, 20310, "BLOCKED", 5920.0)
    assert main.daemon is False
    assert not main.internal
    holder = named(dump, "till-sync")
    assert [(held.lock.id, held.lock.class_name) for held in holder.holds] == [("0x0a1b2c3d", "com.shop.till.Basket")]
    assert main.blocked_on is holder.holds[0].lock
    assert holder.stack[holder.holds[0].depth or 0].function == "com.shop.till.Basket.refresh"


def test_frames_of_c_stand_above_those_of_java() -> None:
    stack = named(only(REAL), "till-sync").stack
    assert [(frame.function, frame.native) for frame in stack[:4]] == [
        ("recvfrom", True),
        ("Linux_recvfromBytes", True),
        ("libcore.io.Linux.recvfromBytes", True),
        ("libcore.io.Linux.recvfrom", False),
    ]
    binder = named(only(REAL), "Binder:20310_1")
    assert binder.internal
    assert [frame.function for frame in binder.stack[2:]] == [
        "android::IPCThreadState::talkWithDriver",
        "android::IPCThreadState::joinThreadPool",
        "[libutils]",
    ]


def test_what_a_wait_gave_up_and_what_sleep_takes_is_not_held() -> None:
    dump = only(REAL)
    waiting, asleep = named(dump, "ReferenceQueueDaemon"), named(dump, "FinalizerWatchdogDaemon")
    assert waiting.waiting_on is not None
    assert (waiting.holds, waiting.wait_released) == ((), (waiting.waiting_on,))
    assert (asleep.state, asleep.holds) == ("TIMED_WAITING", ())


def test_dalvik() -> None:
    main, sync = only(DALVIK).threads
    assert (main.state, main.printed_state, main.native_id, main.cpu_ms) == ("BLOCKED", "MONITOR", 2121, None)
    assert (sync.name, sync.state, sync.java_id) == ('sync "now"', "TIMED_WAITING", 11)
    assert [held.lock for held in sync.holds] == [main.blocked_on]  # its own entry does not show the lock


@pytest.mark.parametrize("between", [b"", b"\n", b"\n\n----- Waiting Channels: pid 7 at 2026-11-22 20:31:08 -----\n"])
def test_a_file_of_several_processes(between: bytes) -> None:
    assert [(dump.pid, len(dump.threads)) for dump in parse(REAL + between + DALVIK + between + REAL)] == [
        (20310, 24),
        (2121, 2),
        (20310, 24),
    ]


def test_pieces_are_said_to_be_some() -> None:
    lines = REAL.splitlines(keepends=True)
    listed = lines.index(b"DALVIK THREADS (24):\n")
    assert only(b"".join(lines[listed:])).truncated == []
    assert only(b"".join(lines[listed + 1 :])).truncated == ["the beginning of the dump is missing"]
    assert only(b"".join(lines[: listed + 30])).truncated == ["22 of 24 threads are missing"]
    (empty,) = parse(b"".join(lines[:5]))
    assert (empty.pid, empty.threads) == (20310, [])
    assert only(DALVIK[: DALVIK.index(b"----- end")]).truncated == ["the end of the dump is missing"]


OURS = (
    b'"x" prio=5 tid=1 Blocked\n',
    b'"a" daemon prio=10 tid=7 Native (still starting up)\n',
    b'"n" prio=9 (not attached)\n',
    b"DALVIK THREADS (7):\n",
    b"DALVIK THREADS:\n",
    b"----- pid 1 at 2026-11-22 20:31:07 -----\n",
)
OTHERS = (
    b'"x" prio=5 tid=0x1a nid=0x2 runnable\n',
    b'"x" prio=5 tid=1\n',
    b'"x" #1 prio=5 tid=0x7f00 nid=1 waiting on condition\n',
    b'"main" prio=5 tid=fb8 nid=0x1 Object.wait() [f0]\n',
    b"DALVIK THREADS of\n",
    b"----- pid x -----\n",
)


@pytest.mark.parametrize("line", OURS)
def test_claims(line: bytes) -> None:
    assert claimant(line) is art


@pytest.mark.parametrize("line", OTHERS)
def test_claims_nothing_else(line: bytes) -> None:
    assert not art.claims(line)


@given(st.binary(max_size=200))
def test_claims_is_total(line: bytes) -> None:
    for changed in (line, b'"' + line + b'" prio=5 tid=' + line, b"----- pid " + line, b"DALVIK THREADS" + line):
        assert art.claims(changed) in (True, False)


@given(st.sampled_from([REAL, DALVIK]), st.randoms(use_true_random=False), st.integers(1, 30))
def test_total_on_mutated_dumps(raw: bytes, chance: random.Random, changes: int) -> None:
    lines = raw.splitlines(keepends=True)
    for _ in range(changes):
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        match chance.randrange(4):
            case 0:
                del lines[at : at + chance.randrange(1, 9)]
            case 1:
                lines[at:at] = lines[other : other + 5]
            case 2:
                lines[at], lines[other] = lines[other], lines[at]
            case _:
                lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)] + b"\n"
        lines = lines or [b"\n"]
    last = 0
    for dump in art.parse(Lines(lines)):
        assert last < dump.line <= dump.end_line <= len(lines)
        last = dump.end_line
        at = [thread.line for thread in dump.threads]
        assert at == sorted(set(at))
        assert not at or (dump.line <= at[0] and at[-1] <= dump.end_line)
