"""Python locks told from threads that stand at one line: who probably holds them, and when nobody is named."""

from __future__ import annotations

from pathlib import Path

import pytest

import dumps
from dumps import dump, facts, thread, times, waits
from threaddump import intake
from threaddump.sources import Source
from threaddump.waits.convoys import Convoy, find_convoys
from threaddump_parsers.model import Dump, Lock, Thread

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
TAKE = "orders/calendar.py:Calendar.reserve@18"
INSIDE = "orders/calendar.py:Calendar.reserve@19"


def convoys(made: Dump) -> list[Convoy]:
    return find_convoys(made, facts(made).verdicts)


def at_line(count: int, line: str = TAKE, *above: str) -> list[Thread]:
    return times(count, "w", *above, line, "orders/api.py:handle@5", *dumps.PY_THREAD, state="IDLE")


def inside(name: str, *above: str, line: str = INSIDE) -> Thread:
    above = above or ("orders/feed.py:Feed.await_dates@7",)
    return thread(name, *above, line, "orders/api.py:handle@5", *dumps.PY_THREAD, state="IDLE")


def test_the_only_thread_inside_the_same_code_is_the_probable_owner() -> None:
    made = dump([*at_line(4), inside("holder")], "python")
    (convoy,) = convoys(made)
    assert [made.threads[index].name for index in convoy.waiters] == ["w-1", "w-2", "w-3", "w-4"]
    assert convoy.owner == 4
    assert (convoy.id, convoy.type) == ("orders/calendar.py:18", "other")
    assert "stand in a C call, probably to take a lock, at orders/calendar.py:18" in convoy.reason
    assert '"holder" alone is inside the same code, past that line' in convoy.reason
    found = waits(made)
    (lock,) = found.locks
    assert lock.owner is not None and (lock.owner.thread, lock.owner.evidence) == ("holder", "inferred")
    (chain,) = found.chains
    assert (chain.root.threads, chain.waiting, chain.evidence, chain.reason) == (
        ["holder"],
        4,
        "inferred",
        convoy.reason,
    )


REDIS_LOCK = ("redis/lock.py:Lock.acquire@235", "redis/lock.py:Lock.__enter__@168")


def test_a_lock_that_a_service_keeps_is_held_past_the_line_of_the_application() -> None:
    """All users of the library's class stand in the same frames of it: these are not the code that holds the lock."""
    other = thread("other", *REDIS_LOCK, "orders/mail.py:send@3", *dumps.PY_THREAD, state="IDLE")
    made = dump([*at_line(4, TAKE, *REDIS_LOCK), inside("holder"), other], "python")
    (convoy,) = convoys(made)
    assert (convoy.waiters, convoy.owner, convoy.lock) == (
        [0, 1, 2, 3],
        4,
        "distributed lock taken in Calendar.reserve",
    )
    assert convoy.reason.endswith("past that line (but another process may hold it)")
    made = dump(at_line(12, TAKE, *REDIS_LOCK), "python")
    assert "another process may hold it" in convoys(made)[0].reason
    (finding,) = dumps.findings(made, "lock-owner-unknown")
    assert "PTTL" in finding.advice[0]
    assert finding.advice[-1].startswith("take three dumps")


def test_several_threads_inside_and_none_is_named() -> None:
    made = dump([*at_line(3), inside("one"), inside("two")], "python")
    (convoy,) = convoys(made)
    assert convoy.owner is None
    assert '2 threads are inside the same code and any may hold it: "one", "two"' in convoy.reason
    found = waits(made)
    assert found.chains == []
    assert [(lock.owner, lock.owner_unknown) for lock in found.locks] == [(None, convoy.reason)]


def test_another_method_of_the_same_class_will_do() -> None:
    made = dump([*at_line(3), inside("holder", line="orders/calendar.py:Calendar.refresh@40")], "python")
    assert [convoy.owner for convoy in convoys(made)] == [3]


def test_a_line_in_common_alone_proves_nothing() -> None:
    assert convoys(dump([*at_line(5), thread("other", "orders/feed.py:Feed.read@3", state="IDLE")], "python")) == []


def test_two_threads_at_a_line_are_no_convoy() -> None:
    assert convoys(dump([*at_line(2), inside("holder")], "python")) == []


