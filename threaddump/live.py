"""The commands for live processes: ``ps``, and ``capture`` with what comes after it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from threaddump.capture import Capture, Options, Target, capture, rounds
from threaddump.capture.keep import Keeper
from threaddump.reports.text import Line, cells, clean, clip
from threaddump.sources import InputError, Source

Say = Callable[[str], None]


@dataclass(slots=True, frozen=True)
class Captured(Source):
    """A capture as an input: it is analysed from memory, for there may be no disk."""

    text: bytes = b""

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        yield io.BytesIO(self.text)


class Interrupted(Exception):  # noqa: N818  (a KeyboardInterrupt with what is done so far)
    """Ctrl-C came; ``done`` are the captures that are complete."""

    def __init__(self, done: list[Captured]) -> None:
        super().__init__()
        self.done = done


def take_all(
    targets: Sequence[Target],
    count: int,
    interval: float,
    options: Options,
    keeper: Keeper,
    say: Say,
    complain: Callable[[InputError], None],
) -> list[Captured]:
    """Capture every target in every round. What fails is complained of, the others go on. Raises Interrupted."""
    done: list[Captured] = []
    gone: set[int] = set()
    if sys.platform != "linux":
        say("threaddump: which address each call waits for, how long, and with what timeout is read on Linux only")
    try:
        for number, target in rounds(targets, count, interval):
            if target.pid in gone:
                continue
            try:
                taken = capture(target, number, options)
                place = _kept(taken, keeper, complain)
            except InputError as error:
                complain(error)
                if not target.alive():
                    gone.add(target.pid)
                continue
            done.append(Captured(place, None, text=taken.text))
            say(_done_words(taken, count, place))
            if len(gone) == len(targets):
                break
    except KeyboardInterrupt as error:
        raise Interrupted(done) from error
    return done


def _kept(taken: Capture, keeper: Keeper, complain: Callable[[InputError], None]) -> str:
    """Where the capture was written; it is analysed also where that failed."""
    try:
        return keeper.keep(taken)
    except InputError as error:
        complain(error)
        return f"{taken.target.name} {taken.target.pid}, not kept"


def _done_words(taken: Capture, count: int, place: str) -> str:
    which = f"round {taken.round} of {count}: " if count > 1 else ""
    target = taken.target
    return f"{which}{target.name} (pid {target.pid}), {taken.taken.how}, {taken.taken.took_ms / 1000:.2f} s: {place}"


# --- ps


@dataclass(slots=True, frozen=True)
class Row:
    """A process as ``ps`` shows it; None and empty are not known."""

    pid: int
    runtime: str
    version: str | None
    name: str
    service: str | None
    user: str | None
    up_s: float
    threads: int | None
    cpu_percent: float | None
    """Of one processor, over the life of the process."""
    listening: list[str]
    container: str | None
    command: list[str]


def process_rows(targets: Iterable[Target]) -> list[Row]:
    """One row a process, by pid."""
    return sorted(map(_row, targets), key=lambda row: row.pid)


def _row(target: Target) -> Row:
    import psutil

    from threaddump.capture.targets import age

    user = threads = cpu = None
    try:
        process = psutil.Process(target.pid)
        user = process.username()
        threads = process.num_threads()
        used = process.cpu_times()
        cpu = round(100 * (used.user + used.system) / max(age(target), 0.01), 1)
    except (psutil.Error, KeyError):
        pass  # it ended just now, or its user has no name here
    service = container = None
    if sys.platform == "linux":
        from threaddump.capture import facts

        listening = facts.listening(target.pid)
        service, container = facts.service_and_container(target.pid)
    else:
        listening = _listening(target)
    return Row(
        target.pid,
        target.runtime,
        target.version,
        target.name,
        service,
        user,
        round(age(target), 1),
        threads,
        cpu,
        listening,
        container,
        list(target.command),
    )


def _listening(target: Target) -> list[str]:
    """The addresses that it accepts connections on, as far as psutil may see them."""
    import psutil

    if target.process is None:
        return []
    try:
        found = target.process.net_connections("tcp")
    except (psutil.Error, OSError):
        return []
    return sorted({f"{each.laddr.ip}:{each.laddr.port}" for each in found if each.status == psutil.CONN_LISTEN})


_COLUMNS = ("PID", "RUNTIME", "USER", "UP", "THREADS", "CPU", "LISTENS ON", "NAME")


def process_lines(rows: Sequence[Row], width: int) -> Iterator[Line]:
    """The table: no line wider than the terminal, the name gets what is left."""
    if not rows:
        yield [("No JVM or Python process can be seen here. As root all processes of the machine can be.", "")]
        return
    table = [list(_COLUMNS), *[_cells(row) for row in rows]]
    widths = [max(cells(line[column]) for line in table) for column in range(len(_COLUMNS) - 1)]
    for number, line in enumerate(table):
        text = "  ".join(
            cell.rjust(size) if column in {0, 4, 5} else cell + " " * (size - cells(cell))
            for column, (cell, size) in enumerate(zip(line, widths, strict=False))
        )
        yield [(clip(f"{text}  {line[-1]}", width), "heading" if number == 0 else "")]


def _cells(row: Row) -> list[str]:
    runtime = {"jvm": "Java", "openj9": "OpenJ9", "python": "Python"}[row.runtime]
    ports = sorted({address.rpartition(":")[2] for address in row.listening}, key=int)
    name = f"{clean(row.service)}: {clean(row.name)}" if row.service else clean(row.name)
    if row.container:
        name += f" [container {row.container}]"
    return [
        str(row.pid),
        f"{runtime} {row.version}" if row.version else runtime,
        clip(clean(row.user or "?"), 16),
        _span(row.up_s),
        "?" if row.threads is None else str(row.threads),
        "?" if row.cpu_percent is None else f"{row.cpu_percent:.0f} %",
        clip(", ".join(ports[:3]) + (f" +{len(ports) - 3}" if len(ports) > 3 else ""), 20),
        name,
    ]


def _span(seconds: float) -> str:
    """``42 s``, ``17 min``, ``5 h``, ``12 d``."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
