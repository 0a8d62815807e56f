"""No rule is there without need: take any one away, or a row of a table, and a dump that it was made for shows less."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

import pytest

import dumps
from dumps import PARK, PY_REQUESTS, PY_THREAD, SOCKET_READ, WORKER, dump, facts, findings, thread, times
from examples import EXAMPLES
from threaddump import catalog, explain
from threaddump.findings import RULES, cpu, executors, lifecycle, loops, run, runtime, saturation, signals, stalls
from threaddump.report import Finding
from threaddump_parsers.model import Dump, Thread


def ids(made: Dump) -> set[str]:
    return {finding.id for finding in findings(made)}


OVER_TIME = {"stuck-threads", "spinning-threads", "permanent-owner", "lock-convoy", "threads-growing"}
OF_TIERS = {"cascade", "called-tier-free", "tier-imbalance"}
"""Findings that take several dumps: ``tests/series`` has their examples."""


def test_each_finding_has_an_example() -> None:
    assert set(EXAMPLES) | OVER_TIME | OF_TIERS == set(explain.finding_texts())
    assert not (OVER_TIME | OF_TIERS) & set(EXAMPLES)


@pytest.mark.parametrize("id", EXAMPLES)
def test_it_is_found_in_its_example_and_not_in_the_counter_example(id: str) -> None:
    assert id in ids(EXAMPLES[id].sick)
    assert id not in ids(EXAMPLES[id].healthy)


@pytest.mark.parametrize("id", EXAMPLES)
def test_its_severity_is_one_of_those_that_explain_names(id: str) -> None:
    severities = {finding.severity for finding in findings(EXAMPLES[id].sick, id)}
    assert severities <= set(explain.finding_texts()[id].severity)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.__module__.rpartition('.')[2]}.{rule.__name__}")
def test_without_a_rule_an_example_loses_its_finding(
    rule: Callable[..., Iterable[Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("threaddump.findings.RULES", tuple(other for other in RULES if other is not rule))
    lost = [id for id, example in EXAMPLES.items() if id not in {found.id for found in run(facts(example.sick))}]
    assert lost


# --- rows of tables: for each a dump in which only this row speaks


def pair(*words: str, state: str = "WAITING", **changes: Any) -> Dump:
    """Two workers with the same stack."""
    return dump(times(2, "pool", *words, state=state), **changes)


def reader(*below: str, state: str = "RUNNABLE", name: str = "t") -> Thread:
    """A thread in a call."""
    return thread(name, *SOCKET_READ, "com.shop.Dao.load", *below, state=state)


MERGE = "com.shop.Report.merge"
GET = (*PARK, "java.util.concurrent.FutureTask.awaitDone", "java.util.concurrent.FutureTask.get")
RESULT = ("threading.py:Condition.wait@327", "concurrent/futures/_base.py:Future.result@451", "shop/report.py:merge@8")
PY_WORKER = ("concurrent/futures/thread.py:_worker@80", *PY_THREAD)
JUC = "java.util.concurrent."
FUTURES = {
    "jvm.sync.cf": pair(*PARK, f"{JUC}CompletableFuture.waitingGet", f"{JUC}CompletableFuture.join", MERGE, *WORKER),
    "jvm.sync.completion-service": pair(*dumps.AWAIT, f"{JUC}ExecutorCompletionService.take", MERGE, *WORKER),
    "jvm.sync.fj.join": pair(*PARK, f"{JUC}ForkJoinTask.awaitDone", f"{JUC}ForkJoinTask.join", MERGE, *WORKER),
    "jvm.sync.futuretask": pair(*GET, MERGE, *WORKER),
    "jvm.sync.guava-future": pair(*PARK, "com.google.common.util.concurrent.AbstractFuture.get", MERGE, *WORKER),
    "py.future.result": pair(*RESULT, *PY_WORKER, state="IDLE", family="python"),
    "py.future.wait": pair(
        RESULT[0], "concurrent/futures/_base.py:wait@305", RESULT[2], *PY_WORKER, state="IDLE", family="python"
    ),
}


def parties(system: str) -> Dump:
    frames = {
        "latch": (*PARK, f"{JUC}CountDownLatch.await"),
        "barrier": (*dumps.AWAIT, f"{JUC}CyclicBarrier.await"),
        "phaser": (*PARK, f"{JUC}Phaser.arriveAndAwaitAdvance"),
        "exchanger": (*PARK, f"{JUC}Exchanger.exchange"),
    }
    return dump(times(3, "step", *frames[system], "com.shop.Step.run", *WORKER, state="WAITING"))


def request(*words: str, state: str = "WAITING", **changes: Any) -> Dump:
    return dump([thread("exec-1", *words, state=state)], **changes)


NOTIFIED = {
    "jvm.sync.object-wait": request("java.lang.Object.wait", "com.shop.Gate.pass", *dumps.SERVLET),
    "jvm.sync.condition": request(*dumps.AWAIT, "com.shop.Gate.pass", *dumps.SERVLET),
    "py.cond.wait": request(
        RESULT[0], "shop/gate.py:go@9", "flask/app.py:wsgi_app@2", *PY_THREAD, state="IDLE", family="python"
    ),
}
SERVERS = {
    "anyio": ("AnyIO worker thread", 8, "anyio/_backends/_asyncio.py:WorkerThread.run"),
    "cheroot": ("CP Server Thread-{}", 2, "cheroot/server.py:HTTPConnection.communicate"),
    "waitress": ("waitress-{}", 2, "waitress/task.py:HTTPChannel.service"),
}


def serving(server: str) -> Dump:
    name, count, frame = SERVERS[server]
    words = (*PY_REQUESTS, "shop/api.py:call@3", f"{frame}@1", *PY_THREAD)
    return dump([thread(name.format(n), *words, state="IDLE") for n in range(count)], "python")


def looping(row: str) -> Dump:
    return dump([reader(row if row.startswith("org.") else f"io.{row}", "java.lang.Thread.run")])


def worker(row: str) -> Dump:
    if row.endswith(".py:_worker"):
        return pair(*RESULT, *PY_WORKER, state="IDLE", family="python")
    return pair(*GET, MERGE, row, "java.lang.Thread.run")


def ending(row: str) -> Dump:
    return dump([thread("MainThread", f"{row}@9", state="IDLE"), thread("job", *PY_THREAD, state="IDLE")], "python")


def importing(row: str) -> Dump:
    frame = {"_load_unlocked": "_load_unlocked", "exec_module": "SourceLoader.exec_module"}[row.rpartition(":")[2]]
    words = (
        *PY_REQUESTS,
        "shop/a.py:<module>@4",
        f"<frozen {row.rpartition(':')[0]}:{frame}@9",
        "shop/b.py:<module>@1",
    )
    return dump([thread("MainThread", *words, state="IDLE")], "python")


def resting(row: str) -> Dump:
    loop = {"executor": dumps.IDLE, "timer": ("java.lang.Object.wait", "java.util.TimerThread.mainLoop")}
    return dump([thread("w-1", *loop[row], state="WAITING", daemon=False), thread("DestroyJavaVM", daemon=False)])


def starting(row: str) -> Dump:
    python = row.startswith("threading")
    words = (f"{row}@9", "shop/fan.py:out@3", *PY_THREAD) if python else (row, "com.shop.Fan.out", *WORKER)
    return dump(times(3, "exec", *words, state="RUNNABLE"), "python" if python else "jvm")


def collecting(row: str) -> Dump:
    return dump([thread(f"{row}0", internal=True, cpu_ms=30_000.0, elapsed_s=100.0)])


def receiving(row: str) -> Dump:
    """The loop's own use of a socket."""
    words = ("native:recv", f"{row}Transport._read_ready@9", "asyncio/events.py:Handle._run@80")
    return dump([thread("loop", *words, "asyncio/base_events.py:BaseEventLoop._run_once@9", state="IDLE")], "python")


