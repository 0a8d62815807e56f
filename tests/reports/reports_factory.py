"""Reports built by hand: the outage of a shop, a deadlock, a healthy process, a hostile one."""

from __future__ import annotations

from typing import Any

from threaddump.report import (
    Chain,
    ContendedLock,
    Deadlock,
    DumpReport,
    Evidence,
    Finding,
    Group,
    Integration,
    Owner,
    Report,
    Root,
    WaitNode,
)
from threaddump_parsers.model import Problem

HTTP = Integration("jvm.apache-httpclient-4", "Apache HttpClient 4", "http")
HTTP_POOL = Integration("jvm.apache-httpclient-4-pool", "PoolingHttpClientConnectionManager", "http-pool")
RESOURCE_POOL = Integration("jvm.commons-pool-2", "Commons Pool 2", "pool")

SOCKET_READ = "java.net.SocketInputStream.socketRead0"
SLOT_FOR = "com.shop.orders.SchedulingGateway.slotFor"
PLACE = "com.shop.front.OrderManagement.place"
RESERVE = "com.shop.scheduling.Calendar.reserve"
SYNC = "com.shop.scheduling.PeerSync.pull"


def names(prefix: str, count: int, start: int = 1) -> list[str]:
    return [f"{prefix}-{number}" for number in range(start, start + count)]


def group(
    id: str, kind: str, caller: str | None, threads: list[str], *, first_line: int = 100, **changes: Any
) -> Group:
    values: dict[str, Any] = {
        "phase": None,
        "blocking_frame": None,
        "integration": None,
        "pool": None,
        "timed": None,
        "timed_reason": "",
        "lock": None,
        "stack": [frame for frame in (changes.get("blocking_frame"), caller, "java.lang.Thread.run") if frame],
        "states": {"RUNNABLE": len(threads)},
        "cpu_ms": None,
    }
    lines = [first_line + 30 * number for number in range(len(threads))]
    return Group(id=id, kind=kind, caller=caller, threads=threads, lines=lines, **(values | changes))


def dump(groups: list[Group], **changes: Any) -> DumpReport:
    by_kind: dict[str, int] = {}
    for found in groups:
        by_kind[found.kind] = by_kind.get(found.kind, 0) + found.count
    values: dict[str, Any] = {
        "id": "d1",
        "source": "orders.txt",
        "member": None,
        "line": 1,
        "format": "hotspot",
        "family": "jvm",
        "runtime_name": "OpenJDK 64-Bit Server VM",
        "version": "17.0.15+6-LTS",
        "taken_at": "2026-11-22T20:31:57",
        "pid": None,
        "host": None,
        "service": None,
        "instance": None,
        "total": sum(by_kind.values()),
        "virtual": 0,
        "by_state": {"RUNNABLE": sum(by_kind.values())},
        "by_kind": by_kind,
        "request_threads": 0,
        "truncated": False,
        "duplicate_of": None,
        "unread_lines": 0,
        "problems": [],
        "groups": groups,
        "locks": [],
        "chains": [],
        "deadlocks": [],
        "findings": [],
    }
    return DumpReport(**(values | changes))


def finding(severity: str, title: str, **changes: Any) -> Finding:
    values: dict[str, Any] = {
        "id": "hot-external-call",
        "severity": severity,
        "title": title,
        "detail": "",
        "threads": 1,
        "thread_names": [],
        "evidence": [],
        "advice": [],
        "recovery": [],
    }
    return Finding(**(values | changes))


def quiet(prefix: str = "q") -> list[Group]:
    return [
        group(f"{prefix}1", "idle", None, names("pool-2-thread", 11), blocking_frame="sun.misc.Unsafe.park"),
        group(f"{prefix}2", "runtime", None, names("GC Thread#", 14), stack=[]),
    ]


def root(source: Group) -> Root:
    return Root(
        source.threads,
        source.lines,
        source.id,
        source.kind,
        source.phase,
        source.blocking_frame,
        source.caller,
        source.integration,
        source.timed,
    )


