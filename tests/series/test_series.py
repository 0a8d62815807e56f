"""Several dumps of one process: what is stuck, what goes on, what grows; whichever way they are given."""

from __future__ import annotations

import copy
import gzip
import os
import random
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dumps
from dumps import blocked, dump, lock, thread
from threaddump.analysis import analyze, facts_of, report_of
from threaddump.classify import Classifier
from threaddump.report import Finding, Report, Series
from threaddump.series.compare import series
from threaddump.series.findings import over_time
from threaddump.series.snapshots import snapshot
from threaddump.sources import Source, expand
from threaddump_parsers.model import Dump, Thread

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "hotspot"
FILES = [FIXTURES / f"series-{number}-of-3.txt" for number in (1, 2, 3)]


def compared(moments: Sequence[Sequence[Thread]], seconds: float = 10.0, **changes: Any) -> Series:
    """The series of dumps that lie ``seconds`` apart."""
    made = []
    for number, threads in enumerate(moments):
        taken = dump(map(copy.copy, threads), pid=7, **changes)
        for each in taken.threads:
            if each.elapsed_s is None:
                each.elapsed_s = 100.0 + seconds * number
        made.append(taken)
    return of(made)


def of(moments: Sequence[Dump]) -> Series:
    classifier = Classifier("jvm")
    pairs = []
    for number, taken in enumerate(moments):
        facts = facts_of(taken, classifier)
        report = report_of(facts, "dump.txt")
        report.rename(f"d{number + 1}")
        pairs.append((report, snapshot(facts)))
    (found,) = series(pairs)
    found.findings = list(over_time(found))
    return found


def call(number: int, cpu_ms: float | None = 5.0, where: str = "com.shop.Gateway.slotFor", **changes: Any) -> Thread:
    frames = (*dumps.SOCKET_READ, where, *dumps.SERVLET)
    return thread(f"http-exec-{number}", *frames, state="RUNNABLE", java_id=number, cpu_ms=cpu_ms, **changes)


def idle(number: int) -> Thread:
    return thread(f"http-exec-{number}", *dumps.IDLE, state="WAITING", java_id=number, cpu_ms=5.0)


def running(number: int, cpu_ms: float | None) -> Thread:
    frames = ("com.shop.Cart.total", *dumps.SERVLET)
    return thread(f"http-exec-{number}", *frames, state="RUNNABLE", java_id=number, cpu_ms=cpu_ms)


def ids(found: Series) -> set[str]:
    return {finding.id for finding in found.findings}


def test_a_thread_in_one_call_in_three_dumps_is_stuck() -> None:
    found = compared([[call(1), idle(2)]] * 3)
    (stuck,) = found.stuck
    assert (stuck.thread, stuck.dumps, stuck.span_s, stuck.cpu_ms) == ("http-exec-1", 3, 20.0, 0.0)
    assert (stuck.kind, stuck.caller) == ("external-call", "com.shop.Gateway.slotFor")
    assert (found.progressing, found.resting) == (0, 1)
    assert ids(found) == {"stuck-threads"}


def test_two_dumps_prove_nothing() -> None:
    found = compared([[call(1)]] * 2)
    assert (found.stuck, found.progressing, found.findings) == ([], 1, [])


def test_cpu_shows_new_work_in_the_same_place() -> None:
    found = compared([[call(1, cpu)] for cpu in (10.0, 40.0, 70.0)])
    assert (found.stuck, found.progressing) == ([], 1)


def test_another_path_to_the_same_call_is_new_work() -> None:
    other = thread(
        "http-exec-1", *dumps.SOCKET_READ, "com.shop.Gateway.slotFor", "com.shop.Cart.pay", state="RUNNABLE", java_id=1
    )
    found = compared([[call(1)], [call(1)], [other]])
    assert (found.stuck, found.progressing) == ([], 1)


def test_the_kernels_age_of_a_call_decides_where_it_is_known() -> None:
    def aged(ms: int) -> list[Thread]:
        from threaddump_parsers.model import SystemCall

        return [call(1, call=SystemCall("recvfrom", "10.0.0.7:1", waiting_ms=ms))]

    assert compared([aged(100)] * 3).stuck == []
    assert len(compared([aged(1_000), aged(11_000), aged(21_000)]).stuck) == 1


def test_threads_are_told_apart_by_id_and_not_by_name() -> None:
    """Names repeat: another thread of the same name in the same place has not been stuck."""
    found = compared([[call(1)], [call(1)], [call(3, where="com.shop.Gateway.slotFor")]])
    assert (found.stuck, found.appeared, found.gone) == ([], 1, 1)


def test_stuck_since_a_later_dump() -> None:
    found = compared([[idle(1)], [call(1)], [call(1)], [call(1)]])
    (stuck,) = found.stuck
    assert (stuck.dumps, stuck.span_s) == (3, 20.0)


