"""Texts of ``ThreadInfo`` and its derivatives, one trap each."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import goldens
from threaddump import intake
from threaddump.sources import InputError
from threaddump_parsers import claimant, threadmxbean
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump

LOCK = "java.util.concurrent.locks.ReentrantLock$NonfairSync@17a7cec2"
INFO = f"""\
"main" prio=5 Id=1 RUNNABLE
\tat java.management@17.0.15/sun.management.ThreadImpl.dumpThreads0(Native Method)
\tat app//com.shop.Main.main(Main.java:19)

"http-exec-1" daemon prio=5 Id=15 RUNNABLE (in native)
\tat java.base@17.0.15/sun.nio.ch.SocketDispatcher.read0(Native Method)
\tat app//com.shop.Gateway.schedule(Gateway.java:63)
\t-  locked com.shop.Gateway@4eec7777
\t...

\tNumber of locked synchronizers = 1
\t- {LOCK}

"http-exec-2" daemon prio=5 Id=16 BLOCKED on com.shop.Gateway@4eec7777 owned by "http-exec-1" Id=15
\tat app//com.shop.Gateway.schedule(Gateway.java:63)
\t-  blocked on com.shop.Gateway@4eec7777

"worker" Id=17 WAITING on {LOCK} owned by "http-exec-1" Id=15 (suspended)
\tat java.base@17.0.15/jdk.internal.misc.Unsafe.park(Native Method)
\t-  waiting on {LOCK}

"idle" prio=5 Id=18 TIMED_WAITING on java.lang.Object@1
\tat java.base@17.0.15/java.lang.Object.wait(Native Method)
\t-  waiting on java.lang.Object@1

"Signal Dispatcher" daemon prio=9 Id=4 RUNNABLE

"""
VISUALVM = """\
"Finalizer" - Thread t@3
   java.lang.Thread.State: WAITING
\tat java.base@17/java.lang.Object.wait(Native Method)
\t- waiting on <228a944d> (a java.lang.ref.ReferenceQueue$Lock)
\tat java.base@17/java.lang.ref.ReferenceQueue.remove(ReferenceQueue.java:155)
\t- locked <228a944d> (a java.lang.ref.ReferenceQueue$Lock)

   Locked ownable synchronizers:
\t- None

"deadLock1" - Thread t@20
   java.lang.Thread.State: BLOCKED
\tat com.shop.Bank.transfer(Bank.java:24)
\t- waiting to lock <b5379e1> (a com.shop.Account) owned by "deadLock2" t@21
\t- locked <41d2f8a> (a com.shop.Account)

   Locked ownable synchronizers:
\t- Locked <5cba6f7f> (a java.util.concurrent.locks.ReentrantLock$NonfairSync)

"deadLock2" - Thread t@21
   java.lang.Thread.State: BLOCKED
\tat com.shop.Bank.transfer(Bank.java:24)
\t- waiting to lock <41d2f8a> (a com.shop.Account) owned by "deadLock1" t@20

   Locked ownable synchronizers:
\t- None

"pool-1" - Thread t@22
   java.lang.Thread.State: TIMED_WAITING
\tat java.base@17/jdk.internal.misc.Unsafe.park(Native Method)
\t- parking to wait for <43af6aa> (a java.util.concurrent.SynchronousQueue$TransferStack)

   Locked ownable synchronizers:
\t- None

"""
TITLE = "2021-09-15 19:58:48\nFull thread dump OpenJDK 64-Bit Server VM (17+35-2724 mixed mode, sharing):\n\n"
HADOOP = """\
Process Thread Dump: jsp requested
4 active threads
Thread 63 (IPC Server handler 1 on 8020):
  State: WAITING
  Blocked count: 0
  Waited count: 1
  Waiting on java.lang.Object@1b2c3d
  Stack:
    java.lang.Object.wait(Native Method)
    org.apache.hadoop.ipc.Server$Handler.run(Server.java:9)
  Inactive
