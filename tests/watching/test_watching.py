"""Watching: conditions and for how long they hold, since when threads are busy, metrics, and a real process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dumps
from dumps import dump, times
from live_programs import PYTHON, SECONDS, Peer, eventually, process
from threaddump.capture import Capture, Target
from threaddump.capture.take import Taken
from threaddump.reports.words import KINDS
from threaddump.sources import InputError
from threaddump.watching import loop, table
from threaddump.watching.conditions import Condition, Trigger, condition
from threaddump.watching.observe import MEASURES, Busy, Observation, Observer
from threaddump_parsers.model import OsFacts, SystemCall, Thread

PROGRAM = [sys.executable, "-m", "threaddump"]


def observation(threads: Sequence[Thread], at: float = 0.0, busy: Sequence[Busy] = (), cpu: float = 0.0) -> Observation:
    made = dump(threads)
    return Observation(at, dumps.analyzed(made), list(busy), dumps.facts(made).able, 0.1, cpu)


CALLING = times(6, "http-exec", *dumps.SOCKET_READ, "com.shop.Gateway.slotFor", *dumps.SERVLET, state="RUNNABLE")
RESTING = times(4, "other", *dumps.IDLE, state="WAITING")
NOW = observation([*CALLING, *RESTING], busy=[Busy("a", "external-call", None, None, None, 31.0, True)], cpu=12.0)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("external-call >= 60%", True),
        ("external-call > 60%", False),
        ("external-call == 6", True),
        ("external-call<7 and idle >= 4", True),
        ("external-call >= 50% and deadlocked > 0", False),
        ("oldest > 30", True),
        ("busy >= 1", True),
        ("cpu <= 12.0", True),
        ("threads < 10", False),
        ("pool-wait > 0", False),
    ],
)
def test_conditions(text: str, holds: bool) -> None:
    assert condition(text).holds(NOW) is holds


@pytest.mark.parametrize(
    "text", ["", "external-call", "nonsense > 1", "external-call >= x", "cpu > 5%", "a or b", "> 5"]
)
def test_conditions_that_cannot_be_read(text: str) -> None:
    with pytest.raises(InputError) as error:
        condition(text)
    assert "--when" in error.value.message
    assert error.value.hint


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*KINDS, *MEASURES]), st.sampled_from([">=", ">", "<=", "<", "=="]), st.integers(0, 10**6)
        ),
        min_size=1,
        max_size=4,
    )
)
def test_all_that_is_measured_can_be_compared(parts: list[tuple[str, str, int]]) -> None:
    read = condition(" and ".join(f"{measure}{sign} {number}" for measure, sign, number in parts))
    assert [(each.measure, each.operator, each.number) for each in read.comparisons] == parts
    assert read.holds(NOW) in {True, False}


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert isinstance(condition(text), Condition)
    except InputError:
        pass


def test_a_trigger_fires_once_for_as_long_as_it_holds() -> None:
    trigger = Trigger(condition("external-call > 0"), 10)
    holds = [observation(CALLING, at) for at in (0, 5, 10, 15, 40)]
    rests = observation(RESTING, 50)
    again = [observation(CALLING, at) for at in (60, 71)]
    assert [trigger.fires(each) for each in holds] == [False, False, True, False, False]
    assert [trigger.fires(each) for each in (rests, *again)] == [False, False, True]


# --- since when


def capture(text: str) -> Capture:
    target = Target(7, 0.0, "python", "python", ("python", "app.py"))
    return Capture(target, 1, datetime.now(UTC), Taken(text.encode(), "test"), text.encode())


def text(*workers: tuple[int, str]) -> str:
    head = "Process 7: python app.py\nPython v3.11.7 (python)\n\n"
    return head + "".join(f'Thread {tid} (idle): "worker"\n{frames}' for tid, frames in workers)


RUN = "    run (threading.py:982)\n"
CALL = "    readinto (socket.py:706)\n    _read_status (http/client.py:286)\n    fetch (app.py:{})\n" + RUN
IDLE = "    _worker (concurrent/futures/thread.py:81)\n" + RUN


def test_busy_since_the_first_look_at_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    observer = Observer(stuck_after=5.0)
    first = observer.look(capture(text((1, CALL.format(3)), (2, IDLE))), 1.0)
    assert (first.busy, first.cpu_percent) == ([], None)
    clock[0] = 107.0
    second = observer.look(capture(text((1, CALL.format(4)), (2, CALL.format(3)))), 1.7)
    # Another line of the same function is still the same call; names repeat, so threads are told apart by their ids.
    assert [(busy.name, busy.seconds, busy.caller) for busy in second.busy] == [("worker", 7.0, "app.py:fetch")]
    assert second.cpu_percent == pytest.approx(10.0)
    clock[0] = 113.0
    third = observer.look(capture(text((1, IDLE), (2, CALL.format(3)))), None)
    assert [busy.seconds for busy in third.busy] == [6.0]


def test_the_kernels_age_counts_where_it_is_more() -> None:
    facts = json.dumps({"threads": [{"tid": 1, "call": "recvfrom", "peer": "10.0.0.7:1", "silent_ms": 96_000}]})
    made = text((1, CALL.format(3))) + f'# threaddump-os: {{"schema":1}}\n# threaddump-os: {facts}\n'
    (busy,) = Observer(5.0).look(capture(made), None).busy
    assert (busy.seconds, busy.peer) == (96.0, "10.0.0.7:1")


# --- what is shown


@pytest.mark.parametrize("width", [60, 80, 160])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    trigger = Trigger(condition("external-call >= 50%"), 10)
    trigger.fires(NOW)
    target = Target(7, 0.0, "jvm", "java", ("java", "x" * 300))
    shown = [
        "".join(part for part, _ in line) for line in table.screen(target, NOW, trigger, "3 looks", "10:00", width)
    ]
    assert max(map(len, shown)) <= width
    joined = "\n".join(shown)
    assert "held for 0 s" in joined
    assert "6  external call" in joined
    assert "31 s  a: external call" in joined


@pytest.mark.parametrize("width", [80, 160])
def test_addresses_and_missing_timeouts_are_on_the_screen(width: int) -> None:
    call = SystemCall("recvfrom", "10.0.0.7:7001", "ESTABLISHED", waiting_ms=61_000)
    stuck = times(
        30, "http-exec", *dumps.SOCKET_READ, "com.shop.Gateway.slotFor", *dumps.SERVLET, state="RUNNABLE", call=call
    )
    made = dump(stuck, os=OsFacts(99, {}))
    busy = [
        Busy(thread.name, "external-call", "com.shop.Gateway.slotFor", None, "10.0.0.7:7001", 61.0, True)
        for thread in stuck
    ]
    seen = Observation(0.0, dumps.analyzed(made), busy, 30, 0.1, 0.0)
    target = Target(7, 0.0, "jvm", "java", ("java", "Orders"))
    lines = ["".join(part for part, _ in line) for line in table.screen(target, seen, None, "", "10:00", width)]
    assert max(map(len, lines)) <= width
    shown = " ".join(" ".join(lines).split())
    assert "no read timeout, to 10.0.0.7:7001, for 61 s" in shown
    assert "61 s 30 x external call Gateway.slotFor to 10.0.0.7:7001, as http-exec" in shown


def test_the_line_for_a_pipe() -> None:
    line = table.one_line(Target(7, 0.0, "jvm", "java", ("java", "Orders")), NOW, "10:00:00")
    assert line.startswith(
        "10:00:00 Orders 7 · 10 threads · 6 external call, 4 idle · 1 busy for up to 31 s · cpu 12 %"
    )
    assert "\n" not in line


# --- metrics


def test_metrics_are_what_the_report_says() -> None:
    from threaddump.watching.metrics import Metrics

    metrics = Metrics("127.0.0.1", 0)
    try:
        metrics.show("orders", 7, NOW)
        metrics.show("orders", 7, observation(RESTING))
        metrics.failed("orders", 7)
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics.port}/metrics", timeout=SECONDS) as answer:
            page = answer.read().decode()
    finally:
        metrics.close()
    assert 'threaddump_threads{kind="idle",pid="7",service="orders"} 4.0' in page
    assert 'threaddump_threads{kind="external-call",pid="7",service="orders"} 0.0' in page
    assert 'threaddump_looks_total{pid="7",result="ok",service="orders"} 2.0' in page
    assert 'threaddump_looks_total{pid="7",result="failed",service="orders"} 1.0' in page
    assert "threaddump_oldest_busy_request_seconds" in page
    # What was found at the first look and not at the second is gone, not stale.
    assert "hot-external-call" not in page


@pytest.mark.parametrize("text", ["9477", ":9477", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", ""])
def test_all_interfaces_have_to_be_asked_for(text: str) -> None:
    from threaddump.watching.metrics import address_of

    with pytest.raises(InputError, match="--listen"):
        address_of(text)


def test_addresses_to_listen_on() -> None:
    from threaddump.watching.metrics import address_of

    assert address_of("127.0.0.1:9477") == ("127.0.0.1", 9477)
    assert address_of("[::1]:9477") == ("::1", 9477)


# --- a real process


def test_a_condition_keeps_the_evidence_and_runs_a_command(tmp_path: Path) -> None:
    peer = Peer("127.0.0.5")
    address = peer.address
    script = tmp_path / "told.sh"
    script.write_text('#!/bin/sh\necho "$THREADDUMP_CONDITION" > "$1/told"\n', "utf-8")
    script.chmod(0o755)
    words = ["--every", "0.2", "--looks", "3", "--when", "external-call >= 5", "--for", "0.1"]
    words += ["--bundle", str(tmp_path / "bundles"), "--run", str(script)]
    with process([sys.executable, "-c", PYTHON, f"hang=8={peer.address}"]) as running:
        command = [*PROGRAM, "watch", str(running.pid), *words]
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    peer.close()
    assert done.returncode == 0, done.stderr.decode()
    looks = done.stdout.decode().splitlines()
    assert len(looks) == 3
    assert "8 external call" in looks[-1]
    (bundle,) = (tmp_path / "bundles").iterdir()
    assert {path.name for path in bundle.iterdir()} == {"dump.txt", "report.md", "report.json", "trigger.json", "told"}
    assert (bundle / "told").read_text("utf-8").strip() == "external-call >= 5"
    assert json.loads((bundle / "trigger.json").read_bytes())["by_kind"]["external-call"] >= 5
    assert json.loads((bundle / "report.json").read_bytes())["schema"] == "threaddump/report@1"
    assert address in (bundle / "report.md").read_text("utf-8")
    assert "3 looks, in dumps for" in done.stderr.decode()


def test_ctrl_c_ends_it_well(tmp_path: Path) -> None:
    with process([sys.executable, "-c", PYTHON]) as running:
        command = [*PROGRAM, "watch", str(running.pid), "--every", "30"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watching:
            assert watching.stdout is not None
            watching.stdout.readline()
            watching.send_signal(signal.SIGINT)
            _, errors = watching.communicate(timeout=SECONDS)
    assert watching.returncode == 0
    assert b"1 looks, in dumps for" in errors


def test_it_ends_with_the_process() -> None:
    with process([sys.executable, "-c", PYTHON]) as running:
        command = [*PROGRAM, "watch", str(running.pid), "--every", "0.3"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watching:
            assert watching.stdout is not None
            watching.stdout.readline()
            running.kill()
            running.wait()
            _, errors = watching.communicate(timeout=SECONDS)
    assert watching.returncode == 0
    assert b"has ended" in errors


def test_a_process_that_is_stopped_is_complained_of_and_watched_on(tmp_path: Path) -> None:
    with process([sys.executable, "-c", PYTHON]) as running:
        os.kill(running.pid, signal.SIGSTOP)
        stat = Path(f"/proc/{running.pid}/stat")
        eventually(lambda: not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "T", "stopped")
        command = [*PROGRAM, "watch", str(running.pid), "--every", "0.1", "--looks", "2"]
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    if sys.platform == "linux":
        assert done.returncode == 2
        assert done.stderr.count(b"is stopped") == 2


def test_dumps_take_a_twentieth_of_the_time_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dump that takes long makes the looks come less often."""
    slept: list[float] = []
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setattr(loop, "_cpu_seconds", lambda _: None)
    monkeypatch.setattr(loop, "capture", lambda *_: capture(text((1, IDLE))))
    slow = observation(RESTING)
    slow.took_s = 2.0
    monkeypatch.setattr(Observer, "look", lambda *_: slow)
    target = Target(7, 0.0, "python", "python", ("python", "app.py"))
    watched = loop.Watch(target, 1.0, Observer(5.0), loop.Options(), looks=2)
    with open(os.devnull, "w", encoding="utf-8") as out:
        cost = loop.watch(watched, out, width=lambda: 80, color=False, say=print, complain=print)
    assert slept == [40.0]
    assert (cost.looks, cost.held_s) == (2, 4.0)
