"""Thousands of dumps to one summary: chunks of inputs go to workers, and small summaries come back.

Memory is bounded by the largest dump that each worker reads: a worker holds one at a time, and keeps what its chunk of
inputs says. Nothing about one input ends the run.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from threaddump import intake
from threaddump.analysis import STUCK_AFTER, Fingerprint, classifier_of, facts_of, fingerprint, report_of
from threaddump.archives import from_each
from threaddump.fanout import CHUNK_INPUTS, Engine, LostError, chunks, spread
from threaddump.report import DumpReport
from threaddump.sources import STDIN, InputError, Source
from threaddump.summary import Summary

if TYPE_CHECKING:
    from threaddump.rules import Rules

Advance = Callable[[int], None]
"""Told how many more inputs are done."""


class StoppedError(Exception):
    """The run ended early; ``summary`` is what was done, ``reason`` why where it was not Ctrl-C."""

    def __init__(self, summary: Summary, reason: InputError | None) -> None:
        super().__init__()
        self.summary, self.reason = summary, reason


def summarize(
    sources: Sequence[Source],
    engine: Engine | None = None,
    rules: Rules | None = None,
    stuck_after: float = STUCK_AFTER,
    advance: Advance = lambda _: None,
) -> Summary:
    """What all dumps of the sources say together; without an engine this process reads them one after the other.

    What an input says is the same whoever reads it. Raises StoppedError, with what was done, on a KeyboardInterrupt and
    where the engine is lost.
    """
    work = partial(_summarize, rules=rules, stuck_after=stuck_after)
    work_there = partial(_summarize_and_collect, rules=rules, stuck_after=stuck_after)
    total = Summary(rules=set(rules.names) if rules is not None else set())
    here = [source for source in sources if engine is None or source.name == STDIN]
    there = [source for source in sources if engine is not None and source.name != STDIN]
    try:
        for number, source in enumerate(here, 1):
            total.absorb(work([source]))
            advance(1)
            if number % CHUNK_INPUTS == 0:
                _collect()
        if engine is not None:
            with closing(spread(work_there, chunks(there), engine)) as results:
                for chunk, result in results:
                    if isinstance(result, LostError):
                        result = _lost(chunk)
                    total.absorb(result)
                    advance(result.inputs)
    except KeyboardInterrupt:
        raise StoppedError(_with_left(total, sources), None) from None
    except Exception as error:
        reason = InputError(
            f"the workers cannot go on: {type(error).__name__}: {error}",
            "the same version of threaddump has to be installed on all of them",
        )
        raise StoppedError(_with_left(total, sources), reason) from error
    return total


def _with_left(total: Summary, sources: Sequence[Source]) -> Summary:
    total.left = max(len(sources) - total.inputs, 0)
    return total


def _lost(chunk: Iterable[Source]) -> Summary:
    summary = Summary()
    for source in chunk:
        _count(source, summary)
        reason = f"{source.label}: the process that read it was ended from outside"
        summary.fail(source.label, reason, "it may need more memory than there is: threaddump analyze FILE")
    return summary


_ONE_AT_A_TIME = threading.Lock()
"""Workers of a cluster may have threads, and a classifier is not made for several."""


def _summarize(chunk: Sequence[Source], rules: Rules | None, stuck_after: float) -> Summary:
    """What the dumps of some inputs say together. Raises nothing that an input may cause."""
    summary = Summary()
    with _ONE_AT_A_TIME:
        for source in chunk:
            _count(source, summary)

            def fail(text: Source, error: InputError) -> None:
                summary.fail(text.label, str(error), error.hint)

            try:
                read = partial(_reports, rules=rules, stuck_after=stuck_after)
                for text, (dump, content) in from_each(source, read, fail):
                    dump.member = text.member
                    summary.record(dump, content)
            except Exception as error:  # noqa: BLE001  (a defect of ours must not cost the other inputs)
                reason = f"{source.label}: a defect of threaddump: {type(error).__name__}: {error}"
                summary.fail(source.label, reason, "report it, with: threaddump analyze FILE")
    return summary


def _summarize_and_collect(chunk: Sequence[Source], rules: Rules | None, stuck_after: float) -> Summary:
    """In a worker, which does nothing else."""
    summary = _summarize(chunk, rules, stuck_after)
    _collect()
    return summary


def _collect() -> None:
    """Free what refers to itself, where the collector is off: the command line has no use for it while it reads.

    What stays is the catalog and caches for the most part. Walked each time it would take longer than the dumps.
    """
    if not gc.isenabled():
        gc.collect()
        gc.freeze()


def _count(source: Source, summary: Summary) -> None:
    summary.inputs += source.part is None or source.part.start == 0


def _reports(source: Source, rules: Rules | None, stuck_after: float) -> Iterator[tuple[DumpReport, Fingerprint]]:
    """The dumps of a text as they are read; those without a thread only if another has some, as in a report."""
    empty: list[tuple[DumpReport, Fingerprint]] = []
    found = False
    for dump in intake.dumps(source):
        report = report_of(facts_of(dump, classifier_of(dump.family, rules), stuck_after), source.name, rules)
        if dump.threads:
            found = True
            yield report, fingerprint(dump)
        else:
            empty.append((report, fingerprint(dump)))
    if not found and source.part is None:
        raise InputError(
            f"{source.label}: a thread dump begins in line {empty[0][0].line}, but no thread follows",
            "the input is cut short: take the dump again and save it whole",
        )
    yield from empty
