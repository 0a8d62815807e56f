"""Documents of ``Thread.dump_to_file -format=json``, one trap each."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import goldens
from threaddump import intake
from threaddump.sources import InputError
from threaddump_parsers import claimant, jcmd_json
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump

ACCOUNT_A, ACCOUNT_B = "com.shop.Account@2c361df7", "com.shop.Account@7ca53c52"
LOCK = "java.util.concurrent.locks.ReentrantLock$NonfairSync@515b512a"
PARK = "java.base/jdk.internal.misc.Unsafe.park(Native Method)"
RUN = "java.base/java.lang.Thread.run(Thread.java:1474)"
VIRTUAL_RUN = "java.base/java.lang.VirtualThread.run(VirtualThread.java:309)"


def thread(number: int, /, *stack: str, **more: Any) -> dict[str, Any]:
    return {"tid": str(number), "name": f"t-{number}", "stack": list(stack)} | more


def container(*threads: dict[str, Any], name: str = "<root>", **more: Any) -> dict[str, Any]:
    return {
        "container": name,
        "parent": None if name == "<root>" else "<root>",
        "owner": None,
        "threads": list(threads),
        "threadCount": str(len(threads)),
    } | more


def document(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "threadDump": {
            "processId": "6845",
            "time": "2026-11-22T20:49:15.490532107Z",
            "runtimeVersion": "25.0.2+10-LTS",
            "threadContainers": list(containers),
        }
        | more
    }


TRANSFER = "com.shop.Bank.transfer(Bank.java:24)"
TWO = [
    thread(
        22,
        TRANSFER,
        VIRTUAL_RUN,
        virtual=True,
        state="BLOCKED",
        blockedOn=ACCOUNT_B,
        monitorsOwned=[{"depth": 0, "locks": [ACCOUNT_A]}],
    ),
    thread(
        24,
        TRANSFER,
        VIRTUAL_RUN,
        virtual=True,
        state="BLOCKED",
        blockedOn=ACCOUNT_A,
        monitorsOwned=[{"depth": 0, "locks": [None, ACCOUNT_B]}],
    ),
]
PRETTY = json.dumps(document(container(*TWO)), indent=2).replace("base/", "base\\/") + "\n"


def read(text: str | bytes) -> list[Dump]:
    """Through the intake: the claimed line is not the first one."""
    return list(intake.dumps(goldens.source(text.encode() if isinstance(text, str) else text)))


def one(value: Any, **layout: Any) -> Dump:
    (dump,) = read(json.dumps(value, **layout))
    return dump


def essence(dump: Dump) -> list[Any]:
    return [
        (
            t.name,
            t.java_id,
            t.state,
            t.virtual,
            [(f.function, f.file, f.line, f.native) for f in t.stack],
            str(t.blocked_on),
            str(t.waiting_on),
            [(str(held.lock), held.depth) for held in t.holds],
            [str(lock) for lock in t.wait_released],
        )
        for t in dump.threads
    ]


def test_a_document() -> None:
    (dump,) = read(PRETTY)
    assert (dump.format, dump.family, dump.pid, dump.version) == ("jcmd-json", "jvm", 6845, "25.0.2+10-LTS")
    assert dump.taken_at == "2026-11-22T20:49:15.490532107Z"
    assert (dump.line, dump.end_line) == (1, PRETTY.count("\n"))
    assert (dump.truncated, dump.problems, dump.unread_lines) == ([], [], 0)
    first, second = dump.threads
    lines = PRETTY.splitlines()
    assert [lines[t.line - 1].strip() for t in dump.threads] == ["{", "{"]
    assert '"tid": "22"' in lines[first.line]
    assert (first.name, first.java_id, first.state, first.printed_state) == ("t-22", 22, "BLOCKED", "BLOCKED")
    assert (first.virtual, first.internal, first.carrier) == (True, False, None)
    assert first.stack is second.stack
    assert [(f.function, f.file, f.line) for f in first.stack] == [
        ("com.shop.Bank.transfer", "Bank.java", 24),
        ("java.lang.VirtualThread.run", "VirtualThread.java", 309),
    ]
    assert first.blocked_on is second.holds[0].lock
    assert second.blocked_on is first.holds[0].lock
    assert [held.depth for held in (*first.holds, *second.holds)] == [0, 0]
    assert (first.blocked_on.id, first.blocked_on.class_name) == (ACCOUNT_B, "com.shop.Account")


@pytest.mark.parametrize(
    "layout", [{"indent": 1}, {"indent": 0}, {"indent": "\t"}, {"separators": (",", ":")}, {"ensure_ascii": False}]
)
def test_layout_says_nothing(layout: dict[str, Any]) -> None:
    value = document(container(*TWO), container(thread(3, RUN, name='wéird "[{' + "\\"), name="ForkJoinPool-1"))
    assert essence(one(value, **layout)) == essence(one(value, indent=2))


def test_on_one_line_every_thread_is_at_that_line() -> None:
    (dump,) = read("curl output\n\n" + json.dumps(document(container(*TWO))) + "\nbye\n")
    assert (dump.line, dump.end_line, {t.line for t in dump.threads}) == (3, 3, {3})


def test_documents_on_one_line() -> None:
    raw = json.dumps(document(container(*TWO)))
    assert [len(dump.threads) for dump in read(raw * 3 + " and more")] == [2, 2, 2]


def test_java_21_has_stacks_only() -> None:
    dump = one(document(container(thread(1, PARK, RUN), thread(2, PARK, VIRTUAL_RUN), thread(3, name=""))), indent=2)
    assert [(t.name, t.state, t.printed_state, t.virtual) for t in dump.threads] == [
        ("t-1", None, None, False),
        ("t-2", None, None, True),
        ("", None, None, False),
    ]


def test_numbers_and_the_owner_of_what_is_parked_on() -> None:
    waiter = thread(30, PARK, RUN, tid=30, state="WAITING", parkBlocker={"object": LOCK, "owner": 31})
    latch = thread(32, PARK, RUN, tid=32, state="WAITING", parkBlocker={"object": "com.shop.Gate@1", "owner": "31"})
    value = document(
        container(waiter, thread(31, RUN, tid=31), latch, threadCount=3), processId=77, formatVersion=2, time="T"
    )
    dump = one(value)
    first, owner, other = dump.threads
    assert dump.pid == 77
    assert [held.lock for held in owner.holds] == [first.blocked_on, other.blocked_on]
    assert (first.waiting_on, other.waiting_on) == (None, None)


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        (LOCK, True),
        ("java.util.concurrent.locks.ReentrantReadWriteLock$NonfairSync@1", True),
        ("java.util.concurrent.locks.AbstractQueuedSynchronizer$ConditionObject@1", False),
        ("java.util.concurrent.ForkJoinPool@53b32d7", False),
    ],
)
def test_what_is_parked_on(lock: str, wanted: bool) -> None:
    (parked,) = one(document(container(thread(1, PARK, state="WAITING", parkBlocker={"object": lock})))).threads
    assert [str(parked.blocked_on), str(parked.waiting_on)] == ([lock, "None"] if wanted else ["None", lock])


@pytest.mark.parametrize(("key", "state"), [("waitingOn", "WAITING"), ("blockedOn", "BLOCKED")])
def test_object_wait_has_released_its_monitor(key: str, state: str) -> None:
    queue = "java.lang.ref.ReferenceQueue$Lock@4f933fd1"
    stack = ["java.base/java.lang.Object.wait0(Native Method)", "com.shop.Worker.take(Worker.java:9)", RUN]
    owned = [{"depth": 1, "locks": [queue]}, {"depth": 2, "locks": [ACCOUNT_A]}]
    (waiter,) = one(document(container(thread(12, *stack, state=state, monitorsOwned=owned, **{key: queue})))).threads
    assert [(str(held.lock), held.depth) for held in waiter.holds] == [(ACCOUNT_A, 2)]
    assert [str(lock) for lock in waiter.wait_released] == [queue]


def test_carriers() -> None:
    mounted = thread(23, PARK, VIRTUAL_RUN, virtual=True, carrier="24")
    lost = thread(25, PARK, VIRTUAL_RUN, virtual=True, carrier=99)
    dump = one(document(container(mounted, lost), container(thread(24, RUN, name="worker-1"), name="pool")))
    first, second, carrier = dump.threads
    assert (first.carrier, carrier.carries, second.carrier, carrier.carrier) == ("worker-1", 23, "#99", None)


def test_each_thread_once() -> None:
    dump = one(document(container(*TWO), container(TWO[0], thread(3), name="scope", owner="22")))
    assert [t.java_id for t in dump.threads] == [22, 24, 3]
    assert [problem.reason for problem in dump.problems] == ["the thread 22 is listed twice"]


def test_fewer_threads_than_counted() -> None:
    dump = one(document(container(*TWO, threadCount="5"), container(name="empty", threadCount=1)))
    assert dump.truncated == ["the containers count 4 threads more than they list"]


def test_no_thread() -> None:
    dump = one(document(container()))
    assert (dump.threads, [p.reason for p in dump.problems]) == ([], ["the dump has no thread"])


def test_entries_that_are_none() -> None:
    raw = json.dumps(document(container(thread(1), thread(2), thread(3)))).replace('"t-2"', "oops")
    (dump,) = read(raw)
    assert [t.java_id for t in dump.threads] == [1, 3]
    assert [p.reason for p in dump.problems] == ["a thread that is no JSON"]
    assert dump.truncated


@pytest.mark.parametrize("bad", [5, None, "x", [], {"a": 1}, -1, True, "9" * 30, "\ud800"])
def test_values_of_other_kinds(bad: object) -> None:
    keys = ("tid", "name", "state", "virtual", "stack", "blockedOn", "waitingOn", "parkBlocker", "carrier")
    dump = one(
        document(
            container(
                *(thread(n, RUN, **{key: bad}) for n, key in enumerate(keys, 100)),
                thread(20, RUN, stack=[bad], monitorsOwned=bad),
                thread(21, RUN, monitorsOwned=[bad, {"depth": bad, "locks": bad}, {"depth": bad, "locks": [bad]}]),
                thread(22, RUN, parkBlocker={"object": bad, "owner": bad}),
                threadCount=bad,
            ),
            processId=bad,
            time=bad,
        )
    )
    assert len(dump.threads) == 12


def test_cut_anywhere_keeps_the_complete_threads() -> None:
    for layout in ({"indent": 2}, {}):
        raw = json.dumps(document(container(*TWO, thread(5, RUN)), container(thread(6), name="x")), **layout)
        for cut in range(len(raw)):
            try:
                dumps = read(raw[:cut])
            except InputError:
                dumps = []
            found = [t.java_id for dump in dumps for t in dump.threads]
            assert found == [22, 24, 5, 6][: len(found)]
            whole = [end for end in ends(raw) if end <= cut]
            assert len(found) >= len(whole)
            assert all(dump.truncated and dump.problems for dump in dumps)


def ends(raw: str) -> list[int]:
    """Where the threads end, by counting braces."""
    found, depth = [], 0
    for place, char in enumerate(raw):
        depth += (char == "{") - (char == "}")
        if char == "}" and depth == 3:
            found.append(place + 1)
    return [end for end in found if '"tid"' in raw[raw.rfind('"tid"', 0, end) : end]]


@pytest.mark.parametrize(
    "follows",
    [
        '"main" #1 prio=5 os_prio=0 tid=0x00007f0000000000 nid=0x1 runnable  [0x00007f0000000000]\n',
        "2026-11-22 20:54:13 INFO something else\n",
        "Full thread dump OpenJDK 64-Bit Server VM (17.0.15+6 mixed mode):\n",
        "[main] INFO something else\n",
    ],
)
def test_a_cut_document_ends_where_something_else_begins(follows: str) -> None:
    cut = PRETTY[: PRETTY.index('"tid": "24"')]
    first, *others = read(cut + "\n" + follows)
    assert [t.java_id for t in first.threads] == [22]
    assert first.end_line == cut.count("\n") + 1
    assert [dump.format for dump in others] == ["hotspot"] * ("0x" in follows or "dump" in follows)


def test_a_cut_document_before_another() -> None:
    cut = PRETTY[: PRETTY.index('"tid": "24"')]
    dumps = read(cut + "\n" + PRETTY)
    assert [[t.java_id for t in dump.threads] for dump in dumps] == [[22], [22, 24]]


def test_its_first_line_may_be_missing() -> None:
    (dump,) = read(PRETTY.partition("\n")[2])
    assert [t.java_id for t in dump.threads] == [22, 24]


@pytest.mark.parametrize(
    "text",
    [
        '{\n  "threadDump": "x.txt"\n}\n',
        '{"threadDump": null}\n',
        '{"level":"INFO","threadDump":{"processId":1}}\n',
        'see "threadDump": {"processId": "1"}\n',
    ],
)
def test_other_json_is_left_alone(text: str) -> None:
    lines = Lines(text.encode().splitlines(keepends=True))
    assert list(jcmd_json.parse(lines)) == [] or claimant(text.encode().splitlines()[0]) is None


@pytest.mark.parametrize("name", ["jcmd-json/virtual-deadlock.json", "jcmd-json/java21-monitor-convoy.json"])
def test_line_ends_say_nothing(name: str) -> None:
    raw = goldens.content(name)
    assert [essence(d) for d in read(raw.replace(b"\n", b"\r\n"))] == [essence(d) for d in read(raw)]


@given(st.binary(max_size=400), st.integers(0, len(PRETTY)), st.integers(0, 60))
def test_nothing_makes_it_fail(noise: bytes, at: int, removed: int) -> None:
    raw = PRETTY.encode()
    for text in (
        raw[:at] + noise + raw[at + removed :],
        noise,
        b'{"threadDump":' + noise,
        raw[:at] + raw[at + removed :],
    ):
        lines = Lines(text.splitlines(keepends=True))
        lines.last = [(0, b"{\n")]
        list(jcmd_json.parse(lines))
        jcmd_json.claims(noise)


@pytest.mark.parametrize(
    "hostile",
    [
        b'"' + b'\\"' * 500_000,
        b"[" * 1_000_000,
        b'{"a":' * 200_000,
        b'"threads":[' * 100_000,
        b'{"x":"' * 200_000,
        b'[{"threadDump":{"processId":1,' * 40_000,
        b'"time"  ' * 150_000,
        b'"\n' * 100_000,
        b"{\n" * 100_000,
    ],
)
def test_hostile_input_is_read_in_linear_time(hostile: bytes) -> None:
    text = b'{"threadDump":{"processId":"1","threadContainers":[{"threads":[{"tid":"1",' + hostile
    start = time.process_time()
    list(jcmd_json.parse(Lines(text.splitlines(keepends=True))))
    list(jcmd_json.parse(Lines((b'{"threadDump":{"processId":"1","x":' + hostile).splitlines(keepends=True))))
    assert time.process_time() - start < 10


POOL, SCOPE = "java.util.concurrent.ThreadPerTaskExecutor@1da1892b", "java.util.concurrent.StructuredTaskScope@1a65b527"


def in_scopes(**more: Any) -> dict[str, Any]:
    return document(
        container(thread(3, RUN)),
        container(thread(32, VIRTUAL_RUN), name=POOL),
        container(thread(41, VIRTUAL_RUN), thread(42, VIRTUAL_RUN), name=SCOPE, parent=POOL, owner="32", **more),
        container(name="empty"),
    )


@pytest.mark.parametrize("indent", [None, 2])
def test_containers(indent: int | None) -> None:
    (dump,) = read(json.dumps(in_scopes(), indent=indent))
    assert [(one.name, one.parent, one.owner, one.count) for one in dump.containers] == [
        ("<root>", None, None, 1),
        (POOL, "<root>", None, 1),
        (SCOPE, POOL, 32, 2),
        ("empty", "<root>", None, 0),
    ]
    assert [(t.java_id, t.container and t.container.name) for t in dump.threads] == [
        (3, "<root>"), (32, POOL), (41, SCOPE), (42, SCOPE),
    ]  # fmt: skip


def test_containers_with_numbers() -> None:
    (dump,) = read(json.dumps(in_scopes() | {"formatVersion": 2}).replace('"32"', "32").replace('"2"', "2"))
    assert [(one.owner, one.count) for one in dump.containers] == [(None, 1), (None, 1), (32, 2), (None, 0)]


def test_containers_of_a_cut_dump() -> None:
    text = json.dumps(in_scopes(), indent=2)
    (dump,) = read(text[: text.index('"tid": "42"')])
    assert [(t.java_id, t.container and t.container.name) for t in dump.threads] == [
        (3, "<root>"),
        (32, POOL),
        (41, SCOPE),
    ]
    assert [(one.name, one.owner) for one in dump.containers] == [("<root>", None), (POOL, None), (SCOPE, 32)]


def test_an_owner_of_a_park_blocker_is_no_owner_of_a_container() -> None:
    waiter = thread(31, PARK, parkBlocker={"object": LOCK, "owner": "30", "container": "x", "threads": []})
    dump = one(document(container(waiter, thread(30, RUN))))
    assert [(c.name, c.owner) for c in dump.containers] == [("<root>", None)]
