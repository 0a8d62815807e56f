"""Work for several processes: big files in parts, many inputs in chunks. Only finished reports and summaries travel
between processes, never threads.

Written against ``concurrent.futures.Executor``. Below ``PART`` bytes a part is not worth a process.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from threaddump.intake import SAMPLE, is_plain
from threaddump.sources import InputError, Part, Source
from threaddump_parsers import parsers

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

PART = 16 << 20
CHUNK = 8 << 20
"""Bytes of the inputs that travel together: much more than a message costs, and little to do again."""
CHUNK_INPUTS = 64
_PATIENCE = 10
"""Seconds in which a scheduler has to answer."""
_BLOCK = 1 << 20
_OVERLAP = 1 << 10
_REACH = 32 << 20
"""How far behind the wanted place a dump may begin."""
T = TypeVar("T")


def split(source: Source) -> list[Source]:
    """The source in parts that begin where a dump begins; the source alone where it is small or cannot be cut."""
    if source.path is None or source.part is not None:
        return [source]
    try:
        size = source.path.stat().st_size
        processes = min(cpus(), size // PART)
        if processes < 2 or not source.path.is_file():
            return [source]
        bounds = [0, *_starts(source, size, processes), size]
    except OSError:
        return [source]  # reading it as a whole says what is wrong
    if len(bounds) == 2:
        return [source]
    return [replace(source, part=Part(start, end)) for start, end in pairwise(bounds)]


def run(work: Callable[[Source], T], parts: Sequence[Source]) -> list[T]:
    """The results of all parts in their order. This process does the first part itself."""
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    try:
        with ProcessPoolExecutor(max_workers=len(parts) - 1) as executor:
            futures = [executor.submit(work, part) for part in parts[1:]]
            return [work(parts[0]), *(future.result() for future in futures)]
    except (BrokenProcessPool, OSError):
        # No process could be had, or one was killed (memory): one after the other is slow but safe.
        return [work(part) for part in parts]


def cpus() -> int:
    """Processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


# --- many inputs


@dataclass(slots=True, frozen=True)
class Engine:
    """Where chunks are worked on."""

    start: Callable[[], Executor]
    stop: Callable[[], None]
    """Ends what is being worked on, without waiting for it."""
    width: int
    """Chunks that are worked on at once."""
    lost: tuple[type[Exception], ...]
    """What a future raises when the process that worked on it is gone."""
    breaks: bool
    """Whether a lost process takes its executor with it."""


class LostError(Exception):
    """The process that worked on an input was ended from outside, whenever it was tried."""


def chunks(sources: Iterable[Source]) -> Iterator[list[Source]]:
    """The sources in their order: small ones together, big files in parts."""
    chunk: list[Source] = []
    size = 0
    for source in sources:
        parts = split(source)
        own = _size(source)
        if chunk and (len(parts) > 1 or size + own > CHUNK or len(chunk) == CHUNK_INPUTS):
            yield chunk
            chunk, size = [], 0
        if len(parts) > 1:
            yield from ([part] for part in parts)
        else:
            chunk.append(source)
            size += own
    if chunk:
        yield chunk


def _size(source: Source) -> int:
    try:
        return source.path.stat().st_size if source.path is not None else PART >> 4
    except OSError:
        return 0


def spread(
    work: Callable[[list[Source]], T], todo: Iterable[list[Source]], engine: Engine
) -> Generator[tuple[list[Source], T | LostError], None, None]:
    """Each chunk with its result, in the order in which they are done.

    A chunk whose process is lost is tried again at the end, alone, and then input by input: what is lost then has ended
    the process itself. After a KeyboardInterrupt what is already done still comes, then the exception.
    """
    suspects: list[list[Source]] = []
    left = iter(todo)
    while (yield from _together(work, left, engine, suspects)):
        pass
    for chunk in suspects:
        yield from _alone(work, chunk, engine)


def _together(
    work: Callable[[list[Source]], T], left: Iterator[list[Source]], engine: Engine, suspects: list[list[Source]]
) -> Generator[tuple[list[Source], T | LostError], None, bool]:
    """All chunks through one executor; true where it broke before the end, with what it had as suspects."""
    from concurrent.futures import FIRST_COMPLETED, wait

    pending: dict[Future[T], list[Source]] = {}
    with _started(engine) as executor:
        try:
            while True:
                while len(pending) <= engine.width and (chunk := next(left, None)) is not None:
                    try:
                        pending[executor.submit(work, chunk)] = chunk
                    except engine.lost:
                        suspects += [chunk, *pending.values()]
                        return True
                    except OSError:
                        yield chunk, work(chunk)  # no process can be had
                if not pending:
                    return False
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    chunk = pending.pop(future)
                    try:
                        yield chunk, future.result()
                    except engine.lost:
                        suspects.append(chunk)
                        if engine.breaks:
                            suspects += pending.values()
                            return True
        except KeyboardInterrupt:
            engine.stop()
            for future, chunk in pending.items():
                if future.done() and not future.cancelled() and future.exception() is None:
                    yield chunk, future.result()
            raise


