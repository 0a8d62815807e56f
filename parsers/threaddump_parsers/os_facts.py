"""What the operating system knew of a process when its dump was taken: lines that ``threaddump capture`` adds to it.

::

    # threaddump-os: {"schema":1,"taken_at":"2026-11-25T09:50:45.058Z","pid":13915,"host":"orders-4",...}
    # threaddump-os: {"threads":[{"tid":13956,"cpu_ms":0,"call":"recvfrom","peer":"10.0.0.7:7001","silent_ms":1544}]}

``threaddump/capture/facts.py`` writes them and says what each field means. They belong to the dump before them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, OsFacts, Problem, SystemCall

FORMAT = "os-facts"
FAMILY = "any"
TITLE = "facts of the operating system, below a dump"
CAPTURE = (("threaddump capture PID", "a dump with what the kernel knows of each thread's call and its peer"),)
INITIALS = b"#"

_START = b"# threaddump-os: "
_MAX_LINE = 1 << 22
_MAX_PROBLEM = 200


def claims(line: bytes) -> bool:
    """Any of these lines."""
    return line.startswith(_START)


def parse(lines: Lines) -> Iterator[Dump]:
    """A dump without threads that holds the facts; whoever reads the stream joins it to the dump before it."""
    dump = Dump(FORMAT, 0, "")
    facts: OsFacts | None = None
    for number, line in lines:
        value = _object(line) if line.startswith(_START) else None
        if not line.startswith(_START) or (facts is not None and value is not None and "schema" in value):
            lines.push_back((number, line))
            break
        if facts is None:
            facts = dump.os = OsFacts(number)
            dump.line = number
        dump.end_line = number
        if value is None:
            text = line[:_MAX_PROBLEM].decode("utf-8", "replace").rstrip()
            dump.problems.append(Problem(number, "a line of facts that is no JSON object: it was cut", text))
        elif "threads" in value:
            _add_threads(facts, value["threads"])
        else:
            facts.process = value
    if facts is not None:
        yield dump


def _object(line: bytes) -> dict[str, Any] | None:
    if len(line) > _MAX_LINE:
        return None
    try:
        value = json.loads(line[len(_START) :])
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _add_threads(facts: OsFacts, rows: Any) -> None:
    for row in rows if isinstance(rows, list) else ():
        tid = _number(row.get("tid")) if isinstance(row, dict) else None
        if tid is None:
            continue
        cpu = _number(row.get("cpu_ms"))
        if cpu is not None:
            facts.cpu_ms[tid] = cpu
        name = _text(row.get("call"))
        if name is not None:
            facts.calls[tid] = SystemCall(
                name=name,
                peer=_text(row.get("peer")),
                state=_text(row.get("state")),
                on=_text(row.get("on")),
                timeout_ms=_number(row.get("timeout_ms")),
                untimed=row["untimed"] if isinstance(row.get("untimed"), bool) else None,
                waiting_ms=_number(row.get("silent_ms")),
                unread=_number(row.get("unread")) or 0,
                unsent=_number(row.get("unsent")) or 0,
            )
        host_tid = _number(row.get("host_tid"))
        if host_tid is not None:
            facts.host_tids[host_tid] = tid


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63 else None


def _text(value: Any) -> str | None:
    return value[:_MAX_PROBLEM] if isinstance(value, str) and value else None
