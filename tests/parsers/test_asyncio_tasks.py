"""asyncio's tasks in each of the forms in which they are printed, one trap each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threaddump_parsers import asyncio_tasks, claimant
from threaddump_parsers.asyncio_tasks import COLUMNS, WIDTHS
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump


def row(*cells: str) -> str:
    return " ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)) + "\n"


def table(*rows: tuple[str, ...]) -> str:
    return row(*COLUMNS) + "-" * 180 + "\n" + "".join(row(*cells) for cells in rows)


MAIN = ("17", "0xa1", "Task-1", "gather_all -> main", "", "", "0x0")
HOLDER = ("17", "0xa2", "holder", "StreamReader._wait_for_data -> StreamReader.read -> holder")
TREE = """\
└── (T) Task-1
    └──  main /srv/app/shop.py:24
        └──  gather_all /srv/app/shop.py:23
            ├── (T) holder of the lock
            │   └──  hold /srv/app/shop.py:6
            │       └──  StreamReader.read /usr/lib/python3.14/asyncio/streams.py:747
            └── (T) waiter
                └──  wait
"""
CYCLE = """\
ERROR: await-graph contains cycles - cannot print a tree!

cycle: invoice → payment → invoice
cycle: a → a
"""
REPR = "<Task pending name='{}' coro=<pay() running at /srv/app/shop.py:8>{}>"
SUSPENDED = " wait_for=<Future pending cb=[Task.task_wakeup()]>"


def parse(text: str) -> list[Dump]:
    return list(asyncio_tasks.parse(Lines(text.encode().splitlines(keepends=True))))


def only(text: str) -> Dump:
    (dump,) = parse(text)
    assert (dump.format, dump.unread_lines, dump.problems, dump.truncated) == ("asyncio", 0, [], [])
    assert all(thread.virtual for thread in dump.threads)
    return dump


def functions(dump: Dump) -> list[list[str]]:
    return [[frame.function for frame in thread.stack] for thread in dump.threads]


def awaits(dump: Dump) -> dict[str, list[str]]:
    return {thread.name: [task.name for task in thread.awaits] for thread in dump.threads if thread.awaits}


# ps


def test_a_table() -> None:
    dump = only(table(MAIN, (*HOLDER, "gather_all -> main", "Task-1", "0xa1")))
    assert functions(dump) == [["gather_all", "main"], ["StreamReader._wait_for_data", "StreamReader.read", "holder"]]
    assert awaits(dump) == {"Task-1": ["holder"]}
    assert [(thread.native_id, thread.address) for thread in dump.threads] == [(17, "0xa1"), (17, "0xa2")]


def test_a_task_with_two_awaiters_is_one_task() -> None:
    second = ("17", "0xa3", "Task-3", "report", "", "", "0x0")
    dump = only(table(MAIN, (*HOLDER, "main", "Task-1", "0xa1"), (*HOLDER, "report", "Task-3", "0xa3"), second))
    assert awaits(dump) == {"Task-1": ["holder"], "Task-3": ["holder"]}
    assert len(dump.threads) == 3


CELL = st.from_regex(r"[A-Za-z_.<>]{1,30}", fullmatch=True)
CHAIN = st.lists(CELL, min_size=1, max_size=4).map(" -> ".join)
NAME = st.one_of(
    st.from_regex(r"[a-z0-9-]{1,40}", fullmatch=True), st.from_regex(r"[a-z]{1,9} [0-9]{1,9}", fullmatch=True)
)


@given(NAME, CHAIN, CHAIN, NAME.filter(lambda name: len(name) <= 15))
def test_cells_of_any_width(name: str, stack: str, chain: str, awaiter: str) -> None:
    dump = only(
        table(("17", "0xa1", awaiter, "main", "", "", "0x0"), ("17", "0xa2", name, stack, chain, awaiter, "0xa1"))
    )
    assert [thread.name for thread in dump.threads] == [awaiter, name]
    assert functions(dump)[1] == stack.split(" -> ")
    assert dump.threads[0].awaits == (dump.threads[1],)


def test_a_table_that_lost_its_padding() -> None:
    text = table(MAIN, (*HOLDER, "gather_all -> main", "Task-1", "0xa1"))
    assert awaits(only("\n".join(" ".join(line.split()) for line in text.splitlines()) + "\n")) == {
        "Task-1": ["holder"]
    }


def test_as_csv() -> None:
    text = f'{",".join(COLUMNS)}\r\n17,0xa1,Task-1,main,,,0x0\r\n17,0xa2,"a, b",pay,main,Task-1,0xa1\r\n'
    assert awaits(only(text)) == {"Task-1": ["a, b"]}


def test_a_row_that_cannot_be_read_is_told() -> None:
    (dump,) = parse(table(MAIN) + "17 0xa2 what is this\n" + row(*HOLDER, "main", "Task-1", "0xa1"))
    assert [problem.reason for problem in dump.problems] == ["a line of the table that cannot be read"]
    assert len(dump.threads) == 2


# pstree


def test_a_tree() -> None:
    dump = only(TREE)
    assert awaits(dump) == {"Task-1": ["holder of the lock", "waiter"]}
    assert functions(dump) == [["gather_all", "main"], ["StreamReader.read", "hold"], ["wait"]]
    assert [(frame.file, frame.line) for frame in dump.threads[1].stack] == [
        ("/usr/lib/python3.14/asyncio/streams.py", 747),
        ("/srv/app/shop.py", 6),
    ]


def test_several_roots_are_one_dump() -> None:
    other = "└── (T) Task-9\n    └──  main /srv/app/shop.py:24\n"
    assert [len(dump.threads) for dump in parse(TREE + other)] == [4]
    assert [len(dump.threads) for dump in parse((TREE + other) * 2)] == [4, 4]


def test_a_task_below_two_others_is_one_task() -> None:
    """The tree prints it below each, with all that is below it; two of one name below the same task are two."""
    text = """\