def node(source: Group, reason: str | None = None, **changes: Any) -> WaitNode:
    values: dict[str, Any] = {
        "count": source.count,
        "threads": source.threads,
        "lock": None,
        "lock_class": None,
        "evidence": "inferred" if reason else "reported",
    }
    return WaitNode(group=source.id, kind=source.kind, caller=source.caller, reason=reason, **(values | changes))


def orders(**changes: Any) -> DumpReport:
    """Order management: 450 threads in the external call, 50 more wait for a connection of its client."""
    calls = group(
        "g1",
        "external-call",
        SLOT_FOR,
        names("http-exec", 450),
        first_line=2312,
        phase="read",
        blocking_frame=SOCKET_READ,
        integration=HTTP,
        timed=False,
        timed_reason="SocketInputStream.socketRead0 is called with a timeout of 0",
    )
    leases = group(
        "g2",
        "pool-wait",
        SLOT_FOR,
        names("http-exec", 50, 451),
        first_line=15812,
        phase="acquire",
        blocking_frame="org.apache.http.pool.AbstractConnPool.getPoolEntryBlocking",
        integration=HTTP,
        pool=HTTP_POOL,
        timed=False,
        timed_reason="the thread is WAITING, not TIMED_WAITING",
    )
    found = finding(
        "critical",
        "450 of 500 request threads are stuck in one external call: SchedulingGateway.slotFor",
        detail="HTTP through Apache HttpClient 4, waiting for the response; no read timeout. 50 more wait behind it "
        "for a connection of the same client, without a timeout.",
        threads=500,
        thread_names=[*calls.threads, *leases.threads],
        evidence=[
            Evidence("http-exec-1", 2312, f"at {SLOT_FOR}(SchedulingGateway.java:88)"),
            Evidence("http-exec-451", 15812, f"at {SLOT_FOR}(SchedulingGateway.java:88)"),
        ],
        advice=[
            "set a read timeout (RequestConfig.setSocketTimeout; default: none) and a lease timeout "
            "(setConnectionRequestTimeout; default: none)",
            "lower setMaxPerRoute so that one dead server cannot take every thread",
        ],
        recovery=["restart the client component, not the JVM; closing idle connections frees nothing here"],
        references=["https://hc.apache.org/httpcomponents-client-4.5.x/"],
        group="g1",
    )
    cpu = finding(
        "info",
        "Not a CPU problem: all request threads wait, 0 of 500 are running",
        id="not-cpu",
        evidence=[Evidence("http-exec-1", 2312, "")],
    )
    chain = Chain(root(calls), 50, 1, "inferred", "same client below the same caller", [])
    chain.tree.append(node(leases, "same client below the same caller"))
    values: dict[str, Any] = {
        "request_threads": 500,
        "chains": [chain],
        "findings": [found, cpu],
        "hints": ["jcmd PID Thread.print -l > orders-2.txt    (three times, ten seconds apart)"],
    }
    return dump([calls, leases, *quiet()], **(values | changes))


def front(**changes: Any) -> DumpReport:
    """Front end: 50 threads call order management, 245 wait for a connection of a pool without a timeout."""
    calls = group(
        "g1",
        "external-call",
        PLACE,
        names("ajp-exec", 50),
        first_line=40,
        phase="read",
        blocking_frame=SOCKET_READ,
        integration=HTTP,
        timed_reason="JDK 8 prints no timeout; ss -tnpo shows the timers",
    )
    leases = group(
        "g2",
        "pool-wait",
        PLACE,
        names("ajp-exec", 245, 51),
        first_line=1540,
        phase="acquire",
        blocking_frame="org.apache.commons.pool2.impl.GenericObjectPool.borrowObject",
        pool=RESOURCE_POOL,
        timed=False,
    )
    found = finding(
        "critical",
        "245 of 295 request threads wait for ever for a pool slot: OrderManagement.place",
        id="pool-exhausted",
        detail="All 50 connections of Commons Pool 2 are in use by calls that wait for the response; the pool has "
        "no timeout.",
        threads=245,
        evidence=[Evidence("ajp-exec-51", 1540, "")],
        advice=["set GenericObjectPoolConfig.setMaxWait (default: -1, for ever)"],
        recovery=["set max and stop and start this component only"],
        group="g2",
    )
    chain = Chain(root(calls), 245, 1, "inferred", "same pool below the same caller", [])
    chain.tree.append(node(leases, "same pool below the same caller"))
    values: dict[str, Any] = {
        "id": "d2",
        "source": "front.txt",
        "version": "1.8.0_402",
        "service": "front",
        "instance": "front-7",
        "pid": 4711,
        "host": "shop-fe-7",
        "request_threads": 295,
        "chains": [chain],
        "findings": [found],
    }
    return dump([calls, leases, *quiet()], **(values | changes))


