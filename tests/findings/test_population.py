"""How many threads there are: too many, one bloated pool, or one more for each request."""

from __future__ import annotations

import pytest

import dumps
from dumps import dump, findings, thread, times
from threaddump_parsers.model import Thread


def idle(count: int, prefix: str = "pool-7-thread") -> list[Thread]:
    return times(count, prefix, *dumps.IDLE, state="WAITING")


def busy(count: int, prefix: str = "other") -> list[Thread]:
    return times(count, prefix, "com.shop.Cart.total", *dumps.WORKER, state="RUNNABLE")


@pytest.mark.parametrize(("count", "severity"), [(2000, None), (2001, "low"), (5000, "low"), (5001, "medium")])
def test_too_many_threads(count: int, severity: str | None) -> None:
    virtual = times(100, "v", *dumps.IDLE, state="WAITING", virtual=True)
    internal = times(100, "GC Thread", internal=True)
    found = findings(dump([*busy(count - 1), *idle(1), *virtual, *internal]), "too-many-threads")
    assert [finding.severity for finding in found] == ([severity] if severity else [])
    for finding in found:
        assert finding.threads == count
        assert f"other-* ({count - 1:,})" in finding.detail
        assert (finding.evidence[0].thread, finding.evidence[0].line) == ("other-1", 10)


def test_threads_without_pools() -> None:
    made = dump([thread("main", *dumps.WORKER) for _ in range(2001)])
    assert findings(made, "too-many-threads")[0].detail == "Their names tell no pool."


def test_a_bloated_pool_is_low_however_big_it_is() -> None:
    found = findings(dump([*idle(2000), *busy(100)]), "pool-bloat")
    assert [(finding.severity, finding.threads) for finding in found] == [("low", 2000)]
    assert found[0].title == "2,000 of 2,000 pool-7-thread-* threads are idle"
    assert (found[0].evidence[0].thread, found[0].evidence[0].line) == ("pool-7-thread-1", 10)


@pytest.mark.parametrize(
    "threads",
    [idle(500), [*idle(501), *busy(501)], [*idle(300), *busy(301, "pool-7-thread")]],
    ids=["500", "half of all", "busy"],
)
def test_pools_that_are_not_bloated(threads: list[Thread]) -> None:
    assert findings(dump(threads), "pool-bloat") == []


@pytest.mark.parametrize(
    ("name", "count", "title"),
    [
        ("pool-{}-thread-1", 51, "51 executors with default names (like pool-0-thread-1) are alive"),
        ("ThreadPoolExecutor-{}_0", 51, "51 executors with default names (like ThreadPoolExecutor-0_0) are alive"),
        ("Thread-{}", 201, "201 threads have the default name Thread-N"),
        ("Thread-{} (worker)", 201, "201 threads have the default name Thread-N"),
        ("Timer-{}", 201, "201 threads have the default name Timer-N"),
    ],
)
def test_one_for_each_request(name: str, count: int, title: str) -> None:
    made = [thread(name.format(number), *dumps.IDLE, state="WAITING") for number in range(count)]
    found = findings(dump(made), "threads-per-request")
    assert [(finding.severity, finding.threads, finding.title) for finding in found] == [("low", count, title)]
    assert (found[0].evidence[0].thread, found[0].evidence[0].line) == (made[0].name, 10)
    assert "inferred" in found[0].detail
    assert findings(dump(made[1:]), "threads-per-request") == []


def test_names_that_tell_no_leak() -> None:
    same = [thread("pool-1-thread-1", *dumps.IDLE, state="WAITING") for _ in range(80)]
    assert findings(dump([*same, *idle(400), *idle(300, "Thread")[:200]]), "threads-per-request") == []


def test_a_server_with_a_thread_for_each_request_is_meant_so() -> None:
    made = times(300, "Thread", "com.shop.Cart.total", *dumps.SERVLET, state="RUNNABLE")
    assert findings(dump(made), "threads-per-request") == []


START = ("java.lang.Thread.start0", "java.lang.Thread.start")


@pytest.mark.parametrize(
    ("count", "others", "severity"), [(3, 0, "low"), (10, 0, "medium"), (10, 30, "low"), (2, 0, None)]
)
def test_threads_that_start_threads(count: int, others: int, severity: str | None) -> None:
    starting = times(count, "exec", *START, "com.shop.Fan.out", *dumps.SERVLET, state="RUNNABLE")
    found = findings(dump([*starting, *idle(others, "exec")]), "thread-creation")
    assert [finding.severity for finding in found] == ([severity] if severity else [])
    for finding in found:
        assert finding.title == f"{count} of {count + others} request threads are starting new threads"
        assert "In Fan.out" in finding.detail
        assert (finding.evidence[0].thread, finding.evidence[0].line) == ("exec-1", 10)


def test_threads_of_python_that_start_threads() -> None:
    words = ("threading.py:Condition.wait@327", "threading.py:Event.wait@629", "threading.py:Thread.start@969")
    made = dump(times(4, "job", *words, "shop/fan.py:out@9", *dumps.PY_THREAD, state="IDLE"), "python")
    assert [finding.severity for finding in findings(made, "thread-creation")] == ["low"]


def test_threads_that_run_are_not_being_started() -> None:
    assert findings(dump(busy(20)), "thread-creation") == []
