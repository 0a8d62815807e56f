"""What the kernel adds: peers of calls, their age, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

import dumps
from dumps import dump, findings, thread, times, verdict
from threaddump.report import Endpoint, endpoint_words, span_words
from threaddump.reports.words import timeout_words
from threaddump.system_calls import join
from threaddump_parsers.model import Dump, OsFacts, SystemCall, Thread

HANGS, ANSWERS = "10.0.0.7:7001", "10.0.0.8:7001"


def waiting(peer: str = HANGS, ms: int | None = 61_000, name: str = "recvfrom", **changes: Any) -> SystemCall:
    return SystemCall(name, peer, changes.pop("state", "ESTABLISHED"), waiting_ms=ms, **changes)


def calling(count: int, call: SystemCall, prefix: str = "http-exec") -> list[Thread]:
    frames = (*dumps.SOCKET_READ, "com.shop.Gateway.slotFor", *dumps.SERVLET)
    return times(count, prefix, *frames, state="RUNNABLE", call=call)


def captured(threads: list[Thread], **process: Any) -> Dump:
    return dump(threads, os=OsFacts(99, process))


def test_a_group_tells_its_peers() -> None:
    report = dumps.analyzed(captured([*calling(8, waiting()), *calling(3, waiting(ANSWERS, 200), "b")]))
    (group,) = report.groups
    first, second = group.endpoints
    assert (first.address, first.threads, first.untimed, first.waiting_ms) == (HANGS, 8, 8, (61_000, 61_000, 61_000))
    assert (second.address, second.threads) == (ANSWERS, 3)


def test_without_facts_there_are_none() -> None:
    (group,) = dumps.analyzed(dump(calling(8, waiting()))).groups
    assert group.endpoints == []


def test_one_instance_of_several_hangs() -> None:
    made = captured([*calling(12, waiting()), *calling(6, waiting(ANSWERS, 300), "other")])
    (found,) = findings(made, "peer-silent")
    assert found.severity == "high"
    assert found.title.startswith(f"{HANGS} does not answer: 12 of")
    assert "1 other address of the same call answers sooner" in found.detail
    assert HANGS in found.advice[0]
    assert found.evidence[0].line == 10


def test_calls_that_are_young_are_no_finding() -> None:
    assert findings(captured(calling(12, waiting(ms=4_900))), "peer-silent") == []


def test_a_mixed_address_is_slow_and_not_silent() -> None:
    made = captured([*calling(4, waiting()), *calling(4, waiting(ms=100), "young")])
    (found,) = findings(made, "peer-silent")
    assert "have been in Gateway.slotFor for more than 5.0 s" in found.title
    assert found.severity == "medium"


def test_calls_of_unknown_age_are_no_finding() -> None:
    assert findings(captured(calling(12, waiting(ms=None))), "peer-silent") == []


def test_a_dead_host() -> None:
    made = captured(
        calling(3, waiting("10.0.0.9:7001", None, "poll", state="SYN_SENT", timeout_ms=2000, untimed=False))
    )
    (found,) = findings(made, "peer-unreachable")
    assert (found.severity, found.threads) == ("medium", 3)
    assert "10.0.0.9 7001" in found.advice[0]


def test_requests_that_nobody_reads() -> None:
    rows = [{"from": "10.0.0.1:8080", "state": "ESTABLISHED", "count": 90, "with_unread": 25}]
    (found,) = findings(captured(calling(1, waiting(ms=0)), connections=rows), "requests-unread")
    assert "25 connections" in found.title
    assert found.evidence[0].line == 99
    rows[0]["with_unread"] = 19
    assert findings(captured(calling(1, waiting(ms=0)), connections=rows), "requests-unread") == []


def test_connections_that_are_not_closed() -> None:
    rows = [{"to": HANGS, "state": "CLOSE_WAIT", "count": 60}, {"from": "a:1", "state": "CLOSE_WAIT", "count": 40}]
    (found,) = findings(captured(calling(1, waiting(ms=0)), connections=rows), "connections-not-closed")
    assert "100 connections are in CLOSE_WAIT" in found.title
    assert findings(captured(calling(1, waiting(ms=0)), connections=rows[:1]), "connections-not-closed") == []


@pytest.mark.parametrize("rows", [None, "x", [None, 3, {"with_unread": "many"}, {"state": ["CLOSE_WAIT"]}]])
def test_odd_facts_are_no_error(rows: Any) -> None:
    assert dumps.analyzed(captured(calling(2, waiting()), connections=rows)).total == 2


# --- verdicts


APP = ("orders/app.py:fetch@9", *dumps.PY_THREAD)


@pytest.mark.parametrize(
    ("call", "kind", "phase"),
    [
        (waiting(), "external-call", "read"),
        (waiting(name="sendto"), "external-call", "write"),
        (waiting(state="SYN_SENT", name="connect"), "external-call", "connect"),
        (SystemCall("clock_nanosleep"), "sleep", None),
        (SystemCall("accept4"), "idle", "accept"),
        (SystemCall("wait4"), "io", "wait"),
        (SystemCall("read", on="pipe:[1]"), "io", "read"),
        (SystemCall("flock", on="/data/x"), "io", "stat"),
        (SystemCall("futex"), "unknown", None),  # a lock, a condition, the GIL: nobody can tell
        (SystemCall("epoll_wait"), "unknown", None),
    ],
)
def test_the_kernel_names_a_call_of_c(call: SystemCall, kind: str, phase: str | None) -> None:
    found = verdict(*APP, state="IDLE", family="python", call=call)
    assert (found.kind, found.phase) == (kind, phase)
    assert found.caller == "orders/app.py:fetch"


@pytest.mark.parametrize(
    ("call", "timed"),
    [
        (waiting(), False),
        (waiting(name="poll", timeout_ms=30_000, untimed=False), True),
        (waiting(name="poll", untimed=True), False),
        (SystemCall("futex"), None),
    ],
)
def test_the_kernel_tells_a_timeout_that_frames_do_not(call: SystemCall, timed: bool | None) -> None:
    found = verdict(*dumps.SOCKET_READ, "com.shop.Gateway.slotFor", call=call)
    assert (found.kind, found.timed) == ("external-call", timed)
    assert ("the kernel" in found.timed_reason) is (timed is not None)


def test_a_connect_that_waits_has_no_timeout_but_that_of_the_system() -> None:
    frames = ("socket.py:create_connection@836", "orders/app.py:fetch@9", *dumps.PY_THREAD)
    call = waiting(name="connect", state="SYN_SENT", ms=None)
    made = dump(times(4, "w", *frames, state="IDLE", call=call), "python", version="3.11.7", os=OsFacts(99, {}))
    assert [(each.phase, each.timed) for each in dumps.verdicts(made)] == [("connect", False)] * 4
    text = " ".join(f"{found.title} {found.detail}" for found in findings(made))
    assert "no connect timeout" in text or "without a connect timeout" in text
    assert "the wait never ends" not in text


def test_a_c_library_may_have_set_a_timeout_that_nobody_sees() -> None:
    frames = ("redis/_parsers/socket.py:SocketBuffer._read_from_socket@60", "orders/app.py:fetch@9")
    assert verdict(*APP, state="IDLE", family="python", call=waiting()).timed is None
    assert (
        verdict("socket.py:SocketIO.readinto@706", *frames, state="IDLE", family="python", call=waiting()).timed
        is False
    )


# --- calls that send

SOCKET_WRITE = (
    "sun.nio.ch.SocketDispatcher.write0",
    "sun.nio.ch.NioSocketImpl.tryWrite",
    "sun.nio.ch.NioSocketImpl.implWrite",
    "java.net.Socket$SocketOutputStream.write",
)


def sending(count: int) -> list[Thread]:
    call = waiting(name="write", unsent=2_000_000)
    return times(count, "feed", *SOCKET_WRITE, "com.shop.Feed.push", *dumps.WORKER, state="RUNNABLE", call=call)


def test_a_write_is_not_said_to_lack_a_read_timeout() -> None:
    report = dumps.analyzed(captured([*sending(4), *times(60, "w", *dumps.IDLE, state="WAITING")]))
    (group,) = (each for each in report.groups if each.kind == "external-call")
    assert timeout_words(group.kind, group.phase, group.timed) == "no write timeout"
    found = {finding.id: finding for finding in report.findings}
    (without, silent) = (found["read-without-timeout"], found["peer-silent"])
    assert without.title.endswith("without a write timeout")
    assert "If the peer stops reading, the wait never ends" in without.detail
    assert "a Java socket has no write timeout" in without.advice[0]
    assert silent.title.startswith(f"{HANGS} does not read: ")
    told = [words for finding in report.findings for words in (finding.title, finding.detail, *finding.advice)]
    assert "read timeout" not in " ".join(told)


def test_a_hot_call_that_sends_is_bounded_in_another_way() -> None:
    (found,) = findings(captured(sending(30)), "hot-external-call")
    assert "no write timeout" in found.detail
    assert "setSoTimeout bounds reads only" in found.advice[0]


def test_the_kernel_tells_that_a_request_is_still_being_sent() -> None:
    frames = ("http/client.py:HTTPConnection.send@1001", *dumps.PY_REQUESTS[3:])
    found = verdict(*frames, state="IDLE", family="python", call=waiting(name="sendto"))
    assert (found.kind, found.phase, found.timed) == ("external-call", "write", False)


# --- the dump and its facts


def test_facts_reach_the_threads_also_from_outside_their_namespace() -> None:
    inside, outside = thread("a", "x.A.b", native_id=7), thread("b", "x.A.b", native_id=4711)
    facts = OsFacts(9, {"host": "orders-4", "pid": 12, "service": 3}, {7: waiting(), 8: waiting(ANSWERS)}, {7: 120})
    facts.host_tids = {4711: 8}
    made = dump([inside, outside], pid=None)
    join(made, facts)
    assert (inside.call and inside.call.peer, outside.call and outside.call.peer) == (HANGS, ANSWERS)
    assert (inside.cpu_ms, made.host, made.pid, made.service) == (120.0, "orders-4", 12, None)


# --- words


def endpoint(address: str, threads: int, waits: tuple[int, int, int] | None) -> Endpoint:
    return Endpoint(address, threads, None, threads, waits, {})


def test_words() -> None:
    assert endpoint_words([]) == ""
    assert endpoint_words([endpoint(HANGS, 5, (4_800, 61_000, 96_000))]) == f"{HANGS}, for 4.8 s to 96 s (median 61 s)"
    assert endpoint_words([endpoint(HANGS, 5, (5_000, 5_010, 5_020))]) == f"{HANGS}, for 5.0 s"
    several = [endpoint(f"10.0.0.{n}:1", 9 - n, None) for n in range(5)]
    assert endpoint_words(several) == "10.0.0.0:1 (9), 10.0.0.1:1 (8), 10.0.0.2:1 (7) and 2 more"


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [(300, "0.3 s"), (9_999, "10.0 s"), (96_000, "96 s"), (119_000, "119 s"), (840_000, "14 min"), (18_000_000, "5 h")],
)
def test_spans(milliseconds: int, words: str) -> None:
    assert span_words(milliseconds) == words
