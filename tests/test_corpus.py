"""Public dumps that people have read: what they saw is what the report says; and nobody is accused without reason.

The folder with the dumps is not part of this repository, and nothing of their text is here: only counts, names of
threads and numbers of locks. Its place is ``THREADDUMP_CORPUS``, else ``shared/corpus`` beside the checkout; where it
is absent its tests are skipped. The traps below it need no folder.
"""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from dumps import AWAIT, IDLE, SERVLET, WORKER, analyzed, blocked, dump, monitor, thread, times
from threaddump.analysis import analyze
from threaddump.report import DumpReport
from threaddump.sources import InputError, Source
from threaddump_parsers.model import Thread

ROOT = Path(__file__).resolve().parents[1]
CORPUS = Path(os.environ.get("THREADDUMP_CORPUS") or ROOT.parent / "shared" / "corpus")
LAB = Path(os.environ.get("THREADDUMP_LAB") or ROOT.parent / "shared" / "lab")
ALARMS = {"critical", "high", "medium"}

needs_corpus = pytest.mark.skipif(
    not (CORPUS / "MANIFEST.tsv").is_file(), reason=f"no public dumps in {CORPUS} (set THREADDUMP_CORPUS)"
)


@cache
def dumps(path: Path) -> list[DumpReport]:
    errors: list[InputError] = []
    report = analyze([Source(path.name, path)], lambda _, error: errors.append(error))
    return [] if errors else report.dumps


@dataclass(frozen=True)
class Deadlock:
    """Words in the names of the threads of a cycle, and how many more wait behind them."""

    names: frozenset[str]
    behind: int | None = 0
    """None: not the same in each dump of the file."""
    reported: bool | None = True
    """None: in some dumps of the file only."""


@dataclass(frozen=True)
class View:
    """What a reader of the dump saw."""

    threads: Sequence[int]
    """In each dump of the file."""
    deadlocks: tuple[Deadlock, ...] = ()
    locks: tuple[tuple[str, str | None, int], ...] = ()
    """In each dump that has it: a lock's number, a word in its owner's name (None: it has none), threads that wait."""
    doing: tuple[tuple[str, str, int], ...] = ()
    """In each dump: kind, a word in the blocking frame or the threads' names, threads."""
    quiet: bool = False
    """Nothing is wrong: no finding of medium or above."""
    findings: tuple[str, ...] = ()
    """Findings that have to be there in each dump."""


def cycle(*names: str, behind: int | None = 0, reported: bool | None = True) -> Deadlock:
    return Deadlock(frozenset(names), behind, reported)


FORMED = (
    cycle("DeadlockThread-A", "DeadlockThread-B"),
    cycle("DeadlockCandidate-A", "DeadlockCandidate-B"),
)
RING = cycle("DeadlockThread-A", "DeadlockThread-B", "DeadlockThread-C")
THREE = View(
    (13, 13, 13),
    (cycle("DeadLockThread1", "DeadLockThread2", behind=1),),
    (("0x000000010507f180", "DeadLockThread2", 2), ("0x000000010507f170", "DeadLockThread1", 1)),
)
LIBERICA = (
    (cycle("DeadLockThread1", "DeadLockThread2", behind=1),),
    (("0x000000061fcc9b90", "DeadLockThread2", 2), ("0x000000061fcc9b80", "DeadLockThread1", 1)),
)

WORKERS = cycle("Worker Thread 1", "Worker Thread 2", "Worker Thread 3")

