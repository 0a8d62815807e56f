"""For each finding the smallest dump that shows it, and its counter-example: as near to it as can be, and healthy."""

from __future__ import annotations

from typing import NamedTuple

import dumps
from dumps import (
    AWAIT,
    IDLE,
    PARK,
    PY_REQUESTS,
    PY_THREAD,
    SERVLET,
    SLEEP,
    SOCKET_READ,
    WORKER,
    blocked,
    dump,
    lock,
    monitor,
    reentrant,
    thread,
    times,
)
from threaddump_parsers.model import Container, Dump, Lock, OsFacts, SystemCall, Thread

JUC = "java.util.concurrent."
READ_WRITE = lock("0xr", f"{JUC}locks.ReentrantReadWriteLock$NonfairSync")
READ_FOREVER = (
    "sun.nio.ch.SocketDispatcher.read0",
    "sun.nio.ch.NioSocketImpl.tryRead",
    "sun.nio.ch.NioSocketImpl.implRead",
    "java.net.Socket$SocketInputStream.read",
)
CALL = "com.shop.Gateway.call"
GET = (*PARK, f"{JUC}FutureTask.awaitDone", f"{JUC}FutureTask.get")
LOOP = (
    "asyncio/events.py:Handle._run@80",
    "asyncio/base_events.py:BaseEventLoop._run_once@1922",
    "shop/main.py:<module>@9",
)


BACKOFF = ("org.springframework.retry.backoff.ThreadWaitSleeper.sleep",)
PY_JOB = ("shop/stock.py:get@9", *PY_THREAD)
PY_RESULT = (
    "threading.py:Condition.wait@327",
    "threading.py:Event.wait@629",
    "multiprocessing/pool.py:ApplyResult.wait@765",
    "multiprocessing/pool.py:ApplyResult.get@768",
)
PY_JOINS = ("threading.py:Thread._wait_for_tstate_lock@1139", "threading.py:Thread.join@1119")


class Example(NamedTuple):
    """A dump in which the finding is there, and one in which it is not."""

    sick: Dump
    healthy: Dump


def running(count: int, prefix: str = "busy") -> list[Thread]:
    return times(count, prefix, "com.shop.Cart.total", *SERVLET, state="RUNNABLE")


def idle(count: int, prefix: str = "exec") -> list[Thread]:
    return times(count, prefix, *IDLE, state="WAITING")


def behind(count: int, wanted: Lock) -> list[Thread]:
    return [blocked(f"exec-{number}", wanted) for number in range(count)]


def owner(held: Lock, *words: str, state: str = "TIMED_WAITING") -> Thread:
    return thread("owner", *words or SLEEP, "com.shop.Feed.pause", *WORKER, state=state, holds=[held])


def calls(count: int, words: tuple[str, ...] = SOCKET_READ, below: tuple[str, ...] = WORKER) -> list[Thread]:
    return times(count, "exec", *words, CALL, *below, state="RUNNABLE")


def leases(count: int, state: str, words: tuple[str, ...] = dumps.APACHE_POOL) -> list[Thread]:
    return times(count, "exec", *words, CALL, *SERVLET, state=state)


def stalled(count: int, *words: str, state: str, below: tuple[str, ...] = WORKER) -> list[Thread]:
    """Threads in one kind of wait, from a few callers: no call is hot."""
    return [
        thread(f"exec-{number}", *words, f"com.shop.C{number % 3}.go", *below, state=state) for number in range(count)
    ]


def rivals(swap: bool) -> list[Thread]:
    """Two threads, each with a lock; with ``swap`` each wants the other's."""
    a, b = monitor("0xa"), monitor("0xb")
    return [blocked("one", b, holds=[a]), blocked("two", a, holds=[b]) if swap else thread("two", holds=[b])]