GUARDS = {"anyio", *loops.TRANSPORTS}
"""Rows that keep a finding from being said: without them it is."""
TABLES: dict[str, tuple[str, Callable[[str], Dump] | Mapping[str, Dump]]] = {
    "cpu.GC_NAMES": ("gc-busy", collecting),
    "executors.FUTURES": ("executor-starved", FUTURES),
    "executors.WORKERS": ("executor-starved", worker),
    "lifecycle.IMPORTING": ("start-up-blocked", importing),
    "lifecycle.PYTHON_SHUTDOWN": ("shutdown-in-progress", ending),
    "lifecycle.RESTING": ("kept-alive", resting),
    "lifecycle.SHUTDOWN": ("shutdown-in-progress", lambda row: dump([thread("t", row, state="RUNNABLE")])),
    "lifecycle.START_UP": ("start-up-blocked", lambda row: dump([reader(row)])),
    "loops.JVM_LOOPS": ("event-loop-blocked", looping),
    "loops.TRANSPORTS": ("event-loop-blocked", receiving),
    "population.STARTING": ("thread-creation", starting),
    "runtime.REFERENCE_THREADS": ("finalizer-stuck", lambda row: dump([reader(name=row)])),
    "saturation.SERVERS": ("request-threads-saturated", serving),
    "signals.NOTIFIED": ("missed-notify", NOTIFIED),
    "signals.PARTIES": ("latch-wait", parties),
}
ROWS = [
    (name, str(row))
    for name in TABLES
    for row in sorted(getattr(import_module(f"threaddump.findings.{name.partition('.')[0]}"), name.partition(".")[2]))
]


