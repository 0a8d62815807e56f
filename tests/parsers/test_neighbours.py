"""sigdump, .NET stacks and austin --where: headers, frames, several dumps, and lines that are none of theirs."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threaddump_parsers import austin, claimant, dotnet_stack, sigdump
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Thread

RUBY = """\
Sigdump at 2026-11-22 20:54:47 +0000 process 2022 (puma: cluster worker 0)
  Thread #<Thread:0x00007f3a5c0@worker-1 /srv/shop.rb:4 sleep_forever> status=sleep priority=0
      /srv/shop.rb:4:in `pop'
      /srv/shop.rb:4:in `block in <main>'
  Thread #<Thread:0x00007f3a5c1 run> status=run priority=-1
      /usr/lib/ruby/3.1.0/net/http.rb:9:in `get'
      /srv/shop.rb:9:in `<main>'
  GC stat:
      count: 12
  Built-in objects:
   1,234: TOTAL
  String 12,345 bytes
"""
DOTNET = """\
Thread (0x48839B):
  [Native Frames]
  System.Private.CoreLib!System.Threading.Monitor.Wait(class System.Object,int32)
  shop!Shop.Orders+<PlaceAsync>d__5.MoveNext()

Thread (0x48839C):
  CPU_TIME
  shop!Shop.Program.Main(class System.String[])

"""
SOS = """\
OS Thread Id: 0x1dc82 (7)
        Child SP               IP Call Site
00007F2AE2FB4680 00007f305abc6360 [GCFrame: 00007f2ae2fb4680]
00007F2AE2FB47D0 00007f305abc6360 [HelperMethodFrame: 00007f2ae2fb47d0] System.Threading.Monitor.ReliableEnter(Int32)
00007F2AE2FB4920 00007F2FE392B31F Shop.Orders.Place(System.String[]) [/srv/shop/Orders.cs @ 40]
OS Thread Id: 0x1dc83
Unable to walk the managed stack. The current thread is likely not a
"""
WHERE = """\
💤 Process 71 🧵 Thread 0:15

    Thread.run (/usr/lib/python3.11/threading.py:982)
    Stock.left (/srv/shop.py:9)

🚀 Process 71 🧵 Thread 0:16

    <module> (/srv/shop.py:3)
