"""pystack output, one trap each."""

from __future__ import annotations

import pytest

from threaddump_parsers import claimant, pystack
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Thread

WEB = """\
Traceback for thread 31 (web-1) [Has the GIL,Garbage collecting] (most recent call last):
    (Python) File "/usr/lib/python3.14/threading.py", line 1025, in run
        self._target(*self._args, **self._kwargs)
      Arguments:
        self: <Thread at 0x7f264e335c90>
    (Python) File "/srv/app/shop.py", line 9, in get
        with inventory_lock:
      Arguments:
        self: <Inventory at 0x7f264e335d00>
        key: "a: b"
      Locals:
        tries: 3
    (C) File "./Modules/socketmodule.c", line 3567, in sock_recv (inlined) (/usr/lib/_socket.so)
    (C) File "???", line 0, in PQsocketPoll (/usr/lib/libpq (deleted).so.5)
"""
MAIN = """\
Traceback for thread 30 [] (most recent call last):
    (Python) File "/srv/app/shop.py", line 16, in <module>
"""
CORE = """\
Using executable found in the core file: /usr/bin/python3.11

Core file information:
state: t zombie: True niceness: 0
pid: 570 ppid: 1 sid: 1
uid: 0 gid: 0 pgrp: 570
executable: python3.11 arguments: python3.11 shop.py

The process died due receiving signal SIGSTOP
"""


def parse(text: str | bytes) -> list[Dump]:
    raw = text.encode() if isinstance(text, str) else text
    return list(pystack.parse(Lines(raw.splitlines(keepends=True))))


def only(text: str | bytes) -> Dump:
    (dump,) = parse(text)
    assert (dump.unread_lines, dump.problems, dump.truncated) == (0, [], [])
    return dump


def functions(thread: Thread) -> list[str]:
    return [frame.function for frame in thread.stack]


def test_the_innermost_frame_comes_first() -> None:
    web, main = only(f"{WEB}\n{MAIN}\n").threads
    assert functions(web) == ["PQsocketPoll", "sock_recv", "get", "run"]
    assert (web.name, web.native_id, main.name, main.native_id) == ("web-1", 31, "", 30)
    assert [(frame.native, frame.file, frame.line) for frame in web.stack[:3]] == [
        (True, "libpq (deleted).so.5", None),
        (True, "./Modules/socketmodule.c", 3567),
        (False, "/srv/app/shop.py", 9),
    ]


def test_variables_go_with_their_frame() -> None:
    web, main = only(f"{WEB}\n{MAIN}").threads
    assert web.locals == {
        2: {"self": "<Inventory at 0x7f264e335d00>", "key": '"a: b"', "tries": "3"},
        3: {"self": "<Thread at 0x7f264e335c90>"},
    }
    assert main.locals is None


def test_status_words() -> None:
    web, main = only(f"{WEB}\n{MAIN}").threads
    assert (web.gil, web.printed_state, web.state) == (True, "Has the GIL, Garbage collecting", None)
    assert (main.gil, main.printed_state) == (False, None)


def test_a_core_file() -> None:
    dump = only(CORE[CORE.index("Core file") :] + MAIN)
    assert (dump.pid, dump.command, len(dump.threads), dump.line) == (570, "python3.11 shop.py", 1, 1)
    assert parse(CORE[CORE.index("Core file") :]) == []


@pytest.mark.parametrize(
    ("said", "died"),
    [
        (
            "The process died due a segmentation fault accessing address: 0x8",
            "segmentation fault accessing address 0x8",
        ),
        ("The process died due receiving signal SIGABRT", "SIGABRT"),
        ("The process died due receiving signal SIGKILL sent by pid 77", "SIGKILL, sent by process 77"),
        ("The process died due receiving signal SIGSTOP", None),
        ("The core file seems to have been generated on demand (the process did not crash)", None),
    ],
)
def test_what_the_process_died_of(said: str, died: str | None) -> None:
    dump = only(CORE[CORE.index("Core file") :].replace("The process died due receiving signal SIGSTOP", said) + MAIN)
    assert (dump.died, dump.died_in) == (died, None)


def test_a_line_says_that_native_frames_are_missing() -> None:
    header, rest = MAIN.split("\n", 1)
    merged = f"{header}\n* - Unable to merge native stack due to insufficient native information - *\n{rest}"
    assert functions(only(merged).threads[0]) == ["<module>"]


def test_subinterpreters() -> None:
    header = "Traceback for thread 30 (python) (most recent call last):\n"
    frame = '    (Python) File "/srv/app/shop.py", line 16, in <module>\n        main()\n'
    text = f"{header}  In the main interpreter [Has the GIL]\n{frame}  In interpreter 2 []\n{frame}"
    main, second = only(text).threads
    assert [(functions(thread), thread.gil) for thread in (main, second)] == [
        (["<module>"], True),
        (["<module>"], False),
    ]
    assert (second.native_id, second.line, second.printed_state) == (30, 5, "In interpreter 2")
    assert [len(dump.threads) for dump in parse(f"{text}\n{text}")] == [2, 2]
    detached = f"{header}  Not currently attached to any interpreter []\n\n{text.replace('30', '31')}"
    assert [len(thread.stack) for thread in only(detached).threads] == [0, 1, 1]
    older = "Interpreter-0 (main)\n" + "".join(f"  {line}\n" for line in f"{header}{frame}".splitlines())
    assert functions(only(older[older.index("\n") + 1 :] + f"\nInterpreter-1\n{MAIN}").threads[0]) == ["<module>"]


def test_a_thread_without_frames() -> None:
    dump = only(f"The frame stack for thread 7 is empty\n{MAIN}")
    assert [(thread.native_id, len(thread.stack)) for thread in dump.threads] == [(7, 0), (30, 1)]


def test_a_thread_that_is_over() -> None:
    (thread,) = only(MAIN.replace("[Has the GIL]", "[]").replace("[]", "[Thread terminated]")).threads
    assert (thread.state, thread.printed_state) == ("TERMINATED", "Thread terminated")


def test_a_thread_seen_again_starts_the_next_dump() -> None:
    assert [len(dump.threads) for dump in parse(f"{WEB}\n{MAIN}\n{WEB}\n{MAIN}")] == [2, 2]


def test_colours_of_a_terminal() -> None:
    coloured = WEB.replace("(Python)", "\x1b[32m(Python)\x1b[0m").replace("in get", "in \x1b[33mget\x1b[0m")
    assert functions(only(coloured).threads[0]) == functions(only(WEB).threads[0])


def test_output_that_cuts_in_is_counted() -> None:
    (dump,) = parse(WEB.replace("        with", "2026-11-27 INFO order 876 placed\n        with"))
    assert len(dump.threads[0].stack) == 4
    assert dump.unread_lines > 0


@pytest.mark.parametrize("name", ["a) [b] (c", "(most recent call last)", "", "x]", "[Has the GIL]"])
def test_names_may_hold_anything(name: str) -> None:
    (thread,) = only(MAIN.replace("30 []", f"30 ({name}) []")).threads
    assert (thread.name, thread.gil) == (name, False)


def test_a_dump_cut_within_a_frame() -> None:
    (dump,) = parse(f'{WEB}    (Python) File "/srv/ap')
    assert dump.truncated
    assert dump.threads[0].truncated


@pytest.mark.parametrize(
    "line",
    ["Traceback (most recent call last):", "Traceback for thread x (most recent call last):", "Core file information"],
)
def test_what_is_not_claimed(line: str) -> None:
    assert claimant(f"{line}\n".encode()) is None