def test_who_idles_in_the_same_class_holds_nothing() -> None:
    idle = inside(
        "idle", "threading.py:Condition.wait@327", "queue.py:Queue.get@171", line="orders/calendar.py:Calendar.run@60"
    )
    assert convoys(dump([*at_line(3), idle], "python")) == []


@pytest.mark.parametrize("name", ["<module>", "<lambda>", "<listcomp>", "<genexpr>"])
def test_code_that_every_file_has_is_not_the_same_code(name: str) -> None:
    made = dump(
        [*at_line(4, f"orders/calendar.py:{name}@18"), inside("x", line=f"orders/calendar.py:{name}@30")], "python"
    )
    assert convoys(made) == []


def test_native_frames_prove_the_lock_even_if_nobody_is_inside() -> None:
    native = ("native:__futex_abstimed_wait_common", "native:sem_clockwait", "native:PyThread_acquire_lock_timed")
    made = dump(at_line(3, TAKE, *native), "python")
    (convoy,) = convoys(made)
    assert (convoy.owner, convoy.reason) == (
        None,
        "3 threads take a lock at orders/calendar.py:18; CPython records no owner, and no thread is inside "
        "the same code",
    )


def test_threads_that_run_are_no_convoy() -> None:
    running = times(5, "w", TAKE, *dumps.PY_THREAD, state="ACTIVE")
    assert convoys(dump([*running, inside("holder")], "python")) == []


HANDLER = ("logging/__init__.py:Handler.acquire@902", "logging/__init__.py:Handler.handle@966")
WRITING = ("logging/__init__.py:StreamHandler.flush@1082", "logging/__init__.py:StreamHandler.emit@1115")
LOG = ("logging/__init__.py:Logger.info@1489", "orders/api.py:handle@7", *dumps.PY_THREAD)


def test_the_writer_of_a_logging_handler_holds_its_lock() -> None:
    writer = thread("writer", *WRITING, "logging/__init__.py:Handler.handle@968", *LOG, state="IDLE")
    made = dump([writer, *times(5, "w", *HANDLER, *LOG, state="IDLE")], "python")
    (convoy,) = convoys(made)
    assert (convoy.type, convoy.owner, len(convoy.waiters)) == ("logging", 0, 5)
    assert waits(made).chains[0].root.threads == ["writer"]


def test_a_handler_that_calls_out_holds_its_lock_as_well() -> None:
    below = ("logging/__init__.py:Handler.handle@978", "logging/__init__.py:Logger.handle@1644", "shop/api.py:place@5")
    sender = thread("sender", *dumps.PY_REQUESTS, "shop/log.py:Sender.emit@9", *below, *dumps.PY_THREAD, state="IDLE")
    waiting = times(3, "w", "logging/__init__.py:Handler.acquire@927", *below, *dumps.PY_THREAD, state="IDLE")
    (convoy,) = convoys(dump([*waiting, sender], "python"))
    assert (convoy.type, convoy.owner) == ("logging", 3)


def test_two_writers_of_logging_handlers() -> None:
    writers = times(2, "writer", *WRITING, "logging/__init__.py:Handler.handle@968", *LOG, state="IDLE")
    (convoy,) = convoys(dump([*writers, *times(5, "w", *HANDLER, *LOG, state="IDLE")], "python"))
    assert convoy.owner is None
    assert "2 threads are inside a handler's write" in convoy.reason


@pytest.mark.parametrize(
    ("path", "owner", "waiting"),
    [
        ("py-spy/version-0.4.3.txt", "inventory-refresher-0", 12),
        ("py-spy/version-0.4.3-native.txt", "inventory-refresher-0", 12),
        ("py-spy/logging-lock.txt", "req-0", 5),
        ("black-friday/python-scheduling.py-spy.txt", "sched-worker_0", 24),
        ("black-friday/python-scheduling.py-spy-native.txt", "sched-worker_0", 24),
        ("black-friday/python-scheduling.faulthandler.txt", None, 24),
    ],
)
def test_locks_of_real_dumps(path: str, owner: str | None, waiting: int) -> None:
    made = next(intake.dumps(Source(path, FIXTURES / path)))
    longest = max(convoys(made), key=lambda convoy: len(convoy.waiters))
    assert len(longest.waiters) == waiting
    if owner is not None:
        assert longest.owner is not None
        assert made.threads[longest.owner].name == owner