def test_waiters_of_a_stuck_owner_are_behind_it() -> None:
    calendar = lock("0x1", "com.shop.Calendar")
    owner = call(1, holds=[calendar])
    waiting = [blocked(f"w-{n}", calendar, java_id=n, cpu_ms=1.0) for n in range(2, 14)]
    found = compared([[owner, *waiting]] * 3)
    assert [thread.behind for thread in found.stuck] == [None, *["http-exec-1"] * 12]
    (history,) = found.locks
    assert (history.permanent, history.waiters) == (True, [12, 12, 12])
    (finding,) = found.findings
    assert (finding.id, finding.severity, finding.threads) == ("stuck-threads", "high", 13)
    assert '12 more wait for locks of "http-exec-1"' in finding.detail


def test_an_owner_that_works_on() -> None:
    calendar = lock("0x1", "com.shop.Calendar")
    waiting = [blocked(f"w-{n}", calendar, java_id=n, cpu_ms=1.0) for n in range(2, 6)]
    owners = [running(1, cpu) for cpu in (10.0, 500.0, 900.0)]
    for each in owners:
        each.holds = call(1, holds=[calendar]).holds
    found = compared([[owner, *waiting] for owner in owners])
    assert ids(found) == {"permanent-owner", "stuck-threads"}


def test_a_convoy_changes_its_owner_and_keeps_its_queue() -> None:
    calendar = lock("0x1", "com.shop.Calendar")

    def moment(owner: int) -> list[Thread]:
        waiting = [blocked(f"w-{n}", calendar, java_id=n, cpu_ms=1.0 + owner * 50) for n in range(1, 7) if n != owner]
        working = running(owner, 1.0 + owner * 50)
        working.holds = call(9, holds=[calendar]).holds
        return [working, *waiting]

    found = compared([moment(owner) for owner in (1, 2, 3)])
    assert found.locks[0].convoy
    assert "lock-convoy" in ids(found)


def test_a_thread_that_runs_in_one_place_and_uses_a_processor() -> None:
    found = compared([[running(1, cpu)] for cpu in (0.0, 9_000.0, 18_500.0)])
    (spinning,) = found.spinning
    assert (spinning.thread, found.progressing) == ("http-exec-1", 0)
    (finding,) = found.findings
    assert (finding.id, "92 % of a processor" in finding.detail) == ("spinning-threads", True)


def test_without_cpu_times_a_running_thread_is_not_accused() -> None:
    found = compared([[running(1, None)]] * 3)
    assert (found.stuck, found.spinning, found.progressing) == ([], [], 1)


def test_timers_and_the_main_thread_may_sleep() -> None:
    def moment() -> list[Thread]:
        return [thread("main", *dumps.SLEEP, "com.shop.Main.main", state="TIMED_WAITING", java_id=1, cpu_ms=3.0)]

    found = compared([moment()] * 3)
    assert (found.stuck, found.waiting, found.findings) == ([], 1, [])


def test_sleeping_with_a_lock_that_others_want_is_stuck() -> None:
    calendar = lock("0x1", "com.shop.Calendar")
    sleeper = thread(
        "main", *dumps.SLEEP, "com.shop.Main.main", state="TIMED_WAITING", java_id=1, cpu_ms=3.0, holds=[calendar]
    )
    found = compared([[sleeper, blocked("w", calendar, java_id=2, cpu_ms=1.0)]] * 3)
    assert [(each.thread, each.behind) for each in found.stuck] == [("main", None), ("w", "main")]


def test_threads_that_only_become_more() -> None:
    def moment(count: int) -> list[Thread]:
        return [thread(f"leak-{n}", *dumps.IDLE, state="WAITING", java_id=n) for n in range(count)]

    found = compared([moment(10), moment(30), moment(60)])
    assert found.growth == {"leak-": [10, 30, 60]}
    assert ids(found) == {"threads-growing"}
    assert compared([moment(10), moment(60), moment(30)]).findings == []
    assert (found.appeared, found.gone) == (50, 0)


# --- processes and their order


def test_the_age_of_the_process_orders_where_clocks_jump() -> None:
    moments = [dump([call(1, elapsed_s=age)], pid=7, taken_at=at) for age, at in JUMP]
    found = of(moments)
    assert found.dumps == ["d1", "d3", "d2"]
    assert found.span_s == 20.0
    assert any("the clock went back by 3590 s between d3 and d2" in note for note in found.notes)


JUMP = ((100.0, "2026-11-22T20:00:00"), (120.0, "2026-11-22T19:00:20"), (110.0, "2026-11-22T20:00:10"))


def test_dumps_without_any_time_keep_the_order_they_are_given_in() -> None:
    found = of([dump([call(1)], pid=7, taken_at=None) for _ in range(3)])
    assert (found.dumps, found.span_s) == (["d1", "d2", "d3"], None)
    assert "no time" in found.notes[0]
    assert found.stuck[0].span_s is None