def read_write(writers: int) -> list[Thread]:
    words = (*PARK, f"{JUC}locks.ReentrantReadWriteLock$ReadLock.lock", "com.shop.Prices.read", *WORKER)
    write = (*PARK, f"{JUC}locks.ReentrantReadWriteLock$WriteLock.lock", "com.shop.Prices.update", *WORKER)
    return [
        *times(4, "read", *words, state="WAITING", wants=READ_WRITE),
        *times(writers, "write", *write, state="WAITING", wants=READ_WRITE),
    ]


def carriers(*words: str) -> list[Thread]:
    made = []
    for number in (1, 2):
        name = f"ForkJoinPool-1-worker-{number}"
        made.append(thread(name, "jdk.internal.vm.Continuation.run", carries=number))
        made.append(thread(f"v{number}", *words, "com.shop.Api.call", virtual=True, carrier=name))
    return made


def loop(*words: str) -> Dump:
    return dump([thread("loop", *words, "shop/api.py:profile@12", *LOOP, state="IDLE")], "python")


def gil(*words: str) -> Dump:
    waiting = times(3, "job", *words, "shop/job.py:step@4", *PY_THREAD, state="IDLE")
    return dump([*waiting, thread("parse", "shop/parse.py:scan@7", *PY_THREAD, state="ACTIVE", gil=True)], "python")


def spinning(cpu_s: float) -> Thread:
    return thread("cart", "com.shop.Cart.total", *WORKER, state="RUNNABLE", cpu_ms=cpu_s * 1000, elapsed_s=100.0)


def collecting(cpu_s: float) -> list[Thread]:
    return [spinning(10.0), thread("GC Thread#0", internal=True, cpu_ms=cpu_s * 1000, elapsed_s=100.0)]


def tomcat(*more: Thread) -> list[Thread]:
    words = (*AWAIT, "org.apache.tomcat.util.threads.TaskQueue.take", "java.lang.Thread.run")
    return [*times(4, "http-nio-80-exec", *words, state="WAITING"), thread("VM Thread", internal=True), *more]


def leftovers(name: str) -> list[Thread]:
    return [*times(2, "pool-1-thread", *IDLE, state="WAITING", daemon=False), thread(name, daemon=False)]


def many(count: int, prefix: str = "other") -> list[Thread]:
    return times(count, prefix, *IDLE, state="WAITING")


def ledger(ways: int) -> list[Thread]:
    """Request threads that all wait in the ledger, from so many pages."""
    pages = [f"com.shop.Page{n % ways}.show" for n in range(20)]
    return [thread("exec", *AWAIT, "com.shop.Ledger.append", page, *SERVLET, state="WAITING") for page in pages]


def captured(ms: int, state: str = "ESTABLISHED", **process: object) -> Dump:
    """A call that waits so long, captured with what the kernel knows."""
    call = SystemCall("recvfrom", "10.0.0.7:7001", state, waiting_ms=ms)
    return dump([thread("exec-1", *SOCKET_READ, CALL, *WORKER, state="RUNNABLE", call=call)], os=OsFacts(99, process))


def connections(**row: object) -> Dump:
    return captured(0, connections=[{"from": "10.0.0.1:8080"} | row])


def scope(*calls: str) -> Dump:
    """A thread that waits in a task scope for tasks, which read in these calls."""
    opened = Container("java.util.concurrent.StructuredTaskScopeImpl@1", owner=1)
    join = (*PARK, "jdk.internal.misc.ThreadFlock.awaitAll", f"{JUC}StructuredTaskScopeImpl.join")
    owner = thread("owner", *join, "com.shop.Quote.collect", state="WAITING", java_id=1)
    tasks = [
        thread(f"task-{n}", *READ_FOREVER, call, state="RUNNABLE", virtual=True, java_id=n, container=opened)
        for n, call in enumerate(calls, 2)
    ]
    return dump([owner, *tasks], containers=[opened])