# --- the JVM: a lock without a printed owner


def parked(count: int, lock: Lock) -> list[Thread]:
    words = (*dumps.LOCK, "com.shop.Calendar.reserve@18", *dumps.WORKER)
    return [thread(f"w-{n}", *words, state="WAITING", wants=lock) for n in range(1, count + 1)]


def holder(name: str, line: int = 19) -> Thread:
    return thread(name, *dumps.SLEEP, f"com.shop.Calendar.reserve@{line}", *dumps.WORKER, state="TIMED_WAITING")


def test_the_only_thread_past_the_lock_is_its_probable_owner() -> None:
    lock = dumps.reentrant("0xb")
    found = waits(dump([*parked(4, lock), holder("holder")]))
    (contended,) = found.locks
    assert contended.owner is not None
    assert (contended.owner.thread, contended.owner.evidence, len(contended.waiting)) == ("holder", "inferred", 4)
    (chain,) = found.chains
    assert (chain.root.threads, chain.waiting, chain.evidence) == (["holder"], 4, "inferred")
    assert "the dump lists no owners" in (chain.reason or "")


def test_several_threads_past_the_lock_and_none_is_named() -> None:
    found = waits(dump([*parked(4, dumps.reentrant("0xb")), holder("one"), holder("two")]))
    assert [lock.owner for lock in found.locks] == [None]
    assert found.chains == []


def test_where_owners_are_listed_nothing_is_inferred() -> None:
    made = dump([*parked(4, dumps.reentrant("0xb")), holder("holder")], ownable_synchronizers=True)
    assert [lock.owner for lock in waits(made).locks] == [None]


def test_each_for_a_lock_of_its_own_is_no_convoy() -> None:
    made = dump([dumps.blocked(f"w-{n}", dumps.monitor(f"0x{n}")) for n in range(5)])
    assert waits(made).chains == []


def test_the_place_is_where_the_lock_is_used_and_not_the_code_of_all_locks() -> None:
    acquire = (
        "/usr/lib/python3.15/asyncio/locks.py:Lock.acquire@110",
        "/usr/lib/python3.15/asyncio/locks.py:__aenter__@14",
    )
    made = dump([*at_line(5, TAKE, *acquire), *at_line(3, "orders/stock.py:Stock.take@9", *acquire)], "python")
    assert [(convoy.id, len(convoy.waiters)) for convoy in convoys(made)] == [
        ("orders/calendar.py:18", 5),
        ("orders/stock.py:9", 3),
    ]


def test_threads_behind_a_lock_of_unknown_owner_are_counted_and_cited() -> None:
    acquire = ("/usr/lib/python3.15/asyncio/locks.py:Lock.acquire@110",)
    made = dump(at_line(12, TAKE, *acquire), "python")
    (finding,) = [found for found in dumps.analyzed(made).findings if found.id == "lock-owner-unknown"]
    assert finding.title == "12 of 12 w-* threads wait for the lock taken in Calendar.reserve; its owner is unknown"
    assert (finding.severity, finding.threads) == ("medium", 12)
    assert [place.thread for place in finding.evidence] == ["w-1", "w-2", "w-3"]
    assert not any("jcmd" in advice for advice in finding.advice)


def semaphore(id: str) -> Lock:
    return Lock(id, "java.util.concurrent.Semaphore$NonfairSync")


def queued(count: int, lock: Lock) -> list[Thread]:
    words = (*dumps.PARK, "java.util.concurrent.Semaphore.acquire@9", "com.shop.Printer.label@18", *dumps.WORKER)
    return [thread(f"w-{n}", *words, state="WAITING", waits=lock) for n in range(1, count + 1)]


def test_before_the_line_that_takes_the_lock_nobody_holds_it() -> None:
    assert waits(dump([*parked(4, dumps.reentrant("0xb")), holder("early", line=12)])).chains == []


