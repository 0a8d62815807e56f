"""JRockit's dumps, one trap each. The whole ones are below ``fixtures/jrockit/``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import goldens
from threaddump import intake
from threaddump_parsers import claimant, jrockit
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Thread

TITLE = """\
===== FULL THREAD DUMP ===============
Wed Aug 17 12:05:14 2005
BEA JRockit(R) R25.2.0-28 dra-45238-20050523-2021-win-ia32

"""
WEB = """\
"web-1" id=10 idx=0x14 tid=5628 prio=5 alive, in native, blocked
    -- Blocked trying to get lock: com/shop/Stock@0x0095C8D0[thin lock]
    at jrockit/vm/Threads.shortNap(I)V(Native Method)
    at jrockit/vm/Locks.monitorEnter(Ljava/lang/Object;)Ljava/lang/Object;(Unknown Source)
    at com/shop/Stock.reserve()V(Stock.java:25)
    ^-- Holding lock: com/shop/Cart@0x0095C8C8[thin lock]
    at jrockit/vm/RNI.c2java()V(Native Method)
    -- end of trace

"""
END = "===== END OF THREAD DUMP ===============\n"
CHAINS = """\
Circular (deadlocked) lock chains
=================================
Chain 2:
"web-1" id=10 idx=0x14 tid=5628 waiting for com/shop/Stock@0x0095C8D0 held by:
"web-2" id=11 idx=0x16 tid=3264 waiting for com/shop/Cart@0x0095C8C8 held by:
"web-1" id=10 idx=0x14 tid=5628

