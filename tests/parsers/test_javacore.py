"""Javacores, one trap each. The whole ones are below ``fixtures/javacore/``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import goldens
import variants
from threaddump import intake
from threaddump_parsers import claimant, javacore
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Thread

RULE = "NULL           ------------------------------------------------------------------------\n"
TITLE = f"""\
{RULE}0SECTION       TITLE subcomponent dump routine
NULL           ===============================
1TISIGINFO     Dump Event "user" (00004000) received
1TIDATETIME    Date: 2026/11/24 at 03:10:07:412
"""
THREADS = """\
0SECTION       THREADS subcomponent dump routine
NULL           =================================
1XMTHDINFO     Thread Details
NULL
"""
WEB = """\
3XMTHREADINFO      "web-1" J9VMThread:0x92703F00, omrthread_t:0x92A3C2B0, java/lang/Thread:0xB5666778, state:B, prio=5
3XMJAVALTHREAD            (java/lang/Thread getId:0x13, isDaemon:true)
3XMTHREADINFO1            (native thread ID:0x52CF, native priority:0x5, native policy:UNKNOWN, vmstate:CW, vm thread flags:0x201)
3XMCPUTIME               CPU usage total: 0.004365543 secs, user: 0.003 secs, system: 0.001 secs, current category="Application"
3XMTHREADBLOCK     Blocked on: com/shop/Stock@0xB56658D8 Owned by: "web-0" (J9VMThread:0x92A3EC00, java/lang/Thread:0xB56668B8)
3XMTHREADINFO3           Java callstack:
4XESTACKTRACE                at com/shop/Stock.reserve(Stock.java:35(Compiled Code))
5XESTACKTRACE                   (entered lock: com/shop/Cart@0xB5666678, entry count: 2)
4XESTACKTRACE                at com/shop/Cart.add(Cart.java:12)
5XESTACKTRACE                   (entered lock: com/shop/Cart@0xB5666678, entry count: 1)
"""  # noqa: E501 - real lines are long
OWNER = """\
3XMTHREADINFO      "web-0" J9VMThread:0x92A3EC00, omrthread_t:0x92A3C280, java/lang/Thread:0xB56668B8, state:R, prio=5
"""
END = f"{RULE}NULL           ---------------------- END OF DUMP -------------------------------------\n"
LOCKS = """\
0SECTION       LOCKS subcomponent dump routine
1LKMONPOOLDUMP Monitor Pool Dump (flat & inflated object-monitors):
2LKMONINUSE      sys_mon_t:0x92711200 infl_mon_t: 0x92711240:
"""
WHOLE = [name for name in goldens.fixtures() if name.startswith("javacore/")]


def parse(text: str | bytes) -> list[Dump]:
    raw = text.encode() if isinstance(text, str) else text
    return list(javacore.parse(Lines(raw.splitlines(keepends=True))))


def only(text: str) -> Dump:
    (dump,) = parse(text)
    return dump


def one(header: str, *more: str) -> Thread:
    (thread,) = only(THREADS + header + "".join(f"{line}\n" for line in more)).threads
    return thread


def thread(*more: str, state: str = "R") -> Thread:
    return one(OWNER.replace("state:R", f"state:{state}"), *more)


def frames(*printed: str) -> list[tuple[str, str | None, int | None, bool]]:
    stack = thread(*(f"4XESTACKTRACE                at {frame}" for frame in printed)).stack
    return [(frame.function, frame.file, frame.line, frame.native) for frame in stack]


def test_a_thread() -> None:
    web = one(WEB)
    assert (web.name, web.java_id, web.native_id, web.daemon, web.address) == ("web-1", 19, 21199, True, "0x92703F00")
    assert (web.state, web.printed_state, web.cpu_ms, web.internal) == ("BLOCKED", "B", 4.365543, False)
    assert str(web.blocked_on) == "com.shop.Stock 0xB56658D8"
    assert [(str(held.lock), held.depth) for held in web.holds] == [("com.shop.Cart 0xB5666678", 1)]


def test_the_thread_named_as_owner_holds_the_lock() -> None:
    web, owner = only(THREADS + WEB + OWNER).threads
    assert [held.lock for held in owner.holds] == [web.blocked_on]


def test_frames() -> None:
    assert frames(
        "java/lang/Object.waitImpl(Native Method)",
        "com/shop/Stock.reserve(Stock.java:35(Compiled Code))",
        "com/shop/Stock.reserve(Stock.java(Compiled Code))",
        "com/shop/Stock$Line.<init>(Bytecode PC:5(Compiled Code))",
        "com/shop/Stock.load(No Source)",
        "com/shop/Orders$$Lambda$12/0x00000000300e8730.run(Bytecode PC:0)",
        "com/shop/Orders$$Lambda$1/00000000F4089810.run(Bytecode PC:4)",
        "com.shop.Classic.run(Classic.java:7)",
    ) == [
        ("java.lang.Object.waitImpl", None, None, True),
        ("com.shop.Stock.reserve", "Stock.java", 35, False),
        ("com.shop.Stock.reserve", "Stock.java", None, False),
        ("com.shop.Stock$Line.<init>", None, None, False),
        ("com.shop.Stock.load", None, None, False),
        ("com.shop.Orders$$Lambda.run", None, None, False),
        ("com.shop.Orders$$Lambda.run", None, None, False),
        ("com.shop.Classic.run", "Classic.java", 7, False),
    ]


@pytest.mark.parametrize(
    ("printed", "state"),
    [("R", "RUNNABLE"), ("B", "BLOCKED"), ("MW", "BLOCKED"), ("CW", "WAITING"), ("P", "WAITING"), ("Z", "TERMINATED")],
)
def test_states(printed: str, state: str) -> None:
    assert (thread(state=printed).state, thread(state=printed).printed_state) == (state, printed)


@pytest.mark.parametrize("printed", ["S", "I", "?", "??", "X"])
def test_states_that_are_none_of_java(printed: str) -> None:
    assert (thread(state=printed).state, thread(state=printed).printed_state) == (None, printed)


@pytest.mark.parametrize(
    ("state", "frame", "said"),
    [
        ("CW", "java/lang/Thread.sleep(Thread.java:983)", "TIMED_WAITING"),
        ("CW", "java/lang/Thread.sleepImpl(Native Method)", "TIMED_WAITING"),
        ("P", "java/util/concurrent/locks/LockSupport.parkNanos(LockSupport.java:252)", "TIMED_WAITING"),
        ("P", "java/util/concurrent/locks/LockSupport.parkUntil(LockSupport.java:252)", "TIMED_WAITING"),
        ("P", "java/util/concurrent/locks/LockSupport.park(LockSupport.java:252)", "WAITING"),
        ("CW", "java/lang/Object.wait(Native Method)", "WAITING"),
        ("R", "java/lang/Thread.sleep(Thread.java:983)", "RUNNABLE"),
    ],
)
def test_frames_tell_which_wait_has_a_timeout(state: str, frame: str, said: str) -> None:
    assert thread(f"4XESTACKTRACE                at {frame}", state=state).state == said


def test_the_state_of_the_vm_is_not_the_thread_s() -> None:
    """While a dump is taken on request every thread waits for it."""
    assert (
        thread("3XMTHREADINFO1            (native thread ID:0x1, vmstate:CW, vm thread flags:0x1)").state == "RUNNABLE"
    )


def test_object_wait_has_given_the_monitor_up() -> None:
    waits = thread(
        "3XMTHREADBLOCK     Waiting on: com/shop/Box@0x10 Owned by: <unowned>",
        "4XESTACKTRACE                at java/lang/Object.wait(Native Method)",
        "4XESTACKTRACE                at com/shop/Box.take(Box.java:1)",
        "5XESTACKTRACE                   (entered lock: com/shop/Box@0x10, entry count: 1)",
        "5XESTACKTRACE                   (entered lock: com/shop/Shop@0x20, entry count: 1)",
        state="CW",
    )
    assert (str(waits.waiting_on), waits.blocked_on) == ("com.shop.Box 0x10", None)
    assert [held.lock.id for held in waits.holds] == ["0x20"]
    assert [lock.id for lock in waits.wait_released] == ["0x10"]


def test_parked() -> None:
    lock = "java/util/concurrent/locks/ReentrantLock$NonfairSync@0x30"
    owned = thread(
        f'3XMTHREADBLOCK     Parked on: {lock} Owned by: "x" (J9VMThread:0x5, java/lang/Thread:0x6)', state="P"
    )
    unknown = thread(f"3XMTHREADBLOCK     Parked on: {lock} Owned by: <unknown>", state="P")
    condition = thread("3XMTHREADBLOCK     Parked on: com/shop/Gate@0x40 Owned by: <unknown>", state="P")
    own = thread('3XMTHREADBLOCK     Parked on: com/shop/Gate@0x40 Owned by: "x" (J9VMThread:0x5)', state="P")
    nothing = thread("3XMTHREADBLOCK     Parked on: <unknown> Owned by: <unknown>", state="P")
    assert [str(each.blocked_on and each.blocked_on.id) for each in (owned, unknown, own)] == ["0x30", "0x30", "0x40"]
    assert (condition.blocked_on, str(condition.waiting_on)) == (None, "com.shop.Gate 0x40")
    assert (nothing.blocked_on, nothing.waiting_on) == (None, None)


def test_an_owner_that_has_ended_is_nobody() -> None:
    block = (
        '3XMTHREADBLOCK     Parked on: com/shop/Gate@0x40 Owned by: "web-0" (J9VMThread:<null>, java/lang/Thread:0x6)'
    )
    dump = only(f"{THREADS}{WEB[: WEB.index('3XMTHREADBLOCK')]}{block}\n{OWNER}")
    assert [thread.holds for thread in dump.threads] == [(), ()]
    assert dump.problems == []


def test_who_initialises_a_class() -> None:
    lock = "java/lang/J9VMInternals$ClassInitializationLock@0x50"
    waiter = f'3XMTHREADBLOCK     Waiting on: {lock} Owned by: <unowned> Initializing thread: "web-0"\n'
    web, owner = only(THREADS + WEB[: WEB.index("3XMTHREADBLOCK")] + waiter + OWNER).threads
    assert web.blocked_on is not None
    assert [held.lock for held in owner.holds] == [web.blocked_on]
    two = only(THREADS + WEB[: WEB.index("3XMTHREADBLOCK")] + waiter + OWNER + OWNER.replace("0x92A3EC00", "0x1"))
    assert [thread.holds for thread in two.threads] == [(), (), ()]  # two have the name: it may be either


LINES = {
    "inflated": 'owner "web-0" (J9VMThread:0x92A3EC00), entry count 1',
    "flat": 'Flat locked by "web-0" (J9VMThread:0x92A3EC00), entry count 1',
    "J9 of Java 5 and 6": 'owner "web-0" (0x92A3EC00), entry count 1',
    "Classic VM": "Flat locked by thread ident 0x0A, entry count 1",
}


@pytest.mark.parametrize("name", LINES)
def test_owners_and_waiters_of_the_section_locks(name: str) -> None:
    locks = (
        f"{LOCKS}3LKMONOBJECT       com/shop/Stock@0x10: {LINES[name]}\n3LKWAITERQ            Waiting to enter:\n"
        '3LKWAITER                "web-1" (J9VMThread:0x92703F00)\n2LKREGMON          Heap lock (0x1): <unowned>\n'
        '3LKWAITER                "web-0" (J9VMThread:0x92A3EC00)\n'
        '2LKFLATMON         ident 0x0a "web-0" (0x92A3EC00) ee 0x1\n'
    )
    web, owner = only(
        locks + THREADS + WEB[: WEB.index("3XMTHREADBLOCK")].replace("state:B", "state:CW") + OWNER
    ).threads
    assert (str(web.blocked_on), web.state) == ("com.shop.Stock 0x10", "BLOCKED")
    assert ([str(held.lock) for held in owner.holds], owner.blocked_on) == (["com.shop.Stock 0x10"], None)


def test_names_do_not_join_the_sections() -> None:
    """Two threads have one name: the address tells which of them waits."""
    locks = f'{LOCKS}3LKMONOBJECT       a/B@0x10: <unowned>\n3LKWAITNOTIFY            "web-0" (J9VMThread:0x92A3EC00)\n'
    twin = OWNER.replace("0x92A3EC00", "0x92A3EC08")
    assert [thread.waiting_on is None for thread in only(locks + THREADS + twin + OWNER).threads] == [True, False]


@pytest.mark.parametrize(
    "owner", ["<detached virtual thread>, entry count 1", 'owner "[osthread]" (native thread ID:0x5), entry count 1']
)
def test_owners_without_an_entry(owner: str) -> None:
    dump = only(f"{LOCKS}3LKMONOBJECT       a/B@0x10: {owner}\n{THREADS}{OWNER}")
    assert (dump.threads[0].holds, dump.problems, dump.unread_lines) == ((), [], 0)


def test_locks_that_could_not_be_listed() -> None:
    for line in (
        "1LKMONPOOLDUMP Monitor Pool Dump unavailable [locked]",
        "1LKALLOCERR    Insufficient stack space for ...",
    ):
        dump = only(f"0SECTION       LOCKS subcomponent dump routine\n{line}\n{THREADS}{OWNER}")
        assert [problem.reason for problem in dump.problems] == [
            "the JVM could not list all locks: owners may be missing"
        ]


DEADLOCK = """\
1LKDEADLOCK    Deadlock detected !!!
NULL           ---------------------
2LKDEADLOCKTHR  Thread "web-0" (0x92A3EC00)
3LKDEADLOCKWTR    is waiting for:
4LKDEADLOCKMON      sys_mon_t:0x08C2B344 infl_mon_t: 0x08C2B384:
4LKDEADLOCKOBJ      java/lang/Object@0x10
3LKDEADLOCKOWN    which is owned by:
2LKDEADLOCKTHR  Thread "web-1" (0x92703F00)
3LKDEADLOCKWTR    which is waiting for:
4LKDEADLOCKREG      Heap lock (0x00303888):
3LKDEADLOCKOWN    which is owned by:
2LKDEADLOCKTHR  Thread "web-0" (0x92A3EC00)
"""


def test_a_deadlock() -> None:
    (reported,) = only(DEADLOCK + END).deadlocks
    assert (reported.line, reported.threads, reported.owners) == (1, ("web-0", "web-1"), ("web-1", "web-0"))
    assert [str(lock) for lock in reported.locks] == ["java.lang.Object 0x10", "Heap 0x00303888"]


def test_a_deadlock_told_from_each_of_its_threads_is_one() -> None:
    lines = DEADLOCK.splitlines(keepends=True)
    again = [*lines[7:11], *lines[2:8]]
    assert len(only(DEADLOCK + "NULL\n" + "".join(again) + END).deadlocks) == 1
    other = DEADLOCK.replace("0x92", "0x93")
    assert len(only(DEADLOCK + other + END).deadlocks) == 2


def test_a_deadlock_that_is_cut_names_no_owner_it_does_not_know() -> None:
    (reported,) = only("".join(DEADLOCK.splitlines(keepends=True)[:11])).deadlocks
    assert (reported.threads, reported.owners, len(reported.locks)) == (("web-0", "web-1"), ("web-1",), 2)


def test_without_threads_those_are_shown_that_locks_name() -> None:
    dump = only(DEADLOCK)
    assert [(thread.name, thread.line, thread.state) for thread in dump.threads] == [
        ("web-0", 3, "BLOCKED"),
        ("web-1", 8, "BLOCKED"),
    ]
    assert dump.truncated == ["the section THREADS is missing: the threads are those that locks name, without stacks"]


def test_the_current_thread_comes_again_in_old_ones() -> None:
    current = f"1XMCURTHDINFO  Current Thread Details\n{OWNER}"
    dump = only(
        f"{THREADS[: THREADS.index('1XM')]}{current}1XMTHDINFO     All Thread Details\n"
        f"{OWNER}4XESTACKTRACE at a.B.c(B.java:1)\n{WEB}"
    )
    assert [(thread.name, thread.line, len(thread.stack)) for thread in dump.threads] == [
        ("web-0", 4, 1),
        ("web-1", 8, 2),
    ]


def test_anonymous_native_threads_are_entries() -> None:
    native = one(
        "3XMTHREADINFO      Anonymous native thread\n",
        "3XMTHREADINFO1            (native thread ID:0x1F, native priority: 0x0, native policy:UNKNOWN)",
        "3XMTHREADINFO3           Native callstack:",
        "4XENATIVESTACK               __kernel_rt_sigreturn+0x0 (0xB7747410)",
        "4XENATIVESTACK               (0xB6C6F663 [libj9prt29.so+0x3b663])",
        "4XENATIVESTACK               clone+0x5e (0xB763543E [libc.so.6+0xee43e])",
    )
    assert (native.label, native.native_id, native.internal, native.state) == ("thread 31", 31, True, None)
    assert [(frame.function, frame.file, frame.native) for frame in native.stack] == [
        ("__kernel_rt_sigreturn", None, True),
        ("libj9prt29.so", "libj9prt29.so", True),
        ("clone", "libc.so.6", True),
    ]


def test_native_frames_below_java_frames_are_left_out() -> None:
    mixed = thread(
        "4XESTACKTRACE                at a/B.c(Native Method)", "4XENATIVESTACK               clone+0x5e (0xB7)"
    )
    assert [frame.function for frame in mixed.stack] == ["a.B.c"]


@pytest.mark.parametrize("category", ["GC", "JIT", "System-JVM", "Resource-Monitor"])
def test_threads_of_the_vm(category: str) -> None:
    cpu = f'3XMCPUTIME               CPU usage total: 0.0 secs, current category="{category}"'
    assert thread(cpu).internal
    assert not thread(cpu, "4XESTACKTRACE                at a/B.c(B.java:1)").internal


def test_stacks_that_are_cut() -> None:
    assert thread("4XESTACKERR                  Java callstack truncated at 100000 methods").truncated
    assert thread("4XESTACKTRACE                at (Missing Method)").truncated
    assert thread("1INTERNAL                    Unable to walk in-flight data on call stack").truncated
    assert not thread("1INTERNAL                    Unable to obtain lock context information").truncated


def test_threads_that_the_jvm_could_not_list() -> None:
    for line in (
        "1INTERNAL     Unable to walk threads. Some or all threads may have been omitted.",
        "2XMWLKTHDERR             Truncating collection of java threads, some java thread details will be omitted",
        "1INTERNAL      In-flight data encountered. Output may be missing or incomplete.",
    ):
        assert only(f"{TITLE}{THREADS}{OWNER}{line}\n{END}").truncated == [f"the JVM says: {line.split(None, 1)[1]}"]


@pytest.mark.parametrize(
    "name", ['a "b" (c)', "x\ny", "x\n\ny z", '" J9VMThread:0x1, state:R', "", "state:B", "<name locked>"]
)
def test_names_may_hold_anything(name: str) -> None:
    assert one(OWNER.replace("web-0", name)).name in {name, name.replace("\n\n", "\n")}


def test_title_and_environment() -> None:
    dump = only(
        f"{TITLE}1TITIMEZONE    Timezone: UTC-3:30 (NST)\n0SECTION       ENVINFO subcomponent dump routine\n"
        "1CIJAVAVERSION JRE 1.8.0 Linux amd64-64 (build 8.0.6.26 - pxa6480sr6fp26)\n1CIVENDOR      IBM Corporation\n"
        "1CIPROCESSID   Process ID: 4242 (0x1092)\n1CICMDLINE     java -jar shop.jar\n"
        '2CIENVVAR      TEXT=one\n[\n{ "a": 1 }\n'
        f"2CIENVVAR      LANG=C\n{THREADS}{OWNER}{END}"
    )
    assert (dump.line, dump.taken_at, dump.pid, dump.command) == (
        1,
        "2026-11-24T03:10:07.412-03:30",
        4242,
        "java -jar shop.jar",
    )
    assert (dump.runtime, dump.version) == ("IBM J9 VM", "8.0.6.26")
    assert (dump.unread_lines, dump.problems, dump.truncated, len(dump.threads)) == (0, [], [], 1)
    assert dump.event is not None
    assert (dump.event.line, dump.event.text) == (4, 'Dump Event "user" (00004000) received')


def test_the_rule_above_the_title_belongs_to_the_dump() -> None:
    first, second = (dump.line for dump in intake.dumps(goldens.source(f"{TITLE}{THREADS}{OWNER}{END}".encode() * 2)))
    assert (first, second) == (1, 13)


@pytest.mark.parametrize("between", ["", "\n", "JVMDUMP010I Java dump written to /srv/javacore.txt\n"])
def test_several_in_a_file(between: str) -> None:
    text = f"{TITLE}{THREADS}{OWNER}{END}{between}"
    cut = f"{TITLE}{THREADS}{OWNER}{between}"
    assert [len(dump.threads) for dump in intake.dumps(goldens.source(text.encode() * 3))] == [1, 1, 1]
    assert [bool(dump.truncated) for dump in intake.dumps(goldens.source((cut + text).encode()))] == [True, False]
    assert [len(dump.threads) for dump in intake.dumps(goldens.source((THREADS + OWNER + THREADS + WEB).encode()))] == [
        1,
        1,
    ]


def test_what_is_missing() -> None:
    assert only(f"{TITLE}{THREADS}{OWNER}{END}").truncated == []
    assert only(f"{TITLE}{THREADS}{OWNER}").truncated == ["the end of the dump is missing (no line 'END OF DUMP')"]
    assert only(f"{THREADS}{OWNER}{END}").truncated == ["the beginning of the dump is missing"]
    live = THREADS.replace("NULL\n", "2XMPOOLLIVE        Current total number of live threads: 18\n", 1)
    assert only(f"{TITLE}{live}{OWNER}").truncated[1:] == [
        "the dump counts 18 live threads, 17 of them are not in this input"
    ]


def test_lines_of_another_program_are_counted() -> None:
    dump = only(f"{TITLE}{THREADS}{OWNER}WARN: stock is low\n3XMTHREADINFO3           Java callstack:\n{END}")
    assert (dump.unread_lines, [problem.line for problem in dump.problems]) == (1, [11])


def test_a_dump_of_another_format_behind_one_that_is_cut() -> None:
    hotspot = goldens.content("hotspot/deadlock-two.txt")
    formats = [dump.format for dump in intake.dumps(goldens.source(f"{TITLE}{THREADS}{WEB}".encode() + hotspot))]
    assert formats == ["javacore", "hotspot"]


@pytest.mark.parametrize(
    "line",
    [
        "NULL",
        "2026-11-24 03:10:07 INFO 1XMTHDINFO",
        "3XM",
        "5XESTACKTRACES-of-something",
        "0SECTIONS of the manual",
        "3CLTEXTCLASS   \t\t\tjava/lang/Object(0x0000000000032D00)",
        "  1XMTHDINFO     Thread Details",
    ],
)
def test_what_is_not_claimed(line: str) -> None:
    assert claimant(f"{line}\n".encode()) is None


def test_a_single_line_of_the_form_is_no_javacore() -> None:
    lines = Lines([b"1XMORDERS placed\n", *[b"INFO up\n"] * 30])
    assert list(javacore.parse(lines)) == []
    assert len(list(lines)) == 31


@given(st.sampled_from(WHOLE), st.binary(max_size=200), st.floats(0, 1), st.integers(0, 300))
def test_nothing_makes_it_fail(name: str, noise: bytes, where: float, removed: int) -> None:
    raw = goldens.content(name)[-30_000:]
    at = int(where * len(raw))
    for changed in (raw[:at] + noise + raw[at + removed :], noise, raw[at:] + noise, b"0SECTION LOCKS\n" + raw[at:]):
        for dump in parse(changed):
            assert all(thread.line > 0 for thread in dump.threads)
    for start in (b"", b"3XMTHREADINFO ", b"0SECTION ", b"1LKDEADLOCK "):
        javacore.claims(start + noise)


TAGS = st.sampled_from(
    sorted(
        {line[:15].split()[0] for name in WHOLE for line in goldens.content(name).split(b"\n") if line[:1].isdigit()}
    )
)


@given(
    st.lists(
        st.tuples(
            TAGS,
            st.sampled_from(
                [b"", b'"a" (0x10)', b'a/B@0x1: owner "a" (0x10), entry count 1', b"at a/B.c(B.java:1)", b"x" * 50]
            ),
        )
    )
)
def test_any_order_of_lines(lines: list[tuple[bytes, bytes]]) -> None:
    for dump in parse(b"".join(tag + b"   " + rest + b"\n" for tag, rest in lines)):
        assert dump.end_line <= len(lines)


HOSTILE = {
    "one name over many lines": b'3XMTHREADINFO      "a\n' + b"b\n" * 3000,
    "quotes": b'3XMTHREADINFO      "' + b'" J9VMThread:0x1 "' * 1500 + b"\n",
    "many names": b'3XMTHREADINFO      "a\n' * 3000,
    "colons": b"3XMTHREADBLOCK     Blocked on: " + b"a@0x1 Owned by: " * 1500 + b"\n",
    "at signs": b"3LKMONOBJECT       " + b"a@0x1: owner " * 1500 + b"\n",
    "frames without an end": b"4XESTACKTRACE                at " + b"a/b.c(" * 3000 + b"\n",
    "one deadlock without an end": b"1LKDEADLOCK\n"
    + b"".join(b'2LKDEADLOCKTHR  Thread "a" (0x%x)\n4LKDEADLOCKOBJ      a/B@0x%x\n' % (n, n) for n in range(1, 1500)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_work_grows_with_the_input_and_not_faster(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted are the characters that are decoded and given to the grammar; no line is looked at again and again."""
    seen = 0
    plain = javacore.text

    def text(line: bytes) -> str:
        nonlocal seen
        seen += len(line)
        return plain(line)

    monkeypatch.setattr(javacore, "text", text)
    raw = (THREADS + OWNER).encode() + HOSTILE[name]
    parse(raw)
    assert seen <= 8 * len(raw)


@pytest.mark.parametrize("name", WHOLE)
def test_a_long_one_is_read_like_a_short_one(name: str) -> None:
    """Ten in a row are ten times the same, cut where you like."""
    raw = goldens.content(name)
    if b"END OF DUMP" in raw:
        assert len(parse(raw)) == 1
        whole = list(intake.dumps(goldens.source(variants.SAME["twice"](raw) * 5)))
        assert len({len(dump.threads) for dump in whole}) == 1
        assert len(whole) == 10