def scheduling(**changes: Any) -> DumpReport:
    """Scheduling: 24 threads wait for a monitor whose owner waits for a peer."""
    owner = group(
        "g1",
        "external-call",
        SYNC,
        ["sched-worker-1"],
        first_line=812,
        phase="connect",
        blocking_frame="java.net.PlainSocketImpl.socketConnect",
        integration=Integration("jvm.jdk-socket", "JDK socket", "tcp"),
        timed=True,
    )
    waiters = group(
        "g2",
        "lock-wait",
        RESERVE,
        names("sched-worker", 24, 2),
        first_line=842,
        blocking_frame=RESERVE,
        lock="0x00000007114523a8",
        states={"BLOCKED": 24},
    )
    behind = group(
        "g3", "sync-wait", "com.shop.scheduling.Export.await", ["export-1"], first_line=2000,
        blocking_frame="java.util.concurrent.FutureTask.get", timed=False,
    )  # fmt: skip
    lock = ContendedLock(
        "0x00000007114523a8",
        "com.shop.scheduling.Calendar",
        "monitor",
        Owner(
            "sched-worker-1",
            812,
            "external-call",
            "java.net.PlainSocketImpl.socketConnect",
            SYNC,
            owner.integration,
            "reported",
        ),
        waiters.threads,
    )
    chain = Chain(root(owner), 25, 2, "mixed", "the future's task runs in sched-worker-2", [])
    waiting = node(waiters, lock="0x00000007114523a8", lock_class="com.shop.scheduling.Calendar")
    waiting.children.append(node(behind, "its task runs in sched-worker-2"))
    chain.tree.append(waiting)
    found = finding(
        "high",
        "24 threads wait for one monitor, its owner is in an external call: PeerSync.pull",
        id="lock-held-across-call",
        detail="sched-worker-1 owns Calendar 0x00000007114523a8 and is connecting to a peer.",
        threads=24,
        evidence=[Evidence("sched-worker-1", 812, "")],
        advice=["call the peer outside the monitor", "give the connect a short timeout"],
        group="g2",
    )
    values: dict[str, Any] = {
        "id": "d3",
        "source": "scheduling.txt",
        "request_threads": 25,
        "locks": [lock],
        "chains": [chain],
        "findings": [found],
    }
    return dump([owner, waiters, behind, *quiet()], **(values | changes))


def deadlock(**changes: Any) -> DumpReport:
    """Two accounts locked in opposite order, five threads behind."""
    first = group("g1", "lock-wait", "com.bank.Transfer.run", ["transfer-a", "transfer-b"], first_line=12)
    first.lock = "0x000000076b0a1c10"
    behind = group("g2", "lock-wait", "com.bank.Balance.read", names("reader", 5), first_line=90)
    behind.lock = "0x000000076b0a1c20"
    locks = [
        ContendedLock(id, "com.bank.Account", "monitor", owner, waiting)
        for id, owner, waiting in (
            (
                "0x000000076b0a1c20",
                Owner("transfer-b", 42, "lock-wait", None, "com.bank.Transfer.run", None, "reported"),
                ["transfer-a", *behind.threads],
            ),
            (
                "0x000000076b0a1c10",
                Owner("transfer-a", 12, "lock-wait", None, "com.bank.Transfer.run", None, "reported"),
                ["transfer-b"],
            ),
        )
    ]
    cycle = Deadlock(
        ["transfer-a", "transfer-b"],
        [12, 42],
        ["0x000000076b0a1c20", "0x000000076b0a1c10"],
        "monitor",
        True,
        "reported",
        5,
    )
    found = finding(
        "critical",
        "Deadlock: 2 threads wait for each other for ever, 5 more wait behind them",
        id="deadlock",
        threads=7,
        evidence=[Evidence("transfer-a", 12, ""), Evidence("transfer-b", 42, "")],
        advice=["take both locks in one order everywhere: Transfer.run"],
        recovery=["nothing but a restart of the process ends a deadlock of monitors"],
    )
    values: dict[str, Any] = {
        "source": "bank.txt",
        "locks": locks,
        "deadlocks": [cycle],
        "findings": [found],
        "problems": [Problem(211, "the line cuts a stack in two", "INFO  o.s.web - slow request /transfer")],
        "unread_lines": 3,
    }
    return dump([first, behind, *quiet()], **(values | changes))


