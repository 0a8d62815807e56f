"""What is written down of the lab's Python programs, asked of the report on every dump of them that can be read.

Each format shows a part of the truth. What it shows has to be said, and what it cannot show has to be said to be
unknown, with the command that would show it. The folder is not part of this repository, see ``test_lab.py``.
"""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from threaddump.analysis import analyze
from threaddump.report import DumpReport, Group
from threaddump.sources import InputError, Source

LAB = Path(os.environ.get("THREADDUMP_LAB") or Path(__file__).resolve().parents[2] / "shared" / "lab") / "python"

if not (LAB / "MANIFEST.tsv").is_file():
    pytest.skip(f"no recorded dumps in {LAB} (set THREADDUMP_LAB)", allow_module_level=True)

FOLDERS = {
    "faulthandler", "gdb-pybt", "py-spy", "py-spy-fullnames", "py-spy-json", "py-spy-locals", "py-spy-native",
    "py-spy-old", "py315-dump", "pystack", "pystack-locals", "pystack-native", "recipes", "uwsgi",
}  # fmt: skip
"""Folders with dumps of threads. The others hold task lists, profiles, errors, or copies of these with noise."""
SEVERE = {"critical", "high", "medium"}


@dataclass(frozen=True)
class Case:
    """A dump, and what its format shows."""

    path: str
    program: str
    python: tuple[int, int]
    dump: DumpReport

    @property
    def folder(self) -> str:
        return self.path.partition("/")[0]

    @property
    def source_lines(self) -> bool:
        return self.folder.startswith(("pystack", "recipes", "py315-dump", "uwsgi", "gdb-pybt"))

    @property
    def native(self) -> bool:
        """C frames with their names: py-spy does not find those of the builds of 3.14 here."""
        return self.folder in {"py-spy-native", "pystack-native"}

    @property
    def locals(self) -> bool:
        return "locals" in self.path

    @property
    def classes(self) -> bool:
        """Functions are printed with their classes: by py-spy 0.4.3 from Python 3.11 on, and by 3.15 itself."""
        if self.folder == "py-spy-old":
            return "spy0.4.3" in self.path and self.python >= (3, 11)
        return (self.folder.startswith("py-spy") and self.python >= (3, 11)) or self.folder == "py315-dump"

    @property
    def names(self) -> bool:
        """Threads are printed with their whole names."""
        nameless = ".hex." in self.path or ".threadid." in self.path
        return self.folder.startswith("py-spy") or (self.folder == "recipes" and not nameless)

    def groups(self, *kinds: str, where: str = "") -> list[Group]:
        return [
            group
            for group in self.dump.groups
            if group.kind in kinds and re.search(where, f"{group.blocking_frame} {group.caller}")
        ]

    def count(self, *kinds: str, where: str = "") -> int:
        return sum(group.count for group in self.groups(*kinds, where=where))

    def findings(self, *ids: str) -> list[str]:
        return [finding.severity for finding in self.dump.findings if finding.id in ids]

    @property
    def severe(self) -> list[str]:
        return [finding.id for finding in self.dump.findings if finding.severity in SEVERE]


def cases() -> list[tuple[str, str]]:
    with (LAB / "MANIFEST.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [
        (row["file"], Path(row["file"]).name.partition(".")[0])
        for row in rows
        if row["file"].partition("/")[0] in FOLDERS and ".task" not in row["file"] and ".callgraph" not in row["file"]
    ]


ALL = cases()
VERSIONS = {row[0]: re.search(r"\.(?:v|py)(3)(\d+)\b", row[0]) for row in ALL}


@cache
def case(path: str, program: str) -> Case:
    errors: list[InputError] = []
    dumps = analyze([Source(path, LAB / path)], lambda _, error: errors.append(error)).dumps
    if not dumps:
        assert errors, path
        assert errors[0].hint
        pytest.skip(f"no parser for it: {errors[0]}")
    version = VERSIONS[path]
    (dump,) = dumps
    return Case(path, program, (3, int(version[2])) if version else (3, 11), dump)


