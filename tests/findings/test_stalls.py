"""Waits with a cause of their own: names, connections, files, children, full queues."""

from __future__ import annotations

import itertools

import pytest

import dumps
from dumps import dump, findings, lock, thread, times
from threaddump.findings.stalls import STALLS
from threaddump_parsers.model import Thread

HTTP = dumps.APACHE_CALL[2:]
RESOLVE = ("java.net.Inet6AddressImpl.lookupAllHostAddr", "java.net.InetAddress.getByName", *HTTP)
CONNECT = ("sun.nio.ch.Net.connect0", "sun.nio.ch.NioSocketImpl.connect", "java.net.Socket.connect")
WRITE = ("java.net.SocketOutputStream.socketWrite0", "java.net.SocketOutputStream.write")
PUT = (*dumps.AWAIT, "java.util.concurrent.ArrayBlockingQueue.put")
CASES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "dns-wait": (RESOLVE, "RUNNABLE", "wait for a host name to be resolved"),
    "connect-wait": (CONNECT, "RUNNABLE", "wait for a connection to be made"),
    "write-stall": (WRITE, "RUNNABLE", "wait until their peer reads"),
    "entropy-wait": (
        (
            "java.io.FileInputStream.readBytes",
            "java.io.FileInputStream.read",
            "sun.security.provider.NativePRNG$RandomIO.readFully",
            "java.security.SecureRandom.nextBytes",
        ),
        "RUNNABLE",
        "wait for random numbers",
    ),
    "file-stall": (("java.io.FileInputStream.readBytes", "java.io.FileInputStream.read"), "RUNNABLE", "in file access"),
    "child-process-wait": (("java.lang.Object.wait", "java.lang.ProcessImpl.waitFor"), "WAITING", "wait for child"),
    "queue-full": (PUT, "WAITING", "wait for room in a full queue"),
    "distributed-lock-wait": (
        ("java.lang.Object.wait", "org.apache.curator.framework.recipes.locks.LockInternals.internalLockLoop"),
        "WAITING",
        "wait for a lock that is kept outside of this process",
    ),
    "class-loading-contention": (("java.lang.ClassLoader.loadClass",), "BLOCKED", "wait for a class loader"),
    "retry-backoff": (
        (*dumps.SLEEP, "org.springframework.retry.backoff.ThreadWaitSleeper.sleep"),
        "TIMED_WAITING",
        "pause before they try a failed call again",
    ),
    "sleep-in-requests": (dumps.SLEEP, "TIMED_WAITING", "sleep while they serve a request"),
}


def stalled(
    id: str, count: int, caller: str = "com.shop.Work.step", prefix: str = "work", **changes: object
) -> list[Thread]:
    words, state, _ = CASES[id]
    below = dumps.SERVLET if id == "sleep-in-requests" else dumps.WORKER
    return times(count, prefix, *words, caller, *below, state=state, **changes)


def others(count: int, prefix: str = "work-x", below: tuple[str, ...] = dumps.WORKER) -> list[Thread]:
    return times(count, prefix, "com.shop.Cart.total", *below, state="RUNNABLE")


def test_each_row_has_a_case() -> None:
    assert [stall.id for stall in STALLS] == list(CASES)


