"""What dumps of several tiers show that no single one does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from threaddump.findings.facts import short
from threaddump.report import SEVERITIES, Cascade, Evidence, Finding, Severity, Tier, TierCall

FEW = 10
"""So many threads of a tier wait for another before it is called a cascade."""
SHARE = 0.2
MOST = 0.5
"""Of the threads that serve."""
MANY_TO_ONE = 10
"""So many times as many threads lean on a tier as it has."""
LEANING = 100
_EVIDENCE = 4


def findings(cascade: Cascade, tiers: Sequence[Tier]) -> list[Finding]:
    """All findings on a cascade, worst first. ``tiers`` are its tiers, in its order."""
    found = [*_cascade(cascade, tiers), *_free(cascade, tiers), *_imbalance(cascade, tiers)]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def _severity(tiers: Sequence[Tier]) -> Severity | None:
    """By the tier that has the largest part of its threads waiting for another."""
    waits = [(t.waits_for.weight, t.waits_for.weight / t.serving) for t in tiers if t.waits_for and t.serving]
    shares = [share for weight, share in waits if weight >= FEW and share >= SHARE]
    if not shares:
        return None
    return "critical" if max(shares) >= MOST else "high"


def _cascade(cascade: Cascade, tiers: Sequence[Tier]) -> Iterable[Finding]:
    """Threads of one tier wait for another, which is held up itself."""
    severity = _severity(tiers)
    if severity is None or cascade.act_on is None or cascade.end_free or sum(bool(tier.dumps) for tier in tiers) < 2:
        return
    waiting = [tier for tier in tiers if tier.waits_for is not None and tier.dumps]
    hold = tiers[-1].holds[0] if not waiting or (waiting[-1] is not tiers[-1] and tiers[-1].holds) else None
    of = f"{len(waiting)} tiers" if len(waiting) > 1 else waiting[0].service
    beyond = [] if cascade.circle or cascade.end in cascade.tiers else [cascade.end or "?"]
    path = " -> ".join([*cascade.tiers, *beyond])
    yield finding(
        "cascade",
        severity,
        f"{path}: {cascade.waiting} threads of {of} wait in the end for {cascade.end_words}",
        " ".join(map(_sentence, waiting)),
        waiting,
        [
            f"act on {cascade.act_on} first: {cascade.why}. The tiers above only wait: restarted, they wait again",
            *(_cut(tier) for tier in waiting[-1:]),
        ],
        [
            f"once {cascade.end_words} answers, restart in {tier.service} only the client component that calls it, if "
            "its calls do not end by themselves"
            for tier in waiting[-1:]
        ],
        [Evidence(hold.thread, hold.line, hold.what, dump=hold.dump)]
        if hold is not None and hold.thread is not None
        else [],
    )


def _cut(tier: Tier) -> str:
    call = tier.waits_for
    assert call is not None
    where = short(call.caller) if call.caller else "the call"
    until = "it has none yet" if call.timed is False else "if it has none"
    return f"cut the call in {tier.service}: a timeout for {where} ({until}), a bound on how many threads may be in it"


def unnamed(call: TierCall) -> str:
    """A service of which only the call to it is known."""
    return f"the service behind {short(call.caller)}" if call.caller else "a service that the dumps do not name"


def _sentence(tier: Tier) -> str:
    call = tier.waits_for
    assert call is not None
    target = call.service or call.address or unnamed(call)
    behind = f", {call.behind} behind them" if call.behind else ""
    return (
        f"{tier.service}: {call.weight} of {tier.serving} {tier.serving_words} wait for {target} ({call.threads} in "
        f"{short(call.caller)}{behind})."
    )


def _free(cascade: Cascade, tiers: Sequence[Tier]) -> Iterable[Finding]:
    """The tier that is waited for has idle threads."""
    severity = _severity(tiers)
    if severity is None or not cascade.end_free:
        return
    end = tiers[-1]
    waiting = [tier for tier in tiers if tier.waits_for is not None and tier.waits_for.service == end.service]
    count = sum(tier.waits_for.weight for tier in waiting if tier.waits_for is not None)
    yield finding(
        "called-tier-free",
        severity,
        f"{count} threads wait for {end.service}, and {end.idle} of {end.serving} {end.serving_words} there are idle",
        f"{' '.join(map(_sentence, waiting))} {cascade.why[:1].upper()}{cascade.why[1:]}.",
        waiting,
        [
            f"list the instances of {end.service} and take a dump of each: one that hangs takes the callers of all",
            "look at the way there: load balancer, connections that are not accepted, lost packets (ss -tn, ss -ltn)",
        ],
        [],
        [],
    )


def _imbalance(cascade: Cascade, tiers: Sequence[Tier]) -> Iterable[Finding]:
    """Many threads lean on few."""
    for tier in tiers:
        below = _reached(tier, tiers)
        above = [each for each in tiers if each.service not in below and tier.service in _reached(each, tiers)]
        leaning = sum(other.serving for other in above)
        if not tier.serving or leaning < LEANING or leaning < MANY_TO_ONE * tier.serving:
            continue
        parts = " and ".join(f"{other.serving} of {other.service}" for other in above if other.serving)
        held = _severity(above) is not None and not cascade.end_free
        yield finding(
            "tier-imbalance",
            "medium" if held else "low",
            f"{leaning} threads lean on {tier.serving}: {parts} on {tier.service}",
            f"{_counted(tier)} When {tier.service} is slow, so many threads queue for it that it takes all along.",
            [],
            [
                f"bound the calls to {tier.service} by what it can serve: a pool of about {tier.serving} for each "
                "instance of it, with a timeout for the lease",
                f"start the instances of {tier.service} that are switched off, or shed the load before it",
            ],
            [],
            [],
        )


def _reached(tier: Tier, tiers: Sequence[Tier]) -> set[str]:
    """The services that a tier calls, directly or through others."""
    by_name = {each.service: each for each in tiers}
    todo = [tier.service]
    found: set[str] = set()
    for name in todo:  # grows while we walk it
        called = (
            {call.service for call in by_name[name].calls if call.service is not None} if name in by_name else set()
        )
        todo += sorted(called - found)
        found |= called
    return found


def _counted(tier: Tier) -> str:
    one = tier.instances == 1
    return f"Counted in the dumps here: {tier.instances} instance{'s' * (not one)} of {tier.service}."


def finding(
    rule: str,
    severity: Severity,
    title: str,
    detail: str,
    waiting: Sequence[Tier],
    advice: list[str],
    recovery: list[str],
    evidence: list[Evidence],
) -> Finding:
    shown = [
        tier.waits_for.example for tier in waiting if tier.waits_for is not None and tier.waits_for.example is not None
    ]
    return Finding(
        id=rule,
        severity=severity,
        title=title,
        detail=detail,
        threads=sum(tier.waits_for.weight for tier in waiting if tier.waits_for is not None),
        thread_names=[],
        evidence=[*evidence, *shown[::-1]][:_EVIDENCE],
        advice=advice,
        recovery=recovery,
    )