def test_processes_are_told_apart() -> None:
    classifier = Classifier("jvm")
    pairs = []
    for number, pid in enumerate((7, 8, 7, 8, 9)):
        facts = facts_of(dump([call(1)], pid=pid), classifier)
        report = report_of(facts, "x")
        report.rename(f"d{number + 1}")
        pairs.append((report, snapshot(facts)))
    assert [each.dumps for each in series(pairs)] == [["d1", "d3"], ["d2", "d4"]]


def test_pid_1_of_two_containers_is_no_proof() -> None:
    """The same pid, and no host: the addresses of the JVM's own threads tell them apart."""

    def vm(address: str, native_id: int) -> Thread:
        return thread("VM Thread", internal=True, address=address, native_id=native_id)

    classifier = Classifier("jvm")
    pairs = []
    for number, own in enumerate((vm("0xa", 9), vm("0xb", 9), vm("0xa", 9))):
        facts = facts_of(dump([call(1), own], pid=1), classifier)
        report = report_of(facts, "x")
        report.rename(f"d{number + 1}")
        pairs.append((report, snapshot(facts)))
    assert [each.dumps for each in series(pairs)] == [["d1", "d3"]]


@given(st.permutations(range(4)))
def test_the_order_in_which_they_are_given_changes_nothing(order: list[int]) -> None:
    made = [dump([call(1, elapsed_s=100.0 + 10 * n), idle(2)], pid=7) for n in range(4)]
    found = of([made[at] for at in order])
    assert [order[int(id[1:]) - 1] for id in found.dumps] == [0, 1, 2, 3]
    assert [(each.thread, each.dumps) for each in found.stuck] == [("http-exec-1", 4)]


# --- real dumps, whichever way they are given


def report_on(*paths: Path) -> Report:
    failed: list[object] = []
    report = analyze(expand([str(path) for path in paths]), lambda _, error: failed.append(error))
    assert failed == []
    return report


def assert_series(report: Report, dumps_each: int = 3) -> None:
    (found,) = report.series
    assert len(found.dumps) == dumps_each
    behind = [each for each in found.stuck if each.behind == "stuck-1"]
    assert (len(found.stuck) - len(behind), len(behind), found.progressing, found.resting) == (12, 6, 10, 8)
    findings: list[Finding] = found.findings
    assert (findings[0].id, findings[0].threads) == ("stuck-threads", 18)
    assert findings[0] in report.findings


def test_single_files() -> None:
    assert_series(report_on(*FILES))


def test_shuffled_names(tmp_path: Path) -> None:
    for name, path in zip(("b", "c", "a"), FILES, strict=True):
        shutil.copy(path, tmp_path / f"{name}.txt")
    assert_series(report_on(tmp_path))


def test_one_log(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_bytes(b"2026-11-22 INFO started\n".join(path.read_bytes() for path in FILES))
    assert_series(report_on(log))


def test_compressed(tmp_path: Path) -> None:
    for name, path in zip(("b", "c", "a"), FILES, strict=True):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert_series(report_on(tmp_path))


def test_an_archive(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "incident", "w:xz") as archive:
        for path in FILES[::-1]:
            archive.add(path, path.name)
    assert_series(report_on(tmp_path / "incident"))


def test_with_duplicates(tmp_path: Path) -> None:
    copy = tmp_path / "copy.txt"
    shutil.copy(FILES[1], copy)
    report = report_on(*FILES, copy)
    assert_series(report)
    assert [dump.duplicate_of for dump in report.dumps] == [None, None, None, "d2"]


LAB = Path(os.environ.get("THREADDUMP_LAB") or Path(__file__).resolve().parents[3] / "shared" / "lab") / "jvm/series-17"


@pytest.mark.skipif(not LAB.is_dir(), reason=f"no recorded series in {LAB} (set THREADDUMP_LAB)")
@pytest.mark.parametrize("seed", range(5))
def test_the_recorded_series_in_any_order(seed: int) -> None:
    paths = [LAB / f"jstack-l-{number}.txt" for number in (1, 2, 3)]
    random.Random(seed).shuffle(paths)
    assert_series(report_on(*paths))


@pytest.mark.skipif(not LAB.is_dir(), reason=f"no recorded series in {LAB} (set THREADDUMP_LAB)")
def test_one_recorded_log() -> None:
    (found,) = report_on(LAB / "kill3-stdout-after-3.log").series
    # kill -3 prints no owners of ReentrantLocks.
    assert (len(found.stuck), found.progressing, found.resting) == (18, 10, 8)


def test_one_dump_is_no_series() -> None:
    assert analyze([Source("x", FILES[0])], lambda *_: None).series == []