Thread 64 (writer):
  State: BLOCKED
  Blocked count: 7
  Waited count: 0
  Blocked time: 5
  Waited time: -1
  Blocked on org.apache.hadoop.FSNamesystem@4
  Blocked by 65 (holder (main))
  Stack:
    org.apache.hadoop.FSNamesystem.write(FSNamesystem.java:3)
Thread 65 (holder (main)):
  State: RUNNABLE
  Blocked count: 0
  Waited count: 0
  Stack:
    java.net.SocketInputStream.socketRead0(Native Method)
"""


def read(text: str | bytes) -> list[Dump]:
    return list(intake.dumps(goldens.source(text.encode() if isinstance(text, str) else text)))


def names(dump: Dump) -> list[str]:
    return [thread.name for thread in dump.threads]


def test_thread_info() -> None:
    (dump,) = read(INFO)
    main, holder, blocked, parked, idle, quiet = dump.threads
    assert (dump.format, dump.line, dump.end_line, dump.unread_lines) == ("threadmxbean", 1, 26, 0)
    assert (dump.problems, dump.truncated, dump.ownable_synchronizers) == ([], [], True)
    assert [(t.java_id, t.line, t.daemon, t.state) for t in dump.threads] == [
        (1, 1, False, "RUNNABLE"),
        (15, 5, True, "RUNNABLE"),
        (16, 14, True, "BLOCKED"),
        (17, 18, None, "WAITING"),
        (18, 22, False, "TIMED_WAITING"),
        (4, 26, True, "RUNNABLE"),
    ]
    assert [f.function for f in main.stack] == ["sun.management.ThreadImpl.dumpThreads0", "com.shop.Main.main"]
    assert [(str(held.lock), held.depth) for held in holder.holds] == [("com.shop.Gateway@4eec7777", 1), (LOCK, None)]
    assert (holder.truncated, main.truncated) == (True, False)
    assert blocked.blocked_on is holder.holds[0].lock
    assert parked.blocked_on is holder.holds[1].lock
    assert (str(idle.waiting_on), idle.blocked_on) == ("java.lang.Object@1", None)
    assert quiet.stack == ()


def test_an_owner_whose_frames_were_cut() -> None:
    (dump,) = read(INFO.replace("\t-  locked com.shop.Gateway@4eec7777\n", ""))
    holder, blocked = dump.threads[1:3]
    assert [(held.lock is blocked.blocked_on, held.depth) for held in holder.holds] == [(False, None), (True, None)]


@pytest.mark.parametrize(
    ("header", "wants"),
    [
        ('WAITING on com.shop.Gate@1 owned by "http-exec-1" Id=15', True),
        ("WAITING on com.shop.Gate@1", False),
        ('WAITING on java.util.concurrent.CountDownLatch$Sync@1 owned by "gone" Id=-1', False),
    ],
)
def test_what_is_parked_on(header: str, wants: bool) -> None:
    park = '"parked" Id=90 ' + header + "\n\tat jdk.internal.misc.Unsafe.park(Native Method)\n\n"
    parked = read(INFO + park)[0].threads[-1]
    assert ((parked.blocked_on is not None), (parked.waiting_on is not None)) == (wants, not wants)


def test_in_object_wait_the_owner_has_the_monitor_just_now() -> None:
    wait = (
        '"w" Id=90 WAITING on com.shop.Gate@1 owned by "http-exec-1" Id=15\n\tat java.lang.Object.wait(Native Method)\n'
    )
    (dump,) = read(INFO + wait)
    assert (dump.threads[-1].blocked_on, str(dump.threads[-1].waiting_on)) == (None, "com.shop.Gate@1")
    assert dump.threads[-1].waiting_on in [held.lock for held in dump.threads[1].holds]


@pytest.mark.parametrize(
    "name",
    ['a "quoted" name', "", " x ", 'x" Id=3 ', "line\nbreak", "a\n\nb", "tab\there", "漢字 🛒", "nid=0x1 tid=0x2 Id=3"],
)
def test_names(name: str) -> None:
    (dump,) = read(INFO.replace('"idle"', f'"{name}"').replace('"http-exec-1"', f'"{name}"'))
    assert names(dump) == ["main", name, "http-exec-2", "worker", name, "Signal Dispatcher"]
    assert (dump.unread_lines, dump.threads[2].blocked_on) == (0, dump.threads[1].holds[0].lock)


def test_jenkins_prints_the_group() -> None:
    (dump,) = read(re.sub(r"Id=(\d+) (?=[A-Z])", r"Id=\1 Group=main pool ", INFO))
    assert (names(dump), dump.threads[2].state) == (names(read(INFO)[0]), "BLOCKED")


def test_visualvm() -> None:
    (dump,) = read(VISUALVM)
    finalizer, first, second, pool = dump.threads
    assert [(t.java_id, t.state) for t in dump.threads] == [
        (3, "WAITING"),
        (20, "BLOCKED"),
        (21, "BLOCKED"),
        (22, "TIMED_WAITING"),
    ]
    assert (finalizer.holds, len(finalizer.wait_released)) == ((), 1)
    assert [str(held.lock) for held in first.holds] == [
        "com.shop.Account@41d2f8a",
        "java.util.concurrent.locks.ReentrantLock$NonfairSync@5cba6f7f",
    ]
    assert [held.lock for held in second.holds] == [first.blocked_on]  # told by who waits only
    assert second.blocked_on is first.holds[0].lock
    assert str(pool.waiting_on) == "java.util.concurrent.SynchronousQueue$TransferStack@43af6aa"
    assert (dump.unread_lines, dump.ownable_synchronizers) == (0, True)


def test_visualvm_below_a_title() -> None:
    lines = Lines((TITLE + VISUALVM).encode().splitlines(keepends=True))
    lines.last = [next(iter(lines))]
    assert threadmxbean.follows(lines)
    (dump,) = threadmxbean.parse(lines)
    assert (dump.line, dump.taken_at) == (1, "2021-09-15T19:58:48")
    assert (dump.runtime, dump.version) == ("OpenJDK 64-Bit Server VM", "17+35-2724")
    assert len(dump.threads) == 4


def test_a_header_that_lost_its_end() -> None:
    (dump,) = read(VISUALVM.replace('"deadLock2" - Thread t@21', '"deadLock2"'))
    assert names(dump) == ["Finalizer", "deadLock1", "deadLock2", "pool-1"]


def test_hadoop() -> None:
    (dump,) = read("noise\n" + HADOOP)
    waiting, blocked, holder = dump.threads
    assert [(t.name, t.java_id, t.state, t.line) for t in dump.threads] == [
        ("IPC Server handler 1 on 8020", 63, "WAITING", 4),
        ("writer", 64, "BLOCKED", 13),
        ("holder (main)", 65, "RUNNABLE", 23),
    ]
    assert [f.function for f in waiting.stack] == ["java.lang.Object.wait", "org.apache.hadoop.ipc.Server$Handler.run"]
    assert [held.lock for held in holder.holds] == [blocked.blocked_on]
    assert str(waiting.waiting_on) == "java.lang.Object@1b2c3d"
    assert (dump.line, dump.unread_lines, dump.truncated) == (2, 0, [])


def test_hadoop_counts_its_threads() -> None:
    (dump,) = read(HADOOP.replace("4 active", "9 active"))
    assert dump.truncated == ["the dump has 9 threads, 5 of them are not in this input"]
    assert len(read(HADOOP.partition("\n")[2])[0].threads) == 3


@pytest.mark.parametrize(("depth", "cut"), [(19, False), (20, True), (25, False)])
def test_hadoop_prints_20_frames(depth: int, cut: bool) -> None:
    text = HADOOP + "    com.shop.Deep.er(Deep.java:1)\n" * (depth - 1)
    assert [t.truncated for t in read(text)[0].threads] == [False, False, cut]


@pytest.mark.parametrize("text", [INFO, VISUALVM, HADOOP])
def test_dumps_that_follow_each_other(text: str) -> None:
    assert [names(dump) for dump in read(text + "log line\n" + text)] == [names(dump) for dump in read(text)] * 2


def test_other_dumps_that_follow() -> None:
    hotspot = goldens.content("hotspot/deadlock-two.txt").decode()
    dumps = read(hotspot + "\n" + INFO + HADOOP + hotspot)
    assert [dump.format for dump in dumps] == ["hotspot", "threadmxbean", "threadmxbean", "hotspot"]
    assert dumps[3].taken_at == dumps[0].taken_at


def test_a_log_around_it() -> None:
    log = "2026-11-29 INFO x\n\tat com.shop.Log.line(Log.java:1)\njava.lang.Error: y\n\tat a.B.c(B.java:1)\n"
    (dump,) = read(log + INFO + "java.lang.Error: y\n\tat a.B.c(B.java:1)\n")
    assert [len(t.stack) for t in dump.threads] == [2, 2, 1, 1, 1, 0]
    assert dump.unread_lines == 0


@pytest.mark.parametrize("text", [INFO, VISUALVM, HADOOP])
def test_line_ends_say_nothing(text: str) -> None:
    def essence(raw: str) -> list[object]:
        return [(t.name, t.line, t.state, [f.function for f in t.stack], len(t.holds)) for t in read(raw)[0].threads]

    assert essence(text.replace("\n", "\r\n")) == essence(text)


@pytest.mark.parametrize("text", [INFO, VISUALVM, HADOOP])
def test_cut_anywhere_keeps_the_complete_threads(text: str) -> None:
    (dump,) = read(text)
    whole, starts = names(dump), [thread.line for thread in dump.threads]
    for cut in range(len(text)):
        try:
            found = names(read(text[:cut])[0])
        except InputError:
            found = []
        assert found == whole[: len(found)]
        complete = text[:cut].count("\n")
        if complete > starts[0]:
            assert len(found) >= sum(start <= complete for start in starts)


def test_a_cut_line_is_told() -> None:
    (dump,) = read(INFO[: INFO.index("Gateway.java:63") + 4])
    assert dump.truncated == ["the input ends in the middle of a line"]


@pytest.mark.parametrize(
    "line",
    [
        'log "x" Id=5 RUNNABLE\n',
        '"x" Id=5\n',
        '"key": "value"\n',
        "Thread 5 (Thread 0x7f00 (LWP 5)):\n",
        "Thread 5 (LWP 5):\n",
        "Thread pool started:\n",
        '"x" - Thread t@\n',
    ],
)
def test_other_lines_are_left_alone(line: str) -> None:
    assert claimant(line.encode()) is not threadmxbean


def test_a_thread_of_something_else() -> None:
    lines = Lines([b"Thread 5 (pool-1):\n", b"  at a.B.c\n"])
    assert list(threadmxbean.parse(lines)) == []
    assert lines.peek(1) == [(1, b"Thread 5 (pool-1):\n")]


@given(
    st.binary(max_size=300), st.integers(0, len(INFO)), st.integers(0, 60), st.sampled_from([INFO, VISUALVM, HADOOP])
)
def test_nothing_makes_it_fail(noise: bytes, at: int, removed: int, text: str) -> None:
    raw = text.encode()
    for changed in (raw[:at] + noise + raw[at + removed :], noise, raw[at:] + noise, TITLE.encode() + raw[at:]):
        list(threadmxbean.parse(Lines(changed.splitlines(keepends=True))))
    for start in (b"", b'"', b"Thread ", b'"x" Id=1 '):
        threadmxbean.claims(start + noise)


@pytest.mark.parametrize(
    "hostile",
    [
        b'"' + b'" Id=1 BLOCKED on X@1 owned by "' * 300 + b"\n",
        b'"' + b'" Id=1 Group=x RUNNABLE on X@1 owned by "' * 230 + b"\n",
        b'"' + b'" - Thread t@1' * 700 + b"\n",
        b'"x\n',
        b"\t- <1> (a " + b"@" * 9_000 + b"\n",
        b"Thread 1 (" + b")" * 9_000 + b"\n",
        b"\tat " + b"(" * 9_000 + b"\n",
        b'"' + b"x" * 1_000_000 + b'" Id=1 RUNNABLE\n',
    ],
)
def test_hostile_input_is_read_in_linear_time(hostile: bytes) -> None:
    text = INFO.encode() + hostile * max(1, 300_000 // len(hostile))
    start = time.process_time()
    list(threadmxbean.parse(Lines(text.splitlines(keepends=True))))
    assert time.process_time() - start < 10


WEBLOGIC = """\
"[STANDBY] ExecuteThread: '3' for queue: 'weblogic.kernel.Default (self-tuning)'" waiting for lock a.B@7e7702 WAITING
\tjava.lang.Object.wait(Native Method)
\tjava.lang.Object.wait(Object.java:474)

