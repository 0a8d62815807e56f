"""From start to end: start-up, acceptors, what keeps a process alive. (The end itself: test_runtime.py.)"""

from __future__ import annotations

import pytest

import dumps
from dumps import dump, findings, lock, thread, times
from threaddump.findings import lifecycle
from threaddump_parsers.model import Thread

RUN = ("org.springframework.boot.SpringApplication.run", "com.shop.Main.main")


def starting(
    *words: str, frame: str = lifecycle.START_UP[0], below: tuple[str, ...] = RUN, **changes: object
) -> Thread:
    values = {"state": "RUNNABLE"} | changes
    return thread("main", *words, "com.shop.Config.load", frame, *below, **values)


@pytest.mark.parametrize("frame", lifecycle.START_UP)
@pytest.mark.parametrize(("age", "severity"), [(None, "low"), (59.0, "low"), (60.0, "medium")])
def test_a_start_up_that_waits(frame: str, age: float | None, severity: str) -> None:
    made = dump([starting(*dumps.SOCKET_READ, frame=frame), thread("gc", internal=True, elapsed_s=age)])
    (finding,) = findings(made, "start-up-blocked")
    assert (finding.severity, finding.threads) == (severity, 1)
    assert finding.title == 'the start-up is in external calls: "main" in Config.load'
    assert ("60 s old" in finding.detail) is (age == 60)
    assert (finding.evidence[0].thread, finding.evidence[0].line) == ("main", 10)


@pytest.mark.parametrize(
    "made",
    [
        starting("java.util.zip.Inflater.inflateBytes"),
        starting(*dumps.SOCKET_READ, below=("org.springframework.boot.SpringApplication.callRunners", *RUN)),
        starting(*dumps.SOCKET_READ, below=dumps.SERVLET),
        thread("main", *dumps.SOCKET_READ, "com.shop.Job.run", *RUN, state="RUNNABLE"),
        starting(*dumps.IDLE[:-3], state="WAITING"),
    ],
    ids=["at work", "a runner", "in a request", "a job", "idle"],
)
def test_no_start_up(made: Thread) -> None:
    assert findings(dump([made]), "start-up-blocked") == []


IMPORT = (
    "<frozen importlib._bootstrap_external>:SourceLoader.exec_module@940",
    "<frozen importlib._bootstrap>:_load_unlocked@690",
    "<frozen importlib._bootstrap>:_find_and_load@1178",
)


def test_a_module_that_calls_out_when_it_is_imported() -> None:
    words = (*dumps.PY_REQUESTS, "shop/settings.py:<module>@4", *IMPORT, "shop/main.py:<module>@1")
    (finding,) = findings(dump([thread("MainThread", *words, state="IDLE")], "python"), "start-up-blocked")
    assert finding.severity == "low"
    assert '"MainThread" in shop/settings.py:<module>' in finding.title
    later = (*dumps.PY_REQUESTS, "shop/late.py:<module>@4", *IMPORT, "shop/job.py:run@1", *dumps.PY_THREAD)
    assert findings(dump([thread("job", *later, state="IDLE")], "python"), "start-up-blocked") == []
    plain = (*dumps.PY_REQUESTS, "shop/main.py:<module>@1")
    assert findings(dump([thread("MainThread", *plain, state="IDLE")], "python"), "start-up-blocked") == []


# --- acceptors

TASKS = (
    *dumps.AWAIT,
    "java.util.concurrent.LinkedBlockingQueue.take",
    "org.apache.tomcat.util.threads.TaskQueue.take",
    "org.apache.tomcat.util.threads.ThreadPoolExecutor.getTask",
    "org.apache.tomcat.util.threads.TaskThread$WrappingRunnable.run",
    "java.lang.Thread.run",
)
VM = thread("VM Thread", internal=True)


def tomcat(connector: str, words: tuple[str, ...] = TASKS) -> list[Thread]:
    return times(4, f"{connector}-exec", *words, state="WAITING")


@pytest.mark.parametrize(
    "connector",
    ["http-nio-8080", "https-jsse-nio-8443", "https-openssl-apr-443", "ajp-nio-127.0.0.1-8009", "http-bio-80"],
)
def test_a_connector_without_an_acceptor(connector: str) -> None:
    (finding,) = findings(dump([*tomcat(connector), VM]), "acceptor-missing")
    assert (finding.severity, finding.threads) == ("high", 4)
    assert finding.title == f"{connector} has 4 workers and no acceptor: it takes no new connections"
    assert (finding.evidence[0].thread, finding.evidence[0].line) == (f"{connector}-exec-1", 10)


