"""Goroutine dumps: headers of all versions, frames in two lines, counted profiles, several dumps in a row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundness import sound
from threaddump_parsers import claimant, goroutine
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Thread

ONE = """\
goroutine 7 [select, 5 minutes, locked to thread]:
net/http.(*persistConn).roundTrip(0xc0001205a0, 0xc000112340)
	/usr/local/go/src/net/http/transport.go:2620 +0x974
main.(*Gateway).RequestSlot(...)
	/srv/shop/gateway.go:12
created by main.main in goroutine 1
	/srv/shop/main.go:7 +0xfa
"""
TWO = """\
goroutine 9 [semacquire]:
sync.runtime_SemacquireMutex(0xc000014e14?, 0x0?, 0x0?)
	/usr/local/go/src/runtime/sema.go:77 +0x25
sync.(*Mutex).lockSlow(0xc000014e10)
	/usr/local/go/src/sync/mutex.go:171 +0x165
main.work()
	/srv/shop/main.go:40 +0x11
"""
COUNTED = """\
goroutine profile: total 4
3 @ 0x43b0f6 0x433c17
# labels: {"job":"nightly"}
#	0x4629a8	internal/poll.runtime_pollWait+0x88	/usr/local/go1.22.3/src/runtime/netpoll.go:305
#	0x66d2fa	main.read+0x11a				/srv/shop/main.go:386

1 @ 0x43b0f6
#	0x66d2fa	main.main+0x11a	/srv/shop/main.go:9
"""
CRASH = """\
SIGQUIT: quit
PC=0x469ee1 m=0 sigcode=0

goroutine 0 [idle]:
runtime.futex()
	/usr/local/go/src/runtime/sys_linux_amd64.s:559 +0x21 fp=0x7ffc66306680 sp=0x7ffc66306678 pc=0x469ee1

goroutine 5 [running]:
	goroutine running on other thread; stack unavailable
created by main.main
	/srv/shop/main.go:7 +0xfa

rax    0xca
rip    0x469ee1
-----

SIGQUIT: quit
PC=0x401ee1 m=2 sigcode=0

goroutine 0 [idle]:
runtime.futex()
	/usr/local/go/src/runtime/sys_linux_amd64.s:559 +0x21

goroutine 5 [running]:
main.spin()
	/srv/shop/main.go:77 +0x1
created by main.main
	/srv/shop/main.go:7 +0xfa