def of(*programs: str) -> pytest.MarkDecorator:
    found = [row for row in ALL if row[1] in programs]
    assert found, programs
    return pytest.mark.parametrize("at", found, ids=[row[0] for row in found])


def every(check: Callable[[Case], None]) -> Callable[[tuple[str, str]], None]:
    """A test over dumps, written as a check of one; dumps of the main thread alone are left out."""

    def test(at: tuple[str, str]) -> None:
        it = case(*at)
        if it.path.endswith(".main.txt"):
            assert it.dump.total == 1
            assert it.severe == []
            return
        check(it)

    test.__name__, test.__doc__ = check.__name__, check.__doc__
    return test


def asks_for_source(it: Case) -> bool:
    return any("--source-root" in hint for hint in it.dump.hints)


@pytest.mark.parametrize("at", ALL, ids=[row[0] for row in ALL])
def test_no_kind_is_made_up_and_what_is_unknown_is_asked_for(at: tuple[str, str]) -> None:
    it = case(*at)
    assert (it.count("unknown") > 0) <= asks_for_source(it)
    for group in it.dump.groups:
        shown = group.blocking_frame or ""
        by_line = bool(group.inferred) and "/" not in shown and ".py:" not in shown
        # A kind that is told by the source line says so, and only such a kind.
        assert by_line is any(" (<source line>:" in frame or "(<source line>:" in frame for frame in group.stack[:1])


@of("big_sched_500")
@every
def test_big_sched_500(it: Case) -> None:
    """450 in an HTTP call that has no timeout, 50 behind them for a slot of the same pool, without a timeout."""
    capped = it.folder == "faulthandler"
    calls, waits = (50, 50) if capped else (450, 50)
    assert (it.dump.total, it.dump.truncated) == ((100, True) if capped else (501, False))
    (call,) = it.groups("external-call")
    (wait,) = it.groups("pool-wait")
    assert (call.count, wait.count, wait.timed) == (calls, waits, False)
    assert call.integration is not None
    assert wait.pool is not None
    assert (call.integration.id, wait.pool.id) == ("requests", "urllib3")
    if it.locals or it.source_lines:
        assert call.timed is False
    assert it.dump.findings[0].id == "hot-external-call"
    assert it.findings("pool-wait-untimed")
    (chain,) = it.dump.chains
    assert (chain.root.count, chain.waiting, chain.evidence) == (calls, waits, "inferred")


@of("deadlock_rlock")
@every
def test_deadlock_rlock(it: Case) -> None:
    """Four threads in transfer: two deadlocked, two behind. No dump shows who owns an RLock, so none may claim it."""
    assert it.dump.total == 5
    assert it.count("idle") == 1
    assert it.count("unknown", "lock-wait", where="transfer") == 4
    if it.source_lines:
        assert it.count("lock-wait") == 4
    assert it.dump.deadlocks == []
    assert all(lock.owner is None for lock in it.dump.locks)
    if it.locals and it.source_lines:
        assert sorted(len(lock.waiting) for lock in it.dump.locks) == [1, 3]
        assert asks_for_source(it)


@of("lock_contention")
@every
def test_lock_contention(it: Case) -> None:
    """Twelve wait for a lock that one holds in a socket read: the class around both, if printed, tells who it is."""
    assert it.dump.total == 14
    assert it.count("idle") == 1
    takes = it.count("lock-wait", where=r"\bget$")
    assert takes + it.count("unknown", where=r"\bget$") == 12
    reads = it.count("external-call", where=r"\brefresh$")
    assert reads + it.count("unknown", "running", where=r"\brefresh$") == 1
    if it.source_lines or (it.native and it.python < (3, 14)):
        assert (takes, reads) == (12, 1)
    owners = [lock.owner.thread for lock in it.dump.locks if lock.owner is not None]
    if it.classes:
        assert len(owners) == 1
        assert owners[0] == "inventory-refresher-0" or it.folder == "py315-dump"
        assert it.findings("threads-behind-one-owner")
    else:
        assert owners == []
        assert asks_for_source(it)


