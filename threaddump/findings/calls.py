"""Calls to other processes: many threads in one of them, and reads that nothing will ever end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from threaddump.findings.facts import Facts, infinite_by_default, knobs, of_crew, short
from threaddump.report import Endpoint, Finding, Group, Severity, endpoint_words
from threaddump.system_calls import endpoints

PHASES = {
    "connect": "connecting",
    "handshake": "in the TLS handshake",
    "login": "connected, and waiting for the server's first answer",
    "resolve": "resolving a host name",
    "write": "sending (the peer does not read)",
    "read": "waiting for the response",
    "request": "waiting for the response",
    "execute": "waiting for the result",
    "metadata": "waiting for the metadata of a topic",
    "read-body": "reading the body of the response",
}
CONNECTING = frozenset({"connect", "handshake", "login"})
"""Phases of a call before the peer has begun to work on anything."""
END_THE_ATTEMPT = (
    "Nothing runs at the server yet, so there is nothing to cancel there. Cut the attempts from outside "
    "(ss -K dst HOST dport = PORT as root, Linux): their callers get an exception and can try another address"
)
UNREACHABLE = (
    "The host does not answer (it is down, or a firewall drops the packets), or its accept queue is full. A port that "
    "is only closed would refuse at once."
)
SILENT = (
    "The host accepts connections, but its service does not answer on them: it hangs or is overloaded, or something "
    "else listens there."
)
CLIENTS = {
    "client-request-body": "waiting for the body of a client's request",
    "client-response": "waiting until a client reads its response",
    "client-io": "waiting for a client",
}
"""Systems of waits for those who called this process: what they do there."""
MILDER: dict[Severity, Severity] = {"critical": "high", "high": "medium", "medium": "low"}
SENDING = frozenset({"write", "send"})
"""Phases in which the peer has to take something, and not to say something."""
HOT = 5
"""Threads in one call before it can be called hot."""


@dataclass(slots=True, frozen=True)
class HotCall:
    """Groups of one call that holds many threads, and the threads that wait behind them."""

    groups: tuple[Group, ...]
    threads: tuple[int, ...]
    behind: tuple[int, ...]
    severity: Severity


def hot_external_call(facts: Facts) -> Iterable[Finding]:
    """Many threads of one crew are in the same call: the far side is slow or silent, and takes them all along."""
    for call in hot_calls(facts):
        yield _hot_call(facts, call)


@lru_cache(maxsize=1)
def hot_calls(facts: Facts) -> list[HotCall]:
    """The external calls that are hot; groups of the same library and caller are one call."""
    calls: dict[tuple[str | None, str | None], list[Group]] = defaultdict(list)
    for group in facts.groups:
        if group.kind == "external-call":
            calls[group.integration.id if group.integration else None, group.caller].append(group)
    found = []
    for groups in calls.values():
        threads = [index for group in groups for index in facts.members[group.id]]
        if len(threads) < HOT:
            continue
        waiting = list(facts.waits.graph.behind(threads))
        severity = _severity(facts, len(threads), threads + waiting)
        if severity is not None and facts.on_demand and not _long(facts, threads):
            severity = MILDER[severity]
        if severity is not None:
            found.append(HotCall(tuple(groups), tuple(threads), tuple(waiting), severity))
    return found


def _severity(facts: Facts, count: int, involved: Sequence[int]) -> Severity | None:
    """By the share of their crew that is in the call or behind it."""
    share, _ = facts.share(involved)
    if count >= 10 and facts.takes_most(involved):
        return "critical"
    if (count >= 10 and share >= 0.2) or count >= 100:
        return "high"
    if share >= 0.25 or (count >= 20 and share >= 0.1):
        return "medium"
    return None


def _long(facts: Facts, threads: Sequence[int]) -> bool:
    """Whether half of them are known to wait for minutes: where no thread is idle, their share says little."""
    return 2 * sum(facts.dump.threads[index].waiting_s is not None for index in threads) >= len(threads)


def _hot_call(facts: Facts, call: HotCall) -> Finding:
    crew = facts.crew(call.threads)
    main = max(call.groups, key=lambda group: group.count)
    profile = facts.profile(main.integration)
    phases = dict.fromkeys(PHASES.get(group.phase or "read", group.phase or "") for group in call.groups)
    name = main.integration.name if main.integration else "network call"
    system = (main.integration.system or "") if main.integration else ""
    if system in CLIENTS:
        phases, system = {CLIENTS[system]: None}, ""
    parts = [f"{system.upper()}, {name}" if system and system.lower() not in name.lower() else name, *phases]
    detail = f"{', '.join(parts)}; {timeout_words(facts, main)}."
    if main.phase == "connect":
        detail += f" {UNREACHABLE}"
    elif main.phase in CONNECTING:
        detail += f" {SILENT}"
    where = endpoint_words(_endpoints(facts, call))
    if where:
        detail += f" They wait for {where}."
    if main.waiting is not None:
        detail += (
            f" {main.waiting.threads} of {main.count} have been waiting {main.waiting.min_ms / 60_000:.0f} minutes"
        )
        detail += " or more."
    if call.behind:
        many = len(call.behind) != 1
        detail += f" {len(call.behind)} more thread{'s' * many} wait{'s' * (not many)} behind it"
        detail += _how_behind(facts, call.threads)
    advice = []
    if main.timed is not True:
        advice.append(_timeout_advice(facts, main))
    limits = [f"{knob['knob']} (default: {knob['default']})" for knob in profile.get("pool", ())]
    if limits and any(pool.name == (main.integration and main.integration.id) for pool in facts.waits.pools):
        advice.append(f"limit the calls, so that one silent peer cannot take every thread: {limits[0]}")
    place = short(main.caller) if main.caller else f"{name}, in {short(main.blocking_frame)}"
    if main.integration and main.integration.system in CLIENTS:
        advice.append(
            "look at the clients: slow networks, and attacks that send or read little by little; a proxy that buffers "
            "requests and responses keeps both away"
        )
    else:
        behind = f"behind {place}" if main.caller else "that is called"
        advice.append(f"look at the service {behind} first: these threads wait for it")
    return facts.finding(
        "hot-external-call",
        call.severity,
        f"{of_crew(call.threads, crew)} are in one external call: {place}",
        detail,
        call.threads,
        advice,
        recovery(facts, main),
        main.id,
    )


def recovery(facts: Facts, group: Group) -> Sequence[str]:
    """What ends these calls at run time. What a library offers for work at the server does not help to reach it."""
    profile = facts.profile(group.integration)
    if group.phase in CONNECTING and profile.get("system") not in {"tcp", "http"}:
        return (END_THE_ATTEMPT,)
    found: Sequence[str] = profile.get("recovery", ())
    return found


def _endpoints(facts: Facts, call: HotCall) -> list[Endpoint]:
    """The peers of all groups of a call, where the dump was captured with them."""
    if facts.dump.os is None:
        return []
    return endpoints((facts.dump.threads[index], facts.verdicts[index]) for index in call.threads)


def _how_behind(facts: Facts, threads: Sequence[int]) -> str:
    members = set(threads)
    pools = [pool for pool in facts.waits.pools if members & set(pool.holders)]
    if not pools:
        return "."
    leasing = {index for pool in pools for index in pool.waiters}
    untimed = all(facts.verdicts[index].timed is False for index in leasing)
    further = len(set(facts.waits.graph.behind(threads)) - leasing)
    return (
        f"{f', {len(leasing)} of them' if further else ','} for a slot of its pool (inferred)"
        f"{', without a timeout' if untimed else ''}."
    )


def timeout_name(group: Group) -> str:
    """``read timeout``, ``connect timeout``, ``write timeout``: what the call would need."""
    if group.phase == "connect":
        return "connect timeout"
    return f"{group.phase} timeout" if group.phase in SENDING else "read timeout"


def _end_words(group: Group) -> str:
    """When a call without a timeout ends."""
    if group.phase == "connect":
        return "If nobody answers, it ends when the operating system gives up, which takes minutes"
    return f"If the peer {'stops reading' if group.phase in SENDING else 'falls silent'}, the wait never ends"


def _timeout_advice(facts: Facts, group: Group) -> str:
    """How to bound the call: the library's own option where it has one."""
    options = knobs(facts.profile(group.integration), timeout_phases(group))
    if options:
        return f"set a {timeout_name(group)}: {options[0]}"
    if group.phase == "write" and facts.dump.family == "jvm":
        return (
            "bound the whole call, or close its connection from another thread: a Java socket has no write timeout "
            "(setSoTimeout bounds reads only)"
        )
    return f"set a {timeout_name(group)}"