VIEWS: dict[str, View] = {
    "AdoptOpenJDK_mjprof__test.txt": View(
        (54,), doing=(("idle", "WaitMessage", 1), ("idle", "indexing", 2)), quiet=True
    ),
    "AdoptOpenJDK_mjprof__test2.txt": View((2,), findings=("truncated-input",)),
    "aragozin_jvm-tools__jstack.txt": View(
        (160,),
        doing=(
            ("idle", "operation.thread", 26),  # two more work
            ("idle", "selectLoop", 24),
            ("lock-wait", "", 0),
        ),
        quiet=True,
    ),
    # The threads of the two LOCKS sections and of the deadlock section: without THREADS they are all that is known.
    "eclipse-openj9_openj9-docs__dump_javadump_block1.txt": View((1,), findings=("truncated-input",)),
    "eclipse-openj9_openj9-docs__dump_javadump_block2.txt": View(
        (3,),
        locks=(("0x00000000FFF61C90", "Class Initialization Thread 1", 1),),
        doing=(("lock-wait", "Thread 2", 1), ("sleep", "Thread 1", 1), ("runtime", "JIT Diagnostic", 1)),
        findings=("truncated-input",),
    ),
    "eclipse-openj9_openj9-docs__dump_javadump_block3.txt": View((1,), findings=("truncated-input",)),
    "eclipse-openj9_openj9-docs__dump_javadump_block4.txt": View((1,), doing=(("running", "StringBuffer", 1),)),
    "eclipse-openj9_openj9-docs__dump_javadump_block5.txt": View((1,), findings=("truncated-input",)),
    "eclipse-openj9_openj9-docs__dump_javadump_block6.txt": View((3,), (WORKERS,), findings=("truncated-input",)),
    "eclipse-openj9_openj9-docs__dump_javadump_block7.txt": View(
        (3,), (cycle(*WORKERS.names, reported=False),), doing=(("lock-wait", "WorkerThread.run", 3),)
    ),
    "eclipse-openj9_openj9-docs__dump_javadump_block8.txt": View(
        (20,), locks=(("0xB56658D8", "Worker Thread 0", 19),), findings=("threads-behind-one-owner",)
    ),
    "eclipse-openj9_openj9-docs__dump_javadump_block9.txt": View((1,), doing=(("sleep", "Worker Thread 0", 1),)),
    "jstack-review_jstack-review__test.html": View((54,), doing=(("lock-wait", "", 0),), quiet=True),
    "knowledge-graphlet_komet-desktop__hcc04da_thread-dump.txt": View(
        (36,), doing=(("sleep", "main", 1),), quiet=True
    ),
    "olivergondza_dumpling__ReentrantLock-parking-blockage.log": View(
        (22,), locks=(("0x000000071c21cde8", "Thread-1", 1),), doing=(("lock-wait", "ReentrantLock.lock", 1),)
    ),
    "olivergondza_dumpling__ReentrantReadWriteLock-parking-blockage-write.log": View(
        (22,), locks=(("0x000000071c221578", "Thread-1", 1),), doing=(("lock-wait", "WriteLock.lock", 1),)
    ),
    "olivergondza_dumpling__blocked-without-monitor.log": View((1,), doing=(("lock-wait", "", 1),)),
    "olivergondza_dumpling__blocking-tree.log": View(
        (7,),
        locks=(
            ("0x00000007d750e1e0", "a", 2),
            ("0x00000007d75111d8", "aa", 1),
            ("0x00000007d75115b0", "b", 1),
        ),
        doing=(("lock-wait", "", 4),),
        findings=("threads-behind-one-owner",),
    ),
    "olivergondza_dumpling__contention.log": View(
        (18,),
        locks=(("0x00000007d74de4c0", "producer", 3),),
        doing=(("lock-wait", "consumer", 3), ("sleep", "producer", 1)),
        findings=("threads-behind-one-owner",),
    ),
    "olivergondza_dumpling__crlf.log": View((2,), locks=(("0x00000007850ba130", "main", 1),)),
    "olivergondza_dumpling__deadlock-and-friends.log": View(
        (19,),
        (cycle("8009-103", "8009-50", behind=2, reported=False),),
        (("0x00000004033105e0", "8009-103", 2), ("0x000000040e73a1c8", "8009-50", 1), ("0x000000040e92b350", "-46", 1)),
    ),
    "olivergondza_dumpling__deadlock.log": View((18,), (cycle("8009-107", "8009-24", behind=1),)),
    "olivergondza_dumpling__h6e2235_linebreaked.log": View((1,), doing=(("sleep", "Linebreaks", 1),)),
    "olivergondza_dumpling__hcbe417_quoted.log": View((1,), doing=(("sleep", '"o"', 1),)),
    "olivergondza_dumpling__in-object-wait.log": View(
        (3,), locks=(("0x00000007d757b550", None, 2),), doing=(("lock-wait", "blockedReacquiring", 2), ("sleep", "", 1))
    ),
    "olivergondza_dumpling__inconsistent-locks-and-state.log": View(
        (2,), doing=(("idle", "", 1), ("lock-wait", "", 1))
    ),
    "olivergondza_dumpling__issue-71.log": View((16,), doing=(("lock-wait", "Queue.maintain", 1),)),
    "olivergondza_dumpling__no_blank_lines.log": View((9,), quiet=True),
    "olivergondza_dumpling__openjdk-1.6.log": View((15,), doing=(("io", "UNIXProcess.waitFor", 1),), quiet=True),
    "olivergondza_dumpling__openjdk-1.7.0_60.log": View((35,), doing=(("idle", "OS.Call", 1),), quiet=True),
    "olivergondza_dumpling__openjdk-11.0.2.log": View((24,), doing=(("sleep", "main", 1),), quiet=True),
    "olivergondza_dumpling__oraclejdk-1.7.0_51.log": View(
        (143,), doing=(("idle", "Ajp", 30), ("external-call", "", 0), ("lock-wait", "", 0)), quiet=True
    ),
    "olivergondza_dumpling__oraclejdk-1.9.log": View((35,), doing=(("sleep", "main", 1),), quiet=True),
    "olivergondza_dumpling__ownable-synchronizers.log": View(
        (2,), locks=(("0x00000007850ba130", "main", 1),), doing=(("sleep", "main", 1),)
    ),
    "olivergondza_dumpling__self-lock.log": View((12,), doing=(("lock-wait", "", 0),), quiet=True),
    "olivergondza_dumpling__synchronizer_deadlock.log": View(
        (31,),
        (cycle("AtmostOneTaskExecutor", "NodeProvisionerTest", behind=3, reported=False),),
        (("0x00000000f1cf3470", "AtmostOneTaskExecutor", 4), ("0x00000000f253d388", "NodeProvisionerTest", 1)),
        (("lock-wait", "jenkins.util.Timer", 3),),
    ),
    "olivergondza_dumpling__unknown-chunks.log": View((1,)),
    "parttimenerd_jthreaddump__deadlock-formation-0.txt": View((49,), FORMED[:1], doing=(("lock-wait", "", 2),)),
    "parttimenerd_jthreaddump__deadlock-formation-3.txt": View((49,), FORMED, doing=(("lock-wait", "", 4),)),
    "parttimenerd_jthreaddump__dump-1.txt": View(
        (42,), locks=(("0x000000057372ee30", "pool-6-thread-1", 7),), findings=("threads-behind-one-owner",)
    ),
    "parttimenerd_jthreaddump__dump-2-2-3.txt": View((36,), doing=(("running", "recursiveMethod", 2),)),
    "parttimenerd_jthreaddump__dump-2-2.txt": View((38,), doing=(("running", "Random.next", 4),)),
    "parttimenerd_jthreaddump__dump-2.txt": View((40,), doing=(("external-call", "timedRead", 5), ("running", "", 0))),
    "parttimenerd_jthreaddump__dump-3.txt": View((40,), doing=(("sleep", "", 6), ("lock-wait", "", 0)), quiet=True),
    # Ten mounted virtual threads stand in the blocks of their carriers: entries without a header line.
    "parttimenerd_jthreaddump__many-virtual-threads.txt": View((64,), (*FORMED, RING), doing=(("lock-wait", "", 7),)),
    "parttimenerd_jthreaddump__read-write-lock.txt": View(
        (60,), (*FORMED, RING), (("0x000000053ff0d1e8", "WriteLockHolder", 5),), (("lock-wait", "Deadlock", 7),)
    ),
    "parttimenerd_jthreaddump__three-way-deadlock-detailed.txt": View(
        (59,), (FORMED[0], FORMED[1], FORMED[1], RING, RING), doing=(("lock-wait", "", 12),)
    ),
    "parttimenerd_jthreaddump__three-way-deadlock.txt": View((54,), (*FORMED, RING), doing=(("lock-wait", "", 7),)),
    "parttimenerd_jthreaddump__virtual-thread-deadlock.txt": View((37,), doing=(("lock-wait", "", 0),), quiet=True),
    "parttimenerd_jthreaddump__virtual-threads.txt": View((29,), doing=(("lock-wait", "", 0),), quiet=True),
    "wkorando_loominated-java__h0233ad_json": View((7,), quiet=True),
    "wkorando_loominated-java__ha809ad_more-threads.json": View(
        (37,), doing=(("sleep", "Thread.sleep", 12), ("sync-wait", "ThreadFlock.awaitAll", 3)), quiet=True
    ),
    "wkorando_loominated-java__hc1ee59_threads": View((7,), quiet=True),
    "wkorando_loominated-java__pre-structured-concurrency-thread-dump-multi.json": View(
        (33,), doing=(("sleep", "Thread.sleep", 9),), quiet=True
    ),
    "wkorando_loominated-java__pre-structured-concurrency-thread-dump.json": View(
        (18,), doing=(("sleep", "Thread.sleep", 3),), quiet=True
    ),
    "wkorando_loominated-java__spring-team-thread-dump-pre-sts.json": View(
        (18,), doing=(("sleep", "Thread.sleep", 3),), quiet=True
    ),
    "wkorando_loominated-java__structured-concurrency-thread-dump-multi.json": View(
        (33,), doing=(("sleep", "Thread.sleep", 9), ("sync-wait", "ThreadFlock.awaitAll", 3)), quiet=True
    ),
    "wkorando_loominated-java__structured-concurrency-thread-dump.json": View(
        (15,), doing=(("sleep", "Thread.sleep", 3), ("sync-wait", "main", 1)), quiet=True
    ),
    "yusuke_samurai__1.3.1IBM.dmp": View((4,), doing=(("running", "InfiniteLoop.hang2", 1), ("runtime", "", 3))),
    "yusuke_samurai__1.4.0IBMidle.dmp": View((5,), doing=(("lock-wait", "", 0),), quiet=True),
    # Whoever noted that no owners are printed did not look at the section LK: flat locks, by thread ident.
    "yusuke_samurai__1.4.0IBMstacked.dmp": View((7,), (cycle("Thread-1", "Thread-2", reported=False),)),
    "yusuke_samurai__1.4.2_03Sunstacked.dmp": View((9, 9, 9), (cycle("Thread-0", "Thread-1"),)),
    "yusuke_samurai__1.4.2_05SunWebLogicAdmin.dmp": View((47, 47, 47), quiet=True),
    "yusuke_samurai__1.5.0_03BEAstacked.dmp": View((11, 11, 11), (cycle("Thread-0", "Thread-1"),)),
    "yusuke_samurai__1.5.0_13AppleBlocking.dmp": View(
        (11, 11, 11), locks=(("0x255ecd28", "Thread-0", 1),), doing=(("sleep", "Thread-0", 1),)
    ),
    "yusuke_samurai__1.6.0_05AppleStacked.dmp": THREE,
    "yusuke_samurai__1.6.0_05AppleStacked_jstack.dmp": View((14, 14, 14), THREE.deadlocks, THREE.locks),
    "yusuke_samurai__811JRockit.dmp": View((46, 46, 46, 46, 46), doing=(("lock-wait", "'", 6),), quiet=True),
    "yusuke_samurai__900JRockit.dmp": View(
        (25, 25, 25), (cycle("'0'", "'2'", behind=None),), (("0x03ad0140", "'0'", 1),)
    ),
    "yusuke_samurai__deadlock-liberica11.dmp": View((21,), *LIBERICA),
    "yusuke_samurai__hp.dmp": View(
        (75, 75, 75), locks=(("0x25c1fea0", "'3", 2),), doing=(("lock-wait", "PosixSocketMuxer", 2),), quiet=True
    ),
    "yusuke_samurai__javacore.20060510.122823.6036.txt": View((44,), doing=(("lock-wait", "", 0),), quiet=True),
    "yusuke_samurai__javacore.20060510.122937.6036.txt": View(
        (44,),
        (cycle("'14'", "'12'", behind=5),),
        (("53A90C0/53A90C8", "'14'", 5), ("53A90D0/53A90D8", "'12'", 2)),
    ),
    # No deadlock, but 13 request threads behind one that sleeps: the reader's note does not mention it.
    "yusuke_samurai__javacore.20060511.172914.516.txt": View(
        (47,),
        locks=(("2AD2BF8/2AD2C00", "'6'", 13),),
        doing=(("lock-wait", "Lazybones.getName", 13), ("sleep", "'6' for queue", 1)),
        findings=("threads-behind-one-owner",),
    ),
    "yusuke_samurai__one.cafebabe.samurai.core.example.HighCPUExample-98091-2021-10-11.txt": View(
        (27, 27, 27), doing=(("running", "high-cpu", 1), ("lock-wait", "", 0)), quiet=True
    ),
    "yusuke_samurai__samurai.core.BlockerExample-28082-2021-09-15-17-02-03.dmp": View(
        (30, 30, 30), locks=(("0x000000061fe28968", "Thread-", 9),), findings=("threads-behind-one-owner",)
    ),
    "yusuke_samurai__samurai.core.DeadLockingThreads-22153-2021-09-15-17-33-34.dmp": View((21, 21, 21), *LIBERICA),
    "yusuke_samurai__spring-boot-2.5.4-java8-text.dmp": View(
        (25,),
        (cycle("deadLock1", "deadLock2", reported=False),),
        (("java.lang.Object@5b7e9c8d", "lockingThread", 1),),
        (("lock-wait", "", 3),),
    ),
    "yusuke_samurai__spring-boot-2.5.4-java8.dmp": View(
        (22,),
        (cycle("deadLock1", "deadLock2", reported=False),),
        (("java.lang.Object@3cadaa1b", "lockingThread", 1),),
        (("lock-wait", "", 3),),
    ),
    "yusuke_samurai__weblogic.admin812Sun.dmp": View(
        (42, 42, 42, 42, 42, 46),
        (cycle("'13'", "'12'", behind=4, reported=False),),
        (("05063A28", "'13'", 4), ("05063B10", "'12'", 2)),
    ),
    "yusuke_samurai__weblogic.admin814Sun.dmp": View(
        (47, 47, 47, 47, 47, 47),
        (cycle("'13'", "'14'", behind=4, reported=None),),
        (("0x102507f0", "'14'", 4), ("0x102507e8", "'13'", 2)),
    ),
    "yusuke_samurai__weblogic.admin900Sun.dmp": View(
        (25, 27, 27, 27, 27),
        (cycle("'0'", "'3'", behind=2, reported=False),),
        (("0x02bbf048", "'0'", 3), ("0x02bbf040", "'3'", 1)),
    ),
    # Read as a convoy; each of the two locks is held by a thread that wants the other, and WebLogic's log says so.
    "yusuke_samurai__weblogic.admin910JRockit.dmp": View(
        (29, 34),
        (cycle("'0'", "'4'", behind=None, reported=False),),
    ),
    "yusuke_samurai__weblogic.admin910Sun.dmp": View(
        (27, 28, 29, 29, 29, 29),
        (cycle("'0'", "'3'", behind=2, reported=False),),
        (("0x03ac00c0", "'3'", 2), ("0x03ac02b0", "'0'", 2)),
    ),
}  # fmt: skip


