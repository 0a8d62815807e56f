"""gevent's run info, one trap each."""

from __future__ import annotations

from threaddump_parsers import claimant, gevent
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump

RULE = "*" * 80
THREADS = f"""\
{RULE}
* Threads
{RULE}
Thread 0x7ff05e5816c0 (None)

  File "/usr/lib/python3.11/site-packages/gevent/threadpool.py", line 216, in run
    task = task_queue_get(task_queue_cookie, idle_task_timeout)

{RULE}
Thread 0x7ff0613c6b80 (MainThread) (CURRENT)

  File "/srv/app/shop.py", line 34, in dump
    gevent.util.print_run_info()
  File "/usr/lib/python3.11/site-packages/gevent/util.py", line 189, in _format_thread_info
    lines.append(''.join(traceback.format_stack(frame, limit)))

"""
PRINTING = """\
 :            File "/srv/app/shop.py", line 34, in dump
 :              gevent.util.print_run_info()
 :            File "/usr/lib/python3.11/site-packages/gevent/util.py", line 387, in __render_tb
 :              tb = ''.join(traceback.format_stack(frame, limit))
"""
HUB = "<Hub '' at 0x7ff05fdf7ba0 epoll default pending=0 ref=6 fileno=4 thread_ident=0x7ff0613c6b80>"
FETCH = f"""\
 +--- <Greenlet "Greenlet-3" at 0x7ff05f766660: fetch(1)>
 :          Parent: {HUB}
 :          Running:
 :            File "/srv/app/shop.py", line 12, in fetch
 :              c.recv(100)
 :            File "/usr/lib/python3.11/site-packages/gevent/_socketcommon.py", line 657, in recv
 :              self._wait(self._read_event)
 :          Spawned at:
 :            File "/srv/app/shop.py", line 27, in serve
 :              gevent.spawn(fetch, 1)
 :          Greenlet Locals:
 :            Local <class 'gevent.local.local'> at 0x7f
 :              {{'File': 1}}
 |    +--- <Worker at 0x7ff05fe645e0: nap>; finished with value 7
 :                Parent: {HUB}
"""
ROOT = "<greenlet.greenlet object at 0x7ff05ff32140 (otid=0x5624a3030820) {} started main>\n :    Parent: None\n"
GREENLETS = f"{RULE}\n* Greenlets\n{RULE}\n---- Thread boundary\n"
ELSEWHERE = """\
---- Thread boundary
<greenlet.greenlet object at 0x7fb5ec552c80 (otid=0x7fb5e4000ba0) suspended active started main>
 :    Parent: None
"""


def parse(text: str) -> list[Dump]:
    return list(gevent.parse(Lines(text.encode().splitlines(keepends=True))))


def only(text: str) -> Dump:
    (dump,) = parse(text)
    assert (dump.unread_lines, dump.problems, dump.truncated) == (0, [], [])
    return dump


def functions(dump: Dump) -> list[list[str]]:
    return [[frame.function for frame in thread.stack] for thread in dump.threads]


def test_threads_and_greenlets() -> None:
    dump = only(f"{THREADS}{GREENLETS}{ROOT.format('current active')}{FETCH}{ELSEWHERE}")
    assert [(thread.name, thread.address, thread.virtual) for thread in dump.threads] == [
        ("", "0x7ff05e5816c0", False),
        ("MainThread", "0x7ff0613c6b80", False),
        ("Greenlet-3", "0x7ff05f766660", True),
        ("", "0x7ff05fe645e0", True),
    ]
    assert functions(dump) == [["run"], ["dump"], ["recv", "fetch"], []]
    assert dump.threads[3].label == "task 0x7ff05fe645e0"


def test_where_a_greenlet_was_spawned_is_not_where_it_is() -> None:
    (dump,) = parse(f"{GREENLETS}{ROOT.format('current active')}{FETCH}")
    assert [frame.line for frame in dump.threads[0].stack] == [657, 12]


def test_states() -> None:
    new = ' +--- <Greenlet "Greenlet-9" at 0x7ff05f766669: fetch(1)>; not running\n :          Parent: None\n'
    dump = only(f"{GREENLETS}{ROOT.format('current active')}{FETCH}{new}")
    assert [(thread.state, thread.printed_state) for thread in dump.threads] == [
        (None, None),
        ("TERMINATED", "finished with value 7"),
        ("NEW", "not running"),
    ]


def test_a_greenlet_that_starts_next_does_not_print() -> None:
    """Its frame is None, for which the traceback module prints its own caller."""
    next_one = f' +--- <Greenlet "Greenlet-1" at 0x7f01: nap>\n :          Running:\n{PRINTING}'
    dump = only(f"{GREENLETS}{ROOT.format('current active')}{FETCH}{next_one}")
    assert (dump.threads[-1].stack, dump.threads[-1].state) == ((), "NEW")


def test_the_one_greenlet_that_prints_is_where_it_called_the_printer() -> None:
    printing = f' +--- <Greenlet "Greenlet-1" at 0x7f01: dump>\n :          Running:\n{PRINTING}'
    main = ROOT.format("suspended active") + ' :    Running:\n :      File "/srv/app/shop.py", line 40, in main\n'
    dump = only(f"{GREENLETS}{main}{printing}")
    assert [(t.name, [f.function for f in t.stack]) for t in dump.threads] == [("", ["main"]), ("Greenlet-1", ["dump"])]


def test_a_blocked_loop() -> None:
    blocked = 'Blocked Stack (for thread id 0x7ff05e5816c0):\n  File "/srv/app/shop.py", line 6, in block\n\nInfo:\n'
    dump = only(f"{blocked}{THREADS}{GREENLETS}{ELSEWHERE}")
    assert [(thread.name, thread.printed_state) for thread in dump.threads] == [
        ("", gevent.BLOCKED),
        ("MainThread", None),
    ]
    assert functions(dump) == [["block"], ["dump"]]


def test_the_next_dump_begins_with_its_threads() -> None:
    text = f"{THREADS}{GREENLETS}{ROOT.format('current active')}{FETCH}"
    assert [len(dump.threads) for dump in parse(text * 3)] == [4, 4, 4]


def test_a_rule_of_asterisks_alone_is_nobody_s() -> None:
    lines = Lines([RULE.encode() + b"\n", b"* Starting the shop\n", RULE.encode() + b"\n"])
    assert list(gevent.parse(lines)) == []
    assert claimant(b"** note\n") is None