def healthy(**changes: Any) -> DumpReport:
    """Workers with nothing to do."""
    groups = [
        group("g1", "idle", None, names("waitress", 20), blocking_frame="threading.Condition.wait"),
        group("g2", "running", "shop/prices.py:recalculate", names("worker", 4), cpu_ms=1234.5),
    ]
    values: dict[str, Any] = {
        "source": "<stdin>",
        "format": "py-spy",
        "family": "python",
        "runtime_name": "CPython",
        "version": "3.11.9",
        "taken_at": None,
        "pid": 77,
    }
    return dump(groups, **(values | changes))


HOSTILE = "\x1b[2J\x1b]0;gotcha\x07 evil\r\nCRITICAL  fake\u202e|`~~~`<b>@here</b> </details>\ud800 | a | b |\n```\n# H"


def hostile(text: str = HOSTILE, *, id: str = "d1") -> DumpReport:
    """Every place that takes text from a dump or a rule holds the given text."""
    partner = Integration("x", text, text)
    first = group(
        "g1", "external-call", text, [text, text + "2"], phase=text, blocking_frame=text, integration=partner,
        timed_reason=text, lock=text, stack=[text, text], states={text: 2},
    )  # fmt: skip
    second = group("g2", "pool-wait", text, [text + "3"], pool=partner, phase="acquire", timed=False)
    third = group("g3", "lock-wait", text, [text + "4"], lock=text)
    chain = Chain(root(first), 2, 2, "mixed", text, [node(second, text)])
    chain.tree[0].children.append(node(third, lock=text, lock_class=text))
    lock = ContendedLock(text, text, "monitor", Owner(text, 3, "running", text, text, partner, "inferred"), [text])
    unowned = ContendedLock(text, text, "other", None, [text], owner_unknown=text)
    cycle = Deadlock([text, text], [1, 2], [text, text], "mixed", False, "inferred", 1)
    found = [
        finding(
            severity, text, detail=text, thread_names=[text],
            evidence=[Evidence(text, 3, text), Evidence(None, 4, text)],
            advice=[text, text], recovery=[text, text], references=[text, "https://example.org/ " + text], group="g1",
        )
        for severity in ("critical", "high", "medium", "low", "info")
    ]  # fmt: skip
    return dump(
        [first, second, third, *quiet()],
        id=id,
        source=text,
        member=text,
        runtime_name=text,
        version=text,
        taken_at=text,
        host=text,
        service=text,
        instance=text,
        truncated=True,
        problems=[Problem(7, text, text)],
        unread_lines=2,
        locks=[lock, unowned],
        chains=[chain],
        deadlocks=[cycle],
        findings=found,
        hints=[text],
    )


def story() -> Report:
    """The three tiers of the outage."""
    return Report([orders(id="d1"), front(id="d2"), scheduling(id="d3")])


def many(count: int = 6) -> Report:
    """More dumps than are shown in full, one of them a copy."""
    dumps = [healthy(id=f"d{number}", source=f"dump-{number}.txt") for number in range(1, count - 3)]
    dumps += [orders(id="d97"), front(id="d98"), deadlock(id="d99")]
    dumps.append(orders(id="d100", source="copy.txt", duplicate_of="d97"))
    return Report(dumps, [Problem(0, "unreadable", "missing.txt")])
