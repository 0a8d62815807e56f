"""Who waits for whom: owners of locks, deadlocks, holders of pool slots, and chains, also on hostile graphs."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dumps
from dumps import blocked, dump, lock, monitor, reentrant, reported, thread, times, waits
from threaddump import intake
from threaddump.report import Chain, ContendedLock, Deadlock, WaitNode
from threaddump.sources import Source
from threaddump.waits import Waits
from threaddump.waits.chains import TREE_DEPTH
from threaddump_parsers.model import Dump, Lock, Thread

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
PLACE = "com.shop.front.Checkout.place"
SLOT = "com.shop.orders.Gateway.slotFor"


def fixture(name: str) -> Dump:
    path = FIXTURES / "hotspot" / name
    return next(intake.dumps(Source(path.name, path)))


def asleep(name: str, *holds: Lock) -> Thread:
    return thread(name, *dumps.SLEEP, "com.shop.Feed.pause", *dumps.WORKER, state="TIMED_WAITING", holds=holds)


def nodes(tree: Iterable[WaitNode]) -> Iterator[WaitNode]:
    for node in tree:
        yield node
        yield from nodes(node.children)


def only(found: list[Chain] | list[ContendedLock] | list[Deadlock]) -> object:
    assert len(found) == 1, found
    return found[0]


def only_lock(found: Waits) -> ContendedLock:
    lock = only(found.locks)
    assert isinstance(lock, ContendedLock)
    return lock


def only_chain(found: Waits) -> Chain:
    chain = only(found.chains)
    assert isinstance(chain, Chain)
    return chain


def only_deadlock(found: Waits) -> Deadlock:
    deadlock = only(found.deadlocks)
    assert isinstance(deadlock, Deadlock)
    return deadlock


# --- owners


def test_the_owner_of_a_monitor_and_what_it_does_meanwhile() -> None:
    m = monitor("0xa")
    found = waits(dump([asleep("owner", m), *(blocked(f"w-{n}", m) for n in range(3))]))
    lock = only_lock(found)
    assert (lock.id, lock.class_name, lock.type) == ("0xa", "com.shop.Calendar", "monitor")
    assert lock.waiting == ["w-0", "w-1", "w-2"]
    assert lock.owner is not None
    assert (lock.owner.thread, lock.owner.line, lock.owner.kind) == ("owner", 10, "sleep")
    assert (lock.owner.blocking_frame, lock.owner.caller) == ("java.lang.Thread.sleep", "com.shop.Feed.pause")
    assert (lock.owner.evidence, lock.owner_unknown) == ("reported", None)
    chain = only_chain(found)
    assert (chain.root.threads, chain.root.lines, chain.root.kind) == (["owner"], [10], "sleep")
    assert (chain.waiting, chain.depth, chain.evidence, chain.reason) == (3, 1, "reported", None)
    (node,) = chain.tree
    assert (node.count, node.lock, node.kind, node.children) == (3, "0xa", "lock-wait", [])


def test_the_owner_of_a_synchronizer_is_known_where_they_are_listed() -> None:
    r = reentrant("0xb")
    found = waits(dump([asleep("owner", r), blocked("w", r)], ownable_synchronizers=True))
    lock = only_lock(found)
    assert (lock.type, lock.owner.thread if lock.owner else None) == ("synchronizer", "owner")


@pytest.mark.parametrize(
    ("lock", "listed", "why"),
    [
        (reentrant("0xb"), False, "printed with -l only: jcmd PID Thread.print -l"),
        (reentrant("0xb"), True, "no thread in this dump owns it: it was just released"),
        (
            dumps.lock("0xb", "java.util.concurrent.locks.ReentrantReadWriteLock$NonfairSync"),
            True,
            "owners of read locks are never printed",
        ),
        (dumps.lock("0xb", "java.util.concurrent.locks.StampedLock"), True, "records no owner"),
        (monitor("0xb"), True, "no thread in this dump holds it"),
        (dumps.lock("class-init:com.shop.A", "com.shop.A"), True, "does not print who runs a class initialiser"),
    ],
)
def test_an_unknown_owner_comes_with_the_reason(lock: Lock, listed: bool, why: str) -> None:
    names = ["w-1", "w-2", "w-3", "w-4"]
    found = waits(dump([*(blocked(name, lock) for name in names), asleep("x")], ownable_synchronizers=listed))
    contended = only_lock(found)
    assert contended.owner is None
    assert contended.owner_unknown is not None and why in contended.owner_unknown
    assert contended.waiting == names
    assert found.chains == []


def test_a_reported_deadlock_gives_owners_that_the_threads_do_not_show() -> None:
    a, b = reentrant("0xa"), reentrant("0xb")
    threads = [blocked("one", a), blocked("two", b), blocked("late", a)]
    found = waits(dump(threads, deadlocks=[reported(("one", a, "two"), ("two", b, "one"))]))
    deadlock = only_deadlock(found)
    assert (set(deadlock.threads), deadlock.reported_by_runtime, deadlock.behind) == ({"one", "two"}, True, 1)
    assert deadlock.type == "synchronizer"
    owners = {lock.id: lock.owner.thread for lock in found.locks if lock.owner}
    assert owners == {"0xa": "two", "0xb": "one"}


def test_a_reported_deadlock_means_the_thread_that_waits_for_its_lock() -> None:
    a, b = reentrant("0xa"), reentrant("0xb")
    threads = [asleep("pool-1"), blocked("pool-1", a), blocked("pool-2", b)]
    found = waits(dump(threads, deadlocks=[reported(("pool-1", a, "pool-2"), ("pool-2", b, "pool-1"))]))
    assert only_deadlock(found).lines in ([20, 30], [30, 20])


def test_a_reported_deadlock_of_threads_that_are_not_here_is_kept() -> None:
    a, b = monitor("0xa"), monitor("0xb")
    found = waits(dump([asleep("main")], deadlocks=[reported(("one", a, "two"), ("two", b, "one"))]))
    deadlock = only_deadlock(found)
    assert (deadlock.threads, deadlock.lines, deadlock.reported_by_runtime) == (["one", "two"], [900], True)
    assert deadlock.locks == ["com.shop.Calendar 0xa", "com.shop.Calendar 0xb"]


def test_who_waits_to_be_notified_neither_holds_nor_wants_the_monitor() -> None:
    m = monitor("0xa")
    consumers = times(3, "c", "java.lang.Object.wait", "com.shop.Inbox.next", *dumps.WORKER, state="WAITING", waits=m)
    for consumer in consumers:
        consumer.wait_released = (m,)
    found = waits(dump([*consumers, blocked("w", m), asleep("owner", m)]))
    lock = only_lock(found)
    assert (lock.waiting, lock.owner.thread if lock.owner else None) == (["w"], "owner")
    assert only_chain(found).waiting == 1


def test_who_was_notified_wants_the_monitor_back() -> None:
    m = monitor("0xa")
    words = ("java.lang.Object.wait", "com.shop.Inbox.next", *dumps.WORKER)
    notified = times(5, "relock", *words, state="BLOCKED", wants=m)
    found = waits(dump([*notified, blocked("enter", m), asleep("notifier", m)]))
    assert len(only_lock(found).waiting) == 6
    assert only_chain(found).waiting == 6


def test_notified_threads_of_a_real_dump() -> None:
    found = waits(fixture("relock-in-wait.txt"))
    lock = max(found.locks, key=lambda lock: len(lock.waiting))
    assert (len(lock.waiting), lock.owner.thread if lock.owner else None) == (8, "notifier")


def text_dump(*blocks: str) -> bytes:
    title = "Full thread dump OpenJDK 64-Bit Server VM (17.0.15+6 mixed mode):\n\n"
    return (title + "\n".join(blocks) + "\nJNI global refs: 16, weak refs: 0\n").encode()


def block(name: str, number: int, state: str, *lines: str) -> str:
    header = f'"{name}" #{number} prio=5 os_prio=0 tid=0x{number:04x} nid=0x{number:x} in Object.wait()  [0x1]\n'
    return header + f"   java.lang.Thread.State: {state}\n" + "".join(f"\t{line}\n" for line in lines)


def test_a_compiled_wait_loses_the_id_and_still_counts(tmp_path: Path) -> None:
    """Half of the waiters print the object, the others only the monitor that the wait has released."""
    frames = (
        "at com.shop.BackendPool.checkOut(B.java:9)",
        f"at {PLACE}(C.java:7)",
        "at java.lang.Thread.run(T.java:1)",
    )
    interpreted = block(
        "w-1", 1, "WAITING (on object monitor)",
        "at java.lang.Object.wait(Native Method)", "- waiting on <0xa> (a com.shop.BackendPool)",
        frames[0], "- locked <0xa> (a com.shop.BackendPool)", *frames[1:],
    )  # fmt: skip
    compiled = block(
        "w-2", 2, "WAITING (on object monitor)",
        "at java.lang.Object.wait(Native Method)", "- waiting on <no object reference available>",
        frames[0], "- locked <0xa> (a com.shop.BackendPool)", *frames[1:],
    )  # fmt: skip
    entering = block(
        "w-3",
        3,
        "BLOCKED (on object monitor)",
        frames[0],
        "- waiting to lock <0xa> (a com.shop.BackendPool)",
        *frames[1:],
    )
    path = tmp_path / "dump.txt"
    path.write_bytes(text_dump(interpreted, compiled, entering))
    (made,) = intake.dumps(Source("dump.txt", path))
    found = waits(made)
    pool, lock = sorted(found.locks, key=lambda lock: lock.type != "pool")
    assert (pool.type, pool.waiting, pool.id) == ("pool", ["w-1", "w-2"], "0xa")
    assert (lock.waiting, lock.owner) == (["w-3"], None)
    assert found.deadlocks == []


def test_a_lock_held_twice_or_by_its_waiter_is_no_cycle() -> None:
    m = monitor("0xa")
    found = waits(dump([blocked("self", m, holds=[m])]))
    assert (found.deadlocks, found.chains) == ([], [])
    assert only_lock(found).owner is None


# --- deadlocks


def ring(count: int, prefix: str = "t", make: object = monitor) -> list[Thread]:
    assert callable(make)
    locks = [make(f"0x{prefix}{number}") for number in range(count)]
    return [blocked(f"{prefix}-{n}", locks[(n + 1) % count], holds=[locks[n]]) for n in range(count)]


@pytest.mark.parametrize("count", [2, 3, 4, 7, 50])
def test_a_cycle_is_found_whoever_comes_first(count: int) -> None:
    for seed in range(5):
        threads = ring(count)
        random.Random(seed).shuffle(threads)
        deadlock = only_deadlock(waits(dump(threads)))
        assert (len(deadlock.threads), deadlock.type, deadlock.behind) == (count, "monitor", 0)
        assert (deadlock.reported_by_runtime, deadlock.evidence) == (False, "reported")
        # In the order of the cycle: each thread waits for a lock of the next.
        numbers = [int(name.partition("-")[2]) for name in deadlock.threads]
        assert all((a + 1) % count == b for a, b in zip(numbers, [*numbers[1:], numbers[0]], strict=True))
        assert deadlock.locks == [f"com.shop.Calendar 0xt{(n + 1) % count}" for n in numbers]
        assert deadlock.lines == [thread.line for n in numbers for thread in threads if thread.name == f"t-{n}"]


def test_several_cycles_and_those_behind_each() -> None:
    a, b = ring(2, "a"), ring(3, "b")
    behind = [blocked(f"late-{n}", monitor("0xb0")) for n in range(4)]
    found = waits(dump([*behind, *a, *b]))
    assert [(len(deadlock.threads), deadlock.behind) for deadlock in found.deadlocks] == [(3, 4), (2, 0)]
    chain = only_chain(found)
    assert (set(chain.root.threads), chain.waiting, chain.depth) == ({"b-0", "b-1", "b-2"}, 4, 1)


def test_threads_far_behind_a_cycle_are_counted() -> None:
    middle, tail = monitor("0xm"), monitor("0xz")
    threads = [
        *ring(2, "a"),
        blocked("middle", monitor("0xa0"), holds=[middle]),
        *(blocked(f"late-{n}", middle) for n in range(3)),
        blocked("last", tail),
        blocked("owner-of-tail", middle, holds=[tail]),
    ]
    found = waits(dump(threads))
    assert only_deadlock(found).behind == 6
    chain = only_chain(found)
    assert (chain.waiting, chain.depth) == (6, 3)


def test_a_cycle_over_locks_of_two_kinds_is_mixed() -> None:
    a, b, c = monitor("0xa"), reentrant("0xb"), monitor("0xc")
    threads = [blocked("one", b, holds=[a]), blocked("two", c, holds=[b]), blocked("three", a, holds=[c])]
    assert only_deadlock(waits(dump(threads, ownable_synchronizers=True))).type == "mixed"


def class_init(name: str) -> Lock:
    return dumps.lock(f"class-init:{name}", name)


def initialising(name: str, of: str, wants: Lock, *holds: Lock) -> Thread:
    return thread(
        name, f"{of}.<clinit>", "com.shop.Main.run", *dumps.WORKER, state="RUNNABLE", wants=wants, holds=holds
    )


def test_a_cycle_of_class_initialisers_is_inferred_from_their_frames() -> None:
    threads = [
        initialising("alpha", "com.shop.A", class_init("com.shop.B")),
        initialising("beta", "com.shop.B", class_init("com.shop.A")),
        thread("late", "com.shop.Main.use", *dumps.WORKER, state="RUNNABLE", wants=class_init("com.shop.A")),
    ]
    found = waits(dump(threads))
    deadlock = only_deadlock(found)
    assert (deadlock.threads, deadlock.type, deadlock.evidence) == (["alpha", "beta"], "class-init", "inferred")
    assert (deadlock.behind, deadlock.reported_by_runtime) == (1, False)
    owners = {lock.class_name: (lock.owner.thread, lock.owner.evidence) for lock in found.locks if lock.owner}
    assert owners == {"com.shop.A": ("alpha", "inferred"), "com.shop.B": ("beta", "inferred")}
    chain = only_chain(found)
    assert (chain.waiting, chain.evidence) == (1, "inferred")
    assert chain.reason == "this thread is inside the class's initialiser"


UNNAMED = dumps.lock(None, "java.lang.Class")


def test_a_cycle_of_class_initialisers_that_the_jvm_does_not_name() -> None:
    made = dump([initialising("alpha", "com.shop.A", UNNAMED), initialising("beta", "com.shop.B", UNNAMED)])
    (deadlock,) = waits(made).deadlocks
    assert (deadlock.threads, deadlock.type, deadlock.evidence) == (["alpha", "beta"], "class-init", "inferred")
    (finding,) = dumps.findings(made, "deadlock")
    assert "it does not name the classes, and no other thread is inside an initialiser" in finding.detail
    assert [verdict.kind for verdict in dumps.verdicts(made)] == ["lock-wait", "lock-wait"]


def test_the_only_thread_in_an_initialiser_is_the_one_that_is_waited_for() -> None:
    caller = thread("init", *dumps.SOCKET_READ, "com.shop.A.<clinit>", *dumps.WORKER, state="RUNNABLE")
    late = times(4, "late", "com.shop.Main.use", *dumps.WORKER, state="RUNNABLE", wants=UNNAMED)
    (chain,) = waits(dump([caller, *late])).chains
    assert (chain.root.threads, chain.waiting, chain.evidence) == (["init"], 4, "inferred")
    assert "alone is inside an initialiser" in (chain.reason or "")


def test_of_several_threads_in_initialisers_none_is_named() -> None:
    callers = [
        thread(f"init-{n}", *dumps.SOCKET_READ, f"com.shop.C{n}.<clinit>", *dumps.WORKER, state="RUNNABLE")
        for n in (1, 2)
    ]
    late = times(4, "late", "com.shop.Main.use", *dumps.WORKER, state="RUNNABLE", wants=UNNAMED)
    found = waits(dump([*callers, *late]))
    assert (found.chains, found.deadlocks, found.locks) == ([], [], [])
    assert waits(dump(late)).chains == []


def test_a_cycle_of_a_class_initialiser_and_a_monitor() -> None:
    m = monitor("0xa")
    threads = [
        initialising("alpha", "com.shop.A", m),
        blocked("beta", class_init("com.shop.A"), holds=[m]),
    ]
    deadlock = only_deadlock(waits(dump(threads)))
    assert (deadlock.type, deadlock.evidence) == ("mixed", "mixed")


def test_a_class_initialiser_that_calls_out_is_the_root_of_a_chain() -> None:
    caller = thread("init", *dumps.SOCKET_READ, "com.shop.A.<clinit>", *dumps.WORKER, state="RUNNABLE")
    late = times(4, "late", "com.shop.Main.use", *dumps.WORKER, state="RUNNABLE", wants=class_init("com.shop.A"))
    chain = only_chain(waits(dump([caller, *late])))
    assert (chain.root.threads, chain.root.kind, chain.waiting) == (["init"], "external-call", 4)


# --- pools


def waiters(count: int, caller: str = SLOT, **changes: str) -> list[Thread]:
    return times(count, changes.get("prefix", "w"), *dumps.APACHE_POOL, caller, *dumps.SERVLET, state="WAITING")


def callers(count: int, caller: str = SLOT, words: tuple[str, ...] = dumps.APACHE_CALL) -> list[Thread]:
    return times(count, "h", *words, caller, *dumps.SERVLET, state="RUNNABLE")


def names(made: Dump, indexes: Iterable[int]) -> list[str]:
    return [made.threads[index].name for index in indexes]


def check_join(made: Dump, holders: list[str], reason: str) -> None:
    found = waits(made)
    (pool,) = found.pools
    assert names(made, pool.holders) == holders
    assert reason in pool.reason
    lock = next(lock for lock in found.locks if lock.type == "pool")
    assert lock.owner is None
    assert lock.waiting == names(made, pool.waiters)
    if holders:
        assert lock.owner_unknown == f"{len(holders)} threads probably hold the slots ({pool.reason})"
        chain = only_chain(found)
        assert (chain.root.threads, chain.waiting) == (holders, len(pool.waiters))
        assert (chain.evidence, chain.reason) == ("inferred", pool.reason)
    else:
        assert lock.owner_unknown is not None and "no thread here is in a call of this pool" in lock.owner_unknown
        assert found.chains == []


def test_slots_are_held_by_calls_of_the_same_client_below_the_same_caller() -> None:
    made = dump(
        [*waiters(3), *callers(2), *times(2, "other", *dumps.APACHE_CALL, "com.shop.Mail.send", state="RUNNABLE")]
    )
    check_join(made, ["h-1", "h-2"], f"the same client below the same caller {SLOT}")
    root = waits(made).chains[0].root
    assert root.integration is not None and root.integration.id == "httpclient4"
    assert (root.phase, root.caller) == ("read", SLOT)


def test_slots_are_held_below_the_method_that_leases() -> None:
    own_pool = ("java.lang.Object.wait", "com.shop.front.BackendPool.checkOut", PLACE, *dumps.SERVLET)
    call = (*dumps.SOCKET_READ, "com.shop.front.Backend.invoke", PLACE, *dumps.SERVLET)
    made = dump([*times(3, "w", *own_pool, state="WAITING"), *times(2, "h", *call, state="RUNNABLE")])
    check_join(
        made, ["h-1", "h-2"], f"both are below {PLACE}: the waiters lease there, these threads are inside a call"
    )


def test_slots_may_be_held_by_threads_that_work() -> None:
    own_pool = ("java.lang.Object.wait", "com.shop.front.BackendPool.checkOut", PLACE, *dumps.SERVLET)
    work = (*dumps.SLEEP, "com.shop.front.Backend.retry", PLACE, *dumps.SERVLET)
    made = dump([*times(3, "w", *own_pool, state="WAITING"), *times(2, "h", *work, state="TIMED_WAITING")])
    check_join(made, ["h-1", "h-2"], "these threads are at work further on")


def test_slots_are_held_by_other_callers_of_the_same_client() -> None:
    made = dump([*waiters(3), *callers(2, caller="com.shop.Mail.send")])
    check_join(made, ["h-1", "h-2"], "calls of the same client library, from other callers")


HIKARI = (
    *dumps.PARK,
    "java.util.concurrent.SynchronousQueue.poll",
    "com.zaxxer.hikari.util.ConcurrentBag.borrow",
    "com.zaxxer.hikari.pool.HikariPool.getConnection",
    "com.zaxxer.hikari.HikariDataSource.getConnection",
)
POSTGRES = (
    "java.net.SocketInputStream.socketRead0",
    "org.postgresql.core.v3.QueryExecutorImpl.execute",
    "org.postgresql.jdbc.PgStatement.executeQuery",
)


def test_slots_of_a_jdbc_pool_are_held_by_queries() -> None:
    made = dump([
        *times(3, "w", *HIKARI, "com.shop.Dao.load", *dumps.WORKER, state="TIMED_WAITING"),
        *times(2, "query", *POSTGRES, "com.shop.Report.run", *dumps.WORKER, state="RUNNABLE"),
        *callers(2),
    ])  # fmt: skip
    check_join(
        made, ["query-1", "query-2"], "threads inside JDBC calls hold connections; no other such pool is waited for"
    )


def test_slots_of_a_real_jdbc_pool() -> None:
    made = fixture("hikari-pool.txt")
    (pool,) = waits(made).pools
    assert (len(pool.waiters), len(pool.holders)) == (90, 10)


def test_slots_that_nobody_holds_here() -> None:
    check_join(dump([*waiters(3), asleep("other")]), [], "")
    idle = times(4, "idle", *dumps.IDLE, state="WAITING")
    check_join(dump([*waiters(3), *idle]), [], "")


def python_waiter(name: str, pool: str | None) -> Thread:
    made = thread(name, *dumps.PY_POOL, "orders/s.py:C.reserve@7", *dumps.PY_THREAD, state="IDLE")
    made.locals = {2: {"self": pool, "timeout": "None"}} if pool else None
    return made


def python_caller(name: str, pool: str | None) -> Thread:
    made = thread(name, *dumps.PY_REQUESTS, "orders/s.py:C.reserve@7", *dumps.PY_THREAD, state="IDLE")
    made.locals = {4: {"self": pool}} if pool else None
    return made


def test_slots_of_the_pool_object_in_the_local_variables() -> None:
    one, two = "<HTTPConnectionPool at 0x7f01>", "<HTTPConnectionPool at 0x7f02>"
    threads = [python_waiter("w-1", one), python_waiter("w-2", one), python_waiter("x", two)]
    threads += [python_caller("h-1", one), python_caller("h-2", one), python_caller("y", two)]
    made = dump(threads, "python")
    joins = {tuple(names(made, pool.waiters)): pool for pool in waits(made).pools}
    assert names(made, joins["w-1", "w-2"].holders) == ["h-1", "h-2"]
    assert names(made, joins["x",].holders) == ["y"]
    assert all("the same pool object" in pool.reason for pool in joins.values())
    assert one in joins["w-1", "w-2"].reason


def test_waiters_of_one_pool_are_together_wherever_they_lease() -> None:
    """Forty methods lease from one data source: that is one pool with forty callers, not forty pools."""
    threads = []
    for number in range(6):
        waiter = thread(
            f"w-{number}",
            *dumps.PARK,
            "com.zaxxer.hikari.util.ConcurrentBag.borrow",
            "com.zaxxer.hikari.pool.HikariPool.getConnection",
            f"com.shop.Dao{number}.load",
            *dumps.WORKER,
            state="TIMED_WAITING",
            waits=lock("0xbag", "java.util.concurrent.SynchronousQueue$TransferQueue"),
        )
        threads.append(waiter)
    threads += [thread(f"h-{n}", *POSTGRES, f"com.shop.Report{n}.run", *dumps.WORKER, state="RUNNABLE") for n in (1, 2)]
    made = dump(threads)
    (pool,) = waits(made).pools
    assert len(pool.waiters) == 6
    assert names(made, pool.holders) == ["h-1", "h-2"]


def test_two_pools_of_one_library_are_told_apart_by_what_their_waiters_park_on() -> None:
    def waiter(name: str, parked: str) -> Thread:
        frames = (*dumps.PARK, "com.zaxxer.hikari.pool.HikariPool.getConnection", "com.shop.Dao.load", *dumps.WORKER)
        return thread(name, *frames, state="TIMED_WAITING", waits=lock(parked, "java.util.concurrent.SynchronousQueue"))

    made = dump([waiter("a-1", "0xa"), waiter("b-1", "0xb"), waiter("a-2", "0xa"), waiter("b-2", "0xb")])
    assert sorted(names(made, pool.waiters) for pool in waits(made).pools) == [["a-1", "a-2"], ["b-1", "b-2"]]


def test_without_local_variables_the_caller_decides() -> None:
    made = dump([python_waiter("w", None), python_caller("h-1", None), python_caller("h-2", None)], "python")
    check_join(made, ["h-1", "h-2"], "both are below orders/s.py:reserve: the waiters lease there")


def test_a_pool_behind_a_lock_and_a_lock_behind_a_pool_are_one_chain() -> None:
    """Front: blocked behind a thread that waits for a slot; its holders wait for a lock."""
    a, b = monitor("0xa"), monitor("0xb")
    leasing = waiters(1)[0]
    leasing.holds = (dumps.Held(a, None),)
    holder = callers(1)[0]
    holder.holds = (dumps.Held(b, None),)
    found = waits(dump([leasing, holder, *(blocked(f"w-{n}", a) for n in range(3)), blocked("x", b)]))
    chain = only_chain(found)
    assert (chain.root.threads, chain.waiting, chain.depth) == (["h-1"], 5, 2)
    assert chain.evidence == "mixed"
    assert "same client below the same caller" in (chain.reason or "")


# --- chains


def test_chains_are_ranked_by_all_the_threads_behind() -> None:
    """One owner has 4 direct waiters, another only 1, but 6 more wait behind that one."""
    wide, near, far = monitor("0xw"), monitor("0xn"), monitor("0xf")
    threads = [asleep("wide", wide), *(blocked(f"a-{n}", wide) for n in range(4))]
    threads += [asleep("deep", near), blocked("middle", near, holds=[far])]
    threads += [blocked(f"b-{n}", far) for n in range(6)]
    found = waits(dump(threads))
    assert [(chain.root.threads, chain.waiting, chain.depth) for chain in found.chains] == [
        (["deep"], 7, 2),
        (["wide"], 4, 1),
    ]
    (middle,) = found.chains[0].tree
    assert (middle.threads, middle.count, middle.lock) == (["middle"], 1, "0xn")
    (last,) = middle.children
    assert (last.count, last.lock, last.children) == (6, "0xf", [])


def test_two_locks_of_one_owner_are_two_nodes_of_one_chain() -> None:
    a, b = monitor("0xa"), monitor("0xb")
    found = waits(dump([asleep("owner", a, b), blocked("x", b), blocked("y-1", a), blocked("y-2", a)]))
    chain = only_chain(found)
    assert chain.waiting == 3
    assert [(node.lock, node.count) for node in chain.tree] == [("0xa", 2), ("0xb", 1)]


def test_a_real_chain_of_six() -> None:
    chain = max(waits(fixture("chain-of-six.txt")).chains, key=lambda chain: chain.waiting)
    assert (chain.root.threads, chain.root.kind, chain.waiting, chain.depth) == (["chain-6"], "external-call", 25, 6)


def line_of(count: int) -> list[Thread]:
    """Each thread holds a lock that the one before it wants; the last one sleeps."""
    locks = [monitor(f"0x{number}") for number in range(count)]
    made = [blocked(f"t-{n}", locks[n + 1], holds=[locks[n]]) for n in range(count - 1)]
    return [*made, asleep("end", locks[-1])]


def test_a_chain_of_five_thousand_owners() -> None:
    found = waits(dump(line_of(5000)))
    chain = only_chain(found)
    assert (chain.root.threads, chain.waiting, chain.depth) == (["end"], 4999, 4999)
    assert sum(1 for _ in nodes(chain.tree)) == TREE_DEPTH
    assert len(found.locks) == 4999


def test_a_cycle_of_five_thousand_and_a_star_of_five_thousand() -> None:
    assert len(only_deadlock(waits(dump(ring(5000)))).threads) == 5000
    m = monitor("0xa")
    assert only_chain(waits(dump([asleep("o", m), *(blocked(f"w-{n}", m) for n in range(5000))]))).waiting == 5000


# --- properties


@st.composite
def tangles(draw: st.DrawFn) -> Dump:
    """Any waits-for graph over locks, with threads in a pool and threads that hold its slots between them."""
    count = draw(st.integers(2, 14))
    owners = draw(st.lists(st.one_of(st.none(), st.integers(0, count - 1)), min_size=1, max_size=8))
    made = []
    for number in range(count):
        holds = [monitor(f"0x{n}") for n, owner in enumerate(owners) if owner == number]
        what = draw(st.sampled_from(["lock", "lock", "lock", "lease", "call", "sleep", "idle"]))
        name = f"t{number}"
        if what == "lock":
            made.append(blocked(name, monitor(f"0x{draw(st.integers(0, len(owners) - 1))}"), holds=holds))
            continue
        caller = draw(st.sampled_from([SLOT, "com.shop.Mail.send"]))
        words, state = {
            "lease": ((*dumps.APACHE_POOL, caller, *dumps.SERVLET), "WAITING"),
            "call": ((*dumps.APACHE_CALL, caller, *dumps.SERVLET), "RUNNABLE"),
            "sleep": ((*dumps.SLEEP, caller, *dumps.WORKER), "TIMED_WAITING"),
            "idle": (dumps.IDLE, "WAITING"),
        }[what]
        made.append(thread(name, *words, state=state, holds=holds))
    return dump(made)


def closure(made: Dump, found: Waits, roots: Iterable[str]) -> set[str]:
    """By brute force: everybody who waits for one of the roots, directly or through others."""
    owner = {held.lock.id: thread.name for thread in made.threads for held in thread.holds}
    edges = {
        (thread.name, owner[thread.blocked_on.id])
        for thread in made.threads
        if thread.blocked_on is not None and thread.blocked_on.id in owner
    }
    edges |= {
        (made.threads[waiter].name, made.threads[holder].name)
        for pool in found.pools
        for waiter in pool.waiters
        for holder in pool.holders
    }
    reached = set(roots)
    while more := {waiter for waiter, of in edges if of in reached} - reached:
        reached |= more
    return reached - set(roots)


@settings(max_examples=200)
@given(tangles())
def test_each_chain_counts_everybody_behind_it_once(made: Dump) -> None:
    found = waits(made)
    for chain in found.chains:
        assert chain.waiting == len(closure(made, found, chain.root.threads))
        listed = [name for node in nodes(chain.tree) for name in node.threads]
        assert len(listed) == len(set(listed)) == chain.waiting
        assert not set(listed) & set(chain.root.threads)
        assert all(node.count == len(node.threads) for node in nodes(chain.tree))
        assert 1 <= chain.depth <= chain.waiting
    assert [chain.waiting for chain in found.chains] == sorted((c.waiting for c in found.chains), reverse=True)
    for deadlock in found.deadlocks:
        assert deadlock.behind == len(closure(made, found, deadlock.threads))


@settings(max_examples=200)
@given(tangles())
def test_whoever_waits_is_in_a_chain_or_a_deadlock_or_its_owner_is_unknown(made: Dump) -> None:
    found = waits(made)
    explained = {name for chain in found.chains for node in nodes(chain.tree) for name in node.threads}
    explained |= {name for deadlock in found.deadlocks for name in deadlock.threads}
    explained |= {name for lock in found.locks if lock.owner is None for name in lock.waiting}
    waiting = {name for lock in found.locks for name in lock.waiting}
    assert waiting <= explained


def summary(found: Waits) -> object:
    chains = {(frozenset(c.root.threads), c.waiting, c.depth, c.evidence) for c in found.chains}
    deadlocks = {(frozenset(d.threads), frozenset(d.locks), d.type, d.behind) for d in found.deadlocks}
    locks = {(lock.id, lock.type, lock.owner and lock.owner.thread, frozenset(lock.waiting)) for lock in found.locks}
    return chains, deadlocks, locks


@settings(max_examples=200)
@given(tangles(), st.randoms(use_true_random=False))
def test_the_order_of_the_threads_changes_nothing(made: Dump, rng: random.Random) -> None:
    before = summary(waits(made))
    rng.shuffle(made.threads)
    assert summary(waits(made)) == before


HIKARI = (
    *dumps.PARK[:1],
    "java.util.concurrent.locks.LockSupport.parkNanos",
    "com.zaxxer.hikari.pool.HikariPool.getConnection",
    "com.zaxxer.hikari.HikariDataSource.getConnection",
)
LOGIN = (
    *dumps.SOCKET_READ[:2],
    "org.postgresql.core.v3.ConnectionFactoryImpl.tryConnect",
    "org.postgresql.Driver.connect",
)


@pytest.mark.parametrize(
    ("library", "line", "again"),
    [((), 12, ["outer-3"]), ((), 9, []), (("org.springframework.jdbc.core.JdbcTemplate.execute",), 12, [])],
    ids=["past the lease", "before it", "leased by a library, which gives back itself"],
)
def test_who_leases_below_a_method_that_has_leased_holds_a_slot(
    library: tuple[str, ...], line: int, again: list[str]
) -> None:
    first = times(3, "outer", *HIKARI, *library, "com.shop.Orders.place@10", *dumps.SERVLET, state="TIMED_WAITING")
    inner = (*HIKARI, *library, "com.shop.Audit.note@5", f"com.shop.Orders.place@{line}", *dumps.SERVLET)
    made = dump([*first[:2], thread("outer-3", *inner, state="TIMED_WAITING")])
    (pool,) = waits(made).pools
    assert names(made, pool.again) == again


@pytest.mark.parametrize(("caller", "making"), [((), True), (("com.shop.Report.run",), False)])
def test_threads_that_log_in_for_a_pool_hold_no_slot(caller: tuple[str, ...], making: bool) -> None:
    waiters = times(3, "exec", *HIKARI, "com.shop.Orders.place", *dumps.SERVLET, state="TIMED_WAITING")
    adder = thread("HikariPool-1 connection adder", *LOGIN, *caller, *dumps.WORKER, state="RUNNABLE")
    (pool,) = waits(dump([*waiters, adder])).pools
    assert pool.holders == [3]
    assert pool.making is making


def test_nodes_of_a_concurrent_map_are_monitors() -> None:
    bin_ = Lock("0xb", "java.util.concurrent.ConcurrentHashMap$ReservationNode")
    waiter = thread(
        "w", "java.util.concurrent.ConcurrentHashMap.computeIfAbsent", "com.shop.Prices.of", state="BLOCKED"
    )
    waiter.blocked_on = bin_
    (found,) = waits(dump([waiter])).locks
    assert found.type == "monitor"


def test_a_main_that_only_waits_for_the_end_holds_nothing() -> None:
    waiters = [
        blocked(f"w-{n}", reentrant("0xa"), *dumps.LOCK, "com.shop.Shop.lambda$main$3", *dumps.WORKER) for n in range(3)
    ]
    main = thread("main", "java.lang.Object.wait", "java.lang.Thread.join", "com.shop.Shop.main", state="WAITING")
    busy = thread("h", *dumps.SOCKET_READ, "com.shop.Shop.fetch", "com.shop.Shop.lambda$main$3", state="RUNNABLE")
    made = dump([*waiters, main, busy])
    (lock,) = waits(made).locks
    assert lock.owner is not None
    assert lock.owner.thread == "h"