└── (T) a
    └──  main /srv/app/shop.py:24
        ├── (T) both
        │   └──  hold /srv/app/shop.py:6
        ├── (T) twin
        └── (T) twin
└── (T) b
    └──  main /srv/app/shop.py:25
        └── (T) both
            └──  hold /srv/app/shop.py:6
"""
    dump = only(text)
    assert [thread.name for thread in dump.threads] == ["a", "both", "twin", "twin", "b"]
    assert awaits(dump) == {"a": ["both", "twin", "twin"], "b": ["both"]}
    assert dump.threads[0].awaits[0] is dump.threads[4].awaits[0]


def test_cycles_instead_of_a_tree() -> None:
    dump = only(CYCLE)
    assert awaits(dump) == {"invoice": ["payment"], "payment": ["invoice"], "a": ["a"]}
    assert [deadlock.threads for deadlock in dump.deadlocks] == [("invoice", "payment"), ("a",)]


# Printed by the process


def test_tasks_alone_on_their_lines() -> None:
    over = "<Task finished name='refund' coro=<fail() done, defined at /srv/app/shop.py:9> exception=ValueError('a')>"
    dump = only("\n".join([REPR.format("it's me", SUSPENDED), REPR.format("b", ""), over]) + "\n")
    assert [(thread.name, thread.state) for thread in dump.threads] == [
        ("it's me", "IDLE"),
        ("b", None),
        ("refund", "TERMINATED"),
    ]
    assert dump.threads[0].printed_state == "pending, wait_for=Future pending"
    assert [(f.function, f.file, f.line) for f in dump.threads[2].stack] == [("fail", "/srv/app/shop.py", 9)]


@pytest.mark.parametrize(
    ("future", "state"),
    [
        ("<_GatheringFuture pending cb=[Task.task_wakeup()]>", "pending, wait_for=_GatheringFuture pending"),
        (
            "<Future pending cb=[_chain_future.<locals>._call_check_cancel() at /usr/lib/futures.py:387]>",
            "pending, wait_for=Future pending cb=_chain_future",
        ),
        ("<Future pending cb=[BaseSelectorEventLoop._sock_read_done(6)()]>", "pending, wait_for=Future pending"),
    ],
)
def test_what_a_task_waits_for(future: str, state: str) -> None:
    dump = only(f"{REPR.format('a', f' wait_for={future}')}\n{REPR.format('b', '')}\n")
    assert (dump.threads[0].state, dump.threads[0].printed_state) == ("IDLE", state)


def test_a_coroutine_of_cython_has_no_line() -> None:
    shown = "<Task pending name='grpc' coro=<AioServer._loop() running at src/grpc/aio/server.pyx.pxi:None>>"
    (frame,) = only(f"{shown}\n{REPR.format('b', '')}\n").threads[0].stack
    assert (frame.function, frame.file, frame.line) == ("AioServer._loop", "src/grpc/aio/server.pyx.pxi", None)


def test_the_task_in_wait_for_is_awaited() -> None:
    inner = " wait_for=" + REPR.format("b", SUSPENDED) + " cb=[Task.task_wakeup()]"
    assert awaits(only(f"{REPR.format('a', inner)}\n{REPR.format('b', SUSPENDED)}\n")) == {"a": ["b"]}


def test_a_name_that_two_tasks_have_says_not_which_is_awaited() -> None:
    inner = " wait_for=" + REPR.format("b", SUSPENDED)
    text = f"{REPR.format('a', inner)}\n{REPR.format('b', SUSPENDED)}\n{REPR.format('b', SUSPENDED)}\n"
    assert awaits(only(text)) == {}


def test_one_task_in_the_midst_of_a_log_is_no_dump() -> None:
    lines = Lines(f"{REPR.format('a', '')}\nTask was destroyed but it is pending!\n".encode().splitlines(keepends=True))
    assert list(asyncio_tasks.parse(lines)) == []


def test_print_stack_prints_the_innermost_frame_last() -> None:
    header = f"Stack for {REPR.format('Task-1', '')} (most recent call last):\n"
    dump = only(
        f'{header}  File "/srv/app/shop.py", line 25, in <module>\n    asyncio.run(main())\n'
        '  File "/srv/app/shop.py", line 24, in main\n    task.print_stack()\n'
        f"No stack for {REPR.format('Task-2', '')}\n"
    )
    assert functions(dump) == [["main", "<module>"], []]
    assert [frame.source for frame in dump.threads[0].stack] == ["task.print_stack()", "asyncio.run(main())"]


def test_a_name_that_asyncio_gave_begins_the_next_dump_when_it_comes_again() -> None:
    lines = "".join(f"{REPR.format(name, SUSPENDED)}\n" for name in ("Task-1", "same", "same"))
    assert [len(dump.threads) for dump in parse(lines * 2)] == [3, 3]
    assert [len(dump.threads) for dump in parse(f"{lines}\n10:00 a line of the log\n{lines}")] == [3, 3]


GRAPH = """\
* Task(name='inner', id=0xa3)
  + Call stack:
  |   File '/usr/lib/python3.14/asyncio/locks.py', line 110, in async Lock.acquire()
  |   File '/srv/app/shop.py', line 8, in async generator pay()
  + Awaited by:
    * Future(id=0xa9)
      + Awaited by:
        * Task(name='outer', id=0xa2)
          + Call stack:
          |   File '/srv/app/shop.py', line 24, in async main()
