"""Finalizers, memory, exceptions, an end under way, runaway recursion and pinned carriers."""

from __future__ import annotations

import pytest

import dumps
from dumps import blocked, dump, findings, monitor, thread, times
from threaddump.report import Finding
from threaddump_parsers.model import Event, Thread

FINALIZER = (
    "com.shop.Handle.finalize",
    "java.lang.System$2.invokeFinalize",
    "java.lang.ref.Finalizer.runFinalizer",
    "java.lang.ref.Finalizer.access$100",
    "java.lang.ref.Finalizer$FinalizerThread.run",
)

QUEUE = ("java.lang.Object.wait", "java.lang.ref.ReferenceQueue.remove", FINALIZER[-1])


def said(threads: list[Thread], id: str, family: str = "jvm") -> list[Finding]:
    return findings(dump(threads, family), id)


# --- finalizers and cleaners


def test_a_finalizer_that_waits_for_a_lock() -> None:
    finding = said([blocked("Finalizer", monitor("0xa"), *FINALIZER)], "finalizer-stuck")[0]
    assert (finding.severity, finding.threads) == ("high", 1)
    assert finding.title == '"Finalizer" is waiting for a lock in Handle.finalize'
    assert [(place.thread, place.line) for place in finding.evidence] == [("Finalizer", 10)]
    assert finding.evidence[0].text == "com.shop.Handle.finalize"
    assert any("GC.finalizer_info" in advice for advice in finding.advice)


@pytest.mark.parametrize(
    ("words", "state", "severity"),
    [
        (dumps.SOCKET_READ, "RUNNABLE", "high"),
        (dumps.SLEEP, "TIMED_WAITING", "high"),
        (dumps.AWAIT, "WAITING", "high"),
        ((), "RUNNABLE", "medium"),
    ],
    ids=["call", "sleep", "wait", "at work"],
)
@pytest.mark.parametrize("name", ["Finalizer", "Common-Cleaner"])
def test_what_the_finalizer_does(name: str, words: tuple[str, ...], state: str, severity: str) -> None:
    found = said([thread(name, *words, *FINALIZER, state=state)], "finalizer-stuck")
    assert [finding.severity for finding in found] == [severity]


@pytest.mark.parametrize(
    "made",
    [
        thread("Finalizer", *QUEUE, state="WAITING"),
        blocked("Finalizer", monitor("0xa"), *QUEUE),
        blocked("Reference Handler", monitor("0xa"), "java.lang.ref.ReferenceQueue.enqueue"),
        thread("Reference Handler", "java.lang.ref.Reference.waitForReferencePendingList", state="RUNNABLE"),
        thread("Finalizer"),
        blocked("my-finalizer", monitor("0xa"), *FINALIZER),
    ],
    ids=["at rest", "back in", "hand over", "handler", "no frames", "other name"],
)
def test_finalizers_at_rest(made: Thread) -> None:
    assert said([made], "finalizer-stuck") == []


# --- memory and exceptions


def test_out_of_memory() -> None:
    words = ("java.lang.OutOfMemoryError.<init>", "com.shop.Cart.copy", *dumps.WORKER)
    finding = said([*times(2, "w", *words, state="RUNNABLE"), thread("x", *dumps.WORKER)], "out-of-memory")[0]
    assert (finding.severity, finding.threads) == ("high", 2)
    assert finding.title == "2 threads throw OutOfMemoryError"
    assert [(place.thread, place.line) for place in finding.evidence] == [("w-1", 10), ("w-2", 20)]
    assert finding.recovery


EVENT = 'Dump Event "systhrow" (00040000) Detail "java/lang/OutOfMemoryError" "Java heap space" received'


def test_a_dump_that_the_jvm_wrote_for_want_of_memory() -> None:
    made = dump([thread("w", *dumps.WORKER, state="RUNNABLE")], format="javacore", event=Event(4, EVENT))
    (finding,) = findings(made, "out-of-memory")
    assert (finding.severity, finding.threads) == ("high", 0)
    assert finding.title == "the JVM wrote this dump because of an OutOfMemoryError"
    assert finding.detail.startswith("The JVM wrote this dump when one was thrown: Java heap space.")
    assert [(place.thread, place.line, place.text) for place in finding.evidence] == [(None, 4, EVENT)]
    assert not any("jcmd" in advice for advice in finding.advice)


@pytest.mark.parametrize(
    "event", ['Dump Event "user" (00004000) received', 'Dump Event "gpf" (00002000) received', "signal 21"]
)
def test_other_reasons_for_a_dump(event: str) -> None:
    made = dump([thread("w", *dumps.WORKER, state="RUNNABLE")], format="javacore", event=Event(4, event))
    assert findings(made) == []