def count(report: DumpReport, kind: str, words: str) -> int:
    """Threads of this kind with one of the words in their blocking frame or their name."""
    total = 0
    for group in report.groups:
        if group.kind == kind:
            for name in group.threads:
                total += any(word in f"{group.blocking_frame} {name}" for word in words.split("|"))
    return total


@needs_corpus
@pytest.mark.parametrize(("name", "view"), [pytest.param(name, view, id=name) for name, view in VIEWS.items()])
def test_the_report_says_what_the_reader_saw(name: str, view: View) -> None:
    found = dumps(CORPUS / "files" / f"repo_{name}")
    assert [report.total for report in found] == list(view.threads)
    for report in found:
        for kind, words, threads in view.doing:
            assert count(report, kind, words) == threads, (kind, words)
        assert_deadlocks(report, view)
        assert set(view.findings) <= {finding.id for finding in report.findings}
        if view.quiet:
            assert [(finding.severity, finding.id) for finding in report.findings if finding.severity in ALARMS] == []
    for id, owner, waiters in view.locks:
        contended = [lock for report in found for lock in report.locks if lock.id == id]
        assert contended, f"nobody waits for {id}"
        for lock in contended:
            assert len(lock.waiting) == waiters, id
            assert (lock.owner is None) is (owner is None), id
            if lock.owner is not None and owner is not None:
                assert owner in lock.owner.thread, id


