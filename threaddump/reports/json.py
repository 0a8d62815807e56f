"""The report as JSON, schema ``threaddump/report@1``: one object, written piece by piece.

Every element of a list is one line, so that a report over many dumps is never held as one string and stays
readable by line-based tools. Groups come waiting kinds first, findings by severity, locks, chains and deadlocks by
the number of threads behind them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from threaddump.report import (
    SEVERITIES,
    Cascade,
    Chain,
    ContendedLock,
    Deadlock,
    DumpReport,
    Endpoint,
    Evidence,
    Finding,
    Group,
    Integration,
    MergedDump,
    Report,
    Series,
    StuckThread,
    ThreadContainer,
    Tier,
    TierCall,
    WaitNode,
)
from threaddump.reports.words import group_rank, threads_below
from threaddump_parsers.model import Problem

SCHEMA = "threaddump/report@1"

_MAX_DEPTH = 64
"""Levels of a wait tree: many JSON readers refuse deeper nesting. ``omitted`` counts the threads below."""

_Object = dict[str, Any]
_SURROGATES = re.compile("[\ud800-\udfff]")
# Legal in JSON as they are, but not inert on a terminal: C1 controls, bidirectional and invisible characters.
_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False).encode


def write(report: Report, out: TextIO) -> None:
    """Write the report as one JSON object."""
    import threaddump

    unicode = _is_unicode(out)
    dumps = report.dumps
    out.write("{\n")
    out.write(f'"schema": {encoded(SCHEMA, unicode)},\n"version": {encoded(threaddump.__version__, unicode)}')
    lists: list[tuple[str, Iterable[_Object | str]]] = [
        ("dumps", map(_dump, dumps)),
        ("groups", _groups(dumps)),
        ("locks", _locks(dumps)),
        ("chains", _chains(dumps)),
        ("deadlocks", _deadlocks(dumps)),
        ("findings", _findings(report)),
        ("series", map(_series, report.series)),
        ("tiers", map(_tier, report.tiers)),
        ("cascades", map(_cascade, report.cascades)),
        ("problems", map(_problem, report.problems)),
        ("rules", report.rules),
    ]
    for name, elements in lists:
        out.write(f',\n"{name}": [')
        separator = "\n"
        for element in elements:
            out.write(separator)
            out.write(encoded(element, unicode))
            separator = ",\n"
        out.write("]" if separator == "\n" else "\n]")
    out.write("\n}\n")


def write_object(value: _Object, out: TextIO) -> None:
    """Write an object with one of its fields on each line, as harmless as a report is."""
    unicode = _is_unicode(out)
    fields = (f"{encoded(key, unicode)}: {encoded(field, unicode)}" for key, field in value.items())
    out.write("{\n" + ",\n".join(fields) + "\n}\n")


def _is_unicode(out: TextIO) -> bool:
    return (getattr(out, "encoding", None) or "utf-8").lower().replace("_", "-") in ("utf-8", "utf8")


def encoded(value: object, unicode: bool) -> str:
    """Encode one value: valid UTF-8 whatever the names hold, and inert on a terminal.

    Half of a surrogate pair cannot be encoded and many readers reject its escape: it becomes U+FFFD.
    """
    text = _encode(value)
    if text.isascii() and "\x7f" not in text:
        return text
    text = _UNSAFE.sub(_escape, _SURROGATES.sub("\ufffd", text))
    return text if unicode else _NOT_ASCII.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = match.group().encode("utf-16-be")
    return "".join(f"\\u{code[at] << 8 | code[at + 1]:04x}" for at in range(0, len(code), 2))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _problem(problem: Problem) -> _Object:
    return {"line": problem.line, "reason": problem.reason, "text": problem.text}


def _integration(integration: Integration | None) -> _Object | None:
    if integration is None:
        return None
    return {"id": integration.id, "name": integration.name, "system": integration.system}


def _dump(dump: DumpReport) -> _Object:
    return {
        "id": dump.id,
        "source": dump.source,
        "member": dump.member,
        "line": dump.line,
        "format": dump.format,
        "runtime": {"family": dump.family, "name": dump.runtime_name, "version": dump.version},
        "taken_at": dump.taken_at,
        "pid": dump.pid,
        "host": dump.host,
        "service": dump.service,
        "instance": dump.instance,
        "threads": {
            "total": dump.total,
            "virtual": dump.virtual,
            "by_state": dump.by_state,
            "by_kind": dump.by_kind,
        },
        "request_threads": dump.request_threads,
        "truncated": dump.truncated,
        "profile": dump.profile,
        "duplicate_of": dump.duplicate_of,
        "unread_lines": dump.unread_lines,
        "problems": [_problem(problem) for problem in dump.problems],
        "containers": [_container(container) for container in dump.containers],
        "merged": [_merged(part) for part in dump.merged],
        "hints": dump.hints,
    }


def _merged(part: MergedDump) -> _Object:
    return {
        "source": part.source,
        "line": part.line,
        "format": part.format,
        "taken_at": part.taken_at,
        "threads": part.threads,
        "virtual": part.virtual,
    }


def _container(container: ThreadContainer) -> _Object:
    return {
        "name": container.name,
        "parent": container.parent,
        "owner": container.owner,
        "threads": container.threads,
        "by_kind": container.by_kind,
        "groups": container.groups,
    }


def _groups(dumps: list[DumpReport]) -> Iterator[_Object]:
    found = [(dump, group) for dump in dumps for group in dump.groups]
    for dump, group in sorted(found, key=lambda pair: group_rank(pair[1])):
        yield _group(dump, group)


def _group(dump: DumpReport, group: Group) -> _Object:
    return {
        "id": group.id,
        "dump": dump.id,
        "kind": group.kind,
        "phase": group.phase,
        "count": group.count,
        "blocking_frame": group.blocking_frame,
        "integration": _integration(group.integration),
        "pool": _integration(group.pool),
        "caller": group.caller,
        "timed": group.timed,
        "timed_reason": group.timed_reason,
        "inferred": group.inferred or None,
        "states": group.states,
        "lock": group.lock,
        "threads": group.threads,
        "lines": group.lines,
        "stack": group.stack,
        "cpu_ms": _finite(group.cpu_ms),
        "waiting_ms": group.waiting
        and {
            "threads": group.waiting.threads,
            "min": group.waiting.min_ms,
            "median": group.waiting.median_ms,
            "max": group.waiting.max_ms,
        },
        "endpoints": [_endpoint(endpoint) for endpoint in group.endpoints],
    }


def _endpoint(endpoint: Endpoint) -> _Object:
    waits = endpoint.waiting_ms
    return {
        "address": endpoint.address,
        "threads": endpoint.threads,
        "timeout_ms": endpoint.timeout_ms,
        "untimed": endpoint.untimed,
        "waiting_ms": waits and dict(zip(("min", "median", "max"), waits, strict=True)),
        "states": endpoint.states,
        "unread": endpoint.unread,
        "unsent": endpoint.unsent,
    }


def _locks(dumps: list[DumpReport]) -> Iterator[_Object]:
    found = [(dump, lock) for dump in dumps for lock in dump.locks]
    for dump, lock in sorted(found, key=lambda pair: -len(pair[1].waiting)):
        yield _lock(dump, lock)


def _lock(dump: DumpReport, lock: ContendedLock) -> _Object:
    owner = lock.owner and {
        "thread": lock.owner.thread,
        "line": lock.owner.line,
        "kind": lock.owner.kind,
        "blocking_frame": lock.owner.blocking_frame,
        "caller": lock.owner.caller,
        "integration": _integration(lock.owner.integration),
        "evidence": lock.owner.evidence,
    }
    return {
        "dump": dump.id,
        "id": lock.id,
        "class": lock.class_name,
        "type": lock.type,
        "owner": owner,
        "owner_unknown": lock.owner_unknown,
        "waiting": lock.waiting,
        "waiters": len(lock.waiting),
    }


def _chains(dumps: list[DumpReport]) -> Iterator[_Object]:
    found = [(dump, chain) for dump in dumps for chain in dump.chains]
    for dump, chain in sorted(found, key=lambda pair: -pair[1].waiting):
        yield _chain(dump, chain)


def _chain(dump: DumpReport, chain: Chain) -> _Object:
    root = chain.root
    return {
        "dump": dump.id,
        "root": {
            "threads": root.threads,
            "lines": root.lines,
            "count": root.count,
            "group": root.group,
            "kind": root.kind,
            "phase": root.phase,
            "blocking_frame": root.blocking_frame,
            "caller": root.caller,
            "integration": _integration(root.integration),
            "timed": root.timed,
        },
        "waiting": chain.waiting,
        "depth": chain.depth,
        "evidence": chain.evidence,
        "reason": chain.reason,
        # The root as a node like the others; it waits for nothing, so it has neither lock nor evidence.
        "tree": {
            "group": root.group,
            "kind": root.kind,
            "caller": root.caller,
            "count": root.count,
            "threads": root.threads,
            "lock": None,
            "lock_class": None,
            "evidence": None,
            "reason": None,
            "children": [_node(node, 1) for node in chain.tree],
            "omitted": 0,
        },
    }


def _node(node: WaitNode, depth: int) -> _Object:
    deep = depth >= _MAX_DEPTH
    return {
        "group": node.group,
        "kind": node.kind,
        "caller": node.caller,
        "count": node.count,
        "threads": node.threads,
        "lock": node.lock,
        "lock_class": node.lock_class,
        "evidence": node.evidence,
        "reason": node.reason,
        "children": [] if deep else [_node(child, depth + 1) for child in node.children],
        "omitted": threads_below(node.children) if deep else 0,
    }


def _deadlocks(dumps: list[DumpReport]) -> Iterator[_Object]:
    found = [(dump, deadlock) for dump in dumps for deadlock in dump.deadlocks]
    for dump, deadlock in sorted(found, key=lambda pair: -pair[1].behind):
        yield _deadlock(dump, deadlock)


def _deadlock(dump: DumpReport, deadlock: Deadlock) -> _Object:
    return {
        "dump": dump.id,
        "threads": deadlock.threads,
        "lines": deadlock.lines,
        "locks": deadlock.locks,
        "type": deadlock.type,
        "reported_by_runtime": deadlock.reported_by_runtime,
        "evidence": deadlock.evidence,
        "behind": deadlock.behind,
    }


def _findings(report: Report) -> Iterator[_Object]:
    found: list[tuple[DumpReport | None, Finding]] = [
        *((None, finding) for cascade in report.cascades for finding in cascade.findings),
        *((None, finding) for series in report.series for finding in series.findings),
    ]
    found += [(dump, finding) for dump in report.dumps for finding in dump.findings]
    for dump, finding in sorted(found, key=lambda pair: SEVERITIES.index(pair[1].severity)):
        yield finding_object(finding, dump)


def _series(series: Series) -> _Object:
    return {
        "process": {
            "service": series.service,
            "instance": series.instance,
            "pid": series.pid,
            "runtime": " ".join(part for part in (series.runtime_name, series.version) if part) or series.family,
        },
        "dumps": series.dumps,
        "span_s": _finite(series.span_s),
        "stuck": [_stuck(thread) for thread in series.stuck],
        "spinning": [_stuck(thread) for thread in series.spinning],
        "progressing": series.progressing,
        "idle": series.resting,
        "waiting": series.waiting,
        "appeared": series.appeared,
        "gone": series.gone,
        "growth": series.growth,
        "locks": [
            {
                "id": lock.id,
                "class": lock.class_name,
                "type": lock.type,
                "owners": lock.owners,
                "waiters": lock.waiters,
                "permanent": lock.permanent,
                "convoy": lock.convoy,
            }
            for lock in series.locks
        ],
        "places": [
            {
                "kind": place.kind,
                "blocking_frame": place.blocking_frame,
                "caller": place.caller,
                "counts": place.counts,
            }
            for place in series.places
        ],
        "notes": series.notes,
    }


def _tier(tier: Tier) -> _Object:
    waits = tier.waits_for
    return {
        "service": tier.service,
        "instances": tier.instances,
        "dumps": tier.dumps,
        "earlier_dumps": tier.earlier,
        "threads": tier.threads,
        "request_threads": tier.request_threads,
        "by_kind": tier.by_kind,
        "serving": {
            "words": tier.serving_words,
            "threads": tier.serving,
            "blocked": tier.blocked,
            "idle": tier.idle,
            "by_kind": tier.serving_by_kind,
        },
        "calls": [_tier_call(call) for call in tier.calls],
        "waits_on": None if waits is None else waits.service or waits.address,
        "waits_in": waits and waits.caller,
        "waiting": waits.weight if waits is not None else 0,
        "holds": [
            {
                "dump": hold.dump,
                "thread": hold.thread,
                "line": hold.line,
                "lock": hold.what,
                "waiting": hold.waiting,
                "kind": hold.kind,
                "caller": hold.place,
                "evidence": hold.evidence,
            }
            for hold in tier.holds
        ],
        "notes": tier.notes,
    }


def _tier_call(call: TierCall) -> _Object:
    return {
        "service": call.service,
        "address": call.address,
        "dumped": call.here,
        "caller": call.caller,
        "integration": _integration(call.integration),
        "timed": call.timed,
        "threads": call.threads,
        "behind": call.behind,
        "pool_waits": call.pool_waits,
        "addresses": [
            {"address": address, "threads": threads, "dumped": call.here and address not in call.missing}
            for address, threads in call.addresses.items()
        ],
        "waiting_ms": call.waiting_ms and dict(zip(("min", "median", "max"), call.waiting_ms, strict=True)),
        "basis": call.basis if call.service is not None else None,
        "reason": call.reason or None,
    }


def _cascade(cascade: Cascade) -> _Object:
    return {
        "tiers": cascade.tiers,
        "circle": cascade.circle,
        "end": cascade.end,
        "end_dumped": cascade.end_here,
        "end_free": cascade.end_free,
        "waiting": cascade.waiting,
        "act_on": cascade.act_on,
        "why": cascade.why or None,
    }


def _stuck(thread: StuckThread) -> _Object:
    return {
        "thread": thread.thread,
        "line": thread.line,
        "dumps": thread.dumps,
        "span_s": _finite(thread.span_s),
        "cpu_ms": _finite(thread.cpu_ms),
        "kind": thread.kind,
        "blocking_frame": thread.blocking_frame,
        "caller": thread.caller,
        "behind": thread.behind,
        "request": thread.request,
    }


def finding_object(finding: Finding, dump: DumpReport | None = None) -> _Object:
    """A finding as the report has it."""
    return {
        "id": finding.id,
        "severity": finding.severity,
        "title": finding.title,
        "detail": finding.detail,
        "dump": finding.dump or (dump.id if dump is not None else None),
        "group": finding.group,
        "threads": finding.threads,
        "thread_names": finding.thread_names,
        "evidence": [_evidence(item) for item in finding.evidence],
        "advice": finding.advice,
        "recovery": finding.recovery,
        "references": finding.references,
    }


def _evidence(item: Evidence) -> _Object:
    of_dump = {"dump": item.dump} if item.dump is not None else {}
    return {"thread": item.thread, "line": item.line, "text": item.text, "source": item.source, **of_dump}
