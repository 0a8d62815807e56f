"""Thread containers: what is reported of them, how they are drawn, and task scopes that cannot end."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

import goldens
from threaddump.report import DumpReport
from threaddump.reports import json as json_report
from threaddump.reports import markdown, terminal, words
from threaddump.reports.text import plain

RUN = "java.base/java.lang.VirtualThread.run(VirtualThread.java:309)"
READ = [
    "java.base/sun.nio.ch.SocketDispatcher.read0(Native Method)",
    "java.base/sun.nio.ch.NioSocketImpl.implRead(NioSocketImpl.java:317)",
    "java.base/java.net.Socket$SocketInputStream.read(Socket.java:966)",
]
JOIN = [
    "java.base/java.lang.VirtualThread.park(VirtualThread.java:1)",
    "java.base/java.util.concurrent.locks.LockSupport.park(LockSupport.java:1)",
    "java.base/jdk.internal.misc.ThreadFlock.awaitAll(ThreadFlock.java:1)",
    "java.base/java.util.concurrent.StructuredTaskScopeImpl.join(StructuredTaskScopeImpl.java:1)",
]


def task(number: int, *stack: str, **more: Any) -> dict[str, Any]:
    return {"tid": str(number), "name": "", "virtual": True, "stack": [*stack, RUN]} | more


def call(number: int, caller: str = "com.shop.Price.ask(Price.java:3)") -> dict[str, Any]:
    return task(number, *READ, caller, state="RUNNABLE")


def join(number: int) -> dict[str, Any]:
    return task(number, *JOIN, "com.shop.Quote.collect(Quote.java:9)", state="WAITING")


def container(name: str, *threads: dict[str, Any], parent: str | None = "<root>", owner: int | None = None) -> Any:
    told = {"container": name, "parent": parent, "owner": None if owner is None else str(owner)}
    return told | {"threads": list(threads), "threadCount": str(len(threads))}


def report(*containers: Any) -> DumpReport:
    document = {
        "processId": "7",
        "time": "2026-11-22T20:49:15Z",
        "runtimeVersion": "25",
        "threadContainers": containers,
    }
    (dump,) = goldens.report_on(json.dumps({"threadDump": document}, indent=1).encode()).dumps
    return dump


def drawn(dump: DumpReport, top: int = 10) -> list[str]:
    return [plain(line) for line in words.Phrases(dump).container_lines(100, top)]


def scope(number: int, owner: int, *tasks: dict[str, Any], parent: str = "<root>") -> Any:
    return container(f"java.util.concurrent.StructuredTaskScopeImpl@{number:x}", *tasks, parent=parent, owner=owner)


EXECUTOR = "java.util.concurrent.ThreadPerTaskExecutor@1"


def test_fields() -> None:
    dump = report(container("<root>", join(3), parent=None), scope(1, 3, call(4), call(5)), scope(2, 99))
    assert [
        (one.name.rpartition(".")[2], one.parent, one.owner, one.threads, one.by_kind) for one in dump.containers
    ] == [
        ("<root>", None, None, 1, {"sync-wait": 1}),
        ("StructuredTaskScopeImpl@1", "<root>", "#3", 2, {"external-call": 2}),
        ("StructuredTaskScopeImpl@2", "<root>", "#99", 0, {}),
    ]
    out = io.StringIO()
    json_report.write(goldens.Report([dump]), out)
    (told,) = json.loads(out.getvalue())["dumps"]
    assert told["containers"][1] | {"groups": None} == {
        "name": "java.util.concurrent.StructuredTaskScopeImpl@1",
        "parent": "<root>",
        "owner": "#3",
        "threads": 2,
        "by_kind": {"external-call": 2},
        "groups": None,
    }


def test_a_tree_of_scopes_and_executors() -> None:
    dump = report(
        container("<root>", join(3) | {"name": "main", "virtual": False}, parent=None),
        container("ForkJoinPool-1/jdk.internal.vm.SharedThreadContainer@7", call(8)),
        container(EXECUTOR, join(10), join(11)),
        scope(1, 10, call(20), call(21), parent=EXECUTOR),
        scope(2, 11, call(22), parent=EXECUTOR),
        scope(3, 3, call(23)),
        container("java.util.concurrent.ThreadPoolExecutor@9"),
    )
    assert drawn(dump) == [
        "ThreadPerTaskExecutor: 2 threads: 2 sync wait Quote.collect",
        '└─ 2 x StructuredTaskScope owned by "#10" line 55 and 1 more: 3 threads: 3 external call Price.ask',
        'StructuredTaskScope owned by "main" line 12: 1 thread: 1 external call Price.ask',
    ]
    for write in (lambda out: terminal.write(goldens.Report([dump]), out, width=80, color=False, top=5), None):
        out = io.StringIO()
        if write is None:
            markdown.write(goldens.Report([dump]), out, top=5)
        else:
            write(out)
        assert "StructuredTaskScope owned by" in out.getvalue()


def test_pools_of_the_jdk_alone_are_not_drawn() -> None:
    dump = report(
        container("<root>", call(3), parent=None),
        container("ForkJoinPool.commonPool/jdk.internal.vm.SharedThreadContainer@7", call(8)),
        container("java.util.concurrent.ThreadPoolExecutor@9"),
    )
    assert drawn(dump) == []
    assert len(dump.containers) == 3


@pytest.mark.parametrize("depth", [3, 30, 3000])
def test_deep_and_circular_scopes_are_drawn_in_a_few_lines(depth: int) -> None:
    chain = [
        scope(n, n + 1000, call(n + 5000), parent=f"java.util.concurrent.StructuredTaskScopeImpl@{n - 1:x}")
        for n in range(2, depth)
    ]
    ring = [
        scope(9001, 1, call(90001), parent="java.util.concurrent.StructuredTaskScopeImpl@232a"),
        scope(9002, 1, call(90002), parent="java.util.concurrent.StructuredTaskScopeImpl@2329"),
    ]
    assert len(drawn(report(container("<root>", parent=None), *chain, *ring), top=3)) <= 14


def test_many_kinds_are_capped() -> None:
    scopes = [scope(n, n, call(n + 100, f"com.shop.A{n}.ask(A.java:1)")) for n in range(1, 30)]
    lines = drawn(report(*scopes), top=3)
    assert len(lines) == 4
    assert lines[-1] == "... 26 more containers"


def finding(dump: DumpReport) -> list[tuple[str, str, int]]:
    return [(f.severity, f.title, f.threads) for f in dump.findings if f.id == "scope-tasks-stuck"]


def test_tasks_of_a_scope_that_all_wait_in_one_place() -> None:
    dump = report(container("<root>", join(3), parent=None), scope(1, 3, call(4), call(5)))
    assert finding(dump) == [("low", '"#3" waits for 2 tasks of its scope, all in external calls in Price.ask', 3)]


def test_many_scopes_are_one_finding() -> None:
    scopes = [scope(n, n, call(n + 100), call(n + 200)) for n in range(1, 7)]
    dump = report(container(EXECUTOR, *(join(n) for n in range(1, 7))), *scopes)
    assert finding(dump) == [
        ("medium", "the owners of 6 task scopes wait for 12 tasks, all in external calls in Price.ask", 18)
    ]


@pytest.mark.parametrize(
    "containers",
    [
        # One task is elsewhere.
        (container("<root>", join(3)), scope(1, 3, call(4), call(5, "com.shop.Stock.ask(Stock.java:1)"))),
        # The owner does something else.
        (container("<root>", call(3)), scope(1, 3, call(4), call(5))),
        # Nobody knows the owner.
        (container("<root>", join(3)), scope(1, 9, call(4), call(5))),
        # One task only: its own row says it all.
        (container("<root>", join(3)), scope(1, 3, call(4))),
        # The tasks wait for tasks of their own.
        (container("<root>", join(3)), scope(1, 3, join(4), join(5))),
    ],
)
def test_scopes_that_are_not_stuck_in_one_place(containers: Any) -> None:
    assert finding(report(*containers)) == []
