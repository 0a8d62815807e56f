"""``threaddump formats``, and what is guessed about an input without a dump: all of it from the parsers' own words."""

from __future__ import annotations

import io
import json

import pytest

import goldens
from threaddump import formats
from threaddump.explain import write
from threaddump.sources import InputError
from threaddump.unreadable import why_no_dump
from threaddump_parsers import parsers


def listed(width: int) -> str:
    out = io.StringIO()
    write(formats.lines, out, width, color=False)
    return out.getvalue()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_every_format_and_every_command_is_listed_within_the_width(width: int) -> None:
    text = listed(width)
    words = " ".join(text.split())
    for parser in parsers():
        assert f"({parser.FORMAT})" in words
        for command, remark in parser.CAPTURE:
            assert command in words
            assert remark.split()[0] in words
    commands = [command for parser in parsers() for command, _ in parser.CAPTURE]
    assert all(len(line) <= width or line.strip() in commands for line in text.splitlines())


def test_formats_stand_below_their_runtime() -> None:
    text = listed(100)
    assert text.index("\nPYTHON\n") > text.index("JVM\n") >= 0
    assert "jcmd PID Thread.print" in text[: text.index("\nPYTHON\n")]
    assert "py-spy dump" in text[text.index("\nPYTHON\n") :]
    assert "zstd" in text[text.index("\nPACKED WITH\n") :]
    assert sum(len(group) for _, group in formats.by_family()) == len(parsers())


def test_the_list_for_scripts() -> None:
    out = io.StringIO()
    formats.write_json(out)
    told = json.loads(out.getvalue())
    assert {row["format"] for row in told["formats"]} == {parser.FORMAT for parser in parsers()}
    assert all(row["capture"][0]["command"] for row in told["formats"])


def test_a_format_without_a_family_is_listed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = parsers()[0]
    monkeypatch.setattr(parser, "FAMILY", "cobol")
    assert formats.by_family()[-1] == (formats.ANY_FAMILY, [parser])


def test_short_advice_names_the_list() -> None:
    advice = formats.how_to_take_any()
    assert "jcmd PID Thread.print -l -e > dump.txt (JVM), py-spy dump --pid PID > dump.txt (Python)" in advice
    assert advice.endswith("threaddump formats")
    assert len(advice) < 200


JCMD = "jcmd PID Thread.print -l -e"
FRAMES = "\tat com.shop.Dao.load(Dao.java:12)\n\tat com.shop.Api.get(Api.java:7)\n"
GUESSES = {
    "states without headers": ("   java.lang.Thread.State: RUNNABLE\n" + FRAMES, "without their headers", JCMD),
    "locks without headers": (FRAMES + "\t- locked <0x1> (a com.shop.Dao)\n", "stacks of Java threads", JCMD),
    "Java frames": (FRAMES, "Java frames without threads", JCMD),
    "Java exception": ("java.io.IOException: closed\n" + FRAMES, "Java exceptions", JCMD),
    "in a log": ("12:00 ERROR x\njava.lang.IllegalStateException\n" + FRAMES, "Java exceptions", JCMD),
    "Python exception": (
        'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    x()\nValueError\n',
        "Python tracebacks",
        "py-spy dump --pid PID",
    ),
    "py-spy frames": (
        "    wait (threading.py:327)\n    get (queue.py:171)\n",
        "frames of py-spy",
        "py-spy dump --pid PID",
    ),
    "hs_err": ("#\n# A fatal error has been detected by the Java Runtime Environment:\n", "hs_err", JCMD),
    "histogram": (" num     #instances         #bytes  class name\n   1:  9  9  [B\n", "histogram", JCMD),
    "unified GC log": ("[0.008s][info][gc] Using G1\n[0.1s][info][gc] GC(0) Pause Young\n", "garbage collector", JCMD),
    "old GC log": ("1.234: [GC (Allocation Failure) 65536K->1024K(251392K), 0.0012 secs]\n", "garbage collector", JCMD),
    "top": ("top - 20:31:57 up 3 days,  1 user\nTasks: 99 total\n", "output of top", "py-spy dump --pid PID (Python)"),
    "node": ('{"header": {"reportVersion": 3}, "javascriptStack": {}}', "Node.js", "javascriptStack"),
    "login": ("<html><head><title>Please sign in</title></head></html>", "web server", "is exposed"),
    "not exposed": ('{"timestamp": 1, "status": 404, "error": "Not Found"}', "web server", "is exposed"),
    "jcmd": ("4711:\nThe following commands are available:\nVM.version\n", "output of jcmd", JCMD),
    "a log": ("12:00 INFO order 7 placed\n" * 20, "none of its lines begins one", "threaddump formats"),
}


@pytest.mark.parametrize("name", GUESSES)
def test_what_is_no_dump_is_named_with_one_command(name: str) -> None:
    text, said, command = GUESSES[name]
    message, hint = why_no_dump(text.encode())
    assert said in message
    assert command in hint
    with pytest.raises(InputError):
        goldens.report_on(text.encode())


def test_a_guess_says_if_the_format_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"=== FULL THREAD DUMP ===\n"
    message, hint = why_no_dump(b"x\n" + text)
    if formats.parser_of("jrockit") is None:
        assert "which this version does not read" in message
        assert "threaddump formats" in hint
    monkeypatch.setattr(parsers()[0], "FORMAT", "jrockit")
    message, hint = why_no_dump(b"x\n" + text)
    assert "no thread can be read from it" in message
    assert parsers()[0].CAPTURE[0][0] in hint
