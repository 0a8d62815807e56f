"""The array that ``py-spy dump --json`` prints (py-spy 0.2 to 0.4, ``src/dump.rs``): the threads as serde wrote them::

    [
      {
        "pid": 28063,
        "thread_id": 140537839482560,
        "thread_name": "t-late-1",
        "os_thread_id": 28080,
        "active": false,
        "owns_gil": false,
        "frames": [
          {"name": "transfer", "filename": "/srv/shop.py", "module": null, "short_filename": "shop.py", "line": 6,
           "locals": [{"name": "src", "addr": 1405, "arg": true, "repr": "<Account at 0x7fd191d5a810>"}]}
        ],
        "process_info": null
      }
    ]

It has both ids of a thread, and none of the process's command and version. The order is the reverse of the text's. An
array may have been rewritten (``jq -c``), so nothing depends on the order of the keys or on line breaks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Frame, Problem, Stack, Thread
from threaddump_parsers.python_frames import MAX_PROBLEMS, MAX_TEXT, text

FORMAT = "py-spy-json"
FAMILY = "python"
TITLE = "py-spy dump --json"
CAPTURE = (("py-spy dump --json --pid PID", "with both kinds of thread ids"),)
INITIALS = b"["

_LOOK_AHEAD = 14
"""Lines in which a pretty-printed object shows its keys."""
_LOOK_AT = 65_536
_LOOK_AT_FIRST = 400
_ENOUGH_KEYS = 2
_KEYS = (b'"thread_id"', b'"os_thread_id"', b'"owns_gil"', b'"active"', b'"frames"')
_OPENING = re.compile(rb'\[\s*\{\s*"(?:pid|(?:os_)?thread_id|thread_name|active|owns_gil|frames|process_info)"\s*:')
_BRACKETS = (b"{", b"}", b"[", b"]")
_TOKEN = re.compile(rb'\\.|["{}\[\]]', re.DOTALL)


def claims(line: bytes) -> bool:
    """``[`` alone, or with the start of an object that has one of the keys of a thread."""
    if not line.startswith(b"["):
        return False
    start = line[:_LOOK_AT_FIRST]
    return (len(line) <= len(start) and start.rstrip() in {b"[", b"[{"}) or _OPENING.match(start) is not None


def parse(lines: Lines) -> Iterator[Dump]:
    """Read one array: the dump of a process; of several, where arrays were joined."""
    if _is_start(lines):
        yield from _Reader(lines).run()


def _is_start(lines: Lines) -> bool:
    start = b"".join(line[:_LOOK_AT] for _, line in lines.peek(2))
    if start[1:].lstrip()[:1] != b"{":
        return False  # the usual line "[": cheap to refuse
    start = b"".join(line[:_LOOK_AT] for _, line in lines.peek(_LOOK_AHEAD))
    return _OPENING.match(start) is not None and sum(key in start for key in _KEYS) >= _ENOUGH_KEYS


class _Reader:
    """Takes the objects out of the array one by one, so that those of an array that was cut are not lost."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._first = 0
        """The line of the opening bracket."""
        self._dump: Dump | None = None
        self._done: list[Dump] = []
        self._frames: dict[tuple[str, str, int | None, bool], Frame] = {}
        self._stacks: dict[Stack, Stack] = {}

    def run(self) -> Iterator[Dump]:
        number, last = 0, b""
        depth = start = 0  # of brackets; the line where the object at hand starts
        parts: list[bytes] = []
        for number, line in self._lines:
            self._first = self._first or number
            if number > self._first and _is_foreign(line, depth):
                self._lines.push_back((number, line))
                number -= 1
                break
            last = line
            if depth > 1 and not any(bracket in line for bracket in _BRACKETS):
                parts.append(line)
                continue
            begin, in_string = 0, False
            for token in _TOKEN.finditer(line):
                match token[0]:
                    case b'"':
                        in_string = not in_string
                    case b"{" | b"[" if not in_string:
                        if depth == 1:
                            start, begin, parts = number, token.start(), []
                        depth += 1
                    case b"}" | b"]" if not in_string:
                        depth -= 1
                        if depth == 1:
                            parts.append(line[begin : token.end()])
                            self._read_object(start, b"".join(parts))
                        elif depth == 0:
                            break
            if depth > 1:
                parts.append(line[begin:])
            if self._done:
                yield from self._done
                self._done.clear()
            if depth == 0:
                break
        dump = self._dump or Dump(FORMAT, self._first, "python", "CPython")
        dump.end_line = number
        if depth > 0:
            _add_problem(dump, number, "the JSON ends in the middle", last)
            dump.truncated.append("the JSON ends in the middle: the threads that came after it are missing")
        elif not dump.threads:
            _add_problem(dump, self._first, "the dump has no thread", b"")
        yield dump

    def _read_object(self, line: int, raw: bytes) -> None:
        value: Any = None
        reason = "an object that is no thread"
        try:
            value = json.loads(text(raw))
        except (ValueError, RecursionError):
            reason = "an object that is no JSON"
        entry: dict[str, Any] | None = value if isinstance(value, dict) and "frames" in value else None
        pid = _number(entry.get("pid")) if entry is not None else None
        dump = self._dump
        if dump is None or (pid is not None and dump.pid is not None and pid != dump.pid):
            if dump is not None:
                dump.end_line = max(dump.line, line - 1)
                self._done.append(dump)
            dump = self._dump = Dump(FORMAT, line if dump is not None else self._first, "python", "CPython")
        if entry is None:
            _add_problem(dump, line, reason, raw)
            return
        dump.pid = dump.pid if pid is None else pid
        info = entry.get("process_info")
        if isinstance(info, dict) and dump.command is None:
            dump.command = _string(info.get("command_line")) or None
        dump.threads.append(self._thread(dump, line, entry))

    def _thread(self, dump: Dump, line: int, entry: dict[str, Any]) -> Thread:
        active, gil = entry.get("active") is True, entry.get("owns_gil") is True
        ident = _number(entry.get("thread_id"))
        # In the words of the text: src/stack_trace.rs prints "active+gil" for an active thread only.
        state = ("active+gil" if gil else "active") if active else "idle"
        known = isinstance(entry.get("active"), bool)
        thread = Thread(
            _string(entry.get("thread_name")),
            line,
            state=("ACTIVE" if active else "IDLE") if known else None,
            printed_state=state if known else None,
            native_id=_number(entry.get("os_thread_id")),
            address=hex(ident) if ident is not None else None,
            gil=gil,
        )
        frames = entry["frames"]
        if not isinstance(frames, list):
            _add_problem(dump, line, "a thread without a list of frames", b"")
            return thread
        stack: list[Frame] = []
        for frame in frames:
            if not isinstance(frame, dict):
                _add_problem(dump, line, "a frame that is no object", str(frame)[:MAX_TEXT].encode())
                thread.truncated = True
                continue
            variables = frame.get("locals")
            if isinstance(variables, list) and variables:
                thread.locals = thread.locals or {}
                thread.locals[len(stack)] = {
                    _string(variable.get("name")): _string(variable.get("repr")) or "?"
                    for variable in variables
                    if isinstance(variable, dict)
                }
            stack.append(self._frame(frame))
        found = tuple(stack)
        thread.stack = self._stacks.setdefault(found, found)
        return thread

    def _frame(self, frame: dict[str, Any]) -> Frame:
        module = _string(frame.get("module"))
        file = _string(frame.get("filename")) or _string(frame.get("short_filename")) or module
        # Frames of C code name their shared object; Cython's do too, but have the names and lines of Python code.
        key = (
            _string(frame.get("name")),
            file,
            _number(frame.get("line")) or None,
            bool(module) and not file.endswith(".pyx"),
        )
        found = self._frames.get(key)
        if found is None:
            found = self._frames[key] = Frame(key[0], file or None, key[2], key[3])
        return found


def _is_foreign(line: bytes, depth: int) -> bool:
    """Whether a line shows that the array was cut before it: another array or text that no JSON printer writes."""
    start = line.lstrip()[:1]
    return line.startswith(b"[") or (bool(start) and start not in (b"{,]" if depth <= 1 else b'"{}[],'))


def _string(value: object) -> str:
    """The value if it is text; JSON can spell halves of surrogate pairs, which no file can hold."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 64 else None


def _add_problem(dump: Dump, line: int, reason: str, raw: bytes) -> None:
    if len(dump.problems) < MAX_PROBLEMS:
        dump.problems.append(Problem(line, reason, text(raw[: 4 * MAX_TEXT]).strip()[:MAX_TEXT]))
