"""Real dumps: what is said about them is what was agreed on, is true, and does not depend on how they arrive.

Three kinds of expectation. The goldens say what the tool concludes, and change with it. ``TRUTHS`` says what the dumped
programs really did; it comes from the programs and never from the tool. The rest holds for every dump.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib import resources
from typing import Any

import jsonschema
import pytest

import goldens
import variants
from threaddump import intake
from threaddump.report import SEVERITIES, DumpReport, Report
from threaddump.reports import json as json_report
from threaddump.reports import markdown, terminal
from threaddump.reports.text import cells
from threaddump.sources import InputError
from threaddump_parsers.model import Dump

NAMES = goldens.fixtures()
TEXTS = [name for name in NAMES if not name.endswith(".json")]


@pytest.mark.parametrize("name", NAMES)
def test_golden(name: str) -> None:
    difference = goldens.check(name)
    assert difference is None, difference


def test_each_golden_has_its_fixture() -> None:
    left = [path for folder in goldens.FOLDERS for path in (goldens.FIXTURES / folder).glob("*.golden.json")]
    assert {path.name for path in left} == {goldens.golden_path(name).name for name in NAMES}


def test_each_fixture_has_its_provenance() -> None:
    assert sorted(goldens.provenance()) == NAMES


# What is true


@dataclass(frozen=True)
class Doing:
    """``count`` threads, whose names begin with ``named``, do this in ``where`` (a frame or caller)."""

    kind: str
    count: int
    where: str = ""
    named: str = ""
    timed: bool | None = None
    """None: not said."""


@dataclass(frozen=True)
class Behind:
    """``waiters`` threads want a lock that ``owner`` holds."""

    owner: str
    waiters: int


@dataclass(frozen=True)
class Truth:
    """What the dumped program did."""

    threads: tuple[int, ...]
    """In each dump of the file."""
    doing: tuple[Doing, ...] = ()
    behind: tuple[Behind, ...] = ()
    deadlocks: tuple[tuple[frozenset[str], int], ...] = ()
    """The threads of each, and how many more wait behind them."""
    requests: int | None = None
    truncated: bool = False
    chain: tuple[str, int, int] | None = None
    """The thread at the root, all threads behind it, and over how many edges the last one waits."""


FRONTEND = Truth(
    (324,),
    (
        Doing("external-call", 50, "BackendConnection.placeOrder", "http-exec-", timed=False),
        Doing("pool-wait", 245, "BackendPool.checkOut", "http-exec-", timed=False),
        Doing("idle", 5, "", "http-exec-"),
    ),
    requests=300,
)
ORDERS = Truth(
    (523,),
    (
        Doing("external-call", 450, "SchedulingGateway.requestSlot", "orders-exec-", timed=False),
        Doing("pool-wait", 50, "SchedulingPool.lease", "orders-exec-", timed=False),
    ),
    requests=500,
)
ORDERS_SMALL = Truth(
    (72,),
    (
        Doing("external-call", 45, "SchedulingGateway.requestSlot", "orders-exec-", timed=False),
        Doing("pool-wait", 5, "SchedulingPool.lease", "orders-exec-", timed=False),
    ),
    requests=50,
)
SCHEDULING = Truth(
    (47,),
    (Doing("lock-wait", 24, "LegacyCalendar.reserveSlot", "sched-worker-"), Doing("sleep", 1, "HolidayFeed")),
    (Behind("sched-worker-1", 24),),
    requests=25,
    chain=("sched-worker-1", 24, 1),
)
PYTHON_ORDERS = Truth(
    (501,),
    (
        Doing("external-call", 450, "orders/scheduling.py:SchedulingClient.reserve", "request_"),
        Doing("pool-wait", 50, "orders/scheduling.py:SchedulingClient.reserve", "request_"),
        Doing("idle", 1, "accept", "MainThread"),
    ),
)
PYTHON_ORDERS_SMALL = Truth(
    (51,),
    (
        Doing("external-call", 45, "orders/scheduling.py:SchedulingClient.reserve", "request_"),
        Doing("pool-wait", 5, "orders/scheduling.py:SchedulingClient.reserve", "request_"),
        Doing("idle", 1, "accept", "MainThread"),
    ),
)
PYTHON_SCHEDULING = Truth((26,), (Doing("idle", 1, "accept"),), (Behind("sched-worker_0", 24),))
CONTENTION = Truth(
    (14,),
    (Doing("idle", 1, "join"), Doing("running", 0, "lock_contention.py")),
    (Behind("inventory-refresher-0", 12),),
)
NAMELESS_CONTENTION = Truth(CONTENTION.threads, CONTENTION.doing, (Behind("", 12),))
TRANSFERS = ((frozenset({"transfer-A-to-B", "transfer-B-to-A"}), 0),)
EXECUTOR = Truth((12,), (Doing("idle", 4, "_worker"), Doing("sync-wait", 4)))
RECIPE = Truth((5,), (Doing("idle", 2, "queue.py:get"), Doing("lock-wait", 1, "blocked"), Doing("external-call", 0)))
C_CALLS = Truth((15,), (Doing("sync-wait", 2), Doing("lock-wait", 0), Doing("external-call", 0)))
MONITOR_CONVOY = Truth(
    (109,),
    (Doing("external-call", 1, "", "http-exec-1"), Doing("lock-wait", 99, "SchedulingGateway", "http-exec-")),
    (Behind("http-exec-1", 99),),
    chain=("http-exec-1", 99, 1),
)
SERIES = (
    Doing("external-call", 12, "RemoteClient.call", "stuck-"),
    Doing("lock-wait", 6, "ReentrantLock.lock", "blocked-"),
    Doing("idle", 8, "LinkedBlockingQueue.take", "idle-"),
)
SHOP = (
    Doing("external-call", 30, "main.(*Gateway).RequestSlot"),
    Doing("external-call", 2, "main.silentStmt.Query"),
    Doing("pool-wait", 10, "main.(*Stock).Left", timed=False),
    Doing("lock-wait", 15, "main.(*Calendar).Free"),
    Doing("sleep", 1, "main.(*Calendar).Refresh"),
)
SENDING = Doing("queue-put", 3, "main.stuck.func4")
QUIET_SHOP = (
    Doing("external-call", 0),
    Doing("lock-wait", 0),
    Doing(
        "unknown", 12, "main.worker"
    ),  # they receive from a channel: whether somebody ought to send is not to be told
)
QUEUE = Truth((11,), (Doing("idle", 8, "Queue.get"), Doing("idle", 1, "join")))
PROFILED = Truth((7,), (Doing("idle", 5, "Queue.get"),))

CONVOY = Truth(
    (12,),
    (Doing("lock-wait", 11, "SchedulingGateway"), Doing("external-call", 1, "RemoteClient.call")),
    (Behind("http-exec-1", 11),),
    chain=("http-exec-1", 11, 1),
)
"""What was kept of the MONITOR_CONVOY."""
WAITS = (
    Doing("lock-wait", 1, "Waits.move", "mover"),
    Doing("lock-wait", 1, "Waits.move", "second-mover"),
    Doing("lock-wait", 1, "Waits.lambda$main$1", "sleeper-in-wait"),
    Doing("sleep", 3, "Waits.sleep"),
    Doing("running", 1, "Waits.hum", "humming"),
)
STOCK = (Behind("keeper", 1), Behind("mover", 1), Behind("ringer", 1))
LIMITS = (
    Doing("external-call", 5, "", "timed-"),
    Doing("external-call", 7, "", "untimed-"),
    Doing("sync-wait", 6, "", "timed-"),
    Doing("sync-wait", 7, "", "untimed-"),
    Doing("queue-put", 1, "ArrayBlockingQueue.offer", "timed-"),
    Doing("queue-put", 1, "ArrayBlockingQueue.put", "untimed-"),
    Doing("lock-wait", 1, "ReentrantLock.tryLock", "timed-"),
    Doing("lock-wait", 1, "ReentrantLock.lock", "untimed-"),
    Doing("idle", 1, "", "timed-accept"),
    Doing("idle", 1, "accept", "acceptor"),
)
"""Reads, connects and a write, on sockets, channels and datagrams; locks, queues, latches, futures and joins."""
HOLDING = Doing("sync-wait", 2, "Warehouse.deliver")
"""Two threads that hold what the others wait for, and are in turn behind what never comes."""
LOCKS_AND_GIL = (Doing("lock-wait", 4, "get"), Doing("sleep", 1, "order"))
WAITS_FOR_GIL = (*LOCKS_AND_GIL, Doing("running", 1, "price"))
TASKS = Truth(
    (32,),
    (
        Doing("external-call", 1, "holder", "holder"),
        Doing("lock-wait", 20, "waiter", "waiter-"),
        Doing("idle", 10, "", "consumer-"),
    ),
)

TRUTHS: dict[str, Truth] = {
    "goroutine/stuck-debug1.txt": Truth((196,), SHOP, (Behind("one goroutine", 15),), requests=61),
    "goroutine/stuck-minutes.txt": Truth((196,), (*SHOP, SENDING), (Behind("goroutine 24", 15),), requests=61),
    "goroutine/stuck-sigquit.txt": Truth((201,), (*SHOP, SENDING), (Behind("goroutine 24", 15),), requests=60),
    "goroutine/idle-debug2.txt": Truth((76,), QUIET_SHOP, requests=1),
    "goroutine/idle-sigquit.txt": Truth((79,), QUIET_SHOP),
    "goroutine/go-1.26-headers-synthetic.txt": Truth(
        (25,),
        (
            Doing("external-call", 3, "main.(*Gateway).RequestSlot"),
            Doing("lock-wait", 3, "main.(*Calendar).Free"),
            Doing("queue-put", 1, "main.stuck.func4"),
        ),
        (Behind("goroutine 24", 3),),
    ),
    "austin/lock-contention.txt": Truth(CONTENTION.threads, CONTENTION.doing, (Behind("thread 15833", 12),)),
    "folded/py-spy-lock-contention.txt": CONTENTION,
    "*/py-spy-queue-workers.*": QUEUE,
    "folded/austin-*.txt": PROFILED,
    "art/main-thread-blocked-synthetic.txt": Truth(
        (24,),
        (
            Doing("external-call", 1, "PriceService.fetch", "till-sync"),
            Doing("lock-wait", 1, "Basket.total", "main"),
            Doing("lock-wait", 3, "Basket.add", "stock-"),
            Doing("idle", 2, "", "AsyncTask #"),
        ),
        (Behind("till-sync", 4),),
        chain=("till-sync", 4, 1),
    ),
    "sigdump/stuck-synthetic.txt": Truth(
        (30,),
        (
            Doing("external-call", 8, "request_slot", "order-"),
            Doing("lock-wait", 6, "free", "calendar-"),
            Doing("sleep", 1, "refresh", "refresher"),
            Doing("idle", 4, "pop", "worker-"),
            Doing("queue-put", 2, "", "producer-"),
            Doing("lock-wait", 1, "", "monitor-waiter"),
            Doing("idle", 1, "accept", "acceptor"),
            Doing("sync-wait", 1, "join", "joiner"),
            Doing("io", 1, "", "reader"),
            Doing("io", 1, "", "child"),
        ),
    ),
    "dotnet-stack/report-synthetic.txt": Truth(
        (6,),
        (
            Doing("idle", 1, "Shop.Program.Main"),
            Doing("sync-wait", 1, "Shop.Orders.OrderService.Place"),
            Doing("lock-wait", 1, "Shop.Scheduling.Calendar.Free"),
            Doing("external-call", 1, "Shop.Scheduling.Gateway.RequestSlot"),
            Doing("idle", 1, "LowLevelLifoSemaphore"),
        ),
        requests=1,
    ),
    "dotnet-stack/clrstack-synthetic.txt": Truth(
        (6,),
        (Doing("lock-wait", 3, "Shop.Scheduling.Calendar.Free"), Doing("sleep", 1, "Shop.Scheduling.Calendar.Free")),
        (Behind("thread 121989", 3),),
    ),
    "black-friday/frontend.*.txt": FRONTEND,
    "black-friday/orders.*.txt": ORDERS,
    "black-friday/orders-small-java25.*.txt": ORDERS_SMALL,
    "black-friday/scheduling.*.txt": SCHEDULING,
    "black-friday/python-orders.py-spy*.txt": PYTHON_ORDERS,
    "black-friday/python-orders-small.*": PYTHON_ORDERS_SMALL,
    "black-friday/python-orders.faulthandler.txt": Truth((100,), truncated=True),
    "black-friday/python-scheduling.py-spy*": PYTHON_SCHEDULING,
    "black-friday/python-scheduling.faulthandler.txt": Truth((26,), PYTHON_SCHEDULING.doing, (Behind("", 24),)),
    "healthy/search.*.txt": Truth(
        (60,),
        (
            Doing("idle", 20, "getTask", "http-exec-"),
            Doing("idle", 6, "getTask", "query-worker-"),
            Doing("idle", 4, "getTask", "suggest-worker-"),
            Doing("idle", 3, "SearchService.consume", "index-consumer-"),
            Doing("idle", 3, "", "ForkJoinPool.commonPool-worker-"),
            Doing("idle", 1, "accept", "replication-acceptor-"),
            Doing("idle", 1, "Dispatcher", "HTTP-Dispatcher"),
            Doing("idle", 1, "TimerThread", "cache-expiry"),
        ),
        requests=20,
    ),
    "healthy/python-search.*": Truth((19,), (Doing("idle", 7, "_worker"), Doing("idle", 3, "consume"))),
    "hotspot/chain-of-six.txt": Truth(
        (47,), (Doing("external-call", 1, "", "chain-6"),), (Behind("chain-1", 20),), chain=("chain-6", 25, 6)
    ),
    "hotspot/class-init-deadlock.txt": Truth(
        (25,), (Doing("lock-wait", 5, "", "init-"),), deadlocks=((frozenset({"init-alpha", "init-beta"}), 3),)
    ),
    # The JVM names no class: which one the three late threads wait for cannot be told, so they are not counted behind.
    "hotspot/class-init-java11-synthetic.txt": Truth(
        (25,), (Doing("lock-wait", 5, "Cases"),), deadlocks=((frozenset({"init-alpha", "init-beta"}), 0),)
    ),
    "hotspot/deadlock-three-mixed.txt": Truth(
        (30,),
        behind=(
            Behind("mix-1-holds-inventory", 8),
            Behind("mix-2-holds-reentrant", 1),
            Behind("mix-3-holds-ledger", 1),
        ),
        deadlocks=((frozenset({"mix-1-holds-inventory", "mix-2-holds-reentrant", "mix-3-holds-ledger"}), 7),),
    ),
    "hotspot/deadlock-two.txt": Truth((22,), deadlocks=TRANSFERS),
    "hotspot/deadlock-two-java25.txt": Truth((21,), deadlocks=TRANSFERS),
    "hotspot/kill3-inside-log.txt": Truth((25,), deadlocks=TRANSFERS),
    "hotspot/eliminated-glued-frame.txt": Truth((24,), (Doing("running", 4, "Cases.spinElim"),)),
    "hotspot/executor-starvation.txt": Truth((58,), (Doing("sync-wait", 38, "FutureTask.get"),)),
    "hotspot/hikari-pool.txt": Truth(
        (123,),
        (
            Doing("external-call", 10, "Cases.query", "http-nio-"),
            Doing("pool-wait", 90, "HikariPool.getConnection", "http-nio-", timed=True),
        ),
        requests=100,
    ),
    # 24 headers, two of them of carriers whose mounted threads are entries of their own
    "hotspot/curator-mutex.txt": Truth(
        (50,),
        (Doing("lock-wait", 11, "LockInternals", "http-nio-"), Doing("sleep", 1, "Idle", "http-nio-")),
        requests=12,
    ),
    "hotspot/futures-of-http-client.txt": Truth(
        (49,), (Doing("sync-wait", 12, "CompletableFuture.join", "http-nio-", timed=False),), requests=12
    ),
    "hotspot/guava-cache-load.txt": Truth(
        (37,),
        (
            Doing("sync-wait", 11, "LocalCache$Segment.waitForLoadingValue", "http-nio-", timed=False),
            Doing("external-call", 1, "Sync.slow", "http-nio-", timed=False),
        ),
        requests=12,
    ),
    "hotspot/hikari-pool-in-pool.txt": Truth(
        (46,),
        (
            Doing("pool-wait", 10, "OrderDao.nested", "http-nio-", timed=True),
            Doing("pool-wait", 10, "OrderDao.audit", "http-nio-", timed=True),
        ),
        requests=20,
    ),
    "hotspot/hikari-silent-server.txt": Truth(
        (38,),
        (
            Doing("pool-wait", 12, "HikariPool.getConnection", "http-nio-", timed=True),
            Doing("external-call", 1, "NioSocketImpl", "HikariPool-", timed=True),
        ),
        requests=12,
    ),
    "hotspot/socket-channel-read.txt": Truth(
        (36,), (Doing("external-call", 12, "SocketChannelImpl.read", "http-nio-", timed=False),), requests=12
    ),
    "hotspot/tls-handshake.txt": Truth(
        (37,), (Doing("external-call", 12, "Http.lambda", "http-nio-", timed=False),), requests=12
    ),
    "hotspot/java25-pinned-carriers.txt": Truth((26,), (Doing("external-call", 2, "RemoteClient.call"),)),
    "hotspot/java25-virtual-deadlock.txt": Truth((23,)),
    "hotspot/java25-virtual-threads.txt": Truth((27,)),
    "hotspot/java8-layout-synthetic.txt": Truth(
        (47,),
        (
            Doing("external-call", 20, "SchedulingClient.requestSlot", "http-nio-"),
            Doing("pool-wait", 5, "getPoolEntryBlocking", "http-nio-"),
        ),
        requests=25,
    ),
    "hotspot/limits.txt": Truth((51,), LIMITS),
    "hotspot/limits-java25.txt": Truth((50,), LIMITS),
    "hotspot/log4j-blocked-appender.txt": Truth(
        (81,),
        (Doing("lock-wait", 59, "Category.callAppenders", "req-"), Doing("io", 1, "", "req-")),
        (Behind("req-4", 59),),
        chain=("req-4", 59, 1),
    ),
    "hotspot/monitor-convoy.txt": Truth(
        (121,),
        (Doing("external-call", 1, "", "http-exec-1"), Doing("lock-wait", 99, "SchedulingGateway", "http-exec-")),
        (Behind("http-exec-1", 99),),
        chain=("http-exec-1", 99, 1),
    ),
    # 31 headers in one line, and one that a line end in the thread's name splits
    "hotspot/names-hostile.txt": Truth((32,), (Doing("sync-wait", 12, "CountDownLatch.await"),)),
    "hotspot/object-wait-in-requests.txt": Truth((27,), (Doing("sync-wait", 6, "Object.wait", "web-"),), requests=6),
    "hotspot/phaser-and-latch.txt": Truth(
        (28,),
        (
            Doing("sync-wait", 5, "Phaser.arriveAndAwaitAdvance", "phase-", timed=False),
            Doing("sync-wait", 4, "CountDownLatch.await", "latched-", timed=False),
        ),
    ),
    "hotspot/read-lock-starvation.txt": Truth(
        (34,),
        (
            Doing("external-call", 2, "Net.hang", "export-"),
            Doing("lock-wait", 12, "Prices.read", "reader-"),
            Doing("lock-wait", 1, "Prices.update", "update"),
        ),
    ),
    "hotspot/reentrant-lock-convoy.txt": Truth((72,), behind=(Behind("worker-1", 49),), chain=("worker-1", 49, 1)),
    "hotspot/relock-in-wait.txt": Truth((30,), behind=(Behind("notifier", 8),), chain=("notifier", 8, 1)),
    "hotspot/semaphore-permits.txt": Truth(
        (46,),
        (
            Doing("external-call", 2, "Net.hang", "web-"),
            Doing("sync-wait", 23, "Semaphore.acquire", "web-", timed=False),
        ),
        requests=25,
    ),
    "hotspot/series-1-of-3.txt": Truth((59,), SERIES, (Behind("stuck-1", 6),)),
    "hotspot/series-[23]-of-3.txt": Truth((60,), SERIES, (Behind("stuck-1", 6),)),
    "hotspot/read-lock-held.txt": Truth(
        (32,), (Doing("lock-wait", 4, "Stock.sell"), Doing("lock-wait", 6, "Stock.look"), HOLDING)
    ),
    "hotspot/stamped-lock-written.txt": Truth(
        (29,),
        (Doing("lock-wait", 6, "Stock.price"), Doing("lock-wait", 2, "Stock.discount")),
        (Behind("price-import-1", 8),),
        chain=("price-import-1", 8, 1),
    ),
    "hotspot/stamped-lock-read.txt": Truth((27,), (Doing("lock-wait", 5, "Stock.discount"), HOLDING)),
    "hotspot/semaphore-permits-held.txt": Truth((28,), (Doing("sync-wait", 6, "Stock.printLabel"), HOLDING)),
    "hotspot/one-place-two-locks.txt": Truth((29,), (Doing("lock-wait", 7, "Stock.fill"), HOLDING)),
    "hotspot/parties-missing.txt": Truth(
        (28,),
        (
            Doing("sync-wait", 4, "CyclicBarrier.await"),
            Doing("sync-wait", 3, "Phaser.arriveAndAwaitAdvance"),
            Doing("sync-wait", 1, "Exchanger.exchange"),
        ),
    ),
    "hotspot/truncated-midline.txt": Truth((30,), truncated=True),
    "hotspot/write-lock-holder.txt": Truth(
        (63,), (Doing("external-call", 1, "RemoteClient"),), (Behind("cache-refresher", 40),)
    ),
    "py-spy*/asyncio-idle-loop*": Truth((1,), (Doing("idle", 1),)),
    "faulthandler/asyncio-idle-loop.txt": Truth((1,), (Doing("idle", 1),)),
    "faulthandler/deep-recursion-100-frames.txt": Truth((2,), truncated=True),
    "*/executor-idle-and-busy.*": EXECUTOR,
    "py-spy/executor-idle-and-busy-native.txt": Truth(
        (12,), (*EXECUTOR.doing, Doing("sleep", 2, "crunch"), Doing("external-call", 2, "fetch"))
    ),
    "faulthandler/executor-starvation.txt": Truth((5,), (Doing("sync-wait", 5, "result"),)),
    "py-spy/executor-starvation.txt": Truth((5,), (Doing("sync-wait", 5, "Future.result"),)),
    "faulthandler/fatal-error.txt": Truth((5,), (Doing("sync-wait", 3, "wait_for_orders"),)),
    "faulthandler/hundred-thread-cap-python-3.14.txt": Truth((100,), truncated=True),
    "py-spy/anyio-all-tokens-taken.txt": Truth(
        (41,), (Doing("external-call", 40, "readinto", "AnyIO worker"), Doing("idle", 1)), requests=40
    ),
    "py-spy/anyio-c-calls.txt": Truth(
        (41,), (Doing("unknown", 40, "stock_api.py:slow", "AnyIO worker"), Doing("idle", 1)), requests=40
    ),
    "py-spy/dbutils-pool.txt": Truth(
        (31,), (Doing("pool-wait", 25, "reports_dbutils.py:report", "web-", timed=False), Doing("external-call", 5))
    ),
    "py-spy/process-queue-unread.txt": Truth((2,), (Doing("sync-wait", 1, "Queue._finalize_join", timed=False),)),
    "py-spy/redis-lock.txt": Truth(
        (13,), (Doing("lock-wait", 11, "lock_redis.py:settle"),), (Behind("settle-2", 11),), chain=("settle-2", 11, 1)
    ),
    "py-spy/retries.txt": Truth((17,), (Doing("sleep", 10, "work", "web-"), Doing("sleep", 6, "aws", "aws-"))),
    "py-spy/slow-uploads.txt": Truth((13,), (Doing("external-call", 12, "uploads.py:order"),), requests=12),
    "py-spy/sqlalchemy-sessions.txt": Truth(
        (13,),
        (Doing("pool-wait", 6, "checkout_sessions.py", timed=True), Doing("external-call", 6, "Checkout.charge")),
        requests=12,
    ),
    "py-spy/trio-idle-native.txt": Truth((11,), (Doing("idle", 11),)),
    "py-spy/waitress-all-threads-taken.txt": Truth(
        (5,), (Doing("external-call", 4, "readinto", "waitress-"), Doing("idle", 1)), requests=4
    ),
    "py-spy/gunicorn-threads.txt": Truth((6,), (Doing("external-call", 5, "slow"), Doing("idle", 1)), requests=5),
    "py-spy/http-client-no-timeout*.txt": Truth((9,), (Doing("external-call", 8, "fetch_rate"), Doing("idle", 1))),
    "*/requests-no-timeout.txt": Truth((21,), (Doing("external-call", 20, "charge"), Doing("idle", 1))),
    "py-spy/logging-lock*.txt": Truth(
        (7,), (Doing("lock-wait", 5, "Handler.acquire"), Doing("io", 1)), (Behind("req-0", 5),), chain=("req-0", 5, 1)
    ),
    "faulthandler/logging-lock.txt": Truth((7,), (Doing("lock-wait", 5, "acquire"), Doing("io", 1)), (Behind("", 5),)),
    "*/psycopg3-pool*.txt": Truth(
        (14,),
        (
            Doing("pool-wait", 5, "psycopg3_wait.py:waiter", timed=True),
            Doing("external-call", 2, "psycopg3_wait.py:report"),
            Doing("external-call", 2, "psycopg3_wait.py:raw"),
        ),
    ),
    "*/queue-idle-workers.txt": Truth((11,), (Doing("idle", 8, "get"), Doing("idle", 1, "join"))),
    "py-spy*/rlock-deadlock*": Truth(
        (5,), (Doing("idle", 1, "join"),), deadlocks=((frozenset({"t-AB-0", "t-BA-0"}), 2),)
    ),
    "faulthandler/rlock-deadlock.txt": Truth((5,), (Doing("idle", 1, "join"),), deadlocks=((frozenset({""}), 2),)),
    "py-spy/sleep-and-join.txt": Truth((7,), (Doing("idle", 1, "join"),)),
    "*/sqlalchemy-pool*.txt": Truth(
        (14,), (Doing("pool-wait", 10, ""), Doing("external-call", 3, "slow_report"), Doing("idle", 1, "join"))
    ),
    "pystack/gunicorn-threads.txt": Truth((6,), (Doing("external-call", 5, "slow"), Doing("idle", 1)), requests=5),
    "pystack/http-client-no-timeout*.txt": Truth((9,), (Doing("external-call", 8, "fetch_rate"), Doing("idle", 1))),
    "pystack/lock-contention*": Truth(CONTENTION.threads, CONTENTION.doing, (Behind("python", 12),)),
    "pystack/lock-contention-python-3.14-names.txt": Truth(
        CONTENTION.threads, CONTENTION.doing, (Behind("inventory-refre", 12),)
    ),
    "pystack/logging-lock.txt": Truth((7,), (Doing("lock-wait", 5, "acquire"), Doing("io", 1)), (Behind("python", 5),)),
    "pystack/rlock-deadlock*": Truth((5,), (Doing("idle", 1, "join"),), deadlocks=((frozenset({"python"}), 2),)),
    "profiling-sampling/asyncio-tasks.txt": Truth(
        (31,),
        (
            Doing("lock-wait", 20, "waiter", "Task-1 > waiter-"),
            Doing("idle", 10, "consumer", "Task-1 > consumer-"),
            Doing("external-call", 1, "holder", "Task-1 > holder"),
        ),
    ),
    "profiling-sampling/lock-contention*.txt": Truth(
        CONTENTION.threads, CONTENTION.doing, (Behind("thread 19731", 12),)
    ),
    "profiling-sampling/main-thread-only.txt": Truth((1,), (Doing("idle", 1, "join", "MainThread"),)),
    "traceback/*-synthetic.txt": RECIPE,
    "traceback/asyncio-idle-loop.txt": Truth((1,), (Doing("idle", 1),)),
    "traceback/lock-contention-hex-headers.txt": CONTENTION,
    "traceback/lock-contention-thread-repr-python-3.15.txt": CONTENTION,
    "traceback/logging-lock.txt": Truth(
        (7,), (Doing("lock-wait", 5, "acquire"), Doing("io", 1)), (Behind("req-0", 5),)
    ),
    "traceback/celery-cry.txt": Truth((5,), (Doing("idle", 2, "work", "worker-"),)),
    "traceback/hanging-threads.txt": Truth((4,), (Doing("idle", 2, "work", "worker-"),)),
    "traceback/manhole.txt": Truth((6,), (Doing("idle", 2, "work"),)),
    "traceback/oslo-guru-meditation.txt": RECIPE,
    "traceback/py*.txt": RECIPE,
    "traceback/pytest-timeout-in-a-failure.txt": Truth((1,)),
    "traceback/pytest-timeout.txt": Truth((2,), (Doing("sync-wait", 1, "test_hang", "MainThread"),)),
    "uwsgi/flask-threads.txt": Truth((4,), (Doing("external-call", 4, "slow", "uWSGIWorker1Core"),), requests=4),
    "hotspot-sa/core.txt": Truth((12,), (*WAITS, Doing("lock-wait", 1, "", "tenant")), behind=STOCK),
    "hotspot-sa/deadlock-three-mixed.txt": Truth(
        (17,),
        behind=(
            Behind("mix-1-holds-inventory", 8),
            Behind("mix-2-holds-reentrant", 1),
            Behind("mix-3-holds-ledger", 1),
        ),
        deadlocks=((frozenset({"mix-1-holds-inventory", "mix-2-holds-reentrant", "mix-3-holds-ledger"}), 7),),
    ),
    "hotspot-sa/deadlock-two-mixed.txt": Truth((23,), deadlocks=TRANSFERS, truncated=True),
    "hotspot-sa/deadlock-two-monitors-of-one-frame.txt": Truth((9,), deadlocks=TRANSFERS),
    "hotspot-sa/java25.txt": Truth((13,), WAITS, (*STOCK, Behind("keeper", 1))),
    "hotspot-sa/java25-mixed.txt": Truth((20,), (Doing("lock-wait", 3, "futex"),), truncated=True),
    "hotspot-sa/jstack-F-java8-synthetic.txt": Truth(
        (17,),
        (Doing("sleep", 2, "Cases.sleep"),),
        deadlocks=((frozenset({"mix-1-holds-inventory", "mix-2-holds-reentrant", "mix-3-holds-ledger"}), 0),),
    ),
    "hotspot-sa/mixed.txt": Truth((21,), (Doing("lock-wait", 3, "futex"),), truncated=True),
    "hotspot-sa/waits-of-every-kind.txt": Truth((12,), WAITS, (*STOCK, Behind("keeper", 1))),
    "gdb-py/*lock-contention*.txt": Truth((14,), (Doing("lock-wait", 12),), (Behind("", 12),)),
    "gdb-py/py-bt-http-client-no-timeout.txt": Truth((9,), (Doing("external-call", 8, "fetch_rate"),)),
    "gdb-py/py-bt-sync-primitives.txt": Truth(
        (19,), (Doing("sleep", 1, "hold_rlock"), Doing("lock-wait", 1, "want_rlock"))
    ),
    "gdb-py/bt-python-3.10.txt": Truth((11,), LOCKS_AND_GIL, (Behind("refresher", 4), Behind("ordering", 2))),
    "gdb-py/bt-python-3.12-native-only.txt": Truth(
        (11,),
        (Doing("lock-wait", 6), Doing("sleep", 1), Doing("external-call", 1)),
        (Behind("", 4), Behind("", 2)),
    ),
    "gdb-py/py-bt-full-names.txt": Truth((11,), WAITS_FOR_GIL, (Behind("refresher", 4), Behind("ordering", 2))),
    "gdb-py/py-bt-waiting-for-gil.txt": Truth((11,), WAITS_FOR_GIL, (Behind("", 4), Behind("", 2))),
    "*/core-segfault.txt": Truth((3,), (Doing("running", 1, "string_at"),)),
    "gdb-py/core-segfault.txt": Truth((3,), (Doing("sleep", 1, "nap"),)),
    "pystack/core-of-a-live-process.txt": Truth((4,)),
    "pystack/subinterpreters.txt": Truth((4,)),
    "asyncio/call-graph.txt": TASKS,
    "asyncio/print-stack.txt": Truth((32,), (Doing("lock-wait", 20, "waiter"), Doing("idle", 10, "", "consumer-"))),
    "asyncio/*-awaits.txt": Truth((17,), (Doing("sync-wait", 1, "gather_naps"), Doing("sync-wait", 1, "wrapped"))),
    "asyncio/print-stack-awaits.txt": Truth(
        (17,), (Doing("queue-put", 1, "fill"), Doing("lock-wait", 1, "slot"), Doing("io", 1, "run_converter"))
    ),
    "asyncio/ps-loop-blocked-python-3.15.txt": Truth((5,), (Doing("sleep", 3, "", "heartbeat-"),)),
    "asyncio/ps.txt": TASKS,
    "asyncio/pstree.txt": TASKS,
    "asyncio/task-reprs-python-3.9.txt": Truth((32,)),
    "asyncio/*-circle.txt": Truth(
        (11,),
        (Doing("sync-wait", 3), Doing("idle", 1, "", "refund")),
        deadlocks=((frozenset({"invoice", "payment"}), 1),),
    ),
    "gevent/blocked-loop.txt": Truth((5,), (Doing("unknown", 1, "charge", "thread 0x"),)),
    "gevent/run-info.txt": Truth(
        (19,),
        (
            Doing("external-call", 3, "fetch"),
            Doing("external-call", 3, "", "Greenlet-"),
            Doing("sleep", 1, "clean_up"),
            Doing("idle", 3, "gevent/threadpool.py"),
            Doing("idle", 1, "", "Hub"),
        ),
    ),
    "jcmd-*/deadlock-two.*": Truth((10,), deadlocks=TRANSFERS),
    "jcmd-*/java21-monitor-convoy.*": Truth((35,), (Doing("sleep", 1, "HolidayFeed", "sched-worker-"),), requests=25),
    "jcmd-plain/pinned-carriers.txt": Truth((38,), (Doing("external-call", 2, "RemoteClient.call", "vt-clinit-"),)),
    "jcmd-json/task-scopes.json": Truth(
        (27,),
        (
            Doing("external-call", 11, "PriceServer.price", timed=False),
            Doing("sync-wait", 2, "Prices.quote", "request-"),
            Doing("sync-wait", 1, "Prices.quote", "main"),
        ),
    ),
    "jcmd-*/locks-of-both-kinds.*": Truth((19,), (Doing("lock-wait", 8, "BothKinds."),), (Behind("keeper", 4),)),
    "hotspot/locks-of-both-kinds.txt": Truth(
        (19,), (Doing("lock-wait", 2, "BothKinds.", "platform-"),), (Behind("keeper", 1), Behind("keeper", 1))
    ),
    "hotspot/task-scopes.txt": Truth((17,), (Doing("sync-wait", 1, "Prices.quote", "main"),)),
    "jcmd-*/virtual-deadlock.*": Truth(
        (16,),
        (Doing("lock-wait", 4, "", "vt-"),),
        deadlocks=((frozenset({"vt-transfer-AB", "vt-transfer-BA"}), 0),),
    ),
    "actuator/monitor-convoy.json": MONITOR_CONVOY,
    "actuator/*-synthetic.json": Truth((21,), CONVOY.doing, CONVOY.behind, chain=CONVOY.chain),
    "threadmxbean/jconsole-synthetic.txt": CONVOY,
    "threadmxbean/weblogic-synthetic.txt": Truth((21,), CONVOY.doing),
    "threadmxbean/chain-of-six*.txt": Truth(
        (34,), (Doing("external-call", 1, "", "chain-6"),), (Behind("chain-1", 20),), chain=("chain-6", 25, 6)
    ),
    "threadmxbean/deadlock-three-mixed.txt": Truth(
        (17,),
        behind=(
            Behind("mix-1-holds-inventory", 8),
            Behind("mix-2-holds-reentrant", 1),
            Behind("mix-3-holds-ledger", 1),
        ),
        deadlocks=((frozenset({"mix-1-holds-inventory", "mix-2-holds-reentrant", "mix-3-holds-ledger"}), 7),),
    ),
    "threadmxbean/deadlock-two-java25.txt": Truth((9,), deadlocks=TRANSFERS),
    "threadmxbean/hikari-pool.txt": Truth(
        (109,),
        (
            Doing("external-call", 10, "", "http-nio-"),
            Doing("pool-wait", 90, "HikariPool.getConnection", "http-nio-", timed=True),
        ),
        requests=100,
    ),
    "threadmxbean/monitor-convoy-full-depth.txt": Truth(
        (108,), MONITOR_CONVOY.doing, MONITOR_CONVOY.behind, chain=MONITOR_CONVOY.chain
    ),
    "threadmxbean/names-hostile.txt": Truth((19,), (Doing("sync-wait", 12, "CountDownLatch.await"),)),
    "threadmxbean/reentrant-lock-convoy.txt": Truth((58,), behind=(Behind("worker-1", 49),), chain=("worker-1", 49, 1)),
    "threadmxbean/relock-in-wait.txt": Truth((17,), behind=(Behind("notifier", 8),), chain=("notifier", 8, 1)),
    "threadmxbean/write-lock-holder.txt": Truth(
        (49,), (Doing("external-call", 1, "", "cache-refresher"),), (Behind("cache-refresher", 40),)
    ),
    "javacore/classic-flat-locks-synthetic.txt": Truth(
        (6,),
        (Doing("lock-wait", 3, "Bank.transfer", "teller-"),),
        deadlocks=((frozenset({"teller-1", "teller-2"}), 1),),
    ),
    "javacore/deadlock-monitors-and-lock-synthetic.txt": Truth(
        (14,),
        (Doing("sync-wait", 1, "Mailbox.next"), Doing("lock-wait", 1, "Price.of", "init-2"), Doing("runtime", 5)),
        (Behind("transfer", 2), Behind("booking", 2), Behind("init-1", 1)),
        deadlocks=((frozenset({"booking", "audit", "transfer"}), 2),),
    ),
    "javacore/java5-owners-in-locks-section-synthetic.txt": Truth(
        (6,), (Doing("sleep", 1, "HolidayFeed.pause", "sched-1"),), (Behind("sched-1", 2),), chain=("sched-1", 2, 1)
    ),
    "javacore/locks-section-alone-synthetic.txt": Truth(
        (8,), (Doing("lock-wait", 6, "", "req-"),), (Behind("req-0", 6),), truncated=True, chain=("req-0", 6, 1)
    ),
    "javacore/orders-pool-synthetic.txt": Truth(
        (41,),
        (
            Doing("external-call", 20, "SchedulingClient.requestSlot", "http-nio-"),
            Doing("pool-wait", 5, "getPoolEntryBlocking", "http-nio-", timed=False),
        ),
        requests=25,
    ),
    "javacore/out-of-memory-synthetic.txt": Truth(
        (16,),
        (
            Doing("lock-wait", 2, "Report.render", "req-"),
            Doing("lock-wait", 1, "ReentrantLock.lock", "req-6", timed=False),
            Doing("external-call", 1, "StockClient.ask", "req-7"),
            Doing("idle", 1, "getTask", "req-8"),
            Doing("runtime", 7),
        ),
        (Behind("req-3", 2), Behind("req-7", 1)),
    ),
    "javacore/virtual-threads-synthetic.txt": Truth(
        (10,),
        (
            Doing("running", 1, "Price.sum", "order-1"),
            Doing("lock-wait", 1, "Stock.reserve", "order-2"),
            Doing("sleep", 1, "Poll.pause"),
            Doing("runtime", 1, "", "ForkJoinPool-1-worker-1"),
        ),
    ),
    "jrockit/java-1.4.2-open-lock-chain-synthetic.txt": Truth(
        (7,), (Doing("sleep", 1, "HolidayFeed.pause", "sched-1"),), (Behind("sched-1", 2),), chain=("sched-1", 2, 1)
    ),
    "jrockit/r28-lock-chains-synthetic.txt": Truth(
        (15,),
        (
            Doing("external-call", 1, "Gateway.ask", "gateway"),
            Doing("idle", 1, "getTask", "pool-1-thread-1"),
            Doing("sync-wait", 1, "Mailbox.next", "mailbox"),
        ),
        (Behind("transfer", 2), Behind("booking", 1)),
        deadlocks=((frozenset({"booking", "transfer"}), 1),),
    ),
    "jrockit/java-1.4.1-no-locks-synthetic.txt": Truth(
        (4,), (Doing("idle", 1, "waitForRequest"), Doing("lock-wait", 1, "Calendar.reserve"), Doing("runtime", 2))
    ),
    "jrockit/weblogic-log-record-synthetic.txt": Truth(
        (3,),
        deadlocks=(
            (frozenset(f"ExecuteThread: '{number}' for queue: 'weblogic.kernel.Default'" for number in (0, 1)), 0),
        ),
    ),
    "faulthandler/c-calls.txt": C_CALLS,
    "py-spy/c-calls*.txt": C_CALLS,
    "py-spy/subprocesses.txt": Truth((1, 5, 5), behind=(Behind("cart-0", 3), Behind("cart-0", 3))),
    "py-spy/terminal-colours-crlf.txt": PYTHON_SCHEDULING,
    "faulthandler/timeout-repeat-three-dumps.txt": Truth((3, 3, 3)),
    "py-spy/python-3.1[234]*.txt": CONTENTION,
    "py-spy/version-0.4.3*.txt": CONTENTION,
    "py-spy-json/lock-contention.json": CONTENTION,
    "py-spy-json/python-3.14.json": CONTENTION,
    "py-spy-json/python-3.9.json": CONTENTION,
    "py-spy/python-3.9-bare-names.txt": CONTENTION,
    "py-spy/version-0.1.11.txt": NAMELESS_CONTENTION,
    "py-spy/version-0.2.2*.txt": CONTENTION,
    "py-spy/version-0.3.3*.txt": CONTENTION,
    "py-spy/version-0.4.[02]*.txt": CONTENTION,
    "faulthandler/python-3.*.txt": NAMELESS_CONTENTION,
    "faulthandler/python-3.1[45]-thread-names.txt": Truth(
        CONTENTION.threads, CONTENTION.doing, (Behind("inventory-refre", 12),)
    ),
}

# Names of functions have their class in front from Python 3.11 on, and never in faulthandler's dumps. Without it
# nothing but the file ties the holder of a lock to those who wait for it.
UNQUALIFIED = (
    "py-spy-json/python-3.9.json",
    "py-spy/python-3.9-bare-names.txt",
    *(name for name in NAMES if re.match(r"py-spy/version-0\.(?:[123]\.|4\.[02])", name)),
    *(name for name in NAMES if name.startswith("faulthandler/python-3.")),
    *(name for name in NAMES if name.startswith(("pystack/lock-contention", "traceback/lock-contention"))),
    *(name for name in NAMES if name.startswith("gdb-py/") and ("lock" in name or TRUTHS.get(name, Truth(())).behind)),
)

WITHOUT_SOURCE = [name for name in NAMES if name.startswith(("py-spy", "faulthandler"))]
"""Dumps that print no source lines."""
WRONG: dict[tuple[str, str], str] = {
    **{(name, "owners"): "nothing in the dump ties the holder of the lock to those who wait" for name in UNQUALIFIED},
    **{(n, "deadlocks"): "CPython prints neither locks nor their owners" for n in NAMES if "rlock-deadlock" in n},
    ("py-spy/version-0.2.2.txt", "doing"): "py-spy 0.2 calls the holder active, alone at its line, and is believed",
    **{
        (n, "holders"): "calls past the pool count as holders of its slots"
        for n in WITHOUT_SOURCE
        if "psycopg3-pool" in n
    },
}
"""Where the tool is known to be wrong about a fixture, and why; a truth is never changed to fit."""


def truth(name: str) -> Truth:
    """The entry of the longest pattern that fits."""
    return TRUTHS[max((pattern for pattern in TRUTHS if fnmatch(name, pattern)), key=len)]


def marked(names: list[str], question: str) -> list[Any]:
    """The names as parameters; where the tool is known to be wrong in this question, it has to stay wrong."""
    return [
        pytest.param(name, marks=pytest.mark.xfail(reason=WRONG[name, question])) if (name, question) in WRONG else name
        for name in names
    ]


def counted(dumps: list[DumpReport], doing: Doing) -> int:
    return sum(
        sum(thread.startswith(doing.named) for thread in group.threads)
        for dump in dumps
        for group in dump.groups
        if group.kind == doing.kind and doing.where in f"{group.blocking_frame} {group.caller}"
    )


def test_each_truth_is_about_a_fixture() -> None:
    assert {name for name in NAMES if not any(fnmatch(name, pattern) for pattern in TRUTHS)} == set()
    assert {pattern for pattern in TRUTHS if not any(fnmatch(name, pattern) for name in NAMES)} == set()


@pytest.mark.parametrize("name", NAMES)
def test_number_of_threads(name: str) -> None:
    dumps = goldens.report(name).dumps
    assert tuple(dump.total for dump in dumps) == truth(name).threads
    assert all(sum(group.count for group in dump.groups) == dump.total for dump in dumps)


@pytest.mark.parametrize("name", NAMES)
def test_provenance_counts_the_same_threads(name: str) -> None:
    """Its free text says how many threads there are in many rows: that has to agree with the table above."""
    told = goldens.provenance()[name]["truth"]
    count = re.match(r"(\d+) (?:of \d+ threads shown|thread headers|threads?\b)", told)
    if count is None or name == "hotspot/truncated-midline.txt":
        return
    split_headers = name == "hotspot/names-hostile.txt"
    mounted = sum(dump.virtual for dump in goldens.report(name).dumps if dump.format == "hotspot")
    assert int(count[1]) == sum(truth(name).threads) - mounted - split_headers


@pytest.mark.parametrize("name", marked(NAMES, "doing"))
def test_what_the_threads_do(name: str) -> None:
    dumps = goldens.report(name).dumps
    assert [(doing, counted(dumps, doing)) for doing in truth(name).doing] == [
        (doing, doing.count) for doing in truth(name).doing
    ]
    for doing in truth(name).doing:
        if doing.timed is not None:
            groups = [g for dump in dumps for g in dump.groups if g.kind == doing.kind and g.count == doing.count]
            assert {group.timed for group in groups} == {doing.timed}


@pytest.mark.parametrize("name", [name for name in NAMES if "/limits" in name])
def test_whether_a_wait_has_a_limit(name: str) -> None:
    """The program calls its threads by it."""
    said = {
        thread: group.timed
        for dump in goldens.report(name).dumps
        for group in dump.groups
        for thread in group.threads
        if "timed-" in thread
    }
    assert said == {thread: thread.startswith("timed-") for thread in said}
    assert len(said) == 30


@pytest.mark.parametrize("name", marked(NAMES, "requests"))
def test_request_threads(name: str) -> None:
    expected = truth(name).requests
    assert expected is None or [dump.request_threads for dump in goldens.report(name).dumps] == [expected]


@pytest.mark.parametrize("name", marked(NAMES, "owners"))
def test_owners_of_locks(name: str) -> None:
    """faulthandler before 3.14 prints no names: the truth has an empty one, the report says which address."""
    owned = [
        Behind("" if lock.owner.thread.startswith("thread 0x") else lock.owner.thread, len(lock.waiting))
        for dump in goldens.report(name).dumps
        for lock in dump.locks
        if lock.owner is not None
    ]
    expected = list(truth(name).behind)
    assert [one for one in expected if expected.count(one) > owned.count(one)] == []
    # Nobody else is accused: an owner of whom the truth says nothing is one of the chain or of the deadlock.
    members = {thread for threads, _ in truth(name).deadlocks for thread in threads}
    chain = truth(name).chain
    prefix = chain[0].rpartition("-")[0] if chain is not None else None
    others = [one for one in owned if one not in expected and one.owner not in members]
    assert all(prefix is not None and one.owner.startswith(prefix) for one in others), others


@pytest.mark.parametrize("name", marked(NAMES, "deadlocks"))
def test_deadlocks(name: str) -> None:
    found = [
        (frozenset(deadlock.threads), deadlock.behind)
        for dump in goldens.report(name).dumps
        for deadlock in dump.deadlocks
    ]
    assert sorted(found, key=repr) == sorted(truth(name).deadlocks, key=repr)
    told = [finding for dump in goldens.report(name).dumps for finding in dump.findings if finding.id == "deadlock"]
    assert len(told) == len(found)
    assert all(finding.severity == "critical" for finding in told)


@pytest.mark.parametrize("name", marked([name for name in NAMES if truth(name).chain is not None], "chain"))
def test_chains(name: str) -> None:
    root, waiting, depth = truth(name).chain or ("", 0, 0)
    chains = [chain for dump in goldens.report(name).dumps for chain in dump.chains]
    assert [(chain.root.threads, chain.waiting, chain.depth) for chain in chains] == [([root], waiting, depth)]


@pytest.mark.parametrize("name", NAMES)
def test_missing_parts(name: str) -> None:
    dumps = goldens.report(name).dumps
    assert [dump.truncated for dump in dumps] == [truth(name).truncated] * len(dumps)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("healthy/")])
def test_nobody_accuses_the_healthy(name: str) -> None:
    for dump in goldens.report(name).dumps:
        bad = [f for f in dump.findings if SEVERITIES.index(f.severity) <= SEVERITIES.index("medium")]
        assert bad == []
        assert not {"external-call", "lock-wait", "pool-wait", "queue-put", "io"} & dump.by_kind.keys()
        assert (dump.locks, dump.chains, dump.deadlocks) == ([], [], [])
        assert "BLOCKED" not in dump.by_state


@pytest.mark.parametrize("name", marked([n for n in NAMES if n.startswith("black-friday/frontend")], "saturation"))
def test_idle_request_threads_are_not_taken(name: str) -> None:
    """Five of the 300 request threads wait for work: the pool is nearly full, not full."""
    (dump,) = goldens.report(name).dumps
    assert [finding.title for finding in dump.findings if "all 300" in finding.title] == []


@pytest.mark.parametrize("name", marked([name for name in NAMES if "psycopg3-pool" in name], "holders"))
def test_connections_outside_the_pool_are_not_its_slots(name: str) -> None:
    """Two threads have connections of their own, opened past the pool."""
    (dump,) = goldens.report(name).dumps
    callers = {chain.root.caller for chain in dump.chains}
    assert len(callers) == 1
    assert callers.pop().rpartition(":")[2] == "report"


@pytest.mark.parametrize("name", marked([name for name in NAMES if "executor-starvation" in name], "starvation"))
def test_workers_that_wait_for_their_own_pool_are_told(name: str) -> None:
    """All workers wait for tasks that are queued behind themselves: no lock is held, and nothing will ever move."""
    (dump,) = goldens.report(name).dumps
    assert (dump.deadlocks, [lock for lock in dump.locks if lock.owner is not None]) == ([], [])
    assert [finding for finding in dump.findings if finding.severity != "info"] != []


@pytest.mark.parametrize("name", marked(NAMES, "directly"))
def test_threads_directly_behind_an_owner(name: str) -> None:
    for dump in goldens.report(name).dumps:
        waiting = {
            sum(len(lock.waiting) for lock in dump.locks if lock.owner and lock.owner.thread == owner)
            for owner in {lock.owner.thread for lock in dump.locks if lock.owner is not None}
        }
        for finding in dump.findings:
            told = re.search(r"\((\d+) directly\)", finding.title)
            assert told is None or int(told[1]) in waiting, finding.title


# What does not depend on how a dump arrives


def essence(dump: DumpReport) -> dict[str, Any]:
    """The summary without what counts the lines around the dump."""
    kept = goldens.summary(dump)
    del kept["problems"], kept["unread_lines"]
    return kept | {"threads": [sorted(group.threads) for group in dump.groups]}


def variations() -> Iterator[Any]:
    for name in NAMES:
        for variant in variants.SAME:
            if not (name.endswith(".json") and variant in variants.SENSELESS_FOR_JSON):
                yield pytest.param(name, variant, id=f"{name}-{variant}")


@pytest.mark.parametrize(("name", "variant"), list(variations()))
def test_variants_say_the_same(name: str, variant: str) -> None:
    plain = goldens.report(name).dumps
    changed = goldens.report_on(variants.SAME[variant](goldens.content(name))).dumps
    times = 2 if variant == "twice" else 1
    assert [essence(dump) for dump in changed] == [essence(dump) for dump in plain] * times
    if variant in {"crlf", "cr-cr-lf", "utf-16-with-mark", "utf-16-without-mark", "utf-8-with-mark", "coloured"}:
        assert [dump.line for dump in changed] == [dump.line for dump in plain]
        assert [dump.unread_lines for dump in changed] == [dump.unread_lines for dump in plain]
        assert [len(dump.problems) for dump in changed] == [len(dump.problems) for dump in plain]


ANSI = re.compile(rb"\x1b\[[0-9;]*m")


def shows_the_cut(name: str, last: bytes) -> bool:
    """Whether an input that ends in this line is visibly cut.

    HotSpot, a javacore and JRockit print a line after the threads, and JSON has its bracket. py-spy and faulthandler
    print nothing at the end: only half a frame shows that something is missing; what looks like a whole one does not.
    """
    last = ANSI.sub(b"", last)
    if name.endswith(".json") or goldens.report(name).dumps[0].format in {"hotspot", "javacore", "jrockit"}:
        return True
    if goldens.report(name).dumps[0].format == "py-spy":
        return last.startswith(b"    ") and last[4:5].strip() != b"" and not last.rstrip().endswith(b")")
    return last.startswith(b'  File "') and b" in" not in last


def read(raw: bytes) -> list[Dump]:
    """The dumps of an input; none where it has none."""
    try:
        return list(intake.dumps(goldens.source(raw)))
    except InputError:
        return []


@pytest.mark.parametrize("name", NAMES)
def test_cut_short(name: str) -> None:
    raw = goldens.content(name)
    whole = [thread.name for dump in read(raw) for thread in dump.threads]
    for number, cut in enumerate(variants.cuts(raw)):
        dumps = read(raw[:cut])
        if any("section THREADS is missing" in reason for dump in dumps for reason in dump.truncated):
            continue  # the locks of a javacore come first: the threads that they name are all there is
        threads = [thread.name for dump in dumps for thread in dump.threads]
        # The beginning of the threads; of the last one's name too, if its header was cut.
        assert threads[:-1] == whole[: max(0, len(threads) - 1)], cut
        assert not threads or whole[len(threads) - 1].startswith(threads[-1]), cut
        if threads and len(threads) < len(whole) and shows_the_cut(name, raw[:cut].rpartition(b"\n")[2]):
            assert any(dump.truncated or dump.problems for dump in dumps), cut
        if number % 20 == 0:
            try:
                found = goldens.report_on(raw[:cut])
            except InputError:
                assert threads == []
            else:
                assert sum(dump.total for dump in found.dumps) == len(threads)


# Renderers

SCHEMA = json.loads(resources.files("threaddump.reports").joinpath("report.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


@pytest.mark.parametrize("name", NAMES)
def test_json_fits_the_schema(name: str) -> None:
    out = io.StringIO()
    json_report.write(goldens.report(name), out)
    value = json.loads(out.getvalue())
    VALIDATOR.validate(value)
    assert len(value["dumps"]) == len(truth(name).threads)


@pytest.mark.parametrize("name", NAMES)
def test_terminal_keeps_the_width(name: str) -> None:
    for width in (80, 120):
        out = io.StringIO()
        terminal.write(goldens.report(name), out, width=width, color=False, top=10)
        assert out.getvalue().count("\n") >= 3
        assert max(map(cells, out.getvalue().splitlines())) <= width


@pytest.mark.parametrize("name", NAMES)
def test_markdown(name: str) -> None:
    out = io.StringIO()
    markdown.write(goldens.report(name), out, top=10)
    assert out.getvalue().startswith("#")
    assert "Traceback" not in out.getvalue()


def test_many_dumps_in_one_report() -> None:
    everything = Report([dump for name in NAMES for dump in goldens.report(name).dumps])
    terminal.write(everything, io.StringIO(), width=80, color=False, top=3)
    markdown.write(everything, io.StringIO(), top=3)
