"""From inputs to a report: the one place where reading, classifying, waits and findings meet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from itertools import chain
from typing import TYPE_CHECKING
from zlib import crc32

from threaddump import intake
from threaddump.classify import Classifier
from threaddump.fanout import run as run_parts
from threaddump.fanout import split
from threaddump.findings import run
from threaddump.findings.facts import Facts
from threaddump.groups import group_threads
from threaddump.report import SEVERITIES, DumpReport, Report
from threaddump.series.snapshots import Snapshot, snapshot
from threaddump.sources import InputError, Source
from threaddump.waits import find_waits
from threaddump.waits.owners import listed_with_l
from threaddump_parsers.model import Dump

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
    seen: dict[Fingerprint, str] = {}
    snapshots: list[tuple[DumpReport, Snapshot]] = []
    for source in sources:
        try:
            for dump, fingerprint, snapshot in _analyze_source(source, rules, stuck_after):
                dump.rename(f"d{len(report.dumps) + 1}")
                if fingerprint is not None and seen.setdefault(fingerprint, dump.id) != dump.id:
                    dump.duplicate_of = seen[fingerprint]
                report.dumps.append(dump)
                snapshots.append((dump, snapshot))
        except InputError as error:
            on_error(source, error)
    if len(snapshots) > 1:
        from threaddump.series.compare import series
        from threaddump.series.findings import over_time

        report.series = series(snapshots)
        for each in report.series:
            each.findings = sorted(over_time(each), key=lambda finding: SEVERITIES.index(finding.severity))
    return report


Fingerprint = tuple[str, int | None, int, int, float]
Analyzed = tuple[DumpReport, Fingerprint | None, Snapshot]
"""The report on one dump, what tells the same dump given twice, and what others are compared with."""


def _analyze_source(source: Source, rules: Rules | None, stuck_after: float) -> list[Analyzed]:
    parts = split(source)
    work = partial(
        _analyze_part, rules=rules, stuck_after=stuck_after
    )  # the rules travel to the other processes with it
    found = work(source) if len(parts) == 1 else list(chain.from_iterable(run_parts(work, parts)))
    if not any(dump.total for dump, _, _ in found):
        raise InputError(
            f"{source.name}: a thread dump begins in line {found[0][0].line}, but no thread follows",
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
        unit=dump.threads[0].unit if dump.threads else "thread",
        profile=dump.profile,
        hints=_hints(dump, facts),
    )


def _python_hints(dump: Dump, facts: Facts, pid: int | str) -> list[str]:
    unknown = any(verdict.kind == "unknown" for verdict in facts.verdicts)
    if dump.format == "gdb-py" and unknown:
        if all(frame.native for thread in dump.threads for frame in thread.stack):
            return [f"which Python function called: py-spy dump --native --pid {pid}, or gdb's thread apply all py-bt"]
        return [f"what a C call waits for: py-spy dump --native --pid {pid}"]
    if dump.format == "asyncio":
        hints = [f"what runs or blocks the loop's thread: py-spy dump --pid {pid}"]
        suspended = (thread.state == "IDLE" for thread in dump.threads)
        if any(verdict.kind == "unknown" and idle for verdict, idle in zip(facts.verdicts, suspended, strict=True)):
            hints.append(f"what a suspended task waits for, from Python 3.14: python -m asyncio pstree {pid}")
        return hints
    return []


def _fingerprint(dump: Dump) -> Fingerprint | None:
    """Equal for the same dump given twice. Formats without a time stamp have none: two dumps may well be equal."""
    if dump.taken_at is None:
        return None
    threads = dump.threads
    identity = "".join(f"{thread.address}{thread.state}" for thread in threads)
    cpu = sum(thread.cpu_ms or 0 for thread in threads)
    return (dump.taken_at, dump.pid, len(threads), crc32(identity.encode()), round(cpu, 2))


def _hints(dump: Dump, facts: Facts) -> list[str]:
    """Commands that would answer what this dump leaves open."""
    pid = dump.pid or "PID"
    hints = []
    if dump.format == "hotspot":
        if any(lock.owner is None and listed_with_l(lock.class_name, dump) for lock in facts.waits.locks):
            hints.append(f"owners of java.util.concurrent locks: jcmd {pid} Thread.print -l -e")
        if any(thread.carries is not None for thread in dump.threads):
            hints.append(f"virtual threads are not in this text: jcmd {pid} Thread.dump_to_file -format=json FILE")
    if dump.format == "faulthandler" and dump.truncated:
        hints.append("all threads with their names: py-spy dump --pid PID")
    hints += _python_hints(dump, facts, pid)
    if dump.format == "goroutine" and dump.threads and not any(thread.state for thread in dump.threads):
        hints.append("what each goroutine waits for, and how long: curl 'HOST:PORT/debug/pprof/goroutine?debug=2'")
    if dump.format == "dotnet-stack" and any(verdict.kind == "lock-wait" for verdict in facts.verdicts):
        hints.append("owners of monitors: dotnet-dump analyze FILE -c syncblk")
    if dump.format.startswith("py-spy"):
        unknown = any(g.kind == "external-call" and g.timed is None for g in facts.groups)
        if unknown and not any(thread.locals for thread in dump.threads):
            hints.append(f"timeouts and pool objects: py-spy dump --locals --pid {pid}")
        if any(v.kind == "unknown" for v in facts.verdicts) and not any(
            frame.native for thread in dump.threads for frame in thread.stack
        ):
            hints.append(f"what a C call waits for: py-spy dump --native --pid {pid}")
    return hints