@pytest.mark.parametrize("id", CASES)
@pytest.mark.parametrize(("count", "severity"), [(5, "medium"), (20, "high")])
def test_by_count_and_share(id: str, count: int, severity: str) -> None:
    # Several callers keep a call from being hot.
    parts = [stalled(id, count // 5, f"com.shop.C{n}.call", f"work-{n}") for n in range(5)]
    made = dump([*itertools.chain(*parts), *others(count)])
    found = findings(made, id)
    assert [finding.severity for finding in found] == [severity]
    for finding in found:
        assert finding.threads == count
        assert CASES[id][2] in finding.title
        assert "Where: " in finding.detail
        assert f"C0.call ({count // 5}), C1.call" in finding.detail
        assert (finding.evidence[0].thread, finding.evidence[0].line) == ("work-0-1", 10)
        assert finding.advice
        assert finding.group


@pytest.mark.parametrize("id", CASES)
def test_a_few_of_many_are_usual(id: str) -> None:
    below = dumps.SERVLET if id == "sleep-in-requests" else dumps.WORKER
    assert findings(dump([*stalled(id, 4), *others(40, "work", below)]), id) == []
    assert findings(dump([*stalled(id, 2)]), id) == []


@pytest.mark.parametrize("id", ["dns-wait", "connect-wait", "write-stall", "queue-full"])
def test_few_threads_that_are_much_of_their_crew(id: str) -> None:
    made = dump([*stalled(id, 3), *times(9, "work", *dumps.IDLE, state="WAITING")])
    assert [finding.severity for finding in findings(made, id)] == ["medium"]


@pytest.mark.parametrize("count", [40, 19])
def test_high_needs_count_and_share(count: int) -> None:
    made = dump([*stalled("queue-full", count), *others(110, "work")])
    assert [finding.severity for finding in findings(made, "queue-full")] == ["medium"]


def test_many_connects_of_one_caller_are_told_once() -> None:
    made = dump(stalled("connect-wait", 40))
    assert [finding.id for finding in findings(made) if finding.severity == "critical"] == ["hot-external-call"]
    assert findings(made, "connect-wait") == []


def test_many_connects_of_several_callers() -> None:
    made = dump([t for n in range(6) for t in stalled("connect-wait", 4, f"com.shop.C{n}.call", f"p{n}")])
    assert findings(made, "hot-external-call") == []
    assert [(finding.severity, finding.threads) for finding in findings(made, "connect-wait")] == [("high", 24)]
    assert "and others" in findings(made, "connect-wait")[0].detail


def test_a_hot_resolution_is_no_fault_of_the_service() -> None:
    made = dump(stalled("dns-wait", 40))
    assert len(findings(made, "hot-external-call")) == 1
    assert [finding.severity for finding in findings(made, "dns-wait")] == ["high"]


def test_some_file_access_of_a_big_crew_is_usual() -> None:
    assert findings(dump([*stalled("file-stall", 5), *others(60, "work")]), "file-stall") == []


def test_readers_of_a_childs_output_are_no_file_stall() -> None:
    pipe = lock("0x9", "java.lang.UNIXProcess$ProcessPipeInputStream")
    assert findings(dump(stalled("file-stall", 8, holds=[pipe])), "file-stall") == []


def test_the_consumer_of_a_full_queue_is_named() -> None:
    consumer = thread(
        "drain-1", "java.net.SocketInputStream.socketRead0", "java.net.SocketInputStream.read",
        "com.shop.Index.send", "com.shop.Queue$Drain.run", "java.lang.Thread.run", state="RUNNABLE",
    )  # fmt: skip
    bystander = thread("mail", "com.shop.Mail.send", "com.shop.Mail.run", "java.lang.Thread.run", state="RUNNABLE")
    made = dump([*stalled("queue-full", 6, "com.shop.Queue.add"), consumer, bystander])
    detail = findings(made, "queue-full")[0].detail
    assert 'Taken from by "drain-1" (in external calls in SocketInputStream.socketRead0), probably (inferred' in detail
    assert "mail" not in detail


def test_who_joins_a_queue_does_not_take_from_it() -> None:
    put = ("threading.py:Condition.wait@327", "queue.py:Queue.put@140", "shop/orders.py:order@9", *dumps.PY_THREAD)
    join = ("threading.py:Condition.wait@327", "queue.py:Queue.join@90", "shop/orders.py:<module>@19")
    made = dump([*times(5, "web", *put, state="IDLE"), thread("MainThread", *join, state="IDLE")], "python")
    assert "MainThread" not in findings(made, "queue-full")[0].detail


def test_pauses_between_tries_are_told_once() -> None:
    made = dump(
        times(8, "exec", *CASES["retry-backoff"][0], "com.shop.Work.step", *dumps.SERVLET, state="TIMED_WAITING")
    )
    assert [f.id for f in findings(made) if f.id in {"retry-backoff", "sleep-in-requests"}] == ["retry-backoff"]


def test_an_unknown_consumer_is_said_to_be_unknown() -> None:
    idle = thread("drain-1", *dumps.AWAIT, "java.util.concurrent.ArrayBlockingQueue.take", "com.shop.Queue$Drain.run")
    made = dump([*stalled("queue-full", 6, "com.shop.Queue.add"), idle, *others(1, "work")])
    assert "not to be told from this dump" in findings(made, "queue-full")[0].detail


def test_only_requests_are_not_meant_to_sleep() -> None:
    words, state, _ = CASES["sleep-in-requests"]
    assert findings(dump(times(30, "poll", *words, "com.shop.Poll.run", *dumps.WORKER, state=state))) == []


def test_python() -> None:
    words = ("socket.py:getaddrinfo@962", "socket.py:create_connection@827", "shop/api.py:call@3", *dumps.PY_THREAD)
    made = dump(times(6, "job", *words, state="IDLE"), "python")
    assert [finding.severity for finding in findings(made, "dns-wait")] == ["medium"]
    put = ("threading.py:Condition.wait@327", "queue.py:Queue.put@140", "shop/q.py:fill@3", *dumps.PY_THREAD)
    drain = thread("drain", *dumps.PY_REQUESTS, "shop/q.py:drain@9", *dumps.PY_THREAD, state="IDLE")
    detail = findings(dump([*times(6, "job", *put, state="IDLE"), drain], "python"), "queue-full")[0].detail
    assert 'Taken from by "drain"' in detail
