"""What the report ends with: one exact command for what a dump leaves open, and nothing where all is said."""

from __future__ import annotations

from itertools import starmap

import pytest

import goldens
from dumps import (
    APACHE_CALL,
    IDLE,
    PY_REQUESTS,
    PY_THREAD,
    SERVLET,
    analyzed,
    blocked,
    dump,
    reentrant,
    thread,
    times,
)
from threaddump.analysis import analyze
from threaddump.hints import series_hint
from threaddump.sources import InputError, Source
from threaddump_parsers.model import Dump, OsFacts


def hints(made: Dump) -> list[str]:
    return analyzed(made).hints


STUCK = [*times(30, "http", *APACHE_CALL, *SERVLET)]
UNOWNED = [blocked(f"w-{n}", reentrant("0x1")) for n in range(9)]
CALLS = [thread(f"req-{n}", *PY_REQUESTS, "orders/api.py:place@7", *PY_THREAD, state="IDLE") for n in range(9)]
OPEN = [thread(f"c-{n}", "orders/native.py:call@7", *PY_THREAD, state="IDLE") for n in range(9)]


def test_owners_of_locks_need_the_option() -> None:
    wanted = "owners of java.util.concurrent locks: jcmd 77 Thread.print -l -e"
    assert hints(dump(UNOWNED, pid=77)) == [wanted]
    assert hints(dump(UNOWNED, pid=77, ownable_synchronizers=True)) == []
    assert hints(dump([*times(9, "pool", *IDLE)])) == []


def test_peers_of_calls_need_the_right_to_trace() -> None:
    def captured(readable: bool) -> list[str]:
        facts = OsFacts(9, {"calls_readable": readable})
        return [hint for hint in hints(dump(STUCK, pid=77, os=facts)) if "SYS_PTRACE" in hint]

    (hint,) = captured(False)
    assert hint.endswith("threaddump capture 77")
    assert captured(True) == []


def test_virtual_threads_are_in_the_json_alone() -> None:
    carrier = thread("ForkJoinPool-1-worker-1", "java.lang.VirtualThread.run", carries=30)
    wanted = "virtual threads are not in this dump: jcmd PID Thread.dump_to_file -format=json /tmp/threads.json"
    assert wanted in hints(dump([carrier], version="21.0.8"))
    assert wanted in hints(dump([thread("VirtualThread-unparker", *IDLE)], version="25"))
    assert hints(dump([thread("x", *IDLE)], version="25")) == []


def test_states_of_the_first_file_dumps() -> None:
    threads = [thread("x", *IDLE)]
    assert hints(dump(threads, format="jcmd-json")) == [
        "states and locks of the platform threads: jcmd PID Thread.print -l -e"
    ]
    assert hints(dump([thread("x", *IDLE, state="WAITING")], format="jcmd-json")) == []


def test_stacks_that_are_cut() -> None:
    cut = thread("x", *IDLE, state="WAITING", truncated=True)
    assert hints(dump([cut], format="threadmxbean")) == ["whole stacks: jcmd PID Thread.print -l -e"]
    assert hints(dump([cut], format="hotspot-sa"))[0].startswith("if the JVM still answers")


@pytest.mark.parametrize(
    ("form", "threads", "wanted"),
    [
        ("py-spy", CALLS, "timeouts and pool objects: py-spy dump --locals --pid 7"),
        ("py-spy", OPEN, "what a C call waits for: py-spy dump --native --pid 7"),
        ("py-spy", [*CALLS, *OPEN], "what a C call waits for, timeouts and pool objects: "
                                    "py-spy dump --native --locals --pid 7"),
        ("faulthandler", CALLS, "timeouts and pool objects: py-spy dump --locals --pid 7"),
        ("pystack", OPEN, "what a C call waits for: pystack remote --native 7"),
        ("profiling-sampling", [*CALLS, *OPEN],
         "what a C call waits for: python -m profiling.sampling dump -a --native 7"),
    ],
)  # fmt: skip
def test_options_of_python_tools(form: str, threads: list[object], wanted: str) -> None:
    assert hints(dump(threads, "python", format=form, pid=7))[:1] == [wanted]  # type: ignore[arg-type]


def test_what_is_there_is_not_asked_for() -> None:
    native = thread("n", "native:recv", "orders/native.py:call@7", *PY_THREAD, state="IDLE")
    assert not any("--native" in hint for hint in hints(dump([*OPEN, native], "python")))
    known = thread("k", *CALLS[0].stack and PY_REQUESTS, *PY_THREAD, state="IDLE", locals={0: {"timeout": "5"}})
    assert not any("--locals" in hint for hint in hints(dump([*CALLS, known], "python")))


def test_greenlets_and_tasks_are_not_in_a_dump_of_threads() -> None:
    hub = thread("MainThread", "gevent/hub.py:Hub.run@647", state="IDLE")
    assert "greenlets that wait are not in this dump" in hints(dump([hub], "python"))[0]
    loop = thread("MainThread", "asyncio/runners.py:Runner.run@118", "orders/api.py:<module>@9", state="IDLE")
    (hint,) = hints(dump([loop], "python", pid=7))
    assert "python -m asyncio pstree 7" in hint
    assert not any("tasks that wait" in hint for hint in hints(dump([loop, *CALLS], "python")))  # threads tell enough


def test_the_caps_of_faulthandler() -> None:
    capped = dump(CALLS, "python", format="faulthandler", truncated=["100 threads at most"])
    assert hints(capped)[0].startswith("all threads with their names, timeouts")