* Task(name='outer', id=0xa2)
  + Call stack:
  |   File '/srv/app/shop.py', line 24, in async main()
* Task(name="it's me", id=0xa1)
  + Call stack:
  |   File '/usr/lib/python3.14/asyncio/graph.py', line 279, in print_call_graph()
  |   File '/srv/app/shop.py', line 22, in async main()
"""


def test_a_call_graph_prints_the_innermost_frame_first() -> None:
    dump = only(GRAPH)
    assert [thread.name for thread in dump.threads] == ["inner", "outer", "it's me"]
    assert functions(dump) == [["Lock.acquire", "pay"], ["main"], ["main"]]
    assert awaits(dump) == {"outer": ["inner"]}


def test_a_task_printed_a_second_time_starts_the_next_dump() -> None:
    assert [len(dump.threads) for dump in parse(GRAPH * 2)] == [3, 3]


# aiomonitor

PS = """\
3 tasks running
+-------------------------------------------------------------------------------+
| Task ID          State    Name     Coroutine  Created Location      Since     |
+-------------------------------------------------------------------------------+
| 140087811444544  PENDING  Task-1   main()     -                     -         |
| 140087811446848  PENDING  order 0  want()     /srv/app/shop.py:14   00:00.302 |
| 140087811446849  PENDING  größe 7  want()     /srv/app/shop.py:14   00:00.302 |
+-------------------------------------------------------------------------------+
"""
WHERE = """\
Stack of the root task or coroutine scheduled in the event loop (most recent call last)
  No stack available (maybe it is a native code, a synchronous callback function, or the event loop itself)

Stack of <Task name=Task-1 coro=main()> when creating the next task (most recent call last)
  File "/srv/app/shop.py", line 14, in main
    asyncio.create_task(want(lock), name="order 0")

Stack of <Task name=order 0 coro=Monitor._coro_wrapper()> (most recent call last)
  File "/usr/lib/python3.11/site-packages/aiomonitor/monitor.py", line 509, in _coro_wrapper
    return await coro
  File "/srv/app/shop.py", line 6, in want
    async with lock: pass
  File "/usr/lib/python3.11/asyncio/locks.py", line 114, in acquire
    await fut
"""


def test_the_table_of_aiomonitor() -> None:
    dump = only(PS.partition("\n")[2].partition("\n")[2])
    assert [thread.name for thread in dump.threads] == ["Task-1", "order 0", "größe 7"]
    assert functions(dump) == [["main"], ["want"], ["want"]]


def test_where_a_task_was_created_is_not_where_it_is() -> None:
    dump = only(WHERE)
    assert [thread.name for thread in dump.threads] == ["order 0"]
    assert functions(dump) == [["acquire", "want"]]


def test_each_form_is_a_dump_of_its_own() -> None:
    forms = [table(MAIN), TREE, CYCLE, GRAPH, f"{REPR.format('a', '')}\n" * 2, PS.partition("\n")[2], WHERE]
    assert [len(dump.threads) for dump in parse("".join(forms[:1] + forms[1:]))] == [1, 3, 3, 3, 2, 3, 1]


@pytest.mark.parametrize(
    "line",
    [
        "tid: 7",
        "└── src",
        "* Task(name='a')",
        "Stack for a rainy day",
        "task: <Task pending name='a'>",
        "<Tasks>",
        "| Task | State |",
        "Executing <Task pending name='a'> took 0.2 seconds",
    ],
)
def test_what_is_not_claimed(line: str) -> None:
    assert claimant(f"{line}\n".encode()) is None