"""
SAMPLES = {sigdump: RUBY, dotnet_stack: DOTNET + SOS, austin: WHERE}
MODULES = list(SAMPLES)
LINES = [line for text in SAMPLES.values() for line in text.splitlines()] + ["", "log", "  x!y()", "    f (g:1)"]


def parse(module: ModuleType, text: str | bytes) -> list[Dump]:
    raw = text.encode() if isinstance(text, str) else text
    found: list[Dump] = list(module.parse(Lines(raw.splitlines(keepends=True))))
    return found


def shape(dumps: list[Dump]) -> list[tuple[str, list[str]]]:
    return [(t.label, [frame.function for frame in t.stack]) for dump in dumps for t in dump.threads]


def threads(module: ModuleType, text: str) -> list[Thread]:
    (dump,) = parse(module, text)
    return dump.threads


def test_sigdump() -> None:
    (dump,) = parse(sigdump, RUBY)
    assert (dump.taken_at, dump.pid, dump.command) == ("2026-11-22T20:54:47+00:00", 2022, "puma: cluster worker 0")
    assert (dump.family, dump.version, dump.unread_lines, dump.problems) == ("ruby", "3.1", 0, [])
    assert shape([dump]) == [("worker-1", ["pop", "block in <main>"]), ("thread 0x00007f3a5c1", ["get", "<main>"])]
    assert [thread.state for thread in dump.threads] == ["sleep_forever", "run"]


def test_methods_in_c_have_the_position_of_their_caller() -> None:
    assert [[frame.native for frame in thread.stack] for thread in threads(sigdump, RUBY)] == [
        [True, False],
        [False, False],
    ]
    newer = RUBY.replace("`pop'", "'Thread::Queue#pop'").replace("`block", "'block")
    assert threads(sigdump, newer)[0].stack[0].native
    nested = RUBY.replace("`pop'", "`block (2 levels) in <main>'")
    assert not threads(sigdump, nested)[0].stack[0].native


def test_sigdump_twice_in_its_file() -> None:
    assert [len(dump.threads) for dump in parse(sigdump, RUBY * 2)] == [2, 2]
    untitled = RUBY[RUBY.index("  Thread") :]
    assert [len(dump.threads) for dump in parse(sigdump, untitled)] == [2]
    assert parse(sigdump, RUBY.splitlines()[0] + "\n\n\n\n") == []


def test_dotnet_stack() -> None:
    first, second = threads(dotnet_stack, DOTNET)
    assert (first.label, first.native_id) == (f"thread {0x48839B}", 0x48839B)
    assert [(frame.function, frame.file) for frame in first.stack] == [
        ("[Native Frames]", None),
        ("System.Threading.Monitor.Wait", "System.Private.CoreLib"),
        ("Shop.Orders+<PlaceAsync>d__5.MoveNext", "shop"),
    ]
    assert (first.state, second.state) == (None, "RUNNABLE")
    assert [frame.function for frame in second.stack] == ["Shop.Program.Main"]


def test_clrstack() -> None:
    (dump,) = parse(dotnet_stack, SOS)
    first, second = dump.threads
    assert [(frame.function, frame.file, frame.line) for frame in first.stack] == [
        ("System.Threading.Monitor.ReliableEnter", None, None),
        ("Shop.Orders.Place", "/srv/shop/Orders.cs", 40),
    ]
    assert (second.native_id, second.stack, dump.unread_lines, dump.problems) == (0x1DC83, (), 0, [])


def test_both_forms_of_dotnet_in_one_file() -> None:
    assert [len(dump.threads) for dump in parse(dotnet_stack, DOTNET + SOS + DOTNET)] == [2, 2, 2]


def test_frames_at_other_addresses_are_one_frame() -> None:
    other = SOS.replace("0x1dc8", "0x1dc9").replace("00007F2AE2FB4920", "00007F2AE2FB9999")
    (dump,) = parse(dotnet_stack, SOS + other)
    assert dump.threads[0].stack is dump.threads[2].stack


def test_austin_where() -> None:
    (dump,) = parse(austin, WHERE)
    assert (dump.pid, dump.family) == (71, "python")
    assert shape([dump]) == [("thread 15", ["Stock.left", "Thread.run"]), ("thread 16", ["<module>"])]
    assert [thread.state for thread in dump.threads] == ["IDLE", "ACTIVE"]


def test_austin_where_of_processes_and_twice() -> None:
    child = WHERE.replace("Process 71", "🧒 Process 72")
    assert [(dump.pid, len(dump.threads)) for dump in parse(austin, WHERE + child)] == [(71, 2), (72, 2)]
    assert [(dump.pid, len(dump.threads)) for dump in parse(austin, WHERE * 2)] == [(71, 2), (71, 2)]


@pytest.mark.parametrize(
    "line",
    [
        "Sigdump at noon",
        "  Thread #<Thread:0x00007f run>",
        "Thread (0xZZ):",
        "Thread 14 (Thread 0x7f3af2ffd6c0 (LWP 8169)):",
        "OS Thread Id: 12",
        "💤 sleeping",
        "Process 71 done",
    ],
)
def test_what_is_not_claimed(line: str) -> None:
    assert claimant(line.encode() + b"\n") not in MODULES


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.FORMAT)
def test_a_log_line_within_a_thread(module: ModuleType) -> None:
    text = SAMPLES[module]
    rows = text.splitlines(keepends=True)
    at = next(i for i, row in enumerate(rows) if row.startswith("  ") and i > 1) + 1
    dumps = parse(module, "".join([*rows[:at], "GET / 200\n", *rows[at:]]))
    assert shape(dumps) == shape(parse(module, text))
    assert sum(dump.unread_lines for dump in dumps) == 1


@given(st.sampled_from(MODULES), st.lists(st.one_of(st.sampled_from(LINES).map(str.encode), st.binary(max_size=30))))
def test_nothing_raises(module: ModuleType, rows: list[bytes]) -> None:
    for dump in module.parse(Lines([row + b"\n" for row in rows])):
        assert 0 < dump.line <= dump.end_line <= len(rows)
        assert all(dump.line <= thread.line <= dump.end_line for thread in dump.threads)


@given(st.sampled_from(MODULES), st.data())
def test_damaged_dumps_do_not_raise(module: ModuleType, data: st.DataObject) -> None:
    raw = bytearray(SAMPLES[module].encode())
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    parse(module, bytes(raw))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.FORMAT)
def test_a_cut_dump_holds_the_first_threads(module: ModuleType) -> None:
    raw = SAMPLES[module].removesuffix(SOS).encode()  # an id of clrstack that is cut is another id
    whole = [label for label, _ in shape(parse(module, raw))]
    for end in range(0, len(raw), 7):
        found = [label for label, _ in shape(parse(module, raw[:end]))]
        assert found == whole[: len(found)]
