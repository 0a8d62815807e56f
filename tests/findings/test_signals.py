"""Waits for what another thread has to do: arrive, notify, give a permit back."""

from __future__ import annotations

import pytest

import dumps
from dumps import dump, findings, lock, thread, times
from threaddump_parsers.model import Thread

LATCH = lock("0x7", "java.util.concurrent.CountDownLatch$Sync")
JUC = "java.util.concurrent."
SYNC = (*dumps.PARK, f"{JUC}locks.AbstractQueuedSynchronizer.acquire")
WAITS = {
    "latch": (*SYNC, f"{JUC}CountDownLatch.await"),
    "barrier": (*dumps.AWAIT, f"{JUC}CyclicBarrier.dowait", f"{JUC}CyclicBarrier.await"),
    "phaser": (*dumps.PARK, f"{JUC}Phaser$QNode.block", f"{JUC}Phaser.arriveAndAwaitAdvance"),
    "exchanger": (*dumps.PARK, f"{JUC}Exchanger.slotExchange", f"{JUC}Exchanger.exchange"),
}
PERMIT = (*SYNC, f"{JUC}Semaphore.acquire")
STEP = "com.shop.Step.run"


def waiting(
    count: int, what: str = "latch", caller: str = STEP, state: str = "WAITING", **changes: object
) -> list[Thread]:
    changes = {"waits": LATCH} | changes
    return times(count, "step", *WAITS[what], caller, *dumps.WORKER, state=state, **changes)


def busy(place: str = "com.shop.Step.load", name: str = "loader") -> Thread:
    return thread(name, *dumps.SOCKET_READ, place, *dumps.WORKER, state="RUNNABLE")


def idle(count: int, prefix: str = "step") -> list[Thread]:
    return times(count, prefix, *dumps.IDLE, state="WAITING")


@pytest.mark.parametrize("what", WAITS)
def test_waits_at_one_object(what: str) -> None:
    (finding,) = findings(dump(waiting(5, what)), "latch-wait")
    assert (finding.severity, finding.threads) == ("medium", 5)
    assert finding.title == f"5 of 5 step-* threads wait at one {what} in Step.run, without a timeout"
    assert "No thread of this dump is at work in the same classes" in finding.detail
    assert (finding.evidence[0].thread, finding.evidence[0].line) == ("step-1", 10)


@pytest.mark.parametrize(
    ("threads", "severity"),
    [
        (waiting(4), "low"),
        ([*waiting(5), *idle(15)], "medium"),
        ([*waiting(5), *idle(16)], "low"),
        ([*waiting(9), busy()], "low"),
        (waiting(9, state="TIMED_WAITING"), "low"),
        ([*waiting(9), busy("com.shop.Other.load")], "medium"),
    ],
    ids=["few", "enough of them", "small share", "somebody is at work", "timed", "others are at work"],
)
def test_how_severe_a_latch_is(threads: list[Thread], severity: str) -> None:
    assert [finding.severity for finding in findings(dump(threads), "latch-wait")] == [severity]


def test_who_may_be_the_missing_party() -> None:
    (finding,) = findings(dump([*waiting(9), busy()]), "latch-wait")
    assert '"loader" (in external calls in Step.load)' in finding.detail
    for count, more in ((3, False), (4, True)):
        (finding,) = findings(dump([*waiting(9), *(busy(name=f"loader-{n}") for n in range(count))]), "latch-wait")
        assert ("and 1 more" in finding.detail) is more


@pytest.mark.parametrize(
    "threads",
    [
        waiting(2),
        [t for n in range(9) for t in times(1, f"w{n}", *WAITS["latch"], f"com.shop.C{n}.run", state="WAITING")],
        [t for n in range(9) for t in waiting(2, waits=lock(f"0x{n}"))],
        idle(9),
    ],
    ids=["two", "each elsewhere", "each another", "idle"],
)
def test_no_jam_at_a_latch(threads: list[Thread]) -> None:
    assert findings(dump(threads), "latch-wait") == []


def test_a_phaser_parks_each_thread_on_its_own_node() -> None:
    made = [t for n in range(5) for t in waiting(1, "phaser", waits=lock(f"0x{n}", f"{JUC}Phaser$QNode"))]
    assert [finding.threads for finding in findings(dump(made), "latch-wait")] == [5]


def test_a_barrier_of_python() -> None:
    words = ("threading.py:Condition.wait@327", "threading.py:Barrier._wait@700", "threading.py:Barrier.wait@680",
             "shop/step.py:run@3", *dumps.PY_THREAD)  # fmt: skip
    (finding,) = findings(dump(times(5, "job", *words, state="IDLE"), "python"), "latch-wait")
    assert "wait at one barrier in shop/step.py:run" in finding.title


# --- permits


def permits(count: int, state: str = "WAITING", **changes: object) -> list[Thread]:
    return times(count, "exec", *PERMIT, "com.shop.Bulkhead.call", *dumps.SERVLET, state=state, **changes)


