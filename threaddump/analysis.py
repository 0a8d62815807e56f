"""From inputs to a report: the one place where reading, classifying, waits and findings meet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from itertools import chain
from typing import TYPE_CHECKING
from zlib import crc32

from threaddump import intake
from threaddump.archives import from_each
from threaddump.classify import Classifier
from threaddump.fanout import run as run_parts
from threaddump.fanout import split
from threaddump.findings import run
from threaddump.findings.facts import Facts
from threaddump.groups import group_threads
from threaddump.hints import hints, series_hint
from threaddump.report import SEVERITIES, DumpReport, Report
from threaddump.series.snapshots import Snapshot, snapshot
from threaddump.sources import InputError, Source
from threaddump.waits import find_waits
from threaddump_parsers.model import Dump, Problem

if TYPE_CHECKING:
    from threaddump.rules import Rules

STUCK_AFTER = 5.0
"""Seconds after which a call that is still waiting is called stuck."""


def analyze(
    sources: Iterable[Source],
    on_error: Callable[[Source, InputError], None],
    rules: Rules | None = None,
    stuck_after: float = STUCK_AFTER,
) -> Report:
    """Read and analyse every source. Inputs that cannot be used are handed to ``on_error``, the rest goes on.

    A call that waits for ``stuck_after`` seconds is stuck: what a captured dump tells.
    """
    report = Report(rules=list(rules.names) if rules is not None else [])
    seen: dict[Fingerprint, list[DumpReport]] = {}
    snapshots: list[tuple[DumpReport, Snapshot]] = []

    def fail(source: Source, error: InputError) -> None:
        if source.member is None and report.dumps and report.dumps[-1].source == source.name:
            report.problems.append(Problem(0, str(error)))  # an archive that is not read to its end
        on_error(source, error)

    for source in sources:
        read = partial(_analyze_source, rules=rules, stuck_after=stuck_after)
        for text, (dump, fingerprint, state) in from_each(source, read, fail):
            dump.member = text.member
            dump.rename(f"d{len(report.dumps) + 1}")
            alike = seen.setdefault(fingerprint, [])
            first = next((other for other in alike if _may_be_of_one_process(dump, other)), None)
            if first is None:
                alike.append(dump)
            else:
                dump.duplicate_of = first.id
            report.dumps.append(dump)
            snapshots.append((dump, state))
    if len(snapshots) > 1:
        from threaddump.series.compare import series
        from threaddump.series.findings import over_time

        report.series = series(snapshots)
        for each in report.series:
            each.findings = sorted(over_time(each), key=lambda finding: SEVERITIES.index(finding.severity))
    single = [dump for dump in report.dumps if dump.duplicate_of is None]
    if len(single) == 1 and single[0].series_hint is not None:
        single[0].hints.append(single[0].series_hint)
    return report


Fingerprint = tuple[str, str | None, int | None, int, int, int]
Analyzed = tuple[DumpReport, Fingerprint, Snapshot]
"""The report on one dump, what tells the same dump given twice, and what others are compared with."""


def _analyze_source(source: Source, rules: Rules | None, stuck_after: float) -> list[Analyzed]:
    parts = split(source)
    work = partial(
        _analyze_part, rules=rules, stuck_after=stuck_after
    )  # the rules travel to the other processes with it
    found = work(source) if len(parts) == 1 else list(chain.from_iterable(run_parts(work, parts)))
    if not any(dump.total for dump, _, _ in found):
        raise InputError(
            f"{source.label}: a thread dump begins in line {found[0][0].line}, but no thread follows",
            "the input is cut short: take the dump again and save it whole",
        )
    return found


def _analyze_part(source: Source, rules: Rules | None, stuck_after: float) -> list[Analyzed]:
    found: list[Analyzed] = []
    for dump in intake.dumps(source):
        facts = facts_of(dump, _classifier(dump.family, rules), stuck_after)
        found.append((report_of(facts, source.name, rules), _fingerprint(dump), snapshot(facts)))
    return found


@lru_cache(maxsize=8)
def _classifier(family: str, rules: Rules | None) -> Classifier:
    return Classifier(family) if rules is None else rules.classifier(family)


def analyze_dump(
    dump: Dump, classifier: Classifier, source: str, rules: Rules | None = None, stuck_after: float = STUCK_AFTER
) -> DumpReport:
    """Everything that is said about one dump. Its id is given when it enters a report."""
    return report_of(facts_of(dump, classifier, stuck_after), source, rules)


def facts_of(dump: Dump, classifier: Classifier, stuck_after: float = STUCK_AFTER) -> Facts:
    """What is concluded of a dump before the rules run."""
    verdicts = classifier.verdicts(dump)
    groups, group_of = group_threads(dump, verdicts)
    waits = find_waits(dump, verdicts, groups, group_of, classifier)
    return Facts(dump, verdicts, groups, group_of, waits, classifier, int(stuck_after * 1000))


def report_of(facts: Facts, source: str, rules: Rules | None = None) -> DumpReport:
    """What the rules say of a dump, and all that its report shows."""
    dump, verdicts, groups, waits = facts.dump, facts.verdicts, facts.groups, facts.waits
    findings = run(facts, rules.severities if rules is not None else None)
    return DumpReport(
        id="",
        source=source,
        member=None,
        line=dump.line,
        format=dump.format,
        family=dump.family,
        runtime_name=dump.runtime,
        version=dump.version,
        taken_at=dump.taken_at,
        pid=dump.pid,
        host=dump.host,
        service=dump.service,
        instance=dump.instance,
        total=len(dump.threads),
        virtual=sum(thread.virtual for thread in dump.threads),
        by_state=dict(Counter(thread.state or "UNKNOWN" for thread in dump.threads).most_common()),
        by_kind=dict(Counter(verdict.kind for verdict in verdicts).most_common()),
        request_threads=len(facts.request_threads),
        truncated=bool(dump.truncated),
        duplicate_of=None,
        unread_lines=dump.unread_lines,
        problems=list(dump.problems),
        groups=list(groups),
        locks=waits.locks,
        chains=waits.chains,
        deadlocks=waits.deadlocks,
        findings=findings,
        hints=hints(facts),
        series_hint=series_hint(dump, findings),
    )


def _fingerprint(dump: Dump) -> Fingerprint:
    """Equal for the same dump given twice, however it is wrapped.

    Where the format prints no time stamp, the frames have to be the same as well.
    """
    threads = dump.threads
    identity = "\n".join(
        f"{t.name} {t.printed_state or t.state} {t.address} {t.native_id} {t.java_id} {t.cpu_ms} {t.elapsed_s} {t.gil}"
        for t in threads
    )
    frames = 0
    if dump.taken_at is None:
        sums: dict[int, int] = {}
        for thread in threads:
            stack = thread.stack
            if id(stack) not in sums:
                sums[id(stack)] = crc32("\n".join(f"{f.function} {f.file} {f.line}" for f in stack).encode(**_AS_READ))
            frames = crc32(f"{sums[id(stack)]} {thread.locals}".encode(**_AS_READ), frames)
    return dump.format, dump.taken_at, dump.pid, len(threads), crc32(identity.encode(**_AS_READ)), frames


_AS_READ = {"errors": "surrogatepass"}


def _may_be_of_one_process(dump: DumpReport, other: DumpReport) -> bool:
    """Equal dumps of two replicas are two dumps: containers may well have the same process and thread ids."""
    names, others = ((each.service, each.instance, each.host) for each in (dump, other))
    return names == others or not any(names) or not any(others)