rax    0xca
"""


def parse(text: str | bytes) -> list[Dump]:
    raw = text.encode() if isinstance(text, str) else text
    lines = Lines(raw.splitlines(keepends=True))
    found = []
    while lines.peek(1):
        if claimant(lines.peek(1)[0][1]) is goroutine:
            found += goroutine.parse(lines)
        else:
            next(iter(lines))
    return found


def only(text: str) -> Dump:
    (dump,) = parse(text)
    return dump


def thread(text: str) -> Thread:
    (found,) = only(text).threads
    return found


def functions(found: Thread) -> list[str]:
    return [frame.function for frame in found.stack]


def test_a_goroutine() -> None:
    found = thread(ONE)
    assert (found.label, found.java_id, found.state, found.waiting_s) == ("goroutine 7", 7, "select", 300.0)
    assert functions(found) == ["net/http.(*persistConn).roundTrip", "main.(*Gateway).RequestSlot"]
    assert [(frame.file, frame.line) for frame in found.stack] == [
        ("/usr/local/go/src/net/http/transport.go", 2620),
        ("/srv/shop/gateway.go", 12),
    ]
    assert only(ONE).family == "go"


@pytest.mark.parametrize(
    ("header", "state", "minutes", "leaked"),
    [
        ("goroutine 1 [running]:", "running", None, False),
        ("goroutine 1 [IO wait (scan), 12 minutes]:", "IO wait", 12, False),
        ("goroutine 1 [chan receive (nil chan)]:", "chan receive (nil chan)", None, False),
        ("goroutine 1 [chan receive (leaked) (scan), 1 minutes]:", "chan receive", 1, True),
        ("goroutine 1 [select (no cases), locked to thread]:", "select (no cases)", None, False),
        ("goroutine 1 [select (durable), 3 minutes, synctest bubble 19]:", "select", 3, False),
        ("goroutine 1 gp=0xc000002380 m=nil [sync.Mutex.Lock, 2 minutes]:", "sync.Mutex.Lock", 2, False),
        ("goroutine 1 gp=0xc000002380 m=3 mp=0xc000080008 [syscall]:", "syscall", None, False),
        ('goroutine 1 [sleep, 2 minutes labels:{"job":"a]:b{", "x":"y"}]:', "sleep", 2, False),
        ('goroutine 1 [sleep, 2 minutes]{"job":"nightly"}:', "sleep", 2, False),
        ("goroutine 1 [GC worker (idle)]:", "GC worker (idle)", None, False),
    ],
)
def test_headers(header: str, state: str, minutes: int | None, leaked: bool) -> None:
    found = thread(f"{header}\nmain.main()\n\t/srv/shop/main.go:1 +0x1\n")
    assert (found.state, found.leaked) == (state, leaked)
    assert found.waiting_s == (None if minutes is None else 60.0 * minutes)
    assert functions(found) == ["main.main"]


@pytest.mark.parametrize(
    "line",
    [
        "goroutine",
        "goroutine 7",
        "goroutine leak detected [x]:",
        "goroutine 7 [running]",
        "goroutine x [running]:",
        "heap profile: 1: 2 [3: 4] @ heap/1048576",
        "threadcreate profile: total 8",
        "goroutine profile: total many",
    ],
)
def test_what_is_not_claimed(line: str) -> None:
    assert claimant(line.encode() + b"\n") is None


def test_a_mutex_is_the_first_argument() -> None:
    lock = thread(TWO).blocked_on
    assert lock is not None
    assert (lock.id, lock.class_name) == ("0xc000014e10", "sync.Mutex")


@pytest.mark.parametrize(
    ("frames", "id", "class_name"),
    [
        (["sync.(*Mutex).lockSlow(0xc000014e10?)"], None, None),
        (["sync.(*Mutex).Lock(...)"], None, None),
        (["sync.(*Mutex).Lock(0x0)"], None, None),
        (["internal/sync.(*Mutex).lockSlow(0xc000014e10)", "sync.(*Mutex).Lock(...)"], "0xc000014e10", "sync.Mutex"),
        (["sync.(*RWMutex).RLock(0xc000014e20)"], "0xc000014e20", "sync.RWMutex"),
        (["sync.(*Mutex).lockSlow(0xc000014e30)", "sync.(*RWMutex).Lock(0x0?)"], "0xc000014e30", "sync.RWMutex"),
        (["sync.(*WaitGroup).Wait(0xc000014e10)"], None, None),
    ],
)
def test_addresses_of_locks(frames: list[str], id: str | None, class_name: str | None) -> None:
    body = "".join(f"{frame}\n\t/go/src/sync/x.go:1 +0x1\n" for frame in frames)
    lock = thread(f"goroutine 9 [semacquire]:\n{body}").blocked_on
    assert (lock and lock.id, lock and lock.class_name) == (id, class_name)


def test_a_goroutine_that_does_not_wait_holds_no_lock_up() -> None:
    assert thread(TWO.replace("semacquire", "runnable")).blocked_on is None


def test_elided_frames() -> None:
    found = thread(ONE.replace("main.(*G", "...23 frames elided...\nmain.(*G"))
    assert found.truncated
    assert len(found.stack) == 2
    assert thread(ONE.replace("created by", "...additional frames elided...\ncreated by")).truncated
    assert not thread(ONE).truncated


def test_ancestors_and_creators_are_no_frames() -> None:
    origin = "[originating from goroutine 3]:\nmain.start(...)\n\t/srv/shop/main.go:1 +0x1\n"
    origin += "created by main.main\n\t/x.go:2\n"
    assert functions(thread(ONE + origin)) == functions(thread(ONE))


def test_foreign_functions() -> None:
    found = thread("goroutine 7 [syscall]:\nnon-Go function\n\tpc=0x7f3a5c\nruntime.cgocall(0x1)\n\t/go/x.go:3 +0x1\n")
    assert functions(found) == ["non-Go function", "runtime.cgocall"]
    assert found.stack[0].native


def test_counted_goroutines() -> None:
    dump = only(COUNTED)
    assert [found.label for found in dump.threads] == ["one of 3 goroutines"] * 3 + ["one goroutine"]
    assert dump.threads[0] is dump.threads[2]
    assert functions(dump.threads[0]) == ["internal/poll.runtime_pollWait", "main.read"]
    assert (dump.threads[0].state, dump.version, dump.truncated) == (None, "1.22.3", [])


def test_counted_goroutines_that_do_not_add_up() -> None:
    (said,) = only(COUNTED.replace("total 4", "total 9")).truncated
    assert "9 goroutines" in said
    assert "add up to 4" in said


def test_a_huge_count_is_bounded_and_said() -> None:
    dump = only(COUNTED.replace("total 4", "total 999999999999").replace("3 @", "999999999998 @"))
    assert len(dump.threads) == goroutine.MAX_COUNTED
    assert dump.truncated


def test_dumps_in_a_row() -> None:
    assert [len(dump.threads) for dump in parse(f"{ONE}\n{TWO}\n{ONE}\n{TWO}")] == [2, 2]
    assert [len(dump.threads) for dump in parse(f"{ONE}\n{COUNTED}\n{TWO}")] == [1, 4, 1]
    assert [len(dump.threads) for dump in parse(COUNTED * 2)] == [4, 4]


def test_a_crash_prints_the_running_goroutine_of_each_thread_of_the_process() -> None:
    dump = only(CRASH)
    assert [(found.java_id, functions(found)) for found in dump.threads] == [
        (0, ["runtime.futex"]),
        (0, ["runtime.futex"]),
        (5, ["main.spin"]),
    ]
    assert [found.internal for found in dump.threads] == [True, True, False]
    assert [len(dump.threads) for dump in parse(CRASH * 2)] == [3, 3]


def test_a_log_line_within_a_goroutine() -> None:
    dump = only(ONE.replace("main.(*G", "2026/11/25 10:00:00 GET / 200\nmain.(*G"))
    assert functions(dump.threads[0]) == functions(thread(ONE))
    assert dump.unread_lines == 1


def test_leading_blanks_may_be_lost() -> None:
    flat = "\n".join(line.lstrip() for line in ONE.splitlines())
    assert functions(thread(flat)) == functions(thread(ONE))
    assert thread(flat).stack[0].line == 2620


def test_equal_stacks_are_one_object() -> None:
    one, two = only(f"{ONE}\n{ONE.replace('goroutine 7', 'goroutine 8').replace('0xc0001205a0', '0xc0009')}").threads
    assert one.stack is two.stack


LINES = [*ONE.splitlines(), *TWO.splitlines(), *COUNTED.splitlines(), *CRASH.splitlines(), "", "log", "x()", "\tx:1"]


@given(st.lists(st.one_of(st.sampled_from(LINES).map(str.encode), st.binary(max_size=30)), max_size=30))
def test_nothing_raises(rows: list[bytes]) -> None:
    dumps = sound(goroutine.parse(Lines([row + b"\n" for row in rows])))
    assert not dumps or dumps[-1].end_line <= len(rows)


@given(st.data())
def test_damaged_dumps_do_not_raise(data: st.DataObject) -> None:
    raw = bytearray((ONE + "\n" + TWO + "\n" + COUNTED + CRASH).encode())
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    parse(bytes(raw))


@pytest.mark.parametrize("text", [ONE, f"{ONE}\n{TWO}", COUNTED])
def test_a_cut_dump_holds_the_first_goroutines(text: str) -> None:
    whole = [found.java_id for dump in parse(text) for found in dump.threads]
    for end in range(0, len(text), 7):
        found = [found.java_id for dump in parse(text[:end]) for found in dump.threads]
        assert found == whole[: len(found)]
