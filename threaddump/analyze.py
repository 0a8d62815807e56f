"""From inputs to a report: the one place where reading, classifying, waits and findings meet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from threaddump import intake
from threaddump.classify import Classifier
from threaddump.findings import run
from threaddump.findings.facts import Facts
from threaddump.groups import group_threads
from threaddump.report import DumpReport, Report
from threaddump.sources import InputError, Source
from threaddump.waits import find_waits
from threaddump_parsers.model import Dump


def analyze(sources: Iterable[Source], on_error: Callable[[Source, InputError], None]) -> Report:
    """Read and analyse every source. Inputs that cannot be used are handed to ``on_error``, the rest goes on."""
    report = Report()
    classifiers: dict[str, Classifier] = {}
    seen: dict[int, str] = {}
    for source in sources:
        try:
            for dump in intake.dumps(source):
                if dump.family not in classifiers:
                    classifiers[dump.family] = Classifier(dump.family)
                analyzed = analyze_dump(dump, classifiers[dump.family], f"d{len(report.dumps) + 1}", source.name)
                fingerprint = _fingerprint(dump)
                if fingerprint is not None:
                    analyzed.duplicate_of = seen.setdefault(fingerprint, analyzed.id)
                    if analyzed.duplicate_of == analyzed.id:
                        analyzed.duplicate_of = None
                report.dumps.append(analyzed)
        except InputError as error:
            on_error(source, error)
    return report


def analyze_dump(dump: Dump, classifier: Classifier, dump_id: str, source: str) -> DumpReport:
    """Everything that is said about one dump."""
    verdicts = classifier.verdicts(dump)
    groups, group_of = group_threads(dump, verdicts)
    waits = find_waits(dump, verdicts, groups, group_of, classifier)
    facts = Facts(dump, verdicts, groups, group_of, waits, classifier)
    findings = run(facts)
    for finding in findings:
        finding.dump = dump_id
    return DumpReport(
        id=dump_id,
        source=source,
        member=None,
        line=dump.line,
        format=dump.format,
        family=dump.family,
        runtime_name=dump.runtime,
        version=dump.version,
        taken_at=dump.taken_at,
        pid=dump.pid,
        host=None,
        service=None,
        instance=None,
        total=len(dump.threads),
        virtual=sum(thread.virtual for thread in dump.threads),
        by_state=dict(Counter(thread.state or "UNKNOWN" for thread in dump.threads).most_common()),
        by_kind=dict(Counter(verdict.kind for verdict in verdicts).most_common()),
        request_threads=len(facts.request_threads),
        truncated=bool(dump.truncated),
        duplicate_of=None,
        unread_lines=dump.unread_lines,
        problems=list(dump.problems),
        groups=groups,
        locks=waits.locks,
        chains=waits.chains,
        deadlocks=waits.deadlocks,
        findings=findings,
        hints=_hints(dump, facts),
    )


def _fingerprint(dump: Dump) -> int | None:
    """Equal for the same dump given twice. Formats without a time stamp have none: two dumps may well be equal."""
    if dump.taken_at is None:
        return None
    threads = tuple((t.name, t.address, t.state, t.cpu_ms, t.elapsed_s, len(t.stack)) for t in dump.threads)
    return hash((dump.format, dump.taken_at, dump.pid, threads))


def _hints(dump: Dump, facts: Facts) -> list[str]:
    """Commands that would answer what this dump leaves open."""
    pid = dump.pid or "PID"
    hints = []
    if dump.format == "hotspot":
        if not dump.ownable_synchronizers and any(lock.owner_unknown for lock in facts.waits.locks):
            hints.append(f"owners of java.util.concurrent locks: jcmd {pid} Thread.print -l -e")
        if any(thread.carries is not None for thread in dump.threads):
            hints.append(f"virtual threads are not in this text: jcmd {pid} Thread.dump_to_file -format=json FILE")
    if dump.format == "faulthandler" and dump.truncated:
        hints.append("all threads with their names: py-spy dump --pid PID")
    if dump.format.startswith("py-spy"):
        unknown = any(g.kind == "external-call" and g.timed is None for g in facts.groups)
        if unknown and not any(thread.locals for thread in dump.threads):
            hints.append(f"timeouts and pool objects: py-spy dump --locals --pid {pid}")
        if any(v.kind == "unknown" for v in facts.verdicts) and not any(
            frame.native for thread in dump.threads for frame in thread.stack
        ):
            hints.append(f"what a C call waits for: py-spy dump --native --pid {pid}")
    return hints