def assert_deadlocks(report: DumpReport, view: View) -> None:
    left = list(report.deadlocks)
    for wanted in view.deadlocks:
        match = next((each for each in left if fits(each.threads, wanted.names)), None)
        assert match is not None, f"no cycle of {sorted(wanted.names)}"
        left.remove(match)
        assert wanted.behind in {None, match.behind}
        if wanted.reported is not None:
            assert match.reported_by_runtime is wanted.reported
    assert left == []
    if view.deadlocks:
        assert (report.findings[0].id, report.findings[0].severity) == ("deadlock", "critical")


def fits(threads: Sequence[str], words: Iterable[str]) -> bool:
    wanted = list(words)
    return len(threads) == len(wanted) and all(sum(word in name for name in threads) == 1 for word in wanted)


@needs_corpus
def test_a_deadlock_in_each_dump_of_a_file_grows() -> None:
    """Three dumps, the same two threads in each; in the last one more waits behind them."""
    found = dumps(CORPUS / "files" / "repo_yusuke_samurai__900JRockit.dmp")
    assert [[deadlock.behind for deadlock in report.deadlocks] for report in found] == [[0], [0], [1]]


NO_DUMPS = {"repo_mkobayas_ThreadDumpCutter__Amq-transport-idle.txt"}
"""Patterns of a tool that cuts threads out of dumps: their headers have no end."""
CONTAINERS: dict[str, dict[str, tuple[int, str | None]]] = {
    "ha809ad_more-threads.json": {
        "StructuredTaskScope@1a65b527": (4, "#32"),
        "StructuredTaskScope@47eee738": (4, "#34"),
        "StructuredTaskScope@6e6d2aa0": (4, "#37"),
        "ThreadPerTaskExecutor@1da1892b": (3, None),
    },
    "structured-concurrency-thread-dump.json": {"StructuredTaskScope@45d84a20": (3, "main")},
    "pre-structured-concurrency-thread-dump.json": {"ThreadPerTaskExecutor@6ee9e26c": (3, None)},
}
"""Threads and owner of each; who opened an executor is not printed."""


