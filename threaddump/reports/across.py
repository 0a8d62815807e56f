"""What the dumps of several tiers say together, as lines that the terminal and Markdown share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from threaddump.report import Cascade, Report, Tier, TierCall, TierHold, waiting_span
from threaddump.reports import words
from threaddump.reports.text import Line, Segment, cells, clean, hang, plural, shorten
from threaddump.reports.words import without_packages

_NAME_WIDTH = 30
_ADDRESSES = 3
_CALLS = 3


def summary(report: Report) -> str:
    """``3 services, 4 instances, 825 threads that serve: 820 wait, 5 idle``."""
    tiers = report.tiers
    instances = sum(tier.instances for tier in tiers)
    serving, blocked = sum(tier.serving for tier in tiers), sum(tier.blocked for tier in tiers)
    parts = [plural(len(tiers), "service"), plural(instances, "process", "processes")]
    return f"{', '.join(parts)}; {blocked} of {plural(serving, 'thread')} that serve wait"


def lines(report: Report, width: int) -> Iterator[Line]:
    """The cascades, each from its user-facing tier to its end."""
    tiers = {tier.service: tier for tier in report.tiers}
    ends = [tier.waits_for.service for tier in report.tiers if tier.waits_for is not None]
    names = [*tiers, *(name for name in ends if name is not None)]
    indent = min(max(cells(_name(name)) for name in names), _NAME_WIDTH, width // 3) + 4
    for number, cascade in enumerate(report.cascades):
        if number:
            yield []
        for position, name in enumerate(cascade.tiers):
            yield from _tier(tiers[name], cascade, position, indent, width)
        yield from _end(cascade, tiers[cascade.tiers[-1]], indent, width)
        if cascade.act_on is not None:
            yield []
            body: list[Segment] = [(clean(cascade.act_on, 200), "title"), (f": {_prose(cascade.why)}", "")]
            yield from hang([("  ", ""), ("act first", "label")], body, width, max(indent, 13))


def _name(name: str) -> str:
    return clean(name, 200)


def _head(name: str, indent: int) -> Line:
    """A tier's name in the column of the names."""
    shown = shorten(_name(name), indent - 4)
    return [("  ", ""), (shown, "strong"), (" " * (indent - 2 - cells(shown)), "")]


def _prose(text: str) -> str:
    return without_packages(clean(text, 600))


def _tier(tier: Tier, cascade: Cascade, position: int, indent: int, width: int) -> Iterator[Line]:
    last = position == len(cascade.tiers) - 1
    first_here = cascade.act_on in {tier.service, cascade.end_words} and cascade.end_here and last
    head = _head(tier.service, indent)
    body: list[Segment] = [(_size(tier), "strong")]
    if first_here and not cascade.circle:
        body.append(("  <- act here first", "label"))
    yield from hang(head, body, width, indent)
    bar: Line = [("  ", ""), ("│" if tier.waits_for is not None or not last else " ", "tree")]
    for text, style in _inside(tier):
        yield from _beside(bar, text, style, width, indent)
    call = tier.waits_for or (tier.calls[0] if not last and tier.calls else None)
    if call is not None:
        verb = "waits for" if tier.waits_for is not None else "calls"
        for text, style in _call(call, verb):
            yield from _beside(bar, text, style, width, indent)
        yield [("  ", ""), ("▼", "tree")]


def _beside(bar: Line, text: str, style: str, width: int, indent: int) -> Iterator[Line]:
    """Text beside the line that leads down; the line goes on beside the rest of it."""
    for line in hang([], [(text, style)], width - indent, 0):
        yield [*bar, (" " * (indent - 3), ""), *line]


def _size(tier: Tier) -> str:
    if not tier.dumps:
        return "no dump of it is here"
    count = "all" if tier.blocked == tier.serving else str(tier.blocked)
    share = f" ({100 * tier.blocked_share:.0f} %)" if tier.serving else ""
    idle = f", {tier.idle} idle" if tier.idle else ""
    who = f"{tier.serving} {clean(tier.serving_words, 100)}"
    return f"{plural(tier.instances, 'instance')} · {who}: {count} wait{share}{idle}"