@pytest.mark.parametrize(("name", "row"), ROWS)
def test_without_a_row_its_dump_says_something_else(name: str, row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    id, make = TABLES[name]
    made = make(row) if callable(make) else make[row]
    module, _, table = name.partition(".")
    rows = getattr(import_module(f"threaddump.findings.{module}"), table)
    assert (id in ids(made)) is (row not in GUARDS)
    kept = {key: rows[key] for key in rows if key != row} if isinstance(rows, dict) else type(rows)(set(rows) - {row})
    monkeypatch.setattr(f"threaddump.findings.{module}.{table}", kept)
    assert (id in ids(made)) is (row in GUARDS)


# A row that vanishes takes its test with it: so the number of rows is said here as well.
COUNTS = {
    "cpu.GC_NAMES": 8,
    "executors.FUTURES": 7,
    "executors.WORKERS": 8,
    "lifecycle.IMPORTING": 2,
    "lifecycle.PYTHON_SHUTDOWN": 2,
    "lifecycle.RESTING": 2,
    "lifecycle.SHUTDOWN": 7,
    "lifecycle.START_UP": 10,
    "loops.JVM_LOOPS": 9,
    "loops.TRANSPORTS": 4,
    "population.STARTING": 3,
    "runtime.REFERENCE_THREADS": 4,
    "saturation.SERVERS": 3,
    "signals.NOTIFIED": 3,
    "signals.PARTIES": 4,
}


def test_no_row_vanished() -> None:
    assert {name: sum(name == table for table, _ in ROWS) for name in TABLES} == COUNTS


@pytest.mark.parametrize("stall", stalls.STALLS, ids=lambda stall: stall.id)
def test_without_a_stall_its_example_loses_its_finding(stall: stalls.Stall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stalls, "STALLS", tuple(other for other in stalls.STALLS if other is not stall))
    assert stall.id not in ids(EXAMPLES[stall.id].sick)


def test_entries_that_rules_name_are_in_the_catalog() -> None:
    known = {entry.id for family in ("jvm", "python") for entry in catalog.load(family).entries}
    assert known >= executors.FUTURES | signals.NOTIFIED | set(cpu.USUAL)
    for start in [prefix for stall in stalls.STALLS for prefix in stall.entries] + list(loops.SUSPENDED):
        assert any(id.startswith(start) for id in known), start


def test_systems_and_pools_that_rules_name_are_in_the_catalog() -> None:
    families = [catalog.load(family) for family in ("jvm", "python")]
    systems = {entry.system for family in families for entry in family.entries}
    named = [*signals.PARTIES, *lifecycle.RESTING, *(system for stall in stalls.STALLS for system in stall.systems)]
    assert set(named) <= systems
    pools = {
        pool.id
        for name in ("waitress-1", "CP Server Thread-1", "AnyIO worker thread")
        for pool in families[1].thread_names.find(name)
    }
    assert pools == set(saturation.SERVERS)
    assert {entry.kind for family in families for entry in family.entries} >= runtime.BLOCKED