@of("executor_idle_busy")
@every
def test_executor_idle_busy(it: Case) -> None:
    """Two sleep and two read at work, four workers are idle, four threads wait for results: nothing is wrong."""
    assert it.dump.total == 12
    assert it.count("idle", where="_worker") == 4
    assert it.count("sync-wait") == 4
    assert it.count("sleep", "unknown", where="crunch") == 2
    assert it.count("external-call", "unknown", where="fetch") == 2
    if it.source_lines or it.native:
        assert (it.count("sleep"), it.count("external-call")) == (2, 2)
    assert {group.timed for group in it.groups("sync-wait")} == {False}
    assert it.severe == []


@of("executor_starvation")
@every
def test_executor_starvation(it: Case) -> None:
    """All four workers wait for tasks that are queued behind themselves."""
    assert it.dump.total == 5
    assert it.count("sync-wait") == 5
    assert {group.timed for group in it.groups("sync-wait")} == {False}
    assert it.findings("executor-starved") == ["high"]
    (finding,) = [finding for finding in it.dump.findings if finding.id == "executor-starved"]
    assert finding.threads == 4


@of("gunicorn_gthread")
@every
def test_gunicorn_gthread(it: Case) -> None:
    """Five of the server's threads are in one call; the main thread is in its selector."""
    (call,) = it.groups("external-call", where=r"\bslow$")
    assert call.count == 5
    assert call.integration is not None
    assert call.integration.id == "requests"
    if it.locals or it.source_lines:
        assert call.timed is False
    assert it.count("idle") == it.dump.total - 5
    assert it.dump.request_threads >= 5
    assert it.findings("hot-external-call")


@of("http_client_stuck", "requests_stuck")
@every
def test_calls_that_never_end(it: Case) -> None:
    """All threads but the main one are in one HTTP call without a timeout."""
    stuck, where = (8, "fetch_rate") if it.program == "http_client_stuck" else (20, "charge")
    assert it.dump.total == stuck + 1
    (call,) = it.groups("external-call", where=where)
    assert (call.count, call.phase, it.count("idle")) == (stuck, "read", 1)
    assert call.integration is not None
    assert call.integration.id == ("py-http" if it.program == "http_client_stuck" else "requests")
    if it.program == "requests_stuck" and (it.locals or it.source_lines or it.native):
        assert call.timed is False or it.folder == "py-spy-native"
    assert it.findings("hot-external-call")
    (finding,) = [finding for finding in it.dump.findings if finding.id == "hot-external-call"]
    assert finding.threads == stuck


@of("logging_lock")
@every
def test_logging_lock(it: Case) -> None:
    """One writes to a full pipe under the handler's lock, five wait for that lock: plain frames name the owner."""
    assert it.dump.total == 7
    assert (it.count("lock-wait"), it.count("io"), it.count("idle")) == (5, 1, 1)
    (lock,) = it.dump.locks
    assert lock.owner is not None
    assert (lock.type, len(lock.waiting), lock.owner.kind, lock.owner.evidence) == ("logging", 5, "io", "inferred")
    if it.names:
        assert lock.owner.thread.startswith("req-")
    assert it.findings("threads-behind-one-owner")


@of("psycopg3_wait")
@every
def test_psycopg3_wait(it: Case) -> None:
    """Five wait for the pool, two hold its connections; two more have connections of their own."""
    assert it.dump.total == 14
    assert it.count("external-call", where=r"\breport$") == 2
    assert it.count("external-call", where=r"\braw$") == 2
    (wait,) = it.groups("pool-wait")
    assert (wait.count, wait.timed, it.count("idle")) == (5, True, 5)
    roots = {chain.root.caller.rpartition(":")[2] for chain in it.dump.chains if chain.root.caller}
    assert roots == ({"report"} if it.source_lines else {"report", "raw"})
    assert it.findings("pool-exhausted")


