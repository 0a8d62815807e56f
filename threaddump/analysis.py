"""From inputs to a report: the one place where reading, classifying, waits and findings meet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import chain
from typing import TYPE_CHECKING
from zlib import crc32

from threaddump import intake
from threaddump.archives import from_each
from threaddump.classify import Classifier
from threaddump.code import concluded
from threaddump.containers import thread_containers
from threaddump.fanout import run as run_parts
from threaddump.fanout import split
from threaddump.findings import as_wanted, run
from threaddump.findings.facts import Facts
from threaddump.groups import group_threads
from threaddump.hints import hints, series_hint
from threaddump.merge import Half, Halves, merge
from threaddump.report import SEVERITIES, DumpReport, MergedDump, Report
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
    source_roots: Sequence[str] = (),
    services: Mapping[str, str] | None = None,
    calls: Sequence[tuple[str, str]] = (),
) -> Report:
    """Read and analyse every source. Inputs that cannot be used are handed to ``on_error``, the rest goes on.

    A call that waits for ``stuck_after`` seconds is stuck: what a captured dump tells. ``source_roots``: folders with
    the application's own source code, which is read for what C calls of Python are. ``services`` names the
    service of a source, by the source's name, and ``calls`` says which service calls which.
    """
    return analyze_and_keep(sources, on_error, rules, stuck_after, source_roots, services, calls)[0]


def analyze_and_keep(
    sources: Iterable[Source],
    on_error: Callable[[Source, InputError], None],
    rules: Rules | None = None,
    stuck_after: float = STUCK_AFTER,
    source_roots: Sequence[str] = (),
    services: Mapping[str, str] | None = None,
    calls: Sequence[tuple[str, str]] = (),
) -> tuple[Report, list[tuple[DumpReport, Snapshot]]]:
    """As ``analyze``, with what other dumps are compared with."""
    report = Report(rules=list(rules.names) if rules is not None else [])
    analyzed: list[Analyzed] = []
    pairs = _Pairs()

    def fail(source: Source, error: InputError) -> None:
        if source.member is None and analyzed and analyzed[-1][0].source == source.name:
            report.problems.append(Problem(0, str(error)))  # an archive that is not read to its end
        on_error(source, error)

    for source in sources:
        read = partial(
            _analyze_source, rules=rules, stuck_after=stuck_after, source_roots=tuple(source_roots), pairs=pairs
        )
        for text, found in from_each(source, read, fail):
            found[0].member = text.member
            analyzed.append(found)
    seen: dict[Fingerprint, list[DumpReport]] = {}
    snapshots: list[tuple[DumpReport, Snapshot]] = []
    for dump, fingerprints, state in pairs.joined(analyzed):
        dump.service = (services or {}).get(dump.source, dump.service)
        dump.rename(f"d{len(report.dumps) + 1}")
        for fingerprint in fingerprints:
            alike = seen.setdefault(fingerprint, [])
            first = next((other for other in alike if _may_be_of_one_process(dump, other)), None)
            if first is None:
                alike.append(dump)
            elif first is not dump:
                dump.duplicate_of = first.id
        report.dumps.append(dump)
        snapshots.append((dump, state))
    severities = rules.severities if rules is not None else None
    if len(snapshots) > 1:
        from threaddump.series.compare import series
        from threaddump.series.findings import over_time

        report.series = series(snapshots)
        for each in report.series:
            wanted = as_wanted(over_time(each), severities)
            each.findings = sorted(wanted, key=lambda finding: SEVERITIES.index(finding.severity))
    if services or calls or len({dump.service for dump in report.dumps} - {None}) > 1:
        from threaddump.tiers.cascades import find_tiers

        report.tiers, report.cascades = find_tiers(snapshots, report.series, calls, bool(services))
        for cascade in report.cascades:
            wanted = as_wanted(cascade.findings, severities)
            cascade.findings = sorted(wanted, key=lambda finding: SEVERITIES.index(finding.severity))
    single = [dump for dump in report.dumps if dump.duplicate_of is None]
    if len(single) == 1 and single[0].series_hint is not None:
        single[0].hints.append(single[0].series_hint)
    return report, snapshots


Fingerprint = tuple[str, str | None, int | None, int, int, int]
Analyzed = tuple[DumpReport, Fingerprint, Snapshot]
"""The report on one dump, what tells the same dump given twice, and what others are compared with."""


class _Pairs:
    """Dumps that are two halves of one: the reports on each of them, and that on both."""

    def __init__(self) -> None:
        self._halves = Halves()
        self._joined: dict[int, tuple[DumpReport, Snapshot]] = {}
        """The report on the first half, by its identity, to that on both."""
        self._first: dict[int, int] = {}
        """The report on the second half to that on the first, by their identities."""

    def look(self, dump: Dump, report: DumpReport, rules: Rules | None, stuck_after: float) -> None:
        """Join the dump with its other half if that came before."""
        half = Half(dump, report.source, report)
        first = self._halves.offer(half)
        if first is None:
            return
        text, file = (half, first) if dump.format == "hotspot" else (first, half)
        whole, merged = merge(text, file)
        facts = facts_of(whole, classifier_of(whole.family, rules), stuck_after)
        joined = report_of(facts, text.source, rules, merged)
        if file.source != text.source:
            places = {(thread.label, thread.line) for thread in whole.threads[merged[0].threads :]}
            for finding in joined.findings:
                finding.evidence = [
                    replace(place, source=file.source) if (place.thread, place.line) in places else place
                    for place in finding.evidence
                ]
        self._joined[id(first.report)] = joined, snapshot(facts)
        self._first[id(report)] = id(first.report)

    def joined(self, analyzed: Sequence[Analyzed]) -> Iterator[tuple[DumpReport, list[Fingerprint], Snapshot]]:
        """The reports with those on halves replaced by those on both, and what tells either half given twice."""
        known = {id(report) for report, _, _ in analyzed}  # a source that failed in its middle has no reports
        seconds = {
            first: fingerprint
            for report, fingerprint, _ in analyzed
            if (first := self._first.get(id(report))) in known and first is not None
        }
        for report, fingerprint, alone in analyzed:
            if self._first.get(id(report)) not in known:
                told = [fingerprint, seconds.get(id(report))]
                one = self._joined[id(report)] if id(report) in seconds else (report, alone)
                one[0].member = report.member
                yield one[0], [each for each in told if each is not None], one[1]


def _analyze_source(
    source: Source, rules: Rules | None, stuck_after: float, source_roots: tuple[str, ...], pairs: _Pairs
) -> list[Analyzed]:
    parts = split(source)
    # These travel to the other processes with the work.
    work = partial(_analyze_part, rules=rules, stuck_after=stuck_after, source_roots=source_roots)
    if len(parts) == 1:
        found = work(source, pairs=pairs)
    else:
        found = list(chain.from_iterable(run_parts(work, parts)))
    if not any(dump.total for dump, _, _ in found):
        raise InputError(
            f"{source.label}: a thread dump begins in line {found[0][0].line}, but no thread follows",
            "the input is cut short: take the dump again and save it whole",
        )
    return found


def _analyze_part(
    source: Source,
    rules: Rules | None,
    stuck_after: float,
    source_roots: tuple[str, ...],
    pairs: _Pairs | None = None,
) -> list[Analyzed]:
    found: list[Analyzed] = []
    for dump in intake.dumps(source):
        facts = facts_of(dump, classifier_of(dump.family, rules), stuck_after, source_roots)
        report = report_of(facts, source.name, rules)
        found.append((report, fingerprint(dump), snapshot(facts)))
        if pairs is not None:
            pairs.look(dump, report, rules, stuck_after)
    return found


@lru_cache(maxsize=8)
def classifier_of(family: str, rules: Rules | None) -> Classifier:
    return Classifier(family) if rules is None else rules.classifier(family)


def analyze_dump(
    dump: Dump,
    classifier: Classifier,
    source: str,
    rules: Rules | None = None,
    stuck_after: float = STUCK_AFTER,
    source_roots: tuple[str, ...] = (),
    merged: Sequence[MergedDump] = (),
) -> DumpReport:
    """Everything that is said about one dump. Its id is given when it enters a report.

    ``merged``: what the dump was made of, if it was.
    """
    return report_of(facts_of(dump, classifier, stuck_after, source_roots), source, rules, merged)


def facts_of(
    dump: Dump,
    classifier: Classifier,
    stuck_after: float = STUCK_AFTER,
    source_roots: tuple[str, ...] = (),
) -> Facts:
    """What is concluded of a dump before the rules run."""
    verdicts, locks, unused = concluded(dump, classifier, source_roots)
    groups, group_of = group_threads(dump, verdicts)
    waits = find_waits(dump, verdicts, groups, group_of, classifier, locks)
    stuck_after_ms = int(stuck_after * 1000)
    return Facts(dump, verdicts, groups, group_of, waits, classifier, stuck_after_ms, bool(source_roots), unused)


def report_of(facts: Facts, source: str, rules: Rules | None = None, merged: Sequence[MergedDump] = ()) -> DumpReport:
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
        unit=dump.threads[0].unit if dump.threads else "thread",
        profile=dump.profile,
        containers=thread_containers(dump, groups, facts.group_of),
        merged=list(merged),
        hints=[*hints(facts, bool(merged)), *facts.unused_sources],
        series_hint=series_hint(dump, findings),
    )


def fingerprint(dump: Dump) -> Fingerprint:
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