RESOLVE = ("java.net.Inet6AddressImpl.lookupAllHostAddr", "java.net.InetAddress.getByName")
CONNECT = ("sun.nio.ch.Net.connect0", "sun.nio.ch.NioSocketImpl.connect", "java.net.Socket.connect")
WRITE = ("java.net.SocketOutputStream.socketWrite0", "java.net.SocketOutputStream.write")
FILE = ("java.io.FileInputStream.readBytes", "java.io.FileInputStream.read")
RANDOM = (*FILE, "sun.security.provider.NativePRNG$RandomIO.readFully", "java.security.SecureRandom.nextBytes")
CHILD = ("java.lang.Object.wait", "java.lang.ProcessImpl.waitFor")
PUT = (*AWAIT, f"{JUC}ArrayBlockingQueue.put")
LATCH = (*PARK, f"{JUC}CountDownLatch.await")
PERMIT = (*PARK, f"{JUC}Semaphore.acquire")
DISTRIBUTED = ("java.lang.Object.wait", "org.apache.curator.framework.recipes.locks.LockInternals.internalLockLoop")
THROTTLE = ("java.lang.Thread.sleep", "com.google.common.util.concurrent.RateLimiter.acquire")
NOTIFY = ("java.lang.Object.wait", "com.shop.Gate.pass")
FINALIZE = ("com.shop.Handle.finalize", "java.lang.ref.Finalizer.runFinalizer")
FILL = ("java.lang.Throwable.fillInStackTrace", "com.shop.MissingException.<init>")
PINNED = (PARK[0], "java.lang.VirtualThread.parkOnCarrierThread", *SOCKET_READ)
STARTED = ("org.springframework.context.support.AbstractApplicationContext.refresh", "com.shop.Main.main")