# --- what only the kernel knows


def test_a_crowd_in_one_call_asks_for_its_address() -> None:
    wanted = "address, age and timeout of each call (Linux): threaddump capture 7"
    assert wanted in hints(dump(STUCK, pid=7))
    assert wanted in hints(dump(CALLS, "python", pid=7))
    assert wanted not in hints(dump(CALLS[:2], "python", pid=7))
    assert wanted not in hints(dump(UNOWNED, pid=7))
    assert wanted not in hints(dump(STUCK, pid=7, os=OsFacts(1)))
    assert not any("capture" in hint for hint in hints(dump(STUCK, pid=7, instance="a", orchestrator="kubernetes")))


# --- in containers


def exec_of(**names: object) -> str:
    return hints(dump(UNOWNED, **names))[0].partition(": ")[2]


def test_the_command_runs_where_the_process_is() -> None:
    pod = {"instance": "orders-0", "service": "orders", "orchestrator": "kubernetes"}
    assert exec_of(**pod) == "kubectl exec orders-0 -c orders -- jcmd 1 Thread.print -l -e"
    assert exec_of(**pod, pid=9) == "kubectl exec orders-0 -c orders -- jcmd 9 Thread.print -l -e"
    assert exec_of(service="orders", orchestrator="compose") == "docker compose exec orders jcmd 1 Thread.print -l -e"
    assert exec_of(service="orders", instance="orders-0", host="app-1") == "jcmd PID Thread.print -l -e"


@pytest.mark.parametrize("name", ["$(reboot)", "a;b", "a b", "-x", "`id`", "a\x1b[2J", "x'y"])
def test_names_from_a_log_cannot_run_commands(name: str) -> None:
    said = exec_of(instance=name, service=name, orchestrator="kubernetes")
    assert said == "kubectl exec POD -c CONTAINER -- jcmd 1 Thread.print -l -e"


def test_names_come_from_the_wrapper() -> None:
    raw = goldens.content("hotspot/kill3-inside-log.txt")
    lines = raw.splitlines(keepends=True)
    for prefix, wanted in (
        (b"[pod/orders-0/app] ", "kubectl exec orders-0 -c app -- jcmd 1 Thread.print -l -e"),
        (b"orders-1  | ", "docker compose exec orders jcmd 1 Thread.print -l -e"),
        (b"Nov 22 20:59:01 app-01 orders[42]: ", "jcmd PID Thread.print -l -e"),
    ):
        report = goldens.report_on(b"".join(prefix + line for line in lines))
        series = [dump.series_hint for dump in report.dumps if dump.series_hint]
        assert series
        assert all(f"do {wanted} > dump-$i.txt; sleep 10; done" in hint for hint in series)


# --- one dump is suspicion, three are proof


def report_hints(*contents: bytes) -> list[list[str]]:
    def fail(_: Source, error: InputError) -> None:
        raise error

    report = analyze(starmap(lambda n, raw: goldens.source(raw, f"{n}.txt"), enumerate(contents)), fail)
    return [dump.hints for dump in report.dumps]


ORDERS = goldens.content("black-friday/orders.jstack.txt")
PY_ORDERS = goldens.content("black-friday/python-orders-small.py-spy.txt")


@pytest.mark.parametrize(
    ("name", "loop"),
    [
        ("black-friday/orders.jstack.txt", "do jcmd PID Thread.print -l -e > dump-$i.txt; sleep 10; done"),
        ("black-friday/python-orders-small.py-spy-json.json", "threaddump capture 25039 --count 3 --interval 10s"),
        (
            "actuator/monitor-convoy.json",
            "curl -s http://HOST:PORT/actuator/threaddump > dump-$i.json; sleep 10; done",
        ),
        ("jcmd-json/deadlock-two.json", "-format=json /tmp/dump-$i.json; sleep 10; done"),
        ("pystack/sqlalchemy-pool.txt", "do pystack remote PID > dump-$i.txt; sleep 10; done"),
    ],
)
def test_one_dump_with_a_finding_asks_for_more(name: str, loop: str) -> None:
    ((*_, last),) = report_hints(goldens.content(name))
    assert last.startswith("three dumps, 10 s apart, tell stuck from slow: ")
    assert loop in last


def test_a_captured_dump_is_captured_again() -> None:
    made = dump(STUCK, pid=7)
    made.os = OsFacts(900)
    assert series_hint(made, analyzed(made).findings) == (
        "three dumps, 10 s apart, tell stuck from slow: threaddump capture 7 --count 3 --interval 10s"
    )


def test_a_series_is_not_asked_for_when_there_is_one() -> None:
    assert not any("three dumps" in hint for found in report_hints(ORDERS, PY_ORDERS) for hint in found)
    first, second = report_hints(ORDERS, ORDERS)
    assert "three dumps" in first[-1]  # the same dump twice is one
    assert not any("three dumps" in hint for hint in second)


@pytest.mark.parametrize("name", [name for name in goldens.fixtures() if name.startswith("healthy/")])
def test_a_healthy_dump_ends_without_advice_on_what_is_not_missing(name: str) -> None:
    (found,) = report_hints(goldens.content(name))
    assert not any("three dumps" in hint for hint in found)
    assert len(found) <= 1


@pytest.mark.parametrize("name", goldens.fixtures())
def test_hints_are_few_and_each_has_a_command(name: str) -> None:
    for dump_report in goldens.report(name).dumps:
        assert len(dump_report.hints) <= 3
        assert all(": " in hint for hint in dump_report.hints)