@pytest.mark.parametrize(
    ("count", "free", "state", "severity"),
    [
        (20, 0, "WAITING", "high"),
        (20, 0, "TIMED_WAITING", "medium"),
        (20, 60, "WAITING", "medium"),
        (21, 49, "WAITING", "high"),
        (10, 60, "WAITING", "medium"),
        (5, 15, "WAITING", "medium"),
        (5, 16, "WAITING", "low"),
        (3, 0, "WAITING", "low"),
        (2, 0, "WAITING", None),
    ],
)
def test_permits_by_count_share_and_timeout(count: int, free: int, state: str, severity: str | None) -> None:
    found = findings(dump([*permits(count, state), *idle(free, "exec")]), "permit-wait")
    assert [finding.severity for finding in found] == ([severity] if severity else [])
    for finding in found:
        words = "with a timeout" if state == "TIMED_WAITING" else "without a timeout"
        assert finding.title.endswith(f"wait for a permit of a semaphore in Bulkhead.call, {words}")
        assert (finding.evidence[0].thread, finding.evidence[0].line) == ("exec-1", 10)
        assert any("with a timeout" in advice for advice in finding.advice) is (state == "WAITING")


def test_who_may_hold_the_permits() -> None:
    holder = thread("exec-99", *dumps.SOCKET_READ, "com.shop.Net.read", "com.shop.Bulkhead.call", *dumps.SERVLET)
    holder.state = "RUNNABLE"
    (held,) = findings(dump([*permits(9), holder]), "permit-wait")
    assert 'probably held by threads that are at work in the same classes (inferred): "exec-99"' in held.detail
    assert any("at those who hold the permits" in advice for advice in held.advice)
    (leaked,) = findings(dump(permits(9)), "permit-wait")
    assert "a leak" in leaked.detail


def test_who_is_in_the_method_itself_is_more_likely_to_hold_permits() -> None:
    beside = times(5, "exec-b", *dumps.SOCKET_READ, "com.shop.Bulkhead.other", *dumps.SERVLET, state="RUNNABLE")
    holder = thread("exec-99", *dumps.SOCKET_READ, "com.shop.Net.read", "com.shop.Bulkhead.call", *dumps.SERVLET)
    holder.state = "RUNNABLE"
    (held,) = findings(dump([*permits(9), *beside, holder]), "permit-wait")
    assert '(inferred): "exec-99" (in external calls in Net.read).' in held.detail


def test_who_waits_for_permits_is_sent_to_their_holders() -> None:
    holders = times(2, "exec-h", *dumps.SOCKET_READ, "com.shop.Net.read", "com.shop.Bulkhead.call", *dumps.SERVLET)
    for holder in holders:
        holder.state = "RUNNABLE"
    (full,) = findings(dump([*permits(18), *holders]), "request-threads-saturated")
    assert 'begin with those that may let them go on, "exec-h-1" (in external calls in Net.read)' in full.advice[0]


def test_each_semaphore_is_one_finding() -> None:
    made = [*permits(5, waits=lock("0x1")), *permits(4, waits=lock("0x2"))]
    assert [finding.threads for finding in findings(dump(made), "permit-wait")] == [5, 4]


# --- notifications

WAIT = ("java.lang.Object.wait", "java.lang.Object.wait", "com.shop.Gate.pass")


def notified(
    count: int, words: tuple[str, ...] = WAIT, below: tuple[str, ...] = dumps.SERVLET, state: str = "WAITING"
) -> list[Thread]:
    return times(count, "exec", *words, *below, state=state)


@pytest.mark.parametrize(
    ("count", "free", "severity"),
    [(1, 0, "low"), (9, 0, "low"), (10, 0, "medium"), (10, 30, "low"), (12, 28, "medium")],
)
@pytest.mark.parametrize("words", [WAIT, (*dumps.AWAIT, "com.shop.Gate.pass")], ids=["Object.wait", "Condition.await"])
def test_a_request_that_nobody_notifies(words: tuple[str, ...], count: int, free: int, severity: str) -> None:
    (finding,) = findings(dump([*notified(count, words), *idle(free, "exec")]), "missed-notify")
    assert (finding.severity, finding.threads) == (severity, count)
    assert f"{'waits' if count == 1 else 'wait'} to be notified in Gate.pass, without a timeout" in finding.title
    assert (finding.evidence[0].thread, finding.evidence[0].line) == ("exec-1", 10)


def test_a_request_of_python_that_nobody_notifies() -> None:
    words = (
        "threading.py:Condition.wait@327",
        "shop/gate.py:Gate.pass@9",
        "flask/app.py:Flask.wsgi_app@2",
        *dumps.PY_THREAD,
    )
    (finding,) = findings(dump(times(2, "exec", *words, state="IDLE"), "python"), "missed-notify")
    assert "in shop/gate.py:Gate.pass" in finding.title


@pytest.mark.parametrize(
    "threads",
    [
        notified(9, below=dumps.WORKER),
        notified(9, state="TIMED_WAITING"),
        [*notified(9), busy("com.shop.Gate.open")],
        notified(9, (*WAITS["latch"], "com.shop.Gate.pass")),
    ],
    ids=["no request", "timed", "the sender is at work", "another wait"],
)
def test_notifications_that_may_come(threads: list[Thread]) -> None:
    assert findings(dump(threads), "missed-notify") == []
