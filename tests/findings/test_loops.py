"""Event loops that are blocked, and the interpreter lock."""

from __future__ import annotations

from typing import Any

import pytest

import dumps
from dumps import dump, findings, thread, times
from threaddump.report import Finding
from threaddump_parsers.model import Thread

HANDLE = (
    "asyncio/events.py:Handle._run@80",
    "asyncio/base_events.py:BaseEventLoop._run_once@1922",
    "asyncio/base_events.py:BaseEventLoop.run_forever@607",
    "asyncio/runners.py:run@190",
    "shop/main.py:<module>@9",
)
SELECT = ("selectors.py:EpollSelector.select@468", *HANDLE[1:])
NETTY = (
    "io.netty.channel.AbstractChannelHandlerContext.invokeChannelRead",
    "io.netty.channel.nio.NioEventLoop.processSelectedKey",
    "io.netty.channel.nio.NioEventLoop.processSelectedKeys",
    "io.netty.channel.nio.NioEventLoop.run",
    "java.lang.Thread.run",
)
TASKS = ("io.netty.util.concurrent.SingleThreadEventExecutor.runAllTasks", "io.netty.channel.nio.NioEventLoop.run")
EPOLL = ("io.grpc.netty.shaded.io.netty.channel.epoll.EpollEventLoop.processReady", "java.lang.Thread.run")
XNIO = ("org.xnio.ChannelListeners.invokeChannelListener", "org.xnio.nio.WorkerThread.run")


def blocked(threads: list[Thread], family: str = "jvm") -> list[Finding]:
    return findings(dump(threads, family), "event-loop-blocked")


def loop(*words: str, state: str = "IDLE", **changes: Any) -> Thread:
    return thread("loop", *words, "shop/api.py:profile@12", *HANDLE, state=state, **changes)


def test_a_synchronous_call_in_a_coroutine() -> None:
    finding = blocked([loop(*dumps.PY_REQUESTS)], "python")[0]
    assert finding.severity == "high"
    assert finding.title == 'event loop "loop" is blocked in shop/api.py:profile'
    assert "in external calls" in finding.detail
    assert [(place.thread, place.line) for place in finding.evidence] == [("loop", 10)]
    assert any("asyncio.to_thread" in advice for advice in finding.advice)


@pytest.mark.parametrize(
    ("words", "severity"),
    [
        (("native:clock_nanosleep",), "high"),
        (("threading.py:Condition.wait@327", "concurrent/futures/_base.py:Future.result@451"), "high"),
        (dumps.PY_POOL, "high"),
        (("native:PyThread_acquire_lock_timed",), "high"),
        (("subprocess.py:Popen.wait@1264",), "medium"),
        ((), "low"),
    ],
    ids=["sleep", "future", "pool", "lock", "io", "unknown"],
)
def test_severity_in_python(words: tuple[str, ...], severity: str) -> None:
    found = blocked([loop(*words)], "python")
    assert [finding.severity for finding in found] == [severity]
    assert ("probably blocked" in found[0].title) is (severity == "low")


@pytest.mark.parametrize(
    "words",
    [
        SELECT,
        ("shop/api.py:profile@12", *HANDLE),  # on the CPU
        ("asyncio/streams.py:StreamReader.read@9", "shop/api.py:profile@12", *HANDLE),  # awaits
        ("native:recv", "asyncio/selector_events.py:_SelectorSocketTransport._read_ready@9", *HANDLE),  # never blocks
        (*dumps.PY_REQUESTS, "shop/api.py:profile@12", *dumps.PY_THREAD),  # in a worker thread
    ],
    ids=["select", "running", "await", "transport", "worker"],
)
def test_loops_that_are_not_blocked_in_python(words: tuple[str, ...]) -> None:
    assert blocked([thread("t", *words, state="ACTIVE")], "python") == []


@pytest.mark.parametrize(
    ("below", "advice"),
    [
        (("asyncio/runners.py:Runner.run@118", "uvicorn/server.py:Server.run@86"), "asyncio.to_thread"),  # uvloop, in C
        (
            ("native:uv_run", "asyncio/runners.py:Runner.run@118", "uvicorn/server.py:Server.run@86"),
            "asyncio.to_thread",
        ),
        (("trio/_core/_run.py:unrolled_run@2804", "trio/_core/_run.py:run@2531"), "trio.to_thread.run_sync"),
        (("twisted/internet/base.py:ReactorBase.mainLoop@703",), "deferToThread"),
    ],
    ids=["uvloop", "uvloop-native", "trio", "twisted"],
)
def test_other_loops_of_python(below: tuple[str, ...], advice: str) -> None:
    made = thread("loop", *dumps.PY_REQUESTS, "shop/api.py:profile@12", *below, "shop/main.py:<module>@9", state="IDLE")
    (finding,) = blocked([made], "python")
    assert finding.severity == "high"
    assert advice in finding.advice[0]


