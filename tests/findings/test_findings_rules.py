"""Every rule: a case in which it speaks, with its severity and evidence, and cases like it in which it is silent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dumps
from dumps import blocked, dump, facts, findings, lock, monitor, reentrant, thread, times
from threaddump.findings import RULES, run
from threaddump.findings.saturation import SERVERS
from threaddump.report import SEVERITIES, Finding
from threaddump_parsers.model import Dump, Lock, Thread

SLOT = "com.shop.orders.Gateway.slotFor"
THROTTLED = ("java.lang.Thread.sleep", "com.google.common.util.concurrent.RateLimiter.acquire")
READ_FOREVER = (
    "sun.nio.ch.SocketDispatcher.read0",
    "sun.nio.ch.NioSocketImpl.tryRead",
    "sun.nio.ch.NioSocketImpl.implRead",
    "java.net.Socket$SocketInputStream.read",
    *dumps.APACHE_CALL[2:],
)
"""A read that shows that no timeout was set: with one, the JDK polls first."""
READ_TIMED = (
    "sun.nio.ch.Net.poll",
    "sun.nio.ch.NioSocketImpl.park",
    "sun.nio.ch.NioSocketImpl.timedRead",
    *READ_FOREVER[2:],
)


def calls(count: int, prefix: str = "exec", words: tuple[str, ...] = READ_FOREVER, **changes: Any) -> list[Thread]:
    return times(count, prefix, *words, SLOT, *dumps.SERVLET, state="RUNNABLE", **changes)


def leases(count: int, prefix: str = "lease", state: str = "WAITING") -> list[Thread]:
    return times(count, prefix, *dumps.APACHE_POOL, SLOT, *dumps.SERVLET, state=state)


def idle(count: int, prefix: str = "exec-idle") -> list[Thread]:
    return times(count, prefix, *dumps.IDLE, state="WAITING")


def running(count: int, prefix: str = "busy") -> list[Thread]:
    return times(count, prefix, "com.shop.Cart.total", *dumps.SERVLET, state="RUNNABLE")


def behind(count: int, lock: Any = None, prefix: str = "exec") -> list[Thread]:
    return [blocked(f"{prefix}-{n}", lock or monitor("0xa")) for n in range(count)]


def owner(lock: Any, words: tuple[str, ...] = dumps.SLEEP, state: str = "TIMED_WAITING", name: str = "owner") -> Thread:
    return thread(name, *words, "com.shop.Feed.pause", *dumps.WORKER, state=state, holds=[lock])


def ring() -> list[Thread]:
    a, b = monitor("0xa"), monitor("0xb")
    return [blocked("one", b, holds=[a]), blocked("two", a, holds=[b])]


READ_WRITE = lock("0xr", "java.util.concurrent.locks.ReentrantReadWriteLock$NonfairSync")
STAMPED = lock("0xs", "java.util.concurrent.locks.StampedLock")


def reads(count: int, wants: Lock, method: str = "ReentrantReadWriteLock$ReadLock.lock") -> list[Thread]:
    words = (*dumps.PARK, f"java.util.concurrent.locks.{method}", "com.shop.Prices.read", *dumps.WORKER)
    return times(count, "read", *words, state="WAITING", wants=wants)


def writes(count: int, wants: Lock, method: str = "ReentrantReadWriteLock$WriteLock.lock") -> list[Thread]:
    words = (*dumps.PARK, f"java.util.concurrent.locks.{method}", "com.shop.Prices.update", *dumps.WORKER)
    return times(count, "write", *words, state="WAITING", wants=wants)


def one(made: Dump, rule: str) -> Finding:
    found = findings(made, rule)
    assert len(found) == 1, [finding.title for finding in found]
    return found[0]


# What each rule says in a plain case: its finding's id, severity, how many threads, and words of the title.
CASES: dict[str, tuple[Dump, str, str, int, str]] = {
    "deadlock": (dump([*ring(), *running(3)]), "deadlock", "critical", 2, "deadlock of 2 threads (monitor)"),
    "hot_external_call": (
        dump([*calls(40), *running(10)]),
        "hot-external-call",
        "critical",
        40,
        "40 of 50 request threads are in one external call: Gateway.slotFor",
    ),
    "pool_wait": (
        dump([*calls(4), *leases(12), *running(40)]),
        "pool-wait-untimed",
        "high",
        12,
        "12 of 56 request threads wait for a slot of Apache HttpClient 4",
    ),
    "rate_limited": (
        dump(
            [
                *times(12, "http-nio-8080-exec", *THROTTLED, SLOT, *dumps.SERVLET, state="TIMED_WAITING"),
                *running(20),
            ]
        ),
        "rate-limited",
        "medium",
        12,
        "12 of 32 request threads are held back by a rate limit in Gateway.slotFor",
    ),
    "threads_behind_one_owner": (
        dump([owner(monitor("0xa")), *behind(12), *running(40)]),
        "threads-behind-one-owner",
        "high",
        12,
        '12 of 12 exec-* threads wait behind one owner: "owner" holds Calendar',
    ),
    "lock_owner_unknown": (
        dump([*behind(10), *running(40)]),
        "lock-owner-unknown",
        "medium",
        10,
        "10 of 10 exec-* threads wait for one Calendar; its owner is unknown",
    ),
    "request_threads_saturated": (
        dump([*leases(20, state="TIMED_WAITING")]),
        "request-threads-saturated",
        "high",
        20,
        "all 20 request threads wait and none is free: not a CPU problem",
    ),
    "read_without_timeout": (
        dump([*calls(3), *running(60)]),
        "read-without-timeout",
        "low",
        3,
        "3 threads in Gateway.slotFor wait without a read timeout",
    ),
    "write_lock_starved": (
        dump([*reads(11, READ_WRITE), *writes(1, READ_WRITE), *running(40)]),
        "write-lock-starved",
        "medium",
        12,
        "12 threads wait for one ReentrantReadWriteLock: 1 to write, 11 to read",
    ),
    "c_call_kind_unknown": (
        dump(times(3, "job", "shop/stock.py:Stock.get@9", *dumps.PY_THREAD, state="IDLE"), "python"),
        "c-call-kind-unknown",
        "info",
        3,
        "3 threads are in calls whose kind this dump does not show",
    ),
    "truncated_input": (
        dump(running(3), truncated=["the end of the dump is missing"]),
        "truncated-input",
        "medium",
        0,
        "the dump is not complete: 3 threads are here, others are missing",
    ),
    "profile_input": (
        dump(running(3), profile="1,234 samples"),
        "profile-input",
        "info",
        0,
        "this is a profile and no dump of one moment: 1,234 samples",
    ),
}


MODULES = ("calls", "completeness", "locks", "pools", "saturation")
"""The families of rules that are looked at here; the others have a file of their own."""
OWN = [rule for rule in RULES if rule.__module__.rpartition(".")[2] in MODULES]


def test_every_rule_has_a_case() -> None:
    assert {rule.__name__ for rule in OWN} == set(CASES)


@pytest.mark.parametrize("rule", CASES)
def test_the_rule_speaks(rule: str) -> None:
    made, id, severity, threads, words = CASES[rule]
    finding = one(made, id)
    assert (finding.severity, finding.threads) == (severity, threads)
    assert words in finding.title
    assert finding.detail
    assert finding.advice
    assert finding.dump == "d1"


@pytest.mark.parametrize("rule", CASES)
def test_evidence_is_a_thread_its_line_and_its_frame(rule: str) -> None:
    made, id, _, _, _ = CASES[rule]
    evidence = one(made, id).evidence
    assert evidence
    by_line = {thread.line: thread.name for thread in made.threads}
    for place in evidence:
        assert place.text
        if id == "truncated-input":
            assert (place.thread, place.line) == (None, made.end_line)
        elif id == "profile-input":
            assert (place.thread, place.line) == (None, made.line)
        else:
            assert by_line[place.line] == place.thread


@pytest.mark.parametrize("rule", OWN, ids=lambda rule: rule.__name__)
def test_without_the_rule_its_finding_is_gone(
    rule: Callable[..., Iterable[Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, id, _, _, _ = CASES[rule.__name__]
    monkeypatch.setattr("threaddump.findings.RULES", tuple(other for other in RULES if other is not rule))
    assert id not in {finding.id for finding in run(facts(made))}


HEALTHY = dump([*idle(200), *running(4), *times(3, "tick", *dumps.SLEEP, "com.shop.Tick.run", state="TIMED_WAITING")])


def test_idle_pools_are_no_finding() -> None:
    assert findings(HEALTHY) == []
    assert findings(dump(idle(500))) == []
    assert findings(dump([])) == []


@settings(max_examples=50)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_findings_are_sorted_and_cite_lines_of_threads(hot: int, lease: int, stuck: int, free: int) -> None:
    made = dump([*calls(hot), *leases(lease), owner(monitor("0xa")), *behind(stuck, prefix="w"), *idle(free)])
    found = findings(made)
    ranks = [SEVERITIES.index(finding.severity) for finding in found]
    assert ranks == sorted(ranks)
    lines = {thread.line: thread.name for thread in made.threads}
    for finding in found:
        assert finding.threads <= len(made.threads)
        assert all(lines[place.line] == place.thread for place in finding.evidence)


# --- hot external call


@pytest.mark.parametrize(
    ("hot", "others", "severity"),
    [
        (450, 50, "critical"),
        (10, 10, "critical"),
        (10, 40, "high"),
        (100, 1900, "high"),
        (9, 18, "medium"),
        (5, 15, "medium"),
        (20, 180, "medium"),
        (5, 16, None),
        (4, 2, None),
        (2, 0, None),
    ],
)
def test_a_hot_call_by_count_and_share(hot: int, others: int, severity: str | None) -> None:
    found = findings(dump([*calls(hot), *running(others)]), "hot-external-call")
    assert [finding.severity for finding in found] == ([severity] if severity else [])


def test_threads_behind_a_call_count_for_its_severity() -> None:
    made = dump([*calls(10), *leases(30), *running(20)])
    finding = one(made, "hot-external-call")
    assert finding.severity == "critical"
    assert "30 more threads wait behind it, for a slot of its pool (inferred), without a timeout." in finding.detail
    assert [finding.severity for finding in findings(dump([*calls(10), *running(50)]), "hot-external-call")] == []


def test_two_phases_of_one_call_are_one_finding() -> None:
    connect = ("sun.nio.ch.Net.connect0", "sun.nio.ch.NioSocketImpl.connect", *dumps.APACHE_CALL[2:])
    finding = one(dump([*calls(20), *calls(10, "c", connect)]), "hot-external-call")
    assert finding.threads == 30
    assert "waiting for the response, connecting" in finding.detail


def test_the_size_of_the_pool_is_advised_where_threads_wait_for_it() -> None:
    waited = one(dump([*calls(40), *leases(10)]), "hot-external-call")
    assert any("limit the calls" in advice for advice in waited.advice)
    assert not any("limit the calls" in advice for advice in one(dump(calls(40)), "hot-external-call").advice)


def test_the_advice_fits_the_phase() -> None:
    connect = ("sun.nio.ch.Net.connect0", "sun.nio.ch.NioSocketImpl.connect", *dumps.APACHE_CALL[2:])
    finding = one(dump(calls(40, words=connect)), "hot-external-call")
    assert "connecting" in finding.detail
    assert any(re.match("set a connect timeout: .*[Cc]onnect.* \\(default: ", advice) for advice in finding.advice)


def test_half_of_the_request_threads_are_most_of_them() -> None:
    assert [f.severity for f in findings(dump([*calls(20), *running(20)]), "hot-external-call")] == ["critical"]
    assert [f.severity for f in findings(dump([*calls(20), *running(21)]), "hot-external-call")] == ["high"]


def test_other_callers_are_other_findings() -> None:
    other = times(20, "o", *READ_FOREVER, "com.shop.Mail.send", *dumps.SERVLET, state="RUNNABLE")
    assert len(findings(dump([*calls(20), *other]), "hot-external-call")) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (READ_FOREVER, "no read timeout"),
        (READ_TIMED, "with a read timeout"),
        (dumps.APACHE_CALL, "and this dump does not show whether one is set"),
    ],
)
def test_what_is_known_of_the_timeout(words: tuple[str, ...], said: str) -> None:
    finding = one(dump(calls(40, words=words)), "hot-external-call")
    assert said in finding.detail
    assert any("read timeout" in advice for advice in finding.advice) is (words is not READ_TIMED)


def test_the_advice_names_knob_and_default_and_the_partial_restart() -> None:
    finding = one(dump(calls(40)), "hot-external-call")
    assert any("(default: " in advice for advice in finding.advice)
    assert any("Gateway.slotFor" in advice for advice in finding.advice)
    assert finding.recovery


# --- reads without a timeout


def test_a_read_without_a_timeout_is_of_medium_from_five_on() -> None:
    made = dump([*calls(5), *running(60)])
    assert one(made, "read-without-timeout").severity == "medium"


@pytest.mark.parametrize("words", [READ_TIMED, dumps.APACHE_CALL], ids=["timed", "unknown"])
def test_a_read_that_may_have_a_timeout_is_not_accused(words: tuple[str, ...]) -> None:
    assert findings(dump([*calls(4, words=words), *idle(60)])) == []


def test_the_read_of_a_hot_call_is_said_once() -> None:
    assert findings(dump(calls(40)), "read-without-timeout") == []


# --- pools


@pytest.mark.parametrize(
    ("waiting", "state", "id", "severity"),
    [
        (1, "WAITING", "pool-wait-untimed", "low"),
        (2, "WAITING", "pool-wait-untimed", "medium"),
        (10, "WAITING", "pool-wait-untimed", "high"),
        (80, "WAITING", "pool-wait-untimed", "critical"),
        (1, "TIMED_WAITING", "pool-exhausted", "low"),
        (3, "TIMED_WAITING", "pool-exhausted", "medium"),
        (9, "TIMED_WAITING", "pool-exhausted", "medium"),
        (10, "TIMED_WAITING", "pool-exhausted", "high"),
        (80, "TIMED_WAITING", "pool-exhausted", "high"),
    ],
)
def test_pool_waits_by_timeout_and_count(waiting: int, state: str, id: str, severity: str) -> None:
    made = dump([*leases(waiting, state=state), *calls(3), *running(57)])
    finding = one(made, id)
    assert finding.severity == severity
    assert finding.title.endswith("without a timeout" if state == "WAITING" else "with a timeout")
    assert "probably be held" in finding.detail or "probably held by 3 threads" in finding.detail
    assert "inferred: the same client below the same caller" in finding.detail


def test_pool_waits_some_of_them_timed() -> None:
    made = dump([*leases(4), *leases(8, "timed", "TIMED_WAITING"), *calls(3), *running(40)])
    finding = one(made, "pool-exhausted")
    assert "4 of them without a timeout" in finding.title
    assert finding.threads == 12


def test_a_pool_without_a_holder_may_be_kept_in_another_call() -> None:
    calling = times(3, "web", *dumps.PY_REQUESTS, "shop/pay.py:charge@9", *dumps.PY_THREAD, state="IDLE")
    pool = ("threading.py:Condition.wait@327", "sqlalchemy/util/queue.py:QueueCommon.get@1")
    pool = (*pool, "sqlalchemy/pool/impl.py:QueuePool._do_get@2", "shop/stock.py:get@9", *dumps.PY_THREAD)
    waiting = times(12, "web", *pool, state="IDLE")
    finding = one(dump([*waiting, *calling], "python"), "pool-wait-untimed")
    assert (
        "3 threads are in external calls in shop/pay.py:charge: if that is done with a slot in hand" in finding.detail
    )
    assert finding.advice[0].startswith("find who keeps slots")


def test_who_waits_for_clients_is_not_sent_to_a_service() -> None:
    body = ("socket.py:SocketIO.readinto@706", "werkzeug/wsgi.py:LimitedStream.readall@597", "shop/up.py:post@5")
    made = dump(times(9, "exec", *body, "flask/app.py:Flask.wsgi_app@1511", *dumps.PY_THREAD, state="IDLE"), "python")
    finding = one(made, "hot-external-call")
    assert "waiting for the body of a client's request" in finding.detail
    assert not any("look at the service" in advice for advice in finding.advice)
    assert any("look at the clients" in advice for advice in finding.advice)


def test_a_call_without_code_of_the_application_is_named_by_its_library() -> None:
    made = dump(times(9, "fetch", *dumps.PY_REQUESTS, *dumps.PY_THREAD, state="IDLE"), "python")
    finding = one(made, "hot-external-call")
    assert finding.title.endswith("in one external call: requests, in socket.py:SocketIO.readinto")
    assert "look at the service that is called first: these threads wait for it" in finding.advice


def test_a_pool_without_a_holder_may_leak() -> None:
    finding = one(dump([*leases(12), *running(40)]), "pool-wait-untimed")
    assert "No thread of this dump is seen to hold a slot" in finding.detail
    assert not any("holders" in advice for advice in finding.advice)
    assert findings(dump([*leases(12), *running(40)]), "lock-owner-unknown") == []


# --- locks


@pytest.mark.parametrize(
    ("waiting", "others", "severity"), [(3, 40, "medium"), (9, 0, "medium"), (10, 40, "high"), (24, 0, "critical")]
)
def test_threads_behind_one_owner_by_count_and_share(waiting: int, others: int, severity: str) -> None:
    made = dump([owner(monitor("0xa")), *behind(waiting), *running(others)])
    finding = one(made, "threads-behind-one-owner")
    assert (finding.severity, finding.threads) == (severity, waiting)
    assert finding.evidence[0].thread == "owner"
    assert (finding.evidence[0].line, finding.evidence[0].text) == (10, "java.lang.Thread.sleep")


def test_two_threads_behind_an_owner_are_no_finding() -> None:
    assert findings(dump([owner(monitor("0xa")), *behind(2), *running(4)])) == []


def test_a_leader_that_idles_under_its_lock_is_no_finding() -> None:
    """One acceptor at a time: the leader waits for a connection under the lock, the others queue to take its place."""
    lock = monitor("0xa")
    leader = thread(
        "leader", "java.net.PlainSocketImpl.socketAccept", "java.net.ServerSocket.accept", "com.shop.Acceptor.run",
        state="RUNNABLE", holds=[lock],
    )  # fmt: skip
    assert dumps.verdicts(dump([leader]))[0].kind == "idle"
    assert findings(dump([leader, *behind(30, lock), *running(3)])) == []


@pytest.mark.parametrize(
    ("words", "state", "doing", "advice"),
    [
        (dumps.SLEEP, "TIMED_WAITING", "asleep in Feed.pause", "do not sleep or wait while holding a lock"),
        (dumps.APACHE_CALL, "RUNNABLE", "in an external call in Feed.pause", "take the call out of the lock"),
        ((), "RUNNABLE", "running in Feed.pause", "shorten what is done under the lock"),
        (
            ("java.io.FileOutputStream.writeBytes", "java.io.FileOutputStream.write"),
            "RUNNABLE",
            "in file or pipe I/O in Feed.pause",
            "take file and console output out of the lock",
        ),
        (
            (*dumps.PARK, "java.util.concurrent.FutureTask.awaitDone", "java.util.concurrent.FutureTask.get"),
            "WAITING",
            "waiting for another thread in Feed.pause",
            "do not sleep or wait while holding a lock",
        ),
        (dumps.APACHE_POOL, "WAITING", "waiting for a pool's slot in Feed.pause", "do not sleep or wait"),
    ],
)
def test_what_the_owner_does_decides_the_advice(words: tuple[str, ...], state: str, doing: str, advice: str) -> None:
    made = dump([owner(monitor("0xa"), words, state), *behind(12)])
    finding = one(made, "threads-behind-one-owner")
    assert f'Meanwhile "owner" is {doing}' in finding.detail
    assert advice in finding.advice[0]


def test_all_the_threads_behind_count_not_only_the_direct_ones() -> None:
    a, b = monitor("0xa"), monitor("0xb")
    middle = blocked("middle", a, holds=[b])
    finding = one(dump([owner(a), middle, *behind(12, b)]), "threads-behind-one-owner")
    assert finding.threads == 13
    assert "directly" in finding.title


@pytest.mark.parametrize(("waiting", "severity"), [(4, None), (5, "low"), (9, "low"), (10, "medium")])
def test_an_unknown_owner_by_count(waiting: int, severity: str | None) -> None:
    made = dump([*behind(waiting, reentrant("0xb")), *running(40)])
    found = findings(made, "lock-owner-unknown")
    assert [finding.severity for finding in found] == ([severity] if severity else [])
    assert all("jcmd PID Thread.print -l" in finding.advice[0] for finding in found)


def test_an_unknown_owner_of_a_lock_that_records_none() -> None:
    stamped = dumps.lock("0xs", "java.util.concurrent.locks.StampedLock")
    words = (*dumps.PARK, "java.util.concurrent.locks.StampedLock.writeLock", "com.shop.Cache.put", *dumps.WORKER)
    made = dump([*times(10, "w", *words, state="WAITING", waits=stamped), *running(40)])
    finding = one(made, "lock-owner-unknown")
    assert finding.threads == 10
    assert "records no owner" in finding.detail


@pytest.mark.parametrize(
    ("threads", "words", "severity"),
    [
        ([*reads(2, READ_WRITE), *writes(1, READ_WRITE)], "1 to write, 2 to read", "low"),
        ([*reads(9, READ_WRITE), *writes(1, READ_WRITE)], "1 to write, 9 to read", "medium"),
        (
            [*reads(4, STAMPED, "StampedLock.readLock"), *writes(2, STAMPED, "StampedLock.writeLock")],
            "one StampedLock: 2 to write, 4 to read",
            "low",
        ),
    ],
    ids=["few", "ten", "stamped"],
)
def test_readers_queue_behind_a_writer(threads: list[Thread], words: str, severity: str) -> None:
    finding = one(dump(threads), "write-lock-starved")
    assert (finding.severity, finding.threads) == (severity, len(threads))
    assert words in finding.title
    assert findings(dump(threads), "lock-owner-unknown") == []


def test_that_readers_hold_the_lock_is_shown_by_a_dump_with_owners() -> None:
    made = dump([*reads(4, READ_WRITE), *writes(1, READ_WRITE)], ownable_synchronizers=True)
    assert "No thread owns it for writing, so readers hold it" in one(made, "write-lock-starved").detail
    alone = dump(writes(5, READ_WRITE), ownable_synchronizers=True)
    assert "5 to write, 0 to read" in one(alone, "write-lock-starved").title


def test_threads_inside_the_code_of_a_read_lock_are_candidates() -> None:
    inside = times(2, "export", *dumps.SOCKET_READ, "com.shop.Prices.export", *dumps.WORKER, state="RUNNABLE")
    made = dump([*reads(4, READ_WRITE), *writes(1, READ_WRITE), *inside])
    assert '"export-1", "export-2"' in one(made, "write-lock-starved").detail


@pytest.mark.parametrize(
    "threads",
    [
        reads(9, READ_WRITE),
        writes(9, READ_WRITE),
        [*reads(1, READ_WRITE), *writes(1, READ_WRITE)],
        [*reads(9, READ_WRITE), *writes(1, READ_WRITE), owner(READ_WRITE)],
        behind(9, reentrant("0xb")),
    ],
    ids=["readers alone", "writers alone", "two", "the writer is known", "another lock"],
)
def test_no_readers_behind_a_writer(threads: list[Thread]) -> None:
    assert findings(dump(threads), "write-lock-starved") == []


@pytest.mark.parametrize("name", ["ReentrantLock$FairSync", "ReentrantLock$NonfairSync"])
def test_a_fair_lock_is_called_fair(name: str) -> None:
    fair = lock("0xf", f"java.util.concurrent.locks.{name}")
    known, unknown = dump([owner(fair), *behind(12, fair)]), dump(behind(12, fair))
    said = [one(known, "threads-behind-one-owner").detail, one(unknown, "lock-owner-unknown").detail]
    assert ["The lock is fair" in detail for detail in said] == [name == "ReentrantLock$FairSync"] * 2


@pytest.mark.parametrize("name", ["java.lang.Class for com.shop.Calendar", "com.shop.Calendar"])
def test_static_synchronized_is_one_lock_for_the_process(name: str) -> None:
    held = lock("0xc", name)
    finding = one(dump([owner(held), *behind(12, held)]), "threads-behind-one-owner")
    assert any("static synchronized" in advice for advice in finding.advice) is name.startswith("java.lang.Class")


def test_the_jvm_looks_for_deadlocks_among_platform_threads_only() -> None:
    virtual = ring()
    for each in virtual:
        each.virtual = True
    said = [one(dump(threads), "deadlock").detail for threads in (ring(), virtual)]
    assert ["platform threads only" in detail for detail in said] == [False, True]


def test_a_known_owner_is_not_said_to_be_unknown() -> None:
    assert findings(dump([owner(monitor("0xa")), *behind(12)]), "lock-owner-unknown") == []
    assert findings(dump([*ring(), *behind(9)]), "lock-owner-unknown") == []


def test_a_deadlock_says_who_wants_what_and_who_is_behind() -> None:
    finding = one(dump([*ring(), *behind(4)]), "deadlock")
    assert finding.title == "deadlock of 2 threads (monitor), 4 more wait behind them"
    assert finding.threads == 6
    assert '"one" → "two" → "one"' in finding.detail
    assert "runtime does not report it" in finding.detail
    assert [(place.thread, place.line) for place in finding.evidence] == [("one", 10), ("two", 20)]


def test_a_deadlock_that_the_runtime_reports_too() -> None:
    a, b = monitor("0xa"), monitor("0xb")
    made = dump(ring(), deadlocks=[dumps.reported(("one", b, "two"), ("two", a, "one"))])
    assert "runtime reports it too" in one(made, "deadlock").detail


def test_a_line_of_owners_is_no_deadlock() -> None:
    a, b = monitor("0xa"), monitor("0xb")
    made = dump([owner(a), blocked("x", a, holds=[b]), blocked("y", b)])
    assert findings(made, "deadlock") == []


# --- saturation


def test_saturated_request_threads_say_that_cpu_is_low() -> None:
    cold = calls(20)
    for each in cold:
        each.cpu_ms, each.elapsed_s = 10.0, 100.0
    finding = one(dump(cold), "request-threads-saturated")
    assert "20 in external calls" in finding.detail
    assert "CPU is low: 0.2 s used in 2,000 s of thread time" in finding.detail


def test_saturated_threads_without_cpu_times() -> None:
    assert "the dump has no CPU times" in one(dump(calls(20)), "request-threads-saturated").detail
    half = calls(20)
    for each in half:
        each.cpu_ms = 10.0  # and nothing to compare it with: a javacore tells no age of a thread
    assert "together they used 0.2 s of CPU" in one(dump(half), "request-threads-saturated").detail


def test_threads_that_only_locks_name_are_no_crew() -> None:
    """The section LOCKS of a javacore alone names those that hold and wait, and none of the others."""
    lock = monitor("0x1")
    waiters = [thread(f"exec-{number}", state="BLOCKED", wants=lock) for number in range(2, 22)]
    made = dump([thread("exec-1", holds=[lock]), *waiters], format="javacore")
    assert [finding.id for finding in findings(made)] == ["threads-behind-one-owner"]
    (finding,) = findings(made)
    assert (finding.severity, finding.title) == ("high", '20 threads wait behind one owner: "exec-1" holds Calendar')
    assert finding.detail == 'What "exec-1" does is not told.'


@pytest.mark.parametrize(("printer", "advice"), [("hotspot", "jcmd PID Thread.print -l"), ("javacore", "three dumps")])
def test_who_owns_a_lock_is_asked_with_the_tools_of_the_jvm(printer: str, advice: str) -> None:
    lock = reentrant("0x1")
    (finding,) = findings(dump([blocked(f"w-{n}", lock) for n in range(12)], format=printer), "lock-owner-unknown")
    assert advice in finding.advice[0]
    assert ("-l" in finding.detail) is (printer == "hotspot")


def test_saturated_threads_that_have_computed_before() -> None:
    warm = calls(20)
    for each in warm:
        each.cpu_ms, each.elapsed_s = 90_000.0, 100.0
    assert "CPU is not low" in one(dump(warm), "request-threads-saturated").detail


def test_eight_threads_are_enough_to_be_saturated() -> None:
    assert one(dump(calls(8)), "request-threads-saturated").threads == 8


@pytest.mark.parametrize(
    "threads",
    [
        [*calls(7)],  # too few to mean anything
        [*calls(20), *idle(5, "exec")],  # some are free
        [*calls(20), *running(10)],  # some compute
        [*running(40)],
        [*idle(40)],
    ],
    ids=["few", "free", "running", "busy", "idle"],
)
def test_threads_that_could_serve_are_no_saturation(threads: list[Thread]) -> None:
    assert not [finding for finding in findings(dump(threads)) if finding.id.endswith("-saturated")]


def test_a_pool_that_serves_no_requests_has_an_id_of_its_own() -> None:
    workers = times(12, "sync", *READ_FOREVER, SLOT, *dumps.WORKER, state="RUNNABLE")
    finding = one(dump([*workers, *idle(5, "other")]), "thread-pool-saturated")
    assert "all 12 sync-* threads wait" in finding.title


# --- the input


# --- servers of Python: when their threads are all

NAMES = {
    "waitress": ("waitress-{}", "waitress/task.py:HTTPChannel.service@1"),
    "cheroot": ("CP Server Thread-{}", "cheroot/server.py:HTTPConnection.communicate@1"),
    "anyio": ("AnyIO worker thread", "anyio/_backends/_asyncio.py:WorkerThread.run@1"),
    "gunicorn": ("ThreadPoolExecutor-0_{}", "gunicorn/workers/gthread.py:ThreadWorker.handle_request@1"),
    "other": ("serve-{}", "flask/app.py:Flask.wsgi_app@1"),
}


def serving(server: str, count: int) -> list[Thread]:
    name, frame = NAMES[server]
    return [
        thread(name.format(n), *dumps.PY_REQUESTS, "shop/api.py:call@3", frame, *dumps.PY_THREAD, state="IDLE")
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("server", "count", "severity"),
    [
        ("waitress", 4, "medium"),
        ("waitress", 8, "high"),
        ("waitress", 1, None),
        ("cheroot", 4, "medium"),
        ("gunicorn", 7, None),
        ("gunicorn", 8, "high"),
        ("anyio", 39, None),
        ("anyio", 40, "high"),
        ("other", 7, None),
        ("other", 8, "high"),
    ],
)
def test_how_many_threads_of_a_server_are_all(server: str, count: int, severity: str | None) -> None:
    found = findings(dump(serving(server, count), "python"), "request-threads-saturated")
    assert [finding.severity for finding in found] == ([severity] if severity else [])
    for finding in found:
        assert server not in SERVERS or SERVERS[server].words in finding.detail
        assert f"begin at the {count} threads in external calls in shop/api.py:call" in finding.advice[0]


@pytest.mark.parametrize(
    ("command", "count", "severity"),
    [
        ("gunicorn -k gthread --threads 4 app:app", 4, "medium"),
        ("gunicorn -k gthread --threads=4 app:app", 3, None),
        ("python -m gunicorn --threads 16 app:app", 15, None),
        ("gunicorn --threads 1 app:app", 1, None),
        ("other --threads 4", 7, None),
    ],
)
def test_the_command_line_says_how_many_threads_gunicorn_may_start(
    command: str, count: int, severity: str | None
) -> None:
    found = findings(dump(serving("gunicorn", count), "python", command=command), "request-threads-saturated")
    assert [finding.severity for finding in found] == ([severity] if severity else [])
    assert all("gunicorn may start 4 threads" in finding.detail for finding in found)


@pytest.mark.parametrize(
    ("state", "count", "free", "found"),
    [
        ("IDLE", 8, 0, [("request-threads-saturated", "high"), ("c-call-kind-unknown", "medium")]),
        ("ACTIVE", 8, 0, [("c-call-kind-unknown", "medium")]),  # they may compute
        ("IDLE", 7, 0, [("c-call-kind-unknown", "info")]),
        ("IDLE", 8, 2, [("c-call-kind-unknown", "info")]),
    ],
)
def test_request_threads_in_calls_that_nothing_names(
    state: str, count: int, free: int, found: list[tuple[str, str]]
) -> None:
    below = ("flask/app.py:Flask.wsgi_app@1511", *dumps.PY_THREAD)
    taken = times(count, "exec", "shop/stock.py:get@9", *below, state=state)
    others = times(free, "exec-f", *dumps.PY_REQUESTS, "shop/mail.py:send@3", *below, state="IDLE")
    made = dump([*taken, *others], "python")
    ids = {"request-threads-saturated", "c-call-kind-unknown"}
    if free:
        ids.discard("request-threads-saturated")  # those in another call are taken as well
    assert [(f.id, f.severity) for f in findings(made) if f.id in ids] == found


def test_each_server_has_a_case() -> None:
    assert {*SERVERS, "gunicorn", "other"} == set(NAMES)


def test_a_free_thread_of_a_server_is_no_saturation() -> None:
    free = thread(
        "waitress-9", "threading.py:Condition.wait@327", "waitress/task.py:ThreadedTaskDispatcher.handler_thread@1"
    )
    assert findings(dump([*serving("waitress", 3), free], "python"), "request-threads-saturated") == []


# --- the order of recovery: at the root, not at those who wait for it


def test_the_root_comes_before_those_that_wait_for_it() -> None:
    made = dump([*calls(50), *leases(245)])
    assert [finding.id for finding in findings(made) if finding.severity == "critical"] == [
        "hot-external-call",
        "pool-wait-untimed",
    ]


def test_who_waits_for_a_slot_is_sent_to_the_root() -> None:
    root = "the 50 threads in external calls in Gateway.slotFor"
    made = dump([*calls(50), *leases(245)])
    waiting = one(made, "pool-wait-untimed")
    assert waiting.advice[0] == f"begin at the root, {root}: a bigger pool only moves the queue"
    assert waiting.recovery[0] == f"First the root, {root}: that frees the slots"
    assert any(advice.startswith("if those who hold the slots get on") for advice in waiting.advice)
    assert f"begin at the root, {root}" in one(made, "request-threads-saturated").advice[0]
    assert not any("root" in advice for advice in one(dump(leases(20)), "pool-wait-untimed").advice)


def test_the_root_of_a_chain_is_not_the_lock_in_between() -> None:
    """Threads wait for a lock whose owner waits for a slot, and the slots are held by calls."""
    held = monitor("0xa")
    leader = thread("exec-lead", *dumps.APACHE_POOL, SLOT, *dumps.SERVLET, state="WAITING", holds=[held])
    stuck = [blocked(f"exec-b{n}", held, "com.shop.Step.go", *dumps.SERVLET) for n in range(20)]
    made = dump([*calls(10), leader, *leases(3), *stuck])
    root = "the 10 threads in external calls in Gateway.slotFor"
    assert f"begin at the root, {root}" in one(made, "request-threads-saturated").advice[0]
    assert one(made, "pool-wait-untimed").advice[0].startswith(f"begin at the root, {root}")
    call = one(made, "hot-external-call")
    assert (
        "24 more threads wait behind it, 4 of them for a slot of its pool (inferred), without a timeout" in call.detail
    )
    assert findings(made)[0].id == "hot-external-call"


def test_holders_at_several_places_are_all_the_root() -> None:
    made = [
        t for n in (1, 2, 3) for t in times(2, f"rep{n}", *READ_FOREVER, f"com.shop.Report{n}.load", state="RUNNABLE")
    ]
    words = one(dump([*made, *leases(8)]), "pool-wait-untimed").advice[0]
    assert "the 2 threads in external calls in Report1.load and the 2 threads in external calls in Report2" in words
    assert "and 2 more" in words


def test_the_root_may_be_one_thread_or_a_deadlock() -> None:
    held = monitor("0xa")
    full = one(dump([owner(held), *behind(20, held)]), "thread-pool-saturated")
    assert 'begin at the root, "owner", asleep in Feed.pause' in full.advice[0]
    stuck = one(dump([*ring(), *behind(20, monitor("0xa"))]), "thread-pool-saturated")
    assert 'begin at the root, the deadlock of "one" and "two"' in stuck.advice[0]
    assert not any("restart brings" in advice for advice in stuck.advice)  # of a deadlock nothing else helps


def test_an_owner_in_a_call_is_said_so() -> None:
    held = monitor("0xa")
    full = one(dump([owner(held, READ_FOREVER, "RUNNABLE"), *behind(20, held)]), "thread-pool-saturated")
    assert '"owner", in an external call in Feed.pause' in full.advice[0]


@pytest.mark.parametrize("threads", [behind(20), leases(20)], ids=["a lock", "a slot"])
def test_without_a_root_those_who_wait_are_not_called_one(threads: list[Thread]) -> None:
    made = dump(threads)
    id = "request-threads-saturated" if made.threads[0].name.startswith("lease") else "thread-pool-saturated"
    advice = one(made, id).advice[0]
    assert ("find who holds the slots" if "request" in id else "cut at the call or lock") in advice


def test_a_whole_input_is_not_said_to_be_cut() -> None:
    assert findings(dump(running(3)), "truncated-input") == []


def test_faulthandlers_limit_is_named() -> None:
    made = dump([thread("t", *dumps.PY_THREAD)], "python", format="faulthandler", truncated=["100 threads, then cut"])
    assert "py-spy dump --pid PID" in one(made, "truncated-input").advice[0]


# --- Python


@pytest.mark.parametrize(("waiting", "severity"), [(3, "low"), (9, "low"), (10, "high"), (24, "high")])
def test_an_inferred_owner_makes_the_finding_milder(waiting: int, severity: str) -> None:
    task = ("concurrent/futures/thread.py:_WorkItem.run@58", *dumps.PY_THREAD)
    words = ("orders/calendar.py:Calendar.reserve@18", *task)
    holder = thread("w-0", "orders/feed.py:Feed.read@7", "orders/calendar.py:Calendar.reserve@19", *task, state="IDLE")
    finding = one(dump([holder, *times(waiting, "w", *words, state="IDLE")], "python"), "threads-behind-one-owner")
    assert (finding.severity, finding.threads) == (severity, waiting)
    assert "probably" in finding.title


def test_the_incident_in_python() -> None:
    hot = times(45, "request", *dumps.PY_REQUESTS, "orders/s.py:C.reserve@7", *dumps.PY_THREAD, state="IDLE")
    lease = times(5, "w", *dumps.PY_POOL, "orders/s.py:C.reserve@7", *dumps.PY_THREAD, state="IDLE")
    found = findings(dump([*hot, *lease], "python"))
    assert {finding.id for finding in found} >= {"hot-external-call", "pool-wait-untimed"}
    assert found[0].id == "hot-external-call"
    assert "5 more threads wait behind it" in found[0].detail
