"""uWSGI's Python tracebacker, one trap each."""

from __future__ import annotations

import pytest

from threaddump_parsers import claimant, uwsgi
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump

TITLE = "*** uWSGI Python tracebacker output ***\n\n"


def stack(name: str, *more: str) -> str:
    return "".join(
        f"thread_id = {name} filename = {frame}\n"
        for frame in (
            "/srv/app/shop.py lineno = 5 function = pay line = x = get(line = 3)",
            "/usr/lib/python3.11/socket.py lineno = 706 function = readinto",
            *more,
        )
    )


def parse(text: str) -> list[Dump]:
    return list(uwsgi.parse(Lines(text.encode().splitlines(keepends=True))))


def only(text: str) -> Dump:
    (dump,) = parse(text)
    assert (dump.unread_lines, dump.problems, dump.truncated) == (0, [], [])
    return dump


def test_threads_and_frames() -> None:
    first, second = only(f"{TITLE}{stack('uWSGIWorker1Core1')}\n{stack('uWSGIWorker1Core0')}\n").threads
    assert (first.name, second.name) == ("uWSGIWorker1Core1", "uWSGIWorker1Core0")
    assert [(frame.function, frame.file, frame.line) for frame in first.stack] == [
        ("readinto", "/usr/lib/python3.11/socket.py", 706),
        ("pay", "/srv/app/shop.py", 5),
    ]
    assert first.stack is second.stack


def test_threads_are_told_apart_without_blank_lines() -> None:
    assert [thread.name for thread in only(stack("a") + stack("b")).threads] == ["a", "b"]


def test_threads_without_names() -> None:
    unnamed = stack("<UnnamedPythonThread>")
    assert [(thread.name, len(thread.stack)) for thread in only(f"{unnamed}\n{unnamed}").threads] == [("", 2), ("", 2)]


def test_the_title_starts_the_next_dump() -> None:
    dumps = parse(f"{TITLE}{stack('a')}\n{stack('b')}\n{TITLE}{stack('c')}\n")
    assert [[thread.name for thread in dump.threads] for dump in dumps] == [["a", "b"], ["c"]]


def test_a_thread_seen_again_starts_the_next_dump() -> None:
    assert len(parse(f"{stack('a')}\n{stack('b')}\n{stack('a')}")) == 2


def test_a_log_line_within_a_thread() -> None:
    (dump,) = parse(stack("a", "GET / => 200", "x.py lineno = 7 function = send"))
    assert [frame.function for frame in dump.threads[0].stack] == ["send", "readinto", "pay"]
    assert dump.unread_lines == 1


@pytest.mark.parametrize(
    "line", ["*** uWSGI listen queue of socket ***", "thread_id = 7", "thread_id = a filename = b"]
)
def test_what_is_not_claimed(line: str) -> None:
    assert claimant(f"{line}\n".encode()) is None


def test_a_title_alone_is_no_dump() -> None:
    assert parse(TITLE) == []