END = thread("exit", "java.lang.Thread.join", "java.lang.Shutdown.sequence", "java.lang.Shutdown.exit", state="WAITING")


@pytest.mark.parametrize(
    "threads",
    [
        [*tomcat("http-nio-8080"), thread("http-nio-8080-Acceptor", state="RUNNABLE"), VM],
        [*tomcat("http-nio-8080"), thread("http-nio-8080-Acceptor-0", state="RUNNABLE"), VM],
        [*tomcat("http-nio2-8080"), VM],
        [*tomcat("http-nio-8080", dumps.IDLE), VM],
        tomcat("http-nio-8080"),
        [*tomcat("http-nio-8080"), VM, END],
    ],
    ids=["there", "old name", "nio2 has none", "not Tomcat's", "an excerpt", "shutting down"],
)
def test_connectors_that_lack_nothing(threads: list[Thread]) -> None:
    assert findings(dump(threads), "acceptor-missing") == []


def test_an_acceptor_may_be_in_the_part_that_is_missing() -> None:
    assert findings(dump([*tomcat("http-nio-8080"), VM], truncated=["cut"]), "acceptor-missing") == []


# --- leftovers

DESTROY = thread("DestroyJavaVM", state="RUNNABLE", daemon=False)
TIMER = ("java.lang.Object.wait", "java.util.TimerThread.mainLoop", "java.util.TimerThread.run")


def workers(count: int = 2, words: tuple[str, ...] = dumps.IDLE, daemon: bool | None = False) -> list[Thread]:
    return times(count, "pool-1-thread", *words, state="WAITING", daemon=daemon)


@pytest.mark.parametrize("words", [dumps.IDLE, TIMER], ids=["executor", "timer"])
def test_idle_workers_that_keep_the_process_alive(words: tuple[str, ...]) -> None:
    (finding,) = findings(dump([*workers(words=words), DESTROY, VM]), "kept-alive")
    assert (finding.severity, finding.threads) == ("info", 2)
    assert finding.title == "main has ended, and 2 idle threads keep the process alive"
    assert (finding.evidence[0].thread, finding.evidence[0].line) == ("pool-1-thread-1", 10)


ACCEPT = ("sun.nio.ch.EPoll.wait", "sun.nio.ch.SelectorImpl.select", "sun.net.httpserver.ServerImpl$Dispatcher.run")


@pytest.mark.parametrize(
    "threads",
    [
        workers(),
        [*workers(daemon=True), DESTROY],
        [*workers(daemon=None), DESTROY],
        [*workers(lifecycle.LEFTOVERS + 1), DESTROY],
        [*workers(), thread("job", "com.shop.Cart.total", state="RUNNABLE", daemon=False), DESTROY],
        [*workers(), thread("HTTP-Dispatcher", *ACCEPT, state="RUNNABLE", daemon=False), DESTROY],
        [*workers(), thread("HTTP-Dispatcher", *ACCEPT, state="RUNNABLE", daemon=True), DESTROY],
        [DESTROY],
    ],
    ids=["main runs", "daemons", "not printed", "many", "one works", "a server", "a server's daemon", "none"],
)
def test_processes_that_have_a_purpose(threads: list[Thread]) -> None:
    assert findings(dump(threads), "kept-alive") == []


# --- who waits for whom at the end


def test_the_class_of_a_hook_is_named() -> None:
    words = ("java.lang.Object.wait", "java.lang.Thread.join", "java.lang.ApplicationShutdownHooks.runHooks")
    for name, said in (("com.shop.FlushHook", True), ("java.lang.Thread", False)):
        made = thread("SIGTERM handler", *words, state="WAITING", waits=lock("0x1", name))
        detail = findings(dump([made]), "shutdown-in-progress")[0].detail
        assert (f"waited for now: a {name}" in detail) is said


def test_threads_that_the_end_of_python_waits_for_are_named() -> None:
    main = thread("MainThread", "threading.py:_shutdown@1590", state="IDLE")
    job = thread("job-1", *dumps.PY_REQUESTS, "shop/job.py:run@3", *dumps.PY_THREAD, state="IDLE")
    (finding,) = findings(dump([main, job], "python"), "shutdown-in-progress")
    assert '1 other is alive: "job-1"' in finding.detail
