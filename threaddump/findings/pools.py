"""Threads that wait for a slot of a bounded resource."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from threaddump.findings.facts import KIND_WORDS, Facts, knobs, of_crew, short, short_class
from threaddump.groups import integration
from threaddump.report import Finding, Severity
from threaddump.waits.graph import PoolJoin


def pool_wait(facts: Facts) -> Iterable[Finding]:
    """A pool is exhausted: without a timeout its waiters stay until somebody gives a slot back."""
    for pool in facts.waits.pools:
        yield _exhausted(facts, pool)


_DOES = {
    "connect": "cannot reach the server",
    "login": "got no answer from the server yet",
    "handshake": "got no answer from the server in the TLS handshake",
    "resolve": "cannot resolve its name",
}
"""What keeps a thread from making a connection, by the phase it is in."""


def rate_limited(facts: Facts) -> Iterable[Finding]:
    """Threads are held back by a rate limit: nobody holds what they wait for, and it comes with time alone."""
    for group in facts.groups:
        threads = facts.members[group.id]
        if group.kind != "pool-wait" or group.phase != "throttle" or len(threads) < JAM:
            continue
        share, crew = facts.share(threads)
        profile = facts.profile(group.pool)
        name = short(group.blocking_frame)
        sizes = [knob["knob"] for knob in profile.get("pool", ())]
        yield facts.finding(
            "rate-limited",
            "high" if len(threads) >= 20 and share >= 0.3 else "medium" if share >= 0.25 else "low",
            f"{of_crew(threads, crew)} are held back by a rate limit in {short(group.caller or group.blocking_frame)}",
            f"{name} lets so many through in a time. More has come than it allows, and each waiting thread holds its "
            "request meanwhile.",
            threads,
            [
                "refuse what is too much instead of letting threads wait for it (tryAcquire with a short timeout)",
                *[f"if the service behind bears more: {sizes[0]}"] * bool(sizes),
            ],
            profile.get("recovery", ()),
            group.id,
        )


JAM = 3
"""Threads behind one rate limit before it is told."""


def _severity(count: int, takes_most: bool, timed: bool | None) -> Severity:
    if timed is False:
        if count >= 10:
            return "critical" if takes_most else "high"
        return "medium" if count >= 2 else "low"
    if count >= 10:
        return "high"
    return "medium" if count >= 3 else "low"


def _exhausted(facts: Facts, pool: PoolJoin) -> Finding:
    verdicts = [facts.verdicts[index] for index in pool.waiters]
    first = verdicts[0]
    untimed = sum(verdict.timed is False for verdict in verdicts)
    timed = False if untimed == len(verdicts) else True if not untimed and first.timed else None
    used = integration(first, facts.dump.family)
    profile = facts.profile(used)
    name = used.name if used else "a pool"
    if used is not None and not profile:
        name = short_class(used.name)  # the application's own pool
    crew = facts.crew(pool.waiters)
    words = {False: "without a timeout", True: "with a timeout", None: "with an unknown timeout"}[timed]
    if timed is None and untimed:
        words = f"{untimed} of them without a timeout"
    callers = Counter(verdict.caller for verdict in verdicts if verdict.caller is not None)
    by = ", ".join(
        short(caller) if len(callers) == 1 else f"{short(caller)} ({n})" for caller, n in callers.most_common(3)
    )
    more = f" and {len(callers) - 3} more" if len(callers) > 3 else ""
    detail = f"They wait in {short(first.blocking_frame)}{f', called by {by}{more}' if callers else ''}. "
    holders = pool.holders
    many = f"{len(holders)} thread{'s' * (len(holders) != 1)}"
    timeouts = knobs(profile, ("acquire",))
    if timed is True and timeouts:
        detail += f"The limit is {timeouts[0]}. "
    if pool.making:
        one = len(holders) == 1
        does = _DOES[facts.verdicts[holders[0]].phase or ""]
        detail += (
            f"The pool has none to give: {many} {'makes' if one else 'make'} connections for it and {does} "
            f"(inferred: {pool.reason})."
        )
    elif holders:
        doing = facts.verdicts[holders[0]]
        detail += (
            f"The slots are probably held by {many} "
            f"{KIND_WORDS.get(doing.kind, doing.kind)} in {short(doing.caller or doing.blocking_frame)} "
            f"(inferred: {pool.reason})."
        )
    elif not pool.again:
        detail += "No thread of this dump is seen to hold a slot: a leak, or the holders do something else meanwhile."
        detail += _may_hold(facts, pool)
    advice = []
    if pool.again:
        has = "holds one already and wants" if len(pool.again) == 1 else "hold one already and want"
        detail += (
            f"{' ' * bool(holders)}{len(pool.again)} of the waiters probably {has} one more (inferred: past the line "
            "where others lease). When all slots are held so, nobody gets on until the waits end."
        )
        advice.append(
            "lease once for the whole work and hand the connection on (one transaction), or give the inner work a pool "
            "of its own: a bigger pool only needs more such threads"
        )
    elif not holders:
        logged = knobs(profile, ("leak",))
        closes = (
            "finally or try-with-resources closes them"
            if facts.dump.family == "jvm"
            else "with or finally gives them back"
        )
        advice.append(
            f"find who keeps slots: taken where no {closes}, or kept while something else is done"
            + (f"; {logged[0]}" if logged else "")
        )
    recovery = list(profile.get("recovery", ()))
    cut = facts.cut(pool.waiters)
    if pool.making:
        advice.append(f"get new connections through: begin with {cut.words if cut else 'the threads that make them'}")
        recovery = []
    elif cut is not None and not cut.threads.intersection(pool.waiters):
        advice.append(f"begin at the root, {cut.words}: a bigger pool only moves the queue")
        if recovery:
            recovery.insert(0, f"First the root, {cut.words}: that frees the slots")
    elif holders:
        advice.append("the cure is at the holders, not at the waiters: a bigger pool only moves the queue")
    if timed is not True:
        advice.append(f"give the lease a timeout: {timeouts[0]}" if timeouts else "give the lease a timeout")
    sizes = [f"{knob['knob']} (default: {knob['default']})" for knob in profile.get("pool", ())]
    if sizes and not pool.making and not pool.again:
        condition = "if those who hold the slots get on, and there are too few: "
        advice.append(f"{condition}the size of the pool: {sizes[0]}")
    return facts.finding(
        "pool-wait-untimed" if timed is False else "pool-exhausted",
        _severity(len(pool.waiters), facts.takes_most(pool.waiters), timed),
        f"{of_crew(pool.waiters, crew)} wait{'s' * (len(pool.waiters) == 1)} for a slot of {name}, {words}",
        detail,
        pool.waiters,
        advice,
        recovery,
        facts.groups[facts.group_of[pool.waiters[0]]].id,
    )


def _may_hold(facts: Facts, pool: PoolJoin) -> str:
    """Which threads of the same crew may keep a slot while they are in a call of another kind; nothing shows it."""
    crew = facts.crew(pool.waiters)
    members = set(crew.members if crew is not None else range(len(facts.verdicts))).difference(pool.waiters)
    calls = [group for group in facts.groups if group.kind == "external-call"]
    inside = {group.id: [index for index in facts.members[group.id] if index in members] for group in calls}
    group = max(calls, key=lambda call: len(inside[call.id]), default=None)
    threads = inside[group.id] if group is not None else []
    if group is None or not threads:
        return ""
    others = "1 thread is" if len(threads) == 1 else f"{len(threads)} threads are"
    where = short(group.caller or group.blocking_frame)
    return f" {others} in external calls in {where}: if that is done with a slot in hand, they hold them."
