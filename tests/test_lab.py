"""Dumps recorded elsewhere from programs whose true state is written down: counts, owners and deadlocks have to agree.

The folder is not part of this repository. Its place is ``THREADDUMP_LAB``, else ``shared/lab`` beside the checkout.
"""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

from threaddump.analysis import analyze
from threaddump.report import DumpReport
from threaddump.sources import InputError, Source

LAB = Path(os.environ.get("THREADDUMP_LAB") or Path(__file__).resolve().parents[2] / "shared" / "lab")
HOTSPOT = ("jstack", "jcmd PID Thread.print", "kill", "jhsdb")
PYTHON = re.compile(
    r"py-spy \S+ dump|py-spy \(version in name\)|faulthandler|pystack|gdb|python3\S+ -m profiling|in-process recipe"
)

if not (LAB / "jvm" / "MANIFEST.tsv").is_file():
    pytest.skip(f"no recorded dumps in {LAB} (set THREADDUMP_LAB)", allow_module_level=True)

Row = dict[str, str]


def table(path: str) -> list[Row]:
    with (LAB / path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


JVM = [row for row in table("jvm/MANIFEST.tsv") if row["how captured"].startswith(HOTSPOT)]
PY_ALL = table("python/MANIFEST.tsv")
PY = [row for row in PY_ALL if PYTHON.match(row["tool+version"]) and row["threads_in_file"]]
LOCKS = [row for row in table("jvm/LOCKS.tsv") if row["holder in dump"] != "(no owner in dump)"]

ENTRIES = {
    # A header that a line break in the thread's name splits is one header line less than there are threads.
    "weirdnames-17/jstack.txt": [32],
    # From Java 24 on a mounted virtual thread is printed in the block of its carrier: an entry without a header line.
    "vpin-native-25/jcmd-print.txt": [26],
    "vpin-native-25/jstack-l.txt": [26],
    "vpin-native-25/kill3-stdout.log": [26],
    # Threads of the VM itself have no header in a mixed dump: their blocks begin with the thread's number.
    "chain6-17/jhsdb-mixed.txt": [48],
    "deadlock2-17/jhsdb-mixed.txt": [23],
    "deadlock3mixed-17/jhsdb-mixed.txt": [31],
    "monitor100-jhsdb-17/jhsdb-mixed.txt": [121],
    # One log with several dumps, of which the table counts one.
    "series-17/kill3-stdout-after-2.log": [60, 60],
    "series-17/kill3-stdout-after-3.log": [60, 60, 60],
}
"""Where the number of header lines is not the number of thread entries: how many threads each dump has."""


@cache
def dumps(path: str) -> list[DumpReport]:
    errors: list[InputError] = []
    report = analyze([Source(path, LAB / path)], lambda _, error: errors.append(error))
    assert not errors, errors
    return report.dumps


def ids(rows: list[Row]) -> list[str]:
    return [row["file"] for row in rows]


def count(dump: DumpReport, kinds: str, where: str) -> int:
    """Threads in groups of these kinds whose blocking frame, caller or library fits; ``name:`` looks at their names."""
    total = 0
    for group in dump.groups:
        if group.kind not in kinds.split("|"):
            continue
        if where.startswith("name:"):
            total += sum(name.startswith(where.removeprefix("name:")) for name in group.threads)
            continue
        used = group.integration or group.pool
        if any(re.search(where, text) for text in (group.blocking_frame, group.caller, used and used.id) if text):
            total += group.count
    return total


# --- the JVM


def is_mixed(row: Row) -> bool:
    """Whether the C stacks were walked from outside: most of them ended before the first Java frame."""
    return "--mixed" in row["how captured"]


@pytest.mark.parametrize("row", JVM, ids=ids(JVM))
def test_number_of_threads(row: Row) -> None:
    expected = ENTRIES.get(row["file"], [int(row["header lines"])])
    assert [dump.total for dump in dumps(f"jvm/{row['file']}")] == expected


@pytest.mark.parametrize("row", JVM, ids=ids(JVM))
def test_nothing_is_lost(row: Row) -> None:
    for dump in dumps(f"jvm/{row['file']}"):
        assert dump.truncated is is_mixed(row)
        assert sum(group.count for group in dump.groups) == dump.total == sum(dump.by_kind.values())
        if "kill3" not in row["file"]:
            assert dump.unread_lines == 0


@pytest.mark.parametrize("row", LOCKS, ids=[f"{row['file']} {row['lock id']}" for row in LOCKS])
def test_owner_and_waiters_of_a_lock(row: Row) -> None:
    (dump,) = dumps(f"jvm/{row['file']}")
    lock = next(lock for lock in dump.locks if lock.id == row["lock id"])
    assert lock.owner is not None
    assert (lock.owner.thread, len(lock.waiting)) == (row["holder in dump"], int(row["waiters"]))
    assert lock.class_name == row["class"]


SIBLINGS = ("jstack.txt", "jcmd-print.txt", "jcmd-print-le.txt", "kill3-stdout.log")
"""Of the same process at the same time, taken in other ways than the table's."""
ELSEWHERE = [
    (f"{folder}/{name}", row)
    for row in LOCKS
    for folder in [row["file"].rpartition("/")[0]]
    for name in SIBLINGS
    if row["file"] != f"{folder}/{name}" and (LAB / "jvm" / folder / name).is_file()
]
CHAIN_WITHOUT_OWNERS = "every thread of the chain stands in the same methods at the same lines"


@pytest.mark.parametrize(("path", "row"), ELSEWHERE, ids=[f"{path} {row['lock id']}" for path, row in ELSEWHERE])
def test_owner_of_a_lock_in_dumps_of_the_same_moment(path: str, row: Row) -> None:
    """Monitors are printed with their owners in any case; other locks only with -l, else the owner is inferred.

    It may stay unknown, and the lock may be left out, but nobody else is named.
    """
    for dump in dumps(f"jvm/{path}"):
        found = [lock for lock in dump.locks if lock.id == row["lock id"]]
        owners = [(lock.owner.thread, lock.owner.evidence) for lock in found if lock.owner is not None]
        assert {len(lock.waiting) for lock in found} <= {int(row["waiters"])}
        if "java.util.concurrent" not in row["class"] or path.endswith("-le.txt"):
            assert owners == [(row["holder in dump"], "reported")]
        elif path.startswith("chain6"):
            assert owners == [], CHAIN_WITHOUT_OWNERS
        else:
            assert [owner for owner, _ in owners] == [row["holder in dump"]]


NO_OWNER = [row for row in table("jvm/LOCKS.tsv") if row["holder in dump"] == "(no owner in dump)"]


@pytest.mark.parametrize("row", NO_OWNER, ids=[f"{row['file']} {row['lock id']}" for row in NO_OWNER])
def test_what_has_no_owner_is_given_none(row: Row) -> None:
    for dump in dumps(f"jvm/{row['file']}"):
        assert [lock.owner for lock in dump.locks if lock.id == row["lock id"] and lock.type != "class-init"] in (
            [],
            [None],
        )


def cycle(truth: str) -> set[str]:
    """The threads that a cycle in the text of the ground truth names."""
    match = re.search(r"cycle(?: of \d+)?: (.*)", truth)
    if match is None:
        return {"transfer-A-to-B", "transfer-B-to-A"} if "same 2-cycle" in truth else set()
    text = re.sub(
        r"-\([^)]*\)->", "->", match[1].partition(";")[0].partition(" (")[0] if "-(" not in match[1] else match[1]
    )
    names = [name.strip() for name in text.partition(";")[0].split("->")]
    return {name for name in names if re.fullmatch(r"[\w-]+-[\w-]{2,}", name)}


DEADLOCKED = [row for row in JVM if cycle(row["ground truth (from the program)"])]
NOT_DEADLOCKED = [row for row in JVM if row not in DEADLOCKED and not row["file"].startswith("clinit")]


def test_the_table_names_cycles() -> None:
    assert {row["file"].partition("/")[0] for row in DEADLOCKED} == {
        "deadlock2-17", "deadlock2-25", "deadlock3mixed-17", "mixedlog-17",
    }  # fmt: skip


@pytest.mark.parametrize("row", DEADLOCKED, ids=ids(DEADLOCKED))
def test_deadlocks(row: Row) -> None:
    (dump,) = dumps(f"jvm/{row['file']}")
    (deadlock,) = dump.deadlocks
    assert set(deadlock.threads) == cycle(row["ground truth (from the program)"])
    assert len(deadlock.threads) == len(set(deadlock.threads))
    assert deadlock.reported_by_runtime
    others = "deadlock3" in row["file"] and not is_mixed(row)  # a mixed dump shows no locks
    assert deadlock.behind == (7 if others else 0)
    assert dump.findings[0].id == "deadlock"


@pytest.mark.parametrize("row", NOT_DEADLOCKED, ids=ids(NOT_DEADLOCKED))
def test_no_deadlock_is_made_up(row: Row) -> None:
    assert [dump.deadlocks for dump in dumps(f"jvm/{row['file']}")] == [[]] * len(dumps(f"jvm/{row['file']}"))


@pytest.mark.parametrize("name", ["jstack", "jstack-l"])
def test_a_deadlock_of_class_initialisers(name: str) -> None:
    (dump,) = dumps(f"jvm/clinit-17/{name}.txt")
    (deadlock,) = dump.deadlocks
    assert set(deadlock.threads) == {"init-alpha", "init-beta"}
    assert (deadlock.type, deadlock.behind, deadlock.reported_by_runtime) == ("class-init", 3, False)


JVM_GROUPS: dict[str, list[tuple[str, str, int]]] = {
    "actuator-17": [("lock-wait", "SchedulingGateway", 99), ("external-call", "RemoteClient.call", 1)],
    "chain6-17": [
        ("lock-wait", r"Cases\.lambda\$chain\$", 20),
        ("lock-wait", "Cases.next", 5),
        ("external-call", "RemoteClient.call", 1),
    ],
    "clinit-17": [("lock-wait", "Cases", 5)],
    "deadlock2-17": [("lock-wait", "Cases.transfer", 2)],
    "deadlock2-25": [("lock-wait", "Cases.transfer", 2)],
    "deadlock3mixed-17": [("lock-wait", r"Cases\.lambda\$deadlock3mixed\$", 10)],
    "eliminated-17": [("running", "Cases.spinElim", 4), ("lock-wait", "name:", 0)],
    "execstarve": [("sync-wait", "execstarve", 38)],
    "log4j1": [("lock-wait", "Category.callAppenders", 59), ("io", "FileOutputStream.writeBytes", 1)],
    "mixedlog-17": [("lock-wait", "Cases.transfer", 2)],
    "monitor100-17": [("lock-wait", "SchedulingGateway", 99), ("external-call", "RemoteClient.call", 1)],
    "monitor100-jhsdb-17": [("lock-wait", "SchedulingGateway", 99), ("external-call", "RemoteClient.call", 1)],
    "noise2000": [
        ("idle", "ThreadPoolExecutor.getTask", 2050),
        ("lock-wait", "ReentrantLock.lock", 40),
        ("external-call", "RemoteClient.call", 1),
    ],
    "pg-hikari-17": [("external-call", "pgjdbc", 10), ("pool-wait", "HikariPool.getConnection", 90)],
    "reentrant50": [("lock-wait", "ReentrantLock.lock", 49), ("external-call", "RemoteClient.call", 1)],
    "relock-17": [("lock-wait", r"Cases\.lambda\$relock\$", 8), ("external-call", "RemoteClient.call", 1)],
    "rw-writer-holds-17": [("lock-wait", "ReadLock.lock", 40), ("external-call", "RemoteClient.call", 1)],
    "series-17": [
        ("external-call", "RemoteClient.call", 12),
        ("lock-wait", "ReentrantLock.lock", 6),
        ("running|sleep|sync-wait", "name:progress-", 10),
        ("idle", "name:idle-", 8),
    ],
    "story-17/frontend": [
        ("external-call", "BackendConnection.invoke", 50),
        ("pool-wait", "checkOut", 245),
        ("idle", "org.apache.tomcat.util.threads.ThreadPoolExecutor.getTask", 5),
    ],
    "story-17/oms": [("external-call", "httpclient4", 450), ("pool-wait", "getPoolEntryBlocking", 50)],
    "story-17/scheduling": [("lock-wait", "LegacyCalendar", 24), ("sleep", "LegacyCalendar", 1)],
    "vdeadlock-25": [("lock-wait", "name:", 0)],
    "vpin-native-25": [("external-call", "Cases", 2)],
    "vthreads-25": [("lock-wait|external-call|pool-wait", "name:", 0)],
    "weirdnames-17": [("sync-wait", "CountDownLatch.await", 12)],
}
"""Case to its groups: kinds, words of the frames, number of threads (the table's column of verified counts)."""


WALKED = [row for row in JVM if not is_mixed(row)]


@pytest.mark.parametrize("row", WALKED, ids=ids(WALKED))
def test_groups_of_threads(row: Row) -> None:
    for dump in dumps(f"jvm/{row['file']}"):
        for kinds, words, threads in JVM_GROUPS[row["file"].rpartition("/")[0]]:
            assert count(dump, kinds, words) == threads, (kinds, words)


@pytest.mark.parametrize(("case", "blocked", "calls"), [("chain6-17", 22, 1), ("monitor100-jhsdb-17", 99, 1)])
def test_mixed_dumps_show_states_and_the_calls_that_could_be_walked(case: str, blocked: int, calls: int) -> None:
    (dump,) = dumps(f"jvm/{case}/jhsdb-mixed.txt")
    assert dump.by_state["BLOCKED"] == count(dump, "lock-wait", "") == blocked
    assert count(dump, "external-call", "RemoteClient.call") == calls


def cases(name: str) -> list[str]:
    """The files of a case that HotSpot printed."""
    return [row["file"] for row in JVM if row["file"].startswith(f"{name}/")]


def top(path: str) -> list[tuple[str, str]]:
    """Id and title of the first finding of each dump."""
    return [(dump.findings[0].id, dump.findings[0].title) for dump in dumps(f"jvm/{path}")]


@pytest.mark.parametrize("path", cases("execstarve"))
def test_workers_that_wait_for_their_own_pool(path: str) -> None:
    """All 8 workers wait for tasks that are queued behind themselves, and 30 clients for the workers."""
    for dump in dumps(f"jvm/{path}"):
        (starved,) = [finding for finding in dump.findings if finding.id == "executor-starved"]
        assert starved.threads == 8
        assert dump.deadlocks == []


@pytest.mark.parametrize("path", cases("noise2000"))
def test_two_thousand_idle_threads_hide_nothing(path: str) -> None:
    (dump,) = dumps(f"jvm/{path}")
    serious = [finding for finding in dump.findings if finding.severity in {"critical", "high", "medium"}]
    assert "threads-behind-one-owner" in {finding.id for finding in serious}
    assert all(finding.thread_names[0].startswith("hot-") for finding in serious)
    (behind,) = [finding for finding in serious if finding.id == "threads-behind-one-owner"]
    assert '"hot-1"' in behind.title
    assert dump.chains[0].waiting == 40


@pytest.mark.parametrize(
    "path", [path for path in cases("chain6-17") if not re.search("-(le?|locks|mixed)[.]txt$", path)]
)
def test_a_chain_breaks_where_owners_are_not_printed(path: str) -> None:
    """Only monitors have owners here: the twenty threads wait behind the first of the chain."""
    chain = dumps(f"jvm/{path}")[0].chains[0]
    assert (chain.root.threads, chain.waiting, chain.evidence) == (["chain-1"], 20, "reported")


@pytest.mark.parametrize("path", cases("log4j1"))
def test_the_writer_of_a_log_is_named(path: str) -> None:
    ((finding, title),) = top(path)
    chain = dumps(f"jvm/{path}")[0].chains[0]
    assert (chain.waiting, chain.root.kind, chain.root.count) == (59, "io", 1)
    assert (finding, chain.root.threads[0] in title) == ("threads-behind-one-owner", True)


@pytest.mark.parametrize("path", cases("mixedlog-17"))
def test_threads_that_write_into_the_log_meanwhile(path: str) -> None:
    (dump,) = dumps(f"jvm/{path}")
    assert sum(name.startswith("chatty") for group in dump.groups for name in group.threads) == 4


@pytest.mark.parametrize(
    ("case", "kind", "threads", "timed"),
    [
        ("story-17/frontend", "external-call", 50, False),
        ("story-17/frontend", "pool-wait", 245, False),
        ("story-17/oms", "external-call", 450, False),
        ("story-17/oms", "pool-wait", 50, False),
        ("pg-hikari-17", "external-call", 10, False),
        ("pg-hikari-17", "pool-wait", 90, True),
        ("series-17", "external-call", 12, False),
    ],
)
def test_whether_a_wait_has_a_limit(case: str, kind: str, threads: int, timed: bool) -> None:
    for path in cases(case):
        for dump in dumps(f"jvm/{path}"):
            found = [(group.count, group.timed) for group in dump.groups if group.kind == kind]
            assert found == [(threads, timed)], path


@pytest.mark.parametrize("path", cases("vthreads-25") + cases("vdeadlock-25"))
def test_what_a_thread_print_leaves_out_is_said(path: str) -> None:
    """No virtual thread that is not mounted stands in it: the report tells the command that shows them."""
    for dump in dumps(f"jvm/{path}"):
        assert dump.virtual < 10
        if any(group.kind == "runtime" and "carrier" in str(group.pool) for group in dump.groups) or dump.virtual:
            assert any("Thread.dump_to_file" in hint for hint in dump.hints)


@pytest.mark.parametrize("path", cases("vpin-native-25"))
def test_carriers_pinned_by_class_initialisers(path: str) -> None:
    for dump in dumps(f"jvm/{path}"):
        (pinned,) = [finding for finding in dump.findings if finding.id == "carriers-pinned"]
        assert pinned.threads == 2


def test_request_threads_of_the_story() -> None:
    for name, threads in (("frontend", 300), ("oms", 500)):
        assert dumps(f"jvm/story-17/{name}/jstack-l.txt")[0].request_threads == threads


@pytest.mark.parametrize(
    ("path", "root", "waiting", "depth"),
    [
        ("chain6-17/jstack-l.txt", {"chain-6"}, 25, 6),
        ("chain6-17/jcmd-print-le.txt", {"chain-6"}, 25, 6),
        ("chain6-17/jhsdb-locks.txt", {"chain-6"}, 25, 6),
        ("monitor100-jhsdb-17/jhsdb.txt", {"http-exec-1"}, 99, 1),
        ("monitor100-jhsdb-17/jhsdb-locks.txt", {"http-exec-1"}, 99, 1),
        ("monitor100-17/jstack.txt", {"http-exec-1"}, 99, 1),
        ("story-17/scheduling/jstack.txt", {"sched-worker-1"}, 24, 1),
        ("relock-17/jstack.txt", {"notifier"}, 8, 1),
    ],
)
def test_chains(path: str, root: set[str], waiting: int, depth: int) -> None:
    chain = dumps(f"jvm/{path}")[0].chains[0]
    assert (set(chain.root.threads), chain.waiting, chain.depth) == (root, waiting, depth)


@pytest.mark.parametrize(("path", "waiting", "holders"), [("oms", 50, 450), ("frontend", 245, 50)])
@pytest.mark.parametrize("way", ["jstack.txt", "jstack-l.txt", "jcmd-print-le.txt", "kill3-stdout.log"])
def test_slots_of_the_story(path: str, waiting: int, holders: int, way: str) -> None:
    chain = dumps(f"jvm/story-17/{path}/{way}")[0].chains[0]
    assert (chain.waiting, chain.root.count, chain.evidence) == (waiting, holders, "inferred")


def test_slots_of_the_jdbc_pool() -> None:
    for way in ("jstack", "jstack-l"):
        chain = dumps(f"jvm/pg-hikari-17/{way}.txt")[0].chains[0]
        assert (chain.waiting, chain.root.count) == (90, 10)


@pytest.mark.skipif(
    not (LAB / "jvm" / "derived" / "javacore-synthetic-oms.txt").is_file(), reason="no derived javacore in the lab"
)
def test_a_javacore_says_what_its_original_says() -> None:
    """The dump of order management, rewritten to the layout of a javacore: its 9 threads of the VM are left out."""
    (javacore,) = dumps("jvm/derived/javacore-synthetic-oms.txt")
    (jstack,) = dumps("jvm/story-17/oms/jstack-l.txt")
    assert (javacore.total, javacore.request_threads, javacore.unread_lines, javacore.truncated) == (516, 500, 0, False)
    assert (javacore.version, javacore.pid, javacore.taken_at) == ("17.0.10+7", 4242, "2024-11-29T10:00:00.123+01:00")
    vm = {"runtime": jstack.by_kind["runtime"] - javacore.by_kind["runtime"]}
    assert (vm, {**javacore.by_kind, "runtime": 0}) == ({"runtime": 9}, {**jstack.by_kind, "runtime": 0})
    said = [[(f.id, f.severity, f.title, f.threads) for f in dump.findings] for dump in (javacore, jstack)]
    assert said[0] == said[1]
    for kinds, words, threads in JVM_GROUPS["story-17/oms"]:
        assert count(javacore, kinds, words) == threads
    assert {group.timed for group in javacore.groups if group.kind in {"external-call", "pool-wait"}} == {False}
    chain = javacore.chains[0]
    assert (chain.waiting, chain.root.count, chain.evidence) == (50, 450, "inferred")


# --- Python


PROFILES = [row for row in table("python/MANIFEST.tsv") if re.match(r"py-spy \S+ record|austin", row["tool+version"])]
EMPTY = {
    "austin/lock_contention.v3.full.txt": "without a sample",
    "austin/lock_contention.v3.mojo": "MOJO",
}
"""What holds no stack that could be read, and what is said of it."""


@pytest.mark.parametrize("row", PROFILES, ids=ids(PROFILES))
def test_profiles_have_an_entry_for_each_thread(row: Row) -> None:
    if row["file"] in EMPTY:
        errors: list[InputError] = []
        analyze([Source("x", LAB / "python" / row["file"])], lambda _, error: errors.append(error))
        assert EMPTY[row["file"]] in str(errors[0])
        return
    (dump,) = dumps(f"python/{row['file']}")
    count = re.match(r"(\d+) threads", row["ground_truth"])
    assert count is not None
    assert (dump.total, dump.unread_lines, dump.problems) == (int(count[1]), 0, [])
    assert (dump.profile is None) == row["file"].endswith("where.txt")
    if row["program"] == "lock_contention.py":
        (lock,) = dump.locks
        assert lock.owner is not None
        assert (lock.owner.evidence, len(lock.waiting)) == ("inferred", 12)
    else:
        assert dump.by_kind["idle"] == 9


PY_TOTALS = {"big_sched_500": 100}
"""faulthandler stops after 100 threads."""


@pytest.mark.parametrize("row", PY, ids=ids(PY))
def test_number_of_python_threads(row: Row) -> None:
    found = dumps(f"python/{row['file']}")
    assert sum(dump.total for dump in found) == int(row["threads_in_file"])
    assert sum(dump.unread_lines for dump in found) == 0
    capped = "faulthandler" in row["tool+version"] and int(row["threads_in_file"]) == 100
    assert any(dump.truncated for dump in found) is capped


# What a C call does is unknown without native frames; py-spy before 0.3 may call a blocked thread active.
PY_GROUPS: dict[str, list[tuple[str, str, int]]] = {
    "asyncio_tasks": [("idle", "_run_once", 1)],
    "deadlock_rlock": [("unknown|lock-wait", "transfer", 4)],
    "executor_idle_busy": [
        ("idle", "concurrent/futures/thread.py:_worker", 4),
        ("unknown|sleep", "crunch", 2),
        ("unknown|external-call", "fetch", 2),
        ("sync-wait", "concurrent/futures/_base.py", 4),
    ],
    "executor_starvation": [("sync-wait", "concurrent/futures/_base.py", 5)],
    "gunicorn_gthread": [("external-call", "slow", 5), ("idle", "gunicorn/workers/gthread.py", 1)],
    "http_client_stuck": [("external-call", "fetch_rate", 8)],
    "lock_contention": [
        ("unknown|lock-wait|running", "[:.]get$", 12),
        ("unknown|external-call|running", "[:.]refresh$", 1),
    ],
    "logging_lock": [("lock-wait", "logging/__init__.py", 5), ("io", "logging/__init__.py", 1)],
    "psycopg3_wait": [("pool-wait", "waiter", 5), ("external-call", "report", 2), ("external-call", "raw", 2)],
    "queue_idle_workers": [("idle", "queue.py", 8), ("unknown|sleep", "process", 2)],
    "requests_stuck": [("external-call", "charge", 20)],
    "sleep_join": [("unknown|sleep", "sleep_join.py", 6)],
    "sqlalchemy_pool": [("pool-wait", "sqlalchemy", 10), ("external-call", "slow_report", 3)],
}


def program(row: Row) -> str:
    return Path(row["file"]).name.partition(".")[0]


NOT_GROUPED = re.compile(r"gdb-bt/|py315-dump/(?:.*\.(?:main|async)\.|requests_stuck)")
"""gdb's C frames show no Python function; parts of a process; libraries in a folder that is none of Python's."""
GROUPED = [row for row in PY if program(row) in PY_GROUPS and not NOT_GROUPED.match(row["file"])]


def test_every_python_program_is_looked_at() -> None:
    assert {program(row) for row in PY} - set(PY_GROUPS) <= {"big_sched_500", "sync_primitives"}


COUNTED = {
    "*.ps.txt": r"^\d+ +(0x[0-9a-f]+) ",
    "*.pstree.txt": r"\(T\) (.*)",
    "*.taskrepr.txt": r"^<Task \w+ name=('[^']*')",
    "*.taskstacks.txt": r"^Stack for <Task \w+ name=('[^']*')",
    "*.callgraph.txt": r"^\* Task\(name=('[^']*')",
    "uwsgi/*": r"^thread_id = (\S+) ",
    "errors/py-spy-on-3.15*": r"^Thread (\d+) ",
    "other/airflow_sigquit.txt": r"^# Thread: (.*)",
    "other/odoo_like.txt": r"^# Thread: (.*)",
    "other/oslo_gmr.txt": r"^-+ +Thread #(\d+) +-+",
    "other/pydevd.txt": r"^ Thread (.*?)  \(daemon",
    "other/pyrasite.txt": r"^Thread (0x[0-9a-f]+)",
    "other/pystuck.txt": r"^<(\w+\(.*, started.*)>",
    "other/pytest_timeout_*": r"~ Stack of (.*) ~",
    "noisy/faulthandler.*": r"hread 0x([0-9a-f]+) \(most recent",
    "noisy/pyspy.*": r"Thread (\d+) \((?:idle|active)",
}
"""Rows whose count the table leaves blank: what heads an entry, told apart by the group. All else is no dump."""
UNCOUNTED = [
    (row, pattern)
    for row in PY_ALL
    if not row["threads_in_file"]
    for glob, pattern in COUNTED.items()
    if fnmatch(row["file"], glob)
]
BEFORE_THE_FIRST_HEADER = {"noisy/faulthandler.cut.txt": 1, "noisy/pyspy.cut.txt": 1}
"""Cut at the beginning: the frames of a thread without its header are an entry more."""


def test_every_row_is_a_dump_that_is_counted_or_known_to_be_none() -> None:
    known = {row["file"] for row in PY} | {row["file"] for row, _ in UNCOUNTED} | {row["file"] for row in ERRORS}
    left = {row["file"].partition("/")[0] for row in PY_ALL if row["file"] not in known}
    assert left == {"austin", "py-spy-record"}  # samples, not dumps


@pytest.mark.parametrize(("row", "pattern"), UNCOUNTED, ids=[row["file"] for row, _ in UNCOUNTED])
def test_number_of_entries_that_the_table_leaves_blank(row: Row, pattern: str) -> None:
    text = (LAB / "python" / row["file"]).read_text("utf-8").replace("\\n", "\n")
    entries = set(re.findall(pattern, text, re.MULTILINE))
    assert entries
    (dump,) = dumps(f"python/{row['file']}")
    assert dump.total == len(entries) + BEFORE_THE_FIRST_HEADER.get(row["file"], 0)
    assert (dump.unread_lines, dump.problems) == (0, [])


TASKS = [row for row in PY_ALL if re.search(r"asyncio-ps/asyncio_tasks|callgraph", row["file"])]


@pytest.mark.parametrize("row", TASKS, ids=ids(TASKS))
def test_tasks(row: Row) -> None:
    (dump,) = dumps(f"python/{row['file']}")
    assert dump.virtual == dump.total == 32
    assert count(dump, "lock-wait", "name:waiter-") == 20
    assert count(dump, "idle", "name:consumer-") == 10
    assert count(dump, "external-call", "name:holder") == 1
    behind = {node.threads[0] for chain in dump.chains for node in chain.tree}
    assert behind == (set() if "callgraph" in row["file"] else {"Task-1"})  # printed of its children before it gathers


GDB_LOCKS = [row for row in PY if row["file"].startswith("gdb-") and program(row) == "lock_contention"]


@pytest.mark.parametrize("row", GDB_LOCKS, ids=ids(GDB_LOCKS))
def test_gdb_shows_which_lock_is_wanted(row: Row) -> None:
    (dump,) = dumps(f"python/{row['file']}")
    (lock,) = dump.locks
    assert (lock.id, len(lock.waiting), lock.owner) == ("0x7f3b219df6c0", 12, None)


@pytest.mark.parametrize(
    ("name", "kind", "threads"), [("http_client_stuck", "external-call", 8), ("sleep_join", "sleep", 6)]
)
def test_c_frames_alone_show_what_blocks(name: str, kind: str, threads: int) -> None:
    (dump,) = dumps(f"python/gdb-bt/{name}.debgdb.txt")
    assert dump.by_kind[kind] == threads


# gdb shows no names: each thread of this program is known by the function it runs.
PRIMITIVES = {
    "hold_rlock": {"sleep"},
    "want_rlock": {"lock-wait"},
    "pyrlock": {"lock-wait"},
    "queue_get": {"idle", "sync-wait"},
    "queue_put_full": {"queue-put"},
    "queue_join": {"sync-wait"},
}


def test_primitives_in_gdb() -> None:
    (dump,) = dumps("python/gdb-pybt/sync_primitives.debgdb.txt")
    kinds = {(group.caller or "").rpartition(":")[2]: group.kind for group in dump.groups}
    assert {name: kinds[name] in expected for name, expected in PRIMITIVES.items()} == dict.fromkeys(PRIMITIVES, True)


@pytest.mark.parametrize("row", GROUPED, ids=ids(GROUPED))
def test_groups_of_python_threads(row: Row) -> None:
    (dump,) = dumps(f"python/{row['file']}")
    for kinds, words, threads in PY_GROUPS[program(row)]:
        found = count(dump, kinds, words)
        groups = [(group.count, group.kind, group.blocking_frame, group.caller) for group in dump.groups]
        assert found == threads, f"{found} of kind {kinds} with {words}: {groups}"


BIG = [row for row in PY if program(row) == "big_sched_500" and ".main." not in row["file"]]


@pytest.mark.parametrize("row", BIG, ids=ids(BIG))
def test_the_python_story(row: Row) -> None:
    (dump,) = dumps(f"python/{row['file']}")
    kinds = Counter({group.kind: group.count for group in dump.groups})
    if "faulthandler" in row["tool+version"]:
        assert dump.truncated
        assert kinds["external-call"] + kinds["pool-wait"] == 100
        return
    assert (count(dump, "external-call", "requests"), count(dump, "pool-wait", "urllib3")) == (450, 50)
    chain = dump.chains[0]
    assert (chain.root.count, chain.waiting, chain.evidence) == (450, 50, "inferred")


def named_by_class(row: Row) -> bool:
    """Whether the frames carry the class: then the thread inside the same class is the probable owner."""
    return "Inventory.get" in (LAB / "python" / row["file"]).read_text("utf-8")


OWNED = [row for row in PY if program(row) == "lock_contention" and named_by_class(row)]


@pytest.mark.parametrize("row", OWNED, ids=ids(OWNED))
def test_the_owner_of_a_python_lock_is_inferred(row: Row) -> None:
    (dump,) = dumps(f"python/{row['file']}")
    lock = max(dump.locks, key=lambda lock: len(lock.waiting))
    assert lock.owner is not None
    # Python 3.15's own dump has no names; this is its thread id.
    owner = "thread 19731" if row["file"].startswith("py315-dump/") else "inventory-refresher-0"
    assert (lock.owner.thread, lock.owner.evidence, len(lock.waiting)) == (owner, "inferred", 12)


# --- what is no dump


# What py-spy 0.4.3 printed on Python 3.15 stands among the errors of that table, and is a dump nevertheless.
ERRORS = [
    row for row in table("python/MANIFEST.tsv") if row["file"].startswith("errors/") and "3.15" not in row["file"]
]


@pytest.mark.parametrize("row", ERRORS, ids=ids(ERRORS))
def test_error_texts_of_tools_are_refused(row: Row) -> None:
    errors: list[InputError] = []
    report = analyze([Source("x", LAB / "python" / row["file"])], lambda _, error: errors.append(error))
    assert report.dumps == []
    (error,) = errors
    assert error.hint
    what, why = Path(row["file"]).name.removesuffix(".txt").split(".")
    said = {
        "no-process": "found no such process",
        "not-python": "it is not Python",
        "permission": "not allowed",
        "version-mismatch": "another version of Python",
    }
    assert said[why] in str(error), what


@pytest.mark.parametrize("name", ["empty.txt", "jstack-failed.txt", "not-a-dump.log"])
def test_derived_files_that_hold_no_readable_dump(name: str) -> None:
    errors: list[InputError] = []
    report = analyze([Source(name, LAB / "jvm" / "derived" / name)], lambda _, error: errors.append(error))
    assert (report.dumps, len(errors)) == ([], 1)
    assert errors[0].hint


@pytest.mark.parametrize(
    ("name", "totals"),
    [
        ("crlf-frontend.txt", [324]),
        ("no-blank-lines-monitor100.txt", [121]),
        ("utf16le-bom-deadlock3.txt", [30]),
        ("three-tiers-concat.txt", [324, 525, 44]),
        ("frontend.txt.gz", [324]),
        ("story-17-all.zip", [324, 525, 44]),
    ],
)
def test_derived_files_that_are_only_encoded_joined_or_packed(name: str, totals: list[int]) -> None:
    assert [dump.total for dump in dumps(f"jvm/derived/{name}")] == totals


CASES = {
    "monitor100": "monitor100-17",
    "deadlock3mixed": "deadlock3mixed-17",
    "story-17 frontend": "story-17/frontend",
    "story oms": "story-17/oms",
}
"""How the ground truth of a derived file begins, and the case whose groups it has to have."""
CUT_SHORT = {"derived/truncated-midline-oms.txt": {"external-call": 297, "pool-wait": 0}}
"""What is left of the groups of a file that was cut."""


def case(row: Row) -> str | None:
    truth = row["ground truth (from the program)"]
    return next((folder for start, folder in CASES.items() if truth.startswith(start)), None)


DERIVED = [row for row in table("jvm/MANIFEST.tsv") if row["file"].startswith("derived/") and case(row)]


@pytest.mark.parametrize("row", DERIVED, ids=ids(DERIVED))
def test_derived_files_have_the_groups_of_the_plain_dump(row: Row) -> None:
    folder = case(row)
    assert folder is not None
    (dump,) = dumps(f"jvm/{row['file']}")
    for kinds, words, threads in JVM_GROUPS[folder]:
        assert count(dump, kinds, words) == CUT_SHORT.get(row["file"], {}).get(kinds, threads), (kinds, words)
    assert dump.unread_lines == 0
    assert len(dump.deadlocks) == (folder == "deadlock3mixed-17")
    assert dump.truncated is (row["file"] in CUT_SHORT)


def test_two_pods_in_one_log() -> None:
    one, two = dumps("jvm/derived/two-pods-interleaved.log")
    found = [(dump.total, [count(dump, kinds, words) for kinds, words, _ in JVM_GROUPS[folder]])
             for dump, folder in ((one, "monitor100-17"), (two, "deadlock3mixed-17"))]  # fmt: skip
    assert found == [(120, [99, 1]), (30, [10])]
    assert one.instance != two.instance


def dump_summary(dump: DumpReport) -> tuple[object, ...]:
    groups = [(group.kind, group.count, group.blocking_frame, group.caller, group.threads) for group in dump.groups]
    return dump.format, dump.version, dump.total, groups, sorted(finding.id for finding in dump.findings)


NOISY = sorted(path.name for path in (LAB / "python" / "noisy").glob("*.txt"))


@pytest.mark.parametrize("name", NOISY)
def test_noisy_python_dumps_say_what_the_plain_one_says(name: str) -> None:
    tool, change, _ = name.split(".")
    (plain,) = dumps(f"python/{'py-spy' if tool == 'pyspy' else tool}/sqlalchemy_pool.txt")
    (dump,) = dumps(f"python/noisy/{name}")
    if change == "cut":
        assert dump.truncated
        assert 0 <= plain.total - dump.total <= 1
        return
    assert dump_summary(dump) == dump_summary(plain)


MONITOR = [row["file"] for row in table("jvm/MANIFEST.tsv") if re.match(r"derived/.*monitor100\.", row["file"])]
DEADLOCK = [row["file"] for row in table("jvm/MANIFEST.tsv") if re.match(r"derived/.*deadlock3\.", row["file"])]


@pytest.mark.parametrize("path", [*MONITOR, "derived/two-pods-interleaved.log"])
def test_the_convoy_is_found_in_any_wrapping(path: str) -> None:
    dump = dumps(f"jvm/{path}")[0]
    assert (count(dump, "lock-wait", "SchedulingGateway"), count(dump, "external-call", "RemoteClient.call")) == (99, 1)
    assert [(lock.owner and lock.owner.thread, len(lock.waiting)) for lock in dump.locks] == [("http-exec-1", 99)]


@pytest.mark.parametrize("path", [*DEADLOCK, "derived/two-pods-interleaved.log"])
def test_the_deadlock_is_found_in_any_wrapping(path: str) -> None:
    (deadlock,) = dumps(f"jvm/{path}")[-1].deadlocks
    assert (set(deadlock.threads), deadlock.behind) == (
        {"mix-1-holds-inventory", "mix-2-holds-reentrant", "mix-3-holds-ledger"},
        7,
    )
    assert dumps(f"jvm/{path}")[-1].total == 30


def test_the_older_layout_and_a_cut_one() -> None:
    """Java 8 does not show whether a read has a limit; of the cut dump, what is there is said."""
    (older,) = dumps("jvm/derived/java8-synthetic-oms.txt")
    found = {(group.kind, group.count, group.timed) for group in older.groups}
    assert {("external-call", 450, None), ("pool-wait", 50, False)} <= found
    (cut,) = dumps("jvm/derived/truncated-midline-oms.txt")
    assert (cut.total, cut.truncated) == (311, True)
    assert count(cut, "external-call", "requestSlot") + count(cut, "pool-wait", "requestSlot") > 250
    assert cut.findings[0].id in {"hot-external-call", "truncated-input"}
