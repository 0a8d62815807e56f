"""Grouping: what counts as the same place, and what a group says about its threads."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dumps
from dumps import analyzed, blocked, dump, monitor, thread, times
from threaddump.report import Group
from threaddump_parsers.model import Dump, Frame

CALL = "com.shop.Gateway.slotFor"


def groups(made: Dump) -> list[Group]:
    return analyzed(made).groups


def test_two_depths_of_one_call_are_one_group() -> None:
    near = times(3, "near", *dumps.APACHE_CALL, CALL, *dumps.SERVLET, state="RUNNABLE")
    far = times(
        2, "far", *dumps.APACHE_CALL, CALL, "com.shop.Retry.run", "com.shop.Cart.open", *dumps.SERVLET, state="RUNNABLE"
    )
    group = groups(dump([*near, *far]))[0]
    assert (group.count, group.kind, group.phase, group.caller) == (5, "external-call", "read", CALL)
    assert group.blocking_frame == "java.net.SocketInputStream.socketRead0"
    assert group.integration is not None and group.integration.name.startswith("Apache HttpClient 4")
    assert group.integration.system == "http"
    assert (group.pool, group.id) == (None, "g1")
    assert group.threads == ["near-1", "near-2", "near-3", "far-1", "far-2"]
    assert group.lines == [10, 20, 30, 40, 50]
    assert group.states == {"RUNNABLE": 5}
    assert group.stack[0] == "java.net.SocketInputStream.socketRead0(SocketInputStream.java)"


@pytest.mark.parametrize(
    "other",
    [
        (*dumps.APACHE_CALL, "com.shop.Mail.send", *dumps.SERVLET),  # another caller
        (*dumps.SOCKET_READ, CALL, *dumps.SERVLET),  # another library
        (*dumps.APACHE_POOL, CALL, *dumps.SERVLET),  # a wait for the pool, not the call
        ("java.net.PlainSocketImpl.socketConnect", *dumps.APACHE_CALL[2:], CALL, *dumps.SERVLET),  # another phase
    ],
    ids=["caller", "library", "kind", "phase"],
)
def test_another_caller_library_kind_or_phase_is_another_group(other: tuple[str, ...]) -> None:
    state = "WAITING" if "getPoolEntry" in "".join(other) else "RUNNABLE"
    threads = [
        thread("a", *dumps.APACHE_CALL, CALL, *dumps.SERVLET, state="RUNNABLE"),
        thread("b", *other, state=state),
    ]
    assert [group.count for group in groups(dump(threads))] == [1, 1]


def test_waiters_of_two_locks_at_one_frame_are_two_groups() -> None:
    found = groups(dump([blocked("a", monitor("0xa")), blocked("b", monitor("0xa")), blocked("c", monitor("0xb"))]))
    assert [(group.count, group.lock) for group in found] == [(2, "0xa"), (1, "0xb")]


def test_idle_workers_of_many_queues_are_one_group_without_a_lock() -> None:
    idle = [
        thread(f"w-{n}", *dumps.IDLE, state="WAITING", waits=dumps.lock(f"0x{n}", "java.lang.Object")) for n in range(4)
    ]
    (group,) = groups(dump(idle))
    assert (group.kind, group.count, group.lock, group.integration) == ("idle", 4, None, None)


def test_a_pool_is_named_as_pool() -> None:
    (group,) = groups(dump(times(2, "w", *dumps.APACHE_POOL, CALL, *dumps.SERVLET, state="WAITING")))
    assert group.integration is None
    assert group.pool is not None and (group.pool.id, group.pool.system) == ("httpclient4", "http-pool")


def test_the_applications_own_pool_is_named_by_its_class() -> None:
    words = ("java.lang.Object.wait", "com.shop.BackendPool.checkOut", CALL, *dumps.SERVLET)
    (group,) = groups(dump(times(2, "w", *words, state="WAITING")))
    assert group.pool is not None and group.pool.name == "com.shop.BackendPool"
    assert group.caller == CALL


def test_largest_first_and_what_is_quiet_last() -> None:
    threads = times(50, "idle", *dumps.IDLE, state="WAITING")
    threads += times(2, "b", *dumps.SLEEP, CALL, state="TIMED_WAITING") + times(
        5, "a", *dumps.APACHE_CALL, CALL, state="RUNNABLE"
    )
    assert [(group.kind, group.count, group.id) for group in groups(dump(threads))] == [
        ("external-call", 5, "g1"),
        ("sleep", 2, "g2"),
        ("idle", 50, "g3"),
    ]


def test_timed_only_when_all_are() -> None:
    words = (*dumps.APACHE_POOL, CALL, *dumps.SERVLET)
    waiting = times(2, "w", *words, state="WAITING")
    timed = times(3, "t", *words, state="TIMED_WAITING")
    (same,) = groups(dump(waiting))
    assert (same.timed, same.timed_reason) == (False, "the state is WAITING, not TIMED_WAITING")
    (mixed,) = groups(dump([*waiting, *timed]))
    assert (mixed.timed, mixed.timed_reason) == (None, "3 with a timeout, 2 without a timeout")
    assert mixed.states == {"TIMED_WAITING": 3, "WAITING": 2}


def test_cpu_is_a_sum_or_unknown() -> None:
    words = (*dumps.APACHE_CALL, CALL)
    known = [thread(f"t-{n}", *words, state="RUNNABLE", cpu_ms=1.25) for n in range(4)]
    assert groups(dump(known))[0].cpu_ms == 5.0
    assert groups(dump(times(2, "t", *words, state="RUNNABLE")))[0].cpu_ms is None


def test_a_stack_is_shown_as_it_was_printed() -> None:
    shown = thread("t", "com.shop.Work.step@12", state="RUNNABLE")
    shown.stack = (Frame("a.B.c", None, None, native=True), Frame("a.B.d"), Frame("a.B.e", "B.java"), *shown.stack)
    (group,) = groups(dump([shown]))
    assert group.stack == [
        "a.B.c(Native Method)",
        "a.B.d(Unknown Source)",
        "a.B.e(B.java)",
        "com.shop.Work.step(Work.java:12)",
    ]


def test_a_long_stack_is_shown_in_part() -> None:
    (group,) = groups(dump([thread("t", *(f"com.shop.Deep.m{n}" for n in range(500)), state="RUNNABLE")]))
    assert len(group.stack) == 60


def test_no_threads_no_groups() -> None:
    assert groups(dump([])) == []


STACKS = {
    "call": ((*dumps.APACHE_CALL, CALL, *dumps.SERVLET), "RUNNABLE"),
    "lease": ((*dumps.APACHE_POOL, CALL, *dumps.SERVLET), "WAITING"),
    "idle": (dumps.IDLE, "WAITING"),
    "none": ((), None),
    "run": (("com.shop.Work.step",), "RUNNABLE"),
}


@settings(max_examples=100)
@given(st.lists(st.sampled_from(sorted(STACKS)), max_size=30), st.randoms(use_true_random=False))
def test_every_thread_is_in_one_group_whatever_the_order(kinds: list[str], rng: object) -> None:
    made = dump([thread(f"t{n}", *STACKS[kind][0], state=STACKS[kind][1]) for n, kind in enumerate(kinds)])
    found = groups(made)
    names = [name for group in found for name in group.threads]
    assert sorted(names) == sorted(thread.name for thread in made.threads)
    assert len({group.id for group in found}) == len(found)
    made.threads.reverse()
    keys = {(group.kind, group.caller, group.blocking_frame, frozenset(group.threads)) for group in groups(made)}
    assert keys == {(group.kind, group.caller, group.blocking_frame, frozenset(group.threads)) for group in found}
