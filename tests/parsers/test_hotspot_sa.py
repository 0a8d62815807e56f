"""Dumps of the serviceability agent, one trap each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import goldens
from dumps import analyzed
from threaddump import intake
from threaddump.sources import InputError
from threaddump_parsers import claimant, hotspot_sa
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Thread

PREAMBLE = """\
Attaching to process ID 5189, please wait...
Debugger attached successfully.
Server compiler detected.
JVM version is 17.0.15+6-Debian-1deb12u1
Deadlock Detection:

No deadlocks found.

"""
NAMED = """\
"keeper" #12 daemon prio=5 tid=0x00007f01 nid=0x3961 waiting on condition [0x00007f02]
   java.lang.Thread.State: TIMED_WAITING (sleeping)
   JavaThread state: _thread_blocked
 - java.lang.Thread.sleep(long) @bci=0 (Interpreted frame)
 - com.shop.Waits.keep(java.lang.Object[], int) @bci=14, line=39 (Compiled frame; information may be imprecise)
\t- locked <0x00000000fc0df418> (a com.shop.Waits$Stock)

Locked ownable synchronizers:
    - <0x00000000fc0df820>, (a java/util/concurrent/locks/ReentrantLock$NonfairSync)

"tenant" #16 prio=5 tid=0x00007f03 nid=14694 waiting on condition [0x00007f04]
   java.lang.Thread.State: WAITING (parking)
   JavaThread state: _thread_blocked
 - jdk.internal.misc.Unsafe.park(boolean, long) @bci=0 (Interpreted frame)
\t- parking to wait for <0x00000000fc0df820> (a java/util/concurrent/locks/ReentrantLock$NonfairSync)
 - com.shop.Waits.<init>() @bci=4, line=7 (Compiled frame [deoptimized])

Locked ownable synchronizers:
    - None

"""
OLD = """\
Thread 4576: (state = BLOCKED)
 - sun.misc.Unsafe.park(boolean, long) @bci=0 (Compiled frame; information may be imprecise)
 - java.util.concurrent.locks.LockSupport.parkNanos(java.lang.Object, long) @bci=20, line=215 (Compiled frame)


Thread 4577: (state = BLOCKED)


Thread 4578: (state = IN_NATIVE)
 - java.net.SocketInputStream.socketRead0(java.io.FileDescriptor, byte[], int, int, int) @bci=0 (Interpreted frame)


Thread t@4579: (state = BLOCKED)
 - com.shop.Waits.enter() @bci=3, line=7 (Interpreted frame)
"""
MIXED = """\
----------------- 5239 -----------------
"chain-6" #14 prio=5 tid=0x00007fe80c1d8360 nid=0x1477 runnable [0x00007fe8107c8000]
   java.lang.Thread.State: RUNNABLE
   JavaThread state: _thread_in_native
0x00007fe813d9b2ec\t__libc_read + 0x4c
0x00007fe8126309fb\tJava_sun_nio_ch_Socket_1Dispatcher_read0 + 0x2b
0x00007fe7fc941374\t* com.shop.Client.read(java.lang.Object, int) bci:4 line:47 (Interpreted frame)
                  \t* com.shop.Client.inlined() bci:9 (Compiled frame)
* com.shop.Client.call() bci:25 line:11 (Interpreted frame)
0x00007fe7fc938cc9\t<StubRoutines>
0x00007fe8130282d2\tJavaCalls::call_helper(JavaValue*, JavaCallArguments*) + 0x302
----------------- 5240 -----------------
"parked" #15 prio=5 tid=0x00007fe80c1d8361 nid=0x1478 waiting on condition [0x00007fe8107c9000]
   java.lang.Thread.State: WAITING (parking)
   JavaThread state: _thread_blocked
0x00007fe813d28f16\t__futex_abstimed_wait_common.constprop.0 + 0xc6
0x00007fe813d28f17\t????????
----------------- 5241 -----------------
0x00007fe813d28f16\t__futex_abstimed_wait_common + 0xc6
"""
FAILED = """\
"x" #11 prio=5 tid=0x01 nid=1 runnable [0x02]
   java.lang.Thread.State: RUNNABLE
   JavaThread state: _thread_in_java
 - com.shop.Waits.hum() @bci=22, line=33 (Compiled frame)

