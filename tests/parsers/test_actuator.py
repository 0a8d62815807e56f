"""Documents of ``/actuator/threaddump``, one trap each."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import goldens
from threaddump import intake
from threaddump.sources import InputError
from threaddump_parsers import actuator
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump

GATEWAY = {"className": "com.shop.Gateway", "identityHashCode": 1324119927}
SYNC = {"className": "java.util.concurrent.locks.ReentrantLock$NonfairSync", "identityHashCode": 255}
CONDITION = {"className": "java.util.concurrent.locks.AbstractQueuedSynchronizer$ConditionObject"} | {
    "identityHashCode": 16
}


def frame(class_name: str, method: str, file: str | None = None, line: int = -1, **more: Any) -> dict[str, Any]:
    return {
        "classLoaderName": "app",
        "moduleName": None,
        "moduleVersion": None,
        "methodName": method,
        "fileName": file,
        "lineNumber": line,
        "nativeMethod": line == -2,
        "className": class_name,
    } | more


READ = frame("sun.nio.ch.SocketDispatcher", "read0", "SocketDispatcher.java", -2)
PARK = frame("jdk.internal.misc.Unsafe", "park", "Unsafe.java", -2)
WAIT = frame("java.lang.Object", "wait", "Object.java", -2)
CALL = frame("com.shop.Gateway", "schedule", "Gateway.java", 63)
LAMBDA = frame("com.shop.Main$$Lambda$11/0x00007fa85c006bd0", "run")


def thread(number: int, /, *stack: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "threadName": f"http-exec-{number}",
        "threadId": number,
        "blockedTime": -1,
        "blockedCount": 1,
        "lockName": None,
        "lockOwnerId": -1,
        "lockOwnerName": None,
        "daemon": True,
        "inNative": False,
        "suspended": False,
        "threadState": "RUNNABLE",
        "priority": 5,
        "stackTrace": list(stack),
        "lockedMonitors": [],
        "lockedSynchronizers": [],
        "lockInfo": None,
    } | more


HOLDER = thread(1, READ, CALL, LAMBDA, lockedMonitors=[GATEWAY | {"lockedStackDepth": 1}], lockedSynchronizers=[SYNC])
BLOCKED = {"threadState": "BLOCKED", "lockInfo": GATEWAY, "lockOwnerId": 1, "lockOwnerName": "http-exec-1"}
THREADS = [HOLDER, thread(2, CALL, LAMBDA, **BLOCKED), thread(3, CALL, LAMBDA, **BLOCKED)]
RAW = json.dumps({"threads": THREADS})


def read(text: str | bytes) -> list[Dump]:
    return list(intake.dumps(goldens.source(text.encode() if isinstance(text, str) else text)))


def one(*threads: dict[str, Any]) -> Dump:
    (dump,) = read(json.dumps({"threads": threads}))
    return dump


def essence(dump: Dump) -> list[Any]:
    return [
        (t.name, t.java_id, t.state, t.daemon, [f.function for f in t.stack], str(t.blocked_on), len(t.holds))
        for t in dump.threads
    ]


def test_a_document() -> None:
    (dump,) = read(RAW)
    assert (dump.format, dump.family, dump.line, dump.end_line) == ("actuator", "jvm", 1, 1)
    assert dump.ownable_synchronizers
    holder, first, second = dump.threads
    assert (holder.name, holder.java_id, holder.daemon, holder.state) == ("http-exec-1", 1, True, "RUNNABLE")
    assert [(f.function, f.file, f.line, f.native) for f in holder.stack] == [
        ("sun.nio.ch.SocketDispatcher.read0", None, None, True),
        ("com.shop.Gateway.schedule", "Gateway.java", 63, False),
        ("com.shop.Main$$Lambda.run", None, None, False),
    ]
    assert [(str(held.lock), held.depth) for held in holder.holds] == [
        ("com.shop.Gateway@4eec7777", 1),
        ("java.util.concurrent.locks.ReentrantLock$NonfairSync@ff", None),
    ]
    assert first.stack is second.stack
    assert first.blocked_on is second.blocked_on is holder.holds[0].lock
    assert (dump.problems, dump.truncated) == ([], [])


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"threads": THREADS}, indent=2),
        json.dumps({"threads": THREADS}, indent=0),
        json.dumps({"threads": THREADS}, separators=(",", ":")),
        json.dumps({"threads": THREADS}, indent=2).replace('": ', '" : ').replace("[\n    {", "[ {"),  # Jackson
        json.dumps(THREADS),  # Spring Boot 1
        json.dumps(THREADS, indent=2),
        json.dumps(THREADS, indent=2).replace("[\n  {", "[ {", 1),
        json.dumps({"threads": THREADS}, indent=2).replace("\n", "\r\n"),
        "HTTP/1.1 200\nContent-Type: application/json\n\n" + RAW + "\n\n",
        json.dumps({"threads": THREADS}, indent=2).partition("\n")[2],  # the first line is missing
        json.dumps(THREADS, indent=2).partition("{")[2],  # and what is before the first thread
    ],
)
def test_layout_says_nothing(text: str) -> None:
    (dump,) = read(text)
    assert essence(dump) == essence(read(RAW)[0])
    if not text.lstrip().startswith('"'):
        assert dump.truncated == []


def test_documents_without_a_line_end() -> None:
    assert [len(dump.threads) for dump in read(RAW * 3)] == [3, 3, 3]


def test_real_lines() -> None:
    text = json.dumps({"threads": THREADS}, indent=2)
    (dump,) = read(text)
    lines = text.splitlines()
    assert [lines[t.line] for t in dump.threads] == [f'      "threadName": "http-exec-{n}",' for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("lock", "state", "wanted"),
    [(SYNC, "WAITING", True), (CONDITION, "TIMED_WAITING", False), (GATEWAY, "BLOCKED", True)],
)
def test_waits(lock: dict[str, Any], state: str, wanted: bool) -> None:
    (waiter,) = one(thread(1, PARK, CALL, threadState=state, lockInfo=lock)).threads
    assert ((waiter.blocked_on is not None), (waiter.waiting_on is not None)) == (wanted, not wanted)


def test_an_owner_whose_entry_does_not_show_the_lock() -> None:
    dump = one(thread(1, READ), thread(2, CALL, **BLOCKED))
    assert [held.lock for held in dump.threads[0].holds] == [dump.threads[1].blocked_on]
    assert dump.threads[0].holds[0].depth is None


@pytest.mark.parametrize("owner", [{"lockOwnerId": 9}, {"lockOwnerName": "other"}, {"lockOwnerId": None}])
def test_an_owner_who_is_not_here(owner: dict[str, Any]) -> None:
    dump = one(thread(1, READ), thread(2, CALL, **BLOCKED | owner))
    assert dump.threads[0].holds == ()


def test_who_waits_to_be_notified_does_not_want_the_monitor() -> None:
    waiting = {"threadState": "WAITING"}
    dump = one(thread(1, READ), thread(2, WAIT, CALL, **BLOCKED | waiting), thread(3, PARK, CALL, **BLOCKED | waiting))
    notified, parked = dump.threads[1:]
    assert (notified.blocked_on, str(notified.waiting_on)) == (None, "com.shop.Gateway@4eec7777")
    assert parked.blocked_on is notified.waiting_on


def test_the_name_of_the_lock_is_enough() -> None:
    (waiter,) = one(thread(2, CALL, threadState="BLOCKED", lockName="com.shop.Gateway@4eec7777")).threads
    assert str(waiter.blocked_on) == "com.shop.Gateway@4eec7777"


@pytest.mark.parametrize("bad", [5, None, "x", [], {"a": 1}, -1, True, [[]], [{}], "\ud800"])
def test_values_of_other_kinds(bad: object) -> None:
    threads = [thread(n, CALL, **{key: bad}) for n, key in enumerate(thread(0))]
    threads.append(thread(98, frame("a.B", "c", **dict.fromkeys(("fileName", "lineNumber"), bad))))
    threads.append(thread(99, lockedMonitors=[{"className": bad, "identityHashCode": bad, "lockedStackDepth": bad}]))
    assert len(one(*threads).threads) == len(threads)


def test_objects_that_are_no_threads() -> None:
    dump = one(thread(1, CALL), {"name": "x"}, thread(2, CALL))
    assert (len(dump.threads), [p.reason for p in dump.problems]) == (2, ["an object that is no thread"])


@pytest.mark.parametrize("layout", [{"indent": 1}, {}])
def test_cut_anywhere_keeps_the_complete_threads(layout: dict[str, Any]) -> None:
    text = json.dumps({"threads": THREADS}, **layout)
    ends = [text.index('"lockInfo"', text.index(f'"http-exec-{n}",')) for n in (1, 2, 3)]
    ends = [text.index("}", end + (40 if n else 0)) + 1 for n, end in enumerate(ends)]
    for cut in range(0, len(text), 3):
        try:
            dumps = read(text[:cut])
        except InputError:
            dumps = []
        found = [t.java_id for dump in dumps for t in dump.threads]
        assert found == [1, 2, 3][: len(found)]
        assert len(found) >= sum(end + 40 <= cut for end in ends)
        assert all(dump.truncated and dump.problems for dump in dumps)


@pytest.mark.parametrize(
    "text", ['{"threads":[{"threadName":"x","level":"INFO"}]}', '{"threads": [1, 2]}', '{"threadName":"main","m":"x"}']
)
def test_other_json_is_left_alone(text: str) -> None:
    lines = Lines([text.encode()])
    assert list(actuator.parse(lines)) == []
    assert lines.peek(1) == [(1, text.encode())]


@given(st.binary(max_size=400), st.integers(0, len(RAW)), st.integers(0, 60))
def test_nothing_makes_it_fail(noise: bytes, at: int, removed: int) -> None:
    raw = RAW.encode()
    for text in (raw[:at] + noise + raw[at + removed :], noise, raw[at:] + noise):
        list(actuator.parse(Lines(text.splitlines(keepends=True))))
    actuator.claims(noise)
    actuator.claims(b'{"threads":[' + noise)


def test_jolokia() -> None:
    answer = {"request": {"operation": "dumpAllThreads(boolean,boolean)", "type": "exec"}, "value": THREADS}
    for document in (answer | {"timestamp": 1_700_000_000, "status": 200}, {"timestamp": 1_700_000_000} | answer):
        for indent in (None, 2):
            (dump,) = read(json.dumps(document, indent=indent))
            assert essence(dump) == essence(one(*THREADS))
            assert dump.problems == []
            assert indent or dump.taken_at == "2023-11-14T22:13:20Z"  # may stand above the line that tells what it is


def test_an_error_of_jolokia_is_no_dump() -> None:
    answer = {"request": {"operation": "dumpAllThreads"}, "error_type": "InstanceNotFoundException", "status": 404}
    with pytest.raises(InputError):
        read(json.dumps(answer))


def spark(number: int, *elements: str, **more: Any) -> dict[str, Any]:
    return {
        "threadId": number,
        "threadName": f"task-{number}",
        "threadState": "RUNNABLE",
        "stackTrace": {"elems": list(elements)},
        "blockedByLock": "",
        "holdingLocks": [],
    } | more


SPARK_3 = [
    spark(
        1,
        "com.shop.Gateway.schedule(Gateway.java:63) => holding Monitor(com.shop.Gateway@78})",
        holdingLocks=[
            "Lock(java.util.concurrent.locks.ReentrantLock$NonfairSync@255})",
            "Monitor(com.shop.Gateway@78})",
        ],
    ),
    spark(
        2,
        "app//com.shop.Gateway.schedule(Gateway.java:63)",
        threadState="BLOCKED",
        blockedByThreadId=1,
        blockedByLock="Lock(com.shop.Gateway@78})",
    ),
]
SPARK_4 = [
    spark(
        1,
        "com.shop.Gateway.schedule(Gateway.java:63)\n\t-  locked com.shop.Gateway@4e\n",
        synchronizers=["java.util.concurrent.locks.ReentrantLock$NonfairSync@ff"],
        monitors=["com.shop.Gateway@4e"],
        holdingLocks=[
            "Lock(java.util.concurrent.locks.ReentrantLock$NonfairSync@255})",
            "Monitor(com.shop.Gateway@78})",
        ],
        isDaemon=True,
    ),
    spark(
        2,
        "app//com.shop.Gateway.schedule(Gateway.java:63)\n\t-  blocked on com.shop.Gateway@4e\n",
        threadState="BLOCKED",
        blockedByThreadId=1,
        lockName="com.shop.Gateway@4e",
        isDaemon=False,
    ),
]


@pytest.mark.parametrize("threads", [SPARK_3, SPARK_4], ids=["3", "4"])
@pytest.mark.parametrize("indent", [None, 2])
def test_spark(threads: list[dict[str, Any]], indent: int | None) -> None:
    (dump,) = read(json.dumps(threads, indent=indent).replace("[\n  {", "[ {", 1))
    holder, blocked = dump.threads
    assert [(t.name, t.java_id, t.state, len(t.stack)) for t in dump.threads] == [
        ("task-1", 1, "RUNNABLE", 1), ("task-2", 2, "BLOCKED", 1),
    ]  # fmt: skip
    assert [(str(held.lock), held.depth) for held in holder.holds] == [
        ("com.shop.Gateway@4e", 0),
        ("java.util.concurrent.locks.ReentrantLock$NonfairSync@ff", None),
    ]
    assert str(blocked.blocked_on) == "com.shop.Gateway@4e"
    assert (dump.problems, dump.truncated) == ([], [])