def _inside(tier: Tier) -> Iterator[Segment]:
    kinds = [(kind, count) for kind, count in tier.serving_by_kind.items() if kind not in words.QUIET_KINDS]
    if kinds:
        yield (
            ", ".join(f"{count} {words.kind_words(kind)}" for kind, count in kinds[:4])
            + (f" · {plural(tier.threads, 'thread')} in all" if tier.threads != tier.serving else ""),
            "",
        )
    for hold in tier.holds[:2]:
        yield hold_line(hold), ""
    for note in tier.notes:
        yield clean(note, 300), "dim"


def hold_line(hold: TierHold) -> str:
    """``24 wait for LegacyCalendar: owner "sched-worker-1" line 96 of d3, sleep in HolidayFeed.pause``."""
    start = f"{hold.waiting} wait for {_prose(hold.what)}"
    doing = f"{words.kind_words(hold.kind)} in {_prose(hold.place or '')}" if hold.kind is not None else ""
    if hold.thread is not None:
        sure = "" if hold.evidence == "reported" else " (inferred)"
        return f"{start}: owner{sure} {words.thread_words(hold.thread, hold.line)} of {clean(hold.dump, 20)}, {doing}"
    return f"{start}, {doing}" if doing else f"{start}: its owner is not known"


def _call(call: TierCall, verb: str) -> Iterator[Segment]:
    where = _prose(call.caller) if call.caller else "a call"
    behind = ""
    if call.behind:
        pool = f" for a slot of its pool ({call.pool_waits})" if 0 < call.pool_waits < call.behind else ""
        pool = " for a slot of its pool" if call.pool_waits == call.behind else pool
        behind = f", {call.behind} wait behind them{pool}"
    timeout = {True: ", with a timeout", False: ", no timeout", None: ""}[call.timed]
    if call.threads:
        yield f"{call.threads} in {where}{timeout}{behind}", ""
    target = target_words(call)
    silent = f", for {waiting_span(call.waiting_ms)}" if call.waiting_ms is not None else ""
    yield f"{verb} {target}{silent}", "title" if verb == "waits for" else ""
    if call.service is not None:
        how = {"reported": "by address", "given": "as you said", "inferred": "inferred"}[call.basis]
        yield f"({how}: {_prose(call.reason)})", "dim"
    if call.missing:
        yield f"of these instances no dump is here: {', '.join(clean(a, 60) for a in call.missing[:_ADDRESSES])}", "dim"


def target_words(call: TierCall) -> str:
    """The service or the addresses that are called."""
    counted = [
        clean(address, 60) + (f" ({threads})" if len(call.addresses) > 1 else "")
        for address, threads in list(call.addresses.items())[:_ADDRESSES]
    ]
    more = len(call.addresses) - _ADDRESSES
    addresses = ", ".join(counted) + (f" and {more} more" if more > 0 else "")
    if call.service is not None:
        return clean(call.service, 100) + (f" at {addresses}" if addresses else "")
    return addresses or (f"the service behind {_prose(call.caller)}" if call.caller else "a service that nothing names")


def _end(cascade: Cascade, last: Tier, indent: int, width: int) -> Iterator[Line]:
    """The dependency at the end, where it is no tier of this report."""
    if cascade.circle:
        yield from hang([("  ", "")], [(f"back to {clean(cascade.tiers[0], 100)}: a circle", "strong")], width, 2)
        return
    call = last.waits_for
    if call is None:
        return
    head = _head(call.service or "?", indent)
    what = f"{target_words(call)}, " if call.service is None else ""
    yield from hang(
        head, [(f"{what}of which no dump is here", "strong"), ("  <- act here first", "label")], width, indent
    )
    if call.service is None:
        hint = f"a dump of it: --service NAME=FILE; which service it is: --calls {clean(last.service, 60)}:NAME"
        yield from hang([], [(hint, "dim")], width, indent)


def tiers_apart(cascades: Sequence[Cascade]) -> str:
    """What to say where several cascades have no call between them; empty for one."""
    if len(cascades) < 2 or not any(cascade.act_on for cascade in cascades):
        return ""
    return "No call between these was found. If there is one, say so: --calls CALLER:CALLED."