@of("sqlalchemy_pool")
@every
def test_sqlalchemy_pool(it: Case) -> None:
    """Ten wait for a pool whose three connections run a query."""
    assert it.dump.total == 14
    (wait,) = it.groups("pool-wait")
    (call,) = it.groups("external-call", where="slow_report")
    assert (wait.count, wait.timed, call.count, it.count("idle")) == (10, True, 3, 1)
    assert wait.pool is not None
    assert wait.pool.id == "sqlalchemy"
    (chain,) = it.dump.chains
    assert (chain.root.count, chain.waiting, chain.evidence) == (3, 10, "inferred")
    assert ("local variables of both" in (chain.reason or "")) is it.locals
    assert it.findings("pool-exhausted")


@of("queue_idle_workers")
@every
def test_queue_idle_workers(it: Case) -> None:
    """Eight of ten workers have nothing to do: no finding."""
    assert it.dump.total == 11
    assert it.count("idle", where="queue.py") == 8
    assert it.count("sleep", "unknown", where="process") == 2
    if it.source_lines or it.native:
        assert it.count("sleep") == 2
    assert it.severe == []


@of("sleep_join")
@every
def test_sleep_join(it: Case) -> None:
    """Six threads sleep, each in its own way, and the main thread joins them: no finding."""
    assert it.dump.total == 7
    assert it.count("idle") == 1
    assert it.count("sleep") + it.count("unknown") == 6
    if it.source_lines or it.native:
        assert it.count("sleep") == 6
    assert it.severe == []


@of("asyncio_tasks")
@every
def test_asyncio_tasks(it: Case) -> None:
    """The loop is idle. Its tasks are in no dump of threads; Python 3.15 prints them as entries of their own."""
    if ".async." not in it.path:
        assert (it.dump.total, it.count("idle"), it.severe) == (1, 1, [])
        return
    assert it.dump.total == 31
    assert it.count("lock-wait", where=r"\bwaiter$") == 20
    assert it.count("idle", where=r"\bconsumer$") == 10
    assert it.count("external-call", where=r"\bholder$") == 1
    (lock,) = it.dump.locks
    assert (len(lock.waiting), lock.owner) == (20, None)
    assert asks_for_source(it)


@of("sync_primitives")
@every
def test_sync_primitives(it: Case) -> None:
    """One thread for each primitive, and none of them is anybody's fault."""
    assert it.dump.total == 19
    assert it.count("lock-wait", "unknown", where="want_rlock") == 1
    assert it.count("queue-put", where="queue_put_full") == 1
    assert it.dump.deadlocks == []


@of("uwsgi_threads")
@every
def test_uwsgi_threads(it: Case) -> None:
    """Four cores in one call without a timeout."""
    (call,) = it.groups("external-call", where="slow")
    assert (call.count, call.timed) == (4, False)
    assert it.findings("read-without-timeout", "hot-external-call")


def test_few_kinds_are_unknown() -> None:
    """Where source lines or C frames are printed, nearly all are known; without them C calls are not."""
    known: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for path, program in ALL:
        try:
            it = case(path, program)
        except pytest.skip.Exception:
            continue
        part = "shown" if it.source_lines else "not shown"
        total[part] += it.dump.total
        known[part] += it.dump.total - it.count("unknown")
    assert known["shown"] >= 0.99 * total["shown"]
    assert known["not shown"] >= 0.75 * total["not shown"]


def test_every_program_is_asked_about() -> None:
    asked = set(re.findall(r"^@of\((.*)\)$", Path(__file__).read_text("utf-8"), re.MULTILINE))
    named = {name for group in asked for name in re.findall(r'"(\w+)"', group)}
    assert {program for _, program in ALL} <= named