def _alone(
    work: Callable[[list[Source]], T], chunk: list[Source], engine: Engine
) -> Iterator[tuple[list[Source], T | LostError]]:
    with _started(engine) as executor:
        try:
            yield chunk, executor.submit(work, chunk).result()
            return
        except engine.lost:
            pass
    if len(chunk) == 1:
        yield chunk, LostError()
        return
    for source in chunk:
        yield from _alone(work, [source], engine)


@contextmanager
def _started(engine: Engine) -> Iterator[Executor]:
    """An executor, whose work is given up where it is left by an exception."""
    executor = engine.start()
    try:
        yield executor
    except BaseException:
        engine.stop()
        raise
    finally:
        executor.shutdown()


@contextmanager
def local(processes: int) -> Iterator[Engine]:
    """Processes of this machine."""
    import multiprocessing
    import threading
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    others = set(multiprocessing.active_children())
    # A fork copies locks that other threads hold, as those of fsspec's loop.
    context = multiprocessing.get_context("spawn") if threading.active_count() > 1 else None

    def start() -> Executor:
        return ProcessPoolExecutor(processes, context, _begin)

    def stop() -> None:
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()

    yield Engine(start, stop, processes, (BrokenProcessPool,), breaks=True)


def _begin() -> None:
    """A worker ends at once when Ctrl-C reaches the whole group, and says nothing: its parent does."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def dask(url: str) -> Iterator[Engine]:
    """The workers of a dask.distributed cluster, by the URL of its scheduler: ``dask://HOST:PORT``.

    They read the inputs themselves, and need the same version of this package. Raises InputError where there is none.
    """
    match = re.fullmatch(r"dask://([^/\s]+:\d+)/?", url)
    if match is None:
        raise InputError(f"{url}: this names no engine", "--engine dask://HOST:PORT, the address of its scheduler")
    try:
        import distributed
        from distributed.scheduler import KilledWorker
    except ImportError as error:
        raise InputError(f"{url}: this needs dask.distributed", "pip install 'threaddump[cluster]'") from error
    client = None
    try:
        client = distributed.Client(f"tcp://{match[1]}", timeout=_PATIENCE, set_as_default=False)
        client.wait_for_workers(1, timeout=_PATIENCE)
    except (OSError, TimeoutError) as error:
        if client is not None:
            client.close()
        raise InputError(
            f"{url}: no scheduler with workers answers there: {error}", "dask scheduler, and dask worker HOST:PORT"
        ) from error
    started: list[Executor] = []

    def start() -> Executor:
        executor: Executor = client.get_executor(pure=False)
        started.append(executor)
        return executor

    def stop() -> None:
        for executor in started:
            executor.shutdown(wait=False)  # which cancels, here

    try:
        yield Engine(start, stop, 2 * sum(client.ncores().values()), (KilledWorker,), breaks=False)
    finally:
        client.close()


def _starts(source: Source, size: int, processes: int) -> list[int]:
    """Offsets near the equal shares of the file at which a dump begins."""
    patterns = [pattern for parser in parsers() if (pattern := getattr(parser, "STARTS", None)) is not None]
    found: list[int] = []
    with source.open() as stream:
        if not is_plain(stream.read(SAMPLE)):
            return []
        for share in range(1, processes):
            wanted = size * share // processes
            if found and found[-1] >= wanted:
                continue
            start = _first_start(patterns, stream, wanted)
            if start is not None:
                found.append(start)
    return found


def _first_start(patterns: Sequence[re.Pattern[bytes]], stream: BinaryIO, wanted: int) -> int | None:
    """The first offset behind ``wanted`` at which a dump begins."""
    stream.seek(wanted - 1)
    stream.readline()  # to the beginning of a line: a pattern must not match within one
    offset, tail = stream.tell(), b""
    while offset < wanted + _REACH and (block := stream.read(_BLOCK)):
        # Whole lines only, and the last few again with the next block: the beginning of a dump has three lines.
        text = tail + block
        whole = text.rfind(b"\n") + 1
        matches = [match.start() for pattern in patterns if (match := pattern.search(text, 0, whole))]
        if matches:
            return offset + min(matches)
        keep = max(whole - _OVERLAP, 0)
        tail, offset = text[keep:], offset + keep
    return None