@pytest.mark.parametrize(
    "words",
    [
        ("asyncio/runners.py:Runner.run@118", "uvicorn/server.py:Server.run@86", "shop/main.py:<module>@9"),
        (
            "selectors.py:select@1",
            "asyncio/base_events.py:_run_once@2",
            "asyncio/runners.py:run@3",
            "shop/main.py:<module>@9",
        ),
        (
            "trio/_core/_io_epoll.py:EpollIOManager.get_events@243",
            "trio/_core/_run.py:run@2535",
            "shop/main.py:<module>@9",
        ),
        (
            "twisted/internet/epollreactor.py:doPoll@3",
            "twisted/internet/base.py:ReactorBase.mainLoop@703",
            "shop/main.py:<module>@9",
        ),
    ],
    ids=["uvloop", "asyncio", "trio", "twisted"],
)
def test_other_loops_that_wait_for_events(words: tuple[str, ...]) -> None:
    assert blocked([thread("loop", *words, state="IDLE")], "python") == []


def test_without_a_state_nothing_is_guessed() -> None:
    unknown = thread("", "shop/api.py:profile@12", *HANDLE)
    assert findings(dump([unknown], "python", format="faulthandler"), "event-loop-blocked") == []


@pytest.mark.parametrize("base", [NETTY, TASKS, EPOLL, XNIO], ids=["netty", "tasks", "shaded", "xnio"])
def test_a_synchronous_call_in_an_event_loop_of_the_jvm(base: tuple[str, ...]) -> None:
    loops = times(2, "reactor-http-nio", *dumps.SOCKET_READ, "com.shop.Dao.load", *base, state="RUNNABLE")
    finding = blocked(loops)[0]
    assert (finding.severity, finding.threads) == ("high", 2)
    assert finding.title == "2 event loops are blocked in Dao.load"
    assert [(place.thread, place.line) for place in finding.evidence] == [
        ("reactor-http-nio-1", 10),
        ("reactor-http-nio-2", 20),
    ]


@pytest.mark.parametrize(
    ("words", "state"),
    [
        (("com.shop.Dao.parse", *NETTY), "RUNNABLE"),
        (
            ("sun.nio.ch.EPoll.wait", "sun.nio.ch.SelectorImpl.select", "io.netty.channel.nio.NioEventLoop.run"),
            "RUNNABLE",
        ),
        (("sun.nio.ch.EPoll.wait", "sun.nio.ch.SelectorImpl.select", "org.xnio.nio.WorkerThread.run"), "RUNNABLE"),
        (("sun.nio.ch.SocketDispatcher.read0", "sun.nio.ch.SocketChannelImpl.read", *NETTY), "RUNNABLE"),
        ((*dumps.SOCKET_READ, "com.shop.Dao.load", *dumps.WORKER), "RUNNABLE"),
    ],
    ids=["running", "select", "xnio select", "channel", "worker"],
)
def test_loops_that_are_not_blocked_in_the_jvm(words: tuple[str, ...], state: str) -> None:
    assert blocked([thread("t", *words, state=state)]) == []


# --- the interpreter lock

TAKE = ("native:pthread_cond_timedwait", "native:take_gil", "native:PyEval_RestoreThread", "shop/job.py:step@4")


def holder(*words: str, gil: bool = True) -> Thread:
    return thread("parse", *words, "shop/parse.py:scan@7", *dumps.PY_THREAD, state="ACTIVE", gil=gil)


@pytest.mark.parametrize("words", [(), ("re/__init__.py:search@176",), ("json/decoder.py:raw_decode@353",)])
def test_several_wait_for_the_interpreter_lock(words: tuple[str, ...]) -> None:
    waiting = times(3, "job", *TAKE, *dumps.PY_THREAD, state="IDLE")
    found = findings(dump([*waiting, holder(*words)], "python"), "gil-held")
    assert [finding.severity for finding in found] == ["medium"]
    finding = found[0]
    assert finding.title == '3 of 3 job-* threads wait for the interpreter lock; "parse" holds it in shop/parse.py:scan'
    assert [(place.thread, place.line) for place in finding.evidence] == [("parse", 40), ("job-1", 10), ("job-2", 20)]


@pytest.mark.parametrize(
    "threads",
    [
        [*times(2, "job", *TAKE, state="IDLE"), holder()],
        [*times(9, "job", *TAKE, state="IDLE"), holder(gil=False)],
        [*times(9, "job", *dumps.PY_REQUESTS, "shop/job.py:step@4", state="IDLE"), holder()],
        [*times(9, "job", "shop/job.py:step@4", "native:take_gil", state="IDLE"), holder()],
        [*times(9, "job", *TAKE, state="IDLE"), holder("native:clock_nanosleep")],
    ],
    ids=["two", "no holder", "calls", "below", "asleep"],
)
def test_no_fight_for_the_interpreter_lock(threads: list[Thread]) -> None:
    assert findings(dump(threads, "python"), "gil-held") == []


@pytest.mark.parametrize("words", ["waiting for GIL", "Waiting for the GIL", "on CPU, waiting for GIL"])
def test_the_dump_itself_may_say_who_waits_for_the_interpreter_lock(words: str) -> None:
    waiting = times(3, "job", "shop/job.py:step@4", *dumps.PY_THREAD)
    for one in waiting:
        one.printed_state = words
    (finding,) = findings(dump([*waiting, holder()], "python"), "gil-held")
    assert finding.threads == 4
