r"""The JSON of speedscope's file format (https://www.speedscope.app/file-format-schema.json), as written by py-spy,
async-profiler converters and others::

    {"$schema":"https://www.speedscope.app/file-format-schema.json","profiles":[{"type":"sampled",
    "name":"Thread 2206 \"MainThread\"","unit":"seconds","samples":[[2,1,0]],"weights":[0.01]}],
    "shared":{"frames":[{"name":"get","file":"queue.py","line":171}]}}

A profile is a thread. Its samples list frames by number, outermost first; the ``evented`` kind says when a frame was
entered and left instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Frame, Problem, Thread
from threaddump_parsers.profiles import Samples, frame_of

FORMAT = "speedscope"
FAMILY = "any"
TITLE = "speedscope profile"
CAPTURE = (("py-spy record --format speedscope --idle -o FILE --pid PID", "Python; --idle keeps threads that wait"),)
INITIALS = b'{" \t'

_SCHEMA = b"speedscope.app/file-format-schema"
_MAX_DOCUMENT = 1 << 27
_PY_SPY = re.compile(r'(?:Process (\d{1,10}) )?Thread (\d{1,20}|0x[0-9a-fA-F]{1,16})(?: "(.*)")?', re.DOTALL)
_COUNTED = {"none", "bytes"}


def claims(line: bytes) -> bool:
    """The line that names the schema, near the beginning of the document."""
    return _SCHEMA in line[:4096] and line.lstrip(b" \t")[:1] in {b"{", b'"'}


def parse(lines: Lines) -> Iterator[Dump]:
    """Read one document."""
    start, parts, size = 0, [], 0
    depth = 0
    last = 0
    for number, line in lines:
        if not start:
            start = number
            if not line.lstrip().startswith(b"{"):
                # A document that is printed over many lines: its first bracket stands alone before.
                parts.append(b"{")
                depth = 1
                if lines.last and lines.last[-1][0] == number - 1 and lines.last[-1][1].strip() == b"{":
                    start = number - 1
        last = number
        size += len(line)
        if size <= _MAX_DOCUMENT:
            parts.append(line)
        depth += _balance(line)
        if depth <= 0:
            break
    if not start:
        return
    value = _loads(b"".join(parts)) if size <= _MAX_DOCUMENT else None
    profiles = value.get("profiles") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(profiles, list):
        dump = Dump(FORMAT, start, "other", end_line=last)
        why = "the JSON ends in the middle" if depth > 0 else "the JSON cannot be read"
        dump.problems.append(Problem(last, why))
        dump.truncated.append(f"{why}: no profile could be read")
        yield dump
        return
    yield _dump(value, profiles, start, last)


_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"')


def _balance(line: bytes) -> int:
    bare = _STRING.sub(b"", line)
    return bare.count(b"{") - bare.count(b"}")


def _loads(raw: bytes) -> Any:
    try:
        return json.loads(raw.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def _dump(value: dict[str, Any], profiles: list[Any], start: int, last: int) -> Dump:
    samples = Samples(start)
    shared = value.get("shared")
    frames = _frames(samples, shared.get("frames") if isinstance(shared, dict) else None)
    unit = "samples"
    odd = 0
    for index, profile in enumerate(profiles):
        if not isinstance(profile, dict):
            odd += 1
            continue
        printed = profile.get("unit")
        unit = printed if isinstance(printed, str) and printed not in _COUNTED else unit
        name = profile.get("name")
        thread = _thread(name if isinstance(name, str) else "", start)
        if thread.native_id is None and thread.address is None and len(profiles) == 1 and "hread" not in thread.name:
            stacks = _weighted(profile, frames)
            for stack, weight in stacks:
                samples.add(None, None, stack, weight, start)
            continue
        seen = False
        for stack, weight in _weighted(profile, frames):
            samples.add(thread, index, stack, weight, start)
            seen = True
        if not seen:
            samples.add(thread, index, (), 0.0, start)
    dump = samples.dump(FORMAT, unit, last)
    if odd:
        dump.problems.append(Problem(start, f"{odd} profiles that cannot be read"))
    return dump


def _frames(samples: Samples, listed: Any) -> list[str]:
    """A name for each of the shared frames; what they say of themselves is kept with the samples."""
    names = []
    for number, frame in enumerate(listed if isinstance(listed, list) else ()):
        frame = frame if isinstance(frame, dict) else {}
        name, file, line = frame.get("name"), frame.get("file"), frame.get("line")
        file = file if isinstance(file, str) and file else None
        line = line if isinstance(line, int) and 0 < line < 1 << 31 else None
        made = frame_of(name, file, line) if isinstance(name, str) else Frame("?", file, line)
        key = f"{number}"
        samples.named(key, made)
        names.append(key)
    return names


def _thread(name: str, line: int) -> Thread:
    found = _PY_SPY.fullmatch(name)
    if found is None:
        return Thread(name, line)
    thread = Thread(found[3] or "", line)
    if found[2].startswith("0x"):
        thread.address = found[2]
    else:
        thread.native_id = int(found[2])
    return thread


def _weighted(profile: dict[str, Any], frames: list[str]) -> Iterator[tuple[tuple[str, ...], float]]:
    """Each stack of a profile with its weight."""
    stacks, weights, events = profile.get("samples"), profile.get("weights"), profile.get("events")
    if isinstance(stacks, list):
        known = weights if isinstance(weights, list) else []
        for number, stack in enumerate(stacks):
            if isinstance(stack, list):
                weight = _number(known[number]) if number < len(known) else None
                yield tuple(_named(stack, frames)), 1.0 if weight is None else weight
    elif isinstance(events, list):
        open_frames: list[int] = []
        since = 0.0
        for event in events:
            at = _number(event.get("at")) if isinstance(event, dict) else None
            if at is None:
                continue
            frame = event.get("frame")
            if open_frames and at > since and len(open_frames) <= 1000:
                yield tuple(_named(open_frames, frames)), at - since
            since = at
            if event.get("type") == "O" and isinstance(frame, int):
                open_frames.append(frame)
            elif event.get("type") == "C" and open_frames:
                open_frames.pop()


def _number(value: object) -> float | None:
    """The value if it is a number that can be counted with; Python's JSON has NaN, and numbers of any size."""
    return float(value) if isinstance(value, int | float) and abs(value) < 1e300 else None


def _named(stack: list[Any], frames: list[str]) -> Iterator[str]:
    for frame in stack:
        if isinstance(frame, int) and 0 <= frame < len(frames):
            yield frames[frame]