EXAMPLES: dict[str, Example] = {
    "deadlock": Example(dump(rivals(swap=True)), dump(rivals(swap=False))),
    "hot-external-call": Example(dump(calls(10)), dump([*calls(4), *idle(40)])),
    "read-without-timeout": Example(dump(calls(1, READ_FOREVER)), dump(calls(1))),
    "pool-wait-untimed": Example(dump(leases(2, "WAITING")), dump(leases(2, "TIMED_WAITING"))),
    "pool-exhausted": Example(dump(leases(2, "TIMED_WAITING")), dump(leases(2, "RUNNABLE", dumps.APACHE_CALL))),
    "threads-behind-one-owner": Example(
        dump([owner(monitor("0xa")), *behind(3, monitor("0xa"))]),
        dump([owner(monitor("0xa"), *IDLE[:-3], state="WAITING"), *behind(3, monitor("0xa"))]),
    ),
    "lock-owner-unknown": Example(
        dump(behind(5, reentrant("0xb"))), dump([owner(reentrant("0xb")), *behind(5, reentrant("0xb"))])
    ),
    "write-lock-starved": Example(dump(read_write(writers=1)), dump(read_write(writers=0))),
    "request-threads-saturated": Example(
        dump(leases(8, "WAITING")), dump([*leases(8, "WAITING"), *running(2, "exec-busy")])
    ),
    "thread-pool-saturated": Example(dump(calls(8)), dump([*calls(8), *idle(1)])),
    "executor-starved": Example(
        dump(times(2, "pool", *GET, "com.shop.Report.merge", *WORKER, state="WAITING")),
        dump(
            [
                *times(2, "pool", *GET, "com.shop.Report.merge", *WORKER, state="WAITING"),
                thread("pool-9", *IDLE, state="WAITING"),
            ]
        ),
    ),
    "scope-tasks-stuck": Example(scope(CALL, CALL), scope(CALL, "com.shop.Stock.call")),
    "event-loop-blocked": Example(loop(*PY_REQUESTS), loop("asyncio/streams.py:StreamReader.read@9")),
    "gil-held": Example(gil("native:take_gil"), gil("native:clock_nanosleep")),
    "dns-wait": Example(dump(stalled(5, *RESOLVE, state="RUNNABLE")), dump([*stalled(2, *RESOLVE, state="RUNNABLE")])),
    "connect-wait": Example(dump(stalled(5, *CONNECT, state="RUNNABLE")), dump(stalled(2, *CONNECT, state="RUNNABLE"))),
    "write-stall": Example(dump(stalled(5, *WRITE, state="RUNNABLE")), dump(stalled(2, *WRITE, state="RUNNABLE"))),
    "file-stall": Example(
        dump(stalled(5, *FILE, state="RUNNABLE")), dump([*stalled(5, *FILE, state="RUNNABLE"), *idle(60)])
    ),
    "child-process-wait": Example(dump(stalled(5, *CHILD, state="WAITING")), dump(stalled(2, *CHILD, state="WAITING"))),
    "entropy-wait": Example(dump(stalled(5, *RANDOM, state="RUNNABLE")), dump(stalled(5, *FILE, state="RUNNABLE"))),
    "queue-full": Example(
        dump(stalled(5, *PUT, state="WAITING")),
        dump(stalled(5, *AWAIT, f"{JUC}ArrayBlockingQueue.take", state="WAITING")),
    ),
    "distributed-lock-wait": Example(
        dump(stalled(5, *DISTRIBUTED, state="WAITING")),
        dump(stalled(2, *DISTRIBUTED, state="WAITING")),
    ),
    "work-in-other-processes": Example(
        dump(times(3, "job", *PY_RESULT, *PY_JOB, state="IDLE"), "python"),
        dump(
            [
                *times(3, "job", *PY_RESULT, *PY_JOB, state="IDLE"),
                thread("Thread-1 (worker)", "multiprocessing/pool.py:worker@114", *PY_THREAD, state="IDLE"),
            ],
            "python",
        ),
    ),
    "queue-not-drained": Example(
        dump([thread("MainThread", *PY_JOINS, "multiprocessing/queues.py:Queue._finalize_join@199")], "python"),
        dump([thread("MainThread", *PY_JOINS, "shop/main.py:<module>@9")], "python"),
    ),
    "class-loading-contention": Example(
        dump(stalled(5, "java.lang.ClassLoader.loadClass", state="BLOCKED")),
        dump(stalled(5, "java.lang.ClassLoader.loadClass", state="RUNNABLE")),
    ),
    "retry-backoff": Example(
        dump(stalled(5, *SLEEP, *BACKOFF, state="TIMED_WAITING")),
        dump(stalled(2, *SLEEP, *BACKOFF, state="TIMED_WAITING")),
    ),
    "sleep-in-requests": Example(
        dump(stalled(5, *SLEEP, state="TIMED_WAITING", below=SERVLET)), dump(stalled(5, *SLEEP, state="TIMED_WAITING"))
    ),
    "permit-wait": Example(
        dump(times(3, "exec", *PERMIT, CALL, *WORKER, state="WAITING")),
        dump(times(2, "exec", *PERMIT, CALL, *WORKER, state="WAITING")),
    ),
    "result-wait": Example(
        dump(times(3, "exec", *GET, CALL, *SERVLET, state="WAITING")),
        dump(times(3, "exec", *GET, CALL, *WORKER, state="WAITING")),
    ),
    "rate-limited": Example(
        dump(times(3, "exec", *THROTTLE, CALL, *WORKER, state="TIMED_WAITING")),
        dump(times(2, "exec", *THROTTLE, CALL, *WORKER, state="TIMED_WAITING")),
    ),
    "latch-wait": Example(
        dump(times(3, "exec", *LATCH, CALL, *WORKER, state="WAITING")),
        dump(stalled(3, *LATCH, state="WAITING")),
    ),
    "missed-notify": Example(
        dump([thread("exec-1", *NOTIFY, *SERVLET, state="WAITING")]),
        dump([thread("exec-1", *NOTIFY, *WORKER, state="WAITING")]),
    ),
    "shared-bottleneck": Example(dump(ledger(ways=3)), dump(ledger(ways=2))),
    "hot-code": Example(dump(running(5)), dump([*running(5), *idle(21, "busy")])),
    "peer-silent": Example(captured(5_000), captured(4_999)),
    "peer-unreachable": Example(captured(0, "SYN_SENT"), captured(0)),
    "requests-unread": Example(connections(with_unread=20), connections(with_unread=19)),
    "connections-not-closed": Example(
        connections(state="CLOSE_WAIT", count=100), connections(state="CLOSE_WAIT", count=99)
    ),
    "finalizer-stuck": Example(
        dump([thread("Finalizer", *SLEEP, *FINALIZE, state="TIMED_WAITING")]),
        dump([thread("Finalizer", "java.lang.Object.wait", "java.lang.ref.ReferenceQueue.remove", state="WAITING")]),
    ),
    "out-of-memory": Example(
        dump([thread("t", "java.lang.OutOfMemoryError.<init>", CALL, state="RUNNABLE")]),
        dump([thread("t", "java.lang.StackOverflowError.<init>", CALL, state="RUNNABLE")]),
    ),
    "exceptions-thrown": Example(
        dump(times(5, "exec", *FILL, CALL, *WORKER, state="RUNNABLE")),
        dump(times(4, "exec", *FILL, CALL, *WORKER, state="RUNNABLE")),
    ),
    "deep-recursion": Example(
        dump([thread("t", *["com.shop.Tree.walk"] * 20, *WORKER, state="RUNNABLE")]),
        dump([thread("t", *["com.shop.Tree.walk"] * 19, *WORKER, state="RUNNABLE")]),
    ),
    "carriers-pinned": Example(dump(carriers(*PINNED)), dump(carriers("java.util.TreeMap.put"))),
    "too-many-threads": Example(dump(many(2001)), dump(many(2000))),
    "pool-bloat": Example(dump(many(501)), dump(many(500))),
    "threads-per-request": Example(
        dump([t for n in range(51) for t in many(1, f"pool-{n}-thread")]),
        dump([t for n in range(50) for t in many(1, f"pool-{n}-thread")]),
    ),
    "thread-creation": Example(
        dump(times(3, "exec", "java.lang.Thread.start0", "java.lang.Thread.start", CALL, *WORKER, state="RUNNABLE")),
        dump(times(3, "exec", "java.lang.Thread.isAlive", CALL, *WORKER, state="RUNNABLE")),
    ),
    "start-up-blocked": Example(
        dump([thread("main", *SOCKET_READ, CALL, *STARTED, state="RUNNABLE")]),
        dump([thread("main", *SOCKET_READ, CALL, *STARTED[1:], state="RUNNABLE")]),
    ),
    "acceptor-missing": Example(dump(tomcat()), dump(tomcat(thread("http-nio-80-Acceptor", state="RUNNABLE")))),
    "kept-alive": Example(dump(leftovers("DestroyJavaVM")), dump(leftovers("main"))),
    "shutdown-in-progress": Example(
        dump([thread("t", "java.lang.Thread.join", "java.lang.ApplicationShutdownHooks.runHooks", state="WAITING")]),
        dump([thread("DestroyJavaVM", state="RUNNABLE")]),
    ),
    "process-died": Example(
        dump([thread("job", "native:strlen", *PY_THREAD, state="IDLE")], "python", died="Segmentation fault"),
        dump([thread("job", "native:strlen", *PY_THREAD, state="IDLE")], "python"),
    ),
    "truncated-input": Example(dump(running(1), truncated=["the end is missing"]), dump(running(1))),
    "c-call-kind-unknown": Example(
        dump([thread("job", "shop/stock.py:get@9", *PY_THREAD, state="IDLE")], "python"),
        dump([thread("job", "native:clock_nanosleep", "shop/stock.py:get@9", *PY_THREAD, state="IDLE")], "python"),
    ),
    "profile-input": Example(dump(running(1), profile="99 samples"), dump(running(1))),
    "goroutines-leaked": Example(
        dump([thread("", "main.fetch", state="chan send", leaked=True)], "go"),
        dump([thread("", "main.fetch", state="chan send")], "go"),
    ),
    "busy-thread": Example(dump([spinning(90.0)]), dump([spinning(79.0)])),
    "gc-busy": Example(dump(collecting(30.0)), dump(collecting(4.0))),
}
