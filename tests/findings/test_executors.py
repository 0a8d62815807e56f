"""Executors whose workers wait for each other; and which of these rules speak about which real dump."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import dumps
import goldens
from dumps import dump, findings, thread, times
from threaddump_parsers.model import Thread

GET = (*dumps.PARK, "java.util.concurrent.FutureTask.awaitDone", "java.util.concurrent.FutureTask.get")
JOIN = (*dumps.PARK, "java.util.concurrent.CompletableFuture.waitingGet", "java.util.concurrent.CompletableFuture.join")
LATCH = (*dumps.PARK, "java.util.concurrent.CountDownLatch.await")
FORK_JOIN = ("java.util.concurrent.ForkJoinPool.runWorker", "java.util.concurrent.ForkJoinWorkerThread.run")
RESULT = ("threading.py:Condition.wait@327", "concurrent/futures/_base.py:Future.result@451")
PY_WORKER = ("concurrent/futures/thread.py:_WorkItem.run", "concurrent/futures/thread.py:_worker", *dumps.PY_THREAD)


def stuck(
    count: int, prefix: str = "pool", wait: Sequence[str] = GET, loop: Sequence[str] = dumps.WORKER
) -> list[Thread]:
    return times(count, prefix, *wait, "com.shop.Report.merge", *loop, state="WAITING")


def starved(threads: list[Thread], family: str = "jvm") -> list[str]:
    return [finding.severity for finding in findings(dump(threads, family), "executor-starved")]


def test_all_workers_wait_for_results() -> None:
    clients = times(3, "client", *GET, "com.shop.Api.order", "java.lang.Thread.run", state="WAITING")
    found = findings(dump([*stuck(8), *clients]), "executor-starved")
    assert [finding.severity for finding in found] == ["high"]
    finding = found[0]
    assert finding.title == "all 8 pool-* threads wait for results of other tasks"
    assert finding.detail.startswith("Inferred: ")
    assert "Report.merge" in finding.detail
    assert finding.detail.endswith(" 3 more threads wait outside for results of tasks.")
    assert [(place.thread, place.line) for place in finding.evidence] == [
        ("pool-1", 10),
        ("pool-2", 20),
        ("pool-3", 30),
    ]
    assert finding.evidence[0].text == "java.util.concurrent.FutureTask.get < com.shop.Report.merge"
    assert finding.thread_names == [f"pool-{number}" for number in range(1, 9)]
    assert any("executor of their own" in advice for advice in finding.advice)


@pytest.mark.parametrize(("wait", "loop"), [(JOIN, dumps.WORKER), (JOIN, FORK_JOIN)])
def test_other_futures_and_loops(wait: Sequence[str], loop: Sequence[str]) -> None:
    assert starved(stuck(2, wait=wait, loop=loop)) == ["high"]


def test_workers_of_another_executor_may_run_the_tasks() -> None:
    busy = thread("mail-1", "com.shop.Mail.send", *dumps.WORKER, state="RUNNABLE")
    idle = thread("mail-2", *dumps.IDLE, state="WAITING")
    finding = findings(dump([*stuck(4), busy, idle]), "executor-starved")[0]
    assert finding.severity == "medium"
    assert "But 1 worker of another executor is at work" in finding.detail
    assert starved([*stuck(4), idle]) == ["high"]


@pytest.mark.parametrize(
    "threads",
    [
        stuck(1),
        [*stuck(7), thread("pool-8", *dumps.IDLE, state="WAITING")],
        [*stuck(7), thread("pool-8", "com.shop.Report.merge", *dumps.WORKER, state="RUNNABLE")],
        [*stuck(7), thread("pool-8", "com.shop.Report.merge", "java.lang.Thread.run", state="RUNNABLE")],
        stuck(8, wait=LATCH),
        stuck(8, loop=("java.lang.Thread.run",)),
        stuck(8, "http-nio-8080-exec"),
        times(8, "serve", *GET, "com.shop.Api.order", *dumps.SERVLET, state="WAITING"),
        times(8, "pool", *dumps.IDLE, state="WAITING"),
    ],
    ids=["one", "idle", "working", "other work", "latch", "no executor", "server", "requests", "idle pool"],
)
def test_silent(threads: list[Thread]) -> None:
    assert starved(threads) == []


def test_python() -> None:
    stuck = times(4, "tasks", *RESULT, "shop/report.py:merge@8", *PY_WORKER, state="IDLE")
    assert starved(stuck, "python") == ["high"]
    idle = thread("tasks-5", *PY_WORKER[1:], state="IDLE")
    assert starved([*stuck, idle], "python") == []


def test_python_without_names() -> None:
    words = (*RESULT, "shop/report.py:merge@8", *PY_WORKER)
    nameless = [thread("", *words), thread("", *words), thread("", "shop/main.py:<module>@3")]
    found = findings(dump(nameless, "python", format="faulthandler"), "executor-starved")
    assert [finding.title for finding in found] == ["all 2 executor threads wait for results of other tasks"]
    assert starved([*nameless, thread("", *PY_WORKER[1:])], "python") == []


# Which of the rules of these modules speak about which real dump; about all others none of them does.

RULES = {
    "acceptor-missing",
    "carriers-pinned",
    "child-process-wait",
    "class-loading-contention",
    "connect-wait",
    "deep-recursion",
    "dns-wait",
    "entropy-wait",
    "event-loop-blocked",
    "exceptions-thrown",
    "executor-starved",
    "file-stall",
    "finalizer-stuck",
    "gil-held",
    "hot-code",
    "kept-alive",
    "latch-wait",
    "missed-notify",
    "out-of-memory",
    "permit-wait",
    "pool-bloat",
    "process-died",
    "queue-full",
    "shared-bottleneck",
    "shutdown-in-progress",
    "sleep-in-requests",
    "start-up-blocked",
    "thread-creation",
    "threads-per-request",
    "too-many-threads",
    "write-lock-starved",
    "write-stall",
}
DIED = {("process-died", "high"), ("shutdown-in-progress", "info")}
SPOKEN_OF = {
    "faulthandler/deep-recursion-100-frames.txt": {("deep-recursion", "low")},
    "faulthandler/executor-starvation.txt": {("executor-starved", "high")},
    "faulthandler/fatal-error.txt": {("process-died", "high")},
    "gdb-py/core-segfault.txt": DIED,
    "py-spy/core-segfault.txt": DIED,
    "pystack/core-segfault.txt": DIED,
    "gevent/blocked-loop.txt": {("event-loop-blocked", "high")},
    "hotspot/executor-starvation.txt": {("executor-starved", "high")},
    "hotspot/java25-pinned-carriers.txt": {("carriers-pinned", "medium")},
    "javacore/out-of-memory-synthetic.txt": {("out-of-memory", "high")},
    "hotspot/names-hostile.txt": {("latch-wait", "low")},
    "hotspot/object-wait-in-requests.txt": {("missed-notify", "low")},
    "hotspot/parties-missing.txt": {("latch-wait", "low")},
    "hotspot/read-lock-held.txt": {("write-lock-starved", "medium")},
    "hotspot/semaphore-permits-held.txt": {("permit-wait", "medium")},
    "hotspot/phaser-and-latch.txt": {("latch-wait", "medium"), ("latch-wait", "low")},
    "hotspot/read-lock-starvation.txt": {("write-lock-starved", "medium")},
    "hotspot/semaphore-permits.txt": {("permit-wait", "high")},
    "py-spy/executor-starvation.txt": {("executor-starved", "high")},
    "threadmxbean/names-hostile.txt": {("latch-wait", "low")},
}


@pytest.mark.parametrize("name", goldens.fixtures())
def test_what_is_said_of_real_dumps(name: str) -> None:
    said = {(finding.id, finding.severity) for finding in goldens.report(name).findings if finding.id in RULES}
    assert said == SPOKEN_OF.get(name, set())


def test_each_dump_of_the_table_is_there() -> None:
    assert set(SPOKEN_OF) <= set(goldens.fixtures())


PY_JOB = ("shop/report.py:merge@9", *dumps.PY_THREAD)
PY_POOL_RESULT = (
    "threading.py:Condition.wait@327",
    "threading.py:Event.wait@629",
    "multiprocessing/pool.py:ApplyResult.wait@765",
    "multiprocessing/pool.py:ApplyResult.get@768",
)
POOL_WORKER = "multiprocessing/pool.py:worker@114"


def elsewhere(threads: list[Thread]) -> list[tuple[str, int]]:
    return [(f.severity, f.threads) for f in findings(dump(threads, "python"), "work-in-other-processes")]


@pytest.mark.parametrize(
    ("words", "count", "severity"),
    [
        (PY_POOL_RESULT, 10, "medium"),
        (PY_POOL_RESULT, 9, "low"),
        (("celery/result.py:AsyncResult.get@247",), 5, "medium"),
        (("celery/result.py:AsyncResult.get@247",), 4, "low"),
    ],
)
def test_results_of_other_processes(words: tuple[str, ...], count: int, severity: str) -> None:
    assert elsewhere(times(count, "job", *words, *PY_JOB, state="IDLE")) == [(severity, count)]
    assert elsewhere(times(2, "job", *words, *PY_JOB, state="IDLE")) == []


def test_a_pool_of_threads_is_no_pool_of_processes() -> None:
    waiting = times(10, "job", *PY_POOL_RESULT, *PY_JOB, state="IDLE")
    assert elsewhere([*waiting, thread("Thread-1", POOL_WORKER, *dumps.PY_THREAD, state="IDLE")]) == []
    child = thread("MainThread", POOL_WORKER, "multiprocessing/process.py:BaseProcess._bootstrap@314", state="IDLE")
    assert elsewhere([*waiting, child]) == [("medium", 10)]


def test_a_process_pool_executor_is_told_by_its_manager() -> None:
    result = ("threading.py:Condition.wait@327", "concurrent/futures/_base.py:Future.result@451", *PY_JOB)
    waiting = times(10, "job", *result, state="IDLE")
    manager = thread("", "concurrent/futures/process.py:wait_result_broken_or_wakeup@424", *dumps.PY_THREAD)
    worker = thread("t_0", "concurrent/futures/thread.py:_worker@81", *dumps.PY_THREAD, state="IDLE")
    assert elsewhere(waiting) == []
    assert elsewhere([*waiting, manager]) == [("medium", 10)]
    assert elsewhere([*waiting, manager, worker]) == []