def test_other_errors_are_no_lack_of_memory() -> None:
    words = ("java.lang.StackOverflowError.<init>", "com.shop.OutOfMemoryError.<init>", *dumps.WORKER)
    assert said([thread("w", *words, state="RUNNABLE")], "out-of-memory") == []


THROW = (
    "java.lang.Throwable.fillInStackTrace",
    "java.lang.Throwable.<init>",
    "java.lang.Exception.<init>",
    "com.shop.NoStockException.<init>",
    "com.shop.Stock.reserve",
    *dumps.WORKER,
)


@pytest.mark.parametrize(
    ("count", "others", "severity"), [(5, 0, "low"), (19, 0, "low"), (20, 30, "medium"), (20, 60, "low"), (4, 0, None)]
)
def test_exceptions_by_count_and_share(count: int, others: int, severity: str | None) -> None:
    throwing = times(count, "w", *THROW, state="RUNNABLE")
    busy = times(others, "w", "com.shop.Stock.count", *dumps.WORKER, state="RUNNABLE")
    found = said([*throwing, *busy], "exceptions-thrown")
    assert [finding.severity for finding in found] == ([severity] if severity else [])
    for finding in found:
        assert finding.threads == count
        assert f"shop.NoStockException ({count})" in finding.detail
        assert (finding.evidence[0].thread, finding.evidence[0].line) == ("w-1", 10)


@pytest.mark.parametrize(
    ("words", "state"),
    [
        (("com.shop.Errors.log", *THROW[4:]), "RUNNABLE"),
        ((*dumps.SOCKET_READ, "com.shop.NoStockException.<init>", *THROW[4:]), "RUNNABLE"),
        ((*["com.shop.Stock.count"] * 12, *THROW), "RUNNABLE"),
    ],
    ids=["handled", "calls out", "far below"],
)
def test_threads_that_create_no_exceptions(words: tuple[str, ...], state: str) -> None:
    assert said(times(9, "w", *words, state=state), "exceptions-thrown") == []


# --- the end


def test_shutdown_of_a_jvm() -> None:
    words = (
        "java.lang.Object.wait",
        "java.lang.Thread.join",
        "java.lang.ApplicationShutdownHooks.runHooks",
        "java.lang.ApplicationShutdownHooks$1.run",
        "java.lang.Shutdown.runHooks",
        "java.lang.Shutdown.sequence",
    )
    found = said([thread("SIGTERM handler", *words, state="WAITING")], "shutdown-in-progress")
    assert [(finding.severity, finding.threads) for finding in found] == [("info", 1)]
    assert [(place.thread, place.line) for place in found[0].evidence] == [("SIGTERM handler", 10)]


@pytest.mark.parametrize(
    "made",
    [
        thread("DestroyJavaVM", state="RUNNABLE"),
        blocked("w", monitor("0xa"), "java.lang.ApplicationShutdownHooks.add", "java.lang.Runtime.addShutdownHook"),
        blocked("w", monitor("0xa"), "java.lang.Shutdown.add", "com.shop.Main.main"),
    ],
    ids=["main has returned", "registers", "adds"],
)
def test_a_jvm_that_lives_on(made: Thread) -> None:
    assert said([made], "shutdown-in-progress") == []


def test_shutdown_of_python() -> None:
    main = thread("MainThread", "threading.py:_shutdown@1537", state="IDLE")
    worker = thread("w-1", *dumps.PY_REQUESTS, "shop/job.py:run@3", *dumps.PY_THREAD, state="IDLE")
    found = said([main, worker], "shutdown-in-progress", "python")
    assert [(finding.severity, finding.title) for finding in found] == [("info", "the main thread has ended")]
    assert found[0].detail.endswith('; 1 other is alive: "w-1".')
    assert [(place.thread, place.line) for place in found[0].evidence] == [("MainThread", 10)]
    assert said([main], "shutdown-in-progress", "python") == []
    worker.daemon = True
    assert said([main, worker], "shutdown-in-progress", "python") == []


# --- recursion

WALK = ("com.shop.Tree.visit", "com.shop.Tree.children")