"a "b" RUNNABLE" RUNNABLE native suspended
\tjava.net.PlainSocketImpl.socketAccept(Native Method)

"[STUCK] ExecuteThread: '4'" waiting for lock com.shop.Gateway@4e BLOCKED
\tcom.shop.Gateway.schedule(Gateway.java:63)
"""
JCONSOLE = """\
Name: http-exec-2
State: BLOCKED on com.shop.Gateway@4e owned by: http: exec 1
Total blocked: 1  Total waited: 0

Stack trace:\x20
app//com.shop.Gateway.schedule(Gateway.java:63)

Name: http: exec 1
State: RUNNABLE
Total blocked: 0  Total waited: 0

Stack trace:\x20
java.base@17.0.15/java.net.Socket$SocketInputStream.read(Socket.java:966)
com.shop.Gateway.schedule(Gateway.java:63)
   - locked com.shop.Gateway@4e
"""


def test_weblogic() -> None:
    (dump,) = read(WEBLOGIC)
    standby, running, stuck = dump.threads
    assert names(dump)[1] == 'a "b" RUNNABLE'
    assert [(t.line, t.state, len(t.stack)) for t in dump.threads] == [
        (1, "WAITING", 2),
        (5, "RUNNABLE", 1),
        (8, "BLOCKED", 1),
    ]
    assert (str(standby.waiting_on), standby.blocked_on) == ("a.B@7e7702", None)
    assert (running.waiting_on, running.blocked_on) == (None, None)
    assert str(stuck.blocked_on) == "com.shop.Gateway@4e"
    assert (dump.problems, dump.unread_lines) == ([], 0)


def test_jconsole() -> None:
    (dump,) = read("paste:\n" + JCONSOLE)
    blocked, holder = dump.threads
    assert (names(dump), dump.line) == (["http-exec-2", "http: exec 1"], 2)
    assert [(t.line, t.state, len(t.stack)) for t in dump.threads] == [(2, "BLOCKED", 1), (9, "RUNNABLE", 2)]
    assert [(held.lock, held.depth) for held in holder.holds] == [(blocked.blocked_on, 1)]
    assert (dump.problems, dump.unread_lines) == ([], 0)


def test_an_owner_is_known_by_its_name_alone() -> None:
    (dump,) = read(JCONSOLE.replace("   - locked com.shop.Gateway@4e\n", ""))
    blocked, holder = dump.threads
    assert [held.lock for held in holder.holds] == [blocked.blocked_on]


def test_a_state_without_a_name_is_of_something_else() -> None:
    with pytest.raises(InputError):
        read("State: RUNNABLE\njava.lang.Object.wait(Native Method)\n")


@pytest.mark.parametrize("text", [WEBLOGIC, JCONSOLE])
def test_forms_without_ids_given_twice_are_two_dumps(text: str) -> None:
    assert [len(dump.threads) for dump in read(text + "\n" + text)] == [len(read(text)[0].threads)] * 2


@given(st.binary(max_size=200), st.integers(0, 500), st.integers(0, 60), st.sampled_from([WEBLOGIC, JCONSOLE]))
def test_nothing_makes_the_forms_without_ids_fail(noise: bytes, at: int, removed: int, text: str) -> None:
    raw = text.encode()
    for changed in (raw[:at] + noise + raw[at + removed :], raw[at:] + noise):
        lines = Lines(changed.splitlines(keepends=True))
        lines.last = [(0, b"Name: x")]
        list(threadmxbean.parse(lines))