def timeout_phases(group: Group) -> tuple[str, ...]:
    """The phases of a library profile whose timeouts bound this wait."""
    if group.phase in {"read", "request", "execute", "receive", None}:
        return ("read", "request", "execute")
    if group.phase in {"handshake", "login"}:
        return ("read",)
    return (group.phase or "",)


def timeout_words(facts: Facts, group: Group) -> str:
    """What can be said of a call's timeout: proven, or only the library's default."""
    name = timeout_name(group)
    if group.timed is False:
        return f"no {name}"
    if group.timed is True:
        return f"with a {name}"
    if infinite_by_default(facts.profile(group.integration), timeout_phases(group)):
        return f"no {name} by default, and this dump does not show whether one is set"
    return f"whether it has a {name} is not visible in this dump"


def read_without_timeout(facts: Facts) -> Iterable[Finding]:
    """Calls that wait for ever if the peer falls silent or stops reading; those of a hot call are named there."""
    hot = {group.id for call in hot_calls(facts) for group in call.groups}
    for group in facts.groups:
        if group.kind != "external-call" or group.timed is not False or group.id in hot:
            continue
        name = group.integration.name if group.integration else "network"
        yield facts.finding(
            "read-without-timeout",
            "medium" if group.count >= 5 else "low",
            f"{of_crew(facts.members[group.id], None)} in {short(group.caller or group.blocking_frame)} "
            f"{'wait' if group.count != 1 else 'waits'} without a {timeout_name(group)}",
            f"{name}, {PHASES.get(group.phase or 'read', group.phase or '')}: {group.timed_reason}. "
            f"{_end_words(group)}.",
            facts.members[group.id],
            [_timeout_advice(facts, group)],
            recovery(facts, group),
            group.id,
        )