Error occurred during stack walking:
java.lang.RuntimeException: Couldn't deduce type of CodeBlob
\tat jdk.hotspot.agent/sun.jvm.hotspot.code.CodeCache.createCodeBlobWrapper(CodeCache.java:165)
Caused by: sun.jvm.hotspot.debugger.UnmappedAddressException: 8
\t... 7 more

"""


def read(text: str | bytes) -> list[Dump]:
    return list(intake.dumps(goldens.source(text.encode() if isinstance(text, str) else text)))


def one(text: str) -> Thread:
    (dump,) = read(PREAMBLE + text)
    (thread,) = dump.threads
    return thread


def thread_of(state: str, *lines: str) -> str:
    """A thread with these lines below its header."""
    header = f'"x" #9 prio=5 tid=0x01 nid=7 {state} [0x00007f02]\n   java.lang.Thread.State: {state}\n'
    return header + "\n".join(lines) + "\n\n"


def test_process_names_states_and_locks() -> None:
    (dump,) = read(PREAMBLE + NAMED)
    keeper, tenant = dump.threads
    assert (dump.format, dump.line, dump.pid, dump.version) == ("hotspot-sa", 1, 5189, "17.0.15+6-Debian-1deb12u1")
    assert (dump.problems, dump.truncated, dump.unread_lines, dump.ownable_synchronizers) == ([], [], 0, True)
    assert dump.end_line == 27
    assert (keeper.line, keeper.java_id, keeper.daemon, keeper.native_id) == (9, 12, True, 0x3961)
    assert (tenant.line, tenant.java_id, tenant.daemon, tenant.native_id) == (19, 16, False, 14694)
    assert (keeper.state, keeper.printed_state) == ("TIMED_WAITING", "TIMED_WAITING (sleeping)")
    assert [(f.function, f.line, f.native) for f in keeper.stack] == [
        ("java.lang.Thread.sleep", None, True),
        ("com.shop.Waits.keep", 39, False),
    ]
    assert [frame.function for frame in tenant.stack] == ["jdk.internal.misc.Unsafe.park", "com.shop.Waits.<init>"]
    assert [(str(held.lock), held.depth) for held in keeper.holds] == [
        ("com.shop.Waits$Stock 0x00000000fc0df418", 1),
        ("java.util.concurrent.locks.ReentrantLock$NonfairSync 0x00000000fc0df820", None),
    ]
    assert tenant.blocked_on is keeper.holds[1].lock


def test_the_state_of_old_agents_is_not_believed() -> None:
    (dump,) = read(PREAMBLE.replace("17.0.15+6-Debian-1deb12u1", "25.181-b13") + OLD)
    assert dump.version == "8u181"
    assert [(t.label, t.state, t.printed_state) for t in dump.threads] == [
        ("thread 4576", "TIMED_WAITING", "BLOCKED"),
        ("thread 4577", None, "BLOCKED"),
        ("thread 4578", "RUNNABLE", "IN_NATIVE"),
        ("thread 4579", None, "BLOCKED"),
    ]
    assert "lock-wait" not in analyzed(dump).by_kind
    assert any("Thread.print" in hint for hint in analyzed(dump).hints)


def test_mixed_frames() -> None:
    (dump,) = read(PREAMBLE + MIXED)
    chain, parked, vm = dump.threads
    assert [(frame.function, frame.native) for frame in chain.stack] == [
        ("__libc_read", True),
        ("sun.nio.ch.Socket_Dispatcher.read0", True),
        ("com.shop.Client.read", False),
        ("com.shop.Client.inlined", False),
        ("com.shop.Client.call", False),
        ("JavaCalls::call_helper", True),
    ]
    assert (chain.name, chain.line, chain.native_id, chain.internal, chain.truncated) == (
        "chain-6", 9, 0x1477, False, False,
    )  # fmt: skip
    assert (parked.name, parked.truncated) == ("parked", True)
    assert [frame.function for frame in parked.stack] == ["__futex_abstimed_wait_common"]
    assert (vm.label, vm.native_id, vm.internal) == ("thread 5241", 5241, True)
    assert dump.truncated == ["the Java frames of 1 threads are missing: their C stacks could not be walked"]
    assert dump.unread_lines == 0


def test_mixed_dumps_of_old_agents_name_no_thread() -> None:
    blocks = "\n".join(line for line in MIXED.splitlines() if not line.startswith(('"', "   java", "   Java")))
    (dump,) = read(PREAMBLE + blocks + "\n")
    assert [(thread.label, thread.internal) for thread in dump.threads] == [
        ("thread 5239", False),
        ("thread 5240", False),  # of Java or of the VM: nothing tells
        ("thread 5241", False),
    ]


def test_the_monitor_entered_last_is_waited_for_though_it_says_locked() -> None:
    thread = one(
        thread_of(
            "BLOCKED (on object monitor)",
            " - com.shop.Bank.transfer(com.shop.Account) @bci=14, line=24 (Interpreted frame)",
            "\t- locked <0x0a> (a com.shop.Account)",
            "\t- locked <0x0b> (a com.shop.Account)",
            " - com.shop.Bank.run() @bci=1, line=9 (Interpreted frame)",
            "\t- locked <0x0c> (a com.shop.Bank)",
        )
    )
    assert thread.blocked_on is not None
    assert thread.blocked_on.id == "0x0b"
    assert [held.lock.id for held in thread.holds] == ["0x0a", "0x0c"]


def test_a_monitor_that_is_said_to_be_waited_for() -> None:
    """Compiled frames print the last monitor first."""
    thread = one(
        thread_of(
            "BLOCKED (on object monitor)",
            " - com.shop.Bank.transfer(com.shop.Account) @bci=14, line=24 (Compiled frame)",
            "\t- waiting to lock <0x0b> (a java.lang.Class for com.shop.Account)",
            "\t- eliminated <owner is scalar replaced> (a com.shop.Box)",
            "\t- locked <0x0a> (a com.shop.Account)",
        )
    )
    assert (str(thread.blocked_on), [held.lock.id for held in thread.holds]) == (
        "java.lang.Class for com.shop.Account 0x0b", ["0x0a"],
    )  # fmt: skip


WAIT = (
    " - java.lang.Object.wait(long) @bci=0 (Interpreted frame)",
    "\t- waiting on <0x0a> (a java.lang.Object)",
    " - com.shop.Bell.hear() @bci=29, line=42 (Interpreted frame)",
    "\t- locked <0x0a> (a java.lang.Object)",
)


def test_waiting_releases_the_monitor() -> None:
    thread = one(thread_of("WAITING (on object monitor)", *WAIT))
    assert (thread.waiting_on and thread.waiting_on.id, thread.blocked_on, thread.holds) == ("0x0a", None, ())
    assert [lock.id for lock in thread.wait_released] == ["0x0a"]


@pytest.mark.parametrize("verb", ["waiting on", "waiting to re-lock in wait()"])
def test_a_notified_thread_wants_its_monitor_back(verb: str) -> None:
    lines = [line.replace("waiting on", verb) for line in WAIT]
    thread = one(thread_of("BLOCKED (on object monitor)", *lines))
    assert (thread.blocked_on and thread.blocked_on.id, thread.waiting_on, thread.holds) == ("0x0a", None, ())


def test_a_compiled_wait_names_no_object() -> None:
    lines = [line.replace("<0x0a> (a java.lang.Object)", "<no object reference available>", 1) for line in WAIT[:2]]
    thread = one(thread_of("WAITING (on object monitor)", *lines, *WAIT[2:]))
    assert (thread.waiting_on and thread.waiting_on.id, thread.holds) == ("0x0a", ())


def test_an_exception_of_the_agent_is_told() -> None:
    (dump,) = read(PREAMBLE + FAILED + NAMED)
    assert [thread.name for thread in dump.threads] == ["x", "keeper", "tenant"]
    assert [len(thread.stack) for thread in dump.threads] == [1, 2, 2]
    assert [thread.truncated for thread in dump.threads] == [True, False, False]
    assert [problem.line for problem in dump.problems] == [9]
    assert dump.unread_lines == 0


def test_without_standard_error_the_search_for_deadlocks_comes_first() -> None:
    text = PREAMBLE.partition("Deadlock")
    (dump,) = read(text[1] + text[2] + NAMED)
    assert (dump.pid, dump.version, len(dump.threads), dump.truncated) == (None, None, 2, [])


def test_the_beginning_may_be_missing() -> None:
    (dump,) = read(NAMED)
    assert (len(dump.threads), dump.truncated) == (2, ["the beginning of the dump is missing"])


def test_two_dumps_follow_each_other() -> None:
    first, second = read(PREAMBLE + NAMED + PREAMBLE.replace("5189", "5190") + OLD)
    assert [(dump.pid, len(dump.threads)) for dump in (first, second)] == [(5189, 2), (5190, 4)]


def test_names_are_raw() -> None:
    (dump,) = read(PREAMBLE + NAMED.replace('"keeper"', '"a "b" #5 tid=0x\nc"'))
    assert [thread.name for thread in dump.threads] == ['a "b" #5 tid=0x\nc', "tenant"]


def test_other_output_of_the_agent_is_no_dump() -> None:
    text = PREAMBLE.partition("Deadlock")[0] + "\nusing thread-local object allocation.\nMark Sweep Compact GC\n"
    with pytest.raises(InputError):
        read(text)


@pytest.mark.parametrize(
    "line",
    [
        '"x" #9 prio=5 os_prio=0 tid=0x01 nid=7 runnable [0x00007f02]\n',
        "Thread 5 (Thread 0x7f00 (LWP 5)):\n",
        "Thread 5 (pool-1):\n",
        "Attaching to the session\n",
        "----------------- summary -----------------\n",
        "JVM\n",
    ],
)
def test_other_lines_are_left_alone(line: str) -> None:
    assert claimant(line.encode()) is not hotspot_sa


@pytest.mark.parametrize("text", [PREAMBLE + NAMED, PREAMBLE + OLD, PREAMBLE + MIXED, PREAMBLE + FAILED])
def test_cut_anywhere_keeps_the_threads_so_far(text: str) -> None:
    whole = [thread.label for thread in read(text)[0].threads]
    for cut in range(len(PREAMBLE), len(text)):
        (dump,) = read(text[:cut])
        assert len(dump.threads) <= len(whole)
        assert [thread.line for thread in dump.threads] == [t.line for t in read(text)[0].threads][: len(dump.threads)]


@given(st.binary(max_size=300), st.integers(0, 900), st.integers(0, 60), st.sampled_from([NAMED, OLD, MIXED, FAILED]))
def test_nothing_makes_it_fail(noise: bytes, at: int, removed: int, text: str) -> None:
    raw = (PREAMBLE + text).encode()
    for changed in (raw[:at] + noise + raw[at + removed :], noise, raw[at:] + noise):
        list(hotspot_sa.parse(Lines(changed.splitlines(keepends=True))))
    for start in (b"", b'"x" #1 prio=', b"Thread 1: (state = ", b"-----------------", b"Attaching to "):
        hotspot_sa.claims(start + noise)


@pytest.mark.parametrize(
    "hostile",
    [
        b" - " + b"(" * 9_000 + b") @bci=0 (\n",
        b"\t- locked <0x1> (a " + b"(a " * 3_000 + b"\n",
        b'"' + b'" #1 prio=5 tid=0x1 nid=1 ' * 300 + b"\n",
        b"0x1\tJava_" + b"a_" * 4_000 + b"!\n",
        b"0x1\t" + b"( + 0x" * 1_500 + b"\n",
        b"-----------------" + b" " * 9_000 + b"1\n",
    ],
)
def test_hostile_lines_are_read(hostile: bytes) -> None:
    text = (PREAMBLE + MIXED).encode() + hostile * max(1, 300_000 // len(hostile)) + OLD.encode()
    threads = [t for d in hotspot_sa.parse(Lines(text.splitlines(keepends=True))) for t in d.threads]
    assert "chain-6" in {thread.name for thread in threads}
