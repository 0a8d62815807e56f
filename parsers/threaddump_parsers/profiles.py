"""What readers of profiles share: samples summed up by thread, and one entry for each thread with its heaviest stack.

A profile is no dump: a thread that was seen in many places stands here for the place where it was seen most. Where a
profile does not tell threads apart, each of its stacks is an entry.
"""

from __future__ import annotations

import re

from threaddump_parsers.model import Dump, Frame, Stack, Thread

MAX_STACKS = 10_000
"""Entries of a profile that does not tell threads apart; its lighter stacks are left out, and it says so."""

_PY_SPY = re.compile(r"(.+) \((<?[^()]+?>?)(?::(\d{1,9}))?\)", re.DOTALL)
_JAVA_CLASS = re.compile(r"(?:[\w$]++/)++[\w$]++")
_JAVA_METHOD = re.compile(r"[\w$<>]+(?:_\[[\w]\])?")
_ASYNC_SUFFIX = re.compile(r"_\[[\w]\]$")
_GO = re.compile(r"(?:runtime|main|net/http|sync|internal/poll)\.[\w.(*)]+")


def frame_of(printed: str, file: str | None = None, line: int | None = None) -> Frame:
    """A frame as profilers print it: ``get (queue.py:171)``, ``/srv/x.py:Queue.get:171``, ``com/shop/Dao.load_[j]``."""
    austin = _of_austin(printed)
    if austin is not None:
        return austin
    py_spy = _PY_SPY.fullmatch(printed) if file is None else None
    if py_spy is not None and (py_spy[3] or ".py" in py_spy[2]):
        return Frame(py_spy[1], py_spy[2], int(py_spy[3]) if py_spy[3] else None)
    if _is_java(printed):
        return Frame(_ASYNC_SUFFIX.sub("", printed).replace("/", "."), file, line)
    return Frame(_ASYNC_SUFFIX.sub("", printed), file, line, native=printed.endswith(("_[k]", "_[n]")))


def _of_austin(printed: str) -> Frame | None:
    """``FILE:FUNCTION:LINE``. A function may hold colons; a file is told by how it ends, or it is ``<stdin>``."""
    place, _, digits = printed.rpartition(":")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        return None
    end = max((at + len(suffix) for suffix in (".py", ".pyx") if (at := place.rfind(f"{suffix}:")) > 0), default=0)
    if not end and place.startswith("<"):
        end = place.find(":")
        if place[end - 1] != ">" or end < 3:
            return None
    return Frame(place[end + 1 :], place[:end], int(digits)) if end else None


def _is_java(printed: str) -> bool:
    """``com/shop/Dao.load`` and ``com/shop/Dao$$Lambda$14/0x00007f.run``."""
    owner, _, method = printed.partition(".")
    if ";" in owner or _JAVA_METHOD.fullmatch(method) is None:
        return False
    return _JAVA_CLASS.fullmatch(owner.partition("$$Lambda")[0]) is not None


def family_of(frames: list[tuple[str, Frame]]) -> tuple[str, str | None]:
    """The runtime family that frames show, and its name; ``other`` where they do not show it."""
    for printed, frame in frames:
        if frame.file is not None and frame.file.endswith((".py", ".pyx")):
            return "python", "CPython"
        if _is_java(printed):
            return "jvm", None
        if _GO.fullmatch(printed) or (frame.file is not None and frame.file.endswith(".go")):
            return "go", "Go"
    return "other", None


class Samples:
    """The samples of one process."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.pid: int | None = None
        self.command: str | None = None
        self.total = 0.0
        self.heaviest: dict[object, dict[tuple[str, ...], float]] = {}
        """Thread to its stacks, outermost frame first as printed, and their weights."""
        self.threads: dict[object, Thread] = {}
        self._frames: dict[str, Frame] = {}

    def add(self, thread: Thread | None, key: object, stack: tuple[str, ...], weight: float, line: int) -> None:
        """Count a sample. Without a thread every stack is an entry of its own."""
        if thread is None:
            key = stack
            thread = Thread("", line)
            thread.unit = "stack"
        self.threads.setdefault(key, thread)
        stacks = self.heaviest.setdefault(key, {})
        stacks[stack] = stacks.get(stack, 0.0) + weight
        self.total += weight

    def named(self, frame: str, made: Frame) -> None:
        """Give a frame its file and line, for formats that keep these apart."""
        self._frames[frame] = made

    def dump(self, format_id: str, unit: str, end_line: int) -> Dump:
        """One entry for each thread, with the stack that weighs most."""
        dump = Dump(format_id, self.line, "other", pid=self.pid, command=self.command, end_line=end_line)
        stacks: dict[tuple[str, ...], Stack] = {}
        loners = [key for key, thread in self.threads.items() if thread.unit == "stack"]
        kept = set(sorted(loners, key=lambda key: -max(self.heaviest[key].values()))[:MAX_STACKS])
        if len(kept) < len(loners):
            dump.truncated.append(f"the {MAX_STACKS:,} heaviest of {len(loners):,} stacks are looked at")
        for key, thread in self.threads.items():
            if thread.unit == "stack" and key not in kept:
                continue
            of_thread = self.heaviest[key]
            heaviest = max(of_thread, key=lambda stack: of_thread[stack])
            weight = sum(of_thread.values())
            thread.printed_state = f"{_amount(of_thread[heaviest], unit)} of {_amount(weight, unit)}"
            if thread.unit == "stack":
                thread.name = _amount(weight, unit)
            thread.stack = stacks.setdefault(heaviest, tuple(self._frame(frame) for frame in reversed(heaviest)))
            dump.threads.append(thread)
        dump.family, dump.runtime = family_of(list(self._frames.items()))
        apart = "" if len(loners) < len(self.threads) else "; it does not tell threads apart, so each stack is an entry"
        of_threads = " of thread time" if unit.endswith("seconds") else ""
        dump.profile = f"{_amount(self.total, unit)}{of_threads}{apart}"
        return dump

    def _frame(self, printed: str) -> Frame:
        frame = self._frames.get(printed)
        if frame is None:
            frame = self._frames[printed] = frame_of(printed)
        return frame


def _amount(weight: float, unit: str) -> str:
    """``99 samples``, ``1.5 s``."""
    if unit == "microseconds":
        return f"{weight / 1e6:,.3g} s"
    if unit in {"seconds", "milliseconds", "nanoseconds"}:
        return f"{weight * {'seconds': 1, 'milliseconds': 1e-3, 'nanoseconds': 1e-9}[unit]:,.3g} s"
    number = f"{weight:,.0f}" if weight == int(weight) else f"{weight:,.3g}"
    return f"{number} {unit.rstrip('s') if weight == 1 else unit}"