@pytest.mark.parametrize(
    ("words", "state", "severity"),
    [
        ((*WALK * 20,), "RUNNABLE", "low"),
        ((*WALK * 50,), "RUNNABLE", "medium"),
        ((*dumps.SLEEP, *WALK * 50), "TIMED_WAITING", "low"),
        (("com.shop.A.top", "com.shop.A.next", *WALK * 25), "RUNNABLE", "low"),
        ((*tuple(f"com.shop.F{n}.f" for n in range(10)) * 31,), "RUNNABLE", "medium"),
        (tuple(f"com.shop.F{n}.f" for n in range(301)), "RUNNABLE", "low"),
        ((*WALK * 19,), "RUNNABLE", None),
        ((*tuple(f"com.shop.F{n}.f" for n in range(11)) * 20,), "RUNNABLE", None),
        (tuple(f"com.shop.F{n}.f" for n in range(290)), "RUNNABLE", None),
        ((*tuple(f"com.shop.F{n}.f" for n in range(40)), *WALK * 30), "RUNNABLE", None),
        (tuple(f"com.shop.F{n % 3 + n % 7 * n}.f" for n in range(200)), "RUNNABLE", None),
    ],
    ids=["20", "50", "waits", "below", "ten", "deep", "19", "eleven", "not deep", "far below", "no cycle"],
)  # fmt: skip
def test_recursion(words: tuple[str, ...], state: str, severity: str | None) -> None:
    found = said([thread("w", *words, state=state)], "deep-recursion")
    assert [finding.severity for finding in found] == ([severity] if severity else [])
    assert all([(place.thread, place.line) for place in finding.evidence] == [("w", 10)] for finding in found)


def test_recursion_names_the_functions() -> None:
    made = times(3, "w", "com.shop.A.top", *WALK * 50, *dumps.WORKER, state="RUNNABLE")
    made.append(thread("v", "com.shop.A.top", *WALK * 60, *dumps.WORKER, state="RUNNABLE"))
    found = said(made, "deep-recursion")
    assert [finding.title for finding in found] == ["4 threads recurse in Tree.children, Tree.visit"]
    assert found[0].detail == "The same 2 functions stand there 60 times in a row, in a stack of 124 frames."


# --- carriers

CARRIER = ("jdk.internal.vm.Continuation.run", "java.util.concurrent.ForkJoinPool.runWorker")
READ = ("jdk.internal.misc.Unsafe.park", "java.lang.VirtualThread.parkOnCarrierThread", *dumps.SOCKET_READ)


def carriers(count: int, *words: str, state: str | None = None) -> list[Thread]:
    made = []
    for number in range(1, count + 1):
        name = f"ForkJoinPool-1-worker-{number}"
        made.append(thread(name, *CARRIER, carries=number))
        made.append(thread(f"v{number}", *words, "com.shop.Api.call", virtual=True, carrier=name, state=state))
    return made


def test_all_carriers_are_pinned() -> None:
    found = said(carriers(2, *READ), "carriers-pinned")
    assert [(finding.severity, finding.threads) for finding in found] == [("medium", 2)]
    assert found[0].title == "all 2 carriers of virtual threads are held by threads that block: Api.call"
    assert [(place.thread, place.line) for place in found[0].evidence] == [("v1", 20), ("v2", 40)]


@pytest.mark.parametrize(
    ("state", "words", "severity", "threads"),
    [("RUNNABLE", (), "high", 5), (None, (), "medium", 2), ("RUNNABLE", ("com.shop.Api.step",), "medium", 2)],
    ids=["not begun", "state unknown", "has begun"],
)
def test_virtual_threads_that_have_no_carrier(
    state: str | None, words: tuple[str, ...], severity: str, threads: int
) -> None:
    ready = times(3, "n", *words, state=state, virtual=True)
    (finding,) = said([*carriers(2, *READ), *ready], "carriers-pinned")
    assert (finding.severity, finding.threads) == (severity, threads)
    assert ("3 virtual threads are ready to run and without a frame yet" in finding.detail) == (severity == "high")


@pytest.mark.parametrize(
    ("threads", "pinned", "of"),
    [
        (carriers(1, *READ), 1, 1),
        ([*carriers(2, *READ), thread("ForkJoinPool-1-worker-3", *dumps.PARK, state="WAITING")], 2, 3),
        (carriers(2, *READ)[:-1], 1, 2),
        ([*carriers(3), *carriers(1, state="BLOCKED")], 1, 4),
    ],
    ids=["one", "one is free", "not shown", "for a monitor"],
)
def test_some_carriers_are_pinned(threads: list[Thread], pinned: int, of: int) -> None:
    (finding,) = said(threads, "carriers-pinned")
    assert (finding.severity, finding.threads) == ("low", pinned)
    assert finding.title.startswith(f"{pinned} of {of} carriers of virtual threads ")
    assert finding.evidence[0].thread == "v1"


@pytest.mark.parametrize(
    "threads",
    [
        carriers(2),
        carriers(1, *dumps.SOCKET_READ),
        [],
    ],
    ids=["at work", "a call that may let go", "none"],
)
def test_carriers_that_can_carry(threads: list[Thread]) -> None:
    assert said(threads, "carriers-pinned") == []
