r"""Folded stacks: a line for each stack, outermost frame first, with a weight. As written by

``py-spy record --format raw`` (with ``--threads`` and ``--subprocesses`` the first frames name them)::

    process 71:"python shop.py";thread (2209): worker-2;Thread.run (threading.py:982);Queue.get (queue.py:171) 199

austin 3 (microseconds; ``--full`` writes time, idle and memory; 4 writes a binary format)::

    # austin: 3.7.0
    P15829;T0:15850;/usr/lib/python3.11/threading.py:Thread.run:982;/srv/shop.py:Inventory.get:9 10022

and async-profiler, perf with ``stackcollapse``, and others::

    [exec-1 tid=4711];java/lang/Thread.run;com/shop/Dao.load_[j] 12
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import threaddump_parsers
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Thread
from threaddump_parsers.profiles import Samples
from threaddump_parsers.python_frames import clean, number_of, text

FORMAT = "folded"
FAMILY = "any"
TITLE = "folded stacks of a profiler"
CAPTURE = (
    ("py-spy record --format raw --threads --idle -o FILE --pid PID", "Python; --idle keeps threads that wait"),
    ("asprof -e wall -t -d 10 -o collapsed -f FILE PID", "JVM; -e wall keeps threads that wait"),
)
INITIALS = bytes(set(range(0x23, 0x7F)) - set(b"{}'")) + b"\x1b"

# stack   := [process ";"] [thread ";"] frame {";" frame} " " weight
# process := 'process ' pid ':"' command '"'       (py-spy)  | "P" pid                        (austin)
# thread  := "thread (" id "): " name              (py-spy)  | "T" [interpreter ":"] id       (austin)
#          | "[" name " tid=" id "]"               (async-profiler -t)
_WEIGHT = re.compile(rb"(\d{1,18})(?:,(\d{1,18}),-?\d{1,18})?")
_AUSTIN = re.compile(rb"P\d{1,10};T(?:\d+:)?[0-9a-fA-Fx]+(?:;.*)? \d{1,18}(?:,\d{1,18},-?\d{1,18})?")
_THREADED = re.compile(rb"\[[^;]{0,200}tid=\d{1,10}\];[^;].* \d{1,18}")
_PLAIN = re.compile(rb"[A-Za-z_<(\[][^;=\"'{}\s]*(?:;(?! )[^;=\"'{}]+){2,} \d{1,15}")
_PY_SPY_FIRST = re.compile(
    rb'process \d{1,10}:".*|thread \((?:0x)?[0-9a-fA-F]{1,16}\): .*|[^\s()\[]+ \([^()]*\)', re.DOTALL
)
"""What stands before the first semicolon: with anything else in front the line is not a profile's own."""
_TITLE = b"# austin: "
_METADATA = re.compile(rb"# \w+: .*")
_PROCESS = re.compile(r'(?:process (?P<py>\d{1,10}):"(?P<command>.*?)"|P(?P<austin>\d{1,10}))$', re.DOTALL)
_THREAD = re.compile(
    r"(?:thread \((?P<py>(?:0x)?[0-9a-fA-F]{1,16})\)(?:: (?P<name>.*))?"
    r"|T(?:\d{1,9}:)?(?P<austin>(?:0x)?[0-9a-fA-F]{1,16})"
    r"|\[(?P<java>.*) tid=(?P<tid>\d{1,10})\])$",
    re.DOTALL,
)
_MAX_LINE = 1_000_000
_ENOUGH = 3
"""So many lines in a row make stacks of those that look like any text with semicolons and a number."""


def claims(line: bytes) -> bool:
    """A stack that py-spy or austin wrote, or a line that may be any other's."""
    if b";" not in line or len(line) > _MAX_LINE or line[0] not in INITIALS:
        return False
    plain = clean(line)
    if not plain[-1:].isdigit():
        return False
    return any(one.fullmatch(plain) for one in (_AUSTIN, _THREADED, _PLAIN)) or _of_py_spy(plain)


def _of_py_spy(plain: bytes) -> bool:
    stack, _, digits = plain.rpartition(b" ")
    if _PY_SPY_FIRST.fullmatch(plain.partition(b";")[0]) is None:
        return False
    last = stack.rpartition(b";")[2]
    position = last.rpartition(b" (")[2]
    return (
        digits.isdigit()
        and len(digits) <= 18
        and last.endswith(b")")
        and (b".py:" in position or position.endswith((b".py)", b">)")))
    )


def parse(lines: Lines) -> Iterator[Dump]:
    """Read all stacks; nothing where lines that could be anything's are too few."""
    ahead = [clean(line) for _, line in lines.peek(_ENOUGH)]
    if not ahead or not all(claims(line) for line in ahead):
        first = ahead[0] if ahead else b""
        if not (_AUSTIN.fullmatch(first) or _THREADED.fullmatch(first) or _of_py_spy(first)):
            return
    yield from _read(lines)


def _read(lines: Lines) -> Iterator[Dump]:
    """Read to the first line that is neither a stack nor metadata: nothing else is written into a profile."""
    processes: dict[int | None, Samples] = {}
    unit = "samples"
    last: dict[int | None, int] = {}
    for number, line in lines:
        plain = clean(line)
        stack, _, weight = plain.rpartition(b" ")
        found = _WEIGHT.fullmatch(weight) if claims(plain) else None
        if found is None:
            if not plain or (_METADATA.fullmatch(plain) and threaddump_parsers.claimant(line) is None):
                if not (processes and plain.startswith(_TITLE)):
                    continue
            lines.push_back((number, line))
            break
        process, parts = _process(text(stack).split(";"))
        pid = number_of((process["py"] or process["austin"]).encode()) if process is not None else None
        if process is not None and process["austin"]:
            unit = "microseconds"
        last[pid] = number
        samples = processes.get(pid)
        if samples is None:
            samples = processes[pid] = Samples(number)
            samples.pid, samples.command = pid, process["command"] if process is not None else None
        thread, key, frames = _thread(parts, number)
        if frames:
            samples.add(thread, key, tuple(frames), float(found[1]), number)
    for pid, samples in processes.items():
        yield samples.dump(FORMAT, unit, last[pid])


def _process(parts: list[str]) -> tuple[re.Match[str] | None, list[str]]:
    """The process that a line begins with, and what follows. Its command is quoted, and may hold semicolons."""
    first, length = parts[0], 1
    if first.startswith("process ") and '"' in first:
        length = next((i + 1 for i, part in enumerate(parts) if part.endswith('"')), 1)
        first = ";".join(parts[:length])
    found = _PROCESS.match(first)
    return (found, parts[length:]) if found is not None else (None, parts)


def _thread(parts: list[str], number: int) -> tuple[Thread | None, object, list[str]]:
    """The thread that a line names, what tells it from others, and its frames; no thread where a frame comes first."""
    found = _THREAD.match(parts[0]) if parts else None
    if found is None:
        return None, None, parts
    thread = Thread(found["name"] or found["java"] or "", number)
    digits = found["py"] or found["austin"] or found["tid"]
    if digits.startswith("0x"):
        thread.address = digits
    elif digits.isdigit():
        thread.native_id = int(digits)
    else:
        thread.address = f"0x{digits}"
    return thread, (digits, thread.name), parts[1:] or ["(no frames)"]
