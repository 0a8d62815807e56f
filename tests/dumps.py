"""Dumps in a few lines: threads from the names of their frames, and what is concluded from them.

A frame is a word: ``com.shop.Dao.load`` (Java), ``orders/api.py:Api.place`` (Python), ``native:recv`` (a C frame of
Python); ``@18`` after it is its line. Frames stand innermost first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from threaddump.analysis import analyze_dump
from threaddump.classify import Classifier, Verdict
from threaddump.findings.facts import Facts
from threaddump.groups import group_threads
from threaddump.report import DumpReport, Finding
from threaddump.waits import Waits, find_waits
from threaddump_parsers.model import Dump, Frame, Held, Lock, ReportedDeadlock, Stack, Thread

# Stacks of the JDK and of Python that many tests need, without the application below.
SOCKET_READ = (
    "java.net.SocketInputStream.socketRead0",
    "java.net.SocketInputStream.read",
    "sun.net.www.http.HttpClient.parseHTTP",
    "sun.net.www.protocol.http.HttpURLConnection.getInputStream",
)
PARK = ("jdk.internal.misc.Unsafe.park", "java.util.concurrent.locks.LockSupport.park")
AWAIT = (*PARK, "java.util.concurrent.locks.AbstractQueuedSynchronizer$ConditionObject.await")
LOCK = (
    *PARK,
    "java.util.concurrent.locks.AbstractQueuedSynchronizer.acquire",
    "java.util.concurrent.locks.ReentrantLock.lock",
)
WORKER = (
    "java.util.concurrent.ThreadPoolExecutor.runWorker",
    "java.util.concurrent.ThreadPoolExecutor$Worker.run",
    "java.lang.Thread.run",
)
IDLE = (
    *AWAIT,
    "java.util.concurrent.LinkedBlockingQueue.take",
    "java.util.concurrent.ThreadPoolExecutor.getTask",
    *WORKER,
)
SLEEP = ("java.lang.Thread.sleep",)
SERVLET = ("javax.servlet.http.HttpServlet.service", *WORKER)
APACHE_POOL = (
    *AWAIT,
    "org.apache.http.pool.AbstractConnPool.getPoolEntryBlocking",
    "org.apache.http.impl.client.CloseableHttpClient.execute",
)
APACHE_CALL = (
    "java.net.SocketInputStream.socketRead0",
    "java.net.SocketInputStream.read",
    "org.apache.http.impl.io.SessionInputBufferImpl.fillBuffer",
    "org.apache.http.protocol.HttpRequestExecutor.execute",
    "org.apache.http.impl.client.CloseableHttpClient.execute",
)  # fmt: skip
PY_THREAD = ("threading.py:Thread.run", "threading.py:Thread._bootstrap_inner", "threading.py:Thread._bootstrap")
PY_REQUESTS = (
    "socket.py:SocketIO.readinto@706",
    "http/client.py:HTTPResponse._read_status@286",
    "http/client.py:HTTPResponse.begin@325",
    "urllib3/connectionpool.py:HTTPConnectionPool._make_request@536",
    "urllib3/connectionpool.py:HTTPConnectionPool.urlopen@793",
    "requests/adapters.py:HTTPAdapter.send@667",
    "requests/sessions.py:Session.send@703",
)
PY_POOL = (
    "threading.py:Condition.wait@327",
    "queue.py:Queue.get@171",
    "urllib3/connectionpool.py:HTTPConnectionPool._get_conn@278",
    "urllib3/connectionpool.py:HTTPConnectionPool.urlopen@779",
    "requests/adapters.py:HTTPAdapter.send@667",
    "requests/sessions.py:Session.send@703",
)


@cache
def frame(word: str) -> Frame:
    """The frame of a word; equal words are the same frame, as parsers intern them."""
    text, at, line = word.rpartition("@")
    if not at or not line.isdigit():
        text, line = word, ""
    number = int(line) if line else None
    if text.startswith("native:"):
        return Frame(text.removeprefix("native:"), "libc.so.6", number, native=True)
    file, colon, function = text.rpartition(":")
    return Frame(function, file if colon else f"{text.split('.')[-2].partition('$')[0]}.java", number)


@cache
def stack(*words: str) -> Stack:
    return tuple(frame(word) for word in words)


@cache
def lock(id: str | None = "0x1", class_name: str = "com.shop.Calendar") -> Lock:
    return Lock(id, class_name)


def monitor(id: str) -> Lock:
    return lock(id, "com.shop.Calendar")


def reentrant(id: str) -> Lock:
    return lock(id, "java.util.concurrent.locks.ReentrantLock$NonfairSync")


def thread(
    name: str,
    *words: str,
    state: str | None = None,
    wants: Lock | None = None,
    waits: Lock | None = None,
    holds: Sequence[Lock] = (),
    **changes: Any,
) -> Thread:
    """A thread with these frames: ``wants`` a lock to own it, ``waits`` to be notified, and ``holds`` locks."""
    made = Thread(name, changes.pop("line", 0), state=state, stack=stack(*words), **changes)
    made.blocked_on, made.waiting_on = wants, waits
    made.holds = tuple(Held(held, None) for held in holds)
    return made


def blocked(name: str, wants: Lock, *words: str, holds: Sequence[Lock] = (), **changes: Any) -> Thread:
    """A thread that waits to enter a monitor or, for a lock of java.util.concurrent, is parked on it."""
    if wants.class_name.startswith("java.util.concurrent."):
        words = (*LOCK, *(words or ("com.shop.Work.step", *WORKER)))
        return thread(name, *words, state="WAITING", wants=wants, holds=holds, **changes)
    words = words or ("com.shop.Work.step", *WORKER)
    return thread(name, *words, state="BLOCKED", wants=wants, holds=holds, **changes)


def times(count: int, prefix: str, *words: str, **changes: Any) -> list[Thread]:
    """``count`` threads with the same stack, named ``PREFIX-1`` and so on."""
    return [thread(f"{prefix}-{number}", *words, **changes) for number in range(1, count + 1)]


def dump(threads: Iterable[Thread], family: str = "jvm", **changes: Any) -> Dump:
    """A dump of these threads; each without a line gets one of its own."""
    values: dict[str, Any] = {"format": "hotspot" if family == "jvm" else "py-spy", "line": 1, "version": "17.0.15"}
    if family == "python":
        values |= {"runtime": "CPython", "version": "3.11.7"}
    made = Dump(family=family, threads=list(threads), **(values | changes))
    for number, each in enumerate(made.threads):
        each.line = each.line or 10 * (number + 1)
    made.end_line = made.end_line or 10 * len(made.threads) + 10
    return made


def reported(*steps: tuple[str, Lock, str], line: int = 900) -> ReportedDeadlock:
    """A deadlock as the JVM prints it: (thread, the lock it wants, the lock's owner)."""
    threads, locks, owners = zip(*steps, strict=True)
    return ReportedDeadlock(line, threads, locks, owners)


def verdicts(made: Dump) -> list[Verdict]:
    return Classifier(made.family).verdicts(made)


def verdict(*words: str, state: str | None = "RUNNABLE", family: str = "jvm", **changes: Any) -> Verdict:
    """The verdict on one thread alone."""
    version = changes.pop("version", "3.11.7" if family == "python" else "17.0.15")
    return verdicts(dump([thread("t", *words, state=state, **changes)], family, version=version))[0]


def waits(made: Dump) -> Waits:
    return facts(made).waits


def facts(made: Dump) -> Facts:
    """All that the rules of the findings are given."""
    classifier = Classifier(made.family)
    found = classifier.verdicts(made)
    groups, group_of = group_threads(made, found)
    return Facts(made, found, groups, group_of, find_waits(made, found, groups, group_of, classifier), classifier)


def analyzed(made: Dump) -> DumpReport:
    report = analyze_dump(made, Classifier(made.family), "dump.txt")
    report.rename("d1")
    return report


def findings(made: Dump, rule: str | None = None) -> list[Finding]:
    """The findings on a dump; only those of one rule if it is named."""
    return [finding for finding in analyzed(made).findings if rule in (None, finding.id)]
