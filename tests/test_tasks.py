"""Tasks that wait for the ends of other tasks: chains, circles, and what is no circle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dumps import analyzed, dump, findings, thread, verdicts
from threaddump.waits.deadlocks import find_cycles
from threaddump.waits.tasks import decisive
from threaddump_parsers.model import Dump, Frame, ReportedDeadlock, Thread

FRAMES: dict[str, Frame] = {}
READ = ("asyncio/streams.py:StreamReader._wait_for_data", "asyncio/streams.py:StreamReader.read", "shop/bank.py:charge")
IDLE = ("asyncio/queues.py:Queue.get", "shop/mail.py:consume")


def task(name: str, *words: str, awaits: tuple[Thread, ...] = (), **changes: object) -> Thread:
    return thread(name, *(words or ("shop/api.py:order",)), virtual=True, awaits=awaits, **changes)


def tasks(*threads: Thread, **changes: object) -> Dump:
    return dump(threads, "python", format="asyncio", **changes)


def circle() -> tuple[Thread, Thread]:
    one, other = task("invoice"), task("payment")
    one.awaits, other.awaits = (other,), (one,)
    return one, other


def test_a_task_that_awaits_another_waits_behind_it() -> None:
    charge = task("charge", *READ)
    order = task("order", awaits=(charge,))
    made = tasks(task("request", awaits=(order,)), order, charge)
    (chain,) = analyzed(made).chains
    assert (chain.root.threads, chain.waiting, chain.depth, chain.evidence) == (["charge"], 2, 2, "reported")
    assert [verdict.kind for verdict in verdicts(made)] == ["sync-wait", "sync-wait", "external-call"]


def test_a_task_that_gathers_waits_behind_each() -> None:
    charges = [task(f"charge-{number}", *READ) for number in range(3)]
    report = analyzed(tasks(task("main", awaits=tuple(charges)), *charges))
    (chain,) = report.chains
    assert (chain.root.count, chain.waiting, [node.threads for node in chain.tree]) == (3, 1, [["main"]])
    assert report.deadlocks == []


def test_a_task_without_work_is_the_root_of_nothing() -> None:
    consumers = [task(f"consumer-{number}", *IDLE) for number in range(3)]
    assert analyzed(tasks(task("main", awaits=tuple(consumers)), *consumers)).chains == []


def test_a_server_whose_task_works_for_it_is_not_idle() -> None:
    """aiohttp's connection waits for the next request in the same coroutine as for the answer to one."""
    start = "aiohttp/web_protocol.py:start"
    handler = task("Task-9", "shop/api.py:order")
    assert [
        v.kind for v in verdicts(tasks(task("Task-7", start), task("Task-8", start, awaits=(handler,)), handler))
    ] == [
        "idle",
        "sync-wait",
        "unknown",
    ]
    handler.state = "TERMINATED"
    assert verdicts(tasks(task("Task-8", start, awaits=(handler,)), handler))[0].kind == "idle"


@pytest.mark.parametrize(
    ("printed", "kind", "said"),
    [
        ("pending, wait_for=_GatheringFuture pending", "sync-wait", "it waits for the tasks of asyncio.gather"),
        ("pending, wait_for=Future pending cb=shield", "sync-wait", "it waits for a task that asyncio.shield protects"),
        (
            "pending, wait_for=Future pending cb=_chain_future",
            "sync-wait",
            "it waits for a result from another thread: the callback of its future is _chain_future",
        ),
        ("pending, wait_for=Future pending", "unknown", ""),
        ("pending, wait_for=Future pending cb=remember", "unknown", ""),
    ],
)
def test_a_future_tells_what_is_waited_for_by_its_maker(printed: str, kind: str, said: str) -> None:
    verdict = verdicts(tasks(task("order", state="IDLE", printed_state=printed)))[0]
    assert (verdict.kind, verdict.inferred) == (kind, said)


def test_a_task_that_is_over_is_not_waited_for() -> None:
    over = task("over", state="TERMINATED")
    assert analyzed(tasks(task("main", awaits=(over,)), over)).chains == []


def test_tasks_without_files_take_a_lock_in_a_coroutine() -> None:
    def placeless(name: str, *functions: str) -> Thread:
        made = task(name)
        made.stack = tuple(FRAMES.setdefault(function, Frame(function)) for function in functions)
        return made

    lock = ("Lock.acquire", "_ContextManagerMixin.__aenter__")
    waiters = [placeless(f"order-{number}", *lock, "Stock.get") for number in range(6)]
    others = [placeless(f"mail-{number}", *lock, "send_mail") for number in range(3)]
    report = analyzed(tasks(*waiters, *others, placeless("refresh", "StreamReader.read", "Stock.refresh")))
    owners = {lock.id: (lock.owner and lock.owner.thread, len(lock.waiting)) for lock in report.locks}
    assert owners == {"Stock.get": ("refresh", 6), "send_mail": (None, 3)}


def test_a_circle_is_a_deadlock() -> None:
    made = tasks(*circle())
    (deadlock,) = analyzed(made).deadlocks
    assert (deadlock.threads, deadlock.locks, deadlock.type) == (["invoice", "payment"], [], "python")
    assert (deadlock.reported_by_runtime, deadlock.evidence) == (False, "reported")
    (finding,) = findings(made, "deadlock")
    assert "waits for the end of the next one" in finding.detail


def test_what_the_runtime_reports_is_the_same_deadlock() -> None:
    made = tasks(*circle(), deadlocks=[ReportedDeadlock(9, ("invoice", "payment"), (), ())])
    (deadlock,) = analyzed(made).deadlocks
    assert deadlock.reported_by_runtime


def test_who_gathers_a_member_of_a_circle_waits_behind_it() -> None:
    one, other = circle()
    charge = task("charge", *READ)
    made = tasks(task("main", awaits=(charge, other)), charge, one, other)
    (deadlock,) = analyzed(made).deadlocks
    assert (set(deadlock.threads), deadlock.behind) == ({"invoice", "payment"}, 1)


def test_a_circle_through_a_gather_is_found() -> None:
    inner, charge = task("inner"), task("charge", *READ)
    outer = task("outer", awaits=(charge, inner))
    inner.awaits = (outer,)
    (deadlock,) = analyzed(tasks(outer, inner, charge)).deadlocks
    assert set(deadlock.threads) == {"inner", "outer"}


@given(st.dictionaries(st.integers(0, 9), st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True)))
def test_a_circle_is_found_if_and_only_if_there_is_one(awaits: dict[int, list[int]]) -> None:
    def reachable(start: int) -> set[int]:
        found: set[int] = set()
        queue = list(awaits.get(start, ()))
        while queue:
            at = queue.pop()
            if at not in found:
                found.add(at)
                queue += awaits.get(at, ())
        return found

    circular = {index for index in awaits if index in reachable(index)}
    owner_of = decisive(awaits)
    assert all(owner_of[index] in awaits[index] for index in owner_of)
    assert all(index in owner_of for index in awaits if circular & (reachable(index) | {index}))
    cycles = find_cycles(owner_of)
    assert bool(cycles) == bool(circular)
    assert {index for cycle in cycles for index in cycle} <= circular
