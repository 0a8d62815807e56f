"""What a thread is said to do: from frames, state, version and local variables to a verdict."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dumps
from dumps import AWAIT, PARK, SERVLET, WORKER, dump, thread, verdict, verdicts
from threaddump.classify import Classifier
from threaddump.naming import library_root, python_key, python_path
from threaddump_parsers.model import Frame, Stack

CALL = "com.shop.Gateway.slotFor"


# --- zone and caller


def test_the_zone_ends_at_the_application() -> None:
    """What stands below the first frame of the application is not what the thread waits for."""
    found = verdict("com.shop.Json.write", *dumps.APACHE_CALL[2:], CALL, *SERVLET)
    assert (found.kind, found.entry) == ("running", None)


def test_the_caller_is_the_innermost_frame_of_the_application() -> None:
    found = verdict(*dumps.APACHE_CALL, CALL, "com.shop.Cart.open", *SERVLET)
    assert found.caller == CALL
    assert found.app_frames == (CALL, "com.shop.Cart.open")


def test_frames_of_the_same_library_are_no_callers() -> None:
    words = (*dumps.APACHE_CALL[:3], "org.apache.http.Unheard.of", *dumps.APACHE_CALL[3:], CALL, *SERVLET)
    assert verdict(*words).caller == CALL


@pytest.mark.parametrize(
    ("inner", "outer", "caller"),
    [
        ("sqlalchemy/orm/session.py:bind@1", "sqlalchemy/orm/session.py:execute@2", "shop/stock.py:get"),
        ("requests/api.py:get@1", "flask/app.py:dispatch_request@2", "<string>:bind"),  # python -c, and its own code
        ("shop/db.py:bind@1", "shop/db.py:connect@2", "shop/db.py:bind"),
    ],
)
def test_code_that_a_library_generates_is_no_caller(inner: str, outer: str, caller: str) -> None:
    words = (*dumps.PY_POOL[:2], inner, "<string>:bind@2", outer, "shop/stock.py:get@9")
    assert verdict(*words, state="IDLE", family="python").caller == caller


def test_proxies_and_servers_are_no_callers() -> None:
    found = verdict(
        *dumps.APACHE_CALL,
        "com.sun.proxy.$Proxy42.slotFor",
        "jdk.internal.reflect.DirectMethodHandleAccessor.invoke",
        CALL,
        "org.springframework.web.servlet.DispatcherServlet.doDispatch",
        *SERVLET,
    )
    assert found.caller == CALL
    assert found.app_frames == (CALL,)


def test_without_any_frame_but_the_jdks_there_is_no_caller() -> None:
    assert verdict(*dumps.IDLE, state="WAITING").caller is None


def test_a_request_is_told_by_the_frames() -> None:
    assert verdict(*dumps.APACHE_CALL, CALL, *SERVLET).request
    assert not verdict(*dumps.APACHE_CALL, CALL, *WORKER).request


@pytest.mark.parametrize(
    ("key", "root"),
    [
        ("org.apache.http.impl.X.y", "org.apache.http"),
        ("org.apache.commons.pool2.impl.X.y", "org.apache.commons.pool2"),
        ("com.zaxxer.hikari.pool.X.y", "com.zaxxer"),
        ("com.google.common.cache.X.y", "com.google.common.cache"),
        ("redis.clients.jedis.X.y", "redis.clients"),
        ("X.y", "X.y"),
        ("urllib3/connectionpool.py:_get_conn", "urllib3"),
        ("redis/client.py:get", "redis"),
    ],
)
def test_root_of_a_library(key: str, root: str) -> None:
    assert library_root(key) == root


# --- blocked


def test_blocked_is_judged_by_the_top_frame_alone() -> None:
    """A thread that waits to enter a monitor on its way to a call is not in the call."""
    found = verdict(*dumps.APACHE_CALL[2:], CALL, *SERVLET, state="BLOCKED")
    assert found.kind == "lock-wait"
    assert found.blocking_frame == dumps.APACHE_CALL[2]
    assert found.caller == CALL
    assert (found.timed, found.timed_reason) == (False, "a monitor is waited for without a timeout")


def test_blocked_in_the_application() -> None:
    found = verdict("com.shop.Calendar.reserve", CALL, *SERVLET, state="BLOCKED")
    assert (found.kind, found.blocking_frame, found.caller) == (
        "lock-wait",
        "com.shop.Calendar.reserve",
        "com.shop.Calendar.reserve",
    )


def test_blocked_in_a_logging_library_is_its_lock() -> None:
    found = verdict("org.apache.log4j.Category.callAppenders", "org.apache.log4j.Category.log", CALL, state="BLOCKED")
    assert (found.kind, found.library, found.caller) == ("lock-wait", "log4j1", CALL)


def test_blocked_after_object_wait_wants_the_monitor_back() -> None:
    found = verdict("java.lang.Object.wait", "java.lang.Object.wait", "com.shop.Inbox.next", *WORKER, state="BLOCKED")
    assert (found.kind, found.blocking_frame) == ("lock-wait", "com.shop.Inbox.next")


def test_waiting_in_object_wait_is_no_lock_wait() -> None:
    assert verdict("java.lang.Object.wait", "com.shop.Inbox.next", *WORKER, state="WAITING").kind != "lock-wait"


def test_waiting_for_a_class_initialiser_is_a_lock_wait_whatever_the_state() -> None:
    lock = dumps.lock("class-init:com.shop.A", "com.shop.A")
    found = verdict("com.shop.Main.use", *WORKER, state="RUNNABLE", wants=lock)
    assert (found.kind, found.blocking_frame) == ("lock-wait", "com.shop.Main.use")


def test_waiting_for_j9_s_lock_of_a_class_is_a_lock_wait() -> None:
    lock = dumps.lock("0x50", "java.lang.J9VMInternals$ClassInitializationLock")
    assert verdict("com.shop.Main.use", *WORKER, state="WAITING", printed_state="CW", wants=lock).kind == "lock-wait"


def test_a_blocked_thread_without_frames_waits_for_its_lock() -> None:
    assert verdict(state="BLOCKED", wants=dumps.monitor("0x1")).kind == "lock-wait"
    assert verdict(state="BLOCKED").kind == "unknown"


def test_a_mounted_thread_whose_state_is_printed_keeps_it() -> None:
    assert verdict("com.shop.A.b", *WORKER, state="BLOCKED", carrier="worker-1").kind == "lock-wait"
    assert verdict("com.shop.A.b", *WORKER, state=None, carrier="worker-1").kind == "running"


# --- pools and calls


def test_a_wait_for_a_slot() -> None:
    found = verdict(*dumps.APACHE_POOL, CALL, *SERVLET, state="WAITING")
    assert (found.kind, found.phase, found.library) == ("pool-wait", "acquire", "httpclient4")
    assert found.blocking_frame == "org.apache.http.pool.AbstractConnPool.getPoolEntryBlocking"


def test_a_pool_that_connects_or_checks_is_a_call() -> None:
    """The frames of the pool stand below: it creates or validates a connection, it does not wait for one."""
    pool = ("com.zaxxer.hikari.pool.HikariPool.getConnection", "com.zaxxer.hikari.HikariDataSource.getConnection")
    query = ("org.postgresql.core.v3.QueryExecutorImpl.execute", "org.postgresql.jdbc.PgConnection.isValid")
    found = verdict("java.net.SocketInputStream.socketRead0", *query, *pool, "com.shop.Dao.load", *WORKER)
    assert (found.kind, found.library) == ("external-call", "pgjdbc")
    assert found.caller == "com.shop.Dao.load"


def test_the_blocking_frame_of_a_call_is_the_primitive() -> None:
    assert verdict(*dumps.APACHE_CALL, CALL).blocking_frame == "java.net.SocketInputStream.socketRead0"
    assert verdict("sun.nio.ch.Net.poll", *dumps.APACHE_CALL[1:], CALL).library == "httpclient4"


@pytest.mark.parametrize(
    ("top", "phase"),
    [
        ("java.net.SocketInputStream.socketRead0", "read"),
        ("java.net.SocketOutputStream.socketWrite0", "write"),
        ("java.net.PlainSocketImpl.socketConnect", "connect"),
        ("java.net.Inet6AddressImpl.lookupAllHostAddr", "resolve"),
    ],
)
def test_the_phase_of_a_call_is_that_of_the_primitive(top: str, phase: str) -> None:
    found = verdict(top, *dumps.APACHE_CALL[2:], CALL, *SERVLET)
    assert (found.kind, found.phase, found.blocking_frame) == ("external-call", phase, top)


def test_the_applications_own_pool_is_told_by_its_name() -> None:
    words = ("java.lang.Object.wait", "com.shop.BackendPool.checkOut", "com.shop.BackendPool.lease", CALL, *SERVLET)
    found = verdict(*words, state="WAITING")
    assert (found.kind, found.library, found.caller) == ("pool-wait", None, CALL)
    assert found.app_frames == (CALL,)


def test_a_pool_deeper_in_the_application_does_not_count() -> None:
    words = (*AWAIT, "com.shop.Latch.pass", "com.shop.BackendPool.checkOut", CALL, *SERVLET)
    assert verdict(*words, state="WAITING").kind == "sync-wait"


def test_an_idle_loop_that_works_is_running() -> None:
    busy = verdict("java.util.ArrayList.sort", "java.util.concurrent.ThreadPoolExecutor.getTask", *WORKER)
    assert busy.kind == "running"
    poll = verdict(
        "sun.nio.ch.EPoll.wait", "sun.nio.ch.SelectorImpl.select", "com.shop.Loop.run", "java.lang.Thread.run"
    )
    assert poll.kind == "idle"


@pytest.mark.parametrize(
    "top",
    [
        "java.lang.System.arraycopy",
        "java.util.zip.Deflater.deflateBytesBytes",
        "jdk.internal.reflect.NativeMethodAccessorImpl.invoke0",
        "com.github.luben.zstd.Zstd.compressByteArray",
    ],
)
def test_a_native_method_that_computes_is_running(top: str) -> None:
    """At the top of a stack, and not below a call that waits; also inside the loop of an idle worker."""
    assert verdict(top, "com.shop.Export.write", *WORKER, state="RUNNABLE").kind == "running"
    assert verdict(top, "io.netty.channel.epoll.EpollEventLoop.run", *WORKER, state="RUNNABLE").kind == "running"
    read = ("sun.nio.ch.SocketDispatcher.read0", "sun.nio.ch.NioSocketImpl.implRead")
    assert verdict(*read, top, "com.shop.Export.write", *WORKER, state="RUNNABLE").kind == "external-call"


# --- timed


@pytest.mark.parametrize(("state", "timed"), [("WAITING", False), ("TIMED_WAITING", True)])
def test_timed_by_the_state(state: str, timed: bool) -> None:
    found = verdict(*dumps.APACHE_POOL, CALL, state=state)
    assert found.timed is timed
    assert state in found.timed_reason or "TIMED_WAITING" in found.timed_reason


@pytest.mark.parametrize("printed", ["CW", "P", "in Object.wait()", "alive, in native, waiting"])
def test_a_wait_of_which_the_dump_does_not_tell_whether_it_ends(printed: str) -> None:
    """JDK 1.4 and 5, javacores and JRockit have one word for waits with and without a timeout."""
    wait = ("java.lang.Object.wait", "com.shop.BackendPool.checkOut", "com.shop.BackendPool.lease", CALL, *SERVLET)
    found = verdict(*wait, state="WAITING", printed_state=printed)
    assert (found.kind, found.timed) == ("pool-wait", None)
    assert verdict(*wait, state="WAITING", printed_state="WAITING (on object monitor)").timed is False
    parked = verdict(*dumps.APACHE_POOL, CALL, state="WAITING", printed_state=printed)
    assert (parked.timed, parked.timed_reason) == (False, "LockSupport.park on the stack waits without a timeout")
    assert verdict(*dumps.IDLE, state="WAITING", printed_state=printed).kind == "idle"


def test_always_and_never() -> None:
    assert verdict(*dumps.SLEEP, CALL, state="TIMED_WAITING").timed is True
    assert verdict("com.shop.Calendar.reserve", state="BLOCKED").timed is False


def test_timed_by_the_frames_of_a_read() -> None:
    read = dumps.APACHE_CALL[2:]
    untimed = verdict("sun.nio.ch.SocketDispatcher.read0", "sun.nio.ch.NioSocketImpl.implRead", *read, CALL)
    assert untimed.timed is False
    assert "no timeout was set" in untimed.timed_reason
    timed = verdict(
        "sun.nio.ch.Net.poll", "sun.nio.ch.NioSocketImpl.park", "sun.nio.ch.NioSocketImpl.timedRead", *read, CALL
    )
    assert timed.timed is True
    unknown = verdict("java.net.SocketInputStream.socketRead0", *read, CALL)
    assert unknown.timed is None  # Java 8 reads alike with and without a timeout


@pytest.mark.parametrize(("form", "timed"), [("timedGet", True), ("waitingGet", False), ("reportGet", None)])
def test_timed_by_the_form_of_the_call(form: str, timed: bool | None) -> None:
    future = "java.util.concurrent.CompletableFuture"
    found = verdict(*PARK, f"{future}.{form}", f"{future}.get", CALL, *SERVLET, state="WAITING")
    assert (found.kind, found.timed) == ("sync-wait", timed)
    assert form != "timedGet" or found.timed_reason == "the stack shows the timed form of the call"


@pytest.mark.parametrize(
    ("line", "version", "timed"),
    [(327, "3.11.7", False), (331, "3.11.7", True), (327, None, None), (5, "3.11.7", None)],
)
def test_timed_by_the_line_of_the_interpreter(line: int, version: str | None, timed: bool | None) -> None:
    words = (
        f"threading.py:Condition.wait@{line}",
        "threading.py:Event.wait@629",
        "orders/s.py:C.reserve",
        *dumps.PY_THREAD,
    )
    found = verdict(*words, state="IDLE", family="python", version=version)
    assert (found.kind, found.timed) == ("sync-wait", timed)
    if timed is not None:
        assert found.timed_reason.startswith(f"threading.py line {line} of Python 3.11 waits ")
    elif version is None:
        assert found.timed_reason == "the interpreter's version is not in the dump"


@pytest.mark.parametrize(
    ("value", "timed"),
    [
        ("None", False),
        ("30", True),
        ("0.5", True),
        ("-1", False),
        ("<object at 0x7f>", None),
        ("Timeout(connect=3, read=None)", False),
        ("Timeout(connect=3, read=5)", True),
    ],
)
def test_timed_by_local_variables(value: str, timed: bool | None) -> None:
    words = (*dumps.PY_REQUESTS, "orders/s.py:C.reserve@7", *dumps.PY_THREAD)
    found = verdict(*words, state="IDLE", family="python", locals={3: {"read_timeout": value}})
    assert (found.kind, found.timed) == ("external-call", timed)
    if timed is not None:
        assert value in found.timed_reason


def test_local_variables_of_frames_that_are_not_there_are_ignored() -> None:
    words = (*dumps.PY_REQUESTS, "orders/s.py:C.reserve@7")
    assert verdict(*words, state="IDLE", family="python", locals={99: {"timeout": "3"}}).kind == "external-call"


# --- threads without frames, carriers, virtual threads


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"internal": True, "name": "VM Thread"}, "runtime"),
        ({"name": "GC Thread#0"}, "runtime"),
        ({"name": "Signal Dispatcher", "state": "RUNNABLE"}, "runtime"),
        ({"name": "http-exec-1", "state": "RUNNABLE"}, "unknown"),
        ({"name": "http-exec-1", "state": "RUNNABLE", "virtual": True}, "running"),
        ({"name": "http-exec-1", "state": "RUNNABLE", "virtual": True, "truncated": True}, "unknown"),
        ({"name": "http-exec-1", "state": "WAITING", "virtual": True}, "unknown"),
        ({"name": "main", "state": "TIMED_WAITING", "printed_state": "TIMED_WAITING (sleeping)"}, "sleep"),
        ({"name": "main", "state": "TIMED_WAITING", "printed_state": "TIMED_WAITING (parking)"}, "unknown"),
        ({"name": "http-exec-1", "state": "NEW"}, "idle"),
        ({"name": "http-exec-1", "state": "TERMINATED"}, "idle"),
        ({"name": "ForkJoinPool-1-worker-1", "carries": 30}, "runtime"),
    ],
)
def test_threads_without_frames(changes: dict[str, Any], kind: str) -> None:
    name = changes.pop("name")
    assert verdicts(dump([thread(name, **changes)]))[0].kind == kind


def test_a_carrier_is_the_runtimes_whatever_its_frames() -> None:
    carrier = thread("ForkJoinPool-1-worker-1", "jdk.internal.vm.Continuation.run", state=None, carries=30)
    assert verdicts(dump([carrier]))[0].kind == "runtime"


def test_a_mounted_virtual_thread_runs_on_its_carrier() -> None:
    """HotSpot prints no state for it: its frames decide, as for a running thread."""
    words = (
        "sun.nio.ch.SocketDispatcher.read0",
        "sun.nio.ch.NioSocketImpl.implRead",
        CALL,
        "java.lang.VirtualThread.run",
    )
    mounted = thread("", *words, virtual=True, carrier="ForkJoinPool-1-worker-1")
    found = verdicts(dump([mounted]))[0]
    assert (found.kind, found.caller) == ("external-call", CALL)
    busy = thread("", "com.shop.Order.hash", "java.lang.VirtualThread.run", virtual=True, carrier="worker-1")
    assert verdicts(dump([busy]))[0].kind == "running"


def test_no_dump_no_verdicts() -> None:
    assert verdicts(dump([])) == []


# --- Python


def test_where_nobody_is_idle_in_a_crowd_the_state_says_nothing() -> None:
    """py-spy 0.2 and older call blocked threads active."""
    words = ("orders/s.py:C.reserve@7", *dumps.PY_THREAD)
    crowd = dump([thread(f"t{n}", *words, state="ACTIVE") for n in range(5)], "python")
    assert {found.kind for found in verdicts(crowd)} == {"unknown"}
    elsewhere = thread("x", "orders/s.py:C.cancel@20", *dumps.PY_THREAD, state="IDLE")
    assert [found.kind for found in verdicts(dump([*crowd.threads, elsewhere], "python"))] == ["running"] * 5 + [
        "unknown"
    ]


def test_a_thread_that_is_active_where_others_are_idle_is_not_said_to_run() -> None:
    words = ("orders/s.py:C.reserve@7", *dumps.PY_THREAD)
    threads = [
        thread("a", *words, state="ACTIVE"),
        thread("b", *words, state="IDLE"),
        thread("c", *words, state="ACTIVE"),
    ]
    threads[2].gil = True  # the one that holds the interpreter does run
    assert [found.kind for found in verdicts(dump(threads, "python"))] == ["unknown", "unknown", "running"]


def test_a_few_active_threads_run() -> None:
    words = ("orders/s.py:C.reserve@7", *dumps.PY_THREAD)
    few = dump([thread(f"t{n}", *words, state="ACTIVE") for n in range(3)], "python")
    assert {found.kind for found in verdicts(few)} == {"running"}


@pytest.mark.parametrize(
    ("path", "short"),
    [
        ("/usr/lib/python3.11/threading.py", "threading.py"),
        ("/usr/lib/python3.11/site-packages/urllib3/connectionpool.py", "urllib3/connectionpool.py"),
        ("/usr/lib/python3/dist-packages/requests/api.py", "requests/api.py"),
        ("/app/.venv/lib/python3.14t/site-packages/redis/client.py", "redis/client.py"),
        ("C:\\Python311\\Lib\\queue.py", "queue.py"),
        ("C:\\app\\venv\\Lib\\site-packages\\urllib3\\connectionpool.py", "urllib3/connectionpool.py"),
        ("C:\\srv\\shop\\orders\\api.py", "orders/api.py"),
        ("/usr/lib/python311.zip/threading.py", "threading.py"),
        ("/opt/app.zip/orders/api.py", "orders/api.py"),
        ("/srv/shop/orders/api.py", "orders/api.py"),
        ("/api.py", "/api.py"),
        ("urllib3/connectionpool.py", "urllib3/connectionpool.py"),
        ("shop/orders/api.py", "shop/orders/api.py"),
        ("api.py", "api.py"),
        ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap>"),
        ("<string>", "<string>"),
        ("", ""),
        ("?", "?"),
    ],
)
def test_python_paths(path: str, short: str) -> None:
    assert python_path(path) == short


@pytest.mark.parametrize(
    ("frame", "key"),
    [
        (Frame("Pool._get_conn", "/usr/lib/python3/dist-packages/urllib3/pool.py", 7), "urllib3/pool.py:_get_conn"),
        (Frame("make.<locals>.inner", "shop/a.py", 7), "shop/a.py:inner"),
        (Frame("recv", "libc.so.6", None, True), "native:recv"),
        (Frame("__GI___poll", "libc.so.6", None, True), "native:poll"),
        (Frame("PyThread_acquire_lock.constprop.0", "python3.11", None, True), "native:PyThread_acquire_lock"),
        (Frame("pthread_cond_wait@@GLIBC_2.3.2", "libc.so.6", None, True), "native:pthread_cond_wait"),
        (Frame("f", None, None), "?:f"),
    ],
)
def test_keys_of_python_frames(frame: Frame, key: str) -> None:
    assert python_key(frame) == key


def test_a_frozen_module_is_the_interpreters() -> None:
    words = ("<frozen importlib._bootstrap>:_find_and_load", "orders/api.py:handle")
    assert verdict(*words, state="IDLE", family="python").caller == "orders/api.py:handle"


def test_shown_frames_keep_the_class() -> None:
    found = verdict(*dumps.PY_POOL, "orders/s.py:C.reserve@7", state="IDLE", family="python")
    assert found.blocking_frame == "urllib3/connectionpool.py:HTTPConnectionPool._get_conn"
    assert found.caller == "orders/s.py:C.reserve"


# --- once per distinct stack


class Counting(Classifier):
    """Counts how often a stack is looked at."""

    calls = 0

    def _classify(self, stack: Stack, state: str | None, version: str | None) -> Any:
        self.calls += 1
        return super()._classify(stack, state, version)


def test_each_distinct_stack_is_looked_at_once() -> None:
    classifier = Counting("jvm")
    pool = dumps.times(500, "a", *AWAIT, CALL, state="WAITING")
    pool += dumps.times(500, "b", *dumps.APACHE_CALL, CALL, state="RUNNABLE")
    found = classifier.verdicts(dump(pool))
    assert classifier.calls == 2
    assert len(set(map(id, found))) == 2
    classifier.verdicts(dump(pool))  # the next dump of the series
    assert classifier.calls == 2
    classifier.verdicts(dump(dumps.times(3, "c", *AWAIT, CALL, state="TIMED_WAITING")))
    assert classifier.calls == 3


def test_verdicts_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threaddump.classify.VERDICTS_KEPT", 10)
    classifier = Counting("jvm")
    made = dump([thread(f"t{n}", f"com.shop.Deep.m{n}", state="RUNNABLE") for n in range(100)])
    assert len(classifier.verdicts(made)) == 100
    assert len(classifier._verdicts) <= 10


WORDS = [*dumps.APACHE_CALL, *dumps.APACHE_POOL, *dumps.IDLE, *dumps.SLEEP, *PARK, CALL, "com.shop.A.<clinit>", "a.b"]
PY_WORDS = [*dumps.PY_REQUESTS, *dumps.PY_POOL, *dumps.PY_THREAD, "native:recv", "<string>:f", "orders/s.py:C.r@7", ":"]


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from(WORDS), max_size=12),
    st.sampled_from(["RUNNABLE", "BLOCKED", "WAITING", "TIMED_WAITING", "NEW", "UNKNOWN", None]),
)
def test_any_stack_of_the_jvm_has_a_verdict(words: list[str], state: str | None) -> None:
    found = verdict(*words, state=state)
    assert found.kind
    assert found.caller is None or isinstance(found.caller, str)
    if state == "BLOCKED" and words:
        assert found.kind == "lock-wait"


@settings(max_examples=200)
@given(st.lists(st.sampled_from(PY_WORDS), max_size=12), st.sampled_from(["IDLE", "ACTIVE", None]))
def test_any_stack_of_python_has_a_verdict(words: list[str], state: str | None) -> None:
    assert verdict(*words, state=state, family="python").kind


@pytest.mark.parametrize(
    ("words", "kind", "phase"),
    [
        (("com.shop.Feed.read",), "external-call", "read"),
        (("io.netty.channel.socket.nio.NioSocketChannel.doReadBytes",), "running", None),
    ],
    ids=["the application reads", "an event loop reads"],
)
def test_what_serves_the_request_does_not_make_a_read_non_blocking(
    words: tuple[str, ...], kind: str, phase: str
) -> None:
    read = ("sun.nio.ch.SocketDispatcher.read0", "sun.nio.ch.IOUtil.read", "sun.nio.ch.SocketChannelImpl.read")
    endpoint = "org.apache.tomcat.util.net.NioEndpoint$SocketProcessor.doRun"
    made = dumps.dump([dumps.thread("t", *read, *words, "com.shop.Feed.run", endpoint, state="RUNNABLE")])
    (found,) = Classifier("jvm").verdicts(made)
    assert (found.kind, found.phase) == (kind, phase)


@pytest.mark.parametrize(
    ("words", "phase"),
    [
        (("org.postgresql.core.v3.ConnectionFactoryImpl.tryConnect", "org.postgresql.Driver.connect"), "login"),
        (
            ("sun.security.ssl.SSLSocketImpl.startHandshake", "sun.net.www.protocol.https.HttpsClient.afterConnect"),
            "handshake",
        ),
    ],
)
def test_a_read_before_the_peer_has_answered_is_no_read_of_a_response(words: tuple[str, ...], phase: str) -> None:
    made = dumps.dump([dumps.thread("t", *dumps.SOCKET_READ[:2], *words, "com.shop.Feed.open", state="RUNNABLE")])
    (found,) = Classifier("jvm").verdicts(made)
    assert (found.kind, found.phase) == ("external-call", phase)
