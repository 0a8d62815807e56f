"""From dumps to tiers, and from tiers to cascades: who leads where, where it ends, and where to act first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from threaddump.findings.facts import KIND_WORDS, short, short_class
from threaddump.report import Cascade, DumpReport, Series, Tier, TierCall, TierHold
from threaddump.series.snapshots import Snapshot
from threaddump.tiers.calls import Calls, Instance, by_service, find_calls, nodes_of
from threaddump.tiers.findings import findings, unnamed

HELD = 0.2
"""Of the threads that serve, from which on a tier is held up by what they wait for."""
FEWEST = 3
"""So many threads at least are held up."""
FREE = 0.5
"""Of the threads that serve are idle: the tier has room."""
_HOLDS_KEPT = 5


def find_tiers(
    dumps: Sequence[tuple[DumpReport, Snapshot]],
    series: Sequence[Series],
    given: Sequence[tuple[str, str]],
    named: bool,
) -> tuple[list[Tier], list[Cascade]]:
    """The tiers that these dumps belong to, and their cascades.

    ``given`` are the calls that the command line names; ``named`` says that it names services, too. Where the names
    come from the dumps alone, services that do not call each other are no tiers.
    """
    earlier = {dump: each.dumps[-1] for each in series for dump in each.dumps[:-1]}
    instances = [
        Instance(report.service, report, snapshot.outline)
        for report, snapshot in dumps
        if report.service is not None
        and snapshot.outline is not None
        and report.duplicate_of is None
        and report.id not in earlier
    ]
    calls = find_calls(instances, given)
    if not named and not given and not any(call.here for found in calls.of.values() for call in found):
        return [], []
    tiers = {name: _tier(name, own, calls, earlier) for name, own in by_service(instances).items()}
    for caller, called in given:
        for name in (caller, called):
            if name not in tiers and any(pair[0] == name for pair in given):
                tiers[name] = _without_dump(name, [each for one, each in given if one == name])
    for tier in tiers.values():
        for call in tier.calls:
            call.here = call.service in tiers and bool(tiers[call.service].dumps)
    cascades = _cascades(tiers)
    ordered = [tiers[name] for cascade in cascades for name in cascade.tiers]
    unnamed = [report.id for report, _ in dumps if report.service is None]
    if unnamed and ordered:
        ordered[0].notes.append(
            f"of no service, and so of no tier: {', '.join(unnamed[:5])}{', ...' * (len(unnamed) > 5)}; "
            "name it: --service NAME=FILE"
        )
    return ordered, cascades


def _tier(name: str, own: Sequence[Instance], calls: Calls, earlier: Mapping[str, str]) -> Tier:
    ids = [instance.report.id for instance in own]
    kinds: Counter[str] = Counter()
    serving: Counter[str] = Counter()
    for instance in own:
        kinds.update(instance.report.by_kind)
        serving.update(instance.outline.kinds)
    words = {instance.outline.serving for instance in own}
    found = calls.of.get(name, [])
    holds = sorted((hold for instance in own for hold in _holds(instance.report)), key=lambda hold: -hold.waiting)
    tier = Tier(
        name,
        len(own),
        ids,
        sorted(dump for dump, last in earlier.items() if last in ids),
        sum(instance.report.total for instance in own),
        sum(instance.report.request_threads for instance in own),
        sum(serving.values()),
        words.pop() if len(words) == 1 else "threads that serve",
        sum(instance.outline.blocked for instance in own),
        serving["idle"],
        dict(kinds.most_common()),
        dict(sorted(serving.items(), key=lambda item: (-item[1], item[0]))),
        found,
        holds[:_HOLDS_KEPT],
        None,
    )
    local = sum(hold.waiting + (hold.thread is not None) for hold in holds)
    main = found[0] if found else None
    if main is not None and main.weight >= max(FEWEST, HELD * tier.serving) and main.weight >= local:
        tier.waits_for = main
    for caller, called in calls.unused:
        if caller == name:
            tier.notes.append(f"--calls {caller}:{called}: no call was found that could be it")
    return tier


def _without_dump(name: str, called: Sequence[str]) -> Tier:
    """A tier that only the command line names: what it calls is all that is known."""
    calls = [
        TierCall(each, False, None, None, None, 0, 0, 0, {}, [], None, "given", f"--calls {name}:{each}")
        for each in called
    ]
    return Tier(name, 0, [], [], 0, 0, 0, "threads", 0, 0, {}, {}, calls, [], calls[0] if len(calls) == 1 else None)


def _holds(report: DumpReport) -> list[TierHold]:
    """What holds threads up within the process: chains that end in no external call, and locks without an owner."""
    found = []
    classes = {lock.id: lock.class_name for lock in report.locks}
    for chain in report.chains:
        root = chain.root
        if chain.waiting < FEWEST or root.kind in {"external-call", "idle", "runtime"}:
            continue
        # Those that wait directly, the most of them first, tell what it is that the root holds.
        first = max(chain.tree, key=lambda node: node.count, default=None)
        held = first.lock_class or classes.get(first.lock or "", first.lock) if first is not None else None
        found.append(
            TierHold(
                dump=report.id,
                thread=root.threads[0] if root.count == 1 else None,
                line=root.lines[0] if root.lines else 0,
                what=short_class(held) if held is not None else f"what {root.count} threads do",
                waiting=chain.waiting,
                kind=root.kind,
                place=short(root.caller or root.blocking_frame),
                evidence=chain.evidence,
            )
        )
    told = {name for chain in report.chains for node in nodes_of(chain.tree) for name in node.threads}
    for lock in report.locks:
        if lock.owner is None and len(lock.waiting) >= FEWEST and told.isdisjoint(lock.waiting):
            found.append(
                TierHold(report.id, None, 0, short_class(lock.class_name), len(lock.waiting), None, None, "reported")
            )
    return found


# --- cascades


def _cascades(tiers: Mapping[str, Tier]) -> list[Cascade]:
    leads = {name: _leads_to(tier, tiers) for name, tier in tiers.items()}
    by_end: dict[str, list[str]] = {}
    depth: dict[str, int] = {}
    for name in tiers:
        path = [name]
        while (after := leads[path[-1]]) is not None and after not in path:
            path.append(after)
        circle = path[path.index(after) :] if after is not None else [path[-1]]
        end = min(circle)
        by_end.setdefault(end, []).append(name)
        depth[name] = path.index(circle[0]) if name not in circle else 0
    found = []
    for names in by_end.values():
        names.sort(key=lambda name: (-depth[name], -tiers[name].serving, name))
        found.append(_cascade([tiers[name] for name in names], [n for n in names if depth[n] == 0]))
    found.sort(key=lambda each: (-len(each.findings), -each.waiting, -len(each.tiers), each.tiers))
    return found


def _leads_to(tier: Tier, tiers: Mapping[str, Tier]) -> str | None:
    """The tier that this one waits for, or calls most."""
    if tier.waits_for is not None:
        return tier.waits_for.service if tier.waits_for.service in tiers else None
    if tier.serving and sum(hold.waiting for hold in tier.holds) >= HELD * tier.serving:
        return None
    return next((call.service for call in tier.calls if call.service in tiers), None)


def _cascade(tiers: Sequence[Tier], last: Sequence[str]) -> Cascade:
    names = [tier.service for tier in tiers]
    end = tiers[-1]
    waiting = sum(tier.waits_for.weight for tier in tiers if tier.waits_for is not None)
    if len(last) > 1:
        words = " and ".join(last)
        made = Cascade(names, True, None, True, words, False, waiting, None, "")
        if all(tier.waits_for is not None for tier in tiers if tier.service in last):
            made.act_on = words
            made.why = "they wait for each other in a circle: while the threads of each wait, nobody answers the other"
    elif end.waits_for is not None:
        call = end.waits_for
        words = call.service or endpoint_address(call) or unnamed(call)
        where = f"{call.weight} threads of {end.service} wait for it" if call.weight else f"{end.service} calls it"
        made = Cascade(names, False, call.service or call.address, False, words, False, waiting, words, where)
        made.why += ", and no dump of it is here: nothing in these dumps waits for anything further"
    else:
        made = Cascade(names, False, end.service, bool(end.dumps), end.service, False, waiting, None, "")
        _act_on(made, tiers)
    made.findings = findings(made, tiers)
    return made


def _act_on(made: Cascade, tiers: Sequence[Tier]) -> None:
    """Where to act on a cascade whose end is a tier that waits for nobody else."""
    end = tiers[-1]
    callers = [t for t in tiers if t.waits_for is not None and t.waits_for.service == end.service]
    held = [hold for hold in end.holds if hold.waiting >= max(FEWEST, HELD * end.serving)]
    if not end.dumps:
        if callers:
            made.act_on, made.why = end.service, "no dump of it is here, and all the others wait for it"
    elif held:
        made.act_on, made.why = end.service, hold_words(held[0], end)
    elif callers and end.idle >= FREE * end.serving:
        made.end_free = True
        made.act_on = f"the way from {callers[0].service} to {end.service}"
        made.why = (
            f"{end.idle} of {end.serving} {end.serving_words} of {end.service} are idle: what is waited for is another "
            "instance, of which no dump is here, or the network in between, or connections that it does not accept"
        )
    elif callers:
        made.act_on = end.service
        kinds = [(kind, count) for kind, count in end.serving_by_kind.items() if kind != "idle"]
        doing = ", ".join(f"{count} {KIND_WORDS.get(kind, kind)}" for kind, count in kinds[:3])
        made.why = f"it is the last tier that the others wait for; of its {end.serving} {end.serving_words}: {doing}"


def hold_words(hold: TierHold, tier: Tier) -> str:
    """``24 of its 25 threads wait for LegacyCalendar, which "w-1" owns, asleep in HolidayFeed.pause``."""
    start = f"{hold.waiting} of its {tier.serving} {tier.serving_words} wait for {hold.what}"
    if hold.kind is None:
        return f"{start}, whose owner is not known"
    doing = f"{KIND_WORDS.get(hold.kind, hold.kind)} " * (hold.kind != "unknown") + f"in {hold.place}"
    sure = "" if hold.evidence == "reported" else "probably "
    return f'{start}, which "{hold.thread}" {sure}owns, {doing}' if hold.thread is not None else f"{start}, {doing}"


def endpoint_address(call: TierCall) -> str | None:
    """The addresses of a call in words; None where none is known."""
    shown = [
        address if len(call.addresses) == 1 else f"{address} ({n})" for address, n in list(call.addresses.items())[:3]
    ]
    more = f" and {len(call.addresses) - 3} more" if len(call.addresses) > 3 else ""
    return ", ".join(shown) + more if shown else None