@needs_corpus
@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_of_the_public_dumps(name: str) -> None:
    (report,) = dumps(CORPUS / "files" / f"repo_wkorando_loominated-java__{name}")
    found = {one.name.rpartition(".")[2]: (one.threads, one.owner) for one in report.containers}
    assert CONTAINERS[name].items() <= found.items()
    assert sum(threads for threads, _ in found.values()) == report.total


@needs_corpus
def test_the_waiters_of_a_deadlock_in_a_console_log() -> None:
    found = dumps(CORPUS / "files" / "repo_yusuke_samurai__weblogic.admin910JRockit.dmp")
    assert [{lock.id: len(lock.waiting) for lock in report.locks} for report in found] == [
        {"99c099": 5, "99c0a5": 2},
        {"99c099": 6, "99c0a5": 3},
    ]


# Where a header line is not an entry, or an entry has none, and why.
DIFFER = {
    "parttimenerd_jthreaddump__many-virtual-threads.txt": "mounted virtual threads stand below their carriers",
    "eclipse-openj9_openj9-docs__dump_javadump_block1.txt": "no section THREADS: one thread is named as waiting",
    "eclipse-openj9_openj9-docs__dump_javadump_block6.txt": "no section THREADS: three are named in the deadlock",
    "eclipse-openj9_openj9-docs__dump_javadump_block8.txt": "no section THREADS: one holds a lock, 19 wait for it",
    "yusuke_samurai__1.5.0_03BEAstacked.dmp": "the table counts the lines of the lock chains, too: 3 in each dump",
    "yusuke_samurai__javacore.20060510.122823.6036.txt": "the current thread comes again among all threads",
    "yusuke_samurai__javacore.20060510.122937.6036.txt": "the current thread comes again among all threads",
    "yusuke_samurai__javacore.20060511.172914.516.txt": "the current thread comes again among all threads",
}