def test_who_waits_at_that_line_for_another_lock_is_not_past_it() -> None:
    made = dump([*parked(4, dumps.reentrant("0xb")), *parked(3, dumps.reentrant("0xc"))])
    assert [(lock.id, lock.owner) for lock in waits(made).locks] == [("0xb", None), ("0xc", None)]
    assert waits(made).graph.convoys == []


def test_the_only_thread_past_a_line_that_takes_two_locks_may_hold_either() -> None:
    made = dump([*parked(4, dumps.reentrant("0xb")), *parked(1, dumps.reentrant("0xc")), holder("holder")])
    found = waits(made)
    (convoy,) = found.graph.convoys
    assert (convoy.id, convoy.owner, found.chains) == ("0xb", None, [])
    assert '"holder" alone is past the line' in convoy.reason
    assert convoy.reason.endswith("but others wait there for another lock of this kind")


def test_lambdas_of_one_method_share_its_lock() -> None:
    reader = (*dumps.LOCK, "com.shop.Cache.lambda$start$1@30", *dumps.WORKER)
    readers = [thread(f"r-{n}", *reader, state="WAITING", wants=dumps.reentrant("0xb")) for n in range(4)]
    writer = thread("writer", *dumps.SLEEP, "com.shop.Cache.lambda$start$0@25", *dumps.WORKER, state="TIMED_WAITING")
    other = thread("other", *dumps.SLEEP, "com.shop.Cache.lambda$stop$2@50", *dumps.WORKER, state="TIMED_WAITING")
    (contended,) = waits(dump([*readers, other, writer])).locks
    assert contended.owner is not None
    assert contended.owner.thread == "writer"


@pytest.mark.parametrize(
    ("lock", "listed", "reason"),
    [
        ("java.util.concurrent.locks.ReentrantLock$NonfairSync", False, "the dump lists no owners"),
        ("java.util.concurrent.locks.ReentrantReadWriteLock$FairSync", False, "the dump lists no owners"),
        (
            "java.util.concurrent.locks.ReentrantReadWriteLock$FairSync",
            True,
            "no thread owns it for writing, and the dump never lists who holds it for reading",
        ),
        ("java.util.concurrent.locks.StampedLock", True, "a StampedLock records no owner"),
    ],
)
def test_why_the_dump_does_not_tell_the_owner(lock: str, listed: bool, reason: str) -> None:
    made = dump([*parked(6, Lock("0xb", lock)), holder("one"), holder("two")], ownable_synchronizers=listed)
    (convoy,) = waits(made).graph.convoys
    assert convoy.reason.startswith(f"{reason}; 2 threads are past the line")
    (finding,) = [found for found in dumps.analyzed(made).findings if found.id == "lock-owner-unknown"]
    assert any("jcmd" in advice for advice in finding.advice) is (not listed)


def test_permits_are_held_by_those_past_the_line_that_takes_one() -> None:
    inside = thread("busy", *dumps.SLEEP, "com.shop.Printer.label@19", *dumps.WORKER, state="TIMED_WAITING")
    found = waits(dump([*queued(4, semaphore("0xb")), inside]))
    assert [(lock.owner and lock.owner.thread, len(lock.waiting)) for lock in found.locks] == [("busy", 4)]


def test_a_semaphore_may_be_a_signal() -> None:
    """Nobody has to be past the line, and who is elsewhere in the class need not hold anything."""
    elsewhere = thread("feeder", *dumps.SLEEP, "com.shop.Printer.feed@40", *dumps.WORKER, state="TIMED_WAITING")
    found = waits(dump([*queued(6, semaphore("0xb")), elsewhere]))
    assert (found.locks, found.graph.convoys) == ([], [])


def test_the_semaphore_of_a_pool_is_the_pool() -> None:
    words = (*dumps.PARK, "java.util.concurrent.Semaphore.acquire@9", "com.shop.LabelPool.lease@18", *dumps.WORKER)
    waiting = [thread(f"w-{n}", *words, state="WAITING", waits=semaphore("0xb")) for n in range(4)]
    inside = thread("busy", *dumps.SLEEP, "com.shop.LabelPool.lease@19", *dumps.WORKER, state="TIMED_WAITING")
    assert [lock.type for lock in waits(dump([*waiting, inside])).locks] == ["pool"]