"""
WHOLE = [name for name in goldens.fixtures() if name.startswith("jrockit/")]


def parse(text: str | bytes) -> list[Dump]:
    raw = text.encode() if isinstance(text, str) else text
    return list(jrockit.parse(Lines(raw.splitlines(keepends=True))))


def only(text: str) -> Dump:
    (dump,) = parse(text)
    return dump


def one(words: str, *lines: str) -> Thread:
    body = "".join(f"    {line}\n" for line in lines)
    (thread,) = only(
        f'{TITLE}"web-1" id=10 idx=0x14 tid=5628 prio=5 {words}\n{body}    -- end of trace\n\n{END}'
    ).threads
    return thread


def functions(thread: Thread) -> list[str]:
    return [frame.function for frame in thread.stack]


def test_a_thread() -> None:
    dump = only(TITLE + WEB + END)
    (web,) = dump.threads
    assert (dump.runtime, dump.version, dump.taken_at) == ("BEA JRockit", "R25.2.0", "2005-08-17T12:05:14")
    assert (web.name, web.line, web.java_id, web.native_id, web.daemon) == ("web-1", 5, 10, 5628, False)
    assert (web.state, web.printed_state) == ("BLOCKED", "alive, in native, blocked")
    assert functions(web) == ["com.shop.Stock.reserve"]
    assert str(web.blocked_on) == "com.shop.Stock 0x0095C8D0"
    assert [(str(held.lock), held.depth) for held in web.holds] == [("com.shop.Cart 0x0095C8C8", 0)]
    assert (dump.truncated, dump.problems, dump.unread_lines) == ([], [], 0)


HEADERS = {
    '"a" id=10 idx=0x14 tid=5628 prio=5 alive, in native, daemon': (10, 5628, True, "RUNNABLE"),
    '"a" id=? idx=0x14 tid=5628 prio=5 alive, native_waiting': (None, 5628, False, "RUNNABLE"),
    '"a" id=1 idx=0x4 tid=7 prio=5 alive, sleeping, native_waiting': (1, 7, False, "TIMED_WAITING"),
    '"a" id=1 idx=0x4 tid=7 prio=5 alive, parked, native_blocked': (1, 7, False, "WAITING"),
    '"a" prio=5 id=0x500 tid=0x1280 blocked': (0x500, 0x1280, False, "BLOCKED"),
    '"a" prio=10 id=0x400 tid=0x4e8 waiting for pending references, daemon': (0x400, 0x4E8, True, "WAITING"),
    '"a"  id: 0x00000500  prio: 5  ACTIVE, NONDAEMON, GCABLE': (0x500, None, False, "RUNNABLE"),
    '"a"  id: 0x0x00000080  prio: 5  WAITING, DAEMON, GCABLE': (0x80, None, True, "WAITING"),
    'Thread-10 "a" <alive, in native, blocked, priority=5, DAEMON> {': (10, None, True, "BLOCKED"),
    'Thread-0x880 "a" <Active, priority=5> {': (0x880, None, False, "RUNNABLE"),
}


@pytest.mark.parametrize("header", HEADERS)
def test_headers(header: str) -> None:
    dump = only(header)
    (found,) = dump.threads
    assert claimant(header.encode()) is jrockit
    assert (found.java_id, found.native_id, found.daemon, found.state) == HEADERS[header]
    assert found.name == "a"
    assert dump.truncated == ["the beginning of the dump is missing", "the end of the dump is missing"]


@pytest.mark.parametrize(
    "name", ['a "b"', "x\ny", '" id=1 idx=0x1 tid=1 prio=5 alive', "", "Thread-1", "waiting for a@1 held by:"]
)
def test_names_may_hold_anything(name: str) -> None:
    dump = only(f"{TITLE}{WEB.replace('web-1', name, 1)}{END}")
    assert [thread.name for thread in dump.threads] == [name]


def test_frames() -> None:
    web = one(
        "alive",
        "at com/shop/Gateway.ask([BLjava/lang/String;I)Ljava/lang/Object;(Gateway.java:77)[inlined]",
        "at com/shop/Gateway.<init>(Gateway.java:7)[optimized]",
        "at com/shop/Gateway$1.run()[[I(Unknown Source)@0x00CCC620",
        "at com.shop.Old.run(Old.java)@18B9FD01",
        "at java/net/PlainSocketImpl.socketAccept(Ljava/net/SocketImpl;)V(Native Method)",
    )
    assert [(frame.function, frame.file, frame.line, frame.native) for frame in web.stack] == [
        ("com.shop.Gateway.ask", "Gateway.java", 77, False),
        ("com.shop.Gateway.<init>", "Gateway.java", 7, False),
        ("com.shop.Gateway$1.run", None, None, False),
        ("com.shop.Old.run", "Old.java", None, False),
        ("java.net.PlainSocketImpl.socketAccept", None, None, True),
    ]


def test_object_wait_has_given_the_monitor_up() -> None:
    waits = one(
        "alive, waiting",
        "-- Waiting for notification on: com/shop/Box@0x10[fat lock]",
        "at jrockit/vm/Threads.waitForNotifySignal(JLjava/lang/Object;)Z(Native Method)",
        "at java/lang/Object.wait(J)V(Native Method)",
        "at com/shop/Box.take(Box.java:1)",
        "^-- Lock released while waiting: com/shop/Box@0x10[fat lock]",
        "^-- Holding lock: com/shop/Shop@0x20[biased lock]",
        "at com/shop/Shop.sell(Shop.java:1)",
        "^-- Holding lock: com/shop/Idle@0x30[unlocked]",
    )
    assert (str(waits.waiting_on), waits.blocked_on, waits.state) == ("com.shop.Box 0x10", None, "WAITING")
    assert [(held.lock.id, held.depth) for held in waits.holds] == [("0x20", 1)]
    assert [lock.id for lock in waits.wait_released] == ["0x10"]
    assert functions(waits)[0] == "java.lang.Object.wait"


def test_the_wait_of_1_4_2_is_named_as_in_other_jvms() -> None:
    waits = one(
        "waiting",
        "at jrockit/vm/Threads.waitForSignal(Native Method)",
        "at jrockit/vm/Locks.wait(Unknown Source)",
        "at com/shop/Box.take(Box.java:1)",
    )
    assert functions(waits) == ["java.lang.Object.wait", "com.shop.Box.take"]


@pytest.mark.parametrize(
    "frame",
    [
        "jrockit/vm/Threads.waitForSignalWithTimeout(Native Method)",
        "java/util/concurrent/locks/LockSupport.parkNanos(L.java:1)",
    ],
)
def test_frames_tell_which_wait_has_a_timeout(frame: str) -> None:
    assert one("alive, waiting", f"at {frame}", "at a/B.c(B.java:1)").state == "TIMED_WAITING"


@pytest.mark.parametrize(
    "frame",
    ["jrockit.vm.Locks.monitorEnter(Native Method)@414F0109", "java.lang.Object.monitorEnter(Native Method)@32520CE6"],
)
def test_a_thread_that_enters_a_monitor_is_blocked_also_where_no_lock_is_printed(frame: str) -> None:
    blocked = one(
        "alive", "at jrockit.vm.Threads.progressiveNap(Native Method)@40C40D70", f"at {frame}", "at a.B.c(B.java:1)"
    )
    assert (blocked.state, blocked.blocked_on, functions(blocked)) == ("BLOCKED", None, ["a.B.c"])


def test_parked() -> None:
    owned = one(
        "alive, parked",
        "-- Parking to wait for: java/util/concurrent/locks/ReentrantLock$NonfairSync@0x1",
        "at a/B.c(B.java:1)",
    )
    condition = one("alive, parked", "-- Parking to wait for: a/Gate@0x1", "at a/B.c(B.java:1)")
    assert (owned.blocked_on is None, condition.blocked_on is None) == (False, True)
    assert str(condition.waiting_on) == "a.Gate 0x1"


def test_threads_of_the_vm_keep_their_frames() -> None:
    dump = only(f'{TITLE}"(GC Main Thread)" id=5 idx=0xa tid=1964 prio=5 alive, in native, daemon\n\n{END}')
    assert dump.threads[0].internal
    assert functions(one("alive", "at jrockit/vm/Threads.sleep(I)V(Native Method)")) == ["jrockit.vm.Threads.sleep"]


def test_a_reported_deadlock() -> None:
    web2 = WEB.replace("web-1", "web-2").replace("id=10", "id=11").replace("Stock@0x0095C8D0", "Cart@0x0095C8C8", 1)
    dump = only(TITLE + WEB + web2 + CHAINS + END)
    (reported,) = dump.deadlocks
    assert (reported.threads, reported.owners) == (("web-1", "web-2"), ("web-2", "web-1"))
    assert [str(lock) for lock in reported.locks] == ["com.shop.Stock 0x0095C8D0", "com.shop.Cart 0x0095C8C8"]
    assert dump.end_line == len((TITLE + WEB + web2 + CHAINS + END).splitlines())
    assert (dump.unread_lines, dump.truncated) == (0, [])


@pytest.mark.parametrize("end", ["(active)", "in chain 1", ""])
def test_chains_tell_owners(end: str) -> None:
    owner = '"web-2" id=11 idx=0x16 tid=3264 prio=5 alive\n    at a/B.c(B.java:1)\n    -- end of trace\n\n'
    last = CHAINS.splitlines()[4].partition(" waiting")[0]
    first = CHAINS.splitlines()[3]
    dump = only(
        f"{TITLE}{WEB}{owner}Open lock chains\n================\nChain 1:\n{first}\n{last} {end}".rstrip()
        + f"\n\n{END}"
    )
    assert [[str(held.lock) for held in thread.holds] for thread in dump.threads][1] == ["com.shop.Stock 0x0095C8D0"]
    assert (dump.deadlocks, dump.unread_lines) == ([], 0)


def test_the_process_that_jrcmd_names() -> None:
    text = f"4242:\n\n{TITLE}{WEB}{END}".encode()
    assert [dump.pid for dump in intake.dumps(goldens.source(text * 2))] == [4242, 4242]
    assert [dump.pid for dump in intake.dumps(goldens.source(b"4242:\n" + b"log\n" * 5 + text[7:]))] == [None]


@pytest.mark.parametrize(
    ("line", "runtime", "version"),
    [
        ("BEA JRockit(R) R27.6.3-40_o-112056-1.6.0_11-20090318-2104-windows-ia32", "BEA JRockit", "R27.6.3 (1.6.0_11)"),
        (
            "Oracle JRockit(R) R28.0.0-679-130297-1.6.0_17-20100312-2123-windows-ia32",
            "Oracle JRockit",
            "R28.0.0 (1.6.0_17)",
        ),
        ("BEA JRockit(R) R25.2.0-28 dra-45238-20050523-2021-win-ia32", "BEA JRockit", "R25.2.0"),
    ],
)
def test_versions(line: str, runtime: str, version: str) -> None:
    dump = only(TITLE.replace(TITLE.splitlines()[2], line) + WEB + END)
    assert (dump.runtime, dump.version) == (runtime, version)


def test_times_with_and_without_a_zone() -> None:
    for time in ("Thu May 04 16:58:13 JST 2006", "Thu May  4 16:58:13 2006", "Thu May 4 16:58:13 2006"):
        assert only(TITLE.replace(TITLE.splitlines()[1], time) + WEB + END).taken_at == "2006-05-04T16:58:13"


def test_a_record_of_weblogic_s_log() -> None:
    record = f"<2006/05/04 16:58:24 JST> <Error> <com.bea.weblogic.kernel> <000000> <{TITLE}{WEB}{'=' * 38}\n\n> \n"
    dump = only(record)
    assert (len(dump.threads), dump.truncated, dump.line) == (1, [], 1)


def test_several_in_a_log_and_one_that_is_cut() -> None:
    web2 = WEB.replace("id=10", "id=11")
    text = f"{TITLE}{WEB}{END}<Notice> <BEA-000360> server is up\n{TITLE}{WEB}INFO order placed\n{web2}"
    first, second = parse(text)
    assert (first.truncated, first.unread_lines, len(first.threads)) == ([], 0, 1)
    assert (second.truncated, second.unread_lines, len(second.threads)) == (["the end of the dump is missing"], 1, 2)


def test_a_title_without_threads_is_an_empty_dump() -> None:
    assert [len(dump.threads) for dump in parse(TITLE)] == [0]


@pytest.mark.parametrize(
    "line",
    [
        "=====================",
        "<2006> <Error> <THREAD DUMP follows>",
        '"web-1" id=10 idx=0x14 tid=5628 waiting for com/shop/Stock@0x0095C8D0 held by:',
        'Thread-1 "a" is alive',
        '"main" prio=5 tid=0x1 nid=0x2 runnable',
    ],
)
def test_what_is_not_claimed(line: str) -> None:
    assert not jrockit.claims(f"{line}\n".encode())


@given(st.sampled_from(WHOLE), st.binary(max_size=200), st.floats(0, 1), st.integers(0, 300))
def test_nothing_makes_it_fail(name: str, noise: bytes, where: float, removed: int) -> None:
    raw = goldens.content(name)
    at = int(where * len(raw))
    for changed in (raw[:at] + noise + raw[at + removed :], noise, raw[at:] + noise, TITLE.encode() + raw[at:]):
        for dump in parse(changed):
            assert all(thread.line > 0 for thread in dump.threads)
    for start in (b"", b"=====", b'"x" id=1 ', b"Thread-1 ", b"<"):
        jrockit.claims(start + noise)


KINDS = st.sampled_from([line + b"\n" for name in WHOLE for line in goldens.content(name).splitlines()])


@given(st.lists(KINDS, max_size=60))
def test_any_order_of_lines(lines: list[bytes]) -> None:
    for dump in parse(b"".join(lines)):
        assert dump.end_line <= len(lines)
        for thread in dump.threads:
            assert all(held.depth is None or 0 <= held.depth <= len(thread.stack) for held in thread.holds)


HOSTILE = {
    "names": b'"' + b'" id=1 idx=0x1 tid=1 prio=5 ' * 1500 + b"\n",
    "signatures": b"    at " + b"a/b(L" * 3000 + b"\n",
    "locks": b"    -- " + b"Blocked: a@0x1[" * 3000 + b"\n",
    "chains": CHAINS.encode() * 300,
    "one chain": CHAINS[: CHAINS.index('"')].encode() + CHAINS.splitlines(keepends=True)[3].encode() * 3000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_work_grows_with_the_input_and_not_faster(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted are the characters that are decoded and given to the grammar."""
    seen = 0
    plain = jrockit.text

    def text(line: bytes) -> str:
        nonlocal seen
        seen += len(line)
        return plain(line)

    monkeypatch.setattr(jrockit, "text", text)
    raw = (TITLE + WEB).encode() + HOSTILE[name]
    parse(raw)
    assert seen <= 8 * len(raw)
