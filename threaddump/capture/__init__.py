"""Live processes: find them, take their dumps with what the kernel knows of their threads, and keep them.

``targets.py`` finds processes, ``take.py`` takes a dump (``attach.py`` speaks to a JVM), ``facts.py`` adds what the
operating system knows (``calls.py`` and ``sockets.py`` read it), and ``keep.py`` writes files.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from threaddump.capture.take import Taken, take
from threaddump.capture.targets import Target
from threaddump.sources import InputError

SECONDS = 30.0
"""Longest wait for one dump: a JVM in a long collection answers after it."""


@dataclass(slots=True, frozen=True)
class Capture:
    """One dump of one process: the runtime's text untouched, then the facts."""

    target: Target
    round: int
    taken_at: datetime
    taken: Taken
    text: bytes


@dataclass(slots=True, frozen=True)
class Options:
    """How dumps are taken."""

    seconds: float = SECONDS
    native: bool = False
    """Python: with the frames of C."""
    variables: bool = False
    """Python: with local variables."""
    resolve: float = 0.0
    """Seconds for asking DNS for the names of peers; 0: do not ask."""
    light: bool = False
    """Without the virtual threads of a newer JVM: their dump is a file that it has to write."""


def capture(target: Target, number: int, options: Options) -> Capture:
    """Take one dump now. Raises InputError where there is none, with what to try next."""
    taken_at = datetime.now(UTC)
    watch = None
    if sys.platform == "linux":
        from threaddump.capture.facts import Watch

        watch = Watch(target.pid)
    taken = take(target, options.seconds, native=options.native, variables=options.variables, light=options.light)
    text = taken.text if taken.text.endswith(b"\n") else taken.text + b"\n"
    if watch is not None:
        more: dict[str, object] = {"captured": taken.how, "took_ms": taken.took_ms, "command": _command(target)}
        if options.resolve:
            from threaddump.capture.names import names

            more["names"] = names(watch.peers(), options.resolve)
        text += b"".join(watch.lines(more))
    if target.replaced:  # whose dump it is, and whose facts, nobody can tell
        raise InputError(
            f"{target.end_words()}: what was read meanwhile is not kept", "threaddump ps lists the processes of now"
        )
    return Capture(target, number, taken_at, taken, text)


def _command(target: Target) -> str:
    """What runs, without its arguments: they may hold secrets."""
    return f"{target.program or target.command[0]} {target.name}"


def rounds(targets: Sequence[Target], count: int, interval: float) -> Iterator[tuple[int, Target]]:
    """Each target in each round, the rounds ``interval`` seconds apart from start to start."""
    start = time.monotonic()
    for number in range(count):
        wait = start + number * interval - time.monotonic()
        if number and wait > 0:
            time.sleep(wait)
        for target in targets:
            yield number + 1, target


__all__ = ["Capture", "InputError", "Options", "Target", "capture", "rounds"]