@needs_corpus
def test_every_dump_of_a_jvm_has_its_view() -> None:
    with (CORPUS / "MANIFEST.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    jvms = ("hotspot", "javacore", "threadmxbean", "actuator", "jcmd")
    read = {row["file"] for row in rows if row["format"].startswith(jvms) or "JRockit" in row["runtime_version"]}
    read -= NO_DUMPS
    assert [dumps(CORPUS / "files" / name) for name in NO_DUMPS] == [[]]
    assert read <= {f"repo_{name}" for name in VIEWS}
    counted = {row["file"]: int(row["threads"]) for row in rows}
    differ = [name for name, view in VIEWS.items() if sum(view.threads) != counted[f"repo_{name}"]]
    assert sorted(differ) == sorted(DIFFER)


# --- how much is understood


def readable(folder: Path) -> list[DumpReport]:
    """All dumps below a folder that can be read."""
    return [report for path in sorted(folder.rglob("*")) if path.is_file() for report in dumps(path)]


@needs_corpus
def test_kinds_of_the_public_dumps() -> None:
    kinds: Counter[str] = Counter()
    for report in readable(CORPUS / "files"):
        kinds.update(report.by_kind)
    assert kinds.total() > 3000
    assert kinds["unknown"] <= 0.03 * kinds.total()


@pytest.mark.skipif(not LAB.is_dir(), reason=f"no recorded dumps in {LAB} (set THREADDUMP_LAB)")
def test_kinds_of_the_recorded_dumps() -> None:
    """A Python thread in a C call at a line of the application is left out: no frame shows which call it is."""
    known = unknown = bare = 0
    for report in readable(LAB):
        for group in report.groups:
            if group.kind != "unknown":
                known += group.count
            elif report.family == "python" and group.blocking_frame == group.caller:
                bare += group.count
            else:
                unknown += group.count
    print(f"{known} threads with a kind, {bare} in a C call at a line of the application, {unknown} unknown otherwise")
    assert known > 15_000
    assert unknown <= 0.03 * (known + unknown)


# --- traps: what looks like trouble and is none


def alarms(threads: Sequence[Thread], family: str = "jvm") -> list[str]:
    return [finding.id for finding in analyzed(dump(threads, family)).findings if finding.severity in ALARMS]


ACCEPT = ("java.net.PlainSocketImpl.socketAccept", "java.net.AbstractPlainSocketImpl.accept")
LEADERS: dict[str, tuple[tuple[str, ...], str]] = {
    "WebLogic muxer": (
        (
            "weblogic.socket.PosixSocketMuxer.poll",
            "weblogic.socket.PosixSocketMuxer.processSockets",
            "weblogic.socket.SocketReaderRequest.execute",
            "weblogic.kernel.ExecuteThread.run",
        ),
        "weblogic.socket.PosixSocketMuxer.processSockets",
    ),
    "accept lock": (
        (*ACCEPT, "java.net.ServerSocket.accept", "com.shop.Acceptor.run", "java.lang.Thread.run"),
        "com.shop.Acceptor.run",
    ),
    "selector lock": (
        (
            "sun.nio.ch.EPollArrayWrapper.epollWait",
            "sun.nio.ch.SelectorImpl.lockAndDoSelect",
            "sun.nio.ch.SelectorImpl.select",
            "com.shop.Reactor.lead",
            "java.lang.Thread.run",
        ),
        "com.shop.Reactor.lead",
    ),
}


@pytest.mark.parametrize("name", LEADERS)
def test_leader_and_followers_are_no_contention(name: str) -> None:
    """One thread waits for connections under a lock, the others queue to take its place."""
    words, enters = LEADERS[name]
    lock = monitor("0xa")
    leader = thread("leader", *words, state="RUNNABLE", holds=[lock])
    followers = [blocked(f"follower-{n}", lock, enters, "java.lang.Thread.run") for n in range(30)]
    assert alarms([leader, *followers]) == []


def test_waiting_for_a_condition_that_nobody_owns_is_no_deadlock() -> None:
    """Each waits to be notified while it holds what the other would need: nobody wants a lock."""
    one, two = monitor("0xa"), monitor("0xb")
    wait = ("java.lang.Object.wait", "java.lang.Object.wait", "com.shop.Mailbox.next", "java.lang.Thread.run")
    threads = [
        thread("first", *wait, state="WAITING", waits=one, holds=[two]),
        thread("second", *wait, state="WAITING", waits=two, holds=[one]),
    ]
    assert analyzed(dump(threads)).deadlocks == []
    assert alarms(threads) == []


def test_parking_on_a_condition_without_owner_is_no_deadlock() -> None:
    words = (*AWAIT, "com.shop.Mailbox.next", "java.lang.Thread.run")
    report = analyzed(dump(times(40, "reader", *words, state="WAITING", waits=monitor("0xa"))))
    assert (report.deadlocks, report.chains) == ([], [])
    assert [finding.id for finding in report.findings if finding.severity in ALARMS] == []


def test_waiting_on_the_own_monitor_is_no_deadlock() -> None:
    """Object.wait gives the monitor up, although the dump prints that it was locked."""
    lock = monitor("0xa")
    words = ("java.lang.Object.wait", "java.lang.ref.ReferenceQueue.remove", "com.shop.Sweeper.run")
    report = analyzed(dump([thread("sweeper", *words, state="WAITING", waits=lock, holds=[lock])]))
    assert (report.deadlocks, report.locks, report.findings) == ([], [], [])


AJP = {
    "APR and BIO": "org.apache.coyote.ajp.AjpProcessor.readMessage",
    "old BIO": "org.apache.jk.common.ChannelSocket.receive",
}


@pytest.mark.parametrize("name", AJP)
def test_idle_keep_alive_connections_are_no_external_calls(name: str) -> None:
    process = {
        "APR and BIO": ("org.apache.coyote.ajp.AjpProcessor.process",),
        "old BIO": ("org.apache.jk.common.ChannelSocket.processConnection",),
    }
    words = (
        "java.net.SocketInputStream.socketRead0",
        "java.net.SocketInputStream.read",
        "java.io.BufferedInputStream.read",
        AJP[name],
        *process[name],
        *WORKER,
    )
    report = analyzed(dump(times(60, "ajp-8009", *words, state="RUNNABLE")))
    assert report.by_kind == {"idle": 60}
    assert report.findings == []


def test_a_chain_is_no_deadlock() -> None:
    """Six edges behind one thread in a call: long, and it ends."""
    (report,) = dumps(ROOT / "fixtures" / "hotspot" / "chain-of-six.txt")
    assert report.deadlocks == []
    assert report.chains[0].depth == 6
    assert "deadlock" not in {finding.id for finding in report.findings}


@pytest.mark.parametrize("size", [1, 8, 200, 2000])
def test_workers_that_wait_for_work_are_no_starvation(size: int) -> None:
    assert alarms(times(size, "pool-1-thread", *IDLE, state="WAITING")) == []


def test_one_busy_worker_among_idle_ones_is_no_starvation() -> None:
    busy = thread("pool-1-thread-9", "com.shop.Price.sum", *SERVLET, state="RUNNABLE")
    assert alarms([*times(8, "pool-1-thread", *IDLE, state="WAITING"), busy]) == []


HEALTHY = [path for path in (ROOT / "fixtures" / "healthy").iterdir() if not path.name.endswith(".golden.json")]


@pytest.mark.parametrize("path", sorted(HEALTHY), ids=lambda path: path.name)
def test_a_healthy_service_raises_no_alarm(path: Path) -> None:
    assert dumps(path)
    for report in dumps(path):
        assert [finding.id for finding in report.findings if finding.severity in ALARMS] == []


IDLE_IN_LAB = ("asyncio_tasks", "queue_idle_workers", "sleep_join", "vthreads-25", "weirdnames-17", "eliminated-17")
SHOWS_MORE = re.compile("/dump_to_file|py315-dump/.*[.]async|/asyncio-ps/|[.](?:callgraph|taskstacks)[.]")
"""Ways that show the virtual threads or tasks of these programs as well, and among those some do wait for a lock."""


@pytest.mark.skipif(not LAB.is_dir(), reason=f"no recorded dumps in {LAB} (set THREADDUMP_LAB)")
@pytest.mark.parametrize("program", IDLE_IN_LAB)
def test_an_idle_program_raises_no_alarm(program: str) -> None:
    found = [
        (path.name, finding.id)
        for path in sorted(LAB.rglob("*"))
        if path.is_file() and program in path.as_posix() and not {"noisy", "errors"} & set(path.parts)
        if not SHOWS_MORE.search(path.as_posix())
        for report in dumps(path)
        for finding in report.findings
        if finding.severity in ALARMS
    ]
    assert found == []


@pytest.mark.skipif(not (LAB.is_dir() and (CORPUS / "files").is_dir()), reason=f"needs the dumps of {LAB} and {CORPUS}")
def test_nearly_all_threads_get_a_kind() -> None:
    """What is left are C calls at an application's line, and futures of which nothing is printed."""
    kinds: Counter[str] = Counter()
    for path in sorted(path for root in (LAB, CORPUS / "files") for path in root.rglob("*")):
        if path.is_file() and path.suffix not in {".tsv", ".py", ".md"}:
            for report in dumps(path):
                kinds.update(report.by_kind)
    assert kinds.total() > 30_000
    assert kinds["unknown"] <= 0.03 * kinds.total()
