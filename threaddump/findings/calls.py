"""Calls to other processes: many threads in one of them, and reads that nothing will ever end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from threaddump.findings.facts import Facts, infinite_by_default, knobs, of_crew, short
from threaddump.report import Finding, Group, Severity

PHASES = {
    "connect": "connecting",
    "handshake": "in the TLS handshake",
    "resolve": "resolving a host name",
    "write": "sending (the peer does not read)",
    "read": "waiting for the response",
    "request": "waiting for the response",
    "execute": "waiting for the result",
}
READING = ("read", "request", "execute", "receive", None)


def hot_external_call(facts: Facts) -> Iterable[Finding]:
    """Many threads of one crew are in the same call: the far side is slow or silent, and takes them all along."""
    for groups in hot_calls(facts):
        yield _hot_call(facts, groups)


def hot_calls(facts: Facts) -> list[list[Group]]:
    """The groups of external calls that are hot, together where library and caller are the same."""
    calls: dict[tuple[str | None, str | None], list[Group]] = defaultdict(list)
    for group in facts.groups:
        if group.kind == "external-call":
            calls[group.integration.id if group.integration else None, group.caller].append(group)
    return [groups for groups in calls.values() if _severity(facts, groups) is not None]


def _threads(facts: Facts, groups: Sequence[Group]) -> list[int]:
    return [index for group in groups for index in facts.members[group.id]]


def _severity(facts: Facts, groups: Sequence[Group]) -> Severity | None:
    threads = _threads(facts, groups)
    waiting = list(facts.waits.graph.behind(threads))
    count = len(threads)
    share, _ = facts.share(threads + waiting)
    if count >= 10 and facts.takes_most(threads + waiting):
        return "critical"
    if (count >= 10 and share >= 0.2) or count >= 100:
        return "high"
    if (count >= 5 and share >= 0.25) or (count >= 20 and share >= 0.1):
        return "medium"
    return None


def _hot_call(facts: Facts, groups: Sequence[Group]) -> Finding:
    threads = _threads(facts, groups)
    waiting = list(facts.waits.graph.behind(threads))
    _, crew = facts.share(threads)
    main = max(groups, key=lambda group: group.count)
    profile = facts.profile(main.integration)
    phases = list(dict.fromkeys(group.phase for group in groups))
    doing = ", ".join(dict.fromkeys(PHASES.get(phase or "read", phase or "") for phase in phases))
    name = main.integration.name if main.integration else "network call"
    system = (main.integration.system or "") if main.integration else ""
    parts = [f"{system.upper()}, {name}" if system and system.lower() not in name.lower() else name, doing]
    detail = f"{', '.join(parts)}; {timeout_words(facts, main)}."
    if waiting:
        detail += f" {len(waiting)} more thread{'s' * (len(waiting) != 1)} wait{'s' * (len(waiting) == 1)} behind it"
        detail += _how_behind(facts, threads)
    advice = []
    if main.timed is not True:
        options = knobs(profile, ("read", "request", "execute") if main.phase in READING else (main.phase or "",))
        advice.append(f"set a {timeout_name(main)}: {options[0]}" if options else f"set a {timeout_name(main)}")
    limits = [f"{knob['knob']} (default: {knob['default']})" for knob in profile.get("pool", ())]
    if limits and len(threads) >= 10:
        advice.append(f"limit the calls, so that one silent peer cannot take every thread: {limits[0]}")
    advice.append(f"look at the service behind {short(main.caller)} first: these threads only wait for it")
    return facts.finding(
        "hot-external-call",
        _severity(facts, groups) or "medium",
        f"{of_crew(threads, crew)} are in one external call: {short(main.caller)}",
        detail,
        threads,
        advice,
        profile.get("recovery", ()),
        main.id,
    )


def _how_behind(facts: Facts, threads: Sequence[int]) -> str:
    members = set(threads)
    pools = [pool for pool in facts.waits.pools if members & set(pool.holders)]
    if not pools:
        return "."
    untimed = all(facts.verdicts[index].timed is False for pool in pools for index in pool.waiters)
    return f", for a slot of its pool (inferred){', without a timeout' if untimed else ''}."


def timeout_name(group: Group) -> str:
    """``read timeout``, ``connect timeout``: what the call would need."""
    return "connect timeout" if group.phase in {"connect", "handshake"} else "read timeout"


def timeout_words(facts: Facts, group: Group) -> str:
    """What can be said of a call's timeout: proven, or only the library's default."""
    name = timeout_name(group)
    if group.timed is False:
        return f"no {name}"
    if group.timed is True:
        return f"with a {name}"
    phases = ("read", "request", "execute") if group.phase in READING else (group.phase or "",)
    if infinite_by_default(facts.profile(group.integration), phases):
        return f"no {name} by default, and this dump does not show whether one is set"
    return f"whether it has a {name} is not visible in this dump"


def read_without_timeout(facts: Facts) -> Iterable[Finding]:
    """Calls that wait for ever if the peer falls silent; those of a hot call are named there."""
    hot = {group.id for groups in hot_calls(facts) for group in groups}
    for group in facts.groups:
        if group.kind != "external-call" or group.timed is not False or group.id in hot:
            continue
        profile = facts.profile(group.integration)
        phases = ("read", "request", "execute") if group.phase in READING else (group.phase or "",)
        options = knobs(profile, phases)
        name = group.integration.name if group.integration else "network"
        yield facts.finding(
            "read-without-timeout",
            "medium" if group.count >= 5 else "low",
            f"{of_crew(facts.members[group.id], None)} in {short(group.caller)} "
            f"{'wait' if group.count != 1 else 'waits'} without a {timeout_name(group)}",
            f"{name}, {PHASES.get(group.phase or 'read', group.phase or '')}: {group.timed_reason}. "
            "If the peer falls silent, the wait never ends.",
            facts.members[group.id],
            [f"set a {timeout_name(group)}: {options[0]}" if options else f"set a {timeout_name(group)}"],
            profile.get("recovery", ()),
            group.id,
        )
